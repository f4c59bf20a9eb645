package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R6: loops nest, and the inner one blocks the outer one.
func TestLoopsNest(t *testing.T) {
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

// R6: the caller of a nested run may handle its failure. A run nested under the context of a cancelled coroutine fails at once.
func TestNestedRunThatFailsAndIsHandled(t *testing.T) {
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

// R6, R12, R13: a nested run is stopped by the context of the outer one, which stands still meanwhile, even if its own was derived from a Co;
// but not while a Shield protects it.
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

// A badContext is a context whose Err is code of the user's.
type badContext struct {
	context.Context
	err func() error
}

func (c badContext) Err() error { return c.err() }

// R6, R14: a run that cannot begin, because its clock or its context panics, leaves everything as it was: the coroutine is free to run
// elsewhere, and the loop can be run.
func TestRunThatCannotBegin(t *testing.T) {
	for _, before := range []bool{false, true} {
		for _, what := range []string{"clock", "context"} {
			t.Run(fmt.Sprintf("%s, run before: %v", what, before), func(t *testing.T) {
				noLeaks(t)
				clock := &panickingClock{manualClock: newManualClock()}
				l := tinyio.NewLoop(tinyio.WithClock(clock))
				if before {
					if _, err := tinyio.RunOn(background, l, value(0, 1)); err != nil {
						t.Fatal(err)
					}
				}
				ctx := background
				if what == "clock" {
					clock.left = 1
				} else {
					ctx = badContext{background, func() error {
						if err := l.Post(value(0, 1)); err != nil { // there is a run, as yet
							t.Errorf("Post returns %v", err)
						}
						panic("the context")
					}}
				}
				c := value(0, 7)
				if p := panicOf(func() { tinyio.RunOn(ctx, l, c) }); p != "the "+what {
					t.Errorf("the run panics with %v", p)
				}
				if v, err := tinyio.Run(background, c); v != 7 || err != nil {
					t.Errorf("another loop gets %d, %v", v, err)
				}
				if v, err := tinyio.RunOn(background, l, value(time.Second, 8)); v != 8 || err != nil {
					t.Errorf("the loop then gives %d, %v", v, err)
				}
			})
		}
	}
}

// R6: if two loops want the same fresh coroutine at the same moment, one of them gets it and the other gets an error. It runs once.
func TestTwoLoopsWantTheSameCoroutine(t *testing.T) {
	noLeaks(t)
	ways := []func(co *tinyio.Co, c *tinyio.Coro[int]) error{
		wait[int],
		func(co *tinyio.Co, c *tinyio.Coro[int]) error { return co.Spawn(value(0, 1), c) },
		func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			_, err := tinyio.Gather(co, value(0, 1), c)
			return err
		},
		func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Isolate(co, c); return err },
		func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.First(co, c); return err },
	}
	for i := range 20 {
		way := ways[i%len(ways)]
		const n = 50
		var ran [n]atomic.Int32
		var cs [n]*tinyio.Coro[int]
		for i := range cs {
			cs[i] = tinyio.New(func(co *tinyio.Co) (int, error) { ran[i].Add(1); return 7, co.Sleep(time.Second) })
		}
		var both sync.WaitGroup
		refused := [2][n]bool{}
		for l := range 2 {
			both.Go(func() {
				if err := virtually(func(co *tinyio.Co) error {
					for i, c := range cs {
						switch err := way(co, c); {
						case err != nil && strings.Contains(err.Error(), "another loop"):
							refused[l][i] = true
						case err != nil:
							return err
						}
					}
					return nil
				}); err != nil {
					t.Errorf("a run returns %v", err)
				}
			})
		}
		both.Wait()
		for i := range cs {
			if n := ran[i].Load(); n != 1 || refused[0][i] && refused[1][i] {
				t.Errorf("coroutine %d ran %d times; refused: %v, %v", i, n, refused[0][i], refused[1][i])
			}
		}
	}
}
