package tinyio

import (
	"cmp"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio/internal/stack"
	"github.com/tinyio-go/tinyio/internal/timers"
)

// Void is the value of a coroutine that has none.
type Void = struct{}

// A Coro is a coroutine: a function that can wait without blocking others, as a value. It runs once, on the first loop
// on which it is awaited, gathered, spawned or run, and keeps its result; whoever awaits it, as often and as late as
// they like, gets that. Make one with [New], [Do], [RunInThread] or [FromCallback].
//
// A Coro that nobody wants never runs, and costs nothing but its memory.
type Coro[T any] struct {
	c     task
	value T
	fn    func(co *Co) (T, error) // nil once it has been called, and of a callback
}

// An Awaitable is a coroutine of any type: every *Coro[T] is one, and nothing else.
type Awaitable interface{ awaitable() *task }

func (c *Coro[T]) awaitable() *task {
	if c == nil {
		return nil
	}
	return &c.c
}

// New returns a coroutine that runs fn. An error that fn returns crashes the loop, see [Run].
//
// fn is given its [Co], through which it waits; the handle is good for that function and those that it calls, on the
// same goroutine, until fn returns. It panics if fn is nil.
func New[T any](fn func(co *Co) (T, error)) *Coro[T] {
	if fn == nil {
		panic("tinyio: New: the function is nil; a coroutine needs one to run")
	}
	c := &Coro[T]{fn: fn}
	c.c.init(c, reflect.ValueOf(fn).Pointer())
	return c
}

// Do is [New] for a function without a value.
func Do(fn func(co *Co) error) *Coro[Void] {
	if fn == nil {
		panic("tinyio: Do: the function is nil; a coroutine needs one to run")
	}
	c := &Coro[Void]{fn: func(co *Co) (Void, error) { return Void{}, fn(co) }}
	c.c.init(c, reflect.ValueOf(fn).Pointer())
	return c
}

// Named gives c a name for traces and messages and returns c. The default is the name of its function. It must be
// called before c is started.
func (c *Coro[T]) Named(name string) *Coro[T] {
	if c == nil || c.c.body == nil {
		panic("tinyio: Named: the coroutine is nil or zero; make it with New")
	}
	if c.c.state != fresh {
		panic("tinyio: Named: coroutine " + c.c.describe() + " has started already; name it where it is made")
	}
	c.c.more().name = name
	return c
}

// Await waits until c has finished and returns its result. A fresh coroutine is started: it goes to the back of the queue
// of ready coroutines. Await always suspends, for a turn if c has finished already.
//
// The error is, most of the time, that of the coroutine that awaits: it has been cancelled or halted meanwhile. For an error
// of c cancels everybody in its crash domain, so that hardly anybody is left to be told. Those who are get it as c returned
// it: who awaits a coroutine that failed in an earlier run, or inside an [Isolate], or from inside a [Co.Shield]. If c waits
// for the caller, directly or not, Await returns a [*CycleError] instead of waiting. A coroutine that belongs to another
// loop can be awaited once it has finished; before that, awaiting it is an error.
func (c *Coro[T]) Await(co *Co) (T, error) {
	if err := co.await("Await", c.awaitable()); err != nil {
		return c.result(err)
	}
	return c.value, c.c.err
}

// result is what an interrupted wait for c returns: err, and the value beside it if c has finished all the same.
func (c *Coro[T]) result(err error) (v T, _ error) {
	if c.c.finished.Load() && c.c.err == nil {
		v = c.value
	}
	return v, err
}

// Value returns the value of a coroutine that has finished, which is what [Co.Wait] is followed by. It panics if c has
// not finished, or has finished with an error. It may be called from any goroutine.
func (c *Coro[T]) Value() T {
	switch {
	case c == nil || c.c.body == nil:
		panic("tinyio: Value: the coroutine is nil or zero; make it with New")
	case !c.c.finished.Load():
		panic("tinyio: Value: coroutine " + c.c.describe() + " has not finished; await it first")
	case c.c.err != nil:
		panic("tinyio: Value: coroutine " + c.c.describe() + " has no value, it failed: " + c.c.err.Error() +
			"; use Await, which returns the error")
	}
	return c.value
}

// call runs the function of c to its end, or, of a callback, its start.
func (c *Coro[T]) call(co *Co) (err error) {
	fn := c.fn
	if fn == nil {
		c.callBegin()
		return nil
	}
	c.fn = nil // what it holds on to is not needed once it has returned
	c.value, err = fn(co)
	return err
}

// skip lets go of the function, which is not going to be called.
func (c *Coro[T]) skip() { c.fn = nil }

// Gather waits until all of cs have finished and returns their values, in the order of cs. Fresh ones are started, in that
// order. One may be listed twice; with none, Gather is a [Co.Yield]. The error is one of those of [Coro.Await]: of
// several coroutines that had failed before, that of the first listed.
func Gather[T any](co *Co, cs ...*Coro[T]) ([]T, error) {
	c := co.enter("Gather")
	if err := co.refused(); err != nil {
		return nil, err
	}
	for _, t := range cs {
		if err := c.check("Gather", t); err != nil {
			return nil, err
		}
	}
	edges := make([]waiter, len(cs))
	for i, t := range cs {
		if err := c.edgeTo(&edges[i], "Gather", t.awaitable()); err != nil {
			return nil, err
		}
	}
	err := co.awaitAll(edges)
	values := make([]T, len(cs))
	for i, t := range cs {
		if !t.c.finished.Load() {
			return nil, err
		}
		if t.c.err != nil {
			return nil, cmp.Or(err, t.c.err)
		}
		values[i] = t.value
	}
	return values, err
}

// The states of a coroutine, and the functions that lead from one to the next:
//
//	        start            resume
//	fresh --------> ready ----------> running --.
//	                  ^  ^               |      |
//	                  |  '---makeReady---+      |
//	                  |                block    | finish
//	                wake                 |      |
//	                  |                  v      v
//	                  '-------------- waiting  done
//
// A coroutine that is stopped before its first turn goes from ready to done (neverRun).
type state uint8

const (
	fresh state = iota
	ready
	running
	waiting
	done
)

var stateNames = [...]string{"fresh", "ready", "running", "waiting", "done"}

func (s state) String() string { return stateNames[s] }

// A wait is why a coroutine is not running: what it asked for when it suspended.
type wait uint8

const (
	onNothing wait = iota // it has finished
	onTurn
	onSpawn
	onTimer
	onCoroutine
	onCompletion // the next of several coroutines
	onIsolate
	onEvent
	onPermit
	onBarrier
	onQueue
	onThread
	onCall
)

var waitNames = [...]string{"nothing", "its turn", "its turn", "a timer", "a coroutine", "one of several coroutines",
	"an isolated coroutine", "an event", "a permit", "a barrier", "a queue", "a thread or callback", "a call"}

func (w wait) String() string { return waitNames[w] }

// An outcome is how the function of a coroutine ended, if it has.
type outcome uint8

const (
	notBegun outcome = iota
	pending          // it is running, or waits, or has come back as a callback
	returned         // with err, perhaps nil
	panicked         // err is the *PanicError
	exited           // by runtime.Goexit
)

// A coroutine is the part of a [Coro] that does not depend on the type of its value.
//
// A turn goes through thousands of these, so what it needs of each, down to began, lies in one cache line, and what few
// coroutines need at all is in an annex.
type task struct {
	co       Co
	next     *task          // in the ready queue
	at       *stack.Place   // where its goroutine is parked, while its function runs
	g        atomic.Uintptr // its goroutine
	loop     atomic.Pointer[Loop]
	state    state
	wait     wait
	outcome  outcome
	hasLetGo bool // it no longer wants those that it waits for: see cancel.go
	kept     bool // it is wanted for its own sake: it was spawned, or is the first of its scope
	daemon   bool // it does not keep its scope up
	clean    bool // it was stopped, and its error says only that

	stop     *reason // what it is stopped for, nil if it is not
	finished atomic.Bool
	timer    timers.Timer
	unmet    int32  // how many coroutines it still waits for before it wakes
	wanted   int32  // who needs it to go on: see the invariants of Loop
	depth    int32  // greater than that of whoever waits for it
	answer   uint32 // what came of a wait; see who wakes it
	scope    *scope
	before   *task // in the list of its scope
	after    *task
	awaiters waitList
	one      [1]waiter // its edge, when it waits for one coroutine or stands in one line
	err      error     // its result; while it waits, what the wait is going to fail with
	body     body
	entry    uintptr // the address of its function
	ctx      atomic.Pointer[coContext]
	rare     atomic.Pointer[annex]
}

// An annex is what only some coroutines need.
type annex struct {
	name     string
	edges    []waiter      // when it waits for several coroutines
	inner    *scope        // when it isolates
	race     *race         // when it races
	halting  *reason       // when it stops another one
	limit    time.Duration // of a Timeout
	told     []*reason     // besides stop, what it was told to stop for
	shield   *shield       // the innermost that it is in
	inside   shielded      // its place among those who were started in the same Shield
	kin      *kinship      // its own, if it has spawned others inside a scope
	starter  *kinship      // of who has spawned it there
	callback callback
	call     interruptible // that it waits for
	number   ID            // from 1, when the loop is watched
	attempts int           // to suspend, since it was stopped
}

// more returns the annex of c.
func (c *task) more() *annex {
	if c.annex() == nil {
		c.rare.Store(new(annex))
	}
	return c.annex()
}

// annex is the annex of c, nil if it has none. Whoever meets a coroutine of another loop may want the name in it.
func (c *task) annex() *annex { return c.rare.Load() }

// shield is the innermost Shield that c is in, and base the one in which it was started.
func (c *task) shield() *shield {
	if c.annex() == nil {
		return nil
	}
	return c.annex().shield
}

// starter is the kinship of who has spawned c.
func (c *task) starter() *kinship {
	if c.annex() == nil {
		return nil
	}
	return c.annex().starter
}

func (c *task) base() *shield { return c.co.shield }

// told is what c was told to stop for, besides what it is stopped for.
func (c *task) told() []*reason {
	if c.annex() == nil {
		return nil
	}
	return c.annex().told
}

// attempts counts how often c has tried to go on, since it was stopped.
func (c *task) attempts() int {
	if c.annex() == nil {
		return 0
	}
	return c.annex().attempts
}

// A body is the [Coro] around a coroutine.
type body interface {
	Awaitable
	call(co *Co) error
	comeBack() // the last turn of what waits without a stack
	skip()     // it is not going to be called
}

func (c *task) init(b body, entry uintptr) {
	c.body, c.entry, c.co.c = b, entry, c
	c.one[0].c, c.awaiters.owner = c, c
}

// execute calls the function, on w, and takes down how it ended.
func (c *task) execute(w *worker) {
	c.g.Store(w.id)
	c.setLabels()
	c.outcome = exited // unless it comes to say otherwise
	defer c.caught()
	if w.run.watched {
		w.run.report()
	}
	err := c.body.call(&c.co)
	if c.state != running { // a callback, which waits without a stack from here on
		c.outcome = pending
		return
	}
	c.err, c.outcome, c.wait = err, returned, onNothing
}

// caught finds out how the function ended if it did not return.
func (c *task) caught() {
	if c.outcome != exited {
		return
	}
	how := errExited
	if p := recover(); p != nil {
		how = threadPanic{newPanicError(p, debug.Stack())}
	}
	if c.state == waiting && !c.annex().callback.endAbruptly(how) {
		c.outcome = pending
		return
	}
	c.state = running
	c.endWith(how)
}

// run is the run that c belongs to: of the loop that it is on, the current one or the last.
func (c *task) run() *run { return c.loop.Load().run }

// claim makes c belong to l, unless it belongs to another loop.
func (c *task) claim(l *Loop) error {
	if c.loop.CompareAndSwap(nil, l) || c.loop.Load() == l {
		return nil
	}
	return &foreignError{c.describe()}
}

// edges are the places in which c waits.
func (c *task) edges() []waiter {
	if c.annex() != nil && c.annex().edges != nil {
		return c.annex().edges
	}
	return c.one[:]
}

// waitsForSeveral reports that c waits for coroutines and has edges to several of them.
func (c *task) waitsForSeveral() bool { return c.annex() != nil && c.annex().edges != nil }

// label is the name of c.
func (c *task) label() string {
	if c.annex() != nil && c.annex().name != "" {
		return c.annex().name
	}
	if f := runtime.FuncForPC(c.entry); f != nil {
		return f.Name()
	}
	return "unnamed"
}

// A waitList is a line of waiters, first come, first served.
type waitList struct {
	head, tail *waiter
	owner      *task // of a coroutine's awaiters
	length     int
}

// A waiter is a place in a line: an edge, when the line is the awaiters of a coroutine.
type waiter struct {
	c          *task
	line       *waitList // nil when it stands in none
	next, prev *waiter
	group      *collector // of a coroutine that waits for any of several
}

// standIn suspends the coroutine until it is granted what those in line wait for.
func (co *Co) standIn(line *waitList, w wait) error {
	co.c.run().asked.line = line
	return co.suspend(w)
}

// grant gives the owner of w, which has left its line, what it was waiting for. It stands, also if the owner is stopped
// before its turn.
func (w *waiter) grant(answer uint32) {
	w.c.answer = answer
	r := w.c.run()
	r.wake(w.c)
	r.report()
}

func (l *waitList) push(w *waiter) {
	l.length++
	w.line, w.next, w.prev = l, nil, l.tail
	if l.tail != nil {
		l.tail.next = w
	} else {
		l.head = w
	}
	l.tail = w
}

func (l *waitList) pop() *waiter {
	w := l.head
	if w != nil {
		w.leave()
	}
	return w
}

// leave takes w out of its line, wherever it stands in it.
func (w *waiter) leave() {
	l := w.line
	if l == nil {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.tail = w.prev
	}
	l.length--
	w.line, w.next, w.prev = nil, nil, nil
}
