package tinyiotemporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
)

var activities = []any{Double, Refuse, Hang, Flaky, Trace}

// environmentWith is an environment with the activities of the tests.
func environmentWith(opts ...Option) *testsuite.TestWorkflowEnvironment {
	env := newEnvironment(opts...)
	for _, a := range activities {
		env.RegisterActivity(a)
	}
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "r", TaskQueue: "q"})
	return env
}

// resultOf runs a program, and returns its result or its error.
func resultOf[Out any](env *testsuite.TestWorkflowEnvironment, program string, in any) (out Out, err error) {
	env.ExecuteWorkflow(program, in)
	if err := env.GetWorkflowError(); err != nil {
		return out, err
	}
	return out, env.GetWorkflowResult(&out)
}

func TestActivities(t *testing.T) {
	got, err := resultOf[string](environmentWith(), "errand", 3)
	if want := "[0 2 4]; timed out; refused: true; attempt 3; 42"; got != want || err != nil {
		t.Errorf("the result is %q, %v, want %q", got, err, want)
	}
}

// On another engine an activity is a thread, and so an error of its own; one without a function cannot be.
func TestActivityOnAnotherEngine(t *testing.T) {
	n, err := tinyio.Run(t.Context(), Activity(Double, 21))
	if n != 42 || err != nil {
		t.Errorf("the result is %d, %v", n, err)
	}
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "ActivityNamed: the coroutine is not part of a workflow") {
			t.Errorf("the panic is %s", p)
		}
	}()
	tinyio.Run(t.Context(), ActivityNamed[int]("Double", nil))
}

// A propagator carries the value of traceKey.
type propagator struct{}

const traceHeader = "trace"

func (propagator) Inject(context.Context, workflow.HeaderWriter) error { return nil }

func (propagator) InjectFromWorkflow(ctx workflow.Context, w workflow.HeaderWriter) error {
	p, err := converter.GetDefaultDataConverter().ToPayload(ctx.Value(traceKey{}))
	w.Set(traceHeader, p)
	return err
}

func (propagator) Extract(ctx context.Context, r workflow.HeaderReader) (context.Context, error) {
	v, err := trace(r)
	return context.WithValue(ctx, traceKey{}, v), err
}

func (propagator) ExtractToWorkflow(ctx workflow.Context, r workflow.HeaderReader) (workflow.Context, error) {
	v, err := trace(r)
	return workflow.WithValue(ctx, traceKey{}, v), err
}

func trace(r workflow.HeaderReader) (v string, err error) {
	if p, ok := r.Get(traceHeader); ok {
		err = converter.GetDefaultDataConverter().FromPayload(p, &v)
	}
	return v, err
}

// Headers are in the context of the program, and what coroutines have in theirs is in headers.
func TestHeaders(t *testing.T) {
	env := environmentWith()
	env.SetContextPropagators([]workflow.ContextPropagator{propagator{}})
	p, err := converter.GetDefaultDataConverter().ToPayload("outer")
	if err != nil {
		t.Fatal(err)
	}
	env.SetHeader(&commonpb.Header{Fields: map[string]*commonpb.Payload{traceHeader: p}})
	if got, err := resultOf[string](env, "traced", 0); got != "outer outer inner" || err != nil {
		t.Errorf("the traces are %q, %v", got, err)
	}
}

// An answers is what becomes of an update.
type answers struct {
	name string
	log  *[]string
}

func (a answers) Accept() { *a.log = append(*a.log, a.name+" accepted") }
func (a answers) Reject(err error) {
	*a.log = append(*a.log, fmt.Sprintf("%s rejected: %v", a.name, err))
}
func (a answers) Complete(v any, err error) {
	*a.log = append(*a.log, fmt.Sprintf("%s: %v, %v", a.name, v, err))
}

func TestUpdatesSignalsAndQueries(t *testing.T) {
	env := environmentWith()
	var log []string
	total := func() (n int) {
		v, err := env.QueryWorkflow("total")
		if err != nil {
			t.Error(err)
			return 0
		}
		if err := v.Get(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	env.RegisterDelayedCallback(func() {
		for n := range 5 {
			env.SignalWorkflow("add", n)
		}
		env.UpdateWorkflow("add", "1", answers{"add 50", &log}, 50)
		env.UpdateWorkflow("add", "2", answers{"add 0", &log}, 0)
		env.UpdateWorkflow("add", "3", answers{"add -1", &log}, -1)
		env.UpdateWorkflow("add", "4", answers{"add 6", &log}, 6)
	}, time.Minute)
	env.RegisterDelayedCallback(func() {
		log = append(log, fmt.Sprint("total ", total()))
		v, err := env.QueryWorkflow(coroutines)
		var status []tinyio.Status
		if err == nil {
			err = v.Get(&status)
		}
		var names []string
		for _, s := range status {
			names = append(names, s.Coro+" "+s.State+" "+s.On)
		}
		log = append(log, fmt.Sprint(strings.Join(names, ", "), err))
		env.SignalWorkflow("end", "now")
	}, 2*time.Minute)
	n, err := resultOf[int](env, "counter", 1)
	if n != 123 || err != nil {
		t.Errorf("the result is %d, %v", n, err)
	}
	want := []string{
		"add 50 accepted", "add 0 rejected: nothing to add", "add -1 accepted",
		"add -1: 0, it is negative (type: *errors.errorString, retryable: true)", "add 6 accepted", "add 6: 23, <nil>", "add 50: 123, <nil>",
		"total 123",
	}
	if got := slices.DeleteFunc(slices.Clone(log), func(s string) bool { return strings.HasPrefix(s, "counter ") }); !slices.Equal(got, want) {
		t.Errorf("what happens is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if i := slices.IndexFunc(log, func(s string) bool {
		return strings.HasPrefix(s, "counter waiting") && strings.Contains(s, "adder waiting")
	}); i < 0 {
		t.Errorf("the coroutines are not there: %s", strings.Join(log, "\n"))
	}
}

func TestContinueAsNew(t *testing.T) {
	env := environmentWith()
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow("add", 1)
		env.SignalWorkflow("end", "again")
		env.SignalWorkflow("end", "now") // which nobody receives before
	}, time.Minute)
	_, err := resultOf[int](env, "counter", 1)
	var again *workflow.ContinueAsNewError
	if !errors.As(err, &again) || again.WorkflowType.Name != "counter" {
		t.Fatalf("the error is %v", err)
	}
	var total int
	var left rest
	if err := converter.GetDefaultDataConverter().FromPayloads(again.Input, &total, &left); err != nil {
		t.Fatal(err)
	}
	if total != 1002 || left.Taken != 1 || fmt.Sprintf("%s", left.Signals) != `map[end:["now"]]` {
		t.Errorf("what goes on is %d, %d, %s", total, left.Taken, left.Signals)
	}
	env = environmentWith()
	env.ExecuteWorkflow("counter", total, left)
	var n int
	if err := env.GetWorkflowResult(&n); n != 1002 || err != nil {
		t.Errorf("the result of the next part is %d, %v", n, err)
	}
}

// A gate lets nobody pass before as many are there as can be at once.
type gate struct {
	want int
	mu   sync.Mutex
	in   int
	most int
	open chan struct{}
}

type gateKey struct{}

func (g *gate) pass() {
	g.mu.Lock()
	g.in++
	g.most = max(g.most, g.in)
	if g.most == g.want {
		select {
		case <-g.open:
		default:
			close(g.open)
		}
	}
	g.mu.Unlock()
	<-g.open
	g.mu.Lock()
	g.in--
	g.mu.Unlock()
}

// No more things than maxPending are under way at once.
func TestThrottle(t *testing.T) {
	defer func(before int) { maxPending = before }(maxPending)
	maxPending = 50 // the SDK takes time in proportion to the square of it
	g := &gate{want: maxPending, open: make(chan struct{})}
	env := environmentWith(WithContext(context.WithValue(t.Context(), gateKey{}, g)))
	if got, err := resultOf[int](env, "many", 2*maxPending+1); got != maxPending || err != nil {
		t.Errorf("%d steps were under way at once, %v", got, err)
	}
}

// What waits for room can be stopped.
func TestStoppedInQueue(t *testing.T) {
	defer func(before int) { maxPending = before }(maxPending)
	maxPending = 1
	if got, err := resultOf[string](environmentWith(), "queued", 0); got != "stopped" || err != nil {
		t.Errorf("the result is %q, %v", got, err)
	}
}

// A counting registry counts how often the SDK has its turn beside the program.
type counting struct {
	Registry
	turns int
}

func (r *counting) RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions) {
	f := w.(func(workflow.Context, json.RawMessage, *rest) (json.RawMessage, error))
	r.Registry.RegisterWorkflowWithOptions(func(ctx workflow.Context, input json.RawMessage, rest *rest) (json.RawMessage, error) {
		workflow.Go(ctx, func(ctx workflow.Context) {
			_ = workflow.Await(ctx, func() bool { r.turns++; return false })
		})
		return f(ctx, input, rest)
	}, o)
}

// A program that takes many turns without waiting gives way now and then, or the SDK would take it for one that is stuck.
func TestGivesWay(t *testing.T) {
	for n, want := range map[int]int{0: 0, stepsPerTurn / 2: 1, 50 * stepsPerTurn: 100} {
		env := bareEnvironment()
		c := &counting{Registry: env}
		Register(c)
		if taken, err := resultOf[int](env, "turns", n); taken != 2*n || err != nil {
			t.Errorf("the result is %d, %v, want %d", taken, err, 2*n)
		}
		if want += 2; c.turns != want { // it has one at the beginning and one at the end
			t.Errorf("in %d turns the SDK has %d, want %d", 2*n, c.turns, want)
		}
	}
}

// With recorded steps, a timer stands between a step and what the program does with it.
func TestRecordedSteps(t *testing.T) {
	for _, test := range []struct {
		opts []Option
		want string
	}{
		{nil, "[step step]"},
		{[]Option{WithRecordedSteps()}, "[step timer step timer]"},
	} {
		env := environmentWith(test.opts...)
		var log []string
		env.SetOnLocalActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) { log = append(log, "step") })
		env.SetOnTimerFiredListener(func(string) { log = append(log, "timer") })
		if got, err := resultOf[string](env, "steps", "second"); got != "12" || err != nil {
			t.Errorf("the result is %q, %v", got, err)
		}
		if got := fmt.Sprint(log); got != test.want {
			t.Errorf("what happens is %s, want %s", got, test.want)
		}
	}
}

// A timer that is set around a thread fires while that runs.
func TestTimerDuringStep(t *testing.T) {
	if ok, err := resultOf[bool](environmentWith(), "hangs", 50*time.Millisecond); !ok || err != nil {
		t.Errorf("the result is %v, %v", ok, err)
	}
}

func TestFailures(t *testing.T) {
	for _, test := range []struct {
		how, kind, text string
		known           error
	}{
		{"error", "*errors.errorString", "it is negative", errNegative},
		{"activity", "Refused", "disk full", nil},
		{"clean-up", "*errors.joinError", "it is negative\ncanceled", errNegative},
		{"continues with clean-up", "*errors.joinError", "continues as new\nit is negative", errNegative},
		{"panic", "*tinyio.PanicError", "out of cheese", nil},
		{"step panics", "*tinyio.PanicError", "in a step", nil},
	} {
		_, err := resultOf[int](environmentWith(), "fails", test.how)
		var app *temporal.ApplicationError
		if !errors.As(err, &app) || app.Type() != test.kind || !strings.Contains(app.Message(), test.text) {
			t.Errorf("%s: the error is %v (%T), of type %q", test.how, err, err, app.Type())
			continue
		}
		var again *workflow.ContinueAsNewError
		if temporal.IsCanceledError(err) || errors.As(err, &again) {
			t.Errorf("%s: the error passes for another one: %v", test.how, err)
		}
		e := runError("r", err)
		if e.Cancelled || !strings.Contains(e.Error(), test.text) || test.known != nil && !errors.Is(e, test.known) {
			t.Errorf("%s: the error of the run is %v", test.how, e)
		}
		var d failure
		if err := app.Details(&d); err != nil || !strings.Contains(d.Trace, "programs_test.go:") {
			t.Errorf("%s: the trace is %q, %v", test.how, d.Trace, err)
		}
	}
	if n, err := resultOf[int](environmentWith(), "fails", "no result"); n != 0 || err != nil {
		t.Errorf("the result is %d, %v", n, err)
	}
}

// What has gone wrong beside the program fails the task, and not the run.
func TestTaskFails(t *testing.T) {
	for program, want := range map[string]string{
		"unrecorded": "something came to run \"r\" that is not recorded",
		"fails":      "the program has called runtime.Goexit",
	} {
		var in any = 1
		if program == "fails" {
			in = "goexit"
		}
		_, err := resultOf[int](environmentWith(), program, in)
		var panicked *temporal.PanicError
		if !errors.As(err, &panicked) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v", program, err)
		}
	}
}

// The cancellation of the workflow is the end of the program's context, and clean-up comes to its end.
func TestCancelledByTheService(t *testing.T) {
	s := new(spy)
	env := environmentWith(WithContext(context.WithValue(t.Context(), spyKey{}, s)))
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	_, err := resultOf[string](env, "waits", 0)
	var cancelled *temporal.CanceledError
	if !errors.As(err, &cancelled) {
		t.Fatalf("the error is %v", err)
	}
	if e := runError("r", err); !e.Cancelled || !errors.Is(e, context.Canceled) {
		t.Errorf("the error of the run is %v", e)
	}
	want := []string{
		"a receiver has cleaned up: <nil>", "a receiver is in its shield", "a sleeper has cleaned up: <nil>", "a sleeper is in its shield",
		"the program has cleaned up: <nil>", "the program has seen the error tinyio: cancelled because of: context canceled",
		"the program is in its shield",
	}
	if slices.Sort(s.log); !slices.Equal(s.log, want) { // the steps of the two are taken at once
		t.Errorf("what happens is\n%s", strings.Join(s.log, "\n"))
	}
}

func TestChildren(t *testing.T) {
	if got, err := resultOf[string](environmentWith(), "children", 0); got != "[2 4]" || err != nil {
		t.Errorf("the result is %q, %v", got, err)
	}
}

func TestVersion(t *testing.T) {
	env := environmentWith()
	env.RegisterDelayedCallback(func() { env.SignalWorkflow("go on", 0) }, time.Minute)
	if n, err := resultOf[int](env, "versions", 0); n != 22 || err != nil {
		t.Errorf("the result is %d, %v", n, err)
	}
}

var _ durable.Host = (*driver)(nil)
