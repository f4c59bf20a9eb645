package tinyio_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// TestWorkersOfABurstEnd proves that goroutines that a burst of coroutines needed end in the middle of a run, wherever each
// of them and whoever waits is parked by then: coroutines go on with each other in an order that changes every round.
func TestWorkersOfABurstEnd(t *testing.T) {
	noLeaks(t)
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

// TestExitsAreNobodyElsesAffair proves R14 for a Goexit on a goroutine in whose place anybody may be parked: it ends the run, and no
// coroutine but its own notices anything but its cancellation.
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

// TestStatusWhileCoroutinesChangePlaces proves that whoever asks finds every coroutine where it waits, also when it is parked
// in the place of another one, and that being asked does not let it go on.
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
