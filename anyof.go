package tinyio

import (
	"cmp"
	"iter"
	"slices"
)

// AsCompleted ranges over the results of cs in the order in which they finish. The fresh ones are spawned when the range
// begins; leaving the range early leaves them running. Each step suspends.
//
// If the ranging coroutine is being stopped, its error is the last step of the range. Any other error is that of one of cs that had
// failed, as in [Coro.Await].
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
				v = coroOf[T](t).value
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

// WaitAny waits until one of cs has finished and returns its index in cs. If several have finished when it is called, it
// returns the index of the one listed first. The fresh ones are spawned, and the others carry on. WaitAny suspends, for a turn
// if one has finished already. One may be listed twice; WaitAny panics if there are none.
//
// If that coroutine had failed, WaitAny returns its error with the index, as [Coro.Await] would. If the index is -1, the error
// is the caller's own: the caller is being stopped, or the wait is refused with a [*CycleError].
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

// A collector records which coroutines of a group have finished, for its owner: the coroutine that is in AsCompleted or WaitAny.
type collector struct {
	op     string
	edges  []waiter // to the group
	ended  []*task  // those that have finished, and that next has not returned yet
	begun  bool     // begin has been called
	chosen *waiter  // the edge that counts while the owner waits: see cycle.go
	first  int      // the edges before this index lead to finished ones
	all    bool     // the owner is being stopped, and waits for all that are left: see keepChildren
}

// collect makes a collector for cs. Those of cs that have finished already are recorded in the order of cs.
func collect[A Awaitable](co *Co, op string, cs []A) (*collector, error) {
	c := co.enter(op)
	if err := c.refused(co); err != nil {
		return nil, err
	}
	g := newCollector(op, len(cs))
	for i, a := range cs {
		g.edges[i].line = target(a).line()
	}
	if err := edgesTo(g.edges, c, op); err != nil {
		return nil, err
	}
	for i, a := range cs {
		if g.edges[i].group = g; g.edges[i].line == nil {
			g.ended = append(g.ended, a.awaitable())
		}
	}
	return g, nil
}

// newCollector returns a collector for n coroutines. If they are few, all that it needs is in one allocation.
func newCollector(op string, n int) *collector {
	const small = 4
	if n > small {
		return &collector{op: op, edges: make([]waiter, n)}
	}
	few := new(struct {
		collector
		edges [small]waiter
		ended [small]*task
	})
	few.collector = collector{op: op, edges: few.edges[:n], ended: few.ended[:0]}
	return &few.collector
}

// begin spawns those of the group that are fresh, and joins the awaiters of all that have not finished.
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
			r.spawnOne(c, t)
			t.awaiters.push(w)
		}
	}
	r.notify()
}

// note records that t has finished and reports whether the owner waits for that.
func (g *collector) note(t *task) bool {
	g.ended = append(g.ended, t)
	return g.isWaiting()
}

// next waits until another coroutine of the group has finished. If the owner is stopped and one has finished all the same, next
// returns both that coroutine and the error.
func (g *collector) next(co *Co) (*task, error) {
	c := co.enter(g.op)
	if err := c.refused(co); err != nil {
		return nil, err
	}
	if g.begun && len(g.ended) > 0 && c.run().quiet() { // as in Yield
		return g.take(), nil
	}
	err := c.joined(g.wait(co))
	if len(g.ended) == 0 {
		return nil, err
	}
	return g.take(), err
}

// take takes the first of those that have ended.
func (g *collector) take() *task {
	t := g.ended[0]
	g.ended[0], g.ended = nil, g.ended[1:]
	return t
}

// wait waits until another coroutine of the group has finished. If the owner is stopped, it waits until those of the group that
// are being stopped too have finished.
func (g *collector) wait(co *Co) error {
	c := co.c
	c.addCold().edges = g.edges
	c.run().asked.inheritFrom(co)
	defer func() { // also if c exits
		g.all, c.cold().edges = false, nil
	}()
	err := co.suspendWidely(onAny)
	if g.all && g.unfinished() > 0 {
		_ = co.suspendWidely(onAny) // c was stopped after one of the group had woken it: it still waits for the others (R9)
	}
	return err
}

// joinAny makes c wait for the next coroutine of its group, or refuses the wait.
func (r *run) joinAny(c *task) {
	g := c.collector()
	switch {
	case g.all:
		c.unmet = g.unfinished()
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
		if err := r.checkCycle(c); err != nil {
			if !g.begun {
				undoEdges(g.edges)
			}
			c.err, c.wait = err, onTurn
			r.wake(c)
			return
		}
	}
	g.begin(c)
	c.unmet = 1
}

// collector returns the collector of c, whose wait must be onAny.
func (c *task) collector() *collector { return c.cold().edges[0].group }

// anyOf returns the collector of c if c waits and goes on as soon as one of its group has finished; otherwise nil.
func (c *task) anyOf() *collector {
	if c.state != waiting || c.wait != onAny || c.collector().all {
		return nil
	}
	return c.collector()
}

// waitsAgain reports whether c, which one of its group has woken, was stopped before its turn: it is going to wait for those of the
// group that are left.
func (c *task) waitsAgain() bool { return c.state == ready && c.wait == onAny && c.collector().all }

// isWaiting reports whether the owner of g waits for the next of the group, or for all that are left.
func (g *collector) isWaiting() bool {
	c := g.edges[0].c
	return c.state == waiting && c.wait == onAny && c.collector() == g
}

// isWaitingForAny reports whether the owner of g waits and goes on as soon as one of the group has finished.
func (g *collector) isWaitingForAny() bool { return !g.all && g.isWaiting() }

// unfinished returns how many edges of the group lead to coroutines that have not finished.
func (g *collector) unfinished() (n int32) {
	for i := range g.edges {
		if g.edges[i].line != nil {
			n++
		}
	}
	return n
}

// leave removes the owner from the awaiters of the group.
func (g *collector) leave() {
	if !g.begun {
		return // the edges stand in no line yet
	}
	for i := range g.edges {
		g.edges[i].remove()
	}
}

// keepChildren decides which waits go on when coroutines are stopped together (R9). Each coroutine loses its edges to those that are
// not being stopped. One that waits for any of several also loses those of its edges that lie on a ring: in a ring all would wait for
// each other, and none would get the error. See docs/design/children-first.md.
func (r *run) keepChildren(stopped []*task) {
	for _, c := range stopped {
		if !c.mayWait() && (c.state == waiting && c.wait == onTask || c.waitsForAny()) {
			c.keepStopping()
		}
	}
	ringOf := rings(stopped)
	for _, c := range stopped {
		if !c.waitsForAny() || c.mayWait() || c.collector().all {
			continue
		}
		g := c.collector()
		for i := range g.edges {
			if t := g.edges[i].to(); t != nil && ringOf[t] == ringOf[c] {
				g.edges[i].remove()
			}
		}
		if g.all = true; c.state == waiting {
			c.unmet = g.unfinished()
		}
		r.fitLevels(c) // more edges count now, and none of them lies on a ring
	}
}

// waitsForAny reports whether c waits for any of several, or one of them has woken it and it has not had its turn.
func (c *task) waitsForAny() bool {
	return c.wait == onAny && (c.state == waiting || c.state == ready)
}
