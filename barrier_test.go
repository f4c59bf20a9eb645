package tinyio_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// W18: a barrier works again and again, and a party that was timed out does not count.
func TestBarrierOpensAgainAndForgetsTheTimedOut(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		barrier := tinyio.NewBarrier(2)
		party := func(name string) *tinyio.Coro[tinyio.Void] {
			return tinyio.Do(func(co *tinyio.Co) error {
				i, err := barrier.Wait(co)
				if err == nil {
					log.add("%s %d", name, i)
				}
				return err
			})
		}
		if _, err := tinyio.Timeout(co, party("timed out"), time.Second); !errors.Is(err, tinyio.ErrTimeout) {
			t.Errorf("Timeout returns %v", err)
		}
		return co.Wait(party("a"), party("b"), party("c"), party("d"), party("e"), party("f"))
	})
	// The last of two goes on behind those that it has let in.
	slices.Sort(log.lines)
	log.want(t, "a 0", "b 1", "c 0", "d 1", "e 0", "f 1")
}

// What was granted stands: a party that is stopped between the opening of a barrier and its turn has arrived, since the others count on
// it. Its next suspension returns the error. The same holds for the last to arrive.
func TestPartyThatIsStoppedAfterTheBarrierHasOpened(t *testing.T) {
	for name, last := range map[string]bool{"one that waited": false, "the last to arrive": true} {
		t.Run(name, func(t *testing.T) {
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
				_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
					if err := co.Spawn(stopped); err != nil {
						return err
					}
					if err := co.Sleep(time.Second); err != nil {
						return err
					}
					log.add("the domain fails")
					return errBoom
				}))
				wantError(t, "Isolate", err, errBoom)
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
