package tinyio_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A kennel records the reports of a watchdog.
type kennel struct{ reports []hook.Stuck }

func (k *kennel) report(s hook.Stuck) { k.reports = append(k.reports, s) }

// want compares the reports: which coroutine was stuck, since when, counted from start, and for how long.
func (k *kennel) want(t *testing.T, start time.Time, want ...hook.Stuck) {
	t.Helper()
	if len(k.reports) != len(want) {
		t.Fatalf("it reports %d turns, want %d: %v", len(k.reports), len(want), k.reports)
	}
	for i, got := range k.reports {
		if got.Coro != want[i].Coro || got.Since.Sub(start) != want[i].Since.Sub(time.Time{}) || got.Lasted != want[i].Lasted {
			t.Errorf("number %d is %s since %v for %v, want %s since %v for %v", i,
				got.Coro, got.Since.Sub(start), got.Lasted, want[i].Coro, want[i].Since.Sub(time.Time{}), want[i].Lasted)
		}
	}
}

func fromStart(d time.Duration) time.Time { return time.Time{}.Add(d) }

// blocks is a blocking call that a stack shows by this name.
//
//go:noinline
func blocks(d time.Duration) { time.Sleep(d) }

// A watchdog reports each turn that lasts too long, once, when it has lasted for the limit, with the stack of its goroutine.
func TestWatchdogReportsLongTurns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var k kennel
		start := time.Now()
		bad := tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Sleep(3500 * time.Millisecond); err != nil {
				return err
			}
			blocks(10 * time.Second) // one turn
			if err := co.Yield(); err != nil {
				return err
			}
			blocks(900 * time.Millisecond) // is allowed
			if err := co.Yield(); err != nil {
				return err
			}
			blocks(1100 * time.Millisecond) // another one
			return nil
		}).Named("bad")
		root := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(bad, sleeper(20*time.Second)) }).Named("root")
		if _, err := tinyio.Run(background, root, tinyio.WithWatchdog(time.Second, k.report)); err != nil {
			t.Fatal(err)
		}
		k.want(t, start,
			hook.Stuck{Coro: "bad", Since: fromStart(3500 * time.Millisecond), Lasted: time.Second},
			hook.Stuck{Coro: "bad", Since: fromStart(14400 * time.Millisecond), Lasted: time.Second})
		for _, s := range k.reports {
			if stack := string(s.Stack); !strings.Contains(stack, "tinyio_test.blocks(") || !strings.HasPrefix(stack, "goroutine ") ||
				strings.Count(stack, "goroutine ") != 2 || !strings.HasPrefix(s.String(), "the turn of bad has lasted 1s\ngoroutine ") {
				t.Errorf("it reports the stack\n%s", s)
			}
		}
	})
}

// A watchdog works while only one coroutine is there, in each run of a loop anew, and inside a bubble after a run outside.
func TestWatchdogOfALoopThatIsRunAgain(t *testing.T) {
	var k kennel
	l := tinyio.NewLoop(tinyio.WithWatchdog(time.Second, k.report))
	if _, err := tinyio.RunOn(background, l, value(0, 1)); err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(t *testing.T) {
		for range 2 {
			k.reports = nil
			start := time.Now()
			block := tinyio.Do(func(co *tinyio.Co) error {
				blocks(time.Hour)
				return nil
			}).Named("block")
			if _, err := tinyio.RunOn(background, l, block); err != nil {
				t.Fatal(err)
			}
			k.want(t, start, hook.Stuck{Coro: "block", Since: fromStart(0), Lasted: time.Second})
		}
	})
}

// A coroutine that waits is not stuck, however long that takes; one that yields is not either.
func TestWatchdogIsNotToldOfThoseWhoWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var k kennel
		thread := tinyio.RunInThread(func(context.Context) (int, error) { blocks(time.Hour); return 1, nil })
		root := tinyio.Do(func(co *tinyio.Co) error {
			for range 100 {
				blocks(999 * time.Millisecond)
				if err := co.Wait(sleeper(0)); err != nil {
					return err
				}
			}
			for range 100 { // alone, or nearly
				blocks(999 * time.Millisecond)
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return co.Wait(thread, sleeper(2*time.Hour))
		})
		if _, err := tinyio.Run(background, root, tinyio.WithWatchdog(time.Second, k.report)); err != nil {
			t.Fatal(err)
		}
		k.want(t, time.Now())
	})
}

// No watchdog is left of a run that fails, panics or exits, or that ends during a report: the run waits for it.
func TestWatchdogEndsWithTheRun(t *testing.T) {
	ends := map[string]func() error{
		"error":  func() error { return errBoom },
		"panic":  func() error { panic(errBoom) },
		"goexit": func() error { runtime.Goexit(); return nil },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				reported := false
				root := tinyio.Do(func(co *tinyio.Co) error {
					blocks(1001 * time.Millisecond)
					return end()
				})
				ended := make(chan tinyio.Void)
				go func() {
					defer close(ended)
					defer func() { recover() }()
					tinyio.Run(background, root, tinyio.WithWatchdog(time.Second, func(hook.Stuck) {
						time.Sleep(time.Minute)
						reported = true
					}))
				}()
				<-ended
				if !reported {
					t.Error("the run has ended before the report")
				}
			})
		})
	}
}

// In guest mode only turns are watched, and not what the host does between them. The watchdog lives as long as the range.
func TestWatchdogInGuestMode(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var k kennel
		start := time.Now()
		root := tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Yield(); err != nil {
				return err
			}
			blocks(90 * time.Second)
			return co.Yield()
		}).Named("root")
		before := runtime.NumGoroutine()
		r := tinyio.Start(background, tinyio.NewLoop(tinyio.WithWatchdog(time.Minute, k.report)), root)
		if n := runtime.NumGoroutine(); n != before {
			t.Errorf("Start has started %d goroutines", n-before)
		}
		for range r.Steps() {
			blocks(time.Hour)
		}
		if _, err := r.Result(); err != nil {
			t.Fatal(err)
		}
		k.want(t, start, hook.Stuck{Coro: "root", Since: fromStart(time.Hour), Lasted: time.Minute})

		left := tinyio.Start(background, tinyio.NewLoop(tinyio.WithWatchdog(time.Minute, k.report)), sleeper(time.Hour))
		for range left.Steps() {
			break
		}
		if _, err := left.Result(); !errors.Is(err, tinyio.ErrAbandoned) {
			t.Errorf("the run that was left ends with %v", err)
		}

		discarded := tinyio.Start(background, tinyio.NewLoop(tinyio.WithWatchdog(time.Minute, k.report)), sleeper(time.Hour))
		for range discarded.Steps() {
			discarded.Discard()
		}
		synctest.Wait()
	})
}

// The report function may ask the loop. What only the loop can answer is answered when the turn is over.
func TestWatchdogMayAskTheLoop(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var l *tinyio.Loop
		var who string
		var stats tinyio.Stats
		var all []tinyio.Status
		l = tinyio.NewLoop(tinyio.WithWatchdog(time.Second, func(hook.Stuck) {
			who, _, _ = l.Running()
			stats = l.Stats()
			all, _ = l.Snapshot(background)
		}))
		root := tinyio.Do(func(co *tinyio.Co) error {
			blocks(2 * time.Second)
			return co.Sleep(time.Second)
		}).Named("root")
		if _, err := tinyio.RunOn(background, l, root); err != nil {
			t.Fatal(err)
		}
		if want := (tinyio.Stats{Started: 1, Turns: 1, Live: 1}); who != "root" || stats != want || len(all) != 1 || all[0].On != "a timer" {
			t.Errorf("it is the turn of %q, %+v, and then %v", who, stats, all)
		}
	})
}

// The stack is that of the right goroutine, among others that run the same function, in another loop, and around a nested one.
func TestStackOfATurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var outer, inner kennel
		crowd := func(co *tinyio.Co) error {
			for range 50 {
				if err := co.Spawn(sleeper(time.Minute)); err != nil {
					return err
				}
			}
			return nil
		}
		nested := tinyio.Do(func(co *tinyio.Co) error {
			if err := crowd(co); err != nil {
				return err
			}
			blocks(time.Hour)
			return nil
		}).Named("nested")
		root := tinyio.Do(func(co *tinyio.Co) error {
			if err := crowd(co); err != nil {
				return err
			}
			_, err := tinyio.Run(co, nested, tinyio.WithWatchdog(2*time.Second, inner.report))
			return err
		}).Named("root")
		if _, err := tinyio.Run(background, root, tinyio.WithWatchdog(time.Second, outer.report)); err != nil {
			t.Fatal(err)
		}
		if len(outer.reports) != 1 || len(inner.reports) != 1 {
			t.Fatalf("%v, %v", outer.reports, inner.reports)
		}
		if stack := outer.reports[0].Stack; !bytes.Contains(stack, []byte("tinyio.Run[")) || bytes.Contains(stack, []byte("tinyio_test.blocks(")) {
			t.Errorf("the outer one is stuck in\n%s", stack)
		}
		if stack := inner.reports[0].Stack; !bytes.Contains(stack, []byte("tinyio_test.blocks(")) {
			t.Errorf("the inner one is stuck in\n%s", stack)
		}
	})
}

// WithWatchdog refuses wrong arguments with a sentence.
func TestMisuseOfWithWatchdog(t *testing.T) {
	tell := func(hook.Stuck) {}
	wantSentence(t, panicOf(func() { tinyio.WithWatchdog(0, tell) }), "WithWatchdog", "not positive", "time.Second")
	wantSentence(t, panicOf(func() { tinyio.WithWatchdog(-1, tell) }), "WithWatchdog", "not positive")
	wantSentence(t, panicOf(func() { tinyio.WithWatchdog(1, nil) }), "WithWatchdog", "nil")
}
