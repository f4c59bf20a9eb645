package main

import (
	"context"
	"iter"
	"runtime"
	"sync/atomic"

	asynclib "github.com/b97tsk/async"
	"github.com/tinyio-go/tinyio"
	"golang.org/x/sync/semaphore"
)

const noSignals = "its tasks would signal each other by channels: see goroutines"

// syncs are workloads in which coroutines wait for each other's signals.
func syncs() []workload {
	return []workload{
		{
			name: "event ping-pong", op: "a signal from one to another one that waits for it, in so many pairs",
			counts: []int{1, 1_000, 100_000}, quick: 2, reps: 8,
			ops: func(n, reps int) int { return 2 * n * reps },
			peers: []peer{
				{name: ours, run: pingOurs},
				{name: pull, run: pingPull},
				{name: goroutines, run: pingGoroutines},
				cannot(xsync, noSignals),
				cannot(conc, noSignals),
				cannot(pond, noSignals),
				{name: async, run: pingAsync},
			},
		},
		{
			name: "semaphore", op: "acquire, a turn, release, by so many for a tenth as many permits",
			counts: []int{1, 1_000, 100_000, 1_000_000}, quick: 2, reps: 2,
			peers: []peer{
				{name: ours, run: semaphoreOurs},
				{name: pull, run: func(j *job) int { return pullCrowd(j, nil) }},
				{name: goroutines, run: semaphoreGoroutines},
				{name: xsync, run: semaphoreXsync, most: 100_000},
				cannot(conc, "it bounds how many tasks run; a task that runs cannot acquire anything"),
				cannot(pond, "it bounds how many tasks run; a task that runs cannot acquire anything"),
				{name: async, run: semaphoreAsync, most: 100_000},
			},
		},
		{
			name: "acquire free", op: "acquire and release a semaphore that is free",
			counts: []int{1}, quick: 1,
			peers: []peer{
				{name: ours, run: acquireOurs},
				{name: goroutines, run: acquireGoroutines},
				{name: xsync, run: acquireXsync},
			},
		},
	}
}

// A pair is two events, one for each side.
type pair struct{ there, back tinyio.Event }

// answer is the side of a pair that waits first.
func (p *pair) answer(co *tinyio.Co, times int) (signals int) {
	for range times {
		check(p.there.Wait(co))
		p.there.Clear()
		p.back.Set()
		signals++
	}
	return signals
}

// ask is the side of a pair that begins.
func (p *pair) ask(co *tinyio.Co, times int) (signals int) {
	for range times {
		p.there.Set()
		check(p.back.Wait(co))
		p.back.Clear()
		signals++
	}
	return signals
}

// pingOurs has the first coroutine ask if there is one pair.
func pingOurs(j *job) int {
	if j.N > 1 {
		return pingOursMany(j)
	}
	return runLoop(func(co *tinyio.Co) (sum int, err error) {
		var p pair
		check(co.Spawn(tinyio.Do(func(co *tinyio.Co) error { sum += p.answer(co, j.Reps); return nil })))
		j.start()
		asked := p.ask(co, j.Reps)
		j.stop()
		return sum + asked, nil
	})
}

func pingOursMany(j *job) int {
	both := job{N: 2 * j.N, Reps: j.Reps}
	defer j.take(&both)
	pairs, next := make([]pair, j.N), 0
	return crowd(&both, func(co *tinyio.Co) int {
		i := next
		next++
		if i%2 == 0 {
			return pairs[i/2].answer(co, j.Reps)
		}
		return pairs[i/2].ask(co, j.Reps)
	})
}

// pingPull resumes the two of each pair in turn: two switches are the least that two signals take.
func pingPull(j *job) int {
	sum := 0
	side := func(yield func(struct{}) bool) {
		for sum++; yield(struct{}{}); sum++ {
		}
	}
	var nexts []func() (struct{}, bool)
	var stops []func()
	for range 2 * j.N {
		next, stop := iter.Pull(side)
		nexts, stops = append(nexts, next), append(stops, stop)
	}
	takeTurns(j, nexts, stops)
	return sum
}

func pingGoroutines(j *job) int {
	both := job{N: 2 * j.N, Reps: j.Reps}
	defer j.take(&both)
	there, back := make([]chan int, j.N), make([]chan int, j.N)
	for i := range there {
		there[i], back[i] = make(chan int), make(chan int)
	}
	var next atomic.Int64
	return goCrowd(&both, func() (sum int) {
		i := int(next.Add(1) - 1)
		in, out := there[i/2], back[i/2]
		if i%2 == 1 {
			for range j.Reps {
				in <- 1
				sum += <-out
			}
			return sum
		}
		for range j.Reps {
			v := <-in
			sum += v
			out <- v
		}
		return sum
	})
}

func pingAsync(j *job) int {
	signals := 0
	var e asynclib.Executor
	over := 0
	for range j.N {
		var there, back asynclib.Signal
		e.Spawn(asynclib.LoopN(j.Reps, asynclib.Await(&there).Then(asynclib.Do(func() { signals++; back.Notify() }))))
		e.Spawn(asyncYield) // lets the other one begin to wait
		e.Spawn(asynclib.LoopN(j.Reps, func(co *asynclib.Coroutine) asynclib.Result {
			there.Notify()
			return co.Await(&back).Then(asynclib.Do(func() { signals++ }))
		}).Then(asynclib.Do(func() { over++ })))
	}
	j.start()
	e.Run()
	j.stop()
	if over != j.N {
		fail("%d pairs have ended, want %d", over, j.N)
	}
	return signals
}

// permits is how many permits n contend for.
func permits(n int) int { return max(1, n/10) }

func semaphoreOurs(j *job) int {
	s := tinyio.NewSemaphore(permits(j.N))
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for range j.Reps {
			check(s.Acquire(co))
			check(co.Yield())
			s.Release()
			sum++
		}
		return sum
	})
}

func semaphoreGoroutines(j *job) int {
	s := make(chan struct{}, permits(j.N))
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			s <- struct{}{}
			runtime.Gosched()
			<-s
			sum++
		}
		return sum
	})
}

func semaphoreXsync(j *job) int {
	s := semaphore.NewWeighted(int64(permits(j.N)))
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			check(s.Acquire(context.Background(), 1))
			runtime.Gosched()
			s.Release(1)
			sum++
		}
		return sum
	})
}

func semaphoreAsync(j *job) int {
	s := asynclib.NewSemaphore(asynclib.Weight(permits(j.N)))
	return asyncCrowd(j, asynclib.Block(s.Acquire(1), asyncYield, asynclib.Do(func() { s.Release(1) })))
}

func acquireOurs(j *job) int {
	s := tinyio.NewSemaphore(1)
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for range j.Reps {
			check(s.Acquire(co))
			s.Release()
			sum++
		}
		return sum
	})
}

func acquireGoroutines(j *job) int {
	s := make(chan struct{}, 1)
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			s <- struct{}{}
			<-s
			sum++
		}
		return sum
	})
}

func acquireXsync(j *job) int {
	s := semaphore.NewWeighted(1)
	return goCrowd(j, func() (sum int) {
		for range j.Reps {
			check(s.Acquire(context.Background(), 1))
			s.Release(1)
			sum++
		}
		return sum
	})
}
