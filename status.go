package tinyio

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tinyio-go/tinyio/internal/publish"
)

// How to see what a loop is doing. Status is for the loop itself, and Snapshot makes the loop call it between two turns. During a turn
// the loop cannot answer. So what Stats and Running return is published whenever it changes, by plain stores (see package publish).
// They cost a nanosecond a turn, and are made whether anybody asks or not: a loop that is stuck could not begin with it when asked.

// A Status is what a live coroutine is doing.
type Status struct {
	Frame              // its name, and where it waits
	ID                 // its number on its loop
	State    string    // "ready", "running" or "waiting"
	On       string    // what it waits for, in words, if it waits
	For      []ID      // the coroutines that it waits for, if it waits for any
	Deadline time.Time // when its sleep ends, or the limit of its wait, on the loop's clock; zero if there is none

	names   []string // of those in For
	daemon  bool
	yielded bool    // it is ready because it let the others have their turn
	stopped error   // what its waits end with, if it is being stopped
	line    uintptr // for what permits it waits
	served  int32   // how many waits for these have been served
}

// String says what the coroutine is doing, and where. It names the coroutines in For; if the Status was not made by this package, it
// gives their numbers.
func (s Status) String() string {
	what := s.State
	if s.On != "" {
		what += " for " + s.On
	}
	if len(s.For) > 0 {
		names := s.names
		if len(names) != len(s.For) {
			names = nil
			for _, id := range s.For {
				names = append(names, "#"+strconv.Itoa(int(id)))
			}
		}
		what += " (" + strings.Join(names, ", ") + ")"
	}
	return fmt.Sprintf("%s: %s at %s:%d", s.Coro, what, s.File, s.Line)
}

// Status returns what every live coroutine is doing, in the order in which they were started, those inside an [Isolate] after the
// coroutine that isolates them. A host may call it between two steps, and so may the loop's running coroutine; other goroutines use
// [Loop.Snapshot]. It is slow: use it for diagnosis.
func (l *Loop) Status() (all []Status) {
	r := l.run
	if r == nil || r.ended {
		return nil
	}
	for c := range r.root.members {
		r.id(c) // numbers those that have no number yet, in this order
	}
	all = make([]Status, 0, r.live())
	for c := range r.root.members {
		all = append(all, r.status(c))
	}
	return all
}

// status returns what c is doing.
func (r *run) status(c *task) Status {
	s := Status{Frame: r.where(c), ID: r.id(c), State: c.state.String(), daemon: c.daemon, yielded: c.state == ready && c.wait == onTurn}
	if i, ok := c.element(); ok {
		s.Coro = fmt.Sprintf("%s[%d]", s.Coro, i)
	}
	if c.stop != nil {
		s.stopped = c.stop.err
	}
	if c.state == waiting {
		s.On = c.wait.String()
		if c.wait == onPermit {
			line := c.one[0].line
			s.line, s.served = uintptr(unsafe.Pointer(line)), line.served
		}
		for t := range c.targets {
			s.For, s.names = append(s.For, r.id(t)), append(s.names, r.label(t))
		}
	}
	if c.timer.Set() {
		s.Deadline = r.at(r.timers.When(&c.timer))
	}
	return s
}

// Snapshot is [Loop.Status] for other goroutines. It may be called at any time, and blocks until the loop answers, between two turns or,
// in guest mode, in the next step. When ctx is done, it returns [context.Cause] of ctx. If the loop is not running, it returns
// [ErrNotRunning]. In a coroutine, an observer or the range over [Runtime.Steps] it would block the loop, and returns an error.
func (l *Loop) Snapshot(ctx context.Context) ([]Status, error) {
	switch {
	case ctx == nil:
		panic("tinyio: Snapshot: the context is nil; pass context.Background() if there is none")
	case l == nil || l.clock == nil:
		panic("tinyio: Snapshot: the Loop is nil or zero; make one with NewLoop")
	}
	if isOnLoop() {
		return nil, errors.New("tinyio: Snapshot: it was called from inside a loop, which would be blocked; use Status there, or, " +
			"for another loop, call Snapshot in RunInThread")
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s := &snapshot{taken: make(chan struct{})}
	s.to = s
	if !l.active.Load() || !l.inbox.post(&s.message) {
		return nil, ErrNotRunning
	}
	select {
	case <-s.taken:
		return s.all, s.err
	case <-ctx.Done():
		s.gone.Store(true)
		return nil, context.Cause(ctx)
	}
}

// A snapshot asks a loop for its Status.
type snapshot struct {
	message
	all   []Status
	err   error
	taken chan struct{}
	gone  atomic.Bool // the caller has given up: the loop need not answer
}

func (s *snapshot) arrive(r *run) { r.deferred.push(s) }

func (s *snapshot) do(r *run) {
	if s.gone.Load() {
		return
	}
	if r.isDiscarded() {
		s.err = ErrNotRunning
	} else {
		s.all = r.loop.Status()
	}
	close(s.taken)
}

// Stats are counters of a loop. The first four count since the loop was made, over all of its runs.
type Stats struct {
	Started  uint64 // coroutines that have been started
	Finished uint64 // coroutines that have finished, in whatever way
	Failed   uint64 // those of them that failed: with an error of their own, a panic or a Goexit, and not because they were stopped
	Turns    uint64 // turns that coroutines have had; a Yield with nobody else ready may be none
	Live     int    // coroutines that have been started and have not finished
	Ready    int    // those of them that are in the ready queue; the one whose turn it is is not
	Threads  int    // threads, calls and callbacks that have started and have not come back
	Timers   int    // timers that are set: of sleeps, and of limits to waits and Shields
}

// counters are what Stats and Running return. Only the goroutine whose turn it is on the loop writes them.
type counters struct {
	started, finished, failed publish.Count
	turns                     publish.Count
	live, ready               publish.Count
	threads, timers           publish.Count
	running                   publish.Pointer[task] // whose turn it is
	since                     publish.Count         // when that began, in nanoseconds from asked; 0 if it began before that
	asked                     atomic.Pointer[time.Time]
}

// Stats returns the counters of l. It may be called from any goroutine at any time, and returns at once, even while a coroutine
// blocks the loop. While the loop runs, each counter by itself is right, and they may be some nanoseconds apart.
func (l *Loop) Stats() Stats {
	k := &l.counters
	return Stats{ // Started is read last, so that no more have finished than were started
		Finished: uint64(k.finished.Load()),
		Failed:   uint64(k.failed.Load()),
		Live:     int(k.live.Load()),
		Ready:    int(k.ready.Load()),
		Threads:  int(k.threads.Load()),
		Timers:   int(k.timers.Load()),
		Turns:    uint64(k.turns.Load()),
		Started:  uint64(k.started.Load()),
	}
}

// Running returns the name of the running coroutine of l, and when its turn began. If no coroutine is running, because the loop waits or
// does not run, ok is false. Running may be called from any goroutine at any time, and returns at once, even while a coroutine blocks
// the loop: that is what it is for.
//
// The time is real time. In each run, the loop begins to record it when Running is first called: for the turn of that call, since is the
// time of the call. From then on each turn of the run reads the clock.
//
// A Yield may begin no new turn if nobody else is ready: a coroutine that yields alone has been running since it was last resumed. Running
// does not say how long the longest turn took, since each turn would have to read the clock twice. An observer can measure that, and
// [WithWatchdog] reports turns that take too long.
func (l *Loop) Running() (name string, since time.Time, ok bool) {
	k := &l.counters
	asked := k.asked.Load()
	if asked == nil {
		now := time.Now()
		asked = &now
		k.asked.CompareAndSwap(nil, asked)
	}
	// The loop writes the time before the coroutine, so a coroutine is never seen with the time of an earlier turn.
	c := k.running.Load()
	if c == nil {
		return "", time.Time{}, false
	}
	return c.label(), asked.Add(time.Duration(k.since.Load())), true
}

// live returns how many coroutines have been started and have not finished, in all scopes.
func (r *run) live() int { return int(r.loop.counters.live.Load()) }

// countStarted counts a coroutine that has been started.
func (r *run) countStarted() {
	k := &r.loop.counters
	k.started.Add(1)
	k.live.Add(1)
}

// countFinished counts a coroutine that has finished.
func (r *run) countFinished() {
	k := &r.loop.counters
	k.live.Add(-1)
	k.finished.Add(1)
}

// addThreads adds n to the number of threads, calls and callbacks.
func (r *run) addThreads(n int) {
	r.threads += n
	r.expect()
	r.loop.counters.threads.Set(int64(r.threads))
}

// countTimers publishes how many timers are set.
func (r *run) countTimers() { r.loop.counters.timers.Set(int64(r.timers.Len())) }

// reset sets the counters to those of a loop that does not run.
func (k *counters) reset() {
	k.live.Set(0)
	k.ready.Set(0)
	k.threads.Set(0)
	k.timers.Set(0)
	k.running.Set(nil)
	k.asked.Store(nil) // the next run may be inside another testing/synctest bubble
	k.since.Set(0)
}
