package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/examples/agents/agent"
)

// A Model does steps of tasks. It may wait through co, and hands each token to emit as it comes.
type Model interface {
	Reply(co *tinyio.Co, task string, known []string, emit func(token string) error) (agent.Reply, error)
}

// A Team does tasks. A task that others need is done once, however many need it. Tokens are printed as they come.
// Make one with NewTeam.
type Team struct {
	model  Model
	out    *agent.Printer
	loop   *tinyio.Loop
	budget int                             // how many tokens may still come
	tasks  map[string]*tinyio.Coro[string] // by name
	tokens tinyio.Queue[agent.Token]
}

// NewTeam returns a team that prints to out, and that may spend so many tokens.
func NewTeam(model Model, out io.Writer, budget int, opts ...tinyio.Option) *Team {
	return &Team{
		model:  model,
		out:    agent.NewPrinter(out),
		loop:   tinyio.NewLoop(opts...),
		budget: budget,
		tasks:  make(map[string]*tinyio.Coro[string]),
	}
}

// Run does the tasks named, and those that they need, and returns the results. A task that fails for good stops all of
// them, as does the end of the budget: agent.ErrBudget.
func (t *Team) Run(ctx context.Context, names ...string) ([]string, error) {
	return tinyio.RunOn(ctx, t.loop, tinyio.New(func(co *tinyio.Co) ([]string, error) { return t.do(co, names) }))
}

// Stop stops one task, from any goroutine, and what only that needs. Those who need it go on, with agent.Stopped as its
// result. Stop returns when it has stopped.
func (t *Team) Stop(ctx context.Context, name string) error {
	found, err := tinyio.Submit(ctx, t.loop, tinyio.New(func(co *tinyio.Co) (bool, error) {
		task := t.tasks[name]
		if task == nil {
			return false, nil // an error would stop all
		}
		return true, task.Cancel(co, agent.ErrStopped)
	}))
	if err == nil && !found {
		err = fmt.Errorf("there is no task %q", name)
	}
	return err
}

func (t *Team) do(co *tinyio.Co, names []string) ([]string, error) {
	if err := co.SpawnDaemon(tinyio.Do(t.print)); err != nil {
		return nil, err
	}
	return t.results(co, names)
}

// results does tasks, at the same time, and returns their results.
func (t *Team) results(co *tinyio.Co, names []string) ([]string, error) {
	var results []*tinyio.Coro[string]
	for _, name := range names {
		results = append(results, tinyio.New(func(co *tinyio.Co) (string, error) {
			text, err := t.task(name).Await(co)
			var stopped *tinyio.CancelledError
			if errors.As(err, &stopped) && stopped.Cause == agent.ErrStopped {
				return agent.Stopped, nil
			}
			return text, err
		}))
	}
	return tinyio.Gather(co, results...)
}

// task returns the coroutine of a task, for the same name always the same one.
func (t *Team) task(name string) *tinyio.Coro[string] {
	c := t.tasks[name]
	if c == nil {
		c = tinyio.New(func(co *tinyio.Co) (string, error) { return t.work(co, name) }).Named(name)
		t.tasks[name] = c
	}
	return c
}

// work does a task: it asks the model, has done what that needs, and asks again, with the results.
func (t *Team) work(co *tinyio.Co, name string) (string, error) {
	var known []string
	for {
		reply, err := t.supervise(co, name, known)
		if err != nil || reply.Needs == nil {
			return reply.Text, err
		}
		if known, err = t.results(co, reply.Needs); err != nil {
			return "", err
		}
	}
}

// supervise does a step of a task. If that fails it is started again, after a while.
func (t *Team) supervise(co *tinyio.Co, name string, known []string) (agent.Reply, error) {
	wait := agent.Backoff
	for try := 1; ; try++ {
		reply, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (agent.Reply, error) {
			return t.model.Reply(co, name, known, func(token string) error { return t.emit(co, name, token) })
		}))
		if err == nil || try == agent.Tries || errors.Is(err, agent.ErrBudget) {
			return reply, err
		}
		if err := co.Sleep(wait); err != nil {
			return reply, err
		}
		wait *= 2
	}
}

// emit spends a token and hands it to the printer.
func (t *Team) emit(co *tinyio.Co, name, token string) error {
	if t.budget == 0 {
		return agent.ErrBudget
	}
	t.budget--
	return t.tokens.Put(co, agent.Token{Task: name, Text: token})
}

// print prints tokens, as a daemon.
func (t *Team) print(co *tinyio.Co) error {
	for token, err := range t.tokens.All(co) {
		if err != nil {
			return err
		}
		if err := t.out.Print(token); err != nil {
			return err
		}
	}
	return nil
}
