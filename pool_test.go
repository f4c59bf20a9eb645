package tinyio_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// W9: a ThreadPool bounds how many threads there are.
func TestThreadPoolBoundsTheThreads(t *testing.T) {
	const n, limit = 400, 7
	pool := tinyio.NewThreadPool(limit)
	var running, most atomic.Int32
	succeed(t, func(co *tinyio.Co) error {
		var xs []int
		for i := range n {
			xs = append(xs, i)
		}
		out, err := tinyio.MapInPool(pool, xs, func(_ context.Context, x int) (int, error) {
			now := running.Add(1)
			for {
				m := most.Load()
				if now <= m || most.CompareAndSwap(m, now) {
					break
				}
			}
			runtime.Gosched()
			running.Add(-1)
			return x * x, nil
		}).Await(co)
		for i, v := range out {
			if v != i*i {
				t.Errorf("result %d is %d", i, v)
			}
		}
		return err
	})
	if m := most.Load(); m > limit || m < 1 {
		t.Errorf("%d threads ran at a time, want %d at most", m, limit)
	}
}

// W9: those that wait for the pool are served in order. One that is stopped meanwhile never runs, and takes no permit.
func TestThreadPoolServesInOrder(t *testing.T) {
	pool := tinyio.NewThreadPool(1)
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		release := make(chan struct{})
		task := func(name string) *tinyio.Coro[int] {
			return tinyio.RunInPool(pool, func(context.Context) (int, error) {
				log.add("%s", name) // one at a time
				if name == "first" {
					<-release
				}
				return 0, nil
			})
		}
		first, stopped, second, third := task("first"), task("stopped"), task("second"), task("third")
		if err := co.Spawn(first); err != nil {
			return err
		}
		if _, err := tinyio.Timeout(co, stopped, time.Millisecond); !errors.Is(err, tinyio.ErrTimeout) {
			t.Errorf("Timeout returns %v", err)
		}
		if err := co.Spawn(second, third); err != nil {
			return err
		}
		close(release)
		return co.Wait(first, second, third)
	})
	log.want(t, "first", "second", "third")
}
