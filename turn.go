package tinyio

import "github.com/tinyio-go/tinyio/internal/stack"

// How control passes from one goroutine to another. Coroutines run on workers; the loop runs on the goroutine of Run, or of the
// host, the driver, or on that of a coroutine that waits (see runInline). At any time one of them runs and all others are parked, each in some
// slot: see package stack. To switch to somebody is to park in the slot in which they are parked.
//
// Loop.running says whose turn it is: a coroutine's, or, when it is nil, the loop's. Whoever goes on and finds that it
// is not their turn switches to whose it is. That happens when a worker ends, for it sets whoever is parked in the slot that it
// began in going; and when a probe wants to know where a coroutine waits.

// handOn lets the next runner go on after c, which waits. It returns the slot to switch through: that one is parked there, and c will park
// there; or nil if it is c's turn again.
func (r *run) handOn(c *task) *stack.Slot {
	if n := r.ahead(nil); n == c {
		return nil
	} else if n != nil {
		c.slot = n.slot
		return c.slot
	}
	if !r.apart && (r.inline == nil || r.inline == c) {
		r.runInline(c)
		return nil
	}
	c.slot = r.turnSlot()
	return c.slot
}

// lastTurn ends the last turn of c, and lets the next runner go on after w, its worker, as handOn does. A failure is left to the loop where it
// runs, because who waited has to be found out then.
func (r *run) lastTurn(c *task, w *worker) *stack.Slot {
	r.running = nil
	r.catchUp()
	if c == r.inline {
		r.inline = nil
	}
	switch {
	case c.state != running: // a callback, which waits without a stack
	case c.outcome == returned && c.err == nil:
		r.finish(c)
	default:
		r.unsettled = c
	}
	n := r.ahead(w)
	if n != nil && n == w.task {
		return nil
	}
	if r.retire(w); w.quit {
		return nil
	}
	if n == nil {
		w.at = r.turnSlot()
	} else {
		w.at = n.slot
	}
	return w.at
}

// ahead makes the next ready coroutine the running one, if there is nothing for the loop to do before, so that the caller can
// go on with it directly. That is one switch instead of two: a third of the cost of a turn. If it has not begun, it gets w, the
// worker of the caller, if that is free, and otherwise an idle one.
func (r *run) ahead(w *worker) *task {
	if r.unsettled != nil {
		return nil
	}
	r.endStep()
	r.letIn()
	n := r.ready.head
	if n == nil || n.state != ready || r.deferred.n > 0 || r.stepwise {
		return nil
	}
	if r.timers.Len() > 0 {
		if r.turnsLeft--; r.turnsLeft <= 0 {
			return nil
		}
	}
	if n.slot == nil {
		if n.outcome != notBegun || n.isSimple() || w == nil && len(r.idlers) == 0 {
			return nil
		}
		if w == nil {
			w = r.hireIdler()
		}
		w.give(n)
	}
	r.ready.pop()
	if r.isFollowed() {
		r.announce(n)
	}
	r.beginTurn(n)
	return n
}

// runInline is how a coroutine waits when there is something else for the loop to do than to let another one go on, and no other
// coroutine waits like this: it stays on its stack and runs the loop there until it is its turn. In most programs that is the
// first coroutine. It spares the two switches by which others leave and come back.
func (r *run) runInline(c *task) {
	r.inline, r.inlined = c, true
	r.finishTurn()
	for !r.turns(c) {
	}
	r.inlined = false
}

// switchTo switches to whoever is parked in p, and notes in at that the caller is parked there. If switches are not direct, the worker
// there may end by a Goexit.
func (r *run) switchTo(at **stack.Slot, p *stack.Slot) {
	*at = p
	if stack.Direct {
		p.Switch()
	} else {
		p.SwitchOrExit()
	}
}

// switchToTurn switches to whose turn it is. The caller, whose turn it is not, was parked in *at. If a probe has resumed it, the probe is
// given where it was.
func (r *run) switchToTurn(at **stack.Slot) {
	if r.probe != nil {
		r.probe.take()
		(*at).Switch()
		return
	}
	r.switchTo(at, r.turnSlot())
}

// turnSlot is the slot in which whose turn it is is parked.
func (r *run) turnSlot() *stack.Slot {
	switch {
	case r.running != nil:
		return r.running.slot
	case r.inlined:
		return r.inline.slot
	default:
		return r.driver
	}
}
