package tinyio_test

import (
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R2: a fresh coroutine goes to the back of the queue; awaiters become ready in the order in which they began to wait.
func TestAwaitersBecomeReadyInTheOrderInWhichTheyBeganToWait(t *testing.T) {
	var log recorder
	shared := tinyio.New(func(co *tinyio.Co) (int, error) {
		log.add("shared starts")
		err := co.Sleep(time.Second)
		log.add("shared ends")
		return 7, err
	})
	awaiter := func(name string, yields int) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			for range yields {
				if err := co.Yield(); err != nil {
					return err
				}
			}
			log.add("%s waits", name)
			v, err := shared.Await(co)
			log.add("%s has %d", name, v)
			return err
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		return co.Wait(awaiter("a", 2), awaiter("b", 0), awaiter("c", 1), awaiter("d", 0))
	})
	log.want(t, "b waits", "d waits", "shared starts", "c waits", "a waits", "shared ends",
		"b has 7", "d has 7", "c has 7", "a has 7")
}

// R2: Gather starts the fresh ones in order, takes one twice, and gives the values in the order of its arguments.
func TestGatherOfSeveralAndOfOneTwice(t *testing.T) {
	var log recorder
	c := func(name string, d time.Duration) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			log.add("%s starts", name)
			err := co.Sleep(d)
			log.add("%s ends", name)
			return name, err
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		a, b := c("a", 2*time.Second), c("b", time.Second)
		got, err := tinyio.Gather(co, a, b, a, a)
		log.add("%v", got)
		if empty, err := tinyio.Gather[int](co); empty == nil || len(empty) != 0 || err != nil {
			t.Errorf("an empty Gather gives %v, %v", empty, err)
		}
		return err
	})
	log.want(t, "a starts", "b starts", "b ends", "a ends", "[a b a a]")
}

// R2: Wait is Gather for mixed types.
func TestWaitOfMixedTypes(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		a, b := value(2*time.Second, 1), value(time.Second, "one")
		start := startWatch(co)
		if err := co.Wait(a, b, a); err != nil {
			return err
		}
		if a.Value() != 1 || b.Value() != "one" || start.passed(co) != 2*time.Second {
			t.Errorf("got %v, %v after %v", a.Value(), b.Value(), start.passed(co))
		}
		return nil
	})
}
