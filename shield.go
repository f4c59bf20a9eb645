package tinyio

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio/internal/publish"
	"github.com/tinyio-go/tinyio/internal/timers"
)

// A shield is one call of Shield. It keeps away from its owner, and from those who were started inside, what its owner is cancelled
// for, until its grace has passed or its function has ended.
type shield struct {
	owner   *task
	outer   *shield // the shield around it
	open    bool    // it keeps things away
	grace   time.Duration
	timer   timers.Timer // set when there is something to keep away: the end of the grace
	over    bool         // its function has ended
	handle  *Co
	of      *Co                        // what WithValues was called of, if this is no Shield but the frame of its handle
	ctx     publish.Pointer[coContext] // of the handle
	members shielded                   // the ring of those who were started inside and have not finished
}

// A shielded is an entry of the ring of those who were started inside the same Shield.
type shielded struct {
	next, prev *shielded
	c          *task // nil in the shield itself
}

// add makes c, which has just been started inside, a member.
func (s *shield) add(c *task) {
	m, ring := &c.cold().inside, &s.members
	m.c, m.prev, m.next = c, ring.prev, ring
	m.prev.next, ring.prev = m, m
}

// current is s, or the first of the shields around it that is not over; nil if there is none.
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

// giveTo moves all members to the end of the ring of another one.
func (m *shielded) giveTo(to *shielded) {
	if m.next != m {
		first, last := m.next, m.prev
		first.prev, to.prev.next = to.prev, first
		last.next, to.prev = to, last
		m.next, m.prev = m, m
	}
}

// Shield runs fn with a Co of its own, through which suspension works although the coroutine is cancelled or halted, so
// that clean-up can wait: flush a connection, say goodbye. That lasts for at most grace, counted from the cancellation or,
// if that came first, from the call. Then fn is cancelled too, at its current wait. Without a cancellation there is no
// limit. Coroutines that are first awaited or spawned inside fn are protected like the caller, from what stops the caller, until
// Shield returns; a [Timeout] of one of them alone halts it at once. Inside another Shield, the protection lasts as long as that
// of either.
//
// The result is that of fn. Shield itself does not suspend, and fn may use only the Co that it is given.
func (co *Co) Shield(grace time.Duration, fn func(co *Co) error) error {
	c := co.enter("Shield")
	if fn == nil {
		panic("tinyio: Shield: the function is nil, in " + c.describe() + "; pass what is to be protected")
	}
	c.exitIfDiscarded()
	s := &shield{owner: c, outer: c.shield().current(), open: true, grace: grace}
	s.members.next, s.members.prev = &s.members, &s.members
	s.handle = &Co{c: c, shield: s}
	s.ctx.Set(co.inherited())
	if c.stop != nil && !co.shield.keepsAway(c, c.stop) {
		c.attempt(1) // or it could go on for ever, from shield to shield
	}
	if c.isStopping() { // if it is not stopped, it is protected by the Shield in which it was started
		s.startGrace(c.run())
	}
	c.addCold().shield = s
	defer s.end()
	return fn(s.handle)
}

// end ends the shield when its function has ended. Those who were started inside are inside the shield around it from now on.
func (s *shield) end() {
	c, r := s.owner, s.owner.run()
	if c.isDiscarded() { // nobody is to hear of anything
		return
	}
	c.cold().shield = s.outer
	s.close(r)
	r.endWaits()
	if s.outer = s.outer.current(); s.outer != nil {
		s.members.giveTo(&s.outer.members)
	}
	why := &reason{err: context.Canceled}
	if c.exposed() {
		why = c.stop
	}
	s.handle.stop(why)
	s.over, s.owner, s.handle = true, nil, nil // those who were started inside keep s, and s is to keep nobody
	r.notify()
}

// due ends the protection when the grace period has passed.
func (s *shield) due(r *run) {
	s.owner.addCold().attempts += shieldsAllowed / attemptsAllowed
	s.close(r)
	r.endWaits()
}

// close ends the protection. What it has kept away is delivered to its owner and those inside.
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
	if d := s.owner.shield(); d != s.outer { // s is still around what its owner does
		d.deliverPending(r, s.owner, s)
	} else {
		s.members.deliverPending(r)
	}
}

// isCovered reports that all that s keeps away from those inside is kept away from them by the Shields around it too. Then nothing is delivered
// to them when it ends; so a nest of Shields does not look at all of them again and again.
func (s *shield) isCovered() bool {
	c := s.owner
	for _, why := range c.pendingReasons() {
		if !s.outer.keepsFromOthers(why) {
			return false
		}
	}
	return c.stop == nil || s.outer.keepsFromOthers(c.stop)
}

// keepsFromOthers reports whether s or a shield around it keeps why away from all those inside that own none of these.
func (s *shield) keepsFromOthers(why *reason) bool {
	for from := why.from.current(); s != nil && s != from; s = s.outer {
		if s.open && s.owner.knows(why) {
			return true
		}
	}
	return false
}

// deliverPending delivers to those inside the Shields of c, from the outermost, which is from if that is not nil, to s, what these have kept
// away from them.
func (s *shield) deliverPending(r *run, c *task, from *shield) {
	if s == nil || s.owner != c {
		return
	}
	if s != from {
		s.outer.deliverPending(r, c, from)
	}
	s.members.deliverPending(r)
}

// deliverPending does that for the members of a ring, and for those in the Shields of each right after it.
func (m *shielded) deliverPending(r *run) {
	for i := m.next; i != m; i = i.next {
		r.deliverPending(i.c)
		i.c.shield().deliverPending(r, i.c, nil)
	}
}

// isHandle reports that co is the handle of a Shield.
func (co *Co) isHandle() bool { return co != &co.c.co }

// retired reports that co was the handle of a Shield and is no longer good.
func (co *Co) retired() bool {
	if co.isView() {
		return co.shield.of.retired()
	}
	return co.isHandle() && co.shield.over
}

// startGrace starts the grace period, the first time that there is something to keep away.
func (s *shield) startGrace(r *run) {
	if !s.timer.Set() {
		r.setTimer(&s.timer, r.inBeside(s.grace), s)
	}
}

// left is how long s, or a shield around it, is going to protect its owner from here on.
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

// keepsAway reports whether s or a shield around it keeps r away from c.
func (s *shield) keepsAway(c *task, why *reason) bool {
	for ; s.mayKeep(c, why); s = s.outer {
		if s.keeps(c, why) {
			return true
		}
	}
	return false
}

// mayKeep reports whether s, and the shields around it, can keep r away from c. What arose inside a Shield of another coroutine, such as
// a Timeout there, is not kept away by that.
func (s *shield) mayKeep(c *task, why *reason) bool {
	return s != nil && !(s == why.from.current() && s.owner != c)
}

// keeps reports whether s keeps r away from c. Somebody else's shield does so if r has come to its owner too: who is halted alone, by
// a Timeout, is not what that shield is there for.
func (s *shield) keeps(c *task, why *reason) bool {
	return s.open && (s.owner == c || s.owner.knows(why))
}
