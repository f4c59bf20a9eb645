package tinyio

import (
	"time"
	"unsafe"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/lookin"
)

// WithWatchdog makes a loop call report when a turn has lasted d: the coroutine has called something that blocks, or computes for too
// long, and keeps all others from running. It is called once for each such turn, during the turn, with the stack of its goroutine.
//
// The function report is called on a goroutine of its own, one call at a time. It may call [Loop.Stats] and [Loop.Running]. The run
// ends only when report has returned, so report must not wait for the end of the run. A panic in it ends the program, as in any
// other goroutine; a [runtime.Goexit] ends the watchdog.
//
// The goroutine lives for as long as the run. In guest mode it lives for as long as the range over [Runtime.Steps], so the host has to
// finish or leave the range. The time between two steps belongs to the host and is not watched, nor is the time that an observer, a
// picker or a clock takes. Time is real time, or that of the testing/synctest bubble in which the run begins, whatever the clock of
// the loop says. A host that allows no other goroutines and no other clock must leave the option out.
//
// A loop with a watchdog reads the clock in each turn. To record the stack stops the program, for some 20 µs for each of its
// goroutines.
func WithWatchdog(d time.Duration, report func(s hook.Stuck)) Option {
	switch {
	case d <= 0:
		panic("tinyio: WithWatchdog: the time is not positive; pass how long a turn may last, such as time.Second")
	case report == nil:
		panic("tinyio: WithWatchdog: the function is nil; pass one that logs its argument, or leave the option out")
	}
	return func(l *Loop) { l.watchdog = &watchdog{d, report} }
}

// A watchdog is the arguments of WithWatchdog.
type watchdog struct {
	limit  time.Duration
	report func(s hook.Stuck)
}

// watchTurns starts the watchdog, if there is one. The run stops it.
func (r *run) watchTurns() {
	dog := r.loop.watchdog
	if dog == nil || r.ended {
		return
	}
	k := &r.loop.counters
	now := time.Now() // replaces a time that Running may have set since the last run, perhaps in another bubble
	k.asked.Store(&now)
	quit, gone := make(chan Void), make(chan Void)
	go func() {
		defer close(gone)
		dog.watch(k, now, quit)
	}()
	r.stopWatchdog = func() {
		close(quit)
		<-gone
	}
}

// watch looks at the turns of a loop until quit is closed. The looks are at most the limit apart, so a turn that lasts for the limit is
// seen by one of them. The next look is then when the turn will have lasted for the limit.
func (d *watchdog) watch(k *counters, start time.Time, quit <-chan Void) {
	timer := time.NewTimer(d.limit)
	defer timer.Stop()
	reported := int64(0) // the turn that was reported last
	for {
		select {
		case <-quit:
			return
		case <-timer.C:
		}
		wait := d.limit
		if turn, since, c := k.turn(); c != nil && turn != reported {
			if lasted := time.Since(start) - since; lasted < d.limit {
				wait -= lasted
			} else {
				reported = turn
				d.report(hook.Stuck{
					Coro:   c.label(),
					Since:  start.Add(since),
					Lasted: lasted,
					Stack:  lookin.Of(lookin.Dump(), uintptr(unsafe.Pointer(c))),
				})
			}
		}
		timer.Reset(wait)
	}
}

// turn returns the number of the current turn, when it began, and its coroutine; nil if no turn is going on, or if it changes just now.
// The loop writes the time first (announce), then the number and then the coroutine (beginTurn), so a turn is never taken for an
// earlier one.
func (k *counters) turn() (number int64, since time.Duration, c *task) {
	number = k.turns.Load()
	since = time.Duration(k.since.Load())
	if c = k.running.Load(); k.turns.Load() != number {
		c = nil
	}
	return number, since, c
}

func init() {
	lookin.Turn = func(loop any) uintptr { return uintptr(unsafe.Pointer(loop.(*Loop).counters.running.Load())) }
	lookin.More = func(status any) lookin.Rest {
		s := status.(Status)
		return lookin.Rest{Daemon: s.daemon, Yielded: s.yielded, Stopped: s.stopped, Permits: s.line, Served: s.served}
	}
}
