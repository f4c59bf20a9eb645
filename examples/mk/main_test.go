//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// TestMain is the program itself for those tests that run it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("MK_IS_THE_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// inDirectory makes an empty directory the current one, with the given mkfile in it. It fails the test if goroutines are left.
func inDirectory(t *testing.T, mkfile ...string) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell to run commands: ", err)
	}
	t.Chdir(t.TempDir())
	if mkfile != nil {
		write(t, "mkfile", strings.Join(mkfile, "\n")+"\n")
	}
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantNoFile wants that there is no file of any of the names.
func wantNoFile(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s exists, or cannot be looked at: %v", name, err)
		}
	}
}

// mk runs the program. It returns what it writes to standard output, wants the given exit status, and wants the given text on
// standard error.
func mk(ctx context.Context, t *testing.T, status int, stderr string, args []string, opts ...tinyio.Option) string {
	t.Helper()
	var out, errs strings.Builder
	if got := run(ctx, args, &out, &errs, opts...); got != status {
		t.Errorf("the exit status is %d, want %d", got, status)
	}
	if errs.String() != stderr {
		t.Errorf("on standard error is\n%s\nwant\n%s", errs.String(), stderr)
	}
	return out.String()
}

// wantOutput runs the program, which must succeed, and compares what it writes.
func wantOutput(t *testing.T, want string, args ...string) {
	t.Helper()
	if got := mk(t.Context(), t, exitFine, "", args); got != want {
		t.Errorf("mk %v wrote\n%s\nwant\n%s", args, got, want)
	}
}

// makePipe makes a named pipe.
func makePipe(t *testing.T, name string) {
	t.Helper()
	if err := syscall.Mkfifo(name, 0o666); err != nil {
		t.Fatal(err)
	}
}

// openPipe opens both ends of a named pipe, which does not wait for anybody.
func openPipe(name string) (*os.File, error) { return os.OpenFile(name, os.O_RDWR, 0) }

// A lifeline is a pipe that commands hold open, and all that they start, with "exec 9> name". It comes to its end when
// none of them is left.
type lifeline struct {
	lines chan string // what they write to it
}

func newLifeline(t *testing.T, name string) *lifeline {
	t.Helper()
	makePipe(t, name)
	l := &lifeline{make(chan string, 100)}
	go func() {
		defer close(l.lines)
		f, err := os.Open(name) // waits until somebody opens the other end
		if err != nil {
			l.lines <- err.Error()
			return
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			l.lines <- s.Text()
		}
	}()
	return l
}

// wait waits for a line, or for the end, and reports whether it was a line.
func (l *lifeline) wait(t *testing.T) bool {
	select {
	case _, ok := <-l.lines:
		return ok
	case <-time.After(10 * time.Second):
		t.Error("nothing has come on the lifeline, neither a line nor the end")
		return false
	}
}

// wantNobody wants that nobody is left.
func (l *lifeline) wantNobody(t *testing.T) {
	t.Helper()
	if l.wait(t) {
		t.Error("a line has come on the lifeline, want the end")
	}
}

// wordcount makes a directory the current one in which the sources of a C program are, an hour old.
func wordcount(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("there is no C compiler: ", err)
	}
	sources, err := filepath.Abs("testdata/wordcount")
	if err != nil {
		t.Fatal(err)
	}
	inDirectory(t)
	if err := os.CopyFS(".", os.DirFS(sources)); err != nil {
		t.Fatal(err)
	}
	age(t)
}

// age makes all files an hour older than they are.
func age(t *testing.T) {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		setTime(t, f.Name(), info.ModTime().Add(-time.Hour))
	}
}

func setTime(t *testing.T, name string, when time.Time) {
	t.Helper()
	if err := os.Chtimes(name, when, when); err != nil {
		t.Fatal(err)
	}
}

// wantMade runs the program and wants it to make the given targets, each once, after what it depends on, and no others.
func wantMade(t *testing.T, args []string, want ...string) {
	t.Helper()
	f, err := parse("mkfile", read(t, "mkfile"))
	if err != nil {
		t.Fatal(err)
	}
	targets := make(map[string]string) // by command
	for _, x := range f.targets {
		if len(x.commands) > 0 {
			targets[x.commands[len(x.commands)-1].text] = x.name
		}
	}
	place := make(map[string]int)
	for i, line := range strings.Split(mk(t.Context(), t, exitFine, "", args), "\n") {
		name, ok := targets[line]
		if _, before := place[name]; before {
			t.Errorf("%s is made twice", name)
		}
		if ok {
			place[name] = i
		}
	}
	for name, at := range place {
		for _, d := range f.target(name).deps {
			if place[d] > at {
				t.Errorf("%s is made before %s, on which it depends", name, d)
			}
		}
	}
	made := slices.Sorted(maps.Keys(place))
	slices.Sort(want)
	if !slices.Equal(made, want) {
		t.Errorf("these are made: %v, want %v", made, want)
	}
}

var everything = []string{"version.h", "main.o", "words.o", "table.o", "hash.o", "libtable.a", "wordcount", "counted.txt"}

const counted = "wordcount 1.0\none 1\ntwo 1\nthree 1\ntwo 2\nthree 2\nthree 3\n"

// A C program of several files: all of it is made at first, then nothing, then what depends on a file that has been touched.
func TestOnlyWhatIsOlderIsMade(t *testing.T) {
	wordcount(t)
	wantMade(t, []string{"-j", "4"}, everything...)
	if got := read(t, "counted.txt"); got != counted {
		t.Errorf("the program that was built wrote %q, want %q", got, counted)
	}
	wantOutput(t, "mk: nothing to do\n")

	for touched, want := range map[string][]string{
		"words.h": {"main.o", "words.o", "wordcount", "counted.txt"},
		"hash.h":  {"table.o", "hash.o", "libtable.a", "wordcount", "counted.txt"},
		"VERSION": {"version.h", "main.o", "wordcount", "counted.txt"},
	} {
		age(t)
		setTime(t, touched, time.Now().Add(-time.Minute))
		wantMade(t, []string{"-j", "4"}, want...)
		wantOutput(t, "mk: nothing to do\n")
	}
	if err := os.Remove("table.o"); err != nil {
		t.Fatal(err)
	}
	age(t)
	wantMade(t, []string{"libtable.a"}, "table.o", "libtable.a")
}

// With -hash it counts what is in the files, and what the commands are, whatever their times.
func TestOnlyWhatHasChangedIsMade(t *testing.T) {
	wordcount(t)
	hash := []string{"-hash", "-j", "4"}
	wantMade(t, hash, everything...)
	wantOutput(t, "mk: nothing to do\n", hash...)
	setTime(t, "words.h", time.Now().Add(time.Hour))
	wantOutput(t, "mk: nothing to do\n", hash...)

	// A comment: the objects are compiled again and come out the same, and so nothing is linked.
	write(t, "words.h", read(t, "words.h")+"// a comment\n")
	wantMade(t, hash, "main.o", "words.o")

	// A file that somebody else has changed is made again, and it comes out as it was.
	write(t, "counted.txt", "nonsense")
	wantMade(t, hash, "counted.txt")

	// A command that has changed.
	write(t, "mkfile", strings.Replace(read(t, "mkfile"), "rm -f $@", "rm -f $@ # first", 1))
	write(t, "VERSION", "1.1\n")
	wantMade(t, append(hash, "-n"), "version.h", "libtable.a", "main.o", "wordcount", "counted.txt") // for all that can be known
	wantMade(t, append(hash, "libtable.a"), "libtable.a")
	wantMade(t, hash, "version.h", "main.o", "wordcount", "counted.txt")
	wantOutput(t, "mk: nothing to do\n", hash...)

	write(t, stateFile, "{")
	mk(t.Context(), t, exitFailed, "mk: .mk.json: unexpected end of JSON input; remove it, and everything is made anew\n", hash)
}

// Names that are no files: those that only stand for others, and those that have commands, which run each time.
func TestNamesThatAreNoFiles(t *testing.T) {
	for _, mode := range [][]string{nil, {"-hash"}} {
		inDirectory(t,
			".PHONY: check",
			"a: group",
			"	touch a",
			"group: b",
			"b:",
			"	touch b",
			"check: a",
			"	echo checked",
			"c: check",
			"	touch c")
		wantOutput(t, "touch b\ntouch a\n", mode...)
		wantOutput(t, "mk: nothing to do\n", mode...)
		write(t, "check", "a file of that name means nothing")
		for range 2 {
			wantOutput(t, "echo checked\nchecked\ntouch c\n", append(mode, "./c")...)
		}
	}
}

// A file that has no commands and depends on others, as a header that includes others, is as new as the newest of them.
func TestFilesThatDependOnFiles(t *testing.T) {
	for _, mode := range [][]string{nil, {"-hash"}} {
		inDirectory(t, "a: outer.h", "	cat outer.h inner.h > a", "outer.h: inner.h")
		write(t, "outer.h", "outer")
		write(t, "inner.h", "inner")
		age(t)
		wantMade(t, mode, "a")
		wantOutput(t, "mk: nothing to do\n", mode...)
		for _, name := range []string{"inner.h", "outer.h"} {
			age(t)
			write(t, name, "changed")
			setTime(t, name, time.Now().Add(-time.Minute))
			wantMade(t, mode, "a")
			wantOutput(t, "mk: nothing to do\n", mode...)
		}
	}
}

// A dry run prints what would run, and leaves everything as it is.
func TestDryRun(t *testing.T) {
	inDirectory(t, "a: b", "	cat b > a", "	echo a", "b:", "	touch b")
	for _, mode := range []string{"-n", "-hash"} {
		wantOutput(t, "touch b\ncat b > a\necho a\n", mode, "-n")
		wantNoFile(t, "a", "b", stateFile)
	}
}

// A command that fails stops those that are running. What they have half made is removed, and the error tells who wanted it.
func TestFailureStopsTheOthers(t *testing.T) {
	inDirectory(t,
		"all: slow left right",
		"	echo never",
		"slow:",
		"	exec 9> alive; echo half > slow; echo started > gate; sleep 1000; echo other half >> slow",
		"left right: middle",
		"middle: bad",
		"bad:",
		"	read line < gate; echo half > bad; echo one line; echo and another >&2; exit 3",
		"	echo never")
	makePipe(t, "gate")
	alive := newLifeline(t, "alive")
	command := "read line < gate; echo half > bad; echo one line; echo and another >&2; exit 3"
	got := mk(t.Context(), t, exitFailed, "mk: mkfile:8: "+command+": exit status 3\n"+
		"\tit was wanted by all -> right -> middle -> bad\n", []string{"-j", "2"})
	if want := command + "\none line\nand another\n"; got != want {
		t.Errorf("it wrote %q, want %q", got, want)
	}
	alive.wantNobody(t)
	wantNoFile(t, "slow", "bad")
}

// With -hash, what was made before a failure is not made again.
func TestWhatWasMadeBeforeAFailureIsKept(t *testing.T) {
	inDirectory(t, "all: bad", "bad: good", "	test -e fixed", "good:", "	touch good")
	mk(t.Context(), t, exitFailed, "mk: mkfile:3: test -e fixed: exit status 1\n"+
		"\tit was wanted by all -> bad\n", []string{"-hash"})
	write(t, "fixed", "")
	wantOutput(t, "test -e fixed\n", "-hash")
}

// A command that leaves something running that holds its output fails, and that is stopped.
func TestLeftBehind(t *testing.T) {
	inDirectory(t, "a:", "	exec 9> alive; sleep 1000 &")
	alive := newLifeline(t, "alive")
	mk(t.Context(), t, exitFailed, "mk: mkfile:2: exec 9> alive; sleep 1000 &: it left something running, "+
		"which was still holding its output 10ms later, and was stopped\n", []string{"-grace", "10ms"})
	alive.wantNobody(t)
}

// A target that a command has removed before it failed is not to be removed any more, whether it was there before or not; one that it
// has not touched stays, and so does a directory.
func TestFailureOfCommandsThatCleanUp(t *testing.T) {
	for _, test := range []struct {
		command   string
		wasThere  bool
		isThere   bool
		directory bool
	}{
		{"echo half > a; rm a; exit 3", false, false, false},
		{"echo half > a; rm a; exit 3", true, false, false},
		{"exit 3", true, true, false},
		{"exit 3", false, false, false},
		{"echo half > a; exit 3", true, false, false},
		{"mkdir -p a; touch a/b; exit 3", false, true, true},
		{"touch a/b; exit 3", false, true, true},
	} {
		inDirectory(t, "a: b", "	"+test.command)
		if test.wasThere {
			write(t, "a", "whole")
		}
		if test.directory {
			if err := os.MkdirAll("a", 0o777); err != nil {
				t.Fatal(err)
			}
		}
		age(t)
		write(t, "b", "")
		mk(t.Context(), t, exitFailed, "mk: mkfile:2: "+test.command+": exit status 3\n", nil)
		if _, err := os.Stat("a"); (err == nil) != test.isThere {
			t.Errorf("%s: of the target os.Stat says %v", test.command, err)
		}
	}
}

// A source that is saved while the command runs, when that has read it, makes the target out of date, although that is the newer one.
func TestSourceSavedWhileItsCommandRuns(t *testing.T) {
	for _, mode := range [][]string{nil, {"-hash"}} {
		inDirectory(t, "all: a c", "a: b", "	cat b > a; test -e once || echo 2 > b; touch once; sleep 0.02; touch a", "c: a", "	cp a c")
		write(t, "b", "1\n")
		age(t)
		mk(t.Context(), t, exitFine, "", mode)
		if got := read(t, "c"); got != "1\n" {
			t.Errorf("%v: at first it is %q, want 1", mode, got)
		}
		mk(t.Context(), t, exitFine, "", mode)
		if got := read(t, "c"); got != "2\n" {
			t.Errorf("%v: then it is %q, want 2", mode, got)
		}
		wantOutput(t, "mk: nothing to do\n", mode...)
	}
}

// However soon a source is saved again, and if its size and its time are the same then: it is noticed.
func TestSourceSavedAgainAtOnce(t *testing.T) {
	for _, mode := range [][]string{nil, {"-hash"}} {
		inDirectory(t, "a: b", "	cp b a")
		for i := range 30 {
			want := fmt.Sprint(i + 100)
			write(t, "b", want)
			wantOutput(t, "cp b a\n", mode...)
			if got := read(t, "a"); got != want {
				t.Errorf("%v: it is %q, want %s", mode, got, want)
			}
		}
		wantOutput(t, "mk: nothing to do\n", mode...)
	}
}

// A file that is looked at is older than another one can be that is written next.
func TestFilesAreLookedAtWhenTheyHaveSettled(t *testing.T) {
	inDirectory(t)
	for _, name := range []string{"new", "whole second", "future"} {
		write(t, name, "")
		switch name {
		case "whole second":
			setTime(t, name, time.Now().Truncate(time.Second).Add(-time.Second))
		case "future":
			setTime(t, name, time.Now().Add(time.Hour))
		}
		info, err := statWhenSettled(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(info.ModTime()); age >= 0 && age < grain(info.ModTime()) {
			t.Errorf("%s: it is %v old, want %v", name, age, grain(info.ModTime()))
		}
	}
	write(t, "new", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := statWhenSettled(ctx, "new"); !errors.Is(err, context.Canceled) {
		t.Errorf("when it is stopped, the error is %v", err)
	}
}

// Names with spaces, and what else the shell does not take as it is, are names like others.
func TestNamesWithSpaces(t *testing.T) {
	inDirectory(t, `all: "the result" it's`, `"the result": "a part" another\ part`, "	cat $^ > $@", `"a part":`, "	echo one > $@",
		`another\ part:`, "	echo '$$HOME' > $@", "it's: \"a part\"", "	cp $< $@")
	mk(t.Context(), t, exitFine, "", nil)
	if got := read(t, "the result"); got != "one\n$HOME\n" {
		t.Errorf("the result is %q", got)
	}
	if got := read(t, "it's"); got != "one\n" {
		t.Errorf("it's is %q", got)
	}
	wantOutput(t, "mk: nothing to do\n")
	wantOutput(t, "mk: nothing to do\n", "the result")
}

// What is wrong with the graph is found before the first command runs.
func TestNothingRunsIfTheGraphIsWrong(t *testing.T) {
	for _, test := range []struct {
		mkfile []string
		goal   string
		want   string
	}{
		{[]string{"all: x a", "x:", "	touch x", "a: b", "b: c d", "c: x", "d: a"}, "all", "mk: a cycle: d -> a -> b -> d\n"},
		{[]string{"a: a"}, "a", "mk: a cycle: a -> a\n"},
		{[]string{"all: x a", "x:", "	touch x", "a: a.c"}, "all",
			"mk: no rule makes a.c, and there is no such file\n\tit was wanted by all -> a -> a.c\n"},
		{[]string{"a:"}, "b", "mk: no rule makes b, and there is no such file\n"},
		{[]string{"x: $"}, "x", "mk: mkfile:1: a dollar sign that begins no variable; write $(NAME), or $$ for a dollar sign\n"},
	} {
		inDirectory(t, test.mkfile...)
		if out := mk(t.Context(), t, exitUsage, test.want, []string{test.goal}); out != "" {
			t.Errorf("it wrote %q", out)
		}
		wantNoFile(t, "x")
	}
	inDirectory(t)
	mk(t.Context(), t, exitUsage, "mk: open mkfile: no such file or directory\n", nil)
}

// stubborn is a file of two commands that do not end by themselves. One does what it is told, and has half a file by then;
// the other does not, nor does what it has started.
var stubborn = []string{
	"all: half stubborn",
	"half:",
	"	exec 9> alive; echo half > half; echo started >&9; sleep 1000",
	"stubborn:",
	"	trap '' TERM; exec 9> alive; (echo started >&9; sleep 1000) & sleep 1000",
}

// An interrupt in the middle leaves no process, no goroutine, and no half made file.
func TestInterrupt(t *testing.T) {
	inDirectory(t, stubborn...)
	alive := newLifeline(t, "alive")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		alive.wait(t)
		alive.wait(t)
		cancel(errors.New("the test has seen enough"))
	}()
	mk(ctx, t, exitInterrupted, "mk: interrupted: the test has seen enough\n", []string{"-j", "2", "-grace", "10ms"})
	alive.wantNobody(t)
	wantNoFile(t, "half", "stubborn")
}

// So it is with signals to the program.
func TestSignals(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		inDirectory(t, stubborn...)
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		alive := newLifeline(t, "alive")
		var stderr strings.Builder
		cmd := exec.Command(program, "-j", "2", "-grace", "10ms")
		cmd.Env = append(os.Environ(), "MK_IS_THE_PROGRAM=1")
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		alive.wait(t)
		alive.wait(t)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		got, said := cmd.ProcessState.ExitCode(), stderr.String()
		if got != exitInterrupted || !strings.HasPrefix(said, "mk: interrupted: ") {
			t.Errorf("after %v the exit status is %d, want %d; on standard error is %q", sig, got, exitInterrupted, said)
		}
		alive.wantNobody(t)
		wantNoFile(t, "half", "stubborn")
	}
}

// What a run was making that was killed with SIGKILL is made again, although it is newer than what it depends on; what was there before
// is not.
func TestHalfMadeByARunThatWasKilled(t *testing.T) {
	inDirectory(t,
		"all: old made half",
		"old: source",
		"	cp source old",
		"made: source",
		"	cp source made",
		"half: made",
		"	exec 9> alive; if [ -e again ]; then cp source half; else echo x > half; echo started >&9; read line < gate; fi")
	write(t, "source", "source")
	wantOutput(t, "cp source old\n", "old")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	makePipe(t, "gate")
	gate, err := openPipe("gate")
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	alive := newLifeline(t, "alive")
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "MK_IS_THE_PROGRAM=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	alive.wait(t)
	cmd.Process.Kill()
	cmd.Wait()
	fmt.Fprintln(gate, "go on")
	alive.wantNobody(t)

	if err := os.Remove("alive"); err != nil {
		t.Fatal(err)
	}
	write(t, "alive", "")
	write(t, "again", "")
	wantMade(t, []string{"-n"}, "made", "half")
	wantMade(t, nil, "made", "half")
	if got := read(t, "half"); got != "source" {
		t.Errorf("what was half made is %q, want %q", got, "source")
	}
	wantMade(t, nil)
}

// When nobody reads what the program writes, as with "mk | head -1", the next thing that it writes stops everything.
func TestOutputThatNobodyReads(t *testing.T) {
	inDirectory(t,
		"all: talkative patient",
		"talkative:",
		"	exec 9> alive; echo started >&9; read line < gate",
		"patient:",
		"	exec 9> alive; echo started >&9; touch patient; sleep 1000")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	makePipe(t, "gate")
	gate, err := openPipe("gate")
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	alive := newLifeline(t, "alive")
	var stderr strings.Builder
	cmd := exec.Command(program, "-j", "2")
	cmd.Env = append(os.Environ(), "MK_IS_THE_PROGRAM=1")
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	alive.wait(t)
	alive.wait(t)
	stdout.Close()
	fmt.Fprintln(gate, "go on")
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != exitFailed || !strings.HasPrefix(stderr.String(), "mk: its output cannot be written: ") {
		t.Errorf("the exit status is %d, want %d; on standard error is %q", got, exitFailed, stderr.String())
	}
	alive.wantNobody(t)
	wantNoFile(t, "patient")
}

// A writer that cannot write.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

// Output that cannot be written is a failure, also of a run that does nothing.
func TestOutputThatCannotBeWritten(t *testing.T) {
	for _, args := range [][]string{nil, {"-n"}} {
		inDirectory(t, "a:", "	touch a", "b: a", "	touch b")
		var stderr strings.Builder
		const want = "mk: its output cannot be written: the disk is full\n"
		if got := run(t.Context(), append(args, "b"), failingWriter{}, &stderr); got != exitFailed || !strings.HasPrefix(stderr.String(), want) {
			t.Errorf("%v: the exit status is %d, want %d; on standard error is %q, want %q", args, got, exitFailed, stderr.String(), want)
		}
		wantNoFile(t, "b")
	}
}

// What depends on the directory in which it is made is made once, although that changes the directory.
func TestFilesThatDependOnTheirDirectory(t *testing.T) {
	for _, mode := range [][]string{nil, {"-hash"}} {
		inDirectory(t,
			"all: objects/a objects/b",
			"objects/a: a objects",
			"	cp a objects/a",
			"objects/b: objects",
			"	echo b > objects/b",
			"objects:",
			"	mkdir objects")
		write(t, "a", "first")
		wantMade(t, mode, "objects", "objects/a", "objects/b")
		wantMade(t, mode)
		write(t, "objects/other", "")
		wantMade(t, mode)
		write(t, "a", "second")
		wantMade(t, mode, "objects/a")
		wantMade(t, mode)
		if err := os.RemoveAll("objects"); err != nil {
			t.Fatal(err)
		}
		wantMade(t, mode, "objects", "objects/a", "objects/b")
	}
}

// Several at once in one directory leave records that can be read.
func TestSeveralAtOnceKeepTheirRecords(t *testing.T) {
	inDirectory(t, "a:", "	touch a")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 50 {
				s := &state{Times: map[string]record{"a": {From: strings.Repeat("x", i*100)}}}
				if err := s.save(stateFile); err != nil {
					t.Error(err)
				}
				if _, err := loadState(stateFile); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if files, err := filepath.Glob(stateFile + "*"); len(files) != 1 || err != nil {
		t.Errorf("these files are left: %v, %v", files, err)
	}
}

// A command that has made a session of its own is stopped with the others; and so is another mk with its commands, although they have
// as much time as it has.
func TestInterruptOfSessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are found by their group alone")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	inDirectory(t,
		"all: session orphan inner",
		"session:",
		"	exec 9> alive; setsid sh -c 'echo started >&9; sleep 1000'",
		"orphan:",
		"	exec 9> alive; trap '' TERM; (setsid sh -c 'echo started >&9; sleep 1000' &); sleep 1000",
		"inner:",
		"	MK_IS_THE_PROGRAM=1 "+program+" -f inner.mk -grace 20ms")
	write(t, "inner.mk", "deaf:\n\texec 9> alive; trap '' TERM; echo started >&9; sleep 1000\n")
	alive := newLifeline(t, "alive")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for range 3 {
			alive.wait(t)
		}
		cancel(errors.New("the test has seen enough"))
	}()
	mk(ctx, t, exitInterrupted, "mk: interrupted: the test has seen enough\n", []string{"-j", "3", "-grace", "20ms"})
	alive.wantNobody(t)
}

// A watchClock notes how many threads the loop has whenever it has nothing to do but to wait for them.
type watchClock struct{ most int }

func (*watchClock) Now() time.Time { return time.Unix(0, 0) }
func (c *watchClock) Idle(p hook.Pause) bool {
	c.most = max(c.most, p.Threads)
	<-p.Wake
	return true
}

// Three commands run at once, and never four.
func TestAtMostN(t *testing.T) {
	mkfile := []string{"all: 1 2 3 4 5 6 7 8"}
	for i := range 8 {
		mkfile = append(mkfile, fmt.Sprintf("%d:\n\techo > started; : < gate; touch $@", i+1))
	}
	inDirectory(t, mkfile...)
	makePipe(t, "started")
	makePipe(t, "gate")
	started, err := openPipe("started")
	if err != nil {
		t.Fatal(err)
	}
	defer started.Close()
	opened := make(chan *os.File, 1)
	go func() {
		started.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(started, make([]byte, 3)); err != nil { // nobody is done before as many run as may
			t.Error("there were never three at once: ", err)
		}
		gate, err := openPipe("gate")
		if err != nil {
			t.Error(err)
		}
		opened <- gate
	}()
	clock := &watchClock{}
	mk(t.Context(), t, exitFine, "", []string{"-j", "3"}, tinyio.WithClock(clock))
	(<-opened).Close()
	if clock.most != 3 {
		t.Errorf("%d threads ran at once, want 3", clock.most)
	}
}

func TestUsage(t *testing.T) {
	inDirectory(t)
	for _, args := range [][]string{{"-j", "0"}, {"-grace", "0s"}, {"-unknown"}} {
		var out, errs strings.Builder
		if got := run(t.Context(), args, &out, &errs); got != exitUsage || !strings.Contains(errs.String(), "usage: mk") {
			t.Errorf("mk %v: exit status %d and %q", args, got, errs.String())
		}
	}
}
