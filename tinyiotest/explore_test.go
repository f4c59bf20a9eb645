package tinyiotest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotest"
)

// TestExploreRunsEachInterleavingOnce counts the orders of three coroutines with one turn each, and of the first one behind them.
func TestExploreRunsEachInterleavingOnce(t *testing.T) {
	noLeaks(t)
	orders := map[string]int{}
	said := passes(t, func(co *tinyio.Co) error {
		order := ""
		turn := func(name string) tinyio.Awaitable {
			return named(name, func(*tinyio.Co) error { order += name; return nil })
		}
		tinyiotest.AtEnd(co, func() error { orders[order]++; return nil })
		return co.Wait(turn("a"), turn("b"), turn("c"))
	}, tinyiotest.Deviations(2))
	want := map[string]int{"abc": 2, "acb": 1, "bac": 1, "bca": 1, "cab": 1, "cba": 1} // the first is run twice
	if fmt.Sprint(orders) != fmt.Sprint(want) {
		t.Errorf("the orders are %v, want %v", orders, want)
	}
	if !strings.HasPrefix(said, "tinyiotest: 6 schedules in ") || !strings.HasSuffix(said, ": these are all there are") {
		t.Errorf("Explore says %q", said)
	}
}

// TestExploreTellsWhatIsWrong has a program for each way to fail.
func TestExploreTellsWhatIsWrong(t *testing.T) {
	var r *recording
	for _, test := range []struct {
		what string
		fn   func(co *tinyio.Co) error
		also string
	}{
		{"it returns an error", func(*tinyio.Co) error { return errBroken }, "\nbroken\n\nawait chain"},
		{"it panics", func(*tinyio.Co) error { panic(errBroken) }, "tinyio: panic in a coroutine: broken"},
		{"it calls runtime.Goexit, or FailNow of a test", func(*tinyio.Co) error { r.FailNow(); return nil }, "has said why"},
		{"it marks the test as failed", func(*tinyio.Co) error { r.Errorf("wrong"); return nil }, "has said why"},
		{"it deadlocks", func(co *tinyio.Co) error { return new(tinyio.Event).Wait(co) }, "waiting for an event at"},
		{"it does not end", func(co *tinyio.Co) error {
			for {
				if err := co.Sleep(time.Second); err != nil {
					return err
				}
			}
		}, "lines are left out"},
		{"it does not end", func(co *tinyio.Co) error {
			done := false
			busy := named("busy", func(co *tinyio.Co) error {
				for !done {
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return nil
			})
			sleeper := named("sleeper", func(co *tinyio.Co) error {
				err := co.Sleep(time.Second)
				done = true
				return err
			})
			return co.Wait(busy, sleeper)
		}, "virtual time passes only while nobody is ready"},
		{"it hangs: what it waits for outside the loop never comes", func(co *tinyio.Co) error {
			return co.Wait(tinyio.RunInThread(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			}))
		}, "waiting for a thread or callback at"},
		{"it hangs: what it waits for outside the loop never comes", func(co *tinyio.Co) error {
			return co.Wait(tinyio.FromCallback(func(done func(int, error)) func(cause error) {
				return func(cause error) { done(0, cause) }
			}))
		}, "waiting for a thread or callback at"},
		{"what must hold at the end does not", func(co *tinyio.Co) error {
			tinyiotest.AtEnd(co, func() error { return errBroken })
			return nil
		}, "\nbroken\n"},
		{"it panics", func(co *tinyio.Co) error {
			tinyiotest.AtEnd(co, func() error { panic(errBroken) })
			return nil
		}, "\nbroken\n\ngoroutine "},
		{"it calls runtime.Goexit, or FailNow of a test", func(co *tinyio.Co) error {
			tinyiotest.AtEnd(co, func() error { r.FailNow(); return nil })
			return nil
		}, "has said why"},
		{"it marks the test as failed", func(co *tinyio.Co) error {
			tinyiotest.AtEnd(co, func() error { r.Errorf("wrong"); return nil })
			return nil
		}, "has said why"},
	} {
		t.Run(test.what, func(t *testing.T) {
			if raced && test.what == "it does not end" {
				t.Skip("it takes long to see that, with the race detector")
			}
			noLeaks(t)
			said := record(t, func(own *recording) {
				r = own
				tinyiotest.ExploreIn(t, own, test.fn)
			}).fatal
			for _, want := range []string{"tinyiotest: after 1 schedule in ", ": " + test.what + " under schedule a\n", test.also,
				"TINYIO_SCHEDULE=a go test -run '^TestExploreTellsWhatIsWrong$/^"} {
				if !strings.Contains(said, want) {
					t.Errorf("Explore says\n%s\nwant %q in it", said, want)
				}
			}
		})
	}
}

// TestSkipInTheProgramSkipsTheTest has it be skipped by a coroutine, by a thread and at the end, at once and in a later schedule.
func TestSkipInTheProgramSkipsTheTest(t *testing.T) {
	for name, program := range map[string]func(skip func()) func(co *tinyio.Co) error{
		"coroutine": func(skip func()) func(co *tinyio.Co) error {
			return func(*tinyio.Co) error { skip(); return nil }
		},
		"thread": func(skip func()) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error {
				return co.Wait(tinyio.RunInThread(func(context.Context) (int, error) { skip(); return 0, nil }))
			}
		},
		"at the end": func(skip func()) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error {
				tinyiotest.AtEnd(co, func() error { skip(); return nil })
				return nil
			}
		},
		"later": func(skip func()) func(co *tinyio.Co) error {
			return func(co *tinyio.Co) error {
				first := true
				a := named("a", func(*tinyio.Co) error { first = false; return nil })
				b := named("b", func(*tinyio.Co) error {
					if first {
						skip()
					}
					return nil
				})
				return co.Wait(a, b)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			r := record(t, func(r *recording) { tinyiotest.ExploreIn(t, r, program(r.SkipNow)) })
			if !r.skipped || r.failed || len(r.logs) > 0 {
				t.Errorf("Explore reports\n%s\n%q\nwant the test to be skipped", r.fatal, r.logs)
			}
			if name == "later" {
				return
			}
			r = record(t, func(r *recording) { tinyiotest.ReplayIn(t, r, "a", program(r.SkipNow)) })
			if !r.skipped || r.failed || len(r.logs) > 0 {
				t.Errorf("Replay reports\n%s\n%q\nwant the test to be skipped", r.fatal, r.logs)
			}
		})
	}
}

// TestContextOfTheTest has a program use it in each of its runs.
func TestContextOfTheTest(t *testing.T) {
	t.Run("nested run", func(t *testing.T) {
		noLeaks(t)
		passes(t, func(*tinyio.Co) error {
			_, err := tinyio.Run(t.Context(), tinyio.Do((*tinyio.Co).Yield))
			return err
		})
	})
	t.Run("thread", func(t *testing.T) {
		noLeaks(t)
		passes(t, func(co *tinyio.Co) error {
			return co.Wait(tinyio.RunInThread(func(context.Context) (int, error) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				<-ctx.Done()
				return 0, t.Context().Err()
			}))
		})
	})
}

// TestExploreFindsGoroutinesLeftBehind has some that sleep and some that are blocked. They stay, in bubbles that stay with them.
func TestExploreFindsGoroutinesLeftBehind(t *testing.T) {
	for _, test := range []struct {
		what string
		fn   func(co *tinyio.Co) error
	}{
		{"it leaves a goroutine behind", func(*tinyio.Co) error { go time.Sleep(time.Hour); return nil }},
		{"it leaves a goroutine behind", func(*tinyio.Co) error { go func() { select {} }(); return nil }},
		{"it hangs: what it waits for outside the loop never comes", func(co *tinyio.Co) error {
			return co.Wait(tinyio.RunInThread(func(context.Context) (int, error) { select {} }))
		}},
		{"it hangs: what it waits for outside the loop never comes", func(*tinyio.Co) error { select {} }},
	} {
		if r := exploring(t, test.fn); !strings.Contains(r.fatal, test.what+" under schedule a\n") {
			t.Errorf("Explore says\n%s\nwant %q in it", r.fatal, test.what)
		}
	}
}

// unready reads what may not have been written yet.
func unready(co *tinyio.Co) error {
	ready := false
	writer := named("writer", func(co *tinyio.Co) error {
		ready = true
		return co.Sleep(time.Second)
	})
	reader := named("reader", func(*tinyio.Co) error {
		if !ready {
			return errBroken
		}
		return nil
	})
	if err := co.Spawn(writer, reader); err != nil {
		return err
	}
	return co.Sleep(time.Minute)
}

// TestReport compares all of a report.
func TestReport(t *testing.T) {
	noLeaks(t)
	said := exploring(t, unready).fatal
	said = regexp.MustCompile(`schedules in .* a second\)`).ReplaceAllString(said, "schedules in no time")
	said = regexp.MustCompile(`_test.go:\d+`).ReplaceAllString(said, "_test.go:0")
	said = regexp.MustCompile(`\S*/tinyiotest(_test|/)`).ReplaceAllString(said, "…/")
	want := `tinyiotest: after 2 schedules in no time: it returns an error under schedule a,0:1

  turn      time  who        what happens
     1        0s  unready#0  starts writer#1, reader#2; waits for its turn at explore_test.go:0
     2            reader#2   goes before writer#1; ends with an error; stops unready#0, writer#1; never runs: writer#1: broken
     3            unready#0  ends, cancelled

broken

await chain, from the first coroutine to the one that failed:
reader, in …/.unready.func2
	…/explore_test.go:0

what the others were doing:
	…/.unready: ready at …/explore_test.go:0
	writer: ready at …/explore_test.go:0

to run it again:

	TINYIO_SCHEDULE=a,0:1 go test -run '^TestReport$' github.com/tinyio-go/tinyio/tinyiotest
`
	if said != want {
		t.Errorf("the report is\n%s\nwant\n%s", said, want)
	}
}

// TestTimelineCutsThePackageOfFunctions has names of functions cut, and those that were given left alone.
func TestTimelineCutsThePackageOfFunctions(t *testing.T) {
	noLeaks(t)
	for function, want := range map[string]string{
		"main.run":                            "run",
		"attack/user.program":                 "program",
		"attack/user.two.two.func1.func2":     "two.two.func1.func2",
		"example.com/a.b/yaml%2ev3.(*T).M-fm": "(*T).M-fm",
		"example.com/pool.get[...]":           "get[...]",
	} {
		if got := tinyiotest.WithoutPackage(function); got != want {
			t.Errorf("%s is called %s, want %s", function, got, want)
		}
	}
	said := replaying(t, "a", func(co *tinyio.Co) error {
		return co.Wait(named("example.com/job.7", (*tinyio.Co).Yield), tinyio.Do((*tinyio.Co).Yield))
	}).logs[0]
	for _, want := range []string{"TestTimelineCutsThePackageOfFunctions.func1#0", " example.com/job.7#1", " (*Co).Yield#2"} {
		if !strings.Contains(said, want) {
			t.Errorf("Replay says\n%s\nwant %q in it", said, want)
		}
	}
}

// TestExploreTellsOfProgramsThatAreNotDeterministic has programs that do something else each time.
func TestExploreTellsOfProgramsThatAreNotDeterministic(t *testing.T) {
	for _, test := range []struct {
		name string
		fn   func() func(co *tinyio.Co) error
		want string
	}{
		{"at once", func() func(co *tinyio.Co) error {
			n := 0
			return func(co *tinyio.Co) error { n++; return yields(co, n) }
		}, "the first difference, without any deviation, is"},
		{"in how it ends", func() func(co *tinyio.Co) error {
			n := 0
			return func(*tinyio.Co) error {
				if n++; n == 2 {
					return errBroken
				}
				return nil
			}
		}, "the first difference, without any deviation, is"},
		{"later", func() func(co *tinyio.Co) error {
			n := 0
			return func(co *tinyio.Co) error {
				var cs []tinyio.Awaitable
				for n++; len(cs) < 3 && (n < 3 || len(cs) < 1); {
					cs = append(cs, tinyio.Do((*tinyio.Co).Yield))
				}
				return co.Wait(cs...)
			}
		}, "there was no pick number"},
		{"when it fails", func() func(co *tinyio.Co) error {
			n := 0
			return func(co *tinyio.Co) error {
				if err := co.Wait(tinyio.Do((*tinyio.Co).Yield), tinyio.Do((*tinyio.Co).Yield)); err != nil {
					return err
				}
				if n++; n == 5 {
					return errBroken
				}
				return nil
			}
		}, "the second: <nil>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			r := exploring(t, test.fn())
			if !strings.HasPrefix(r.fatal, "tinyiotest: the program is not deterministic") || !strings.Contains(r.fatal, test.want) {
				t.Errorf("Explore says\n%s\n%q\nwant %q in it", r.fatal, r.logs, test.want)
			}
		})
	}
}

// TestRandomSchedulesFindWhatIsDeepAndItIsShrunk looks for the combination by random priorities alone.
func TestRandomSchedulesFindWhatIsDeepAndItIsShrunk(t *testing.T) {
	noLeaks(t)
	for seed := range uint64(5) {
		s := finds(t, combination, "it returns an error",
			tinyiotest.Deviations(0), tinyiotest.MaxSchedules(3000), tinyiotest.Seed(seed))
		if n := strings.Count(s, ","); n != 3 {
			t.Errorf("with seed %d the schedule is %s, with %d deviations, want 3", seed, s, n)
		}
	}
}

// TestRandomSchedulesAreFairInTheEnd has one coroutine yield until another has done something. With strict priorities it would do
// so for ever.
func TestRandomSchedulesAreFairInTheEnd(t *testing.T) {
	noLeaks(t)
	passes(t, func(co *tinyio.Co) error {
		done := false
		spins := named("spins", func(co *tinyio.Co) error {
			for !done {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		})
		return co.Wait(spins, named("does", func(*tinyio.Co) error { done = true; return nil }))
	}, tinyiotest.Deviations(0), tinyiotest.MaxSchedules(100))
}

// TestSeedDecidesWhatIsRandom compares the interleavings of several explorations.
func TestSeedDecidesWhatIsRandom(t *testing.T) {
	noLeaks(t)
	orders := func(seed uint64) (all []string) {
		passes(t, func(co *tinyio.Co) error {
			order := ""
			var cs []tinyio.Awaitable
			for i := range 6 {
				cs = append(cs, tinyio.Do(func(co *tinyio.Co) error { order += fmt.Sprint(i); return nil }))
			}
			err := co.Wait(cs...)
			all = append(all, order)
			return err
		}, tinyiotest.Deviations(0), tinyiotest.MaxSchedules(20), tinyiotest.Seed(seed))
		return all
	}
	first := orders(1)
	if again := orders(1); !slices.Equal(first, again) {
		t.Errorf("with the same seed, the orders are\n%v and\n%v", first, again)
	}
	if other := orders(2); slices.Equal(first, other) {
		t.Errorf("with two seeds, the orders are the same, %v", first)
	}
}

// TestThreadsAreDeterministic has threads that sleep, that are woken together, and that set events, and compares the order.
func TestThreadsAreDeterministic(t *testing.T) {
	noLeaks(t)
	sleep := func(d time.Duration) *tinyio.Coro[string] {
		return tinyio.RunInThread(func(context.Context) (string, error) {
			time.Sleep(d)
			return d.String(), nil
		})
	}
	tinyiotest.Explore(t, func(co *tinyio.Co) error {
		gate := make(chan struct{})
		begun := co.Now()
		var cs []*tinyio.Coro[string]
		for _, d := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second, time.Second} {
			cs = append(cs, sleep(d))
		}
		for i := range 3 {
			cs = append(cs, tinyio.RunInThread(func(context.Context) (string, error) {
				<-gate
				return fmt.Sprint(i), nil
			}))
		}
		opens := named("opens", func(co *tinyio.Co) error { close(gate); return co.Sleep(1500 * time.Millisecond) })
		if err := co.Spawn(opens); err != nil {
			return err
		}
		n := 0
		for _, err := range tinyio.AsCompleted(co, cs...) {
			if err != nil {
				return err
			}
			n++
		}
		if passed := co.Now().Sub(begun); passed != 3*time.Second || n != 7 {
			return fmt.Errorf("%d threads have taken %v", n, passed)
		}
		return nil
	}, tinyiotest.MaxSchedules(oneOf(raced, 100, 500)))
}

// TestThreadsInRealTime has threads without a bubble: one that waits for a coroutine does not keep the clock from going on.
func TestThreadsInRealTime(t *testing.T) {
	noLeaks(t)
	var plain testing.TB = struct{ testing.TB }{t}
	tinyiotest.Explore(plain, func(co *tinyio.Co) error {
		gate := make(chan struct{})
		waits := tinyio.RunInThread(func(context.Context) (int, error) { <-gate; return 1, nil })
		quick := tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil })
		opens := named("opens", func(co *tinyio.Co) error {
			err := co.Sleep(time.Hour)
			close(gate)
			return err
		})
		if err := co.Wait(quick); err != nil {
			return err
		}
		return co.Wait(waits, opens)
	}, tinyiotest.MaxSchedules(10))
	hold := make(chan struct{})
	defer close(hold)
	r := record(t, func(r *recording) {
		tinyiotest.Explore(r, func(*tinyio.Co) error { go func() { <-hold }(); return nil })
	})
	if !strings.Contains(r.fatal, "it leaves a goroutine behind") {
		t.Errorf("Explore says\n%s", r.fatal)
	}
}

// A call that takes its time is waited for, as a thread is: that nobody is ready meanwhile is no deadlock.
func TestCallsAreWaitedFor(t *testing.T) {
	noLeaks(t)
	program := func(co *tinyio.Co) error {
		return co.Call(func(ctx context.Context) error {
			select {
			case <-time.After(2 * tinyio.ThreadPatience):
				return nil
			case <-ctx.Done():
				return errBroken
			}
		})
	}
	tinyiotest.Explore(t, program)
	tinyiotest.Explore(struct{ testing.TB }{t}, program) // in real time
}

// TestExploreInsideBubble calls Explore in a bubble of the test's own.
func TestExploreInsideBubble(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		tinyiotest.Explore(t, func(co *tinyio.Co) error {
			quick := tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil })
			return co.Wait(quick, named("sleeps", func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
		})
	})
}

// TestExploreInParallel has tests that run at the same time, one of which leaves goroutines behind, and finds only its own.
func TestExploreInParallel(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			program := func(co *tinyio.Co) error {
				if i == 0 {
					go time.Sleep(time.Hour)
				}
				return co.Wait(tinyio.Do((*tinyio.Co).Yield), tinyio.Do((*tinyio.Co).Yield))
			}
			if i > 0 {
				passes(t, program)
			} else if r := exploring(t, program); !strings.Contains(r.fatal, "it leaves a goroutine behind") {
				t.Errorf("Explore says\n%s", r.fatal)
			}
		})
	}
}

// TestExploreNestedRun has a run inside a run, on the clock of the bubble.
func TestExploreNestedRun(t *testing.T) {
	noLeaks(t)
	tinyiotest.Explore(t, func(co *tinyio.Co) error {
		nested := named("nested", func(co *tinyio.Co) error {
			_, err := tinyio.Run(co, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
			return err
		})
		return co.Wait(nested, named("sleeps", func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
	}, tinyiotest.Faults())
}

// TestReplayRefusesWhatDoesNotFit has schedules that are damaged, or of another program.
func TestReplayRefusesWhatDoesNotFit(t *testing.T) {
	noLeaks(t)
	fn := func(co *tinyio.Co) error {
		return co.Wait(named("a", func(co *tinyio.Co) error { return nil }), named("b", func(co *tinyio.Co) error { return nil }))
	}
	for schedule, want := range map[string]string{
		"a":             "",
		"a,0:1":         "",
		"a,0:2":         "at pick 0 there are 2 to choose from, and it wants number 2",
		"a,7:1":         "there was no pick number 7",
		"a,cancel:9":    "the fault cancel:9 has not come about",
		"a,fail:0":      "the fault fail:0 has not come about",
		"":              `the schedule "" does not begin with "a"`,
		"b,0:1":         `the schedule "b,0:1" does not begin with "a"`,
		"a,":            "a colon is missing",
		"a,0:1,0:1":     "it does not come after the one before",
		"a,1:1,0:1":     "it does not come after the one before",
		"a,0:0":         "the first in line is no deviation",
		"a,0:01":        `"01" is not a number`,
		"a,+1:1":        `"+1" is not a number`,
		"a,cancel:":     `"" is not a number`,
		"a,explode:1":   `"explode" is not a number`,
		"a,99999999999": "a colon is missing",
	} {
		r := replaying(t, schedule, fn)
		switch {
		case want == "" && (r.failed || len(r.logs) != 1 || !strings.Contains(r.logs[0], "nothing fails under schedule "+schedule)):
			t.Errorf("Replay of %q says %q %q, want that nothing fails", schedule, r.fatal, r.logs)
		case want != "" && !strings.Contains(r.fatal, want):
			t.Errorf("Replay of %q says %q %q, want %q in it", schedule, r.fatal, r.logs, want)
		}
	}
}

// TestMisuse has each mistake be told.
func TestMisuse(t *testing.T) {
	noLeaks(t)
	for name, f := range map[string]func(){
		"MaxSchedules": func() { tinyiotest.MaxSchedules(0) },
		"Deviations":   func() { tinyiotest.Deviations(-1) },
		"Explore":      func() { tinyiotest.Explore(t, nil) },
		"Replay":       func() { tinyiotest.Replay(t, "a", nil) },
		"Option":       func() { tinyiotest.Explore(t, (*tinyio.Co).Yield, nil) },
		"AtEnd": func() {
			tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error { tinyiotest.AtEnd(co, nil); return nil }))
		},
	} {
		p := func() (p any) {
			defer func() { p = recover() }()
			f()
			return nil
		}()
		if e, ok := p.(*tinyio.PanicError); ok {
			p = e.Value
		}
		if s, ok := p.(string); !ok || !strings.HasPrefix(s, "tinyiotest: ") || !strings.Contains(s, name) {
			t.Errorf("%s panics with %v", name, p)
		}
	}
}

// TestFaultsComeAtEachPlace counts them.
func TestFaultsComeAtEachPlace(t *testing.T) {
	noLeaks(t)
	seen := map[string]int{}
	passes(t, func(co *tinyio.Co) error {
		err := co.Sleep(time.Second)
		if err == nil {
			_, err = tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil }).Await(co)
		}
		seen[fmt.Sprint(err, " ", co.Now().Format("05"))]++
		return err
	}, tinyiotest.Faults())
	want := map[string]int{
		"<nil> 01": 2, // twice the first schedule, and then:
		"tinyio: cancelled because of: tinyiotest: an injected fault: the context was cancelled after 1 turn 00":  1,
		"tinyio: cancelled because of: tinyiotest: an injected fault: the context was cancelled after 2 turns 01": 1,
		"tinyio: cancelled because of: tinyiotest: an injected fault: the context was cancelled after 3 turns 01": 1,
		"tinyio: cancelled because of: tinyiotest: an injected fault: the context was cancelled after 4 turns 01": 1,
		"tinyio: cancelled because of: tinyiotest: an injected fault: thread 0 failed 01":                         1,
	}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("what was seen:\n%v\nwant\n%v", seen, want)
	}
}

// TestFaultsFind has programs that are right until something goes wrong.
func TestFaultsFind(t *testing.T) {
	for _, test := range []struct {
		name, what, schedule string
		fn                   func(co *tinyio.Co) error
	}{
		{"a permit that is kept", "what must hold at the end does not", "a,cancel:1", func(co *tinyio.Co) error {
			var l tinyio.Lock
			tinyiotest.AtEnd(co, func() error {
				if !l.TryAcquire() {
					return errBroken
				}
				return nil
			})
			if err := l.Acquire(co); err != nil {
				return err
			}
			if err := co.Yield(); err != nil {
				return err // and the lock?
			}
			l.Release()
			return nil
		}},
		{"an error of the clean-up", "while stopping: broken", "a,cancel:1", func(co *tinyio.Co) error {
			if err := co.Yield(); err != nil {
				return errBroken
			}
			return nil
		}},
		{"a timeout taken for the only cause", "it panics", "a,advance:1", func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, named("quick", (*tinyio.Co).Yield), time.Hour)
			if errors.Is(err, tinyio.ErrTimeout) {
				panic("it cannot take that long")
			}
			return err
		}},
		{"a thread that is thought to succeed", "it panics", "a,fail:0", func(co *tinyio.Co) error {
			thread := tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil })
			v, err := tinyio.Isolate(co, thread)
			if co.Err() == nil && v != 1 {
				panic("it has returned 1")
			}
			return cmp.Or(co.Err(), err)
		}},
		{"another error than the one injected", "it returns an error", "a,fail:0", func(co *tinyio.Co) error {
			_, err := tinyio.Isolate(co, tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil }))
			if err != nil && co.Err() == nil {
				return errBroken
			}
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			passes(t, test.fn)
			if s := finds(t, test.fn, test.what, tinyiotest.Faults()); s != test.schedule {
				t.Errorf("the schedule is %s, want %s", s, test.schedule)
			}
		})
	}
}

// TestFaultsExcuseTheirOwnErrors has programs that pass them on, wrap them, or go on.
func TestFaultsExcuseTheirOwnErrors(t *testing.T) {
	noLeaks(t)
	passes(t, func(co *tinyio.Co) error {
		v, err := tinyio.Timeout(co, tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil }), time.Second)
		if err != nil {
			return fmt.Errorf("no number: %w", err)
		}
		isolated := tinyio.RunInThread(func(context.Context) (int, error) { return v, nil })
		_, err = tinyio.Isolate(co, isolated)
		return err
	}, tinyiotest.Faults())
}

// TestScheduleInEnvironmentThatIsDamaged has Explore say so.
func TestScheduleInEnvironmentThatIsDamaged(t *testing.T) {
	t.Setenv("TINYIO_SCHEDULE", "x")
	if r := exploring(t, (*tinyio.Co).Yield); !strings.Contains(r.fatal, `the schedule "x" does not begin with "a"`) {
		t.Errorf("Explore says %q", r.fatal)
	}
	os.Unsetenv("TINYIO_SCHEDULE")
}
