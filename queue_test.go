package tinyio_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// Queues: first in, first out, first come, first served; and what has been granted stands.

// putter puts vs into q, one after the other, and logs the results.
func putter(log *recorder, q *tinyio.Queue[int], name string, vs ...int) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		for _, v := range vs {
			err := q.Put(co, v)
			log.add("%s put %d: %v", name, v, describe(err))
			if err != nil && err != tinyio.ErrClosed {
				return err
			}
		}
		return nil
	}).Named(name)
}

// getter takes n values out of q and logs them.
func getter(log *recorder, q *tinyio.Queue[int], name string, n int) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		for range n {
			v, err := q.Get(co)
			log.add("%s got %d: %v", name, v, describe(err))
			if err != nil && err != tinyio.ErrClosed {
				return err
			}
		}
		return nil
	}).Named(name)
}

// R1: Put and Get suspend only if they have to wait. A coroutine that was served goes on after the turn of the one that has served it.
func TestQueueOrder(t *testing.T) {
	p := func(v int) string { return fmt.Sprintf("p put %d: ok", v) }
	g := func(v int) string { return fmt.Sprintf("g got %d: ok", v) }
	for capacity, want := range []struct{ putterFirst, getterFirst []string }{
		{[]string{g(1), p(1), p(2), g(2), g(3), p(3)}, []string{p(1), g(1), g(2), p(2), p(3), g(3)}},
		{[]string{p(1), g(1), g(2), p(2), p(3), g(3)}, []string{p(1), p(2), g(1), g(2), g(3), p(3)}},
		{[]string{p(1), p(2), g(1), g(2), g(3), p(3)}, []string{p(1), p(2), p(3), g(1), g(2), g(3)}},
	} {
		var log recorder
		q := tinyio.NewQueue[int](capacity)
		succeed(t, func(co *tinyio.Co) error { return co.Wait(putter(&log, q, "p", 1, 2, 3), getter(&log, q, "g", 3)) })
		log.want(t, want.putterFirst...)
		log = recorder{}
		succeed(t, func(co *tinyio.Co) error { return co.Wait(getter(&log, q, "g", 3), putter(&log, q, "p", 1, 2, 3)) })
		log.want(t, want.getterFirst...)
	}
	var log recorder
	q := tinyio.NewQueue[int](2)
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(putter(&log, q, "p", 1, 2, 3, 4), tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.Sleep(time.Second), wait(co, getter(&log, q, "g", 4)))
		}))
	})
	log.want(t, p(1), p(2), g(1), g(2), g(3), p(3), p(4), g(4))
}

// Those who wait are served in the order in which they came, and each value goes to one of them.
func TestQueueServesInOrder(t *testing.T) {
	var log recorder
	q := tinyio.NewQueue[int](1)
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(getter(&log, q, "a", 1), getter(&log, q, "b", 1), getter(&log, q, "c", 1),
			tinyio.Do(func(co *tinyio.Co) error {
				log.add("%v %v %v %v, %d", q.TryPut(1), q.TryPut(2), q.TryPut(3), q.TryPut(4), q.Len())
				return nil
			}))
	})
	log.want(t, "true true true true, 1", "a got 1: ok", "b got 2: ok", "c got 3: ok")
	log = recorder{}
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(putter(&log, q, "a", 5), putter(&log, q, "b", 6), putter(&log, q, "c", 7),
			tinyio.Do(func(co *tinyio.Co) error {
				for range 5 {
					v, ok := q.TryGet()
					log.add("%d %v, %d", v, ok, q.Len())
				}
				return nil
			}))
	})
	log.want(t, "4 true, 1", "5 true, 1", "6 true, 1", "7 true, 0", "0 false, 0", "a put 5: ok", "b put 6: ok", "c put 7: ok")
}

// W1: a latecomer cannot take a value, or room, between the grant and the turn of the one that has waited.
func TestQueueLatecomerDoesNotOvertake(t *testing.T) {
	noLeaks(t)
	for _, capacity := range []int{0, 1} {
		t.Run(fmt.Sprint("capacity ", capacity), func(t *testing.T) {
			var log recorder
			q := tinyio.NewQueue[int](capacity)
			succeed(t, func(co *tinyio.Co) error {
				late := getter(&log, q, "late", 1)
				err := co.Wait(getter(&log, q, "first", 1), tinyio.Do(func(co *tinyio.Co) error {
					log.add("put %v", q.TryPut(1))
					_, ok := q.TryGet()
					log.add("taken before its turn: %v", ok)
					return co.Wait(late, putter(&log, q, "p", 2))
				}))
				return err
			})
			log.want(t, "put true", "taken before its turn: false", "first got 1: ok", "p put 2: ok", "late got 2: ok")
		})
	}
	var log recorder
	q := tinyio.NewQueue[int](1)
	succeed(t, func(co *tinyio.Co) error {
		q.TryPut(1)
		return co.Wait(putter(&log, q, "first", 2), tinyio.Do(func(co *tinyio.Co) error {
			v, _ := q.TryGet()
			log.add("got %d, room before its turn: %v", v, q.TryPut(3))
			return co.Wait(getter(&log, q, "g", 2), putter(&log, q, "late", 3))
		}))
	})
	log.want(t, "got 1, room before its turn: false", "first put 2: ok", "g got 2: ok", "late put 3: ok", "g got 3: ok")
}

// W2: a coroutine whose wait is timed out gets nothing, and those behind it are served.
func TestQueueWaitThatTimesOut(t *testing.T) {
	var log recorder
	q := tinyio.NewQueue[int](1)
	timedOut := func(c *tinyio.Coro[tinyio.Void]) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			if _, err := tinyio.Timeout(co, c, time.Second); !errors.Is(err, tinyio.ErrTimeout) {
				t.Errorf("Timeout returns %v", err)
			}
			return nil
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		late := getter(&log, q, "late", 1)
		if err := co.Spawn(timedOut(getter(&log, q, "impatient", 1)), tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.Yield(), wait(co, late))
		})); err != nil {
			return err
		}
		if err := co.Sleep(2 * time.Second); err != nil {
			return err
		}
		if err := co.Wait(putter(&log, q, "p", 1, 2)); err != nil { // the second fills the queue
			return err
		}
		late = putter(&log, q, "late", 4)
		if err := co.Wait(timedOut(putter(&log, q, "impatient", 3)), tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.Sleep(2*time.Second), wait(co, getter(&log, q, "g", 1)))
		}), late); err != nil {
			return err
		}
		return wait(co, getter(&log, q, "g", 1))
	})
	log.want(t, "impatient got 0: timeout 1s", "p put 1: ok", "p put 2: ok", "late got 1: ok",
		"impatient put 3: timeout 1s", "g got 2: ok", "late put 4: ok", "g got 4: ok")
}

// A scene is a wait for a queue, and what grants it.
type scene struct {
	wait  func(co *tinyio.Co) (int, error)
	grant func() int
}

func scenes() map[string]scene {
	q, r := tinyio.NewQueue[int](1), tinyio.NewQueue[int](0)
	return map[string]scene{
		"Get": {q.Get, func() int { q.TryPut(7); return 7 }},
		"Put": {func(co *tinyio.Co) (int, error) { return 7, r.Put(co, 7) }, func() int { v, _ := r.TryGet(); return v }},
	}
}

// W3: a value, or room, that was granted to a coroutine that is stopped before its turn is not lost: the coroutine gets it, and its next
// suspension returns the error.
func TestQueueGrantStands(t *testing.T) {
	// Each way runs waiting, and then in one step grants what it waits for and stops it.
	ways := map[string]func(waiting func(co *tinyio.Co) error, grant func()){
		"crash": func(waiting func(co *tinyio.Co) error, grant func()) {
			virtually(func(co *tinyio.Co) error {
				return co.Wait(tinyio.Do(waiting), tinyio.Do(func(*tinyio.Co) error { grant(); return errBoom }))
			})
		},
		"Isolate": func(waiting func(co *tinyio.Co) error, grant func()) {
			virtually(func(co *tinyio.Co) error {
				_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
					return co.Wait(tinyio.Do(waiting), tinyio.Do(func(*tinyio.Co) error { grant(); return errBoom }))
				}))
				return err
			})
		},
		"panic": func(waiting func(co *tinyio.Co) error, grant func()) {
			panicOf(func() {
				virtually(func(co *tinyio.Co) error {
					return co.Wait(tinyio.Do(waiting), tinyio.Do(func(*tinyio.Co) error { grant(); panic(errBoom) }))
				})
			})
		},
		"Goexit": func(waiting func(co *tinyio.Co) error, grant func()) {
			var group sync.WaitGroup
			group.Go(func() {
				virtually(func(co *tinyio.Co) error {
					exiting := tinyio.Do(func(*tinyio.Co) error { grant(); runtime.Goexit(); return nil })
					return co.Wait(tinyio.Do(waiting), exiting)
				})
			})
			group.Wait()
		},
		"Timeout": func(waiting func(co *tinyio.Co) error, grant func()) {
			clock := newManualClock()
			tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
				limited := tinyio.Do(func(co *tinyio.Co) error {
					_, err := tinyio.Timeout(co, tinyio.Do(waiting), 5*time.Second)
					return err
				})
				return co.Wait(limited, tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(time.Second)
					grant()
					clock.now = clock.now.Add(10 * time.Second)
					return err
				}))
			}), tinyio.WithClock(clock))
		},
		"the end of a Shield": func(waiting func(co *tinyio.Co) error, grant func()) {
			clock := newManualClock()
			tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
				shielded := func(grace time.Duration, f func(co *tinyio.Co) error) tinyio.Awaitable {
					return tinyio.Do(func(co *tinyio.Co) error { return co.Shield(grace, f) })
				}
				return co.Wait(shielded(5*time.Second, waiting), shielded(time.Hour, func(co *tinyio.Co) error {
					err := co.Sleep(time.Second)
					grant()
					clock.now = clock.now.Add(10 * time.Second)
					return err
				}), failer(0, errBoom))
			}), tinyio.WithClock(clock))
		},
	}
	for way, run := range ways {
		for what, s := range scenes() {
			t.Run(what+", "+way, func(t *testing.T) {
				noLeaks(t)
				within(t, func() {
					var given, taken int
					first, second := errBoom, error(nil)
					run(func(co *tinyio.Co) error {
						taken, first = s.wait(co)
						second = co.Sleep(time.Hour)
						return second
					}, func() { given = s.grant() })
					if given != 7 || taken != 7 || first != nil || second == nil {
						t.Errorf("given %d, taken %d, %v, then %v", given, taken, first, second)
					}
				})
			})
		}
	}
}

// R18: Timeout of a wait that was granted in the step in which the time was up returns what was granted.
func TestQueueGrantInTheStepOfATimeout(t *testing.T) {
	for what, s := range scenes() {
		t.Run(what, func(t *testing.T) {
			noLeaks(t)
			clock := newManualClock()
			_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
				if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(time.Second)
					s.grant()
					clock.now = clock.now.Add(10 * time.Second)
					return err
				})); err != nil {
					return err
				}
				v, err := tinyio.Timeout(co, tinyio.New(s.wait), 5*time.Second)
				if v != 7 || err != nil {
					t.Errorf("Timeout returns %d, %v", v, err)
				}
				return err
			}), tinyio.WithClock(clock))
			if err != nil {
				t.Errorf("Run returns %v", err)
			}
		})
	}
}

// R8: a coroutine that is cancelled before anything was granted has neither put nor taken anything.
func TestQueueCancelledWhileWaiting(t *testing.T) {
	noLeaks(t)
	var log recorder
	empty, full, direct := tinyio.NewQueue[int](1), tinyio.NewQueue[int](1), tinyio.NewQueue[int](0)
	full.TryPut(1)
	err := virtually(func(co *tinyio.Co) error {
		return co.Wait(getter(&log, empty, "g", 1), putter(&log, full, "p", 2), putter(&log, direct, "d", 3),
			failer(time.Second, errBoom))
	})
	log.want(t, "g got 0: cancelled", "p put 2: cancelled", "d put 3: cancelled")
	_, waits := direct.TryGet()
	v, _ := full.TryGet()
	if !errors.Is(err, errBoom) || !empty.TryPut(0) || empty.Len() != 1 || v != 1 || full.Len() != 0 || waits {
		t.Errorf("Run returns %v, and the queues are not as they were", err)
	}
}

// R13: in a Shield a queue works in a coroutine that is cancelled.
func TestQueueBehindAShield(t *testing.T) {
	noLeaks(t)
	var log recorder
	q := tinyio.NewQueue[int](0)
	shielded := func(f func(co *tinyio.Co) error) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			stop := co.Sleep(time.Hour)
			if err := co.Shield(time.Second, f); err != nil {
				return err
			}
			return stop
		})
	}
	err := virtually(func(co *tinyio.Co) error {
		return co.Wait(shielded(func(co *tinyio.Co) error { return wait(co, getter(&log, q, "g", 1)) }),
			shielded(func(co *tinyio.Co) error { return q.Put(co, 5) }), failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) || errors.As(err, new(*tinyio.ErrorGroup)) {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "g got 5: ok")
}

// Close ends the waits of those that get from an empty queue, and of those that put into a full one, whose values are not put. What the queue
// holds can be taken.
func TestQueueClose(t *testing.T) {
	closed := "tinyio: the queue is closed"
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		q := tinyio.NewQueue[int](1)
		return co.Wait(getter(&log, q, "a", 1), getter(&log, q, "b", 1), tinyio.Do(func(co *tinyio.Co) error {
			q.TryPut(1)
			q.Close()
			q.Close()
			log.add("closed, %v", q.TryPut(2))
			return co.Wait(getter(&log, q, "late", 1), putter(&log, q, "p", 3))
		}))
	})
	log.want(t, "closed, false", "a got 1: ok", "b got 0: "+closed, "late got 0: "+closed, "p put 3: "+closed)
	log = recorder{}
	succeed(t, func(co *tinyio.Co) error {
		q := tinyio.NewQueue[int](1)
		return co.Wait(putter(&log, q, "a", 1, 2), putter(&log, q, "b", 3), tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Yield(); err != nil {
				return err
			}
			q.Close()
			log.add("closed, %d", q.Len())
			return wait(co, getter(&log, q, "g", 2))
		}))
	})
	log.want(t, "a put 1: ok", "closed, 1", "a put 2: "+closed, "b put 3: "+closed, "g got 1: ok", "g got 0: "+closed)
}

// A coroutine that is stopped when it is about to return ErrClosed returns its own error: ErrClosed would be a clean-up error.
func TestQueueCloseInTheStepOfACrash(t *testing.T) {
	var log recorder
	empty, full, closed := tinyio.NewQueue[int](0), tinyio.NewQueue[int](0), tinyio.NewQueue[int](0)
	closed.Close()
	crash(t, func(co *tinyio.Co) error {
		return co.Wait(getter(&log, empty, "g", 1), putter(&log, full, "p", 1), getter(&log, closed, "g again", 1),
			putter(&log, closed, "p again", 1), tinyio.Do(func(co *tinyio.Co) error {
				empty.Close()
				full.Close()
				return errBoom
			}))
	})
	slices.Sort(log.lines)
	log.want(t, "g again got 0: cancelled", "g got 0: cancelled", "p again put 1: cancelled", "p put 1: cancelled")
}

// All ranges until the queue is closed and empty. Leaving it early leaves the rest.
func TestQueueAll(t *testing.T) {
	var log recorder
	q := tinyio.NewQueue[int](3)
	consumer := func(name string, most int) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			for v, err := range q.All(co) {
				log.add("%s: %d, %v", name, v, describe(err))
				if err != nil {
					return err
				}
				if most--; most == 0 {
					break
				}
			}
			log.add("%s ends", name)
			return nil
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(consumer("a", 2), consumer("b", -1), tinyio.Do(func(co *tinyio.Co) error {
			for i := range 5 {
				if err := q.Put(co, i); err != nil {
					return err
				}
			}
			q.Close()
			return nil
		}))
	})
	log.want(t, "a: 0, ok", "a: 2, ok", "a ends", "b: 1, ok", "b: 3, ok", "b: 4, ok", "b ends")
	log = recorder{}
	q = tinyio.NewQueue[int](3)
	q.TryPut(1)
	err := virtually(func(co *tinyio.Co) error { return co.Wait(consumer("c", -1), failer(time.Second, errBoom)) })
	wantError(t, "Run", err, errBoom)
	log.want(t, "c: 1, ok", "c: 0, cancelled")
}

// R24: a deadlock names who waits for a queue.
func TestQueueDeadlock(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		return co.Wait(tinyio.New(tinyio.NewQueue[int](0).Get).Named("g"),
			tinyio.Do(func(co *tinyio.Co) error { return new(tinyio.Queue[int]).Put(co, 1) }).Named("p"))
	})
	var deadlock *tinyio.DeadlockError
	if !errors.As(err, &deadlock) || len(deadlock.Waits) != 3 {
		t.Fatalf("Run returns %v, want a deadlock of three", err)
	}
	for i, want := range []string{"g: waiting for a queue at ", "p: waiting for a queue at "} {
		if got := deadlock.Waits[i+1]; len(got) < len(want) || got[:len(want)] != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A picker that reverses the order of turns changes who runs first, and not who was given what.
func TestQueueWithAPicker(t *testing.T) {
	var log recorder
	q := tinyio.NewQueue[int](0)
	succeed(t, func(co *tinyio.Co) error {
		if err := co.Spawn(getter(&log, q, "a", 1)); err != nil {
			return err
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		if err := co.Spawn(getter(&log, q, "b", 1)); err != nil {
			return err
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		log.add("%v %v %v", q.TryPut(1), q.TryPut(2), q.TryPut(3))
		return nil
	}, tinyio.WithPicker(lastFirst{}))
	log.want(t, "true true false", "b got 2: ok", "a got 1: ok")
}

// A queue grows as it fills, keeps its order when its buffer wraps round, and drops what was taken.
func TestQueueGrowsAndForgets(t *testing.T) {
	noLeaks(t)
	q := tinyio.NewQueue[*[1 << 16]byte](math.MaxInt)
	freed := make(chan bool, 1)
	big := new([1 << 16]byte)
	runtime.AddCleanup(big, func(struct{}) { freed <- true }, struct{}{})
	q.TryPut(big)
	big = nil
	q.TryPut(nil)
	q.TryGet()
	within(t, func() {
		for {
			runtime.GC()
			select {
			case <-freed:
				return
			default:
			}
		}
	})
	numbers, next := tinyio.NewQueue[int](1000), 0
	for i := range 1000 {
		numbers.TryPut(i)
		if i%3 == 0 {
			if v, ok := numbers.TryGet(); v != next || !ok {
				t.Fatalf("%d, %v, want %d", v, ok, next)
			}
			next++
		}
	}
	for ; next < 1000; next++ {
		if v, ok := numbers.TryGet(); v != next || !ok {
			t.Fatalf("%d, %v, want %d", v, ok, next)
		}
	}
	if numbers.Len() != 0 || q.Len() != 1 {
		t.Errorf("%d and %d values are left", numbers.Len(), q.Len())
	}
	runtime.KeepAlive(q)
}

// No operation on a queue allocates, whether it waits or not.
func TestQueueAllocations(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	succeed(t, func(co *tinyio.Co) error {
		// The tests look at the invariants of a small loop after each step, and that allocates; this one is not small.
		idle := tinyio.NewQueue[int](0)
		for range 200 {
			if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error { idle.Get(co); return nil })); err != nil {
				return err
			}
		}
		defer idle.Close()
		q, there, back := tinyio.NewQueue[int](4), tinyio.NewQueue[int](0), tinyio.NewQueue[int](0)
		defer there.Close()
		if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
			for v, err := range there.All(co) {
				if err != nil {
					return err
				}
				if err := back.Put(co, v); err != nil {
					return err
				}
			}
			return nil
		})); err != nil {
			return err
		}
		for name, f := range map[string]func() error{
			"TryPut, TryGet": func() error { q.TryPut(1); q.TryGet(); return nil },
			"Put, Get": func() error {
				if err := q.Put(co, 1); err != nil {
					return err
				}
				_, err := q.Get(co)
				return err
			},
			"Put and Get that wait": func() error {
				if err := there.Put(co, 1); err != nil {
					return err
				}
				_, err := back.Get(co)
				return err
			},
		} {
			for range 10 {
				if err := f(); err != nil {
					return err
				}
			}
			var failed error
			if n := testing.AllocsPerRun(200, func() { failed = errors.Join(failed, f()) }); n > 0 || failed != nil {
				t.Errorf("%s: %v allocations, %v", name, n, failed)
			}
		}
		return nil
	})
}

// GetFor gives up when its time is up, without an error, and leaves the line: a value that comes later in the same step goes to the next.
func TestQueueGetFor(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		q := tinyio.NewQueue[int](0)
		get := func(name string, d time.Duration) tinyio.Awaitable {
			return tinyio.Do(func(co *tinyio.Co) error {
				start := startWatch(co)
				v, ok, err := q.GetFor(co, d)
				log.add("%s: %d, %v, %v after %v", name, v, ok, err, start.passed(co))
				return nil
			})
		}
		put := tinyio.Do(func(co *tinyio.Co) error {
			for v := range 2 {
				if err := co.Sleep(2 * time.Second); err != nil {
					return err
				}
				if err := q.Put(co, v+1); err != nil {
					return err
				}
			}
			q.Close()
			return nil
		})
		if err := co.Wait(put, get("impatient", time.Second), get("patient", time.Hour), get("at that time", 4*time.Second),
			get("next", time.Hour)); err != nil {
			return err
		}
		_, ok, err := q.GetFor(co, time.Hour)
		log.add("closed: %v, %v", ok, err)
		return nil
	})
	log.want(t, "impatient: 0, false, <nil> after 1s", "patient: 1, true, <nil> after 2s", "at that time: 0, false, <nil> after 4s",
		"next: 2, true, <nil> after 4s", "closed: false, tinyio: the queue is closed")
}
