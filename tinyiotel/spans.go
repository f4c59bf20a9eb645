package tinyiotel

import (
	"context"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Spans is a [hook.Observer] that makes a span of each coroutine and thread, from its start to its end, below that of whoever has started it.
//
// The attribute tinyio.end says how it finished. If it failed, by itself or in its clean-up, that is the status of the span, and the error is
// recorded. When it is stopped, an event says why. Where one waits for coroutines that others have started, its span has links to theirs:
// work that is shared. Each function of a [tinyio.Call] is a span below that of its coroutine.
//
// Spans are started and ended on the loop, so the span processor must not block: use one that exports in batches. One Spans is for
// one run at a time.
type Spans struct {
	ctx    context.Context // of the run
	tracer trace.Tracer
	waits  bool
	live   map[tinyio.ID]*live
}

// live is a coroutine that has a span.
type live struct {
	ctx    context.Context
	span   trace.Span
	by     tinyio.ID
	turns  int
	call   trace.Span // of the function that it waits for, if it does
	linked map[tinyio.ID]bool
}

// An Option sets how [Spans] work.
type Option func(*Spans)

// Waits adds an event to the span for each wait, which says for what and where. To find out where takes some microseconds.
func Waits() Option { return func(s *Spans) { s.waits = true } }

// NewSpans returns Spans. Those of coroutines that no coroutine has started are below the span of ctx, if it has one. It panics if ctx or the
// tracer is nil.
func NewSpans(ctx context.Context, tracer trace.Tracer, opts ...Option) *Spans {
	if ctx == nil || tracer == nil {
		panic("tinyiotel: NewSpans: the context or the tracer is nil; pass the context of the run, and the Tracer of a TracerProvider")
	}
	s := &Spans{ctx: ctx, tracer: tracer, live: map[tinyio.ID]*live{}}
	for _, o := range opts {
		o(s)
	}
	return s
}

// Observe implements [hook.Observer].
func (s *Spans) Observe(n hook.Note) {
	if n.What == hook.Started {
		s.start(n)
		return
	}
	c := s.live[n.Coro]
	if c == nil {
		return
	}
	switch n.What {
	case hook.Resumed:
		c.turns++
	case hook.Suspended:
		s.suspend(n, c)
	case hook.Woken:
		c.endCall()
	case hook.Stopped:
		c.span.AddEvent("stopped", trace.WithAttributes(attribute.String("tinyio.cause", n.Err.Error())))
	case hook.Finished:
		c.endCall()
		c.span.SetAttributes(attribute.String("tinyio.end", n.End.String()), attribute.Int("tinyio.turns", c.turns))
		end(c.span, n.Err, n.End == hook.StoppedCleanly)
		delete(s.live, n.Coro)
	}
}

// start begins the span of a coroutine.
func (s *Spans) start(n hook.Note) {
	parent := s.ctx
	if by := s.live[n.By]; by != nil {
		parent = by.ctx
	}
	c := &live{by: n.By}
	c.ctx, c.span = s.tracer.Start(parent, n.Name(), trace.WithAttributes(attribute.Int("tinyio.id", int(n.Coro))))
	s.live[n.Coro] = c
}

// suspend notes what c waits for.
func (s *Spans) suspend(n hook.Note, c *live) {
	switch n.Wait {
	case hook.Outside:
		c.span.SetAttributes(attribute.Bool("tinyio.thread", true))
	case hook.Call:
		_, c.call = s.tracer.Start(c.ctx, "call", trace.WithAttributes(place(n)...))
	}
	for _, id := range n.For() {
		if t := s.live[id]; t != nil && t.by != n.Coro && !c.linked[id] {
			if c.linked == nil {
				c.linked = map[tinyio.ID]bool{}
			}
			c.linked[id] = true
			c.span.AddLink(trace.Link{SpanContext: t.span.SpanContext(), Attributes: []attribute.KeyValue{attribute.String("tinyio.link", "waits for")}})
		}
	}
	if s.waits {
		c.span.AddEvent("waits", trace.WithAttributes(append(place(n), attribute.String("tinyio.wait", n.Wait.String()))...))
	}
}

// place is where a coroutine waits.
func place(n hook.Note) []attribute.KeyValue {
	at := n.Place()
	return []attribute.KeyValue{
		attribute.String("code.function.name", at.Function),
		attribute.String("code.file.path", at.File),
		attribute.Int("code.line.number", at.Line),
	}
}

// endCall ends the span of the function that c has waited for.
func (c *live) endCall() {
	if c.call != nil {
		c.call.End()
		c.call = nil
	}
}
