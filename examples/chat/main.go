// Command chat is a chat server: what one says, everybody gets.
//
//	go run ./examples/chat -addr localhost:7000
//	nc localhost 7000
//
// See README.md for what it does and how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyionet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever is impatient and interrupts again is obeyed at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:7000", "listen on this `address`")
	places := flags.Int("max", 1000, "let in at most `N` clients")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0 || *places < 1:
		flags.Usage()
		return 2
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		fmt.Fprintln(stderr, "chat:", err)
		return 1
	}
	fmt.Fprintf(stdout, "chat: listening on %v\n", l.Addr())
	if err := newServer(*places, log.New(stderr, "chat: ", 0)).serve(ctx, l); err != nil {
		fmt.Fprintf(stderr, "chat: %+v\n", err)
		return 1
	}
	return 0
}

// serve serves those who connect until ctx is done. Then everybody gets a goodbye, and serve returns nil when they have gone.
func (s *server) serve(ctx context.Context, l net.Listener, opts ...tinyio.Option) error {
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		return tinyionet.Serve(co, l, s.session, tinyionet.WithErrors(s.report))
	}).Named("accept"), opts...)
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) { // and nothing had failed before
		return nil
	}
	return err
}
