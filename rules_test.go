package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// One test at least for each rule of behaviour of the package, R1 to R24; a test's name begins with its rule.

// R1: one coroutine runs at a time. The counter is not atomic on purpose: the race detector is part of the test.
func TestR01OneCoroutineRunsAtATime(t *testing.T) {
	noLeaks(t)
	inside, total := 0, 0
	succeed(t, func(co *tinyio.Co) error {
		var cs []*tinyio.Coro[tinyio.Void]
		for range 50 {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				for range 20 {
					inside++
					if inside != 1 {
						t.Errorf("%d coroutines run at a time", inside)
					}
					total++
					inside--
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		_, err := tinyio.Gather(co, cs...)
		return err
	})
	if total != 1000 {
		t.Errorf("%d turns, want 1000", total)
	}
}

// R1: the ready queue is first in, first out.
func TestR01ReadyQueueIsFirstInFirstOut(t *testing.T) {
	noLeaks(t)
	var log recorder
	chatter := func(name string, turns int) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			for i := range turns {
				log.add("%s%d", name, i)
				if err := co.Yield(); err != nil {
					return err
				}
			}
			log.add("%s ends", name)
			return nil
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		err := co.Wait(chatter("a", 2), chatter("b", 3), chatter("c", 1))
		log.add("root")
		return err
	})
	log.want(t, "a0", "b0", "c0", "a1", "b1", "c ends", "a ends", "b2", "b ends", "root")
}

// R1: a suspension goes through the queue even when what it waits for is already there.
func TestR01SuspensionAlwaysGivesOthersATurn(t *testing.T) {
	finished := value(0, 1)
	var set tinyio.Event
	set.Set()
	cases := map[string]func(co *tinyio.Co) error{
		"Yield":            func(co *tinyio.Co) error { return co.Yield() },
		"Sleep of zero":    func(co *tinyio.Co) error { return co.Sleep(0) },
		"negative Sleep":   func(co *tinyio.Co) error { return co.Sleep(-time.Hour) },
		"Await":            func(co *tinyio.Co) error { return wait(co, finished) },
		"Gather":           func(co *tinyio.Co) error { _, err := tinyio.Gather(co, finished, finished); return err },
		"empty Gather":     func(co *tinyio.Co) error { _, err := tinyio.Gather[int](co); return err },
		"Wait":             func(co *tinyio.Co) error { return co.Wait(finished) },
		"empty Wait":       func(co *tinyio.Co) error { return co.Wait() },
		"Spawn":            func(co *tinyio.Co) error { return co.Spawn(finished) },
		"empty Spawn":      func(co *tinyio.Co) error { return co.Spawn() },
		"Event.Wait":       func(co *tinyio.Co) error { return set.Wait(co) },
		"Event.WaitFor":    func(co *tinyio.Co) error { _, err := set.WaitFor(co, time.Hour); return err },
		"Timeout":          func(co *tinyio.Co) error { _, err := tinyio.Timeout(co, finished, time.Hour); return err },
		"Isolate":          func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, finished); return err },
		"Barrier":          func(co *tinyio.Co) error { _, err := tinyio.NewBarrier(1).Wait(co); return err },
		"AsCompleted":      func(co *tinyio.Co) error { return firstOf(co, finished) },
		"finished, Shield": func(co *tinyio.Co) error { return co.Shield(0, func(co *tinyio.Co) error { return co.Yield() }) },
	}
	for name, suspend := range cases {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			finished = value(0, 1)
			var log recorder
			succeed(t, func(co *tinyio.Co) error {
				if err := wait(co, finished); err != nil {
					return err
				}
				other := tinyio.Do(func(co *tinyio.Co) error {
					log.add("other 1")
					err := co.Yield()
					log.add("other 2")
					return err
				})
				if err := co.Spawn(other); err != nil {
					return err
				}
				start := startWatch(co)
				log.add("before")
				if err := suspend(co); err != nil {
					return err
				}
				log.add("after")
				if d := start.passed(co); d != 0 {
					t.Errorf("it takes %v", d)
				}
				return nil
			})
			log.want(t, "other 1", "before", "other 2", "after")
		})
	}
}

func firstOf(co *tinyio.Co, cs ...*tinyio.Coro[int]) error {
	for _, err := range tinyio.AsCompleted(co, cs...) {
		return err
	}
	return nil
}

// R1: Acquire on a semaphore or lock that is free does not suspend.
func TestR01AcquireOfAFreePermitDoesNotSuspend(t *testing.T) {
	noLeaks(t)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		other := tinyio.Do(func(co *tinyio.Co) error {
			log.add("other")
			return nil
		})
		spawner := tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(other) })
		if err := co.Spawn(spawner); err != nil {
			return err
		}
		var lock tinyio.Lock
		semaphore := tinyio.NewSemaphore(2)
		for _, acquire := range []func(*tinyio.Co) error{lock.Acquire, semaphore.Acquire, semaphore.Acquire} {
			if err := acquire(co); err != nil {
				return err
			}
			log.add("acquired")
		}
		if lock.TryAcquire() || semaphore.TryAcquire() {
			t.Error("a permit that is out is had again")
		}
		return co.Yield()
	})
	log.want(t, "acquired", "acquired", "acquired", "other")
}

// R2: a fresh coroutine goes to the back of the queue; awaiters become ready in the order in which they began to wait.
func TestR02AwaitersBecomeReadyInTheOrderInWhichTheyBeganToWait(t *testing.T) {
	noLeaks(t)
	var log recorder
	shared := tinyio.New(func(co *tinyio.Co) (int, error) {
		log.add("shared starts")
		err := co.Sleep(time.Second)
		log.add("shared ends")
		return 7, err
	})
	awaiter := func(name string, yields int) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			for range yields {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			log.add("%s waits", name)
			v, err := shared.Await(co)
			log.add("%s has %d", name, v)
			return err
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(awaiter("a", 2), awaiter("b", 0), awaiter("c", 1), awaiter("d", 0))
	})
	log.want(t, "b waits", "d waits", "shared starts", "c waits", "a waits", "shared ends",
		"b has 7", "d has 7", "c has 7", "a has 7")
}

// R2: Gather starts the fresh ones in order, takes one twice, and gives the values in the order of its arguments.
func TestR02GatherOfSeveralAndOfOneTwice(t *testing.T) {
	noLeaks(t)
	var log recorder
	c := func(name string, d time.Duration) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			log.add("%s starts", name)
			err := co.Sleep(d)
			log.add("%s ends", name)
			return name, err
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		a, b := c("a", 2*time.Second), c("b", time.Second)
		got, err := tinyio.Gather(co, a, b, a, a)
		log.add("%v", got)
		if empty, err := tinyio.Gather[int](co); empty == nil || len(empty) != 0 || err != nil {
			t.Errorf("an empty Gather gives %v, %v", empty, err)
		}
		return err
	})
	log.want(t, "a starts", "b starts", "b ends", "a ends", "[a b a a]")
}

// R2: Wait is Gather for mixed types.
func TestR02WaitOfMixedTypes(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		a, b := value(2*time.Second, 1), value(time.Second, "one")
		start := startWatch(co)
		if err := co.Wait(a, b, a); err != nil {
			return err
		}
		if a.Value() != 1 || b.Value() != "one" || start.passed(co) != 2*time.Second {
			t.Errorf("got %v, %v after %v", a.Value(), b.Value(), start.passed(co))
		}
		return nil
	})
}

// R2: Spawn puts the fresh ones at the back in the order given and the caller behind them.
func TestR02SpawnPutsTheCallerBehindTheSpawned(t *testing.T) {
	noLeaks(t)
	var log recorder
	say := func(s string) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			log.add("%s", s)
			return nil
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		started := tinyio.Do(func(co *tinyio.Co) error {
			log.add("started 1")
			err := co.Yield()
			log.add("started 2")
			return err
		})
		if err := co.Spawn(say("z"), started); err != nil {
			return err
		}
		err := co.Spawn(say("c"), started, say("a"), say("b"))
		log.add("caller")
		return err
	})
	log.want(t, "z", "started 1", "started 2", "c", "a", "b", "caller")
}

// R3: a coroutine runs once, and its result stays with it.
func TestR03CoroutineRunsOnceAndKeepsItsResult(t *testing.T) {
	noLeaks(t)
	runs := 0
	shared := tinyio.New(func(co *tinyio.Co) (*int, error) {
		runs++
		return new(int), co.Sleep(time.Second)
	})
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	user := func() *tinyio.Coro[*int] {
		return tinyio.New(func(co *tinyio.Co) (*int, error) { return shared.Await(co) })
	}
	pair, err := tinyio.RunOn(background, l, tinyio.New(func(co *tinyio.Co) ([]*int, error) {
		return tinyio.Gather(co, user(), user(), shared, user())
	}))
	if err != nil {
		t.Fatal(err)
	}
	later, err := tinyio.RunOn(background, l, user())
	if err != nil {
		t.Fatal(err)
	}
	again, err := tinyio.RunOn(background, l, shared)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(pair, later, again, shared.Value()) {
		if p != pair[0] {
			t.Error("not everybody has the same result")
		}
	}
	if runs != 1 {
		t.Errorf("it ran %d times", runs)
	}
}

// R4: timers become ready in the order of their deadlines, ties in the order in which they were set.
func TestR04TimersFireInTheOrderOfTheirDeadlines(t *testing.T) {
	noLeaks(t)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		var cs []tinyio.Awaitable
		for i, seconds := range []int{3, 1, 2, 1, 3, 2, 1} {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Duration(seconds) * time.Second)
				log.add("%d at %v", i, start.passed(co))
				return err
			}))
		}
		return co.Wait(cs...)
	})
	log.want(t, "1 at 1s", "3 at 1s", "6 at 1s", "2 at 2s", "5 at 2s", "0 at 3s", "4 at 3s")
}

// R4: the timers of sleeps, of events and of timeouts are all of one order.
func TestR04TimersOfAllKindsAreInOneOrder(t *testing.T) {
	noLeaks(t)
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
func TestR04BusyLoopServesItsTimersOnTime(t *testing.T) {
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
func TestR04TimerThatIsDueAtOnceTakesOneTurn(t *testing.T) {
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

// R4: reading the clock does not show up in the cost of a Yield.
func TestR04YieldDoesNotReadTheClock(t *testing.T) {
	noLeaks(t)
	clock := newManualClock()
	const yields = 10_000
	reads := 0
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		other := tinyio.Do(func(co *tinyio.Co) error {
			for range yields {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		})
		before := clock.reads
		err := wait(co, other)
		reads = clock.reads - before
		return err
	}), tinyio.WithClock(clock))
	if err != nil || reads != 0 {
		t.Errorf("%d reads of the clock in %d turns, %v", reads, yields, err)
	}
}

// R5: Run returns when every coroutine that it started has finished.
func TestR05RunWaitsForTheSpawned(t *testing.T) {
	noLeaks(t)
	var log recorder
	var end time.Duration
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		grandchild := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(2 * time.Second)
			log.add("grandchild")
			end = start.passed(co)
			return err
		})
		child := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Spawn(grandchild)
			log.add("child")
			return err
		})
		err := co.Spawn(child)
		log.add("root")
		return err
	})
	log.add("run")
	log.want(t, "root", "child", "grandchild", "run")
	if end != 2*time.Second {
		t.Errorf("it took %v", end)
	}
}

// R6: a coroutine belongs to the loop on which it first ran.
func TestR06CoroutineBelongsToOneLoop(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		finished, unfinished := value(0, 1), value(time.Hour, 2).Named("unfinished")
		if err := co.Spawn(finished, unfinished); err != nil {
			return err
		}
		if err := wait(co, finished); err != nil {
			return err
		}
		inner := func(f func(co *tinyio.Co) (int, error)) (int, error) {
			return tinyio.Run(co, tinyio.New(f), tinyio.WithVirtualTime())
		}
		if v, err := inner(finished.Await); v != 1 || err != nil {
			t.Errorf("of a finished coroutine: %d, %v", v, err)
		}
		uses := map[string]func(co *tinyio.Co) (int, error){
			"Await":   unfinished.Await,
			"Gather":  func(co *tinyio.Co) (int, error) { _, err := tinyio.Gather(co, finished, unfinished); return 0, err },
			"Wait":    func(co *tinyio.Co) (int, error) { return 0, co.Wait(unfinished) },
			"Spawn":   func(co *tinyio.Co) (int, error) { return 0, co.Spawn(unfinished) },
			"Timeout": func(co *tinyio.Co) (int, error) { return tinyio.Timeout(co, unfinished, time.Second) },
			"Isolate": func(co *tinyio.Co) (int, error) { _, err := tinyio.Isolate(co, unfinished); return 0, err },
			"AsCompleted": func(co *tinyio.Co) (int, error) {
				for _, err := range tinyio.AsCompleted(co, finished, unfinished) {
					return 0, err
				}
				return 0, nil
			},
		}
		for name, use := range uses {
			_, err := inner(use)
			if err == nil || !strings.Contains(err.Error(), "unfinished") || !strings.Contains(err.Error(), "another loop") {
				t.Errorf("%s of an unfinished coroutine: %v", name, err)
			}
		}
		_, err := tinyio.Run(co, unfinished)
		if err == nil || !strings.Contains(err.Error(), "another loop") {
			t.Errorf("Run of an unfinished coroutine: %v", err)
		}
		return nil
	})
}

// R6: a coroutine that was refused together with another has not run anywhere, and can be run anywhere.
func TestR06RefusedListLeavesTheFreshOnesAlone(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		unfinished := value(time.Hour, 2)
		if err := co.Spawn(unfinished); err != nil {
			return err
		}
		uses := map[string]func(co *tinyio.Co, fresh *tinyio.Coro[int]) error{
			"Gather": func(co *tinyio.Co, fresh *tinyio.Coro[int]) error {
				_, err := tinyio.Gather(co, fresh, unfinished)
				return err
			},
			"Wait":        func(co *tinyio.Co, fresh *tinyio.Coro[int]) error { return co.Wait(fresh, unfinished) },
			"Spawn":       func(co *tinyio.Co, fresh *tinyio.Coro[int]) error { return co.Spawn(fresh, unfinished) },
			"AsCompleted": func(co *tinyio.Co, fresh *tinyio.Coro[int]) error { return firstOf(co, fresh, unfinished) },
		}
		for name, use := range uses {
			fresh := value(0, 1)
			if err := virtually(func(co *tinyio.Co) error { return use(co, fresh) }); err == nil {
				t.Errorf("%s: no error", name)
			}
			if v, err := fresh.Await(co); v != 1 || err != nil {
				t.Errorf("after a refused %s: %d, %v", name, v, err)
			}
		}
		return nil
	})
}

// R6: loops nest, and the inner one blocks the outer one.
func TestR06LoopsNest(t *testing.T) {
	noLeaks(t)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		other := tinyio.Do(func(co *tinyio.Co) error {
			log.add("outer other")
			return nil
		})
		nester := tinyio.New(func(co *tinyio.Co) (int, error) {
			log.add("outer")
			v, err := tinyio.Run(co, tinyio.New(func(co *tinyio.Co) (int, error) {
				log.add("inner")
				err := co.Sleep(time.Hour)
				return 3, err
			}), tinyio.WithVirtualTime())
			log.add("outer again")
			return v, err
		})
		err := co.Wait(nester, other)
		log.add("%d", nester.Value())
		return err
	})
	log.want(t, "outer", "inner", "outer again", "outer other", "3")
}

// R6: a loop that is running cannot be run again.
func TestR06RunningLoopCannotBeRunAgain(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	fresh := value(0, 1)
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		if _, err := tinyio.RunOn(co, l, fresh); err == nil || !strings.Contains(err.Error(), "running") {
			t.Errorf("from inside: %v", err)
		}
		elsewhere := make(chan error)
		go func() {
			_, err := tinyio.RunOn(background, l, value(0, 2))
			elsewhere <- err
		}()
		if err := <-elsewhere; err == nil {
			t.Error("from another goroutine: no error")
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := tinyio.RunOn(background, l, fresh); v != 1 || err != nil {
		t.Errorf("afterwards: %d, %v", v, err)
	}
}

// R7: an error crashes the loop: everybody else is cancelled, and Run returns the original error.
func TestR07ErrorCancelsEverybodyElse(t *testing.T) {
	noLeaks(t)
	var log recorder
	victim := func(name string, d time.Duration) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(d)
			log.add("%s: %v", name, err)
			return err
		})
	}
	err := virtually(func(co *tinyio.Co) error {
		if err := co.Spawn(victim("spawned", time.Hour)); err != nil {
			return err
		}
		start := startWatch(co)
		err := co.Wait(victim("early", time.Second), victim("late", time.Hour), failer(time.Minute, errBoom))
		log.add("root: %v after %v", err, start.passed(co))
		return err
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "early: <nil>",
		"spawned: tinyio: cancelled because of: boom",
		"late: tinyio: cancelled because of: boom",
		"root: tinyio: cancelled because of: boom after 1m0s")
}

// R7: nobody carries on after a failure unaware of it: who awaits the one that failed hears of it too, and so does one that
// was ready to run.
func TestR07NobodyCarriesOnUnaware(t *testing.T) {
	noLeaks(t)
	var ready, awaiter error
	err := virtually(func(co *tinyio.Co) error {
		failing := tinyio.Do(func(co *tinyio.Co) error { return errBoom })
		spinner := tinyio.Do(func(co *tinyio.Co) error {
			for ready == nil {
				ready = co.Yield()
			}
			return nil
		})
		if err := co.Spawn(spinner); err != nil {
			return err
		}
		awaiter = wait(co, failing)
		return nil // which does not hide the failure
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("Run returns %v", err)
	}
	for _, err := range []error{ready, awaiter} {
		var cancelled *tinyio.CancelledError
		if !errors.As(err, &cancelled) || cancelled.Cause != errBoom {
			t.Errorf("a coroutine hears %v", err)
		}
	}
}

// waits are all ways to wait for what does not come: what a cancellation has to end. Each call makes new ones.
func waits() map[string]func(co *tinyio.Co) error {
	var event tinyio.Event
	var lock tinyio.Lock
	lock.TryAcquire()
	semaphore := tinyio.NewSemaphore(1)
	semaphore.TryAcquire()
	barrier := tinyio.NewBarrier(2)
	pool := tinyio.NewThreadPool(1)
	never := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	long := func() *tinyio.Coro[int] { return value(time.Hour, 1) }
	var queue tinyio.Queue[int]
	ch := make(chan int)
	return map[string]func(co *tinyio.Co) error{
		"Yield": func(co *tinyio.Co) error {
			for {
				if err := co.Yield(); err != nil {
					return err
				}
				if err := co.Sleep(time.Millisecond); err != nil { // so that virtual time passes
					return err
				}
			}
		},
		"Sleep":   func(co *tinyio.Co) error { return co.Sleep(time.Hour) },
		"Await":   func(co *tinyio.Co) error { return wait(co, long()) },
		"Gather":  func(co *tinyio.Co) error { _, err := tinyio.Gather(co, long(), long()); return err },
		"Wait":    func(co *tinyio.Co) error { return co.Wait(long(), long()) },
		"Timeout": func(co *tinyio.Co) error { _, err := tinyio.Timeout(co, long(), 2*time.Hour); return err },
		"Isolate": func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, long()); return err },
		"AsCompleted": func(co *tinyio.Co) error {
			for _, err := range tinyio.AsCompleted(co, long(), long()) {
				return err
			}
			return nil
		},
		"Event.Wait":    func(co *tinyio.Co) error { return event.Wait(co) },
		"Event.WaitFor": func(co *tinyio.Co) error { _, err := event.WaitFor(co, time.Hour); return err },
		"Lock":          func(co *tinyio.Co) error { return lock.Acquire(co) },
		"Semaphore":     func(co *tinyio.Co) error { return semaphore.Acquire(co) },
		"Barrier":       func(co *tinyio.Co) error { _, err := barrier.Wait(co); return err },
		"RunInThread":   func(co *tinyio.Co) error { return wait(co, tinyio.RunInThread(never)) },
		"RunInPool":     func(co *tinyio.Co) error { return wait(co, tinyio.RunInPool(pool, never)) },
		"FromCallback": func(co *tinyio.Co) error {
			return wait(co, tinyio.FromCallback(func(done func(int, error)) func(error) {
				return func(cause error) { done(0, cause) }
			}))
		},
		"WaitAny":   func(co *tinyio.Co) error { _, err := tinyio.WaitAny(co, long(), long()); return err },
		"Queue.Put": func(co *tinyio.Co) error { return tinyio.NewQueue[int](0).Put(co, 1) },
		"Queue.Get": func(co *tinyio.Co) error { _, err := queue.Get(co); return err },
		"Recv":      func(co *tinyio.Co) error { _, _, err := tinyio.Recv(co, ch); return err },
		"Recv, nil": func(co *tinyio.Co) error { _, _, err := tinyio.Recv[int](co, nil); return err },
		"Send":      func(co *tinyio.Co) error { return tinyio.Send(co, make(chan int), 1) },
		"Send, nil": func(co *tinyio.Co) error { return tinyio.Send(co, nil, 1) },
		"Shield": func(co *tinyio.Co) error {
			return co.Shield(0, func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		},
	}
}

// R8: to cancel a coroutine is to end its current wait, whatever that is, with a CancelledError whose Cause is the original
// error; every later suspension returns the same error at once.
func TestR08CancellationEndsEveryWaitAndIsSticky(t *testing.T) {
	for name, suspend := range waits() {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				err := virtually(func(co *tinyio.Co) error {
					victim := tinyio.Do(func(co *tinyio.Co) error {
						start := startWatch(co)
						first := suspend(co)
						if cancelled, ok := first.(*tinyio.CancelledError); !ok || cancelled.Cause != errBoom {
							t.Errorf("the wait ends with %v", first)
						}
						for again, suspend := range waits() {
							if again == "Shield" {
								continue
							}
							if err := suspend(co); err != first {
								t.Errorf("a later %s gives %v", again, err)
							}
						}
						if d := start.passed(co); d < time.Second-time.Millisecond || d > time.Second+time.Millisecond {
							t.Errorf("it ends after %v", d)
						}
						return first
					})
					return co.Wait(victim, failer(time.Second, errBoom))
				})
				if !errors.Is(err, errBoom) || err.Error() != "boom" {
					t.Errorf("Run returns %v", err)
				}
			})
		})
	}
}

// R8: a coroutine that has not started never runs.
func TestR08CoroutineThatHasNotStartedNeverRuns(t *testing.T) {
	noLeaks(t)
	ran := false
	err := virtually(func(co *tinyio.Co) error {
		first := tinyio.Do(func(co *tinyio.Co) error { return errBoom })
		second := tinyio.Do(func(co *tinyio.Co) error {
			ran = true
			return nil
		})
		thread := tinyio.RunInThread(func(context.Context) (int, error) {
			ran = true
			return 0, nil
		})
		return co.Wait(first, second, thread)
	})
	if !errors.Is(err, errBoom) || ran {
		t.Errorf("%v, ran: %v", err, ran)
	}
}

// R9: children first: a parent hears of the cancellation when those it waits for have finished.
func TestR09CrashCancelsChildrenFirst(t *testing.T) {
	noLeaks(t)
	var log recorder
	// cleanUp takes a while, one second for each level, and then tells.
	node := func(name string, f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			err := f(co)
			log.add("%s hears: %v", name, errors.Is(err, tinyio.ErrCancelled))
			shieldErr := co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Second) })
			log.add("%s ends: %v", name, shieldErr)
			return err
		})
	}
	err := virtually(func(co *tinyio.Co) error {
		leaf1 := node("leaf1", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		leaf2 := node("leaf2", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		diamond := node("diamond", func(co *tinyio.Co) error { return wait(co, leaf1) })
		left := node("left", func(co *tinyio.Co) error { return co.Wait(diamond, leaf2) })
		right := node("right", func(co *tinyio.Co) error { return wait(co, diamond) })
		top := node("top", func(co *tinyio.Co) error { return co.Wait(left, right) })
		return co.Wait(top, failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("Run returns %v", err)
	}
	log.want(t,
		"leaf2 hears: true", "leaf1 hears: true", "leaf2 ends: <nil>", "leaf1 ends: <nil>", // in the order of their starts
		"diamond hears: true", "diamond ends: <nil>",
		"left hears: true", "right hears: true", "left ends: <nil>", "right ends: <nil>",
		"top hears: true", "top ends: <nil>")
}

// R9: a parent that is waiting for a thread, in whatever way, hears of the cancellation after it.
func TestR09ParentOutlivesItsThread(t *testing.T) {
	ways := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]) error{
		"Await":       wait[int],
		"Gather":      func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Gather(co, c); return err },
		"Timeout":     func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Timeout(co, c, time.Hour); return err },
		"Isolate":     func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Isolate(co, c); return err },
		"AsCompleted": func(co *tinyio.Co, c *tinyio.Coro[int]) error { return firstOf(co, c) },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var over atomic.Bool
			err := virtually(func(co *tinyio.Co) error {
				started := make(chan struct{})
				thread := tinyio.RunInThread(func(ctx context.Context) (int, error) {
					close(started)
					<-ctx.Done()
					over.Store(true)
					return 0, nil
				})
				parent := tinyio.Do(func(co *tinyio.Co) error {
					err := way(co, thread)
					if !over.Load() {
						t.Error("the parent hears before its thread has ended")
					}
					return err
				})
				trigger := tinyio.RunInThread(func(context.Context) (int, error) {
					<-started
					return 0, errBoom
				})
				return co.Wait(parent, trigger)
			})
			if !errors.Is(err, errBoom) {
				t.Errorf("Run returns %v", err)
			}
		})
	}
}

// R10: what a cancelled coroutine may return to have stopped cleanly, and what is a clean-up error.
func TestR10CleanStops(t *testing.T) {
	errOther := errors.New("other")
	cases := []struct {
		name  string
		stop  func(co *tinyio.Co, err error) error
		clean bool
	}{
		{"nil", func(*tinyio.Co, error) error { return nil }, true},
		{"the error", func(_ *tinyio.Co, err error) error { return err }, true},
		{"wrapped", func(_ *tinyio.Co, err error) error { return fmt.Errorf("while reading: %w", err) }, true},
		{"ErrCancelled", func(*tinyio.Co, error) error { return tinyio.ErrCancelled }, true},
		{"context.Canceled", func(*tinyio.Co, error) error { return fmt.Errorf("get: %w", context.Canceled) }, true},
		{"Err", func(co *tinyio.Co, _ error) error { return co.Err() }, true},
		{"the cause", func(co *tinyio.Co, _ error) error { return context.Cause(co) }, true},
		{"the original", func(*tinyio.Co, error) error { return errBoom }, true},
		{"the original, wrapped", func(*tinyio.Co, error) error { return fmt.Errorf("oh: %w", errBoom) }, true},
		{"joined with another", func(_ *tinyio.Co, err error) error { return errors.Join(err, errOther) }, false},
		{"joined with the original", func(_ *tinyio.Co, err error) error { return errors.Join(err, errBoom) }, true},
		{"another", func(*tinyio.Co, error) error { return errOther }, false},
		{"ErrTimeout", func(*tinyio.Co, error) error { return tinyio.ErrTimeout }, false},
		{"the original's text", func(*tinyio.Co, error) error { return errors.New("boom") }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			err := virtually(func(co *tinyio.Co) error {
				return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
					return c.stop(co, co.Sleep(time.Hour))
				}))
			})
			var group *tinyio.ErrorGroup
			if isGroup := errors.As(err, &group); isGroup == c.clean || !errors.Is(err, errBoom) {
				t.Errorf("Run returns %v", err)
			}
		})
	}
}

// R10: an error that looks like a cancellation is an error like any other in a coroutine that was not cancelled.
func TestR10CancellationErrorOfACoroutineThatWasNotCancelledIsAFailure(t *testing.T) {
	noLeaks(t)
	for _, failure := range []error{context.Canceled, tinyio.ErrCancelled, &tinyio.CancelledError{Cause: errBoom}} {
		err := virtually(func(co *tinyio.Co) error { return failure })
		if !errors.Is(err, failure) {
			t.Errorf("Run returns %v, want %v", err, failure)
		}
	}
}

// R11: a coroutine that ignores its cancellation is unwound, its defers run, and it is reported by name.
func TestR11IgnoringCoroutineIsUnwoundAndReported(t *testing.T) {
	ignorers := map[string]func(co *tinyio.Co){
		"Yield":   func(co *tinyio.Co) { co.Yield() },
		"Sleep":   func(co *tinyio.Co) { co.Sleep(time.Second) },
		"Await":   func(co *tinyio.Co) { value(0, 1).Await(co) },
		"Spawn":   func(co *tinyio.Co) { co.Spawn(value(0, 1)) },
		"Acquire": func(co *tinyio.Co) { new(tinyio.Lock).Acquire(co) },
		"Shield":  func(co *tinyio.Co) { co.Shield(time.Second, func(co *tinyio.Co) error { return co.Yield() }) },
		"Shield that waits": func(co *tinyio.Co) {
			co.Shield(time.Second, func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		},
		"recover": func(co *tinyio.Co) {
			defer func() { recover() }()
			co.Yield()
		},
	}
	for name, ignore := range ignorers {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				attempts, deferred := 0, false
				err := virtually(func(co *tinyio.Co) error {
					stubborn := tinyio.Do(func(co *tinyio.Co) error {
						defer func() { deferred = true }()
						co.Sleep(time.Hour)
						for {
							attempts++
							ignore(co)
						}
					}).Named("stubborn")
					return co.Wait(stubborn, failer(time.Second, errBoom))
				})
				var group *tinyio.ErrorGroup
				if !errors.As(err, &group) || len(group.Errs) != 2 || !errors.Is(group.Errs[0], errBoom) ||
					!strings.Contains(group.Errs[1].Error(), "stubborn") {
					t.Errorf("Run returns %v", err)
				}
				if !deferred || attempts == 0 || attempts > 20_000 {
					t.Errorf("deferred: %v, after %d attempts", deferred, attempts)
				}
			})
		})
	}
}

// R11: the same for one that is halted by a Timeout: its being unwound is a clean-up error.
func TestR11IgnoringATimeoutIsReported(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			for {
				co.Sleep(time.Hour)
			}
		}).Named("stubborn"), time.Second)
		return err
	})
	var timeout *tinyio.TimeoutError
	if !errors.As(err, &timeout) || len(timeout.Cleanup) != 1 || !strings.Contains(timeout.Cleanup[0].Error(), "coroutine stubborn") {
		t.Errorf("Run returns %v", err)
	}
}

// R12: when the context given to Run is done, the loop crashes with its cause.
func TestR12ContextCrashesTheLoopWithItsCause(t *testing.T) {
	noLeaks(t)
	errOutside := errors.New("outside")
	ctx, cancel := context.WithCancelCause(background)
	var heard, cause error
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		canceller := tinyio.RunInThread(func(context.Context) (int, error) {
			cancel(errOutside)
			return 0, nil
		})
		if heard = co.Spawn(canceller); heard == nil { // the thread may be quicker than the caller's next turn
			heard = co.Sleep(time.Hour)
		}
		cause = context.Cause(co)
		return heard
	}))
	var cancelled *tinyio.CancelledError
	if !errors.Is(err, errOutside) || !errors.As(heard, &cancelled) || cancelled.Cause != errOutside || cause != errOutside {
		t.Errorf("Run returns %v, the coroutine hears %v, its cause is %v", err, heard, cause)
	}
}

// R12: a context that is done before the run begins, and one whose deadline passes.
func TestR12ContextThatIsDoneBeforeAndDeadline(t *testing.T) {
	noLeaks(t)
	done, cancel := context.WithCancel(background)
	cancel()
	ran := false
	_, err := tinyio.Run(done, tinyio.Do(func(co *tinyio.Co) error {
		ran = true
		return nil
	}))
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("Run returns %v, ran: %v", err, ran)
	}
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	_, err = tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		if deadline, ok := co.Deadline(); !ok || time.Until(deadline) > time.Millisecond {
			t.Errorf("the coroutine's deadline is %v, %v", deadline, ok)
		}
		return co.Sleep(time.Hour)
	}))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run returns %v", err)
	}
}

// R12: a busy loop notices its context too.
func TestR12BusyLoopNoticesItsContext(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		ctx, cancel := context.WithCancel(background)
		turns := 0
		_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
			for {
				if turns++; turns == 1000 {
					go cancel()
				}
				if err := co.Yield(); err != nil {
					return err
				}
			}
		}))
		if !errors.Is(err, context.Canceled) || turns < 1000 {
			t.Errorf("Run returns %v after %d turns", err, turns)
		}
	})
}

// R13: inside Shield suspension works although the coroutine is cancelled, for at most the grace period, which counts from
// the cancellation if the Shield was there before, and otherwise from the call.
func TestR13ShieldWorksForTheGracePeriod(t *testing.T) {
	const grace = 10 * time.Second
	cases := []struct {
		name         string
		before       time.Duration // how long the shield has been there when the crash comes; negative: it comes first
		takes        time.Duration // what happens inside
		want         time.Duration // when it ends, counted from the crash
		cutShort     bool
		insideShield bool
	}{
		{name: "entered after the cancellation, in time", before: -1, takes: grace - 1, want: grace - 1},
		{name: "entered after the cancellation, too slow", before: -1, takes: time.Hour, want: grace, cutShort: true},
		{name: "entered before the cancellation, in time", before: time.Minute, takes: time.Minute + grace - 1, want: grace - 1},
		{name: "entered before the cancellation, too slow", before: time.Minute, takes: time.Hour, want: grace, cutShort: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			var crashed, ended time.Time
			var inside, after error
			err := virtually(func(co *tinyio.Co) error {
				crash := tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(max(c.before, time.Minute))
					crashed = co.Now()
					return cmpOr(err, errBoom)
				})
				shielded := tinyio.Do(func(co *tinyio.Co) error {
					if c.before < 0 {
						if err := co.Sleep(time.Hour); !errors.Is(err, tinyio.ErrCancelled) {
							t.Error("it is not cancelled")
						}
					}
					inside = co.Shield(grace, func(co *tinyio.Co) error { return co.Sleep(c.takes) })
					ended = co.Now()
					after = co.Yield()
					return after
				})
				return co.Wait(crash, shielded)
			})
			if !errors.Is(err, errBoom) || err.Error() != "boom" {
				t.Errorf("Run returns %v", err)
			}
			if d := ended.Sub(crashed); d != c.want {
				t.Errorf("it ends %v after the crash, want %v", d, c.want)
			}
			if c.cutShort != errors.Is(inside, tinyio.ErrCancelled) || !errors.Is(after, tinyio.ErrCancelled) {
				t.Errorf("inside: %v, after it: %v", inside, after)
			}
		})
	}
}

func cmpOr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// R13: every kind of wait works inside Shield after a cancellation, and is ended when the grace period has passed.
func TestR13GraceEndsEveryWait(t *testing.T) {
	for name, suspend := range waits() {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				err := virtually(func(co *tinyio.Co) error {
					victim := tinyio.Do(func(co *tinyio.Co) error {
						stop := co.Sleep(time.Hour)
						start := startWatch(co)
						err := co.Shield(time.Second, suspend)
						if err != stop && name != "Shield" { // which has its own grace period
							t.Errorf("the wait ends with %v", err)
						}
						if d := start.passed(co); d < time.Second-time.Millisecond || d > time.Second+time.Millisecond {
							t.Errorf("it ends after %v", d)
						}
						return stop
					})
					return co.Wait(victim, failer(time.Second, errBoom))
				})
				if !errors.Is(err, errBoom) || err.Error() != "boom" {
					t.Errorf("Run returns %v", err)
				}
			})
		})
	}
}

// R13: the loop keeps running for what shielded code waits on.
func TestR13LoopRunsForWhatShieldedCodeWaitsOn(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		victim := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			var event tinyio.Event
			stop := co.Shield(time.Hour, func(co *tinyio.Co) error {
				setter := tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(time.Second)
					event.Set()
					return err
				})
				if err := co.Spawn(setter); err != nil {
					return err
				}
				if err := event.Wait(co); err != nil {
					return err
				}
				log.add("event")
				v, err := tinyio.RunInThread(func(ctx context.Context) (int, error) { return 1, ctx.Err() }).Await(co)
				log.add("thread %d, %v", v, err)
				vs, err := tinyio.Gather(co, value(time.Second, 2), value(2*time.Second, 3))
				log.add("%v", vs)
				return err
			})
			log.add("%v", stop)
			return err
		})
		return co.Wait(victim, failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "event", "thread 1, <nil>", "[2 3]", "<nil>")
}

// R13: without a cancellation Shield has no limit and its result is that of the function.
func TestR13ShieldWithoutCancellation(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		err := co.Shield(time.Second, func(co *tinyio.Co) error { return cmpOr(co.Sleep(time.Hour), errBoom) })
		if err != errBoom || start.passed(co) != time.Hour {
			t.Errorf("%v after %v", err, start.passed(co))
		}
		return nil
	})
}

// R14: a panic crashes the loop the same way, and Run panics with a PanicError that tells all.
func TestR14PanicCancelsEverybodyAndComesOutOfRun(t *testing.T) {
	noLeaks(t)
	var log recorder
	var root, panicking tinyio.Frame
	p := panicErrorOf(t, func() {
		tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			sibling := tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Hour)
				log.add("sibling: %v", err != nil)
				return err
			})
			failing := tinyio.Do(func(co *tinyio.Co) error {
				panicking = here("failing", -1)
				defer log.add("deferred")
				panicDeepDown()
				return nil
			}).Named("failing")
			root = here("root", 1)
			err := co.Wait(sibling, failing)
			log.add("root: %v", err != nil)
			return err
		}).Named("root"))
	})
	log.want(t, "deferred", "sibling: true", "root: true")
	if p.Value != "deep down" {
		t.Errorf("the value is %v", p.Value)
	}
	if !strings.Contains(string(p.Stack), "panicDeepDown") {
		t.Errorf("the stack is not that of the panic:\n%s", p.Stack)
	}
	wantFrames(t, p.Trace, root, panicking)
	text := p.Error()
	for _, part := range []string{"deep down", "panicDeepDown", "root", "failing", fmt.Sprint(root.Line), fmt.Sprint(panicking.Line)} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in the text:\n%s", part, text)
		}
	}
}

func panicDeepDown() { panic("deep down") }

// R14: Isolate stops what is inside and hands a panic back, with the chain up to the Isolate.
func TestR14IsolateHandsPanicsBack(t *testing.T) {
	noLeaks(t)
	errCleanUp := errors.New("clean-up")
	var middle, panicking tinyio.Frame
	succeed(t, func(co *tinyio.Co) error {
		failing := tinyio.Do(func(co *tinyio.Co) error {
			panicking = here("failing", -1)
			panic(errBoom)
		}).Named("failing")
		parent := tinyio.Do(func(co *tinyio.Co) error {
			middle = here("middle", 1)
			failing.Await(co)
			return errCleanUp
		}).Named("middle")
		_, err := tinyio.Isolate(co, parent)
		p, ok := err.(*tinyio.PanicError)
		if !ok || p.Value != error(errBoom) || !errors.Is(err, errCleanUp) || !strings.Contains(string(p.Stack), "TestR14IsolateHandsPanicsBack") {
			t.Fatalf("Isolate gives %v", err)
		}
		wantFrames(t, p.Trace, middle, panicking)
		return co.Yield() // outside nothing has happened
	})
}

// R14: a Goexit cleans up everything and then goes on in the goroutine that called Run.
func TestR14GoexitGoesOnInTheGoroutineThatCalledRun(t *testing.T) {
	noLeaks(t)
	exits := map[string]tinyio.Awaitable{
		"coroutine": tinyio.Do(func(co *tinyio.Co) error {
			runtime.Goexit()
			return nil
		}),
		"after a suspension": tinyio.Do(func(co *tinyio.Co) error {
			defer runtime.Goexit()
			return co.Sleep(time.Second)
		}),
		"isolated": tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				runtime.Goexit()
				return nil
			}))
			return err
		}),
	}
	for name, exit := range exits {
		t.Run(name, func(t *testing.T) {
			var log recorder
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer log.add("the caller's deferred call")
				virtually(func(co *tinyio.Co) error {
					sibling := tinyio.Do(func(co *tinyio.Co) error {
						err := co.Sleep(time.Hour)
						log.add("sibling: %v", errors.Is(err, tinyio.ErrCancelled))
						return err
					})
					return co.Wait(sibling, exit)
				})
				log.add("Run returns")
			}()
			<-ended
			log.want(t, "sibling: true", "the caller's deferred call")
		})
	}
}

// R14: FailNow inside a coroutine ends the test that called Run.
func TestR14FailNowInsideACoroutine(t *testing.T) {
	noLeaks(t)
	skipped, returned := false, false
	t.Run("inner", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		virtually(func(co *tinyio.Co) error {
			return wait(co, tinyio.Do(func(co *tinyio.Co) error {
				t.SkipNow()
				return nil
			}))
		})
		returned = true
	})
	if !skipped || returned {
		t.Errorf("skipped: %v, Run returned: %v", skipped, returned)
	}
}

// R14: a PanicError that passes through an outer loop is not wrapped again, and loses nothing.
func TestR14NestedPanicIsNotWrappedAgain(t *testing.T) {
	noLeaks(t)
	errCleanUp := errors.New("clean-up of the inner loop")
	var inner *tinyio.PanicError
	outer := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			defer func() {
				inner = recover().(*tinyio.PanicError)
				panic(inner)
			}()
			return virtually(func(co *tinyio.Co) error {
				cleaner := tinyio.Do(func(co *tinyio.Co) error {
					co.Sleep(time.Hour)
					return errCleanUp
				})
				return co.Wait(cleaner, tinyio.Do(func(co *tinyio.Co) error { panic("inner") }))
			})
		})
	})
	if outer != inner {
		t.Errorf("it is not the same: %v", outer)
	}
	if outer.Value != "inner" || len(outer.Trace) != 2 || !strings.Contains(outer.Error(), "inner") {
		t.Errorf("it is %v, %v", outer.Value, outer.Trace)
	}
	if !errors.Is(outer, errCleanUp) || !strings.Contains(outer.Error(), errCleanUp.Error()) {
		t.Errorf("the clean-up error is lost: %v", outer)
	}
}

// R15: what Run returns in each mode, with and without errors of clean-up.
func TestR15ErrorGroups(t *testing.T) {
	errFirst, errSecond := errors.New("first clean-up"), errors.New("second clean-up")
	program := func(dirty bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			cleaner := func(name string, takes time.Duration, err error) tinyio.Awaitable {
				return tinyio.Do(func(co *tinyio.Co) error {
					stop := co.Sleep(time.Hour)
					co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(takes) })
					if dirty {
						return err
					}
					return stop
				}).Named(name)
			}
			return co.Wait(cleaner("slow", 2*time.Second, errSecond), cleaner("quick", time.Second, errFirst),
				failer(time.Second, errBoom), sleeper(time.Hour))
		}
	}
	cases := []struct {
		name  string
		mode  tinyio.GroupMode
		dirty bool
		want  []string // of a group; one text without
	}{
		{"auto, clean", tinyio.GroupAuto, false, []string{"boom"}},
		{"auto, dirty", tinyio.GroupAuto, true, []string{"boom", "first clean-up", "second clean-up"}},
		{"never, clean", tinyio.GroupNever, false, []string{"boom"}},
		{"never, dirty", tinyio.GroupNever, true, []string{"boom"}},
		{"always, clean", tinyio.GroupAlways, false, []string{"boom", "cancelled", "cancelled", "cancelled", "cancelled"}},
		{"always, dirty", tinyio.GroupAlways, true,
			[]string{"boom", "first clean-up", "second clean-up", "cancelled", "cancelled", "cancelled", "cancelled"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			err := virtually(program(c.dirty), tinyio.WithErrorGroup(c.mode))
			wantGroup := len(c.want) > 1 || c.mode == tinyio.GroupAlways
			group, isGroup := err.(*tinyio.ErrorGroup)
			if isGroup != wantGroup {
				t.Fatalf("Run returns %T %v", err, err)
			}
			got := []string{err.Error()}
			if isGroup {
				got = texts(group.Errs)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("Run returns %q, want %q", got, c.want)
			}
			if !errors.Is(err, errBoom) || errors.Is(err, errFirst) != (c.dirty && wantGroup) {
				t.Error("errors.Is does not see through it")
			}
			if cancelled := new(tinyio.CancelledError); errors.As(err, &cancelled) != (c.mode == tinyio.GroupAlways) {
				t.Error("errors.As does not see through it")
			}
			if traced := new(tinyio.Error); !errors.As(err, &traced) || traced.Err != errBoom {
				t.Errorf("the first error with a trace is %v", traced)
			}
		})
	}
}

// R15: a group prints its errors, and with %+v their chains.
func TestR15ErrorGroupPrints(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		cleaner := tinyio.Do(func(co *tinyio.Co) error {
			co.Sleep(time.Hour)
			return errors.New("clean-up")
		}).Named("cleaner")
		return co.Wait(cleaner, failer(time.Second, errBoom).Named("failing"))
	})
	const plain = "boom\nwhile stopping: clean-up"
	if err.Error() != plain || fmt.Sprint(err) != plain || fmt.Sprintf("%q", err) != fmt.Sprintf("%q", plain) {
		t.Errorf("it prints %v", err)
	}
	long := fmt.Sprintf("%+v", err)
	for _, part := range []string{"boom", "clean-up", "cleaner", "failing", "rules_test.go:"} {
		if !strings.Contains(long, part) {
			t.Errorf("%q is not in\n%s", part, long)
		}
	}
}

// R16: the chain leads from the root to the coroutine that failed, with the name and the place of each, and through every
// way of waiting.
func TestR16ChainLeadsFromTheRootToTheFailure(t *testing.T) {
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
					return 0, cmpOr(co.Sleep(time.Second), errBoom)
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

// R16: the default name of a coroutine is that of its function, of a thread or callback the function given to it.
func TestR16LastFrameIsTheFailingFunction(t *testing.T) {
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
			if last.Function != want || last.Coro != want || !strings.HasSuffix(last.File, "rules_test.go") || last.Line == 0 {
				t.Errorf("the last frame is %v", last)
			}
		})
	}
}

func failingFunction(*tinyio.Co) (int, error)        { return 0, errBoom }
func failingThread(context.Context) (int, error)     { return 0, errBoom }
func failingStart(done func(int, error)) func(error) { done(0, errBoom); return nil }

// R16: where several coroutines wait on one, the chain names them all, each before what it waits for.
func TestR16ChainOfADiamondNamesEverybody(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		failing := failer(time.Second, errBoom).Named("failing")
		left := tinyio.Do(func(co *tinyio.Co) error { return wait(co, failing) }).Named("left")
		right := tinyio.Do(func(co *tinyio.Co) error { return wait(co, failing) }).Named("right")
		top := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(left, right) }).Named("top")
		return wait(co, top)
	})
	var e *tinyio.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	var names []string
	for _, f := range e.Trace[1:] {
		names = append(names, f.Coro)
	}
	if !slices.Equal(names, []string{"top", "left", "right", "failing"}) &&
		!slices.Equal(names, []string{"top", "right", "left", "failing"}) {
		t.Errorf("the chain is %v", names)
	}
}

// R16: %+v adds the chain to the text, and the text alone is the original's in every other form.
func TestR16ErrorPrints(t *testing.T) {
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
func TestR16NestedRunKeepsItsChain(t *testing.T) {
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

// R16: a result that is an error is given again with its chain.
func TestR16FailedCoroutineRunAgainGivesItsChain(t *testing.T) {
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

// R17: a cycle is found when the await that closes it is made, although others run on.
func TestR17CycleIsFoundByTheAwaitThatClosesIt(t *testing.T) {
	var a, b, c *tinyio.Coro[int]
	await := func(target **tinyio.Coro[int]) func(*tinyio.Co) (int, error) {
		return func(co *tinyio.Co) (int, error) { return (*target).Await(co) }
	}
	cases := []struct {
		name string
		a    func(co *tinyio.Co) (int, error)
		b    func(co *tinyio.Co) (int, error)
		c    func(co *tinyio.Co) (int, error)
		want []string
	}{
		{"itself", await(&a), nil, nil, []string{"a", "a"}},
		{"two", await(&b), await(&a), nil, []string{"b", "a", "b"}},
		{"three", await(&b), await(&c), await(&a), []string{"c", "a", "b", "c"}},
		{"not the first", await(&b), await(&c), await(&b), []string{"c", "b", "c"}},
		{"Gather", func(co *tinyio.Co) (int, error) {
			_, err := tinyio.Gather(co, value(time.Hour, 1), b)
			return 0, err
		}, await(&a), nil, []string{"b", "a", "b"}},
		{"Timeout", func(co *tinyio.Co) (int, error) { return tinyio.Timeout(co, b, time.Hour) }, await(&a), nil,
			[]string{"b", "a", "b"}},
		{"Isolate", func(co *tinyio.Co) (int, error) {
			r, err := isolate(co, b)
			return 0, cmpOr(err, r.Err)
		}, await(&a), nil, []string{"b", "a", "b"}},
		{"AsCompleted of one", func(co *tinyio.Co) (int, error) { return 0, firstOf(co, b) }, await(&a), nil,
			[]string{"b", "a", "b"}},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				a, b, c = tinyio.New(test.a).Named("a"), nil, nil
				if test.b != nil {
					b = tinyio.New(test.b).Named("b")
				}
				if test.c != nil {
					c = tinyio.New(test.c).Named("c")
				}
				var elapsed time.Duration
				err := virtually(func(co *tinyio.Co) error {
					start := startWatch(co)
					defer func() { elapsed = start.passed(co) }()
					if err := co.Spawn(sleeper(time.Hour)); err != nil {
						return err
					}
					return wait(co, a)
				})
				var cycle *tinyio.CycleError
				if !errors.As(err, &cycle) || !slices.Equal(cycle.Path, test.want) {
					t.Errorf("Run returns %v, want a cycle %v", err, test.want)
				}
				if elapsed != 0 {
					t.Errorf("it is found after %v", elapsed)
				}
			})
		})
	}
}

// R17: an AsCompleted can only go on if one of its coroutines can: a cycle through each of them is a cycle.
func TestR17CycleThroughAllOfAsCompleted(t *testing.T) {
	noLeaks(t)
	var all *tinyio.Coro[int]
	closing := func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) { return all.Await(co) })
	}
	all = tinyio.New(func(co *tinyio.Co) (int, error) { return 0, firstOf(co, closing(), closing()) })
	err := virtually(func(co *tinyio.Co) error { return wait(co, all) })
	if cycle := new(tinyio.CycleError); !errors.As(err, &cycle) {
		t.Errorf("Run returns %v, want a CycleError", err)
	}
}

// R17: no cycle is seen where there is none: whoever is refused may handle it, and the others go on.
func TestR17RefusedAwaitCanBeHandled(t *testing.T) {
	noLeaks(t)
	var a *tinyio.Coro[int]
	b := tinyio.New(func(co *tinyio.Co) (int, error) {
		for range 3 {
			_, err := a.Await(co)
			if cycle := new(tinyio.CycleError); !errors.As(err, &cycle) {
				t.Errorf("the await that closes the cycle returns %v", err)
			}
		}
		return 2, co.Sleep(time.Second)
	})
	a = tinyio.New(func(co *tinyio.Co) (int, error) { return b.Await(co) })
	succeed(t, func(co *tinyio.Co) error {
		v, err := a.Await(co)
		if v != 2 {
			t.Errorf("the value is %d", v)
		}
		return err
	})
}

// R17: a long chain in any order of its awaits is not a cycle.
func TestR17NoCycleInALongChain(t *testing.T) {
	noLeaks(t)
	const n = 2000
	cs := make([]*tinyio.Coro[int], n)
	gates := make([]tinyio.Event, n)
	for i := range cs {
		cs[i] = tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := gates[i].Wait(co); err != nil || i == 0 {
				return 0, err
			}
			v, err := cs[i-1].Await(co)
			return v + 1, err
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		for _, c := range cs {
			if err := co.Spawn(c); err != nil {
				return err
			}
		}
		for i := range gates { // every other one from below, the rest from above
			j := i
			if i%2 == 1 {
				j = n - i
			}
			gates[j].Set()
			if err := co.Yield(); err != nil {
				return err
			}
		}
		v, err := cs[n-1].Await(co)
		if v != n-1 {
			t.Errorf("the value is %d", v)
		}
		return err
	})
}

// R18: Timeout halts its coroutine with a TimeoutError at its current wait, which is sticky, and returns when it has stopped.
func TestR18TimeoutHaltsAndWaits(t *testing.T) {
	for name, suspend := range waits() {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				succeed(t, func(co *tinyio.Co) error {
					var inside, later error
					var cause error
					victim := tinyio.New(func(co *tinyio.Co) (int, error) {
						inside = suspend(co)
						later = co.Yield()
						cause = context.Cause(co)
						co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(10 * time.Second) })
						return 0, inside
					})
					start := startWatch(co)
					v, err := tinyio.Timeout(co, victim, time.Second)
					timeout, ok := err.(*tinyio.TimeoutError)
					if !ok || timeout.After != time.Second || v != 0 {
						t.Fatalf("Timeout returns %v, %v", v, err)
					}
					if inside != err || later != err || cause != err {
						t.Errorf("inside: %v, later: %v, cause: %v", inside, later, cause)
					}
					if d := start.passed(co).Round(time.Second); d != 11*time.Second && name != "AsCompleted" {
						t.Errorf("it takes %v", d)
					}
					return co.Yield() // the caller itself is not halted
				})
			})
		})
	}
}

// R18: what only the halted coroutine was waiting for is halted with it, recursively and children first; what anyone else
// waits for, or was spawned, carries on.
func TestR18HaltTravelsToWhatNobodyElseWants(t *testing.T) {
	noLeaks(t)
	var log recorder
	node := func(name string, f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			err := f(co)
			log.add("%s: %v", name, err)
			return err
		})
	}
	sleep := func(d time.Duration) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error { return co.Sleep(d) }
	}
	succeed(t, func(co *tinyio.Co) error {
		shared := node("shared", sleep(5*time.Second))
		spawned := node("spawned", sleep(6*time.Second))
		own := node("own", sleep(time.Hour))
		ownParent := node("own parent", func(co *tinyio.Co) error { return co.Wait(own, shared) })
		halted := node("halted", func(co *tinyio.Co) error {
			if err := co.Spawn(spawned); err != nil {
				return err
			}
			return co.Wait(ownParent, spawned, shared)
		})
		other := node("other", func(co *tinyio.Co) error { return wait(co, shared) })
		if err := co.Spawn(other); err != nil {
			return err
		}
		_, err := tinyio.Timeout(co, halted, time.Second)
		log.add("timeout: %v", err)
		return nil
	})
	const timedOut = "tinyio: timed out after 1s"
	log.want(t, "own: "+timedOut, "own parent: "+timedOut, "halted: "+timedOut, "timeout: "+timedOut,
		"shared: <nil>", "other: <nil>", "spawned: <nil>")
}

// R18: if someone else waits for the coroutine itself, or it was spawned, only the wait is given up and it carries on.
func TestR18TimeoutOfACoroutineThatOthersWantOnlyGivesUp(t *testing.T) {
	ways := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]) error{
		"awaited": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				v, err := c.Await(co)
				if v != 1 {
					return fmt.Errorf("the value is %d", v)
				}
				return err
			}))
		},
		"spawned": func(co *tinyio.Co, c *tinyio.Coro[int]) error { return co.Spawn(c) },
		"in another Timeout": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, c, time.Hour)
				return err
			}))
		},
		"isolated": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Isolate(co, c)
				return err
			}))
		},
	}
	for name, want := range ways {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			succeed(t, func(co *tinyio.Co) error {
				shared := value(time.Minute, 1)
				if err := want(co, shared); err != nil {
					return err
				}
				start := startWatch(co)
				if _, err := tinyio.Timeout(co, shared, time.Second); !errors.Is(err, tinyio.ErrTimeout) || start.passed(co) != time.Second {
					t.Errorf("Timeout returns %v after %v", err, start.passed(co))
				}
				v, err := shared.Await(co)
				if v != 1 || start.passed(co) != time.Minute {
					t.Errorf("it gives %d, %v after %v", v, err, start.passed(co))
				}
				return err
			})
		})
	}
}

// R18: a coroutine that finishes with nil after being halted has finished: its value is returned.
func TestR18HaltedCoroutineThatFinishesHasFinished(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		partial := tinyio.New(func(co *tinyio.Co) (string, error) {
			if err := co.Sleep(time.Hour); !errors.Is(err, tinyio.ErrTimeout) {
				return "", err
			}
			return "what there was", nil
		})
		v, err := tinyio.Timeout(co, partial, time.Second)
		if v != "what there was" || err != nil {
			t.Errorf("Timeout returns %q, %v", v, err)
		}
		if v, err := partial.Await(co); v != "what there was" || err != nil {
			t.Errorf("a later Await returns %q, %v", v, err)
		}
		return nil
	})
}

// R10, R18: a clean-up error of a halted coroutine is in the error of the Timeout. It crashes nobody.
func TestR18CleanUpErrorOfAHaltedCoroutine(t *testing.T) {
	noLeaks(t)
	errChild := errors.New("child")
	succeed(t, func(co *tinyio.Co) error {
		child := tinyio.Do(func(co *tinyio.Co) error {
			co.Sleep(time.Hour)
			return errChild
		})
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			wait(co, child)
			return errBoom
		}).Named("slow"), time.Second)
		var timeout *tinyio.TimeoutError
		if !errors.As(err, &timeout) || timeout.Coro != "slow" || len(timeout.Cleanup) != 2 || !errors.Is(timeout.Cleanup[0], errChild) ||
			!errors.Is(timeout.Cleanup[1], errBoom) || !errors.Is(err, tinyio.ErrTimeout) || !errors.Is(err, errBoom) {
			t.Errorf("Timeout returns %v", err)
		}
		return co.Yield()
	})
}

// R18: in time, Timeout is an Await.
func TestR18TimeoutInTime(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		v, err := tinyio.Timeout(co, value(time.Second, 1), time.Second+1)
		if v != 1 || err != nil {
			t.Errorf("Timeout returns %d, %v", v, err)
		}
		return nil
	})
	err := virtually(func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, failer(time.Second, errBoom), time.Hour)
		return err
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("Run returns %v", err)
	}
}

// R18: what the errors of a timeout are to others.
func TestR18TimeoutErrorIsATimeout(t *testing.T) {
	var err error = fmt.Errorf("get: %w", &tinyio.TimeoutError{After: time.Second})
	var timeout net.Error
	if !errors.Is(err, tinyio.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) ||
		!timeout.Timeout() || errors.Is(err, context.Canceled) || errors.Is(err, tinyio.ErrCancelled) {
		t.Errorf("%v is not what it should be", err)
	}
	err = &tinyio.CancelledError{Cause: io.EOF}
	if !errors.Is(err, tinyio.ErrCancelled) || !errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) ||
		errors.Is(err, tinyio.ErrTimeout) {
		t.Errorf("%v is not what it should be", err)
	}
}

// R19: a failure inside cancels everything inside, waits until it has stopped and is handed back as a value; outside nothing
// happened.
func TestR19IsolateKeepsAFailureInside(t *testing.T) {
	noLeaks(t)
	var log recorder
	var isolated, last tinyio.Frame
	succeed(t, func(co *tinyio.Co) error {
		outside := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			log.add("outside: %v", err)
			return err
		})
		if err := co.Spawn(outside); err != nil {
			return err
		}
		spawnedInside := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Minute) })
			log.add("spawned inside: %v", err)
			return err
		})
		failing := tinyio.Do(func(co *tinyio.Co) error {
			last = here("failing", -1)
			return cmpOr(co.Sleep(time.Second), errBoom)
		}).Named("failing")
		start := startWatch(co)
		r, err := isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Spawn(spawnedInside); err != nil {
				return 0, err
			}
			isolated = here("isolated", 1)
			_, err := failing.Await(co)
			log.add("inside: %v", err)
			return 0, err
		}).Named("isolated"))
		log.add("isolate: %v, %v after %v", r.Err, err, start.passed(co))
		var e *tinyio.Error
		if !errors.Is(r.Err, errBoom) || !errors.As(r.Err, &e) || len(e.Trace) < 2 {
			t.Fatalf("Isolate gives %v", r.Err)
		}
		wantFrames(t, e.Trace[len(e.Trace)-2:], isolated, last)
		return co.Sleep(time.Second)
	})
	log.want(t, "inside: tinyio: cancelled because of: boom", "spawned inside: tinyio: cancelled because of: boom",
		"isolate: boom, <nil> after 1m1s", "outside: <nil>")
}

// R19: without a failure Isolate gives the value, when everything inside has finished.
func TestR19IsolateWaitsForEverythingInside(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		r, err := isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			return 7, co.Spawn(sleeper(time.Minute))
		}))
		if r.Value != 7 || r.Err != nil || err != nil || start.passed(co) != time.Minute {
			t.Errorf("Isolate gives %v, %v after %v", r, err, start.passed(co))
		}
		r, err = isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			return 7, co.Spawn(failer(time.Minute, errBoom))
		}))
		if !errors.Is(r.Err, errBoom) || err != nil {
			t.Errorf("with a failure of a spawned coroutine: %v, %v", r, err)
		}
		return nil
	})
}

// R19: cancelling the outside cancels the inside, children first; the error of Isolate is the caller's own.
func TestR19CancellingTheOutsideCancelsTheInside(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		caller := tinyio.Do(func(co *tinyio.Co) error {
			r, err := isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				inner := tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(time.Hour)
					log.add("innermost: %v", err)
					return err
				})
				r, err := isolate(co, inner)
				log.add("inside: %v, %v", r.Err, err)
				return err
			}))
			log.add("caller: %v, %v", r.Err, err)
			return err
		})
		return co.Wait(caller, failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
	const cancelled = "tinyio: cancelled because of: boom"
	log.want(t, "innermost: "+cancelled, "inside: <nil>, "+cancelled, "caller: <nil>, "+cancelled)
}

// R19: a coroutine that was started outside may be awaited inside, and belongs outside.
func TestR19CoroutineStartedOutsideMayBeAwaitedInside(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		outside := value(time.Minute, 1)
		if err := co.Spawn(outside); err != nil {
			return err
		}
		r, err := isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(outside, failer(time.Second, errBoom)) }))
		if !errors.Is(r.Err, errBoom) || err != nil {
			t.Errorf("Isolate gives %v, %v", r.Err, err)
		}
		v, err := outside.Await(co)
		if v != 1 {
			t.Errorf("the value is %d", v)
		}
		return err
	})
}

// R19: an error of clean-up inside is part of the result.
func TestR19CleanUpErrorsInsideAreInTheResult(t *testing.T) {
	noLeaks(t)
	errCleanUp := errors.New("clean-up")
	succeed(t, func(co *tinyio.Co) error {
		r, err := isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				return errCleanUp
			}))
		}))
		var group *tinyio.ErrorGroup
		if err != nil || !errors.As(r.Err, &group) || len(group.Errs) != 2 || !errors.Is(group.Errs[0], errBoom) ||
			!errors.Is(group.Errs[1], errCleanUp) {
			t.Errorf("Isolate gives %v, %v", r.Err, err)
		}
		return nil
	})
}

// R20: a thread does not block the loop, and its value, error, panic or Goexit comes out where it is awaited.
func TestR20ThreadComesOutWhereItIsAwaited(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		release := make(chan struct{})
		turns := 0
		spinner := tinyio.Do(func(co *tinyio.Co) error {
			for turns < 100 {
				turns++
				if err := co.Yield(); err != nil {
					return err
				}
			}
			close(release)
			return nil
		})
		v, err := tinyio.Gather(co, tinyio.RunInThread(func(context.Context) (int, error) {
			<-release
			return 7, nil
		}), tinyio.New(func(co *tinyio.Co) (int, error) { return 0, wait(co, spinner) }))
		if err != nil || v[0] != 7 {
			t.Errorf("got %v, %v", v, err)
		}
		r, err := isolate(co, tinyio.RunInThread(failingThread))
		if !errors.Is(r.Err, errBoom) || err != nil {
			t.Errorf("got %v, %v", r.Err, err)
		}
		return nil
	})
	p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			return wait(co, tinyio.RunInThread(func(context.Context) (int, error) {
				panicDeepDown()
				return 0, nil
			}).Named("thread"))
		})
	})
	if p.Value != "deep down" || !strings.Contains(string(p.Stack), "panicDeepDown") || len(p.Trace) != 2 ||
		p.Trace[1].Coro != "thread" {
		t.Errorf("the panic is %v", p)
	}
}

// R20: all threads hear of a cancellation at once, with the cause, and the loop waits for them as for anything else.
func TestR20ThreadsAreCancelledAllAtOnce(t *testing.T) {
	noLeaks(t)
	const n = 20
	var together sync.WaitGroup // each thread goes on only when all have heard
	together.Add(n)
	err := virtually(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		var started sync.WaitGroup
		started.Add(n)
		for range n {
			cs = append(cs, tinyio.RunInThread(func(ctx context.Context) (int, error) {
				started.Done()
				<-ctx.Done()
				if context.Cause(ctx) != errBoom || ctx.Err() != context.Canceled {
					t.Errorf("a thread hears %v, %v", ctx.Err(), context.Cause(ctx))
				}
				together.Done()
				together.Wait()
				return 0, ctx.Err()
			}))
		}
		cs = append(cs, tinyio.RunInThread(func(context.Context) (int, error) {
			started.Wait()
			return 0, errBoom
		}))
		return co.Wait(cs...)
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
}

// R20: a thread's context has the values of the context given to Run.
func TestR20ThreadHasTheValuesOfTheContext(t *testing.T) {
	noLeaks(t)
	type key struct{}
	ctx := context.WithValue(background, key{}, "v")
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		v, err := tinyio.RunInThread(func(ctx context.Context) (any, error) { return ctx.Value(key{}), nil }).Await(co)
		if v != "v" || co.Value(key{}) != "v" {
			t.Errorf("the values are %v and %v", v, co.Value(key{}))
		}
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// R21: done may be called inside start, from another coroutine's turn, or from any goroutine; later calls do nothing.
func TestR21FromCallbackIsCompletedOnce(t *testing.T) {
	noLeaks(t)
	var starts int
	callback := func(finish func(done func(int, error))) *tinyio.Coro[int] {
		return tinyio.FromCallback(func(done func(int, error)) func(error) {
			starts++
			finish(done)
			return nil
		})
	}
	var later func(int, error)
	var called sync.WaitGroup
	called.Add(1)
	cs := []*tinyio.Coro[int]{
		callback(func(done func(int, error)) { done(1, nil); done(-1, errBoom) }),
		callback(func(done func(int, error)) { later = done }),
		callback(func(done func(int, error)) {
			go func() {
				defer called.Done()
				done(3, nil)
				done(-3, errBoom)
			}()
		}),
	}
	succeed(t, func(co *tinyio.Co) error {
		if starts != 0 {
			t.Error("a start function is called before the coroutine is wanted")
		}
		completer := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Second)
			later(2, nil)
			later(-2, nil)
			return err
		})
		if err := co.Spawn(completer); err != nil {
			return err
		}
		for range 2 {
			v, err := tinyio.Gather(co, cs...)
			if err != nil || !slices.Equal(v, []int{1, 2, 3}) {
				t.Errorf("got %v, %v", v, err)
			}
		}
		called.Wait()
		return nil
	})
	if starts != 3 {
		t.Errorf("%d starts, want 3", starts)
	}
}

// R21: cancel is called once, with the cause, when the coroutine is cancelled or halted; it ends only when done is called.
func TestR21CancelIsCalledOnceAndDoneEndsIt(t *testing.T) {
	stops := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]) error{
		"cancelled": func(co *tinyio.Co, c *tinyio.Coro[int]) error { return co.Wait(c, failer(time.Second, errBoom)) },
		"halted": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			_, err := tinyio.Timeout(co, c, time.Second)
			return err
		},
		"halted, then cancelled": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			if err := co.Spawn(failer(2*time.Second, errBoom)); err != nil {
				return err
			}
			_, err := tinyio.Timeout(co, c, time.Second)
			return err
		},
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var causes []error
			var ended time.Duration
			var own error
			err := virtually(func(co *tinyio.Co) error {
				var done func(int, error)
				start := startWatch(co)
				c := tinyio.FromCallback(func(d func(int, error)) func(error) {
					done = d
					return func(cause error) { causes = append(causes, cause) }
				})
				completer := tinyio.Do(func(co *tinyio.Co) error {
					return co.Shield(time.Hour, func(co *tinyio.Co) error {
						err := co.Sleep(5 * time.Second)
						done(0, context.Canceled)
						done(0, nil)
						return err
					})
				})
				if err := co.Spawn(completer); err != nil {
					return err
				}
				own = stop(co, c)
				ended = start.passed(co)
				return own
			})
			if err == nil || len(causes) != 1 || ended != 5*time.Second {
				t.Errorf("Run returns %v, cancel is told %v, it ends after %v", err, causes, ended)
			}
			if len(causes) == 1 && causes[0] != errBoom && causes[0] != own && !errors.Is(causes[0], tinyio.ErrTimeout) {
				t.Errorf("the cause is %v", causes[0])
			}
		})
	}
}

// R21: cancel is not called after done, nor when the coroutine has ended by itself.
func TestR21CancelIsNotCalledAfterDone(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		completed := tinyio.FromCallback(func(done func(int, error)) func(error) {
			done(1, nil)
			return func(error) { t.Error("cancel is called") }
		})
		if err := wait(co, completed); err != nil {
			return err
		}
		// This one is done, and has not had its last turn, when the crash comes.
		ready := tinyio.FromCallback(func(done func(int, error)) func(error) {
			done(1, nil)
			return func(error) { t.Error("cancel is called") }
		})
		return co.Wait(ready, tinyio.Do(func(*tinyio.Co) error { return errBoom }))
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("Run returns %v", err)
	}
}

// R22: Set, Clear and IsSet may be called from any goroutine.
func TestR22EventIsSetFromGoroutines(t *testing.T) {
	noLeaks(t)
	const n = 50
	var ping, pong tinyio.Event
	var outside sync.WaitGroup
	outside.Add(1)
	stop := make(chan struct{})
	heard := make(chan struct{})
	go func() {
		defer outside.Done()
		for range n {
			ping.Set()
			<-heard
		}
		close(stop)
	}()
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		for range n {
			if err := ping.Wait(co); err != nil {
				return err
			}
			if !ping.IsSet() {
				t.Error("a wait ends and the event is not set")
			}
			ping.Clear()
			pong.Set()
			heard <- struct{}{}
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	<-stop
	outside.Wait()
	if ping.IsSet() || !pong.IsSet() {
		t.Error("the events are not as they were left")
	}
}

// R22: many goroutines set and clear, many coroutines of several loops wait: none is lost.
func TestR22EventOfSeveralLoops(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		for range 20 {
			var event tinyio.Event
			var waiting, outside sync.WaitGroup
			waiting.Add(4 * 5)
			for range 4 {
				outside.Add(1)
				go func() {
					defer outside.Done()
					_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
						var cs []tinyio.Awaitable
						for range 5 {
							cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
								waiting.Done()
								return event.Wait(co)
							}))
						}
						return co.Wait(cs...)
					}))
					if err != nil {
						t.Error(err)
					}
				}()
			}
			waiting.Wait()
			for range 3 {
				outside.Add(1)
				go func() {
					defer outside.Done()
					event.Set()
				}()
			}
			outside.Wait()
		}
	})
}

// R22: whoever waited when an event was set becomes ready, in order, even if it is cleared before its turn.
func TestR22EventWakesInOrderEvenIfCleared(t *testing.T) {
	noLeaks(t)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		var event tinyio.Event
		var cs []tinyio.Awaitable
		for i := range 3 {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				err := event.Wait(co)
				log.add("%d, set: %v", i, event.IsSet())
				return err
			}))
		}
		if err := co.Spawn(cs...); err != nil {
			return err
		}
		event.Set()
		event.Clear()
		late := tinyio.Do(func(co *tinyio.Co) error {
			set, err := event.WaitFor(co, time.Second)
			log.add("late: %v", set)
			return err
		})
		return wait(co, late)
	})
	log.want(t, "0, set: false", "1, set: false", "2, set: false", "late: false")
}

// R23: in guest mode the host takes each step and decides when time passes.
func TestR23HostTakesEachStep(t *testing.T) {
	noLeaks(t)
	var log recorder
	clock := newManualClock()
	c := tinyio.New(func(co *tinyio.Co) (int, error) {
		log.add("a")
		if err := co.Yield(); err != nil { // a host sees every turn
			return 0, err
		}
		log.add("b")
		if err := co.Sleep(time.Second); err != nil {
			return 0, err
		}
		log.add("c")
		return 7, nil
	})
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithClock(clock)), c)
	if _, err := r.Result(); err == nil {
		t.Error("a result before the end")
	}
	blocked := 0
	for p := range r.Steps() {
		log.add("step, blocked: %v", p.Blocked)
		if !p.Blocked {
			continue
		}
		if want := time.Unix(1, 0); !p.Deadline.Equal(want) {
			t.Errorf("the deadline is %v, want %v", p.Deadline, want)
		}
		select {
		case <-p.Wake:
			t.Error("it is woken")
		default:
		}
		if blocked++; blocked == 3 { // a step too early does no harm
			clock.now = p.Deadline
		}
	}
	v, err := r.Result()
	if v != 7 || err != nil || clock.idles != 0 {
		t.Errorf("the result is %d, %v; Idle was called %d times", v, err, clock.idles)
	}
	log.want(t, "a", "step, blocked: false", "b", "step, blocked: true", "step, blocked: true", "step, blocked: true", "c")
}

// R23: what comes from outside wakes the host.
func TestR23WakeTellsTheHost(t *testing.T) {
	noLeaks(t)
	release := make(chan struct{})
	c := tinyio.RunInThread(func(context.Context) (int, error) {
		<-release
		return 7, nil
	})
	r := tinyio.Start(background, tinyio.NewLoop(), tinyio.New(func(co *tinyio.Co) (int, error) { return c.Await(co) }))
	waited := 0
	for p := range r.Steps() {
		if p.Blocked {
			if waited++; waited == 1 {
				close(release)
			}
			<-p.Wake
		}
	}
	if v, err := r.Result(); v != 7 || err != nil || waited == 0 {
		t.Errorf("the result is %d, %v after %d waits", v, err, waited)
	}
}

// R23: with the same inputs the interleaving is the same.
func TestR23SameInputsSameInterleaving(t *testing.T) {
	noLeaks(t)
	play := func() []string {
		var log recorder
		lock := tinyio.NewSemaphore(2)
		var event tinyio.Event
		r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
			var cs []tinyio.Awaitable
			for i := range 20 {
				cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
					for j := range 5 {
						log.add("%d %d", i, j)
						err := co.Sleep(time.Duration((i*7+j*3)%5) * time.Second)
						if i == 13 && j == 3 {
							err = errBoom
						}
						if err == nil {
							err = lock.Acquire(co)
						}
						if err == nil {
							_, err = event.WaitFor(co, time.Second)
							lock.Release()
						}
						if (i+j)%3 == 0 {
							event.Set()
						} else {
							event.Clear()
						}
						if err != nil {
							log.add("%d %v", i, err)
							return err
						}
					}
					return nil
				}))
			}
			return co.Wait(cs...)
		}))
		steps := 0
		for range r.Steps() {
			steps++
		}
		_, err := r.Result()
		log.add("%d steps, %v", steps, err)
		return log.lines
	}
	first := play()
	for range 5 {
		if again := play(); !slices.Equal(first, again) {
			t.Fatalf("the interleaving is\n%v\nand then\n%v", first, again)
		}
	}
}

// R23: the loop itself starts no goroutine: there is one for the stack of each coroutine, and no other.
func TestR23GuestLoopStartsNoGoroutine(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	before := runtime.NumGoroutine()
	r := tinyio.Start(ctx, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
	if n := runtime.NumGoroutine() - before; n != 0 {
		t.Errorf("Start starts %d goroutines", n)
	}
	steps := 0
	for range r.Steps() {
		if steps++; steps == 1 {
			if n := runtime.NumGoroutine() - before; n != 1 {
				t.Errorf("there are %d goroutines for one coroutine", n)
			}
			cancel()
		}
	}
	if _, err := r.Result(); !errors.Is(err, context.Canceled) || steps != 1 {
		t.Errorf("the result is %v after %d steps", err, steps)
	}
}

// R23: a host can ask which coroutine is running and what each one waits for.
func TestR23HostCanAskWhatEachCoroutineIsDoing(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	if all := l.Status(); len(all) != 0 {
		t.Errorf("a loop that does not run has the status %v", all)
	}
	var event tinyio.Event
	var log recorder
	var asker, sleeping tinyio.Frame
	waiting := tinyio.Do(func(co *tinyio.Co) error { return event.Wait(co) }).Named("waiting")
	sleeper := tinyio.Do(func(co *tinyio.Co) error {
		sleeping = here("sleeping", 1)
		return co.Sleep(time.Second)
	}).Named("sleeping")
	r := tinyio.Start(background, l, tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(waiting, sleeper); err != nil {
			return err
		}
		for _, s := range l.Status() {
			log.add("inside: %s %s %s %v", s.Coro, s.State, s.On, s.For)
		}
		event.Set()
		if err := co.Sleep(2 * time.Second); err != nil {
			return err
		}
		asker = here("asker", 1)
		return co.Wait(waiting, value(time.Second, 1).Named("last"))
	}).Named("asker"))
	steps := 0
	for range r.Steps() {
		steps++
		for _, s := range l.Status() {
			log.add("%d: %s %s %s %v", steps, s.Coro, s.State, s.On, s.For)
			if s.Coro == "sleeping" && s.State == "waiting" && framesText([]tinyio.Frame{s.Frame}) != framesText([]tinyio.Frame{sleeping}) {
				t.Errorf("it sleeps at %v, want %v", s.Frame, sleeping)
			}
			if s.Coro == "asker" && len(s.For) > 0 && framesText([]tinyio.Frame{s.Frame}) != framesText([]tinyio.Frame{asker}) {
				t.Errorf("it waits at %v, want %v", s.Frame, asker)
			}
		}
	}
	if _, err := r.Result(); err != nil {
		t.Fatal(err)
	}
	log.want(t,
		"1: asker ready  []", "1: waiting ready  []", "1: sleeping ready  []",
		"2: asker ready  []", "2: waiting waiting an event []", "2: sleeping ready  []",
		"3: asker ready  []", "3: waiting waiting an event []", "3: sleeping waiting a timer []",
		"inside: asker running  []", "inside: waiting waiting an event []", "inside: sleeping waiting a timer []",
		"4: asker waiting a timer []", "4: waiting ready  []", "4: sleeping waiting a timer []",
		"5: asker waiting a timer []", "5: sleeping waiting a timer []",
		"6: asker waiting a timer []",
		"7: asker waiting a coroutine [3]", "7: last ready  []",
		"8: asker waiting a coroutine [3]", "8: last waiting a timer []",
		"9: asker ready  []",
	)
}

// R24: in virtual time, with nobody ready, no timer and no thread, Run returns a DeadlockError that names who waits for what.
func TestR24DeadlockNamesWhoWaitsForWhat(t *testing.T) {
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
func TestR24ThreadCanStillWakeALoopInVirtualTime(t *testing.T) {
	noLeaks(t)
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
func TestR24VirtualTimeSkipsIdleTime(t *testing.T) {
	noLeaks(t)
	began := time.Now()
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	for run := range 2 {
		_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
			want := time.Date(2000, 1, 1+run, 0, 0, 0, 0, time.UTC)
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
