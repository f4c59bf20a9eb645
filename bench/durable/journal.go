package main

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

type workKey struct{}

func init() {
	durable.Register("work", func(naps int) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			w := co.Value(workKey{}).(*work)
			step := func(context.Context) (int64, error) { return w.step(), nil }
			for i := 0; naps == 0 || i < naps; i++ {
				if _, err := durable.Step(co, "step", step); err != nil {
					return err
				}
			}
			w.asleep.Add(1) // in a replay too
			return co.Sleep(time.Hour)
		})
	})
}

// A journal is ours.
type journal struct{ *durable.Journal }

func openJournal(ctx context.Context, _ *plan, dir string, w *work) (system, error) {
	j, err := durable.Open(dir, durable.WithContext(context.WithValue(ctx, workKey{}, w)))
	if err != nil {
		return nil, err
	}
	return journal{j}, j.Recover(ctx)
}

func (j journal) start(ctx context.Context, id string, naps int) error {
	_, err := durable.Start[int, tinyio.Void](ctx, j.Journal, "work", id, naps)
	return err
}

func (j journal) close(context.Context) error { return j.Close() }
