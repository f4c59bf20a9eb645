// Command tui downloads files, and shows on a terminal how far they are. Bubble Tea has the loop of the program, and a run of coroutines is its
// guest: see guest.go.
//
//	tui https://example.com/a.zip https://example.com/b.zip
//	tui -demo
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
	"path"
	"path/filepath"
	"syscall"

	tea "charm.land/bubbletea/v2"
	"github.com/tinyio-go/tinyio"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The program ends with one of these.
const (
	fine        = 0
	someFailed  = 1 // not all downloads have succeeded
	broken      = 2 // nothing could be done, or something that should not happen has
	interrupted = 130
)

// errInterrupted is why the run ends when the user wants to leave.
var errInterrupted = errors.New("interrupted")

func run(args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("tui", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: tui [flags] URL...\n       tui -demo [flags]")
		flags.PrintDefaults()
	}
	isDemo := flags.Bool("demo", false, "download from a server in this process instead")
	files := flags.Int("n", 100, "with -demo: how many files")
	atOnce := flags.Int("p", 8, "download at most so many files at once")
	dir := flags.String("d", "", "put the files into this `directory`; with -demo the default is one that is removed at the end")
	if err := flags.Parse(args); err != nil {
		return broken
	}
	urls := flags.Args()
	if *isDemo == (len(urls) > 0) || *atOnce < 1 || *files < 1 {
		flags.Usage()
		return broken
	}
	if *isDemo {
		server, its := demo(*files)
		defer server.Close()
		urls = its
		if *dir == "" {
			temporary, err := os.MkdirTemp("", "tui-*")
			if err != nil {
				fmt.Fprintln(stderr, "tui:", err)
				return broken
			}
			defer os.RemoveAll(temporary)
			*dir = temporary
		}
	}
	downloads, err := name(urls)
	if err != nil {
		fmt.Fprintln(stderr, "tui:", err)
		return broken
	}
	b := &batch{
		client:    &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: *atOnce}},
		dir:       filepath.Clean(*dir),
		permits:   tinyio.NewSemaphore(*atOnce),
		downloads: downloads,
	}
	b.counts[waiting] = len(downloads)
	defer b.client.CloseIdleConnections()
	return show(b, stdout, stderr)
}

// show downloads the batch, and shows how far it is.
func show(b *batch, stdout, stderr io.Writer) (status int) {
	signals, forget := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer forget()
	ctx, stop := context.WithCancelCause(signals)
	defer stop(nil)

	run := tinyio.Start(ctx, tinyio.NewLoop(), tinyio.Do(b.all).Named("all"))
	b.guest = newGuest(run.Steps())
	program := tea.NewProgram(newScreen(ctx, stop, b.guest, b), tea.WithoutSignalHandler())
	_, err := program.Run()
	if errors.Is(err, tea.ErrInterrupted) { // the user would not wait
		fmt.Fprintln(stdout, b.summary()+"; partial files are left")
		return interrupted
	}
	b.guest.leave()
	if err == nil {
		_, err = run.Result()
	}
	return b.report(ctx, err, stdout, stderr)
}

// report tells, on the terminal as it was before, what has come of it.
func (b *batch) report(ctx context.Context, err error, stdout, stderr io.Writer) (status int) {
	for _, d := range b.downloads {
		if d.state == failed {
			fmt.Fprintf(stdout, "%s: %v\n", d.url, d.err)
			status = someFailed
		}
	}
	switch {
	case ctx.Err() != nil && (err == nil || errors.Is(err, context.Cause(ctx))):
		status = interrupted
	case err != nil:
		fmt.Fprintf(stderr, "tui: %+v\n", err)
		status = broken
	}
	for _, what := range b.cleanup {
		fmt.Fprintln(stdout, what)
	}
	g := b.guest
	fmt.Fprintf(stdout, "%s, in %d turns and %d updates, with at most %d turns in one\n", b.summary(), g.turns, g.updates, g.most)
	return status
}

// name makes downloads of addresses. Where two files would have one name, the second gets a number.
func name(urls []string) (all []*download, err error) {
	taken := map[string]bool{}
	for _, address := range urls {
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		if u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("%s is not an address of a file: it has to begin with http:// or https://", address)
		}
		base := path.Base(u.Path)
		if base == partials || base == "." || base == "/" || !filepath.IsLocal(base) || filepath.Base(base) != base {
			base = "index"
		}
		unique := base
		for n := 2; taken[unique]; n++ {
			unique = fmt.Sprintf("%s~%d", base, n)
		}
		taken[unique] = true
		all = append(all, &download{url: address, name: unique, size: -1})
	}
	return all, nil
}
