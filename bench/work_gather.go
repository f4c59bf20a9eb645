package main

import (
	"iter"
	"sync"

	pondlib "github.com/alitto/pond/v2"
	asynclib "github.com/b97tsk/async"
	conclib "github.com/sourcegraph/conc"
	"github.com/tinyio-go/tinyio"
	"golang.org/x/sync/errgroup"
)

const (
	noOrder      = "it tells when all of its tasks have finished, and not which has"
	manyAreHeavy = 100_000 // what the peers besides the main ones are measured with at most
)

// gathers are workloads in which one coroutine starts many.
func gathers() []workload {
	counts := []int{1, 1_000, 100_000, 1_000_000}
	return []workload{
		{
			name: "gather", op: "one of so many that are started and waited for together, with its result",
			counts: counts, quick: 2,
			peers: []peer{
				{name: ours, run: gatherOurs},
				{name: pull, run: gatherPull},
				{name: goroutines, run: gatherGoroutines},
				{name: xsync, run: gatherErrgroup},
				{name: conc, run: gatherConc, most: manyAreHeavy},
				{name: pond, run: gatherPond, most: manyAreHeavy},
				{name: async, run: gatherAsync, most: manyAreHeavy},
			},
		},
		{
			// Of goroutines, and of the libraries that start them, nothing else is asked than in a gather.
			name: "spawn", op: "one of so many that are started for nobody, until all have run",
			counts: counts, quick: 2,
			peers: []peer{
				{name: ours, run: spawnOurs},
				{name: pull, run: gatherPull, most: manyAreHeavy},
				{name: goroutines, run: gatherGoroutines},
				{name: xsync, run: gatherErrgroup, most: manyAreHeavy},
				{name: conc, run: gatherConc, most: manyAreHeavy},
				{name: pond, run: gatherPond, most: manyAreHeavy},
				{name: async, run: spawnAsync, most: manyAreHeavy},
			},
		},
		{
			name: "as completed", op: "one of so many whose results are taken in the order in which they come",
			counts: counts, quick: 2,
			peers: []peer{
				{name: ours, run: completedOurs},
				{name: pull, run: gatherPull, most: manyAreHeavy},
				{name: goroutines, run: completedGoroutines},
				cannot(xsync, noOrder),
				cannot(conc, noOrder),
				cannot(pond, noOrder),
				{name: async, run: completedAsync, most: manyAreHeavy},
			},
		},
	}
}

// repeat measures turn, which does the work of n coroutines, as often as the job says.
func repeat(j *job, turn func() int) (sum int) {
	j.start()
	for range j.Reps {
		sum += turn()
	}
	j.stop()
	return sum
}

// total is the sum of the numbers.
func total(numbers []int) (sum int) {
	for _, v := range numbers {
		sum += v
	}
	return sum
}

// ones makes n coroutines that return 1.
func ones(n int) []*tinyio.Coro[int] {
	all := make([]*tinyio.Coro[int], n)
	for i := range all {
		all[i] = tinyio.New(func(*tinyio.Co) (int, error) { return one(i), nil })
	}
	return all
}

func gatherOurs(j *job) int {
	return runLoop(func(co *tinyio.Co) (int, error) {
		return repeat(j, func() int { return total(must(tinyio.Gather(co, ones(j.N)...))) }), nil
	})
}

// gatherPull makes all of them before it lets any run, as the others do.
func gatherPull(j *job) int {
	return repeat(j, func() int {
		nexts := make([]func() (int, bool), j.N)
		for i := range nexts {
			nexts[i], _ = iter.Pull(func(yield func(int) bool) { yield(one(i)) })
		}
		out := make([]int, j.N)
		for i, next := range nexts {
			out[i], _ = next()
			next() // lets it end
		}
		return total(out)
	})
}

func gatherGoroutines(j *job) int {
	return repeat(j, func() int {
		out := make([]int, j.N)
		var g sync.WaitGroup
		for i := range out {
			g.Go(func() { out[i] = one(i) })
		}
		g.Wait()
		return total(out)
	})
}

func gatherErrgroup(j *job) int {
	return repeat(j, func() int {
		out := make([]int, j.N)
		var g errgroup.Group
		for i := range out {
			g.Go(func() error { out[i] = one(i); return nil })
		}
		check(g.Wait())
		return total(out)
	})
}

func gatherConc(j *job) int {
	return repeat(j, func() int {
		out := make([]int, j.N)
		var g conclib.WaitGroup
		for i := range out {
			g.Go(func() { out[i] = one(i) })
		}
		g.Wait()
		return total(out)
	})
}

func gatherPond(j *job) int {
	pool := pondlib.NewResultPool[int](0)
	defer pool.StopAndWait()
	return repeat(j, func() int {
		g := pool.NewGroup()
		for i := range j.N {
			g.Submit(func() int { return one(i) })
		}
		return total(must(g.Wait()))
	})
}

func gatherAsync(j *job) int {
	var e asynclib.Executor
	return repeat(j, func() int {
		out := make([]int, j.N)
		tasks := make([]asynclib.Task, j.N)
		for i := range tasks {
			tasks[i] = asynclib.Do(func() { out[i] = one(i) })
		}
		e.Spawn(asynclib.Join(tasks...))
		e.Run()
		return total(out)
	})
}

func spawnOurs(j *job) int {
	return runLoop(func(co *tinyio.Co) (sum int, err error) {
		return repeat(j, func() int {
			sum = 0
			all := make([]tinyio.Awaitable, j.N)
			for i := range all {
				all[i] = tinyio.Do(func(*tinyio.Co) error { sum += one(i); return nil })
			}
			check(co.Spawn(all...)) // When it returns, all of them have had their turn.
			return sum
		}), nil
	})
}

func spawnAsync(j *job) int {
	var e asynclib.Executor
	return repeat(j, func() (sum int) {
		for i := range j.N {
			e.Spawn(asynclib.Do(func() { sum += one(i) }))
		}
		e.Run()
		return sum
	})
}

func completedOurs(j *job) int {
	return runLoop(func(co *tinyio.Co) (int, error) {
		return repeat(j, func() (sum int) {
			for v, err := range tinyio.AsCompleted(co, ones(j.N)...) {
				check(err)
				sum += v
			}
			return sum
		}), nil
	})
}

func completedGoroutines(j *job) int {
	return repeat(j, func() (sum int) {
		results := make(chan int)
		for i := range j.N {
			go func() { results <- one(i) }()
		}
		for range j.N {
			sum += <-results
		}
		return sum
	})
}

// completedAsync hands each result over through a State, which holds the latest: whoever waits for it is resumed, and
// the next result is not put there before it has been taken.
func completedAsync(j *job) int {
	var e asynclib.Executor
	return repeat(j, func() (sum int) {
		var results []int
		var come asynclib.Signal
		for i := range j.N {
			e.Spawn(asynclib.Do(func() { results = append(results, one(i)); come.Notify() }))
		}
		left := j.N
		e.Spawn(func(co *asynclib.Coroutine) asynclib.Result {
			for _, v := range results {
				sum += v
				left--
			}
			if results = results[:0]; left > 0 {
				return co.Yield(&come)
			}
			return co.End()
		})
		e.Run()
		return sum
	})
}
