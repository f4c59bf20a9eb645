package tinyiorestate

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	restate "github.com/restatedev/sdk-go"
	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// The invariants of a driver, beside those of a [durable.Driver].
//
//  1. The calls of the SDK are made on the goroutine of Drive, between two steps of the loop, in an order that follows from
//     what the program has heard of. The SDK unwinds its caller by a panic when it lets go of a run; then the program is discarded.
//  2. What the program hears of is what comes next in the journal of the server, out of all that is waited for.
//  3. Each of these things has its time: when the function of a step has returned, when a message was sent, the deadline of a timer.

// errCancelled is the cause of a cancellation by the tools of Restate.
var errCancelled = errors.New("tinyiorestate: the run was cancelled by way of the server")

func init() { durable.RegisterError("tinyiorestate.errCancelled", errCancelled) }

// A driver drives the program of a run, as far as one attempt of the server goes.
type driver struct {
	*durable.Driver
	engine *Engine
	ctx    restate.WorkflowContext

	calls    []func()           // of the SDK, for between two steps
	awaited  []awaited          // what has been asked for, but timers
	timers   []awaited          // by their deadlines
	received int                // messages
	failed   []*durable.Pending // steps that wait for another attempt
	versions map[string]int

	stepping sync.Mutex // held by the driver, but while it waits for the server
	over     bool       // the loop has ended; guarded by stepping

	mu        sync.Mutex
	abandoned bool           // the server, or Close, has let go of the run
	threads   sync.WaitGroup // which run functions
}

// An awaited is something that will arrive.
type awaited struct {
	future restate.Future
	at     time.Time              // of a timer: its deadline
	arrive func() durable.Arrival // returns what the program is to hear of
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
	d := &driver{engine: e, ctx: ctx, versions: map[string]int{}}
	d.Driver = durable.NewDriver(restate.Key(ctx), seed, at, d)
	d.stepping.Lock() // until drive has ended
	return d
}

// drive drives the program to its end. It returns an error if the program cannot go on, and panics as the SDK does when that lets go of the run.
func (d *driver) drive(p *durable.Program, input json.RawMessage) (last end, err error) {
	defer func() {
		d.over = true
		d.stepping.Unlock()
	}()
	d.calls = append(d.calls, d.awaitMessage)
	err = errors.New("tinyiorestate: the SDK has called runtime.Goexit") // unless the program has
	var unwinding any                                                    // the panic of the SDK
	driven := make(chan struct{})
	go func() { // which a Goexit ends
		defer close(driven)
		defer func() { unwinding = recover() }()
		err = d.Drive(context.WithoutCancel(d.engine.config.Context), p, input)
	}()
	<-driven
	d.threads.Wait()
	if unwinding != nil {
		panic(unwinding)
	}
	e, ended := d.End()
	if !ended {
		return end{}, err
	}
	last = end{Program: p.Name(), At: d.Now().UnixNano(), State: e.State, Value: e.Value}
	if e.Err != nil {
		last.Err = durable.EncodeError(e.Err)
	}
	return last, nil
}

// Between makes d a durable.Outside, as Begin, Next and LetGo do. It makes the calls of the SDK that have been asked for, some of which give the
// program something to do.
func (d *driver) Between(tinyio.Pause) bool {
	if d.giveUp() {
		return true
	}
	calls := d.calls
	d.calls = nil
	for _, call := range calls {
		call()
	}
	return len(calls) > 0
}

// Next is the first of what has been asked for.
func (d *driver) Next(p tinyio.Pause) (durable.Arrival, error) {
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
	if !p.Blocked || d.Cause() != nil { // what it tells then is something that the loop has taken in, or the end of the context
		wake = nil
	}
	first, cancelled, unrecorded := d.waitFirst(futures, wake)
	switch {
	case unrecorded:
		return durable.Arrival{}, d.Woken()
	case cancelled != nil:
		return durable.Arrival{At: d.Now(), Take: func() error { d.Cancel(errCancelled); return nil }}, nil
	case len(d.timers) > 0 && first == d.timers[0].future:
		t := d.timers[0]
		d.timers = d.timers[1:]
		return t.arrive(), nil
	}
	i := slices.IndexFunc(d.awaited, func(a awaited) bool { return a.future == first })
	a := d.awaited[i]
	d.awaited = slices.Delete(d.awaited, i, i+1)
	return a.arrive(), nil
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
	d.await(f, func() durable.Arrival {
		at, _ := f.Result() // it does not fail
		return durable.Arrival{At: time.Unix(0, at)}
	})
}

func (d *driver) await(f restate.Future, arrive func() durable.Arrival) {
	d.awaited = append(d.awaited, awaited{future: f, arrive: arrive})
}

// setTimer sees to it that the server has a timer for a deadline, or an earlier one: a timer that is not needed any more cannot be taken back,
// and is used for what comes later.
func (d *driver) setTimer(deadline time.Time) {
	if deadline.IsZero() || len(d.timers) > 0 && !d.timers[0].at.After(deadline) {
		return
	}
	f := restate.After(d.ctx, max(time.Until(deadline), 0)) // of which the server keeps when it ends
	d.timers = slices.Insert(d.timers, 0, awaited{f, deadline, func() durable.Arrival {
		_ = f.Done() // which it is
		return durable.Arrival{At: deadline}
	}})
}

// awaitMessage asks for the next message.
func (d *driver) awaitMessage() {
	f := restate.Promise[message](d.ctx, strconv.Itoa(d.received))
	d.await(f, func() durable.Arrival {
		m, err := f.Result()
		d.received++
		restate.Set(d.ctx, stateNext, d.received)
		d.awaitMessage()
		return durable.Arrival{At: time.Unix(0, m.At), Take: func() error { return d.take(m, err) }}
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
	d.Cancel(cause)
	return nil
}

// Begin has a step run when the calls of the SDK are made.
func (d *driver) Begin(s *durable.Pending) {
	d.calls = append(d.calls, func() { d.start(s) })
}

// start has the server run the function of s, unless it has the result.
func (d *driver) start(s *durable.Pending) {
	f := restate.RunAsync(d.ctx, func(restate.RunContext) (result, error) { return d.run(s), nil }, restate.WithName(s.Name))
	d.await(f, func() durable.Arrival {
		r, _ := f.Result() // the function that was run does not fail; what fails is in the outcome
		return durable.Arrival{At: time.Unix(0, r.At), Take: func() error {
			ended, err := s.Give(r.Outcome, d.Loop().Status)
			if !ended && err == nil {
				d.startAgain(s)
			}
			return err
		}}
	})
}

// startAgain does what start does when it is time for another attempt.
func (d *driver) startAgain(s *durable.Pending) {
	next := s.Next()
	d.failed = append(d.failed, s)
	f := restate.After(d.ctx, max(time.Until(next), 0), restate.WithName("try again: "+s.Name))
	d.await(f, func() durable.Arrival {
		_ = f.Done() // which it is
		return durable.Arrival{At: next, Take: func() error {
			if i := slices.Index(d.failed, s); i >= 0 {
				d.failed = slices.Delete(d.failed, i, i+1)
				d.start(s)
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
	if _, err := s.Give(s.Outcome(), d.Loop().Status); err != nil {
		d.Halt(err)
	}
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

// LetGo says that nobody hears any more of what steps return.
func (d *driver) LetGo() {
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
	return d.Loop().Status()
}

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
	return d.CheckVersion(change, d.versions[change], min, max)
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
	d.await(f, func() durable.Arrival {
		last, err := f.Response()
		switch {
		case err != nil: // somebody has killed what waits for the child there
			last = end{At: d.Now().UnixNano(), State: durable.Failed, Err: durable.EncodeError(errors.New(err.Message()))}
		case last.Program != r.Program:
			last.State = durable.Failed
			last.Err = durable.EncodeError(anotherProgram(c.id, last.Program, r.Program))
		}
		return durable.Arrival{At: time.Unix(0, last.At), Take: func() error { return c.end(last) }}
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
