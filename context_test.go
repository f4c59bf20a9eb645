package tinyio_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

type contextKey string

// R29: a coroutine inherits values from the one that starts it, in every way to start one: those of the run, of Submit, or of WithValues.
func TestValuesFollowWhoStartsWhom(t *testing.T) {
	noLeaks(t)
	key, other := contextKey("key"), contextKey("other")
	tell := func(co *tinyio.Co) (any, error) { return co.Value(key), nil }
	ways := map[string]func(co *tinyio.Co, c *tinyio.Coro[any]) error{
		"Await":   func(co *tinyio.Co, c *tinyio.Coro[any]) error { return wait(co, c) },
		"Gather":  func(co *tinyio.Co, c *tinyio.Coro[any]) error { _, err := tinyio.Gather(co, c); return err },
		"Wait":    func(co *tinyio.Co, c *tinyio.Coro[any]) error { return co.Wait(c, sleeper(0)) },
		"Spawn":   func(co *tinyio.Co, c *tinyio.Coro[any]) error { return co.Spawn(c) },
		"Timeout": func(co *tinyio.Co, c *tinyio.Coro[any]) error { _, err := tinyio.Timeout(co, c, time.Hour); return err },
		"Isolate": func(co *tinyio.Co, c *tinyio.Coro[any]) error { _, err := tinyio.Isolate(co, c); return err },
		"First":   func(co *tinyio.Co, c *tinyio.Coro[any]) error { _, err := tinyio.First(co, c); return err },
		"WaitAny": func(co *tinyio.Co, c *tinyio.Coro[any]) error { _, err := tinyio.WaitAny(co, c); return err },
		"Shield": func(co *tinyio.Co, c *tinyio.Coro[any]) error {
			return co.Shield(time.Hour, func(co *tinyio.Co) error { return wait(co, c) })
		},
	}
	ctx := context.WithValue(context.WithValue(background, key, "run"), other, "run")
	for name, way := range ways {
		_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
			if co.Value(key) != "run" {
				t.Errorf("the first coroutine has %v", co.Value(key))
			}
			handle := co.WithValues(context.WithValue(background, key, "handle"))
			if handle.Value(key) != "handle" || handle.Value(other) != nil || co.Value(key) != "run" {
				t.Errorf("the handle has %v, its coroutine %v", handle.Value(key), co.Value(key))
			}
			if v, err := tinyio.Call(handle, func(ctx context.Context) (any, error) { return ctx.Value(key), nil }); v != "handle" || err != nil {
				t.Errorf("a call through it has %v, %v", v, err)
			}
			plain, through, grandchild := tinyio.New(tell), tinyio.New(tell), tinyio.New(tell)
			if err := way(co, plain); err != nil {
				return err
			}
			if err := way(handle, through); err != nil {
				return err
			}
			if err := way(handle, tinyio.New(func(co *tinyio.Co) (any, error) { return grandchild.Await(co) })); err != nil {
				return err
			}
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
			if plain.Value() != "run" || through.Value() != "handle" || grandchild.Value() != "handle" {
				t.Errorf("%s: %v, %v and %v", name, plain.Value(), through.Value(), grandchild.Value())
			}
			return nil
		}), tinyio.WithVirtualTime())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// R29: who starts a coroutine with WithValues leaves nothing for whom it starts without.
func TestValuesDoNotOutliveTheCall(t *testing.T) {
	key := contextKey("key")
	ctx := context.WithValue(context.Background(), key, "run")
	got, err := tinyio.Run(ctx, tinyio.New(func(co *tinyio.Co) (any, error) {
		handle := co.WithValues(context.WithValue(ctx, key, "handle"))
		if _, err := tinyio.Timeout(handle, sleeper(0), time.Hour); err != nil {
			return nil, err
		}
		return tinyio.New(func(co *tinyio.Co) (any, error) { return co.Value(key), nil }).Await(co)
	}), tinyio.WithVirtualTime())
	if got != "run" || err != nil {
		t.Errorf("got %v, %v, want the value of the run", got, err)
	}
}

// R29: the context of a Co of WithValues ends with its coroutine, with the same cause, and so do contexts made of it, also if the run's
// context can be cancelled.
func TestContextOfAHandleEndsWithItsCoroutine(t *testing.T) {
	noLeaks(t)
	cancelable, cancel := context.WithCancel(background)
	defer cancel()
	for _, ctx := range []context.Context{background, cancelable} {
		_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
			return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
				handle := co.WithValues(context.WithValue(co, contextKey("key"), 1))
				derived, cancel := context.WithCancel(handle)
				defer cancel()
				if err := handle.Sleep(time.Hour); !errors.Is(err, tinyio.ErrCancelled) {
					t.Errorf("Sleep through the handle returns %v", err)
				}
				<-derived.Done()
				if context.Cause(handle) != errBoom || context.Cause(derived) != errBoom || handle.Err() == nil {
					t.Errorf("the causes are %v and %v", context.Cause(handle), context.Cause(derived))
				}
				return nil
			}))
		}), tinyio.WithVirtualTime())
		if !errors.Is(err, errBoom) {
			t.Error(err)
		}
	}
}

// R29: the deadline is the earliest of those of the run and of every Timeout around.
func TestDeadlineIsTheEarliest(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		start := co.Now()
		left := func(co *tinyio.Co) time.Duration {
			at, ok := co.Deadline()
			if !ok {
				return 0
			}
			return at.Sub(start)
		}
		inner := tinyio.New(func(co *tinyio.Co) (time.Duration, error) { return left(co), nil })
		longer := tinyio.New(func(co *tinyio.Co) (time.Duration, error) { return left(co), nil })
		outer := tinyio.New(func(co *tinyio.Co) (time.Duration, error) {
			if _, err := tinyio.Timeout(co, inner, time.Second); err != nil {
				return 0, err
			}
			_, err := tinyio.Timeout(co, longer, time.Hour)
			return left(co), err
		})
		if _, err := tinyio.Timeout(co, outer, time.Minute); err != nil {
			return err
		}
		if left(co) != 0 || outer.Value() != time.Minute || inner.Value() != time.Second || longer.Value() != time.Minute {
			t.Errorf("none %v, outer %v, inner %v, longer %v", left(co), outer.Value(), inner.Value(), longer.Value())
		}
		return nil
	})
}

// R13, R29: in the Shield of a coroutine that has been stopped, the deadline is the end of the grace period, also for what is started
// there.
func TestDeadlineInAShield(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		start := co.Now()
		note := func(co *tinyio.Co, what string) {
			at, ok := co.Deadline()
			log.add("%s: %v, %v, done: %v", what, at.Sub(start), ok, co.Err() != nil)
		}
		c := tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(time.Minute, func(co *tinyio.Co) error {
				note(co, "before the stop")
				stop := co.Sleep(2 * time.Second) // it is stopped meanwhile
				note(co, "after the stop")
				return errors.Join(stop, co.Shield(3*time.Second, func(co *tinyio.Co) error {
					note(co, "in a shorter one")
					return nil
				}), co.Shield(time.Hour, func(co *tinyio.Co) error {
					note(co, "in a longer one")
					_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error { note(co, "in a Timeout"); return nil }), time.Second)
					return errors.Join(err, co.Wait(tinyio.Do(func(co *tinyio.Co) error { note(co, "started there"); return nil })))
				}))
			})
		})
		_, err := tinyio.Timeout(co, c, time.Second)
		return err
	})
	log.want(t,
		"before the stop: 1s, true, done: false",
		"after the stop: 1s, true, done: false",
		"in a shorter one: 1m1s, true, done: false",
		"in a longer one: 1h0m2s, true, done: false",
		"in a Timeout: 3s, true, done: false",
		"started there: 1h0m2s, true, done: false")
}

// R29: what is submitted has the values and the deadline of the context of Submit.
func TestValuesOfASubmission(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		key := contextKey("key")
		ctx, cancel := context.WithTimeout(context.WithValue(background, key, "request"), time.Hour)
		defer cancel()
		at, _ := ctx.Deadline()
		v, err := tinyio.Submit(ctx, s.Loop, tinyio.New(func(co *tinyio.Co) (any, error) {
			if deadline, ok := co.Deadline(); !ok || !deadline.Equal(at) {
				t.Errorf("the deadline is %v", deadline)
			}
			return tinyio.New(func(co *tinyio.Co) (any, error) { return co.Value(key), nil }).Await(co)
		}))
		if v != "request" || err != nil {
			t.Errorf("Submit gives %v, %v", v, err)
		}
		s.end(nil)
	})
}

// R8, R13, R29: the context of a coroutine, its children, its cause and its values, inside and outside of Shield, and after the end.
func TestContextOfACoroutine(t *testing.T) {
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
	wantError(t, "Run", err, errBoom)
	for i, ctx := range kept {
		if ctx.Err() == nil {
			t.Errorf("context %d is not done after the end", i)
		}
	}
}

// R8, R29: the context of a coroutine that was stopped before anybody asked for it is done, has the cause, and has the values that the
// coroutine has inherited, whoever asks for it first and whenever. What is stopped with it does not have its values.
func TestContextThatIsAskedForLate(t *testing.T) {
	noLeaks(t)
	var kept []context.Context
	check := func(ctx context.Context, want any) {
		t.Helper()
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		<-ctx.Done()
		<-derived.Done()
		if ctx.Err() != context.Canceled || context.Cause(ctx) != errBoom || context.Cause(derived) != errBoom {
			t.Errorf("Err is %v, the cause %v, of a child %v", ctx.Err(), context.Cause(ctx), context.Cause(derived))
		}
		if v := derived.Value(contextKey("key")); v != want {
			t.Errorf("the value is %v, want %v", v, want)
		}
	}
	start := func(co *tinyio.Co, want any) {
		for asks := range 2 {
			co.Go(func(co *tinyio.Co) error {
				err := co.Sleep(time.Hour)
				if asks == 1 {
					check(co, want)
				}
				kept = append(kept, co)
				return err
			})
		}
	}
	ctx := context.WithValue(background, contextKey("key"), "run")
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		start(co, "run")
		start(co.WithValues(context.WithValue(background, contextKey("key"), "handle")), "handle")
		start(co, "run")
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		return errBoom
	}), tinyio.WithVirtualTime())
	wantError(t, "Run", err, errBoom)
	for i, want := range []string{"run", "run", "handle", "handle", "run", "run"} {
		check(kept[i], want)
	}
}

// R8, R29: a goroutine may ask for the context of a coroutine at the time at which that is stopped. All who ask get the same one, which has
// the cause.
func TestContextIsAskedForWhileItEnds(t *testing.T) {
	noLeaks(t)
	const askers = 4
	var contexts [askers]<-chan struct{}
	var causes [askers]error
	var asking sync.WaitGroup
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		co.Go(func(co *tinyio.Co) error {
			for i := range askers {
				asking.Go(func() {
					contexts[i] = co.Done()
					<-contexts[i]
					causes[i] = context.Cause(co)
				})
			}
			return co.Sleep(time.Hour)
		})
		if err := co.Yield(); err != nil {
			return err
		}
		return errBoom
	}))
	wantError(t, "Run", err, errBoom)
	asking.Wait()
	for i := range askers {
		if contexts[i] != contexts[0] || causes[i] != errBoom {
			t.Errorf("asker %d has another context than the first, or the cause %v", i, causes[i])
		}
	}
}
