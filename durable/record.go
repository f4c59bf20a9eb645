package durable

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A tape is what comes to a run from outside, for Record and Replay: the two do the same things at the same points of the loop, and only
// differ in where they have them from. The points are the beginning of a turn, of which an observer is told, and the end of a time in
// which nobody was ready. In between time stands still and no thread comes back.

// An event is what has come at one point. The point is the number of turns that have begun, and whether the loop was idle.
type event struct {
	Turn      uint64          `json:"turn"`
	Idle      bool            `json:"idle,omitempty"`
	At        int64           `json:"t,omitempty"`         // the time that it is
	Thread    int             `json:"thread,omitempty"`    // the number of the thread that has come back, from 1
	Name      string          `json:"name,omitempty"`      // of the thread
	Value     json.RawMessage `json:"v,omitempty"`         // of the thread
	Err       *failure        `json:"e,omitempty"`         // of the thread, or with which the run was interrupted
	Lost      string          `json:"lost,omitempty"`      // why the value could not be recorded
	Interrupt bool            `json:"interrupt,omitempty"` // the context of the run is done
	Outside   bool            `json:"outside,omitempty"`   // something has come that is not recorded
}

// tick is how far the time of a recorder may fall behind while coroutines are ready.
const tick = 100 * time.Microsecond

// Record keeps in a file what comes to a run from outside, so that [Replay] can run it again: the results of threads and calls, the time,
// and the end of its context. It is for finding out what has happened in a run that has failed; to go on after a crash, see [Journal].
//
// The file is replaced if it is there, and is good whenever the process ends. If it cannot be written, the run fails with that error. It is
// for one run of a loop. The program hardly notices: its clock is the real one, but stands still during a turn.
//
// What comes in another way is not recorded: from FromCallback, Recv, Send, Submit, Post, and an Event that a thread or another goroutine
// sets. Neither is the state in which the program began. Values of threads are kept if [encoding/json] can keep them; errors as in a
// [Journal]; and a panic of a thread as a [*tinyio.PanicError]. Record takes the options WithClock, WithThreads and WithObserver for itself.
func Record(file string) tinyio.Option {
	return func(l *tinyio.Loop) {
		r := &recorder{loop: l, began: time.Now(), bell: make(chan struct{}, 1)}
		r.now = r.time()
		f, err := os.Create(file)
		if err != nil {
			r.fail(fmt.Errorf("durable: Record: %w", err))
			return
		}
		r.file = f
		r.write(&event{At: r.now.UnixNano()})
		tinyio.WithClock(r)(l)
		tinyio.WithThreads(r.thread)(l)
		tinyio.WithObserver(r)(l)
	}
}

// A recorder writes a tape.
type recorder struct {
	loop    *tinyio.Loop
	file    *os.File
	began   time.Time
	now     time.Time
	turn    uint64
	threads int
	stops   stops
	stopped bool // the run has been interrupted, or has failed: what is recorded once
	failed  bool // the file could not be written

	mu   sync.Mutex
	some atomic.Bool // there is something in come
	come []*Pending
	bell chan struct{}
}

// fail ends the run with err: with the error of a coroutine, for that is what can be given to a loop from anywhere.
func (r *recorder) fail(err error) {
	if !r.failed {
		r.failed = true
		_ = r.loop.Post(tinyio.Do(func(*tinyio.Co) error { return err }).Named("durable.Record")) // refused only if the run is over
	}
}

// write adds an event to the file.
func (r *recorder) write(e *event) {
	if r.failed {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	if err != nil {
		r.fail(fmt.Errorf("durable: Record: %w", err))
	}
}

// time returns the time as a player has it: without a reading of the monotonic clock, which is not recorded, and from which the time of day
// may differ by what the process was held up between the two.
func (r *recorder) time() time.Time { return r.began.Round(0).Add(time.Since(r.began)) }

// Now is the time of the latest point.
func (r *recorder) Now() time.Time { return r.now }

// Idle waits for what comes next.
func (r *recorder) Idle(p hook.Pause) bool {
	var due <-chan time.Time
	if !p.Deadline.IsZero() {
		timer := time.NewTimer(p.Deadline.Sub(r.time()))
		defer timer.Stop()
		due = timer.C
	}
	outside := false
	if !r.some.Load() {
		select {
		case <-r.bell:
		case <-due:
		case <-p.Wake:
			outside = true
		}
	}
	if now := r.time(); now.After(r.now) {
		r.now = now
	}
	r.write(&event{Turn: r.turn, Idle: true, At: r.now.UnixNano(), Outside: outside})
	if !outside { // which may be the end of the context, and that is noted next
		r.deliver(true)
	}
	return true
}

// deliver lets threads come back.
func (r *recorder) deliver(idle bool) {
	if !r.some.Load() {
		return
	}
	r.mu.Lock()
	come := r.come
	r.come = nil
	r.some.Store(false)
	r.mu.Unlock()
	for _, s := range come {
		v, err := s.Thread.Outcome()
		e := &event{Turn: r.turn, Idle: idle, Thread: s.Number, Name: s.Name, Err: encodeError(err, &r.stops)}
		if value := reflect.ValueOf(v).Elem(); value.Type().Size() > 0 && !value.IsZero() {
			var cannot error
			if e.Value, cannot = json.Marshal(v); cannot != nil {
				e.Lost = cannot.Error()
			}
		}
		r.write(e)
		s.Thread.Return()
	}
}

// Observe counts the turns, and notes why coroutines are stopped.
func (r *recorder) Observe(n hook.Note) {
	switch n.What {
	case hook.Resumed:
		r.turn++
		if now := r.time(); now.Sub(r.now) >= tick {
			r.now = now
			r.write(&event{Turn: r.turn, At: now.UnixNano()})
		}
		r.deliver(false)
	case hook.Finished:
		r.stopped = r.stopped || n.End == hook.Failed
	case hook.Stopped:
		r.stops.add(n.Err)
		if c, ok := n.Err.(*tinyio.CancelledError); ok && n.By == hook.Nobody && !r.stopped {
			r.stopped = true
			r.write(&event{Turn: r.turn, Interrupt: true, Err: encodeError(c.Cause, nil)})
		}
	}
}

// thread runs the function of a thread.
func (r *recorder) thread(t *hook.Thread) {
	r.threads++
	s := &Pending{Number: r.threads, Name: stableName(t.Name()), Thread: t}
	go func() {
		defer r.back(s) // also if the function calls runtime.Goexit
		t.Run()
	}()
}

// back notes that the function of s has ended.
func (r *recorder) back(s *Pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.come = append(r.come, s)
	r.some.Store(true)
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// Replay runs c as the run went that [Record] has kept in a file: in the same interleaving, with the same errors, and in no time. No function
// of a thread or a call runs. Options are not needed: what they would change is on record, but for WithErrorGroup.
//
// If c does something else than the program did, the error is a [*NondeterminismError]; so it is if something came to the run that is not
// recorded.
func Replay[T any](file string, c *tinyio.Coro[T]) (T, error) {
	var zero T
	events, err := readTape(file)
	if err != nil {
		return zero, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	p := &player{file: file, cancel: cancel, events: events[1:], now: time.Unix(0, events[0].At), waiting: map[int]*Pending{}}
	p.loop = tinyio.NewLoop(tinyio.WithClock(p), tinyio.WithThreads(p.thread), tinyio.WithObserver(p))
	if len(p.events) > 0 && p.events[0].Interrupt && p.events[0].Turn == 0 {
		cancel(p.next().Err.decode(nil)) // it was over before it had begun
	}
	v, err := tinyio.RunOn(ctx, p.loop, c)
	if p.lost != nil {
		return zero, p.lost
	}
	if rest := p.rest(); rest != nil {
		return zero, rest
	}
	return v, err
}

// readTape reads the events of a file. The last one may not be there as a whole.
func readTape(file string) (events []*event, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("durable: Replay: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data[:bytes.LastIndexByte(data, '\n')+1]))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		e := new(event)
		if err := json.Unmarshal(lines.Bytes(), e); err != nil {
			return nil, fmt.Errorf("durable: Replay: %s is not what Record has written: line %d: %w", file, len(events)+1, err)
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("durable: Replay: %s is not what Record has written: it is empty", file)
	}
	return events, nil
}

// runOn is for how many turns a program may go on when nothing is left on the tape: no recorder takes so long to write down the time.
const runOn = 1 << 18

// A player plays a tape.
type player struct {
	file    string
	loop    *tinyio.Loop
	cancel  context.CancelCauseFunc
	events  []*event
	now     time.Time
	turn    uint64
	last    uint64 // the turn at which something was left on the tape
	threads int
	waiting map[int]*Pending
	stops   stops
	current tinyio.ID
	outside uint64 // the turn after which something came that is not on the tape, and may have had no effect
	lost    error  // the program does something else
	over    bool   // the run is being stopped because of that
}

func (p *player) Now() time.Time { return p.now }

// Idle gives the loop what comes next.
func (p *player) Idle(pause hook.Pause) bool {
	if p.lost != nil {
		return p.giveUp(pause)
	}
	if len(p.events) == 0 || !p.events[0].Idle || p.events[0].Turn != p.turn {
		p.diverge(p.expected(), "a program in which nobody is ready")
		return p.giveUp(pause)
	}
	e := p.next()
	p.now = time.Unix(0, e.At)
	if e.Outside {
		if len(p.events) > 0 && p.events[0].Interrupt && p.events[0].Turn == p.turn {
			p.cancel(p.next().Err.decode(nil))
			<-pause.Wake // the loop has received it
		} else {
			p.outside = e.Turn
		}
		return true
	}
	for len(p.events) > 0 && p.events[0].Idle && p.events[0].Thread > 0 && p.lost == nil {
		p.comeBack(p.next())
	}
	return true
}

// giveUp stops the run, because the program does something else.
func (p *player) giveUp(pause hook.Pause) bool {
	for _, s := range p.waiting {
		s.Thread.Fail(p.lost)
	}
	clear(p.waiting)
	switch {
	case !p.over:
		p.over = true
		p.cancel(p.lost)
		<-pause.Wake
	case !pause.Deadline.IsZero():
		p.now = pause.Deadline
	case pause.Threads > 0:
		<-pause.Wake // a callback, which is cancelled
	default:
		return false
	}
	return true
}

func (p *player) next() *event {
	e := p.events[0]
	p.events = p.events[1:]
	return e
}

// Observe does at the beginning of a turn what happened there.
func (p *player) Observe(n hook.Note) {
	switch n.What {
	case hook.Stopped:
		p.stops.add(n.Err)
	case hook.Resumed:
		p.turn++
		p.current = n.Coro
		if p.lost == nil {
			p.follow()
		}
	}
}

// follow does what happened at the beginning of the turn.
func (p *player) follow() {
	defer func() {
		if p.lost != nil { // the program need not be idle ever again
			p.over = true
			p.cancel(p.lost)
		}
	}()
	for len(p.events) > 0 && p.events[0].Turn <= p.turn && p.lost == nil {
		if p.last = p.turn; p.events[0].Turn < p.turn {
			p.diverge(p.expected(), "a program that has gone on")
			return
		}
		if p.events[0].Idle {
			return
		}
		switch e := p.next(); {
		case e.Interrupt:
			p.interrupt(e)
		case e.Thread > 0:
			p.comeBack(e)
		default:
			p.now = time.Unix(0, e.At)
		}
	}
	if len(p.events) == 0 && p.turn-p.last >= runOn {
		p.diverge("the end of the program", "a program that goes on")
	}
}

// interrupt ends the context of the run while coroutines are ready, and returns when the loop has been told, so that it finds out when it did.
func (p *player) interrupt(e *event) {
	p.cancel(e.Err.decode(nil))
	for telling() {
		runtime.Gosched()
	}
}

// telling reports whether a goroutine of package context is on its way to tell a loop that its context is done. Nothing but its stack says so:
// when it has got there it ends, and the loop, which stands still, says nothing. Others of the kind do not matter, for they end too.
func telling() bool {
	stacks := make([]byte, 64<<10)
	n := runtime.Stack(stacks, true)
	for n == len(stacks) {
		stacks = make([]byte, 2*n)
		n = runtime.Stack(stacks, true)
	}
	for stack := range bytes.SplitSeq(stacks[:n], []byte("\n\n")) {
		if bytes.Contains(stack, []byte("created by context.(*afterFuncCtx).cancel")) && bytes.Contains(stack, []byte("tinyio.(*run)")) {
			return true
		}
	}
	return false
}

// comeBack lets a thread come back.
func (p *player) comeBack(e *event) {
	s := p.waiting[e.Thread]
	switch {
	case s == nil || s.Name != e.Name:
		p.events = append([]*event{e}, p.events...)
		found := fmt.Sprintf("a program that has started %d threads", p.threads)
		if s != nil {
			found = fmt.Sprintf("thread %d, %q", s.Number, s.Name)
		}
		p.diverge(p.expected(), found)
		return
	case e.Lost != "":
		p.lost = fmt.Errorf("durable: Replay: the result of thread %d, %q, could not be recorded: %s", e.Thread, e.Name, e.Lost)
		return
	}
	delete(p.waiting, e.Thread)
	s.Thread.Replay(func(value any) error {
		if e.Value != nil {
			if err := json.Unmarshal(e.Value, value); err != nil {
				p.lost = fmt.Errorf("durable: Replay: the recorded result of thread %d, %q, is no %T: %w", e.Thread, e.Name, value, err)
				return p.lost
			}
		}
		return e.Err.decode(&p.stops)
	})
}

func (p *player) thread(t *hook.Thread) {
	p.threads++
	if p.lost != nil {
		t.Fail(p.lost)
		return
	}
	p.waiting[p.threads] = &Pending{Number: p.threads, Name: stableName(t.Name()), Coro: p.current, Thread: t}
}

// diverge notes that the program does something else.
func (p *player) diverge(expected, found string) {
	if p.lost != nil {
		return
	}
	if p.outside > 0 {
		found += fmt.Sprintf("; after turn %d something came from outside that Record does not keep", p.outside)
	}
	err := &NondeterminismError{Run: p.file, Expected: expected, Found: found}
	if len(p.events) > 0 {
		err.Step, err.Name = p.events[0].Thread, p.events[0].Name
	}
	p.lost = err
}

// expected says what comes next on the tape.
func (p *player) expected() string {
	if len(p.events) == 0 {
		return "nothing more"
	}
	switch e := p.events[0]; {
	case e.Thread > 0:
		return fmt.Sprintf("the end of thread %d, %q, at turn %d", e.Thread, e.Name, e.Turn)
	case e.Interrupt:
		return fmt.Sprintf("the end of the context at turn %d", e.Turn)
	default:
		return fmt.Sprintf("a pause at turn %d", e.Turn)
	}
}

// rest is the error that the program has ended and something is left on the tape that would have come before.
func (p *player) rest() error {
	for _, e := range p.events {
		if e.Thread > 0 || e.Turn > p.turn {
			p.events = []*event{e}
			p.diverge(p.expected(), fmt.Sprintf("a program that ended at turn %d", p.turn))
			return p.lost
		}
	}
	return nil
}
