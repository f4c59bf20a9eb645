// Command linkcheck finds the broken links of a web site, or of a directory of Markdown and HTML files, which it serves to
// itself.
//
//	go run ./examples/linkcheck docs
//	go run ./examples/linkcheck -external https://example.com/
//
// Every page within the site is fetched once, and its links are followed. A link is broken if its target cannot be had, or
// if it names a fragment and no element of the target has that id. Links are what leads to another document: also images with all
// their sizes, frames, quotations and pages that send their visitors on; but not what only forms, scripts or style sheets use. Of a
// directory all pages are checked, whether they are linked to or not; links from it to files around it are checked for whether these
// exist.
//
// A name and a password in the URL, as in https://name:password@example.com/, are sent to that host with each request, and nowhere else.
// A server that is too busy and says when it will not be is asked again then, if that is no longer than -timeout.
//
// A site can make new pages for ever, as a calendar does. The flags -pages and -depth bound what is checked; if there is more, a warning
// says so.
//
// What it finds in documents that nobody wrote for it is compared with what Debian's linkchecker finds; see ../debian/README.md.
//
// The exit status is 0 if no link is broken, 1 if one is, 2 if nothing could be checked, and 130 if the program was
// interrupted, after it has printed what it knew by then.
//
// It is also an example of a program on tinyio. What to look at, all of it in crawl.go:
//
//   - The coroutines of the crawl share plain maps and counters. One coroutine runs at a time, so there is no mutex.
//   - A page is a [tinyio.Coro], kept in a map by its address. However many links lead to it, and whenever they come, it
//     is fetched once and they all get its result.
//   - A fetch is ordinary blocking code in a [tinyio.Call], when a [tinyio.Semaphore] has a permit for it. [tinyio.Timeout] limits
//     its time and stops the request, whose context is that of the call. Its failure is a value, because a page that cannot be had is
//     a result here and not the end of the program.
//   - Links are checked in coroutines that are spawned. Nobody keeps count of them: [tinyio.Run] returns when all have
//     finished, so cycles of links need no thought.
//   - An interrupt ends the context that is given to Run. Run then stops every request, waits until all has
//     stopped, and returns; what was found so far is in the maps, and nothing runs any more that could change them.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/tinyio-go/tinyio"
)

// The exit statuses.
const (
	exitFine        = 0
	exitBroken      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as of a shell command that was ended by SIGINT
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // whoever is impatient and interrupts again is obeyed at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, opts ...tinyio.Option) int {
	flags := flag.NewFlagSet("linkcheck", flag.ContinueOnError)
	flags.SetOutput(stderr)
	n := flags.Int("n", 8, "fetch at most `N` pages at once")
	timeout := flags.Duration("timeout", 10*time.Second, "give up on a page after this `long`")
	external := flags.Bool("external", false, "check links out of the site too, without following them")
	pages := flags.Int("pages", 10000, "check the links of at most `N` pages, of a site that makes new ones for ever")
	depth := flags.Int("depth", 0, "check the links of pages that are at most `N` links away from where it starts; 0 is any")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: linkcheck [flags] URL-or-directory")
		flags.PrintDefaults()
	}
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		return exitFine
	case err != nil:
		return exitUsage
	case flags.NArg() != 1 || *n < 1 || *timeout <= 0 || *pages < 1 || *depth < 0:
		flags.Usage()
		return exitUsage
	}

	s, err := open(flags.Arg(0))
	if err != nil {
		fmt.Fprintln(stderr, "linkcheck:", err)
		return exitUsage
	}
	defer s.close()

	bar := newProgress(stderr)
	c := newCrawler(s, limits{
		n: *n, timeout: *timeout, external: *external, maxBody: 10 << 20, maxPages: *pages, maxDepth: *depth,
	}, bar.show)
	err = c.crawl(ctx, opts...)
	bar.clear()
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(stderr, "linkcheck: %+v\n", err)
		return exitUsage
	}
	c.report.print(stdout, s.name, err != nil)
	switch {
	case err != nil:
		return exitInterrupted
	case len(c.report.broken) > 0:
		return exitBroken
	}
	return exitFine
}

// open returns the site that the argument of the program stands for.
func open(arg string) (*site, error) {
	if strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://") {
		return remote(arg)
	}
	return serve(arg)
}
