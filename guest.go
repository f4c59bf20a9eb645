package tinyio

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/stack"
)

// A Runtime is a run that a host drives, a step at a time: a game loop, a graphical interface, a workflow engine, another
// event loop. Make one with [Start].
type Runtime[T any] struct {
	run  *run
	coro *Coro[T]
}

// Start begins a run of c on l, as [RunOn] would, but leaves the steps to the caller: range over [Runtime.Steps]. Nothing runs
// before that. The loop starts no goroutine and waits for nothing; all it reads is its clock ([WithClock]), the context and
// what comes from outside. (The context package starts a goroutine to watch a context of a type that it does not know.)
//
// If l is running already, Steps is empty and Result returns the error. From Start on, l counts as running until the range over
// Steps has ended.
func Start[T any](ctx context.Context, l *Loop, c *Coro[T]) *Runtime[T] {
	return &Runtime[T]{begin(ctx, l, c.awaitable(), "Run"), c}
}

// A Pause is a loop between two steps.
type Pause struct {
	// Blocked is true if no coroutine is ready. The host should then take the next step when the Deadline has come
	// or Wake can be received from. A step before that does nothing and does no harm. In virtual time the clock jumps
	// to the Deadline with the next step.
	Blocked bool
	// Deadline is that of the next timer, or the zero time if none is set.
	Deadline time.Time
	// Wake is sent to when something has come from outside while the loop was blocked.
	Wake <-chan struct{}
}

// Steps runs the loop, a step for each turn of a coroutine, and yields the pause after each. It ends when the run has ended.
// Leaving the range early, by a panic too, cancels everything, waits until it has stopped, and gives the run an error. A
// panic in a coroutine, or its Goexit, comes out of the range, after everything has been cleaned up.
//
// All of the range must happen on one goroutine, which must not lock or unlock its thread meanwhile.
func (r *Runtime[T]) Steps() iter.Seq[Pause] { return r.run.steps }

func (r *run) steps(yield func(Pause) bool) {
	if r.ended {
		return
	}
	if r.running != nil {
		panic("tinyio: Steps: ranged over by a coroutine of the run itself, " + r.running.describe() +
			"; the host must do that, outside the loop")
	}
	stack.Enter()
	defer stack.Leave()
	left := true
	defer func() {
		if left {
			r.abandon()
		}
	}()
	r.watchTurns()
	r.setHosted(true)
	defer r.setHosted(false)
	for r.hostedStep(); !r.over(); r.hostedStep() {
		p := r.pause()
		if !yield(p) {
			r.abandon()
			break
		}
		if r.ended { // it has been discarded
			break
		}
		r.resumeAfter(p)
	}
	left = false
	r.goOn()
}

// setHosted notes whether a host drives r.
func (r *run) setHosted(hosted bool) {
	if r.ended {
		return
	}
	r.hosted = hosted
	r.stepwise = hosted || r.hasPicker() || !stack.Direct
	r.watched = hosted || r.watch != nil
	r.seen = r.watched || stepped != nil
	r.counted = r.watched || r.loop.watchdog != nil
	r.apart = r.watched || r.kind == givenTime || r.loop.startThread != nil
}

// hostedStep takes a step for a host. It looks at the context itself, so that a host that ends it between two steps knows at
// which step that is noticed.
func (r *run) hostedStep() {
	if r.toldToStop() {
		r.fail(r.root, interrupted(r.ctx))
	}
	r.turnsLeft = 0 // time is the host's: look at the clock each time
	r.turns(nil)
}

// toldToStop reports whether the context is done and that has not been noticed yet.
func (r *run) toldToStop() bool { return r.root.crash == nil && r.ctx.Err() != nil }

// pause describes the loop between two steps.
func (r *run) pause() Pause {
	return Pause{
		Blocked:  r.nobodyReady() && r.deferred.n == 0 && !r.toldToStop() && r.loop.inbox.sleep(),
		Deadline: r.deadline(),
		Wake:     r.loop.inbox.self.wake,
	}
}

// resumeAfter goes on after p. In virtual time it is the clock that lets the time pass.
func (r *run) resumeAfter(p Pause) {
	r.loop.inbox.awake()
	if s, ok := r.clock.(hook.Skipper); ok && p.Blocked && r.loop.inbox.empty() {
		possible := true
		r.guard(r.dropClock, func() { possible = s.Skip(r.pauseForClock()) })
		if !possible {
			r.deadlocked()
		}
	}
}

// abandon cancels everything because the host has gone, and waits until it has stopped.
func (r *run) abandon() {
	if r.ended {
		return
	}
	r.setHosted(false)
	r.loop.inbox.awake()
	r.fail(r.root, failure{err: ErrAbandoned, outside: true})
	r.complete()
}

// Discard ends the run between two steps without letting it act: for a host on which the run goes on elsewhere, from what it has recorded.
// Nobody hears of anything: every coroutine is unwound where it waits, as if it had called [runtime.Goexit], those that were started last
// first, and those inside an [Isolate] or a [First] before whoever waits for that. Its deferred functions run, and the first thing in them that could suspend or start something unwinds that function too, in a
// Shield as well. Contexts are done, and what is in [Submit] returns [ErrAbandoned]. Discard waits for no thread and no callback: what comes back from
// them is dropped. Coroutines that have not finished never do. Then Steps ends, and Result returns ErrAbandoned. If the run has ended,
// Discard does nothing.
//
// Discard must be called where the range over Steps happens, or before it. It panics if it is called in a step. If a deferred function panics, so
// does Discard, with that [*PanicError], when everything is unwound.
func (r *Runtime[T]) Discard() {
	if r == nil || r.run == nil {
		panic("tinyio: Discard: the Runtime is nil or zero; make one with Start")
	}
	r.run.discard()
}

// ErrAbandoned is the result of a run whose host left it early, or discarded it.
var ErrAbandoned = errors.New("tinyio: the host left the run before it had ended")

// Result returns what [Run] would have. Before the run has ended it is an error.
func (r *Runtime[T]) Result() (T, error) {
	var zero T
	r.run.goOn()
	switch {
	case !r.run.ended:
		return zero, errors.New("tinyio: Result: the run has not ended; range over Steps first")
	case r.run.err != nil:
		return zero, r.run.err
	case r.run.result != nil:
		return zero, r.run.result
	}
	return r.coro.value, r.coro.c.pastError()
}
