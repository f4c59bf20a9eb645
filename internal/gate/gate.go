// Package gate is the seam through which package durable records what comes to a run from outside, and gives a run the same again.
//
// Everything that comes to a loop from other goroutines is a message in its inbox. A loop with a gate does not look there whenever it likes.
// It asks the [Keeper] of the gate before each turn, when nobody is ready, and when all have finished; and nothing enters but what the
// Keeper lets in. So what comes from outside has a place in the run, the number of the turn, and can enter at the same place in another run.
//
// Three things are no messages. A coroutine reads what others may have changed: an Event, a channel, whether the context of the run is done.
// Each such read goes through the Keeper too. The clock is wrapped by it. And in a replay a FromCallback must not reach outside.
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
	// Read is called where a coroutine reads what others may have changed. To read is to call read, which stores in *value what it has
	// found, and reports whether that is anything but what the coroutine would find if there was nothing outside. Read reports the same.
	Read(value any, read func() bool) (some bool)
	// Done is Read for the context of the run: whether it is done.
	Done(ctx context.Context) bool
	// Replays reports whether the run is a replay, in which nothing that is outside counts.
	Replays() bool
	// Event is called when a coroutine of the run first uses an Event, and returns the number of it.
	Event(event any) (number uint32)
	// Callback is called in the turn in which a FromCallback begins. It reports whether the start function is to be called. If not, it
	// ends t as the host of a thread does, or panics or exits as the function did.
	Callback(t *hook.Thread) (start bool)
	// Broke is called when a start function has panicked with p, or has exited if p is nil.
	Broke(p any)
	// Stopped is called when a coroutine is being stopped with err.
	Stopped(err error)
	// End is called when the run has ended.
	End()
}

// A Run is a run that goes through a gate. Its methods are for the Keeper, in Enter.
type Run interface {
	// Current is the coroutine whose turn it is. It can be called at any time.
	Current() hook.ID
	// Take returns what has come since the last call, in order.
	Take() []*Arrival
	// Enter lets a in.
	Enter(a *Arrival)
	// Refuse tells who has sent a that it does not enter.
	Refuse(a *Arrival, err error)

	// Interrupt stops the run because of cause, as the end of its context does.
	Interrupt(cause error)
	// Submit submits coro, a coroutine, as a goroutine does that then waits until ctx is done, which is never noticed. The starter is the
	// coroutine in whose shielded thread that goroutine is, or Nobody.
	Submit(ctx context.Context, coro any, entry uintptr, starter hook.ID)
	// Post posts coro, a coroutine.
	Post(coro any, starter hook.ID)
	// Withdraw ends the context of the submission with that number, because of cause. It reports whether there is one.
	Withdraw(number hook.ID, cause error) bool
	// Set tells of an Event, as it was given to the Keeper's Event, that another goroutine has set it.
	Set(event any)
}

// An Arrival is something that has come.
type Arrival struct {
	Kind    Kind
	Coro    hook.ID         // of Returned: the coroutine that waits for it; of Withdrawn: the submission; or Nobody
	Name    string          // of Returned: of the thread or the function
	Place   func() string   // of Submitted and Posted: what and where the coroutine is, for errors
	Value   any             // of Returned: a pointer to the value
	Err     error           // of Returned: the error; of Withdrawn and Interrupted: the cause
	How     How             // of Returned
	Coros   []any           // that were submitted or posted
	Entry   *uintptr        // of Submitted: the address of the code that errors name as the place
	Context context.Context // of Submitted
	Gone    func() bool     // of Submitted: whether whoever waited for it does so no longer
	Starter hook.ID         // of Submitted and Posted: see Run.Submit
	Event   uint32          // of Set: the number of the Event
	Message any             // for the run
}

// A Kind is what has come.
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

// A How is how a function of a thread has ended.
type How uint8

const (
	// Normally: it has returned.
	Normally How = iota
	// Panicked: with the *tinyio.PanicError that is the error.
	Panicked
	// Exited: by runtime.Goexit.
	Exited
)

// What package tinyio sets.
var (
	// With returns a tinyio.Option that gives a loop a gate.
	With func(k Keeper) any
	// Of returns the Keeper of loop, a *tinyio.Loop; nil if it has no gate.
	Of func(loop any) Keeper
	// IsInside reports whether the caller is a coroutine of loop, in its turn.
	IsInside func(loop any) bool
	// Endpoints returns the endpoints of loop by their names: they belong to package durable.
	Endpoints func(loop any) *sync.Map
	// Ending returns the error that a thread has which has ended like that, for hook.Thread.Replay.
	Ending func(how How, err error) error
)
