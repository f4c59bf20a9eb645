package tinyio_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

const onlyDaemons = "tinyio: cancelled because of: tinyio: only daemons are left"

// heartbeat is a coroutine that never ends by itself, and logs how and when it is stopped.
func heartbeat(log *recorder, name string) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (beats int, err error) {
		for ; ; beats++ {
			if err := co.Sleep(time.Second); err != nil {
				log.add("%s: %d beats, %v after %v", name, beats, err, passed(co))
				return beats, err
			}
		}
	}).Named(name)
}

// R27, R5: a heartbeat does not keep Run up: it is stopped when all others have finished, spawned ones too, and no later. No more virtual time
// passes.
func TestDaemonDoesNotKeepTheRunUp(t *testing.T) {
	noLeaks(t)
	var log recorder
	v, err := tinyio.Run(background, tinyio.New(func(co *tinyio.Co) (int, error) {

		if err := co.SpawnDaemon(heartbeat(&log, "heartbeat")); err != nil {
			return 0, err
		}
		return 7, co.Spawn(sleeper(2500 * time.Millisecond))
	}), tinyio.WithVirtualTime())
	if v != 7 || err != nil {
		t.Errorf("Run returns %v, %v", v, err)
	}
	log.want(t, "heartbeat: 2 beats, "+onlyDaemons+" after 2.5s")
}

// R27, R24: a daemon that waits for what can never happen is no deadlock. If a normal coroutine does too, both are in the deadlock.
func TestDaemonThatWaitsForEver(t *testing.T) {
	waitsForEver := func() *tinyio.Coro[tinyio.Void] { return tinyio.Do(new(tinyio.Event).Wait) }
	succeed(t, func(co *tinyio.Co) error { return co.SpawnDaemon(waitsForEver()) })
	err := virtually(func(co *tinyio.Co) error {
		return errors.Join(co.SpawnDaemon(waitsForEver()), new(tinyio.Event).Wait(co))
	})
	var deadlock *tinyio.DeadlockError
	if !errors.As(err, &deadlock) || len(deadlock.Waits) != 2 {
		t.Errorf("Run returns %v, want a deadlock of both", err)
	}
}

// R27: what only daemons have started, by awaiting, spawning, Go, Isolate, First or Gather, does not keep the run up either, and is stopped
// first (R9).
func TestWhatADaemonStarts(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		beat := func(name string) *tinyio.Coro[int] { return heartbeat(&log, name) }
		daemon := func(name string, do func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
			return tinyio.Do(func(co *tinyio.Co) error {
				err := do(co)
				log.add("%s: %v", name, err)
				return err
			})
		}
		return errors.Join(co.SpawnDaemon(
			daemon("awaiter", func(co *tinyio.Co) error { return wait(co, beat("awaited")) }),
			daemon("gatherer", func(co *tinyio.Co) error { return co.Wait(beat("gathered")) }),
			daemon("spawner", func(co *tinyio.Co) error { return errors.Join(co.Spawn(beat("spawned")), co.Sleep(time.Hour)) }),
			daemon("goer", func(co *tinyio.Co) error {
				co.Go(func(co *tinyio.Co) error { return wait(co, beat("gone")) })
				return co.Sleep(time.Hour)
			}),
			daemon("isolator", func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, beat("isolated")); return err }),
			daemon("racer", func(co *tinyio.Co) error { _, err := tinyio.First(co, beat("racing")); return err }),
			daemon("ranger", func(co *tinyio.Co) error { _, err := tinyio.WaitAny(co, beat("any")); return err }),
		), co.Sleep(time.Second/2))
	})
	for _, line := range []string{"awaited", "gathered", "spawned", "gone", "isolated", "racing", "any"} {
		found := 0
		for _, l := range log.lines {
			if l == line+": 0 beats, "+onlyDaemons+" after 500ms" {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s has been stopped %d times", line, found)
		}
	}
	at := map[string]int{}
	for i, l := range log.lines {
		for _, name := range []string{"awaiter", "awaited", "gatherer", "gathered", "isolator", "isolated", "racer", "racing", "ranger", "any"} {
			if len(l) > len(name) && l[:len(name)+1] == name+":" {
				at[name] = i
			}
		}
	}
	for parent, child := range map[string]string{"awaiter": "awaited", "gatherer": "gathered", "isolator": "isolated", "racer": "racing", "ranger": "any"} {
		if at[parent] < at[child] {
			t.Errorf("%s hears of it before %s", parent, child)
		}
	}
	if len(log.lines) != 14 {
		log.want(t)
	}
}

// R27: an error of a daemon crashes its domain like any other; so does a panic.
func TestFailureOfADaemon(t *testing.T) {
	noLeaks(t)
	var log recorder
	crash := func(co *tinyio.Co) error {
		return errors.Join(co.SpawnDaemon(failer(time.Second, errBoom).Named("daemon")), wait(co, noting(&log, "other", time.Hour, nil)))
	}
	err := virtually(crash)
	e, ok := err.(*tinyio.Error)
	if !ok || e.Err != errBoom || e.Trace[len(e.Trace)-1].Coro != "daemon" {
		t.Errorf("Run returns %+v", err)
	}
	succeed(t, func(co *tinyio.Co) error {
		if _, err := tinyio.Isolate(co, tinyio.Do(crash)); !errors.Is(err, errBoom) {
			t.Errorf("Isolate returns %v", err)
		}
		return co.Yield()
	})
	log.want(t, "other begins after 0s", "other: tinyio: cancelled because of: boom after 1s",
		"other begins after 0s", "other: tinyio: cancelled because of: boom after 1s")
	if p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			return errors.Join(co.SpawnDaemon(tinyio.Do(func(*tinyio.Co) error { panic("ouch") })), co.Sleep(time.Second))
		})
	}); p.Value != "ouch" {
		t.Errorf("Run panics with %v", p)
	}
}

// R27, R19: a daemon inside an Isolate belongs to its domain: it ends with it, and the Isolate returns when the daemon has stopped.
func TestDaemonInsideAnIsolate(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		v, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			d := stubborn(0, time.Hour, 2*time.Second, nil)
			return 7, errors.Join(co.SpawnDaemon(heartbeat(&log, "heartbeat"), d), co.Sleep(1500*time.Millisecond))
		}))
		log.add("Isolate: %v, %v after %v", v, err, passed(co))
		return co.Sleep(time.Second)
	})
	log.want(t, "heartbeat: 1 beats, "+onlyDaemons+" after 1.5s", "Isolate: 7, <nil> after 3.5s")
}

// R27: a daemon that is awaited is still a daemon, but its awaiter keeps the domain up, and gets its value. So a daemon may end by itself.
func TestDaemonThatIsAwaited(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		d, other := value(2500*time.Millisecond, 7), heartbeat(&log, "other")
		if err := errors.Join(co.SpawnDaemon(d, other), co.Yield()); err != nil {
			return err
		}
		return co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
			v, err := d.Await(co)
			log.add("the value: %v, %v after %v", v, err, passed(co))
			return err
		}))
	})
	log.want(t, "the value: 7, <nil> after 2.5s", "other: 2 beats, "+onlyDaemons+" after 2.5s")
}

// R27: a daemon that a normal coroutine spawns is no daemon any more, and does not become one again. One that a daemon spawns remains one.
func TestDaemonThatIsSpawnedToo(t *testing.T) {
	noLeaks(t)
	for _, again := range []bool{false, true} {
		var log recorder
		succeed(t, func(co *tinyio.Co) error {

			c := noting(&log, "c", time.Minute, nil)
			d := noting(&log, "d", time.Hour, nil)
			spawner := tinyio.Do(func(co *tinyio.Co) error { return errors.Join(co.Spawn(d), co.Sleep(time.Hour)) })
			err := errors.Join(co.SpawnDaemon(c, d), co.Yield(), co.SpawnDaemon(spawner), co.Yield())
			if again {
				err = errors.Join(err, co.Spawn(c), co.SpawnDaemon(c))
			}
			return err
		})
		if again {
			log.want(t, "c begins after 0s", "d begins after 0s", "c: <nil> after 1m0s", "d: "+onlyDaemons+" after 1m0s")
		} else {
			log.want(t, "c begins after 0s", "d begins after 0s", "c: "+onlyDaemons+" after 0s", "d: "+onlyDaemons+" after 0s")
		}
	}
}

// R27: a coroutine that was spawned, and then is spawned as a daemon, does not become one.
func TestSpawnedOneThatIsSpawnedAsADaemon(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		c := noting(&log, "c", time.Minute, nil)
		return errors.Join(co.Spawn(c), co.SpawnDaemon(c))
	})
	log.want(t, "c begins after 0s", "c: <nil> after 1m0s")
}

// R27, R10: what goes wrong while daemons are stopped comes out of the run, or out of the Isolate.
func TestCleanUpErrorOfADaemon(t *testing.T) {
	noLeaks(t)
	program := func(co *tinyio.Co) error { return co.SpawnDaemon(stubborn(0, time.Hour, time.Second, errBoom)) }
	if err := virtually(program); !errors.Is(err, errBoom) {
		t.Errorf("Run returns %v", err)
	}
	succeed(t, func(co *tinyio.Co) error {
		if _, err := tinyio.Isolate(co, tinyio.Do(program)); !errors.Is(err, errBoom) {
			t.Errorf("Isolate returns %v", err)
		}
		return co.Yield()
	})
	two := func(co *tinyio.Co) error {
		return co.SpawnDaemon(stubborn(0, time.Hour, time.Second, errBoom), stubborn(0, time.Hour, 2*time.Second, errors.New("more")))
	}
	err := virtually(two)
	if g, ok := err.(*tinyio.ErrorGroup); !ok || len(g.Errs) != 2 || !errors.Is(g.Errs[0], errBoom) || g.Errs[1].Error() != "more" {
		t.Errorf("Run returns %v", err)
	}
}

// R27, R13: the Shield of a daemon has its grace, in which the daemon may wait for what it starts.
func TestDaemonInAShield(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		d := tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(10*time.Second, func(co *tinyio.Co) error {
				for range 2 {
					log.add("%v", errors.Join(wait(co, noting(&log, "inside", 8*time.Second, nil))))
				}
				return nil
			})
		})
		return errors.Join(co.SpawnDaemon(d), co.Sleep(time.Second))
	})
	log.want(t, "inside begins after 0s", "inside: <nil> after 8s", "<nil>", "inside begins after 8s",
		"inside: "+onlyDaemons+" after 11s", onlyDaemons)
}

// R27: a normal coroutine that is started by the clean-up of a daemon is waited for, and stopped with the daemons.
func TestDaemonThatSpawnsInItsCleanUp(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		d := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			return errors.Join(err, co.Shield(time.Minute, func(co *tinyio.Co) error {
				return co.Spawn(noting(&log, "late", time.Hour, nil))
			}))
		})
		return errors.Join(co.SpawnDaemon(d), co.Sleep(time.Second))
	})
	log.want(t, "late begins after 1s", "late: "+onlyDaemons+" after 1s")
}

// R27, R20: threads and callbacks may be daemons. The run waits until they have stopped.
func TestThreadThatIsADaemon(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		var cause error
		ended := 0
		succeed(t, func(co *tinyio.Co) error {
			thread := tinyio.RunInThread(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				cause = context.Cause(ctx)
				ended++
				return 0, ctx.Err()
			})
			caller := tinyio.Do(func(co *tinyio.Co) error {
				return co.Call(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			})
			callback := tinyio.FromCallback(func(done func(int, error)) func(error) {
				return func(cause error) { done(0, cause) }
			})
			return errors.Join(co.SpawnDaemon(thread, caller, callback), co.Sleep(time.Second))
		})
		if ended != 1 || cause == nil || cause.Error() != "tinyio: only daemons are left" {
			t.Errorf("%d threads have ended; the cause is %v", ended, cause)
		}
	})
}

// R27, R18: a Timeout of a daemon only gives up waiting, since the daemon was spawned. A Timeout of a coroutine that has daemons halts none of
// them.
func TestTimeoutWithDaemons(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		d, e := heartbeat(&log, "d"), heartbeat(&log, "e")
		if err := co.SpawnDaemon(d); err != nil {
			return err
		}
		_, err := tinyio.Timeout(co, d, time.Second)
		log.add("Timeout: %v", err)
		_, err = tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.SpawnDaemon(e), co.Sleep(time.Hour))
		}), time.Second)
		log.add("Timeout: %v", err)
		return co.Sleep(time.Second / 2)
	})
	log.want(t, "Timeout: tinyio: timed out after 1s", "Timeout: tinyio: timed out after 1s",
		"d: 2 beats, "+onlyDaemons+" after 2.5s", "e: 1 beats, "+onlyDaemons+" after 2.5s")
}

// R27, R19: a daemon inside an Isolate that somebody outside awaits is spared when only daemons are left inside. It carries on in the domain
// outside, and is still a daemon.
func TestDaemonOfAnIsolateThatIsAwaitedOutside(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		d := noting(&log, "daemon", time.Minute, nil)
		other := tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
			v, err := tinyio.Timeout(co, d, time.Second)
			log.add("other: %q, %v after %v", v, err, passed(co))
			return nil
		})
		if err := co.Spawn(other); err != nil {
			return err
		}
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.SpawnDaemon(d), co.Sleep(1500*time.Millisecond))
		}))
		log.add("Isolate: %v after %v", err, passed(co))
		return co.Sleep(time.Second)
	})
	log.want(t, "daemon begins after 0s", "Isolate: <nil> after 1.5s", `other: "", tinyio: timed out after 1s after 2s`,
		"daemon: "+onlyDaemons+" after 2.5s")
}

// R27, R5: two domains with daemons alone end each at its own time. A daemon that isolates does not keep its domain up, although what is
// inside is no daemon there.
func TestDaemonThatIsolates(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		d := tinyio.Do(func(co *tinyio.Co) error {
			for i := range 2 {
				_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
					return errors.Join(co.SpawnDaemon(heartbeat(&log, "heartbeat")), co.Sleep(time.Duration(i+1)*2*time.Second))
				}))
				log.add("Isolate: %v after %v", err, passed(co))
			}
			return co.Yield()
		})
		return errors.Join(co.SpawnDaemon(d), co.Sleep(5*time.Second))
	})
	log.want(t, "heartbeat: 1 beats, "+onlyDaemons+" after 2s", "Isolate: <nil> after 2s",
		"heartbeat: 2 beats, "+onlyDaemons+" after 5s", "Isolate: "+onlyDaemons+" after 5s")
}

// R27, R19: when daemons are stopped, none of them counts as somebody outside for whom what another one isolates would be spared, whichever of
// them is cancelled first.
func TestDaemonThatWaitsForWhatAnotherIsolates(t *testing.T) {
	for _, waiterFirst := range []bool{false, true} {
		var log recorder
		succeed(t, func(co *tinyio.Co) error {
			shared := heartbeat(&log, "shared")
			isolator := isolates(&log, "isolator", shared)
			waiter := awaits(&log, "waiter", time.Second/4, shared)
			if waiterFirst {
				return errors.Join(co.SpawnDaemon(waiter, isolator), co.Sleep(time.Second/2))
			}
			return errors.Join(co.SpawnDaemon(isolator, waiter), co.Sleep(time.Second/2))
		})
		if len(log.lines) != 3 || log.lines[0] != "shared: 0 beats, "+onlyDaemons+" after 500ms" {
			log.want(t)
		}
	}
}

// R27, R31: a daemon that is posted is no daemon any more, even if it is posted just before only daemons would be left.
func TestDaemonThatIsPostedLast(t *testing.T) {
	noLeaks(t)
	for _, yields := range []bool{false, true} {
		l := tinyio.NewLoop(tinyio.WithVirtualTime())
		var ended error = errBoom
		_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
			d := tinyio.Do(func(co *tinyio.Co) error { ended = co.Sleep(time.Second); return ended })
			other := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
			if err := co.SpawnDaemon(d, other); err != nil {
				return err
			}
			if err := l.Post(d); err != nil {
				return err
			}
			if yields {
				return co.Yield()
			}
			return nil
		}))
		if err != nil || ended != nil {
			t.Errorf("Run returns %v; the sleep of what was posted has ended with %v", err, ended)
		}
	}
}

// R19, R27: a daemon that a spared coroutine has started is spared with it, whether or not it has begun, and whatever stops the domain.
func TestDaemonOfASparedCoroutineGoesWithIt(t *testing.T) {
	noLeaks(t)
	for _, early := range []bool{true, false} {
		for how, stop := range map[string]func(co *tinyio.Co, a *tinyio.Coro[int]) error{
			"First": func(co *tinyio.Co, a *tinyio.Coro[int]) error {
				v, err := tinyio.First(co, a, value(time.Second, 2))
				if v != 2 {
					t.Errorf("First returns %v", v)
				}
				return err
			},
			"Timeout": func(co *tinyio.Co, a *tinyio.Coro[int]) error {
				_, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) { return tinyio.Isolate(co, a) }), time.Second)
				if !errors.Is(err, tinyio.ErrTimeout) {
					return errors.Join(err, errBoom)
				}
				return nil
			},
			"failure": func(co *tinyio.Co, a *tinyio.Coro[int]) error {
				_, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
					return 0, errors.Join(co.Spawn(a), co.Sleep(time.Second), errBoom)
				}))
				if !errors.Is(err, errBoom) {
					return errors.Join(err, errors.New("it has not failed"))
				}
				return nil
			},
		} {
			q := tinyio.NewQueue[int](1)
			a := tinyio.New(func(co *tinyio.Co) (int, error) {
				helper := tinyio.Do(func(co *tinyio.Co) error { return errors.Join(co.Sleep(2*time.Second), q.Put(co, 11)) })
				if !early {
					if err := co.Sleep(time.Second); err != nil { // the helper is started when the domain is about to be stopped
						return 0, err
					}
				}
				if err := co.SpawnDaemon(helper); err != nil {
					return 0, err
				}
				return q.Get(co)
			})
			got := 0
			err := virtually(func(co *tinyio.Co) error {
				outside := tinyio.Do(func(co *tinyio.Co) (err error) {
					if err := co.Sleep(time.Millisecond); err != nil {
						return err
					}
					got, err = a.Await(co)
					return err
				})
				if err := co.Spawn(outside); err != nil {
					return err
				}
				return stop(co, a)
			})
			if got != 11 || err != nil {
				t.Errorf("%s, early %v: the one outside gets %v; Run returns %v", how, early, got, err)
			}
		}
	}
}

// R27: stopping very many daemons takes time in proportion to their number.
func TestManyDaemonsEnd(t *testing.T) {
	const n = 20_000
	ended := 0
	succeed(t, func(co *tinyio.Co) error {
		for range n {
			if err := co.SpawnDaemon(tinyio.Do(func(co *tinyio.Co) error {
				defer func() { ended++ }()
				return co.Sleep(time.Hour)
			})); err != nil {
				return err
			}
		}
		return co.Yield()
	})
	if ended != n {
		t.Errorf("%d of %d daemons have ended", ended, n)
	}
}
