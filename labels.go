package tinyio

import (
	"context"
	"runtime/pprof"
)

// Profiler labels (R29). A goroutine keeps the labels that it was given, and hands them on to those that it starts. Workers run
// one coroutine after another, and are started by whoever needs one: so the labels are set anew wherever code of a coroutine begins.
// It costs 4 ns without labels and 11 with some. They are not read back, for which Go has no function; so they are those of the
// context given to the run, and not those of the goroutine that called Run.

// WithLabels has every coroutine carry its name (see [Coro.Named]) as the profiler label "tinyio", and so its threads and calls, and the
// goroutines that it starts. Then CPU profiles and goroutine profiles say which coroutine it was; so do Go's own stack traces, for instance
// after SIGQUIT, with GODEBUG=tracebacklabels=1.
//
// What the loop does itself it does on the stack of a coroutine, and counts for that. To set a name takes some 300 ns for each
// coroutine; without the option, nothing.
func WithLabels() Option {
	return func(l *Loop) { l.named = true }
}

// nameLabel is the key of the label that is a name.
const nameLabel = "tinyio"

// labels are the profiler labels of what c calls with the context x, to be set on its goroutine before. There is no other place that decides
// which labels a coroutine has.
func (c *task) labels(x *coContext) context.Context {
	if c.loop.Load().named {
		return c.withName(x.labels)
	}
	return x.labels
}

func (c *task) withName(labels context.Context) context.Context {
	return pprof.WithLabels(labels, pprof.Labels(nameLabel, c.label()))
}

// dropName takes the name of c off the calling goroutine, which others may use when the code of c has ended.
func (c *task) dropName() {
	if c.loop.Load().named {
		pprof.SetGoroutineLabels(c.ctx.Load().labels)
	}
}

// labelsOf returns a context that has the profiler labels of ctx and nothing else, in which they are found at once.
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
