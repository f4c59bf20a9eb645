package durable_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/hook"
)

// notes is all that an observer is told, a line each.
type notes []string

func (s *notes) Observe(n hook.Note) {
	line := fmt.Sprintf("%d %v %d %s by %d", n.Time().UnixNano(), n.What, n.Coro, n.Name(), n.By)
	switch n.What {
	case hook.Suspended:
		line += fmt.Sprintf(" for %v %v", n.Wait, n.For())
	case hook.Finished:
		line += fmt.Sprintf(" %v %s", n.End, withoutStacks(n.Err))
	case hook.Stopped:
		line += fmt.Sprintf(" %v", n.Err)
	}
	*s = append(*s, line)
}

// A request is what comes to a world through its endpoint.
type request struct {
	Seed  uint64
	Depth int
	aside func() // is not kept
}

// A world is a program in which a great many things come from outside, and what is outside. What it does depends on its seed and on that.
type world struct {
	loop     *tinyio.Loop
	endpoint *durable.Endpoint[request, int]
	events   [3]tinyio.Event
	in, out  chan int
	queue    *tinyio.Queue[int]
	permits  *tinyio.Semaphore
	fails    bool
	end      func() // called when the first coroutine ends, so that nothing more comes
	notes    notes
	left     int // how many things may still be done, so that it ends
}

func newWorld(opts ...tinyio.Option) *world {
	w := &world{in: make(chan int, 2), out: make(chan int), end: func() {}, queue: tinyio.NewQueue[int](2), permits: tinyio.NewSemaphore(2), left: 150}
	w.loop = tinyio.NewLoop(append(opts, tinyio.WithObserver(&w.notes))...)
	w.endpoint = durable.NewEndpoint(w.loop, "request", func(in request) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			_, err := tinyio.Isolate(co, w.work(in.Seed, in.Depth))
			if co.Err() != nil {
				return 0, err
			}
			return int(in.Seed), nil
		}).Named("request")
	})
	return w
}

func nap() { time.Sleep(rand.N(200 * time.Microsecond)) }

// outside sends to w from other goroutines, until stop is closed.
func (w *world) outside(stop <-chan struct{}) *sync.WaitGroup {
	var all sync.WaitGroup
	until := func(do func()) {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					do()
					nap()
				}
			}
		})
	}
	until(func() { w.events[rand.N(len(w.events))].Set() })
	until(func() { w.events[rand.N(len(w.events))].Clear() })
	until(func() {
		select {
		case w.in <- rand.N(100):
		case <-stop:
		}
	})
	until(func() {
		select {
		case <-w.out:
		case <-stop:
		}
	})
	for range 2 {
		until(func() {
			ctx, cancel := context.WithTimeout(context.Background(), rand.N(2*time.Millisecond))
			defer cancel()
			_, _ = w.endpoint.Submit(ctx, request{rand.Uint64(), 1, nap})
		})
	}
	until(func() { _ = w.endpoint.Post(request{Seed: rand.Uint64()}) })
	return &all
}

// work is a coroutine that does things.
func (w *world) work(seed uint64, depth int) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		r := rand.New(rand.NewPCG(seed, 1))
		sum := 0
		for range 2 + r.IntN(4) {
			if w.left--; w.left < 0 {
				break
			}
			v, err := w.thing(co, r, depth)
			sum += v
			if err != nil {
				return sum, err
			}
			r = rand.New(rand.NewPCG(r.Uint64(), uint64(v))) // what comes decides on what is done
		}
		return sum, nil
	}).Named(fmt.Sprintf("work %x", seed&0xffff))
}

// thing does one thing.
func (w *world) thing(co *tinyio.Co, r *rand.Rand, depth int) (int, error) {
	d := time.Duration(r.IntN(300)) * time.Microsecond
	e := &w.events[r.IntN(len(w.events))]
	inner := func() *tinyio.Coro[int] {
		if depth <= 0 {
			return tinyio.New(func(co *tinyio.Co) (int, error) { return 1, co.Sleep(d) })
		}
		return w.work(r.Uint64(), depth-1)
	}
	thread := func() *tinyio.Coro[int] {
		how := r.IntN(12)
		return tinyio.RunInThread(func(ctx context.Context) (int, error) {
			nap()
			switch {
			case how == 0:
				panic("a thread")
			case how == 1:
				return 0, errKnown
			case how == 2:
				select {
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				case <-time.After(time.Millisecond):
				}
			}
			return rand.N(5), nil
		}).Named("thread")
	}
	value := func(v int, err error) (int, error) { // of what hands back an error that is not the caller's own
		if co.Err() != nil {
			return v, co.Err()
		}
		if err != nil {
			v = -1
		}
		return v, nil
	}
	switch r.IntN(21) {
	case 0:
		return 0, co.Sleep(d)
	case 1:
		return 0, co.Yield()
	case 2:
		return value(tinyio.Call(co, func(context.Context) (int, error) { nap(); return rand.N(5), nil }))
	case 3:
		return value(tinyio.Timeout(co, thread(), d))
	case 4:
		return value(tinyio.Isolate(co, thread()))
	case 5:
		return value(tinyio.First(co, thread(), thread(), inner()))
	case 6:
		set, err := e.WaitFor(co, d)
		if set {
			return 7, err
		}
		return 0, err
	case 7:
		if e.IsSet() {
			e.Clear()
			return 1, nil
		}
		e.Set()
		return 2, nil
	case 8:
		return value(tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			v, _, err := tinyio.Recv(co, w.in)
			return v, err
		}).Named("receiver"), d))
	case 9:
		return value(tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) { return 0, tinyio.Send(co, w.out, 1) }).Named("sender"), d))
	case 10:
		broken := r.IntN(8) == 0
		return value(tinyio.Isolate(co, tinyio.FromCallback(func(done func(int, error)) func(error) {
			if broken {
				panic("a callback")
			}
			timer := time.AfterFunc(rand.N(300*time.Microsecond), func() { done(rand.N(5), nil) })
			return func(cause error) {
				timer.Stop()
				done(0, cause)
			}
		}).Named("callback")))
	case 11:
		return value(0, co.Shield(time.Millisecond, func(co *tinyio.Co) error {
			_, err := tinyio.Call(co, func(context.Context) (int, error) { nap(); return 0, nil })
			return errors.Join(err, co.Sleep(d))
		}))
	case 12:
		vs, err := tinyio.Gather(co, inner(), inner())
		return len(vs), err
	case 13:
		return 0, co.Spawn(tinyio.Do(func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, inner()); _ = err; return co.Err() }).Named("spawned"))
	case 14:
		c := inner()
		if err := co.Spawn(c); err != nil {
			return 0, err
		}
		if err := co.Sleep(d); err != nil {
			return 0, err
		}
		return value(0, c.Cancel(co, errKnown))
	case 15:
		_, err := tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error { return w.queue.Put(co, 1) }).Named("putter"), d)
		return value(0, err)
	case 16:
		v, _, err := w.queue.GetFor(co, d)
		return v, err
	case 17:
		if err := w.permits.Acquire(co); err != nil {
			return 0, err
		}
		defer w.permits.Release()
		return value(tinyio.Call(co, func(context.Context) (int, error) { nap(); return rand.N(5), nil }))
	case 18:
		go e.Set() // which the replay does too, at some time or other
		return 0, w.endpoint.Post(request{Seed: r.Uint64()})
	case 19: // from a thread of a Shield, which may also be when the run is being stopped
		seed := r.Uint64()
		return value(0, co.Shield(2*time.Millisecond, func(co *tinyio.Co) error {
			return co.Call(func(ctx context.Context) error {
				_, err := w.endpoint.Submit(ctx, request{Seed: seed})
				return err
			})
		}))
	default:
		if w.fails && r.IntN(4) == 0 {
			return 0, errTest
		}
		v, err := tinyio.CallInterruptible(co, func() {}, func() (int, error) { nap(); return rand.N(5), nil })
		return value(v, err)
	}
}

func (w *world) main(seed uint64) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		defer w.end()
		vs, err := tinyio.Gather(co, w.work(seed, 3), w.work(seed+1, 3), w.work(seed+2, 3))
		if err != nil {
			return 0, err
		}
		return vs[0] + vs[1] + vs[2], nil
	}).Named("main")
}

// Whatever comes from outside, the replay of a run is the same run: an observer is told the same, and the error has the same chain.
func TestReplaysAreTheSameRuns(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 50
	}
	for i := range runs {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "tape")
			w := newWorld(durable.Record(file)) // in real time: in virtual time a loop that always has something to do never gets to its timers
			w.fails = seed%3 == 0
			ctx, cancel := context.WithCancelCause(t.Context())
			if seed%5 == 0 {
				time.AfterFunc(rand.N(10*time.Millisecond), func() { cancel(errKnown) })
			}
			stop := make(chan struct{})
			w.end = sync.OnceFunc(func() { close(stop) })
			outside := w.outside(stop)
			v, err := runAndRecover(func() (int, error) { return tinyio.RunOn(ctx, w.loop, w.main(seed)) })
			w.end()
			outside.Wait()
			cancel(nil)

			again := newWorld()
			again.fails = w.fails
			v2, err2 := runAndRecover(func() (int, error) { return durable.ReplayOn(file, again.loop, again.main(seed)) })
			if v != v2 || withoutStacks(err) != withoutStacks(err2) {
				t.Errorf("it was %d, %s\n\nand is %d, %s", v, withoutStacks(err), v2, withoutStacks(err2))
			}
			sameNotes(t, w.notes, again.notes)
			if t.Failed() {
				keep := filepath.Join(os.TempDir(), fmt.Sprint("failed-tape", seed))
				data, _ := os.ReadFile(file)
				_ = os.WriteFile(keep, data, 0o600)
				t.Logf("the seed is %d; the tape is kept in %s", seed, keep)
			}
		})
	}
}

func sameNotes(t *testing.T, was, is notes) {
	t.Helper()
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			t.Errorf("note %d of %d was\n%s\nand of %d is\n%s\nafter\n%s", i, len(was), was[i], len(is), is[i], strings.Join(was[max(0, i-8):i], "\n"))
			return
		}
	}
	if len(was) != len(is) {
		t.Errorf("there were %d notes, and are %d", len(was), len(is))
	}
}

// errExits is what runAndRecover returns for a Goexit.
var errExits = errors.New("it exits")

// runAndRecover returns what f returns, or the panic that comes out of it, or that it exits.
func runAndRecover(f func() (int, error)) (v int, err error) {
	ended := make(chan struct{})
	err = errExits
	go func() {
		defer close(ended)
		defer func() {
			if p := recover(); p != nil {
				err = p.(*tinyio.PanicError)
			}
		}()
		v, err = f()
	}()
	<-ended
	return v, err
}

// withoutStacks is err with its chain, and without the stacks of goroutines, which tell where functions were called that a replay does not call.
func withoutStacks(err error) string {
	var p *tinyio.PanicError
	if errors.As(err, &p) {
		return fmt.Sprint(p.Value, p.Trace)
	}
	return fmt.Sprintf("%+v", err)
}
