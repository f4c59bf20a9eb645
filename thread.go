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

func (t *threadOf[T]) Run()                  { t.c.inThread(t.fn, true) }
func (t *threadOf[T]) Result() (any, *error) { return &t.c.value, &t.c.c.err }

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

// endWith takes down that the function of c has ended: with err, or as errExited and a threadPanic say.
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

// An inbox takes what comes from other goroutines, in the order in which it comes, without a lock: a stack of messages that
// the loop takes away whole and turns round. Messages are part of what they are about, so posting allocates nothing.
//
// The inbox is open from the beginning: what comes before the first run waits for that. Between two runs it is closed. A message
// is either taken in, by the run during which it was posted or the first one, or post reports to its sender that it was not.
type inbox struct {
	head    atomic.Pointer[message]
	sleeper atomic.Pointer[sleeper] // the loop, when it is idle
	self    *sleeper
}

// A sleeper is how a loop is woken during one run. Each run has its own: a channel made inside a testing/synctest bubble must
// not be used outside it.
type sleeper struct{ wake chan struct{} }

// A message is an entry of an inbox, for one thing at a time.
type message struct {
	next *message
	to   receiver
}

// A receiver is called on the loop when its message has arrived. It may make coroutines ready and must not do more, for it may be
// called during a coroutine's turn: the rest is deferred.
type receiver interface{ arrive(r *run) }

// closed is the head of an inbox that is closed.
var closed = new(message)

func (b *inbox) isClosed() bool { return b.head.Load() == closed }

func (b *inbox) empty() bool { return b.head.Load() == nil }

// post may be called from any goroutine. The message must not be in an inbox already. It reports whether the inbox has taken
// it.
func (b *inbox) post(m *message) bool {
	for {
		head := b.head.Load()
		if head == closed {
			return false
		}
		m.next = head
		if b.head.CompareAndSwap(head, m) {
			break
		}
	}
	if s := b.sleeper.Load(); s != nil && b.sleeper.CompareAndSwap(s, nil) {
		select {
		case s.wake <- struct{}{}:
		default: // it has been woken and does not know yet
		}
	}
	return true
}

// sleep announces that the loop is about to wait for a message, unless one is there already.
func (b *inbox) sleep() bool {
	select {
	case <-b.self.wake: // for a message that has been taken in meanwhile
	default:
	}
	b.sleeper.Store(b.self)
	if !b.empty() {
		b.awake()
		return false
	}
	return true
}

// awake announces that the loop no longer waits.
func (b *inbox) awake() { b.sleeper.Store(nil) }

// takeIn deals with what has come from outside.
func (r *run) takeIn() {
	if !r.loop.inbox.empty() {
		r.receive()
	}
}

// receive calls the receivers of what is in the inbox.
func (r *run) receive() {
	if r.taking {
		return // a receiver has made a coroutine ready; what comes now comes after the rest
	}
	r.taking = true
	var first *message
	for m := r.loop.inbox.head.Swap(nil); m != nil; {
		m.next, m, first = first, m.next, m
	}
	for m := first; m != nil; {
		next := m.next
		m.next = nil
		m.to.arrive(r)
		m = next
	}
	r.taking = false
}

// shut closes the inbox at the end of a run, when all coroutines have finished. If there is something in it that starts others, the run
// goes on, and shut returns false.
func (r *run) shut() bool {
	for r.live == 0 {
		r.takeIn()
		r.runDeferred()
		if r.live == 0 && r.loop.inbox.head.CompareAndSwap(nil, closed) {
			return true
		}
	}
	return false
}

// An interruption is the message that the context of a run is done.
type interruption struct {
	message
	run     *run
	failure failure
}

func (i *interruption) arrive(r *run) {
	if r == i.run {
		r.deferred.push(i.failure)
	}
}

// A ThreadPool bounds how many functions run in threads at the same time. It belongs to the coroutines of one loop at a time.
type ThreadPool struct {
	permits permits
	max     int
}

// NewThreadPool returns a pool of at most max threads. It panics if max is not positive.
func NewThreadPool(max int) *ThreadPool {
	if max <= 0 {
		panic("tinyio: NewThreadPool: max must be at least 1, or nothing would ever run")
	}
	return &ThreadPool{max: max}
}

// Acquire takes one of the places of the pool, for something else than a function of [RunInPool]. It suspends only if all are
// taken; those who wait are served in order. With an error, no place was taken.
func (p *ThreadPool) Acquire(co *Co) error {
	p.check("Acquire")
	return p.permits.acquire(co, "ThreadPool.Acquire", 1, p.max)
}

func (p *ThreadPool) check(op string) {
	if p == nil || p.max == 0 {
		panic("tinyio: ThreadPool." + op + ": the pool is nil or zero; make it with NewThreadPool")
	}
}

// Release gives a place back that was acquired. It panics if none is taken.
func (p *ThreadPool) Release() {
	p.check("Release")
	if p.permits.taken == 0 {
		panic("tinyio: ThreadPool.Release: no place is taken; call Release once for each Acquire that returned nil")
	}
	p.permits.release(1, p.max)
}

// RunInPool is [RunInThread], but fn waits for its turn while max others of the pool are running. Those that wait are
// served in order, and one that is cancelled or halted meanwhile never runs.
//
// A [Timeout] of the coroutine counts the wait too. To limit only the time that fn runs, take the place first: Acquire,
// then Timeout of a RunInThread, then Release.
func RunInPool[T any](p *ThreadPool, fn func(ctx context.Context) (T, error)) *Coro[T] {
	if p == nil || p.max == 0 || fn == nil {
		panic("tinyio: RunInPool: the pool is nil or zero, or the function is nil; it needs both")
	}
	c := New(func(co *Co) (T, error) {
		var zero T
		if err := p.permits.acquire(co, "RunInPool", 1, p.max); err != nil {
			return zero, err
		}
		defer p.permits.release(1, p.max)
		k := &call[T]{fn: fn, entry: co.c.entry} // in MapInPool, that is not the entry of fn
		return k.make(co, "RunInPool")
	})
	c.c.entry = entryOf(fn)
	return c
}

// MapInPool returns a coroutine that calls fn for each of xs through p and whose value is the results, in the order of xs.
func MapInPool[T, R any](p *ThreadPool, xs []T, fn func(ctx context.Context, x T) (R, error)) *Coro[[]R] {
	if p == nil || p.max == 0 || fn == nil {
		panic("tinyio: MapInPool: the pool is nil or zero, or the function is nil; it needs both")
	}
	entry := entryOf(fn)
	c := New(func(co *Co) ([]R, error) {
		cs := make([]*Coro[R], len(xs))
		for i, x := range xs {
			cs[i] = RunInPool(p, func(ctx context.Context) (R, error) { return fn(ctx, x) })
			cs[i].c.entry = entry
		}
		co.c.addCold().maps = true
		return Gather(co, cs...)
	})
	c.c.entry = entry
	return c
}
