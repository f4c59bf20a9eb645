package tinyiotest

import "time"

// epoch is when every run begins, as with tinyio.WithVirtualTime and in a bubble of testing/synctest.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A clock is the virtual time of one run. In a bubble it goes along with the bubble's time, so that threads that sleep and
// coroutines that sleep agree about who is first; outside one it moves only when it is set.
type clock struct {
	bubble  bool
	begun   time.Time
	skipped time.Duration
}

func newClock(bubble bool) *clock { return &clock{bubble: bubble, begun: time.Now()} }

func (c *clock) now() time.Time {
	now := epoch.Add(c.skipped)
	if c.bubble {
		now = now.Add(time.Since(c.begun))
	}
	return now
}

// passed is the time since the run began.
func (c *clock) passed() time.Duration { return c.now().Sub(epoch) }

// jump moves the clock to t, unless that is past.
func (c *clock) jump(t time.Time) {
	if d := t.Sub(c.now()); d > 0 {
		c.skipped += d
	}
}
