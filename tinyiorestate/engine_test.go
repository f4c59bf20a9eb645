package tinyiorestate_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/durable/enginetest"
	"github.com/tinyio-go/tinyio/tinyiorestate"
	"github.com/tinyio-go/tinyio/tinyiorestate/internal/restateserver"
)

// serverDir tells the processes that the suite kills where the server is.
const serverDir = "TINYIORESTATE_TEST_SERVER"

var config = enginetest.Config{
	Open: func(dir string) (enginetest.Engine, error) { return open(dir) },
	Disturb: func() error {
		server.Kill()
		return server.Start(context.Background())
	},
}

var server *restateserver.Server // nil if there is none

func TestMain(m *testing.M) {
	if os.Getenv(serverDir) != "" { // one of the processes that are killed
		enginetest.Main(m, config)
	}
	os.Exit(withServer(m))
}

// withServer runs the tests with a server.
func withServer(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	binary, err := restateserver.Binary(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "NOT TESTED:", err)
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "restate")
	if err == nil {
		defer os.RemoveAll(dir)
		server, err = restateserver.Start(ctx, binary, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Kill()
	os.Setenv(serverDir, dir)
	return m.Run()
}

// needServer skips a test if there is no server.
func needServer(t *testing.T) {
	t.Helper()
	if server == nil {
		t.Skip("NOT TESTED: there is no Restate server, and it cannot be installed")
	}
}

// configFor is for the engine whose runs are those of a directory: each has a service of its own, at an address of its own, and keeps both.
func configFor(dir string) (tinyiorestate.Config, error) {
	h := fnv.New64a()
	h.Write([]byte(dir))
	address, err := addressFor(dir)
	return tinyiorestate.Config{
		Service: fmt.Sprintf("t%x", h.Sum64()),
		Ingress: "http://ingress",
		Admin:   "http://admin",
		HTTP:    restateserver.Client(os.Getenv(serverDir)),
		Listen:  address,
	}, err
}

// ports counts the ports that this process has looked at.
var ports atomic.Int32

// addressFor finds an address for a directory. No system gives its port to somebody else meanwhile, as it is not one of those for clients.
func addressFor(dir string) (string, error) {
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

// open opens the engine of a directory.
func open(dir string) (*tinyiorestate.Engine, error) {
	c, err := configFor(dir)
	if err != nil {
		return nil, err
	}
	e, err := tinyiorestate.Open(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.Register(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func TestEngine(t *testing.T) {
	needServer(t)
	enginetest.Test(t, config)
}
