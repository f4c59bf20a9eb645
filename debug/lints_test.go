package debug_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/debug"
)

// wantFindings compares the findings of the one run that there is: each the number and the coroutine.
func wantFindings(t *testing.T, want ...string) {
	t.Helper()
	pages := getJSON(t, "?format=json")
	if len(pages) != 1 {
		t.Fatalf("there are %d runs", len(pages))
	}
	var got []string
	for _, f := range pages[0].Findings {
		got = append(got, strings.TrimSpace(f.Lint+" "+f.Coro))
		if f.Text == "" {
			t.Errorf("%s says nothing", f.Lint)
		}
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("found %q, want %q: %+v", got, want, pages[0].Findings)
	}
}

func do(name string, f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(f).Named(name)
}

// TIO1: the ways to block a loop.
func TestLintBlockingTurn(t *testing.T) {
	inner := func(co *tinyio.Co) error {
		_, err := tinyio.Run(co, do("inner", func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
		return err
	}
	for name, f := range map[string]func(ctx context.Context, co *tinyio.Co) error{
		"sleep":        func(context.Context, *tinyio.Co) error { time.Sleep(time.Hour); return nil },
		"chan receive": func(ctx context.Context, _ *tinyio.Co) error { <-ctx.Done(); return nil },
		"select": func(ctx context.Context, _ *tinyio.Co) error {
			select {
			case <-ctx.Done():
			case <-time.After(time.Hour):
			}
			return nil
		},
		"another run": func(_ context.Context, co *tinyio.Co) error { return inner(co) },
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan tinyio.Void)
				go func() {
					defer close(ended)
					bad := do("bad", func(co *tinyio.Co) error { return f(ctx, co) })
					tinyio.Run(ctx, do("main", func(co *tinyio.Co) error { return co.Wait(bad) }))
				}()
				synctest.Wait()
				pages := getJSON(t, "?format=json")
				p := pages[0]
				if !p.Stuck || p.Turn == nil || p.Turn.Coro != "bad" || len(p.Findings) != 1 || p.Findings[0].Lint != "TIO1" ||
					!strings.Contains(p.Findings[0].Text, name) || len(p.Coroutines) != 0 {
					t.Errorf("the page is %+v", p)
				}
				if len(pages) > 1 && (pages[1].Stuck || len(pages[1].Findings) != 0) {
					t.Errorf("the inner run is %+v", pages[1])
				}
				cancel()
				<-ended
			})
		})
	}
}

// TIO2 is TestStuckInAnEndlessLoop. TIO3: several that spin, and one alone; and not those who merely take turns.
func TestLintSpinning(t *testing.T) {
	var begun chan tinyio.Void
	spin := func(co *tinyio.Co) error {
		for i := 0; ; i++ {
			if err := co.Yield(); err != nil {
				return err
			}
			if i == 10 {
				begun <- tinyio.Void{}
			}
		}
	}
	fair := func(co *tinyio.Co) error {
		begun <- tinyio.Void{}
		for {
			if err := co.Sleep(100 * time.Microsecond); err != nil {
				return err
			}
		}
	}
	for name, c := range map[string]struct {
		spinners []*tinyio.Coro[tinyio.Void]
		want     []string
	}{
		"two":   {[]*tinyio.Coro[tinyio.Void]{do("a", spin), do("b", spin)}, []string{"TIO3 a", "TIO3 b"}},
		"alone": {[]*tinyio.Coro[tinyio.Void]{do("a", spin)}, []string{"TIO3 a"}},
		"none":  {[]*tinyio.Coro[tinyio.Void]{do("a", fair), do("b", fair)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan tinyio.Void)
			begun = make(chan tinyio.Void)
			go func() {
				defer close(ended)
				tinyio.Run(ctx, do("main", func(co *tinyio.Co) error {
					_, err := tinyio.Gather(co, c.spinners...)
					return err
				}))
			}()
			for range c.spinners {
				<-begun
			}
			wantFindings(t, c.want...)
			cancel()
			<-ended
		})
	}
}

// TIO4: a host that takes no step.
func TestLintNoAnswer(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		r := tinyio.Start(t.Context(), tinyio.NewLoop(), do("main", func(co *tinyio.Co) error { return nil }))
		wantFindings(t, "TIO4")
		if p := getJSON(t, "?format=json")[0]; !p.Stuck || p.Turn != nil {
			t.Errorf("the page is %+v", p)
		}
		for range r.Steps() {
		}
	})
}

func ticker(co *tinyio.Co) error {
	for {
		if err := co.Sleep(time.Minute); err != nil {
			return err
		}
	}
}

// TIO5: an await of a daemon; not if it is a daemon that waits, or for something that the daemon sets.
func TestLintAwaitsDaemon(t *testing.T) {
	daemon, other := do("daemon", ticker), do("other", nil2)
	main := do("main", func(co *tinyio.Co) error {
		relies := do("daemon that waits", func(co *tinyio.Co) error { return co.Wait(daemon) })
		if err := co.SpawnDaemon(daemon, relies); err != nil {
			return err
		}
		return co.Wait(other, do("child", func(co *tinyio.Co) error { return co.Wait(daemon) }))
	})
	inRun(t, main, func(t *testing.T, _ *tinyio.Loop) { wantFindings(t, "TIO5 child") })
	fine := do("main", func(co *tinyio.Co) error {
		var done tinyio.Event
		if err := co.SpawnDaemon(do("daemon", ticker)); err != nil {
			return err
		}
		_, err := done.WaitFor(co, time.Hour)
		return err
	})
	inRun(t, fine, func(t *testing.T, _ *tinyio.Loop) { wantFindings(t) })
}

func nil2(co *tinyio.Co) error { return co.Sleep(time.Hour) }

// TIO6 and TIO7: whoever waits for what nobody on the loop, or a daemon only, can bring about.
func TestLintWaitsThatNobodyEnds(t *testing.T) {
	queue, event := tinyio.NewQueue[int](1), new(tinyio.Event)
	get := func(co *tinyio.Co) error {
		_, err := queue.Get(co)
		return err
	}
	for name, c := range map[string]struct {
		main func(co *tinyio.Co) error
		want []string
	}{
		"a daemon only": {func(co *tinyio.Co) error {
			if err := co.SpawnDaemon(do("daemon", ticker)); err != nil {
				return err
			}
			return co.Wait(do("get", get))
		}, []string{"TIO6 get"}},
		"a daemon that waits": {func(co *tinyio.Co) error {
			if err := co.SpawnDaemon(do("daemon", func(co *tinyio.Co) error { return event.Wait(co) })); err != nil {
				return err
			}
			return co.Wait(do("get", get), do("event", func(co *tinyio.Co) error { return event.Wait(co) }))
		}, []string{"TIO7 get"}},
		"nobody":          {func(co *tinyio.Co) error { return event.Wait(co) }, []string{"TIO7 main"}},
		"a limit":         {func(co *tinyio.Co) error { _, err := event.WaitFor(co, time.Hour); return err }, nil},
		"somebody sleeps": {func(co *tinyio.Co) error { return co.Wait(do("get", get), do("sleeps", nil2)) }, nil},
		"a call": {func(co *tinyio.Co) error {
			co.Go(get)
			return co.Call(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		}, nil},
		"a server": {func(co *tinyio.Co) error {
			co.Go(get)
			_, err := tinyio.FromCallback(func(done func(int, error)) func(error) {
				return func(cause error) { done(0, cause) }
			}).Await(co)
			return err
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inRun(t, do("main", c.main), func(t *testing.T, _ *tinyio.Loop) { wantFindings(t, c.want...) })
		})
	}
}

// TIO8 and TIO9: whoever does not stop.
func TestLintSlowToStop(t *testing.T) {
	var finish chan tinyio.Void
	deaf := func(context.Context) (int, error) { <-finish; return 1, nil }
	for name, c := range map[string]struct {
		main func(co *tinyio.Co) error
		want []string
	}{
		"thread": {func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, tinyio.RunInThread(deaf).Named("deaf"), time.Second)
			return err
		}, []string{"TIO8 deaf"}},
		"call": {func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) { return tinyio.Call(co, deaf) }).Named("deaf"), time.Second)
			return err
		}, []string{"TIO8 deaf"}},
		"shield": {func(co *tinyio.Co) error {
			slow := do("slow", func(co *tinyio.Co) error {
				defer co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(10 * time.Second) })
				return co.Sleep(time.Hour)
			})
			_, err := tinyio.Timeout(co, slow, time.Second)
			return err
		}, []string{"TIO9 slow"}},
		"soon": {func(co *tinyio.Co) error {
			soon := do("soon", func(co *tinyio.Co) error {
				defer co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(900 * time.Millisecond) })
				return co.Sleep(time.Hour)
			})
			if _, err := tinyio.Timeout(co, soon, time.Second); co.Err() != nil {
				return err
			}
			return co.Sleep(time.Hour)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			main := do("main", func(co *tinyio.Co) error {
				finish = make(chan tinyio.Void)
				time.AfterFunc(10*time.Second, func() { close(finish) })
				return c.main(co)
			})
			inRun(t, main, func(t *testing.T, _ *tinyio.Loop) {
				wantFindings(t)
				time.Sleep(1100 * time.Millisecond)
				wantFindings(t, c.want...)
				if name != "soon" {
					_, text := get(t, "?debug=1")
					if !strings.Contains(text, "being stopped: ") {
						t.Errorf("the page does not say who is being stopped:\n%s", text)
					}
				}
				time.Sleep(10 * time.Second)
			})
		})
	}
}

// TIO10: more coroutines at each look. To look more often, or for less long, finds nothing.
func TestLintMoreCoroutines(t *testing.T) {
	leak := do("main", func(co *tinyio.Co) error {
		for range 40 {
			co.Go(nil2)
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
		}
		return co.Sleep(time.Hour)
	})
	inRun(t, leak, func(t *testing.T, _ *tinyio.Loop) {
		time.Sleep(500 * time.Millisecond)
		for range 5 {
			wantFindings(t)
			wantFindings(t)
			time.Sleep(2 * time.Second)
		}
		wantFindings(t, "TIO10")
		time.Sleep(time.Minute)
		wantFindings(t, "TIO10")
		time.Sleep(time.Minute)
		wantFindings(t) // it has stopped growing
	})
}

// TIO11: more that are ready at each look. A loop that cannot keep up has no place in a test; what it is seen by has.
func TestLintMoreReady(t *testing.T) {
	if from, to, ok := debug.Growth(1, 2, 3, 4, 5, 6); !ok || from != 1 || to != 6 {
		t.Error("what grows does not", from, to, ok)
	}
	for _, numbers := range [][]int{{}, {5}, {1, 2, 3, 4}, {1, 2, 3, 3, 4}, {5, 6, 7, 8, 9}, {9, 1, 2, 3}} {
		if from, to, ok := debug.Growth(numbers...); ok {
			t.Errorf("%v grows from %d to %d", numbers, from, to)
		}
	}
}

// TIO12: very many threads.
func TestLintManyThreads(t *testing.T) {
	var hold atomic.Pointer[chan tinyio.Void]
	main := func(n int) *tinyio.Coro[tinyio.Void] {
		return do("main", func(co *tinyio.Co) error {
			c := make(chan tinyio.Void)
			hold.Store(&c)
			cs := make([]tinyio.Awaitable, n)
			for i := range cs {
				cs[i] = tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
			}
			return co.Wait(cs...)
		})
	}
	inRun(t, main(1000), func(t *testing.T, _ *tinyio.Loop) { wantFindings(t) })
	inRun(t, main(1001), func(t *testing.T, _ *tinyio.Loop) { wantFindings(t, "TIO12") })
}

// TIO13: a lock that is held for long, and not one that many wait for and get.
func TestLintHeldLong(t *testing.T) {
	main := func(held time.Duration) *tinyio.Coro[tinyio.Void] {
		var lock tinyio.Lock
		return do("main", func(co *tinyio.Co) error {
			for i := range 3 {
				co.Go(func(co *tinyio.Co) error {
					for {
						if err := lock.Acquire(co); err != nil {
							return err
						}
						err := co.Sleep(held)
						lock.Release()
						if err != nil {
							return err
						}
					}
				}).Named(fmt.Sprint("user ", i))
			}
			return co.Sleep(time.Hour)
		})
	}
	inRun(t, main(time.Hour), func(t *testing.T, _ *tinyio.Loop) {
		wantFindings(t)
		time.Sleep(9 * time.Second)
		wantFindings(t)
		time.Sleep(time.Second)
		wantFindings(t, "TIO13 user 1")
	})
	inRun(t, main(9*time.Second), func(t *testing.T, _ *tinyio.Loop) {
		for range 20 {
			time.Sleep(3*time.Second + time.Millisecond)
			wantFindings(t)
		}
	})
}

// TIO14: coroutines that the same function makes are told apart by the callers of its caller, whether by New or by Do.
func TestLintNeverStartedByCallers(t *testing.T) {
	for _, by := range []func() tinyio.Awaitable{
		func() tinyio.Awaitable { return tinyio.New(func(*tinyio.Co) (int, error) { return 1, nil }) },
		func() tinyio.Awaitable { return tinyio.Do(func(*tinyio.Co) error { return nil }) },
	} {
		debug.ForgetMade()
		through := func() tinyio.Awaitable { return by() }
		inRun(t, do("main", func(co *tinyio.Co) error {
			for range 2000 {
				through()
				if err := co.Wait(through()); err != nil {
					return err
				}
			}
			return co.Sleep(time.Hour)
		}), func(t *testing.T, _ *tinyio.Loop) {
			time.Sleep(10 * time.Second)
			wantFindings(t, "TIO14")
		})
	}
	debug.ForgetMade()
}

// TIO14: coroutines that are made and never started; not those of a place where some are.
func TestLintNeverStarted(t *testing.T) {
	debug.ForgetMade()
	defer debug.ForgetMade()
	forgets := func() { tinyio.New(func(*tinyio.Co) (int, error) { t.Error("it is started"); return 1, nil }) }
	inRun(t, do("main", func(co *tinyio.Co) error {
		for i := range 2000 {
			forgets()
			do("seldom", nil2)
			often := do("often", func(*tinyio.Co) error { return nil })
			if i%2 == 0 {
				if err := co.Wait(often, tinyio.New(func(co *tinyio.Co) (int, error) { return 1, nil })); err != nil {
					return err
				}
			}
			co.Go(func(*tinyio.Co) error { return nil })
		}
		return co.Sleep(time.Hour)
	}), func(t *testing.T, _ *tinyio.Loop) {
		wantFindings(t)
		time.Sleep(10 * time.Second)
		wantFindings(t, "TIO14", "TIO14")
		_, body := get(t, "?debug=1")
		if n := strings.Count(body, ", called at "); n != 2 || strings.Count(body, "TIO14 github.com/tinyio-go/tinyio/debug_test.TestLintNeverStarted.func1 at ") != 1 ||
			strings.Count(body, "TIO14 github.com/tinyio-go/tinyio/debug_test.do at ") != 1 {
			t.Errorf("the page is %s", body)
		}
	})
}

// TIO15: a queue that grows, and not one that is emptied now and then.
func TestLintGrowingQueue(t *testing.T) {
	main := func(gets bool) *tinyio.Coro[tinyio.Void] {
		return do("main", func(co *tinyio.Co) error {
			q := tinyio.NewQueue[int](1_000_000)
			for i := range 1000 {
				for range 100 {
					if err := q.Put(co, i); err != nil {
						return err
					}
				}
				if gets && i%3 == 0 {
					for range 250 {
						q.TryGet()
					}
				}
				if err := co.Sleep(time.Second); err != nil {
					return err
				}
			}
			return nil
		})
	}
	looks := func(t *testing.T) {
		for range 8 {
			wantFindings(t)
			time.Sleep(1100 * time.Millisecond)
		}
	}
	inRun(t, main(false), func(t *testing.T, _ *tinyio.Loop) {
		looks(t)
		wantFindings(t)
		time.Sleep(1200 * time.Millisecond)
		wantFindings(t, "TIO15")
		_, body := get(t, "?debug=1")
		if !strings.Contains(body, "TIO15 the queue of github.com/tinyio-go/tinyio/debug_test.TestLintGrowingQueue.") ||
			!strings.Contains(body, "lints_test.go") {
			t.Errorf("the page is %s", body)
		}
	})
	inRun(t, main(true), func(t *testing.T, _ *tinyio.Loop) { looks(t); looks(t) })
}

// A queue that is gone is forgotten.
func TestQueueIsForgotten(t *testing.T) {
	runtime.GC()
	before := debug.QueuesKnown()
	for range 100 {
		tinyio.NewQueue[int](1000)
	}
	for range 1000 {
		if debug.QueuesKnown() <= before {
			return
		}
		runtime.GC()
		runtime.Gosched()
	}
	t.Errorf("%d queues are known, and before there were %d", debug.QueuesKnown(), before)
}

// Each lint has a page of its own, and one has them all.
func TestLintsAreExplained(t *testing.T) {
	for i, l := range debug.Lints() {
		number, title := l[0], l[1]
		if number != fmt.Sprint("TIO", i+1) {
			t.Errorf("number %d is %s", i+1, number)
		}
		for _, query := range []string{"?lint=" + number, "?lint=" + strings.ToLower(number) + "&debug=1", "?lint=", "?lint=&format=text"} {
			code, body := get(t, query)
			if code != http.StatusOK || !strings.Contains(body, number+": "+title) || !strings.Contains(body, "What to do") {
				t.Errorf("%s is answered with %d, %s", query, code, body)
			}
		}
	}
}

// The chapter has all of them.
func TestLintsAreInTheChapter(t *testing.T) {
	chapter, err := os.ReadFile(filepath.Join("..", "docs", "looking-in.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range debug.Lints() {
		if row := "| " + l[0] + " | " + l[1] + " | "; strings.Count(string(chapter), row) != 1 {
			t.Errorf("it does not have the row %s", row)
		}
	}
}
