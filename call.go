package tinyio

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
)

// Call calls fn, which may block, in a goroutine of its own, waits for it, and returns exactly what fn returns. Other coroutines
// have their turns meanwhile. As in any function call, an error of fn is only returned: it crashes nobody by itself.
//
// If the caller is stopped meanwhile, the context given to fn is done, with the reason in [context.Cause]. Call still waits for fn
// and returns what fn returns, so that a connection that fn has opened all the same can be closed. The next wait of the caller then
// returns an error. If the caller has been stopped before, and is not in a [Co.Shield], Call returns that error and fn does not run.
// If fn panics, Call panics with a [*PanicError] that has the stack of fn. If fn calls [runtime.Goexit], so does Call.
//
// fn runs at the same time as the loop, so it must not touch what coroutines share: let it return its result.
//
// [RunInThread] is for what runs at the same time as the caller, or is wanted more than once.
func Call[T any](co *Co, fn func(ctx context.Context) (T, error)) (T, error) {
	if fn == nil {
		panic("tinyio: Call: the function is nil; there is nothing to call")
	}
	k := &call[T]{fn: fn, entry: entryOf(fn)}
	return k.make(co, "Call")
}

// Call is the function [Call] for a fn without a value.
func (co *Co) Call(fn func(ctx context.Context) error) error {
	if fn == nil {
		panic("tinyio: Call: the function is nil; there is nothing to call")
	}
	k := &call[Void]{fn: func(ctx context.Context) (Void, error) { return Void{}, fn(ctx) }, entry: entryOf(fn)}
	_, err := k.make(co, "Call")
	return err
}

// CallInterruptible is [Call] for a fn that takes no context. If the caller is stopped while fn runs, interrupt is called, once. It
// should make fn return, as closing a connection does. It is called on the loop, so it must not block. It returns before
// CallInterruptible does, and is never called when fn has returned.
func CallInterruptible[T any](co *Co, interrupt func(), fn func() (T, error)) (T, error) {
	if interrupt == nil || fn == nil {
		panic("tinyio: CallInterruptible: interrupt or the function is nil; use Call for what cannot be interrupted")
	}
	k := &call[T]{fn: func(context.Context) (T, error) { return fn() }, entry: entryOf(fn), interrupt: interrupt}
	return k.make(co, "CallInterruptible")
}

// A call is a function that runs in a goroutine while a coroutine waits for it.
//
// If it can be interrupted, mu is held when begun and returned are set and when interrupt is called: a call that was interrupted before
// it has begun does not begin, and one that has returned is not interrupted.
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
	stopped   bool // it has been interrupted, and is not interrupted again
	value     T
	err       error // of fn; errExited or a threadPanic if fn has exited or panicked
	abrupt    error // errExited or a threadPanic if interrupt has exited or panicked
	left      bool  // the caller no longer waits
}

// make calls k.fn on behalf of co.
func (k *call[T]) make(co *Co, op string) (T, error) {
	c := co.enter(op)
	if err := c.refused(co); err != nil {
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
		r.noteSuspended(c)
	}
	if r.loop.startThread == nil {
		k.begun = true
		go k.call(true)
	} else {
		k.handOver(r)
	}
	r.endTurn(c, onCall)
	_ = co.suspend() // what fn returns counts, even if the coroutine is stopped
	if k.interrupt != nil {
		c.cold().call = nil
	}
	endAs(k.abrupt)
	endAs(k.err)
	return k.value, k.err
}

// endAs ends the caller as endWith would record it, if err is a threadPanic or errExited.
func endAs(err error) {
	if p, ok := err.(threadPanic); ok {
		panic(p.PanicError)
	}
	if err == errExited {
		runtime.Goexit()
	}
}

// handOver passes k to a host. If the host's function exits, that unwinds the caller, which then no longer waits for k.
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

// A callOf is the function of a call, for a host: see hook.Function.
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

// name returns the name of the function; if it is the function of the coroutine, as in a pool, the name of that.
func (k *call[T]) name() string {
	if c := k.co.c; c.entry == k.entry {
		return c.label()
	}
	return runtime.FuncForPC(k.entry).Name()
}

// call calls fn and stores how it ended. If comesBack is true, it then posts the message to the loop.
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

// begin sets begun for a host that is about to call fn, and reports whether it may: it may not if the call was interrupted before.
func (k *call[T]) begin() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begun = true
	return !k.stopped
}

// comeBack sets returned and posts the message to the loop.
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

// stop interrupts fn, because the caller is being stopped. If interrupt panics or exits, so does make.
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
		k.abrupt = f.ending()
	}
}

// interruptCall interrupts the call that c waits for, if it can be interrupted. The wait ends when the function returns.
func interruptCall(r *run, c *task) {
	if a := c.cold(); a != nil && a.call != nil {
		a.call.stop(r)
	}
}

// An interruptible is a call that can be interrupted.
type interruptible interface{ stop(r *run) }
