package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A site serves the given handlers, by path, and counts the requests. It is a real server, or called directly where time is to
// be virtual.
type site struct {
	url      string
	handlers map[string]http.HandlerFunc
	start    time.Time

	mu       sync.Mutex
	requests map[string]int             // by URI
	times    map[string][]time.Duration // at which they were made, since the start
	now, max int                        // requests at once
}

func newSite(handlers map[string]http.HandlerFunc) *site {
	return &site{
		url:      "http://site",
		handlers: handlers,
		start:    time.Now(),
		requests: make(map[string]int),
		times:    make(map[string][]time.Duration),
	}
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests[r.URL.RequestURI()]++
	s.times[r.URL.RequestURI()] = append(s.times[r.URL.RequestURI()], time.Since(s.start))
	s.now++
	s.max = max(s.max, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	if h := s.handlers[r.URL.Path]; h != nil {
		h(w, r)
	} else {
		http.NotFound(w, r)
	}
}

// counts returns how often each page was asked for.
func (s *site) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

// RoundTrip makes a site an [http.RoundTripper], for which no network is needed.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// serve returns a site with a real server.
func serve(t *testing.T, handlers map[string]http.HandlerFunc) *site {
	noLeaks(t)
	s := newSite(handlers)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// noLeaks fails the test if there are more goroutines after it than before.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

// content is a handler that answers with a content of some type.
func content(mediaType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		io.WriteString(w, text)
	}
}

// linksTo is a page that links to others.
func linksTo(references ...string) http.HandlerFunc {
	var b strings.Builder
	for _, r := range references {
		fmt.Fprintf(&b, "<a href=%q>link</a>\n", r)
	}
	return content("text/html; charset=utf-8", b.String())
}

func redirectTo(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", address)
		w.WriteHeader(http.StatusFound)
	}
}

// failing is a handler that answers with a status so many times, and then as next does.
func failing(times, status int, header http.Header, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if times--; times >= 0 {
			maps.Copy(w.Header(), header)
			w.WriteHeader(status)
			return
		}
		next(w, r)
	}
}

// An outcome is what has become of a run of the program.
type outcome struct {
	status         int
	stdout, stderr string
	files          map[string]string // content by name
}

// mirrorTo runs the program, without progress, without a limit to the rate, and with little patience, unless flags say otherwise.
// In what it writes, the address of the site is SITE.
func (s *site) mirrorTo(ctx context.Context, t *testing.T, dir string, transport http.RoundTripper, flags ...string) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	args := append([]string{"-progress", "0", "-rate", "1e300", "-tries", "2", "-pause", "0", "-jitter", "0"}, flags...)
	status := run(ctx, append(args, s.url, dir), transport, &stdout, &stderr)
	of := strings.NewReplacer(s.url, "SITE")
	return outcome{status, of.Replace(stdout.String()), of.Replace(stderr.String()), files(t, dir)}
}

// mirror runs the program on a real server.
func (s *site) mirror(t *testing.T, flags ...string) outcome {
	t.Helper()
	return s.mirrorTo(t.Context(), t, t.TempDir(), new(http.Transport), flags...)
}

// files returns the files in a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(name)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// want compares an outcome, and the names of the files. In the output, SIZE is that of the files together.
func (o outcome) want(t *testing.T, status int, stdout string, names ...string) {
	t.Helper()
	size := 0
	for _, text := range o.files {
		size += len(text)
	}
	stdout = strings.ReplaceAll(stdout, "SIZE", fmt.Sprint(size))
	if o.status != status || o.stdout != stdout {
		t.Errorf("the exit status is %d and the output\n%swant %d and\n%s%s", o.status, o.stdout, status, stdout, o.stderr)
	}
	if got := slices.Sorted(maps.Keys(o.files)); !slices.Equal(got, slices.Sorted(slices.Values(names))) {
		t.Errorf("the files are %q, want %q", got, names)
	}
}

// Everything of the site is fetched once, however it is linked to, and saved as it was sent.
func TestWholeSite(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"/": linksTo("a", "./a#part", "/a", "a?", "/b?x=1", "/b?x=2", "b?x=1#part", "/old", "../a", "", "#here",
			"mailto:ada@example.com", "javascript:void(0)", "http://[::1", "https://elsewhere.invalid/", "//elsewhere.invalid/a"),
		"/a":             linksTo("/", "dir/", "dir/page.html", "missing", "/index.html"),
		"/b":             content("text/plain", `<a href="/not-a-link">`),
		"/old":           redirectTo("dir/page.html#part"),
		"/index.html":    linksTo("a"),
		"/dir/":          content("text/html", `<base href="/assets/"><link rel=stylesheet href="s.css"><script src="s.js"></script><img src=i.png><!-- <a href=no> -->`),
		"/assets/s.js":   content("text/javascript", "js"),
		"/assets/s.css":  content("text/css", "css"),
		"/assets/i.png":  content("image/png", "\x89PNG\r\n"),
		"/dir/page.html": content("application/xhtml+xml", `<p><a href="../dir"/></p>`),
		"/dir":           redirectTo("/dir/"),
	})
	o := s.mirror(t)
	o.want(t, exitFailed, "failed: SITE/missing: 404 Not Found\n10 files saved, SIZE bytes; 1 pages failed, 0 left\n",
		"index.html", "index~2.html", "a.html", "b%3Fx=1", "b%3Fx=2", "dir/index.html", "dir/page.html",
		"assets/s.js", "assets/s.css", "assets/i.png")
	if o.files["assets/i.png"] != "\x89PNG\r\n" || o.files["b%3Fx=2"] != `<a href="/not-a-link">` {
		t.Errorf("the files are %q", o.files)
	}
	for uri, n := range s.counts() {
		if n != 1 {
			t.Errorf("%s was fetched %d times", uri, n)
		}
	}
	if len(s.counts()) != 13 {
		t.Errorf("the requests were %v", s.counts())
	}
}

// Only what is in the directory of the start is fetched.
func TestOnlyBelowTheStart(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"/docs/start": linksTo("next", "/", "/other/", "/docs", "/docs2/", "/docs/", "../secret"),
		"/docs/next":  linksTo(),
		"/docs/":      redirectTo("/"),
	})
	site := s.url
	s.url += "/docs/start"
	o := s.mirror(t)
	o.want(t, exitFine, "2 files saved, SIZE bytes; 0 pages failed, 0 left\n", "docs/start.html", "docs/next.html")
	s.url = site
	for uri := range s.counts() {
		if !strings.HasPrefix(uri, "/docs/") {
			t.Errorf("%s was fetched", uri)
		}
	}
}

// Whatever an address is, its file is in the directory, and nothing is written through a link that leads out of it.
func TestNothingEscapes(t *testing.T) {
	page := content("text/plain", "page")
	s := serve(t, map[string]http.HandlerFunc{
		"/":   linksTo("../../up", "%2e%2e/%2e%2e/up", "..%2fup", "..%5cup", "/%2fetc/passwd", "//", "/.", "/a//b", "./c:", "?../../up", "%00", "nul%0a", "."),
		"/up": page, "/../../up": page, "/../up": page, "/..\\up": page, "//etc/passwd": page, "/a//b": page, "/c:": page, "/\x00": page, "/nul\n": page,
	})
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	o := s.mirrorTo(t.Context(), t, inside, new(http.Transport))
	all := slices.Collect(maps.Keys(files(t, dir)))
	for _, name := range all {
		if !strings.HasPrefix(name, "inside/") {
			t.Errorf("there is a file %s", name)
		}
	}
	o.want(t, exitFine, "11 files saved, SIZE bytes; 0 pages failed, 0 left\n", "index.html", "index.html%3F..%2F..%2Fup.html", "up",
		"%2E%2E/%2E%2E/up", "%2E%2E/up", "..%5Cup", "%/etc/passwd", "a/%/b", "c%3A", "%00", "nul%0A")

	outside := filepath.Join(dir, "outside")
	link := filepath.Join(dir, "linked", "a")
	if err := os.MkdirAll(outside, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	o = s.mirrorTo(t.Context(), t, filepath.Dir(link), new(http.Transport))
	if o.status != exitBroken || !strings.Contains(o.stderr, "cannot write: ") || !strings.Contains(o.stderr, "/a//b") {
		t.Errorf("with a link that leads out of the directory: status %d, %s", o.status, o.stderr)
	}
	if escaped := files(t, outside); len(escaped) > 0 {
		t.Errorf("there are files outside: %q", escaped)
	}
}

// FuzzFileName: every address has a name that is a path within the directory, and not a strange one.
func FuzzFileName(f *testing.F) {
	for _, path := range []string{"", "a", "a/b/", "../x", "%2e%2e/%2fx", "..%5cx", "%00", ".", "a?b=../c", strings.Repeat("long", 100)} {
		f.Add(path, false)
		f.Add(path, true)
	}
	f.Fuzz(func(t *testing.T, reference string, isHTML bool) {
		u, err := url.Parse("http://site/" + reference)
		if err != nil {
			t.Skip()
		}
		name := fileName(canonical(u), isHTML)
		if !filepath.IsLocal(name) || name == "." || strings.ContainsAny(name, "\x00\\:?\n") {
			t.Errorf("the file for %q is %q", u, name)
		}
		for segment := range strings.SplitSeq(name, "/") {
			if segment == "" || segment == "." || segment == ".." || len(segment) > 255-len(".0123456789012345678") {
				t.Errorf("the file for %q is %q", u, name)
			}
		}
	})
}

// Redirects are followed, each page is still fetched once, and those that lead nowhere are failures and nothing else.
func TestRedirects(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"/":         linksTo("one", "two", "loop", "itself", "endless/", "out", "strange", "none", "tea"),
		"/one":      redirectTo("/target"),
		"/two":      redirectTo("/one"),
		"/target":   content("text/plain", "target"),
		"/loop":     redirectTo("/loop2"),
		"/loop2":    redirectTo("loop3#there"),
		"/loop3":    redirectTo("/loop"),
		"/itself":   redirectTo("/itself"),
		"/endless/": func(w http.ResponseWriter, r *http.Request) { redirectTo("/endless/?"+r.URL.RawQuery+"i")(w, r) },
		"/out":      redirectTo("https://elsewhere.invalid/"),
		"/strange":  redirectTo("http://[::1"),
		"/none":     func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusFound) },
		"/tea":      func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) },
	})
	o := s.mirror(t, "-n", "1") // so that the order is always the same
	o.want(t, exitFailed, "failed: SITE/itself: redirects in a circle: SITE/itself, SITE/itself\n"+
		"failed: SITE/strange: it redirects to \"http://[::1\", which is no address\n"+
		"failed: SITE/none: 302 Found\n"+
		"failed: SITE/tea: 418 I'm a teapot\n"+
		"failed: SITE/loop3: redirects in a circle: SITE/loop3, SITE/loop, SITE/loop2, SITE/loop3\n"+
		"failed: SITE/endless/?iiiiiiiiii: too many redirects\n"+
		"2 files saved, SIZE bytes; 6 pages failed, 0 left\n", "index.html", "target")
	for uri, n := range s.counts() {
		if n != 1 {
			t.Errorf("%s was fetched %d times", uri, n)
		}
	}
}

// From a server that breaks off, nothing is saved that is not whole, and what is there from before stays.
func TestBrokenServer(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{
		"/": linksTo("cut", "gone", "garbage", "cut.html"),
		"/cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			content("text/plain", "too little")(w, r)
		},
		"/cut.html": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			linksTo("never-followed")(w, r)
		},
		"/gone": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"/garbage": func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, "garbage\n\n")
			conn.Close()
		},
	})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cut"), []byte("from before"), 0o666); err != nil {
		t.Fatal(err)
	}
	o := s.mirrorTo(t.Context(), t, dir, new(http.Transport), "-tries", "3")
	if o.status != exitFailed || !strings.HasSuffix(o.stdout, "\n1 files saved, 102 bytes; 4 pages failed, 0 left\n") {
		t.Errorf("the exit status is %d and the output\n%s%s", o.status, o.stdout, o.stderr)
	}
	for _, line := range []string{
		"failed: SITE/cut: unexpected EOF (at the last of 3 tries)\n",
		"failed: SITE/cut.html: unexpected EOF (at the last of 3 tries)\n",
		"failed: SITE/gone: EOF (at the last of 3 tries)\n",
		"failed: SITE/garbage: net/http: HTTP/1.x transport connection broken: malformed HTTP response \"garbage\" (at the last of 3 tries)\n",
	} {
		if !strings.Contains(o.stdout, line) {
			t.Errorf("the output is\n%swithout %s", o.stdout, line)
		}
	}
	if len(o.files) != 2 || o.files["cut"] != "from before" {
		t.Errorf("the files are %q", o.files)
	}
	for _, uri := range []string{"/cut", "/cut.html", "/garbage"} { // of the others, net/http itself asks again
		if n := s.counts()[uri]; n != 3 {
			t.Errorf("%s was fetched %d times, want 3", uri, n)
		}
	}
}

// When the program is interrupted, what is whole is kept, and nothing else.
func TestInterrupt(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	s := serve(t, map[string]http.HandlerFunc{
		"/":  linksTo("a", "b", "half", "never"),
		"/a": content("text/plain", "a"),
		"/b": content("text/plain", "b"),
		"/half": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("half", 100000))
			w.(http.Flusher).Flush()
			interrupt()
			<-r.Context().Done()
		},
	})
	o := s.mirrorTo(ctx, t, t.TempDir(), new(http.Transport), "-n", "1")
	o.want(t, exitInterrupted, "3 files saved, SIZE bytes; 0 pages failed, 2 left\n", "index.html", "a", "b")
	if o.stderr != "mirror: interrupted\n" {
		t.Errorf("the program wrote %q", o.stderr)
	}
}

// asProgram makes the test binary be the program.
const asProgram = "MIRROR_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// SIGINT interrupts the program.
func TestProgramInterrupted(t *testing.T) {
	waiting := make(chan struct{})
	s := serve(t, map[string]http.HandlerFunc{
		"/": linksTo("never"),
		"/never": func(w http.ResponseWriter, r *http.Request) {
			close(waiting)
			<-r.Context().Done()
		},
	})
	dir := t.TempDir()
	var stdout, stderr strings.Builder
	cmd := exec.Command(os.Args[0], "-progress", "0", s.url, dir)
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-waiting
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	o := outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), files(t, dir)}
	o.want(t, exitInterrupted, "1 files saved, SIZE bytes; 0 pages failed, 1 left\n", "index.html")
	if o.stderr != "mirror: interrupted\n" {
		t.Errorf("the program wrote %q", o.stderr)
	}
}

// inBubble runs f in a bubble, with a site that is called directly, so that all times are exact.
func inBubble(t *testing.T, handlers map[string]http.HandlerFunc, f func(t *testing.T, s *site)) {
	t.Helper()
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) { f(t, newSite(handlers)) })
}

// wantTimes compares the times at which a page was asked for.
func (s *site) wantTimes(t *testing.T, uri string, want ...time.Duration) {
	t.Helper()
	if got := s.times[uri]; !slices.Equal(got, want) {
		t.Errorf("%s was asked for at %v, want %v", uri, got, want)
	}
}

// A page that may come later is asked for again after pauses that grow, or that the server asks for. Meanwhile the others go on,
// although there is one slot.
func TestPauses(t *testing.T) {
	page := content("text/plain", "page")
	asked := func(after string) http.Header { return http.Header{"Retry-After": {after}} }
	handlers := map[string]http.HandlerFunc{
		"/":               linksTo("unready", "asked", "dated", "asked-too-much", "garbled", "never", "missing", "good"),
		"/unready":        failing(3, 503, nil, page),
		"/asked":          failing(2, 429, asked("2"), page),
		"/garbled":        failing(1, 503, asked("soon"), page),
		"/never":          failing(100, 500, asked("0"), nil),
		"/missing":        failing(100, 404, asked("1"), nil),
		"/good":           page,
		"/asked-too-much": failing(1, 503, asked("3600"), page),
	}
	inBubble(t, handlers, func(t *testing.T, s *site) {
		handlers["/dated"] = failing(1, 503, asked(time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)), page)
		o := s.mirrorTo(t.Context(), t, t.TempDir(), s, "-n", "1", "-pause", "1s", "-tries", "4")
		o.want(t, exitFailed, "failed: SITE/asked-too-much: 503 Service Unavailable: retry after 1h0m0s\n"+
			"failed: SITE/missing: 404 Not Found\n"+
			"failed: SITE/never: 500 Internal Server Error (at the last of 4 tries)\n"+
			"6 files saved, SIZE bytes; 3 pages failed, 0 left\n", "index.html", "unready", "asked", "dated", "garbled", "good")
		ms := time.Millisecond
		s.wantTimes(t, "/good", 0)
		s.wantTimes(t, "/unready", 0, 1000*ms, 2500*ms, 4750*ms)
		s.wantTimes(t, "/asked", 0, 2000*ms, 4000*ms)
		s.wantTimes(t, "/dated", 0, time.Minute)
		s.wantTimes(t, "/garbled", 0, 1000*ms)
		s.wantTimes(t, "/never", 0, 1000*ms, 2500*ms, 4750*ms)
		s.wantTimes(t, "/missing", 0)
		s.wantTimes(t, "/asked-too-much", 0)
	})
}

// There are never more requests a second than is wanted, nor more at once.
func TestLimits(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(10 * time.Second)
		io.WriteString(w, "page")
	}
	handlers := map[string]http.HandlerFunc{"/": linksTo("1", "2", "3", "4", "5"), "/1": slow, "/2": slow, "/3": slow, "/4": slow, "/5": slow}
	inBubble(t, handlers, func(t *testing.T, s *site) {
		o := s.mirrorTo(t.Context(), t, t.TempDir(), s, "-n", "2", "-rate", "0.5")
		o.want(t, exitFine, "6 files saved, SIZE bytes; 0 pages failed, 0 left\n", "index.html", "1", "2", "3", "4", "5")
		for page, at := range map[string]time.Duration{"/": 0, "/1": 2, "/2": 4, "/3": 12, "/4": 14, "/5": 22} {
			s.wantTimes(t, page, at*time.Second)
		}
		if s.max != 2 {
			t.Errorf("there were %d requests at once, want 2", s.max)
		}
		if took := time.Since(s.start); took != 32*time.Second {
			t.Errorf("it took %v, want 32s", took)
		}
	})
}

// A page that takes too long is a failure, and the time that it waits for its turn does not count.
func TestTimeout(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"/":      linksTo("stuck", "slow"),
		"/stuck": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"/slow":  func(w http.ResponseWriter, r *http.Request) { time.Sleep(29 * time.Second) },
	}
	inBubble(t, handlers, func(t *testing.T, s *site) {
		o := s.mirrorTo(t.Context(), t, t.TempDir(), s, "-n", "1", "-timeout", "30s", "-pause", "1s", "-tries", "2")
		o.want(t, exitFailed, "failed: SITE/stuck: no answer within 30s (at the last of 2 tries)\n"+
			"2 files saved, SIZE bytes; 1 pages failed, 0 left\n", "index.html", "slow")
		s.wantTimes(t, "/stuck", 0, 59*time.Second)
		s.wantTimes(t, "/slow", 30*time.Second)
	})
}

// An interrupt ends every pause at once.
func TestInterruptInPause(t *testing.T) {
	inBubble(t, map[string]http.HandlerFunc{"/": failing(100, 503, nil, nil)}, func(t *testing.T, s *site) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		o := s.mirrorTo(ctx, t, t.TempDir(), s, "-pause", "1m")
		o.want(t, exitInterrupted, "0 files saved, SIZE bytes; 0 pages failed, 1 left\n")
		if took := time.Since(s.start); took != 10*time.Second {
			t.Errorf("it took %v, want 10s", took)
		}
	})
}

// The program tells regularly how far it is, and that keeps it up no longer.
func TestProgress(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"/":     linksTo("slow"),
		"/slow": func(w http.ResponseWriter, r *http.Request) { time.Sleep(2500 * time.Millisecond) },
	}
	inBubble(t, handlers, func(t *testing.T, s *site) {
		o := s.mirrorTo(t.Context(), t, t.TempDir(), s, "-progress", "1s")
		o.want(t, exitFine, "2 files saved, SIZE bytes; 0 pages failed, 0 left\n", "index.html", "slow")
		if line := "1 files saved, 24 bytes; 0 pages failed, 1 left\n"; o.stderr != line+line {
			t.Errorf("the program wrote\n%s", o.stderr)
		}
		if took := time.Since(s.start); took != 2500*time.Millisecond {
			t.Errorf("it took %v, want 2.5s", took)
		}
	})
}

// A directory that cannot be written to is the end of the program, because nothing else could be saved either.
func TestDirectoryThatCannotBeWritten(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"/": linksTo("a/b", "c"), "/a/b": content("text/plain", "b"), "/c": content("text/plain", "c")})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	o := s.mirrorTo(t.Context(), t, dir, new(http.Transport), "-n", "1")
	if o.status != exitBroken || !strings.Contains(o.stderr, "cannot write: ") || !strings.Contains(o.stdout, "1 files saved, ") {
		t.Errorf("status %d\n%s%s", o.status, o.stdout, o.stderr)
	}
}

// A file whose name another page has as a directory is a failure of that page alone.
func TestFileAndDirectory(t *testing.T) {
	page := content("text/plain", "page")
	s := serve(t, map[string]http.HandlerFunc{"/": linksTo("a", "a/b", "c/d", "c"), "/a": page, "/a/b": page, "/c": page, "/c/d": page})
	s.mirror(t, "-n", "1").want(t, exitFailed, "failed: SITE/a/b: its file would be a/b, and a is that of SITE/a\n"+
		"4 files saved, SIZE bytes; 1 pages failed, 0 left\n", "index.html", "a", "c/d", "c~2")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"http://site"}, {"http://site", "a", "b"}, {"-n", "0", "http://site", "a"}, {"-rate", "0", "http://site", "a"},
		{"-wrong"}, {"ftp://site/", "a"}, {"/etc/passwd", "a"}, {"http://[", "a"}, {"http://site/", "/dev/null"},
	} {
		var stdout, stderr strings.Builder
		if status := run(t.Context(), args, nil, &stdout, &stderr); status != exitBroken || stdout.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("with %q the exit status is %d, and it writes %q and %q", args, status, stdout.String(), stderr.String())
		}
	}
}
