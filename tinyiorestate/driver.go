package tinyiorestate

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	restate "github.com/restatedev/sdk-go"
	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/hook"
)

// The invariants of a driver.
//
//  1. The calls of the SDK are made on the goroutine of the handler, between two steps of the loop, in an order that follows from
//     what the program has heard of. The SDK unwinds its caller by a panic when it lets go of a run; then the program is discarded.
//  2. The program hears of one thing at a time, when no coroutine is ready, or none has waited for busyTurns turns: of that which
//     comes next in the journal of the server, out of all that is waited for.
//  3. Time stands still in between. Each of these things has its time: when the function of a step has returned, when a message was sent, the
//     deadline of a timer. Timers of the loop that are due before it fire before it, at exactly their deadlines.

// busyTurns is after how many turns without a pause something from outside is taken in all the same.
const busyTurns = 1 << 14

// errCancelled is the cause of a cancellation by the tools of Restate.
var errCancelled = errors.New("tinyiorestate: the run was cancelled by way of the server")

func init() { durable.RegisterError("tinyiorestate.errCancelled", errCancelled) }

// A driver drives the program of a run, as far as one attempt of the server goes.
type driver struct {
	*durable.Base
	engine *Engine
	ctx    restate.WorkflowContext
	loop   *tinyio.Loop
	std    context.Context // of the program
	cancel context.CancelCauseFunc
	cause  error // with which the run was cancelled
	halt   error // why it cannot go on

	now      time.Time
	calls    []func()           // of the SDK, for between two steps
	awaited  []awaited          // what has been asked for, but timers
	timers   []awaited          // by their deadlines
	next     *arrival           // what the program hears of next, when the timers before it have fired
	received int                // messages
	failed   []*durable.Pending // steps that wait for another attempt
	versions map[string]int
	turns    uint64 // that had been taken when something from outside was last taken in
	paused   int    // how often the loop has since then

	stepping sync.Mutex // held by the driver, but while it waits for the server
	over     bool       // the loop has ended; guarded by stepping

	mu        sync.Mutex
	abandoned bool           // the server, or Close, has let go of the run
	threads   sync.WaitGroup // which run functions
}

// An awaited is something that will arrive.
type awaited struct {
	future restate.Future
	at     time.Time       // of a timer: its deadline
	arrive func() *arrival // returns what the program is to hear of
}

// An arrival is something for the program to hear of.
type arrival struct {
	at   time.Time
	take func() error
}

// A result is what a step leaves in the journal of the server.
type result struct {
	At      int64           `json:"at"` // nanoseconds since 1970, when the function had returned
	Outcome json.RawMessage `json:"outcome"`
}

func newDriver(e *Engine, ctx restate.WorkflowContext, at time.Time) *driver {
	seed, source := make([]byte, 0, 32), restate.RandSource(ctx)
	for range 4 {
		seed = binary.LittleEndian.AppendUint64(seed, source.Uint64())
	}
	std, cancel := context.WithCancelCause(context.WithoutCancel(e.config.Context))
	d := &driver{
		Base: durable.NewBase(restate.Key(ctx), seed), engine: e, ctx: ctx, std: std, cancel: cancel, now: at.UTC(), versions: map[string]int{},
	}
	d.loop = tinyio.NewLoop(tinyio.WithClock((*clock)(d)), tinyio.WithThreads(d.thread), tinyio.WithObserver(d.Base))
	d.stepping.Lock() // until drive has ended
	return d
}

// drive drives the program to its end. It returns an error if the program cannot go on, and panics as the SDK does when that lets go of the run.
func (d *driver) drive(p *durable.Program, input json.RawMessage) (last end, err error) {
	defer func() {
		d.over = true
		d.stepping.Unlock()
		d.cancel(nil)
	}()
	x, err := p.Start(durable.WithHost(d.std, d), d.loop, input)
	if err != nil {
		return end{}, err
	}
	err = errors.New("tinyiorestate: the program has called runtime.Goexit")
	var unwinding any // the panic of the SDK
	var value json.RawMessage
	ended := make(chan struct{})
	go func() { // which a Goexit of the program ends
		defer close(ended)
		value, unwinding, err = d.steps(x)
	}()
	<-ended
	d.threads.Wait()
	last = end{Program: p.Name(), At: d.now.UnixNano(), State: durable.Succeeded, Value: value}
	switch {
	case unwinding != nil:
		panic(unwinding)
	case d.halt != nil:
		return end{}, d.halt
	case err == nil:
		return last, nil
	}
	last.State, last.Value, last.Err = durable.Failed, nil, durable.EncodeError(err)
	if d.cause != nil && errors.Is(err, d.cause) {
		last.State = durable.Cancelled
	}
	return last, nil
}

// steps takes the steps of the loop. What is unwinding is the panic of the SDK.
func (d *driver) steps(x durable.Execution) (value json.RawMessage, unwinding any, err error) {
	defer func() {
		if p := recover(); p != nil {
			panicked, ok := p.(*tinyio.PanicError)
			if !ok {
				panicked = &tinyio.PanicError{Value: p, Stack: debug.Stack()}
			}
			err = panicked
		}
	}()
	d.calls = append(d.calls, d.awaitMessage)
	for p := range x.Steps() {
		if d.halt == nil {
			unwinding = d.between(p)
		}
		if d.halt != nil || unwinding != nil {
			d.abandon()
			x.Discard()
		}
	}
	if d.halt != nil || unwinding != nil {
		return nil, unwinding, nil
	}
	value, err = x.Result()
	return value, nil, err
}

// between does what is to be done between two steps. It returns what the SDK has panicked with.
func (d *driver) between(p tinyio.Pause) (unwinding any) {
	completed := false
	defer func() {
		if completed {
			return
		}
		if unwinding = recover(); unwinding == nil {
			unwinding = errors.New("tinyiorestate: the SDK has called runtime.Goexit")
		}
	}()
	switch {
	case d.giveUp():
	case len(d.calls) > 0: // some of which give the program something to do
		calls := d.calls
		d.calls = nil
		for _, call := range calls {
			call()
		}
	case p.Blocked || d.busy():
		d.paused, d.turns = 0, d.loop.Stats().Turns
		d.halt = d.hear(p)
	}
	completed = true
	return nil
}

// busy reports that something from outside is to be taken in although coroutines are ready.
func (d *driver) busy() bool {
	d.paused++
	return d.paused >= busyTurns && d.loop.Stats().Turns-d.turns >= busyTurns
}

// hear gives the program what comes next: a timer that is due, or what has arrived.
func (d *driver) hear(p tinyio.Pause) error {
	for {
		n := d.next
		switch {
		case n == nil:
			if err := d.wait(p); err != nil {
				return err
			}
		case !p.Deadline.IsZero() && !p.Deadline.After(n.at):
			d.advance(p.Deadline)
			return nil
		default:
			d.next = nil
			d.advance(n.at)
			return n.take()
		}
	}
}

// advance moves the clock, never back.
func (d *driver) advance(to time.Time) {
	if to.After(d.now) {
		d.now = to.UTC().Round(0)
	}
}

// wait waits for the first of what has been asked for.
func (d *driver) wait(p tinyio.Pause) error {
	if !p.Blocked {
		d.tick()
	}
	d.setTimer(p.Deadline)
	futures := make([]restate.Future, 0, len(d.awaited)+1)
	for _, a := range d.awaited {
		futures = append(futures, a.future)
	}
	if len(d.timers) > 0 {
		futures = append(futures, d.timers[0].future)
	}
	wake := p.Wake
	if !p.Blocked || d.cause != nil { // what it tells then is something that the loop has taken in, or the end of the context
		wake = nil
	}
	first, cancelled, unrecorded := d.waitFirst(futures, wake)
	switch {
	case unrecorded:
		return fmt.Errorf("tinyiorestate: something came to run %q that is not recorded: from FromCallback, Recv, Send, Submit or Post, "+
			"or an Event was set in a thread; use Step, RunInThread or Call for what is outside, and Signal for what comes from there", d.ID())
	case cancelled != nil:
		d.next = &arrival{d.now, func() error { return d.stop(errCancelled) }}
	case len(d.timers) > 0 && first == d.timers[0].future:
		d.next = d.timers[0].arrive()
		d.timers = d.timers[1:]
	default:
		i := slices.IndexFunc(d.awaited, func(a awaited) bool { return a.future == first })
		a := d.awaited[i]
		d.awaited = slices.Delete(d.awaited, i, i+1)
		d.next = a.arrive()
	}
	return nil
}

// waitFirst is that of the SDK. Meanwhile others may look at the loop, and something may come to it that is not recorded: then the SDK is made
// to give up.
func (d *driver) waitFirst(futures []restate.Future, wake <-chan struct{}) (first restate.Future, cancelled restate.TerminalError, unrecorded bool) {
	interrupt := d.ctx.Value(interruptKey{}).(context.CancelFunc)
	over, watched := make(chan struct{}), make(chan bool, 1)
	go func() {
		select {
		case <-wake:
			interrupt()
			watched <- true
		case <-over:
			watched <- false
		}
	}()
	d.stepping.Unlock()
	defer func() {
		d.stepping.Lock()
		close(over)
		if unrecorded = <-watched; unrecorded {
			_ = recover() // that the SDK gives up
		}
	}()
	first, cancelled = restate.WaitFirst(d.ctx, futures...)
	return first, cancelled, false
}

// interruptKey is where a driver finds what ends the context of its handler.
type interruptKey struct{}

// tick asks for the time, for a program that is busy.
func (d *driver) tick() {
	f := restate.RunAsync(d.ctx, func(restate.RunContext) (int64, error) { return time.Now().UnixNano(), nil }, restate.WithName("tick"))
	d.await(f, func() *arrival {
		at, _ := f.Result() // it does not fail
		return &arrival{time.Unix(0, at), func() error { return nil }}
	})
}

func (d *driver) await(f restate.Future, arrive func() *arrival) {
	d.awaited = append(d.awaited, awaited{future: f, arrive: arrive})
}

// setTimer sees to it that the server has a timer for a deadline, or an earlier one: a timer that is not needed any more cannot be taken back,
// and is used for what comes later.
func (d *driver) setTimer(deadline time.Time) {
	if deadline.IsZero() || len(d.timers) > 0 && !d.timers[0].at.After(deadline) {
		return
	}
	f := restate.After(d.ctx, max(time.Until(deadline), 0)) // of which the server keeps when it ends
	d.timers = slices.Insert(d.timers, 0, awaited{f, deadline, func() *arrival {
		_ = f.Done() // which it is
		return &arrival{deadline, func() error { return nil }}
	}})
}

// awaitMessage asks for the next message.
func (d *driver) awaitMessage() {
	f := restate.Promise[message](d.ctx, strconv.Itoa(d.received))
	d.await(f, func() *arrival {
		m, err := f.Result()
		d.received++
		restate.Set(d.ctx, stateNext, d.received)
		d.awaitMessage()
		return &arrival{time.Unix(0, m.At), func() error { return d.take(m, err) }}
	})
}

// take has the program hear of a message.
func (d *driver) take(m message, err restate.TerminalError) error {
	switch {
	case err != nil:
		return fmt.Errorf("tinyiorestate: run %q was sent something that is no message: %w", d.ID(), err)
	case m.Cancel == nil:
		d.Deliver(m.Signal, m.Value)
		return nil
	}
	cause, ok := durable.DecodeError(m.Cancel)
	if !ok || cause == nil {
		cause = errCancelled
	}
	return d.stop(cause)
}

// stop cancels the program.
func (d *driver) stop(cause error) error {
	if d.cause == nil {
		d.cause = cause
		d.cancel(cause)
	}
	return nil
}

// thread takes over the function of a thread.
func (d *driver) thread(t *hook.Thread) {
	s := d.Take(t)
	if d.halt != nil {
		t.Fail(d.halt)
		return
	}
	d.calls = append(d.calls, func() { d.begin(s) })
}

// begin has the server run the function of s, unless it has the result.
func (d *driver) begin(s *durable.Pending) {
	f := restate.RunAsync(d.ctx, func(restate.RunContext) (result, error) { return d.run(s), nil }, restate.WithName(s.Name))
	d.await(f, func() *arrival {
		r, _ := f.Result() // the function that was run does not fail; what fails is in the outcome
		return &arrival{time.Unix(0, r.At), func() error {
			ended, err := s.Give(r.Outcome, d.loop.Status)
			if !ended && err == nil {
				d.beginAgain(s)
			}
			return err
		}}
	})
}

// beginAgain does what begin does when it is time for another attempt.
func (d *driver) beginAgain(s *durable.Pending) {
	next := s.Next()
	d.failed = append(d.failed, s)
	f := restate.After(d.ctx, max(time.Until(next), 0), restate.WithName("try again: "+s.Name))
	d.await(f, func() *arrival {
		_ = f.Done() // which it is
		return &arrival{next, func() error {
			if i := slices.Index(d.failed, s); i >= 0 {
				d.failed = slices.Delete(d.failed, i, i+1)
				d.begin(s)
			}
			return nil
		}}
	})
}

// giveUp ends a step that waits for another attempt, if its coroutine is stopped. It reports whether there was one.
func (d *driver) giveUp() bool {
	i := slices.IndexFunc(d.failed, func(s *durable.Pending) bool { return s.Thread.Context().Err() != nil })
	if i < 0 {
		return false
	}
	s := d.failed[i]
	d.failed = slices.Delete(d.failed, i, i+1)
	s.Run() // calls nothing
	_, d.halt = s.Give(s.Outcome(), d.loop.Status)
	return true
}

// run runs the function of s. It does not return if the run is abandoned: then nobody takes in what it returns.
func (d *driver) run(s *durable.Pending) result {
	d.mu.Lock()
	if d.abandoned {
		d.mu.Unlock()
		runtime.Goexit()
	}
	d.threads.Add(1)
	d.mu.Unlock()
	returned := make(chan struct{})
	go func() { // which a Goexit of the function ends
		defer d.threads.Done()
		defer close(returned)
		s.Run()
	}()
	<-returned
	if d.isAbandoned() {
		runtime.Goexit()
	}
	return result{time.Now().UnixNano(), s.Outcome()}
}

func (d *driver) abandon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.abandoned = true
}

func (d *driver) isAbandoned() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.abandoned || d.ctx.Err() != nil
}

// status is what the coroutines of the program are doing.
func (d *driver) status() []tinyio.Status {
	d.stepping.Lock()
	defer d.stepping.Unlock()
	if d.over {
		return []tinyio.Status{}
	}
	return d.loop.Status()
}

// A clock is the time in a run.
type clock driver

func (c *clock) Now() time.Time { return c.now }

// Version is that of a [durable.Host]. A choice is kept in the state of the workflow.
func (d *driver) Version(co *tinyio.Co, change string, min, max int) (int, error) {
	if _, known := d.versions[change]; !known {
		var chosen tinyio.Event
		d.calls = append(d.calls, func() {
			d.choose(change, min, max)
			chosen.Set()
		})
		if err := chosen.Wait(co); err != nil {
			return 0, err
		}
	}
	v := d.versions[change]
	if v < min || v > max {
		d.halt = &durable.NondeterminismError{
			Run: d.ID(), Step: d.Taken(), Name: change, Expected: fmt.Sprintf("a program that knows version %d of the change", v),
			Found: fmt.Sprintf("versions %d to %d", min, max),
		}
		return 0, d.halt
	}
	return v, nil
}

// choose chooses the version of a change. A run that has more on record than the program has asked for was beyond this place before the
// change was made, unless the choice is on record too.
func (d *driver) choose(change string, min, max int) {
	if _, known := d.versions[change]; known {
		return
	}
	v := max
	if replaying(d.ctx) {
		var recorded *int
		if err := d.engine.call(d.ctx, d.ID(), "version", change, &recorded); err != nil {
			panic(err) // the server tries again
		}
		if recorded == nil {
			d.versions[change] = min
			return
		}
		v = *recorded
	}
	restate.Set(d.ctx, stateVersion+change, v)
	d.versions[change] = v
}

// Child is that of a [durable.Host].
func (d *driver) Child(co *tinyio.Co, program, id string, input json.RawMessage) (json.RawMessage, error) {
	name := "child " + program
	c := &child{d: d}
	_, err := tinyio.FromCallback(func(done func(struct{}, error)) func(error) {
		n := d.Taken() + 1
		d.SetTaken(n)
		c.id = cmp.Or(id, fmt.Sprintf("%s/%d", d.ID(), n))
		c.done = func() { done(struct{}{}, c.err) }
		d.calls = append(d.calls, func() { c.start(runRequest{program, input}) })
		return c.cancel
	}).Named(name).Await(co)
	if c.ended { // also if co has been stopped meanwhile
		return c.value, c.err
	}
	return nil, err
}

// A child is another run that the program waits for.
type child struct {
	d       *driver
	id      string
	stopped error // why the program has stopped waiting
	ended   bool
	value   json.RawMessage
	err     error
	done    func()
}

// start starts the child, and asks for its end.
func (c *child) start(r runRequest) {
	d := c.d
	restate.WorkflowSend(d.ctx, d.engine.config.Service, c.id, "run").Send(r) // nothing happens if there is that run already
	f := restate.Workflow[end](d.ctx, d.engine.config.Service, c.id, "result").RequestFuture(restate.Void{})
	d.await(f, func() *arrival {
		last, err := f.Response()
		switch {
		case err != nil: // somebody has killed what waits for the child there
			last = end{At: d.now.UnixNano(), State: durable.Failed, Err: durable.EncodeError(errors.New(err.Message()))}
		case last.Program != r.Program:
			last.State = durable.Failed
			last.Err = durable.EncodeError(anotherProgram(c.id, last.Program, r.Program))
		}
		return &arrival{time.Unix(0, last.At), func() error { return c.end(last) }}
	})
}

// end gives the program the end of the child.
func (c *child) end(last end) error {
	c.ended, c.value, c.err = true, last.Value, last.err(c.id)
	if last.State == durable.Cancelled && c.stopped != nil {
		c.err = c.stopped // the very error, so that the coroutine has stopped cleanly
	}
	c.done()
	return nil
}

// cancel is called on the loop, when the program does not wait for the child any more.
func (c *child) cancel(cause error) {
	c.stopped = cause
	c.d.calls = append(c.d.calls, func() {
		m := message{Cancel: durable.EncodeError(cause), Early: true}
		restate.WorkflowSend(c.d.ctx, c.d.engine.config.Service, c.id, "send").Send(m)
	})
}

func anotherProgram(id, is, not string) error {
	return fmt.Errorf("durable: Start: run %q is one of program %q, not of %q; give each run an id of its own", id, is, not)
}
