package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
)

// The invariants of a machine, beside those of a [Driver].
//
//  1. What the program hears of are records, which are on the disk, in the order in which they are there.
//  2. What the program gets is what can be read back from the record, when it is recorded too.
//  3. Functions of threads run only when everything that was recorded has been taken in. Which of them still have to run is
//     known then.

// A machine runs a program as its records say, and beyond.
type machine struct {
	*Driver
	e       *entry
	program *Program
	gone    chan struct{} // closed when it has let go of the entry

	// Of the goroutine that drives the loop, and of the coroutines in their turns.
	history   []*record // what is recorded and has not been taken in
	beyond    int       // how many of these are there because the program has been there
	replaying bool      // functions of threads are not run yet
	verifying bool      // nor will they be: it stops when everything that was recorded has been taken in
	until     time.Time // and then timers fire until this time
	waiting   map[int]*Pending
	recorded  map[string]int // versions of changes, by their records
	versions  map[string]int // those that hold
	markers   []*record      // which are recorded with what comes next

	threads sync.WaitGroup // which run functions

	mu     sync.Mutex
	closed bool  // nothing is taken in any more
	come   []any // from other goroutines: *delivery, *Pending, query
	bell   chan struct{}
}

// A delivery is a record that somebody has sent.
type delivery struct {
	record *record
	done   chan error
}

// A question about the run is answered between two turns, unless the machine is gone; then the channel is closed.
type question[T any] struct {
	ask    func() T
	answer chan T
}

func (q *question[T]) reply()   { q.answer <- q.ask() }
func (q *question[T]) decline() { close(q.answer) }

// A query is a question of any type.
type query interface {
	reply()
	decline()
}

// newMachine returns a machine for e, whose mu is held.
func newMachine(e *entry, p *Program) *machine {
	m := &machine{
		e: e, program: p, gone: make(chan struct{}), bell: make(chan struct{}, 1), replaying: true, waiting: map[int]*Pending{},
	}
	m.Driver = NewDriver(e.id, e.seed, e.started, m)
	for _, r := range e.history {
		if r.Kind == kindVersion {
			if m.recorded == nil {
				m.recorded = map[string]int{}
			}
			m.recorded[r.Name] = r.Version
			continue
		}
		m.history = append(m.history, r)
		if !r.Ahead {
			m.beyond++
		}
	}
	return m
}

// live is the goroutine of the machine, from the beginning to the end of the program, or until it cannot go on.
func (m *machine) live() {
	defer close(m.gone)
	defer m.leave()
	m.run()
}

// run drives the program.
func (m *machine) run() {
	if m.Drive(m.e.j.base, m.program, m.e.input) != nil {
		return
	}
	for _, it := range m.history { // of signals that nobody has received there may be some
		if it.Kind == kindStep || it.Kind == kindAttempt {
			m.Halt(m.mismatch(it, nil, fmt.Sprintf("the program has ended after %d steps", m.taken)))
			return
		}
	}
}

// Between makes m an Outside, as Begin, Next and LetGo do.
func (m *machine) Between(tinyio.Pause) bool { return false }

// Next is the next record, or that a timer is due when there is none.
func (m *machine) Next(p tinyio.Pause) (Arrival, error) {
	for {
		switch {
		case m.e.j.isClosed():
			return Arrival{}, ErrClosed
		case len(m.history) > 0:
			return Arrival{time.Unix(0, m.history[0].At), m.take}, nil
		case m.verifying:
			return Arrival{m.until, func() error { return errVerified }}, nil
		}
		m.goOn()
		if !p.Deadline.IsZero() && !p.Deadline.After(time.Now()) && !m.hasCome() {
			return Arrival{At: p.Deadline}, nil
		}
		if p.Blocked && !m.hasCome() {
			if err := m.sleep(p); err != nil {
				return Arrival{}, err
			}
			continue
		}
		if err := m.record(); err != nil {
			return Arrival{}, err
		}
	}
}

// goOn runs what the program waits for when everything that was recorded has been taken in.
func (m *machine) goOn() {
	if !m.replaying {
		return
	}
	m.replaying = false
	m.history = nil
	for n := 1; n <= m.taken; n++ {
		if s := m.waiting[n]; s != nil {
			m.call(s)
		}
	}
}

// Begin has the function of s run, unless it may be recorded.
func (m *machine) Begin(s *Pending) {
	m.waiting[s.Number] = s
	if !m.replaying {
		m.call(s)
	}
}

// call runs the function of s in a goroutine, or the next attempt of it.
func (m *machine) call(s *Pending) {
	m.threads.Go(func() {
		defer func() { // also if the function calls runtime.Goexit
			if !m.post(s) {
				s.drop()
			}
		}()
		s.Run()
	})
}

// hasCome reports whether something has come from other goroutines.
func (m *machine) hasCome() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.come) > 0
}

// post hands something to the goroutine of the machine. It reports whether that will get it.
func (m *machine) post(what any) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.come = append(m.come, what)
	select {
	case m.bell <- struct{}{}:
	default:
	}
	return true
}

// record records what has come from outside, or that time has passed, and has the program hear of it in that order.
func (m *machine) record() error {
	m.mu.Lock()
	come := m.come
	m.come = nil
	m.mu.Unlock()
	var records []*record
	var deliveries []*delivery
	var cannot error // the run go on
	if len(come) == 0 {
		records = []*record{{Kind: kindTick}}
	}
	var frames []byte
	var err error
	aside(func() {
		for _, c := range come {
			switch c := c.(type) {
			case query:
				c.reply()
			case *delivery:
				records, deliveries = append(records, c.record), append(deliveries, c)
			case *Pending:
				if why := m.unavailable(c); why != nil {
					cannot = why
					c.drop()
					continue
				}
				records = append(records, m.outcome(c))
			}
		}
		if len(records) > 0 {
			frames, err = m.encode(records)
		}
	})
	if len(records) == 0 {
		return cannot
	}
	if err == nil {
		err = m.e.write(frames, len(m.markers)+len(records))
	}
	for _, d := range deliveries {
		d.done <- err
	}
	if err != nil {
		return err
	}
	m.markers = nil
	m.history = append(m.history, records...)
	return cannot
}

// encode returns the frames of records, which have their time from now on, after those of the markers.
func (m *machine) encode(records []*record) ([]byte, error) {
	at := max(time.Now().UnixNano(), m.Now().UnixNano())
	for i, r := range records {
		r.At, r.Ahead = at, i > 0
	}
	return m.e.encode(slices.Concat(m.markers, records))
}

// aside calls f on a goroutine of its own, and waits for it. A stack does not shrink much below what was once needed: without this a run
// that sleeps would keep what it takes to write and read JSON, which is as much as all the rest of it.
func aside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// sleep waits until something has come, or a timer is due, or the journal is closed.
func (m *machine) sleep(p tinyio.Pause) error {
	var due <-chan time.Time
	if !p.Deadline.IsZero() {
		d := time.Until(p.Deadline)
		if d <= 0 {
			return nil
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-m.bell:
	case <-due:
	case <-m.e.j.closing:
	case <-p.Wake:
		return m.Woken()
	}
	return nil
}

// unavailable returns why what s has returned is no result of it, if it is none: the run cannot go on.
func (m *machine) unavailable(s *Pending) error {
	if s.stopped != nil {
		return nil
	}
	_, err := s.Thread.Outcome()
	if u, ok := err.(*unavailable); ok {
		return u.err
	}
	if errors.Is(err, ErrClosed) && m.e.j.isClosed() {
		return ErrClosed
	}
	return nil
}

// outcome is the record of what a function has returned.
func (m *machine) outcome(s *Pending) *record {
	o := s.outcome()
	r := &record{Kind: kindStep, Step: s.Number, Name: s.Name, Value: o.Value, Err: o.Err, Attempt: o.Attempt}
	if o.Attempt > 0 {
		r.Kind = kindAttempt
	}
	return r
}

// take has the program hear of the next record.
func (m *machine) take() error {
	it := m.history[0]
	m.history[0] = nil
	m.history = m.history[1:]
	if !it.Ahead {
		m.beyond--
	}
	switch it.Kind {
	case kindStep, kindAttempt:
		s := m.waiting[it.Step]
		if s == nil || s.Name != it.Name {
			return m.mismatch(it, s, "")
		}
		var ended bool
		aside(func() { ended = s.give(outcome{Value: it.Value, Err: it.Err, Attempt: it.Attempt, At: it.At}) })
		if ended {
			delete(m.waiting, it.Step)
		} else if !m.replaying {
			m.call(s)
		}
	case kindSignal:
		m.Deliver(it.Name, it.Value)
	case kindCancel:
		m.Cancel(it.Err.decode(nil))
	case kindTick:
	default:
		return m.mismatch(it, nil, fmt.Sprintf("this program does not know records of kind %q", it.Kind))
	}
	return nil
}

// mismatch is the error that the program does not do what it did when it was recorded. The step s is what it has in the place of that, if
// it has something.
func (m *machine) mismatch(it *record, s *Pending, found string) error {
	err := &NondeterminismError{Run: m.e.id, Step: it.Step, Name: it.Name}
	switch it.Kind {
	case kindStep, kindAttempt:
		err.Expected = fmt.Sprintf("step %d, %q", it.Step, it.Name)
	default:
		err.Expected = strings.TrimSuffix(fmt.Sprintf("%s %q", it.Kind, it.Name), ` ""`)
	}
	status := m.loop.Status()
	if s != nil {
		err.Place, err.Found = s.Place(status), fmt.Sprintf("step %d, %q", s.Number, s.Name)
		return err
	}
	if err.Found = found; found == "" && len(status) > 0 {
		err.Place = place(status[0].Frame)
		err.Found = fmt.Sprintf("a program that has taken %d steps, and waits: %v", m.taken, status[0])
	}
	return err
}

// LetGo lets go of everything outside: nobody gets an answer any more but that the run cannot go on, or has ended.
func (m *machine) LetGo() {
	m.mu.Lock()
	m.closed = true
	come := m.come
	m.come = nil
	m.mu.Unlock()
	for _, c := range come {
		switch c := c.(type) {
		case query:
			c.decline()
		case *delivery:
			err := m.Halted()
			if err == nil {
				err = fmt.Errorf("%w: %q", ErrEnded, m.e.id)
			}
			c.done <- err
		case *Pending:
			c.drop()
		}
	}
}

// leave records the end of the program, if it has come, and lets go of the entry.
func (m *machine) leave() {
	state, err, result := Running, error(nil), json.RawMessage(nil)
	if _, ended := m.End(); ended {
		r := m.endRecord()
		m.Halt(m.e.record(append(m.markers, r)...))
		state, err, result = r.State, r.Err.decode(nil), r.Value
	}
	m.LetGo()
	m.threads.Wait()
	if halt := m.Halted(); halt != nil {
		if state, err = Stopped, fmt.Errorf("run %q cannot go on: %w", m.e.id, halt); errors.Is(halt, ErrClosed) {
			state = Running
		}
	}
	m.e.leave(state, err, result)
}

// endRecord is the record of how the program has ended.
func (m *machine) endRecord() *record {
	end, _ := m.End()
	return &record{Kind: kindEnd, At: max(time.Now().UnixNano(), m.Now().UnixNano()), State: end.State, Value: end.Value, Err: encodeError(end.Err, nil)}
}

// failing are the steps that are tried again.
func (m *machine) failing() (all []Failing) {
	for _, n := range slices.Sorted(maps.Keys(m.waiting)) {
		if s := m.waiting[n]; s.failed > 0 {
			all = append(all, Failing{s.Number, s.Name, s.failed, s.err, s.next})
		}
	}
	return all
}

// Child makes m a Host, as Version does: to start a run and wait for it is a step like any other.
func (m *machine) Child(co *tinyio.Co, program, id string, input json.RawMessage) (json.RawMessage, error) {
	n := m.NameStep("child " + program)
	defer m.NameStep("")
	if id == "" {
		id = fmt.Sprintf("%s/%d", m.ID(), n)
	}
	return tinyio.Call(co, func(ctx context.Context) (json.RawMessage, error) { return runChild(ctx, m.e.j, program, id, input) })
}

func (m *machine) Version(co *tinyio.Co, change string, min, max int) (int, error) {
	v, known := m.versions[change]
	if !known {
		if v, known = m.recorded[change]; !known {
			if v = max; m.replaying && m.beyond > 0 {
				v = min
			} else {
				m.markers = append(m.markers, &record{Kind: kindVersion, Name: change, Version: max})
			}
		}
		if m.versions == nil {
			m.versions = map[string]int{}
		}
		m.versions[change] = v
	}
	return m.CheckVersion(change, v, min, max)
}

// A NondeterminismError says that a program does not do what it did when it was recorded, since it has changed, or depends on something
// that is not recorded. The run is [Stopped], and nothing has happened: with a program that fits, it goes on.
type NondeterminismError struct {
	Run      string
	Step     int    // the number of the step, from 1
	Name     string // of the step that was recorded, or of the change
	Place    string // the file and line where the program waits instead, if it does
	Expected string // what the record says
	Found    string // what the program does
}

func (e *NondeterminismError) Error() string {
	at := ""
	if e.Place != "" {
		at = " at " + e.Place
	}
	return fmt.Sprintf("durable: run %q: the program does not do what it did when it was recorded: expected %s; found %s%s; "+
		"put the old program back, or use Version for the change", e.Run, e.Expected, e.Found, at)
}
