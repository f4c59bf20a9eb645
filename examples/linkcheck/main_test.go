package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A testSite serves the given handlers, by path, and counts the requests.
type testSite struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]int
}

// counts returns how often each page was asked for.
func (s *testSite) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

func serveTest(t *testing.T, handlers map[string]http.HandlerFunc) *testSite {
	checkGoroutines(t)
	s := &testSite{requests: make(map[string]int)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests[r.Method+" "+r.URL.RequestURI()]++
		s.mu.Unlock()
		if h := handlers[r.URL.Path]; h != nil {
			h(w, r)
		} else {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// pageOf is a page with the given content.
func pageOf(content string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, content)
	}
}

// links is a page with the given links.
func links(references ...string) http.HandlerFunc {
	var b strings.Builder
	for _, r := range references {
		fmt.Fprintf(&b, "<a href=%q>link</a>\n", r)
	}
	return pageOf(b.String())
}

func redirectTo(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", address)
		w.WriteHeader(http.StatusFound)
	}
}

// runTest runs the program and compares what it prints, in which the address of the site is SITE. It must print nothing to standard
// error, which is no terminal.
func runTest(ctx context.Context, t *testing.T, s *testSite, status int, want string, args []string, opts ...tinyio.Option) {
	t.Helper()
	var stdout, stderr strings.Builder
	if got := run(ctx, append(args, s.URL), &stdout, &stderr, opts...); got != status {
		t.Errorf("the exit status is %d, want %d", got, status)
	}
	if got := strings.ReplaceAll(stdout.String(), s.URL, "SITE"); got != want {
		t.Errorf("the program wrote\n%s\nwant\n%s", got, want)
	}
	if stderr.Len() > 0 {
		t.Errorf("the program wrote to standard error: %s", stderr.String())
	}
}

// checkGoroutines fails the test if it leaves goroutines behind.
func checkGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

// Each page is fetched once, however it is linked to, and everything that is wrong is found.
func TestEverythingIsFoundInOneFetchEach(t *testing.T) {
	s := serveTest(t, map[string]http.HandlerFunc{
		"/": links("a", "/b?x=1", "/b?x=2", "./shared", "/missing", "/old", "/old-fragment", "/loop", "/itself", "/endless/",
			"mailto:ada@example.com", "javascript:void(0)", "http://[::1", "http:///nowhere", "/text#L1", "https://elsewhere.invalid/",
			"/to-elsewhere", "/to-mail", "/to-garbage", "/to-nowhere", "/teapot", "/cut", "/based/", "#", "#top", "#bottom", ""),
		"/a":      pageOf(`<a href="/b?x=1">cycle</a> <a href="shared#one">ok</a> <a href=" /shared#two ">ok</a> <a href="/missing">no</a>`),
		"/b":      links("/a", "/", "/shared#three", "/shared#%C3%A9", "/shared#one:~:text=ok", "/missing#fragment"),
		"/shared": pageOf(`<a name="one" href="/a">cycle</a> <p id="two"> <p id="é"> <img src="/missing.png"> <!-- <a href="/comment"> -->`),
		"/old":    redirectTo("/shared#three"),
		"/old-fragment": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "shared#two", http.StatusMovedPermanently)
		},
		"/loop":         redirectTo("/loop/again"),
		"/loop/again":   redirectTo("/loop"),
		"/itself":       redirectTo("/itself"),
		"/to-elsewhere": redirectTo("https://elsewhere.invalid/"),
		"/to-mail":      redirectTo("mailto:ada@example.com"),
		"/to-garbage":   redirectTo("http://[::1"),
		"/endless/":     func(w http.ResponseWriter, r *http.Request) { redirectTo("/endless/?"+r.URL.RawQuery+"i")(w, r) },
		"/to-nowhere":   redirectTo("http:///nowhere"),
		"/text": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, `<a href="/not-a-link">`)
		},
		"/teapot": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"/cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			pageOf("too little")(w, r)
		},
		"/based/":    pageOf(`<a href="x">before</a><base href="/base/"><base href="/ignored/"><a href="y">after</a>`),
		"/base/x":    links(),
		"/base/y":    links("/a"),
		"/never-had": links("/nobody-links-to-this"),
	})

	runTest(t.Context(), t, s, exitBroken, `http:///nowhere: not a valid URL
	linked from SITE/
SITE/#bottom: no element of the page has the id "bottom"
	linked from SITE/
SITE/cut: unexpected EOF
	linked from SITE/
SITE/endless/: too many redirects
	linked from SITE/
SITE/itself: redirect loop
	linked from SITE/
SITE/loop: redirect loop
	linked from SITE/
SITE/missing: 404 Not Found
	linked from SITE/
	linked from SITE/a
SITE/missing#fragment: 404 Not Found
	linked from SITE/b?x=1
	linked from SITE/b?x=2
SITE/missing.png: 404 Not Found
	linked from SITE/shared
SITE/old: no element of the page has the id "three"
	linked from SITE/
SITE/shared#three: no element of the page has the id "three"
	linked from SITE/b?x=1
	linked from SITE/b?x=2
SITE/teapot: 418 I'm a teapot
	linked from SITE/
SITE/to-garbage: failed to parse Location header "http://[::1": parse "http://[::1": missing ']' in host
	linked from SITE/
SITE/to-mail: redirect: it leads to mailto:ada@example.com
	linked from SITE/
SITE/to-nowhere: redirect: not a valid URL
	linked from SITE/
http://[::1: not a valid URL
	linked from SITE/
45 links on 8 pages, 16 targets broken, 2 links out of the site not checked
`, nil)
	want := map[string]int{}
	for _, path := range []string{"/", "/a", "/b?x=1", "/b?x=2", "/shared", "/missing", "/old", "/old-fragment", "/loop", "/loop/again",
		"/itself", "/to-elsewhere", "/to-mail", "/to-garbage", "/to-nowhere", "/text", "/teapot", "/cut", "/based/", "/base/x", "/base/y",
		"/missing.png"} {
		want["GET "+path] = 1
	}
	want["GET /endless/"] = 1
	for i := range maxRedirects {
		want["GET /endless/?"+strings.Repeat("i", i+1)] = 1
	}
	if got := s.counts(); !maps.Equal(got, want) {
		t.Errorf("the requests were %v, want %v", got, want)
	}
}

// giveCookie sends visitors to an address, with a cookie.
func giveCookie(name, address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: name, Value: "1", Path: "/"})
		redirectTo(address)(w, r)
	}
}

// wantCookie is a page for those who have a cookie; all others are sent elsewhere.
func wantCookie(name string, elsewhere, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie(name); err != nil {
			elsewhere(w, r)
		} else {
			then(w, r)
		}
	}
}

// A page that sends its visitors round in a circle is no loop if they leave that with a cookie.
func TestCookies(t *testing.T) {
	s := serveTest(t, map[string]http.HandlerFunc{
		"/":          links("/itself#id", "/itself#no", "/circle", "/two", "/counts", "/gone", "/never", "/changing", "/out"),
		"/itself":    wantCookie("a", giveCookie("a", "/itself"), pageOf("<p id=id><a href=/missing>")),
		"/circle":    wantCookie("b", redirectTo("/give"), links("/itself")),
		"/give":      giveCookie("b", "/circle"),
		"/two":       wantCookie("c", giveCookie("c", "/two"), wantCookie("d", giveCookie("d", "/two"), redirectTo("/two/there"))),
		"/two/there": wantCookie("d", redirectTo("/two"), links("/")),
		"/counts": func(w http.ResponseWriter, r *http.Request) {
			wantCookie("e", giveCookie("e", "/counts?"+r.URL.RawQuery+"i"), links())(w, r)
		},
		"/gone":     wantCookie("f", giveCookie("f", "/gone"), http.NotFound),
		"/never":    giveCookie("g", "/never"),
		"/changing": func(w http.ResponseWriter, r *http.Request) { giveCookie("h", "/changing?"+r.URL.RawQuery+"i")(w, r) },
		"/out":      wantCookie("i", giveCookie("i", "/out"), redirectTo("https://elsewhere.invalid/")),
	})
	runTest(t.Context(), t, s, exitBroken, `SITE/changing: redirect loop
	linked from SITE/
SITE/gone: 404 Not Found
	linked from SITE/
SITE/itself#no: no element of the page has the id "no"
	linked from SITE/
SITE/missing: 404 Not Found
	linked from SITE/itself
SITE/never: redirect loop
	linked from SITE/
12 links on 5 pages, 5 targets broken, 1 link out of the site not checked
`, []string{"-n", "1"})
	if n := s.counts()["GET /itself"]; n != 3 {
		t.Errorf("/itself was fetched %d times, want 3: without the cookie, then for it, and with it", n)
	}
}

// Pages that are not in UTF-8 have the ids that they say they have.
func TestCharsets(t *testing.T) {
	s := serveTest(t, map[string]http.HandlerFunc{
		"/": links("/latin#%C3%A9", "/meta#%C3%A9", "/japanese#%E6%97%A5", "/latin#\u00e9", "/latin#e"),
		"/latin": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
			io.WriteString(w, "<p id=\xe9>")
		},
		"/meta": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<meta charset=windows-1252><p id=\xe9>")
		},
		"/japanese": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html;charset=euc-jp")
			io.WriteString(w, "<p id=\xc6\xfc>")
		},
	})
	runTest(t.Context(), t, s, exitBroken, `SITE/latin#e: no element of the page has the id "e"
	linked from SITE/
5 links on 4 pages, 1 target broken
`, nil)
}

// A site that goes on for ever is left after so many pages, or so many links, and the report says so.
func TestEndlessSite(t *testing.T) {
	calendar := func(w http.ResponseWriter, r *http.Request) {
		links("/?"+r.URL.RawQuery+"i", "/missing"+r.URL.RawQuery)(w, r)
	}
	s := serveTest(t, map[string]http.HandlerFunc{"/": calendar})
	runTest(t.Context(), t, s, exitBroken, `SITE/missing: 404 Not Found
	linked from SITE/
SITE/missingi: 404 Not Found
	linked from SITE/?i
SITE/missingii: 404 Not Found
	linked from SITE/?ii
warning: the links of 1 page are not checked: there are more than -pages allows
6 links on 3 pages, 3 targets broken
`, []string{"-pages", "3"})
	runTest(t.Context(), t, s, exitBroken, `SITE/missing: 404 Not Found
	linked from SITE/
SITE/missingi: 404 Not Found
	linked from SITE/?i
warning: the links of 1 page are not checked: they are further away than -depth allows
4 links on 2 pages, 2 targets broken
`, []string{"-depth", "1"})
}

// A page counts as far away as the shortest way to it is long, also if another one was quicker, and so do those to which it links. Each is
// fetched once, and its links are counted once.
func TestDepthIsThatOfTheShortestWay(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"/": links("/a", "/late"), "/a": links("/b"), "/b": links("/target"),
		"/target": links("/c"), "/c": links("/d"), "/d": links("/e"), "/e": links("/f"), "/f": links(),
	}
	for i := range 8 { // by then all others have been fetched
		handlers[fmt.Sprint("/late", i)] = redirectTo(fmt.Sprint("/late", i+1))
	}
	handlers["/late"], handlers["/late8"] = redirectTo("/late0"), redirectTo("/target")
	s := serveTest(t, handlers)
	runTest(t.Context(), t, s, exitFine, `warning: the links of 1 page are not checked: they are further away than -depth allows
7 links on 6 pages, 0 targets broken
`, []string{"-n", "1", "-depth", "3"})
	runTest(t.Context(), t, s, exitFine, "8 links on 8 pages, 0 targets broken\n", []string{"-n", "1", "-depth", "5"})
	for request, n := range s.counts() {
		if n > 2 {
			t.Errorf("%s: %d times in two runs", request, n)
		}
	}
}

// Pages are told by all the names that they have, and so are those that stand for a directory.
func TestNamesOfPages(t *testing.T) {
	checkGoroutines(t)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.markdown": "[no](1)", "b.MD": "[no](2) [yes](c.HTML#x) [yes](d/) [yes](e/#here) [yes](f/#index)", "c.HTML": "<p id=x><a href=3>", "g.htm": "<a href=4>",
		"h.mkd": "[no](5)", "i.Xhtml": "<a href=6></a>", "j.txt": "[text](no)", "k.md.bak": "[backup](no)", "l.shtml": "<a href=no>",
		"d/ReadMe.markdown": "[no](7)", "e/INDEX.HTM": "<p id=here>", "f/index.mdown": "# Index", "f/index.html": "",
		"latin.html": "<meta charset=iso-8859-1><p id=\xe9><a href='#&eacute;'>",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{dir}, &stdout, &stderr)
	var want strings.Builder
	for i, from := range []string{"a.markdown", "b.MD", "c.HTML", "g.htm", "h.mkd", "i.Xhtml"} {
		fmt.Fprintf(&want, "%d: 404 Not Found\n\tlinked from %s\n", i+1, from)
	}
	want.WriteString("d/7: 404 Not Found\n\tlinked from d/ReadMe.markdown\n12 links on 11 pages, 7 targets broken\n")
	if got := strings.ReplaceAll(stdout.String(), dir+string(filepath.Separator), ""); status != exitBroken || got != want.String() || stderr.Len() > 0 {
		t.Errorf("status %d, the program wrote\n%s%s\nwant\n%s", status, got, stderr.String(), want.String())
	}
}

func TestNothingBroken(t *testing.T) {
	s := serveTest(t, map[string]http.HandlerFunc{"/": links("/a"), "/a": links("/", "/a")})
	runTest(t.Context(), t, s, exitFine, "3 links on 2 pages, 0 targets broken\n", nil)
}

func TestStartIsBroken(t *testing.T) {
	s := serveTest(t, nil)
	runTest(t.Context(), t, s, exitBroken, "SITE/: 404 Not Found\n\tnamed on the command line\n0 links on 0 pages, 1 target broken\n", nil)
}

// A handClock stands still until it is told to jump to the next deadline.
type handClock struct {
	now  time.Time
	jump chan struct{}
}

func (c *handClock) Now() time.Time { return c.now }
func (c *handClock) Idle(p hook.Pause) bool {
	select {
	case <-p.Wake:
	case <-c.jump:
		c.now = p.Deadline
	}
	return true
}

// A page that takes too long is a broken link, its request ends there and then, and the other pages have their whole time.
func TestSlowPages(t *testing.T) {
	clock := &handClock{now: time.Unix(0, 0), jump: make(chan struct{}, 1)}
	stopped := make(chan struct{}, 2)
	hang := func(w http.ResponseWriter, r *http.Request) {
		clock.jump <- struct{}{}
		<-r.Context().Done()
		stopped <- struct{}{}
	}
	s := serveTest(t, map[string]http.HandlerFunc{
		"/":          links("/slow", "/slow-body", "/fast"),
		"/slow":      hang,
		"/slow-body": func(w http.ResponseWriter, r *http.Request) { links()(w, r); w.(http.Flusher).Flush(); hang(w, r) },
		"/fast":      links("/slow"),
	})
	// One at a time: when the clock jumps, only the slow page is there to be late. The others wait, and that does not count.
	runTest(t.Context(), t, s, exitBroken, `SITE/slow: no answer within 7s
	linked from SITE/
	linked from SITE/fast
SITE/slow-body: no answer within 7s
	linked from SITE/
4 links on 2 pages, 2 targets broken
`, []string{"-n", "1", "-timeout", "7s"}, tinyio.WithClock(clock))
	for range 2 { // in either order: the server takes note in its own time
		select {
		case <-stopped:
		case <-time.After(10 * time.Second):
			t.Fatal("a request went on after its time")
		}
	}
}

// A patientClock passes the time in which nothing is fetched.
type patientClock struct{ now time.Time }

func (c *patientClock) Now() time.Time { return c.now }
func (c *patientClock) Idle(p hook.Pause) bool {
	if p.Threads == 0 {
		c.now = p.Deadline
	} else {
		<-p.Wake
	}
	return true
}

// A server that is too busy is asked again when it says that it will not be; but not again and again, and not after longer than a page may
// take.
func TestBusyServers(t *testing.T) {
	var s *testSite
	busy := func(status, times int, after string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if s.counts()["GET "+r.URL.Path] > times {
				links("/missing")(w, r)
				return
			}
			w.Header().Set("Retry-After", after)
			w.WriteHeader(status)
		}
	}
	s = serveTest(t, map[string]http.HandlerFunc{
		"/":        links("/once", "/twice", "/always", "/late", "/no-time", "/failing"),
		"/once":    busy(429, 1, "5"),
		"/twice":   busy(503, 2, "7"),
		"/always":  busy(429, 100, "1"),
		"/late":    busy(429, 1, "8"),
		"/no-time": busy(503, 1, ""),
		"/failing": busy(500, 1, "1"),
	})
	clock := &patientClock{time.Unix(0, 0)}
	runTest(t.Context(), t, s, exitBroken, `SITE/always: 429 Too Many Requests
	linked from SITE/
SITE/failing: 500 Internal Server Error
	linked from SITE/
SITE/late: 429 Too Many Requests
	linked from SITE/
SITE/missing: 404 Not Found
	linked from SITE/once
	linked from SITE/twice
SITE/no-time: 503 Service Unavailable
	linked from SITE/
8 links on 3 pages, 5 targets broken
`, []string{"-timeout", "7s"}, tinyio.WithClock(clock))
	if took := clock.now.Sub(time.Unix(0, 0)); took != 14*time.Second { // twice 7s; others waited meanwhile
		t.Errorf("it has waited for %v, want 14s", took)
	}
	requests := map[string]int{"GET /": 1, "GET /once": 2, "GET /twice": 3, "GET /always": 3, "GET /late": 1, "GET /no-time": 1, "GET /failing": 1, "GET /missing": 1}
	if got := s.counts(); !maps.Equal(got, requests) {
		t.Errorf("the requests were %v, want %v", got, requests)
	}
}

// A site that is busy is asked once in HEAD before each wait, as it would be asked if it were not.
func TestBusyExternalServer(t *testing.T) {
	n := 0
	other := serveTest(t, map[string]http.HandlerFunc{"/busy": func(w http.ResponseWriter, r *http.Request) {
		if n++; n < 3 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}})
	s := serveTest(t, map[string]http.HandlerFunc{"/": links(strings.Replace(other.URL, "127.0.0.1", "localhost", 1) + "/busy")})
	runTest(t.Context(), t, s, exitFine, "1 link on 1 page, 0 targets broken\n", []string{"-external"}, tinyio.WithClock(&patientClock{time.Unix(0, 0)}))
	if got, want := other.counts(), map[string]int{"HEAD /busy": 3}; !maps.Equal(got, want) {
		t.Errorf("the requests were %v, want %v", got, want)
	}
}

// A name and a password are for the host on the command line, whatever way a link to it is written. Nobody else gets them, and nobody
// reads them in what the program writes.
func TestPassword(t *testing.T) {
	guarded := func(then http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if name, password, _ := r.BasicAuth(); name == "ada" && password == "p:w" {
				then(w, r)
			} else {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
	}
	open := func(w http.ResponseWriter, r *http.Request) {
		if _, is := r.Header["Authorization"]; is {
			t.Errorf("the other host gets the password")
		}
	}
	other := serveTest(t, map[string]http.HandlerFunc{"/open": open, "/redirected": open})
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	var s *testSite
	s = serveTest(t, map[string]http.HandlerFunc{
		"/": guarded(func(w http.ResponseWriter, r *http.Request) {
			links("/page", s.URL+"/absolute", elsewhere+"/open", "/redirect", "/missing")(w, r)
		}),
		"/page":     guarded(links("/absolute#x")),
		"/absolute": guarded(links("/")),
		"/redirect": guarded(redirectTo(elsewhere + "/redirected")),
	})
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{"-external", strings.Replace(s.URL, "http://", "http://ada:p%3Aw@", 1)}, &stdout, &stderr)
	want := `SITE/absolute#x: no element of the page has the id "x"
	linked from SITE/page
SITE/missing: 404 Not Found
	linked from SITE/
7 links on 3 pages, 2 targets broken
`
	if got := strings.ReplaceAll(stdout.String(), s.URL, "SITE"); status != exitBroken || got != want || stderr.Len() > 0 {
		t.Errorf("status %d, the program wrote\n%s%s\nwant\n%s", status, got, stderr.String(), want)
	}
	if got := s.counts()["GET /"]; got != 1 {
		t.Errorf("the first page was fetched %d times, want once", got)
	}
}

// Of a page whose server does not say what it is, that is found out as browsers do.
func TestPagesWithoutContentType(t *testing.T) {
	untold := func(content string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, content)
		}
	}
	s := serveTest(t, map[string]http.HandlerFunc{
		"/":      links("/page#x", "/page#y", "/text#x", "/empty#x"),
		"/page":  untold("\n<!DOCTYPE html><p id=x><a href=missing>"),
		"/text":  untold("A link begins with <a href=no>"),
		"/empty": untold(""),
	})
	runTest(t.Context(), t, s, exitBroken, `SITE/missing: 404 Not Found
	linked from SITE/page
SITE/page#y: no element of the page has the id "y"
	linked from SITE/
5 links on 2 pages, 2 targets broken
`, nil)
}

// A watchClock notes how many threads the loop has whenever it has nothing to do but to wait for them.
type watchClock struct {
	handClock
	n    int
	most int
	full chan struct{} // closed when there are n threads
}

func (c *watchClock) Idle(p hook.Pause) bool {
	if c.most < c.n && p.Threads >= c.n {
		close(c.full)
	}
	c.most = max(c.most, p.Threads)
	return c.handClock.Idle(p)
}

// Three pages are fetched at once, and never four.
func TestAtMostN(t *testing.T) {
	clock := &watchClock{n: 3, full: make(chan struct{})}
	handlers := make(map[string]http.HandlerFunc)
	var references []string
	for i := range 20 {
		path := fmt.Sprint("/", i)
		references = append(references, path)
		handlers[path] = func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-clock.full: // nobody is done before as many run as may
			case <-time.After(10 * time.Second):
				t.Error("there were never three at once")
			}
		}
	}
	handlers["/"] = links(references...)
	s := serveTest(t, handlers)
	runTest(t.Context(), t, s, exitFine, "20 links on 1 page, 0 targets broken\n", []string{"-n", "3"}, tinyio.WithClock(clock))
	if clock.most != 3 {
		t.Errorf("%d pages were fetched at once, want 3", clock.most)
	}
}

// An interrupt ends the request under way, and what was known by then is printed.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	s := serveTest(t, map[string]http.HandlerFunc{
		"/":   links("/ok", "/missing", "/hang", "/later"),
		"/ok": links("/"),
		"/hang": func(w http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
			close(stopped)
		},
	})
	runTest(ctx, t, s, exitInterrupted, `SITE/missing: 404 Not Found
	linked from SITE/
interrupted, 2 links not checked; so far: 3 links on 2 pages, 1 target broken
`, []string{"-n", "1"})
	<-stopped
	if s.counts()["GET /later"] != 0 {
		t.Error("a page was fetched after the interrupt")
	}
}

func TestExternal(t *testing.T) {
	other := serveTest(t, map[string]http.HandlerFunc{
		"/ok":    links("/must-not-be-followed"),
		"/moved": redirectTo("/ok"),
		"/no-head": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		},
	})
	s := serveTest(t, map[string]http.HandlerFunc{
		"/":  links(other.URL+"/ok#any", other.URL+"/moved", other.URL+"/no-head", other.URL+"/missing", "/a"),
		"/a": links(other.URL + "/ok"),
	})
	want := "OTHER/missing: 404 Not Found\n\tlinked from SITE/\n6 links on 2 pages, 1 target broken\n"
	runTest(t.Context(), t, s, exitBroken, strings.ReplaceAll(want, "OTHER", other.URL), []string{"-external"})
	requests := map[string]int{"HEAD /ok": 1, "HEAD /moved": 1, "HEAD /no-head": 1, "GET /no-head": 1, "HEAD /missing": 1, "GET /missing": 1}
	if got := other.counts(); !maps.Equal(got, requests) {
		t.Errorf("the requests to the other site were %v, want %v", got, requests)
	}
}

// Of a page that is too long only the beginning is read, and nothing is said about its ids.
func TestLongPage(t *testing.T) {
	s := serveTest(t, map[string]http.HandlerFunc{
		"/long": pageOf(`<a href="#nowhere"></a><a href="/missing"></a>` + strings.Repeat(" ", 1000) + `<a href="/not-read"></a>`),
	})
	start, err := remote(s.URL + "/long")
	if err != nil {
		t.Fatal(err)
	}
	c := newCrawler(start, limits{n: 2, timeout: time.Minute, maxBody: 500, maxPages: 100}, func(int, int) {})
	if err := c.crawl(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.report.broken) != 1 || c.report.broken[s.URL+"/missing"] == nil {
		t.Errorf("the broken links are %v, want only that to /missing", c.report.broken)
	}
}

func TestDirectory(t *testing.T) {
	checkGoroutines(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "docs")
	for name, content := range map[string]string{
		"LICENSE":            "words",
		"docs/README.md":     "# The start\n[dir](sub) [dir](sub/) [no index](list/#x) [self](#the-start) [root](/) [up](../LICENSE) [no](../NO#x)\n",
		"docs/sub/README.md": "[guide](../guide.md#usage--options) [no](../guide.md#usage) [file as directory](../guide.md/) [elsewhere](../link#x) [elsewhere](../links/LICENSE) [no](../links/NO) [no](../dangling)\n",
		"docs/guide.md":      "## Usage & options\n<a id=\"raw\"></a>\n[raw](#raw) [out](../docs/../LICENSE) [image](pic.png)\n\n| a |\n|---|\n| [cell](old.html#p) |\n",
		"docs/old.html":      "<p id=p><a href=guide.md>guide</a>",
		"docs/alone.md":      "Nobody links here. [broken](nothing.md)",
		"docs/list/x #1.md":  "[up](..)",
		"docs/list/a.txt":    "[not a link](nothing)",
		"docs/.hidden/a.md":  "[not looked at](nothing)",
		"docs/pic.png":       "not really",
	} {
		file := filepath.Join(parent, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": "../LICENSE", "links": "..", "dangling": "../NO"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{dir}, &stdout, &stderr)
	want := `NO#x: no such file or directory
	linked from docs/README.md
docs/dangling: 404 Not Found
	linked from docs/sub/README.md
docs/guide.md#usage: no element of the page has the id "usage"
	linked from docs/sub/README.md
docs/guide.md/: 404 Not Found
	linked from docs/sub/README.md
docs/links/NO: 404 Not Found
	linked from docs/sub/README.md
docs/list/#x: no element of the page has the id "x"
	linked from docs/README.md
docs/nothing.md: 404 Not Found
	linked from docs/alone.md
23 links on 7 pages, 7 targets broken
`
	if got := strings.ReplaceAll(stdout.String(), parent+string(filepath.Separator), ""); status != exitBroken || got != want || stderr.Len() > 0 {
		t.Errorf("status %d, the program wrote\n%s%s\nwant\n%s", status, got, stderr.String(), want)
	}
}

// On GitHub a fragment of a Markdown page may be in capital letters or not, whatever its heading or its id is in. Of an HTML page it may not.
func TestFragmentsOfMarkdownInAnyCase(t *testing.T) {
	checkGoroutines(t)
	dir := t.TempDir()
	const references = "#Usage #USAGE #usage #Raw #raw #rAW #%C3%89T%C3%89 #no"
	var links strings.Builder
	for _, r := range strings.Fields(references) {
		fmt.Fprintf(&links, "<a href=\"a.md%s\"></a> <a href=\"b.html%s\"></a>\n", r, r)
	}
	for name, content := range map[string]string{
		"a.md":     "## Usage\n## \u00e9t\u00e9\n<a id=\"Raw\"></a>\n",
		"b.html":   "<p id=usage><p id=Raw><p id=\u00e9t\u00e9>",
		"index.md": links.String(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{dir}, &stdout, &stderr)
	var broken []string
	for line := range strings.Lines(strings.ReplaceAll(stdout.String(), dir+string(filepath.Separator), "")) {
		if target, _, ok := strings.Cut(line, ": no element"); ok {
			broken = append(broken, target)
		}
	}
	want := []string{"a.md#no", "b.html#%C3%89T%C3%89", "b.html#USAGE", "b.html#Usage", "b.html#no", "b.html#rAW", "b.html#raw"}
	slices.Sort(want)
	slices.Sort(broken)
	if status != exitBroken || !slices.Equal(broken, want) {
		t.Errorf("status %d; these are broken: %q, want %q\n%s%s", status, broken, want, stdout.String(), stderr.String())
	}
}

// A Markdown page is read in the encoding that it begins with a mark of, and the mark is no part of its first heading.
func TestMarkdownWithByteOrderMark(t *testing.T) {
	checkGoroutines(t)
	const text = "# \u00c9t\u00e9\n[good](#\u00e9t\u00e9) [no](#no)\n"
	dir := t.TempDir()
	for name, encoding := range map[string]encoding.Encoding{
		"none.md":     unicode.UTF8,
		"utf-8.md":    unicode.UTF8BOM,
		"utf-16be.md": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
		"utf-16le.md": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
	} {
		content, err := encoding.NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{dir}, &stdout, &stderr)
	var want strings.Builder
	for _, name := range []string{"none.md", "utf-16be.md", "utf-16le.md", "utf-8.md"} {
		fmt.Fprintf(&want, "%s#no: no element of the page has the id \"no\"\n\tlinked from %s\n", name, name)
	}
	want.WriteString("8 links on 4 pages, 4 targets broken\n")
	got := strings.ReplaceAll(stdout.String(), dir+string(filepath.Separator), "")
	if status != exitBroken || got != want.String() {
		t.Errorf("status %d, the program wrote\n%s%s\nwant\n%s", status, got, stderr.String(), want.String())
	}
}

// The server of a directory listens on this machine only and gives nothing out of the directory away.
func TestServerKeepsToItsDirectory(t *testing.T) {
	checkGoroutines(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "docs")
	for _, err := range []error{
		os.Mkdir(dir, 0o777),
		os.WriteFile(filepath.Join(dir, "index.md"), nil, 0o666),
		os.WriteFile(filepath.Join(parent, "secret"), []byte("secret"), 0o666),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := serve(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if !strings.HasPrefix(s.host, "127.0.0.1:") {
		t.Errorf("the server listens on %s", s.host)
	}
	for _, path := range []string{"/../secret", "/%2e%2e/secret", "/..%2fsecret", "//../secret", "/a/../../secret", "/\x00", "/..\\secret"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = strings.NewReplacer("%2e", ".", "%2f", "/").Replace(path)
		s.files.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%q: status %d, want 404", path, w.Code)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "link")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	w := httptest.NewRecorder()
	s.files.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/link", nil))
	if w.Code != http.StatusNoContent || w.Body.Len() > 0 {
		t.Errorf("a symbolic link: status %d, %q, want 204 and nothing of what is there", w.Code, w.Body)
	}
}

// A directory in which all pages are symbolic links out of it, as Debian has some, is not said to have none.
func TestDirectoryOfSymbolicLinks(t *testing.T) {
	checkGoroutines(t)
	parent := t.TempDir()
	dir := filepath.Join(parent, "docs")
	for _, err := range []error{
		os.Mkdir(dir, 0o777),
		os.WriteFile(filepath.Join(parent, "page.html"), []byte("<a href=nothing>"), 0o666),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../page.html", filepath.Join(dir, "index.html")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{dir}, &stdout, &stderr)
	want := "linkcheck: all pages in " + dir + " are symbolic links out of it; check the directory where they are\n"
	if status != exitUsage || stdout.Len() > 0 || stderr.String() != want {
		t.Errorf("status %d, %q, %q, want %d and %q", status, stdout.String(), stderr.String(), exitUsage, want)
	}
}

func TestUsage(t *testing.T) {
	checkGoroutines(t)
	empty := t.TempDir()
	for _, args := range [][]string{
		{}, {"a", "b"}, {"-n", "0", empty}, {"-timeout", "0s", empty}, {"-pages", "0", empty}, {"-depth", "-1", empty}, {"-nonsense"}, {"-timeout", "soon", empty},
		{filepath.Join(empty, "none")}, {empty}, {"http://"}, {"http://[::1"}, {"ftp://example.com/"}, {"main.go"},
	} {
		var stdout, stderr strings.Builder
		if status := run(t.Context(), args, &stdout, &stderr); status != exitUsage || stdout.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("%q: status %d, output %q, want %d and a message: %q", args, status, stdout.String(), exitUsage, stderr.String())
		}
	}
	if status := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); status != exitFine {
		t.Errorf("-h: status %d", status)
	}
}

// The documents of this project have no broken link.
func TestOwnDocuments(t *testing.T) {
	for _, name := range []string{"../../README.md", "../../docs"} {
		if _, err := os.Stat(name); err != nil {
			t.Skip("not there yet:", name)
		}
	}
	checkGoroutines(t)
	// The root has both in it, and links from one to the other are checked with their fragments.
	for _, dir := range []string{"../../docs", "../.."} {
		var stdout, stderr strings.Builder
		if status := run(t.Context(), []string{dir}, &stdout, &stderr); status != exitFine {
			t.Errorf("%s: status %d\n%s%s", dir, status, stdout.String(), stderr.String())
		}
	}
}
