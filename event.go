package tinyio

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// An Event is a flag that coroutines can wait for. The zero Event is clear and ready to use. Set, Clear and IsSet may be
// called from any goroutine; they do not suspend. An Event must not be copied.
type Event struct {
	changes atomic.Uint32              // how often it was set or cleared: odd when it is set
	line    atomic.Pointer[eventLine]  // the line of one loop: few events are used on more
	others  atomic.Pointer[otherLines] // the lines of other loops
}

// An eventLine is the line of those coroutines of one loop that wait for an event. Only the loop touches waiters. A coroutine of the loop
// that sets the event wakes them itself. Any other goroutine posts the eventLine, which is a message, to the loop.
type eventLine struct {
	message
	event   *Event
	loop    *Loop
	posted  atomic.Bool // the message has been posted and has not arrived
	dropped atomic.Bool // the event may no longer have the line: see isCurrent
	waiters waitList
	number  uint32   // the Keeper's for the event; 0 without a gate
	seen    uint32   // with a gate: how many changes the coroutines of the loop know of
	_       [48]byte // fills two cache lines: two loops whose lines were in the same one would take turns with it, and take twice as long
}

// IsSet reports whether the event is set.
func (e *Event) IsSet() bool {
	if r := gatedRunOfCaller(); r != nil {
		return e.lineOf(r.loop).look(r)&1 != 0
	}
	return e.changes.Load()&1 != 0
}

// Set sets the event. All coroutines that wait for it become ready, in the order in which they began to wait, even if the event
// is cleared before their turn. A Set happens before the return of a Wait that it ends, in the sense of the Go memory model.
func (e *Event) Set() {
	if r := gatedRunOfCaller(); r != nil {
		if !e.lineOf(r.loop).change(r, 1) {
			return
		}
	} else if !e.change(1) {
		return
	}
	if line := e.line.Load(); line != nil {
		line.set()
	}
	if o := e.others.Load(); o != nil {
		for _, line := range o.lines.Range {
			line.(*eventLine).set()
		}
	}
}

// set wakes the waiters of line, because the event has been set.
func (line *eventLine) set() {
	if r := line.loop.runOfCaller(); r != nil {
		r.takeIn() // messages that were posted before make coroutines ready first
		line.wake(r)
		r.notify()
	} else {
		line.post()
	}
}

// runOfCaller returns the run of l if the caller is the coroutine whose turn it is on l, and nil otherwise. It may be called from any
// goroutine.
func (l *Loop) runOfCaller() *run {
	c, g := l.counters.running.Load(), stack.ID()
	if c == nil || c.g.Load() != g || g == 0 { // if it is 0, goroutines cannot be told apart
		return nil
	}
	if l.run.running != c { // the loop runs on the stack of c (see runInline), and has called code of the user's
		return nil
	}
	return l.run
}

// post posts line to the loop, unless line is on its way already, or the loop is not running. If the inbox is closed, post clears posted and
// looks once more. Meanwhile a run may have begun, and another goroutine may have found posted set and left the matter to this call.
func (line *eventLine) post() {
	for line.posted.CompareAndSwap(false, true) && !line.loop.inbox.post(&line.message) {
		line.posted.Store(false)
		if line.loop.inbox.isClosed() {
			return
		}
	}
}

// Clear clears the event.
func (e *Event) Clear() {
	if r := gatedRunOfCaller(); r != nil {
		e.lineOf(r.loop).change(r, 0)
	} else {
		e.change(0)
	}
}

// change sets the event if to is 1, and clears it if to is 0. It reports whether that has changed the event.
func (e *Event) change(to uint32) (changed bool) {
	for {
		n := e.changes.Load()
		if n&1 == to {
			return false
		}
		if e.changes.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Wait suspends the coroutine until the event is set, or for a turn if it is set already.
func (e *Event) Wait(co *Co) error {
	_, err := e.wait(co, "Event.Wait", 0, false)
	return err
}

// WaitFor is [Event.Wait] for at most d. It reports whether the event was set; running out of time is not an error.
func (e *Event) WaitFor(co *Co, d time.Duration) (set bool, err error) {
	return e.wait(co, "Event.WaitFor", d, true)
}

func (e *Event) wait(co *Co, op string, d time.Duration, limited bool) (set bool, err error) {
	if e == nil {
		panic("tinyio: " + op + ": the Event is nil; use a pointer to a zero Event")
	}
	c := co.enter(op)
	if err := c.refused(co); err != nil {
		return false, err
	}
	r := c.run()
	if limited {
		c.setLimit(d)
	}
	line := e.lineOf(r.loop)
	r.endTurn(c, onEvent)
	r.joinEvent(c, line)
	if p := r.leave(c); p != nil { // suspend
		p.Switch()
		r.sendOn(c)
	}
	if err := co.resumed(r); err != nil {
		return false, err
	}
	return c.answer != outOfTime, nil
}

// otherLines are the lines of an event except that in its field line.
type otherLines struct {
	lines sync.Map     // by loop: from *Loop to *eventLine
	added atomic.Int64 // how many have been added since the last drop
	kept  atomic.Int64 // how many the last drop has left
}

// lineOf returns the line of l, and adds one if there is none. It is called only on the loop l.
func (e *Event) lineOf(l *Loop) *eventLine {
	if line := e.line.Load(); line != nil && line.loop == l && line.isCurrent() {
		return line
	}
	if o := e.others.Load(); o != nil {
		if line, ok := o.lines.Load(l); ok && line.(*eventLine).isCurrent() {
			return line.(*eventLine)
		}
	}
	return e.addLine(l)
}

// isCurrent reports whether the event still has line. A line with waiters is always current: it was when they began to wait, and while
// its loop runs it is not dropped.
func (line *eventLine) isCurrent() bool { return line.waiters.head != nil || !line.dropped.Load() }

// addLine adds a line for l.
func (e *Event) addLine(l *Loop) *eventLine {
	line := &eventLine{event: e, loop: l}
	line.to = line
	if r := l.run; r != nil && r.gate != nil {
		line.number = r.gate.Event(line)
	}
	if old := e.line.Load(); old != nil && !old.drop() || !e.line.CompareAndSwap(old, line) {
		if e.others.Load() == nil {
			e.others.CompareAndSwap(nil, new(otherLines))
		}
		e.others.Load().lines.Store(l, line)
	}
	if o := e.others.Load(); o != nil && o.added.Add(1) > o.kept.Load() {
		o.drop()
	}
	return line
}

// drop drops the lines of loops that are not running. It is called when more lines have been added than the last call has left, so
// that its cost is in proportion to the lines added.
func (o *otherLines) drop() {
	kept := int64(0)
	for l, line := range o.lines.Range {
		if line.(*eventLine).drop() {
			o.lines.CompareAndDelete(l, line)
		} else {
			kept++
		}
	}
	o.kept.Store(kept)
	o.added.Store(0)
}

// drop drops line if its loop is not running, and reports whether it has. If the loop begins to run at the same moment, either the loop
// sees that line is dropped, or drop sees that the loop is running.
func (line *eventLine) drop() bool {
	if line.loop.active.Load() {
		return false
	}
	line.dropped.Store(true)
	return !line.loop.active.Load()
}

// joinEvent makes c wait in line until the event is set, or wakes c if it is set.
func (r *run) joinEvent(c *task, line *eventLine) {
	c.answer = line.look(r)
	if c.answer&1 == 0 {
		line.waiters.push(&c.one[0])
		if r.gate != nil { // no message enters during a turn, so that of a Set after the look is still to come
			return
		}
		// If a goroutine sets the event after this, c is in the line when its message arrives. If one has set it before, its
		// message may have been taken in already: so look again.
		if line.event.changes.Load() == c.answer {
			return
		}
		c.one[0].remove()
	}
	c.answer = 0
	r.wake(c)
}

func (line *eventLine) arrive(r *run) {
	line.posted.Store(false)
	line.wake(r)
}

// wake wakes those waiters that began to wait before the event was set.
func (line *eventLine) wake(r *run) {
	now := line.look(r)
	var next *waiter
	for w := line.waiters.head; w != nil; w = next {
		next = w.next
		if w.c.answer != now {
			w.remove()
			r.wake(w.c)
		}
	}
}

// look returns how often the event was set or cleared. With a gate, that is as far as the coroutines of r, the run of the line, know.
func (line *eventLine) look(r *run) uint32 {
	if r.gate == nil {
		return line.event.changes.Load()
	}
	return line.lookThroughGate(r)
}

// lookThroughGate is look for a run with a gate.
func (line *eventLine) lookThroughGate(r *run) uint32 {
	r.gate.Read(&line.seen, func() bool {
		n := line.event.changes.Load()
		if n == line.seen {
			return false
		}
		line.seen = n
		return true
	})
	return line.seen
}

// change is the change of the event for a coroutine of r, which has a gate. In a replay it counts even if another goroutine, of which the
// coroutines do not know, has changed the event itself first.
func (line *eventLine) change(r *run, to uint32) (changed bool) {
	for {
		n := line.look(r)
		if n&1 == to {
			return false
		}
		if line.event.changes.CompareAndSwap(n, n+1) || r.gate.Replays() {
			line.seen = n + 1
			return true
		}
	}
}
