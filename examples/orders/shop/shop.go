// Package shop is an order service over HTTP that forgets no order, on any engine of package durable.
package shop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// An Engine is what the service needs.
type Engine interface {
	durable.Engine
	Status(ctx context.Context, id string) ([]tinyio.Status, error)
	Close() error
}

// Options is what an engine is opened with.
type Options struct {
	Data     string                           // the directory of the service
	Base     context.Context                  // whose values the programs need
	Complain func(format string, args ...any) // tells whoever runs the service
}

// A Command is the service on an engine.
type Command struct {
	Flags func(f *flag.FlagSet) // adds those of the engine; may be nil
	Open  func(ctx context.Context, o Options) (Engine, error)
}

// Main is the main function of c.
func (c Command) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever is impatient and interrupts again is obeyed at once
	os.Exit(c.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Run runs c until ctx is done. It returns the exit status.
func (c Command) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "listen on this `address`")
	data := flags.String("data", "orders", "keep the orders in this `directory`")
	wait := flags.Duration("wait", 24*time.Hour, "wait so long for a payment")
	if c.Flags != nil {
		c.Flags(flags)
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		flags.Usage()
		return 2
	}
	if err := c.serve(ctx, *addr, *data, *wait, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "orders: %v\n", err)
		return 1
	}
	return 0
}

// serve serves until ctx is done. Orders that are under way then go on when it is called again.
func (c Command) serve(ctx context.Context, addr, data string, wait time.Duration, stdout, stderr io.Writer) (err error) {
	world, err := openWorld(filepath.Join(data, "world"))
	if err != nil {
		return err
	}
	engine, err := c.Open(ctx, Options{
		Data: data,
		Base: context.WithValue(context.Background(), worldKey{}, world),
		Complain: func(format string, args ...any) {
			fmt.Fprintf(stderr, "orders: "+format+"\n", args...)
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "orders: listening on http://%s\n", listener.Addr())
	server := &http.Server{
		Handler:           handler(engine, wait),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // who waits for an order is not waited for
	}
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(limited); err != nil {
			server.Close()
		}
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
