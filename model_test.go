package tinyio_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tinyio-go/tinyio"
)

// This file is the reference model: the rules of this package, as simply as they can be written down, to compare the package
// with. It looks for what it needs in plain slices, works everything out anew each time, and shares no code with the
// package but the types of its errors. Its time is in whole seconds.
//
// It covers R1 to R5 and R7 to R13, R15, R17 to R19, R21 and R24, for one run of one loop. It knows nothing of panics and
// Goexit, threads, traces and real time, of loops inside loops and coroutines of other loops: the fault sweep
// (sweep_test.go) and the tests of the rules are for these.
//
// Where the rules leave an order open, the model settles it: the coroutines that are stopped together hear of it in the order
// in which they were started, those inside an Isolate right after the coroutine that isolates them.

// A model is a loop.
type model struct {
	mode        tinyio.GroupMode
	now         int
	queue       []*actor // the ready ones, first in, first out
	started     []*actor // all that have been started and have not finished, in that order
	alarms      []*alarm // in the order in which they were set
	actors      []*actor
	events      []modelEvent
	semaphores  []modelSemaphore
	barriers    []modelBarrier
	queues      []modelQueue
	root        *domain
	interrupted bool // the context of the run is done
	idle        func() bool
}

// An actor is a coroutine.
type actor struct {
	m        *model
	id       int
	state    actorState
	begun    bool
	domain   *domain
	base     *cover // the innermost Shield in which it was started
	cover    *cover // the innermost Shield in which it is now
	reasons  []*stopReason
	why      *stopReason // the first reason that no Shield around it keeps away: the one that sticks
	attempts int
	unwound  bool
	spawned  bool
	wait     *modelWait
	watchers []watcher // who waits for it, in the order in which they began to
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
	on        []*actor // coroutines, each once
	any       *collection
	kept      *collection // any, until it was stopped: on are those of it that it still waits for
	inside    *domain
	line      *[]*actor
	alarm     *alarm
	callback  bool
	gaveUp    bool // it no longer counts as somebody who wants those it waits for
	err       error
	granted   bool // a permit, or the opening of a barrier
	index     int
	outOfTime bool
	value     int // that it puts, or was given
	refused   bool
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

// A domain is a crash domain: the run, or one Isolate.
type domain struct {
	parent    *domain
	owner     *actor
	first     *actor
	outside   bool        // it is being stopped by a crash outside
	reason    *stopReason // why it is being stopped, if it is
	crashed   bool
	original  error
	cleanups  []error
	cancelled int
}

// A stopReason is why actors are stopped.
type stopReason struct {
	err   error
	cause error
	crash bool
	of    *domain // that has crashed
	from  *cover  // the Shield inside which the reason arose
}

// A cover is one call of Shield.
type cover struct {
	owner *actor
	outer *cover
	open  bool
	grace int
	alarm *alarm
}

type alarm struct {
	when int
	fire func()
}

type modelEvent struct {
	set  bool
	line []*actor
}

type modelSemaphore struct {
	free int
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
	m.root = &domain{first: m.actors[0]}
	m.start(m.actors[0], m.root, nil)
	for len(m.started) > 0 {
		if m.interrupted && !m.root.crashed {
			m.crash(m.root, errInterrupted, true)
		}
		m.fire()
		switch {
		case len(m.queue) > 0:
			a := m.queue[0]
			m.queue = m.queue[1:]
			if a.state == actorReady {
				m.turn(a)
			}
		case m.earliest() != nil:
			m.now = m.earliest().when
		case m.idle():
		case m.root.crashed:
			return 0, errStuck
		default:
			m.crash(m.root, new(tinyio.DeadlockError), false)
		}
	}
	if err := m.report(m.root); err != nil {
		return 0, err
	}
	return m.actors[0].value, nil
}

// Time: R4.

func (m *model) earliest() (first *alarm) {
	for _, a := range m.alarms {
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

func (m *model) after(d int, fire func()) *alarm {
	a := &alarm{m.now + d, fire}
	m.alarms = append(m.alarms, a)
	return a
}

func (m *model) drop(a *alarm) {
	m.alarms = slices.DeleteFunc(m.alarms, func(b *alarm) bool { return a == b })
}

// Turns: R1, R2.

func (m *model) start(a *actor, d *domain, c *cover) {
	a.domain, a.base, a.cover = d, c, c
	m.started = append(m.started, a)
	m.ready(a)
	if d.reason != nil { // only somebody behind a Shield can start it, and a is behind it too
		m.tell(a, d.reason)
	}
}

// ready puts a at the back of the queue. Whatever it was waiting for is over.
func (m *model) ready(a *actor) {
	if a.wait != nil {
		m.drop(a.wait.alarm)
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

// pause waits for what w says, through the handle of c.
func (a *actor) pause(c *cover, w *modelWait) error {
	a.state, a.wait = actorWaiting, w
	return a.rest(c)
}

// turnOver waits for the next turn.
func (a *actor) turnOver(c *cover) error {
	a.wait = new(modelWait)
	a.m.ready(a)
	return a.rest(c)
}

func (a *actor) rest(c *cover) error {
	a.yield(struct{}{})
	if a.stoppedUnder(c) {
		return a.why.err
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

// finish settles a: those who wait for it become ready, an error of its own crashes its domain.
func (m *model) finish(a *actor) {
	a.state = actorDone
	m.started = slices.DeleteFunc(m.started, func(b *actor) bool { return a == b })
	if a.why != nil && a.why.crash {
		a.answerable().cancelled++
	}
	for _, w := range a.watchers {
		m.tellOfEnd(w, a)
	}
	a.watchers = nil
	if a.err != nil && !a.stoppedCleanly() {
		m.crash(a.answerable(), a.err, false)
	}
	if d := a.domain; d.owner != nil && !m.alive(d) {
		m.ready(d.owner)
	}
}

func (m *model) tellOfEnd(w watcher, a *actor) {
	if w.col != nil {
		w.col.ended = append(w.col.ended, a)
		w.col.left = slices.DeleteFunc(w.col.left, func(b *actor) bool { return a == b })
		if w.a.state == actorWaiting && w.a.wait.any == w.col {
			m.ready(w.a)
			return
		}
	}
	wait := w.a.wait
	if w.col == wait.kept && slices.Contains(wait.on, a) {
		wait.on = slices.DeleteFunc(wait.on, func(b *actor) bool { return a == b })
		if len(wait.on) == 0 && w.a.state == actorWaiting {
			m.ready(w.a)
		}
	}
}

func (m *model) alive(d *domain) bool {
	return slices.ContainsFunc(m.started, func(a *actor) bool { return a.domain == d })
}

// stoppedCleanly is R10.
func (a *actor) stoppedCleanly() bool {
	return a.why != nil && !a.unwound && (errors.Is(a.err, tinyio.ErrCancelled) || errors.Is(a.err, a.why.cause))
}

// Failure: R7, R8, R9, R15.

// answerable is the domain that has to do with an error in d: while d is being stopped from outside, the one outside.
func (d *domain) answerable() *domain {
	for d.outside {
		d = d.parent
	}
	return d
}

// answerable is the domain that has to do with an error of a: that of the crash for which it is being stopped, or its own (R10).
func (a *actor) answerable() *domain {
	if a.why != nil && a.why.crash {
		return a.why.of.answerable()
	}
	return a.domain.answerable()
}

// crash stops all of d. When nothing has failed, but the run is interrupted, no error of clean-up is made of it.
func (m *model) crash(d *domain, err error, interruption bool) {
	if d.crashed {
		if !interruption {
			d.cleanups = append(d.cleanups, err)
		}
		return
	}
	d.crashed, d.original = true, err
	r := &stopReason{err: &tinyio.CancelledError{Cause: err}, cause: err, crash: true, of: d}
	if d.owner != nil {
		r.from = d.owner.cover
	}
	d.reason = r
	m.endWaits(m.tellAll(d, r))
}

func (m *model) report(d *domain) error {
	switch {
	case !d.crashed:
		return nil
	case m.mode == tinyio.GroupNever || m.mode == tinyio.GroupAuto && len(d.cleanups) == 0:
		return d.original
	}
	g := &tinyio.ErrorGroup{Errs: append([]error{d.original}, d.cleanups...)}
	if m.mode == tinyio.GroupAlways {
		for range d.cancelled {
			g.Errs = append(g.Errs, &tinyio.CancelledError{})
		}
	}
	return g
}

// tellAll tells everybody in d, and inside those who isolate, and returns them.
func (m *model) tellAll(d *domain, r *stopReason) (told []*actor) {
	for _, a := range slices.Clone(m.started) {
		if a.domain == d {
			told = append(told, m.tell(a, r)...)
		}
	}
	return told
}

// tell tells a to stop and returns those who were told.
func (m *model) tell(a *actor, r *stopReason) []*actor {
	if a.state == actorDone || slices.Contains(a.reasons, r) {
		return nil
	}
	a.reasons = append(a.reasons, r)
	for c := a.cover; c != nil && !(c == r.from && c.owner != a); c = c.outer {
		m.keepAway(c, a, r)
	}
	told := append([]*actor{a}, m.hear(a)...)
	if a.state == actorWaiting && a.wait.inside != nil {
		told = append(told, m.tellAll(a.wait.inside, r)...) // whoever waits for them is to know, also if a Shield protects them
	}
	return told
}

// hear passes on inside what has come to a, if a isolates.
func (m *model) hear(a *actor) (told []*actor) {
	a.settleWhy()
	if a.stoppedUnder(a.cover) && a.state == actorWaiting && a.wait.inside != nil {
		a.wait.inside.outside, a.wait.inside.reason = a.why.crash, a.why
		for _, b := range slices.Clone(m.started) {
			if b.domain == a.wait.inside {
				told = append(told, m.tellAgain(b, a.why)...)
			}
		}
	}
	return told
}

// tellAgain tells a to stop, or that what a Shield has kept away may come over it now.
func (m *model) tellAgain(a *actor, r *stopReason) []*actor {
	if slices.Contains(a.reasons, r) {
		return append([]*actor{a}, m.hear(a)...)
	}
	return m.tell(a, r)
}

func (a *actor) settleWhy() {
	for _, r := range a.reasons {
		if a.why == nil && !a.base.keepsAway(a, r) {
			a.why = r
		}
	}
}

// stoppedUnder reports that a suspension through the handle of c fails.
func (a *actor) stoppedUnder(c *cover) bool { return a.why != nil && !c.keepsAway(a, a.why) }

// endWaits ends the waits of those who were told and have no shield. Those whom nobody wants any more because of a halt are
// told too (R18).
func (m *model) endWaits(told []*actor) {
	for i := 0; i < len(told); i++ {
		a := told[i]
		if !a.stoppedUnder(a.cover) || a.state != actorWaiting || a.wait.gaveUp {
			continue
		}
		a.wait.gaveUp = true
		for _, t := range a.wait.on {
			if !a.why.crash && !m.wanted(t) {
				told = append(told, m.tell(t, a.why)...)
			}
		}
	}
	told = slices.DeleteFunc(told, func(a *actor) bool { return !a.stoppedUnder(a.cover) })
	m.keepChildren(told)
	for _, a := range told {
		m.endWait(a)
	}
}

// keepChildren decides for whom those go on waiting that wait for any of several and are being stopped together: for those that
// are being stopped too, except for who waits for it in turn by way of the waits that are left (R9).
func (m *model) keepChildren(stopped []*actor) {
	type wait struct{ a, t *actor }
	var inRings []wait
	var ranging []*actor
	for _, a := range stopped {
		if w := a.wait; w != nil && w.any != nil && (a.state == actorWaiting || a.state == actorReady) {
			ranging = append(ranging, a)
			for _, t := range w.any.left {
				if len(t.reasons) > 0 && !slices.Contains(w.on, t) {
					w.on = append(w.on, t)
				}
			}
			w.any, w.kept = nil, w.any
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

// wanted reports whether somebody who is not being stopped waits for t, or nobody needs to.
func (m *model) wanted(t *actor) bool {
	if t.spawned || t == t.domain.first {
		return true
	}
	return slices.ContainsFunc(m.started, func(a *actor) bool {
		return a.state == actorWaiting && !a.wait.gaveUp && slices.Contains(a.wait.on, t)
	})
}

func (m *model) endWait(a *actor) {
	switch {
	case a.state == actorReady && !a.begun:
		a.err = a.why.err
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
			cancel(a.why.cause)
		}
	case w.inside != nil:
	case w.kept != nil || len(w.on) > 0:
		m.drop(w.alarm)
		for _, t := range slices.Clone(w.on) { // children first: it goes on waiting for those that are being stopped too
			if len(t.reasons) == 0 {
				m.stopWaiting(a, t)
			}
		}
		if len(w.on) == 0 {
			m.ready(a)
		}
	case w.line != nil:
		*w.line = slices.DeleteFunc(*w.line, func(b *actor) bool { return a == b })
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

// waitsFor reports whether a waits for b, and goes on doing so if it is being stopped.
func (a *actor) waitsFor(b *actor) bool {
	w := a.wait
	switch {
	case a.state == actorWaiting && w.inside != nil:
		return b.domain == w.inside
	case a.state == actorWaiting && w.any != nil:
		return slices.Contains(w.any.left, b)
	case a.state == actorWaiting || a.state == actorReady && w != nil && w.kept != nil:
		return slices.Contains(w.on, b) && (len(b.reasons) > 0 || !a.stoppedUnder(a.cover))
	}
	return false
}

// Shields: R13.

// keepsAway reports whether c, or a Shield around it, keeps r away from a. What arose inside a Shield of another coroutine
// is not kept away by it.
func (c *cover) keepsAway(a *actor, r *stopReason) bool {
	for ; c != nil && !(c == r.from && c.owner != a); c = c.outer {
		if c.keeps(a, r) {
			return true
		}
	}
	return false
}

// keeps reports whether c keeps r away from a: from its owner, and from others what has come to its owner as well.
func (c *cover) keeps(a *actor, r *stopReason) bool {
	return c.open && (c.owner == a || r.crash || slices.Contains(c.owner.reasons, r))
}

// keepAway starts the grace period of c if it keeps r away from a.
func (m *model) keepAway(c *cover, a *actor, r *stopReason) {
	if c.alarm == nil && c.keeps(a, r) {
		c.alarm = m.after(c.grace, func() {
			told := append(m.uncover(c), c.owner)
			m.endWaits(append(told, m.hear(c.owner)...))
		})
	}
}

// uncover ends c and returns those inside whom something may come over now.
func (m *model) uncover(c *cover) []*actor {
	if !c.open {
		return nil
	}
	c.open = false
	m.drop(c.alarm)
	return m.unprotected(c)
}

// unprotected lets come over those inside c what c no longer keeps away.
func (m *model) unprotected(c *cover) (told []*actor) {
	for _, a := range m.started {
		if a != c.owner && a.cover.within(c) && len(a.reasons) > 0 {
			told = append(told, a)
			told = append(told, m.hear(a)...)
			for own := a.cover; a.why != nil && own != nil && own.owner == a; own = own.outer {
				m.keepAway(own, a, a.why)
			}
		}
	}
	return told
}

func (c *cover) within(d *cover) bool {
	for ; c != nil; c = c.outer {
		if c == d {
			return true
		}
	}
	return false
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
	case a.state != actorWaiting && !(a.state == actorReady && w != nil && w.kept != nil):
		return true
	case w.inside != nil:
		return !slices.ContainsFunc(m.started, func(b *actor) bool { return b.domain == w.inside && !free[b] })
	case w.any != nil:
		return len(w.any.ended) > 0 || slices.ContainsFunc(w.any.left, isFree)
	}
	return !slices.ContainsFunc(w.on, func(b *actor) bool { return !isFree(b) })
}

// A modelHand is what a coroutine's function has in its hands: the coroutine, and the Shield that the handle is of.
type modelHand struct {
	a *actor
	c *cover
}

// refused is the error of a coroutine that is being stopped and asks to suspend (R8, R11).
func (h modelHand) refused() error {
	if !h.a.stoppedUnder(h.c) {
		return nil
	}
	if h.a.attempts++; h.a.attempts > 100 {
		panic(errUnwound)
	}
	return h.a.why.err
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
	return a.pause(h.c, &modelWait{alarm: m.after(d, func() { m.ready(a) })})
}

func (h modelHand) Spawn(js []int) error {
	if err := h.refused(); err != nil {
		return err
	}
	for _, j := range js {
		h.want(h.a.m.actors[j])
	}
	return h.a.turnOver(h.c)
}

// want starts t, if it is fresh, for nobody in particular.
func (h modelHand) want(t *actor) {
	h.startFor(t)
	if t.state != actorDone {
		t.spawned = true
	}
}

func (h modelHand) startFor(t *actor) {
	if t.state == actorFresh {
		h.a.m.start(t, h.a.domain, h.a.cover)
	}
}

// waitFor waits for all of js, for d at most if that is not negative.
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
		w.alarm = m.after(d, func() { m.giveUp(a, d) })
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
	w.err, w.gaveUp = timeout, true
	wanted := m.wanted(t)
	if !wanted {
		m.endWaits(m.tell(t, &stopReason{err: timeout, cause: timeout, from: a.cover}))
	}
	if wanted && len(t.reasons) == 0 {
		m.stopWaiting(a, t)
		m.ready(a)
	}
}

// stopWaiting makes a wait for t no longer. A collection keeps t.
func (m *model) stopWaiting(a, t *actor) {
	a.wait.on = slices.DeleteFunc(a.wait.on, func(b *actor) bool { return t == b })
	t.watchers = slices.DeleteFunc(t.watchers, func(w watcher) bool { return w.a == a && w.col == nil })
}

func (h modelHand) Await(j int) (int, error) {
	if err := h.waitFor([]int{j}, -1); err != nil {
		return 0, err
	}
	t := h.a.m.actors[j]
	return t.value, t.err
}

func (h modelHand) Gather(js []int) ([]int, error) {
	if err := h.waitFor(js, -1); err != nil {
		return nil, err
	}
	values := []int{}
	for _, j := range js {
		t := h.a.m.actors[j]
		if t.err != nil {
			return nil, t.err
		}
		values = append(values, t.value)
	}
	return values, nil
}

func (h modelHand) Timeout(j, d int) (int, error) {
	t := h.a.m.actors[j]
	err := h.waitFor([]int{j}, d)
	switch {
	case err == nil:
		return t.value, t.err
	case h.Stopped():
		return 0, err
	case t.state == actorDone && t.err == nil:
		return t.value, nil
	}
	return 0, err
}

func (h modelHand) Isolate(j int) (value int, result, err error) {
	m, a, t := h.a.m, h.a, h.a.m.actors[j]
	if t.state != actorFresh {
		err := h.waitFor([]int{j}, -1)
		return t.value, t.err, err
	}
	if err := h.refused(); err != nil {
		return 0, nil, err
	}
	d := &domain{parent: a.domain, owner: a, first: t}
	if len(a.reasons) > 0 {
		d.reason = a.reasons[0]
	}
	m.start(t, d, a.cover)
	err = a.pause(h.c, &modelWait{inside: d})
	return t.value, m.report(d), err
}

func (h modelHand) AsCompleted(js []int, yield func(int, error) bool) {
	h.collect(js, func(t *actor, err error) bool {
		if err != nil {
			return yield(0, err)
		}
		return yield(t.value, t.err)
	})
}

// WaitAny is the first step of AsCompleted.
func (h modelHand) WaitAny(js []int) (first int, failed error) {
	h.collect(js, func(t *actor, err error) bool {
		if first, failed = -1, err; err == nil {
			first, failed = slices.IndexFunc(js, func(j int) bool { return h.a.m.actors[j] == t }), t.err
		}
		return false
	})
	return first, failed
}

// collect yields js as they finish, or an error of its own and no actor.
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
		if err := h.next(col); err != nil {
			yield(nil, err)
			return
		}
		t := col.ended[0]
		col.ended = col.ended[1:]
		if !yield(t, nil) {
			return
		}
	}
}

func (h modelHand) next(col *collection) error {
	if err := h.refused(); err != nil {
		return err
	}
	m, a := h.a.m, h.a
	w := &modelWait{any: col, gaveUp: true}
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
	c := &cover{owner: a, outer: a.cover, open: true, grace: grace}
	a.cover = c
	if len(a.reasons) > 0 {
		m.keepAway(c, a, a.reasons[0])
	}
	defer func() {
		a.cover = c.outer
		m.endWaits(m.uncover(c))
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
		w.alarm = m.after(d, func() {
			ev.line = slices.DeleteFunc(ev.line, func(b *actor) bool { return a == b })
			w.outOfTime = true
			m.ready(a)
		})
	}
	err := a.pause(h.c, w)
	return !w.outOfTime, err
}

// Acquire is the one wait that may not suspend. A permit that was granted to somebody who is stopped before its turn is
// handed on.
func (h modelHand) Acquire(s int) error {
	if err := h.refused(); err != nil {
		return err
	}
	sem := &h.a.m.semaphores[s]
	if sem.free > 0 {
		sem.free--
		return nil
	}
	w := &modelWait{line: &sem.line}
	sem.line = append(sem.line, h.a)
	err := h.a.pause(h.c, w)
	if err != nil && w.granted {
		h.Release(s)
	}
	return err
}

func (h modelHand) Release(s int) {
	sem := &h.a.m.semaphores[s]
	if len(sem.line) == 0 {
		sem.free++
		return
	}
	a := sem.line[0]
	sem.line = sem.line[1:]
	a.wait.granted = true
	h.a.m.ready(a)
}

func (h modelHand) Barrier(b int) (int, error) {
	if err := h.refused(); err != nil {
		return 0, err
	}
	bar := &h.a.m.barriers[b]
	if len(bar.line)+1 < bar.n {
		w := &modelWait{line: &bar.line}
		bar.line = append(bar.line, h.a)
		err := h.a.pause(h.c, w)
		return w.index, err
	}
	for i, a := range bar.line {
		a.wait.index = i
		h.a.m.ready(a)
	}
	bar.line = nil
	return bar.n - 1, h.a.turnOver(h.c)
}

// Put puts at once if there is room, or somebody who waits for a value, and takes a turn; otherwise it stands in line.
func (h modelHand) Put(q, v int) error {
	if err := h.refused(); err != nil {
		return err
	}
	qu := &h.a.m.queues[q]
	switch {
	case h.TryPut(q, v):
		_ = h.a.turnOver(h.c)
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
	if v, ok := h.TryGet(q); ok {
		_ = h.a.turnOver(h.c)
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
	m := &model{mode: p.mode, events: make([]modelEvent, p.events)}
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
