package tinyio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

var (
	// ErrCancelled is what every [*CancelledError] is, for [errors.Is].
	ErrCancelled = errors.New("tinyio: cancelled")
	// ErrTimeout is what every [*TimeoutError] is, for [errors.Is].
	ErrTimeout = errors.New("tinyio: timed out")
)

// A CancelledError ends the wait of a coroutine that is cancelled because its loop, or the [Isolate] around it, crashes.
// It is ErrCancelled and [context.Canceled] to [errors.Is]. It does not unwrap to its Cause: to be cancelled for an error is
// not that error.
type CancelledError struct {
	Cause error // the error that started the crash
}

func (e *CancelledError) Error() string {
	if p, ok := e.Cause.(*PanicError); ok { // whose report is for whoever called Run
		return fmt.Sprintf("tinyio: cancelled because of: panic: %v", p.Value)
	}
	return fmt.Sprintf("tinyio: cancelled because of: %v", e.Cause)
}

// Is reports whether target is ErrCancelled or context.Canceled.
func (e *CancelledError) Is(target error) bool {
	return target == ErrCancelled || target == context.Canceled
}

// A TimeoutError is what [Timeout] halts a coroutine with and returns. It is ErrTimeout and [context.DeadlineExceeded] to
// [errors.Is], and a timeout in the sense of net.Error.
type TimeoutError struct {
	After   time.Duration // the limit that has passed
	Coro    string        // the name of the coroutine that took longer
	Trace   []Frame       // from it down to what everything in it was waiting for, when its time had come
	Cleanup []error       // what went wrong while it stopped
}

func (e *TimeoutError) Error() string {
	var b strings.Builder
	b.WriteString("tinyio: ")
	if e.Coro != "" {
		b.WriteString(e.Coro + " ")
	}
	fmt.Fprintf(&b, "timed out after %v", e.After)
	if n := len(e.Trace); n > 0 {
		f := e.Trace[n-1]
		fmt.Fprintf(&b, ", stuck at %s:%d", path.Base(f.File), f.Line)
		if f.Coro != e.Coro {
			fmt.Fprintf(&b, " in %s", f.Coro)
		}
	}
	for _, err := range e.Cleanup {
		fmt.Fprintf(&b, "\nwhile stopping: %v", err)
	}
	return b.String()
}

// Unwrap gives what went wrong while the coroutine stopped.
func (e *TimeoutError) Unwrap() []error { return e.Cleanup }

// Is reports whether target is ErrTimeout or context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

// Timeout is true.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary is true, as it is of the timeouts of package net.
func (e *TimeoutError) Temporary() bool { return true }

// A CycleError is returned by the wait that would have closed a cycle of coroutines that wait for each other.
type CycleError struct {
	Path []string // names, from the coroutine that was refused round to itself
}

func (e *CycleError) Error() string {
	return "tinyio: a cycle of awaits: " + strings.Join(e.Path, " awaits ") + "; one of them must not wait for the next"
}

// A DeadlockError ends a run in virtual time in which nobody is ready, no timer is set and no thread is running: nothing
// could ever happen again.
type DeadlockError struct {
	Waits []string // for each coroutine, what it waits for and where
}

func (e *DeadlockError) Error() string {
	return "tinyio: deadlock: every coroutine waits, and nothing is left to wake one:\n\t" +
		strings.Join(e.Waits, "\n\t")
}

// A PanicError is what [Run] panics with when a coroutine, or the function of a thread or callback, has panicked.
type PanicError struct {
	Value any     // what it panicked with
	Stack []byte  // the stack where it did
	Trace []Frame // who waited for it, as in [Error]

	state  []Status // what the others were doing
	others []error
}

func newPanicError(value any, stack []byte) *PanicError {
	if p, ok := value.(*PanicError); ok {
		return p // it comes from a loop inside this one
	}
	return &PanicError{Value: value, Stack: stack}
}

// with is e, and what else went wrong. Others may hold e itself.
func (e *PanicError) with(failures []failure) *PanicError {
	p := *e
	p.others = slices.Clip(p.others)
	for _, f := range failures {
		if !f.exit {
			p.others = append(p.others, f.error())
		}
	}
	if len(p.others) == len(e.others) {
		return e
	}
	return &p
}

func (e *PanicError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tinyio: panic in a coroutine: %v\n", e.Value)
	if len(e.Trace) > 0 {
		b.WriteString("\n")
		writeTrace(&b, e.Trace, false)
	}
	writeState(&b, e.state)
	for _, err := range e.others {
		fmt.Fprintf(&b, "\nbesides: %v\n", err)
	}
	if len(e.Stack) > 0 {
		fmt.Fprintf(&b, "\nstack of the coroutine:\n%s", e.Stack)
	}
	return b.String()
}

// Unwrap gives the value, if it is an error, and the other errors of the crash.
func (e *PanicError) Unwrap() []error {
	if err, ok := e.Value.(error); ok {
		return append([]error{err}, e.others...)
	}
	return e.others
}

// An ErrorGroup is several errors of one crash: see [GroupMode]. The first is the one that started it.
type ErrorGroup struct {
	Errs []error
}

func (e *ErrorGroup) Error() string {
	var b strings.Builder
	if len(e.Errs) > 0 {
		b.WriteString(e.Errs[0].Error())
	}
	for _, err := range e.Errs[min(1, len(e.Errs)):] {
		fmt.Fprintf(&b, "\nwhile stopping: %v", err)
	}
	return b.String()
}

// Unwrap gives all of the errors.
func (e *ErrorGroup) Unwrap() []error { return e.Errs }

// Format writes the errors with their traces for %+v, and the text of Error otherwise.
func (e *ErrorGroup) Format(s fmt.State, verb rune) {
	if verb != 'v' || !s.Flag('+') {
		formatPlain(s, verb, e)
		return
	}
	for i, err := range e.Errs {
		if i > 0 {
			io.WriteString(s, "\n\nwhile stopping: ")
		}
		fmt.Fprintf(s, "%+v", err)
	}
}

// An Error is an error out of a run or of an [Isolate], with its trace: which coroutine waited for which. Its text is
// that of Err; %+v adds the trace, and that of the error below if it is from a run inside the run.
type Error struct {
	Err error
	// Trace leads from the first coroutine to the one that failed. Each frame but the last is a coroutine and the place
	// where it was waiting; where several waited for one, all of them are in it. The last is the function that failed, and the
	// line where it begins: by the time its error is seen, it has returned. In a crash with a great many clean-up errors, the traces of
	// the later ones begin where they leave that of the original error, and %+v says so.
	Trace []Frame
	// State is what the others were doing that its run or domain has stopped, the first hundred of them in the order in which they were
	// started. Of an error in clean-up, and of a deadlock, which tells it by itself, it is nil.
	State []Status

	cut bool
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// Format writes the trace for %+v, and the text of Error otherwise.
func (e *Error) Format(s fmt.State, verb rune) {
	if verb != 'v' || !s.Flag('+') {
		formatPlain(s, verb, e)
		return
	}
	io.WriteString(s, e.Error())
	e.writeBelow(s)
}

// writeBelow writes all but the text of e.
func (e *Error) writeBelow(w io.Writer) {
	if len(e.Trace) > 0 {
		io.WriteString(w, "\n\n")
		writeTrace(w, e.Trace, e.cut)
	}
	writeState(w, e.State)
	for _, inner := range tracedBelow(e.Err) {
		text, _, _ := strings.Cut(inner.Error(), "\n")
		fmt.Fprintf(w, "\nwhere %q comes from:", text)
		inner.writeBelow(w)
	}
}

// tracedBelow returns the errors in the tree of err that have a trace of their own, without those below them.
func tracedBelow(err error) (all []*Error) {
	if e, ok := err.(*Error); ok {
		return []*Error{e}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return tracedBelow(inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, tracedBelow(inner)...)
		}
	}
	return all
}

// formatPlain formats err as fmt would format it if it had no Format method.
func formatPlain(s fmt.State, verb rune, err error) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), plainError{err})
}

type plainError struct{ err error }

func (p plainError) Error() string { return p.err.Error() }

// A foreignError says that a coroutine belongs to another loop.
type foreignError struct {
	coro      string
	discarded bool // its run was
}

// foreign is the error of who wants c on another loop. If c has finished on its own meanwhile, it had not when it was wanted.
func foreign(c *task) error {
	discarded := c.loop.Load() == noLoop && !c.finished.Load()
	return &foreignError{c.describe(), discarded}
}

func (e *foreignError) Error() string {
	if e.discarded {
		return "tinyio: coroutine " + e.coro + " never finishes, because its run was discarded; make another one"
	}
	return "tinyio: coroutine " + e.coro + " belongs to another loop and has not finished; await it on its own loop, " +
		"or make another one for this loop"
}

// errExited is the result of a coroutine, or of a thread, that called runtime.Goexit.
var errExited = errors.New("tinyio: runtime.Goexit was called")
