package main

import "slices"

// A target is what this module wants to be, at most: so many times a peer's time or memory, or an absolute figure.
type target struct {
	what     string
	workload string
	n        int
	peer     string // that the limit is a multiple of
	limit    float64
	unit     string // of the limit without a peer: "ns" or "allocs"
}

// targets are the promises that this module makes about its speed.
var targets = []target{
	{what: "Yield, 1,000 coroutines ready", workload: "yield", n: 1_000, peer: pull, limit: 0.95},
	{what: "Yield, nobody else ready", workload: "yield", n: 1, peer: pull, limit: 0.15},
	{what: "await a fresh coroutine, start to result", workload: "await fresh", n: 1, peer: goroutines, limit: 0.6},
	{what: "await a finished one, nobody else ready", workload: "await finished", n: 1, limit: 12, unit: "ns"},
	{what: "gather 1,000 fresh coroutines", workload: "gather", n: 1_000, peer: xsync, limit: 0.55},
	{what: "Event ping-pong between two coroutines", workload: "event ping-pong", n: 1, peer: goroutines, limit: 0.55},
	{what: "Call", workload: "call", n: 1, peer: goroutines, limit: 1.4},
	{what: "RunInThread, start to result", workload: "run in thread", n: 1, peer: goroutines, limit: 1.9},
	{what: "Queue with room", workload: "queue", n: 1, peer: goroutines, limit: 1},
	{what: "Queue without room", workload: "hand over", n: 1, peer: goroutines, limit: 0.7},
	{what: "Submit", workload: "submit", n: 1, peer: goroutines, limit: 6},
	{what: "100,000 sleepers, equal deadlines", workload: "sleepers, equal", n: 100_000, peer: goroutines, limit: 2.2},
	{what: "300,000 sleepers, equal deadlines", workload: "sleepers, equal", n: 300_000, peer: goroutines, limit: 2.2},
	{what: "100,000 sleepers, random deadlines", workload: "sleepers, random", n: 100_000, peer: goroutines, limit: 2.2},
	{what: "300,000 sleepers, random deadlines", workload: "sleepers, random", n: 300_000, peer: goroutines, limit: 2.2},
	{what: "100,000 sleepers, equal deadlines, GOGC=200", workload: "sleepers, equal, GOGC=200", n: 100_000, peer: goroutines, limit: 1.25},
	{what: "300,000 sleepers, equal deadlines, GOGC=200", workload: "sleepers, equal, GOGC=200", n: 300_000, peer: goroutines, limit: 1.25},
	{what: "memory of a parked coroutine", workload: "parked", n: 100_000, peer: pull, limit: 1.15},
	{what: "crash, for each of 100,000 coroutines", workload: "crash", n: 100_000, limit: 1_200, unit: "ns"},
	{what: "allocations of Yield", workload: "yield", n: 1_000, unit: "allocs"},
	{what: "allocations of Sleep", workload: "sleep", n: 1, unit: "allocs"},
	{what: "allocations of Event.Wait", workload: "event ping-pong", n: 1, unit: "allocs"},
	{what: "allocations of Acquire, contended", workload: "semaphore", n: 1_000, unit: "allocs"},
	{what: "allocations of Acquire, free", workload: "acquire free", n: 1, unit: "allocs"},
	{what: "allocations of Queue.Put and Get", workload: "queue", n: 1, unit: "allocs"},
	{what: "allocations of Queue.Put and Get that wait", workload: "hand over", n: 1, unit: "allocs"},
	{what: "allocations of TryPut and TryGet", workload: "try queue", n: 1, unit: "allocs"},
	{what: "allocations of New with its closure, awaited", workload: "await fresh", n: 1, limit: 2, unit: "allocs"},
}

// stray is how many allocations for each operation are not its own but those of the measuring and of the runtime.
const stray = 0.01

// A verdict is a target and what was measured.
type verdict struct {
	What  string  `json:"what"`
	Ours  float64 `json:"ours"`
	Unit  string  `json:"unit"`
	Peer  string  `json:"peer,omitempty"`
	Peers float64 `json:"theirs,omitempty"`
	Is    float64 `json:"is"`    // the ratio, or the figure itself
	Limit float64 `json:"limit"` // of Is
	Met   bool    `json:"met"`
}

// judge compares the measurements with the targets that they tell something about.
func judge(all []measurement) (verdicts []verdict) {
	find := func(workload, peer string, n int) *measurement {
		i := slices.IndexFunc(all, func(m measurement) bool {
			return m.Workload == workload && m.Peer == peer && m.N == n && m.Absent == ""
		})
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	for _, t := range targets {
		m, theirs := find(t.workload, ours, t.n), find(t.workload, t.peer, t.n)
		if m == nil || t.peer != "" && theirs == nil {
			continue
		}
		v := verdict{What: t.what, Ours: m.Median, Unit: unitOf(m.Unit), Peer: t.peer, Limit: t.limit}
		switch {
		case t.peer != "":
			v.Peers = theirs.Median
			v.Is = v.Ours / v.Peers
		case t.unit == "allocs":
			v.Ours, v.Unit = m.Allocs, t.unit
			v.Is = v.Ours
		default:
			v.Is = v.Ours
		}
		v.Met = v.Is <= v.Limit
		if v.Unit == "allocs" {
			v.Met = v.Is <= v.Limit+stray
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// unitOf is the unit of a figure.
func unitOf(unit string) string {
	if unit == "" {
		return "ns"
	}
	return unit
}
