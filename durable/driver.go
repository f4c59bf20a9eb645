package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// The invariants of a driver.
//
//  1. The program hears of one arrival at a time, each at a point that depends on nothing but those before: when no coroutine is ready, or
//     none has waited for busyTurns turns.
//  2. Time stands still in between. An arrival carries its time. A timer of the program that is due before it fires before it, at exactly its
//     deadline: so timers leave no records, and fire in the same order when everything is replayed.
//  3. The engine is called between two steps of the loop, on the goroutine of Drive; but for Begin, and what a Host has for coroutines in their
//     turns.

// busyTurns is after how many turns without a pause something from outside is taken in all the same.
const busyTurns = 1 << 14

// An Outside is what an engine provides to the [Driver] of a run. All methods but Begin, and those of the Host, are called on the goroutine of
// Drive, between two steps of the loop. They may panic or call [runtime.Goexit]: then the program is discarded, and that goes on.
type Outside interface {
	Host
	// Begin takes over a step that the program has begun, in the turn of the coroutine: see [Pending].
	Begin(s *Pending)
	// Between does what is to be done between any two steps of the loop. It reports whether the program has heard of something by that: then
	// nothing else is taken in before that has been acted on.
	Between(p tinyio.Pause) (heard bool)
	// Next waits for what the program hears of next, and returns it; p.Deadline is that of the next timer of the program. If p.Blocked is false
	// the program is busy, and it does not wait. With an error the run cannot go on.
	Next(p tinyio.Pause) (Arrival, error)
	// LetGo is called when the run cannot go on, before the program is discarded: nobody hears any more of what steps return.
	LetGo()
}

// An Arrival is something for a program to hear of.
type Arrival struct {
	At   time.Time
	Take func() error // has the program hear of it; nil if it is only that the time has come. With an error the run cannot go on
}

// An End is how a program has ended.
type End struct {
	State State
	Value json.RawMessage
	Err   error
}

// A Driver drives the program of one run, step by step, on behalf of an engine, and is most of a [Host] for it: that embeds one in its [Outside].
// Its methods are for the goroutine of Drive, and for coroutines in their turns.
type Driver struct {
	id      string
	out     Outside
	loop    *tinyio.Loop
	seed    []byte
	random  *rand.Rand // nil until somebody asks for it
	now     time.Time
	current tinyio.ID // whose turn it is
	name    string    // of the next function that is handed over
	taken   int       // how many have been
	boxes   map[string]*mailbox

	cancel  context.CancelCauseFunc
	cause   error    // why the run was cancelled
	halt    error    // why it cannot go on
	next    *Arrival // what comes when the timers before it have fired
	calling bool     // a method of out is
	turns   uint64   // that had been taken when something was last taken in
	steps   int      // since then
	end     *End

	mu    sync.Mutex // guards stops, which functions of threads read when they have returned
	stops stops
}

// NewDriver returns a Driver for the run with an id, which has begun at a time. The seed is that of its random numbers. All of these must be the same
// whenever the run is replayed.
func NewDriver(id string, seed []byte, at time.Time, out Outside) *Driver {
	d := &Driver{id: id, out: out, seed: seed, now: at.UTC().Round(0)}
	d.loop = tinyio.NewLoop(tinyio.WithClock((*clock)(d)), tinyio.WithThreads(d.thread), tinyio.WithObserver((*observer)(d)))
	return d
}

// Drive drives a program until it has ended: see [Driver.End]. It returns an error if the run cannot go on. The program has the values of ctx.
//
// A panic of the program is how it has ended, and so is runtime.Goexit, but that goes on in the goroutine of Drive.
func (d *Driver) Drive(ctx context.Context, p *Program, input json.RawMessage) error {
	ctx, d.cancel = context.WithCancelCause(WithHost(ctx, d.out))
	defer d.cancel(nil)
	x, err := p.Start(ctx, d.loop, input)
	if err != nil {
		d.halt = err
		return err
	}
	returned := false
	defer func() {
		if returned || d.calling {
			return
		}
		err := errors.New("durable: the program has called runtime.Goexit")
		if p := recover(); p != nil {
			panicked, ok := p.(*tinyio.PanicError)
			if !ok {
				panicked = &tinyio.PanicError{Value: p, Stack: debug.Stack()}
			}
			err = panicked
		}
		d.ended(nil, err)
	}()
	for p := range x.Steps() {
		if d.halt == nil {
			d.halt = d.between(x, p)
		}
		if d.halt != nil {
			d.out.LetGo()
			x.Discard()
		}
	}
	if d.halt == nil {
		d.ended(x.Result())
	}
	returned = true
	return d.halt
}

// between does what is to be done between two steps. It returns why the run cannot go on, if so.
func (d *Driver) between(x Execution, p tinyio.Pause) (err error) {
	d.calling = true
	defer func() {
		if d.calling { // out has panicked, or called runtime.Goexit
			d.out.LetGo()
			x.Discard()
		}
	}()
	d.steps++
	switch {
	case d.out.Between(p):
	case p.Blocked, d.steps >= busyTurns && d.loop.Stats().Turns-d.turns >= busyTurns:
		d.steps, d.turns = 0, d.loop.Stats().Turns
		err = d.hear(p)
	}
	d.calling = false
	return err
}

// hear gives the program what comes next: a timer that is due, or an arrival.
func (d *Driver) hear(p tinyio.Pause) error {
	if d.next == nil {
		n, err := d.out.Next(p)
		if err != nil {
			return err
		}
		d.next = &n
	}
	n := d.next
	due := !p.Deadline.IsZero() && !p.Deadline.After(n.At)
	if !due || n.Take == nil {
		d.next = nil
	}
	if due {
		d.advance(p.Deadline)
		return nil
	}
	d.advance(n.At)
	if n.Take == nil {
		return nil
	}
	return n.Take()
}

// advance moves the clock, never back.
func (d *Driver) advance(to time.Time) {
	if to.After(d.now) {
		d.now = to.UTC().Round(0)
	}
}

// ended notes how the program has ended.
func (d *Driver) ended(value json.RawMessage, err error) {
	d.end = &End{State: Succeeded, Value: value, Err: err}
	switch {
	case err == nil:
	case d.cause != nil && errors.Is(err, d.cause):
		d.end.State = Cancelled
	default:
		d.end.State = Failed
	}
}

// End is how the program has ended, if it has.
func (d *Driver) End() (e End, ok bool) {
	if d.end == nil || d.halt != nil {
		return End{}, false
	}
	return *d.end, true
}

// Loop is the loop on which the program runs.
func (d *Driver) Loop() *tinyio.Loop { return d.loop }

// Now is the time in the run.
func (d *Driver) Now() time.Time { return d.now }

// Cancel ends the context of the program, unless that has been done.
func (d *Driver) Cancel(cause error) {
	if d.cause == nil {
		d.cause = cause
		d.cancel(cause)
	}
}

// Cause is that of the cancellation, if there was one.
func (d *Driver) Cause() error { return d.cause }

// Halt says that the run cannot go on: the program is discarded after the turn, and Drive returns err, unless there was another reason before.
func (d *Driver) Halt(err error) {
	if d.halt == nil {
		d.halt = err
	}
}

// Halted returns why the run cannot go on.
func (d *Driver) Halted() error { return d.halt }

// Woken is for an engine whose wait has ended because of the Wake of a pause. It returns the error of a run that hears of something that is not
// recorded; or nil, if the run was cancelled: then it may be that, of which the loop knows.
func (d *Driver) Woken() error {
	if d.cause != nil {
		return nil
	}
	return fmt.Errorf("durable: something came to run %q that is not recorded: from FromCallback, Recv, Send, Submit or Post, "+
		"or an Event was set in a thread; use Step, RunInThread or Call for what is outside, and Signal for what comes from there", d.id)
}

// CheckVersion checks that a program that knows the versions min to max of a change knows that which holds in the run. If it does not, the run cannot go on.
func (d *Driver) CheckVersion(change string, v, min, max int) (int, error) {
	if min <= v && v <= max {
		return v, nil
	}
	err := &NondeterminismError{
		Run: d.id, Step: d.taken, Name: change, Expected: fmt.Sprintf("a program that knows version %d of the change", v),
		Found: fmt.Sprintf("versions %d to %d", min, max),
	}
	for _, s := range d.loop.Status() {
		if s.ID == d.current {
			err.Place = place(s.Frame)
		}
	}
	d.Halt(err)
	return 0, err
}

// thread takes over a function that the loop hands over.
func (d *Driver) thread(t *hook.Thread) {
	s := d.take(t)
	if d.halt != nil {
		t.Fail(d.halt)
		return
	}
	d.out.Begin(s)
}

// A clock is the time in a run.
type clock Driver

func (c *clock) Now() time.Time { return c.now }

// An observer notes whose turn it is, and what coroutines are stopped for.
type observer Driver

func (o *observer) Observe(n hook.Note) {
	switch n.What {
	case hook.Stopped:
		o.mu.Lock()
		o.stops.add(n.Err)
		o.mu.Unlock()
	case hook.Resumed:
		o.current = n.Coro
	}
}
