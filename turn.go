package tinyio

import "github.com/tinyio-go/tinyio/internal/stack"

// How control passes from one goroutine to another. Coroutines run on workers; the loop runs on the goroutine of Run, or of the
// host, the driver, or on that of a coroutine that waits (see runInline). At any time one of them runs and all others are parked, each in some
// slot: see package stack. To switch to somebody is to park in the slot in which they are parked.
//
// Loop.running says whose turn it is: a coroutine's, or, when it is nil, the loop's. Whoever goes on and finds that it
// is not their turn switches to whose it is. That happens when a worker ends, for it sets whoever is parked in the slot that it
// began in going; and when a probe wants to know where a coroutine waits.

// endTurn ends the turn of c, which waits for something. It returns the slot to switch through: the next runner is parked there, and c will
// park there; or nil if it is c's turn again. What takes more than a small stack to deal with is left to the loop where it runs.
func (r *run) endTurn(c *task) *stack.Slot {
	r.running = nil
	if r.stepwise || r.asked.large {
		r.unsettled = c
	} else {
		r.settle(c)
		r.endStep()
		if n := r.ahead(nil); n == c {
			return nil
		} else if n != nil {
			c.slot = n.slot
			return c.slot
		}
	}
	if !r.apart && (r.inline == nil || r.inline == c) {
		r.runInline(c)
		return nil
	}
	c.slot = r.turnSlot()
	return c.slot
}

// lastTurn ends the last turn of c, and does the same for w, its worker. A failure is left to the loop where it runs, because who
// waited has to be found out then.
func (r *run) lastTurn(c *task, w *worker) *stack.Slot {
	r.running = nil
	if c == r.inline {
		r.inline = nil
	}
	if failed := c.state == running && (c.outcome != returned || c.err != nil); r.stepwise || failed {
		r.unsettled = c
	} else {
		r.settle(c)
		r.endStep()
		if n := r.ahead(w); n != nil && n == w.task {
			return nil
		}
	}
	if r.retire(w); w.quit {
		return nil
	}
	w.at = r.turnSlot()
	return w.at
}

// ahead makes the next ready coroutine the running one, if there is nothing for the loop to do before, so that the caller can
// go on with it directly. That is one switch instead of two: a third of the cost of a turn. If it has not begun, it gets w, the
// worker of the caller, if that is free, and otherwise an idle one.
func (r *run) ahead(w *worker) *task {
	r.letIn()
	n := r.ready.head
	if n == nil || n.state != ready || r.deferred.n > 0 {
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
