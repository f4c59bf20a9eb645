package tinyio

import (
	"runtime/pprof"
	"time"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/stack"
)

// How control passes from one goroutine to another. Coroutines run on workers. The loop runs on the driver, which is the goroutine of
// Run or of the host, or on the goroutine of a coroutine that waits (runInline). At any time one of these goroutines runs and all
// others are parked, each in a slot: see package stack. To switch to a goroutine is to park in the slot in which it is parked.
//
// To wait, a coroutine ends its turn (endTurn), stands in line for what it waits for, and leaves: its goroutine takes the next coroutine from
// the ready queue and switches to that directly (advance), unless the run loop has something to do before. Then it gives control to the loop
// (handBack).
//
// The field running of the run says whose turn it is: that of a coroutine or, when it is nil, the loop's. A goroutine that is resumed
// when it is not its turn switches to the one whose turn it is. That happens in two cases. A worker has ended, which resumes the
// goroutine that is parked in the slot in which the worker began. Or a probe is being filled: see where.

// beginTurn makes it the turn of c.
func (r *run) beginTurn(c *task) {
	k := &r.loop.counters
	k.ready.Add(-1)
	k.turns.Add(1)
	k.running.Set(c)
	r.running, c.state, r.served = c, running, 0
}

// announce records, for the observer and for Running, that the turn of c is about to begin.
func (r *run) announce(c *task) {
	if r.watch != nil {
		r.watch.crowd.chosen = nil
		r.note(hook.Resumed, c, nil)
	}
	if k := &r.loop.counters; k.asked.Load() != nil {
		k.since.Set(int64(time.Since(*k.asked.Load())))
	}
}

// isFollowed reports whether announce has to be called before each turn.
func (r *run) isFollowed() bool { return r.watch != nil || r.loop.counters.asked.Load() != nil }

// endTurn ends the turn of c, which is going to wait for w.
func (r *run) endTurn(c *task, w waitKind) {
	c.wait = w
	r.running = nil
	r.catchUp()
	if c.state == running { // otherwise it is a Call, and waits already
		c.state = waiting
		if r.watch != nil {
			r.noteSuspended(c)
		}
	}
}

// leave chooses who goes on after c, which waits or is ready. It returns the slot in which that goroutine is parked, and in which c is going
// to park. It returns nil if it is the turn of c again.
func (r *run) leave(c *task) *stack.Slot {
	switch n := r.advance(nil); {
	case n == c:
		return nil
	case n != nil:
		c.slot = n.slot
		return n.slot
	case r.expects || r.ready.head != nil:
		return r.leaveInSteps(c)
	default:
		return r.handBack(c)
	}
}

// leaveInSteps is leave if something comes before the next turn of a coroutine with a stack. It does that, if it is only to let
// others run, or to take turns that need no stack. So who waits for a thread needs the run loop only if that takes long, or something goes wrong.
func (r *run) leaveInSteps(c *task) *stack.Slot {
	for r.deferred.n == 0 && !r.hosted && !r.isFollowed() && stack.Direct {
		if n := r.ready.head; n != nil {
			if !r.takeTurnHere(n) {
				break
			}
		} else if r.expects && r.letOthersRun() {
			r.takeIn()
		} else {
			break
		}
		switch n := r.advance(nil); n {
		case c:
			return nil
		case nil:
		default:
			c.slot = n.slot
			return n.slot
		}
	}
	return r.handBack(c)
}

// takeTurnHere takes the turn of n, on the stack of the coroutine that waits, if the turn needs none. It reports whether nothing is left to be
// done before the next turn.
func (r *run) takeTurnHere(n *task) bool {
	switch {
	case n.slot != nil, n.state != ready, !n.needsNoStack(), r.loop.startThread != nil:
		return false
	case r.timers.Len() > 0 && r.turnsLeft == 0: // a timer is due
		return false
	}
	r.ready.take(n)
	r.beginTurn(n)
	r.takeTurn(n)
	if n = r.unsettled; n != nil && n.justReturned() {
		r.unsettled = nil
		r.conclude(n, nil)
	}
	return r.unsettled == nil
}

// handBack is the end of leave if the run loop has something to do before the next turn.
func (r *run) handBack(c *task) *stack.Slot {
	if !r.hosted && (r.inline == nil || r.inline == c) {
		r.runInline(c)
		return nil
	}
	c.slot = r.turnSlot()
	return c.slot
}

// sendOn is called when c has been resumed. It returns when it is the turn of c.
func (r *run) sendOn(c *task) {
	if r.running != c {
		r.sendBack(c)
	}
}

// sendBack is sendOn if it is not the turn of c: c switches to the goroutine whose turn it is. If c was resumed for a probe, c fills that
// and parks again where it was.
func (r *run) sendBack(c *task) {
	for r.running != c {
		if r.probe != nil {
			r.probe.take()
		} else {
			c.slot = r.turnSlot()
		}
		c.slot.Switch()
	}
}

// endLastTurn ends the last turn of c and chooses the goroutine that goes on after its worker w. It returns the slot in which that
// goroutine is parked, and in which w is going to park. It returns nil if w goes on itself, with another coroutine, or ends. If something
// has gone wrong, the run loop finishes c: to find the await chain, and what others were doing, it switches to other coroutines (see where).
func (r *run) endLastTurn(c *task, w *worker) *stack.Slot {
	r.running, w.task = nil, nil
	r.catchUp()
	if c == r.inline {
		r.inline = nil
	}
	var n *task
	switch {
	case c.justReturned():
		r.conclude(c, nil)
		n = r.advance(w)
	case c.endedCleanly() && c.heldCleanups() == nil:
		r.finish(c)
		n = r.advance(w)
		r.ready.head.prefetchRest()
	case c.state != running: // a callback, which waits without a stack
		c.slot = nil
		n = r.advance(w)
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

// advance makes the next coroutine the running one and returns it, so that the caller can switch to it directly. If the run loop has
// something to do before, advance returns nil. Without it a turn would take two switches, and half as much time again. If the coroutine
// has not begun, it gets w, the worker of the caller, which is free, or an idle one if w is nil.
func (r *run) advance(w *worker) *task {
	r.endStep()
	r.letIn()
	if r.deferred.n > 0 || r.hosted || !stack.Direct {
		return nil
	}
	if r.timers.Len() > 0 && !r.nobodyReady() && r.isTimerDue() {
		return nil
	}
	if r.watch != nil {
		if r.gate != nil { // the run loop passes it before each turn
			return nil
		}
		if r.watch.picker != nil {
			r.choose()
		}
	}
	n := r.ready.head
	if n == nil {
		return nil
	}
	if n.slot == nil {
		if n.needsNoStack() || w == nil && r.idlers == nil {
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
		r.prefetch(next)
	}
	if r.isFollowed() {
		r.announce(n)
	}
	r.beginTurn(n)
	return n
}

// prefetch has the processor load the stack of c, which is likely to have the turn after the one that is about to begin. Among 100,000 that
// take turns, a turn takes a third less with this.
func (r *run) prefetch(c *task) {
	if r.live() > crowded {
		c.prefetchAll()
	} else if c.slot != nil {
		c.slot.Prefetch()
	}
}

// crowded is how many live coroutines make the loop prefetch more than stacks. What fewer need is in the caches of the processor.
const crowded = 4096

// prefetchAll has the processor load all that a switch to c touches. Where that is, c and its slot say: so the slot is loaded one turn
// before, and the task two. Among 60,000 that wake in any order and end, a turn takes two fifths less with this.
func (c *task) prefetchAll() {
	if c.slot != nil {
		c.slot.PrefetchAll(c.g.Load())
	}
	if second := c.next; second != nil {
		stack.Prefetch(second.slot)
		stack.Prefetch(second.next)
	}
}

// prefetchRest is called with prefetch when a coroutine that was stopped has ended: c is likely to end as well, if it is being stopped.
func (c *task) prefetchRest() {
	if c != nil && c.slot != nil && c.stop != nil {
		c.slot.PrefetchRest(c.g.Load())
	}
}

// runInline runs the loop on the stack of c, which waits, until it is the turn of c. One coroutine of a run at a time waits like this: the
// first for which the loop has something to do before the next turn. In most programs that is the first coroutine. Its waits then take no
// switch, where those of others take two.
func (r *run) runInline(c *task) {
	r.inline, r.inlined = c, true
	r.finishTurn()
	r.turns(c)
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

// turnSlot returns the slot of the goroutine whose turn it is.
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
