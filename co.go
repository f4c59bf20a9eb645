package tinyio

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio/internal/stack"
	"github.com/tinyio-go/tinyio/internal/timers"
)

// A Co is the running coroutine, handed to its function: what it waits through. Its methods that wait, and the
// functions of this package that take a Co, suspend the coroutine and let others run; each of them returns an error if
// the coroutine is cancelled or halted (a [*CancelledError], a [*TimeoutError]), and that error again, at once, every
// time from then on, except inside [Co.Shield]. Return it: whoever carries on regardless is unwound by force in the end.
//
// A Co is also a [context.Context], for libraries that take one: done when the coroutine is cancelled or halted, or has
// finished, with the reason in [context.Cause]. The methods of a context may be called from any goroutine. All others are
// for the coroutine's own function alone: from another goroutine or coroutine, or when it has finished, they panic.
type Co struct {
	c      *coroutine
	shield *shield // inside which this handle is good
}

// enter checks that co is in the right hands.
func (co *Co) enter(op string) *coroutine {
	c := co.c
	if c == nil || c.g != stack.ID() || c.state != running || co.shield != nil {
		co.check(op)
	}
	return c
}

// check panics if co is in the wrong hands.
func (co *Co) check(op string) {
	c := co.c
	switch {
	case c == nil:
		panic("tinyio: " + op + ": the Co is zero; use the one that the coroutine's function is given")
	case c.g == stack.ID() && c.state == running && !co.shield.retired(co):
		return
	}
	panic("tinyio: " + op + ": the Co of coroutine " + co.c.describe() + " was used outside its own coroutine; " +
		"each function must use the Co that it was given, on the goroutine that called it, until it returns")
}

// How much a stopped coroutine may try to go on before it is unwound: ask to suspend a hundred times, or let the grace of
// a shield run out as often, or call Shield ten thousand times. Clean-up that ignores an error or two dozen is let go;
// a loop that retries for ever is not.
const (
	attemptsAllowed = 100
	shieldsAllowed  = 10_000
)

// refused returns the error of a coroutine that is being stopped and has no shield to wait behind.
func (co *Co) refused() error {
	c := co.c
	if !c.stopped {
		return nil
	}
	return co.refusal()
}

func (co *Co) refusal() error {
	c := co.c
	if co.shield.protects(c.why) {
		return nil
	}
	c.attempt(shieldsAllowed / attemptsAllowed)
	return c.why.err
}

// attempt counts how often c, which is stopped, tries to go on all the same, and in the end unwinds it. Goexit cannot be
// recovered from, runs the deferred functions, and does not return.
func (c *coroutine) attempt(weight int) {
	a := c.more()
	if a.attempts += weight; a.attempts > shieldsAllowed {
		a.unwound = true
		runtime.Goexit()
	}
}

// suspend leaves the coroutine until the loop resumes it.
func (co *Co) suspend(w wait) error {
	c := co.c
	c.wait = w
	if l := c.loop.Load(); l.carrier == nil {
		l.carry(c)
	} else {
		c.stack.Suspend()
	}
	if c.poked {
		return co.poked()
	}
	return nil
}

// poked deals with being resumed for something else than that the wait has ended well.
func (co *Co) poked() error {
	c := co.c
	for l := c.loop.Load(); l.probe != nil; {
		l.probe.take()
		c.stack.Suspend()
	}
	if c.stopped && !co.shield.protects(c.why) {
		return c.why.err
	}
	return nil
}

// Yield lets every other coroutine that is ready have its turn.
func (co *Co) Yield() error {
	c := co.enter("Yield")
	if err := co.refused(); err != nil {
		return err
	}
	l := c.loop.Load()
	if l.quiet() {
		return nil
	}
	if l.carrier == nil {
		return co.suspend(onTurn)
	}
	// The rest is suspend and stopped, for the case at hand, without a call more than is needed: a return that follows a
	// switch is one that the processor has not foreseen, and costs 6 ns.
	c.wait = onTurn
	l.makeReady(c)
	l.running = nil
	c.stack.Suspend()
	if c.poked {
		return co.poked()
	}
	return nil
}

// Sleep suspends the coroutine for d; others run meanwhile. With d zero or negative it is a Yield.
func (co *Co) Sleep(d time.Duration) error {
	if d <= 0 {
		return co.Yield()
	}
	c := co.enter("Sleep")
	if err := co.refused(); err != nil {
		return err
	}
	l := c.loop.Load()
	l.asked.pause, l.asked.limited = d, true
	return co.suspend(onTimer)
}

// Spawn starts cs, in that order, without waiting for them: they go to the back of the queue and the caller behind
// them. Those that have started already are left as they are, except that from now on they carry on even if whoever
// awaits them is halted (see [Timeout]). [Run] waits for spawned coroutines, and an error in one crashes the loop like
// any other.
func (co *Co) Spawn(cs ...Awaitable) error {
	c := co.enter("Spawn")
	if err := co.refused(); err != nil {
		return err
	}
	l := c.loop.Load()
	for _, a := range cs {
		if err := c.check("Spawn", a); err != nil {
			return err
		}
	}
	for _, a := range cs {
		if t := a.awaitable(); !t.finished.Load() {
			if err := t.claim(l); err != nil {
				return err
			}
		}
	}
	l.asked.fresh = cs
	return co.suspend(onSpawn)
}

// Wait is [Gather] for coroutines of different types: it waits until all of cs have finished. Their values are then to be
// had from [Coro.Value].
func (co *Co) Wait(cs ...Awaitable) error {
	c := co.enter("Wait")
	if err := co.refused(); err != nil {
		return err
	}
	for _, a := range cs {
		if err := c.check("Wait", a); err != nil {
			return err
		}
	}
	edges := make([]waiter, len(cs))
	for i, a := range cs {
		if err := c.edgeTo(&edges[i], "Wait", a.awaitable()); err != nil {
			return err
		}
	}
	if err := co.awaitAll(edges); err != nil {
		return err
	}
	for _, a := range cs {
		if err := a.awaitable().err; err != nil {
			return err
		}
	}
	return nil
}

// Now returns the time on the loop's clock. It does not suspend.
func (co *Co) Now() time.Time {
	return co.enter("Now").loop.Load().clock.Now()
}

// target is the coroutine of a, nil if there is none.
func target(a Awaitable) *coroutine {
	if a == nil {
		return nil
	}
	return a.awaitable()
}

// check reports why c cannot await a.
func (c *coroutine) check(op string, a Awaitable) error {
	t := target(a)
	if t == nil || t.body == nil {
		panic("tinyio: " + op + ": a coroutine is nil or zero, in " + c.describe() + "; make it with New before it is awaited")
	}
	if l := t.loop.Load(); l != nil && l != c.loop.Load() && !t.finished.Load() {
		return &foreignError{t.describe()}
	}
	return nil
}

// edgeTo makes w an edge from c to t, to be joined when c suspends. An edge to one that has finished is left out.
func (c *coroutine) edgeTo(w *waiter, op string, t *coroutine) error {
	if t == nil || t.body == nil {
		return c.check(op, nil)
	}
	w.c = c
	if t.finished.Load() {
		w.line = nil
		return nil
	}
	if err := t.claim(c.loop.Load()); err != nil {
		return err
	}
	w.line = &t.awaiters
	return nil
}

// await waits until t has finished.
func (co *Co) await(op string, t *coroutine) error {
	c := co.enter(op)
	if err := co.refused(); err != nil {
		return err
	}
	if err := c.edgeTo(&c.one[0], op, t); err != nil {
		return err
	}
	return co.awaitEdges()
}

// awaitAll waits until all coroutines to which edges lead have finished.
func (co *Co) awaitAll(edges []waiter) error {
	if len(edges) == 0 {
		return co.suspend(onTurn)
	}
	a := co.c.more()
	a.edges = edges
	err := co.awaitEdges()
	a.edges = nil
	return err
}

func (co *Co) awaitEdges() error {
	c := co.c
	err := co.suspend(onCoroutine)
	failed := c.err
	c.err = nil
	if err != nil {
		return err
	}
	return failed
}

// join makes c, which waits, wait for the coroutines to which its edges lead.
func (l *Loop) join(c *coroutine) {
	edges := c.edges()
	if err := l.deepen(c, edges); err != nil {
		for i := range edges {
			edges[i].line = nil
		}
		c.err = err
		l.wake(c)
		return
	}
	c.unmet, c.gaveUp = 0, false
	for i := range edges {
		l.joinOne(c, &edges[i])
	}
	if c.unmet == 0 {
		l.wake(c)
	} else if err := l.findStuck(c); err != nil {
		l.refuse(c, err)
	}
}

// refuse ends the wait of c for coroutines with an error.
func (l *Loop) refuse(c *coroutine, err error) {
	for i, edges := 0, c.edges(); i < len(edges); i++ {
		if line := edges[i].line; line != nil {
			line.owner.wanted--
			edges[i].leave()
		}
	}
	c.err = err
	l.wake(c)
}

// joinOne makes c wait for the coroutine to which w leads.
func (l *Loop) joinOne(c *coroutine, w *waiter) {
	line := w.line
	w.line = nil
	if line == nil || line.owner.state == done {
		return
	}
	t := line.owner
	l.startFor(c, t)
	t.wanted++
	c.unmet++
	line.push(w)
}

// resolve tells the owner of w, which has left its line, that the coroutine there has finished.
func (l *Loop) resolve(w *waiter, t *coroutine) {
	c := w.c
	if w.group != nil && !w.group.note(t) {
		return
	}
	if c.unmet--; c.unmet == 0 {
		l.wake(c)
	}
}

// deepen makes the coroutines to which edges lead deeper than c. When one of them waits for c, directly or not, that
// cannot be, and the cycle is returned as an error.
//
// Depths only tell that there is no cycle; they are raised when an edge needs it, which is rare, for a coroutine is
// mostly awaited while it is fresh. Most of the rest is a coroutine that nobody awaits: it can go above its target
// instead.
func (l *Loop) deepen(c *coroutine, edges []waiter) error {
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
		if l.raise(t, c) {
			return &CycleError{Path: cyclePath(c, t)}
		}
	}
	return nil
}

// raise makes t deeper than c and what t waits for deeper than t, and so on. It reports whether it met c on the way.
func (l *Loop) raise(t, c *coroutine) (met bool) {
	if t == c {
		return true
	}
	t.depth = c.depth + 1
	work := []*coroutine{t}
	for len(work) > 0 {
		u := work[len(work)-1]
		work = work[:len(work)-1]
		for v := range u.awaits {
			if v == c {
				met = true
			} else if v.depth <= u.depth {
				v.depth = u.depth + 1
				work = append(work, v)
			}
		}
	}
	return met
}

// awaits ranges over the coroutines without which c cannot go on.
func (c *coroutine) awaits(yield func(*coroutine) bool) {
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
		for m := c.annex.inner.first; m != nil; m = m.after {
			if !yield(m) {
				return
			}
		}
	}
}

// findStuck returns an error if c, which waits, can never go on because of a cycle in which a coroutine waits for any of
// several (AsCompleted). Such a one is stuck only if all of those are, so depths say nothing about it. The search is for the
// case that there is one and that c waits for somebody who waits for c.
func (l *Loop) findStuck(c *coroutine) error {
	if l.choosing == 0 {
		return nil
	}
	var target *coroutine
	above := c.ancestors()
	for t := range c.targets {
		if above[t] {
			target = t
		}
	}
	if target == nil || c.canGoOn() {
		return nil
	}
	return &CycleError{Path: cyclePath(c, target)}
}

// ancestors returns who waits for c, directly or not.
func (c *coroutine) ancestors() map[*coroutine]bool {
	seen := map[*coroutine]bool{c: true}
	for work := []*coroutine{c}; len(work) > 0; {
		u := work[0]
		work = work[1:]
		visit := func(v *coroutine) {
			if v != nil && !seen[v] {
				seen[v] = true
				work = append(work, v)
			}
		}
		for w := u.awaiters.head; w != nil; w = w.next {
			visit(w.c)
		}
		visit(u.scope.owner)
	}
	return seen
}

// targets ranges over the coroutines that c waits for, all or any of them.
func (c *coroutine) targets(yield func(*coroutine) bool) {
	if c.state != waiting || c.wait != onCompletion {
		c.awaits(yield)
		return
	}
	for i := range c.annex.edges {
		if line := c.annex.edges[i].line; line != nil && !yield(line.owner) {
			return
		}
	}
}

// canGoOn reports whether c can go on sometime as far as it depends on other coroutines.
func (c *coroutine) canGoOn() bool {
	below := []*coroutine{c}
	known := map[*coroutine]bool{c: true}
	for i := 0; i < len(below); i++ {
		for t := range below[i].targets {
			if !known[t] {
				known[t] = true
				below = append(below, t)
			}
		}
	}
	free := map[*coroutine]bool{}
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
			if ok == total || ok > 0 && u.wait == onCompletion {
				free[u], more = true, true
			}
		}
	}
	return free[c]
}

// cyclePath names the coroutines from c by way of t back to c.
func cyclePath(c, t *coroutine) []string {
	from := map[*coroutine]*coroutine{t: c}
	work := []*coroutine{t}
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

// A coContext is the context that a Co stands for. It is made when somebody asks for it: most coroutines never do.
type coContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

// newContext returns a context with the values of parent. It ends by the loop's hand alone, also when parent is done, so
// that its cause is the one that the loop crashed for.
func newContext(parent context.Context) *coContext {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	return &coContext{ctx, cancel}
}

// ctx is where the context of co is kept.
func (co *Co) ctx() *atomic.Pointer[coContext] {
	if co == nil || co.c == nil {
		panic("tinyio: the Co is nil or zero; use the one that the coroutine's function is given")
	}
	if s := co.shield; s != nil && s.handle == co {
		return &s.ctx
	}
	return &co.c.ctx
}

func (co *Co) context() context.Context {
	if x := co.ctx().Load(); x != nil {
		return x
	}
	x := newContext(co.c.scope.ctx)
	if !co.ctx().CompareAndSwap(nil, x) {
		x.cancel(nil)
		return co.ctx().Load()
	}
	if co.c.finished.Load() {
		x.cancel(nil) // end has come too early to see x
	}
	return x
}

// stop makes the context done because the coroutine is being stopped.
func (co *Co) stop(why *reason) {
	ctx := co.ctx()
	if ctx.Load() == nil && ctx.CompareAndSwap(nil, why.context(co)) {
		return
	}
	ctx.Load().cancel(why.cause)
}

// end makes the context done because the coroutine has finished, and releases it.
func (co *Co) end() {
	if x := co.ctx().Load(); x != nil {
		x.cancel(nil)
	}
}

// Deadline is that of the context given to [Run].
func (co *Co) Deadline() (deadline time.Time, ok bool) {
	co.ctx() // for its check
	return co.c.scope.ctx.Deadline()
}

// Done is closed when the coroutine is cancelled or halted, or has finished.
func (co *Co) Done() <-chan struct{} { return co.context().Done() }

// Err is [context.Canceled] once Done is closed. [context.Cause] tells why.
func (co *Co) Err() error { return co.context().Err() }

// Value is that of the context given to [Run].
func (co *Co) Value(key any) any { return co.context().Value(key) }

// A shield is one call of Shield.
type shield struct {
	owner   *coroutine
	outer   *shield // the shield around it
	open    bool    // it protects
	over    bool    // its function has ended
	grace   time.Duration
	why     *reason // what it keeps away, once there is something
	timer   timers.Timer
	handle  *Co
	ctx     atomic.Pointer[coContext] // of the handle
	members []*coroutine              // started inside
}

// add takes down that m has been started inside s.
func (s *shield) add(m *coroutine) {
	if len(s.members) == cap(s.members) { // about to grow: forget those that have finished
		s.members = slices.DeleteFunc(s.members, func(m *coroutine) bool { return m.state == done })
	}
	s.members = append(s.members, m)
}

// Shield runs fn with a Co of its own, through which suspension works although the coroutine is cancelled or halted, so
// that clean-up can wait: flush a connection, say goodbye. That lasts for at most grace, counted from the cancellation or,
// if that came first, from the call. Then fn is cancelled too, at its current wait. Without a cancellation there is no
// limit. Coroutines that fn awaits or spawns are under the same protection until Shield returns.
//
// The result is that of fn. Shield itself does not suspend, and fn may use only the Co that it is given.
func (co *Co) Shield(grace time.Duration, fn func(co *Co) error) error {
	c := co.enter("Shield")
	if fn == nil {
		panic("tinyio: Shield: the function is nil, in " + c.describe() + "; pass what is to be protected")
	}
	s := &shield{owner: c, outer: c.shelter(), open: true, grace: grace}
	s.handle = &Co{c: c, shield: s}
	if c.stopped {
		if !co.shield.protects(c.why) {
			c.attempt(1) // or it could go on for ever, from shield to shield
		}
		c.doomed = false
		s.keepAway(c.loop.Load(), c.why)
	}
	c.more().shelter = s
	defer s.leave()
	return fn(s.handle)
}

// leave ends the shield when its function has ended.
func (s *shield) leave() {
	c := s.owner
	c.annex.shelter = s.outer
	s.close(c.loop.Load())
	s.over = true
	s.handle.stop(&reason{cause: context.Canceled})
}

// retired reports that co was the handle of s and is no longer good.
func (s *shield) retired(co *Co) bool { return s != nil && s.over && s.handle == co }

// close ends the protection. What it kept away comes over those that were started inside.
func (s *shield) close(l *Loop) {
	if !s.open {
		return
	}
	s.open = false
	l.timers.Remove(&s.timer)
	for _, m := range s.members {
		if s.outer != nil && m.state != done {
			s.outer.add(m)
		}
		if s.why != nil {
			l.doom(m, s.why)
		}
	}
	if s.why != nil {
		s.handle.stop(s.why)
		l.endWaits()
	}
}

// keepAway starts the grace period.
func (s *shield) keepAway(l *Loop, why *reason) {
	if s.why == nil {
		s.why = why
		l.setTimer(&s.timer, s.grace, s)
	}
}

// due ends the protection when the grace period has passed.
func (s *shield) due(l *Loop) {
	s.close(l)
	s.owner.more().attempts += shieldsAllowed / attemptsAllowed
	l.doom(s.owner, s.why)
	l.endWaits()
}

// protects reports whether s or a shield around it is open and keeps away why. A cancellation that comes from inside a
// shield, such as that of a Timeout there, is not kept away by it.
func (s *shield) protects(why *reason) bool {
	for ; s != nil && s != why.from; s = s.outer {
		if s.open {
			return true
		}
	}
	return false
}
