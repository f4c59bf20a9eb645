package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// What it costs to be looked at: a turn, in each of the ways in which a loop can be, and a Snapshot. The ways are measured in turn, round
// after round, and the figure is the least of all rounds, because nothing but the machine makes one worse.

// A lookedAt is a way in which a loop is looked at while it runs.
type lookedAt struct {
	name    string
	wanted  float64 // how often a turn without may be in one with it
	timer   bool    // a timer is set, and the turn without has one too
	options []tinyio.Option
	beside  func(l *tinyio.Loop, over <-chan struct{}) // runs beside the loop, in a goroutine
}

// stays is the wanted ratio of what should not be measurable: as exact as measuring is here.
const stays = 1.1

var waysToLook = []lookedAt{
	{name: "nothing", wanted: 1},
	{name: "an observer that does nothing", wanted: 1.5, options: []tinyio.Option{tinyio.WithObserver(emptyObserver{})}},
	{name: "a picker that picks the first", wanted: 1.5, options: []tinyio.Option{tinyio.WithPicker(firstPicker{})}},
	{name: "metrics, as `tinyioprom` and `tinyiotel` collect them", wanted: 2, beside: func(l *tinyio.Loop, _ <-chan struct{}) {
		l.Running() // from here on each turn costs a look at the clock, however often it is asked
		l.Stats()
	}},
	{name: "`WithLabels`", wanted: stays, options: []tinyio.Option{tinyio.WithLabels()}},
	{name: "`Stats`, read every millisecond", wanted: stays, beside: func(l *tinyio.Loop, over <-chan struct{}) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				l.Stats()
			}
		}
	}},
	{name: "a timer set", wanted: 1, timer: true},
	{name: "a timer set, and a clock that only has Now", wanted: 1.5, timer: true, options: []tinyio.Option{tinyio.WithClock(&stoppedClock{})}},
	{name: "a timer set, and a clock that waits too", wanted: 1.5, timer: true, options: []tinyio.Option{tinyio.WithClock(&waitingClock{})}},
}

// without is the index of the way with which the one at index i is compared.
func without(i int) int {
	timer := waysToLook[i].timer
	return slices.IndexFunc(waysToLook, func(way lookedAt) bool { return way.timer == timer })
}

// lookings are workloads whose instructions are counted and that are in no table.
func lookings() []workload {
	return []workload{
		{name: "yield, observed", peers: []peer{{name: ours, run: func(j *job) int {
			return yieldWith(j, tinyio.WithObserver(emptyObserver{}))
		}}}},
		{name: "yield, picked", peers: []peer{{name: ours, run: func(j *job) int {
			return yieldWith(j, tinyio.WithPicker(firstPicker{}))
		}}}},
		{name: "yield, by a clock", peers: []peer{{name: ours, run: func(j *job) int {
			return yieldBesideTimer(j, tinyio.WithClock(&stoppedClock{}))
		}}}},
		{name: "snapshot", peers: []peer{{name: ours, run: func(j *job) int {
			j.start()
			defer j.stop()
			sum := 0
			askAll(j.N, func(ctx context.Context, l *tinyio.Loop) {
				for range j.Reps {
					sum += len(must(l.Snapshot(ctx)))
				}
			})
			return sum
		}}}},
	}
}

// yieldBesideTimer is yieldWith while a timer is set, so that the loop looks at its clock.
func yieldBesideTimer(j *job, opts ...tinyio.Option) int {
	return runLoop(func(co *tinyio.Co) (int, error) {
		sleeper := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		check(co.Spawn(sleeper))
		sum, err := yieldInTurn(co, j)
		check(sleeper.Cancel(co, nil))
		return sum, err
	}, opts...)
}

type emptyObserver struct{}

func (emptyObserver) Observe(hook.Note) {}

type firstPicker struct{}

func (firstPicker) Pick([]tinyio.ID) int { return 0 }

// A stoppedClock is the least that a clock can be.
type stoppedClock struct{ now time.Time }

func (c *stoppedClock) Now() time.Time { return c.now }

// A waitingClock is a stoppedClock that goes on when nobody is ready.
type waitingClock struct{ stoppedClock }

func (c *waitingClock) Idle(p hook.Pause) bool {
	if p.Deadline.IsZero() {
		<-p.Wake
	} else {
		c.now = p.Deadline
	}
	return true
}

// turn measures a turn among n coroutines that are ready, in nanoseconds, for about least.
func (way *lookedAt) turn(n int, least time.Duration) (figure float64) {
	l := tinyio.NewLoop(way.options...)
	over := make(chan struct{})
	if way.beside != nil {
		go way.beside(l, over)
	}
	defer close(over)
	must(tinyio.RunOn(context.Background(), l, tinyio.Do(func(co *tinyio.Co) error {
		ended := false
		others := make([]tinyio.Awaitable, n-1)
		for i := range others {
			others[i] = tinyio.Do(func(co *tinyio.Co) error {
				for !ended {
					if err := co.Yield(); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := co.Spawn(others...); err != nil {
			return err
		}
		if err := co.Yield(); err != nil { // until all have begun
			return err
		}
		sleeper := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(1000 * time.Hour) })
		if way.timer {
			if err := errors.Join(co.Spawn(sleeper), co.Yield()); err != nil {
				return err
			}
		}
		runtime.GC()
		rounds, began := 0, time.Now()
		for ; rounds == 0 || time.Since(began) < least; rounds++ {
			for range max(1, 1000/n) {
				if err := co.Yield(); err != nil {
					return err
				}
			}
		}
		figure = float64(time.Since(began).Nanoseconds()) / float64(rounds*max(1, 1000/n)*n)
		ended = true
		return sleeper.Cancel(co, nil)
	})))
	return figure
}

// askAll runs n coroutines that wait, and calls ask beside them.
func askAll(n int, ask func(ctx context.Context, l *tinyio.Loop)) {
	l := tinyio.NewLoop()
	must(tinyio.RunOn(context.Background(), l, tinyio.Do(func(co *tinyio.Co) error {
		var over tinyio.Event
		others := make([]tinyio.Awaitable, n-1)
		for i := range others {
			others[i] = tinyio.Do(over.Wait)
		}
		if err := co.Spawn(others...); err != nil {
			return err
		}
		err := co.Call(func(ctx context.Context) error { ask(ctx, l); return nil })
		over.Set()
		return err
	})))
}

// snapshot measures a Snapshot of n coroutines that wait.
func snapshot(n int) (took time.Duration) {
	askAll(n, func(ctx context.Context, l *tinyio.Loop) {
		began := time.Now()
		all := must(l.Snapshot(ctx))
		took = time.Since(began)
		if len(all) != n {
			fail("a Snapshot of %d coroutines has %d", n, len(all))
		}
	})
	return took
}

// fresh measures a coroutine that is made, awaited and has finished, in nanoseconds.
func fresh(options ...tinyio.Option) (figure float64) {
	const n = 20_000
	runLoop(func(co *tinyio.Co) (sum int, err error) {
		began := time.Now()
		for i := range n {
			sum += must(tinyio.New(func(*tinyio.Co) (int, error) { return i, nil }).Await(co))
		}
		figure = float64(time.Since(began).Nanoseconds()) / n
		return sum, nil
	}, options...)
	return figure
}

// runLooking measures what it costs to be looked at and writes it to the standard output, or into its place in a document.
func runLooking(rounds int, path string) {
	crowds := []int{2, 1_000, 100_000}
	const asked, wanted = 10_000, 30 * time.Millisecond
	figures := make([][]float64, len(waysToLook))
	for i := range figures {
		figures[i] = slices.Repeat([]float64{1e18}, len(crowds))
	}
	took, plain, labelled := time.Hour, 1e18, 1e18
	for round := range rounds {
		for k, n := range crowds {
			for way := range waysToLook {
				i := (way + round) % len(waysToLook) // each comes first, and last, as often: what has run before leaves traces in memory
				figures[i][k] = min(figures[i][k], waysToLook[i].turn(n, 50*time.Millisecond))
			}
		}
		took = min(took, snapshot(asked))
		plain, labelled = min(plain, fresh()), min(labelled, fresh(tinyio.WithLabels()))
	}
	var w bytes.Buffer
	fmt.Fprintf(&w, "%s, %s/%s, %d cores; each figure is the least of %d rounds, in which the ways took turns.\n\n", runtime.Version(), runtime.GOOS,
		runtime.GOARCH, cores(), rounds)
	fmt.Fprintf(&w, "| a turn, with |")
	for _, n := range crowds {
		fmt.Fprintf(&w, " %s ready | |", thousands(n))
	}
	fmt.Fprintf(&w, " wanted |\n|---|%s--:|\n", strings.Repeat("--:|", 2*len(crowds)))
	for i, way := range waysToLook {
		fmt.Fprintf(&w, "| %s |", way.name)
		for k := range crowds {
			ratio := figures[i][k] / figures[without(i)][k]
			mark := ""
			if ratio > way.wanted {
				mark = "**"
			}
			fmt.Fprintf(&w, " %.0f ns | %s%.2f%s |", figures[i][k], mark, ratio, mark)
		}
		fmt.Fprintf(&w, " %.1f |\n", way.wanted)
	}
	fmt.Fprintf(&w, "\nA `Snapshot` of %s coroutines that wait takes %.1f ms; at most %d ms are wanted.\n", thousands(asked),
		float64(took.Microseconds())/1000, wanted.Milliseconds())
	fmt.Fprintf(&w, "\nA coroutine that is made, awaited and has finished takes %.0f ns, and with `WithLabels` %.0f ns.\n", plain, labelled)
	writePart(path, "looking", w.Bytes())
}
