//go:build unix

package tinyioexec

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// noLeaks fails the test if there are more goroutines after it than before.
func noLeaks(t *testing.T) {
	t.Helper()
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

// script is a command that runs a script of the shell.
func script(text string) *exec.Cmd { return exec.Command("sh", "-c", text) }

// runWith runs a coroutine that runs cmd, and returns the error of Run, which is a value.
func runWith(t *testing.T, cmd *exec.Cmd, grace time.Duration) error {
	t.Helper()
	err, failed := tinyio.Run(t.Context(), tinyio.New(func(co *tinyio.Co) (error, error) { return Run(co, cmd, grace), nil }))
	if failed != nil {
		t.Errorf("the loop failed: %v", failed)
	}
	return err
}

// A lifeline is a pipe that a command holds open as file 3, and all that it starts. It comes to its end when none of them is left.
type lifeline struct{ lines chan string }

// newLifeline gives a lifeline to a script.
func newLifeline(t *testing.T, cmd *exec.Cmd) *lifeline {
	t.Helper()
	name := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Args[2] = "exec 3> " + name + "; " + cmd.Args[2]
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

// next returns the next line, and false if nobody is left.
func (l *lifeline) next(t *testing.T) (string, bool) {
	t.Helper()
	select {
	case line, ok := <-l.lines:
		return line, ok
	case <-time.After(30 * time.Second):
		t.Fatal("nothing has come on the lifeline, neither a line nor the end")
		return "", false
	}
}

// want wants the given lines to come next.
func (l *lifeline) want(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got, ok := l.next(t); got != want || !ok {
			t.Errorf("on the lifeline is %q, %v, want %q", got, ok, want)
		}
	}
}

// wantNobody wants that nobody is left, at once.
func (l *lifeline) wantNobody(t *testing.T) {
	t.Helper()
	if line, ok := l.next(t); ok {
		t.Errorf("on the lifeline is %q, want the end", line)
	}
}

// How a command ends by itself is told exactly, and crashes nobody.
func TestStatus(t *testing.T) {
	noLeaks(t)
	for _, test := range []struct {
		script string
		want   string
		code   int
	}{
		{"exit 0", "", 0},
		{"exit 1", "exit status 1", 1},
		{"exit 7", "exit status 7", 7},
		{"exit 255", "exit status 255", 255},
		{"kill -KILL $$", "signal: killed", -1},
		{"kill -TERM $$", "signal: terminated", -1},
		{"sleep 0.01; false", "exit status 1", 1},
	} {
		cmd := script(test.script)
		err := runWith(t, cmd, time.Minute)
		var exit *exec.ExitError
		switch {
		case test.want == "" && err == nil:
		case test.want == "" || !errors.As(err, &exit) || err.Error() != test.want || exit.ExitCode() != test.code:
			t.Errorf("%s: the error is %v, want %q", test.script, err, test.want)
		}
		if got := cmd.ProcessState.ExitCode(); got != test.code {
			t.Errorf("%s: the exit code is %d, want %d", test.script, got, test.code)
		}
	}
	if err := runWith(t, exec.Command("/no/such/command"), time.Minute); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error of a command that does not exist is %v", err)
	}
}

// A megabyte comes whole, to one writer for both streams or to one for each.
func TestOutput(t *testing.T) {
	noLeaks(t)
	const n = 1 << 20
	text := "dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr '\\0' x; dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr '\\0' y >&2"
	var both, stdout, stderr bytes.Buffer
	cmd := script(text)
	cmd.Stdout, cmd.Stderr = &both, &both
	if err := runWith(t, cmd, time.Minute); err != nil || both.String() != strings.Repeat("x", n)+strings.Repeat("y", n) {
		t.Errorf("the error is %v, and there are %d bytes", err, both.Len())
	}
	if cmd.Stdout != &both || cmd.Stderr != &both {
		t.Error("the writers are no longer those of the command")
	}
	cmd = script(text)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := runWith(t, cmd, time.Minute); err != nil ||
		stdout.String() != strings.Repeat("x", n) || stderr.String() != strings.Repeat("y", n) {
		t.Errorf("the error is %v, and there are %d and %d bytes", err, stdout.Len(), stderr.Len())
	}
	cmd = script("read line; echo got $line")
	stdout.Reset()
	cmd.Stdin, cmd.Stdout = strings.NewReader("a line\n"), &stdout
	if err := runWith(t, cmd, time.Minute); err != nil || stdout.String() != "got a line\n" {
		t.Errorf("the error is %v, and the output %q", err, stdout.String())
	}
}

// A writerFunc is a writer, and one that cannot be compared.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A writer that is slow loses nothing, however early the command has ended, and it is nobody's fault.
func TestSlowWriter(t *testing.T) {
	noLeaks(t)
	const n = 60_000 // which a pipe holds, so that the command can end
	cmd := script(fmt.Sprintf("echo begin >&3; head -c %d /dev/zero", n))
	alive := newLifeline(t, cmd)
	var got bytes.Buffer
	slow := writerFunc(func(p []byte) (int, error) {
		if got.Len() == 0 {
			alive.want(t, "begin")
			alive.wantNobody(t)
			time.Sleep(20 * time.Millisecond) // far more than the command has: its grace is none
		}
		return got.Write(p)
	})
	cmd.Stdout, cmd.Stderr = slow, slow
	if err := runWith(t, cmd, 0); err != nil || got.Len() != n {
		t.Errorf("the error is %v, and there are %d bytes, want %d", err, got.Len(), n)
	}
}

// An error of a writer is that of Run, and the command is stopped.
func TestBrokenWriter(t *testing.T) {
	noLeaks(t)
	errFull := errors.New("the disk is full")
	cmd := script("echo begin >&3; echo x")
	alive := newLifeline(t, cmd)
	cmd.Stdout = writerFunc(func(p []byte) (int, error) { return 0, errFull })
	if err := runWith(t, cmd, time.Minute); err != errFull {
		t.Errorf("the error is %v", err)
	}
	alive.want(t, "begin")
	alive.wantNobody(t)
}

// Who holds the output when the command has ended does not hold up Run. It is stopped.
func TestOutputThatIsHeld(t *testing.T) {
	noLeaks(t)
	for _, text := range []string{
		"sleep 1000 & echo end; echo begin >&3",
		"trap '' TERM; sleep 1000 & echo end; echo begin >&3",
		"sleep 1000 >&2 & echo end; echo begin >&3", // standard error alone
	} {
		cmd := script(text)
		alive := newLifeline(t, cmd)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := runWith(t, cmd, 10*time.Millisecond); err != exec.ErrWaitDelay || stdout.String() != "end\n" {
			t.Errorf("%s: the error is %v, and the output %q", text, err, stdout.String())
		}
		alive.want(t, "begin")
		alive.wantNobody(t)
		if !cmd.ProcessState.Success() {
			t.Errorf("%s: %v", text, cmd.ProcessState)
		}
	}
}

// The end of the command is told, and not what it has left behind, if it has failed; and that is stopped too.
func TestFailureWithOutputThatIsHeld(t *testing.T) {
	noLeaks(t)
	cmd := script("sleep 1000 & echo begin >&3; exit 3")
	alive := newLifeline(t, cmd)
	cmd.Stdout = new(bytes.Buffer)
	if err := runWith(t, cmd, 10*time.Millisecond); err == nil || err.Error() != "exit status 3" {
		t.Errorf("the error is %v", err)
	}
	alive.want(t, "begin")
	alive.wantNobody(t)
}

// A daemon that does not hold the output carries on.
func TestDaemon(t *testing.T) {
	noLeaks(t)
	cmd := script("sleep 1000 >/dev/null 2>&1 & echo $!; echo begin >&3")
	alive := newLifeline(t, cmd)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := runWith(t, cmd, time.Minute); err != nil {
		t.Errorf("the error is %v", err)
	}
	alive.want(t, "begin")
	pid, err := strconv.Atoi(strings.TrimSpace(stdout.String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the daemon is gone: %v", err)
	}
	alive.wantNobody(t)
}

// The commands of these tests write "begin" when they have begun, and do not end by themselves.
var endless = []struct {
	name, script string
	linuxOnly    bool
}{
	{"plain", "echo begin >&3; sleep 1000", false},
	{"replaced shell", "echo begin >&3; exec sleep 1000", false},
	{"deaf", "trap '' TERM; echo begin >&3; sleep 1000", false},
	{"children", "(sleep 1000 & sleep 1000) & (trap '' TERM; sleep 1000) & echo begin >&3; wait", false},
	{"suspended", "echo begin >&3; kill -STOP $$; sleep 1000", false},
	{"group", "set -m; (sleep 1000; echo) & echo begin >&3; wait", true},
	{"deaf group", "trap '' TERM; set -m; (sleep 1000; echo) & echo begin >&3; sleep 1000", true},
	{"session", "setsid sh -c 'echo begin >&3; sleep 1000' & wait", true},
	{"deaf session", "trap '' TERM; setsid sh -c 'echo begin >&3; sleep 1000' & wait", true},
	{"session of an orphan", "(setsid sh -c 'echo begin >&3; sleep 1000' &) ; sleep 1000", true},
	{"deaf session of an orphan", "trap '' TERM; (setsid sh -c 'echo begin >&3; sleep 1000' &) ; exec sleep 1000", true},
	{"sessions in sessions", "setsid sh -c 'setsid sh -c \"(setsid sleep 1000 &); echo begin >&3; sleep 1000\"'", true},
	{"shell gone", "trap 'exit 0' TERM; (trap '' TERM; setsid sleep 1000) & echo begin >&3; wait", true},
}

// A handClock stands still until it is told to jump to the next deadline.
type handClock struct {
	now  time.Time
	jump chan struct{}
}

func (c *handClock) Now() time.Time { return c.now }
func (c *handClock) Idle(p hook.Pause) bool {
	jump := c.jump
	if p.Deadline.IsZero() {
		jump = nil
	}
	select {
	case <-p.Wake:
	case <-jump:
		c.now = p.Deadline
	}
	return true
}

// A stopper stops a coroutine, as soon as ready can be received from. It returns the error that the coroutine got.
type stopper func(t *testing.T, ready func(), run func(co *tinyio.Co) error) error

var stoppers = map[string]stopper{
	"Timeout": func(t *testing.T, ready func(), run func(co *tinyio.Co) error) (got error) {
		clock := &handClock{jump: make(chan struct{})}
		go func() {
			ready()
			close(clock.jump)
		}()
		_, err := tinyio.Run(t.Context(), tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
				got = run(co)
				return got
			}), time.Hour)
			var late *tinyio.TimeoutError
			if !errors.As(err, &late) || len(late.Cleanup) > 0 {
				t.Errorf("Timeout returns %v", err)
			}
			return nil
		}), tinyio.WithClock(clock))
		if err != nil {
			t.Errorf("the loop failed: %v", err)
		}
		return got
	},
	"Isolate": func(t *testing.T, ready func(), run func(co *tinyio.Co) error) (got error) {
		errOther := errors.New("another one has failed")
		_, err := tinyio.Run(t.Context(), tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				co.Go(func(co *tinyio.Co) error {
					if err := co.Call(func(context.Context) error { ready(); return nil }); err != nil {
						return err
					}
					return errOther
				})
				got = run(co)
				return got
			}))
			if !errors.Is(err, errOther) || errors.As(err, new(*tinyio.ErrorGroup)) {
				t.Errorf("Isolate returns %v", err)
			}
			return nil
		}))
		if err != nil {
			t.Errorf("the loop failed: %v", err)
		}
		return got
	},
	"Cancel": func(t *testing.T, ready func(), run func(co *tinyio.Co) error) (got error) {
		_, err := tinyio.Run(t.Context(), tinyio.Do(func(co *tinyio.Co) error {
			c := co.Go(func(co *tinyio.Co) error {
				got = run(co)
				return got
			})
			if err := co.Call(func(context.Context) error { ready(); return nil }); err != nil {
				return err
			}
			return c.Cancel(co, nil)
		}))
		if err != nil {
			t.Errorf("the loop failed: %v", err)
		}
		return got
	},
	"context": func(t *testing.T, ready func(), run func(co *tinyio.Co) error) (got error) {
		errEnough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			ready()
			cancel(errEnough)
		}()
		_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
			got = run(co)
			return got
		}))
		if !errors.Is(err, errEnough) || errors.As(err, new(*tinyio.ErrorGroup)) {
			t.Errorf("the loop ends with %v", err)
		}
		return got
	},
}

// However a coroutine is stopped, nobody is left of its command when Run returns, whatever those are that it has started, and the
// error is that of the stop.
func TestStop(t *testing.T) {
	for name, stop := range stoppers {
		for _, test := range endless {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				if test.linuxOnly && runtime.GOOS != "linux" {
					t.Skip("processes are found by their group alone")
				}
				noLeaks(t)
				cmd := script(test.script)
				cmd.Stdout = new(bytes.Buffer)
				alive := newLifeline(t, cmd)
				grace := time.Minute
				if strings.Contains(test.script, "''") {
					grace = 20 * time.Millisecond
				}
				err := stop(t, func() { alive.want(t, "begin") }, func(co *tinyio.Co) error { return Run(co, cmd, grace) })
				if !errors.Is(err, tinyio.ErrCancelled) && !errors.Is(err, tinyio.ErrTimeout) || errors.As(err, new(*exec.ExitError)) {
					t.Errorf("the error is %v", err)
				}
				alive.wantNobody(t)
			})
		}
	}
}

// stopAtOnce runs a command in a coroutine that is stopped when it has written "begin".
func stopAtOnce(t *testing.T, alive *lifeline, run func(co *tinyio.Co) error) error {
	t.Helper()
	return stoppers["Cancel"](t, func() { alive.want(t, "begin") }, run)
}

// One that is told to stop is told so once and has its time; what it writes then is not lost, and how it ends is known.
func TestGrace(t *testing.T) {
	noLeaks(t)
	cmd := script("trap 'echo told >&3; sleep 0.1; echo bye; echo bye >&2; exit 3' TERM; echo hello; echo begin >&3; while :; do sleep 0.01; done")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	alive := newLifeline(t, cmd)
	stopAtOnce(t, alive, func(co *tinyio.Co) error { return Run(co, cmd, time.Minute) })
	alive.want(t, "told")
	alive.wantNobody(t)
	got := strings.ReplaceAll(out.String(), "Terminated\n", "") // some shells say so of the sleep
	if got != "hello\nbye\nbye\n" || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("the output is %q, and it ended with %v", out.String(), cmd.ProcessState)
	}
}

// So has whoever the command has left behind, when it is the first to end.
func TestGraceOfThoseLeft(t *testing.T) {
	noLeaks(t)
	cmd := script("(trap 'sleep 0.1; echo cleaned >&3; exit' TERM; echo begin >&3; while :; do sleep 0.01; done) </dev/null >/dev/null 2>&1 & " +
		"trap 'exit 0' TERM; wait")
	alive := newLifeline(t, cmd)
	stopAtOnce(t, alive, func(co *tinyio.Co) error { return Run(co, cmd, time.Minute) })
	alive.want(t, "cleaned")
	alive.wantNobody(t)
}

// A coroutine that is being stopped already starts nothing, except in a Shield.
func TestStoppedAlready(t *testing.T) {
	noLeaks(t)
	cmd, farewell := script("exit 0"), script("exit 5")
	main := tinyio.Do(func(co *tinyio.Co) error {
		c := co.Go(func(co *tinyio.Co) error {
			stopped := co.Sleep(time.Hour)
			if err := Run(co, cmd, time.Minute); err != stopped || cmd.Process != nil {
				t.Errorf("the error is %v, the process %v", err, cmd.Process)
			}
			err := co.Shield(time.Minute, func(co *tinyio.Co) error { return Run(co, farewell, time.Minute) })
			if err == nil || err.Error() != "exit status 5" {
				t.Errorf("in a Shield the error is %v", err)
			}
			return stopped
		})
		if err := co.Yield(); err != nil {
			return err
		}
		return c.Cancel(co, nil)
	})
	if _, err := tinyio.Run(t.Context(), main); err != nil {
		t.Error(err)
	}
}

// A Shield whose time is over stops a command too.
func TestShieldThatEnds(t *testing.T) {
	noLeaks(t)
	cmd := script("trap '' TERM; echo begin >&3; sleep 1000")
	alive := newLifeline(t, cmd)
	main := tinyio.Do(func(co *tinyio.Co) error {
		c := co.Go(func(co *tinyio.Co) error {
			return co.Shield(10*time.Millisecond, func(co *tinyio.Co) error { return Run(co, cmd, 10*time.Millisecond) })
		})
		if err := co.Call(func(context.Context) error { alive.want(t, "begin"); return nil }); err != nil {
			return err
		}
		return c.Cancel(co, nil)
	})
	if _, err := tinyio.Run(t.Context(), main); err != nil {
		t.Error(err)
	}
	alive.wantNobody(t)
}

// What the caller has set of a command is kept: its environment, its own group or session.
func TestSettingsAreKept(t *testing.T) {
	noLeaks(t)
	for name, attr := range map[string]*syscall.SysProcAttr{
		"none": nil, "group": {Setpgid: true}, "session": {Setsid: true}, "group of the caller": {Setpgid: true, Pgid: syscall.Getpgrp()},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := script("echo $NAME; echo begin >&3; sleep 1000")
			var out bytes.Buffer
			cmd.Stdout, cmd.Env, cmd.SysProcAttr = &out, append(os.Environ(), "NAME=value"), attr
			alive := newLifeline(t, cmd)
			if name == "group of the caller" && runtime.GOOS != "linux" {
				t.Skip("then only the command itself is stopped")
			}
			stopAtOnce(t, alive, func(co *tinyio.Co) error { return Run(co, cmd, time.Minute) })
			alive.wantNobody(t)
			if out.String() != "value\n" {
				t.Errorf("the output is %q", out.String())
			}
		})
	}
}

// TestMain is a program that runs a command for those tests that want another program in between.
func TestMain(m *testing.M) {
	if text := os.Getenv("TINYIOEXEC_TEST_SCRIPT"); text != "" {
		os.Unsetenv("TINYIOEXEC_TEST_SCRIPT")
		cmd := script(text)
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "lifeline")}
		tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error { return Run(co, cmd, time.Hour) }))
	}
	os.Exit(m.Run())
}

// A command that is a program which runs commands by this package is stopped with these, although their groups are others.
func TestProgramInBetween(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processes are found by their group alone")
	}
	noLeaks(t)
	for _, text := range []string{
		"trap '' TERM; echo begin >&3; sleep 1000",
		"trap '' TERM; (setsid sh -c 'echo begin >&3; sleep 1000' &); sleep 1000",
	} {
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := script("exec " + program)
		cmd.Env = append(os.Environ(), "TINYIOEXEC_TEST_SCRIPT="+text)
		alive := newLifeline(t, cmd)
		stopAtOnce(t, alive, func(co *tinyio.Co) error { return Run(co, cmd, 20*time.Millisecond) })
		alive.wantNobody(t)
	}
}
