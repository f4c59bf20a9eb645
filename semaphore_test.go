package tinyio_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// holder acquires n permits of s, holds them for d, and logs when.
func holderOf(log *recorder, s *tinyio.Semaphore, name string, n int, d time.Duration) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		if err := s.AcquireN(co, n); err != nil {
			log.add("%s: %v", name, describe(err))
			return err
		}
		defer s.ReleaseN(n)
		log.add("%s", name)
		return co.Sleep(d)
	}).Named(name)
}

// R1: Acquire on a semaphore or lock that is free does not suspend.
func TestAcquireOfAFreePermitDoesNotSuspend(t *testing.T) {
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

// W1: a latecomer cannot take a permit between a release and its waiter's turn.
func TestReleasedPermitIsHandedToTheFirstWaiter(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		semaphore := tinyio.NewSemaphore(1)
		waiter := func(name string) tinyio.Awaitable {
			return tinyio.Do(func(co *tinyio.Co) error {
				if err := semaphore.Acquire(co); err != nil {
					return err
				}
				log.add("%s has it", name)
				if err := co.Yield(); err != nil {
					return err
				}
				semaphore.Release()
				return nil
			})
		}
		if err := semaphore.Acquire(co); err != nil {
			return err
		}
		if err := co.Spawn(waiter("first"), waiter("second")); err != nil {
			return err
		}
		semaphore.Release()
		if semaphore.TryAcquire() {
			t.Error("a latecomer takes the permit of a waiter")
		}
		if err := semaphore.Acquire(co); err != nil {
			return err
		}
		log.add("latecomer has it")
		semaphore.Release()
		return nil
	})
	log.want(t, "first has it", "second has it", "latecomer has it")
}

// W3: a permit that was granted to a waiter that is stopped before its turn goes to the next one.
func TestPermitGrantedToAStoppedWaiterIsNotLost(t *testing.T) {
	var lock tinyio.Lock
	var heard error
	succeed(t, func(co *tinyio.Co) error {
		if err := lock.Acquire(co); err != nil {
			return err
		}
		first := tinyio.Do(func(co *tinyio.Co) error {
			heard = lock.Acquire(co)
			return heard
		})
		second := tinyio.Do(func(co *tinyio.Co) error { return lock.Acquire(co) })
		releaser := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Second)
			lock.Release() // in the same step as, and before, the timeout
			return err
		})
		if err := co.Spawn(releaser); err != nil {
			return err
		}
		halted := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, first, time.Second)
			wantError(t, "Timeout", err, tinyio.ErrTimeout)
			return nil
		})
		return co.Wait(halted, second)
	})
	if heard == nil {
		t.Error("the first waiter was not stopped")
	}
	if lock.TryAcquire() {
		t.Error("the lock is free; the second waiter should have it")
	}
	// The same in a crash: afterwards the permit is free.
	lock.Release()
	if err := virtually(func(co *tinyio.Co) error {
		if err := lock.Acquire(co); err != nil {
			return err
		}
		first := tinyio.Do(func(co *tinyio.Co) error {
			heard = lock.Acquire(co)
			return heard
		})
		if err := co.Spawn(first); err != nil {
			return err
		}
		lock.Release()
		return errBoom
	}); !errors.Is(err, errBoom) || !errors.Is(heard, tinyio.ErrCancelled) {
		t.Errorf("Run returns %v, the waiter hears %v", err, heard)
	}
	if !lock.TryAcquire() {
		t.Error("the permit is lost")
	}
}

// Those that wait for permits are served in the order in which they came: few permits do not get ahead of many.
func TestSemaphoreServesInOrderWhateverTheWeight(t *testing.T) {
	var log recorder
	s := tinyio.NewSemaphore(3)
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(holderOf(&log, s, "a1", 1, time.Second), holderOf(&log, s, "b1", 1, 3*time.Second), holderOf(&log, s, "c3", 3, time.Second),
			holderOf(&log, s, "d1", 1, time.Second), holderOf(&log, s, "e2", 2, time.Second), holderOf(&log, s, "f0", 0, time.Second),
			tinyio.Do(func(co *tinyio.Co) error {
				log.add("free, and not for latecomers: %v", s.TryAcquire())
				if err := co.Sleep(2 * time.Second); err != nil {
					return err
				}
				log.add("after 2s: %v", s.TryAcquire())
				return nil
			}))
	})
	log.want(t, "a1", "b1", "f0", "free, and not for latecomers: false", "after 2s: false", "c3", "d1", "e2")
	for range 3 {
		if !s.TryAcquire() {
			t.Error("a permit is lost")
		}
	}
	if s.TryAcquire() {
		t.Error("there is a permit too many")
	}
}

// W2, W3: when a coroutine that waits for many permits gives up, those behind it get what they may have; what it was granted goes to them.
func TestSemaphoreWaiterThatGivesUpLetsOthersPass(t *testing.T) {
	var log recorder
	s := tinyio.NewSemaphore(3)
	succeed(t, func(co *tinyio.Co) error {
		impatient := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, holderOf(&log, s, "impatient", 3, 0), time.Second)
			if !errors.Is(err, tinyio.ErrTimeout) {
				return err
			}
			return nil
		})
		behind := func(c *tinyio.Coro[tinyio.Void]) tinyio.Awaitable {
			return tinyio.Do(func(co *tinyio.Co) error { return wait(co, c) })
		}
		return co.Wait(holderOf(&log, s, "a1", 1, 2*time.Second), impatient, behind(holderOf(&log, s, "b2", 2, time.Second)),
			behind(holderOf(&log, s, "c1", 1, time.Second)))
	})
	log.want(t, "a1", "impatient: timeout 1s", "b2", "c1")
	log = recorder{}
	err := virtually(func(co *tinyio.Co) error {
		if err := s.AcquireN(co, 3); err != nil {
			return err
		}
		waits := holderOf(&log, s, "waits", 3, 0)
		if err := co.Spawn(waits, holderOf(&log, s, "behind", 2, 0)); err != nil {
			return err
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		s.ReleaseN(3) // waits has been granted them, and is stopped before its turn
		return waits.Cancel(co, errBoom)
	})
	log.want(t, "waits: cancelled", "behind")
	if err != nil {
		t.Error(err)
	}
}

// R1: an Acquire, a Put or a Get that can be served does not suspend, but for every 64th in a turn.
func TestEvery64thWaitThatIsServedIsATurn(t *testing.T) {
	noLeaks(t)
	s, l, q := tinyio.NewSemaphore(1000), new(tinyio.Lock), tinyio.NewQueue[int](1000)
	ways := map[string]func(co *tinyio.Co, i int) error{
		"Acquire": func(co *tinyio.Co, _ int) error { return s.Acquire(co) },
		"Put":     func(co *tinyio.Co, i int) error { return q.Put(co, i) },
		"Get": func(co *tinyio.Co, i int) error {
			q.TryPut(i)
			_, err := q.Get(co)
			return err
		},
		"each in turn": func(co *tinyio.Co, i int) error {
			switch i % 3 {
			case 0:
				err := l.Acquire(co)
				l.Release()
				return err
			case 1:
				return q.Put(co, i)
			}
			_, _, err := q.GetFor(co, time.Second)
			return err
		},
	}
	for name, way := range ways {
		for _, alone := range []bool{true, false} {
			served, turns := 0, ""
			busy := tinyio.Do(func(co *tinyio.Co) error {
				for i := range 200 {
					if i == 100 {
						if err := co.Yield(); err != nil { // a turn begins
							return err
						}
					}
					if err := way(co, i); err != nil {
						return err
					}
					served++
				}
				return nil
			})
			other := tinyio.Do(func(co *tinyio.Co) error {
				for served < 200 {
					turns += fmt.Sprint(served, " ")
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return nil
			})
			succeed(t, func(co *tinyio.Co) error {
				if alone {
					return co.Wait(busy)
				}
				return co.Wait(busy, other)
			})
			if want := "63 100 163 "; served != 200 || !alone && turns != want {
				t.Errorf("%s: %d were served, with turns of the other after %s, want %s", name, served, turns, want)
			}
		}
	}
}

// The turn of the others comes before the 64th is served: a coroutine that is stopped in it has acquired nothing.
func TestStoppedBeforeThe64thWaitIsServed(t *testing.T) {
	noLeaks(t)
	q := tinyio.NewQueue[int](100)
	var results []error
	busy := tinyio.Do(func(co *tinyio.Co) error {
		for i := range 66 {
			results = append(results, q.Put(co, i))
		}
		return nil
	})
	err := virtually(func(co *tinyio.Co) error {
		return co.Wait(busy, tinyio.Do(func(*tinyio.Co) error { return errBoom }))
	})
	if !errors.Is(err, errBoom) || len(results) != 66 || results[62] != nil || !errors.Is(results[63], tinyio.ErrCancelled) || q.Len() != 63 {
		t.Errorf("%v; %d puts, of which the last are %v; %d values are in the queue", err, len(results), results[62:], q.Len())
	}
}

// In the turn that the others have before the 64th is served, they may take what was free. Then the 64th waits.
func TestThe64thMayHaveToWait(t *testing.T) {
	var log recorder
	s := tinyio.NewSemaphore(1)
	begun := time.Time{}
	succeed(t, func(co *tinyio.Co) error {
		begun = co.Now()
		return co.Wait(tinyio.Do(func(co *tinyio.Co) error {
			for range 64 {
				if err := s.Acquire(co); err != nil {
					return err
				}
				s.Release()
			}
			log.add("the 64th after %v", co.Now().Sub(begun))
			return nil
		}), holderOf(&log, s, "other", 1, time.Second))
	})
	log.want(t, "other", "the 64th after 1s")
	if !s.TryAcquire() {
		t.Error("the permit is lost")
	}
}

// A discard in that turn leaves everything as it was.
func TestDiscardBeforeThe64thWaitIsServed(t *testing.T) {
	noLeaks(t)
	s := tinyio.NewSemaphore(100)
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		for range 70 {
			if err := s.Acquire(co); err != nil {
				return err
			}
			defer s.Release()
		}
		return nil
	}))
	for range r.Steps() {
		r.Discard()
	}
	for i := range 100 {
		if !s.TryAcquire() {
			t.Fatalf("only %d permits are back", i)
		}
	}
}

// AcquireN of no permits is served at once, and counts like the others: every 64th takes a turn.
func TestAcquireOfNothingIsATurnToo(t *testing.T) {
	s := tinyio.NewSemaphore(1)
	others := 0
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(tinyio.Do(func(co *tinyio.Co) error {
			for range 640 {
				if err := s.AcquireN(co, 0); err != nil {
					return err
				}
			}
			others += 1000
			return nil
		}), tinyio.Do(func(co *tinyio.Co) error {
			for others < 1000 {
				others++
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		}))
	})
	if others != 1010 {
		t.Errorf("the other one had %d turns", others-1000)
	}
}
