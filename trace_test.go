package tinyio_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// names returns the names of the coroutines in a trace, with those that each waits for.
func names(trace []tinyio.Frame) string {
	var b strings.Builder
	for _, f := range trace {
		fmt.Fprint(&b, f.Coro, f.Awaits, " ")
	}
	return strings.TrimSpace(b.String())
}

// R16: the chain leads from the root to the coroutine that failed, with the name and the line of each, through every kind of wait.
func TestChainLeadsFromTheRootToTheFailure(t *testing.T) {
	ways := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]) (tinyio.Frame, error){
		"Await": func(co *tinyio.Co, c *tinyio.Coro[int]) (tinyio.Frame, error) {
			at := here("waiting", 1)
			_, err := c.Await(co)
			return at, err
		},
		"Await on several lines": func(co *tinyio.Co, c *tinyio.Coro[int]) (tinyio.Frame, error) {
			at := here("waiting", 2)
			_, err := c.
				Await(co)
			return at, err
		},
		"Gather": func(co *tinyio.Co, c *tinyio.Coro[int]) (tinyio.Frame, error) {
			at := here("waiting", 1)
			_, err := tinyio.Gather(co, value(time.Hour, 1), c, c)
			return at, err
		},
		"Wait": func(co *tinyio.Co, c *tinyio.Coro[int]) (tinyio.Frame, error) {
			at := here("waiting", 1)
			err := co.Wait(c, sleeper(time.Hour))
			return at, err
		},
		"Timeout": func(co *tinyio.Co, c *tinyio.Coro[int]) (tinyio.Frame, error) {
			at := here("waiting", 1)
			_, err := tinyio.Timeout(co, c, time.Hour)
			return at, err
		},
		"AsCompleted": func(co *tinyio.Co, c *tinyio.Coro[int]) (tinyio.Frame, error) {
			at := here("waiting", 1)
			for _, err := range tinyio.AsCompleted(co, value(time.Hour, 1), c) {
				return at, err
			}
			return at, nil
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var first, second, last tinyio.Frame
			err := func() error {
				failing := tinyio.New(func(co *tinyio.Co) (int, error) {
					last = here("failing", -1)
					return 0, cmp.Or(co.Sleep(time.Second), errBoom)
				}).Named("failing")
				waiting := tinyio.New(func(co *tinyio.Co) (int, error) {
					var err error
					second, err = way(co, failing)
					return 0, err
				}).Named("waiting")
				_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
					first = here("root", 1)
					_, err := waiting.Await(co)
					return err
				}).Named("root"), tinyio.WithVirtualTime())
				return err
			}()
			if err.Error() != "boom" {
				t.Errorf("Run returns %v", err)
			}
			wantTrace(t, err, first, second, last)
		})
	}
}

// R16: the default name of a coroutine is that of its function, and of a thread or callback that of the function given to it.
func TestLastFrameIsTheFailingFunction(t *testing.T) {
	pool := tinyio.NewThreadPool(1)
	failures := map[string]*tinyio.Coro[int]{
		"New":          tinyio.New(failingFunction),
		"RunInThread":  tinyio.RunInThread(failingThread),
		"FromCallback": tinyio.FromCallback(failingStart),
		"RunInPool":    tinyio.RunInPool(pool, failingThread),
	}
	functions := map[string]string{"New": "failingFunction", "RunInThread": "failingThread",
		"FromCallback": "failingStart", "RunInPool": "failingThread"}
	for name, c := range failures {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			_, err := tinyio.Run(background, c)
			var e *tinyio.Error
			if !errors.As(err, &e) || e.Err != errBoom || len(e.Trace) == 0 {
				t.Fatalf("Run returns %v", err)
			}
			last := e.Trace[len(e.Trace)-1]
			want := "github.com/tinyio-go/tinyio_test." + functions[name]
			if last.Function != want || last.Coro != want || !strings.HasSuffix(last.File, "trace_test.go") || last.Line == 0 {
				t.Errorf("the last frame is %v", last)
			}
		})
	}
}

func failingFunction(*tinyio.Co) (int, error)        { return 0, errBoom }
func failingThread(context.Context) (int, error)     { return 0, errBoom }
func failingStart(done func(int, error)) func(error) { done(0, errBoom); return nil }

// R16, W19: the chain goes on above a diamond, a Timeout and an AsCompleted, to the root.
func TestChainGoesOnAboveDiamondsTimeoutsAndAsCompleted(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		bottom := failer(time.Second, errBoom).Named("bottom")
		left := tinyio.Do(func(co *tinyio.Co) error { return wait(co, bottom) }).Named("left")
		right := tinyio.Do(func(co *tinyio.Co) error { return wait(co, bottom) }).Named("right")
		limited := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, left, time.Hour)
			return err
		}).Named("limited")
		ranging := tinyio.Do(func(co *tinyio.Co) error {
			for _, err := range tinyio.AsCompleted(co, limited, right) {
				return err
			}
			return nil
		}).Named("ranging")
		top := tinyio.Do(func(co *tinyio.Co) error { return wait(co, ranging) }).Named("top")
		return wait(co, top)
	})
	var e *tinyio.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	place := map[string]int{}
	for i, f := range e.Trace {
		place[f.Coro] = i
		if !strings.HasSuffix(f.File, "_test.go") || f.Line == 0 {
			t.Errorf("a frame is at %s:%d", f.File, f.Line)
		}
	}
	for _, edge := range [][2]string{{"top", "ranging"}, {"ranging", "limited"}, {"ranging", "right"}, {"limited", "left"},
		{"left", "bottom"}, {"right", "bottom"}} {
		if place[edge[0]] == 0 || place[edge[0]] >= place[edge[1]] {
			t.Errorf("%s is not before %s in\n%s", edge[0], edge[1], framesText(e.Trace))
		}
	}
	if len(e.Trace) != 7 {
		t.Errorf("the chain is\n%s", framesText(e.Trace))
	}
}

// R16: %+v adds the chain to the text, and the text alone is the original's in every other form.
func TestErrorPrintsItsChain(t *testing.T) {
	noLeaks(t)
	var root, last tinyio.Frame
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		failing := tinyio.Do(func(co *tinyio.Co) error {
			last = here("failing", -1)
			return errBoom
		}).Named("failing")
		root = here("root", 1)
		_, err := failing.Await(co)
		return err
	}).Named("root"))
	for format, want := range map[string]string{"%v": "boom", "%s": "boom", "%q": `"boom"`, "%8s": "    boom", "%x": "626f6f6d"} {
		if got := fmt.Sprintf(format, err); got != want {
			t.Errorf("%s gives %q, want %q", format, got, want)
		}
	}
	want := fmt.Sprintf("boom\n\nawait chain, from the first coroutine to the one that failed:\n"+
		"root, in %s\n\t%s:%d\nfailing, in %s\n\t%s:%d\n",
		root.Function, root.File, root.Line, last.Function, last.File, last.Line)
	if got := fmt.Sprintf("%+v", err); got != want {
		t.Errorf("%%+v gives\n%s\nwant\n%s", got, want)
	}
}

// R16: an error out of a nested Run keeps its own chain below the outer one.
func TestNestedRunKeepsItsChain(t *testing.T) {
	noLeaks(t)
	var outer, inner tinyio.Frame
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		outer = here("outer", -1)
		_, err := tinyio.Run(co, tinyio.Do(func(co *tinyio.Co) error {
			inner = here("inner", -1)
			return errBoom
		}).Named("inner"))
		return err
	}).Named("outer"))
	wantTrace(t, err, outer)
	var e *tinyio.Error
	if !errors.As(errors.Unwrap(err), &e) || !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Fatalf("Run returns %v", err)
	}
	wantFrames(t, e.Trace, inner)
	text := fmt.Sprintf("%+v", err)
	if i, j := strings.Index(text, "outer"), strings.Index(text, "inner"); i < 0 || j < i {
		t.Errorf("%%+v gives\n%s", text)
	}
}

// R3, R16: a result that is an error is returned again with its chain.
func TestFailedCoroutineRunAgainGivesItsChain(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	failing := tinyio.Do(func(co *tinyio.Co) error { return errBoom }).Named("failing")
	_, first := tinyio.RunOn(background, l, failing)
	_, again := tinyio.RunOn(background, l, failing)
	if !errors.Is(again, errBoom) {
		t.Fatalf("the second run gives %v", again)
	}
	var a, b *tinyio.Error
	if !errors.As(first, &a) || !errors.As(again, &b) || framesText(a.Trace) != framesText(b.Trace) {
		t.Errorf("the second run gives %T, the first one %T", again, first)
	}
}

// R16: each frame names those that it waits for, so that a diamond can be read, also through an Isolate, and if one is listed twice.
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

// R12: the error for the end of the context of the run has what all coroutines were doing; so has a panic.
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

// R16: the state is that of the first hundred coroutines, and only of those in the domain that has crashed.
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

// R16: an await of a coroutine that failed in another domain returns its chain.
func TestAwaitTellsTheChainOfAnotherDomain(t *testing.T) {
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

// R16: %+v goes down through all domains and runs, and through every branch of a joined error.
func TestErrorPrintsAllLevels(t *testing.T) {
	noLeaks(t)
	level := tinyio.Do(func(*tinyio.Co) error { return errBoom }).Named("level 0")
	for i := range 3 {
		below := level
		level = tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.First(co, below, failer(0, errors.New("other")).Named(fmt.Sprint("other ", i)))
			return err
		}).Named(fmt.Sprint("level ", i+1))
	}
	_, err := tinyio.Run(background, level, tinyio.WithVirtualTime())
	text := fmt.Sprintf("%+v", err)
	for _, name := range []string{"level 0", "level 1", "level 2", "level 3", "other 0", "other 1", "other 2"} {
		if !strings.Contains(text, "\n"+name+", in ") {
			t.Errorf("%s is not in\n%s", name, text)
		}
	}
}
