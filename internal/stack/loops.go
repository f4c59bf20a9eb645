package stack

import "sync/atomic"

// Whether a goroutine is one of a loop's is asked by whoever must not block one. The stack tells, and to look through it takes
// microseconds. So the goroutines of loops are counted by a hash of their IDs: where there are none, which is nearly always, the stack need
// not be looked at.
var loops [1 << loopBits]atomic.Int32

const loopBits = 12

func loopsLike(g uintptr) *atomic.Int32 { return &loops[uint64(g)*0x9E3779B97F4A7C15>>(64-loopBits)] }

// Enter notes that the calling goroutine begins to be one of a loop's. It may do so several times.
func Enter() { loopsLike(ID()).Add(1) }

// Leave takes one Enter of the calling goroutine back.
func Leave() { loopsLike(ID()).Add(-1) }

// MayBeLoop reports whether the calling goroutine may be one of a loop's. It is if it has entered and not left, and else only by chance.
func MayBeLoop() bool {
	g := ID()
	return g == 0 || loopsLike(g).Load() != 0
}
