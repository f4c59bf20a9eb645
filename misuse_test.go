package tinyio_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// Misuse that the types cannot rule out panics with a sentence that says what was done and what to do; what can happen in a
// correct program is an error. Either way nothing is lost: everybody else is cancelled and cleans up.

// methodsOfCo are all methods and functions that take a Co and are for its own coroutine alone.
func methodsOfCo() map[string]func(co *tinyio.Co) {
	m := map[string]func(co *tinyio.Co){
		"Spawn": func(co *tinyio.Co) { co.Spawn() },
		"Now":   func(co *tinyio.Co) { co.Now() },
		"Range": func(co *tinyio.Co) {
			for range tinyio.AsCompleted[int](co) {
				break
			}
		},
	}
	for name, suspend := range waits() {
		m[name] = func(co *tinyio.Co) { suspend(co) }
	}
	return m
}

// A Co used in another coroutine, in another goroutine, or when its coroutine has finished.
func TestMisuseOfACoOutsideItsCoroutine(t *testing.T) {
	for name, use := range methodsOfCo() {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				cleaned := false
				var foreign, finished any
				p := panicErrorOf(t, func() {
					virtually(func(co *tinyio.Co) error {
						foreign = panicOfGoroutine(func() { use(co) })
						var old *tinyio.Co
						if err := wait(co, tinyio.Do(func(co *tinyio.Co) error {
							old = co
							return nil
						})); err != nil {
							return err
						}
						finished = panicOf(func() { use(old) })
						bystander := tinyio.Do(func(co *tinyio.Co) error {
							err := co.Sleep(time.Hour)
							cleaned = errors.Is(err, tinyio.ErrCancelled)
							return err
						})
						thief := tinyio.Do(func(*tinyio.Co) error {
							use(co)
							return nil
						})
						return co.Wait(bystander, thief)
					})
				})
				wantSentence(t, p, "outside", "TestMisuseOfACoOutsideItsCoroutine")
				wantSentence(t, foreign, "outside")
				wantSentence(t, finished, "outside")
				if !cleaned {
					t.Error("the others have not been cancelled")
				}
			})
		})
	}
}

func panicOfGoroutine(f func()) any {
	ended := make(chan any)
	go func() { ended <- panicOf(f) }()
	return <-ended
}

// The Co of a Shield, when that has returned, and in another coroutine.
func TestMisuseOfTheCoOfAShield(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		var inside *tinyio.Co
		if err := co.Shield(time.Second, func(co *tinyio.Co) error {
			inside = co
			return nil
		}); err != nil {
			return err
		}
		wantSentence(t, panicOf(func() { inside.Yield() }), "outside")
		if inside.Err() == nil {
			t.Error("its context is not done")
		}
		return co.Yield()
	})
}

// A Co of the outer loop in a coroutine of the inner one.
func TestMisuseOfTheCoOfAnOuterLoop(t *testing.T) {
	noLeaks(t)
	p := panicErrorOf(t, func() {
		virtually(func(outer *tinyio.Co) error {
			return virtually(func(*tinyio.Co) error { return outer.Yield() })
		})
	})
	wantSentence(t, p, "outside")
}

// The context methods of a Co may be used anywhere and at any time.
func TestMisuseContextOfACoIsForEverybody(t *testing.T) {
	var kept *tinyio.Co
	succeed(t, func(co *tinyio.Co) error {
		kept = co
		seen := make(chan error)
		go func() { seen <- co.Err() }()
		if err := <-seen; err != nil {
			t.Errorf("its Err is %v", err)
		}
		return nil
	})
	select {
	case <-kept.Done():
	default:
		t.Error("the context is not done after the coroutine has finished")
	}
	if kept.Err() != context.Canceled {
		t.Errorf("its Err is %v", kept.Err())
	}
}

// A nil Co and a zero Co.
func TestMisuseOfANilAndOfAZeroCo(t *testing.T) {
	noLeaks(t)
	for name, use := range methodsOfCo() {
		t.Run(name, func(t *testing.T) {
			wantSentence(t, panicOf(func() { use(nil) }), "nil")
			wantSentence(t, panicOf(func() { use(new(tinyio.Co)) }))
		})
	}
	wantSentence(t, panicOf(func() { new(tinyio.Co).Done() }))
	wantSentence(t, panicOf(func() { new(tinyio.Co).Err() }))
}

// A nil coroutine, and a zero one, wherever one can be given.
func TestMisuseOfANilAndOfAZeroCoroutine(t *testing.T) {
	uses := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]){
		"Await":            func(co *tinyio.Co, c *tinyio.Coro[int]) { c.Await(co) },
		"Gather":           func(co *tinyio.Co, c *tinyio.Coro[int]) { tinyio.Gather(co, value(time.Hour, 1), c) },
		"Wait":             func(co *tinyio.Co, c *tinyio.Coro[int]) { co.Wait(value(time.Hour, 1), c) },
		"Spawn":            func(co *tinyio.Co, c *tinyio.Coro[int]) { co.Spawn(value(time.Hour, 1), c) },
		"Timeout":          func(co *tinyio.Co, c *tinyio.Coro[int]) { tinyio.Timeout(co, c, time.Second) },
		"Isolate":          func(co *tinyio.Co, c *tinyio.Coro[int]) { tinyio.Isolate(co, c) },
		"AsCompleted":      func(co *tinyio.Co, c *tinyio.Coro[int]) { firstOf(co, value(time.Hour, 1), c) },
		"Run":              func(co *tinyio.Co, c *tinyio.Coro[int]) { tinyio.Run(co, c) },
		"Named":            func(_ *tinyio.Co, c *tinyio.Coro[int]) { c.Named("name"); c.Value() },
		"Value":            func(_ *tinyio.Co, c *tinyio.Coro[int]) { c.Value() },
		"WaitAny":          func(co *tinyio.Co, c *tinyio.Coro[int]) { tinyio.WaitAny(co, value(time.Hour, 1), c) },
		"nil in WaitAny":   func(co *tinyio.Co, c *tinyio.Coro[int]) { tinyio.WaitAny(co, nil) },
		"Start":            func(co *tinyio.Co, c *tinyio.Coro[int]) { tinyio.Start(co, tinyio.NewLoop(), c) },
		"nil in Wait":      func(co *tinyio.Co, c *tinyio.Coro[int]) { co.Wait(nil) },
		"nil in Spawn":     func(co *tinyio.Co, c *tinyio.Coro[int]) { co.Spawn(nil) },
		"Await by another": func(co *tinyio.Co, c *tinyio.Coro[int]) { wait(co, c) },
	}
	for name, use := range uses {
		for kind, c := range map[string]*tinyio.Coro[int]{"nil": nil, "zero": new(tinyio.Coro[int])} {
			t.Run(name+" of a "+kind+" one", func(t *testing.T) {
				noLeaks(t)
				within(t, func() {
					cleaned := 0
					p := panicErrorOf(t, func() {
						virtually(func(co *tinyio.Co) error {
							started := tinyio.Do(func(co *tinyio.Co) error {
								defer func() { cleaned++ }()
								return co.Sleep(time.Hour)
							})
							waiting := tinyio.Do(func(co *tinyio.Co) error {
								defer func() { cleaned++ }()
								return wait(co, started)
							})
							culprit := tinyio.Do(func(co *tinyio.Co) error {
								if err := co.Sleep(time.Second); err != nil {
									return err
								}
								use(co, c)
								return nil
							})
							return co.Wait(waiting, culprit)
						})
					})
					wantSentence(t, p)
					if cleaned != 2 {
						t.Errorf("%d of 2 have cleaned up", cleaned)
					}
				})
			})
		}
	}
}

// A nil coroutine in a list does not affect those before it: they still wake those that wait for them.
func TestMisuseNilInAListLeavesTheOthersAlone(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		succeed(t, func(co *tinyio.Co) error {
			started := value(time.Second, 1)
			waiting := tinyio.New(func(co *tinyio.Co) (int, error) { return started.Await(co) })
			if err := co.Spawn(waiting); err != nil {
				return err
			}
			if err := co.Yield(); err != nil {
				return err
			}
			for _, use := range []func(){
				func() { firstOf(co, started, nil) },
				func() { tinyio.Gather(co, started, nil) },
				func() { co.Wait(started, nil) },
				func() { co.Spawn(started, nil) },
			} {
				wantSentence(t, panicOf(use), "nil")
			}
			v, err := waiting.Await(co)
			if v != 1 {
				t.Errorf("the value is %d", v)
			}
			return err
		})
	})
}

// Awaiting oneself is a cycle, in every way, and an error.
func TestMisuseAwaitingOneself(t *testing.T) {
	ways := map[string]func(co *tinyio.Co, self *tinyio.Coro[int]) error{
		"Await":       wait[int],
		"Gather":      func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Gather(co, c); return err },
		"Wait":        func(co *tinyio.Co, c *tinyio.Coro[int]) error { return co.Wait(value(time.Hour, 1), c) },
		"Timeout":     func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Timeout(co, c, time.Hour); return err },
		"Isolate":     func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.Isolate(co, c); return err },
		"WaitAny":     func(co *tinyio.Co, c *tinyio.Coro[int]) error { _, err := tinyio.WaitAny(co, c); return err },
		"AsCompleted": func(co *tinyio.Co, c *tinyio.Coro[int]) error { return firstOf(co, c) },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				var self *tinyio.Coro[int]
				self = tinyio.New(func(co *tinyio.Co) (int, error) { return 0, way(co, self) }).Named("self")
				err := virtually(func(co *tinyio.Co) error { return wait(co, self) })
				var cycle *tinyio.CycleError
				if !errors.As(err, &cycle) || strings.Join(cycle.Path, " ") != "self self" {
					t.Errorf("Run returns %v", err)
				}
			})
		})
	}
}

// Spawning oneself changes nothing.
func TestMisuseSpawningOneself(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		var self *tinyio.Coro[int]
		self = tinyio.New(func(co *tinyio.Co) (int, error) { return 7, co.Spawn(self, self) })
		succeed(t, func(co *tinyio.Co) error {
			v, err := self.Await(co)
			if v != 7 {
				t.Errorf("the value is %d", v)
			}
			return err
		})
	})
}

// A huge Sleep does not overflow, and can be cancelled. So do other limits.
func TestMisuseHugeDurations(t *testing.T) {
	for name, suspend := range map[string]func(co *tinyio.Co) error{
		"Sleep":   func(co *tinyio.Co) error { return co.Sleep(math.MaxInt64) },
		"WaitFor": func(co *tinyio.Co) error { _, err := new(tinyio.Event).WaitFor(co, math.MaxInt64); return err },
		"Timeout": func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, sleeper(math.MaxInt64-1), math.MaxInt64)
			return err
		},
		"Shield": func(co *tinyio.Co) error {
			return co.Shield(math.MaxInt64, func(co *tinyio.Co) error { return cmp.Or(co.Sleep(time.Hour), context.Canceled) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				var log recorder
				err := virtually(func(co *tinyio.Co) error {
					huge := tinyio.Do(func(co *tinyio.Co) error {
						err := suspend(co)
						log.add("huge: %v", errors.Is(err, context.Canceled))
						return err
					})
					return co.Wait(huge, failer(time.Minute, errBoom))
				})
				if !errors.Is(err, errBoom) || err.Error() != "boom" {
					t.Errorf("Run returns %v", err)
				}
				log.want(t, "huge: true")
				if name == "Shield" {
					return
				}
				ctx, cancel := context.WithTimeout(background, time.Millisecond)
				defer cancel()
				_, err = tinyio.Run(ctx, tinyio.Do(suspend)) // on the real clock
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("on the real clock Run returns %v", err)
				}
			})
		})
	}
	succeed(t, func(co *tinyio.Co) error { return errors.Join(co.Sleep(math.MaxInt64), co.Sleep(math.MaxInt64)) })
}

// A negative or zero limit has passed at once: what has not run does not run, and nothing hangs.
func TestMisuseNegativeDurations(t *testing.T) {
	for _, d := range []time.Duration{0, -1, math.MinInt64} {
		t.Run(d.String(), func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				succeed(t, func(co *tinyio.Co) error {
					if err := co.Sleep(d); err != nil {
						return err
					}
					var event tinyio.Event
					if set, err := event.WaitFor(co, d); set || err != nil {
						t.Errorf("WaitFor returns %v, %v", set, err)
					}
					event.Set()
					if set, err := event.WaitFor(co, d); !set || err != nil {
						t.Errorf("WaitFor of a set event returns %v, %v", set, err)
					}
					_, err := tinyio.Timeout(co, sleeper(time.Hour), d)
					if timeout := new(tinyio.TimeoutError); !errors.As(err, &timeout) || timeout.After != d {
						t.Errorf("Timeout returns %v", err)
					}
					finished := value(0, 7)
					if err := wait(co, finished); err != nil {
						return err
					}
					if v, err := tinyio.Timeout(co, finished, d); v != 7 || err != nil {
						t.Errorf("Timeout of a finished coroutine returns %v, %v", v, err)
					}
					if passed(co) != 0 {
						t.Errorf("it took %v", passed(co))
					}
					return nil
				})
				var inside error
				var took time.Duration
				err := virtually(func(co *tinyio.Co) error {
					return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
						err := co.Sleep(time.Hour)
						start := startWatch(co)
						inside = co.Shield(d, func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
						took = start.passed(co)
						return err
					}))
				})
				if !errors.Is(err, errBoom) || !errors.Is(inside, tinyio.ErrCancelled) || took != 0 {
					t.Errorf("Run returns %v, a Shield without grace %v after %v", err, inside, took)
				}
			})
		})
	}
}

// Nil and zero arguments, and sizes that make no sense.
func TestMisuseOfConstructors(t *testing.T) {
	noLeaks(t)
	pool := tinyio.NewThreadPool(1)
	task := func(context.Context) (int, error) { return 0, nil }
	each := func(context.Context, int) (int, error) { return 0, nil }
	cases := map[string]func(){
		"nil function of New":          func() { tinyio.New[int](nil) },
		"nil function of Do":           func() { tinyio.Do(nil) },
		"nil function of RunInThread":  func() { tinyio.RunInThread[int](nil) },
		"nil function of FromCallback": func() { tinyio.FromCallback[int](nil) },
		"nil function of RunInPool":    func() { tinyio.RunInPool[int](pool, nil) },
		"nil pool of RunInPool":        func() { tinyio.RunInPool(nil, task) },
		"nil function of MapInPool":    func() { tinyio.MapInPool[int, int](pool, nil, nil) },
		"nil pool of MapInPool":        func() { tinyio.MapInPool(nil, []int{1}, each) },
		"nil function of Shield":       func() { virtually(func(co *tinyio.Co) error { return co.Shield(time.Second, nil) }) },
		"nil context":                  func() { tinyio.Run(nil, value(0, 1)) },                     //lint:ignore SA1012 that is the misuse
		"nil context of Start":         func() { tinyio.Start(nil, tinyio.NewLoop(), value(0, 1)) }, //lint:ignore SA1012 that is the misuse
		"nil loop":                     func() { tinyio.RunOn(background, nil, value(0, 1)) },
		"zero loop":                    func() { tinyio.RunOn(background, new(tinyio.Loop), value(0, 1)) },
		"nil option":                   func() { tinyio.NewLoop(nil) },
		"nil option of Run":            func() { tinyio.Run(background, value(0, 1), nil) },
		"nil clock":                    func() { tinyio.WithClock(nil) },
		"clock that idles otherwise":   func() { tinyio.WithClock(wrongClock{}) },
		"semaphore of zero":            func() { tinyio.NewSemaphore(0) },
		"semaphore of less":            func() { tinyio.NewSemaphore(-1) },
		"barrier of zero":              func() { tinyio.NewBarrier(0) },
		"barrier of less":              func() { tinyio.NewBarrier(-1) },
		"pool of zero":                 func() { tinyio.NewThreadPool(0) },
		"pool of less":                 func() { tinyio.NewThreadPool(-1) },
		"zero semaphore":               func() { virtually(func(co *tinyio.Co) error { return new(tinyio.Semaphore).Acquire(co) }) },
		"zero semaphore, TryAcquire":   func() { new(tinyio.Semaphore).TryAcquire() },
		"zero barrier": func() {
			virtually(func(co *tinyio.Co) error { _, err := new(tinyio.Barrier).Wait(co); return err })
		},
		"zero pool": func() {
			virtually(func(co *tinyio.Co) error { return wait(co, tinyio.RunInPool(new(tinyio.ThreadPool), task)) })
		},
		"queue of less": func() { tinyio.NewQueue[int](-1) },
		"nil queue, Get": func() {
			virtually(func(co *tinyio.Co) error { _, err := (*tinyio.Queue[int])(nil).Get(co); return err })
		},
		"nil queue, Put": func() {
			virtually(func(co *tinyio.Co) error { return (*tinyio.Queue[int])(nil).Put(co, 1) })
		},
		"nil queue, TryPut":           func() { (*tinyio.Queue[int])(nil).TryPut(1) },
		"nil queue, TryGet":           func() { (*tinyio.Queue[int])(nil).TryGet() },
		"nil queue, Len":              func() { (*tinyio.Queue[int])(nil).Len() },
		"nil queue, Close":            func() { (*tinyio.Queue[int])(nil).Close() },
		"WaitAny of none":             func() { virtually(func(co *tinyio.Co) error { tinyio.WaitAny(co); return nil }) },
		"nil context of Submit":       func() { tinyio.Submit(nil, tinyio.NewLoop(), value(0, 1)) }, //lint:ignore SA1012 that is the misuse
		"nil loop of Submit":          func() { tinyio.Submit(background, nil, value(0, 1)) },
		"zero loop of Submit":         func() { tinyio.Submit(background, new(tinyio.Loop), value(0, 1)) },
		"nil coroutine of Submit":     func() { tinyio.Submit[int](background, tinyio.NewLoop(), nil) },
		"zero coroutine of Submit":    func() { tinyio.Submit(background, tinyio.NewLoop(), new(tinyio.Coro[int])) },
		"nil context of Serve":        func() { tinyio.NewLoop().Serve(nil) }, //lint:ignore SA1012 that is the misuse
		"zero loop of Serve":          func() { new(tinyio.Loop).Serve(background) },
		"nil event":                   func() { virtually(func(co *tinyio.Co) error { return (*tinyio.Event)(nil).Wait(co) }) },
		"release of a free semaphore": func() { tinyio.NewSemaphore(2).Release() },
		"nil semaphore":               func() { virtually(func(co *tinyio.Co) error { return (*tinyio.Semaphore)(nil).Acquire(co) }) },
		"release of a nil semaphore":  func() { (*tinyio.Semaphore)(nil).Release() },
		"nil lock":                    func() { virtually(func(co *tinyio.Co) error { return (*tinyio.Lock)(nil).Acquire(co) }) },
		"release of a nil lock":       func() { (*tinyio.Lock)(nil).Release() },
		"nil pool":                    func() { virtually(func(co *tinyio.Co) error { return (*tinyio.ThreadPool)(nil).Acquire(co) }) },
		"release of a nil pool":       func() { (*tinyio.ThreadPool)(nil).Release() },
		"discard of a nil Runtime":    func() { (*tinyio.Runtime[int])(nil).Discard() },
		"release of too many permits": func() { tinyio.NewSemaphore(2).ReleaseN(1) },
		"release of less than none":   func() { tinyio.NewSemaphore(2).ReleaseN(-1) },
		"permits of a zero semaphore": func() { virtually(func(co *tinyio.Co) error { return new(tinyio.Semaphore).AcquireN(co, 1) }) },
		"less than no permits":        func() { virtually(func(co *tinyio.Co) error { return tinyio.NewSemaphore(2).AcquireN(co, -1) }) },
		"more permits than there are": func() { virtually(func(co *tinyio.Co) error { return tinyio.NewSemaphore(2).AcquireN(co, 3) }) },
		"release of a free lock":      func() { new(tinyio.Lock).Release() },
		"place of a pool nobody has":  func() { tinyio.NewThreadPool(1).Release() },
		"nil function of Call":        func() { virtually(func(co *tinyio.Co) error { _, err := tinyio.Call[int](co, nil); return err }) },
		"nil function of Co.Call":     func() { virtually(func(co *tinyio.Co) error { return co.Call(nil) }) },
		"nil function, interruptible": func() {
			virtually(func(co *tinyio.Co) error { _, err := tinyio.CallInterruptible[int](co, func() {}, nil); return err })
		},
		"nil interrupt": func() {
			virtually(func(co *tinyio.Co) error {
				_, err := tinyio.CallInterruptible(co, nil, func() (int, error) { return 1, nil })
				return err
			})
		},
		"nil context of WithValues": func() {
			virtually(func(co *tinyio.Co) error { co.WithValues(nil); return nil }) //lint:ignore SA1012 that is the misuse
		},
		"nil picker":                   func() { tinyio.WithPicker(nil) },
		"nil observer":                 func() { tinyio.WithObserver(nil) },
		"picker that chooses nobody":   func() { virtually(gatherTwo, tinyio.WithPicker(wrongPicker(-1))) },
		"picker that chooses too far":  func() { virtually(gatherTwo, tinyio.WithPicker(wrongPicker(2))) },
		"Finished of a nil coroutine":  func() { (*tinyio.Coro[int])(nil).Finished() },
		"Finished of a zero coroutine": func() { new(tinyio.Coro[int]).Finished() },
		"value of a fresh coroutine":   func() { value(0, 1).Value() },
		"name of a started coroutine": func() {
			virtually(func(co *tinyio.Co) error {
				c := value(time.Second, 1)
				if err := co.Spawn(c); err != nil {
					return err
				}
				c.Named("too late")
				return nil
			})
		},
		"value of a failed coroutine": func() {
			c := failer(0, errBoom)
			tinyio.Run(background, c)
			c.Value()
		},
	}
	for name, misuse := range cases {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() { wantSentence(t, panicOf(misuse)) })
		})
	}
}

// One Release too many is found even if permits were out before.
func TestMisuseReleaseWithoutAcquire(t *testing.T) {
	noLeaks(t)
	p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			s := tinyio.NewSemaphore(2)
			if err := errors.Join(s.Acquire(co), s.Acquire(co)); err != nil {
				return err
			}
			s.Release()
			s.Release()
			s.Release()
			return nil
		})
	})
	wantSentence(t, p, "Release", "Acquire")
}

// A panic with a nil value is a panic.
func TestMisusePanicWithANilValue(t *testing.T) {
	noLeaks(t)
	for name, c := range map[string]*tinyio.Coro[int]{
		"coroutine": tinyio.New(func(*tinyio.Co) (int, error) { panic(nil) }),
		"thread":    tinyio.RunInThread(func(context.Context) (int, error) { panic(nil) }),
		"callback":  tinyio.FromCallback(func(func(int, error)) func(error) { panic(nil) }),
	} {
		p := panicErrorOf(t, func() { tinyio.Run(background, c) })
		var nilPanic *runtime.PanicNilError
		if !errors.As(p, &nilPanic) {
			t.Errorf("%s: the value is %v", name, p.Value)
		}
	}
}

// A deferred function panics while a crash, a return or another panic unwinds the coroutine.
func TestMisusePanicInsideADeferredCleanUp(t *testing.T) {
	noLeaks(t)
	cases := map[string]func(co *tinyio.Co) error{
		"of a return": func(co *tinyio.Co) error {
			defer panic("clean-up")
			return nil
		},
		"of a crash": func(co *tinyio.Co) error {
			defer func() {
				if co.Err() != nil {
					panic("clean-up")
				}
			}()
			return errors.Join(co.Spawn(failer(time.Second, errBoom)), co.Sleep(time.Hour))
		},
		"of another panic": func(co *tinyio.Co) error {
			defer panic("clean-up")
			panic("first")
		},
		"of a Goexit": func(co *tinyio.Co) error {
			defer panic("clean-up")
			runtime.Goexit()
			return nil
		},
		"of a Goexit, after a wait": func(co *tinyio.Co) error {
			defer func() {
				co.Sleep(time.Second)
				panic("clean-up")
			}()
			runtime.Goexit()
			return nil
		},
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			cleaned := false
			p := panicErrorOf(t, func() {
				virtually(func(co *tinyio.Co) error {
					bystander := tinyio.Do(func(co *tinyio.Co) error {
						defer func() { cleaned = true }()
						return co.Sleep(time.Hour)
					})
					return co.Wait(bystander, tinyio.Do(f))
				})
			})
			if p.Value != "clean-up" || !cleaned {
				t.Errorf("the value is %v, cleaned: %v", p.Value, cleaned)
			}
			if name == "of a crash" && !errors.Is(p, errBoom) {
				t.Errorf("the original error is lost: %v", p)
			}
		})
	}
}

// A coroutine that calls recover recovers from its own panic, and sees no other coroutine's.
func TestMisuseCoroutineThatRecovers(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		v, err := tinyio.New(func(co *tinyio.Co) (v int, err error) {
			defer func() {
				if recover() != nil {
					err = co.Sleep(time.Second)
					v = 7
				}
			}()
			panic("own")
		}).Await(co)
		if v != 7 {
			t.Errorf("the value is %d", v)
		}
		return err
	})
	var recovered any
	p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			nosy := tinyio.Do(func(co *tinyio.Co) error {
				defer func() { recovered = recover() }()
				return co.Sleep(time.Hour)
			})
			return co.Wait(nosy, tinyio.Do(func(co *tinyio.Co) error {
				if err := co.Sleep(time.Second); err != nil {
					return err
				}
				panic("foreign")
			}))
		})
	})
	if p.Value != "foreign" || recovered != nil {
		t.Errorf("Run panics with %v, the other recovers %v", p.Value, recovered)
	}
}

// An error whose comparison or whose methods panic does not take the loop down.
func TestMisuseErrorThatCannotBeCompared(t *testing.T) {
	for name, err := range map[string]error{
		"not comparable": uncomparableError{[]int{1}},
		"Is panics":      panickingError{},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			cleaned := false
			var got error
			p := panicOf(func() {
				got = virtually(func(co *tinyio.Co) error {
					bystander := tinyio.Do(func(co *tinyio.Co) error {
						defer func() { cleaned = true }()
						co.Sleep(time.Hour)
						return err
					})
					return co.Wait(bystander, failer(time.Second, err))
				})
			})
			if !cleaned || got == nil && p == nil {
				t.Errorf("cleaned: %v, Run returns %v, panics with %v", cleaned, got, p)
			}
		})
	}
}

type uncomparableError struct{ detail any }

func (uncomparableError) Error() string { return "uncomparable" }

type panickingError struct{}

func (panickingError) Error() string { return "panicking" }
func (panickingError) Is(error) bool { panic("Is") }

// A loop on a goroutine that is locked to its thread, with threads, a nested loop and a Goexit.
func TestMisuseLoopOnAGoroutineLockedToItsThread(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		succeed(t, func(co *tinyio.Co) error {
			v, err := tinyio.Gather(co, value(time.Second, 1), value(time.Second, 2),
				tinyio.RunInThread(func(context.Context) (int, error) { return 3, nil }),
				tinyio.New(func(co *tinyio.Co) (int, error) {
					return tinyio.Run(co, tinyio.New(func(co *tinyio.Co) (int, error) {
						return value(time.Second, 4).Await(co)
					}), tinyio.WithVirtualTime())
				}))
			if err != nil || len(v) != 4 || v[0]+v[1]+v[2]+v[3] != 10 {
				t.Errorf("got %v, %v", v, err)
			}
			return nil
		})
		r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), value(time.Second, 7))
		for range r.Steps() {
		}
		if v, err := r.Result(); v != 7 || err != nil {
			t.Errorf("a hosted loop gives %d, %v", v, err)
		}
	})
}

// A coroutine may lock its thread if it unlocks it before it waits.
func TestMisuseCoroutineThatLocksItsThreadBetweenWaits(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(tinyio.Do(func(co *tinyio.Co) error {
			runtime.LockOSThread()
			runtime.UnlockOSThread()
			return co.Sleep(time.Second)
		}), sleeper(time.Second))
	})
}

// Go cannot switch from a goroutine that is locked to its thread: the program ends with the reason. That is tested in a process of its own.
func TestMisuseCoroutineThatWaitsWithItsThreadLocked(t *testing.T) {
	if os.Getenv("TINYIO_TEST_LOCKED") != "" {
		virtually(func(co *tinyio.Co) error {
			return co.Wait(sleeper(time.Second), tinyio.Do(func(co *tinyio.Co) error {
				runtime.LockOSThread()
				return co.Sleep(time.Second)
			}))
		})
		return
	}
	crashesTheProgram(t, "TINYIO_TEST_LOCKED=1", "OS thread locking must match")
}

// A wrongPicker picks always the same.
type wrongPicker int

func (p wrongPicker) Pick([]tinyio.ID) int { return int(p) }

func gatherTwo(co *tinyio.Co) error { return co.Wait(sleeper(0), sleeper(0)) }

// A wrongClock has an Idle that no loop calls.
type wrongClock struct{}

func (wrongClock) Now() time.Time { return time.Time{} }
func (wrongClock) Idle() bool     { return false }
