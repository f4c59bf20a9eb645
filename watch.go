package tinyio

import "slices"

// Seams for tools: a picker decides what is left open about the order of turns, an observer is told what happens. Both work from
// outside the package. Without them a loop pays one comparison a turn.

// An ID is the number of a coroutine on its loop: coroutines are numbered from 0, in the order in which the loop meets them.
// With the same inputs and the same picks they get the same numbers on a loop that has a [Picker] or an [Observer]. Any other loop
// gives a coroutine its number when that is first asked for, by [Loop.Status] or [Loop.Snapshot].
type ID int

// Nobody is the ID of no coroutine: the loop itself, or something outside it.
const Nobody ID = -1

// A Picker chooses which of the ready coroutines has the next turn: for tests that explore interleavings, and for simulations.
type Picker interface {
	// Pick returns the index in ready of the one to go on. It is called when there are at least two. They are in the
	// order in which they became ready, so that 0 is what a loop without a picker does. The slice is good until Pick
	// returns; to make it takes time in proportion to how many are ready, though not much. If Pick panics or calls
	// runtime.Goexit, it is not asked again, and the run is stopped and ends in the same way.
	Pick(ready []ID) int
}

// An Observer is told what happens on a loop, as it happens: for traces, statistics and debugging.
type Observer interface {
	// Observe is called on the loop, before anything else of the program goes on. It must not block, and must not call
	// anything of the loop or of its coroutines; it may use the methods of n until it returns. If it panics or calls
	// runtime.Goexit, it is told nothing more, and the run is stopped and ends in the same way. A Goexit also unwinds the
	// coroutine in whose turn it happened, if it was one's turn.
	Observe(n Note)
}

// WithPicker makes a loop ask p which ready coroutine is next.
func WithPicker(p Picker) Option {
	if p == nil {
		panic("tinyio: WithPicker: the picker is nil; leave the option out for first in, first out")
	}
	return func(l *Loop) { l.watched().picker = p }
}

// WithObserver makes a loop tell o what happens.
func WithObserver(o Observer) Option {
	if o == nil {
		panic("tinyio: WithObserver: the observer is nil; leave the option out")
	}
	return func(l *Loop) { l.watched().observer = o }
}

// A What says what an observer is told.
type What uint8

const (
	// Started: the coroutine has been started: it is ready for its first turn.
	Started What = iota
	// Resumed: its turn begins.
	Resumed
	// Suspended: its turn has ended, and it waits.
	Suspended
	// Woken: its wait has ended, and it is ready for another turn.
	Woken
	// Stopped: it has been cancelled or halted.
	Stopped
	// Finished: it has a result.
	Finished
)

var whatNames = [...]string{"started", "resumed", "suspended", "woken", "stopped", "finished"}

// String is the name of w in lower case.
func (w What) String() string { return whatNames[w] }

// A Note is one thing that an observer is told.
type Note struct {
	What What
	Coro ID
	By   ID // whose turn it was when that happened, or Nobody
	// Err is the result of one that has finished, and what the waits of one that was stopped end with.
	Err error

	run *run
	c   *task
}

// Name is the name of the coroutine.
func (n Note) Name() string { return n.c.label() }

// On says what the coroutine waits for, in words; it is for Suspended.
func (n Note) On() string { return n.c.wait.String() }

// For gives the coroutines that it waits for, if it waits for any; it is for Suspended.
func (n Note) For() (ids []ID) {
	for t := range n.c.targets {
		ids = append(ids, n.run.id(t))
	}
	return ids
}

// Place is where the coroutine waits; it is for Suspended. It takes some microseconds.
func (n Note) Place() Frame { return n.run.where(n.c) }

// A watch is the picker and the observer of a loop.
//
// The observer is told in plain calls, wherever control happens to be: on the stack of the run loop, or of the coroutine whose turn it
// is. A Goexit in it unwinds that stack, so there are only certain places where it may be called (see report), between the
// parts of the work of the loop. What happens within these parts is noted (note) and told at the end of it, before any
// other code of the user's runs.
type watch struct {
	picker   Picker
	observer Observer
	turn     ID     // whose turn it is, or was last
	notes    []Note // that the observer has not been told of
	silent   bool   // it must not be told now
	crowd    crowd  // the ready coroutines, while there is a picker
}

// watched returns the watch of l.
func (l *Loop) watched() *watch {
	if l.watch == nil {
		l.watch = &watch{turn: Nobody}
	}
	return l.watch
}

// rest is the end of a run: nothing of it is kept.
func (w *watch) rest() { w.notes, w.crowd, w.turn = nil, crowd{}, Nobody }

// id returns the number of c, and gives it one if it has none.
func (r *run) id(c *task) ID {
	a := c.more()
	if a.number == 0 {
		r.loop.met++
		a.number = r.loop.met
	}
	return a.number - 1
}

// note notes for the observer of r what has happened to c.
func (r *run) note(what What, c *task, err error) {
	w := r.watch
	if what == Resumed {
		w.turn = r.id(c)
	}
	if w.observer != nil {
		w.notes = append(w.notes, Note{What: what, Coro: r.id(c), By: w.turn, Err: err, run: r, c: c})
	}
}

// noteWoken notes that c, which is about to be ready, has been woken, if it has waited for something.
func (r *run) noteWoken(c *task) {
	if c.state == waiting && c.wait > onSpawn {
		r.note(Woken, c, nil)
	}
}

// report tells the observer what has been noted, if r is watched. It is called where no part of the loop's work is half done: in the run
// loop, in the run of a coroutine at the beginning of its turn and at the end of what it does without suspending.
func (r *run) report() {
	if w := r.watch; w != nil && len(w.notes) > 0 && !w.silent {
		r.tellObserver()
	}
}

func (r *run) tellObserver() {
	w := r.watch
	w.silent = true
	r.guard(func() { w.observer, w.notes, w.silent = nil, nil, false }, func() {
		for i := 0; i < len(w.notes); i++ {
			w.observer.Observe(w.notes[i])
		}
	})
	w.silent = false
	clear(w.notes)
	if w.notes = w.notes[:0]; cap(w.notes) > 1024 {
		w.notes = nil
	}
}

// A crowd is a ready queue from the middle of which coroutines are taken: as slices, so that the picker can be shown it as it is.
type crowd struct {
	tasks []*task
	ids   []ID
	shown []ID // a copy of the ids, for the picker
	stale bool // some of the tasks have been stopped before their first turn
}

// hasPicker reports that the ready queue is the crowd.
func (r *run) hasPicker() bool { return r.watch != nil && r.watch.picker != nil }

// add puts c, whose number is id, at the end.
func (q *crowd) add(c *task, id ID) { q.tasks, q.ids = append(q.tasks, c), append(q.ids, id) }

// nobodyReady reports that the ready queue is empty.
func (r *run) nobodyReady() bool {
	return r.ready.head == nil && (r.watch == nil || len(r.watch.crowd.tasks) == 0)
}

// remove takes number i out of the crowd. It moves those on the shorter side.
func (q *crowd) remove(i int) *task {
	c, last := q.tasks[i], len(q.tasks)-1
	if i < last/2 {
		copy(q.tasks[1:i+1], q.tasks[:i])
		copy(q.ids[1:i+1], q.ids[:i])
		q.tasks[0] = nil
		q.tasks, q.ids = q.tasks[1:], q.ids[1:]
	} else {
		copy(q.tasks[i:], q.tasks[i+1:])
		copy(q.ids[i:], q.ids[i+1:])
		q.tasks[last] = nil
		q.tasks, q.ids = q.tasks[:last], q.ids[:last]
	}
	if n := cap(q.tasks); n > 1024 && last < n/4 {
		q.tasks, q.ids, q.shown = slices.Clone(q.tasks), slices.Clone(q.ids), nil
	}
	return c
}

// sift leaves out those that have been stopped before their first turn.
func (q *crowd) sift() {
	n := 0
	for i, c := range q.tasks {
		if c.state == ready {
			q.tasks[n], q.ids[n] = c, q.ids[i]
			n++
		}
	}
	clear(q.tasks[n:])
	q.tasks, q.ids, q.stale = q.tasks[:n], q.ids[:n], false
}

// choose takes the coroutine that the picker wants out of the ready queue.
func (r *run) choose() *task {
	q := &r.watch.crowd
	if q.stale {
		q.sift()
	}
	switch len(q.tasks) {
	case 0:
		return nil
	case 1:
		return q.remove(0)
	}
	q.shown = append(q.shown[:0], q.ids...)
	chosen := 0
	r.guard(r.dropPicker, func() {
		chosen = r.watch.picker.Pick(q.shown)
		if chosen < 0 || chosen >= len(q.tasks) {
			panic("tinyio: the Picker chose a coroutine that is not there; it must return an index of the slice it is given")
		}
	})
	if r.watch.picker == nil {
		return r.ready.pop()
	}
	return q.remove(chosen)
}

// dropPicker goes on without the picker, which has panicked, or chosen nobody.
func (r *run) dropPicker() {
	w := r.watch
	w.picker = nil
	for _, c := range w.crowd.tasks {
		r.ready.push(c)
	}
	w.crowd = crowd{}
}
