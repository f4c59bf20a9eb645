package tinyiotest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotest"
)

// An account says what has become of the values that were put in somewhere.
type account struct{ in, out int }

// balanced checks that nothing was lost or doubled: what has not come out is still there.
func (a *account) balanced(left int) error {
	if a.in != a.out+left {
		return fmt.Errorf("%d values went in, %d came out, and %d are left", a.in, a.out, left)
	}
	return nil
}

// TestExploreQueue has no value be lost or doubled, whoever gives up when.
func TestExploreQueue(t *testing.T) {
	for _, capacity := range []int{0, 1} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			explorePairs(t, 5, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
				q := tinyio.NewQueue[int](capacity)
				var a account
				tinyiotest.AtEnd(co, func() error { return a.balanced(q.Len()) })
				unlessClosed := func(err error) error {
					if errors.Is(err, tinyio.ErrClosed) {
						return nil
					}
					return err
				}
				put := func(co *tinyio.Co) error {
					err := q.Put(co, 1)
					if err == nil {
						a.in++
					}
					return unlessClosed(err)
				}
				get := func(co *tinyio.Co) error {
					_, err := q.Get(co)
					if err == nil {
						a.out++
					}
					return unlessClosed(err)
				}
				operations := []operation{
					{"put", put},
					{"get", get},
					{"put, impatient", func(co *tinyio.Co) error { return forASecond(co, put) }},
					{"get, impatient", func(co *tinyio.Co) error { return forASecond(co, get) }},
					{"try", func(co *tinyio.Co) error {
						if q.TryPut(1) {
							a.in++
						}
						if err := co.Yield(); err != nil {
							return err
						}
						if _, ok := q.TryGet(); ok {
							a.out++
						}
						return nil
					}},
				}
				return operations, func(co *tinyio.Co) error {
					err := co.Sleep(2 * time.Second)
					q.Close()
					return err
				}
			})
		})
	}
}

// TestExploreWaitAny has the first one be told, and the others carry on.
func TestExploreWaitAny(t *testing.T) {
	explorePairs(t, 4, func(*tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		var cs []tinyio.Awaitable
		var ended []int
		for i := range 3 {
			cs = append(cs, named(fmt.Sprint("c", i), func(co *tinyio.Co) error {
				err := co.Sleep(time.Second)
				ended = append(ended, i)
				return err
			}))
		}
		first := func(co *tinyio.Co) error {
			before := len(ended)
			i, err := tinyio.WaitAny(co, cs...)
			if err != nil {
				return err
			}
			if len(ended) == 0 || before == 0 && i != ended[0] {
				return fmt.Errorf("the first is said to be %d, and they ended in the order %v", i, ended)
			}
			return nil
		}
		return []operation{
			{"first", first},
			{"impatient", func(co *tinyio.Co) error { return forASecond(co, first) }},
			{"await", func(co *tinyio.Co) error { return co.Wait(cs[1]) }},
			{"two", func(co *tinyio.Co) error {
				if err := first(co); err != nil {
					return err
				}
				return first(co)
			}},
		}, nil
	})
}

// TestExploreChannel has no value be lost or doubled on a channel, whoever gives up when, also when a goroutine waits in between.
func TestExploreChannel(t *testing.T) {
	for _, capacity := range []int{0, 1} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			explorePairs(t, 4, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
				ch := make(chan int, capacity)
				var a account
				tinyiotest.AtEnd(co, func() error { return a.balanced(len(ch)) })
				send := func(co *tinyio.Co) error {
					err := tinyio.Send(co, ch, 1)
					if err == nil {
						a.in++
					}
					return err
				}
				receive := func(co *tinyio.Co) error {
					_, ok, err := tinyio.Recv(co, ch)
					if err == nil && ok {
						a.out++
					}
					return err
				}
				soon := func(do func(co *tinyio.Co) error) func(co *tinyio.Co) error {
					return func(co *tinyio.Co) error { return forASecond(co, do) }
				}
				return []operation{
					{"send", soon(send)},
					{"receive", soon(receive)},
					{"send twice", soon(func(co *tinyio.Co) error { return errors.Join(send(co), send(co)) })},
					{"receive twice", soon(func(co *tinyio.Co) error { return errors.Join(receive(co), receive(co)) })},
				}, nil
			})
		})
	}
}
