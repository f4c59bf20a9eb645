package tinyio

import (
	"context"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio/internal/lookin"
	"github.com/tinyio-go/tinyio/internal/publish"
)

// A coContext is what the Co of a coroutine needs to be a context.
//
// A coroutine begins with an inherited coContext, which many coroutines share. That has the values and the deadline, and no
// context.Context. The coroutine gets a coContext of its own, with a context.Context, when its Done, Err or Value is first called,
// which is seldom. If it is stopped before that, it gets one with a lateContext.
//
// Only the loop ends that context.Context. If the end of the run's context ended it directly, its cause could differ from the one for
// which the loop crashes, and code could act on it before the loop does.
type coContext struct {
	inherited *coContext      // what the coroutines inherit that this one starts; an inherited coContext refers to itself
	run       context.Context // of the run
	values    context.Context
	labels    context.Context         // the profiler labels of values, and nothing else
	deadline  time.Time               // the earliest that holds for the coroutine; zero if there is none
	own       context.Context         // nil in an inherited one
	cancel    context.CancelCauseFunc // of own
	late      *lateContext            // instead of own
}

// A lateContext makes the context.Context of coroutines that have been stopped when somebody asks for it.
type lateContext struct {
	once  sync.Once
	ctx   context.Context
	cause error // why they have been stopped
}

// inheritable returns the coContext that the first coroutines of a run with the context ctx inherit.
func inheritable(ctx context.Context) *coContext {
	x := &coContext{run: ctx}
	x.inherited, x.values, x.labels = x, ctx, labelsOf(ctx)
	x.deadline, _ = ctx.Deadline()
	return x
}

// withValues returns an inherited coContext like x, with the values of ctx.
func (x *coContext) withValues(ctx context.Context) *coContext {
	y := &coContext{run: x.run, values: ctx, labels: labelsOf(ctx), deadline: x.deadline}
	y.inherited = y
	return y
}

// withDeadline returns an inherited coContext like x, with the deadline at if that is earlier than that of x.
func (x *coContext) withDeadline(at time.Time) *coContext {
	if !x.deadline.IsZero() && !at.Before(x.deadline) {
		return x.inherited
	}
	return x.during(at)
}

// during returns an inherited coContext like x, with the deadline at, even if that of x is earlier.
func (x *coContext) during(at time.Time) *coContext {
	y := &coContext{run: x.run, values: x.values, labels: x.labels, deadline: at}
	y.inherited = y
	return y
}

// limit makes x, which is inherited by nobody yet, one of the run of y, with the earlier of the two deadlines.
func (x *coContext) limit(y *coContext) {
	x.run = y.run
	if x.deadline.IsZero() || !y.deadline.IsZero() && y.deadline.Before(x.deadline) {
		x.deadline = y.deadline
	}
}

// ownContext returns a coContext like x for one coroutine alone, with a context.Context that can be cancelled.
func (x *coContext) ownContext() *coContext {
	y := *x
	y.own, y.cancel = context.WithCancelCause(context.WithoutCancel(x.values))
	return &y
}

// stoppedFor returns a coContext like x for coroutines that have been stopped because of cause.
func (x *coContext) stoppedFor(cause error) *coContext {
	both := new(struct {
		coContext
		late lateContext
	})
	both.coContext, both.late.cause = *x, cause
	both.coContext.late = &both.late
	return &both.coContext
}

// stopped returns the context.Context of the lateContext of x.
func (x *coContext) stopped() context.Context {
	l := x.late
	l.once.Do(func() {
		ctx, cancel := context.WithCancelCause(context.WithoutCancel(x.values))
		cancel(l.cause)
		l.ctx = ctx
	})
	return l.ctx
}

// WithValues returns another Co of the same coroutine, to be used instead of co. As a context it has the values and the profiler labels
// of ctx (see [runtime/pprof.WithLabels]), and so have the coroutines that are started through it. That is how a span or a
// logger passes from a coroutine to those that it starts. Nothing else of ctx counts, neither its end nor its deadline. The Co is
// valid for as long as co is.
func (co *Co) WithValues(ctx context.Context) *Co {
	c := co.enter("WithValues")
	if ctx == nil {
		panic("tinyio: WithValues: the context is nil, in " + c.describe() + "; pass one with the values that are wanted")
	}
	other := newView(c, co.shield())
	other.view.of, other.view.inherited = co, co.inherited().withValues(ctx)
	return other
}

// A view is what distinguishes a Co that Shield or WithValues has made from the coroutine's original one.
type view struct {
	shield    *shield                    // the innermost Shield that protects what is done through the Co
	ctx       publish.Pointer[coContext] // of the Co of a Shield
	of        *Co                        // the Co on which WithValues was called
	inherited *coContext                 // what coroutines inherit that are started through a Co of WithValues
}

// newView returns another Co of c, with a view.
func newView(c *task, s *shield) *Co {
	both := new(struct {
		co   Co
		view view
	})
	both.view.shield = s
	both.co = Co{c: c, view: &both.view}
	return &both.co
}

// hasValues reports that co comes from WithValues.
func (co *Co) hasValues() bool { return co.view != nil && co.view.of != nil }

// shield returns the innermost Shield that protects what is done through co.
func (co *Co) shield() *shield {
	if co.view == nil {
		return co.c.base()
	}
	return co.view.shield
}

// retired reports whether co is no longer valid because its Shield is over.
func (co *Co) retired() bool {
	if co.hasValues() {
		return co.view.of.retired()
	}
	return co.view != nil && co.view.shield.over
}

// inherited returns what the coroutines inherit that are started through co.
func (co *Co) inherited() *coContext {
	if co.hasValues() {
		return co.view.inherited
	}
	return co.ctx().Load().inherited
}

// inheritFrom records in the request what coroutines inherit that are started for it through co. If co is the coroutine's original Co,
// there is nothing to record: they then inherit from the coroutine itself.
func (q *request) inheritFrom(co *Co) {
	if co.view != nil {
		q.any, q.inherit = true, co.inherited()
	}
}

// ctx returns the variable that holds the coContext of co.
func (co *Co) ctx() *publish.Pointer[coContext] {
	if co == nil || co.c == nil {
		panic("tinyio: the Co is nil or zero; use the one that the coroutine's function is given")
	}
	switch v := co.view; {
	case v == nil:
		return &co.c.ctx
	case v.of != nil:
		return v.of.ctx()
	default:
		return &v.ctx
	}
}

func (co *Co) context() context.Context {
	p := co.ctx()
	x := p.Load()
	if x.own == nil && x.late == nil {
		mine := x.ownContext()
		if p.CompareAndSwap(x, mine) {
			if co.c.hasFinished() {
				mine.cancel(nil) // finish, which ends the context, may have come before this one was there
			}
			return mine.own
		}
		mine.cancel(nil)
		x = p.Load()
	}
	if x.late != nil {
		return x.stopped()
	}
	return x.own
}

// stop makes the context done because the coroutine is being stopped.
func (co *Co) stop(why *reason) {
	p := co.ctx()
	if x := p.Load(); x.late != nil || x.own == nil && p.CompareAndSwap(x, why.context(x)) {
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

// Deadline returns the earliest of the deadlines of the contexts given to [Run] and [Submit], and of every [Timeout] in which the
// coroutine was started; in a [Co.Shield] that a cancelled coroutine has begun, the end of the grace period.
func (co *Co) Deadline() (deadline time.Time, ok bool) {
	deadline = co.ctx().Load().deadline
	return deadline, !deadline.IsZero()
}

// Done returns a channel that is closed when the coroutine is cancelled or halted, or has finished.
func (co *Co) Done() <-chan struct{} { return co.context().Done() }

// Err returns [context.Canceled] once Done is closed, and nil before. [context.Cause] tells why.
func (co *Co) Err() error { return co.context().Err() }

// Value returns the value for key in the context that the coroutine has inherited from the one that started it: the context given
// to [Run] or [Submit], or to [Co.WithValues].
func (co *Co) Value(key any) any {
	if key == (runningCo{}) && co != nil && co.c != nil {
		return co
	}
	return co.value(key)
}

// who returns what package tinyioslog looks up in a context.
func (co *Co) who() lookin.Who { return lookin.Who{Coro: co.c.label(), Loop: co.c.loop.Load()} }

// value is Value for any key but that of the coroutine itself.
func (co *Co) value(key any) any {
	if key == (lookin.WhoKey{}) && co != nil && co.c != nil {
		return co.who()
	}
	if co == nil || !co.hasValues() {
		return co.context().Value(key)
	}
	if v := context.WithoutCancel(co.view.inherited.values).Value(key); v != nil {
		return v
	}
	// The context package looks up its own contexts with a private key. For that key the answer is the coroutine's context. The
	// coroutine's other values must not be seen: the context given to WithValues has replaced them.
	if context.WithoutCancel(co.ctx().Load().values).Value(key) != nil {
		return nil
	}
	return co.context().Value(key)
}

// A runningCo is the key under which a context has the Co of its coroutine.
type runningCo struct{}

// nest returns a context for a run inside the coroutine, made from ctx, and a function that releases it. The loop of co stands
// still while the inner run lasts, and cannot end the context of co. So the inner run's context also ends with the context of the
// outer run; in a Shield, it ends after the grace.
//
// On another goroutine, ctx is enough: the loop goes on and ends the context of co.
func (co *Co) nest(ctx context.Context) (merged context.Context, leave func()) {
	if !co.c.isCaller() {
		return ctx, func() {}
	}
	outside := co.ctx().Load().run
	merged, cancel := context.WithCancelCause(ctx)
	end := func() { cancel(context.Cause(outside)) }
	var stop func() bool
	grace := co.shield().left(co.c.run())
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
