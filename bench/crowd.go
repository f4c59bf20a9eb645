package main

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	asynclib "github.com/b97tsk/async"
	"github.com/tinyio-go/tinyio"
)

// A crowd is n coroutines, or goroutines, that do the same work at the same time. All of them are there before the
// measured part begins, and it ends when the last one is done; before that none of those that are done goes away. A crowd
// of one is the caller itself: the work is then what a program without concurrency of its own would see.

// runLoop runs fn as the first coroutine of a loop.
func runLoop(fn func(co *tinyio.Co) (int, error), opts ...tinyio.Option) int {
	return must(tinyio.Run(context.Background(), tinyio.New(fn), opts...))
}

// must returns v. None of the work here fails, unless it says so.
func must[T any](v T, err error) T {
	if err != nil {
		fail("%v", err)
	}
	return v
}

// check ends the program if err is not nil.
func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

// crowd is a crowd of coroutines of this module. The sum of what work returns is the result.
func crowd(j *job, work func(co *tinyio.Co) int) int {
	return runLoop(func(co *tinyio.Co) (sum int, err error) {
		if j.N == 1 {
			j.start()
			sum = work(co)
			j.stop()
			return sum, nil
		}
		var over tinyio.Event
		here, busy := 0, j.N
		member := func(co *tinyio.Co) error {
			if here++; here == j.N {
				j.start()
			}
			check(co.Yield()) // The queue is first in, first out: everybody has come when this one's next turn is there.
			sum += work(co)
			if busy--; busy == 0 {
				j.stop()
				over.Set()
			}
			return over.Wait(co)
		}
		all := make([]tinyio.Awaitable, j.N)
		for i := range all {
			all[i] = tinyio.Do(member)
		}
		check(co.Spawn(all...))
		check(over.Wait(co))
		return sum, nil
	})
}

// goCrowd is a crowd of goroutines.
func goCrowd(j *job, work func() int) int {
	if j.N == 1 {
		j.start()
		sum := work()
		j.stop()
		return sum
	}
	var sum atomic.Int64
	var here, busy, gone sync.WaitGroup
	open, over := make(chan struct{}), make(chan struct{})
	here.Add(j.N)
	busy.Add(j.N)
	for range j.N {
		gone.Go(func() {
			here.Done()
			<-open
			sum.Add(int64(work()))
			busy.Done()
			<-over
		})
	}
	here.Wait()
	j.start()
	close(open)
	busy.Wait()
	j.stop()
	close(over)
	gone.Wait()
	return int(sum.Load())
}

// pullCrowd is a crowd of functions on bare iter.Pull, called in turn. Their work is reps turns, for each of which step is
// called, if there is one.
func pullCrowd(j *job, step func()) int {
	sum := 0
	nexts := make([]func() (struct{}, bool), j.N)
	stops := make([]func(), j.N)
	for i := range nexts {
		nexts[i], stops[i] = iter.Pull(func(yield func(struct{}) bool) {
			for yield(struct{}{}) {
				if step != nil {
					step()
				}
				sum++
			}
		})
		nexts[i]()
	}
	takeTurns(j, nexts, stops)
	return sum
}

// takeTurns measures reps turns of each of the functions on bare iter.Pull, and ends them.
func takeTurns(j *job, nexts []func() (struct{}, bool), stops []func()) {
	j.start()
	for range j.Reps {
		for _, next := range nexts {
			next()
		}
	}
	j.stop()
	for _, stop := range stops {
		stop()
	}
}

// asyncCrowd is a crowd of coroutines of package async, each of which does the task reps times.
func asyncCrowd(j *job, task asynclib.Task) int {
	var over asynclib.Signal
	sum, here, busy := 0, 0, j.N
	counted := asynclib.LoopN(j.Reps, task.Then(asynclib.Do(func() { sum++ })))
	member := asynclib.Block(
		asynclib.Do(func() {
			if here++; here == j.N {
				j.start()
			}
		}),
		asyncYield,
		counted,
		func(co *asynclib.Coroutine) asynclib.Result {
			if busy--; busy > 0 {
				return co.Await(&over).End()
			}
			j.stop()
			over.Notify()
			return co.End()
		},
	)
	var e asynclib.Executor
	for range j.N {
		e.Spawn(member)
	}
	e.Run()
	return sum
}

// asyncYield lets the others have their turn. Package async has no function of its own for that.
func asyncYield(co *asynclib.Coroutine) asynclib.Result {
	co.Resume()
	return co.Await().End()
}
