package tinyiotest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotest"
)

// What package tinyio has for coroutines to meet by, explored: for each, every pair of operations, by four coroutines, with
// faults.

// An operation is what a coroutine does with what is explored.
type operation struct {
	name string
	do   func(co *tinyio.Co) error
}

// explorePairs explores each pair of the n operations that setUp returns, which it makes anew for each run. When they have been
// started, finish is called, if it is not nil.
func explorePairs(t *testing.T, n int, setUp func(co *tinyio.Co) (operations []operation, finish func(co *tinyio.Co) error)) {
	for i := range n {
		for j := i; j < n; j++ {
			t.Run(fmt.Sprint(i, "and", j), func(t *testing.T) {
				noLeaks(t)
				tinyiotest.Explore(t, func(co *tinyio.Co) error {
					operations, finish := setUp(co)
					if len(operations) != n {
						t.Fatalf("there are %d operations, not %d", len(operations), n)
					}
					return together(co, finish, operations[i], operations[j], operations[i], operations[j])
				}, tinyiotest.Faults(), tinyiotest.MaxSchedules(schedulesOfPair()))
			})
		}
	}
}

// schedulesOfPair is so many that all pairs together take seconds.
func schedulesOfPair() int {
	if testing.Short() || raced {
		return 50
	}
	return 400
}

func together(co *tinyio.Co, finish func(co *tinyio.Co) error, operations ...operation) error {
	var cs []tinyio.Awaitable
	for _, o := range operations {
		cs = append(cs, named(o.name, o.do))
	}
	if err := co.Spawn(cs...); err != nil {
		return err
	}
	if finish != nil {
		if err := finish(co); err != nil {
			return err
		}
	}
	return co.Wait(cs...)
}

// atEnd checks in a run of its own that what was explored still works.
func atEnd(co *tinyio.Co, check func(co *tinyio.Co) error) {
	tinyiotest.AtEnd(co, func() error {
		_, err := tinyio.Run(context.Background(), tinyio.Do(check), tinyio.WithVirtualTime())
		return err
	})
}

// forASecond does do for a second at most; that it has taken longer is fine.
func forASecond(co *tinyio.Co, do func(co *tinyio.Co) error) error {
	_, err := tinyio.Timeout(co, tinyio.Do(do).Named("impatient"), time.Second)
	if errors.Is(err, tinyio.ErrTimeout) {
		return nil
	}
	return err
}

// TestExploreEvent has nobody wait for ever who waits for an event that is set in the end: R1, R22.
func TestExploreEvent(t *testing.T) {
	explorePairs(t, 5, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		var e tinyio.Event
		over := false
		pulse := func(co *tinyio.Co) error {
			e.Set()
			if !over {
				e.Clear()
			}
			return co.Yield()
		}
		waitFor := func(co *tinyio.Co) error {
			begun := co.Now()
			set, err := e.WaitFor(co, time.Second)
			if err == nil && !set && co.Now().Sub(begun) < time.Second {
				return errBroken
			}
			return err
		}
		operations := []operation{
			{"set", func(co *tinyio.Co) error { e.Set(); return co.Yield() }},
			{"pulse", pulse},
			{"wait", e.Wait},
			{"wait for", waitFor},
			{"impatient", func(co *tinyio.Co) error { return forASecond(co, e.Wait) }},
		}
		return operations, func(co *tinyio.Co) error {
			err := co.Sleep(time.Second)
			over = true
			e.Set()
			return err
		}
	})
}

// TestExplorePermits has no permit be lost, or be held by more than there are: W1, W2, W3. A lock is a semaphore with one.
func TestExplorePermits(t *testing.T) {
	for _, permits := range []int{1, 2} {
		t.Run(fmt.Sprint(permits), func(t *testing.T) {
			explorePairs(t, 4, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
				s := oneOf[permitted](permits == 1, new(tinyio.Lock), tinyio.NewSemaphore(permits))
				held := 0
				hold := func(pause func(co *tinyio.Co) error) func(co *tinyio.Co) error {
					return func(co *tinyio.Co) error {
						if err := s.Acquire(co); err != nil {
							return err
						}
						defer s.Release()
						if held++; held > permits {
							return errBroken
						}
						defer func() { held-- }()
						return pause(co)
					}
				}
				tinyiotest.AtEnd(co, func() error {
					for range permits {
						if !s.TryAcquire() {
							return errors.New("a permit is lost")
						}
					}
					return nil
				})
				forATurn := hold((*tinyio.Co).Yield)
				forLong := hold(func(co *tinyio.Co) error { return co.Sleep(time.Second) })
				return []operation{
					{"a turn", forATurn},
					{"a second", forLong},
					{"impatient", func(co *tinyio.Co) error { return forASecond(co, forLong) }},
					{"try", func(co *tinyio.Co) error {
						if !s.TryAcquire() {
							return nil
						}
						defer s.Release()
						return co.Yield()
					}},
				}, nil
			})
		})
	}
}

// A permitted is a lock or a semaphore.
type permitted interface {
	semaphore
	TryAcquire() bool
}

// TestExploreTimeout has whoever waits for a shared coroutine get its value, unless it is they who time out: R18, W4, W5, W6.
func TestExploreTimeout(t *testing.T) {
	explorePairs(t, 5, func(*tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		base := tinyio.New(func(co *tinyio.Co) (int, error) { return 1, co.Sleep(time.Second) }).Named("base")
		shared := tinyio.New(func(co *tinyio.Co) (int, error) {
			v, err := base.Await(co)
			if err != nil {
				err = errors.Join(err, co.Shield(time.Second, (*tinyio.Co).Yield))
			}
			return 2 * v, err
		}).Named("shared")
		timeout := func(d time.Duration) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error {
				v, err := tinyio.Timeout(co, shared, d)
				switch {
				case errors.Is(err, tinyio.ErrTimeout):
					return nil
				case err == nil && v != 2:
					return errBroken
				}
				return err
			}
		}
		await := func(c *tinyio.Coro[int], want int) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error {
				v, err := c.Await(co)
				if err == nil && v != want {
					return errBroken
				}
				if errors.Is(err, tinyio.ErrTimeout) && co.Err() == nil {
					return nil // somebody has halted it before, when nobody else wanted it
				}
				return err
			}
		}
		return []operation{
			{"in time", timeout(time.Second)},
			{"too late", timeout(time.Second / 2)},
			{"await shared", await(shared, 2)},
			{"await base", await(base, 1)},
			{"spawn", func(co *tinyio.Co) error { return co.Spawn(shared) }},
		}, nil
	})
}

// TestExploreIsolate has a failure inside come out as a value, and nothing else happen to those outside: R19.
func TestExploreIsolate(t *testing.T) {
	explorePairs(t, 4, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		shared := tinyio.New(func(co *tinyio.Co) (int, error) { return 1, co.Sleep(time.Second) }).Named("shared")
		_ = co.Spawn(shared) // outside; should that be refused, so will be all that follows
		isolate := func(want error, inside func(co *tinyio.Co) error) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error {
				_, err := tinyio.Isolate(co, named("inside", inside))
				if co.Err() == nil && !errors.Is(err, want) {
					return fmt.Errorf("an isolated one ended with %w, and %w was wanted", err, want)
				}
				return co.Err()
			}
		}
		fails := func(co *tinyio.Co) error {
			if err := co.Yield(); err != nil {
				return err
			}
			return errBroken
		}
		return []operation{
			{"outside", func(co *tinyio.Co) error { return co.Wait(shared) }},
			{"fails", isolate(errBroken, func(co *tinyio.Co) error {
				if err := co.Spawn(named("spawned", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })); err != nil {
					return err
				}
				return fails(co)
			})},
			{"waits", isolate(nil, func(co *tinyio.Co) error { return spawnAndAwait(co, shared) })},
			{"fails beside", isolate(errBroken, func(co *tinyio.Co) error {
				return co.Wait(named("fails", fails), named("waits", func(co *tinyio.Co) error { return co.Wait(shared) }))
			})},
		}, nil
	})
}

func spawnAndAwait(co *tinyio.Co, c *tinyio.Coro[int]) error {
	if err := co.Yield(); err != nil {
		return err
	}
	_, err := c.Await(co)
	return err
}

// TestExploreAsCompleted has everybody see each result once, whoever else ranges over them, or has left.
func TestExploreAsCompleted(t *testing.T) {
	explorePairs(t, 4, func(*tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		var cs []*tinyio.Coro[int]
		for i := range 3 {
			cs = append(cs, tinyio.New(func(co *tinyio.Co) (int, error) {
				return 1 << i, co.Sleep(time.Second)
			}).Named(fmt.Sprint("c", i)))
		}
		all := func(co *tinyio.Co) error {
			seen := 0
			for v, err := range tinyio.AsCompleted(co, cs...) {
				if err != nil {
					return err
				}
				seen += v
			}
			if seen != 7 {
				return errBroken
			}
			return nil
		}
		return []operation{
			{"all", all},
			{"first", func(co *tinyio.Co) error {
				for _, err := range tinyio.AsCompleted(co, cs...) {
					return err
				}
				return nil
			}},
			{"await", func(co *tinyio.Co) error { return co.Wait(cs[1]) }},
			{"impatient", func(co *tinyio.Co) error { return forASecond(co, all) }},
		}, nil
	})
}

// TestExploreShield has what is shielded happen, whatever befalls its coroutine: R13.
func TestExploreShield(t *testing.T) {
	explorePairs(t, 4, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		opened, closed, tooLate := 0, 0, 0
		tinyiotest.AtEnd(co, func() error {
			if opened != closed+tooLate {
				return fmt.Errorf("%d have been opened, %d closed, and %d were too late for that", opened, closed, tooLate)
			}
			return nil
		})
		var line tinyio.Lock
		graceOver := co.Now().Add(time.Hour)
		shutdown := func(co *tinyio.Co) error {
			return co.Shield(time.Hour, func(co *tinyio.Co) error {
				err := line.Acquire(co)
				if err == nil {
					defer line.Release()
					err = co.Sleep(time.Millisecond)
				}
				if err == nil {
					closed++
				} else if !co.Now().Before(graceOver) { // the clock has jumped
					tooLate++
				}
				return err
			})
		}
		connect := func(co *tinyio.Co, use func(co *tinyio.Co) error) (err error) {
			opened++
			defer func() { err = errors.Join(err, shutdown(co)) }()
			return use(co)
		}
		forLong := func(co *tinyio.Co) error { return co.Sleep(time.Minute) }
		return []operation{
			{"a turn", func(co *tinyio.Co) error { return connect(co, (*tinyio.Co).Yield) }},
			{"impatient", func(co *tinyio.Co) error {
				return forASecond(co, func(co *tinyio.Co) error { return connect(co, forLong) })
			}},
			{"isolated", func(co *tinyio.Co) error {
				tinyio.Isolate(co, named("inside", func(co *tinyio.Co) error {
					holder := named("holder", func(co *tinyio.Co) error { return connect(co, forLong) })
					if err := co.Spawn(holder); err != nil {
						return err
					}
					return errBroken
				}))
				return co.Err()
			}},
			{"child", func(co *tinyio.Co) error {
				return connect(co, func(co *tinyio.Co) error {
					return co.Wait(named("child", func(co *tinyio.Co) error { return connect(co, (*tinyio.Co).Yield) }))
				})
			}},
		}, nil
	})
}

// TestExploreThreadPool has no more threads run at once than the pool allows, and no place be lost: W7, W9.
func TestExploreThreadPool(t *testing.T) {
	explorePairs(t, 5, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		pool := tinyio.NewThreadPool(2)
		atEnd(co, func(co *tinyio.Co) error {
			for range 2 {
				if err := pool.Acquire(co); err != nil {
					return err
				}
			}
			return nil
		})
		places := make(chan struct{}, 2)
		sleep := func(d time.Duration) func(ctx context.Context) (int, error) {
			return func(ctx context.Context) (int, error) {
				select {
				case places <- struct{}{}:
				default:
					return 0, errBroken
				}
				defer func() { <-places }()
				select {
				case <-time.After(d):
					return 1, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
		}
		run := func(d time.Duration) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error { return co.Wait(tinyio.RunInPool(pool, sleep(d)).Named("pooled")) }
		}
		return []operation{
			{"quick", run(0)},
			{"slow", run(2 * time.Second)},
			{"impatient", func(co *tinyio.Co) error { return forASecond(co, run(time.Second)) }},
			{"place", func(co *tinyio.Co) error {
				if err := pool.Acquire(co); err != nil {
					return err
				}
				defer pool.Release()
				return co.Wait(tinyio.RunInThread(sleep(time.Second)).Named("thread"))
			}},
			{"map", func(co *tinyio.Co) error {
				many := tinyio.MapInPool(pool, []int{1, 2, 3}, func(ctx context.Context, x int) (int, error) { return sleep(0)(ctx) })
				return co.Wait(many)
			}},
		}, nil
	})
}

// errUnwanted is what coroutines of these tests are cancelled for.
var errUnwanted = errors.New("no longer wanted")

// TestExploreCancel has Cancel return when what it has stopped has stopped, and everybody else get the same result: R25.
func TestExploreCancel(t *testing.T) {
	explorePairs(t, 5, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		running := 0
		base := tinyio.New(func(co *tinyio.Co) (int, error) { return 1, co.Sleep(time.Second) }).Named("base")
		shared := tinyio.New(func(co *tinyio.Co) (int, error) {
			running++
			defer func() { running-- }()
			v, err := base.Await(co)
			if err != nil {
				err = errors.Join(err, co.Shield(time.Second, (*tinyio.Co).Yield))
			}
			return 2 * v, err
		}).Named("shared")
		cancel := func(co *tinyio.Co) error {
			err := shared.Cancel(co, errUnwanted)
			if co.Err() == nil && (err != nil || running != 0 || !shared.Finished()) {
				return errBroken
			}
			return err
		}
		mind := func(c *tinyio.Coro[int], want int) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error {
				v, err := c.Await(co)
				if err == nil && v != want || co.Err() == nil && err != nil && !errors.Is(err, tinyio.ErrCancelled) {
					return errBroken
				}
				return co.Err()
			}
		}
		return []operation{
			{"cancel", cancel},
			{"await shared", mind(shared, 2)},
			{"await base", mind(base, 1)},
			{"spawn", func(co *tinyio.Co) error { return co.Spawn(shared) }},
			{"impatient", func(co *tinyio.Co) error { return forASecond(co, cancel) }},
		}, nil
	})
}

// TestExploreFirst has First return a value of one that has succeeded, when the others have stopped that nobody else wants: R26.
func TestExploreFirst(t *testing.T) {
	explorePairs(t, 4, func(*tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		shared := tinyio.New(func(co *tinyio.Co) (int, error) { return 3, co.Sleep(time.Second) }).Named("shared")
		race := func(co *tinyio.Co) error {
			running := 0
			own := func(v int) *tinyio.Coro[int] {
				return tinyio.New(func(co *tinyio.Co) (int, error) {
					running++
					defer func() { running-- }()
					err := co.Sleep(time.Second)
					if err != nil {
						err = errors.Join(err, co.Shield(time.Second, (*tinyio.Co).Yield))
					}
					return v, err
				}).Named(fmt.Sprint("own", v))
			}
			fails := tinyio.New(func(co *tinyio.Co) (int, error) { return 0, errUnwanted }).Named("fails")
			v, err := tinyio.First(co, fails, own(1), shared, own(2))
			if running != 0 || err == nil && v == 0 || err != nil && co.Err() == nil {
				return errBroken
			}
			return err
		}
		return []operation{
			{"race", race},
			{"await shared", func(co *tinyio.Co) error {
				v, err := shared.Await(co)
				if err == nil && v != 3 {
					return errBroken
				}
				return err
			}},
			{"impatient", func(co *tinyio.Co) error { return forASecond(co, race) }},
			{"isolated", func(co *tinyio.Co) error {
				_, err := tinyio.Isolate(co, named("inside", func(co *tinyio.Co) error {
					return co.Wait(named("racer", race), named("fails", func(co *tinyio.Co) error {
						if err := co.Yield(); err != nil {
							return err
						}
						return errUnwanted
					}))
				}))
				if co.Err() == nil && !errors.Is(err, errUnwanted) {
					return errBroken
				}
				return co.Err()
			}},
		}, nil
	})
}

// TestExploreDaemons has daemons end with what they were started for, and no sooner: R27.
func TestExploreDaemons(t *testing.T) {
	explorePairs(t, 4, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		running, needed := 0, 0
		tinyiotest.AtEnd(co, func() error {
			if running != 0 {
				return errBroken
			}
			return nil
		})
		heartbeat := func() *tinyio.Coro[tinyio.Void] {
			return named("heartbeat", func(co *tinyio.Co) error {
				running++
				defer func() { running-- }()
				for {
					if err := co.Sleep(time.Second); err != nil {
						if needed > 0 && context.Cause(co).Error() == "tinyio: only daemons are left" {
							return errBroken
						}
						return err
					}
				}
			})
		}
		shared := heartbeat()
		work := func(co *tinyio.Co) error {
			needed++
			defer func() { needed-- }()
			return co.Sleep(1500 * time.Millisecond)
		}
		return []operation{
			{"heartbeat", func(co *tinyio.Co) error { return errors.Join(co.SpawnDaemon(heartbeat()), work(co)) }},
			{"shared", func(co *tinyio.Co) error { return errors.Join(co.SpawnDaemon(shared), work(co)) }},
			{"isolated", func(co *tinyio.Co) error {
				_, err := tinyio.Isolate(co, named("inside", func(co *tinyio.Co) error {
					return co.SpawnDaemon(named("beats", func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
				}))
				return err
			}},
			{"starts", func(co *tinyio.Co) error {
				return co.SpawnDaemon(named("starter", func(co *tinyio.Co) error {
					return errors.Join(co.Spawn(heartbeat()), co.Wait(heartbeat()))
				}))
			}},
		}, nil
	})
}

// TestExploreCall has each function that is called return before its caller goes on, with exactly what it returned: R30.
func TestExploreCall(t *testing.T) {
	explorePairs(t, 4, func(*tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		call := func(fn func(ctx context.Context) error) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error {
				begun, ended := false, false
				v, err := tinyio.Call(co, func(ctx context.Context) (int, error) {
					begun = true
					defer func() { ended = true }()
					return 7, fn(ctx)
				})
				if begun != ended || begun && v != 7 {
					return errBroken
				}
				return err
			}
		}
		untilStopped := call(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		interruptible := func(co *tinyio.Co) error {
			ch := make(chan struct{})
			v, err := tinyio.CallInterruptible(co, func() { close(ch) }, func() (int, error) { <-ch; return 7, nil })
			if err == nil && v != 7 {
				return errBroken
			}
			return errors.Join(err, co.Yield())
		}
		return []operation{
			{"at once", call(func(context.Context) error { return nil })},
			{"impatient", func(co *tinyio.Co) error { return forASecond(co, untilStopped) }},
			{"interrupted", func(co *tinyio.Co) error { return forASecond(co, interruptible) }},
			{"cancelled", func(co *tinyio.Co) error {
				c := named("caller", untilStopped)
				if err := errors.Join(co.Spawn(c), co.Yield()); err != nil {
					return err
				}
				return c.Cancel(co, errUnwanted)
			}},
		}, nil
	})
}
