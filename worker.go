package tinyio

import (
	"runtime/debug"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// A worker is a goroutine on which coroutines run, one after another. Making one costs as much as starting a goroutine, so
// one whose coroutine has finished is worth keeping for the next.
type worker struct {
	home   stack.Place  // in which it is parked at first
	at     *stack.Place // in which it is parked, when it is idle
	run    *run
	task   *task   // nil when it is idle
	id     uintptr // of its goroutine
	begun  bool    // the task has
	quit   bool    // it is to end
	exited bool    // a coroutine has called runtime.Goexit on it
}

// spareWorkers is how many idle workers a loop keeps for new coroutines. Beyond that a burst of coroutines gives its
// memory back.
var spareWorkers = 1024 // a variable for the sake of tests

// hire returns an idle worker.
func (r *run) hire() *worker {
	if n := len(r.idlers); n > 0 {
		w := r.idlers[n-1]
		r.idlers[n-1] = nil
		r.idlers = r.idlers[:n-1]
		return w
	}
	w := &worker{run: r}
	w.home.Init(w)
	w.at = &w.home
	return w
}

// give makes c the task of w. It begins when somebody goes on with c.
func (w *worker) give(c *task) {
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
			w.run.passOn(&w.at)
		case !w.begun:
			w.begun = true
			c.execute(w)
		default:
			c.at = nil
			w.task, w.begun = nil, false
			if p := w.run.lastTurn(c, w); p != nil {
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
		w.run.mishap(p)
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
func (r *run) rest(w *worker) {
	if len(r.idlers) < spareWorkers || w.exited {
		r.idlers = append(r.idlers, w)
	} else {
		w.quit = true
	}
}

// dismiss ends all workers. All are idle.
func (r *run) dismiss() {
	for _, w := range r.idlers {
		w.quit = true
		r.driver = w.at
		r.driver.ChangeOrExit()
	}
	r.idlers = nil
}

// mishap takes down a panic in the loop itself.
func (r *run) mishap(p any) {
	r.ending = false
	// Once is enough to stop everything; twice and that cannot be done.
	if r.broken {
		panic(p)
	}
	r.broken = true
	r.deferred.push(failure{err: newPanicError(p, debug.Stack()), panic: true})
}
