package tinyio

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio/internal/stack"
	"github.com/tinyio-go/tinyio/internal/timers"
)

// The invariants of a loop. checkInvariants tests those that can be tested, after every step, in the tests.
//
//  1. A coroutine is in exactly one state (see the diagram in coro.go), and in the place that goes with it: a ready one
//     is in the ready queue, a waiting one in what it waits for, a running one on its stack. It goes through the
//     states in order, settles once and keeps its result.
//  2. One goroutine of a loop runs at a time, that of the coroutine whose turn it is or, when it is nobody's, the one that runs
//     the loop; the others are parked (turn.go). It alone touches the loop's state. What goroutines from outside have to
//     say goes through the inbox, which is the only thing they touch.
//  3. The ready queue is in the order in which its coroutines became ready, wherever that came from: whoever appends
//     to it takes in the inbox first (makeReady).
//  4. A coroutine that waits for coroutines has an edge to each of them. The edges make no cycle: an edge goes from a
//     coroutine to one of greater depth.
//  5. Wanted counts who needs a coroutine to go on: each edge to it whose owner is not itself being stopped, and one
//     for a coroutine that was spawned or is the first of its scope. Whoever is wanted is not halted.
//  6. A coroutine is stopped in one way, whatever the reason (cancel.go): it is told, and its wait ends, or goes on for as
//     long as it waits for others that are being stopped.
//  7. With the same inputs (inbox, clock and picks), the interleaving is the same: nothing here ranges over a map or
//     depends on an address.

// A Loop runs coroutines. Its zero value is not usable; make one with [NewLoop]. A loop can be run again and again, one
// run at a time; the results of its coroutines stay with them. It holds no goroutine and no memory to speak of between
// runs, and needs no closing.
type Loop struct {
	ready    queue
	running  *coroutine // whose turn it is; nil when it is the loop's
	left     *coroutine // whose turn has ended, if the loop is to deal with that where it runs
	carrier  *coroutine // the loop runs on its stack while it waits; see carry
	carrying bool       // it does so now
	live     int        // coroutines that have been started and have not finished, in all scopes
	timers   timers.Heap[timed]
	steps    int // turns left until the clock is read again, see fireTimers
	period   int // how many turns lie between two readings
	read     int64
	asked    request
	told     []*coroutine // to stop: a work list, empty between steps
	ending   bool         // their waits are being ended
	idlers   []*worker
	driver   *stack.Place // where the goroutine is parked that drives the loop
	aside    *aside
	probe    *probe
	choosing int          // coroutines that wait for any of several
	errands  ring[errand] // for between two turns

	inbox    inbox
	taking   bool // what is in the inbox is being taken in
	active   atomic.Bool
	clock    Clock
	real     bool      // the clock is the real one
	foreign  bool      // the clock is not of this package
	epoch    time.Time // what the loop counts its nanoseconds from
	root     *scope
	threads  int  // callbacks that have started and have not come back
	hosted   bool // a host takes the steps
	stepwise bool // every turn goes through the ready queue and the loop
	watch    *watch
	mode     GroupMode
	made     bool // by NewLoop

	startThread func(t *Thread) // nil unless a host runs the threads

	orphans []failure // clean-up errors of what was submitted by a goroutine that has not waited
	exiting bool      // Run is going to call runtime.Goexit
	broken  bool      // the loop itself has panicked
}

// noLoop is the loop of a coroutine that has finished: it belongs to nobody any more, and does not keep the loop that it ran on, nor
// the tools of that.
var noLoop = NewLoop()

// An Option sets how a loop works.
type Option func(*Loop)

// WithErrorGroup sets what [Run] returns for a failure: see [GroupMode]. The default is [GroupAuto].
func WithErrorGroup(mode GroupMode) Option {
	return func(l *Loop) { l.mode = mode }
}

// NewLoop returns a loop with the given options.
func NewLoop(opts ...Option) *Loop {
	l := &Loop{clock: new(realClock), made: true}
	l.inbox.head.Store(closed)
	for _, o := range opts {
		if o == nil {
			panic("tinyio: NewLoop: an Option is nil; leave it out")
		}
		o(l)
	}
	return l
}

// Run runs c on a loop of its own and returns when c has finished and every other coroutine that it started, directly
// or not, has finished too, whether awaited or spawned, and every goroutine of [RunInThread] with them. It returns c's
// value, or the error that crashed the loop: see [Error] for the trace that it carries, [GroupMode] for when it is an
// [*ErrorGroup].
//
// When ctx is done, the loop crashes with [context.Cause] of it. If a coroutine panics, everything is cancelled and
// cleaned up and then Run panics with a [*PanicError]; if one calls [runtime.Goexit], Run does so in the end.
//
// Run may be called from any goroutine, and from inside a coroutine, which blocks that coroutine's loop. Coroutines run
// on stacks of their own: a goroutine that is locked to its thread may call Run, but a coroutine must not suspend, return
// or call [Loop.Status] between [runtime.LockOSThread] and its unlocking.
func Run[T any](ctx context.Context, c *Coro[T], opts ...Option) (T, error) {
	return RunOn(ctx, NewLoop(opts...), c)
}

// RunOn is [Run] on a loop made before. A coroutine that finished in an earlier run gives its result again, at once. A
// loop that is running already cannot be run: RunOn returns an error without waiting.
func RunOn[T any](ctx context.Context, l *Loop, c *Coro[T]) (T, error) {
	return runOn(ctx, l, c, "Run")
}

func runOn[T any](ctx context.Context, l *Loop, c *Coro[T], op string) (T, error) {
	r := &Runtime[T]{begin(ctx, l, c.awaitable(), op), c}
	r.run.drive()
	return r.Result()
}

// A run is one call of Run, RunOn or Start: from the first coroutine to the last.
type run struct {
	loop   *Loop // nil, like root and leave, when the run has ended
	root   *scope
	leave  func() // lets go of the context
	err    error  // why it could not start
	ended  bool
	result error
	panics *PanicError
	exits  bool
}

// checkRun panics if c cannot be run on l because one of them is not there.
func checkRun(ctx context.Context, l *Loop, c *coroutine, op string) {
	switch {
	case ctx == nil:
		panic("tinyio: " + op + ": the context is nil; pass context.Background() if there is none")
	case l == nil || !l.made:
		panic("tinyio: " + op + ": the Loop is nil or zero; make one with NewLoop")
	case c == nil || c.body == nil:
		panic("tinyio: " + op + ": the coroutine is nil or zero; make it with New")
	}
}

// begin starts a run of l with c as its first coroutine.
func begin(ctx context.Context, l *Loop, c *coroutine, op string) *run {
	checkRun(ctx, l, c, op)
	r := &run{loop: l}
	if c.finished.Load() {
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
	r.leave = func() {}
	if co, ok := ctx.Value(runningCo{}).(*Co); ok {
		ctx, r.leave = co.nest(ctx)
	}
	l.inbox.self = &sleeper{make(chan struct{}, 1)}
	l.inbox.head.Store(nil)
	_, virtual := l.clock.(*virtualClock)
	_, l.real = l.clock.(*realClock)
	l.foreign = !l.real && !virtual
	l.epoch, l.steps, l.period, l.read = l.clock.Now(), 0, 1, 0
	l.root = &scope{ctx: ctx}
	r.root = l.root
	l.begin(l.root, c, nil)
	if ctx.Err() != nil {
		l.fail(l.root, r.interruption())
	} else if ctx.Done() != nil {
		i := &interruption{run: r}
		i.to = i
		leave, unwatch := r.leave, context.AfterFunc(ctx, func() { l.inbox.post(&i.message) })
		r.leave = func() { unwatch(); leave() }
	}
	return r
}

// drive takes steps until the run has ended.
func (r *run) drive() {
	for !r.over() {
		r.loop.loop(nil)
	}
	r.goOn()
}

// goOn does in the goroutine of the run what a panic or a Goexit asks for, once everything has stopped.
func (r *run) goOn() {
	if r.panics != nil {
		panic(r.panics)
	}
	if r.exits {
		runtime.Goexit()
	}
}

// over reports whether everything has finished, and if so ends the run.
func (r *run) over() bool {
	l := r.loop
	if r.ended || l.live > 0 {
		return r.ended
	}
	r.ended = true
	r.leave()
	r.root.adopt(l.orphans)
	r.result, r.exits = r.root.report(l.mode), l.exiting
	r.panics, _ = r.result.(*PanicError)
	l.dismiss()
	l.dismissAside()
	r.root.end()
	l.root, l.orphans, l.exiting, l.broken = nil, nil, false, false
	l.driver, l.left, l.carrier, l.asked = nil, nil, nil, request{}
	for l.ready.pop() != nil { // which was stopped before its first turn
	}
	r.loop, r.root, r.leave = nil, nil, nil
	l.shut()
	defer l.active.Store(false)
	l.clock.Rest()
	return true
}

// loop is the loop: take in what came from outside, fire the timers that are due, pick the next ready coroutine, let it go
// on, and deal with how it stopped; when nobody is ready, wait. It returns when everything has finished, when it is the turn
// of carrier, on whose stack it runs then, and for a host after each turn.
func (l *Loop) loop(carrier *coroutine) (done bool) {
	defer l.survive(&done)
	at := &l.driver
	if carrier != nil {
		at = &carrier.at
	}
	for l.live > 0 {
		l.takeIn()
		l.fireTimers()
		l.runErrands()
		c := l.pick()
		switch {
		case c != nil:
		case l.live == 0: // what was done before this turn has finished the last coroutine
			continue
		case l.hosted:
			return true
		default:
			l.idle()
			continue
		}
		l.running, c.state = c, running
		if l.watch != nil {
			l.note(Resumed, c, nil)
		}
		if c != carrier {
			l.resume(c, at)
		}
		if l.running != nil { // the carrier
			return true
		}
		l.settleLeft() // c, or whoever ran last: see ahead
		if l.hosted {
			return true
		}
	}
	return true
}

// pick takes the next coroutine out of the ready queue. One that was stopped before its first turn has finished while it
// stood there, and is passed over.
func (l *Loop) pick() *coroutine {
	if l.watch != nil {
		return l.choose()
	}
	c := l.ready.pop()
	for c != nil && c.state != ready {
		c = l.ready.pop()
	}
	return c
}

// resume lets c go on until it is the loop's turn again, or the carrier's. The loop is parked in *at meanwhile. A callback needs no
// goroutine for its first turn and its last.
func (l *Loop) resume(c *coroutine, at **stack.Place) {
	switch {
	case c.at != nil:
	case c.outcome != notBegun:
		c.body.comeBack()
		l.running, l.left = nil, c
		return
	case c.isSimple():
		c.outcome = pending
		c.body.call(&c.co)
		l.running, l.left = nil, c
		return
	default:
		l.hire().give(c)
	}
	l.changeTo(at, c.at)
	for l.whereabouts() != *at {
		l.passOn(at)
	}
}

// settleLeft deals with how the coroutine stopped that ran last, unless that has been done on its own stack.
func (l *Loop) settleLeft() {
	c := l.left
	if c != nil {
		l.left = nil
	}
	l.settle(c)
}

// settle deals with how c stopped, if it is not nil, and ends the step.
func (l *Loop) settle(c *coroutine) {
	if c != nil {
		l.takeIn()
		l.stopped(c)
	}
	if l.stepwise || stepped != nil {
		l.endStep()
	}
}

// endStep is the end of a step, for those who watch.
func (l *Loop) endStep() {
	if l.watch != nil {
		l.watch.turn = Nobody
	}
	if stepped != nil {
		stepped(l)
	}
}

// stepped is called after every step, in the tests of this package.
var stepped func(*Loop)

// survive goes on after a panic in the loop itself, which must not unwind the coroutine on whose stack it happened to run. What
// panics in a clock, a picker or an observer does not get this far: see guard.
func (l *Loop) survive(done *bool) {
	if !*done {
		l.mishap(recover())
	}
}

// An errand is what has come up during a turn and can be done only between two: a failure that no coroutine can return, or what
// another goroutine wants of the loop.
type errand interface{ run(l *Loop) }

func (l *Loop) runErrands() {
	for l.errands.n > 0 {
		l.errands.pop().run(l)
	}
}

// quiet reports that a turn of the running coroutine would come back to it at once: nobody else is ready, nothing has
// come from outside, and it is not yet time to look at the clock. Hosts and observers are to see every turn.
func (l *Loop) quiet() bool {
	if l.ready.head != nil || !l.inbox.empty() || l.stepwise {
		return false
	}
	if l.timers.Len() == 0 {
		return true
	}
	l.steps--
	return l.steps > 0
}

// A request is what a coroutine that suspends asks of its loop. It is put into the loop's one request, not onto the
// coroutine, because only one coroutine at a time can ask; what it asks for is then done on the loop's own stack, so
// that the coroutines' stacks stay small.
type request struct {
	pause   time.Duration
	limited bool // pause is a limit to a wait
	fresh   []Awaitable
	daemons bool
	halt    *reason // that is to stop the coroutine to which the edge leads
	hub     *hub
	line    *waitList
}

// stopped deals with how c stopped. It holds the only switch over that.
func (l *Loop) stopped(c *coroutine) {
	if c.state != running { // a callback has been started; it waits without a stack, or is on its way back already
		return
	}
	if c.wait != onNothing {
		c.state = waiting
		if l.watch != nil {
			l.note(Suspended, c, nil)
		}
		l.limit(c)
	}
	switch c.wait {
	case onNothing:
		l.finish(c)
	case onTurn:
		l.makeReady(c)
	case onSpawn:
		l.spawn(c, l.asked.fresh, l.asked.daemons)
	case onTimer: // which is set
	case onCoroutine:
		if l.asked.halt != nil || !l.joinFresh(c) {
			l.join(c)
		}
	case onCompletion:
		l.joinAny(c)
	case onIsolate:
		l.enclose(c)
	case onEvent:
		l.joinEvent(c, l.asked.hub)
	case onPermit, onBarrier, onQueue:
		l.asked.line.push(&c.one[0])
	}
	if c.wait > onTurn {
		l.asked = request{}
	}
}

// limit sets the timer of c, which waits, if it asked for one.
func (l *Loop) limit(c *coroutine) {
	if l.asked.limited {
		l.setTimer(&c.timer, l.asked.pause, c)
	}
}

// makeReady puts c at the back of the ready queue.
func (l *Loop) makeReady(c *coroutine) {
	l.takeIn()
	if l.watch != nil {
		l.noteWoken(c)
	}
	c.state = ready
	l.ready.push(c)
}

// wake makes a waiting coroutine ready; what it was waiting for has let go of it.
func (l *Loop) wake(c *coroutine) {
	l.timers.Remove(&c.timer)
	l.makeReady(c)
}

// start makes c, which is fresh, ready for its first turn, on behalf of starter: in its scope, and in the Shield that it is in.
func (l *Loop) start(c, starter *coroutine) {
	c.daemon = c.daemon || starter.daemon
	l.startIn(c, starter.scope, starter)
}

// startIn is start in another scope.
func (l *Loop) startIn(c *coroutine, s *scope, starter *coroutine) {
	l.enrol(c, s)
	if starter != nil {
		l.inherit(c, starter)
	}
	l.makeReady(c)
}

// enrol makes c a live member of s.
func (l *Loop) enrol(c *coroutine, s *scope) {
	s.add(c)
	l.live++
	if l.watch != nil {
		l.note(Started, c, nil)
	}
}

// inherit gives c what it has from its starter: a Shield, and what that keeps away.
func (l *Loop) inherit(c, starter *coroutine) {
	c.starter = starter.kin()
	if s := starter.shield(); s != nil {
		c.co.shield, c.more().shield = s, s
		s.add(c)
	}
	if starter.stop != nil {
		l.learn(c, starter.stop)
	}
	for _, r := range starter.told() {
		l.learn(c, r)
	}
}

// startFor starts t for c, if it is fresh.
func (l *Loop) startFor(c, t *coroutine) {
	if t.state == fresh {
		l.start(t, c)
	}
}

// want starts t, if it is fresh, for nobody in particular: the loop itself wants it.
func (l *Loop) want(c, t *coroutine) {
	l.startFor(c, t)
	t.keep()
}

// keep makes c wanted for its own sake.
func (c *coroutine) keep() {
	if c.state != done && !c.kept {
		c.kept = true
		c.wanted++
	}
}

// spawn starts those of cs that are fresh, and puts c behind them.
func (l *Loop) spawn(c *coroutine, cs []Awaitable, daemons bool) {
	for _, a := range cs {
		t := a.awaitable()
		switch {
		case t.state == fresh:
			t.daemon = daemons
		case t.daemon && !daemons && !c.daemon && t.state != done: // it was started by daemons alone
			t.daemon = false
			t.scope.daemons--
		}
		l.want(c, t)
	}
	l.makeReady(c)
}

// finish settles c and tells those who wait for it.
func (l *Loop) finish(c *coroutine) {
	s, f := c.scope, c.failure()
	if f != nil {
		f.trace = l.chain(c, c.answerable())
	}
	r := c.cleansUpFor()
	c.state = done
	if c.err != nil && c.outcome == returned && c.stop != nil && c.stop.crash == nil {
		c.err, c.clean = c.stop.err, true // what went wrong besides is for whoever stopped it
	}
	c.finished.Store(true)
	c.loop.Store(noLoop)
	if l.watch != nil {
		l.note(Finished, c, c.err)
	}
	c.co.end()
	l.live--
	s.remove(c)
	if c.stop != nil && c.stop.crash != nil {
		c.stop.stopped++
	}
	c.release()
	for w := c.awaiters.pop(); w != nil; w = c.awaiters.pop() {
		l.resolve(w, c)
	}
	if f != nil {
		l.deal(c, *f, r)
	}
	l.lost(s)
}

// release lets go of what c, which has finished, does not need for its result.
func (c *coroutine) release() {
	c.stop, c.starter = nil, nil
	a := c.annex()
	if a == nil {
		return
	}
	a.inside.leave()
	if a.kin != nil {
		a.kin.of = nil
	}
	a.edges, a.inner, a.race, a.halting, a.told, a.shield, a.kin, a.call = nil, nil, nil, nil, nil, nil, nil, nil
	a.callback.begin, a.callback.cancel = nil, nil
}

// A queue is the ready coroutines, first in, first out, linked through their next fields: appending allocates nothing
// and a long queue leaves nothing behind.
type queue struct{ head, tail *coroutine }

func (q *queue) push(c *coroutine) {
	if q.head == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
}

func (q *queue) pop() *coroutine {
	c := q.head
	if c != nil {
		q.head, c.next = c.next, nil
		if q.head == nil {
			q.tail = nil
		}
	}
	return c
}

// remove takes c out of the queue, wherever it stands.
func (q *queue) remove(c *coroutine) {
	var rest queue
	for d := q.pop(); d != nil; d = q.pop() {
		if d != c {
			rest.push(d)
		}
	}
	*q = rest
}

func (q *queue) all() iter.Seq[*coroutine] {
	return func(yield func(*coroutine) bool) {
		for c := q.head; c != nil; c = c.next {
			if !yield(c) {
				return
			}
		}
	}
}
