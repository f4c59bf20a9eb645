package tinyio_test

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// R20, R29: a thread's context has the values and the deadline of the context given to Run.
func TestThreadHasTheContextOfTheRun(t *testing.T) {
	noLeaks(t)
	type key struct{}
	ctx, cancel := context.WithTimeout(context.WithValue(background, key{}, "v"), time.Hour)
	defer cancel()
	want, _ := ctx.Deadline()
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		v, err := tinyio.RunInThread(func(ctx context.Context) (any, error) {
			if deadline, ok := ctx.Deadline(); !ok || !deadline.Equal(want) {
				t.Errorf("the deadline is %v, want %v", deadline, want)
			}
			return ctx.Value(key{}), nil
		}).Await(co)
		if v != "v" || co.Value(key{}) != "v" {
			t.Errorf("the values are %v and %v", v, co.Value(key{}))
		}
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// R20: a thread does not block the loop, and its value, error or panic comes out where it is awaited.
func TestThreadComesOutWhereItIsAwaited(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		release := make(chan struct{})
		turns := 0
		spinner := tinyio.Do(func(co *tinyio.Co) error {
			for turns < 100 {
				turns++
				if err := co.Yield(); err != nil {
					return err
				}
			}
			close(release)
			return nil
		})
		v, err := tinyio.Gather(co, tinyio.RunInThread(func(context.Context) (int, error) {
			<-release
			return 7, nil
		}), tinyio.New(func(co *tinyio.Co) (int, error) { return 0, wait(co, spinner) }))
		if err != nil || v[0] != 7 {
			t.Errorf("got %v, %v", v, err)
		}
		if _, err := tinyio.Isolate(co, tinyio.RunInThread(failingThread)); !errors.Is(err, errBoom) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	p := panicErrorOf(t, func() {
		virtually(func(co *tinyio.Co) error {
			return wait(co, tinyio.RunInThread(func(context.Context) (int, error) {
				panicDeepDown()
				return 0, nil
			}).Named("thread"))
		})
	})
	if p.Value != "deep down" || !strings.Contains(string(p.Stack), "panicDeepDown") || len(p.Trace) != 2 ||
		p.Trace[1].Coro != "thread" {
		t.Errorf("the panic is %v", p)
	}
}

// R20, W8: the contexts of all threads end at once in a cancellation, with the cause, and the loop waits for them as for anything else.
func TestThreadsAreCancelledAllAtOnce(t *testing.T) {
	noLeaks(t)
	const n = 20
	var together sync.WaitGroup // each thread goes on only when the contexts of all have ended
	together.Add(n)
	err := virtually(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		var started sync.WaitGroup
		started.Add(n)
		for range n {
			cs = append(cs, tinyio.RunInThread(func(ctx context.Context) (int, error) {
				started.Done()
				<-ctx.Done()
				if context.Cause(ctx) != errBoom || ctx.Err() != context.Canceled {
					t.Errorf("a thread hears %v, %v", ctx.Err(), context.Cause(ctx))
				}
				together.Done()
				together.Wait()
				return 0, ctx.Err()
			}))
		}
		cs = append(cs, tinyio.RunInThread(func(context.Context) (int, error) {
			started.Wait()
			return 0, errBoom
		}))
		return co.Wait(cs...)
	})
	if !errors.Is(err, errBoom) || err.Error() != "boom" {
		t.Errorf("Run returns %v", err)
	}
}

// R20, W7: a timed-out thread does not freeze the loop.
func TestTimedOutThreadDoesNotFreezeTheLoop(t *testing.T) {
	noLeaks(t)
	release := make(chan struct{})
	turns := 0
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		halting := make(chan struct{})
		deaf := tinyio.RunInThread(func(ctx context.Context) (int, error) {
			<-ctx.Done()
			close(halting)
			<-release // it takes its time
			return 0, ctx.Err()
		})
		other := tinyio.Do(func(co *tinyio.Co) error {
			if _, err := tinyio.RunInThread(func(context.Context) (int, error) { <-halting; return 0, nil }).Await(co); err != nil {
				return err
			}
			for range 100 {
				turns++
				if err := co.Yield(); err != nil {
					return err
				}
			}
			close(release)
			return nil
		})
		if err := co.Spawn(other); err != nil {
			return err
		}
		_, err := tinyio.Timeout(co, deaf, time.Millisecond)
		if !errors.Is(err, tinyio.ErrTimeout) || turns != 100 {
			t.Errorf("Timeout returns %v after %d turns", err, turns)
		}
		return nil
	}), tinyio.WithVirtualTime()) // in real time the limit could pass before the thread has started
	if err != nil {
		t.Fatal(err)
	}
}

// W23: more than 1,000 open files are no matter: each of these connections waits in a thread.
func TestMoreThanAThousandOpenFiles(t *testing.T) {
	const n = 600 // connections, of two files each
	if allowed := openFilesAllowed(); allowed < 2*n+100 {
		t.Skipf("at most %d files may be open", allowed)
	}
	noLeaks(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open atomic.Int32
	_, err = tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		var all tinyio.Event
		server := tinyio.Do(func(co *tinyio.Co) error {
			defer listener.Close()
			for range n {
				conn, err := tinyio.RunInThread(func(context.Context) (net.Conn, error) { return listener.Accept() }).Await(co)
				if err != nil {
					return err
				}
				echo := tinyio.RunInThread(func(context.Context) (int, error) {
					defer conn.Close()
					b := make([]byte, 1)
					if _, err := conn.Read(b); err != nil {
						return 0, err
					}
					return conn.Write(b)
				})
				if err := co.Spawn(echo); err != nil {
					return err
				}
			}
			all.Set()
			return nil
		})
		if err := co.Spawn(server); err != nil {
			return err
		}
		var clients []*tinyio.Coro[byte]
		for i := range n {
			clients = append(clients, tinyio.New(func(co *tinyio.Co) (byte, error) {
				conn, err := tinyio.RunInThread(func(context.Context) (net.Conn, error) {
					return net.Dial("tcp", listener.Addr().String())
				}).Await(co)
				if err != nil {
					return 0, err
				}
				defer conn.Close()
				if err := all.Wait(co); err != nil { // until every connection is open
					return 0, err
				}
				open.Add(1)
				return tinyio.RunInThread(func(context.Context) (byte, error) {
					b := []byte{byte(i)}
					if _, err := conn.Write(b); err != nil {
						return 0, err
					}
					_, err := conn.Read(b)
					return b[0], err
				}).Await(co)
			}))
		}
		echoes, err := tinyio.Gather(co, clients...)
		for i, b := range echoes {
			if b != byte(i) {
				t.Errorf("connection %d echoes %d", i, b)
			}
		}
		return err
	}))
	if err != nil || open.Load() != n {
		t.Errorf("%v with %d connections", err, open.Load())
	}
}

// R20: a PanicError that the function of a thread returns is an error like any other.
func TestThreadReturnsAPanicError(t *testing.T) {
	noLeaks(t)
	err := virtually(func(co *tinyio.Co) error {
		_, err := tinyio.RunInThread(func(context.Context) (int, error) { return 0, &tinyio.PanicError{Value: 1} }).Await(co)
		return err
	})
	if p := new(tinyio.PanicError); !errors.As(err, &p) || p.Value != 1 {
		t.Errorf("Run returns %v", err)
	}
}

// R1, R2, R4: the turns of callbacks come in the order of the ready queue, and after the timers that are due, whoever takes them: the run
// loop, which takes all that an observer sees, or the coroutine that has just begun to wait, on its own stack.
func TestTurnsOfCallbacksComeInOrder(t *testing.T) {
	noLeaks(t)
	program := func(opts ...tinyio.Option) *recorder {
		log, clock := new(recorder), newManualClock()
		var event tinyio.Event
		root := tinyio.Do(func(co *tinyio.Co) error {
			co.Go(func(co *tinyio.Co) error {
				err := co.Sleep(time.Second)
				log.add("the sleep is over")
				return err
			})
			co.Go(func(co *tinyio.Co) error {
				err := event.Wait(co)
				log.add("the event is set")
				return err
			})
			for i, before := range []func(){
				func() {},
				event.Set,
				func() { clock.now = clock.now.Add(time.Second) },
				func() {},
			} {
				var done func(int, error)
				c := tinyio.FromCallback(func(d func(int, error)) func(error) { done = d; return nil })
				if err := co.Spawn(c); err != nil {
					return err
				}
				done(1, nil)
				before()
				if err := wait(co, c); err != nil {
					return err
				}
				log.add("callback %d has come back", i)
			}
			return nil
		})
		if _, err := tinyio.Run(background, root, append(opts, tinyio.WithClock(clock))...); err != nil {
			t.Error(err)
		}
		return log
	}
	want := []string{
		"callback 0 has come back",
		"the event is set", // Set takes in what has come before, and makes its waiter ready behind that
		"callback 1 has come back",
		"the sleep is over",
		"callback 2 has come back",
		"callback 3 has come back",
	}
	program().want(t, want...)
	program(tinyio.WithObserver(observerFunc(func(hook.Note) {}))).want(t, want...)
}

// R16, R20: the error of a thread has its await chain, also where the coroutine that awaits it is not the one that carries the run loop.
func TestThreadFailsBesideTheRunLoop(t *testing.T) {
	noLeaks(t)
	release := make(chan tinyio.Void)
	var at tinyio.Frame
	second := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Yield(); err != nil { // the first one waits by now, with the loop
			return err
		}
		thread := tinyio.RunInThread(failingThread).Named("thread")
		close(release)
		at = here("second", 1)
		_, err := thread.Await(co)
		return err
	}).Named("second")
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(second); err != nil {
			return err
		}
		return co.Call(func(context.Context) error { <-release; return nil })
	}))
	e, ok := err.(*tinyio.Error)
	if !ok || len(e.Trace) != 2 || e.Trace[1].Coro != "thread" || !strings.HasSuffix(e.Trace[1].Function, "failingThread") {
		t.Fatalf("Run returns %+v", err)
	}
	at.Awaits = []int{1}
	if !reflect.DeepEqual(e.Trace[0], at) {
		t.Errorf("the first frame is %v, want %v", e.Trace[0], at)
	}
}
