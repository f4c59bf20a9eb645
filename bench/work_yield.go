package main

import (
	"runtime"

	"github.com/tinyio-go/tinyio"
)

const noTurns = "its tasks are goroutines, which have turns of their own: see goroutines"

// yields are workloads in which coroutines take turns and do nothing else.
func yields() []workload {
	return []workload{{
		name:   "yield",
		op:     "a turn, with so many coroutines that take turns",
		counts: []int{1, 1_000, 100_000, 1_000_000},
		quick:  2,
		reps:   4,
		peers: []peer{
			{name: ours, run: yieldOurs},
			{name: pull, run: func(j *job) int { return pullCrowd(j, nil) }},
			{name: goroutines, run: yieldGoroutines},
			cannot(xsync, noTurns),
			cannot(conc, noTurns),
			cannot(pond, noTurns),
			{name: async, run: func(j *job) int { return asyncCrowd(j, asyncYield) }, most: 100_000},
		},
	}}
}

func yieldOurs(j *job) int { return yieldWith(j) }

// yieldWith measures a number of turns of the first coroutine, and of all others in between. Nothing else happens
// meanwhile: they go away when the measured part is over.
func yieldWith(j *job, opts ...tinyio.Option) int {
	return runLoop(func(co *tinyio.Co) (int, error) { return yieldInTurn(co, j) }, opts...)
}

// yieldInTurn is what yieldWith does in the first coroutine.
//
//go:noinline // or what is called in its function literals would not be, which takes 20 instructions
func yieldInTurn(co *tinyio.Co, j *job) (sum int, err error) {
	over := false
	others := make([]tinyio.Awaitable, j.N-1)
	for i := range others {
		others[i] = tinyio.Do(func(co *tinyio.Co) error {
			for {
				check(co.Yield())
				if over {
					return nil
				}
				sum++
			}
		})
	}
	check(co.Spawn(others...))
	j.start()
	for range j.Reps {
		check(co.Yield())
		sum++
	}
	j.stop()
	over = true
	return sum, nil
}

func yieldGoroutines(j *job) int {
	return goCrowd(j, func() int {
		for range j.Reps {
			runtime.Gosched()
		}
		return j.Reps
	})
}
