// Command kv is a key-value server over HTTP, with watches, that loses nothing when it is killed.
//
//	go run ./examples/kv -data kv.db
//	curl -X PUT -d hello localhost:8080/kv/greeting
//
// See README.md for what it does and how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/examples/kv/internal/disk"
	"github.com/tinyio-go/tinyio/examples/kv/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever is impatient and interrupts again is obeyed at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("kv", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "listen on this `address`")
	data := flags.String("data", "kv.db", "keep the data in this `file`")
	record := flags.String("record", "", "keep in this `directory` what comes to the server, for -replay")
	replay := flags.String("replay", "", "do again what a server did that has kept it in this `directory`, and serve nobody")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		flags.Usage()
		return 2
	}
	var err error
	if *replay != "" {
		err = play(*replay)
	} else {
		err = serve(ctx, *addr, *data, *record, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "kv: %+v\n", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, addr, data, record string, stdout io.Writer) (err error) {
	var opts []tinyio.Option
	if record != "" {
		if err := keep(data, record); err != nil {
			return err
		}
		opts = append(opts, durable.Record(filepath.Join(record, tape)))
	}
	file, t, err := disk.Open(data)
	if err != nil {
		return err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "kv: listening on http://%s\n", l.Addr())
	return server.Serve(ctx, l, t, file, opts...)
}

// The files of a record.
const (
	tape    = "tape"    // what has come to the server
	started = "data.db" // the data with which it has started, if there were any
)

// keep makes a directory for a record and puts the data into it, as they are.
func keep(data, record string) error {
	if err := os.MkdirAll(record, 0o700); err != nil {
		return err
	}
	return copyFile(filepath.Join(record, started), data)
}

// play does what the server did of which there is a record.
func play(record string) (err error) {
	dir, err := os.MkdirTemp("", "kv")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	data := filepath.Join(dir, started) // a copy, so that the record stays as it is
	if err := copyFile(data, filepath.Join(record, started)); err != nil {
		return err
	}
	file, t, err := disk.Open(data)
	if err != nil {
		return err
	}
	defer file.Close()
	return server.Replay(filepath.Join(record, tape), t)
}

// copyFile makes to a copy of from. If there is no from, there is no to either.
func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.Remove(to); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}
