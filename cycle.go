package tinyio

import "slices"

// How cycles of waits are found (R17): by the wait that closes one, and at no cost to most others. The reasons are in
// docs/design/cycles.md.
//
// The wait graph has an edge from each coroutine that waits to each that it waits for. Of one that waits for any of several
// (WaitAny, AsCompleted), only one edge counts: to the one that it counts on. The edges that count never make a cycle. That is
// enough for everybody to be able to go on, one after another, against the edges. It is also needed: if everybody can go on in some
// order, then whoever waits for any of several can count on the one of these that comes first.
//
// A wait whose edges would make a cycle is refused, unless those who wait for any of several can count on others instead: see
// recount.
//
// Whether an edge makes a cycle is found out by the two-way search for sparse graphs of Bender, Fineman, Gilbert and Tarjan, "A New
// Approach to Incremental Cycle Detection and Related Problems", ACM Transactions on Algorithms 12(2), 2016. Each coroutine has a
// level, and no edge that counts leads to a lower level. An edge to a higher level makes no cycle. For one that does not lead
// higher, closesCycle searches. It searches backward only on the one level, for at most √m steps, m being the number of edges. It
// searches forward to coroutines that are not higher, and raises those, so that each is passed seldom. With n coroutines and m edges
// that are only added, all of it takes O(m √m) steps. Here edges also go away, when a wait ends. That leaves the levels right. It
// voids the bound only for programs that undo and reverse long chains again and again.
//
// Four things differ from the paper. The two searches take turns and the forward one may end both, so that a long line of waiters costs
// nothing to whoever waits for somebody who waits for nobody. Edges that one wait adds together are searched for together. A
// coroutine for which nobody waits goes down to the level of its target, where the target would have to come up. And when levels
// get too high, all become zero, since an edge may lead to the same level: the order then says nothing, and is not wrong.

// refusal is why c cannot wait for what it has begun to wait for: because it could never go on.
func (r *run) refusal(c *task) error {
	if r.closesCycle(c) {
		return r.recount(c)
	}
	return nil
}

// closesCycle reports whether the waits of c, which has just begun to wait, or waits for more than before, make a cycle of the edges
// that count. If not, the levels fit them afterwards.
func (r *run) closesCycle(c *task) bool {
	searched := &r.below
	waits := c.needs()
	for t, more := waits.next(); more; t, more = waits.next() {
		if t != nil && t.side == nowhere && !fits(c, t) {
			searched.add(t, isBelow)
		}
	}
	return len(searched.seen) > 0 && r.search(c)
}

// edgeCloses is closesCycle for one more edge, from c to t.
func (r *run) edgeCloses(c, t *task) bool {
	if fits(c, t) {
		return false
	}
	r.below.add(t, isBelow)
	return r.search(c)
}

// fits reports whether, for a simple reason, an edge from c to t makes no cycle. The levels then fit it.
func fits(c, t *task) bool {
	switch {
	case t.level > c.level || t.state == fresh || t.state == done:
	case t == c:
		return false
	case !t.needsOthers():
		t.level = c.level
	case c.awaiters.head == nil && c.scope.owner == nil:
		c.level = t.level
	default:
		return false
	}
	return true
}

// search is closesCycle for edges that fits says nothing about. The walk down has been given where they lead.
func (r *run) search(c *task) (cycle bool) {
	below, above := &r.below, &r.above
	cycle = c.side == isBelow // it waits for itself
	above.add(c, isAbove)
	top, level := c.level, c.level // the walk down passes those up to top, and in the end they are raised to level
	goUp := true
	for steps := 0; !cycle; steps++ {
		t, more := below.down(top)
		switch {
		case !more:
			r.raise(below.seen, level)
			below.end()
			above.end()
			return false
		case t == nil:
		case t.side == isAbove:
			cycle = true
		case t.side == nowhere && t.level <= top:
			below.add(t, isBelow)
		}
		if !goUp {
			continue
		}
		switch t, more := above.up(); {
		case !more: // whoever leads to c from its own level is known
			goUp = false
			top--
		case steps*steps > r.live+r.wide:
			goUp = false
			level++
		case t == nil:
		case t.side == isBelow:
			cycle = true
		case t.side == nowhere && t.level == c.level:
			above.add(t, isAbove)
		}
	}
	below.end()
	above.end()
	return true
}

// raise lifts cs to a level, or, if that would be too high, lets the order say nothing.
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

// A side says where a search has met a coroutine.
type side uint8

const (
	nowhere side = iota
	isBelow      // of the one that wants to wait
	isAbove
	bound // it has not been met, but belongs to the loop only for the sake of a wait that has yet to begin: see bind
)

// A walk is a search along edges that count, which can be taken step by step. A step passes an edge, also if it does not count.
type walk struct {
	seen   []*task // in the order in which it has come to them; it is done with the first at of these
	at     int
	inside bool   // it is going through the edges of seen[at]
	rest   cursor // of these, when it goes down
	line   *waiter
}

func (k *walk) add(c *task, s side) {
	c.side = s
	k.seen = append(k.seen, c)
}

// down takes a step to one that somebody up to the level top waits for. The coroutine is nil if the edge does not count.
func (k *walk) down(top int32) (c *task, more bool) {
	for k.at < len(k.seen) {
		u := k.seen[k.at]
		if !k.inside {
			k.inside, k.rest = true, u.needs()
		}
		if u.level <= top {
			if c, more := k.rest.next(); more {
				return c, true
			}
		}
		k.at, k.inside = k.at+1, false
	}
	return nil, false
}

// up takes a step to one who waits.
func (k *walk) up() (c *task, more bool) {
	for k.at < len(k.seen) {
		u := k.seen[k.at]
		if !k.inside {
			k.inside, k.line = true, u.awaiters.head
		}
		if w := k.line; w != nil {
			k.line = w.next
			if w.counts() {
				return w.c, true
			}
			return nil, true
		}
		k.at, k.inside = k.at+1, false
		if o := u.scope.owner; o != nil {
			return o, true
		}
	}
	return nil, false
}

// end forgets where the walk has been.
func (k *walk) end() {
	for i, c := range k.seen {
		c.side, k.seen[i] = nowhere, nil
	}
	k.seen, k.at, k.inside = k.seen[:0], 0, false
	if cap(k.seen) > 1024 {
		*k = walk{}
	}
}

// counts reports whether w, which stands in a line, is an edge that counts.
func (w *waiter) counts() bool {
	g := w.group
	return g == nil || g.all || g.chosen == w && g.pending()
}

// A cursor goes through the coroutines that one waits for.
type cursor struct {
	edges  []waiter
	one    *waiter
	member *task
	scope  *scope // the members of which come then, and those of its siblings
}

// next returns nil for each edge to one that has finished.
func (k *cursor) next() (c *task, more bool) {
	for k.member == nil && k.scope != nil {
		k.member, k.scope = k.scope.first, k.scope.sibling
	}
	switch {
	case len(k.edges) > 0:
		c, k.edges = k.edges[0].to(), k.edges[1:]
	case k.one != nil:
		c, k.one = k.one.to(), nil
	case k.member != nil:
		c, k.member = k.member, k.member.after
	default:
		return nil, false
	}
	return c, true
}

// to is the coroutine to which the edge w leads, nil if it has finished.
func (w *waiter) to() *task {
	if w.line == nil {
		return nil
	}
	return w.line.owner
}

// needs goes through the coroutines to which edges of c lead that count.
func (c *task) needs() cursor {
	if g := c.anyOf(); g != nil {
		return cursor{one: g.chosen}
	}
	return c.waits()
}

// needsOthers reports whether there are any.
func (c *task) needsOthers() bool {
	switch c.state {
	case waiting:
		return waits[c.wait].tasks != nil
	case ready:
		return c.collects() != nil
	}
	return false
}

// waits goes through the coroutines that c waits for, all or any of them.
func (c *task) waits() cursor {
	if tasks := waits[c.wait].tasks; tasks != nil && (c.state == waiting || c.collects() != nil) {
		return tasks(c)
	}
	return cursor{}
}

// targets ranges over the coroutines that c waits for, all or any of them.
func (c *task) targets(yield func(*task) bool) {
	waits := c.waits()
	for t, more := waits.next(); more; t, more = waits.next() {
		if t != nil && !yield(t) {
			return
		}
	}
}

// recount is for when the waits of c make a cycle of the edges that count. It finds out who can go on all the same, and lets those
// who wait for any of several count on somebody who can. It returns an error if c cannot.
//
// Only those who wait for c, directly or not, are in doubt: all others could go on before.
func (r *run) recount(c *task) error {
	doubtful := &r.above
	doubtful.add(c, isAbove)
	for u, more := doubtful.up(); more; u, more = doubtful.up() {
		if u != nil && u.side == nowhere {
			doubtful.add(u, isAbove)
		}
	}
	type step struct {
		c  *task
		by *waiter // what it then counts on, if it waits for any of several
	}
	var order []step        // in which they can go on
	left := map[*task]int{} // how many have to go on before that one can
	for _, u := range doubtful.seen[1:] {
		n, by := u.doubts()
		if left[u] = n; n == 0 {
			order = append(order, step{u, by})
		}
	}
	pass := func(u *task, by *waiter) {
		if left[u] > 0 {
			if left[u]--; left[u] == 0 {
				order = append(order, step{u, by})
			}
		}
	}
	for i := 0; i < len(order); i++ {
		u := order[i].c
		u.side = nowhere
		for w := u.awaiters.head; w != nil; w = w.next {
			if w.group == nil || w.group.all || w.group.pending() {
				pass(w.c, w)
			}
		}
		if o := u.scope.owner; o != nil {
			pass(o, nil)
		}
	}
	var err error
	if n, by := c.doubts(); n == 0 {
		order = append(order, step{c, by})
	} else {
		err = &CycleError{Path: c.doubtfulPath()}
	}
	doubtful.end()
	if err != nil {
		return err
	}
	order = slices.DeleteFunc(order, func(s step) bool { return s.c != c && s.c.anyOf() == nil })
	for _, s := range order {
		if g := s.c.anyOf(); g != nil {
			g.chosen = nil
		}
	}
	for _, s := range order {
		if g := s.c.anyOf(); g != nil {
			g.chosen = s.by
		}
		r.closesCycle(s.c)
	}
	return nil
}

// doubts is how many of those in doubt have to go on before c can. If that is none and c waits for any of several, by is an edge
// to one that it can count on.
func (c *task) doubts() (n int, by *waiter) {
	if g := c.anyOf(); g != nil {
		for i := range g.edges {
			if t := g.edges[i].to(); t != nil && t.side != isAbove {
				return 0, &g.edges[i]
			}
		}
		return 1, nil
	}
	for t := range c.targets {
		if t.side == isAbove {
			n++
		}
	}
	return n, nil
}

// doubtfulPath names the coroutines on the shortest way from c, through those in doubt, back to c.
func (c *task) doubtfulPath() []string {
	from := map[*task]*task{}
	for work := []*task{c}; from[c] == nil; work = work[1:] {
		for t := range work[0].targets {
			if t.side == isAbove && from[t] == nil {
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

// rings tells who waits for each other, directly or not: those of a ring have the same number. It covers those of cs that wait for any of
// several, and all that these wait for. Its algorithm is Tarjan's for strongly connected components.
func rings(cs []*task) map[*task]int {
	type visit struct {
		c    *task
		n    int    // its place in the order of visits
		low  int    // the first place to which a way leads from it, as far as is known
		rest cursor // of those that it waits for
	}
	var (
		path    []visit
		open    []*task           // those whose ring is not complete
		numbers = map[*task]int{} // the place of an open one; then its ring, as a negative number
	)
	enter := func(c *task) {
		rest := c.waits()
		if c.ranges() && c.exposed() { // it may be ready, and is going to wait
			rest = cursor{edges: c.collector().edges}
		}
		n := len(numbers) + 1
		numbers[c] = n
		open = append(open, c)
		path = append(path, visit{c, n, n, rest})
	}
	for _, c := range cs {
		if c.ranges() && numbers[c] == 0 {
			enter(c)
		}
		for len(path) > 0 {
			v := &path[len(path)-1]
			t, more := v.rest.next()
			switch n := numbers[t]; {
			case !more:
				if v.low == v.n { // the last open ones, from it on, are a ring
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
