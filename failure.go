package tinyio

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A failure is what went wrong in a coroutine, and who waited for it.
type failure struct {
	err     error
	trace   []Frame
	state   []Status       // what the others were doing
	cut     bool           // the trace does not begin with the first coroutine
	waited  map[*task]bool // who waited, until it is known whether this is the original failure
	panic   bool
	exit    bool
	outside bool // nothing failed: the run was cancelled from outside
}

// run fails the loop, for what no coroutine could return. If everything has stopped by then, nothing is left to be interrupted.
func (f failure) do(r *run) {
	if !f.outside || r.live > 0 {
		r.fail(r.root, f)
	}
}

// how is f as the result of a callback: see endWith.
func (f failure) how() error {
	if p, ok := f.err.(*PanicError); ok && f.panic {
		return threadPanic{p}
	}
	return f.err
}

func (f failure) error() error {
	if f.panic {
		return f.err
	}
	return &Error{Err: f.err, Trace: f.trace, State: f.state, cut: f.cut}
}

// failure is what went wrong in c, which has ended, and not just with a value; nil if nothing did.
func (c *task) failure() *failure {
	f := c.failed()
	if f != nil && !f.panic { // a panic has said so where it was
		failing(c, f.err)
	}
	return f
}

// failing is for debuggers, which can stop in it: see debug/tinyio.star. It is called once for each failure, while whoever waits for c
// still does: when the function of c has returned an error, and when it panics, by the panic itself, so that the stack has what led to
// it. In a deadlock, which is nobody's failure, c is nil.
//
//go:noinline
func failing(c *task, err error) {}

// failed is failure, not told to debuggers. One that is being stopped may say so in several ways.
func (c *task) failed() *failure {
	f := &failure{err: c.err}
	switch {
	case c.outcome == panicked:
		f.panic = true
	case c.outcome == exited && c.attempts() > shieldsAllowed:
		c.err = fmt.Errorf("tinyio: coroutine %s ignored its cancellation %d times and was unwound; it should return "+
			"the error of a suspension: %w", c.describe(), attemptsAllowed, errIgnored)
		f.err = c.err
	case c.outcome == exited:
		f.exit = true
	case c.err == nil, c.clean:
		return nil
	}
	return f
}

// pastError is the error with which c finished, for somebody who hears of it only afterwards.
func (c *task) pastError() error {
	if !c.finished.Load() || c.err == nil {
		return nil
	}
	if _, traced := c.err.(*Error); traced || c.outcome == panicked {
		return c.err
	}
	return &Error{Err: c.err, Trace: []Frame{c.entryFrame()}}
}

// errIgnored is what a coroutine that was unwound fails with.
var errIgnored = errors.New("cancellation ignored")

// deal deals with what went wrong in c, which has finished. If c was cancelled for a reason of which somebody hears, that is a
// matter of whoever brought it about: a clean-up error crashes nobody. A panic does, and a Goexit ends the run.
func (r *run) deal(c *task, f failure, why *reason) {
	switch {
	case f.exit:
		r.fail(r.root, f)
	case why == nil || f.panic && why.crash == nil:
		r.fail(c.scope, f)
	default:
		f.waited = nil
		why.cleanups = append(why.cleanups, f)
	}
}

// findChain finds out who waited for c, in which f has happened. It is a matter of why, if that is not nil.
func (r *run) findChain(f *failure, c *task, why *reason) {
	s, known := c.scope, (*chain)(nil)
	if why != nil && why.crash != nil {
		s, known = why.crash, &why.chain
	}
	f.trace, f.waited, f.cut = r.trace(c, s, known)
}

// fail deals with a failure in s: the first one stops the scope.
func (r *run) fail(s *scope, f failure) {
	if f.trace == nil && s.main != nil && s.main.state != done { // no coroutine failed: say at least where the first one was
		f.trace, f.waited = []Frame{r.where(s.main)}, map[*task]bool{s.main: true}
	}
	if r.isInterrupted(f) {
		s, f = r.root, interrupted(r.ctx)
	}
	if p, ok := f.err.(*PanicError); ok && f.panic && p.Trace == nil {
		p.Trace = f.trace
	}
	r.exiting = r.exiting || f.exit
	if s.crash != nil {
		if !f.outside {
			f.waited = nil
			s.crash.cleanups = append(s.crash.cleanups, f)
		}
		return
	}
	if _, tellsAll := f.err.(*DeadlockError); !tellsAll {
		f.state = r.state(s, f)
	}
	if p, ok := f.err.(*PanicError); ok && f.panic && p.state == nil {
		p.state = f.state
	}
	s.crash = &reason{err: &CancelledError{Cause: f.err}, crash: s, chain: chain{f.waited, len(f.trace)}}
	f.waited = nil
	s.crash.original = f
	if s.owner != nil {
		s.crash.from = s.owner.shield()
	}
	if s == r.root {
		r.loop.stopping.Store(s.crash)
	}
	r.stopScope(s, s.crash)
	r.endWaits()
}

// isInterrupted reports whether f says only that the context of the run is done, which the run has not noticed yet: somebody has closed over
// the context. Then it is no failure, and the run is interrupted (R12).
func (r *run) isInterrupted(f failure) (so bool) {
	if f.outside || f.panic || f.exit || r.root.crash != nil || r.ctx.Err() == nil {
		return false
	}
	r.inSandbox(func() { so = errors.Is(f.err, r.ctx.Err()) }) // a method of the error may panic, or exit
	return so
}

// interrupted is the failure that ctx, of a run, is done.
func interrupted(ctx context.Context) failure {
	return failure{err: context.Cause(ctx), outside: true}
}

// deadlocked crashes the loop because nothing can ever happen in it again.
func (r *run) deadlocked() {
	if r.root.crash != nil { // everything has been stopped, and does not
		panic("tinyio: internal error: a loop that is being stopped is deadlocked: " + fmt.Sprint(r.loop.Status()) + "; please report this")
	}
	d := new(DeadlockError)
	for _, s := range r.loop.Status() {
		d.Waits = append(d.Waits, s.String())
	}
	failing(nil, d)
	r.fail(r.root, failure{err: d})
}

// explains reports whether err, from a coroutine that was stopped, says only that: whether each of its leaves does. So an error of
// clean-up that is joined with the stop is seen (R10).
func (why *reason) explains(err error) (explained bool) {
	// An error may have methods that panic, or hold values that cannot be compared: what panics here explains nothing.
	defer func() { _ = recover() }()
	return why.explainsLeaves(err)
}

func (why *reason) explainsLeaves(err error) bool {
	if err == why.err || err == why.cause() || err == bare(why.cause()) {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return why.explainsLeaves(inner)
		}
	case interface{ Unwrap() []error }:
		if all := e.Unwrap(); len(all) > 0 {
			return !slices.ContainsFunc(all, func(err error) bool { return !why.explainsLeaves(err) })
		}
	}
	_, timeout := why.err.(*TimeoutError)
	return errors.Is(err, ErrCancelled) || errors.Is(err, context.Canceled) || timeout && errors.Is(err, context.DeadlineExceeded)
}

// bare is err without the traces that it has got on its way.
func bare(err error) error {
	for e, ok := err.(*Error); ok; e, ok = err.(*Error) {
		err = e.Err
	}
	return err
}

// adopt makes clean-up errors, of which nobody has heard yet, a matter of s.
func (s *scope) adopt(orphans []failure, more int) {
	if len(orphans) == 0 {
		return
	}
	if more > 0 {
		orphans = append(orphans, failure{err: fmt.Errorf("tinyio: %d more errors in the clean-up of what was submitted by callers that had gone", more)})
	}
	if s.crash == nil {
		s.crash = &reason{original: orphans[0]}
		orphans = orphans[1:]
	}
	s.crash.cleanups = append(s.crash.cleanups, orphans...)
}

// orphansKept is how many clean-up errors a run keeps of which nobody has heard: a server whose clients come and go must not fill up with them.
const orphansKept = 100

// orphan keeps clean-up errors of which nobody is left to hear before the end of the run.
func (r *run) orphan(cleanups []failure) {
	for _, f := range cleanups {
		if len(r.orphans) == orphansKept {
			r.lostMore++
			continue
		}
		r.orphans = append(r.orphans, f)
	}
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

// report is what a run, an Isolate or a First returns for s: nil if nothing went wrong in it. A panic has the last word; what else went
// wrong is told with it.
func (s *scope) report(mode GroupMode) error {
	why := s.crash
	if why == nil {
		return nil
	}
	failures := append([]failure{why.original}, why.cleanups...)
	s.crash.chain = chain{} // nobody is left to fail
	for i, f := range failures {
		if f.panic {
			return f.err.(*PanicError).with(slices.Delete(failures, i, i+1))
		}
	}
	if mode == GroupNever || mode == GroupAuto && len(failures) == 1 {
		return why.original.error()
	}
	g := new(ErrorGroup)
	for _, f := range failures {
		g.Errs = append(g.Errs, f.error())
	}
	if mode == GroupAlways {
		for range why.stopped {
			g.Errs = append(g.Errs, why.err)
		}
	}
	return g
}
