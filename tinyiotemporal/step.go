package tinyiotemporal

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio/durable"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Steps are local activities. The SDK has no part in what they are told of a cancellation: the context of a function is that of its
// coroutine.

// forever is how long a step may take.
const forever = time.Duration(math.MaxInt64 / 4)

// A step is a function of a thread as a local activity: several, one after the other, if an alarm calls it back.
type step struct {
	*durable.Pending
	driver  *driver
	begin   sync.Once
	outcome json.RawMessage // when done is closed
	done    chan struct{}
}

// An answer is the result of a local activity.
type answer struct {
	Outcome json.RawMessage `json:"outcome,omitempty"`
	Alarm   int64           `json:"alarm,omitempty"` // instead: the time for which it has come back
}

// Begin has a step taken when the calls of the SDK are made.
func (d *driver) Begin(p *durable.Pending) {
	d.queued = append(d.queued, d.callOf(d.step(p)))
}

func (d *driver) step(p *durable.Pending) *step {
	return &step{Pending: p, driver: d, done: make(chan struct{})}
}

// callOf is the next local activity for s.
func (d *driver) callOf(s *step) *call {
	return &call{
		step: true,
		start: func() workflow.Future {
			return workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(d.ctx, workflow.LocalActivityOptions{
				ScheduleToCloseTimeout: forever,
				RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
				Summary:                s.Name,
			}), takeStep, s)
		},
		take: func(f workflow.Future) {
			var a answer
			switch err := f.Get(d.ctx, &a); {
			case temporal.IsCanceledError(err): // the worker is being stopped; the step has not ended
			case err != nil:
				panic(fmt.Errorf("tinyiotemporal: step %d, %q, of run %q cannot be recorded: %w", s.Number, s.Name, d.ID(), err))
			case a.Outcome != nil:
				if d.recorded {
					d.hold(func() { d.give(s, a.Outcome) })
				} else {
					d.give(s, a.Outcome)
				}
				return
			default:
				d.alarmAt = later(d.alarmAt, time.Unix(0, a.Alarm))
			}
			d.queued = append([]*call{d.callOf(s)}, d.queued...)
		},
	}
}

// give gives the program what a step has come to, or has it tried again.
func (d *driver) give(s *step, outcome json.RawMessage) {
	ended, err := s.Give(outcome, d.Loop().Status)
	if err != nil {
		panic(err)
	}
	if !ended {
		d.failed = append(d.failed, d.step(s.Pending))
	}
}

// hold calls give when what is in the task now has been recorded: a timer begins with the end of the task, and is heard of in the next one.
func (d *driver) hold(give func()) {
	if d.held = append(d.held, give); len(d.held) > 1 {
		return
	}
	d.queued = append(d.queued, &call{
		start: func() workflow.Future { return workflow.NewTimer(d.ctx, time.Millisecond) },
		take: func(workflow.Future) {
			held := d.held
			d.held = nil
			for _, give := range held {
				give()
			}
		},
	})
}

// retry has the steps tried again for which it is time, and ends those whose coroutines have been stopped. It reports whether there was one.
func (d *driver) retry() (any bool) {
	now := d.time()
	rest := d.failed[:0]
	for _, s := range d.failed {
		switch {
		case s.Thread.Context().Err() != nil:
			s.Run() // calls nothing
			if _, err := s.Give(s.Outcome(), d.Loop().Status); err != nil {
				panic(err)
			}
		case s.Next().After(now):
			rest = append(rest, s)
			continue
		default:
			s.Waited()
			d.queued = append(d.queued, d.callOf(s))
		}
		any = true
	}
	clear(d.failed[len(rest):])
	d.failed = rest
	return any
}

// deadline is when the program is to go on if nothing comes: for a timer of its own, or to try a step again.
func (d *driver) deadline(timer time.Time) time.Time {
	for _, s := range d.failed {
		if timer.IsZero() || s.Next().Before(timer) {
			timer = s.Next()
		}
	}
	return timer
}

// takeStep is the local activity. It waits for the function, which is not run twice, or for the alarm.
func takeStep(ctx context.Context, s *step) (*answer, error) {
	s.driver.activity.Store(&ctx)
	s.begin.Do(func() {
		go func() {
			defer close(s.done)
			defer func() { s.outcome = s.Outcome() }() // also if the function calls runtime.Goexit
			s.Run()
		}()
	})
	select {
	case <-s.done:
		return &answer{Outcome: s.outcome}, nil
	case at := <-s.driver.alarm.rings():
		return &answer{Alarm: at.UnixNano()}, nil
	case <-ctx.Done():
		return nil, temporal.NewCanceledError()
	}
}

// An alarm calls one of the steps back that are under way, in real time. Nothing depends on when it does but what is recorded of that.
type alarm struct {
	mu    sync.Mutex
	at    time.Time
	timer *time.Timer
	ring  chan time.Time
}

// rings returns the channel of the alarm.
func (a *alarm) rings() <-chan time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.channel()
}

func (a *alarm) channel() chan time.Time {
	if a.ring == nil {
		a.ring = make(chan time.Time, 1)
	}
	return a.ring
}

// set sets the alarm to a time, given what time it is now; the zero time takes it back.
func (a *alarm) set(at, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	select {
	case <-a.channel(): // of an earlier time, for which nobody has come back
	default:
	}
	if a.at = at; !at.IsZero() {
		a.timer = time.AfterFunc(at.Sub(now), func() { a.call(at) })
	}
}

// call calls a step back, if that is what a is still set to.
func (a *alarm) call(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at.Equal(at) {
		select {
		case a.channel() <- at:
		default:
		}
	}
}
