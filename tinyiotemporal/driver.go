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
	*durable.Driver
	outer  workflow.Context // which is cancelled when the workflow is
	ctx    workflow.Context // which never is
	info   *workflow.Info
	thrown any // by the SDK in the turn of a coroutine, for which the task has to fail
	turns  int // how many steps of the loop, since the SDK had a turn

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

// drive runs the program to its end. If it cannot go on the task fails, by a panic, and is tried again: with the next version of the program, maybe.
func (d *driver) drive(ctx context.Context, p *durable.Program, input json.RawMessage) durable.End {
	returned := false
	defer func() {
		if _, ended := d.End(); ended && !returned { // which nothing can hold back
			panic(errors.New("tinyiotemporal: the program has called runtime.Goexit"))
		}
	}()
	err := d.Drive(ctx, p, input)
	switch {
	case d.thrown != nil:
		panic(d.thrown)
	case err != nil:
		panic(err)
	}
	returned = true
	e, _ := d.End()
	return e
}

// LetGo makes d a durable.Outside, as Begin, Between and Next do.
func (d *driver) LetGo() { d.alarm.set(time.Time{}, time.Time{}) }

// Between makes the calls of the SDK that have been asked for, and lets it have a turn now and then.
func (d *driver) Between(p tinyio.Pause) (heard bool) {
	d.turns++
	retried := d.retry()
	if d.makeCalls() || retried {
		return true
	}
	if !p.Blocked && d.turns >= stepsPerTurn {
		turn := 0
		d.leave(func() bool { turn++; return turn > 1 })
	}
	return false
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

// Next is that a timer is due, or else all that has come from outside. A program that is busy hears of neither: the SDK has nothing new for it
// before the task ends.
func (d *driver) Next(p tinyio.Pause) (durable.Arrival, error) {
	for p.Blocked {
		now := d.time()
		switch {
		case isDue(p.Deadline, now):
			return durable.Arrival{At: now}, nil
		case d.hasCome():
			return durable.Arrival{At: now, Take: d.hear}, nil
		case d.retry():
			if d.makeCalls() {
				return durable.Arrival{}, nil
			}
			continue
		}
		d.warn()
		deadline := d.deadline(p.Deadline)
		d.setTimer(deadline)
		d.leave(func() bool { return isDue(deadline, d.time()) || len(p.Wake) > 0 || d.hasCome() })
		if len(p.Wake) > 0 {
			return durable.Arrival{}, d.Woken()
		}
	}
	return durable.Arrival{}, nil
}

func isDue(deadline, now time.Time) bool { return !deadline.IsZero() && !deadline.After(now) }

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

// hasCome reports whether something has come from outside. The SDK asks whenever something may have changed.
func (d *driver) hasCome() bool {
	if len(d.updates) > 0 || d.toldToStop() {
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
func (d *driver) toldToStop() bool { return d.Cause() == nil && d.outer.Err() != nil }

// hear gives the program what has come from outside.
func (d *driver) hear() error {
	d.hearSignals()
	rest := d.pending[:0]
	for _, c := range d.pending {
		if !c.future.IsReady() {
			rest = append(rest, c)
			continue
		}
		if c.step {
			d.steps--
		}
		c.take(c.future)
	}
	clear(d.pending[len(rest):])
	d.pending = rest
	for _, u := range d.updates {
		if err := d.Loop().Post(u.work); err != nil {
			u.refuse(fmt.Errorf("tinyiotemporal: the run is being stopped: %w", err))
		}
	}
	d.updates = nil
	if d.toldToStop() {
		d.Cancel(context.Canceled)
	}
	return nil
}

// hearSignals gives the program the signals that have come.
func (d *driver) hearSignals() {
	names := workflow.GetUnhandledSignalNames(d.ctx)
	slices.Sort(names) // which come out of a map
	for _, name := range names {
		ch := workflow.GetSignalChannel(d.ctx, name)
		for {
			value := json.RawMessage("null") // if it was sent without one
			if !ch.ReceiveAsync(&value) {
				break
			}
			if name != cancelSignal {
				d.Deliver(name, value)
				continue
			}
			cause, _ := durable.DecodeError(value)
			if cause == nil {
				cause = context.Canceled
			}
			d.Cancel(cause)
		}
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
