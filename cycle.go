package tinyio

import "slices"

// How cycles of waits are found (R17): by the wait that closes one, and at no cost to most others. The reasons are in
// docs/design/cycles.md.
//
// The wait graph has an edge from each waiting coroutine to each coroutine that it waits for. If a coroutine waits for any of
// several (WaitAny, AsCompleted), only one of its edges counts: the chosen one. The edges that count never make a cycle. So all
// coroutines can finish, one after another, against the direction of the edges. The converse holds too: if all can finish in some
// order, each that waits for any of several can choose the one that finishes first, and then no cycle of chosen edges exists. So
// the test is exact.
//
// A wait whose edges would make a cycle is refused, unless other choices of those that wait for any of several avoid the cycle:
// see recount.
//
// Whether an edge makes a cycle is found out by the two-way search for sparse graphs of Bender, Fineman, Gilbert and Tarjan, "A New
// Approach to Incremental Cycle Detection and Related Problems", ACM Transactions on Algorithms 12(2), 2016. Each coroutine has a
// level, and no edge that counts leads to a lower level. An edge to a higher level makes no cycle. For one that does not lead
// higher, closesCycle searches. It searches backward only on the one level, for at most √m steps, m being the number of edges. It
// searches forward to coroutines that are not higher, and raises those, so that each is passed seldom. With n coroutines and m edges
// that are only added, all of it takes O(m √m) steps. Here edges also go away, when a wait ends. That leaves the levels right. It
// voids the bound only for programs that undo and reverse long chains again and again.
//
// Four things differ from the paper. The two searches alternate and the forward one may end both, so that a long line of waiters
// behind c costs nothing if the target of c waits for nobody. One search covers all edges that a wait adds. A coroutine for which
// nobody waits goes down to the level of its target, instead of raising the target. And when levels get too high, all become
// zero. That is correct, since an edge may lead to the same level; it only loses what earlier searches have found out.

// refusal returns an error if c could never go on from the wait that it has begun, and otherwise nil.
func (r *run) refusal(c *task) error {
	if r.closesCycle(c) {
		return r.recount(c)
	}
	return nil
}

// closesCycle reports whether the waits of c, which are new, make a cycle of edges that count. If not, it raises levels so that they
// fit the new edges.
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

// fits reports whether an edge from c to t makes no cycle for a simple reason, without a search. Then the levels fit the edge
// afterwards. If it returns false, a search has to decide.
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

// search is closesCycle for edges for which fits has returned false. The walk r.below begins with the coroutines that they lead to.
func (r *run) search(c *task) (cycle bool) {
	below, above := &r.below, &r.above
	cycle = c.side == isBelow // it waits for itself
	above.add(c, isAbove)
	top, level := c.level, c.level // the walk down visits coroutines up to level top; in the end they are raised to level
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
		case !more: // all coroutines on the level of c that lead to c are known
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

// A side says where a search has met a coroutine.
type side uint8

const (
	nowhere side = iota
	isBelow      // of the one that wants to wait
	isAbove
)

// A walk is a search along edges that count, one step at a time. A step looks at one edge, which may turn out not to count.
type walk struct {
	seen   []*task // the coroutines found, in that order
	at     int     // the walk is done with those before this index
	inside bool    // it is going through the edges of seen[at]
	rest   cursor  // on the way down: the edges left
	line   *waiter // on the way up: the next edge
}

func (k *walk) add(c *task, s side) {
	c.side = s
	k.seen = append(k.seen, c)
}

// down takes a step from a coroutine up to level top to one that it waits for. It returns nil if the edge does not count.
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

// up takes a step to a coroutine that waits for one already found. It returns nil if the edge does not count.
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

// A cursor goes through the coroutines that a coroutine waits for: those to which edges lead, or the members of scopes.
type cursor struct {
	edges  []waiter
	one    *waiter
	member *task  // the next member
	scope  *scope // the scope whose members come after that; then those of its siblings
}

// next returns the next coroutine; nil for an edge to a coroutine that has finished.
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

// to returns the coroutine to which the edge w leads, nil if it has finished.
func (w *waiter) to() *task {
	if w.line == nil {
		return nil
	}
	return w.line.owner
}

// needs returns a cursor over the coroutines to which c has edges that count.
func (c *task) needs() cursor {
	if g := c.anyOf(); g != nil {
		return cursor{one: g.chosen}
	}
	return c.waits()
}

// needsOthers reports whether c may have edges that count.
func (c *task) needsOthers() bool {
	switch c.state {
	case waiting:
		return waits[c.wait].tasks != nil
	case ready:
		return c.collects() != nil
	}
	return false
}

// waits returns a cursor over the coroutines that c waits for, be it for all or for any of them.
func (c *task) waits() cursor {
	if tasks := waits[c.wait].tasks; tasks != nil && (c.state == waiting || c.collects() != nil) {
		return tasks(c)
	}
	return cursor{}
}

// targets ranges over the coroutines that c waits for, be it for all or for any of them.
func (c *task) targets(yield func(*task) bool) {
	waits := c.waits()
	for t, more := waits.next(); more; t, more = waits.next() {
		if t != nil && !yield(t) {
			return
		}
	}
}

// recount is called when the waits of c make a cycle of edges that count. It looks for other choices for those that wait for any
// of several, with which all can go on. If there are, it makes them; if not, it returns the error with which c is refused.
//
// Only the coroutines that wait for c, directly or not, are in doubt. All others could go on before, and still can.
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
		by *waiter // its new chosen edge, if it waits for any of several
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

// doubts returns how many of the coroutines in doubt have to go on before c can. If that is none and c waits for any of several, by
// is an edge that c can choose.
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

// doubtfulPath returns the names along the shortest way from c, through coroutines in doubt, back to c.
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

// rings returns a number for each coroutine, the same for all that wait for each other, directly or not. It covers those of cs that
// wait for any of several, and all that these wait for, directly or not. The algorithm is Tarjan's for strongly connected components.
func rings(cs []*task) map[*task]int {
	type visit struct {
		c    *task
		n    int    // its number in the order of visits
		low  int    // the lowest number that a way from it is known to reach
		rest cursor // over those that it waits for
	}
	var (
		path    []visit
		open    []*task           // those whose ring is not complete
		numbers = map[*task]int{} // of an open one, its number; then that of its ring, negative
	)
	enter := func(c *task) {
		rest := c.waits()
		if c.waitsForAny() && c.exposed() { // it may be ready, and is going to wait again (see wait in anyof.go)
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
