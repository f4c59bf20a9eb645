package server

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// withDoor runs main on a loop with a door, and calls test meanwhile. The loop ends when main has, or stop is called.
func withDoor(t *testing.T, main func(co *tinyio.Co) error, test func(l *tinyio.Loop, d *door, stop func())) {
	t.Helper()
	d := newDoor()
	l := tinyio.NewLoop(tinyio.WithClock(d))
	ctx, stop := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() {
		defer d.end()
		_, err := tinyio.RunOn(ctx, l, tinyio.Do(main))
		ended <- err
	}()
	test(l, d, func() { stop(errStopped) })
	stop(errStopped)
	if err := <-ended; err != nil && !errors.Is(err, errStopped) {
		t.Errorf("the loop ended with %+v", err)
	}
}

// Whoever looks sees what no coroutine is in the middle of: the two numbers are always the same. The race detector looks on.
func TestNobodyLooksIntoATurn(t *testing.T) {
	a, b := 0, 0
	withDoor(t, func(co *tinyio.Co) error {
		for {
			a++
			b++
			if err := co.Sleep(10 * time.Microsecond); err != nil {
				return err
			}
			for range 10 {
				a++
				b++
				if err := co.Yield(); err != nil {
					return err
				}
			}
		}
	}, func(l *tinyio.Loop, d *door, stop func()) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 500 {
					if err := d.look(func() error { return l.Post(tinyio.Do(d.open)) }, func() {
						if a != b {
							t.Errorf("%d and %d", a, b)
						}
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
}

// A loop that always has something to do lets in who waits.
func TestBusyLoopOpensTheDoor(t *testing.T) {
	var looked sync.WaitGroup
	busy := make(chan bool)
	withDoor(t, func(co *tinyio.Co) error {
		other := co.Go(func(co *tinyio.Co) error {
			for co.Yield() == nil {
			}
			return co.Err()
		})
		close(busy)
		for co.Yield() == nil {
		}
		return other.Cancel(co, nil)
	}, func(l *tinyio.Loop, d *door, stop func()) {
		<-busy
		for range 100 {
			looked.Go(func() {
				if err := d.look(func() error { return l.Post(tinyio.Do(d.open)) }, func() {}); err != nil {
					t.Error(err)
				}
			})
		}
		looked.Wait()
	})
}

// When the loop has ended, whoever waits at the door is told, and so is who comes later.
func TestDoorIsShut(t *testing.T) {
	var waiting sync.WaitGroup
	begun, blocked := make(chan bool), make(chan bool)
	var after func() error
	withDoor(t, func(co *tinyio.Co) error {
		close(begun)
		<-blocked // in a turn, which lasts
		return nil
	}, func(l *tinyio.Loop, d *door, stop func()) {
		after = func() error {
			return d.look(func() error { return l.Post(tinyio.Do(d.open)) }, func() { t.Error("somebody looks") })
		}
		<-begun
		for range 10 {
			waiting.Go(func() {
				if err := d.look(func() error { return l.Post(tinyio.Do(d.open)) }, func() {}); err != nil && err != web.ErrStopping {
					t.Error(err)
				}
			})
		}
		close(blocked)
		waiting.Wait()
	})
	if err := after(); err != web.ErrStopping {
		t.Errorf("look = %v", err)
	}
}

// The clock of the loop is right although it has a door: it wakes whom it has to when it has to.
func TestDoorKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		withDoor(t, func(co *tinyio.Co) error {
			for _, d := range []time.Duration{time.Hour, time.Nanosecond, time.Minute} {
				if err := co.Sleep(d); err != nil {
					return err
				}
			}
			return nil
		}, func(l *tinyio.Loop, d *door, stop func()) { time.Sleep(2 * time.Hour) })
		if d := time.Since(start); d != 2*time.Hour {
			t.Errorf("it took %v", d)
		}
	})
}
