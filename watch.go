package tinyio

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
	// returns. If it panics or calls runtime.Goexit, it is not asked again, and the run is stopped and ends in the same
	// way.
	Pick(ready []ID) int
}

// An Observer is told what happens on a loop, as it happens: for traces, statistics and debugging.
type Observer interface {
	// Observe is called on the loop, in the middle of its work. It must not block, and must not call anything of the loop
	// or of its coroutines; it may use the methods of n until it returns. If it panics or calls runtime.Goexit, it is told
	// nothing more, and the run is stopped and ends in the same way.
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
type watch struct {
	picker   Picker
	observer Observer
	turn     ID // whose turn it is, or was last
	ready    []*task
	ids      []ID
}

// watched returns the watch of l. On a loop that has one, every turn goes through the ready queue.
func (l *Loop) watched() *watch {
	if l.watch == nil {
		l.watch = &watch{turn: Nobody}
	}
	return l.watch
}

// id returns the number of c, and gives it one if it has none.
func (r *run) id(c *task) ID {
	a := c.more()
	if a.number == 0 {
		r.loop.met++
		a.number = r.loop.met
	}
	return a.number - 1
}

// note tells the observer of l what has happened to c.
func (r *run) note(what What, c *task, err error) {
	w := r.watch
	if what == Resumed {
		w.turn = r.id(c)
	}
	if w.observer != nil {
		r.guard(func() { w.observer = nil }, func() {
			w.observer.Observe(Note{What: what, Coro: r.id(c), By: w.turn, Err: err, run: r, c: c})
		})
	}
}

// noteWoken tells that c, which is about to be ready, has been woken, if it has waited for something.
func (r *run) noteWoken(c *task) {
	if c.state == waiting && c.wait > onSpawn {
		r.note(Woken, c, nil)
	}
}

// choose takes the coroutine that the picker wants out of the ready queue.
func (r *run) choose() *task {
	w := r.watch
	w.ready, w.ids = w.ready[:0], w.ids[:0]
	for c := range r.ready.all() {
		if c.state == ready {
			w.ready, w.ids = append(w.ready, c), append(w.ids, r.id(c))
		}
	}
	if len(w.ready) == 0 {
		r.ready = queue{}
		return nil
	}
	chosen := 0
	if len(w.ready) > 1 && w.picker != nil {
		r.guard(func() { w.picker = nil }, func() { chosen = w.picker.Pick(w.ids) })
	}
	if chosen < 0 || chosen >= len(w.ready) {
		panic("tinyio: the Picker chose a coroutine that is not there; it must return an index of the slice it is given")
	}
	c := w.ready[chosen]
	r.ready.remove(c)
	clear(w.ready) // or it would keep what has finished
	return c
}
