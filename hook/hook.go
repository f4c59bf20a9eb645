// Package hook has the types by which a tool or a host takes part in a loop: it chooses who is next (a [Picker]), is told what happens (an
// [Observer]), says what time it is (a [Clock]), or runs the functions of threads (a [Thread]). They are what the options
// WithPicker, WithObserver, WithClock and WithThreads of package tinyio take. A program that only uses coroutines needs nothing of it.
//
// A picker, an observer and a clock are called where the loop runs, on its goroutine or on that of a coroutine, while the loop stands
// still: a call each, and no switch. They must not block, and must call nothing of the loop or of its coroutines. One that panics or calls
// [runtime.Goexit] is not called again, and the run is stopped and ends in the same way.
package hook

// An ID is the number of a coroutine on its loop: coroutines are numbered from 0, in the order in which the loop meets them. With
// the same inputs and the same picks they get the same numbers on a loop that has a [Picker] or an [Observer]. Any other loop
// gives a coroutine its number when somebody first asks for it, by a Status or a Snapshot of the loop.
type ID int

// Nobody is the ID of no coroutine: the loop itself, or something outside it.
const Nobody ID = -1

// A Picker chooses which of the ready coroutines has the next turn: for tests that explore interleavings, and for simulations.
type Picker interface {
	// Pick returns the index in ready of the one to go on. The loop calls it when there are at least two. They are in the order
	// in which they became ready: to return 0 is what a loop without a picker does. The slice belongs to
	// the loop: it is good until Pick returns, and must not be changed. To pick the first or the last takes constant time; one between them,
	// as long as it takes to close the gap that it leaves.
	Pick(ready []ID) int
}
