package restateserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// dirVariable tells the processes that a test starts where the server is.
const dirVariable = "TINYIORESTATE_TEST_SERVER"

// current is the server of the test, nil if there is none.
var current *Server

// Main runs the tests of a package with a server that has these settings, if there is one to be had. A process that a test has started uses that
// of the test.
func Main(m *testing.M, settings ...string) (code int) {
	if os.Getenv(dirVariable) != "" {
		return m.Run()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	binary, err := Binary(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "NOT TESTED on Restate:", err)
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "restate")
	if err == nil {
		defer os.RemoveAll(dir)
		current, err = Start(ctx, binary, dir, settings...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer current.Kill()
	os.Setenv(dirVariable, dir)
	return m.Run()
}

// Need skips a test if there is no server.
func Need(t *testing.T) {
	t.Helper()
	if current == nil {
		t.Skip("NOT TESTED on Restate: there is no server, and it cannot be installed")
	}
}

// KillAndStart kills the server of the test, and starts it again.
func KillAndStart() error {
	current.Kill()
	return current.Start(context.Background())
}

// ports counts the ports that this process has looked at.
var ports atomic.Int32

// Address finds an address to serve at for a directory, and keeps it there: a server knows a service by it. Nobody else is given its port
// meanwhile, as it is none of those that are given to clients.
func Address(dir string) (string, error) {
	name := filepath.Join(dir, "address")
	if known, err := os.ReadFile(name); err == nil {
		return string(known), nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+(os.Getpid()+int(ports.Add(1)))%10000)
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		return address, errors.Join(l.Close(), os.WriteFile(name, []byte(address), 0o600))
	}
	return "", errors.New("no port is free")
}
