package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R1: one coroutine runs at a time. The counter is not atomic on purpose: the race detector is part of the test.
func TestOneCoroutineRunsAtATime(t *testing.T) {
	inside, total := 0, 0
	succeed(t, func(co *tinyio.Co) error {
		var cs []*tinyio.Coro[tinyio.Void]
		for range 50 {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				for range 20 {
					inside++
					if inside != 1 {
						t.Errorf("%d coroutines run at a time", inside)
					}
					total++
					inside--
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		_, err := tinyio.Gather(co, cs...)
		return err
	})
	if total != 1000 {
		t.Errorf("%d turns, want 1000", total)
	}
}

// R1: the ready queue is first in, first out.
func TestReadyQueueIsFirstInFirstOut(t *testing.T) {
	var log recorder
	chatter := func(name string, turns int) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			for i := range turns {
				log.add("%s%d", name, i)
				if err := co.Yield(); err != nil {
					return err
				}
			}
			log.add("%s ends", name)
			return nil
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		err := co.Wait(chatter("a", 2), chatter("b", 3), chatter("c", 1))
		log.add("root")
		return err
	})
	log.want(t, "a0", "b0", "c0", "a1", "b1", "c ends", "a ends", "b2", "b ends", "root")
}

// R5: Run returns when every coroutine that it started has finished.
func TestRunWaitsForTheSpawned(t *testing.T) {
	var log recorder
	var end time.Duration
	succeed(t, func(co *tinyio.Co) error {
		grandchild := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(2 * time.Second)
			log.add("grandchild")
			end = passed(co)
			return err
		})
		child := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Spawn(grandchild)
			log.add("child")
			return err
		})
		err := co.Spawn(child)
		log.add("root")
		return err
	})
	log.add("run")
	log.want(t, "root", "child", "grandchild", "run")
	if end != 2*time.Second {
		t.Errorf("it took %v", end)
	}
}

// R12: when the context given to Run is done, the loop crashes with its cause.
func TestContextCrashesTheLoopWithItsCause(t *testing.T) {
	noLeaks(t)
	errOutside := errors.New("outside")
	ctx, cancel := context.WithCancelCause(background)
	var heard, cause error
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		canceller := tinyio.RunInThread(func(context.Context) (int, error) {
			cancel(errOutside)
			return 0, nil
		})
		if heard = co.Spawn(canceller); heard == nil { // the thread may be quicker than the caller's next turn
			heard = co.Sleep(time.Hour)
		}
		cause = context.Cause(co)
		return heard
	}))
	var cancelled *tinyio.CancelledError
	if !errors.Is(err, errOutside) || !errors.As(heard, &cancelled) || cancelled.Cause != errOutside || cause != errOutside {
		t.Errorf("Run returns %v, the coroutine hears %v, its cause is %v", err, heard, cause)
	}
}

// R12: a context that is done before the run begins, and one whose deadline passes.
func TestContextThatIsDoneBeforeTheRunAndDeadline(t *testing.T) {
	noLeaks(t)
	done, cancel := context.WithCancel(background)
	cancel()
	ran := false
	_, err := tinyio.Run(done, tinyio.Do(func(co *tinyio.Co) error {
		ran = true
		return nil
	}))
	if !errors.Is(err, context.Canceled) || ran {
		t.Errorf("Run returns %v, ran: %v", err, ran)
	}
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	_, err = tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		if deadline, ok := co.Deadline(); !ok || time.Until(deadline) > time.Millisecond {
			t.Errorf("the coroutine's deadline is %v, %v", deadline, ok)
		}
		return co.Sleep(time.Hour)
	}))
	wantError(t, "Run", err, context.DeadlineExceeded)
}

// R12, W22: SIGTERM cleans up everything, an endless background task included.
func TestSignalCleansUpEverything(t *testing.T) {
	needsProcesses(t)
	signal.Notify(make(chan os.Signal, 1)) // the first call starts a goroutine of package signal that stays
	signal.Reset()
	noLeaks(t)
	ctx, stop := signal.NotifyContext(background, syscall.SIGTERM)
	defer stop()
	var log recorder
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		endless := tinyio.Do(func(co *tinyio.Co) error {
			defer log.add("cleaned up")
			for {
				if err := co.Sleep(time.Millisecond); err != nil {
					return err
				}
			}
		})
		if err := co.Spawn(endless); err != nil {
			return err
		}
		process, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		return process.Signal(syscall.SIGTERM)
	}))
	wantError(t, "Run", err, context.Canceled)
	log.want(t, "cleaned up")
}

// R5, R12: if what happens between two turns finishes the last coroutine, the run has ended.
func TestInterruptionFinishesTheLastCoroutine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, opts := range map[string][]tinyio.Option{"real time": nil, "virtual time": {tinyio.WithVirtualTime()}} {
			ctx, cancel := context.WithCancelCause(background)
			never := tinyio.Do(func(*tinyio.Co) error {
				t.Error("it begins")
				return nil
			})
			_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
				if err := co.Spawn(never); err != nil {
					return err
				}
				cancel(errBoom)
				synctest.Wait() // the message is in the inbox now, and the loop takes it in after this turn
				return nil
			}), append(opts, tinyio.WithPicker(lastFirst{}))...)
			if !errors.Is(err, errBoom) {
				t.Errorf("in %s Run returns %v", name, err)
			}
		}
	})
}

// The same, as close to the moment of entry as a goroutine can come.
func TestContextIsCancelledAtTheMomentOfEntry(t *testing.T) {
	ways := map[string]func(ctx context.Context) error{
		"Run": func(ctx context.Context) error {
			_, err := tinyio.Run(ctx, tinyio.Do((*tinyio.Co).Yield))
			return err
		},
		"Run in virtual time": func(ctx context.Context) error {
			_, err := tinyio.Run(ctx, tinyio.Do((*tinyio.Co).Yield), tinyio.WithVirtualTime())
			return err
		},
		"Serve":                 func(ctx context.Context) error { return tinyio.NewLoop().Serve(ctx) },
		"Serve in virtual time": func(ctx context.Context) error { return tinyio.NewLoop(tinyio.WithVirtualTime()).Serve(ctx) },
		"Steps": func(ctx context.Context) error {
			r := tinyio.Start(ctx, tinyio.NewLoop(), tinyio.Do((*tinyio.Co).Yield))
			for range r.Steps() {
			}
			_, err := r.Result()
			return err
		},
	}
	for name, run := range ways {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				for range 500 {
					ctx, cancel := context.WithCancel(background)
					go cancel()
					if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("it returns %v", err)
					}
				}
			})
		})
	}
}

// A Co is a context for any goroutine, that of a Shield too, while its loop goes on.
func TestRunInAThreadWithTheContextOfAShield(t *testing.T) {
	noLeaks(t)
	for range 100 {
		ctx, cancel := context.WithCancelCause(background)
		_, err := tinyio.Run(ctx, tinyio.Do(func(outer *tinyio.Co) error {
			return outer.Shield(time.Hour, func(co *tinyio.Co) error {
				inner := tinyio.RunInThread(func(context.Context) (tinyio.Void, error) {
					return tinyio.Run(co, tinyio.Do((*tinyio.Co).Yield))
				})
				if err := co.Spawn(inner); err != nil {
					return err
				}
				cancel(errBoom)
				for outer.Err() == nil {
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return wait(co, inner)
			})
		}))
		if !errors.Is(err, errBoom) {
			t.Fatalf("Run returns %v", err)
		}
	}
}

// R12: if a coroutine fails with the error of the run's context, and that is done but the run has not noticed yet, the run is interrupted and
// returns the cause. So it is inside an Isolate.
func TestFailureThatSaysOnlyThatTheContextIsDone(t *testing.T) {
	for name, isolated := range map[string]bool{"in the run": false, "isolated": true} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			ctx, cancel := context.WithCancelCause(background)
			_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
				fails := tinyio.Do(func(*tinyio.Co) error {
					cancel(errBoom)
					return fmt.Errorf("the request: %w", ctx.Err())
				})
				if !isolated {
					return wait(co, fails)
				}
				_, err := tinyio.Isolate(co, fails)
				wantCancelled(t, err, errBoom)
				return err
			}), tinyio.WithVirtualTime())
			var e *tinyio.Error
			if !errors.As(err, &e) || e.Err != errBoom {
				t.Errorf("Run returns %v", err)
			}
		})
	}
}

// A panic of the loop itself, which is a bug, ends the program, on whichever stack it happens, and even if somebody recovers from panics there.
func TestPanicOfTheLoopEndsTheProgram(t *testing.T) {
	for name, fn := range map[string]func(co *tinyio.Co) error{
		"the driver's stack": func(co *tinyio.Co) error { return nil },
		"a stack inline":     func(co *tinyio.Co) error { return co.Sleep(time.Second) },
		"a stack that is left": func(co *tinyio.Co) error {
			return co.Wait(sleeper(time.Second), sleeper(time.Second), tinyio.Do(yieldTwice), tinyio.Do(yieldTwice))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("TINYIO_TEST_BROKEN") != "" {
				tinyio.BreakSteps()
				defer func() { recover() }()
				virtually(fn)
				return
			}
			crashesTheProgram(t, "TINYIO_TEST_BROKEN=1", "panic: tinyio: internal error: broken; please report this")
		})
	}
}

func yieldTwice(co *tinyio.Co) error { return errors.Join(co.Yield(), co.Yield()) }
