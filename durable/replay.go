package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// ErrEndOfRecord is what a [Replay] ends with, wrapped, where its file ends and the run does not: the process has ended there. The error says what
// each coroutine was doing then.
var ErrEndOfRecord = errors.New("the record ends here: the process did, before the run had ended")

// Replay runs c as the run went that [Record] has kept in a file: in the same interleaving, with the same errors, and in no time. It returns what
// that run has returned, or panics or calls [runtime.Goexit] as that did. If the process ended before, the error is [ErrEndOfRecord].
//
// Everything happens on one goroutine after another, and nothing is waited for: a debugger can go through it step by step. No function of a
// thread or a call runs, none that was given to FromCallback or to interrupt something, and Recv and Send leave channels alone. Options are
// not needed: what they would change is on record, but for WithErrorGroup and WithPicker; see [ReplayOn].
//
// If c does something else than the program did, the error is a [*NondeterminismError].
func Replay[T any](file string, c *tinyio.Coro[T]) (T, error) {
	return ReplayOn(file, tinyio.NewLoop(), c)
}

// ReplayOn is [Replay] on a loop that has not run yet: for a program that has an [Endpoint] on its loop, for an observer that looks on, or for other
// options. The clock of the loop is not asked.
func ReplayOn[T any](file string, l *tinyio.Loop, c *tinyio.Coro[T]) (T, error) {
	var zero T
	if l.Stats().Started > 0 {
		return zero, errors.New("durable: Replay: the loop has run before; make another one")
	}
	events, err := readTape(file)
	if err != nil {
		return zero, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	head := events[0]
	p := &player{file: file, loop: l, cancel: cancel, tape: events[1:], utc: head.UTC, waiting: map[hook.ID]*hook.Thread{}}
	p.now = p.time(head.At)
	if head.Err != nil {
		cancel(head.Err.decode(nil)) // it was over before it had begun
	}
	gate.With(p).(tinyio.Option)(l)
	tinyio.WithThreads(p.thread)(l)
	v, err := tinyio.RunOn(withDeadline(ctx, head.Deadline), l, c)
	switch {
	case p.lost == nil:
		p.rest()
		if p.lost == nil {
			return v, err
		}
	case errors.Is(err, p.lost):
		return zero, err
	}
	return zero, p.lost
}

// A deadlineContext is a context that tells of a deadline, and does not end with it: that is on the tape.
type deadlineContext struct {
	context.Context
	at time.Time
}

func (c deadlineContext) Deadline() (time.Time, bool) { return c.at, true }

func withDeadline(ctx context.Context, at int64) context.Context {
	if at == 0 {
		return ctx
	}
	return deadlineContext{ctx, time.Unix(0, at)}
}

// runOn is for how many turns a program may go on when nothing is left on the tape: no recorder takes so long to write down the time.
const runOn = 1 << 18

// A player plays a tape.
type player struct {
	run    gate.Run
	file   string
	loop   *tinyio.Loop
	cancel context.CancelCauseFunc

	tape []*event
	position
	last    uint64 // the turn at which something was left on the tape
	now     time.Time
	utc     bool
	waiting map[hook.ID]*hook.Thread // by coroutine
	events  []any                    // each Event, by its number less 1
	stops   stops
	lost    error // why the replay does not go on
	over    bool  // the run is being stopped because of that
}

// errReplay is what outside goroutines are told that send something.
var errReplay = errors.New("durable: Replay: nothing that comes from outside enters a replay")

func (p *player) time(at int64) time.Time {
	t := time.Unix(0, at)
	if p.utc {
		return t.UTC()
	}
	return t
}

// Begin implements [gate.Keeper].
func (p *player) Begin(run gate.Run, _ context.Context, _ error, _ hook.Clock) (hook.Clock, error) {
	p.run = run
	return p, nil
}

// Now is the time of the latest pass.
func (p *player) Now() time.Time { return p.now }

// Idle makes sure that there is something for the next pass.
func (p *player) Idle(pause hook.Pause) (possible bool) {
	if !p.over {
		switch e := p.head(); {
		case e == nil:
			p.endOfTape()
		case e.Turn != p.turn || e.Read > 0 || e.Kind == ended:
			p.diverge("a program in which nobody is ready")
		case e.Kind == deadlocked:
			p.pass = p.next().Pass
			return false
		}
		return true
	}
	if len(p.waiting) == 0 && !pause.Deadline.IsZero() {
		p.now = pause.Deadline
	}
	return len(p.waiting) > 0 || !pause.Deadline.IsZero()
}

// head is the next event, nil if there is none.
func (p *player) head() *event {
	if len(p.tape) == 0 {
		return nil
	}
	return p.tape[0]
}

func (p *player) next() *event {
	e := p.tape[0]
	p.tape = p.tape[1:]
	return e
}

// Enter implements [gate.Keeper].
func (p *player) Enter(turns uint64) (more bool) {
	if !p.enter(turns) {
		p.pass = 0
	} else if e := p.head(); e != nil && e.Turn == p.turn && e.Pass > p.pass {
		p.pass = e.Pass
	}
	p.take(hook.Nobody)
	for p.lost == nil {
		e := p.head()
		if e == nil || e.Turn > p.turn || e.Turn == p.turn && (e.Pass > p.pass || e.Read > 0) || e.Kind == ended {
			break
		}
		p.last = p.turn
		if e.Turn < p.turn {
			p.diverge("a program that has gone on")
			break
		}
		p.play(p.next())
	}
	switch e := p.head(); {
	case p.lost != nil:
		p.giveUp()
	case e == nil && p.turn-p.last >= runOn:
		p.endOfTape()
		p.giveUp()
	default:
		return e != nil && e.Turn == p.turn && e.Read == 0 && e.Kind != ended
	}
	return false
}

// take takes in what the player has sent itself: that the thread of a coroutine has come back. What really comes from outside has no place here.
func (p *player) take(thread hook.ID) {
	for _, a := range p.run.Take() {
		switch {
		case a.Kind == gate.Asked, a.Kind == gate.Returned && (p.over || a.Coro == thread):
			p.run.Enter(a)
		default:
			p.run.Refuse(a, errReplay)
		}
	}
}

// play does what happened.
func (p *player) play(e *event) {
	if e.At != 0 {
		p.now = p.time(e.At)
	}
	switch e.Kind {
	case cameBack:
		p.comeBack(e)
	case submitted, posted:
		p.submit(e)
	case withdrawn:
		if !p.run.Withdraw(e.Coro, e.Err.decode(&p.stops)) {
			p.undo(e, "a program in which there is no such submission")
		}
	case eventSet:
		if int(e.Number) > len(p.events) {
			p.undo(e, fmt.Sprintf("a program that has used %d events", len(p.events)))
			return
		}
		p.run.Set(p.events[e.Number-1])
	case interrupted:
		cause := e.Err.decode(&p.stops)
		p.cancel(cause) // for runs inside
		p.run.Interrupt(cause)
	case notKept:
		p.lost = e.Err.decode(nil)
	}
}

// comeBack lets a thread come back.
func (p *player) comeBack(e *event) {
	t := p.waiting[e.Coro]
	if t == nil {
		p.undo(e, fmt.Sprintf("a program with %d threads under way, and without that", len(p.waiting)))
		return
	}
	if name := stableName(t.Name()); name != e.Name {
		p.undo(e, fmt.Sprintf("thread %d, %q", e.Coro, name))
		return
	}
	delete(p.waiting, e.Coro)
	t.Replay(func(value any) error {
		if err := decodeValue(e.Value, value); err != nil {
			p.lost = fmt.Errorf("durable: Replay: the recorded result of thread %d, %q, is no %T: %w", e.Coro, e.Name, value, err)
			return p.lost
		}
		return gate.Ending(e.How, e.Err.decode(&p.stops))
	})
	p.take(e.Coro)
}

// decodeValue stores in *value what was recorded of one.
func decodeValue(data json.RawMessage, value any) error {
	if data == nil {
		return nil
	}
	return json.Unmarshal(data, value)
}

// submit makes a coroutine of the input that has come through an endpoint, and submits it.
func (p *player) submit(e *event) {
	at, ok := gate.Endpoints(p.loop).Load(e.Name)
	if !ok {
		p.lost = fmt.Errorf("durable: Replay: the loop has no endpoint %q, through which something came at turn %d; make the endpoints of the program first, "+
			"and use ReplayOn with their loop", e.Name, e.Turn)
		return
	}
	o := at.(opened)
	c, err := o.open(e.Value)
	if err != nil {
		p.lost = fmt.Errorf("durable: Replay: the endpoint %q takes another input than what came at turn %d: %w", e.Name, e.Turn, err)
		return
	}
	if e.Kind == posted {
		p.run.Post(c, e.Starter-1)
	} else {
		p.run.Submit(withDeadline(context.Background(), e.Deadline), c, o.entry(), e.Starter-1)
	}
}

// giveUp stops the run, because the replay does not go on. What the threads wait for does not come: in the next pass they fail, when the error has
// what everybody was doing.
func (p *player) giveUp() {
	if !p.over {
		p.over = true
		p.cancel(p.lost)
		p.run.Interrupt(p.lost)
		return
	}
	for _, t := range p.waiting {
		t.Fail(p.lost)
	}
	clear(p.waiting)
	p.take(hook.Nobody)
}

// Read implements [gate.Keeper].
func (p *player) Read(value any, _ func() bool) (some bool) {
	p.reads++
	e := p.head()
	if p.lost != nil || e == nil || e.Read == 0 || e.Turn > p.turn {
		return false
	}
	if e.Read != p.reads || e.Kind != readValue {
		if e.Read <= p.reads {
			p.diverge("a program that reads something else")
		}
		return false
	}
	p.next()
	if e.How == gate.Panicked {
		panic(e.Err.decode(nil))
	}
	if err := decodeValue(e.Value, value); err != nil {
		p.lost = fmt.Errorf("durable: Replay: what was received at turn %d is no %T: %w", e.Turn, value, err)
	}
	return true
}

// Done implements [gate.Keeper].
func (p *player) Done(ctx context.Context) bool {
	p.reads++
	if e := p.head(); p.lost == nil && e != nil && e.Kind == readDone && e.Read == p.reads {
		p.cancel(p.next().Err.decode(nil))
	}
	return ctx.Err() != nil
}

// Replays implements [gate.Keeper].
func (p *player) Replays() bool { return true }

// Event implements [gate.Keeper].
func (p *player) Event(e any) uint32 {
	p.events = append(p.events, e)
	return uint32(len(p.events))
}

// Callback implements [gate.Keeper].
func (p *player) Callback(t *hook.Thread) (start bool) {
	if e := p.head(); p.lost == nil && e != nil && e.Kind == startBroke && e.Read == p.reads+1 && e.Turn == p.turn {
		p.reads++
		p.next()
		if e.How == gate.Exited {
			runtime.Goexit()
		}
		panic(e.Err.decode(nil))
	}
	p.thread(t)
	return false
}

// thread takes a thread, a call or a callback that has begun.
func (p *player) thread(t *hook.Thread) {
	if p.over {
		t.Fail(p.lost)
		return
	}
	p.waiting[p.run.Current()] = t
}

// Broke implements [gate.Keeper].
func (p *player) Broke(any) {}

// Stopped implements [gate.Keeper].
func (p *player) Stopped(err error) { p.stops.add(err) }

// End implements [gate.Keeper].
func (p *player) End() {}

// diverge notes that the program does something else than what is next on the tape.
func (p *player) diverge(found string) {
	if p.lost != nil {
		return
	}
	err := &NondeterminismError{Run: p.file, Expected: "nothing more", Found: fmt.Sprintf("%s, at turn %d", found, p.turn)}
	if e := p.head(); e != nil {
		err.Expected = e.String()
		if e.Kind == cameBack {
			err.Step, err.Name = int(e.Coro), e.Name
		}
	}
	p.lost = err
}

// undo puts e back, because the program does something else.
func (p *player) undo(e *event, found string) {
	p.tape = append([]*event{e}, p.tape...)
	p.diverge(found)
}

// endOfTape ends the replay where the tape does.
func (p *player) endOfTape() {
	p.lost = fmt.Errorf("durable: Replay: %s, after turn %d: %w", p.file, p.turn, ErrEndOfRecord)
}

// rest looks whether something is left on the tape that would have come before the end.
func (p *player) rest() {
	for p.head() != nil {
		if e := p.head(); e.Kind != timePassed && e.Kind != ended || e.Turn > p.turn {
			p.diverge("a program that has ended")
			return
		}
		p.next()
	}
}
