package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A view shows what is going on: what commands have written, and on a terminal, below that, the targets that are running.
type view struct {
	w       io.Writer
	live    bool
	total   int // targets that have commands
	done    int // of these, those that are made or were up to date
	ran     int // of these, those whose commands have run, or would have
	running []*job
	drawn   int   // lines to take away before something else is written
	err     error // w could not be written to: nobody reads it any more, or the disk is full
}

// A job is a target whose commands are running.
type job struct {
	target *target
	since  time.Time
}

// How often a live view is drawn, even if nothing happens, and how many running targets it shows.
const (
	refreshInterval = 100 * time.Millisecond
	jobsShown       = 8
)

// isTerminal reports whether w can show a live view. It takes any device for a terminal: escape sequences do no harm to
// /dev/null.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// refresh returns the coroutine that keeps a live view up to date until all is over.
func (v *view) refresh(over *tinyio.Event) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		for v.live {
			if isOver, err := over.WaitFor(co, refreshInterval); isOver || err != nil {
				return err
			}
			if v.draw(co.Now(), nil); v.err != nil {
				return v.err
			}
		}
		return nil
	}).Named("refresh")
}

// skip takes down that a target was up to date.
func (v *view) skip() { v.done++ }

// wouldRun shows the commands of a target that are not run.
func (v *view) wouldRun(t *target) {
	v.done++
	v.ran++
	for _, c := range t.commands {
		v.write([]byte(c.text + "\n"))
	}
}

// begin shows that the commands of a target are running.
func (v *view) begin(now time.Time, t *target) *job {
	j := &job{t, now}
	v.ran++
	v.running = append(v.running, j)
	v.draw(now, nil)
	return j
}

// end shows that they no longer do, and their output.
func (v *view) end(now time.Time, j *job, output []byte) {
	v.done++
	v.running = slices.DeleteFunc(v.running, func(other *job) bool { return other == j })
	v.draw(now, output)
}

// draw writes output, and below it what is running. All of it is written at once, so that nothing flickers.
func (v *view) draw(now time.Time, output []byte) {
	var b bytes.Buffer
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", v.drawn) // so many lines up, and clear what is below
		v.drawn = 0
	}
	b.Write(output)
	if len(output) > 0 && output[len(output)-1] != '\n' {
		b.WriteByte('\n')
	}
	if v.live && len(v.running) > 0 {
		b.WriteString("\x1b[?7l") // what is too long for a line is cut off
		v.drawn = v.drawJobs(&b, now)
		b.WriteString("\x1b[?7h")
	}
	v.write(b.Bytes())
}

// write writes text to w, if that was possible so far.
func (v *view) write(text []byte) {
	if v.err != nil || len(text) == 0 {
		return
	}
	if _, err := v.w.Write(text); err != nil {
		v.err = fmt.Errorf("its output cannot be written: %w", err)
	}
}

// drawJobs writes what is running and returns how many lines that takes.
func (v *view) drawJobs(b *bytes.Buffer, now time.Time) int {
	fmt.Fprintf(b, "%d of %d done, %d running\n", v.done, v.total, len(v.running))
	shown := v.running[:min(len(v.running), jobsShown)]
	for _, j := range shown {
		fmt.Fprintf(b, "%6.1fs  %s\n", now.Sub(j.since).Seconds(), j.target.name)
	}
	return 1 + len(shown)
}
