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
	if t == nil || t.body == nil || t.loop.Load() != nil && t.loop.Load() != c.loop.Load() && !t.hasFinished() {
		return c.cannotAwait(op, t)
	}
	return nil
}

// cannotAwait returns the error that t belongs to another loop. If t is nil or zero, it panics.
func (c *task) cannotAwait(op string, t *task) error {
	if t == nil || t.body == nil {
		panic("tinyio: " + op + ": a coroutine is nil or zero, in " + c.describe() + "; make it with New before it is awaited")
	}
	return foreign(t)
}

// line returns the awaiters of t; nil if t is nil.
func (t *task) line() *waitList {
	if t == nil {
		return nil
	}
	return &t.awaiters
}

// edgesTo makes edges those of c, as edgeTo does for one. The caller has set the line of each to the awaiters of its target. If c cannot
// await one of the targets, edgesTo undoes what it has done and returns the error.
func edgesTo(edges []waiter, c *task, op string) error {
	l := c.loop.Load()
	for i := range edges {
		w, t := &edges[i], (*task)(nil)
		if w.line != nil {
			t = w.line.owner // nil if the coroutine is zero
		}
		if t != nil && t.tryClaim(l) {
			w.c = c
		} else if !w.leadTo(c, t) {
			undoEdges(edges[:i])
			return c.cannotAwait(op, t)
		}
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

// edgeTo makes the one edge of c lead to t, and claims t for the loop. When c suspends, join puts the edge among the awaiters of t. If t
// has finished on another loop, the edge leads nowhere.
func (c *task) edgeTo(op string, t *task) error {
	if w, l := &c.one[0], c.loop.Load(); t != nil && t.tryClaim(l) {
		w.line = &t.awaiters
	} else if !w.leadTo(c, t) {
		return c.cannotAwait(op, t)
	}
	return nil
}

// leadTo makes w an edge from c to t, which has been claimed before. If t belongs to another loop, w leads nowhere, and leadTo reports
// whether t has finished. So it does if t is nil or zero, which has not.
func (w *waiter) leadTo(c, t *task) bool {
	l := c.loop.Load()
	w.c, w.line = c, nil
	switch {
	case t == nil:
		return false
	case t.loop.Load() == l:
		w.line = &t.awaiters
		l.run.asked.any, l.run.asked.claimed = true, true
		return true
	default:
		return t.hasFinished()
	}
}

// await waits until t has finished, and returns true and the error of t. If the wait is interrupted or refused, await returns the error of
// that, and whether t has finished with a value all the same (R28).
func (co *Co) await(t *task) (finished bool, err error) {
	c := co.enter("Await")
	if err := c.refused(co); err != nil {
		return t.hasValue(), err
	}
	if t == nil {
		return false, c.cannotAwait("Await", t)
	}
	r := c.run()
	if t.hasFinished() { // c waits for a turn alone
		if r.quiet() {
			return true, t.err
		}
		r.endTurn(c, onTurn)
		r.makeReady(c)
	} else {
		if t.tryClaim(r.loop) {
			c.one[0].line = &t.awaiters
		} else if !c.one[0].leadTo(c, t) {
			return false, c.cannotAwait("Await", t)
		}
		r.asked.inheritFrom(co)
		r.endTurn(c, onTask)
		r.join(c)
		r.asked.clear()
	}
	if p := r.leave(c); p != nil { // suspend
		p.Switch()
		r.sendOn(c)
	}
	if err := c.joined(co.resumed(r)); err != nil {
		return t.hasValue(), err
	}
	return true, t.err
}

// awaitAll waits until all coroutines to which edges lead have finished.
func (co *Co) awaitAll(edges []waiter) error {
	if len(edges) == 0 {
		return co.suspendForTurn()
	}
	r, a := co.c.run(), co.c.addCold()
	a.edges = edges
	r.wide += len(edges)
	r.asked.inheritFrom(co)
	err := co.c.joined(co.suspendWidely(onTask))
	r.wide -= len(edges)
	a.edges = nil
	return err
}

// joined returns the error of a wait for coroutines that has ended: err, which the suspension has returned, or the error with which join
// has refused the wait.
func (c *task) joined(err error) error {
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
