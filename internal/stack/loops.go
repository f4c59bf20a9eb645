package stack

import "sync/atomic"

// Whether a goroutine is one of a loop's is asked by whoever must not block one. Its stack tells, but to look through that takes a
// microsecond. So the goroutines of loops are counted, by where in memory the runtime has its record of each, which is what ID returns. A
// goroutine whose record is where none of a loop's is need not look at its stack. That is so for nearly all, however many goroutines loops
// have: two records are more than 1<<granule bytes apart, and share a counter only if they are a multiple of 512 MB from each other. What
// is allocated one after the other is also close together here, so that this takes few pages of memory and few cache lines.
var loops [1 << (loopBits - 1)]atomic.Uint32 // two counters each

const (
	granule  = 8
	loopBits = 21
)

// counter returns where the counter of g is: in the word, so many bits to the left.
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

// MayBeLoop reports whether the calling goroutine may be one of a loop's. It is if it has entered and not left, and else only by chance.
func MayBeLoop() bool {
	g := ID()
	word, shift := counter(g)
	return g == 0 || uint16(word.Load()>>shift) != 0
}
