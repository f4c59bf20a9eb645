package durable

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A mailbox is the signals of a name.
type mailbox struct {
	values []json.RawMessage
	some   tinyio.Event
}

// ID is that of the run.
func (d *Driver) ID() string { return d.id }

// Random is the run's source of random numbers.
func (d *Driver) Random() *rand.Rand {
	if d.random == nil {
		d.random = newRand(d.seed)
	}
	return d.random
}

// NameStep is that of a [Host].
func (d *Driver) NameStep(name string) int {
	d.name = name
	return d.taken + 1
}

// Taken is how many steps the program has begun.
func (d *Driver) Taken() int { return d.taken }

// SetTaken says that n steps have been begun in earlier parts of the run, so that the next one has another number.
func (d *Driver) SetTaken(n int) { d.taken = n }

func (d *Driver) encode(err error) *failure {
	d.mu.Lock()
	defer d.mu.Unlock()
	return encodeError(err, &d.stops)
}

func (d *Driver) decode(f *failure) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return f.decode(&d.stops)
}

// Deliver gives the program a signal.
func (d *Driver) Deliver(name string, value json.RawMessage) {
	m := d.box(name)
	m.values = append(m.values, value)
	m.some.Set()
}

// Receive is that of a [Host].
func (d *Driver) Receive(co *tinyio.Co, name string) (json.RawMessage, error) {
	m := d.box(name)
	for len(m.values) == 0 || co.Err() != nil {
		if len(m.values) == 0 {
			m.some.Clear()
		}
		if err := m.some.Wait(co); err != nil {
			return nil, err
		}
	}
	v := m.values[0]
	m.values[0] = nil
	m.values = m.values[1:]
	return v, nil
}

func (d *Driver) box(name string) *mailbox {
	m := d.boxes[name]
	if m == nil {
		if d.boxes == nil {
			d.boxes = map[string]*mailbox{}
		}
		m = new(mailbox)
		d.boxes[name] = m
	}
	return m
}

// Unreceived returns the signals that the program has not received, by name, each in the order in which they were delivered.
func (d *Driver) Unreceived() map[string][]json.RawMessage {
	all := map[string][]json.RawMessage{}
	for name, m := range d.boxes {
		if len(m.values) > 0 {
			all[name] = m.values
		}
	}
	return all
}

// A Pending is a step in the hands of a host: a function that has been handed over to a thread. A host has it Run in a goroutine, records its
// Outcome, and gives that to the program; and all of it again until Give says that the step has ended. In a replay it gives it what is recorded,
// and then goes on with that.
type Pending struct {
	Number int    // in the run, from 1
	Name   string // which changes only if the program does
	Coro   tinyio.ID
	Thread *hook.Thread
	driver *Driver
	ran    bool // the function has, here
	exited bool // and has called runtime.Goexit

	failed  int       // how many attempts have
	err     error     // of the last one of these
	next    time.Time // when the next one begins
	stopped error     // why there is no next one: the coroutine was stopped
}

// take takes over a function that the loop has handed over: see [tinyio.WithThreads].
func (d *Driver) take(t *hook.Thread) *Pending {
	name := d.name
	if d.name = ""; name == "" {
		name = stableName(t.Name())
	}
	d.taken++
	return &Pending{Number: d.taken, Name: name, Coro: d.current, Thread: t, driver: d}
}

// Place is the file and line where the program waits for p, given the state of its coroutines.
func (p *Pending) Place(status []tinyio.Status) string {
	for _, t := range status {
		if slices.Contains(t.For, p.Coro) {
			return place(t.Frame)
		}
	}
	for _, t := range status {
		if t.ID == p.Coro {
			return place(t.Frame)
		}
	}
	return ""
}

func place(f tinyio.Frame) string { return fmt.Sprintf("%s:%d", f.File, f.Line) }

// An outcome is what is recorded of a step.
type outcome struct {
	Name  string          `json:"n"`
	Value json.RawMessage `json:"v,omitempty"`
	Err   *failure        `json:"e,omitempty"`

	// Of an attempt that has failed, and is not the last one.
	Attempt int   `json:"attempt,omitempty"` // its number, from 1
	At      int64 `json:"t,omitempty"`       // nanoseconds since 1970
}

// Run calls the function: when it is time for the next attempt, if earlier ones have failed, and not at all if the coroutine is stopped
// before that. It is for a goroutine of its own, which a Goexit of the function ends.
func (p *Pending) Run() {
	if p.failed > 0 && !p.awaitNext() {
		return
	}
	p.exited = true
	p.Thread.Run()
	p.exited = false
}

// awaitNext waits until it is time for the next attempt, and reports whether there is one.
func (p *Pending) awaitNext() bool {
	ctx := p.Thread.Context()
	timer := time.NewTimer(time.Until(p.next))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		p.stopped = context.Cause(ctx)
	}
	return p.stopped == nil
}

// Next is when the next attempt begins, if earlier ones have failed. A host may wait for that before it calls Run, which waits otherwise. When the
// context of the thread is done before that, Run returns at once.
func (p *Pending) Next() time.Time { return p.next }

// Waited says that the host has waited until it was time for the next attempt, by a clock of its own, so that Run does not.
func (p *Pending) Waited() { p.next = time.Time{} }

// drop ends the thread, because the run cannot go on.
func (p *Pending) drop() {
	if p.stopped != nil {
		p.Thread.Fail(p.stopped)
		return
	}
	p.Thread.Return()
}

// outcome is what is to be recorded of p.
func (p *Pending) outcome() (o outcome) {
	if panicked := guarded(func() { o = p.encode() }); panicked != nil {
		o = outcome{Name: p.Name, Err: p.driver.encode(panicked)}
	}
	return o
}

func (p *Pending) encode() outcome {
	o := outcome{Name: p.Name}
	if p.stopped != nil {
		o.Err = p.driver.encode(p.stopped) // it ends as any other wait does
		if o.Err.Stop, o.Err.Cause = o.Err.Stop+o.Err.Cause, 0; o.Err.Stop == 0 {
			o.Err = p.driver.encode(&tinyio.CancelledError{Cause: p.stopped})
		}
		return o
	}
	v, err := p.Thread.Outcome()
	p.ran = true
	o.Err = p.driver.encode(err)
	ctx := p.Thread.Context()
	if r := RetryOf(ctx); err != nil && r.Attempts != 1 && !p.exited && ctx.Err() == nil {
		_, final := r.Next(p.Name, p.failed+1, p.driver.decode(o.Err))
		if final == nil {
			o.Attempt, o.At = p.failed+1, time.Now().UnixNano()
			return o
		}
		o.Err = p.driver.encode(final)
	}
	value := reflect.ValueOf(v).Elem()
	if value.Type().Size() == 0 || value.IsZero() {
		return o
	}
	data, cannot := json.Marshal(v)
	if cannot == nil {
		o.Value = data
	} else if err == nil {
		o.Err = &failure{Text: fmt.Sprintf("durable: the result of step %q cannot be recorded: %v", p.Name, cannot)}
	}
	return o
}

// Outcome is what is to be recorded of p, when Run has ended. It may be called on any goroutine.
func (p *Pending) Outcome() json.RawMessage {
	data, err := json.Marshal(p.outcome())
	if err != nil {
		panic(fmt.Sprintf("durable: internal error: what is recorded of step %q is no JSON: %v; please report this", p.Name, err))
	}
	return data
}

// Give gives the program what was recorded of p, whether its function has run here or not, and brings it to the loop. The order in which
// steps are given is that in which the program hears of them. If that was an attempt that has failed and is not the last one, the program
// does not hear of it, and ended is false: p is to Run again. It is a [*NondeterminismError] if what was recorded is not an outcome of p: then
// nothing has happened, and the run cannot go on.
func (p *Pending) Give(recorded json.RawMessage, status func() []tinyio.Status) (ended bool, err error) {
	var o outcome
	err = json.Unmarshal(recorded, &o)
	if err == nil && o.Name == p.Name {
		return p.give(o), nil
	}
	expected := fmt.Sprintf("step %d, %q", p.Number, o.Name)
	if err != nil {
		expected = fmt.Sprintf("step %d, of which the record cannot be read: %v", p.Number, err)
	}
	return false, &NondeterminismError{
		Run: p.driver.id, Step: p.Number, Name: o.Name, Place: p.Place(status()), Expected: expected,
		Found: fmt.Sprintf("step %d, %q", p.Number, p.Name),
	}
}

// give gives the program an outcome, unless there is another attempt.
func (p *Pending) give(o outcome) (ended bool) {
	if p.ran { // the program gets what is recorded, and nothing else
		p.Thread.Again()
		p.ran = false
	}
	if o.Attempt > 0 {
		p.failed, p.err = o.Attempt, p.driver.decode(o.Err)
		p.next = time.Unix(0, o.At).Add(RetryOf(p.Thread.Context()).waitAfter(p.failed))
		return false
	}
	p.Thread.Replay(func(value any) (err error) {
		if panicked := guarded(func() { err = p.fill(value, o) }); panicked != nil {
			return panicked
		}
		return err
	})
	return true
}

// fill sets the value of a result, a pointer to which is given, to what was recorded, and returns the error.
func (p *Pending) fill(value any, o outcome) error {
	v := reflect.ValueOf(value).Elem()
	v.SetZero()
	if o.Value != nil {
		if err := json.Unmarshal(o.Value, value); err != nil {
			return fmt.Errorf("durable: the recorded result of step %q is no %T: %w", p.Name, v.Interface(), err)
		}
	}
	return p.driver.decode(o.Err)
}

// guarded calls f, which calls methods of the user: for JSON, of errors, or to know whether a step is tried again. A panic of these is an
// error of the step, as one of its function is.
func guarded(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &tinyio.PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	f()
	return nil
}

// EncodeError returns what is recorded of an error, as JSON: for the end of a run, or the cause of its cancellation. It is for engines.
func EncodeError(err error) json.RawMessage {
	data, cannot := json.Marshal(encodeError(err, nil))
	if cannot != nil {
		panic(fmt.Sprintf("durable: internal error: what is recorded of an error is no JSON: %v; please report this", cannot))
	}
	return data
}

// DecodeError returns the error that EncodeError has recorded, which is nil if that was, and ok if data is one.
func DecodeError(data json.RawMessage) (err error, ok bool) {
	var f *failure
	if json.Unmarshal(data, &f) != nil {
		return nil, false
	}
	return f.decode(nil), true
}
