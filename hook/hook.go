// Package hook has the types by which a tool or a host takes part in a loop: a [Picker] chooses which coroutine is next, an [Observer] is
// called for what happens, a [Clock] gives the time, and a host runs the function of a [Thread]. The options WithPicker, WithObserver,
// WithClock and WithThreads of package tinyio take them. A program that only uses coroutines does not need this package.
//
// The loop calls a picker, an observer and a clock on its own goroutine or on that of a coroutine, without a switch, and stands still
// meanwhile. They must not block, and must not call the loop or its coroutines. If one panics or calls [runtime.Goexit], it is not called
// again, and the run is stopped and ends in the same way. A Goexit also ends the coroutine on whose goroutine it happens: at once if it is its
// turn, and otherwise when its wait has ended.
package hook

// An ID is the number of a coroutine on its loop: coroutines are numbered from 0, in the order in which the loop meets them. With
// the same inputs and the same picks they get the same numbers on a loop that has a [Picker] or an [Observer]. Any other loop
// gives a coroutine its number when somebody first asks for it, by a Status or a Snapshot of the loop.
type ID int

// Nobody is the ID of no coroutine: the loop itself, or something outside it.
const Nobody ID = -1

// A Picker chooses which of the ready coroutines has the next turn: for tests that explore interleavings, and for simulations.
type Picker interface {
	// Pick returns the index in ready of the coroutine to go on. The loop calls it when there are at least two. They are in the order
	// in which they became ready, so a loop without a picker takes index 0. The slice belongs to the loop: it is valid until Pick
	// returns, and must not be changed. To pick the first or the last takes constant time. To pick another one takes as long as to close
	// the gap that it leaves.
	Pick(ready []ID) int
}
