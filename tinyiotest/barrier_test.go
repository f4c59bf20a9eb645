package tinyiotest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// TestFindsW18CountsWhoHasGone puts back a barrier at which one who has been cancelled still counts.
func TestFindsW18CountsWhoHasGone(t *testing.T) {
	findsBug(t, "it returns an error", func(fixed bool) func(co *tinyio.Co) error {
		return func(co *tinyio.Co) error {
			b := oneOf[barrier](fixed, tinyio.NewBarrier(2), &looseBarrier{parties: 2})
			here, met := 0, false
			party := func(co *tinyio.Co) error {
				here++
				met = met || here == 2
				if _, err := b.Wait(co); err != nil {
					here--
					return err
				}
				if !met {
					return errBroken
				}
				return nil
			}
			isolated := named("isolated", func(co *tinyio.Co) error {
				tinyio.Isolate(co, named("impatient", func(co *tinyio.Co) error {
					return co.Wait(named("a", party), named("quitter", func(co *tinyio.Co) error {
						if err := yields(co, 3); err != nil || met {
							return err
						}
						return errors.New("no patience left")
					}))
				}))
				return co.Err()
			})
			late := named("b", func(co *tinyio.Co) error {
				if err := yields(co, 2); err != nil {
					return err
				}
				_, err := tinyio.Timeout(co, named("b waits", party), time.Second)
				if errors.Is(err, tinyio.ErrTimeout) {
					return nil // nobody else has come
				}
				return err
			})
			return co.Wait(isolated, late)
		}
	})
}

// TestExploreBarrier has nobody count who has gone, and the next two who come meet: W18.
func TestExploreBarrier(t *testing.T) {
	explorePairs(t, 4, func(co *tinyio.Co) ([]operation, func(co *tinyio.Co) error) {
		b := tinyio.NewBarrier(2)
		meet := func(co *tinyio.Co) error {
			index, err := b.Wait(co)
			if err == nil && index != 0 && index != 1 {
				return errBroken
			}
			return err
		}
		atEnd(co, func(co *tinyio.Co) error {
			_, err := tinyio.Timeout(co, named("alone", meet), time.Second)
			if !errors.Is(err, tinyio.ErrTimeout) {
				return fmt.Errorf("one who is alone meets somebody: %w", errors.Join(errBroken, err))
			}
			return co.Wait(named("a", meet), named("b", meet))
		})
		impatient := func(co *tinyio.Co) error { return forASecond(co, meet) }
		return []operation{
			{"impatient", impatient},
			{"twice", func(co *tinyio.Co) error {
				if err := impatient(co); err != nil {
					return err
				}
				return impatient(co)
			}},
			{"late", func(co *tinyio.Co) error {
				if err := co.Sleep(time.Second); err != nil {
					return err
				}
				return impatient(co)
			}},
			{"isolated", func(co *tinyio.Co) error {
				tinyio.Isolate(co, named("inside", func(co *tinyio.Co) error {
					if err := co.Spawn(named("waits", meet)); err != nil {
						return err
					}
					return errBroken
				}))
				return co.Err()
			}},
		}, nil
	})
}
