package tinyio

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// ErrNotRunning is what [Submit], [Loop.Post] and [Loop.Snapshot] return when the run of the loop has ended.
var ErrNotRunning = errors.New("tinyio: the loop is not running; run it, or let it Serve, for as long as it is asked for anything; " +
	"if its run has ended, what Run or Serve has returned says why")

// Serve runs l, for coroutines that come by [Submit] and [Loop.Post], until ctx is done or a coroutine fails. Then it stops every
// coroutine, waits until all have stopped, and returns what [Run] would: an error that is [context.Cause] of ctx, or the failure;
// never nil. Like Run, it panics, or calls [runtime.Goexit], if a coroutine has, and returns an error at once if the loop is running
// already.
//
// What is submitted before the first run of the loop waits until that has begun.
func (l *Loop) Serve(ctx context.Context) error {
	up := FromCallback(func(done func(Void, error)) (cancel func(error)) {
		return func(cause error) { done(Void{}, cause) }
	}).Named("tinyio.Serve")
	up.c.entry = entryOf((*Loop).Serve)
	_, err := runOn(ctx, l, up, "Serve")
	return err
}

// Submit runs c on l, which is running: by [Run], by [Loop.Serve], or by a host that takes the steps ([Start]). It may be
// called from any goroutine, blocks until c has finished, and returns the value of c, or its error. The coroutines
// that one goroutine submits begin in the order in which it submits them.
//
// On the loop, c belongs to the run's own domain, as if the first coroutine had spawned it: the run goes on until c has finished, and a
// failure of c crashes the loop. Submit then returns the failure too, as an [*Error]. A server therefore submits coroutines that [Isolate]
// what may fail. If the loop crashes for another reason, the error is the [*CancelledError] of c.
//
// When ctx is done, Submit returns [context.Cause] of ctx at once, even if the loop is stuck. The loop then halts c, as a [Timeout]
// would, or never starts it. If somebody else waits for c, or it was spawned, c carries on. Since c may still be running when Submit
// returns, what c uses must stay valid. Its clean-up errors then come out of the run: the first hundred such errors, and the number
// of the others. If Submit starts c, the [Co] of c has the values, the profiler labels and the deadline of ctx.
//
// Like [Coro.Await], Submit returns the result of a coroutine that has finished already, and an error if it belongs to another
// loop. If l has never been run, Submit waits until it is, or until ctx is done. In these cases it returns an error at once, and c does
// not run:
//
//   - The run has ended: [ErrNotRunning].
//   - The run is being stopped: its [*CancelledError]. But a thread whose coroutine was started in a [Co.Shield], or whose [Call] was
//     made in one, may still submit; the Shield protects c too.
//   - Submit is called where it would block a loop: in a coroutine, an observer, or the range over [Runtime.Steps]. There, await the
//     coroutine; or, to wait for another loop, call Submit in [RunInThread].
//
//go:noinline // see stack.Caller
func Submit[T any](ctx context.Context, l *Loop, c *Coro[T]) (T, error) {
	err := submit(ctx, l, c.awaitable())
	if c.c.hasFinished() && c.c.err == nil {
		return c.value, nil
	}
	var zero T
	return zero, err
}

//go:noinline
func submit(ctx context.Context, l *Loop, t *task) error {
	checkRun(ctx, l, t, "Submit")
	if t.hasFinished() {
		return t.pastError()
	}
	if isOnLoop() {
		return errors.New("tinyio: Submit: coroutine " + t.describe() + " was submitted from inside a loop, which would be " +
			"blocked; await the coroutine instead, or, if it is for another loop, call Submit in RunInThread")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s := newSubmission(ctx, t, stack.Caller())
	if l.stopping.Load() != nil {
		s.starter = l.shielded.current()
	}
	if !l.inbox.post(&s.message) {
		return ErrNotRunning
	}
	if l.inbox.quick.Load() && l.counters.running.Load() == nil { // nobody knows how long a coroutine is going to run
		l.inbox.letLoopAnswer()
	}
	if s.answer.Load() == answered { // then no channel has to be made
		return s.err
	}
	a := &answer{make(chan struct{})}
	if !s.answer.CompareAndSwap(nil, a) {
		return s.err
	}
	select {
	case <-a.given:
		return s.err
	case <-ctx.Done():
		// Do not wait for the loop here: it may be stuck, and what was submitted may even wait for the caller to return.
		w := &withdrawal{of: s, cause: context.Cause(ctx)}
		w.to = w
		s.gone.Store(true)
		l.inbox.post(&w.message) // if that is refused, the run is over, and so is the submission
		return w.cause
	}
}

// letLoopAnswer lets the loop run, which may answer a caller of Submit meanwhile. That takes less time than for both to be parked and woken, but
// too much if all processors are busy: see courtesy.
func (b *inbox) letLoopAnswer() {
	began := time.Now()
	runtime.Gosched()
	if time.Since(began) > answerLimit {
		b.quick.Store(false)
	}
}

// answerLimit is how long a caller of Submit may let others run. Who keeps a processor busy has it for ten times as long.
const answerLimit = time.Millisecond

// Post starts cs on l, in that order, without waiting for them, as if the first coroutine of the run called [Co.Spawn]. Any goroutine
// may call it, and so may a coroutine and a host. What a coroutine inside an [Isolate] posts belongs to the run, and not to that
// domain. The coroutines start when the current turn has ended, and the run goes on until they have finished. Those that one goroutine
// posts and submits begin in the order in which it does so.
//
// If l has never been run, they wait until it is. If its run has ended, Post returns [ErrNotRunning]. If its run is being stopped, Post
// returns its [*CancelledError], unless the caller is a thread of shielded code (see [Submit]). If one of cs belongs to another loop,
// Post returns an error. If Post returns an error, it has started none of cs. What was posted just before the run is stopped never runs,
// like any other coroutine that is stopped before its first turn.
func (l *Loop) Post(cs ...Awaitable) error {
	if l == nil || l.clock == nil {
		panic("tinyio: Post: the Loop is nil or zero; make one with NewLoop")
	}
	for _, a := range cs {
		t := target(a)
		if t == nil || t.body == nil {
			panic("tinyio: Post: a coroutine is nil or zero; make it with New")
		}
		if of := t.loop.Load(); of != nil && of != l && !t.hasFinished() {
			return foreign(t)
		}
	}
	p := new(posting)
	p.cs = append(p.one[:0], cs...) // mostly it is one, and then nothing more is allocated
	if why := l.stopping.Load(); why != nil {
		if p.starter = l.shielded.current(); p.starter == nil {
			return why.err
		}
	}
	p.to = p
	b := &l.inbox
	if l.gate != nil {
		if r := l.runOfCaller(); r != nil { // it does not come from outside
			b = r.inbox
		}
	}
	if !b.post(&p.message) {
		return ErrNotRunning
	}
	return nil
}

// A posting is the message that brings the coroutines of a Post to the loop.
type posting struct {
	message
	cs      []Awaitable
	one     [1]Awaitable
	starter *task // the coroutine of the thread that has posted them, if that is one of shielded code
}

func (p *posting) arrive(r *run) { r.deferred.push(p) }

// do starts the coroutines. If another loop has claimed one since Post has returned, the run fails.
func (p *posting) do(r *run) {
	if r.ended { // the run could not begin
		return
	}
	for _, a := range p.cs {
		t := a.awaitable()
		if t.hasFinished() {
			continue
		}
		if err := t.claim(r.loop); err != nil {
			r.deferred.push(failure{err: err})
			continue
		}
		switch why := r.root.crash; {
		case t.state == fresh && t.scope != nil: // an Isolate or a First, whose turn has just ended, is going to start it
		case t.state == fresh && why != nil && !p.starter.isProtected():
			t.refuse(why.err)
		case t.state == fresh:
			r.start(t, r.root, nil)
			r.protect(t, p.starter)
		case t.daemon && t.state != done:
			t.daemon = false
			t.scope.daemons--
		}
		t.markSpawned()
	}
}

// A submission stands for a goroutine that waits in Submit. On the loop it is a coroutine, without a function or a stack, that awaits the
// one that was submitted: so all rules of awaiting hold for it.
type submission struct {
	message
	c       task
	target  *task
	inherit *coContext             // what the target inherits: the values of the caller's context, and what do adds
	starter *task                  // the coroutine of the thread that has called Submit, if that is one of shielded code
	gone    atomic.Bool            // the caller has returned
	answer  atomic.Pointer[answer] // what the caller waits for, if it does, or answered
	err     error                  // why the target has no value, once it has ended
}

// An answer wakes a caller of Submit.
type answer struct{ given chan struct{} }

// answered says that a submission has ended.
var answered = new(answer)

func newSubmission(ctx context.Context, t *task, caller uintptr) *submission {
	s := &submission{target: t, inherit: inheritable(ctx)}
	s.to = s
	s.c.init(s, caller)
	return s
}

// submissionName is the name of a coroutine that stands for a caller of Submit.
const submissionName = "tinyio.Submit"

func (s *submission) awaitable() *task { return &s.c }

func (s *submission) call(*Co) error {
	panic("tinyio: internal error: a submission is called; please report this")
}

// skip is the end of a submission whose run is discarded.
func (s *submission) skip() { s.end(ErrAbandoned) }

func (s *submission) arrive(r *run) { r.deferred.push(s) }

// do makes the submission wait for the target.
func (s *submission) do(r *run) {
	c := &s.c
	if s.gone.Load() && r.gate == nil { // the target is left unclaimed. (A gate has looked already.)
		return
	}
	if err := s.admit(r); err != nil {
		s.end(err)
		return
	}
	c.tryClaim(r.loop)
	c.state, c.wait, c.outcome = waiting, onTask, begun
	r.start(c, r.root, nil)
	r.protect(c, s.starter)
	s.inherit.limit(r.values)
	c.ctx.Set(s.inherit)
	c.one[0].line = &s.target.awaiters
	if r.watch != nil {
		r.noteSuspended(c)
	}
	r.asked.any, r.asked.claimed = true, true
	r.beginWait(c)
}

// admit claims the target for the loop. It returns an error if the loop refuses s.
func (s *submission) admit(r *run) error {
	switch {
	case r.isDiscarded():
		return ErrAbandoned
	case r.live() == 0: // the last coroutine has finished
		return ErrNotRunning
	case r.root.crash != nil && !s.starter.isProtected():
		return r.root.crash.err
	case s.target.hasFinished():
		return nil
	}
	return s.target.claim(r.loop)
}

// comeBack is called when the wait has ended: the target has finished, or the submission was halted and others wait for the target.
func (s *submission) comeBack() {
	c := &s.c
	c.outcome, c.wait = returned, onNothing
	if why := c.stop; why != nil && why.target == c { // the caller of Submit has gone
		r := c.run()
		r.orphan(why.cleanups)
	}
	s.end(s.result())
}

// result returns the error of Submit: why the target has no value.
func (s *submission) result() error {
	c, t := &s.c, s.target
	switch finished := t.state == done; {
	case finished && t.err == nil:
		return nil
	case finished && !t.clean:
		if _, traced := t.err.(*Error); traced {
			return t.err
		}
		submit := c.entryFrame()
		submit.Awaits = []int{1}
		return &Error{Err: t.err, Trace: []Frame{submit, t.entryFrame()}}
	case c.stop == nil:
		return t.err // of an Isolate, or a Cancel
	}
	return c.stop.err
}

// end makes Submit return err.
func (s *submission) end(err error) {
	s.err = err
	if a := s.answer.Swap(answered); a != nil {
		close(a.given)
	}
}

// A withdrawal says that the context of a submission is done.
type withdrawal struct {
	message
	of    *submission
	cause error
}

func (w *withdrawal) arrive(r *run) { r.deferred.push(w) }

// do halts the submission, and with it the target, unless others want the target.
func (w *withdrawal) do(r *run) {
	if c := &w.of.c; c.state == waiting {
		r.halt(c, &reason{err: &CancelledError{Cause: w.cause}, target: c})
	}
}

// startPosted does the postings that are deferred, up to the first deferred that is none. It is called before the wait of the coroutine begins:
// so what a coroutine posts and then awaits belongs to the run, and not to the domain of the coroutine.
func (r *run) startPosted() {
	for r.deferred.n > 0 {
		p, ok := r.deferred.front().(*posting)
		if !ok {
			return
		}
		r.deferred.pop()
		p.do(r)
	}
}

// shieldedThreads records which goroutines are threads of coroutines in a Shield. While a run is being stopped, only these threads may submit
// and post, and what they start is in the Shield too.
type shieldedThreads struct {
	coroutines sync.Map // from the ID of a goroutine to a shieldedThread
}

// enter records that the calling goroutine is a thread of c, which is in a Shield, until leave is called.
func (s *shieldedThreads) enter(c *task, ctx *threadContext) (leave func()) {
	g := stack.ID()
	if g == 0 { // goroutines cannot be told apart here
		return func() {}
	}
	s.coroutines.Store(g, shieldedThread{c, ctx})
	return func() { s.coroutines.Delete(g) }
}

// A shieldedThread is a coroutine in a Shield and the context of its thread.
type shieldedThread struct {
	c   *task
	ctx *threadContext
}

// current returns the coroutine of the calling goroutine, if that is one of these threads and its context is not done; otherwise nil.
func (s *shieldedThreads) current() *task {
	if t, ok := s.coroutines.Load(stack.ID()); ok && t.(shieldedThread).ctx.Err() == nil {
		return t.(shieldedThread).c
	}
	return nil
}

// isProtected reports whether c may go on although its run is being stopped. It is false if c is nil.
func (c *task) isProtected() bool {
	return c != nil && c.state != done && c.shield() != nil && c.mayWait()
}

// protect puts c, which a shielded thread has started while the run is being stopped, into the Shield of the thread's coroutine.
func (r *run) protect(c, starter *task) {
	if r.root.crash == nil || !starter.isProtected() {
		return
	}
	s := starter.shield()
	c.addCold().shield = s
	s.add(c)
	r.record(c, r.root.crash)
}

// isOnLoop reports whether the calling goroutine belongs to a loop, which it would block. If the goroutine may belong to one, isOnLoop looks
// for the loop's functions on the stack.
func isOnLoop() bool {
	if !stack.MayBeLoop() {
		return false
	}
	var usual [64]uintptr
	pcs := usual[:]
	n := runtime.Callers(1, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*n)
		n = runtime.Callers(1, pcs)
	}
	return slices.ContainsFunc(pcs[:n], func(pc uintptr) bool {
		f := runtime.FuncForPC(pc - 1)
		return f != nil && slices.Contains(loopFunctions, f.Entry())
	})
}

// loopFunctions are the functions of this package that call the user's code while a loop stands still: those of the loop itself, and
// those that run on the stacks of coroutines.
var loopFunctions []uintptr

func init() { // not in the declaration, since begin leads to isOnLoop, which uses loopFunctions
	loopFunctions = []uintptr{
		entryOf((*run).turns), entryOf((*run).over), entryOf((*run).steps), entryOf(begin), entryOf((*worker).serve), entryOf((*sandbox).Work),
	}
}
