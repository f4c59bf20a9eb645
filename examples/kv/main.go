// Command kv is a key-value server over HTTP, with watches, that loses nothing when it is killed.
//
//	go run ./examples/kv -data kv.db
//	curl -X PUT -d hello localhost:8080/kv/greeting
//
// See README.md for what it does and how.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

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
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		flags.Usage()
		return 2
	}
	if err := serve(ctx, *addr, *data, stdout); err != nil {
		fmt.Fprintf(stderr, "kv: %+v\n", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, addr, data string, stdout io.Writer) (err error) {
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
	return server.Serve(ctx, l, t, file)
}
