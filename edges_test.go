package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// Where two features meet.

// A timeout inside an isolate inside a shield, without a cancellation and with one.
func TestEdgeTimeoutInsideIsolateInsideShield(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprint("crash: ", crash), func(t *testing.T) {
			noLeaks(t)
			var log recorder
			err := virtually(func(co *tinyio.Co) error {
				victim := tinyio.Do(func(co *tinyio.Co) error {
					start := startWatch(co)
					err := co.Shield(time.Hour, func(co *tinyio.Co) error {
						r, err := isolate(co, tinyio.Do(func(co *tinyio.Co) error {
							_, err := tinyio.Timeout(co, sleeper(time.Hour), 2*time.Second)
							log.add("timeout: %v after %v", err, start.passed(co))
							return err
						}))
						log.add("isolate: %v, %v after %v", r.Err, err, start.passed(co))
						if err := co.Sleep(time.Second); err != nil {
							return err
						}
						log.add("shielded for %v", start.passed(co))
						return nil
					})
					log.add("shield: %v", err)
					return co.Yield()
				})
				if crash {
					return co.Wait(victim, failer(time.Second, errBoom))
				}
				return wait(co, victim)
			})
			if errors.Is(err, errBoom) != crash || !crash && err != nil {
				t.Errorf("Run returns %v", err)
			}
			log.want(t, "timeout: tinyio: timed out after 2s after 2s", "isolate: tinyio: timed out after 2s, <nil> after 2s",
				"shielded for 3s", "shield: <nil>")
		})
	}
}

// A crash inside an Isolate inside a Shield is no affair of the Shield's.
func TestEdgeCrashInsideIsolateInsideShield(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		return co.Shield(time.Second, func(co *tinyio.Co) error {
			r, err := isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				return co.Wait(sleeper(time.Hour), failer(time.Minute, errBoom))
			}))
			if !errors.Is(r.Err, errBoom) || err != nil || start.passed(co) != time.Minute {
				t.Errorf("Isolate gives %v, %v after %v", r.Err, err, start.passed(co))
			}
			return co.Sleep(time.Hour)
		})
	})
}

// A Shield inside an Isolate that crashes has its grace period, and the Isolate waits for it.
func TestEdgeShieldInsideACrashingIsolate(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		r, err := isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			shielded := tinyio.Do(func(co *tinyio.Co) error {
				return co.Shield(10*time.Second, func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
			})
			return co.Wait(shielded, failer(time.Second, errBoom))
		}))
		if !errors.Is(r.Err, errBoom) || err != nil || start.passed(co) != 11*time.Second {
			t.Errorf("Isolate gives %v, %v after %v", r.Err, err, start.passed(co))
		}
		return nil
	})
}

// The grace of nested shields: each protects for its own; what was started inside is stopped when the last around it ends.
func TestEdgeNestedShields(t *testing.T) {
	cases := []struct {
		outer, inner time.Duration
		innerEnds    time.Duration // after the crash
		outerEnds    time.Duration
	}{
		{outer: 5 * time.Second, inner: 2 * time.Second, innerEnds: 5 * time.Second, outerEnds: 5 * time.Second},
		{outer: 2 * time.Second, inner: 5 * time.Second, innerEnds: 5 * time.Second, outerEnds: 5 * time.Second},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%v around %v", c.outer, c.inner), func(t *testing.T) {
			noLeaks(t)
			var innerEnds, outerEnds, memberEnds time.Duration
			var innerErr, outerErr error
			err := virtually(func(co *tinyio.Co) error {
				crash := failer(time.Minute, errBoom)
				start := startWatch(co)
				victim := tinyio.Do(func(co *tinyio.Co) error {
					outerErr = co.Shield(c.outer, func(co *tinyio.Co) error {
						innerErr = co.Shield(c.inner, func(co *tinyio.Co) error {
							member := tinyio.Do(func(co *tinyio.Co) error {
								err := co.Sleep(time.Hour)
								memberEnds = start.passed(co) - time.Minute
								return err
							})
							return wait(co, member)
						})
						innerEnds = start.passed(co) - time.Minute
						return co.Sleep(time.Hour)
					})
					outerEnds = start.passed(co) - time.Minute
					return outerErr
				})
				return co.Wait(crash, victim)
			})
			if !errors.Is(err, errBoom) || err.Error() != "boom" {
				t.Errorf("Run returns %v", err)
			}
			if innerEnds != c.innerEnds || memberEnds != c.innerEnds || outerEnds != c.outerEnds {
				t.Errorf("the member ends after %v, the inner shield after %v, the outer one after %v, want %v, %v",
					memberEnds, innerEnds, outerEnds, c.innerEnds, c.outerEnds)
			}
			if !errors.Is(innerErr, tinyio.ErrCancelled) || !errors.Is(outerErr, tinyio.ErrCancelled) {
				t.Errorf("the shields return %v, %v", innerErr, outerErr)
			}
		})
	}
}

// What was spawned in an inner Shield, which has ended, is protected by the outer one and stopped with it.
func TestEdgeMemberOfAnInnerShieldIsStoppedWithTheOuter(t *testing.T) {
	for _, innerFirst := range []bool{true, false} {
		t.Run(fmt.Sprint("inner ends before the crash: ", innerFirst), func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				var event tinyio.Event
				var ended time.Duration
				var heard error
				err := virtually(func(co *tinyio.Co) error {
					start := startWatch(co)
					member := tinyio.Do(func(co *tinyio.Co) error {
						heard = event.Wait(co)
						ended = start.passed(co)
						return heard
					})
					victim := tinyio.Do(func(co *tinyio.Co) error {
						return co.Shield(time.Hour, func(co *tinyio.Co) error {
							if err := co.Shield(time.Hour, func(co *tinyio.Co) error {
								if err := co.Spawn(member); err != nil || innerFirst {
									return err
								}
								return co.Sleep(2 * time.Second)
							}); err != nil {
								return err
							}
							return co.Sleep(3 * time.Second)
						})
					})
					return co.Wait(victim, failer(time.Second, errBoom))
				})
				want := 5 * time.Second
				if innerFirst {
					want = 3 * time.Second
				}
				if !errors.Is(err, errBoom) || !errors.Is(heard, tinyio.ErrCancelled) {
					t.Errorf("Run returns %v, the member hears %v", err, heard)
				}
				if ended != want {
					t.Errorf("the member ends after %v, want %v", ended, want)
				}
			})
		})
	}
}

// A crash while a coroutine cleans up after a timeout: it was halted first, and that is sticky.
func TestEdgeCrashDuringTheCleanUpOfATimeout(t *testing.T) {
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

// A panic during the clean-up of a crash makes Run panic, and the original error is not lost.
func TestEdgePanicDuringCleanUp(t *testing.T) {
	noLeaks(t)
	p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				panicDeepDown()
				return nil
			}))
		})
	})
	if p.Value != "deep down" || !errors.Is(p, errBoom) || !strings.Contains(p.Error(), "boom") {
		t.Errorf("Run panics with %v", p)
	}
}

// Two panics: the first is the one, and the other is not lost.
func TestEdgeTwoPanics(t *testing.T) {
	noLeaks(t)
	p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			return co.Wait(tinyio.Do(func(co *tinyio.Co) error { panic("first") }), tinyio.Do(func(co *tinyio.Co) error {
				return nil
			}), tinyio.Do(func(co *tinyio.Co) error { return nil }), failerWithPanic("second"))
		})
	})
	if p.Value != "first" {
		t.Errorf("Run panics with %v", p.Value)
	}
	p = panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			second := tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				panic("second")
			})
			first := tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Second)
				panic("first")
			})
			return co.Wait(second, first)
		})
	})
	if p.Value != "first" || !strings.Contains(p.Error(), "second") {
		t.Errorf("Run panics with %v", p)
	}
}

func failerWithPanic(v any) tinyio.Awaitable {
	return tinyio.Do(func(*tinyio.Co) error { panic(v) })
}

// A Goexit during a crash: everything is cleaned up, and Run goes on with the Goexit.
func TestEdgeGoexitDuringACrash(t *testing.T) {
	noLeaks(t)
	for name, first := range map[string]bool{"of the first coroutine": true, "of another": false} {
		t.Run(name, func(t *testing.T) {
			cleaned, returned := 0, false
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				virtually(func(co *tinyio.Co) error {
					exiting := tinyio.Do(func(co *tinyio.Co) error {
						defer func() { cleaned++ }()
						co.Sleep(time.Hour)
						if !first {
							runtime.Goexit()
						}
						return nil
					})
					slow := tinyio.Do(func(co *tinyio.Co) error {
						co.Sleep(time.Hour)
						err := co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Minute) })
						cleaned++
						return err
					})
					err := co.Wait(exiting, slow, failer(time.Second, errBoom))
					cleaned++
					if first {
						runtime.Goexit()
					}
					return err
				})
				returned = true
			}()
			<-ended
			if cleaned != 3 || returned {
				t.Errorf("%d of 3 have cleaned up, Run returned: %v", cleaned, returned)
			}
		})
	}
}

// The first coroutine waits in a deferred function, panicking or exiting, while another one exits.
func TestEdgeWaitingInADeferWhileAnotherExits(t *testing.T) {
	noLeaks(t)
	for name, end := range map[string]func(){"panicking": panicDeepDown, "exiting": runtime.Goexit, "returning": func() {}} {
		t.Run(name, func(t *testing.T) {
			var log recorder
			ended := make(chan struct{})
			var p any
			go func() {
				defer close(ended)
				defer func() { p = recover() }()
				virtually(func(co *tinyio.Co) error {
					exiting := tinyio.Do(func(co *tinyio.Co) error {
						defer log.add("other")
						runtime.Goexit()
						return nil
					})
					defer func() {
						err := co.Shield(time.Hour, func(co *tinyio.Co) error {
							return errors.Join(co.Spawn(exiting, value(0, 1)), co.Sleep(time.Second))
						})
						log.add("first: %v", err)
					}()
					end()
					return nil
				})
				log.add("Run returns")
			}()
			<-ended
			log.want(t, "other", "first: <nil>")
			if e, ok := p.(*tinyio.PanicError); ok != (name == "panicking") || ok && e.Value != "deep down" {
				t.Errorf("Run panics with %v", p)
			}
		})
	}
}

// A cancellation in the same step as a completion: what is complete stays so, and whoever waited hears of the cancellation.
func TestEdgeCancelInTheSameStepAsACompletion(t *testing.T) {
	noLeaks(t)
	var heard error
	completed := value(time.Second, 7)
	err := virtually(func(co *tinyio.Co) error {
		waiter := tinyio.New(func(co *tinyio.Co) (int, error) {
			var v int
			v, heard = completed.Await(co)
			return v, heard
		})
		if err := co.Spawn(waiter); err != nil {
			return err
		}
		return wait(co, failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) || !errors.Is(heard, tinyio.ErrCancelled) && heard != nil {
		t.Errorf("Run returns %v, the waiter hears %v", err, heard)
	}
	if v := completed.Value(); v != 7 {
		t.Errorf("the value is %d", v)
	}
}

// A timeout in the same step as the completion: the timer that was set first is the first to fire.
func TestEdgeTimeoutInTheSameStepAsTheCompletion(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		// The limit is set when the await is made, before the coroutine itself sleeps.
		if _, err := tinyio.Timeout(co, value(time.Second, 7), time.Second); !errors.Is(err, tinyio.ErrTimeout) {
			t.Errorf("Timeout returns %v", err)
		}
		started := value(time.Second, 7)
		if err := co.Spawn(started); err != nil {
			return err
		}
		limited := tinyio.New(func(co *tinyio.Co) (int, error) { return tinyio.Timeout(co, started, time.Second) })
		_, err := limited.Await(co)
		if err != nil && !errors.Is(err, tinyio.ErrTimeout) {
			return err
		}
		v, err := started.Await(co)
		if v != 7 {
			t.Errorf("the value is %d", v)
		}
		return err
	}, tinyio.WithErrorGroup(tinyio.GroupNever))
}

// A permit granted in the step of a crash is back afterwards, and so with those of a pool.
func TestEdgePermitGrantedInTheStepOfACrash(t *testing.T) {
	noLeaks(t)
	semaphore := tinyio.NewSemaphore(2)
	err := virtually(func(co *tinyio.Co) error {
		user := func() tinyio.Awaitable {
			return tinyio.Do(func(co *tinyio.Co) error {
				if err := semaphore.Acquire(co); err != nil {
					return err
				}
				defer semaphore.Release()
				return co.Sleep(time.Second)
			})
		}
		return co.Wait(user(), user(), user(), user(), user(), tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
			return errBoom
		}))
	})
	if !errors.Is(err, errBoom) || !semaphore.TryAcquire() || !semaphore.TryAcquire() || semaphore.TryAcquire() {
		t.Errorf("Run returns %v, and not all permits are back", err)
	}
}

// Timeout of a coroutine that is shared and is given up by one after the other: the last one halts it.
func TestEdgeTimeoutsOfASharedCoroutine(t *testing.T) {
	noLeaks(t)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		shared := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			log.add("shared: %v", err)
			return err
		})
		limited := func(d time.Duration) tinyio.Awaitable {
			return tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, shared, d)
				log.add("%v: %v after %v", d, err, start.passed(co))
				return nil
			})
		}
		return co.Wait(limited(3*time.Second), limited(time.Second), limited(2*time.Second))
	})
	log.want(t, "1s: tinyio: timed out after 1s after 1s", "2s: tinyio: timed out after 2s after 2s",
		"shared: tinyio: timed out after 3s", "3s: tinyio: timed out after 3s after 3s")
}

// Somebody who comes to wait for a coroutine while it is being halted has its result, an error that is not to be overlooked.
func TestEdgeAwaitOfACoroutineThatIsBeingHalted(t *testing.T) {
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
		if !errors.Is(err, tinyio.ErrTimeout) {
			t.Errorf("Timeout returns %v", err)
		}
		return nil
	})
	if err != nil || !errors.Is(late, tinyio.ErrTimeout) {
		t.Errorf("Run returns %v, the latecomer has %v", err, late)
	}
}

// Timeout of a coroutine that ranges over AsCompleted: it is halted, and those over which it ranges, which are spawned, carry on.
func TestEdgeTimeoutOfAsCompleted(t *testing.T) {
	noLeaks(t)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		slow := tinyio.New(func(co *tinyio.Co) (int, error) {
			err := co.Sleep(10 * time.Second)
			log.add("slow: %v", err)
			return 2, err
		})
		ranging := tinyio.Do(func(co *tinyio.Co) error {
			for v, err := range tinyio.AsCompleted(co, slow, value(time.Second, 1)) {
				log.add("%d, %v after %v", v, err, start.passed(co))
				if err != nil {
					return err
				}
			}
			return nil
		})
		_, err := tinyio.Timeout(co, ranging, 5*time.Second)
		log.add("timeout: %v after %v", err, start.passed(co))
		return nil
	})
	log.want(t, "1, <nil> after 1s", "0, tinyio: timed out after 5s after 5s",
		"timeout: tinyio: timed out after 5s after 5s", "slow: <nil>")
}

// AsCompleted gives the results in the order in which they come, those that were there first, and one twice; leaving it early
// leaves the others running, and it can be ranged over again.
func TestEdgeAsCompletedOrder(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		finished := value(0, 0)
		if err := wait(co, finished); err != nil {
			return err
		}
		a, b, c := value(3*time.Second, 3), value(time.Second, 1), value(2*time.Second, 2)
		results := tinyio.AsCompleted(co, a, b, finished, c, b)
		for _, want := range [][]int{{0, 1, 1, 2, 3}, {3, 1, 0, 2, 1}} { // the second time all are there
			var got []int
			for v, err := range results {
				if err != nil {
					return err
				}
				got = append(got, v)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		start := startWatch(co)
		late := value(time.Minute, 1)
		for range tinyio.AsCompleted(co, value(time.Second, 1), late) {
			break
		}
		if start.passed(co) != time.Second {
			t.Errorf("it takes %v", start.passed(co))
		}
		v, err := late.Await(co)
		if v != 1 || start.passed(co) != time.Minute {
			t.Errorf("the other gives %d after %v", v, start.passed(co))
		}
		return err
	})
}

// R19: cancelled from outside while crashing inside, Isolate returns the failure inside. The caller hears of its own stop at its next wait.
func TestEdgeIsolateCancelledFromOutsideWhileCrashingInside(t *testing.T) {
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

// A clean-up error inside an Isolate that is cancelled from outside comes out of Run, with a chain from the root.
func TestEdgeCleanUpErrorInsideACancelledIsolate(t *testing.T) {
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

// The chain of an error of GroupAlways, the modes of a nested run and of an Isolate.
func TestEdgeGroupModeInsideIsolateAndNestedRun(t *testing.T) {
	noLeaks(t)
	program := func(co *tinyio.Co) error { return co.Wait(sleeper(time.Hour), failer(time.Second, errBoom)) }
	succeed(t, func(co *tinyio.Co) error {
		r, err := isolate(co, tinyio.Do(program))
		var group *tinyio.ErrorGroup
		if err != nil || !errors.As(r.Err, &group) || !slices.Equal(texts(group.Errs), []string{"boom", "cancelled", "cancelled"}) {
			t.Errorf("Isolate gives %v, %v", r.Err, err)
		}
		if err := virtually(program); errors.As(err, &group) || !errors.Is(err, errBoom) {
			t.Errorf("the nested run returns %v", err)
		}
		return nil
	}, tinyio.WithErrorGroup(tinyio.GroupAlways))
}

// A nested Run crashes, and the outer coroutine handles it; a nested Run under the context of its coroutine.
func TestEdgeNestedRunThatFailsAndIsHandled(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		if err := virtually(func(co *tinyio.Co) error { return errBoom }); !errors.Is(err, errBoom) {
			t.Errorf("the nested run returns %v", err)
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		var nested func(depth int) (int, error)
		nested = func(depth int) (int, error) {
			return tinyio.Run(co, tinyio.New(func(co *tinyio.Co) (int, error) {
				v, err := tinyio.Gather(co, value(time.Second, depth), value(time.Second, 1))
				if err != nil || depth == 0 {
					return 0, err
				}
				more, err := nested(depth - 1)
				return v[0] + more, err
			}), tinyio.WithVirtualTime())
		}
		v, err := nested(10)
		if v != 55 {
			t.Errorf("nested runs give %d", v)
		}
		return err
	})
	err := virtually(func(co *tinyio.Co) error {
		return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
			co.Sleep(time.Hour)
			_, err := tinyio.Run(co, sleeper(time.Hour)) // its context is done already
			if !errors.Is(err, errBoom) {
				t.Errorf("a run under a context that is done returns %v", err)
			}
			return err
		}))
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
}

// A result that was given up by a crash, or is there, is to be had in a later RunOn.
func TestEdgeResultsInALaterRun(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	finished, cancelled, never, failing := value(time.Second, 1), value(time.Hour, 2), value(0, 3), failer(time.Minute, errBoom)
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(finished, cancelled, failing) }))
	if !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	_, err = tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		if v, err := finished.Await(co); v != 1 || err != nil {
			t.Errorf("the finished one gives %d, %v", v, err)
		}
		if _, err := cancelled.Await(co); !errors.Is(err, tinyio.ErrCancelled) {
			t.Errorf("the cancelled one gives %v", err)
		}
		if err := wait(co, failing); !errors.Is(err, errBoom) {
			t.Errorf("the failed one gives %v", err)
		}
		if _, err := tinyio.Gather(co, finished, cancelled); !errors.Is(err, tinyio.ErrCancelled) {
			t.Errorf("Gather gives %v", err)
		}
		if err := co.Wait(finished, failing, cancelled); !errors.Is(err, errBoom) {
			t.Errorf("Wait gives %v", err)
		}
		if r, err := isolate(co, failing); !errors.Is(r.Err, errBoom) || err != nil {
			t.Errorf("Isolate gives %v, %v", r, err)
		}
		if v, err := never.Await(co); v != 3 || err != nil {
			t.Errorf("the one that never ran gives %d, %v", v, err)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// The context of a coroutine: its children, its cause, inside and outside of Shield, and after the end.
func TestEdgeContextOfACoroutine(t *testing.T) {
	noLeaks(t)
	type key struct{}
	ctx := context.WithValue(background, key{}, "v")
	var kept []context.Context
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		victim := tinyio.Do(func(co *tinyio.Co) error {
			child, cancel := context.WithCancel(co)
			defer cancel()
			if co.Err() != nil || child.Err() != nil || context.Cause(co) != nil || child.Value(key{}) != "v" {
				t.Error("the context is done, or has lost its values, before anything happens")
			}
			shieldErr := co.Shield(time.Hour, func(inside *tinyio.Co) error {
				err := inside.Sleep(2 * time.Second) // the crash is after one
				if err != nil || inside.Err() != nil || inside.Value(key{}) != "v" {
					t.Errorf("inside Shield: %v, %v", err, inside.Err())
				}
				<-co.Done() // is closed; it would block for ever otherwise
				<-child.Done()
				grandchild, cancel := context.WithCancel(inside)
				defer cancel()
				if grandchild.Err() != nil {
					t.Error("a context made inside Shield is done")
				}
				kept = append(kept, inside)
				return nil
			})
			if shieldErr != nil {
				t.Errorf("Shield returns %v", shieldErr)
			}
			if context.Cause(co) != errBoom || context.Cause(child) != errBoom || co.Err() != context.Canceled {
				t.Errorf("the cause is %v, of a child %v, Err %v", context.Cause(co), context.Cause(child), co.Err())
			}
			kept = append(kept, co, child)
			return co.Yield()
		})
		return co.Wait(victim, failer(time.Second, errBoom))
	}), tinyio.WithVirtualTime())
	if !errors.Is(err, errBoom) {
		t.Errorf("Run returns %v", err)
	}
	for i, ctx := range kept {
		if ctx.Err() == nil {
			t.Errorf("context %d is not done after the end", i)
		}
	}
}

// The cause in the contexts of a crash is its original error, even if the context given to Run is done by then too.
func TestEdgeCauseIsTheOriginalError(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	var cause, threadCause error
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		thread := tinyio.RunInThread(func(ctx context.Context) (int, error) {
			<-ctx.Done()
			threadCause = context.Cause(ctx)
			return 0, nil
		})
		victim := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			cause = context.Cause(co)
			return err
		})
		return co.Wait(thread, victim, tinyio.Do(func(co *tinyio.Co) error {
			cancel(errors.New("outside"))
			return errBoom
		}))
	}))
	if !errors.Is(err, errBoom) && !errors.Is(err, context.Cause(ctx)) {
		t.Errorf("Run returns %v", err)
	}
	if !errors.Is(err, cause) || !errors.Is(err, threadCause) {
		t.Errorf("Run returns %v, the causes are %v, %v", err, cause, threadCause)
	}
}

// Guest mode left early, after each number of steps and in each way: everything is cleaned up, and the loop can be run again.
func TestEdgeGuestLeftEarlyInEveryState(t *testing.T) {
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	for _, way := range []string{"break", "panic", "Goexit"} {
		for leave := 1; ; leave++ {
			ended := false
			t.Run(fmt.Sprintf("%s after %d", way, leave), func(t *testing.T) {
				noLeaks(t)
				started, cleaned := 0, 0
				counted := func(f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
					return tinyio.Do(func(co *tinyio.Co) error {
						started++
						defer func() { cleaned++ }()
						return f(co)
					})
				}
				semaphore := tinyio.NewSemaphore(1)
				r := tinyio.Start(background, l, counted(func(co *tinyio.Co) error {
					locked := func() *tinyio.Coro[tinyio.Void] {
						return counted(func(co *tinyio.Co) error {
							if err := semaphore.Acquire(co); err != nil {
								return err
							}
							defer semaphore.Release()
							return co.Sleep(time.Second)
						})
					}
					if err := co.Spawn(locked(), locked()); err != nil {
						return err
					}
					if _, err := tinyio.Timeout(co, counted(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }), time.Second); !errors.Is(err, tinyio.ErrTimeout) {
						return err
					}
					isolated := counted(func(co *tinyio.Co) error {
						return co.Wait(counted(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }), failer(time.Second, errBoom))
					})
					tinyio.Isolate(co, isolated)
					if err := co.Yield(); err != nil {
						return err
					}
					return co.Shield(time.Minute, func(co *tinyio.Co) error {
						return co.Wait(locked(), tinyio.RunInThread(func(context.Context) (int, error) { return 0, nil }))
					})
				}))
				steps := 0
				left := make(chan any, 1)
				go func() {
					defer func() { left <- recover() }()
					for p := range r.Steps() {
						if steps++; steps == leave {
							switch way {
							case "panic":
								panic("the host's own")
							case "Goexit":
								runtime.Goexit()
							}
							break
						}
						if p.Blocked && p.Deadline.IsZero() {
							<-p.Wake
						}
					}
				}()
				p := <-left
				if ended = steps < leave; ended {
					if _, err := r.Result(); err != nil {
						t.Errorf("the result is %v", err)
					}
					return
				}
				if (p == "the host's own") != (way == "panic") {
					t.Errorf("the range panics with %v", p)
				}
				if _, err := r.Result(); err == nil || !strings.Contains(err.Error(), "left") {
					t.Errorf("the result is %v", err)
				}
				if started != cleaned || !semaphore.TryAcquire() {
					t.Errorf("%d have started, %d have cleaned up", started, cleaned)
				}
				for range r.Steps() {
					t.Error("there are steps after the end")
				}
				if v, err := tinyio.RunOn(background, l, value(time.Second, 7)); v != 7 || err != nil {
					t.Errorf("the loop then gives %d, %v", v, err)
				}
			})
			if ended || t.Failed() {
				break
			}
		}
	}
}

// A panic during the clean-up of a run that its host has left comes out of the range.
func TestEdgeGuestLeftEarlyPanicsInItsCleanUp(t *testing.T) {
	noLeaks(t)
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		co.Sleep(time.Hour)
		panic("clean-up")
	}))
	p := panicErrorOf(t, func() {
		for range r.Steps() {
			break
		}
	})
	if p.Value != "clean-up" {
		t.Errorf("the range panics with %v", p.Value)
	}
}

// A panic and a Goexit of a coroutine come out of the range of its host.
func TestEdgeGuestPanicAndGoexitComeOutOfTheRange(t *testing.T) {
	noLeaks(t)
	p := panicErrorOf(t, func() {
		r := tinyio.Start(background, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error { panic("in a coroutine") }))
		for range r.Steps() {
		}
	})
	if p.Value != "in a coroutine" {
		t.Errorf("the range panics with %v", p.Value)
	}
	gone, returned := make(chan struct{}), false
	go func() {
		defer close(gone)
		r := tinyio.Start(background, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error {
			defer runtime.Goexit()
			return co.Yield()
		}))
		for range r.Steps() {
		}
		returned = true
	}()
	<-gone
	if returned {
		t.Error("the Goexit is lost")
	}
}

// Guest mode with virtual time: the loop skips the time, step by step, and finds a deadlock.
func TestEdgeGuestWithVirtualTime(t *testing.T) {
	noLeaks(t)
	var slept time.Duration
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		start := startWatch(co)
		err := co.Wait(sleeper(time.Hour), sleeper(24*time.Hour))
		slept = start.passed(co)
		return err
	}))
	for range r.Steps() {
	}
	if _, err := r.Result(); err != nil || slept != 24*time.Hour {
		t.Errorf("the result is %v after %v", err, slept)
	}
	r = tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		return new(tinyio.Event).Wait(co)
	}))
	for range r.Steps() {
	}
	if _, err := r.Result(); !errors.As(err, new(*tinyio.DeadlockError)) {
		t.Errorf("the result is %v, want a DeadlockError", err)
	}
}

// A loop that is running cannot be started by a host: there are no steps, and the result is the error.
func TestEdgeGuestOfARunningLoop(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	first := tinyio.Start(background, l, value(0, 1))
	second := tinyio.Start(background, l, value(0, 2))
	for range second.Steps() {
		t.Error("there is a step")
	}
	if _, err := second.Result(); err == nil || !strings.Contains(err.Error(), "running") {
		t.Errorf("the result is %v", err)
	}
	for range first.Steps() {
	}
	if v, err := first.Result(); v != 1 || err != nil {
		t.Errorf("the first gives %d, %v", v, err)
	}
}

// The context of a guest that is done between two steps is noticed at the next one, and its Wake tells a blocked host.
func TestEdgeGuestContextIsDone(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	r := tinyio.Start(ctx, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
	steps := 0
	for p := range r.Steps() {
		if steps++; steps == 1 && p.Blocked {
			go cancel()
			<-p.Wake
		}
	}
	if _, err := r.Result(); !errors.Is(err, context.Canceled) || steps != 1 {
		t.Errorf("the result is %v after %d steps", err, steps)
	}
}

// A loop with its real clock inside a bubble of testing/synctest: the time there is the bubble's, and threads and events from
// goroutines work.
func TestEdgeInsideASynctestBubble(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var event, never tinyio.Event
		go func() {
			time.Sleep(time.Minute)
			event.Set()
		}()
		_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			start := startWatch(co)
			if err := event.Wait(co); err != nil {
				return err
			}
			if d := start.passed(co); d != time.Minute {
				t.Errorf("the event is set after %v", d)
			}
			if set, err := never.WaitFor(co, time.Hour); set || err != nil {
				t.Errorf("WaitFor returns %v, %v", set, err)
			}
			v, err := tinyio.RunInThread(func(ctx context.Context) (int, error) {
				select {
				case <-ctx.Done():
					return 0, ctx.Err()
				case <-time.After(time.Minute):
					return 7, nil
				}
			}).Await(co)
			if v != 7 || start.passed(co) != time.Hour+2*time.Minute {
				t.Errorf("the thread gives %d, %v after %v", v, err, start.passed(co))
			}
			_, err = tinyio.Timeout(co, tinyio.RunInThread(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			}), time.Minute)
			if !errors.Is(err, tinyio.ErrTimeout) {
				t.Errorf("Timeout returns %v", err)
			}
			return nil
		}))
		if err != nil || time.Since(began) != time.Hour+3*time.Minute {
			t.Errorf("Run returns %v after %v", err, time.Since(began))
		}
	})
}

// A loop in a goroutine of a bubble is durably blocked while it is idle: synctest.Wait comes back, and its time goes on.
func TestEdgeIdleLoopInABubbleIsDurablyBlocked(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(background, time.Hour)
		defer cancel()
		var outcome error
		var group sync.WaitGroup
		asleep := false
		group.Go(func() {
			_, outcome = tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
				asleep = true
				return co.Wait(sleeper(2*time.Hour), tinyio.Do(func(co *tinyio.Co) error { return new(tinyio.Event).Wait(co) }))
			}))
		})
		synctest.Wait()
		if !asleep {
			t.Error("the loop has not started")
		}
		group.Wait()
		if !errors.Is(outcome, context.DeadlineExceeded) {
			t.Errorf("Run returns %v", outcome)
		}
	})
}

// A loop and an event are used in one bubble after another, and outside.
func TestEdgeLoopInOneBubbleAfterAnother(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	use := func(t *testing.T) {
		v, err := tinyio.RunOn(background, l, tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(time.Millisecond); err != nil {
				return 0, err
			}
			return tinyio.RunInThread(func(context.Context) (int, error) { return 7, nil }).Await(co)
		}))
		if v != 7 || err != nil {
			t.Errorf("got %d, %v", v, err)
		}
	}
	for range 3 {
		synctest.Test(t, use)
		use(t)
	}
}

// No suspension allocates, and a coroutine with its closure costs at most two allocations.
func TestEdgeAllocations(t *testing.T) {
	noLeaks(t)
	tinyio.KeepWorkers(t)
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	succeed(t, func(co *tinyio.Co) error {
		var event tinyio.Event
		semaphore := tinyio.NewSemaphore(1)
		stop := false
		partner := tinyio.Do(func(co *tinyio.Co) error {
			for !stop {
				event.Set()
				if err := co.Sleep(1); err != nil {
					return err
				}
			}
			return nil
		})
		holder := tinyio.Do(func(co *tinyio.Co) error {
			for !stop {
				if err := semaphore.Acquire(co); err != nil {
					return err
				}
				if err := co.Sleep(1); err != nil {
					return err
				}
				semaphore.Release()
				if err := co.Sleep(1); err != nil {
					return err
				}
			}
			return nil
		})
		// The tests look at the invariants of a small loop after each step, and that allocates; this one is not small.
		for range 200 {
			if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				for !stop {
					if err := co.Sleep(time.Hour); err != nil {
						return err
					}
				}
				return nil
			})); err != nil {
				return err
			}
		}
		if err := co.Spawn(partner, holder); err != nil {
			return err
		}
		check := func(err error) {
			if err != nil {
				panic(err)
			}
		}
		for _, c := range []struct {
			name string
			most float64
			f    func()
		}{
			{"Yield", 0, func() { check(co.Yield()) }},
			{"Sleep", 0, func() { check(co.Sleep(1)) }},
			{"Event.Wait", 0, func() { event.Clear(); check(event.Wait(co)) }},
			{"Event.WaitFor", 0, func() { event.Clear(); event.WaitFor(co, time.Hour) }},
			{"Acquire", 0, func() { check(semaphore.Acquire(co)); semaphore.Release() }},
			{"New and Await", 2, func() {
				x := stop
				c := tinyio.New(func(*tinyio.Co) (bool, error) { return x, nil })
				_, err := c.Await(co)
				check(err)
			}},
		} {
			for range 10 {
				c.f() // what is allocated once, such as the place of a timer
			}
			if n := testing.AllocsPerRun(200, c.f); n > c.most {
				t.Errorf("%s: %v allocations, want %v at most", c.name, n, c.most)
			}
		}
		stop = true
		return nil
	})
}

// raceEnabled reports whether the race detector is on: it makes sync.Pool forget on purpose, which shows in allocations.
func raceEnabled() bool {
	var pool sync.Pool
	for range 100 {
		pool.Put(new(int))
		if pool.Get() == nil {
			return true
		}
	}
	return false
}

// What finishes while the body of a range over AsCompleted is elsewhere is not lost, and comes in the order in which it finished.
func TestEdgeAsCompletedWhileItsBodyWaits(t *testing.T) {
	noLeaks(t)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		start := startWatch(co)
		for v, err := range tinyio.AsCompleted(co, value(4*time.Second, 4), value(time.Second, 1), value(3*time.Second, 3), value(2*time.Second, 2)) {
			log.add("%d, %v after %v", v, err, start.passed(co))
			if v == 1 {
				if err := co.Sleep(9 * time.Second); err != nil {
					return err
				}
			}
		}
		return nil
	})
	log.want(t, "1, <nil> after 1s", "2, <nil> after 10s", "3, <nil> after 10s", "4, <nil> after 10s")
}

// A coroutine that is cancelled in the body of a range over AsCompleted, and ranges on, is told so at once; the range ends.
func TestEdgeAsCompletedOfACancelledCoroutine(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		ranging := tinyio.Do(func(co *tinyio.Co) error {
			for v, err := range tinyio.AsCompleted(co, value(0, 1), value(0, 2), value(0, 3)) {
				log.add("%d: %v", v, err)
				co.Sleep(time.Hour)
			}
			return nil
		})
		return co.Wait(ranging, failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "1: <nil>", "0: tinyio: cancelled because of: boom")
}

// The range over AsCompleted hears of the failure of one of its coroutines from an earlier run as Await would.
func TestEdgeAsCompletedOfFailedCoroutines(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	failed := tinyio.New(func(co *tinyio.Co) (int, error) { return 0, errBoom })
	if _, err := tinyio.RunOn(background, l, failed); !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	var log recorder
	if _, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		for v, err := range tinyio.AsCompleted(co, value(time.Second, 1), failed) {
			log.add("%d, %v", v, err)
		}
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	log.want(t, "0, boom", "1, <nil>")
}

// The texts of the errors say what happened, to whom, and what to do.
func TestEdgeTextsOfErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&tinyio.CancelledError{Cause: errBoom}, "tinyio: cancelled because of: boom"},
		{&tinyio.TimeoutError{After: time.Second}, "tinyio: timed out after 1s"},
		{&tinyio.CycleError{Path: []string{"a", "b", "a"}}, "tinyio: a cycle of awaits: a awaits b awaits a"},
		{&tinyio.DeadlockError{Waits: []string{"a waits", "b waits"}}, "tinyio: deadlock: "},
		{&tinyio.DeadlockError{Waits: []string{"a waits", "b waits"}}, "\n\ta waits\n\tb waits"},
		{&tinyio.ErrorGroup{}, ""},
		{&tinyio.ErrorGroup{Errs: []error{errBoom, context.Canceled}}, "boom\nwhile stopping: context canceled"},
		{&tinyio.PanicError{Value: "v"}, "tinyio: panic in a coroutine: v"},
	} {
		if text := c.err.Error(); !strings.Contains(text, c.want) {
			t.Errorf("the text is %q, want %q in it", text, c.want)
		}
	}
	if e := (&tinyio.TimeoutError{}); !e.Timeout() || !e.Temporary() {
		t.Error("a TimeoutError is no timeout")
	}
}

// The deadline of the context given to Run is that of each thread.
func TestEdgeDeadlineOfAThread(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	want, _ := ctx.Deadline()
	got, err := tinyio.Run(ctx, tinyio.RunInThread(func(ctx context.Context) (time.Time, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			t.Error("there is no deadline")
		}
		return deadline, nil
	}))
	if err != nil || !got.Equal(want) {
		t.Errorf("the deadline is %v, want %v, %v", got, want, err)
	}
}

// Cycles by way of what is isolated, and of what an AsCompleted still waits for.
func TestEdgeCyclesThroughIsolateAndAsCompleted(t *testing.T) {
	noLeaks(t)
	var a *tinyio.Coro[int]
	outside := tinyio.New(func(co *tinyio.Co) (int, error) {
		if err := co.Sleep(time.Second); err != nil {
			return 0, err
		}
		return a.Await(co)
	}).Named("outside")
	a = tinyio.New(func(co *tinyio.Co) (int, error) {
		r, err := isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			for _, err := range tinyio.AsCompleted(co, value(2*time.Second, 1), outside) {
				if err != nil {
					return 0, err
				}
			}
			return 0, nil
		}).Named("inside"))
		return 0, cmpOr(err, r.Err)
	}).Named("a")
	err := virtually(func(co *tinyio.Co) error {
		if err := co.Spawn(outside); err != nil {
			return err
		}
		return wait(co, a)
	})
	var cycle *tinyio.CycleError
	if !errors.As(err, &cycle) || len(cycle.Path) != 4 || cycle.Path[0] != cycle.Path[3] {
		t.Errorf("Run returns %v", err)
	}
}

// A clock that panics, at any of its calls: Run panics with that, everything is cleaned up, and no coroutine can recover it.
func TestEdgeClockThatPanics(t *testing.T) {
	noLeaks(t)
	for call := 2; ; call++ { // the first one is made before anything runs
		clock := &panickingClock{manualClock: newManualClock(), left: call}
		var recovered any
		begun, cleaned := 0, 0
		program := func(co *tinyio.Co) error {
			begun++
			defer func() {
				recovered = recover()
				cleaned++
			}()
			return co.Sleep(time.Millisecond)
		}
		var p any
		within(t, func() {
			p = panicOf(func() {
				tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
					var never tinyio.Event
					if _, err := never.WaitFor(co, time.Millisecond); err != nil {
						return err
					}
					if _, err := tinyio.Timeout(co, tinyio.Do(program), time.Millisecond); err != nil {
						return err
					}
					return co.Wait(tinyio.Do(program), tinyio.Do(program))
				}), tinyio.WithClock(clock))
			})
		})
		if clock.left > 0 {
			if call < 10 {
				t.Errorf("the clock was called %d times only", call-clock.left)
			}
			return
		}
		var e *tinyio.PanicError
		if err, _ := p.(error); !errors.As(err, &e) || e.Value != "the clock" || recovered != nil || cleaned != begun {
			t.Errorf("call %d: Run panics with %v, a coroutine recovers %v, %d of %d cleaned up", call, p, recovered, cleaned, begun)
		}
	}
}

// A panickingClock panics once, at one of its calls.
type panickingClock struct {
	*manualClock
	left int
}

func (c *panickingClock) call() {
	if c.left--; c.left == 0 {
		panic("the clock")
	}
}

func (c *panickingClock) Now() time.Time {
	c.call()
	return c.manualClock.Now()
}

func (c *panickingClock) Idle(p hook.Pause) bool {
	c.call()
	return c.manualClock.Idle(p)
}

// A run inside a coroutine ends with the context of the outer run, whose loop stands still meanwhile.
func TestEdgeNestedRunEndsWithTheOuterContext(t *testing.T) {
	noLeaks(t)
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(background)
	var inner error
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		_, inner = tinyio.Run(co, tinyio.Do(func(co *tinyio.Co) error {
			cancel(stopped)
			var never tinyio.Event
			return never.Wait(co)
		}))
		return co.Sleep(time.Hour)
	}))
	if !errors.Is(inner, stopped) || !errors.Is(err, stopped) {
		t.Errorf("the inner run returns %v and the outer one %v", inner, err)
	}
}

// A PanicError that the function of a thread returns is an error like any other.
func TestEdgeThreadReturnsAPanicError(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		_, err := tinyio.RunInThread(func(context.Context) (int, error) { return 0, &tinyio.PanicError{Value: 1} }).Await(co)
		return err
	})
	if p := new(tinyio.PanicError); !errors.As(err, &p) || p.Value != 1 {
		t.Errorf("Run returns %v", err)
	}
}

// A coroutine of a hosted run cannot be its host.
func TestEdgeStepsInsideTheirOwnRun(t *testing.T) {
	noLeaks(t)
	var r *tinyio.Runtime[tinyio.Void]
	r = tinyio.Start(background, tinyio.NewLoop(), tinyio.Do(func(*tinyio.Co) error {
		for range r.Steps() {
		}
		return nil
	}))
	defer func() {
		if p, ok := recover().(*tinyio.PanicError); !ok || !strings.Contains(p.Error(), "Steps: ranged over by a coroutine") {
			t.Errorf("the range panics with %v", p)
		}
	}()
	for range r.Steps() {
	}
}

// A panicker panics at the n-th thing that it is told, or asked.
type panicker struct{ n int }

func (p *panicker) Observe(hook.Note) {
	if p.n--; p.n == 0 {
		panic("observer")
	}
}

func (p *panicker) Pick([]tinyio.ID) int {
	if p.n--; p.n == 0 {
		panic("picker")
	}
	return 0
}

// A tool that panics, whenever that is, stops the run cleanly and comes out of it.
func TestEdgeToolThatPanics(t *testing.T) {
	noLeaks(t)
	run := func(o tinyio.Option) (p any) {
		defer func() { p = recover() }()
		_, _ = tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			sleeper := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Second) })
			failing := tinyio.Do(func(co *tinyio.Co) error { return errors.New("boom") })
			tinyio.Isolate(co, failing)
			if _, err := tinyio.Timeout(co, sleeper, time.Millisecond); errors.Is(err, tinyio.ErrCancelled) {
				return err
			}
			return co.Wait(value(0, 1), value(0, 2), value(0, 3))
		}), tinyio.WithVirtualTime(), o)
		return nil
	}
	for n := 1; n <= 30; n++ {
		for name, o := range map[string]tinyio.Option{
			"observer": tinyio.WithObserver(&panicker{n}), "picker": tinyio.WithPicker(&panicker{n}),
		} {
			within(t, func() {
				if p := run(o); p != nil {
					if p, ok := p.(*tinyio.PanicError); !ok || p.Value != name {
						t.Errorf("%s, %d: the run panics with %v", name, n, p)
					}
				} else if name == "observer" && n < 15 {
					t.Errorf("%s, %d: the panic is lost", name, n)
				}
			})
		}
	}
}

// TestTimeoutOfOneInsideAShieldOfAnother proves R18 and R13 together: who is halted alone is not what the Shield around it is there
// for. So the Timeout does not wait for the grace of that Shield, and all of the grace is left when its owner needs it.
func TestTimeoutOfOneInsideAShieldOfAnother(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		start := startWatch(co)
		shared := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			log.add("%v: the shared one: %v", start.passed(co), err)
			return err
		})
		err := co.Spawn(
			tinyio.Do(func(co *tinyio.Co) error {
				return co.Shield(10*time.Second, func(co *tinyio.Co) error {
					_, err := tinyio.Timeout(co, shared, time.Second) // which gives up waiting
					log.add("%v: the owner of the Shield: %v", start.passed(co), err)
					err = co.Sleep(time.Hour)
					log.add("%v: the owner of the Shield: %v", start.passed(co), err)
					return err
				})
			}),
			tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, shared, 2*time.Second)
				log.add("%v: the other one: %v", start.passed(co), err)
				return nil
			}))
		if err != nil {
			return err
		}
		if err := co.Sleep(20 * time.Second); err != nil {
			return err
		}
		return errBoom
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("the run gives %v", err)
	}
	log.want(t,
		"1s: the owner of the Shield: tinyio: timed out after 1s",
		"2s: the shared one: tinyio: timed out after 2s",
		"2s: the other one: tinyio: timed out after 2s",
		"30s: the owner of the Shield: tinyio: cancelled because of: boom")
}

// R10, R19: what goes wrong in clean-up inside an Isolate whose caller is halted is a matter of whoever halted it: of the Timeout; or, if that
// was the end of a Submit that has not waited, of the run.
func TestFailureInsideAnIsolateThatIsHalted(t *testing.T) {
	noLeaks(t)
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
	if !errors.Is(err, errBoom) {
		t.Errorf("the run gives %v", err)
	}
}

// TestRangerThatIsStoppedIsWaitedForInACycle proves R17 and R13 for one that waits for any of several, and has been stopped: it waits for
// all of them then, and whoever of them, behind a Shield, waits for it closes a cycle.
func TestRangerThatIsStoppedIsWaitedForInACycle(t *testing.T) {
	noLeaks(t)
	var ranger *tinyio.Coro[tinyio.Void]
	late := tinyio.Do(func(co *tinyio.Co) error {
		_ = co.Sleep(time.Hour)
		return co.Shield(time.Second, func(co *tinyio.Co) error { return co.Sleep(100 * time.Millisecond) })
	})
	var inShield error
	waits := tinyio.Do(func(co *tinyio.Co) error {
		_ = co.Sleep(time.Hour)
		return co.Shield(time.Second, func(co *tinyio.Co) error {
			inShield = wait(co, ranger)
			return nil
		})
	})
	ranger = tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.WaitAny(co, late, waits)
		return err
	})
	err := virtually(func(co *tinyio.Co) error {
		if err := co.Spawn(ranger); err != nil {
			return err
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		return errBoom
	})
	var cycle *tinyio.CycleError
	if !errors.Is(err, errBoom) || !errors.As(inShield, &cycle) {
		t.Errorf("the run gives %v, and to wait for the ranger %v", err, inShield)
	}
}

// TestStartedInsideNestedShieldsWhoseGracesEndInAnyOrder proves R13: whoever is started inside of three Shields is stopped when the last of
// them is over, in whatever order that happens.
func TestStartedInsideNestedShieldsWhoseGracesEndInAnyOrder(t *testing.T) {
	noLeaks(t)
	for _, graces := range [][3]int{{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}} {
		var stopped time.Duration
		err := virtually(func(co *tinyio.Co) error {
			started := startWatch(co)
			inner := tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Hour)
				stopped = started.passed(co)
				return err
			})
			owner := tinyio.Do(func(co *tinyio.Co) error {
				var nest func(co *tinyio.Co, left []int) error
				nest = func(co *tinyio.Co, left []int) error {
					if len(left) == 0 {
						return co.Wait(inner)
					}
					return co.Shield(time.Duration(left[0])*time.Second, func(co *tinyio.Co) error { return nest(co, left[1:]) })
				}
				return nest(co, graces[:])
			})
			if err := co.Spawn(owner); err != nil {
				return err
			}
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
			return errBoom
		})
		if !errors.Is(err, errBoom) || stopped != 4*time.Second {
			t.Errorf("graces %v: stopped after %v, and the run gives %v", graces, stopped, err)
		}
	}
}

// TestPatienceBeginsAnewWhenAThreadComesBack proves R24: that virtual time has once jumped because of a thread that was stuck is no reason to
// jump because of another one.
func TestPatienceBeginsAnewWhenAThreadComesBack(t *testing.T) {
	noLeaks(t)
	release, quick := make(chan struct{}), make(chan struct{}, 1)
	succeed(t, func(co *tinyio.Co) error {
		stuck := tinyio.RunInThread(func(context.Context) (tinyio.Void, error) { <-release; return tinyio.Void{}, nil })
		if err := co.Spawn(stuck); err != nil {
			return err
		}
		if err := co.Sleep(time.Hour); err != nil { // jumps, after some patience
			return err
		}
		close(release)
		if err := wait(co, stuck); err != nil {
			return err
		}
		next := tinyio.RunInThread(func(context.Context) (tinyio.Void, error) {
			time.AfterFunc(time.Millisecond, func() { quick <- struct{}{} })
			<-quick
			return tinyio.Void{}, nil
		})
		_, err := tinyio.Timeout(co, next, time.Hour)
		return err
	})
}

// TestNestedRunInAShield proves R13 for a run inside a Shield, and R12 for one whose context was derived from a Co: such a run hears of the
// context of the outer one, which stands still meanwhile, but not as long as the Shield protects.
func TestNestedRunInAShield(t *testing.T) {
	noLeaks(t)
	stopped := errors.New("stopped")
	type key struct{}
	ctx, cancel := context.WithCancelCause(background)
	var shielded, bare error
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		nap := func(co *tinyio.Co) error { return co.Sleep(time.Millisecond) }
		cancel(stopped)
		err := co.Shield(time.Hour, func(co *tinyio.Co) error {
			_, shielded = tinyio.Run(co, tinyio.Do(nap))
			return nil
		})
		var never tinyio.Event
		_, bare = tinyio.Run(context.WithValue(co, key{}, 1), tinyio.Do(never.Wait))
		return err
	}))
	if !errors.Is(err, stopped) && err != nil || shielded != nil || !errors.Is(bare, stopped) {
		t.Errorf("the outer run gives %v, that in the Shield %v, and that beside it %v", err, shielded, bare)
	}
}

// TestGoexitInATool proves R14: a Goexit in an observer, a picker, a clock or a thread starter, such as that of a t.Fatal there, ends the
// run like one in a coroutine, with all of the clean-up.
func TestGoexitInATool(t *testing.T) {
	noLeaks(t)
	exit := func() *exitingTool { return &exitingTool{manualClock: newManualClock()} }
	for name, option := range map[string]tinyio.Option{
		"observer": tinyio.WithObserver(exit()),
		"picker":   tinyio.WithPicker(exit()),
		"clock":    tinyio.WithClock(exit()),
		"threads":  tinyio.WithThreads(func(*hook.Thread) { runtime.Goexit() }),
	} {
		begun, cleaned, returned := 0, 0, false
		loop := tinyio.NewLoop(option)
		within(t, func() {
			_, err := tinyio.RunOn(background, loop, tinyio.Do(func(co *tinyio.Co) error {
				member := func() tinyio.Awaitable {
					return tinyio.Do(func(co *tinyio.Co) error {
						begun++
						defer func() { cleaned++ }()
						if err := co.Sleep(time.Millisecond); err != nil {
							return err
						}
						return wait(co, tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil }))
					})
				}
				return co.Wait(member(), member())
			}))
			returned = true
			t.Errorf("%s: the run returns %v, want it to exit", name, err)
		})
		if returned || begun == 0 || cleaned != begun {
			t.Errorf("%s: %d of %d have cleaned up", name, cleaned, begun)
		}
		if _, err := tinyio.RunOn(background, loop, tinyio.Do(func(*tinyio.Co) error { return nil })); err != nil {
			t.Errorf("%s: the loop cannot be run again: %v", name, err)
		}
	}
}

// An exitingTool is an observer, a picker and a clock, all of which call runtime.Goexit when there has been something to do.
type exitingTool struct {
	*manualClock
	notes, picks int
}

func (e *exitingTool) Observe(hook.Note) {
	if e.notes++; e.notes == 7 {
		runtime.Goexit()
	}
}

func (e *exitingTool) Pick([]tinyio.ID) int {
	if e.picks++; e.picks == 2 {
		runtime.Goexit()
	}
	return 0
}

func (e *exitingTool) Idle(p hook.Pause) bool {
	if e.idles++; e.idles == 1 {
		runtime.Goexit()
	}
	return e.manualClock.Idle(p)
}
