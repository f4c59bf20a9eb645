package tinyio_test

import (
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R1: a suspension goes through the queue even when what it waits for is already there.
func TestSuspensionAlwaysGivesOthersATurn(t *testing.T) {
	finished := value(0, 1)
	var set tinyio.Event
	set.Set()
	cases := map[string]func(co *tinyio.Co) error{
		"Yield":            func(co *tinyio.Co) error { return co.Yield() },
		"Sleep of zero":    func(co *tinyio.Co) error { return co.Sleep(0) },
		"negative Sleep":   func(co *tinyio.Co) error { return co.Sleep(-time.Hour) },
		"Await":            func(co *tinyio.Co) error { return wait(co, finished) },
		"Gather":           func(co *tinyio.Co) error { _, err := tinyio.Gather(co, finished, finished); return err },
		"empty Gather":     func(co *tinyio.Co) error { _, err := tinyio.Gather[int](co); return err },
		"Wait":             func(co *tinyio.Co) error { return co.Wait(finished) },
		"empty Wait":       func(co *tinyio.Co) error { return co.Wait() },
		"Spawn":            func(co *tinyio.Co) error { return co.Spawn(finished) },
		"empty Spawn":      func(co *tinyio.Co) error { return co.Spawn() },
		"Event.Wait":       func(co *tinyio.Co) error { return set.Wait(co) },
		"Event.WaitFor":    func(co *tinyio.Co) error { _, err := set.WaitFor(co, time.Hour); return err },
		"Timeout":          func(co *tinyio.Co) error { _, err := tinyio.Timeout(co, finished, time.Hour); return err },
		"Isolate":          func(co *tinyio.Co) error { _, err := tinyio.Isolate(co, finished); return err },
		"Barrier":          func(co *tinyio.Co) error { _, err := tinyio.NewBarrier(1).Wait(co); return err },
		"AsCompleted":      func(co *tinyio.Co) error { return firstOf(co, finished) },
		"finished, Shield": func(co *tinyio.Co) error { return co.Shield(0, func(co *tinyio.Co) error { return co.Yield() }) },
	}
	for name, suspend := range cases {
		t.Run(name, func(t *testing.T) {
			finished = value(0, 1)
			var log recorder
			succeed(t, func(co *tinyio.Co) error {
				if err := wait(co, finished); err != nil {
					return err
				}
				other := tinyio.Do(func(co *tinyio.Co) error {
					log.add("other 1")
					err := co.Yield()
					log.add("other 2")
					return err
				})
				if err := co.Spawn(other); err != nil {
					return err
				}
				start := startWatch(co)
				log.add("before")
				if err := suspend(co); err != nil {
					return err
				}
				log.add("after")
				if d := start.passed(co); d != 0 {
					t.Errorf("it takes %v", d)
				}
				return nil
			})
			log.want(t, "other 1", "before", "other 2", "after")
		})
	}
}

func firstOf(co *tinyio.Co, cs ...*tinyio.Coro[int]) error {
	for _, err := range tinyio.AsCompleted(co, cs...) {
		return err
	}
	return nil
}
