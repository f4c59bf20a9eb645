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
			name: "call", op: "call a function that may block, in a goroutine of its own, and get its number",
			counts: []int{1}, quick: 1, reps: 1_000,
			peers: []peer{
				{name: ours, run: callOurs},
				{name: goroutines, run: freshGoroutines},
			},
		},
		{
			name: "first", op: "start two that return numbers, one of them when it is told to stop, and get the first number",
			counts: []int{1}, quick: 1, reps: 1_000,
			peers: []peer{
				{name: ours, run: firstOurs},
				{name: goroutines, run: firstGoroutines},
			},
		},
		{
			name: "cancel", op: "start one that waits, stop it, and wait until it has stopped",
			counts: []int{1}, quick: 1, reps: 1_000,
			peers: []peer{
				{name: ours, run: cancelOurs},
				{name: goroutines, run: cancelGoroutines},
			},
		},
		{
			name: "wait any", op: "start one that returns a number, and wait for that or another one, which waits",
			counts: []int{1}, quick: 1, reps: 1_000,
			peers: []peer{
				{name: ours, run: anyOurs},
				{name: goroutines, run: anyGoroutines},
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

func callOurs(j *job) int {
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for i := range j.Reps {
			sum += must(tinyio.Call(co, func(context.Context) (int, error) { return one(i), nil }))
		}
		return sum
	})
}

func firstOurs(j *job) int {
	var never tinyio.Event
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for i := range j.Reps {
			sum += must(tinyio.First(co,
				tinyio.New(func(co *tinyio.Co) (int, error) { return 0, never.Wait(co) }),
				tinyio.New(func(*tinyio.Co) (int, error) { return one(i), nil })))
		}
		return sum
	})
}

func firstGoroutines(j *job) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			ctx, cancel := context.WithCancel(context.Background())
			results := make(chan int, 2)
			var g sync.WaitGroup
			g.Go(func() { <-ctx.Done() })
			g.Go(func() { results <- one(i) })
			sum += <-results
			cancel()
			g.Wait()
		}
		return sum
	})
}

func anyOurs(j *job) int {
	return crowd(j, func(co *tinyio.Co) (sum int) {
		var never tinyio.Event
		waiting := co.Go(never.Wait)
		for i := range j.Reps {
			c := tinyio.New(func(*tinyio.Co) (int, error) { return one(i), nil })
			if must(tinyio.WaitAny(co, waiting, c)) == 1 {
				sum += c.Value()
			}
		}
		check(waiting.Cancel(co, nil))
		return sum
	})
}

func anyGoroutines(j *job) int {
	return goCrowd(j, func() (sum int) {
		waiting, never := make(chan struct{}), make(chan struct{})
		go func() { <-never; close(waiting) }()
		for i := range j.Reps {
			c := make(chan int)
			go func() { c <- one(i) }()
			select {
			case <-waiting:
			case v := <-c:
				sum += v
			}
		}
		close(never)
		<-waiting
		return sum
	})
}

func cancelOurs(j *job) int {
	var never tinyio.Event
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for range j.Reps {
			c := co.Go(never.Wait)
			check(co.Yield())
			check(c.Cancel(co, nil))
			sum++
		}
		return sum
	})
}

func cancelGoroutines(j *job) int {
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			ctx, cancel := context.WithCancel(context.Background())
			stopped := make(chan struct{})
			go func() { <-ctx.Done(); close(stopped) }()
			cancel()
			<-stopped
			sum++
		}
		return sum
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
