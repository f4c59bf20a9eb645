package tinyio

import (
	"context"
	"runtime/pprof"
)

// Profiler labels (R29). A goroutine has the labels that were set on it, and passes them on to goroutines that it starts. A worker runs
// one coroutine after another, and any coroutine may have caused its start. So the labels are set anew wherever code of a coroutine
// begins. That costs 4 ns without labels and 11 ns with some. The labels are those of the context given to the run, and not those of
// the goroutine that called Run, because Go has no function to read the labels of a goroutine.

// WithLabels gives every coroutine its name (see [Coro.Named]) as the profiler label "tinyio", also on its threads and calls and on the
// goroutines that it starts. CPU profiles and goroutine profiles then show which coroutine it was. So do Go's own stack traces, for
// instance after SIGQUIT, with GODEBUG=tracebacklabels=1.
//
// The loop itself runs on the stack of a coroutine, and profiles count it as that coroutine. A name is set once for each coroutine,
// when it begins; docs/performance.md has what that costs. Without the option nothing is set and nothing is paid.
func WithLabels() Option {
	return func(l *Loop) { l.named = true }
}

// nameLabel is the key of the label whose value is the name of the coroutine.
const nameLabel = "tinyio"

// labels returns the profiler labels for code of c that runs with the context x. The caller sets them on the goroutine. Nothing else
// decides which labels a coroutine has.
func (c *task) labels(x *coContext) context.Context {
	if c.loop.Load().named {
		return c.withName(x.labels)
	}
	return x.labels
}

func (c *task) withName(labels context.Context) context.Context {
	return pprof.WithLabels(labels, pprof.Labels(nameLabel, c.label()))
}

// dropName removes the name of c from the calling goroutine when the code of c has ended: others may use that goroutine.
func (c *task) dropName() {
	if c.loop.Load().named {
		pprof.SetGoroutineLabels(c.ctx.Load().labels)
	}
}

// labelsOf returns a context with the profiler labels of ctx and nothing else, so that they are looked up quickly.
func labelsOf(ctx context.Context) context.Context {
	var pairs []string
	pprof.ForLabels(ctx, func(key, value string) bool {
		pairs = append(pairs, key, value)
		return true
	})
	if pairs == nil {
		return context.Background()
	}
	return pprof.WithLabels(context.Background(), pprof.Labels(pairs...))
}
