package tinyio

import "slices"

// How cycles of waits are found (R17): by the wait that closes one, and at no cost to most others. The reasons are in
// docs/design/cycles.md, and the wait graph is in graph.go.
//
// The edges that count never make a cycle. So all coroutines can finish, one after another, against the direction of the edges. The
// converse holds too: if all can finish in some order, each that waits for any of several can choose the edge to the one that
// finishes first, and then no cycle of edges that count exists. So the test is exact.
//
// A wait whose edges would make a cycle is refused, unless other choices of those that wait for any of several avoid the cycle:
// see rechoose.
//
// Whether an edge makes a cycle is found out by the two-way search for sparse graphs of Bender, Fineman, Gilbert and Tarjan, "A New
// Approach to Incremental Cycle Detection and Related Problems", ACM Transactions on Algorithms 12(2), 2016. Each coroutine has a
// level, and no edge that counts leads to a lower level. An edge to a higher level makes no cycle. For an edge that does not lead
// higher, two walks look for one (see meet). With n coroutines and m edges that are only added, all walks together take O(m √m)
// steps. Here edges also go away, when a wait ends. That leaves the levels right. It voids the bound only for programs that undo and
// reverse long chains again and again.
//
// Four things differ from the paper. The two walks alternate, and the walk down may end both, so that a long line of waiters
// behind c costs nothing if the target of c waits for nobody. One search covers all edges that a wait adds. A coroutine for which
// nobody waits goes down to the level of its target, instead of raising the target. And when levels get too high, all become
// zero. That is correct, since an edge may lead to the same level; it only loses what earlier searches have found out.

// checkCycle looks whether c, whose edges are new, could ever go on. If so, it makes the levels fit the edges and returns nil. If not, it
// returns the error with which the wait of c is refused.
func (r *run) checkCycle(c *task) error {
	if r.closesCycle(c) {
		return r.rechoose(c)
	}
	return nil
}

// closesCycle reports whether the edges of c, which are new, make a cycle of edges that count. If not, it makes the levels fit them.
func (r *run) closesCycle(c *task) bool {
	targets := c.countingTargets()
	for t, more := targets.next(); more; t, more = targets.next() {
		if t != nil && t.mark == unmarked && !fits(c, t) {
			r.below.add(t, isBelow)
		}
	}
	return len(r.below.found) > 0 && r.search(c)
}

// fitLevels makes the levels fit the edges of c that count, which make no cycle.
func (r *run) fitLevels(c *task) { r.closesCycle(c) }

// fitLevel makes the levels fit a new edge from c to t, which makes no cycle.
func (r *run) fitLevel(c, t *task) {
	if !fits(c, t) {
		r.below.add(t, isBelow)
		r.search(c)
	}
}

// fits reports whether an edge from c to t makes no cycle for a simple reason, without a search. Then the levels fit the edge
// afterwards. If it returns false, a search has to decide.
func fits(c, t *task) bool {
	switch {
	case t.level > c.level || t.state == fresh || t.state == done:
	case t == c:
		return false
	case !t.hasTargets():
		t.level = c.level
	case c.awaiters.head == nil && c.scope.owner == nil:
		c.level = t.level
	default:
		return false
	}
	return true
}

// search is closesCycle for edges for which fits has returned false. The walk r.below begins with their targets.
func (r *run) search(c *task) (cycle bool) {
	cycle, level := r.meet(c)
	if !cycle {
		r.raise(r.below.found, level)
	}
	r.below.end()
	r.above.end()
	return cycle
}

// meet takes steps of two walks in turn, r.below down from the targets of c and r.above up from c, until they meet, which is a cycle, or
// the walk down has ended. If there is no cycle, it also returns the level to which those below c have to be raised.
//
// The walk up stays on the level of c. It may end by itself: it has found all coroutines on that level that lead to c. Then those below c need
// not get higher than c, and the walk down passes only through lower levels, because on the level of c it is known who leads to c. Or the
// walk up takes more than √m steps and is given up. Then the walk down passes through the level of c too, and those below c are raised one
// level higher than c, so that later edges to them fit.
func (r *run) meet(c *task) (cycle bool, level int32) {
	if c.mark == isBelow { // it waits for itself
		return true, 0
	}
	r.above.add(c, isAbove)
	level = c.level
	top := c.level // the walk down passes through coroutines up to this level
	goUp := true
	for steps := 0; ; steps++ {
		switch t, more := r.below.stepDown(top); {
		case !more:
			return false, level
		case t == nil:
		case t.mark == isAbove:
			return true, 0
		case t.mark == unmarked && t.level <= top:
			r.below.add(t, isBelow)
		}
		if !goUp {
			continue
		}
		switch t, more := r.above.stepUp(); {
		case !more:
			goUp = false
			top--
		case steps*steps > r.live()+r.wide: // about as many as there are edges
			goUp = false
			level++
		case t == nil:
		case t.mark == isBelow:
			return true, 0
		case t.mark == unmarked && t.level == c.level:
			r.above.add(t, isAbove)
		}
	}
}

// raise raises cs to a level. If that is too high, it sets all levels to zero.
func (r *run) raise(cs []*task, level int32) {
	if level > highest {
		for c := range r.root.members {
			c.level = 0
		}
		return
	}
	for _, c := range cs {
		c.level = max(c.level, level)
	}
}

// highest is the greatest level. Levels rise by one at most with a search.
var highest int32 = 1 << 30

// A mark is what the present search has found out about a coroutine. There is one search at a time, and it removes its marks.
type mark uint8

const (
	unmarked  mark = iota
	isBelow        // the coroutine whose edges are checked waits for it, directly or not
	isAbove        // it waits for that coroutine, directly or not, or is that coroutine
	isInDoubt      // see rechoose
)

// A walk finds coroutines along edges that count, and marks them. A step looks at one edge.
type walk struct {
	found []*task // in the order in which they were found
	at    int     // the index of the one whose edges are looked at now
	begun bool    // rest or line has been set for it
	rest  cursor  // on the way down: over its edges that are left
	line  *waiter // on the way up: the next one in the line of its awaiters
}

func (k *walk) add(c *task, m mark) {
	c.mark = m
	k.found = append(k.found, c)
}

// stepDown returns the coroutine to which the next edge leads; nil if that coroutine has finished. It passes over the edges of coroutines
// that are higher than top.
func (k *walk) stepDown(top int32) (c *task, more bool) {
	for k.at < len(k.found) {
		u := k.found[k.at]
		if !k.begun {
			k.begun, k.rest = true, u.countingTargets()
		}
		if u.level <= top {
			if c, more := k.rest.next(); more {
				return c, true
			}
		}
		k.at, k.begun = k.at+1, false
	}
	return nil, false
}

// stepUp returns the coroutine from which the next edge comes; nil if the edge does not count.
func (k *walk) stepUp() (c *task, more bool) {
	for k.at < len(k.found) {
		u := k.found[k.at]
		if !k.begun {
			k.begun, k.line = true, u.awaiters.head
		}
		if w := k.line; w != nil {
			k.line = w.next
			if w.counts() {
				return w.c, true
			}
			return nil, true
		}
		k.at, k.begun = k.at+1, false
		if o := u.scope.owner; o != nil {
			return o, true
		}
	}
	return nil, false
}

// end removes the marks and makes the walk empty.
func (k *walk) end() {
	for i, c := range k.found {
		c.mark, k.found[i] = unmarked, nil
	}
	k.found, k.at, k.begun = k.found[:0], 0, false
	if cap(k.found) > 1024 {
		*k = walk{}
	}
}

// A choice is a coroutine that can go on. If it waits for any of several, edge leads to one that can go on before it.
type choice struct {
	c    *task
	edge *waiter
}

// rechoose is called when the edges of c make a cycle of edges that count. It looks for other choices of those that wait for any of
// several, with which all can go on. If there are such choices, it makes them. If not, it returns the error with which the wait of c is
// refused.
//
// Only c and the coroutines that wait for c, directly or not, are in doubt. All others could go on before, and still can.
func (r *run) rechoose(c *task) error {
	doubtful := &r.above
	doubtful.add(c, isInDoubt)
	for u, more := doubtful.stepUp(); more; u, more = doubtful.stepUp() {
		if u != nil && u.mark == unmarked {
			doubtful.add(u, isInDoubt)
		}
	}
	order := orderOf(doubtful.found[1:])
	n, edge := c.countBlockers()
	if n > 0 {
		err := &CycleError{Path: c.pathInDoubt()}
		doubtful.end()
		return err
	}
	doubtful.end()
	r.makeChoices(append(order, choice{c, edge}))
	return nil
}

// orderOf returns those of the coroutines in doubt that can go on, in an order in which they can, and removes their marks.
func orderOf(doubtful []*task) (order []choice) {
	blockers := map[*task]int{} // of each, how many of those in doubt have to go on first
	for _, u := range doubtful {
		n, edge := u.countBlockers()
		if blockers[u] = n; n == 0 {
			order = append(order, choice{u, edge})
		}
	}
	unblock := func(u *task, edge *waiter) {
		if blockers[u] > 0 {
			if blockers[u]--; blockers[u] == 0 {
				order = append(order, choice{u, edge})
			}
		}
	}
	for i := 0; i < len(order); i++ { // which grows meanwhile
		u := order[i].c
		u.mark = unmarked
		for w := u.awaiters.head; w != nil; w = w.next {
			if w.group == nil || w.group.all || w.group.isWaitingForAny() {
				unblock(w.c, w)
			}
		}
		if o := u.scope.owner; o != nil {
			unblock(o, nil)
		}
	}
	return order
}

// makeChoices makes the choices of those that wait for any of several. The last in the order is the coroutine whose edges are new.
func (r *run) makeChoices(order []choice) {
	last := order[len(order)-1].c
	order = slices.DeleteFunc(order, func(s choice) bool { return s.c != last && s.c.anyOf() == nil })
	for _, s := range order {
		if g := s.c.anyOf(); g != nil {
			g.chosen = nil
		}
	}
	for _, s := range order {
		if g := s.c.anyOf(); g != nil {
			g.chosen = s.edge
		}
		r.fitLevels(s.c)
	}
}

// countBlockers returns how many of the coroutines in doubt have to go on before c can. If none has to, and c waits for any of several,
// edge is one that c can choose.
func (c *task) countBlockers() (n int, edge *waiter) {
	if g := c.anyOf(); g != nil {
		for i := range g.edges {
			if t := g.edges[i].to(); t != nil && t.mark != isInDoubt {
				return 0, &g.edges[i]
			}
		}
		return 1, nil
	}
	for t := range c.targets {
		if t.mark == isInDoubt {
			n++
		}
	}
	return n, nil
}

// pathInDoubt returns the names along the shortest way from c, through coroutines in doubt, back to c.
func (c *task) pathInDoubt() []string {
	from := map[*task]*task{}
	for work := []*task{c}; from[c] == nil; work = work[1:] {
		for t := range work[0].targets {
			if t.mark == isInDoubt && from[t] == nil {
				from[t] = work[0]
				work = append(work, t)
			}
		}
	}
	path := []string{c.label()}
	for u := from[c]; u != c; u = from[u] {
		path = append(path, u.label())
	}
	path = append(path, c.label())
	slices.Reverse(path)
	return path
}
