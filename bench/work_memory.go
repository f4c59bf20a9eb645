package main

import (
	"iter"
	"runtime"
	"sync"

	asynclib "github.com/b97tsk/async"
	"github.com/tinyio-go/tinyio"
)

const parksGoroutines = "what it parks is a goroutine: see goroutines"

// memories are workloads whose figure is memory, and not time.
func memories() []workload {
	peers := func(run func(j *job, p parking) int) []peer {
		by := func(p parking) func(*job) int { return func(j *job) int { return run(j, p) } }
		return []peer{
			{name: ours, run: by(parkOurs)},
			{name: pull, run: by(parkPull)},
			{name: goroutines, run: by(parkGoroutines)},
			cannot(xsync, parksGoroutines),
			cannot(conc, parksGoroutines),
			cannot(pond, parksGoroutines),
			{name: async, run: by(parkAsync)},
		}
	}
	return []workload{
		{
			name: "parked", op: "heap and stack of one of so many that wait", unit: "B",
			counts: []int{1_000, 100_000, 1_000_000}, quick: 2,
			fixed: true, alone: true, peers: peers(parkedMemory),
		},
		{
			name: "burst", op: "heap and stack left behind by one of so many that have waited and finished", unit: "B",
			counts: []int{100_000, 1_000_000}, quick: 1,
			fixed: true, alone: true, peers: peers(burstMemory),
		},
	}
}

// A parking makes n coroutines that wait, calls parked, and lets them finish and calls gone; all of it inside the
// loop, if there is one, which has run before and goes on. It returns how many have waited.
type parking func(n int, before, parked, gone func()) int

// inUse is the heap and the stacks in use, after what is unreachable has been freed.
func inUse() (heap, stack float64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse), float64(m.StackInuse)
}

// use measures what parking changes, and reports it for each of the coroutines: while they are parked, and afterwards.
func use(j *job, p parking) (waited int, live, left [2]float64) {
	var heap, stack float64
	since := func(out *[2]float64) func() {
		return func() {
			h, s := inUse()
			out[0], out[1] = (h-heap)/float64(j.N), (s-stack)/float64(j.N)
		}
	}
	waited = p(j.N, func() { heap, stack = inUse() }, since(&live), since(&left))
	j.report("heap before", heap)
	j.report("stack before", stack)
	return waited, live, left
}

func parkedMemory(j *job, p parking) int {
	waited, live, _ := use(j, p)
	j.report("total", live[0]+live[1])
	j.report("heap", live[0])
	j.report("stack", live[1])
	return waited
}

func burstMemory(j *job, p parking) int {
	waited, live, left := use(j, p)
	j.report("total", left[0]+left[1])
	j.report("heap", left[0])
	j.report("stack", left[1])
	j.report("while it lasted", live[0]+live[1])
	return waited
}

func parkOurs(n int, before, parked, gone func()) int {
	return runLoop(func(co *tinyio.Co) (waited int, err error) {
		before()
		parkOursIn(co, n, parked, &waited)
		gone()
		return waited, nil
	})
}

// parkOursIn is a function of its own so that nothing of it is reachable when it has returned.
func parkOursIn(co *tinyio.Co, n int, parked func(), waited *int) {
	var over tinyio.Event
	all := make([]tinyio.Awaitable, n)
	for i := range all {
		all[i] = tinyio.Do(func(co *tinyio.Co) error { *waited++; return over.Wait(co) })
	}
	check(co.Spawn(all...))
	clear(all)
	all = nil
	parked()
	over.Set()
	check(co.Yield())
}

func parkPull(n int, before, parked, gone func()) (waited int) {
	before()
	func() {
		nexts := make([]func() (struct{}, bool), n)
		for i := range nexts {
			nexts[i], _ = iter.Pull(func(yield func(struct{}) bool) { waited++; yield(struct{}{}) })
			nexts[i]()
		}
		parked()
		for _, next := range nexts {
			next()
		}
	}()
	gone()
	return waited
}

func parkGoroutines(n int, before, parked, gone func()) int {
	before()
	func() {
		var here, over sync.WaitGroup
		open := make(chan struct{})
		here.Add(n)
		for range n {
			over.Go(func() { here.Done(); <-open })
		}
		here.Wait()
		parked()
		close(open)
		over.Wait()
	}()
	gone()
	return n
}

func parkAsync(n int, before, parked, gone func()) (waited int) {
	var e asynclib.Executor
	before()
	func() {
		var open asynclib.Signal
		for range n {
			e.Spawn(func(co *asynclib.Coroutine) asynclib.Result { waited++; return co.Await(&open).End() })
		}
		e.Run()
		parked()
		e.Spawn(asynclib.Do(open.Notify))
		e.Run()
	}()
	gone()
	return waited
}
