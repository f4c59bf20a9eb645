package tinyioexec

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A Line is a line that a command has written.
type Line struct {
	Cmd  *exec.Cmd // who has written it
	Text string    // without the newline
}

// MaxLine is the length in bytes from which on a line comes in several parts, as if it were several lines.
const MaxLine = 1 << 20

// Lines is [Run], and puts each line that the command writes into lines, as it comes: of its standard output if
// cmd.Stdout is nil, and of its standard error if cmd.Stderr is nil, in the order in which they were written. The last one need not
// end in a newline. When the queue is full, the command has to wait. All lines have been put when Lines returns; it does not close
// the queue.
//
// When the coroutine is stopped, what the command writes until its end is still put into the queue. If that is full, and nobody
// takes anything when the command has come to its end, the rest is dropped. If the queue is closed, the command is stopped, and the error
// is [tinyio.ErrClosed].
func Lines(co *tinyio.Co, cmd *exec.Cmd, grace time.Duration, lines *tinyio.Queue[Line]) error {
	w := &chunkWriter{chunks: make(chan []byte), gone: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = w
	}
	if cmd.Stderr == nil {
		cmd.Stderr = w
	}
	p, err := tinyio.Call(co, func(context.Context) (*process, error) { return start(cmd, grace) })
	if err != nil {
		return err
	}
	go func() {
		<-p.copied
		close(w.chunks)
	}()
	// From here on everything is waited for, also when the coroutine is stopped. The deferred call is for one that panics.
	defer func() {
		p.stop()
		w.drop()
	}()
	f := &feeder{cmd: cmd, chunks: w.chunks, lines: lines}
	stopped := f.feed(co, func(l Line) error { return lines.Put(co, l) })
	allPut := true
	if stopped != nil {
		p.stop()
		allPut = stopped != tinyio.ErrClosed && f.feedTheRest(co, p) == nil
		w.drop()
	}
	done := co.Done()
	err = co.Shield(forever, func(co *tinyio.Co) error {
		return co.Call(func(context.Context) error { return p.wait(done) })
	})
	switch {
	case stopped != nil && (err == errStopped || err == nil && !allPut):
		return stopped
	case err == errStopped:
		return stopOf(co)
	}
	return err
}

// forever is the grace of a Shield whose function comes to its end by itself.
const forever = 100 * 365 * 24 * time.Hour

// A feeder puts lines into a queue.
type feeder struct {
	cmd    *exec.Cmd
	chunks <-chan []byte // of output
	lines  *tinyio.Queue[Line]
	ready  []byte // what is yet to be put
	rest   []byte // of a line whose end has not come
	ended  bool   // there will be no more chunks
}

// feed puts all lines, each by a call of put. If that fails, feed can be called again, and goes on where it was.
func (f *feeder) feed(co *tinyio.Co, put func(Line) error) error {
	for {
		for len(f.ready) > 0 {
			text, n := f.next()
			if err := put(Line{f.cmd, text}); err != nil {
				return err
			}
			f.ready = f.ready[n:]
		}
		if f.ended {
			return nil
		}
		chunk, ok, err := tinyio.Recv(co, f.chunks)
		if err != nil {
			return err
		}
		f.take(chunk, !ok)
	}
}

// lastChance is how long there is to make room for lines, when nobody is left who could write any more.
const lastChance = 100 * time.Millisecond

var errDropped = errors.New("tinyioexec: nobody takes the lines")

// feedTheRest puts the lines that are left when the coroutine is being stopped, while there is room for them. To wait for room it
// asks for it again and again: a Put could not be ended when it is in vain, and a Shield of limited time goes by the clock of the
// loop, but processes take real time.
func (f *feeder) feedTheRest(co *tinyio.Co, p *process) error {
	return co.Shield(forever, func(co *tinyio.Co) error {
		var since time.Time // from when on nobody was left to write
		return f.feed(co, func(l Line) error {
			for !f.lines.TryPut(l) {
				if err := co.Call(func(context.Context) error {
					select {
					case <-p.gone:
						if since.IsZero() {
							since = time.Now()
						} else if time.Since(since) > lastChance {
							return errDropped
						}
					default:
					}
					time.Sleep(time.Millisecond)
					return nil
				}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// take makes lines of a chunk and of what was left of the one before it.
func (f *feeder) take(chunk []byte, last bool) {
	f.rest = append(f.rest, chunk...)
	whole := bytes.LastIndexByte(f.rest, '\n') + 1
	if last || len(f.rest)-whole >= MaxLine {
		whole = len(f.rest)
	}
	f.ready, f.rest, f.ended = f.rest[:whole], bytes.Clone(f.rest[whole:]), last
}

// next returns the first line that is ready, and how much of it that is.
func (f *feeder) next() (text string, n int) {
	part := f.ready[:min(len(f.ready), MaxLine+1)]
	if i := bytes.IndexByte(part, '\n'); i >= 0 {
		return string(part[:i]), i + 1
	}
	part = part[:min(len(part), MaxLine)]
	return string(part), len(part)
}

// A chunkWriter sends what is written to it to a channel, until nobody wants it any more.
type chunkWriter struct {
	chunks chan []byte
	gone   chan struct{}
	once   sync.Once
}

// drop says that nobody wants anything any more.
func (w *chunkWriter) drop() { w.once.Do(func() { close(w.gone) }) }

func (w *chunkWriter) Write(p []byte) (int, error) {
	select {
	case w.chunks <- bytes.Clone(p):
	case <-w.gone:
	}
	return len(p), nil
}
