package tinyio

// Isolate runs c as a crash domain of its own: c and all that is first awaited or spawned inside it. It returns the value of c when
// everything inside has finished. If something inside fails, everything inside is cancelled, and nothing else; Isolate waits
// until all of it has stopped and returns the failure, as [Run] would have returned it. A panic is such a failure: it is handed back as
// a [*PanicError].
//
// What somebody outside waits for is spared when the domain is stopped: it carries on, with what it waits for and what it has
// started, and belongs from then on to the domain of the first who waits.
//
// When the caller is stopped, so is everything inside, and Isolate returns the caller's own error when that has
// stopped, unless something inside had failed. That error is sticky: every later wait returns it as well. So co.Err() != nil tells that
// an error, whichever, is no reason to try again.
//
// A coroutine that has been started already belongs to the domain in which that was; isolating it is awaiting it. A coroutine may be
// awaited inside that was started outside.
func Isolate[T any](co *Co, c *Coro[T]) (T, error) {
	var zero T
	caller := co.enter("Isolate")
	if err := co.refused(); err != nil {
		return zero, err
	}
	if err := caller.check("Isolate", c); err != nil {
		return zero, err
	}
	r := caller.run()
	if !c.c.finished.Load() {
		if err := c.c.claim(r.loop); err != nil {
			return zero, err
		}
	}
	if c.c.state != fresh {
		if err := co.await("Isolate", &c.c); err != nil {
			return c.result(err)
		}
		return c.value, c.c.pastError()
	}
	s := &scope{owner: caller, main: &c.c}
	err := co.isolate(s)
	if failed := s.report(r.loop.mode); failed != nil {
		return zero, failed
	}
	if err == nil {
		return c.value, c.c.err // nothing failed, but it may have been cancelled by somebody
	}
	return c.result(err)
}

// isolate runs the first coroutines of scopes, and waits until all scopes are empty.
func (co *Co) isolate(scopes *scope) error {
	c := co.c
	c.addCold().inner = scopes
	co.hand(c.run())
	err := co.suspendWidely(onScopes)
	c.cold().inner = nil
	return err
}

// enclose begins the scopes that c is going to wait for.
func (r *run) enclose(c *task) {
	c.unmet = 0
	for s := c.cold().inner; s != nil; s = s.sibling {
		c.unmet++
	}
	for s := c.cold().inner; s != nil; s = s.sibling {
		r.begin(s, s.main, c)
	}
}

// begin starts c as the first coroutine of s, on behalf of starter, if there is one.
func (r *run) begin(s *scope, c, starter *task) {
	s.main = c
	c.wanted++ // by whoever waits for s
	r.startIn(c, s, starter)
}

// scopeEnded wakes who waits for s, which has become empty, if that was the last of those that it waits for.
func (r *run) scopeEnded(s *scope) {
	r.settleRace(s)
	c := s.owner
	s.owner = nil
	if c.unmet--; c.unmet == 0 {
		r.wake(c)
	}
}

// memberTasks goes through the members of the scopes that c waits for.
func memberTasks(c *task) cursor { return cursor{scope: c.cold().inner} }
