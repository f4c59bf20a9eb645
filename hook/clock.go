package hook

import "time"

// A Clock is where a loop has its time from. If one panics or calls [runtime.Goexit], the loop goes by the real clock from
// then on.
//
// When no coroutine is ready, the loop waits in real time for as long as the clock is short of the next deadline, or until something comes
// from outside, and then asks for the time again. A Clock that is an [Idler] waits in another way. A loop in guest mode
// does not wait: its host does.
type Clock interface {
	// Now returns the time. It must not go backwards.
	Now() time.Time
}

// An Idler is a Clock that passes the time itself when there is nothing to do.
type Idler interface {
	Clock
	// Idle is called when no coroutine is ready. It returns when p.Deadline has come, if that is not the zero time, or when it has
	// received from p.Wake. It may return earlier. It returns false if it is certain that nothing will ever happen any more, and the
	// loop then fails with a DeadlockError. It may block.
	Idle(p Pause) (possible bool)
}

// A Skipper is a Clock that skips idle time for a host too.
type Skipper interface {
	Clock
	// Skip is called in guest mode, when the host takes a step and nobody is ready still: it may move the clock to p.Deadline. It returns
	// false as Idle does. It must not block.
	Skip(p Pause) (possible bool)
}

// A Pause is a loop in which nobody is ready.
type Pause struct {
	Deadline time.Time       // of the next timer, or the zero time if none is set
	Wake     <-chan struct{} // can be received from when something has come from outside
	Threads  int             // how many threads, calls and callbacks are under way: apart from an Event that another goroutine sets, Wake comes from them
	Returned int             // how many have come back since the run began
}
