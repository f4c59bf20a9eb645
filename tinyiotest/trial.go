package tinyiotest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A program is what is explored, and how its runs are made.
type program struct {
	t      testing.TB
	bubble *testing.T // in whose bubbles the program runs, or nil
	fn     func(co *tinyio.Co) error
	faults bool
}

// A strategy chooses whose turn it is.
type strategy interface {
	// choose returns the index of the coroutine to go on, for the pick of that number.
	choose(number int, ready []hook.ID) int
}

// A point is where a run could have deviated from what it did.
type point struct {
	deviation     // with the choice left open
	width     int // how many choices there are, that of no deviation included
}

// A trial is one run of a program. It is the host of the loop: its clock, its picker, its observer, and where its threads run. So
// everything that is open is decided here, and the same decisions make the same run.
type trial struct {
	*program
	strategy strategy
	faults   []deviation // that are still to come
	clock    *clock
	cancel   context.CancelCauseFunc

	// The loop's goroutine holds mu when it is here. If it hangs, mu is how the others see what it has done so far.
	mu      sync.Mutex
	done    schedule // what has been deviated so far
	points  []point  // since the last deviation
	picks   int
	turns   int
	hash    uint64
	coros   []coro // by their IDs
	started int    // coroutines
	outside int    // coroutines that wait for a thread, a callback or a call
	offered int    // at which turn faults were possible the last time
	threads threads
	checks  []func() error
	log     *timeline // nil unless it is wanted
	misfit  error     // the schedule is for another program
	failure *failure
	gaveUp  chan struct{} // closed when the run can never end
	over    bool          // everything has been looked at
}

// A coro is what a trial knows of a coroutine.
type coro struct {
	name    string
	number  int
	outside bool // waits for a thread, a callback or a call
	started int
	ended   int
}

// maxTurns is how long a run may be.
const maxTurns = 100_000

// try runs p once. The strategy decides about picks; faults are injected. With a log, what happens is written there.
func (p *program) try(s strategy, faults []deviation, log *timeline) *trial {
	r := &trial{program: p, strategy: s, faults: faults, log: log, hash: offset, offered: -1}
	failed := p.t.Failed()
	if p.bubble == nil {
		r.host()
	} else if stuck := inBubble(p.bubble, r.host); stuck != nil {
		flaw := hangs
		if r.over {
			flaw = leaks
		}
		r.fails(flaw, fmt.Errorf("tinyiotest: testing/synctest says: %v", stuck))
	}
	if !failed && p.t.Failed() {
		r.fails(marksTest, errSeeAbove)
	}
	if r.failure != nil && p.t.Skipped() && !p.t.Failed() {
		r.failure.flaw = skips
	}
	if len(r.faults) > 0 {
		r.misfits(fmt.Errorf("the fault %s has not come about", r.faults[0]))
	}
	return r
}

// errSeeAbove is what the test has said already.
var errSeeAbove = errors.New("tinyiotest: the test has said why")

// inBubble calls f in a bubble of testing/synctest and returns what that panics with if not everything in it can end.
//
// The channel of the test's context is made when it is first asked for. If that were in a bubble, no other one could use it.
func inBubble(t *testing.T, f func()) (stuck any) {
	t.Context().Done()
	defer func() { stuck = recover() }()
	synctest.Test(t, func(*testing.T) { f() })
	return nil
}

// host runs the program, and looks at what it has left behind.
func (r *trial) host() {
	r.clock = newClock(r.bubble != nil)
	r.threads.news, r.gaveUp = make(chan struct{}, 1), make(chan struct{}) // of the bubble, if there is one
	watch := watchGoroutines(r.bubble != nil)
	if !r.apart(watch, r.drive) {
		return
	}
	r.countEnds()
	for _, check := range r.checks {
		r.apart(watch, func(context.Context) {
			if err := check(); err != nil {
				r.fails(leavesUndone, err)
			}
		})
	}
	if left := watch.left(); left != "" {
		r.fails(leaks, fmt.Errorf("tinyiotest: these had not ended when the run had:\n\n%s", left))
	}
	r.over = true
}

// apart calls f on a goroutine of its own, which may panic, or end by a Goexit, without harm to the test: then the run has failed.
// It returns when that has ended, or false when the run can never end. The context has the label of watch, as the goroutine has.
func (r *trial) apart(watch goroutineWatch, f func(ctx context.Context)) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		returned := false
		defer func() {
			if p := recover(); p != nil {
				r.fails(panics, asError(p))
			} else if !returned {
				r.fails(exits, errSeeAbove)
			}
		}()
		pprof.Do(context.Background(), watch.label(), f)
		returned = true
	}()
	select {
	case <-ended:
		return true
	case <-r.gaveUp:
		return false
	}
}

// fails takes down the first failure.
func (r *trial) fails(f flaw, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		r.failure = &failure{f, err}
	}
}

// drive takes the steps of the run.
func (r *trial) drive(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, trialKey{}, r))
	defer cancel(nil)
	r.cancel = cancel
	l := tinyio.NewLoop(tinyio.WithClock(hostClock{r}), tinyio.WithPicker(hostPicker{r}),
		tinyio.WithObserver(hostObserver{r}), tinyio.WithThreads(r.startThread))
	run := tinyio.Start(ctx, l, tinyio.Do(r.fn))
	r.inject(time.Time{})
	for p := range run.Steps() {
		if !r.pass(l, p) {
			break
		}
	}
	_, err := run.Result()
	if err != nil && !r.done.excused(err) {
		r.fails(returnsError, err)
	}
}

// asError is the panic of value p as an error, to be called while it is being recovered from. That of a coroutine has its stack.
func asError(p any) error {
	switch v := p.(type) {
	case *tinyio.PanicError:
		return v
	case error:
		return fmt.Errorf("%w\n\n%s", v, debug.Stack())
	default:
		return fmt.Errorf("%v\n\n%s", v, debug.Stack())
	}
}

// pass lets the time between two steps pass, and reports whether to go on.
func (r *trial) pass(l *tinyio.Loop, p tinyio.Pause) bool {
	news := r.settle()
	if news == 0 && p.Blocked {
		select {
		case <-p.Wake:
			news++
		default:
		}
	}
	blocked := p.Blocked && news == 0
	deadline := p.Deadline
	if blocked && r.outside == 0 {
		deadline = time.Time{} // to go on there is what happens anyway
	}
	switch {
	case r.turns >= maxTurns:
		r.fails(neverEnds, fmt.Errorf("tinyiotest: %d turns have been taken; virtual time passes only while nobody is ready, so "+
			"that one who yields until a time has come does so for ever: sleep in between, or wait for an event", r.turns))
	case r.inject(deadline) || !blocked || r.idle(p.Deadline, p.Wake):
		return true
	case r.outside > 0:
		r.fails(hangs, fmt.Errorf("tinyiotest: nothing has come back:\n\t%s", strings.Join(waits(l), "\n\t")))
	default:
		r.fails(deadlocks, &tinyio.DeadlockError{Waits: waits(l)})
	}
	r.log = nil // how the run is stopped is nothing of the program's
	return false
}

// waits tells of each coroutine what it waits for.
func waits(l *tinyio.Loop) (all []string) {
	for _, s := range l.Status() {
		all = append(all, s.String())
	}
	return all
}

// inject notes that a fault could happen here, after r.turns turns, and lets it happen if it is the time for it. A deadline is
// given if the clock could jump.
func (r *trial) inject(deadline time.Time) (injected bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.offered == r.turns { // no turn has been taken since
		return false
	}
	r.offered = r.turns
	if r.fault(cancel, r.turns) {
		r.log.fault("the context of the run is cancelled", false)
		r.cancel(fmt.Errorf("%w: the context was cancelled after %s", ErrInjected, count(r.turns, "turn")))
		return true
	}
	if !deadline.IsZero() && r.fault(advance, r.turns) {
		r.log.fault("the clock jumps to the next deadline", false)
		r.clock.jump(deadline)
		return true
	}
	return false
}

// fault notes that a fault of kind k could happen here, as number n of its kind, and reports whether it does.
func (r *trial) fault(k kind, n int) bool {
	if len(r.faults) > 0 && r.faults[0].kind == k && r.faults[0].at == n {
		r.deviate(r.faults[0])
		r.faults = r.faults[1:]
		return true
	}
	if r.program.faults {
		r.points = append(r.points, point{deviation{kind: k, at: n}, 2})
	}
	return false
}

// deviate takes down that d has happened.
func (r *trial) deviate(d deviation) {
	r.done = append(r.done, d)
	r.points = r.points[:0]
	r.mix(uint64(d.kind)<<32 + uint64(d.choice) + 1)
}

// The hash of a run is FNV-1a over whose turn it was and which faults there were: what makes up its interleaving.
const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

func (r *trial) mix(v uint64) {
	for range 8 {
		r.hash = (r.hash ^ v&0xff) * prime
		v >>= 8
	}
}

// countEnds checks that every coroutine has ended once.
func (r *trial) countEnds() {
	for id, c := range r.coros {
		if c.started != c.ended || c.started > 1 {
			r.fails(miscounts, fmt.Errorf("tinyiotest: coroutine %s was started %d times and ended %d times; please report this",
				r.nameOf(hook.ID(id)), c.started, c.ended))
		}
	}
}

// nameOf is how coroutine id is called in what people read.
func (r *trial) nameOf(id hook.ID) string {
	return fmt.Sprintf("%s#%d", r.coros[id].name, r.coros[id].number)
}
