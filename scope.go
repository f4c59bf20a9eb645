package tinyio

import (
	"errors"
	"slices"
)

// A scope is a crash domain: the coroutines of a run, of one Isolate or of one candidate of a First. An error in one of its
// members stops all of them.
type scope struct {
	owner    *task  // waits for the scope in Isolate or First; nil if the scope is the run's
	sibling  *scope // the next scope that the owner waits for, in First
	main     *task  // the coroutine with which the scope began; nil when the scope is empty, or when it has moved to another scope
	first    *task  // the list of live members, in the order in which they joined
	last     *task
	live     int     // how many live members
	daemons  int     // how many of them are daemons
	crash    *reason // set once the scope has crashed: why its members are being stopped
	stopping *reason // the last reason for which all members were cancelled; nil if a member has joined since
	idle     *reason // the reason for which daemons are stopped when only daemons are left
}

// parent returns the scope around s; nil if s is the run's.
func (s *scope) parent() *scope {
	if s.owner == nil {
		return nil
	}
	return s.owner.scope
}

// isIn reports whether s is t or a scope inside t.
func (s *scope) isIn(t *scope) bool {
	for s != nil && s != t {
		s = s.parent()
	}
	return s == t
}

// isStoppedFor reports whether the members of s, or of a scope around it, are being stopped because of why. Some of them may not
// have been cancelled yet.
func (s *scope) isStoppedFor(why *reason) bool {
	for s != nil && s.stopping != why {
		s = s.parent()
	}
	return s != nil
}

func (s *scope) add(c *task) {
	last := s.last
	c.scope, c.before, s.last = s, last, c
	if last != nil {
		last.after = c
	} else {
		s.first = c
	}
	s.live++
	s.stopping = nil
	if c.daemon {
		s.daemons++
	}
}

func (s *scope) remove(c *task) {
	if c.before != nil {
		c.before.after = c.after
	} else {
		s.first = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	} else {
		s.last = c.before
	}
	s.live--
	if c.daemon {
		s.daemons--
	}
	c.scope, c.before, c.after = nil, nil, nil
}

// members ranges over the members of s. The members of a scope inside s come right after the scope's owner.
func (s *scope) members(yield func(*task) bool) {
	s.each(yield)
}

// each is members, and reports whether the range goes on.
func (s *scope) each(yield func(*task) bool) bool {
	for c := s.first; c != nil; c = c.after {
		if !yield(c) {
			return false
		}
		for inner := c.awaitedScopes(); inner != nil; inner = inner.sibling {
			if !inner.each(yield) {
				return false
			}
		}
	}
	return true
}

// awaitedScopes returns the first of the scopes that c waits for; nil if it waits for none. The others are its siblings.
func (c *task) awaitedScopes() *scope {
	if c.state != waiting || c.wait != onScopes {
		return nil
	}
	return c.cold().inner
}

// memberLeft is called when a member of s has finished or moved to another scope. If s is empty, memberLeft tells its owner. If only daemons
// are left, it stops them.
func (r *run) memberLeft(s *scope) {
	switch {
	case s.live == 0:
		if s.owner != nil {
			r.scopeEnded(s)
		}
		s.main = nil // finished members refer to s, and must not keep the first one in memory
	case s.live == s.daemons && s.crash == nil && (s.idle == nil || s.stopping == nil): // and they are not all being stopped
		if s == r.root && r.deferred.n > 0 { // a deferred Post may turn a daemon into an ordinary member
			r.deferred.push(daemonsOnly{})
			return
		}
		r.stopDaemons(s)
	}
}

// stopDaemons stops the members of s, all of which are daemons.
func (r *run) stopDaemons(s *scope) {
	if s.idle == nil {
		s.idle = &reason{err: &CancelledError{Cause: errDaemonsOnly}}
	}
	r.stopScope(s, s.idle)
	r.endWaits()
}

// daemonsOnly is deferred to look again whether the run has only daemons left, and stops them if so.
type daemonsOnly struct{}

func (daemonsOnly) do(r *run) {
	if s := r.root; s.live > 0 && s.live == s.daemons && s.crash == nil {
		r.stopDaemons(s)
	}
}

// errDaemonsOnly is the cause for which daemons are cancelled.
var errDaemonsOnly = errors.New("tinyio: only daemons are left")

// Who has spawned whom is recorded for spare: if a coroutine is spared when its domain is stopped, so is what it has spawned, directly or
// not, even if a coroutine in between has finished. The run's own domain spares nobody, so nothing is recorded for its members.
//
// A kinship stands for a coroutine that has spawned others. It outlives the coroutine for as long as one of these is live. Finished
// coroutines are left out of the chain of parents as it grows, so it is at most one longer than the number of live coroutines.
type kinship struct {
	of     *task    // nil when it has finished
	parent *kinship // of the coroutine that has spawned it
}

// alive returns k, or the nearest of its parents whose coroutine has not finished; nil if there is none.
func (k *kinship) alive() *kinship {
	for k != nil && k.of == nil {
		k = k.parent
	}
	return k
}

// kin returns the kinship of c, which is about to spawn another coroutine. If c has none, kin makes one. For a member of the run's own
// domain it returns nil.
func (c *task) kin() *kinship {
	if c.scope.owner == nil {
		return nil
	}
	a := c.addCold()
	if a.kin == nil {
		a.kin = new(kinship)
		switch starter := a.starter; {
		case starter != nil:
			starter.parent = starter.parent.alive()
			a.kin.parent = starter.alive()
		case c.awaiters.head != nil: // c was not spawned, so its first awaiter has started it
			// Those that wait for any of several may wait for each other, and for themselves. The kinship that this search began with has
			// no coroutine yet: with it as a parent, the parents would make a ring.
			if k := c.awaiters.head.c.kin(); k != nil && k.of != nil {
				a.kin.parent = k
			}
		}
		a.kin.of = c
	}
	return a.kin
}

// spare moves members out of s, which is about to be stopped because of why: those that a coroutine outside waits for and, with
// each of them, what it waits for and what it has spawned. They move to the scope of the first that waits outside.
func (r *run) spare(s *scope, why *reason) {
	var spared []*task        // a work list
	var home map[*task]*scope // where each of them moves to
	add := func(c *task, to *scope) {
		if home[c] == nil && c.stop == nil && c.scope.isIn(s) {
			if home == nil {
				home = map[*task]*scope{}
			}
			home[c] = to
			spared = append(spared, c)
		}
	}
	for m := range s.members {
		for w := m.awaiters.head; w != nil; w = w.next {
			if w.c.isOutside(s, why) {
				add(m, w.c.scope)
				break
			}
		}
	}
	if len(spared) == 0 {
		return
	}
	started := map[*task][]*task{}
	for m := range s.members {
		if k := m.starter().alive(); k != nil {
			started[k.of] = append(started[k.of], m)
		}
	}
	for i := 0; i < len(spared); i++ {
		c := spared[i]
		for t := range c.targets {
			add(t, home[c])
		}
		for _, m := range started[c] {
			to := home[c]
			for to.owner != nil && m.reaches(to.owner) { // the owner of its new scope waits for m, which must not close a cycle
				to = to.parent()
			}
			add(m, to)
		}
	}
	// memberLeft is called when all have moved. Before that, a scope from which more are going to move could look as if only
	// daemons were left in it.
	var left []*scope
	for _, m := range slices.Collect(s.members) {
		// A member of a scope inside s stays in that, if the owner of that moves too.
		if to := home[m]; to != nil && (m.scope == s || home[m.scope.owner] == nil) {
			if from := m.scope; !slices.Contains(left, from) {
				left = append(left, from)
			}
			r.moveTo(m, to, why)
		}
	}
	for _, from := range left {
		r.memberLeft(from)
	}
}

// isOutside reports whether c, which waits for a member of s, is a reason to spare that member: c is not in s, is not being stopped
// because of why, and may wait.
func (c *task) isOutside(s *scope, why *reason) bool {
	return !c.scope.isIn(s) && !c.scope.isStoppedFor(why) && !c.isCancelledFor(why) && c.mayWait()
}

// moveTo moves c, which is spared, to another scope. From then on c is not cancelled for why.
func (r *run) moveTo(c *task, to *scope, why *reason) {
	from := c.scope
	from.remove(c)
	if c == from.main { // the owner of from no longer wants it
		from.main = nil
		c.wanted--
	}
	if pending := c.pendingReasons(); len(pending) > 0 {
		c.cold().pending = slices.DeleteFunc(pending, func(other *reason) bool { return other == why })
	}
	if to.owner != nil {
		r.fitLevel(to.owner, c) // spare has made sure that the edge makes no cycle
	}
	to.add(c)
}
