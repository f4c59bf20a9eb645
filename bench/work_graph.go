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

// graphs are workloads with many edges between those who wait.
func graphs() []workload {
	return []workload{
		{
			name: "diamonds", op: "one of so many nodes, each of which adds the numbers of two that others need too",
			counts: []int{100, 10_000}, quick: 2,
			want: func(n, reps int) int { return reps * diamondSum(n) },
			peers: []peer{
				{name: ours, run: diamondsOurs},
				cannot(pull, "waiting for several, and by several, is what would have to be built first"),
				{name: goroutines, run: func(j *job) int { return diamondsBy(j, startGo) }},
				{name: xsync, run: func(j *job) int { return diamondsBy(j, startErrgroup) }},
				{name: conc, run: func(j *job) int { return diamondsBy(j, startConc) }},
				{name: pond, run: diamondsPond},
				{name: async, run: diamondsAsync},
			},
		},
		{
			name: "chain", op: "one of so many, each of which starts the next one and waits for it",
			counts: []int{1_000, 100_000}, quick: 1,
			peers: []peer{
				{name: ours, run: chainOurs},
				{name: pull, run: chainPull},
				{name: goroutines, run: chainGoroutines},
				{name: xsync, run: chainErrgroup},
				{name: conc, run: chainConc},
				{name: pond, run: chainPond, most: 1_000},
				{name: async, run: chainAsync, most: 1_000},
			},
		},
	}
}

// The nodes of the diamonds lie in layers. Those of the first layer are 1. Each other one is the sum of the two below it,
// to the right and straight down, modulo a number.
const modulus = 1_000_003

// layer is how many nodes a layer has.
func layer(n int) int {
	width := 1
	for width*width < n {
		width++
	}
	return width
}

// below are the two nodes that node i needs.
func below(i, width int) (int, int) {
	start := i - i%width - width
	return start + i%width, start + (i+1)%width
}

// diamondSum is the sum of the last layer, worked out by a loop.
func diamondSum(n int) int {
	width := layer(n)
	v := make([]int, n)
	for i := range v {
		if i < width {
			v[i] = 1
			continue
		}
		a, b := below(i, width)
		v[i] = (v[a] + v[b]) % modulus
	}
	return total(v[n-width:])
}

func diamondsOurs(j *job) int {
	width := layer(j.N)
	return runLoop(func(co *tinyio.Co) (int, error) {
		return repeat(j, func() int {
			nodes := make([]*tinyio.Coro[int], j.N)
			for i := range nodes {
				nodes[i] = tinyio.New(func(co *tinyio.Co) (int, error) {
					if i < width {
						return 1, nil
					}
					a, b := below(i, width)
					v, err := tinyio.Gather(co, nodes[a], nodes[b])
					if err != nil {
						return 0, err
					}
					return (v[0] + v[1]) % modulus, nil
				})
			}
			return total(must(tinyio.Gather(co, nodes[j.N-width:]...)))
		}), nil
	})
}

// A node is what stands for a coroutine that several wait for where there are none.
type node struct {
	done chan struct{}
	v    int
}

// diamondsBy does the diamonds with goroutines that start starts, which returns when all have ended.
func diamondsBy(j *job, start func(n int, work func(i int))) int {
	width := layer(j.N)
	return repeat(j, func() (sum int) {
		nodes := make([]node, j.N)
		for i := range nodes {
			nodes[i].done = make(chan struct{})
		}
		start(j.N, func(i int) {
			nodes[i].v = 1
			if i >= width {
				a, b := below(i, width)
				<-nodes[a].done
				<-nodes[b].done
				nodes[i].v = (nodes[a].v + nodes[b].v) % modulus
			}
			close(nodes[i].done)
		})
		for _, x := range nodes[j.N-width:] {
			sum += x.v
		}
		return sum
	})
}

func startGo(n int, work func(i int)) {
	var g sync.WaitGroup
	for i := range n {
		g.Go(func() { work(i) })
	}
	g.Wait()
}

func startErrgroup(n int, work func(i int)) {
	var g errgroup.Group
	for i := range n {
		g.Go(func() error { work(i); return nil })
	}
	check(g.Wait())
}

func startConc(n int, work func(i int)) {
	var g conclib.WaitGroup
	for i := range n {
		g.Go(func() { work(i) })
	}
	g.Wait()
}

// diamondsPond uses the pool's own tasks to wait for.
func diamondsPond(j *job) int {
	width := layer(j.N)
	pool := pondlib.NewResultPool[int](0)
	defer pool.StopAndWait()
	return repeat(j, func() (sum int) {
		nodes := make([]pondlib.ResultTask[int], j.N)
		for i := range nodes {
			nodes[i] = pool.Submit(func() int {
				if i < width {
					return 1
				}
				a, b := below(i, width)
				return (must(nodes[a].Wait()) + must(nodes[b].Wait())) % modulus
			})
		}
		for _, x := range nodes[j.N-width:] {
			sum += must(x.Wait())
		}
		return sum
	})
}

func diamondsAsync(j *job) int {
	width := layer(j.N)
	return repeat(j, func() (sum int) {
		var e asynclib.Executor
		nodes := make([]*asynclib.State[int], j.N) // -1 until the number is there
		for i := range nodes {
			nodes[i] = asynclib.NewState(-1)
		}
		known := func(v int) bool { return v >= 0 }
		for i := j.N - 1; i >= 0; i-- {
			if i < width {
				e.Spawn(asynclib.Do(func() { nodes[i].Set(1) }))
				continue
			}
			a, b := below(i, width)
			e.Spawn(asynclib.Block(nodes[a].Await(known), nodes[b].Await(known), asynclib.Do(func() {
				nodes[i].Set((nodes[a].Get() + nodes[b].Get()) % modulus)
			})))
		}
		e.Run()
		for _, x := range nodes[j.N-width:] {
			sum += x.Get()
		}
		return sum
	})
}

// link is a coroutine that is 1 more than the next of n.
func link(n int) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		if n == 1 {
			return 1, nil
		}
		v, err := link(n - 1).Await(co)
		return v + 1, err
	})
}

func chainOurs(j *job) int {
	return runLoop(func(co *tinyio.Co) (int, error) {
		return repeat(j, func() int { return must(link(j.N).Await(co)) }), nil
	})
}

func chainPull(j *job) int {
	var start func(n int) int
	start = func(n int) int {
		if n == 0 {
			return 0
		}
		next, stop := iter.Pull(func(yield func(int) bool) { yield(start(n-1) + 1) })
		defer stop()
		v, _ := next()
		return v
	}
	return repeat(j, func() int { return start(j.N) })
}

func chainGoroutines(j *job) int {
	var start func(n int) int
	start = func(n int) int {
		if n == 0 {
			return 0
		}
		c := make(chan int)
		go func() { c <- start(n-1) + 1 }()
		return <-c
	}
	return repeat(j, func() int { return start(j.N) })
}

func chainErrgroup(j *job) int {
	var start func(n int) int
	start = func(n int) int {
		if n == 0 {
			return 0
		}
		var g errgroup.Group
		v := 0
		g.Go(func() error { v = start(n-1) + 1; return nil })
		check(g.Wait())
		return v
	}
	return repeat(j, func() int { return start(j.N) })
}

func chainConc(j *job) int {
	var start func(n int) int
	start = func(n int) int {
		if n == 0 {
			return 0
		}
		var g conclib.WaitGroup
		v := 0
		g.Go(func() { v = start(n-1) + 1 })
		g.Wait()
		return v
	}
	return repeat(j, func() int { return start(j.N) })
}

func chainPond(j *job) int {
	pool := pondlib.NewResultPool[int](0)
	defer pool.StopAndWait()
	var start func(n int) int
	start = func(n int) int {
		if n == 0 {
			return 0
		}
		return must(pool.Submit(func() int { return start(n-1) + 1 }).Wait())
	}
	return repeat(j, func() int { return start(j.N) })
}

func chainAsync(j *job) int {
	return repeat(j, func() (sum int) {
		var start func(n int) asynclib.Task
		start = func(n int) asynclib.Task {
			if n == 0 {
				return asynclib.End()
			}
			return func(co *asynclib.Coroutine) asynclib.Result {
				return co.Transition(asynclib.Spawn(start(n - 1)).Then(asynclib.Do(func() { sum++ })))
			}
		}
		var e asynclib.Executor
		e.Spawn(start(j.N))
		e.Run()
		return sum
	})
}
