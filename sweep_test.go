package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// The fault sweep: programs that together use everything, each of which fails at every step in turn, in every way. A step
// is the moment before, or after, a call that may suspend, in whichever coroutine or thread. Whatever happens, the run ends,
// every coroutine that has started has ended once, every permit is back, children ended before parents, no goroutine is
// left, what comes out of Run is what went wrong, and the loop can be run again.

// errFault is what goes wrong.
var errFault = errors.New("fault")

// A way is how a step fails.
type way int

const (
	noFault way = iota
	failing
	panicking
	exiting
	interrupting // the context of the run is done
)

var wayNames = [...]string{"nothing", "an error", "a panic", "a Goexit", "an interruption"}

// A sweep is one run of a program, with the fault that it is to suffer.
type sweep struct {
	way    way
	at     int // the step, from 1
	cancel func()

	mu        sync.Mutex // threads take steps too
	steps     int
	caught    bool // an Isolate or a Timeout has handed back the fault
	inner     bool // the fault was inside a nested Run
	returned  bool // somebody who is being stopped returns the fault that an Isolate has handed back
	parts     []*part
	faults    []string
	sems      []*tinyio.Semaphore
	sizes     []int
	locks     []*tinyio.Lock
	pools     []*tinyio.ThreadPool
	conveyors []*conveyor
	begin     time.Time
	times     map[time.Duration]bool // at which a step was taken
}

// A part is a coroutine of a program.
type part struct {
	name           string
	coro           *tinyio.Coro[int]
	started, ended int
	faulty         bool // it has ended with the fault
}

// An act is something that a coroutine does.
type act func(co *tinyio.Co) error

func acts(co *tinyio.Co, as []act) error {
	for _, a := range as {
		if err := a(co); err != nil {
			return err
		}
	}
	return nil
}

func (s *sweep) complain(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// step counts a step, and fails if it is the one.
func (s *sweep) step() error {
	s.mu.Lock()
	s.steps++
	hit := s.steps == s.at
	s.mu.Unlock()
	if !hit {
		return nil
	}
	switch s.way {
	case failing:
		return errFault
	case panicking:
		panic(errFault)
	case exiting:
		runtime.Goexit()
	case interrupting:
		s.cancel()
	}
	return nil
}

// around makes an act of a call, with a step before it and one after it.
func (s *sweep) around(call act) act {
	return func(co *tinyio.Co) error {
		if s.begin.IsZero() {
			s.begin = co.Now()
		}
		s.times[co.Now().Sub(s.begin)] = true
		if err := s.step(); err != nil {
			return err
		}
		err := call(co)
		if fault := s.step(); fault != nil {
			return fault
		}
		return err
	}
}

// part makes a coroutine.
func (s *sweep) part(name string, as ...act) *part {
	p := &part{name: name}
	p.coro = tinyio.New(func(co *tinyio.Co) (int, error) {
		p.started++
		p.faulty = true
		defer func() { p.ended++ }()
		err := acts(co, as)
		p.faulty = errors.Is(err, errFault)
		return len(name), err
	}).Named(name)
	s.parts = append(s.parts, p)
	return p
}

// thread makes a coroutine of a thread.
func (s *sweep) thread(name string, make func(func(ctx context.Context) (int, error)) *tinyio.Coro[int],
	fn func(ctx context.Context) error) *part {
	p := &part{name: name}
	p.coro = make(func(ctx context.Context) (int, error) {
		s.mu.Lock()
		p.started++
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			p.ended++
			s.mu.Unlock()
		}()
		if err := s.step(); err != nil {
			return 0, err
		}
		err := fn(ctx)
		if fault := s.step(); fault != nil {
			return 0, fault
		}
		return len(name), err
	}).Named(name)
	s.parts = append(s.parts, p)
	return p
}

func (p *part) running() bool { return p.started > p.ended }

// childrenFirst fails the test if the wait of a coroutine is cancelled before those that it waits for have ended.
func (s *sweep) childrenFirst(err error, ps ...*part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(err, tinyio.ErrCancelled) {
		return
	}
	for _, p := range ps {
		if p.running() {
			s.complain("a parent hears of the cancellation before its child %s has ended", p.name)
		}
	}
}

func coros(ps []*part) (cs []*tinyio.Coro[int]) {
	for _, p := range ps {
		cs = append(cs, p.coro)
	}
	return cs
}

func (s *sweep) yields() act { return s.around((*tinyio.Co).Yield) }

func (s *sweep) sleeps(seconds int) act {
	return s.around(func(co *tinyio.Co) error { return co.Sleep(time.Duration(seconds) * time.Second) })
}

func (s *sweep) awaits(p *part) act {
	return s.around(func(co *tinyio.Co) error {
		_, err := p.coro.Await(co)
		s.childrenFirst(err, p)
		return err
	})
}

func (s *sweep) gathers(ps ...*part) act {
	return s.around(func(co *tinyio.Co) error {
		_, err := tinyio.Gather(co, coros(ps)...)
		s.childrenFirst(err, ps...)
		return err
	})
}

func (s *sweep) waits(ps ...*part) act {
	return s.around(func(co *tinyio.Co) error {
		err := co.Wait(tinyio.Awaitables(coros(ps))...)
		s.childrenFirst(err, ps...)
		return err
	})
}

func (s *sweep) spawns(ps ...*part) act {
	return s.around(func(co *tinyio.Co) error { return co.Spawn(tinyio.Awaitables(coros(ps))...) })
}

// limits awaits p for so long at most; running out of time is no error.
func (s *sweep) limits(p *part, seconds int) act {
	return s.around(func(co *tinyio.Co) error {
		d, watch := time.Duration(seconds)*time.Second, startWatch(co)
		_, err := tinyio.Timeout(co, p.coro, d)
		if watch.passed(co) < d { // or it may have given up waiting just before
			s.childrenFirst(err, p)
		}
		if errors.Is(err, tinyio.ErrTimeout) && co.Err() == nil {
			s.caught = s.caught || errors.Is(err, errFault)
			return nil
		}
		return err
	})
}

func (s *sweep) isolates(p *part) act {
	return s.around(func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, p.coro)
		s.childrenFirst(err, p)
		if p.running() {
			s.complain("Isolate has returned before %s has ended", p.name)
		}
		if errors.Is(err, errFault) && co.Err() == nil {
			s.caught = true
			return nil
		}
		s.returned = s.returned || errors.Is(err, errFault)
		return err
	})
}

func (s *sweep) completes(ps ...*part) act {
	return s.around(func(co *tinyio.Co) error {
		for _, err := range tinyio.AsCompleted(co, coros(ps)...) {
			s.childrenFirst(err, ps...)
			if err == nil {
				err = s.step()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// firstOf awaits the first of ps.
func (s *sweep) firstOf(ps ...*part) act {
	return s.around(func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for _, p := range ps {
			cs = append(cs, p.coro)
		}
		i, err := tinyio.WaitAny(co, cs...)
		s.childrenFirst(err, ps...)
		if err == nil && ps[i].running() {
			s.complain("WaitAny gives %s, which is running", ps[i].name)
		}
		return err
	})
}

// races has ps race. What goes wrong in those that do not win, or in what they have started, is of no interest.
func (s *sweep) races(started []*part, ps ...*part) act {
	return s.around(func(co *tinyio.Co) error {
		_, err := tinyio.First(co, coros(ps)...)
		for _, p := range append(started, ps...) {
			if p.running() {
				s.complain("First has returned before %s has ended", p.name)
			}
			if co.Err() == nil {
				s.caught = s.caught || p.faulty
			}
		}
		if errors.Is(err, errFault) && co.Err() == nil {
			return nil
		}
		return err
	})
}

// cancels cancels p.
func (s *sweep) cancels(p *part) act {
	return s.around(func(co *tinyio.Co) error {
		err := p.coro.Cancel(co, errors.New("no longer wanted"))
		s.childrenFirst(err, p)
		if p.running() {
			s.complain("Cancel has returned before %s has ended", p.name)
		}
		if errors.Is(err, errFault) && co.Err() == nil {
			s.caught = true
			return nil
		}
		return err
	})
}

// minds awaits p, which others may cancel or which may fail in another domain; it carries on then.
func (s *sweep) minds(p *part) act {
	return s.around(func(co *tinyio.Co) error {
		_, err := p.coro.Await(co)
		if err == nil || co.Err() != nil {
			s.childrenFirst(err, p)
			return err
		}
		if p.running() {
			s.complain("Await gives a result of %s, which is running", p.name)
		}
		s.caught = s.caught || errors.Is(err, errFault)
		return nil
	})
}

func (s *sweep) daemons(ps ...*part) act {
	return s.around(func(co *tinyio.Co) error { return co.SpawnDaemon(tinyio.Awaitables(coros(ps))...) })
}

// beats goes on for ever.
func (s *sweep) beats() act {
	beat := s.sleeps(1)
	return func(co *tinyio.Co) error {
		for {
			if err := beat(co); err != nil {
				return err
			}
		}
	}
}

// calls calls fn, which may block, in a goroutine, with steps there.
func (s *sweep) calls(fn func(ctx context.Context) error) act {
	return s.around(func(co *tinyio.Co) error {
		open := true
		err := co.Call(func(ctx context.Context) error {
			defer func() { open = false }()
			if err := s.step(); err != nil {
				return err
			}
			err := fn(ctx)
			if fault := s.step(); fault != nil {
				return fault
			}
			return err
		})
		if open && (err == nil || errors.Is(err, errFault)) {
			s.complain("Call returns %v before its function", err)
		}
		return err
	})
}

// interrupts calls what does not return before it is interrupted.
func (s *sweep) interrupts() act {
	return s.around(func(co *tinyio.Co) error {
		ch := make(chan struct{})
		_, err := tinyio.CallInterruptible(co, func() { close(ch) }, func() (int, error) {
			if err := s.step(); err != nil {
				return 0, err
			}
			<-ch
			return 0, s.step()
		})
		return err
	})
}

func returnsAtOnce(context.Context) error { return nil }

func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// A conveyor is a queue or a channel: what is put on it is either taken off it or left.
type conveyor struct {
	name      string
	put       func(co *tinyio.Co, v int) error
	get       func(co *tinyio.Co) (int, error)
	tryPut    func(v int) bool // of a queue
	left      func() int
	in, taken int // how many values, where no error was returned
}

func (s *sweep) queue(capacity int) *conveyor {
	q := tinyio.NewQueue[int](capacity)
	c := &conveyor{name: "queue", put: q.Put, get: q.Get, tryPut: q.TryPut, left: q.Len}
	s.conveyors = append(s.conveyors, c)
	return c
}

func (s *sweep) channel(capacity int) *conveyor {
	ch := make(chan int, capacity)
	c := &conveyor{name: "channel", left: func() int { return len(ch) }}
	c.put = func(co *tinyio.Co, v int) error { return tinyio.Send(co, ch, v) }
	c.get = func(co *tinyio.Co) (int, error) { v, _, err := tinyio.Recv(co, ch); return v, err }
	s.conveyors = append(s.conveyors, c)
	return c
}

func (s *sweep) puts(c *conveyor, n int) act {
	return s.around(func(co *tinyio.Co) error {
		for range n {
			if err := c.put(co, 1); err != nil {
				return err
			}
			c.in++
		}
		return nil
	})
}

// triesToPut puts a value if that can be done at once. Somebody may then have been given it whose turn has not come.
func (s *sweep) triesToPut(c *conveyor) act {
	return s.around(func(*tinyio.Co) error {
		if c.tryPut(1) {
			c.in++
		}
		return nil
	})
}

func (s *sweep) gets(c *conveyor, n int) act {
	return s.around(func(co *tinyio.Co) error {
		for range n {
			v, err := c.get(co)
			if err != nil {
				return err
			}
			c.taken += v
		}
		return nil
	})
}

func (s *sweep) shields(seconds int, as ...act) act {
	return func(co *tinyio.Co) error {
		return co.Shield(time.Duration(seconds)*time.Second, func(co *tinyio.Co) error { return acts(co, as) })
	}
}

// finally does as, and then, however they end, last in a Shield.
func (s *sweep) finally(last act, as ...act) act {
	return func(co *tinyio.Co) (err error) {
		defer func() {
			if fault := s.shields(5, last)(co); err == nil || errors.Is(fault, errFault) {
				err = fault
			}
		}()
		return acts(co, as)
	}
}

func (s *sweep) semaphore(n int) *tinyio.Semaphore {
	sem := tinyio.NewSemaphore(n)
	s.sems, s.sizes = append(s.sems, sem), append(s.sizes, n)
	return sem
}

func (s *sweep) lock() *tinyio.Lock {
	l := new(tinyio.Lock)
	s.locks = append(s.locks, l)
	return l
}

// A permit is a Semaphore or a Lock.
type permit interface {
	Acquire(co *tinyio.Co) error
	TryAcquire() bool
	Release()
}

// holds acquires a permit, does as, and releases it.
func (s *sweep) holds(l permit, as ...act) act {
	return func(co *tinyio.Co) error {
		if err := s.step(); err != nil {
			return err
		}
		if err := l.Acquire(co); err != nil {
			return err
		}
		defer l.Release()
		return acts(co, as)
	}
}

func (s *sweep) meets(b *tinyio.Barrier) act {
	return s.around(func(co *tinyio.Co) error { _, err := b.Wait(co); return err })
}

func (s *sweep) waitsFor(e *tinyio.Event) act { return s.around(e.Wait) }

func (s *sweep) waitsAWhileFor(e *tinyio.Event, seconds int) act {
	return s.around(func(co *tinyio.Co) error {
		_, err := e.WaitFor(co, time.Duration(seconds)*time.Second)
		return err
	})
}

func (s *sweep) sets(e *tinyio.Event) act {
	return func(*tinyio.Co) error { e.Set(); return nil }
}

// A call is a coroutine that completes gives a result.
type call struct {
	*part
	done func(int, error)
}

// callback makes a coroutine that other coroutines complete. It is done with the cause when it is cancelled.
func (s *sweep) callback(name string) *call {
	c := &call{part: &part{name: name}}
	c.coro = tinyio.FromCallback(func(done func(int, error)) func(error) {
		c.started++
		c.done = func(v int, err error) {
			c.ended = 1
			done(v, err)
		}
		return func(cause error) { c.done(0, cause) }
	}).Named(name)
	s.parts = append(s.parts, c.part)
	return c
}

func (c *call) completed() act {
	return func(*tinyio.Co) error {
		if c.done != nil {
			c.done(7, nil)
		}
		return nil
	}
}

// runs runs p on a loop of its own.
func (s *sweep) runs(p *part) act {
	return s.around(func(co *tinyio.Co) error {
		before := s.steps
		_, err := tinyio.Run(co, p.coro, tinyio.WithVirtualTime())
		s.inner = s.inner || before < s.at && s.at <= s.steps
		return err
	})
}

// The programs.
var sweepPrograms = []struct {
	name string
	make func(s *sweep) *part
}{
	{"chain of awaits", func(s *sweep) *part {
		leaf := s.part("leaf", s.yields(), s.sleeps(1), s.yields())
		middle := s.part("middle", s.yields(), s.awaits(leaf), s.sleeps(1))
		return s.part("root", s.awaits(middle), s.yields())
	}},
	{"diamond", func(s *sweep) *part {
		bottom := s.part("bottom", s.sleeps(2), s.yields())
		left := s.part("left", s.awaits(bottom), s.sleeps(1))
		right := s.part("right", s.sleeps(1), s.awaits(bottom), s.awaits(bottom))
		return s.part("root", s.gathers(left, right, left), s.waits(bottom, left))
	}},
	{"spawned", func(s *sweep) *part {
		a := s.part("a", s.sleeps(3), s.yields())
		b := s.part("b", s.sleeps(1), s.spawns(s.part("c", s.sleeps(5))), s.awaits(a))
		return s.part("root", s.spawns(a, b), s.sleeps(2))
	}},
	{"events", func(s *sweep) *part {
		e, f := new(tinyio.Event), new(tinyio.Event)
		a := s.part("a", s.waitsFor(e), s.sets(f), s.sleeps(1))
		b := s.part("b", s.waitsAWhileFor(e, 1), s.waitsAWhileFor(e, 10), s.waitsFor(f))
		return s.part("root", s.spawns(a, b), s.sleeps(2), s.sets(e), s.waitsFor(f), s.waits(a, b))
	}},
	{"semaphore", func(s *sweep) *part {
		sem := s.semaphore(2)
		var ps []*part
		for i := range 5 {
			ps = append(ps, s.part(fmt.Sprint("p", i), s.holds(sem, s.sleeps(1+i%2), s.yields())))
		}
		return s.part("root", s.gathers(ps...), s.holds(sem, s.yields()))
	}},
	{"locks", func(s *sweep) *part {
		l, m := s.lock(), s.lock()
		a := s.part("a", s.holds(l, s.sleeps(1), s.holds(m, s.yields())))
		b := s.part("b", s.holds(l, s.yields(), s.holds(m, s.sleeps(2))))
		c := s.part("c", s.holds(m, s.sleeps(1)))
		return s.part("root", s.spawns(c), s.gathers(a, b))
	}},
	{"barrier", func(s *sweep) *part {
		bar := tinyio.NewBarrier(3)
		a := s.part("a", s.meets(bar), s.sleeps(1), s.meets(bar))
		b := s.part("b", s.sleeps(1), s.meets(bar), s.meets(bar))
		return s.part("root", s.spawns(a, b), s.meets(bar), s.yields(), s.meets(bar))
	}},
	{"timeouts nested", func(s *sweep) *part {
		leaf := s.part("leaf", s.sleeps(10))
		inner := s.part("inner", s.limits(leaf, 2), s.sleeps(10))
		outer := s.part("outer", s.limits(inner, 3), s.sleeps(10))
		return s.part("root", s.limits(outer, 4), s.yields())
	}},
	{"timeout of a shared coroutine", func(s *sweep) *part {
		shared := s.part("shared", s.sleeps(5))
		only := s.part("only", s.yields(), s.sleeps(20))
		a := s.part("a", s.gathers(shared, only))
		b := s.part("b", s.yields(), s.awaits(shared))
		return s.part("root", s.spawns(b), s.limits(a, 2), s.limits(shared, 1), s.awaits(b))
	}},
	{"timeout, and clean-up that waits", func(s *sweep) *part {
		sem := s.semaphore(1)
		p := s.part("p", s.holds(sem, s.finally(s.sleeps(2), s.sleeps(10))))
		q := s.part("q", s.holds(sem, s.sleeps(1)))
		return s.part("root", s.spawns(q), s.limits(p, 3), s.holds(sem, s.yields()))
	}},
	{"isolate", func(s *sweep) *part {
		in := s.part("in", s.spawns(s.part("spawned", s.sleeps(3))), s.awaits(s.part("child", s.sleeps(1))), s.yields())
		out := s.part("out", s.sleeps(2))
		return s.part("root", s.spawns(out), s.isolates(in), s.awaits(out))
	}},
	{"isolates nested", func(s *sweep) *part {
		sem := s.semaphore(1)
		deep := s.part("deep", s.holds(sem, s.sleeps(2)), s.yields())
		middle := s.part("middle", s.holds(sem, s.sleeps(1)), s.isolates(deep), s.sleeps(1))
		other := s.part("other", s.holds(sem, s.sleeps(1)))
		return s.part("root", s.spawns(other), s.isolates(middle), s.yields())
	}},
	{"isolate of a timeout of an isolate", func(s *sweep) *part {
		leaf := s.part("leaf", s.finally(s.sleeps(1), s.sleeps(9)))
		inner := s.part("inner", s.isolates(leaf))
		middle := s.part("middle", s.limits(inner, 3), s.sleeps(1))
		return s.part("root", s.isolates(middle), s.sleeps(1))
	}},
	{"shields", func(s *sweep) *part {
		e := new(tinyio.Event)
		a := s.part("a", s.finally(s.waitsFor(e), s.sleeps(2)))
		b := s.part("b", s.finally(s.awaits(s.part("goodbye", s.sleeps(1), s.sets(e))), s.sleeps(1)))
		return s.part("root", s.finally(s.shields(1, s.sleeps(3)), s.gathers(a, b)), s.yields())
	}},
	{"as completed", func(s *sweep) *part {
		a, b := s.part("a", s.sleeps(3)), s.part("b", s.sleeps(1), s.yields())
		c := s.part("c", s.awaits(b), s.sleeps(1))
		return s.part("root", s.completes(a, b, c, b), s.completes(a), s.yields())
	}},
	{"callbacks", func(s *sweep) *part {
		c, d := s.callback("c"), s.callback("d")
		a := s.part("a", s.awaits(c.part), s.sleeps(1), d.completed(), s.yields())
		return s.part("root", s.spawns(a), s.sleeps(1), s.spawns(d.part), c.completed(), s.gathers(c.part, d.part, a),
			s.limits(s.callback("e").part, 2))
	}},
	{"threads", func(s *sweep) *part {
		a := s.thread("a", tinyio.RunInThread[int], func(context.Context) error { return nil })
		b := s.thread("b", tinyio.RunInThread[int], func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		return s.part("root", s.awaits(a), s.yields(), s.limits(b, 1), s.yields())
	}},
	{"thread pool", func(s *sweep) *part {
		pool := tinyio.NewThreadPool(1)
		s.pools = append(s.pools, pool)
		in := func(fn func(ctx context.Context) (int, error)) *tinyio.Coro[int] { return tinyio.RunInPool(pool, fn) }
		a := s.thread("a", in, func(context.Context) error { return nil })
		b := s.thread("b", in, func(context.Context) error { return nil })
		return s.part("root", s.gathers(a, b), s.yields())
	}},
	{"queues", func(s *sweep) *part {
		direct, roomy, apart := s.queue(0), s.queue(2), s.queue(1)
		a := s.part("a", s.puts(direct, 2), s.sleeps(1), s.puts(roomy, 4), s.puts(direct, 1), s.sleeps(2),
			s.triesToPut(direct))
		b := s.part("b", s.gets(direct, 1), s.puts(roomy, 1), s.gets(roomy, 1), s.gets(direct, 1))
		c := s.part("c", s.sleeps(2), s.gets(roomy, 2), s.limits(s.part("late", s.gets(direct, 2)), 3))
		d := s.part("d", s.spawns(s.part("filler", s.puts(apart, 4))), s.finally(s.gets(apart, 1), s.gets(apart, 1)),
			s.limits(s.part("in vain", s.gets(apart, 3)), 1))
		return s.part("root", s.spawns(a, b, c), s.isolates(d), s.gathers(a, b))
	}},
	{"channels", func(s *sweep) *part {
		direct, roomy, apart := s.channel(0), s.channel(1), s.channel(0)
		a := s.part("a", s.puts(roomy, 1), s.puts(direct, 1))
		b := s.part("b", s.gets(direct, 1), s.gets(roomy, 1))
		c := s.part("c", s.gathers(s.part("to", s.puts(apart, 1)), s.part("from", s.gets(apart, 1))))
		return s.part("root", s.spawns(a, b), s.isolates(c), s.gathers(a, b), s.yields())
	}},
	{"first of several", func(s *sweep) *part {
		a, b := s.part("a", s.sleeps(3)), s.part("b", s.sleeps(1), s.yields())
		c := s.part("c", s.awaits(b), s.sleeps(1))
		return s.part("root", s.firstOf(a, c), s.firstOf(a), s.firstOf(b, a, b), s.yields())
	}},
	{"nested run", func(s *sweep) *part {
		leaf := s.part("leaf", s.sleeps(1))
		inner := s.part("inner", s.spawns(s.part("beside", s.sleeps(3))), s.awaits(leaf))
		return s.part("root", s.spawns(s.part("outside", s.sleeps(1))), s.yields(), s.runs(inner), s.sleeps(2))
	}},
	{"first that succeeds", func(s *sweep) *part {
		child := s.part("child", s.sleeps(1))
		a := s.part("a", s.sleeps(3))
		b := s.part("b", s.awaits(child), s.yields())
		c := s.part("c", s.finally(s.sleeps(1), s.sleeps(9)))
		return s.part("root", s.yields(), s.races([]*part{child}, a, b, c), s.races(nil, a, b), s.yields())
	}},
	{"first inside a first", func(s *sweep) *part {
		helper := s.part("helper", s.sleeps(2))
		a, b := s.part("a", s.sleeps(1), s.spawns(helper)), s.part("b", s.sleeps(3))
		c := s.part("c", s.races([]*part{helper}, a, b), s.sleeps(1))
		slow := s.part("slow", s.sleeps(9))
		d := s.part("d", s.limits(slow, 2), s.sleeps(9))
		return s.part("root", s.races([]*part{helper, a, b, slow}, c, d), s.yields())
	}},
	{"cancel", func(s *sweep) *part {
		sem := s.semaphore(1)
		victim := s.part("victim", s.holds(sem, s.finally(s.sleeps(1), s.awaits(s.part("child", s.sleeps(5))))))
		other := s.part("other", s.minds(victim), s.holds(sem, s.yields()))
		return s.part("root", s.spawns(victim, other), s.sleeps(2), s.cancels(victim), s.cancels(victim), s.sleeps(1))
	}},
	{"cancel by two", func(s *sweep) *part {
		shared := s.part("shared", s.sleeps(5))
		victim := s.part("victim", s.finally(s.sleeps(2), s.gathers(shared, s.part("only", s.sleeps(9)))))
		isolator := s.part("isolator", s.isolates(s.part("in", s.minds(victim))), s.sleeps(1))
		a, b := s.part("a", s.sleeps(1), s.cancels(victim)), s.part("b", s.sleeps(2), s.cancels(victim), s.cancels(isolator))
		return s.part("root", s.spawns(victim, a, b), s.minds(isolator), s.minds(shared), s.cancels(s.part("fresh", s.yields())))
	}},
	{"daemons", func(s *sweep) *part {
		d := s.part("d", s.beats())
		e := s.part("e", s.awaits(s.part("child", s.finally(s.sleeps(1), s.beats()))))
		in := s.part("in", s.daemons(s.part("f", s.beats())), s.sleeps(1))
		g := s.part("g", s.spawns(s.part("helper", s.beats())), s.isolates(s.part("isolated", s.beats())))
		return s.part("root", s.daemons(d, e, g), s.isolates(in), s.spawns(s.part("last", s.sleeps(2))))
	}},
	{"calls", func(s *sweep) *part {
		a := s.part("a", s.calls(returnsAtOnce), s.yields(), s.finally(s.calls(returnsAtOnce), s.sleeps(1)))
		slow := s.part("slow", s.calls(untilStopped))
		deaf := s.part("deaf", s.interrupts(), s.yields())
		return s.part("root", s.spawns(a), s.calls(returnsAtOnce), s.limits(s.part("both", s.gathers(slow, deaf)), 1),
			s.isolates(s.part("in", s.calls(returnsAtOnce))), s.yields())
	}},
	{"calls that are cancelled and race", func(s *sweep) *part {
		a, b := s.part("a", s.calls(untilStopped)), s.part("b", s.interrupts(), s.yields())
		c := s.part("c", s.calls(returnsAtOnce), s.yields())
		d := s.part("d", s.interrupts(), s.yields())
		limited := s.part("limited", s.limits(a, 3), s.limits(b, 3))
		return s.part("root", s.races([]*part{a, b}, limited, c), s.spawns(d), s.yields(), s.cancels(d), s.daemons(s.part("e", s.calls(untilStopped))))
	}},
	{"shared work", func(s *sweep) *part {
		q := s.queue(0)
		helper := s.part("helper", s.sleeps(4), s.puts(q, 1))
		shared := s.part("shared", s.spawns(helper), s.awaits(s.part("child", s.sleeps(3))), s.gets(q, 1))
		outside := s.part("outside", s.sleeps(1), s.minds(shared))
		isolator := s.part("isolator", s.isolates(s.part("in", s.minds(shared), s.sleeps(9))))
		return s.part("root", s.spawns(outside), s.limits(isolator, 2), s.yields(), s.minds(shared))
	}},
	{"everything", func(s *sweep) *part {
		sem, l := s.semaphore(2), s.lock()
		bar := tinyio.NewBarrier(2)
		e := new(tinyio.Event)
		shared := s.part("shared", s.holds(sem, s.sleeps(2)), s.sets(e))
		a := s.part("a", s.holds(l, s.awaits(shared), s.meets(bar)))
		b := s.part("b", s.limits(s.part("slow", s.holds(sem, s.waitsFor(e), s.sleeps(9))), 4), s.meets(bar))
		c := s.part("c", s.isolates(s.part("in", s.awaits(s.part("in in", s.holds(sem, s.finally(s.sleeps(1), s.sleeps(2))))))),
			s.holds(l, s.yields()))
		return s.part("root", s.spawns(a), s.completes(b, c), s.gathers(shared, a))
	}},
}

// An ending is how a run ended.
type ending struct {
	err      error
	panic    any
	returned bool // false after a Goexit too
	steps    int  // of the host
}

// play runs the program with the fault and returns what is wrong. A host leaves after so many steps, if that is not negative.
func (s *sweep) play(root *tinyio.Coro[int], hosted bool, leave int) ending {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	s.cancel = func() { cancel(errFault) }
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	ended := make(chan ending, 1)
	go func() {
		var e ending
		defer func() {
			e.panic = recover()
			ended <- e
		}()
		if hosted {
			e.err = s.host(tinyio.Start(ctx, l, root), &e.steps, leave)
		} else {
			_, e.err = tinyio.RunOn(ctx, l, root)
		}
		e.returned = true
	}()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	var e ending
	select {
	case e = <-ended:
	case <-limit.C:
		panic(fmt.Sprintf("it hangs with %s at step %d (hosted: %v, left after step %d)", wayNames[s.way], s.at, hosted, leave))
	}
	s.checkRemains(l)
	return e
}

func (s *sweep) host(r *tinyio.Runtime[int], steps *int, leave int) error {
	for p := range r.Steps() {
		if *steps++; *steps == leave {
			break
		}
		if p.Blocked && p.Deadline.IsZero() {
			<-p.Wake
		}
	}
	_, err := r.Result()
	return err
}

// checkRemains checks what must be so after every run.
func (s *sweep) checkRemains(l *tinyio.Loop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if p.started > 1 || p.ended != p.started {
			s.complain("%s has started %d times and ended %d times", p.name, p.started, p.ended)
		}
	}
	for i, sem := range s.sems {
		for n := range s.sizes[i] {
			if !sem.TryAcquire() {
				s.complain("only %d of %d permits are back", n, s.sizes[i])
			}
		}
		if sem.TryAcquire() {
			s.complain("there are more permits than before")
		}
	}
	for _, lock := range s.locks {
		if !lock.TryAcquire() {
			s.complain("a lock is still held")
		}
	}
	for _, c := range s.conveyors {
		if c.in != c.taken+c.left() {
			s.complain("%d values were put on a %s, %d taken off it, and %d are left", c.in, c.name, c.taken, c.left())
		}
	}
	again := tinyio.New(func(co *tinyio.Co) (int, error) {
		for _, p := range s.pools {
			if v, err := tinyio.RunInPool(p, func(context.Context) (int, error) { return 3, nil }).Await(co); v != 3 || err != nil {
				s.complain("the pool gives %v, %v", v, err)
			}
		}
		return 3, co.Sleep(time.Second)
	})
	if v, err := tinyio.RunOn(background, l, again); v != 3 || err != nil {
		s.complain("the loop cannot be run again: %v, %v", v, err)
	}
}

// checkOutcome checks that what came out of the run is what went wrong.
func (s *sweep) checkOutcome(e ending) {
	if s.steps < s.at { // threads, which a host does not wait for, may make it come out otherwise
		s.way = noFault
	}
	p, panicked := e.panic.(*tinyio.PanicError)
	switch {
	case s.way == panicking && !s.caught && !(s.returned && e.panic == nil):
		if !panicked || p.Value != errFault || len(p.Trace) == 0 || !strings.Contains(string(p.Stack), "sweep_test.go") {
			s.complain("the run ends with the panic %v, want the fault", e.panic)
		}
	case e.panic != nil:
		s.complain("the run panics: %v", e.panic)
	case s.way == exiting:
		if e.returned {
			s.complain("the run returns %v, want a Goexit", e.err)
		}
	case !e.returned:
		s.complain("the run has called Goexit")
	case s.way == noFault || (s.way == failing || s.way == panicking) && s.caught && !s.inner:
		if e.err != nil {
			s.complain("the run returns %v, want nil", e.err)
		}
	case s.way == interrupting && e.err == nil: // perhaps it had finished before the interruption was noticed
	default:
		err, ok := e.err.(*tinyio.Error)
		if !ok || !errors.Is(err, errFault) || s.way == failing && len(err.Trace) == 0 {
			s.complain("the run returns %T %v, want the fault alone", e.err, e.err)
		}
	}
}

// TestFaultSweep fails every program at every step in every way, with and without a host.
func TestFaultSweep(t *testing.T) {
	for _, p := range sweepPrograms {
		t.Run(p.name, func(t *testing.T) {
			noLeaks(t)
			for _, hosted := range []bool{false, true} {
				total := sweepOnce(t, p.make, noFault, 0, hosted).steps
				if total < 5 {
					t.Fatalf("the program has only %d steps", total)
				}
				for w := failing; w <= interrupting; w++ {
					for at := 1; at <= total; at++ {
						sweepOnce(t, p.make, w, at, hosted)
					}
				}
			}
		})
	}
}

func sweepOnce(t *testing.T, program func(*sweep) *part, w way, at int, hosted bool) *sweep {
	t.Helper()
	s := &sweep{way: w, at: at, times: map[time.Duration]bool{}}
	s.checkOutcome(s.play(program(s).coro, hosted, -1))
	if len(s.faults) > 0 {
		t.Errorf("%s at step %d (hosted: %v):\n%s", wayNames[w], at, hosted, strings.Join(s.faults, "\n"))
	}
	return s
}

// TestLeaveSweep leaves the range over Steps after every step.
func TestLeaveSweep(t *testing.T) {
	for _, p := range sweepPrograms {
		t.Run(p.name, func(t *testing.T) {
			noLeaks(t)
			for leave := 1; ; leave++ {
				s := &sweep{times: map[time.Duration]bool{}}
				e := s.play(p.make(s).coro, true, leave)
				if e.panic != nil || !e.returned {
					s.complain("the run panics: %v", e.panic)
				}
				if e.steps == leave && e.err == nil {
					s.complain("a run that was left has no error")
				}
				if len(s.faults) > 0 {
					t.Errorf("left after step %d:\n%s", leave, strings.Join(s.faults, "\n"))
				}
				if e.steps < leave {
					return
				}
			}
		})
	}
}

// TestTimeoutSweep puts a limit on every program: every moment at which something happens in it, and the one after.
func TestTimeoutSweep(t *testing.T) {
	for _, p := range sweepPrograms {
		t.Run(p.name, func(t *testing.T) {
			noLeaks(t)
			for d := range sweepOnce(t, p.make, noFault, 0, false).times {
				for _, d := range []time.Duration{d, d + 1} {
					limitOnce(t, p.make, d)
				}
			}
		})
	}
}

func limitOnce(t *testing.T, program func(*sweep) *part, d time.Duration) {
	t.Helper()
	s := &sweep{times: map[time.Duration]bool{}}
	root := program(s)
	var limited error
	e := s.play(tinyio.New(func(co *tinyio.Co) (int, error) {
		v, err := tinyio.Timeout(co, root.coro, d)
		limited = err
		if root.running() {
			s.complain("Timeout has returned before its coroutine has stopped")
		}
		return v, err // which stops what carries on: it may wait for what the halted ones would have done
	}), false, -1)
	if e.panic != nil || !e.returned || e.err != nil && !errors.Is(e.err, limited) || (e.err == nil) != (limited == nil) {
		s.complain("the run ends with the panic %v, or %v, want %v", e.panic, e.err, limited)
	}
	if limited != nil && !errors.Is(limited, tinyio.ErrTimeout) {
		s.complain("Timeout returns %v", limited)
	}
	if limited == nil && root.ended != 1 {
		s.complain("Timeout returns without an error, and its coroutine has ended %d times", root.ended)
	}
	if len(s.faults) > 0 {
		slices.Sort(s.faults)
		t.Errorf("with a limit of %v:\n%s", d, strings.Join(s.faults, "\n"))
	}
}
