// Package temporalserver starts a server of Temporal for tests.
package temporalserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	cli     = "TEMPORAL_CLI"           // the path of the command that has a server for development
	address = "TINYIOTEMPORAL_ADDRESS" // of the server, for the processes that a test starts
)

// patience is how long a server is waited for.
const patience = time.Minute

// A Server is one for development, in a process of its own, which keeps everything in a file.
type Server struct {
	port int
	file string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

// Start starts a server, which ends with the test. A test that cannot have one is left out, and says so.
func Start(t testing.TB) *Server {
	t.Helper()
	if os.Getenv(cli) == "" {
		t.Skipf("NOT TESTED: there is no server of Temporal; make temporal-e2e builds one, or set %s to the path of the command temporal", cli)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{port: l.Addr().(*net.TCPAddr).Port, file: filepath.Join(t.TempDir(), "temporal.db")}
	l.Close()
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	t.Setenv(address, s.Address())
	return s
}

// Address is that of the server.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Begin starts the server again, after Kill, and waits until it answers.
func (s *Server) Begin() error {
	s.cmd = exec.Command(os.Getenv(cli), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", strconv.Itoa(s.port),
		"--db-filename", s.file, "--log-level", "error")
	s.log.Reset()
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		c, err := client.Dial(client.Options{HostPort: s.Address(), Logger: Quiet()})
		if err == nil {
			c.Close()
			return nil
		}
		if time.Since(began) > patience {
			s.Kill()
			return fmt.Errorf("the server does not answer: %w\n%s", err, s.log.String())
		}
	}
}

// Restart kills the server and starts it again.
func (s *Server) Restart() error {
	s.Kill()
	return s.Begin()
}

// Kill ends the server as a loss of power does.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// Quiet is a logger of the SDK that says nothing.
func Quiet() log.Logger {
	return log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// Namespace names the namespace for a directory.
func Namespace(dir string) string { return fmt.Sprintf("n%x", sha256.Sum256([]byte(dir)))[:24] }

// Dial connects to the server that Start has started, in this process or in the one that has started this, and to a namespace, which is made if
// it is not there.
func Dial(o client.Options) (client.Client, error) {
	o.HostPort, o.Logger = os.Getenv(address), Quiet()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		c, err := client.DialContext(ctx, o)
		if err == nil {
			if err = usable(ctx, c, o.Namespace); err == nil {
				return c, nil
			}
			c.Close()
		}
		select { // the server may have been killed
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Insist calls f again for as long as the server does not answer it, because it was killed or the machine is busy, or does not know in all its parts
// that there is a namespace.
func Insist(ctx context.Context, f func() error) error {
	for began := time.Now(); ; {
		err := f()
		var late *serviceerror.DeadlineExceeded
		var gone *serviceerror.Unavailable
		var unknown *serviceerror.NamespaceNotFound
		silent := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) || errors.As(err, &gone) || errors.As(err, &unknown)
		if !silent || ctx.Err() != nil || time.Since(began) > patience {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// usable registers a namespace, unless it is there, and returns an error if it cannot be used yet.
func usable(ctx context.Context, c client.Client, namespace string) error {
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	var there *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &there) {
		return err
	}
	_, err = c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "TaskQueue = 'q'"})
	return err
}
