package debug

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Whether coroutines are started is sampled: of those that are made at one place in the program it is enough to know that one was.

const (
	sampleEvery = 16 // of the coroutines that are made, one in so many is a sample, at random: programs repeat themselves
	samplesMin  = 8  // samples of a place tell that what is made there is never started
)

// A makers is the places at which coroutines are made.
type makers struct {
	mu     sync.Mutex
	places map[callers]*maker
}

// callers are who calls the function that makes a coroutine, and who calls these: they tell places apart, and to find out which lines they are
// is left for later.
type callers [3]uintptr

// A maker is a place at which coroutines are made.
type maker struct {
	samples int       // until one was started
	first   time.Time // when the first of them was made
	started atomic.Bool
}

// Made samples the coroutine that has been made.
func (g *register) Made() (started func()) {
	if rand.N(sampleEvery) != 0 {
		return nil
	}
	m := &g.makers
	var at callers
	runtime.Callers(5, at[:]) // without those of this package and of New
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.places[at]
	if p == nil {
		p = &maker{first: time.Now()}
		m.places[at] = p
	}
	if p.started.Load() {
		return nil
	}
	p.samples++
	return func() { p.started.Store(true) }
}

// findNeverStarted finds the places at which coroutines have been made for long enough, none of which was started.
func (m *makers) findNeverStarted(now time.Time) (found []finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, p := range m.places {
		if p.samples >= samplesMin && !p.started.Load() && now.Sub(p.first) >= growthTime {
			found = append(found, finding{Lint: neverStarted,
				Text: fmt.Sprintf("%s: of the coroutines that are made there %d have been looked at, and none has been started", at, p.samples)})
		}
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.Text, b.Text) })
	return found
}

// String is the function of the program that makes a coroutine, and the lines of it and of who calls it.
func (at callers) String() string {
	ours := func(f runtime.Frame) bool { return strings.HasPrefix(f.Function, "github.com/tinyio-go/tinyio.") }
	frames := runtime.CallersFrames(at[:])
	f, more := frames.Next()
	for more && ours(f) {
		f, more = frames.Next()
	}
	text := fmt.Sprintf("%s at %s:%d", f.Function, f.File, f.Line)
	if caller, _ := frames.Next(); more && caller.Line > 0 && !ours(caller) {
		text += fmt.Sprintf(", called at %s:%d", caller.File, caller.Line)
	}
	return text
}
