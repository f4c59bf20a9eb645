package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// R30: Call returns exactly what its function returns, and nothing crashes. Others have their turns meanwhile.
func TestCallReturnsWhatItsFunctionReturns(t *testing.T) {
	var log recorder
	done := make(chan bool)
	succeed(t, func(co *tinyio.Co) error {
		if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
			defer close(done)
			for range 3 {
				log.add("turn")
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		})); err != nil {
			return err
		}
		v, err := tinyio.Call(co, func(context.Context) (int, error) {
			<-done
			return 7, errBoom
		})
		log.add("%d, %v, the same: %v", v, err, err == errBoom)
		err = co.Call(func(context.Context) error { return errBoom })
		log.add("%v, the same: %v", err, err == errBoom)
		return co.Yield()
	})
	log.want(t, "turn", "turn", "turn", "7, boom, the same: true", "boom, the same: true")
}

// R30: when the caller is stopped, the context of the function is done, with the cause, and Call returns what the function returns. The
// next wait returns the error.
func TestCallOfACallerThatIsStopped(t *testing.T) {
	for name, shielded := range map[string]bool{"exposed": false, "in a Shield": true} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var log recorder
			_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error { // in real time, or the grace could pass while the goroutine waits for a processor
				caller := tinyio.Do(func(co *tinyio.Co) error {
					call := func(co *tinyio.Co) error {
						release := make(chan bool)
						if shielded {
							close(release)
						}
						v, err := tinyio.Call(co, func(ctx context.Context) (string, error) {
							select {
							case <-ctx.Done():
								return "late", context.Cause(ctx)
							case <-release:
								time.Sleep(time.Millisecond) // long enough for the failure
								return "in time", ctx.Err()
							}
						})
						log.add("%q, %v; then %v", v, err, co.Yield())
						return nil
					}
					if shielded {
						return co.Shield(time.Hour, call)
					}
					return call(co)
				})
				return co.Wait(caller, tinyio.Do(func(*tinyio.Co) error { return errBoom }))
			}))
			wantError(t, "Run", err, errBoom)
			if shielded {
				log.want(t, `"in time", <nil>; then <nil>`)
			} else {
				log.want(t, `"late", boom; then tinyio: cancelled because of: boom`)
			}
		})
	}
}

// R30: the function of a caller that has been stopped before is not called, unless the caller is in a Shield.
func TestCallByOneThatIsStoppedAlready(t *testing.T) {
	var log recorder
	crash(t, func(co *tinyio.Co) error {
		return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
			stop := co.Sleep(time.Hour)
			v, err := tinyio.Call(co, func(context.Context) (int, error) {
				t.Error("the function is called")
				return 7, nil
			})
			log.add("%d, the caller's own: %v", v, err == stop)
			err = co.Shield(time.Hour, func(co *tinyio.Co) error {
				v, err := tinyio.Call(co, func(ctx context.Context) (int, error) { return 7, ctx.Err() })
				log.add("%d, %v", v, err)
				return nil
			})
			return err
		}))
	})
	log.want(t, "0, the caller's own: true", "7, <nil>")
}

// R30: a panic of the function happens at Call, with the stack where it happened, and so does a Goexit.
func TestCallOfAFunctionThatDoesNotReturn(t *testing.T) {
	noLeaks(t)
	calls := map[string]func(co *tinyio.Co, f func()){
		"Call": func(co *tinyio.Co, f func()) {
			co.Call(func(context.Context) error { f(); return nil })
		},
		"CallInterruptible": func(co *tinyio.Co, f func()) {
			tinyio.CallInterruptible(co, func() {}, func() (int, error) { f(); return 0, nil })
		},
	}
	for name, call := range calls {
		recovered := false
		p := panicErrorOf(t, func() {
			virtually(func(co *tinyio.Co) error {
				defer func() {
					p := recover()
					inner, ok := p.(*tinyio.PanicError)
					recovered = ok && inner.Value == "ouch"
					panic(p)
				}()
				call(co, func() { panic("ouch") })
				t.Errorf("%s returns", name)
				return nil
			})
		})
		if p.Value != "ouch" || !recovered || !strings.Contains(string(p.Stack), "call_test.go") {
			t.Errorf("%s: the panic is %v", name, p)
		}
		exited := make(chan bool)
		go func() {
			returned := false
			defer func() { exited <- !returned }()
			virtually(func(co *tinyio.Co) error {
				call(co, runtime.Goexit)
				t.Errorf("%s returns", name)
				return nil
			})
			returned = true
		}()
		if !<-exited {
			t.Errorf("%s: Run does not exit", name)
		}
	}
}

// R30: interrupt is called once, when the caller is stopped and the function runs, and has returned before CallInterruptible does.
func TestCallInterruptible(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			stop time.Duration // when the caller is
			want int32         // interruptions
		}{"in time": {2 * time.Second, 0}, "stopped": {time.Second / 2, 1}} {
			var interruptions atomic.Int32
			interrupted := make(chan bool)
			_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
				caller := tinyio.New(func(co *tinyio.Co) (string, error) {
					v, err := tinyio.CallInterruptible(co, func() {
						if interruptions.Add(1) == 1 {
							close(interrupted)
						}
					}, func() (string, error) {
						select {
						case <-interrupted:
							return "interrupted", errBoom
						case <-time.After(time.Second):
							return "in time", nil
						}
					})
					if (test.want > 0) != (v == "interrupted") || (test.want > 0) != (err == errBoom) {
						t.Errorf("%s: it returns %q, %v", name, v, err)
					}
					return v, nil
				})
				_, err := tinyio.Timeout(co, caller, test.stop)
				if err != nil {
					return err
				}
				return co.Sleep(time.Hour)
			}))
			synctest.Wait()
			if err != nil || interruptions.Load() != test.want {
				t.Errorf("%s: %v, after %d interruptions", name, err, interruptions.Load())
			}
		}
	})
}

// R10: a command that is killed because its time is up is a clean-up error like any other. The caller carries on.
func TestTimeoutOfACommandCanBeSurvived(t *testing.T) {
	noLeaks(t)
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skip(err)
	}
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, tinyio.RunInThread(func(ctx context.Context) (tinyio.Void, error) {
			return tinyio.Void{}, exec.CommandContext(ctx, "sleep", "100").Run()
		}), 10*time.Millisecond)
		var killed *exec.ExitError
		if !errors.Is(err, tinyio.ErrTimeout) || !errors.As(err, &killed) {
			t.Errorf("Timeout returns %v", err)
		}
		return co.Yield()
	}))
	if err != nil {
		t.Error(err)
	}
}

// The result of a Call is not lost when the caller is stopped: a file that was opened can be closed.
func TestCallOpensAFileInACrash(t *testing.T) {
	noLeaks(t)
	name := t.TempDir() + "/file"
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := 0
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for range 50 {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				f, err := tinyio.Call(co, func(context.Context) (*os.File, error) { return os.Open(name) })
				if err != nil {
					return err
				}
				defer func() { f.Close(); closed++ }()
				return co.Sleep(time.Hour)
			}))
		}
		if err := co.Spawn(cs...); err != nil {
			return err
		}
		return errBoom
	}))
	if !errors.Is(err, errBoom) || closed != 50 {
		t.Errorf("Run returns %v, %d files were closed", err, closed)
	}
}

// R30: interrupt is called once, even if the caller is stopped for several reasons while fn runs.
func TestCallInterruptibleOfACallerThatIsStoppedTwice(t *testing.T) {
	noLeaks(t)
	within(t, func() {
		interrupts := 0
		stoppedAgain := make(chan struct{})
		err := virtually(func(co *tinyio.Co) error {
			c := tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.CallInterruptible(co, func() { interrupts++ }, func() (int, error) {
					<-stoppedAgain
					return 0, nil
				})
				return err
			})
			canceller := tinyio.Do(func(co *tinyio.Co) error { return c.Cancel(co, nil) })
			if err := errors.Join(co.Spawn(c), co.Yield(), co.Spawn(canceller)); err != nil {
				return err
			}
			defer close(stoppedAgain)
			defer co.Shield(time.Minute, (*tinyio.Co).Yield) // when everybody has been cancelled
			return errBoom
		})
		if !errors.Is(err, errBoom) || interrupts != 1 {
			t.Errorf("Run returns %v after %d interrupts", err, interrupts)
		}
	})
}

// R14, R30: a panic of interrupt happens at the call, when fn has returned, and so does a Goexit.
func TestInterruptThatDoesNotReturn(t *testing.T) {
	for name, how := range endings {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			returned := make(chan tinyio.Void)
			var after, recovered bool
			run := func() {
				virtually(func(co *tinyio.Co) error {
					calls := tinyio.Do(func(co *tinyio.Co) error {
						defer func() {
							select {
							case <-returned:
								after = true
							default:
							}
						}()
						_, err := tinyio.CallInterruptible(co, func() { close(returned); how.end() }, func() (int, error) { <-returned; return 1, nil })
						recovered = true
						return err
					})
					return co.Wait(calls, failer(time.Second, errBoom))
				})
			}
			if name == "exit" {
				how.want(t, run)
			} else if p := panicErrorOf(t, run); p.Value != "ouch" || !errors.Is(p, errBoom) {
				t.Errorf("Run panics with %v", p)
			}
			if !after || recovered {
				t.Errorf("after fn: %v; it goes on: %v", after, recovered)
			}
		})
	}
}

// R30, R33: interrupt is called only while the function runs. If a host has not begun the function when the caller is stopped, it does not
// run. If a host has its result from a record, it is not interrupted.
func TestCallInterruptibleThatAHostHasNotBegun(t *testing.T) {
	noLeaks(t)
	for name, end := range map[string]func(th *hook.Thread) (v int, err string){
		"run": func(th *hook.Thread) (int, string) {
			th.Run()
			th.Return()
			return 0, "tinyio: cancelled because of: boom"
		},
		"replayed": func(th *hook.Thread) (int, string) {
			th.Replay(func(v any) error { *v.(*int) = 7; return nil })
			return 7, "<nil>"
		},
		"failed": func(th *hook.Thread) (int, string) { th.Fail(errors.New("no host")); return 0, "no host" },
	} {
		t.Run(name, func(t *testing.T) {
			var thread *hook.Thread
			var v int
			var err error
			succeed(t, func(co *tinyio.Co) error {
				calls := tinyio.Do(func(co *tinyio.Co) error {
					v, err = tinyio.CallInterruptible(co, func() { t.Error("it is interrupted") }, func() (int, error) {
						t.Error("it runs")
						return 1, nil
					})
					return co.Err()
				})
				var want int
				var wantErr string
				ends := tinyio.Do(func(co *tinyio.Co) error {
					err := co.Sleep(1) // until Cancel has stopped the caller
					want, wantErr = end(thread)
					return err
				})
				if err := co.Spawn(calls, ends); err != nil {
					return err
				}
				if err := calls.Cancel(co, errBoom); err != nil {
					t.Errorf("Cancel returns %v", err)
				}
				if v != want || fmt.Sprint(err) != wantErr {
					t.Errorf("CallInterruptible returns %d, %v; want %d, %s", v, err, want, wantErr)
				}
				return nil
			}, tinyio.WithThreads(func(th *hook.Thread) { thread = th }))
		})
	}
}
