package tinyioexec

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// markVariable is the environment variable by which the processes of a command are known that have lost their parents. It is a
// list of marks, separated by slashes: a command started by a command has the marks of both.
const markVariable = "TINYIOEXEC"

// A tree is a command and all that it has started, directly or not.
type tree struct {
	cmd   *exec.Cmd
	mark  string
	owned bool           // its process group is its own
	since uint64         // when it was started, in ticks since the system was
	known map[int]uint64 // those who have been found: by pid, when they were started
}

// newTree prepares a command, which has not been started.
func newTree(cmd *exec.Cmd) *tree {
	t := &tree{cmd: cmd, mark: rand.Text(), owned: ownGroup(cmd), known: make(map[int]uint64)}
	env := cmd.Environ()
	marks := "/" + t.mark
	for _, variable := range slices.Backward(env) {
		if outer, ok := strings.CutPrefix(variable, markVariable+"="); ok {
			marks = outer + marks
			break
		}
	}
	cmd.Env = append(env, markVariable+"="+marks)
	return t
}

// started is called when the command has been started, and is not waited for yet, so that its pid is its own.
func (t *tree) started() {
	if p, ok := readProcess(t.cmd.Process.Pid); ok {
		t.since = p.started
		t.known[p.pid] = p.started
	}
}

// A proc is a process as the system shows it.
type proc struct {
	pid, parent, group, session int
	started                     uint64 // in ticks since the system was
	dead                        bool   // and its parent has not taken note
}

// readProcess looks at a process; ok is false if there is none.
func readProcess(pid int) (p proc, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, false
	}
	// The name, which is in parentheses, may have anything in it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return p, false
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(string(fields[i]))
		return n
	}
	started, _ := strconv.ParseUint(string(fields[19]), 10, 64)
	state := fields[0][0]
	return proc{pid, number(1), number(2), number(3), started, state == 'Z' || state == 'X'}, true
}

// members returns the processes of the tree that are alive.
func (t *tree) members() (alive []proc) {
	if t.since == 0 { // there is no /proc
		return nil
	}
	var others []proc
	for _, pid := range processIDs() {
		p, ok := readProcess(pid)
		if !ok || pid == os.Getpid() {
			continue
		}
		if started, was := t.known[pid]; was && started != p.started {
			delete(t.known, pid) // the number has been given to another one, so no group is ours that goes by it
		}
		if p.started >= t.since {
			others = append(others, p)
		}
	}
	for found := true; found; {
		found = false
		others = slices.DeleteFunc(others, func(p proc) bool {
			if !t.has(p) {
				return false
			}
			t.known[p.pid] = p.started
			found = true
			if !p.dead {
				alive = append(alive, p)
			}
			return true
		})
	}
	return alive
}

// has reports whether p belongs to the tree: because of those who are known to, or of its mark.
func (t *tree) has(p proc) bool {
	for _, id := range []int{p.pid, p.parent, p.group, p.session} {
		if _, ok := t.known[id]; ok {
			return true
		}
	}
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
	return err == nil && bytes.Contains(environment, []byte("/"+t.mark))
}

func processIDs() (pids []int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// terminate asks all processes of the tree to stop, each once, since to many programs a second signal means something else. It signals
// groups, because a process that is being forked at this moment gets the signal of its group. It may miss processes whose group does not
// belong to the tree, or that change their group meanwhile. So it looks again until there is no new process.
func (t *tree) terminate() {
	signals := []syscall.Signal{
		syscall.SIGTERM,
		syscall.SIGCONT, // a suspended process gets the other signal only when it continues
	}
	if t.since == 0 && t.owned {
		for _, s := range signals {
			syscall.Kill(-t.cmd.Process.Pid, s)
		}
		return
	}
	if t.since == 0 {
		t.cmd.Process.Signal(syscall.SIGTERM)
		return
	}
	told := make(map[int]bool) // groups, and processes in other groups
	for before := -1; len(told) > before; {
		before = len(told)
		for _, p := range t.members() {
			_, ours := t.known[p.group]
			switch {
			case ours && !told[p.group]:
				told[p.group] = true
				for _, s := range signals {
					syscall.Kill(-p.group, s)
				}
			case !ours && !told[p.pid]:
				told[p.pid] = true
				p.signal(signals...)
			}
		}
	}
}

// alive reports whether somebody is left.
func (t *tree) alive() bool {
	if t.since == 0 {
		return t.owned && syscall.Kill(-t.cmd.Process.Pid, 0) == nil
	}
	return len(t.members()) > 0
}

// kill kills whoever is left, and reports whether that was anybody.
func (t *tree) kill() bool {
	if t.since == 0 {
		if !t.owned {
			t.cmd.Process.Kill()
			return false
		}
		return syscall.Kill(-t.cmd.Process.Pid, syscall.SIGKILL) == nil
	}
	members := t.members()
	for _, p := range members {
		p.signal(syscall.SIGKILL)
	}
	return len(members) > 0
}

// signal sends signals to p, and not to another process to which its number may have been given meanwhile: an [os.Process] holds on to
// the process itself, if the system can do that.
func (p proc) signal(signals ...syscall.Signal) {
	process, err := os.FindProcess(p.pid)
	if err != nil {
		return
	}
	defer process.Release()
	if now, ok := readProcess(p.pid); !ok || now.started != p.started {
		return
	}
	for _, s := range signals {
		process.Signal(s)
	}
}
