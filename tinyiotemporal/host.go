package tinyiotemporal

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// What follows, and durable.Driver, makes a driver a durable.Host.

// Version is a call of GetVersion. It answers at once, so it has to be made in the turn of the coroutine.
func (d *driver) Version(co *tinyio.Co, change string, min, max int) (v int, err error) {
	defer func() {
		if d.thrown = recover(); d.thrown != nil {
			err = errHalted
			d.Halt(err)
		}
	}()
	v = int(workflow.GetVersion(d.ctx, change, workflow.DefaultVersion, workflow.Version(max)))
	if v == int(workflow.DefaultVersion) {
		v = min
	}
	return d.CheckVersion(change, v, min, max)
}

// Child runs a program as a child workflow.
func (d *driver) Child(co *tinyio.Co, program, id string, input json.RawMessage) (json.RawMessage, error) {
	n := d.NameStep("")
	d.SetTaken(n)
	if id == "" {
		id = fmt.Sprintf("%s/%d", d.ID(), n)
	}
	v, err := await(co, "run "+id, func(done func(json.RawMessage, error)) (cancel func(error)) {
		ctx := workflow.WithChildOptions(d.ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            id,
			TaskQueue:             d.info.TaskQueueName,
			WorkflowTaskTimeout:   d.info.WorkflowTaskTimeout,
			WaitForCancellation:   true,
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_REQUEST_CANCEL, // it has ended, unless somebody terminates the run
		})
		var child workflow.ChildWorkflowFuture
		c := &call{
			start: func() workflow.Future {
				child = workflow.ExecuteChildWorkflow(ctx, program, input)
				return child
			},
			refuse: func(cause error) { done(nil, cause) },
		}
		c.take = func(f workflow.Future) {
			var v json.RawMessage
			err := f.Get(d.ctx, &v)
			if err == nil {
				done(v, nil)
				return
			}
			e := runError(id, err)
			if c.stopped != nil && e.Cancelled {
				e.Err = c.stopped // the very error, so that the coroutine has stopped cleanly
			}
			done(nil, e.Err)
		}
		d.queued = append(d.queued, c)
		return func(cause error) {
			if c.stopped = cause; c.future == nil {
				return
			}
			d.todo = append(d.todo, func() {
				workflow.Go(d.ctx, func(ctx workflow.Context) { // because it waits until the child has started
					_ = child.SignalChildWorkflow(ctx, cancelSignal, durable.EncodeError(cause)).Get(ctx, nil) // it may have ended
				})
			})
		}
	})
	var already *temporal.ChildWorkflowExecutionAlreadyStartedError
	if errors.As(err, &already) && co.Err() == nil {
		return d.join(co, program, id)
	}
	return v, err
}

// runError is the error of a run, given the one that the SDK has for it.
func runError(id string, err error) *durable.RunError {
	e := &durable.RunError{ID: id, Err: err}
	var f failure
	var app *temporal.ApplicationError
	var cancelled *temporal.CanceledError
	switch {
	case errors.As(err, &app):
		if app.HasDetails() {
			_ = app.Details(&f) // another workflow has other details
		}
		e.Err = app
	case errors.As(err, &cancelled):
		if e.Cancelled = true; cancelled.HasDetails() {
			_ = cancelled.Details(&f)
		}
		e.Err = cancelled
	}
	if f.Error != nil {
		if known, ok := durable.DecodeError(f.Error); ok && known != nil {
			e.Err = known
		}
	}
	return e
}
