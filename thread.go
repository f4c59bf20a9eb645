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

// RunInThread returns a coroutine that runs fn, which may block, in a goroutine of its own. The loop goes on meanwhile.
//
// The context that fn is given is done when the coroutine is cancelled or halted, with the reason in [context.Cause]. Then fn
// should return soon, for the loop waits until it has. An error of fn, or a panic or [runtime.Goexit] in fn, counts as one of the
// coroutine. RunInThread panics if fn is nil.
func RunInThread[T any](fn func(ctx context.Context) (T, error)) *Coro[T] {
	if fn == nil {
		panic("tinyio: RunInThread: the function is nil; a thread needs one to run")
	}
	c := newCallback[T](fn, entryOf(fn))
	c.c.cold().callback.simple = true
	return c
}

// inThread calls fn in the goroutine that is c's thread, and sends its result to the loop: a value, an error, a panic or a Goexit. If a
// host runs the thread, inThread only stores the result, and the host sends it with Return.
func (c *Coro[T]) inThread(fn func(ctx context.Context) (T, error), shielded, hosted bool) {
	pprof.SetGoroutineLabels(c.c.labels(c.c.ctx.Load()))
	if shielded {
		defer c.c.loop.Load().shielded.enter(&c.c, (*threadContext)(&c.c.co))()
	}
	var v T
	err := errExited
	defer func() {
		if err == errExited {
			if p := recover(); p != nil {
				err = threadPanic{newPanicError(p, debug.Stack())}
				failing(&c.c, err)
			}
		}
		if hosted {
			c.c.dropName()
			c.value, c.c.err = v, err
			return
		}
		c.comeBackWith(v, err)
	}()
	v, err = fn((*threadContext)(&c.c.co))
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
	return newCallback[T](start, entryOf(start))
}

// newCallback returns a coroutine that is completed from outside. Its begin is the start function of FromCallback or, since a start
// function that starts the thread would cost two more closures, the function of a thread. The coldFields, which every callback needs,
// are allocated with it.
func newCallback[T any](begin any, entry uintptr) *Coro[T] {
	both := new(struct {
		coro Coro[T]
		cold coldFields
	})
	c := &both.coro
	c.c.init(c, entry)
	c.c.coldPointer.Store(&both.cold)
	c.c.cold().callback.begin = begin
	return c
}

// A callback is the state of a coroutine that is completed from outside the loop. As a message, it brings the result to the loop.
//
// It is completed once, by whichever sets called first: done, or a start or cancel function that panics or exits. Only that one writes
// the result. If start panics or exits after done has been called, perhaps on another goroutine, the coroutine still waits for
// the message of done, and then ends as start did: the panic is not lost, and no message comes for a finished coroutine.
type callback struct {
	message
	c      *task
	begin  any  // the start function, or the function of a thread
	simple bool // begin is the function of a thread: starting it cannot panic or exit, and needs no stack
	called atomic.Bool
	cancel func(cause error)
	abrupt error // how start or cancel ended, if it panicked or exited after done had been called
}

// needsNoStack reports whether c, which has not begun, is a thread: its first turn only starts the goroutine.
func (c *task) needsNoStack() bool { return c.cold() != nil && c.cold().callback.simple }

// A threadOf is the function of a RunInThread, for a host: see hook.Function.
type threadOf[T any] struct {
	c        *Coro[T]
	fn       func(ctx context.Context) (T, error)
	shielded bool // c was started in a Shield
}

func (t *threadOf[T]) Context() context.Context { return (*threadContext)(&t.c.c.co) }
func (t *threadOf[T]) Run()                     { t.c.inThread(t.fn, t.shielded, true) }
func (t *threadOf[T]) Result() (any, *error)    { return t.c.outcome() }

func (t *threadOf[T]) Return() {
	b := &t.c.c.cold().callback
	b.called.Store(true)
	t.c.c.loop.Load().inbox.post(&b.message)
}

// callBegin begins a callback. From then on the coroutine waits without a stack.
func (c *Coro[T]) callBegin() {
	r := c.c.run()
	b := &c.c.cold().callback
	begin := b.begin
	b.c, b.to, b.begin = &c.c, b, nil
	c.c.state, c.c.wait = waiting, onThread
	if r.watch != nil {
		r.noteSuspended(&c.c)
	}
	r.addThreads(1)
	if fn, ok := begin.(func(context.Context) (T, error)); ok {
		shielded := c.c.shield() != nil
		if r.loop.startThread == nil {
			go c.inThread(fn, shielded, false)
			return
		}
		r.handOver(c.c.label(), &threadOf[T]{c, fn, shielded})
		return
	}
	start := begin.(func(func(T, error)) func(error))
	r.notify()
	if r.gate == nil {
		b.cancel = start(c.comeBackWith)
	} else if r.gate.Callback(hook.NewThread(c.c.label(), &threadOf[T]{c: c})) {
		b.cancel = startAtGate(r, c, start)
	}
}

// startAtGate calls start, the function of a callback, and reports to the Keeper if it does not return.
func startAtGate[T any](r *run, c *Coro[T], start func(func(T, error)) func(error)) (cancel func(error)) {
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
	cancel = start(c.comeBackWith)
	returned = true
	return cancel
}

// outcome returns where the result of c is stored.
func (c *Coro[T]) outcome() (value any, err *error) { return &c.value, &c.c.err }

// endAbruptly deals with a start function that has panicked or exited. It reports whether the coroutine finishes now, which it does
// unless done was called before.
func (b *callback) endAbruptly(ending error) bool {
	if !b.called.CompareAndSwap(false, true) {
		b.abrupt = ending
		return false
	}
	b.c.run().addThreads(-1)
	return true
}

// comeBackWith is the done function of a callback. It may be called from any goroutine. Only the first call counts.
func (c *Coro[T]) comeBackWith(v T, err error) {
	b := &c.c.cold().callback
	if b.called.CompareAndSwap(false, true) {
		c.value, c.c.err = v, err
		c.c.loop.Load().inbox.post(&b.message)
	}
}

// arrive makes the coroutine ready for its last turn, in which it finishes.
func (b *callback) arrive(r *run) {
	r.threadBack()
	r.wake(b.c)
}

// threadBack counts that a thread, a call or a callback has come back.
func (r *run) threadBack() {
	r.addThreads(-1)
	r.returned++
}

// comeBack is the last turn of a callback. Its result is there, and no function is called.
func (c *Coro[T]) comeBack() { c.c.endCallback() }

func (c *task) endCallback() {
	b := &c.cold().callback
	if b.abrupt != nil {
		c.err = b.abrupt
	}
	b.cancel = nil                     // it may refer to much memory
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

func cancelCallback(r *run, c *task) { c.cold().callback.stop(r, c.stop.cause()) }

// stop calls the cancel function, because the coroutine is being stopped. If that function panics or exits, so does the coroutine,
// since done may never be called.
func (b *callback) stop(r *run, cause error) {
	cancel := b.cancel
	b.cancel = nil
	if cancel == nil || b.called.Load() {
		return
	}
	f := r.inSandbox(func() { cancel(cause) })
	if f == nil {
		return
	}
	if b.called.CompareAndSwap(false, true) {
		b.c.err = f.ending()
		if r.gate == nil {
			b.arrive(r)
		} else {
			r.loop.inbox.post(&b.message)
		}
		return
	}
	b.abrupt = f.ending()
}
