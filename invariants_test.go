package tinyio

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
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

func checkStep(r *run) {
	if r.live > 100 {
		return
	}
	if err := r.checkInvariants(); err != nil {
		panic("tinyio: internal error: " + err.Error() + "; please report this")
	}
}

// checkInvariants reports which of the invariants at the top of loop.go does not hold between two turns.
func (r *run) checkInvariants() error {
	queued := map[*task]bool{}
	inQueue := slices.Collect(r.ready.all())
	if r.hasPicker() {
		inQueue = append(inQueue, r.watch.crowd.tasks...)
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
	if len(r.told) > 0 {
		return fmt.Errorf("%d coroutines are still to be stopped between two turns", len(r.told))
	}
	live := 0
	wanted := map[*task]int32{}
	for c := range r.root.members {
		live++
		if c.state == ready && !queued[c] {
			return fmt.Errorf("%s is ready and not in the ready queue", c.label())
		}
		if c.state == fresh || c.state == running || c.state == done {
			return fmt.Errorf("%s is %s and among the live", c.label(), c.state)
		}
		if c.kept {
			wanted[c]++
		}
		if err := c.checkWait(wanted); err != nil {
			return err
		}
	}
	if live != r.live {
		return fmt.Errorf("%d coroutines are live and %d are counted", live, r.live)
	}
	for c := range r.root.members {
		if c.wanted != wanted[c] {
			return fmt.Errorf("%s is wanted by %d and %d are counted", c.label(), wanted[c], c.wanted)
		}
	}
	return nil
}

// checkWait checks that c stands where its wait says, and adds up whom it wants.
func (c *task) checkWait(wanted map[*task]int32) error {
	standing := 0
	for i := range c.edges() {
		w := &c.edges()[i]
		if w.line == nil {
			continue
		}
		standing++
		if t := w.line.owner; t != nil && c.wait == onCoroutine {
			if t.depth <= c.depth {
				return fmt.Errorf("%s waits for %s, which is not deeper", c.label(), t.label())
			}
			if !c.hasLetGo {
				wanted[t]++
			}
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
	case onCoroutine:
		if int(c.unmet) != standing || standing == 0 {
			return fmt.Errorf("%s waits for %d coroutines with %d edges", c.label(), c.unmet, standing)
		}
	case onEvent, onPermit, onBarrier, onQueue:
		if standing != 1 {
			return fmt.Errorf("%s waits for %s and stands in %d lines", c.label(), c.wait, standing)
		}
	case onIsolate:
		live := 0
		for s := c.annex().inner; s != nil; s = s.sibling {
			live += s.live
		}
		if live == 0 {
			return fmt.Errorf("%s waits for a scope that is empty", c.label())
		}
	case onCompletion, onThread, onCall:
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
