package tinyiotel

import (
	"context"
	"errors"
	"time"

	"github.com/tinyio-go/tinyio"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Metrics has meter observe the counters of l, until the registration that it returns is unregistered. They are read when they are
// collected, also while the loop is stuck. From the first time on, the loop looks at the clock at each turn, see [tinyio.Loop.Running].
//
// All have the attribute tinyio.loop, which is name:
//
//	tinyio.coroutines            coroutines by tinyio.state: ready, running or waiting
//	tinyio.coroutines.started    coroutines that have been started
//	tinyio.coroutines.finished   coroutines that have finished, in whatever way
//	tinyio.coroutines.failed     those of them that failed by themselves
//	tinyio.turns                 turns that coroutines have had
//	tinyio.turn.current          how long the turn has lasted that is under way, in seconds; 0 if there is none
//	tinyio.threads               threads, calls and callbacks under way
//	tinyio.timers                timers that are set
func Metrics(meter metric.Meter, name string, l *tinyio.Loop) (metric.Registration, error) {
	if meter == nil || l == nil {
		panic("tinyiotel: Metrics: the meter or the Loop is nil; pass the Meter of a MeterProvider, and a loop made with tinyio.NewLoop")
	}
	var errs []error
	counter := func(name, unit, text string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter("tinyio."+name, metric.WithUnit(unit), metric.WithDescription(text))
		errs = append(errs, err)
		return c
	}
	upDown := func(name, unit, text string) metric.Int64ObservableUpDownCounter {
		c, err := meter.Int64ObservableUpDownCounter("tinyio."+name, metric.WithUnit(unit), metric.WithDescription(text))
		errs = append(errs, err)
		return c
	}
	coroutines := upDown("coroutines", "{coroutine}", "Coroutines that have been started and have not finished.")
	started := counter("coroutines.started", "{coroutine}", "Coroutines that have been started.")
	finished := counter("coroutines.finished", "{coroutine}", "Coroutines that have finished, in whatever way.")
	failed := counter("coroutines.failed", "{coroutine}", "Coroutines that have failed by themselves, and not because they were stopped.")
	turns := counter("turns", "{turn}", "Turns that coroutines have had.")
	threads := upDown("threads", "{thread}", "Threads, calls and callbacks that have started and have not come back.")
	timers := upDown("timers", "{timer}", "Timers that are set.")
	current, err := meter.Float64ObservableGauge("tinyio.turn.current", metric.WithUnit("s"),
		metric.WithDescription("How long the turn has lasted that is under way, 0 if there is none: a loop that is stuck shows here."))
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	loop := attribute.String("tinyio.loop", name)
	of := metric.WithAttributeSet(attribute.NewSet(loop))
	in := func(state string) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(loop, attribute.String("tinyio.state", state)))
	}
	ready, running, waiting := in("ready"), in("running"), in("waiting")
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		_, since, ok := l.Running()
		s := l.Stats()
		inTurn, lasted := int64(0), 0.0
		if ok {
			inTurn, lasted = 1, time.Since(since).Seconds()
		}
		o.ObserveInt64(coroutines, int64(s.Ready), ready)
		o.ObserveInt64(coroutines, inTurn, running)
		o.ObserveInt64(coroutines, max(int64(s.Live-s.Ready)-inTurn, 0), waiting) // the counters may be some nanoseconds apart
		o.ObserveInt64(started, int64(s.Started), of)
		o.ObserveInt64(finished, int64(s.Finished), of)
		o.ObserveInt64(failed, int64(s.Failed), of)
		o.ObserveInt64(turns, int64(s.Turns), of)
		o.ObserveInt64(threads, int64(s.Threads), of)
		o.ObserveInt64(timers, int64(s.Timers), of)
		o.ObserveFloat64(current, lasted, of)
		return nil
	}, coroutines, started, finished, failed, turns, threads, timers, current)
}
