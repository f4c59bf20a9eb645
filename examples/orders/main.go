// Command orders is an order service over HTTP that forgets no order, whenever it is killed.
//
//	go run ./examples/orders -data orders
//	curl -X PUT localhost:8080/orders/1 -d '{"item": "shoes", "amount": 80}'
//	curl -X POST localhost:8080/orders/1/payment -d '{"card": "4711"}'
//	curl localhost:8080/orders/1
//
// An order is a program of package durable: see order.go.
package main

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

	"github.com/tinyio-go/tinyio/durable"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever is impatient and interrupts again is obeyed at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the command. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "listen on this `address`")
	data := flags.String("data", "orders", "keep the orders in this `directory`")
	wait := flags.Duration("wait", 24*time.Hour, "wait so long for a payment")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		flags.Usage()
		return 2
	}
	if err := serve(ctx, *addr, *data, *wait, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "orders: %v\n", err)
		return 1
	}
	return 0
}

// serve serves until ctx is done. Orders that are under way then go on when it is called again.
func serve(ctx context.Context, addr, data string, wait time.Duration, stdout, stderr io.Writer) (err error) {
	world, err := openWorld(filepath.Join(data, "world"))
	if err != nil {
		return err
	}
	journal, err := durable.Open(filepath.Join(data, "journal"),
		durable.WithContext(context.WithValue(context.Background(), worldKey{}, world)),
		durable.OnChange(func(i durable.Info) {
			if i.State == durable.Stopped {
				fmt.Fprintf(stderr, "orders: order %s is stopped: %v\n", i.ID, i.Err)
			}
		}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	if err := journal.Recover(ctx); err != nil {
		fmt.Fprintf(stderr, "orders: some orders do not go on: %v\n", err) // all others do
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "orders: listening on http://%s\n", listener.Addr())
	server := &http.Server{
		Handler:           handler(journal, wait),
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
