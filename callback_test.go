package tinyio_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
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

// R14, R21: a cancel function that does not return ends the coroutine, although nobody calls done.
func TestCancelFunctionThatDoesNotReturn(t *testing.T) {
	for name, how := range endings {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
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
					return co.Wait(failer(time.Second, errBoom), tinyio.FromCallback(func(func(int, error)) func(error) {
						return func(error) { how.end() }
					}))
				})
			})
		})
	}
}

// R14, R21: a start function that does not return has the last word, be it that done has been called before, in it or by
// another goroutine that is still at it. Nothing arrives in a later run.
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
