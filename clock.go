package tinyio

import (
	"math"
	"runtime"
	"time"

	"github.com/tinyio-go/tinyio/internal/timers"
)

// A Clock is where a loop has its time from, and how it passes the time when there is nothing to do. The methods are called
// while the loop stands still, on any goroutine. If one panics or calls [runtime.Goexit], the run is stopped and ends in the same
// way, and the loop goes by the real clock from then on.
type Clock interface {
	// Now returns the time. It must not go backwards.
	Now() time.Time

	// Idle is called when no coroutine is ready. It returns when the deadline has come, if that is not the zero
	// time, or when wake can be received from, which it then has been: something has come from outside. It may return
	// earlier. The number of threads tells how many threads and callbacks are under way, which is what wake can come
	// from, apart from an Event that some other goroutine sets. Idle returns false if it is certain that nothing
	// will ever happen any more, and the loop then fails with a [*DeadlockError].
	//
	// A loop in guest mode does not call Idle: its host waits instead.
	Idle(deadline time.Time, threads int, wake <-chan struct{}) bool

	// Rest is called at the end of a run, to let go of what the clock holds.
	Rest()
}

// WithClock makes a loop go by another clock, such as that of the simulation, or the game, which it is part of.
func WithClock(c Clock) Option {
	if c == nil {
		panic("tinyio: WithClock: the clock is nil; leave the option out for the real one")
	}
	return func(l *Loop) { l.clock = c }
}

// WithVirtualTime makes a loop skip idle time: whenever no coroutine is ready its clock jumps to the next deadline. The
// clock starts at midnight UTC on 2000-01-01. Tests of hours take milliseconds, and the same ones each time.
//
// Threads run in real time. While one is running the clock does not jump, unless none of them comes back for as long as
// [ThreadPatience], in real time: it may be blocked until something happens on the loop. If nobody is ready, no timer is
// set and no thread is running, the run fails with a [*DeadlockError]; that another goroutine could still set an
// [Event] does not count. In guest mode the loop waits for nothing, not for threads either: see [Pause].
func WithVirtualTime() Option {
	return func(l *Loop) { l.clock = &virtualClock{now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)} }
}

// ThreadPatience is how long, in real time, virtual time stands still for threads of which none comes back.
const ThreadPatience = 20 * time.Millisecond

// The realClock waits in real time.
type realClock struct{ timer *time.Timer }

func (*realClock) Now() time.Time { return time.Now() }

func (c *realClock) Idle(deadline time.Time, _ int, wake <-chan struct{}) bool {
	if deadline.IsZero() {
		<-wake
		return true
	}
	d := time.Until(deadline)
	if d <= 0 {
		return true
	}
	if c.timer == nil {
		c.timer = time.NewTimer(d)
	} else {
		c.timer.Reset(d)
	}
	select {
	case <-wake:
		c.timer.Stop()
	case <-c.timer.C:
	}
	return true
}

// Rest forgets the timer: the next run may be inside another testing/synctest bubble.
func (c *realClock) Rest() { c.timer = nil }

// The virtualClock jumps.
type virtualClock struct {
	now     time.Time
	waited  bool // for the threads that are running, in vain
	threads int  // that were running then
	real    realClock
}

func (c *virtualClock) Now() time.Time { return c.now }

func (c *virtualClock) Idle(deadline time.Time, threads int, wake <-chan struct{}) bool {
	switch {
	case deadline.IsZero() && threads == 0:
		return false
	case deadline.IsZero():
		<-wake
		return true
	case threads > 0 && !(c.waited && threads <= c.threads):
		until := time.Now().Add(ThreadPatience)
		c.real.Idle(until, threads, wake)
		c.waited, c.threads = !time.Now().Before(until), threads
		return true
	}
	c.now = deadline
	return true
}

func (c *virtualClock) Rest() { c.real.Rest(); c.waited = false }

// A clockKind is whose clock a run goes by: it may take a shorter way with its own.
type clockKind uint8

const (
	realTime clockKind = iota
	virtualTime
	givenTime
)

func kindOf(c Clock) clockKind {
	switch c.(type) {
	case *realClock:
		return realTime
	case *virtualClock:
		return virtualTime
	}
	return givenTime
}

// setTimer sets t to fire at a time that in has returned.
func (r *run) setTimer(t *timers.Timer, when int64, what timed) {
	if r.timers.Len() == 0 {
		r.turnsLeft = 0 // look at the clock before the next turn
	}
	r.timers.Add(t, when, what)
	r.countTimers()
}

// unset takes t out of the timers, if it is set.
func (r *run) unset(t *timers.Timer) {
	if t.Set() {
		r.timers.Remove(t)
		r.countTimers()
	}
}

// in is the time d from now. It calls the clock where that may exit.
func (r *run) in(d time.Duration) int64 { return r.after(r.now(), d) }

// inBeside is in for the middle of the loop's own work.
func (r *run) inBeside(d time.Duration) int64 {
	if r.kind != givenTime {
		return r.in(d)
	}
	now := r.read
	if f := r.beside(func() { now = int64(r.clock.Now().Sub(r.epoch)) }); f != nil {
		r.dropClock()
		r.deferred.push(*f)
	}
	return r.after(now, d)
}

// after is the time d after now.
func (r *run) after(now int64, d time.Duration) int64 {
	if d <= 0 {
		r.turnsLeft = 0 // look at the clock before the next turn
		return now
	}
	if when := now + int64(d); when >= now {
		return when
	}
	return math.MaxInt64
}

// now is the time on the loop's clock, in nanoseconds since its epoch.
func (r *run) now() int64 {
	if r.kind == realTime {
		return int64(time.Since(r.epoch)) // in half the time of time.Now
	}
	if r.kind == givenTime {
		return r.given()
	}
	return int64(r.clock.Now().Sub(r.epoch))
}

// given is now on a clock that the user has given.
func (r *run) given() (now int64) {
	now = r.read
	r.guard(r.dropClock, func() { now = int64(r.clock.Now().Sub(r.epoch)) })
	return now
}

// dropClock goes on without the clock, which has panicked.
func (r *run) dropClock() { r.clock, r.kind = new(realClock), realTime }

// What a timer is for.
type timed interface{ due(r *run) }

// fireTimers fires the timers that are due.
//
// Reading the real clock costs half as much as a turn, so a loop with timers set reads it every few turns only: as few as take
// about readEvery together, going by the last ones, and at most maxPeriod. If turns suddenly take long, a timer can be
// late by maxPeriod of them, once. A loop without timers reads no clock at all.
func (r *run) fireTimers() {
	if r.timers.Len() == 0 {
		return
	}
	if r.turnsLeft--; r.turnsLeft > 0 {
		return
	}
	r.fireDue()
}

const (
	readEvery = int64(50 * time.Microsecond)
	maxPeriod = 16
)

// fireDue reads the clock and fires the timers that are due.
func (r *run) fireDue() {
	now := r.now()
	switch passed := now - r.read; {
	case r.kind != realTime || r.hosted || passed >= readEvery:
		r.period = 1
	default:
		r.period = min(2*r.period, maxPeriod)
	}
	r.read, r.turnsLeft = now, r.period
	for r.timers.Len() > 0 && r.timers.Next() <= now {
		what := r.timers.Pop()
		r.countTimers()
		what.due(r)
	}
}

// Where Go has one thread and cannot interrupt a goroutine, one that never blocks keeps all others from running, and timers and
// contexts from ending: a loop that is busy would. Everywhere else Go sees to that itself, also with one processor.
const mustLetIn = runtime.GOARCH == "wasm"

// A pace tells a loop how many turns it may take before it lets in Go's scheduler, where it has to. That takes as long as 25 turns of
// one that yields alone, so it is done about every letInEvery, going by the last time, and at least every maxPace turns. If
// turns suddenly take long, others can wait for maxPace of them, once.
type pace struct {
	turns, period int
	last          time.Time
}

const (
	letInEvery = time.Millisecond
	maxPace    = 1024
)

// letIn lets other goroutines run, if it is time for that. It is called between two turns, before the inbox is looked at.
func (r *run) letIn() {
	if mustLetIn {
		if r.pace.turns--; r.pace.turns <= 0 {
			r.pace.letIn()
		}
	}
}

func (p *pace) letIn() {
	runtime.Gosched()
	now := time.Now()
	if now.Sub(p.last) < letInEvery {
		p.period = min(2*p.period, maxPace)
	} else {
		p.period = 1
	}
	p.last, p.turns = now, p.period
}

// idle waits until there is something to do.
func (r *run) idle() {
	if r.threads > 0 && r.kind == realTime {
		// A thread that has just been started gets a chance to finish here, on this processor, before the loop is parked and has to
		// be woken from another one: the round trip takes 1.0 µs instead of 1.4.
		runtime.Gosched()
	}
	if r.loop.inbox.rest() {
		if !r.wait() {
			r.deadlocked()
		}
		r.loop.inbox.rise()
	}
	r.turnsLeft = 0
}

// wait has the clock wait, and reports whether anything can still happen.
func (r *run) wait() (possible bool) {
	if r.kind == givenTime {
		return r.waitGiven()
	}
	return r.clock.Idle(r.deadline(), r.threads, r.loop.inbox.self.wake)
}

// waitGiven is wait with a clock that the user has given.
func (r *run) waitGiven() bool {
	possible := true
	r.guard(r.dropClock, func() { possible = r.clock.Idle(r.deadline(), r.threads, r.loop.inbox.self.wake) })
	return possible
}

// deadline is that of the next timer, the zero time if none is set.
func (r *run) deadline() time.Time {
	if r.timers.Len() == 0 {
		return time.Time{}
	}
	return r.at(r.timers.Next())
}

// at is a time of the run on its clock.
func (r *run) at(when int64) time.Time { return r.epoch.Add(time.Duration(when)) }
