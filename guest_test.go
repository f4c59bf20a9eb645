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

// R23: in guest mode the host takes each step and decides when time passes.
func TestHostTakesEachStep(t *testing.T) {
	noLeaks(t)
	var log recorder
	clock := newManualClock()
	c := tinyio.New(func(co *tinyio.Co) (int, error) {
		log.add("a")
		if err := co.Yield(); err != nil { // a host sees every turn
			return 0, err
		}
		log.add("b")
		if err := co.Sleep(time.Second); err != nil {
			return 0, err
		}
		log.add("c")
		return 7, nil
	})
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithClock(clock)), c)
	if _, err := r.Result(); err == nil {
		t.Error("a result before the end")
	}
	blocked := 0
	for p := range r.Steps() {
		log.add("step, blocked: %v", p.Blocked)
		if !p.Blocked {
			continue
		}
		if want := time.Unix(1, 0); !p.Deadline.Equal(want) {
			t.Errorf("the deadline is %v, want %v", p.Deadline, want)
		}
		select {
		case <-p.Wake:
			t.Error("it is woken")
		default:
		}
		if blocked++; blocked == 3 { // a step too early does no harm
			clock.now = p.Deadline
		}
	}
	v, err := r.Result()
	if v != 7 || err != nil || clock.idles != 0 {
		t.Errorf("the result is %d, %v; Idle was called %d times", v, err, clock.idles)
	}
	log.want(t, "a", "step, blocked: false", "b", "step, blocked: true", "step, blocked: true", "step, blocked: true", "c")
}

// R23: what comes from outside wakes the host.
func TestWakeTellsTheHost(t *testing.T) {
	noLeaks(t)
	release := make(chan struct{})
	c := tinyio.RunInThread(func(context.Context) (int, error) {
		<-release
		return 7, nil
	})
	r := tinyio.Start(background, tinyio.NewLoop(), tinyio.New(func(co *tinyio.Co) (int, error) { return c.Await(co) }))
	waited := 0
	for p := range r.Steps() {
		if p.Blocked {
			if waited++; waited == 1 {
				close(release)
			}
			<-p.Wake
		}
	}
	if v, err := r.Result(); v != 7 || err != nil || waited == 0 {
		t.Errorf("the result is %d, %v after %d waits", v, err, waited)
	}
}

// R23: with the same inputs the interleaving is the same.
func TestSameInputsSameInterleaving(t *testing.T) {
	noLeaks(t)
	play := func() []string {
		var log recorder
		lock := tinyio.NewSemaphore(2)
		var event tinyio.Event
		r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
			var cs []tinyio.Awaitable
			for i := range 20 {
				cs = append(cs, tinyio.Do(func(co *tinyio.Co) error {
					for j := range 5 {
						log.add("%d %d", i, j)
						err := co.Sleep(time.Duration((i*7+j*3)%5) * time.Second)
						if i == 13 && j == 3 {
							err = errBoom
						}
						if err == nil {
							err = lock.Acquire(co)
						}
						if err == nil {
							_, err = event.WaitFor(co, time.Second)
							lock.Release()
						}
						if (i+j)%3 == 0 {
							event.Set()
						} else {
							event.Clear()
						}
						if err != nil {
							log.add("%d %v", i, err)
							return err
						}
					}
					return nil
				}))
			}
			return co.Wait(cs...)
		}))
		steps := 0
		for range r.Steps() {
			steps++
		}
		_, err := r.Result()
		log.add("%d steps, %v", steps, err)
		return log.lines
	}
	first := play()
	for range 5 {
		if again := play(); !slices.Equal(first, again) {
			t.Fatalf("the interleaving is\n%v\nand then\n%v", first, again)
		}
	}
}

// R23: the loop itself starts no goroutine: each coroutine has one for its stack, and there is no other.
func TestGuestLoopStartsNoGoroutine(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	before := runtime.NumGoroutine()
	r := tinyio.Start(ctx, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
	if n := runtime.NumGoroutine() - before; n != 0 {
		t.Errorf("Start starts %d goroutines", n)
	}
	steps := 0
	for range r.Steps() {
		if steps++; steps == 1 {
			if n := runtime.NumGoroutine() - before; n != 1 {
				t.Errorf("there are %d goroutines for one coroutine", n)
			}
			cancel()
		}
	}
	if _, err := r.Result(); !errors.Is(err, context.Canceled) || steps != 1 {
		t.Errorf("the result is %v after %d steps", err, steps)
	}
}

// R23: if the host leaves the range early, after whatever number of steps and in whatever way, everything is cleaned up, and the loop can be
// run again.
func TestGuestLeftEarlyInEveryState(t *testing.T) {
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	ways := map[string]func(){"break": nil, "panic": func() { panic("the host's own") }, "Goexit": runtime.Goexit}
	for way, leaveBy := range ways {
		for leave, more := 1, true; more && !t.Failed(); leave++ {
			t.Run(fmt.Sprintf("%s after %d", way, leave), func(t *testing.T) {
				noLeaks(t)
				begun, cleaned, steps := 0, 0, 0
				counted := func(f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
					return tinyio.Do(func(co *tinyio.Co) error {
						begun++
						defer func() { cleaned++ }()
						return f(co)
					})
				}
				sleeps := func(co *tinyio.Co) error { return co.Sleep(time.Hour) }
				r := tinyio.Start(background, l, counted(func(co *tinyio.Co) error {
					if _, err := tinyio.Timeout(co, counted(sleeps), time.Second); !errors.Is(err, tinyio.ErrTimeout) {
						return err
					}
					return co.Shield(time.Minute, func(co *tinyio.Co) error { return co.Wait(counted(sleeps), counted(sleeps)) })
				}))
				left := make(chan any, 1)
				go func() {
					defer func() { left <- recover() }()
					for range r.Steps() {
						if steps++; steps == leave {
							if leaveBy != nil {
								leaveBy()
							}
							break
						}
					}
				}()
				if p := <-left; (p == "the host's own") != (way == "panic" && steps == leave) {
					t.Errorf("the range panics with %v", p)
				}
				_, err := r.Result()
				if more = steps == leave; more != (err != nil && strings.Contains(err.Error(), "left")) {
					t.Errorf("the result is %v", err)
				}
				if begun != cleaned {
					t.Errorf("%d have begun, %d have cleaned up", begun, cleaned)
				}
				for range r.Steps() {
					t.Error("there are steps after the end")
				}
				if v, err := tinyio.RunOn(background, l, value(time.Second, 7)); v != 7 || err != nil {
					t.Errorf("the loop then gives %d, %v", v, err)
				}
			})
		}
	}
}

// R14, R23: a panic during the clean-up of a run that its host has left comes out of the range.
func TestGuestLeftEarlyPanicsInItsCleanUp(t *testing.T) {
	noLeaks(t)
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		co.Sleep(time.Hour)
		panic("clean-up")
	}))
	p := panicErrorOf(t, func() {
		for range r.Steps() {
			break
		}
	})
	if p.Value != "clean-up" {
		t.Errorf("the range panics with %v", p.Value)
	}
}

// R14, R23: a panic and a Goexit of a coroutine come out of the range of its host.
func TestGuestPanicAndGoexitComeOutOfTheRange(t *testing.T) {
	noLeaks(t)
	p := panicErrorOf(t, func() {
		r := tinyio.Start(background, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error { panic("in a coroutine") }))
		for range r.Steps() {
		}
	})
	if p.Value != "in a coroutine" {
		t.Errorf("the range panics with %v", p.Value)
	}
	gone, returned := make(chan struct{}), false
	go func() {
		defer close(gone)
		r := tinyio.Start(background, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error {
			defer runtime.Goexit()
			return co.Yield()
		}))
		for range r.Steps() {
		}
		returned = true
	}()
	<-gone
	if returned {
		t.Error("the Goexit is lost")
	}
}

// R23, R24: in virtual time the loop of a guest skips the time, step by step, and finds a deadlock.
func TestGuestWithVirtualTime(t *testing.T) {
	noLeaks(t)
	var slept time.Duration
	r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		start := startWatch(co)
		err := co.Wait(sleeper(time.Hour), sleeper(24*time.Hour))
		slept = start.passed(co)
		return err
	}))
	for range r.Steps() {
	}
	if _, err := r.Result(); err != nil || slept != 24*time.Hour {
		t.Errorf("the result is %v after %v", err, slept)
	}
	r = tinyio.Start(background, tinyio.NewLoop(tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		return new(tinyio.Event).Wait(co)
	}))
	for range r.Steps() {
	}
	if _, err := r.Result(); !errors.As(err, new(*tinyio.DeadlockError)) {
		t.Errorf("the result is %v, want a DeadlockError", err)
	}
}

// R6, R23: a loop that is running cannot be started by a host: there are no steps, and the result is the error.
func TestGuestOfARunningLoop(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	first := tinyio.Start(background, l, value(0, 1))
	second := tinyio.Start(background, l, value(0, 2))
	for range second.Steps() {
		t.Error("there is a step")
	}
	if _, err := second.Result(); err == nil || !strings.Contains(err.Error(), "running") {
		t.Errorf("the result is %v", err)
	}
	for range first.Steps() {
	}
	if v, err := first.Result(); v != 1 || err != nil {
		t.Errorf("the first gives %d, %v", v, err)
	}
}

// R12, R23: if the context ends between two steps, the next step notices it, and Wake wakes a host whose loop is blocked.
func TestGuestContextIsDone(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	r := tinyio.Start(ctx, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
	steps := 0
	for p := range r.Steps() {
		if steps++; steps == 1 && p.Blocked {
			go cancel()
			<-p.Wake
		}
	}
	if _, err := r.Result(); !errors.Is(err, context.Canceled) || steps != 1 {
		t.Errorf("the result is %v after %d steps", err, steps)
	}
}

// R23: a coroutine of a hosted run cannot be its host.
func TestStepsInsideTheirOwnRun(t *testing.T) {
	noLeaks(t)
	var r *tinyio.Runtime[tinyio.Void]
	r = tinyio.Start(background, tinyio.NewLoop(), tinyio.Do(func(*tinyio.Co) error {
		for range r.Steps() {
		}
		return nil
	}))
	defer func() {
		if p, ok := recover().(*tinyio.PanicError); !ok || !strings.Contains(p.Error(), "Steps: ranged over by a coroutine") {
			t.Errorf("the range panics with %v", p)
		}
	}()
	for range r.Steps() {
	}
}
