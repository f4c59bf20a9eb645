package debug

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"
	"weak"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/lookin"
)

// queues are the queues of the process that may hold many values.
type queues struct {
	mu  sync.Mutex
	all map[weak.Pointer[lookin.Queue]]*queue
}

// A queue is what is remembered of a queue.
type queue struct {
	made    callers
	samples []sample // as in a memory
}

// MadeQueue remembers the queue that has been made, until it is gone.
func (g *register) MadeQueue() *lookin.Queue {
	q, made := new(lookin.Queue), new(queue)
	runtime.Callers(4, made.made[:]) // without those of this package and NewQueue
	at, m := weak.Make(q), &g.queues
	m.mu.Lock()
	m.all[at] = made
	m.mu.Unlock()
	runtime.AddCleanup(q, func(at weak.Pointer[lookin.Queue]) {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.all, at)
	}, at)
	return q
}

// findGrowing finds queues of l that grow.
func (m *queues) findGrowing(l *tinyio.Loop, now time.Time) (found []finding) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, q := range m.all {
		shown := at.Value()
		if shown == nil || shown.Loop.Load() != uintptr(unsafe.Pointer(l)) {
			continue
		}
		q.samples = addSample(q.samples, sample{at: now, held: int(shown.Held.Load())})
		if from, to, ok := growth(q.samples, func(s sample) int { return s.held }); ok && to >= lookin.Many {
			found = append(found, finding{Lint: growingQueue, Text: fmt.Sprintf("the queue of %v holds %d values, and it held %d", q.made, to, from)})
		}
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.Text, b.Text) })
	return found
}
