package tinyio

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A failure is what went wrong in a coroutine, with its await chain.
type failure struct {
	err     error
	trace   []Frame
	state   []Status       // what the other coroutines were doing
	cut     bool           // the trace begins where it branches off that of the original failure
	inTrace map[*task]bool // the coroutines in the trace; only the original failure needs them, for its chain and state
	panic   bool           // err is a *PanicError that comes from a panic, and was not returned
	exit    bool           // runtime.Goexit was called
	outside bool           // nothing failed: the run was cancelled from outside
}

// do crashes the run with f, a failure that no coroutine has returned. If f is an interruption and all coroutines have finished,
// it does nothing.
func (f failure) do(r *run) {
	if !f.outside || r.live() > 0 {
		r.fail(r.root, f)
	}
}

// panicError returns the PanicError of f, if f is a panic; otherwise nil.
func (f failure) panicError() *PanicError {
	if p, ok := f.err.(*PanicError); ok && f.panic {
		return p
	}
	return nil
}

// ending returns f as endWith takes it.
func (f failure) ending() error {
	if p := f.panicError(); p != nil {
		return threadPanic{p}
	}
	return f.err
}

// error returns f as users get it.
func (f failure) error() error {
	if f.panic {
		return f.err
	}
	return &Error{Err: f.err, Trace: f.trace, State: f.state, cut: f.cut}
}

// failing does nothing. Debuggers can stop in it: see debug/tinyio.star. It is called once for each failure, when the coroutines that
// wait for c still wait: after the function of c has returned an error, or while it panics and its stack shows where. In a deadlock,
// c is nil.
//
//go:noinline
func failing(c *task, err error) {}

// failure returns what went wrong in c, whose function has ended; nil if it has returned a value, or stopped cleanly.
func (c *task) failure() *failure {
	if c.endedCleanly() {
		return nil
	}
	f := &failure{err: c.err}
	switch {
	case c.outcome == panicked:
		f.panic = true
		return f // the panic has called failing, on its own stack
	case c.outcome == exited && c.attempts() > shieldsAllowed:
		c.err = fmt.Errorf("tinyio: coroutine %s ignored its cancellation %d times and was unwound; it should return "+
			"the error of a suspension: %w", c.describe(), attemptsAllowed, errIgnored)
		f.err = c.err
	case c.outcome == exited:
		f.exit = true
	}
	failing(c, f.err)
	return f
}

// pastError returns the error with which c finished, for a caller that did not wait for c at that time; nil if c has a value or has
// not finished.
func (c *task) pastError() error {
	if !c.hasFinished() || c.err == nil {
		return nil
	}
	if _, traced := c.err.(*Error); traced || c.outcome == panicked {
		return c.err
	}
	return &Error{Err: c.err, Trace: []Frame{c.entryFrame()}}
}

// errIgnored is the error of a coroutine that has ignored its cancellation and was unwound.
var errIgnored = errors.New("cancellation ignored")

// handleFailure deals with the failure f of a member of s, which has finished. If it was being stopped for a reason, why, then f is a
// clean-up error, which why collects, and which crashes nobody (R10). But a panic crashes the domain of a coroutine that was stopped alone,
// and a Goexit always ends the run (R14).
func (r *run) handleFailure(s *scope, f *failure, why *reason) {
	switch {
	case f.exit:
		r.fail(r.root, *f)
	case why == nil || f.panic && why.crash == nil:
		r.fail(s, *f)
	default:
		f.inTrace = nil
		why.cleanups = append(why.cleanups, *f)
	}
}

// findChain finds the await chain of f, the failure of c. If why is not nil, it collects f.
func (r *run) findChain(f *failure, c *task, why *reason) {
	s, known := c.scope, (*chain)(nil)
	if why != nil && why.crash != nil {
		s, known = why.crash, &why.chain
	}
	f.trace, f.inTrace, f.cut = r.trace(c, s, known)
}

// fail deals with a failure in s. The first failure crashes s, and later ones are clean-up errors of that crash.
func (r *run) fail(s *scope, f failure) {
	if f.trace == nil && s.main != nil && s.main.state != done { // no coroutine failed: show at least where the first one was
		f.trace, f.inTrace = []Frame{r.where(s.main)}, map[*task]bool{s.main: true}
	}
	if r.isInterrupted(f) {
		s, f = r.root, interrupted(r.ctx)
	}
	p := f.panicError()
	if p != nil && p.Trace == nil {
		p.Trace = f.trace
	}
	r.exiting = r.exiting || f.exit
	if s.crash != nil {
		if !f.outside {
			f.inTrace = nil
			s.crash.cleanups = append(s.crash.cleanups, f)
		}
		return
	}
	if _, tellsAll := f.err.(*DeadlockError); !tellsAll {
		f.state = r.state(s, f)
	}
	if p != nil && p.state == nil {
		p.state = f.state
	}
	s.crash = &reason{err: &CancelledError{Cause: f.err}, crash: s, chain: chain{f.inTrace, len(f.trace)}}
	f.inTrace = nil
	s.crash.original = f
	if s == r.root {
		r.loop.stopping.Store(s.crash)
	}
	r.stopScope(s, s.crash)
	r.endWaits()
}

// isInterrupted reports whether f says only that the context of the run is done, before the run has noticed it: a coroutine has
// closed over the context given to Run and returned its error. Then f is no failure, and the run is interrupted (R12).
func (r *run) isInterrupted(f failure) (so bool) {
	if f.outside || f.panic || f.exit || r.root.crash != nil || !r.isContextDone() {
		return false
	}
	r.inSandbox(func() { so = errors.Is(f.err, r.ctx.Err()) }) // a method of the error may panic, or exit
	return so
}

// interrupted returns the failure that says that ctx, the context of a run, is done.
func interrupted(ctx context.Context) failure {
	return failure{err: context.Cause(ctx), outside: true}
}

// deadlocked crashes the run because nothing can ever happen in it again.
func (r *run) deadlocked() {
	if r.root.crash != nil { // all coroutines are being stopped, and some do not stop: a bug of this package
		panic("tinyio: internal error: a loop that is being stopped is deadlocked: " + fmt.Sprint(r.loop.Status()) + "; please report this")
	}
	d := new(DeadlockError)
	for _, s := range r.loop.Status() {
		d.Waits = append(d.Waits, s.String())
	}
	failing(nil, d)
	r.fail(r.root, failure{err: d})
}

// explains reports whether err, from a coroutine that was stopped for why, says only that it was stopped (R10). It does if each of
// its leaves does, so a clean-up error that is joined with the stop is not overlooked.
func (why *reason) explains(err error) (explained bool) {
	// Methods of the error may panic, and so does comparing values that cannot be compared: then the result is false.
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

// bare returns err without the [*Error] values that wrap it.
func bare(err error) error {
	for e, ok := err.(*Error); ok; e, ok = err.(*Error) {
		err = e.Err
	}
	return err
}

// adopt adds orphans to what s reports, and the number of orphans that were not kept.
func (s *scope) adopt(orphans []failure, more int) {
	if len(orphans) == 0 {
		return
	}
	if more > 0 {
		orphans = append(orphans, failure{err: fmt.Errorf("tinyio: %d more clean-up errors of coroutines whose Submit had returned", more)})
	}
	if s.crash == nil {
		s.crash = &reason{original: orphans[0]}
		orphans = orphans[1:]
	}
	s.crash.cleanups = append(s.crash.cleanups, orphans...)
}

// maxOrphans is how many orphans a run keeps. The memory of a server must not grow with the clients that give up.
const maxOrphans = 100

// orphan keeps clean-up errors that have no caller to go to for the end of the run.
func (r *run) orphan(cleanups []failure) {
	for _, f := range cleanups {
		if len(r.orphans) == maxOrphans {
			r.orphansLost++
			continue
		}
		r.orphans = append(r.orphans, f)
	}
}

// A GroupMode says what a failed run returns.
type GroupMode int

const (
	// GroupAuto returns the original error alone if every other coroutine stopped cleanly, and otherwise an
	// [*ErrorGroup] of it and of the clean-up errors.
	GroupAuto GroupMode = iota
	// GroupNever returns the original error alone. Clean-up errors are lost.
	GroupNever
	// GroupAlways returns an [*ErrorGroup] of the original error, the clean-up errors, and the [*CancelledError] of every
	// coroutine that was cancelled.
	GroupAlways
)

// report returns the error of s for a run, an Isolate or a First: nil if nothing went wrong in s. If there was a panic, the error
// is its *PanicError, with all other errors added to it.
func (s *scope) report(mode GroupMode) error {
	why := s.crash
	if why == nil {
		return nil
	}
	failures := append([]failure{why.original}, why.cleanups...)
	s.crash.chain = chain{} // nothing is left that could fail
	for i, f := range failures {
		if p := f.panicError(); p != nil {
			return p.with(slices.Delete(failures, i, i+1))
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
		for range why.finished {
			g.Errs = append(g.Errs, why.err)
		}
	}
	return g
}
