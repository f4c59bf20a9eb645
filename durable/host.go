package durable

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A Base is what the hosts of all engines have in common: a [Host] embeds one. It is made for one execution, whose loop takes it as its observer
// ([tinyio.WithObserver]). Its methods are for the goroutine that drives the loop, between two steps, and for coroutines in their
// turns.
type Base struct {
	id     string
	random *rand.Rand
	name   string // of the next function that is handed over
	taken  int    // how many have been
	boxes  map[string]*mailbox

	current tinyio.ID  // whose turn it is
	mu      sync.Mutex // guards stops, which functions of threads read when they have returned
	stops   stops
}

// A mailbox is the signals of a name.
type mailbox struct {
	values []json.RawMessage
	some   tinyio.Event
}

// NewBase returns a Base for the run with an id. The seed is that of its random numbers, and must be the same whenever the run is replayed.
func NewBase(id string, seed []byte) *Base { return &Base{id: id, random: newRand(seed)} }

// ID is that of the run.
func (b *Base) ID() string { return b.id }

// Random is the run's source of random numbers.
func (b *Base) Random() *rand.Rand { return b.random }

// NameStep is that of a [Host].
func (b *Base) NameStep(name string) int {
	b.name = name
	return b.taken + 1
}

// Taken is how many steps the program has begun.
func (b *Base) Taken() int { return b.taken }

// SetTaken says that n steps have been begun in earlier parts of the run, so that the next one has another number.
func (b *Base) SetTaken(n int) { b.taken = n }

// Observe makes b a [hook.Observer].
func (b *Base) Observe(n hook.Note) {
	switch n.What {
	case hook.Stopped:
		b.mu.Lock()
		b.stops.add(n.Err)
		b.mu.Unlock()
	case hook.Resumed:
		b.current = n.Coro
	}
}

// Deliver gives the program a signal.
func (b *Base) Deliver(name string, value json.RawMessage) {
	m := b.box(name)
	m.values = append(m.values, value)
	m.some.Set()
}

// Receive is that of a [Host].
func (b *Base) Receive(co *tinyio.Co, name string) (json.RawMessage, error) {
	m := b.box(name)
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

func (b *Base) box(name string) *mailbox {
	m := b.boxes[name]
	if m == nil {
		if b.boxes == nil {
			b.boxes = map[string]*mailbox{}
		}
		m = new(mailbox)
		b.boxes[name] = m
	}
	return m
}

// Unreceived returns the signals that the program has not received, by name, each in the order in which they were delivered.
func (b *Base) Unreceived() map[string][]json.RawMessage {
	all := map[string][]json.RawMessage{}
	for name, m := range b.boxes {
		if len(m.values) > 0 {
			all[name] = m.values
		}
	}
	return all
}

// A Pending is a step in the hands of a host: a function that has been handed over to a thread.
type Pending struct {
	Number int    // in the run, from 1
	Name   string // which changes only if the program does
	Coro   tinyio.ID
	Thread *hook.Thread
	base   *Base
	ran    bool // the function has, here
}

// Take takes over a function that the loop has handed over: see [tinyio.WithThreads].
func (b *Base) Take(t *hook.Thread) *Pending {
	name := b.name
	if b.name = ""; name == "" {
		name = stableName(t.Name())
	}
	b.taken++
	return &Pending{Number: b.taken, Name: name, Coro: b.current, Thread: t, base: b}
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
}

func (p *Pending) outcome() outcome {
	v, err := p.Thread.Outcome()
	p.ran = true
	p.base.mu.Lock()
	defer p.base.mu.Unlock()
	o := outcome{Name: p.Name, Err: encodeError(err, &p.base.stops)}
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

// Outcome is what is to be recorded of p, when its function has returned. It may be called on any goroutine.
func (p *Pending) Outcome() json.RawMessage {
	data, err := json.Marshal(p.outcome())
	if err != nil {
		panic(fmt.Sprintf("durable: internal error: what is recorded of step %q is no JSON: %v; please report this", p.Name, err))
	}
	return data
}

// Give gives the program what was recorded of p, whether its function has run here or not, and brings it to the loop. The order in which
// steps are given is that in which the program hears of them. It is a [*NondeterminismError] if that is not an outcome of p: then nothing
// has happened, and the run cannot go on.
func (p *Pending) Give(recorded json.RawMessage, status func() []tinyio.Status) error {
	var o outcome
	err := json.Unmarshal(recorded, &o)
	if err == nil && o.Name == p.Name {
		p.give(o)
		return nil
	}
	expected := fmt.Sprintf("step %d, %q", p.Number, o.Name)
	if err != nil {
		expected = fmt.Sprintf("step %d, of which the record cannot be read: %v", p.Number, err)
	}
	return &NondeterminismError{
		Run: p.base.id, Step: p.Number, Name: o.Name, Place: p.Place(status()), Expected: expected,
		Found: fmt.Sprintf("step %d, %q", p.Number, p.Name),
	}
}

// give gives the program an outcome.
func (p *Pending) give(o outcome) {
	fill := func(value any) error {
		p.base.mu.Lock()
		defer p.base.mu.Unlock()
		if o.Value != nil {
			if err := json.Unmarshal(o.Value, value); err != nil {
				return fmt.Errorf("durable: the recorded result of step %q is no %T: %w", p.Name, reflect.ValueOf(value).Elem().Interface(), err)
			}
		}
		return o.Err.decode(&p.base.stops)
	}
	if !p.ran {
		p.Thread.Replay(fill)
		return
	}
	p.Thread.Amend(func(value any, _ error) error {
		reflect.ValueOf(value).Elem().SetZero()
		return fill(value)
	})
	p.Thread.Return()
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
