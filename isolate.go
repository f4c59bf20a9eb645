package tinyio

// A Result is how an isolated coroutine ended.
type Result[T any] struct {
	Value T
	Err   error // as [Run] would have returned it
}

// Isolate runs c as a crash domain of its own: c and all that is first awaited or spawned inside it. If one of these fails,
// they are cancelled, and only they; Isolate waits until all have stopped and returns the error in the result. It returns the
// value of c likewise when everything inside has finished. The error that it returns beside the result is the caller's
// own cancellation, which stops everything inside too, before Isolate returns; or what would be an error of [Coro.Await]
// beforehand. What then goes wrong in clean-up inside is in the result if the caller is halted, and among the errors of the crash
// if it is cancelled because of one (see [GroupMode]). Panics are not held back.
//
// A coroutine that has been started already belongs to where that was; isolating it is awaiting it, and should it fail
// before then, so does the domain that it belongs to. A coroutine may be awaited inside that was started outside.
func Isolate[T any](co *Co, c *Coro[T]) (Result[T], error) {
	caller := co.enter("Isolate")
	if err := co.refused(); err != nil {
		return Result[T]{}, err
	}
	if err := caller.check("Isolate", c); err != nil {
		return Result[T]{}, err
	}
	l := caller.loop.Load()
	if !c.c.finished.Load() {
		if err := c.c.claim(l); err != nil {
			return Result[T]{}, err
		}
	}
	if c.c.state != fresh {
		err := co.await("Isolate", &c.c)
		return Result[T]{c.value, c.c.pastError()}, err
	}
	l.asked.target = &c.c
	err := co.suspend(onIsolate)
	s := caller.annex().inner
	caller.annex().inner = nil
	failed := s.report(l.mode)
	s.end()
	if !c.c.finished.Load() || c.c.err != nil {
		return Result[T]{Err: failed}, err
	}
	return Result[T]{c.value, failed}, err
}

// enclose makes c wait for a scope of its own, in which t is the first.
func (l *Loop) enclose(c, t *coroutine) {
	s := &scope{ctx: c.scope.ctx, parent: c.scope, owner: c}
	if c.isStopping() { // and protected by a Shield, as are those inside
		s.why = c.told()
	}
	c.more().inner = s
	s.begin(l, t, c.shelter())
}
