package tinyio

import (
	"runtime"
	"slices"
	"time"

	"github.com/tinyio-go/tinyio/hook"
)

// What tools see: a picker decides what is left open about the order of turns, an observer is told what happens. Both work from
// outside the package, with the types of package hook. Without them a loop pays one comparison a turn.

// An ID is the number of a coroutine on its loop: coroutines are numbered from 0, in the order in which the loop meets them.
type ID = hook.ID

// WithPicker makes a loop ask p which ready coroutine is next.
func WithPicker(p hook.Picker) Option {
	if p == nil {
		panic("tinyio: WithPicker: the picker is nil; leave the option out for first in, first out")
	}
	return func(l *Loop) { l.watched().picker = p }
}

// WithObserver makes a loop tell o what happens.
func WithObserver(o hook.Observer) Option {
	if o == nil {
		panic("tinyio: WithObserver: the observer is nil; leave the option out")
	}
	return func(l *Loop) { l.watched().observer = o }
}

// A watch is the picker and the observer of a loop.
//
// The observer is told in plain calls, wherever control happens to be: on the stack of the run loop, or of the coroutine whose turn it
// is. A Goexit in it unwinds that stack, so there are only certain places where it may be called (see notify), between the
// parts of the work of the loop. What happens within these parts is noted (note) and told at the end of it, before any
// other code of the user's runs.
type watch struct {
	picker   hook.Picker
	observer hook.Observer
	turn     ID      // whose turn it is, or was last
	notes    []note  // that the observer has not been told of
	details  details // of the note that it is being told
	silent   bool    // it must not be told now
	crowd    crowd   // the ready coroutines, while there is a picker
}

// A note is what an observer is going to be told in a [hook.Note].
type note struct {
	c    *task
	err  error
	by   ID
	what hook.What
	wait hook.Wait
	end  hook.End
}

// details are what an observer asks for about the coroutine c.
type details struct {
	r *run
	c *task
}

func (d *details) Name() string { return d.c.label() }

func (d *details) For() (ids []ID) {
	for t := range d.c.targets {
		ids = append(ids, d.r.id(t))
	}
	return ids
}

func (d *details) Place() runtime.Frame {
	f := d.r.where(d.c)
	return runtime.Frame{Function: f.Function, File: f.File, Line: f.Line}
}

func (d *details) Time() time.Time { return d.r.clock.Now() }

// watched returns the watch of l.
func (l *Loop) watched() *watch {
	if l.watch == nil {
		l.watch = &watch{turn: hook.Nobody}
	}
	return l.watch
}

// reset is the end of a run: nothing of it is kept.
func (w *watch) reset() {
	w.notes, w.details, w.crowd, w.turn = nil, details{}, crowd{}, hook.Nobody
}

// id returns the number of c, and gives it one if it has none.
func (r *run) id(c *task) ID {
	if c.number == 0 {
		r.loop.met++
		c.number = r.loop.met
	}
	return c.number - 1
}

// note notes for the observer of r what has happened to c.
func (r *run) note(what hook.What, c *task, err error) {
	w := r.watch
	if what == hook.Resumed {
		w.turn = r.id(c)
	}
	if w.observer != nil {
		n := note{c: c, err: err, by: w.turn, what: what}
		if what == hook.Suspended {
			n.wait = waits[c.wait].kind
		}
		w.notes = append(w.notes, n)
	}
}

// noteFinished notes that c has finished, with a failure or without; of how it stopped hears whoever brought about why.
func (r *run) noteFinished(c *task, f *failure, why *reason) {
	r.note(hook.Finished, c, c.err)
	w := r.watch
	if w.observer == nil {
		return
	}
	n := &w.notes[len(w.notes)-1]
	switch {
	case f != nil && (why != nil || c.scope.crash != nil):
		n.end = hook.CleanupFailed
	case f != nil:
		n.end = hook.Failed
	case c.err != nil:
		n.end = hook.StoppedCleanly
	}
}

// noteWoken notes that c has been woken, if c has waited for something.
func (r *run) noteWoken(c *task) {
	if c.wait > onSpawn {
		r.note(hook.Woken, c, nil)
	}
}

// notify tells the observer what has been noted, if r is watched. It is called where no part of the loop's work is half done: in the run
// loop, in the run of a coroutine at the beginning of its turn and at the end of what it does without suspending.
func (r *run) notify() {
	if w := r.watch; w != nil && len(w.notes) > 0 && !w.silent {
		r.callObserver()
	}
}

func (r *run) callObserver() {
	w := r.watch
	w.silent = true
	defer r.caughtObserver()
	for i := 0; i < len(w.notes); i++ {
		n := &w.notes[i]
		c, err := n.c, n.err
		n.c, n.err = nil, nil
		w.details = details{r, c}
		w.observer.Observe(hook.Note{What: n.what, Coro: r.id(c), By: n.by, Wait: n.wait, End: n.end, Err: err, Details: &w.details})
	}
	w.silent, w.details, w.notes = false, details{}, w.notes[:0]
	if cap(w.notes) > 1024 {
		w.notes = nil
	}
}

// caughtObserver goes on without the observer, if it has panicked or exited. It is deferred by callObserver: see guard, which does the same
// for calls that are less frequent.
func (r *run) caughtObserver() {
	if w := r.watch; w.silent {
		w.observer, w.notes, w.details, w.silent = nil, nil, details{}, false
		r.toolFailed(recover())
	}
}

// A crowd is the ready coroutines among which a picker chooses: as slices, so that it can be shown it as it is. Those that have become ready
// since the last choice are still in the ready queue.
type crowd struct {
	tasks []*task
	ids   []ID
	shown []ID // a copy of the ids, for the picker
	stale bool // some of the tasks have been stopped before their first turn
}

// hasPicker reports that a picker chooses who is next.
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
	for c := r.ready.pop(); c != nil; c = r.ready.pop() {
		if c.state == ready {
			q.add(c, r.id(c))
		}
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
