package durable

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A Journal is an [Engine] in the process itself: it runs programs here, and keeps what comes to them from outside in files of a directory. One
// process at a time can have it open.
type Journal struct {
	options
	dir     string
	lock    io.Closer
	store   *store
	closing chan struct{}  // closed by Close
	running sync.WaitGroup // the executions, and compactions

	mu      sync.Mutex
	closed  bool
	runs    map[string]*entry
	order   []*entry   // in which they were started
	lapsed  []*entry   // that are not among them, for they ended so long ago; that is to be recorded before they are dropped
	numbers uint64     // how many runs have been numbered
	holes   []*lost    // what cannot be read
	garbage int64      // bytes of runs that have ended, as far as they have been counted
	bytes   int64      // of everything
	files   sync.Mutex // held by who reads the segments, or replaces them
}

type options struct {
	fs       files
	base     context.Context
	segment  int64
	retained time.Duration
	forever  bool
	change   func(Info)
	byHand   bool // it is compacted by Compact alone, in tests
}

// An Option sets how a [Journal] works.
type Option func(*options)

// WithContext gives the programs of a journal the values of ctx: it is the way to what they need and cannot be recorded, such as a
// connection to a database. Of ctx nothing else counts.
func WithContext(ctx context.Context) Option {
	return func(o *options) { o.base = context.WithoutCancel(ctx) }
}

// WithRetention lets a journal forget runs some time after they have ended. Then the same id starts another run. Without it nothing is
// forgotten, and takes some hundred bytes in memory and on the disk, and what its result takes.
func WithRetention(d time.Duration) Option {
	return func(o *options) { o.retained, o.forever = d, false }
}

// WithSegmentSize sets about how long a file of a journal gets: 16 MiB without it.
func WithSegmentSize(bytes int64) Option {
	return func(o *options) { o.segment = max(bytes, 1<<10) }
}

// OnChange has f called whenever the state of a run changes: to log it, or to tell somebody that a run is stopped. The journal waits for f,
// which must not call its methods.
func OnChange(f func(Info)) Option {
	return func(o *options) { o.change = f }
}

// A DamageError says that a part of a journal cannot be read. The runs that it names cannot go on; others can.
type DamageError struct {
	File           string
	Offset, Length int64
	Run            string // whose record was there, if that is known
	Missing        bool   // nothing there is unreadable, but a record before it is missing
}

func (e *DamageError) Error() string {
	what := fmt.Sprintf("durable: the journal is damaged: %s cannot be read from byte %d to %d", e.File, e.Offset, e.Offset+e.Length)
	if e.Missing {
		what = fmt.Sprintf("durable: the journal is damaged: records are missing before byte %d of %s", e.Offset, e.File)
	}
	if e.Run != "" {
		what += fmt.Sprintf("; run %q cannot go on", e.Run)
	}
	return what + "; put the file back from a copy, or call ForgetDamage"
}

var errLocked = errors.New("another process has it open")

// Open opens the journal in a directory, or begins one. It reads all of it; but no run goes on before [Journal.Recover], or before somebody
// asks for it with [Start].
//
// What a process that was killed has not come to the end of writing is cut off: nobody was told that it was recorded. What cannot be read
// elsewhere is kept as it is, and Recover tells of it.
func Open(dir string, opts ...Option) (*Journal, error) {
	j := &Journal{dir: dir, runs: map[string]*entry{}, closing: make(chan struct{})}
	j.options = options{fs: directory(dir), base: context.Background(), segment: 16 << 20, forever: true}
	for _, o := range opts {
		o(&j.options)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("durable: Open: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("durable: Open: cannot lock %s: %w", dir, err)
	}
	j.lock = lock
	if j.store, err = openStore(dir, j.fs, j.segment); err == nil {
		var end int64
		if end, err = j.load(); err == nil {
			err = j.store.begin(end)
		}
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	j.store.rolled = j.compactInBackground
	return j, nil
}

// Close stops the runs where they are, waits until their steps have returned, and closes the journal. The context of a step is done, with
// [tinyio.ErrAbandoned] as its cause; what a step returns after that is not recorded, and it is taken again when the run goes on.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	close(j.closing)
	j.mu.Unlock()
	j.running.Wait()
	return errors.Join(j.store.close(), j.lock.Close())
}

// isClosed reports that Close has been called.
func (j *Journal) isClosed() bool {
	select {
	case <-j.closing:
		return true
	default:
		return false
	}
}

// Recover lets all runs go on that have not ended, in the background, and returns. The error joins what is in the way of some of them: a
// [*DamageError] for each part of the journal that cannot be read, and programs that are not registered. All others go on. It may be called
// again, for runs that are stopped.
func (j *Journal) Recover(ctx context.Context) error {
	j.mu.Lock()
	entries := slices.Clone(j.order)
	j.mu.Unlock()
	unread := j.reload(entries)
	var errs []error
	for _, d := range j.damages() {
		errs = append(errs, d)
	}
	if unread != nil {
		return errors.Join(append(errs, unread)...)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return errors.Join(append(errs, context.Cause(ctx))...)
		}
		if err := e.launch(); err != nil {
			if errors.Is(err, ErrClosed) {
				return err
			}
			if _, told := err.(*DamageError); !told && !errors.Is(err, errForgotten) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Runs ranges over the runs that the journal has, in the order in which they were started.
func (j *Journal) Runs(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		j.mu.Lock()
		entries := slices.Clone(j.order)
		j.mu.Unlock()
		for _, e := range entries {
			if ctx.Err() != nil {
				yield(Info{}, context.Cause(ctx))
				return
			}
			if info, ok := e.info(); ok && !yield(info, nil) {
				return
			}
		}
	}
}

// Status tells what each coroutine of a run is doing, as [tinyio.Loop.Status] does. Of a run that is not under way it is nil.
func (j *Journal) Status(ctx context.Context, id string) ([]tinyio.Status, error) {
	return ask(ctx, j, id, func(m *machine) []tinyio.Status { return m.loop.Status() })
}

// Failing tells which steps of a run have failed and are tried again, in the order in which they were started. Of a run that is not under
// way it is nil.
func (j *Journal) Failing(ctx context.Context, id string) ([]Failing, error) {
	return ask(ctx, j, id, (*machine).failing)
}

// ask asks the machine of a run, if it has one.
func ask[T any](ctx context.Context, j *Journal, id string, what func(m *machine) T) (answer T, err error) {
	e, err := j.find(id)
	if err != nil {
		return answer, err
	}
	e.mu.Lock()
	m := e.machine
	e.mu.Unlock()
	if m == nil {
		return answer, nil
	}
	q := &question[T]{ask: func() T { return what(m) }, answer: make(chan T, 1)}
	if !m.post(q) {
		return answer, nil
	}
	select {
	case answer = <-q.answer:
		return answer, nil
	case <-ctx.Done():
		return answer, context.Cause(ctx)
	}
}

// findRecorded is find, and waits until the start of the run is recorded.
func (j *Journal) findRecorded(ctx context.Context, id string) (*entry, error) {
	e, err := j.find(id)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.recorded:
		return e, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// find returns a run that there is.
func (j *Journal) find(id string) (*entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, ErrClosed
	}
	if e := j.runs[id]; e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, id)
}

// StartRun is the Journal's side of [Start].
func (j *Journal) StartRun(ctx context.Context, program, id string, input json.RawMessage) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, err := Lookup(program); err != nil {
		return err
	}
	for {
		if err := j.start(ctx, program, id, input); !errors.Is(err, errForgotten) { // otherwise it was, meanwhile, and begins anew
			return err
		}
	}
}

// start is StartRun, unless the run that there is is forgotten meanwhile.
func (j *Journal) start(ctx context.Context, program, id string, input json.RawMessage) error {
	e, fresh, err := j.enter(program, id, input)
	if err != nil {
		return err
	}
	if fresh {
		if err := e.recordStart(); err != nil {
			return err
		}
	} else {
		select {
		case <-e.recorded:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if e.program != program {
			return fmt.Errorf("durable: Start: run %q is one of program %q, not of %q; give each run an id of its own", id, e.program, program)
		}
		if e.refused != nil {
			return e.refused
		}
		if err := j.reload([]*entry{e}); err != nil {
			return err
		}
	}
	return e.launch()
}

// enter returns the run with an id, or a fresh one.
func (j *Journal) enter(program, id string, input json.RawMessage) (e *entry, fresh bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, false, ErrClosed
	}
	if e := j.runs[id]; e != nil {
		return e, false, nil
	}
	j.numbers++
	e = newEntry(j, j.numbers)
	e.id, e.program, e.input, e.started = id, program, input, time.Now().UTC().Round(0)
	e.loaded = true
	e.seed = make([]byte, 32)
	crand.Read(e.seed)
	j.runs[id] = e
	j.order = append(j.order, e)
	return e, true, nil
}

// Forget makes the journal forget a run that has ended, or does not go on: because it is stopped, damaged, or has not been told to by Recover. Then
// the same id starts another run, and what the run takes on the disk comes back with the next compaction. It returns when that is recorded.
// What is under way is cancelled first; of that Forget is an error.
func (j *Journal) Forget(ctx context.Context, id string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e, err := j.findRecorded(ctx, id)
	if err != nil {
		return err
	}
	return e.forget()
}

// ForgetDamage makes the journal forget whatever cannot be read: the runs that cannot go on because their records are damaged, and parts of
// files of which nobody knows whose they were. It is for when there is no copy to put back, and compacts the journal, which is not done as
// long as it is damaged.
func (j *Journal) ForgetDamage(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.running.Add(1)
	entries := slices.Clone(j.order)
	j.mu.Unlock()
	defer j.running.Done()
	for _, e := range entries {
		e.mu.Lock()
		damaged := e.damage != nil
		e.mu.Unlock()
		if damaged {
			if err := e.forget(); err != nil {
				return err
			}
		}
	}
	if err := j.compact(true); err != nil {
		return fmt.Errorf("durable: ForgetDamage: %w", err)
	}
	return nil
}

// drop lets go of runs.
func (j *Journal) drop(all ...*entry) {
	dropped := map[*entry]bool{}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range all {
		dropped[e] = true
		if j.runs[e.id] == e {
			delete(j.runs, e.id)
		}
	}
	j.order = slices.DeleteFunc(j.order, func(e *entry) bool { return dropped[e] })
}

// AwaitRun is the Journal's side of [Run.Result].
func (j *Journal) AwaitRun(ctx context.Context, id string, patient bool) (json.RawMessage, error) {
	for {
		e, err := j.find(id)
		if err != nil {
			return nil, err
		}
		e.mu.Lock()
		state, result, err, changed, forgotten := e.state, e.result, e.err, e.changed, e.forgotten
		e.mu.Unlock()
		switch {
		case forgotten: // since it was found
			return nil, fmt.Errorf("%w: %q", ErrUnknown, id)
		case state == Succeeded:
			return result, nil
		case state.Ended():
			return nil, &RunError{id, err, state == Cancelled}
		case state == Stopped && !patient:
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-j.closing:
			return nil, ErrClosed
		}
	}
}

// CancelRun is the Journal's side of [Run.Cancel].
func (j *Journal) CancelRun(ctx context.Context, id string, cause error) error {
	err := j.send(ctx, id, &record{Kind: kindCancel, Err: encodeError(cause, nil)})
	if errors.Is(err, ErrEnded) {
		return nil
	}
	return err
}

// SignalRun is the Journal's side of [Signal].
func (j *Journal) SignalRun(ctx context.Context, id, name string, value json.RawMessage) error {
	return j.send(ctx, id, &record{Kind: kindSignal, Name: name, Value: value})
}

// send records something for a run, which that gets now, or when it goes on.
func (j *Journal) send(ctx context.Context, id string, r *record) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e, err := j.findRecorded(ctx, id)
	if err != nil {
		return err
	}
	d, err := e.deliver(r)
	if d == nil {
		return err
	}
	select {
	case err := <-d.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
