// Package browsertest tests the page of package debug in a real browser, Chromium.
package browsertest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/debug"
	"github.com/tinyio-go/tinyio/debug/browsertest/browser"
)

var screenshots = flag.String("screenshots", "", "write pictures of the page into this `directory`; docs/img has those of go test -trimpath -screenshots ../../docs/img")

// page is the address of the page, which ctx is going to show.
func page(t *testing.T, ctx context.Context) string {
	server := httptest.NewServer(debug.Handler())
	t.Cleanup(func() {
		browser.Do(t, ctx, chromedp.Navigate("about:blank")) // which ends what the page is kept up to date by
		server.Close()
	})
	return server.URL
}

// shoot writes a picture of what ctx shows, if such are wanted.
func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	if *screenshots != "" {
		browser.Shoot(t, ctx, filepath.Join(*screenshots, name+".png"))
	}
}

// run runs first until the test ends, or end says so.
func run(t *testing.T, first *tinyio.Coro[tinyio.Void], end func()) {
	ended := make(chan bool)
	go func() {
		defer close(ended)
		if _, err := tinyio.Run(context.Background(), first); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		end()
		<-ended
	})
}

// crowded is how many coroutines there are in a page of very many.
const crowded = 10_000

// TestCrowd proves that the page of 10,000 coroutines is there before long: by itself, with the first 1,000 rows, and with all of them. With -v
// it says after how long.
func TestCrowd(t *testing.T) {
	ctx := browser.Open(t, 1000, 600)
	over := make(chan tinyio.Void)
	waiting := make(chan tinyio.Void)
	run(t, tinyio.Do(func(co *tinyio.Co) error {
		all := make([]tinyio.Awaitable, crowded)
		var done tinyio.Event
		for i := range all {
			all[i] = tinyio.Do(done.Wait).Named(fmt.Sprintf("order %d", i+1))
		}
		if err := co.Spawn(all...); err != nil {
			return err
		}
		close(waiting)
		_, _, err := tinyio.Recv(co, over)
		done.Set()
		return err
	}).Named("shop"), func() { close(over) })
	<-waiting
	address := page(t, ctx)
	for _, c := range []struct {
		query string
		rows  int
		limit time.Duration
	}{
		{"/", 1000, time.Second},
		{fmt.Sprintf("/?n=%d", 2*crowded), crowded + 2, 5 * time.Second},
	} {
		fastest, alone, size := time.Hour, time.Hour, int64(0)
		for range 5 { // other processes may need the machine
			began := time.Now()
			browser.Do(t, ctx, chromedp.Navigate(address+c.query))
			rows := browser.Get(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("tr.waiting").length`))
			fastest = min(fastest, time.Since(began))
			if rows != c.rows {
				t.Errorf("the page at %s has %d rows, want %d", c.query, rows, c.rows)
			}
			browser.Do(t, ctx, chromedp.Navigate("about:blank"))
			began = time.Now()
			response, err := http.Get(address + c.query)
			if err != nil {
				t.Fatal(err)
			}
			size, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			alone = min(alone, time.Since(began))
		}
		t.Logf("a page of %d coroutines with %d rows is there after %v; without the browser, its %d kB are after %v", crowded+2, c.rows,
			fastest.Round(10*time.Millisecond), size/1000, alone.Round(time.Millisecond))
		if fastest > c.limit*slowdown {
			t.Errorf("the page at %s takes %v, want at most %v", c.query, fastest, c.limit*slowdown)
		}
	}
}

// TestStuck proves that a loop that is stuck is shown in red, with the stack of who keeps it, and that the page says so by itself when the
// loop goes on.
func TestStuck(t *testing.T) {
	ctx := browser.Open(t, 1000, 600)
	begun, reply := make(chan bool), make(chan string, 1)
	over := make(chan tinyio.Void)
	run(t, tinyio.Do(func(co *tinyio.Co) error {
		report := tinyio.Do(func(co *tinyio.Co) error {
			close(begun)
			waitForReply(reply)
			return nil
		}).Named("report")
		if err := co.Wait(report); err != nil {
			return err
		}
		_, _, err := tinyio.Recv(co, over)
		return err
	}).Named("main"), func() {
		reply <- "at the latest"
		close(over)
	})
	<-begun
	browser.Do(t, ctx, chromedp.Navigate(page(t, ctx)))
	browser.Await(t, ctx, `document.querySelector(".stuck") != null && document.querySelector("pre.stack") != null`)
	said := browser.Get(t, ctx, chromedp.Evaluate[string](`document.querySelector(".stuck").innerText`))
	stack := browser.Get(t, ctx, chromedp.Evaluate[string](`document.querySelector("pre.stack").innerText`))
	color := browser.Get(t, ctx, chromedp.Evaluate[string](`getComputedStyle(document.querySelector(".stuck")).backgroundColor`))
	if !strings.HasPrefix(said, "STUCK: the turn of report has lasted ") {
		t.Errorf("the page says %q", said)
	}
	if color != "rgb(204, 0, 0)" {
		t.Errorf("it says so in %s, want red", color)
	}
	if !strings.Contains(stack, "browsertest.waitForReply") {
		t.Errorf("its stack does not show what the coroutine does:\n%s", stack)
	}
	shoot(t, ctx, "stuck")
	reply <- "at last"
	browser.Await(t, ctx, `document.querySelector(".stuck") == null`)
}

// waitForReply blocks, which a coroutine should not.
//
//go:noinline
func waitForReply(reply chan string) { <-reply }

// TestTree proves that who is waited for is shown below who waits, further to the right.
func TestTree(t *testing.T) {
	ctx := browser.Open(t, 1000, 600)
	over, waiting := make(chan tinyio.Void), make(chan tinyio.Void)
	config := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Yield(); err != nil {
			return err
		}
		close(waiting)
		_, _, err := tinyio.Recv(co, over)
		return err
	}).Named("config")
	load := func(what string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error { return co.Wait(config) }).Named("load " + what)
	}
	run(t, tinyio.Do(func(co *tinyio.Co) error {
		tick := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("tick")
		if err := co.SpawnDaemon(tick); err != nil {
			return err
		}
		return co.Wait(load("users"), load("orders"))
	}).Named("page"), func() { close(over) })
	<-waiting
	browser.Do(t, ctx, chromedp.Navigate(page(t, ctx)))
	names := browser.Get(t, ctx, chromedp.Evaluate[[]string](`Array.from(document.querySelectorAll("td:first-child"), e => e.innerText)`))
	indented := browser.Get(t, ctx, chromedp.Evaluate[[]float64](
		`Array.from(document.querySelectorAll("td:first-child"), e => parseFloat(getComputedStyle(e).paddingLeft))`))
	for i := range names {
		_, names[i], _ = strings.Cut(names[i], " ")
	}
	if got, want := strings.Join(names, ", "), "page, load users, config, tinyio.Recv, load orders, config, tick"; got != want {
		t.Fatalf("the page shows %s, want %s", got, want)
	}
	for i, depth := range []float64{0, 1, 2, 3, 1, 2, 0} {
		if got, want := indented[i], depth*indented[1]; math.Abs(got-want) > 1 || indented[1] == 0 {
			t.Errorf("%s is indented by %v, want %v", names[i], got, want)
		}
	}
	shoot(t, ctx, "page")
}
