package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Two cores: each operation in one loop alone, and in two loops at the same time, each on a thread of the system. Two loops have nothing in
// common, so they should do twice as much. What keeps them from that is the garbage collector, which works for one loop alone on the
// other core, and the caches. So it is told how many cores one loop keeps busy, and what two do when garbage is collected less often. Bare
// iter.Pull and plain allocations of the same sizes, measured in the same way, tell how much of it has nothing to do with this module.

// A twofold is an operation that is measured alone and twice at the same time.
type twofold struct {
	what string
	n    int
	w    *workload
	peer string
}

func twofolds() []twofold {
	allocations := &workload{name: "allocations", peers: []peer{{name: ours, run: allocateAlike}}}
	crashes := *workloadOf("crash")
	crashes.reps, crashes.fixed, crashes.ops = 1, false, nil // so that it is repeated: see crashAgain
	crashes.peers = []peer{{name: ours, run: crashAgain}}
	yield := workloadOf("yield")
	return []twofold{
		{"a turn, 1,000 taking turns", 1_000, yield, ours},
		{"the same, bare `iter.Pull`", 1_000, yield, pull},
		{"a turn, 100,000 taking turns", 100_000, yield, ours},
		{"the same, bare `iter.Pull`", 100_000, yield, pull},
		{"a signal", 1, workloadOf("event ping-pong"), ours},
		{"a value through a queue with room", 1, workloadOf("queue"), ours},
		{"start one, get its result", 1, workloadOf("await fresh"), ours},
		{"the same, bare `iter.Pull`", 1, workloadOf("await fresh"), pull},
		{"start 1,000, get their results, each", 1_000, workloadOf("gather"), ours},
		{"no more than the allocations of that", 1_000, allocations, ours},
		{"start 1,000, one fails, all clean up, each", 1_000, &crashes, ours},
	}
}

// What a gather allocates for each: the coroutine, which has pointers in it, and the closure of its function.
type (
	likeCoro    [36]*int
	likeClosure [2]uintptr
)

// A kept pair is on the heap, and not on the stack.
type kept struct {
	coro    *likeCoro
	closure *likeClosure
}

// allocateAlike allocates what a gather of n does, and keeps it as long.
func allocateAlike(j *job) int {
	return repeat(j, func() int {
		all := make([]kept, j.N)
		for i := range all {
			all[i] = kept{new(likeCoro), new(likeClosure)}
		}
		return len(all)
	})
}

// crashAgain is the workload of crashes, as often as the job says, with the start of what crashes.
func crashAgain(j *job) int {
	return repeat(j, func() int { return crashOurs(&job{N: j.N, Reps: 1, ready: func() {}}) })
}

// seldom is the value of GOGC with which garbage is collected an eighth as often as by default.
const seldom = 800

// A pairing is what came of a twofold with a value of GOGC: the nanoseconds of an operation and how many cores were busy, of one loop and of two.
type pairing struct{ alone, busy, both, bothBusy []float64 }

// throughput is how many times as much two do at the same time as one.
func (x *pairing) throughput() float64 { return 2 * quantile(x.alone, 0.5) / quantile(x.both, 0.5) }

// A twice is what came of a twofold, with Go's default and with garbage that is collected seldom.
type twice struct{ usual, seldom pairing }

// measureTwice measures x once in each way.
func (p plan) measureTwice(x twofold, reps int, into *pairing) {
	one := x.by()
	two := peer{name: one.name, run: func(j *job) int { return parallel(j, one.run) }}
	pair := *x.w
	pair.ops = func(n, reps int) int { return 2 * x.w.operations(n, reps) }
	pair.want = func(n, reps int) int { return 2 * x.w.expected(n, reps) }
	for _, way := range []struct {
		w         *workload
		by        peer
		ns, cores *[]float64
	}{{x.w, one, &into.alone, &into.busy}, {&pair, two, &into.both, &into.bothBusy}} {
		j := p.fresh(way.w, way.by, x.n, reps)
		// For an operation in each loop, also where two are under way.
		*way.ns = append(*way.ns, float64(j.Elapsed.Nanoseconds())/float64(x.w.operations(x.n, reps)))
		*way.cores = append(*way.cores, float64(j.Busy)/float64(j.Elapsed))
	}
}

func (x twofold) by() peer {
	return x.w.peers[slices.IndexFunc(x.w.peers, func(y peer) bool { return y.name == x.peer })]
}

// measureTwofolds measures all of them on two cores, round by round.
func (p plan) measureTwofolds(all []twofold) []twice {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	found := make([]twice, len(all))
	for i, x := range all {
		fmt.Fprintf(p.log, "%s\n", x.what)
		reps := p.calibrate(x.w, x.by(), x.n)
		for range p.rounds {
			p.measureTwice(x, reps, &found[i].usual)
			percent := debug.SetGCPercent(seldom)
			p.measureTwice(x, reps, &found[i].seldom)
			debug.SetGCPercent(percent)
		}
	}
	return found
}

func writeTwofolds(w io.Writer, all []twofold, found []twice, rounds int) {
	fmt.Fprintf(w, "%s, %s/%s, GOMAXPROCS=2; medians of %d rounds.\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, rounds)
	t := &table{left: 1}
	t.add("one of", "one loop", "keeps busy", "two loops do", fmt.Sprintf("with GOGC=%d one keeps busy", seldom), "two do")
	for i, x := range all {
		row := []string{x.what, figure(quantile(found[i].usual.alone, 0.5), "ns")}
		for _, of := range []*pairing{&found[i].usual, &found[i].seldom} {
			row = append(row, fmt.Sprintf("%.2f cores", quantile(of.busy, 0.5)), fmt.Sprintf("%.2f ×", of.throughput()))
		}
		t.add(row...)
	}
	t.writeMarkdown(w)
}

// runCores measures, and writes the table, or puts it into its place in a document.
func runCores(quick bool, rounds int, match func(string) bool, document string) {
	p := plan{quick: quick, rounds: rounds, least: 200 * time.Millisecond, log: os.Stderr}
	if quick {
		p.least = 20 * time.Millisecond
	}
	all := slices.DeleteFunc(twofolds(), func(x twofold) bool { return !match(x.what) })
	var part bytes.Buffer
	writeTwofolds(&part, all, p.measureTwofolds(all), rounds)
	writePart(document, "cores", part.Bytes())
}
