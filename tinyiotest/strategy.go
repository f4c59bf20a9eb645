package tinyiotest

import (
	"fmt"
	"math/rand/v2"

	"github.com/tinyio-go/tinyio/hook"
)

// A script follows the picks of a schedule, and takes the first in line otherwise.
type script struct{ picks []deviation }

func (s *script) choose(number int, _ []hook.ID) int {
	for len(s.picks) > 0 && s.picks[0].at < number {
		s.picks = s.picks[1:]
	}
	if len(s.picks) > 0 && s.picks[0].at == number {
		choice := s.picks[0].choice
		s.picks = s.picks[1:]
		return choice
	}
	return 0
}

// follow runs p under s. It takes down in the trial if s does not fit.
func (p *program) follow(s schedule, log *timeline) *trial {
	picks := new(script)
	var faults []deviation
	for _, d := range s {
		if d.kind == pick {
			picks.picks = append(picks.picks, d)
		} else {
			faults = append(faults, d)
		}
	}
	r := p.try(picks, faults, log)
	if len(picks.picks) > 0 {
		r.misfits(fmt.Errorf("there was no pick number %d", picks.picks[0].at))
	}
	return r
}

// Priorities choose as in PCT: "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs" by Burckhardt, Kothari,
// Musuvathi and Nagarakatte, ASPLOS 2010. Every coroutine has a random priority, and the ready one with the highest has its
// turn. At a few random picks, one less than the depth, the one that would have been chosen falls below all others first.
//
// Strict priorities would let a coroutine that yields until something has happened go on for ever. So from some pick on, after
// those that the guarantee is about, it is first in, first out.
type priorities struct {
	random *rand.Rand
	of     []uint64 // by number of the coroutine; 0 if it has none yet
	falls  map[int]uint64
	fairly int // the pick from which on it is first in, first out
}

// newPriorities returns priorities for runs of about so many picks, that find bugs of that depth.
func newPriorities(random *rand.Rand, picks, depth int) *priorities {
	p := &priorities{random: random, falls: map[int]uint64{}, fairly: 2*picks + 50}
	for i := range depth - 1 {
		p.falls[random.IntN(max(picks, 1))] = uint64(i + 1)
	}
	return p
}

func (p *priorities) choose(number int, ready []hook.ID) int {
	if number >= p.fairly {
		return 0
	}
	best := p.highest(ready)
	if low, falls := p.falls[number]; falls {
		p.of[ready[best]] = low
		best = p.highest(ready)
	}
	return best
}

func (p *priorities) highest(ready []hook.ID) (best int) {
	for i, id := range ready {
		for int(id) >= len(p.of) {
			p.of = append(p.of, 1<<32+p.random.Uint64()>>1)
		}
		if p.of[id] > p.of[ready[best]] {
			best = i
		}
	}
	return best
}
