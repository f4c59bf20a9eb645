package tinyio

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// A loop with a gate takes in what comes from outside only before a turn, where its Keeper lets it in, so that this can be recorded and
// replayed: see package gate. A run of such a loop has an inbox of its own, for what its own coroutines post. Everybody else posts to the
// inbox of the loop, and only the Keeper empties that (passGate). A run without a gate uses the inbox of the loop.

func init() {
	gate.With = func(k gate.Keeper) any {
		return Option(func(l *Loop) {
			l.gate = k
			l.watched() // coroutines have numbers, and every turn is one
		})
	}
	gate.Of = func(loop any) gate.Keeper { return loop.(*Loop).gate }
	gate.IsInside = func(loop any) bool { return loop.(*Loop).runOfCaller() != nil }
	gate.Causes = map[string]error{"tinyio.errNotFirst": errNotFirst, "tinyio.errDaemonsOnly": errDaemonsOnly}
	gate.Endpoints = func(loop any) *sync.Map { return &loop.(*Loop).endpoints }
	gate.Ending = func(how gate.How, err error) error {
		switch p, _ := err.(*PanicError); {
		case how == gate.Exited:
			return errExited
		case how == gate.Panicked && p != nil:
			return threadPanic{p}
		}
		return err
	}
}

// setGate gives r the gate of its loop, if that has one. It returns the failure with which the run begins: stopped, unless the Keeper has
// another one.
func (r *run) setGate(stopped *failure) *failure {
	l := r.loop
	if l.gate == nil {
		return stopped
	}
	var cause error
	if stopped != nil {
		cause = stopped.err
	}
	clock, err := l.gate.Begin((*gatedRun)(r), r.ctx, cause, l.clock)
	if err != nil {
		return &failure{err: err, outside: true}
	}
	r.gate, r.inbox = l.gate, new(inbox)
	r.setClock(clock, givenTime)
	gatedRuns.Add(1)
	gatedLoops.Store(l, nil)
	return stopped
}

// dropGate takes the gate away from r, which has ended, or whose Keeper has panicked or exited.
func (r *run) dropGate() {
	k := r.gate
	r.gate, r.inbox = nil, &r.loop.inbox
	gatedLoops.Delete(r.loop)
	gatedRuns.Add(-1)
	k.End()
}

// passGate lets the Keeper decide what enters now. It reports whether the Keeper has more for the same turn.
func (r *run) passGate() (more bool) {
	if r.gate != nil {
		returned := false
		defer r.caught(&returned, (*run).dropGate) // the Keeper asks the clock
		more = r.gate.Enter(uint64(r.loop.counters.turns.Load()))
		returned = true
	}
	return more
}

// gatedRuns counts the runs that have a gate, and gatedLoops has their loops as keys.
var (
	gatedRuns  atomic.Int32
	gatedLoops sync.Map
)

// gatedRunOfCaller returns the run with a gate whose coroutine is the caller, nil if there is none.
func gatedRunOfCaller() *run {
	if gatedRuns.Load() == 0 {
		return nil
	}
	return findGatedRun()
}

// findGatedRun is gatedRunOfCaller when some run has a gate.
func findGatedRun() *run {
	for l := range gatedLoops.Range {
		if r := l.(*Loop).runOfCaller(); r != nil && r.gate != nil {
			return r
		}
	}
	return nil
}

// isContextDone reports whether the context of r is done, to a coroutine that acts upon that.
func (r *run) isContextDone() bool {
	if r.gate != nil {
		return r.gate.Done(r.ctx)
	}
	return r.ctx.Err() != nil
}

// A gatedRun is a run as its Keeper sees it.
type gatedRun run

func (g *gatedRun) Current() hook.ID {
	if g.running == nil {
		return hook.Nobody
	}
	return (*run)(g).id(g.running)
}

func (g *gatedRun) Take() (all []*gate.Arrival) {
	for m := g.loop.inbox.take(); m != nil; {
		next := m.next
		m.next = nil
		a := &gate.Arrival{Coro: hook.Nobody, Starter: hook.Nobody, Message: m}
		m.to.describe((*run)(g), a)
		all = append(all, a)
		m = next
	}
	return all
}

func (g *gatedRun) Enter(a *gate.Arrival) { a.Message.(*message).to.arrive((*run)(g)) }

func (g *gatedRun) Refuse(a *gate.Arrival, err error) {
	switch to := a.Message.(*message).to.(type) {
	case *submission:
		to.end(err)
	case *eventLine:
		to.posted.Store(false)
	}
}

func (g *gatedRun) Interrupt(cause error) {
	g.deferred.push(failure{err: cause, outside: true})
}

func (g *gatedRun) Submit(ctx context.Context, coro any, entry uintptr, starter hook.ID) {
	s := newSubmission(ctx, coro.(Awaitable).awaitable(), entry)
	s.starter = g.find(starter)
	g.deferred.push(s)
}

func (g *gatedRun) Post(coro any, starter hook.ID) {
	g.deferred.push(&posting{cs: []Awaitable{coro.(Awaitable)}, starter: g.find(starter)})
}

func (g *gatedRun) Withdraw(number hook.ID, cause error) bool {
	c := g.find(number)
	if c == nil {
		return false
	}
	s, ok := c.body.(*submission)
	if ok {
		g.deferred.push(&withdrawal{of: s, cause: cause})
	}
	return ok
}

func (g *gatedRun) Set(event any) { event.(*eventLine).arrive((*run)(g)) }

// find returns the live coroutine with that number; nil if there is none.
func (g *gatedRun) find(number hook.ID) *task {
	if number != hook.Nobody {
		for c := range g.root.members {
			if c.number == number+1 {
				return c
			}
		}
	}
	return nil
}

// numberOf returns the number of c; Nobody if c is nil or has none.
func numberOf(c *task) hook.ID {
	if c == nil {
		return hook.Nobody
	}
	return c.number - 1
}

// The methods describe tell the Keeper what has come.

// coro returns the Coro of c, as its user has it.
func (c *task) coro() any {
	if o, ok := c.body.(callback); ok {
		return o.coro()
	}
	return c.body
}

func (s *submission) describe(_ *run, a *gate.Arrival) {
	a.Kind, a.Place, a.Coros, a.Entry = gate.Submitted, s.target.describe, []any{s.target.coro()}, &s.c.entry
	a.Context, a.Starter, a.Gone = s.inherit.values, numberOf(s.starter), s.gone.Load
}

func (p *posting) describe(_ *run, a *gate.Arrival) {
	a.Kind, a.Starter = gate.Posted, numberOf(p.starter)
	for _, c := range p.cs {
		a.Coros = append(a.Coros, c.awaitable().coro())
	}
	if len(p.cs) > 0 {
		a.Place = p.cs[0].awaitable().describe
	}
}

func (w *withdrawal) describe(_ *run, a *gate.Arrival) {
	a.Kind, a.Err = gate.Withdrawn, w.cause
	if w.of.c.state == waiting {
		a.Coro = numberOf(&w.of.c)
	}
}

func (line *eventLine) describe(_ *run, a *gate.Arrival) { a.Kind, a.Event = gate.Set, line.number }

func (i *interruption) describe(_ *run, a *gate.Arrival) {
	a.Kind, a.Err = gate.Interrupted, i.failure.err
}

func (s *snapshot) describe(_ *run, a *gate.Arrival) { a.Kind = gate.Asked }

func (o *outside[T]) describe(r *run, a *gate.Arrival) {
	how := o.c.err
	if err := o.c.abrupt(); err != nil {
		how = err
	}
	describeReturn(r, a, &o.c, o.c.label(), &o.value, how)
}

func (k *call[T]) describe(r *run, a *gate.Arrival) {
	how := k.err
	if k.abrupt != nil {
		how = k.abrupt
	}
	describeReturn(r, a, k.co.c, k.name(), &k.value, how)
}

func describeReturn(r *run, a *gate.Arrival, c *task, name string, value any, err error) {
	a.Kind, a.Coro, a.Name, a.Value, a.Err = gate.Returned, r.id(c), name, value, err
	if p, ok := err.(threadPanic); ok {
		a.Err, a.How = p.PanicError, gate.Panicked
	} else if err == errExited {
		a.How = gate.Exited
	}
}
