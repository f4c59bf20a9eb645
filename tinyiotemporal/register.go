package tinyiotemporal

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"go.temporal.io/sdk/workflow"
)

// A Registry is what workflows are made known to: a worker, a replayer, or the environment of a test.
type Registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

// An Option sets how the programs of a worker run.
type Option func(*options)

type options struct {
	base     context.Context
	recorded bool
}

// WithContext gives the programs the values of ctx: it is the way to what they need and cannot be recorded, such as a connection to a
// database. Of ctx nothing else counts.
func WithContext(ctx context.Context) Option {
	return func(o *options) { o.base = context.WithoutCancel(ctx) }
}

// WithRecordedSteps has the programs hear of what a step has come to only when that is recorded, as on a journal. Without it a worker that is
// lost takes all that it knew since the last task of the workflow with it: then those steps are taken again. It costs each step, or those that end
// at about the same time, a task and a timer: some tens of milliseconds, and five events. A program must not gain or lose the option while it
// has runs.
func WithRecordedSteps() Option {
	return func(o *options) { o.recorded = true }
}

// Register makes all programs known to r that have been given to durable.Register, each as the workflow of its name. The input of the
// workflow is that of the program, and its result is what the program returns: so any client can start one.
func Register(r Registry, opts ...Option) {
	o := options{base: context.Background()}
	for _, opt := range opts {
		opt(&o)
	}
	for _, p := range durable.Programs() {
		r.RegisterWorkflowWithOptions(func(ctx workflow.Context, input json.RawMessage, rest *rest) (json.RawMessage, error) {
			return run(ctx, o, p, input, rest)
		}, workflow.RegisterOptions{Name: p.Name()})
	}
}

// A rest is what one part of a run, which has continued as new, leaves to the next.
type rest struct {
	Taken   int                          `json:"taken"`             // how many steps have been begun
	Signals map[string][]json.RawMessage `json:"signals,omitempty"` // that nobody has received
}

// run is the workflow of a program.
func run(ctx workflow.Context, o options, p *durable.Program, input json.RawMessage, before *rest) (json.RawMessage, error) {
	info := workflow.GetInfo(ctx)
	seed := sha256.Sum256([]byte(info.OriginalRunID))
	inner, _ := workflow.NewDisconnectedContext(ctx)
	d := &driver{outer: ctx, ctx: inner, info: info, recorded: o.recorded}
	d.Driver = durable.NewDriver(info.WorkflowExecution.ID, seed[:], workflow.Now(ctx), d)
	if before != nil {
		d.SetTaken(before.Taken)
		for _, name := range sorted(before.Signals) {
			for _, v := range before.Signals[name] {
				d.Deliver(name, v)
			}
		}
	}
	if err := workflow.SetQueryHandler(ctx, coroutines, func() ([]tinyio.Status, error) { return d.Loop().Status(), nil }); err != nil {
		panic(err)
	}
	e := d.drive(context.WithValue(&values{o.base, ctx}, driverKey{}, d), p, input)
	d.finish()
	if e.Err != nil {
		return nil, d.failure(e)
	}
	return e.Value, nil
}

// coroutines is the name of the query that tells what each coroutine is doing.
const coroutines = "coroutines"

// finish lets updates return to those who wait for them, before the workflow ends.
func (d *driver) finish() {
	for _, u := range d.updates {
		u.refuse(fmt.Errorf("%w: %q", durable.ErrEnded, d.ID()))
	}
	d.updates = nil
	_ = workflow.Await(d.ctx, func() bool { return workflow.AllHandlersFinished(d.ctx) }) // whose context is never cancelled
}
