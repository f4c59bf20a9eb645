package tinyio_test

import (
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// Every ticks at multiples of its interval, whatever the body of the range does. If that takes longer, one tick comes late and the other
// missed ones are dropped.
func TestEveryDropsLateTicks(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		pauses := []time.Duration{0, time.Second / 2, 2500 * time.Millisecond, 0, 0}
		for now, err := range tinyio.Every(co, time.Second) {
			if err != nil {
				return err
			}
			log.add("%v", now.Sub(virtualStart))
			if len(pauses) == 0 {
				break
			}
			pause := pauses[0]
			pauses = pauses[1:]
			if err := co.Sleep(pause); err != nil {
				return err
			}
		}
		return nil
	})
	log.want(t, "1s", "2s", "3s", "5.5s", "6s", "7s")
}

// The range ends when the coroutine is stopped. On another goroutine it panics with a clear sentence.
func TestEveryEnds(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			ticks := 0
			for _, err := range tinyio.Every(co, time.Second) {
				if err != nil {
					return ticks, err
				}
				ticks++
			}
			return ticks, errors.New("the range ends without an error")
		}), 3500*time.Millisecond)
		if !errors.Is(err, tinyio.ErrTimeout) || errors.As(err, new(interface{ Unwrap() []error })) && len(err.(*tinyio.TimeoutError).Cleanup) > 0 {
			t.Errorf("Timeout returns %v", err)
		}
		wantSentence(t, panicOf(func() { tinyio.Every(co, 0) }), "Every", "must be positive")
		return nil
	})
}

// A range that suspends cannot be pulled, since iter.Pull2 runs its body in a goroutine of its own. The first step says so, and the coroutine
// can go on.
func TestIteratorsThatSuspendCannotBePulled(t *testing.T) {
	pull := func(t *testing.T, step func()) { wantSentence(t, panicOf(step), "was used outside its own coroutine") }
	succeed(t, func(co *tinyio.Co) error {
		ticks, stop := iter.Pull2(tinyio.Every(co, time.Second))
		defer stop()
		pull(t, func() { ticks() })
		q := tinyio.NewQueue[int](1)
		q.TryPut(1)
		values, stopValues := iter.Pull2(q.All(co))
		defer stopValues()
		pull(t, func() { values() })
		c := value(time.Second, 7)
		completed, stopCompleted := iter.Pull2(tinyio.AsCompleted(co, c))
		defer stopCompleted()
		pull(t, func() { completed() })
		if v, err := c.Await(co); v != 7 || err != nil {
			t.Errorf("the coroutine gives %v, %v", v, err)
		}
		if v, ok := q.TryGet(); v != 1 || !ok {
			t.Errorf("the queue gives %v, %v", v, ok)
		}
		return nil
	})
}

// Finished reports from any goroutine whether a coroutine has finished.
func TestFinished(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		cs := []*tinyio.Coro[int]{value(time.Second, 1), value(2*time.Second, 2)}
		if cs[0].Finished() {
			t.Error("a fresh one has finished")
		}
		if err := co.Spawn(tinyio.Awaitables(cs)...); err != nil {
			return err
		}
		if err := co.Sleep(1500 * time.Millisecond); err != nil {
			return err
		}
		if !cs[0].Finished() || cs[1].Finished() {
			t.Errorf("after 1.5 s: %v, %v", cs[0].Finished(), cs[1].Finished())
		}
		return co.Wait(tinyio.Awaitables(cs)...)
	})
}
