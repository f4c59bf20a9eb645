package tinyio

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"

	"github.com/tinyio-go/tinyio/hook"
)

// Call calls fn, which may block, in a goroutine, and returns exactly what fn returns, its error too, as any function call does. Others have
// their turns meanwhile, and an error crashes nobody.
//
// When the caller is stopped meanwhile, the context given to fn is done, with the reason in [context.Cause]. Call waits for fn and still
// returns what that returns, so a connection that has been opened after all can be closed; the next wait tells of the stop. If the
// caller is stopped already, and not in a [Co.Shield], Call returns that error and fn does not run. A panic of fn, or a
// [runtime.Goexit], happens at Call: as a [*PanicError] that has the stack of fn.
//
// [RunInThread] is for what goes on beside the caller, or is wanted more than once.
func Call[T any](co *Co, fn func(ctx context.Context) (T, error)) (T, error) {
	if fn == nil {
		panic("tinyio: Call: the function is nil; there is nothing to call")
	}
	k := &call[T]{fn: fn, entry: entryOf(fn)}
	return k.make(co, "Call")
}

// Call is the function [Call] for one without a value.
func (co *Co) Call(fn func(ctx context.Context) error) error {
	if fn == nil {
		panic("tinyio: Call: the function is nil; there is nothing to call")
	}
	k := &call[Void]{fn: func(ctx context.Context) (Void, error) { return Void{}, fn(ctx) }, entry: entryOf(fn)}
	_, err := k.make(co, "Call")
	return err
}

// CallInterruptible is [Call] for what takes no context. When the caller is stopped while fn runs, interrupt is called, once and on the loop, so
// it must not block; it should make fn return, as closing a connection does. It has returned before CallInterruptible does, and it is
// never called when fn has returned.
func CallInterruptible[T any](co *Co, interrupt func(), fn func() (T, error)) (T, error) {
	if interrupt == nil || fn == nil {
		panic("tinyio: CallInterruptible: interrupt or the function is nil; use Call for what cannot be interrupted")
	}
	k := &call[T]{fn: func(context.Context) (T, error) { return fn() }, entry: entryOf(fn), interrupt: interrupt}
	return k.make(co, "CallInterruptible")
}

// A call is a function that runs in a goroutine while a coroutine waits for it.
//
// States: made; running; returned, when the outcome is there and nothing interrupts it any more; taken in, when its message has arrived. One that
// can be interrupted goes from each to the next with mu held, and is interrupted with mu held: if it has not begun, it does not.
type call[T any] struct {
	message
	co        *Co
	fn        func(ctx context.Context) (T, error)
	entry     uintptr // the address of the function that the caller gave
	interrupt func()
	mu        sync.Mutex
	begun     bool // its goroutine has been started, or a host runs it
	returned  bool
	shielded  bool // the caller is in a Shield
	stopped   bool // it has been interrupted: once, though the caller may be stopped again
	value     T
	err       error // errExited or a threadPanic, if fn has not returned
	abrupt    error // the same, if interrupt has not
	left      bool  // the caller is gone
}

// make calls k.fn on behalf of co.
func (k *call[T]) make(co *Co, op string) (T, error) {
	c := co.enter(op)
	if err := co.refused(); err != nil {
		return k.value, err
	}
	r := c.run()
	k.co, k.to, k.shielded = co, k, c.shield() != nil
	if k.interrupt != nil {
		c.addCold().call = k
	}
	r.addThreads(1)
	c.state, c.wait = waiting, onCall // from now on it can be woken, though its turn has not ended
	if r.watch != nil {
		r.note(hook.Suspended, c, nil)
	}
	if r.loop.startThread == nil {
		k.begun = true
		go k.call(true)
	} else {
		k.handOver(r)
	}
	_ = co.suspend(onCall) // what fn returns stands, whatever comes now
	if k.interrupt != nil {
		c.cold().call = nil
	}
	if k.abrupt != nil {
		endAs(k.abrupt)
	}
	if k.err != nil {
		endAs(k.err)
	}
	return k.value, k.err
}

// endAs ends the function that calls it as how says, unless that is an error like any other.
func endAs(how error) {
	if p, ok := how.(threadPanic); ok {
		panic(p.PanicError)
	}
	if how == errExited {
		runtime.Goexit()
	}
}

// handOver gives k to a host. If that exits, so does the caller, here.
func (k *call[T]) handOver(r *run) {
	c, exits := k.co.c, true
	defer func() {
		if exits {
			c.state, k.left = running, true
		}
	}()
	r.handOver(k.name(), &callOf[T]{k})
	exits = false
}

// A callOf is the function of a call in the hands of a host.
type callOf[T any] struct{ k *call[T] }

func (h *callOf[T]) Context() context.Context { return (*threadContext)(h.k.co) }
func (h *callOf[T]) Result() (any, *error)    { return &h.k.value, &h.k.err }
func (h *callOf[T]) Return()                  { h.k.comeBack() }

func (h *callOf[T]) Run() {
	if h.k.interrupt == nil || h.k.begin() {
		h.k.call(false)
		h.k.co.c.dropName()
	}
}

// name is that of the function, or of the coroutine if that consists of it, as in a pool.
func (k *call[T]) name() string {
	if c := k.co.c; c.entry == k.entry {
		return c.label()
	}
	return runtime.FuncForPC(k.entry).Name()
}

// call calls fn and keeps how that ended. In a goroutine of its own, it then comes back.
func (k *call[T]) call(comesBack bool) {
	returned := false
	k.err = errExited
	defer func() {
		if !returned {
			if p := recover(); p != nil {
				k.err = threadPanic{newPanicError(p, debug.Stack())}
				failing(k.co.c, k.err)
			}
		}
		if comesBack {
			k.comeBack()
		}
	}()
	pprof.SetGoroutineLabels(k.co.c.labels(k.co.inherited()))
	if k.shielded {
		defer k.co.c.loop.Load().shielded.enter(k.co.c, (*threadContext)(k.co))()
	}
	k.value, k.err = k.fn((*threadContext)(k.co))
	returned = true
}

// begin reports whether fn is to run, which a host begins: whether it was not interrupted before.
func (k *call[T]) begin() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begun = true
	return !k.stopped
}

// comeBack brings the outcome to the loop. From then on nothing interrupts it.
func (k *call[T]) comeBack() {
	if k.interrupt != nil {
		k.mu.Lock()
		k.returned = true
		k.mu.Unlock()
	}
	k.co.c.loop.Load().inbox.post(&k.message)
}

// arrive wakes the caller.
func (k *call[T]) arrive(r *run) {
	r.threadBack()
	if !k.left {
		r.wake(k.co.c)
	}
}

// stop interrupts fn, because the caller is being stopped. A panic or a Goexit of interrupt happens at the call.
func (k *call[T]) stop(r *run) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.returned || k.stopped {
		return
	}
	k.stopped = true
	if !k.begun {
		k.err = k.co.c.stop.err
		return
	}
	if f := r.inSandbox(k.interrupt); f != nil {
		k.abrupt = f.how()
	}
}

// interruptCall interrupts what c calls, if it can be. The end of it all is that the function returns.
func interruptCall(r *run, c *task) {
	if a := c.cold(); a != nil && a.call != nil {
		a.call.stop(r)
	}
}

// An interruptible is a call that can be interrupted.
type interruptible interface{ stop(r *run) }
