package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// names are the names of the coroutines in a trace, with those that each waits for.
func names(trace []tinyio.Frame) string {
	var b strings.Builder
	for _, f := range trace {
		fmt.Fprint(&b, f.Coro, f.Awaits, " ")
	}
	return strings.TrimSpace(b.String())
}

// R16: each frame names those that it waits for, so that a diamond can be read; also through an Isolate, and when one is listed twice.
func TestTraceTellsWhoWaitsForWhom(t *testing.T) {
	noLeaks(t)
	fails := failer(time.Second, errBoom).Named("fails")
	left := tinyio.Do(func(co *tinyio.Co) error { return wait(co, fails) }).Named("left")
	right := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(fails, fails, left) }).Named("right")
	root := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(left, right) }).Named("root")
	_, err := tinyio.Run(background, root, tinyio.WithVirtualTime())
	var e *tinyio.Error
	if !errors.As(err, &e) || names(e.Trace) != "root[1 2] right[2 3] left[3] fails[]" {
		t.Errorf("the trace is %s", names(e.Trace))
	}
	text := fmt.Sprintf("%+v", err)
	for _, want := range []string{"\twaits for right, left\n", "\twaits for left, fails\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "waits for fails\n") { // left waits for the next frame, as in any chain
		t.Errorf("what goes without saying is in\n%s", text)
	}
	inner := tinyio.Do(func(co *tinyio.Co) error { return wait(co, failer(time.Second, errBoom).Named("fails")) }).Named("inner")
	root = tinyio.Do(func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, inner); return err }).Named("root")
	_, err = tinyio.Run(background, root, tinyio.WithVirtualTime())
	var outer *tinyio.Error
	if !errors.As(err, &outer) || !errors.As(outer.Err, &e) || names(e.Trace) != "root[1] inner[2] fails[]" && names(e.Trace) != "inner[1] fails[]" {
		t.Errorf("the traces are %s", names(e.Trace))
	}
}

// R16: an error holds what the others were doing when it happened, and %+v prints it below the chain.
func TestErrorTellsTheState(t *testing.T) {
	noLeaks(t)
	var e tinyio.Event
	waits := tinyio.Do(func(co *tinyio.Co) error { return e.Wait(co) }).Named("waits")
	sleeps := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("sleeps")
	joins := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(sleeps) }).Named("joins")
	root := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(joins, waits, failer(time.Second, errBoom).Named("fails"))
	}).Named("root")
	_, err := tinyio.Run(background, root, tinyio.WithVirtualTime())
	var failed *tinyio.Error
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	var got []string
	for _, s := range failed.State {
		got = append(got, fmt.Sprintf("%s %s %s %d", s.Coro, s.State, s.On, len(s.For)))
	}
	want := []string{"joins waiting a coroutine 1", "waits waiting an event 0", "sleeps waiting a timer 0"}
	if !slices.Equal(got, want) {
		t.Errorf("the state is %q, want %q", got, want)
	}
	text := fmt.Sprintf("%+v", err)
	if !strings.Contains(text, "what the others were doing:\n\tjoins: waiting for a coroutine (sleeps) at ") ||
		strings.Index(text, "await chain") > strings.Index(text, "what the others") {
		t.Errorf("it prints\n%s", text)
	}
	if d := failed.State[2].Deadline; d.IsZero() {
		t.Error("the sleeper has no deadline")
	}
}

// R12: the end of the context of the run tells what everybody was doing; so does a panic.
func TestInterruptionAndPanicTellTheState(t *testing.T) {
	noLeaks(t)
	sleeps := func() *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("sleeps")
	}
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	r := tinyio.Start(ctx, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error { return co.Wait(sleeps()) }).Named("root"))
	for p := range r.Steps() {
		if p.Blocked {
			cancel(errBoom)
		}
	}
	_, err := r.Result()
	if text := fmt.Sprintf("%+v", err); !errors.Is(err, errBoom) || !strings.Contains(text, "doing:\n\tsleeps: waiting for a timer at ") {
		t.Errorf("it prints\n%s", text)
	}
	p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			return co.Wait(sleeps(), tinyio.Do(func(co *tinyio.Co) error { _ = co.Sleep(time.Second); panic(errBoom) }))
		})
	})
	if text := p.Error(); !strings.Contains(text, "doing:\n\tsleeps: waiting for a timer at ") {
		t.Errorf("it prints\n%s", text)
	}
}

// R16: the state is that of the first hundred, and of those alone who are in the domain that has crashed.
func TestStateIsOfTheDomainAndBounded(t *testing.T) {
	noLeaks(t)
	sleeper := func(name string) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Minute) }).Named(name)
	}
	var inside *tinyio.Error
	err := virtually(func(co *tinyio.Co) error {
		for i := range 150 {
			if err := co.Spawn(sleeper(fmt.Sprint("outside ", i))); err != nil {
				return err
			}
		}
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.Spawn(sleeper("inside")), co.Yield(), errBoom)
		}))
		if !errors.As(err, &inside) {
			t.Errorf("Isolate returns %v", err)
		}
		return errBoom
	})
	if len(inside.State) != 1 || inside.State[0].Coro != "inside" {
		t.Errorf("the state of the domain is %v", inside.State)
	}
	var outside *tinyio.Error
	if !errors.As(err, &outside) || len(outside.State) != 100 || outside.State[99].Coro != "outside 99" {
		t.Errorf("the state of the run is %v", outside.State)
	}
	if text := fmt.Sprintf("%+v", err); !strings.Contains(text, "perhaps more") {
		t.Errorf("it prints\n%s", text)
	}
}

// R16: whoever awaits a coroutine that failed in another domain is told its chain.
func TestAwaitTellsTheChainOfAnotherDomain(t *testing.T) {
	noLeaks(t)
	fails := failer(time.Second, errBoom).Named("fails")
	isolated := tinyio.Do(func(co *tinyio.Co) error { return wait(co, fails) }).Named("isolated")
	succeed(t, func(co *tinyio.Co) error {
		if _, err := tinyio.Isolate(co, isolated); !errors.Is(err, errBoom) {
			t.Errorf("Isolate returns %v", err)
		}
		err := wait(co, fails)
		var e *tinyio.Error
		if !errors.As(err, &e) || !errors.Is(err, errBoom) || err.Error() != "boom" || !strings.HasSuffix(names(e.Trace), "isolated[1] fails[]") &&
			!strings.HasSuffix(names(e.Trace), "isolated[2] fails[]") {
			t.Errorf("the error is %+v", err)
		}
		return nil
	})
}

// R16: the last frame of a MapInPool is the function given to it, with the index of the element.
func TestTraceNamesTheElementOfAMapInPool(t *testing.T) {
	noLeaks(t)
	check := func(_ context.Context, x int) (int, error) {
		if x == 30 {
			return 0, errBoom
		}
		return x, nil
	}
	err := virtually(func(co *tinyio.Co) error {
		_, err := tinyio.MapInPool(tinyio.NewThreadPool(1), []int{10, 20, 30, 40}, check).Await(co)
		return err
	})
	var e *tinyio.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	last := e.Trace[len(e.Trace)-1]
	if name := "github.com/tinyio-go/tinyio_test.TestTraceNamesTheElementOfAMapInPool.func1"; last.Coro != name+"[2]" || last.Function != name {
		t.Errorf("the last frame is %v", last)
	}
	if len(e.Trace) != 3 {
		t.Errorf("the trace is %s", names(e.Trace))
	}
}
