package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// noLeaks fails the test if there are more goroutines after it than before.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d goroutines are left, there were %d before", runtime.NumGoroutine(), before)
			}
		}
	})
}

// script is a script of the shell, as a command.
func script(text string, grace time.Duration) command {
	return command{args: []string{"sh", "-c", text}, grace: grace}
}

// Everything that the commands write is shown, each line whole, those of one command in order.
func TestLinesOfSeveralCommands(t *testing.T) {
	noLeaks(t)
	var out bytes.Buffer
	err := run(context.Background(), &out, []command{
		script("for i in 1 2 3 4 5 6 7 8 9; do echo a$i; done; printf a-without-an-end", time.Second),
		script("for i in 1 2 3 4 5 6 7 8 9; do echo b$i >&2; done", time.Second),
		shell("echo shell", time.Second),
	})
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

// waitForFile is a line of a script that waits until there is a file.
func waitForFile(name string) string { return "while [ ! -e " + name + " ]; do sleep 0.01; done; " }

// A command that fails has the others told to stop; they can clean up, and the error is that of the one that failed.
func TestFailureStopsTheOthers(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	ready, cleaned := filepath.Join(dir, "ready"), filepath.Join(dir, "cleaned")
	var out bytes.Buffer
	err := run(context.Background(), &out, []command{
		script("trap 'touch "+cleaned+"; exit' TERM; touch "+ready+"; while :; do sleep 0.01; done", time.Minute),
		script(waitForFile(ready)+"echo failing; exit 3", time.Minute),
	})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || err.Error() != "sh: exit status 3" {
		t.Errorf("run returns %v", err)
	}
	if _, err := os.Stat(cleaned); err != nil {
		t.Errorf("the other one has not cleaned up: %v", err)
	}
}

// A command that does not stop when it is told to is killed.
func TestStubbornCommandIsKilled(t *testing.T) {
	noLeaks(t)
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
	err := run(ctx, new(bytes.Buffer), []command{
		script("trap '' TERM; touch "+ready+"; while :; do sleep 0.01; done", 50*time.Millisecond),
	})
	if !errors.Is(err, errEnough) || errors.As(err, new(*tinyio.ErrorGroup)) {
		t.Errorf("run returns %v", err)
	}
}

// A command that cannot be started is an error.
func TestCommandThatDoesNotExist(t *testing.T) {
	noLeaks(t)
	err := run(context.Background(), new(bytes.Buffer), []command{{args: []string{"/no/such/command"}}})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("run returns %v", err)
	}
	if err := run(context.Background(), new(bytes.Buffer), nil); err == nil {
		t.Error("run of no commands returns nil")
	}
}
