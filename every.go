package tinyio

import (
	"iter"
	"time"
)

// Every ranges over the ticks of a clock, every d from now on, and yields the time of each. A range that takes longer than d gets the tick that it
// has missed at once, and those that it has missed besides are dropped, as by [time.Ticker]. Each step suspends.
//
// An error ends the range: the coroutine is being stopped. Every panics if d is not positive. As anything that waits through a Co, it has to
// be ranged over by the coroutine itself; [iter.Pull2] would do so on another goroutine, and panics at its first step.
func Every(co *Co, d time.Duration) iter.Seq2[time.Time, error] {
	if d <= 0 {
		panic("tinyio: Every: the interval is " + d.String() + "; it must be positive")
	}
	return func(yield func(time.Time, error) bool) {
		next := co.Now().Add(d)
		for {
			if err := co.Sleep(next.Sub(co.Now())); err != nil {
				yield(time.Time{}, err)
				return
			}
			now := co.Now()
			if !yield(now, nil) {
				return
			}
			next = next.Add(d)
			if late := co.Now().Sub(next); late >= d {
				next = next.Add(late / d * d) // so the one that is left has come already, and is the last that has
			}
		}
	}
}
