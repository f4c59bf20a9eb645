package hook

import (
	"context"
	"strconv"
	"sync/atomic"
)

// A Thread is the function of a RunInThread or a Call, also of one in a pool, in the hands of a host. A loop hands it over in the turn of
// the coroutine, in an order that is the same for the same inputs, and waits until it has come back. A host ends it in one of three
// ways: Run and then Return; Replay; Fail. Between Run and Return it may take the result back, with Again. All methods may be called
// from any goroutine. A Goexit of the function ends the goroutine that calls Run, so Return belongs in a deferred function there:
//
//	go func() {
//		defer t.Return()
//		t.Run()
//	}()
type Thread struct {
	name     string
	f        Function // nil when it has returned
	begun    atomic.Bool
	ended    atomic.Bool
	returned atomic.Bool
}

// A Function is what a loop hands over: the loop's side of a [Thread]. Return is called once at most, and Run is not called while Run runs.
type Function interface {
	// Context is what the function is given.
	Context() context.Context
	// Run calls the function, and keeps its result, its panic or its Goexit.
	Run()
	// Result is where the result is kept: a pointer to the value, and the error.
	Result() (value any, err *error)
	// Return brings the result to the loop.
	Return()
}

// NewThread is for loops.
func NewThread(name string, f Function) *Thread { return &Thread{name: name, f: f} }

// Name is the name of the coroutine, or of the function of a Call.
func (t *Thread) Name() string { return t.name }

// Context is the context that the function is given: it has the values of the coroutine that started the thread, and is done when its
// coroutine is stopped. It panics if the thread has returned.
func (t *Thread) Context() context.Context {
	t.mustNotHaveReturned("Context")
	return t.f.Context()
}

// Run calls the function and keeps its result, its panic or its Goexit. It must be called on a goroutine of its own, not in the
// loop's: the function may block. Run does nothing if the thread has begun before.
func (t *Thread) Run() {
	if t.begun.CompareAndSwap(false, true) {
		defer t.ended.Store(true)
		t.f.Run()
	}
}

// Outcome is the result of the function, for a host that records it: a pointer to the value, and the error. A panic or a Goexit
// is such an error too. It panics if the function has not returned, or if the thread has.
func (t *Thread) Outcome() (value any, err error) {
	t.mustHaveEnded("Outcome")
	t.mustNotHaveReturned("Outcome")
	v, e := t.f.Result()
	return v, *e
}

// Again takes back the result of a function that has returned, for a host that tries again what has failed, or that gives the program
// only what it has recorded of the result. The thread is then as it was when it was handed over, and can be ended in any of the three
// ways. Again panics when Outcome does.
func (t *Thread) Again() {
	t.mustHaveEnded("Again")
	t.mustNotHaveReturned("Again")
	t.ended.Store(false)
	t.begun.Store(false)
}

// Return brings the result to the loop. The order of these calls is the order in which the coroutines become ready. A second
// call does nothing. It panics if the function has not returned.
func (t *Thread) Return() {
	t.mustHaveEnded("Return")
	if t.returned.CompareAndSwap(false, true) {
		f := t.f
		t.f = nil // so that a host that keeps the thread does not keep the coroutine
		f.Return()
	}
}

func (t *Thread) mustHaveEnded(op string) {
	if !t.ended.Load() {
		panic("tinyio: Thread." + op + ": the function of " + strconv.Quote(t.name) + " has not returned; call Run first")
	}
}

func (t *Thread) mustNotHaveReturned(op string) {
	if t.returned.Load() {
		panic("tinyio: Thread." + op + ": the result of " + strconv.Quote(t.name) + " has been brought to the loop; call " + op + " before Return")
	}
}

// Replay gives the thread a recorded result, instead of running its function, and brings it to the loop. The function fill is given the
// pointer to the value, as Outcome returns it, fills in the value, and returns the error. Replay does nothing if the thread has begun
// before.
func (t *Thread) Replay(fill func(value any) error) {
	if fill == nil {
		panic("tinyio: Thread.Replay: the function is nil; it gives the result")
	}
	if !t.begun.CompareAndSwap(false, true) {
		return
	}
	defer func() {
		if !t.ended.Load() {
			t.begun.Store(false) // fill has panicked: the thread can be ended in another way
		}
	}()
	v, e := t.f.Result()
	*e = fill(v)
	t.ended.Store(true)
	t.Return()
}

// Fail ends the thread with err, without running its function. It does nothing if the thread has begun before. It panics if err is nil.
func (t *Thread) Fail(err error) {
	if err == nil {
		panic("tinyio: Thread.Fail: the error is nil; a thread that does not fail has to Run")
	}
	t.Replay(func(any) error { return err })
}
