package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// tick is how far the time of a recorder may fall behind while coroutines are ready.
const tick = 100 * time.Microsecond

// Record keeps in a file what comes to a run from outside, so that [Replay] can run it again. It is for finding out what has happened in a
// run that has failed; to go on after a crash, see [Journal].
//
// These are kept, each with the turn at which the run heard of it:
//
//   - the results of threads, calls and callbacks, whether values, errors, panics or a Goexit,
//   - what [tinyio.Recv] has received, and that a [tinyio.Send] has sent,
//   - that another goroutine has set or cleared a [tinyio.Event],
//   - what comes through an [Endpoint], and the end of the context with which it was submitted,
//   - the time, and the end of the context of the run, with its deadline.
//
// A recorded run takes in nothing that is not kept. If something comes that cannot be, the run fails with an error that names it: a coroutine
// that was given to [tinyio.Submit] or [tinyio.Loop.Post] from outside, which is code and not data; and a value that [encoding/json]
// cannot keep. Errors are kept as in a [Journal].
//
// Nobody can keep what a coroutine reads by itself: a variable that other goroutines change, the time of [time.Now], the values in a context, another
// loop. Neither is the state kept in which the program began.
//
// The file is replaced if it is there, and is good up to the last turn whenever and however the process ends. If it cannot be written, the run
// fails with that error. It grows with each thing that comes, for as long as the run lasts. The program hardly notices: its clock is that of the
// loop, but stands still during a turn. All other options can be used beside Record. The loop is for one run.
func Record(file string) tinyio.Option {
	return func(l *tinyio.Loop) {
		r := &recorder{origins: map[any]*origin{}}
		if r.file, r.err = os.Create(file); r.err != nil {
			r.err = fmt.Errorf("durable: Record: %w", r.err)
		}
		gate.With(r).(tinyio.Option)(l)
	}
}

// A recorder writes a tape.
type recorder struct {
	run   gate.Run
	file  *os.File
	err   error // why the run fails at its next pass: something cannot be recorded
	over  bool  // nothing is recorded any more
	lines []byte

	position
	now, first, wall time.Time // of the latest pass; of the beginning, by the clock and on the tape
	clock            hook.Clock
	events           uint32
	stops            stops

	mu      sync.Mutex
	origins map[any]*origin // of coroutines that are on their way through an Endpoint
}

// A position is how far a run has come.
type position struct {
	turn   uint64
	pass   int
	reads  uint64
	passed bool // there has been a pass
}

// enter notes a pass, and reports whether it is another one for the same turn.
func (p *position) enter(turns uint64) (again bool) {
	again = p.passed && turns == p.turn
	p.turn, p.passed = turns, true
	return again
}

// An origin is from what data a coroutine was made.
type origin struct {
	endpoint string
	input    json.RawMessage
	entry    uintptr
}

// Begin implements [gate.Keeper].
func (r *recorder) Begin(run gate.Run, ctx context.Context, stopped error, clock hook.Clock) (hook.Clock, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.run != nil {
		return nil, errors.New("durable: Record: the loop has run before, and the file has that run; make a loop for each run that is to be recorded")
	}
	r.run, r.clock, r.first = run, clock, clock.Now()
	r.wall = r.first.Round(0) // without a reading of the monotonic clock, which is not recorded, and by which other timers may fire
	r.now = r.wall
	e := &event{Format: tapeFormat, At: r.now.UnixNano(), UTC: r.wall.Location() == time.UTC, Err: encodeError(stopped, nil)}
	if at, ok := ctx.Deadline(); ok {
		e.Deadline = at.UnixNano()
	}
	r.add(e)
	r.write()
	return r, r.err
}

// time returns the time that it is.
func (r *recorder) time() time.Time { return r.wall.Add(r.clock.Now().Sub(r.first)) }

// Now is the time of the latest pass.
func (r *recorder) Now() time.Time { return r.now }

// Idle waits as the clock of the loop does.
func (r *recorder) Idle(p hook.Pause) (possible bool) {
	if idler, ok := r.clock.(hook.Idler); ok {
		if possible = idler.Idle(p); !possible && !r.over {
			r.pass++
			r.note(&event{Kind: deadlocked})
			r.write()
		}
		return possible
	}
	var due <-chan time.Time
	if !p.Deadline.IsZero() {
		timer := time.NewTimer(p.Deadline.Sub(r.time()))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-p.Wake:
	case <-due:
	}
	return true
}

// Skip lets a clock of virtual time skip what a host does not wait for.
func (r *recorder) Skip(p hook.Pause) (possible bool) {
	s, ok := r.clock.(hook.Skipper)
	return !ok || s.Skip(p)
}

// Enter implements [gate.Keeper].
func (r *recorder) Enter(turns uint64) (more bool) {
	again := r.enter(turns)
	come := r.run.Take()
	now := r.time()
	if r.over {
		r.now = now
		for _, a := range come {
			r.run.Enter(a)
		}
		return false
	}
	passed := now.Sub(r.now)
	moves := passed >= tick || passed > 0 && (again || len(come) > 0)
	if !again {
		r.pass = 0
	} else if moves || len(come) > 0 {
		r.pass++
	}
	if moves {
		r.now = now
		r.note(&event{At: now.UnixNano()})
	}
	for _, a := range come {
		enters := true
		if r.err == nil {
			enters = r.keep(a)
		}
		if r.err != nil {
			r.giveUp()
		}
		if enters {
			r.run.Enter(a)
		}
	}
	r.write()
	if r.err != nil {
		r.giveUp()
	}
	return false
}

// keep records an arrival. It reports whether that is to enter.
func (r *recorder) keep(a *gate.Arrival) (enters bool) {
	switch a.Kind {
	case gate.Returned:
		e := &event{Kind: cameBack, Coro: a.Coro, Name: stableName(a.Name), Err: encodeError(a.Err, &r.stops), How: a.How}
		if a.How == gate.Exited {
			e.Err = nil
		}
		var cannot error
		if e.Value, cannot = encodeValue(a.Value); cannot != nil {
			r.err = fmt.Errorf("durable: Record: the result of %q, a %v, cannot be recorded: %w; "+
				"return what encoding/json can keep, and leave the rest in a variable that no coroutine of the loop uses", a.Name, reflect.TypeOf(a.Value).Elem(), cannot)
			return true
		}
		r.note(e)
	case gate.Submitted, gate.Posted:
		if len(a.Coros) == 0 {
			return false
		}
		o := r.originOf(a.Coros[0])
		if a.Kind == gate.Submitted && a.Gone() { // nobody wants it any more, and its origin may be forgotten
			return false
		}
		if o == nil || len(a.Coros) > 1 {
			op := "Submit"
			if a.Kind == gate.Posted {
				op = "Post"
			}
			r.err = fmt.Errorf("durable: Record: coroutine %s came to the loop from outside by %s, and cannot be recorded, because it is code and not data; "+
				"let it come through a durable.Endpoint, which makes it of an input", a.Place(), op)
			return true
		}
		e := &event{Kind: submitted, Name: o.endpoint, Value: o.input, Starter: a.Starter + 1}
		if a.Kind == gate.Posted {
			e.Kind = posted
		} else {
			*a.Entry = o.entry
			if at, ok := a.Context.Deadline(); ok {
				e.Deadline = at.UnixNano()
			}
		}
		r.note(e)
	case gate.Withdrawn:
		if a.Coro != hook.Nobody { // otherwise it has ended, or has not been let in
			r.note(&event{Kind: withdrawn, Coro: a.Coro, Err: encodeError(a.Err, &r.stops)})
		}
	case gate.Set:
		r.note(&event{Kind: eventSet, Number: a.Event})
	case gate.Interrupted:
		r.note(&event{Kind: interrupted, Err: encodeError(a.Err, &r.stops)})
	}
	return true
}

// giveUp fails the run, because something cannot be recorded. From then on nothing is.
func (r *recorder) giveUp() {
	if r.over {
		return
	}
	r.note(&event{Kind: notKept, Err: encodeError(r.err, nil)})
	r.write()
	r.over = true
	r.run.Interrupt(r.err)
}

// Read implements [gate.Keeper].
func (r *recorder) Read(value any, read func() bool) (some bool) {
	r.reads++
	returned := false
	defer func() {
		if !returned { // it has panicked: to send on a channel that is closed
			p := recover()
			r.noteRead(&event{Kind: readValue, How: gate.Panicked, Err: encodePanic(p)})
			panic(p)
		}
	}()
	some = read()
	returned = true
	if some && !r.over {
		e := &event{Kind: readValue}
		var cannot error
		if e.Value, cannot = encodeValue(value); cannot != nil && r.err == nil {
			r.err = fmt.Errorf("durable: Record: what was received from a channel, a %v, cannot be recorded: %w; "+
				"send what encoding/json can keep", reflect.TypeOf(value).Elem(), cannot)
		}
		r.noteRead(e)
	}
	return some
}

// Done implements [gate.Keeper].
func (r *recorder) Done(ctx context.Context) bool {
	r.reads++
	if ctx.Err() == nil {
		return false
	}
	r.noteRead(&event{Kind: readDone, Err: encodeError(context.Cause(ctx), nil)})
	return true
}

// noteRead writes what a coroutine has read, in the middle of a turn.
func (r *recorder) noteRead(e *event) {
	e.Read = r.reads
	r.note(e)
	r.write()
}

// Replays implements [gate.Keeper].
func (r *recorder) Replays() bool { return false }

// Event implements [gate.Keeper].
func (r *recorder) Event(any) uint32 {
	r.events++
	return r.events
}

// Callback implements [gate.Keeper].
func (r *recorder) Callback(*hook.Thread) bool { return true }

// Broke implements [gate.Keeper].
func (r *recorder) Broke(p any) {
	e := &event{Kind: startBroke, How: gate.Exited}
	if p != nil {
		e.How, e.Err = gate.Panicked, encodePanic(p)
	}
	r.reads++
	r.noteRead(e)
}

func encodePanic(p any) *failure {
	if e, ok := p.(*tinyio.PanicError); ok {
		return encodeError(e, nil)
	}
	return encodeError(&tinyio.PanicError{Value: p}, nil)
}

// Stopped implements [gate.Keeper].
func (r *recorder) Stopped(err error) { r.stops.add(err) }

// End implements [gate.Keeper].
func (r *recorder) End() {
	r.note(&event{Kind: ended})
	r.write()
	r.over = true
	r.file.Close() // all is written
}

// note adds an event of the place where the run is.
func (r *recorder) note(e *event) {
	if e.Turn, e.Pass = r.turn, r.pass; !r.over {
		r.add(e)
	}
}

func (r *recorder) add(e *event) {
	lines, err := e.appendTo(r.lines)
	if err != nil {
		r.err = fmt.Errorf("durable: Record: %w", err)
		return
	}
	r.lines = append(lines, '\n')
}

// write writes what has been added.
func (r *recorder) write() {
	if len(r.lines) == 0 || r.over {
		return
	}
	if _, err := r.file.Write(r.lines); err != nil {
		r.err = fmt.Errorf("durable: Record: %w", err)
	}
	r.lines = r.lines[:0]
}

// encodeValue returns the value that p points to as JSON; nil if it is the zero value.
func encodeValue(p any) (data json.RawMessage, err error) {
	v := reflect.ValueOf(p).Elem()
	if v.Type().Size() == 0 || v.IsZero() {
		return nil, nil
	}
	if v.Kind() == reflect.Interface && v.NumMethod() > 0 {
		return nil, fmt.Errorf("nothing says which type the %v is to have when it is read back", v.Type())
	}
	defer func() { // it may call methods of the user's
		if p := recover(); p != nil {
			err = fmt.Errorf("encoding/json panics: %v", p)
		}
	}()
	return json.Marshal(p)
}

// expect is told that c, a coroutine, is on its way to the loop, and forget that it is no longer.
func (r *recorder) expect(c any, o *origin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.origins[c] = o
}

func (r *recorder) forget(c any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.origins, c)
}

// originOf returns the origin of c, nil if it has none.
func (r *recorder) originOf(c any) *origin {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.origins[c]
	delete(r.origins, c)
	return o
}
