package tinyio_test

import (
	"sync"
	"testing"
	"time"

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

// R22: whoever waited when an event was set becomes ready, in order, even if it is cleared before its turn.
func TestEventWakesInOrderEvenIfCleared(t *testing.T) {
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
