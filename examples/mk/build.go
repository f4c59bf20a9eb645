package main

import (
	"bytes"
	"context"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A builder makes targets. Its fields are shared by the coroutines of all targets, one of which runs at a time.
type builder struct {
	judge  *judge
	begin  func() error      // is called before a command runs
	places *tinyio.Semaphore // as many as commands may run at once
	grace  time.Duration     // for commands to stop
	dryRun bool              // say what would be done and do nothing
	view   *view
}

// build makes the goals and all that they depend on. When it returns, with an error or without, every command has stopped.
func (b *builder) build(ctx context.Context, f *mkfile, goals []string, opts ...tinyio.Option) error {
	g := newGraph(f, b.make)
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		var over tinyio.Event
		defer over.Set()
		if err := co.Spawn(b.view.refresh(&over)); err != nil {
			return err
		}
		_, err := tinyio.Gather(co, g.all(goals)...)
		return err
	}).Named("mk"), opts...)
	return err
}

// make makes t, if it is not up to date with what it depends on, and returns its version.
func (b *builder) make(co *tinyio.Co, t *target, deps []version) (version, error) {
	// The place is taken when everything that t depends on is there: whoever waits for others holds none.
	if err := b.places.Acquire(co); err != nil {
		return version{}, err
	}
	defer b.places.Release()

	now, err := b.look(co, t)
	switch {
	case err != nil:
		return version{}, err
	case len(t.commands) == 0 && now.exists:
		return merge(append(deps, now)), nil
	case len(t.commands) == 0:
		return merge(deps), nil
	case b.judge.upToDate(t, now, deps):
		b.view.skip()
		return now, nil
	case b.dryRun:
		b.view.wouldRun(t)
		return version{}, b.view.err
	}
	if err := b.run(co, t, now); err != nil {
		return version{}, err
	}
	if now, err = b.look(co, t); err != nil {
		return version{}, err
	}
	if !t.phony {
		b.judge.note(t, now, deps)
	}
	return now, nil
}

// look returns the version of t as it is now.
func (b *builder) look(co *tinyio.Co, t *target) (version, error) {
	if t.phony {
		return version{}, nil
	}
	return tinyio.Call(co, func(ctx context.Context) (version, error) { return b.judge.look(ctx, t.name) })
}

// run runs the commands of t, of which there is version now, and shows what they wrote when they are through, all of it together;
// nothing of those that were stopped.
func (b *builder) run(co *tinyio.Co, t *target, now version) error {
	if err := b.begin(); err != nil {
		return err
	}
	job := b.view.begin(co.Now(), t)
	var output bytes.Buffer
	err := runCommands(co, t, now, &output, b.grace)
	if co.Err() != nil {
		output.Reset()
	}
	b.view.end(co.Now(), job, output.Bytes())
	if err == nil {
		err = b.view.err
	}
	return err
}
