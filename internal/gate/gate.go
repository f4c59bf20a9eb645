// Package gate is the seam through which package durable records what comes to a run from outside, and gives a run the same again.
//
// Everything that comes to a loop from other goroutines is a message in its inbox. A loop with a gate does not look there whenever it likes.
// It asks the [Keeper] of the gate before each turn, when nobody is ready, and when all have finished. Nothing enters but what the Keeper
// lets in. So what comes from outside has a place in the run, the number of the turn, and can enter at the same place of another run.
//
// Three things from outside are no messages. First, a coroutine reads what others may have changed: an Event, a channel, or whether the
// context of the run is done. Each such read goes through the Keeper. Second, there is the clock, which the Keeper wraps. Third, the start
// function of a FromCallback reaches outside, so in a replay the Keeper has it not called.
//
// The package tinyio passes its own types as any, because it imports this package.
package gate

import (
	"context"
	"sync"

	"github.com/tinyio-go/tinyio/hook"
)

// A Keeper decides what enters a run. It is called where the run is, on one goroutine at a time, and must not block.
type Keeper interface {
	// Begin is called when a run begins. It returns the clock of the run, made of the loop's own, and the error with which the run is
	// to fail at once, or nil. If ctx, the context of the run, is done already, stopped is the cause.
	Begin(r Run, ctx context.Context, stopped error, clock hook.Clock) (hook.Clock, error)
	// Enter is called before each turn, when nobody is ready, and when all have finished, with the number of turns that have begun. It
	// lets in what is to enter now. It reports whether it has more for the same turn.
	Enter(turns uint64) (more bool)
	// Read is called where a coroutine reads what others may have changed. The function read does that: it stores what it finds in *value,
	// and reports whether that is anything from outside. A Keeper calls read, or stores in *value what was recorded. Read reports
	// what read did.
	Read(value any, read func() bool) (some bool)
	// Done is Read for the context of the run: it reports whether that is done.
	Done(ctx context.Context) bool
	// Replays reports whether the run is a replay, in which only what was recorded counts.
	Replays() bool
	// Event is called when a coroutine of the run first uses an Event. It returns a number for it, from 1.
	Event(event any) (number uint32)
	// Callback is called in the turn in which a FromCallback begins. It reports whether the start function is to be called. If not, the
	// Keeper ends t, as a host does with a thread, or Callback panics or exits, as the start function did when it was recorded.
	Callback(t *hook.Thread) (start bool)
	// Broke is called when a start function has panicked with p or, if p is nil, has exited.
	Broke(p any)
	// Stopped is called when a coroutine is being stopped with err.
	Stopped(err error)
	// End is called when the run has ended.
	End()
}

// A Run is a run that goes through a gate. Its methods are for the Keeper, in Enter.
type Run interface {
	// Current returns the coroutine whose turn it is. It may be called at any time.
	Current() hook.ID
	// Take returns what has come since the last call, in order.
	Take() []*Arrival
	// Enter lets a in.
	Enter(a *Arrival)
	// Refuse tells the sender of a that it does not enter.
	Refuse(a *Arrival, err error)

	// Interrupt stops the run because of cause, as the end of its context does.
	Interrupt(cause error)
	// Submit submits coro, a coroutine, as a goroutine does whose context is ctx, except that the end of ctx stops nothing: see Withdraw.
	// The starter is the coroutine of that goroutine, if it is a thread of shielded code, and otherwise Nobody.
	Submit(ctx context.Context, coro any, entry uintptr, starter hook.ID)
	// Post posts coro, a coroutine.
	Post(coro any, starter hook.ID)
	// Withdraw ends the context of the submission with that number, because of cause. It reports whether there is one.
	Withdraw(number hook.ID, cause error) bool
	// Set lets in that another goroutine has set the event, which was the argument of the Keeper's Event.
	Set(event any)
}

// An Arrival is something that has come from outside.
type Arrival struct {
	Kind    Kind
	Coro    hook.ID         // of Returned: the coroutine that waits for it; of Withdrawn: the submission; or Nobody
	Name    string          // of Returned: that of the thread or the function
	Place   func() string   // of Submitted and Posted: returns the name and the place of the coroutine, for errors
	Value   any             // of Returned: a pointer to the value
	Err     error           // of Returned: the error; of Withdrawn and Interrupted: the cause
	How     How             // of Returned
	Coros   []any           // that were submitted or posted
	Entry   *uintptr        // of Submitted: where Submit was called, which errors name
	Context context.Context // of Submitted
	Gone    func() bool     // of Submitted: reports whether Submit has returned
	Starter hook.ID         // of Submitted and Posted: see Run.Submit
	Event   uint32          // of Set: the number of the Event
	Message any             // the message, which only the run understands
}

// A Kind says what has come.
type Kind uint8

const (
	// Returned: a thread, a call or a callback has come back.
	Returned Kind = iota
	// Submitted: a coroutine, by Submit.
	Submitted
	// Withdrawn: the context of a Submit is done.
	Withdrawn
	// Posted: coroutines, by Post.
	Posted
	// Set: an Event has been set by another goroutine.
	Set
	// Interrupted: the context of the run is done.
	Interrupted
	// Asked: somebody wants a Snapshot, which changes nothing.
	Asked
)

// A How says how the function of a thread has ended.
type How uint8

const (
	// Normally: it has returned.
	Normally How = iota
	// Panicked: with the *tinyio.PanicError that is the error.
	Panicked
	// Exited: by runtime.Goexit.
	Exited
)

// Package tinyio sets these.
var (
	// With returns a tinyio.Option that gives a loop a gate.
	With func(k Keeper) any
	// Of returns the Keeper of loop, a *tinyio.Loop; nil if it has no gate.
	Of func(loop any) Keeper
	// IsInside reports whether the caller is the running coroutine of loop.
	IsInside func(loop any) bool
	// Causes are the errors of package tinyio for which coroutines are stopped, by name, without those that it exports: a context tells them.
	Causes map[string]error
	// Endpoints returns the endpoints of loop by their names: they belong to package durable.
	Endpoints func(loop any) *sync.Map
	// Ending returns the error of a thread that has ended as how and err say, for hook.Thread.Replay.
	Ending func(how How, err error) error
)
