//go:build unix

package tinyioexec

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// linesOf runs a command and returns what it writes, with the error of Lines.
func linesOf(t *testing.T, cmd *exec.Cmd, capacity int) (texts []string, err error) {
	t.Helper()
	lines := tinyio.NewQueue[Line](capacity)
	main := tinyio.Do(func(co *tinyio.Co) error {
		reader := co.Go(func(co *tinyio.Co) error {
			for line, err := range lines.All(co) {
				if err != nil {
					return err
				}
				if line.Cmd != cmd {
					t.Errorf("a line of %v", line.Cmd)
				}
				texts = append(texts, line.Text)
			}
			return nil
		})
		err = Lines(co, cmd, time.Minute, lines)
		lines.Close()
		return co.Wait(reader)
	})
	if _, failed := tinyio.Run(t.Context(), main); failed != nil {
		t.Errorf("the loop failed: %v", failed)
	}
	return texts, err
}

// Lines come whole and in order, of both streams, and the last one needs no end.
func TestLines(t *testing.T) {
	noLeaks(t)
	for _, capacity := range []int{0, 1, 100} {
		for _, test := range []struct {
			script string
			want   []string
		}{
			{"echo one; echo two", []string{"one", "two"}},
			{"echo out; echo err >&2; echo out again", []string{"out", "err", "out again"}},
			{"printf 'a\\n\\n\\nb'", []string{"a", "", "", "b"}},
			{"printf a; sleep 0.01; printf 'b\\nc'", []string{"ab", "c"}},
			{":", nil},
		} {
			if got, err := linesOf(t, script(test.script), capacity); err != nil || !slices.Equal(got, test.want) {
				t.Errorf("%s: the lines are %q, %v, want %q", test.script, got, err, test.want)
			}
		}
	}
	got, err := linesOf(t, script("echo last words; exit 4"), 1)
	if err == nil || err.Error() != "exit status 4" || !slices.Equal(got, []string{"last words"}) {
		t.Errorf("the lines are %q, %v", got, err)
	}
	if _, err := linesOf(t, exec.Command("/no/such/command"), 1); err == nil {
		t.Error("a command that does not exist has no error")
	}
}

// What goes elsewhere makes no lines.
func TestLinesOfOneStream(t *testing.T) {
	noLeaks(t)
	var errs strings.Builder
	cmd := script("echo out; echo err >&2")
	cmd.Stderr = &errs
	if got, err := linesOf(t, cmd, 1); err != nil || !slices.Equal(got, []string{"out"}) || errs.String() != "err\n" {
		t.Errorf("the lines are %q, %v, and %q", got, err, errs.String())
	}
}

// A megabyte comes whole, in lines of any length.
func TestManyLines(t *testing.T) {
	noLeaks(t)
	got, err := linesOf(t, script("yes 0123456789abcde | head -n 65536"), 10)
	if err != nil || len(got) != 65536 || slices.ContainsFunc(got, func(line string) bool { return line != "0123456789abcde" }) {
		t.Errorf("there are %d lines, %v", len(got), err)
	}
	got, err = linesOf(t, script("head -c 1048575 /dev/zero; echo; echo end"), 10)
	if err != nil || len(got) != 2 || len(got[0]) != 1<<20-1 || got[1] != "end" {
		t.Errorf("there are %d lines, %v", len(got), err)
	}
	got, err = linesOf(t, script("head -c 3000000 /dev/zero; echo; echo end"), 10)
	if err != nil || len(got) < 3 || got[len(got)-1] != "end" || len(strings.Join(got, "")) != 3000003 {
		t.Errorf("there are %d lines, %v", len(got), err)
	}
	for _, line := range got {
		if len(line) > MaxLine {
			t.Errorf("a line has %d bytes, want at most %d", len(line), MaxLine)
		}
	}
}

// A command is stopped with the coroutine, and what it writes then still comes, also if there is hardly room for it.
func TestLinesOfOneThatIsStopped(t *testing.T) {
	noLeaks(t)
	for _, capacity := range []int{0, 1, 100} {
		cmd := script("trap 'echo bye; echo and again; exit 3' TERM; echo begin; echo begin >&3; while :; do sleep 0.01; done")
		alive := newLifeline(t, cmd)
		lines := tinyio.NewQueue[Line](capacity)
		var texts []string
		main := tinyio.Do(func(co *tinyio.Co) error {
			reader := co.Go(func(co *tinyio.Co) error {
				for line, err := range lines.All(co) {
					if err != nil {
						return err
					}
					if line.Text != "Terminated" { // some shells say so of the sleep
						texts = append(texts, line.Text)
					}
				}
				return nil
			})
			c := co.Go(func(co *tinyio.Co) error { return Lines(co, cmd, time.Minute, lines) })
			if err := co.Call(func(context.Context) error { alive.want(t, "begin"); return nil }); err != nil {
				return err
			}
			if err := c.Cancel(co, nil); err != nil {
				return err
			}
			lines.Close()
			return co.Wait(reader)
		})
		if _, err := tinyio.Run(t.Context(), main); err != nil {
			t.Error(err)
		}
		alive.wantNobody(t)
		if want := []string{"begin", "bye", "and again"}; !slices.Equal(texts, want) {
			t.Errorf("the lines are %q, want %q", texts, want)
		}
	}
}

// If nobody takes the lines any more, that does not keep the coroutine from stopping.
func TestLinesThatNobodyTakes(t *testing.T) {
	noLeaks(t)
	cmd := script("echo begin >&3; yes")
	alive := newLifeline(t, cmd)
	lines := tinyio.NewQueue[Line](1)
	err := stoppers["context"](t, func() { alive.want(t, "begin") }, func(co *tinyio.Co) error {
		return Lines(co, cmd, 10*time.Millisecond, lines)
	})
	if !errors.Is(err, tinyio.ErrCancelled) {
		t.Errorf("the error is %v", err)
	}
	alive.wantNobody(t)
}

// If the queue is closed, the command is stopped.
func TestLinesOfAQueueThatIsClosed(t *testing.T) {
	noLeaks(t)
	cmd := script("trap '' PIPE; echo begin >&3; yes")
	alive := newLifeline(t, cmd)
	lines := tinyio.NewQueue[Line](1)
	main := tinyio.Do(func(co *tinyio.Co) error {
		co.Go(func(co *tinyio.Co) error {
			if _, err := lines.Get(co); err != nil {
				return err
			}
			lines.Close()
			return nil
		})
		if err := Lines(co, cmd, time.Minute, lines); err != tinyio.ErrClosed {
			t.Errorf("the error is %v", err)
		}
		return nil
	})
	if _, err := tinyio.Run(t.Context(), main); err != nil {
		t.Error(err)
	}
	alive.want(t, "begin")
	alive.wantNobody(t)
}

// A reader that is slow holds up the command, and loses nothing.
func TestSlowReader(t *testing.T) {
	noLeaks(t)
	cmd := script("yes " + strings.Repeat("x", 99) + " | head -n 10000; echo end >&3") // far more than there is room for on the way
	alive := newLifeline(t, cmd)
	lines := tinyio.NewQueue[Line](1)
	n := 0
	main := tinyio.Do(func(co *tinyio.Co) error {
		reader := co.Go(func(co *tinyio.Co) error {
			if err := co.Sleep(50 * time.Millisecond); err != nil {
				return err
			}
			select {
			case line := <-alive.lines:
				t.Errorf("the command has come to its end: %q", line)
			default:
			}
			for _, err := range lines.All(co) {
				if err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err := Lines(co, cmd, 0, lines); err != nil { // what is left to read when it has ended takes longer than that
			t.Errorf("the error is %v", err)
		}
		lines.Close()
		return co.Wait(reader)
	})
	if _, err := tinyio.Run(t.Context(), main); err != nil {
		t.Error(err)
	}
	if n != 10000 {
		t.Errorf("there are %d lines, want 10000", n)
	}
	alive.want(t, "end")
	alive.wantNobody(t)
}
