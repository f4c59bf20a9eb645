package tinyio

import (
	"sync/atomic"

	"github.com/tinyio-go/tinyio/internal/gate"
)

// An inbox holds messages from other goroutines, in the order in which they are posted, without a lock. It is a stack: the loop takes all
// messages at once and reverses their order. A message is embedded in what it is about, so posting allocates nothing.
//
// A new inbox is open: messages that come before the first run wait for that. Between two runs it is closed. So either a run takes
// a message in, or post returns false.
type inbox struct {
	head    atomic.Pointer[message]
	sleeper atomic.Pointer[sleeper] // the loop, when it is idle
	self    *sleeper                // of the current run
	quick   atomic.Bool             // to let an idle loop run did not take long when it was last measured
}

// A sleeper wakes a loop that is idle. Each run has its own, since a channel made inside a testing/synctest bubble must not be used
// outside it.
type sleeper struct{ wake chan struct{} }

// A message is an entry of an inbox. It must not be posted again before it has arrived.
type message struct {
	next *message
	to   receiver
}

// A receiver is called on the loop when its message has arrived. It may make coroutines ready and must not do more, for it may be
// called during a coroutine's turn: the rest is deferred. describe is for a gate.
type receiver interface {
	arrive(r *run)
	describe(r *run, a *gate.Arrival)
}

// closed is the head of an inbox that is closed.
var closed = new(message)

func (b *inbox) isClosed() bool { return b.head.Load() == closed }

func (b *inbox) empty() bool { return b.head.Load() == nil }

// post puts m into the inbox and reports whether the inbox was open. It may be called from any goroutine.
func (b *inbox) post(m *message) bool {
	for {
		head := b.head.Load()
		if head == closed {
			return false
		}
		m.next = head
		if b.head.CompareAndSwap(head, m) {
			break
		}
	}
	if s := b.sleeper.Load(); s != nil && b.sleeper.CompareAndSwap(s, nil) {
		select {
		case s.wake <- struct{}{}:
		default: // it has been woken already, and has not received that yet
		}
	}
	return true
}

// sleep announces that the loop is about to wait for a message. It returns false if one is there already.
func (b *inbox) sleep() bool {
	select {
	case <-b.self.wake: // an earlier message, which has been taken in meanwhile
	default:
	}
	b.sleeper.Store(b.self)
	if !b.empty() {
		b.awake()
		return false
	}
	return true
}

// awake announces that the loop no longer waits.
func (b *inbox) awake() { b.sleeper.Store(nil) }

// take empties b and returns the first message, which leads to the others.
func (b *inbox) take() (first *message) {
	for m := b.head.Swap(nil); m != nil; {
		m.next, m, first = first, m.next, m
	}
	return first
}

// takeIn takes in what has come from outside.
func (r *run) takeIn() {
	if !r.inbox.empty() {
		r.receive()
	}
}

// receive empties the inbox and calls the receiver of each message.
func (r *run) receive() {
	r.expect()
	for m := r.inbox.take(); m != nil; {
		next := m.next
		m.next = nil
		m.to.arrive(r)
		m = next
	}
}

// shut closes the inbox at the end of a run, when all coroutines have finished. If a message in it starts another coroutine, the run goes
// on, and shut returns false.
func (r *run) shut() bool {
	for r.live() == 0 {
		more := r.passGate()
		r.takeIn()
		r.runDeferred()
		if r.live() == 0 && !more && r.loop.inbox.head.CompareAndSwap(nil, closed) {
			return true
		}
	}
	return false
}

// An interruption is the message that the context of a run is done.
type interruption struct {
	message
	run     *run
	failure failure
}

func (i *interruption) arrive(r *run) {
	if r == i.run {
		r.deferred.push(i.failure)
	}
}
