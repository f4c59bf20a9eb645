package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A peer is a system that is measured.
type peer struct {
	name string
	// open opens the system on what is in dir, and lets the runs go on that are there.
	open func(ctx context.Context, p *plan, dir string, w *work) (system, error)
	// absent says why a figure cannot be had, or nothing.
	absent func(p *plan, measure string) string
}

// A system is one that is open.
type system interface {
	// start starts a run, and returns when it will not be forgotten any more. The run takes steps until one returns true; if naps is not zero, it
	// takes so many, tells that it is asleep, and sleeps for an hour.
	start(ctx context.Context, id string, naps int) (wait func(ctx context.Context) error, err error)
	close(ctx context.Context) error
}

// work is what all runs do.
type work struct {
	begun  chan struct{} // closed when all runs have been started: before that no step ends
	begin  func()        // closes it
	taken  atomic.Int64
	over   atomic.Bool
	asleep atomic.Int64
}

// step is the step: it tells whether it is the last one of its run.
func (w *work) step() bool {
	<-w.begun
	w.taken.Add(1)
	return w.over.Load()
}

// A bench is a job under way.
type bench struct {
	peer   peer
	dir    string
	job    job
	work   work
	system system // that is open
}

// patience is for how long a system may do nothing before it is taken to hang.
const patience = time.Minute

var measures = map[string]func(*bench, context.Context) (float64, error){
	"steps": (*bench).steps, "recovery": (*bench).recovery, "memory": (*bench).memory,
}

// measure takes the figure of the job.
func (b *bench) measure() (figure, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*patience)
	defer cancel()
	begun := make(chan struct{})
	b.work.begun, b.work.begin = begun, sync.OnceFunc(func() { close(begun) })
	v, err := measures[b.job.Measure](b, ctx)
	b.work.begin() // if something has failed
	if b.system != nil {
		err = errors.Join(err, b.close(ctx))
	}
	return figure{Value: v}, err
}

func (b *bench) open(ctx context.Context) (err error) {
	b.system, err = b.peer.open(ctx, &b.job.Plan, b.dir, &b.work)
	return err
}

func (b *bench) close(ctx context.Context) error {
	s := b.system
	b.system = nil
	return s.close(ctx)
}

// startAll starts so many runs, some at a time.
func (b *bench) startAll(ctx context.Context, runs, naps int) (waits []func(ctx context.Context) error, err error) {
	waits = make([]func(ctx context.Context) error, runs)
	errs := make([]error, runs)
	free := make(chan struct{}, 32)
	var all sync.WaitGroup
	for i := range runs {
		free <- struct{}{}
		all.Go(func() {
			waits[i], errs[i] = b.system.start(ctx, fmt.Sprint("run ", i), naps)
			<-free
		})
	}
	all.Wait()
	return waits, errors.Join(errs...)
}

// until waits until n has come to a number.
func until(n *atomic.Int64, number int) error {
	last, at := int64(0), time.Now()
	for {
		now := n.Load()
		switch {
		case now >= int64(number):
			return nil
		case now > last:
			last, at = now, time.Now()
		case time.Since(at) > patience:
			return fmt.Errorf("it hangs: %d of %d have come", now, number)
		}
		time.Sleep(time.Millisecond)
	}
}

// steps is how many steps a second all runs take together, when all are under way.
func (b *bench) steps(ctx context.Context) (perSecond float64, err error) {
	if err := b.open(ctx); err != nil {
		return 0, err
	}
	waits, err := b.startAll(ctx, b.job.Runs, 0)
	if err != nil {
		return 0, err
	}
	b.work.begin()
	if err := until(&b.work.taken, 2*b.job.Runs); err != nil { // what comes with the start is over
		return 0, err
	}
	before, began := b.work.taken.Load(), time.Now()
	time.Sleep(b.job.Plan.Window)
	taken, took := b.work.taken.Load()-before, time.Since(began)
	b.work.over.Store(true)
	for _, wait := range waits {
		if err := wait(ctx); err != nil {
			return 0, err
		}
	}
	return float64(taken) / took.Seconds(), nil
}

// sleepers has all runs take their steps and sleep.
func (b *bench) sleepers(ctx context.Context) error {
	if _, err := b.startAll(ctx, b.job.Plan.Crowd, b.job.Plan.Steps); err != nil {
		return err
	}
	b.work.begin()
	return until(&b.work.asleep, b.job.Plan.Crowd)
}

// recovery is how many seconds it takes to open a system on runs that sleep, until each is where it was.
func (b *bench) recovery(ctx context.Context) (seconds float64, err error) {
	if err := b.open(ctx); err != nil {
		return 0, err
	}
	if err := b.sleepers(ctx); err != nil {
		return 0, err
	}
	if err := b.close(ctx); err != nil {
		return 0, err
	}
	taken := b.work.taken.Load()
	b.work.asleep.Store(0)
	runtime.GC()
	began := time.Now()
	if err := b.open(ctx); err != nil {
		return 0, err
	}
	if err := until(&b.work.asleep, b.job.Plan.Crowd); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if again := b.work.taken.Load() - taken; again != 0 {
		return 0, fmt.Errorf("%d steps were taken again", again)
	}
	return took.Seconds(), nil
}

// memory is how many bytes of heap and stacks a run takes that sleeps.
func (b *bench) memory(ctx context.Context) (bytes float64, err error) {
	if err := b.open(ctx); err != nil {
		return 0, err
	}
	before := inUse()
	if err := b.sleepers(ctx); err != nil {
		return 0, err
	}
	return (inUse() - before) / float64(b.job.Plan.Crowd), nil
}

func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
