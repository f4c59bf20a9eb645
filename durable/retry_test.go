package durable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// flaky is what functions of the tests do, by their names: when they are called, since the beginning of the test.
type flaky struct {
	began time.Time
	mu    sync.Mutex
	calls map[string][]time.Duration
	fail  int // how many of the first calls of each fail
}

// flaw is what the program "test.flaky" calls.
var flaw *flaky

func newFlaw(fail int) *flaky {
	flaw = &flaky{began: time.Now(), calls: map[string][]time.Duration{}, fail: fail}
	return flaw
}

// call notes a call, and fails if it is one of the first.
func (f *flaky) call(name string) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[name] = append(f.calls[name], time.Since(f.began))
	if n := len(f.calls[name]); f.fail < 0 || n <= f.fail {
		return -n, fmt.Errorf("%s failed: %w", name, errKnown)
	}
	return len(f.calls[name]), nil
}

func seconds(n ...int) (ds []time.Duration) {
	for _, n := range n {
		ds = append(ds, time.Duration(n)*time.Second)
	}
	return ds
}

// wantCalls checks when a function was called.
func (f *flaky) wantCalls(t *testing.T, name string, at ...int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.calls[name], seconds(at...)) {
		t.Errorf("%s was called at %v, want %v", name, f.calls[name], seconds(at...))
	}
}

// retried is the body of the program "test.retried": one of the tests at a time.
var retried func(co *tinyio.Co) (string, error)

func init() {
	do("test.retried", func(co *tinyio.Co) (string, error) { return retried(co) })
}

func withRetry(co *tinyio.Co, r durable.Retry) *tinyio.Co {
	return co.WithValues(durable.WithRetry(co, r))
}

// thread is a coroutine that calls a function in a thread.
func thread(name string) *tinyio.Coro[int] {
	return tinyio.RunInThread(func(context.Context) (int, error) { return flaw.call(name) }).Named(name)
}

// checkHistory checks that a run can be replayed, and returns its history.
func checkHistory(t *testing.T, j *durable.Journal, id string) string {
	t.Helper()
	var history bytes.Buffer
	if err := j.Export(t.Context(), id, &history); err != nil {
		t.Fatal(err)
	}
	if err := durable.Verify(strings.NewReader(history.String())); err != nil {
		t.Error(err)
	}
	return history.String()
}

// All functions that are handed to threads are retried, if the coroutine or the one that has started it says so.
func TestRetriesOfPlainFunctions(t *testing.T) {
	retried = func(co *tinyio.Co) (string, error) {
		once := thread("once")
		_, err := tinyio.Isolate(co, once)
		if err == nil || errors.As(err, new(*durable.RetryError)) {
			return "", fmt.Errorf("without a Retry it is: %w", err)
		}
		co = withRetry(co, durable.Retry{Attempts: 4, Wait: time.Second, MaxWait: 3 * time.Second})
		if err := co.Wait(thread("thread"), tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Call(co, func(context.Context) (int, error) { return flaw.call("call of a child") })
			return err
		})); err != nil {
			return "", err
		}
		v, err := tinyio.RunInPool(tinyio.NewThreadPool(1), func(context.Context) (int, error) { return flaw.call("pool") }).Await(co)
		if v != 4 || err != nil {
			return "", fmt.Errorf("the one in a pool is %d, %v", v, err)
		}
		if _, err := tinyio.MapInPool(tinyio.NewThreadPool(2), []int{1, 2, 3}, func(_ context.Context, x int) (int, error) {
			return flaw.call(fmt.Sprint("map ", x))
		}).Await(co); err != nil {
			return "", err
		}
		if err := co.Call(func(context.Context) error { _, err := flaw.call("method"); return err }); err != nil {
			return "", err
		}
		if _, err := durable.Step(co, "step", func(context.Context) (int, error) { return flaw.call("step") }); err != nil {
			return "", err
		}
		if _, err := durable.Step(co, "nearer", func(context.Context) (int, error) { return flaw.call("nearer") }, durable.Retry{Attempts: 1}); !errors.Is(err, errKnown) {
			return "", err
		}
		return "done", nil
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlaw(3)
		j := open(t, t.TempDir())
		start[string](t, j, "test.retried", "one", struct{}{})
		want(t, j, "one", "done")
		f.wantCalls(t, "once", 0)
		f.wantCalls(t, "thread", 0, 1, 3, 6)
		f.wantCalls(t, "call of a child", 0, 1, 3, 6)
		f.wantCalls(t, "pool", 6, 7, 9, 12)
		f.wantCalls(t, "map 1", 12, 13, 15, 18)
		f.wantCalls(t, "map 2", 12, 13, 15, 18)
		f.wantCalls(t, "map 3", 18, 19, 21, 24)
		f.wantCalls(t, "method", 24, 25, 27, 30)
		f.wantCalls(t, "step", 30, 31, 33, 36)
		f.wantCalls(t, "nearer", 36)
		history := checkHistory(t, j, "one")
		if n := strings.Count(history, `"k":"attempt"`); n != 3*8 {
			t.Errorf("%d attempts are recorded:\n%s", n, history)
		}
		if !strings.Contains(history, `"n":"thread","e":{"text":"thread failed: known by name","errs":[{"value":"test.errKnown"}]},"attempt":2}`) {
			t.Errorf("the second attempt of the thread is not recorded with its error:\n%s", history)
		}
	})
}

// Attempts go on with the count, and at the time at which they would have begun, whenever the journal is opened again.
func TestRetriesGoOnAfterwards(t *testing.T) {
	retried = func(co *tinyio.Co) (string, error) {
		co = withRetry(co, durable.Retry{Attempts: 5, Wait: 100 * time.Second})
		_, err := tinyio.Isolate(co, thread("thread"))
		var r *durable.RetryError
		if !errors.As(err, &r) || r.Attempts != 5 || r.Step != "thread" || !errors.Is(err, errKnown) {
			return "", fmt.Errorf("it has not failed 5 times: %w", err)
		}
		return r.Error(), nil
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlaw(-1)
		dir := t.TempDir()
		j := open(t, dir)
		again := func(away int) {
			synctest.Wait()
			closeJournal(t, j)
			time.Sleep(time.Duration(away) * time.Second)
			j = open(t, dir)
			recoverAll(t, j)
			synctest.Wait()
		}
		start[string](t, j, "test.retried", "one", struct{}{})
		time.Sleep(50 * time.Second)
		again(10)
		f.wantCalls(t, "thread", 0)
		time.Sleep(60 * time.Second) // until 120
		f.wantCalls(t, "thread", 0, 100)
		again(1000) // the third one was to begin at 300
		f.wantCalls(t, "thread", 0, 100, 1120)
		again(1)
		again(1)
		failing, err := j.Failing(t.Context(), "one")
		if err != nil || len(failing) != 1 {
			t.Fatalf("failing are %v, %v", failing, err)
		}
		s := failing[0]
		if at := s.Next.Sub(f.began); s.Step != 1 || s.Name != "thread" || s.Attempts != 3 || !errors.Is(s.Err, errKnown) || at != 1520*time.Second {
			t.Errorf("failing is %+v, with the next attempt after %v", s, at)
		}
		want(t, j, "one", `durable: step "thread" failed 5 times, the last time with: thread failed: known by name`)
		f.wantCalls(t, "thread", 0, 100, 1120, 1520, 2320)
		checkHistory(t, j, "one")
		if failing, err := j.Failing(t.Context(), "one"); failing != nil || err != nil {
			t.Errorf("when all is over, failing are %v, %v", failing, err)
		}
	})
}

// Who is stopped is not tried again, and hears of it at once, in a replay too.
func TestStopEndsRetries(t *testing.T) {
	forever := durable.Retry{Wait: time.Hour}
	for name, body := range map[string]func(co *tinyio.Co) (string, error){
		"Timeout of a thread": func(co *tinyio.Co) (string, error) {
			_, err := tinyio.Timeout(withRetry(co, forever), thread("f"), 10*time.Second)
			var timeout *tinyio.TimeoutError
			if !errors.As(err, &timeout) || len(timeout.Cleanup) > 0 {
				return "", fmt.Errorf("no clean timeout: %w", err)
			}
			return "stopped", nil
		},
		"Timeout of a call": func(co *tinyio.Co) (string, error) {
			var of error
			_, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) {
				v, err := durable.Step(co, "f", func(context.Context) (int, error) { return flaw.call("f") }, forever)
				of = err
				return v, err
			}), 10*time.Second)
			if !errors.Is(of, tinyio.ErrTimeout) || errors.Is(of, errKnown) || !errors.Is(err, tinyio.ErrTimeout) {
				return "", fmt.Errorf("no timeout: %w, %w", of, err)
			}
			return "stopped", nil
		},
		"failure beside": func(co *tinyio.Co) (string, error) {
			_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
				return co.Wait(co.Go(func(co *tinyio.Co) error {
					co = withRetry(co, forever)
					return co.Call(func(context.Context) error { _, err := flaw.call("f"); return err })
				}), tinyio.Do(func(co *tinyio.Co) error {
					if err := co.Sleep(10 * time.Second); err != nil {
						return err
					}
					return errTest
				}))
			}))
			var group *tinyio.ErrorGroup
			if err == nil || err.Error() != errTest.Error() || errors.As(err, &group) {
				return "", fmt.Errorf("not stopped cleanly: %w", err)
			}
			return "stopped", nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				retried = func(co *tinyio.Co) (string, error) {
					s, err := body(co)
					if err != nil {
						return "", err
					}
					return s, co.Sleep(50 * time.Second)
				}
				f := newFlaw(-1)
				dir := t.TempDir()
				for _, away := range []int{5, 25, 0} {
					j := open(t, dir)
					start[string](t, j, "test.retried", "one", struct{}{})
					time.Sleep(time.Duration(away) * time.Second)
					closeJournal(t, j)
				}
				j := open(t, dir)
				recoverAll(t, j)
				want(t, j, "one", "stopped")
				if at := time.Since(f.began); at != 60*time.Second {
					t.Errorf("it took %v", at)
				}
				f.wantCalls(t, "f", 0)
				checkHistory(t, j, "one")
			})
		})
	}
}

// However many are stopped at once, each stops cleanly.
func TestStopOfManyRetries(t *testing.T) {
	retried = func(co *tinyio.Co) (string, error) {
		retrying := withRetry(co, durable.Retry{Wait: time.Hour})
		var cs []*tinyio.Coro[int]
		for i := range 200 {
			fails := tinyio.Do(func(co *tinyio.Co) error {
				if err := co.Sleep(10 * time.Second); err != nil {
					return err
				}
				return fmt.Errorf("number %d", i)
			})
			cs = append(cs, tinyio.New(func(co *tinyio.Co) (int, error) {
				_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return co.Wait(thread("f"), fails) }))
				var group *tinyio.ErrorGroup
				if err == nil || err.Error() != fmt.Sprint("number ", i) || errors.As(err, &group) {
					return 0, fmt.Errorf("not stopped cleanly: %w", err)
				}
				return 1, nil
			}))
		}
		if _, err := tinyio.Gather(retrying, cs...); err != nil {
			return "", err
		}
		return "stopped", co.Sleep(time.Minute)
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlaw(-1)
		dir := t.TempDir()
		j := open(t, dir)
		start[string](t, j, "test.retried", "one", struct{}{})
		time.Sleep(time.Minute)
		closeJournal(t, j)
		j = open(t, dir)
		recoverAll(t, j)
		want(t, j, "one", "stopped")
		if n := len(f.calls["f"]); n != 200 {
			t.Errorf("the function was called %d times", n)
		}
		checkHistory(t, j, "one")
	})
}

// A run that is cancelled cleans up, with retries in its Shield.
func TestRetriesInAShield(t *testing.T) {
	retried = func(co *tinyio.Co) (_ string, err error) {
		co = withRetry(co, durable.Retry{Wait: time.Second, MaxWait: time.Second})
		defer func() {
			err = errors.Join(err, co.Shield(time.Hour, func(co *tinyio.Co) error {
				_, err := thread("undo").Await(co)
				return err
			}))
		}()
		_, err = tinyio.Call(co, func(context.Context) (int, error) { return flaw.call("do") })
		return "", err
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlaw(3)
		dir := t.TempDir()
		j := open(t, dir)
		r := start[string](t, j, "test.retried", "one", struct{}{})
		time.Sleep(1500 * time.Millisecond)
		if err := r.Cancel(t.Context(), errTest); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1200 * time.Millisecond)
		closeJournal(t, j)
		j = open(t, dir)
		recoverAll(t, j)
		if _, err := durable.Find[string](j, "one").Result(t.Context()); err == nil || err.Error() != errTest.Error() {
			t.Errorf("the result is %v", err)
		}
		f.wantCalls(t, "do", 0, 1)
		if n := len(f.calls["undo"]); n != 4 || time.Since(f.began) != 4500*time.Millisecond {
			t.Errorf("it was undone in %d attempts, after %v", n, time.Since(f.began))
		}
		if info := infoOf(t, j, "one"); info.State != durable.Cancelled {
			t.Errorf("the state is %s: %v", info.State, info.Err)
		}
		checkHistory(t, j, "one")
	})
}

// What another attempt would not change is not tried again.
func TestWhatIsNotTriedAgain(t *testing.T) {
	retried = func(co *tinyio.Co) (string, error) {
		co = withRetry(co, durable.Retry{Wait: time.Second, If: func(err error) bool { return !errors.Is(err, errKnown) }})
		call := func(fn func(context.Context) (int, error)) (v int, err error) {
			return tinyio.Isolate(co, tinyio.RunInThread(fn).Named("f"))
		}
		v, err := call(func(context.Context) (int, error) { return flaw.call("known") })
		var r *durable.RetryError
		if v != 0 || !errors.As(err, &r) || r.Attempts != 1 || !errors.Is(err, errKnown) {
			return "", fmt.Errorf("it is %d, %w", v, err)
		}
		_, err = call(func(context.Context) (int, error) { flaw.call("panic"); panic("out of cheese") })
		var p *tinyio.PanicError
		if !errors.As(err, &p) || errors.As(err, &r) && r.Err == err {
			return "", fmt.Errorf("no panic: %w", err)
		}
		if _, err = tinyio.Isolate(co, durable.Child[struct{}, int](co, "test.fails", "child", struct{}{})); err == nil || err.Error() != errTest.Error() {
			return "", fmt.Errorf("the child: %w", err)
		}
		return "done", co.Sleep(time.Minute)
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlaw(-1)
		dir := t.TempDir()
		j := open(t, dir)
		start[string](t, j, "test.retried", "one", struct{}{})
		time.Sleep(time.Second)
		closeJournal(t, j)
		j = open(t, dir)
		recoverAll(t, j)
		want(t, j, "one", "done")
		f.wantCalls(t, "known", 0)
		f.wantCalls(t, "panic", 0)
		if at := time.Since(f.began); at != time.Minute {
			t.Errorf("it took %v", at)
		}
		checkHistory(t, j, "one")
	})
}

func init() {
	do("test.fails", func(co *tinyio.Co) (int, error) { return 0, errTest })
}

// A Goexit of a function ends the run, as it does without retries.
func TestGoexitIsNotTriedAgain(t *testing.T) {
	retried = func(co *tinyio.Co) (string, error) {
		return durable.Step(co, "exits", func(context.Context) (string, error) {
			flaw.call("exits")
			runtime.Goexit()
			return "", nil
		}, durable.Retry{Wait: time.Second})
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlaw(0)
		j := open(t, t.TempDir())
		if _, err := start[string](t, j, "test.retried", "one", struct{}{}).Result(t.Context()); err == nil || !strings.Contains(err.Error(), "Goexit") {
			t.Errorf("the result is %v", err)
		}
		f.wantCalls(t, "exits", 0)
	})
}

// A journal may have a Retry for all its programs.
func TestRetryOfAJournal(t *testing.T) {
	retried = func(co *tinyio.Co) (string, error) {
		_, err := thread("f").Await(co)
		return "done", err
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlaw(2)
		j := open(t, t.TempDir(), durable.WithContext(durable.WithRetry(t.Context(), durable.Retry{Wait: time.Second})))
		start[string](t, j, "test.retried", "one", struct{}{})
		want(t, j, "one", "done")
		f.wantCalls(t, "f", 0, 1, 3)
	})
}

// An attempt is one of a step of the same name: anything else is another program.
func TestAnAttemptOfAnotherStepIsNoticed(t *testing.T) {
	called := func(name string) func(co *tinyio.Co) (string, error) {
		return func(co *tinyio.Co) (string, error) {
			_, err := thread(name).Await(withRetry(co, durable.Retry{Wait: time.Hour}))
			return name, err
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFlaw(1)
		dir := t.TempDir()
		j := open(t, dir)
		retried = called("f")
		start[string](t, j, "test.retried", "one", struct{}{})
		time.Sleep(time.Minute)
		closeJournal(t, j)
		for name, change := range map[string]func(co *tinyio.Co) (string, error){
			"g":        called("g"),
			"no steps": func(co *tinyio.Co) (string, error) { return "", nil },
		} {
			retried = change
			j = open(t, dir)
			recoverAll(t, j)
			_, err := durable.Find[string](j, "one").Result(t.Context())
			var n *durable.NondeterminismError
			if !errors.As(err, &n) || n.Step != 1 || n.Name != "f" || n.Expected != `step 1, "f"` {
				t.Errorf("%s: the error is %v", name, err)
			}
			closeJournal(t, j)
		}
		retried = called("f")
		j = open(t, dir)
		recoverAll(t, j)
		want(t, j, "one", "f")
		f.wantCalls(t, "f", 0, 3600)
	})
}

func TestWaits(t *testing.T) {
	for _, test := range []struct {
		retry   durable.Retry
		attempt int
		want    time.Duration
	}{
		{durable.Retry{}, 1, 0},
		{durable.Retry{}, 1000, 0},
		{durable.Retry{MaxWait: time.Second}, 1000, 0},
		{durable.Retry{Wait: time.Second}, 1, time.Second},
		{durable.Retry{Wait: time.Second}, 4, 8 * time.Second},
		{durable.Retry{Wait: time.Second}, 34, 1 << 33 * time.Second},
		{durable.Retry{Wait: time.Second}, 35, math.MaxInt64},
		{durable.Retry{Wait: time.Second}, 1 << 30, math.MaxInt64},
		{durable.Retry{Wait: 1}, 63, 1 << 62},
		{durable.Retry{Wait: 1}, 64, math.MaxInt64},
		{durable.Retry{Wait: 3, MaxWait: 5}, 1, 3},
		{durable.Retry{Wait: 3, MaxWait: 5}, 2, 5},
		{durable.Retry{Wait: 3, MaxWait: 6}, 2, 6},
		{durable.Retry{Wait: 3, MaxWait: 2}, 1, 2},
	} {
		if wait, final := test.retry.Next("s", test.attempt, errTest); wait != test.want || final != nil {
			t.Errorf("after attempt %d of %v: %v, %v; want %v", test.attempt, test.retry, wait, final, test.want)
		}
	}
	if _, final := durable.RetryOf(t.Context()).Next("s", 1, errTest); final != errTest {
		t.Errorf("without a Retry the error is %v", final)
	}
	for _, r := range []durable.Retry{{Attempts: -1}, {Wait: -1}, {MaxWait: -1}} {
		func() {
			defer func() {
				if s := fmt.Sprint(recover()); !strings.Contains(s, "durable: WithRetry: ") || !strings.Contains(s, "may be negative") {
					t.Errorf("the panic is %s", s)
				}
			}()
			durable.WithRetry(t.Context(), r)
		}()
	}
}
