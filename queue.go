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
	values   ring[T] // what was put and is nobody's yet; while somebody waits to get, none
	waiting  slab[T] // values of those who wait to put, and of those who were given one and have not had their turn
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

// What has come of a wait for a queue, if the answer is not the key of the value in the slab.
const (
	unserved = outOfTime - 1 - iota // a getter waits
	taken                           // the value of a putter has been taken
	refused                         // the queue was closed
)

// Put adds v to the queue, waiting for room if it is full. It suspends only if it has to wait, or if the queue is closed; and every
// 64th time in one turn that an Acquire, a Put or a Get does not have to wait, so that one who is always served keeps nobody from
// running. With an error, v was not put: the coroutine was cancelled or halted before there was room, or the queue is closed, [ErrClosed]. If the coroutine is
// stopped when v has been put already, Put returns nil, and the next suspension tells.
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

// waitToPut waits until somebody takes v, or there is room for it.
func (q *Queue[T]) waitToPut(co *Co, v T) error {
	c := co.c
	c.answer = q.waiting.insert(v)
	defer func() {
		if c.answer < refused {
			q.waiting.remove(c.answer) // c was stopped, or exits
		}
	}()
	err := co.standIn(&q.putters, onQueue)
	switch {
	case c.answer == taken:
		return nil
	case c.answer == refused && err == nil:
		err = ErrClosed
	}
	return err
}

// Get takes the first value out of the queue, waiting for one if there is none. It suspends when [Queue.Put] does. With an error, nothing was taken: the coroutine was cancelled or halted before there was a value, or the queue is closed and
// empty, [ErrClosed]. If the coroutine is stopped when it has been given a value already, Get returns that and nil, and the
// next suspension tells.
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
		co.c.run().askFor(d)
	}
	return q.waitToGet(co)
}

// waitToGet waits until somebody puts a value, or the time is up.
func (q *Queue[T]) waitToGet(co *Co) (v T, ok bool, err error) {
	c := co.c
	c.answer = unserved
	defer func() {
		if c.answer < refused {
			v, ok = q.waiting.remove(c.answer), true // also if c exits
		}
	}()
	err = co.standIn(&q.getters, onQueue)
	switch {
	case c.answer < refused:
		err = nil
	case c.answer == refused && err == nil:
		err = ErrClosed
	}
	return v, ok, err
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
		q.waiting.remove(w.c.answer)
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

// takes reports that a value can be put without waiting.
func (q *Queue[T]) takes() bool {
	return !q.closed && (q.getters.head != nil || q.values.n < q.capacity)
}

// put puts v if nobody has to wait for that.
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

// get takes a value if nobody has to wait for that. The room goes to the first who waits to put.
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
	q.check(op)
	co.enter(op)
	return co.refused()
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

// isSmall reports that so many values take so little memory that an empty queue may keep it.
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

// resize makes the buffer so long; that is more than is in it.
func (r *ring[T]) resize(n int) {
	values := make([]T, n)
	copy(values[copy(values, r.buffer[r.first:min(r.first+r.n, len(r.buffer))]):], r.buffer[:max(0, r.first+r.n-len(r.buffer))])
	r.buffer, r.first = values, 0
}

// front is the value that pop takes next. There is one.
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

// A slab holds values, each under a key, until they are removed, in any order: a coroutine that is stopped, or that a Picker prefers,
// does not come in turn.
//
// The entries are in pages of 64, and insert takes the lowest one that is free. So the pages that a crowd has filled are dropped as
// it leaves, even if somebody always waits.
type slab[T any] struct {
	pages [][]T    // their values
	taken []uint64 // for each page, a bit for each of its entries that holds a value
	full  int      // that many pages at least, from the first on, are full
	spare []T      // a page in which nothing is, for the next that is needed
}

const pageSize = 64

func (s *slab[T]) insert(v T) uint32 {
	for s.full < len(s.taken) && s.taken[s.full] == math.MaxUint64 {
		s.full++
	}
	page := s.full
	if page == len(s.taken) {
		s.pages, s.taken = append(s.pages, nil), append(s.taken, 0)
	}
	at := bits.TrailingZeros64(^s.taken[page])
	s.taken[page] |= 1 << at
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
	s.taken[page] &^= 1 << at
	s.full = min(s.full, page)
	if s.taken[page] == 0 {
		s.empty(page)
	}
	return v
}

// empty drops a page in which nothing is, and of all such pages at the end.
func (s *slab[T]) empty(page int) {
	if isSmall[T](cap(s.pages[page])) {
		s.spare = s.pages[page][:0]
	}
	s.pages[page] = nil
	s.shrink()
}

// shrink drops the pages at the end in which nothing is.
func (s *slab[T]) shrink() {
	n := len(s.taken)
	for n > 0 && s.taken[n-1] == 0 {
		n--
	}
	s.pages, s.taken = s.pages[:n], s.taken[:n]
	if n < cap(s.taken)/4 {
		s.pages, s.taken = slices.Clone(s.pages), slices.Clone(s.taken)
	}
}
