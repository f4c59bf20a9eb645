package tinyio

import (
	"context"
	"errors"
	"slices"
)

// How coroutines are stopped. There is one way, whatever the reason: a crash of the domain, a Timeout, a Cancel, the end of the
// last coroutine that was no daemon.
//
// A reason is told to a coroutine (tell). It may be kept away by a Shield. The first one that is not is what the coroutine is
// stopped for: from then on its waits return that reason's error, and its context is done. This is sticky. A Shield of its own
// still lets it wait; without one, it is exposed.
//
// The wait of an exposed coroutine ends (endWaits). First it lets go of the coroutines that it waits for: it no longer wants
// them. Those that nobody wants any more are told too, unless it is a crash, which tells whom it concerns by itself. Then
// it gets its turn; but whoever waits for coroutines that have been told goes on waiting for those, and hears of it when they
// have finished: children first (R9).
//
// A crash tells all members of a domain, but spares what somebody outside of it waits for (spare).
//
// What goes wrong while coroutines stop is kept in the reason, for whoever brought it about (R10).

// A reason is why coroutines are stopped.
type reason struct {
	err      error      // what their waits return
	crash    *scope     // the domain that has crashed; nil if coroutines are stopped one by one
	target   *coroutine // whom a Timeout, a Cancel, or the end of the context of a Submit stops, and others with it
	from     *shield    // inside which the reason arose: neither it nor those around it keep it away from others
	original failure    // of a crash
	cleanups []failure  // what went wrong in those who were stopped
	stopped  int        // how many were, in a crash

	dead *coContext // shared by those who had no context when they were stopped
}

// cause is the reason as a context tells it.
func (r *reason) cause() error {
	if c, ok := r.err.(*CancelledError); ok {
		return c.Cause
	}
	return r.err
}

// context returns the context of a coroutine that is stopped and had none. All of them share one.
func (r *reason) context(co *Co) *coContext {
	if r.dead == nil {
		r.dead = newContext(co.c.scope.ctx)
		r.dead.cancel(r.cause())
	}
	return r.dead
}

// tell tells c to stop because of r. Its wait is left alone until endWaits.
func (l *Loop) tell(c *coroutine, r *reason) {
	if c.state != done && !c.knows(r) {
		l.learn(c, r)
		l.expose(c, r)
	}
}

// learn notes that c has been told of r.
func (l *Loop) learn(c *coroutine, r *reason) {
	if c.stop == nil && !c.base().keepsAway(c, r) {
		l.stopFor(c, r)
	} else {
		a := c.more()
		a.told = append(a.told, r)
	}
	for s := c.shield(); s.mayKeep(c, r); s = s.outer {
		if s.keeps(c, r) {
			s.startGrace(l)
			if s.owner != c { // who knows of r, and has started those around it
				break
			}
		}
	}
}

// stopFor makes r what c is stopped for.
func (l *Loop) stopFor(c *coroutine, r *reason) {
	c.stop = r
	c.co.stop(r)
	if l.watch != nil {
		l.note(Stopped, c, r.err)
	}
}

// expose passes on what has come to c: to the contexts of its Shields, to those whom it isolates, and to endWaits.
func (l *Loop) expose(c *coroutine, r *reason) {
	around := c.shield() // the innermost of those outside which nothing keeps r away
	for s := around; s.mayKeep(c, r); s = s.outer {
		if s.keeps(c, r) {
			around = s.outer
		}
	}
	for s := around; s != nil && s.owner == c; s = s.outer {
		s.handle.stop(r)
	}
	l.told = append(l.told, c)
	if c.state == waiting && c.wait == onIsolate {
		for s := c.annex().inner; s != nil; s = s.sibling {
			l.stopScope(s, r)
		}
	}
}

// stopScope tells the members of s, but for those whom somebody outside waits for.
func (l *Loop) stopScope(s *scope, r *reason) {
	if s.owner != nil && (!s.owner.knows(r) || s.owner.exposed()) {
		l.spare(s, r)
	}
	for m := s.first; m != nil; m = m.after {
		l.tell(m, r)
	}
}

// halt tells c, and ends the waits of all that have to stop then.
func (l *Loop) halt(c *coroutine, r *reason) {
	l.tell(c, r)
	l.endWaits()
}

// comeThrough lets come over c what it has been told and what no Shield keeps away any more.
func (l *Loop) comeThrough(c *coroutine) {
	if c.stop == nil {
		for i, r := range c.told() {
			if !c.base().keepsAway(c, r) {
				a := c.annex()
				a.told = slices.Delete(a.told, i, i+1)
				l.stopFor(c, r)
				break
			}
		}
	}
	if c.stop == nil {
		return
	}
	for s := c.shield(); s != nil && s.owner == c; s = s.outer {
		if s.keeps(c, c.stop) {
			s.startGrace(l)
		}
	}
	l.expose(c, c.stop)
}

// exposed reports that c is stopped and has no Shield to wait behind.
func (c *coroutine) exposed() bool { return c.stop != nil && !c.shield().keepsAway(c, c.stop) }

// isStopping reports that c has been told to stop, be it that a Shield keeps that away for a while.
func (c *coroutine) isStopping() bool { return c.stop != nil || len(c.told()) > 0 }

// knows reports whether c has been told of r.
func (c *coroutine) knows(r *reason) bool { return c.stop == r || slices.Contains(c.told(), r) }

// cleansUpFor is the reason whose matter it is if something goes wrong in c; nil if that is a failure of its own domain. It is one, too, if
// a Shield keeps away from c what it was told, and its domain is inside that Shield.
func (c *coroutine) cleansUpFor() *reason {
	r := c.stop
	if told := c.told(); r == nil && len(told) > 0 {
		if r = told[0]; c.scope.owner != nil && c.scope.owner.knows(r) {
			return nil
		}
	}
	if r == nil || r.crash == nil && (r.target == nil || r.target.state == done) {
		return nil // or nobody is left to hear of it
	}
	return r
}

// endWaits ends the waits of those who were told and are exposed. What it does may lead to others that have to be told, and back here;
// these then come after the rest.
func (l *Loop) endWaits() {
	if l.ending {
		return
	}
	l.ending = true
	for left, ended := 0, 0; ended < len(l.told); ended++ {
		for ; left < len(l.told); left++ {
			if c := l.told[left]; c.state == waiting && c.exposed() {
				l.letGo(c)
			}
		}
		if c := l.told[ended]; c.state != done && c.exposed() {
			l.endWait(c)
		}
	}
	l.ending = false
	if cap(l.told) > 1024 {
		l.told = nil
	}
	clear(l.told)
	l.told = l.told[:0]
}

// letGo takes back that c wants the coroutines that it waits for. Those that nobody wants any more are told to stop as well,
// unless there is a crash.
func (l *Loop) letGo(c *coroutine) {
	if c.hasLetGo || c.wait != onCoroutine {
		return
	}
	c.hasLetGo = true
	for i, edges := 0, c.edges(); i < len(edges); i++ {
		if line := edges[i].line; line != nil {
			t := line.owner
			if t.wanted--; t.wanted == 0 && c.stop.crash == nil {
				l.tell(t, c.stop)
			}
		}
	}
}

// endWait ends the wait of c, which is exposed.
func (l *Loop) endWait(c *coroutine) {
	switch {
	case c.state == ready && c.outcome == notBegun:
		c.outcome, c.err, c.wait = returned, c.stop.err, onNothing
		c.body.skip()
		l.finish(c)
		return
	case c.state != waiting:
		return
	}
	switch c.wait {
	case onTimer:
		l.wake(c)
	case onCoroutine, onCompletion:
		l.timers.Remove(&c.timer)
		if c.unmet = c.keepStopping(); c.unmet == 0 {
			l.wake(c) // otherwise it hears of it when they have finished
		}
	case onEvent, onPermit, onBarrier, onQueue:
		c.one[0].leave()
		l.wake(c)
	case onThread:
		c.annex().callback.stop(l, c.stop.cause())
	case onCall: // it hears of it when the function has returned
		if a := c.annex(); a != nil && a.call != nil {
			a.call.stop(l)
		}
	case onIsolate: // it hears of it when the scopes are empty
	}
}

// keepStopping gives up c's waits for coroutines that have not been told to stop, and returns how many are left.
func (c *coroutine) keepStopping() (left int32) {
	var above map[*coroutine]bool // whoever waits for c in turn: then one of them has to be the first
	if c.wait == onCompletion {
		above, _ = c.ancestors()
	}
	edges := c.edges()
	for i := range edges {
		switch line := edges[i].line; {
		case line == nil:
		case line.owner.isStopping() && !above[line.owner]:
			left++
		default:
			edges[i].leave()
		}
	}
	return left
}

// Cancel stops c, and what only c was waiting for, children first, with a [*CancelledError] of cause, also if others wait for c or it
// was spawned. It returns when c has stopped: nil, or what went wrong in clean-up, joined, or the caller's own stop. A fresh
// coroutine never runs; one that has finished is left as it is. If cause is nil, it is [context.Canceled].
//
// Others who await c get its result: its value, if it finished with a nil error all the same, and otherwise the [*CancelledError], as a value
// that crashes nobody by itself. To cancel a coroutine that waits for the caller, directly or not, is a [*CycleError]; one of
// another loop that has not finished, an error.
func (c *Coro[T]) Cancel(co *Co, cause error) error {
	caller := co.enter("Cancel")
	if err := co.refused(); err != nil {
		return err
	}
	w := &caller.one[0]
	if err := caller.edgeTo(w, "Cancel", c.awaitable()); err != nil {
		return err
	}
	if w.line == nil {
		return co.suspend(onTurn)
	}
	if cause == nil {
		cause = context.Canceled
	}
	r := &reason{err: &CancelledError{Cause: cause}, target: &c.c, from: caller.shield()}
	caller.more().halting = r
	caller.loop.Load().asked.halt = r
	stop := co.suspend(onCoroutine)
	if err := co.joined(stop); err != nil {
		co.halted(stop)
		return err
	}
	return errors.Join(co.halted(nil)...)
}

// haltJoined halts the coroutine that c has joined, in order to stop it. So c waits for it, and does not want it.
func (l *Loop) haltJoined(c *coroutine, r *reason) {
	c.hasLetGo = true
	r.target.wanted--
	l.asked.halt = nil
	l.halt(r.target, r)
}
