package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	pondlib "github.com/alitto/pond/v2"
	asynclib "github.com/b97tsk/async"
	conclib "github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/pool"
	"github.com/tinyio-go/tinyio"
	"golang.org/x/sync/errgroup"
)

// errWanted is the error of all that fails here on purpose.
var errWanted = errors.New("failed on purpose")

const noErrors = "it carries no errors"

// failures are workloads in which something goes wrong, or could.
func failures() []workload {
	return []workload{
		isolation("isolate, succeeds", nil),
		isolation("isolate, fails", errWanted),
		{
			name: "crash", op: "one of so many that wait, from the failure until all have ended",
			counts: []int{1_000, 100_000, 1_000_000}, quick: 2,
			fixed: true,
			peers: []peer{
				{name: ours, run: crashOurs},
				{name: pull, run: crashPull, most: 100_000},
				{name: goroutines, run: crashGoroutines},
				{name: xsync, run: crashErrgroup, most: 100_000},
				{name: conc, run: crashConc, most: 100_000},
				{name: pond, run: crashPond, most: 100_000},
				{name: async, run: crashAsync, most: 100_000},
			},
		},
		{
			name: "error trace", op: "one of so many that wait for each other in a chain that fails, with its place in the error",
			counts: []int{10, 1_000}, quick: 2,
			peers: []peer{
				{name: ours, run: traceOurs},
				cannot(pull, noErrors),
				{name: goroutines, run: traceGoroutines},
				{name: xsync, run: traceErrgroup},
				{name: conc, run: traceConc},
				{name: pond, run: tracePond},
				cannot(async, noErrors),
			},
		},
	}
}

// isolation is the workload of things that are held apart from the rest, so that their error is a value.
func isolation(name string, outcome error) workload {
	by := func(run func(j *job, outcome error) int) func(*job) int {
		return func(j *job) int { return run(j, outcome) }
	}
	return workload{
		name: name, op: "one that is run apart, with the error as a value, from each of so many",
		counts: []int{1, 1_000, 100_000}, quick: 2, reps: 2,
		peers: []peer{
			{name: ours, run: by(isolateOurs)},
			cannot(pull, noErrors),
			{name: goroutines, run: by(isolateGoroutines)},
			{name: xsync, run: by(isolateErrgroup)},
			{name: conc, run: by(isolateConc)},
			{name: pond, run: by(isolatePond), most: 1_000},
			cannot(async, noErrors),
		},
	}
}

// as is 1 if the outcome is the one wanted.
func as(err, outcome error) int {
	if errors.Is(err, outcome) {
		return 1
	}
	return 0
}

func isolateOurs(j *job, outcome error) int {
	return crowd(j, func(co *tinyio.Co) (sum int) {
		for i := range j.Reps {
			c := tinyio.New(func(*tinyio.Co) (int, error) { return one(i), outcome })
			_, err := tinyio.Isolate(co, c)
			sum += as(err, outcome)
		}
		return sum
	})
}

func isolateGoroutines(j *job, outcome error) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			ctx, cancel := context.WithCancel(context.Background())
			results := make(chan error)
			go func() { _ = one(i); results <- outcome }()
			sum += as(<-results, outcome)
			cancel()
			<-ctx.Done()
		}
		return sum
	})
}

func isolateErrgroup(j *job, outcome error) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			g, _ := errgroup.WithContext(context.Background())
			g.Go(func() error { _ = one(i); return outcome })
			sum += as(g.Wait(), outcome)
		}
		return sum
	})
}

func isolateConc(j *job, outcome error) int {
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			g := pool.New().WithContext(context.Background()).WithCancelOnError()
			g.Go(func(context.Context) error { _ = one(i); return outcome })
			sum += as(g.Wait(), outcome)
		}
		return sum
	})
}

func isolatePond(j *job, outcome error) int {
	p := pondlib.NewPool(0)
	defer p.StopAndWait()
	return goCrowd(j, func() (sum int) {
		for i := range j.Reps {
			g := p.NewGroupContext(context.Background())
			g.SubmitErr(func() error { _ = one(i); return outcome })
			sum += as(g.Wait(), outcome)
		}
		return sum
	})
}

// crashOurs measures until Run has returned, which is when everything is gone.
func crashOurs(j *job) int {
	ended := 0
	_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
		all := make([]tinyio.Awaitable, j.N)
		for i := range all {
			all[i] = tinyio.Do(func(co *tinyio.Co) error {
				defer func() { ended++ }()
				return co.Sleep(time.Hour)
			})
		}
		check(co.Spawn(all...))
		check(co.Yield())
		j.start()
		return errWanted
	}))
	j.stop()
	return ended * as(err, errWanted)
}

// crashPull stops them one after another: that ends them, without an error that they could see.
func crashPull(j *job) (ended int) {
	var stops []func()
	for range j.N {
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			defer func() { ended++ }()
			yield(struct{}{})
		})
		next()
		stops = append(stops, stop)
	}
	j.start()
	for _, stop := range stops {
		stop()
	}
	j.stop()
	return ended
}

// A rendezvous lets the failing one wait until all others wait.
type rendezvous struct {
	here  sync.WaitGroup
	ended []int
}

func meet(n int) *rendezvous {
	r := &rendezvous{ended: make([]int, n)}
	r.here.Add(n)
	return r
}

// wait is what the i-th does until it is cancelled.
func (r *rendezvous) wait(ctx context.Context, i int) error {
	r.here.Done()
	<-ctx.Done()
	r.ended[i] = 1
	return ctx.Err()
}

// fail is what the failing one does.
func (r *rendezvous) fail(j *job) error {
	r.here.Wait()
	j.start()
	return errWanted
}

func crashGoroutines(j *job) int {
	r := meet(j.N)
	ctx, cancel := context.WithCancelCause(context.Background())
	var g sync.WaitGroup
	for i := range j.N {
		g.Go(func() { _ = r.wait(ctx, i) })
	}
	g.Go(func() { cancel(r.fail(j)) })
	g.Wait()
	j.stop()
	return total(r.ended) * as(context.Cause(ctx), errWanted)
}

func crashErrgroup(j *job) int {
	r := meet(j.N)
	g, ctx := errgroup.WithContext(context.Background())
	for i := range j.N {
		g.Go(func() error { return r.wait(ctx, i) })
	}
	g.Go(func() error { return r.fail(j) })
	err := g.Wait()
	j.stop()
	return total(r.ended) * as(err, errWanted)
}

func crashConc(j *job) int {
	r := meet(j.N)
	g := pool.New().WithContext(context.Background()).WithCancelOnError().WithFirstError()
	for i := range j.N {
		g.Go(func(ctx context.Context) error { return r.wait(ctx, i) })
	}
	g.Go(func(context.Context) error { return r.fail(j) })
	err := g.Wait()
	j.stop()
	return total(r.ended) * as(err, errWanted)
}

// crashPond waits for the pool after the group, because a group that fails does not wait for its other tasks.
func crashPond(j *job) int {
	r := meet(j.N)
	p := pondlib.NewPool(0)
	g := p.NewGroupContext(context.Background())
	ctx := g.Context()
	for i := range j.N {
		g.SubmitErr(func() error { return r.wait(ctx, i) })
	}
	g.SubmitErr(func() error { return r.fail(j) })
	err := g.Wait()
	p.StopAndWait()
	j.stop()
	return total(r.ended) * as(err, errWanted)
}

// crashAsync ends the parent, which cancels its children.
func crashAsync(j *job) (ended int) {
	var e asynclib.Executor
	var never, now asynclib.Signal
	e.Spawn(func(co *asynclib.Coroutine) asynclib.Result {
		for range j.N {
			co.Spawn(func(co *asynclib.Coroutine) asynclib.Result {
				co.CleanupFunc(func() { ended++ })
				return co.Await(&never).End()
			})
		}
		return co.Await(&now).End()
	})
	e.Run()
	j.start()
	e.Spawn(asynclib.Do(now.Notify))
	e.Run()
	j.stop()
	return ended
}

// failingLink is the first of a chain of n, the last of which fails.
func failingLink(n int) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		if n == 1 {
			return 0, errWanted
		}
		return failingLink(n - 1).Await(co)
	})
}

// traceOurs isolates the chain: its error has a frame for each of them.
func traceOurs(j *job) int {
	return runLoop(func(co *tinyio.Co) (int, error) {
		return repeat(j, func() int {
			_, err := tinyio.Isolate(co, failingLink(j.N))
			var e *tinyio.Error
			if !errors.As(err, &e) || !errors.Is(err, errWanted) {
				return 0
			}
			return len(e.Trace)
		}), nil
	})
}

// wrap is how an error says, without this module, where it has passed.
func wrap(err error, n int) error { return fmt.Errorf("link %d: %w", n, err) }

// wraps counts how often err was wrapped.
func wraps(err error) (n int) {
	for ; err != nil && err != errWanted; err = errors.Unwrap(err) {
		n++
	}
	return n
}

// chainOfErrors measures a chain in which start runs each of the functions and returns its error.
func chainOfErrors(j *job, start func(fn func() error) error) int {
	var link func(n int) error
	link = func(n int) error {
		return start(func() error {
			if n == 1 {
				return wrap(errWanted, n)
			}
			return wrap(link(n-1), n)
		})
	}
	return repeat(j, func() int { return wraps(link(j.N)) })
}

func traceGoroutines(j *job) int {
	return chainOfErrors(j, func(fn func() error) error {
		c := make(chan error)
		go func() { c <- fn() }()
		return <-c
	})
}

func traceErrgroup(j *job) int {
	return chainOfErrors(j, func(fn func() error) error {
		var g errgroup.Group
		g.Go(fn)
		return g.Wait()
	})
}

func traceConc(j *job) int {
	return chainOfErrors(j, func(fn func() error) (err error) {
		var g conclib.WaitGroup
		g.Go(func() { err = fn() })
		g.Wait()
		return err
	})
}

func tracePond(j *job) int {
	p := pondlib.NewPool(0)
	defer p.StopAndWait()
	return chainOfErrors(j, func(fn func() error) error { return p.SubmitErr(fn).Wait() })
}
