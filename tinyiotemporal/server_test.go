package tinyiotemporal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/durable/enginetest"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/types/known/durationpb"
)

// These tests need a server: TEMPORAL_CLI is the path of the command that has one. `make temporal-e2e` builds it, and runs them.

const (
	cli     = "TEMPORAL_CLI"
	address = "TINYIOTEMPORAL_ADDRESS" // of the server, for the processes that are killed
)

var onServer = enginetest.Config{Open: openOnServer}

func TestMain(m *testing.M) { enginetest.Main(m, onServer) }

// A server is one for development, which keeps everything in a file.
type server struct {
	t    testing.TB
	port int
	file string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

func startServer(t testing.TB) *server {
	t.Helper()
	if os.Getenv(cli) == "" {
		t.Skipf("NOT TESTED: no server of Temporal; set %s to the path of the command, or run make temporal-e2e", cli)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, port: l.Addr().(*net.TCPAddr).Port, file: filepath.Join(t.TempDir(), "temporal.db")}
	l.Close()
	s.start()
	t.Cleanup(s.kill)
	os.Setenv(address, s.address())
	return s
}

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// start starts the server, and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(os.Getenv(cli), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", strconv.Itoa(s.port),
		"--db-filename", s.file, "--log-level", "error", "--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=true")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		c, err := client.Dial(client.Options{HostPort: s.address(), Logger: quiet()})
		if err == nil {
			c.Close()
			return
		}
		if time.Since(began) > time.Minute {
			s.kill()
			s.t.Fatalf("the server does not answer: %v\n%s", err, s.log.String())
		}
	}
}

func (s *server) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// A connection is an Engine with a worker.
type connection struct {
	*Engine
	client client.Client
	worker worker.Worker
}

// openOnServer opens the engine whose runs are in a namespace of their own, for each directory.
func openOnServer(dir string) (enginetest.Engine, error) {
	return connect(fmt.Sprintf("n%x", sha256.Sum256([]byte(dir)))[:24])
}

// patience is how long a server is waited for.
const patience = time.Minute

func connect(namespace string) (*connection, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := client.Options{HostPort: os.Getenv(address), Namespace: namespace, Logger: quiet(), Identity: identity()}
	c, err := client.Dial(o)
	if err != nil {
		return nil, err
	}
	if err := usable(ctx, c, namespace); err != nil {
		c.Close()
		return nil, err
	}
	w := worker.New(c, "q", worker.Options{StickyScheduleToStartTimeout: 200 * time.Millisecond, WorkerStopTimeout: 10 * time.Second})
	Register(w)
	for _, a := range activities {
		w.RegisterActivity(a)
	}
	if err := w.Start(); err != nil {
		c.Close()
		return nil, err
	}
	return &connection{NewEngine(c, "q", WithStart(func(_, _ string, o *client.StartWorkflowOptions) {
		o.WorkflowTaskTimeout = time.Second // so that the task of a worker that was killed goes to another one soon
	})), c, w}, nil
}

// usable registers a namespace, and returns when it can be used, which takes the server a while.
func usable(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	var there *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &there) {
		return err
	}
	for {
		_, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "TaskQueue = 'q'"})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *connection) Recover(context.Context) error { return nil } // the server lets runs go on as soon as there is a worker

func (c *connection) Close() error {
	c.worker.Stop()
	c.client.Close()
	return nil
}

// TestServer has the suite of the engines run on a real server, with workers that are killed.
func TestServer(t *testing.T) {
	startServer(t)
	enginetest.Test(t, onServer)
}
