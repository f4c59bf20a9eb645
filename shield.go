package tinyio

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio/internal/timers"
)

// A shield is one call of Shield. While it is open, it keeps the reasons for which its owner is cancelled away from the owner and
// from the coroutines that were started inside. It closes when its grace has passed, or its function has ended. When its function has ended,
// it is over.
type shield struct {
	owner   *task
	outer   *shield // the shield around it
	open    bool    // it keeps reasons away
	grace   time.Duration
	timer   timers.Timer // the end of the grace; set when there is a reason to keep away
	over    bool         // its function has ended
	handle  *Co          // the Co that its function is given
	members shielded     // the head of the ring of coroutines that were started inside and have not finished
}

// A shielded is an entry of a ring of coroutines that were started inside the same Shield.
type shielded struct {
	next, prev *shielded
	c          *task // nil in the head of the ring
}

// add makes c, which has just been started inside, a member of s.
func (s *shield) add(c *task) {
	m, ring := &c.cold().inside, &s.members
	m.c, m.prev, m.next = c, ring.prev, ring
	m.prev.next, ring.prev = m, m
}

// current returns the innermost of s and the shields around it that is not over; nil if there is none.
func (s *shield) current() *shield {
	for s != nil && s.over {
		s = s.outer
	}
	return s
}

// remove takes m out of its ring.
func (m *shielded) remove() {
	if m.next != nil {
		m.prev.next, m.next.prev = m.next, m.prev
		m.next, m.prev = nil, nil
	}
}

// giveTo moves all members of the ring m to the end of another ring.
func (m *shielded) giveTo(to *shielded) {
	if m.next != m {
		first, last := m.next, m.prev
		first.prev, to.prev.next = to.prev, first
		last.next, to.prev = to, last
		m.next, m.prev = m, m
	}
}

// Shield calls fn with a Co of its own, through which suspension works although the coroutine is cancelled or halted, so
// that clean-up can wait: flush a connection, say goodbye. That lasts for at most grace, counted from the cancellation or from
// the call, whichever comes later. Then fn is cancelled too, at its current wait. Without a cancellation there is no limit.
//
// Coroutines that are first awaited or spawned inside fn are protected, until Shield returns, from what stops the caller. A
// [Timeout] of one of them alone halts it at once. A Shield inside another one protects for as long as either does.
//
// Shield returns what fn returns. Shield itself does not suspend, and fn may use only the Co that it is given.
func (co *Co) Shield(grace time.Duration, fn func(co *Co) error) error {
	c := co.enter("Shield")
	if fn == nil {
		panic("tinyio: Shield: the function is nil, in " + c.describe() + "; pass what is to be protected")
	}
	c.exitIfDiscarded()
	s := &shield{owner: c, outer: c.shield().current(), open: true, grace: grace}
	s.members.next, s.members.prev = &s.members, &s.members
	s.handle = newView(c, s)
	x := co.inherited()
	if c.stop != nil && !co.shield().keepsAway(c, c.stop) {
		c.attempt(1) // otherwise a stopped coroutine could go on for ever, from one Shield to the next
	}
	if c.isStopping() {
		r := c.run()
		s.startGrace(r)
		x = x.during(r.at(s.graceEnd(r)))
	}
	s.handle.view.ctx.Set(x)
	c.addCold().shield = s
	defer s.end()
	return fn(s.handle)
}

// end is called when the function of s has ended. From then on the coroutines that were started inside are inside the shield around s.
func (s *shield) end() {
	c, r := s.owner, s.owner.run()
	if c.isDiscarded() { // no coroutine may act any more
		return
	}
	r.takeIn() // messages that were posted before make coroutines ready first
	c.cold().shield = s.outer
	s.close(r)
	r.endWaits()
	if s.outer = s.outer.current(); s.outer != nil {
		s.members.giveTo(&s.outer.members)
	}
	why := &reason{err: context.Canceled}
	if !c.mayWait() {
		why = c.stop
	}
	s.handle.stop(why)
	s.over, s.owner, s.handle = true, nil, nil // coroutines that were started inside refer to s, which must not keep these in memory
	r.notify()
}

// due closes s when the grace period has passed.
func (s *shield) due(r *run) {
	s.owner.addCold().attempts += shieldsAllowed / attemptsAllowed
	s.close(r)
	r.endWaits()
}

// close closes s, and delivers the reasons that s has kept away to the owner and to the coroutines inside.
func (s *shield) close(r *run) {
	if !s.open {
		return
	}
	s.open = false
	r.unset(&s.timer)
	r.deliverPending(s.owner)
	if s.isCovered() {
		return
	}
	if inner := s.owner.shield(); inner != s.outer { // the grace has passed, and the owner is still inside s
		inner.deliverInside(r, s.owner, s)
	} else {
		s.members.deliverPending(r)
	}
}

// isCovered reports whether the shields around s keep away from the coroutines inside whatever s has kept away. Then nothing has to be
// delivered to these, and they are not visited: otherwise many nested Shields that close would each visit all of them.
func (s *shield) isCovered() bool {
	c := s.owner
	for _, why := range c.pendingReasons() {
		if !s.outer.keepsFromOthers(why) {
			return false
		}
	}
	return c.stop == nil || s.outer.keepsFromOthers(c.stop)
}

// keepsFromOthers reports whether s or a shield around it keeps why away from those coroutines inside that own none of these shields.
func (s *shield) keepsFromOthers(why *reason) bool {
	for ; s != nil; s = s.outer {
		if s.open && s.owner.isCancelledFor(why) {
			return true
		}
	}
	return false
}

// deliverInside delivers pending reasons to the coroutines inside the Shields of owner: from the outermost one, or from first if that is
// not nil, inward to s.
func (s *shield) deliverInside(r *run, owner *task, first *shield) {
	if s == nil || s.owner != owner {
		return
	}
	if s != first {
		s.outer.deliverInside(r, owner, first)
	}
	s.members.deliverPending(r)
}

// deliverPending delivers pending reasons to the members of the ring m, and after each member to the coroutines inside its Shields.
func (m *shielded) deliverPending(r *run) {
	for i := m.next; i != m; i = i.next {
		r.deliverPending(i.c)
		i.c.shield().deliverInside(r, i.c, nil)
	}
}

// startGrace starts the grace period, unless that has begun. It is called when there is a reason to keep away.
func (s *shield) startGrace(r *run) {
	if !s.timer.Set() {
		r.setTimer(&s.timer, r.inSandboxed(s.grace), s)
	}
}

// graceEnd returns when the last of the grace periods that have begun ends, of s and of the shields around it.
func (s *shield) graceEnd(r *run) (end int64) {
	for ; s != nil; s = s.outer {
		if s.open && s.timer.Set() {
			end = max(end, r.timers.When(&s.timer))
		}
	}
	return end
}

// left returns how much longer s, or a shield around it, protects its owner.
func (s *shield) left(r *run) (left time.Duration) {
	for ; s != nil; s = s.outer {
		switch {
		case !s.open:
		case s.timer.Set():
			left = max(left, time.Duration(r.timers.When(&s.timer)-r.now()))
		default:
			left = max(left, s.grace)
		}
	}
	return left
}

// keepsAway reports whether s or a shield around it keeps why away from c.
func (s *shield) keepsAway(c *task, why *reason) bool { return s != nil && s.keeper(c, why) != nil }

// keeper returns the first shield, from s outward, that keeps why away from c; nil if none does.
func (s *shield) keeper(c *task, why *reason) *shield {
	for s != nil && !s.keeps(c, why) {
		s = s.outer
	}
	return s
}

// keeps reports whether s, without those around it, keeps why away from c. If c is not its owner, s does so only if the owner has been
// cancelled for why too: s does not protect c from a Timeout of c alone.
func (s *shield) keeps(c *task, why *reason) bool {
	return s.open && (s.owner == c || s.owner.isCancelledFor(why))
}
