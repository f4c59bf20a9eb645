package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// R4: timers become ready in the order of their deadlines, ties in the order in which they were set.
func TestTimersFireInTheOrderOfTheirDeadlines(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for i, seconds := range []int{3, 1, 2, 1, 3, 2, 1} {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Duration(seconds) * time.Second)
				log.add("%d at %v", i, passed(co))
				return err
			}))
		}
		return co.Wait(cs...)
	})
	log.want(t, "1 at 1s", "3 at 1s", "6 at 1s", "2 at 2s", "5 at 2s", "0 at 3s", "4 at 3s")
}

// R4: timers of sleeps, of events and of timeouts fire in one common order.
func TestTimersOfAllKindsAreInOneOrder(t *testing.T) {
	var log recorder
	var never tinyio.Event
	succeed(t, func(co *tinyio.Co) error {
		endless := tinyio.Do(func(co *tinyio.Co) error { return never.Wait(co) })
		return co.Wait(
			tinyio.Do(func(co *tinyio.Co) error {
				_, err := never.WaitFor(co, time.Second)
				log.add("event")
				return err
			}),
			tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, endless, time.Second)
				log.add("timeout")
				if !errors.Is(err, tinyio.ErrTimeout) {
					t.Error(err)
				}
				return nil
			}),
			tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Second)
				log.add("sleep")
				return err
			}),
			tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Second / 2)
				log.add("short sleep")
				return err
			}),
		)
	})
	// The coroutine that is halted has a turn of its own before its Timeout returns.
	log.want(t, "short sleep", "event", "sleep", "timeout")
}

// R4: a busy loop serves its timers on time, also when its turns suddenly take long.
func TestBusyLoopServesItsTimersOnTime(t *testing.T) {
	noLeaks(t)
	worst := 0
	for quick := range 80 { // quick turns first, a different number each time
		clock := newManualClock()
		late, fired := 0, false
		_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			due := co.Now().Add(100 * time.Millisecond)
			sleep := tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(100 * time.Millisecond)
				fired = true
				return err
			})
			if err := co.Spawn(sleep); err != nil {
				return err
			}
			clock.now = clock.now.Add(time.Millisecond)
			for range 100 + quick {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			for !fired {
				clock.now = clock.now.Add(5 * time.Millisecond)
				if clock.now.After(due) {
					late++
				}
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		}), tinyio.WithClock(clock))
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, late)
	}
	if worst > 2 {
		t.Errorf("a timer is %d turns of 5 ms late", worst)
	}
}

// R4: what is due at once takes a turn, whatever other timers are set.
func TestTimerThatIsDueAtOnceTakesOneTurn(t *testing.T) {
	noLeaks(t)
	for quick := range 80 {
		turns := 0
		succeed(t, func(co *tinyio.Co) error {
			var never tinyio.Event
			ended := false
			counter := tinyio.Do(func(co *tinyio.Co) error {
				for !ended {
					turns++
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return nil
			})
			if err := co.Spawn(sleeper(time.Hour)); err != nil {
				return err
			}
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
			for range quick {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			if err := co.Spawn(counter); err != nil {
				return err
			}
			turns = 0
			set, err := never.WaitFor(co, 0)
			ended = true
			if set {
				t.Error("the event is set")
			}
			return err
		})
		if turns > 1 {
			t.Fatalf("WaitFor(0) takes %d turns of another coroutine after %d quick ones", turns, quick)
		}
	}
}

// R4, W14: a turn makes no system call: it neither reads the clock nor goes idle.
func TestTurnNeitherReadsTheClockNorIdles(t *testing.T) {
	noLeaks(t)
	clock := newManualClock()
	const n = 1000
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		var ping, pong tinyio.Event
		ponger := tinyio.Do(func(co *tinyio.Co) error {
			for range n {
				if err := errors.Join(ping.Wait(co), co.Yield()); err != nil {
					return err
				}
				ping.Clear()
				pong.Set()
			}
			return nil
		})
		reads := clock.reads
		if err := co.Spawn(ponger); err != nil {
			return err
		}
		for range n {
			ping.Set()
			if err := pong.Wait(co); err != nil {
				return err
			}
			pong.Clear()
		}
		if clock.reads != reads || clock.idles != 0 {
			t.Errorf("%d reads of the clock and %d times idle", clock.reads-reads, clock.idles)
		}
		return nil
	}), tinyio.WithClock(clock))
	if err != nil {
		t.Fatal(err)
	}
}

// W12: the cost of a tick does not depend on the number of waiters: the loop reads the clock and goes idle as often for 10 as for 10,000,
// and allocates as much memory.
func TestIdlingDoesNotDependOnTheNumberOfWaiters(t *testing.T) {
	noLeaks(t)
	const ticks = 100
	type cost struct {
		reads, idles int
		allocations  uint64
		elapsed      time.Duration
	}
	measure := func(waiters int) (c cost) {
		clock := newManualClock()
		_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			var stop tinyio.Event
			for i := range waiters {
				c := tinyio.Do(func(co *tinyio.Co) error { return stop.Wait(co) })
				if i%2 == 0 {
					c = tinyio.Do(func(co *tinyio.Co) error { _, err := stop.WaitFor(co, time.Hour); return err })
				}
				if err := co.Spawn(c); err != nil {
					return err
				}
			}
			if err := co.Sleep(time.Millisecond); err != nil {
				return err
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			reads, idles, began := clock.reads, clock.idles, time.Now()
			for range ticks {
				if err := co.Sleep(time.Millisecond); err != nil {
					return err
				}
			}
			c.elapsed = time.Since(began)
			runtime.ReadMemStats(&after)
			c.reads, c.idles, c.allocations = clock.reads-reads, clock.idles-idles, after.Mallocs-before.Mallocs
			stop.Set()
			return nil
		}), tinyio.WithClock(clock))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	few, many := measure(10), measure(10_000)
	if few.reads != many.reads || few.idles != many.idles || few.idles != ticks || many.allocations > few.allocations+50 {
		t.Errorf("with few waiters a tick costs %+v, with many %+v", few, many)
	}
	// The original is a thousand times slower. What a busy machine does to so short a measurement is far from that.
	for try := 0; many.elapsed > 100*few.elapsed; try++ {
		if try == 5 {
			t.Fatalf("with few waiters the ticks take %v, with many %v", few.elapsed, many.elapsed)
		}
		few, many = measure(10), measure(10_000)
	}
}

// W15: a satisfied wait leaves no timer: when the loop goes idle, there is no deadline.
func TestSatisfiedWaitLeavesNoTimer(t *testing.T) {
	noLeaks(t)
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		var event, never tinyio.Event
		setter := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Yield()
			event.Set()
			return err
		})
		if err := co.Spawn(setter); err != nil {
			return err
		}
		if _, err := event.WaitFor(co, time.Hour); err != nil {
			return err
		}
		if _, err := tinyio.Timeout(co, value(time.Second, 1), time.Hour); err != nil {
			return err
		}
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(sleeper(time.Hour), failer(0, errBoom)) }))
		if !errors.Is(err, errBoom) {
			return err
		}
		if err := co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Yield() }); err != nil {
			return err
		}
		return never.Wait(co)
	}))
	var last tinyio.Pause
	for p := range r.Steps() {
		last = p
	}
	_, err := r.Result()
	if deadlock := new(tinyio.DeadlockError); !errors.As(err, &deadlock) || !last.Deadline.IsZero() {
		t.Errorf("the result is %v, the last pause %+v", err, last)
	}
}

// R24: in virtual time, if no coroutine is ready, no timer is set and no thread runs, Run returns a DeadlockError that names who waits for
// what.
func TestDeadlockNamesWhoWaitsForWhat(t *testing.T) {
	noLeaks(t)
	var event tinyio.Event
	var lock tinyio.Lock
	var root, first, second tinyio.Frame
	var cleaned int
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		defer func() { cleaned++ }()
		a := tinyio.Do(func(co *tinyio.Co) error {
			defer func() { cleaned++ }()
			lock.TryAcquire()
			first = here("first", 1)
			return event.Wait(co)
		}).Named("first")
		b := tinyio.Do(func(co *tinyio.Co) error {
			defer func() { cleaned++ }()
			second = here("second", 1)
			return lock.Acquire(co)
		}).Named("second")
		root = here("root", 1)
		return co.Wait(a, b)
	}).Named("root"), tinyio.WithVirtualTime())
	var deadlock *tinyio.DeadlockError
	if !errors.As(err, &deadlock) {
		t.Fatalf("Run returns %v", err)
	}
	want := []string{
		fmt.Sprintf("root: waiting for a coroutine (first, second) at %s:%d", root.File, root.Line),
		fmt.Sprintf("first: waiting for an event at %s:%d", first.File, first.Line),
		fmt.Sprintf("second: waiting for a permit at %s:%d", second.File, second.Line),
	}
	if !slices.Equal(deadlock.Waits, want) {
		t.Errorf("it says %q, want %q", deadlock.Waits, want)
	}
	if cleaned != 3 {
		t.Errorf("%d of 3 have cleaned up", cleaned)
	}
}

// R24: a running thread can still wake a loop in virtual time.
func TestThreadCanStillWakeALoopInVirtualTime(t *testing.T) {
	var event tinyio.Event
	succeed(t, func(co *tinyio.Co) error {
		thread := tinyio.RunInThread(func(context.Context) (int, error) {
			event.Set()
			return 0, nil
		})
		if err := co.Spawn(thread); err != nil {
			return err
		}
		return event.Wait(co)
	})
}

// R24: idle time is skipped, and the clock starts at the same instant each time.
func TestVirtualTimeSkipsIdleTime(t *testing.T) {
	noLeaks(t)
	began := time.Now()
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	for run := range 2 {
		_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
			want := virtualStart.AddDate(0, 0, run)
			if now := co.Now(); !now.Equal(want) {
				t.Errorf("the clock shows %v, want %v", now, want)
			}
			return co.Sleep(24 * time.Hour)
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	if time.Since(began) > time.Hour {
		t.Error("idle time is not skipped")
	}
}

// TestBusyLoopLetsOthersIn proves that a loop in which some coroutine is always ready notices what happens outside (R12, R20): that a thread
// ends, or that the deadline of the context comes. That holds also where Go has one thread and does not preempt a goroutine.
func TestBusyLoopLetsOthersIn(t *testing.T) {
	const patience = 20 * time.Second // only for it to fail rather than to go on for ever
	waits := map[string]func(co *tinyio.Co) error{
		"yielding":               func(co *tinyio.Co) error { return co.Yield() },
		"awaiting":               func(co *tinyio.Co) error { return wait(co, tinyio.Do(func(*tinyio.Co) error { return nil })) },
		"asleep in virtual time": func(co *tinyio.Co) error { return co.Sleep(1) },
	}
	for name, wait := range waits {
		for _, others := range []int{0, 1, 2} {
			t.Run(fmt.Sprintf("%s with %d others", name, others), func(t *testing.T) {
				noLeaks(t)
				begun := time.Now()
				busy := func(until func() bool) *tinyio.Coro[tinyio.Void] {
					return tinyio.Do(func(co *tinyio.Co) error {
						for turn := 0; !until(); turn++ {
							if err := wait(co); err != nil {
								return err
							}
							if turn%1000 == 999 && time.Since(begun) > patience {
								return fmt.Errorf("nothing has come from outside in %d turns", turn)
							}
						}
						return nil
					})
				}
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
					over := false
					thread := tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil })
					all := []tinyio.Awaitable{tinyio.Do(func(co *tinyio.Co) error {
						defer func() { over = true }()
						_, err := thread.Await(co)
						return err
					})}
					for range others + 1 {
						all = append(all, busy(func() bool { return over }))
					}
					if err := co.Wait(all...); err != nil {
						return err
					}
					time.AfterFunc(time.Millisecond, cancel)
					all = nil
					for range others + 1 {
						all = append(all, busy(func() bool { return false }))
					}
					return co.Wait(all...)
				}), tinyio.WithVirtualTime())
				if !errors.Is(err, context.Canceled) {
					t.Errorf("Run returns %v, want %v", err, context.Canceled)
				}
			})
		}
	}
}

// R24: after virtual time has jumped because of a thread that was stuck, it does not jump at once because of another one.
func TestPatienceBeginsAnewWhenAThreadComesBack(t *testing.T) {
	release, quick := make(chan struct{}), make(chan struct{}, 1)
	succeed(t, func(co *tinyio.Co) error {
		stuck := tinyio.RunInThread(func(context.Context) (tinyio.Void, error) { <-release; return tinyio.Void{}, nil })
		if err := co.Spawn(stuck); err != nil {
			return err
		}
		if err := co.Sleep(time.Hour); err != nil { // jumps, after some patience
			return err
		}
		close(release)
		if err := wait(co, stuck); err != nil {
			return err
		}
		next := tinyio.RunInThread(func(context.Context) (tinyio.Void, error) {
			time.AfterFunc(time.Millisecond, func() { quick <- struct{}{} })
			<-quick
			return tinyio.Void{}, nil
		})
		_, err := tinyio.Timeout(co, next, time.Hour)
		return err
	})
}

// R4, R20, R22: a loop with its real clock inside a bubble of testing/synctest has the time of the bubble, and threads and events from
// goroutines work.
func TestLoopInABubble(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var event, never tinyio.Event
		go func() {
			time.Sleep(time.Minute)
			event.Set()
		}()
		_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			start := startWatch(co)
			if err := event.Wait(co); err != nil {
				return err
			}
			if d := start.passed(co); d != time.Minute {
				t.Errorf("the event is set after %v", d)
			}
			if set, err := never.WaitFor(co, time.Hour); set || err != nil {
				t.Errorf("WaitFor returns %v, %v", set, err)
			}
			v, err := tinyio.RunInThread(func(ctx context.Context) (int, error) {
				select {
				case <-ctx.Done():
					return 0, ctx.Err()
				case <-time.After(time.Minute):
					return 7, nil
				}
			}).Await(co)
			if v != 7 || start.passed(co) != time.Hour+2*time.Minute {
				t.Errorf("the thread gives %d, %v after %v", v, err, start.passed(co))
			}
			_, err = tinyio.Timeout(co, tinyio.RunInThread(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			}), time.Minute)
			wantError(t, "Timeout", err, tinyio.ErrTimeout)
			return nil
		}))
		if err != nil || time.Since(began) != time.Hour+3*time.Minute {
			t.Errorf("Run returns %v after %v", err, time.Since(began))
		}
	})
}

// R12: while a loop in a bubble is idle, its goroutine is durably blocked: synctest.Wait returns, and the time of the bubble goes on.
func TestIdleLoopInABubbleIsDurablyBlocked(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(background, time.Hour)
		defer cancel()
		var outcome error
		var group sync.WaitGroup
		asleep := false
		group.Go(func() {
			_, outcome = tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
				asleep = true
				return co.Wait(sleeper(2*time.Hour), tinyio.Do(func(co *tinyio.Co) error { return new(tinyio.Event).Wait(co) }))
			}))
		})
		synctest.Wait()
		if !asleep {
			t.Error("the loop has not started")
		}
		group.Wait()
		wantError(t, "Run", outcome, context.DeadlineExceeded)
	})
}

// A loop is used in one bubble after another, and outside.
func TestLoopInOneBubbleAfterAnother(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	use := func(t *testing.T) {
		v, err := tinyio.RunOn(background, l, tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(time.Millisecond); err != nil {
				return 0, err
			}
			return tinyio.RunInThread(func(context.Context) (int, error) { return 7, nil }).Await(co)
		}))
		if v != 7 || err != nil {
			t.Errorf("got %d, %v", v, err)
		}
	}
	for range 3 {
		synctest.Test(t, use)
		use(t)
	}
}

// R14: when a clock panics, at any of its calls, Run panics with that, everything is cleaned up, and no coroutine can recover it.
func TestClockThatPanics(t *testing.T) {
	noLeaks(t)
	for call := 2; ; call++ { // the first one is made before anything runs
		clock := &panickingClock{manualClock: newManualClock(), left: call}
		var recovered any
		begun, cleaned := 0, 0
		program := func(co *tinyio.Co) error {
			begun++
			defer func() {
				recovered = recover()
				cleaned++
			}()
			return co.Sleep(time.Millisecond)
		}
		var p any
		within(t, func() {
			p = panicOf(func() {
				tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
					var never tinyio.Event
					if _, err := never.WaitFor(co, time.Millisecond); err != nil {
						return err
					}
					if _, err := tinyio.Timeout(co, tinyio.Do(program), time.Millisecond); err != nil {
						return err
					}
					shielded := tinyio.Do(func(co *tinyio.Co) error { // whose grace begins in the middle of the crash
						return co.Shield(time.Millisecond, program)
					})
					return co.Wait(tinyio.Do(program), shielded, failer(0, errBoom))
				}), tinyio.WithClock(clock))
			})
		})
		if clock.left > 0 {
			if call < 10 {
				t.Errorf("the clock was called %d times only", call-clock.left)
			}
			return
		}
		var e *tinyio.PanicError
		if err, _ := p.(error); !errors.As(err, &e) || e.Value != "the clock" || recovered != nil || cleaned != begun {
			t.Errorf("call %d: Run panics with %v, a coroutine recovers %v, %d of %d cleaned up", call, p, recovered, cleaned, begun)
		}
	}
}

// A panickingClock panics once, at one of its calls.
type panickingClock struct {
	*manualClock
	left int
}

func (c *panickingClock) call() {
	if c.left--; c.left == 0 {
		panic("the clock")
	}
}

func (c *panickingClock) Now() time.Time {
	c.call()
	return c.manualClock.Now()
}

func (c *panickingClock) Idle(p hook.Pause) bool {
	c.call()
	return c.manualClock.Idle(p)
}
