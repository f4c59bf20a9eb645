// Package tinyioprom gives the counters of a tinyio loop to Prometheus.
//
//	loop := tinyio.NewLoop()
//	prometheus.MustRegister(tinyioprom.NewCollector("api", loop))
//
// A Grafana dashboard for them is in dashboard.json.
package tinyioprom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tinyio-go/tinyio"
)

// A Collector is a [prometheus.Collector] for a loop. It answers also while the loop is stuck.
//
// The metrics have the label loop. They are:
//
//	tinyio_coroutines{state}           coroutines that are ready, running or waiting
//	tinyio_coroutines_started_total    coroutines that have been started
//	tinyio_coroutines_finished_total   coroutines that have finished, in whatever way
//	tinyio_coroutines_failed_total     those of them that failed by themselves
//	tinyio_turns_total                 turns that coroutines have had
//	tinyio_turn_seconds                how long the turn has lasted that is under way; 0 if there is none
//	tinyio_threads                     threads, calls and callbacks under way
//	tinyio_timers                      timers that are set
//
// To be collected costs nothing to speak of. From the first time on, the loop looks at the clock at each turn, see [tinyio.Loop.Running].
type Collector struct {
	loop                                         *tinyio.Loop
	coroutines, started, finished, failed, turns *prometheus.Desc
	turn, threads, timers                        *prometheus.Desc
}

// NewCollector returns a collector for l. The name is the value of the label loop; two that are registered together need different ones. The
// collector keeps l: unregister it when l is not going to be run again. It panics if l is nil.
func NewCollector(name string, l *tinyio.Loop) *Collector {
	if l == nil {
		panic("tinyioprom: NewCollector: the Loop is nil; make one with tinyio.NewLoop, and run coroutines on it with tinyio.RunOn")
	}
	labels := prometheus.Labels{"loop": name}
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("tinyio_"+name, help, variable, labels)
	}
	return &Collector{
		loop:       l,
		coroutines: desc("coroutines", "Coroutines that have been started and have not finished, by state: ready, running or waiting.", "state"),
		started:    desc("coroutines_started_total", "Coroutines that have been started."),
		finished:   desc("coroutines_finished_total", "Coroutines that have finished, in whatever way."),
		failed:     desc("coroutines_failed_total", "Coroutines that have failed by themselves, and not because they were stopped."),
		turns:      desc("turns_total", "Turns that coroutines have had."),
		turn:       desc("turn_seconds", "How long the turn has lasted that is under way, 0 if there is none: a loop that is stuck shows here."),
		threads:    desc("threads", "Threads, calls and callbacks that have started and have not come back."),
		timers:     desc("timers", "Timers that are set: of sleeps, and of limits to waits."),
	}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.coroutines, c.started, c.finished, c.failed, c.turns, c.turn, c.threads, c.timers} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	_, since, ok := c.loop.Running()
	s := c.loop.Stats()
	running, lasted := 0, 0.0
	if ok {
		running, lasted = 1, time.Since(since).Seconds()
	}
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.coroutines, float64(s.Ready), "ready")
	gauge(c.coroutines, float64(running), "running")
	gauge(c.coroutines, float64(max(s.Live-s.Ready-running, 0)), "waiting") // the counters may be some nanoseconds apart
	counter(c.started, s.Started)
	counter(c.finished, s.Finished)
	counter(c.failed, s.Failed)
	counter(c.turns, s.Turns)
	gauge(c.turn, lasted)
	gauge(c.threads, float64(s.Threads))
	gauge(c.timers, float64(s.Timers))
}
