package tinyio

import (
	"context"
	"runtime/debug"
	"runtime/pprof"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// A sandbox is a goroutine for calls into code of the user's in the middle of the loop's own work, such as the cancel function of a
// callback: so such code can neither panic nor exit through the loop. A call takes two switches, and no scheduler. Where no work is
// half done, guard is enough.
type sandbox struct {
	slot  stack.Slot
	call  func() // nil when there will be no more
	panic *PanicError

	labels context.Context
}

// inSandbox makes a call in a sandbox, and returns what went wrong there, nil if nothing did.
func (r *run) inSandbox(call func()) *failure {
	if w := r.watch; w != nil { // a part of the loop's work is half done
		silent := w.silent
		w.silent = true
		defer func() { w.silent = silent }()
	}
	r.sandboxed++
	defer func() { r.sandboxed-- }()
	a := r.sandbox
	r.sandbox = nil // a call may lead to another one
	if a == nil {
		a = &sandbox{labels: r.values.labels}
		a.slot.Init(a)
	}
	a.call, a.panic = call, nil
	if a.slot.SwitchOrExit() {
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
	pprof.SetGoroutineLabels(s.labels) // or it would have those of the coroutine that happened to start it
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

// guard calls into a tool. One that panics or exits is dropped, and the loop stops because of it. A panic is recovered from here. A
// Goexit cannot be: it unwinds the stack on which it happens. If that is a coroutine's, in its turn, the coroutine ends as if it
// had called it. If it is that of the goroutine that drives the run, that goes on in a deferred function: see complete. The run loop is
// not on any other stack when there are tools, and it is not in the middle of anything when it calls them.
func (r *run) guard(drop, call func()) {
	returned := false
	defer func() {
		if returned {
			return
		}
		drop()
		r.toolFailed(recover())
	}()
	call()
	returned = true
}

// toolFailed stops the run because a tool has panicked with p, or, if that is nil, has exited.
func (r *run) toolFailed(p any) {
	f := failure{err: errExited, exit: true}
	if p != nil {
		f = failure{err: newPanicError(p, debug.Stack()), panic: true}
	}
	r.deferred.push(f)
}
