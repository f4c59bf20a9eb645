package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tinyio-go/tinyio"
)

// Receive returns the next signal of a name, waiting for one if there is none: in the order in which they were sent. With an error the signal
// has not been taken, unless it is that the signal is no T.
func Receive[T any](co *tinyio.Co, name string) (T, error) {
	var v T
	value, err := hostOf(co, "Receive").Receive(co, name)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(value, &v); err != nil {
		return v, fmt.Errorf("durable: Receive: the signal %q is no %T: %w", name, v, err)
	}
	return v, nil
}

// Version returns which version of a change holds in the run. A run that has not been here yet takes max, and keeps to it whenever it is
// replayed. A run that was beyond this place before the change was made has min. So a program changes under runs that are under way:
//
//	v, err := durable.Version(co, "check the address", 0, 1)
//	if err != nil {
//		return err
//	}
//	if v >= 1 { … }
//
// It is an error, a [*NondeterminismError], if the run has a version that is less than min or greater than max. It does not suspend.
func Version(co *tinyio.Co, change string, min, max int) (int, error) {
	if change == "" || min > max {
		panic("durable: Version: the change has no name, or min is greater than max; give it a name, and the oldest and the newest version that the program knows")
	}
	return hostOf(co, "Version").Version(co, change, min, max)
}

// Now is the time in the run: that of the latest thing that came from outside, or of the latest timer. It is co.Now().
func Now(co *tinyio.Co) time.Time {
	hostOf(co, "Now")
	return co.Now()
}

// Random is the run's source of random numbers: they are the same whenever the run is replayed. Do not use it in a step.
func Random(co *tinyio.Co) *rand.Rand { return hostOf(co, "Random").Random() }

// NewUUID returns a random UUID, the same one whenever the run is replayed: as a key for effects that must not happen twice.
func NewUUID(co *tinyio.Co) string {
	r := Random(co)
	a, b := r.Uint64(), r.Uint64()
	a = a&^0xf000 | 0x4000       // version 4
	b = b&^(0b11<<62) | 0b10<<62 // the variant of RFC 9562
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&(1<<48-1))
}

// RunID is the id of the run that co is part of.
func RunID(co *tinyio.Co) string { return hostOf(co, "RunID").ID() }

// A StepOption says how a [Step] is taken.
type StepOption interface{ setStep(*stepOptions) }

type stepOptions struct {
	retry   *Retry // nil is that of the context
	timeout time.Duration
}

type attemptTimeout time.Duration

func (d attemptTimeout) setStep(o *stepOptions) { o.timeout = time.Duration(d) }

// AttemptTimeout limits each attempt of a [Step] to d: then the context of its function is done. It is a timer in the process, and
// begins again if the step does.
func AttemptTimeout(d time.Duration) StepOption { return attemptTimeout(d) }

type keyKey struct{}

// Key is the key of the [Step] whose function was given ctx: the same for each attempt of the step, also after a crash, and of no other. It
// is what a service wants to be told that it may not do a thing twice. Outside a Step it is empty.
func Key(ctx context.Context) string {
	key, _ := ctx.Value(keyKey{}).(string)
	return key
}

// Step is [tinyio.Call] under a name. What fn returns is recorded, and a replay returns that. The error is exactly what fn returned, unless it
// is tried again: see [Retry].
func Step[T any](co *tinyio.Co, name string, fn func(ctx context.Context) (T, error), opts ...StepOption) (T, error) {
	if name == "" || fn == nil {
		panic("durable: Step: the name is empty or the function is nil; it needs both")
	}
	h := hostOf(co, "Step")
	var o stepOptions
	for _, opt := range opts {
		opt.setStep(&o)
	}
	if o.retry != nil {
		co = co.WithValues(WithRetry(co, *o.retry))
	}
	key := fmt.Sprintf("%s/%d", h.ID(), h.NameStep(name))
	defer h.NameStep("") // if the caller is stopped already, nothing is called
	return tinyio.Call(co, func(ctx context.Context) (T, error) {
		ctx = context.WithValue(ctx, keyKey{}, key)
		if o.timeout > 0 {
			limited, cancel := context.WithTimeout(ctx, o.timeout)
			defer cancel()
			ctx = limited
		}
		return fn(ctx)
	})
}

// Child returns a coroutine that starts a run of another program, or of the same, with an id of its own, and whose value is the result
// of that. When the coroutine is stopped, the run is cancelled, and the coroutine waits for its end. If id is empty, it is made from that
// of the run and the number of the step.
//
// The child has a history of its own, which keeps that of a run short that does a great many things.
func Child[In, Out any](co *tinyio.Co, program, id string, in In) *tinyio.Coro[Out] {
	h := hostOf(co, "Child")
	return tinyio.New(func(co *tinyio.Co) (out Out, err error) {
		input, err := json.Marshal(in)
		if err != nil {
			return out, fmt.Errorf("durable: Child: the input of a run of program %q cannot be recorded: %w", program, err)
		}
		once := co.WithValues(WithRetry(co, Retry{Attempts: 1})) // what a child has come to does not change
		v, err := h.Child(once, program, id, input)
		if err != nil {
			return out, err
		}
		if err := json.Unmarshal(v, &out); err != nil {
			return out, fmt.Errorf("durable: Child: the result of a run of program %q is no %T: %w", program, out, err)
		}
		return out, nil
	}).Named("child " + program)
}

// runChild starts a child and waits for it, in a step. If that ends because the run is put aside, the child is left as it is.
func runChild(ctx context.Context, e Engine, program, id string, input json.RawMessage) (json.RawMessage, error) {
	if err := e.StartRun(ctx, program, id, input); err != nil {
		if ctx.Err() != nil {
			return cancelChild(ctx, e, id) // which may have been started
		}
		return nil, &unavailable{err}
	}
	out, err := e.AwaitRun(ctx, id, true)
	if ctx.Err() != nil && err != nil {
		if _, ended := err.(*RunError); !ended {
			return cancelChild(ctx, e, id)
		}
	}
	return out, resultOfChild(err)
}

// cancelChild cancels a child because the coroutine that waits for it is stopped, and waits for its end.
func cancelChild(ctx context.Context, e Engine, id string) (json.RawMessage, error) {
	cause := context.Cause(ctx)
	if errors.Is(cause, tinyio.ErrAbandoned) {
		return nil, &unavailable{cause}
	}
	rest := context.WithoutCancel(ctx)
	if err := e.CancelRun(rest, id, cause); err != nil {
		if errors.Is(err, ErrUnknown) {
			return nil, cause
		}
		return nil, &unavailable{err}
	}
	out, err := e.AwaitRun(rest, id, true)
	if e, ok := err.(*RunError); ok && e.Cancelled {
		return nil, cause // the very error, so that the coroutine has stopped cleanly
	}
	return out, resultOfChild(err)
}

// resultOfChild is the error of a step that has waited for a child.
func resultOfChild(err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *RunError:
		return e.Err
	}
	return &unavailable{err}
}

// An unavailable error is no result of a step: the engine cannot do what the step is about, for now. It stops the run.
type unavailable struct{ err error }

func (e *unavailable) Error() string { return e.err.Error() }
func (e *unavailable) Unwrap() error { return e.err }
