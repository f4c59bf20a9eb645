// Command mirror copies a web site into a directory.
//
//	go run ./examples/mirror -rate 5 https://example.com/docs/ docs
//
// See README.md for what it does and how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"github.com/tinyio-go/tinyio"
)

// The exit statuses.
const (
	exitFine        = 0
	exitFailed      = 1   // there are pages that could not be had
	exitBroken      = 2   // nothing could be done, or the directory could not be written to
	exitInterrupted = 130 // as of a shell command that was ended by SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever is impatient and interrupts again is obeyed at once
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns // all requests are for one host
	os.Exit(run(ctx, os.Args[1:], transport, os.Stdout, os.Stderr))
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, transport http.RoundTripper, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mirror", flag.ContinueOnError)
	flags.SetOutput(stderr)
	n := flags.Int("n", 8, "fetch at most `N` pages at once")
	perSecond := flags.Float64("rate", 10, "make at most `N` requests a second")
	tries := flags.Int("tries", 5, "ask at most `N` times for a page")
	pause := flags.Duration("pause", backoff.DefaultInitialInterval,
		"pause for about this `long` before asking again, and for longer each time")
	jitter := flags.Float64("jitter", backoff.DefaultRandomizationFactor,
		"make a pause longer or shorter by up to this `part` of it")
	timeout := flags.Duration("timeout", time.Minute, "give up on a request after this `long`")
	every := flags.Duration("progress", time.Second, "tell this `often` how far it is; 0 for never")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: mirror [flags] URL directory")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return exitFine
	case err != nil:
		return exitBroken
	case flags.NArg() != 2 || *n < 1 || *perSecond <= 0 || *tries < 1 || *pause < 0 || *jitter < 0 || *jitter > 1 ||
		*timeout <= 0 || *every < 0:
		flags.Usage()
		return exitBroken
	}

	start, err := url.Parse(flags.Arg(0))
	if err == nil && (start.Scheme != "http" && start.Scheme != "https" || start.Host == "") {
		err = fmt.Errorf("%s is not the address of a web page", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(stderr, "mirror:", err)
		return exitBroken
	}
	files, err := openStore(flags.Arg(1))
	if err != nil {
		fmt.Fprintln(stderr, "mirror:", err)
		return exitBroken
	}
	defer files.close()

	m := &mirror{
		start:     canonical(start),
		transport: transport,
		files:     files,
		tries:     *tries,
		timeout:   *timeout,
		policy: func() backoff.BackOff {
			p := backoff.NewExponentialBackOff()
			p.InitialInterval, p.RandomizationFactor = *pause, *jitter
			return p
		},
		slots:   tinyio.NewSemaphore(*n),
		limiter: rate.NewLimiter(rate.Limit(*perSecond), 1),
		pages:   make(map[string]*tinyio.Coro[tinyio.Void]),
	}
	return m.report(ctx, m.run(ctx, progress{stderr, *every}), stdout, stderr)
}

// report prints the outcome of the mirror, which ended with err, and returns the exit status.
func (m *mirror) report(ctx context.Context, err error, stdout, stderr io.Writer) int {
	status := exitFine
	switch {
	case err == nil && len(m.failures) > 0:
		status = exitFailed
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		fmt.Fprintln(stderr, "mirror: interrupted")
		status = exitInterrupted
	default:
		fmt.Fprintf(stderr, "mirror: %+v\n", err)
		status = exitBroken
	}
	for _, f := range m.failures {
		fmt.Fprintf(stdout, "failed: %s: %v\n", f.address, f.err)
	}
	fmt.Fprintln(stdout, m.tally())
	return status
}
