package tinyio

import (
	"cmp"
	"unsafe"

	"github.com/tinyio-go/tinyio/internal/lookin"
)

// Void is the value of a coroutine that has none.
type Void = struct{}

// A Coro is a coroutine: a function that can wait without blocking others, as a value. It runs once, on the first loop
// on which it is awaited, gathered, spawned or run, and keeps its result. Everybody who awaits it, however often and however
// late, gets this result. Make one with [New], [Do], [RunInThread] or [FromCallback].
//
// A Coro that nobody wants never runs, and costs nothing but its memory.
type Coro[T any] struct {
	c     task // the first field: see awaitable
	value T
	fn    func(co *Co) (T, error) // nil once it has been called, and for a callback
}

// An Awaitable is a coroutine of any type: every *Coro[T] is one, and nothing else.
type Awaitable interface{ awaitable() *task }

// awaitable is written so that Await can be inlined. If c is nil, so is its task, which is its first field.
func (c *Coro[T]) awaitable() *task { return (*task)(unsafe.Pointer(c)) }

// New returns a coroutine that runs fn. An error that fn returns crashes the loop, see [Run].
//
// fn is given its [Co], through which it waits. The Co is valid for fn and the functions that it calls, on the same goroutine,
// until fn returns. New panics if fn is nil.
func New[T any](fn func(co *Co) (T, error)) *Coro[T] {
	if fn == nil {
		panic("tinyio: New: the function is nil; a coroutine needs one to run")
	}
	c := newCoro(fn)
	if lookin.Samples {
		c.sample()
	}
	return c
}

// newCoro returns a coroutine that runs fn, which is not nil.
func newCoro[T any](fn func(co *Co) (T, error)) *Coro[T] {
	c := new(Coro[T])
	c.c.init(c, entryOf(fn))
	c.fn = fn
	return c
}

// Do is [New] for a function without a value.
func Do(fn func(co *Co) error) *Coro[Void] {
	if fn == nil {
		panic("tinyio: Do: the function is nil; a coroutine needs one to run")
	}
	// A Void takes no room among results, so both types of function are called alike. To call one in another takes an allocation, and a frame
	// on the stack for as long as the coroutine waits.
	c := newCoro(*(*func(co *Co) (Void, error))(unsafe.Pointer(&fn)))
	if lookin.Samples {
		c.sample() // as in New, because debug knows how many functions are between sample and the caller of Do
	}
	return c
}

// sample tells package debug of c. If c is one of those that it samples, package debug is also told when c begins.
//
//go:noinline // otherwise the function literal is named after the caller in stack traces
func (c *Coro[T]) sample() {
	if started := lookin.Made(); started != nil {
		fn := c.fn
		c.fn = func(co *Co) (T, error) {
			started()
			return fn(co)
		}
	}
}

// Named gives c a name for traces and messages and returns c. The default is the name of its function. Named must be
// called before the first turn of c: where c is made, or on what [Co.Go] returns.
func (c *Coro[T]) Named(name string) *Coro[T] {
	if c == nil || c.c.body == nil {
		panic("tinyio: Named: the coroutine is nil or zero; make it with New")
	}
	if !c.c.isYetToBegin() {
		panic("tinyio: Named: coroutine " + c.c.describe() + " has started already; name it where it is made")
	}
	c.c.addCold().name = name
	return c
}

// isYetToBegin reports whether c has had no turn: it is fresh, is ready for its first turn, or was refused.
func (c *task) isYetToBegin() bool {
	switch c.state {
	case fresh:
		return true
	case ready:
		return c.outcome == notBegun
	}
	return c.state == done && c.clean && c.g.Load() == 0
}

// Await waits until c has finished and returns its result. A fresh coroutine is started: it goes to the back of the ready
// queue. Await always suspends, for a turn if c has finished already.
//
// An error of Await is mostly that of the caller, which has been cancelled or halted meanwhile: an error of c cancels all
// coroutines of its crash domain, including its awaiters. An awaiter that is not cancelled gets the error of c, as an [*Error]
// with its await chain, for [errors.Is] and [errors.As]: after c has failed in an earlier run or inside an [Isolate], and in a
// [Co.Shield].
//
// If c waits for the caller, directly or not, Await returns a [*CycleError] instead of waiting. A coroutine that belongs to
// another loop can be awaited once it has finished; before that, Await returns an error.
func (c *Coro[T]) Await(co *Co) (v T, err error) {
	finished, err := co.await(c.awaitable())
	if finished {
		v = c.value
	}
	return // "return v, err" would be too much to be inlined
}

// result returns what a wait for c returns that was interrupted: err and, if c has finished all the same, its value (R28).
func (c *Coro[T]) result(err error) (v T, _ error) {
	if c.c.hasValue() {
		v = c.value
	}
	return v, err
}

// Value returns the value of a finished coroutine, for instance after [Co.Wait]. It panics if c has not finished, or has finished
// with an error. It may be called from any goroutine.
func (c *Coro[T]) Value() T {
	switch {
	case c == nil || c.c.body == nil:
		panic("tinyio: Value: the coroutine is nil or zero; make it with New")
	case !c.c.hasFinished():
		panic("tinyio: Value: coroutine " + c.c.describe() + " has not finished; await it first")
	case c.c.err != nil:
		panic("tinyio: Value: coroutine " + c.c.describe() + " has no value, it failed: " + c.c.err.Error() +
			"; use Await, which returns the error")
	}
	return c.value
}

// Finished reports whether c has finished, with a value or an error. It may be called from any goroutine.
func (c *Coro[T]) Finished() bool {
	if c == nil || c.c.body == nil {
		panic("tinyio: Finished: the coroutine is nil or zero; make it with New")
	}
	return c.c.hasFinished()
}

// Awaitables returns cs for [Co.Wait], [Co.Spawn] or [WaitAny].
func Awaitables[T any](cs []*Coro[T]) []Awaitable {
	as := make([]Awaitable, len(cs))
	for i, c := range cs {
		as[i] = c
	}
	return as
}

// call calls the function of c.
func (c *Coro[T]) call(co *Co) (err error) {
	fn := c.fn
	c.fn = nil // so that c does not keep what the function refers to in memory
	c.value, err = fn(co)
	return err
}

// skip drops the function, which is not going to be called.
func (c *Coro[T]) skip() { c.fn = nil }

func (c *Coro[T]) comeBack() {
	panic("tinyio: internal error: a coroutine that has a stack comes back without one; please report this")
}

// coroOf returns the Coro of t, which is its first field. The value of t must be a T.
func coroOf[T any](t *task) *Coro[T] { return (*Coro[T])(unsafe.Pointer(t)) }

// Gather waits until all of cs have finished and returns their values, in the order of cs. Fresh ones are started, in that
// order. One may be listed twice; with none, Gather is a [Co.Yield]. Its errors are those of [Coro.Await]; if several of cs had
// failed before, the error is that of the one listed first.
func Gather[T any](co *Co, cs ...*Coro[T]) ([]T, error) {
	c := co.enter("Gather")
	if err := c.refused(co); err != nil {
		return nil, err
	}
	edges := make([]waiter, len(cs))
	for i, t := range cs {
		edges[i].line = t.awaitable().line()
	}
	if err := edgesTo(edges, c, "Gather"); err != nil {
		return nil, err
	}
	err := co.awaitAll(edges)
	values := make([]T, len(cs))
	for i, t := range cs {
		if !t.c.hasFinished() {
			return nil, err
		}
		if t.c.err != nil {
			return nil, cmp.Or(err, t.c.err)
		}
		values[i] = t.value
	}
	return values, err
}
