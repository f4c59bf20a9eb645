package tinyio

import (
	"context"
	"runtime/debug"
	"runtime/pprof"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// A sandbox is a goroutine on which the loop calls code of the user's, such as the cancel function of a callback, while its own work
// is half done. A panic or a Goexit of that code must not unwind the loop. A call takes two switches, and no round trip through Go's
// scheduler. Where no work of the loop is half done, caught is enough.
type sandbox struct {
	slot  stack.Slot
	call  func() // nil when the goroutine has to end
	panic *PanicError

	labels context.Context
}

// inSandbox makes a call in a sandbox, and returns what went wrong there, nil if nothing did.
func (r *run) inSandbox(call func()) *failure {
	if w := r.watch; w != nil { // the loop's work is half done, so the observer must not be called
		silent := w.silent
		w.silent = true
		defer func() { w.silent = silent }()
	}
	r.sandboxed++
	defer func() { r.sandboxed-- }()
	a := r.sandbox
	r.sandbox = nil // the call may lead to another call of inSandbox, which needs a sandbox of its own
	if a == nil {
		a = &sandbox{labels: r.values.labels}
		a.slot.Init(a)
	}
	a.call, a.panic = call, nil
	exited := a.slot.SwitchOrExit()
	r.takeIn() // what the call has brought in comes before what the loop does next
	if exited {
		return &failure{err: errExited, exit: true}
	}
	r.endSandbox()
	r.sandbox = a
	if a.panic != nil {
		return &failure{err: a.panic, panic: true}
	}
	return nil
}

// endSandbox ends the sandbox that is kept for the next call.
func (r *run) endSandbox() {
	if a := r.sandbox; a != nil {
		r.sandbox, a.call = nil, nil
		a.slot.Switch()
	}
}

// Work is what the goroutine of s does.
func (s *sandbox) Work() {
	pprof.SetGoroutineLabels(s.labels) // otherwise it has those of the coroutine on whose stack it was started
	for s.call != nil {
		s.callOnce()
		s.slot.Switch()
	}
}

func (s *sandbox) callOnce() {
	defer func() {
		if p := recover(); p != nil {
			s.panic = newPanicError(p, debug.Stack())
		}
	}()
	s.call()
}

// caught is deferred by a function that calls a tool: a clock, a picker, an observer or a host's function for threads. If the tool has
// panicked or exited, and so has not returned, caught calls drop, and the run stops because of it.
//
// A panic is recovered here. A Goexit cannot be: it unwinds the stack on which it happens. No work of the loop is half done there, so
// the run goes on in a deferred function, whichever stack that is:
//
//   - If it is that of a coroutine in its turn, the coroutine ends as if it had called Goexit itself.
//   - If it is that of a coroutine that waits, that waits on here, and ends so in its next turn: what it waits for has ended then.
//   - If it is that of a worker without a coroutine, the worker ends: see exit.
//   - If it is that of the goroutine that drives the run, the run is completed in it: see complete.
func (r *run) caught(returned *bool, drop func(r *run)) {
	if *returned {
		return
	}
	drop(r)
	p := recover()
	r.toolFailed(p)
	if p != nil {
		return
	}
	if c := r.onThisStack(); c != nil && c != r.running {
		r.unwound()
		if p := r.handBack(c); p != nil {
			p.Switch()
			r.sendOn(c)
		}
		r.notify()
	}
}

// onThisStack returns the coroutine on whose stack it is called; nil if that is the stack of another goroutine.
func (r *run) onThisStack() *task {
	g := stack.ID()
	for c := range r.root.members {
		if c.slot != nil && c.g.Load() == g {
			return c
		}
	}
	return nil
}

// unwound is called when a tool has called Goexit on the stack on which the run loop runs, so that the loop can begin anew.
func (r *run) unwound() {
	r.running = nil
	r.loop.inbox.awake()
}

// toolFailed stops the run because a tool has panicked with p, or, if that is nil, has exited.
func (r *run) toolFailed(p any) {
	f := failure{err: errExited, exit: true}
	if p != nil {
		f = failure{err: newPanicError(p, debug.Stack()), panic: true}
	}
	r.deferred.push(f)
}
