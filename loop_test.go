package tinyio_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R6: loops nest, and the inner one blocks the outer one.
func TestLoopsNest(t *testing.T) {
	noLeaks(t)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		other := tinyio.Do(func(co *tinyio.Co) error {
			log.add("outer other")
			return nil
		})
		nester := tinyio.New(func(co *tinyio.Co) (int, error) {
			log.add("outer")
			v, err := tinyio.Run(co, tinyio.New(func(co *tinyio.Co) (int, error) {
				log.add("inner")
				err := co.Sleep(time.Hour)
				return 3, err
			}), tinyio.WithVirtualTime())
			log.add("outer again")
			return v, err
		})
		err := co.Wait(nester, other)
		log.add("%d", nester.Value())
		return err
	})
	log.want(t, "outer", "inner", "outer again", "outer other", "3")
}

// R6: a loop that is running cannot be run again.
func TestRunningLoopCannotBeRunAgain(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	fresh := value(0, 1)
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		if _, err := tinyio.RunOn(co, l, fresh); err == nil || !strings.Contains(err.Error(), "running") {
			t.Errorf("from inside: %v", err)
		}
		elsewhere := make(chan error)
		go func() {
			_, err := tinyio.RunOn(background, l, value(0, 2))
			elsewhere <- err
		}()
		if err := <-elsewhere; err == nil {
			t.Error("from another goroutine: no error")
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := tinyio.RunOn(background, l, fresh); v != 1 || err != nil {
		t.Errorf("afterwards: %d, %v", v, err)
	}
}

// R6: whoever nests a run may handle its failure; a run nested under the context of a cancelled coroutine fails at once.
func TestNestedRunThatFailsAndIsHandled(t *testing.T) {
	noLeaks(t)
	succeed(t, func(co *tinyio.Co) error {
		if err := virtually(func(co *tinyio.Co) error { return errBoom }); !errors.Is(err, errBoom) {
			t.Errorf("the nested run returns %v", err)
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		var nested func(depth int) (int, error)
		nested = func(depth int) (int, error) {
			return tinyio.Run(co, tinyio.New(func(co *tinyio.Co) (int, error) {
				v, err := tinyio.Gather(co, value(time.Second, depth), value(time.Second, 1))
				if err != nil || depth == 0 {
					return 0, err
				}
				more, err := nested(depth - 1)
				return v[0] + more, err
			}), tinyio.WithVirtualTime())
		}
		v, err := nested(10)
		if v != 55 {
			t.Errorf("nested runs give %d", v)
		}
		return err
	})
	err := virtually(func(co *tinyio.Co) error {
		return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
			co.Sleep(time.Hour)
			_, err := tinyio.Run(co, sleeper(time.Hour)) // its context is done already
			if !errors.Is(err, errBoom) {
				t.Errorf("a run under a context that is done returns %v", err)
			}
			return err
		}))
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
}

// R6, R12: a run inside a coroutine ends with the context of the outer run, whose loop stands still meanwhile.
func TestNestedRunEndsWithTheOuterContext(t *testing.T) {
	noLeaks(t)
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(background)
	var inner error
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		_, inner = tinyio.Run(co, tinyio.Do(func(co *tinyio.Co) error {
			cancel(stopped)
			var never tinyio.Event
			return never.Wait(co)
		}))
		return co.Sleep(time.Hour)
	}))
	if !errors.Is(inner, stopped) || !errors.Is(err, stopped) {
		t.Errorf("the inner run returns %v and the outer one %v", inner, err)
	}
}

// R6, R12, R13: a nested run hears of the context of the outer one, which stands still meanwhile, also if its own was derived from a Co; but
// not as long as a Shield protects it.
func TestNestedRunInAShield(t *testing.T) {
	noLeaks(t)
	stopped := errors.New("stopped")
	type key struct{}
	ctx, cancel := context.WithCancelCause(background)
	var shielded, bare error
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		nap := func(co *tinyio.Co) error { return co.Sleep(time.Millisecond) }
		cancel(stopped)
		err := co.Shield(time.Hour, func(co *tinyio.Co) error {
			_, shielded = tinyio.Run(co, tinyio.Do(nap))
			return nil
		})
		var never tinyio.Event
		_, bare = tinyio.Run(context.WithValue(co, key{}, 1), tinyio.Do(never.Wait))
		return err
	}))
	if !errors.Is(err, stopped) && err != nil || shielded != nil || !errors.Is(bare, stopped) {
		t.Errorf("the outer run gives %v, that in the Shield %v, and that beside it %v", err, shielded, bare)
	}
}
