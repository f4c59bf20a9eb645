// Package groups is the team of this example with an errgroup and channels.
package groups

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tinyio-go/tinyio/examples/agents/agent"
)

// A Model does steps of tasks. It hands each token to emit as it comes. Several goroutines use it.
type Model interface {
	Reply(ctx context.Context, task string, known []string, emit func(token string) error) (agent.Reply, error)
}

// A Team does tasks. A task that others need is done once, however many need it. Tokens are printed as they come.
// Make one with NewTeam. It runs once.
type Team struct {
	model  Model
	out    *agent.Printer
	tokens chan agent.Token
	group  *errgroup.Group
	ctx    context.Context // of the group

	mu     sync.Mutex
	budget int              // how many tokens may still come
	tasks  map[string]*task // by name
}

// A task is under way or done.
type task struct {
	stop context.CancelCauseFunc
	done chan struct{} // closed when it has a result, and not if it fails: that ends the context of the group
	text string        // the result

	// The mutex of the team guards these.
	wanted int     // by how many tasks
	needs  []*task // what it waits for
}

// NewTeam returns a team that prints to out, and that may spend so many tokens.
func NewTeam(model Model, out io.Writer, budget int) *Team {
	return &Team{
		model:  model,
		out:    agent.NewPrinter(out),
		tokens: make(chan agent.Token),
		budget: budget,
		tasks:  make(map[string]*task),
	}
}

// Run does the tasks named, and those that they need, and returns the results. A task that fails for good stops all of
// them, as does the end of the budget: agent.ErrBudget.
func (t *Team) Run(ctx context.Context, names ...string) (results []string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t.group, t.ctx = errgroup.WithContext(ctx)
	printed := make(chan struct{})
	go func() { // not of the group, which has to end first
		defer close(printed)
		for token := range t.tokens {
			if err := t.out.Print(token); err != nil {
				cancel(err)
			}
		}
	}()
	t.group.Go(func() (err error) {
		results, err = t.results(t.ctx, new(task), names)
		return err
	})
	err = t.group.Wait()
	close(t.tokens)
	<-printed
	return results, err
}

// Stop stops one task, from any goroutine, and what only that needs. Those who need it go on, with agent.Stopped as its
// result. Stop returns when it has stopped.
func (t *Team) Stop(ctx context.Context, name string) error {
	t.mu.Lock()
	x := t.tasks[name]
	t.mu.Unlock()
	if x == nil {
		return fmt.Errorf("there is no task %q", name)
	}
	x.stop(agent.ErrStopped)
	select {
	case <-x.done:
		return nil
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// results does tasks for another one, at the same time, and returns their results.
func (t *Team) results(ctx context.Context, by *task, names []string) ([]string, error) {
	if err := t.need(by, names); err != nil {
		return nil, err
	}
	defer t.release(by)
	var results []string
	for _, x := range by.needs { // which only this goroutine changes
		select {
		case <-x.done:
			results = append(results, x.text)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return results, nil
}

// need takes down what a task needs, and starts those of them that are new.
func (t *Team) need(by *task, names []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if x := t.tasks[name]; x != nil && x.waitsFor(by) {
			return fmt.Errorf("the task %q needs one that waits for it", name)
		}
	}
	for _, name := range names {
		x := t.tasks[name]
		if x == nil {
			x = t.start(name)
			t.tasks[name] = x
		}
		x.wanted++
		by.needs = append(by.needs, x)
	}
	return nil
}

// waitsFor reports whether x is y or waits for it, through others perhaps.
func (x *task) waitsFor(y *task) bool {
	return x == y || slices.ContainsFunc(x.needs, func(x *task) bool { return x.waitsFor(y) })
}

// release takes down that a task needs nothing any more, and stops those that nobody else needs.
func (t *Team) release(by *task) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range by.needs {
		if x.wanted--; x.wanted == 0 {
			x.stop(agent.ErrStopped)
		}
	}
	by.needs = nil
}

// start starts a task.
func (t *Team) start(name string) *task {
	ctx, stop := context.WithCancelCause(t.ctx)
	x := &task{stop: stop, done: make(chan struct{})}
	t.group.Go(func() error {
		defer stop(nil)
		text, err := t.work(ctx, x, name)
		if err != nil && context.Cause(ctx) == agent.ErrStopped {
			text, err = agent.Stopped, nil
		}
		if err != nil {
			return err
		}
		x.text = text
		close(x.done)
		return nil
	})
	return x
}

// work does a task: it asks the model, has done what that needs, and asks again, with the results.
func (t *Team) work(ctx context.Context, x *task, name string) (string, error) {
	var known []string
	for {
		reply, err := t.supervise(ctx, name, known)
		if err != nil || reply.Needs == nil {
			return reply.Text, err
		}
		if known, err = t.results(ctx, x, reply.Needs); err != nil {
			return "", err
		}
	}
}

// supervise does a step of a task. If that fails it is started again, after a while.
func (t *Team) supervise(ctx context.Context, name string, known []string) (agent.Reply, error) {
	wait := agent.Backoff
	for try := 1; ; try++ {
		reply, err := t.ask(ctx, name, known)
		if err == nil || try == agent.Tries || errors.Is(err, agent.ErrBudget) {
			return reply, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return reply, context.Cause(ctx)
		}
		wait *= 2
	}
}

// ask asks the model. If that panics, it has failed.
func (t *Team) ask(ctx context.Context, name string, known []string) (reply agent.Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return t.model.Reply(ctx, name, known, func(token string) error { return t.emit(ctx, name, token) })
}

// emit spends a token and hands it to the printer.
func (t *Team) emit(ctx context.Context, name, token string) error {
	t.mu.Lock()
	if t.budget == 0 {
		t.mu.Unlock()
		return agent.ErrBudget
	}
	t.budget--
	t.mu.Unlock()
	select {
	case t.tokens <- agent.Token{Task: name, Text: token}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
