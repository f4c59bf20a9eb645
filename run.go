package tinyio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/gate"
	"github.com/tinyio-go/tinyio/internal/lookin"
	"github.com/tinyio-go/tinyio/internal/stack"
	"github.com/tinyio-go/tinyio/internal/timers"
)

// The invariants of a loop. The tests call checkInvariants after every step, which checks those that can be checked.
//
//  1. A coroutine is in exactly one state (see the diagram in task.go). A ready one is in the ready queue or, if there is a picker, in the
//     crowd from which it chooses. A waiting one stands in the lines of what it waits for. One that finishes in the ready queue stays
//     there until it is passed over (leaveQueue). A coroutine finishes once, and its result stays with it.
//  2. One goroutine of a loop runs at a time. The others are parked, each in a slot (turn.go): that of a coroutine in the slot of its
//     task, an idle worker, which is in the list of idlers, in its field at, and the driver in the run's field driver. Only the goroutine
//     that runs touches the state of the loop. Goroutines from outside post to the inbox, and otherwise use only what is made for them:
//     atomic variables, and those of package publish.
//  3. The ready queue is in the order in which its coroutines became ready, whether the reason came from inside or from outside the loop.
//     So the inbox is taken in before the running coroutine makes another one ready, at the end of its turn, and after the user's code has
//     been called in the middle of the loop's own work (sandbox.go). With a gate, what comes from outside enters only between two
//     turns (gate.go).
//  4. A coroutine that waits for coroutines has an edge to each of them (graph.go). The edges that count (cycle.go) make no cycle, and
//     none of them leads to a lower level.
//  5. The field wanted of a coroutine counts the edges to it of those that wait for all of their targets and have not dropped their
//     wants (dropWants). It counts one more if the coroutine was spawned, and one more if it is the first of its scope. No coroutine that
//     is wanted is stopped for a Timeout.
//  6. A coroutine is stopped in one way, whatever the reason (cancel.go): it is given the reason, and its wait ends, or goes on for as
//     long as it waits for others that are being stopped. While a Shield keeps the reason away, the reason is pending and the wait goes on.
//  7. With the same inputs (inbox or gate, context, clock and picks), the interleaving is the same: no order comes from a map or an
//     address. A prefetch changes nothing.
//  8. Between two turns no work is half done: no coroutine is running, nothing is left of the last request, endWaits has nothing to do, and no search has left a mark.

// A run is the state of one call of Run, RunOn, Serve or Start, from the first coroutine to the last.
type run struct {
	loop      *Loop
	inbox     *inbox // that of the loop, unless there is a gate
	ready     readyQueue
	running   *task  // the running coroutine; nil between two turns
	unsettled *task  // its turn has ended, and the run loop has yet to begin its wait, or to finish it
	inline    *task  // the coroutine on whose stack the run loop may run while it waits: see runInline
	inlined   bool   // the run loop is running there
	root      *scope // of all of them
	ctx       context.Context
	values    *coContext // what the first coroutine inherits
	cancelled []*task    // the work list of endWaits, empty between steps
	ending    bool       // endWaits is running
	asked     request
	deferred  ring[deferred] // to be done between two turns
	wide      int            // how many edges the coroutines in Gather and Wait have: see meet
	threads   int            // threads, calls and callbacks that have started and have not come back
	served    int            // how many waits of this turn could be served at once: see letOthers

	timers    timers.Heap[timed]
	clock     hook.Clock
	idler     hook.Idler
	returned  int  // threads, calls and callbacks that have come back
	expects   bool // something may come soon: see letOthersRun
	courtesy  courtesy
	kind      clockKind
	epoch     time.Time // when the run began; the times of the run are nanoseconds since then
	turnsLeft int       // until the clock is read again, see fireTimers
	period    int       // how many turns lie between two readings
	read      int64     // what the clock showed when it was last read
	pace      pace

	idlers    *worker     // the idle workers, linked through their next fields
	idleCount int         // how many there are
	driver    *stack.Slot // where the goroutine that drives the run is parked
	sandbox   *sandbox    // nil until it is needed, and while it is in use
	sandboxed int         // how many calls in a sandbox are going on
	probe     *probe      // nil unless a coroutine is resumed to fill it
	traces    *traceCache
	hosted    bool         // a host takes the steps
	watch     *watch       // the picker and the observer, nil if there are none
	gate      gate.Keeper  // nil unless the run is recorded or replayed
	afterStep func(r *run) // called at the end of each step, nil if nobody needs that

	detach       func()    // detaches the run from its context
	reopened     bool      // attach has opened the inbox, which an earlier run had closed
	stopWatchdog func()    // nil if there is no watchdog
	orphans      []failure // clean-up errors of coroutines whose Submit had returned before; the first hundred
	orphansLost  int       // how many more of these there were
	exiting      bool      // runtime.Goexit was called, so Run is going to call it

	above, below walk // the two walks of a search for a cycle; empty between steps

	// What is left when the run has ended, or could not begin.

	err    error // why the run could not begin
	ended  bool
	result error       // what Run returns, if the run has failed
	panics *PanicError // what Run panics with, if it does
	exits  bool        // Run calls runtime.Goexit
}

// begin starts a run of l with c as its first coroutine.
func begin(ctx context.Context, l *Loop, c *task, op string) *run {
	checkRun(ctx, l, c, op)
	stack.Enter()
	defer stack.Leave()
	r := &run{loop: l}
	if c.hasFinished() {
		r.ended, r.err = true, c.pastError()
		r.panics, _ = c.err.(*PanicError)
		return r
	}
	if !l.active.CompareAndSwap(false, true) {
		r.ended, r.err = true, errors.New("tinyio: "+op+": the loop is running already; await the coroutine "+
			"from inside it, or run it on a loop of its own")
		return r
	}
	if err := c.claim(l); err != nil {
		l.active.Store(false)
		r.ended, r.err = true, err
		return r
	}
	r.ready.init()
	r.root = new(scope)
	stopped := r.attach(ctx, c)
	r.startMain(r.root, c, nil)
	if stopped != nil {
		r.fail(r.root, *stopped)
	}
	if l := lookin.Listening(); l != nil {
		l.Began(r.loop, c.label())
	}
	return r
}

// attach connects r to its clock, its context and the inbox. If the context is done already, it returns the failure that says so. If the
// context or the clock, which may be the user's code, panics, attach leaves the loop as it was.
func (r *run) attach(ctx context.Context, c *task) (stopped *failure) {
	r.detach = func() {}
	attached := false
	defer func() {
		if !attached {
			r.undoBegin(c)
		}
	}()
	if co, ok := ctx.Value(runningCo{}).(*Co); ok {
		ctx, r.detach = co.nest(ctx)
	}
	l := r.loop
	l.run, r.watch, r.inbox = r, l.watch, &l.inbox
	if r.afterStep = stepped; r.watch != nil {
		r.afterStep = (*run).showStep
	}
	r.ctx, r.values = ctx, inheritable(ctx)
	l.inbox.self = &sleeper{make(chan struct{}, 1)}
	l.inbox.quick.Store(false)
	r.reopened = l.inbox.head.CompareAndSwap(closed, nil) // before the first run the inbox is open already
	if ctx.Err() != nil {
		f := interrupted(ctx)
		stopped = &f
	} else if ctx.Done() != nil {
		i := &interruption{run: r}
		i.to = i
		detach, unwatch := r.detach, context.AfterFunc(ctx, func() {
			i.failure = interrupted(ctx)
			l.inbox.post(&i.message)
		})
		r.detach = func() { unwatch(); detach() }
	}
	r.setClock(l.clock, l.clockKind)
	stopped = r.setGate(stopped)
	r.epoch, r.period = r.clock.Now(), 1
	attached = true
	return stopped
}

// undoBegin undoes what begin and attach have done for r.
func (r *run) undoBegin(c *task) {
	l := r.loop
	r.ended = true
	r.detach()
	if r.gate != nil {
		r.dropGate()
	}
	if r.reopened {
		r.shut()
	}
	c.unclaim(l)
	l.run = nil
	l.active.Store(false)
}

// drive takes steps until the run has ended, and then panics or exits if the run has to.
func (r *run) drive() {
	stack.Enter()
	defer stack.Leave()
	r.watchTurns()
	r.complete()
	r.panicOrExit()
}

// complete takes steps until the run has ended. If a tool calls [runtime.Goexit] meanwhile, which unwinds this stack, the steps go on in a
// deferred function, and the Goexit after that.
func (r *run) complete() {
	defer r.completeAfterExit()
	for !r.over() {
		r.turns(nil)
	}
}

// completeAfterExit goes on with complete if that has been unwound. A panic is the loop's own, and ends the program.
func (r *run) completeAfterExit() {
	if r.ended {
		return
	}
	if p := recover(); p != nil {
		crashProgram(p)
	}
	r.unwound()
	r.complete()
	if r.panics != nil {
		panic(r.panics)
	}
}

// panicOrExit panics or calls Goexit in the goroutine that called Run, if a coroutine has. All coroutines have stopped by then.
func (r *run) panicOrExit() {
	if r.panics != nil {
		panic(r.panics)
	}
	if r.exits {
		runtime.Goexit()
	}
}

// over reports whether all coroutines have finished, and if so ends the run.
func (r *run) over() bool {
	if r.ended {
		return true
	}
	r.settleLast()
	if r.live() > 0 || !r.shut() {
		return false
	}
	r.root.adopt(r.orphans, r.orphansLost)
	r.exits = r.exiting
	r.end(r.root.report(r.loop.mode))
	return true
}

// end ends the run with its result. No coroutine is left in it.
func (r *run) end(result error) {
	r.ended = true
	r.detach()
	r.result = result
	r.panics, _ = r.result.(*PanicError)
	r.dismiss()
	r.endSandbox()
	for r.ready.pop() != nil { // coroutines that were stopped before their first turn are still in the queue
	}
	if r.watch != nil {
		r.watch.reset()
	}
	if r.stopWatchdog != nil {
		r.stopWatchdog()
	}
	if r.gate != nil {
		r.dropGate()
	}
	l := r.loop
	if listener := lookin.Listening(); listener != nil {
		listener.Ended(l)
	}
	l.counters.reset()
	*r = run{ended: true, result: r.result, panics: r.panics, exits: r.exits}
	l.run = nil
	l.stopping.Store(nil)
	l.active.Store(false)
}

// settleLast calls the observer, and does what is deferred, when the last coroutine has finished. If that fails, the run fails.
func (r *run) settleLast() {
	for r.live() == 0 {
		r.notify()
		if r.deferred.n == 0 {
			return
		}
		r.runDeferred()
	}
}

// turns is the run loop: take in what came from outside, fire the timers that are due, pick the next ready coroutine, resume it, and
// deal with the end of its turn; when no coroutine is ready, wait. If inline is not nil, the loop runs on its stack. It returns when
// all coroutines have finished, when it is the turn of inline, and for a host after each turn.
func (r *run) turns(inline *task) {
	defer func() {
		if p := recover(); p != nil { // otherwise a tool may have called runtime.Goexit: see caught
			crashProgram(p)
		}
	}()
	at := &r.driver
	if inline != nil {
		at = &inline.slot
	}
	for r.live() > 0 {
		r.letIn()
		if r.gate != nil {
			r.passGate()
		}
		r.takeIn()
		r.fireTimers()
		r.runDeferred()
		r.notify()
		c := r.pick()
		switch {
		case c != nil:
		case r.live() == 0, r.deferred.n > 0: // what was done above has finished the last coroutine, or a tool has failed
			continue
		case r.hosted:
			return
		default:
			r.idle()
			continue
		}
		if r.isFollowed() {
			r.announce(c)
		}
		r.beginTurn(c)
		if next := r.ready.head; next != nil {
			r.prefetch(next)
		}
		if c != inline {
			r.resume(c, at)
		}
		if r.running != nil { // it is the turn of inline
			return
		}
		r.finishTurn() // of c, or of the last of those that ran after it: see advance
		if r.hosted {
			r.notify()
			return
		}
	}
}

// pick takes the next coroutine out of the ready queue: the first one or, if there is a picker, the one that it chooses. It passes over
// those that were stopped before their first turn: they have finished.
func (r *run) pick() *task {
	for {
		if r.hasPicker() {
			r.choose()
		}
		if c := r.ready.pop(); c == nil || c.state == ready {
			return c
		}
	}
}

// resume gives c its turn. It returns when it is the loop's turn again, or that of the coroutine on whose stack the loop runs. Meanwhile
// the loop is parked in *at. A turn that needs no stack is taken on that of the loop.
func (r *run) resume(c *task, at **stack.Slot) {
	if c.slot == nil {
		if c.needsNoStack() {
			r.takeTurn(c)
			return
		}
		r.hire().give(c)
	}
	r.switchTo(at, c.slot)
	for r.turnSlot() != *at {
		r.switchToTurn(at)
	}
}

// takeTurn takes the turn of c, which needs no stack: the first of a thread, or the last of what has waited without a stack.
func (r *run) takeTurn(c *task) {
	if c.outcome == notBegun {
		c.outcome = begun
		c.body.call(&c.co)
	} else {
		c.body.comeBack()
		r.unsettled = c
	}
	r.running = nil
	r.catchUp()
}

// finishTurn deals with the end of the last turn, unless that has been done on the coroutine's own stack.
func (r *run) finishTurn() {
	r.loop.counters.running.Set(nil)
	if c := r.unsettled; c != nil {
		r.unsettled = nil
		r.beginWait(c)
	}
	r.endStep()
}

// endStep is called at the end of each step.
func (r *run) endStep() {
	if r.afterStep != nil {
		r.afterStep(r)
	}
}

func (r *run) showStep() {
	r.watch.turn = hook.Nobody
	if stepped != nil {
		stepped(r)
	}
}

// stepped is called after every step, in the tests of this package.
var stepped func(*run)

// crashProgram ends the program, because the loop itself has panicked with p, and its state cannot be trusted any more. A panic in a
// clock, a picker or an observer does not get here: see caught.
func crashProgram(p any) {
	err := fmt.Errorf("tinyio: internal error: %v; please report this\n\n%s", p, debug.Stack())
	go panic(err) // where nobody recovers from it
	select {}
}

// A deferred is work that comes up during a turn and has to be done between two turns: a failure that no coroutine can return, or the
// request of another goroutine.
type deferred interface{ do(r *run) }

func (r *run) runDeferred() {
	for r.deferred.n > 0 {
		r.deferred.pop().do(r)
	}
}

// quiet reports whether the running coroutine would have the next turn, so that a Yield can return at once: no other coroutine is
// ready, nothing has come from outside, and it is not yet time to read the clock. A host, an observer and a watchdog have to see
// every turn, so with one of them it is false.
func (r *run) quiet() bool {
	r.letIn()
	if r.ready.head != nil || !r.inbox.empty() || r.hosted || r.watch != nil || r.stopWatchdog != nil {
		return false
	}
	if r.timers.Len() == 0 {
		return true
	}
	r.turnsLeft--
	return r.turnsLeft > 0
}

// A request is what the running coroutine asks for when it suspends: the arguments of waitRow.begin. A run has one for all coroutines,
// since one runs at a time.
type request struct {
	any     bool       // another field is set
	claimed bool       // some of the coroutines to wait for had been claimed before, so they may have been started
	inherit *coContext // what coroutines that are started for the request inherit; nil for what the asking one has inherited
	halt    *reason    // of Cancel: the reason for which the target is to stop
}

func (q *request) clear() {
	if q.any {
		*q = request{}
	}
}

// catchUp takes in what has come from outside during a turn, and starts what has been posted. It is called at the end of the turn,
// before the coroutine begins to wait or finishes, so that what came first becomes ready first.
func (r *run) catchUp() {
	if r.deferred.n > 0 || r.inbox.head.Load() != nil {
		r.takeInAndStart()
	}
}

func (r *run) takeInAndStart() {
	r.takeIn()
	r.startPosted()
}

// beginWait makes c wait for what it has asked for, or finishes it (onNothing).
func (r *run) beginWait(c *task) {
	waits[c.wait].begin(r, c)
	r.asked.clear()
}

// makeReady puts c at the back of the ready queue.
func (r *run) makeReady(c *task) {
	r.loop.counters.ready.Add(1)
	c.state = ready
	r.ready.push(c)
}

// wake makes a waiting coroutine ready. It must have left the lines in which it stood.
func (r *run) wake(c *task) {
	if c.timer.Set() {
		r.unset(&c.timer)
	}
	if r.watch != nil {
		r.noteWoken(c)
	}
	r.makeReady(c)
}

// start makes c a live member of s, and ready for its first turn. (A submission has none, and waits already.) From its starter, if there
// is one, c inherits the values of its context, the Shield that the starter is in, and the reasons for which the starter is cancelled.
func (r *run) start(c *task, s *scope, starter *task) {
	s.add(c)
	r.countStarted()
	if r.watch != nil {
		r.id(c) // in the order in which they are started, whenever somebody asks
		r.note(hook.Started, c, nil)
	}
	if starter == nil {
		c.ctx.Set(r.values)
	} else {
		x := r.asked.inherit
		if x == nil {
			x = starter.ctx.Load().inherited
		}
		c.ctx.Set(x)
		if starter.stop != nil || starter.shield() != nil {
			r.inheritStops(c, starter)
		}
	}
	if c.state == fresh {
		r.makeReady(c)
	}
}

// inheritStops makes c, which has just been started, inherit the Shield that starter is in, and what starter is cancelled for.
func (r *run) inheritStops(c, starter *task) {
	if s := starter.shield().current(); s != nil {
		c.addCold().shield = s
		s.add(c)
	}
	if starter.stop != nil {
		r.record(c, starter.stop)
	}
	for _, why := range starter.pendingReasons() {
		r.record(c, why)
	}
}

// startFor starts t for c, if it is fresh.
func (r *run) startFor(c, t *task) {
	if t.state == fresh {
		if c.daemon {
			t.daemon = true
		}
		if owner := c.scope.owner; owner != nil {
			t.level = max(t.level, owner.level)
		}
		r.start(t, c.scope, c)
	}
}

// spawnOne spawns t for c: it starts t if that is fresh, and makes t wanted for its own sake.
func (r *run) spawnOne(c, t *task) {
	if t.state == fresh {
		if k := c.kin(); k != nil {
			t.addCold().starter = k
		}
		r.startFor(c, t)
	}
	t.markSpawned()
}

// markSpawned makes c wanted for its own sake.
func (c *task) markSpawned() {
	if c.state != done && !c.spawned {
		c.spawned = true
		c.wanted++
	}
}

// spawn spawns cs for c.
func (r *run) spawn(c *task, cs []Awaitable, daemons bool) {
	for _, a := range cs {
		t := a.awaitable()
		switch {
		case t.state == fresh:
			t.daemon = daemons
		case t.daemon && !daemons && !c.daemon && t.state != done: // it was started by daemons alone
			t.daemon = false
			t.scope.daemons--
		}
		r.spawnOne(c, t)
	}
}

// finish makes c done, whose function has ended or is not going to be called.
func (r *run) finish(c *task) {
	if c.justReturned() {
		r.conclude(c, nil)
	} else {
		f, why := r.failureOf(c)
		r.conclude(c, &faults{f, c.heldCleanups(), why})
	}
}

// faults are what went wrong in a coroutine that has not just returned a value.
type faults struct {
	failure  *failure  // its own; nil if there is none
	cleanups []failure // the clean-up errors that it holds
	why      *reason   // collects them; if it is nil, they are failures of the domain
}

// conclude makes c done, wakes those that wait for it, and deals with its faults, if that is not nil.
func (r *run) conclude(c *task, x *faults) {
	s := c.scope
	r.countFinished()
	c.state = done
	c.phase.Set(finished)
	if r.watch != nil {
		r.noteFinished(c, x)
	}
	if ctx := c.ctx.Load(); ctx.own != nil {
		ctx.cancel(nil)
	}
	s.remove(c)
	c.loop.Set(noLoop)
	c.slot = nil
	if c.stop != nil || c.cold() != nil {
		c.release()
	}
	for w := c.awaiters.popAll(); w != nil; w = w.leave() {
		if d := w.c; w.group == nil || w.group.note(c) {
			if d.unmet--; d.unmet == 0 {
				r.wake(d)
			}
		}
	}
	if x != nil {
		r.handleFaults(s, x)
	}
	if s.live == s.daemons {
		r.memberLeft(s)
	}
}

// handleFaults deals with the faults of a member of s, which has finished.
func (r *run) handleFaults(s *scope, x *faults) {
	for i := range x.cleanups {
		r.handleFailure(s, &x.cleanups[i], x.why)
	}
	if x.failure != nil {
		r.loop.counters.failed.Add(1)
		r.handleFailure(s, x.failure, x.why)
	}
}

// failureOf returns what went wrong in c, whose function has ended in another way than with a value; nil if c has stopped cleanly. The
// reason why, if that is not nil, collects f. Otherwise f is a failure of the domain. failureOf also sets the error that awaits of c return.
func (r *run) failureOf(c *task) (f *failure, why *reason) {
	if f, why = c.failure(), c.cleansUpFor(); f != nil {
		r.findChain(f, c, why)
	}
	switch {
	case c.outcome != returned || c.err == nil:
	case c.stop != nil && c.stop.crash == nil:
		c.err, c.clean = c.stop.err, true // what went wrong besides is for whoever stopped it
	case f != nil && why == nil: // whoever awaits c from another domain, or later, gets the chain
		c.err = &Error{Err: c.err, Trace: f.trace, cut: f.cut}
	}
	return f, why
}

// release drops what c, which has finished, does not need for its result, so that c does not keep it in memory.
func (c *task) release() {
	if c.stop != nil && c.stop.crash != nil {
		c.stop.finished++
	}
	c.stop = nil
	if a := c.cold(); a != nil {
		a.release()
	}
}

func (a *coldFields) release() {
	a.inside.remove()
	if a.kin != nil {
		a.kin.of = nil
	}
	a.edges, a.inner, a.winner, a.halting, a.cleanups, a.pending = nil, nil, nil, nil, nil, nil
	a.shield, a.kin, a.starter, a.call = nil, nil, nil, nil
	a.abrupt = nil
}

// A readyQueue has the ready coroutines, first in, first out, linked through their next fields: appending allocates nothing
// and a long queue leaves nothing behind.
type readyQueue struct {
	head *task
	end  **task // the link behind the last one
}

func (q *readyQueue) init() { q.end = &q.head }

func (q *readyQueue) push(c *task) {
	*q.end = c
	q.end = &c.next
}

func (q *readyQueue) pop() *task {
	c := q.head
	if c != nil {
		q.take(c)
	}
	return c
}

// take takes c, which is the first, out of the queue.
func (q *readyQueue) take(c *task) {
	next := c.next
	q.head, c.next = next, nil
	if next == nil {
		q.end = &q.head
	}
}

func (q *readyQueue) all() iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for c := q.head; c != nil; c = c.next {
			if !yield(c) {
				return
			}
		}
	}
}
