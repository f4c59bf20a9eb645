package tinyiotemporal

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The programs of the tests. Those that have a history in testdata must stay as they are.

func init() {
	register("errand", errand)
	register("counter", counter)
	register("many", many)
	register("waits", waits)
	register("turns", turns)
	register("fails", fails)
	register("steps", steps)
	register("unrecorded", unrecorded)
	register("versions", versions)
	register("unversioned", func(co *tinyio.Co, _ int) (int, error) { return versioned(co, func() (int, error) { return 0, nil }) })
	register("renamed", func(co *tinyio.Co, _ int) (int, error) {
		return durable.Step(co, "after", func(context.Context) (int, error) { return 0, nil })
	})
	register("newest", func(co *tinyio.Co, _ int) (int, error) {
		return versioned(co, func() (int, error) { return durable.Version(co, "change", 3, 4) })
	})
	register("older", func(co *tinyio.Co, _ int) (int, error) {
		return versioned(co, func() (int, error) { return durable.Version(co, "change", 0, 1) })
	})
	register("changed", func(co *tinyio.Co, _ string) (string, error) { return steps(co, "another") })
	register("shorter", func(co *tinyio.Co, _ string) (string, error) {
		return durable.Step(co, "first", func(context.Context) (string, error) { return "1", nil })
	})
	register("children", children)
	register("twice", func(_ *tinyio.Co, n int) (int, error) {
		if n < 0 {
			return 0, errNegative
		}
		return 2 * n, nil
	})
	register("joins", joins)
	register("queued", queued)
	register("rests", func(co *tinyio.Co, d time.Duration) (string, error) { return "rested", co.Sleep(d) })
	register("traced", traced)
	register("hangs", hangs)
	durable.RegisterError("tinyiotemporal.errNegative", errNegative)
}

var errNegative = errors.New("it is negative")

func register[In, Out any](name string, f func(co *tinyio.Co, in In) (Out, error)) {
	durable.Register(name, func(in In) *tinyio.Coro[Out] {
		return tinyio.New(func(co *tinyio.Co) (Out, error) { return f(co, in) }).Named(name)
	})
}

// Activities.

func Double(_ context.Context, n int) (int, error) { return 2 * n, nil }

func Refuse(_ context.Context, why string) (int, error) {
	return 0, temporal.NewNonRetryableApplicationError(why, "Refused", nil)
}

// Hang ends when it is cancelled, which it hears of by its heartbeats.
func Hang(ctx context.Context, _ int) (int, error) {
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
			activity.RecordHeartbeat(ctx)
		}
	}
}

// Flaky fails twice.
func Flaky(ctx context.Context, _ int) (int32, error) {
	if n := activity.GetInfo(ctx).Attempt; n > 2 {
		return n, nil
	}
	return 0, errors.New("not yet")
}

// errand uses a bit of everything that has to do with activities.
func errand(co *tinyio.Co, n int) (string, error) {
	var l []string
	log := func(format string, args ...any) { l = append(l, fmt.Sprintf(format, args...)) }
	began := co.Now()
	var cs []*tinyio.Coro[int]
	for i := range n {
		cs = append(cs, tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(time.Duration(n-i) * 100 * time.Millisecond); err != nil {
				return 0, err
			}
			return Activity(Double, i).Await(co)
		}).Named(fmt.Sprint("item ", i)))
	}
	doubled, err := tinyio.Gather(co, cs...)
	if err != nil {
		return "", err
	}
	log("%v", doubled)
	if d := co.Now().Sub(began); d < 100*time.Duration(n)*time.Millisecond {
		log("only %v have passed", d)
	}
	patient := workflow.ActivityOptions{StartToCloseTimeout: time.Minute, HeartbeatTimeout: 500 * time.Millisecond}
	_, err = tinyio.Timeout(co, Activity(Hang, 1, patient), 300*time.Millisecond)
	var timeout *tinyio.TimeoutError
	if !errors.As(err, &timeout) || len(timeout.Cleanup) > 0 {
		return "", fmt.Errorf("no clean timeout: %w", err)
	}
	log("timed out")
	_, err = tinyio.Isolate(co, Activity(Refuse, "no stock"))
	var app *temporal.ApplicationError
	log("refused: %v", errors.As(err, &app) && app.Type() == "Refused" && app.Message() == "no stock")
	attempts, err := Activity(Flaky, 0, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute, RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Millisecond, BackoffCoefficient: 1},
	}).Await(co)
	if err != nil {
		return "", err
	}
	log("attempt %d", attempts)
	named, err := ActivityNamed[int]("Double", []any{21}).Await(co)
	log("%d", named)
	return strings.Join(l, "; "), err
}

// counter counts what it is told to by signals and updates, and begins anew when it is asked to.
func counter(co *tinyio.Co, total int) (int, error) {
	Query(co, "total", func() (int, error) { return total, nil })
	Update(co, "add", func(co *tinyio.Co, n int) (int, error) {
		if n < 0 {
			return 0, errNegative
		}
		if err := co.Sleep(time.Duration(n) * 10 * time.Millisecond); err != nil {
			return 0, err
		}
		d, err := Activity(Double, n).Await(co)
		total += d
		return total, err
	}, workflow.UpdateHandlerOptions{Validator: func(n int) error {
		if n == 0 {
			return errors.New("nothing to add")
		}
		return nil
	}})
	if err := co.SpawnDaemon(tinyio.Do(func(co *tinyio.Co) error {
		for {
			n, err := durable.Receive[int](co, "add")
			if err != nil {
				return err
			}
			total += n
		}
	}).Named("adder")); err != nil {
		return 0, err
	}
	what, err := durable.Receive[string](co, "end")
	if err != nil {
		return 0, err
	}
	key, err := durable.Step(co, "key", func(ctx context.Context) (string, error) { return durable.Key(ctx), nil })
	if err != nil {
		return 0, err
	}
	if what == "again" {
		if want := durable.RunID(co) + "/1"; key != want {
			return 0, fmt.Errorf("the key is %q, want %q", key, want)
		}
		return 0, ContinueAsNew(co, total+1000)
	}
	if want := durable.RunID(co) + "/2"; total >= 1000 && key != want {
		return 0, fmt.Errorf("the key is %q, want %q", key, want)
	}
	return total, nil
}

// many takes n steps at once, and returns how many of them were under way at the same time.
func many(co *tinyio.Co, n int) (int, error) {
	g := co.Value(gateKey{}).(*gate)
	var cs []*tinyio.Coro[tinyio.Void]
	for range n {
		cs = append(cs, tinyio.RunInThread(func(context.Context) (tinyio.Void, error) { g.pass(); return tinyio.Void{}, nil }).Named("step"))
	}
	_, err := tinyio.Gather(co, cs...)
	return g.most, err
}

// waits for a signal, after a step and in the middle of some coroutines. Whatever its deferred functions do is told to spy.
func waits(co *tinyio.Co, _ int) (string, error) {
	s, _ := co.Value(spyKey{}).(*spy)
	defer s.act(co, "the program")
	if _, err := durable.Step(co, "first", func(context.Context) (int, error) { return 1, nil }); err != nil {
		return "", err
	}
	if err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error {
		defer s.act(co, "a sleeper")
		return co.Sleep(time.Hour)
	}).Named("sleeper")); err != nil {
		return "", err
	}
	v, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (string, error) {
		defer s.act(co, "a receiver")
		return durable.Receive[string](co, "go on")
	}).Named("receiver"))
	if err != nil {
		s.say("the program has seen the error %v", err)
	}
	return v, err
}

// A spy hears of what deferred functions do.
type spy struct{ log []string }

type spyKey struct{}

func (s *spy) say(format string, args ...any) {
	if s != nil {
		s.log = append(s.log, fmt.Sprintf(format, args...))
	}
}

// act is deferred: it says what it has been able to do.
func (s *spy) act(co *tinyio.Co, who string) {
	_ = co.Shield(time.Minute, func(co *tinyio.Co) error {
		s.say("%s is in its shield", who)
		_, err := durable.Step(co, "clean up", func(context.Context) (int, error) { return 0, nil })
		s.say("%s has cleaned up: %v", who, err)
		return nil
	})
}

// turns takes n turns in each of two coroutines, without waiting for anything from outside.
func turns(co *tinyio.Co, n int) (int, error) {
	taken := 0
	turn := func(co *tinyio.Co) error {
		for range n {
			taken++
			if err := co.Yield(); err != nil {
				return err
			}
		}
		return nil
	}
	err := co.Wait(tinyio.Do(turn), tinyio.Do(turn))
	return taken, err
}

// fails in the way that it is told to.
func fails(co *tinyio.Co, how string) (int, error) {
	switch how {
	case "error":
		return tinyio.New(func(*tinyio.Co) (int, error) { return 0, errNegative }).Named("bad").Await(co)
	case "activity":
		return Activity(Refuse, "disk full").Await(co)
	case "clean-up":
		return 0, errors.Join(errNegative, temporal.NewCanceledError())
	case "continues with clean-up":
		return 0, errors.Join(ContinueAsNew(co, "error"), errNegative)
	case "panic":
		panic("out of cheese")
	case "goexit":
		runtime.Goexit()
	case "step panics":
		return durable.Step(co, "step", func(context.Context) (int, error) { panic("in a step") })
	case "no result":
		return 0, co.Call(func(context.Context) error { return nil })
	}
	return 0, nil
}

// steps takes two steps.
func steps(co *tinyio.Co, second string) (string, error) {
	a, err := durable.Step(co, "first", func(context.Context) (string, error) { return "1", nil })
	if err != nil {
		return "", err
	}
	b, err := durable.Step(co, second, func(context.Context) (string, error) { return "2", nil })
	return a + b, err
}

// unrecorded sets an event in a thread.
func unrecorded(co *tinyio.Co, _ int) (int, error) {
	var e tinyio.Event
	if err := co.Spawn(tinyio.RunInThread(func(context.Context) (int, error) { e.Set(); return 0, nil })); err != nil {
		return 0, err
	}
	return 0, e.Wait(co)
}

// versions has been changed twice: it asks for the version of the change.
func versions(co *tinyio.Co, _ int) (int, error) {
	return versioned(co, func() (int, error) { return durable.Version(co, "change", 0, 2) })
}

// versioned asks for the version in two places. The result shows both.
func versioned(co *tinyio.Co, version func() (int, error)) (int, error) {
	if _, err := durable.Step(co, "before", func(context.Context) (int, error) { return 0, nil }); err != nil {
		return 0, err
	}
	v, err := version()
	if err != nil {
		return 0, err
	}
	if _, err := durable.Receive[int](co, "go on"); err != nil {
		return 0, err
	}
	again, err := version()
	return 10*v + again, err
}

// children starts two, and stops a third one.
func children(co *tinyio.Co, _ int) (string, error) {
	a, err := tinyio.Gather(co, durable.Child[int, int](co, "twice", "", 1), durable.Child[int, int](co, "twice", durable.RunID(co)+" two", 2))
	if err != nil {
		return "", err
	}
	_, err = tinyio.Isolate(co, durable.Child[int, int](co, "twice", "", -1))
	if !errors.Is(err, errNegative) {
		return "", fmt.Errorf("the error of the child is lost: %w", err)
	}
	_, err = tinyio.Timeout(co, durable.Child[time.Duration, string](co, "rests", "", time.Hour), 200*time.Millisecond)
	var timeout *tinyio.TimeoutError
	if !errors.As(err, &timeout) || len(timeout.Cleanup) > 0 {
		return "", fmt.Errorf("no clean timeout: %w", err)
	}
	return fmt.Sprint(a), nil
}

// queued stops an activity that waits for another one to make room.
func queued(co *tinyio.Co, _ int) (string, error) {
	patient := workflow.ActivityOptions{StartToCloseTimeout: time.Minute, HeartbeatTimeout: 500 * time.Millisecond}
	if err := co.SpawnDaemon(Activity(Hang, 1, patient)); err != nil {
		return "", err
	}
	if err := co.Yield(); err != nil {
		return "", err
	}
	_, err := tinyio.Timeout(co, Activity(Double, 1), 50*time.Millisecond)
	var timeout *tinyio.TimeoutError
	if !errors.As(err, &timeout) || len(timeout.Cleanup) > 0 {
		return "", fmt.Errorf("no clean timeout: %w", err)
	}
	return "stopped", nil
}

// joins waits for a run that somebody else has started, for as long as it is told to.
func joins(co *tinyio.Co, in []string) (string, error) {
	limit, err := time.ParseDuration(in[2])
	if err != nil {
		return "", err
	}
	return tinyio.Timeout(co, durable.Child[time.Duration, string](co, in[0], in[1], time.Millisecond), limit)
}

type traceKey struct{}

// Trace is an activity that returns what the context propagator has given it.
func Trace(ctx context.Context, _ int) (string, error) { return fmt.Sprint(ctx.Value(traceKey{})), nil }

// traced tells which trace the program, an activity and another one are in.
func traced(co *tinyio.Co, _ int) (string, error) {
	a, err := Activity(Trace, 0).Await(co)
	if err != nil {
		return "", err
	}
	b, err := Activity(Trace, 0).Await(co.WithValues(context.WithValue(co, traceKey{}, "inner")))
	return fmt.Sprint(co.Value(traceKey{}), " ", a, " ", b), err
}

// hangs for d in a thread that does not end before it is stopped, and tells how long it has been there.
func hangs(co *tinyio.Co, d time.Duration) (bool, error) {
	began := co.Now()
	_, err := tinyio.Timeout(co, tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }), d)
	var timeout *tinyio.TimeoutError
	if !errors.As(err, &timeout) || len(timeout.Cleanup) > 0 {
		return false, fmt.Errorf("no clean timeout: %w", err)
	}
	return co.Now().Sub(began) >= d, nil
}
