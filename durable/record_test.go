package durable_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// A story is what has happened in a run, in order.
type story []string

func (s *story) add(co *tinyio.Co, format string, args ...any) {
	*s = append(*s, fmt.Sprintf("%d %s", co.Now().UnixNano(), fmt.Sprintf(format, args...)))
}

// wild is a program whose interleaving is another one each time. It fails in the end if fail is true.
func wild(log *story, fail bool) *tinyio.Coro[int] {
	work := func(i int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			for j := range 5 {
				v, err := tinyio.Call(co, func(ctx context.Context) (int, error) {
					time.Sleep(rand.N(300 * time.Microsecond))
					return rand.IntN(100), nil
				})
				log.add(co, "%d called %d: %d, %v", i, j, v, err)
				if err != nil {
					return 0, err
				}
				if err := co.Sleep(time.Duration(v) * time.Microsecond); err != nil {
					return 0, err
				}
				log.add(co, "%d slept", i)
				if err := co.Yield(); err != nil {
					return 0, err
				}
			}
			if fail && i == 3 {
				return 0, errTest
			}
			return i, nil
		}).Named(fmt.Sprint("worker ", i))
	}
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		spinning := true
		err := co.Spawn(tinyio.Do(func(co *tinyio.Co) error { // never lets the loop be idle, for a while
			for i := 0; spinning && i < 2000; i++ {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			log.add(co, "spun")
			return nil
		}).Named("spinner"))
		if err != nil {
			return 0, err
		}
		hang := tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }).Named("hang")
		_, err = tinyio.Timeout(co, hang, time.Millisecond)
		log.add(co, "timed out: %v", errors.Is(err, tinyio.ErrTimeout))
		_, err = tinyio.Isolate(co, tinyio.RunInThread(func(context.Context) (int, error) { return 0, errKnown }).Named("fails"))
		log.add(co, "isolated: %v", errors.Is(err, errKnown))
		var cs []*tinyio.Coro[int]
		for i := range 8 {
			cs = append(cs, work(i))
		}
		sum := 0
		for v, err := range tinyio.AsCompleted(co, cs...) {
			if err != nil {
				return 0, err
			}
			sum += v
			log.add(co, "completed %d", v)
		}
		spinning = false
		return sum, nil
	}).Named("root")
}

// sameStory records a run of program and replays it.
func sameStory(t *testing.T, ctx context.Context, program func(log *story) *tinyio.Coro[int]) (recorded error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tape")
	var before, after story
	v, err := tinyio.Run(ctx, program(&before), durable.Record(file))
	again, errAgain := durable.Replay(file, program(&after))
	if v != again || fmt.Sprint(err) != fmt.Sprint(errAgain) {
		t.Errorf("it was %d, %v, and is %d, %v", v, err, again, errAgain)
		if tape, err := os.ReadFile(file); err == nil {
			t.Logf("the tape ends with %s", tape[max(0, len(tape)-500):])
		}
	}
	if !slices.Equal(before, after) {
		for i := range min(len(before), len(after)) {
			if before[i] != after[i] {
				t.Errorf("number %d of %d was %q, and of %d is %q", i, len(before), before[i], len(after), after[i])
				break
			}
		}
		t.Errorf("the stories are not the same: %d, %d", len(before), len(after))
	}
	return err
}

func TestReplayIsTheSameRun(t *testing.T) {
	for range 5 {
		if err := sameStory(t, t.Context(), func(log *story) *tinyio.Coro[int] { return wild(log, false) }); err != nil {
			t.Errorf("the error is %v", err)
		}
		if err := sameStory(t, t.Context(), func(log *story) *tinyio.Coro[int] { return wild(log, true) }); !errors.Is(err, errTest) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestReplayTakesNoTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tape")
	sleeps := func() *tinyio.Coro[time.Time] {
		return tinyio.New(func(co *tinyio.Co) (time.Time, error) {
			err := co.Sleep(300 * time.Millisecond)
			return co.Now(), err
		})
	}
	then, err := tinyio.Run(t.Context(), sleeps(), durable.Record(file))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	again, err := durable.Replay(file, sleeps())
	if err != nil || !again.Equal(then) {
		t.Errorf("it was %v, and is %v, %v", then, again, err)
	}
	if d := time.Since(began); d >= 300*time.Millisecond {
		t.Errorf("it took %v", d)
	}
}

// The end of the context is recorded with its cause.
func TestReplayOfAnInterruptedRun(t *testing.T) {
	for name, program := range map[string]func(log *story) *tinyio.Coro[int]{
		"idle": func(log *story) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) {
				defer func() {
					_ = co.Shield(time.Second, func(co *tinyio.Co) error {
						log.add(co, "cleaning up")
						return co.Sleep(time.Millisecond)
					})
					log.add(co, "cleaned up")
				}()
				return 0, co.Wait(co.Go(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }))
			})
		},
		"busy": func(log *story) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) {
				defer log.add(co, "interrupted")
				for i := 0; ; i++ {
					if err := co.Yield(); err != nil {
						*log = append(*log, fmt.Sprint("after ", i, " turns"))
						return 0, err
					}
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, after := range []time.Duration{0, 100 * time.Microsecond, 5 * time.Millisecond} {
				ctx, cancel := context.WithCancelCause(t.Context())
				if after == 0 {
					cancel(errKnown)
				}
				time.AfterFunc(after, func() { cancel(errKnown) })
				if err := sameStory(t, ctx, program); !errors.Is(err, errKnown) {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}

func TestReplayOfAnotherProgram(t *testing.T) {
	call := func(name string) *tinyio.Coro[int] {
		return tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil }).Named(name)
	}
	// One in which the thread comes back when nobody is ready, and one in which it comes back while others are.
	replayOthers(t, call, call("a"))
	replayOthers(t, call, tinyio.New(func(co *tinyio.Co) (int, error) {
		a := call("a")
		if err := co.Spawn(a); err != nil {
			return 0, err
		}
		for !a.Finished() {
			if err := co.Yield(); err != nil {
				return 0, err
			}
		}
		return a.Await(co)
	}))
}

// replayOthers records a program, and replays others.
func replayOthers(t *testing.T, call func(name string) *tinyio.Coro[int], recorded *tinyio.Coro[int]) {
	file := filepath.Join(t.TempDir(), "tape")
	if _, err := tinyio.Run(t.Context(), recorded, durable.Record(file)); err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]*tinyio.Coro[int]{
		"another thread": call("b"),
		"a sleep":        tinyio.New(func(co *tinyio.Co) (int, error) { return 0, co.Sleep(time.Hour) }),
		"no thread":      tinyio.New(func(co *tinyio.Co) (int, error) { return 0, nil }),
		"a callback": tinyio.FromCallback(func(done func(int, error)) func(error) {
			return func(cause error) { done(0, cause) }
		}),
		"no pause": tinyio.New(func(co *tinyio.Co) (int, error) {
			for {
				if err := co.Yield(); err != nil {
					return 0, err
				}
			}
		}),
		"two threads": tinyio.New(func(co *tinyio.Co) (int, error) {
			if _, err := call("a").Await(co); err != nil {
				return 0, err
			}
			return call("a").Await(co)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := durable.Replay(file, program)
			var n *durable.NondeterminismError
			if !errors.As(err, &n) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestRecordWithoutAFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no", "such", "file")
	nothing := func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) { return 1, co.Sleep(time.Millisecond) })
	}
	if _, err := tinyio.Run(t.Context(), nothing(), durable.Record(missing)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error of Run is %v", err)
	}
	if _, err := durable.Replay(missing, nothing()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error of Replay is %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Replay(empty, nothing()); err == nil {
		t.Error("an empty file is replayed")
	}
}
