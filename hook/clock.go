package hook

import "time"

// A Clock gives a loop its time. If it panics or calls [runtime.Goexit], the loop uses the real clock from then on.
//
// When no coroutine is ready, the loop waits, in real time, for as long as its next deadline is away on the clock, or until something comes
// from outside, and then reads the clock again. A Clock that is an [Idler] waits in its own way. In guest mode, the host waits and not the
// loop.
type Clock interface {
	// Now returns the time. It must not go backwards.
	Now() time.Time
}

// An Idler is a Clock that passes the time itself when there is nothing to do.
type Idler interface {
	Clock
	// Idle is called when no coroutine is ready. It returns when p.Deadline has come, if that is not the zero time, or when it has
	// received from p.Wake. It may return earlier. If it returns false, nothing can ever happen again, and the run fails with a
	// DeadlockError. It may block.
	Idle(p Pause) (possible bool)
}

// A Skipper is a Clock that skips idle time for a host too.
type Skipper interface {
	Clock
	// Skip is called in guest mode, when the host takes a step and no coroutine is ready: it may move the clock to p.Deadline. It returns
	// what Idle would. It must not block.
	Skip(p Pause) (possible bool)
}

// A Pause describes a loop in which no coroutine is ready.
type Pause struct {
	Deadline time.Time       // of the next timer, or the zero time if none is set
	Wake     <-chan struct{} // can be received from when something has come from outside
	Threads  int             // how many threads, calls and callbacks are running: what comes from outside mostly comes from them
	Returned int             // how many have come back since the run began
}
