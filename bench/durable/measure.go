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
	// absent says why the figures of a measure cannot be had with so many runs, or nothing.
	absent func(p *plan, measure string, runs int) string
}

// A system is one that is open.
type system interface {
	// start starts a run, and returns when it will not be forgotten any more. The run takes steps for ever; or if naps is not zero so many, tells
	// that it is asleep, and sleeps for an hour.
	start(ctx context.Context, id string, naps int) error
	close(ctx context.Context) error
}

// work is what all runs do.
type work struct {
	begun  chan struct{} // closed when all runs have been started: before that no step ends
	begin  func()        // closes it
	taken  atomic.Int64
	asleep atomic.Int64
}

// step is the step. It returns how many have been taken.
func (w *work) step() int64 {
	<-w.begun
	return w.taken.Add(1)
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

// measures are what a process can measure, each with the figures that it takes.
var measures = map[string]func(*bench, context.Context) ([]float64, error){"steps": (*bench).steps, "sleepers": (*bench).sleepers}

// measure takes the figures of the job.
func (b *bench) measure() ([]float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*patience)
	defer cancel()
	begun := make(chan struct{})
	b.work.begun, b.work.begin = begun, sync.OnceFunc(func() { close(begun) })
	values, err := measures[b.job.Measure](b, ctx)
	b.work.begin() // if something has failed
	if b.system != nil {
		err = errors.Join(err, b.close(ctx))
	}
	return values, err
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

// startAll starts so many runs, some at a time, and then lets steps end.
func (b *bench) startAll(ctx context.Context, runs, naps int) error {
	errs := make([]error, runs)
	free := make(chan struct{}, 32)
	var all sync.WaitGroup
	for i := range runs {
		free <- struct{}{}
		all.Go(func() {
			errs[i] = b.system.start(ctx, fmt.Sprint("run ", i), naps)
			<-free
		})
	}
	all.Wait()
	b.work.begin()
	return errors.Join(errs...)
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
func (b *bench) steps(ctx context.Context) ([]float64, error) {
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	if err := b.startAll(ctx, b.job.Runs, 0); err != nil {
		return nil, err
	}
	for began := time.Now(); b.work.taken.Load() < 2*int64(b.job.Runs) && time.Since(began) < b.job.Plan.Settle; { // until what comes with the start is over
		time.Sleep(time.Millisecond)
	}
	before, began := b.work.taken.Load(), time.Now()
	time.Sleep(b.job.Plan.Window)
	if err := until(&b.work.taken, int(before)+1); err != nil {
		return nil, err
	}
	taken, took := b.work.taken.Load()-before, time.Since(began)
	return []float64{float64(taken) / took.Seconds()}, nil
}

// sleepers is how many seconds it takes to open a system on runs that sleep, until each is where it was; and how many bytes of heap and stacks a run
// takes that sleeps.
func (b *bench) sleepers(ctx context.Context) ([]float64, error) {
	p := b.job.Plan
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	before := inUse()
	if err := b.startAll(ctx, p.Crowd, p.Steps); err != nil {
		return nil, err
	}
	if err := until(&b.work.asleep, p.Crowd); err != nil {
		return nil, err
	}
	memory := (inUse() - before) / float64(p.Crowd)
	if err := b.close(ctx); err != nil {
		return nil, err
	}
	taken := b.work.taken.Load()
	b.work.asleep.Store(0)
	runtime.GC()
	began := time.Now()
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	if err := until(&b.work.asleep, p.Crowd); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if again := b.work.taken.Load() - taken; again != 0 {
		return nil, fmt.Errorf("%d steps were taken again", again)
	}
	return []float64{took.Seconds(), memory}, nil
}

func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
