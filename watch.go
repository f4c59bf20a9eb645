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
// The observer is called on the stack of the run loop or of the running coroutine, and the picker on that of the run loop, of a coroutine
// that waits or of a worker. A Goexit in one unwinds that stack (see caught), so neither must be called while the loop's work is half
// done. What happens then is recorded (note), and the observer gets it when that part of the work is done (notify), before any other
// code of the user's runs.
type watch struct {
	picker   hook.Picker
	observer hook.Observer
	turn     ID      // the running coroutine, or, until the end of the step, the one that ran last
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
//
//go:noinline // in the functions that call it, it would make frames so large that the stacks of many coroutines had to grow
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

// noteSuspended records that c has suspended.
func (r *run) noteSuspended(c *task) { r.note(hook.Suspended, c, nil) }

// noteFinished records that c has finished, with its faults; nil if it has just returned a value.
func (r *run) noteFinished(c *task, x *faults) {
	r.note(hook.Finished, c, c.err)
	w := r.watch
	if w.observer == nil {
		return
	}
	n := &w.notes[len(w.notes)-1]
	switch {
	case x == nil:
	case x.failure != nil && (x.why != nil || c.scope.crash != nil):
		n.end = hook.CleanupFailed
	case x.failure != nil:
		n.end = hook.Failed
	case c.err != nil:
		n.end = hook.StoppedCleanly
	}
}

// noteWoken records that c has been woken, unless it has only yielded or spawned.
func (r *run) noteWoken(c *task) {
	if c.wait > onTurn {
		r.note(hook.Woken, c, nil)
	}
}

// notify calls the observer for what has been recorded, if there is one. It is called only where no work of the loop is half done: in
// the run loop, before a pick and, on the stack of a coroutine, at the beginning of its turn and at the end of calls that do not suspend.
func (r *run) notify() {
	if w := r.watch; w != nil && len(w.notes) > 0 && !w.silent {
		r.callObserver()
	}
}

func (r *run) callObserver() {
	w, returned := r.watch, false
	w.silent = true
	defer r.caught(&returned, (*run).dropObserver)
	for i := 0; i < len(w.notes); i++ {
		n := &w.notes[i]
		c, err := n.c, n.err
		n.c, n.err = nil, nil
		w.details = details{r, c}
		w.observer.Observe(hook.Note{What: n.what, Coro: r.id(c), By: n.by, Wait: n.wait, End: n.end, Err: err, Details: &w.details})
	}
	returned = true
	w.silent, w.details, w.notes = false, details{}, w.notes[:0]
	if cap(w.notes) > 1024 {
		w.notes = nil
	}
}

// dropObserver drops the observer, which has panicked or exited.
func (r *run) dropObserver() {
	w := r.watch
	w.observer, w.notes, w.details, w.silent = nil, nil, details{}, false
}

// A crowd is the ready coroutines among which a picker chooses, with their numbers in a slice as the picker gets them. Coroutines that
// have become ready since the last choice are still in the ready queue, behind the one that was chosen.
type crowd struct {
	tasks  []*task
	ids    []ID
	gone   int   // so many at the front of the slices have been chosen
	chosen *task // the last one that was, until its turn begins
	stale  bool  // some of the tasks have finished: see leaveQueue
}

// hasPicker reports that a picker chooses who is next.
func (r *run) hasPicker() bool { return r.watch != nil && r.watch.picker != nil }

// nobodyReady reports that no coroutine is ready.
func (r *run) nobodyReady() bool {
	return r.ready.head == nil && (r.watch == nil || r.watch.crowd.size() == 0)
}

// leaveQueue is called when a coroutine finishes while it is in the ready queue. It stays there, and is passed over: by pick, or by sift if there
// is a picker.
func (r *run) leaveQueue() {
	r.loop.counters.ready.Add(-1)
	if r.watch != nil {
		r.watch.crowd.stale = true
	}
}

func (q *crowd) size() int { return len(q.tasks) - q.gone }

// add puts c, whose number is id, at the end. It makes use of the room at the front rather than of more memory, if that is half of it.
func (q *crowd) add(c *task, id ID) {
	if n := len(q.tasks); n == cap(q.tasks) && n > 0 && q.gone >= n/2 {
		q.moveTo(q.tasks, q.ids)
	}
	q.tasks, q.ids = append(q.tasks, c), append(q.ids, id)
}

// moveTo moves all to the front of other slices, or of the same.
func (q *crowd) moveTo(tasks []*task, ids []ID) {
	n := copy(tasks, q.tasks[q.gone:])
	copy(ids, q.ids[q.gone:])
	clear(tasks[n:])
	q.tasks, q.ids, q.gone = tasks[:n], ids[:n], 0
}

// remove takes the i-th coroutine out of the crowd. It moves the entries on the shorter side.
func (q *crowd) remove(i int) *task {
	n := q.size()
	tasks, ids := q.tasks[q.gone:], q.ids[q.gone:]
	c := tasks[i]
	switch {
	case i == 0:
		tasks[0] = nil
		q.gone++
	case i < n/2:
		copy(tasks[1:], tasks[:i])
		copy(ids[1:], ids[:i])
		tasks[0] = nil
		q.gone++
	default:
		copy(tasks[i:], tasks[i+1:])
		copy(ids[i:], ids[i+1:])
		tasks[n-1] = nil
		q.tasks, q.ids = q.tasks[:len(q.tasks)-1], q.ids[:len(q.ids)-1]
	}
	if room := cap(q.tasks); room > 1024 && n < room/4 {
		q.moveTo(make([]*task, n-1), make([]ID, n-1))
	}
	return c
}

// sift removes the coroutines that have been stopped before their first turn.
func (q *crowd) sift() {
	n := q.gone
	for i := n; i < len(q.tasks); i++ {
		if c := q.tasks[i]; c.state == ready {
			q.tasks[n], q.ids[n] = c, q.ids[i]
			n++
		}
	}
	clear(q.tasks[n:])
	q.tasks, q.ids, q.stale = q.tasks[:n], q.ids[:n], false
}

// choose makes the coroutine that the picker wants the only one in the ready queue. If it has been asked already, that is the first one.
// If the picker fails, choose leaves the ready queue as it is. There must be a picker.
func (r *run) choose() {
	w, first := r.watch, r.ready.head
	q := &w.crowd
	if first != nil && (first == q.chosen || first.next == nil && q.size() == 0) {
		return
	}
	if q.stale {
		q.sift()
	}
	for c := r.ready.pop(); c != nil; c = r.ready.pop() {
		if c.state == ready {
			q.add(c, r.id(c))
		}
	}
	i := 0
	switch q.size() {
	case 0:
		return
	case 1:
	default:
		if r.notify(); r.deferred.n > 0 { // what the picker can know, the observer knows
			return
		}
		var ok bool
		if i, ok = r.askPicker(q.ids[q.gone:]); !ok {
			return
		}
	}
	q.chosen = q.remove(i)
	r.ready.push(q.chosen)
	if q.size() > 0 { // who is first is likelier than any other to be the next one: see prefetch
		r.prefetch(q.tasks[q.gone])
	}
}

// askPicker returns the index that the picker chooses. If it fails, ok is false, and there is no picker any more.
func (r *run) askPicker(ids []ID) (chosen int, ok bool) {
	r.loop.counters.running.Set(nil)
	defer r.caught(&ok, (*run).dropPicker)
	chosen = r.watch.picker.Pick(slices.Clip(ids)) // not of a copy, which would take time in proportion to them
	if chosen < 0 || chosen >= len(ids) {
		panic("tinyio: the Picker chose a coroutine that is not there; it must return an index of the slice it is given")
	}
	ok = true
	return chosen, ok
}

// dropPicker drops the picker, which has panicked or returned a wrong index.
func (r *run) dropPicker() {
	w := r.watch
	w.picker = nil
	for _, c := range w.crowd.tasks[w.crowd.gone:] {
		r.ready.push(c)
	}
	w.crowd = crowd{}
}
