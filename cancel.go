package tinyio

import (
	"context"
	"errors"
	"slices"

	"github.com/tinyio-go/tinyio/hook"
)

// How coroutines are stopped. There is one way, whatever the reason: a crash of the domain, a Timeout, a Cancel, or that only
// daemons are left.
//
// A coroutine is cancelled for a reason (cancel). While a Shield keeps the reason away, the reason is pending. The first reason
// that no Shield keeps away is delivered: the coroutine is stopped for it. From then on its context is done, and each of its waits
// returns the reason's error, except in a Shield of its own that keeps the reason away: there it may still wait (mayWait).
//
// When a stopped coroutine may not wait, its present wait ends (endWaits), in two steps. First it no longer wants those that it waits
// for (dropWants), and those that nobody wants any more are cancelled too. (A crash cancels nobody in this step, since it cancels
// all members of its domain anyway.) Then it becomes ready. But if some of those that it waits for have been cancelled, it goes
// on waiting for these, and becomes ready when they have finished: children first (R9, keepChildren).
//
// A crash cancels all members of a domain, except those that a coroutine outside waits for (spare).
//
// What goes wrong while coroutines stop is collected in the reason, for whoever caused the stop (R10).

// A reason is why coroutines are stopped.
type reason struct {
	err      error     // what the waits of the stopped coroutines return
	crash    *scope    // the domain that has crashed; nil if coroutines are stopped one by one
	target   *task     // the coroutine that a Timeout, a Cancel or a withdrawn Submit stops; for the losers of a First, the caller of First
	original failure   // of a crash: what it began with
	chain    chain     // of a crash: what is known of its await chains
	cleanups []failure // what went wrong in the stopped coroutines
	finished int       // of a crash: how many of the stopped coroutines have finished

	shared *coContext // for coroutines that had no context of their own when they were stopped
}

// cause returns what context.Cause returns for the reason.
func (why *reason) cause() error {
	if c, ok := why.err.(*CancelledError); ok {
		return c.Cause
	}
	return why.err
}

// context returns a context for a stopped coroutine that had none of its own. Coroutines with the same values share one.
func (why *reason) context(x *coContext) *coContext {
	if why.shared == nil || why.shared.inherited != x.inherited {
		why.shared = x.stoppedFor(why.cause())
	}
	return why.shared
}

// cancel cancels c, and what depends on c, for why. The wait of c goes on until endWaits.
func (r *run) cancel(c *task, why *reason) {
	if c.state != done && !c.isCancelledFor(why) {
		r.record(c, why)
		r.propagate(c, why)
	}
}

// record delivers why to c or, if a Shield keeps it away, makes it pending.
func (r *run) record(c *task, why *reason) {
	if c.stop == nil && !c.base().keepsAway(c, why) {
		r.deliver(c, why)
	} else {
		a := c.addCold()
		a.pending = append(a.pending, why)
	}
	for s := c.shield().keeper(c, why); s != nil; s = s.outer.keeper(c, why) {
		s.startGrace(r)
		if s.owner != c { // the owner has been cancelled for why too, which started the grace of the Shields around s
			break
		}
	}
}

// deliver makes why the reason for which c is stopped.
func (r *run) deliver(c *task, why *reason) {
	c.stop = why
	c.co.stop(why)
	if r.watch != nil {
		r.note(hook.Stopped, c, why.err)
	}
	if r.gate != nil {
		r.gate.Stopped(why.err)
	}
}

// propagate passes why, which has been recorded in c, on: to the contexts of those Shields of c that do not keep it away, to the work list of
// endWaits, and to the members of the scopes that c waits for.
func (r *run) propagate(c *task, why *reason) {
	outside := c.shield() // from here outward, no Shield keeps why away
	for s := outside.keeper(c, why); s != nil; s = s.outer.keeper(c, why) {
		outside = s.outer
	}
	for s := outside; s != nil && s.owner == c; s = s.outer {
		s.handle.stop(why)
	}
	r.cancelled = append(r.cancelled, c)
	for s := c.awaitedScopes(); s != nil; s = s.sibling {
		r.stopScope(s, why)
	}
}

// stopScope cancels the members of s, except those that a coroutine outside waits for (spare). While a Shield keeps why away from the owner
// of s, and so from the members, nobody is spared yet: stopScope is called again when the Shield no longer does.
func (r *run) stopScope(s *scope, why *reason) {
	s.stopping = why
	if s.owner != nil && (!s.owner.isCancelledFor(why) || !s.owner.mayWait()) {
		r.spare(s, why)
	}
	r.cancelled = slices.Grow(r.cancelled, s.live)
	for m := s.first; m != nil; m = m.after {
		r.cancel(m, why)
	}
}

// halt cancels c, and ends the waits of all coroutines that have to stop with it.
func (r *run) halt(c *task, why *reason) {
	r.cancel(c, why)
	r.endWaits()
}

// deliverPending delivers to c the first pending reason that no Shield keeps away any more.
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
	r.propagate(c, c.stop)
}

// mayWait reports whether c may wait: it is not stopped, or a Shield keeps the reason away.
func (c *task) mayWait() bool { return c.stop == nil || c.shield().keepsAway(c, c.stop) }

// isStopping reports whether c has been cancelled, even if a Shield still keeps the reason away.
func (c *task) isStopping() bool { return c.stop != nil || len(c.pendingReasons()) > 0 }

// isCancelledFor reports whether c has been cancelled for why.
func (c *task) isCancelledFor(why *reason) bool {
	return c.stop == why || slices.Contains(c.pendingReasons(), why)
}

// cleansUpFor returns the reason that collects what goes wrong in c (R10). It is nil if an error of c is a failure of its domain. That is
// so if c has not been cancelled, if whoever caused the stop is gone, or if the owner of the domain has been cancelled too and a Shield
// keeps the reason away from c: then the domain as a whole is inside the Shield.
func (c *task) cleansUpFor() *reason {
	why := c.stop
	if pending := c.pendingReasons(); why == nil && len(pending) > 0 {
		if why = pending[0]; c.scope.owner != nil && c.scope.owner.isCancelledFor(why) {
			return nil
		}
	}
	if why == nil || why.crash == nil && (why.target == nil || why.target.state == done) {
		return nil
	}
	return why
}

// endWaits ends the waits of those in the work list, r.cancelled, that may not wait. That may cancel others, which join the list, and call
// endWaits again: the inner call returns at once, and the outer one goes on with the list.
func (r *run) endWaits() {
	if r.ending {
		return
	}
	r.ending = true
	dropped := 0 // dropWants has been called for those before this index
	for ended := 0; ended < len(r.cancelled); ended++ {
		first, anyWaits := dropped, false
		for ; dropped < len(r.cancelled); dropped++ { // which grows meanwhile
			c := r.cancelled[dropped]
			if c.state == waiting && !c.mayWait() {
				r.dropWants(c)
			}
			anyWaits = anyWaits || c.waitsForAny()
		}
		if anyWaits {
			r.keepChildren(r.cancelled[first:dropped])
		}
		if c := r.cancelled[ended]; c.state != done && !c.mayWait() {
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

// dropWants takes back the wants of c for the coroutines that it waits for. Those that nobody wants any more are cancelled as
// well, unless c is stopped by a crash.
func (r *run) dropWants(c *task) {
	if c.droppedWants || c.wait != onTask {
		return
	}
	c.droppedWants = true
	edges := c.edges()
	for i := range edges {
		if t := edges[i].to(); t != nil {
			t.wanted--
		}
	}
	if c.stop.crash != nil {
		return
	}
	for i := range edges { // a second loop, since one may be listed twice
		if t := edges[i].to(); t != nil && t.wanted == 0 {
			r.cancel(t, c.stop)
		}
	}
}

// endWait ends the wait of c, which may not wait. If c has had no turn, it finishes.
func (r *run) endWait(c *task) {
	switch {
	case c.state == ready && c.outcome == notBegun:
		c.outcome, c.err, c.clean, c.wait = returned, c.stop.err, true, onNothing
		c.body.skip()
		r.leaveQueue()
		r.finish(c)
		return
	case c.state != waiting:
		return
	}
	waits[c.wait].cancel(r, c)
}

// waitForStopping makes c, which waits for coroutines, go on waiting only for those that have been cancelled too. If there are none, c
// becomes ready.
func (r *run) waitForStopping(c *task) {
	r.unset(&c.timer)
	if c.unmet = c.keepStopping(); c.unmet == 0 {
		r.wake(c)
	}
}

// keepStopping removes the edges of c to coroutines that have not been cancelled, and returns how many edges are left.
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

// Cancel stops c with a [*CancelledError] of cause, even if others wait for c or c was spawned. What only c was waiting for is stopped
// too, children first. Cancel returns when c has finished: nil or, joined, what went wrong in clean-up. If the caller is stopped
// meanwhile, Cancel still waits for c and then returns the caller's own error. A fresh coroutine never runs; a finished one is
// left as it is. If cause is nil, it is [context.Canceled].
//
// Others who await c get its result: its value, if it has finished with a nil error all the same, and otherwise the
// [*CancelledError], as a value that crashes nobody by itself. Cancel returns a [*CycleError] if c waits for the caller,
// directly or not, and another error if c belongs to another loop and has not finished.
func (c *Coro[T]) Cancel(co *Co, cause error) error {
	caller := co.enter("Cancel")
	if err := caller.refused(co); err != nil {
		return err
	}
	if err := caller.edgeTo("Cancel", c.awaitable()); err != nil {
		return err
	}
	if caller.one[0].line == nil {
		return co.suspendForTurn()
	}
	if cause == nil {
		cause = context.Canceled
	}
	why := &reason{err: &CancelledError{Cause: cause}, target: &c.c}
	caller.addCold().halting = why
	r := caller.run()
	r.asked.any, r.asked.halt = true, why
	stop := co.suspendWidely(onTask)
	if err := caller.joined(stop); err != nil {
		co.takeCleanups(stop)
		return err
	}
	return errors.Join(co.takeCleanups(nil)...)
}

// haltJoined halts the target of why for c, which has begun to wait for it in Cancel. From then on c waits for it without wanting it.
func (r *run) haltJoined(c *task, why *reason) {
	c.droppedWants = true
	why.target.wanted--
	r.asked.halt = nil
	r.halt(why.target, why)
}
