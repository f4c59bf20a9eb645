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

// A CancelledError ends the waits of a coroutine that is cancelled, for instance because its loop, or the [Isolate] around it,
// crashes, or by a [Coro.Cancel]. [errors.Is] finds that it is ErrCancelled and [context.Canceled]. It does not unwrap to its
// Cause: a coroutine that was cancelled for an error has not failed with it.
type CancelledError struct {
	Cause error // the error that started the crash, or the cause given to Cancel
}

func (e *CancelledError) Error() string {
	if p, ok := e.Cause.(*PanicError); ok { // its full report, of many lines, comes out of Run
		return fmt.Sprintf("tinyio: cancelled because of: panic: %v", p.Value)
	}
	return fmt.Sprintf("tinyio: cancelled because of: %v", e.Cause)
}

// Is reports whether target is ErrCancelled or context.Canceled.
func (e *CancelledError) Is(target error) bool {
	return target == ErrCancelled || target == context.Canceled
}

// A TimeoutError is the error with which [Timeout] halts a coroutine, and which Timeout returns. [errors.Is] finds that it is
// ErrTimeout and [context.DeadlineExceeded]. It implements net.Error.
type TimeoutError struct {
	After   time.Duration // the limit that has passed
	Coro    string        // the name of the coroutine that took longer
	Trace   []Frame       // from it down to what everything in it was waiting for, when the limit passed
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

// Unwrap returns what went wrong while the coroutine stopped.
func (e *TimeoutError) Unwrap() []error { return e.Cleanup }

// Is reports whether target is ErrTimeout or context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

// Timeout returns true.
func (e *TimeoutError) Timeout() bool { return true }

// Temporary returns true, as the timeouts of package net do.
func (e *TimeoutError) Temporary() bool { return true }

// A CycleError is the error of a wait that would have closed a cycle of coroutines that wait for each other.
type CycleError struct {
	Path []string // names, from the coroutine whose wait was refused, round to itself
}

func (e *CycleError) Error() string {
	return "tinyio: a cycle of awaits: " + strings.Join(e.Path, " awaits ") + "; one of them must not wait for the next"
}

// A DeadlockError ends a run in virtual time in which no coroutine is ready, no timer is set and no thread is running: nothing
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
	Trace []Frame // the await chain, as in [Error]

	state  []Status // what the other coroutines were doing
	others []error  // what else went wrong in the crash
}

func newPanicError(value any, stack []byte) *PanicError {
	if p, ok := value.(*PanicError); ok {
		return p // it comes out of a Run inside the coroutine
	}
	return &PanicError{Value: value, Stack: stack}
}

// with returns e with the other failures of its crash added. It adds them to a copy, since somebody may hold e.
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

// Unwrap returns the value, if it is an error, and the other errors of the crash.
func (e *PanicError) Unwrap() []error {
	if err, ok := e.Value.(error); ok {
		return append([]error{err}, e.others...)
	}
	return e.others
}

// An ErrorGroup is several errors of one crash: see [GroupMode]. The first is the original error, which started the crash.
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

// Unwrap returns all of the errors.
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

// An Error is an error out of a run or of an [Isolate], with its await chain: which coroutine waited for which. Its text is
// that of Err. %+v adds the chain, and, for an error of a run inside the run, the chain in that run below it.
type Error struct {
	Err error
	// Trace is the await chain, from the first coroutine to the one that failed. Each frame but the last is a coroutine and the
	// line at which it was waiting; where several waited for one, all of them are in it. The last frame is the function that
	// failed, with the line at which the function begins: it has returned before its error is seen. In a crash with thousands of
	// frames in the chains of its clean-up errors, the later chains begin where they branch off that of the original error, and %+v says so.
	Trace []Frame
	// State is what the other coroutines of the run or domain were doing, the first hundred of them in the order in which they were
	// started. It is nil for a clean-up error, and for a deadlock, whose error says it already.
	State []Status

	cut bool // Trace begins where it branches off that of the original error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
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

// tracedBelow returns the topmost errors in the tree of err that have a trace of their own.
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
	discarded bool // the run of the coroutine was discarded
}

// foreign returns the error for a wait for c, which belongs to another loop and had not finished when the caller looked. It may
// have finished since.
func foreign(c *task) error {
	discarded := c.loop.Load() == noLoop && !c.hasFinished()
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
