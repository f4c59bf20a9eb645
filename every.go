package tinyio

import (
	"iter"
	"time"
)

// Every ranges over the ticks of a clock, every d from now on, and yields the time of each. If a step of the range takes longer
// than d, the last tick that it has missed comes at once, and earlier ones are dropped, as [time.Ticker] drops them. Each step suspends.
//
// An error ends the range: the coroutine is being stopped. Every panics if d is not positive. The coroutine itself must range
// over the ticks: [iter.Pull2] would do so on another goroutine, and its first step panics.
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
				next = next.Add(late / d * d) // the last tick that is due already
			}
		}
	}
}
