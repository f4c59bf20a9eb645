package tinyio

import "github.com/tinyio-go/tinyio/hook"

// What coroutines wait for. All that differs from one kind of wait to another is in its row of the table. To add a kind is to add a
// constant, a row, and the file with what its users call.

// A waitKind is what a coroutine waits for.
type waitKind uint8

const (
	onNothing waitKind = iota // it has finished
	onTurn
	onSpawn
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

// A waitRow is what is to be known of a kind of wait. The functions are called on the run loop, or on the stack of the coroutine that
// waits, between two turns.
type waitRow struct {
	kind hook.Wait // what errors and tools call it

	// begin makes c wait for what it has asked for, or wakes it if that is there already.
	begin func(r *run, c *task)
	// cancel ends the wait of c, which is exposed, or sees to it that it ends before long.
	cancel func(r *run, c *task)
	// expire ends the wait because its time limit has passed, and reports whether c is ready now. It is nil if there are no limits.
	expire func(r *run, c *task) (ready bool)
	// tasks goes through the coroutines that c waits for. It is nil if it waits for none.
	tasks func(c *task) cursor
	// line says that c stands in one line of waiters, by the first of its edges.
	line bool
}

// waits is the table. It is filled in when the program starts, because its functions lead back to it.
var waits [waitKinds]waitRow

func init() {
	wake := (*run).wake
	leave := func(r *run, c *task) {
		c.one[0].remove()
		r.wake(c)
	}
	waits = [waitKinds]waitRow{
		onNothing: {kind: hook.Nothing, begin: (*run).finish},
		onTurn:    {kind: hook.Turn, begin: (*run).makeReady},
		onSpawn:   {kind: hook.Turn, begin: (*run).spawn},
		onTimer:   {kind: hook.Timer, begin: waitsAlready, cancel: wake, expire: expired},
		onTask:    {kind: hook.Coroutine, begin: (*run).joinAll, cancel: (*run).waitForStopping, expire: (*run).giveUp, tasks: edgeTasks},
		onAny:     {kind: hook.AnyCoroutine, begin: (*run).joinAny, cancel: (*run).waitForStopping, tasks: edgeTasks},
		onScopes:  {kind: hook.Domain, begin: (*run).enclose, cancel: waitsAlready, tasks: memberTasks},
		onEvent:   {kind: hook.Event, begin: (*run).joinEvent, cancel: leave, expire: lineExpired, line: true},
		onPermit:  {kind: hook.Permit, begin: (*run).standInLine, cancel: leave, line: true},
		onBarrier: {kind: hook.Barrier, begin: (*run).standInLine, cancel: leave, line: true},
		onQueue:   {kind: hook.Queue, begin: (*run).standInLine, cancel: leave, expire: lineExpired, line: true},
		onThread:  {kind: hook.Outside, begin: waitsAlready, cancel: cancelCallback},
		onCall:    {kind: hook.Call, begin: waitsAlready, cancel: interruptCall},
	}
}

func (w waitKind) String() string { return waits[w].kind.String() }

// waitsAlready is for a wait that has begun before the turn ended, and for one that ends by itself.
func waitsAlready(*run, *task) {}

// expired is for a wait of which the end of the time limit is what is waited for.
func expired(*run, *task) (ready bool) { return true }

// lineExpired takes c out of its line: it has not been served in time.
func lineExpired(_ *run, c *task) (ready bool) {
	c.one[0].remove()
	c.answer = outOfTime
	return true
}

// outOfTime is the answer to a wait in a line whose time limit has passed.
const outOfTime = 1<<32 - 1

// A waitList is a line of waiters, first come, first served.
type waitList struct {
	head   *waiter
	owner  *task // of a coroutine's awaiters
	length int
}

// A waiter stands in a line. It is an edge, if the line is the awaiters of a coroutine.
type waiter struct {
	c     *task
	line  *waitList  // nil when it stands in none
	next  *waiter    // nil of the last one
	prev  *waiter    // of the first one, the last: so a line, of which each coroutine has one, is a word smaller
	group *collector // of a coroutine that waits for any of several
}

// standIn suspends the coroutine until it is granted what those in line wait for.
func (co *Co) standIn(line *waitList, w waitKind) error {
	co.c.run().asked.line = line
	return co.suspend(w)
}

// maxServed is how many waits of one turn may be served at once (R1). A coroutine that is always served gives the others their turn after so
// many.
var maxServed = 64 // a variable for the sake of tests

// letOthers comes before a wait that is going to be served at once. It gives the others their turn first, if that has happened too often in this
// one. By then it may be that there is something to wait for.
func (co *Co) letOthers() error {
	r := co.c.run()
	if r.served++; r.served < maxServed {
		return nil
	}
	r.served = 0 // if nobody else is ready, Yield begins no other turn
	return co.Yield()
}

// grant gives the owner of w, which has left its line, what it was waiting for. It stands, also if the owner is stopped
// before its turn.
func (w *waiter) grant(answer uint32) {
	w.c.answer = answer
	r := w.c.run()
	r.wake(w.c)
	r.notify()
}

func (l *waitList) push(w *waiter) {
	l.length++
	w.line = l
	if first := l.head; first != nil {
		w.prev, first.prev.next, first.prev = first.prev, w, w
	} else {
		w.prev, l.head = w, w
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

// remove takes w out of its line, wherever it stands in it.
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

// standInLine makes c wait in the line that it has asked for.
func (r *run) standInLine(c *task) { r.asked.line.push(&c.one[0]) }
