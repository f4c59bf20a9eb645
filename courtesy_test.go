package tinyio

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// A courtesy measures less and less often while it is short. If it takes too long it is left out, twice as often each time, until it is short
// again.
func TestCourtesyIsLeftOutWhileItTakesTooLong(t *testing.T) {
	short, long := courtesyLimit-1, courtesyLimit
	var c courtesy
	var periods, skips []int
	for _, d := range []time.Duration{short, short, short, short, short, short, long, long, long, short, short, long, short} {
		c.took(d)
		if c.left != c.period {
			t.Errorf("%d are left of %d", c.left, c.period)
		}
		periods, skips = append(periods, c.period), append(skips, c.skips)
	}
	if want := []int{1, 3, 7, 15, 16, 16, 0, 0, 0, 1, 3, 0, 1}; !slices.Equal(periods, want) {
		t.Errorf("the periods are %v, want %v", periods, want)
	}
	if want := []int{0, 0, 0, 0, 0, 0, 128, 256, 512, 0, 0, 128, 0}; !slices.Equal(skips, want) {
		t.Errorf("left out are %v, want %v", skips, want)
	}
	for range 100 {
		c.took(long)
	}
	if c.skips != maxPause {
		t.Errorf("at most %d are left out, want %d", c.skips, maxPause)
	}
}

// The loop lets other goroutines run once each time that something has come or a thread has been started: in real time, and not for a host.
func TestLoopLetsOthersRunOnce(t *testing.T) {
	for _, c := range []struct {
		kind    clockKind
		hosted  bool
		expects bool
	}{
		{realTime, false, true},
		{realTime, true, false},
		{virtualTime, false, false},
		{givenTime, false, false},
	} {
		l := NewLoop()
		r := &run{loop: l, inbox: &l.inbox, kind: c.kind, hosted: c.hosted}
		r.addThreads(1)
		if r.expects != c.expects {
			t.Errorf("%+v: when a thread has been started, the loop expects something: %t", c, r.expects)
		}
		r.letOthersRun()
		if r.expects {
			t.Errorf("%+v: it still does when it has let others run", c)
		}
		r.receive()
		if r.expects != c.expects {
			t.Errorf("%+v: when something has come, it does: %t", c, r.expects)
		}
	}
}

// R31: Submit returns the same whether its caller waits for the answer, as when all processors are busy, or lets the loop run before.
func TestSubmitIsAnsweredEitherWay(t *testing.T) {
	for _, quick := range []bool{false, true} {
		l := NewLoop()
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error)
		go func() { served <- l.Serve(ctx) }()
		for i := range 100 {
			l.inbox.quick.Store(quick)
			if v, err := Submit(ctx, l, New(func(*Co) (int, error) { return i, nil })); v != i || err != nil {
				t.Errorf("quick: %t: Submit returns %d, %v, want %d", quick, v, err, i)
			}
		}
		cancel()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve returns %v", err)
		}
	}
}

// R31: a caller of Submit lets the loop run before it is parked only if that is known to be quick. Otherwise it could return long after its
// context is done: all other goroutines run meanwhile.
func TestSubmitLetsOnlyQuickLoopsAnswer(t *testing.T) {
	quick := func(l *Loop, want bool) {
		t.Helper()
		if got := l.inbox.quick.Load(); got != want {
			t.Errorf("to let the loop run is quick: %t, want %t", got, want)
		}
	}
	l := NewLoop()
	quick(l, false) // it has not begun

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var over atomic.Bool
	defer over.Store(true)
	go func() { // keeps the processor busy
		for began := time.Now(); !over.Load(); {
			if time.Since(began) > 2*answerLimit {
				runtime.Gosched()
				began = time.Now()
			}
		}
	}()
	for range 1_000_000 { // Go may choose the caller first, but not always
		l.inbox.quick.Store(true)
		if l.inbox.letLoopAnswer(); !l.inbox.quick.Load() {
			break
		}
	}
	quick(l, false)

	l.inbox.quick.Store(true)
	if _, err := RunOn(context.Background(), l, Do(func(*Co) error {
		quick(l, false) // each run finds out for itself
		return nil
	})); err != nil {
		t.Error(err)
	}
}

// A loop in virtual time never lets others run while it is idle. So nobody who submits to it lets it run.
func TestSubmitDoesNotLetVirtualLoopsAnswer(t *testing.T) {
	l := NewLoop(WithVirtualTime())
	if _, err := RunOn(context.Background(), l, Do(func(co *Co) error {
		for range 3 {
			if err := co.Call(func(context.Context) error { return nil }); err != nil {
				return err
			}
		}
		if l.inbox.quick.Load() {
			t.Error("to let the loop run is said to be quick")
		}
		return nil
	})); err != nil {
		t.Error(err)
	}
}
