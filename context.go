package tinyio

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio/internal/lookin"
	"github.com/tinyio-go/tinyio/internal/publish"
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
	run       context.Context // of the run, whose end stops it
	values    context.Context
	labels    context.Context // the profiler labels of values, and nothing else
	deadline  time.Time       // the earliest of those around it; zero if there is none
	own       context.Context // nil in one that is inherited
	cancel    context.CancelCauseFunc
}

// inheritable returns a context to be inherited by the coroutines of a run with the context ctx.
func inheritable(ctx context.Context) *coContext {
	x := &coContext{run: ctx}
	x.inherited, x.values, x.labels = x, ctx, labelsOf(ctx)
	x.deadline, _ = ctx.Deadline()
	return x
}

// withValues returns the like of x with the values of ctx.
func (x *coContext) withValues(ctx context.Context) *coContext {
	y := &coContext{run: x.run, values: ctx, labels: labelsOf(ctx), deadline: x.deadline}
	y.inherited = y
	return y
}

// withDeadline returns the like of x, to be inherited, that ends at a deadline at the latest.
func (x *coContext) withDeadline(at time.Time) *coContext {
	if !x.deadline.IsZero() && !at.Before(x.deadline) {
		return x.inherited
	}
	y := &coContext{run: x.run, values: x.values, labels: x.labels, deadline: at}
	y.inherited = y
	return y
}

// submitted returns the like of x for what is submitted with ctx.
func (x *coContext) submitted(ctx context.Context) *coContext {
	y := x.withValues(ctx)
	if at, ok := ctx.Deadline(); ok && (y.deadline.IsZero() || at.Before(y.deadline)) {
		y.deadline = at
	}
	return y
}

// ownContext returns a context for one coroutine.
func (x *coContext) ownContext() *coContext {
	y := *x
	y.own, y.cancel = context.WithCancelCause(context.WithoutCancel(x.values))
	return &y
}

// WithValues returns a handle to the same coroutine, to be used in place of co: those who are first started through it have the values of
// ctx in their contexts, and its profiler labels (see [runtime/pprof.WithLabels]), and so has the context that the handle is. It is the
// way to have a trace, a span or a logger follow who starts whom. Of ctx nothing else counts: neither its end nor its deadline. The
// handle is good for as long as co is.
func (co *Co) WithValues(ctx context.Context) *Co {
	c := co.enter("WithValues")
	if ctx == nil {
		panic("tinyio: WithValues: the context is nil, in " + c.describe() + "; pass one with the values that are wanted")
	}
	v := &shield{owner: c, outer: co.shield, of: co}
	v.ctx.Set(co.inherited().withValues(ctx))
	return &Co{c: c, shield: v}
}

// isView reports that co comes from WithValues.
func (co *Co) isView() bool { return co.isHandle() && co.shield.of != nil }

// inherited is what those inherit who are started through co.
func (co *Co) inherited() *coContext {
	if co.isView() {
		return co.shield.ctx.Load()
	}
	return co.ctx().Load().inherited
}

// hand notes, for what co is about to wait for, what those inherit who are started for that, if it is not what c itself has.
func (co *Co) hand(r *run) {
	if co.isHandle() {
		r.asked.inherit = co.inherited()
	}
}

// ctx is where the context of co is kept.
func (co *Co) ctx() *publish.Pointer[coContext] {
	if co == nil || co.c == nil {
		panic("tinyio: the Co is nil or zero; use the one that the coroutine's function is given")
	}
	switch {
	case !co.isHandle():
		return &co.c.ctx
	case co.isView():
		return co.shield.of.ctx()
	}
	return &co.shield.ctx
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

// Deadline is the earliest of the contexts given to [Run] and [Submit], and of every [Timeout] in which the coroutine was started.
func (co *Co) Deadline() (deadline time.Time, ok bool) {
	deadline = co.ctx().Load().deadline
	return deadline, !deadline.IsZero()
}

// Done is closed when the coroutine is cancelled or halted, or has finished.
func (co *Co) Done() <-chan struct{} { return co.context().Done() }

// Err is [context.Canceled] once Done is closed. [context.Cause] tells why.
func (co *Co) Err() error { return co.context().Err() }

// Value is that of the context of whoever first started the coroutine: the one given to [Run] or [Submit], or to [Co.WithValues].
func (co *Co) Value(key any) any {
	if key == (runningCo{}) && co != nil && co.c != nil {
		return co
	}
	return co.value(key)
}

// who is what package tinyioslog finds in a context.
func (co *Co) who() lookin.Who { return lookin.Who{Coro: co.c.label(), Loop: co.c.loop.Load()} }

// value is Value for any key but that of the coroutine itself.
func (co *Co) value(key any) any {
	if key == (lookin.WhoKey{}) && co != nil && co.c != nil {
		return co.who()
	}
	if co == nil || !co.isView() {
		return co.context().Value(key)
	}
	if v := context.WithoutCancel(co.shield.ctx.Load().values).Value(key); v != nil {
		return v
	}
	// The context package asks for what it knows a context of its own by. That is of the coroutine's; other values are not.
	if context.WithoutCancel(co.ctx().Load().values).Value(key) != nil {
		return nil
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
	outside := co.ctx().Load().run
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
