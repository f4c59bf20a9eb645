package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A pipeline is three coroutines, with queues between them:
//
//	feed → in → batch → work → write
//
// Each queue is small. So when the output is slow, or the workers are, everything before waits, down to whoever writes the input.
type pipeline struct {
	size   int
	wait   time.Duration
	pool   *tinyio.ThreadPool
	source <-chan chunk
	redact func(ctx context.Context, batch []record) (result, error)
	out    io.Writer

	in   *tinyio.Queue[record]
	work *tinyio.Queue[*tinyio.Coro[result]] // batches that are being worked on, in the order of the input

	leaveOut              func(err error) error // is called with what is wrong with a record; its error ends the run
	records, batches, bad int                   // that have been written, or left out
}

// A result is the outcome of a batch.
type result struct {
	text    []byte
	records int     // that are in the text
	bad     []error // what is wrong with others, which are not
}

func newPipeline(size int, wait time.Duration, workers int, source <-chan chunk,
	redact func(context.Context, []record) (result, error), out io.Writer) *pipeline {
	return &pipeline{
		size:     size,
		wait:     wait,
		pool:     tinyio.NewThreadPool(workers),
		source:   source,
		redact:   redact,
		out:      out,
		in:       tinyio.NewQueue[record](size),
		work:     tinyio.NewQueue[*tinyio.Coro[result]](workers),
		leaveOut: func(err error) error { return err },
	}
}

// run runs the pipeline until everything has been written. A failure of any part of it stops all.
func (p *pipeline) run(co *tinyio.Co) error {
	if err := co.Spawn(tinyio.Do(p.feed).Named("feed"), tinyio.Do(p.batch).Named("batch")); err != nil {
		return err
	}
	return p.write(co)
}

// feed brings what is read from outside into the pipeline.
func (p *pipeline) feed(co *tinyio.Co) error {
	defer p.in.Close()
	for {
		c, ok, err := tinyio.Recv(co, p.source)
		if err != nil || !ok {
			return err
		}
		for _, r := range c.records {
			if err := p.in.Put(co, r); err != nil {
				return err
			}
		}
		if c.err != nil {
			return c.err
		}
	}
}

// batch has batches worked on in threads of the pool, and puts them into a queue, in order.
func (p *pipeline) batch(co *tinyio.Co) error {
	defer p.work.Close()
	return collect(co, p.in, p.size, p.wait, func(batch []record) error {
		c := tinyio.RunInPool(p.pool, func(ctx context.Context) (result, error) { return p.redact(ctx, batch) })
		if err := co.Spawn(c); err != nil { // it begins now, whenever its result is wanted
			return err
		}
		return p.work.Put(co, c)
	})
}

// collect calls emit with batches of the values of a queue, until that is closed and empty: of size values, or of fewer when the
// first of them has waited for some time.
func collect[T any](co *tinyio.Co, in *tinyio.Queue[T], size int, wait time.Duration, emit func(batch []T) error) error {
	for {
		first, err := in.Get(co)
		if errors.Is(err, tinyio.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		batch := append(make([]T, 0, size), first)
		deadline := co.Now().Add(wait)
		for len(batch) < size {
			v, ok, err := in.GetFor(co, deadline.Sub(co.Now()))
			if err != nil && !errors.Is(err, tinyio.ErrClosed) {
				return err
			}
			if !ok {
				break // the time is over, or there is no more
			}
			batch = append(batch, v)
		}
		if err := emit(batch); err != nil {
			return err
		}
	}
}

// write writes the results, in the order of the input, each when it is there.
func (p *pipeline) write(co *tinyio.Co) error {
	for c, err := range p.work.All(co) {
		if err != nil {
			return err
		}
		done, err := c.Await(co)
		if err != nil {
			return err
		}
		for _, bad := range done.bad {
			if err := p.leaveOut(bad); err != nil {
				return err
			}
		}
		if len(done.text) > 0 {
			if _, err := tinyio.Call(co, func(context.Context) (int, error) { return p.out.Write(done.text) }); err != nil {
				return err
			}
		}
		p.batches++
		p.records += done.records
		p.bad += len(done.bad)
	}
	return nil
}
