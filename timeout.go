package tinyio

import "time"

// Timeout is [Coro.Await] for at most d. When that has passed and c has not finished, c is halted: its current wait ends with
// a [*TimeoutError], and every later one, so that it can clean up. Timeout returns when c has stopped, with that error; or
// with c's value, if c finished with a nil error all the same. An error of its own crashes the loop, as everywhere. If d is not
// positive, a fresh c never runs.
//
// With c, the coroutines are halted that only c was waiting for, and so on, and they first; those that anybody else
// waits for, or that were spawned, carry on. If somebody else waits for c itself, or it was spawned, Timeout
// gives up waiting and c carries on.
func Timeout[T any](co *Co, c *Coro[T], d time.Duration) (T, error) {
	var zero T
	caller := co.enter("Timeout")
	if err := co.refused(); err != nil {
		return zero, err
	}
	if err := caller.edgeTo(&caller.one[0], "Timeout", c.awaitable()); err != nil {
		return zero, err
	}
	asked := &caller.loop.Load().asked
	asked.pause, asked.limited = d, true
	caller.more().limit = d
	err := co.awaitEdges()
	switch {
	case err == nil:
		return c.value, c.c.err
	case caller.stopped && err == caller.why.err:
	case c.c.finished.Load() && c.c.err == nil:
		return c.value, nil
	}
	return zero, err
}

// due ends the wait of c because its time has come.
func (c *coroutine) due(l *Loop) {
	switch c.wait {
	case onEvent:
		c.one[0].leave()
		c.answer = outOfTime
	case onCoroutine:
		if l.giveUp(c) {
			return
		}
	}
	l.makeReady(c)
}

// giveUp ends the wait of c for a coroutine. If nobody else wants that one, it is halted, and c waits on until it has stopped.
func (l *Loop) giveUp(c *coroutine) (halting bool) {
	e := &c.one[0]
	t := e.line.owner
	timeout := &TimeoutError{After: c.annex().limit}
	c.err = timeout
	if !c.gaveUp {
		c.gaveUp = true
		t.wanted--
	}
	if t.wanted == 0 {
		l.halt(t, &reason{err: timeout, cause: timeout, from: c.shelter()})
	}
	if t.state == done {
		return true // it had not begun, and c has been woken
	}
	if t.wanted == 0 || t.isStopping() {
		return true
	}
	e.leave()
	return false
}
