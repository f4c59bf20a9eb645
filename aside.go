package tinyio

import (
	"context"
	"runtime/debug"
	"runtime/pprof"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// An aside is a goroutine for calls into code of the user's in the middle of the loop's own work, such as the cancel function of a
// callback: so such code can neither panic nor exit through the loop. A call takes two switches, and no scheduler. Where no work is
// half done, guard is enough.
type aside struct {
	place stack.Place
	call  func() // nil when there will be no more
	panic *PanicError

	labels context.Context
}

// beside makes a call in an aside, and returns what went wrong there, nil if nothing did.
func (r *run) beside(call func()) *failure {
	if w := r.watch; w != nil { // a part of the loop's work is half done
		silent := w.silent
		w.silent = true
		defer func() { w.silent = silent }()
	}
	r.away++
	defer func() { r.away-- }()
	a := r.aside
	r.aside = nil // a call may lead to another one
	if a == nil {
		a = &aside{labels: r.values.labels}
		a.place.Init(a)
	}
	a.call, a.panic = call, nil
	if a.place.ChangeOrExit() {
		return &failure{err: errExited, exit: true}
	}
	r.dismissAside()
	r.aside = a
	if a.panic != nil {
		return &failure{err: a.panic, panic: true}
	}
	return nil
}

// dismissAside ends the aside that is kept.
func (r *run) dismissAside() {
	if a := r.aside; a != nil {
		r.aside, a.call = nil, nil
		a.place.Change()
	}
}

// Work is what the goroutine of a does.
func (a *aside) Work() {
	pprof.SetGoroutineLabels(a.labels) // or it would have those of the coroutine that happened to start it
	for a.call != nil {
		a.callOnce()
		a.place.Change()
	}
}

func (a *aside) callOnce() {
	defer func() {
		if p := recover(); p != nil {
			a.panic = newPanicError(p, debug.Stack())
		}
	}()
	a.call()
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
		f := failure{err: errExited, exit: true}
		if p := recover(); p != nil {
			f = failure{err: newPanicError(p, debug.Stack()), panic: true}
		}
		r.deferred.push(f)
	}()
	call()
	returned = true
}
