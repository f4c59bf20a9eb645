package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A state is how far a download is.
type state int

const (
	waiting state = iota
	running
	whole
	failed
	stopped
)

// A download is one file. It is shared by the coroutine that fetches it and by the screen, and needs no lock.
type download struct {
	url, name string
	state     state
	got, size int64 // size is -1 as long as it is not known
	before    int64 // got, when the rate was last worked out
	rate      float64
	err       error
}

// A batch is all downloads.
type batch struct {
	guest     *guest
	client    *http.Client
	dir       string
	permits   *tinyio.Semaphore
	downloads []*download
	counts    [stopped + 1]int // how many are in each state
	cleanup   []string         // what was cleaned up when it was stopped, in order, or could not be
}

// grace is how long clean-up may take.
const grace = 5 * time.Second

// rated is how often the rates are worked out.
const rated = 250 * time.Millisecond

// all fetches everything. Its clean-up would fail if a partial file was left, and does not: whoever waits for others hears that it is
// being stopped when these have stopped.
func (b *batch) all(co *tinyio.Co) error {
	if err := b.call(co, func() error { return lock(b.dir) }); err != nil {
		return err
	}
	defer b.tidy(co, "removed "+partials, func() error { return unlock(b.dir) })
	if err := co.SpawnDaemon(tinyio.Do(b.rates).Named("rates")); err != nil {
		return err
	}
	fetches := make([]tinyio.Awaitable, len(b.downloads))
	for i, d := range b.downloads {
		fetches[i] = tinyio.Do(func(co *tinyio.Co) error { return b.fetch(co, d) }).Named(d.name)
	}
	return co.Wait(fetches...)
}

// fetch fetches one file when it is its turn. If that fails, the others go on.
func (b *batch) fetch(co *tinyio.Co, d *download) error {
	if err := b.permits.Acquire(co); err != nil {
		b.set(d, stopped)
		return err
	}
	defer b.permits.Release()
	b.set(d, running)
	_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return b.transfer(co, d) }))
	switch {
	case co.Err() != nil:
		b.set(d, stopped)
		return co.Err()
	case err != nil:
		d.err = err
		b.set(d, failed)
	default:
		b.set(d, whole)
	}
	return nil
}

// transfer fetches one file, in as many commands as it has chunks.
func (b *batch) transfer(co *tinyio.Co, d *download) error {
	ctx, interrupt := context.WithCancelCause(context.Background())
	defer interrupt(nil)
	t, err := command(b.guest, interrupt, func() (*transfer, error) { return begin(ctx, b.client, d.url, b.dir, d.name) }).Await(co)
	if t == nil {
		return err
	}
	defer func() {
		if !t.whole {
			b.tidy(co, "removed "+filepath.Join(partials, d.name), t.discard)
		}
	}()
	d.size = t.size
	for err == nil {
		var n int64
		var end bool
		n, err = command(b.guest, interrupt, func() (n int64, err error) {
			if n, err = t.more(); errors.Is(err, io.EOF) {
				end, err = true, nil
			}
			return n, err
		}).Await(co)
		d.got += n
		if end && err == nil {
			return b.call(co, t.finish)
		}
	}
	return err
}

// rates works out how fast each download is.
func (b *batch) rates(co *tinyio.Co) error {
	last := co.Now()
	for now, err := range tinyio.Every(co, rated) {
		if err != nil {
			return err
		}
		for _, d := range b.downloads {
			if d.state == running {
				d.rate = float64(d.got-d.before) / now.Sub(last).Seconds()
				d.before = d.got
			}
		}
		last = now
	}
	return nil
}

// call has Bubble Tea run fn, which does not take long, and waits for it.
func (b *batch) call(co *tinyio.Co, fn func() error) error {
	_, err := command(b.guest, func(error) {}, func() (tinyio.Void, error) { return tinyio.Void{}, fn() }).Await(co)
	return err
}

// tidy is call for clean-up: it waits although co is being stopped. If co is being stopped, because its own work has failed or for any other reason, that is taken down.
func (b *batch) tidy(co *tinyio.Co, what string, fn func() error) {
	err := co.Shield(grace, func(co *tinyio.Co) error { return b.call(co, fn) })
	switch {
	case err != nil:
		b.cleanup = append(b.cleanup, fmt.Sprintf("not %s: %v", what, err))
	case co.Err() != nil:
		b.cleanup = append(b.cleanup, what)
	}
}

// set puts d into a state.
func (b *batch) set(d *download, s state) {
	b.counts[d.state]--
	d.state = s
	b.counts[s]++
}
