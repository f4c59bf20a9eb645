package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tinyio-go/tinyio"
)

// This file is the reference model: the rules of this package, written down as simply as possible, to compare the package with. It looks
// for what it needs in plain slices, computes everything anew each time, and shares only the types of errors with the package. Its
// time is in whole seconds.
//
// It covers R1 to R5 and R7 to R13, R15, R17 to R19, R21 and R24 to R28, for one run of one loop. It has no panics, no Goexit, no threads,
// no traces, no real time, no loops inside loops and no coroutines of other loops: the fault sweep (sweep_test.go) and the tests of
// the rules are for these.
//
// Where the rules leave an order open, the model defines it: the waits of coroutines that are stopped together end in the order
// in which they were started, those inside an Isolate right after the coroutine that isolates them.

// A model is a loop.
type model struct {
	mode        tinyio.GroupMode
	now         int
	queue       []*actor // the ready ones, first in, first out
	started     []*actor // all that have been started and have not finished, in that order
	timers      []*timer // in the order in which they were set
	actors      []*actor
	events      []modelEvent
	semaphores  []modelSemaphore
	served      int // how many waits of this turn have been served at once
	maxServed   int // after so many the others have a turn
	barriers    []modelBarrier
	queues      []modelQueue
	root        *scope
	cancelled   []*actor // a work list
	ending      bool     // their waits are being ended
	interrupted bool     // the context of the run is done
	idle        func() bool
}

// An actor is a coroutine.
type actor struct {
	m        *model
	id       int
	state    actorState
	begun    bool
	scope    *scope
	base     *shield   // the innermost Shield in which it was started
	shield   *shield   // the innermost Shield in which it is now
	stop     *reason   // what it is stopped for: the first that no Shield in which it was started keeps away
	pending  []*reason // reasons besides that, which Shields keep away
	cleanups []error   // what went wrong in those that it has stopped, if it was stopped itself meanwhile
	attempts int
	unwound  bool // it ignored its cancellation
	spawned  bool // it is wanted for its own sake
	daemon   bool
	starter  *actor // the one that has spawned it
	elder    *actor // whose work what it spawns is, too: its own starter, or its first awaiter
	wait     *modelWait
	watchers []watcher // those that wait for it, in the order in which they began to
	value    int
	err      error

	fn       func(h hand) (int, error)
	next     func() (struct{}, bool)
	yield    func(struct{}) bool
	callback func(done func(int, error)) func(error) // of a callback
	cancel   func(error)
	called   bool
}

type actorState int

const (
	actorFresh actorState = iota
	actorReady
	actorRunning
	actorWaiting
	actorDone
)

// A modelWait is what an actor waits for.
type modelWait struct {
	on           []*actor // coroutines, each once
	any          *collection
	former       *collection // what any was before it was stopped; it still waits for those in on
	inside       []*scope
	racing       bool // it waits for the first of these that succeeds
	winner       *actor
	line         *[]*actor
	timer        *timer
	callback     bool
	droppedWants bool    // it no longer wants those that it waits for
	halting      *reason // the reason for which it stops the one that it waits for
	err          error
	granted      bool // a permit, or the opening of a barrier
	index        int
	outOfTime    bool
	value        int // the one that it puts, or was given
	refused      bool
}

// A watcher is an actor that waits for another one, or collects it.
type watcher struct {
	a   *actor
	col *collection
}

// A collection is one call of AsCompleted.
type collection struct {
	left  []*actor
	ended []*actor
	begun bool
}

// A domain is a crash domain: the run, an Isolate, or one of those in a First.
type scope struct {
	owner   *actor // nil of a run
	first   *actor
	members []*actor // in the order in which they came
	crash   *reason  // if it has crashed

	stopping *reason // the last reason for which all members were cancelled
}

// A reason is why actors are stopped.
type reason struct {
	err      error
	cause    error
	crash    *scope // the one that has crashed; nil if actors are stopped one by one
	target   *actor // the one that is stopped, and others with it
	original error  // of a crash
	cleanups []error
	finished int // of a crash: how many of the stopped actors have finished
}

// A shield is one call of Shield.
type shield struct {
	owner   *actor
	outer   *shield
	open    bool
	over    bool // its function has ended
	grace   int
	timer   *timer
	members []*actor // those that were started inside, or inside a Shield in it that is over
}

type timer struct {
	when int
	fire func()
}

type modelEvent struct {
	set  bool
	line []*actor
}

type modelSemaphore struct {
	free int // while somebody waits, fewer than the first in line wants
	line []*actor
}

type modelBarrier struct {
	n    int
	line []*actor
}

type modelQueue struct {
	capacity         int
	values           []int
	putters, getters []*actor
	closed           bool
}

// run runs actor 0 and what it starts to the end.
func (m *model) run() (int, error) {
	m.root = &scope{}
	m.begin(m.root, m.actors[0], nil)
	for len(m.started) > 0 {
		if m.interrupted && m.root.crash == nil {
			m.fail(m.root, errInterrupted, true)
		}
		m.fire()
		switch {
		case len(m.queue) > 0:
			a := m.queue[0]
			m.queue = m.queue[1:]
			if a.state == actorReady {
				m.served = 0
				m.turn(a)
			}
		case len(m.started) == 0:
		case m.earliest() != nil:
			m.now = m.earliest().when
		case m.idle():
		case m.root.crash != nil:
			return 0, errStuck
		default:
			m.fail(m.root, new(tinyio.DeadlockError), false)
		}
	}
	if err := m.report(m.root); err != nil {
		return 0, err
	}
	return m.actors[0].value, m.actors[0].err
}

// Time: R4.

func (m *model) earliest() (first *timer) {
	for _, a := range m.timers {
		if first == nil || a.when < first.when {
			first = a
		}
	}
	return first
}

func (m *model) fire() {
	for a := m.earliest(); a != nil && a.when <= m.now; a = m.earliest() {
		m.drop(a)
		a.fire()
	}
}

func (m *model) after(d int, fire func()) *timer {
	a := &timer{m.now + d, fire}
	m.timers = append(m.timers, a)
	return a
}

func (m *model) drop(a *timer) {
	m.timers = slices.DeleteFunc(m.timers, func(b *timer) bool { return a == b })
}

// Turns: R1, R2.

// start starts a for starter: in the scope and in the Shield in which that is.
func (m *model) start(a, starter *actor) {
	a.daemon = a.daemon || starter.daemon
	m.enrol(a, starter.scope, starter)
}

// begin starts a as the first of d.
func (m *model) begin(d *scope, a, starter *actor) {
	d.first = a
	m.enrol(a, d, starter)
}

func (m *model) enrol(a *actor, d *scope, starter *actor) {
	a.scope = d
	d.members = append(d.members, a)
	m.started = append(m.started, a)
	if starter != nil {
		if a.base, a.shield = starter.shield, starter.shield; a.base != nil {
			in := a.base.membersAt()
			in.members = append(in.members, a)
		}
		for _, r := range starter.reasons() { // which a Shield keeps away from both
			m.cancel(a, r)
		}
	}
	m.ready(a)
}

// ready puts a at the back of the queue. Its wait is over.
func (m *model) ready(a *actor) {
	if a.wait != nil {
		m.drop(a.wait.timer)
	}
	a.state = actorReady
	m.queue = append(m.queue, a)
}

func (m *model) turn(a *actor) {
	first := !a.begun
	a.state, a.begun = actorRunning, true
	switch {
	case a.callback != nil && first:
		m.startCallback(a)
		return
	case a.callback != nil:
		m.finish(a)
		return
	case first:
		a.next, _ = iter.Pull(a.body)
	}
	if _, alive := a.next(); !alive {
		m.finish(a)
	}
}

func (a *actor) body(yield func(struct{}) bool) {
	a.yield = yield
	defer func() {
		switch p := recover(); p {
		case nil:
		case errUnwound:
			a.err, a.unwound = errUnwound, true
		default:
			panic(p)
		}
	}()
	a.value, a.err = a.fn(modelHand{a, a.base})
}

// errUnwound is the error of a coroutine that ignored its cancellation.
var errUnwound = errors.New("ignored its cancellation")

// errStuck is the result of a run of the model that has found that the rules contradict each other.
var errStuck = errors.New("the model is stuck after a crash")

// errInterrupted is the cause of the context of a run that is interrupted.
var errInterrupted = errors.New("interrupted")

// pause waits for w, through the Co of c.
func (a *actor) pause(c *shield, w *modelWait) error {
	a.state, a.wait = actorWaiting, w
	return a.rest(c)
}

// turnOver waits for the next turn.
func (a *actor) turnOver(c *shield) error {
	a.wait = new(modelWait)
	a.m.ready(a)
	return a.rest(c)
}

func (a *actor) rest(c *shield) error {
	a.yield(struct{}{})
	if a.stoppedUnder(c) {
		return a.stop.err
	}
	return a.wait.err
}

func (m *model) startCallback(a *actor) {
	done := func(v int, err error) {
		if a.called {
			return
		}
		a.called, a.value, a.err = true, v, err
		if a.state == actorWaiting {
			m.ready(a)
		}
	}
	a.cancel = a.callback(done)
	if a.called {
		m.ready(a)
		return
	}
	a.state, a.wait = actorWaiting, &modelWait{callback: true}
}

// finish makes a done: those that wait for it become ready, and its failure is dealt with.
func (m *model) finish(a *actor) {
	failed, cleanly, reason := a.err, a.stoppedCleanly(), a.cleansUpFor()
	a.state = actorDone
	if a.err != nil && !a.unwound && a.stop != nil && a.stop.crash == nil {
		a.err = a.stop.err
	}
	m.started = without(m.started, a)
	a.scope.members = without(a.scope.members, a)
	if a.base != nil {
		for c := a.base; c != nil; c = c.outer {
			c.members = without(c.members, a)
		}
	}
	if a.stop != nil && a.stop.crash != nil {
		a.stop.finished++
	}
	for _, w := range a.watchers {
		m.ended(w, a)
	}
	a.watchers = nil
	if failed != nil && !cleanly {
		a.cleanups = append(a.cleanups, failed)
	}
	for _, err := range a.cleanups {
		if reason != nil {
			reason.cleanups = append(reason.cleanups, err)
		} else {
			m.fail(a.scope, err, false)
		}
	}
	m.memberLeft(a.scope)
}

func without(list []*actor, a *actor) []*actor {
	return slices.DeleteFunc(slices.Clone(list), func(b *actor) bool { return a == b })
}

// memberLeft is called when a member of d has finished or moved to another scope.
func (m *model) memberLeft(d *scope) {
	switch {
	case len(d.members) == 0:
		m.end(d)
	case d.crash == nil && !slices.ContainsFunc(d.members, func(a *actor) bool { return !a.daemon }):
		m.endWaits(m.stopScope(d, newReason(errDaemonsOnly, nil)))
	}
}

var (
	errDaemonsOnly = errors.New("tinyio: only daemons are left")
	errNotFirst    = errors.New("tinyio: First: another one was first")
)

// newReason is a reason to stop actors one by one.
func newReason(cause error, target *actor) *reason {
	return &reason{err: &tinyio.CancelledError{Cause: cause}, cause: cause, target: target}
}

// end wakes the owner of d, which is empty, if it waits for no other scope.
func (m *model) end(d *scope) {
	if d.owner == nil {
		return
	}
	a := d.owner
	w := a.wait
	if w.racing && w.winner == nil && d.crash == nil && d.first != nil && d.first.state == actorDone && d.first.err == nil {
		w.winner = d.first
		r := newReason(errNotFirst, a)
		var cancelled []*actor
		for _, other := range w.inside {
			cancelled = append(cancelled, m.stopScope(other, r)...)
		}
		m.endWaits(cancelled)
	}
	if a.state == actorWaiting && !slices.ContainsFunc(w.inside, func(d *scope) bool { return len(d.members) > 0 }) {
		m.ready(a)
	}
}

// ended is called for each watcher of a, which has finished.
func (m *model) ended(w watcher, a *actor) {
	if w.col != nil {
		w.col.ended = append(w.col.ended, a)
		w.col.left = slices.DeleteFunc(w.col.left, func(b *actor) bool { return a == b })
		if w.a.state == actorWaiting && w.a.wait.any == w.col {
			m.ready(w.a)
			return
		}
	}
	wait := w.a.wait
	if w.col == wait.former && slices.Contains(wait.on, a) {
		wait.on = slices.DeleteFunc(wait.on, func(b *actor) bool { return a == b })
		if len(wait.on) == 0 && w.a.state == actorWaiting {
			m.ready(w.a)
		}
	}
}

// stoppedCleanly is R10.
func (a *actor) stoppedCleanly() bool {
	return a.stop != nil && !a.unwound && a.err != nil && onlySays(a.err, a.stop.cause)
}

// onlySays reports whether every leaf of err is a cancellation or cause.
func onlySays(err, cause error) bool {
	if err == cause || err == context.Canceled || err == tinyio.ErrCancelled {
		return true
	}
	switch e := err.(type) {
	case *tinyio.CancelledError:
		return true
	case *tinyio.TimeoutError:
		if _, timeout := cause.(*tinyio.TimeoutError); len(e.Cleanup) == 0 {
			return timeout
		}
		return !slices.ContainsFunc(e.Cleanup, func(err error) bool { return !onlySays(err, cause) })
	case interface{ Unwrap() error }:
		return e.Unwrap() != nil && onlySays(e.Unwrap(), cause)
	case interface{ Unwrap() []error }:
		return len(e.Unwrap()) > 0 && !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !onlySays(err, cause) })
	}
	return false
}

// Failure and stopping: R7 to R10, R15, R18, R19, R25 to R27.

// reasons are all reasons for which a was cancelled.
func (a *actor) reasons() []*reason {
	if a.stop != nil {
		return append([]*reason{a.stop}, a.pending...)
	}
	return a.pending
}

func (a *actor) isCancelledFor(r *reason) bool { return slices.Contains(a.reasons(), r) }

// cleansUpFor is the reason that collects what goes wrong in a; nil if that is a failure of its scope.
func (a *actor) cleansUpFor() *reason {
	r := a.stop
	if r == nil && len(a.pending) > 0 {
		r = a.pending[0]
		if a.scope.owner != nil && a.scope.owner.isCancelledFor(r) {
			return nil // the scope as a whole is inside the Shield
		}
	}
	if r == nil || r.crash == nil && (r.target == nil || r.target.state == actorDone) {
		return nil
	}
	return r
}

// fail crashes d. In a crash, an interruption of the run is no clean-up error.
func (m *model) fail(d *scope, err error, interruption bool) {
	if d.crash != nil {
		if !interruption {
			d.crash.cleanups = append(d.crash.cleanups, err)
		}
		return
	}
	d.crash = &reason{err: &tinyio.CancelledError{Cause: err}, cause: err, crash: d, original: err}
	m.endWaits(m.stopScope(d, d.crash))
}

func (m *model) report(d *scope) error {
	r := d.crash
	switch {
	case r == nil:
		return nil
	case m.mode == tinyio.GroupNever || m.mode == tinyio.GroupAuto && len(r.cleanups) == 0:
		return r.original
	}
	g := &tinyio.ErrorGroup{Errs: append([]error{r.original}, r.cleanups...)}
	if m.mode == tinyio.GroupAlways {
		for range r.finished {
			g.Errs = append(g.Errs, &tinyio.CancelledError{})
		}
	}
	return g
}

// cancel cancels a, and what depends on a, and returns all that were cancelled.
func (m *model) cancel(a *actor, r *reason) []*actor {
	if a.state == actorDone || a.isCancelledFor(r) {
		return nil
	}
	if a.stop == nil && !a.base.keepsAway(a, r) {
		a.stop = r
	} else {
		a.pending = append(a.pending, r)
	}
	for c := a.shield; c != nil; c = c.outer {
		if c.keeps(a, r) {
			m.startGrace(c)
		}
	}
	return m.propagate(a, r)
}

// propagate passes r on to the scopes that a waits for.
func (m *model) propagate(a *actor, r *reason) []*actor {
	cancelled := []*actor{a}
	if a.state == actorWaiting {
		for _, d := range a.wait.inside {
			cancelled = append(cancelled, m.stopScope(d, r)...)
		}
	}
	return cancelled
}

// stopScope cancels the members of d, except those that somebody outside waits for.
func (m *model) stopScope(d *scope, r *reason) (cancelled []*actor) {
	d.stopping = r
	if d.owner != nil && (!d.owner.isCancelledFor(r) || !d.owner.mayWait()) {
		m.spare(d, r)
	}
	for _, a := range slices.Clone(d.members) {
		cancelled = append(cancelled, m.cancel(a, r)...)
	}
	return cancelled
}

// deliverPending delivers to a the first pending reason that no Shield keeps away any more.
func (m *model) deliverPending(a *actor) []*actor {
	if a.stop == nil {
		for i, r := range a.pending {
			if !a.base.keepsAway(a, r) {
				a.stop, a.pending = r, slices.Delete(slices.Clone(a.pending), i, i+1)
				break
			}
		}
	}
	if a.stop == nil {
		return nil
	}
	for c := a.shield; c != nil && c.owner == a; c = c.outer {
		if c.keeps(a, a.stop) {
			m.startGrace(c)
		}
	}
	return m.propagate(a, a.stop)
}

// stoppedUnder reports whether a wait through the Co of c fails.
func (a *actor) stoppedUnder(c *shield) bool { return a.stop != nil && !c.keepsAway(a, a.stop) }

// mayWait reports whether a may wait: it is not stopped, or a Shield keeps the reason away.
func (a *actor) mayWait() bool { return !a.stoppedUnder(a.shield) }

// endWaits ends the waits of those that were cancelled and may not wait. Those that nobody wants any more because of a halt are
// cancelled too (R18).
func (m *model) endWaits(cancelled []*actor) {
	if m.cancelled = append(m.cancelled, cancelled...); m.ending {
		return
	}
	m.ending = true
	for left, ended := 0, 0; ended < len(m.cancelled); ended++ {
		first := left
		for ; left < len(m.cancelled); left++ {
			a := m.cancelled[left]
			if a.mayWait() || a.state != actorWaiting || a.wait.droppedWants {
				continue
			}
			a.wait.droppedWants = true
			for _, t := range a.wait.on {
				if a.stop.crash == nil && !m.wanted(t) {
					m.cancelled = append(m.cancelled, m.cancel(t, a.stop)...)
				}
			}
		}
		m.keepChildren(m.cancelled[first:left])
		if a := m.cancelled[ended]; !a.mayWait() {
			m.endWait(a)
		}
	}
	m.cancelled, m.ending = nil, false
}

// keepChildren decides what those go on waiting for that wait for any of several and are stopped together: the ones that are being
// stopped too, except those that in turn wait for them, directly or not, by the waits that are left (R9).
func (m *model) keepChildren(stopped []*actor) {
	type wait struct{ a, t *actor }
	var inRings []wait
	var ranging []*actor
	for _, a := range stopped {
		if w := a.wait; !a.mayWait() && w != nil && w.any != nil && (a.state == actorWaiting || a.state == actorReady) {
			ranging = append(ranging, a)
			for _, t := range w.any.left {
				if len(t.reasons()) > 0 && !slices.Contains(w.on, t) {
					w.on = append(w.on, t)
				}
			}
			w.any, w.former = nil, w.any
		}
	}
	for _, a := range ranging {
		for _, t := range a.wait.on {
			if m.reaches(t, a) {
				inRings = append(inRings, wait{a, t})
			}
		}
	}
	for _, w := range inRings {
		w.a.wait.on = slices.DeleteFunc(w.a.wait.on, func(t *actor) bool { return t == w.t })
	}
}

// wanted reports whether t goes on: an actor that is not being stopped waits for it, or it was spawned or is the first of its scope.
func (m *model) wanted(t *actor) bool {
	return t.spawned || t.scope.first == t || slices.ContainsFunc(m.started, func(a *actor) bool {
		return a.state == actorWaiting && !a.wait.droppedWants && slices.Contains(a.wait.on, t)
	})
}

func (m *model) endWait(a *actor) {
	switch {
	case a.state == actorReady && !a.begun:
		a.err = a.stop.err
		m.finish(a)
		return
	case a.state != actorWaiting:
		return
	}
	w := a.wait
	switch {
	case w.callback:
		if cancel := a.cancel; cancel != nil && !a.called {
			a.cancel = nil
			cancel(a.stop.cause)
		}
	case w.inside != nil:
	case w.former != nil || len(w.on) > 0:
		m.drop(w.timer)
		for _, t := range slices.Clone(w.on) { // children first: it goes on waiting for those that are being stopped too
			if len(t.reasons()) == 0 {
				m.stopWaiting(a, t)
			}
		}
		if len(w.on) == 0 {
			m.ready(a)
		}
	case w.line != nil:
		*w.line = without(*w.line, a)
		m.ready(a)
	default:
		m.ready(a)
	}
}

// reaches reports whether t waits for a, directly or not.
func (m *model) reaches(t, a *actor) bool {
	seen := []*actor{t}
	for i := 0; i < len(seen); i++ {
		if seen[i] == a {
			return true
		}
		for _, b := range m.started {
			if !slices.Contains(seen, b) && seen[i].waitsFor(b) {
				seen = append(seen, b)
			}
		}
	}
	return false
}

// waitsFor reports whether a waits for b and, if a is being stopped, goes on waiting for it.
func (a *actor) waitsFor(b *actor) bool {
	w := a.wait
	switch {
	case a.state == actorWaiting && w.inside != nil:
		return slices.Contains(w.inside, b.scope)
	case a.state == actorWaiting && w.any != nil:
		return slices.Contains(w.any.left, b)
	case a.state == actorWaiting || a.state == actorReady && w != nil && w.former != nil:
		return slices.Contains(w.on, b) && (len(b.reasons()) > 0 || a.mayWait())
	}
	return false
}

// Shared work: R19.

// isIn reports whether d is e or inside it.
func (d *scope) isIn(e *scope) bool {
	for d != e {
		if d.owner == nil {
			return false
		}
		d = d.owner.scope
	}
	return true
}

// isStoppedFor reports whether the members of d, or of a scope around it, are being stopped because of r.
func (d *scope) isStoppedFor(r *reason) bool {
	for d.stopping != r {
		if d.owner == nil {
			return false
		}
		d = d.owner.scope
	}
	return true
}

// all are the members of d and of the scopes inside it.
func (d *scope) all() (all []*actor) {
	for _, a := range d.members {
		all = append(all, a)
		if a.state == actorWaiting {
			for _, inner := range a.wait.inside {
				all = append(all, inner.all()...)
			}
		}
	}
	return all
}

// spare moves members out of d, which is about to be stopped because of r: those that somebody outside waits for and, with each of them,
// what it waits for and what it has spawned.
func (m *model) spare(d *scope, r *reason) {
	home := map[*actor]*scope{}
	var spared []*actor
	add := func(a *actor, to *scope) {
		if home[a] == nil && a.stop == nil && a.scope.isIn(d) {
			home[a] = to
			spared = append(spared, a)
		}
	}
	outside := func(a *actor) bool {
		return !a.scope.isIn(d) && !a.scope.isStoppedFor(r) && !a.isCancelledFor(r) && a.mayWait()
	}
	for _, a := range d.all() {
		if i := slices.IndexFunc(a.watchers, func(w watcher) bool { return outside(w.a) }); i >= 0 {
			add(a, a.watchers[i].a.scope)
		}
	}
	for i := 0; i < len(spared); i++ {
		a := spared[i]
		if a.state == actorWaiting {
			for _, t := range a.targets() {
				add(t, home[a])
			}
		}
		for _, b := range d.all() {
			if b.startedBy() == a {
				to := home[a]
				for to.owner != nil && m.reaches(b, to.owner) { // otherwise b and the owner would wait for each other
					to = to.owner.scope
				}
				add(b, to)
			}
		}
	}
	var left []*scope
	for _, a := range d.all() {
		if to, from := home[a], a.scope; to != nil && (from == d || home[from.owner] == nil) {
			if !slices.Contains(left, from) {
				left = append(left, from)
			}
			from.members = without(from.members, a)
			a.pending = slices.DeleteFunc(slices.Clone(a.pending), func(s *reason) bool { return s == r })
			if from.first == a {
				from.first = nil // the owner of from no longer wants it
			}
			a.scope = to
			to.members = append(to.members, a)
		}
	}
	for _, from := range left {
		m.memberLeft(from)
	}
}

// targets are those that a waits for, in the order in which it listed them.
func (a *actor) targets() []*actor {
	w := a.wait
	switch {
	case w.any != nil:
		return w.any.left
	case w.inside != nil:
		var all []*actor
		for _, d := range w.inside {
			all = append(all, d.members...)
		}
		return all
	}
	return w.on
}

// settleElder sets the elder of a when a spawns another one for the first time. The elders must not make a ring: those below a, whose
// elders are being set too, are no elders of it.
func (a *actor) settleElder(below ...*actor) {
	if a.scope.owner == nil || a.elder != nil {
		return
	}
	below = append(below, a)
	switch {
	case a.starter != nil:
		a.elder = a.starter
	case len(a.watchers) > 0 && !slices.Contains(below, a.watchers[0].a):
		a.elder = a.watchers[0].a
		a.elder.settleElder(below...)
	default:
		a.elder = a
	}
}

// startedBy is the one that has spawned a or, if that has finished, the nearest of its elders that has not.
func (a *actor) startedBy() *actor {
	s := a.starter
	for s != nil && s.state == actorDone {
		if s.elder == s {
			return nil
		}
		s = s.elder
	}
	return s
}

// Shields: R13.

// keepsAway reports whether c, or a Shield around it, keeps r away from a.
func (c *shield) keepsAway(a *actor, r *reason) bool {
	for ; c != nil; c = c.outer {
		if c.keeps(a, r) {
			return true
		}
	}
	return false
}

// keeps reports whether c alone keeps r away from a. If a is not the owner of c, the owner must have been cancelled for r too.
func (c *shield) keeps(a *actor, r *reason) bool {
	return c.open && (c.owner == a || c.owner.isCancelledFor(r))
}

// startGrace starts the grace period of c when there is a reason to keep away for the first time.
func (m *model) startGrace(c *shield) {
	if c.timer == nil {
		c.timer = m.after(c.grace, func() { m.endWaits(m.closeShield(c)) })
	}
}

// closeShield closes c and returns those to which something may have been delivered.
func (m *model) closeShield(c *shield) (cancelled []*actor) {
	if !c.open {
		return nil
	}
	c.open = false
	m.drop(c.timer)
	cancelled = append(m.deliverPending(c.owner), m.deliverPendingIn(c)...)
	for _, d := range c.owner.ownShields() {
		if d != c && d.within(c) {
			cancelled = append(cancelled, m.deliverPendingIn(d)...)
		}
	}
	return cancelled
}

func (c *shield) within(d *shield) bool {
	for ; c != nil; c = c.outer {
		if c == d {
			return true
		}
	}
	return false
}

// membersAt is c or, if that is over, the one around it that has got the members of c.
func (c *shield) membersAt() *shield {
	for c.over && c.outer != nil {
		c = c.outer
	}
	return c
}

// ownShields are the Shields of a, the outermost first.
func (a *actor) ownShields() (own []*shield) {
	for c := a.shield; c != nil && c.owner == a; c = c.outer {
		own = append(own, c)
	}
	slices.Reverse(own)
	return own
}

// deliverPendingIn calls deliverPending for those inside c, and after each for those inside its own Shields.
func (m *model) deliverPendingIn(c *shield) (cancelled []*actor) {
	for _, a := range slices.Clone(c.members) {
		cancelled = append(cancelled, m.deliverPending(a)...)
		for _, d := range a.ownShields() {
			cancelled = append(cancelled, m.deliverPendingIn(d)...)
		}
	}
	return cancelled
}

// Cycles: R17.

// stuck reports whether a can never go on, as far as that depends on coroutines.
func (m *model) stuck(a *actor) bool {
	free := map[*actor]bool{}
	for more := true; more; {
		more = false
		for _, b := range append([]*actor{a}, m.started...) {
			if !free[b] && m.free(b, free) {
				free[b], more = true, true
			}
		}
	}
	return !free[a]
}

func (m *model) free(a *actor, free map[*actor]bool) bool {
	w := a.wait
	isFree := func(b *actor) bool { return b.state == actorFresh || free[b] }
	switch {
	case a.state != actorWaiting && !(a.state == actorReady && w != nil && w.former != nil):
		return true
	case w.inside != nil:
		return !slices.ContainsFunc(m.started, func(b *actor) bool { return slices.Contains(w.inside, b.scope) && !free[b] })
	case w.any != nil:
		return len(w.any.ended) > 0 || slices.ContainsFunc(w.any.left, isFree)
	}
	return !slices.ContainsFunc(w.on, func(b *actor) bool { return !isFree(b) })
}

// A modelHand is the Co of an actor: the original one, or that of a Shield.
type modelHand struct {
	a *actor
	c *shield
}

// refused is the error of a coroutine that is being stopped and asks to suspend (R8, R11).
func (h modelHand) refused() error {
	if !h.a.stoppedUnder(h.c) {
		return nil
	}
	if h.a.attempts++; h.a.attempts > 100 {
		panic(errUnwound)
	}
	return h.a.stop.err
}

func (h modelHand) Stopped() bool { return h.a.stoppedUnder(h.c) }
func (h modelHand) Now() int      { return h.a.m.now }

func (h modelHand) Yield() error {
	if err := h.refused(); err != nil {
		return err
	}
	return h.a.turnOver(h.c)
}

func (h modelHand) Sleep(d int) error {
	if d == 0 {
		return h.Yield()
	}
	if err := h.refused(); err != nil {
		return err
	}
	m, a := h.a.m, h.a
	return a.pause(h.c, &modelWait{timer: m.after(d, func() { m.ready(a) })})
}

func (h modelHand) Spawn(js []int) error {
	if err := h.refused(); err != nil {
		return err
	}
	for _, j := range js {
		t := h.a.m.actors[j]
		if t.state != actorFresh && !h.a.daemon {
			t.daemon = false
		}
		h.want(t)
	}
	return h.a.turnOver(h.c)
}

// SpawnDaemon is R27.
func (h modelHand) SpawnDaemon(js []int) error {
	if err := h.refused(); err != nil {
		return err
	}
	for _, j := range js {
		if t := h.a.m.actors[j]; t.state == actorFresh {
			t.daemon = true
		}
		h.want(h.a.m.actors[j])
	}
	return h.a.turnOver(h.c)
}

// want spawns t.
func (h modelHand) want(t *actor) {
	if t.state == actorFresh && h.a.scope.owner != nil {
		h.a.settleElder()
		t.starter = h.a
	}
	h.startFor(t)
	if t.state != actorDone {
		t.spawned = true
	}
}

func (h modelHand) startFor(t *actor) {
	if t.state == actorFresh {
		h.a.m.start(t, h.a)
	}
}

// waitFor waits for all of js, for at most d if that is not negative.
func (h modelHand) waitFor(js []int, d int) error {
	if err := h.refused(); err != nil {
		return err
	}
	m, a := h.a.m, h.a
	if len(js) == 0 {
		return a.turnOver(h.c)
	}
	w := new(modelWait)
	for _, j := range js {
		if t := m.actors[j]; t.state != actorDone && !slices.Contains(w.on, t) {
			w.on = append(w.on, t)
		}
	}
	a.state, a.wait = actorWaiting, w
	if m.stuck(a) {
		return h.cycle()
	}
	if len(w.on) == 0 {
		return a.turnOver(h.c)
	}
	if d >= 0 {
		w.timer = m.after(d, func() { m.giveUp(a, d) })
	}
	for _, t := range w.on {
		h.startFor(t)
		t.watchers = append(t.watchers, watcher{a: a})
	}
	return a.pause(h.c, w)
}

// cycle refuses a wait that would close a cycle.
func (h modelHand) cycle() error {
	err := h.a.turnOver(h.c)
	if err == nil {
		err = new(tinyio.CycleError)
	}
	return err
}

// giveUp ends the wait of a for its only coroutine after d (R18).
func (m *model) giveUp(a *actor, d int) {
	t, w := a.wait.on[0], a.wait
	timeout := &tinyio.TimeoutError{After: seconds(d)}
	w.err, w.droppedWants = timeout, true
	wanted := m.wanted(t)
	if !wanted {
		w.halting = &reason{err: timeout, cause: timeout, target: t}
		m.endWaits(m.cancel(t, w.halting))
	}
	if wanted && len(t.reasons()) == 0 {
		m.stopWaiting(a, t)
		m.ready(a)
	}
}

// takeCleanups takes what went wrong in those that a has just halted by w. If a is itself being stopped, it keeps that until it finishes.
func (h modelHand) takeCleanups(w *modelWait) (errs []error) {
	if w == nil || w.halting == nil {
		return nil
	}
	errs, w.halting = w.halting.cleanups, nil
	if h.Stopped() {
		h.a.cleanups = append(h.a.cleanups, errs...)
		return nil
	}
	return errs
}

// stopWaiting makes a wait for t no longer. A collection keeps t.
func (m *model) stopWaiting(a, t *actor) {
	a.wait.on = without(a.wait.on, t)
	t.watchers = slices.DeleteFunc(t.watchers, func(w watcher) bool { return w.a == a && w.col == nil })
}

func (h modelHand) Await(j int) (int, error) {
	t := h.a.m.actors[j]
	if err := h.waitFor([]int{j}, -1); err != nil {
		return t.result(err)
	}
	return t.value, t.err
}

// result is what an interrupted wait for t returns (R28).
func (t *actor) result(err error) (int, error) {
	if t.state == actorDone && t.err == nil {
		return t.value, err
	}
	return 0, err
}

func (h modelHand) Gather(js []int) ([]int, error) {
	err := h.waitFor(js, -1)
	values := []int{}
	for _, j := range js {
		t := h.a.m.actors[j]
		if t.state != actorDone || t.err != nil {
			if err == nil {
				err = t.err
			}
			return nil, err
		}
		values = append(values, t.value)
	}
	return values, err
}

func (h modelHand) Timeout(j, d int) (int, error) {
	t := h.a.m.actors[j]
	err := h.waitFor([]int{j}, d)
	cleanups := h.takeCleanups(h.a.wait) // nil if the wait was refused: then that is the wait before, whose Timeout took them
	switch {
	case err == nil:
		return t.value, t.err
	case h.Stopped():
	case len(cleanups) > 0:
		err = &tinyio.TimeoutError{After: seconds(d), Cleanup: cleanups}
	case t.state == actorDone && t.err == nil:
		err = nil
	}
	return t.result(err)
}

// Cancel is R25.
func (h modelHand) Cancel(j int) error {
	if err := h.refused(); err != nil {
		return err
	}
	m, a, t := h.a.m, h.a, h.a.m.actors[j]
	if t.state == actorDone {
		return a.turnOver(h.c)
	}
	w := &modelWait{on: []*actor{t}, droppedWants: true}
	a.state, a.wait = actorWaiting, w
	if m.stuck(a) {
		return h.cycle()
	}
	h.startFor(t)
	t.watchers = append(t.watchers, watcher{a: a})
	w.halting = &reason{err: &tinyio.CancelledError{Cause: errCancel}, cause: errCancel, target: t}
	m.endWaits(m.cancel(t, w.halting))
	err := a.rest(h.c)
	if cleanups := h.takeCleanups(w); err == nil {
		return errors.Join(cleanups...)
	}
	return err
}

// errCancel is what programs cancel each other for.
var errCancel = errors.New("no longer wanted")

func (h modelHand) Isolate(j int) (int, error) {
	m, a, t := h.a.m, h.a, h.a.m.actors[j]
	if t.state != actorFresh {
		return h.Await(j)
	}
	if err := h.refused(); err != nil {
		return 0, err
	}
	d := &scope{owner: a}
	a.state, a.wait = actorWaiting, &modelWait{inside: []*scope{d}}
	m.begin(d, t, a)
	err := a.rest(h.c)
	if failed := m.report(d); failed != nil {
		return 0, failed
	}
	if err == nil {
		return t.value, t.err
	}
	return t.result(err)
}

// First is R26.
func (h modelHand) First(js []int) (int, error) {
	if err := h.refused(); err != nil {
		return 0, err
	}
	m, a := h.a.m, h.a
	w := &modelWait{racing: true}
	var tries []*actor
	for i, j := range js {
		t := m.actors[j]
		if t.state != actorFresh || slices.Contains(js[:i], j) {
			t = &actor{m: m, id: -1, fn: func(h hand) (int, error) {
				v, err := h.Await(j)
				if t := m.actors[j]; t.state == actorDone { // also if this one is stopped
					err = t.err
				}
				return v, err
			}}
		}
		tries = append(tries, t)
		w.inside = append(w.inside, &scope{owner: a})
	}
	a.state, a.wait = actorWaiting, w
	for i, t := range tries {
		m.begin(w.inside[i], t, a)
	}
	err := a.rest(h.c)
	switch {
	case w.winner != nil:
		return w.winner.value, err
	case err != nil:
		return 0, err
	}
	var errs []error
	for i, d := range w.inside {
		err := m.report(d)
		if err == nil {
			err = tries[i].err
		}
		errs = append(errs, err)
	}
	return 0, errors.Join(errs...)
}

func (h modelHand) AsCompleted(js []int, yield func(int, error) bool) {
	h.collect(js, func(t *actor, err error) bool {
		switch {
		case t == nil:
			return yield(0, err)
		case err != nil:
			return yield(t.result(err))
		}
		return yield(t.value, t.err)
	})
}

// WaitAny is the first step of AsCompleted.
func (h modelHand) WaitAny(js []int) (first int, failed error) {
	h.collect(js, func(t *actor, err error) bool {
		if first, failed = -1, err; t != nil {
			first = slices.IndexFunc(js, func(j int) bool { return h.a.m.actors[j] == t })
			if err == nil {
				failed = t.err
			}
		}
		return false
	})
	return first, failed
}

// collect yields js as they finish. The error is its own; beside it is an actor that has finished all the same (R28).
func (h modelHand) collect(js []int, yield func(t *actor, err error) bool) {
	if err := h.refused(); err != nil {
		yield(nil, err)
		return
	}
	m := h.a.m
	col := new(collection)
	for _, j := range js {
		if t := m.actors[j]; t.state == actorDone {
			col.ended = append(col.ended, t)
		} else {
			col.left = append(col.left, t)
		}
	}
	defer func() {
		for _, t := range m.actors {
			t.watchers = slices.DeleteFunc(t.watchers, func(w watcher) bool { return w.col == col })
		}
	}()
	for range js {
		var t *actor
		err := h.next(col)
		if len(col.ended) > 0 {
			t, col.ended = col.ended[0], col.ended[1:]
		}
		if !yield(t, err) || err != nil {
			return
		}
	}
}

func (h modelHand) next(col *collection) error {
	if err := h.refused(); err != nil {
		return err
	}
	m, a := h.a.m, h.a
	w := &modelWait{any: col, droppedWants: true}
	a.state, a.wait = actorWaiting, w
	if m.stuck(a) {
		return h.cycle()
	}
	h.begin(col)
	if len(col.ended) > 0 {
		m.ready(a)
	}
	err := a.rest(h.c)
	if len(w.on) > 0 { // it was stopped when it was ready: it waits for the others that are being stopped
		err = a.pause(h.c, w)
	}
	return err
}

// begin starts those of col that are fresh, the first time.
func (h modelHand) begin(col *collection) {
	if col.begun {
		return
	}
	col.begun = true
	for _, t := range col.left {
		h.want(t)
		t.watchers = append(t.watchers, watcher{h.a, col})
	}
}

func (h modelHand) Shield(grace int, fn func(h hand) error) error {
	m, a := h.a.m, h.a
	c := &shield{owner: a, outer: a.shield, open: true, grace: grace}
	a.shield = c
	if len(a.reasons()) > 0 {
		m.startGrace(c)
	}
	defer func() {
		a.shield = c.outer
		m.endWaits(m.closeShield(c))
		if c.outer != nil {
			in := c.outer.membersAt()
			in.members = append(in.members, c.members...)
			c.members = nil
		}
		c.over = true
	}()
	return fn(modelHand{a, c})
}

func (h modelHand) SetEvent(e int) {
	ev := &h.a.m.events[e]
	ev.set = true
	for _, a := range ev.line {
		h.a.m.ready(a)
	}
	ev.line = nil
}

func (h modelHand) ClearEvent(e int)      { h.a.m.events[e].set = false }
func (h modelHand) IsSet(e int) bool      { return h.a.m.events[e].set }
func (h modelHand) WaitEvent(e int) error { _, err := h.WaitEventFor(e, -1); return err }

func (h modelHand) WaitEventFor(e, d int) (bool, error) {
	if err := h.refused(); err != nil {
		return false, err
	}
	m, a, ev := h.a.m, h.a, &h.a.m.events[e]
	if ev.set {
		return true, a.turnOver(h.c)
	}
	w := &modelWait{line: &ev.line}
	ev.line = append(ev.line, a)
	if d >= 0 {
		w.timer = m.after(d, func() {
			ev.line = slices.DeleteFunc(ev.line, func(b *actor) bool { return a == b })
			w.outOfTime = true
			m.ready(a)
		})
	}
	err := a.pause(h.c, w)
	return !w.outOfTime, err
}

// letOthers gives the others a turn before the actor is served at once, if that has happened too often in this one.
func (h modelHand) letOthers() error {
	m := h.a.m
	if m.served++; m.served == m.maxServed {
		return h.a.turnOver(h.c)
	}
	return nil
}

// Acquire does not suspend if there are permits enough and nobody waits. Permits that were granted to somebody who is stopped before its
// turn are handed on, and so are those that one behind it may have, if it gives up.
func (h modelHand) Acquire(s, n int) error {
	if err := h.refused(); err != nil {
		return err
	}
	sem := &h.a.m.semaphores[s]
	if len(sem.line) == 0 && sem.free >= n {
		if err := h.letOthers(); err != nil {
			return err
		}
	}
	if len(sem.line) == 0 && sem.free >= n {
		sem.free -= n
		return nil
	}
	w := &modelWait{line: &sem.line, value: n}
	sem.line = append(sem.line, h.a)
	err := h.a.pause(h.c, w)
	if err != nil {
		if !w.granted {
			n = 0
		}
		h.Release(s, n)
	}
	return err
}

func (h modelHand) Release(s, n int) {
	sem := &h.a.m.semaphores[s]
	sem.free += n
	for len(sem.line) > 0 && sem.line[0].wait.value <= sem.free {
		a := sem.line[0]
		sem.line = sem.line[1:]
		sem.free -= a.wait.value
		a.wait.granted = true
		h.a.m.ready(a)
	}
}

func (h modelHand) Barrier(b int) (int, error) {
	if err := h.refused(); err != nil {
		return 0, err
	}
	bar := &h.a.m.barriers[b]
	if len(bar.line)+1 < bar.n {
		w := &modelWait{line: &bar.line}
		bar.line = append(bar.line, h.a)
		if err := h.a.pause(h.c, w); !w.granted {
			return 0, err
		}
		return w.index, nil
	}
	for i, a := range bar.line {
		a.wait.index, a.wait.granted = i, true
		h.a.m.ready(a)
	}
	bar.line = nil
	_ = h.a.turnOver(h.c)
	return bar.n - 1, nil
}

// Put puts at once if there is room, or somebody who waits for a value; otherwise it stands in line.
func (h modelHand) Put(q, v int) error {
	if err := h.refused(); err != nil {
		return err
	}
	qu := &h.a.m.queues[q]
	if !qu.closed && (len(qu.getters) > 0 || len(qu.values) < qu.capacity) {
		if err := h.letOthers(); err != nil {
			return err
		}
	}
	switch {
	case h.TryPut(q, v):
		return nil
	case qu.closed:
		return h.closed()
	}
	w := &modelWait{line: &qu.putters, value: v}
	qu.putters = append(qu.putters, h.a)
	return w.settled(h.a.pause(h.c, w))
}

func (h modelHand) Get(q int) (int, error) {
	if err := h.refused(); err != nil {
		return 0, err
	}
	qu := &h.a.m.queues[q]
	if len(qu.values) > 0 || len(qu.putters) > 0 {
		if err := h.letOthers(); err != nil {
			return 0, err
		}
	}
	if v, ok := h.TryGet(q); ok {
		return v, nil
	}
	if qu.closed {
		return 0, h.closed()
	}
	w := &modelWait{line: &qu.getters}
	qu.getters = append(qu.getters, h.a)
	err := w.settled(h.a.pause(h.c, w))
	return w.value, err
}

// closed takes a turn before the error.
func (h modelHand) closed() error {
	if err := h.a.turnOver(h.c); err != nil {
		return err
	}
	return tinyio.ErrClosed
}

// settled is what a wait for a queue ends with: what was granted stands.
func (w *modelWait) settled(err error) error {
	switch {
	case w.granted:
		return nil
	case err == nil && w.refused:
		return tinyio.ErrClosed
	}
	return err
}

func (h modelHand) TryPut(q, v int) bool {
	qu := &h.a.m.queues[q]
	if qu.closed || len(qu.getters) == 0 && len(qu.values) >= qu.capacity {
		return false
	}
	qu.values = append(qu.values, v)
	h.serve(qu)
	return true
}

func (h modelHand) TryGet(q int) (v int, ok bool) {
	qu := &h.a.m.queues[q]
	if len(qu.values) == 0 && len(qu.putters) == 0 {
		return 0, false
	}
	qu.capacity++ // for the value that is about to go
	h.serve(qu)
	qu.capacity--
	v, qu.values = qu.values[0], qu.values[1:]
	return v, true
}

// serve gives room and values to those who wait.
func (h modelHand) serve(qu *modelQueue) {
	for len(qu.putters) > 0 && len(qu.values) < qu.capacity {
		a := qu.putters[0]
		qu.putters, qu.values = qu.putters[1:], append(qu.values, a.wait.value)
		a.wait.granted = true
		h.a.m.ready(a)
	}
	for len(qu.getters) > 0 && len(qu.values) > 0 {
		a := qu.getters[0]
		a.wait.value, a.wait.granted = qu.values[0], true
		qu.getters, qu.values = qu.getters[1:], qu.values[1:]
		h.a.m.ready(a)
	}
}

func (h modelHand) Len(q int) int { return len(h.a.m.queues[q].values) }

func (h modelHand) Close(q int) {
	qu := &h.a.m.queues[q]
	qu.closed = true
	for _, a := range append(qu.getters, qu.putters...) {
		a.wait.refused = true
		h.a.m.ready(a)
	}
	qu.getters, qu.putters = nil, nil
}

// newModel returns a model that is going to run p, whose functions are those of x.
func newModel(p *program, x *player) *model {
	m := &model{mode: p.mode, events: make([]modelEvent, p.events), maxServed: p.maxServed}
	for _, n := range p.semaphores {
		m.semaphores = append(m.semaphores, modelSemaphore{free: n})
	}
	for _, n := range p.barriers {
		m.barriers = append(m.barriers, modelBarrier{n: n})
	}
	for _, n := range p.queues {
		m.queues = append(m.queues, modelQueue{capacity: n})
	}
	for i, c := range p.coros {
		a := &actor{m: m, id: i, fn: func(h hand) (int, error) { return x.play(h, i) }}
		if c.callback {
			a.callback = func(done func(int, error)) func(error) { return x.startCallback(i, done) }
		}
		m.actors = append(m.actors, a)
	}
	m.idle = x.completeOldest
	x.interrupt = func() { m.interrupted = true }
	return m
}

// check wants the model itself to be in order at the end.
func (m *model) check() error {
	for i, s := range m.semaphores {
		if len(s.line) > 0 {
			return fmt.Errorf("the model has left somebody waiting for semaphore %d", i)
		}
	}
	return nil
}
