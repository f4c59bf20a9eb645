package durable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// A recording is a run that is recorded, and can be replayed.
type recording struct {
	file  string
	notes notes
	loop  *tinyio.Loop
}

func newRecording(t *testing.T, opts ...tinyio.Option) *recording {
	r := &recording{file: filepath.Join(t.TempDir(), "tape")}
	r.loop = tinyio.NewLoop(append(opts, durable.Record(r.file), tinyio.WithObserver(&r.notes))...)
	return r
}

// replays checks that the replay on a loop, or on a new one if that is nil, returns v and err, and that an observer is told the same.
func (r *recording) replays(t *testing.T, l *tinyio.Loop, program func() *tinyio.Coro[int], v int, err error) {
	t.Helper()
	if l == nil {
		l = tinyio.NewLoop()
	}
	var again notes
	tinyio.WithObserver(&again)(l)
	v2, err2 := runAndRecover(func() (int, error) { return durable.ReplayOn(r.file, l, program()) })
	if v != v2 || withoutStacks(err) != withoutStacks(err2) {
		t.Errorf("it was %d, %s\n\nand is %d, %s", v, withoutStacks(err), v2, withoutStacks(err2))
	}
	if len(r.notes) > 0 && strings.HasPrefix(r.notes[0], "started") {
		again = again.withoutTimes()
	}
	sameNotes(t, r.notes, again)
}

func (s notes) withoutTimes() (without notes) {
	for _, line := range s {
		without = append(without, line[strings.IndexByte(line, ' ')+1:])
	}
	return without
}

// run runs program on the loop of r.
func (r *recording) run(ctx context.Context, program func() *tinyio.Coro[int]) (int, error) {
	return runAndRecover(func() (int, error) { return tinyio.RunOn(ctx, r.loop, program()) })
}

// recordAndReplay records a run of program and replays it. It returns what came of the first.
func recordAndReplay(t *testing.T, program func() *tinyio.Coro[int], opts ...tinyio.Option) (int, error) {
	t.Helper()
	r := newRecording(t, opts...)
	v, err := r.run(t.Context(), program)
	r.replays(t, nil, program, v, err)
	return v, err
}

// The function that was given to FromCallback runs once, and so does what it gives to be called when it is stopped.
func TestReplayOfACallback(t *testing.T) {
	started, stopped := 0, 0
	callback := func(d time.Duration) *tinyio.Coro[int] {
		return tinyio.FromCallback(func(done func(int, error)) func(error) {
			started++
			timer := time.AfterFunc(d, func() { done(7, nil) })
			return func(cause error) {
				stopped++
				timer.Stop()
				done(0, cause)
			}
		}).Named("callback")
	}
	v, err := recordAndReplay(t, func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			if _, err := tinyio.Timeout(co, callback(time.Hour), time.Millisecond); !errors.Is(err, tinyio.ErrTimeout) {
				t.Errorf("the first one ends with %v", err)
			}
			return callback(time.Millisecond).Await(co)
		}).Named("main")
	}, tinyio.WithVirtualTime())
	if v != 7 || err != nil || started != 2 || stopped != 1 {
		t.Errorf("it is %d, %v, after %d starts and %d stops", v, err, started, stopped)
	}
}

// However a thread, a call or a callback ends, the run ends in the same way, and so does the replay.
func TestReplayOfHowThingsEnd(t *testing.T) {
	ends := map[string]func(){
		"panic":  func() { panic("broken") },
		"goexit": runtime.Goexit,
	}
	for how, end := range ends {
		for what, program := range map[string]func() *tinyio.Coro[int]{
			"thread": func() *tinyio.Coro[int] {
				return tinyio.RunInThread(func(context.Context) (int, error) { end(); return 0, nil }).Named("it")
			},
			"call": func() *tinyio.Coro[int] {
				return tinyio.New(func(co *tinyio.Co) (int, error) {
					return tinyio.Call(co, func(context.Context) (int, error) { end(); return 0, nil })
				}).Named("it")
			},
			"callback": func() *tinyio.Coro[int] {
				return tinyio.FromCallback(func(func(int, error)) func(error) { end(); return nil }).Named("it")
			},
			"stop of a callback": func() *tinyio.Coro[int] {
				return tinyio.New(func(co *tinyio.Co) (int, error) {
					return tinyio.Timeout(co, tinyio.FromCallback(func(func(int, error)) func(error) {
						return func(error) { end() }
					}).Named("it"), time.Millisecond)
				}).Named("main")
			},
			"coroutine": func() *tinyio.Coro[int] {
				return tinyio.New(func(co *tinyio.Co) (int, error) {
					err := co.Sleep(time.Millisecond)
					end()
					return 0, err
				}).Named("it")
			},
		} {
			t.Run(what+" "+how, func(t *testing.T) {
				_, err := recordAndReplay(t, program, tinyio.WithVirtualTime())
				var p *tinyio.PanicError
				if is := errors.As(err, &p); is != (how == "panic") || !is && err != errExits {
					t.Errorf("it ends with %v", err)
				}
			})
		}
	}
	if _, err := recordAndReplay(t, func() *tinyio.Coro[int] { // the channel is closed
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			ch := make(chan int)
			close(ch)
			return 0, tinyio.Send(co, ch, 1)
		}).Named("it")
	}); !strings.Contains(fmt.Sprint(err), "closed channel") {
		t.Errorf("it ends with %v", err)
	}
}

// What was received is given again, and what was sent is not sent again.
func TestReplayOfChannels(t *testing.T) {
	in, out := make(chan string, 1), make(chan int, 1)
	in <- "at once"
	go func() {
		<-out
		<-out
		in <- "later"
		close(in)
	}()
	v, err := recordAndReplay(t, func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			var got []string
			for i := range 3 {
				s, ok, err := tinyio.Recv(co, in)
				if err != nil {
					return 0, err
				}
				got = append(got, fmt.Sprint(s, ok))
				for range 2 {
					if i == 0 {
						if err := tinyio.Send(co, out, 1); err != nil {
							return 0, err
						}
					}
				}
			}
			if s := strings.Join(got, ", "); s != "at oncetrue, latertrue, false" {
				return 0, errors.New(s)
			}
			return 1, nil
		}).Named("main")
	})
	if v != 1 || err != nil {
		t.Errorf("it is %d, %v", v, err)
	}
}

// An Event counts that others set and clear, whether anybody waits or only looks.
func TestReplayOfEvents(t *testing.T) {
	for range 20 {
		var e, other tinyio.Event
		first := true
		v, err := recordAndReplay(t, func() *tinyio.Coro[int] {
			if !first {
				e.Clear()
				other.Clear()
			}
			outside := func(do func()) {
				if first {
					go do()
				}
			}
			return tinyio.New(func(co *tinyio.Co) (int, error) {
				outside(e.Set)
				turns := 0
				for !e.IsSet() {
					if err := co.Yield(); err != nil {
						return 0, err
					}
					turns++
				}
				outside(func() { e.Clear(); other.Set() })
				if err := other.Wait(co); err != nil {
					return 0, err
				}
				if e.IsSet() {
					return 0, errTest
				}
				outside(func() { time.Sleep(time.Millisecond); e.Set() })
				set, err := e.WaitFor(co, time.Minute)
				first = false
				if !set {
					return 0, errTest
				}
				return turns, err
			}).Named("main")
		})
		if err != nil {
			t.Fatalf("it is %d, %v", v, err)
		}
	}
}

// A coroutine that comes from outside as code ends the run, and the error says which one and what to do.
func TestRecordRefusesCode(t *testing.T) {
	for _, op := range []string{"Submit", "Post"} {
		t.Run(op, func(t *testing.T) {
			r := newRecording(t)
			program := func() *tinyio.Coro[int] {
				return tinyio.New(func(co *tinyio.Co) (int, error) { return 0, co.Sleep(time.Hour) }).Named("main")
			}
			refused := make(chan error, 1)
			go func() {
				c := tinyio.Do(func(*tinyio.Co) error { t.Error("it runs"); return nil }).Named("stranger")
				if op == "Post" {
					refused <- r.loop.Post(c)
					return
				}
				_, err := tinyio.Submit(t.Context(), r.loop, c)
				refused <- err
			}()
			_, err := tinyio.RunOn(t.Context(), r.loop, program())
			for _, part := range []string{"stranger", "outside_test.go", op, "durable.Endpoint"} {
				if !strings.Contains(fmt.Sprint(err), part) {
					t.Errorf("the error is %v, without %s", err, part)
				}
			}
			if err := <-refused; (err == nil) != (op == "Post") {
				t.Errorf("%s returns %v", op, err)
			}
			_, again := durable.Replay(r.file, program())
			if fmt.Sprint(again) != fmt.Sprint(err) {
				t.Errorf("the replay ends with %v", again)
			}
		})
	}
}

// So does a value that cannot be kept.
func TestRecordRefusesValues(t *testing.T) {
	ch := make(chan any, 1)
	for name, program := range map[string]*tinyio.Coro[any]{
		"Call": tinyio.New(func(co *tinyio.Co) (any, error) {
			return tinyio.Call(co, func(context.Context) (chan int, error) { return make(chan int), nil })
		}),
		"interface": tinyio.New(func(co *tinyio.Co) (any, error) {
			return tinyio.Call(co, func(context.Context) (error, error) { return errTest, nil })
		}),
		"panics": tinyio.New(func(co *tinyio.Co) (any, error) {
			return tinyio.Call(co, func(context.Context) (unkeepable, error) { return 1, nil })
		}),
		"Recv": tinyio.New(func(co *tinyio.Co) (any, error) {
			ch <- func() {}
			v, _, err := tinyio.Recv(co, ch)
			return v, errors.Join(err, co.Yield())
		}),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tape")
			_, err := tinyio.Run(t.Context(), program.Named("main"), durable.Record(file))
			if err == nil || !strings.Contains(err.Error(), "cannot be recorded") || !strings.Contains(err.Error(), "encoding/json can keep") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

type unkeepable int

func (unkeepable) MarshalJSON() ([]byte, error) { panic("no") }

// A server is a program to which requests come.
func server(l *tinyio.Loop) (requests *durable.Endpoint[int, int], stop *durable.Endpoint[bool, bool], main func() *tinyio.Coro[int]) {
	sum, stopped := 0, new(tinyio.Event)
	requests = durable.NewEndpoint(l, "request", func(n int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			at, ok := co.Deadline()
			if n < 0 {
				return 0, co.Sleep(time.Hour)
			}
			if err := co.Yield(); err != nil {
				return 0, err
			}
			sum += n
			if ok {
				sum += int(at.Unix())
			}
			return sum, nil
		}).Named("request")
	})
	stop = durable.NewEndpoint(l, "stop", func(bad bool) *tinyio.Coro[bool] {
		return tinyio.New(func(co *tinyio.Co) (bool, error) {
			stopped.Set()
			if bad {
				return false, errTest
			}
			return bad, nil
		}).Named("stop")
	})
	return requests, stop, func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			err := stopped.Wait(co)
			return sum, err
		}).Named("main")
	}
}

func TestReplayOfRequests(t *testing.T) {
	for _, bad := range []bool{false, true} {
		r := newRecording(t)
		requests, stop, main := server(r.loop)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if v, err := requests.Submit(t.Context(), 3); v != 3 || err != nil {
				t.Errorf("Submit = %d, %v", v, err)
			}
			if err := requests.Post(4); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithDeadline(t.Context(), time.Unix(2e9, 0))
			defer cancel()
			if v, err := requests.Submit(ctx, 1); v != 2e9+8 || err != nil {
				t.Errorf("Submit = %d, %v", v, err)
			}
			ctx, leave := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Millisecond, func() { leave(errKnown) })
			if _, err := requests.Submit(ctx, -1); !errors.Is(err, errKnown) {
				t.Errorf("Submit = %v", err)
			}
			if _, err := stop.Submit(t.Context(), bad); errors.Is(err, errTest) != bad {
				t.Errorf("Submit = %v", err)
			}
		}()
		v, err := tinyio.RunOn(t.Context(), r.loop, main())
		<-ended
		if errors.Is(err, errTest) != bad {
			t.Errorf("it is %d, %v", v, err)
		}
		again := tinyio.NewLoop()
		_, _, main = server(again)
		r.replays(t, again, main, v, err)
		if bad && !strings.Contains(fmt.Sprintf("%+v", err), "tinyio.Submit, in github.com/tinyio-go/tinyio/durable_test.server") {
			t.Errorf("the chain is %+v", err)
		}

		var missing *durable.NondeterminismError
		if _, err := durable.Replay(r.file, main()); errors.As(err, &missing) || !strings.Contains(fmt.Sprint(err), `no endpoint "request"`) {
			t.Errorf("without an endpoint the error is %v", err)
		}
		other := tinyio.NewLoop()
		_, _, main = server(tinyio.NewLoop())
		durable.NewEndpoint(other, "request", func(s string) *tinyio.Coro[int] { return nil })
		if _, err := durable.ReplayOn(r.file, other, main()); err == nil || !strings.Contains(err.Error(), "takes another input") {
			t.Errorf("with another endpoint the error is %v", err)
		}
	}
}

// What a thread of a Shield submits is taken in while the run is being stopped, and is in the Shield.
func TestReplayOfARequestWhileTheRunIsStopped(t *testing.T) {
	r := newRecording(t)
	requests, _, _ := server(r.loop)
	program := func(requests *durable.Endpoint[int, int]) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			stop := co.Spawn(tinyio.Do(func(co *tinyio.Co) error { return errTest }).Named("fails"))
			err := co.Shield(time.Minute, func(co *tinyio.Co) error {
				v, err := tinyio.Call(co, func(ctx context.Context) (int, error) { return requests.Submit(ctx, 3) })
				if v < 3 || err != nil {
					t.Errorf("Submit = %d, %v", v, err)
				}
				return err
			})
			return 0, errors.Join(stop, err)
		}).Named("main")
	}
	v, err := runAndRecover(func() (int, error) { return tinyio.RunOn(t.Context(), r.loop, program(requests)) })
	if !errors.Is(err, errTest) {
		t.Errorf("it is %d, %v", v, err)
	}
	if tape, err := os.ReadFile(r.file); err != nil || !bytes.Contains(tape, []byte(`"shield":`)) {
		t.Errorf("the tape is %s, %v", tape, err)
	}
	again := tinyio.NewLoop()
	requests, _, _ = server(again)
	r.replays(t, again, func() *tinyio.Coro[int] { return program(requests) }, v, err)
}

// An input that cannot be kept is not taken in, and nothing else happens.
func TestEndpointRefusesWhatCannotBeKept(t *testing.T) {
	r := newRecording(t)
	e := durable.NewEndpoint(r.loop, "any", func(v any) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) { return 5, nil }).Named("request")
	})
	program := func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			return tinyio.Call(co, func(ctx context.Context) (int, error) {
				if _, err := e.Submit(ctx, func() {}); err == nil || !strings.Contains(err.Error(), "cannot be recorded") {
					t.Errorf("Submit = %v", err)
				}
				if err := e.Post(func() {}); err == nil {
					t.Error("Post takes it")
				}
				return e.Submit(ctx, "anything")
			})
		}).Named("main")
	}
	v, err := tinyio.RunOn(t.Context(), r.loop, program())
	if v != 5 || err != nil {
		t.Errorf("it is %d, %v", v, err)
	}
	again := tinyio.NewLoop()
	durable.NewEndpoint(again, "any", func(v any) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) { return 5, nil }).Named("request")
	})
	r.replays(t, again, program, v, err)
}

func TestEndpointMisuse(t *testing.T) {
	l := tinyio.NewLoop()
	fn := func(int) *tinyio.Coro[int] { return nil }
	durable.NewEndpoint(l, "taken", fn)
	for name, f := range map[string]func(){
		"taken":       func() { durable.NewEndpoint(l, "taken", fn) },
		"no loop":     func() { durable.NewEndpoint(nil, "a", fn) },
		"no name":     func() { durable.NewEndpoint(l, "", fn) },
		"no function": func() { durable.NewEndpoint[int, int](l, "b", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil || !strings.HasPrefix(fmt.Sprint(p), "durable: NewEndpoint: ") {
					t.Errorf("it panics with %v", p)
				}
			}()
			f()
		})
	}
}

// Elsewhere an Endpoint is Submit and Post.
func TestEndpointWithoutRecord(t *testing.T) {
	l := tinyio.NewLoop()
	requests, stop, main := server(l)
	ended := make(chan error, 1)
	go func() {
		_, err := requests.Submit(t.Context(), 3)
		ended <- errors.Join(err, requests.Post(4))
		_, _ = stop.Submit(t.Context(), false)
	}()
	if v, err := tinyio.RunOn(t.Context(), l, main()); v != 7 || err != nil {
		t.Errorf("it is %d, %v", v, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Wherever the file ends because the process did, the replay comes to that place, and tells what everybody was doing.
func TestReplayOfAPart(t *testing.T) {
	r := newRecording(t)
	requests, stop, main := server(r.loop)
	go func() {
		for i := range 5 {
			_, _ = requests.Submit(t.Context(), i)
		}
		_, _ = stop.Submit(t.Context(), false)
	}()
	if _, err := tinyio.RunOn(t.Context(), r.loop, main()); err != nil {
		t.Fatal(err)
	}
	tape, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(tape, []byte("\n"))
	lines = lines[:len(lines)-1]
	most := 0
	for n := 1; n < len(lines); n++ {
		part := append(bytes.Join(lines[:n], nil), `{"turn":`...) // and a line that is not there as a whole
		if err := os.WriteFile(r.file, part, 0o600); err != nil {
			t.Fatal(err)
		}
		var again notes
		l := tinyio.NewLoop(tinyio.WithObserver(&again))
		_, _, main := server(l)
		_, err := durable.ReplayOn(r.file, l, main())
		if rest := bytes.Count(bytes.Join(lines[n:], nil), []byte(`"is":`)); rest == 1 && err == nil { // only that it has ended, and when
			continue
		}
		var traced *tinyio.Error
		if !errors.Is(err, durable.ErrEndOfRecord) || !errors.As(err, &traced) || len(traced.Trace)+len(traced.State) == 0 {
			t.Fatalf("after %d lines of %d the error is %+v", n, len(lines), err)
		}
		same := 0
		for same < min(len(again), len(r.notes)) && again[same] == r.notes[same] {
			same++
		}
		if same < most {
			t.Errorf("%d lines go less far than %d: %d notes, and %d", n, n-1, same, most)
		}
		most = same
	}
	if most < len(r.notes)/2 {
		t.Errorf("the last part goes as far as note %d of %d", most, len(r.notes))
	}
}

// A deadlock in virtual time is found at the same place.
func TestReplayOfADeadlock(t *testing.T) {
	_, err := recordAndReplay(t, func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			defer func() { _ = co.Shield(time.Hour, func(co *tinyio.Co) error { return co.Sleep(time.Minute) }) }()
			if err := co.Sleep(time.Second); err != nil {
				return 0, err
			}
			return 0, new(tinyio.Event).Wait(co)
		}).Named("main")
	}, tinyio.WithVirtualTime())
	var d *tinyio.DeadlockError
	if !errors.As(err, &d) {
		t.Errorf("it ends with %v", err)
	}
}

// A run of a host is recorded as any other is, also if the host leaves it.
func TestRecordOfAHostedRun(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		r := newRecording(t)
		run := tinyio.Start(t.Context(), r.loop, napper())
		steps := 0
		for p := range run.Steps() {
			if steps++; leaves && steps > 3 {
				break
			}
			if p.Blocked && !p.Deadline.IsZero() {
				time.Sleep(time.Until(p.Deadline))
			}
		}
		v, err := run.Result()
		if errors.Is(err, tinyio.ErrAbandoned) != leaves {
			t.Errorf("it is %d, %v", v, err)
		}
		r.notes = r.notes.withoutTimes() // the observer of a hosted run is told earlier
		r.replays(t, nil, napper, v, err)
	}
}

// napper is not inlined, because its function has the name of the caller then.
//
//go:noinline
func napper() *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		for range 3 {
			if err := co.Sleep(time.Millisecond); err != nil {
				return 0, err
			}
		}
		return tinyio.Call(co, func(context.Context) (int, error) { return 4, nil })
	}).Named("napper")
}

// A coroutine that has closed over the context of the run finds out before the run does that it is done (R12).
func TestReplayOfAnInterruptThatACoroutineSeesFirst(t *testing.T) {
	for range 20 {
		ctx, cancel := context.WithCancelCause(t.Context())
		program := func() *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) {
				cancel(errKnown)
				return 0, ctx.Err()
			}).Named("main")
		}
		r := newRecording(t)
		v, err := r.run(ctx, program)
		if !errors.Is(err, errKnown) {
			t.Errorf("it ends with %v", err)
		}
		r.replays(t, nil, program, v, err)
	}
}

// The deadline of the context is known in a replay, and does not end it.
func TestReplayOfADeadline(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Hour))
	defer cancel()
	program := func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			at, ok := co.Deadline()
			if !ok {
				return 0, errTest
			}
			return int(at.UnixNano()), nil
		}).Named("main")
	}
	r := newRecording(t)
	v, err := r.run(ctx, program)
	if err != nil {
		t.Fatal(err)
	}
	r.replays(t, nil, program, v, err)
}

// A loop is recorded once.
func TestRecordOfASecondRun(t *testing.T) {
	r := newRecording(t)
	program := func() *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) { return 3, co.Yield() }).Named("main")
	}
	v, err := tinyio.RunOn(t.Context(), r.loop, program())
	r.replays(t, nil, program, v, err)
	if _, err := tinyio.RunOn(t.Context(), r.loop, program()); err == nil || !strings.Contains(err.Error(), "make a loop for each run") {
		t.Errorf("the second run ends with %v", err)
	}
	l := tinyio.NewLoop()
	for _, want := range []string{"<nil>", "the loop has run before"} {
		if _, err := durable.ReplayOn(r.file, l, program()); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("the replay ends with %v", err)
		}
	}
}

// When the disk is full, the run ends with that error.
func TestRecordOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	program := tinyio.New(func(co *tinyio.Co) (int, error) { return 0, co.Sleep(time.Hour) })
	if _, err := tinyio.Run(t.Context(), program, durable.Record("/dev/full")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("it ends with %v", err)
	}
}

// A replay waits for nothing, so a debugger may stop it wherever it likes: in a bubble, where it would be seen, no time passes, and nobody else runs.
func TestReplayWaitsForNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tape")
	var before, after story
	program := func(log *story) *tinyio.Coro[int] { return wild(log, false) }
	if _, err := tinyio.Run(t.Context(), program(&before), durable.Record(file)); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if _, err := durable.Replay(file, program(&after)); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("%v have passed", d)
		}
	})
	if strings.Join(before, "\n") != strings.Join(after, "\n") {
		t.Error("it is another run")
	}
}
