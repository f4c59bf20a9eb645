package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// TestMain is the program itself for those tests that run it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("SUBPROCESS_IS_THE_PROGRAM") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// prepare fails the test if there are more goroutines after it than before.
func prepare(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell to run commands: ", err)
	}
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d goroutines are left, there were %d before", runtime.NumGoroutine(), before)
			}
		}
	})
}

// Everything that the commands write is shown, each line whole, those of one command in order.
func TestLinesOfSeveralCommands(t *testing.T) {
	prepare(t)
	var out bytes.Buffer
	err := run(context.Background(), &out, []string{
		"for i in 1 2 3 4 5 6 7 8 9; do echo a$i; done; printf a-without-an-end",
		"for i in 1 2 3 4 5 6 7 8 9; do echo b$i >&2; done",
		"echo shell",
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var a, b, others []string
	for line := range strings.Lines(out.String()) {
		switch line[0] {
		case 'a':
			a = append(a, line)
		case 'b':
			b = append(b, line)
		default:
			others = append(others, line)
		}
	}
	if len(a) != 10 || len(b) != 9 || !slices.IsSorted(b) || a[9] != "a-without-an-end\n" || !slices.IsSorted(a[:9]) ||
		!slices.Equal(others, []string{"shell\n"}) {
		t.Errorf("the output is %q, %q, %q", a, b, others)
	}
}

// A command is a whole line for the shell, and its status is that of the line.
func TestLinesForTheShell(t *testing.T) {
	prepare(t)
	for _, test := range []struct{ line, out, err string }{
		{"echo one; echo two", "one\ntwo\n", ""},
		{"sleep 0.01; false", "", "sleep 0.01; false: exit status 1"},
		{"false; echo two", "two\n", ""},
		{"false || exit 7", "", "false || exit 7: exit status 7"},
		{"true && echo yes", "yes\n", ""},
		{"echo a b | tr a-z A-Z", "A B\n", ""},
		{"x=1; echo $x", "1\n", ""},
		{"x=1 sh -c 'echo $x'", "1\n", ""},
		{"if true; then echo yes; fi", "yes\n", ""},
		{"(echo in; echo out)", "in\nout\n", ""},
		{"{ echo braces; }", "braces\n", ""},
		{"! false", "", ""},
		{": # a comment", "", ""},
		{"f() { echo $1; }; f x", "x\n", ""},
		{"echo 1\necho 2", "1\n2\n", ""},
		{"", "", ""},
		{"kill -KILL $$", "", "kill -KILL $$: signal: killed"},
		{"/no/such/command 2>/dev/null", "", "/no/such/command 2>/dev/null: exit status 127"},
	} {
		var out bytes.Buffer
		err := run(context.Background(), &out, []string{test.line}, time.Minute)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.err || out.String() != test.out {
			t.Errorf("%s: the error is %q, want %q; the output is %q, want %q", test.line, got, test.err, out.String(), test.out)
		}
	}
}

// waitForFile is a line of a script that waits until there is a file.
func waitForFile(name string) string { return "while [ ! -e " + name + " ]; do sleep 0.01; done; " }

// If a command fails, the others are asked to stop; they can clean up, what they say meanwhile is shown, and the error is that of the
// one that failed.
func TestFailureStopsTheOthers(t *testing.T) {
	prepare(t)
	dir := t.TempDir()
	ready, cleaned := filepath.Join(dir, "ready"), filepath.Join(dir, "cleaned")
	var out bytes.Buffer
	failing := waitForFile(ready) + "for i in 1 2 3 4 5 6 7 8 9; do echo failing; done; exit 3"
	err := run(context.Background(), &out, []string{
		"trap 'echo last words; touch " + cleaned + "; exit' TERM; touch " + ready + "; while :; do sleep 0.01; done 2>/dev/null",
		failing,
	}, time.Minute)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || err.Error() != failing+": exit status 3" ||
		errors.As(err, new(*tinyio.ErrorGroup)) {
		t.Errorf("run returns %v", err)
	}
	if _, err := os.Stat(cleaned); err != nil {
		t.Errorf("the other one has not cleaned up: %v", err)
	}
	if n := strings.Count(out.String(), "failing\n"); n != 9 || !strings.Contains(out.String(), "last words\n") {
		t.Errorf("the output is %q", out.String())
	}
}

// A command that does not stop when it is told to is killed, and so is what it has started.
func TestStubbornCommandIsKilled(t *testing.T) {
	prepare(t)
	ready := filepath.Join(t.TempDir(), "ready")
	ctx, cancel := context.WithCancelCause(context.Background())
	errEnough := errors.New("enough")
	go func() {
		for {
			if _, err := os.Stat(ready); err == nil {
				break
			}
			runtime.Gosched()
		}
		cancel(errEnough)
	}()
	err := run(ctx, new(bytes.Buffer), []string{
		"trap '' TERM; sleep 1000 & touch " + ready + "; while :; do sleep 0.01; done",
	}, 50*time.Millisecond)
	if !errors.Is(err, errEnough) || errors.As(err, new(*tinyio.ErrorGroup)) {
		t.Errorf("run returns %v", err)
	}
}

// What a command leaves running is stopped after some time, and that is said.
func TestLeftRunning(t *testing.T) {
	prepare(t)
	var out bytes.Buffer
	const command = "sleep 1000 & echo started"
	err := run(context.Background(), &out, []string{command}, 50*time.Millisecond)
	const want = command + ": it left something running, which was still holding its output 50ms later, and was stopped"
	if err == nil || err.Error() != want || out.String() != "started\n" {
		t.Errorf("run returns %v, want %s; it shows %q", err, want, out.String())
	}
}

// failingWriter is a writer that cannot write.
type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// If the lines cannot be shown, the commands are stopped.
func TestOutputThatCannotBeWritten(t *testing.T) {
	prepare(t)
	errFull := errors.New("the disk is full")
	err := run(context.Background(), failingWriter{errFull}, []string{"yes", "sleep 1000"}, time.Minute)
	if !errors.Is(err, errFull) || err.Error() != errFull.Error() {
		t.Errorf("run returns %v", err)
	}
}

// Whatever ends the program early, a signal, the end of the terminal, or output that nobody reads any more as with "| head -1", it leaves
// no command behind.
func TestNoCommandIsLeftBehind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	prepare(t)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE} {
		alive, others, err := os.Pipe() // which everybody inherits whom the program starts
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0],
			"trap '' PIPE; while :; do echo output 2>/dev/null; sleep 0.01; done",
			"printf s >&3; sleep 1000 & wait")
		cmd.Env = append(os.Environ(), "SUBPROCESS_IS_THE_PROGRAM=1")
		cmd.ExtraFiles = []*os.File{others}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		others.Close()
		if _, err := alive.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if sig == syscall.SIGPIPE {
			stdout.Close()
		} else {
			cmd.Process.Signal(sig)
			io.Copy(io.Discard, stdout)
		}
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 1 || !strings.HasPrefix(stderr.String(), "subprocess: ") {
			t.Errorf("%v: the exit status is %d, want 1; on standard error is %q", sig, got, stderr.String())
		}
		alive.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := alive.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%v: the commands have not ended when the program has: %v", sig, err)
		}
		alive.Close()
	}
}

func TestNoCommands(t *testing.T) {
	if err := run(context.Background(), new(bytes.Buffer), nil, time.Minute); err == nil {
		t.Error("run of no commands returns nil")
	}
}
