package tinyio

import (
	"errors"
	"iter"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/tinyio-go/tinyio/internal/lookin"
)

// ErrClosed is what the methods of a [Queue] return when it has been closed.
var ErrClosed = errors.New("tinyio: the queue is closed")

// A Queue passes values between the coroutines of a loop, first in, first out, as a channel does between goroutines. Make one with
// [NewQueue]. The zero Queue has no capacity: Put waits until a Get takes the value. A Queue belongs to the coroutines of one loop
// at a time, and must not be copied. To pass values to or from other goroutines, use a channel with [Recv] and [Send], or [Submit].
//
// Those who wait are served in the order in which they began to wait. A new value goes at once to the first who waits for one, and
// new room to the first who waits for room: nobody can get in between.
type Queue[T any] struct {
	capacity int
	values   ring[T]  // the values in the queue; empty while a getter waits
	waiting  slab[T]  // the values of putters that wait, and those that getters were given and have not returned yet
	getters  waitList // those that wait for a value
	putters  waitList // those that wait for room: the queue is full
	closed   bool
	shown    *lookin.Queue // what package debug sees of the queue; nil if it does not watch this one
}

// NewQueue returns a queue that holds up to capacity values. With a capacity of 0, Put waits until a Get takes the value. Memory
// is allocated as the queue fills, so a large capacity costs nothing by itself. NewQueue panics if capacity is negative.
func NewQueue[T any](capacity int) *Queue[T] {
	if capacity < 0 {
		panic("tinyio: NewQueue: the capacity is " + strconv.Itoa(capacity) + "; it must be 0 or more")
	}
	q := &Queue[T]{capacity: capacity}
	if lookin.Samples && capacity >= lookin.Many {
		q.shown = lookin.MadeQueue()
	}
	return q
}

// The answers to a wait for a queue. Any other answer is the key of a value in the slab.
const (
	unserved = outOfTime - 1 - iota // a getter still waits
	taken                           // the value of a putter has been taken
	refused                         // the queue was closed
)

// Put adds v to the queue, and waits for room if the queue is full. It suspends only if it has to wait or if the queue is closed; and
// every 64th time in one turn that an Acquire, a Put or a Get does not have to wait, so that a coroutine that is always served
// keeps nobody from running.
//
// If Put returns an error, v was not put: the coroutine was cancelled or halted before there was room, or the queue is closed and
// the error is [ErrClosed]. If the coroutine is stopped when v has been put already, Put returns nil, and the next suspension
// returns the error.
func (q *Queue[T]) Put(co *Co, v T) error {
	if err := q.enter(co, "Queue.Put"); err != nil {
		return err
	}
	if q.takes() {
		if err := co.letOthers(); err != nil {
			return err
		}
	}
	switch {
	case q.put(v):
		return nil
	case q.closed:
		return co.yieldThen(ErrClosed)
	}
	return q.waitToPut(co, v)
}

// waitToPut waits until a getter takes v, or there is room for it.
func (q *Queue[T]) waitToPut(co *Co, v T) error {
	c, r := co.c, co.c.run()
	c.answer = q.waiting.insert(v)
	defer func() {
		if c.answer < refused {
			q.waiting.remove(c.answer) // c was stopped, or exits
		}
	}()
	r.endTurn(c, onQueue)
	q.putters.push(&c.one[0])
	if p := r.leave(c); p != nil { // suspend
		p.Switch()
		r.sendOn(c)
	}
	err := co.resumed(r)
	switch {
	case c.answer == taken:
		return nil
	case c.answer == refused && err == nil:
		err = ErrClosed
	}
	return err
}

// Get takes the first value out of the queue, and waits for one if the queue is empty. Like [Queue.Put], it suspends only if it has
// to wait, and every 64th time in one turn that it does not, or if the queue is closed and empty.
//
// If Get returns an error, nothing was taken: the coroutine was cancelled or halted before there was a value, or the queue is closed
// and empty and the error is [ErrClosed]. If the coroutine is stopped when it has been given a value already, Get returns that and
// nil, and the next suspension returns the error.
func (q *Queue[T]) Get(co *Co) (T, error) {
	v, _, err := q.getFor(co, "Queue.Get", 0, false)
	return v, err
}

// GetFor is [Queue.Get] for at most d. It reports whether it has taken a value; running out of time is not an error.
func (q *Queue[T]) GetFor(co *Co, d time.Duration) (v T, ok bool, err error) {
	return q.getFor(co, "Queue.GetFor", d, true)
}

func (q *Queue[T]) getFor(co *Co, op string, d time.Duration, limited bool) (v T, ok bool, err error) {
	if err := q.enter(co, op); err != nil {
		return v, false, err
	}
	if q.values.n > 0 || q.putters.head != nil {
		if err := co.letOthers(); err != nil {
			return v, false, err
		}
	}
	if v, ok := q.get(); ok {
		return v, true, nil
	}
	if q.closed {
		return v, false, co.yieldThen(ErrClosed)
	}
	if limited {
		co.c.setLimit(d)
	}
	return q.waitToGet(co)
}

// waitToGet waits until a putter puts a value, or the limit of the wait has passed.
func (q *Queue[T]) waitToGet(co *Co) (v T, ok bool, err error) {
	c, r := co.c, co.c.run()
	c.answer = unserved
	defer func() {
		if c.answer < refused {
			v, ok = q.waiting.remove(c.answer), true // also if c exits
		}
	}()
	r.endTurn(c, onQueue)
	q.getters.push(&c.one[0])
	if p := r.leave(c); p != nil { // suspend
		p.Switch()
		r.sendOn(c)
	}
	err = co.resumed(r)
	switch {
	case c.answer < refused:
		err = nil
	case c.answer == refused && err == nil:
		err = ErrClosed
	}
	return v, ok, err
}

// TryPut adds v to the queue if that needs no wait and the queue is not closed, and reports whether it did. It does not suspend,
// and never gets ahead of those who wait.
func (q *Queue[T]) TryPut(v T) bool {
	q.check("Queue.TryPut")
	return q.put(v)
}

// TryGet takes the first value out of the queue if there is one. It does not suspend, and never gets ahead of those who wait.
func (q *Queue[T]) TryGet() (v T, ok bool) {
	q.check("Queue.TryGet")
	return q.get()
}

// Len returns the number of values in the queue, without those that coroutines wait to put.
func (q *Queue[T]) Len() int {
	q.check("Queue.Len")
	return q.values.n
}

// Close closes the queue: nothing can be put any more, and what it holds can still be taken. Every coroutine that waits in Put or
// Get gets [ErrClosed]. Close does not suspend. To close a queue again does nothing.
func (q *Queue[T]) Close() {
	q.check("Queue.Close")
	q.closed = true
	for w := q.getters.pop(); w != nil; w = q.getters.pop() {
		w.grant(refused)
	}
	for w := q.putters.pop(); w != nil; w = q.putters.pop() {
		q.waiting.remove(w.c.answer)
		w.grant(refused)
	}
}

// All ranges over the values of the queue and takes each with [Queue.Get]. The range ends when the queue is closed and empty. An
// error ends the range: the ranging coroutine is being stopped.
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

// takes reports whether a value can be put without a wait.
func (q *Queue[T]) takes() bool {
	return !q.closed && (q.getters.head != nil || q.values.n < q.capacity)
}

// put puts v if that needs no wait, and reports whether it did.
func (q *Queue[T]) put(v T) bool {
	if q.closed {
		return false
	}
	if w := q.getters.pop(); w != nil {
		w.grant(q.waiting.insert(v))
		return true
	}
	if q.values.n == q.capacity {
		return false
	}
	q.values.push(v)
	return true
}

// get takes a value if that needs no wait, and reports whether it did. The room goes to the first who waits to put.
func (q *Queue[T]) get() (v T, ok bool) {
	if q.values.n > 0 {
		v, ok = q.values.pop(), true
	}
	w := q.putters.pop()
	if w == nil {
		return v, ok
	}
	next := q.waiting.remove(w.c.answer)
	if ok {
		q.values.push(next)
	} else {
		v = next
	}
	w.grant(taken)
	return v, true
}

func (q *Queue[T]) enter(co *Co, op string) error {
	if q == nil || q.shown != nil {
		q.show(co, op)
	}
	return co.enter(op).refused(co)
}

func (q *Queue[T]) check(op string) {
	if q == nil || q.shown != nil {
		q.show(nil, op)
	}
}

// show tells package debug, before an operation, how many values the queue holds, and which loop uses it if co tells. It panics if q is nil.
func (q *Queue[T]) show(co *Co, op string) {
	if q == nil {
		panic("tinyio: " + op + ": the Queue is nil; make it with NewQueue")
	}
	q.shown.Held.Store(int64(q.values.n))
	if co != nil && co.c != nil {
		q.shown.Loop.Store(uintptr(unsafe.Pointer(co.c.loop.Load())))
	}
}

// yieldThen yields and then returns err, or the coroutine's own error if it is stopped meanwhile.
func (co *Co) yieldThen(err error) error {
	if stop := co.Yield(); stop != nil {
		return stop
	}
	return err
}

// A ring holds values, first in, first out, in a buffer that grows and shrinks with them. It keeps no reference to values that have
// been taken out.
type ring[T any] struct {
	buffer []T // its length is a power of two
	first  int
	n      int
}

// isSmall reports whether n values take so little memory that an empty queue may keep it.
func isSmall[T any](n int) bool {
	var v T
	return n*int(unsafe.Sizeof(v)) <= 16<<10
}

func (r *ring[T]) push(v T) {
	if r.n == len(r.buffer) {
		r.resize(max(1, 2*r.n))
	}
	r.buffer[(r.first+r.n)&(len(r.buffer)-1)] = v
	r.n++
}

// resize makes the buffer n long, which must be enough for the values.
func (r *ring[T]) resize(n int) {
	values := make([]T, n)
	copy(values[copy(values, r.buffer[r.first:min(r.first+r.n, len(r.buffer))]):], r.buffer[:max(0, r.first+r.n-len(r.buffer))])
	r.buffer, r.first = values, 0
}

// front returns the value that pop takes next. The ring must not be empty.
func (r *ring[T]) front() T { return r.buffer[r.first] }

func (r *ring[T]) pop() (v T) {
	var zero T
	v, r.buffer[r.first] = r.buffer[r.first], zero
	r.first = (r.first + 1) & (len(r.buffer) - 1)
	if r.n--; r.n < len(r.buffer)/4 && !isSmall[T](len(r.buffer)) {
		r.resize(len(r.buffer) / 2)
	}
	return v
}

// A slab holds values, each under a key, until they are removed, in any order: a coroutine may leave its line early because it is
// stopped, and a Picker may choose another order of turns.
//
// The entries are in pages of 64, and insert uses the lowest free entry. So the pages that a burst of waiters has filled become
// empty and are dropped when the burst is over, even if some always wait.
type slab[T any] struct {
	pages [][]T    // the values
	used  []uint64 // for each page, a bit for each entry that holds a value
	full  int      // every page before this index is full
	spare []T      // an empty page for the next one that is needed
}

const pageSize = 64

func (s *slab[T]) insert(v T) uint32 {
	for s.full < len(s.used) && s.used[s.full] == math.MaxUint64 {
		s.full++
	}
	page := s.full
	if page == len(s.used) {
		s.pages, s.used = append(s.pages, nil), append(s.used, 0)
	}
	at := bits.TrailingZeros64(^s.used[page])
	s.used[page] |= 1 << at
	if s.pages[page] == nil {
		s.pages[page], s.spare = s.spare, nil
	}
	if at == len(s.pages[page]) {
		s.pages[page] = append(s.pages[page], v)
	} else {
		s.pages[page][at] = v
	}
	return uint32(page*pageSize + at)
}

func (s *slab[T]) remove(i uint32) (v T) {
	var zero T
	page, at := int(i/pageSize), i%pageSize
	v, s.pages[page][at] = s.pages[page][at], zero
	s.used[page] &^= 1 << at
	s.full = min(s.full, page)
	if s.used[page] == 0 {
		s.empty(page)
	}
	return v
}

// empty drops the page, which has become empty, and all empty pages at the end.
func (s *slab[T]) empty(page int) {
	if isSmall[T](cap(s.pages[page])) {
		s.spare = s.pages[page][:0]
	}
	s.pages[page] = nil
	s.shrink()
}

// shrink drops the empty pages at the end.
func (s *slab[T]) shrink() {
	n := len(s.used)
	for n > 0 && s.used[n-1] == 0 {
		n--
	}
	s.pages, s.used = s.pages[:n], s.used[:n]
	if n < cap(s.used)/4 {
		s.pages, s.used = slices.Clone(s.pages), slices.Clone(s.used)
	}
}
