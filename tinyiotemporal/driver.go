package tinyiotemporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"go.temporal.io/sdk/workflow"
)

// maxPending is how many activities, children and others may be under way at once. The service allows 2,000 of each kind. Tests have less.
var maxPending = 1000

// stepsPerTurn is after how many steps the SDK gets a turn: it takes a goroutine of a workflow that does not give way for a second for one
// that is stuck, however many short steps that second consists of. What it does in its turn can have a place among the commands, so it is
// steps that are counted, and not time.
const stepsPerTurn = 16

// cancelSignal is the signal that a run is to stop, with the cause. A cancellation of Temporal has none.
const cancelSignal = "tinyio.cancel"

// A driver is the place of a program in a workflow.
type driver struct {
	*durable.Base
	outer     workflow.Context // which is cancelled when the workflow is
	ctx       workflow.Context // which never is
	info      *workflow.Info
	loop      *tinyio.Loop
	execution durable.Execution
	cancel    context.CancelCauseFunc
	cause     error // why the run was cancelled
	halt      any   // why the task has to fail: what is to be thrown
	gone      bool  // the program has been discarded, or is about to be

	now   time.Time
	turns int // how many steps of the loop, since the SDK had a turn

	todo    []func() // calls of the SDK for between two steps, which are no calls below
	queued  []*call  // calls that are to be made, in order
	pending []*call  // and that have been made
	steps   int      // how many of the pending ones are steps
	updates []*update
	failed  []*step // that are to be tried again

	recorded bool     // steps are held back until they are
	held     []func() // gives the program what has been held back

	timer     workflow.Future
	timerAt   time.Time
	stopTimer func()
	alarm     alarm
	alarmAt   time.Time                       // the latest for which a step has come back
	activity  atomic.Pointer[context.Context] // of a local activity, to which the client is known
	warned    bool                            // that the history has become long
}

type driverKey struct{}

// of returns the driver of a coroutine, or nil.
func of(co context.Context) *driver {
	d, _ := co.Value(driverKey{}).(*driver)
	return d
}

// must returns the driver of a coroutine.
func must(co *tinyio.Co, op string) *driver {
	d := of(co)
	if d == nil {
		panic("tinyiotemporal: " + op + ": the coroutine is not part of a workflow; start its program with durable.Start on an Engine of this package")
	}
	return d
}

// between does what is to be done between two steps.
func (d *driver) between(p tinyio.Pause) {
	defer func() {
		if d.gone { // the SDK has put the workflow out of memory, by a runtime.Goexit, or has panicked
			d.alarm.set(time.Time{}, time.Time{})
			d.execution.Discard()
		}
	}()
	d.gone = true
	if d.halt != nil {
		panic(d.halt)
	}
	d.turns++
	if retried := d.retry(); !d.makeCalls() && !retried {
		switch {
		case p.Blocked:
			d.takeIn(p)
		case d.turns >= stepsPerTurn:
			turn := 0
			d.leave(func() bool { turn++; return turn > 1 })
		}
	}
	d.gone = false
}

// leave gives control to the SDK until condition holds. It does not return if the workflow is put out of memory.
func (d *driver) leave(condition func() bool) {
	_ = workflow.Await(d.ctx, condition) // whose context is never cancelled
	d.turns = 0
}

// makeCalls makes the calls of the SDK that have been asked for. It reports whether the program has heard of something by that.
func (d *driver) makeCalls() (heard bool) {
	for len(d.todo) > 0 {
		do := d.todo[0]
		d.todo = d.todo[1:]
		do()
	}
	rest := d.queued[:0]
	for _, c := range d.queued {
		switch {
		case c.stopped != nil:
			c.refuse(c.stopped)
			heard = true
		case len(d.pending) >= maxPending:
			rest = append(rest, c)
		default:
			c.future = c.start()
			if c.step {
				d.steps++
			}
			d.pending = append(d.pending, c)
		}
	}
	clear(d.queued[len(rest):])
	d.queued = rest
	return heard
}

// takeIn gives the program what comes next: a timer that is due, or what has come from outside.
func (d *driver) takeIn(p tinyio.Pause) {
	for {
		now := d.time()
		if !p.Deadline.IsZero() && !p.Deadline.After(now) {
			d.advance(p.Deadline)
			return
		}
		if d.hear() {
			d.advance(now)
			return
		}
		if d.retry() {
			if d.makeCalls() {
				return
			}
			continue
		}
		d.warn()
		deadline := d.deadline(p.Deadline)
		d.setTimer(deadline)
		d.leave(func() bool { return d.hasCome(p, deadline) })
		if len(p.Wake) > 0 {
			if d.cause != nil { // it may be the end of the context, which the loop knows of
				return
			}
			panic(fmt.Errorf("tinyiotemporal: something came to run %q that is not recorded: from FromCallback, Recv, Send, Submit or Post, "+
				"or an Event was set in a thread; use Step, RunInThread, Call or Activity for what is outside, and Signal for what comes from there", d.ID()))
		}
	}
}

// time is the time in the history.
func (d *driver) time() time.Time {
	t := later(workflow.Now(d.ctx), d.alarmAt)
	if d.timer != nil && d.timer.IsReady() {
		t = later(t, d.timerAt)
	}
	return t
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// advance moves the clock of the program, never back.
func (d *driver) advance(to time.Time) { d.now = later(d.now, to.UTC().Round(0)) }

// hasCome reports whether there is something for takeIn to do. The SDK asks whenever something may have changed.
func (d *driver) hasCome(p tinyio.Pause, deadline time.Time) bool {
	if !deadline.IsZero() && !deadline.After(d.time()) || len(d.updates) > 0 || len(p.Wake) > 0 || d.toldToStop() {
		return true
	}
	for _, c := range d.pending {
		if c.future.IsReady() {
			return true
		}
	}
	return len(workflow.GetUnhandledSignalNames(d.ctx)) > 0
}

// toldToStop reports that the workflow has been cancelled, and that the program does not know it yet.
func (d *driver) toldToStop() bool { return d.cause == nil && d.outer.Err() != nil }

// hear gives the program what has come from outside, and reports whether there was anything.
func (d *driver) hear() (any bool) {
	any = d.hearSignals()
	rest := d.pending[:0]
	for _, c := range d.pending {
		if !c.future.IsReady() {
			rest = append(rest, c)
			continue
		}
		if c.step {
			d.steps--
		}
		any = true
		c.take(c.future)
	}
	clear(d.pending[len(rest):])
	d.pending = rest
	for _, u := range d.updates {
		any = true
		if err := d.loop.Post(u.work); err != nil {
			u.refuse(fmt.Errorf("tinyiotemporal: the run is being stopped: %w", err))
		}
	}
	d.updates = nil
	if d.toldToStop() {
		d.interrupt(context.Canceled)
		any = true
	}
	return any
}

// hearSignals gives the program the signals that have come.
func (d *driver) hearSignals() (any bool) {
	names := workflow.GetUnhandledSignalNames(d.ctx)
	slices.Sort(names) // which come out of a map
	for _, name := range names {
		ch := workflow.GetSignalChannel(d.ctx, name)
		for {
			value := json.RawMessage("null") // if it was sent without one
			if !ch.ReceiveAsync(&value) {
				break
			}
			any = true
			if name == cancelSignal {
				cause, _ := durable.DecodeError(value)
				d.interrupt(cause)
				continue
			}
			d.Deliver(name, value)
		}
	}
	return any
}

// interrupt ends the context of the program.
func (d *driver) interrupt(cause error) {
	if cause == nil {
		cause = context.Canceled
	}
	if d.cause == nil {
		d.cause = cause
		d.cancel(cause)
	}
}

// setTimer sees to it that the program goes on at a time, if it does not before. While steps are under way the service has no part in that,
// since it knows nothing of them before the task has ended: then one of them comes back at that time.
//
// A timer that is set for an earlier time is left: that costs less history than another one for each Timeout that was not needed.
func (d *driver) setTimer(deadline time.Time) {
	if d.timer != nil && d.timer.IsReady() {
		d.timer = nil
	}
	if d.steps > 0 {
		d.alarm.set(deadline, d.time())
		return
	}
	d.alarm.set(time.Time{}, time.Time{})
	if deadline.IsZero() || d.timer != nil && !d.timerAt.After(deadline) {
		return
	}
	if d.timer != nil {
		d.stopTimer()
	}
	ctx, stop := workflow.WithCancel(d.ctx)
	d.timer = workflow.NewTimer(ctx, deadline.Sub(workflow.Now(ctx)))
	d.timerAt, d.stopTimer = deadline, stop
}

// warn logs that the history has become long, once.
func (d *driver) warn() {
	if d.warned || !d.info.GetContinueAsNewSuggested() {
		return
	}
	d.warned = true
	workflow.GetLogger(d.ctx).Warn("the history of the run has become long: return tinyiotemporal.ContinueAsNew, or do parts of it in a durable.Child",
		"run", d.ID(), "events", d.info.GetCurrentHistoryLength(), "bytes", d.info.GetCurrentHistorySize())
}

// A clock is the time in a run.
type clock driver

func (c *clock) Now() time.Time { return c.now }

// A call is one of the SDK that has a future.
type call struct {
	start   func() workflow.Future
	take    func(workflow.Future) // gives the program what has come
	refuse  func(cause error)     // instead, if it is stopped before it is made
	step    bool
	future  workflow.Future
	stopped error // why it is to be stopped
}

var errHalted = errors.New("tinyiotemporal: the run cannot go on for now")

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// values is a context with the values of the one and of the other.
type values struct {
	context.Context
	workflow workflow.Context
}

func (v *values) Value(key any) any {
	if x := v.Context.Value(key); x != nil {
		return x
	}
	return v.workflow.Value(key)
}
