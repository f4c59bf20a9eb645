package tinyio

// The wait graph. It has an edge from each waiting coroutine to each coroutine that it waits for, its targets: those that it awaits, and
// the members of the scopes that it waits for in Isolate or First. An edge of the first kind is a waiter among the awaiters of the
// target (await.go). An edge of the second kind has no record: it follows from the scope of the member and the owner of that scope.
//
// All edges of a coroutine count if it waits for all of its targets. If it waits for any of several (WaitAny, AsCompleted), only the
// chosen one counts. The edges that count make no cycle: see cycle.go.

// A cursor goes through targets of a coroutine.
type cursor struct {
	edges  []waiter
	one    *waiter
	member *task  // the next member of a scope
	scope  *scope // the scope whose members come after that; then those of its siblings
}

// next returns the next target; nil for an edge whose target has finished. If there is no further edge, more is false.
func (k *cursor) next() (t *task, more bool) {
	for k.member == nil && k.scope != nil {
		k.member, k.scope = k.scope.first, k.scope.sibling
	}
	switch {
	case len(k.edges) > 0:
		t, k.edges = k.edges[0].to(), k.edges[1:]
	case k.one != nil:
		t, k.one = k.one.to(), nil
	case k.member != nil:
		t, k.member = k.member, k.member.after
	default:
		return nil, false
	}
	return t, true
}

// to returns the target of the edge w, nil if that has finished.
func (w *waiter) to() *task {
	if w.line == nil {
		return nil
	}
	return w.line.owner
}

// counts reports whether w, which stands among the awaiters of its target, is an edge that counts.
func (w *waiter) counts() bool {
	g := w.group
	return g == nil || g.all || g.chosen == w && g.isWaitingForAny()
}

// countingTargets returns a cursor over the targets of the edges of c that count.
func (c *task) countingTargets() cursor {
	if g := c.anyOf(); g != nil {
		return cursor{one: g.chosen}
	}
	return c.allTargets()
}

// allTargets returns a cursor over the targets of c.
func (c *task) allTargets() cursor {
	if c.hasTargets() {
		return waits[c.wait].targets(c)
	}
	return cursor{}
}

// targets ranges over the targets of c.
func (c *task) targets(yield func(*task) bool) {
	targets := c.allTargets()
	for t, more := targets.next(); more; t, more = targets.next() {
		if t != nil && !yield(t) {
			return
		}
	}
}

// hasTargets reports whether c waits for coroutines. Those may all have finished.
func (c *task) hasTargets() bool {
	return c.state == waiting && waits[c.wait].targets != nil || c.waitsAgain()
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

// rings finds the rings of the wait graph: coroutines that wait for each other, directly or not. It returns a number for each coroutine,
// the same for those of one ring. It covers those of cs that wait for any of several, and all that these wait for, directly or not.
// The algorithm is Tarjan's for strongly connected components.
func rings(cs []*task) map[*task]int {
	type visit struct {
		c    *task
		n    int    // its number in the order of visits
		low  int    // the lowest number that is known to be reachable from it
		rest cursor // over those that it waits for
	}
	var (
		path    []visit
		open    []*task           // those whose ring is not complete
		numbers = map[*task]int{} // of an open one, its number; of another one, that of its ring, negated
	)
	enter := func(c *task) {
		rest := c.allTargets()
		if c.waitsForAny() && !c.mayWait() { // it may be ready, and is going to wait again (see wait in anyof.go)
			rest = cursor{edges: c.collector().edges}
		}
		n := len(numbers) + 1
		numbers[c] = n
		open = append(open, c)
		path = append(path, visit{c, n, n, rest})
	}
	for _, c := range cs {
		if c.waitsForAny() && numbers[c] == 0 {
			enter(c)
		}
		for len(path) > 0 {
			v := &path[len(path)-1]
			t, more := v.rest.next()
			switch n := numbers[t]; {
			case !more:
				if v.low == v.n { // v.c and all that were opened after it are a ring
					for numbers[v.c] > 0 {
						numbers[open[len(open)-1]] = -v.n
						open = open[:len(open)-1]
					}
				}
				low := v.low
				if path = path[:len(path)-1]; len(path) > 0 {
					v = &path[len(path)-1]
					v.low = min(v.low, low)
				}
			case t == nil:
			case n == 0:
				enter(t)
			case n > 0:
				v.low = min(v.low, n)
			}
		}
	}
	return numbers
}
