package main

import (
	"context"
	"fmt"

	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// temporalSystem is Temporal's development server, in a process of its own, with its database in a file, and a worker here.
type temporalSystem struct {
	server *exec.Cmd
	client client.Client
	worker worker.Worker
}

// crowd is how much the worker does at once, so that it is not what is measured.
const crowd = 20_000

func openTemporal(ctx context.Context, p *plan, dir string, w *work) (system, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &temporalSystem{server: exec.Command(p.Temporal, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", fmt.Sprint(port),
		"--db-filename", filepath.Join(dir, "temporal.sqlite"), "--log-level", "never")}
	s.server.Stderr = os.Stderr
	if err := s.server.Start(); err != nil {
		return nil, err
	}
	if err := s.connect(ctx, fmt.Sprintf("127.0.0.1:%d", port), w); err != nil {
		s.stopServer()
		return nil, err
	}
	return s, nil
}

func (s *temporalSystem) connect(ctx context.Context, address string, w *work) (err error) {
	quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	for {
		if s.client, err = client.DialContext(ctx, client.Options{HostPort: address, Logger: quiet}); err == nil {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond): // it is not up yet
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
	worker.SetStickyWorkflowCacheSize(crowd)
	s.worker = worker.New(s.client, "work", worker.Options{MaxConcurrentActivityExecutionSize: crowd, MaxConcurrentWorkflowTaskExecutionSize: crowd,
		MaxConcurrentActivityTaskPollers: 20, MaxConcurrentWorkflowTaskPollers: 20})
	s.worker.RegisterActivityWithOptions(func(context.Context) (int64, error) { return w.step(), nil }, activity.RegisterOptions{Name: "step"})
	s.worker.RegisterWorkflowWithOptions(func(ctx workflow.Context, naps int) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{ScheduleToCloseTimeout: time.Hour})
		for i := 0; naps == 0 || i < naps; i++ {
			if err := workflow.ExecuteActivity(ctx, "step").Get(ctx, nil); err != nil {
				return err
			}
		}
		return workflow.Sleep(ctx, time.Hour)
	}, workflow.RegisterOptions{Name: "work"})
	return s.worker.Start()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *temporalSystem) start(ctx context.Context, id string, naps int) error {
	options := client.StartWorkflowOptions{ID: id, TaskQueue: "work", WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING}
	for attempt := 1; ; attempt++ { // a server that has much to do does not answer in time
		_, err := s.client.ExecuteWorkflow(ctx, options, "work", naps)
		if err == nil || attempt == 10 {
			return err
		}
	}
}

func (s *temporalSystem) close(context.Context) error {
	s.worker.Stop()
	s.client.Close()
	s.stopServer()
	return nil
}

func (s *temporalSystem) stopServer() {
	_ = s.server.Process.Kill() // it takes its time otherwise, and is not wanted again
	_ = s.server.Wait()
}
