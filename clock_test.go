package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// TestBusyLoopLetsOthersIn proves that what happens outside a loop gets through to it though some coroutine is always ready (R12,
// R20), also where Go has one thread and does not interrupt a goroutine: a thread ends, the deadline of the context comes.
func TestBusyLoopLetsOthersIn(t *testing.T) {
	const patience = 20 * time.Second // only for it to fail rather than to go on for ever
	waits := map[string]func(co *tinyio.Co) error{
		"yielding":               func(co *tinyio.Co) error { return co.Yield() },
		"awaiting":               func(co *tinyio.Co) error { return wait(co, tinyio.Do(func(*tinyio.Co) error { return nil })) },
		"asleep in virtual time": func(co *tinyio.Co) error { return co.Sleep(1) },
	}
	for name, wait := range waits {
		for _, others := range []int{0, 1, 2} {
			t.Run(fmt.Sprintf("%s with %d others", name, others), func(t *testing.T) {
				noLeaks(t)
				begun := time.Now()
				busy := func(until func() bool) *tinyio.Coro[tinyio.Void] {
					return tinyio.Do(func(co *tinyio.Co) error {
						for turn := 0; !until(); turn++ {
							if err := wait(co); err != nil {
								return err
							}
							if turn%1000 == 999 && time.Since(begun) > patience {
								return fmt.Errorf("nothing has come from outside in %d turns", turn)
							}
						}
						return nil
					})
				}
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
					over := false
					thread := tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil })
					all := []tinyio.Awaitable{tinyio.Do(func(co *tinyio.Co) error {
						defer func() { over = true }()
						_, err := thread.Await(co)
						return err
					})}
					for range others + 1 {
						all = append(all, busy(func() bool { return over }))
					}
					if err := co.Wait(all...); err != nil {
						return err
					}
					time.AfterFunc(time.Millisecond, cancel)
					all = nil
					for range others + 1 {
						all = append(all, busy(func() bool { return false }))
					}
					return co.Wait(all...)
				}), tinyio.WithVirtualTime())
				if !errors.Is(err, context.Canceled) {
					t.Errorf("Run returns %v, want %v", err, context.Canceled)
				}
			})
		}
	}
}
