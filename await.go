package tinyio

import "cmp"

// How coroutines wait for coroutines. A coroutine that waits has an edge to each that it waits for, its target: a waiter among the
// awaiters of the target. A call such as Await prepares the edges, and join puts them among the awaiters when the coroutine has
// suspended.

// target returns the coroutine of a, nil if there is none.
func target(a Awaitable) *task {
	if a == nil {
		return nil
	}
	return a.awaitable()
}

// check reports why c cannot await a.
func (c *task) check(op string, a Awaitable) error {
	t := target(a)
	if t == nil || t.body == nil {
		panic("tinyio: " + op + ": a coroutine is nil or zero, in " + c.describe() + "; make it with New before it is awaited")
	}
	if l := t.loop.Load(); l != nil && l != c.loop.Load() && !t.hasFinished() {
		return foreign(t)
	}
	return nil
}

// edgesTo makes edges, of which there are len(cs), lead from c to cs, as edgeTo does. If it fails, it leaves no trace.
func edgesTo[A Awaitable](edges []waiter, c *task, op string, cs []A) error {
	l := c.loop.Load()
	edges = edges[:len(cs)]
	for i, a := range cs {
		w, t := &edges[i], (*task)(nil)
		if w.c = c; any(a) != nil { // target would look up the type each time
			t = a.awaitable()
		}
		switch {
		case t == nil || t.body == nil:
			undoEdges(edges)
			return c.check(op, nil)
		case t.tryClaim(l):
		case t.hasFinished():
			continue
		case t.loop.Load() == l:
			l.run.asked.rare, l.run.asked.claimed = true, true
		default:
			undoEdges(edges)
			return foreign(t)
		}
		w.line = &t.awaiters
	}
	return nil
}

// undoEdges undoes edgesTo: the edges lead nowhere, and those of their targets that have not been started are unclaimed.
func undoEdges(edges []waiter) {
	for i := range edges {
		if t := edges[i].to(); t != nil {
			t.unclaim(edges[i].c.loop.Load())
		}
		edges[i].line = nil
	}
}

// edgeTo makes the one edge of c lead to t, to be joined when c suspends. If t has finished, the edge leads nowhere.
func (c *task) edgeTo(op string, t *task) error {
	if t == nil || t.body == nil {
		return c.check(op, nil)
	}
	c.one[0].line = &t.awaiters
	if l := c.loop.Load(); t.tryClaim(l) {
		return nil
	}
	return c.edgeToClaimed(t)
}

// edgeToClaimed is edgeTo for a t that was claimed before.
func (c *task) edgeToClaimed(t *task) error {
	l := c.loop.Load()
	switch {
	case t.loop.Load() == l:
		l.run.asked.rare, l.run.asked.claimed = true, true
		return nil
	case t.hasFinished():
		c.one[0].line = nil
		return nil
	}
	c.one[0].line = nil
	return foreign(t)
}

// await waits until t has finished.
func (co *Co) await(op string, t *task) error {
	c := co.enter(op)
	if err := co.refused(); err != nil {
		return err
	}
	r := c.run()
	if t != nil && t.hasFinished() { // a turn is all that there is to wait for
		if r.quiet() {
			return nil
		}
		return co.suspend(onTurn)
	}
	if err := c.edgeTo(op, t); err != nil {
		return err
	}
	if c.one[0].line == nil { // it has finished just now, on another loop
		return co.suspend(onTurn)
	}
	r.asked.inheritFrom(co)
	return co.joined(co.suspend(onTask))
}

// awaitAll waits until all coroutines to which edges lead have finished.
func (co *Co) awaitAll(edges []waiter) error {
	if len(edges) == 0 {
		return co.suspend(onTurn)
	}
	r, a := co.c.run(), co.c.addCold()
	a.edges = edges
	r.wide += len(edges)
	r.asked.inheritFrom(co)
	err := co.joined(co.suspendWidely(onTask))
	r.wide -= len(edges)
	a.edges = nil
	return err
}

// joined returns the error of a wait for coroutines: err, which the suspension has returned, or the error with which the wait itself failed.
func (co *Co) joined(err error) error {
	c := co.c
	if c.err == nil {
		return err
	}
	failed := c.err
	c.err = nil
	return cmp.Or(err, failed)
}

// join makes c wait for the coroutines to which its edges lead, or refuses the wait and undoes what edgesTo has done. It looks for cycles
// only if some of the coroutines may have been started before: a fresh one can be part of no cycle.
func (r *run) join(c *task) {
	edges := c.edges()
	if r.asked.claimed && !allFit(c, edges) {
		if err := r.checkCycle(c); err != nil {
			undoEdges(edges)
			c.err = err
			r.wake(c)
			return
		}
	}
	c.unmet, c.droppedWants = 0, false
	for i := range edges {
		w := &edges[i]
		line := w.line
		if line == nil {
			continue
		}
		t := line.owner
		switch t.state {
		case fresh:
			t.level = c.level
			if c.daemon {
				t.daemon = true
			}
			r.start(t, c.scope, c)
		case done:
			w.line = nil
			continue
		default:
			t.level = max(t.level, c.level)
		}
		t.wanted++
		c.unmet++
		line.push(w)
	}
	switch why := r.asked.halt; {
	case c.unmet == 0:
		r.wake(c)
	case why != nil:
		r.haltJoined(c, why)
	}
}

// allFit reports whether fits is true for all edges of c.
func allFit(c *task, edges []waiter) bool {
	for i := range edges {
		if t := edges[i].to(); t != nil && !fits(c, t) {
			return false
		}
	}
	return true
}

// edgeTargets returns a cursor over the coroutines to which edges of c lead.
func edgeTargets(c *task) cursor { return cursor{edges: c.edges()} }
