package tinyio_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R3: a coroutine runs once, and its result stays with it.
func TestCoroutineRunsOnceAndKeepsItsResult(t *testing.T) {
	noLeaks(t)
	runs := 0
	shared := tinyio.New(func(co *tinyio.Co) (*int, error) {
		runs++
		return new(int), co.Sleep(time.Second)
	})
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	user := func() *tinyio.Coro[*int] {
		return tinyio.New(func(co *tinyio.Co) (*int, error) { return shared.Await(co) })
	}
	pair, err := tinyio.RunOn(background, l, tinyio.New(func(co *tinyio.Co) ([]*int, error) {
		return tinyio.Gather(co, user(), user(), shared, user())
	}))
	if err != nil {
		t.Fatal(err)
	}
	later, err := tinyio.RunOn(background, l, user())
	if err != nil {
		t.Fatal(err)
	}
	again, err := tinyio.RunOn(background, l, shared)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(pair, later, again, shared.Value()) {
		if p != pair[0] {
			t.Error("not everybody has the same result")
		}
	}
	if runs != 1 {
		t.Errorf("it ran %d times", runs)
	}
}

// R6: a coroutine belongs to the loop on which it first ran.
func TestCoroutineBelongsToOneLoop(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		finished, unfinished := value(0, 1), value(time.Hour, 2).Named("unfinished")
		if err := co.Spawn(finished, unfinished); err != nil {
			return err
		}
		if err := wait(co, finished); err != nil {
			return err
		}
		inner := func(f func(co *tinyio.Co) (int, error)) (int, error) {
			return tinyio.Run(co, tinyio.New(f), tinyio.WithVirtualTime())
		}
		if v, err := inner(finished.Await); v != 1 || err != nil {
			t.Errorf("of a finished coroutine: %d, %v", v, err)
		}
		uses := map[string]func(co *tinyio.Co) (int, error){
			"Await":   unfinished.Await,
			"Gather":  func(co *tinyio.Co) (int, error) { _, err := tinyio.Gather(co, finished, unfinished); return 0, err },
			"Wait":    func(co *tinyio.Co) (int, error) { return 0, co.Wait(unfinished) },
			"Spawn":   func(co *tinyio.Co) (int, error) { return 0, co.Spawn(unfinished) },
			"Timeout": func(co *tinyio.Co) (int, error) { return tinyio.Timeout(co, unfinished, time.Second) },
			"Isolate": func(co *tinyio.Co) (int, error) { _, err := tinyio.Isolate(co, unfinished); return 0, err },
			"First":   func(co *tinyio.Co) (int, error) { return tinyio.First(co, finished, unfinished) },
			"AsCompleted": func(co *tinyio.Co) (int, error) {
				for _, err := range tinyio.AsCompleted(co, finished, unfinished) {
					return 0, err
				}
				return 0, nil
			},
		}
		for name, use := range uses {
			_, err := inner(use)
			if err == nil || !strings.Contains(err.Error(), "unfinished") || !strings.Contains(err.Error(), "another loop") {
				t.Errorf("%s of an unfinished coroutine: %v", name, err)
			}
		}
		_, err := tinyio.Run(co, unfinished)
		if err == nil || !strings.Contains(err.Error(), "another loop") {
			t.Errorf("Run of an unfinished coroutine: %v", err)
		}
		return nil
	})
}

// R3: a later RunOn returns a result that is there, also after a crash.
func TestResultsInALaterRun(t *testing.T) {
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
		if _, err := tinyio.Isolate(co, failing); !errors.Is(err, errBoom) {
			t.Errorf("Isolate gives %v", err)
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

// A coroutine that Go has started can be named until its first turn, and so can one that it has refused because the caller is being stopped.
func TestNamedAfterGo(t *testing.T) {
	noLeaks(t)
	var late any
	refused := ""
	err := virtually(func(co *tinyio.Co) error {
		c := co.Go(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("sleeper")
		if err := co.Yield(); err != nil {
			return err
		}
		late = panicOf(func() { c.Named("too late") })
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Hour)
				refused, _ = panicOf(func() { co.Go(func(*tinyio.Co) error { return nil }).Named("refused").Value() }).(string)
				return err
			}), time.Second)
			return err
		}))
		if !errors.Is(err, tinyio.ErrTimeout) {
			return err
		}
		return c.Cancel(co, nil)
	})
	wantSentence(t, late, "Named", "sleeper", "started already")
	wantSentence(t, refused, "Value", "refused")
	if err != nil {
		t.Error(err)
	}
}
