package durable

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A Retry is how often, and when, a function that has failed is called again: as an option of a [Step], or for all functions that a
// coroutine and those that it starts hand to threads, by [WithRetry].
//
// Each attempt that has failed is recorded, with its error. So after a crash the attempts go on with the count, and the wait between two of them is over
// when it would have been. The caller hears only of the last one: a success, or a [*RetryError]. If it is stopped, no further
// attempt is made, and a wait for one ends at once with the error of the stop. A panic and a [runtime.Goexit] are not tried again.
type Retry struct {
	Attempts int              // at most; 0 is as many as it takes
	Wait     time.Duration    // before the second attempt; then twice as long each time
	MaxWait  time.Duration    // at most; 0 is no limit
	If       func(error) bool // reports whether another attempt makes sense; nil is always. It is given the error as it is recorded, on any goroutine, and must not block
}

func (r Retry) setStep(o *stepOptions) {
	r.check("Step")
	o.retry = &r
}

func (r Retry) check(op string) {
	if r.Attempts < 0 || r.Wait < 0 || r.MaxWait < 0 {
		panic(fmt.Sprintf("durable: %s: a Retry with %d attempts and waits of %v to %v; none of them may be negative", op, r.Attempts, r.Wait, r.MaxWait))
	}
}

type retryKey struct{}

// WithRetry returns a context in which functions that have failed are called again. A coroutine of a program goes on with it as
//
//	co = co.WithValues(durable.WithRetry(co, durable.Retry{Attempts: 5, Wait: time.Second}))
//
// and then every RunInThread, Call, function in a pool and [Step] that it starts is retried, and so are those of the coroutines that it starts.
// A Retry that is nearer counts alone, and one of a single attempt switches retries off. With [WithContext] it holds for all programs of
// a journal.
func WithRetry(ctx context.Context, r Retry) context.Context {
	r.check("WithRetry")
	return context.WithValue(ctx, retryKey{}, r)
}

// RetryOf returns the Retry for a function that is handed to a thread, by the context that it is given: one of a single attempt if nobody
// has asked for more. It is for engines.
func RetryOf(ctx context.Context) Retry {
	if r, ok := ctx.Value(retryKey{}).(Retry); ok {
		return r
	}
	return Retry{Attempts: 1}
}

// Next says what comes when a step has failed so many times, the last time with err, as that is recorded: another attempt after some time;
// or nothing, and then final is the error of the step. It is for engines, which ask it unless the context of the function is done.
func (r Retry) Next(step string, attempts int, err error) (wait time.Duration, final error) {
	if _, ok := err.(*tinyio.PanicError); ok || r.Attempts == 1 {
		return 0, err
	}
	if r.Attempts > 0 && attempts >= r.Attempts || r.If != nil && !r.If(err) {
		return 0, &RetryError{step, attempts, err}
	}
	return r.waitAfter(attempts), nil
}

// waitAfter is the time between two attempts, the first of which was the one of that number.
func (r Retry) waitAfter(attempt int) time.Duration {
	most := r.MaxWait
	if most == 0 {
		most = math.MaxInt64
	}
	if doublings := attempt - 1; doublings < 63 && r.Wait <= most>>doublings {
		return r.Wait << doublings
	}
	if r.Wait == 0 {
		return 0
	}
	return most
}

// A RetryError is the error of a step that has failed for the last time: see [Retry].
type RetryError struct {
	Step     string
	Attempts int
	Err      error // of the last attempt
}

func (e *RetryError) Error() string {
	return fmt.Sprintf("durable: step %q failed %d times, the last time with: %v", e.Step, e.Attempts, e.Err)
}

// Unwrap gives Err.
func (e *RetryError) Unwrap() error { return e.Err }

// A Failing step is one that has failed, and is tried again: see [Journal.Failing].
type Failing struct {
	Step     int // its number, from 1
	Name     string
	Attempts int       // that have failed
	Err      error     // of the last one of these
	Next     time.Time // when the next one begins, or has begun
}
