package tinyio

// A Semaphore hands out a number of permits to coroutines of a loop. Make one with [NewSemaphore].
//
// A released permit is handed to the first who waits for one, at once: nobody can come in between.
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

// Acquire takes a permit. It suspends only if there is none; those who wait are served in order. With an error, no permit
// was taken.
func (s *Semaphore) Acquire(co *Co) error {
	return s.permits.acquire(co, "Semaphore.Acquire", s.n)
}

// TryAcquire takes a permit if there is one. It does not suspend.
func (s *Semaphore) TryAcquire() bool {
	if s == nil || s.n == 0 {
		panic("tinyio: Semaphore.TryAcquire: the Semaphore is nil or zero; make it with NewSemaphore")
	}
	return s.permits.tryAcquire(s.n)
}

// Release gives a permit back, from any coroutine of the loop. It does not suspend. It panics if none is out.
func (s *Semaphore) Release() {
	if s.permits.taken == 0 {
		panic("tinyio: Semaphore.Release: no permit is out; call Release once for each Acquire that returned nil")
	}
	s.permits.release()
}

// A Lock is a [Semaphore] with one permit. The zero Lock is free and ready to use. Coroutines of a loop need it only to keep
// others out across a suspension.
type Lock struct{ permits permits }

// Acquire takes the lock. It suspends only if it is taken; those who wait are served in order. With an error, it was not
// taken.
func (l *Lock) Acquire(co *Co) error { return l.permits.acquire(co, "Lock.Acquire", 1) }

// TryAcquire takes the lock if it is free. It does not suspend.
func (l *Lock) TryAcquire() bool { return l.permits.tryAcquire(1) }

// Release frees the lock, from any coroutine of the loop. It does not suspend. It panics if the lock is free.
func (l *Lock) Release() {
	if l.permits.taken == 0 {
		panic("tinyio: Lock.Release: the lock is free; call Release once for each Acquire that returned nil")
	}
	l.permits.release()
}

// permits are what semaphores, locks and pools hand out. While somebody waits, none is free: a released permit changes hands
// and is never free in between.
type permits struct {
	taken   int
	waiters waitList
}

func (p *permits) tryAcquire(limit int) bool {
	if p.taken == limit {
		return false
	}
	p.taken++
	return true
}

func (p *permits) acquire(co *Co, op string, limit int) error {
	if limit == 0 {
		panic("tinyio: " + op + ": it is zero, so there is nothing to acquire; make it with its New function")
	}
	co.enter(op)
	if err := co.refused(); err != nil {
		return err
	}
	if p.tryAcquire(limit) {
		return nil
	}
	return p.wait(co)
}

// wait waits for a permit.
func (p *permits) wait(co *Co) error {
	c, acquired := co.c, false
	c.answer = 0
	defer func() {
		if !acquired && c.answer == 1 {
			p.release() // it was granted, and c was stopped, or exits, before its turn came
		}
	}()
	err := co.standIn(&p.waiters, onPermit)
	acquired = err == nil
	return err
}

func (p *permits) release() {
	w := p.waiters.pop()
	if w == nil {
		p.taken--
		return
	}
	w.grant(1)
}
