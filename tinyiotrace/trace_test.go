package tinyiotrace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotrace"
)

// ctx is the context of the example.
var ctx = context.Background()

// shop is a program with a wake-up by another coroutine, one by a timer, and a failure.
func shop() *tinyio.Coro[tinyio.Void] {
	var order tinyio.Event
	cook := tinyio.Do(func(co *tinyio.Co) error {
		if err := order.Wait(co); err != nil {
			return err
		}
		return errors.New("out of eggs")
	}).Named("cook")
	return tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(cook); err != nil {
			return err
		}
		if err := co.Sleep(time.Minute); err != nil {
			return err
		}
		order.Set()
		return co.Sleep(time.Minute)
	}).Named("guest")
}

// An event is one of the trace, as far as these tests look at it.
type event struct {
	Name string            `json:"name"`
	Ph   string            `json:"ph"`
	ID   int               `json:"id"`
	TS   float64           `json:"ts"`
	Dur  *float64          `json:"dur"`
	TID  int               `json:"tid"`
	Args map[string]string `json:"args"`
}

func export(t *testing.T, opts ...tinyiotrace.Option) (events []event) {
	t.Helper()
	var out bytes.Buffer
	e := tinyiotrace.New(&out, opts...)
	_, err := tinyio.Run(t.Context(), shop(), tinyio.WithVirtualTime(), tinyio.WithObserver(e))
	if err == nil || err.Error() != "out of eggs" {
		t.Fatalf("the run gives %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &events); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return events
}

// TestTrace compares a whole trace.
func TestTrace(t *testing.T) {
	var got []string
	for _, e := range export(t, tinyiotrace.Steps()) {
		line := fmt.Sprintf("%s %d %v", e.Ph, e.TID, e.TS)
		if e.Dur != nil {
			line += fmt.Sprintf("+%v", *e.Dur)
		}
		if e.ID != 0 {
			line += fmt.Sprintf(" arrow %d", e.ID)
		}
		line += " " + e.Name
		for name, v := range e.Args {
			if name == "at" {
				v = v[:strings.Index(v, ",")]
			}
			line += fmt.Sprintf(" (%s: %s)", name, v)
		}
		got = append(got, line)
	}
	want := []string{
		"M 0 0 process_name (name: coroutines)",
		"M 0 0 thread_name (name: the loop)",
		"M 1 0 thread_name (name: guest #0)",
		"X 0 1+0 started",
		"s 0 1 arrow 1 started",
		"f 1 2 arrow 1 woken",
		"X 1 2+1 turn",
		"M 2 0 thread_name (name: cook #1)",
		"s 1 4 arrow 2 started",
		"f 2 5 arrow 2 woken",
		"X 2 5+1 turn",
		"X 1 3+4 waits for its turn (at: github.com/tinyio-go/tinyio/tinyiotrace_test.shop.func2)",
		"X 1 7+1 turn",
		"X 1 8+1 waits for a timer (at: github.com/tinyio-go/tinyio/tinyiotrace_test.shop.func2)",
		"X 0 9+0 woken",
		"s 0 9 arrow 3 woken",
		"f 1 10 arrow 3 woken",
		"X 2 6+5 waits for an event (at: github.com/tinyio-go/tinyio/tinyiotrace_test.shop.func1)",
		"s 1 11 arrow 4 woken",
		"X 1 10+2 turn",
		"f 2 13 arrow 4 woken",
		"X 2 13+1 turn",
		"i 2 14 finished (error: out of eggs)",
		"i 1 15 stopped (error: tinyio: cancelled because of: out of eggs)",
		"X 1 12+4 waits for a timer (at: github.com/tinyio-go/tinyio/tinyiotrace_test.shop.func2)",
		"X 2 16+0 woken",
		"s 2 16 arrow 5 woken",
		"f 1 17 arrow 5 woken",
		"X 1 17+1 turn",
		"i 1 18 finished (error: tinyio: cancelled because of: out of eggs)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTraceIsTheSameEachTime wants a trace by steps to depend on nothing but the interleaving.
func TestTraceIsTheSameEachTime(t *testing.T) {
	text := func() string {
		text, err := json.Marshal(export(t, tinyiotrace.Steps()))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := text()
	for range 20 {
		if again := text(); again != first {
			t.Fatalf("got\n%s\nthe first time, and then\n%s", first, again)
		}
	}
}

// TestEachSliceEndsAndEachArrowLands wants a trace in real time to be whole: slices of a track one after the other, and each
// arrow that begins at one that ends.
func TestEachSliceEndsAndEachArrowLands(t *testing.T) {
	end := map[int]float64{}
	arrows := map[int]string{}
	for _, e := range export(t) {
		switch e.Ph {
		case "X":
			if e.TS < end[e.TID] || *e.Dur < 0 {
				t.Errorf("%q on track %d is from %v for %v, the one before ends at %v", e.Name, e.TID, e.TS, *e.Dur, end[e.TID])
			}
			end[e.TID] = e.TS + *e.Dur - 0.001 // what is lost in decimal places
		case "s", "f":
			arrows[e.ID] += e.Ph
		}
	}
	for id, is := range arrows {
		if is != "sf" {
			t.Errorf("arrow %d has the parts %q", id, is)
		}
	}
	if len(arrows) == 0 {
		t.Error("there are no arrows")
	}
}

type brokenWriter struct{ left int }

var errBroken = errors.New("broken")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// TestCloseTellsTheFirstError wants an error of the writer to be told by Close and to leave the run alone.
func TestCloseTellsTheFirstError(t *testing.T) {
	for left := range 2 {
		e := tinyiotrace.New(&brokenWriter{left})
		_, err := tinyio.Run(t.Context(), tinyio.Do(func(co *tinyio.Co) error {
			for range 100 {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		}), tinyio.WithObserver(e))
		if err != nil {
			t.Errorf("the run gives %v", err)
		}
		if err := e.Close(); err != errBroken {
			t.Errorf("Close gives %v", err)
		}
	}
}

// TestExecutionTraceHasTheCoroutines wants Go's own trace to name the coroutines, if one is being collected.
func TestExecutionTraceHasTheCoroutines(t *testing.T) {
	if trace.IsEnabled() {
		t.Skip("somebody else collects one")
	}
	var out bytes.Buffer
	if err := trace.Start(&out); err != nil {
		t.Fatal(err)
	}
	export(t)
	trace.Stop()
	for _, name := range []string{"cook", "guest", "turn"} {
		if !bytes.Contains(out.Bytes(), []byte(name)) {
			t.Errorf("the execution trace does not contain %q", name)
		}
	}
}

func TestNilWriter(t *testing.T) {
	defer func() {
		if p := recover(); p != "tinyiotrace: New: the writer is nil; pass what the trace is to be written to" {
			t.Errorf("it panics with %v", p)
		}
	}()
	tinyiotrace.New(nil)
}

func Example() {
	dir, err := os.MkdirTemp("", "trace")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file, err := os.Create(filepath.Join(dir, "trace.json")) // to be opened in https://ui.perfetto.dev
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()

	e := tinyiotrace.New(file)
	_, err = tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		return co.Sleep(time.Millisecond)
	}).Named("sleeper"), tinyio.WithObserver(e))
	fmt.Println(errors.Join(err, e.Close()))
	// Output: <nil>
}
