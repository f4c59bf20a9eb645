package main

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio"
)

// Bystanders are coroutines that an operation does not concern. They are there while another coroutine, the operator, does it.
type bystanders struct {
	name  string
	about string // what each of them does
	busy  bool   // they take turns: then what is measured is one of their turns, while the operator does its own
	past  bool   // there are none, but the operation has been done as often before, or for a while
	// around, if there is one, runs fn, in which all coroutines are started, the operator too.
	around func(co *tinyio.Co, fn func(co *tinyio.Co) error) error
	// start starts s.n of them. Each calls s.arrive just before its wait. It may start the operator as well.
	start func(s *stage, co *tinyio.Co) error
}

// A stage is a run in which an operator is measured among bystanders.
type stage struct {
	n        int
	here     int          // bystanders that have come
	all      tinyio.Event // they have
	open     tinyio.Event // set for bystanders that take turns
	over     tinyio.Event // set when they can go
	gone     bool         // likewise
	measured tinyio.Event // the operator has ended
	turns    int          // of bystanders
	begin    tinyio.Event // for the operator
	operator *tinyio.Coro[tinyio.Void]
	leave    tinyio.Event                // for the operator, which has measured
	started  []*tinyio.Coro[tinyio.Void] // bystanders, or who holds them up
}

// arrive notes that one more bystander is there.
func (s *stage) arrive() {
	if s.here++; s.here >= s.n {
		s.all.Set()
	}
}

// wait is what a bystander does that waits for nothing in particular.
func (s *stage) wait(co *tinyio.Co) error {
	s.arrive()
	return s.over.Wait(co)
}

// spawnBatch is how many bystanders are started at once: no more than that are ready at a time.
const spawnBatch = 100

// spawn starts n coroutines that run fn.
func (s *stage) spawn(co *tinyio.Co, n int, fn func(co *tinyio.Co) error) error {
	for i := range n {
		s.started = append(s.started, co.Go(fn))
		if i%spawnBatch == spawnBatch-1 {
			if err := co.Yield(); err != nil {
				return err
			}
		}
	}
	return nil
}

// each makes a start function of what each bystander does.
func each(fn func(s *stage, co *tinyio.Co) error) func(s *stage, co *tinyio.Co) error {
	return func(s *stage, co *tinyio.Co) error {
		return s.spawn(co, s.n, func(co *tinyio.Co) error { return fn(s, co) })
	}
}

// play runs the stage: with s.n bystanders of the kind b, on a loop with the options given, act is called in the operator.
func (b bystanders) play(n int, act func(s *stage, l *tinyio.Loop, co *tinyio.Co), opts ...tinyio.Option) {
	s := &stage{n: n}
	l := tinyio.NewLoop(opts...)
	s.operator = tinyio.Do(func(co *tinyio.Co) error {
		check(s.begin.Wait(co))
		act(s, l, co)
		s.measured.Set()
		return s.leave.Wait(co)
	}).Named("operator")
	body := func(co *tinyio.Co) error {
		if n == 0 {
			s.all.Set()
		} else {
			check(b.start(s, co))
		}
		check(co.Spawn(s.operator))
		check(s.all.Wait(co))
		check(co.Yield()) // Whoever has come last waits now.
		s.open.Set()
		s.begin.Set()
		check(s.measured.Wait(co))
		s.gone = true
		for _, c := range s.started { // one by one, or all would be ready at once
			if !b.busy {
				check(c.Cancel(co, nil))
			}
		}
		s.over.Set()
		s.leave.Set()
		return nil
	}
	_, err := tinyio.RunOn(context.Background(), l, tinyio.Do(func(co *tinyio.Co) error {
		if b.around != nil {
			return b.around(co, body)
		}
		return body(co)
	}))
	check(err)
}

// graphLayers and graphEdges are the shape of the dense graph: the number of paths through it is graphEdges to the power of
// graphLayers.
const (
	graphLayers = 100
	graphEdges  = 10
)

// kindsOfBystanders are all kinds, in the order of the columns.
func kindsOfBystanders() []bystanders {
	await := func(s *stage, co *tinyio.Co) error {
		s.arrive()
		_, err := s.operator.Await(co)
		return err
	}
	return []bystanders{
		{name: "past", about: "is past: the operation has been done as often before", past: true,
			start: func(s *stage, _ *tinyio.Co) error { s.all.Set(); return nil }},
		{name: "ready", about: "yields, again and again; the figure is one of these turns", busy: true,
			start: each(func(s *stage, co *tinyio.Co) error {
				s.arrive()
				err := s.open.Wait(co)
				for err == nil && !s.gone {
					s.turns++
					err = co.Yield()
				}
				return err
			})},
		{name: "sleeping", about: "sleeps, until a time of its own",
			start: each(func(s *stage, co *tinyio.Co) error {
				s.arrive()
				return co.Sleep(time.Hour + time.Duration(s.here*7919%1_000_003)*time.Microsecond)
			})},
		{name: "event", about: "waits for an Event, all for the same", start: each((*stage).wait)},
		{name: "any", about: "is in WaitAny for two coroutines, all for the same two",
			start: func(s *stage, co *tinyio.Co) error {
				wait := func(co *tinyio.Co) error { return s.over.Wait(co) }
				a, b := tinyio.Do(wait), tinyio.Do(wait)
				return s.spawn(co, s.n, func(co *tinyio.Co) error {
					s.arrive()
					_, err := tinyio.WaitAny(co, a, b)
					return err
				})
			}},
		{name: "isolated", about: "is in an Isolate, every second one, which the others wait for",
			start: func(s *stage, co *tinyio.Co) error {
				s.n = (s.n + 1) / 2
				return s.spawn(co, s.n, func(co *tinyio.Co) error {
					_, err := tinyio.Isolate(co, tinyio.Do(s.wait))
					return err
				})
			}},
		{name: "shielded", about: "waits inside a Shield of its own",
			start: each(func(s *stage, co *tinyio.Co) error { return co.Shield(0, s.wait) })},
		{name: "chain", about: "awaits the next",
			start: func(s *stage, co *tinyio.Co) error {
				next := tinyio.Do(s.wait)
				for range s.n - 1 {
					t := next
					next = tinyio.Do(func(co *tinyio.Co) error {
						s.arrive()
						_, err := t.Await(co)
						return err
					})
				}
				s.started = append(s.started, next)
				return co.Spawn(next)
			}},
		{name: "fan", about: "awaits the same other one",
			start: func(s *stage, co *tinyio.Co) error {
				one := tinyio.Do(func(co *tinyio.Co) error { return s.over.Wait(co) })
				return s.spawn(co, s.n, func(co *tinyio.Co) error {
					s.arrive()
					_, err := one.Await(co)
					return err
				})
			}},
		{name: "graph", about: "awaits 10 of the next of 100 layers", start: startGraph},
		{name: "for it", about: "awaits the operator", start: each(await)},
		{name: "for it, any", about: "awaits the operator, and one other is in a WaitAny",
			start: func(s *stage, co *tinyio.Co) error {
				never := tinyio.Do(func(co *tinyio.Co) error { return s.over.Wait(co) })
				co.Go(func(co *tinyio.Co) error {
					_, err := tinyio.WaitAny(co, never)
					return err
				})
				return each(await)(s, co)
			}},
		{name: "nested", about: "isolates the next, and the last one the operator",
			start: func(s *stage, co *tinyio.Co) error {
				next := s.operator
				for range s.n {
					inner := next
					next = tinyio.Do(func(co *tinyio.Co) error {
						s.arrive()
						_, err := tinyio.Isolate(co, inner)
						return err
					})
				}
				return co.Spawn(next)
			}},
		{name: "same domain", about: "waits for an Event, in the Isolate that the operator is in", start: each((*stage).wait),
			around: func(co *tinyio.Co, fn func(co *tinyio.Co) error) error {
				_, err := tinyio.Isolate(co, tinyio.Do(fn))
				return err
			}},
		{name: "same shield", about: "waits for an Event, in the Shield that the operator was started in", start: each((*stage).wait),
			around: func(co *tinyio.Co, fn func(co *tinyio.Co) error) error { return co.Shield(time.Hour, fn) }},
	}
}

// startGraph starts layers of coroutines, each of which gathers some of the next layer. The last layer waits.
func startGraph(s *stage, co *tinyio.Co) error {
	width := max(1, s.n/graphLayers)
	s.n = width * graphLayers
	var below []*tinyio.Coro[tinyio.Void]
	for range graphLayers {
		layer := make([]*tinyio.Coro[tinyio.Void], width)
		for i := range layer {
			var awaited []*tinyio.Coro[tinyio.Void]
			for k := range min(graphEdges, len(below)) {
				awaited = append(awaited, below[(i+k)%len(below)])
			}
			layer[i] = tinyio.Do(func(co *tinyio.Co) error {
				if len(awaited) == 0 {
					return s.wait(co)
				}
				s.arrive()
				_, err := tinyio.Gather(co, awaited...)
				return err
			})
		}
		below = layer
	}
	s.started = below
	for i, c := range below {
		if err := co.Spawn(c); err != nil {
			return err
		}
		if i%spawnBatch == 0 {
			if err := co.Yield(); err != nil {
				return err
			}
		}
	}
	return nil
}
