package stack

import "sync/atomic"

// loops counts how many times each goroutine has entered a loop. A function that must not block a loop finds out with it, in nanoseconds,
// that the calling goroutine is none of a loop's. To look through the stack is always right, but takes a microsecond.
//
// The index of a counter comes from ID, which is where in memory the runtime has its record of the goroutine. Two records are more than
// 1<<granule bytes apart. They share a counter only if they are a multiple of 512 MB apart, so nearly every goroutine that is none of a
// loop's has a counter that is 0, however many goroutines loops have. Records that are close together have counters that are close
// together, so this takes few pages of memory and few cache lines.
var loops [1 << (loopBits - 1)]atomic.Uint32 // two counters each

const (
	granule  = 8
	loopBits = 21
)

// counter returns the word that holds the counter of g, and how many bits it is shifted to the left there.
func counter(g uintptr) (word *atomic.Uint32, shift uintptr) {
	i := g >> granule & (1<<loopBits - 1)
	return &loops[i/2], i % 2 * 16
}

// Enter notes that the calling goroutine begins to be one of a loop's. It may do so several times.
func Enter() {
	word, shift := counter(ID())
	word.Add(1 << shift)
}

// Leave takes one Enter of the calling goroutine back.
func Leave() {
	word, shift := counter(ID())
	word.Add(-(1 << shift))
}

// MayBeLoop reports whether the calling goroutine may be one of a loop's. If it has entered and not left, the result is true. Otherwise it is
// true only by chance, or if ID cannot tell.
func MayBeLoop() bool {
	g := ID()
	word, shift := counter(g)
	return g == 0 || uint16(word.Load()>>shift) != 0
}
