package tinyio

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// A Loop runs coroutines. Its zero value is not usable; make one with [NewLoop]. A loop can be run again and again, one
// run at a time; the results of its coroutines stay with them. It holds no goroutine and no memory to speak of between
// runs, and needs no closing.
type Loop struct {
	inbox       inbox
	active      atomic.Bool // it is running, or has been started for a host
	run         *run        // the current one; only for the goroutine that runs the loop
	clock       hook.Clock
	clockKind   clockKind
	mode        GroupMode
	watch       *watch
	startThread func(t *hook.Thread)   // nil unless a host runs the threads
	met         ID                     // how many coroutines have a number
	stopping    atomic.Pointer[reason] // why the run is being stopped, if it is
	shielded    shieldedThreads
	counters    counters
	watchdog    *watchdog
	named       bool        // coroutines carry their names as labels
	gate        gate.Keeper // nil unless its run is recorded or replayed
	endpoints   sync.Map    // of package durable: see package gate
}

// noLoop is the loop of every finished coroutine. Any loop may await a finished coroutine, and its result must not keep the loop
// that it ran on, with observer and clock, in memory.
var noLoop = func() *Loop {
	l := NewLoop()
	l.inbox.head.Store(closed)
	return l
}()

// An Option sets how a loop works.
type Option func(*Loop)

// WithErrorGroup sets what [Run] returns for a failure: see [GroupMode]. The default is [GroupAuto].
func WithErrorGroup(mode GroupMode) Option {
	return func(l *Loop) { l.mode = mode }
}

// NewLoop returns a loop with the given options.
func NewLoop(opts ...Option) *Loop {
	l := &Loop{clock: realClock{}}
	for _, o := range opts {
		if o == nil {
			panic("tinyio: NewLoop: an Option is nil; leave it out")
		}
		o(l)
	}
	return l
}

// Run runs c on a loop of its own. It returns when c has finished, and every other coroutine and thread that was started, awaited
// or not. It returns the value of c, or the error that crashed the loop: see [Error] for the trace that this carries, and [GroupMode] for
// when it is an [*ErrorGroup].
//
// When ctx is done, the loop crashes with [context.Cause] of ctx. If a coroutine panics, everything is cancelled and
// cleaned up, and then Run panics with a [*PanicError]. If one calls [runtime.Goexit], so does Run in the end.
//
// Coroutines and threads begin with the profiler labels of ctx (see [runtime/pprof.WithLabels]), whatever others have set.
//
// Run may be called from any goroutine, and from inside a coroutine, which blocks that coroutine's loop. Coroutines run
// on stacks of their own: a goroutine that is locked to its thread may call Run, but a coroutine must not suspend, return
// or call [Loop.Status] between [runtime.LockOSThread] and its unlocking.
func Run[T any](ctx context.Context, c *Coro[T], opts ...Option) (T, error) {
	return RunOn(ctx, NewLoop(opts...), c)
}

// RunOn is [Run] on the loop l. If c has finished in an earlier run, RunOn returns its result again, at once. If l is running
// already, RunOn returns an error without waiting.
func RunOn[T any](ctx context.Context, l *Loop, c *Coro[T]) (T, error) {
	return runOn(ctx, l, c, "Run")
}

func runOn[T any](ctx context.Context, l *Loop, c *Coro[T], op string) (T, error) {
	r := &Runtime[T]{begin(ctx, l, c.awaitable(), op), c}
	r.run.drive()
	return r.Result()
}

// checkRun panics if ctx, l or c is nil or zero.
func checkRun(ctx context.Context, l *Loop, c *task, op string) {
	switch {
	case ctx == nil:
		panic("tinyio: " + op + ": the context is nil; pass context.Background() if there is none")
	case l == nil || l.clock == nil:
		panic("tinyio: " + op + ": the Loop is nil or zero; make one with NewLoop")
	case c == nil || c.body == nil:
		panic("tinyio: " + op + ": the coroutine is nil or zero; make it with New")
	}
}
