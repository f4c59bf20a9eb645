// Package restateserver runs a real Restate server for tests. The server is under the Business Source License: it is a tool of the tests,
// and no part of what they test.
package restateserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const version = "1.7.12"

// Binary returns the server's binary: what RESTATE_SERVER says, or one that npm has installed in the user's cache, now or earlier.
func Binary(ctx context.Context) (string, error) {
	if b := os.Getenv("RESTATE_SERVER"); b != "" {
		return b, nil
	}
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if !ok || runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return "", fmt.Errorf("there is no Restate server for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	name := "@restatedev/restate-server-" + runtime.GOOS + "-" + arch
	home := filepath.Join(cache, "tinyiorestate", version)
	binary := filepath.Join(home, "node_modules", name, "bin", "restate-server")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("there is no npm to install the Restate server with, and RESTATE_SERVER names none")
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(home), "installing")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", fresh, "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", name+"@"+version)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm cannot install the Restate server: %w\n%s", err, out)
	}
	if err := os.Rename(fresh, home); err != nil {
		if _, there := os.Stat(binary); there != nil {
			return "", err // and it is not that another test was quicker
		}
	}
	return binary, nil
}

// A Server is a process of its own, which listens on sockets in its directory.
type Server struct {
	binary, dir string
	env         []string

	mu    sync.Mutex
	cmd   *exec.Cmd
	alive io.Closer // the server is killed when it is closed
	log   bytes.Buffer
}

// script runs the server until the standard input ends: so it does not outlive the test, however that ends.
const script = `"$0" "$@" </dev/null & read -r end; kill -9 $!; wait`

// Start starts a server that keeps what it knows in a directory, and waits until it is up. The directory must have a short name. The settings
// are environment variables, such as RESTATE_LOG_FILTER=info.
func Start(ctx context.Context, binary, dir string, settings ...string) (*Server, error) {
	s := &Server{binary: binary, dir: dir, env: settings}
	return s, s.Start(ctx)
}

// Start starts s again, when it has been killed.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Reset()
	s.cmd = exec.Command("sh", "-c", script, s.binary, "--node-name", "n", "--base-dir", s.dir, "--no-logo")
	s.cmd.Env = append(os.Environ(),
		"RESTATE_LISTEN_MODE=unix",
		"RESTATE_DISABLE_TELEMETRY=true",
		"RESTATE_DEFAULT_NUM_PARTITIONS=2",
		"RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE=256MiB",
		"RESTATE_LOG_FILTER=warn",
		"RESTATE_LOG_DISABLE_ANSI_CODES=true",
		"RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL=10ms",
		"RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL=100ms",
		"RESTATE_DEFAULT_RETRY_POLICY__MAX_ATTEMPTS=unlimited",
	)
	s.cmd.Env = append(s.cmd.Env, s.env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	alive, err := s.cmd.StdinPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.cmd = nil
		return err
	}
	s.alive = alive
	for began := time.Now(); ; {
		err := s.check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Since(began) > time.Minute {
			s.kill()
			return fmt.Errorf("the server does not come up: %w\n%s", err, &s.log)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// check asks s whether it is up.
func (s *Server) check(ctx context.Context) error {
	t := s.transport()
	defer t.CloseIdleConnections()
	for _, url := range []string{"http://admin/health", "http://ingress/restate/health"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := t.RoundTrip(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s is %s", url, resp.Status)
		}
	}
	return nil
}

// Kill kills s, as kill -9 does, unless that has been done.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

func (s *Server) kill() {
	if s.cmd != nil {
		s.alive.Close()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// Client returns a client for the ingress, http://ingress, and the admin API, http://admin, of the server of the test.
func Client() *http.Client {
	return &http.Client{Transport: (&Server{dir: os.Getenv(dirVariable)}).transport()}
}

func (s *Server) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		name, _, _ := strings.Cut(addr, ":")
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "n", name+".sock"))
	}}
}
