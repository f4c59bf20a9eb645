package tinyio

import (
	"errors"
	"slices"
)

// A scope is a crash domain: the coroutines of a run, of one Isolate or of one candidate of a First. An error in one of them
// stops all of them.
type scope struct {
	owner    *task  // that waits for it, in Isolate or First; nil if it is the run's
	sibling  *scope // that the owner waits for as well, in First
	main     *task  // its first, which is wanted; nil when it is empty, or that one belongs elsewhere
	first    *task  // its live members, in the order in which they came
	last     *task
	live     int
	daemons  int     // how many of them are daemons
	crash    *reason // why its members are being stopped, if it has crashed
	stopping *reason // for what all its members were cancelled last; nil if somebody has joined since
	idle     *reason // for what its daemons are stopped when nothing else is left
}

// parent is the scope around s; nil of that of a run.
func (s *scope) parent() *scope {
	if s.owner == nil {
		return nil
	}
	return s.owner.scope
}

// isIn reports whether s is t, or inside it.
func (s *scope) isIn(t *scope) bool {
	for s != nil && s != t {
		s = s.parent()
	}
	return s == t
}

// isStoppedFor reports whether the members of s, or of a scope around it, are being stopped because of r. Some may not have heard of it yet.
func (s *scope) isStoppedFor(why *reason) bool {
	for s != nil && s.stopping != why {
		s = s.parent()
	}
	return s != nil
}

func (s *scope) add(c *task) {
	c.scope, c.before = s, s.last
	if s.last != nil {
		s.last.after = c
	} else {
		s.first = c
	}
	s.last = c
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
	c.before, c.after = nil, nil
	s.live--
	if c.daemon {
		s.daemons--
	}
}

// members ranges over the members of s, and of the scopes inside it, each after the coroutine that it belongs to.
func (s *scope) members(yield func(*task) bool) {
	s.each(yield)
}

func (s *scope) each(yield func(*task) bool) bool {
	for c := s.first; c != nil; c = c.after {
		if !yield(c) {
			return false
		}
		for inner := c.isolates(); inner != nil; inner = inner.sibling {
			if !inner.each(yield) {
				return false
			}
		}
	}
	return true
}

// isolates is the first of the scopes that c waits for.
func (c *task) isolates() *scope {
	if c.state != waiting || c.wait != onScopes {
		return nil
	}
	return c.cold().inner
}

// lost deals with that s has one member fewer. The last one of an Isolate wakes who waits for it; and daemons do not outlive the
// others.
func (r *run) lost(s *scope) {
	switch {
	case s.live == 0:
		if s.owner != nil {
			r.scopeEnded(s)
		}
		s.main = nil // which whoever keeps another member of s would keep
	case s.live == s.daemons && s.crash == nil && (s.idle == nil || s.stopping == nil):
		if s == r.root && r.deferred.n > 0 { // what has been posted may make one of them more than a daemon
			r.deferred.push(daemonsOnly{})
			return
		}
		r.stopDaemons(s)
	}
}

// stopDaemons stops the members of s, which are daemons.
func (r *run) stopDaemons(s *scope) {
	if s.idle == nil {
		s.idle = &reason{err: &CancelledError{Cause: errDaemonsOnly}}
	}
	r.stopScope(s, s.idle)
	r.endWaits()
}

// daemonsOnly stops the daemons of a run if nothing else is left.
type daemonsOnly struct{}

func (daemonsOnly) do(r *run) {
	if s := r.root; s.live > 0 && s.live == s.daemons && s.crash == nil {
		r.stopDaemons(s)
	}
}

// errDaemonsOnly is what daemons are stopped for.
var errDaemonsOnly = errors.New("tinyio: only daemons are left")

// Who has spawned whom is known inside a scope that is not a run's: if a coroutine is spared when its domain is stopped, so is what it
// has started, and what that has, whether or not that has finished meanwhile.

// A kinship stands for a coroutine that has started others. Finished ones are left out of the chain as it grows, so that it is as
// long as there are live ones, and one more.
type kinship struct {
	of     *task // nil when it has finished
	parent *kinship
}

// alive is k, or the next of its parents that has not finished.
func (k *kinship) alive() *kinship {
	for k != nil && k.of == nil {
		k = k.parent
	}
	return k
}

// kin is the kinship of c, which starts another one.
func (c *task) kin() *kinship {
	if c.scope.owner == nil {
		return nil
	}
	a := c.addCold()
	if a.kin == nil {
		a.kin = &kinship{of: c}
		switch starter := a.starter; {
		case starter != nil:
			starter.parent = starter.parent.alive()
			a.kin.parent = starter.alive()
		case c.awaiters.head != nil: // who has started it waits for it
			a.kin.parent = c.awaiters.head.c.kin()
		}
	}
	return a.kin
}

// spare moves those members of s, which is about to be stopped because of r, out of it for whom somebody outside waits, and with
// them what they wait for and what they have started. They belong from then on to the domain of the first who waits.
func (r *run) spare(s *scope, why *reason) {
	var spared []*task // a work list
	var home map[*task]*scope
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
			for to.owner != nil && m.reaches(to.owner) { // or the two would wait for each other
				to = to.parent()
			}
			add(m, to)
		}
	}
	var left []*scope // that have lost members: looked at when all have moved, or those yet to move could be taken for daemons alone
	for _, m := range slices.Collect(s.members) {
		if to := home[m]; to != nil && (m.scope == s || home[m.scope.owner] == nil) {
			if from := m.scope; !slices.Contains(left, from) {
				left = append(left, from)
			}
			r.moveTo(m, to, why)
		}
	}
	for _, from := range left {
		r.lost(from)
	}
}

// isOutside reports whether c, which waits for a member of s, is neither in s nor itself stopped because of r or before.
func (c *task) isOutside(s *scope, why *reason) bool {
	return !c.scope.isIn(s) && !c.scope.isStoppedFor(why) && !c.knows(why) && !c.exposed()
}

// reaches reports whether c waits for t, directly or not.
func (c *task) reaches(t *task) bool {
	seen := map[*task]bool{c: true}
	for work := []*task{c}; len(work) > 0; work = work[1:] {
		if work[0] == t {
			return true
		}
		for u := range work[0].targets {
			if !seen[u] {
				seen[u] = true
				work = append(work, u)
			}
		}
	}
	return false
}

// moveTo makes c a member of another scope. It need not stop because of r any more.
func (r *run) moveTo(c *task, to *scope, why *reason) {
	from := c.scope
	from.remove(c)
	if c == from.main { // whoever waits for from does not want it any more
		from.main = nil
		c.wanted--
	}
	if pending := c.pendingReasons(); len(pending) > 0 {
		c.cold().pending = slices.DeleteFunc(pending, func(other *reason) bool { return other == why })
	}
	if to.owner != nil {
		r.edgeCloses(to.owner, c) // it does not (see spare), but the levels have to fit the edge
	}
	to.add(c)
}
