package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// endings are the ways in which a function ends that does not return, and what Run does then.
var endings = map[string]struct {
	end  func()
	want func(t *testing.T, run func())
}{
	"panic": {
		func() { panic("ouch") },
		func(t *testing.T, run func()) {
			t.Helper()
			if p := panicErrorOf(t, run); p.Value != "ouch" || !strings.Contains(string(p.Stack), "callback_test.go") {
				t.Errorf("Run panics with %v", p)
			}
		},
	},
	"exit": {
		runtime.Goexit,
		func(t *testing.T, run func()) {
			t.Helper()
			exited := make(chan bool)
			go func() {
				returned := false
				defer func() { exited <- !returned && recover() == nil }()
				run()
				returned = true
			}()
			if !<-exited {
				t.Error("Run does not call runtime.Goexit")
			}
		},
	},
}

// R21: done may be called inside start, from another coroutine's turn, or from any goroutine; later calls do nothing.
func TestFromCallbackIsCompletedOnce(t *testing.T) {
	noLeaks(t)
	var starts int
	callback := func(finish func(done func(int, error))) *tinyio.Coro[int] {
		return tinyio.FromCallback(func(done func(int, error)) func(error) {
			starts++
			finish(done)
			return nil
		})
	}
	var later func(int, error)
	var called sync.WaitGroup
	called.Add(1)
	cs := []*tinyio.Coro[int]{
		callback(func(done func(int, error)) { done(1, nil); done(-1, errBoom) }),
		callback(func(done func(int, error)) { later = done }),
		callback(func(done func(int, error)) {
			go func() {
				defer called.Done()
				done(3, nil)
				done(-3, errBoom)
			}()
		}),
	}
	succeed(t, func(co *tinyio.Co) error {
		if starts != 0 {
			t.Error("a start function is called before the coroutine is wanted")
		}
		completer := tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(time.Second)
			later(2, nil)
			later(-2, nil)
			return err
		})
		if err := co.Spawn(completer); err != nil {
			return err
		}
		for range 2 {
			v, err := tinyio.Gather(co, cs...)
			if err != nil || !slices.Equal(v, []int{1, 2, 3}) {
				t.Errorf("got %v, %v", v, err)
			}
		}
		called.Wait()
		return nil
	})
	if starts != 3 {
		t.Errorf("%d starts, want 3", starts)
	}
}

// R21: cancel is called once, with the cause, when the coroutine is cancelled or halted; it ends only when done is called.
func TestCancelIsCalledOnceAndDoneEndsIt(t *testing.T) {
	stops := map[string]func(co *tinyio.Co, c *tinyio.Coro[int]) error{
		"cancelled": func(co *tinyio.Co, c *tinyio.Coro[int]) error { return co.Wait(c, failer(time.Second, errBoom)) },
		"halted": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			_, err := tinyio.Timeout(co, c, time.Second)
			return err
		},
		"halted, then cancelled": func(co *tinyio.Co, c *tinyio.Coro[int]) error {
			if err := co.Spawn(failer(2*time.Second, errBoom)); err != nil {
				return err
			}
			_, err := tinyio.Timeout(co, c, time.Second)
			return err
		},
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var causes []error
			var ended time.Duration
			var own error
			err := virtually(func(co *tinyio.Co) error {
				var done func(int, error)
				start := startWatch(co)
				c := tinyio.FromCallback(func(d func(int, error)) func(error) {
					done = d
					return func(cause error) { causes = append(causes, cause) }
				})
				completer := tinyio.Do(func(co *tinyio.Co) error {
					return co.Shield(time.Hour, func(co *tinyio.Co) error {
						err := co.Sleep(5 * time.Second)
						done(0, context.Canceled)
						done(0, nil)
						return err
					})
				})
				if err := co.Spawn(completer); err != nil {
					return err
				}
				own = stop(co, c)
				ended = start.passed(co)
				return own
			})
			if err == nil || len(causes) != 1 || ended != 5*time.Second {
				t.Errorf("Run returns %v, cancel gets %v, it ends after %v", err, causes, ended)
			}
			if len(causes) == 1 && causes[0] != errBoom && causes[0] != own && !errors.Is(causes[0], tinyio.ErrTimeout) {
				t.Errorf("the cause is %v", causes[0])
			}
		})
	}
}

// R1, R21: what a cancel function completes becomes ready at once, before those whose waits end after that of its coroutine.
func TestCancelThatCallsDoneKeepsTheOrder(t *testing.T) {
	noLeaks(t)
	var log recorder
	awaits := func(name string, c tinyio.Awaitable) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			err := co.Wait(c)
			log.add("%s", name)
			return err
		})
	}
	err := virtually(func(co *tinyio.Co) error {
		var doneOfOther func(int, error)
		other := tinyio.FromCallback(func(done func(int, error)) func(error) {
			doneOfOther = done
			return nil
		})
		callback := tinyio.FromCallback(func(done func(int, error)) func(error) {
			return func(cause error) {
				done(0, cause)
				doneOfOther(0, cause)
			}
		})
		return co.Wait(awaits("callback", callback), awaits("sleeper", sleeper(time.Hour)), awaits("other", other),
			failer(time.Second, errBoom))
	})
	wantError(t, "Run", err, errBoom)
	log.want(t, "callback", "other", "sleeper")
}

// R21: cancel is not called after done, nor when the coroutine has ended by itself.
func TestCancelIsNotCalledAfterDone(t *testing.T) {
	crash(t, func(co *tinyio.Co) error {
		completed := tinyio.FromCallback(func(done func(int, error)) func(error) {
			done(1, nil)
			return func(error) { t.Error("cancel is called") }
		})
		if err := wait(co, completed); err != nil {
			return err
		}
		// This one is done, and has not had its last turn, when the crash comes.
		ready := tinyio.FromCallback(func(done func(int, error)) func(error) {
			done(1, nil)
			return func(error) { t.Error("cancel is called") }
		})
		return co.Wait(ready, tinyio.Do(func(*tinyio.Co) error { return errBoom }))
	})
}

// R14, R21: if a cancel function does not return, the coroutine ends, whether the function has called done before or nobody ever does.
// Everybody else is cleaned up.
func TestCancelFunctionThatDoesNotReturn(t *testing.T) {
	for name, how := range endings {
		for _, called := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, done called: %v", name, called), func(t *testing.T) {
				noLeaks(t)
				cleaned := false
				how.want(t, func() {
					defer func() {
						if p := recover(); p != nil {
							if !errors.Is(p.(*tinyio.PanicError), errBoom) {
								t.Errorf("the panic is %v, want the original error in it", p)
							}
							panic(p)
						}
					}()
					virtually(func(co *tinyio.Co) error {
						bystander := tinyio.Do(func(co *tinyio.Co) error {
							defer func() { cleaned = true }()
							return co.Sleep(time.Hour)
						})
						return co.Wait(bystander, failer(time.Second, errBoom), tinyio.FromCallback(func(done func(int, error)) func(error) {
							return func(cause error) {
								if called {
									done(0, cause)
								}
								how.end()
							}
						}))
					})
				})
				if !cleaned {
					t.Error("another coroutine has not cleaned up")
				}
			})
		}
	}
}

// R14, R21: if a start function does not return, the coroutine ends as that did, even if start or another goroutine has called done before,
// or is calling it. Nothing arrives in a later run.
func TestStartFunctionThatDoesNotReturn(t *testing.T) {
	type start = func(done func([]byte, error))
	begin := make(chan func([]byte, error))
	starts := map[string]start{
		"done is not called":       func(func([]byte, error)) {},
		"done is called before":    func(done func([]byte, error)) { done(nil, nil) },
		"done is called elsewhere": func(done func([]byte, error)) { begin <- done },
		"done is called elsewhere, and has returned": func(done func([]byte, error)) {
			begin <- done
			begin <- nil
		},
	}
	for name, how := range endings {
		for called, start := range starts {
			t.Run(name+", "+called, func(t *testing.T) {
				noLeaks(t)
				stop := make(chan bool)
				defer close(stop)
				go func() {
					for {
						select {
						case done := <-begin:
							if done != nil {
								done(make([]byte, 1<<16), errBoom)
							}
						case <-stop:
							return
						}
					}
				}()
				l := tinyio.NewLoop()
				for range 20 {
					how.want(t, func() {
						tinyio.RunOn(background, l, tinyio.FromCallback(func(done func([]byte, error)) func(error) {
							start(done)
							how.end()
							return nil
						}))
					})
				}
				if v, err := tinyio.RunOn(background, l, tinyio.RunInThread(func(context.Context) (int, error) { return 7, nil })); v != 7 || err != nil {
					t.Errorf("the next run gives %d, %v", v, err)
				}
			})
		}
	}
}
