package tinyio

import (
	"context"
	"errors"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio/hook"
)

// RunInThread returns a coroutine that runs fn, which may block, in a goroutine of its own. The loop goes on meanwhile, so fn must not touch what
// coroutines share: let it return its result.
//
// The context that fn is given is done when the coroutine is cancelled or halted, with the reason in [context.Cause]. Then fn
// should return soon, for the loop waits until it has. An error of fn, or a panic or [runtime.Goexit] in fn, counts as one of the
// coroutine. RunInThread panics if fn is nil.
func RunInThread[T any](fn func(ctx context.Context) (T, error)) *Coro[T] {
	if fn == nil {
		panic("tinyio: RunInThread: the function is nil; a thread needs one to run")
	}
	o := &outside[T]{thread: fn}
	o.c.init(o, entryOf(fn))
	o.c.wait = onThread // even before its first turn: see needsNoStack
	return &o.Coro
}

// inThread calls the function of o in the goroutine that is its thread, and sends the result to the loop: a value, an error, a panic or a
// Goexit. If a host runs the thread, inThread only stores the result, and the host sends it with Return.
func (o *outside[T]) inThread(hosted bool) {
	c := &o.c
	pprof.SetGoroutineLabels(c.labels(c.ctx.Load()))
	if o.shielded {
		defer c.loop.Load().shielded.enter(c, (*threadContext)(&c.co))()
	}
	var v T
	err := errExited
	defer func() {
		if err == errExited {
			if p := recover(); p != nil {
				err = threadPanic{newPanicError(p, debug.Stack())}
				failing(c, err)
			}
		}
		if hosted {
			c.dropName()
			o.value, c.err = v, err
			return
		}
		o.thread = nil // so that the coroutine does not keep what it refers to in memory
		o.done(v, err)
	}()
	v, err = o.thread((*threadContext)(&c.co))
}

// A threadPanic is a panic in a thread, as distinct from a PanicError that its function returns.
type threadPanic struct{ *PanicError }

// A threadContext is the context of a thread. It is that of the coroutine, except that its Value does not give out the Co.
type threadContext Co

func (t *threadContext) Deadline() (time.Time, bool) { return (*Co)(t).Deadline() }
func (t *threadContext) Done() <-chan struct{}       { return (*Co)(t).Done() }
func (t *threadContext) Err() error                  { return (*Co)(t).Err() }
func (t *threadContext) Value(key any) any           { return (*Co)(t).value(key) }

// WithThreads makes a loop pass the function of each [RunInThread] and [Call] to start, and run none of them in a goroutine
// itself. It is for hosts that run threads elsewhere, in a certain order, or not at all, such as tools for tests and for replaying.
// For a function of [RunInPool], start is called when the function has a permit of the pool.
//
// The function start is called on the loop, in the turn of the coroutine. It must not block, so another goroutine has to call the
// thread's Run. The loop waits for the thread until its result has come back.
func WithThreads(start func(t *hook.Thread)) Option {
	if start == nil {
		panic("tinyio: WithThreads: the function is nil; leave the option out for a goroutine for each thread")
	}
	return func(l *Loop) { l.startThread = start }
}

// handOver passes f to the host as a thread. If the host's function panics, the run stops because of that, and the thread fails, unless
// it has begun.
func (r *run) handOver(name string, f hook.Function) {
	t, returned := hook.NewThread(name, f), false
	defer r.caught(&returned, func(*run) { t.Fail(errors.New("tinyio: the function given to WithThreads has panicked")) })
	r.loop.startThread(t)
	returned = true
}

// FromCallback returns a coroutine that something outside the loop completes: a channel, another event loop, a library
// with callbacks.
//
// The function start is called on the loop, in the first turn of the coroutine; it must not block. It arranges that done is called
// with the result, from any goroutine; start may call it itself. The first call of done counts, and later ones do nothing.
//
// The function cancel, which start returns and which may be nil, is called on the loop if the coroutine is cancelled or halted before
// done is called: at most once, with the reason. It must not block either. It should make done be called soon, for the coroutine
// does not end before. FromCallback panics if start is nil.
func FromCallback[T any](start func(done func(T, error)) (cancel func(cause error))) *Coro[T] {
	if start == nil {
		panic("tinyio: FromCallback: the start function is nil; without it nothing completes the coroutine")
	}
	o := &outside[T]{start: start}
	o.c.init(o, entryOf(start))
	return &o.Coro
}

// An outside is a coroutine that is completed from outside the loop: by a thread, or by what the start function of a callback has arranged.
// Since it waits without a stack, it is the body of its coroutine itself. As a message, it brings the result to the loop.
//
// It is completed once, by whichever sets called first: done, or a start or cancel function that panics or exits. Only that one writes
// the result. If start panics or exits after done has been called, perhaps on another goroutine, the coroutine still waits for
// the message of done, and then ends as start did: the panic is not lost, and no message comes for a finished coroutine.
type outside[T any] struct {
	Coro[T] // the first field: see coroOf
	message
	thread   func(ctx context.Context) (T, error)                 // of RunInThread, until it has returned
	start    func(done func(T, error)) (cancel func(cause error)) // of FromCallback, until it is called
	cancel   func(cause error)
	called   atomic.Bool
	shielded bool // the thread was started in a Shield
}

// needsNoStack reports whether the next turn of c, which has no slot, needs no stack: c waits without one, or is a thread, whose first
// turn only starts the goroutine, and cannot panic or exit.
func (c *task) needsNoStack() bool { return c.outcome != notBegun || c.wait == onThread }

// A threadOf is the function of a RunInThread, for a host: see hook.Function.
type threadOf[T any] struct{ o *outside[T] }

func (t threadOf[T]) Context() context.Context { return (*threadContext)(&t.o.c.co) }
func (t threadOf[T]) Run()                     { t.o.inThread(true) }
func (t threadOf[T]) Result() (any, *error)    { return t.o.outcome() }

func (t threadOf[T]) Return() {
	t.o.thread = nil
	t.o.called.Store(true)
	t.o.c.loop.Load().inbox.post(&t.o.message)
}

// call begins o. From then on the coroutine waits without a stack.
func (o *outside[T]) call(*Co) error {
	r, c := o.c.run(), &o.c
	o.to = o
	c.state, c.wait = waiting, onThread
	if r.watch != nil {
		r.noteSuspended(c)
	}
	r.addThreads(1)
	switch {
	case o.thread == nil:
		o.callStart(r)
	case r.loop.startThread == nil:
		o.shielded = c.shield() != nil
		go o.inThread(false)
	default:
		o.shielded = c.shield() != nil
		r.handOver(c.label(), threadOf[T]{o})
	}
	return errBegun
}

// callStart calls the start function of a callback.
func (o *outside[T]) callStart(r *run) {
	start := o.start
	o.start = nil
	r.notify()
	if r.gate == nil {
		o.cancel = start(o.done)
	} else if r.gate.Callback(hook.NewThread(o.c.label(), threadOf[T]{o})) {
		o.cancel = o.startAtGate(r, start)
	}
}

// startAtGate calls start, the function of a callback, and reports to the Keeper if it does not return.
func (o *outside[T]) startAtGate(r *run, start func(func(T, error)) func(error)) (cancel func(error)) {
	returned := false
	defer func() {
		if !returned {
			p := recover()
			r.gate.Broke(p)
			if p != nil {
				panic(p) // on top of the stack on which it happened
			}
		}
	}()
	cancel = start(o.done)
	returned = true
	return cancel
}

// skip drops the functions that are not going to be called. The function of a thread that has begun belongs to the thread.
func (o *outside[T]) skip() {
	o.start, o.cancel = nil, nil
	if o.to == nil {
		o.thread = nil
	}
}

func (o *outside[T]) coro() any { return &o.Coro }

// outcome returns where the result of o is stored.
func (o *outside[T]) outcome() (value any, err *error) { return &o.value, &o.c.err }

// abrupt returns how the start or cancel function of c, which is a callback, has ended, if it has panicked or exited after done was called.
func (c *task) abrupt() error {
	if c.cold() == nil {
		return nil
	}
	return c.cold().abrupt
}

// A callback is an outside of any type.
type callback interface {
	coro() any // as its user has it
	endAbruptly(ending error) bool
	stop(r *run, cause error)
}

// endAbruptly deals with a start function that has panicked or exited. It reports whether the coroutine finishes now, which it does
// unless done was called before.
func (o *outside[T]) endAbruptly(ending error) bool {
	if !o.called.CompareAndSwap(false, true) {
		o.c.addCold().abrupt = ending
		return false
	}
	o.c.run().addThreads(-1)
	return true
}

// done is the done function of a callback. It may be called from any goroutine. Only the first call counts.
func (o *outside[T]) done(v T, err error) {
	if o.called.CompareAndSwap(false, true) {
		o.value, o.c.err = v, err
		o.c.loop.Load().inbox.post(&o.message)
	}
}

// arrive makes the coroutine ready for its last turn, in which it finishes.
func (o *outside[T]) arrive(r *run) {
	r.threadBack()
	r.wake(&o.c)
}

// threadBack counts that a thread, a call or a callback has come back.
func (r *run) threadBack() {
	r.addThreads(-1)
	r.returned++
}

// comeBack is the last turn of o. Its result is there, and no function is called.
func (o *outside[T]) comeBack() {
	o.cancel = nil // it may refer to much memory
	o.c.endOutside()
}

// endOutside records how c has ended.
func (c *task) endOutside() {
	if err := c.abrupt(); err != nil {
		c.err = err
	}
	if c.err != nil && c.stop != nil { // in a sandbox, since a method of the error may panic or exit
		if f := c.run().inSandbox(func() { c.clean = c.stop.explains(c.err) }); f != nil {
			c.err = f.ending()
		}
	}
	c.endWith(c.err)
}

// endWith records how the function of c has ended: by a Goexit if err is errExited, by a panic if it is a threadPanic, and otherwise by
// returning err.
func (c *task) endWith(err error) {
	c.err, c.outcome, c.wait = err, returned, onNothing
	if err == errExited {
		c.outcome = exited
	} else if p, ok := err.(threadPanic); ok {
		c.err, c.outcome = p.PanicError, panicked
	}
}

func cancelCallback(r *run, c *task) { c.body.(callback).stop(r, c.stop.cause()) }

// stop calls the cancel function, because the coroutine is being stopped. If that function panics or exits, so does the coroutine,
// since done may never be called.
func (o *outside[T]) stop(r *run, cause error) {
	cancel := o.cancel
	o.cancel = nil
	if cancel == nil || o.called.Load() {
		return
	}
	f := r.inSandbox(func() { cancel(cause) })
	if f == nil {
		return
	}
	if o.called.CompareAndSwap(false, true) {
		o.c.err = f.ending()
		if r.gate == nil {
			o.arrive(r)
		} else {
			r.loop.inbox.post(&o.message)
		}
		return
	}
	o.c.addCold().abrupt = f.ending()
}
