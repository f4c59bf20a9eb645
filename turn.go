package tinyio

import (
	"runtime/pprof"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// How control passes from one goroutine to another. Coroutines run on workers. The loop runs on the driver, which is the goroutine of
// Run or of the host, or on the goroutine of a coroutine that waits (see runInline). At any time one of these goroutines runs and all
// others are parked, each in some slot: see package stack. To switch to a goroutine is to park in the slot in which it is parked.
//
// The field running of the run says whose turn it is: that of a coroutine or, when it is nil, the loop's. A goroutine that is resumed
// when it is not its turn switches to the one whose turn it is. That happens in two cases: a worker has ended, which resumes the
// goroutine that is parked in the slot in which the worker began; or a probe finds out where a coroutine waits.

// handBack is called when c waits and the loop has something to do before the next turn. It returns when it is the turn of c again.
func (r *run) handBack(c *task) {
	if !r.hosted && (r.inline == nil || r.inline == c) {
		r.runInline(c)
		return
	}
	c.slot = r.turnSlot()
	c.slot.Switch()
	for r.running != c {
		r.switchToTurn(&c.slot)
	}
}

// lastTurn ends the last turn of c and chooses the goroutine that goes on after its worker w. It returns the slot in which that
// goroutine is parked, and in which w is going to park; nil if w goes on itself, with another coroutine, or ends. If something has gone
// wrong, the run loop finishes c, since the await chain has to be found then, or what others were doing.
func (r *run) lastTurn(c *task, w *worker) *stack.Slot {
	r.running, w.task = nil, nil
	r.catchUp()
	if c == r.inline {
		r.inline = nil
	}
	var n *task
	switch {
	case c.outcome == returned && c.err == nil && c.stop == nil:
		r.conclude(c, nil, nil, nil)
		n = r.ahead(w)
	case c.outcome == returned && (c.err == nil || c.clean) && c.heldCleanups() == nil:
		r.finish(c)
		n = r.ahead(w)
	case c.state != running: // a callback, which waits without a stack
		c.slot = nil
		n = r.ahead(w)
	default:
		c.slot, r.unsettled = nil, c
	}
	if n != nil && n == w.task {
		return nil
	}
	if r.loop.named {
		pprof.SetGoroutineLabels(r.values.labels) // an idle worker has no coroutine's name
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

// ahead makes the next coroutine the running one and returns it, so that the caller can switch to it directly; nil if the run loop
// has something to do before. That is one switch instead of two, and saves a third of the cost of a turn. If the coroutine has not begun,
// it gets the worker w of the caller, which is free, or an idle one if w is nil.
func (r *run) ahead(w *worker) *task {
	r.endStep()
	r.letIn()
	if r.deferred.n > 0 || r.hosted || !stack.Direct {
		return nil
	}
	if r.timers.Len() > 0 && !r.nobodyReady() && r.isTimerDue() {
		return nil
	}
	if r.watch != nil {
		if r.gate != nil { // which is passed in the run loop
			return nil
		}
		r.choose()
	}
	n := r.ready.head
	if n == nil {
		return nil
	}
	if n.slot == nil {
		if n.outcome != notBegun || n.isSimple() || w == nil && r.idlers == nil {
			return nil
		}
		if w == nil {
			w = r.hireIdler()
		}
		w.give(n)
	}
	next := n.next
	r.ready.take(n)
	if next != nil {
		next.prefetch()
	}
	if r.isFollowed() {
		r.announce(n)
	}
	r.beginTurn(n)
	return n
}

// prefetch has the processor load the stack of c, which is likely to have the turn after the one that is about to begin. Among 100,000
// that take turns, a turn takes a third less with this.
func (c *task) prefetch() {
	if c.slot != nil {
		c.slot.Prefetch()
	}
}

// runInline runs the loop on the stack of c, which waits, until it is the turn of c. One coroutine of a run at a time waits like this: the
// first for which the loop has work to do before the next turn. In most programs that is the first coroutine. It saves the two switches
// with which other coroutines leave their stack and come back.
func (r *run) runInline(c *task) {
	r.inline, r.inlined = c, true
	r.finishTurn()
	for !r.turns(c) {
	}
	r.inlined = false
}

// switchTo switches to the goroutine that is parked in p, and records in *at that the caller is parked there. If switches are not direct,
// the worker there may end by a Goexit.
func (r *run) switchTo(at **stack.Slot, p *stack.Slot) {
	*at = p
	if stack.Direct {
		p.Switch()
	} else {
		p.SwitchOrExit()
	}
}

// switchToTurn switches to the goroutine whose turn it is. The caller was parked in *at and has been resumed when it was not its turn. If
// that was for a probe, it fills the probe and switches back.
func (r *run) switchToTurn(at **stack.Slot) {
	if r.probe != nil {
		r.probe.take()
		(*at).Switch()
		return
	}
	r.switchTo(at, r.turnSlot())
}

// turnSlot returns the slot in which the goroutine is parked whose turn it is.
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
