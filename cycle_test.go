package tinyio_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A crowd is a number of coroutines to which a test gives orders: they wait for each other, or end. It records which waits for which, and
// finds by exhaustive search which of them could never go on.
type crowd struct {
	random  *rand.Rand
	members []*member
	domains int
	refused int
}

// A member is a coroutine of a crowd.
type member struct {
	id     int
	coro   *tinyio.Coro[tinyio.Void]
	orders *tinyio.Queue[order]
	begun  bool
	ended  bool
	domain int
	doing  *order // nil when it waits for an order
	err    error  // of the last one
}

// An order is to wait for others, or to end.
type order struct {
	how    string // "all", "any", "each", "limited", "isolate" or "end"
	on     []*member
	inside int // of isolate: the domain
}

// join adds a member that has not begun.
func (w *crowd) join() {
	m := &member{id: len(w.members), orders: tinyio.NewQueue[order](1)}
	m.coro = tinyio.Do(func(co *tinyio.Co) error {
		m.begun = true
		for {
			o, err := m.orders.Get(co)
			if err != nil {
				return err
			}
			if o.how == "end" {
				m.ended = true
				return nil
			}
			m.err = m.follow(co, o)
			if errors.Is(m.err, tinyio.ErrCancelled) {
				return m.err
			}
			m.doing = nil
		}
	}).Named(fmt.Sprint(m.id))
	w.members = append(w.members, m)
}

func (m *member) follow(co *tinyio.Co, o order) (err error) {
	var all []tinyio.Awaitable
	var coros []*tinyio.Coro[tinyio.Void]
	for _, t := range o.on {
		all, coros = append(all, t.coro), append(coros, t.coro)
	}
	switch o.how {
	case "all":
		return co.Wait(all...)
	case "any":
		_, err = tinyio.WaitAny(co, all...)
	case "each":
		for _, err = range tinyio.AsCompleted(co, coros...) {
			if err != nil {
				break
			}
		}
	case "limited":
		if err := co.Spawn(all...); err != nil { // so that it is not halted when the time has passed
			return err
		}
		if _, err = tinyio.Timeout(co, coros[0], 5*time.Millisecond); errors.Is(err, tinyio.ErrTimeout) {
			err = nil
		}
	case "isolate":
		_, err = tinyio.Isolate(co, coros[0])
	}
	return err
}

// stuck returns those that could never go on.
func (w *crowd) stuck() (stuck []*member) {
	free := map[*member]bool{}
	for more := true; more; {
		more = false
		for _, m := range w.members {
			if !free[m] && w.canGoOn(m, free) {
				free[m], more = true, true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(w.members), func(m *member) bool { return free[m] })
}

func (w *crowd) canGoOn(m *member, free map[*member]bool) bool {
	inTheWay := func(t *member) bool { return !t.ended && !free[t] }
	switch {
	case m.ended || m.doing == nil:
		return true
	case m.doing.how == "isolate":
		return !slices.ContainsFunc(w.members, func(t *member) bool { return t.domain == m.doing.inside && inTheWay(t) })
	case m.doing.how == "any":
		return slices.ContainsFunc(m.doing.on, func(t *member) bool { return t.ended || free[t] })
	case m.doing.how == "each": // those that have ended are behind it
		left := slices.DeleteFunc(slices.Clone(m.doing.on), func(t *member) bool { return t.ended })
		return len(left) == 0 || slices.ContainsFunc(left, func(t *member) bool { return free[t] })
	}
	return !slices.ContainsFunc(m.doing.on, inTheWay)
}

// waitsFor reports whether a waits for b.
func (w *crowd) waitsFor(a, b *member) bool {
	switch {
	case a.doing == nil:
		return false
	case a.doing.how == "isolate":
		return b.domain == a.doing.inside
	}
	return slices.Contains(a.doing.on, b)
}

// some returns a few members that have not ended.
func (w *crowd) some(n int, ok func(m *member) bool) (some []*member) {
	for range 4 * n {
		if m := w.members[w.random.IntN(len(w.members))]; !m.ended && ok(m) && len(some) < n {
			some = append(some, m)
		}
	}
	return some
}

// step lets a member do something, and wants that to be refused exactly if the member could never go on.
func (w *crowd) step(co *tinyio.Co) error {
	any := func(*member) bool { return true }
	one := w.some(1, func(m *member) bool { return m.begun && m.doing == nil })
	if len(one) == 0 {
		return co.Sleep(time.Millisecond)
	}
	m, o := one[0], order{}
	switch n := w.random.IntN(12); {
	case n < 3:
		o = order{how: "all", on: w.some(1+w.random.IntN(3), any)}
	case n < 6:
		o = order{how: "any", on: w.some(1+w.random.IntN(3), any)}
	case n < 7:
		o = order{how: "each", on: w.some(1+w.random.IntN(3), any)}
	case n < 9:
		o = order{how: "limited", on: w.some(1, any)}
	case n < 10:
		w.domains++
		o = order{how: "isolate", on: w.some(1, func(m *member) bool { return !m.begun }), inside: w.domains}
	default:
		o = order{how: "end"}
	}
	if o.how != "end" && len(o.on) == 0 {
		return nil
	}
	fresh := slices.DeleteFunc(slices.Clone(o.on), func(t *member) bool { return t.begun })
	if o.how != "end" {
		m.doing = &o
	}
	stuck := w.stuck()
	if len(stuck) == 0 {
		for _, t := range fresh {
			if t.domain = m.domain; o.how == "isolate" {
				t.domain = o.inside
			}
		}
	}
	waits := map[[2]*member]bool{} // of those stuck, now
	for _, a := range stuck {
		for _, b := range stuck {
			waits[[2]*member{a, b}] = w.waitsFor(a, b)
		}
	}
	m.err = nil
	m.orders.TryPut(o)
	if err := co.Sleep(time.Millisecond); err != nil {
		return err
	}
	var cycle *tinyio.CycleError
	switch refused := errors.As(m.err, &cycle); {
	case refused != slices.Contains(stuck, m):
		return fmt.Errorf("%d waits for %s of %v: %v; those stuck would be %v", m.id, o.how, ids(o.on), m.err, ids(stuck))
	case refused:
		w.refused++
		return checkPath(m, stuck, waits, cycle.Path)
	case m.err != nil:
		return m.err
	}
	return nil
}

// checkPath wants path to lead from m, which was refused, back to m, along waits of those that would be stuck.
func checkPath(m *member, stuck []*member, waits map[[2]*member]bool, path []string) error {
	var on []*member
	for _, name := range path {
		i := slices.IndexFunc(stuck, func(t *member) bool { return fmt.Sprint(t.id) == name })
		if i < 0 {
			return fmt.Errorf("%s is not stuck: %v", name, path)
		}
		on = append(on, stuck[i])
	}
	if len(on) < 2 || on[0] != m || on[len(on)-1] != m {
		return fmt.Errorf("%d is refused with the cycle %v", m.id, path)
	}
	for i := range on[1:] {
		if !waits[[2]*member{on[i], on[i+1]}] {
			return fmt.Errorf("%d does not wait for %d: %v", on[i].id, on[i+1].id, path)
		}
	}
	return nil
}

func ids(ms []*member) (all []int) {
	for _, m := range ms {
		all = append(all, m.id)
	}
	return all
}

// play lets a crowd do random things made from seed, and then fails, which stops all of them.
func (w *crowd) play(steps int) error {
	return virtually(func(co *tinyio.Co) error {
		for range steps {
			for live := 0; live < 30; {
				live = 0
				for _, m := range w.members {
					if !m.ended {
						live++
					}
				}
				if live < 30 {
					w.join()
				}
			}
			begun := slices.ContainsFunc(w.members, func(m *member) bool { return m.begun && m.doing == nil && !m.ended })
			if !begun || w.random.IntN(8) == 0 {
				m := w.some(1, func(m *member) bool { return !m.begun })
				if len(m) > 0 {
					if err := co.Spawn(m[0].coro); err != nil {
						return err
					}
					if err := co.Yield(); err != nil {
						return err
					}
				}
			}
			if err := w.step(co); err != nil {
				return err
			}
		}
		return errBoom
	})
}

// R17, W13: a cycle is found when the await that closes it is made, although others run on.
func TestCycleIsFoundByTheAwaitThatClosesIt(t *testing.T) {
	var a, b, c *tinyio.Coro[int]
	await := func(target **tinyio.Coro[int]) func(*tinyio.Co) (int, error) {
		return func(co *tinyio.Co) (int, error) { return (*target).Await(co) }
	}
	cases := []struct {
		name string
		a    func(co *tinyio.Co) (int, error)
		b    func(co *tinyio.Co) (int, error)
		c    func(co *tinyio.Co) (int, error)
		want []string
	}{
		{"itself", await(&a), nil, nil, []string{"a", "a"}},
		{"two", await(&b), await(&a), nil, []string{"b", "a", "b"}},
		{"three", await(&b), await(&c), await(&a), []string{"c", "a", "b", "c"}},
		{"not the first", await(&b), await(&c), await(&b), []string{"c", "b", "c"}},
		{"Gather", func(co *tinyio.Co) (int, error) {
			_, err := tinyio.Gather(co, value(time.Hour, 1), b)
			return 0, err
		}, await(&a), nil, []string{"b", "a", "b"}},
		{"Timeout", func(co *tinyio.Co) (int, error) { return tinyio.Timeout(co, b, time.Hour) }, await(&a), nil,
			[]string{"b", "a", "b"}},
		{"Isolate", func(co *tinyio.Co) (int, error) { return tinyio.Isolate(co, b) }, await(&a), nil, []string{"b", "a", "b"}},
		{"AsCompleted of one", func(co *tinyio.Co) (int, error) { return 0, firstOf(co, b) }, await(&a), nil,
			[]string{"b", "a", "b"}},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			within(t, func() {
				a, b, c = tinyio.New(test.a).Named("a"), nil, nil
				if test.b != nil {
					b = tinyio.New(test.b).Named("b")
				}
				if test.c != nil {
					c = tinyio.New(test.c).Named("c")
				}
				var elapsed time.Duration
				err := virtually(func(co *tinyio.Co) error {
					defer func() { elapsed = passed(co) }()
					return errors.Join(co.Spawn(sleeper(time.Hour)), wait(co, a))
				})
				var cycle *tinyio.CycleError
				if !errors.As(err, &cycle) || !slices.Equal(cycle.Path, test.want) {
					t.Errorf("Run returns %v, want a cycle %v", err, test.want)
				}
				if elapsed != 0 {
					t.Errorf("it is found after %v", elapsed)
				}
			})
		})
	}
}

// R17: a long chain of awaits is no cycle, in whatever order they are made.
func TestNoCycleInALongChain(t *testing.T) {
	const n = 2000
	cs := make([]*tinyio.Coro[int], n)
	gates := make([]tinyio.Event, n)
	for i := range cs {
		cs[i] = tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := gates[i].Wait(co); err != nil || i == 0 {
				return 0, err
			}
			v, err := cs[i-1].Await(co)
			return v + 1, err
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		for _, c := range cs {
			if err := co.Spawn(c); err != nil {
				return err
			}
		}
		for i := range gates { // every other one from below, the rest from above
			j := i
			if i%2 == 1 {
				j = n - i
			}
			gates[j].Set()
			if err := co.Yield(); err != nil {
				return err
			}
		}
		v, err := cs[n-1].Await(co)
		if v != n-1 {
			t.Errorf("the value is %d", v)
		}
		return err
	})
}

// TestCycleIsFoundExactlyWhenThereIsOne proves R17: of many waits of all kinds, which begin and end, exactly those are refused whose
// coroutine could never go on, and the path consists of waits.
func TestCycleIsFoundExactlyWhenThereIsOne(t *testing.T) {
	for _, low := range []bool{false, true} {
		t.Run(fmt.Sprintf("levels kept low: %v", low), func(t *testing.T) {
			noLeaks(t)
			if low {
				tinyio.KeepLevelsLow(t)
			}
			refused := 0
			for seed := range uint64(15) {
				w := &crowd{random: rand.New(rand.NewPCG(seed, 1))}
				if err := w.play(400); !errors.Is(err, errBoom) {
					t.Fatalf("seed %d: %v", seed, err)
				}
				refused += w.refused
			}
			if refused < 200 {
				t.Errorf("only %d waits are refused", refused)
			}

		})
	}
}

// TestCycleThroughWaitsForAny proves R17 for coroutines that wait for any of several: one is stuck when all of these are, whichever of them
// it could count on before.
func TestCycleThroughWaitsForAny(t *testing.T) {
	var log recorder
	var goOn [2]tinyio.Event
	var ranger *tinyio.Coro[tinyio.Void]
	next := func(name string, i int) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			if err := goOn[i].Wait(co); err != nil {
				return err
			}
			err := wait(co, ranger)
			log.add("%s: %v", name, err)
			return nil
		}).Named(name)
	}
	a, b := next("a", 0), next("b", 1)
	ranger = tinyio.Do(func(co *tinyio.Co) error {
		i, err := tinyio.WaitAny(co, a, b)
		log.add("ranger: %d %v", i, err)
		return err
	}).Named("ranger")
	succeed(t, func(co *tinyio.Co) error {
		if err := co.Spawn(ranger); err != nil {
			return err
		}
		for i := range goOn { // a may wait for the ranger, which counts on b then
			goOn[i].Set()
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
			log.add("a second")
		}
		return nil
	})
	log.want(t, "a second", "b: tinyio: a cycle of awaits: b awaits ranger awaits b; one of them must not wait for the next",
		"ranger: 1 <nil>", "a: <nil>", "a second")
}

// TestCyclePathIsOfThoseThatAreStuck proves R17: the path does not lead through one that waits for any of several and can go on.
func TestCyclePathIsOfThoseThatAreStuck(t *testing.T) {
	noLeaks(t)
	var c *tinyio.Coro[tinyio.Void]
	free := tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.WaitAny(co, c, sleeper(time.Hour))
		return err
	}).Named("free")
	stuck := tinyio.Do(func(co *tinyio.Co) error { return wait(co, c) }).Named("stuck")
	c = tinyio.Do(func(co *tinyio.Co) error {
		return errors.Join(co.Sleep(time.Second), co.Wait(free, stuck))
	}).Named("c")
	err := virtually(func(co *tinyio.Co) error { return co.Wait(c, free, stuck) })
	var cycle *tinyio.CycleError
	if !errors.As(err, &cycle) || !slices.Equal(cycle.Path, []string{"c", "stuck", "c"}) {
		t.Errorf("the run gives %v", err)
	}
}

// TestTwoThatWaitForEachOtherInTurn proves R17 for two coroutines that never end and wait for each other in turn, while others wait for both
// and both wait for others: a cycle is found after any number of turns.
func TestTwoThatWaitForEachOtherInTurn(t *testing.T) {
	tinyio.KeepLevelsLow(t)
	const turns = 1000
	var pair [2]*tinyio.Coro[tinyio.Void]
	var turn [2]tinyio.Event
	gaveUp, refused := 0, 0
	for i := range pair {
		waits := func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, pair[1-i], time.Second)
			switch cycle := new(tinyio.CycleError); {
			case errors.Is(err, tinyio.ErrTimeout):
				gaveUp++
				return nil
			case errors.As(err, &cycle):
				refused++
				return nil
			}
			return err
		}
		pair[i] = tinyio.Do(func(co *tinyio.Co) error {
			for range turns {
				if err := turn[i].Wait(co); err != nil {
					return err
				}
				turn[i].Clear()
				if err := wait(co, tinyio.Do(below(5, waits))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		for i := range pair {
			for range 4 {
				if err := co.Spawn(tinyio.Do(below(4, func(co *tinyio.Co) error { return wait(co, pair[i]) }))); err != nil {
					return err
				}
			}
		}
		for k := range turns {
			turn[k%2].Set()
			if err := co.Sleep(100 * time.Millisecond); err != nil {
				return err
			}
			turn[1-k%2].Set() // the first one waits for it
			if err := co.Sleep(2 * time.Second); err != nil {
				return err
			}
		}
		return nil
	})
	if gaveUp != turns-1 || refused != turns { // the other one ends in the last turn
		t.Errorf("%d waits were given up and %d refused, want %d and %d", gaveUp, refused, turns-1, turns)
	}
}

// TestRefusedWaitLeavesNoTrace proves R17, R6 and R18: when a wait is refused, the fresh ones among its targets are free for any other loop,
// and none of them counts as wanted.
func TestRefusedWaitLeavesNoTrace(t *testing.T) {
	for _, how := range []string{"Gather", "Wait"} {
		t.Run(how, func(t *testing.T) {
			noLeaks(t)
			fresh := tinyio.New(func(co *tinyio.Co) (int, error) { return 1, nil })
			var self *tinyio.Coro[int]
			self = tinyio.New(func(co *tinyio.Co) (int, error) {
				var err error
				if how == "Gather" {
					_, err = tinyio.Gather(co, fresh, self, fresh)
				} else {
					err = co.Wait(fresh, self, fresh)
				}
				if cycle := new(tinyio.CycleError); !errors.As(err, &cycle) {
					t.Errorf("%s gives %v", how, err)
				}
				return 0, nil
			})
			if _, err := tinyio.Run(background, self); err != nil {
				t.Fatal(err)
			}
			if v, err := tinyio.Run(background, fresh); v != 1 || err != nil {
				t.Errorf("another loop gets %d, %v", v, err)
			}
		})
	}
	for _, how := range []string{"Gather", "WaitAny", "AsCompleted"} {
		t.Run(how+" of one that is awaited alone", func(t *testing.T) {
			var a *tinyio.Coro[tinyio.Void]
			b := tinyio.Do(func(co *tinyio.Co) (err error) {
				switch how {
				case "Gather":
					_, err = tinyio.Gather(co, a)
				case "WaitAny":
					_, err = tinyio.WaitAny(co, a)
				default:
					for _, err = range tinyio.AsCompleted(co, a) {
					}
				}
				if cycle := new(tinyio.CycleError); !errors.As(err, &cycle) {
					t.Errorf("%s gives %v", how, err)
				}
				return co.Sleep(time.Hour)
			})
			var stop error
			a = tinyio.Do(func(co *tinyio.Co) error {
				stop = wait(co, b)
				return stop
			})
			succeed(t, func(co *tinyio.Co) error {
				if _, err := tinyio.Timeout(co, a, time.Second); !errors.Is(err, tinyio.ErrTimeout) {
					t.Errorf("the timeout gives %v", err)
				}
				if !errors.Is(stop, tinyio.ErrTimeout) {
					t.Errorf("nobody wants it, and its wait ends with %v", stop)
				}
				return nil
			})
		})
	}
}

// TestForeignOneInAListLeavesNoTrace proves R6: if one of several belongs to another loop, the others stay as they were.
func TestForeignOneInAListLeavesNoTrace(t *testing.T) {
	noLeaks(t)
	for name, use := range map[string]func(co *tinyio.Co, a, b *tinyio.Coro[int]) error{
		"Gather":  func(co *tinyio.Co, a, b *tinyio.Coro[int]) error { _, err := tinyio.Gather(co, a, b); return err },
		"Wait":    func(co *tinyio.Co, a, b *tinyio.Coro[int]) error { return co.Wait(a, b) },
		"WaitAny": func(co *tinyio.Co, a, b *tinyio.Coro[int]) error { _, err := tinyio.WaitAny(co, a, b); return err },
		"Spawn":   func(co *tinyio.Co, a, b *tinyio.Coro[int]) error { return co.Spawn(a, b) },
	} {
		t.Run(name, func(t *testing.T) {
			fresh := value(0, 1)
			var foreign *tinyio.Coro[int]
			foreign = tinyio.New(func(co *tinyio.Co) (int, error) {
				err := virtually(func(co *tinyio.Co) error { return use(co, fresh, foreign) }) // a loop inside this one
				if err == nil {
					t.Error("the other loop may wait for it")
				}
				return 0, nil
			})
			if _, err := tinyio.Run(background, foreign); err != nil {
				t.Fatal(err)
			}
			if v, err := tinyio.Run(background, fresh); v != 1 || err != nil {
				t.Errorf("another loop gets %d, %v", v, err)
			}
		})
	}
}

// A ring is coroutines that log when their wait ends because they are stopped, and, a second later, that they have been closed.
type ring struct {
	recorder
	coros map[string]*tinyio.Coro[tinyio.Void]
}

func (r *ring) coro(name string, fn func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
	c := tinyio.Do(func(co *tinyio.Co) error {
		err := fn(co)
		r.add("%s hears", name)
		_ = co.Shield(time.Minute, func(co *tinyio.Co) error { return co.Sleep(time.Second) })
		r.add("%s is closed", name)
		return err
	}).Named(name)
	r.coros[name] = c
	return c
}

// waitsForAny is a coroutine that waits for any of those named.
func (r *ring) waitsForAny(name string, of ...string) {
	r.coro(name, func(co *tinyio.Co) error {
		var cs []tinyio.Awaitable
		for _, n := range of {
			cs = append(cs, r.coros[n])
		}
		_, err := tinyio.WaitAny(co, cs...)
		return err
	})
}

// stop spawns those named, stops them after a second, and wants what happens then.
func (r *ring) stop(t *testing.T, want []string, names ...string) {
	t.Helper()
	crash(t, func(co *tinyio.Co) error {
		for _, n := range names {
			if err := co.Spawn(r.coros[n]); err != nil {
				return err
			}
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		return errBoom
	})
	r.want(t, want...)
}

// TestOnlyTheRingDoesNotWaitForItself proves R9: of coroutines that wait for any of several and are stopped, those in a ring of waits get
// their error at once, unless they also wait for one outside the ring. All others get it when their children have been closed.
func TestOnlyTheRingDoesNotWaitForItself(t *testing.T) {
	r := &ring{coros: map[string]*tinyio.Coro[tinyio.Void]{}}
	r.waitsForAny("above", "a")
	r.waitsForAny("a", "b")
	r.waitsForAny("b", "c", "child")
	r.waitsForAny("c", "b", "a")
	r.coro("child", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
	r.stop(t, []string{"a hears", "c hears", "child hears", "a is closed", "c is closed", "child is closed",
		"above hears", "b hears", "above is closed", "b is closed"}, "above")
}

// TestWhoAwaitsOneOfARingWaitsForIt proves R9: an await in a ring lasts; only a wait for any of several is given up.
func TestWhoAwaitsOneOfARingWaitsForIt(t *testing.T) {
	r := &ring{coros: map[string]*tinyio.Coro[tinyio.Void]{}}
	r.waitsForAny("a", "b", "child")
	r.coro("b", func(co *tinyio.Co) error { return wait(co, r.coros["a"]) })
	r.coro("child", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
	r.stop(t, []string{"child hears", "child is closed", "a hears", "a is closed", "b hears", "b is closed"}, "a")
}

// TestWokenOneWaitsForItsOtherChildren proves R9 and R17: a coroutine that one of several has woken, and that is stopped before its turn,
// waits for the others that are being stopped, and counts as waiting from then on.
func TestWokenOneWaitsForItsOtherChildren(t *testing.T) {
	r := &ring{coros: map[string]*tinyio.Coro[tinyio.Void]{}}
	var inShield error
	r.waitsForAny("any", "fails", "awaits", "child")
	r.coros["fails"] = failer(time.Second, errBoom)
	r.coro("child", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
	r.coro("awaits", func(co *tinyio.Co) error {
		err := co.Sleep(time.Hour)
		_ = co.Shield(time.Minute, func(co *tinyio.Co) error {
			inShield = wait(co, r.coros["any"])
			return nil
		})
		return err
	})
	r.stop(t, []string{"child hears", "awaits hears", "child is closed", "awaits is closed", "any hears", "any is closed"}, "any")
	if cycle := new(tinyio.CycleError); !errors.As(inShield, &cycle) {
		t.Errorf("to wait, in a Shield, for one who waits for it gives %v", inShield)
	}
}

// TestSparedOneIsWaitedForInItsNewDomain proves R17 and R19: a coroutine that isolates also waits for those that were spared and have moved
// into its domain, and if one of these waits for it, that closes a cycle.
func TestSparedOneIsWaitedForInItsNewDomain(t *testing.T) {
	var a *tinyio.Coro[tinyio.Void]
	var refused error
	busy := tinyio.Do(func(co *tinyio.Co) error { return wait(co, sleeper(3*time.Second)) })
	helper := tinyio.Do(func(co *tinyio.Co) error {
		if err := wait(co, busy); err != nil {
			return err
		}
		refused = wait(co, a)
		return nil
	}).Named("helper")
	shared := tinyio.Do(func(co *tinyio.Co) error {
		return errors.Join(co.Spawn(helper), co.Sleep(10*time.Second))
	})
	a = tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			return errors.Join(co.Sleep(time.Second), wait(co, shared))
		}))
		return err
	}).Named("a")
	b := tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Spawn(shared); err != nil {
				return err
			}
			if err := co.Sleep(2 * time.Second); err != nil {
				return err
			}
			return errBoom
		}))
		if !errors.Is(err, errBoom) {
			t.Errorf("the domain that crashes gives %v", err)
		}
		return nil
	})
	succeed(t, func(co *tinyio.Co) error {
		return errors.Join(co.Spawn(busy), co.Wait(a, b))
	})
	var cycle *tinyio.CycleError
	if !errors.As(refused, &cycle) || !slices.Equal(cycle.Path, []string{"helper", "a", "helper"}) {
		t.Errorf("to wait for who isolates it gives %v", refused)
	}
}

// R13, R17: a coroutine that waits for any of several, and has been stopped, waits for all of them. If one of these, in a Shield, waits for
// it, that closes a cycle.
func TestRangerThatIsStoppedIsWaitedForInACycle(t *testing.T) {
	noLeaks(t)
	var ranger *tinyio.Coro[tinyio.Void]
	late := tinyio.Do(func(co *tinyio.Co) error {
		_ = co.Sleep(time.Hour)
		return co.Shield(time.Second, func(co *tinyio.Co) error { return co.Sleep(100 * time.Millisecond) })
	})
	var inShield error
	waits := tinyio.Do(func(co *tinyio.Co) error {
		_ = co.Sleep(time.Hour)
		return co.Shield(time.Second, func(co *tinyio.Co) error {
			inShield = wait(co, ranger)
			return nil
		})
	})
	ranger = tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.WaitAny(co, late, waits)
		return err
	})
	err := virtually(func(co *tinyio.Co) error {
		if err := co.Spawn(ranger); err != nil {
			return err
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		return errBoom
	})
	var cycle *tinyio.CycleError
	if !errors.Is(err, errBoom) || !errors.As(inShield, &cycle) {
		t.Errorf("the run gives %v, and to wait for the ranger %v", err, inShield)
	}
}

// R17: if thousands wait for a coroutine that waits for any of several, the search still finds whether that can go on.
func TestCycleUnderACrowd(t *testing.T) {
	noLeaks(t)
	for _, free := range []bool{true, false} {
		var c *tinyio.Coro[int]
		crowd := make([]tinyio.Awaitable, 3000)
		for i := range crowd {
			crowd[i] = tinyio.Do(func(co *tinyio.Co) error { return wait(co, c) })
		}
		c = tinyio.New(func(co *tinyio.Co) (int, error) {
			on := []tinyio.Awaitable{crowd[7], crowd[8]}
			if err := co.Sleep(time.Second); err != nil {
				return 0, err
			}
			if free {
				on = append(on, sleeper(time.Second))
			}
			return tinyio.WaitAny(co, on...)
		})
		err := virtually(func(co *tinyio.Co) error { return co.Wait(crowd...) })
		var cycle *tinyio.CycleError
		if errors.As(err, &cycle) == free || free && c.Value() != 2 {
			t.Errorf("free: %v; Run returns %v", free, err)
		}
	}
}
