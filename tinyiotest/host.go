package tinyiotest

import (
	"fmt"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// What a trial is to its loop. Each of these is a type of its own so that a trial has no methods but those that are about it.
type (
	hostClock    struct{ r *trial }
	hostPicker   struct{ r *trial }
	hostObserver struct{ r *trial }
)

func (h hostClock) Now() time.Time { return h.r.clock.now() }

// Idle is called only when the run has been given up and is being stopped.
func (h hostClock) Idle(p hook.Pause) bool {
	r := h.r
	if r.settle() > 0 || r.idle(p.Deadline, p.Wake) {
		return true
	}
	if r.outside == 0 {
		return false
	}
	close(r.gaveUp) // a thread ignores its context, and nothing stops a goroutine from outside
	select {}
}

func (h hostPicker) Pick(ready []hook.ID) int {
	r := h.r
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.picks
	r.picks++
	switch i := r.strategy.choose(n, ready); {
	case i == 0:
	case i >= len(ready):
		r.misfits(fmt.Errorf("at pick %d there are %d to choose from, and it wants number %d", n, len(ready), i))
	default:
		r.log.instead(r, ready[0])
		r.deviate(deviation{pick, n, i})
		return i
	}
	r.points = append(r.points, point{deviation{kind: pick, at: n}, len(ready)})
	return 0
}

func (r *trial) misfits(err error) {
	if r.misfit == nil {
		r.misfit = err
	}
}

func (h hostObserver) Observe(n hook.Note) {
	r := h.r
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.coroOf(n)
	switch n.What {
	case hook.Started:
		c.started++
	case hook.Resumed:
		r.turns++
		r.mix(uint64(c.number))
	case hook.Suspended:
		if c.outside = n.Wait == hook.Outside || n.Wait == hook.Call; c.outside {
			r.outside++
		}
	case hook.Woken:
		if c.outside {
			c.outside = false
			r.outside--
		}
	case hook.Finished:
		c.ended++
	}
	r.log.add(r, n)
}

// coroOf is the coroutine that n is about. They are numbered here, as they are started: the loop numbers them as they are met,
// and to ask it for whom one waits is to meet them.
func (r *trial) coroOf(n hook.Note) *coro {
	for int(n.Coro) >= len(r.coros) {
		r.coros = append(r.coros, coro{})
	}
	c := &r.coros[n.Coro]
	if n.What == hook.Started && c.started == 0 {
		c.name, c.number = shortName(n), r.started
		r.started++
	}
	return c
}

// Threads run in goroutines, and their results come back between two steps, in the order in which the threads were started:
// which of several was faster is not to make a difference.
type threads struct {
	started int
	live    []*thread
	news    chan struct{} // one has ended
}

type thread struct {
	*hook.Thread
	ended  chan struct{} // closed then
	waited bool          // in vain, for as long as patience lasts
}

func (r *trial) startThread(t *hook.Thread) {
	r.mu.Lock()
	n := r.threads.started
	r.threads.started++
	failing := r.fault(fail, n)
	if failing {
		r.log.fault("its thread fails instead of running", true)
	}
	r.mu.Unlock()
	if failing {
		t.Fail(fmt.Errorf("%w: thread %d failed", ErrInjected, n))
		return
	}
	th := &thread{Thread: t, ended: make(chan struct{})}
	r.threads.live = append(r.threads.live, th)
	go func() {
		defer func() {
			close(th.ended)
			select {
			case r.threads.news <- struct{}{}:
			default:
			}
		}()
		th.Run()
	}()
}

// settle waits until no thread can go on by itself, and brings back the results of those that have ended.
func (r *trial) settle() (ended int) {
	if r.bubble != nil {
		synctest.Wait()
	}
	var live []*thread
	for _, t := range r.threads.live {
		if t.hasEnded(r.bubble == nil) {
			t.Return()
			ended++
		} else {
			live = append(live, t)
		}
	}
	r.threads.live = live
	return ended
}

// hasEnded reports whether t has ended. Outside a bubble nobody knows whether it will before anything else happens, and it is
// given the time that tinyio.WithVirtualTime gives it, once.
func (t *thread) hasEnded(patiently bool) bool {
	select {
	case <-t.ended:
		return true
	default:
	}
	if !patiently || t.waited {
		return false
	}
	t.waited = true
	limit := time.NewTimer(tinyio.ThreadPatience)
	defer limit.Stop()
	select {
	case <-t.ended:
		return true
	case <-limit.C:
		return false
	}
}

// How long a run waits, with no timer set, for a thread or callback to come back: in a bubble that takes no time.
const (
	hangsAfter       = 10 * time.Second
	hangsAfterBubble = 365 * 24 * time.Hour
)

// idle waits until the deadline has come or something has come from outside. It returns false if neither is going to happen.
func (r *trial) idle(deadline time.Time, wake <-chan struct{}) bool {
	if deadline.IsZero() && r.outside == 0 {
		return false
	}
	limit := r.patience(deadline)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-wake:
			r.settle()
			return true
		case <-r.threads.news:
			if r.settle() > 0 {
				return true
			}
		case <-timer.C:
			// In a bubble, threads may wake at the same instant; which of the two is noticed first must not matter.
			ended := r.settle() > 0
			r.clock.jump(deadline)
			return ended || !deadline.IsZero()
		}
	}
}

// patience is how long idle waits: in a bubble that takes no time, and the clock is there when it is over.
func (r *trial) patience(deadline time.Time) time.Duration {
	switch {
	case r.bubble != nil && deadline.IsZero():
		return hangsAfterBubble
	case r.bubble != nil:
		return deadline.Sub(r.clock.now())
	case deadline.IsZero():
		return hangsAfter
	case r.outside == 0 || len(r.threads.live) == r.outside: // which have all been waited for in vain
		return 0
	default:
		return tinyio.ThreadPatience
	}
}
