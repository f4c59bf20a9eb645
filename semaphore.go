package tinyio

import "strconv"

// A Semaphore hands out a number of permits to coroutines of a loop. Make one with [NewSemaphore].
//
// A released permit goes at once to the first who waits for one: nobody can get in between.
type Semaphore struct {
	permits permits
	n       int
}

// NewSemaphore returns a semaphore with n permits. It panics if n is not positive.
func NewSemaphore(n int) *Semaphore {
	if n <= 0 {
		panic("tinyio: NewSemaphore: the number of permits must be at least 1, or nobody could ever acquire one")
	}
	return &Semaphore{n: n}
}

// Acquire takes a permit. It suspends if none is free; and every 64th time in one turn that an Acquire, a Put or a Get does not have
// to wait. Those who wait are served in order. If it returns an error, no permit was taken.
func (s *Semaphore) Acquire(co *Co) error {
	s.checkN("Acquire", 1)
	return s.permits.acquire(co, "Semaphore.Acquire", 1, s.n)
}

// AcquireN takes n permits at once: none before all n are free. Those who wait are served in order, even if there are permits enough
// for one further back. It panics if n is negative, or more than the semaphore has.
func (s *Semaphore) AcquireN(co *Co, n int) error {
	s.checkN("AcquireN", n)
	return s.permits.acquire(co, "Semaphore.AcquireN", n, s.n)
}

// checkN panics if s is nil or zero, or cannot give n permits at once.
func (s *Semaphore) checkN(op string, n int) {
	if s == nil || s.n == 0 || n < 0 || n > s.n {
		s.refuseN(op, n)
	}
}

func (s *Semaphore) refuseN(op string, n int) {
	if s == nil || s.n == 0 {
		panic("tinyio: Semaphore." + op + ": the Semaphore is nil or zero; make it with NewSemaphore")
	}
	panic("tinyio: Semaphore." + op + ": the number of permits is " + strconv.Itoa(n) + "; it must be from 0 to " + strconv.Itoa(s.n) +
		", which is how many the semaphore has")
}

// TryAcquire takes a permit if one is free and nobody waits, and reports whether it did. It does not suspend.
func (s *Semaphore) TryAcquire() bool {
	s.checkN("TryAcquire", 1)
	return s.permits.tryAcquire(1, s.n)
}

// Release gives a permit back. Any coroutine of the loop may call it. It does not suspend. It panics if no permit is taken.
func (s *Semaphore) Release() {
	s.checkN("Release", 1)
	if s.permits.taken == 0 {
		panic("tinyio: Semaphore.Release: no permit is taken; call Release once for each Acquire that returned nil")
	}
	s.permits.release(1, s.n)
}

// ReleaseN gives n permits back, as n calls of Release do. It panics if fewer are taken, or if n is negative.
func (s *Semaphore) ReleaseN(n int) {
	s.checkN("ReleaseN", n)
	if s.permits.taken < n {
		panic("tinyio: Semaphore.ReleaseN: " + strconv.Itoa(n) + " permits are released, but only " + strconv.Itoa(s.permits.taken) +
			" are taken; release as many as AcquireN has taken")
	}
	s.permits.release(n, s.n)
}

// A Lock is a [Semaphore] with one permit. The zero Lock is free and ready to use. Coroutines of a loop need it only to keep
// others out across a suspension.
type Lock struct{ permits permits }

// Acquire takes the lock. It suspends if the lock is taken; and every 64th time in one turn that an Acquire, a Put or a Get does not
// have to wait. Those who wait are served in order. If it returns an error, the lock was not taken.
func (l *Lock) Acquire(co *Co) error {
	l.check("Acquire")
	return l.permits.acquire(co, "Lock.Acquire", 1, 1)
}

func (l *Lock) check(op string) {
	if l == nil {
		panic("tinyio: Lock." + op + ": the Lock is nil; use a pointer to a zero Lock")
	}
}

// TryAcquire takes the lock if it is free, and reports whether it did. It does not suspend.
func (l *Lock) TryAcquire() bool {
	l.check("TryAcquire")
	return l.permits.tryAcquire(1, 1)
}

// Release frees the lock. Any coroutine of the loop may call it. It does not suspend. It panics if the lock is free.
func (l *Lock) Release() {
	l.check("Release")
	if l.permits.taken == 0 {
		panic("tinyio: Lock.Release: the lock is free; call Release once for each Acquire that returned nil")
	}
	l.permits.release(1, 1)
}

// permits are the permits of a semaphore, a lock or a pool. While somebody waits, all who come later wait too. A released permit goes to the
// first who waits, and is free in between only if that one waits for more permits than are free.
type permits struct {
	taken   int
	waiters waitList
}

// hasFree reports whether a newcomer may take n permits without waiting.
func (p *permits) hasFree(n, limit int) bool { return p.waiters.head == nil && p.taken+n <= limit }

func (p *permits) tryAcquire(n, limit int) bool {
	if !p.hasFree(n, limit) {
		return false
	}
	p.taken += n
	return true
}

func (p *permits) acquire(co *Co, op string, n, limit int) error {
	if err := co.enter(op).refused(co); err != nil {
		return err
	}
	if n == 0 {
		return co.letOthers()
	}
	if p.hasFree(n, limit) {
		if err := co.letOthers(); err != nil {
			return err
		}
	}
	if p.tryAcquire(n, limit) {
		return nil
	}
	return p.wait(co, n, limit)
}

// granted is the answer to a wait for permits that has been served.
const granted = 1

// wait waits for n permits.
func (p *permits) wait(co *Co, n, limit int) error {
	c, r, acquired := co.c, co.c.run(), false
	c.answer = 0
	if n > 1 {
		c.addCold().weight = n
	}
	defer func() {
		if n > 1 {
			c.cold().weight = 0
		}
		switch {
		case acquired:
		case c.answer == granted:
			p.release(n, limit) // c was stopped, or exits, before its turn
		default:
			p.serve(limit) // c has left the line: those behind it may want fewer
		}
	}()
	r.endTurn(c, onPermit)
	p.waiters.push(&c.one[0])
	if s := r.leave(c); s != nil { // suspend
		s.Switch()
		r.sendOn(c)
	}
	err := co.resumed(r)
	acquired = err == nil
	return err
}

func (p *permits) release(n, limit int) {
	p.taken -= n
	p.serve(limit)
}

// weight returns how many permits c waits for.
func (c *task) weight() int {
	if a := c.cold(); a != nil && a.weight > 1 {
		return a.weight
	}
	return 1
}

// serve grants permits to those who wait, in order, as far as there are enough.
func (p *permits) serve(limit int) {
	for w := p.waiters.head; w != nil; w = p.waiters.head {
		n := w.c.weight()
		if p.taken+n > limit {
			return
		}
		p.taken += n
		w.remove()
		p.waiters.served++
		w.grant(granted)
	}
}
