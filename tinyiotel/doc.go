// Package tinyiotel connects tinyio with OpenTelemetry.
//
// Spans need nothing of it to nest: a [tinyio.Co] is a context, and its values follow who starts whom. A span that is started with it is below
// the span that whoever started the coroutine was in. [Start] starts one and has those who are started from then on be below it, and
// [New] makes a coroutine that is in a span of its own:
//
//	fetch := tinyiotel.New(tracer, "fetch", func(co *tinyio.Co) (int, error) { … })
//
// To see every coroutine and thread without touching the program, give the loop the observer that [NewSpans] returns:
//
//	_, err := tinyio.Run(ctx, c, tinyio.WithObserver(tinyiotel.NewSpans(ctx, tracer)))
//
// [Metrics] gives the counters of a loop to a meter.
package tinyiotel

import (
	"errors"

	"github.com/tinyio-go/tinyio"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Start starts a span, below that which co is in, and returns a handle to the same coroutine, to be used in place of co: what is
// started through it is below the span. The caller ends the span.
func Start(co *tinyio.Co, tracer trace.Tracer, name string, opts ...trace.SpanStartOption) (*tinyio.Co, trace.Span) {
	ctx, span := tracer.Start(co, name, opts...)
	return co.WithValues(ctx), span
}

// New returns a coroutine of that name which runs fn in a span of that name. The span begins with its first turn, is below that
// of whoever has started the coroutine, and ends with fn. If fn returns an error, or does not return, that is the status of the span; not if
// the error says only that the coroutine was stopped.
func New[T any](tracer trace.Tracer, name string, fn func(co *tinyio.Co) (T, error), opts ...trace.SpanStartOption) *tinyio.Coro[T] {
	if fn == nil {
		panic("tinyiotel: New: the function is nil; a coroutine needs one to run")
	}
	return tinyio.New(func(co *tinyio.Co) (v T, err error) {
		co, span := Start(co, tracer, name, opts...)
		returned := false
		defer func() {
			if !returned {
				err = errors.New("it panicked or called runtime.Goexit")
			}
			end(span, err, returned && errors.Is(err, tinyio.ErrCancelled))
		}()
		v, err = fn(co)
		returned = true
		return v, err
	}).Named(name)
}

// end ends a span with the error of what it stands for.
func end(span trace.Span, err error, stopped bool) {
	switch {
	case err == nil:
	case stopped:
		span.SetAttributes(attribute.String("tinyio.stopped", err.Error()))
	default:
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
