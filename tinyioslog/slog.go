// Package tinyioslog tells in each record of a log which coroutine has written it.
//
//	slog.SetDefault(slog.New(tinyioslog.NewHandler(slog.NewTextHandler(os.Stderr, nil))))
//	…
//	slog.InfoContext(co, "connected") // … msg=connected tinyio.coro="fetch home"
package tinyioslog

import (
	"context"
	"log/slog"
	"slices"

	"github.com/tinyio-go/tinyio/internal/lookin"
)

// NewHandler returns a handler that gives records to h, with a group tinyio in front of all groups: coro, the name of the coroutine, and run,
// the number of its run on the page of package debug, if that is linked in. The context of the record has to be a [tinyio.Co], the context of a
// thread or a call, or one that was made from these. Other records are passed on as they are. It panics if h is nil.
//
// [tinyio.Co]: https://pkg.go.dev/github.com/tinyio-go/tinyio#Co
func NewHandler(h slog.Handler) slog.Handler {
	if h == nil {
		panic("tinyioslog: NewHandler: the handler is nil; pass the one that is to write the records")
	}
	return &handler{outer: h, inner: h}
}

// A handler adds a group to the records. It belongs outside the groups that have been opened: these are opened anew for each record that gets
// it, if there are any.
type handler struct {
	outer  slog.Handler                        // before the first group was opened
	inner  slog.Handler                        // with all groups and attributes
	opened []func(h slog.Handler) slog.Handler // leads from outer to inner
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	who, ok := whose(ctx)
	switch {
	case !ok:
		return h.inner.Handle(ctx, r)
	case len(h.opened) == 0:
		r = r.Clone()
		r.AddAttrs(who)
		return h.inner.Handle(ctx, r)
	}
	to := h.outer.WithAttrs([]slog.Attr{who})
	for _, open := range h.opened {
		to = open(to)
	}
	return to.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) }
	if len(h.opened) == 0 {
		outer := with(h.outer)
		return &handler{outer: outer, inner: outer}
	}
	return &handler{h.outer, with(h.inner), append(slices.Clip(h.opened), with)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := func(h slog.Handler) slog.Handler { return h.WithGroup(name) }
	return &handler{h.outer, with(h.inner), append(slices.Clip(h.opened), with)}
}

// whose returns what is to be added, if ctx is of a coroutine.
func whose(ctx context.Context) (group slog.Attr, ok bool) {
	if ctx == nil {
		return slog.Attr{}, false
	}
	who, ok := ctx.Value(lookin.WhoKey{}).(lookin.Who)
	if !ok {
		return slog.Attr{}, false
	}
	attrs := []slog.Attr{slog.String("coro", who.Coro)}
	if l := lookin.Listening(); l != nil {
		if number := l.Number(who.Loop); number != 0 {
			attrs = append(attrs, slog.Uint64("run", number))
		}
	}
	return slog.GroupAttrs("tinyio", attrs...), true
}
