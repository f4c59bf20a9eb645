package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"
)

// The peers, as the table and the charts name them.
const (
	ours       = "tinyio"
	pull       = "iter.Pull"
	goroutines = "goroutines"
	xsync      = "x/sync"
	conc       = "conc"
	pond       = "pond"
	async      = "async"
)

// peerNames are the peers in the order of the columns.
var peerNames = []string{ours, pull, goroutines, xsync, conc, pond, async}

// A workload is one kind of work that several peers do, each in its own way and with the same result.
type workload struct {
	name   string
	op     string // what the figures are for one of
	unit   string // of the figures; "ns" unless a run reports something else
	counts []int  // numbers of coroutines, the first ones for -quick as well
	quick  int    // how many of counts are for -quick
	reps   int    // at least how often each coroutine does it
	fixed  bool   // exactly that often
	alone  bool   // each run is in a process of its own, because what it measures outlives it
	ops    func(n, reps int) int
	want   func(n, reps int) int // the result of the work
	peers  []peer
}

// A peer is one way to do a workload, or the reason why there is none.
type peer struct {
	name   string
	run    func(j *job) int
	most   int    // coroutines that it is measured with; 0 for no limit
	absent string // why it cannot do the work
}

// cannot is a peer that cannot do the work.
func cannot(name, why string) peer { return peer{name: name, absent: why} }

// able reports whether the peer is measured with n coroutines.
func (p peer) able(n int) bool { return p.absent == "" && (p.most == 0 || n <= p.most) }

// operations is how many operations a run with n coroutines and reps repetitions is.
func (w *workload) operations(n, reps int) int {
	if w.ops != nil {
		return w.ops(n, reps)
	}
	return n * reps
}

// expected is the result that each peer must come to.
func (w *workload) expected(n, reps int) int {
	if w.want != nil {
		return w.want(n, reps)
	}
	return w.operations(n, reps)
}

// A job is one run of a workload by a peer. The run says when the measured part starts and stops, so that neither setting
// up nor taking down is in the figure unless it is what the workload is about.
type job struct {
	N, Reps int
	Elapsed time.Duration
	Busy    time.Duration      // of all processors, meanwhile
	Mallocs uint64             // while it was measured, by all goroutines
	Bytes   uint64             // likewise
	Values  map[string]float64 // what was measured instead of time, the figure itself as "total"

	began time.Time
	used  time.Duration // of all processors, when it began
	stats runtime.MemStats
	ready func() // instead of reading the statistics, when several jobs are measured as one
}

// take makes what inner measured the figures of j.
func (j *job) take(inner *job) {
	j.Elapsed, j.Busy, j.Mallocs, j.Bytes = inner.Elapsed, inner.Busy, inner.Mallocs, inner.Bytes
}

// start begins the measured part.
func (j *job) start() {
	if j.ready != nil {
		j.ready()
		return
	}
	runtime.ReadMemStats(&j.stats)
	j.used = processorTime()
	j.began = time.Now()
}

// stop ends the measured part.
func (j *job) stop() {
	if j.ready != nil {
		return
	}
	j.Elapsed = time.Since(j.began)
	j.Busy = processorTime() - j.used
	mallocs, bytes := j.stats.Mallocs, j.stats.TotalAlloc
	runtime.ReadMemStats(&j.stats)
	j.Mallocs, j.Bytes = j.stats.Mallocs-mallocs, j.stats.TotalAlloc-bytes
}

// report gives a figure other than the time.
func (j *job) report(name string, value float64) {
	if j.Values == nil {
		j.Values = map[string]float64{}
	}
	j.Values[name] = value
}

// once runs the workload once and checks its result.
func (w *workload) once(p peer, n, reps int) *job {
	j := &job{N: n, Reps: reps}
	if got, want := p.run(j), w.expected(n, reps); got != want {
		fail("%s by %s with %d coroutines, %d times: the result is %d, want %d", w.name, p.name, n, reps, got, want)
	}
	if j.Elapsed == 0 && j.Values == nil {
		fail("%s by %s with %d coroutines: nothing was measured", w.name, p.name, n)
	}
	return j
}

// fail ends the program: a figure for work that was not done is worth nothing.
func fail(format string, args ...any) {
	panic(fmt.Sprintf("bench: "+format, args...))
}

// A measurement is what came of a peer's runs of a workload with a number of coroutines.
type measurement struct {
	Workload string             `json:"workload"`
	Op       string             `json:"op"`
	Unit     string             `json:"unit"`
	Peer     string             `json:"peer"`
	N        int                `json:"n"`
	Reps     int                `json:"reps,omitempty"`
	Absent   string             `json:"absent,omitempty"`
	Rounds   []float64          `json:"rounds,omitempty"` // a figure for each round
	Median   float64            `json:"median"`
	Low      float64            `json:"q1"` // the lower quartile
	High     float64            `json:"q3"` // the upper quartile
	Allocs   float64            `json:"allocs_per_op"`
	Bytes    float64            `json:"bytes_per_op"`
	Parts    map[string]float64 `json:"parts,omitempty"` // medians of other values
}

// A plan is how long and how often to measure.
type plan struct {
	quick   bool
	rounds  int
	least   time.Duration // a run repeats its work until it takes as long
	confine bool          // keep runs that want a process of their own in this one, for tests
	log     io.Writer
}

// sizes are the numbers of coroutines to measure with.
func (p plan) sizes(w *workload) []int {
	if p.quick {
		return w.counts[:w.quick]
	}
	return w.counts
}

// tooLong reports whether to leave out a peer with that many coroutines. What the targets are about is never left out, nor what
// tells the cost of caches that are too small.
func (p plan) tooLong(x peer, n int) bool {
	most := 1_000_000
	if p.quick {
		most = 100_000
	}
	return n >= most && x.name != ours && x.name != pull && x.name != goroutines
}

// roundsOf is how often to measure the workload with n coroutines. So many take so long that the figures hardly differ; if no
// target is about them, a round or two will do after the one that calibrates.
func (p plan) roundsOf(w *workload, n int) int {
	wanted := func(t target) bool { return t.workload == w.name && t.n == n }
	switch {
	case slices.ContainsFunc(targets, wanted):
		return p.rounds
	case n >= 1_000_000:
		return 1
	case n >= 100_000:
		return min(p.rounds, 2)
	}
	return p.rounds
}

// measure runs the workload by all of its peers with n coroutines. The peers take turns, so that what else goes on in the
// machine hits all of them, and each round begins with another one.
func (p plan) measure(w *workload, n int) []measurement {
	var able []peer
	for _, x := range w.peers {
		if x.able(n) && !p.tooLong(x, n) {
			able = append(able, x)
		}
	}
	reps := make([]int, len(able))
	for i, x := range able {
		reps[i] = p.calibrate(w, x, n)
	}
	jobs := make([][]*job, len(able))
	for round := range p.roundsOf(w, n) {
		for i := range able {
			k := (round + i) % len(able)
			jobs[k] = append(jobs[k], p.fresh(w, able[k], n, reps[k]))
		}
	}
	var all []measurement
	for i, x := range able {
		all = append(all, summarize(w, x, n, reps[i], jobs[i]))
	}
	for _, x := range w.peers {
		if x.absent != "" {
			all = append(all, measurement{Workload: w.name, Op: w.op, Unit: w.unit, Peer: x.name, N: n, Absent: x.absent})
		}
	}
	return all
}

// fresh runs the workload once on a heap that has been cleaned up, so that no run pays for the one before.
func (p plan) fresh(w *workload, x peer, n, reps int) *job {
	if w.alone && !p.confine {
		return elsewhere(w, x, n, reps)
	}
	runtime.GC()
	runtime.GC() // The second one frees what the first one has found finalizers or sweeping to do for.
	return w.once(x, n, reps)
}

// calibrate finds out how often the work has to be repeated for a run to be long enough. It warms up by the way.
func (p plan) calibrate(w *workload, x peer, n int) int {
	reps := max(1, w.reps)
	if w.fixed {
		return reps
	}
	if w.reps > 1 {
		reps = min(reps, max(5, 1_000_000/n)) // The more coroutines, the less a single turn of one matters.
	}
	if w.reps > 1 && n <= 1_000 {
		reps = max(reps, 64) // A coroutine's first operation makes its stack grow; that is not to be the figure.
	}
	for {
		j := p.fresh(w, x, n, reps)
		if j.Elapsed >= p.least || j.Elapsed <= 0 {
			return reps
		}
		grow := 1.2 * float64(p.least) / float64(max(j.Elapsed, 1))
		reps = int(float64(reps)*min(grow, 100)) + 1
	}
}

// elsewhere runs the workload once in a process of its own.
func elsewhere(w *workload, x peer, n, reps int) *job {
	program, err := os.Executable()
	if err != nil {
		fail("%v", err)
	}
	out, err := exec.Command(program, "-child", w.name, x.name, fmt.Sprint(n), fmt.Sprint(reps)).Output()
	if err != nil {
		fail("%s by %s in a process of its own: %v", w.name, x.name, err)
	}
	j := new(job)
	if err := json.Unmarshal(out, j); err != nil {
		fail("%s by %s in a process of its own: %v", w.name, x.name, err)
	}
	return j
}

// summarize takes the median and the quartiles of the jobs.
func summarize(w *workload, x peer, n, reps int, jobs []*job) measurement {
	m := measurement{Workload: w.name, Op: w.op, Unit: w.unit, Peer: x.name, N: n, Reps: reps}
	ops := float64(w.operations(n, reps))
	var allocs, bytes []float64
	parts := map[string][]float64{}
	for _, j := range jobs {
		if total, ok := j.Values["total"]; ok {
			m.Rounds = append(m.Rounds, total)
		} else {
			m.Rounds = append(m.Rounds, float64(j.Elapsed)/ops)
		}
		allocs = append(allocs, float64(j.Mallocs)/ops)
		bytes = append(bytes, float64(j.Bytes)/ops)
		for name, v := range j.Values {
			if name != "total" {
				parts[name] = append(parts[name], v)
			}
		}
	}
	m.Low, m.Median, m.High = quantile(m.Rounds, 0.25), quantile(m.Rounds, 0.5), quantile(m.Rounds, 0.75)
	m.Allocs, m.Bytes = quantile(allocs, 0.5), quantile(bytes, 0.5)
	for name, v := range parts {
		if m.Parts == nil {
			m.Parts = map[string]float64{}
		}
		m.Parts[name] = quantile(v, 0.5)
	}
	return m
}

// quantile is the value below which a part q of the values lies, between two of them in proportion.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
