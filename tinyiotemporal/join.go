package tinyiotemporal

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"go.temporal.io/sdk/activity"
)

// A joined is the outcome of a run that somebody else has started.
type joined struct {
	Ended     bool            `json:"ended"`
	Value     json.RawMessage `json:"value,omitempty"`
	Err       json.RawMessage `json:"err,omitempty"`
	Cancelled bool            `json:"cancelled,omitempty"`
}

// join waits for a run that is there already. Nothing tells a workflow of the end of another one that is not its child, so it is asked for now
// and then.
func (d *driver) join(co *tinyio.Co, program, id string) (json.RawMessage, error) {
	j, err := d.awaitJoined(co, program, id)
	cause := context.Cause(co)
	if err == nil || co.Err() == nil {
		return j.result(nil, err)
	}
	err = co.Shield(forever, func(co *tinyio.Co) error { // as for a child: it is stopped too, and waited for
		_, err := joinStep(d, co, "cancel "+id, func(ctx context.Context, e *Engine) (struct{}, error) {
			return struct{}{}, e.CancelRun(ctx, id, cause)
		})
		if err == nil {
			j, err = d.awaitJoined(co, program, id)
		}
		return err
	})
	return j.result(cause, err)
}

// result is that of the run; cause is why it was cancelled here, if it was.
func (j joined) result(cause, err error) (json.RawMessage, error) {
	switch {
	case err != nil:
		return nil, err
	case j.Err == nil:
		return j.Value, nil
	case j.Cancelled && cause != nil:
		return nil, cause // the very error, so that the coroutine has stopped cleanly
	}
	if failed, ok := durable.DecodeError(j.Err); ok {
		return nil, failed
	}
	return nil, errors.New(string(j.Err))
}

// joinEvery is after how long a run is asked for again, at most.
const joinEvery = time.Minute

func (d *driver) awaitJoined(co *tinyio.Co, program, id string) (joined, error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, joinEvery) {
		j, err := joinStep(d, co, "join "+id, func(ctx context.Context, e *Engine) (joined, error) { return e.join(ctx, program, id) })
		if err != nil || j.Ended {
			return j, err
		}
		if err := co.Sleep(wait); err != nil {
			return joined{}, err
		}
	}
}

// join returns the outcome of a run.
func (e *Engine) join(ctx context.Context, program, id string) (joined, error) {
	if err := e.StartRun(ctx, program, id, nil); err != nil { // which is there, and if it is one of another program that is an error
		return joined{}, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, time.Second, errStillRunning)
	defer cancel()
	v, err := e.AwaitRun(limited, id, true)
	var ended *durable.RunError
	switch {
	case err == nil:
		return joined{Ended: true, Value: v}, nil
	case errors.As(err, &ended):
		return joined{Ended: true, Err: durable.EncodeError(ended.Err), Cancelled: ended.Cancelled}, nil
	case errors.Is(err, errStillRunning):
		return joined{}, nil
	}
	return joined{}, err
}

var errStillRunning = errors.New("tinyiotemporal: the run has not ended")

// joinStep is a step that is given the client of the worker. It is tried again until the service answers.
func joinStep[T any](d *driver, co *tinyio.Co, name string, f func(ctx context.Context, e *Engine) (T, error)) (T, error) {
	return durable.Step(co, name, func(ctx context.Context) (T, error) {
		e := NewEngine(activity.GetClient(*d.activity.Load()), d.info.TaskQueueName)
		whole, cancel := context.WithCancelCause(context.WithoutCancel(ctx)) // in a Shield the deadline of a Timeout around it means nothing
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
		return f(whole, e)
	}, durable.Retry{Wait: 100 * time.Millisecond, MaxWait: joinEvery, If: func(err error) bool { return !errors.Is(err, errOtherProgram) }})
}
