package durable

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// The invariants of a machine.
//
//  1. The program hears of nothing from outside but records, which are on the disk, in the order in which they are there, and each at a
//     point that depends on nothing else: when no coroutine is ready, or none has waited for busyTurns turns.
//  2. Time stands still in between. A record carries its time. A timer that is due before it fires before it, at exactly its
//     deadline: so timers leave no records, and fire in the same order when everything is replayed.
//  3. What the program gets is what can be read back from the record, when it is recorded too.
//  4. Functions of threads run only when everything that was recorded has been taken in. Which of them still have to run is
//     known then.

// busyTurns is after how many turns without a pause something from outside is taken in all the same.
const busyTurns = 1 << 14

// A machine runs a program as its records say, and beyond.
type machine struct {
	*Base
	e       *entry
	program *Program
	loop    *tinyio.Loop
	cancel  context.CancelCauseFunc
	gone    chan struct{} // closed when it has let go of the entry

	// Of the goroutine that drives the loop, and of the coroutines in their turns.
	now       time.Time
	history   []item    // what is recorded and has not been taken in
	replaying bool      // functions of threads are not run yet
	verifying bool      // nor will they be: it stops when everything that was recorded has been taken in
	until     time.Time // and then timers fire until this time
	turns     uint64    // that had been taken when something from outside was last taken in
	steps     int       // since then
	waiting   map[int]*Pending
	recorded  map[string]int // versions of changes, by their records
	versions  map[string]int // those that hold
	markers   []*record      // which are recorded with what comes next
	cause     error          // why the run was cancelled
	halt      error          // why it cannot go on
	result    json.RawMessage
	err       error
	ended     bool // the program has, with result or err

	threads sync.WaitGroup // which run functions

	mu     sync.Mutex
	closed bool  // nothing is taken in any more
	come   []any // from other goroutines: *delivery, *Pending, query
	bell   chan struct{}
}

// An item is a record that the program has not heard of.
type item struct {
	*record
	step *Pending // whose result it is, if that has run in this machine
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
		Base: NewBase(e.id, e.seed), e: e, program: p, gone: make(chan struct{}), bell: make(chan struct{}, 1), now: e.started,
		replaying: true, waiting: map[int]*Pending{},
	}
	for _, r := range e.history {
		if r.Kind == kindVersion {
			if m.recorded == nil {
				m.recorded = map[string]int{}
			}
			m.recorded[r.Name] = r.Version
			continue
		}
		m.history = append(m.history, item{record: r})
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
	m.err = errors.New("durable: the program has called runtime.Goexit")
	defer func() {
		if p := recover(); p != nil {
			err, ok := p.(*tinyio.PanicError)
			if !ok {
				err = &tinyio.PanicError{Value: p, Stack: debug.Stack()}
			}
			m.err = err
		}
		m.ended = m.halt == nil
	}()
	ctx, cancel := context.WithCancelCause(WithHost(m.e.j.base, m))
	m.cancel = cancel
	defer cancel(nil)
	m.loop = tinyio.NewLoop(tinyio.WithClock((*clock)(m)), tinyio.WithThreads(m.thread), tinyio.WithObserver(m.Base))
	x, err := m.program.Start(ctx, m.loop, m.e.input)
	if err != nil {
		m.halt = err
		return
	}
	for p := range x.Steps() {
		if m.halt == nil && (p.Blocked || m.busy()) {
			m.halt = m.takeIn(p)
		}
		if m.halt != nil {
			m.stopTaking()
			x.Discard()
		}
	}
	if m.halt != nil {
		return
	}
	m.result, m.err = x.Result()
	for _, it := range m.history { // of signals that nobody has received there may be some
		if it.Kind == kindStep || it.Kind == kindAttempt {
			m.halt = m.mismatch(it, nil, fmt.Sprintf("the program has ended after %d steps", m.taken))
			return
		}
	}
}

// busy reports that something from outside is to be taken in although coroutines are ready.
func (m *machine) busy() bool {
	m.steps++
	return m.steps >= busyTurns && m.loop.Stats().Turns-m.turns >= busyTurns
}

// takeIn gives the program what comes next: a timer that is due, or a record.
func (m *machine) takeIn(p tinyio.Pause) error {
	m.steps, m.turns = 0, m.loop.Stats().Turns
	for {
		if m.e.j.isClosed() {
			return ErrClosed
		}
		if len(m.history) == 0 {
			if m.verifying {
				if m.isDue(p, m.until) {
					return nil
				}
				return errVerified
			}
			m.goOn()
			if m.isDue(p, time.Now()) && !m.hasCome() {
				return nil
			}
			if err := m.wait(p); err != nil {
				return err
			}
			continue
		}
		if m.isDue(p, time.Unix(0, m.history[0].At)) {
			return nil
		}
		next := m.history[0]
		m.history[0] = item{}
		m.history = m.history[1:]
		return m.take(next)
	}
}

// isDue reports whether the next timer is due at a time, and if so makes it that of its deadline.
func (m *machine) isDue(p tinyio.Pause, at time.Time) bool {
	if p.Deadline.IsZero() || p.Deadline.After(at) {
		return false
	}
	m.advance(p.Deadline)
	return true
}

// advance moves the clock, never back.
func (m *machine) advance(to time.Time) {
	if to.After(m.now) {
		m.now = to.UTC().Round(0)
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
			m.begin(s)
		}
	}
}

// begin runs the function of s in a goroutine, or the next attempt of it.
func (m *machine) begin(s *Pending) {
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

// wait waits for something from outside, and records it.
func (m *machine) wait(p tinyio.Pause) error {
	if !m.hasCome() {
		if !p.Blocked {
			return m.commit([]*record{{Kind: kindTick}}, nil, nil)
		}
		if err := m.sleep(p); err != nil {
			return err
		}
	}
	m.mu.Lock()
	come := m.come
	m.come = nil
	m.mu.Unlock()
	var records []*record
	var steps []*Pending
	var deliveries []*delivery
	var cannot error // the run go on
	for _, c := range come {
		switch c := c.(type) {
		case query:
			c.reply()
		case *delivery:
			records, steps = append(records, c.record), append(steps, nil)
			deliveries = append(deliveries, c)
		case *Pending:
			if err := m.unavailable(c); err != nil {
				cannot = err
				c.drop()
				continue
			}
			records, steps = append(records, m.outcome(c)), append(steps, c)
		}
	}
	return cmp.Or(m.commit(records, steps, deliveries), cannot)
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
		if m.cause == nil { // otherwise it may be the end of the context, which the loop knows of
			return fmt.Errorf("durable: something came to run %q that is not recorded: from FromCallback, Recv, Send, Submit or Post, "+
				"or an Event was set in a thread; use Step, RunInThread or Call for what is outside, and Signal for what comes from there", m.e.id)
		}
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

// commit records what has come, and has the program hear of it in that order.
func (m *machine) commit(records []*record, steps []*Pending, deliveries []*delivery) error {
	if len(records) == 0 {
		return nil
	}
	at := time.Now().UnixNano()
	at = max(at, m.now.UnixNano())
	for _, r := range records {
		r.At = at
	}
	err := m.e.record(slices.Concat(m.markers, records)...)
	for _, d := range deliveries {
		d.done <- err
	}
	if err != nil {
		return err
	}
	m.markers = nil
	for i, r := range records {
		it := item{record: r}
		if steps != nil {
			it.step = steps[i]
		}
		m.history = append(m.history, it)
	}
	return nil
}

// take has the program hear of a record.
func (m *machine) take(it item) error {
	m.advance(time.Unix(0, it.At))
	switch it.Kind {
	case kindStep, kindAttempt:
		s := m.waiting[it.Step]
		if s == nil || s.Name != it.Name {
			return m.mismatch(it, s, "")
		}
		if ended := s.give(outcome{Value: it.Value, Err: it.Err, Attempt: it.Attempt, At: it.At}); ended {
			delete(m.waiting, it.Step)
		} else if !m.replaying {
			m.begin(s)
		}
	case kindSignal:
		m.Deliver(it.Name, it.Value)
	case kindCancel:
		if m.cause == nil {
			m.cause = it.Err.decode(nil)
			m.cancel(m.cause)
		}
	case kindTick:
	default:
		return m.mismatch(it, nil, fmt.Sprintf("this program does not know records of kind %q", it.Kind))
	}
	return nil
}

// mismatch is the error that the program does not do what it did when it was recorded. The step s is what it has in the place of that, if
// it has something.
func (m *machine) mismatch(it item, s *Pending, found string) error {
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

// stopTaking lets go of everything outside: nobody gets an answer any more but that the run cannot go on, or has ended.
func (m *machine) stopTaking() {
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
			if m.ended {
				c.done <- fmt.Errorf("%w: %q", ErrEnded, m.e.id)
			} else {
				c.done <- m.halt
			}
		case *Pending:
			c.drop()
		}
	}
}

// leave records the end of the program, if it has come, and lets go of the entry.
func (m *machine) leave() {
	state, err, result := Running, error(nil), json.RawMessage(nil)
	if m.ended {
		r := m.end()
		m.halt = m.e.record(append(m.markers, r)...)
		m.ended = m.halt == nil
		state, err, result = r.State, r.Err.decode(nil), r.Value
	}
	m.stopTaking()
	m.threads.Wait()
	if !m.ended {
		if state, err = Stopped, fmt.Errorf("run %q cannot go on: %w", m.e.id, m.halt); errors.Is(m.halt, ErrClosed) {
			state = Running
		}
	}
	m.e.leave(state, err, result)
}

// end is the record of how the program has ended.
func (m *machine) end() *record {
	r := &record{Kind: kindEnd, At: max(time.Now().UnixNano(), m.now.UnixNano()), State: Succeeded}
	switch {
	case m.err == nil:
		r.Value = m.result
		return r
	case m.cause != nil && errors.Is(m.err, m.cause):
		r.State = Cancelled
	default:
		r.State = Failed
	}
	r.Err = encodeError(m.err, nil)
	return r
}

// A clock is the time in a run.
type clock machine

func (c *clock) Now() time.Time { return c.now }

// thread takes over the function of a thread.
func (m *machine) thread(t *hook.Thread) {
	s := m.Take(t)
	if m.halt != nil {
		t.Fail(m.halt)
		return
	}
	m.waiting[s.Number] = s
	if !m.replaying {
		m.begin(s)
	}
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
			if v = max; m.replaying && len(m.history) > 0 {
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
	if v < min || v > max {
		err := &NondeterminismError{
			Run: m.e.id, Step: m.taken, Name: change, Expected: fmt.Sprintf("a program that knows version %d of the change", v),
			Found: fmt.Sprintf("versions %d to %d", min, max),
		}
		for _, s := range m.loop.Status() {
			if s.ID == m.current {
				err.Place = place(s.Frame)
			}
		}
		m.halt = err
		return 0, err
	}
	return v, nil
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
