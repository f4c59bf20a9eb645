package tinyio

import "time"

// Timeout is [Coro.Await] for at most d. If c has not finished by then, c is halted: its current wait and every later one return a
// [*TimeoutError], so that it can clean up. Timeout returns when c has stopped. If c has finished with a nil error all the same,
// Timeout returns its value. Otherwise, or if there are clean-up errors, it returns a [*TimeoutError], which says where c was stuck and
// wraps these. Neither crashes anything. If d is not positive, a fresh c never runs.
//
// The coroutines that only c was waiting for are halted with it, and so on, children first. Those that others wait for, or that
// were spawned, carry on. If others wait for c itself, or c was spawned, Timeout gives up waiting and c carries on.
func Timeout[T any](co *Co, c *Coro[T], d time.Duration) (T, error) {
	var zero T
	caller := co.enter("Timeout")
	if err := caller.refused(co); err != nil {
		return zero, err
	}
	if err := caller.edgeTo("Timeout", c.awaitable()); err != nil {
		return zero, err
	}
	r := caller.run()
	until := caller.setLimit(d)
	if c.c.state == fresh {
		r.asked.any, r.asked.inherit = true, co.inherited().withDeadline(r.at(until))
	}
	caller.addCold().limit = d
	stop := co.suspendWidely(onTask)
	err := caller.joined(stop)
	cleanups := co.takeCleanups(stop)
	switch {
	case err == nil:
		return c.value, c.c.err
	case stop == nil && len(cleanups) > 0:
		t := err.(*TimeoutError)
		err = &TimeoutError{After: t.After, Coro: t.Coro, Trace: t.Trace, Cleanup: cleanups} // a copy, since the halted coroutines hold t
	case c.c.hasFinished() && c.c.err == nil:
		err = stop
	}
	return c.result(err)
}

// takeCleanups returns the clean-up errors of the coroutines that the caller has just halted. But if the caller is itself being stopped,
// with the error stop, it holds them until it finishes. Then they go where its own clean-up error goes (R10).
func (co *Co) takeCleanups(stop error) (errs []error) {
	c := co.c
	if c.cold() == nil || c.cold().halting == nil {
		return nil
	}
	a := c.cold()
	why := a.halting
	a.halting = nil
	if stop != nil {
		a.cleanups = append(a.cleanups, why.cleanups...)
		return nil
	}
	for _, f := range why.cleanups {
		errs = append(errs, f.error())
	}
	return errs
}

// heldCleanups returns the clean-up errors that c holds until it finishes.
func (c *task) heldCleanups() []failure {
	if c.cold() == nil {
		return nil
	}
	return c.cold().cleanups
}

// setLimit sets the timer for a limit of d to the wait that c is about to begin, and returns when it fires. It reads the clock, which may
// exit.
func (c *task) setLimit(d time.Duration) (until int64) {
	r := c.run()
	until = r.in(d)
	r.setTimer(&c.timer, until, c)
	return until
}

// due ends the wait of c because its time limit has passed.
func (c *task) due(r *run) {
	if waits[c.wait].expire(r, c) {
		r.wake(c)
	}
}

// giveUp is the expire of a Timeout. If nobody else wants the target of c, the target is halted, and c waits on until it has finished.
// Otherwise c gives up its wait.
func (r *run) giveUp(c *task) (wake bool) {
	edge := &c.one[0]
	t := edge.line.owner
	timeout := &TimeoutError{After: c.cold().limit, Coro: t.label(), Trace: r.stuck(t)}
	c.err = timeout
	if !c.droppedWants {
		c.droppedWants = true
		t.wanted--
	}
	if t.wanted == 0 {
		c.cold().halting = &reason{err: timeout, target: t}
		r.halt(t, c.cold().halting)
	}
	if t.state == done || t.wanted == 0 || t.isStopping() {
		return false // the end of t wakes c, or has done so if t had not begun
	}
	edge.remove()
	return true
}
