package tinyio_test

import (
	"iter"
	"runtime"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/tinyio-go/tinyio"
)

// R22: Set, Clear and IsSet may be called from any goroutine.
func TestEventIsSetFromGoroutines(t *testing.T) {
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

// R22: when many goroutines set an event, and many coroutines of several loops wait, none is lost.
func TestEventOfSeveralLoops(t *testing.T) {
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

// R22: a coroutine that waited when an event was set becomes ready, in order, even if the event is cleared before its turn.
func TestEventWakesInOrderEvenIfCleared(t *testing.T) {
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

// An event wakes the waiters of every loop, also of a loop that has run before, and keeps no loop in memory that has ended.
func TestEventOfManyLoops(t *testing.T) {
	noLeaks(t)
	var e tinyio.Event
	loops := make([]*tinyio.Loop, 100)
	for i := range loops {
		loops[i] = tinyio.NewLoop(tinyio.WithVirtualTime())
	}
	for round := range 3 {
		e.Clear()
		var runs []*tinyio.Runtime[tinyio.Void]
		var nexts []func() (tinyio.Pause, bool)
		for i, l := range loops {
			if i%(round+1) > 0 {
				continue // it does not run in this round
			}
			r := tinyio.Start(background, l, tinyio.Do(func(co *tinyio.Co) error {
				return co.Wait(tinyio.Do(e.Wait), tinyio.Do(e.Wait))
			}))
			next, stop := iter.Pull(r.Steps())
			defer stop()
			for p, ok := next(); ok && !p.Blocked; p, ok = next() {
			}
			runs, nexts = append(runs, r), append(nexts, next)
		}
		e.Set()
		for i, r := range runs {
			for _, ok := nexts[i](); ok; _, ok = nexts[i]() {
			}
			if _, err := r.Result(); err != nil {
				t.Errorf("round %d, run %d: %v", round, i, err)
			}
		}
	}
	kept := make([]weak.Pointer[tinyio.Loop], len(loops))
	for i, l := range loops {
		kept[i] = weak.Make(l)
	}
	clear(loops)
	e.Clear()
	for range 300 { // of other loops
		if _, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			_, err := e.WaitFor(co, time.Second)
			return err
		}), tinyio.WithVirtualTime()); err != nil {
			t.Error(err)
		}
	}
	runtime.GC()
	for i, p := range kept {
		if p.Value() != nil {
			t.Errorf("loop %d is kept by the event", i)
		}
	}
	runtime.KeepAlive(&e)
}
