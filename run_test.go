package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A lastPicker lets the coroutine go on that has become ready last.
type lastPicker struct{}

func (lastPicker) Pick(ready []tinyio.ID) int { return len(ready) - 1 }

// R5, R12: what is done between two turns may finish the last coroutine, and the run has ended then.
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
				synctest.Wait() // the loop has been told now, and looks at that after this turn
				return nil
			}), append(opts, tinyio.WithPicker(lastPicker{}))...)
			if !errors.Is(err, errBoom) {
				t.Errorf("in %s Run returns %v", name, err)
			}
		}
	})
}

// The same at the moment of entry, as far as a goroutine can hit that.
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

// R12: a coroutine that fails with the error of the context of the run, before the run has noticed that this is done, has not failed: the
// run is interrupted, and returns the cause. So it is inside an Isolate, too.
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
