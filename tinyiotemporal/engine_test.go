package tinyiotemporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/durable/enginetest"
	"github.com/tinyio-go/tinyio/tinyiotemporal/internal/temporalserver"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
)

// TestEngineOfTheSuite has the programs of enginetest run in the environment that the SDK has for tests. TestServer, which needs a server,
// is the rest of it.
func TestEngineOfTheSuite(t *testing.T) {
	for name, opts := range map[string][]Option{"Steps": nil, "RecordedSteps": {WithRecordedSteps()}} {
		t.Run(name, func(t *testing.T) {
			enginetest.Test(t, enginetest.Config{
				Open: func(string) (enginetest.Engine, error) {
					return &environments{opts: opts, runs: map[string]*environment{}}, nil
				},
				Volatile: true,
			})
		})
	}
}

// environments is an engine of which each run has an environment of the SDK's test suite.
type environments struct {
	opts  []Option
	mu    sync.Mutex
	runs  map[string]*environment
	order []*environment
}

// An environment is that of one run.
type environment struct {
	*testsuite.TestWorkflowEnvironment
	id, program string
	ended       chan struct{}
}

func newEnvironment(opts ...Option) *testsuite.TestWorkflowEnvironment {
	env := bareEnvironment()
	Register(env, opts...)
	return env
}

// bareEnvironment returns an environment without programs.
func bareEnvironment() *testsuite.TestWorkflowEnvironment {
	var s testsuite.WorkflowTestSuite
	s.SetLogger(temporalserver.Quiet())
	env := s.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkflowRunTimeout(0) // or it is over in an instant, if a run waits for nothing but what comes from outside
	return env
}

func (e *environments) StartRun(ctx context.Context, program, id string, input json.RawMessage) error {
	if _, err := durable.Lookup(program); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.runs[id]; r != nil {
		if r.program != program {
			return errors.New("it is one of another program")
		}
		return nil
	}
	r := &environment{newEnvironment(e.opts...), id, program, make(chan struct{})}
	r.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: "q"})
	started := make(chan struct{})
	r.RegisterDelayedCallback(func() { close(started) }, 1)
	e.runs[id] = r
	e.order = append(e.order, r)
	go func() {
		defer close(r.ended)
		r.ExecuteWorkflow(program, input)
	}()
	select {
	case <-started:
	case <-r.ended:
	}
	return nil
}

func (e *environments) find(id string) (*environment, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.runs[id]; r != nil {
		return r, nil
	}
	return nil, durable.ErrUnknown
}

func (r *environment) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

func (e *environments) AwaitRun(ctx context.Context, id string, _ bool) (out json.RawMessage, err error) {
	r, err := e.find(id)
	if err != nil {
		return nil, err
	}
	select {
	case <-r.ended:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	err = r.GetWorkflowResult(&out)
	if _, ended := err.(*temporal.WorkflowExecutionError); ended {
		return nil, runError(id, err)
	}
	return out, err
}

func (e *environments) CancelRun(ctx context.Context, id string, cause error) error {
	err := e.SignalRun(ctx, id, cancelSignal, durable.EncodeError(cause))
	if errors.Is(err, durable.ErrEnded) {
		return nil
	}
	return err
}

func (e *environments) SignalRun(_ context.Context, id, name string, value json.RawMessage) error {
	r, err := e.find(id)
	if err != nil {
		return err
	}
	if r.hasEnded() {
		return durable.ErrEnded
	}
	r.SignalWorkflow(name, value)
	return nil
}

func (e *environments) Runs(ctx context.Context) iter.Seq2[durable.Info, error] {
	return func(yield func(durable.Info, error) bool) {
		for _, r := range e.order {
			i := durable.Info{ID: r.id, Program: r.program, State: durable.Running}
			if r.hasEnded() {
				i.State = durable.Succeeded
				if _, err := e.AwaitRun(ctx, r.id, true); err != nil {
					i.State, i.Err = durable.Failed, err
				}
			}
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (e *environments) Recover(context.Context) error { return nil }

func (e *environments) Close() error {
	for _, r := range e.order {
		if !r.hasEnded() {
			return fmt.Errorf("run %q has not ended", r.id)
		}
	}
	return nil
}
