package tinyio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A program is a small program of coroutines, which is run on the package and on the model of it (model_test.go).
type program struct {
	mode       tinyio.GroupMode
	events     int
	semaphores []int
	barriers   []int
	queues     []int // their capacities
	maxServed  int   // after so many waits that were served at once, a turn ends; 0 for as many as the package has it
	coros      []coroCode
}

// A coroCode is the code of a coroutine, or of a callback.
type coroCode struct {
	ops        []instr
	callback   bool
	atOnce     bool // the callback completes before its start function returns
	fails      bool // with an error
	onCancel   int  // of a callback: no cancel function, one that completes it, one that does not
	aftermaths int  // of a coroutine that is stopped: see player.aftermath
}

// An instr is one operation. The README of testdata/conformance explains most of them.
type instr struct {
	op   string
	n, d int
	list []int
	body []instr
}

func (o instr) String() string {
	switch {
	case o.body != nil:
		return fmt.Sprintf("shield %d %v", o.d, o.body)
	case o.list != nil:
		return fmt.Sprintf("%s %v %d", o.op, o.list, o.n)
	}
	return fmt.Sprintf("%s %d %d", o.op, o.n, o.d)
}

func (p *program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mode %d, %d events, semaphores %v, barriers %v, queues %v\n", p.mode, p.events, p.semaphores, p.barriers,
		p.queues)
	for i, c := range p.coros {
		if c.callback {
			fmt.Fprintf(&b, "%d: callback, at once: %v, fails: %v, on cancel: %d\n", i, c.atOnce, c.fails, c.onCancel)
			continue
		}
		fmt.Fprintf(&b, "%d (aftermath %d):\n", i, c.aftermaths)
		for n, o := range c.ops {
			fmt.Fprintf(&b, "\t%d %v\n", n, o)
		}
	}
	return b.String()
}

func (p *program) has(op string) bool {
	var in func(ops []instr) bool
	in = func(ops []instr) bool {
		return slices.ContainsFunc(ops, func(o instr) bool { return o.op == op || in(o.body) })
	}
	return slices.ContainsFunc(p.coros, func(c coroCode) bool { return in(c.ops) })
}

func (p *program) hasCallbacks() bool {
	return slices.ContainsFunc(p.coros, func(c coroCode) bool { return c.callback })
}

// A hand is the Co of a coroutine of a program, of the package or of the model. Coroutines, events and so on are numbers; durations are
// seconds.
type hand interface {
	Stopped() bool
	Now() int
	Yield() error
	Sleep(d int) error
	Await(j int) (int, error)
	Gather(js []int) ([]int, error)
	Spawn(js []int) error
	Timeout(j, d int) (int, error)
	SpawnDaemon(js []int) error
	Isolate(j int) (int, error)
	First(js []int) (int, error)
	Cancel(j int) error
	AsCompleted(js []int, yield func(int, error) bool)
	Shield(grace int, fn func(h hand) error) error
	SetEvent(e int)
	ClearEvent(e int)
	IsSet(e int) bool
	WaitEvent(e int) error
	WaitEventFor(e, d int) (bool, error)
	Acquire(s, n int) error
	Release(s, n int)
	Barrier(b int) (int, error)
	WaitAny(js []int) (int, error)
	Put(q, v int) error
	Get(q int) (int, error)
	TryPut(q, v int) bool
	TryGet(q int) (int, bool)
	Len(q int) int
	Close(q int)
}

// A player plays a program and keeps the log.
type player struct {
	p         *program
	log       []string
	pending   []int // callbacks that have started and have not been completed, in that order
	done      map[int]func(int, error)
	ended     []int       // how often each coroutine has
	raised    []boomError // all that coroutines have ended with
	told      []string    // the errors that operations have returned
	interrupt func()
}

func newPlayer(p *program) *player {
	return &player{p: p, done: map[int]func(int, error){}, ended: make([]int, len(p.coros))}
}

func (x *player) note(what ...any) {
	line, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	x.log = append(x.log, string(line))
}

// A role is a coroutine that is being played.
type role struct {
	i      int
	value  int
	held   [][2]int // semaphores, and how many permits
	raises bool     // when it is cancelled
}

func (r *role) mix(v int) { r.value = (r.value*31 + v) % 1000003 }

// stopError is the error of a coroutine that is being stopped.
type stopError struct{ error }

func (e stopError) Unwrap() error { return e.error }

// boomError is what a coroutine raises.
type boomError string

func (e boomError) Error() string { return string(e) }

// play is coroutine i.
func (x *player) play(h hand, i int) (int, error) {
	r := &role{i: i, value: i}
	x.note(i, "start")
	ended := false
	defer func() {
		if !ended {
			x.note(i, "unwound")
		}
		x.ended[i]++
		for _, s := range slices.Backward(r.held) {
			h.Release(s[0], s[1])
		}
	}()
	err := x.block(h, r, x.p.coros[i].ops)
	if stop, ok := err.(stopError); ok {
		x.note(i, "cancelled")
		err = x.aftermath(h, r, stop.error)
	} else if err == nil {
		x.note(i, "return", r.value)
	}
	ended = true
	if err != nil {
		x.raise(err)
		return 0, err
	}
	return r.value, nil
}

// raise records that a coroutine ends with err.
func (x *player) raise(err error) {
	if boom := boomError(""); errors.As(err, &boom) {
		x.raised = append(x.raised, boom)
	}
}

// aftermath is what a coroutine does when it is being stopped.
func (x *player) aftermath(h hand, r *role, stop error) error {
	boom := boomError(fmt.Sprintf("cleanup %d", r.i))
	n := len(x.p.coros)
	shielded := func(grace int, fn func(h hand) error) {
		err := h.Shield(grace, fn)
		x.told = append(x.told, describe(err))
		x.note(r.i, "shielded", describe(err), h.Now())
	}
	if r.raises {
		return boom
	}
	switch x.p.coros[r.i].aftermaths {
	case 1:
		return boom
	case 2:
		return nil
	case 3: // ignores it
		for {
			_ = h.Yield()
		}
	case 4: // ignores it for a while
		for range 5 {
			_ = h.Sleep(1)
		}
	case 5:
		shielded(9, func(h hand) error { return h.Sleep(3) })
	case 6:
		shielded(2, func(h hand) error { return h.Sleep(3) })
	case 7:
		shielded(4, func(h hand) error { _, err := h.Await((r.i + 1) % n); return err })
	case 8:
		shielded(3, func(h hand) error { return h.Spawn([]int{(r.i + 1) % n, (r.i + 2) % n}) })
		return fmt.Errorf("stopped: %w", stop)
	case 9:
		shielded(4, func(h hand) error {
			if err := h.Yield(); err != nil {
				return err
			}
			_, err := h.Timeout((r.i+3)%n, 2)
			return err
		})
	}
	return stop
}

// block executes operations until one of them ends the coroutine.
func (x *player) block(h hand, r *role, ops []instr) error {
	for n, o := range ops {
		more, err := x.do(h, r, o)
		if err != nil {
			x.told = append(x.told, describe(err))
		}
		switch cycle := new(tinyio.CycleError); {
		case err == nil:
		case h.Stopped():
			if stop, ok := err.(stopError); ok { // out of a Shield: who awaits this one must not take it for its own
				return stop
			}
			return stopError{err}
		case o.op == "raise" || o.op == "shield" && errors.As(err, new(boomError)) || errors.As(err, &cycle):
			return err
		default:
			more = []any{"error", describe(err)}
		}
		if o.op != "oncancel" {
			x.note(append([]any{r.i, n, o.op}, more...)...)
		}
		if o.op == "raise" {
			return boomError(fmt.Sprintf("boom %d", r.i))
		}
	}
	return nil
}

// do executes an operation and returns what is logged of it besides its name.
func (x *player) do(h hand, r *role, o instr) ([]any, error) {
	switch o.op {
	case "yield":
		return nil, h.Yield()
	case "sleep":
		err := h.Sleep(o.d)
		return []any{h.Now()}, err
	case "await":
		v, err := h.Await(o.n)
		r.mix(v)
		return []any{v}, err
	case "gather":
		vs, err := h.Gather(o.list)
		for _, v := range vs {
			r.mix(v)
		}
		return []any{vs}, err
	case "spawn":
		return nil, h.Spawn(o.list)
	case "timeout":
		v, err := h.Timeout(o.n, o.d)
		r.mix(v)
		return []any{v, h.Now()}, err
	case "isolate":
		v, err := h.Isolate(o.n)
		r.mix(v)
		return []any{v}, err
	case "first":
		if len(o.list) == 0 {
			return nil, nil
		}
		v, err := h.First(o.list)
		r.mix(v)
		return []any{v, h.Now()}, err
	case "cancel":
		return []any{h.Now()}, h.Cancel(o.n)
	case "daemon":
		return nil, h.SpawnDaemon(o.list)
	case "completed":
		return x.completed(h, r, o)
	case "shield":
		err := h.Shield(o.d, func(h hand) error { return x.block(h, r, o.body) })
		return nil, err
	case "set":
		h.SetEvent(o.n)
	case "clear":
		h.ClearEvent(o.n)
	case "wait":
		return nil, h.WaitEvent(o.n)
	case "waitfor":
		set, err := h.WaitEventFor(o.n, o.d)
		return []any{set, h.Now()}, err
	case "acquire":
		n := max(1, o.d)
		err := h.Acquire(o.n, n)
		if err == nil {
			r.held = append(r.held, [2]int{o.n, n})
		}
		return nil, err
	case "release":
		if k := slices.IndexFunc(r.held, func(held [2]int) bool { return held[0] == o.n }); k >= 0 {
			n := r.held[k][1]
			r.held = slices.Delete(r.held, k, k+1)
			h.Release(o.n, n)
		}
	case "barrier":
		index, err := h.Barrier(o.n)
		return []any{index}, err
	case "any":
		if len(o.list) == 0 {
			return nil, nil
		}
		i, err := h.WaitAny(o.list)
		return []any{i, h.Now()}, err
	case "put":
		err := h.Put(o.n, 10*r.i+o.d)
		return []any{h.Len(o.n), h.Now()}, err
	case "get":
		v, err := h.Get(o.n)
		r.mix(v)
		return []any{v, h.Len(o.n), h.Now()}, err
	case "tryput":
		return []any{h.TryPut(o.n, 10*r.i+o.d)}, nil
	case "tryget":
		v, ok := h.TryGet(o.n)
		return []any{v, ok}, nil
	case "close":
		h.Close(o.n)
	case "complete":
		var err error
		if o.d%3 == 2 {
			err = boomError(fmt.Sprintf("boom %d", o.n))
		}
		return []any{x.complete(o.n, 7*o.n+o.d, err)}, nil
	case "interrupt":
		x.interrupt()
	case "oncancel":
		r.raises = true
	case "raise":
	default:
		panic("unknown operation " + o.op)
	}
	return nil, nil
}

// completed ranges over several coroutines and leaves early after some of them, if o.n is not zero.
func (x *player) completed(h hand, r *role, o instr) (log []any, failed error) {
	count := 0
	h.AsCompleted(o.list, func(v int, err error) bool {
		if err != nil && h.Stopped() {
			failed = err
			return false
		}
		if cycle := new(tinyio.CycleError); errors.As(err, &cycle) {
			failed = err
			return false
		}
		x.told = append(x.told, describe(err))
		x.note(r.i, "next", v, describe(err), h.Now())
		r.mix(v)
		count++
		return count != o.n
	})
	return []any{count}, failed
}

// startCallback is the start function of callback i.
func (x *player) startCallback(i int, done func(int, error)) func(error) {
	x.note(i, "start")
	c := x.p.coros[i]
	x.pending = append(x.pending, i)
	x.done[i] = done
	if c.atOnce {
		var err error
		if c.fails {
			err = boomError(fmt.Sprintf("boom %d", i))
		}
		x.complete(i, i, err)
	}
	if c.onCancel == 0 {
		return nil
	}
	return func(cause error) {
		x.note(i, "cancel", describe(cause))
		if c.onCancel == 1 {
			x.complete(i, 0, cause)
		}
	}
}

// complete completes callback i, if it has started and has not been completed.
func (x *player) complete(i, v int, err error) bool {
	k := slices.Index(x.pending, i)
	if k < 0 {
		return false
	}
	x.pending = slices.Delete(x.pending, k, k+1)
	x.raise(err)
	x.done[i](v, err)
	x.done[i](v+1, nil) // which does nothing
	return true
}

// completeOldest is called when nothing else can happen.
func (x *player) completeOldest() bool {
	if len(x.pending) == 0 {
		return false
	}
	i := x.pending[0]
	x.note(i, "completed by the host")
	var err error
	if x.p.coros[i].fails {
		err = boomError(fmt.Sprintf("boom %d", i))
	}
	return x.complete(i, 1000+i, err)
}

// describe returns the text of an error without what the rules leave open.
func describe(err error) string {
	switch e := err.(type) {
	case nil:
		return "ok"
	case *tinyio.Error:
		return describe(e.Err)
	case *tinyio.ErrorGroup:
		return describeAll(e.Errs)
	case *tinyio.TimeoutError:
		if len(e.Cleanup) > 0 {
			return fmt.Sprintf("timeout %v %s", e.After, describeAll(e.Cleanup))
		}
		return fmt.Sprintf("timeout %v", e.After)
	case *tinyio.CancelledError:
		return "cancelled"
	case *tinyio.CycleError:
		return "cycle"
	case *tinyio.DeadlockError:
		return "deadlock"
	case interface{ Unwrap() error }:
		if strings.Contains(err.Error(), errUnwound.Error()) {
			return "unwound"
		}
		return describe(e.Unwrap())
	case interface{ Unwrap() []error }:
		return describeAll(e.Unwrap())
	}
	if err == errUnwound {
		return "unwound"
	}
	return err.Error()
}

func describeAll(errs []error) string {
	var all []string
	for _, err := range errs {
		all = append(all, describe(err))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// A stage is where a player plays a program on the package.
type stage struct {
	x          *player
	start      time.Time
	coros      []*tinyio.Coro[int]
	events     []tinyio.Event
	semaphores []*tinyio.Semaphore
	barriers   []*tinyio.Barrier
	queues     []*tinyio.Queue[int]
}

func newStage(p *program, x *player) *stage {
	s := &stage{x: x, events: make([]tinyio.Event, p.events)}
	for _, n := range p.semaphores {
		s.semaphores = append(s.semaphores, tinyio.NewSemaphore(n))
	}
	for _, n := range p.barriers {
		s.barriers = append(s.barriers, tinyio.NewBarrier(n))
	}
	for _, n := range p.queues {
		s.queues = append(s.queues, tinyio.NewQueue[int](n))
	}
	for i, c := range p.coros {
		var coro *tinyio.Coro[int]
		if c.callback {
			coro = tinyio.FromCallback(func(done func(int, error)) func(error) { return x.startCallback(i, done) })
		} else {
			coro = tinyio.New(func(co *tinyio.Co) (int, error) {
				if i == 0 {
					s.start = co.Now()
				}
				return x.play(stageHand{s, co}, i)
			})
		}
		s.coros = append(s.coros, coro.Named(fmt.Sprint(i)))
	}
	return s
}

// A stageHand is the hand of a coroutine on a stage.
type stageHand struct {
	s  *stage
	co *tinyio.Co
}

func (h stageHand) list(js []int) (cs []*tinyio.Coro[int]) {
	for _, j := range js {
		cs = append(cs, h.s.coros[j])
	}
	return cs
}

func (h stageHand) Stopped() bool                  { return h.co.Err() != nil }
func (h stageHand) Now() int                       { return int(h.co.Now().Sub(h.s.start) / time.Second) }
func (h stageHand) Yield() error                   { return h.co.Yield() }
func (h stageHand) Sleep(d int) error              { return h.co.Sleep(seconds(d)) }
func (h stageHand) Await(j int) (int, error)       { return h.s.coros[j].Await(h.co) }
func (h stageHand) Gather(js []int) ([]int, error) { return tinyio.Gather(h.co, h.list(js)...) }

func (h stageHand) awaitables(js []int) (cs []tinyio.Awaitable) {
	for _, j := range js {
		cs = append(cs, h.s.coros[j])
	}
	return cs
}

func (h stageHand) Spawn(js []int) error          { return h.co.Spawn(h.awaitables(js)...) }
func (h stageHand) WaitAny(js []int) (int, error) { return tinyio.WaitAny(h.co, h.awaitables(js)...) }

func (h stageHand) Timeout(j, d int) (int, error) {
	return tinyio.Timeout(h.co, h.s.coros[j], seconds(d))
}

func (h stageHand) Isolate(j int) (int, error)  { return tinyio.Isolate(h.co, h.s.coros[j]) }
func (h stageHand) First(js []int) (int, error) { return tinyio.First(h.co, h.list(js)...) }
func (h stageHand) Cancel(j int) error          { return h.s.coros[j].Cancel(h.co, errCancel) }
func (h stageHand) SpawnDaemon(js []int) error  { return h.co.SpawnDaemon(h.awaitables(js)...) }

func (h stageHand) AsCompleted(js []int, yield func(int, error) bool) {
	tinyio.AsCompleted(h.co, h.list(js)...)(yield)
}

func (h stageHand) Shield(grace int, fn func(h hand) error) error {
	return h.co.Shield(seconds(grace), func(co *tinyio.Co) error { return fn(stageHand{h.s, co}) })
}

func (h stageHand) SetEvent(e int)        { h.s.events[e].Set() }
func (h stageHand) ClearEvent(e int)      { h.s.events[e].Clear() }
func (h stageHand) IsSet(e int) bool      { return h.s.events[e].IsSet() }
func (h stageHand) WaitEvent(e int) error { return h.s.events[e].Wait(h.co) }
func (h stageHand) WaitEventFor(e, d int) (bool, error) {
	return h.s.events[e].WaitFor(h.co, seconds(d))
}
func (h stageHand) Acquire(s, n int) error     { return h.s.semaphores[s].AcquireN(h.co, n) }
func (h stageHand) Release(s, n int)           { h.s.semaphores[s].ReleaseN(n) }
func (h stageHand) Barrier(b int) (int, error) { return h.s.barriers[b].Wait(h.co) }
func (h stageHand) Put(q, v int) error         { return h.s.queues[q].Put(h.co, v) }
func (h stageHand) Get(q int) (int, error)     { return h.s.queues[q].Get(h.co) }
func (h stageHand) TryPut(q, v int) bool       { return h.s.queues[q].TryPut(v) }
func (h stageHand) TryGet(q int) (int, bool)   { return h.s.queues[q].TryGet() }
func (h stageHand) Len(q int) int              { return h.s.queues[q].Len() }
func (h stageHand) Close(q int)                { h.s.queues[q].Close() }

// A performance is the result of playing a program.
type performance struct {
	log    []string
	result string // the value or the error
	now    int
	faults []string // what is wrong whatever the model says
}

func outcomeText(v int, err error) string {
	if err != nil {
		return describe(err)
	}
	return fmt.Sprint(v)
}

// predict plays p on the model.
func predict(p *program) performance {
	x := newPlayer(p)
	m := newModel(p, x)
	v, err := m.run()
	out := performance{x.log, outcomeText(v, err), m.now, nil}
	if err == errStuck {
		out.faults = append(out.faults, err.Error(), strings.Join(x.log, "\n"))
	}
	if err := m.check(); err != nil {
		out.faults = append(out.faults, err.Error())
	}
	return out
}

// A hostClock is virtual time in which callbacks are completed when nothing else can happen.
type hostClock struct {
	now  time.Time
	idle func() bool
}

func (c *hostClock) Now() time.Time { return c.now }
func (c *hostClock) Idle(p hook.Pause) bool {
	if p.Deadline.IsZero() {
		return c.idle()
	}
	c.now = p.Deadline
	return true
}

// perform plays p on the package: with Run, or, if hosted, a step at a time.
func perform(p *program, hosted bool) performance {
	if p.maxServed > 0 {
		defer tinyio.SetMaxServed(p.maxServed)()
	}
	x := newPlayer(p)
	s := newStage(p, x)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	x.interrupt = func() { cancel(errInterrupted) }
	opts := []tinyio.Option{tinyio.WithErrorGroup(p.mode), tinyio.WithVirtualTime()}
	if !hosted && p.hasCallbacks() {
		opts[1] = tinyio.WithClock(&hostClock{idle: x.completeOldest})
	}
	l := tinyio.NewLoop(opts...)
	var v int
	var err error
	if hosted {
		v, err = host(ctx, l, s)
	} else {
		v, err = tinyio.RunOn(ctx, l, s.coros[0])
	}
	out := performance{log: x.log, result: outcomeText(v, err)}
	out.now, err = tinyio.RunOn(context.Background(), l, tinyio.New(func(co *tinyio.Co) (int, error) {
		return stageHand{s, co}.Now(), co.Sleep(0)
	}))
	if err != nil {
		out.faults = append(out.faults, fmt.Sprintf("the loop cannot be run again: %v", err))
	}
	out.faults = append(append(out.faults, s.faults()...), x.lost(out.result)...)
	return out
}

// lost are the errors that nobody was told of (R10): neither an operation nor the run has returned them.
func (x *player) lost(result string) (out []string) {
	if x.p.mode == tinyio.GroupNever || x.p.has("first") { // which drop errors
		return nil
	}
	for _, err := range x.raised {
		if !slices.ContainsFunc(append(x.told, result), func(told string) bool { return strings.Contains(told, string(err)) }) {
			out = append(out, fmt.Sprintf("%q is lost", err))
		}
	}
	return out
}

func host(ctx context.Context, l *tinyio.Loop, s *stage) (int, error) {
	r := tinyio.Start(ctx, l, s.coros[0])
	for pause := range r.Steps() {
		l.Status()
		if pause.Blocked && pause.Deadline.IsZero() {
			s.x.completeOldest()
		}
	}
	return r.Result()
}

// faults are the things that are wrong after a run, whatever the program.
func (s *stage) faults() (out []string) {
	for i, n := range s.x.p.semaphores {
		for k := range n {
			if !s.semaphores[i].TryAcquire() {
				out = append(out, fmt.Sprintf("only %d of the %d permits of semaphore %d are back", k, n, i))
				break
			}
		}
		if s.semaphores[i].TryAcquire() {
			out = append(out, fmt.Sprintf("semaphore %d has more permits than before", i))
		}
	}
	for i, q := range s.queues {
		before := q.Len()
		if q.TryPut(0) && q.Len() == before {
			out = append(out, fmt.Sprintf("queue %d still hands values to somebody", i))
		}
	}
	for i, n := range s.x.ended {
		started := 0
		for _, line := range s.x.log {
			if line == fmt.Sprintf(`[%d,"start"]`, i) {
				started++
			}
		}
		if started > 1 || !s.x.p.coros[i].callback && n != started {
			out = append(out, fmt.Sprintf("coroutine %d started %d times and ended %d times", i, started, n))
		}
	}
	return out
}

// disagreement plays p on the package and on the model and returns what differs, "" if nothing does.
func disagreement(p *program) string {
	want := predict(p)
	if len(want.faults) > 0 {
		return strings.Join(want.faults, "\n")
	}
	for _, hosted := range []bool{true, false} {
		if !hosted && p.has("interrupt") {
			continue // when the context of a run is noticed that has no host is left open
		}
		ended := make(chan performance, 1)
		go func() {
			defer func() {
				if v := recover(); v != nil {
					ended <- performance{result: fmt.Sprintf("panic: %v", v)}
				}
			}()
			ended <- perform(p, hosted)
		}()
		var got performance
		select {
		case got = <-ended:
		case <-time.After(5 * time.Second):
			panic(fmt.Sprintf("a program hangs (hosted: %v):\n%s\nthe model says:\n%s", hosted, p,
				strings.Join(want.log, "\n"))) // and takes the goroutine that spins with it
		}
		if diff := compare(got, want); diff != "" {
			return fmt.Sprintf("hosted: %v\n%s", hosted, diff)
		}
	}
	return ""
}

func compare(got, want performance) string {
	var b strings.Builder
	for i := range max(len(got.log), len(want.log)) {
		switch {
		case i < len(got.log) && i < len(want.log) && got.log[i] == want.log[i]:
			continue
		case i < len(got.log) && i < len(want.log):
			fmt.Fprintf(&b, "line %d is %s, want %s\n", i, got.log[i], want.log[i])
		case i < len(got.log):
			fmt.Fprintf(&b, "line %d is %s, want the end\n", i, got.log[i])
		default:
			fmt.Fprintf(&b, "line %d is the end, want %s\n", i, want.log[i])
		}
		fmt.Fprintf(&b, "all of it:\n%s\nwant:\n%s\n", strings.Join(got.log, "\n"), strings.Join(want.log, "\n"))
		break
	}
	if got.result != want.result {
		fmt.Fprintf(&b, "the result is %s, want %s\n", got.result, want.result)
	}
	if b.Len() == 0 && got.now != want.now {
		fmt.Fprintf(&b, "it ends at %d s, want %d s\n", got.now, want.now)
	}
	for _, f := range got.faults {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// A decoder makes a program of bytes. Any bytes will do.
type decoder struct {
	data       []byte
	operations []string
}

func (d *decoder) below(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b) % n
}

func decode(data []byte, operations []string) *program {
	d := &decoder{data, operations}
	p := &program{mode: tinyio.GroupMode(d.below(3)), events: 2, semaphores: []int{1, 3}, barriers: []int{2, 3},
		queues: []int{0, 1}, maxServed: 3}
	p.coros = make([]coroCode, 1+d.below(9))
	for i := range p.coros {
		p.coros[i] = d.coro(i, len(p.coros))
	}
	return p
}

func (d *decoder) coro(i, n int) (c coroCode) {
	kind := d.below(24)
	if i > 0 && kind >= 20 {
		c.callback = true
		how := d.below(16)
		c.atOnce, c.fails, c.onCancel = how%4 == 0, how/4%2 == 1, how%3
		return c
	}
	c.aftermaths = max(0, kind-8)
	c.ops = d.ops(n, d.below(8), 2)
	return c
}

var allOperations = []string{
	"yield", "await", "gather", "spawn", "sleep", "timeout", "isolate", "completed", "shield", "set", "clear", "wait",
	"waitfor", "acquire", "release", "barrier", "complete", "raise", "oncancel", "sleep", "await", "timeout", "shield",
	"acquire", "waitfor", "isolate", "gather", "yield", "spawn", "await", "sleep", "interrupt", "put", "get", "put",
	"get", "tryput", "tryget", "put", "get", "close", "any", "any", "first", "cancel", "daemon", "first", "isolate", "cancel",
}

// queueOperations are for programs that are mostly about queues.
var queueOperations = []string{
	"put", "get", "tryput", "tryget", "put", "get", "put", "get", "put", "get", "sleep", "yield", "timeout", "timeout",
	"spawn", "isolate", "shield", "raise", "gather", "any", "close",
}

func (d *decoder) ops(n, count, depth int) (ops []instr) {
	for range count {
		o := instr{op: d.operations[d.below(len(d.operations))]}
		switch o.op {
		case "await", "isolate", "cancel":
			o.n = d.below(n)
		case "gather", "spawn", "completed", "any", "first", "daemon":
			o.list = []int{}
			for range d.below(5) {
				o.list = append(o.list, d.below(n))
			}
			if o.op == "completed" {
				o.n = d.below(4)
			}
		case "sleep":
			o.d = d.below(7)
		case "timeout":
			o.n, o.d = d.below(n), d.below(7)
		case "shield":
			if depth == 0 {
				o = instr{op: "yield"}
				break
			}
			o.d = d.below(8)
			o.body = append([]instr{}, d.ops(n, d.below(4), depth-1)...)
		case "set", "clear", "wait", "release", "barrier":
			o.n = d.below(2)
		case "acquire":
			if o.n = d.below(2); o.n == 1 {
				o.d = 1 + d.below(3)
			}
		case "waitfor", "put", "get", "tryput", "tryget", "close":
			o.n, o.d = d.below(2), d.below(6)
		case "complete":
			o.n, o.d = d.below(n), d.below(6)
		}
		ops = append(ops, o)
	}
	return ops
}

// FuzzPrograms plays programs on the package and on the model.
func FuzzPrograms(f *testing.F) {
	f.Add([]byte{})
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		data := make([]byte, 120)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 400 {
			return
		}
		noLeaks(t)
		p := decode(data, allOperations)
		if diff := disagreement(p); diff != "" {
			t.Fatalf("%s\n%s", p, diff)
		}
	})
}

// randomPrograms is how many programs a plain test plays.
const randomPrograms = 4000

// TestRandomPrograms plays random programs, the same ones each time, on the package and on the model: R1 to R5, R7 to R11, R13, R15, R17 to
// R19, R21, R24 to R28.
func TestRandomPrograms(t *testing.T) {
	playRandomPrograms(t, randomPrograms, allOperations)
}

// TestRandomQueues does the same with programs that are mostly about queues.
func TestRandomQueues(t *testing.T) {
	playRandomPrograms(t, randomPrograms/2, queueOperations)
}

func playRandomPrograms(t *testing.T, count int, operations []string) {
	noLeaks(t)
	before := runtime.NumGoroutine()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range count {
		data := make([]byte, 10+random.IntN(150))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		if diff := disagreement(decode(data, operations)); diff != "" {
			data = shrink(data, operations)
			t.Fatalf("program %d, %#v:\n%s\n%s", n, data, decode(data, operations), disagreement(decode(data, operations)))
		}
		if n%100 == 0 && !fallsTo(before+10) {
			t.Fatalf("program %d, or one of the 100 before it, leaves goroutines", n)
		}
	}
}

// shrink makes data on which the package and the model disagree shorter and simpler, as long as they still do.
func shrink(data []byte, operations []string) []byte {
	fails := func(data []byte) bool {
		return disagreement(decode(data, operations)) != ""
	}
	for again := true; again; {
		again = false
		try := func(smaller []byte) bool {
			if fails(smaller) {
				data, again = smaller, true
				return true
			}
			return false
		}
		for size := len(data) / 2; size > 0; size /= 2 {
			for at := 0; at+size <= len(data); {
				if !try(slices.Concat(data[:at], data[at+size:])) {
					at++
				}
			}
		}
		for at := 0; at < len(data); at++ {
			for _, b := range []byte{0, data[at] / 2, data[at] - 1} {
				if at < len(data) && b < data[at] {
					smaller := slices.Clone(data)
					smaller[at] = b
					if try(smaller) {
						break
					}
				}
			}
		}
	}
	return data
}

// TestModelConforms compares the model with the Python original, as TestConformance does with the package.
func TestModelConforms(t *testing.T) { eachVector(t, modelConforms) }

func modelConforms(t *testing.T, v *vector) {
	p := v.program()
	x := newPlayer(p)
	m := newModel(p, x)
	value, err := m.run()
	cycle := v.Expect.Error == "cycle"
	if !cycle {
		compareLines(t, x.log, lines(v.Expect.Log), slices.IndexFunc(v.Expect.Log, func(e entry) bool {
			return len(e) == 3 && e[2] == "raise"
		})+1)
	}
	v.compare(t, value, err)
	if v.Expect.Value != nil && m.now != v.Expect.Now {
		t.Errorf("ended at %d s, want %d s", m.now, v.Expect.Now)
	}
	if diff := disagreement(p); diff != "" {
		t.Errorf("the model and the package disagree:\n%s", diff)
	}
}

// compareLines is compareLogs for lines. The first exact lines must be equal, and the others may be in any order.
func compareLines(t *testing.T, got, want []string, exact int) {
	t.Helper()
	if exact == 0 {
		exact = len(want)
	}
	got, want = slices.Clone(got), slices.Clone(want)
	if len(got) != len(want) || !slices.Equal(got[:exact], want[:exact]) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	slices.Sort(got[exact:])
	slices.Sort(want[exact:])
	if !slices.Equal(got[exact:], want[exact:]) {
		t.Errorf("after the failure: got\n%s\nwant\n%s", strings.Join(got[exact:], "\n"), strings.Join(want[exact:], "\n"))
	}
}

// program returns v in the form of this file.
func (v *vector) program() *program {
	p := &program{mode: groupModes[v.Mode], events: v.Program.Events, semaphores: v.Program.Semaphores,
		barriers: v.Program.Barriers}
	for _, ops := range v.Program.Coros {
		var c coroCode
		for _, o := range ops {
			i := instr{op: o.name()}
			switch i.op {
			case "gather":
				i.list = o.nums(1)
			case "spawn":
				i.list = []int{o.num(1)}
			case "sleep":
				i.d = o.num(1)
			case "waitfor":
				i.n, i.d = o.num(1), o.num(2)
			case "await", "set", "clear", "wait", "acquire", "release", "barrier":
				i.n = o.num(1)
			}
			c.ops = append(c.ops, i)
		}
		p.coros = append(p.coros, c)
	}
	return p
}
