package tinyio

import "iter"

// AsCompleted ranges over the results of cs in the order in which they finish. The fresh ones are spawned when the range
// begins: leaving it early leaves them running. Each step suspends. An error that ends the range is the
// cancellation of the coroutine that ranges; other errors are those with which one of cs had finished, as in [Coro.Await].
func AsCompleted[T any](co *Co, cs ...*Coro[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		c := co.enter("AsCompleted")
		if err := co.refused(); err != nil {
			yield(zero, err)
			return
		}
		for _, t := range cs {
			if err := c.check("AsCompleted", t); err != nil {
				yield(zero, err)
				return
			}
		}
		g := &collector{edges: make([]waiter, len(cs))}
		for i, t := range cs {
			if err := c.edgeTo(&g.edges[i], "AsCompleted", t.awaitable()); err != nil {
				yield(zero, err)
				return
			}
			g.edges[i].group = g
			if t.c.finished.Load() {
				g.note(&t.c)
			}
		}
		g.start(c)
		defer g.leave()
		for range cs {
			t, err := g.next(co)
			if err != nil {
				yield(zero, err)
				return
			}
			r := t.body.(*Coro[T])
			if !yield(r.value, t.err) {
				return
			}
		}
	}
}

// A collector takes down which of several coroutines have finished, for one that wants to know of each.
type collector struct {
	edges  []waiter
	ended  []*coroutine
	asleep bool // its owner waits for the next
}

// start spawns those that are fresh and takes its place among the awaiters of all that have not finished.
func (g *collector) start(c *coroutine) {
	l := c.loop.Load()
	for i := range g.edges {
		w := &g.edges[i]
		if line := w.line; line != nil {
			w.line = nil
			l.want(c, line.owner)
			line.push(w)
		}
	}
}

// note takes down that t has finished and reports whether the owner waits for that.
func (g *collector) note(t *coroutine) bool {
	g.ended = append(g.ended, t)
	return g.asleep
}

// next waits until another coroutine has finished.
func (g *collector) next(co *Co) (*coroutine, error) {
	c := co.enter("AsCompleted")
	if err := co.refused(); err != nil {
		return nil, err
	}
	c.more().edges = g.edges
	l := c.loop.Load()
	l.choosing++
	err := co.suspend(onCompletion)
	if c.doomed && c.keepStopping() > 0 {
		// One of the group has woken c just before it was stopped. The others are its children all the same: it goes on when
		// they have finished.
		_ = co.suspend(onCompletion)
	}
	l.choosing--
	g.asleep, c.annex.edges = false, nil
	failed := c.err
	c.err = nil
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	t := g.ended[0]
	g.ended = g.ended[1:]
	return t, nil
}

// joinAny makes c wait for the next coroutine of its group.
func (l *Loop) joinAny(c *coroutine) {
	g := c.annex.edges[0].group
	if c.doomed {
		g.asleep, c.unmet = true, c.keepStopping()
		return
	}
	if len(g.ended) > 0 {
		l.wake(c)
		return
	}
	g.asleep, c.unmet = true, 1
	if err := l.findStuck(c, nil); err != nil {
		c.err = err
		l.wake(c)
	}
}

// leave ends the collection.
func (g *collector) leave() {
	for i := range g.edges {
		g.edges[i].leave()
	}
}
