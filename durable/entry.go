package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// An entry is a run in a [Journal].
type entry struct {
	j        *Journal
	number   uint64
	recorded chan struct{} // closed when its start is on the disk, or is refused
	refused  error         // why its start is not on the disk
	id       string
	program  string
	started  time.Time
	input    json.RawMessage // nil when it has ended
	seed     []byte

	mu        sync.Mutex
	state     State
	err       error           // of one that has failed, was cancelled or is stopped
	result    json.RawMessage // of one that has succeeded
	ended     time.Time
	changed   chan struct{} // closed when the state changes
	machine   *machine      // that it runs on
	next      uint32        // the number of its next record
	history   []*record     // that have been read, for the next machine
	loaded    bool          // history is all of it
	damage    *DamageError
	bytes     int64 // of its records, on the disk
	complete  bool  // its start has been read
	forgotten bool  // by Forget
}

func newEntry(j *Journal, number uint64) *entry {
	return &entry{j: j, number: number, state: Running, changed: make(chan struct{}), recorded: make(chan struct{})}
}

// info describes e, once its start is recorded.
func (e *entry) info() (info Info, ok bool) {
	select {
	case <-e.recorded:
	default:
		return Info{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.infoLocked(), e.refused == nil
}

func (e *entry) infoLocked() Info {
	return Info{ID: e.id, Program: e.program, State: e.state, Started: e.started, Err: e.err}
}

// setLocked changes the state of e. Who calls it holds mu.
func (e *entry) setLocked(s State, err error) {
	if e.state == s && s == Running {
		return
	}
	e.state, e.err = s, err
	close(e.changed)
	e.changed = make(chan struct{})
	if e.j.change != nil {
		e.j.change(e.infoLocked())
	}
}

// recordStart records that e has been started. If that cannot be, e is forgotten.
func (e *entry) recordStart() error {
	defer close(e.recorded)
	r := &record{Kind: kindStart, At: e.started.UnixNano(), ID: e.id, Program: e.program, Value: e.input, Seed: e.seed}
	e.refused = e.record(r)
	if e.refused != nil {
		e.j.drop(e)
		return e.refused
	}
	if e.j.change != nil {
		e.j.change(e.infoLocked())
	}
	return nil
}

// record puts records of e on the disk. Only one goroutine at a time may call it: the machine, or who holds mu while there is none.
func (e *entry) record(rs ...*record) error {
	frames, err := e.encode(rs)
	if err == nil {
		err = e.write(frames, len(rs))
	}
	return err
}

// encode returns the frames of the next records of e.
func (e *entry) encode(rs []*record) (frames []byte, err error) {
	for i, r := range rs {
		if frames, err = appendFrame(frames, e.number, e.next+uint32(i), r); err != nil {
			return nil, err
		}
	}
	return frames, nil
}

// write puts the frames of n records on the disk.
func (e *entry) write(frames []byte, n int) error {
	if err := e.j.store.commit(frames, false); err != nil {
		return err
	}
	e.next += uint32(n)
	e.bytes += int64(len(frames))
	return nil
}

// launch lets e go on, unless it has ended or does so already.
func (e *entry) launch() error {
	for {
		launched, err := e.tryLaunch()
		if launched || err != nil {
			return err
		}
		if err := e.j.reload([]*entry{e}); err != nil {
			return err
		}
	}
}

// tryLaunch is launch if the records of e have been read.
func (e *entry) tryLaunch() (launched bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.forgotten:
		return false, errForgotten
	case e.state.Ended() || e.machine != nil:
		return true, nil
	case e.damage != nil:
		return false, e.damage
	case !e.loaded:
		return false, nil
	}
	p, err := Lookup(e.program)
	if err != nil {
		err = fmt.Errorf("run %q cannot go on: %w", e.id, err)
		e.setLocked(Stopped, err)
		return false, err
	}
	j := e.j
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false, ErrClosed
	}
	m := newMachine(e, p)
	e.machine, e.history, e.loaded = m, nil, false
	e.setLocked(Running, nil)
	j.running.Add(1)
	go func() {
		defer j.running.Done()
		m.live()
	}()
	return true, nil
}

// deliver gives r to the machine of e, which answers through the delivery; or, if there is none, records it.
func (e *entry) deliver(r *record) (*delivery, error) {
	for {
		e.mu.Lock()
		m := e.machine
		if m == nil {
			defer e.mu.Unlock()
			return nil, e.append(r)
		}
		e.mu.Unlock()
		d := &delivery{record: r, done: make(chan error, 1)}
		if m.post(d) {
			return d, nil
		}
		<-m.gone
	}
}

// append records r while no machine runs e.
func (e *entry) append(r *record) error {
	switch {
	case e.refused != nil || e.forgotten:
		return fmt.Errorf("%w: %q", ErrUnknown, e.id)
	case e.state.Ended():
		return fmt.Errorf("%w: %q", ErrEnded, e.id)
	case e.damage != nil:
		return e.damage
	}
	r.At, r.Ahead = time.Now().UnixNano(), true
	if err := e.record(r); err != nil {
		return err
	}
	if e.loaded {
		e.history = append(e.history, r)
	}
	return nil
}

// errForgotten is why nothing is done with a run that somebody has found just before it was forgotten.
var errForgotten = errors.New("durable: the run has been forgotten")

// forget records that e is forgotten, and lets go of it.
func (e *entry) forget() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.refused != nil || e.forgotten:
		return fmt.Errorf("%w: %q", ErrUnknown, e.id)
	case e.machine != nil:
		return fmt.Errorf("durable: Forget: run %q is under way; cancel it, and forget it when it has ended", e.id)
	}
	frames, err := e.encodeForget()
	if err == nil {
		err = e.j.store.commit(frames, true)
	}
	if err != nil {
		return err
	}
	e.forgottenLocked()
	e.j.drop(e)
	return nil
}

// encodeForget returns the frame that says that e is forgotten.
func (e *entry) encodeForget() ([]byte, error) {
	return e.encode([]*record{{Kind: kindForget, At: time.Now().UnixNano()}})
}

// forgottenLocked notes that it is recorded that e is forgotten. Who calls it holds mu, and drops e.
func (e *entry) forgottenLocked() {
	if !e.state.Ended() {
		e.j.countGarbage(e.bytes)
	}
	e.next++
	e.forgotten, e.history = true, nil
	close(e.changed) // who waits for it finds it no more
	e.changed = make(chan struct{})
}

// leave notes that the machine has let go of e, which has ended, is stopped because of err, or goes on when the journal is opened again.
func (e *entry) leave(s State, err error, result json.RawMessage) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.machine = nil
	if s.Ended() {
		e.result, e.input, e.seed, e.ended = result, nil, nil, time.Now()
		e.j.countGarbage(e.bytes)
	}
	if s != Running {
		e.setLocked(s, err)
	}
}
