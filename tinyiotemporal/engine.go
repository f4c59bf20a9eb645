package tinyiotemporal

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// An Engine is a [durable.Engine] whose runs are workflows. The id of a run is that of its workflow. Workers that have been given to
// [Register], in this process or another one, take its steps.
//
// A run is known for as long as the retention of the namespace lasts after its end. Then the same id starts another one.
type Engine struct {
	client client.Client
	queue  string
	start  func(program, id string, o *client.StartWorkflowOptions)
}

var _ durable.Engine = (*Engine)(nil)

// An EngineOption sets how an [Engine] works.
type EngineOption func(*Engine)

// WithStart has f change the options with which a run is started: its timeouts, its memo, its search attributes.
func WithStart(f func(program, id string, o *client.StartWorkflowOptions)) EngineOption {
	return func(e *Engine) { e.start = f }
}

// NewEngine returns an engine whose runs are started in a task queue. The namespace is that of the client, and so are the data converter and
// the context propagators.
func NewEngine(c client.Client, taskQueue string, opts ...EngineOption) *Engine {
	if c == nil || taskQueue == "" {
		panic("tinyiotemporal: NewEngine: the client is nil or the task queue is empty; it needs both")
	}
	e := &Engine{client: c, queue: taskQueue, start: func(string, string, *client.StartWorkflowOptions) {}}
	for _, opt := range opts {
		opt(e)
	}
	return e
}

// StartRun is the Engine's side of [durable.Start]. The program must be registered here too: one that no worker has would never go on.
func (e *Engine) StartRun(ctx context.Context, program, id string, input json.RawMessage) error {
	if _, err := durable.Lookup(program); err != nil {
		return err
	}
	o := client.StartWorkflowOptions{TaskQueue: e.queue}
	e.start(program, id, &o)
	o.ID = id
	o.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	o.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL
	o.WorkflowExecutionErrorWhenAlreadyStarted = true
	_, err := e.client.ExecuteWorkflow(ctx, o, program, input)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if !errors.As(err, &already) {
		return e.failed(ctx, "Start", id, err)
	}
	d, err := e.describe(ctx, "Start", id)
	if err != nil {
		return err
	}
	if other := d.WorkflowExecutionInfo.Type.GetName(); other != program {
		return fmt.Errorf("%w: run %q is one of program %q, not of %q; give each run an id of its own", errOtherProgram, id, other, program)
	}
	return nil
}

var errOtherProgram = errors.New("tinyiotemporal: Start: the id is taken")

func init() { durable.RegisterError("tinyiotemporal.errOtherProgram", errOtherProgram) }

// failed is the error of a method.
func (e *Engine) failed(ctx context.Context, op, id string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var unknown *serviceerror.NotFound
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w: %q", durable.ErrUnknown, id)
	}
	return fmt.Errorf("tinyiotemporal: %s: run %q: %w", op, id, err)
}

func (e *Engine) describe(ctx context.Context, op, id string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	d, err := e.client.DescribeWorkflow(ctx, id, "")
	if err != nil {
		return nil, e.failed(ctx, op, id, err)
	}
	return d.RawResponse, nil
}

// AwaitRun looks whether a run is stopped after lookFirst, then after twice as long each time, and every lookEvery in the end.
const (
	lookFirst = time.Second
	lookEvery = 30 * time.Second
)

// AwaitRun is the Engine's side of [durable.Run.Result].
func (e *Engine) AwaitRun(ctx context.Context, id string, patient bool) (json.RawMessage, error) {
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if !patient {
		looked := make(chan struct{})
		defer func() { stop(nil); <-looked }()
		go func() {
			defer close(looked)
			if err := e.untilStopped(waiting, id); err != nil {
				stop(err)
			}
		}()
	}
	var out json.RawMessage
	err := e.client.GetWorkflow(waiting, id, "").Get(waiting, &out)
	if err == nil {
		if out == nil {
			out = json.RawMessage("null")
		}
		return out, nil
	}
	var ended *temporal.WorkflowExecutionError
	if errors.As(err, &ended) {
		return nil, runError(id, err)
	}
	return nil, e.failed(waiting, "Result", id, err)
}

// untilStopped returns why a run is stopped, when it is, or nil when ctx is done.
func (e *Engine) untilStopped(ctx context.Context, id string) error {
	for wait := lookFirst; ; wait = min(2*wait, lookEvery) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		if d, err := e.describe(ctx, "Result", id); err == nil {
			if err := e.stopped(ctx, id, d); err != nil {
				return err
			}
		}
	}
}

// stopped returns why a run cannot go on, if it cannot: what its task has failed with.
func (e *Engine) stopped(ctx context.Context, id string, d *workflowservice.DescribeWorkflowExecutionResponse) error {
	if d.PendingWorkflowTask.GetAttempt() < 2 {
		return nil
	}
	var failed *historypb.WorkflowTaskFailedEventAttributes // the last task, as far as it says something of the run
	history := e.client.GetWorkflowHistory(ctx, id, d.WorkflowExecutionInfo.Execution.RunId, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return nil // it will be asked again
		}
		switch event.EventType {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
			failed = nil
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED:
			failed = event.GetWorkflowTaskFailedEventAttributes()
			switch failed.Cause {
			case enumspb.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
				enumspb.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND, enumspb.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND:
				failed = nil
			}
		}
	}
	if failed == nil {
		return nil
	}
	return fmt.Errorf("run %q cannot go on: %s", id, failed.Failure.GetMessage())
}

// CancelRun is the Engine's side of [durable.Run.Cancel]. Cancelling the workflow does the same without a cause.
func (e *Engine) CancelRun(ctx context.Context, id string, cause error) error {
	err := e.SignalRun(ctx, id, cancelSignal, durable.EncodeError(cause))
	if errors.Is(err, durable.ErrEnded) {
		return nil
	}
	return err
}

// SignalRun is the Engine's side of [durable.Signal].
func (e *Engine) SignalRun(ctx context.Context, id, name string, value json.RawMessage) error {
	err := e.client.SignalWorkflow(ctx, id, "", name, value)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) { // it has ended, or there is none
		if _, err := e.describe(ctx, "Signal", id); err != nil {
			return err
		}
		return fmt.Errorf("%w: %q", durable.ErrEnded, id)
	}
	return e.failed(ctx, "Signal", id, err)
}

// Runs ranges over the runs of the task queue, in the order in which they were started. The service lists a run some time after its start, and
// each that is under way, or has not succeeded, costs a request more.
func (e *Engine) Runs(ctx context.Context) iter.Seq2[durable.Info, error] {
	return func(yield func(durable.Info, error) bool) {
		var all []*workflowpb.WorkflowExecutionInfo
		request := &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("TaskQueue = '%s' AND ExecutionStatus != 'ContinuedAsNew'", strings.ReplaceAll(e.queue, "'", "''")),
		}
		for {
			page, err := e.client.ListWorkflow(ctx, request)
			if err != nil {
				yield(durable.Info{}, e.failed(ctx, "Runs", e.queue, err))
				return
			}
			all = append(all, page.Executions...)
			if request.NextPageToken = page.NextPageToken; len(request.NextPageToken) == 0 {
				break
			}
		}
		slices.SortStableFunc(all, func(a, b *workflowpb.WorkflowExecutionInfo) int {
			return cmp.Or(a.StartTime.AsTime().Compare(b.StartTime.AsTime()), cmp.Compare(a.Execution.WorkflowId, b.Execution.WorkflowId))
		})
		for _, x := range all {
			info, err := e.info(ctx, x)
			if errors.Is(err, durable.ErrUnknown) {
				continue // it has been deleted meanwhile
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// info is what is known of a run that is listed.
func (e *Engine) info(ctx context.Context, x *workflowpb.WorkflowExecutionInfo) (durable.Info, error) {
	id := x.Execution.WorkflowId
	i := durable.Info{ID: id, Program: x.Type.GetName(), Started: x.StartTime.AsTime(), State: durable.Running}
	status := x.Status
	if status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING { // or it was when it was listed
		d, err := e.describe(ctx, "Runs", id)
		if err != nil {
			return i, err
		}
		if status = d.WorkflowExecutionInfo.Status; status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			if i.Err = e.stopped(ctx, id, d); i.Err != nil {
				i.State = durable.Stopped
			}
			return i, nil
		}
	}
	switch status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		i.State = durable.Succeeded
		return i, nil
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		i.State = durable.Cancelled
	default: // it has failed, was terminated, or has taken too long
		i.State = durable.Failed
	}
	_, err := e.AwaitRun(ctx, id, true)
	var ended *durable.RunError
	if !errors.As(err, &ended) {
		return i, err
	}
	i.Err = ended.Err
	return i, nil
}

// Status tells what each coroutine of a run is doing, as [tinyio.Loop.Status] does. A worker has to be there to answer.
func (e *Engine) Status(ctx context.Context, id string) ([]tinyio.Status, error) {
	v, err := e.client.QueryWorkflow(ctx, id, "", coroutines)
	if err != nil {
		return nil, e.failed(ctx, "Status", id, err)
	}
	var all []tinyio.Status
	if err := v.Get(&all); err != nil {
		return nil, fmt.Errorf("tinyiotemporal: Status: run %q: %w", id, err)
	}
	return all, nil
}
