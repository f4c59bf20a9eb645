package tinyio

import "math"

// How cycles of awaits are found: when the await that closes one is made, and at no cost to most others.

// deepen makes the coroutines to which edges lead deeper than c. When one of them waits for c, directly or not, that
// cannot be, and the cycle is returned as an error.
//
// Depths only tell that there is no cycle; they are raised when an edge needs it, which is rare, for a coroutine is
// mostly awaited while it is fresh. Most of the rest is a coroutine that nobody awaits: it can go above its target
// instead.
func (r *run) deepen(c *task, edges []waiter) error {
	for i := range edges {
		if edges[i].line == nil {
			continue
		}
		t := edges[i].line.owner
		if t.state == done || t.depth > c.depth {
			continue
		}
		if t.state == fresh && t != c {
			t.depth = c.depth + 1
			continue
		}
		if c.awaiters.head == nil && c.scope.owner == nil && t != c && t.depth > math.MinInt32 {
			c.depth = t.depth - 1
			continue
		}
		if raise(t, c) {
			return &CycleError{Path: cyclePath(c, t)}
		}
	}
	return nil
}

// raise makes t deeper than c and what t waits for deeper than t, and so on. If it meets c on the way, it reports that and
// leaves all depths as they were.
func raise(t, c *task) (met bool) {
	type step struct {
		c     *task
		depth int32 // before
	}
	var raised []step
	lift := func(u *task, depth int32) {
		raised = append(raised, step{u, u.depth})
		u.depth = depth
	}
	if t == c {
		return true
	}
	lift(t, c.depth+1)
	for i := 0; i < len(raised) && !met; i++ {
		u := raised[i].c
		for v := range u.awaits {
			if v == c {
				met = true
			} else if v.depth <= u.depth {
				lift(v, u.depth+1)
			}
		}
	}
	for i := len(raised) - 1; met && i >= 0; i-- {
		raised[i].c.depth = raised[i].depth
	}
	return met
}

// awaits ranges over the coroutines without which c cannot go on.
func (c *task) awaits(yield func(*task) bool) {
	if c.state != waiting {
		return
	}
	switch c.wait {
	case onCoroutine:
		for i, edges := 0, c.edges(); i < len(edges); i++ {
			if line := edges[i].line; line != nil && !yield(line.owner) {
				return
			}
		}
	case onIsolate:
		for s := c.annex().inner; s != nil; s = s.sibling {
			for m := s.first; m != nil; m = m.after {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// findStuck returns an error if c, which waits, can never go on because of a cycle in which a coroutine waits for any of
// several (AsCompleted). Such a one is stuck only if all of those are, so depths say nothing about it. The search is for the
// case that there is one and that c waits for somebody who waits for c.
func (r *run) findStuck(c *task, edges []waiter) error {
	if r.choosing == 0 {
		return nil
	}
	above, target := c.ancestors()
	for i := 0; i < len(edges) && target == nil; i++ {
		if line := edges[i].line; line != nil && above[line.owner] {
			target = line.owner
		}
	}
	if target == nil || c.canGoOn() {
		return nil
	}
	return &CycleError{Path: cyclePath(c, target)}
}

// ancestors returns who waits for c, directly or not, and one of them that c waits for, if there is one.
func (c *task) ancestors() (above map[*task]bool, target *task) {
	above = map[*task]bool{c: true}
	work := []*task{c}
	visit := func(u, v *task) { // v waits for u
		switch {
		case v == nil:
		case v == c:
			target = u
		case !above[v]:
			above[v] = true
			work = append(work, v)
		}
	}
	for len(work) > 0 {
		u := work[0]
		work = work[1:]
		for w := u.awaiters.head; w != nil; w = w.next {
			if w.group == nil || w.group.asleep && w.c.state == waiting { // one that ranges may be busy with something else
				visit(u, w.c)
			}
		}
		visit(u, u.scope.owner)
	}
	return above, target
}

// targets ranges over the coroutines that c waits for, all or any of them.
func (c *task) targets(yield func(*task) bool) {
	if c.state != waiting || c.wait != onCompletion {
		c.awaits(yield)
		return
	}
	for i := range c.annex().edges {
		if line := c.annex().edges[i].line; line != nil && !yield(line.owner) {
			return
		}
	}
}

// canGoOn reports whether c can go on sometime as far as it depends on other coroutines.
func (c *task) canGoOn() bool {
	below := []*task{c}
	known := map[*task]bool{c: true}
	for i := 0; i < len(below); i++ {
		for t := range below[i].targets {
			if !known[t] {
				known[t] = true
				below = append(below, t)
			}
		}
	}
	free := map[*task]bool{}
	for more := true; more; {
		more = false
		for _, u := range below {
			if free[u] {
				continue
			}
			total, ok := 0, 0
			for t := range u.targets {
				total++
				if free[t] {
					ok++
				}
			}
			if ok == total || ok > 0 && u.wait == onCompletion && !u.exposed() { // which waits for all
				free[u], more = true, true
			}
		}
	}
	return free[c]
}

// cyclePath names the coroutines from c by way of t back to c.
func cyclePath(c, t *task) []string {
	from := map[*task]*task{t: c}
	work := []*task{t}
	for len(work) > 0 && from[c] == nil {
		u := work[0]
		work = work[1:]
		for v := range u.targets {
			if from[v] == nil {
				from[v] = u
				work = append(work, v)
			}
		}
	}
	path := []string{c.label()}
	for u := from[c]; u != c; u = from[u] {
		path = append(path, u.label())
	}
	path = append(path, c.label())
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
	return path
}
