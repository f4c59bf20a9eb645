package tinyio

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"time"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/timers"
)

// WithClock makes a loop use another clock, such as that of the simulation or the game that it is part of.
func WithClock(c hook.Clock) Option {
	if c == nil {
		panic("tinyio: WithClock: the clock is nil; leave the option out for the real one")
	}
	if _, idles := c.(hook.Idler); !idles {
		if _, wrong := reflect.TypeOf(c).MethodByName("Idle"); wrong {
			panic(fmt.Sprintf("tinyio: WithClock: %T has a method Idle that is not the one of hook.Idler, so it would never be called; "+
				"give it that signature, or another name", c))
		}
	}
	return func(l *Loop) { l.clock, l.clockKind = c, givenTime }
}

// WithVirtualTime makes a loop skip idle time: whenever no coroutine is ready its clock jumps to the next deadline. The
// clock starts at midnight UTC on 2000-01-01. Tests of hours take milliseconds, and the same ones each time.
//
// Threads run in real time. While a thread is running, the clock does not jump. But if no thread returns for [ThreadPatience], in
// real time, it jumps all the same: the threads may be blocked until something happens on the loop. If no coroutine is ready, no
// timer is set and no thread is running, the run fails with a [*DeadlockError], even if another goroutine could still set an
// [Event]. In guest mode the loop waits for nothing, and not for threads either: see [Pause].
func WithVirtualTime() Option {
	return func(l *Loop) {
		l.clock, l.clockKind = &virtualClock{now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}, virtualTime
	}
}

// ThreadPatience is how long, in real time, virtual time stands still while no running thread returns.
const ThreadPatience = 20 * time.Millisecond

// The realClock is the clock of the machine.
type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

// A patientClock adds Idle to a clock that has none: it waits in real time.
type patientClock struct {
	hook.Clock
	timer *time.Timer
}

func (c *patientClock) Idle(p hook.Pause) bool {
	if p.Deadline.IsZero() {
		<-p.Wake
		return true
	}
	d := p.Deadline.Sub(c.Now())
	if d <= 0 {
		return true
	}
	if c.timer == nil {
		c.timer = time.NewTimer(d)
	} else {
		c.timer.Reset(d)
	}
	select {
	case <-p.Wake:
		c.timer.Stop()
	case <-c.timer.C:
	}
	return true
}

// The virtualClock jumps to the next deadline when the loop is idle.
type virtualClock struct {
	now    time.Time
	waited bool       // the last wait for threads has reached ThreadPatience
	pause  hook.Pause // of that wait
}

func (c *virtualClock) Now() time.Time { return c.now }

func (c *virtualClock) Idle(p hook.Pause) bool {
	// When a thread has come back or a new one has been started since, the clock waits for ThreadPatience again.
	waited := c.waited && p.Returned == c.pause.Returned && p.Threads <= c.pause.Threads
	switch {
	case p.Deadline.IsZero() && p.Threads > 0:
		<-p.Wake
		return true
	case p.Threads > 0 && !waited:
		c.pause = p
		limit := time.NewTimer(ThreadPatience)
		defer limit.Stop()
		select {
		case <-p.Wake:
			c.waited = false
		case <-limit.C:
			c.waited = true
		}
		return true
	}
	return c.Skip(p)
}

func (c *virtualClock) Skip(p hook.Pause) bool {
	if p.Deadline.IsZero() {
		return p.Threads > 0
	}
	c.now = p.Deadline
	return true
}

// A clockKind says which clock a run uses: that of the machine can be read more quickly, and one given by the user may panic.
type clockKind uint8

const (
	realTime clockKind = iota
	virtualTime
	givenTime
)

// setClock makes c the clock of r.
func (r *run) setClock(c hook.Clock, kind clockKind) {
	r.clock, r.kind = c, kind
	var ok bool
	if r.idler, ok = c.(hook.Idler); !ok {
		r.idler = &patientClock{Clock: c} // one for each run, since each may be in a testing/synctest bubble of its own
	}
}

// setTimer sets t to fire at when, which is a time that in has returned.
func (r *run) setTimer(t *timers.Timer, when int64, what timed) {
	if r.timers.Len() == 0 {
		r.turnsLeft = 0 // look at the clock before the next turn
	}
	r.timers.Add(t, when, what)
	r.countTimers()
}

// unset removes t from the timers, if it is set.
func (r *run) unset(t *timers.Timer) {
	if t.Set() {
		r.timers.Remove(t)
		r.countTimers()
	}
}

// in returns the time d from now. It reads the clock, which may exit: see caught for where that is allowed.
func (r *run) in(d time.Duration) int64 { return r.after(r.now(), d) }

// inSandboxed is in for calls while the loop's work is half done: it reads the clock in a sandbox.
func (r *run) inSandboxed(d time.Duration) int64 {
	if r.kind != givenTime {
		return r.in(d)
	}
	now := r.read
	if f := r.inSandbox(func() { now = int64(r.clock.Now().Sub(r.epoch)) }); f != nil {
		r.dropClock()
		r.deferred.push(*f)
	}
	return r.after(now, d)
}

// after returns the time d after now.
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

// now returns the time on the loop's clock, in nanoseconds since the epoch of the run.
func (r *run) now() int64 {
	if r.kind == realTime {
		return int64(time.Since(r.epoch)) // in half the time of time.Now
	}
	if r.kind == givenTime {
		return r.given()
	}
	return int64(r.clock.Now().Sub(r.epoch))
}

// given is now for a clock that the user has given.
func (r *run) given() (now int64) {
	returned := false
	defer r.caught(&returned, (*run).dropClock)
	now = r.read
	now = int64(r.clock.Now().Sub(r.epoch))
	returned = true
	return now
}

// dropClock replaces the clock, which has panicked or exited, with the real one.
func (r *run) dropClock() { r.setClock(realClock{}, realTime) }

// A timed is what a timer is for: due is called when the timer fires.
type timed interface{ due(r *run) }

const (
	readEvery = int64(50 * time.Microsecond)
	maxPeriod = 16
)

// isTimerDue reports whether the next timer is due. There must be one. It is called before each turn.
//
// Reading the real clock costs half as much as a turn. So a loop with timers reads it only every few turns: as many as take about
// readEvery together, judging by the last ones, and at most maxPeriod. If turns suddenly take long, a timer can be late by maxPeriod
// of them, once. A loop without timers reads no clock at all.
func (r *run) isTimerDue() bool {
	if r.turnsLeft--; r.turnsLeft > 0 {
		return false
	}
	next := r.timers.Next()
	if next > r.read {
		r.readClock()
	}
	if next > r.read {
		return false
	}
	r.turnsLeft = 0 // the run loop, which fires the timer, has to be told the same
	return true
}

// readClock reads the clock, and determines how many turns lie between this and the next reading.
func (r *run) readClock() {
	now := r.now()
	switch passed := now - r.read; {
	case r.kind != realTime || r.hosted || passed >= readEvery:
		r.period = 1
	default:
		r.period = min(2*r.period, maxPeriod)
	}
	r.read, r.turnsLeft = now, r.period
}

// fireTimers fires the timers that are due.
func (r *run) fireTimers() {
	if r.timers.Len() == 0 || !r.isTimerDue() {
		return
	}
	for r.timers.Len() > 0 && r.timers.Next() <= r.read {
		what := r.timers.Pop()
		r.countTimers()
		what.due(r)
	}
	r.turnsLeft = r.period
}

// On wasm, Go has one thread and cannot preempt a goroutine. A goroutine that never blocks, such as a busy loop, then keeps all others
// from running, and timers and contexts from ending. Everywhere else Go's scheduler preempts it, even with one processor.
const mustLetIn = runtime.GOARCH == "wasm"

// A pace says after how many turns a loop calls Go's scheduler, where it has to. A call takes as long as 25 turns of a coroutine that
// yields alone, so it is made about every letInEvery, judging by the last time, and at least every maxPace turns. If turns suddenly
// take long, other goroutines can wait for maxPace of them, once.
type pace struct {
	turns, period int
	last          time.Time
}

const (
	letInEvery = time.Millisecond
	maxPace    = 1024
)

// letIn lets other goroutines run, if it is time for that. It is called between two turns, before the inbox is read.
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

// letOthersRun is called when the loop has nothing to do, and something has come from outside or a thread has been started since it was last
// called. It lets other goroutines run, and reports whether something has come. A thread that has just been started may end by then, and
// who has got an answer may ask again. That takes less time than to park the loop and to wake it.
func (r *run) letOthersRun() (come bool) {
	r.expects = false
	c := &r.courtesy
	if c.skips > 0 {
		c.skips--
		return false
	}
	r.loop.counters.running.Set(nil)
	if c.left--; c.left > 0 {
		runtime.Gosched()
	} else {
		began := time.Now()
		runtime.Gosched()
		c.took(time.Since(began))
		r.loop.inbox.quick.Store(c.skips == 0)
	}
	return !r.inbox.empty()
}

// expect notes that something may come soon, so that letOthersRun is called before the loop is parked.
func (r *run) expect() { r.expects = r.kind == realTime && !r.hosted }

// A courtesy finds out whether it takes too long to let other goroutines run. If all processors are busy, the loop goes on only when each of
// these goroutines has had its turn, of up to 10 ms. A loop that is parked goes on as soon as it is woken. So every few times the courtesy
// measures how long it takes. If that is too long, the loop does not let others run the next times, twice as many each time. Because it
// measures only every few times, a loop without timers seldom reads the clock.
type courtesy struct {
	left   int // how many times until the next measurement
	period int // from one measurement to the next
	skips  int // how many times the loop is still not to let others run
	pause  int // how many times it was not to, after the last measurement
}

const (
	courtesyLimit      = 100 * time.Microsecond
	minPause, maxPause = 128, 1 << 16
)

// took takes account of a measurement.
func (c *courtesy) took(d time.Duration) {
	if d < courtesyLimit {
		c.period, c.pause = min(2*c.period+1, maxPeriod), 0
	} else {
		c.period, c.pause = 0, min(max(2*c.pause, minPause), maxPause)
	}
	c.left, c.skips = c.period, c.pause
}

// idle waits until there is something to do.
func (r *run) idle() {
	if r.expects {
		r.letOthersRun()
	}
	if r.loop.inbox.empty() && r.loop.inbox.sleep() {
		if !r.wait() {
			r.deadlocked()
		}
		r.loop.inbox.awake()
	}
	r.turnsLeft = 0
}

// wait makes the clock wait, and reports whether anything can still happen.
func (r *run) wait() (possible bool) {
	returned := false
	defer r.caught(&returned, (*run).dropClock)
	possible = true
	possible = r.idler.Idle(r.pauseForClock())
	returned = true
	return possible
}

// pauseForClock returns what r waits for when no coroutine is ready.
func (r *run) pauseForClock() hook.Pause {
	return hook.Pause{Deadline: r.deadline(), Wake: r.loop.inbox.self.wake, Threads: r.threads, Returned: r.returned}
}

// deadline returns the deadline of the next timer; the zero time if none is set.
func (r *run) deadline() time.Time {
	if r.timers.Len() == 0 {
		return time.Time{}
	}
	return r.at(r.timers.Next())
}

// at returns the time on the clock for when, a time of the run.
func (r *run) at(when int64) time.Time { return r.epoch.Add(time.Duration(when)) }
