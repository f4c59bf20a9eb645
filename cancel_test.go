package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// noting is a coroutine that sleeps for d, and logs when it begins, and how and when its sleep ends. It returns last or, if that is nil, how
// its sleep ended.
func noting(log *recorder, name string, d time.Duration, last error) *tinyio.Coro[string] {
	return tinyio.New(func(co *tinyio.Co) (string, error) {
		log.add("%s begins after %v", name, passed(co))
		err := co.Sleep(d)
		log.add("%s: %v after %v", name, err, passed(co))
		if last != nil {
			err = last
		}
		return name, err
	}).Named(name)
}

// wantStopped wants err to be a *CancelledError of cause itself.
func wantStopped(t *testing.T, err, cause error) {
	t.Helper()
	if c, ok := err.(*tinyio.CancelledError); !ok || c.Cause != cause {
		t.Errorf("the error is %T %v, want a *CancelledError of %v", err, err, cause)
	}
}

// R8: to cancel a coroutine is to end its current wait, whatever that is, with a CancelledError whose Cause is the original
// error; every later suspension returns the same error at once.
func TestCancellationEndsEveryWaitAndIsSticky(t *testing.T) {
	eachWait(t, time.Second, func(co *tinyio.Co, t *testing.T, _ string, suspend func(co *tinyio.Co) error) error {
		first := suspend(co)
		wantStopped(t, first, errBoom)
		for again, suspend := range waits() {
			if again == "Shield" {
				continue
			}
			if err := suspend(co); err != first {
				t.Errorf("a later %s gives %v", again, err)
			}
		}
		return first
	})
}

// eachWait runs victim, with each of the waits, while another coroutine fails after a second, and wants victim to end after d with its stop.
func eachWait(t *testing.T, d time.Duration, victim func(co *tinyio.Co, t *testing.T, name string, suspend func(co *tinyio.Co) error) error) {
	for name, suspend := range waits() {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				err := virtually(func(co *tinyio.Co) error {
					return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
						err := victim(co, t, name, suspend)
						if late := passed(co) - d; late < -time.Millisecond || late > time.Millisecond {
							t.Errorf("it ends after %v", passed(co))
						}
						return err
					}))
				})
				if !errors.Is(err, errBoom) || err.Error() != "boom" {
					t.Errorf("Run returns %v", err)
				}
			})
		})
	}
}

// R8: a coroutine that has not started never runs.
func TestCrashLeavesTheFreshOnesUnrun(t *testing.T) {
	noLeaks(t)
	ran := false
	err := virtually(func(co *tinyio.Co) error {
		first := tinyio.Do(func(co *tinyio.Co) error { return errBoom })
		second := tinyio.Do(func(co *tinyio.Co) error {
			ran = true
			return nil
		})
		thread := tinyio.RunInThread(func(context.Context) (int, error) {
			ran = true
			return 0, nil
		})
		return co.Wait(first, second, thread)
	})
	if !errors.Is(err, errBoom) || ran {
		t.Errorf("%v, ran: %v", err, ran)
	}
}

// R9, W10: a parent gets the cancellation when those that it waits for have finished.
func TestCrashCancelsChildrenFirst(t *testing.T) {
	noLeaks(t)
	var log recorder
	// cleanUp takes a while, one second for each level, and then tells.
	node := func(name string, f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			err := f(co)
			log.add("%s hears: %v", name, errors.Is(err, tinyio.ErrCancelled))
			shieldErr := co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Second) })
			log.add("%s ends: %v", name, shieldErr)
			return err
		})
	}
	crash(t, func(co *tinyio.Co) error {
		leaf1 := node("leaf1", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		leaf2 := node("leaf2", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		diamond := node("diamond", func(co *tinyio.Co) error { return wait(co, leaf1) })
		left := node("left", func(co *tinyio.Co) error { return co.Wait(diamond, leaf2) })
		right := node("right", func(co *tinyio.Co) error { return wait(co, diamond) })
		top := node("top", func(co *tinyio.Co) error { return co.Wait(left, right) })
		return co.Wait(top, failer(time.Second, errBoom))
	})
	log.want(t,
		"leaf2 hears: true", "leaf1 hears: true", "leaf2 ends: <nil>", "leaf1 ends: <nil>", // in the order of their starts
		"diamond hears: true", "diamond ends: <nil>",
		"left hears: true", "right hears: true", "left ends: <nil>", "right ends: <nil>",
		"top hears: true", "top ends: <nil>")
}

// R9: a parent that is waiting for a thread, in whatever way, gets the cancellation after the thread.
func TestParentOutlivesItsThread(t *testing.T) {
	ways := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]) error{
		"Await":       wait[int],
		"Gather":      func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Gather(co, c); return err },
		"Timeout":     func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Timeout(co, c, time.Hour); return err },
		"Isolate":     func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Isolate(co, c); return err },
		"AsCompleted": func(co *tinyio.Co, c *tinyio.Coro[int]) error { return firstOf(co, c) },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			var over atomic.Bool
			crash(t, func(co *tinyio.Co) error {
				started := make(chan struct{})
				thread := tinyio.RunInThread(func(ctx context.Context) (int, error) {
					close(started)
					<-ctx.Done()
					over.Store(true)
					return 0, nil
				})
				parent := tinyio.Do(func(co *tinyio.Co) error {
					err := way(co, thread)
					if !over.Load() {
						t.Error("the parent hears before its thread has ended")
					}
					return err
				})
				trigger := tinyio.RunInThread(func(context.Context) (int, error) {
					<-started
					return 0, errBoom
				})
				return co.Wait(parent, trigger)
			})
		})
	}
}

// R11: a coroutine that ignores its cancellation is unwound, its defers run, and it is reported by name.
func TestIgnoringCoroutineIsUnwoundAndReported(t *testing.T) {
	ignorers := map[string]func(co *tinyio.Co){
		"Yield":   func(co *tinyio.Co) { co.Yield() },
		"Sleep":   func(co *tinyio.Co) { co.Sleep(time.Second) },
		"Await":   func(co *tinyio.Co) { value(0, 1).Await(co) },
		"Spawn":   func(co *tinyio.Co) { co.Spawn(value(0, 1)) },
		"Acquire": func(co *tinyio.Co) { new(tinyio.Lock).Acquire(co) },
		"Shield":  func(co *tinyio.Co) { co.Shield(time.Second, func(co *tinyio.Co) error { return co.Yield() }) },
		"Shield that waits": func(co *tinyio.Co) {
			co.Shield(time.Second, func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		},
		"recover": func(co *tinyio.Co) {
			defer func() { recover() }()
			co.Yield()
		},
	}
	for name, ignore := range ignorers {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				attempts, deferred := 0, false
				err := virtually(func(co *tinyio.Co) error {
					stubborn := tinyio.Do(func(co *tinyio.Co) error {
						defer func() { deferred = true }()
						co.Sleep(time.Hour)
						for {
							attempts++
							ignore(co)
						}
					}).Named("stubborn")
					return co.Wait(stubborn, failer(time.Second, errBoom))
				})
				var group *tinyio.ErrorGroup
				if !errors.As(err, &group) || len(group.Errs) != 2 || !errors.Is(group.Errs[0], errBoom) ||
					!strings.Contains(group.Errs[1].Error(), "stubborn") {
					t.Errorf("Run returns %v", err)
				}
				if !deferred || attempts == 0 || attempts > 20_000 {
					t.Errorf("deferred: %v, after %d attempts", deferred, attempts)
				}
			})
		})
	}
}

// R25, R8: a fresh coroutine that is cancelled never runs, nor does what it would have started. Awaiting it returns the *CancelledError as
// a value, again and again, and nothing crashes.
func TestCancelOfAFreshCoroutine(t *testing.T) {
	noLeaks(t)
	for _, make := range map[string]func(fn func()) *tinyio.Coro[int]{
		"coroutine": func(fn func()) *tinyio.Coro[int] {
			return tinyio.New(func(*tinyio.Co) (int, error) { fn(); return 1, nil })
		},
		"thread": func(fn func()) *tinyio.Coro[int] {
			return tinyio.RunInThread(func(context.Context) (int, error) { fn(); return 1, nil })
		},
		"callback": func(fn func()) *tinyio.Coro[int] {
			return tinyio.FromCallback(func(func(int, error)) func(error) { fn(); return nil })
		},
	} {
		succeed(t, func(co *tinyio.Co) error {
			c := make(func() { t.Error("it runs") })
			if err := c.Cancel(co, errBoom); err != nil {
				t.Errorf("Cancel returns %v", err)
			}
			for range 2 {
				v, err := c.Await(co)
				if wantStopped(t, err, errBoom); v != 0 {
					t.Errorf("the value is %v", v)
				}
			}
			if co.Err() != nil {
				t.Error("the caller is stopped")
			}
			return co.Spawn(c)
		})
	}
}

// R25: without a cause, it is context.Canceled.
func TestCancelWithoutACause(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		c := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			if context.Cause(co) != context.Canceled {
				t.Errorf("the cause is %v", context.Cause(co))
			}
			return err
		})
		if err := errors.Join(co.Spawn(c), c.Cancel(co, nil)); err != nil {
			t.Errorf("Cancel returns %v", err)
		}
		wantStopped(t, wait(co, c), context.Canceled)
		return co.Yield()
	})
}

// R25: Cancel of a finished coroutine changes nothing, whether that has a value or an error; it takes a turn all the same (R1).
func TestCancelOfAFinishedCoroutine(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		well, badly := value(0, 7), failer(0, errBoom)
		if err := wait(co, well); err != nil {
			return err
		}
		if _, err := tinyio.Isolate(co, badly); !errors.Is(err, errBoom) {
			t.Errorf("Isolate returns %v", err)
		}
		turns := 0
		if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
			for range 3 {
				turns++
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		})); err != nil {
			return err
		}
		for i := range 2 {
			if err := errors.Join(well.Cancel(co, errBoom)); err != nil || turns != i+2 {
				t.Errorf("Cancel returns %v after %d turns of another", err, turns)
			}
		}
		if err := badly.Cancel(co, errors.New("another")); err != nil {
			t.Errorf("Cancel returns %v", err)
		}
		if v, err := well.Await(co); v != 7 || err != nil {
			t.Errorf("the result is %v, %v", v, err)
		}
		if err := wait(co, badly); !errors.Is(err, errBoom) {
			t.Errorf("the error is %v", err)
		}
		return nil
	})
}

// R25, R9: what only the cancelled coroutine was waiting for is stopped first. What others want, or what was spawned, carries on.
func TestCancelStopsWhatOnlyThatWasWaitingFor(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		leaf := noting(&log, "leaf", time.Hour, nil)
		shared := noting(&log, "shared", 3*time.Second, nil)
		spawned := noting(&log, "spawned", 4*time.Second, nil)
		middle := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Wait(leaf, shared, spawned)
			log.add("middle: %v", err)
			return err
		})
		top := tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Spawn(spawned); err != nil {
				return err
			}
			err := wait(co, middle)
			log.add("top: %v", err)
			return err
		})
		other := tinyio.Do(func(co *tinyio.Co) error {
			v, err := shared.Await(co)
			log.add("other: %v, %v", v, err)
			return err
		})
		if err := co.Spawn(top, other); err != nil {
			return err
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		err := top.Cancel(co, errBoom)
		log.add("Cancel: %v after %v", err, passed(co))
		return nil
	})
	log.want(t, "spawned begins after 0s", "shared begins after 0s", "leaf begins after 0s",
		"leaf: tinyio: cancelled because of: boom after 1s",
		"middle: tinyio: cancelled because of: boom", "top: tinyio: cancelled because of: boom", "Cancel: <nil> after 1s",
		"shared: <nil> after 3s", "other: shared, <nil>", "spawned: <nil> after 4s")
}

// R25: Cancel stops a coroutine whatever it waits for, and returns when that has stopped.
func TestCancelEndsEveryWait(t *testing.T) {
	waits := map[string]func(co *tinyio.Co) error{
		"sleep":     func(co *tinyio.Co) error { return co.Sleep(time.Hour) },
		"event":     new(tinyio.Event).Wait,
		"event for": func(co *tinyio.Co) error { _, err := new(tinyio.Event).WaitFor(co, time.Hour); return err },
		"semaphore": func(co *tinyio.Co) error {
			s := tinyio.NewSemaphore(1)
			return errors.Join(s.Acquire(co), s.Acquire(co))
		},
		"barrier": func(co *tinyio.Co) error { _, err := tinyio.NewBarrier(2).Wait(co); return err },
		"queue":   func(co *tinyio.Co) error { _, err := tinyio.NewQueue[int](0).Get(co); return err },
		"full":    func(co *tinyio.Co) error { return tinyio.NewQueue[int](0).Put(co, 1) },
		"turn": func(co *tinyio.Co) error {
			for {
				if err := co.Yield(); err != nil {
					return err
				}
			}
		},
		"coroutine": func(co *tinyio.Co) error { return wait(co, sleeper(time.Hour)) },
		"gather":    func(co *tinyio.Co) error { return co.Wait(sleeper(time.Hour), sleeper(time.Minute)) },
		"timeout": func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, sleeper(time.Hour), time.Minute)
			return err
		},
		"isolate": func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, sleeper(time.Hour)); return err },
		"first": func(co *tinyio.Co) error {
			_, err := tinyio.First(co, sleeper(time.Hour), sleeper(2*time.Hour))
			return err
		},
		"cancel": func(co *tinyio.Co) error {
			slow := tinyio.Do(func(co *tinyio.Co) error {
				return co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Minute) })
			})
			if err := co.Spawn(slow); err != nil {
				return err
			}
			return slow.Cancel(co, nil)
		},
		"thread": func(co *tinyio.Co) error {
			return wait(co, tinyio.RunInThread(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}))
		},
		"call": func(co *tinyio.Co) error {
			return co.Call(func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
		},
		"interruptible call": func(co *tinyio.Co) error {
			ch := make(chan int)
			_, err := tinyio.CallInterruptible(co, func() { close(ch) }, func() (int, error) { <-ch; return 0, nil })
			return errors.Join(err, co.Yield())
		},
		"callback": func(co *tinyio.Co) error {
			return wait(co, tinyio.FromCallback(func(done func(int, error)) func(error) {
				return func(cause error) { done(0, cause) }
			}))
		},
		"channel": func(co *tinyio.Co) error { _, _, err := tinyio.Recv(co, make(chan int)); return err },
		"send":    func(co *tinyio.Co) error { return tinyio.Send(co, make(chan int), 1) },
	}
	for name, waitFor := range waits {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				succeed(t, func(co *tinyio.Co) error {
					stopped := false
					var how error
					c := tinyio.Do(func(co *tinyio.Co) error {
						how = waitFor(co)
						stopped = true
						if context.Cause(co) != errBoom {
							t.Errorf("the cause is %v", context.Cause(co))
						}
						return how
					})
					if err := errors.Join(co.Spawn(c), co.Yield(), co.Yield()); err != nil {
						return err
					}
					err := c.Cancel(co, errBoom)
					if err != nil || !stopped || !errors.Is(how, tinyio.ErrCancelled) && how != errBoom {
						t.Errorf("Cancel returns %v, and it has ended (%v) with %v", err, stopped, how)
					}
					wantStopped(t, wait(co, c), errBoom)
					return co.Yield()
				})
			})
		})
	}
}

// R25: those that await the cancelled coroutine get its value if it finishes with nil all the same, else the *CancelledError, as a value:
// they carry on. The same holds for an Isolate and a Gather around it.
func TestCancelOfOneThatOthersAwait(t *testing.T) {
	errCleanup := errors.New("clean-up")
	for _, last := range []error{nil, errBoom, errCleanup} {
		t.Run(fmt.Sprint(last), func(t *testing.T) {
			var log recorder
			succeed(t, func(co *tinyio.Co) error {
				c := tinyio.New(func(co *tinyio.Co) (int, error) {
					err := co.Sleep(time.Hour)
					switch last {
					case nil:
						return 7, nil
					case errBoom:
						return 7, err
					}
					return 7, last
				})
				show := func(err error) string {
					if err != nil {
						wantStopped(t, err, errBoom)
						return "cancelled"
					}
					return "nil"
				}
				others := []tinyio.Awaitable{
					tinyio.Do(func(co *tinyio.Co) error {
						v, err := c.Await(co)
						log.add("await: %v, %v", v, show(err))
						return co.Yield()
					}),
					tinyio.Do(func(co *tinyio.Co) error {
						vs, err := tinyio.Gather(co, c)
						log.add("gather: %v, %v", vs, show(err))
						return co.Yield()
					}),
					tinyio.Do(func(co *tinyio.Co) error {
						v, err := tinyio.Timeout(co, c, time.Minute)
						log.add("timeout: %v, %v", v, show(err))
						return co.Yield()
					}),
					tinyio.Do(func(co *tinyio.Co) error {
						i, err := tinyio.WaitAny(co, sleeper(2*time.Second), c)
						log.add("any: %v, %v", i, show(err))
						return co.Yield()
					}),
					tinyio.Do(func(co *tinyio.Co) error {
						for v, err := range tinyio.AsCompleted(co, c) {
							log.add("completed: %v, %v", v, show(err))
						}
						return co.Yield()
					}),
				}
				if err := errors.Join(co.Spawn(others...), co.Sleep(time.Second)); err != nil {
					return err
				}
				err := c.Cancel(co, errBoom)
				log.add("Cancel: %v", err)
				return co.Sleep(time.Second)
			})
			slices.Sort(log.lines)
			gathered, how, cancel := "[]", "cancelled", "Cancel: <nil>"
			if last == nil {
				gathered, how = "[7]", "nil"
			}
			if last == errCleanup {
				cancel = "Cancel: clean-up"
			}
			log.want(t, cancel, "any: 1, "+how, "await: 7, "+how, "completed: 7, "+how, "gather: "+gathered+", "+how,
				"timeout: 7, "+how) // but for Gather they return what the function did, beside the error
		})
	}
}

// R25: whoever awaits a coroutine that another one has cancelled gets its *CancelledError as an error like any other: to return it is to
// fail with it.
func TestAwaitOfACancelledCoroutineReturned(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		c := sleeper(time.Hour)
		if err := co.Spawn(c); err != nil {
			return err
		}
		if err := c.Cancel(co, errBoom); err != nil {
			t.Errorf("Cancel returns %v", err)
		}
		return wait(co, c)
	})
	e, ok := err.(*tinyio.Error)
	if !ok {
		t.Fatalf("Run returns %T %v", err, err)
	}
	wantStopped(t, e.Err, errBoom)
}

// R25, R10: Cancel returns the clean-up errors of all coroutines that it has stopped, joined, in the order in which they came, each with its
// trace.
func TestCancelReturnsTheErrorsOfCleanUp(t *testing.T) {
	errs := []error{errors.New("a"), errors.New("b"), errors.New("c")}
	succeed(t, func(co *tinyio.Co) error {
		var log recorder
		a, b := noting(&log, "a", time.Hour, errs[0]), noting(&log, "b", time.Hour, errs[1])
		c := tinyio.Do(func(co *tinyio.Co) error {
			co.Wait(a, b, sleeper(time.Hour))
			return errs[2]
		}).Named("c")
		if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
			return err
		}
		err := c.Cancel(co, errBoom)
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || err.Error() != "a\nb\nc" || errors.Is(err, errBoom) || errors.Is(err, tinyio.ErrCancelled) {
			t.Fatalf("Cancel returns %T %v", err, err)
		}
		for i, err := range joined.Unwrap() {
			e, ok := err.(*tinyio.Error)
			if !ok || e.Err != errs[i] || len(e.Trace) == 0 || e.Trace[len(e.Trace)-1].Coro != errs[i].Error() {
				t.Errorf("error %d is %T %+v", i, err, err)
			}
		}
		return co.Yield()
	})
}

// R14: a panic during clean-up is no clean-up error: it crashes the domain in which it happens, and with it the caller of Cancel. The
// clean-up errors of the Cancel are then in that crash.
func TestCancelOfOneThatPanicsInItsCleanUp(t *testing.T) {
	noLeaks(t)
	errCleanup := errors.New("clean-up")
	crash := func(co *tinyio.Co) error {
		child := tinyio.Do(func(co *tinyio.Co) error {
			co.Sleep(time.Hour)
			return errCleanup
		})
		c := tinyio.Do(func(co *tinyio.Co) error {
			wait(co, child)
			panic("ouch")
		})
		if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
			return err
		}
		err := c.Cancel(co, errBoom)
		if stop, ok := err.(*tinyio.CancelledError); !ok || stop != co.Yield() {
			t.Errorf("Cancel returns %v", err)
		}
		return err
	}
	if p := panicErrorOf(t, func() { virtually(crash) }); p.Value != "ouch" || !errors.Is(p, errCleanup) {
		t.Errorf("Run panics with %v", p)
	}
	succeed(t, func(co *tinyio.Co) error {
		var p *tinyio.PanicError
		if _, err := tinyio.Isolate(co, tinyio.Do(crash)); !errors.As(err, &p) || p.Value != "ouch" || !errors.Is(p, errCleanup) {
			t.Errorf("Isolate returns %v", err)
		}
		return co.Yield()
	})
}

// R25, R13: a coroutine in a Shield stops when the Shield ends, and Cancel waits for it. One that was started inside the Shield of another
// is protected only until it is cancelled itself.
func TestCancelOfAShieldedCoroutine(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		c := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Shield(5*time.Second, func(co *tinyio.Co) error {
				err := wait(co, noting(&log, "inside", 3*time.Second, nil))
				log.add("first: %v after %v", err, passed(co))
				err = wait(co, noting(&log, "too long", time.Hour, nil))
				log.add("second: %v after %v", err, passed(co))
				return err
			})
			log.add("shield: %v after %v", err, passed(co))
			return err
		})
		if err := errors.Join(co.Spawn(c), co.Sleep(time.Second)); err != nil {
			return err
		}
		log.add("Cancel: %v after %v", c.Cancel(co, errBoom), passed(co))
		return nil
	})
	log.want(t, "inside begins after 0s", "inside: <nil> after 3s", "first: <nil> after 3s", "too long begins after 3s",
		"too long: tinyio: cancelled because of: boom after 6s", "second: tinyio: cancelled because of: boom after 6s",
		"shield: tinyio: cancelled because of: boom after 6s", "Cancel: <nil> after 6s")
}

// R25: a coroutine that was started inside the Shield of another is stopped at once by a Cancel of it alone: the Shield protects only from
// what stops its owner.
func TestCancelOfOneInsideTheShieldOfAnother(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		return co.Shield(time.Hour, func(co *tinyio.Co) error {
			start := startWatch(co)
			c := sleeper(time.Minute)
			if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
				return err
			}
			if err := c.Cancel(co, errBoom); err != nil || start.passed(co) != 0 {
				t.Errorf("Cancel returns %v after %v", err, start.passed(co))
			}
			wantStopped(t, wait(co, c), errBoom)
			return nil
		})
	})
}

// R25, R13: inside its Shield, a caller that is being cancelled can cancel others, and gets their clean-up errors. Outside, Cancel returns
// the caller's own stop and cancels nobody.
func TestCancelByAShieldedCaller(t *testing.T) {
	noLeaks(t)
	errCleanup := errors.New("clean-up")
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		helper := noting(&log, "helper", 2*time.Hour, errCleanup)
		caller := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Shield(time.Hour, func(co *tinyio.Co) error {
				if err := co.Spawn(helper); err != nil {
					return err
				}
				co.Sleep(2 * time.Second)
				log.add("Cancel: %v after %v", helper.Cancel(co, errBoom), passed(co))
				return nil
			})
			another := sleeper(time.Second)
			if stop := another.Cancel(co, nil); stop == nil || stop != co.Yield() {
				t.Errorf("Cancel without a Shield returns %v", stop)
			}
			return err
		})
		return co.Wait(caller, failer(time.Second, errBoom))
	})
	if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom {
		t.Errorf("Run returns %T %v", err, err)
	}
	log.want(t, "helper begins after 0s", "helper: tinyio: cancelled because of: boom after 2s", "Cancel: clean-up after 2s")
}

// R25, R17: to cancel oneself, or a coroutine that waits for oneself, directly or through others, an Isolate or a First, is a *CycleError,
// and changes nothing.
func TestCancelOfWhoWaitsForTheCaller(t *testing.T) {
	through := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]) error{
		"await":   func(co *tinyio.Co, c *tinyio.Coro[int]) error { return wait(co, c) },
		"gather":  func(co *tinyio.Co, c *tinyio.Coro[int]) error { return co.Wait(sleeper(0), c) },
		"timeout": func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Timeout(co, c, time.Hour); return err },
		"isolate": func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Isolate(co, c); return err },
		"first":   func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.First(co, c); return err },
		"spawned in an isolate": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(c) }))
			return err
		},
	}
	for name, waitFor := range through {
		t.Run(name, func(t *testing.T) {
			succeed(t, func(co *tinyio.Co) error {
				var top *tinyio.Coro[tinyio.Void]
				var bottom *tinyio.Coro[int]
				bottom = tinyio.New(func(co *tinyio.Co) (int, error) {
					if err := co.Yield(); err != nil {
						return 0, err
					}
					var cycle *tinyio.CycleError
					if err := top.Cancel(co, errBoom); !errors.As(err, &cycle) || cycle.Path[0] != "bottom" ||
						cycle.Path[len(cycle.Path)-1] != "bottom" || !slices.Contains(cycle.Path, "top") {
						t.Errorf("Cancel returns %v", err)
					}
					if err := bottom.Cancel(co, errBoom); !errors.As(err, &cycle) || len(cycle.Path) != 2 {
						t.Errorf("Cancel of oneself returns %v", err)
					}
					return 3, co.Sleep(time.Second)
				}).Named("bottom")
				middle := tinyio.New(func(co *tinyio.Co) (int, error) { return bottom.Await(co) }).Named("middle")
				top = tinyio.Do(func(co *tinyio.Co) error { return waitFor(co, middle) }).Named("top")
				if err := wait(co, top); err != nil {
					t.Errorf("the top ends with %v", err)
				}
				return co.Yield()
			})
		})
	}
}

// R25: if two coroutines cancel each other, the first one does so, and the second, which is waited for, is stopped before its turn.
func TestTwoCoroutinesThatCancelEachOther(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		var a, b *tinyio.Coro[tinyio.Void]
		var errA, errB error
		a = tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Yield(); err != nil {
				return err
			}
			errA = b.Cancel(co, errBoom)
			return errA
		}).Named("a")
		b = tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Yield(); err != nil {
				return err
			}
			errB = a.Cancel(co, errBoom)
			return errB
		}).Named("b")
		return errors.Join(co.Spawn(a, b), co.Wait(a), func() error {
			if errA != nil || errB != nil {
				t.Errorf("Cancel returns %v and %v", errA, errB)
			}
			wantStopped(t, wait(co, b), errBoom)
			return nil
		}())
	})
}

// R25: a second Cancel of a coroutine that is stopping waits for it too, and returns nil if it stops cleanly.
func TestCancelTwice(t *testing.T) {
	noLeaks(t)
	var log recorder
	errOther := errors.New("other")
	for _, last := range []error{nil, errors.New("clean-up")} {
		log = recorder{}
		succeed(t, func(co *tinyio.Co) error {
			c := tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Hour)
				co.Shield(time.Minute, func(co *tinyio.Co) error { return co.Sleep(2 * time.Second) })
				if last != nil {
					err = last
				}
				return err
			})
			cancel := func(name string, cause error) *tinyio.Coro[tinyio.Void] {
				return tinyio.Do(func(co *tinyio.Co) error {
					log.add("%s: %v after %v", name, c.Cancel(co, cause), passed(co))
					return nil
				})
			}
			err := errors.Join(co.Spawn(c), co.Sleep(time.Second), co.Wait(cancel("one", errBoom), cancel("two", errOther)))
			log.add("three: %v after %v", c.Cancel(co, errOther), passed(co))
			wantStopped(t, wait(co, c), errBoom)
			return err
		})
		first := "<nil>"
		if last != nil {
			first = "clean-up" // it goes to whoever has caused the stop (R10)
		}
		log.want(t, "one: "+first+" after 3s", "two: <nil> after 3s", "three: <nil> after 3s")
	}
}

// R25, R28: a coroutine that finishes in the step in which it is cancelled has finished, and everybody gets its value.
func TestCancelInTheSameStepAsTheCompletion(t *testing.T) {
	for _, cancelFirst := range []bool{false, true} {
		t.Run(fmt.Sprint("cancelled first: ", cancelFirst), func(t *testing.T) {
			succeed(t, func(co *tinyio.Co) error {
				c := value(time.Second, 7)
				canceller := tinyio.Do(func(co *tinyio.Co) error {
					if err := co.Sleep(time.Second); err != nil {
						return err
					}
					if err := c.Cancel(co, errBoom); err != nil {
						t.Errorf("Cancel returns %v", err)
					}
					return nil
				})
				other := tinyio.Do(func(co *tinyio.Co) error {
					v, err := c.Await(co)
					if v != 7 || (err != nil) != cancelFirst {
						t.Errorf("the result is %v, %v", v, err)
					}
					return nil
				})
				if cancelFirst {
					return co.Spawn(canceller, c, other) // c is ready for its last turn when it is stopped
				}
				return co.Spawn(c, canceller, other)
			})
		})
	}
}

// R25, R10: if the caller is stopped while it waits for the cancelled coroutine to stop, Cancel returns the caller's own stop. The clean-up
// errors go to whatever stopped the caller: a crash, a Timeout, a Cancel.
func TestCancelByOneThatIsStoppedMeanwhile(t *testing.T) {
	errCleanup := errors.New("clean-up")
	for _, how := range []string{"crash", "timeout", "cancel", "isolate"} {
		t.Run(how, func(t *testing.T) {
			noLeaks(t)
			var returned, cleanups error
			var ended time.Duration
			err := virtually(func(co *tinyio.Co) error {
				c := tinyio.Do(func(co *tinyio.Co) error {
					co.Sleep(time.Hour)
					co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(5 * time.Second) })
					return errCleanup
				})
				caller := tinyio.Do(func(co *tinyio.Co) error {
					returned = c.Cancel(co, errBoom)
					if ended = passed(co); returned != co.Yield() {
						t.Errorf("Cancel returns %v, and the next wait %v", returned, co.Yield())
					}
					return returned
				})
				if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
					return err
				}
				var err error
				switch how {
				case "crash":
					err = co.Wait(caller, failer(time.Second, errBoom))
				case "timeout":
					_, cleanups = tinyio.Timeout(co, caller, time.Second)
				case "cancel":
					err = errors.Join(co.Spawn(caller), co.Sleep(time.Second))
					cleanups = caller.Cancel(co, errBoom)
				case "isolate":
					_, cleanups = tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
						return co.Wait(caller, failer(time.Second, errBoom))
					}))
				}
				return err
			})
			if how == "crash" {
				cleanups = err
			} else if err != nil {
				t.Errorf("Run returns %v", err)
			}
			if !errors.Is(cleanups, errCleanup) || ended != 5*time.Second || how == "timeout" != errors.Is(returned, tinyio.ErrTimeout) {
				t.Errorf("the clean-up errors are %v; Cancel returned %v after %v", cleanups, returned, ended)
			}
		})
	}
}

// R25, R9: a coroutine that isolates stops after all that is inside, and Cancel returns the clean-up errors from there (R10).
func TestCancelOfOneThatIsolates(t *testing.T) {
	errCleanup := errors.New("clean-up")
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		inside := tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.Spawn(noting(&log, "spawned", time.Hour, errCleanup)),
				co.SpawnDaemon(noting(&log, "daemon", time.Hour, nil)),
				wait(co, noting(&log, "child", time.Hour, nil)))
		})
		c := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, inside)
			log.add("Isolate: %v", err)
			return err
		})
		if err := errors.Join(co.Spawn(c), co.Sleep(time.Second)); err != nil {
			return err
		}
		log.add("Cancel: %v", c.Cancel(co, errBoom))
		return co.Sleep(time.Second)
	})
	log.want(t, "spawned begins after 0s", "daemon begins after 0s", "child begins after 0s",
		"spawned: tinyio: cancelled because of: boom after 1s", "daemon: tinyio: cancelled because of: boom after 1s",
		"child: tinyio: cancelled because of: boom after 1s", "Isolate: tinyio: cancelled because of: boom", "Cancel: clean-up")
}

// R25, R27: a daemon is cancelled like any other.
func TestCancelOfADaemon(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		d := noting(&log, "daemon", time.Hour, nil)
		if err := errors.Join(co.SpawnDaemon(d), co.Sleep(time.Second)); err != nil {
			return err
		}
		log.add("Cancel: %v", d.Cancel(co, errBoom))
		wantStopped(t, wait(co, d), errBoom)
		return co.Sleep(time.Second)
	})
	log.want(t, "daemon begins after 0s", "daemon: tinyio: cancelled because of: boom after 1s", "Cancel: <nil>")
}

// R25, R11: a coroutine that ignores its cancellation is unwound, and Cancel names it.
func TestCancelOfOneThatIgnoresIt(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		c := tinyio.Do(func(co *tinyio.Co) error {
			for {
				co.Sleep(time.Hour)
			}
		}).Named("stubborn")
		if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
			return err
		}
		if err := c.Cancel(co, errBoom); err == nil || !strings.HasPrefix(err.Error(), "tinyio: coroutine stubborn") {
			t.Errorf("Cancel returns %v", err)
		}
		return co.Yield()
	})
}

// R25, R6: a coroutine of another loop that has not finished cannot be cancelled from here.
func TestCancelOfACoroutineOfAnotherLoop(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		c := sleeper(time.Second)
		if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
			return err
		}
		_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			if err := c.Cancel(co, errBoom); err == nil || errors.Is(err, errBoom) {
				t.Errorf("Cancel returns %v", err)
			}
			return nil
		}))
		return errors.Join(err, wait(co, c))
	})
}

// R25, R18: if the coroutine of a Timeout is cancelled by another one, it has been cancelled, which is no timeout.
func TestCancelOfOneThatHasALimit(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		c := sleeper(time.Hour)
		limited := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, c, time.Minute)
			wantStopped(t, err, errBoom)
			if passed(co) != time.Second {
				t.Errorf("Timeout returns after %v", passed(co))
			}
			return co.Sleep(time.Hour)
		})
		return errors.Join(co.Spawn(limited), co.Sleep(time.Second), c.Cancel(co, errBoom))
	})
}

// R25, R10: an error of a cancelled coroutine that says only that it was stopped is no clean-up error. The cause itself is such an error.
func TestCancelledOneThatReturnsTheCause(t *testing.T) {
	for _, err := range []error{errBoom, fmt.Errorf("stopped: %w", errBoom), context.Canceled, tinyio.ErrCancelled} {
		t.Run(err.Error(), func(t *testing.T) {
			succeed(t, func(co *tinyio.Co) error {
				var log recorder
				c := noting(&log, "c", time.Hour, err)
				if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
					return err
				}
				if err := c.Cancel(co, errBoom); err != nil {
					t.Errorf("Cancel returns %v", err)
				}
				wantStopped(t, wait(co, c), errBoom)
				return nil
			})
		})
	}
}

// R25, R16: the first coroutine of a run can be cancelled too, by one that was spawned. Run returns when that has finished, and the error
// names the cancelled one.
func TestCancelOfTheFirstCoroutine(t *testing.T) {
	noLeaks(t)
	finished := false
	var root *tinyio.Coro[int]
	root = tinyio.New(func(co *tinyio.Co) (int, error) {
		return 1, errors.Join(co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
			if err := root.Cancel(co, errBoom); err != nil {
				t.Errorf("Cancel returns %v", err)
			}
			err := co.Sleep(time.Second)
			finished = true
			return err
		})), co.Sleep(time.Hour))
	}).Named("root")
	_, err := tinyio.Run(background, root, tinyio.WithVirtualTime())
	e, ok := err.(*tinyio.Error)
	if !ok || !finished || len(e.Trace) != 1 || e.Trace[0].Coro != "root" {
		t.Fatalf("Run returns %T %+v", err, err)
	}
	wantStopped(t, e.Err, errBoom)
}
