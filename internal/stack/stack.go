// Package stack gives a function a stack of its own that can be left and entered again.
//
// It is the only code of the module that knows how a coroutine is made: by [iter.Pull], whose next and yield switch
// between two goroutines without the scheduler in between. Such a switch costs about a quarter of a channel operation.
//
// Both next and yield park the goroutine that calls them and resume the one that is parked on the other side. So a pair of them is
// a [Slot]: one goroutine is parked in it at any time, and any running goroutine can switch to that one by parking there itself. That
// lets coroutines switch to each other directly, once a turn. To go back to a scheduler in between would take two switches.
//
// The documentation of iter.Pull implies that different goroutines may call next, one after another. It does not say so of yield, nor of
// a few more things that this package relies on. They hold all the same, and pull_test.go checks that they do. If [Direct] is false, the
// package does without them.
package stack

import (
	"iter"
	"unsafe"
)

// A Slot is where a goroutine is parked: one at any time, and not always the same one.
type Slot struct {
	calls    [2]func() bool // yield and next, by whether the switch is odd: see asCall
	top      uintptr        // the end of the stack of the goroutine that parked here last, when it did: see Prefetch
	switches uint32         // how many have been made; every other one, beginning with the first, calls next
}

// asCall returns fn, the next or the yield of an iterator of values without a size, as a function of one type for both. Neither has
// arguments or results that take room, but for one bool, so they are called alike on every processor. With two types Switch would have two
// calls, and could not be inlined: see Switch.
func asCall[F func() (struct{}, bool) | func(struct{}) bool](fn F) func() bool {
	return *(*func() bool)(unsafe.Pointer(&fn))
}

// Init parks a new goroutine in p. The first switch to it makes it call w.Work. When Work returns, the goroutine ends, the one that is then
// parked in p goes on, and p cannot be used any more. If Work is ended by [runtime.Goexit] when p.IsOdd, the one that goes on panics with
// [Exited].
func (p *Slot) Init(w Worker) {
	next, _ := iter.Pull(func(yield func(struct{}) bool) {
		Enter()
		returned := false
		// After a Goexit, iter.Pull would call Goexit in the goroutine that is parked in p. A panic can be recovered there.
		defer func() {
			Leave()
			if returned {
				return
			}
			if r := recover(); r != nil {
				panic(r)
			}
			panic(Exited)
		}()
		p.calls[0] = asCall(yield)
		w.Work()
		returned = true
	})
	p.calls[1] = asCall(next)
}

// A Worker has the function of a goroutine.
type Worker interface {
	// Work must not panic.
	Work()
}

// Switch parks the calling goroutine in p, and the one that was parked there goes on. It returns when somebody
// else switches to the caller.
//
// Its code is short enough to be inlined, which saves a tenth of the time of a switch. A processor guesses where a function returns to from
// the calls that it has seen. Those were of the goroutine before, so each return is guessed wrong from a function that was called before
// the switch.
func (p *Slot) Switch() {
	var here byte
	p.top = uintptr(unsafe.Pointer(&here))
	p.switches++
	p.calls[p.switches&1]()
}

// Prefetch makes the processor begin to load the end of the stack of the goroutine that is parked in p. If there are many goroutines, that
// memory is in no cache, and a switch would wait for it. It is a hint: the stack may have been moved since.
func (p *Slot) Prefetch() { prefetch(p.top) }

// PrefetchAll is Prefetch for all that a switch to the goroutine touches: besides the stack, that is the function that Switch calls, and the
// runtime's record of the goroutine, whose address is id.
func (p *Slot) PrefetchAll(id uintptr) {
	prefetchTo(id, id+record)
	p.Prefetch()
	Prefetch(*(**byte)(unsafe.Pointer(&p.calls[(p.switches+1)&1])))
}

// PrefetchRest makes the processor begin to load what Prefetch has left out and the goroutine needs when it ends: the rest of its stack, up
// to the functions that began first, and the runtime's record of it, whose address is id.
func (p *Slot) PrefetchRest(id uintptr) {
	const stack = 2048 // the least size of a stack, which ends at a multiple of its size
	prefetchTo(p.top+prefetched, (p.top+stack-1)&^(stack-1))
	prefetchTo(id, id+record)
}

// record is the size of the runtime's record of a goroutine.
const record = 448

// Prefetch makes the processor begin to load *p, which may be nil.
func Prefetch[T any](p *T) {
	at := uintptr(unsafe.Pointer(p))
	prefetchTo(at, at+unsafe.Sizeof(*p))
}

// SwitchOrExit is Switch for a caller that expects that the goroutine that Init has parked in p calls [runtime.Goexit]. It reports whether
// that has happened.
func (p *Slot) SwitchOrExit() (exited bool) {
	returned := false
	defer func() {
		if !returned {
			if r := recover(); r != Exited {
				panic(r)
			}
			exited = true
		}
	}()
	p.Switch()
	returned = true
	return false
}

// Exited is the value of the panic that reports a [runtime.Goexit]: see [Slot.Init].
var Exited any = new(int)

// IsOdd reports whether an odd number of switches has been made: then the goroutine that is parked in p has called next.
func (p *Slot) IsOdd() bool { return p.switches&1 == 1 }
