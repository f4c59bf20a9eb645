package tinyio_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R18: a coroutine that ranges over AsCompleted is halted by a Timeout, and those over which it ranges, which are spawned, carry on.
func TestTimeoutOfAsCompleted(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		slow := tinyio.New(func(co *tinyio.Co) (int, error) {
			err := co.Sleep(10 * time.Second)
			log.add("slow: %v", err)
			return 2, err
		})
		ranging := tinyio.Do(func(co *tinyio.Co) error {
			for v, err := range tinyio.AsCompleted(co, slow, value(time.Second, 1)) {
				log.add("%d, %v after %v", v, err, passed(co))
				if err != nil {
					return err
				}
			}
			return nil
		})
		_, err := tinyio.Timeout(co, ranging, 5*time.Second)
		log.add("timeout: %v after %v", err, passed(co))
		return nil
	})
	log.want(t, "1, <nil> after 1s", "0, tinyio: timed out after 5s after 5s",
		"timeout: tinyio: timed out after 5s after 5s", "slow: <nil>")
}

// R1, R3: AsCompleted gives the results in the order in which they come: first those that were there before, and once what is listed
// twice. If the range is left early, the others go on, and can be ranged over again.
func TestAsCompletedOrder(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		finished := value(0, 0)
		if err := wait(co, finished); err != nil {
			return err
		}
		a, b, c := value(3*time.Second, 3), value(time.Second, 1), value(2*time.Second, 2)
		results := tinyio.AsCompleted(co, a, b, finished, c, b)
		for _, want := range [][]int{{0, 1, 1, 2, 3}, {3, 1, 0, 2, 1}} { // the second time all are there
			var got []int
			for v, err := range results {
				if err != nil {
					return err
				}
				got = append(got, v)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		start := startWatch(co)
		late := value(time.Minute, 1)
		for range tinyio.AsCompleted(co, value(time.Second, 1), late) {
			break
		}
		if start.passed(co) != time.Second {
			t.Errorf("it takes %v", start.passed(co))
		}
		v, err := late.Await(co)
		if v != 1 || start.passed(co) != time.Minute {
			t.Errorf("the other gives %d after %v", v, start.passed(co))
		}
		return err
	})
}

// What finishes while the body of a range over AsCompleted waits for something else is not lost, and comes in the order in which it
// finished.
func TestAsCompletedWhileItsBodyWaits(t *testing.T) {
	var log recorder
	succeed(t, func(co *tinyio.Co) error {
		for v, err := range tinyio.AsCompleted(co, value(4*time.Second, 4), value(time.Second, 1), value(3*time.Second, 3), value(2*time.Second, 2)) {
			log.add("%d, %v after %v", v, err, passed(co))
			if v == 1 {
				if err := co.Sleep(9 * time.Second); err != nil {
					return err
				}
			}
		}
		return nil
	})
	log.want(t, "1, <nil> after 1s", "2, <nil> after 10s", "3, <nil> after 10s", "4, <nil> after 10s")
}

// R8: a coroutine that is cancelled in the body of a range over AsCompleted, and ranges on, gets its error at once, and the range ends.
func TestAsCompletedOfACancelledCoroutine(t *testing.T) {
	var log recorder
	crash(t, func(co *tinyio.Co) error {
		ranging := tinyio.Do(func(co *tinyio.Co) error {
			for v, err := range tinyio.AsCompleted(co, value(0, 1), value(0, 2), value(0, 3)) {
				log.add("%d: %v", v, err)
				co.Sleep(time.Hour)
			}
			return nil
		})
		return co.Wait(ranging, failer(time.Second, errBoom))
	})
	log.want(t, "1: <nil>", "0: tinyio: cancelled because of: boom")
}

// R3: the range over AsCompleted yields the failure of one of its coroutines in an earlier run, as Await returns it.
func TestAsCompletedOfFailedCoroutines(t *testing.T) {
	noLeaks(t)
	l := tinyio.NewLoop(tinyio.WithVirtualTime())
	failed := tinyio.New(func(co *tinyio.Co) (int, error) { return 0, errBoom })
	if _, err := tinyio.RunOn(background, l, failed); !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	var log recorder
	if _, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
		for v, err := range tinyio.AsCompleted(co, value(time.Second, 1), failed) {
			log.add("%d, %v", v, err)
		}
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	log.want(t, "0, boom", "1, <nil>")
}
