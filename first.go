package tinyio

import "errors"

// First starts several coroutines, each as in [Isolate], and returns the value of the first that succeeds. Before it returns, it
// stops the others, unless somebody else waits for them; their errors are dropped. If all fail, the error joins theirs, in the
// order given. First panics if there are none.
//
// One that has been started already is awaited. If the caller is stopped, so are all of them. First then returns the caller's own error
// when they have stopped, and with it the value of one that has succeeded all the same.
func First[T any](co *Co, cs ...*Coro[T]) (T, error) {
	var zero T
	caller := co.enter("First")
	if len(cs) == 0 {
		panic("tinyio: First: there is no coroutine to wait for, in " + caller.describe() + "; pass at least one")
	}
	if err := caller.refused(co); err != nil {
		return zero, err
	}
	for _, c := range cs {
		if err := caller.check("First", c); err != nil {
			return zero, err
		}
	}
	r := caller.run()
	tries := make([]*Coro[T], len(cs))
	scopes := make([]scope, len(cs))
	for i, c := range cs {
		if t := &c.c; t.claim(r.loop) == nil && t.state == fresh && t.scope == nil {
			tries[i] = c
		} else { // it has been started, or is listed before
			tries[i] = awaiting(c)
			tries[i].c.tryClaim(r.loop)
		}
		scopes[i] = scope{owner: caller, main: &tries[i].c}
		tries[i].c.scope = &scopes[i]
		if i > 0 {
			scopes[i-1].sibling = &scopes[i]
		}
	}
	winner, stop := co.race(&scopes[0])
	switch {
	case winner != nil:
		return coroOf[T](winner).value, stop
	case stop != nil:
		return zero, stop
	}
	errs := make([]error, len(cs))
	for i := range scopes {
		if errs[i] = scopes[i].report(r.loop.mode); errs[i] == nil {
			errs[i] = tries[i].c.err // nothing failed in it, but somebody has cancelled it
		}
	}
	return zero, errors.Join(errs...)
}

// race runs the first coroutines of scopes and waits until all scopes are empty. It returns the coroutine that has won: the first coroutine of a
// scope wins if it has succeeded and its scope is the first one to become empty.
func (co *Co) race(scopes *scope) (winner *task, stop error) {
	a := co.c.addCold()
	a.races = true
	stop = co.isolate(scopes)
	winner = a.winner
	a.races, a.winner = false, nil
	return winner, stop
}

// settleRace stops the other scopes of a race if s, which has just become empty, has won it.
func (r *run) settleRace(s *scope) {
	c, a := s.owner, s.owner.cold()
	if !a.races || a.winner != nil || s.crash != nil || s.main == nil || s.main.state != done || s.main.err != nil {
		return
	}
	a.winner = s.main
	why := &reason{err: &CancelledError{Cause: errNotFirst}, target: c}
	for other := a.inner; other != nil; other = other.sibling {
		r.stopScope(other, why)
	}
	r.endWaits()
}

// awaiting returns a coroutine that awaits c, returns its result, and has its name. If it is stopped when c has finished already, it still
// returns that result (R28).
func awaiting[T any](c *Coro[T]) *Coro[T] {
	w := New(func(co *Co) (T, error) {
		v, err := c.Await(co)
		if c.c.hasFinished() {
			err = c.c.err
		}
		return v, err
	})
	w.c.entry = c.c.entry
	if a := c.c.cold(); a != nil && a.name != "" {
		w.c.addCold().name = a.name
	}
	return w
}

// errNotFirst is the cause for which the losers of a First are cancelled.
var errNotFirst = errors.New("tinyio: First: another one was first")
