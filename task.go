package tinyio

import (
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tinyio-go/tinyio/internal/publish"
	"github.com/tinyio-go/tinyio/internal/stack"
	"github.com/tinyio-go/tinyio/internal/timers"
)

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

// An outcome is how the function of a coroutine ended, if it has.
type outcome uint8

const (
	notBegun outcome = iota
	pending          // it is running, or waits, or has come back as a callback
	returned         // with err, perhaps nil
	panicked         // err is the *PanicError
	exited           // by runtime.Goexit
)

// A task is the part of a [Coro] that does not depend on the type of its value.
//
// A turn goes through thousands of these, so what it needs of each, down to began, lies in one cache line, and what few
// coroutines need at all is in its coldFields.
type task struct {
	co           Co
	next         *task                 // in the ready queue
	slot         *stack.Slot           // where its goroutine is parked, while its function runs
	g            publish.Word          // its goroutine
	loop         publish.Pointer[Loop] // set by the loop that has claimed it
	state        state
	wait         waitKind
	outcome      outcome
	droppedWants bool // it no longer wants those that it waits for: see cancel.go
	spawned      bool // it is wanted for its own sake: it was spawned
	daemon       bool // it does not keep its scope up
	side         side // where a search for cycles has met it
	clean        bool // it was stopped, and its error says only that

	stop        *reason       // what it is stopped for, nil if it is not
	phase       atomic.Uint32 // unclaimed, claimed, finished: all that other loops may know
	timer       timers.Timer
	unmet       int32  // how many coroutines, or scopes, it still waits for before it wakes
	wanted      int32  // how many need it to go on: see the invariants in run.go
	level       int32  // not lower than that of whoever waits for it: see cycle.go
	answer      uint32 // what came of a wait; see who wakes it
	number      ID     // from 1, if it has one: see run.id
	scope       *scope
	before      *task // in the list of its scope
	after       *task
	awaiters    waitList
	one         [1]waiter // its edge, when it waits for one coroutine or stands in one line
	err         error     // its result; while it waits, what the wait is going to fail with
	body        body
	entry       uintptr                    // the address of its function
	ctx         publish.Pointer[coContext] // set when it starts, and swapped from then on
	coldPointer atomic.Pointer[coldFields]
}

// coldFields are what only some coroutines need.
type coldFields struct {
	name     string
	edges    []waiter      // when it waits for several coroutines
	inner    *scope        // when it isolates
	race     *race         // when it races
	halting  *reason       // when it stops another one
	limit    time.Duration // of a Timeout
	weight   int           // how many permits it waits for, if that is more than one
	pending  []*reason     // reasons besides stop: Shields keep them away, or they came later
	shield   *shield       // the innermost that it is in
	inside   shielded      // its entry in the ring of those who were started in the same Shield
	kin      *kinship      // its own, if it has spawned others inside a scope
	starter  *kinship      // of who has spawned it there
	callback callback
	call     interruptible // that it waits for
	maps     bool          // it is a MapInPool: its edges are to the elements
	attempts int           // to suspend, since it was stopped
}

// addCold returns the coldFields of c, which it gets if it has none.
func (c *task) addCold() *coldFields {
	if c.cold() == nil {
		c.coldPointer.Store(new(coldFields))
	}
	return c.cold()
}

// cold returns the coldFields of c, nil if it has none. Another loop may read the name in them.
func (c *task) cold() *coldFields { return c.coldPointer.Load() }

// shield is the innermost Shield that c is in, and base the one in which it was started.
func (c *task) shield() *shield {
	if c.cold() == nil {
		return nil
	}
	return c.cold().shield
}

// starter is the kinship of who has spawned c.
func (c *task) starter() *kinship {
	if c.cold() == nil {
		return nil
	}
	return c.cold().starter
}

func (c *task) base() *shield { return c.co.shield }

// pendingReasons are the reasons to stop c besides the one that it is stopped for.
func (c *task) pendingReasons() []*reason {
	if c.cold() == nil {
		return nil
	}
	return c.cold().pending
}

// attempts counts how often c has tried to go on, since it was stopped.
func (c *task) attempts() int {
	if c.cold() == nil {
		return 0
	}
	return c.cold().attempts
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

// execute calls the function of c, on w, and records how it ended if it returns.
func (c *task) execute(w *worker) {
	c.g.Set(w.id)
	pprof.SetGoroutineLabels(c.labels(c.ctx.Load()))
	c.outcome = exited // unless it comes to say otherwise
	if w.run.watched {
		w.run.notify()
	}
	err := c.body.call(&c.co)
	if w.run.loop.named {
		c.dropName()
	}
	if c.state != running { // a callback, which waits without a stack from here on
		c.outcome = pending
		return
	}
	if err != nil {
		// While this still counts as an exit: a method of the error may call runtime.Goexit.
		c.clean = c.stop != nil && c.stop.explains(err)
		c.err = err
	}
	c.outcome, c.wait = returned, onNothing
}

// endedEarly records that the function of c has panicked with p or, if that is nil, has called [runtime.Goexit]. It is called where
// that unwinds the stack, on which there is still what led to it.
func (c *task) endedEarly(p any) {
	how := errExited
	if p != nil {
		how = threadPanic{newPanicError(p, debug.Stack())}
		failing(c, how)
	}
	if c.state != running && !c.cold().callback.endAbruptly(how) { // a callback, whose done was called before
		c.outcome = pending
		return
	}
	if c.state == ready { // it has come back already: it stays in the queue, and is passed over there
		c.run().loop.counters.ready.Add(-1)
	}
	c.state = running
	c.endWith(how)
}

// run is the run that c belongs to: of the loop that it is on, the current one or the last.
func (c *task) run() *run { return c.loop.Load().run }

// The phases of a coroutine. A loop claims one before it starts it.
const (
	unclaimed = iota
	claimed
	finished
)

// hasFinished may be called from any goroutine.
func (c *task) hasFinished() bool { return c.phase.Load() == finished }

// isClaimedBy makes c belong to l if it has belonged to no loop, and reports whether it has done so.
func (c *task) isClaimedBy(l *Loop) bool {
	if !c.phase.CompareAndSwap(unclaimed, claimed) {
		return false
	}
	c.loop.Set(l)
	return true
}

// unclaim takes isClaimedBy back.
func (c *task) unclaim() {
	c.loop.Set(nil)
	c.phase.Store(unclaimed)
}

// claim makes c belong to l, unless it belongs to another loop.
func (c *task) claim(l *Loop) error {
	if c.isClaimedBy(l) || c.loop.Load() == l {
		return nil
	}
	return foreign(c)
}

// bind is claim for one of several coroutines. Until it is started, unbind undoes it.
func (c *task) bind(l *Loop) error {
	if c.isClaimedBy(l) {
		c.side = bound
		return nil
	}
	return c.claim(l)
}

func (c *task) unbind() {
	if c.side == bound {
		c.side = nowhere
		c.unclaim()
	}
}

// edges are the waiters of c.
func (c *task) edges() []waiter {
	if c.cold() != nil && c.cold().edges != nil {
		return c.cold().edges
	}
	return c.one[:]
}

// entryOf is the address of the code of fn, which must be a function: what reflect's Pointer says of it, in a tenth of the time. A function
// value points to a closure, and that begins with the address.
func entryOf[F any](fn F) uintptr { return **(**uintptr)(unsafe.Pointer(&fn)) }

// label is the name of c.
func (c *task) label() string {
	if name := c.name(); name != "" {
		return name
	}
	if f := runtime.FuncForPC(c.entry); f != nil {
		return f.Name()
	}
	return unnamed
}

// name is the name that c was given, if it was.
func (c *task) name() string {
	if c.cold() == nil {
		return ""
	}
	return c.cold().name
}

// unnamed is the name of a coroutine whose function has none.
const unnamed = "unnamed"
