package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R7: an error crashes the loop: everybody else is cancelled, and Run returns the original error.
func TestErrorCancelsEverybodyElse(t *testing.T) {
	noLeaks(t)
	var log recorder
	victim := func(name string, d time.Duration) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			err := co.Sleep(d)
			log.add("%s: %v", name, err)
			return err
		})
	}
	err := virtually(func(co *tinyio.Co) error {
		if err := co.Spawn(victim("spawned", time.Hour)); err != nil {
			return err
		}
		start := startWatch(co)
		err := co.Wait(victim("early", time.Second), victim("late", time.Hour), failer(time.Minute, errBoom))
		log.add("root: %v after %v", err, start.passed(co))
		return err
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
	log.want(t, "early: <nil>",
		"spawned: tinyio: cancelled because of: boom",
		"late: tinyio: cancelled because of: boom",
		"root: tinyio: cancelled because of: boom after 1m0s")
}

// R7: no coroutine carries on after a failure unaware of it: one that awaits the failed coroutine gets an error too, and so does one that was
// ready to run.
func TestNobodyCarriesOnUnaware(t *testing.T) {
	noLeaks(t)
	var ready, awaiter error
	err := virtually(func(co *tinyio.Co) error {
		failing := tinyio.Do(func(co *tinyio.Co) error { return errBoom })
		spinner := tinyio.Do(func(co *tinyio.Co) error {
			for ready == nil {
				ready = co.Yield()
			}
			return nil
		})
		if err := co.Spawn(spinner); err != nil {
			return err
		}
		awaiter = wait(co, failing)
		return nil // which does not hide the failure
	})
	wantError(t, "Run", err, errBoom)
	for _, err := range []error{ready, awaiter} {
		var cancelled *tinyio.CancelledError
		if !errors.As(err, &cancelled) || cancelled.Cause != errBoom {
			t.Errorf("a coroutine hears %v", err)
		}
	}
}

// R10: what a cancelled coroutine may return to have stopped cleanly, and what is a clean-up error.
func TestCleanStops(t *testing.T) {
	errOther := errors.New("other")
	cases := []struct {
		name  string
		stop  func(co *tinyio.Co, err error) error
		clean bool
	}{
		{"nil", func(*tinyio.Co, error) error { return nil }, true},
		{"the error", func(_ *tinyio.Co, err error) error { return err }, true},
		{"wrapped", func(_ *tinyio.Co, err error) error { return fmt.Errorf("while reading: %w", err) }, true},
		{"ErrCancelled", func(*tinyio.Co, error) error { return tinyio.ErrCancelled }, true},
		{"context.Canceled", func(*tinyio.Co, error) error { return fmt.Errorf("get: %w", context.Canceled) }, true},
		{"Err", func(co *tinyio.Co, _ error) error { return co.Err() }, true},
		{"the cause", func(co *tinyio.Co, _ error) error { return context.Cause(co) }, true},
		{"the original", func(*tinyio.Co, error) error { return errBoom }, true},
		{"the original, wrapped", func(*tinyio.Co, error) error { return fmt.Errorf("oh: %w", errBoom) }, true},
		{"joined with another", func(_ *tinyio.Co, err error) error { return errors.Join(err, errOther) }, false},
		{"joined with the original", func(_ *tinyio.Co, err error) error { return errors.Join(err, errBoom) }, true},
		{"another", func(*tinyio.Co, error) error { return errOther }, false},
		{"ErrTimeout", func(*tinyio.Co, error) error { return tinyio.ErrTimeout }, false},
		{"the original's text", func(*tinyio.Co, error) error { return errors.New("boom") }, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			err := virtually(func(co *tinyio.Co) error {
				return co.Wait(failer(time.Second, errBoom), tinyio.Do(func(co *tinyio.Co) error {
					return c.stop(co, co.Sleep(time.Hour))
				}))
			})
			var group *tinyio.ErrorGroup
			if isGroup := errors.As(err, &group); isGroup == c.clean || !errors.Is(err, errBoom) {
				t.Errorf("Run returns %v", err)
			}
		})
	}
}

// R10: an error that looks like a cancellation is an error like any other in a coroutine that was not cancelled.
func TestCancellationErrorOfOneThatWasNotCancelledIsAFailure(t *testing.T) {
	noLeaks(t)
	for _, failure := range []error{context.Canceled, tinyio.ErrCancelled, &tinyio.CancelledError{Cause: errBoom}} {
		err := virtually(func(co *tinyio.Co) error { return failure })
		if !errors.Is(err, failure) {
			t.Errorf("Run returns %v, want %v", err, failure)
		}
	}
}

// R14: a panic crashes the loop the same way, and Run panics with a PanicError that has everything in it.
func TestPanicCancelsEverybodyAndComesOutOfRun(t *testing.T) {
	noLeaks(t)
	var log recorder
	var root, panicking tinyio.Frame
	p := panicErrorOf(t, func() {
		tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			sibling := tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Hour)
				log.add("sibling: %v", err != nil)
				return err
			})
			failing := tinyio.Do(func(co *tinyio.Co) error {
				panicking = here("failing", -1)
				defer log.add("deferred")
				panicDeepDown()
				return nil
			}).Named("failing")
			root = here("root", 1)
			err := co.Wait(sibling, failing)
			log.add("root: %v", err != nil)
			return err
		}).Named("root"))
	})
	log.want(t, "deferred", "sibling: true", "root: true")
	if p.Value != "deep down" {
		t.Errorf("the value is %v", p.Value)
	}
	if !strings.Contains(string(p.Stack), "panicDeepDown") {
		t.Errorf("the stack is not that of the panic:\n%s", p.Stack)
	}
	wantFrames(t, p.Trace, root, panicking)
	text := p.Error()
	for _, part := range []string{"deep down", "panicDeepDown", "root", "failing", fmt.Sprint(root.Line), fmt.Sprint(panicking.Line)} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in the text:\n%s", part, text)
		}
	}
}

// R14: a Goexit cleans up everything and then goes on in the goroutine that called Run.
func TestGoexitGoesOnInTheGoroutineThatCalledRun(t *testing.T) {
	noLeaks(t)
	exits := map[string]tinyio.Awaitable{
		"coroutine": tinyio.Do(func(co *tinyio.Co) error {
			runtime.Goexit()
			return nil
		}),
		"thread": tinyio.RunInThread(func(context.Context) (int, error) {
			runtime.Goexit()
			return 0, nil
		}),
		"start of a callback": tinyio.FromCallback(func(func(int, error)) func(error) {
			runtime.Goexit()
			return nil
		}),
		"after a suspension": tinyio.Do(func(co *tinyio.Co) error {
			defer runtime.Goexit()
			return co.Sleep(time.Second)
		}),
		"isolated": tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				runtime.Goexit()
				return nil
			}))
			return err
		}),
	}
	for name, exit := range exits {
		t.Run(name, func(t *testing.T) {
			var log recorder
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer log.add("the caller's deferred call")
				virtually(func(co *tinyio.Co) error {
					sibling := tinyio.Do(func(co *tinyio.Co) error {
						err := co.Sleep(time.Hour)
						log.add("sibling: %v", errors.Is(err, tinyio.ErrCancelled))
						return err
					})
					return co.Wait(sibling, exit)
				})
				log.add("Run returns")
			}()
			<-ended
			log.want(t, "sibling: true", "the caller's deferred call")
		})
	}
}

// R14: a SkipNow inside a coroutine, like a FailNow, ends the test that called Run.
func TestSkipNowInsideACoroutine(t *testing.T) {
	noLeaks(t)
	skipped, returned := false, false
	t.Run("inner", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		virtually(func(co *tinyio.Co) error {
			return wait(co, tinyio.Do(func(co *tinyio.Co) error {
				t.SkipNow()
				return nil
			}))
		})
		returned = true
	})
	if !skipped || returned {
		t.Errorf("skipped: %v, Run returned: %v", skipped, returned)
	}
}

// R14: a PanicError that passes through an outer loop is not wrapped again, and loses nothing.
func TestNestedPanicIsNotWrappedAgain(t *testing.T) {
	noLeaks(t)
	errCleanUp := errors.New("clean-up of the inner loop")
	var inner *tinyio.PanicError
	outer := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			defer func() {
				inner = recover().(*tinyio.PanicError)
				panic(inner)
			}()
			return virtually(func(co *tinyio.Co) error {
				cleaner := tinyio.Do(func(co *tinyio.Co) error {
					co.Sleep(time.Hour)
					return errCleanUp
				})
				return co.Wait(cleaner, tinyio.Do(func(co *tinyio.Co) error { panic("inner") }))
			})
		})
	})
	if outer != inner {
		t.Errorf("it is not the same: %v", outer)
	}
	if outer.Value != "inner" || len(outer.Trace) != 2 || !strings.Contains(outer.Error(), "inner") {
		t.Errorf("it is %v, %v", outer.Value, outer.Trace)
	}
	if !errors.Is(outer, errCleanUp) || !strings.Contains(outer.Error(), errCleanUp.Error()) {
		t.Errorf("the clean-up error is lost: %v", outer)
	}
}

// R15: what Run returns in each mode, with and without errors of clean-up.
func TestErrorGroups(t *testing.T) {
	errFirst, errSecond := errors.New("first clean-up"), errors.New("second clean-up")
	program := func(dirty bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			cleaner := func(name string, takes time.Duration, err error) tinyio.Awaitable {
				return tinyio.Do(func(co *tinyio.Co) error {
					stop := co.Sleep(time.Hour)
					co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(takes) })
					if dirty {
						return err
					}
					return stop
				}).Named(name)
			}
			return co.Wait(cleaner("slow", 2*time.Second, errSecond), cleaner("quick", time.Second, errFirst),
				failer(time.Second, errBoom), sleeper(time.Hour))
		}
	}
	cases := []struct {
		name  string
		mode  tinyio.GroupMode
		dirty bool
		want  []string // of a group; one text without
	}{
		{"auto, clean", tinyio.GroupAuto, false, []string{"boom"}},
		{"auto, dirty", tinyio.GroupAuto, true, []string{"boom", "first clean-up", "second clean-up"}},
		{"never, clean", tinyio.GroupNever, false, []string{"boom"}},
		{"never, dirty", tinyio.GroupNever, true, []string{"boom"}},
		{"always, clean", tinyio.GroupAlways, false, []string{"boom", "cancelled", "cancelled", "cancelled", "cancelled"}},
		{"always, dirty", tinyio.GroupAlways, true,
			[]string{"boom", "first clean-up", "second clean-up", "cancelled", "cancelled", "cancelled", "cancelled"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			err := virtually(program(c.dirty), tinyio.WithErrorGroup(c.mode))
			wantGroup := len(c.want) > 1 || c.mode == tinyio.GroupAlways
			group, isGroup := err.(*tinyio.ErrorGroup)
			if isGroup != wantGroup {
				t.Fatalf("Run returns %T %v", err, err)
			}
			got := []string{err.Error()}
			if isGroup {
				got = texts(group.Errs)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("Run returns %q, want %q", got, c.want)
			}
			if !errors.Is(err, errBoom) || errors.Is(err, errFirst) != (c.dirty && wantGroup) {
				t.Error("errors.Is does not see through it")
			}
			if cancelled := new(tinyio.CancelledError); errors.As(err, &cancelled) != (c.mode == tinyio.GroupAlways) {
				t.Error("errors.As does not see through it")
			}
			if traced := new(tinyio.Error); !errors.As(err, &traced) || traced.Err != errBoom {
				t.Errorf("the first error with a trace is %v", traced)
			}
		})
	}
}

// R15: a group prints its errors, and with %+v their chains.
func TestErrorGroupPrints(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		cleaner := tinyio.Do(func(co *tinyio.Co) error {
			co.Sleep(time.Hour)
			return errors.New("clean-up")
		}).Named("cleaner")
		return co.Wait(cleaner, failer(time.Second, errBoom).Named("failing"))
	})
	const plain = "boom\nwhile stopping: clean-up"
	if err.Error() != plain || fmt.Sprint(err) != plain || fmt.Sprintf("%q", err) != fmt.Sprintf("%q", plain) {
		t.Errorf("it prints %v", err)
	}
	long := fmt.Sprintf("%+v", err)
	for _, part := range []string{"boom", "clean-up", "cleaner", "failing", "failure_test.go:"} {
		if !strings.Contains(long, part) {
			t.Errorf("%q is not in\n%s", part, long)
		}
	}
}

// R16: a crash in which every coroutine on a long chain of awaits has a clean-up error of its own takes time and memory in proportion to the
// chain. The first of their chains are whole. The later ones begin where they branch off that of the original error, and say so.
func TestCleanUpErrorsOfALongChain(t *testing.T) {
	noLeaks(t)
	const n = 2000
	var level func(k int) *tinyio.Coro[tinyio.Void]
	level = func(k int) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			if k == n {
				return errBoom
			}
			if err := wait(co, level(k+1)); err == nil {
				t.Errorf("level %d is not cancelled", k)
			}
			return fmt.Errorf("level %d", k)
		}).Named(fmt.Sprint(k))
	}
	_, err := tinyio.Run(background, level(0))
	var group *tinyio.ErrorGroup
	if !errors.As(err, &group) || len(group.Errs) != n+1 {
		t.Fatalf("Run returns a %T", err)
	}
	frames := 0
	for i, err := range group.Errs {
		trace := err.(*tinyio.Error).Trace
		frames += len(trace)
		cut := strings.Contains(fmt.Sprintf("%+v", err), "from where it branches off that of the original error")
		switch first := trace[0].Coro; {
		case trace[len(trace)-1].Coro != fmt.Sprint(n-i):
			t.Fatalf("error %d, %v, is of %s", i, err, trace[len(trace)-1].Coro)
		case !cut && first != "0":
			t.Fatalf("the chain of error %d begins with %s", i, first)
		case cut && (first != fmt.Sprint(n-i-1) || len(trace) != 2):
			t.Fatalf("the chain of error %d has %d frames and begins with %s", i, len(trace), first)
		case cut != (i > 5 && i < n-1):
			t.Fatalf("the chain of error %d is cut: %v", i, cut)
		}
	}
	if frames > 20_000 {
		t.Errorf("there are %d frames", frames)
	}
}

// A badError has a method that does not return.
type badError struct{ end func() }

func (badError) Error() string   { return "bad" }
func (b badError) Is(error) bool { b.end(); return false }

// errCleanup is a clean-up error.
var errCleanup = errors.New("clean-up")

// occurrences returns how often errCleanup is in the tree of err.
func occurrences(err error) (n int) {
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return occurrences(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			n += occurrences(err)
		}
	}
	if err == errCleanup {
		n++
	}
	return n
}

// R10, R13, R18, R25, R27: a clean-up error is reported once: to the call that caused the stop or, if that call is itself stopped, to whoever
// caused this; if that one has gone, or if only daemons were left, it is a failure of the domain.
func TestEachCleanUpErrorIsReportedOnce(t *testing.T) {
	// victim sleeps until it is stopped, cleans up for d, and fails in that.
	victim := func(d time.Duration) *tinyio.Coro[int] { return stubborn(0, time.Hour, d, errCleanup) }
	// nested calls fn in a Shield with a grace of inner inside one of outer.
	nested := func(co *tinyio.Co, outer, inner time.Duration, fn func(co *tinyio.Co) error) error {
		return co.Shield(outer, func(co *tinyio.Co) error { return co.Shield(inner, fn) })
	}
	type teller func(call string, err error)
	cases := []struct {
		name    string
		program func(co *tinyio.Co, tell teller) error
		told    string
	}{
		{"a Timeout in nested Shields of a daemon, in a crash, and a Timeout that is refused after it", func(co *tinyio.Co, tell teller) error {
			return errors.Join(co.SpawnDaemon(tinyio.Do(func(co *tinyio.Co) error {
				err := nested(co, 0, 7*time.Second, func(co *tinyio.Co) error {
					_, err := tinyio.Timeout(co, victim(0), 6*time.Second)
					tell("Timeout", err)
					return nil
				})
				_, stop := tinyio.Timeout(co, victim(0), time.Second)
				tell("second Timeout", stop)
				return errors.Join(err, stop)
			})), wait(co, failer(time.Second, errBoom)))
		}, "Timeout"},
		{"a grace ends in the step of a Timeout, and the Shield around goes on", func(co *tinyio.Co, tell teller) error {
			c := tinyio.Do(func(co *tinyio.Co) error {
				return nested(co, 10*time.Second, 5*time.Second, func(co *tinyio.Co) error {
					_, err := tinyio.Timeout(co, victim(0), 6*time.Second)
					tell("Timeout", err)
					return nil
				})
			})
			return co.Wait(c, failer(time.Second, errBoom))
		}, "Timeout"},
		{"both graces end in the step of a Timeout, which was set before", func(co *tinyio.Co, tell teller) error {
			c := tinyio.Do(func(co *tinyio.Co) error {
				return nested(co, 5*time.Second, 5*time.Second, func(co *tinyio.Co) error {
					_, err := tinyio.Timeout(co, victim(0), 6*time.Second)
					tell("Timeout", err)
					return nil
				})
			})
			return co.Wait(c, failer(time.Second, errBoom))
		}, "Run"}, // the caller is stopped before its Timeout returns
		{"both graces end in the step of a Timeout, which was set after", func(co *tinyio.Co, tell teller) error {
			c := tinyio.Do(func(co *tinyio.Co) error {
				return nested(co, 5*time.Second, 5*time.Second, func(co *tinyio.Co) error {
					err := co.Sleep(2 * time.Second)
					_, late := tinyio.Timeout(co, victim(0), 4*time.Second)
					tell("Timeout", late)
					return err
				})
			})
			return co.Wait(c, failer(time.Second, errBoom))
		}, "Run"},
		{"a Cancel, in a Shield, of one that is in it", func(co *tinyio.Co, tell teller) error {
			c := shielded(time.Hour, func(co *tinyio.Co) error {
				v := victim(10 * time.Second)
				err := errors.Join(co.Spawn(v), co.Sleep(time.Second))
				tell("Cancel", v.Cancel(co, nil))
				return err
			})
			return co.Wait(c, failer(time.Second, errBoom))
		}, "Cancel"},
		{"a Cancel that a crash overtakes", func(co *tinyio.Co, tell teller) error {
			c := tinyio.Do(func(co *tinyio.Co) error {
				v := victim(10 * time.Second)
				err := errors.Join(co.Spawn(v), co.Yield())
				tell("Cancel", v.Cancel(co, nil))
				return err
			})
			return co.Wait(c, failer(time.Second, errBoom))
		}, "Run"},
		{"an Isolate in a Shield", func(co *tinyio.Co, tell teller) error {
			c := shielded(time.Hour, func(co *tinyio.Co) error {
				_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(victim(time.Second), failer(time.Second, errBoom)) }))
				tell("Isolate", err)
				return nil
			})
			return co.Wait(c, failer(time.Second, errors.New("crash")))
		}, "Isolate"},
		{"a Timeout of a daemon that is stopped because only daemons are left", func(co *tinyio.Co, tell teller) error {
			d := tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, victim(10*time.Second), time.Second)
				tell("Timeout", err)
				return err
			})
			return errors.Join(co.SpawnDaemon(d), co.Sleep(2*time.Second))
		}, "Run"},
		{"a Cancel by such a daemon, in an Isolate", func(co *tinyio.Co, tell teller) error {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				v := victim(10 * time.Second)
				d := tinyio.Do(func(co *tinyio.Co) error {
					err := v.Cancel(co, nil)
					tell("Cancel", err)
					return err
				})
				return errors.Join(co.SpawnDaemon(v, d), co.Sleep(2*time.Second))
			}))
			tell("Isolate", err)
			return co.Yield()
		}, "Isolate"},
		{"a Timeout by one that was stopped for another Timeout, which has returned", func(co *tinyio.Co, tell teller) error {
			orphan := tinyio.Do(func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, victim(10*time.Second), time.Second)
				tell("inner Timeout", err)
				return err
			})
			_, err := tinyio.Timeout(co, shielded(time.Hour, func(co *tinyio.Co) error {
				return errors.Join(co.Spawn(orphan), co.Sleep(3*time.Second))
			}), time.Second)
			tell("outer Timeout", err)
			return co.Sleep(time.Hour)
		}, "Run"},
		{"below one that finishes with a value all the same", func(co *tinyio.Co, tell teller) error {
			v, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) {
				_ = wait(co, victim(0))
				return 7, nil
			}), time.Second)
			tell("Timeout", err)
			if v != 7 || !errors.Is(err, tinyio.ErrTimeout) {
				t.Errorf("Timeout returns %v, %v", v, err)
			}
			return co.Yield()
		}, "Timeout"},
		{"below one that finishes with a value, for a caller that is halted meanwhile", func(co *tinyio.Co, tell teller) error {
			c := tinyio.New(func(co *tinyio.Co) (int, error) {
				_ = wait(co, victim(10*time.Second))
				return 7, nil
			})
			_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
				v, err := tinyio.Timeout(co, c, time.Second)
				tell("inner Timeout", err)
				if v != 7 || err != context.Cause(co) {
					t.Errorf("the inner Timeout returns %v, %v", v, err)
				}
				return nil
			}), 3*time.Second)
			tell("outer Timeout", err)
			return co.Yield()
		}, "outer Timeout"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			var told []string
			tell := func(call string, err error) {
				for range occurrences(err) {
					told = append(told, call)
				}
			}
			tell("Run", virtually(func(co *tinyio.Co) error { return c.program(co, tell) }))
			if !slices.Equal(told, []string{c.told}) {
				t.Errorf("it is reported by %q, want %q alone", told, c.told)
			}
		})
	}
}

// R10, R14: an error whose methods panic does not say that it is only a stop. One whose methods call runtime.Goexit ends the run in that way.
// After either, the loop can be run again.
func TestErrorWhoseMethodDoesNotReturn(t *testing.T) {
	coros := map[string]func(err error) *tinyio.Coro[int]{
		"coroutine": func(err error) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) { co.Sleep(time.Hour); return 0, err })
		},
		"thread": func(err error) *tinyio.Coro[int] {
			return tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, err })
		},
	}
	for kind, make := range coros {
		for name, how := range endings {
			t.Run(kind+", "+name, func(t *testing.T) {
				noLeaks(t)
				l := tinyio.NewLoop()
				ended := false
				run := func() {
					_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
						return co.Wait(make(badError{how.end}), tinyio.Do(func(*tinyio.Co) error { return errBoom }))
					}))
					ended = true
					var group *tinyio.ErrorGroup
					if !errors.As(err, &group) || len(group.Errs) != 2 || group.Errs[1].Error() != "bad" {
						t.Errorf("Run returns %v", err)
					}
				}
				if name == "exit" {
					how.want(t, run)
				} else if run(); !ended {
					t.Error("Run does not return")
				}
				if v, err := tinyio.RunOn(background, l, value(0, 7)); v != 7 || err != nil {
					t.Errorf("the next run gives %d, %v", v, err)
				}
			})
		}
	}
}

// R14: if two coroutines panic, Run panics with the first, and the other is not lost.
func TestTwoPanics(t *testing.T) {
	noLeaks(t)
	p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			second := tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Hour)
				panic("second")
			})
			first := tinyio.Do(func(co *tinyio.Co) error {
				co.Sleep(time.Second)
				panic("first")
			})
			return co.Wait(second, first)
		})
	})
	if p.Value != "first" || !strings.Contains(p.Error(), "second") {
		t.Errorf("Run panics with %v", p)
	}
}

// R14: a Goexit during a crash cleans up everything, and Run goes on with the Goexit.
func TestGoexitDuringACrash(t *testing.T) {
	noLeaks(t)
	for name, first := range map[string]bool{"of the first coroutine": true, "of another": false} {
		t.Run(name, func(t *testing.T) {
			cleaned, returned := 0, false
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				virtually(func(co *tinyio.Co) error {
					exiting := tinyio.Do(func(co *tinyio.Co) error {
						defer func() { cleaned++ }()
						co.Sleep(time.Hour)
						if !first {
							runtime.Goexit()
						}
						return nil
					})
					slow := tinyio.Do(func(co *tinyio.Co) error {
						co.Sleep(time.Hour)
						err := co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Minute) })
						cleaned++
						return err
					})
					err := co.Wait(exiting, slow, failer(time.Second, errBoom))
					cleaned++
					if first {
						runtime.Goexit()
					}
					return err
				})
				returned = true
			}()
			<-ended
			if cleaned != 3 || returned {
				t.Errorf("%d of 3 have cleaned up, Run returned: %v", cleaned, returned)
			}
		})
	}
}

// R14: the first coroutine may wait in a deferred function, while it panics or exits, and another one exits meanwhile.
func TestWaitingInADeferWhileAnotherExits(t *testing.T) {
	noLeaks(t)
	for name, end := range map[string]func(){"panicking": panicDeepDown, "exiting": runtime.Goexit, "returning": func() {}} {
		t.Run(name, func(t *testing.T) {
			var log recorder
			ended := make(chan struct{})
			var p any
			go func() {
				defer close(ended)
				defer func() { p = recover() }()
				virtually(func(co *tinyio.Co) error {
					exiting := tinyio.Do(func(co *tinyio.Co) error {
						defer log.add("other")
						runtime.Goexit()
						return nil
					})
					defer func() {
						err := co.Shield(time.Hour, func(co *tinyio.Co) error {
							return errors.Join(co.Spawn(exiting, value(0, 1)), co.Sleep(time.Second))
						})
						log.add("first: %v", err)
					}()
					end()
					return nil
				})
				log.add("Run returns")
			}()
			<-ended
			log.want(t, "other", "first: <nil>")
			if e, ok := p.(*tinyio.PanicError); ok != (name == "panicking") || ok && e.Value != "deep down" {
				t.Errorf("Run panics with %v", p)
			}
		})
	}
}
