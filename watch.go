package tinyio

import (
	"runtime"
	"slices"
	"time"

	"github.com/tinyio-go/tinyio/hook"
)

// What tools see. A picker chooses which ready coroutine is next, and an observer is called for what happens. Both are written outside
// this package, with the types of package hook. Without them a turn costs one more comparison.

// An ID is the number of a coroutine on its loop: coroutines are numbered from 0, in the order in which the loop meets them.
type ID = hook.ID

// WithPicker makes a loop ask p which ready coroutine is next.
func WithPicker(p hook.Picker) Option {
	if p == nil {
		panic("tinyio: WithPicker: the picker is nil; leave the option out for first in, first out")
	}
	return func(l *Loop) { l.watched().picker = p }
}

// WithObserver makes a loop call o for everything that happens on it.
func WithObserver(o hook.Observer) Option {
	if o == nil {
		panic("tinyio: WithObserver: the observer is nil; leave the option out")
	}
	return func(l *Loop) { l.watched().observer = o }
}

// A watch is the picker and the observer of a loop.
//
// The observer is called on the stack of the run loop or of the running coroutine. A Goexit in it unwinds that stack, so it must not be
// called while the loop's work is half done. What happens then is recorded (note), and the observer gets it when that part of the
// work is done (notify), before any other code of the user's runs.
type watch struct {
	picker   hook.Picker
	observer hook.Observer
	turn     ID      // the running coroutine, or the one that ran last
	notes    []note  // what the observer has not got yet
	details  details // of the note with which the observer is being called
	silent   bool    // the observer must not be called now
	crowd    crowd   // the ready coroutines, if there is a picker
}

// A note is what an observer gets as a [hook.Note].
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

// reset is called at the end of a run. It drops all references to it.
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

// note records for the observer what has happened to c.
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

// noteFinished records that c has finished, with the failure f or, if f is nil, without one. If why is not nil, it collects f.
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

// noteWoken records that c has been woken, unless it has only yielded or spawned.
func (r *run) noteWoken(c *task) {
	if c.wait > onSpawn {
		r.note(hook.Woken, c, nil)
	}
}

// notify calls the observer for what has been recorded, if there is one. It is called only where no work of the loop is half done: in
// the run loop and, on the stack of a coroutine, at the beginning of its turn and at the end of calls that do not suspend.
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

// caughtObserver drops the observer if it has panicked or exited. It is deferred by callObserver, and does what guard does for tools that
// are called less often.
func (r *run) caughtObserver() {
	if w := r.watch; w.silent {
		w.observer, w.notes, w.details, w.silent = nil, nil, details{}, false
		r.toolFailed(recover())
	}
}

// A crowd is the ready coroutines among which a picker chooses, with their numbers in a slice as the picker gets them. Coroutines that
// have become ready since the last choice are still in the ready queue.
type crowd struct {
	tasks []*task
	ids   []ID
	stale bool // some of the tasks have finished: see leaveQueue
}

// hasPicker reports that a picker chooses who is next.
func (r *run) hasPicker() bool { return r.watch != nil && r.watch.picker != nil }

// add puts c, whose number is id, at the end.
func (q *crowd) add(c *task, id ID) { q.tasks, q.ids = append(q.tasks, c), append(q.ids, id) }

// leaveQueue is called when a coroutine finishes while it is in the ready queue. It stays there, and is passed over: by pick, or by sift if there
// is a picker.
func (r *run) leaveQueue() {
	if r.watch != nil {
		r.watch.crowd.stale = true
	}
}

// nobodyReady reports that the ready queue is empty.
func (r *run) nobodyReady() bool {
	return r.ready.head == nil && (r.watch == nil || len(r.watch.crowd.tasks) == 0)
}

// remove takes the coroutine at index i out of the crowd. It moves the entries on the shorter side.
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
		q.tasks, q.ids = slices.Clone(q.tasks), slices.Clone(q.ids)
	}
	return c
}

// sift removes the coroutines that have been stopped before their first turn.
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
	ids, chosen := slices.Clip(q.ids), 0 // not a copy, which would take time in proportion to them
	r.guard(r.dropPicker, func() {
		chosen = r.watch.picker.Pick(ids)
		if chosen < 0 || chosen >= len(q.tasks) {
			panic("tinyio: the Picker chose a coroutine that is not there; it must return an index of the slice it is given")
		}
	})
	if r.watch.picker == nil {
		return r.ready.pop()
	}
	return q.remove(chosen)
}

// dropPicker drops the picker, which has panicked or returned a wrong index.
func (r *run) dropPicker() {
	w := r.watch
	w.picker = nil
	for _, c := range w.crowd.tasks {
		r.ready.push(c)
	}
	w.crowd = crowd{}
}
