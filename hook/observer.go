package hook

import (
	"runtime"
	"time"
)

// An Observer is called for what happens on a loop, as it happens: for traces, metrics and debugging.
type Observer interface {
	// Observe is called before any other code of the program goes on. It may use the methods of n until it returns.
	Observe(n Note)
}

// A Note says what has happened to a coroutine.
type Note struct {
	What What
	Coro ID    // the coroutine
	By   ID    // the coroutine in whose turn it happened, or Nobody
	Wait Wait  // of Suspended: what the coroutine waits for
	End  End   // of Finished: how it has ended
	Err  error // of Finished, the error that it has returned; of Stopped, the error with which its waits end

	// Details has what costs something to find out.
	Details
}

// Details tells more about the coroutine of a [Note], until Observe returns.
type Details interface {
	// Name is the name of the coroutine.
	Name() string
	// For is the numbers of the coroutines that it waits for, if it waits for any. It is for Suspended.
	For() []ID
	// Place is where the coroutine waits: the line in its own function, or in one that this called. It is for Suspended, and takes some
	// microseconds.
	Place() runtime.Frame
	// Time is the time on the clock of the loop.
	Time() time.Time
}

// A What says what has happened.
type What uint8

const (
	// Started: the coroutine has been started: it is ready for its first turn.
	Started What = iota
	// Resumed: its turn begins.
	Resumed
	// Suspended: its turn has ended, and it waits.
	Suspended
	// Woken: its wait has ended, and it is ready for another turn.
	Woken
	// Stopped: it has been cancelled or halted.
	Stopped
	// Finished: it has a result.
	Finished
)

var whatNames = [...]string{"started", "resumed", "suspended", "woken", "stopped", "finished"}

// String is the name of w in lower case.
func (w What) String() string { return whatNames[w] }

// A Wait is a kind of wait.
type Wait uint8

const (
	// Nothing: it does not wait.
	Nothing Wait = iota
	// Turn: for the others that are ready.
	Turn
	// Timer: for a time.
	Timer
	// Coroutine: for a coroutine, or for each of several.
	Coroutine
	// AnyCoroutine: for the next of several coroutines.
	AnyCoroutine
	// Domain: for all that is inside an Isolate or a First.
	Domain
	// Event: for an Event.
	Event
	// Permit: for a permit of a Semaphore, a Lock or a ThreadPool.
	Permit
	// Barrier: for the others of a Barrier.
	Barrier
	// Queue: for a value in a Queue, or for room in it.
	Queue
	// Outside: for a thread or a callback. The coroutine is that thread or callback.
	Outside
	// Call: for the function of a Call.
	Call
)

var waitNames = [...]string{
	"nothing", "its turn", "a timer", "a coroutine", "one of several coroutines", "an isolated coroutine", "an event", "a permit",
	"a barrier", "a queue", "a thread or callback", "a call",
}

// String says in words what is waited for, as errors and a Status do.
func (w Wait) String() string { return waitNames[w] }

// An End is how a coroutine has finished.
type End uint8

const (
	// Succeeded: with a value, also if it was stopped meanwhile.
	Succeeded End = iota
	// StoppedCleanly: it was stopped, and its error says only that.
	StoppedCleanly
	// Failed: with an error, a panic or a Goexit of its own, for which its domain is stopped now.
	Failed
	// CleanupFailed: something went wrong while it was being stopped.
	CleanupFailed
)

var endNames = [...]string{"succeeded", "stopped cleanly", "failed", "failed in clean-up"}

// String is e in words.
func (e End) String() string { return endNames[e] }

// A Stuck is a turn that lasts too long, which a watchdog reports.
type Stuck struct {
	Coro   string        // the name of the coroutine
	Since  time.Time     // when the turn began
	Lasted time.Duration // how long it has lasted so far
	Stack  []byte        // of its goroutine, in the form of [runtime/debug.Stack]; nil if the turn has just ended
}

// String says who is stuck, for how long, and where, on several lines.
func (s Stuck) String() string {
	return "the turn of " + s.Coro + " has lasted " + s.Lasted.String() + "\n" + string(s.Stack)
}
