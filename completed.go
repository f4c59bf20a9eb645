package tinyio

import (
	"cmp"
	"iter"
	"slices"
)

// AsCompleted ranges over the results of cs in the order in which they finish. The fresh ones are spawned when the range
// begins: leaving it early leaves them running. Each step suspends. An error that ends the range is the
// cancellation of the coroutine that ranges; other errors are those with which one of cs had finished, as in [Coro.Await].
func AsCompleted[T any](co *Co, cs ...*Coro[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		g, err := collect(co, "AsCompleted", cs)
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		defer g.leave()
		for range cs {
			var v T
			t, err := g.next(co)
			if t != nil && t.err == nil {
				v = t.body.(*Coro[T]).value
			}
			if err != nil {
				yield(v, err)
				return
			}
			if !yield(v, t.err) {
				return
			}
		}
	}
}

// WaitAny waits until one of cs has finished and returns its index in cs. If several have finished when it is called, that is the
// first of them listed. The fresh ones are spawned, and the others carry on. It suspends, for a turn if one has finished
// already. One may be listed twice; it panics if there are none.
//
// If the coroutine had failed, the error is that, as in [Coro.Await]. Otherwise an error is the caller's own, its cancellation
// or a [*CycleError], and the index is -1.
func WaitAny(co *Co, cs ...Awaitable) (int, error) {
	g, err := collect(co, "WaitAny", cs)
	if err != nil {
		return -1, err
	}
	defer g.leave()
	if len(cs) == 0 {
		panic("tinyio: WaitAny: there is no coroutine to wait for, in " + co.c.describe() + "; pass at least one")
	}
	t, err := g.next(co)
	if t == nil {
		return -1, err
	}
	return slices.IndexFunc(cs, func(a Awaitable) bool { return a.awaitable() == t }), cmp.Or(err, t.err)
}

// A collector takes down which of several coroutines have finished, for one that wants to know of each.
type collector struct {
	op     string
	edges  []waiter
	ended  []*task
	asleep bool // its owner waits for the next
}

// collect begins to take down which of cs have finished, those that have already in the order of cs.
func collect[A Awaitable](co *Co, op string, cs []A) (*collector, error) {
	c := co.enter(op)
	if err := co.refused(); err != nil {
		return nil, err
	}
	for _, a := range cs {
		if err := c.check(op, a); err != nil {
			return nil, err
		}
	}
	g := &collector{op: op, edges: make([]waiter, len(cs))}
	for i, a := range cs {
		t := a.awaitable()
		if err := c.edgeTo(&g.edges[i], op, t); err != nil {
			return nil, err
		}
		g.edges[i].group = g
		if t.finished.Load() {
			g.note(t)
		}
	}
	g.start(c)
	return g, nil
}

// start spawns those that are fresh and takes its place among the awaiters of all that have not finished.
func (g *collector) start(c *task) {
	r := c.run()
	for i := range g.edges {
		w := &g.edges[i]
		if line := w.line; line != nil {
			w.line = nil
			r.want(c, line.owner)
			line.push(w)
		}
	}
	r.report()
}

// note takes down that t has finished and reports whether the owner waits for that.
func (g *collector) note(t *task) bool {
	g.ended = append(g.ended, t)
	return g.asleep
}

// next waits until another coroutine has finished. If it is interrupted, and one has finished all the same, it returns that beside the
// error.
func (g *collector) next(co *Co) (*task, error) {
	c := co.enter(g.op)
	if err := co.refused(); err != nil {
		return nil, err
	}
	err := g.wait(co)
	failed := c.err
	c.err = nil
	if err == nil {
		err = failed
	}
	if len(g.ended) == 0 {
		return nil, err
	}
	t := g.ended[0]
	g.ended[0], g.ended = nil, g.ended[1:]
	return t, err
}

// wait waits until another coroutine has finished, or the caller is to stop and those that stop with it have.
func (g *collector) wait(co *Co) error {
	c := co.c
	c.more().edges = g.edges
	r := c.run()
	r.choosing++
	defer func() { // also if c exits
		r.choosing--
		g.asleep, c.annex().edges = false, nil
	}()
	err := co.suspend(onCompletion)
	if c.exposed() && c.keepStopping() > 0 {
		// One of the group has woken c just before it was stopped. The others are its children all the same: it goes on when
		// they have finished.
		_ = co.suspend(onCompletion)
	}
	return err
}

// joinAny makes c wait for the next coroutine of its group.
func (r *run) joinAny(c *task) {
	g := c.annex().edges[0].group
	if c.exposed() {
		g.asleep, c.unmet = true, c.keepStopping()
		return
	}
	if len(g.ended) > 0 {
		r.wake(c)
		return
	}
	g.asleep, c.unmet = true, 1
	if err := r.findStuck(c, nil); err != nil {
		c.err = err
		r.wake(c)
	}
}

// leave ends the collection.
func (g *collector) leave() {
	for i := range g.edges {
		g.edges[i].leave()
	}
}
