package tinyio_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R28: no result is dropped. If what was awaited has finished when the caller is stopped, before its turn, each call returns the value beside
// the error, whether the caller has started it or another coroutine.
func TestValueBesideTheError(t *testing.T) {
	calls := map[string]func(co *tinyio.Co, c, finished *tinyio.Coro[int]) (int, error){
		"Await":   func(co *tinyio.Co, c, _ *tinyio.Coro[int]) (int, error) { return c.Await(co) },
		"Timeout": func(co *tinyio.Co, c, _ *tinyio.Coro[int]) (int, error) { return tinyio.Timeout(co, c, time.Hour) },
		"Gather": func(co *tinyio.Co, c, finished *tinyio.Coro[int]) (int, error) {
			vs, err := tinyio.Gather(co, finished, c)
			if len(vs) != 2 || vs[0] != 8 {
				return 0, err
			}
			return vs[1], err
		},
		"Wait": func(co *tinyio.Co, c, finished *tinyio.Coro[int]) (int, error) {
			err := co.Wait(finished, c)
			return c.Value(), err
		},
		"AsCompleted": func(co *tinyio.Co, c, _ *tinyio.Coro[int]) (int, error) {
			for v, err := range tinyio.AsCompleted(co, value(time.Hour, 0), c) {
				return v, err
			}
			return 0, nil
		},
		"WaitAny": func(co *tinyio.Co, c, _ *tinyio.Coro[int]) (int, error) {
			if i, err := tinyio.WaitAny(co, sleeper(time.Hour), c); i == 1 {
				return c.Value(), err
			}
			return 0, nil
		},
		"First": func(co *tinyio.Co, c, _ *tinyio.Coro[int]) (int, error) {
			return tinyio.First(co, value(time.Hour, 8), c)
		},
		"Isolate": func(co *tinyio.Co, c, _ *tinyio.Coro[int]) (int, error) { return tinyio.Isolate(co, c) },
	}
	for name, call := range calls {
		for _, started := range []bool{false, true} {
			for _, how := range []string{"crash", "cancel", "isolate"} {
				t.Run(fmt.Sprintf("%s, started %v, %s", name, started, how), func(t *testing.T) {
					noLeaks(t)
					var v int
					var stop error
					err := virtually(func(co *tinyio.Co) error {
						gate := new(tinyio.Event)
						c := tinyio.New(func(co *tinyio.Co) (int, error) { return 7, gate.Wait(co) })
						finished := value(0, 8)
						err := wait(co, finished)
						if started {
							err = errors.Join(err, co.Spawn(c))
						}
						caller := tinyio.Do(func(co *tinyio.Co) error {
							v, stop = call(co, c, finished)
							return stop
						})
						stopper := after(time.Second, func(co *tinyio.Co) error {
							gate.Set()
							if err := co.Yield(); err != nil { // c finishes
								return err
							}
							if how == "cancel" {
								return caller.Cancel(co, errBoom)
							}
							return errBoom
						})
						both := tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(caller, stopper) })
						if how == "isolate" {
							if _, err := tinyio.Isolate(co, both); !errors.Is(err, errBoom) {
								t.Errorf("Isolate returns %v", err)
							}
							return err
						}
						return errors.Join(err, wait(co, both))
					})
					if how == "crash" && !errors.Is(err, errBoom) || how != "crash" && err != nil {
						t.Errorf("Run returns %v", err)
					}
					if v != 7 {
						t.Errorf("the value is %v", v)
					}
					wantStopped(t, stop, errBoom)
				})
			}
		}
	}
}

// R28: if what was awaited has failed, there is no value, and the caller gets its own stop.
func TestNoValueBesideTheError(t *testing.T) {
	noLeaks(t)
	var v int
	var stop error
	err := virtually(func(co *tinyio.Co) error {
		c := tinyio.New(func(co *tinyio.Co) (int, error) {
			co.Sleep(time.Second)
			return 7, errBoom
		})
		caller := tinyio.Do(func(co *tinyio.Co) error {
			v, stop = c.Await(co)
			return stop
		})
		return co.Wait(caller)
	})
	if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom || v != 0 {
		t.Errorf("Await returns %v, %v, and Run %v", v, stop, err)
	}
	wantStopped(t, stop, errBoom)
}
