package durable_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// Random programs, of all that a program may do, closed and opened again at random moments: none may be taken for another one, and the
// history of each must be one that Verify accepts.

func init() {
	durable.Register("test.random", func(seed uint64) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			p := &randomProgram{rand: rand.New(rand.NewPCG(seed, 1)), seed: seed}
			return p.body(co, 4)
		}).Named("random")
	})
	durable.Register("test.random.child", func(n int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(time.Duration(n) * time.Second); err != nil {
				return 0, err
			}
			if n%3 == 0 {
				return 0, errKnown
			}
			return value(co, "child", n)
		})
	})
}

// A randomProgram chooses what it does next. It draws in its own turns, in an order that is the same in each replay.
type randomProgram struct {
	rand *rand.Rand
	seed uint64
	name int
}

func (p *randomProgram) seconds() time.Duration { return time.Duration(p.rand.IntN(20)) * time.Second }

// function is one for a thread: it takes some time, and may fail.
func (p *randomProgram) function() func(ctx context.Context) (int, error) {
	d, fails, deaf, v := p.seconds(), p.rand.IntN(4), p.rand.IntN(5) == 0, p.rand.IntN(100)
	return func(ctx context.Context) (int, error) {
		done := ctx.Done()
		if deaf {
			done = nil
		}
		select {
		case <-time.After(d):
		case <-done:
			switch fails {
			case 0:
				return v, context.Cause(ctx)
			case 1:
				return v, ctx.Err()
			case 2:
				return v, fmt.Errorf("killed: %w", errTest)
			}
			return v, nil
		}
		switch fails {
		case 0:
			return v, errKnown
		case 1:
			return v, fmt.Errorf("number %d: %w", v, errTest)
		case 2:
			if v < 10 {
				panic("out of cheese")
			}
		}
		return v, nil
	}
}

func (p *randomProgram) coro(depth int) *tinyio.Coro[int] {
	p.name++
	name := fmt.Sprint("c", p.name)
	if p.rand.IntN(3) == 0 {
		return tinyio.RunInThread(p.function()).Named(name)
	}
	return tinyio.New(func(co *tinyio.Co) (int, error) { return p.body(co, depth-1) }).Named(name)
}

func (p *randomProgram) coros(depth int) (cs []*tinyio.Coro[int]) {
	for range 1 + p.rand.IntN(3) {
		cs = append(cs, p.coro(depth))
	}
	return cs
}

func (p *randomProgram) retry() durable.Retry {
	return durable.Retry{Attempts: p.rand.IntN(4) + 1, Wait: p.seconds(), MaxWait: p.seconds()}
}

// body does some things one after the other.
func (p *randomProgram) body(co *tinyio.Co, depth int) (sum int, err error) {
	if p.rand.IntN(3) == 0 {
		defer func() {
			err = errors.Join(err, co.Shield(p.seconds(), func(co *tinyio.Co) error {
				_, err := p.act(co, depth-1)
				return err
			}))
		}()
	}
	for range 1 + p.rand.IntN(3) {
		v, err := p.act(co, depth)
		sum += v
		if err != nil && (co.Err() != nil || p.rand.IntN(3) == 0) {
			return sum, err
		}
	}
	return sum, nil
}

// act does one thing.
func (p *randomProgram) act(co *tinyio.Co, depth int) (v int, err error) {
	p.name++
	name := fmt.Sprint("s", p.name)
	if p.rand.IntN(3) == 0 {
		co = co.WithValues(durable.WithRetry(co, p.retry()))
	}
	kinds := 15
	if depth <= 0 {
		kinds = 7
	}
	switch p.rand.IntN(kinds) {
	case 0:
		return 1, co.Sleep(p.seconds())
	case 1:
		return 2, co.Yield()
	case 2:
		return durable.Step(co, name, p.function(), p.retry())
	case 3:
		return tinyio.Call(co, p.function())
	case 4:
		return int(durable.Now(co).Unix()+int64(durable.Random(co).IntN(10))) % 1000, nil
	case 5:
		return tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) { return durable.Receive[int](co, "n") }), p.seconds())
	case 6:
		return durable.Version(co, name, 0, 3)
	case 7:
		return tinyio.Timeout(co, p.coro(depth), p.seconds())
	case 8:
		return tinyio.Isolate(co, p.coro(depth))
	case 9:
		return tinyio.First(co, p.coros(depth)...)
	case 10:
		vs, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) ([]int, error) { return tinyio.Gather(co, p.coros(depth)...) }))
		for _, x := range vs {
			v += x
		}
		return v, err
	case 11:
		c := p.coro(depth)
		if err := co.SpawnDaemon(c); err != nil {
			return 0, err
		}
		if err := co.Sleep(p.seconds()); err != nil {
			return 0, err
		}
		return 3, c.Cancel(co, errKnown)
	case 12:
		fn := p.function()
		vs, err := tinyio.Isolate(co, tinyio.MapInPool(tinyio.NewThreadPool(2), []int{1, 2, 3}, func(ctx context.Context, x int) (int, error) { return fn(ctx) }))
		return len(vs), err
	case 13:
		return tinyio.Isolate(co, durable.Child[int, int](co, "test.random.child", "", p.rand.IntN(10)))
	}
	var shared int
	err = co.Shield(p.seconds(), func(co *tinyio.Co) error {
		shared, err = p.act(co, depth-1)
		return err
	})
	return shared, err
}

var randomRounds = flag.Int("random", 60, "how many random programs to try")

func TestRandomProgramsAreReplayed(t *testing.T) {
	base := rand.Uint64()
	for n := range *randomRounds {
		testRandomProgram(t, base+uint64(n))
		if t.Failed() {
			t.Logf("the program is that of seed %d", base+uint64(n))
			return
		}
	}
}

func testRandomProgram(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir, durable.WithSegmentSize(4<<10))
		run := start[int](t, j, "test.random", "one", seed)
		for i := 0; ; i++ {
			away := time.Duration(r.IntN(30_000)) * time.Millisecond
			if i > 30 {
				away = 24 * time.Hour // now it comes to its end
			}
			ctx, cancel := context.WithTimeout(t.Context(), away)
			_, err := run.Result(ctx)
			over := ctx.Err() == nil
			cancel()
			if over || i > 31 {
				if info := infoOf(t, j, "one"); !info.State.Ended() {
					t.Errorf("the run is %s: %v, %v", info.State, info.Err, err)
				}
				break
			}
			switch r.IntN(6) {
			case 0:
				if err := durable.Signal(t.Context(), j, "one", "n", i); err != nil && !errors.Is(err, durable.ErrEnded) {
					t.Error(err)
				}
			case 1:
				if r.IntN(6) == 0 {
					if err := run.Cancel(t.Context(), errKnown); err != nil {
						t.Error(err)
					}
				}
			}
			closeJournal(t, j)
			time.Sleep(time.Duration(r.IntN(10)) * time.Second)
			j = open(t, dir, durable.WithSegmentSize(4<<10))
			recoverAll(t, j)
			run = durable.Find[int](j, "one")
		}
		var history bytes.Buffer
		if err := j.Export(t.Context(), "one", &history); err != nil {
			t.Fatal(err)
		}
		if err := durable.Verify(bytes.NewReader(history.Bytes())); err != nil && !strings.Contains(err.Error(), "the run was compacted") {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the history is\n%s", history.String())
		}
		closeJournal(t, j)
	})
}
