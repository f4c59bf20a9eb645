package tinyiotemporal

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/durable/enginetest"
	"github.com/tinyio-go/tinyio/tinyiotemporal/internal/temporalserver"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

// These tests need a server: see make temporal-e2e.

// onServer is the engine whose runs are in a namespace of their own, for each directory.
var onServer = enginetest.Config{
	Open: func(dir string) (enginetest.Engine, error) { return connect(temporalserver.Namespace(dir), nil) },
	Pace: 200 * time.Millisecond,
}

// recording is that with recorded steps, each of which takes so long that a program with 50 of them, one after the other, is left out.
var recording = enginetest.Config{
	Open: func(dir string) (enginetest.Engine, error) {
		return connect(temporalserver.Namespace(dir), nil, WithRecordedSteps())
	},
	Pace:    time.Second,
	Without: []string{"long"},
}

// isRecording is set in the environment of processes that are killed, if they have recorded steps.
const isRecording = "TINYIOTEMPORAL_TEST_RECORDING"

func TestMain(m *testing.M) {
	if os.Getenv(isRecording) != "" {
		enginetest.Main(m, recording)
	}
	enginetest.Main(m, onServer)
}

// A connection is an Engine with a worker.
type connection struct {
	*Engine
	client client.Client
	worker worker.Worker
}

// connect connects to a namespace, with a worker that has some programs in place of others.
func connect(namespace string, now map[string]string, opts ...Option) (*connection, error) {
	c, err := temporalserver.Dial(client.Options{Namespace: namespace, Identity: "test"})
	if err != nil {
		return nil, err
	}
	w := worker.New(c, "q", worker.Options{StickyScheduleToStartTimeout: 200 * time.Millisecond, WorkerStopTimeout: 10 * time.Second})
	Register(&changed{Registry: w, now: now}, opts...)
	for _, a := range activities {
		w.RegisterActivity(a)
	}
	if err := temporalserver.Insist(context.Background(), w.Start); err != nil {
		c.Close()
		return nil, err
	}
	return &connection{NewEngine(c, "q", WithStart(func(_, _ string, o *client.StartWorkflowOptions) {
		o.WorkflowTaskTimeout = time.Second // so that the task of a worker that was killed goes to another one soon
	})), c, w}, nil
}

// What follows is asked of the server again if it does not answer.

func (c *connection) StartRun(ctx context.Context, program, id string, input json.RawMessage) error {
	return temporalserver.Insist(ctx, func() error { return c.Engine.StartRun(ctx, program, id, input) })
}

func (c *connection) SignalRun(ctx context.Context, id, name string, value json.RawMessage) error {
	return temporalserver.Insist(ctx, func() error { return c.Engine.SignalRun(ctx, id, name, value) })
}

func (c *connection) CancelRun(ctx context.Context, id string, cause error) error {
	return temporalserver.Insist(ctx, func() error { return c.Engine.CancelRun(ctx, id, cause) })
}

func (c *connection) AwaitRun(ctx context.Context, id string, patient bool) (out json.RawMessage, err error) {
	var ended *durable.RunError // which is an answer, also if it is a timeout
	err = temporalserver.Insist(ctx, func() (err error) {
		if out, err = c.Engine.AwaitRun(ctx, id, patient); errors.As(err, &ended) {
			return nil
		}
		return err
	})
	if ended != nil {
		return nil, ended
	}
	return out, err
}

func (c *connection) Recover(context.Context) error { return nil } // the server lets runs go on as soon as there is a worker

func (c *connection) Close() error {
	c.worker.Stop()
	c.client.Close()
	return nil
}

func mustConnect(t *testing.T, now map[string]string, opts ...Option) *connection {
	t.Helper()
	c, err := connect(temporalserver.Namespace(t.Name()), now, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The suite of the engines passes on a real server, with workers and the server being killed.
func TestServer(t *testing.T) {
	s := temporalserver.Start(t)
	c := onServer
	c.Disturb = s.Restart
	enginetest.Test(t, c)
}

// The suite passes too if programs hear of steps when these are recorded.
func TestServerRecordedSteps(t *testing.T) {
	s := temporalserver.Start(t)
	t.Setenv(isRecording, "1")
	c := recording
	c.Disturb = s.Restart
	enginetest.Test(t, c)
}

// Updates, queries and signals reach a run, also from Temporal's own client, before and after it continues as new.
func TestServerParts(t *testing.T) {
	leavesNothing(t)
	temporalserver.Start(t)
	c := mustConnect(t, nil)
	defer c.Close()
	r, err := durable.Start[int, int](t.Context(), c, "counter", "c", 1)
	if err != nil {
		t.Fatal(err)
	}
	update := func(n int) (total int, err error) {
		h, err := c.client.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
			WorkflowID: "c", UpdateName: "add", Args: []any{n}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err == nil {
			err = h.Get(t.Context(), &total)
		}
		return total, err
	}
	if n, err := update(10); n != 21 || err != nil {
		t.Errorf("the update gives %d, %v", n, err)
	}
	if _, err := update(-1); err == nil || !strings.Contains(err.Error(), "it is negative") {
		t.Errorf("an update that fails gives %v", err)
	}
	first := current(t, c, "c")
	signal(t, c, "c", "end", "again")
	for current(t, c, "c") == first {
		time.Sleep(10 * time.Millisecond) // there is nothing to wait for but the server
	}
	signal(t, c, "c", "add", 1)
	for {
		v, err := c.client.QueryWorkflow(t.Context(), "c", "", "total")
		var n int
		if err == nil {
			err = v.Get(&n)
		}
		if n == 1022 {
			break
		}
		if err != nil && t.Context().Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	status, err := c.Status(t.Context(), "c")
	if err != nil || len(status) == 0 || status[0].Coro != "counter" || !strings.HasSuffix(status[0].File, "programs_test.go") {
		t.Errorf("the coroutines are %v, %v", status, err)
	}
	signal(t, c, "c", "end", "now")
	if n, err := r.Result(t.Context()); n != 1022 || err != nil {
		t.Errorf("the result is %d, %v", n, err)
	}
}

// A run whose program has changed is stopped, and goes on when the old program is back.
func TestServerStopped(t *testing.T) {
	leavesNothing(t)
	temporalserver.Start(t)
	c := mustConnect(t, nil)
	r, err := durable.Start[int, int](t.Context(), c, "unversioned", "u", 0)
	if err != nil {
		t.Fatal(err)
	}
	for len(status(c, "u")) == 0 { // until the first step is recorded
		time.Sleep(10 * time.Millisecond)
	}
	c.Close()
	c = mustConnect(t, map[string]string{"unversioned": "renamed"})
	signal(t, c, "u", "go on", 0)
	_, err = durable.Find[int](c, "u").Result(t.Context())
	if err == nil || !strings.Contains(err.Error(), `run "u" cannot go on: durable: run "u": the program does not do what it did when it was recorded`) {
		t.Errorf("the result is %v", err)
	}
	for info, err := range c.Runs(t.Context()) {
		if err != nil || info.ID != "u" || info.State != durable.Stopped || info.Err == nil {
			t.Errorf("the run is %v, %v", info, err)
		}
	}
	c.Close()
	c = mustConnect(t, nil)
	defer c.Close()
	r = durable.Find[int](c, r.ID())
	for {
		n, err := r.Result(t.Context())
		if err == nil && n == 0 {
			break
		}
		if !strings.Contains(err.Error(), "cannot go on") || t.Context().Err() != nil {
			t.Fatalf("the result is %d, %v", n, err)
		}
	}
}

func status(c *connection, id string) []string {
	all, err := c.Status(context.Background(), id)
	if err != nil {
		return nil
	}
	var waits []string
	for _, s := range all {
		if s.State == "waiting" && !strings.Contains(s.On, "call") {
			waits = append(waits, s.Coro)
		}
	}
	return waits
}

// Workflows that are put out of memory, because others come, end as they would have, and their clean-up happens once.
func TestServerEviction(t *testing.T) {
	leavesNothing(t)
	worker.SetStickyWorkflowCacheSize(2)
	temporalserver.Start(t)
	s := new(spy)
	c := mustConnect(t, nil, WithContext(context.WithValue(t.Context(), spyKey{}, s)))
	defer c.Close()
	ids := []string{"a", "b", "c", "d", "e", "f"}
	for _, id := range ids {
		if err := c.StartRun(t.Context(), "waits", id, []byte("0")); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		for !slices.Contains(status(c, id), "receiver") { // which reads it into memory again
			time.Sleep(10 * time.Millisecond)
		}
	}
	if len(s.log) > 0 {
		t.Errorf("programs that were put out of memory have acted:\n%s", strings.Join(s.log, "\n"))
	}
	for _, id := range ids {
		if err := durable.Find[string](c, id).Cancel(t.Context(), errNegative); err != nil {
			t.Error(err)
		}
		if _, err := durable.Find[string](c, id).Result(t.Context()); !errors.Is(err, errNegative) {
			t.Errorf("%s: the result is %v", id, err)
		}
	}
	for info, err := range c.Runs(t.Context()) {
		if err != nil || info.State != durable.Cancelled || !errors.Is(info.Err, errNegative) {
			t.Errorf("the run is %v, %v", info, err)
		}
	}
}

// A child whose id is that of a run that is there is that run.
func TestServerJoin(t *testing.T) {
	leavesNothing(t)
	temporalserver.Start(t)
	c := mustConnect(t, nil)
	defer c.Close()
	long, err := durable.Start[time.Duration, string](t.Context(), c, "rests", "long", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	short, err := durable.Start[time.Duration, string](t.Context(), c, "rests", "short", 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	join := func(id string, in ...string) (string, error) {
		r, err := durable.Start[[]string, string](t.Context(), c, "joins", id, in)
		if err != nil {
			t.Fatal(err)
		}
		return r.Result(t.Context())
	}
	for _, id := range []string{"under way", "ended"} {
		if v, err := join(id, "rests", short.ID(), "1h"); v != "rested" || err != nil {
			t.Errorf("%s: the result is %q, %v", id, v, err)
		}
	}
	if _, err := join("another program", "twice", short.ID(), "1h"); err == nil || !strings.Contains(err.Error(), "one of program \"rests\", not of \"twice\"") {
		t.Errorf("another program gives %v", err)
	}
	if _, err := join("stopped", "rests", long.ID(), "500ms"); !errors.Is(err, tinyio.ErrTimeout) {
		t.Errorf("the timeout gives %v", err)
	}
	if _, err := long.Result(t.Context()); !errors.Is(err, tinyio.ErrTimeout) {
		t.Errorf("the run that was stopped by it ends with %v", err)
	}
}
