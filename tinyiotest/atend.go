package tinyiotest

import "github.com/tinyio-go/tinyio"

// trialKey is the key of the trial in the context of its run.
type trialKey struct{}

// AtEnd has check called when the run is over: every coroutine has ended, in whichever way, so this is where to see that every
// permit is back and everything has been cleaned up. An error of check fails the schedule, and so do a panic and what marks the
// test as failed. The checks of a run are all called, in the order in which they were registered, each on a goroutine of its
// own; they may use what does not need a coroutine, such as [tinyio.Lock.TryAcquire].
//
// It may be called by any coroutine of a program that is run by [Explore] or [Replay], and panics in others.
func AtEnd(co *tinyio.Co, check func() error) {
	r, ok := co.Value(trialKey{}).(*trial)
	if !ok || check == nil {
		panic("tinyiotest: AtEnd: the coroutine is not part of a program that Explore runs, or the check is nil; " +
			"call it in the function given to Explore, with its Co")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = append(r.checks, check)
}
