package tinyio_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// shielded does do in a Shield of an hour when its wait has been ended, and then returns how.
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

// R13: inside Shield suspension works although the coroutine is cancelled, for at most the grace period, which counts from
// the cancellation if the Shield was there before, and otherwise from the call.
func TestShieldWorksForTheGracePeriod(t *testing.T) {
	const grace = 10 * time.Second
	cases := []struct {
		name         string
		before       time.Duration // how long the shield has been there when the crash comes; negative: it comes first
		takes        time.Duration // what happens inside
		want         time.Duration // when it ends, counted from the crash
		cutShort     bool
		insideShield bool
	}{
		{name: "entered after the cancellation, in time", before: -1, takes: grace - 1, want: grace - 1},
		{name: "entered after the cancellation, too slow", before: -1, takes: time.Hour, want: grace, cutShort: true},
		{name: "entered before the cancellation, in time", before: time.Minute, takes: time.Minute + grace - 1, want: grace - 1},
		{name: "entered before the cancellation, too slow", before: time.Minute, takes: time.Hour, want: grace, cutShort: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			var crashed, ended time.Time
			var inside, after error
			err := virtually(func(co *tinyio.Co) error {
				crash := tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(max(c.before, time.Minute))
					crashed = co.Now()
					return cmp.Or(err, errBoom)
				})
				shielded := tinyio.Do(func(co *tinyio.Co) error {
					if c.before < 0 {
						if err := co.Sleep(time.Hour); !errors.Is(err, tinyio.ErrCancelled) {
							t.Error("it is not cancelled")
						}
					}
					inside = co.Shield(grace, func(co *tinyio.Co) error { return co.Sleep(c.takes) })
					ended = co.Now()
					after = co.Yield()
					return after
				})
				return co.Wait(crash, shielded)
			})
			if !errors.Is(err, errBoom) || err.Error() != "boom" {
				t.Errorf("Run returns %v", err)
			}
			if d := ended.Sub(crashed); d != c.want {
				t.Errorf("it ends %v after the crash, want %v", d, c.want)
			}
			if c.cutShort != errors.Is(inside, tinyio.ErrCancelled) || !errors.Is(after, tinyio.ErrCancelled) {
				t.Errorf("inside: %v, after it: %v", inside, after)
			}
		})
	}
}

// R13: every kind of wait works inside Shield after a cancellation, and is ended when the grace period has passed.
func TestGraceEndsEveryWait(t *testing.T) {
	eachWait(t, 2*time.Second, func(co *tinyio.Co, t *testing.T, name string, suspend func(co *tinyio.Co) error) error {
		stop := co.Sleep(time.Hour)
		if err := co.Shield(time.Second, suspend); err != stop && name != "Shield" { // which has its own grace period
			t.Errorf("the wait ends with %v", err)
		}
		return stop
	})
}

// R13, W11: the loop keeps running for what shielded code waits on, so clean-up can wait.
func TestLoopRunsForWhatShieldedCodeWaitsOn(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		victim := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			var event tinyio.Event
			stop := co.Shield(time.Hour, func(co *tinyio.Co) error {
				setter := tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(time.Second)
					event.Set()
					return err
				})
				if err := co.Spawn(setter); err != nil {
					return err
				}
				if err := event.Wait(co); err != nil {
					return err
				}
				log.add("event")
				v, err := tinyio.RunInThread(func(ctx context.Context) (int, error) { return 1, ctx.Err() }).Await(co)
				log.add("thread %d, %v", v, err)
				vs, err := tinyio.Gather(co, value(time.Second, 2), value(2*time.Second, 3))
				log.add("%v", vs)
				return err
			})
			log.add("%v", stop)
			return err
		})
		return co.Wait(victim, failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "event", "thread 1, <nil>", "[2 3]", "<nil>")
}

// R13: without a cancellation Shield has no limit and its result is that of the function.
func TestShieldWithoutCancellation(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		err := co.Shield(time.Second, func(co *tinyio.Co) error { return cmp.Or(co.Sleep(time.Hour), errBoom) })
		if err != errBoom || passed(co) != time.Hour {
			t.Errorf("%v after %v", err, passed(co))
		}
		return nil
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

// R13, R30: when the grace has passed, a call is interrupted.
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

// R13, R19: an Isolate inside the Shield of a coroutine that is being stopped returns a failure or a value as ever.
func TestIsolateInsideAShieldOfOneThatIsStopped(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		c := shielded(time.Hour, func(co *tinyio.Co) error {
			v, err := tinyio.Isolate(co, value(time.Second, 7))
			log.add("%v, %v after %v", v, err, passed(co))
			v, err = tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
				return 0, co.Wait(sleeper(time.Hour), failer(time.Second, errors.New("inside")))
			}))
			log.add("%v, %v after %v; %v", v, err, passed(co), co.Err())
			return nil
		})
		return co.Wait(c, failer(time.Second, errBoom))
	})
	if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "7, <nil> after 2s", "0, inside after 3s; <nil>")
}

// R13, R27: a daemon that is spawned inside a Shield during a crash is protected until the Shield ends, and stopped then.
func TestDaemonSpawnedInsideAShield(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		c := shielded(time.Hour, func(co *tinyio.Co) error {
			return errors.Join(co.SpawnDaemon(heartbeat(&log, "heartbeat")), co.Sleep(2500*time.Millisecond))
		})
		return co.Wait(c, failer(time.Second, errBoom))
	})
	if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "heartbeat: 2 beats, tinyio: cancelled because of: boom after 3.5s")
}

// R13, R10: a failure inside the Shield of a stopped coroutine is a clean-up error, and goes to whatever stopped it: a crash, a Timeout, a
// Cancel. So is a failure of a coroutine that was started there.
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

// R13, R18, R19: a timeout inside an Isolate inside a Shield works the same with and without a cancellation.
func TestTimeoutInsideAnIsolateInsideAShield(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprint("crash: ", crash), func(t *testing.T) {
			noLeaks(t)
			var log recorder
			err := virtually(func(co *tinyio.Co) error {
				victim := tinyio.Do(func(co *tinyio.Co) error {
					start := startWatch(co)
					err := co.Shield(time.Hour, func(co *tinyio.Co) error {
						_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
							_, err := tinyio.Timeout(co, sleeper(time.Hour), 2*time.Second)
							log.add("timeout: %v after %v", err, start.passed(co))
							return err
						}))
						log.add("isolate: %v, %v after %v", err, co.Err(), start.passed(co))
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

// R13: each of nested Shields protects for its own grace. What was started inside is stopped when the last one around it ends.
func TestGraceOfNestedShields(t *testing.T) {
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

// R13: a coroutine that was started inside three Shields is stopped when the last of them ends, in whatever order they do.
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

// R13: what was spawned in an inner Shield that has ended is protected by the outer one, and stopped when that ends.
func TestMemberOfAnInnerShieldIsStoppedWithTheOuter(t *testing.T) {
	for _, innerFirst := range []bool{true, false} {
		t.Run(fmt.Sprint("inner ends before the crash: ", innerFirst), func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				var event tinyio.Event
				var ended time.Duration
				var heard error
				err := virtually(func(co *tinyio.Co) error {
					member := tinyio.Do(func(co *tinyio.Co) error {
						heard = event.Wait(co)
						ended = passed(co)
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

// R13, R18: the Shield of another does not protect a coroutine that is halted alone. So the Timeout does not wait for the grace of that
// Shield, and all of the grace is left when the owner needs it.
func TestTimeoutOfOneInsideAShieldOfAnother(t *testing.T) {
	var log recorder
	crash(t, func(co *tinyio.Co) error {
		shared := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			log.add("%v: the shared one: %v", passed(co), err)
			return err
		})
		err := co.Spawn(
			tinyio.Do(func(co *tinyio.Co) error {
				return co.Shield(10*time.Second, func(co *tinyio.Co) error {
					_, err := tinyio.Timeout(co, shared, time.Second) // which gives up waiting
					log.add("%v: the owner of the Shield: %v", passed(co), err)
					err = co.Sleep(time.Hour)
					log.add("%v: the owner of the Shield: %v", passed(co), err)
					return err
				})
			}),
			tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, shared, 2*time.Second)
				log.add("%v: the other one: %v", passed(co), err)
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
	log.want(t,
		"1s: the owner of the Shield: tinyio: timed out after 1s",
		"2s: the shared one: tinyio: timed out after 2s",
		"2s: the other one: tinyio: timed out after 2s",
		"30s: the owner of the Shield: tinyio: cancelled because of: boom")
}

// R13: a coroutine that was started inside a nested Shield, after that had ended, is stopped when the Shield around it ends.
func TestShieldEndsForThoseStartedInANestedOneThatIsOver(t *testing.T) {
	noLeaks(t)
	var log recorder
	last := tinyio.Do(func(co *tinyio.Co) error {
		err := new(tinyio.Event).Wait(co)
		log.add("last: %v after the start", describe(err))
		return err
	})
	middle := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Second); err != nil { // until the inner Shield is over
			return err
		}
		err := co.Wait(last)
		log.add("middle: %v", describe(err))
		return err
	})
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		return co.Shield(time.Minute, func(co *tinyio.Co) error {
			if err := co.Shield(time.Minute, func(co *tinyio.Co) error { return co.Spawn(middle) }); err != nil {
				return err
			}
			return new(tinyio.Event).Wait(co) // a deadlock, which stops everything when the grace has passed
		})
	}), tinyio.WithVirtualTime())
	if !errors.As(err, new(*tinyio.DeadlockError)) {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "last: cancelled after the start", "middle: cancelled")
}

// R13: a coroutine that was started inside a Shield that outlived the one around it is stopped when the next one around ends.
func TestStartedInsideAShieldThatOutlivesTheOneAroundIt(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		ends := func(co *tinyio.Co, name string, err error) error {
			log.add("%v: %s: %s", passed(co), name, describe(err))
			return err
		}
		innermost := tinyio.Do(func(co *tinyio.Co) error {
			return ends(co, "innermost", co.Sleep(time.Hour))
		})
		inner := tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(time.Second, func(co *tinyio.Co) error {
				if err := co.Sleep(2 * time.Second); err != nil { // until the middle Shield is over
					return err
				}
				return co.Spawn(innermost)
			})
		})
		middle := tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(time.Second, func(co *tinyio.Co) error {
				return errors.Join(co.Spawn(inner), co.Sleep(time.Second))
			})
		})
		outer := tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(10*time.Second, func(co *tinyio.Co) error {
				return errors.Join(co.Spawn(middle), ends(co, "outer", co.Sleep(time.Minute)))
			})
		})
		return errors.Join(co.Spawn(outer), co.Sleep(5*time.Second), errBoom)
	})
	log.want(t, "15s: outer: cancelled", "15s: innermost: cancelled")
	wantError(t, "Run", err, errBoom)
}

// R13, R25: a Shield protects what is started inside it from whatever stops its owner, also if that comes from inside it.
func TestOwnerCancelledFromInsideItsShield(t *testing.T) {
	for _, nested := range []bool{false, true} {
		t.Run(fmt.Sprintf("from a nested Shield: %v", nested), func(t *testing.T) {
			var log recorder
			var owner *tinyio.Coro[tinyio.Void]
			canceller := tinyio.Do(func(co *tinyio.Co) error {
				err := owner.Cancel(co, errBoom)
				log.add("cancelled after %v: %v", passed(co), err)
				return co.Yield()
			})
			owner = tinyio.Do(func(co *tinyio.Co) error {
				log.add("shielded: %v", co.Shield(10*time.Second, func(co *tinyio.Co) error {
					spawn := func(co *tinyio.Co) error { return co.Spawn(canceller) }
					if nested {
						inner := spawn
						spawn = func(co *tinyio.Co) error { return co.Shield(time.Hour, inner) }
					}
					if err := errors.Join(spawn(co), co.Sleep(time.Second)); err != nil {
						return err
					}
					_, gathered := tinyio.Gather(co, value(time.Second, 1), value(2*time.Second, 2))
					_, isolated := tinyio.Isolate(co, value(time.Second, 3))
					log.add("gathered: %v, isolated: %v, after %v", gathered, isolated, passed(co))
					return wait(co, sleeper(time.Hour))
				}))
				return co.Yield()
			})
			succeed(t, func(co *tinyio.Co) error { return co.Spawn(owner) })
			const stopped = "tinyio: cancelled because of: boom"
			log.want(t, "gathered: <nil>, isolated: <nil>, after 4s", "shielded: "+stopped, "cancelled after 10s: <nil>")
		})
	}
}
