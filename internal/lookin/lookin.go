// Package lookin is what only package debug and the watchdog need to look into loops: which loops run, whose turn it is, and the
// stack of the goroutine whose turn it is.
//
// Package tinyio must not depend on package debug, and exports no names for these things. So each of the two sets here what the other
// calls. Package tinyio passes its own types as any.
package lookin

import (
	"bytes"
	"fmt"
	"runtime"
	"sync/atomic"
)

// A Listener is called when runs begin and end. Its methods must not block, and may be called by several goroutines at a time.
type Listener interface {
	// Began is called when a run of loop, a *tinyio.Loop, has begun, with the name of its first coroutine.
	Began(loop any, first string)
	// Ended is called when the run has ended.
	Ended(loop any)
	// Made is called when a coroutine has been made. It returns what is to be called when that is started, or nil.
	Made() (started func())
	// MadeQueue is called when a queue has been made. It returns what the queue is to be shown in, or nil, and must not keep that.
	MadeQueue() *Queue
	// Number returns the number of the run of loop that is under way, 0 if there is none.
	Number(loop any) uint64
}

var listener atomic.Pointer[Listener]

// Samples says that there is a listener, so Made has to be called for each coroutine that is made. It is set before main begins.
var Samples bool

// Listen makes l the listener. It is called before main begins.
func Listen(l Listener) {
	listener.Store(&l)
	Samples = l != nil
}

// Made is called when a coroutine has been made. If the listener wants to know whether that is ever started, Made returns what is to be
// called then; otherwise nil.
func Made() (started func()) {
	if l := Listening(); l != nil {
		return l.Made()
	}
	return nil
}

// Listening returns the listener, nil if there is none.
func Listening() Listener {
	if l := listener.Load(); l != nil {
		return *l
	}
	return nil
}

// A Queue is what is shown of a queue that may hold Many values.
type Queue struct {
	Held atomic.Int64   // how many values it held before the last operation
	Loop atomic.Uintptr // the address of the loop whose coroutines have used it last
}

// Many is how many values are many for a queue.
const Many = 1000

// MadeQueue is called when a queue has been made that may hold Many values. It returns what it is to be shown in, or nil.
func MadeQueue() *Queue {
	if l := Listening(); l != nil {
		return l.MadeQueue()
	}
	return nil
}

// Turn returns the address of the coroutine whose turn it is on loop, a *tinyio.Loop; 0 if it is nobody's. Package tinyio sets it.
var Turn func(loop any) uintptr

// More returns what a status, a tinyio.Status, does not say. Package tinyio sets it.
var More func(status any) Rest

// A Rest is what a status does not say.
type Rest struct {
	Daemon  bool    // it does not keep the run up
	Yielded bool    // it is ready because it let the others have their turn
	Stopped error   // what its waits end with, if it is being stopped
	Permits uintptr // which permits it waits for, if it does
	Served  int32   // how many waits for these have been served so far
}

// A WhoKey is the key for which the context of a coroutine, or of its thread, has a Who.
type WhoKey struct{}

// A Who says of which coroutine a context is. The Loop is a *tinyio.Loop.
type Who struct {
	Coro string
	Loop any
}

// maxDump is how many bytes of stacks are looked through: enough for those of 200,000 coroutines, which take eight times as much themselves.
const maxDump = 256 << 20

// Dump returns the stacks of all goroutines. It stops the world meanwhile, for some 15 µs a goroutine. What is more than maxDump is cut off.
func Dump() []byte {
	size := min(1<<16+1<<11*runtime.NumGoroutine(), maxDump)
	for {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size == maxDump {
			return buf[:n]
		}
		size = min(4*size, maxDump)
	}
}

// Of returns the stack in dump of the goroutine on which the coroutine at the address runs, or nil.
//
// A stack says with which arguments a function was called, as far as they are still there. That of the function by which every coroutine
// is called is there for as long as it runs, because it needs it afterwards. TestStackOfATurn looks whether that is still so.
func Of(dump []byte, coroutine uintptr) []byte {
	at := bytes.Index(dump, fmt.Appendf(nil, "tinyio.(*task).execute(%#x, ", coroutine))
	if at < 0 {
		return nil
	}
	begin, end := bytes.LastIndex(dump[:at], []byte("\n\n")), bytes.Index(dump[at:], []byte("\n\n"))
	if begin < 0 {
		begin = 0
	} else {
		begin += 2
	}
	if end < 0 {
		end = len(dump)
	} else {
		end += at + 1
	}
	return bytes.Clone(dump[begin:end])
}
