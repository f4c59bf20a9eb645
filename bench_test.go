package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// These are benchmarks of the operations of this package, for go test -bench and benchstat. If a benchmark has a number of coroutines, its
// operation is one of each coroutine. The module in bench measures what other ways to do the same cost.

var errBenchmark = errors.New("failed on purpose")

// inLoop runs fn as the first coroutine of a loop.
func inLoop(b *testing.B, fn func(co *tinyio.Co) error, opts ...tinyio.Option) {
	b.Helper()
	b.ReportAllocs()
	if _, err := tinyio.Run(context.Background(), tinyio.Do(fn), opts...); err != nil {
		b.Fatal(err)
	}
}

// forCounts runs fn as a benchmark for each number of coroutines.
func forCounts(b *testing.B, fn func(b *testing.B, n int), counts ...int) {
	for _, n := range counts {
		b.Run(fmt.Sprintf("coroutines=%d", n), func(b *testing.B) { fn(b, n) })
	}
}

// perCoroutine reports the time for each of the n coroutines that one operation is about.
func perCoroutine(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/coroutine")
}

// answer is a coroutine that returns i.
func answer(i int) *tinyio.Coro[int] {
	return tinyio.New(func(*tinyio.Co) (int, error) { return i, nil })
}

// answers are n coroutines that return a number.
func answers(n int) []*tinyio.Coro[int] {
	all := make([]*tinyio.Coro[int], n)
	for i := range all {
		all[i] = answer(i)
	}
	return all
}

// BenchmarkYield is a turn: with all of the others, an operation is one round of the queue.
func BenchmarkYield(b *testing.B) { yields(b, 100_000) }

// BenchmarkYieldObserved is BenchmarkYield with an observer that does nothing, and BenchmarkYieldPicked with a picker.
func BenchmarkYieldObserved(b *testing.B) { yields(b, 100_000, tinyio.WithObserver(idleTool{})) }

func BenchmarkYieldPicked(b *testing.B) { yields(b, 10_000, tinyio.WithPicker(idleTool{})) }

// BenchmarkYieldLabelled is BenchmarkYield with names as profiler labels.
func BenchmarkYieldLabelled(b *testing.B) { yields(b, 100_000, tinyio.WithLabels()) }

// BenchmarkAwaitFreshLabelled is BenchmarkAwaitFresh with names as profiler labels.
func BenchmarkAwaitFreshLabelled(b *testing.B) { awaitsFresh(b, tinyio.WithLabels()) }

// BenchmarkSnapshot is a Snapshot of a loop whose coroutines wait.
func BenchmarkSnapshot(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		loop := tinyio.NewLoop()
		_, err := tinyio.RunOn(context.Background(), loop, tinyio.Do(func(co *tinyio.Co) error {
			var over tinyio.Event
			defer over.Set()
			others := make([]tinyio.Awaitable, n-1)
			for i := range others {
				others[i] = tinyio.Do(over.Wait)
			}
			if err := co.Spawn(others...); err != nil {
				return err
			}
			return co.Call(func(ctx context.Context) error {
				for b.Loop() {
					if _, err := loop.Snapshot(ctx); err != nil {
						return err
					}
				}
				perCoroutine(b, n)
				return nil
			})
		}))
		if err != nil {
			b.Fatal(err)
		}
	}, 2, 10_000)
}

// An idleTool is an observer and a picker that do nothing.
type idleTool struct{}

func (idleTool) Observe(hook.Note) {}

func (idleTool) Pick([]tinyio.ID) int { return 0 }

func yields(b *testing.B, most int, opts ...tinyio.Option) {
	forCounts(b, func(b *testing.B, n int) {
		inLoop(b, func(co *tinyio.Co) error {
			over := false
			others := make([]tinyio.Awaitable, n-1)
			for i := range others {
				others[i] = tinyio.Do(func(co *tinyio.Co) error {
					for !over {
						if err := co.Yield(); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := co.Spawn(others...); err != nil {
				return err
			}
			for b.Loop() {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			perCoroutine(b, n)
			over = true
			return nil
		}, opts...)
	}, 2, 1_000, most)
}

func BenchmarkYieldAlone(b *testing.B) {
	inLoop(b, func(co *tinyio.Co) error {
		for b.Loop() {
			if err := co.Yield(); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkAwaitFresh(b *testing.B) { awaitsFresh(b) }

func awaitsFresh(b *testing.B, opts ...tinyio.Option) {
	inLoop(b, func(co *tinyio.Co) error {
		for i := 0; b.Loop(); i++ {
			if v, err := answer(i).Await(co); v != i || err != nil {
				return fmt.Errorf("got %d, %v; want %d", v, err, i)
			}
		}
		return nil
	}, opts...)
}

func BenchmarkAwaitFinished(b *testing.B) {
	inLoop(b, func(co *tinyio.Co) error {
		done := answer(7)
		for b.Loop() {
			if v, err := done.Await(co); v != 7 || err != nil {
				return fmt.Errorf("got %d, %v; want 7", v, err)
			}
		}
		return nil
	})
}

func BenchmarkGather(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		inLoop(b, func(co *tinyio.Co) error {
			for b.Loop() {
				if _, err := tinyio.Gather(co, answers(n)...); err != nil {
					return err
				}
			}
			perCoroutine(b, n)
			return nil
		})
	}, 1, 1_000, 100_000)
}

// below runs fn at the end of a chain of n coroutines, each of which awaits the next.
func below(n int, fn func(co *tinyio.Co) error) func(co *tinyio.Co) error {
	for range n {
		next := tinyio.Do(fn)
		fn = func(co *tinyio.Co) error {
			_, err := next.Await(co)
			return err
		}
	}
	return fn
}

// BenchmarkAwaitBelowChain is an await at the end of a chain of awaits: of a coroutine that has started, or of one that itself waits for
// another; also while a bystander waits for any of several. The chain should make no difference.
func BenchmarkAwaitBelowChain(b *testing.B) {
	yield3 := func(co *tinyio.Co) error {
		for range 3 {
			if err := co.Yield(); err != nil {
				return err
			}
		}
		return nil
	}
	targets := []struct {
		name string
		make func() *tinyio.Coro[tinyio.Void]
	}{
		{"started", func() *tinyio.Coro[tinyio.Void] { return tinyio.Do(yield3) }},
		{"waiting", func() *tinyio.Coro[tinyio.Void] { return tinyio.Do(below(1, yield3)) }},
	}
	for _, ranging := range []bool{false, true} {
		for _, target := range targets {
			b.Run(fmt.Sprintf("%s/WaitAny=%v", target.name, ranging), func(b *testing.B) {
				forCounts(b, func(b *testing.B, n int) {
					inLoop(b, func(co *tinyio.Co) error {
						var over tinyio.Event
						defer over.Set()
						if ranging {
							other := tinyio.Do(func(co *tinyio.Co) error {
								_, err := tinyio.WaitAny(co, tinyio.Do(over.Wait))
								return err
							})
							if err := co.Spawn(other); err != nil {
								return err
							}
						}
						return below(n, func(co *tinyio.Co) error {
							for b.Loop() {
								c := target.make()
								if err := co.Spawn(c); err != nil {
									return err
								}
								if _, err := c.Await(co); err != nil {
									return err
								}
							}
							return nil
						})(co)
					})
				}, 1, 1_000, 30_000)
			})
		}
	}
}

// BenchmarkNestedWaitAny is coroutines each of which waits for any of one, the next: until they have ended, or have been stopped.
func BenchmarkNestedWaitAny(b *testing.B) {
	for _, outcome := range []error{nil, errBenchmark} {
		name := "succeeds"
		if outcome != nil {
			name = "fails"
		}
		b.Run(name, func(b *testing.B) {
			forCounts(b, func(b *testing.B, n int) {
				b.ReportAllocs()
				for b.Loop() {
					fn := func(co *tinyio.Co) error { return outcome }
					for range n {
						next := tinyio.Do(fn)
						fn = func(co *tinyio.Co) error {
							_, err := tinyio.WaitAny(co, next)
							return err
						}
					}
					if _, err := tinyio.Run(context.Background(), tinyio.Do(fn)); !errors.Is(err, outcome) {
						b.Fatal(err)
					}
				}
				perCoroutine(b, n)
			}, 100, 1_000, 10_000)
		})
	}
}

// BenchmarkAwaitChainFromChain is a recursion in which each level also waits for the first of a chain as long as the recursion. It makes the
// longest possible searches for cycles, and none may be made twice.
func BenchmarkAwaitChainFromChain(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		b.ReportAllocs()
		for b.Loop() {
			var over tinyio.Event
			chain := tinyio.Do(below(n, over.Wait))
			level := func(co *tinyio.Co) error {
				over.Set()
				return nil
			}
			for range n {
				next := tinyio.Do(level)
				level = func(co *tinyio.Co) error { return co.Wait(next, chain) }
			}
			_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
				if err := co.Spawn(chain); err != nil {
					return err
				}
				if err := co.Sleep(time.Second); err != nil { // until all of the chain waits
					return err
				}
				return level(co)
			}), tinyio.WithVirtualTime())
			if err != nil {
				b.Fatal(err)
			}
		}
		perCoroutine(b, n)
	}, 100, 1_000, 10_000)
}

func BenchmarkSpawn(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		inLoop(b, func(co *tinyio.Co) error {
			for b.Loop() {
				all := make([]tinyio.Awaitable, n)
				for i := range all {
					all[i] = answer(i)
				}
				if err := co.Spawn(all...); err != nil {
					return err
				}
			}
			perCoroutine(b, n)
			return nil
		})
	}, 1, 1_000, 100_000)
}

// BenchmarkEventPingPong is a signal there and one back.
func BenchmarkEventPingPong(b *testing.B) {
	inLoop(b, func(co *tinyio.Co) error {
		var there, back tinyio.Event
		over := false
		other := tinyio.Do(func(co *tinyio.Co) error {
			for !over {
				if err := there.Wait(co); err != nil {
					return err
				}
				there.Clear()
				back.Set()
			}
			return nil
		})
		if err := co.Spawn(other); err != nil {
			return err
		}
		for b.Loop() {
			there.Set()
			if err := back.Wait(co); err != nil {
				return err
			}
			back.Clear()
		}
		over = true
		there.Set()
		return nil
	})
}

// BenchmarkSemaphore is acquire, a turn, release: by one coroutine on a free semaphore, and by many on one with a tenth as many permits.
func BenchmarkSemaphore(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		s := tinyio.NewSemaphore(max(1, n/10))
		inLoop(b, func(co *tinyio.Co) error {
			over := false
			use := func(co *tinyio.Co) error {
				if err := s.Acquire(co); err != nil {
					return err
				}
				defer s.Release()
				return co.Yield()
			}
			others := make([]tinyio.Awaitable, n-1)
			for i := range others {
				others[i] = tinyio.Do(func(co *tinyio.Co) error {
					for !over {
						if err := use(co); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := co.Spawn(others...); err != nil {
				return err
			}
			for b.Loop() {
				if err := use(co); err != nil {
					return err
				}
			}
			perCoroutine(b, n)
			over = true
			return nil
		})
	}, 1, 1_000)
}

// BenchmarkSleep is sleepers in virtual time: what the loop and its timers cost, without the waiting.
func BenchmarkSleep(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		b.ReportAllocs()
		sleeper := func(i int) *tinyio.Coro[tinyio.Void] {
			d := time.Duration(1 + i*7919%1000) // in no order
			return tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(d * time.Millisecond) })
		}
		for b.Loop() {
			_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
				all := make([]tinyio.Awaitable, n)
				for i := range all {
					all[i] = sleeper(i)
				}
				return co.Wait(all...)
			}), tinyio.WithVirtualTime())
			if err != nil {
				b.Fatal(err)
			}
		}
		perCoroutine(b, n)
	}, 1_000, 100_000)
}

func BenchmarkRunInThread(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		inLoop(b, func(co *tinyio.Co) error {
			for b.Loop() {
				all := make([]*tinyio.Coro[int], n)
				for i := range all {
					all[i] = tinyio.RunInThread(func(context.Context) (int, error) { return i, nil })
				}
				if _, err := tinyio.Gather(co, all...); err != nil {
					return err
				}
			}
			perCoroutine(b, n)
			return nil
		})
	}, 1, 1_000)
}

func BenchmarkAsCompleted(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		inLoop(b, func(co *tinyio.Co) error {
			for b.Loop() {
				for _, err := range tinyio.AsCompleted(co, answers(n)...) {
					if err != nil {
						return err
					}
				}
			}
			perCoroutine(b, n)
			return nil
		})
	}, 1, 1_000, 100_000)
}

func BenchmarkTimeout(b *testing.B) {
	b.Run("fires", func(b *testing.B) {
		b.ReportAllocs()
		_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
			for b.Loop() {
				var never tinyio.Event
				_, err := tinyio.Timeout(co, tinyio.Do(never.Wait), time.Second)
				if !errors.Is(err, tinyio.ErrTimeout) {
					return fmt.Errorf("got %v, want a timeout", err)
				}
			}
			return nil
		}), tinyio.WithVirtualTime())
		if err != nil {
			b.Fatal(err)
		}
	})
	b.Run("does not fire", func(b *testing.B) {
		inLoop(b, func(co *tinyio.Co) error {
			for i := 0; b.Loop(); i++ {
				if _, err := tinyio.Timeout(co, answer(i), time.Hour); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func BenchmarkIsolate(b *testing.B) {
	for _, outcome := range []error{nil, errBenchmark} {
		name := "succeeds"
		if outcome != nil {
			name = "fails"
		}
		b.Run(name, func(b *testing.B) {
			inLoop(b, func(co *tinyio.Co) error {
				for b.Loop() {
					_, err := tinyio.Isolate(co, tinyio.Do(func(*tinyio.Co) error { return outcome }))
					if !errors.Is(err, outcome) {
						return fmt.Errorf("got %v; want %v", err, outcome)
					}
				}
				return nil
			})
		})
	}
}

// BenchmarkCrash is the time from the failure of one coroutine until all others have ended and Run has returned.
func BenchmarkCrash(b *testing.B) {
	forCounts(b, func(b *testing.B, n int) {
		b.ReportAllocs()
		for range b.N {
			b.StopTimer()
			_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
				all := make([]tinyio.Awaitable, n)
				for i := range all {
					all[i] = tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
				}
				if err := co.Spawn(all...); err != nil {
					return err
				}
				b.StartTimer()
				return errBenchmark
			}))
			if !errors.Is(err, errBenchmark) {
				b.Fatal(err)
			}
		}
		perCoroutine(b, n)
	}, 1_000, 100_000)
}

// BenchmarkRun is a coroutine on a loop that is made for it.
func BenchmarkRun(b *testing.B) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if v, err := tinyio.Run(context.Background(), answer(i)); v != i || err != nil {
			b.Fatalf("got %d, %v; want %d", v, err, i)
		}
	}
}

// What a turn costs in which a picker picks the first of many.
func BenchmarkPicker(b *testing.B) {
	for _, n := range []int{2, 1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			left := b.N
			_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
				cs := make([]tinyio.Awaitable, n)
				for i := range cs {
					cs[i] = tinyio.Do(func(co *tinyio.Co) error {
						for left > 0 {
							left--
							if err := co.Yield(); err != nil {
								return err
							}
						}
						return nil
					})
				}
				return co.Wait(cs...)
			}), tinyio.WithPicker(firstPicker{}))
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// A firstPicker picks as a loop does without a picker.
type firstPicker struct{}

func (firstPicker) Pick([]tinyio.ID) int { return 0 }
