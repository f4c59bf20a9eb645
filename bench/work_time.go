package main

import (
	"context"
	"iter"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	pondlib "github.com/alitto/pond/v2"
	asynclib "github.com/b97tsk/async"
	conclib "github.com/sourcegraph/conc"
	"github.com/tinyio-go/tinyio"
	"golang.org/x/sync/errgroup"
)

const (
	noTime    = "it knows no time"
	likeSleep = "its tasks call time.Sleep: see goroutines"
	nap       = time.Millisecond // of sleepers that all sleep as long, and until a timeout fires
)

// times are workloads that wait for time to pass.
func times() []workload {
	return []workload{
		sleepers("sleepers, equal", equalNap),
		sleepers("sleepers, random", randomNap),
		sleepersSeldomCollected(),
		{
			name: "sleep", op: "a sleep of a microsecond, of one that nobody runs beside",
			counts: []int{1}, quick: 1, reps: 1_000, // so that what a run allocates once does not show
			peers: []peer{
				{name: ours, run: sleepOurs},
				{name: goroutines, run: sleepGoroutines},
			},
		},
		{
			name: "timeout fires", op: "one of so many that wait for ever, stopped after a millisecond",
			counts: []int{1_000, 100_000, 1_000_000}, quick: 1,
			peers: []peer{
				{name: ours, run: firesOurs},
				cannot(pull, noTime),
				{name: goroutines, run: firesGoroutines, most: 100_000},
				cannot(xsync, "its tasks take a context with a timeout: see goroutines"),
				cannot(conc, "its tasks take a context with a timeout: see goroutines"),
				cannot(pond, "its tasks take a context with a timeout: see goroutines"),
				{name: async, run: firesAsync, most: 100_000},
			},
		},
		{
			name: "timeout does not fire", op: "await a fresh one for at most an hour, from each of so many",
			counts: []int{1, 1_000, 100_000, 1_000_000}, quick: 2, reps: 2,
			peers: []peer{
				{name: ours, run: quietOurs},
				cannot(pull, noTime),
				{name: goroutines, run: quietGoroutines, most: 100_000},
				{name: xsync, run: quietErrgroup, most: 100_000},
				{name: conc, run: quietConc, most: 100_000},
				{name: pond, run: quietPond, most: 1_000},
				cannot(async, "a Select with Sleep, whose goroutine then has to be waited for; no timer is taken back"),
			},
		},
	}
}

// sleepers is the workload of many that sleep at the same time, for as long as given.
func sleepers(name string, d func(i int) time.Duration) workload {
	return workload{
		name: name, op: "one of so many that sleep, until the last has woken",
		counts: []int{1_000, 100_000, 300_000, 1_000_000}, quick: 3,
		peers: []peer{
			{name: ours, run: func(j *job) int { return sleepersOurs(j, d) }},
			{name: pull, run: func(j *job) int { return sleepersPull(j, d) }},
			{name: goroutines, run: func(j *job) int { return sleepersGoroutines(j, d) }},
			cannot(xsync, likeSleep),
			cannot(conc, likeSleep),
			cannot(pond, likeSleep),
			{name: async, run: func(j *job) int { return sleepersAsync(j, d) }, most: 1_000},
		},
	}
}

// sleepersSeldomCollected is the workload of many that sleep, with less of the garbage collector, which looks at the stacks of all of them.
func sleepersSeldomCollected() workload {
	w := sleepers("sleepers, equal, GOGC=200", equalNap)
	w.counts, w.quick = []int{100_000, 300_000}, 2
	w.peers = w.peers[:3] // the others have no figures for so many
	for i := range w.peers {
		run := w.peers[i].run
		w.peers[i].run = func(j *job) int {
			defer debug.SetGCPercent(debug.SetGCPercent(200))
			return run(j)
		}
	}
	return w
}

func equalNap(int) time.Duration { return nap }

// naps are the same for every peer and every round.
var naps = sync.OnceValue(func() []time.Duration {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]time.Duration, 1<<16)
	for i := range all {
		all[i] = nap + time.Duration(random.Int64N(int64(9*nap)))
	}
	return all
})

// randomNap is between 1 and 10 milliseconds.
func randomNap(i int) time.Duration { return naps()[i&(1<<16-1)] }

func sleepersOurs(j *job, d func(int) time.Duration) int {
	d(0) // makes the table
	return runLoop(func(co *tinyio.Co) (int, error) {
		return repeat(j, func() (woken int) {
			all := make([]tinyio.Awaitable, j.N)
			for i := range all {
				all[i] = tinyio.Do(func(co *tinyio.Co) error {
					check(co.Sleep(d(i)))
					woken++
					return nil
				})
			}
			check(co.Wait(all...))
			return woken
		}), nil
	})
}

// sleepersPull resumes coroutines in the order of their deadlines, which it sorts once: the least that a loop of one's own would do.
func sleepersPull(j *job, d func(int) time.Duration) int {
	d(0)
	return repeat(j, func() (woken int) {
		type sleeper struct {
			due  time.Time
			next func() (time.Time, bool)
		}
		all := make([]sleeper, j.N)
		for i := range all {
			next, _ := iter.Pull(func(yield func(time.Time) bool) {
				yield(time.Now().Add(d(i)))
				woken++
			})
			due, _ := next()
			all[i] = sleeper{due, next}
		}
		slices.SortFunc(all, func(a, b sleeper) int { return a.due.Compare(b.due) })
		for _, s := range all {
			time.Sleep(time.Until(s.due))
			s.next()
		}
		return woken
	})
}

func sleepersGoroutines(j *job, d func(int) time.Duration) int {
	d(0)
	return repeat(j, func() int {
		woken := make([]int, j.N)
		var g sync.WaitGroup
		for i := range woken {
			g.Go(func() { time.Sleep(d(i)); woken[i]++ })
		}
		g.Wait()
		return total(woken)
	})
}

// sleepersAsync has an executor that runs whenever a sleeper's goroutine wakes it.
func sleepersAsync(j *job, d func(int) time.Duration) int {
	d(0)
	var e asynclib.Executor
	e.Autorun(e.Run)
	return repeat(j, func() (woken int) {
		var g sync.WaitGroup
		tasks := make([]asynclib.Task, j.N)
		for i := range tasks {
			sleep := asynclib.Sleep(context.Background(), &g, d(i))
			tasks[i] = sleep.Then(asynclib.Do(func() { woken++ }))
		}
		e.SpawnBlocking(asynclib.Join(tasks...))
		g.Wait()
		return woken
	})
}

func sleepOurs(j *job) int {
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for range j.Reps {
			check(co.Sleep(time.Microsecond))
			sum++
		}
		return sum
	})
}

func sleepGoroutines(j *job) int {
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			time.Sleep(time.Microsecond)
			sum++
		}
		return sum
	})
}

func firesOurs(j *job) int {
	return runLoop(func(co *tinyio.Co) (int, error) {
		return repeat(j, func() (stopped int) {
			all := make([]tinyio.Awaitable, j.N)
			for i := range all {
				all[i] = tinyio.Do(func(co *tinyio.Co) error {
					_, err := tinyio.Timeout(co, forever(), nap)
					if _, ok := err.(*tinyio.TimeoutError); ok {
						stopped++
					}
					return nil
				})
			}
			check(co.Wait(all...))
			return stopped
		}), nil
	})
}

// forever is a coroutine that waits until it is stopped.
func forever() *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		var never tinyio.Event
		return never.Wait(co)
	})
}

func firesGoroutines(j *job) int {
	return repeat(j, func() int {
		stopped := make([]int, j.N)
		var g sync.WaitGroup
		for i := range stopped {
			g.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), nap)
				defer cancel()
				over := make(chan error)
				go func() {
					<-ctx.Done()
					over <- ctx.Err()
				}()
				if <-over == context.DeadlineExceeded {
					stopped[i]++
				}
			})
		}
		g.Wait()
		return total(stopped)
	})
}

func firesAsync(j *job) int {
	var e asynclib.Executor
	e.Autorun(e.Run)
	return repeat(j, func() (stopped int) {
		var g sync.WaitGroup
		tasks := make([]asynclib.Task, j.N)
		for i := range tasks {
			var never asynclib.Signal
			sleep := asynclib.Sleep(context.Background(), &g, nap)
			tasks[i] = asynclib.Select(asynclib.Await(&never), sleep).Then(asynclib.Do(func() { stopped++ }))
		}
		e.SpawnBlocking(asynclib.Join(tasks...))
		g.Wait()
		return stopped
	})
}

func quietOurs(j *job) int {
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for i := range j.Reps {
			c := tinyio.New(func(*tinyio.Co) (int, error) { return one(i), nil })
			sum += must(tinyio.Timeout(co, c, time.Hour))
		}
		return sum
	})
}

// limited gets a number from what start starts, but waits for at most an hour.
func limited(start func(results chan<- int)) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	results := make(chan int, 1)
	start(results)
	select {
	case v := <-results:
		return v
	case <-ctx.Done():
		return 0
	}
}

func quietGoroutines(j *job) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			sum += limited(func(results chan<- int) {
				go func() { results <- one(i) }()
			})
		}
		return sum
	})
}

func quietErrgroup(j *job) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			var g errgroup.Group
			sum += limited(func(results chan<- int) {
				g.Go(func() error { results <- one(i); return nil })
			})
			check(g.Wait())
		}
		return sum
	})
}

func quietConc(j *job) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			var g conclib.WaitGroup
			sum += limited(func(results chan<- int) {
				g.Go(func() { results <- one(i) })
			})
			g.Wait()
		}
		return sum
	})
}

func quietPond(j *job) int {
	pool := pondlib.NewPool(0)
	defer pool.StopAndWait()
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			sum += limited(func(results chan<- int) {
				check(pool.Go(func() { results <- one(i) }))
			})
		}
		return sum
	})
}
