package tinyiotemporal

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/tinyiotemporal/internal/temporalserver"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// leavesNothing checks that no goroutine is left at the end of the test.
func leavesNothing(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Errorf("%d goroutines are left, there were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	})
}

// A changed registry has the programs under other names, and notes what they return.
type changed struct {
	Registry
	now    map[string]string // the name of the program that takes the place of another one
	mu     sync.Mutex        // a worker has several under way
	result json.RawMessage
	err    error
}

func (r *changed) RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions) {
	f := w.(func(workflow.Context, json.RawMessage, *rest) (json.RawMessage, error))
	w = func(ctx workflow.Context, input json.RawMessage, rest *rest) (json.RawMessage, error) {
		result, err := f(ctx, input, rest)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.result, r.err = result, err
		return result, err
	}
	name := o.Name
	if r.now[name] == "" {
		r.Registry.RegisterWorkflowWithOptions(w, o)
	}
	for old, now := range r.now {
		if now == name {
			o.Name = old
			r.Registry.RegisterWorkflowWithOptions(w, o)
		}
	}
}

func read(t *testing.T, file string) *historypb.History {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := client.HistoryFromJSON(f, client.HistoryJSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// replay replays a history, with some programs in place of others.
func replay(t *testing.T, file string, now map[string]string, opts ...Option) (*changed, error) {
	t.Helper()
	r := worker.NewWorkflowReplayer()
	c := &changed{Registry: r, now: now}
	Register(c, opts...)
	h := read(t, filepath.Join("testdata", file))
	return c, r.ReplayWorkflowHistoryWithOptions(temporalserver.Quiet(), h, worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{
		ID: h.Events[0].GetWorkflowExecutionStartedEventAttributes().WorkflowId, // without it, ids that are made of that are others
	}})
}

// Programs do what they have done when the histories were recorded, and no step is run.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("there are %d histories, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			leavesNothing(t)
			c, err := replay(t, filepath.Base(file), nil)
			if err != nil {
				t.Fatal(err)
			}
			events := read(t, file).Events
			last := events[len(events)-1]
			switch {
			case last.GetWorkflowExecutionCompletedEventAttributes() != nil:
				want := last.GetWorkflowExecutionCompletedEventAttributes().Result.Payloads[0].Data
				if string(c.result) != string(want) {
					t.Errorf("the result is %s, %v, and was %s", c.result, c.err, want)
				}
			case last.GetWorkflowExecutionFailedEventAttributes() != nil:
				want := last.GetWorkflowExecutionFailedEventAttributes().Failure.Message
				if c.err == nil || message(runError("", c.err)) != want {
					t.Errorf("the error is %v, and was %s", c.err, want)
				}
			case last.GetWorkflowExecutionContinuedAsNewEventAttributes() != nil:
				var again *workflow.ContinueAsNewError
				if !errors.As(c.err, &again) {
					t.Errorf("the run does not continue as new, but with %v", c.err)
				}
			default:
				if c.result != nil || c.err != nil {
					t.Errorf("a run that was under way ends with %s, %v", c.result, c.err)
				}
			}
		})
	}
}

// When the SDK puts a workflow out of memory, its deferred functions run, and can do nothing.
func TestEvictionDoesNotAct(t *testing.T) {
	leavesNothing(t)
	s := new(spy)
	if _, err := replay(t, "waits.json", nil, WithContext(context.WithValue(t.Context(), spyKey{}, s))); err != nil {
		t.Fatal(err)
	}
	if len(s.log) > 0 {
		t.Errorf("the program has acted:\n%s", strings.Join(s.log, "\n"))
	}
}

// A program that does something else is told which step it was, and where.
func TestNondeterminism(t *testing.T) {
	leavesNothing(t)
	_, err := replay(t, "steps.json", map[string]string{"steps": "changed"})
	if err == nil || !strings.Contains(err.Error(), `expected step 2, "second"; found step 2, "another" at `) || !strings.Contains(err.Error(), "programs_test.go:") {
		t.Errorf("the error is %v", err)
	}
	if _, err = replay(t, "steps.json", map[string]string{"steps": "shorter"}); err == nil {
		t.Error("a program that takes a step less passes")
	}
}

// Runs that were beyond the place have the oldest version.
func TestVersionOfOldRun(t *testing.T) {
	leavesNothing(t)
	c, err := replay(t, "unversioned.json", map[string]string{"unversioned": "versions"})
	if err != nil || string(c.result) != "0" {
		t.Errorf("the result is %s, %v", c.result, err)
	}
	for program, want := range map[string]string{
		"newest": "expected a program that knows version 2 of the change; found versions 3 to 4",
		"older":  "version 2", // as the SDK says it
	} {
		if _, err = replay(t, "versions.json", map[string]string{"versions": program}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v", program, err)
		}
	}
}

var _ durable.Engine = (*environments)(nil)
