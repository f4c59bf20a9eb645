package main

import (
	"context"
	"errors"
	"time"

	"github.com/tinyio-go/tinyio"
)

// An operation is one that is measured among bystanders.
type operation struct {
	name  string
	per   int // how many a call is, if it is more than one
	begin func(o *operator) (do, end func())
}

// An operator is the coroutine that does the operations.
type operator struct {
	co    *tinyio.Co
	loop  *tinyio.Loop
	never tinyio.Event // is not set
}

// wait is the function of a coroutine that waits until it is stopped.
func (o *operator) wait(co *tinyio.Co) error { return o.never.Wait(co) }

// op is an operation that needs nothing that lasts.
func op(name string, do func(o *operator)) operation {
	return operation{name: name, begin: func(o *operator) (func(), func()) {
		return func() { do(o) }, func() {}
	}}
}

// duet is an operation with a partner, which does its step again and again until it is cancelled.
func duet(name string, make func() (do, step func(co *tinyio.Co) error)) operation {
	return operation{name: name, begin: func(o *operator) (func(), func()) {
		do, step := make()
		partner := o.co.Go(func(co *tinyio.Co) error {
			for {
				if err := step(co); err != nil {
					return err
				}
			}
		})
		return func() { check(do(o.co)) }, func() { check(partner.Cancel(o.co, nil)) }
	}}
}

func nothing(*tinyio.Co) error { return nil }

// tenFresh are ten coroutines that have not begun.
func tenFresh() []*tinyio.Coro[tinyio.Void] {
	cs := make([]*tinyio.Coro[tinyio.Void], 10)
	for i := range cs {
		cs[i] = tinyio.Do(nothing)
	}
	return cs
}

// expect ends the program unless err is the one wanted.
func expect(err, want error) {
	if !errors.Is(err, want) {
		fail("the error is %v, want %v", err, want)
	}
}

// submitted is how many coroutines are submitted by one goroutine, which costs as much as some of them.
const submitted = 10

// operations are all of them, in the order of the rows. [tinyio.Loop.Status] is not among them: it tells of each coroutine.
func operations() []operation {
	return []operation{
		op("Yield", func(o *operator) { check(o.co.Yield()) }),
		op("Sleep", func(o *operator) { check(o.co.Sleep(1)) }),
		op("Await, fresh", func(o *operator) { must(tinyio.Do(nothing).Await(o.co)) }),
		op("Go, Yield, Await, started", func(o *operator) {
			c := o.co.Go(func(co *tinyio.Co) error { return co.Yield() })
			check(o.co.Yield())
			must(c.Await(o.co))
		}),
		{name: "Await, finished", begin: func(o *operator) (func(), func()) {
			c := tinyio.Do(nothing)
			must(c.Await(o.co))
			return func() { must(c.Await(o.co)) }, func() {}
		}},
		op("Gather, 10", func(o *operator) { must(tinyio.Gather(o.co, tenFresh()...)) }),
		op("Spawn", func(o *operator) { check(o.co.Spawn(tinyio.Do(nothing))) }),
		op("Go, Yield", func(o *operator) {
			o.co.Go(nothing)
			check(o.co.Yield())
		}),
		{name: "WaitAny, 2", begin: func(o *operator) (func(), func()) {
			never := o.co.Go(o.wait)
			return func() { must(tinyio.WaitAny(o.co, tinyio.Do(nothing), never)) },
				func() { check(never.Cancel(o.co, nil)) }
		}},
		op("AsCompleted, 10", func(o *operator) {
			for _, err := range tinyio.AsCompleted(o.co, tenFresh()...) {
				check(err)
			}
		}),
		op("First, 2", func(o *operator) { must(tinyio.First(o.co, tinyio.Do(nothing), tinyio.Do(o.wait))) }),
		op("Go, Yield, Cancel", func(o *operator) {
			c := o.co.Go(o.wait)
			check(o.co.Yield())
			check(c.Cancel(o.co, nil))
		}),
		op("Timeout, in time", func(o *operator) { must(tinyio.Timeout(o.co, tinyio.Do(nothing), time.Hour)) }),
		{name: "Timeout, too late", begin: func(o *operator) (func(), func()) {
			// While a timer is set, the loop looks at the clock every few turns. Without one it would at once, and the coroutine
			// would not begin.
			late := o.co.Go(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
			check(o.co.Yield())
			return func() {
				_, err := tinyio.Timeout(o.co, tinyio.Do(o.wait), 1)
				expect(err, context.DeadlineExceeded)
			}, func() { check(late.Cancel(o.co, nil)) }
		}},
		op("Isolate, succeeds", func(o *operator) { must(tinyio.Isolate(o.co, tinyio.Do(nothing))) }),
		op("Isolate, fails", func(o *operator) {
			_, err := tinyio.Isolate(o.co, tinyio.Do(func(*tinyio.Co) error { return errWanted }))
			expect(err, errWanted)
		}),
		op("Isolate, 10 crash", func(o *operator) {
			_, err := tinyio.Isolate(o.co, tinyio.Do(func(co *tinyio.Co) error {
				for range 9 {
					co.Go(o.wait)
				}
				check(co.Yield())
				return errWanted
			}))
			expect(err, errWanted)
		}),
		op("Shield, Await inside", func(o *operator) {
			check(o.co.Shield(time.Hour, func(co *tinyio.Co) error {
				_, err := tinyio.Do(nothing).Await(co)
				return err
			}))
		}),
		duet("Event, Set and Wait", func() (do, step func(co *tinyio.Co) error) {
			var ping, pong tinyio.Event
			return func(co *tinyio.Co) error {
					ping.Set()
					defer pong.Clear()
					return pong.Wait(co)
				}, func(co *tinyio.Co) error {
					defer pong.Set()
					defer ping.Clear()
					return ping.Wait(co)
				}
		}),
		{name: "Semaphore, free", begin: func(o *operator) (func(), func()) {
			s := tinyio.NewSemaphore(2)
			return func() {
				check(s.Acquire(o.co))
				s.Release()
			}, func() {}
		}},
		duet("Lock, contended", func() (do, step func(co *tinyio.Co) error) {
			var l tinyio.Lock
			hold := func(co *tinyio.Co) error {
				if err := l.Acquire(co); err != nil {
					return err
				}
				defer l.Release()
				return co.Yield()
			}
			return hold, hold
		}),
		duet("Barrier, 2", func() (do, step func(co *tinyio.Co) error) {
			b := tinyio.NewBarrier(2)
			wait := func(co *tinyio.Co) error {
				_, err := b.Wait(co)
				return err
			}
			return wait, wait
		}),
		duet("Queue, Put and Get", func() (do, step func(co *tinyio.Co) error) {
			there, back := tinyio.NewQueue[int](0), tinyio.NewQueue[int](0)
			return func(co *tinyio.Co) error {
					if err := there.Put(co, 1); err != nil {
						return err
					}
					_, err := back.Get(co)
					return err
				}, func(co *tinyio.Co) error {
					v, err := there.Get(co)
					if err != nil {
						return err
					}
					return back.Put(co, v)
				}
		}),
		op("RunInThread", func(o *operator) {
			must(tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil }).Await(o.co))
		}),
		op("Call", func(o *operator) {
			must(tinyio.Call(o.co, func(context.Context) (int, error) { return 1, nil }))
		}),
		{name: "Submit", per: submitted, begin: func(o *operator) (func(), func()) {
			return func() {
				check(o.co.Call(func(ctx context.Context) error {
					for range submitted {
						if _, err := tinyio.Submit(ctx, o.loop, tinyio.Do(nothing)); err != nil {
							return err
						}
					}
					return nil
				}))
			}, func() {}
		}},
	}
}
