package main

import (
	"iter"

	pondlib "github.com/alitto/pond/v2"
	asynclib "github.com/b97tsk/async"
	conclib "github.com/sourcegraph/conc"
	"github.com/tinyio-go/tinyio"
	"golang.org/x/sync/errgroup"
)

// awaits are workloads in which one coroutine waits for another.
func awaits() []workload {
	return []workload{
		{
			name:   "await fresh",
			op:     "start another one that returns a number, and get the number, from each of so many coroutines",
			counts: []int{1, 1_000, 100_000, 1_000_000},
			quick:  2,
			reps:   2,
			peers: []peer{
				{name: ours, run: freshOurs},
				{name: pull, run: func(j *job) int { return pullCrowd(j, pullOnce) }, most: 100_000},
				{name: goroutines, run: freshGoroutines},
				{name: xsync, run: freshErrgroup, most: 100_000},
				{name: conc, run: freshConc, most: 100_000},
				{name: pond, run: freshPond, most: 1_000},
				{name: async, run: freshAsync, most: 100_000},
			},
		},
		{
			name:   "await finished",
			op:     "get the number of one that has finished, from each of so many coroutines",
			counts: []int{1, 1_000, 100_000, 1_000_000},
			quick:  2,
			reps:   4,
			peers: []peer{
				{name: ours, run: finishedOurs},
				{name: pull, run: func(j *job) int { return pullCrowd(j, nil) }, most: 100_000},
				{name: goroutines, run: finishedGoroutines, most: 100_000},
				{name: xsync, run: finishedErrgroup, most: 100_000},
				{name: conc, run: finishedConc, most: 100_000},
				{name: pond, run: finishedPond, most: 100_000},
				cannot(async, "a Task that has ended leaves nothing that could be waited for"),
			},
		},
	}
}

// pullOnce runs a function on bare iter.Pull that yields one number and ends.
func pullOnce() {
	next, stop := iter.Pull(func(yield func(int) bool) { yield(1) })
	if v, ok := next(); v != 1 || !ok {
		fail("iter.Pull gave %d, %t", v, ok)
	}
	stop()
}

func freshOurs(j *job) int {
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for i := range j.Reps {
			sum += must(tinyio.New(func(*tinyio.Co) (int, error) { return one(i), nil }).Await(co))
		}
		return sum
	})
}

// one is 1. It makes a closure of the function that calls it with a variable of its own, as most functions have.
func one(i int) int { return 1 + i>>63 }

func freshGoroutines(j *job) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			c := make(chan int)
			go func() { c <- one(i) }()
			sum += <-c
		}
		return sum
	})
}

func freshErrgroup(j *job) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			var g errgroup.Group
			v := 0
			g.Go(func() error { v = one(i); return nil })
			check(g.Wait())
			sum += v
		}
		return sum
	})
}

func freshConc(j *job) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			var g conclib.WaitGroup
			v := 0
			g.Go(func() { v = one(i) })
			g.Wait()
			sum += v
		}
		return sum
	})
}

func freshPond(j *job) int {
	pool := pondlib.NewResultPool[int](0)
	defer pool.StopAndWait()
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			sum += must(pool.Submit(func() int { return one(i) }).Wait())
		}
		return sum
	})
}

// freshAsync counts what the children did: a task has no result to return.
func freshAsync(j *job) int {
	children := 0
	got := asyncCrowd(j, func(co *asynclib.Coroutine) asynclib.Result {
		i := children
		return co.Transition(asynclib.Spawn(asynclib.Do(func() { children += one(i) })))
	})
	if children != got {
		fail("%d children have run, want %d", children, got)
	}
	return got
}

func finishedOurs(j *job) int {
	done := tinyio.New(func(*tinyio.Co) (int, error) { return 1, nil })
	first := true
	return crowd(j, func(co *tinyio.Co) (sum int) {
		if first { // It runs on the loop that it is awaited on; that is one operation more than there are.
			first = false
			must(done.Await(co))
		}
		for range j.Reps {
			sum += must(done.Await(co))
		}
		return sum
	})
}

func finishedGoroutines(j *job) int {
	done, v := make(chan struct{}), 0
	go func() { v = 1; close(done) }()
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			<-done
			sum += v
		}
		return sum
	})
}

func finishedErrgroup(j *job) int {
	var g errgroup.Group
	v := 0
	g.Go(func() error { v = 1; return nil })
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			check(g.Wait())
			sum += v
		}
		return sum
	})
}

func finishedConc(j *job) int {
	var g conclib.WaitGroup
	v := 0
	g.Go(func() { v = 1 })
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			g.Wait()
			sum += v
		}
		return sum
	})
}

func finishedPond(j *job) int {
	pool := pondlib.NewResultPool[int](0)
	defer pool.StopAndWait()
	task := pool.Submit(func() int { return 1 })
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			sum += must(task.Wait())
		}
		return sum
	})
}
