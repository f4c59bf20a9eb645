package tinyio

import (
	"errors"
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
//	        start          beginTurn
//	fresh --------> ready -----------> running --.
//	                  ^  ^                |      |
//	                  |  '-----yield------+      |
//	                  |                suspend   | conclude
//	                wake                  |      |
//	                  |                   v      v
//	                  '--------------- waiting  done
//
// These are the exceptions. A wait for a turn alone (onTurn) ends as soon as it has begun, by makeReady. A coroutine that is
// stopped before its first turn goes from ready to done (endWait). One that cannot be started goes from fresh to done (refuse). A callback
// goes from running to waiting by call, and a caller of Call by call.make; if they panic or exit in that, they go back (endedEarly,
// handOver). A submission goes from fresh to waiting (do). When a run is discarded, every coroutine goes to done (discard).
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
	begun            // and has not ended: the coroutine is a callback, a thread or a submission
	returned         // with err, which may be nil
	panicked         // err is the *PanicError
	exited           // by runtime.Goexit
)

// A task is the part of a [Coro] that does not depend on the type of its value.
//
// Thousands of tasks may have their turns one after another. So the fields that a turn needs, down to stop, fit in one cache line,
// and what few coroutines need is in coldFields.
type task struct {
	co           Co
	next         *task                 // in the ready queue
	slot         *stack.Slot           // where its goroutine is parked, while its function runs
	g            publish.Word          // its goroutine
	loop         publish.Pointer[Loop] // set by the loop that has claimed it
	state        state
	wait         waitKind
	outcome      outcome
	droppedWants bool // it no longer wants those that it waits for: see dropWants
	spawned      bool // it was spawned, and so is wanted for its own sake
	daemon       bool // it does not keep its scope going
	mark         mark // of a search for cycles
	clean        bool // it was stopped, and its error says only that

	stop        *reason       // why it is being stopped; nil if it is not
	phase       publish.Phase // all that other loops may know
	timer       timers.Timer
	unmet       int32  // how many coroutines, or scopes, it still waits for before it wakes
	wanted      int32  // how many want it to go on: see the invariants in run.go
	level       int32  // not lower than the levels of those that wait for it: see cycle.go
	answer      uint32 // how a wait in a line has ended; each kind of wait has its own answers
	number      ID     // from 1, if it has one: see run.id
	scope       *scope // set before it is started if an Isolate or a First is going to start it
	before      *task  // in the list of its scope
	after       *task
	awaiters    waitList
	one         [1]waiter // its edge, when it waits for one coroutine or stands in one line
	err         error     // its result; before that, the error with which its current wait fails
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
	winner   *task         // of the First that it waits in
	halting  *reason       // when it stops another one, in Timeout or Cancel
	cleanups []failure     // of those that it has stopped, if it was stopped itself meanwhile: see takeCleanups
	limit    time.Duration // of a Timeout
	weight   int           // how many permits it waits for, if that is more than one
	pending  []*reason     // reasons besides stop: Shields keep them away, or they came later
	shield   *shield       // the innermost that it is in
	inside   shielded      // its entry in the ring of those that were started in the same Shield
	kin      *kinship      // its own, if it has spawned others inside an Isolate or a First
	starter  *kinship      // that of the coroutine that has spawned it there
	abrupt   error         // how its start or cancel function ended, if it is a callback and that panicked or exited after done was called
	call     interruptible // the call that it waits for
	maps     bool          // it is a MapInPool: its edges are to the elements
	races    bool          // it waits in a First
	attempts int           // how much it has tried to go on since it was stopped: see attempt
}

// addCold returns the coldFields of c. If c has none, addCold makes them.
func (c *task) addCold() *coldFields {
	if c.cold() == nil {
		c.coldPointer.Store(new(coldFields))
	}
	return c.cold()
}

// cold returns the coldFields of c, nil if it has none. Another loop may read the name in them.
func (c *task) cold() *coldFields { return c.coldPointer.Load() }

// shield returns the innermost Shield that c is in.
func (c *task) shield() *shield {
	if c.cold() == nil {
		return nil
	}
	return c.cold().shield
}

// starter returns the kinship of the coroutine that has spawned c; nil if none is recorded.
func (c *task) starter() *kinship {
	if c.cold() == nil {
		return nil
	}
	return c.cold().starter
}

// base returns the Shield in which c was started.
func (c *task) base() *shield {
	s := c.shield()
	for s != nil && s.owner == c {
		s = s.outer
	}
	return s
}

// pendingReasons returns the reasons for which c has been cancelled, except the one for which it is being stopped.
func (c *task) pendingReasons() []*reason {
	if c.cold() == nil {
		return nil
	}
	return c.cold().pending
}

// attempts returns how much c has tried to go on since it was stopped: see attempt.
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
	comeBack() // the last turn of a coroutine that has waited without a stack
	skip()     // called instead of call: it drops the function
}

func (c *task) init(b body, entry uintptr) {
	c.body, c.entry, c.co.c = b, entry, c
	c.phase.Set(unclaimed)
	c.one[0].c, c.awaiters.owner = c, c
}

// execute calls the function of c, on w, and records how it ended if it returns.
func (c *task) execute(w *worker) {
	c.g.Set(w.id)
	c.outcome = exited // if the function does not return, this stays
	if w.run.watch != nil {
		w.run.notify()
	}
	pprof.SetGoroutineLabels(c.labels(c.ctx.Load()))
	switch err := c.body.call(&c.co); err {
	case nil:
	case errBegun: // from here on, it waits without a stack
		c.outcome = begun
		return
	default:
		// The outcome is still exited here, because a method of the error may call runtime.Goexit.
		c.clean = c.stop != nil && c.stop.explains(err)
		c.err = err
	}
	c.outcome, c.wait = returned, onNothing
}

// errBegun is what the call of a callback returns: it has begun and not ended.
var errBegun = errors.New("tinyio: internal error: the callback has only begun")

// endedEarly records that the function of c has panicked with p or, if p is nil, has called [runtime.Goexit]. It is called while the
// panic unwinds the stack, so that the stack still shows where the panic happened.
func (c *task) endedEarly(p any) {
	how := errExited
	if p != nil {
		how = threadPanic{newPanicError(p, debug.Stack())}
		failing(c, how)
	}
	if c.state != running && !c.body.(callback).endAbruptly(how) { // a callback, whose done was called before
		c.outcome = begun
		return
	}
	if c.state == ready { // done has been called
		c.run().leaveQueue()
	}
	c.state = running
	c.endWith(how)
}

// run returns the current run of the loop to which c belongs.
func (c *task) run() *run { return c.loop.Load().run }

// The phases of a coroutine. A loop claims one before it starts it.
const (
	unmade = iota // it is a zero Coro
	unclaimed
	claimed
	finished
)

// hasFinished may be called from any goroutine.
func (c *task) hasFinished() bool { return c.phase.Load() == finished }

// justReturned reports whether the function of c has returned a value, and c was not being stopped.
func (c *task) justReturned() bool { return c.outcome == returned && c.err == nil && c.stop == nil }

// endedCleanly reports whether the function of c has returned a value, or says only that c was stopped.
func (c *task) endedCleanly() bool { return c.outcome == returned && (c.err == nil || c.clean) }

// hasValue reports whether c has finished without an error.
func (c *task) hasValue() bool { return c != nil && c.hasFinished() && c.err == nil }

// tryClaim makes c belong to l if it belongs to no loop yet, and reports whether it did.
func (c *task) tryClaim(l *Loop) bool {
	if !c.phase.CompareAndSwap(unclaimed, claimed) {
		return false
	}
	c.loop.Set(l)
	return true
}

// unclaim undoes a claim of l, unless c has been started since. A call that has failed unclaims what it was going to start: any loop
// may claim that again.
func (c *task) unclaim(l *Loop) {
	if c.loop.Load() == l && c.state == fresh {
		c.loop.Set(nil)
		c.phase.Set(unclaimed)
	}
}

// claim makes c belong to l, unless it belongs to another loop.
func (c *task) claim(l *Loop) error {
	if c.tryClaim(l) || c.loop.Load() == l {
		return nil
	}
	return foreign(c)
}

// edges returns the waiters of c: its edges if it waits for coroutines, or the one waiter with which it stands in a line.
func (c *task) edges() []waiter {
	if c.cold() != nil && c.cold().edges != nil {
		return c.cold().edges
	}
	return c.one[:]
}

// entryOf returns the address of the code of fn, which must be a function. It is what reflect's Value.Pointer returns, in a tenth of
// the time: a function value points to a closure, which begins with that address.
func entryOf[F any](fn F) uintptr { return **(**uintptr)(unsafe.Pointer(&fn)) }

// label returns the name of c for messages: the one that it was given, or that of its function.
func (c *task) label() string {
	if name := c.name(); name != "" {
		return name
	}
	if f := runtime.FuncForPC(c.entry); f != nil {
		return f.Name()
	}
	return unnamed
}

// name returns the name that c was given; "" if it was given none.
func (c *task) name() string {
	if c.cold() != nil && c.cold().name != "" {
		return c.cold().name
	}
	if _, ok := c.body.(*submission); ok {
		return submissionName
	}
	return ""
}

// unnamed is the name of a coroutine whose function has none.
const unnamed = "unnamed"
