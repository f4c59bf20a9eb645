package tinyio

import (
	"context"
	"errors"
	"slices"

	"github.com/tinyio-go/tinyio/hook"
)

// How coroutines are stopped. There is one way, whatever the reason: a crash of the domain, a Timeout, a Cancel, the end of the
// last coroutine that was no daemon.
//
// A coroutine is cancelled for a reason (cancel). While a Shield keeps the reason away, it is pending. The first that no Shield keeps away is
// delivered: the coroutine is stopped for it. From then on its waits return that reason's error, and its context is done. This is
// sticky. A Shield of its own still lets it wait; without one, it is exposed.
//
// The wait of an exposed coroutine ends (endWaits). First it no longer wants the coroutines that it waits for (dropWants). Those that
// nobody wants any more are cancelled too, unless the reason is a crash, which cancels whom it concerns by itself. Then the coroutine
// gets its turn; but if it waits for coroutines that have been cancelled, it goes on waiting for these, and hears of it when
// they have finished: children first (R9, keepChildren).
//
// A crash cancels all members of a domain, but spares what somebody outside of it waits for (spare).
//
// What goes wrong while coroutines stop is collected in the reason, for whoever brought it about (R10).

// A reason is why coroutines are stopped.
type reason struct {
	err      error     // what their waits return
	crash    *scope    // the domain that has crashed; nil if coroutines are stopped one by one
	target   *task     // whom a Timeout, a Cancel, or the end of the context of a Submit stops, and others with it
	from     *shield   // inside which the reason arose: neither it nor those around it keep it away from others
	original failure   // of a crash
	chain    chain     // of a crash
	cleanups []failure // what went wrong in those who were stopped
	stopped  int       // how many were, in a crash

	dead *coContext // shared by those who had no context when they were stopped
}

// cause is the reason as context.Cause returns it.
func (why *reason) cause() error {
	if c, ok := why.err.(*CancelledError); ok {
		return c.Cause
	}
	return why.err
}

// context returns the context of a coroutine that is stopped and had none of its own. Those with the same values share one.
func (why *reason) context(x *coContext) *coContext {
	if why.dead == nil || why.dead.inherited != x.inherited {
		why.dead = x.ownContext()
		why.dead.cancel(why.cause())
	}
	return why.dead
}

// cancel asks c to stop because of why. Its wait goes on until endWaits.
func (r *run) cancel(c *task, why *reason) {
	if c.state != done && !c.knows(why) {
		r.record(c, why)
		r.expose(c, why)
	}
}

// record delivers why to c, or notes it as pending.
func (r *run) record(c *task, why *reason) {
	if c.stop == nil && !c.base().keepsAway(c, why) {
		r.deliver(c, why)
	} else {
		a := c.addCold()
		a.pending = append(a.pending, why)
	}
	for s := c.shield(); s.mayKeep(c, why); s = s.outer {
		if s.keeps(c, why) {
			s.startGrace(r)
			if s.owner != c { // who knows of it, and has started those around it
				break
			}
		}
	}
}

// deliver makes why what c is stopped for.
func (r *run) deliver(c *task, why *reason) {
	c.stop = why
	c.co.stop(why)
	if r.watch != nil {
		r.note(hook.Stopped, c, why.err)
	}
}

// expose passes on what has come to c: to the contexts of its Shields, to those whom it isolates, and to endWaits.
func (r *run) expose(c *task, why *reason) {
	around := c.shield() // the innermost of those outside which nothing keeps it away
	for s := around; s.mayKeep(c, why); s = s.outer {
		if s.keeps(c, why) {
			around = s.outer
		}
	}
	for s := around; s != nil && s.owner == c; s = s.outer {
		s.handle.stop(why)
	}
	r.cancelled = append(r.cancelled, c)
	if c.state == waiting && c.wait == onScopes {
		for s := c.cold().inner; s != nil; s = s.sibling {
			r.stopScope(s, why)
		}
	}
}

// stopScope cancels the members of s, but for those whom somebody outside waits for.
func (r *run) stopScope(s *scope, why *reason) {
	s.stopping = why
	if s.owner != nil && (!s.owner.knows(why) || s.owner.exposed()) {
		r.spare(s, why)
	}
	for m := s.first; m != nil; m = m.after {
		r.cancel(m, why)
	}
}

// halt cancels c, and ends the waits of all that have to stop then.
func (r *run) halt(c *task, why *reason) {
	r.cancel(c, why)
	r.endWaits()
}

// deliverPending delivers to c what is pending and what no Shield keeps away any more.
func (r *run) deliverPending(c *task) {
	if c.stop == nil {
		for i, why := range c.pendingReasons() {
			if !c.base().keepsAway(c, why) {
				a := c.cold()
				a.pending = slices.Delete(a.pending, i, i+1)
				r.deliver(c, why)
				break
			}
		}
	}
	if c.stop == nil {
		return
	}
	for s := c.shield(); s != nil && s.owner == c; s = s.outer {
		if s.keeps(c, c.stop) {
			s.startGrace(r)
		}
	}
	r.expose(c, c.stop)
}

// exposed reports that c is stopped and has no Shield to wait behind.
func (c *task) exposed() bool { return c.stop != nil && !c.shield().keepsAway(c, c.stop) }

// isStopping reports that c has been cancelled, be it that a Shield keeps that away for a while.
func (c *task) isStopping() bool { return c.stop != nil || len(c.pendingReasons()) > 0 }

// knows reports whether c has been cancelled for why.
func (c *task) knows(why *reason) bool {
	return c.stop == why || slices.Contains(c.pendingReasons(), why)
}

// cleansUpFor is the reason whose matter it is if something goes wrong in c; nil if that is a failure of its own domain. It is one, too, if
// a Shield keeps away from c what it was cancelled for, and its domain is inside that Shield.
func (c *task) cleansUpFor() *reason {
	why := c.stop
	if pending := c.pendingReasons(); why == nil && len(pending) > 0 {
		if why = pending[0]; c.scope.owner != nil && c.scope.owner.knows(why) {
			return nil
		}
	}
	if why == nil || why.crash == nil && (why.target == nil || why.target.state == done) {
		return nil // or nobody is left to hear of it
	}
	return why
}

// endWaits ends the waits of those who were cancelled and are exposed. That may lead to others that have to be cancelled, and back here;
// these then come after the rest.
func (r *run) endWaits() {
	if r.ending {
		return
	}
	r.ending = true
	for left, ended := 0, 0; ended < len(r.cancelled); ended++ {
		first, ranges := left, false
		for ; left < len(r.cancelled); left++ { // which grows meanwhile
			c := r.cancelled[left]
			if c.state == waiting && c.exposed() {
				r.dropWants(c)
			}
			ranges = ranges || c.ranges()
		}
		if ranges {
			r.keepChildren(r.cancelled[first:left])
		}
		if c := r.cancelled[ended]; c.state != done && c.exposed() {
			r.endWait(c)
		}
	}
	r.ending = false
	if cap(r.cancelled) > 1024 {
		r.cancelled = nil
	}
	clear(r.cancelled)
	r.cancelled = r.cancelled[:0]
}

// dropWants takes back that c wants the coroutines that it waits for. Those that nobody wants any more are cancelled as well,
// unless there is a crash.
func (r *run) dropWants(c *task) {
	if c.droppedWants || c.wait != onTask {
		return
	}
	c.droppedWants = true
	for i, edges := 0, c.edges(); i < len(edges); i++ {
		if line := edges[i].line; line != nil {
			t := line.owner
			if t.wanted--; t.wanted == 0 && c.stop.crash == nil {
				r.cancel(t, c.stop)
			}
		}
	}
}

// endWait ends the wait of c, which is exposed.
func (r *run) endWait(c *task) {
	switch {
	case c.state == ready && c.outcome == notBegun:
		c.outcome, c.err, c.clean, c.wait = returned, c.stop.err, true, onNothing
		c.body.skip()
		r.finish(c)
		return
	case c.state != waiting:
		return
	}
	waits[c.wait].cancel(r, c)
}

// waitForStopping makes c, which waits for coroutines, wait for those alone that have been cancelled too: it hears of it when they
// have finished.
func (r *run) waitForStopping(c *task) {
	r.unset(&c.timer)
	if c.unmet = c.keepStopping(); c.unmet == 0 {
		r.wake(c)
	}
}

// keepStopping gives up c's waits for coroutines that have not been cancelled, and returns how many are left.
func (c *task) keepStopping() (left int32) {
	edges := c.edges()
	for i := range edges {
		switch line := edges[i].line; {
		case line == nil:
		case line.owner.isStopping():
			left++
		default:
			edges[i].remove()
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
	if err := caller.edgeTo("Cancel", c.awaitable()); err != nil {
		return err
	}
	if caller.one[0].line == nil {
		return co.suspend(onTurn)
	}
	if cause == nil {
		cause = context.Canceled
	}
	why := &reason{err: &CancelledError{Cause: cause}, target: &c.c, from: caller.shield()}
	caller.addCold().halting = why
	caller.run().asked.halt = why
	stop := co.suspendWidely(onTask)
	if err := co.joined(stop); err != nil {
		co.halted(stop)
		return err
	}
	return errors.Join(co.halted(nil)...)
}

// haltJoined halts the coroutine that c has joined, in order to stop it. So c waits for it, and does not want it.
func (r *run) haltJoined(c *task, why *reason) {
	c.droppedWants = true
	why.target.wanted--
	r.asked.halt = nil
	r.halt(why.target, why)
}
