package tinyiotemporal

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Activity returns a coroutine that is an activity of Temporal: fn runs on any worker of the task queue with which it is registered, under
// the name of the function, and is tried again as the options say. Without options an attempt may take a minute, and there may be any number
// of them. It fails with what Temporal makes of the error of the last one, a *temporal.ActivityError.
//
// When the coroutine is stopped, the activity is cancelled, and the coroutine waits for its end. An activity hears of that by its
// heartbeats, so one that takes long records some, and has a HeartbeatTimeout.
//
// The context propagators of the client are given the values of the context of whoever starts the coroutine, beside those of the workflow: so
// headers follow who starts whom.
//
// On another engine than Temporal it is a RunInThread of fn, without options.
func Activity[In, Out any](fn func(ctx context.Context, in In) (Out, error), in In, opts ...workflow.ActivityOptions) *tinyio.Coro[Out] {
	if fn == nil {
		panic("tinyiotemporal: Activity: the function is nil; it is what runs on a worker")
	}
	name := runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name()
	name = strings.TrimSuffix(name[strings.LastIndexByte(name, '.')+1:], "-fm")
	return tinyio.New(func(co *tinyio.Co) (Out, error) {
		if of(co) == nil {
			return tinyio.RunInThread(func(ctx context.Context) (Out, error) { return fn(ctx, in) }).Named(name).Await(co)
		}
		return startActivity[Out](co, name, fn, []any{in}, opts)
	}).Named(name)
}

// ActivityNamed is Activity for a function that is not linked in: by the name under which it is registered, in whatever language.
func ActivityNamed[Out any](name string, args []any, opts ...workflow.ActivityOptions) *tinyio.Coro[Out] {
	if name == "" {
		panic("tinyiotemporal: ActivityNamed: the name is empty; it is that under which a worker has the activity")
	}
	return tinyio.New(func(co *tinyio.Co) (Out, error) {
		must(co, "ActivityNamed")
		return startActivity[Out](co, name, name, args, opts)
	}).Named(name)
}

func startActivity[Out any](co *tinyio.Co, name string, fn any, args []any, opts []workflow.ActivityOptions) (Out, error) {
	if len(opts) > 1 {
		panic(fmt.Sprintf("tinyiotemporal: activity %q has %d sets of options; give it one", name, len(opts)))
	}
	o := workflow.ActivityOptions{StartToCloseTimeout: time.Minute}
	if len(opts) == 1 {
		o = opts[0]
	}
	o.WaitForCancellation = true
	values := context.Context(co)
	return Future[Out](co, name, func(ctx workflow.Context) workflow.Future {
		ctx = workflow.WithActivityOptions(&withValues{ctx, values}, o)
		return workflow.ExecuteActivity(ctx, fn, args...)
	})
}

// withValues is the context of a call of the SDK that also has the values of a coroutine. What the SDK keeps there itself, under keys that are
// strings, or of a type of its own, is that of the call.
type withValues struct {
	workflow.Context
	values context.Context
}

func (c *withValues) Value(key any) any {
	if t := reflect.TypeOf(key); t.PkgPath() != "" && !strings.HasPrefix(t.PkgPath(), "go.temporal.io/sdk") {
		if v := c.values.Value(key); v != nil {
			return v
		}
	}
	return c.Context.Value(key)
}

// Future waits for a call of the SDK that has a future, such as an operation of Nexus or a signal to another workflow, and returns exactly what that
// gives, as [tinyio.Call] does for a function. The function start is called outside the turn of co, with a context that is cancelled if co is stopped; then Future waits for what the call makes of that. It must
// not wait for anything itself.
func Future[Out any](co *tinyio.Co, name string, start func(ctx workflow.Context) workflow.Future) (Out, error) {
	d := must(co, "Future")
	return await(co, name, func(done func(Out, error)) (cancel func(error)) {
		ctx, stop := workflow.WithCancel(d.ctx)
		var zero Out
		c := &call{start: func() workflow.Future { return start(ctx) }, refuse: func(cause error) { done(zero, cause) }}
		c.take = func(f workflow.Future) {
			var v Out
			err := f.Get(d.ctx, &v)
			if c.stopped != nil && isCancelled(err) {
				err = c.stopped // the very error, so that the coroutine has stopped cleanly
			}
			done(v, err)
		}
		d.queued = append(d.queued, c)
		return func(cause error) {
			if c.stopped = cause; c.future != nil {
				d.todo = append(d.todo, stop)
			}
		}
	})
}

// await waits for a callback as a Call waits for its function: it returns exactly what has come, and an error crashes nothing.
func await[Out any](co *tinyio.Co, name string, start func(done func(Out, error)) (cancel func(error))) (Out, error) {
	type answer struct {
		value Out
		err   error
		come  bool
	}
	a, err := tinyio.FromCallback(func(done func(answer, error)) (cancel func(error)) {
		return start(func(v Out, err error) { done(answer{v, err, true}, nil) })
	}).Named(name).Await(co)
	if a.come {
		err = a.err
	}
	return a.value, err
}

// isCancelled reports that err says only that a call was cancelled.
func isCancelled(err error) bool {
	var activity *temporal.ActivityError
	if errors.As(err, &activity) {
		err = activity.Unwrap()
	}
	_, ok := err.(*temporal.CanceledError)
	return ok
}
