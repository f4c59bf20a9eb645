package tinyio

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// How coroutines are stopped. There is one way, whatever the reason: an error, a panic or a Goexit in a coroutine of the
// same scope, a context that is done, a failure that an isolated scope is stopped for, a timeout, the end of a shield's
// grace. It has three parts:
//
//   - doom marks a coroutine: from now on its suspensions return an error, its context is done, and it no longer counts
//     among those who want others to go on;
//   - endWaits ends the waits of all that were marked together. Whoever waits for coroutines that are being stopped too
//     goes on waiting for these, and hears of it when they have finished: children first. Everybody else becomes ready,
//     and finds the error when it resumes;
//   - a timeout marks, besides its coroutine, those that nobody else wants (halt). A crash marks a whole scope.

// A scope is a crash domain: the coroutines of a run, or of one [Isolate]. An error in one of them stops all of them.
type scope struct {
	ctx     context.Context
	parent  *scope
	owner   *coroutine // that waits for it in Isolate
	main    *coroutine // its first, which the scope itself wants
	first   *coroutine // its live members, in the order in which they were started
	last    *coroutine
	live    int
	why     *reason // why its members are being stopped
	stopped bool    // by a crash outside; what goes wrong in it from then on is no longer its own affair

	crashed   bool
	original  failure
	cleanups  []failure
	cancelled []error
}

// begin starts c as the first coroutine of s.
func (s *scope) begin(l *Loop, c *coroutine, h *shield) {
	s.main = c
	l.start(c, s, h)
	c.wanted++
}

func (s *scope) add(c *coroutine) {
	c.before = s.last
	if s.last != nil {
		s.last.after = c
	} else {
		s.first = c
	}
	s.last = c
	s.live++
	if s.owner != nil {
		c.depth = max(c.depth, s.owner.depth+1)
	}
}

func (s *scope) remove(c *coroutine) {
	if c.before != nil {
		c.before.after = c.after
	} else {
		s.first = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	} else {
		s.last = c.before
	}
	c.before, c.after = nil, nil
	s.live--
}

// end lets go of what s knows, when all of its members have finished and what went wrong has been told. They keep it, for its context.
func (s *scope) end() { *s = scope{ctx: s.ctx} }

// A failure is an error of a coroutine, and who waited for it.
type failure struct {
	err     error
	trace   []Frame
	panic   bool
	exit    bool
	outside bool // nothing failed: the run was told to stop
}

// run fails the loop, for what no coroutine could return. If everything has stopped by then, there is nothing left to do.
func (f failure) run(l *Loop) {
	if l.root != nil {
		l.fail(l.root, f)
	}
}

func (f failure) error() error { return &Error{Err: f.err, Trace: f.trace} }

// failure is what went wrong in c, which has ended; nil if nothing did.
func (c *coroutine) failure() *failure {
	if c.outcome == returned && c.err == nil {
		return nil
	}
	return c.failed()
}

// failed is failure for a coroutine that did not just end. One that is being stopped may say so in several ways.
func (c *coroutine) failed() *failure {
	f := &failure{err: c.err}
	switch {
	case c.outcome == panicked:
		f.panic = true
	case c.annex() != nil && c.annex().unwound:
		c.err = fmt.Errorf("tinyio: coroutine %s ignored its cancellation %d times and was unwound; it should return "+
			"the error of a suspension: %w", c.describe(), attemptsAllowed, errIgnored)
		f.err = c.err
	case c.outcome == exited:
		f.exit = true
	case c.err == nil || c.stopped && c.why.explains(c.err):
		return nil
	}
	return f
}

// pastError is the error with which c finished, for somebody who hears of it only afterwards.
func (c *coroutine) pastError() error {
	if !c.finished.Load() || c.err == nil {
		return nil
	}
	return &Error{Err: c.err, Trace: []Frame{c.entryFrame()}}
}

// errIgnored is what a coroutine that was unwound fails with.
var errIgnored = errors.New("cancellation ignored")

// fail deals with a failure in s: the first one stops the scope.
func (l *Loop) fail(s *scope, f failure) {
	s = s.taking(f)
	if f.trace == nil && s.main != nil && s.main.state != done { // no coroutine failed: tell at least where the first one was
		f.trace = []Frame{l.where(s.main)}
	}
	if f.panic {
		p := f.err.(*PanicError)
		if p.Trace == nil {
			p.Trace = f.trace
		}
		if l.panicked == nil {
			l.panicked = p
		}
	}
	l.exiting = l.exiting || f.exit
	if s.crashed {
		if !f.outside {
			s.cleanups = append(s.cleanups, f)
		}
		return
	}
	s.crashed, s.original = true, f
	why := &reason{err: &CancelledError{Cause: f.err}, cause: f.err, crash: true, scope: s}
	if s.owner != nil {
		why.from = s.owner.shelter()
	}
	l.doomScope(s, why)
	l.endWaits()
}

// taking returns the scope that a failure in s is the affair of: s itself, unless s is being stopped because of a crash outside.
// Panics and exits are not held back by any scope.
func (s *scope) taking(f failure) *scope {
	for s.parent != nil && (s.stopped || f.panic || f.exit) {
		s = s.parent
	}
	return s
}

// domain is the scope that c belongs to or, if it is being stopped because an outer one has crashed, that one.
func (c *coroutine) domain() *scope {
	if c.stopped && c.why.crash {
		return c.why.scope
	}
	return c.scope
}

// doomScope marks all members of s.
func (l *Loop) doomScope(s *scope, why *reason) {
	if s.why == nil || why.scope == s {
		s.why = why
	}
	for m := s.first; m != nil; m = m.after {
		l.doom(m, why)
	}
}

// halt stops c and whoever is wanted only by those that are being stopped with it.
func (l *Loop) halt(c *coroutine, why *reason) {
	l.doom(c, why)
	l.endWaits()
}

// doom marks c to be stopped because of why, or because of what it was told before. What c waits for is left alone until
// endWaits.
func (l *Loop) doom(c *coroutine, why *reason) {
	if c.state == done || c.doomed {
		return
	}
	if c.stopped || why == nil {
		why = c.told() // the first reason stands
	}
	protected := false
	for s := c.shelter(); s != nil && !why.aroseInside(s); s = s.outer {
		if s.keeps(c, why) {
			s.keepAway(l, why)
			protected = true
		}
	}
	if c.co.shield.protects(c, why) {
		if a := c.more(); a.told == nil {
			a.told = why
		}
	} else if !c.stopped {
		c.why, c.stopped = why, true
		c.co.stop(why)
		if l.watch != nil {
			l.tell(Stopped, c, why.err)
		}
	}
	c.stopHandles(why)
	isolates := c.state == waiting && c.wait == onIsolate
	if protected {
		if isolates { // those inside are protected too, and are told so that whoever waits for them knows
			l.doomScope(c.annex().inner, why)
		}
		return
	}
	c.doomed = true
	l.doomed = append(l.doomed, c)
	if isolates {
		c.annex().inner.stopped = why.crash // a domain that is halted is still one of its own
		l.doomScope(c.annex().inner, why)
	}
}

// stopHandles makes the contexts done of those Shields of c that no longer keep why away.
func (c *coroutine) stopHandles(why *reason) {
	exposed := c.shelter()
	for s := exposed; s != nil && !why.aroseInside(s); s = s.outer {
		if s.keeps(c, why) {
			exposed = s.outer
		}
	}
	for s := exposed; s != nil && s.owner == c && !why.aroseInside(s); s = s.outer {
		s.handle.stop(why)
	}
}

// endWaits ends the waits of all that are doomed, and dooms those that nobody wants any more.
func (l *Loop) endWaits() {
	for i := 0; i < len(l.doomed); i++ { // which grows meanwhile
		l.unwant(l.doomed[i])
	}
	for _, c := range l.doomed {
		l.endWait(c)
	}
	if cap(l.doomed) > 1024 {
		l.doomed = nil
	}
	clear(l.doomed)
	l.doomed = l.doomed[:0]
}

// unwant takes back that c wants the coroutines it waits for. If c is halted, those that nobody else wants are halted too.
func (l *Loop) unwant(c *coroutine) {
	if c.gaveUp || c.state != waiting || c.wait != onCoroutine {
		return
	}
	c.gaveUp = true
	for i, edges := 0, c.edges(); i < len(edges); i++ {
		if line := edges[i].line; line != nil {
			t := line.owner
			if t.wanted--; t.wanted == 0 && !c.why.crash {
				l.doom(t, c.why)
			}
		}
	}
}

// endWait ends the wait of c, which is doomed.
func (l *Loop) endWait(c *coroutine) {
	switch {
	case c.state == done || c.state == running:
		return
	case c.state == ready:
		if c.outcome == notBegun {
			l.neverRun(c)
		}
		return
	}
	switch c.wait {
	case onTimer:
		l.wake(c)
	case onCoroutine, onCompletion:
		l.timers.Remove(&c.timer)
		if c.unmet = c.keepStopping(); c.unmet == 0 {
			l.wake(c) // otherwise it hears of it when they have finished
		}
	case onEvent, onPermit, onBarrier, onQueue:
		c.one[0].leave()
		l.wake(c)
	case onThread:
		c.annex().callback.stop(l, c.why.cause)
	case onIsolate: // it hears of it when the scope is empty
	}
}

// keepStopping gives up c's waits for coroutines that are not being stopped, and returns how many are left.
func (c *coroutine) keepStopping() (left int32) {
	var above map[*coroutine]bool // whoever waits for c in turn: then one of them has to be the first
	if c.wait == onCompletion {
		above, _ = c.ancestors()
	}
	edges := c.edges()
	for i := range edges {
		switch line := edges[i].line; {
		case line == nil:
		case line.owner.isStopping() && !above[line.owner]:
			left++
		default:
			edges[i].leave()
		}
	}
	return left
}

// told is why c, which is stopping, is to stop.
func (c *coroutine) told() *reason {
	if c.stopped {
		return c.why
	}
	return c.annex().told
}

// isStopping reports that c is going to finish before long because it was told to, if only at the end of a shield.
func (c *coroutine) isStopping() bool { return c.stopped || c.annex() != nil && c.annex().told != nil }

// neverRun settles c, which was doomed before its first turn.
func (l *Loop) neverRun(c *coroutine) {
	c.outcome, c.err, c.wait = returned, c.why.err, onNothing
	c.body.skip()
	l.finish(c)
}

// interruption is the failure that the context of r is done.
func (r *run) interruption() failure {
	return failure{err: context.Cause(r.root.ctx), outside: true}
}

// deadlocked crashes the loop because nothing can ever happen in it again.
func (l *Loop) deadlocked() {
	if l.root.crashed { // everything has been stopped, and does not
		panic("tinyio: internal error: a loop that is being stopped is deadlocked: " + fmt.Sprint(l.Status()) + "; please report this")
	}
	d := new(DeadlockError)
	for _, s := range l.Status() {
		d.Waits = append(d.Waits, s.String())
	}
	l.fail(l.root, failure{err: d})
}

// A reason is why coroutines are stopped.
type reason struct {
	err   error   // what their suspensions return
	cause error   // of their contexts
	crash bool    // of a scope; otherwise they are halted
	scope *scope  // that has crashed
	from  *shield // inside which the reason arose: it and those around it do not keep it away

	once sync.Once
	dead *coContext
}

// aroseInside reports whether r arose inside s, or in a shield inside that.
func (r *reason) aroseInside(s *shield) bool {
	for f := r.from; f != nil; f = f.outer {
		if f == s {
			return true
		}
	}
	return false
}

// context returns the context of a coroutine that is stopped and had none. All of them share one.
func (r *reason) context(co *Co) *coContext {
	r.once.Do(func() {
		r.dead = newContext(co.c.scope.ctx)
		r.dead.cancel(r.cause)
	})
	return r.dead
}

// explains reports whether err, from a coroutine that was stopped, says only that.
func (r *reason) explains(err error) (explained bool) {
	// An error may have an Is method, or hold values that cannot be compared: what panics here explains nothing.
	defer func() { _ = recover() }()
	return errors.Is(err, ErrCancelled) || errors.Is(err, context.Canceled) || errors.Is(err, r.cause)
}

// noteCancelled keeps what GroupAlways reports of a coroutine that was cancelled.
func (c *coroutine) noteCancelled() {
	s := c.domain().taking(failure{})
	s.cancelled = append(s.cancelled, c.why.err)
}

// A GroupMode says what a failed run returns.
type GroupMode int

const (
	// GroupAuto returns the original error alone if every other coroutine stopped cleanly, and otherwise an
	// [*ErrorGroup] of it and of the errors of clean-up.
	GroupAuto GroupMode = iota
	// GroupNever returns the original error alone. Errors of clean-up are lost.
	GroupNever
	// GroupAlways returns an [*ErrorGroup] of the original error, the errors of clean-up, and the [*CancelledError] of
	// every coroutine that was cancelled.
	GroupAlways
)

// report is what a run, or an Isolate, returns for s.
func (s *scope) report(mode GroupMode) error {
	if !s.crashed {
		return nil
	}
	if mode == GroupNever || mode == GroupAuto && len(s.cleanups) == 0 {
		return s.original.error()
	}
	g := &ErrorGroup{Errs: []error{s.original.error()}}
	for _, f := range s.cleanups {
		g.Errs = append(g.Errs, f.error())
	}
	if mode == GroupAlways {
		g.Errs = append(g.Errs, s.cancelled...)
	}
	return g
}

// others are the failures of s besides p, which Run is going to panic with.
func (s *scope) others(p *PanicError) (errs []error) {
	for _, f := range append([]failure{s.original}, s.cleanups...) {
		if f.err != error(p) && !f.exit {
			errs = append(errs, f.error())
		}
	}
	return errs
}
