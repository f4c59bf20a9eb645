package tinyio

import (
	"errors"
	"iter"
	"strconv"
)

// ErrClosed is what the methods of a [Queue] return when it has been closed.
var ErrClosed = errors.New("tinyio: the queue is closed")

// A Queue passes values from coroutines of a loop to others, first in, first out: what a channel is to goroutines. Make one with
// [NewQueue]; the zero Queue has no capacity, and hands over directly. It belongs to the coroutines of one loop at a time, and
// must not be copied. To pass values to or from other goroutines, use a channel with [Recv] and [Send], or [Submit].
//
// Those who wait are served in the order in which they began to wait. A value is handed to the first who waits for one, and
// room to the first who waits for room, at once: nobody can come in between.
type Queue[T any] struct {
	capacity int
	values   ring[T]   // what was put and is nobody's yet; while somebody waits to get, none
	waiting  places[T] // values of those who wait to put, and of those who were given one and have not had their turn
	getters  waitList
	putters  waitList // while somebody waits here, the queue is full
	closed   bool
}

// NewQueue returns a queue that holds up to capacity values that nobody has taken yet. With a capacity of 0, Put waits until
// a Get takes the value. Memory is allocated as the queue fills, so a large capacity costs nothing by itself. It panics if
// capacity is negative.
func NewQueue[T any](capacity int) *Queue[T] {
	if capacity < 0 {
		panic("tinyio: NewQueue: the capacity is " + strconv.Itoa(capacity) + "; it must be 0 or more")
	}
	return &Queue[T]{capacity: capacity}
}

// What has come of a wait for a queue, if the answer is not the number of the place where the value is.
const (
	unserved = 1<<32 - 1 - iota // a getter waits
	taken                       // the value of a putter has left its place
	refused                     // the queue was closed
)

// Put adds v to the queue, waiting for room if it is full. It always suspends, be it for a turn. With an error, v was not
// put: the coroutine was cancelled or halted before there was room, or the queue is closed, [ErrClosed]. If the coroutine is
// stopped when v has been put already, Put returns nil, and the next suspension tells.
func (q *Queue[T]) Put(co *Co, v T) error {
	c, err := q.enter(co, "Queue.Put")
	switch {
	case err != nil:
		return err
	case q.put(v):
		_ = co.Yield() // v is put, whatever comes now
		return nil
	case q.closed:
		return co.yieldThen(ErrClosed)
	}
	c.answer = q.waiting.hold(v)
	err = co.standIn(&q.putters, onQueue)
	switch {
	case c.answer == taken:
		return nil
	case c.answer != refused:
		q.waiting.release(c.answer)
	case err == nil:
		err = ErrClosed
	}
	return err
}

// Get takes the first value out of the queue, waiting for one if there is none. It always suspends, be it for a turn. With an
// error, nothing was taken: the coroutine was cancelled or halted before there was a value, or the queue is closed and
// empty, [ErrClosed]. If the coroutine is stopped when it has been given a value already, Get returns that and nil, and the
// next suspension tells.
func (q *Queue[T]) Get(co *Co) (T, error) {
	var zero T
	c, err := q.enter(co, "Queue.Get")
	if err != nil {
		return zero, err
	}
	if v, ok := q.get(); ok {
		_ = co.Yield() // v is taken, whatever comes now
		return v, nil
	}
	if q.closed {
		return zero, co.yieldThen(ErrClosed)
	}
	c.answer = unserved
	err = co.standIn(&q.getters, onQueue)
	switch {
	case c.answer == unserved:
		return zero, err
	case c.answer != refused:
		return q.waiting.release(c.answer), nil
	case err == nil:
		err = ErrClosed
	}
	return zero, err
}

// TryPut adds v to the queue if there is room, or somebody waits for a value, and the queue is not closed. It reports whether
// it did. It does not suspend, and never comes before those who wait.
func (q *Queue[T]) TryPut(v T) bool {
	q.check("Queue.TryPut")
	return q.put(v)
}

// TryGet takes the first value out of the queue if there is one. It does not suspend, and never comes before those who wait.
func (q *Queue[T]) TryGet() (v T, ok bool) {
	q.check("Queue.TryGet")
	return q.get()
}

// Len is the number of values in the queue, those not counted that somebody waits to put.
func (q *Queue[T]) Len() int {
	q.check("Queue.Len")
	return q.values.n
}

// Close closes the queue: nothing can be put any more, and what it holds can still be taken. Whoever waits for a value, or to put
// one, gets [ErrClosed]. It does not suspend. To close a queue again does nothing.
func (q *Queue[T]) Close() {
	q.check("Queue.Close")
	q.closed = true
	for w := q.getters.pop(); w != nil; w = q.getters.pop() {
		w.grant(refused)
	}
	for w := q.putters.pop(); w != nil; w = q.putters.pop() {
		q.waiting.release(w.c.answer)
		w.grant(refused)
	}
}

// All ranges over the values of the queue, each of which it gets. It ends when the queue has been closed and is empty. An error
// that ends the range is the cancellation of the coroutine that ranges.
func (q *Queue[T]) All(co *Co) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := q.Get(co)
			if err == ErrClosed || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// put puts v if nobody has to wait for that.
func (q *Queue[T]) put(v T) bool {
	if q.closed {
		return false
	}
	if w := q.getters.pop(); w != nil {
		w.grant(q.waiting.hold(v))
		return true
	}
	if q.values.n == q.capacity {
		return false
	}
	q.values.push(v)
	return true
}

// get takes a value if nobody has to wait for that. The room goes to the first who waits to put.
func (q *Queue[T]) get() (v T, ok bool) {
	if q.values.n > 0 {
		v, ok = q.values.pop(), true
	}
	w := q.putters.pop()
	if w == nil {
		return v, ok
	}
	next := q.waiting.release(w.c.answer)
	w.grant(taken)
	if !ok {
		return next, true
	}
	q.values.push(next)
	return v, true
}

func (q *Queue[T]) enter(co *Co, op string) (*task, error) {
	q.check(op)
	return co.enter(op), co.refused()
}

func (q *Queue[T]) check(op string) {
	if q == nil {
		panic("tinyio: " + op + ": the Queue is nil; make it with NewQueue")
	}
}

// yieldThen gives the others their turn and returns err, if the coroutine is not stopped meanwhile.
func (co *Co) yieldThen(err error) error {
	if stop := co.Yield(); stop != nil {
		return stop
	}
	return err
}

// A ring is values in the order in which they came, in a buffer that grows as it must. It keeps nothing alive that has been taken
// out.
type ring[T any] struct {
	buffer []T // its length is a power of two
	first  int
	n      int
}

// ringKept is the size of the buffer that an empty ring keeps.
const ringKept = 1024

func (r *ring[T]) push(v T) {
	if r.n == len(r.buffer) {
		larger := make([]T, max(1, 2*r.n))
		copy(larger[copy(larger, r.buffer[r.first:]):], r.buffer[:r.first])
		r.buffer, r.first = larger, 0
	}
	r.buffer[(r.first+r.n)&(len(r.buffer)-1)] = v
	r.n++
}

func (r *ring[T]) pop() (v T) {
	var zero T
	v, r.buffer[r.first] = r.buffer[r.first], zero
	r.first = (r.first + 1) & (len(r.buffer) - 1)
	if r.n--; r.n == 0 && len(r.buffer) > ringKept {
		r.buffer, r.first = nil, 0
	}
	return v
}

// Places are numbered and hold a value each until it is called for. Whoever holds a number can come at any time: a coroutine that
// is stopped, or that a Picker prefers, does not come in turn.
type places[T any] struct {
	values []T
	free   []uint32
}

func (p *places[T]) hold(v T) uint32 {
	n := len(p.free)
	if n == 0 {
		p.values = append(p.values, v)
		return uint32(len(p.values) - 1)
	}
	i := p.free[n-1]
	p.free, p.values[i] = p.free[:n-1], v
	return i
}

func (p *places[T]) release(i uint32) (v T) {
	var zero T
	v, p.values[i] = p.values[i], zero
	p.free = append(p.free, i)
	return v
}
