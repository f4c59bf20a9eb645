package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tinyio-go/tinyio"
)

// A graph makes a coroutine of each target. One that several others depend on is awaited by all of them, and runs once.
type graph[T any] struct {
	file *mkfile
	work func(co *tinyio.Co, t *target, deps []T) (T, error) // for each target, when what it depends on is there
	made map[string]*tinyio.Coro[T]
}

func newGraph[T any](f *mkfile, work func(co *tinyio.Co, t *target, deps []T) (T, error)) *graph[T] {
	return &graph[T]{file: f, work: work, made: make(map[string]*tinyio.Coro[T])}
}

// all returns the coroutines for names.
func (g *graph[T]) all(names []string) []*tinyio.Coro[T] {
	cs := make([]*tinyio.Coro[T], len(names))
	for i, name := range names {
		cs[i] = g.coroutine(name)
	}
	return cs
}

// coroutine returns the coroutine for a name. For one name it is always the same one.
func (g *graph[T]) coroutine(name string) *tinyio.Coro[T] {
	c := g.made[name]
	if c == nil {
		t := g.file.target(name)
		c = tinyio.New(func(co *tinyio.Co) (T, error) {
			deps, err := tinyio.Gather(co, g.all(t.deps)...)
			if err != nil {
				var zero T
				return zero, err
			}
			return g.work(co, t, deps)
		}).Named(name)
		g.made[name] = c
	}
	return c
}

// plan goes through all that the goals depend on and does nothing, so that a cycle, or a file that nothing makes, is found before
// the first command runs. It returns how many targets have commands.
func plan(ctx context.Context, f *mkfile, goals []string) (n int, err error) {
	g := newGraph(f, func(_ *tinyio.Co, t *target, _ []tinyio.Void) (none tinyio.Void, err error) {
		if len(t.commands) > 0 {
			n++
		}
		if _, hasRule := f.targets[t.name]; hasRule {
			return none, nil
		}
		// This blocks the loop, but not for long, and there is nobody who could do anything else meanwhile.
		if _, err = os.Stat(t.name); errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("no rule makes %s, and there is no such file", t.name)
		}
		return none, err
	})
	_, err = tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Gather(co, g.all(goals)...)
		return err
	}))
	return n, err
}

// explain says what went wrong, and which targets led to it.
func explain(f *mkfile, err error) string {
	var cycle *tinyio.CycleError
	if errors.As(err, &cycle) {
		return "a cycle: " + strings.Join(cycle.Path, " -> ")
	}
	text := err.Error()
	var failed *tinyio.Error
	if errors.As(err, &failed) {
		if chain := f.chain(failed.Trace); len(chain) > 1 {
			text += "\n\tit was wanted by " + strings.Join(chain, " -> ")
		}
	}
	return text
}

// chain returns a way from a goal to the target that failed. A trace has everybody who waited for it, in an order in which each
// comes before what it waited for.
func (f *mkfile) chain(trace []tinyio.Frame) (names []string) {
	for _, frame := range slices.Backward(trace) {
		if len(names) == 0 || slices.Contains(f.target(frame.Coro).deps, names[0]) {
			names = slices.Insert(names, 0, frame.Coro)
		}
	}
	return names
}
