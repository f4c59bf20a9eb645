//go:build unix

// Package dlvtest tests the commands that debug/tinyio.star gives the debugger Delve: on programs that fail, in the ways in which one can
// look at a program with it. The files in testdata are what it says; go test -update writes them anew. docs/debugging.md shows them.
package dlvtest

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the debugger says into testdata")

// built is the directory of the programs, which are built once.
var built string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if built, err = os.MkdirTemp("", "dlvtest"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// delve builds the debugger, in the version that tools/go.mod has.
var delve = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "dlv")
	cmd := exec.Command("go", "build", "-C", filepath.Join("..", "..", "tools"), "-o", path, "github.com/go-delve/delve/cmd/dlv")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the debugger: %w\n%s", err, out)
	}
	return path, nil
})

// needsDelve returns the debugger.
func needsDelve(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skipf("what the debugger says is compared on linux/amd64 and linux/arm64, and this is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	path, err := delve()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds one of the programs as debuggers want it: not optimised; or as it is in production.
func build(t *testing.T, name string, optimised bool) string {
	t.Helper()
	path := filepath.Join(built, name)
	flags := "-gcflags=all=-N -l"
	if optimised {
		path += "-optimised"
		flags = "-gcflags="
	}
	cmd := exec.Command("go", "build", flags, "-o", path, "./programs/"+name)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return path
}

// debug runs the debugger with args and types commands. It returns what it answers to each of them.
func debug(t *testing.T, args []string, commands ...string) []string {
	t.Helper()
	star, err := filepath.Abs(filepath.Join("..", "tinyio.star"))
	if err != nil {
		t.Fatal(err)
	}
	silent := []string{"source " + star, "config source-list-line-count 0"}
	cmd := exec.Command(needsDelve(t), append([]string{"--allow-non-terminal-interactive"}, args...)...)
	cmd.Stdin = strings.NewReader(strings.Join(append(append(silent, commands...), "exit"), "\n") + "\n")
	cmd.Env = append(os.Environ(), "GOWORK=off", "TERM=dumb", "XDG_CONFIG_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	for _, refused := range []string{"operation not permitted", "permission denied", "function not implemented"} {
		if strings.Contains(string(out), refused) && strings.Contains(string(out), "could not ") {
			t.Skipf("processes may not be traced here, so there is nothing that a debugger could do: %s", out)
		}
	}
	if strings.Contains(string(out), "Command failed") {
		t.Errorf("a command has failed:\n%s", out)
	}
	answers := strings.Split(string(out), "(dlv) ")
	if want := 1 + len(silent) + len(commands) + 1; len(answers) != want {
		t.Fatalf("dlv %v: %v; it has answered %d times, and not %d times:\n%s", args, err, len(answers), want, out)
	}
	return answers[1+len(silent) : 1+len(silent)+len(commands)]
}

var (
	addresses   = regexp.MustCompile(`0x[0-9a-f]{5,}`)
	counters    = regexp.MustCompile(` \(PC: \w+\)`)
	goroutines  = regexp.MustCompile(`(goroutine[ (])\d+`)
	passing     = regexp.MustCompile(`(?m)^(Switched from|Warning:|> runtime\.).*\n`)
	systems     = regexp.MustCompile(`(?ms)^(of the operating system:\n).*`)
	stopped     = regexp.MustCompile(`(?m)^(> .*) \(hits.*$`)
	lineNumbers = regexp.MustCompile(`(failure\.go|runtime/\w+\.go):\d+`)
	arrows      = regexp.MustCompile(`(?m)^=>\s*\d+:`)
	numbered    = regexp.MustCompile(`(?m)^Frame \d+: `)
	inRuntime   = regexp.MustCompile(`\S*/src/runtime/`)
)

// session is commands and answers as one sees them on a terminal, without what is different each time: addresses, numbers of goroutines,
// the directory of the project, and lines that are not in the programs.
func session(t *testing.T, commands, answers []string) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, answer := range answers {
		answer = strings.ReplaceAll(answer, root+string(filepath.Separator), "")
		answer = strings.ReplaceAll(answer, "./debug/", "debug/")
		answer = strings.ReplaceAll(answer, "./failure.go", "failure.go")
		answer = strings.ReplaceAll(answer, "./programs/", "debug/dlvtest/programs/")
		answer = strings.ReplaceAll(answer, " debug/dlvtest/programs/", " ")
		answer = counters.ReplaceAllString(answer, "")
		answer = passing.ReplaceAllString(answer, "")
		answer = stopped.ReplaceAllString(answer, "$1")
		answer = addresses.ReplaceAllString(answer, "0x…")
		answer = goroutines.ReplaceAllString(answer, "${1}N")
		answer = systems.ReplaceAllString(answer, "$1…\n")
		answer = inRuntime.ReplaceAllString(answer, "runtime/")
		answer = lineNumbers.ReplaceAllString(answer, "$1")
		answer = arrows.ReplaceAllString(answer, "=>")
		answer = numbered.ReplaceAllString(answer, "Frame N: ")
		fmt.Fprintf(&b, "(dlv) %s\n", commands[i])
		if answer = strings.TrimSpace(answer); answer != "" {
			fmt.Fprintln(&b, answer)
		}
	}
	return b.String()
}

// compare compares a session with the file of that name.
func compare(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the debugger says (go test -update writes it down)\n%s\nwant\n%s", got, want)
	}
}

// atFailure are commands up to where something fails.
var atFailure = []string{"break tinyio.failing", "continue"}

func TestPrograms(t *testing.T) {
	tests := []struct {
		program  string
		commands []string
	}{
		{"crash", []string{"coros", "chain", "coro 2", "print attempts", "coro 3", "coro 7", "chain nobody", "threads"}},
		{"panics", []string{"coros", "chain", "coro 0", "print total", "chain 1"}},
		{"deadlock virtual", []string{"coros", "chain", "chain 1", "coro 2", "print amount"}},
	}
	for _, test := range tests {
		t.Run(test.program, func(t *testing.T) {
			name, arg, _ := strings.Cut(test.program, " ")
			commands := append(atFailure[:2:2], test.commands...)
			compare(t, name, session(t, commands, debug(t, []string{"exec", build(t, name, false), "--", arg}, commands...)))
		})
	}
}

// A core dump tells the same as the process did.
func TestCoreDump(t *testing.T) {
	path, core := build(t, "crash", false), filepath.Join(t.TempDir(), "core")
	commands := []string{"coros", "chain", "coro 2", "print attempts"}
	live := debug(t, []string{"exec", path}, append(append(atFailure[:2:2], "dump "+core), commands...)...)[3:]
	dead := debug(t, []string{"core", path, core}, commands...)
	for i, command := range commands {
		if got, want := session(t, commands[i:], dead[i:i+1]), session(t, commands[i:], live[i:i+1]); got != want && command != "coro 2" {
			t.Errorf("of the core dump, the debugger says\n%s\nwant what it says of the process\n%s", got, want)
		}
	}
}

// A test can be debugged as a program can.
func TestTest(t *testing.T) {
	commands := []string{"coros", "chain"}
	tested := debug(t, []string{"test", "./programs/crash"}, append(atFailure[:2:2], commands...)...)[2:]
	run := debug(t, []string{"exec", build(t, "crash", false)}, append(atFailure[:2:2], commands...)...)[2:]
	testPackage := strings.NewReplacer("github.com/tinyio-go/tinyio/debug/dlvtest/programs/crash.", "main.")
	got, want := testPackage.Replace(session(t, commands, tested)), session(t, commands, run)
	if got != want {
		t.Errorf("of the test, the debugger says\n%s\nwant what it says of the program\n%s", got, want)
	}
}

// A program that is optimised, as it is in production, has fewer variables; who waits for whom is there all the same.
func TestOptimised(t *testing.T) {
	for _, program := range []string{"crash", "panics", "deadlock"} {
		t.Run(program, func(t *testing.T) {
			commands := []string{"coros"}
			run := func(optimised bool) string {
				return session(t, commands, debug(t, []string{"exec", build(t, program, optimised)}, append(atFailure[:2:2], commands...)...)[2:])
			}
			if got, want := run(true), run(false); got != want {
				t.Errorf("of the optimised program, the debugger says\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A deadlock that Go's runtime sees, and ends the process for, is where the debugger stops too.
func TestDeadlockOfTheProcess(t *testing.T) {
	commands := []string{"coros"}
	real := debug(t, []string{"exec", build(t, "deadlock", false)}, append([]string{"continue"}, commands...)...)
	virtual := debug(t, []string{"exec", build(t, "deadlock", false), "--", "virtual"}, append(atFailure[:2:2], commands...)...)
	if !strings.Contains(real[0], "runtime-fatal-throw") {
		t.Errorf("it has stopped for another reason:\n%s", real[0])
	}
	got, want := session(t, commands, real[1:]), session(t, commands, virtual[2:])
	if want, _, _ = strings.Cut(want, "the error"); got != want {
		t.Errorf("the debugger says\n%s\nwant\n%s", got, want)
	}
}

// In program spins, the lines of its loop, and how often that has run.
var (
	spinning = regexp.MustCompile(`(spins/main\.go):(1\d|2\d)\b`)
	steps    = regexp.MustCompile(`steps = \d+`)
)

// spins starts program spins and returns when it spins.
func spins(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		in.Close()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "spinning" {
	}
}

// A process that spins can be attached to.
func TestAttach(t *testing.T) {
	needsDelve(t)
	cmd := exec.Command(build(t, "spins", false))
	spins(t, cmd)
	commands := []string{"coros", "threads", "chain 1"}
	attach := []string{"attach", fmt.Sprint(cmd.Process.Pid), "--continue=false"}
	want, _ := os.ReadFile(filepath.Join("testdata", "spins.txt"))
	for deadline := time.Now().Add(20 * time.Second); ; { // until the threads are where they stay
		got := session(t, commands, debug(t, attach, commands...))
		got = steps.ReplaceAllString(spinning.ReplaceAllString(got, "$1:…"), "steps = …")
		if got == string(want) && !*update {
			return
		}
		if time.Now().After(deadline) || *update && strings.Contains(got, "read orders at") && strings.Contains(got, "a call of") {
			compare(t, "spins", got)
			return
		}
	}
}

var (
	labelled = regexp.MustCompile(`(?m)^goroutine \d+ (?:.*)\[([^\]]*) labels:({.*})\]:$`)
	mains    = regexp.MustCompile(`(?m)^(main\.[\w.]+)\(.*\)\n\t(\S+)`)
)

// With labels, the stack traces that Go writes when it gets a SIGQUIT say which coroutine each goroutine is. Of these, the file has the
// headings and the innermost function of the program.
func TestQuit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what Go writes after a SIGQUIT is compared on Linux")
	}
	root, err := filepath.Abs(filepath.Join("programs"))
	if err != nil {
		t.Fatal(err)
	}
	quit := func() string {
		cmd := exec.Command(build(t, "spins", false))
		cmd.Env = append(os.Environ(), "GODEBUG=tracebacklabels=1", "GOTRACEBACK=all")
		var traces strings.Builder
		cmd.Stderr = &traces
		spins(t, cmd)
		if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it ends with status 2
		var found []string
		for part := range strings.SplitSeq(traces.String(), "\n\n") {
			heading := labelled.FindStringSubmatch(part)
			if heading == nil {
				continue
			}
			place := ""
			if m := mains.FindStringSubmatch(part); m != nil && !strings.Contains(heading[2], "count") { // which runs, and may have no trace
				place = fmt.Sprintf("%s at %s\n", m[1], strings.TrimPrefix(m[2], root+string(filepath.Separator)))
			}
			state, _, _ := strings.Cut(heading[1], ",")
			if strings.Contains(heading[2], "count") {
				state = "running"
			}
			found = append(found, fmt.Sprintf("goroutine N [%s labels:%s]:\n%s", state, heading[2], place))
		}
		slices.SortFunc(found, func(a, b string) int {
			return strings.Compare(a[strings.Index(a, "labels"):], b[strings.Index(b, "labels"):])
		})
		return strings.Join(found, "")
	}
	want, _ := os.ReadFile(filepath.Join("testdata", "quit.txt"))
	for deadline := time.Now().Add(20 * time.Second); ; { // until the threads are where they stay
		got := quit()
		if got == "" {
			t.Skip("this Go does not write labels into stack traces: that is from 1.26 on")
		}
		if got == string(want) && !*update {
			return
		}
		if time.Now().After(deadline) || *update && strings.Count(got, "chan receive") == 2 {
			compare(t, "quit", got)
			return
		}
	}
}
