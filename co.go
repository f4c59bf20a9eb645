package tinyio

import (
	"runtime"
	"time"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// A Co is the handle of the running coroutine. A coroutine's function is given its Co and waits through it. The methods that
// wait, and the functions of this package that take a Co, suspend the coroutine and let others run. If the coroutine is
// cancelled or halted, they return an error (a [*CancelledError], a [*TimeoutError]). From then on they return it at once, every
// time, except inside [Co.Shield]. Return this error: a coroutine that asks to suspend a hundred times more is
// unwound as if it had called [runtime.Goexit], and reported.
//
// A Co is also a [context.Context], for libraries that take one. It is done when the coroutine is cancelled or halted, or has
// finished, and [context.Cause] returns the reason. The methods of a context may be called from any goroutine. All other methods
// are for the coroutine's own function: they panic on another goroutine, in another coroutine, or when the coroutine has finished.
type Co struct {
	c    *task
	view *view // of a Co that Shield or WithValues has made; nil in the coroutine's original one
}

// enter checks that co is used by its own coroutine, in its turn. It returns the coroutine, or panics.
func (co *Co) enter(op string) *task {
	g := stack.ID() // first, since a call later would spill registers
	if co == nil || co.c == nil {
		return co.check(op)
	}
	c := co.c
	if c.g.Load() != g || c.state != running || co.view != nil {
		return co.check(op)
	}
	return c
}

// isCaller reports whether the calling goroutine is that of c, which has begun and not finished. It may be called from any goroutine.
func (c *task) isCaller() bool {
	g := stack.ID()
	if g == 0 { // goroutines cannot be told apart here; a thread is at least not on a loop
		return isOnLoop()
	}
	return c.g.Load() == g && !c.hasFinished()
}

// check is enter without its short way: for a Co of Shield or WithValues, and for one that is used wrongly.
func (co *Co) check(op string) *task {
	if co == nil {
		panic("tinyio: " + op + ": the Co is nil; use the one that the coroutine's function is given")
	}
	c := co.c
	switch {
	case c == nil:
		panic("tinyio: " + op + ": the Co is zero; use the one that the coroutine's function is given")
	case c.g.Load() == stack.ID() && c.state == running && !co.retired():
		return c
	}
	panic("tinyio: " + op + ": the Co of coroutine " + co.c.describe() + " was used outside its own coroutine; " +
		"each function must use the Co that it was given, on the goroutine that called it, until it returns")
}

// How much a stopped coroutine may try to go on before it is unwound (R11): it may ask to suspend a hundred times, or let the grace
// of a hundred Shields pass, or call Shield ten thousand times. Clean-up that ignores a few errors is within these limits; a loop that
// retries for ever is not.
const (
	attemptsAllowed = 100
	shieldsAllowed  = 10_000
)

// refused returns the error with which a wait through co is refused, since c is being stopped; nil if c may wait. A refused wait is an
// attempt to go on.
func (c *task) refused(co *Co) error {
	if c.stop == nil {
		return nil
	}
	return co.refusal()
}

func (co *Co) refusal() error {
	err := co.stopError()
	if err != nil {
		co.c.attempt(shieldsAllowed / attemptsAllowed)
	}
	return err
}

// attempt counts that c, which is stopped, tries to go on, and unwinds it after too many attempts. It uses Goexit, because that runs
// the deferred functions and cannot be recovered from.
func (c *task) attempt(weight int) {
	a := c.addCold()
	if a.attempts += weight; a.attempts > shieldsAllowed {
		runtime.Goexit()
	}
}

// suspend gives the turn away, which endTurn has ended, and returns when it is the turn of the coroutine again. Where that is to be fast, the
// caller does the same itself: each function that has to return after a switch costs as much as ten others (see [stack.Slot.Switch]).
func (co *Co) suspend() error {
	r := co.c.run()
	if p := r.leave(co.c); p != nil {
		p.Switch()
		r.sendOn(co.c)
	}
	return co.resumed(r)
}

// suspendForTurn makes the coroutine wait for a turn alone.
func (co *Co) suspendForTurn() error {
	r := co.c.run()
	r.endTurn(co.c, onTurn)
	r.makeReady(co.c)
	return co.suspend()
}

// suspendWidely makes the coroutine wait, for a kind of wait whose begin takes much stack. The run loop calls begin, mostly on another
// stack: so that of the coroutine does not grow.
func (co *Co) suspendWidely(w waitKind) error {
	r := co.c.run()
	r.endTurn(co.c, w)
	r.unsettled = co.c
	if p := r.handBack(co.c); p != nil {
		p.Switch()
		r.sendOn(co.c)
	}
	return co.resumed(r)
}

// resumed is called when the turn of the coroutine begins. It returns the error of the wait, if the coroutine is being stopped.
func (co *Co) resumed(r *run) error {
	if r.watch == nil && co.c.stop == nil {
		return nil
	}
	return co.resumedSeen(r)
}

func (co *Co) resumedSeen(r *run) error {
	r.notify()
	if co.c.stop == nil {
		return nil
	}
	return co.stopError()
}

// stopError returns the error of a wait through co, for a coroutine that is being stopped; nil if a Shield keeps the reason away.
func (co *Co) stopError() error {
	c := co.c
	c.exitIfDiscarded()
	if co.shield().keepsAway(c, c.stop) {
		return nil
	}
	return c.stop.err
}

// Yield lets every other coroutine that is ready have its turn.
func (co *Co) Yield() error { return co.yield() }

// yield is Yield, which can be inlined.
func (co *Co) yield() error {
	c := co.enter("Yield")
	if err := c.refused(co); err != nil {
		return err
	}
	r := c.run()
	if r.quiet() {
		return nil
	}
	r.endTurn(c, onTurn)
	r.makeReady(c)
	if p := r.leave(c); p != nil { // suspend
		p.Switch()
		r.sendOn(c)
	}
	return co.resumed(r)
}

// Sleep suspends the coroutine for d; others run meanwhile. With d zero or negative it is a Yield.
func (co *Co) Sleep(d time.Duration) error {
	if d <= 0 {
		return co.Yield()
	}
	c := co.enter("Sleep")
	if err := c.refused(co); err != nil {
		return err
	}
	c.setLimit(d)
	r := c.run()
	r.endTurn(c, onTimer)
	if p := r.leave(c); p != nil { // suspend
		p.Switch()
		r.sendOn(c)
	}
	return co.resumed(r)
}

// Spawn starts cs, in that order, without waiting for them: they go to the back of the ready queue and the caller behind
// them. One that has started already is not started again, but from now on it carries on even if all that await
// it are halted (see [Timeout]). [Run] waits for spawned coroutines, and an error in one crashes the loop like any other.
func (co *Co) Spawn(cs ...Awaitable) error { return co.spawn("Spawn", cs, false) }

// SpawnDaemon is [Co.Spawn] for coroutines that only serve others, such as a heartbeat. A daemon does not keep its run, or its
// [Isolate], going, and what only daemons have started is a daemon too. When only daemons are left, they are stopped, children first,
// and the run or the Isolate ends as it would have without them. An error of a daemon crashes the domain like any other.
func (co *Co) SpawnDaemon(cs ...Awaitable) error { return co.spawn("SpawnDaemon", cs, true) }

func (co *Co) spawn(op string, cs []Awaitable, daemons bool) error {
	c := co.enter(op)
	if err := c.refused(co); err != nil {
		return err
	}
	r := c.run()
	for _, a := range cs {
		if err := c.check(op, a); err != nil {
			return err
		}
	}
	for i, a := range cs {
		if t := a.awaitable(); !t.hasFinished() {
			if err := t.claim(r.loop); err != nil {
				for _, a := range cs[:i] {
					a.awaitable().unclaim(r.loop)
				}
				return err
			}
		}
	}
	r.endTurn(c, onTurn)
	r.asked.inheritFrom(co)
	r.spawn(c, cs, daemons)
	r.asked.clear()
	r.makeReady(c) // behind those
	return co.suspend()
}

// Go makes a coroutine of fn and spawns it, as [Co.Spawn] would, without suspending: the caller goes on, and the new coroutine
// goes to the back of the ready queue. If the caller is being stopped, fn never runs: when Go returns, the coroutine has
// finished, with the caller's error.
func (co *Co) Go(fn func(co *Co) error) *Coro[Void] {
	c := Do(fn)
	co.launch("Go", &c.c)
	return c
}

// Go is [Co.Go] for a function with a value.
func Go[T any](co *Co, fn func(co *Co) (T, error)) *Coro[T] {
	c := New(fn)
	co.launch("Go", &c.c)
	return c
}

// launch starts t, which is fresh, without suspending.
func (co *Co) launch(op string, t *task) {
	c := co.enter(op)
	r := c.run()
	t.tryClaim(r.loop)
	if err := c.refused(co); err != nil {
		t.refuse(err)
		return
	}
	r.asked.inheritFrom(co)
	r.takeIn() // what has come before
	r.spawnOne(c, t)
	r.asked.clear()
	r.notify()
}

// refuse finishes t, which is fresh and is never going to run, with err.
func (t *task) refuse(err error) {
	t.outcome, t.err, t.clean, t.state = returned, err, true, done
	t.body.skip()
	t.phase.Set(finished)
	t.loop.Set(noLoop)
}

// Wait is [Gather] for coroutines of different types: it waits until all of cs have finished. After that, [Coro.Value] returns
// their values.
func (co *Co) Wait(cs ...Awaitable) error {
	c := co.enter("Wait")
	if err := c.refused(co); err != nil {
		return err
	}
	edges := make([]waiter, len(cs))
	for i, a := range cs {
		edges[i].line = target(a).line()
	}
	if err := edgesTo(edges, c, "Wait"); err != nil {
		return err
	}
	if err := co.awaitAll(edges); err != nil {
		return err
	}
	for _, a := range cs {
		if err := a.awaitable().err; err != nil {
			return err
		}
	}
	return nil
}

// Now returns the time on the loop's clock. It does not suspend.
func (co *Co) Now() time.Time {
	return co.enter("Now").run().clock.Now()
}

// Name returns the name of the coroutine: the one given to [Coro.Named], or that of its function.
func (co *Co) Name() string {
	return co.enter("Name").label()
}
