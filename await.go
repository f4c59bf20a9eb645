package tinyio

import "cmp"

// How coroutines wait for coroutines. One that waits has an edge to each that it waits for: a waiter among the awaiters of that one. Edges
// are prepared on its own stack, and joined when it has suspended.

// target is the coroutine of a, nil if there is none.
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

// edgesTo makes edges lead from c to cs, as edgeTo does. There are as many. If it fails, it leaves no trace.
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
			unbind(edges)
			return c.check(op, nil)
		case t.isClaimedBy(l):
			t.side = bound
		case t.hasFinished():
			continue
		case t.loop.Load() == l:
			l.run.asked.rare, l.run.asked.met = true, true
		default:
			unbind(edges)
			return foreign(t)
		}
		w.line = &t.awaiters
	}
	return nil
}

// unbind makes edges lead nowhere, and those fresh coroutines free for any loop again that are not because of edges.
func unbind(edges []waiter) {
	for i := range edges {
		if t := edges[i].to(); t != nil {
			t.unbind()
		}
		edges[i].line = nil
	}
}

// edgeTo makes the one edge of c lead to t, to be joined when c suspends. An edge to one that has finished is left out.
func (c *task) edgeTo(op string, t *task) error {
	if t == nil || t.body == nil {
		return c.check(op, nil)
	}
	c.one[0].line = &t.awaiters
	if l := c.loop.Load(); t.isClaimedBy(l) {
		return nil
	}
	return c.edgeToMet(t)
}

// edgeToMet is edgeTo for one that belongs to a loop already.
func (c *task) edgeToMet(t *task) error {
	l := c.loop.Load()
	switch {
	case t.loop.Load() == l:
		l.run.asked.rare, l.run.asked.met = true, true
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
	co.hand(r)
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
	co.hand(r)
	err := co.joined(co.suspendWidely(onTask))
	r.wide -= len(edges)
	a.edges = nil
	return err
}

// joined is how a wait for coroutines has ended, err being how the suspension has.
func (co *Co) joined(err error) error {
	c := co.c
	if c.err == nil {
		return err
	}
	failed := c.err
	c.err = nil
	return cmp.Or(err, failed)
}

// join makes c, which waits, wait for the coroutines to which its edges lead; or refuses that, and nothing has happened. Nobody who is fresh
// can be part of a cycle.
func (r *run) join(c *task) {
	edges := c.edges()
	if r.asked.met && !allFit(c, edges) {
		if err := r.refusal(c); err != nil {
			unbind(edges)
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

// allFit reports that none of edges, of c, makes a cycle, for a simple reason.
func allFit(c *task, edges []waiter) bool {
	for i := range edges {
		if t := edges[i].to(); t != nil && !fits(c, t) {
			return false
		}
	}
	return true
}

// edgeTasks goes through the coroutines to which edges of c lead.
func edgeTasks(c *task) cursor { return cursor{edges: c.edges()} }
