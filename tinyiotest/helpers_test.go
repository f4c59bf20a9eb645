package tinyiotest_test

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotest"
)

// errBroken is what the programs of these tests find wrong with themselves.
var errBroken = errors.New("broken")

// noLeaks fails the test if there are more goroutines after it than before.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 1000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(time.Millisecond)
		}
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines before the test, %d after it:\n%s", before, runtime.NumGoroutine(),
			stacks[:runtime.Stack(stacks, true)])
	})
}

// A recording is a test that takes down what it is told, instead of failing.
type recording struct {
	testing.TB
	failed  bool
	skipped bool
	logs    []string
	fatal   string // what it was failed with
}

func (r *recording) Helper()                   {}
func (r *recording) Failed() bool              { return r.failed }
func (r *recording) Fail()                     { r.failed = true }
func (r *recording) Skipped() bool             { return r.skipped }
func (r *recording) Logf(f string, as ...any)  { r.logs = append(r.logs, fmt.Sprintf(f, as...)) }
func (r *recording) Error(as ...any)           { r.failed = true }
func (r *recording) Errorf(_ string, _ ...any) { r.failed = true }

func (r *recording) FailNow() {
	r.failed = true
	runtime.Goexit()
}

func (r *recording) SkipNow() {
	r.skipped = true
	runtime.Goexit()
}

func (r *recording) Fatal(as ...any) {
	r.fatal = fmt.Sprint(as...)
	r.FailNow()
}

func (r *recording) Fatalf(f string, as ...any) { r.Fatal(fmt.Sprintf(f, as...)) }

// record calls f with a recording and returns that when f has ended.
func record(t *testing.T, f func(r *recording)) *recording {
	r := &recording{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(r)
	}()
	<-ended
	return r
}

// exploring records an Explore.
func exploring(t *testing.T, fn func(co *tinyio.Co) error, opts ...tinyiotest.Option) *recording {
	return record(t, func(r *recording) { tinyiotest.ExploreIn(t, r, fn, opts...) })
}

// replaying records a Replay.
func replaying(t *testing.T, schedule string, fn func(co *tinyio.Co) error) *recording {
	return record(t, func(r *recording) { tinyiotest.ReplayIn(t, r, schedule, fn) })
}

var replayLine = regexp.MustCompile(`\n\tTINYIO_SCHEDULE=(\S+) go test -run '(\S+)' (\S+)\n`)

// finds wants Explore to find what is wrong with fn, in words of the report, and the schedule that it prints to show the same
// again, in Replay and through the environment. It returns the schedule.
func finds(t *testing.T, fn func(co *tinyio.Co) error, what string, opts ...tinyiotest.Option) (schedule string) {
	t.Helper()
	r := exploring(t, fn, opts...)
	line := replayLine.FindStringSubmatch(r.fatal)
	if line == nil || !strings.Contains(r.fatal, what) {
		t.Fatalf("Explore reports\n%s\n%q\nwant %q and how to run it again", r.fatal, r.logs, what)
	}
	schedule = line[1]
	if again := replaying(t, schedule, fn); !strings.Contains(again.fatal, what) {
		t.Errorf("Replay of %s reports\n%s\n%q\nwant %q", schedule, again.fatal, again.logs, what)
	}
	t.Setenv("TINYIO_SCHEDULE", schedule)
	if again := exploring(t, fn, opts...); !strings.Contains(again.fatal, what) {
		t.Errorf("with TINYIO_SCHEDULE=%s Explore reports\n%s\n%q\nwant %q", schedule, again.fatal, again.logs, what)
	}
	t.Setenv("TINYIO_SCHEDULE", "")
	return schedule
}

// passes wants Explore to find nothing, and returns what it says.
func passes(t *testing.T, fn func(co *tinyio.Co) error, opts ...tinyiotest.Option) string {
	t.Helper()
	r := exploring(t, fn, opts...)
	if r.failed || len(r.logs) != 1 {
		t.Fatalf("Explore reports\n%s\n%q\nwant one line that all is well", r.fatal, r.logs)
	}
	return r.logs[0]
}

// yields lets others go on n times.
func yields(co *tinyio.Co, n int) error {
	for range n {
		if err := co.Yield(); err != nil {
			return err
		}
	}
	return nil
}

// named is a coroutine with a short name.
func named(name string, fn func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(fn).Named(name)
}
