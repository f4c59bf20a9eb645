package tinyio

import (
	"github.com/tinyio-go/tinyio/internal/stack"
)

// A worker is a goroutine on which coroutines run, one after another. When a coroutine has finished, its worker is used for the next
// one, since making a worker costs as much as starting a goroutine.
type worker struct {
	home stack.Slot  // the one in which it begins
	at   *stack.Slot // the one in which it is parked when it is idle
	run  *run
	next *worker // in the list of idlers
	task *task   // nil when it is idle
	id   uintptr // of its goroutine
	quit bool    // it is to end
}

// spareWorkers is how many idle workers a run keeps for new coroutines. More than that end, so that the memory of a burst of
// coroutines is freed.
var spareWorkers = 1024 // a variable for the sake of tests

// hire returns a worker without a task: an idle one or, if there is none, a new one.
func (r *run) hire() *worker {
	if r.idlers != nil {
		return r.hireIdler()
	}
	w := &worker{run: r}
	w.home.Init(w)
	w.at = &w.home
	return w
}

// hireIdler takes the first of the idlers. There must be one.
func (r *run) hireIdler() *worker {
	w := r.idlers
	r.idlers, w.next = w.next, nil
	r.idleCount--
	return w
}

// give makes c the task of w. The next switch to c begins it.
func (w *worker) give(c *task) { w.task, c.slot = c, w.at }

// Work is what the goroutine of w does.
func (w *worker) Work() {
	defer w.exit()
	w.id = stack.ID()
	for !w.quit {
		w.serve()
	}
}

// serve runs one coroutine after another, until w has to end, or a coroutine panics or exits.
func (w *worker) serve() {
	defer w.survive()
	for {
		c := w.task
		if c == nil {
			if w.quit {
				return
			}
			w.run.switchToTurn(&w.at)
			continue
		}
		if c.outcome == notBegun {
			c.execute(w)
		}
		if p := w.run.endLastTurn(c, w); p != nil {
			p.Switch()
		}
	}
}

// survive is called when serve returns or is unwound. If the function of a coroutine has panicked or called [runtime.Goexit], survive records
// that. If the loop itself has panicked, it ends the program.
func (w *worker) survive() {
	p := recover()
	c := w.task
	called := c != nil && c.outcome == exited // the function of c has been called and has not returned
	if p != nil && (!called || w.run.running != c) {
		crashProgram(p)
	}
	if called {
		c.dropName()
		c.endedEarly(p)
	}
}

// exit is called when the goroutine of w ends. If w was not to end, somebody has called [runtime.Goexit], and nothing stops that. If w has a
// task, that has called it, and exit ends its last turn. Otherwise a tool has called it between two turns. To go on working in this deferred
// function instead would make the stack deeper each time.
//
// When the goroutine ends, the one that is parked in w.home is resumed. If that one has called next (see [stack.Slot.IsOdd]), the Goexit
// would go on in it. So exit first makes another goroutine park there: a relief.
func (w *worker) exit() {
	if w.quit {
		return
	}
	r := w.run
	if c := w.task; c != nil {
		c.slot, w.task = nil, nil
		r.running = nil
		if r.catchUp(); c.state == running { // otherwise it is a callback, which waits without a stack
			r.unsettled = c
		}
		if c == r.inline {
			r.inline = nil
		}
	}
	w.quit = true
	r.forgetGoroutine()
	if !w.home.IsOdd() || !stack.Direct {
		return
	}
	reserve := &relief{at: &w.home}
	reserve.home.Init(reserve)
	r.running = &task{slot: &reserve.home} // so whoever is resumed by the relief switches back to here
	reserve.home.Switch()
	r.running = nil
}

// A relief is a goroutine that parks in at. The one that was parked there goes on, and parks in home instead. When the relief is resumed,
// it ends, and that resumes the one in home.
type relief struct {
	home stack.Slot // the one in which it begins
	at   *stack.Slot
}

func (r *relief) Work() { r.at.Switch() }

// retire makes w idle, or makes it end if there are enough idle workers.
func (r *run) retire(w *worker) {
	if r.idleCount < spareWorkers {
		w.next, r.idlers = r.idlers, w
		r.idleCount++
	} else {
		w.quit = true
		r.forgetGoroutine()
	}
}

// forgetGoroutine is called when a goroutine of the loop is about to end. A new goroutine, from outside, may get the same ID. Without
// forgetGoroutine it would be taken for the coroutine that ran last: see runOfCaller.
func (r *run) forgetGoroutine() {
	if r.running == nil {
		r.loop.counters.running.Set(nil)
	}
}

// dismiss ends all workers. All are idle.
func (r *run) dismiss() {
	for r.idlers != nil {
		w := r.hireIdler()
		w.quit = true
		r.switchTo(&r.driver, w.at)
	}
}
