package tinyio

import "runtime"

// discard ends r for a host, without letting its coroutines act any more.
//
// It does not use the functions of cancel.go, since these make coroutines ready. Instead it first removes every coroutine from the
// lines that it stands in, so that what deferred functions do with events and queues reaches nobody. Then it switches to each
// parked goroutine, which finds that it has to exit. The coroutines are marked as done when all are unwound.
func (r *run) discard() {
	if r.ended {
		return
	}
	if r.running != nil || r.watch != nil && r.watch.silent {
		panic("tinyio: Discard: called during a step of the run; the host must call it between two steps")
	}
	r.hosted = true
	r.loop.inbox.awake()
	if r.watch != nil {
		r.watch.reset()
		r.watch = nil
	}
	var all []*task
	for c := range r.root.members {
		all = append(all, c)
	}
	why := &reason{err: errDiscarded}
	for _, c := range all {
		for edges, i := c.edges(), 0; i < len(edges); i++ {
			edges[i].remove() // or a deferred function could grant it what it stands in line for
		}
		c.stop = why
		c.co.stop(why)
		for s := c.shield(); s != nil && s.owner == c; s = s.outer {
			s.handle.stop(why)
		}
	}
	r.root.crash = why
	r.loop.stopping.Store(why)
	var first *PanicError
	for i := len(all) - 1; i >= 0; i-- {
		c := all[i]
		if c.slot == nil {
			continue
		}
		r.running, c.state = c, running
		r.switchTo(&r.driver, c.slot)
		for r.turnSlot() != r.driver {
			r.switchToTurn(&r.driver)
		}
		r.running, r.unsettled = nil, nil
		if p, ok := c.err.(*PanicError); ok && c.outcome == panicked && first == nil {
			first = p
		}
	}
	for _, c := range all {
		c.state = done
		c.loop.Set(noLoop)
		c.co.end()
		c.body.skip()
		c.release()
		c.scope, c.before, c.after = nil, nil, nil
	}
	r.loop.counters.live.Set(0)
	r.shut()
	r.deferred = ring[deferred]{}
	r.end(ErrAbandoned)
	if first != nil {
		panic(first)
	}
}

// errDiscarded is the error of the reason for which the coroutines of a discarded run are stopped. No coroutine sees it, for their
// waits exit instead of returning it.
var errDiscarded error = &CancelledError{Cause: ErrAbandoned}

// isDiscarded reports that r is being discarded.
func (r *run) isDiscarded() bool { return r.root.crash != nil && r.root.crash.err == errDiscarded }

func (c *task) isDiscarded() bool { return c.stop != nil && c.stop.err == errDiscarded }

// exitIfDiscarded unwinds c, which is about to wait or to start something, if its run is being discarded.
func (c *task) exitIfDiscarded() {
	if c.isDiscarded() {
		runtime.Goexit()
	}
}
