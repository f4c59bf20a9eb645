package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// Recv and Send do what the channel operations do, without blocking the loop. No value is lost, even if the coroutine is stopped.

// recvLogged receives and logs the result.
func recvLogged(co *tinyio.Co, log *recorder, ch <-chan int) error {
	v, ok, err := tinyio.Recv(co, ch)
	log.add("received %d %v %v", v, ok, err)
	return err
}

// A receive or a send on a ready channel takes a turn (R1), and no other coroutine, hence no goroutine.
func TestChannelThatIsReadyCostsATurn(t *testing.T) {
	var log recorder
	notes := new(noteTaker)
	in, out := make(chan int, 2), make(chan int, 2)
	in <- 1
	in <- 2
	close(in)
	succeed(t, func(co *tinyio.Co) error {
		other := tinyio.Do(func(co *tinyio.Co) error {
			for i := range 5 {
				log.add("other %d", i)
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		})
		if err := co.Spawn(other); err != nil {
			return err
		}
		for range 3 {
			if err := recvLogged(co, &log, in); err != nil {
				return err
			}
		}
		err := tinyio.Send(co, out, 3)
		log.add("sent %v", err)
		return err
	}, tinyio.WithObserver(notes))
	log.want(t, "other 0", "other 1", "received 1 true <nil>", "other 2", "received 2 true <nil>", "other 3",
		"received 0 false <nil>", "other 4", "sent <nil>")
	if v := <-out; v != 3 {
		t.Errorf("%d was sent, want 3", v)
	}
	for _, line := range notes.lines {
		if strings.HasPrefix(line, "2 ") {
			t.Errorf("there is a third coroutine: %s", line)
		}
	}
}

// Values pass between coroutines of a loop through a channel without a buffer, while the others go on.
func TestChannelBetweenCoroutines(t *testing.T) {
	ch := make(chan int)
	var got []int
	succeed(t, func(co *tinyio.Co) error {
		from := tinyio.Do(func(co *tinyio.Co) error {
			defer close(ch)
			for i := range 100 {
				if err := tinyio.Send(co, ch, i); err != nil {
					return err
				}
			}
			return nil
		})
		to := tinyio.Do(func(co *tinyio.Co) error {
			for {
				v, ok, err := tinyio.Recv(co, ch)
				if !ok || err != nil {
					return err
				}
				got = append(got, v)
			}
		})
		return co.Wait(from, to)
	})
	if len(got) != 100 || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
}

// A channel that is closed while somebody waits to receive is no error.
func TestChannelClosedWhileReceiving(t *testing.T) {
	var log recorder
	ch := make(chan int)
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(tinyio.Do(func(co *tinyio.Co) error { return recvLogged(co, &log, ch) }),
			tinyio.Do(func(co *tinyio.Co) error {
				err := co.Sleep(time.Second)
				close(ch)
				return err
			}))
	})
	log.want(t, "received 0 false <nil>")
}

// A send to a closed channel panics in the coroutine that sends, be it closed before or meanwhile (R14).
func TestChannelClosedWhileSending(t *testing.T) {
	for name, before := range map[string]bool{"before": true, "meanwhile": false} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			if !before && raceEnabled() {
				t.Skip("to close a channel while somebody sends to it is a race, as it is among goroutines")
			}
			ch := make(chan int)
			cleaned := false
			p := panicErrorOf(t, func() {
				virtually(func(co *tinyio.Co) error {
					if before {
						close(ch)
					}
					sender := tinyio.Do(func(co *tinyio.Co) error {
						defer func() { cleaned = true }()
						return tinyio.Send(co, ch, 1)
					}).Named("sender")
					closer := tinyio.Do(func(co *tinyio.Co) error {
						err := co.Sleep(time.Second)
						if !before {
							close(ch)
						}
						return err
					})
					return co.Wait(sender, closer)
				})
			})
			if err, ok := p.Value.(runtime.Error); !ok || err.Error() != "send on closed channel" || !cleaned {
				t.Errorf("Run panics with %v, cleaned up: %v", p.Value, cleaned)
			}
			var names []string
			for _, f := range p.Trace {
				if strings.HasSuffix(f.File, "/channel.go") {
					t.Errorf("the trace shows the inside of the package: %v", f)
				}
				names = append(names, f.Coro)
			}
			want := []string{"sender"}
			if !before {
				want = append(want, "tinyio.Send")
			}
			if !slices.Equal(names[1:], want) {
				t.Errorf("the trace is %v, want %v behind the first", names, want)
			}
		})
	}
}

// A nil channel blocks for ever, which virtual time finds out (R24), and a Timeout ends; no goroutine waits for it.
func TestChannelThatIsNil(t *testing.T) {
	operations := map[string]func(co *tinyio.Co) error{
		"Recv": func(co *tinyio.Co) error { _, _, err := tinyio.Recv[int](co, nil); return err },
		"Send": func(co *tinyio.Co) error { return tinyio.Send(co, nil, 1) },
	}
	for name, operation := range operations {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var deadlock *tinyio.DeadlockError
			if err := virtually(operation); !errors.As(err, &deadlock) || len(deadlock.Waits) != 1 {
				t.Errorf("Run returns %v, want a deadlock of one coroutine", err)
			}
			succeed(t, func(co *tinyio.Co) error {
				_, err := tinyio.Timeout(co, tinyio.Do(operation), time.Hour)
				if !errors.Is(err, tinyio.ErrTimeout) || passed(co) != time.Hour {
					t.Errorf("Timeout returns %v after %v", err, passed(co))
				}
				return nil
			})
		})
	}
}

// In a Status, what waits for a channel has the name of the operation and the function that called it.
func TestChannelOperationsAreNamed(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop()
	var status []string
	receiver := tinyio.Do(func(co *tinyio.Co) error {
		_, _, err := tinyio.Recv(co, make(chan int))
		return err
	}).Named("receiver")
	r := tinyio.Start(background, l, receiver)
	for p := range r.Steps() {
		if p.Blocked {
			for _, s := range l.Status() {
				status = append(status, fmt.Sprintf("%s %s %s %v", s.Coro, s.State, s.On, s.For))
				if !strings.HasSuffix(s.File, "channel_test.go") {
					t.Errorf("%s is at %s", s.Coro, s.File)
				}
			}
			break
		}
	}
	want := []string{"receiver waiting a coroutine [1]", "tinyio.Recv waiting a thread or callback []"}
	if !slices.Equal(status, want) {
		t.Errorf("the status is %q, want %q", status, want)
	}
}

// A coroutine that is stopped before its channel is ready has not consumed anything, and has not sent.
func TestChannelCancelledBefore(t *testing.T) {
	noLeaks(t)
	in, out, full := make(chan int, 1), make(chan int), make(chan int, 1)
	full <- 0
	err := virtually(func(co *tinyio.Co) error {
		receiver := tinyio.Do(func(co *tinyio.Co) error {
			_, _, err := tinyio.Recv(co, in)
			in <- 1
			if _, _, again := tinyio.Recv(co, in); again != err {
				t.Errorf("Recv returns %v and then %v", err, again)
			}
			return err
		})
		sender := func(ch chan int) tinyio.Awaitable {
			return tinyio.Do(func(co *tinyio.Co) error { return tinyio.Send(co, ch, 1) })
		}
		return co.Wait(receiver, sender(out), sender(full), failer(time.Second, errBoom))
	})
	if !errors.Is(err, errBoom) || len(in) != 1 || len(full) != 1 || <-full != 0 {
		t.Errorf("Run returns %v, %d and %d values are left", err, len(in), len(full))
	}
	select {
	case <-out:
		t.Error("somebody still sends")
	default:
	}
}

// A coroutine that is stopped in the turn before it would look at a ready channel does not touch the channel.
func TestChannelCancelledDuringTheFirstTurn(t *testing.T) {
	noLeaks(t)
	in, out := make(chan int, 1), make(chan int, 1)
	in <- 1
	err := virtually(func(co *tinyio.Co) error {
		return co.Wait(
			tinyio.Do(func(co *tinyio.Co) error { _, _, err := tinyio.Recv(co, in); return err }),
			tinyio.Do(func(co *tinyio.Co) error { return tinyio.Send(co, out, 1) }),
			tinyio.Do(func(*tinyio.Co) error { return errBoom }))
	})
	if !errors.Is(err, errBoom) || len(in) != 1 || len(out) != 0 {
		t.Errorf("Run returns %v, %d values are left to receive and %d were sent", err, len(in), len(out))
	}
}

// A meeting is one operation on a channel whose other side is the host of the loop, so that the host decides what happens first.
type meeting struct {
	name    string
	operate func(co *tinyio.Co, ch chan int) (int, error)
	partner func(ch chan int) int // of the host
}

var meetings = []meeting{
	{"Recv", func(co *tinyio.Co, ch chan int) (int, error) {
		v, ok, err := tinyio.Recv(co, ch)
		if ok != (err == nil) {
			err = errors.New("ok and an error, or neither")
		}
		return v, err
	}, func(ch chan int) int { ch <- 7; return 7 }},
	{"Send", func(co *tinyio.Co, ch chan int) (int, error) { return 7, tinyio.Send(co, ch, 7) },
		func(ch chan int) int { return <-ch }},
}

// hosted runs c. Whenever the loop is blocked, it calls idle, until that returns false; from then on it waits. A host that waits for time
// sets the clock.
func hosted(ctx context.Context, l *tinyio.Loop, c *tinyio.Coro[tinyio.Void], idle func(p tinyio.Pause) bool) error {
	r := tinyio.Start(ctx, l, c)
	more := true
	for p := range r.Steps() {
		switch {
		case p.Blocked && more:
			more = idle(p)
		case p.Blocked && p.Deadline.IsZero():
			<-p.Wake
		}
	}
	_, err := r.Result()
	return err
}

// The host meets the coroutine and then stops it, in every way, before the loop knows that they have met: what has happened
// stands, and the next suspension of the coroutine returns the error.
func TestChannelCancelledInTheSameStep(t *testing.T) {
	for _, m := range meetings {
		ways := map[string]func(t *testing.T){
			"context": func(t *testing.T) {
				ch := make(chan int)
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				var v int
				var first, second error
				err := hosted(ctx, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error {
					v, first = m.operate(co, ch)
					second = co.Yield()
					return second
				}), func(tinyio.Pause) bool { m.partner(ch); cancel(); return false })
				if v != 7 || first != nil || !errors.Is(second, tinyio.ErrCancelled) || !errors.Is(err, context.Canceled) {
					t.Errorf("%d, %v, then %v; Run returns %v", v, first, second, err)
				}
			},
			"Isolate": func(t *testing.T) {
				ch := make(chan int)
				var fail tinyio.Event
				var v int
				var first, second error
				err := hosted(background, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error {
					failing := tinyio.Do(func(co *tinyio.Co) error {
						if err := fail.Wait(co); err != nil {
							return err
						}
						return errBoom
					})
					_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
						if err := co.Spawn(failing); err != nil {
							return err
						}
						v, first = m.operate(co, ch)
						second = co.Yield()
						return second
					}))
					wantError(t, "Isolate", err, errBoom)
					return nil
				}), func(tinyio.Pause) bool { fail.Set(); m.partner(ch); return false })
				if v != 7 || first != nil || !errors.Is(second, tinyio.ErrCancelled) || err != nil {
					t.Errorf("%d, %v, then %v; Run returns %v", v, first, second, err)
				}
			},
			"Timeout": func(t *testing.T) {
				ch, clock := make(chan int), newManualClock()
				err := hosted(background, tinyio.NewLoop(tinyio.WithClock(clock)), tinyio.Do(func(co *tinyio.Co) error {
					c := tinyio.New(func(co *tinyio.Co) (int, error) { return m.operate(co, ch) })
					v, err := tinyio.Timeout(co, c, time.Second)
					if v != 7 || err != nil {
						t.Errorf("Timeout returns %d, %v", v, err)
					}
					return err
				}), func(p tinyio.Pause) bool { m.partner(ch); clock.now = p.Deadline; return false })
				if err != nil {
					t.Errorf("Run returns %v", err)
				}
			},
			"the end of a Shield": func(t *testing.T) {
				ch, clock := make(chan int), newManualClock()
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				var v int
				var first, second error
				err := hosted(ctx, tinyio.NewLoop(tinyio.WithClock(clock)), tinyio.Do(func(co *tinyio.Co) error {
					return co.Shield(time.Second, func(co *tinyio.Co) error {
						v, first = m.operate(co, ch)
						second = co.Yield()
						return second
					})
				}), func(p tinyio.Pause) bool {
					if ctx.Err() == nil {
						cancel() // which begins the grace
						return true
					}
					m.partner(ch)
					clock.now = p.Deadline
					return false
				})
				if v != 7 || first != nil || !errors.Is(second, tinyio.ErrCancelled) || !errors.Is(err, context.Canceled) {
					t.Errorf("%d, %v, then %v; Run returns %v", v, first, second, err)
				}
			},
		}
		for name, way := range ways {
			t.Run(m.name+", "+name, func(t *testing.T) {
				noLeaks(t)
				within(t, func() { way(t) })
			})
		}
	}
}

// The coroutine is stopped after the loop has noticed that the other side has come, and before its turn.
func TestChannelCancelledAfterTheArrival(t *testing.T) {
	for _, m := range meetings {
		t.Run(m.name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				ch := make(chan int)
				var fail tinyio.Event
				var log recorder
				err := hosted(background, tinyio.NewLoop(), tinyio.Do(func(co *tinyio.Co) error {
					failing := tinyio.Do(func(co *tinyio.Co) error {
						if err := fail.Wait(co); err != nil {
							return err
						}
						log.add("failing")
						return errBoom
					})
					if err := co.Spawn(failing); err != nil {
						return err
					}
					v, err := m.operate(co, ch)
					log.add("%d %v", v, err)
					err = co.Yield()
					log.add("%v", err)
					return err
				}), func(p tinyio.Pause) bool {
					m.partner(ch)
					<-p.Wake // the thread has come back
					fail.Set()
					return false
				})
				wantError(t, "Run", err, errBoom)
				log.want(t, "failing", "7 <nil>", "tinyio: cancelled because of: boom")
			})
		})
	}
}

// In a Shield, Recv and Send work in a coroutine that is cancelled.
func TestChannelBehindAShield(t *testing.T) {
	ch := make(chan int)
	var log recorder
	crash(t, func(co *tinyio.Co) error {
		echo := tinyio.RunInThread(func(context.Context) (tinyio.Void, error) {
			ch <- 2 * <-ch
			return tinyio.Void{}, nil
		})
		goodbye := tinyio.Do(func(co *tinyio.Co) error {
			stop := co.Sleep(time.Hour)
			err := co.Shield(time.Hour, func(co *tinyio.Co) error {
				if err := tinyio.Send(co, ch, 4); err != nil {
					return err
				}
				return recvLogged(co, &log, ch)
			})
			log.add("shielded: %v", err)
			return stop
		})
		return errors.Join(co.Spawn(echo, goodbye), wait(co, failer(time.Second, errBoom)))
	})
	log.want(t, "received 8 true <nil>", "shielded: <nil>")
}

// No value is lost or doubled between goroutines and coroutines that give up at random moments.
func TestChannelLosesNothing(t *testing.T) {
	noLeaks(t)
	const each, workers = 200, 4
	in, out := make(chan int), make(chan int)
	var senders sync.WaitGroup
	for w := range workers {
		senders.Go(func() {
			for i := range each {
				in <- w*each + i
			}
		})
	}
	go func() { senders.Wait(); close(in) }()
	var got []int
	received := make(chan tinyio.Void)
	go func() {
		defer close(received)
		for v := range out {
			got = append(got, v)
		}
	}()
	relay := func(random *rand.Rand) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			patience := func() time.Duration { return time.Duration(random.IntN(60)) * time.Microsecond }
			type item struct {
				v  int
				ok bool
			}
			for {
				next, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (item, error) {
					v, ok, err := tinyio.Recv(co, in)
					return item{v, ok}, err
				}), patience())
				if errors.Is(err, tinyio.ErrTimeout) {
					continue
				}
				if err != nil || !next.ok {
					return err
				}
				for err = tinyio.ErrTimeout; errors.Is(err, tinyio.ErrTimeout); {
					_, err = tinyio.Timeout(co, tinyio.Do(func(co *tinyio.Co) error {
						return tinyio.Send(co, out, next.v)
					}), patience())
				}
				if err != nil {
					return err
				}
			}
		})
	}
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for w := range workers {
			cs = append(cs, relay(rand.New(rand.NewPCG(1, uint64(w)))))
		}
		return co.Wait(cs...)
	}))
	close(out)
	<-received
	slices.Sort(got)
	want := make([]int, each*workers)
	for i := range want {
		want[i] = i
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Run returns %v, %d values have come, want each of %d once", err, len(got), len(want))
	}
}
