package tinyio

import (
	"context"
)

// A ThreadPool bounds how many functions run in threads at the same time. It belongs to the coroutines of one loop at a time.
type ThreadPool struct {
	permits permits
	max     int
}

// NewThreadPool returns a pool of at most max threads. It panics if max is not positive.
func NewThreadPool(max int) *ThreadPool {
	if max <= 0 {
		panic("tinyio: NewThreadPool: max must be at least 1, or nothing would ever run")
	}
	return &ThreadPool{max: max}
}

// Acquire takes one of the pool's permits, for work other than a function of [RunInPool]. It suspends if all are taken; and every
// 64th time in one turn that an Acquire, a Put or a Get does not have to wait. Those who wait are served in order. If it returns an
// error, no permit was taken.
func (p *ThreadPool) Acquire(co *Co) error {
	p.check("Acquire")
	return p.permits.acquire(co, "ThreadPool.Acquire", 1, p.max)
}

func (p *ThreadPool) check(op string) {
	if p == nil || p.max == 0 {
		panic("tinyio: ThreadPool." + op + ": the pool is nil or zero; make it with NewThreadPool")
	}
}

// Release gives back a permit that was acquired. It panics if none is taken.
func (p *ThreadPool) Release() {
	p.check("Release")
	if p.permits.taken == 0 {
		panic("tinyio: ThreadPool.Release: no permit is taken; call Release once for each Acquire that returned nil")
	}
	p.permits.release(1, p.max)
}

// RunInPool is [RunInThread], but fn waits for a permit of the pool while max others are running. Those that wait are served in
// order, and one that is cancelled or halted meanwhile never runs.
//
// The limit of a [Timeout] of the coroutine covers this wait too. To limit only the time that fn runs, take the permit first:
// Acquire, then Timeout of a RunInThread, then Release.
func RunInPool[T any](p *ThreadPool, fn func(ctx context.Context) (T, error)) *Coro[T] {
	if p == nil || p.max == 0 || fn == nil {
		panic("tinyio: RunInPool: the pool is nil or zero, or the function is nil; it needs both")
	}
	c := New(func(co *Co) (T, error) {
		var zero T
		if err := p.permits.acquire(co, "RunInPool", 1, p.max); err != nil {
			return zero, err
		}
		defer p.permits.release(1, p.max)
		k := &call[T]{fn: fn, entry: co.c.entry} // in MapInPool, that is not the entry of fn
		return k.make(co, "RunInPool")
	})
	c.c.entry = entryOf(fn)
	return c
}

// MapInPool returns a coroutine that calls fn for each of xs through p and whose value is the results, in the order of xs.
func MapInPool[T, R any](p *ThreadPool, xs []T, fn func(ctx context.Context, x T) (R, error)) *Coro[[]R] {
	if p == nil || p.max == 0 || fn == nil {
		panic("tinyio: MapInPool: the pool is nil or zero, or the function is nil; it needs both")
	}
	entry := entryOf(fn)
	c := New(func(co *Co) ([]R, error) {
		cs := make([]*Coro[R], len(xs))
		for i, x := range xs {
			cs[i] = RunInPool(p, func(ctx context.Context) (R, error) { return fn(ctx, x) })
			cs[i].c.entry = entry
		}
		co.c.addCold().maps = true
		return Gather(co, cs...)
	})
	c.c.entry = entry
	return c
}
