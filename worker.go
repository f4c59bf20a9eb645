package tinyio

import (
	"runtime/debug"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// How control passes from one goroutine to another. Coroutines run on workers; the loop runs on the goroutine of Run, or of the
// host, the driver, or on the carrier's (see carry). At any time one of them runs and all others are parked, each in some
// place: see package stack. To go on with somebody is to change places.
//
// Loop.running says whose turn it is: a coroutine's, or, when it is nil, the loop's. Whoever goes on and finds that it
// is not their turn passes on to whose it is. That happens when a worker ends, for it sets whoever is parked in the place that it
// began in going; and when a probe wants to know where a coroutine waits.

// A worker is a goroutine on which coroutines run, one after another. Making one costs as much as starting a goroutine, so
// one whose coroutine has finished is worth keeping for the next.
type worker struct {
	home   stack.Place  // in which it is parked at first
	at     *stack.Place // in which it is parked, when it is idle
	loop   *Loop
	task   *coroutine // nil when it is idle
	id     uintptr    // of its goroutine
	begun  bool       // the task has
	quit   bool       // it is to end
	exited bool       // a coroutine has called runtime.Goexit on it
}

// spareWorkers is how many idle workers a loop keeps for new coroutines. Beyond that a burst of coroutines gives its
// memory back.
var spareWorkers = 1024 // a variable for the sake of tests

// hire returns an idle worker.
func (l *Loop) hire() *worker {
	if n := len(l.idlers); n > 0 {
		w := l.idlers[n-1]
		l.idlers[n-1] = nil
		l.idlers = l.idlers[:n-1]
		return w
	}
	w := &worker{loop: l}
	w.home.Init(w)
	w.at = &w.home
	return w
}

// give makes c the task of w. It begins when somebody goes on with c.
func (w *worker) give(c *coroutine) {
	w.task, w.begun = c, false
	c.at, c.outcome = w.at, pending
}

// Work is what the goroutine of w does.
func (w *worker) Work() {
	defer w.survive()
	w.id = stack.ID()
	for !w.quit {
		switch c := w.task; {
		case c == nil:
			w.loop.passOn(&w.at)
		case !w.begun:
			w.begun = true
			c.run(w)
		default:
			c.at = nil
			w.task, w.begun = nil, false
			if p := w.loop.leave(c, w); p != nil {
				if p.Odd = !p.Odd; p.Odd { // as in suspend
					p.Next()
				} else {
					p.Yield(struct{}{})
				}
			}
		}
	}
}

// survive goes on with the work after a coroutine has called runtime.Goexit. That cannot be stopped, but it can be put off for as long
// as there is work to do.
func (w *worker) survive() {
	switch p := recover(); {
	case p == stack.Exited: // the neighbour has, and has ended
	case p != nil:
		w.loop.mishap(p)
	case !w.quit:
		w.exited = true
	case w.exited:
		panic(stack.Exited)
	default:
		return
	}
	w.Work()
}

// rest makes w idle, or makes it end if there are idle ones enough.
func (l *Loop) rest(w *worker) {
	if len(l.idlers) < spareWorkers || w.exited {
		l.idlers = append(l.idlers, w)
	} else {
		w.quit = true
	}
}

// dismiss ends all workers. All are idle.
func (l *Loop) dismiss() {
	for _, w := range l.idlers {
		w.quit = true
		l.dismissOne(w)
	}
	l.idlers = nil
}

func (l *Loop) dismissOne(w *worker) {
	defer func() {
		if p := recover(); p != nil && p != stack.Exited {
			panic(p)
		}
	}()
	l.changeTo(&l.driver, w.at)
}

// changeTo goes on with whoever is parked in p, and notes in at where that leaves the caller.
func (l *Loop) changeTo(at **stack.Place, p *stack.Place) {
	*at = p
	p.Change()
}

// passOn goes on with whose turn it is. The caller, whose turn it is not, was parked in *at. If that was a probe, it is told
// where the caller was.
func (l *Loop) passOn(at **stack.Place) {
	if l.probe != nil {
		l.probe.take()
		(*at).Change()
		return
	}
	l.changeTo(at, l.whereabouts())
}

// whereabouts is where whoever is parked whose turn it is.
func (l *Loop) whereabouts() *stack.Place {
	switch {
	case l.running != nil:
		return l.running.at
	case l.carrying:
		return l.carrier.at
	default:
		return l.driver
	}
}

// mishap takes down a panic in the loop itself.
func (l *Loop) mishap(p any) {
	// Once is enough to stop everything; twice and that cannot be done.
	if l.broken {
		panic(p)
	}
	l.broken = true
	l.errands.push(failure{err: newPanicError(p, debug.Stack()), panic: true})
}
