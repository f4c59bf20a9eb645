package tinyio_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// What was granted stands: a party that is stopped between the opening of a barrier and its turn has arrived, as the others believe.
// The next suspension tells it. So it is for the last to arrive.
func TestPartyThatIsStoppedAfterTheBarrierHasOpened(t *testing.T) {
	for name, last := range map[string]bool{"one that waited": false, "the last to arrive": true} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			var log recorder
			succeed(t, func(co *tinyio.Co) error {
				barrier := tinyio.NewBarrier(2)
				party := func(name string, after time.Duration) *tinyio.Coro[tinyio.Void] {
					return tinyio.Do(func(co *tinyio.Co) error {
						if err := co.Sleep(after); err != nil {
							return err
						}
						i, err := barrier.Wait(co)
						log.add("%s: %d, %v; then %v", name, i, err, co.Yield())
						return nil
					})
				}
				first, second := party("first", 0), party("second", time.Second)
				stopped, free := first, second
				if last {
					stopped, free = second, first
				}
				if err := co.Spawn(free); err != nil {
					return err
				}
				// It fails right after the turn in which the barrier opens.
				r, err := isolate(co, tinyio.Do(func(co *tinyio.Co) error {
					if err := co.Spawn(stopped); err != nil {
						return err
					}
					if err := co.Sleep(time.Second); err != nil {
						return err
					}
					log.add("the domain fails")
					return errBoom
				}))
				if err != nil || !errors.Is(r.Err, errBoom) {
					t.Errorf("Isolate gives %v, %v", r.Err, err)
				}
				return wait(co, free)
			})
			cancelled := "tinyio: cancelled because of: boom"
			if last {
				log.want(t, "the domain fails", "second: 1, <nil>; then "+cancelled, "first: 0, <nil>; then <nil>")
			} else {
				log.want(t, "the domain fails", "first: 0, <nil>; then "+cancelled, "second: 1, <nil>; then <nil>")
			}
		})
	}
}
