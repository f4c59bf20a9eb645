package tinyiotest

// Shrinking ends after so many runs, or so many turns in all of them.
const (
	maxShrinks     = 500
	maxShrinkTurns = 1_000_000
)

// A shrinker looks for a shorter schedule that fails in the same way.
type shrinker struct {
	*program
	best  *trial
	runs  int
	turns int
}

// shrink returns a run that fails like found, under a schedule that is as short as could be found.
func (p *program) shrink(found *trial) *trial {
	if found.failure.said() {
		return found // each try would have the test say it once more
	}
	s := &shrinker{program: p, best: found}
	for s.drop() || s.lower() {
	}
	return s.best
}

// drop tries to leave out deviations: half of them, then quarters, and so on to each by itself; as delta debugging does.
func (s *shrinker) drop() (better bool) {
	for size := len(s.best.done); size > 0; size /= 2 {
		for from := 0; from < len(s.best.done); {
			now := s.best.done
			if s.try(append(now[:from:from], now[min(from+size, len(now)):]...)) {
				better = true
			} else {
				from += size
			}
		}
	}
	return better
}

// lower tries to pick a coroutine further ahead in the line.
func (s *shrinker) lower() (better bool) {
	for i := 0; i < len(s.best.done); i++ {
		for choice := 1; i < len(s.best.done) && choice < s.best.done[i].choice; choice++ {
			lower := append(schedule(nil), s.best.done...)
			lower[i].choice = choice
			better = s.try(lower) || better
		}
	}
	return better
}

// try runs t, and keeps it if it fails in the same way and is simpler.
func (s *shrinker) try(t schedule) bool {
	if s.runs == maxShrinks || s.turns > maxShrinkTurns {
		return false
	}
	r := s.follow(t, nil)
	s.runs++
	s.turns += r.turns
	if !r.failure.like(s.best.failure) || !r.done.simpler(s.best.done) {
		return false
	}
	s.best = r
	return true
}

// simpler reports whether s has fewer deviations than t, or as many and fewer of the line passed over.
func (s schedule) simpler(t schedule) bool {
	if len(s) != len(t) {
		return len(s) < len(t)
	}
	return s.passedOver() < t.passedOver()
}

func (s schedule) passedOver() (total int) {
	for _, d := range s {
		total += d.choice
	}
	return total
}
