package tinyio

import (
	"context"
	"sync/atomic"
	"time"
)

// A coContext is the context that a Co stands for.
//
// A coroutine begins with one that is inherited: it has values, which it shares with whoever has the same, and is of no use otherwise. It
// gets one of its own when somebody asks for it, which most never do; or when it is stopped.
//
// A context of its own ends by the loop's hand alone, also when that of the run is done, so that its cause is the one that the loop crashed
// for, and nobody acts on that before the loop does.
type coContext struct {
	inherited *coContext
	values    context.Context
	labels    context.Context // the profiler labels of values, and nothing else
	own       context.Context // nil in one that is inherited
	cancel    context.CancelCauseFunc
}

// inheritable returns a context to be inherited, with the values of ctx.
func inheritable(ctx context.Context) *coContext {
	x := &coContext{values: ctx, labels: labelsOf(ctx)}
	x.inherited = x
	return x
}

// ownContext returns a context for one coroutine.
func (x *coContext) ownContext() *coContext {
	own, cancel := context.WithCancelCause(context.WithoutCancel(x.values))
	return &coContext{x.inherited, x.values, x.labels, own, cancel}
}

// ctx is where the context of co is kept.
func (co *Co) ctx() *atomic.Pointer[coContext] {
	if co == nil || co.c == nil {
		panic("tinyio: the Co is nil or zero; use the one that the coroutine's function is given")
	}
	if co.isHandle() {
		return &co.shield.ctx
	}
	return &co.c.ctx
}

func (co *Co) context() context.Context {
	p := co.ctx()
	x := p.Load()
	if x.own != nil {
		return x.own
	}
	mine := x.ownContext()
	if !p.CompareAndSwap(x, mine) {
		mine.cancel(nil)
		return p.Load().own
	}
	if co.c.finished.Load() {
		mine.cancel(nil) // end has come too early to see it
	}
	return mine.own
}

// stop makes the context done because the coroutine is being stopped.
func (co *Co) stop(why *reason) {
	p := co.ctx()
	if x := p.Load(); x.own == nil && p.CompareAndSwap(x, why.context(x)) {
		return
	}
	p.Load().cancel(why.cause())
}

// end makes the context done because the coroutine has finished, and releases it.
func (co *Co) end() {
	if x := co.ctx().Load(); x.own != nil {
		x.cancel(nil)
	}
}

// Deadline is that of the context given to [Run].
func (co *Co) Deadline() (deadline time.Time, ok bool) { return co.ctx().Load().values.Deadline() }

// Done is closed when the coroutine is cancelled or halted, or has finished.
func (co *Co) Done() <-chan struct{} { return co.context().Done() }

// Err is [context.Canceled] once Done is closed. [context.Cause] tells why.
func (co *Co) Err() error { return co.context().Err() }

// Value is that of the context given to [Run].
func (co *Co) Value(key any) any {
	if key == (runningCo{}) && co != nil && co.c != nil {
		return co
	}
	return co.context().Value(key)
}

// A runningCo is the key by which a context tells of which coroutine it is.
type runningCo struct{}

// nest returns a context for a run inside the coroutine, and how to let go of it. The loop of co stands still as long as that one
// runs, and so cannot tell co that its own context is done; a Shield keeps that away for its grace.
//
// In another goroutine, a thread perhaps, co is a context like any other: the loop goes on, and tells it. What a Shield is up to
// must not be looked at from there.
func (co *Co) nest(ctx context.Context) (merged context.Context, leave func()) {
	if co.shield != nil && !co.c.isCaller() {
		return ctx, func() {}
	}
	outside := co.ctx().Load().values
	merged, cancel := context.WithCancelCause(ctx)
	end := func() { cancel(context.Cause(outside)) }
	var stop func() bool
	grace := time.Duration(0)
	if co.shield != nil {
		grace = co.shield.left(co.c.run())
	}
	if grace <= 0 {
		stop = context.AfterFunc(outside, end)
	} else {
		timer := time.AfterFunc(grace, end)
		timer.Stop()
		unwatch := context.AfterFunc(outside, func() { timer.Reset(grace) })
		stop = func() bool { unwatch(); return timer.Stop() }
	}
	return merged, func() { stop(); cancel(nil) }
}
