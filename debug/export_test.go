package debug

import "time"

// SetPatience sets how long a loop may take to answer, and returns a function that sets it back.
func SetPatience(d time.Duration) (restore func()) {
	before := patience
	patience = d
	return func() { patience = before }
}

// Lints are the numbers and titles of all lints.
func Lints() (all [][2]string) {
	for _, l := range lints {
		all = append(all, [2]string{l.Number, l.Title})
	}
	return all
}

// Growth reports whether numbers grow that were seen three seconds apart.
func Growth(numbers ...int) (from, to int, ok bool) {
	var samples []sample
	for i, n := range numbers {
		samples = append(samples, sample{at: time.Unix(int64(3*i), 0), ready: n})
	}
	return growth(samples, func(s sample) int { return s.ready })
}

// ForgetMade forgets which coroutines have been made.
func ForgetMade() {
	m := &running.makers
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.places)
}

// QueuesKnown is how many queues are looked at.
func QueuesKnown() int {
	m := &running.queues
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.all)
}
