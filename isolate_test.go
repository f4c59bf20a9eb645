package tinyio_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// after is a coroutine that calls do after d.
func after(d time.Duration, do func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(d); err != nil {
			return err
		}
		return do(co)
	})
}

// awaits is a coroutine that awaits c after d, logs the result and the time, and returns nil.
func awaits[T any](log *recorder, name string, d time.Duration, c *tinyio.Coro[T]) *tinyio.Coro[tinyio.Void] {
	return after(d, func(co *tinyio.Co) error {
		v, err := c.Await(co)
		log.add("%s: %v, %v after %v", name, v, err, passed(co))
		return nil
	}).Named(name)
}

// isolates is a coroutine that isolates c, and logs the result and the time.
func isolates[T any](log *recorder, name string, c *tinyio.Coro[T]) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		v, err := tinyio.Isolate(co, c)
		log.add("%s: %v, %v after %v", name, v, err, passed(co))
		return co.Yield()
	}).Named(name)
}

// stops are the ways to stop a domain after a second: by something inside, or by something outside.
var stops = []struct {
	name    string
	inside  func(co *tinyio.Co) error
	outside func(co *tinyio.Co, isolator *tinyio.Coro[tinyio.Void]) error
	stop    string // what those inside are stopped with
}{
	{"crash", func(co *tinyio.Co) error { return errBoom }, nil, "tinyio: cancelled because of: boom"},
	{"panic", func(co *tinyio.Co) error { panic("boom") }, nil, "tinyio: cancelled because of: panic: boom"},
	{"cancel", nil, func(co *tinyio.Co, isolator *tinyio.Coro[tinyio.Void]) error {
		return errors.Join(co.Spawn(isolator), co.Sleep(time.Second), isolator.Cancel(co, errBoom))
	}, "tinyio: cancelled because of: boom"},
	{"timeout", nil, func(co *tinyio.Co, isolator *tinyio.Coro[tinyio.Void]) error {
		if _, err := tinyio.Timeout(co, isolator, time.Second); !errors.Is(err, tinyio.ErrTimeout) {
			return err
		}
		return nil
	}, "tinyio: timed out after 1s"},
}

// eachStop runs program with each of stops. The program gets a coroutine to run inside, and a function that runs the coroutine that isolates.
func eachStop(t *testing.T, program func(co *tinyio.Co, fails tinyio.Awaitable, run func(*tinyio.Coro[tinyio.Void]) error, stop string) error) {
	for _, s := range stops {
		t.Run(s.name, func(t *testing.T) {
			succeed(t, func(co *tinyio.Co) error {
				inside := s.inside
				if inside == nil {
					inside = func(*tinyio.Co) error { return nil }
				}
				run := func(isolator *tinyio.Coro[tinyio.Void]) error {
					if s.outside == nil {
						return wait(co, isolator)
					}
					return s.outside(co, isolator)
				}
				return program(co, after(time.Second, inside), run, s.stop)
			})
		})
	}
}

// R19: a failure inside cancels everything inside, waits until it has stopped and is handed back; outside nothing happened.
func TestIsolateKeepsAFailureInside(t *testing.T) {
	var log recorder
	var isolated, last tinyio.Frame
	succeed(t, func(co *tinyio.Co) error {
		outside := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			log.add("outside: %v", err)
			return err
		})
		if err := co.Spawn(outside); err != nil {
			return err
		}
		spawnedInside := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Minute) })
			log.add("spawned inside: %v", err)
			return err
		})
		failing := tinyio.Do(func(co *tinyio.Co) error {
			last = here("failing", -1)
			return cmp.Or(co.Sleep(time.Second), errBoom)
		}).Named("failing")
		start := startWatch(co)
		_, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Spawn(spawnedInside); err != nil {
				return 0, err
			}
			isolated = here("isolated", 1)
			_, err := failing.Await(co)
			log.add("inside: %v", err)
			return 0, err
		}).Named("isolated"))
		log.add("isolate: %v, %v after %v", err, co.Err(), start.passed(co))
		var e *tinyio.Error
		if !errors.Is(err, errBoom) || !errors.As(err, &e) || len(e.Trace) < 2 {
			t.Fatalf("Isolate gives %v", err)
		}
		wantFrames(t, e.Trace[len(e.Trace)-2:], isolated, last)
		return co.Sleep(time.Second)
	})
	log.want(t, "inside: tinyio: cancelled because of: boom", "spawned inside: tinyio: cancelled because of: boom",
		"isolate: boom, <nil> after 1m1s", "outside: <nil>")
}

// R19: if nothing fails, Isolate returns the value when everything inside has finished.
func TestIsolateWaitsForEverythingInside(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		v, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			return 7, co.Spawn(sleeper(time.Minute))
		}))
		if v != 7 || err != nil || passed(co) != time.Minute {
			t.Errorf("Isolate gives %v, %v after %v", v, err, passed(co))
		}
		return nil
	})
}

// R19: cancelling the outside cancels the inside, children first; the error of Isolate is the caller's own.
func TestCancellingTheOutsideCancelsTheInside(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		caller := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				inner := tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(time.Hour)
					log.add("innermost: %v", err)
					return err
				})
				_, err := tinyio.Isolate(co, inner)
				log.add("inside: %v, %v", err, co.Err() != nil)
				return err
			}))
			log.add("caller: %v, %v", err, co.Err() != nil)
			return err
		})
		return co.Wait(caller, failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
	const cancelled = "tinyio: cancelled because of: boom"
	log.want(t, "innermost: "+cancelled, "inside: "+cancelled+", true", "caller: "+cancelled+", true")
}

// R19: a coroutine that was started outside may be awaited inside, and still belongs outside.
func TestCoroutineStartedOutsideMayBeAwaitedInside(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		outside := value(time.Minute, 1)
		if err := co.Spawn(outside); err != nil {
			return err
		}
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(outside, failer(time.Second, errBoom)) }))
		wantError(t, "Isolate", err, errBoom)
		v, err := outside.Await(co)
		if v != 1 {
			t.Errorf("the value is %d", v)
		}
		return err
	})
}

// R19: an error of clean-up inside is part of the result.
func TestCleanUpErrorsInsideAreInTheResult(t *testing.T) {
	errCleanUp := errors.New("clean-up")
	succeed(t, func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				return errCleanUp
			}))
		}))
		var group *tinyio.ErrorGroup
		if !errors.As(err, &group) || len(group.Errs) != 2 || !errors.Is(group.Errs[0], errBoom) || !errors.Is(group.Errs[1], errCleanUp) {
			t.Errorf("Isolate gives %v", err)
		}
		return nil
	})
}

// R19, W16: Isolate starts no goroutines but those of coroutines, however often the loop is idle meanwhile.
func TestIsolateStartsNoThread(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		most, before := 0, runtime.NumGoroutine()
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			for range 50 {
				if err := co.Sleep(time.Second); err != nil {
					return err
				}
				most = max(most, runtime.NumGoroutine())
			}
			return nil
		}))
		if most > before+1 {
			t.Errorf("there are %d goroutines more", most-before)
		}
		return err
	})
}

// R19, W17: no failure escapes Isolate: not that of a spawned coroutine, of a thread, of clean-up, nor a late one.
func TestNoFailureEscapesIsolate(t *testing.T) {
	cases := map[string]func(co *tinyio.Co) error{
		"own":     func(co *tinyio.Co) error { return errBoom },
		"spawned": func(co *tinyio.Co) error { return co.Spawn(failer(time.Second, errBoom)) },
		"thread":  func(co *tinyio.Co) error { return wait(co, tinyio.RunInThread(failingThread)) },
		"clean-up": func(co *tinyio.Co) error {
			if err := co.Spawn(failer(time.Second, errors.New("first"))); err != nil {
				return err
			}
			co.Sleep(time.Hour)
			return errBoom
		},
		"in a Timeout": func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				return errBoom
			}), time.Second)
			return err
		},
		"in a Shield": func(co *tinyio.Co) error {
			return co.Shield(time.Hour, func(co *tinyio.Co) error { return wait(co, failer(time.Second, errBoom)) })
		},
		"in an Isolate, handed on": func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, failer(time.Second, errBoom))
			return err
		},
		"after the first has finished": func(co *tinyio.Co) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(failer(time.Hour, errBoom)) }))
		},
		"of AsCompleted": func(co *tinyio.Co) error {
			for _, err := range tinyio.AsCompleted(co, sleeper(time.Second), failer(time.Second, errBoom)) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, inside := range cases {
		t.Run(name, func(t *testing.T) {
			succeed(t, func(co *tinyio.Co) error {
				if err := co.Spawn(sleeper(2 * time.Hour)); err != nil {
					return err
				}
				if _, err := tinyio.Isolate(co, tinyio.Do(inside)); !errors.Is(err, errBoom) {
					t.Errorf("Isolate gives %v", err)
				}
				return co.Yield()
			})
		})
	}
}

// R19: when an Isolate is stopped, shared work that was first awaited inside carries on if somebody outside waits for it: with its children,
// and with a helper that answers through a queue. The Isolate does not wait for it. All else inside is stopped.
func TestSharedWorkIsSpared(t *testing.T) {
	eachStop(t, func(co *tinyio.Co, fails tinyio.Awaitable, run func(*tinyio.Coro[tinyio.Void]) error, stop string) error {
		var log recorder
		start := startWatch(co)
		q := tinyio.NewQueue[int](0)
		shared := tinyio.New(func(co *tinyio.Co) (int, error) {
			helper := after(5*time.Second, func(co *tinyio.Co) error { return q.Put(co, 7) })
			if err := errors.Join(co.Spawn(helper), wait(co, noting(&log, "child", 3*time.Second, nil))); err != nil {
				return 0, err
			}
			return q.Get(co)
		})
		inside := tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.Spawn(fails, noting(&log, "beside", time.Hour, nil)), wait(co, shared))
		})
		if err := co.Spawn(awaits(&log, "outside", time.Second/2, shared)); err != nil {
			return err
		}
		err := run(tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, inside)
			if err == nil {
				t.Error("Isolate returns no error")
			}
			log.add("Isolate after %v", start.passed(co))
			return co.Err()
		}))
		err = errors.Join(err, co.Sleep(time.Minute))
		log.want(t, "beside begins after 0s", "child begins after 0s", "beside: "+stop+" after 1s", "Isolate after 1s",
			"child: <nil> after 3s", "outside: 7, <nil> after 5s")
		return err
	})
}

// R19: what shared work has started is spared in whatever way that was done: by Go, as a daemon, by a child or a helper that has finished
// meanwhile; and so is what it starts later.
func TestWhatSharedWorkHasStartedIsSpared(t *testing.T) {
	q := tinyio.NewQueue[string](0)
	puts := func(what string) *tinyio.Coro[tinyio.Void] {
		return after(5*time.Second, func(co *tinyio.Co) error { return q.Put(co, what) })
	}
	ways := map[string]func(co *tinyio.Co) error{
		"Spawn": func(co *tinyio.Co) error { return co.Spawn(puts("x")) },
		"Go": func(co *tinyio.Co) error {
			co.Go(func(co *tinyio.Co) error { return errors.Join(co.Sleep(5*time.Second), q.Put(co, "x")) })
			return nil
		},
		"SpawnDaemon": func(co *tinyio.Co) error { return co.SpawnDaemon(puts("x")) },
		"AsCompleted": func(co *tinyio.Co) error {
			_, err := tinyio.WaitAny(co, puts("x"), sleeper(0))
			return err
		},
		"child": func(co *tinyio.Co) error {
			return wait(co, tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(puts("x")) }))
		},
		"gathered": func(co *tinyio.Co) error {
			return co.Wait(sleeper(0), tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(puts("x")) }))
		},
		"helper": func(co *tinyio.Co) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(puts("x")) }))
		},
		"grandchild": func(co *tinyio.Co) error {
			return wait(co, tinyio.Do(func(co *tinyio.Co) error {
				return wait(co, tinyio.Do(func(co *tinyio.Co) error {
					return co.Spawn(tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(puts("x")) }))
				}))
			}))
		},
		"later": func(co *tinyio.Co) error { return errors.Join(co.Sleep(2*time.Second), co.Spawn(puts("x"))) },
		"isolated helper": func(co *tinyio.Co) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, puts("x")); return err }))
		},
		"racing helper": func(co *tinyio.Co) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error { _, err := tinyio.First(co, puts("x")); return err }))
		},
		"helper's child": func(co *tinyio.Co) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error { return wait(co, puts("x")) }))
		},
		"in a Shield": func(co *tinyio.Co) error {
			return co.Shield(time.Second, func(co *tinyio.Co) error { return co.Spawn(puts("x")) })
		},
		"in a Timeout": func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(puts("x")) }), time.Minute)
			return err
		},
	}
	for name, startHelper := range ways {
		t.Run(name, func(t *testing.T) {
			var log recorder
			succeed(t, func(co *tinyio.Co) error {
				shared := tinyio.New(func(co *tinyio.Co) (string, error) {
					if err := startHelper(co); err != nil {
						return "", err
					}
					return q.Get(co)
				})
				if err := co.Spawn(awaits(&log, "outside", time.Second/2, shared)); err != nil {
					return err
				}
				_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
					return co.Wait(shared, failer(time.Second, errBoom))
				}))
				log.add("Isolate: %v after %v", err, passed(co))
				return nil
			})
			end := "5s"
			if name == "later" {
				end = "7s"
			}
			log.want(t, "Isolate: boom after 1s", "outside: x, <nil> after "+end)
		})
	}
}

// R19: what was spared belongs to the domain of the first who waits for it: if it fails later, that domain crashes, and an awaiter in another
// domain gets the error as a value.
func TestFailureOfWhatWasSpared(t *testing.T) {
	eachStop(t, func(co *tinyio.Co, fails tinyio.Awaitable, run func(*tinyio.Coro[tinyio.Void]) error, stop string) error {
		var log recorder
		errLater := errors.New("later")
		shared := tinyio.New(func(co *tinyio.Co) (int, error) {
			err := co.Sleep(5 * time.Second)
			if err == nil {
				err = errLater
			}
			return 0, err
		})
		domain := func(name string, d time.Duration) tinyio.Awaitable {
			return isolates(&log, name, tinyio.Do(func(co *tinyio.Co) error {
				return co.Wait(awaits(&log, "in "+name, d, shared), noting(&log, "beside "+name, 6*time.Second, nil))
			}))
		}
		if err := co.Spawn(domain("second", time.Second/2), domain("first", time.Second/4)); err != nil {
			return err
		}
		inside := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(fails, shared) })
		err := run(tinyio.Do(func(co *tinyio.Co) error { tinyio.Isolate(co, inside); return co.Err() }))
		err = errors.Join(err, co.Sleep(time.Minute))
		log.want(t, "beside second begins after 0s", "beside first begins after 0s",
			"in first: 0, tinyio: cancelled because of: later after 5s", "in second: 0, later after 5s",
			"beside first: tinyio: cancelled because of: later after 5s",
			"first: {}, later after 5s", "beside second: <nil> after 6s", "second: {}, <nil> after 6s")
		return err
	})
}

// R19: of nested domains, the spared one may come to belong to the outer. When that is stopped too, it moves on to whoever waits outside it.
func TestSharedWorkOfNestedDomains(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		shared := noting(&log, "shared", 5*time.Second, nil)
		inner := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(shared, failer(time.Second, errBoom)) })
		outer := tinyio.Do(func(co *tinyio.Co) error {
			return co.Wait(isolates(&log, "inner", inner), awaits(&log, "in outer", time.Second/2, shared),
				failer(2*time.Second, errBoom))
		})
		err := co.Spawn(awaits(&log, "outside", 1500*time.Millisecond, shared))
		return errors.Join(err, co.Wait(isolates(&log, "outer", outer)))
	})
	log.want(t, "shared begins after 0s", "inner: {}, boom after 1s", "in outer: , tinyio: cancelled because of: boom after 2s",
		"outer: {}, boom after 2s", "shared: <nil> after 5s", "outside: shared, <nil> after 5s")
}

// R19: when a domain is stopped, shared work several domains deep inside is spared too, although the domains between are stopped.
func TestSharedWorkDeepInside(t *testing.T) {
	eachStop(t, func(co *tinyio.Co, fails tinyio.Awaitable, run func(*tinyio.Coro[tinyio.Void]) error, stop string) error {
		var log recorder
		start := startWatch(co)
		shared := noting(&log, "shared", 5*time.Second, nil)
		deep := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(shared, noting(&log, "deep", time.Hour, nil)) })
		middle := tinyio.Do(func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, deep); return err })
		inside := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(fails, middle) })
		if err := co.Spawn(awaits(&log, "outside", time.Second/2, shared)); err != nil {
			return err
		}
		err := run(tinyio.Do(func(co *tinyio.Co) error { tinyio.Isolate(co, inside); return co.Err() }))
		log.add("stopped after %v", start.passed(co))
		err = errors.Join(err, co.Sleep(time.Minute))
		log.want(t, "shared begins after 0s", "deep begins after 0s", "deep: "+stop+" after 1s", "stopped after 1s",
			"shared: <nil> after 5s", "outside: shared, <nil> after 5s")
		return err
	})
}

// R19: an awaiter in the domain, or in one that is isolated inside it, is not outside. One that has been stopped, and is not in a Shield, does
// not count.
func TestNobodyOutsideWaits(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		shared := noting(&log, "shared", 5*time.Second, nil)
		stopped := tinyio.Do(func(co *tinyio.Co) error { // it is cancelled, and waits for its child to stop
			err := co.Sleep(time.Second / 4)
			if err == nil {
				err = co.Wait(shared, stubborn(0, time.Hour, 2*time.Second, nil))
			}
			log.add("stopped after %v", passed(co))
			return err
		})
		inside := tinyio.Do(func(co *tinyio.Co) error {
			return co.Wait(awaits(&log, "inside", 0, shared), isolates(&log, "isolated", awaits(&log, "deep", 0, shared)),
				failer(time.Second, errBoom))
		})
		canceller := after(time.Second/2, func(co *tinyio.Co) error { return stopped.Cancel(co, errBoom) })
		return errors.Join(co.Spawn(stopped, canceller), wait(co, isolates(&log, "Isolate", inside)))
	})
	log.want(t, "shared begins after 0s", "shared: tinyio: cancelled because of: boom after 1s",
		"inside: , tinyio: cancelled because of: boom after 1s", "deep: , tinyio: cancelled because of: boom after 1s",
		"isolated: {}, tinyio: cancelled because of: boom after 1s", "Isolate: {}, boom after 1s", "stopped after 2.5s")
}

// R19, R13: an awaiter that has been stopped, and waits in a Shield, counts.
func TestSharedWorkForOneInAShield(t *testing.T) {
	eachStop(t, func(co *tinyio.Co, fails tinyio.Awaitable, run func(*tinyio.Coro[tinyio.Void]) error, stop string) error {
		var log recorder
		shared := noting(&log, "shared", 5*time.Second, nil)
		shielded := tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(time.Minute, func(co *tinyio.Co) error { return wait(co, awaitsIn(co, &log, shared)) })
		})
		canceller := after(time.Second/2, func(co *tinyio.Co) error { return shielded.Cancel(co, nil) })
		if err := co.Spawn(shielded, canceller); err != nil {
			return err
		}
		err := run(tinyio.Do(func(co *tinyio.Co) error {
			tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(shared, fails) }))
			return co.Err()
		}))
		err = errors.Join(err, co.Sleep(time.Minute))
		log.want(t, "shared begins after 0s", "shared: <nil> after 5s", "in the Shield: shared, <nil> after 5s")
		return err
	})
}

// awaitsIn is a coroutine that awaits c after a quarter of a second. It is started inside a Shield.
func awaitsIn(_ *tinyio.Co, log *recorder, c *tinyio.Coro[string]) *tinyio.Coro[tinyio.Void] {
	return awaits(log, "in the Shield", time.Second/4, c)
}

// R19, R13: coroutines that were started inside a Shield of the isolated one are spared like others, and then have no Shield but their own.
func TestSharedWorkStartedInsideAShield(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		shared := noting(&log, "shared", 20*time.Second, nil)
		inside := tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(10*time.Second, func(co *tinyio.Co) error {
				err := wait(co, shared)
				log.add("inside: %v after %v", err, passed(co))
				return err
			})
		})
		if err := co.Spawn(awaits(&log, "outside", time.Second/2, shared)); err != nil {
			return err
		}
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(inside, failer(time.Second, errBoom)) }))
		log.add("Isolate: %v after %v", err, passed(co))
		return co.Sleep(time.Minute)
	})
	log.want(t, "shared begins after 0s", "inside: tinyio: cancelled because of: boom after 11s", "Isolate: boom after 11s",
		"shared: <nil> after 20s", "outside: shared, <nil> after 20s")
}

// R19, R17: a helper that waits for the coroutine that isolates the awaiter outside cannot move into that domain: the two would wait for each
// other.
func TestHelperThatWaitsForWhereItWouldBelong(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		var elsewhere *tinyio.Coro[tinyio.Void]
		shared := tinyio.New(func(co *tinyio.Co) (int, error) {
			helper := after(time.Second/2, func(co *tinyio.Co) error {
				err := wait(co, elsewhere)
				log.add("helper: %v after %v", err, passed(co))
				return err
			})
			return 1, errors.Join(co.Spawn(helper), co.Sleep(5*time.Second))
		})
		elsewhere = isolates(&log, "elsewhere", awaits(&log, "waiter", time.Second/4, shared))
		if err := co.Spawn(elsewhere); err != nil {
			return err
		}
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(shared, failer(time.Second, errBoom)) }))
		log.add("Isolate: %v after %v", err, passed(co))
		return co.Sleep(time.Minute)
	})
	log.want(t, "Isolate: boom after 1s", "waiter: 1, <nil> after 5s", "elsewhere: {}, <nil> after 5s", "helper: <nil> after 5s")
}

// R19: inside an Isolate it is recorded who has started whom. That also works if a coroutine waits for any of several, and one of these
// is itself, or waits for it in the same way.
func TestWhoHasStartedWhomInARing(t *testing.T) {
	var log recorder
	late := func() *tinyio.Coro[tinyio.Void] {
		return after(2*time.Second, func(co *tinyio.Co) error { return co.Spawn(noting(&log, "helper", 0, nil)) })
	}
	t.Run("of one", func(t *testing.T) {
		within(t, func() {
			succeed(t, func(co *tinyio.Co) error {
				var first *tinyio.Coro[int]
				first = tinyio.New(func(co *tinyio.Co) (int, error) { return tinyio.WaitAny(co, first, sleeper(time.Second), late()) })
				_, err := tinyio.Isolate(co, first)
				return err
			})
		})
		log.want(t, "helper begins after 2s", "helper: <nil> after 2s")
	})
	log = recorder{}
	t.Run("of two", func(t *testing.T) {
		within(t, func() {
			succeed(t, func(co *tinyio.Co) error {
				second3, second4, second9 := sleeper(3*time.Second), sleeper(4*time.Second), sleeper(9*time.Second)
				var first, second *tinyio.Coro[int]
				first = tinyio.New(func(co *tinyio.Co) (int, error) {
					_, timeout := tinyio.Timeout(co, second, time.Second) // which starts it
					log.add("%v", timeout)
					if _, err := tinyio.WaitAny(co, second, second3); err != nil {
						return 0, err
					}
					return tinyio.WaitAny(co, second, second4, late())
				})
				second = tinyio.New(func(co *tinyio.Co) (int, error) { return tinyio.WaitAny(co, first, second9) })
				other := after(time.Second/2, func(co *tinyio.Co) error { // so that the first Timeout only gives up
					_, timeout := tinyio.Timeout(co, second, time.Second)
					log.add("%v", timeout)
					return nil
				})
				if err := co.Spawn(second3, second4, second9, other); err != nil {
					return err
				}
				_, err := tinyio.Isolate(co, first)
				return err
			})
		})
		const timedOut = "tinyio: timed out after 1s"
		log.want(t, timedOut, timedOut, "helper begins after 5s", "helper: <nil> after 5s")
	})
}

// givesUp is a coroutine that awaits c half a second later, and gives that up after two seconds.
func givesUp(log *recorder, c *tinyio.Coro[string]) *tinyio.Coro[tinyio.Void] {
	return after(time.Second/2, func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, c, 2*time.Second)
		log.add("outside: %v", err)
		return nil
	})
}

// R19, R18: what was spared is wanted by the one that waits: if that gives up, it is halted, unless it was spawned.
func TestSharedWorkThatIsGivenUp(t *testing.T) {
	for _, spawned := range []bool{false, true} {
		t.Run(fmt.Sprint("spawned: ", spawned), func(t *testing.T) {
			var log recorder
			succeed(t, func(co *tinyio.Co) error {
				shared := noting(&log, "shared", 5*time.Second, nil)
				_, err := tinyio.Isolate(co, sleeper(0))
				err = errors.Join(err, co.Spawn(givesUp(&log, shared)))
				_, failed := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
					if spawned {
						return errors.Join(co.Spawn(shared), co.Wait(failer(time.Second, errBoom)))
					}
					return co.Wait(shared, failer(time.Second, errBoom))
				}))
				log.add("Isolate: %v", failed)
				return errors.Join(err, co.Sleep(time.Minute))
			})
			if spawned {
				log.want(t, "shared begins after 0s", "Isolate: boom", "outside: tinyio: timed out after 2s", "shared: <nil> after 5s")
			} else {
				log.want(t, "shared begins after 0s", "Isolate: boom", "shared: tinyio: timed out after 2s after 2.5s",
					"outside: tinyio: timed out after 2s")
			}
		})
	}
}

// R19, R18: the same holds for the isolated coroutine itself, which the Isolate no longer wants.
func TestIsolatedOneThatIsGivenUp(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		shared := noting(&log, "shared", 5*time.Second, nil)
		err := co.Spawn(givesUp(&log, shared))
		_, failed := tinyio.Timeout(co, isolates(&log, "Isolate", shared), time.Second)
		log.add("Timeout: %v", failed)
		return errors.Join(err, co.Sleep(time.Minute))
	})
	log.want(t, "shared begins after 0s", "Isolate: , tinyio: timed out after 1s after 1s", "Timeout: tinyio: timed out after 1s",
		"shared: tinyio: timed out after 2s after 2.5s", "outside: tinyio: timed out after 2s")
}

// R19: if somebody outside cancels a coroutine inside (R25), Isolate returns that as a value. If others inside carry on, it waits for them.
func TestIsolatedOneThatIsCancelled(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		c := tinyio.New(func(co *tinyio.Co) (int, error) {
			return 1, errors.Join(co.Spawn(noting(&log, "beside", 3*time.Second, nil)), co.Sleep(time.Hour))
		})
		canceller := after(time.Second, func(co *tinyio.Co) error {
			err := c.Cancel(co, errBoom)
			log.add("Cancel: %v after %v", err, passed(co))
			return err
		})
		if err := co.Spawn(canceller); err != nil {
			return err
		}
		_, err := tinyio.Isolate(co, c)
		wantStopped(t, err, errBoom)
		log.add("Isolate after %v", passed(co))
		if co.Err() != nil {
			t.Error("the caller is stopped")
		}
		return co.Yield()
	})
	log.want(t, "beside begins after 0s", "Cancel: <nil> after 1s", "beside: <nil> after 3s", "Isolate after 3s")
}

// R19: with one error, co.Err distinguishes a failure inside from the caller's own stop, which is sticky.
func TestIsolateInARetryLoop(t *testing.T) {
	tries := 0
	succeed(t, func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			for {
				tries++
				if _, err := tinyio.Isolate(co, failer(time.Second, errBoom)); err == nil || co.Err() != nil {
					return err
				}
			}
		}), 3500*time.Millisecond)
		if !errors.Is(err, tinyio.ErrTimeout) || tries != 4 {
			t.Errorf("Timeout returns %v after %d tries", err, tries)
		}
		return co.Yield()
	})
}

// R14: Isolate returns a panic inside as an error, with its stack, its chain and the clean-up errors. A second panic is in it too.
func TestIsolateHandsBackAPanic(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			panics := after(time.Second, func(co *tinyio.Co) error { panic("ouch") }).Named("panics")
			return co.Wait(panics, stubborn(0, time.Hour, 0, errBoom), tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				panic(errors.New("another"))
			}))
		}))
		p, ok := err.(*tinyio.PanicError)
		if !ok || p.Value != "ouch" || !strings.Contains(string(p.Stack), "TestIsolateHandsBackAPanic") || len(p.Trace) != 2 || p.Trace[1].Coro != "panics" || !errors.Is(err, errBoom) {
			t.Errorf("Isolate returns %v", err)
		}
		if n := len(p.Unwrap()); n != 2 {
			t.Errorf("there are %d other errors", n)
		}
		return co.Yield()
	})
}

// R19: if its caller is cancelled while the domain crashes, Isolate returns the failure inside, and the caller's next wait returns its own
// stop.
func TestIsolateCancelledFromOutsideWhileCrashingInside(t *testing.T) {
	noLeaks(t)
	errInside := errors.New("inside")
	errCleanUp := errors.New("clean-up")
	var inside, own error
	err := virtually(func(co *tinyio.Co) error {
		caller := tinyio.Do(func(co *tinyio.Co) error {
			slow := tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(10 * time.Second) })
				return errCleanUp
			})
			_, inside = tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				return co.Wait(slow, failer(time.Second, errInside))
			}))
			own = co.Yield()
			return inside
		})
		return co.Wait(caller, failer(2*time.Second, errBoom))
	})
	if !errors.Is(inside, errInside) || !errors.Is(inside, errCleanUp) || errors.Is(inside, errBoom) {
		t.Errorf("Isolate gives %v", inside)
	}
	wantCancelled(t, own, errBoom)
	if !errors.Is(err, errBoom) || !errors.Is(err, errCleanUp) || !errors.Is(err, errInside) {
		t.Errorf("Run returns %v", err)
	}
}

// R10, R16, R19: a clean-up error inside an Isolate that is cancelled from outside comes out of Run, with a chain from the root.
func TestCleanUpErrorInsideACancelledIsolate(t *testing.T) {
	noLeaks(t)
	errCleanUp := errors.New("clean-up")
	err := virtually(func(co *tinyio.Co) error {
		caller := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				return errCleanUp
			}).Named("inside"))
			return err
		}).Named("caller")
		return co.Wait(caller, failer(time.Second, errBoom))
	})
	var group *tinyio.ErrorGroup
	if !errors.As(err, &group) || len(group.Errs) != 2 || !errors.Is(group.Errs[1], errCleanUp) {
		t.Fatalf("Run returns %v", err)
	}
	var names []string
	for _, f := range group.Errs[1].(*tinyio.Error).Trace[1:] {
		names = append(names, f.Coro)
	}
	if !slices.Equal(names, []string{"caller", "inside"}) {
		t.Errorf("the chain below the root is %v", names)
	}
}

// R15, R19: an Isolate has the group mode of its loop, and a nested run has its own.
func TestGroupModeOfAnIsolateAndOfANestedRun(t *testing.T) {
	program := func(co *tinyio.Co) error { return co.Wait(sleeper(time.Hour), failer(time.Second, errBoom)) }
	succeed(t, func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(program))
		var group *tinyio.ErrorGroup
		if !errors.As(err, &group) || !slices.Equal(texts(group.Errs), []string{"boom", "cancelled", "cancelled"}) {
			t.Errorf("Isolate gives %v", err)
		}
		if err := virtually(program); errors.As(err, &group) || !errors.Is(err, errBoom) {
			t.Errorf("the nested run returns %v", err)
		}
		return nil
	}, tinyio.WithErrorGroup(tinyio.GroupAlways))
}

// R10, R19: clean-up errors inside an Isolate whose caller is halted go to whatever halted the caller: to the Timeout or, if the context of a
// Submit was done, to the run.
func TestFailureInsideAnIsolateThatIsHalted(t *testing.T) {
	isolating := func() *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, tinyio.RunInThread(func(ctx context.Context) (tinyio.Void, error) {
				<-ctx.Done()
				return tinyio.Void{}, errBoom
			}))
			return err
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		if _, err := tinyio.Timeout(co, isolating(), time.Second); !errors.Is(err, tinyio.ErrTimeout) || !errors.Is(err, errBoom) {
			return fmt.Errorf("Timeout gives %w", err)
		}
		return co.Yield()
	})

	loop := tinyio.NewLoop()
	ctx, cancel := context.WithCancel(background)
	_, err := tinyio.RunOn(background, loop, tinyio.Do(func(co *tinyio.Co) error {
		begun := new(tinyio.Event)
		c := tinyio.Do(func(co *tinyio.Co) error {
			begun.Set()
			return wait(co, isolating())
		})
		submitting := tinyio.RunInThread(func(context.Context) (error, error) {
			_, err := tinyio.Submit(ctx, loop, c)
			return err, nil
		})
		if err := co.Spawn(submitting); err != nil {
			return err
		}
		if err := begun.Wait(co); err != nil {
			return err
		}
		if err := co.Sleep(time.Millisecond); err != nil { // the thread has begun
			return err
		}
		cancel()
		err, failed := submitting.Await(co)
		if failed != nil || !errors.Is(err, context.Canceled) {
			return fmt.Errorf("Submit gives %w and %w", err, failed)
		}
		return nil
	}))
	wantError(t, "Run", err, errBoom)
}
