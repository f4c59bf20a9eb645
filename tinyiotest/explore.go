package tinyiotest

import (
	"os"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// An Option sets how [Explore] searches.
type Option func(*settings)

type settings struct {
	maxSchedules int
	deviations   int
	seed         uint64
	faults       bool
}

// MaxSchedules sets how many schedules are tried at most. The default is 1,000. It panics if n is not positive.
func MaxSchedules(n int) Option {
	if n <= 0 {
		panic("tinyiotest: MaxSchedules: the number must be at least 1, or nothing would be run")
	}
	return func(s *settings) { s.maxSchedules = n }
}

// Deviations sets up to how many choices other than first in, first out, and faults, all schedules are tried, as far as
// [MaxSchedules] allows. The default is 2. It panics if n is negative.
func Deviations(n int) Option {
	if n < 0 {
		panic("tinyiotest: Deviations: the number is negative; with 0 all schedules but the first are random")
	}
	return func(s *settings) { s.deviations = n }
}

// Seed sets the seed of the random schedules, which is otherwise always the same.
func Seed(seed uint64) Option {
	return func(s *settings) { s.seed = seed }
}

// Faults has things go wrong: in each schedule at most one, at each place in turn.
//
//   - The context of the run is cancelled, before each turn.
//   - The clock jumps to the next deadline although there is something to do, before each turn at which a timer is set: so a
//     timeout fires early.
//   - A thread fails instead of running.
//
// An error that is [ErrInjected], to [errors.Is], is then no failure, nor is one that is [tinyio.ErrTimeout] if the clock has
// jumped. Any other error is, such as one of the clean-up; and panics, deadlocks, leaks and the checks of [AtEnd] are as ever.
func Faults() Option {
	return func(s *settings) { s.faults = true }
}

// scheduleVariable is the environment variable that has Explore replay a schedule.
const scheduleVariable = "TINYIO_SCHEDULE"

// Explore runs fn as the first coroutine of a loop under schedule after schedule, and fails t, by Fatal, at the first under
// which fn
//
//   - returns an error, or any coroutine does,
//   - panics, or marks t as failed,
//   - deadlocks, or waits for a thread that never comes back,
//   - takes more than 100,000 turns,
//   - leaves a goroutine behind, or something else that a check of [AtEnd] finds.
//
// If fn skips t, that is the end of the search, and t is skipped.
//
// What it reports is the shortest such schedule that it has found: what happened in it, turn by turn, and a line that runs it
// again. In the environment variable TINYIO_SCHEDULE, that schedule is the only one that Explore runs; see [Replay] for
// keeping it.
//
// A schedule is the choice of the next coroutine whenever several are ready. Each run begins at midnight UTC on 2000-01-01 and
// is in virtual time. If t is a [*testing.T], and not in a bubble of [testing/synctest] already, each run is in a bubble of
// its own. There time is virtual for threads too, and a thread has ended, or is blocked, before the next turn, so that it
// makes no difference how fast it is. Otherwise, threads have [tinyio.ThreadPatience] to end, and what takes longer may come at
// any time.
//
// A bubble does not see that a goroutine is blocked by a mutex, a system call, or a channel made outside of fn, such as the Done
// channel of a context from there. Until that is over no virtual time passes: a system call takes the real time that it takes,
// but what only goes on when virtual time does never comes, and the test hangs until the time limit of go test. So a thread must
// not sleep with a mutex held that another one wants, nor wait in a select for a timer and for a channel from outside.
//
// The search begins with first in, first out. Then come all schedules with one deviation from that, then all with two, and so
// on to the bound set by [Deviations]. Most bugs need few. If there are more than [MaxSchedules] allows for, those tried lie
// evenly among them, and a quarter of the budget is left for random ones. What then remains of the budget goes to random
// priorities (PCT, by Burckhardt and others, ASPLOS 2010), until several hundred in a row have brought no new interleaving.
// Such schedules have depths, which take turns, from 1 to the bound of deviations and two. In a program with n coroutines
// and k choices, one of depth d shows a bug that needs d of its turns in a certain order with a probability of at least
// 1/(n·k^(d-1)).
//
// With the race detector on, Go keeps some 5 KB for every coroutine that there has ever been: fewer schedules may be wanted.
//
// The function fn must do the same whenever the schedule is the same: it has to make anew what it changes, and not to depend
// on maps' order, real time or random numbers. The first schedule is run twice to see that. A program with goroutines of its
// own that call into the loop is deterministic only if there is one order in which they can do so.
//
// Explore must not be called by a coroutine.
func Explore(t testing.TB, fn func(co *tinyio.Co) error, opts ...Option) {
	t.Helper()
	explore(newProgram("Explore", t, fn), opts)
}

// newProgram returns fn as a program, to be run in bubbles if that is possible.
func newProgram(op string, t testing.TB, fn func(co *tinyio.Co) error) *program {
	if fn == nil {
		panic("tinyiotest: " + op + ": the function is nil; there is nothing to run")
	}
	p := &program{t: t, fn: fn}
	if real, ok := t.(*testing.T); ok && !bubbled() {
		p.bubble = real
	}
	return p
}

func explore(p *program, opts []Option) {
	p.t.Helper()
	x := &search{
		program:  p,
		settings: settings{maxSchedules: 1000, deviations: 2, seed: 1},
		begun:    time.Now(),
		seen:     map[uint64]bool{},
	}
	for _, o := range opts {
		if o == nil {
			panic("tinyiotest: Explore: an Option is nil; leave it out")
		}
		o(&x.settings)
	}
	p.faults = x.settings.faults
	if text := os.Getenv(scheduleVariable); text != "" {
		replay(p, text)
		return
	}
	found, err := x.find()
	switch {
	case err != nil:
		p.t.Fatal(err)
	case found == nil:
		p.t.Logf("tinyiotest: %s", x)
	case found.failure.flaw == skips:
		p.t.SkipNow()
	default:
		p.t.Fatal(x.report(p.shrink(found)))
	}
}

// find returns the first run that fails, nil if there is none.
func (x *search) find() (*trial, error) {
	first, err := x.first()
	if err != nil || first.failure != nil {
		return first, err
	}
	found, err := x.systematic(first)
	if err != nil || found != nil || x.exhausted {
		return found, err
	}
	return x.randomly(first), nil
}
