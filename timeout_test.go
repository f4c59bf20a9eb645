package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R11, R18: a coroutine that ignores a Timeout is unwound as well, which is a clean-up error.
func TestIgnoringATimeoutIsReported(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			for {
				co.Sleep(time.Hour)
			}
		}).Named("stubborn"), time.Second)
		return err
	})
	var timeout *tinyio.TimeoutError
	if !errors.As(err, &timeout) || len(timeout.Cleanup) != 1 || !strings.Contains(timeout.Cleanup[0].Error(), "coroutine stubborn") {
		t.Errorf("Run returns %v", err)
	}
}

// R18: Timeout halts its coroutine with a TimeoutError at its current wait, which is sticky, and returns when it has stopped.
func TestTimeoutHaltsAndWaits(t *testing.T) {
	for name, suspend := range waits() {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				succeed(t, func(co *tinyio.Co) error {
					var inside, later error
					var cause error
					victim := tinyio.New(func(co *tinyio.Co) (int, error) {
						inside = suspend(co)
						later = co.Yield()
						cause = context.Cause(co)
						co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(10 * time.Second) })
						return 0, inside
					})
					start := startWatch(co)
					v, err := tinyio.Timeout(co, victim, time.Second)
					timeout, ok := err.(*tinyio.TimeoutError)
					if !ok || timeout.After != time.Second || v != 0 {
						t.Fatalf("Timeout returns %v, %v", v, err)
					}
					if inside != err || later != err || cause != err {
						t.Errorf("inside: %v, later: %v, cause: %v", inside, later, cause)
					}
					if d := start.passed(co).Round(time.Second); d != 11*time.Second && name != "AsCompleted" {
						t.Errorf("it takes %v", d)
					}
					return co.Yield() // the caller itself is not halted
				})
			})
		})
	}
}

// R18, W6: what only the halted coroutine was waiting for is halted with it, recursively and children first. What others also wait for, or what
// was spawned, carries on.
func TestHaltTravelsToWhatNobodyElseWants(t *testing.T) {
	var log recorder
	node := func(name string, f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			err := f(co)
			log.add("%s: %v", name, err)
			return err
		})
	}
	sleep := func(d time.Duration) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error { return co.Sleep(d) }
	}
	succeed(t, func(co *tinyio.Co) error {
		shared := node("shared", sleep(5*time.Second))
		spawned := node("spawned", sleep(6*time.Second))
		own := node("own", sleep(time.Hour))
		ownParent := node("own parent", func(co *tinyio.Co) error { return co.Wait(own, shared) })
		halted := node("halted", func(co *tinyio.Co) error {
			return errors.Join(co.Spawn(spawned), co.Wait(ownParent, spawned, shared))
		})
		other := node("other", func(co *tinyio.Co) error { return wait(co, shared) })
		if err := co.Spawn(other); err != nil {
			return err
		}
		_, err := tinyio.Timeout(co, halted, time.Second)
		log.add("timeout: %v", err)
		return nil
	})
	const timedOut = "tinyio: timed out after 1s"
	log.want(t, "own: "+timedOut, "own parent: "+timedOut, "halted: "+timedOut, "timeout: "+timedOut,
		"shared: <nil>", "other: <nil>", "spawned: <nil>")
}

// R18, R2: those that only the halted coroutine was waiting for stop in the order in which it listed them, also if it listed one twice.
func TestHaltOfOneThatGathersOneTwice(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		a, b := noting(&log, "a", time.Hour, nil), noting(&log, "b", time.Hour, nil)
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(a, b, a) }), time.Second)
		wantError(t, "Timeout", err, tinyio.ErrTimeout)
		return co.Yield()
	})
	const stopped = ": tinyio: timed out after 1s after 1s"
	log.want(t, "a begins after 0s", "b begins after 0s", "a"+stopped, "b"+stopped)
}

// R18, W4: if someone else waits for the coroutine itself, or it was spawned, only the wait is given up and it carries on.
func TestTimeoutOfACoroutineThatOthersWantOnlyGivesUp(t *testing.T) {
	ways := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]) error{
		"awaited": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				v, err := c.Await(co)
				if v != 1 {
					return fmt.Errorf("the value is %d", v)
				}
				return err
			}))
		},
		"spawned": func(co *tinyio.Co, c *tinyio.Coro[int]) error { return co.Spawn(c) },
		"in another Timeout": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, c, time.Hour)
				return err
			}))
		},
		"isolated": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			return co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Isolate(co, c)
				return err
			}))
		},
	}
	for name, want := range ways {
		t.Run(name, func(t *testing.T) {
			succeed(t, func(co *tinyio.Co) error {
				shared := value(time.Minute, 1)
				if err := want(co, shared); err != nil {
					return err
				}
				start := startWatch(co)
				if _, err := tinyio.Timeout(co, shared, time.Second); !errors.Is(err, tinyio.ErrTimeout) || start.passed(co) != time.Second {
					t.Errorf("Timeout returns %v after %v", err, start.passed(co))
				}
				v, err := shared.Await(co)
				if v != 1 || start.passed(co) != time.Minute {
					t.Errorf("it gives %d, %v after %v", v, err, start.passed(co))
				}
				return err
			})
		})
	}
}

// R18, W5: a coroutine that finishes with nil after being halted, and after waiting in its clean-up, has finished: its value is returned.
func TestHaltedCoroutineThatFinishesHasFinished(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		partial := tinyio.New(func(co *tinyio.Co) (string, error) {
			if err := co.Sleep(time.Hour); !errors.Is(err, tinyio.ErrTimeout) {
				return "", err
			}
			err := co.Shield(time.Minute, func(co *tinyio.Co) error {
				_, err := tinyio.Gather(co, value(time.Second, 1), value(time.Second, 2))
				return err
			})
			return "what there was", err
		})
		v, err := tinyio.Timeout(co, partial, time.Second)
		if v != "what there was" || err != nil {
			t.Errorf("Timeout returns %q, %v", v, err)
		}
		if v, err := partial.Await(co); v != "what there was" || err != nil {
			t.Errorf("a later Await returns %q, %v", v, err)
		}
		return nil
	})
}

// R18: if the coroutine finishes in time, Timeout is an Await. If it would finish in the step in which the limit passes, the limit comes first.
func TestTimeoutInTime(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		v, err := tinyio.Timeout(co, value(time.Second, 1), time.Second+1)
		if v != 1 || err != nil {
			t.Errorf("Timeout returns %d, %v", v, err)
		}
		if _, err := tinyio.Timeout(co, value(time.Second, 1), time.Second); !errors.Is(err, tinyio.ErrTimeout) {
			t.Errorf("Timeout in the same step returns %v", err)
		}
		return co.Yield()
	})
	crash(t, func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, failer(time.Second, errBoom), time.Hour)
		return err
	})
}

// R18: the *TimeoutError says, in its text too, what it was, for how long, where it was stuck when the limit passed, and what went wrong in
// clean-up. errors.Is finds each of these errors.
func TestTimeoutErrorSaysEverything(t *testing.T) {
	errChild := errors.New("child's")
	succeed(t, func(co *tinyio.Co) error {
		var frames []tinyio.Frame
		child := tinyio.Do(func(co *tinyio.Co) error {
			frames = append(frames, here("child", 1))
			co.Sleep(time.Hour)
			return errChild
		}).Named("child")
		middle := tinyio.Do(func(co *tinyio.Co) error {
			frames = append(frames, here("middle", 1))
			wait(co, child)
			return nil
		}).Named("middle")
		slow := tinyio.Do(func(co *tinyio.Co) error {
			frames = append(frames, here("slow", 1))
			co.Wait(middle)
			return errBoom
		}).Named("slow")
		_, err := tinyio.Timeout(co, slow, time.Second)
		e, ok := err.(*tinyio.TimeoutError)
		if !ok {
			t.Fatalf("Timeout returns %T %v", err, err)
		}
		if e.After != time.Second || e.Coro != "slow" || len(e.Cleanup) != 2 || len(e.Trace) != 3 {
			t.Fatalf("the error is %+v", *e)
		}
		for i, f := range e.Trace {
			if f.Coro != frames[i].Coro || f.Coro != "middle" && f.Line != frames[i].Line {
				t.Errorf("frame %d is %v, want %v", i, f, frames[i])
			}
		}
		for i, want := range []error{errChild, errBoom} {
			if c, ok := e.Cleanup[i].(*tinyio.Error); !ok || c.Err != want || len(c.Trace) == 0 {
				t.Errorf("clean-up error %d is %+v", i, e.Cleanup[i])
			}
		}
		for _, target := range []error{tinyio.ErrTimeout, context.DeadlineExceeded, errChild, errBoom} {
			if !errors.Is(err, target) {
				t.Errorf("the error is not %v", target)
			}
		}
		if errors.Is(err, tinyio.ErrCancelled) || errors.Is(err, context.Canceled) {
			t.Error("it is a cancellation")
		}
		var n net.Error
		if !errors.As(err, &n) || !n.Timeout() {
			t.Error("it is no timeout in the sense of package net")
		}
		last := e.Trace[2]
		want := fmt.Sprintf("tinyio: slow timed out after 1s, stuck at timeout_test.go:%d in child\nwhile stopping: child's\nwhile stopping: boom", last.Line)
		if err.Error() != want {
			t.Errorf("the text is\n%s\nwant\n%s", err, want)
		}
		return co.Yield()
	})
}

// R18: halted coroutines get the timeout without the clean-up errors, which only the caller gets. Whoever waited for a part of them gets it as
// a value.
func TestTimeoutErrorInside(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		var inside, later error
		slow := tinyio.Do(func(co *tinyio.Co) error {
			inside = co.Sleep(time.Hour)
			if co.Yield() != inside || context.Cause(co) != inside {
				t.Errorf("the next wait returns %v, and the cause is %v, want %v", co.Yield(), context.Cause(co), inside)
			}
			return errBoom
		})
		_, err := tinyio.Timeout(co, slow, time.Second)
		later = wait(co, slow)
		if e, ok := inside.(*tinyio.TimeoutError); !ok || len(e.Cleanup) != 0 || later != inside || err == inside || !errors.Is(err, errBoom) {
			t.Errorf("inside it is %v, later %v, and Timeout returns %v", inside, later, err)
		}
		return co.Yield()
	})
}

// R18, R15: the group mode of the loop applies to crashes only: the clean-up errors of a timeout are always in it.
func TestTimeoutErrorInEachGroupMode(t *testing.T) {
	for _, mode := range []tinyio.GroupMode{tinyio.GroupAuto, tinyio.GroupNever, tinyio.GroupAlways} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			limited := func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, stubborn(0, time.Hour, time.Second, errBoom), time.Second)
				return err
			}
			succeed(t, func(co *tinyio.Co) error {
				if e, ok := limited(co).(*tinyio.TimeoutError); !ok || len(e.Cleanup) != 1 || !errors.Is(e, errBoom) {
					t.Errorf("Timeout returns %v", e)
				}
				return co.Yield()
			}, tinyio.WithErrorGroup(mode))
			err := virtually(limited, tinyio.WithErrorGroup(mode))
			g, ok := err.(*tinyio.ErrorGroup)
			if ok != (mode == tinyio.GroupAlways) || ok && len(g.Errs) != 1 || !errors.Is(err, tinyio.ErrTimeout) || !errors.Is(err, errBoom) {
				t.Errorf("Run returns %T %v", err, err)
			}
		})
	}
}

// R18, R14: a panic during the clean-up of a halted coroutine crashes its domain, and the other clean-up errors are in that crash.
func TestTimeoutOfOneThatPanicsInItsCleanUp(t *testing.T) {
	noLeaks(t)
	program := func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			wait(co, stubborn(0, time.Hour, 0, errBoom))
			panic("ouch")
		}), time.Second)
		if !errors.Is(err, tinyio.ErrCancelled) || co.Err() == nil {
			t.Errorf("Timeout returns %v", err)
		}
		return err
	}
	if p := panicErrorOf(t, func() { virtually(program) }); p.Value != "ouch" || !errors.Is(p, errBoom) {
		t.Errorf("Run panics with %v", p)
	}
	succeed(t, func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(program))
		if p, ok := err.(*tinyio.PanicError); !ok || p.Value != "ouch" || !errors.Is(p, errBoom) {
			t.Errorf("Isolate returns %v", err)
		}
		return co.Yield()
	})
}

// R18, R10: each leaf of a joined error counts: one that says more than that the limit has passed is a clean-up error.
func TestTimeoutOfOneThatReturnsSeveralErrors(t *testing.T) {
	cases := []struct {
		name    string
		err     func(stop error) error
		cleanup bool
	}{
		{"the stop", func(stop error) error { return stop }, false},
		{"wrapped", func(stop error) error { return fmt.Errorf("slow: %w", stop) }, false},
		{"deadline", func(error) error { return context.DeadlineExceeded }, false},
		{"cancelled", func(error) error { return context.Canceled }, false},
		{"joined", func(stop error) error {
			return errors.Join(stop, context.Canceled, fmt.Errorf("x: %w", tinyio.ErrCancelled))
		}, false},
		{"joined with another", func(stop error) error { return errors.Join(stop, errBoom) }, true},
		{"wrapped with another", func(stop error) error { return fmt.Errorf("%w and %w", stop, errBoom) }, true},
		{"another", func(error) error { return errBoom }, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			succeed(t, func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error { return c.err(co.Sleep(time.Hour)) }), time.Second)
				if e, ok := err.(*tinyio.TimeoutError); !ok || (len(e.Cleanup) == 1) != c.cleanup || errors.Is(err, errBoom) != c.cleanup {
					t.Errorf("Timeout returns %T %v", err, err)
				}
				return co.Yield()
			})
		})
	}
}

// R18: if the limit is not positive, a fresh coroutine never runs, and a finished one gives its value.
func TestTimeoutOfNoTime(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		for _, d := range []time.Duration{0, -time.Second} {
			_, err := tinyio.Timeout(co, tinyio.Do(func(*tinyio.Co) error { t.Error("it runs"); return nil }).Named("fresh"), d)
			if e, ok := err.(*tinyio.TimeoutError); !ok || e.After != d || !strings.HasPrefix(err.Error(), "tinyio: fresh timed out after") {
				t.Errorf("Timeout returns %v", err)
			}
		}
		c := value(0, 7)
		if err := wait(co, c); err != nil {
			return err
		}
		if v, err := tinyio.Timeout(co, c, 0); v != 7 || err != nil {
			t.Errorf("Timeout returns %v, %v", v, err)
		}
		return co.Yield()
	})
}

// R18: if the inner of two nested limits passes, that is an error of the outer coroutine alone. If the outer one passes while the inner
// coroutine cleans up, each gets its own timeout, and the clean-up errors go to whatever caused the stop.
func TestTimeoutDuringTheCleanUpOfAnother(t *testing.T) {
	var inner, outer error
	var innerEnds, outerEnds time.Duration
	succeed(t, func(co *tinyio.Co) error {
		_, outer = tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			_, inner = tinyio.Timeout(co, stubborn(0, time.Hour, 5*time.Second, errBoom).Named("leaf"), time.Second)
			innerEnds = passed(co)
			return inner
		}).Named("outer"), 3*time.Second)
		outerEnds = passed(co)
		return co.Yield()
	})
	i, _ := inner.(*tinyio.TimeoutError)
	o, _ := outer.(*tinyio.TimeoutError)
	if i == nil || o == nil || o.Coro != "outer" || o.After != 3*time.Second || innerEnds != 6*time.Second || outerEnds != 6*time.Second ||
		!errors.Is(outer, errBoom) {
		t.Errorf("the inner Timeout returns %v after %v, the outer %v after %v", inner, innerEnds, outer, outerEnds)
	}
}

// R18: if a crash comes while a coroutine cleans up after a timeout, it remains stopped for the timeout.
func TestCrashDuringTheCleanUpOfATimeout(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		halted := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			shield := co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(10 * time.Second) })
			log.add("halted: %v, %v, %v", err, shield, co.Yield() == err)
			return err
		})
		caller := tinyio.Do(func(co *tinyio.Co) error {
			start := startWatch(co)
			_, err := tinyio.Timeout(co, halted, time.Second)
			log.add("caller: %v after %v", err, start.passed(co))
			return err
		})
		return co.Wait(caller, failer(2*time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "halted: tinyio: timed out after 1s, <nil>, true", "caller: tinyio: cancelled because of: boom after 11s")
}

// R18: if several give up a coroutine that they share, one after the other, the last one halts it.
func TestTimeoutsOfASharedCoroutine(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		shared := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			log.add("shared: %v", err)
			return err
		})
		limited := func(d time.Duration) tinyio.Awaitable {
			return tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, shared, d)
				log.add("%v: %v after %v", d, err, passed(co))
				return nil
			})
		}
		return co.Wait(limited(3*time.Second), limited(time.Second), limited(2*time.Second))
	})
	log.want(t, "1s: tinyio: timed out after 1s after 1s", "2s: tinyio: timed out after 2s after 2s",
		"shared: tinyio: timed out after 3s", "3s: tinyio: timed out after 3s after 3s")
}

// R18: whoever begins to wait for a coroutine while it is being halted gets its result, an error that must not be overlooked.
func TestAwaitOfACoroutineThatIsBeingHalted(t *testing.T) {
	noLeaks(t)
	var late error
	err := virtually(func(co *tinyio.Co) error {
		halted := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(10 * time.Second) })
			return err
		})
		latecomer := tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Sleep(5 * time.Second); err != nil {
				return err
			}
			late = wait(co, halted)
			return nil
		})
		if err := co.Spawn(latecomer); err != nil {
			return err
		}
		_, err := tinyio.Timeout(co, halted, time.Second)
		wantError(t, "Timeout", err, tinyio.ErrTimeout)
		return nil
	})
	if err != nil || !errors.Is(late, tinyio.ErrTimeout) {
		t.Errorf("Run returns %v, the latecomer has %v", err, late)
	}
}
