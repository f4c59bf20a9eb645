package tinyio

import (
	"context"
	"runtime/pprof"
)

// Profiler labels (R29). A goroutine keeps the labels that it was given, and hands them on to those that it starts. Workers run
// one coroutine after another, and are started by whoever needs one: so the labels are set anew wherever code of a coroutine begins.
// It costs 4 ns without labels and 11 with some. They are not read back, for which Go has no function; so they are those of the
// context given to the run, and not those of the goroutine that called Run.

// setLabels gives the calling goroutine the labels of c, whose code it is about to run. There is no other place that decides
// which labels a coroutine has.
func (c *task) setLabels() { setLabels(c.ctx.Load()) }

func setLabels(x *coContext) { pprof.SetGoroutineLabels(x.labels) }

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
