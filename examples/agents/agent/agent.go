// Package agent is what the two teams of this example have in common: what models say, a model that plays a script, and how
// tokens are printed.
package agent

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Tries is how often a step of a task is tried, and Backoff the time between the first two tries; each next one is twice as
// long.
const (
	Tries   = 4
	Backoff = time.Second
)

var (
	// ErrBudget says that all tokens have been spent.
	ErrBudget = errors.New("the budget is spent")
	// ErrStopped is what a task is stopped for from outside.
	ErrStopped = errors.New("the task is no longer wanted")
)

// Stopped is the result of a task that has been stopped from outside.
const Stopped = "(stopped)"

// A Reply is what a model says at the end of a step of a task.
type Reply struct {
	Text  string   // the result of the task
	Needs []string // the tasks whose results the model wants to have before; then Text is none
}

// A Model plays a script, in place of a large language model. It may be used by several goroutines.
type Model struct {
	script map[string][]Step

	mu    sync.Mutex
	calls map[string]int
}

// A Step is what the model does when it is asked about a task.
type Step struct {
	Says   string        // the reply: each word is a token
	Takes  time.Duration // for each of them
	Needs  []string      // the tasks that it wants done
	Fails  error         // with what it fails, when it has said that
	Panics bool          // whether it panics instead
}

// NewModel returns a model that does these steps for each task, the last of them again and again.
func NewModel(script map[string][]Step) *Model {
	return &Model{script: script, calls: make(map[string]int)}
}

// Play is a step of a task. It waits by sleep, and hands each token to emit.
func (m *Model) Play(task string, known []string, sleep func(time.Duration) error, emit func(token string) error) (Reply, error) {
	m.mu.Lock()
	steps := m.script[task]
	call := m.calls[task]
	m.calls[task]++
	m.mu.Unlock()
	if len(steps) == 0 {
		return Reply{}, fmt.Errorf("the script has no task %q", task)
	}
	step := steps[min(call, len(steps)-1)]
	for token := range strings.FieldsSeq(step.Says) {
		if err := sleep(step.Takes); err != nil {
			return Reply{}, err
		}
		if err := emit(token); err != nil {
			return Reply{}, err
		}
	}
	switch {
	case step.Panics:
		panic("the model of " + task + " has a bug")
	case step.Fails != nil || step.Needs != nil:
		return Reply{Needs: step.Needs}, step.Fails
	case known != nil:
		return Reply{Text: step.Says + " [" + strings.Join(known, "; ") + "]"}, nil
	}
	return Reply{Text: step.Says}, nil
}

// Calls is how often the model has been asked about a task.
func (m *Model) Calls(task string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[task]
}

// A Token is a piece of what a model says.
type Token struct{ Task, Text string }

// A Printer writes tokens, those of one task on a line until one of another comes.
type Printer struct {
	out  io.Writer
	task string
}

// NewPrinter returns a printer that writes to out.
func NewPrinter(out io.Writer) *Printer { return &Printer{out: out} }

// Print writes a token.
func (p *Printer) Print(t Token) error {
	text := " " + t.Text
	if t.Task != p.task {
		text = t.Task + ":" + text
		if p.task != "" {
			text = "\n" + text
		}
		p.task = t.Task
	}
	_, err := io.WriteString(p.out, text)
	return err
}
