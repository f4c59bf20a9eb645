// Package tinyiotrace shows what the coroutines of a loop do, and when, on a time line: it writes the trace events that
// Perfetto (https://ui.perfetto.dev) and Chrome's chrome://tracing open, and annotates Go's own execution trace.
//
// Give a loop an [Exporter] as its observer:
//
//	e := tinyiotrace.New(file)
//	_, err := tinyio.Run(ctx, work, tinyio.WithObserver(e))
//	err = errors.Join(err, e.Close())
//
// Each coroutine is a track. A turn is a slice on it, and so is a wait, which says what for and where. An arrow leads from
// whoever started or woke a coroutine to the turn that it has because of that.
//
// While [runtime/trace] is collecting an execution trace, each coroutine is a task there besides, and each turn a region of
// that task, so that go tool trace shows them among the goroutines.
package tinyiotrace

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/trace"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// An Exporter is a [hook.Observer] that writes what it observes as a trace. It is for one loop at a time. Its methods are
// called on the loop, Close excepted.
type Exporter struct {
	w       *bufio.Writer
	err     error // the first one
	written int   // events
	now     func() time.Duration
	coros   map[tinyio.ID]*coro
	flows   int // arrows that have been begun
}

// A coro is what is known of a live coroutine.
type coro struct {
	since  time.Duration // the beginning of the slice that it is in
	wait   string        // what it waits for
	place  string
	flow   int // the arrow that leads to its next turn, 0 if there is none
	ctx    context.Context
	task   *trace.Task
	region *trace.Region
}

// An Option sets how an [Exporter] works.
type Option func(*Exporter)

// Steps makes a time line of events instead of seconds: each thing that happens takes a microsecond on it. The trace of a
// program is then the same in every run, as its interleaving is, and in virtual time nothing falls on the same spot.
func Steps() Option {
	return func(e *Exporter) {
		var steps time.Duration
		e.now = func() time.Duration {
			steps += time.Microsecond
			return steps
		}
	}
}

// New returns an Exporter that writes to w, as it goes. The trace is complete when [Exporter.Close] has been called. Errors of w are kept
// for Close. It panics if w is nil.
func New(w io.Writer, opts ...Option) *Exporter {
	if w == nil {
		panic("tinyiotrace: New: the writer is nil; pass what the trace is to be written to")
	}
	start := time.Now()
	e := &Exporter{
		w:     bufio.NewWriter(w),
		now:   func() time.Duration { return time.Since(start) },
		coros: map[tinyio.ID]*coro{},
	}
	for _, o := range opts {
		o(e)
	}
	e.name("process_name", 0, "coroutines")
	e.name("thread_name", track(hook.Nobody), "the loop")
	return e
}

// Close completes the trace and returns the first error in writing it. It does not close the writer. It may be called from any
// goroutine, once no loop uses e any more.
func (e *Exporter) Close() error {
	if _, err := e.w.WriteString("\n]\n"); err != nil && e.err == nil {
		e.err = err
	}
	if err := e.w.Flush(); err != nil && e.err == nil {
		e.err = err
	}
	return e.err
}

// Observe is called by the loop: see [hook.Observer].
func (e *Exporter) Observe(n hook.Note) {
	now := e.now()
	c := e.coros[n.Coro]
	if c == nil {
		if n.What != hook.Started {
			return // the exporter was given to the loop in the middle of a run
		}
		c = e.begin(n)
	}
	switch n.What {
	case hook.Started, hook.Woken:
		e.endWait(n.Coro, c, now)
		e.beginArrow(n, c, now)
	case hook.Resumed:
		e.endArrow(n.Coro, c, now)
		c.since = now
		if c.task != nil {
			c.region = trace.StartRegion(c.ctx, "turn")
		}
	case hook.Suspended:
		e.endTurn(n.Coro, c, now)
		at := n.Place()
		c.since, c.wait, c.place = now, n.Wait.String(), fmt.Sprintf("%s, %s:%d", at.Function, at.File, at.Line)
	case hook.Stopped:
		e.write(event{Name: "stopped", Phase: "i", Scope: "t", Time: micros(now), Track: track(n.Coro), Args: errorArgs(n.Err)})
	case hook.Finished:
		e.endWait(n.Coro, c, now)
		e.endTurn(n.Coro, c, now)
		e.write(event{Name: "finished", Phase: "i", Scope: "t", Time: micros(now), Track: track(n.Coro), Args: errorArgs(n.Err)})
		if c.task != nil {
			c.task.End()
		}
		delete(e.coros, n.Coro)
	}
}

// begin notes that a coroutine has been started.
func (e *Exporter) begin(n hook.Note) *coro {
	c := &coro{since: -1}
	e.coros[n.Coro] = c
	e.name("thread_name", track(n.Coro), fmt.Sprintf("%s #%d", n.Name(), n.Coro))
	if trace.IsEnabled() {
		c.ctx, c.task = trace.NewTask(context.Background(), n.Name())
	}
	return c
}

// endTurn draws the turn that c has had, if it was in one.
func (e *Exporter) endTurn(id tinyio.ID, c *coro, now time.Duration) {
	if c.since < 0 {
		return
	}
	e.slice("turn", id, c.since, now, nil)
	c.since = -1
	if c.region != nil {
		c.region.End()
		c.region = nil
	}
}

// endWait draws the wait that c was in, if it was in one.
func (e *Exporter) endWait(id tinyio.ID, c *coro, now time.Duration) {
	if c.wait == "" {
		return
	}
	e.slice("waits for "+c.wait, id, c.since, now, map[string]string{"at": c.place})
	c.since, c.wait = -1, ""
}

// beginArrow begins the arrow to the next turn of c from whoever has started or woken it: a coroutine, or the loop itself. An arrow
// begins at a slice.
func (e *Exporter) beginArrow(n hook.Note, c *coro, now time.Duration) {
	e.flows++
	c.flow = e.flows
	if e.coros[n.By] == nil { // the loop, or a coroutine that has just finished
		e.slice(n.What.String(), n.By, now, now, nil)
	}
	e.write(event{Name: n.What.String(), Category: "wake-up", Phase: "s", ID: c.flow, Time: micros(now), Track: track(n.By)})
}

// endArrow ends the arrow that leads to the turn of c which begins now.
func (e *Exporter) endArrow(id tinyio.ID, c *coro, now time.Duration) {
	e.endWait(id, c, now)
	if c.flow == 0 {
		return
	}
	e.write(event{Name: "woken", Category: "wake-up", Phase: "f", Bind: "e", ID: c.flow, Time: micros(now), Track: track(id)})
	c.flow = 0
}

// An event is one of the trace event format:
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
type event struct {
	Name     string            `json:"name"`
	Category string            `json:"cat,omitempty"`
	Phase    string            `json:"ph"`
	ID       int               `json:"id,omitempty"`
	Bind     string            `json:"bp,omitempty"`  // of the end of an arrow: the slice that it is in
	Scope    string            `json:"s,omitempty"`   // of an instant: its track
	Time     float64           `json:"ts"`            // in microseconds
	Duration *float64          `json:"dur,omitempty"` // of a slice
	Process  int               `json:"pid"`
	Track    int               `json:"tid"`
	Args     map[string]string `json:"args,omitempty"`
}

// track is the number of a coroutine's track; that of the loop is 0.
func track(id tinyio.ID) int { return int(id) + 1 }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// errorArgs returns the arguments of an event for an error.
func errorArgs(err error) map[string]string {
	if err == nil {
		return nil
	}
	return map[string]string{"error": err.Error()}
}

func (e *Exporter) name(what string, track int, name string) {
	e.write(event{Name: what, Phase: "M", Track: track, Args: map[string]string{"name": name}})
}

func (e *Exporter) slice(name string, id tinyio.ID, from, to time.Duration, args map[string]string) {
	long := micros(to - from)
	e.write(event{Name: name, Phase: "X", Time: micros(from), Duration: &long, Track: track(id), Args: args})
}

func (e *Exporter) write(v event) {
	if e.err != nil {
		return
	}
	before := ",\n"
	if e.written == 0 {
		before = "[\n"
	}
	e.written++
	var line []byte
	if line, e.err = json.Marshal(v); e.err != nil {
		return
	}
	if _, e.err = e.w.WriteString(before); e.err == nil {
		_, e.err = e.w.Write(line)
	}
}
