package tinyio

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio/internal/timers"
)

// A shield is one call of Shield.
type shield struct {
	owner   *coroutine
	outer   *shield // the shield around it
	open    bool    // it protects
	over    bool    // its function has ended
	grace   time.Duration
	until   int64     // when it is over, on the loop's clock, if there is something to keep away
	kept    []*reason // what has come to its owner, which it keeps away from those inside too
	timer   timers.Timer
	handle  *Co
	ctx     atomic.Pointer[coContext] // of the handle
	members member                    // the ends of the list of those that were started inside and have not finished
}

// A member is a coroutine in the list of the innermost open shield inside which it was started. The list is a ring that goes
// through the shield, so that it can be moved to the shield around that one at no cost, and a member can leave it without
// knowing whose it is.
type member struct {
	c          *coroutine
	next, prev *member
}

// add puts m, which is about to start inside s, into its list.
func (s *shield) add(m *coroutine) {
	end := s.ends()
	p := &member{m, end, end.prev}
	p.prev.next, end.prev = p, p
	m.annex().member = p
}

// ends returns the ends of the list of s.
func (s *shield) ends() *member {
	if s.members.next == nil {
		s.members.next, s.members.prev = &s.members, &s.members
	}
	return &s.members
}

// leave takes m out of its list.
func (m *member) leave() { m.prev.next, m.next.prev = m.next, m.prev }

// moveTo puts the members of s behind those of t.
func (s *shield) moveTo(t *shield) {
	from, to := s.ends(), t.ends()
	if from.next == from {
		return
	}
	to.prev.next, from.next.prev = from.next, to.prev
	from.prev.next, to.prev = to, from.prev
	from.next, from.prev = from, from
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
	s := &shield{owner: c, outer: c.shelter(), open: true, grace: grace}
	s.handle = &Co{c: c, shield: s}
	if c.stopped {
		if !co.shield.protects(c, c.why) {
			c.attempt(1) // or it could go on for ever, from shield to shield
		}
		c.doomed = false
	}
	if c.isStopping() { // if it is not stopped, it is protected by the Shield in which it was started
		s.keepAway(c.loop.Load(), c.told())
	}
	c.more().shelter = s
	defer s.leave()
	return fn(s.handle)
}

// leave ends the shield when its function has ended. Who was started inside may live on, and keeps it: it keeps nothing in turn.
func (s *shield) leave() {
	c := s.owner
	c.annex().shelter = s.outer
	s.close(c.loop.Load())
	s.over = true
	s.handle.stop(&reason{cause: context.Canceled})
	s.owner, s.handle, s.kept = nil, nil, nil
	for s.outer != nil && s.outer.over {
		s.outer = s.outer.outer
	}
}

// retired reports that co was the handle of a Shield and is no longer good.
func (co *Co) retired() bool { return co.isHandle() && co.shield.over }

// isHandle reports that co is the handle of a Shield.
func (co *Co) isHandle() bool { return co != &co.c.co }

// close ends the protection. What it kept away comes over those that were started inside.
func (s *shield) close(l *Loop) {
	if !s.open {
		return
	}
	s.open = false
	l.timers.Remove(&s.timer)
	if !s.relieved() {
		for m := s.ends().next; m != &s.members; m = m.next {
			l.doomAtLast(m.c)
		}
	}
	if around := s.outer.stillOpen(); around != nil {
		s.moveTo(around)
	}
	if len(s.kept) > 0 && !s.outer.protects(s.owner, s.kept[0]) {
		s.handle.stop(s.kept[0])
	}
	l.endWaits()
}

// relieved reports that all that s has kept away from its members is kept away from them by the shields around it too.
func (s *shield) relieved() bool {
	for _, why := range s.kept {
		if !s.outer.protectsAll(why) {
			return false
		}
	}
	return true
}

// doomAtLast lets come over c what a shield has kept away from it.
func (l *Loop) doomAtLast(c *coroutine) {
	if c.isStopping() {
		l.doom(c, nil) // for the reason that it was told
	}
}

// stillOpen is s, or the innermost of the shields around it that is open; nil if there is none.
func (s *shield) stillOpen() *shield {
	for s != nil && !s.open {
		s = s.outer
	}
	return s
}

// keepAway starts the grace period, the first time that there is something to keep away from the owner.
func (s *shield) keepAway(l *Loop, why *reason) {
	if len(s.kept) == 0 {
		s.until = l.in(s.grace)
		l.setTimer(&s.timer, s.grace, s)
	}
	if !slices.Contains(s.kept, why) {
		s.kept = append(s.kept, why)
	}
}

// left is how long s, or a shield around it, is going to protect its owner from here on.
func (s *shield) left(l *Loop) (left time.Duration) {
	for ; s != nil; s = s.outer {
		switch {
		case !s.open:
		case len(s.kept) == 0:
			left = max(left, s.grace)
		default:
			left = max(left, time.Duration(s.until-l.now()))
		}
	}
	return left
}

// due ends the protection when the grace period has passed.
func (s *shield) due(l *Loop) {
	s.close(l)
	s.owner.more().attempts += shieldsAllowed / attemptsAllowed
	l.doomAtLast(s.owner)
	l.endWaits()
}

// protects reports whether s or a shield around it keeps why away from c. A cancellation that comes from inside a shield, such as
// that of a Timeout there, is not kept away by it.
func (s *shield) protects(c *coroutine, why *reason) bool {
	for ; s != nil && !why.aroseInside(s); s = s.outer {
		if s.keeps(c, why) {
			return true
		}
	}
	return false
}

// protectsAll reports whether s or a shield around it keeps why away from everybody inside.
func (s *shield) protectsAll(why *reason) bool {
	for ; s != nil && !why.aroseInside(s); s = s.outer {
		if s.open && s.keepsFromOthers(why) {
			return true
		}
	}
	return false
}

// keeps reports whether s keeps why away from c. Somebody else's shield does so if why has come to its owner too, as a crash
// always does: who is halted alone, by a Timeout, is not what that shield is there for.
func (s *shield) keeps(c *coroutine, why *reason) bool {
	return s.open && (s.owner == c || s.keepsFromOthers(why))
}

// keepsFromOthers reports whether s, which is open, keeps why away from those who are not its owner.
func (s *shield) keepsFromOthers(why *reason) bool { return why.crash || slices.Contains(s.kept, why) }
