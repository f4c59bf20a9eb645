package tinyiotest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotest"
)

// Known bugs, put back into small primitives. Each program passes when it is left alone: first in, first out happens to be an
// order in which the bug does not show. Explore finds each with its default options.

// findsBug wants Explore to find the bug of a program, but not without a deviation, and nothing in it once it is fixed.
func findsBug(t *testing.T, what string, program func(fixed bool) func(co *tinyio.Co) error) (schedule string) {
	t.Helper()
	noLeaks(t)
	schedule = finds(t, program(false), what)
	if schedule == "a" {
		t.Errorf("the bug shows without any deviation; that is no test of Explore")
	}
	passes(t, program(true), tinyiotest.MaxSchedules(oneOf(raced, 100, 1000)))
	return schedule
}

// A semaphore is what these programs need of one.
type semaphore interface {
	Acquire(co *tinyio.Co) error
	Release()
}

// hold takes a permit, keeps it for so many turns, and gives it back.
func hold(co *tinyio.Co, s semaphore, turns int) error {
	if err := s.Acquire(co); err != nil {
		return err
	}
	defer s.Release()
	return yields(co, turns)
}

// A looseSemaphore is a semaphore with bugs.
type looseSemaphore struct {
	free    int
	waiters []*tinyio.Event
	handsOn bool // a released permit is handed to the first who waits, and is never free in between
	leaves  bool // who gives up waiting leaves the line
}

func (s *looseSemaphore) Acquire(co *tinyio.Co) error {
	if s.free == 0 {
		e := new(tinyio.Event)
		s.waiters = append(s.waiters, e)
		if err := e.Wait(co); err != nil {
			if s.leaves {
				s.leave(e)
			}
			return err
		}
		if s.handsOn {
			return nil
		}
	}
	if s.free--; s.free < 0 {
		return errBroken // somebody else has taken it
	}
	return nil
}

func (s *looseSemaphore) leave(e *tinyio.Event) {
	for i, w := range s.waiters {
		if w == e {
			s.waiters = append(s.waiters[:i], s.waiters[i+1:]...)
			return
		}
	}
}

func (s *looseSemaphore) Release() {
	if len(s.waiters) == 0 || !s.handsOn {
		s.free++
	}
	if len(s.waiters) > 0 {
		s.waiters[0].Set()
		s.waiters = s.waiters[1:]
	}
}

// TestFindsW1 puts back a semaphore in which a latecomer can take a permit between its release and the turn of who waits for it.
func TestFindsW1(t *testing.T) {
	findsBug(t, "it returns an error", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			s := oneOf[semaphore](fixed, tinyio.NewSemaphore(1), &looseSemaphore{free: 1})
			holder := func(co *tinyio.Co) error { return hold(co, s, 1) }
			return co.Wait(named("a", holder), named("b", holder), named("c", holder))
		}
	})
}

// TestFindsW2 puts back a semaphore in which one who has given up still swallows a permit, and the rest hang.
func TestFindsW2(t *testing.T) {
	findsBug(t, "it deadlocks", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			return giveUp(co, oneOf[semaphore](fixed, tinyio.NewSemaphore(1), &looseSemaphore{free: 1, handsOn: true}))
		}
	})
}

// TestFindsW3 puts back a semaphore that loses a permit granted to somebody who is cancelled before it is his turn.
func TestFindsW3(t *testing.T) {
	findsBug(t, "it deadlocks", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			return giveUp(co, oneOf[semaphore](fixed, tinyio.NewSemaphore(1), &looseSemaphore{free: 1, handsOn: true, leaves: true}))
		}
	})
}

// oneOf is the fixed one or the loose one.
func oneOf[T any](fixed bool, sound, loose T) T {
	if fixed {
		return sound
	}
	return loose
}

// giveUp has one hold the only permit, another one wait for it who may be cancelled meanwhile, and a third who wants it in the
// end.
func giveUp(co *tinyio.Co, s semaphore) error {
	quitter := named("quitter", func(co *tinyio.Co) error {
		if err := yields(co, 6); err != nil {
			return err
		}
		return errors.New("no patience left")
	})
	waiter := named("waiter", func(co *tinyio.Co) error { return hold(co, s, 0) })
	impatient := named("impatient", func(co *tinyio.Co) error { return co.Wait(waiter, quitter) })
	isolated := named("isolated", func(co *tinyio.Co) error {
		tinyio.Isolate(co, impatient)
		return co.Err()
	})
	holder := named("holder", func(co *tinyio.Co) error { return hold(co, s, 6) })
	if err := co.Wait(holder, isolated); err != nil {
		return err
	}
	return hold(co, s, 0)
}

// TestFindsW4 puts back a timeout of shared work that gives the others who wait for it a silent zero.
func TestFindsW4(t *testing.T) {
	findsBug(t, "it returns an error", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			value := 0
			var over tinyio.Event
			work := named("work", func(co *tinyio.Co) error {
				err := co.Sleep(time.Second)
				value = 1
				over.Set()
				return err
			})
			impatient := named("impatient", func(co *tinyio.Co) error {
				inTime, err := over.WaitFor(co, time.Second)
				if !inTime && !fixed {
					over.Set() // the work is no longer wanted: by this one
				}
				return err
			})
			patient := named("patient", func(co *tinyio.Co) error {
				if err := over.Wait(co); err != nil {
					return err
				}
				if value == 0 {
					return errBroken
				}
				return nil
			})
			return co.Wait(work, impatient, patient)
		}
	})
}

// TestFindsW5 puts back a timeout that takes it for granted that whoever is told to stop has stopped a turn later.
func TestFindsW5(t *testing.T) {
	findsBug(t, "it panics", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			var stop, stopped tinyio.Event
			dirty := false
			work := named("work", func(co *tinyio.Co) error {
				defer stopped.Set()
				for i := 0; i < 3 && !stop.IsSet(); i++ {
					dirty = true
					if err := yields(co, 1); err != nil {
						return err
					}
					if stop.IsSet() {
						if err := co.Yield(); err != nil { // the clean-up waits for something
							return err
						}
					}
					dirty = false
					if err := yields(co, 1); err != nil {
						return err
					}
				}
				return nil
			})
			stopper := named("stopper", func(co *tinyio.Co) error {
				if err := co.Yield(); err != nil {
					return err
				}
				stop.Set()
				wait := oneOf(fixed, stopped.Wait, (*tinyio.Co).Yield)
				if err := wait(co); err != nil {
					return err
				}
				if dirty {
					panic("the work goes on")
				}
				return nil
			})
			return co.Wait(work, stopper)
		}
	})
}

// A looseBarrier opens once and for all.
type looseBarrier struct {
	parties, arrived int
	open             tinyio.Event
}

func (b *looseBarrier) Wait(co *tinyio.Co) (int, error) {
	if b.arrived++; b.arrived == b.parties {
		b.open.Set()
	}
	return 0, b.open.Wait(co)
}

// A barrier is what these programs need of one.
type barrier interface {
	Wait(co *tinyio.Co) (int, error)
}

// TestFindsW18 puts back a barrier that works once.
func TestFindsW18(t *testing.T) {
	findsBug(t, "it returns an error", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			b := oneOf[barrier](fixed, tinyio.NewBarrier(2), &looseBarrier{parties: 2})
			var rounds [2]int
			party := func(me int) func(co *tinyio.Co) error {
				return func(co *tinyio.Co) error {
					for range 3 {
						rounds[me]++
						if _, err := b.Wait(co); err != nil {
							return err
						}
						if rounds[1-me] < rounds[me] {
							return errBroken
						}
					}
					return nil
				}
			}
			return co.Wait(named("a", party(0)), named("b", party(1)))
		}
	})
}

// TestFindsLostWakeUp has a consumer that looks, and then waits, with a turn in between.
func TestFindsLostWakeUp(t *testing.T) {
	findsBug(t, "it deadlocks", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			var queue []int
			var pulse tinyio.Event
			producer := named("producer", func(co *tinyio.Co) error {
				if err := yields(co, 2); err != nil {
					return err
				}
				queue = append(queue, 1)
				pulse.Set()
				pulse.Clear()
				return nil
			})
			consumer := named("consumer", func(co *tinyio.Co) error {
				if len(queue) > 0 {
					return nil
				}
				if err := co.Yield(); err != nil { // it says that it is going to wait
					return err
				}
				if fixed && len(queue) > 0 {
					return nil
				}
				return pulse.Wait(co)
			})
			return co.Wait(producer, consumer)
		}
	})
}

// TestFindsCheckThenAct has two that look at a balance and draw on it, with a turn in between.
func TestFindsCheckThenAct(t *testing.T) {
	findsBug(t, "it returns an error", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			balance := 100
			draw := func(after int) func(co *tinyio.Co) error {
				return func(co *tinyio.Co) error {
					if err := yields(co, after); err != nil || balance < 100 {
						return err
					}
					if err := co.Yield(); err != nil { // it writes to the audit log
						return err
					}
					if fixed && balance < 100 {
						return nil
					}
					if balance -= 100; balance < 0 {
						return errBroken
					}
					return nil
				}
			}
			return co.Wait(named("a", draw(0)), named("b", draw(2)))
		}
	})
}

// TestFindsLockOrder has two that take two locks in opposite orders.
func TestFindsLockOrder(t *testing.T) {
	s := findsBug(t, "it deadlocks", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			var x, y tinyio.Lock
			both := func(first, second *tinyio.Lock, after int) func(co *tinyio.Co) error {
				return func(co *tinyio.Co) error {
					if err := yields(co, after); err != nil {
						return err
					}
					if err := first.Acquire(co); err != nil {
						return err
					}
					defer first.Release()
					if err := co.Yield(); err != nil {
						return err
					}
					return hold(co, second, 0)
				}
			}
			other := both(oneOf(fixed, &x, &y), oneOf(fixed, &y, &x), 1)
			return co.Wait(named("xy", both(&x, &y, 0)), named("other", other))
		}
	})
	if s != "a,0:1" {
		t.Errorf("the schedule is %s, want a,0:1: one deviation is enough", s)
	}
}

// combination needs three deviations: the check has to come when a has had three turns and b none.
func combination(co *tinyio.Co) error {
	a, b := 0, 0
	count := func(n *int) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			for range 4 {
				*n++
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	check := named("check", func(*tinyio.Co) error {
		if a == 3 && b == 0 {
			return errBroken
		}
		return nil
	})
	return co.Wait(named("a", count(&a)), named("b", count(&b)), check)
}

// TestCanaryNeedsThreeDeviations shows that the bound means what it says.
func TestCanaryNeedsThreeDeviations(t *testing.T) {
	noLeaks(t)
	const space = 85 // schedules with at most two deviations, so that none is random
	said := passes(t, combination, tinyiotest.Deviations(2), tinyiotest.MaxSchedules(space))
	if !strings.Contains(said, "85 schedules") || !strings.HasSuffix(said, "among them all with at most 2 deviations") {
		t.Errorf("Explore says %q, want all with at most 2 deviations, and no others", said)
	}
	s := finds(t, combination, "it returns an error", tinyiotest.Deviations(3))
	if n := strings.Count(s, ","); n != 3 {
		t.Errorf("the schedule is %s, with %d deviations, want 3", s, n)
	}
}
