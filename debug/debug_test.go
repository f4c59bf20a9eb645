package debug_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/debug"
)

// noLeaks fails the test if there are more goroutines after it than before.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 1000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Errorf("%d goroutines before the test, %d after it", before, runtime.NumGoroutine())
	})
}

// get asks the page of this process, and returns the status and the body.
func get(t *testing.T, query string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, debug.Path+query, nil))
	return w.Code, w.Body.String()
}

// want asks the page and compares what is the same each time: without directories, line numbers, and the numbers of goroutines and runs.
func want(t *testing.T, query, want string) {
	t.Helper()
	code, got := get(t, query)
	if code != http.StatusOK {
		t.Fatalf("%s is answered with %d, %s", query, code, got)
	}
	if got = plain(got); got != want {
		t.Errorf("%s is\n%s\nwant\n%s", query, got, want)
	}
}

var places = regexp.MustCompile(`(?:[^ "\n]*/)?([a-z_]+\.go):\d+`)
var runs = regexp.MustCompile(`\brun \d+`)

func plain(s string) string {
	return runs.ReplaceAllString(places.ReplaceAllString(s, "$1"), "run N")
}

// inRun runs f while root runs on a loop, in a bubble and after all there have begun to wait. Then it stops the run.
func inRun(t *testing.T, root *tinyio.Coro[tinyio.Void], f func(t *testing.T, l *tinyio.Loop), opts ...tinyio.Option) {
	t.Helper()
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		l := tinyio.NewLoop(opts...)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan tinyio.Void)
		go func() {
			defer close(ended)
			tinyio.RunOn(ctx, l, root)
		}()
		synctest.Wait()
		f(t, l)
		cancel()
		<-ended
		if _, page := get(t, "?debug=1"); page != "no run is under way\n" {
			t.Errorf("after the run the page is\n%s", page)
		}
	})
}

// program is one of each: who waits for whom, shared work, a timer, a thread, a daemon.
func program() *tinyio.Coro[tinyio.Void] {
	shared := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("shared")
	a := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(shared) }).Named("a")
	b := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(shared) }).Named("b <&\">")
	thread := tinyio.RunInThread(func(ctx context.Context) (tinyio.Void, error) {
		<-ctx.Done()
		return tinyio.Void{}, ctx.Err()
	}).Named("thread")
	daemon := tinyio.Do(func(co *tinyio.Co) error {
		for {
			if err := co.Sleep(time.Minute); err != nil {
				return err
			}
		}
	}).Named("heartbeat")
	return tinyio.Do(func(co *tinyio.Co) error {
		if err := co.SpawnDaemon(daemon); err != nil {
			return err
		}
		return co.Wait(a, b, thread)
	}).Named("main")
}

func TestText(t *testing.T) {
	inRun(t, program(), func(t *testing.T, _ *tinyio.Loop) {
		time.Sleep(time.Second)
		want(t, "?debug=1", `run N: main, for 1s
  it waits
  live 6, ready 0, threads 1, timers 2; started 6, finished 0, failed 0, turns 7
  #0 main: waiting for a coroutine at debug_test.go
    #2 a: waiting for a coroutine at debug_test.go
      #5 shared: waiting for a timer at debug_test.go (until 01:00:00.000, in 59m59s)
    #3 b <&">: waiting for a coroutine at debug_test.go
      #5 shared: waiting for a timer at debug_test.go (until 01:00:00.000, in 59m59s; see above)
    #4 thread: waiting for a thread or callback at debug_test.go
  #1 heartbeat: waiting for a timer at debug_test.go (until 00:01:00.000, in 59s; daemon)

`)
		var b strings.Builder
		if err := debug.WriteText(t.Context(), &b); err != nil || !strings.Contains(b.String(), "#1 heartbeat: waiting for a timer") {
			t.Errorf("WriteText: %v\n%s", err, b.String())
		}
	})
}

func TestDot(t *testing.T) {
	inRun(t, program(), func(t *testing.T, _ *tinyio.Loop) {
		_, got := get(t, "?format=dot")
		got = regexp.MustCompile(`cluster_\d+`).ReplaceAllString(regexp.MustCompile(`r\d+c`).ReplaceAllString(got, "c"), "cluster")
		const want = `digraph tinyio {
	rankdir=LR;
	node [shape=box, fontname="monospace"];
	subgraph cluster {
		label="run N: main\nit waits";
		c0 [label="#0 main\nwaiting for a coroutine\ndebug_test.go"];
		c0 -> c2;
		c0 -> c3;
		c0 -> c4;
		c2 [label="#2 a\nwaiting for a coroutine\ndebug_test.go"];
		c2 -> c5;
		c5 [label="#5 shared\nwaiting for a timer\ndebug_test.go"];
		c3 [label="#3 b <&\">\nwaiting for a coroutine\ndebug_test.go"];
		c3 -> c5;
		c4 [label="#4 thread\nwaiting for a thread or callback\ndebug_test.go"];
		c1 [label="#1 heartbeat\nwaiting for a timer\ndebug_test.go"];
	}
}
`
		if got = plain(got); got != want {
			t.Errorf("it is\n%s\nwant\n%s", got, want)
		}
	})
}

// A page is what the JSON of the page has.
type page struct {
	Run      uint64
	First    string
	Stats    tinyio.Stats
	Stuck    bool
	Ended    bool
	Rows     int
	From     int
	Turn     *struct{ Coro, Stack string }
	Findings []struct {
		Lint, Coro, Text string
		ID               *int
	}
	Coroutines []struct {
		Depth, ID, Line       int
		Name, State, On, File string
		For                   []int
		Deadline              time.Time
		Daemon, Again         bool
		Stopped               string
	}
}

func getJSON(t *testing.T, query string) (pages []page) {
	t.Helper()
	code, body := get(t, query)
	if err := json.Unmarshal([]byte(body), &pages); code != http.StatusOK || err != nil {
		t.Fatalf("%s is answered with %d, %v: %s", query, code, err, body)
	}
	return pages
}

func TestJSON(t *testing.T) {
	inRun(t, program(), func(t *testing.T, l *tinyio.Loop) {
		pages := getJSON(t, "?format=json")
		if len(pages) != 1 {
			t.Fatalf("there are %d runs", len(pages))
		}
		p := pages[0]
		if p.First != "main" || p.Stats != l.Stats() || p.Stuck || p.Rows != 7 || len(p.Coroutines) != 7 || len(p.Findings) != 0 {
			t.Errorf("it is %+v", p)
		}
		var got []string
		for _, c := range p.Coroutines {
			got = append(got, fmt.Sprintf("%d#%d %s %s %s %v daemon=%v again=%v", c.Depth, c.ID, c.Name, c.State, c.On, c.For, c.Daemon, c.Again))
		}
		const want = `0#0 main waiting a coroutine [2 3 4] daemon=false again=false
1#2 a waiting a coroutine [5] daemon=false again=false
2#5 shared waiting a timer [] daemon=false again=false
1#3 b <&"> waiting a coroutine [5] daemon=false again=false
2#5 shared waiting a timer [] daemon=false again=true
1#4 thread waiting a thread or callback [] daemon=false again=false
0#1 heartbeat waiting a timer [] daemon=true again=false`
		if strings.Join(got, "\n") != want {
			t.Errorf("the tree is\n%s\nwant\n%s", strings.Join(got, "\n"), want)
		}
		if d := time.Until(p.Coroutines[2].Deadline); d != time.Hour {
			t.Errorf("shared sleeps for %v more", d)
		}
		some := getJSON(t, fmt.Sprintf("?format=json&run=%d&from=2&n=3", p.Run))[0]
		if some.From != 2 || some.Rows != 7 || len(some.Coroutines) != 3 || some.Coroutines[0].Name != "shared" {
			t.Errorf("a part is %+v", some)
		}
	})
}

// The page escapes what the program chose, needs no script, and may load nothing.
func TestHTML(t *testing.T) {
	inRun(t, program(), func(t *testing.T, _ *tinyio.Loop) {
		w := httptest.NewRecorder()
		debug.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/anywhere", nil))
		body := w.Body.String()
		for _, part := range []string{
			"<!DOCTYPE html>", ">#3 b &lt;&amp;&#34;&gt;</td><td>waiting for a coroutine</td>", `<tr class="again"><td style="padding-left:4ch">#5 shared</td>`,
			"live 6, ready 0, threads 1, timers 2; started 6, finished 0, failed 0, turns 7", "format=json", "</html>",
		} {
			if !strings.Contains(body, part) {
				t.Errorf("it does not have %s", part)
			}
		}
		if strings.Contains(body, `class="stuck"`) || strings.Contains(body, `b <&">`) {
			t.Error("it says that the loop is stuck, or has a name as it is")
		}
		h := w.Header()
		if h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; ") {
			t.Errorf("the header is %v", h)
		}
	})
}

// Where some of the rows are left out, links lead to them.
func TestRowsThatAreLeftOut(t *testing.T) {
	inRun(t, program(), func(t *testing.T, _ *tinyio.Loop) {
		run := getJSON(t, "?format=json")[0].Run
		link := func(query, text string) string {
			return fmt.Sprintf(`<a href="?run=%d&amp;%s">%s</a>`, run, query, text)
		}
		for query, want := range map[string]string{
			"":            "",
			"?n=7":        "",
			"?n=3":        "rows 1 to 3 of 7 · " + link("from=3&amp;n=3", "4 more rows") + " · " + link("n=100000", "all rows"),
			"?n=3&from=3": link("from=0&amp;n=3", "rows before") + " · rows 4 to 6 of 7 · " + link("from=6&amp;n=3", "1 more rows") + " · " + link("n=100000", "all rows"),
			"?n=3&from=6": link("from=3&amp;n=3", "rows before") + " · rows 7 to 7 of 7 · " + link("n=100000", "all rows"),
		} {
			_, body := get(t, query)
			_, below, _ := strings.Cut(body, "</table>\n")
			below, _, _ = strings.Cut(below, "</main>")
			if got := strings.TrimSuffix(strings.TrimPrefix(below, "<p>"), "</p>\n"); got != want {
				t.Errorf("%q has below its table %q, want %q", query, got, want)
			}
		}
	})
}

// Of several runs each is there; of very many, the first ones are there with their coroutines, and the others in a list.
func TestSeveralRuns(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan tinyio.Void)
		const n = 12
		for i := range n {
			go func() {
				tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named(fmt.Sprint("root ", i)))
				ended <- tinyio.Void{}
			}()
			synctest.Wait()
		}
		pages := getJSON(t, "?format=json")
		for i, p := range pages {
			if rows := len(p.Coroutines); p.First != fmt.Sprint("root ", i) || p.Stats.Live != 1 || i < 8 && rows != 1 || i >= 8 && rows != 0 {
				t.Errorf("run number %d is %+v", i, p)
			}
		}
		if len(pages) != n {
			t.Errorf("there are %d runs", len(pages))
		}
		if one := getJSON(t, fmt.Sprint("?format=json&run=", pages[n-1].Run)); len(one) != 1 || one[0].First != "root 11" || one[0].Rows != 1 {
			t.Errorf("the last one is %+v", one)
		}
		cancel()
		for range n {
			<-ended
		}
	})
}

// Whoever asks for what is not there is told so.
func TestBadRequests(t *testing.T) {
	inRun(t, program(), func(t *testing.T, _ *tinyio.Loop) {
		now := getJSON(t, "?format=json")[0].Run
		for _, c := range []struct {
			query string
			code  int
			text  string
		}{
			{"?run=x", 400, `run="x": it is the number of a run`},
			{"?run=-1", 400, "it is the number of a run"},
			{"?run=99999999999999999999", 400, "it is the number of a run"},
			{"?run=0", 404, "there is no run 0"},
			{"?run=4000000000", 404, fmt.Sprintf("there is no run 4000000000; the last one was number %d", now)},
			{fmt.Sprint("?run=", now-1), 404, fmt.Sprintf("run %d has ended", now-1)},
			{"?debug=2", 400, "debug="},
			{"?format=xml", 400, `format="xml": it is one of html, text, json, dot, events`},
			{"?from=-1", 400, "from="},
			{"?from=7", 404, "from=7: there are 7 rows"},
			{"?from=1e9", 400, "from="},
			{"?n=0", 400, "n=0: it is a number of rows from 1 to 100000"},
			{"?n=100001", 400, "n=100001"},
			{"?n=" + strings.Repeat("9", 1000), 400, "n="},
			{"?n=1&n=2", 400, "n is given 2 times"},
			{"?what=1", 400, `there is no query "what"; there are debug, format, run, from, n and lint`},
			{"?lint=TIO99", 404, `there is no lint "TIO99"; there are TIO1 to TIO15`},
			{"?lint=TIO1&format=dot", 400, "not as dot"},
			{"?%zz", 400, "the query cannot be read"},
		} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, debug.Path, nil)
			r.URL.RawQuery = strings.TrimPrefix(c.query, "?")
			http.DefaultServeMux.ServeHTTP(w, r)
			if body := w.Body.String(); w.Code != c.code || !strings.Contains(body, c.text) || len(body) > 300 {
				t.Errorf("%s is answered with %d, %s; want %d, %s", c.query, w.Code, body, c.code, c.text)
			}
			if kind := w.Header().Get("Content-Type"); kind != "text/plain; charset=utf-8" {
				t.Errorf("%s is answered as %s", c.query, kind)
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"} {
			w := httptest.NewRecorder()
			http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest(method, debug.Path, nil))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s is answered with %d, %v", method, w.Code, w.Header())
			}
		}
	})
}

func TestHead(t *testing.T) {
	noLeaks(t)
	s := httptest.NewServer(debug.Handler())
	defer s.Close()
	client := s.Client()
	defer client.CloseIdleConnections()
	for _, query := range []string{"", "?debug=1", "?format=events"} {
		r, err := client.Head(s.URL + query)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(r, err)
		}
		r.Body.Close()
	}
}

// The page is sent again every second for as long as somebody reads it, and it ends with the run that was asked for.
func TestEvents(t *testing.T) {
	noLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan tinyio.Void)
	go func() {
		defer close(ended)
		tinyio.Run(ctx, program())
	}()
	var number uint64
	for number == 0 { // until it has begun
		if pages := getJSON(t, "?format=json"); len(pages) == 1 {
			number = pages[0].Run
		}
	}
	s := httptest.NewUnstartedServer(debug.Handler())
	s.Config.WriteTimeout = 500 * time.Millisecond // which does not end a stream
	s.Start()
	defer s.Close()
	client := s.Client()
	defer client.CloseIdleConnections()
	r, err := client.Get(s.URL + fmt.Sprint("?format=events&run=", number))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if kind := r.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("it is %s", kind)
	}
	var events, fields int
	var last string
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "":
			events++
			if events == 2 {
				cancel()
				<-ended
			}
		case strings.HasPrefix(line, "data: "):
			fields++
			if !strings.HasPrefix(last, "event: ") {
				last = line
			}
		default:
			last = line
		}
	}
	if events != 4 || fields < 10 || last != "event: end" {
		t.Errorf("there were %d events, %d lines of data, and in the end %q", events, fields, last)
	}
}

// stuckIn runs a root that gets stuck in f, until f is told to end, and returns the page of that to somebody who asks for the first time.
func stuckIn(t *testing.T, query string, f func(end <-chan tinyio.Void)) string {
	t.Helper()
	noLeaks(t)
	defer debug.SetPatience(100 * time.Millisecond)()
	stuck, end, ended := make(chan tinyio.Void), make(chan tinyio.Void), make(chan tinyio.Void)
	go func() {
		defer close(ended)
		bad := tinyio.Do(func(co *tinyio.Co) error {
			close(stuck)
			f(end)
			return nil
		}).Named("bad")
		tinyio.Run(t.Context(), tinyio.Do(func(co *tinyio.Co) error { return co.Wait(bad) }).Named("main"))
	}()
	<-stuck
	_, page := get(t, query)
	close(end)
	<-ended
	return page
}

//go:noinline
func computes(end <-chan tinyio.Void) {
	for ended := false; !ended; {
		select {
		case <-end:
			ended = true
		default:
		}
	}
}

// A loop that is stuck in an endless loop is shown as stuck, with the stack.
func TestStuckInAnEndlessLoop(t *testing.T) {
	got := stuckIn(t, "?debug=1", computes)
	for _, part := range []string{"STUCK: the turn of bad has lasted ", "TIO2 bad has computed for ", "debug_test.computes(", "live 2, ready 0"} {
		if !strings.Contains(got, part) {
			t.Errorf("the page does not have %q:\n%s", part, got)
		}
	}
	if n := strings.Count(got, "goroutine "); n > 2 { // its own, and "created by iter.Pull in goroutine 7"
		t.Errorf("the page has the stacks of others:\n%s", got)
	}
}

func TestStuckInACall(t *testing.T) {
	got := stuckIn(t, "", func(end <-chan tinyio.Void) { <-end })
	for _, part := range []string{`<p class="stuck">STUCK: the turn of bad has lasted `, `<a href="?lint=TIO1">TIO1</a> bad has been blocked for `,
		": chan receive</p>", `<pre class="stack">goroutine `} {
		if !strings.Contains(got, part) {
			t.Errorf("the page does not have %q:\n%s", part, got)
		}
	}
}

// A run that a host has begun and dropped is not kept by the page.
func TestDroppedRunIsForgotten(t *testing.T) {
	dropped := func() {
		tinyio.Start(context.Background(), tinyio.NewLoop(), tinyio.Do(func(*tinyio.Co) error { return nil }).Named("dropped"))
		if _, page := get(t, "?debug=1"); !strings.Contains(page, "dropped") {
			t.Errorf("it is not there at first:\n%s", page)
		}
	}
	defer debug.SetPatience(10 * time.Millisecond)()
	dropped()
	for range 100 {
		runtime.GC()
		if _, page := get(t, "?debug=1"); page == "no run is under way\n" {
			return
		}
	}
	t.Error("it is still there")
}

// The page of 10,000 coroutines, each of which waits somewhere, takes less than a second of the processor.
func TestTenThousandCoroutines(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes the time")
	}
	defer debug.SetPatience(time.Minute)()
	noLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	const n = 10_000
	all := make(chan tinyio.Void)
	ended := make(chan error)
	go func() {
		_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
			cs := make([]tinyio.Awaitable, n)
			for i := range cs {
				cs[i] = tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
			}
			if err := co.Spawn(cs...); err != nil {
				return err
			}
			close(all)
			return co.Wait(cs...)
		}))
		ended <- err
	}()
	<-all
	best := time.Hour
	for range 3 {
		began := processorTime(t)
		_, body := get(t, "?n=20000")
		best = min(best, processorTime(t)-began)
		if rows := strings.Count(body, "<tr class="); rows != n+1 {
			t.Fatalf("there are %d rows", rows)
		}
	}
	if best > time.Second {
		t.Errorf("it takes %v", best)
	}
	_, page := get(t, "")
	if rows := strings.Count(page, "<tr class="); rows != 1000 {
		t.Errorf("by itself the page has %d rows", rows)
	}
	_, text := get(t, "?debug=1")
	if rows := strings.Count(text, ": waiting for "); rows != n {
		t.Errorf("the text has %d rows", rows)
	}
	t.Logf("%d coroutines: %v", n, best)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The page may be asked for while runs begin, nest, fail and end, and make queues and coroutines: each answer makes sense.
func TestAskedWhileRunsComeAndGo(t *testing.T) {
	noLeaks(t)
	defer debug.ForgetMade()
	over := make(chan tinyio.Void)
	var runners sync.WaitGroup
	for i := range 4 {
		runners.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				func() {
					defer func() { _ = recover() }() // of what one of the programs panics with
					tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
						q, lock := tinyio.NewQueue[int](5000), new(tinyio.Lock)
						for range 10 {
							tinyio.New(func(*tinyio.Co) (int, error) { return 1, nil })
							co.Go(func(co *tinyio.Co) error { return errors.Join(q.Put(co, 1), lock.Acquire(co), co.Sleep(1)) })
						}
						if err := co.Sleep(time.Millisecond); err != nil {
							return err
						}
						switch i {
						case 0:
							panic("one panics")
						case 1:
							return errors.New("one fails")
						case 2:
							_, err := tinyio.Run(co, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Millisecond) }))
							return errors.Join(err, errors.New("so that those in line end"))
						}
						_, err := tinyio.Timeout(co, tinyio.Do(new(tinyio.Event).Wait), time.Millisecond)
						return err
					}))
				}()
			}
		})
	}
	for i := range 20 {
		query := []string{"", "?debug=1", "?format=json", "?format=dot", "?n=1&from=0"}[i%5]
		if code, body := get(t, query); code != http.StatusOK || body == "" {
			t.Errorf("%q is answered with %d, %q", query, code, body)
		}
		if code, body := get(t, fmt.Sprint("?run=", i+1)); code != http.StatusOK && code != http.StatusNotFound {
			t.Errorf("a run is answered with %d, %q", code, body)
		}
	}
	close(over)
	runners.Wait()
}
