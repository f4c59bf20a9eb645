package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A noteTaker records what it observes.
type noteTaker struct{ lines []string }

func (r *noteTaker) Observe(n hook.Note) {
	line := fmt.Sprintf("%d %s %s", n.Coro, n.Name(), n.What)
	if n.What == hook.Suspended {
		line += fmt.Sprintf(" on %s %v", n.Wait, n.For())
	}
	if n.By != n.Coro && n.By != hook.Nobody {
		line += fmt.Sprintf(" by %d", n.By)
	}
	if n.Err != nil {
		line += ": " + n.Err.Error()
	}
	r.lines = append(r.lines, line)
}

// TestObserverSeesEverything compares all that an observer sees of a small program.
func TestObserverSeesEverything(t *testing.T) {
	noLeaks(t)
	var e tinyio.Event
	setter := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		e.Set()
		return co.Yield()
	}).Named("setter")
	back := tinyio.FromCallback(func(done func(int, error)) func(error) {
		done(1, nil)
		return nil
	}).Named("back")
	root := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(setter); err != nil {
			return err
		}
		if err := e.Wait(co); err != nil {
			return err
		}
		_, err := back.Await(co)
		return err
	}).Named("root")
	r := new(noteTaker)
	_, err := tinyio.Run(context.Background(), root, tinyio.WithVirtualTime(), tinyio.WithObserver(r))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0 root started",
		"0 root resumed",
		"0 root suspended on its turn []",
		"1 setter started by 0",
		"1 setter resumed",
		"1 setter suspended on a timer []",
		"0 root resumed",
		"0 root suspended on an event []",
		"1 setter woken",
		"1 setter resumed",
		"0 root woken by 1",
		"1 setter suspended on its turn []",
		"0 root resumed",
		"0 root suspended on a coroutine [2]",
		"2 back started by 0",
		"1 setter resumed",
		"1 setter finished",
		"2 back resumed",
		"2 back suspended on a thread or callback []",
		"2 back woken",
		"2 back resumed",
		"2 back finished",
		"0 root woken by 2",
		"0 root resumed",
		"0 root finished",
	}
	if !slices.Equal(r.lines, want) {
		t.Errorf("got\n%q\nwant\n%q", r.lines, want)
	}
}

// lastFirst picks the coroutine that became ready last.
type lastFirst struct{}

func (lastFirst) Pick(ready []tinyio.ID) int { return len(ready) - 1 }

// TestPickerDecidesWhoIsNext reverses the order of turns.
func TestPickerDecidesWhoIsNext(t *testing.T) {
	noLeaks(t)
	var order []int
	root := tinyio.Do(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for i := range 4 {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				order = append(order, i)
				err := co.Yield()
				order = append(order, i)
				return err
			}))
		}
		return co.Wait(cs...)
	})
	if _, err := tinyio.Run(context.Background(), root, tinyio.WithPicker(lastFirst{})); err != nil {
		t.Fatal(err)
	}
	if want := []int{3, 3, 2, 2, 1, 1, 0, 0}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

// TestHostRunsThreads has a host run threads, fail one, and bring two back in an order of its own: R20 and R23.
func TestHostRunsThreads(t *testing.T) {
	noLeaks(t)
	var threads []*hook.Thread
	l := tinyio.NewLoop(tinyio.WithThreads(func(th *hook.Thread) { threads = append(threads, th) }))
	var order []string
	root := tinyio.Do(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for _, name := range []string{"a", "b"} {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				v, err := tinyio.RunInThread(func(context.Context) (string, error) { return name, nil }).Await(co)
				order = append(order, v)
				return err
			}))
		}
		if err := co.Wait(cs...); err != nil {
			return err
		}
		_, err := tinyio.Isolate(co, tinyio.RunInThread(func(context.Context) (string, error) {
			t.Error("the function of a thread that fails is run")
			return "", nil
		}))
		if !errors.Is(err, errBoom) {
			t.Errorf("the failed thread ended with %v, want %v", err, errBoom)
		}
		return nil
	})
	r := tinyio.Start(background, l, root)
	for p := range r.Steps() {
		switch {
		case !p.Blocked:
		case len(threads) == 2:
			for _, th := range threads {
				th.Run()
			}
			wantSentence(t, panicOf(func() { new(hook.Thread).Fail(nil) }), "Thread.Fail", "Run")
			threads[1].Return()
			threads[0].Return()
			threads[0].Return()
			threads[0].Run()
		case len(threads) == 3:
			wantSentence(t, panicOf(threads[2].Return), "Thread.Return", "has not returned")
			threads[2].Fail(errBoom)
			threads[2].Fail(errBoom)
		}
	}
	if _, err := r.Result(); err != nil {
		t.Fatalf("%+v", err)
	}
	if want := []string{"b", "a"}; !slices.Equal(order, want) {
		t.Errorf("the threads came back in the order %v, want %v", order, want)
	}
}

// TestHostTriesAThreadAgain has a host call functions again that have failed, panicked or exited, by a policy that it finds in their contexts:
// R33. The result is that of the last call.
func TestHostTriesAThreadAgain(t *testing.T) {
	noLeaks(t)
	type attempts struct{}
	var trace []string
	host := tinyio.WithThreads(func(th *hook.Thread) {
		ctx := th.Context()
		n, _ := ctx.Value(attempts{}).(int)
		go func() {
			defer th.Return()
			for i := range n {
				exited := make(chan struct{})
				go func() {
					defer close(exited)
					th.Run()
				}()
				<-exited
				if i < n-1 {
					th.Again()
				}
			}
			if ctx.Err() != nil {
				t.Errorf("the context of a coroutine that goes on is done: %v", ctx.Err())
			}
			if n == 0 {
				th.Fail(errBoom)
				wantSentence(t, panicOf(th.Again), "Thread.Again", "before Return")
				wantSentence(t, panicOf(func() { th.Context() }), "Thread.Context", "before Return")
			}
		}()
	})
	program := tinyio.Do(func(co *tinyio.Co) error {
		if _, err := tinyio.Call(co, func(context.Context) (int, error) { return 1, nil }); err != errBoom {
			t.Errorf("without attempts it is %v", err)
		}
		co = co.WithValues(context.WithValue(co, attempts{}, 4))
		calls := 0
		flaky := func(name string) func(context.Context) (int, error) {
			calls = 0
			return func(context.Context) (int, error) {
				calls++
				trace = append(trace, fmt.Sprint(name, calls))
				switch calls {
				case 1:
					return 10, errBoom
				case 2:
					panic(errBoom)
				case 3:
					runtime.Goexit()
				}
				return calls, nil
			}
		}
		if v, err := tinyio.Call(co, flaky("call")); v != 4 || err != nil {
			t.Errorf("the call is %d, %v", v, err)
		}
		if v, err := tinyio.RunInThread(flaky("thread")).Await(co); v != 4 || err != nil {
			t.Errorf("the thread is %d, %v", v, err)
		}
		if v, err := tinyio.RunInPool(tinyio.NewThreadPool(1), flaky("pool")).Await(co); v != 4 || err != nil {
			t.Errorf("the one in a pool is %d, %v", v, err)
		}
		return nil
	})
	if _, err := tinyio.Run(background, program, host); err != nil {
		t.Errorf("%+v", err)
	}
	want := []string{"call1", "call2", "call3", "call4", "thread1", "thread2", "thread3", "thread4", "pool1", "pool2", "pool3", "pool4"}
	if !slices.Equal(trace, want) {
		t.Errorf("the functions were called as %v", trace)
	}
	wantSentence(t, panicOf(new(hook.Thread).Again), "Thread.Again", "has not returned")
}

// TestThreadOfHostPanicsAndExits has the panic of a thread, its Goexit, and a panic of the host come out of Run: R14, R20.
func TestThreadOfHostPanicsAndExits(t *testing.T) {
	noLeaks(t)
	run := func(start func(th *hook.Thread), fn func()) {
		thread := tinyio.RunInThread(func(context.Context) (int, error) { fn(); return 0, nil })
		tinyio.Run(background, thread, tinyio.WithThreads(start))
	}
	inGoroutine := func(th *hook.Thread) {
		go func() {
			defer th.Return()
			th.Run()
		}()
	}
	p := panicErrorOf(t, func() { run(inGoroutine, func() { panic(errBoom) }) })
	if p.Value != errBoom || !strings.Contains(string(p.Stack), "TestThreadOfHostPanicsAndExits") {
		t.Errorf("the thread panics with %v", p)
	}
	p = panicErrorOf(t, func() { run(func(*hook.Thread) { panic(errBoom) }, func() {}) })
	if p.Value != errBoom {
		t.Errorf("the host panics with %v", p)
	}
	exited := make(chan bool)
	go func() {
		returned := false
		defer func() { exited <- !returned }()
		run(inGoroutine, runtime.Goexit)
		returned = true
	}()
	if !<-exited {
		t.Error("Run returned after a Goexit in a thread")
	}
	wantSentence(t, panicOf(func() { tinyio.WithThreads(nil) }), "WithThreads", "nil")
}

// ends records how each coroutine ended, when, and after what kind of wait.
type ends struct {
	lines []string
	waits map[hook.ID]hook.Wait
	begun time.Time
}

func (e *ends) Observe(n hook.Note) {
	switch n.What {
	case hook.Started:
		if e.waits == nil {
			e.waits, e.begun = map[hook.ID]hook.Wait{}, n.Time()
		}
	case hook.Suspended:
		e.waits[n.Coro] = n.Wait
		if f := n.Place(); n.Wait != hook.Outside && !strings.HasSuffix(f.File, "watch_test.go") {
			e.lines = append(e.lines, fmt.Sprintf("%s waits at %v", n.Name(), f))
		}
	case hook.Finished:
		e.lines = append(e.lines, fmt.Sprintf("%s %v after %v, %v", n.Name(), n.End, e.waits[n.Coro], n.Time().Sub(e.begun)))
	}
}

// An observer sees whether each end was a success, a clean stop, the failure or a clean-up error, with the time.
func TestObserverIsToldHowOneEnded(t *testing.T) {
	noLeaks(t)
	finishes := tinyio.Do(func(co *tinyio.Co) error { _ = co.Sleep(time.Hour); return nil }).Named("finishes")
	stops := tinyio.Do(func(co *tinyio.Co) error { return new(tinyio.Event).Wait(co) }).Named("stops")
	cleansUp := tinyio.Do(func(co *tinyio.Co) error {
		return errors.Join(co.Sleep(time.Hour), errors.New("torn"))
	}).Named("cleansUp")
	fails := tinyio.Do(func(co *tinyio.Co) error { _ = co.Sleep(time.Second); return errBoom }).Named("fails")
	late := tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("slow"), time.Millisecond)
		if !errors.Is(err, tinyio.ErrTimeout) {
			return err
		}
		_, err = tinyio.Isolate(co, tinyio.Do(func(*tinyio.Co) error { return errBoom }).Named("inner"))
		if !errors.Is(err, errBoom) {
			return err
		}
		return nil
	}).Named("late")
	root := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(finishes, stops, cleansUp, fails, late) }).Named("root")
	e := new(ends)
	if _, err := tinyio.Run(background, root, tinyio.WithVirtualTime(), tinyio.WithObserver(e)); !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	want := []string{
		"slow stopped cleanly after a timer, 1ms",
		"inner failed after nothing, 1ms",
		"late succeeded after an isolated coroutine, 1ms",
		"fails failed after a timer, 1s",
		"finishes succeeded after a timer, 1s",
		"stops stopped cleanly after an event, 1s",
		"cleansUp failed in clean-up after a timer, 1s",
		"root stopped cleanly after a coroutine, 1s",
	}
	if !slices.Equal(e.lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(e.lines, "\n"), strings.Join(want, "\n"))
	}
}

// A recording is the result of a thread.
type recording struct {
	name  string
	value any
	err   error
}

// R33: a host that has recorded the results of threads can run the program again without running them.
func TestThreadsAreReplayed(t *testing.T) {
	noLeaks(t)
	ran := 0
	work := func(v int, err error) func(context.Context) (int, error) {
		return func(context.Context) (int, error) { ran++; return v, err }
	}
	program := func() *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			pool := tinyio.NewThreadPool(1)
			a, err := tinyio.RunInThread(work(1, nil)).Named("a").Await(co)
			b, err2 := tinyio.Call(co, work(2, errBoom))
			c, err3 := tinyio.RunInPool(pool, work(3, nil)).Await(co)
			d, err4 := tinyio.CallInterruptible(co, func() {}, func() (int, error) { ran++; return 4, nil })
			err5 := co.Call(func(context.Context) error { ran++; return errBoom })
			return fmt.Sprint(a, err, b, err2, c, err3, d, err4, err5), nil
		})
	}
	var kept []recording
	record := tinyio.WithThreads(func(th *hook.Thread) {
		go func() {
			th.Run()
			v, err := th.Outcome()
			if v, ok := v.(*int); ok {
				kept = append(kept, recording{th.Name(), *v, err})
			} else {
				kept = append(kept, recording{th.Name(), nil, err})
			}
			th.Return()
			wantSentence(t, panicOf(func() { th.Outcome() }), "Thread.Outcome", "before Return")
		}()
	})
	first, err := tinyio.Run(background, program(), record)
	if err != nil || ran != 5 || len(kept) != 5 || kept[0].name != "a" || !strings.Contains(kept[1].name, "TestThreadsAreReplayed") {
		t.Fatalf("%v, %v, ran %d: %v", first, err, ran, kept)
	}
	replay := tinyio.WithThreads(func(th *hook.Thread) {
		k := kept[0]
		kept = kept[1:]
		if (k.name == "a") != (th.Name() == "a") { // that of a function literal can differ, if the compiler inlines it in two places
			t.Errorf("%s was recorded, and %s is started", k.name, th.Name())
		}
		th.Replay(func(v any) error {
			if v, ok := v.(*int); ok {
				*v = k.value.(int)
			}
			return k.err
		})
		th.Replay(func(any) error { t.Error("it is replayed twice"); return nil })
		th.Run()
	})
	second, err := tinyio.Run(background, program(), replay)
	if second != first || err != nil || ran != 5 || len(kept) != 0 {
		t.Errorf("%v, %v instead of %v; ran %d", second, err, first, ran)
	}
	wantSentence(t, panicOf(func() { new(hook.Thread).Replay(nil) }), "Thread.Replay", "nil")
	wantSentence(t, panicOf(func() { _, _ = new(hook.Thread).Outcome() }), "Thread.Outcome", "has not returned")
}

// A shiftedClock gives the time and does nothing else.
type shiftedClock time.Duration

func (c shiftedClock) Now() time.Time { return time.Now().Add(time.Duration(c)) }

// With a clock that only gives the time, the loop waits in real time.
func TestClockThatOnlyTellsTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, years := time.Now(), 10*365*24*time.Hour
		var at time.Time
		_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			wakes := tinyio.RunInThread(func(context.Context) (int, error) { time.Sleep(time.Hour); return 0, nil })
			err := co.Wait(wakes)
			err = errors.Join(err, co.Sleep(time.Second))
			at = co.Now()
			return err
		}), tinyio.WithClock(shiftedClock(years)))
		if err != nil || at.Sub(begun) != years+time.Hour+time.Second || time.Since(begun) != time.Hour+time.Second {
			t.Errorf("%v; on the clock it is %v later, really %v", err, at.Sub(begun), time.Since(begun))
		}
	})
}

// A skippingClock skips idle time, a minute at a time.
type skippingClock struct {
	now   time.Time
	skips int
}

func (c *skippingClock) Now() time.Time { return c.now }

func (c *skippingClock) Skip(p hook.Pause) bool {
	c.skips++
	if p.Deadline.IsZero() {
		return p.Threads > 0
	}
	c.now = c.now.Add(time.Minute)
	return true
}

// A clock can skip idle time for a host.
func TestClockSkipsForAHost(t *testing.T) {
	noLeaks(t)
	for name, c := range map[string]*tinyio.Coro[tinyio.Void]{
		"sleeps": tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(3 * time.Minute) }),
		"hangs":  tinyio.Do(func(co *tinyio.Co) error { return new(tinyio.Event).Wait(co) }),
	} {
		clock := &skippingClock{now: time.Unix(0, 0)}
		r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithClock(clock)), c)
		for range r.Steps() {
		}
		_, err := r.Result()
		if hung := errors.As(err, new(*tinyio.DeadlockError)); hung != (name == "hangs") {
			t.Errorf("%s: %v", name, err)
		}
		if want := map[string]int{"sleeps": 3, "hangs": 1}[name]; clock.skips != want {
			t.Errorf("%s: the clock was asked to skip %d times, want %d", name, clock.skips, want)
		}
	}
}

// A panicker panics in its n-th call.
type panicker struct{ n int }

func (p *panicker) Observe(hook.Note) {
	if p.n--; p.n == 0 {
		panic("observer")
	}
}

func (p *panicker) Pick([]tinyio.ID) int {
	if p.n--; p.n == 0 {
		panic("picker")
	}
	return 0
}

// R14: a panic in a tool, in whichever call, stops the run cleanly and comes out of it.
func TestToolThatPanics(t *testing.T) {
	noLeaks(t)
	run := func(o tinyio.Option) (p any) {
		defer func() { p = recover() }()
		_, _ = tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			sleeper := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Second) })
			failing := tinyio.Do(func(co *tinyio.Co) error { return errors.New("boom") })
			tinyio.Isolate(co, failing)
			if _, err := tinyio.Timeout(co, sleeper, time.Millisecond); errors.Is(err, tinyio.ErrCancelled) {
				return err
			}
			return co.Wait(value(0, 1), value(0, 2), value(0, 3))
		}), tinyio.WithVirtualTime(), o)
		return nil
	}
	for n := 1; n <= 30; n++ {
		for name, o := range map[string]tinyio.Option{
			"observer": tinyio.WithObserver(&panicker{n}), "picker": tinyio.WithPicker(&panicker{n}),
		} {
			within(t, func() {
				if p := run(o); p != nil {
					if p, ok := p.(*tinyio.PanicError); !ok || p.Value != name {
						t.Errorf("%s, %d: the run panics with %v", name, n, p)
					}
				} else if name == "observer" && n < 15 {
					t.Errorf("%s, %d: the panic is lost", name, n)
				}
			})
		}
	}
}

// R14: a Goexit in an observer, a picker, a clock or a thread starter, such as that of a t.Fatal there, ends the run as one in a coroutine
// does, with all of the clean-up.
func TestGoexitInATool(t *testing.T) {
	noLeaks(t)
	exit := func() *exitingTool { return &exitingTool{manualClock: newManualClock()} }
	for name, option := range map[string]tinyio.Option{
		"observer": tinyio.WithObserver(exit()),
		"picker":   tinyio.WithPicker(exit()),
		"clock":    tinyio.WithClock(exit()),
		"threads":  tinyio.WithThreads(func(*hook.Thread) { runtime.Goexit() }),
		"calls":    tinyio.WithThreads(func(*hook.Thread) { runtime.Goexit() }),
	} {
		thread := tinyio.Call[int]
		if name == "threads" {
			thread = func(co *tinyio.Co, fn func(context.Context) (int, error)) (int, error) {
				return tinyio.RunInThread(fn).Await(co)
			}
		}
		begun, cleaned, returned := 0, 0, false
		loop := tinyio.NewLoop(tinyio.WithVirtualTime(), option)
		within(t, func() {
			_, err := tinyio.RunOn(background, loop, tinyio.Do(func(co *tinyio.Co) error {
				member := func() tinyio.Awaitable {
					return tinyio.Do(func(co *tinyio.Co) error {
						begun++
						defer func() { cleaned++ }()
						if err := co.Sleep(time.Millisecond); err != nil {
							return err
						}
						_, err := thread(co, func(context.Context) (int, error) { return 1, nil })
						return err
					})
				}
				return co.Wait(member(), member())
			}))
			returned = true
			t.Errorf("%s: the run returns %v, want it to exit", name, err)
		})
		if returned || begun == 0 || cleaned != begun {
			t.Errorf("%s: %d of %d have cleaned up", name, cleaned, begun)
		}
		if _, err := tinyio.RunOn(background, loop, tinyio.Do(func(*tinyio.Co) error { return nil })); err != nil {
			t.Errorf("%s: the loop cannot be run again: %v", name, err)
		}
	}
}

// An exitingTool is an observer, a picker and a clock, each of which calls runtime.Goexit after a number of calls.
type exitingTool struct {
	*manualClock
	notes, picks int
}

func (e *exitingTool) Observe(hook.Note) {
	if e.notes++; e.notes == 7 {
		runtime.Goexit()
	}
}

func (e *exitingTool) Pick([]tinyio.ID) int {
	if e.picks++; e.picks == 2 {
		runtime.Goexit()
	}
	return 0
}

func (e *exitingTool) Idle(p hook.Pause) bool {
	if e.idles++; e.idles == 1 {
		runtime.Goexit()
	}
	return e.manualClock.Idle(p)
}

// When code of the user's is called in the middle of the loop's own work, the observer is called for what it does when that work is done:
// here a cancel function and an interrupt release a lock each.
func TestObserverIsCalledWhenTheWorkIsDone(t *testing.T) {
	noLeaks(t)
	inside, turns := false, 0
	observer := observerFunc(func(n hook.Note) {
		if inside {
			t.Error("the observer is called in the middle of the loop's work")
		}
		if n.Name() == "waits" && n.What == hook.Resumed {
			turns++
		}
	})
	err := virtually(func(co *tinyio.Co) error {
		locks := make([]tinyio.Lock, 2)
		var waits [2]*tinyio.Coro[tinyio.Void]
		for i := range locks {
			locks[i].TryAcquire()
			waits[i] = tinyio.Do(func(co *tinyio.Co) error { return locks[i].Acquire(co) }).Named("waits")
		}
		release := func(i int) {
			inside = true
			locks[i].Release()
			inside = false
		}
		interrupted := make(chan tinyio.Void)
		calls := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.CallInterruptible(co, func() { release(0); close(interrupted) }, func() (int, error) { <-interrupted; return 1, nil })
			return err
		})
		callback := tinyio.FromCallback(func(done func(int, error)) func(error) {
			return func(cause error) { release(1); done(0, cause) }
		})
		if err := errors.Join(co.Spawn(waits[0], waits[1], calls, callback), calls.Cancel(co, nil), callback.Cancel(co, nil)); err != nil {
			return err
		}
		return co.Wait(waits[0], waits[1])
	}, tinyio.WithObserver(observer))
	if err != nil || turns != 4 { // the first turn and the second of each
		t.Errorf("Run returns %v, and the observer sees %d turns of those that wait", err, turns)
	}
}

// An observerFunc is a function as an observer.
type observerFunc func(n hook.Note)

func (f observerFunc) Observe(n hook.Note) { f(n) }

// A picker and an observer of thousands: the observer is called for each, and the last one to become ready is the first to go on.
func TestPickerAndObserverOfACrowd(t *testing.T) {
	const n = 3000
	var order []int
	ended := 0
	observer := observerFunc(func(n hook.Note) {
		if n.What == hook.Finished {
			ended++
		}
	})
	succeed(t, func(co *tinyio.Co) error {
		cs := make([]tinyio.Awaitable, n)
		for i := range cs {
			cs[i] = tinyio.Do(func(*tinyio.Co) error { order = append(order, i); return nil })
		}
		return co.Wait(cs...)
	}, tinyio.WithPicker(lastFirst{}), tinyio.WithObserver(observer))
	slices.Reverse(order)
	if len(order) != n || !slices.IsSorted(order) || ended != n+1 {
		t.Errorf("%d have run, in the reverse order: %v, and %d have ended", len(order), slices.IsSorted(order), ended)
	}
}

// R14: if a coroutine panics in its clean-up after a tool has called runtime.Goexit, the panic comes out of Run.
func TestPanicInTheCleanUpAfterAGoexitInATool(t *testing.T) {
	noLeaks(t)
	ended := make(chan any)
	go func() { // which ends by the Goexit when the panic has been recovered from
		defer func() { ended <- recover() }()
		sleeps := tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Sleep(time.Second); err == nil {
				t.Error("it is not stopped")
			}
			panic("clean-up")
		})
		tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(sleeps) }), tinyio.WithClock(&exitingTool{manualClock: newManualClock()}))
	}()
	if p, ok := (<-ended).(*tinyio.PanicError); !ok || p.Value != "clean-up" {
		t.Errorf("Run panics with %v", p)
	}
}

// R14: whenever an observer, a picker, a clock or a function for threads panics or calls runtime.Goexit, everything is cleaned up, children
// first, Run ends in the same way, and the loop can be run again. It does not matter on which stack the loop calls it: that of a coroutine
// which waits or whose turn it is, of one that has finished, or of Run.
func TestToolFailsAtEachCall(t *testing.T) {
	noLeaks(t)
	const failed = "the tool has failed"
	for name, fewest := range map[string]int{"observer": 40, "picker": 10, "clock": 10, "threads": 2, "all of them": 60} {
		for way, fail := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic(failed) }} {
			for n := 1; ; n++ {
				tool := &failingTool{now: time.Unix(0, 0), left: n + 1, fail: fail} // the first call may be made before the run begins
				p := &cleanProgram{}
				loop := tinyio.NewLoop(tool.options(name)...)
				returned, recovered := false, any(nil)
				within(t, func() {
					defer func() { recovered = recover() }()
					tinyio.RunOn(background, loop, p.root())
					returned = true
				})
				if len(p.up) != 0 || p.early != 0 {
					t.Errorf("%s, %s at call %d: %d are still there, and %d have ended before one that they waited for", name, way, n, len(p.up), p.early)
				}
				if tool.left > 0 {
					if !returned || n < fewest {
						t.Errorf("%s, %s: the run has ended after %d calls; it has returned: %t", name, way, n, returned)
					}
					break
				}
				if e, ok := recovered.(*tinyio.PanicError); returned || ok != (way == "panic") || ok && e.Value != failed {
					t.Errorf("%s, %s at call %d: Run returns: %t, and panics with %v", name, way, n, returned, recovered)
				}
				if _, err := tinyio.RunOn(background, loop, value(0, 1)); err != nil {
					t.Errorf("%s, %s at call %d: the loop cannot be run again: %v", name, way, n, err)
				}
			}
		}
	}
}

// R14: an observer that panics when it is told that the last coroutine waits ends the run at once, and not when that wait would end.
func TestObserverFailsWhenNobodyIsReady(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		p := panicErrorOf(t, func() {
			tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }), tinyio.WithObserver(observerFunc(func(n hook.Note) {
				if n.What == hook.Suspended {
					panic(errBoom)
				}
			})))
		})
		if p.Value != errBoom {
			t.Errorf("Run panics with %v", p)
		}
	})
}

// A tool is called where the loop runs, also on the stack of a coroutine that waits. If it asks for the Status all the same, that tells where
// that coroutine waits.
func TestStatusInATool(t *testing.T) {
	noLeaks(t)
	tool := &askingTool{manualClock: newManualClock()}
	tool.loop = tinyio.NewLoop(tinyio.WithPicker(tool), tinyio.WithClock(tool))
	_, err := tinyio.RunOn(background, tool.loop, tinyio.Do(func(co *tinyio.Co) error {
		both := func(co *tinyio.Co) error { return errors.Join(co.Yield(), co.Sleep(time.Second), co.Yield()) }
		return co.Wait(tinyio.Do(both).Named("a"), tinyio.Do(both).Named("b"))
	}).Named("root"))
	if err != nil || tool.asked < 4 {
		t.Errorf("Run returns %v; the tool has asked %d times", err, tool.asked)
	}
	for _, line := range tool.wrong {
		t.Error(line)
	}
}

// An askingTool asks for the Status at each call.
type askingTool struct {
	*manualClock
	loop  *tinyio.Loop
	asked int
	wrong []string
}

func (a *askingTool) ask() {
	a.asked++
	for _, s := range a.loop.Status() {
		if !strings.Contains(s.Function, "TestStatusInATool") {
			a.wrong = append(a.wrong, s.String())
		}
	}
}

func (a *askingTool) Pick([]tinyio.ID) int { a.ask(); return 0 }

func (a *askingTool) Now() time.Time { a.ask(); return a.manualClock.Now() }

func (a *askingTool) Idle(p hook.Pause) bool { a.ask(); return a.manualClock.Idle(p) }

// A failingTool is an observer, a picker, a clock and the host of threads. After some calls it fails.
type failingTool struct {
	now  time.Time
	left int
	fail func()
}

func (f *failingTool) options(name string) []tinyio.Option {
	options := []tinyio.Option{tinyio.WithVirtualTime()}
	for _, o := range []struct {
		name   string
		option tinyio.Option
	}{
		{"observer", tinyio.WithObserver(f)},
		{"picker", tinyio.WithPicker(f)},
		{"clock", tinyio.WithClock(f)},
		{"threads", tinyio.WithThreads(f.start)},
	} {
		if name == o.name || name == "all of them" {
			options = append(options, o.option)
		}
	}
	return options
}

func (f *failingTool) call() {
	if f.left--; f.left == 0 {
		f.fail()
	}
}

func (f *failingTool) Observe(hook.Note) { f.call() }

func (f *failingTool) Pick(ready []tinyio.ID) int { f.call(); return len(ready) / 2 }

func (f *failingTool) Now() time.Time { f.call(); return f.now }

func (f *failingTool) Idle(p hook.Pause) bool {
	f.call()
	if p.Deadline.IsZero() {
		<-p.Wake
	} else {
		f.now = p.Deadline
	}
	return true
}

func (f *failingTool) start(th *hook.Thread) {
	f.call()
	th.Run()
	th.Return()
}

// A cleanProgram knows which of its coroutines are running, and counts those that have ended before one that they had waited for.
type cleanProgram struct {
	up    map[tinyio.Awaitable]bool
	early int
}

// member returns a coroutine that calls fn, waits for others, and cleans up with something that waits.
func (p *cleanProgram) member(fn func(co *tinyio.Co) error, others ...tinyio.Awaitable) (c *tinyio.Coro[tinyio.Void]) {
	c = tinyio.Do(func(co *tinyio.Co) error {
		p.up[c] = true
		waited := false
		defer delete(p.up, c)
		defer func() {
			for _, other := range others {
				if waited && p.up[other] {
					p.early++
				}
			}
			_ = co.Shield(time.Second, func(co *tinyio.Co) error { return errors.Join(co.Yield(), co.Sleep(time.Millisecond)) })
		}()
		if err := fn(co); err != nil {
			return err
		}
		waited = true
		return co.Wait(others...)
	})
	return c
}

// root returns a coroutine that starts a dozen others, which yield, sleep, wait for each other and for threads, and end.
func (p *cleanProgram) root() *tinyio.Coro[tinyio.Void] {
	p.up = map[tinyio.Awaitable]bool{}
	var event tinyio.Event
	sleep := func(co *tinyio.Co) error { return co.Sleep(time.Second) }
	yield := func(co *tinyio.Co) error { return errors.Join(co.Yield(), co.Yield()) }
	thread := func(context.Context) (int, error) { return 1, nil }
	call := func(co *tinyio.Co) error { _, err := tinyio.Call(co, thread); return err }
	sleeper, yielder := p.member(sleep), p.member(yield)
	waits := p.member(event.Wait)
	sets := p.member(func(co *tinyio.Co) error { event.Set(); return nil }, p.member(yield), p.member(yield))
	late := p.member(func(co *tinyio.Co) error {
		if _, err := tinyio.Timeout(co, p.member(sleep, p.member(sleep)), time.Millisecond); !errors.Is(err, tinyio.ErrTimeout) {
			return err
		}
		return nil
	})
	return p.member(yield, p.member(yield, sleeper, yielder), p.member(sleep, waits, yielder), sets, late,
		p.member(call, tinyio.RunInThread(thread)))
}
