// Package stack gives a function a stack of its own that can be left and entered again.
//
// It is the only code of the module that knows how a coroutine is made: by [iter.Pull], whose next and yield switch
// between two goroutines without the scheduler in between. Such a switch costs about a quarter of a channel operation.
//
// Both next and yield park the goroutine that calls them and resume the one that is parked on the other side. So a pair of them is
// used as a [Slot] here, in which one goroutine is parked at any time, whichever, and any running one can switch to that by parking
// there itself. That lets coroutines switch to each other directly, once a turn, where going back to a scheduler in between takes two
// switches.
//
// That next may be called by different goroutines, one after another, follows from the documentation of iter.Pull. That yield may,
// and a few more things, do not: they are so all the same, and pull_test.go looks whether they still are. [Direct] does
// without them.
package stack

import (
	"iter"
	"unsafe"
)

// A Slot is where one goroutine is parked, any goroutine.
type Slot struct {
	next  func() (struct{}, bool)
	yield func(struct{}) bool
	top   uintptr // the end of the stack of the goroutine that parked here last, when it did: see Prefetch
	odd   bool    // an odd number of switches has been made: the next one is by Yield
}

// Init parks a new goroutine in p, which is to call w.Work when it goes on for the first time. When Work returns, its
// goroutine ends, and the one that is parked in p then, whichever that is, goes on. It panics with [Exited] if Work has
// ended by [runtime.Goexit] and it had parked by an odd switch. The Slot is good for nothing then.
func (p *Slot) Init(w Worker) {
	p.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		Enter()
		returned := false
		// A Goexit would go on in the one that is parked in p: iter.Pull sees to that. A panic can be stopped there.
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
		p.yield = yield
		w.Work()
		returned = true
	})
}

// A Worker is what a goroutine does.
type Worker interface {
	// Work must not panic.
	Work()
}

// Switch parks the calling goroutine in p, and the one that was parked there goes on. It returns when somebody
// else switches to the caller.
func (p *Slot) Switch() {
	var here byte
	p.top = uintptr(unsafe.Pointer(&here))
	if p.odd = !p.odd; p.odd {
		p.next()
	} else {
		p.yield(struct{}{})
	}
}

// Prefetch has the processor load the end of the stack of the goroutine that is parked in p, and does not wait for it. With many
// goroutines it is in no cache, and who switches to p waits for it otherwise. It is a hint: the stack may have been moved.
func (p *Slot) Prefetch() { prefetch(p.top) }

// SwitchOrExit is Switch for one who is ready for a goroutine whose Slot this is to call runtime.Goexit: it reports whether
// one has.
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

// Exited is what a goroutine panics with if one has called runtime.Goexit whose Slot it was parked in.
var Exited any = new(int)

// IsOdd reports that an odd number of switches has been made: whoever is parked in p has parked by next.
func (p *Slot) IsOdd() bool { return p.odd }
