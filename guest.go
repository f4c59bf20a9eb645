package tinyio

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/stack"
)

// A Runtime is a run that a host drives, a step at a time. A host is a game loop, a graphical interface, a workflow engine or
// another event loop. Make a Runtime with [Start].
type Runtime[T any] struct {
	run  *run
	coro *Coro[T]
}

// Start begins a run of c on l, as [RunOn] would, but leaves the steps to the caller, who ranges over [Runtime.Steps]. Nothing
// runs before that. The loop starts no goroutine and waits for nothing; all it reads is its clock ([WithClock]), the context and
// what comes from outside. (The context package starts a goroutine to watch a context of a type that it does not know.)
//
// If l is running already, Steps is empty and Result returns the error. From Start on, l counts as running until the range over
// Steps has ended.
func Start[T any](ctx context.Context, l *Loop, c *Coro[T]) *Runtime[T] {
	return &Runtime[T]{begin(ctx, l, c.awaitable(), "Run"), c}
}

// A Pause is the state of a loop between two steps.
type Pause struct {
	// Blocked is true if no coroutine is ready. The host should then take the next step when the Deadline has come
	// or Wake can be received from. A step before that does nothing and does no harm. In virtual time the next step
	// makes the clock jump to the Deadline.
	Blocked bool
	// Deadline is that of the next timer, or the zero time if none is set.
	Deadline time.Time
	// Wake gets a value when something comes from outside while the loop is blocked.
	Wake <-chan struct{}
}

// Steps runs the loop, a step for each turn of a coroutine, and yields the pause after each. It ends when the run has ended.
// Leaving the range early, even by a panic, cancels every coroutine and waits until all have stopped; the result of the run is
// then [ErrAbandoned]. A panic in a coroutine, or its Goexit, comes out of the range, after every coroutine has cleaned up.
//
// All of the range must happen on one goroutine, which must not lock or unlock its thread meanwhile. A host that is called, and so cannot
// range, takes the steps with [iter.Pull]; its stop function leaves the range.
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
	r.hosted = true
	defer func() { r.hosted = false }()
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
	r.panicOrExit()
}

// hostedStep takes a step for a host. It checks the context itself. So if the host ends the context between two steps, the next step
// stops the run, whenever the message of the context arrives.
func (r *run) hostedStep() {
	if r.mustStop() {
		r.fail(r.root, interrupted(r.ctx))
	}
	r.turnsLeft = 0 // between two steps any time may pass: read the clock in each
	r.turns(nil)
}

// mustStop reports whether the context is done and the run has not crashed yet. With a gate, that comes as a message only.
func (r *run) mustStop() bool { return r.root.crash == nil && r.gate == nil && r.ctx.Err() != nil }

// pause describes the loop between two steps.
func (r *run) pause() Pause {
	return Pause{
		Blocked:  r.nobodyReady() && r.deferred.n == 0 && !r.mustStop() && r.loop.inbox.sleep(),
		Deadline: r.deadline(),
		Wake:     r.loop.inbox.self.wake,
	}
}

// resumeAfter goes on after p. If the loop is blocked, a clock of virtual time jumps to the deadline.
func (r *run) resumeAfter(p Pause) {
	r.loop.inbox.awake()
	if s, ok := r.clock.(hook.Skipper); ok && p.Blocked && r.loop.inbox.empty() && !r.skip(s) {
		r.deadlocked()
	}
}

// skip makes the clock skip idle time, and reports whether anything can still happen.
func (r *run) skip(s hook.Skipper) (possible bool) {
	returned := false
	defer r.caught(&returned, (*run).dropClock)
	possible = true
	possible = s.Skip(r.pauseForClock())
	returned = true
	return possible
}

// abandon cancels every coroutine because the host has left the range, and waits until all have stopped.
func (r *run) abandon() {
	if r.ended {
		return
	}
	r.hosted = false
	r.loop.inbox.awake()
	if left := (failure{err: ErrAbandoned, outside: true}); r.gate == nil {
		r.fail(r.root, left)
	} else {
		i := &interruption{run: r, failure: left}
		i.to = i
		r.loop.inbox.post(&i.message)
	}
	r.complete()
}

// Discard ends the run between two steps without letting it act any more. It is for a host that has recorded the run and goes on
// with it elsewhere.
//
// Every coroutine is unwound where it waits, as if it had called [runtime.Goexit]: those that were started last come first, and
// those inside an [Isolate] or a [First] come before its caller. Deferred functions run, but the first call in one that would
// suspend or start something, even in a Shield, ends that function too. Contexts are done, and every [Submit] to the run returns
// [ErrAbandoned]. Discard waits for no thread and no callback, and drops what they return. Coroutines that have not finished
// never do. Then Steps ends, and Result returns ErrAbandoned. If the run has ended, Discard does nothing.
//
// Discard must be called on the goroutine that ranges over Steps, in the body of the range or before it. It panics if it is
// called during a step. If a deferred function panics, so does Discard, with that [*PanicError], when every coroutine is unwound.
func (r *Runtime[T]) Discard() {
	if r == nil || r.run == nil {
		panic("tinyio: Discard: the Runtime is nil or zero; make one with Start")
	}
	r.run.discard()
}

// ErrAbandoned is the error of a run whose host has left the range over Steps early, or has discarded the run.
var ErrAbandoned = errors.New("tinyio: the host left the run before it had ended")

// Result returns what [Run] would have returned, and an error if the run has not ended. If Run would have panicked or called
// [runtime.Goexit], so does Result.
func (r *Runtime[T]) Result() (T, error) {
	var zero T
	r.run.panicOrExit()
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
