package tinyiotest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"time"
)

// A search tries schedules until one fails or the bounds are reached.
type search struct {
	*program
	settings
	begun     time.Time
	ran       int             // schedules, those of the shrinking apart
	seen      map[uint64]bool // the interleavings
	random    int             // schedules that were random
	fresh     int             // of those, how many were new
	coverage  string          // what the systematic part has covered, in words
	exhausted bool            // there are no other interleavings
}

// A node is a schedule that has run, and where others can deviate from it.
type node struct {
	schedule schedule
	points   []point
}

// children is how many schedules have one deviation more than n, behind all of n's.
func (n node) children() (total int) {
	faulty := n.schedule.hasFault()
	for _, p := range n.points {
		total += p.choices(faulty)
	}
	return total
}

// choices is how many deviations are possible at p. A schedule has at most one fault.
func (p point) choices(faulty bool) int {
	if faulty && p.kind != pick {
		return 0
	}
	return p.width - 1
}

// child is number i of the children of n.
func (n node) child(i int) schedule {
	faulty := n.schedule.hasFault()
	for _, p := range n.points {
		c := p.choices(faulty)
		if i < c {
			d := p.deviation
			if d.kind == pick {
				d.choice = i + 1
			}
			return n.schedule.with(d)
		}
		i -= c
	}
	panic("tinyiotest: internal error: a child that is not there; please report this")
}

// nodeOf is r, which has passed, as a node.
func nodeOf(r *trial) node { return node{r.done, r.points} }

// errNotDeterministic is the error of a program that behaves in two ways under one schedule.
var errNotDeterministic = errors.New("tinyiotest: the program is not deterministic: it does different things under the same " +
	"schedule, so that no schedule can be replayed; look for what it takes from outside and does not make anew in each run: " +
	"variables outside the function, the order of a map, random numbers, real time, goroutines that run beside the loop")

// first runs the first schedule, twice, and compares.
func (x *search) first() (*trial, error) {
	one, two := new(timeline), new(timeline)
	r := x.run(nil, one)
	if r.failure != nil && r.failure.said() {
		return r, nil // which cannot be seen a second time
	}
	again := x.follow(nil, two)
	for i := range max(len(one.lines), len(two.lines)) {
		if i == len(one.lines) || i == len(two.lines) || !one.lines[i].same(two.lines[i]) {
			return r, fmt.Errorf("%w\n\nthe first difference, without any deviation, is\n%sthe first time, and\n%sthe second",
				errNotDeterministic, one.from(i), two.from(i))
		}
	}
	if !r.failure.like(again.failure) {
		return r, fmt.Errorf("%w\n\nthe first time: %v\nthe second: %v", errNotDeterministic, r.failure, again.failure)
	}
	return r, nil
}

// run follows s, as one of the schedules of the search.
func (x *search) run(s schedule, log *timeline) *trial {
	r := x.follow(s, log)
	x.ran++
	x.seen[r.hash] = true
	return r
}

// systematic runs the schedules with one deviation, then those with two, and so on. To bound them is a relative of bounding the
// preemptions, or the delays: "Delay-Bounded Scheduling" by Emmi, Qadeer and Rakamarić, POPL 2011.
//
// No two of them have the same interleaving: they differ first at a pick, or in a fault.
func (x *search) systematic(first *trial) (*trial, error) {
	level := []node{nodeOf(first)}
	for depth := 1; ; depth++ {
		ends := make([]int, len(level)) // of each node's children, in one numbering of them all
		total := 0
		for i, n := range level {
			total += n.children()
			ends[i] = total
		}
		if total == 0 {
			x.coverage, x.exhausted = "these are all there are", true
			return nil, nil
		}
		if depth > x.deviations {
			x.coverage = fmt.Sprintf("among them all with at most %s", count(x.deviations, "deviation"))
			return nil, nil
		}
		share := total
		if total > x.maxSchedules-x.ran {
			share = max(0, x.maxSchedules*3/4-x.ran) // the rest is for random ones
			x.coverage = fmt.Sprintf("among them %d of the %d with %s", share, total, count(depth, "deviation"))
		}
		var next []node
		for i := range share {
			c := spread(i, share, total)
			at := sort.SearchInts(ends, c+1)
			s := level[at].child(c - (ends[at] - level[at].children()))
			r := x.run(s, nil)
			if r.misfit != nil {
				return r, fmt.Errorf("%w\n\nschedule %s: %w", errNotDeterministic, s, r.misfit)
			}
			if r.failure != nil {
				return r, nil
			}
			if share == total {
				next = append(next, nodeOf(r))
			}
		}
		if share < total {
			return nil, nil
		}
		level = next
	}
}

// spread is number i of share numbers below total that lie evenly: all of them if that many are wanted.
func spread(i, share, total int) int { return int(uint64(i) * uint64(total) / uint64(share)) }

// staleAfter is after how many random schedules in a row that bring nothing new it is thought that there is little left to find.
const staleAfter = 300

// randomly runs schedules with random priorities for what is left of the budget.
func (x *search) randomly(first *trial) *trial {
	random := rand.New(rand.NewPCG(x.seed, 0))
	var faults []deviation
	for _, p := range first.points {
		if p.kind != pick {
			faults = append(faults, p.deviation)
		}
	}
	for stale := 0; x.ran < x.maxSchedules && stale < staleAfter; stale++ {
		var fault []deviation
		if len(faults) > 0 && x.random%2 == 1 {
			fault = []deviation{faults[random.IntN(len(faults))]}
		}
		depth := 1 + x.random%(x.deviations+2)
		r := x.try(newPriorities(random, first.picks, depth), fault, nil)
		x.ran++
		x.random++
		if !x.seen[r.hash] {
			x.fresh++
			stale = -1
			x.seen[r.hash] = true
		}
		if r.failure != nil {
			return r
		}
	}
	return nil
}

// String tells how much has been searched.
func (x *search) String() string {
	passed := time.Since(x.begun)
	text := fmt.Sprintf("%s in %v", count(x.ran, "schedule"), passed.Round(time.Millisecond))
	if s := passed.Seconds(); s > 0 {
		text += fmt.Sprintf(" (%.0f a second)", float64(x.ran)/s)
	}
	if x.coverage != "" {
		text += ": " + x.coverage
	}
	if x.random > 0 {
		text += fmt.Sprintf("; and %d random ones, %d of them new", x.random, x.fresh)
	}
	return text
}

// count is n of what is called noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
