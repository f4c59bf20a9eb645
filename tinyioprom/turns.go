package tinyioprom

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tinyio-go/tinyio/hook"
)

// Turns is a [hook.Observer] that measures how long turns take, and a [prometheus.Collector]:
//
//	turns := tinyioprom.NewTurns("api")
//	loop := tinyio.NewLoop(tinyio.WithObserver(turns))
//	prometheus.MustRegister(tinyioprom.NewCollector("api", loop), turns)
//
// The metrics, with the label loop, are:
//
//	tinyio_turn_duration_seconds           a histogram of the lengths of turns, in real time
//	tinyio_turn_duration_longest_seconds   the longest one so far
//
// An observer makes every turn dearer, by some hundred nanoseconds. Where that counts, go without: the Collector tells of the turn that is under
// way, and tinyio.WithWatchdog of those that take too long. One Turns is for one loop at a time.
type Turns struct {
	histogram prometheus.Histogram
	longest   prometheus.GaugeFunc
	began     time.Time // the turn that is under way
	most      atomic.Uint64
}

// NewTurns returns a Turns. The name is the value of the label loop.
func NewTurns(name string) *Turns {
	t := &Turns{}
	labels := prometheus.Labels{"loop": name}
	t.histogram = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:        "tinyio_turn_duration_seconds",
		Help:        "How long the turns of coroutines take.",
		Buckets:     prometheus.ExponentialBuckets(1e-6, 10, 8), // from a microsecond to ten seconds
		ConstLabels: labels,
	})
	t.longest = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "tinyio_turn_duration_longest_seconds",
		Help:        "How long the longest turn has taken.",
		ConstLabels: labels,
	}, func() float64 { return math.Float64frombits(t.most.Load()) })
	return t
}

// Observe implements [hook.Observer].
func (t *Turns) Observe(n hook.Note) {
	switch n.What {
	case hook.Resumed:
		t.began = time.Now()
	case hook.Suspended, hook.Finished:
		if n.By != n.Coro || t.began.IsZero() { // it was stopped in somebody else's turn, or before its first
			return
		}
		took := time.Since(t.began).Seconds()
		t.began = time.Time{}
		t.histogram.Observe(took)
		if took > math.Float64frombits(t.most.Load()) {
			t.most.Store(math.Float64bits(took))
		}
	}
}

// Describe implements [prometheus.Collector].
func (t *Turns) Describe(ch chan<- *prometheus.Desc) {
	t.histogram.Describe(ch)
	t.longest.Describe(ch)
}

// Collect implements [prometheus.Collector].
func (t *Turns) Collect(ch chan<- prometheus.Metric) {
	t.histogram.Collect(ch)
	t.longest.Collect(ch)
}
