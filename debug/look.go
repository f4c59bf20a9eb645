package debug

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/lookin"
)

// patience is how long a turn may last before the loop is stuck.
var patience = time.Second // a variable for the sake of tests

// answerEach is how long a loop that is in no turn may take to answer, besides, for each of its coroutines: it is answering, perhaps, which
// takes it some microseconds for each on a machine that is not busy.
const answerEach = 500 * time.Microsecond

// stackFor is how long the stack of a turn is shown without being taken anew, which stops the program.
const stackFor = 10 * time.Second

// A view is what is to be seen of a run at one time.
type view struct {
	Run        uint64       `json:"run"`
	First      string       `json:"first"` // the name of its first coroutine
	Began      time.Time    `json:"began"`
	At         time.Time    `json:"at"`
	Stats      tinyio.Stats `json:"stats"`
	Turn       *turn        `json:"turn,omitempty"` // that is under way
	Stuck      bool         `json:"stuck"`          // the loop does not answer
	Ended      bool         `json:"ended"`
	Findings   []finding    `json:"findings"`
	Coroutines []row        `json:"coroutines"` // as a tree, each before what it waits for; none if the loop does not answer
	Rows       int          `json:"rows"`       // of the whole tree
	From       int          `json:"from"`       // the first of them that is among the Coroutines
}

// A turn is a turn that is under way.
type turn struct {
	Coro   string        `json:"coro"`
	Since  time.Time     `json:"since"`
	Lasted time.Duration `json:"lasted"`          // in nanoseconds
	Stack  string        `json:"stack,omitempty"` // of its goroutine, if it lasts long
}

// A coroutine is what a coroutine does.
type coroutine struct {
	tinyio.Status
	lookin.Rest
}

// A memory is what is remembered of a run, from one look to the next.
type memory struct {
	mu      sync.Mutex
	samples []sample            // the last ones, at least a second apart
	permits map[uintptr]permits // that were waited for at the last look
	stack   string              // of a turn that lasted long
	turns   uint64              // which turn that was
	taken   time.Time
}

// A sample is some of the counters at one time.
type sample struct {
	at          time.Time
	live, ready int
	held        int // by a queue
}

// permits are those of a semaphore, a lock or a pool.
type permits struct {
	since  time.Time // when they were first seen to be waited for, and this:
	served int32     // how many waits for them had been served
}

// rememberPermits notes which permits are waited for now, and returns since when nobody has been given one of each.
func (m *memory) rememberPermits(all []coroutine, now time.Time) map[uintptr]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen, since := map[uintptr]permits{}, map[uintptr]time.Time{}
	for _, c := range all {
		if c.Permits == 0 {
			continue
		}
		p, again := m.permits[c.Permits]
		if !again || p.served != c.Served {
			p = permits{now, c.Served}
		}
		seen[c.Permits], since[c.Permits] = p, p.since
	}
	m.permits = seen
	return since
}

// samplesKept are enough for the lints.
const samplesKept = 60

// remember adds what is counted now.
func (m *memory) remember(s tinyio.Stats, now time.Time) []sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples = addSample(m.samples, sample{at: now, live: s.Live, ready: s.Ready})
	return slices.Clone(m.samples)
}

// addSample adds s to samples, if the last one is not too new.
func addSample(samples []sample, s sample) []sample {
	n := len(samples)
	if n > 0 && s.at.Sub(samples[n-1].at) < time.Second {
		return samples
	}
	if n == samplesKept {
		samples = slices.Delete(samples, 0, 1)
	}
	return append(samples, s)
}

// stackOf returns the stack of the turn that is under way on l, which the loop has had for so many turns.
func (m *memory) stackOf(l *tinyio.Loop, turns uint64, now time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.turns != turns || m.stack == "" || now.Sub(m.taken) >= stackFor {
		m.stack, m.turns, m.taken = string(lookin.Of(lookin.Dump(), lookin.Turn(l))), turns, now
	}
	return m.stack
}

// look looks into r. It takes as long as the loop takes to answer, but at most patience if that is stuck; and if something is suspected,
// until it is certain, which may take as long again.
func (r *run) look(ctx context.Context) *view {
	v := &view{Run: r.number, First: r.first, Began: r.began, At: time.Now(), Findings: []finding{}, Coroutines: []row{}}
	l := r.loop.Value()
	if l == nil {
		v.Ended = true
		return v
	}
	l.Running() // from now on the loop knows how long turns last
	all, err := ask(ctx, l)
	name, since, ok := l.Running()
	v.Stats = l.Stats()
	switch now := time.Now(); {
	case errors.Is(err, tinyio.ErrNotRunning):
		v.Ended = true
	case err != nil && ctx.Err() != nil: // whoever asked has gone
	case err != nil:
		v.Stuck, v.At = true, now
		if ok {
			v.Turn = &turn{Coro: name, Since: since, Lasted: now.Sub(since), Stack: r.memory.stackOf(l, v.Stats.Turns, now)}
		}
		v.Findings = stuckFindings(v)
	default:
		if ok {
			v.Turn = &turn{Coro: name, Since: since, Lasted: max(now.Sub(since), 0)}
		}
		samples := r.memory.remember(v.Stats, v.At)
		again := func(pause time.Duration) ([]coroutine, tinyio.Stats) { return r.lookAgain(ctx, l, pause) }
		v.Findings = append(v.Findings, findings(all, v.Stats, samples, again)...)
		v.Findings = append(v.Findings, running.queues.findGrowing(l, v.At)...)
		v.Findings = append(v.Findings, findHeld(all, r.memory.rememberPermits(all, v.At), v.At)...)
		v.Coroutines = tree(all)
	}
	v.Rows = len(v.Coroutines)
	return v
}

// lookAgain looks again after a pause. It sees nobody if the loop does not answer.
func (r *run) lookAgain(ctx context.Context, l *tinyio.Loop, pause time.Duration) ([]coroutine, tinyio.Stats) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return nil, tinyio.Stats{}
	}
	all, err := ask(ctx, l)
	if err != nil {
		return nil, tinyio.Stats{}
	}
	return all, l.Stats()
}

// ask asks the loop what its coroutines do. It gives up when the loop is stuck.
func ask(ctx context.Context, l *tinyio.Loop) ([]coroutine, error) {
	ctx, cancel := context.WithTimeout(ctx, patience+time.Duration(l.Stats().Live)*answerEach)
	defer cancel()
	limit := patience
	go func() { // gives up before, if a turn lasts too long
		look := time.NewTimer(limit)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			if _, since, ok := l.Running(); ok && time.Since(since) >= limit {
				cancel()
			}
			look.Reset(limit / 4)
		}
	}()
	statuses, err := l.Snapshot(ctx)
	all := make([]coroutine, len(statuses))
	for i, s := range statuses {
		all[i] = coroutine{s, lookin.More(s)}
	}
	return all, err
}

// lookAll looks into several runs at the same time.
func lookAll(ctx context.Context, runs []*run) []*view {
	views := make([]*view, len(runs))
	var all sync.WaitGroup
	for i, r := range runs {
		all.Go(func() { views[i] = r.look(ctx) })
	}
	all.Wait()
	if len(views) > 0 { // what is of no run is with the first
		views[0].Findings = append(views[0].Findings, running.makers.findNeverStarted(time.Now())...)
	}
	return views
}

// header is the first line of a goroutine in a dump: what it does, and perhaps for how long.
var header = regexp.MustCompile(`^goroutine \d+(?: gp=\S+ m=\S+(?: mp=\S+)?)? \[([^,\]]+)`)

// doing returns what the goroutine with a stack does: "running", or what it is blocked in.
func doing(stack string) string {
	if m := header.FindStringSubmatch(stack); m != nil {
		return m[1]
	}
	return ""
}

// calls reports whether the goroutine with a stack is in a call of a function, given as the beginning of a line.
func calls(stack, function string) bool {
	return strings.Contains(stack, "\n"+function)
}
