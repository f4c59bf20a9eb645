package tinyio

import "github.com/tinyio-go/tinyio/hook"

// What coroutines wait for. How a wait begins is in the function that users call. All else that differs between kinds of waits is in the table
// waits. To add a kind, add a constant, a row of the table, and a file with the functions that users call: see docs/design/adding-a-wait.md.

// A waitKind is what a coroutine waits for.
type waitKind uint8

const (
	onNothing waitKind = iota // it has finished
	onTurn
	onTimer
	onTask
	onAny    // the next of several coroutines
	onScopes // of an Isolate or a First
	onEvent
	onPermit
	onBarrier
	onQueue
	onThread // or a callback; the coroutine has no stack meanwhile
	onCall
	waitKinds
)

// A waitRow describes a kind of wait. Its functions are called between two turns, by the run loop or on the stack of a coroutine that waits.
type waitRow struct {
	kind hook.Wait // what errors and tools call it

	// begin makes c wait for what it has asked for, or wakes c if that is there already. It is nil if the function that users call does that
	// itself: it is for waits whose begin takes much stack (see suspendWidely).
	begin func(r *run, c *task)
	// cancel ends the wait of c, which may not wait, or makes it end soon.
	cancel func(r *run, c *task)
	// expire ends the wait because its time limit has passed, and reports whether c has to be woken. It is nil if the kind has no limit.
	expire func(r *run, c *task) (wake bool)
	// targets returns a cursor over the coroutines that c waits for. It is nil if the kind waits for no coroutines.
	targets func(c *task) cursor
	// line says that c stands in one line, with the waiter c.one[0].
	line bool
}

// waits is the table. It is filled in by init, because its functions refer to it.
var waits [waitKinds]waitRow

func init() {
	wake := (*run).wake
	leaveLine := func(r *run, c *task) {
		c.one[0].remove()
		r.wake(c)
	}
	waits = [waitKinds]waitRow{
		onNothing: {kind: hook.Nothing, begin: (*run).finish},
		onTurn:    {kind: hook.Turn},
		onTimer:   {kind: hook.Timer, cancel: wake, expire: expired},
		onTask:    {kind: hook.Coroutine, begin: (*run).join, cancel: (*run).waitForStopping, expire: (*run).giveUp, targets: edgeTargets},
		onAny:     {kind: hook.AnyCoroutine, begin: (*run).joinAny, cancel: (*run).waitForStopping, targets: edgeTargets},
		onScopes:  {kind: hook.Domain, begin: (*run).beginScopes, cancel: nothingToDo, targets: memberTargets},
		onEvent:   {kind: hook.Event, cancel: leaveLine, expire: lineExpired, line: true},
		onPermit:  {kind: hook.Permit, cancel: leaveLine, line: true},
		onBarrier: {kind: hook.Barrier, cancel: leaveLine, line: true},
		onQueue:   {kind: hook.Queue, cancel: leaveLine, expire: lineExpired, line: true},
		onThread:  {kind: hook.Outside, cancel: cancelCallback},
		onCall:    {kind: hook.Call, cancel: interruptCall},
	}
}

func (w waitKind) String() string { return waits[w].kind.String() }

// nothingToDo is the cancel of a wait that ends without it.
func nothingToDo(*run, *task) {}

// expired is the expire of Sleep, which waits for nothing but the time.
func expired(*run, *task) (wake bool) { return true }

// lineExpired takes c out of its line: it has not been served in time.
func lineExpired(_ *run, c *task) (wake bool) {
	c.one[0].remove()
	c.answer = outOfTime
	return true
}

// outOfTime is the answer to a wait in a line when its time limit has passed.
const outOfTime = 1<<32 - 1

// A waitList is a line of waiters, first come, first served.
type waitList struct {
	head   *waiter
	owner  *task // the coroutine whose awaiters they are; nil for other lines
	length int32
	served int32 // how many waits for permits have been served, so that a Status tells whether the line moves
}

// A waiter stands in a line for the coroutine c. If the line is the awaiters of a coroutine, the waiter is an edge of the wait graph.
type waiter struct {
	c     *task
	line  *waitList  // nil when it stands in none
	next  *waiter    // nil for the last one
	prev  *waiter    // for the first one, the last: so a waitList, which every coroutine has, is a word shorter
	group *collector // of c, if it waits for any of several
}

// maxServed is how many waits that can be served at once make a coroutine yield (R1). Otherwise one that is always served would keep the
// others from running.
var maxServed = 64 // a variable for the sake of tests

// letOthers is called before a wait that can be served at once. It yields if it is the maxServed-th call in this turn. So the caller has to
// look again whether the wait can be served.
func (co *Co) letOthers() error {
	r := co.c.run()
	if r.served++; r.served < maxServed {
		return nil
	}
	r.served = 0 // a new turn does that too, but Yield may return without one
	return co.Yield()
}

// grant gives the coroutine of w, which has left its line, what it was waiting for. What is granted stands, even if the coroutine
// is stopped before its turn.
func (w *waiter) grant(answer uint32) {
	w.c.answer = answer
	r := w.c.run()
	r.takeIn() // what has come before
	r.wake(w.c)
	r.notify()
}

func (l *waitList) push(w *waiter) {
	l.length++
	if first := l.head; first != nil {
		w.line, w.prev, first.prev.next, first.prev = l, first.prev, w, w
	} else {
		w.line, w.prev, l.head = l, w, w
	}
}

func (l *waitList) pop() *waiter {
	w := l.head
	if w != nil {
		if l.head = w.next; l.head != nil {
			l.head.prev = w.prev
		}
		l.length--
		w.line, w.next, w.prev = nil, nil, nil
	}
	return w
}

// popAll empties the line and returns its first waiter, which leave turns into the next one. Nobody may join or leave the line before the
// last of them has left.
func (l *waitList) popAll() *waiter {
	w := l.head
	l.head, l.length = nil, 0
	return w
}

// leave takes w, which popAll or leave has returned, out of its line, and returns the next one.
func (w *waiter) leave() *waiter {
	next := w.next
	w.line, w.next, w.prev = nil, nil, nil
	return next
}

// remove takes w out of its line, wherever it stands; if it stands in none, remove does nothing.
func (w *waiter) remove() {
	l := w.line
	switch {
	case l == nil:
		return
	case l.head == w:
		l.pop()
		return
	case w.next != nil:
		w.next.prev = w.prev
	default:
		l.head.prev = w.prev
	}
	w.prev.next = w.next
	l.length--
	w.line, w.next, w.prev = nil, nil, nil
}
