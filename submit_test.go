package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// Submit and Serve: work from other goroutines is coroutines like any other, and the caller of Submit gets the result in any case. Most of these
// tests are in a bubble of testing/synctest, whose time is that of the loop, and in which nothing may be left that waits for ever.

// inBubble runs f in a bubble.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	noLeaks(t)
	synctest.Test(t, f)
}

// A server is a loop that serves in a goroutine.
type server struct {
	*tinyio.Loop
	stop   context.CancelCauseFunc
	ended  chan tinyio.Void
	err    error
	panics any
}

// serve makes a loop serve in a goroutine of the bubble, until the server is stopped or crashes.
func serve(opts ...tinyio.Option) *server {
	ctx, stop := context.WithCancelCause(background)
	s := &server{Loop: tinyio.NewLoop(opts...), stop: stop, ended: make(chan tinyio.Void)}
	go func() {
		defer close(s.ended)
		defer func() { s.panics = recover() }()
		s.err = s.Serve(ctx)
	}()
	synctest.Wait()
	return s
}

// end stops the server for the reason given, if it runs, and returns what Serve returns.
func (s *server) end(cause error) error {
	s.stop(cause)
	<-s.ended
	return s.err
}

// A submitted is a call of Submit in a goroutine: what it has returned.
type submitted struct {
	v    int
	err  error
	done chan tinyio.Void
}

// submit submits c and returns when the loop has done all that it can do at this time.
func submit(ctx context.Context, l *tinyio.Loop, c *tinyio.Coro[int]) *submitted {
	s := &submitted{done: make(chan tinyio.Void)}
	go func() {
		defer close(s.done)
		s.v, s.err = tinyio.Submit(ctx, l, c)
	}()
	synctest.Wait()
	return s
}

// result returns what Submit has returned, which it must have by now, in the time of the bubble.
func (s *submitted) result(t *testing.T) (int, error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-s.done:
	default:
		t.Fatal("Submit has not returned")
	}
	return s.v, s.err
}

// wantCancelled wants err to be the cancellation for cause.
func wantCancelled(t *testing.T, err, cause error) {
	t.Helper()
	var cancelled *tinyio.CancelledError
	if !errors.As(err, &cancelled) || !errors.Is(cancelled.Cause, cause) {
		t.Errorf("the error is %v, want a CancelledError because of %v", err, cause)
	}
}

// Submit runs a coroutine on a loop that serves, and Serve returns the cause for which it is stopped.
func TestSubmitReturnsTheValue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		began := time.Now()
		v, err := tinyio.Submit(background, s.Loop, value(time.Hour, 7))
		if v != 7 || err != nil || time.Since(began) != time.Hour {
			t.Errorf("Submit returns %d, %v after %v", v, err, time.Since(began))
		}
		err = s.end(errBoom)
		if _, ok := err.(*tinyio.Error); !ok || !errors.Is(err, errBoom) {
			t.Errorf("Serve returns %v", err)
		}
		wantTrace(t, err, tinyio.Frame{Coro: "tinyio.Serve", Function: "github.com/tinyio-go/tinyio.(*Loop).Serve",
			File: err.(*tinyio.Error).Trace[0].File, Line: err.(*tinyio.Error).Trace[0].Line})
		if _, err := tinyio.Submit(background, s.Loop, value(0, 1)); err != tinyio.ErrNotRunning {
			t.Errorf("afterwards Submit returns %v", err)
		}
	})
}

// Coroutines that are submitted by many goroutines share plain data, and those of one goroutine begin in order.
func TestSubmitFromManyGoroutines(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		const goroutines, each = 20, 50
		order := map[int][]int{}
		var group sync.WaitGroup
		for g := range goroutines {
			group.Go(func() {
				for i := range each {
					v, err := tinyio.Submit(background, s.Loop, tinyio.New(func(co *tinyio.Co) (int, error) {
						order[g] = append(order[g], i)
						return i, co.Yield()
					}))
					if v != i || err != nil {
						t.Errorf("Submit returns %d, %v, want %d", v, err, i)
					}
				}
			})
		}
		group.Wait()
		s.end(nil)
		for g := range goroutines {
			if len(order[g]) != each || !slices.IsSorted(order[g]) {
				t.Errorf("goroutine %d: %v", g, order[g])
			}
		}
	})
}

// A run goes on until what was submitted to it has finished (R5).
func TestSubmitKeepsTheRunGoing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l, began := tinyio.NewLoop(), time.Now()
		var took time.Duration
		go func() {
			tinyio.RunOn(background, l, sleeper(time.Second))
			took = time.Since(began)
		}()
		synctest.Wait()
		v, err := tinyio.Submit(background, l, value(time.Hour, 7))
		synctest.Wait()
		if v != 7 || err != nil || took != time.Hour {
			t.Errorf("Submit returns %d, %v; the run has taken %v", v, err, took)
		}
	})
}

// Submit to a loop whose run has ended is an error at once, and leaves the coroutine free to run elsewhere (R31).
func TestSubmitToALoopThatIsNotRunning(t *testing.T) {
	noLeaks(t)
	l, c := tinyio.NewLoop(), value(0, 7)
	for range 2 {
		if _, err := tinyio.RunOn(background, l, value(0, 1)); err != nil {
			t.Error(err)
		}
		if _, err := tinyio.Submit(background, l, c); err != tinyio.ErrNotRunning {
			t.Errorf("Submit returns %v", err)
		}
		if err := l.Post(c); err != tinyio.ErrNotRunning {
			t.Errorf("Post returns %v", err)
		}
	}
	if v, err := tinyio.Run(background, c); v != 7 || err != nil {
		t.Errorf("elsewhere it gives %d, %v", v, err)
	}
}

// What is submitted or posted to a loop that has not begun waits for that, in order. A caller that gives up leaves its coroutine free (R31).
func TestSubmitToALoopThatHasNotBegun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		var log recorder
		logged := func(name string) *tinyio.Coro[int] {
			return tinyio.New(func(*tinyio.Co) (int, error) { log.add("%s", name); return 1, nil })
		}
		ctx, cancel := context.WithCancelCause(background)
		given, free := submit(background, l, logged("submitted")), value(0, 7)
		if err := l.Post(logged("posted"), logged("posted too")); err != nil {
			t.Error(err)
		}
		late := submit(ctx, l, free)
		cancel(errBoom)
		if _, err := late.result(t); err != errBoom {
			t.Errorf("Submit whose context is done returns %v", err)
		}
		if _, err := tinyio.RunOn(background, l, logged("first")); err != nil {
			t.Error(err)
		}
		if v, err := given.result(t); v != 1 || err != nil {
			t.Errorf("Submit returns %d, %v", v, err)
		}
		log.want(t, "first", "submitted", "posted", "posted too")
		if v, err := tinyio.Run(background, free); v != 7 || err != nil {
			t.Errorf("elsewhere it gives %d, %v", v, err)
		}
	})
}

// What is posted and, in the same turn, isolated is started once, by the Isolate or the First, and belongs to its domain.
func TestPostedThenIsolated(t *testing.T) {
	for name, isolate := range map[string]func(co *tinyio.Co, c *tinyio.Coro[tinyio.Void]) (tinyio.Void, error){
		"Isolate": tinyio.Isolate[tinyio.Void],
		"First":   func(co *tinyio.Co, c *tinyio.Coro[tinyio.Void]) (tinyio.Void, error) { return tinyio.First(co, c) },
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				l := tinyio.NewLoop(tinyio.WithVirtualTime())
				works, fails := sleeper(time.Hour), failer(time.Hour, errBoom)
				_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
					for c, want := range map[*tinyio.Coro[tinyio.Void]]error{works: nil, fails: errBoom} {
						if err := l.Post(c); err != nil {
							return err
						}
						if _, err := isolate(co, c); !errors.Is(err, want) {
							t.Errorf("it returns %v, want %v", err, want)
						}
					}
					return nil
				}))
				if err != nil {
					t.Errorf("the run returns %v", err)
				}
			})
		})
	}
}

// What is posted inside an Isolate belongs to the run: it outlives the domain. It also starts in the last turn of the run (R31).
func TestPostBelongsToTheRun(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	var log recorder
	nap := func(name string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			log.add("%s: %v", name, err)
			return err
		})
	}
	last := nap("in the last turn")
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			if err := l.Post(nap("posted")); err != nil {
				return err
			}
			if err := co.Spawn(nap("spawned")); err != nil {
				return err
			}
			return errBoom
		}))
		log.add("isolated: %v", err)
		return l.Post(last)
	}))
	if err != nil || !last.Finished() {
		t.Errorf("the run ends with %v", err)
	}
	log.want(t, "spawned: tinyio: cancelled because of: boom", "isolated: boom", "posted: <nil>", "in the last turn: <nil>")
}

// While a run is being stopped, Post is refused with its error (R31). If one of several belongs to another loop, Post is refused, and none of
// them is started.
func TestPostIsRefused(t *testing.T) {
	noLeaks(t)
	l, other := tinyio.NewLoop(), value(time.Hour, 1)
	free := value(0, 7)
	var foreign, stopped error
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(other); err != nil {
			return err
		}
		foreign = l.Post(free, other)
		return nil
	}), tinyio.WithVirtualTime())
	if err != nil || foreign == nil || !strings.Contains(foreign.Error(), "another loop") {
		t.Errorf("the run ends with %v, Post with %v", err, foreign)
	}
	early := value(0, 1)
	_, err = tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			stopped = l.Post(free)
			return err
		})); err != nil {
			return err
		}
		if err := l.Post(early); err != nil {
			return err
		}
		return errBoom
	}))
	wantError(t, "Run", err, errBoom)
	wantCancelled(t, stopped, errBoom)
	if v, err := tinyio.Run(background, free); v != 7 || err != nil {
		t.Errorf("elsewhere it gives %d, %v", v, err)
	}
	if !early.Finished() {
		t.Error("what was posted in the last turn before the failure has not finished")
	}
	wantSentence(t, panicOf(func() { l.Post(nil) }), "Post", "nil")
	wantSentence(t, panicOf(func() { new(tinyio.Loop).Post() }), "Post", "NewLoop")
}

// A coroutine that has finished gives its result at once, whatever the loop does; as in Await and Run (R3).
func TestSubmitOfAFinishedCoroutine(t *testing.T) {
	noLeaks(t)
	good, bad, other := value(0, 7), failer(0, errBoom), tinyio.NewLoop()
	tinyio.RunOn(background, other, good)
	tinyio.RunOn(background, other, bad)
	if v, err := tinyio.Submit(background, tinyio.NewLoop(), good); v != 7 || err != nil {
		t.Errorf("Submit returns %d, %v", v, err)
	}
	if _, err := tinyio.Submit(background, tinyio.NewLoop(), bad); !errors.Is(err, errBoom) {
		t.Errorf("Submit returns %v", err)
	}
}

// A coroutine of another loop is refused (R6).
func TestSubmitOfAForeignCoroutine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, other := serve(), serve()
		c := value(time.Hour, 7)
		there := submit(background, other.Loop, c)
		if _, err := tinyio.Submit(background, s.Loop, c); err == nil || !strings.Contains(err.Error(), "another loop") {
			t.Errorf("Submit returns %v", err)
		}
		time.Sleep(time.Hour)
		if v, err := there.result(t); v != 7 || err != nil {
			t.Errorf("on its own loop it gives %d, %v", v, err)
		}
		s.end(nil)
		other.end(nil)
	})
}

// R7: a failure of a submitted coroutine crashes the loop and comes out of Submit too, with the caller of Submit in its trace. Others that are
// in flight are cancelled, and clean up before their Submit returns.
func TestSubmitOfACoroutineThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		cleaned := false
		beside := submit(background, s.Loop, tinyio.New(func(co *tinyio.Co) (int, error) {
			defer func() { cleaned = true }()
			err := co.Sleep(time.Hour)
			co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Minute) })
			return 0, err
		}))
		began := time.Now()
		bad := failer(time.Second, errBoom).Named("bad")
		site := here("tinyio.Submit", 1)
		_, err := tinyio.Submit(background, s.Loop, bad)
		wantTrace(t, err, site, err.(*tinyio.Error).Trace[1])
		if !errors.Is(err, errBoom) || err.(*tinyio.Error).Trace[1].Coro != "bad" || time.Since(began) != time.Second {
			t.Errorf("Submit returns %+v after %v", err, time.Since(began))
		}
		late := value(0, 1)
		_, err = tinyio.Submit(background, s.Loop, late) // while the loop cleans up
		wantCancelled(t, err, errBoom)
		<-s.ended
		_, err = beside.result(t)
		wantCancelled(t, err, errBoom)
		if !errors.Is(s.err, errBoom) || !cleaned || time.Since(began) != time.Second+time.Minute {
			t.Errorf("Serve returns %v after %v, cleaned up: %v", s.err, time.Since(began), cleaned)
		}
		if v, err := tinyio.Run(background, late); v != 1 || err != nil {
			t.Errorf("what was refused gives %d, %v elsewhere", v, err)
		}
	})
}

// A submitted coroutine that finishes with nil although it is cancelled has finished.
func TestSubmitOfACoroutineThatFinishesAllTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stubborn := func() *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) { co.Sleep(time.Hour); return 7, nil })
		}
		s := serve()
		crashed := submit(background, s.Loop, stubborn())
		s.end(errBoom)
		if v, err := crashed.result(t); v != 7 || err != nil {
			t.Errorf("cancelled, it gives %d, %v", v, err)
		}
	})
}

// R14: a panic of a submitted coroutine comes out of Serve, and Submit returns it. Others may look at it while the loop stops.
func TestSubmitOfACoroutineThatPanics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		beside := submit(background, s.Loop, tinyio.New(func(co *tinyio.Co) (int, error) {
			co.Sleep(time.Hour)
			return 0, errors.New("clean-up")
		}))
		_, err := tinyio.Submit(background, s.Loop, tinyio.New(func(*tinyio.Co) (int, error) { panic(errBoom) }))
		var p *tinyio.PanicError
		if !errors.As(err, &p) || p.Value != errBoom || !strings.Contains(err.Error(), "boom") {
			t.Errorf("Submit returns %v", err)
		}
		<-s.ended
		if p, ok := s.panics.(*tinyio.PanicError); !ok || p.Value != errBoom || !strings.Contains(p.Error(), "clean-up") {
			t.Errorf("Serve panics with %v", s.panics)
		}
		if _, err := beside.result(t); err == nil || !strings.Contains(err.Error(), "clean-up") {
			t.Errorf("the one beside it gives %v", err)
		}
	})
}

// R14: a Goexit of a submitted coroutine comes out of Serve too.
func TestSubmitOfACoroutineThatExits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		s.err = errBoom // unless Serve returns
		_, err := tinyio.Submit(background, s.Loop, tinyio.New(func(*tinyio.Co) (int, error) { runtime.Goexit(); return 1, nil }))
		<-s.ended
		if err == nil || !strings.Contains(err.Error(), "Goexit") || s.panics != nil || s.err != errBoom {
			t.Errorf("Submit returns %v, Serve %v, panic %v", err, s.err, s.panics)
		}
	})
}

// A server isolates what may fail: the loop goes on.
func TestSubmitOfAnIsolatedFailure(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		handle := func(c *tinyio.Coro[int]) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) {
				v, err := tinyio.Isolate(co, c)
				if errors.Is(err, errBoom) {
					return -1, nil
				}
				return v, err
			})
		}
		bad, err := tinyio.Submit(background, s.Loop, handle(tinyio.New(func(*tinyio.Co) (int, error) { return 0, errBoom })))
		good, err2 := tinyio.Submit(background, s.Loop, handle(value(time.Second, 7)))
		if bad != -1 || good != 7 || err != nil || err2 != nil {
			t.Errorf("%d, %v and %d, %v", bad, err, good, err2)
		}
		s.end(nil)
	})
}

// R19: a coroutine that was started inside an Isolate, and that a goroutine outside also waits for, is spared when the Isolate crashes.
func TestSubmitOfACoroutineInsideACrashingIsolate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		c := value(time.Hour, 7)
		isolating := submit(background, s.Loop, tinyio.New(func(co *tinyio.Co) (int, error) {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				return errors.Join(co.Spawn(c), wait(co, failer(time.Second, errBoom)))
			}))
			wantError(t, "Isolate", err, errBoom)
			return 1, co.Yield()
		}))
		began := time.Now()
		if v, err := tinyio.Submit(background, s.Loop, c); v != 7 || err != nil || time.Since(began) != time.Hour {
			t.Errorf("Submit gives %d, %v after %v", v, err, time.Since(began))
		}
		if v, err := isolating.result(t); v != 1 || err != nil {
			t.Errorf("Isolate gives %d, %v", v, err)
		}
		s.end(nil)
	})
}

// R31: when its context is done, Submit returns the cause at once, and the loop halts the coroutine, children first.
func TestSubmitWhoseContextIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		var log recorder
		ctx, cancel := context.WithCancelCause(background)
		child := tinyio.Do(func(co *tinyio.Co) error {
			defer log.add("child stopped")
			return co.Sleep(time.Hour)
		})
		c := submit(ctx, s.Loop, tinyio.New(func(co *tinyio.Co) (int, error) {
			err := wait(co, child)
			log.add("%v, %v", err, context.Cause(co))
			co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Minute) })
			log.add("stopped")
			return 0, err
		}))
		time.Sleep(time.Second)
		cancel(errBoom)
		began := time.Now()
		<-c.done
		if _, err := c.result(t); err != errBoom || time.Since(began) != 0 {
			t.Errorf("Submit returns %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		log.want(t, "child stopped", "tinyio: cancelled because of: boom, boom", "stopped")
		if err := s.end(nil); errors.Is(err, errBoom) {
			t.Errorf("Serve returns %v", err)
		}
	})
}

// R10: clean-up errors of a coroutine whose Submit has returned come out of the run, and crash nothing.
func TestSubmitOfACoroutineThatFailsWhenHalted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		_, err := tinyio.Submit(ctx, s.Loop, tinyio.New(func(co *tinyio.Co) (int, error) {
			co.Sleep(time.Hour)
			return 0, errBoom
		}))
		if err != context.DeadlineExceeded {
			t.Errorf("Submit returns %v", err)
		}
		if v, err := tinyio.Submit(background, s.Loop, value(time.Second, 7)); v != 7 || err != nil {
			t.Errorf("the next one gives %d, %v", v, err)
		}
		errOver := errors.New("over")
		if err := s.end(errOver); !errors.Is(err, errOver) || !errors.Is(err, errBoom) {
			t.Errorf("Serve returns %v", err)
		}
	})
}

// If the context is done before, the coroutine never runs, and stays free.
func TestSubmitWhoseContextIsDoneBefore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		ctx, cancel := context.WithCancelCause(background)
		cancel(errBoom)
		c := value(0, 7)
		if _, err := tinyio.Submit(ctx, s.Loop, c); err != errBoom {
			t.Errorf("Submit returns %v", err)
		}
		s.end(nil)
		if v, err := tinyio.Run(background, c); v != 7 || err != nil {
			t.Errorf("elsewhere it gives %d, %v", v, err)
		}
	})
}

// If somebody else waits for the coroutine, a caller that gives up returns at once, and the coroutine carries on (W4).
func TestSubmitOfASharedCoroutine(t *testing.T) {
	wanted := map[string]func(l *tinyio.Loop, c *tinyio.Coro[int]) *submitted{
		"submitted again": func(l *tinyio.Loop, c *tinyio.Coro[int]) *submitted { return submit(background, l, c) },
		"awaited": func(l *tinyio.Loop, c *tinyio.Coro[int]) *submitted {
			return submit(background, l, tinyio.New(func(co *tinyio.Co) (int, error) { return c.Await(co) }))
		},
		"spawned": func(l *tinyio.Loop, c *tinyio.Coro[int]) *submitted {
			return submit(background, l, tinyio.New(func(co *tinyio.Co) (int, error) { return 7, co.Spawn(c) }))
		},
	}
	for name, want := range wanted {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := serve()
				c := value(time.Hour, 7)
				other := want(s.Loop, c)
				ctx, cancel := context.WithTimeout(background, time.Second)
				defer cancel()
				began := time.Now()
				_, err := tinyio.Submit(ctx, s.Loop, c)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
					t.Errorf("Submit returns %v after %v", err, time.Since(began))
				}
				time.Sleep(time.Hour)
				if v, err := other.result(t); v != 7 || err != nil || c.Value() != 7 {
					t.Errorf("the other has %d, %v", v, err)
				}
				s.end(nil)
			})
		})
	}
}

// The last of several submitters to give up halts the coroutine.
func TestSubmitOfASharedCoroutineThatAllGiveUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		began := time.Now()
		var stopped time.Duration
		c := tinyio.New(func(co *tinyio.Co) (int, error) {
			err := co.Sleep(time.Hour)
			stopped = time.Since(began)
			return 0, err
		})
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(background, time.Duration(i+1)*time.Second)
				defer cancel()
				if _, err := tinyio.Submit(ctx, s.Loop, c); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Submit returns %v", err)
				}
			})
		}
		group.Wait()
		s.end(nil)
		if stopped != 3*time.Second {
			t.Errorf("it was stopped after %v", stopped)
		}
	})
}

// A spy calls Submit from where tools and clocks are called.
type spy struct{ submit func() }

func (s spy) Observe(hook.Note)      { s.submit() }
func (s spy) Pick(r []tinyio.ID) int { s.submit(); return len(r) - 1 }
func (s spy) Now() time.Time         { return time.Unix(0, 0) }
func (s spy) Idle(hook.Pause) bool {
	s.submit()
	return false
}

// Submit from where it would block a loop is an error at once that says what to do instead; from a thread it works.
func TestSubmitFromInsideALoop(t *testing.T) {
	server := serveForReal(t)
	var err error
	called := false
	submit := func() {
		if _, e := tinyio.Submit(background, server, value(0, 1)); !called || e == nil { // none of the calls is to succeed
			called, err = true, e
		}
	}
	places := map[string]func(){
		"a coroutine": func() { virtually(func(*tinyio.Co) error { submit(); return nil }) },
		"a coroutine of the same loop": func() {
			tinyio.Submit(background, server, tinyio.Do(func(*tinyio.Co) error { submit(); return nil }))
		},
		"a coroutine that has waited": func() {
			virtually(func(co *tinyio.Co) error {
				return co.Wait(sleeper(time.Second), tinyio.Do(func(co *tinyio.Co) error {
					if err := co.Sleep(time.Second); err != nil {
						return err
					}
					submit()
					return nil
				}))
			})
		},
		"deep down in a coroutine": func() {
			var down func(n int)
			down = func(n int) {
				if n > 0 {
					down(n - 1)
				} else {
					submit()
				}
			}
			virtually(func(*tinyio.Co) error { down(1000); return nil })
		},
		"a Shield": func() {
			virtually(func(co *tinyio.Co) error {
				return co.Shield(0, func(*tinyio.Co) error { submit(); return nil })
			})
		},
		"the start of a callback": func() {
			tinyio.Run(background, tinyio.FromCallback(func(done func(int, error)) func(error) {
				submit()
				done(1, nil)
				return nil
			}))
		},
		"the cancellation of a callback": func() {
			virtually(func(co *tinyio.Co) error {
				return co.Wait(failer(time.Second, errBoom), tinyio.FromCallback(func(done func(int, error)) func(error) {
					return func(cause error) {
						submit()
						done(0, cause)
					}
				}))
			})
		},
		"an observer": func() { tinyio.Run(background, value(0, 1), tinyio.WithObserver(spy{submit})) },
		"a picker": func() {
			virtually(func(co *tinyio.Co) error { return co.Wait(value(0, 1), value(0, 2)) }, tinyio.WithPicker(spy{submit}))
		},
		"a clock": func() { tinyio.Run(background, tinyio.Do(new(tinyio.Event).Wait), tinyio.WithClock(spy{submit})) },
		"the range over Steps": func() {
			r := tinyio.Start(background, tinyio.NewLoop(), tinyio.Do((*tinyio.Co).Yield))
			for range r.Steps() {
				submit()
			}
		},
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			within(t, func() {
				called, err = false, nil
				place()
				if !called || err == nil || !strings.Contains(err.Error(), "inside a loop") ||
					!strings.Contains(err.Error(), "RunInThread") {
					t.Errorf("called: %v, Submit returns %v", called, err)
				}
			})
		})
	}
	t.Run("a thread", func(t *testing.T) {
		within(t, func() {
			v, err := tinyio.Submit(background, server, tinyio.New(func(co *tinyio.Co) (int, error) {
				return tinyio.RunInThread(func(ctx context.Context) (int, error) {
					return tinyio.Submit(ctx, server, value(0, 7))
				}).Await(co)
			}))
			if v != 7 || err != nil {
				t.Errorf("Submit returns %d, %v", v, err)
			}
		})
	})
}

// serveForReal makes a loop serve until the test ends.
func serveForReal(t *testing.T, opts ...tinyio.Option) *tinyio.Loop {
	t.Helper()
	noLeaks(t)
	ctx, stop := context.WithCancel(background)
	l, served := tinyio.NewLoop(opts...), make(chan error)
	go func() { served <- l.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve returns %v", err)
		}
	})
	for c := value(0, 1); ; runtime.Gosched() {
		if _, err := tinyio.Submit(background, l, c); err == nil {
			return l
		}
	}
}

// R24: a loop that serves in virtual time is not deadlocked, since a goroutine can submit to it. Its time jumps.
func TestServeInVirtualTime(t *testing.T) {
	l := serveForReal(t, tinyio.WithVirtualTime())
	within(t, func() {
		for i := range 3 {
			if v, err := tinyio.Submit(background, l, value(time.Hour, i)); v != i || err != nil {
				t.Errorf("Submit returns %d, %v", v, err)
			}
		}
		ctx, cancel := context.WithCancel(background)
		waiting := make(chan tinyio.Void)
		c := tinyio.Do(func(co *tinyio.Co) error {
			close(waiting)
			return new(tinyio.Event).Wait(co)
		})
		go func() { <-waiting; cancel() }()
		if _, err := tinyio.Submit(ctx, l, c); err != context.Canceled {
			t.Errorf("Submit returns %v", err)
		}
	})
}

// R24: a run in virtual time does not wait for submissions, and a deadlock names those that are waiting.
func TestSubmitInADeadlock(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	hand, started := make(chan tinyio.Void), make(chan tinyio.Void)
	var err error
	go func() {
		<-started
		_, err = tinyio.Submit(background, l, tinyio.Do(func(co *tinyio.Co) error {
			close(hand)
			return new(tinyio.Event).Wait(co)
		}).Named("stuck"))
		close(started)
	}()
	_, run := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		started <- tinyio.Void{}
		_, _, err := tinyio.Recv(co, hand)
		return err
	}))
	<-started
	var deadlock *tinyio.DeadlockError
	if !errors.As(run, &deadlock) || len(deadlock.Waits) != 2 {
		t.Fatalf("Run returns %v", run)
	}
	if w := deadlock.Waits[0]; !strings.HasPrefix(w, "tinyio.Submit: waiting for a coroutine (stuck) at ") ||
		!strings.Contains(w, "submit_test.go") {
		t.Errorf("it waits: %s", w)
	}
	wantCancelled(t, err, deadlock)
}

// R23: a submission wakes a host that drives the loop.
func TestSubmitToAGuest(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		l := tinyio.NewLoop()
		ctx, cancel := context.WithCancel(background)
		r := tinyio.Start(ctx, l, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
		go func() {
			defer cancel()
			for i := range 10 { // from Start on, the loop runs
				if v, err := tinyio.Submit(background, l, value(0, i)); v != i || err != nil {
					t.Errorf("Submit returns %d, %v", v, err)
				}
			}
		}()
		for p := range r.Steps() {
			if p.Blocked {
				<-p.Wake
			}
		}
		if _, err := r.Result(); !errors.Is(err, context.Canceled) {
			t.Errorf("the result is %v", err)
		}
	})
}

// If a host leaves the range early, what was submitted is cancelled or refused.
func TestSubmitToAGuestThatIsLeft(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		l := tinyio.NewLoop()
		r := tinyio.Start(background, l, sleeper(time.Hour))
		waiting, result := make(chan tinyio.Void), make(chan error)
		c := tinyio.Do(func(co *tinyio.Co) error {
			close(waiting)
			return co.Sleep(time.Hour)
		})
		go func() { _, err := tinyio.Submit(background, l, c); result <- err }()
		for p := range r.Steps() {
			if !p.Blocked {
				continue
			}
			select {
			case <-p.Wake:
				continue
			case <-waiting:
			}
			break
		}
		if err := <-result; !errors.Is(err, tinyio.ErrCancelled) {
			t.Errorf("Submit returns %v", err)
		}
	})
}

// A loop that is running cannot serve, and one that serves cannot run (R6).
func TestServeOfARunningLoop(t *testing.T) {
	l := serveForReal(t)
	within(t, func() {
		if err := l.Serve(background); err == nil || !strings.Contains(err.Error(), "Serve") {
			t.Errorf("Serve returns %v", err)
		}
		if _, err := tinyio.RunOn(background, l, value(0, 1)); err == nil || !strings.Contains(err.Error(), "running") {
			t.Errorf("RunOn returns %v", err)
		}
	})
}

// R15: each mode reports errors of submitted coroutines as any other.
func TestServeWithErrorGroups(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve(tinyio.WithErrorGroup(tinyio.GroupAlways))
		beside := submit(background, s.Loop, value(time.Hour, 7))
		_, err := tinyio.Submit(background, s.Loop, tinyio.New(func(*tinyio.Co) (int, error) { return 0, errBoom }))
		<-s.ended
		var group *tinyio.ErrorGroup
		if !errors.As(s.err, &group) || !errors.Is(group.Errs[0], errBoom) || !errors.Is(err, errBoom) {
			t.Errorf("Serve returns %v, Submit %v", s.err, err)
		}
		_, err = beside.result(t)
		wantCancelled(t, err, errBoom)
	})
}

// Status shows a submission under the name of Submit, with the function that called it.
func TestSubmitIsNamed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		var status []string
		_, err := tinyio.Submit(background, s.Loop, tinyio.Do(func(*tinyio.Co) error {
			for _, s := range s.Status() {
				status = append(status, fmt.Sprintf("%s: %s for %s %v, in %s", s.Coro, s.State, s.On, s.For,
					s.Function[strings.LastIndex(s.Function, "/")+1:]))
			}
			return nil
		}).Named("c"))
		s.end(nil)
		want := []string{
			"tinyio.Serve: waiting for a thread or callback [], in tinyio.(*Loop).Serve",
			"tinyio.Submit: waiting for a coroutine [2], in tinyio_test.TestSubmitIsNamed.func1",
			"c: running for  [], in tinyio_test.TestSubmitIsNamed.func1.1",
		}
		if err != nil || !slices.Equal(status, want) {
			t.Errorf("Submit returns %v, the status is %q, want %q", err, status, want)
		}
	})
}

// What comes from outside is taken in in the order in which it came, even what comes while the rest is taken in.
func TestInboxKeepsItsOrder(t *testing.T) {
	var log recorder
	done := map[int]func(int, error){}
	call := func(i int) *tinyio.Coro[int] {
		return tinyio.FromCallback(func(d func(int, error)) func(error) { done[i] = d; return nil }).Named(fmt.Sprint("call ", i))
	}
	observer := observerFunc(func(n hook.Note) {
		if n.What == hook.Woken && strings.HasPrefix(n.Name(), "call") {
			log.add("%s", n.Name())
			if n.Name() == "call 1" {
				panicOfGoroutine(func() { done[3](0, nil) }) // while 2 has not been taken in
			}
		}
	})
	succeed(t, func(co *tinyio.Co) error {
		if err := co.Spawn(call(1), call(2), call(3)); err != nil {
			return err
		}
		panicOfGoroutine(func() { done[1](0, nil); done[2](0, nil) })
		return nil
	}, tinyio.WithObserver(observer))
	log.want(t, "call 1", "call 2", "call 3")
}

// Runs end while others submit: what is refused has not run, and every Submit returns.
func TestSubmitAgainstTheEndOfRuns(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		l := tinyio.NewLoop()
		var over atomic.Bool
		var submitters sync.WaitGroup
		for g := range 4 {
			submitters.Go(func() {
				random := rand.New(rand.NewPCG(3, uint64(g)))
				for !over.Load() {
					submitAtRandom(t, l, random)
				}
			})
		}
		for i := range 300 {
			_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
				for range i % 5 {
					if err := co.Yield(); err != nil {
						return err
					}
				}
				if i%3 == 0 {
					return errBoom
				}
				return nil
			}))
			if err != nil && !errors.Is(err, errBoom) {
				t.Errorf("run %d returns %v", i, err)
			}
		}
		over.Store(true)
		submitters.Wait()
	})
}

// submitAtRandom submits a coroutine, perhaps with a context that will soon be done, and checks the result.
func submitAtRandom(t *testing.T, l *tinyio.Loop, random *rand.Rand) {
	var ran, ended atomic.Int32
	ctx, cancel := background, func() {}
	if random.IntN(2) == 0 {
		ctx, cancel = context.WithTimeout(background, time.Duration(random.IntN(100))*time.Microsecond)
	}
	defer cancel()
	naps := random.IntN(3)
	v, err := tinyio.Submit(ctx, l, tinyio.New(func(co *tinyio.Co) (int, error) {
		ran.Add(1)
		defer ended.Add(1)
		for range naps {
			if err := co.Sleep(time.Duration(10) * time.Microsecond); err != nil {
				return 0, err
			}
		}
		return 7, nil
	}))
	switch {
	case err == nil && v == 7 && ran.Load() == 1 && ended.Load() == 1:
	case err == tinyio.ErrNotRunning && ran.Load() == 0:
	case errors.Is(err, tinyio.ErrCancelled) && ran.Load() == ended.Load():
	case ctx != background && err == context.DeadlineExceeded && ran.Load() <= 1: // it may be on its way to its end
	default:
		t.Errorf("Submit returns %d, %v; the coroutine has begun %d times and ended %d times", v, err, ran.Load(), ended.Load())
	}
}

// What is submitted during the last turn of a run comes too late, and Submit returns an error.
func TestSubmitDuringTheLastTurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l, c := tinyio.NewLoop(), value(0, 7)
		var late *submitted
		if _, err := tinyio.RunOn(background, l, tinyio.Do(func(*tinyio.Co) error {
			late = submit(background, l, c)
			return nil
		})); err != nil {
			t.Error(err)
		}
		if _, err := late.result(t); err != tinyio.ErrNotRunning {
			t.Errorf("Submit returns %v", err)
		}
		if v, err := tinyio.Run(background, c); v != 7 || err != nil {
			t.Errorf("elsewhere it gives %d, %v", v, err)
		}
	})
}

// If an event is set between two runs, or while one ends or begins, and is then cleared, its waiters still wake the next time that it is set.
func TestEventSetBetweenRuns(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		l := tinyio.NewLoop()
		var e tinyio.Event
		var over atomic.Bool
		var setters sync.WaitGroup
		for range 2 {
			setters.Go(func() {
				for !over.Load() {
					e.Set()
					runtime.Gosched()
				}
			})
		}
		for range 100 {
			if _, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
				e.Clear()
				return e.Wait(co)
			})); err != nil {
				t.Error(err)
			}
			for e.Clear(); !e.IsSet(); {
				runtime.Gosched()
			}
			e.Clear()
		}
		over.Store(true)
		setters.Wait()
	})
}

// R31: a thread submits, with its own context, a coroutine that waits for the thread. When the run is stopped, Submit returns at once, and the
// run ends: nothing waits, outside the loop, for what waits for it.
func TestSubmitByAThreadOfWhatWaitsForThatThread(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		var c *tinyio.Coro[int]
		var submitted error
		thread := tinyio.RunInThread(func(ctx context.Context) (int, error) {
			var v int
			v, submitted = tinyio.Submit(ctx, l, c)
			return v, submitted
		})
		c = tinyio.New(func(co *tinyio.Co) (int, error) { return thread.Await(co) })
		ctx, cancel := context.WithTimeoutCause(background, time.Second, errBoom)
		defer cancel()
		began := time.Now()
		_, err := tinyio.RunOn(ctx, l, c)
		if !errors.Is(err, errBoom) || submitted != errBoom || time.Since(began) != time.Second {
			t.Errorf("Run returns %v after %v, Submit %v", err, time.Since(began), submitted)
		}
	})
}

// R31: Submit returns as soon as its context is done, although the loop is stuck. What was submitted never runs.
func TestSubmitToALoopThatIsStuck(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
			ctx, cancel := context.WithTimeoutCause(background, time.Second, errBoom)
			defer cancel()
			began := time.Now()
			s := submit(ctx, l, tinyio.New(func(*tinyio.Co) (int, error) {
				t.Error("it runs")
				return 0, nil
			}))
			<-s.done
			if _, err := s.result(t); err != errBoom || time.Since(began) != time.Second {
				t.Errorf("Submit returns %v after %v", err, time.Since(began))
			}
			return co.Yield()
		}))
		if err != nil {
			t.Error(err)
		}
	})
}

// If the clock panics while other goroutines submit, the run ends with the panic, and no goroutine reads what the loop writes.
func TestSubmitWhileTheClockPanics(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithClock(new(brokenClock)))
	var over atomic.Bool
	var submitters sync.WaitGroup
	for range 2 {
		submitters.Go(func() {
			for !over.Load() {
				tinyio.Submit(background, l, value(0, 1))
			}
		})
	}
	p := panicErrorOf(t, func() {
		tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Millisecond) }))
	})
	over.Store(true)
	submitters.Wait()
	if p.Value != "broken clock" {
		t.Errorf("Run panics with %v", p.Value)
	}
}

// A brokenClock panics when it is asked for the time again.
type brokenClock struct {
	manualClock
}

func (b *brokenClock) Now() time.Time {
	if b.manualClock.Now(); b.reads > 1 {
		panic("broken clock")
	}
	return time.Now()
}

// R31: while a run is being stopped, threads of shielded code may submit and post, and what they start is shielded too; others may not.
func TestSubmitAndPostOfShieldedThreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		stopping := make(chan bool)
		var log recorder
		begun := time.Now()
		var mu sync.Mutex
		at := func(what string, err error) {
			mu.Lock()
			defer mu.Unlock()
			log.add("%s after %v: %v", what, time.Since(begun), describe(err))
		}
		work := func(name string, d time.Duration) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) {
				err := co.Sleep(d)
				at(name, err)
				return 7, err
			}).Named(name)
		}
		thread := func(name string) func(context.Context) (int, error) {
			return func(context.Context) (int, error) {
				<-stopping
				posted := l.Post(work("posted by "+name, time.Second))
				at(name+" posts", posted)
				v, err := tinyio.Submit(background, l, work("submitted by "+name, 2*time.Second))
				at(fmt.Sprint(name, " has submitted ", v), err)
				return v, nil
			}
		}
		shields := func(name string, grace time.Duration, fn func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
			return tinyio.Do(func(co *tinyio.Co) error {
				_ = co.Shield(grace, fn)
				return co.Err()
			}).Named(name)
		}
		calls := shields("calls", time.Minute, func(co *tinyio.Co) error { _, err := tinyio.Call(co, thread("call")); return err })
		awaits := shields("awaits", time.Minute, func(co *tinyio.Co) error { return wait(co, tinyio.RunInThread(thread("thread"))) })
		late := shields("late", 1500*time.Millisecond, func(co *tinyio.Co) error { _, err := tinyio.Call(co, thread("late")); return err })
		bare := tinyio.RunInThread(thread("bare"))
		root := tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Spawn(calls, awaits, late, bare); err != nil {
				return err
			}
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
			co.Go(func(co *tinyio.Co) error { _ = co.Sleep(time.Hour); close(stopping); return nil }) // is stopped first
			return errors.Join(co.Yield(), errBoom)
		})
		if _, err := tinyio.RunOn(background, l, root); !errors.Is(err, errBoom) {
			t.Errorf("Run returns %v", err)
		}
		slices.Sort(log.lines)
		log.want(t,
			"bare has submitted 0 after 1s: cancelled",
			"bare posts after 1s: cancelled",
			"call has submitted 7 after 3s: ok",
			"call posts after 1s: ok",
			"late has submitted 0 after 2.5s: cancelled",
			"late posts after 1s: ok",
			"posted by call after 2s: ok",
			"posted by late after 2s: ok",
			"posted by thread after 2s: ok",
			"submitted by call after 3s: ok",
			"submitted by late after 2.5s: cancelled",
			"submitted by thread after 3s: ok",
			"thread has submitted 7 after 3s: ok",
			"thread posts after 1s: ok",
		)
	})
}

// R5, R31: what the last coroutine posts as its last act keeps the run going.
func TestPostAsTheLastAct(t *testing.T) {
	noLeaks(t)
	l, posted := tinyio.NewLoop(tinyio.WithVirtualTime()), value(time.Hour, 7)
	if _, err := tinyio.RunOn(background, l, tinyio.Do(func(*tinyio.Co) error { return l.Post(posted) })); err != nil {
		t.Fatal(err)
	}
	if !posted.Finished() || posted.Value() != 7 {
		t.Error("what was posted has not run")
	}
}

// R3, R6, R31: of what was posted to a loop that has not begun, what has meanwhile finished on another loop is passed over. What another loop
// has begun is a failure of the run, since Post has returned.
func TestPostOfWhatAnotherLoopHasTaken(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		finished, taken := value(0, 1), value(time.Hour, 2).Named("taken")
		for _, c := range []*tinyio.Coro[int]{finished, taken} {
			l := tinyio.NewLoop(tinyio.WithVirtualTime())
			if err := l.Post(c); err != nil {
				return err
			}
			if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
				return err
			}
			_, err := tinyio.RunOn(co, l, sleeper(time.Minute))
			if foreign := err != nil && strings.Contains(err.Error(), "taken") && strings.Contains(err.Error(), "another loop"); foreign != (c == taken) ||
				err != nil && !foreign {
				t.Errorf("the run returns %v", err)
			}
		}
		return nil
	})
}

// R27, R31: a daemon that is posted is no daemon any more, as if the first coroutine had spawned it.
func TestPostOfADaemon(t *testing.T) {
	noLeaks(t)
	l, daemon := tinyio.NewLoop(tinyio.WithVirtualTime()), value(time.Hour, 7)
	if _, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		return errors.Join(co.SpawnDaemon(daemon), l.Post(daemon), co.Yield())
	})); err != nil {
		t.Fatal(err)
	}
	if daemon.Value() != 7 {
		t.Error("the run has not waited for it")
	}
}

// R3, R31: if a coroutine was submitted to a loop that has not begun, and finishes on another loop, Submit returns its value.
func TestSubmitOfWhatHasFinishedElsewhereMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l, c := tinyio.NewLoop(), value(time.Second, 7)
		s := submit(background, l, c)
		if _, err := tinyio.Run(background, c); err != nil {
			t.Fatal(err)
		}
		if _, err := tinyio.RunOn(background, l, sleeper(time.Second)); err != nil {
			t.Fatal(err)
		}
		if v, err := s.result(t); v != 7 || err != nil {
			t.Errorf("Submit returns %d, %v", v, err)
		}
	})
}

// R25, R31: Submit of a coroutine that somebody else cancels returns the *CancelledError, and nothing crashes.
func TestSubmitOfOneThatIsCancelled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, c := serve(), value(time.Hour, 7)
		first := submit(background, s.Loop, c)
		if _, err := tinyio.Submit(background, s.Loop, tinyio.Do(func(co *tinyio.Co) error { return c.Cancel(co, errBoom) })); err != nil {
			t.Errorf("the Cancel returns %v", err)
		}
		_, err := first.result(t)
		wantCancelled(t, err, errBoom)
		if v, err := tinyio.Submit(background, s.Loop, value(time.Second, 8)); v != 8 || err != nil {
			t.Errorf("the loop then gives %d, %v", v, err)
		}
		s.end(nil)
	})
}

// R31: what a shielded thread posts or submits is protected from the stop of the run, and is not affected by a stop of the thread's coroutine
// alone.
func TestWorkOfAShieldedThreadIsTheRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, submits := range []bool{false, true} {
			for how, stop := range map[string]func(co *tinyio.Co, c *tinyio.Coro[tinyio.Void]) error{
				"Timeout": func(co *tinyio.Co, c *tinyio.Coro[tinyio.Void]) error {
					_, err := tinyio.Timeout(co, c, time.Second)
					return err
				},
				"Isolate": func(co *tinyio.Co, c *tinyio.Coro[tinyio.Void]) error {
					_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
						return errors.Join(co.Spawn(c), co.Sleep(time.Second), errBoom)
					}))
					return err
				},
			} {
				l := tinyio.NewLoop()
				var ended error = errBoom
				job := tinyio.Do(func(co *tinyio.Co) error { ended = co.Sleep(time.Second); return ended })
				var given error
				_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
					cleansUp := tinyio.Do(func(co *tinyio.Co) error {
						err := co.Sleep(time.Hour)
						_ = co.Shield(time.Minute, func(co *tinyio.Co) error {
							return co.Call(func(context.Context) error {
								if given = l.Post(job); submits {
									_, given = tinyio.Submit(background, l, job)
								}
								return nil
							})
						})
						return err
					})
					if err := stop(co, cleansUp); err == nil {
						t.Errorf("%s: it is not stopped", how)
					}
					return nil
				}))
				if err != nil || given != nil || ended != nil {
					t.Errorf("%s, submits %v: Run returns %v; the thread gets %v, the job has ended with %v", how, submits, err, given, ended)
				}
			}
		}
	})
}

// R31: when the grace of its Shield has passed, a thread is refused, by Post as by Submit.
func TestPostAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		var posted, submitted error
		_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Spawn(failer(0, errBoom)); err != nil {
				return err
			}
			err := co.Sleep(time.Hour)
			_ = co.Shield(time.Second, func(co *tinyio.Co) error {
				return co.Call(func(ctx context.Context) error {
					<-ctx.Done()
					posted = l.Post(value(0, 1))
					_, submitted = tinyio.Submit(background, l, value(0, 1))
					return nil
				})
			})
			return err
		}))
		if !errors.Is(err, errBoom) || !errors.Is(posted, tinyio.ErrCancelled) || !errors.Is(submitted, tinyio.ErrCancelled) {
			t.Errorf("Run returns %v, Post %v, Submit %v", err, posted, submitted)
		}
	})
}

// R31: what a coroutine in an Isolate posts belongs to the run, even if it then awaits that.
func TestPostedThenAwaitedBelongsToTheRun(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	var ended error = errBoom
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			job := tinyio.Do(func(co *tinyio.Co) error { ended = co.Sleep(time.Minute); return ended })
			if err := co.Spawn(failer(time.Second, errBoom)); err != nil {
				return err
			}
			if err := l.Post(job); err != nil {
				return err
			}
			return wait(co, job)
		}))
		wantError(t, "Isolate", err, errBoom)
		return nil
	}))
	if err != nil || ended != nil {
		t.Errorf("Run returns %v; the job has ended with %v", err, ended)
	}
}

// Clean-up errors of coroutines whose Submit has returned do not pile up: the run keeps a hundred, and counts the others.
func TestErrorsOfCallersThatHaveGoneAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve()
		for range 250 {
			ctx, cancel := context.WithTimeout(background, time.Second)
			_, _ = tinyio.Submit(ctx, s.Loop, tinyio.Do(func(co *tinyio.Co) error { return errors.Join(co.Sleep(time.Hour), errors.New("torn")) }))
			cancel()
			synctest.Wait()
		}
		err := s.end(errBoom)
		var group *tinyio.ErrorGroup
		if !errors.As(err, &group) || len(group.Errs) != 102 || !strings.Contains(group.Errs[101].Error(), "150 more") {
			t.Errorf("Serve returns %.300v", err)
		}
	})
}

// R31: what has been posted during a turn, by however many goroutines, is taken in at the end of the turn, all at once.
func TestAllThatIsPostedIsTakenInAtOnce(t *testing.T) {
	noLeaks(t)
	const posts = 1000
	l := tinyio.NewLoop()
	begun := 0
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		var posted sync.WaitGroup
		for range 2 {
			posted.Go(func() {
				for range posts / 2 {
					if err := l.Post(tinyio.Do(func(*tinyio.Co) error { begun++; return nil })); err != nil {
						t.Error(err)
					}
				}
			})
		}
		posted.Wait()
		turns := l.Stats().Turns
		if err := co.Yield(); err != nil {
			return err
		}
		if turns = l.Stats().Turns - turns; begun != posts || turns != posts+1 {
			t.Errorf("%d of %d have begun by the next turn, in %d turns", begun, posts, turns)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// brokenContext is a context that panics when it is asked for its deadline.
type brokenContext struct{ context.Context }

func (brokenContext) Deadline() (time.Time, bool) { panic("broken") }

// A panic of the context of a submission is one of its caller, and the loop goes on.
func TestSubmitWithBrokenContext(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	ctx, cancel := context.WithCancel(background)
	served := make(chan error)
	go func() { served <- l.Serve(ctx) }()
	func() {
		defer func() {
			if r := recover(); r != "broken" {
				t.Errorf("Submit panics with %v", r)
			}
		}()
		_, err := tinyio.Submit(brokenContext{ctx}, l, tinyio.Do(func(*tinyio.Co) error { return nil }))
		t.Errorf("Submit returns %v", err)
	}()
	if v, err := tinyio.Submit(ctx, l, tinyio.New(func(*tinyio.Co) (int, error) { return 1, nil })); v != 1 || err != nil {
		t.Errorf("the next Submit returns %d, %v", v, err)
	}
	cancel()
	<-served
}
