package tinyio_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// runUntil takes so many steps of a run of c on l, and then discards it.
func runUntil(l *tinyio.Loop, c *tinyio.Coro[tinyio.Void], steps int) *tinyio.Runtime[tinyio.Void] {
	r := tinyio.Start(background, l, c)
	for range r.Steps() {
		if steps--; steps == 0 {
			r.Discard()
		}
	}
	return r
}

// A discarded coroutine is unwound where it waits. Its deferred functions run, up to the first call that waits or starts something.
func TestDiscardLetsNobodyAct(t *testing.T) {
	noLeaks(t)
	var log []string
	var e tinyio.Event
	q := tinyio.NewQueue[int](0)
	never := func() { log = append(log, "acted") }
	wait := func(name string, wait func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			defer func() {
				log = append(log, name)
				e.Set()
				q.TryPut(1)
				_ = co.Shield(time.Hour, func(co *tinyio.Co) error { never(); return co.Sleep(time.Second) })
				never()
			}()
			defer func() {
				co.Go(func(*tinyio.Co) error { never(); return nil })
				never()
			}()
			err := wait(co)
			never()
			return err
		}).Named(name)
	}
	sleeps := wait("sleeps", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
	waits := wait("waits", func(co *tinyio.Co) error { return e.Wait(co) })
	gets := wait("gets", func(co *tinyio.Co) error { _, err := q.Get(co); return err })
	shields := wait("shields", func(co *tinyio.Co) error {
		return co.Shield(time.Hour, func(co *tinyio.Co) error { defer never(); return co.Wait(sleeps) })
	})
	isolates := wait("isolates", func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, shields); return err })
	calls := wait("calls", func(co *tinyio.Co) error {
		_, err := tinyio.FromCallback(func(func(int, error)) func(error) { return func(error) { never() } }).Await(co)
		return err
	})
	races := wait("races", func(co *tinyio.Co) error {
		_, err := tinyio.First(co, wait("limits", func(co *tinyio.Co) error { _, err := tinyio.Timeout(co, waits, time.Hour); return err }))
		return err
	})
	root := wait("root", func(co *tinyio.Co) error {
		return errors.Join(co.Spawn(gets), co.SpawnDaemon(calls), co.Wait(isolates, races))
	})
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	r := tinyio.Start(background, l, root)
	for p := range r.Steps() {
		if p.Blocked {
			r.Discard()
		}
	}
	if _, err := r.Result(); !errors.Is(err, tinyio.ErrAbandoned) {
		t.Errorf("the result is %v", err)
	}
	want := "waits limits races sleeps acted shields isolates calls gets root" // "acted" is the deferred call in the Shield
	if got := strings.Join(log, " "); got != want {
		t.Errorf("unwound were %s, want %s", got, want)
	}
	if root.Finished() || sleeps.Finished() {
		t.Error("a coroutine has finished that was discarded")
	}
	if _, err := tinyio.RunOn(background, l, value(0, 1)); err != nil {
		t.Errorf("the loop cannot be run again: %v", err)
	}
	if _, err := tinyio.RunOn(background, l, sleeps); err == nil {
		t.Error("a coroutine that was discarded could be run again")
	}
	r.Discard() // does nothing
}

// A run can be discarded before its first step, while it cleans up after a crash, and at every other step.
func TestDiscardAtEveryStep(t *testing.T) {
	noLeaks(t)
	program := func(cleanedUp *int) *tinyio.Coro[tinyio.Void] {
		cleanUp := func(co *tinyio.Co) {
			_ = co.Shield(time.Minute, func(co *tinyio.Co) error {
				if err := co.Wait(value(time.Second, 1)); err != nil {
					return err
				}
				*cleanedUp++
				return nil
			})
		}
		child := func(d time.Duration) *tinyio.Coro[tinyio.Void] {
			return tinyio.Do(func(co *tinyio.Co) error {
				defer cleanUp(co)
				return co.Sleep(d)
			})
		}
		return tinyio.Do(func(co *tinyio.Co) error {
			defer cleanUp(co)
			if err := co.Spawn(child(time.Hour), child(time.Minute)); err != nil {
				return err
			}
			_, _ = tinyio.Timeout(co, child(time.Hour), time.Second)
			_, _ = tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				return errors.Join(co.Spawn(child(time.Hour)), co.Yield(), errBoom)
			}))
			return errBoom
		})
	}
	for steps := 0; ; steps++ {
		n := 0
		c := program(&n)
		l := tinyio.NewLoop(tinyio.WithVirtualTime())
		if steps == 0 {
			r := tinyio.Start(background, l, c)
			r.Discard()
			for range r.Steps() {
				t.Error("there is a step after Discard")
			}
			if _, err := r.Result(); !errors.Is(err, tinyio.ErrAbandoned) {
				t.Fatal(err)
			}
			continue
		}
		_, err := runUntil(l, c, steps).Result()
		if errors.Is(err, errBoom) && n == 5 {
			if steps < 20 {
				t.Errorf("the program has %d steps only", steps)
			}
			return
		}
		if !errors.Is(err, tinyio.ErrAbandoned) || n >= 5 {
			t.Fatalf("after %d steps: %v, and %d have cleaned up", steps, err, n)
		}
		if _, err := tinyio.RunOn(background, l, value(time.Second, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// What comes back from outside after a Discard is dropped, and Submit returns the error to its caller.
func TestDiscardDropsWhatComesBack(t *testing.T) {
	noLeaks(t)
	var threads []*hook.Thread
	l := tinyio.NewLoop(tinyio.WithVirtualTime(), tinyio.WithThreads(func(th *hook.Thread) { threads = append(threads, th) }))
	var done func(int, error)
	cause := make(chan error, 1)
	thread := tinyio.RunInThread(func(ctx context.Context) (int, error) { cause <- context.Cause(ctx); return 1, nil })
	root := tinyio.Do(func(co *tinyio.Co) error {
		called := tinyio.FromCallback(func(d func(int, error)) func(error) { done = d; return nil })
		calls := tinyio.Do(func(co *tinyio.Co) error { return co.Call(func(context.Context) error { return nil }) })
		return co.Wait(thread, called, calls)
	})
	r := tinyio.Start(background, l, root)
	submitted := make(chan error, 1)
	go func() {
		_, err := tinyio.Submit(background, l, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
		submitted <- err
	}()
	for p := range r.Steps() {
		if p.Blocked && len(threads) == 2 && l.Stats().Live == 6 {
			r.Discard()
		}
	}
	if err := <-submitted; !errors.Is(err, tinyio.ErrAbandoned) {
		t.Errorf("Submit returned %v", err)
	}
	var wg sync.WaitGroup
	for _, th := range threads {
		wg.Go(func() { th.Run(); th.Return() })
	}
	wg.Go(func() { done(1, nil) })
	wg.Wait()
	var stop *tinyio.CancelledError
	if err := <-cause; !errors.Is(err, tinyio.ErrAbandoned) || errors.As(err, &stop) {
		t.Errorf("the context of the thread ended because of %v", err)
	}
	if thread.Finished() {
		t.Error("the thread has finished")
	}
}

// R14: a panic in a deferred function comes out of Discard when everything is unwound. A Goexit there changes nothing, since one is already
// under way.
func TestDiscardWithAPanic(t *testing.T) {
	noLeaks(t)
	unwound := 0
	one := func(end func()) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			defer func() { unwound++; end() }()
			return co.Sleep(time.Hour)
		})
	}
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(one(func() {}), one(func() { panic(errBoom) }), one(runtime.Goexit))
	}))
	p := panicErrorOf(t, func() {
		for p := range r.Steps() {
			if p.Blocked {
				r.Discard()
			}
		}
	})
	if p.Value != errBoom || unwound != 3 {
		t.Errorf("it panics with %v, and %d were unwound", p.Value, unwound)
	}
}

// A step cannot discard its own run.
func TestDiscardInAStep(t *testing.T) {
	noLeaks(t)
	var r *tinyio.Runtime[tinyio.Void]
	var said string
	r = tinyio.Start(background, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error {
		said, _ = panicOf(r.Discard).(string)
		return nil
	}))
	for range r.Steps() {
	}
	if _, err := r.Result(); err != nil || !strings.Contains(said, "between two") {
		t.Errorf("%v; it panics with %q", err, said)
	}
}

// An observer is not called any more when a run has been discarded.
func TestDiscardIsNotTold(t *testing.T) {
	noLeaks(t)
	discarded := false
	l := tinyio.NewLoop(tinyio.WithVirtualTime(), tinyio.WithObserver(observerFunc(func(n hook.Note) {
		if discarded {
			t.Errorf("the observer sees that %s %s", n.Name(), n.What)
		}
	})))
	var lock tinyio.Lock
	r := tinyio.Start(background, l, tinyio.Do(func(co *tinyio.Co) error {
		lock.TryAcquire()
		defer lock.Release()
		return co.Wait(sleeper(time.Hour), tinyio.Do(lock.Acquire))
	}))
	for p := range r.Steps() {
		if discarded = p.Blocked; discarded {
			r.Discard()
		}
	}
	if _, err := r.Result(); !errors.Is(err, tinyio.ErrAbandoned) || !discarded {
		t.Errorf("the result is %v", err)
	}
}

// What has been sent to a loop, and not taken in yet when its run is discarded, gets the error too.
func TestDiscardTellsWhoIsOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		submitted, looked := make(chan error, 1), make(chan error, 1)
		r := tinyio.Start(background, l, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
		for range r.Steps() {
			go func() { _, err := tinyio.Submit(background, l, value(0, 1)); submitted <- err }()
			go func() { _, err := l.Snapshot(background); looked <- err }()
			synctest.Wait()
			r.Discard()
		}
		if err := <-submitted; err != tinyio.ErrAbandoned {
			t.Errorf("Submit returns %v", err)
		}
		if err := <-looked; err != tinyio.ErrNotRunning {
			t.Errorf("Snapshot returns %v", err)
		}
		c := value(time.Hour, 1)
		r2 := tinyio.Start(background, l, c)
		r2.Discard()
		if _, err := tinyio.RunOn(background, l, c); err == nil || !strings.Contains(err.Error(), "its run was discarded") {
			t.Errorf("it is run again: %v", err)
		}
	})
}
