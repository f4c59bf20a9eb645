package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// stubborn is a coroutine that sleeps for d. When it is stopped, its clean-up takes so long, and it returns last or, if that is nil, how it
// was stopped.
func stubborn[T any](v T, d, cleanup time.Duration, last error) *tinyio.Coro[T] {
	return tinyio.New(func(co *tinyio.Co) (T, error) {
		err := co.Sleep(d)
		if err != nil {
			co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(cleanup) })
			if last != nil {
				err = last
			}
		}
		return v, err
	})
}

// R26: First returns the value of the first that succeeds, when the others have stopped, children first (R9), and have cleaned up. Their
// errors are dropped.
func TestFirstReturnsTheFirstValue(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		loser := tinyio.New(func(co *tinyio.Co) (int, error) {
			child := tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Hour)
				co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Second) })
				log.add("child after %v", passed(co))
				return err
			})
			err := co.Wait(child)
			log.add("loser after %v: %v", passed(co), err)
			return 1, errBoom
		})
		v, err := tinyio.First(co, loser, value(2*time.Second, 2), value(3*time.Second, 3), stubborn(4, time.Hour, 5*time.Second, errBoom))
		log.add("First after %v: %v, %v", passed(co), v, err)
		return co.Sleep(time.Hour)
	})
	log.want(t, "child after 3s", "loser after 3s: tinyio: cancelled because of: tinyio: First: another one was first",
		"First after 7s: 2, <nil>")
}

// R26: if a candidate fails, only what is inside it is stopped, and First goes on with the others.
func TestFirstGoesOnAfterAFailure(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		fails := tinyio.New(func(co *tinyio.Co) (int, error) { return 0, co.Wait(sleeper(time.Hour), failer(time.Second, errBoom)) })
		panics := tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(time.Second); err != nil {
				return 0, err
			}
			panic("ouch")
		})
		v, err := tinyio.First(co, fails, panics, value(2*time.Second, 2))
		if v != 2 || err != nil || passed(co) != 2*time.Second || co.Err() != nil {
			t.Errorf("First returns %v, %v after %v", v, err, passed(co))
		}
		return co.Yield()
	})
}

// R26: if all fail, the error joins theirs, in the order given, each as Isolate would return it: with its trace, its clean-up errors, a
// panic as a *PanicError (R14).
func TestFirstOfWhichAllFail(t *testing.T) {
	errs := []error{errors.New("a"), errors.New("b"), errors.New("clean-up")}
	succeed(t, func(co *tinyio.Co) error {
		slow := failer(3*time.Second, errs[0]).Named("slow")
		quick := tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.Spawn(stubborn(0, time.Hour, time.Second, errs[2])), co.Yield(), errs[1])
		}).Named("quick")
		panics := tinyio.Do(func(co *tinyio.Co) error { panic("ouch") })
		_, err := tinyio.First(co, slow, quick, panics)
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) != 3 || passed(co) != 3*time.Second || errors.Is(err, tinyio.ErrCancelled) {
			t.Fatalf("First returns %v after %v", err, passed(co))
		}
		parts := joined.Unwrap()
		if e, ok := parts[0].(*tinyio.Error); !ok || e.Err != errs[0] || e.Trace[len(e.Trace)-1].Coro != "slow" {
			t.Errorf("the first error is %+v", parts[0])
		}
		if g, ok := parts[1].(*tinyio.ErrorGroup); !ok || len(g.Errs) != 2 || !errors.Is(g.Errs[0], errs[1]) || !errors.Is(g.Errs[1], errs[2]) {
			t.Errorf("the second error is %+v", parts[1])
		}
		if p, ok := parts[2].(*tinyio.PanicError); !ok || p.Value != "ouch" || len(p.Stack) == 0 {
			t.Errorf("the third error is %+v", parts[2])
		}
		return co.Yield()
	})
}

// R26, R19: a candidate has succeeded when all inside it has finished: one whose helper fails afterwards has failed, and one
// whose helper takes longer comes later.
func TestFirstWaitsForWhatACandidateHasStarted(t *testing.T) {
	with := func(v int, helper tinyio.Awaitable) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) { return v, co.Spawn(helper) })
	}
	succeed(t, func(co *tinyio.Co) error {
		v, err := tinyio.First(co, with(1, failer(time.Second, errBoom)), with(2, sleeper(time.Minute)), with(3, sleeper(2*time.Second)))
		if v != 3 || err != nil || passed(co) != 2*time.Second {
			t.Errorf("First returns %v, %v after %v", v, err, passed(co))
		}
		return co.Yield()
	})
}

// R26: if several succeed in the same step, the first to finish wins. One that had finished before wins at once, and one that had failed
// before has failed.
func TestFirstOfThoseThatHaveFinished(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		well, badly := value(0, 1), tinyio.New(func(*tinyio.Co) (int, error) { return 0, errBoom })
		if err := wait(co, well); err != nil {
			return err
		}
		tinyio.Isolate(co, badly)
		start := startWatch(co)
		for range 2 {
			if v, err := tinyio.First(co, badly, value(time.Hour, 2), well); v != 1 || err != nil || start.passed(co) != 0 {
				t.Errorf("First returns %v, %v", v, err)
			}
		}
		if v, err := tinyio.First(co, badly); v != 0 || !errors.Is(err, errBoom) {
			t.Errorf("First returns %v, %v", v, err)
		}
		if v, err := tinyio.First(co, value(time.Second, 2), value(time.Second, 3)); v != 2 || err != nil {
			t.Errorf("First returns %v, %v", v, err)
		}
		return co.Yield()
	})
}

// R26: a coroutine that is listed twice runs once, and if it fails, it fails for each.
func TestFirstOfOneListedTwice(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		runs := 0
		c := tinyio.New(func(co *tinyio.Co) (int, error) {
			runs++
			return 1, co.Sleep(time.Second)
		})
		if v, err := tinyio.First(co, c, c, value(time.Minute, 2)); v != 1 || err != nil || runs != 1 || passed(co) != time.Second {
			t.Errorf("First returns %v, %v after %v and %d runs", v, err, passed(co), runs)
		}
		bad := failer(time.Second, errBoom)
		_, err := tinyio.First(co, bad, bad)
		if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 2 || !errors.Is(joined.Unwrap()[0], errBoom) ||
			!errors.Is(joined.Unwrap()[1], errBoom) {
			t.Errorf("First returns %v", err)
		}
		loser := stubborn(1, time.Hour, time.Second, nil)
		if v, err := tinyio.First(co, loser, value(time.Second, 2), loser); v != 2 || err != nil || passed(co) != 4*time.Second {
			t.Errorf("First returns %v, %v after %v", v, err, passed(co))
		}
		wantStopped(t, wait(co, loser), wait(co, loser).(*tinyio.CancelledError).Cause)
		return co.Yield()
	})
}

// R26, R19: a loser that somebody else waits for carries on, with what it waits for, and First does not wait for it. If it fails later, that
// is a failure in the domain of the one that waits.
func TestFirstSparesALoserThatOthersWant(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("fails: ", fails), func(t *testing.T) {
			noLeaks(t)
			var log recorder
			err := virtually(func(co *tinyio.Co) error {
				loser := tinyio.New(func(co *tinyio.Co) (int, error) {
					err := wait(co, noting(&log, "child", 3*time.Second, nil))
					if fails && err == nil {
						err = errBoom
					}
					return 1, err
				})
				other := tinyio.Do(func(co *tinyio.Co) error {
					if err := co.Sleep(time.Second); err != nil {
						return err
					}
					v, err := loser.Await(co)
					log.add("other: %v, %v after %v", v, err, passed(co))
					return err
				})
				if err := co.Spawn(other); err != nil {
					return err
				}
				v, err := tinyio.First(co, loser, value(2*time.Second, 2))
				log.add("First: %v, %v after %v", v, err, passed(co))
				return co.Sleep(time.Hour)
			})
			if fails != errors.Is(err, errBoom) || !fails && err != nil {
				t.Errorf("Run returns %v", err)
			}
			if last := "other: 1, <nil> after 3s"; fails {
				log.want(t, "child begins after 0s", "First: 2, <nil> after 2s", "child: <nil> after 3s",
					"other: 0, tinyio: cancelled because of: boom after 3s")
			} else {
				log.want(t, "child begins after 0s", "First: 2, <nil> after 2s", "child: <nil> after 3s", last)
			}
		})
	}
}

// R26: a candidate that had been started before is awaited. It belongs to the domain in which it was started, and carries on if it loses.
func TestFirstOfOneThatHasBeenStarted(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		quick, slow := value(time.Second, 1), value(time.Minute, 2)
		if err := co.Spawn(quick, slow); err != nil {
			return err
		}
		if v, err := tinyio.First(co, slow, quick, value(time.Hour, 3)); v != 1 || err != nil || passed(co) != time.Second {
			t.Errorf("First returns %v, %v after %v", v, err, passed(co))
		}
		if v, err := slow.Await(co); v != 2 || err != nil || passed(co) != time.Minute {
			t.Errorf("the loser gives %v, %v after %v", v, err, passed(co))
		}
		return co.Yield()
	})
}

// R26, R28: a caller that is stopped while it races gets its own stop when all have stopped, and beside it the value of a candidate that
// succeeds all the same.
func TestFirstOfACallerThatIsStopped(t *testing.T) {
	for _, anyway := range []bool{false, true} {
		t.Run(fmt.Sprint("one succeeds: ", anyway), func(t *testing.T) {
			errCleanup := errors.New("clean-up")
			succeed(t, func(co *tinyio.Co) error {
				a := tinyio.New(func(co *tinyio.Co) (int, error) {
					err := co.Sleep(time.Hour)
					if anyway {
						err = nil
					}
					return 1, err
				})
				var v int
				var err error
				_, timeout := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
					v, err = tinyio.First(co, stubborn(2, time.Hour, 2*time.Second, errCleanup), a)
					if passed(co) != 3*time.Second || co.Err() == nil || co.Yield() != err {
						t.Errorf("First returns %v after %v, and the next wait %v", err, passed(co), co.Yield())
					}
					return err
				}), time.Second)
				if (v == 1) != anyway || !errors.Is(err, tinyio.ErrTimeout) || !errors.Is(timeout, tinyio.ErrTimeout) {
					t.Errorf("First returns %v, %v; Timeout %v", v, err, timeout)
				}
				if !anyway && !errors.Is(timeout, errCleanup) {
					t.Errorf("Timeout returns %v, want the error of clean-up in it", timeout)
				}
				return co.Yield()
			})
		})
	}
}

// R28: a caller that is stopped between the end of the race and its turn gets the value beside the error.
func TestFirstThatIsWonJustBeforeACrash(t *testing.T) {
	noLeaks(t)
	var v int
	var how error
	err := virtually(func(co *tinyio.Co) error {
		winner := value(time.Second, 1)
		racer := tinyio.Do(func(co *tinyio.Co) error {
			v, how = tinyio.First(co, winner)
			return how
		})
		crash := tinyio.Do(func(co *tinyio.Co) error {
			if err := wait(co, winner); err != nil {
				return err
			}
			return errBoom
		})
		return errors.Join(co.Spawn(racer), co.Yield(), co.Wait(crash))
	})
	if !errors.Is(err, errBoom) || v != 1 || !errors.Is(how, tinyio.ErrCancelled) {
		t.Errorf("First returns %v, %v; Run %v", v, how, err)
	}
}

// R26: a First is a candidate like any other.
func TestFirstInAFirst(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		race := func(cs ...*tinyio.Coro[int]) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) { return tinyio.First(co, cs...) })
		}
		fails := tinyio.New(func(co *tinyio.Co) (int, error) { return 0, errBoom })
		v, err := tinyio.First(co, race(value(time.Hour, 1), stubborn(2, time.Hour, time.Second, errBoom)), race(fails, value(2*time.Second, 3)),
			race(fails, fails), value(time.Minute, 4))
		if v != 3 || err != nil || passed(co) != 3*time.Second {
			t.Errorf("First returns %v, %v after %v", v, err, passed(co))
		}
		return co.Yield()
	})
}

// R26, R13: a First inside a Shield goes on although its caller has been cancelled, and its losers are stopped at once.
func TestFirstInsideAShield(t *testing.T) {
	noLeaks(t)
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		shielded := tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(10*time.Second, func(co *tinyio.Co) error {
				v, err := tinyio.First(co, value(3*time.Second, 3), value(time.Minute, 60))
				log.add("First: %v, %v after %v", v, err, passed(co))
				v, err = tinyio.First(co, value(time.Minute, 60), value(time.Hour, 61))
				log.add("First: %v, %v after %v", v, err, passed(co))
				return err
			})
		})
		return co.Wait(shielded, failer(time.Second, errBoom))
	})
	if e, ok := err.(*tinyio.Error); !ok || e.Err != errBoom {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "First: 3, <nil> after 3s", "First: 0, tinyio: cancelled because of: boom after 11s")
}

// R26, R19: a First inside an Isolate that crashes stops, with everything in all of its candidates.
func TestFirstInsideAnIsolateThatCrashes(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			racer := tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.First(co, noting(&log, "a", time.Hour, nil), noting(&log, "b", time.Hour, nil))
				log.add("First: %v", err)
				return err
			})
			return co.Wait(racer, failer(time.Second, errBoom))
		}))
		log.add("Isolate: %v after %v", err, passed(co))
		return co.Yield()
	})
	log.want(t, "a begins after 0s", "b begins after 0s", "a: tinyio: cancelled because of: boom after 1s",
		"b: tinyio: cancelled because of: boom after 1s", "First: tinyio: cancelled because of: boom", "Isolate: boom after 1s")
}

// R26, R27: a daemon inside a candidate does not keep that from winning, and has stopped when First returns. If the daemon fails, so does the
// candidate.
func TestFirstOfThoseWithDaemons(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		with := func(v int, d time.Duration, daemon tinyio.Awaitable) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) { return v, errors.Join(co.SpawnDaemon(daemon), co.Sleep(d)) })
		}
		v, err := tinyio.First(co, with(1, 2*time.Second, failer(time.Second, errBoom)),
			with(2, 3*time.Second, noting(&log, "winner's", time.Hour, nil)),
			with(3, time.Hour, noting(&log, "loser's", time.Hour, nil)))
		log.add("First: %v, %v after %v", v, err, passed(co))
		return co.Yield()
	})
	log.want(t, "winner's begins after 0s", "loser's begins after 0s",
		"winner's: tinyio: cancelled because of: tinyio: only daemons are left after 3s",
		"loser's: tinyio: cancelled because of: tinyio: First: another one was first after 3s", "First: 2, <nil> after 3s")
}

// R26, R27: a daemon that races does not keep its domain up.
func TestFirstCalledByADaemon(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		d := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.First(co, noting(&log, "a", time.Hour, nil), noting(&log, "b", time.Hour, nil))
			log.add("First: %v", err)
			return err
		})
		return errors.Join(co.SpawnDaemon(d), co.Sleep(time.Second))
	})
	only := "tinyio: cancelled because of: tinyio: only daemons are left"
	log.want(t, "a begins after 0s", "b begins after 0s", "a: "+only+" after 1s", "b: "+only+" after 1s", "First: "+only)
}

// R26, R20: the context of a thread that loses is cancelled, and First waits for the thread. The same holds for a Call.
func TestFirstOfThreads(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		succeed(t, func(co *tinyio.Co) error {
			returned := 0
			blocks := func(ctx context.Context) (int, error) {
				<-ctx.Done()
				returned++ // the loop waits
				return 0, ctx.Err()
			}
			calls := tinyio.New(func(co *tinyio.Co) (int, error) { return tinyio.Call(co, blocks) })
			v, err := tinyio.First(co, calls, value(0, 2))
			if v != 2 || err != nil || returned != 1 {
				t.Errorf("First returns %v, %v, and %d threads have", v, err, returned)
			}
			v, err = tinyio.First(co, tinyio.RunInThread(blocks), value(0, 2))
			if v != 2 || err != nil || returned != 2 {
				t.Errorf("First returns %v, %v, and %d threads have", v, err, returned)
			}
			return co.Yield()
		})
	})
}

// R26, R17: a candidate that waits for the caller can never succeed: it fails with a *CycleError, and the others go on.
func TestFirstOfOneThatWaitsForTheCaller(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		var self *tinyio.Coro[int]
		started := tinyio.New(func(co *tinyio.Co) (int, error) { return self.Await(co) }).Named("started")
		self = tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Yield(); err != nil {
				return 0, err
			}
			fresh := tinyio.New(func(co *tinyio.Co) (int, error) { return self.Await(co) }).Named("fresh")
			v, err := tinyio.First(co, self, started, fresh, value(time.Second, 1))
			if v != 1 || err != nil {
				t.Errorf("First returns %v, %v", v, err)
			}
			_, err = tinyio.First(co, self, started)
			var cycle *tinyio.CycleError
			if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 2 ||
				!errors.As(joined.Unwrap()[0], &cycle) || !errors.As(joined.Unwrap()[1], &cycle) {
				t.Errorf("First returns %v", err)
			}
			return v, nil
		}).Named("self")
		return errors.Join(co.Spawn(started), wait(co, self))
	})
}

// R26, R14: nothing contains a Goexit in a candidate: it ends the run.
func TestFirstOfOneThatExits(t *testing.T) {
	noLeaks(t)
	returned, cleaned := false, 0
	within(t, func() {
		defer func() {
			if returned {
				t.Error("Run returns")
			}
		}()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			virtually(func(co *tinyio.Co) error {
				defer func() { cleaned++ }()
				exits := tinyio.Do(func(co *tinyio.Co) error { runtime.Goexit(); return nil })
				other := tinyio.Do(func(co *tinyio.Co) error {
					defer func() { cleaned++ }()
					return co.Sleep(time.Hour)
				})
				_, err := tinyio.First(co, other, exits)
				return err
			})
			returned = true
		}()
		<-ended
	})
	if cleaned != 2 {
		t.Errorf("%d have cleaned up", cleaned)
	}
}

// R26: a candidate that somebody else cancels has failed with that, and so has one whose own Timeout has passed.
func TestFirstOfOneThatIsCancelled(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		c := value(time.Hour, 1)
		canceller := tinyio.Do(func(co *tinyio.Co) error { return errors.Join(co.Sleep(time.Second), c.Cancel(co, errBoom)) })
		if err := co.Spawn(canceller); err != nil {
			return err
		}
		if v, err := tinyio.First(co, c, value(2*time.Second, 2)); v != 2 || err != nil || passed(co) != 2*time.Second {
			t.Errorf("First returns %v, %v after %v", v, err, passed(co))
		}
		_, err := tinyio.First(co, c)
		var cancelled *tinyio.CancelledError
		if !errors.As(err, &cancelled) || cancelled.Cause != errBoom || co.Err() != nil {
			t.Errorf("First returns %v", err)
		}
		d := value(time.Hour, 1)
		canceller = tinyio.Do(func(co *tinyio.Co) error { return errors.Join(co.Sleep(time.Second), d.Cancel(co, errBoom)) })
		if err := co.Spawn(canceller); err != nil {
			return err
		}
		_, err = tinyio.First(co, d)
		if !errors.As(err, &cancelled) || cancelled.Cause != errBoom || co.Err() != nil {
			t.Errorf("First returns %v, want the cancellation of the only one", err)
		}
		limited := tinyio.New(func(co *tinyio.Co) (int, error) { return tinyio.Timeout(co, value(time.Hour, 1), time.Second) })
		if _, err := tinyio.First(co, limited); !errors.Is(err, tinyio.ErrTimeout) || co.Err() != nil {
			t.Errorf("First returns %v", err)
		}
		return co.Yield()
	})
}

// R26: First without candidates panics, and says so.
func TestFirstOfNone(t *testing.T) {
	noLeaks(t)
	wantSentence(t, panicOf(func() {
		virtually(func(co *tinyio.Co) error { _, err := tinyio.First[int](co); return err })
	}), "First: there is no coroutine")
}
