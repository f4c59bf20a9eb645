package tinyio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// background is the context of runs that nobody interrupts.
var background = context.Background()

// errBoom is what coroutines of these tests fail with.
var errBoom = errors.New("boom")

// noLeaks fails the test if there are more goroutines after it than before. A goroutine that has nothing left to do may
// take a moment to go.
func noLeaks(t *testing.T) {
	t.Helper()
	before := goroutines()
	t.Cleanup(func() {
		if fallsTo(before) {
			return
		}
		stacks := make([]byte, 1<<16)
		stacks = stacks[:runtime.Stack(stacks, true)]
		t.Errorf("%d goroutines before the test, %d after it:\n%s", before, runtime.NumGoroutine(), stacks)
	})
}

// goroutines returns the number of goroutines, without those in which Go handles JavaScript events, of which it keeps one.
func goroutines() int {
	n := runtime.NumGoroutine()
	if runtime.GOOS == "js" {
		stacks := make([]byte, 1<<20)
		n -= bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("\nruntime.handleEvent("))
	}
	return n
}

// fallsTo reports whether the number of goroutines soon falls to most.
func fallsTo(most int) bool {
	for range 1000 {
		if goroutines() <= most {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// needsProcesses skips the test where a program can neither start another one nor receive a signal.
func needsProcesses(t *testing.T) {
	t.Helper()
	if runtime.GOARCH == "wasm" {
		t.Skipf("there are no processes and no signals on %s/%s", runtime.GOOS, runtime.GOARCH)
	}
}

// within calls f on a goroutine of its own and fails the test if f does not return: for what would hang if it were wrong. A panic of f
// fails the test too.
func within(t *testing.T, f func()) {
	t.Helper()
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		f()
	}()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	select {
	case p := <-ended:
		if p != nil {
			t.Errorf("panic: %v", p)
		}
	case <-limit.C:
		t.Fatal("it hangs")
	}
}

// panicOf returns what f panics with, nil if it returns.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// panicErrorOf returns the *PanicError with which f panics.
func panicErrorOf(t *testing.T, f func()) *tinyio.PanicError {
	t.Helper()
	value := panicOf(f)
	p, ok := value.(*tinyio.PanicError)
	if !ok {
		t.Fatalf("it panics with %T %v, want a *PanicError", value, value)
	}
	return p
}

// wantSentence wants value, from a panic, to be a sentence that begins with "tinyio: " and has all of parts in it.
func wantSentence(t *testing.T, value any, parts ...string) {
	t.Helper()
	if p, ok := value.(*tinyio.PanicError); ok {
		value = p.Value
	}
	s, ok := value.(string)
	if !ok || !strings.HasPrefix(s, "tinyio: ") {
		t.Fatalf("the panic is %T %v, want a sentence of this package", value, value)
	}
	for _, part := range parts {
		if !strings.Contains(s, part) {
			t.Errorf("the panic is %q, want %q in it", s, part)
		}
	}
}

// wantError wants err, which op has returned, to be the error want.
func wantError(t *testing.T, op string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s returns %v, want %v", op, err, want)
	}
}

// A recorder is the log of a test: what happened, in order.
type recorder struct{ lines []string }

// add adds a line. Of a timeout it leaves out what timed out, and where that was stuck.
func (r *recorder) add(format string, args ...any) {
	r.lines = append(r.lines, shortTimeout(fmt.Sprintf(format, args...)))
}

var timeoutText = regexp.MustCompile(`tinyio: \S+ (timed out after [^\s,]+), stuck at [^\s,]+( in [^\s,]+)?`)

func shortTimeout(text string) string { return timeoutText.ReplaceAllString(text, "tinyio: $1") }

func (r *recorder) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(r.lines, lines) {
		t.Errorf("what happened:\n\t%s\nwant:\n\t%s", strings.Join(r.lines, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// virtualStart is when a loop in virtual time begins.
var virtualStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// passed is how much virtual time has passed since the loop of co began.
func passed(co *tinyio.Co) time.Duration { return co.Now().Sub(virtualStart) }

// A stopwatch measures how long ago it was started on a loop's clock.
type stopwatch struct{ start time.Time }

func startWatch(co *tinyio.Co) stopwatch { return stopwatch{co.Now()} }

func (s stopwatch) passed(co *tinyio.Co) time.Duration { return co.Now().Sub(s.start) }

// virtually runs f as the first coroutine of a loop in virtual time.
func virtually(f func(co *tinyio.Co) error, opts ...tinyio.Option) error {
	_, err := tinyio.Run(background, tinyio.Do(f), append(opts, tinyio.WithVirtualTime())...)
	return err
}

// succeed is virtually for what must not fail. It calls noLeaks.
func succeed(t *testing.T, f func(co *tinyio.Co) error, opts ...tinyio.Option) {
	t.Helper()
	noLeaks(t)
	if err := virtually(f, opts...); err != nil {
		t.Fatalf("the run fails: %+v", err)
	}
}

// crash is virtually for a run that must fail with errBoom. It calls noLeaks.
func crash(t *testing.T, f func(co *tinyio.Co) error) {
	t.Helper()
	noLeaks(t)
	wantError(t, "Run", virtually(f), errBoom)
}

// sleeper is a coroutine that sleeps for d.
func sleeper(d time.Duration) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(d) })
}

// failer is a coroutine that sleeps for d and then fails with err.
func failer(d time.Duration, err error) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		if stop := co.Sleep(d); stop != nil {
			return stop
		}
		return err
	})
}

// value is a coroutine that returns v after a sleep.
func value[T any](d time.Duration, v T) *tinyio.Coro[T] {
	return tinyio.New(func(co *tinyio.Co) (T, error) { return v, co.Sleep(d) })
}

// wait awaits c for its error alone.
func wait[T any](co *tinyio.Co, c *tinyio.Coro[T]) error {
	_, err := c.Await(co)
	return err
}

// here returns a frame of the function that calls it, so many lines further down.
func here(coro string, down int) tinyio.Frame {
	pc, file, line, _ := runtime.Caller(1)
	return tinyio.Frame{Coro: coro, Function: runtime.FuncForPC(pc).Name(), File: file, Line: line + down}
}

// wantTrace wants err to be an *Error whose trace is frames.
func wantTrace(t *testing.T, err error, frames ...tinyio.Frame) {
	t.Helper()
	e, ok := err.(*tinyio.Error)
	if !ok {
		t.Fatalf("the error is a %T, %v, want an *Error", err, err)
	}
	wantFrames(t, e.Trace, frames...)
}

// wantFrames wants got to be the frames of want. A frame of want without Awaits may wait for any that come after it, and must wait for some
// unless it is the last.
func wantFrames(t *testing.T, got []tinyio.Frame, want ...tinyio.Frame) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(g, w tinyio.Frame) bool {
		return g.Coro == w.Coro && g.Function == w.Function && g.File == w.File && g.Line == w.Line &&
			(w.Awaits == nil || slices.Equal(g.Awaits, w.Awaits))
	}) {
		t.Errorf("the trace is\n%s\nwant\n%s", framesText(got), framesText(want))
	}
	for i, f := range got {
		if last := i == len(got)-1; last != (len(f.Awaits) == 0) || !slices.IsSorted(f.Awaits) || !last && f.Awaits[0] <= i {
			t.Errorf("frame %d of %d waits for %v", i, len(got), f.Awaits)
		}
	}
}

func framesText(frames []tinyio.Frame) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintln(&b, f, f.Awaits)
	}
	return b.String()
}

// A manualClock is a clock that a test moves by hand. It jumps to the next deadline when its loop is idle.
type manualClock struct {
	now   time.Time
	reads int // calls of Now
	idles int // calls of Idle
}

func newManualClock() *manualClock { return &manualClock{now: time.Unix(0, 0)} }

func (m *manualClock) Now() time.Time {
	m.reads++
	return m.now
}

func (m *manualClock) Idle(p hook.Pause) bool {
	m.idles++
	switch {
	case !p.Deadline.IsZero():
		m.now = p.Deadline
	case p.Threads > 0:
		<-p.Wake
	default:
		return false
	}
	return true
}

func panicDeepDown() { panic("deep down") }

// waits are all ways to wait for what does not come, each of which a cancellation has to end. Each call makes new ones.
func waits() map[string]func(co *tinyio.Co) error {
	var event tinyio.Event
	var lock tinyio.Lock
	lock.TryAcquire()
	semaphore := tinyio.NewSemaphore(1)
	semaphore.TryAcquire()
	barrier := tinyio.NewBarrier(2)
	pool := tinyio.NewThreadPool(1)
	never := func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	long := func() *tinyio.Coro[int] { return value(time.Hour, 1) }
	var queue tinyio.Queue[int]
	ch := make(chan int)
	return map[string]func(co *tinyio.Co) error{
		"Yield": func(co *tinyio.Co) error {
			for {
				if err := co.Yield(); err != nil {
					return err
				}
				if err := co.Sleep(time.Millisecond); err != nil { // so that virtual time passes
					return err
				}
			}
		},
		"Sleep":   func(co *tinyio.Co) error { return co.Sleep(time.Hour) },
		"Await":   func(co *tinyio.Co) error { return wait(co, long()) },
		"Gather":  func(co *tinyio.Co) error { _, err := tinyio.Gather(co, long(), long()); return err },
		"Wait":    func(co *tinyio.Co) error { return co.Wait(long(), long()) },
		"Timeout": func(co *tinyio.Co) error { _, err := tinyio.Timeout(co, long(), 2*time.Hour); return err },
		"Isolate": func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, long()); return err },
		"AsCompleted": func(co *tinyio.Co) error {
			for _, err := range tinyio.AsCompleted(co, long(), long()) {
				return err
			}
			return nil
		},
		"Event.Wait":    func(co *tinyio.Co) error { return event.Wait(co) },
		"Event.WaitFor": func(co *tinyio.Co) error { _, err := event.WaitFor(co, time.Hour); return err },
		"Lock":          func(co *tinyio.Co) error { return lock.Acquire(co) },
		"Semaphore":     func(co *tinyio.Co) error { return semaphore.Acquire(co) },
		"Barrier":       func(co *tinyio.Co) error { _, err := barrier.Wait(co); return err },
		"RunInThread":   func(co *tinyio.Co) error { return wait(co, tinyio.RunInThread(never)) },
		"RunInPool":     func(co *tinyio.Co) error { return wait(co, tinyio.RunInPool(pool, never)) },
		"FromCallback": func(co *tinyio.Co) error {
			return wait(co, tinyio.FromCallback(func(done func(int, error)) func(error) {
				return func(cause error) { done(0, cause) }
			}))
		},
		"First": func(co *tinyio.Co) error { _, err := tinyio.First(co, long(), long()); return err },
		"Every": func(co *tinyio.Co) error {
			for _, err := range tinyio.Every(co, time.Hour) {
				return err
			}
			return nil
		},
		"WaitAny":      func(co *tinyio.Co) error { _, err := tinyio.WaitAny(co, long(), long()); return err },
		"Queue.Put":    func(co *tinyio.Co) error { return tinyio.NewQueue[int](0).Put(co, 1) },
		"Queue.Get":    func(co *tinyio.Co) error { _, err := queue.Get(co); return err },
		"Queue.GetFor": func(co *tinyio.Co) error { _, _, err := queue.GetFor(co, time.Hour); return err },
		"Recv":         func(co *tinyio.Co) error { _, _, err := tinyio.Recv(co, ch); return err },
		"Recv, nil":    func(co *tinyio.Co) error { _, _, err := tinyio.Recv[int](co, nil); return err },
		"Send":         func(co *tinyio.Co) error { return tinyio.Send(co, make(chan int), 1) },
		"Send, nil":    func(co *tinyio.Co) error { return tinyio.Send(co, nil, 1) },
		"Shield": func(co *tinyio.Co) error {
			return co.Shield(0, func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		},
	}
}

// raceEnabled reports whether the race detector is on: it makes sync.Pool forget on purpose, which shows in allocations.
func raceEnabled() bool {
	var pool sync.Pool
	for range 100 {
		pool.Put(new(int))
		if pool.Get() == nil {
			return true
		}
	}
	return false
}

// crashesTheProgram runs the test that calls it in a process of its own, with a variable set, and wants that process to fail with say in its
// output.
func crashesTheProgram(t *testing.T, variable, say string) {
	t.Helper()
	needsProcesses(t)
	noLeaks(t)
	self := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	self.Env = append(os.Environ(), variable)
	out, err := self.CombinedOutput()
	if ended := new(exec.ExitError); err != nil && !errors.As(err, &ended) {
		t.Skipf("the test cannot start itself, which is so in an emulator: %v", err)
	}
	if err == nil || !strings.Contains(string(out), say) {
		t.Errorf("it ends with %v:\n%s", err, out)
	}
}
