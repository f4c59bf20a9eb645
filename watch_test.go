package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A noteTaker writes down what it is told.
type noteTaker struct{ lines []string }

func (r *noteTaker) Observe(n tinyio.Note) {
	line := fmt.Sprintf("%d %s %s", n.Coro, n.Name(), n.What)
	if n.What == tinyio.Suspended {
		line += fmt.Sprintf(" on %s %v", n.On(), n.For())
	}
	if n.By != n.Coro && n.By != tinyio.Nobody {
		line += fmt.Sprintf(" by %d", n.By)
	}
	if n.Err != nil {
		line += ": " + n.Err.Error()
	}
	r.lines = append(r.lines, line)
}

// TestObserverIsToldEverything compares all that an observer is told of a small program.
func TestObserverIsToldEverything(t *testing.T) {
	noLeaks(t)
	var e tinyio.Event
	setter := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		e.Set()
		return co.Yield()
	}).Named("setter")
	back := tinyio.FromCallback(func(done func(int, error)) func(error) {
		done(1, nil)
		return nil
	}).Named("back")
	root := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(setter); err != nil {
			return err
		}
		if err := e.Wait(co); err != nil {
			return err
		}
		_, err := back.Await(co)
		return err
	}).Named("root")
	r := new(noteTaker)
	_, err := tinyio.Run(context.Background(), root, tinyio.WithVirtualTime(), tinyio.WithObserver(r))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0 root started",
		"0 root resumed",
		"0 root suspended on its turn []",
		"1 setter started by 0",
		"1 setter resumed",
		"1 setter suspended on a timer []",
		"0 root resumed",
		"0 root suspended on an event []",
		"1 setter woken",
		"1 setter resumed",
		"0 root woken by 1",
		"1 setter suspended on its turn []",
		"0 root resumed",
		"0 root suspended on a coroutine [2]",
		"2 back started by 0",
		"1 setter resumed",
		"1 setter finished",
		"2 back resumed",
		"2 back suspended on a thread or callback []",
		"2 back woken",
		"2 back resumed",
		"2 back finished",
		"0 root woken by 2",
		"0 root resumed",
		"0 root finished",
	}
	if !slices.Equal(r.lines, want) {
		t.Errorf("got\n%q\nwant\n%q", r.lines, want)
	}
}

// lastFirst picks the coroutine that became ready last.
type lastFirst struct{}

func (lastFirst) Pick(ready []tinyio.ID) int { return len(ready) - 1 }

// TestPickerDecidesWhoIsNext turns the order of turns round.
func TestPickerDecidesWhoIsNext(t *testing.T) {
	noLeaks(t)
	var order []int
	root := tinyio.Do(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for i := range 4 {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				order = append(order, i)
				err := co.Yield()
				order = append(order, i)
				return err
			}))
		}
		return co.Wait(cs...)
	})
	if _, err := tinyio.Run(context.Background(), root, tinyio.WithPicker(lastFirst{})); err != nil {
		t.Fatal(err)
	}
	if want := []int{3, 3, 2, 2, 1, 1, 0, 0}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

// TestHostRunsThreads has threads run by a host, one failed and two brought back in an order of its own: R20 and R23.
func TestHostRunsThreads(t *testing.T) {
	noLeaks(t)
	var threads []*tinyio.Thread
	l := tinyio.NewLoop(tinyio.WithThreads(func(th *tinyio.Thread) { threads = append(threads, th) }))
	var order []string
	root := tinyio.Do(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for _, name := range []string{"a", "b"} {
			cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
				v, err := tinyio.RunInThread(func(context.Context) (string, error) { return name, nil }).Await(co)
				order = append(order, v)
				return err
			}))
		}
		if err := co.Wait(cs...); err != nil {
			return err
		}
		r, err := isolate(co, tinyio.RunInThread(func(context.Context) (string, error) {
			t.Error("the function of a thread that fails is run")
			return "", nil
		}))
		if r.Err == nil || !errors.Is(r.Err, errBoom) {
			t.Errorf("the failed thread ended with %v, want %v", r.Err, errBoom)
		}
		return err
	})
	r := tinyio.Start(background, l, root)
	for p := range r.Steps() {
		switch {
		case !p.Blocked:
		case len(threads) == 2:
			for _, th := range threads {
				th.Run()
			}
			wantSentence(t, panicOf(func() { new(tinyio.Thread).Fail(nil) }), "Thread.Fail", "Run")
			threads[1].Return()
			threads[0].Return()
			threads[0].Return()
			threads[0].Run()
		case len(threads) == 3:
			wantSentence(t, panicOf(threads[2].Return), "Thread.Return", "has not returned")
			threads[2].Fail(errBoom)
			threads[2].Fail(errBoom)
		}
	}
	if _, err := r.Result(); err != nil {
		t.Fatalf("%+v", err)
	}
	if want := []string{"b", "a"}; !slices.Equal(order, want) {
		t.Errorf("the threads came back in the order %v, want %v", order, want)
	}
}

// TestThreadOfHostPanicsAndExits has the panic of a thread, its Goexit, and a panic of the host come out of Run: R14, R20.
func TestThreadOfHostPanicsAndExits(t *testing.T) {
	noLeaks(t)
	run := func(start func(th *tinyio.Thread), fn func()) {
		thread := tinyio.RunInThread(func(context.Context) (int, error) { fn(); return 0, nil })
		tinyio.Run(background, thread, tinyio.WithThreads(start))
	}
	inGoroutine := func(th *tinyio.Thread) {
		go func() {
			defer th.Return()
			th.Run()
		}()
	}
	p := panicErrorOf(t, func() { run(inGoroutine, func() { panic(errBoom) }) })
	if p.Value != errBoom || !strings.Contains(string(p.Stack), "TestThreadOfHostPanicsAndExits") {
		t.Errorf("the thread panics with %v", p)
	}
	p = panicErrorOf(t, func() { run(func(*tinyio.Thread) { panic(errBoom) }, func() {}) })
	if p.Value != errBoom {
		t.Errorf("the host panics with %v", p)
	}
	exited := make(chan bool)
	go func() {
		returned := false
		defer func() { exited <- !returned }()
		run(inGoroutine, runtime.Goexit)
		returned = true
	}()
	if !<-exited {
		t.Error("Run returned after a Goexit in a thread")
	}
	wantSentence(t, panicOf(func() { tinyio.WithThreads(nil) }), "WithThreads", "nil")
}
