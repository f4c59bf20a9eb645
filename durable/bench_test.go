package durable_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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

// updateFigures has the figures of docs/durable.md measured and written.
var updateFigures = flag.Bool("update-figures", false, "measure, and write the figures in docs/durable.md")

// TestFigures checks that the figures of the document are there, or measures them.
func TestFigures(t *testing.T) {
	const path, begin, end = "../docs/durable.md", "<!-- figures -->\n", "<!-- end of the figures -->"
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(document), begin)
	figures, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the figures", path)
	}
	if !*updateFigures {
		if !strings.Contains(figures, "| a step, 1 run |") {
			t.Errorf("%s has no figures: run go test ./durable -run TestFigures -update-figures", path)
		}
		return
	}
	if err := os.WriteFile(path, []byte(before+begin+measure()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// measure returns the figures as a table.
func measure() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nMeasured by the benchmarks of the package on %s/%s with %d processors and %s, on a machine that others use too, with the journal "+
		"on its disk and every record synced; each is the best of three.\n\n| what | |\n|---|---|\n", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version())
	best := func(f func(b *testing.B)) testing.BenchmarkResult {
		r := testing.Benchmark(f)
		for range 2 {
			if again := testing.Benchmark(f); again.NsPerOp() < r.NsPerOp() {
				r = again
			}
		}
		return r
	}
	fmt.Fprintf(&b, "| to append 200 bytes to a file and sync it | %v |\n", round(best(BenchmarkSync)))
	for _, runs := range []int{1, 10, 100, 1000} {
		r := best(func(b *testing.B) { benchmarkSteps(b, runs) })
		name := fmt.Sprintf("a step in each of %d runs", runs)
		if runs == 1 {
			name = "a step, 1 run"
		}
		fmt.Fprintf(&b, "| %s | %.0f steps/s, latency %.1f ms |\n", name, r.Extra["steps/s"], r.Extra["µs/latency"]/1000)
	}
	fmt.Fprintf(&b, "| open a journal with 1,000 runs under way, of 10 steps each, and bring each to where it was | %v |\n", round(best(BenchmarkRecover)))
	r := testing.Benchmark(BenchmarkSleepingRun)
	fmt.Fprintf(&b, "| memory of a run that sleeps | %.1f KB of heap, %.1f KB of stacks |\n\n", r.Extra["heap-B/run"]/1000, r.Extra["stack-B/run"]/1000)
	return b.String()
}

// round is how long an operation takes, in three digits.
func round(r testing.BenchmarkResult) time.Duration {
	d := time.Duration(r.NsPerOp())
	for unit := time.Duration(1); ; unit *= 10 {
		if d/unit < 1000 {
			return d.Round(unit)
		}
	}
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
func untilAsleep(b *testing.B, j *durable.Journal, runs int) {
	for i := range runs {
		for {
			status, err := j.Status(context.Background(), fmt.Sprint(i))
			if err != nil {
				b.Fatal(err)
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
