package tinyio

import (
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio/hook"
)

// RunInThread returns a coroutine that runs fn, which may block, in a goroutine of its own. The loop goes on meanwhile.
//
// The context that fn is given is done when the coroutine is cancelled or halted, with the reason in [context.Cause];
// fn should return before long then, for the loop waits until it has. An error of fn, a panic or a [runtime.Goexit] in
// it, is that of the coroutine. It panics if fn is nil.
func RunInThread[T any](fn func(ctx context.Context) (T, error)) *Coro[T] {
	if fn == nil {
		panic("tinyio: RunInThread: the function is nil; a thread needs one to run")
	}
	c := newCallback[T](fn, entryOf(fn))
	c.c.cold().callback.simple = true
	return c
}

// inThread calls fn in the goroutine that is c's thread, and hands on how it ended, whichever way that was; or keeps it, if it
// is a host that hands it on.
func (c *Coro[T]) inThread(fn func(ctx context.Context) (T, error), kept bool) {
	c.c.setLabels()
	if c.c.base() != nil {
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
		if kept {
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

// A threadContext is the context of a coroutine that has no Co to hand out.
type threadContext Co

func (t *threadContext) Deadline() (time.Time, bool) { return (*Co)(t).Deadline() }
func (t *threadContext) Done() <-chan struct{}       { return (*Co)(t).Done() }
func (t *threadContext) Err() error                  { return (*Co)(t).Err() }
func (t *threadContext) Value(key any) any           { return (*Co)(t).value(key) }

// WithThreads makes a loop hand the function of each [RunInThread] and [Call] to start, instead of running it in a goroutine itself: for
// hosts that run threads elsewhere, in a certain order, or not at all, such as tools for tests and for replaying. With functions
// of [RunInPool], start is called when they have their place in the pool.
//
// The function start is called on the loop, in the turn of the coroutine. It must not block, and so must not call Run itself,
// but have another goroutine do so. The loop waits for the thread until it has come back.
func WithThreads(start func(t *hook.Thread)) Option {
	if start == nil {
		panic("tinyio: WithThreads: the function is nil; leave the option out for a goroutine for each thread")
	}
	return func(l *Loop) { l.startThread = start }
}

// handOver gives t to the host. If that panics the loop stops because of it, and t fails unless it has been begun.
func (r *run) handOver(name string, f hook.Function) {
	t := hook.NewThread(name, f)
	r.guard(func() { t.Fail(errors.New("tinyio: the function given to WithThreads has panicked")) }, func() { r.loop.startThread(t) })
}

// FromCallback returns a coroutine that something outside the loop completes: a channel, another event loop, a library
// with callbacks. [RunInThread] stands on it.
//
// The function start is called on the loop when it is the turn of the coroutine for the first time; it must not block.
// It sees to it that done is called with the result, from any goroutine, or before it returns. The first call counts
// and later ones do nothing. The function that start returns, which may be nil, is called on the loop if the coroutine is
// cancelled or halted before that, at most once, with the reason; it must not block either, and should bring about
// that done is called soon, for the coroutine does not end before. It panics if start is nil.
func FromCallback[T any](start func(done func(T, error)) (cancel func(cause error))) *Coro[T] {
	if start == nil {
		panic("tinyio: FromCallback: the start function is nil; without it nothing completes the coroutine")
	}
	return newCallback[T](start, entryOf(start))
}

// newCallback returns a callback. What begins it is a start function, or the function of a thread: a start function for that could
// be written, and would cost two more closures. Its coldFields, which it needs anyhow, come with it.
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

// A callback is a coroutine's way back from outside the loop.
//
// It ends once, by whoever sets called first: done, or a start or cancel function that does not return. That one alone writes
// the result. If start ends abruptly when done has been called, in another goroutine perhaps and only just, the coroutine
// waits for that message as always, and then ends as start did: a panic is not lost, and no message is late.
type callback struct {
	message
	c      *task
	begin  any  // the start function
	simple bool // which cannot panic or exit, and so needs no stack of its own
	called atomic.Bool
	cancel func(cause error)
	abrupt error // how start ended, if it did not return after done had been called
}

// isSimple reports whether c can begin without a stack.
func (c *task) isSimple() bool { return c.cold() != nil && c.cold().callback.simple }

// A threadOf is the function of a RunInThread in the hands of a host.
type threadOf[T any] struct {
	c  *Coro[T]
	fn func(ctx context.Context) (T, error)
}

func (t *threadOf[T]) Context() context.Context { return (*threadContext)(&t.c.c.co) }
func (t *threadOf[T]) Run()                     { t.c.inThread(t.fn, true) }
func (t *threadOf[T]) Result() (any, *error)    { return &t.c.value, &t.c.c.err }

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
		r.note(hook.Suspended, &c.c, nil)
	}
	r.addThreads(1)
	if fn, ok := begin.(func(context.Context) (T, error)); ok {
		if r.loop.startThread == nil {
			go c.inThread(fn, false)
			return
		}
		r.handOver(c.c.label(), &threadOf[T]{c, fn})
		return
	}
	r.notify()
	b.cancel = begin.(func(func(T, error)) func(error))(c.comeBackWith)
}

// endAbruptly ends a callback whose start function has panicked or exited, unless done was called before. It reports
// whether the coroutine is to finish now.
func (b *callback) endAbruptly(how error) bool {
	if !b.called.CompareAndSwap(false, true) {
		b.abrupt = how
		return false
	}
	b.c.run().addThreads(-1)
	return true
}

// comeBackWith is the way back from outside: the done function of a callback. It may be called from any goroutine; the first
// call counts.
func (c *Coro[T]) comeBackWith(v T, err error) {
	b := &c.c.cold().callback
	if b.called.CompareAndSwap(false, true) {
		c.value, c.c.err = v, err
		c.c.loop.Load().inbox.post(&b.message)
	}
}

// arrive makes the coroutine ready: its last turn, in which it finishes.
func (b *callback) arrive(r *run) {
	r.threadBack()
	r.makeReady(b.c)
}

// threadBack notes that a thread or callback has come back.
func (r *run) threadBack() {
	r.addThreads(-1)
	r.returned++
}

// comeBack is the last turn of a callback: its result is there, and nothing is left to run.
func (c *Coro[T]) comeBack() { c.c.endCallback() }

func (c *task) endCallback() {
	b := &c.cold().callback
	if b.abrupt != nil {
		c.err = b.abrupt
	}
	b.cancel = nil                     // what it holds on to is not needed any more
	if c.err != nil && c.stop != nil { // there is no stack that a method of the error could end, but the loop's
		if f := c.run().inSandbox(func() { c.clean = c.stop.explains(c.err) }); f != nil {
			c.err = f.how()
		}
	}
	c.endWith(c.err)
}

// endWith records that the function of c has ended: with err, or as errExited and a threadPanic say.
func (c *task) endWith(err error) {
	c.err, c.outcome, c.wait = err, returned, onNothing
	if err == errExited {
		c.outcome = exited
	} else if p, ok := err.(threadPanic); ok {
		c.err, c.outcome = p.PanicError, panicked
	}
}

func cancelCallback(r *run, c *task) { c.cold().callback.stop(r, c.stop.cause()) }

// stop passes on to the outside that the coroutine is being stopped. A cancel function that panics or exits ends the coroutine
// in this way, for it cannot be relied on to bring about that done is called.
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
		b.c.err = f.how()
		b.arrive(r)
		return
	}
	b.abrupt = f.how()
}
