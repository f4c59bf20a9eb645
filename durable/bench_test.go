package durable_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

func init() {
	durable.Register("bench.steps", func(n int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			for i := range n {
				if _, err := durable.Step(co, "step", func(context.Context) (int, error) { return i, nil }); err != nil {
					return 0, err
				}
			}
			return n, nil
		})
	})
	durable.Register("bench.sleep", func(steps int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			for i := range steps {
				if _, err := durable.Step(co, "step", func(context.Context) (int, error) { return i, nil }); err != nil {
					return 0, err
				}
			}
			return steps, co.Sleep(time.Hour)
		})
	})
}

func openBench(b *testing.B, dir string) *durable.Journal {
	b.Helper()
	j, err := durable.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	return j
}

// BenchmarkSync is what bounds a step: to append some bytes to a file and sync it.
func BenchmarkSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	record := make([]byte, 200)
	for b.Loop() {
		if _, err := f.Write(record); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStep takes steps in so many runs at once, each step on the disk before the next of its run. An operation is a step of one run.
func BenchmarkStep(b *testing.B) {
	for _, runs := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("runs=%d", runs), func(b *testing.B) { benchmarkSteps(b, runs) })
	}
}

func benchmarkSteps(b *testing.B, runs int) {
	j := openBench(b, b.TempDir())
	defer j.Close()
	each := max(b.N/runs, 1)
	b.ResetTimer()
	began := time.Now()
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() {
			r, err := durable.Start[int, int](context.Background(), j, "bench.steps", fmt.Sprint(i), each)
			if err == nil {
				_, err = r.Result(context.Background())
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	b.ReportMetric(float64(runs*each)/took.Seconds(), "steps/s")
	b.ReportMetric(float64(took.Microseconds())/float64(each), "µs/latency")
}

// sleepers starts so many runs that sleep, after some steps.
func sleepers(b *testing.B, j *durable.Journal, runs, steps int) {
	var all sync.WaitGroup
	for i := range runs {
		all.Go(func() {
			if _, err := durable.Start[int, int](context.Background(), j, "bench.sleep", fmt.Sprint(i), steps); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	untilAsleep(b, j, runs)
}

// untilAsleep waits until all runs sleep.
func untilAsleep(tb testing.TB, j *durable.Journal, runs int) {
	for i := range runs {
		for {
			status, err := j.Status(tb.Context(), fmt.Sprint(i))
			if err != nil {
				tb.Fatal(err)
			}
			if len(status) == 1 && status[0].On == "a timer" {
				break
			}
		}
	}
}

// BenchmarkRecover opens a journal with 1,000 runs that have taken 10 steps each, and recovers them. An operation is all of that, until each run has
// come to where it was.
func BenchmarkRecover(b *testing.B) {
	const runs, steps = 1000, 10
	dir := b.TempDir()
	j := openBench(b, dir)
	sleepers(b, j, runs, steps)
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		j := openBench(b, dir)
		if err := j.Recover(context.Background()); err != nil {
			b.Fatal(err)
		}
		untilAsleep(b, j, runs)
		b.StopTimer()
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkSleepingRun is the memory that a run takes while it sleeps: of the heap, and of stacks.
func BenchmarkSleepingRun(b *testing.B) {
	const runs = 10_000
	used := func() (heap, stacks uint64) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.StackInuse
	}
	for b.Loop() {
		j := openBench(b, b.TempDir())
		heap, stacks := used()
		sleepers(b, j, runs, 1)
		heapAfter, stacksAfter := used()
		b.ReportMetric(float64(heapAfter-heap)/runs, "heap-B/run")
		b.ReportMetric(float64(stacksAfter-stacks)/runs, "stack-B/run")
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
