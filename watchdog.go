package tinyio

import (
	"time"
	"unsafe"

	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/lookin"
)

// WithWatchdog makes a loop call tell when a turn has lasted d: a coroutine calls something that blocks, or computes for too long, and
// keeps all others from running. It is told once for each such turn, while the turn lasts, with the stack of its goroutine.
//
// The function tell is called on a goroutine of its own, one call at a time. It may call [Loop.Stats] and [Loop.Running]. The run ends
// only when it has returned, so it must not wait for that. A panic in it ends the program, as in any other goroutine; a
// [runtime.Goexit] ends the watching.
//
// The goroutine lives for as long as the run; in guest mode, for as long as the range over [Runtime.Steps], which the host therefore has
// to end or leave. The time between two steps is the host's and is not watched; nor is what an observer, a picker or a clock takes. Time is real time, or that of the testing/synctest bubble
// in which the run begins, whatever the clock of the loop says. A host that must have no goroutine and no clock of the loop's but its
// own must leave the option out.
//
// A loop with a watchdog looks at the clock at each turn. To take the stack stops the program, for some 20 µs for each of its
// goroutines.
func WithWatchdog(d time.Duration, tell func(s hook.Stuck)) Option {
	switch {
	case d <= 0:
		panic("tinyio: WithWatchdog: the time is not positive; pass how long a turn may last, such as time.Second")
	case tell == nil:
		panic("tinyio: WithWatchdog: the function is nil; pass one that logs what it is told, or leave the option out")
	}
	return func(l *Loop) { l.watchdog = &watchdog{d, tell} }
}

// A watchdog is what WithWatchdog was given.
type watchdog struct {
	limit time.Duration
	tell  func(s hook.Stuck)
}

// watchTurns starts the watchdog, if there is one. The run stops it.
func (r *run) watchTurns() {
	dog := r.loop.watchdog
	if dog == nil || r.ended {
		return
	}
	k := &r.loop.counters
	now := time.Now() // also if Running has asked since the last run, in another bubble perhaps
	k.asked.Store(&now)
	quit, gone := make(chan Void), make(chan Void)
	go func() {
		defer close(gone)
		dog.watch(k, now, quit)
	}()
	r.unwatch = func() {
		close(quit)
		<-gone
	}
}

// watch looks at the turns of a loop until it is told to quit. A turn that lasts for the limit is under way at one of the looks, which are
// no further apart. From then on it is known when it will have lasted for that.
func (d *watchdog) watch(k *counters, start time.Time, quit <-chan Void) {
	timer := time.NewTimer(d.limit)
	defer timer.Stop()
	told := int64(0) // the turn that was told of last
	for {
		select {
		case <-quit:
			return
		case <-timer.C:
		}
		wait := d.limit
		if turn, since, c := k.turn(); c != nil && turn != told {
			if lasted := time.Since(start) - since; lasted < d.limit {
				wait -= lasted
			} else {
				told = turn
				d.tell(hook.Stuck{
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

// turn is the number of the turn that is under way, when it began, and whose it is; nil if it is nobody's, or just changes. In beginTurn
// the time is written before the number, and that before the coroutine: a turn is never taken for an earlier one.
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
		return lookin.Rest{Daemon: s.daemon, Yielded: s.yielded, Stopped: s.stopped}
	}
}
