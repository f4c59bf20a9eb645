package debug

import (
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/lookin"
)

// A run is a run that is under way.
type run struct {
	number uint64
	loop   weak.Pointer[tinyio.Loop] // a host may drop a run that it has begun
	first  string                    // the name of its first coroutine
	began  time.Time
	memory memory
}

// A register is the runs of the process.
type register struct {
	mu     sync.Mutex
	last   uint64 // number that was given
	runs   map[uint64]*run
	number map[weak.Pointer[tinyio.Loop]]uint64
	makers makers
	queues queues
}

// running has all runs that begin after this package has been linked in. Package tinyio calls it.
var running = &register{
	runs:   map[uint64]*run{},
	number: map[weak.Pointer[tinyio.Loop]]uint64{},
	makers: makers{places: map[callers]*maker{}},
	queues: queues{all: map[weak.Pointer[lookin.Queue]]*queue{}},
}

func (g *register) Began(loop any, first string) {
	l := weak.Make(loop.(*tinyio.Loop))
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last++
	g.runs[g.last] = &run{number: g.last, loop: l, first: first, began: now}
	g.number[l] = g.last
}

func (g *register) Ended(loop any) { g.forget(weak.Make(loop.(*tinyio.Loop))) }

func (g *register) Number(loop any) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.number[weak.Make(loop.(*tinyio.Loop))]
}

func (g *register) forget(l weak.Pointer[tinyio.Loop]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.runs, g.number[l])
	delete(g.number, l)
}

// all returns the runs in the order in which they began.
func (g *register) all() (all []*run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for number, r := range g.runs {
		if r.loop.Value() == nil {
			delete(g.runs, number)
			delete(g.number, r.loop)
			continue
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *run) int { return int(a.number) - int(b.number) })
	return all
}

// find returns a run, nil if there is none of that number. The last number that was given tells whether there ever was one.
func (g *register) find(number uint64) (r *run, last uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.runs[number], g.last
}

func init() { lookin.Listen(running) }
