package tinyio_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// shielded does do behind a Shield of an hour when its wait has been ended, and then returns how.
func shielded(d time.Duration, do func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		stop := co.Sleep(d)
		if stop == nil {
			return nil
		}
		if err := co.Shield(time.Hour, do); err != nil {
			return err
		}
		return stop
	})
}

// R13, R30: clean-up may call what blocks: inside a Shield fn runs although the caller is stopped, and its context is not done.
func TestCallInsideAShield(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		var log recorder
		err := virtually(func(co *tinyio.Co) error {
			c := shielded(time.Hour, func(co *tinyio.Co) error {
				v, err := tinyio.Call(co, func(ctx context.Context) (int, error) { return 7, ctx.Err() })
				log.add("Call: %v, %v", v, err)
				v, err = tinyio.CallInterruptible(co, func() { t.Error("it is interrupted") }, func() (int, error) { return 8, nil })
				log.add("CallInterruptible: %v, %v", v, err)
				return err
			})
			return co.Wait(c, failer(time.Second, errBoom))
		})
		if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom {
			t.Errorf("Run returns %v", err)
		}
		log.want(t, "Call: 7, <nil>", "CallInterruptible: 8, <nil>")
	})
}

// R13, R30: when the grace has passed, what is called is interrupted.
func TestCallInsideAShieldWhoseGraceEnds(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		var cause error
		var v int
		err := func() error {
			_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
				c := tinyio.Do(func(co *tinyio.Co) error {
					return co.Shield(time.Millisecond, func(co *tinyio.Co) error {
						var err error
						v, err = tinyio.Call(co, func(ctx context.Context) (int, error) {
							<-ctx.Done()
							cause = context.Cause(ctx)
							return 7, nil
						})
						return err
					})
				})
				return co.Wait(c, failer(0, errBoom))
			}))
			return err
		}()
		if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom || cause != errBoom || v != 7 {
			t.Errorf("Run returns %v; the cause is %v, the value %v", err, cause, v)
		}
	})
}

// R13, R19: an Isolate inside the Shield of one that is being stopped: its failure is handed back as ever, a value too.
func TestIsolateInsideAShieldOfOneThatIsStopped(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		start := startWatch(co)
		c := shielded(time.Hour, func(co *tinyio.Co) error {
			v, err := tinyio.Isolate(co, value(time.Second, 7))
			log.add("%v, %v after %v", v, err, start.passed(co))
			v, err = tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
				return 0, co.Wait(sleeper(time.Hour), failer(time.Second, errors.New("inside")))
			}))
			log.add("%v, %v after %v; %v", v, err, start.passed(co), co.Err())
			return nil
		})
		return co.Wait(c, failer(time.Second, errBoom))
	})
	if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "7, <nil> after 2s", "0, inside after 3s; <nil>")
}

// R13, R27: a daemon that is spawned inside a Shield during a crash is protected as long as that, and stopped with it.
func TestDaemonSpawnedInsideAShield(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		start := startWatch(co)
		c := shielded(time.Hour, func(co *tinyio.Co) error {
			return errors.Join(co.SpawnDaemon(heartbeat(&log, &start, "heartbeat")), co.Sleep(2500*time.Millisecond))
		})
		return co.Wait(c, failer(time.Second, errBoom))
	})
	if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "heartbeat: 2 beats, tinyio: cancelled because of: boom after 3.5s")
}

// R13, R10: a failure inside the Shield of a coroutine that is stopped is a clean-up error, and goes to who stopped it: a crash, a Timeout,
// a Cancel. One in a coroutine that was started there is as well.
func TestFailureInsideAShieldOfOneThatIsStopped(t *testing.T) {
	noLeaks(t)
	errInside := errors.New("inside")
	make := func() *tinyio.Coro[tinyio.Void] {
		return shielded(time.Hour, func(co *tinyio.Co) error { return wait(co, failer(time.Second, errInside)) })
	}
	err := virtually(func(co *tinyio.Co) error { return co.Wait(make(), failer(time.Second, errBoom)) })
	if g, ok := err.(*tinyio.ErrorGroup); !ok || !errors.Is(g.Errs[0], errBoom) || !errors.Is(err, errInside) {
		t.Errorf("Run returns %v", err)
	}
	succeed(t, func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, make(), time.Second)
		if !errors.Is(err, tinyio.ErrTimeout) || !errors.Is(err, errInside) {
			t.Errorf("Timeout returns %v", err)
		}
		c := make()
		if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
			return err
		}
		if err := c.Cancel(co, nil); !errors.Is(err, errInside) {
			t.Errorf("Cancel returns %v", err)
		}
		return co.Yield()
	})
}
