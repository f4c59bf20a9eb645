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
			if t != nil && (err == nil || t.err == nil) {
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

// A collector records which of several coroutines have finished, for one that wants to know of each.
type collector struct {
	op     string
	edges  []waiter
	ended  []*task
	begun  bool
	asleep bool    // its owner waits for the next
	chosen *waiter // the edge that counts, while it does: see cycle.go
	first  int     // those before it have finished
	all    bool    // its owner is being stopped, and waits for all that are left: see keepChildren
}

// collect prepares to record which of cs finish, those that have already in the order of cs.
func collect[A Awaitable](co *Co, op string, cs []A) (*collector, error) {
	c := co.enter(op)
	if err := co.refused(); err != nil {
		return nil, err
	}
	edges, err := edgesTo(c, op, cs)
	if err != nil {
		return nil, err
	}
	g := &collector{op: op, edges: edges}
	for i, a := range cs {
		if edges[i].group = g; edges[i].line == nil {
			g.ended = append(g.ended, a.awaitable())
		}
	}
	return g, nil
}

// begin spawns those that are fresh and takes its place among the awaiters of all that have not finished.
func (g *collector) begin(c *task) {
	if g.begun {
		return
	}
	g.begun = true
	r := c.run()
	for i := range g.edges {
		w := &g.edges[i]
		if t := w.to(); t != nil {
			w.line = nil
			if t.state == fresh {
				t.level = c.level
			}
			r.want(c, t)
			t.awaiters.push(w)
		}
	}
	r.notify()
}

// note records that t has finished and reports whether the owner waits for that.
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
	c.addCold().edges = g.edges
	co.hand(c.run())
	defer func() { // also if c exits
		g.asleep, g.all, c.cold().edges = false, false, nil
	}()
	err := co.suspendWidely(onAny)
	if g.all && g.standing() > 0 {
		_ = co.suspendWidely(onAny) // one of the group had woken c just before it was stopped: it waits for its other children
	}
	return err
}

// joinAny makes c wait for the next coroutine of its group; or refuses that.
func (r *run) joinAny(c *task) {
	g := c.collector()
	switch {
	case g.all:
		g.asleep, c.unmet = true, g.standing()
		return
	case len(g.ended) > 0:
		g.begin(c)
		r.wake(c)
		return
	}
	if g.chosen == nil || g.chosen.line == nil {
		for g.edges[g.first].line == nil {
			g.first++
		}
		g.chosen = &g.edges[g.first]
	}
	if !fits(c, g.chosen.line.owner) {
		if err := r.refusal(c); err != nil {
			if !g.begun {
				unbind(g.edges)
			}
			c.err, c.wait = err, onTurn
			r.wake(c)
			return
		}
	}
	g.begin(c)
	g.asleep, c.unmet = true, 1
}

// collector is what c waits in, if it waits for any of several.
func (c *task) collector() *collector { return c.cold().edges[0].group }

// anyOf is what c waits in if it waits for any of several, and goes on as soon as one of them has finished.
func (c *task) anyOf() *collector {
	if c.state != waiting || c.wait != onAny || c.collector().all {
		return nil
	}
	return c.collector()
}

// collects is what c waits in if it waits for any of several, or does so until it is stopped.
func (c *task) collects() *collector {
	if c.wait != onAny || c.state != waiting && (c.state != ready || !c.collector().all) {
		return nil
	}
	return c.collector()
}

// pending reports whether the owner waits and goes on as soon as one of the group has finished.
func (g *collector) pending() bool {
	c := g.edges[0].c
	return g.asleep && !g.all && c.state == waiting
}

// standing is how many of the group have not finished.
func (g *collector) standing() (n int32) {
	for i := range g.edges {
		if g.edges[i].line != nil {
			n++
		}
	}
	return n
}

// leave ends the collection.
func (g *collector) leave() {
	for i := range g.edges {
		if g.begun {
			g.edges[i].remove()
		}
	}
}

// keepChildren decides for which coroutines those that are stopped together go on waiting (R9): for those that are being stopped,
// too. But whoever waits for any of several gives up those that wait for it in turn, by way of the waits that are left: in such a
// ring nobody would be the first to hear. See docs/design/children-first.md.
func (r *run) keepChildren(stopped []*task) {
	for _, c := range stopped {
		if c.exposed() && (c.state == waiting && c.wait == onTask || c.ranges()) {
			c.keepStopping()
		}
	}
	rings := rings(stopped)
	for _, c := range stopped {
		if !c.ranges() || !c.exposed() || c.collector().all {
			continue
		}
		g := c.collector()
		for i := range g.edges {
			if t := g.edges[i].to(); t != nil && rings[t] == rings[c] {
				g.edges[i].remove()
			}
		}
		if g.all = true; c.state == waiting {
			c.unmet = g.standing()
		}
		r.closesCycle(c) // which it does not
	}
}

// ranges reports whether c waits for any of several, or has been woken by one of them and not had its turn.
func (c *task) ranges() bool {
	return c.wait == onAny && (c.state == waiting || c.state == ready)
}
