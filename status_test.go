package tinyio_test

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/lookin"
)

// R23: a host can ask which coroutine is running and what each one waits for.
func TestHostCanAskWhatEachCoroutineIsDoing(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	if all := l.Status(); len(all) != 0 {
		t.Errorf("a loop that does not run has the status %v", all)
	}
	var event tinyio.Event
	var log recorder
	var asker, sleeping tinyio.Frame
	waiting := tinyio.Do(func(co *tinyio.Co) error { return event.Wait(co) }).Named("waiting")
	sleeper := tinyio.Do(func(co *tinyio.Co) error {
		sleeping = here("sleeping", 1)
		return co.Sleep(time.Second)
	}).Named("sleeping")
	r := tinyio.Start(background, l, tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(waiting, sleeper); err != nil {
			return err
		}
		for _, s := range l.Status() {
			log.add("inside: %s %s %s %v", s.Coro, s.State, s.On, s.For)
		}
		event.Set()
		if err := co.Sleep(2 * time.Second); err != nil {
			return err
		}
		asker = here("asker", 1)
		return co.Wait(waiting, value(time.Second, 1).Named("last"))
	}).Named("asker"))
	steps := 0
	for range r.Steps() {
		steps++
		for _, s := range l.Status() {
			log.add("%d: %s %s %s %v", steps, s.Coro, s.State, s.On, s.For)
			if s.Coro == "sleeping" && s.State == "waiting" && framesText([]tinyio.Frame{s.Frame}) != framesText([]tinyio.Frame{sleeping}) {
				t.Errorf("it sleeps at %v, want %v", s.Frame, sleeping)
			}
			if s.Coro == "asker" && len(s.For) > 0 && framesText([]tinyio.Frame{s.Frame}) != framesText([]tinyio.Frame{asker}) {
				t.Errorf("it waits at %v, want %v", s.Frame, asker)
			}
		}
	}
	if _, err := r.Result(); err != nil {
		t.Fatal(err)
	}
	log.want(t,
		"1: asker ready  []", "1: waiting ready  []", "1: sleeping ready  []",
		"2: asker ready  []", "2: waiting waiting an event []", "2: sleeping ready  []",
		"3: asker ready  []", "3: waiting waiting an event []", "3: sleeping waiting a timer []",
		"inside: asker running  []", "inside: waiting waiting an event []", "inside: sleeping waiting a timer []",
		"4: asker waiting a timer []", "4: waiting ready  []", "4: sleeping waiting a timer []",
		"5: asker waiting a timer []", "5: sleeping waiting a timer []",
		"6: asker waiting a timer []",
		"7: asker waiting a coroutine [3]", "7: last ready  []",
		"8: asker waiting a coroutine [3]", "8: last waiting a timer []",
		"9: asker ready  []",
	)
}

// Stats counts what happens, exactly, even if it is called in the middle of a turn (R32).
func TestStatsCountEverything(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	want := func(when string, want tinyio.Stats) {
		t.Helper()
		if got := l.Stats(); got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	want("before", tinyio.Stats{})
	var e tinyio.Event
	finish := make(chan tinyio.Void)
	root := tinyio.Do(func(co *tinyio.Co) error {
		want("in the first turn", tinyio.Stats{Started: 1, Turns: 1, Live: 1})
		waiter := tinyio.Do(func(co *tinyio.Co) error {
			_, err := e.WaitFor(co, time.Hour)
			return err
		})
		thread := tinyio.RunInThread(func(context.Context) (int, error) { <-finish; return 1, nil })
		if err := co.Spawn(waiter, sleeper(time.Minute), thread); err != nil {
			return err
		}
		want("with others", tinyio.Stats{Started: 4, Turns: 5, Live: 4, Threads: 1, Timers: 2})
		e.Set()
		want("one being ready", tinyio.Stats{Started: 4, Turns: 5, Live: 4, Ready: 1, Threads: 1, Timers: 1})
		if err := co.Yield(); err != nil {
			return err
		}
		want("when that has finished", tinyio.Stats{Started: 4, Finished: 1, Turns: 7, Live: 3, Threads: 1, Timers: 1})
		late := co.Go(func(*tinyio.Co) error { return nil })
		want("one being fresh", tinyio.Stats{Started: 5, Finished: 1, Turns: 7, Live: 4, Ready: 1, Threads: 1, Timers: 1})
		close(finish)
		return co.Wait(late, thread)
	})
	if _, err := tinyio.RunOn(background, l, root); err != nil {
		t.Fatal(err)
	}
	want("afterwards", tinyio.Stats{Started: 5, Finished: 5, Turns: 11})
	failing := tinyio.Do(func(co *tinyio.Co) error {
		stopped := co.Go(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		if err := co.Yield(); err != nil {
			return err
		}
		fresh := co.Go(func(co *tinyio.Co) error { return nil })
		_, _ = stopped, fresh
		return errBoom
	})
	if _, err := tinyio.RunOn(background, l, failing); !errors.Is(err, errBoom) {
		t.Errorf("the second run ends with %v", err)
	}
	want("after a failure", tinyio.Stats{Started: 8, Finished: 8, Failed: 1, Turns: 15})
}

// Stats and Running answer while a coroutine blocks the loop, even if they have never been called before (R32).
func TestStatsAndRunningOfALoopThatIsStuck(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		if name, _, ok := l.Running(); ok {
			t.Errorf("before its run it is the turn of %q", name)
		}
		for range 2 { // the time of a turn is known from the first question on
			l, block := tinyio.NewLoop(), make(chan tinyio.Void)
			stuck := tinyio.Do(func(co *tinyio.Co) error {
				<-block
				if err := co.Sleep(time.Hour); err != nil {
					return err
				}
				<-block
				return nil
			}).Named("stuck")
			ended := make(chan error)
			go func() {
				_, err := tinyio.RunOn(background, l, stuck)
				ended <- err
			}()
			synctest.Wait()
			wantStuck := func(since time.Time, turns uint64) {
				t.Helper()
				name, got, ok := l.Running()
				if name != "stuck" || !got.Equal(since) || !ok {
					t.Errorf("it is the turn of %q since %v, %v, want since %v", name, got, ok, since)
				}
				if got, want := l.Stats(), (tinyio.Stats{Started: 1, Turns: turns, Live: 1}); got != want {
					t.Errorf("%+v, want %+v", got, want)
				}
			}
			began := time.Now()
			wantStuck(began, 1)
			time.Sleep(time.Second)
			wantStuck(began, 1)
			block <- tinyio.Void{}
			synctest.Wait()
			if name, _, ok := l.Running(); ok {
				t.Errorf("while all sleep it is the turn of %q", name)
			}
			time.Sleep(2 * time.Hour)
			wantStuck(began.Add(time.Second+time.Hour), 2)
			close(block)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if name, _, ok := l.Running(); ok {
				t.Errorf("after its run it is the turn of %q", name)
			}
		}
	})
}

// Any goroutine may ask at any time: the race detector shows that they touch nothing else (R32).
func TestStatsAndRunningFromOtherGoroutines(t *testing.T) {
	noLeaks(t)
	l, ended := tinyio.NewLoop(), make(chan error)
	go func() {
		_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
			for i := range 1000 {
				c := sleeper(time.Duration(i) * time.Nanosecond).Named("one of many")
				if err := co.Wait(c, sleeper(0)); err != nil {
					return err
				}
			}
			return nil
		}).Named("first"))
		ended <- err
	}()
	for before := (tinyio.Stats{}); ; runtime.Gosched() {
		s := l.Stats()
		if s.Started < before.Started || s.Finished < before.Finished || s.Turns < before.Turns || s.Finished > s.Started || s.Live < 0 || s.Live > 4 {
			t.Errorf("%+v after %+v", s, before)
		}
		before = s
		if name, since, ok := l.Running(); ok && (name == "" || time.Since(since) < 0) {
			t.Errorf("it is the turn of %q since %v", name, since)
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// A Status has the number of its coroutine, the numbers of those that it waits for, and its deadline; as text it has their names (R32).
func TestStatusHasNumbersAndDeadlines(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	naps := []*tinyio.Coro[tinyio.Void]{sleeper(time.Hour).Named("a"), sleeper(2 * time.Hour).Named("b")}
	var began time.Time
	var first, second []tinyio.Status
	root := tinyio.Do(func(co *tinyio.Co) error {
		began = co.Now()
		co.Go(func(co *tinyio.Co) error { return co.Wait(tinyio.Awaitables(naps)...) })
		limited := tinyio.Do(func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, naps[1], 3*time.Hour)
			return err
		}).Named("limited")
		if err := co.Spawn(limited); err != nil {
			return err
		}
		if err := co.Sleep(time.Minute); err != nil {
			return err
		}
		first = l.Status()
		if err := co.Sleep(time.Hour); err != nil {
			return err
		}
		second = l.Status()
		return nil
	}).Named("root")
	if _, err := tinyio.RunOn(background, l, root); err != nil {
		t.Fatal(err)
	}
	want := func(all []tinyio.Status, want ...string) {
		t.Helper()
		var log recorder
		for _, s := range all {
			text, _, _ := strings.Cut(strings.TrimPrefix(s.String(), s.Coro+": "), " at ")
			after := time.Duration(0)
			if !s.Deadline.IsZero() {
				after = s.Deadline.Sub(began)
			}
			log.add("%d %s %v %v", s.ID, text, s.For, after)
		}
		log.want(t, want...)
	}
	want(first, "0 running [] 0s", "1 waiting for a coroutine (a, b) [3 4] 0s", "2 waiting for a coroutine (b) [4] 3h0m0s",
		"3 waiting for a timer [] 1h0m0s", "4 waiting for a timer [] 2h0m0s")
	want(second, "0 running [] 0s", "1 waiting for a coroutine (b) [4] 0s", "2 waiting for a coroutine (b) [4] 3h0m0s",
		"4 waiting for a timer [] 2h0m0s")
	byHand := tinyio.Status{Frame: tinyio.Frame{Coro: "c", File: "f.go", Line: 1}, State: "waiting", On: "a coroutine", For: []tinyio.ID{7}}
	if got, want := byHand.String(), "c: waiting for a coroutine (#7) at f.go:1"; got != want {
		t.Errorf("a Status made by hand is %q, want %q", got, want)
	}
}

// Snapshot is Status for other goroutines, taken between two turns (R32).
func TestSnapshotFromAnotherGoroutine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := serve()
		block := make(chan tinyio.Void)
		blocking := submit(background, s.Loop, tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(time.Hour); err != nil {
				return 0, err
			}
			<-block
			return 0, nil
		}).Named("blocking"))
		all, err := s.Snapshot(background)
		var log recorder
		for _, s := range all {
			log.add("%s: %s for %s", s.Coro, s.State, s.On)
		}
		log.want(t, "tinyio.Serve: waiting for a thread or callback", "tinyio.Submit: waiting for a coroutine", "blocking: waiting for a timer")
		if err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
		ctx, cancel := context.WithCancelCause(background)
		time.AfterFunc(time.Second, func() { cancel(errBoom) })
		if all, err := s.Snapshot(ctx); all != nil || err != errBoom {
			t.Errorf("while the loop is stuck Snapshot gives %v, %v", all, err)
		}
		if all, err := s.Snapshot(ctx); all != nil || err != errBoom {
			t.Errorf("with a context that is done Snapshot gives %v, %v", all, err)
		}
		close(block)
		if _, err := blocking.result(t); err != nil {
			t.Error(err)
		}
		s.end(errBoom)
	})
}

// If the loop is not running, or would be blocked, Snapshot returns an error that says so.
func TestSnapshotThatCannotBeTaken(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	refused := func(when string) {
		t.Helper()
		if all, err := l.Snapshot(background); all != nil || err != tinyio.ErrNotRunning {
			t.Errorf("%s Snapshot gives %v, %v", when, all, err)
		}
	}
	refused("before the run")
	root := tinyio.Do(func(co *tinyio.Co) error {
		_, err := l.Snapshot(background)
		if err == nil || !strings.Contains(err.Error(), "use Status") {
			t.Errorf("in a coroutine Snapshot gives %v", err)
		}
		return nil
	})
	if _, err := tinyio.RunOn(background, l, root); err != nil {
		t.Fatal(err)
	}
	refused("after the run")
	var noContext context.Context
	wantSentence(t, panicOf(func() { l.Snapshot(noContext) }), "Snapshot", "context")
	wantSentence(t, panicOf(func() { new(tinyio.Loop).Snapshot(background) }), "Snapshot", "NewLoop")
}

// R16, R32: an observer and a cancel function may ask what every coroutine does: each is found where it waits, and not in the code that asks.
func TestStatusAskedByToolsAndCancelFunctions(t *testing.T) {
	noLeaks(t)
	var l *tinyio.Loop
	asked := map[string]int{}
	ask := func(who string) {
		for _, s := range l.Status() {
			asked[who]++
			if strings.Contains(s.Function, "observerFunc") || strings.Contains(s.Function, "Observe") || strings.HasSuffix(s.Function, t.Name()+".func1") {
				t.Errorf("%s finds %s at %v", who, s.Coro, s.Frame)
			}
		}
	}
	l = tinyio.NewLoop(tinyio.WithVirtualTime(), tinyio.WithObserver(observerFunc(func(hook.Note) { ask("the observer") })))
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		callback := tinyio.FromCallback(func(done func(int, error)) func(error) {
			return func(cause error) { ask("the cancel function"); done(0, cause) }
		}).Named("callback")
		return co.Wait(sleeper(time.Hour).Named("sleeper"), callback, failer(time.Second, errBoom).Named("failing"))
	}).Named("root"))
	if !errors.Is(err, errBoom) || asked["the observer"] == 0 || asked["the cancel function"] == 0 {
		t.Errorf("Run returns %v; asked were %v", err, asked)
	}
}

// A runListener records which runs there are.
type runListener struct {
	log         recorder
	made, begun int // coroutines
	queue       *lookin.Queue
}

func (l *runListener) Began(loop any, first string) { l.log.add("%s begins", first) }
func (l *runListener) Ended(any)                    { l.log.add("it ends") }
func (l *runListener) Number(any) uint64            { return 0 }
func (l *runListener) Made() (started func())       { l.made++; return func() { l.begun++ } }
func (l *runListener) MadeQueue() *lookin.Queue     { l.queue = new(lookin.Queue); return l.queue }

// R32: what package debug relies on: a listener is called for every run, nested ones too; whose turn it is; and what a Status does not say.
func TestListenerIsToldOfRuns(t *testing.T) {
	noLeaks(t)
	listener := new(runListener)
	lookin.Listen(listener)
	defer lookin.Listen(nil)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	if lookin.Turn(l) != 0 {
		t.Error("it is somebody's turn on a loop that does not run")
	}
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		if lookin.Turn(l) == 0 {
			t.Error("it is nobody's turn")
		}
		tinyio.NewQueue[int](lookin.Many - 1)
		if listener.queue != nil {
			t.Error("it is called for a small queue")
		}
		q := tinyio.NewQueue[int](lookin.Many)
		if err := errors.Join(q.Put(co, 1), q.Put(co, 2)); err != nil || q.Len() != 2 || listener.queue.Held.Load() != 2 {
			t.Error("a queue has", listener.queue.Held.Load(), err)
		}
		if q.TryGet(); q.Len() != 1 || listener.queue.Held.Load() != 1 || listener.queue.Loop.Load() != uintptr(unsafe.Pointer(l)) {
			t.Error("a queue has", listener.queue.Held.Load())
		}
		yields := tinyio.Do(func(co *tinyio.Co) error { return co.Yield() }).Named("yields")
		if err := errors.Join(co.SpawnDaemon(yields), succeeds()); err != nil {
			return err
		}
		for _, s := range l.Status() {
			if more := lookin.More(s); more.Daemon != (s.Coro == "yields") || more.Yielded != (s.Coro == "yields") || more.Stopped != nil {
				t.Errorf("of %s it gets %+v", s.Coro, more)
			}
		}
		return nil
	}).Named("root"))
	if err != nil {
		t.Fatal(err)
	}
	listener.log.want(t, "root begins", "nested begins", "it ends", "it ends")
	value(0, 1)
	if listener.made != 4 || listener.begun != 3 {
		t.Errorf("%d coroutines have been made and %d have begun", listener.made, listener.begun)
	}
}

// succeeds runs a loop of its own.
func succeeds() error {
	_, err := tinyio.Run(background, value(time.Second, 1).Named("nested"), tinyio.WithVirtualTime())
	return err
}

// A Snapshot that nobody waits for any more is not made: a loop that was stuck does not make all of them up. The numbers show it, since a
// Snapshot gives them to all coroutines.
func TestSnapshotThatWasGivenUpIsNotMade(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		stuck := tinyio.Do(func(*tinyio.Co) error {
			time.Sleep(time.Minute)
			return nil
		})
		ended := make(chan error)
		go func() {
			_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
				if err := co.Wait(sleeper(90*time.Second), stuck); err != nil { // the sleeper would have a number
					return err
				}
				return co.Wait(sleeper(time.Hour))
			}))
			ended <- err
		}()
		synctest.Wait()
		for range 3 {
			ctx, cancel := context.WithTimeout(background, time.Second)
			if _, err := l.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the loop that is stuck answers: %v", err)
			}
			cancel()
		}
		time.Sleep(2 * time.Minute)
		if all, err := l.Snapshot(background); err != nil || len(all) != 2 || all[1].ID != 1 {
			t.Errorf("%v, %v", all, err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// The time of a turn is that of its own run, even if another run of the loop was in another bubble.
func TestRunningIsOfItsOwnRun(t *testing.T) {
	l := tinyio.NewLoop()
	since := func() (at time.Time) {
		tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
			for range 2 {
				if err := co.Sleep(time.Second); err != nil {
					return err
				}
				_, at, _ = l.Running()
			}
			return nil
		}))
		return at
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		for i := range 2 {
			if got, want := since(), begun.Add(time.Duration(2*i+2)*time.Second); !got.Equal(want) {
				t.Errorf("the turn began at %v, want %v", got, want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now().Add(24 * time.Hour)
		time.Sleep(24 * time.Hour)
		if got, want := since(), begun.Add(2*time.Second); !got.Equal(want) {
			t.Errorf("in another bubble the turn began at %v, want %v", got, want)
		}
	})
}

// R32: in whatever way a coroutine waits, a Status has the line in its own code.
func TestStatusTellsTheLineOfEachWait(t *testing.T) {
	noLeaks(t)
	fn := func(co *tinyio.Co) (int, error) { return 1, co.Sleep(time.Hour) }
	forever := func() *tinyio.Coro[int] { return tinyio.New(fn) }
	var event tinyio.Event
	var lock tinyio.Lock
	lock.TryAcquire()
	full, empty := tinyio.NewQueue[int](1), tinyio.NewQueue[int](1)
	full.TryPut(1)
	barrier, pool := tinyio.NewBarrier(2), tinyio.NewThreadPool(1)
	in, out := make(chan int), make(chan int)
	blocks := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	maps := func(ctx context.Context, _ int) (int, error) { return 0, blocks(ctx) }
	waits := []func(co *tinyio.Co) error{ // each in the first line of its function
		func(co *tinyio.Co) error { return co.Sleep(time.Hour) },
		func(co *tinyio.Co) error { return event.Wait(co) },
		func(co *tinyio.Co) error { _, err := event.WaitFor(co, time.Hour); return err },
		func(co *tinyio.Co) error { return lock.Acquire(co) },
		func(co *tinyio.Co) error { return full.Put(co, 1) },
		func(co *tinyio.Co) error { _, err := empty.Get(co); return err },
		func(co *tinyio.Co) error { _, _, err := empty.GetFor(co, time.Hour); return err },
		func(co *tinyio.Co) error { _, err := barrier.Wait(co); return err },
		func(co *tinyio.Co) error { _, err := forever().Await(co); return err },
		func(co *tinyio.Co) error { _, err := tinyio.Gather(co, forever(), forever()); return err },
		func(co *tinyio.Co) error { return co.Wait(forever()) },
		func(co *tinyio.Co) error { _, err := tinyio.WaitAny(co, forever()); return err },
		func(co *tinyio.Co) error { _, err := tinyio.Timeout(co, forever(), time.Hour); return err },
		func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, forever()); return err },
		func(co *tinyio.Co) error { _, err := tinyio.First(co, forever(), forever()); return err },
		func(co *tinyio.Co) error { return co.Call(blocks) },
		func(co *tinyio.Co) error { return co.Shield(time.Hour, sleepsLong) },
		func(co *tinyio.Co) error { _, _, err := tinyio.Recv(co, in); return err },
		func(co *tinyio.Co) error { return tinyio.Send(co, out, 1) },
		func(co *tinyio.Co) error { return ranges(tinyio.AsCompleted(co, forever())) },
		func(co *tinyio.Co) error { return ranges(tinyio.Every(co, time.Hour)) },
		func(co *tinyio.Co) error { _, err := tinyio.MapInPool(pool, []int{1}, maps).Await(co); return err },
	}
	loop := tinyio.NewLoop(tinyio.WithVirtualTime())
	_, err := tinyio.RunOn(background, loop, tinyio.Do(func(co *tinyio.Co) error {
		want := map[string]int{}
		for _, wait := range waits {
			f := runtime.FuncForPC(reflect.ValueOf(wait).Pointer())
			_, line := f.FileLine(f.Entry())
			c := tinyio.Do(wait).Named(f.Name())
			want[f.Name()] = line
			if err := co.Spawn(c); err != nil {
				return err
			}
		}
		if err := co.Yield(); err != nil {
			return err
		}
		for _, s := range loop.Status() {
			if line, ok := want[s.Coro]; ok {
				below := strings.HasSuffix(s.Function, ".sleepsLong") || strings.Contains(s.Function, ".ranges")
				if s.State != "waiting" || !below && (!strings.HasPrefix(s.Function, s.Coro) || s.Line != line) {
					t.Errorf("%v; want line %d", s, line)
				}
				delete(want, s.Coro)
			}
		}
		if len(want) > 0 {
			t.Errorf("these are missing: %v", want)
		}
		return errBoom
	}))
	if !errors.Is(err, errBoom) {
		t.Error(err)
	}
}

func sleepsLong(co *tinyio.Co) error { return co.Sleep(time.Hour) }

// ranges waits for the first element of all.
func ranges[T any](all iter.Seq2[T, error]) error {
	for _, err := range all {
		return err
	}
	return nil
}

// Status allocates nothing for a coroutine that waits at a line that has been looked up for another one.
func TestStatusOfACrowdAllocatesLittle(t *testing.T) {
	noLeaks(t)
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	loop := tinyio.NewLoop()
	_, err := tinyio.RunOn(background, loop, tinyio.Do(func(co *tinyio.Co) error {
		var over tinyio.Event
		defer over.Set()
		for range 1000 {
			co.Go(over.Wait)
		}
		if err := co.Yield(); err != nil {
			return err
		}
		if n := testing.AllocsPerRun(10, func() { loop.Status() }); n > 5 {
			t.Errorf("the Status of 1,000 coroutines takes %v allocations", n)
		}
		return nil
	}))
	if err != nil {
		t.Error(err)
	}
}
