package main

import (
	"context"
	"runtime"
	"sync"

	pondlib "github.com/alitto/pond/v2"
	asynclib "github.com/b97tsk/async"
	conclib "github.com/sourcegraph/conc"
	"github.com/tinyio-go/tinyio"
	"golang.org/x/sync/errgroup"
)

// loops are workloads about loops as a whole.
func loops() []workload {
	return []workload{
		{
			name: "run", op: "run one that returns a number, on a loop that is made for it",
			counts: []int{1}, quick: 1,
			peers: []peer{
				{name: ours, run: runOurs},
				{name: pull, run: func(j *job) int { return repeat(j, func() int { pullOnce(); return 1 }) }},
				{name: goroutines, run: freshGoroutines},
				{name: xsync, run: runErrgroup},
				{name: conc, run: runConc},
				{name: pond, run: runPond},
				{name: async, run: runAsync},
			},
		},
		{
			name: "loops in parallel", op: "a turn, with so many that take turns on each core",
			counts: []int{1_000, 100_000}, quick: 1, reps: 100,
			ops: func(n, reps int) int { return cores() * n * reps },
			peers: []peer{
				{name: ours, run: func(j *job) int { return parallel(j, yieldOurs) }},
				{name: pull, run: func(j *job) int {
					return parallel(j, func(j *job) int { return pullCrowd(j, nil) })
				}},
				{name: goroutines, run: parallelGoroutines},
				cannot(xsync, noTurns),
				cannot(conc, noTurns),
				cannot(pond, noTurns),
				{name: async, run: func(j *job) int {
					return parallel(j, func(j *job) int { return asyncCrowd(j, asyncYield) })
				}},
			},
		},
	}
}

func cores() int { return runtime.GOMAXPROCS(0) }

// parallel does the work on each core. The measured part begins when all have set up, and ends when all are done.
func parallel(j *job, work func(j *job) int) int {
	sums := make([]int, cores())
	var here, over sync.WaitGroup
	open := make(chan struct{})
	here.Add(len(sums))
	for i := range sums {
		part := &job{N: j.N, Reps: j.Reps, ready: func() { here.Done(); <-open }}
		over.Go(func() { sums[i] = work(part) })
	}
	here.Wait()
	j.start()
	close(open)
	over.Wait()
	j.stop()
	return total(sums)
}

// parallelGoroutines has as many goroutines as the others have on all cores together.
func parallelGoroutines(j *job) int {
	all := job{N: cores() * j.N, Reps: j.Reps}
	defer j.take(&all)
	return yieldGoroutines(&all)
}

func runOurs(j *job) int {
	return repeat(j, func() int {
		return must(tinyio.Run(context.Background(), tinyio.New(func(*tinyio.Co) (int, error) { return 1, nil })))
	})
}

func runErrgroup(j *job) int {
	return repeat(j, func() (v int) {
		g, _ := errgroup.WithContext(context.Background())
		g.Go(func() error { v = 1; return nil })
		check(g.Wait())
		return v
	})
}

func runConc(j *job) int {
	return repeat(j, func() (v int) {
		var g conclib.WaitGroup
		g.Go(func() { v = 1 })
		g.Wait()
		return v
	})
}

func runPond(j *job) int {
	return repeat(j, func() int {
		pool := pondlib.NewResultPool[int](1)
		v := must(pool.Submit(func() int { return 1 }).Wait())
		pool.StopAndWait()
		return v
	})
}

func runAsync(j *job) int {
	return repeat(j, func() (v int) {
		var e asynclib.Executor
		e.Spawn(asynclib.Do(func() { v = 1 }))
		e.Run()
		return v
	})
}
