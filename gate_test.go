package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// A gatekeeper lets in all that comes, and notes what that is, unless it plays a replay.
type gatekeeper struct {
	gate.Run
	refuses error              // what comes is refused with this, if it is not nil
	script  []func(r gate.Run) // what is done before one turn after the other, if it plays a replay
	threads map[hook.ID]*hook.Thread
	events  []any
	came    []string
	reads   int
	broke   []any
	stopped []error
	ended   int
}

func (k *gatekeeper) Begin(r gate.Run, _ context.Context, stopped error, c hook.Clock) (hook.Clock, error) {
	k.Run = r
	if stopped != nil {
		k.came = append(k.came, "stopped")
	}
	if k.ended > 0 {
		return nil, errors.New("twice")
	}
	return c, nil
}

func (k *gatekeeper) Enter(turns uint64) (more bool) {
	if k.script != nil {
		if int(turns) < len(k.script) && k.script[turns] != nil {
			k.script[turns](k.Run)
			k.script[turns] = nil
		}
	}
	for _, a := range k.Take() {
		what := []string{"returned", "submitted", "withdrawn", "posted", "set", "interrupted", "asked"}[a.Kind]
		switch a.Kind {
		case gate.Returned:
			what += fmt.Sprint(" ", a.Name, " ", a.How, " ", a.Err)
		case gate.Submitted, gate.Posted:
			what += fmt.Sprint(" ", strings.Fields(a.Place())[0], " ", len(a.Coros))
		case gate.Withdrawn, gate.Interrupted:
			what += fmt.Sprint(" ", a.Err)
		case gate.Set:
			what += fmt.Sprint(" ", a.Event)
		}
		k.came = append(k.came, what)
		if k.refuses != nil && a.Kind != gate.Returned {
			k.Refuse(a, k.refuses)
			continue
		}
		k.Run.Enter(a)
	}
	return false
}

func (k *gatekeeper) Read(_ any, read func() bool) bool {
	k.reads++
	return !k.Replays() && read()
}
func (k *gatekeeper) Done(ctx context.Context) bool { return ctx.Err() != nil }
func (k *gatekeeper) Replays() bool                 { return k.script != nil }
func (k *gatekeeper) Event(e any) uint32 {
	k.events = append(k.events, e)
	return uint32(len(k.events))
}
func (k *gatekeeper) Callback(t *hook.Thread) bool {
	if k.Replays() {
		k.threads[k.Current()] = t
	}
	return !k.Replays()
}
func (k *gatekeeper) Broke(p any)       { k.broke = append(k.broke, p) }
func (k *gatekeeper) Stopped(err error) { k.stopped = append(k.stopped, err) }
func (k *gatekeeper) End()              { k.ended++ }

// gated returns a loop with a gate.
func gated(k *gatekeeper, opts ...tinyio.Option) *tinyio.Loop {
	return tinyio.NewLoop(append(opts, gate.With(k).(tinyio.Option))...)
}

// All that comes from outside comes through the gate, and nothing that does not.
func TestGate(t *testing.T) {
	noLeaks(t)
	for name, test := range map[string]struct {
		main func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error
		want string
	}{
		"nothing": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			c := tinyio.Do(func(co *tinyio.Co) error { e.Set(); return nil })
			return errors.Join(l.Post(c), e.Wait(co), co.Wait(c))
		}, ""},
		"thread": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			_, err := tinyio.Isolate(co, tinyio.RunInThread(func(context.Context) (int, error) { panic("no") }).Named("thread"))
			return errors.Join(co.Err(), isA[*tinyio.PanicError](err))
		}, "returned thread 1 " + "tinyio: panic"},
		"call": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			_, err := tinyio.CallInterruptible(co, func() {}, func() (int, error) { return 1, nil })
			return err
		}, "returned "},
		"callback": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			_, err := tinyio.FromCallback(func(done func(int, error)) func(error) { done(1, nil); return nil }).Named("callback").Await(co)
			return err
		}, "returned callback 0 <nil>"},
		"submit": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			return co.Call(func(ctx context.Context) error {
				_, err := tinyio.Submit(ctx, l, tinyio.Do(func(co *tinyio.Co) error { return co.Yield() }).Named("it"))
				return err
			})
		}, "submitted it 1, returned "},
		"withdraw": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			ctx, cancel := context.WithCancelCause(background)
			return co.Call(func(context.Context) error {
				_, err := tinyio.Submit(ctx, l, tinyio.Do(func(co *tinyio.Co) error { cancel(errBoom); return co.Sleep(time.Hour) }).Named("it"))
				if err != errBoom {
					return err
				}
				return nil
			})
		}, "submitted it 1, withdrawn boom, returned "},
		"post": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			return co.Call(func(context.Context) error {
				return l.Post(tinyio.Do(func(co *tinyio.Co) error { return nil }).Named("it"))
			})
		}, "posted it 1, returned "},
		"set": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			go e.Set()
			for !e.IsSet() {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			e.Clear()
			go func() { time.Sleep(time.Millisecond); e.Set() }()
			return e.Wait(co)
		}, "set 1"},
		"channels": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			ch := make(chan int, 1)
			err := tinyio.Send(co, ch, 1)
			_, _, err2 := tinyio.Recv(co, ch)
			return errors.Join(err, err2)
		}, ""},
		"snapshot": {func(co *tinyio.Co, l *tinyio.Loop, e *tinyio.Event) error {
			return co.Call(func(ctx context.Context) error { _, err := l.Snapshot(ctx); return err })
		}, "asked, returned "},
	} {
		t.Run(name, func(t *testing.T) {
			k := new(gatekeeper)
			l := gated(k)
			var e tinyio.Event
			main := tinyio.Do(func(co *tinyio.Co) error { return test.main(co, l, &e) })
			if _, err := tinyio.RunOn(background, l, main); err != nil {
				t.Error(err)
			}
			if got := strings.Join(k.came, ", "); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("what came is %q, want %q", got, test.want)
			}
			if k.ended != 1 {
				t.Errorf("it has ended %d times", k.ended)
			}
			if _, err := tinyio.RunOn(background, l, tinyio.Do(func(*tinyio.Co) error { return nil })); err == nil || err.Error() != "twice" {
				t.Errorf("the second run ends with %v", err)
			}
		})
	}
}

func isA[E error](err error) error {
	var e E
	if errors.As(err, &e) {
		return nil
	}
	return fmt.Errorf("not what was expected: %w", err)
}

// The end of the context comes through the gate too, and so does that of a host who leaves.
func TestGateOfAnInterruptedRun(t *testing.T) {
	noLeaks(t)
	waits := func() *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
	}
	ctx, cancel := context.WithCancelCause(background)
	k := new(gatekeeper)
	time.AfterFunc(time.Millisecond, func() { cancel(errBoom) })
	if _, err := tinyio.RunOn(ctx, gated(k), waits()); !errors.Is(err, errBoom) {
		t.Error(err)
	}
	if !slices.Equal(k.came, []string{"interrupted boom"}) || len(k.stopped) != 1 {
		t.Errorf("what came is %q, and was stopped with %v", k.came, k.stopped)
	}
	k = new(gatekeeper)
	if _, err := tinyio.RunOn(ctx, gated(k), waits()); !errors.Is(err, errBoom) {
		t.Error(err)
	}
	if !slices.Equal(k.came, []string{"stopped"}) {
		t.Errorf("what came is %q", k.came)
	}
	k = new(gatekeeper)
	run := tinyio.Start(background, gated(k), waits())
	for range run.Steps() {
		break
	}
	if _, err := run.Result(); !errors.Is(err, tinyio.ErrAbandoned) {
		t.Error(err)
	}
	if len(k.came) != 1 || !strings.HasPrefix(k.came[0], "interrupted tinyio: the host left") {
		t.Errorf("what came is %q", k.came)
	}
}

// A start function that does not return, and a cancel function that does not, are told of.
func TestGateOfBrokenCallbacks(t *testing.T) {
	noLeaks(t)
	k := new(gatekeeper)
	_, err := tinyio.RunOn(background, gated(k), tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.FromCallback(func(func(int, error)) func(error) { panic("start") }))
		_, err2 := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			return tinyio.Isolate(co, tinyio.FromCallback(func(func(int, error)) func(error) {
				return func(error) { panic("cancel") }
			}).Named("second"))
		}), time.Millisecond)
		return errors.Join(co.Err(), isA[*tinyio.PanicError](err), isA[*tinyio.TimeoutError](err2))
	}))
	if err != nil || !slices.Equal(k.broke, []any{"start"}) {
		t.Errorf("it ends with %v, and %v were broken", err, k.broke)
	}
	if len(k.came) != 1 || !strings.HasPrefix(k.came[0], "returned second 1 ") {
		t.Errorf("what came is %q", k.came)
	}
}

// What a keeper refuses does not enter.
func TestGateRefuses(t *testing.T) {
	noLeaks(t)
	k := &gatekeeper{refuses: errBoom}
	l := gated(k)
	var e tinyio.Event
	_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		waiter := co.Go(func(co *tinyio.Co) error { _, err := e.WaitFor(co, 20*time.Millisecond); return err })
		if err := co.Yield(); err != nil {
			return err
		}
		err := co.Call(func(ctx context.Context) error {
			e.Set()
			e.Clear()
			_, err := tinyio.Submit(ctx, l, tinyio.Do(func(*tinyio.Co) error { return errors.New("it runs") }))
			return errors.Join(isEqual(err, errBoom), l.Post(tinyio.Do(func(*tinyio.Co) error { return errors.New("it runs") })))
		})
		return errors.Join(err, co.Wait(waiter))
	}))
	if err != nil || len(k.came) != 4 {
		t.Errorf("it ends with %v, and what came is %q", err, k.came)
	}
}

func isEqual(got, want error) error {
	if got != want {
		return fmt.Errorf("the error is %w", got)
	}
	return nil
}

// A keeper can make come what has come to another run.
func TestGateOfAReplay(t *testing.T) {
	noLeaks(t)
	var order []string
	note := func(s string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			order = append(order, s)
			if err := co.Sleep(time.Second); err != nil {
				order = append(order, s+": "+err.Error())
				return err
			}
			return nil
		}).Named(s)
	}
	k := &gatekeeper{threads: map[hook.ID]*hook.Thread{}}
	var e tinyio.Event
	k.script = []func(r gate.Run){
		3: func(r gate.Run) {
			r.Set(k.events[0])
			k.threads[1].Replay(func(v any) error { *v.(*int) = 5; return gate.Ending(gate.Normally, nil) })
			r.Submit(background, note("submitted"), 0, hook.Nobody)
			r.Post(note("posted"), hook.Nobody)
		},
		6: func(r gate.Run) {
			if r.Withdraw(999, errBoom) || r.Withdraw(0, errBoom) || !r.Withdraw(2, errBoom) {
				t.Error("it withdraws what is no submission, or not one that is")
			}
		},
		7: func(r gate.Run) { r.Interrupt(errBoom) },
	}
	_, err := tinyio.RunOn(background, gated(k, tinyio.WithVirtualTime()), tinyio.Do(func(co *tinyio.Co) error {
		c := tinyio.FromCallback(func(func(int, error)) func(error) { t.Error("it is called"); return nil })
		if err := co.Spawn(c); err != nil {
			return err
		}
		if e.IsSet() {
			t.Error("it is set")
		}
		e.Set()
		e.Set()
		v, err := c.Await(co)
		order = append(order, fmt.Sprint("callback ", v))
		if err != nil {
			return err
		}
		return co.Sleep(time.Hour)
	}))
	if !errors.Is(err, errBoom) {
		t.Errorf("it ends with %v", err)
	}
	want := "submitted, posted, callback 5, submitted: tinyio: cancelled because of: boom, posted: tinyio: cancelled because of: boom"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("the order is %s", got)
	}
}
