package tinyio_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// TestWorkersOfABurstEnd proves that the goroutines of a burst of coroutines end in the middle of a run, wherever each of them and the others
// are parked by then: coroutines switch to each other in an order that changes every round.
func TestWorkersOfABurstEnd(t *testing.T) {
	const n, rounds = 300, 5
	succeed(t, func(co *tinyio.Co) error {
		before := runtime.NumGoroutine()
		random := rand.New(rand.NewPCG(1, 2))
		turns := make([]int, n)
		all := make([]tinyio.Awaitable, n)
		for i := range all {
			all[i] = tinyio.Do(func(co *tinyio.Co) error {
				for range rounds {
					if err := co.Sleep(time.Duration(1 + random.IntN(n))); err != nil {
						return err
					}
					turns[i]++
				}
				return nil
			})
		}
		if err := co.Wait(all...); err != nil {
			return err
		}
		for i, got := range turns {
			if got != rounds {
				return fmt.Errorf("coroutine %d had %d turns, want %d", i, got, rounds)
			}
		}
		if after := runtime.NumGoroutine(); after > before+10 {
			return fmt.Errorf("%d goroutines are left of a burst of %d, %d before", after, n, before)
		}
		return nil
	})
}

// ignorer is a coroutine that ignores its cancellation until it is unwound. It records in begun how many calls deep it is when it begins.
func ignorer(begun func(depth int)) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		var callers [256]uintptr
		begun(runtime.Callers(0, callers[:]))
		for {
			_ = co.Sleep(1) // in virtual time, which would stand still for one that yields
		}
	})
}

// TestUnwindingCostsALoopNothing proves that a loop can unwind coroutines (R11) for ever: no goroutine and no memory is left of one, and later
// coroutines do not begin deeper on their stacks. Each that is unwound has been resumed by others than the one that made its goroutine,
// so another goroutine is parked each time where it began.
func TestUnwindingCostsALoopNothing(t *testing.T) {
	const rounds, each, allowed = 1000, 3, 1 << 20 // a goroutine that goes on after each would take 1.8 kB
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.StackInuse + m.HeapAlloc
	}
	succeed(t, func(co *tinyio.Co) error {
		depths, goroutines := map[int]int{}, 0
		var before uint64
		for round := range rounds {
			if round == 10 {
				before, goroutines = used(), runtime.NumGoroutine()
			}
			failed := errors.New("failed")
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				for range each {
					if err := co.Spawn(ignorer(func(depth int) { depths[depth]++ })); err != nil {
						return err
					}
				}
				for range round % 4 {
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return failed
			}))
			if !errors.Is(err, failed) {
				return fmt.Errorf("Isolate says %v, want %v", err, failed)
			}
		}
		if len(depths) != 1 {
			return fmt.Errorf("coroutines began so many calls deep, so often: %v; want all equally deep", depths)
		}
		if after := runtime.NumGoroutine(); after > goroutines+each {
			return fmt.Errorf("there were %d goroutines after ten rounds, and there are %d now", goroutines, after)
		}
		if after := used(); after > before+allowed {
			return fmt.Errorf("%d bytes are in use, %d before", after, before)
		}
		return nil
	})
}

// TestUnwindingDisturbsNobody proves that a worker can end wherever it and all others are parked by then (R11): coroutines sleep at random
// and are resumed in an order that changes all the time, while others among them are unwound.
func TestUnwindingDisturbsNobody(t *testing.T) {
	const n, rounds = 30, 20
	random := rand.New(rand.NewPCG(3, 4))
	turns, unwound := make([]int, n), 0
	sleep := func(co *tinyio.Co) error { return co.Sleep(time.Duration(random.IntN(n))) }
	succeed(t, func(co *tinyio.Co) error {
		all := make([]tinyio.Awaitable, n)
		for i := range all {
			all[i] = tinyio.Do(func(co *tinyio.Co) error {
				for range rounds {
					if err := sleep(co); err != nil {
						return err
					}
					if turns[i]++; i%2 == 0 {
						continue
					}
					failed := fmt.Errorf("failed in round %d of %d", turns[i], i)
					_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
						if err := co.Spawn(ignorer(func(int) { unwound++ })); err != nil {
							return err
						}
						if err := sleep(co); err != nil {
							return err
						}
						return failed
					}))
					if !errors.Is(err, failed) {
						return fmt.Errorf("Isolate says %v, want %v", err, failed)
					}
				}
				return nil
			})
		}
		return co.Wait(all...)
	})
	for i, got := range turns {
		if got != rounds {
			t.Errorf("coroutine %d had %d turns, want %d", i, got, rounds)
		}
	}
	if want := n / 2 * rounds; unwound != want {
		t.Errorf("%d were unwound, want %d", unwound, want)
	}
}

// TestExitsAreNobodyElsesAffair proves R14 for a Goexit on a goroutine in whose slot any other may be parked: it ends the run, and the other
// coroutines notice only that they are cancelled.
func TestExitsAreNobodyElsesAffair(t *testing.T) {
	noLeaks(t)
	const n = 100
	stopped, exits := 0, 0
	exited := make(chan bool)
	go func() {
		defer close(exited)
		_ = virtually(func(co *tinyio.Co) error {
			for i := range n {
				err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
					for {
						if err := co.Sleep(time.Duration(1 + i*7%n)); err != nil {
							stopped++
							if i%3 == 0 {
								exits++
								runtime.Goexit()
							}
							return err
						}
					}
				}))
				if err != nil {
					return err
				}
			}
			if err := co.Sleep(10 * n); err != nil {
				return err
			}
			runtime.Goexit()
			return nil
		})
		t.Error("Run returned, want it to exit")
	}()
	<-exited
	if stopped != n || exits != (n+2)/3 {
		t.Errorf("%d were stopped and %d of them exited, want %d and %d", stopped, exits, n, (n+2)/3)
	}
}

// TestStatusWhileCoroutinesChangePlaces proves that a Status finds every coroutine where it waits, even one that is parked in the slot of
// another, and that the question does not let it go on.
func TestStatusWhileCoroutinesChangePlaces(t *testing.T) {
	noLeaks(t)
	const n = 8
	loop := tinyio.NewLoop(tinyio.WithVirtualTime())
	var first, second tinyio.Event
	turns := 0
	_, err := tinyio.RunOn(t.Context(), loop, tinyio.Do(func(co *tinyio.Co) error {
		for i := range n {
			err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				for range i {
					if err := co.Yield(); err != nil {
						return err
					}
				}
				if err := first.Wait(co); err != nil {
					return err
				}
				turns++
				return second.Wait(co)
			}).Named(fmt.Sprint(i)))
			if err != nil {
				return err
			}
		}
		lines := map[int]int{}
		for wait := range 2 {
			for range 3 * n {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			for range 2 {
				for _, s := range loop.Status()[1:] {
					if s.State != "waiting" || s.On != "an event" {
						return fmt.Errorf("coroutine %s is %s for %s", s.Coro, s.State, s.On)
					}
					lines[s.Line]++
				}
			}
			if turns != wait*n || len(lines) != wait+1 {
				return fmt.Errorf("%d turns and waits at lines %v, want %d turns and %d lines", turns, lines, wait*n, wait+1)
			}
			if wait == 0 {
				first.Set()
			}
		}
		second.Set()
		return nil
	}))
	if err != nil {
		t.Error(err)
	}
}
