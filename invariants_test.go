package tinyio

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"

	"github.com/tinyio-go/tinyio/hook"
)

// TestMain makes every loop in the tests of this package check its invariants after every step, as long as it is small. In
// benchmarks that would be all they measure.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		stepped, spareWorkers = checkStep, 2
	}
	os.Exit(m.Run())
}

// SetMaxServed sets how many waits of one turn may be served at once, and returns a function that sets the number back.
func SetMaxServed(n int) (reset func()) {
	before := maxServed
	maxServed = n
	return func() { maxServed = before }
}

// BreakSteps makes the loop panic after every step.
func BreakSteps() { stepped = func(*run) { panic("broken") } }

func checkStep(r *run) {
	if r.live() > 100 {
		return
	}
	if err := r.checkInvariants(); err != nil { // comes out of the run, so that a program that leads to it can be made smaller
		r.deferred.push(failure{err: newPanicError("tinyio: internal error: "+err.Error(), debug.Stack()), panic: true})
	}
}

// checkInvariants reports which of the invariants at the top of run.go does not hold between two turns.
func (r *run) checkInvariants() error {
	if q := &r.asked; r.unsettled == nil && (*q != request{}) {
		return fmt.Errorf("a request is left over: %+v", *q)
	}
	queued := map[*task]bool{}
	inQueue := slices.Collect(r.ready.all())
	if r.hasPicker() {
		inQueue = append(inQueue, r.watch.crowd.tasks[r.watch.crowd.gone:]...)
	}
	for _, c := range inQueue {
		if queued[c] {
			return fmt.Errorf("%s is in the ready queue twice", c.label())
		}
		queued[c] = true
		if c.state != ready && c.state != done {
			return fmt.Errorf("%s is %s and in the ready queue", c.label(), c.state)
		}
	}
	if r.running != nil {
		return fmt.Errorf("%s is running between two turns", r.running.label())
	}
	if len(r.cancelled) > 0 {
		return fmt.Errorf("%d coroutines are still to be stopped between two turns", len(r.cancelled))
	}
	live, readyOnes := 0, 0
	wanted := map[*task]int32{}
	for c := range r.root.members {
		live++
		if c.state == ready {
			readyOnes++
		}
		if c.state == ready && !queued[c] {
			return fmt.Errorf("%s is ready and not in the ready queue", c.label())
		}
		if c.state == fresh || c.state == running || c.state == done {
			return fmt.Errorf("%s is %s and among the live", c.label(), c.state)
		}
		if c.spawned {
			wanted[c]++
		}
		if c.scope.main == c {
			wanted[c]++
		}
		if err := c.checkWait(wanted); err != nil {
			return err
		}
	}
	if live != r.live() {
		return fmt.Errorf("%d coroutines are live and %d are counted", live, r.live())
	}
	if s := r.loop.Stats(); s.Live != live || s.Ready != readyOnes || s.Threads != r.threads || s.Timers != r.timers.Len() {
		return fmt.Errorf("%d coroutines are live and %d ready, and the counters are %+v", live, readyOnes, s)
	}
	if err := r.checkCycles(); err != nil {
		return err
	}
	for c := range r.root.members {
		if c.wanted != wanted[c] {
			return fmt.Errorf("%s is wanted by %d and %d are counted", c.label(), wanted[c], c.wanted)
		}
	}
	return nil
}

// checkCycles checks that the edges that count make no cycle and lead to no lower level, and that no search has left a trace.
func (r *run) checkCycles() error {
	above := map[*task]bool{} // on the way, or false if what that one waits for has been checked
	var check func(c *task) error
	check = func(c *task) error {
		if c.mark != unmarked {
			return fmt.Errorf("%s is still marked by a search", c.label())
		}
		above[c] = true
		targets := c.countingTargets()
		for t, more := targets.next(); more; t, more = targets.next() {
			if t == nil {
				continue
			}
			if t.level < c.level {
				return fmt.Errorf("%s, of level %d, waits for %s, of level %d", c.label(), c.level, t.label(), t.level)
			}
			if on, seen := above[t]; on {
				return fmt.Errorf("%s waits for %s in a cycle", c.label(), t.label())
			} else if !seen {
				if err := check(t); err != nil {
					return err
				}
			}
		}
		above[c] = false
		return nil
	}
	for c := range r.root.members {
		if _, seen := above[c]; !seen {
			if err := check(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkWait checks that c stands in the lines of what it waits for, and counts for each coroutine that c wants it.
func (c *task) checkWait(wanted map[*task]int32) error {
	standing := 0
	for i := range c.edges() {
		w := &c.edges()[i]
		if w.line == nil {
			continue
		}
		standing++
		if t := w.line.owner; t != nil && c.wait == onTask && !c.droppedWants {
			wanted[t]++
		}
	}
	if c.state == ready {
		if c.timer.Set() {
			return fmt.Errorf("%s is ready with its timer set", c.label())
		}
		return nil
	}
	switch c.wait {
	case onTimer:
		if !c.timer.Set() {
			return fmt.Errorf("%s waits for a timer that is not set", c.label())
		}
	case onTask:
		if int(c.unmet) != standing || standing == 0 {
			return fmt.Errorf("%s waits for %d coroutines with %d edges", c.label(), c.unmet, standing)
		}
	case onEvent, onPermit, onBarrier, onQueue:
		if standing != 1 {
			return fmt.Errorf("%s waits for %s and stands in %d lines", c.label(), c.wait, standing)
		}
	case onScopes:
		live := 0
		for s := c.cold().inner; s != nil; s = s.sibling {
			live += s.live
		}
		if live == 0 {
			return fmt.Errorf("%s waits for a scope that is empty", c.label())
		}
	case onAny:
		g := c.collector()
		switch want := int32(1); {
		case !g.begun:
			return fmt.Errorf("%s waits for any of several and stands in no line", c.label())
		case g.all:
			want = g.unfinished()
			fallthrough
		default:
			if c.unmet != want || want == 0 {
				return fmt.Errorf("%s waits for %d of %d coroutines", c.label(), c.unmet, g.unfinished())
			}
		}
		if !g.all && (g.chosen == nil || g.chosen.line == nil) {
			return fmt.Errorf("%s waits for any of several and counts on nobody", c.label())
		}
	case onThread, onCall:
	default:
		return fmt.Errorf("%s waits for %s", c.label(), c.wait)
	}
	return nil
}

// KeepWorkers lets loops keep as many idle workers as they do outside the tests, until t has ended.
func KeepWorkers(t *testing.T) {
	few := spareWorkers
	spareWorkers = 1024
	t.Cleanup(func() { spareWorkers = few })
}

// KeepLevelsLow makes loops run out of levels (see cycle.go) all the time, until t has ended.
func KeepLevelsLow(t *testing.T) {
	before := highest
	highest = 1
	t.Cleanup(func() { highest = before })
}

// TestEveryWaitHasWhatItNeeds walks the table of waits: a kind that lacks something would hang silently.
func TestEveryWaitHasWhatItNeeds(t *testing.T) {
	known := map[hook.Wait]waitKind{}
	for kind, row := range waits {
		kind := waitKind(kind)
		if kind != onNothing && row.kind == hook.Nothing {
			t.Errorf("kind %d has no name for tools", kind)
		}
		if earlier, twice := known[row.kind]; twice {
			t.Errorf("kinds %d and %d are both called %q", earlier, kind, row.kind)
		}
		known[row.kind] = kind
		if kind > onTurn && row.cancel == nil {
			t.Errorf("nothing ends %q of one that is stopped", row.kind)
		}
		if row.line && row.targets != nil {
			t.Errorf("%q is for coroutines, and for a line of waiters", row.kind)
		}
	}
}

// TestSizeOfATask proves that a Coro whose value is one word has 256 bytes. The next size class has 288: an eighth more memory for each
// coroutine, and time to clear it.
func TestSizeOfATask(t *testing.T) {
	if size := unsafe.Sizeof(Coro[int]{}); size > 256 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("a Coro[int] has %d bytes", size)
	}
}

// TestEventLinesShareNoCacheLine proves that an eventLine fills cache lines, so that loops on two cores do not write to the same one.
func TestEventLinesShareNoCacheLine(t *testing.T) {
	if size := unsafe.Sizeof(eventLine{}); size%64 != 0 && unsafe.Sizeof(uintptr(0)) == 8 {
		t.Errorf("an eventLine has %d bytes", size)
	}
}
