package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// What has finished keeps only its result in memory.

// A witness must be gone when what it was part of has finished. It is large enough to be an object of its own.
type witness struct{ data [256]byte }

// Witnesses are all that a program has made.
type witnesses struct{ made []weak.Pointer[witness] }

func (ws *witnesses) new() *witness {
	w := new(witness)
	ws.made = append(ws.made, weak.Make(w))
	return w
}

// alive returns how many are left.
func (ws *witnesses) alive() (n int) {
	runtime.GC()
	for _, w := range ws.made {
		if w.Value() != nil {
			n++
		}
	}
	return n
}

// use is called by a function that holds w.
func (w *witness) use() { w.data[0]++ }

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// W15: 20,000 satisfied waits with long timeouts keep no memory.
func TestSatisfiedWaitsKeepNoMemory(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		before := heap()
		for range 20_000 {
			if _, err := tinyio.Timeout(co, value(0, 1), time.Hour); err != nil {
				return err
			}
		}
		if after := heap(); after > before+500_000 {
			t.Errorf("%d bytes are kept", after-before)
		}
		return nil
	})
}

// Of many coroutines, each of which was started inside the Shield of the one before, only live ones stay in memory.
func TestShieldsThatAreOverKeepNoMemory(t *testing.T) {
	var before int64
	var generation func(n int) *tinyio.Coro[tinyio.Void]
	generation = func(n int) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			switch n {
			case 5_000:
				before = heap()
			case 0:
				if after := heap(); after > before+500_000 {
					t.Errorf("%d bytes are kept", after-before)
				}
				return nil
			}
			if err := co.Sleep(1); err != nil {
				return err
			}
			return co.Shield(time.Second, func(co *tinyio.Co) error {
				return errors.Join(co.Spawn(generation(n-1)), co.Sleep(2)) // the next one opens its own before this one is over
			})
		})
	}
	succeed(t, func(co *tinyio.Co) error { return co.Spawn(generation(5_010)) })
}

// W21: a result that refers to its own coroutine is freed, during the run and after it, with what its function holds.
func TestResultThatRefersToItsCoroutineIsFreed(t *testing.T) {
	type result struct {
		self *tinyio.Coro[*result]
		_    [1000]byte
	}
	var freed atomic.Int32
	ways := map[string]func(co *tinyio.Co, c *tinyio.Coro[*result]) error{
		"Await":  wait[*result],
		"Spawn":  func(co *tinyio.Co, c *tinyio.Coro[*result]) error { return errors.Join(co.Spawn(c), co.Sleep(1)) },
		"Gather": func(co *tinyio.Co, c *tinyio.Coro[*result]) error { _, err := tinyio.Gather(co, c, c); return err },
		"Timeout": func(co *tinyio.Co, c *tinyio.Coro[*result]) error {
			_, err := tinyio.Timeout(co, c, time.Hour)
			return err
		},
		"Isolate": func(co *tinyio.Co, c *tinyio.Coro[*result]) error { _, err := tinyio.Isolate(co, c); return err },
		"Shield": func(co *tinyio.Co, c *tinyio.Coro[*result]) error {
			return co.Shield(time.Hour, func(co *tinyio.Co) error { return wait(co, c) })
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			freed.Store(0)
			const n = 200
			body := func(co *tinyio.Co) error {
				for range n {
					var c *tinyio.Coro[*result]
					c = tinyio.New(func(co *tinyio.Co) (*result, error) {
						r := &result{self: c}
						runtime.AddCleanup(r, func(int) { freed.Add(1) }, 0)
						return r, co.Yield()
					})
					if err := way(co, c); err != nil {
						return err
					}
				}
				for range 100 {
					runtime.GC()
					if freed.Load() >= n-5 { // the last ones may still be on a stack
						return nil
					}
					time.Sleep(time.Millisecond) // for the clean-ups, which have a goroutine of their own
				}
				t.Errorf("%d of %d are freed", freed.Load(), n)
				return nil
			}
			succeed(t, body)
			// In a shield that lasts it is the same.
			freed.Store(0)
			succeed(t, func(co *tinyio.Co) error { return co.Shield(time.Hour, body) })
		})
	}
}

// TestWhatHasFinishedKeepsNothing runs programs that return something, and wants that to keep nothing else in memory: R3.
func TestWhatHasFinishedKeepsNothing(t *testing.T) {
	noLeaks(t)
	for name, program := range map[string]func(ws *witnesses) (kept any){
		"a coroutine, its function":              keptFunction,
		"one that never ran, its function":       keptUnbegun,
		"a callback, its functions":              keptCallback,
		"a thread, its function":                 keptThread,
		"a thread in the hands of a host":        keptHostThread,
		"one of those started inside a Shield":   keptShielded,
		"one of those inside nested Shields":     keptNested,
		"one that outlived a Shield":             keptOutlived,
		"one of a run that has crashed":          keptOfACrash,
		"one inside an Isolate":                  keptIsolated,
		"those of a First":                       keptOfAFirst,
		"those that were halted with others":     keptHalted,
		"one that Go did not start":              keptOfGo,
		"one that has called":                    keptCaller,
		"one of a loop with tools":               keptOfTools,
		"a loop":                                 keptLoop,
		"a loop with tools":                      keptLoopWithTools,
		"a Runtime":                              keptRuntime,
		"what coroutines have waited for":        keptPrimitives,
		"what coroutines were stopped at":        keptPrimitivesAfterACrash,
		"a coroutine that ranged, and was ended": keptCollector,
	} {
		ws, kept := new(witnesses), make(chan any)
		go func() { kept <- program(ws) }()
		k := <-kept
		if n := ws.alive(); n > 0 {
			t.Errorf("%s: %d of %d are still alive", name, n, len(ws.made))
		}
		runtime.KeepAlive(k)
	}
}

// holder is a coroutine whose function and value hold a witness each, and that waits d.
func holder(ws *witnesses, d time.Duration) *tinyio.Coro[*witness] {
	w := ws.new()
	return tinyio.New(func(co *tinyio.Co) (*witness, error) {
		defer w.use()
		return ws.new(), co.Sleep(d)
	})
}

func keptFunction(ws *witnesses) any {
	w := ws.new()
	c := tinyio.New(func(co *tinyio.Co) (int, error) {
		w.use()
		return 1, co.Yield()
	})
	virtually(func(co *tinyio.Co) error { return wait(co, c) })
	return c
}

func keptUnbegun(ws *witnesses) any {
	w := ws.new()
	c := tinyio.Do(func(*tinyio.Co) error { w.use(); return nil })
	thread := tinyio.RunInThread(func(context.Context) (int, error) { w.use(); return 0, nil })
	back := tinyio.FromCallback(func(func(int, error)) func(error) { w.use(); return nil })
	virtually(func(co *tinyio.Co) error {
		for _, err := range []error{
			timeoutOf(co, c), timeoutOf(co, thread), timeoutOf(co, back),
		} {
			if !errors.Is(err, tinyio.ErrTimeout) {
				return err
			}
		}
		return nil
	})
	return []any{c, thread, back}
}

// timeoutOf halts c before its first turn.
func timeoutOf[T any](co *tinyio.Co, c *tinyio.Coro[T]) error {
	_, err := tinyio.Timeout(co, c, 0)
	return err
}

func keptCallback(ws *witnesses) any {
	var kept []any
	virtually(func(co *tinyio.Co) error {
		for _, early := range []bool{false, true} {
			w := ws.new()
			c := tinyio.FromCallback(func(done func(int, error)) func(error) {
				w.use()
				if early {
					done(1, nil)
				} else {
					go done(1, nil)
				}
				return func(error) { w.use() }
			})
			kept = append(kept, c)
			if err := wait(co, c); err != nil {
				return err
			}
		}
		return nil
	})
	return kept
}

func keptThread(ws *witnesses) any {
	w := ws.new()
	c := tinyio.RunInThread(func(context.Context) (int, error) { w.use(); return 1, nil })
	pool, v := tinyio.NewThreadPool(1), ws.new()
	d := tinyio.RunInPool(pool, func(context.Context) (int, error) { v.use(); return 1, nil })
	virtually(func(co *tinyio.Co) error { return co.Wait(c, d) })
	return []any{c, d, pool}
}

func keptHostThread(ws *witnesses) any {
	w := ws.new()
	var threads []*hook.Thread
	c := tinyio.RunInThread(func(context.Context) (int, error) { w.use(); return 1, nil })
	v := ws.new()
	d := tinyio.RunInThread(func(context.Context) (int, error) { v.use(); return 1, nil })
	virtually(func(co *tinyio.Co) error { return co.Wait(c, d) }, tinyio.WithThreads(func(t *hook.Thread) {
		if threads = append(threads, t); len(threads) == 1 {
			go func() { t.Run(); t.Return() }()
		} else {
			t.Fail(errBoom)
		}
	}))
	return threads
}

func keptShielded(ws *witnesses) any {
	kept := value(0, 1)
	virtually(func(co *tinyio.Co) error {
		return wait(co, tinyio.New(func(co *tinyio.Co) (*witness, error) {
			w := ws.new()
			return ws.new(), co.Shield(time.Second, func(co *tinyio.Co) error {
				w.use()
				return co.Wait(holder(ws, 0), kept, holder(ws, 1))
			})
		}))
	})
	return kept
}

func keptNested(ws *witnesses) any {
	var kept []any
	virtually(func(co *tinyio.Co) error {
		var deep func(co *tinyio.Co, n int) error
		deep = func(co *tinyio.Co, n int) error {
			if n == 0 {
				return nil
			}
			w := ws.new()
			defer w.use()
			if err := co.Wait(holder(ws, 1)); err != nil {
				return err
			}
			return co.Shield(time.Second, func(co *tinyio.Co) error {
				c := value(0, n)
				kept = append(kept, c)
				if err := co.Wait(c, holder(ws, 1)); err != nil {
					return err
				}
				return deep(co, n-1)
			})
		}
		return wait(co, tinyio.New(func(co *tinyio.Co) (*witness, error) { return ws.new(), deep(co, 3) }))
	})
	return kept
}

// keptOutlived looks while a coroutine is live that was started inside a Shield that is over.
func keptOutlived(ws *witnesses) any {
	alive := -1
	virtually(func(co *tinyio.Co) error {
		var end tinyio.Event
		live := tinyio.Do(end.Wait)
		if err := wait(co, tinyio.New(func(co *tinyio.Co) (*witness, error) {
			return ws.new(), co.Shield(time.Second, func(co *tinyio.Co) error {
				return co.Spawn(live, holder(ws, 0), holder(ws, 1))
			})
		})); err != nil {
			return err
		}
		if err := co.Sleep(1); err != nil {
			return err
		}
		alive = ws.alive()
		end.Set()
		return nil
	})
	if alive != 0 {
		return ws.new() // which shows
	}
	return nil
}

// A heavyError is an error that holds a witness.
type heavyError struct{ w *witness }

func (e heavyError) Error() string { return "heavy" }

func keptOfACrash(ws *witnesses) any {
	kept := value(0, 1)
	virtually(func(co *tinyio.Co) error {
		return co.Wait(kept, holder(ws, time.Hour), failer(time.Second, heavyError{ws.new()}), tinyio.Do(func(co *tinyio.Co) error {
			_ = co.Sleep(time.Hour)
			return heavyError{ws.new()}
		}))
	}, tinyio.WithErrorGroup(tinyio.GroupAlways))
	return kept
}

func keptIsolated(ws *witnesses) any {
	kept := value(0, 1)
	virtually(func(co *tinyio.Co) error {
		return wait(co, tinyio.New(func(co *tinyio.Co) (*witness, error) {
			if _, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				return co.Wait(kept, holder(ws, 0), failer(time.Second, heavyError{ws.new()}))
			})); err == nil {
				return nil, errBoom
			}
			return ws.new(), nil
		}))
	})
	return kept
}

func keptOfAFirst(ws *witnesses) any {
	winner, loser := value(time.Second, 1), sleeper(time.Hour)
	virtually(func(co *tinyio.Co) error {
		w := ws.new()
		defer w.use()
		_, err := tinyio.First(co,
			tinyio.New(func(co *tinyio.Co) (int, error) { return 1, errors.Join(heavyError{ws.new()}, wait(co, holder(ws, 1))) }), winner,
			tinyio.New(func(co *tinyio.Co) (int, error) {
				_ = co.Wait(loser, holder(ws, time.Hour))
				return 0, heavyError{ws.new()}
			}))
		return err
	})
	return []any{winner, loser}
}

func keptHalted(ws *witnesses) any {
	var kept []any
	virtually(func(co *tinyio.Co) error {
		for _, cancel := range []bool{false, true} {
			for _, clean := range []bool{false, true} {
				below := sleeper(time.Hour)
				if !cancel { // otherwise its result is the cause
					kept = append(kept, below)
				}
				above := tinyio.New(func(co *tinyio.Co) (*witness, error) {
					_ = co.Wait(below, holder(ws, time.Hour))
					if clean {
						return ws.new(), nil
					}
					return ws.new(), heavyError{ws.new()}
				})
				if !cancel {
					_, _ = tinyio.Timeout(co, above, time.Second)
					continue
				}
				if err := co.Spawn(above); err != nil {
					return err
				}
				_ = above.Cancel(co, heavyError{ws.new()})
			}
		}
		return nil
	})
	return kept
}

func keptOfGo(ws *witnesses) any {
	var kept *tinyio.Coro[tinyio.Void]
	virtually(func(co *tinyio.Co) error {
		_, _ = tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			w := ws.new()
			kept = co.Go(func(*tinyio.Co) error { w.use(); return nil })
			return err
		}), time.Second)
		return nil
	})
	return kept
}

func keptCaller(ws *witnesses) any {
	var kept []any
	var threads []*hook.Thread
	for _, opts := range [][]tinyio.Option{nil, {tinyio.WithThreads(func(t *hook.Thread) {
		if threads = append(threads, t); len(threads) == 2 {
			t.Fail(errBoom)
		} else {
			go func() { t.Run(); t.Return() }()
		}
	})}} {
		c := tinyio.Do(func(co *tinyio.Co) error {
			for range 2 {
				v, w := ws.new(), ws.new()
				_, _ = tinyio.CallInterruptible(co, v.use, func() (*witness, error) { w.use(); return ws.new(), nil })
			}
			return nil
		})
		kept = append(kept, c)
		tinyio.Run(background, c, opts...)
	}
	for _, t := range threads {
		kept = append(kept, t)
	}
	return kept
}

// A heavyTool is an observer, a picker and a clock, and holds a witness.
type heavyTool struct {
	*manualClock
	w *witness
}

func (h heavyTool) Observe(hook.Note) { h.w.use() }

func (h heavyTool) Pick(ready []tinyio.ID) int { h.w.use(); return len(ready) - 1 }

func keptOfTools(ws *witnesses) any {
	tool := heavyTool{newManualClock(), ws.new()}
	kept := value(1, 1)
	tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(kept, holder(ws, 2)) }),
		tinyio.WithObserver(tool), tinyio.WithPicker(tool), tinyio.WithClock(tool))
	return kept
}

// useEverything is a program that uses a loop in many ways and fails.
func useEverything(ws *witnesses) *tinyio.Coro[*witness] {
	var e tinyio.Event
	return tinyio.New(func(co *tinyio.Co) (*witness, error) {
		cs := []*tinyio.Coro[*witness]{}
		for i := range 20 {
			cs = append(cs, holder(ws, time.Duration(i)))
		}
		for range tinyio.AsCompleted(co, cs...) {
			break
		}
		if _, err := tinyio.Timeout(co, holder(ws, time.Hour), time.Second); !errors.Is(err, tinyio.ErrTimeout) {
			return nil, err
		}
		if _, err := tinyio.Isolate(co, tinyio.Do(func(*tinyio.Co) error { return heavyError{ws.new()} })); err == nil {
			return nil, errBoom
		}
		w := ws.new()
		if err := wait(co, tinyio.RunInThread(func(context.Context) (int, error) { w.use(); return 0, nil })); err != nil {
			return nil, err
		}
		if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
			_ = e.Wait(co)
			return heavyError{ws.new()}
		})); err != nil {
			return nil, err
		}
		return ws.new(), heavyError{ws.new()}
	})
}

func keptLoop(ws *witnesses) any {
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	tinyio.RunOn(background, l, useEverything(ws))
	return l
}

func keptLoopWithTools(ws *witnesses) any {
	tool := heavyTool{newManualClock(), new(witness)}
	l := tinyio.NewLoop(tinyio.WithObserver(tool), tinyio.WithPicker(tool), tinyio.WithClock(tool))
	tinyio.RunOn(background, l, useEverything(ws))
	return l
}

func keptRuntime(ws *witnesses) any {
	w := ws.new()
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime(), tinyio.WithObserver(heavyTool{w: ws.new()})),
		tinyio.New(func(co *tinyio.Co) (int, error) {
			defer w.use()
			return 1, co.Wait(holder(ws, 1))
		}))
	for range r.Steps() {
	}
	return r
}

// primitives are one of each thing that coroutines wait for.
type primitives struct {
	e tinyio.Event
	s *tinyio.Semaphore
	b *tinyio.Barrier
	q *tinyio.Queue[*witness]
	l tinyio.Lock
	p *tinyio.ThreadPool
}

func newPrimitives() *primitives {
	return &primitives{s: tinyio.NewSemaphore(1), b: tinyio.NewBarrier(3), q: tinyio.NewQueue[*witness](1), p: tinyio.NewThreadPool(1)}
}

// waitForAll is a coroutine that waits for each of them in turn, and holds witnesses meanwhile.
func (p *primitives) waitForAll(ws *witnesses) tinyio.Awaitable {
	w := ws.new()
	return tinyio.New(func(co *tinyio.Co) (*witness, error) {
		defer w.use()
		for _, f := range []func(co *tinyio.Co) error{
			p.s.Acquire, func(co *tinyio.Co) error { p.s.Release(); return nil }, p.l.Acquire,
			func(co *tinyio.Co) error { p.l.Release(); return nil },
			func(co *tinyio.Co) error { _, err := p.b.Wait(co); return err },
			func(co *tinyio.Co) error { return p.q.Put(co, ws.new()) },
			func(co *tinyio.Co) error {
				return wait(co, tinyio.RunInPool(p.p, func(context.Context) (int, error) { return 0, nil }))
			},
			p.e.Wait,
			func(co *tinyio.Co) error { _, err := p.q.Get(co); return err },
		} {
			if err := f(co); err != nil {
				return nil, err
			}
		}
		return ws.new(), nil
	})
}

func keptPrimitives(ws *witnesses) any {
	p := newPrimitives()
	err := virtually(func(co *tinyio.Co) error {
		if err := co.Spawn(p.waitForAll(ws), p.waitForAll(ws), p.waitForAll(ws)); err != nil {
			return err
		}
		for range 2 { // of three, and the queue holds one
			if _, err := p.q.Get(co); err != nil {
				return err
			}
		}
		p.e.Set()
		for range 2 {
			if err := p.q.Put(co, ws.new()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		panic(fmt.Sprint(err))
	}
	return p
}

func keptPrimitivesAfterACrash(ws *witnesses) any {
	p := newPrimitives()
	for n := range 12 {
		virtually(func(co *tinyio.Co) error {
			if err := co.Spawn(p.waitForAll(ws), p.waitForAll(ws), p.waitForAll(ws)); err != nil {
				return err
			}
			for range n {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return errBoom
		})
		for {
			if _, ok := p.q.TryGet(); !ok {
				break
			}
		}
	}
	return p
}

func keptCollector(ws *witnesses) any {
	var kept *tinyio.Coro[int]
	virtually(func(co *tinyio.Co) error {
		kept = tinyio.New(func(co *tinyio.Co) (int, error) {
			for range tinyio.AsCompleted(co, holder(ws, 1), holder(ws, 3), holder(ws, 2)) {
				break
			}
			_, err := tinyio.WaitAny(co, holder(ws, 2), holder(ws, 3))
			return 1, err
		})
		return wait(co, kept)
	})
	return kept
}

// TestQueueGivesBackTheMemoryOfACrowd has many coroutines wait to put into a queue, and measures when one is left, when none is, and when few
// of many values are left.
func TestQueueGivesBackTheMemoryOfACrowd(t *testing.T) {
	noLeaks(t)
	type large [4096]byte
	const n = 4000
	for capacity, left := range map[int]int{0: 1, n: 1} {
		q := tinyio.NewQueue[large](capacity)
		var before, after int64
		succeed(t, func(co *tinyio.Co) error {
			before = heap()
			crowd := make([]tinyio.Awaitable, n)
			for i := range crowd {
				crowd[i] = tinyio.Do(func(co *tinyio.Co) error { return q.Put(co, large{}) })
			}
			if err := co.Spawn(crowd...); err != nil {
				return err
			}
			clear(crowd)
			for range n - left {
				if _, err := q.Get(co); err != nil {
					return err
				}
			}
			if err := co.Sleep(1); err != nil {
				return err
			}
			after = heap()
			_, err := q.Get(co)
			return err
		})
		if kept := after - before; kept > n*int64(len(large{}))/4 {
			t.Errorf("a queue of %d that held %d values and holds 1 keeps %d bytes", capacity, n, kept)
		}
		if kept := heap() - before; kept > n*int64(len(large{}))/4 {
			t.Errorf("a queue of %d that held %d values and is empty keeps %d bytes", capacity, n, kept)
		}
		runtime.KeepAlive(q)
	}
}

// TestPlacesOfACrowdAreUsedAgain goes on with a queue at which ever more and then ever fewer wait, and are served out of order.
func TestPlacesOfACrowdAreUsedAgain(t *testing.T) {
	q := tinyio.NewQueue[int](0)
	sum, want := 0, 0
	succeed(t, func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for i := range 50 {
			for range 1 + i*7%13 {
				want += i
				cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
					for {
						c := tinyio.Do(func(co *tinyio.Co) error { return q.Put(co, i) })
						if _, err := tinyio.Timeout(co, c, time.Duration(1+i%5)); !errors.Is(err, tinyio.ErrTimeout) {
							return err
						}
					}
				}))
			}
		}
		if err := co.Spawn(cs...); err != nil {
			return err
		}
		for i := range cs {
			v, err := q.Get(co)
			if err != nil {
				return err
			}
			if sum += v; i%3 == 0 {
				if err := co.Sleep(time.Duration(i % 4)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if sum != want {
		t.Errorf("the values add up to %d, want %d", sum, want)
	}
}

// No suspension allocates, and a coroutine with its closure costs at most two allocations; an observer, a picker and a clock cost none.
func TestAllocations(t *testing.T) {
	t.Run("by itself", func(t *testing.T) { testAllocations(t) })
	t.Run("observed", func(t *testing.T) {
		testAllocations(t, tinyio.WithObserver(observerFunc(func(hook.Note) {})))
	})
	t.Run("picked", func(t *testing.T) { testAllocations(t, tinyio.WithPicker(pickerFunc(func(int) int { return 0 }))) })
	t.Run("by a clock", func(t *testing.T) { testAllocations(t, tinyio.WithClock(newManualClock())) })
}

// A pickerFunc is a function as a picker: it is given how many are ready.
type pickerFunc func(n int) int

func (f pickerFunc) Pick(ready []tinyio.ID) int { return f(len(ready)) }

// A turn among many allocates nothing, whomever a picker picks.
func TestPickAllocatesNothing(t *testing.T) {
	noLeaks(t)
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	picks := 0
	for name, pick := range map[string]func(n int) int{
		"the first":      func(int) int { return 0 },
		"one in front":   func(n int) int { return n / 3 },
		"one at the end": func(n int) int { return 2 * n / 3 },
		"any":            func(n int) int { picks = (picks + 7919) % 1_000_003; return picks % n },
	} {
		succeed(t, func(co *tinyio.Co) error {
			stop := false
			yield := func(co *tinyio.Co) error {
				for !stop {
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return nil
			}
			for range 200 { // or the invariants are looked at after each step, and that allocates
				co.Go(yield)
			}
			turns := 0
			n := 0.0
			co.Go(func(co *tinyio.Co) error {
				defer func() { stop = true }()
				take := func() {
					for range 1000 {
						if err := co.Yield(); err != nil {
							panic(err)
						}
						turns++
					}
				}
				take()
				n = testing.AllocsPerRun(20, take)
				return nil
			})
			for !stop {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			if n > 0 {
				t.Errorf("%s: %v allocations in 1,000 turns", name, n)
			}
			return nil
		}, tinyio.WithPicker(pickerFunc(pick)))
	}
}

func testAllocations(t *testing.T, opts ...tinyio.Option) {
	tinyio.KeepWorkers(t)
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	succeed(t, func(co *tinyio.Co) error {
		var event tinyio.Event
		semaphore := tinyio.NewSemaphore(1)
		stop := false
		partner := tinyio.Do(func(co *tinyio.Co) error {
			for !stop {
				event.Set()
				if err := co.Sleep(1); err != nil {
					return err
				}
			}
			return nil
		})
		holder := tinyio.Do(func(co *tinyio.Co) error {
			for !stop {
				if err := semaphore.Acquire(co); err != nil {
					return err
				}
				if err := co.Sleep(1); err != nil {
					return err
				}
				semaphore.Release()
				if err := co.Sleep(1); err != nil {
					return err
				}
			}
			return nil
		})
		// The tests look at the invariants of a small loop after each step, and that allocates; this one is not small.
		for range 200 {
			if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
				for !stop {
					if err := co.Sleep(time.Hour); err != nil {
						return err
					}
				}
				return nil
			})); err != nil {
				return err
			}
		}
		if err := co.Spawn(partner, holder); err != nil {
			return err
		}
		check := func(err error) {
			if err != nil {
				panic(err)
			}
		}
		for _, c := range []struct {
			name string
			most float64
			f    func()
		}{
			{"Yield", 0, func() { check(co.Yield()) }},
			{"Sleep", 0, func() { check(co.Sleep(1)) }},
			{"Event.Wait", 0, func() { event.Clear(); check(event.Wait(co)) }},
			{"Event.WaitFor", 0, func() { event.Clear(); event.WaitFor(co, time.Hour) }},
			{"Acquire", 0, func() { check(semaphore.Acquire(co)); semaphore.Release() }},
			{"New and Await", 2, func() {
				x := stop
				c := tinyio.New(func(*tinyio.Co) (bool, error) { return x, nil })
				_, err := c.Await(co)
				check(err)
			}},
		} {
			for range 10 {
				c.f() // what is allocated once, such as the place of a timer
			}
			if n := testing.AllocsPerRun(200, c.f); n > c.most {
				t.Errorf("%s: %v allocations, want %v at most", c.name, n, c.most)
			}
		}
		stop = true
		return nil
	}, opts...)
}
