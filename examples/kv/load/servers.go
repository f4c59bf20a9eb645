package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/examples/kv/internal/disk"
	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/mutex"
	"github.com/tinyio-go/tinyio/examples/kv/server"
)

// The servers, by the names that they have in the tables.
var servers = map[string]func(context.Context, net.Listener, *table.Table, table.Log) error{
	"tinyio": func(ctx context.Context, l net.Listener, t *table.Table, log table.Log) error {
		return server.Serve(ctx, l, t, log)
	},
	"recorded": recorded,
	"mutex":    mutex.Serve,
}

// recorded is the server whose run is recorded.
func recorded(ctx context.Context, l net.Listener, t *table.Table, log table.Log) error {
	dir, err := os.MkdirTemp("", "kv-record")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return server.Serve(ctx, l, t, log, durable.Record(filepath.Join(dir, "tape")))
}

// nowhere is a log that keeps nothing.
type nowhere struct{}

func (nowhere) Commit([]table.Change) error { return nil }

// be is a server until the process is stopped.
func be(ctx context.Context, name, data string, stdout io.Writer) error {
	serve := servers[name]
	if serve == nil {
		return fmt.Errorf("there is no server %q", name)
	}
	var log table.Log = nowhere{}
	t := table.New(nil, 0, nil)
	if data != "" {
		file, loaded, err := disk.Open(data)
		if err != nil {
			return err
		}
		defer file.Close()
		log, t = file, loaded
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	fmt.Fprintln(stdout, l.Addr())
	return serve(ctx, l, t, log)
}

// A process is a server in a process of its own.
type process struct {
	cmd  *exec.Cmd
	addr string
}

// launch starts a server.
func launch(ctx context.Context, name, data string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, "-serve", name, "-data", data)}
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		return nil, fmt.Errorf("the server does not start: %w", err)
	}
	p.addr = strings.TrimSpace(line)
	return p, nil
}

// end stops the server.
func (p *process) end() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	return p.cmd.Wait()
}
