package main

import (
	"context"
	"sync"

	asynclib "github.com/b97tsk/async"
	"github.com/tinyio-go/tinyio"
)

// threads are workloads in which goroutines and a loop meet.
func threads() []workload {
	return []workload{
		{
			name: "run in thread", op: "start a goroutine that returns a number, and get the number, so many at once",
			counts: []int{1, 1_000, 100_000}, quick: 2,
			peers: []peer{
				{name: ours, run: threadOurs},
				cannot(pull, "a coroutine on iter.Pull cannot be waited for by the goroutine of another"),
				{name: goroutines, run: completedGoroutines},
				{name: xsync, run: gatherErrgroup},
				{name: conc, run: gatherConc},
				{name: pond, run: gatherPond},
				{name: async, run: threadAsync},
			},
		},
		{
			name: "set from outside", op: "a signal from another goroutine to one that waits, and one back",
			counts: []int{1}, quick: 1,
			peers: []peer{
				{name: ours, run: outsideOurs},
				cannot(pull, "nothing can wake a coroutine on iter.Pull from another goroutine"),
				{name: goroutines, run: outsideGoroutines},
				cannot(xsync, noSignals),
				cannot(conc, noSignals),
				cannot(pond, noSignals),
				{name: async, run: outsideAsync},
			},
		},
	}
}

func threadOurs(j *job) int {
	start := func(i int) *tinyio.Coro[int] {
		return tinyio.RunInThread(func(context.Context) (int, error) { return one(i), nil })
	}
	return runLoop(func(co *tinyio.Co) (int, error) {
		return repeat(j, func() int {
			if j.N == 1 {
				return must(start(0).Await(co))
			}
			all := make([]*tinyio.Coro[int], j.N)
			for i := range all {
				all[i] = start(i)
			}
			return total(must(tinyio.Gather(co, all...)))
		}), nil
	})
}

func threadAsync(j *job) int {
	var e asynclib.Executor
	e.Autorun(e.Run)
	return repeat(j, func() (sum int) {
		var g sync.WaitGroup
		tasks := make([]asynclib.Task, j.N)
		for i := range tasks {
			tasks[i] = asynclib.Go(context.Background(), &g, func(context.Context) asynclib.Task {
				v := one(i)
				return asynclib.Do(func() { sum += v })
			})
		}
		e.SpawnBlocking(asynclib.Join(tasks...))
		g.Wait()
		return sum
	})
}

func outsideOurs(j *job) int {
	var there tinyio.Event
	back := make(chan int, 1)
	loop := make(chan int)
	go func() {
		loop <- runLoop(func(co *tinyio.Co) (sum int, err error) {
			back <- 0
			for range j.Reps {
				check(there.Wait(co))
				there.Clear()
				sum++
				back <- sum
			}
			return sum, nil
		})
	}()
	<-back
	j.start()
	for range j.Reps {
		there.Set()
		<-back
	}
	j.stop()
	return <-loop
}

func outsideGoroutines(j *job) int {
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for v := range there {
			back <- v + 1
		}
	}()
	sum := 0
	j.start()
	for range j.Reps {
		there <- sum
		sum = <-back
	}
	j.stop()
	close(there)
	return sum
}

// outsideAsync runs its executor in a goroutine of its own, as the loop is, and not in that of whoever spawns.
func outsideAsync(j *job) int {
	var e asynclib.Executor
	wake := make(chan struct{}, 1)
	e.Autorun(func() { wake <- struct{}{} })
	var there asynclib.Signal
	back := make(chan int, 1)
	sum := 0
	go func() {
		for range wake {
			e.Run()
		}
	}()
	e.Spawn(asynclib.Do(func() { back <- 0 }).Then(asynclib.LoopN(j.Reps, asynclib.Await(&there).Then(
		asynclib.Do(func() { sum++; back <- sum })))))
	<-back
	notify := asynclib.Do(there.Notify)
	j.start()
	for range j.Reps {
		e.Spawn(notify)
		<-back
	}
	j.stop()
	close(wake)
	return sum
}
