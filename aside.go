package tinyio

import (
	"context"
	"runtime/debug"
	"runtime/pprof"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// An aside is a goroutine for calls into code of the user's that is no coroutine's, such as a [Clock] or an [Observer]: so such
// code can neither panic nor exit through the loop. A call takes two switches, and no scheduler.
type aside struct {
	place stack.Place
	call  func() // nil when there will be no more
	panic *PanicError

	labels context.Context
}

// beside makes a call in an aside, and returns what went wrong there, nil if nothing did.
func (r *run) beside(call func()) *failure {
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

// guard calls into a tool. One that panics or exits is dropped, and the loop stops because of it, with its own work done.
func (r *run) guard(drop, call func()) {
	if f := r.beside(call); f != nil {
		drop()
		r.deferred.push(*f)
	}
}
