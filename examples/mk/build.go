package main

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A builder makes targets. Its fields are shared by the coroutines of all targets, one of which runs at a time.
type builder struct {
	judge  judge
	places *tinyio.ThreadPool // as many as commands may run at once
	grace  time.Duration      // for commands to stop
	dryRun bool               // say what would be done and do nothing
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
	// The place is taken when everything that t depends on is there: whoever waits for others holds none. It is kept until t is
	// made, so this is no RunInPool, which would take a place for each thread.
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
		return version{}, nil
	}
	if err := b.run(co, t); err != nil {
		return version{}, err
	}
	if now, err = b.look(co, t); err != nil {
		return version{}, err
	}
	b.judge.note(t, now, deps)
	return now, nil
}

// look returns the version of t as it is now.
func (b *builder) look(co *tinyio.Co, t *target) (version, error) {
	if t.phony {
		return version{}, nil
	}
	return tinyio.RunInThread(func(context.Context) (version, error) {
		return b.judge.look(t.name)
	}).Named("look at " + t.name).Await(co)
}

// run runs the commands of t, and shows what they wrote when they are through, all of it together.
func (b *builder) run(co *tinyio.Co, t *target) error {
	job := b.view.begin(co.Now(), t)
	var done outcome
	defer func() { b.view.end(co.Now(), job, done.output) }()
	done, err := tinyio.RunInThread(func(ctx context.Context) (outcome, error) {
		return runCommands(ctx, t, b.grace)
	}).Named("commands of " + t.name).Await(co)
	if err != nil {
		return err
	}
	return done.failure
}
