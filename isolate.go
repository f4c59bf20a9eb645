package tinyio

// Isolate runs c as a crash domain of its own: c and all that is first awaited or spawned inside it. It returns the value of c
// when everything inside has finished. If something inside fails, everything inside is cancelled, and nothing else; Isolate
// waits until all of it has stopped and returns the failure, as [Run] would have returned it. A panic is such a failure, and
// is returned as a [*PanicError].
//
// When the domain is stopped, what somebody outside waits for is spared: it carries on, with what it waits for and what it has
// spawned, and belongs from then on to the domain of the first who waits.
//
// When the caller is stopped, so is everything inside. Isolate then waits until that has stopped and returns the caller's own
// error, unless something inside had failed before. Every later wait of the caller returns its own error as well. So a loop that
// tries again has to end if co.Err() != nil.
//
// If c has been started before, it belongs to the domain in which it was started, and Isolate is [Coro.Await]. What runs inside
// may await coroutines that were started outside.
func Isolate[T any](co *Co, c *Coro[T]) (T, error) {
	var zero T
	caller := co.enter("Isolate")
	if err := caller.refused(co); err != nil {
		return zero, err
	}
	if err := caller.check("Isolate", c); err != nil {
		return zero, err
	}
	r := caller.run()
	if !c.c.hasFinished() {
		if err := c.c.claim(r.loop); err != nil {
			return zero, err
		}
	}
	if c.c.state != fresh {
		return c.Await(co)
	}
	s := &scope{owner: caller, main: &c.c}
	c.c.scope = s
	err := co.isolate(s)
	if failed := s.report(r.loop.mode); failed != nil {
		return zero, failed
	}
	if err == nil {
		return c.value, c.c.err // nothing failed, but somebody may have called Cancel on it
	}
	return c.result(err)
}

// isolate begins scopes and its siblings, each with its main coroutine, and waits until all are empty.
func (co *Co) isolate(scopes *scope) error {
	c := co.c
	c.addCold().inner = scopes
	c.run().asked.inheritFrom(co)
	err := co.suspendWidely(onScopes)
	c.cold().inner = nil
	return err
}

// beginScopes begins the scopes that c has asked for, and makes c wait for them.
func (r *run) beginScopes(c *task) {
	c.unmet = 0
	for s := c.cold().inner; s != nil; s = s.sibling {
		c.unmet++
	}
	for s := c.cold().inner; s != nil; s = s.sibling {
		r.startMain(s, s.main, c)
	}
}

// startMain starts c as the first coroutine of s, on behalf of starter, if there is one.
func (r *run) startMain(s *scope, c, starter *task) {
	s.main = c
	if s.owner != nil {
		c.level = max(c.level, s.owner.level)
	}
	c.wanted++ // by the owner of s, or by the run
	r.start(c, s, starter)
}

// scopeEnded is called when s has become empty. It wakes the owner of s if that waits for no other scope.
func (r *run) scopeEnded(s *scope) {
	r.settleRace(s)
	c := s.owner
	s.owner = nil
	if c.unmet--; c.unmet == 0 {
		r.wake(c)
	}
}

// memberTargets returns a cursor over the members of the scopes that c waits for.
func memberTargets(c *task) cursor { return cursor{scope: c.cold().inner} }
