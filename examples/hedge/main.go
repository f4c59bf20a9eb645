// Command hedge fetches a page from the first of several addresses that answers. It asks the first, and the next one too
// whenever none has answered for a while.
//
//	go run ./examples/hedge -after 100ms https://eu.example.com/ https://us.example.com/
//
// It is an example of a program on tinyio: see hedge.go. The package groups has the same function with an errgroup and
// channels, and the tests run against both. docs/comparison.md puts them side by side.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/tinyio-go/tinyio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // the next interrupt ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("hedge", flag.ContinueOnError)
	flags.SetOutput(stderr)
	after := flags.Duration("after", 100*time.Millisecond, "ask the next address when none has answered for this `long`")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: hedge [flags] URL...")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return 2
	case flags.NArg() == 0:
		flags.Usage()
		return 2
	}
	var pages []*tinyio.Coro[[]byte]
	for _, url := range flags.Args() {
		pages = append(pages, fetch(url).Named(url))
	}
	page, err := tinyio.Run(ctx, tinyio.New(func(co *tinyio.Co) ([]byte, error) {
		return hedge(co, *after, pages...)
	}))
	if err != nil {
		fmt.Fprintf(stderr, "hedge: %v\n", err)
		return 1
	}
	stdout.Write(page)
	return 0
}

// fetch returns a coroutine that fetches a page.
func fetch(url string) *tinyio.Coro[[]byte] {
	return tinyio.RunInThread(func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s", url, response.Status)
		}
		return io.ReadAll(response.Body)
	})
}
