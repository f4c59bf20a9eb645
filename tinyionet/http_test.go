package tinyionet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/lookin"
)

// A fixture is a server whose handler is on a loop.
type fixture struct {
	t      *testing.T
	loop   *tinyio.Loop
	srv    *http.Server
	url    string
	client *http.Client
	log    *lockedBuffer
	stop   func(error) // stops the loop
	ended  chan error  // the end of it
}

type handlerFunc = func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error

func newFixture(t *testing.T, fn handlerFunc) *fixture {
	t.Helper()
	noLeaks(t)
	f := &fixture{t: t, loop: tinyio.NewLoop(), client: &http.Client{Transport: new(http.Transport)}, log: newLockedBuffer(), ended: make(chan error, 1)}
	f.srv = &http.Server{Handler: Handler(f.loop, fn), ErrorLog: log.New(f.log, "", 0)}
	var ctx context.Context
	var cancel context.CancelCauseFunc
	ctx, cancel = context.WithCancelCause(context.Background())
	f.stop = cancel
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		cancel(nil)
	})
	l := listen(t)
	f.url = "http://" + l.Addr().String()
	f.run(ctx, l)
	return f
}

// run has the handler served, by ServeHTTP on the loop itself.
func (f *fixture) run(ctx context.Context, l net.Listener) {
	go func() {
		_, err := tinyio.RunOn(ctx, f.loop, tinyio.Do(func(co *tinyio.Co) error {
			return ServeHTTP(co, f.srv, l, time.Minute)
		}).Named("main"))
		f.ended <- err
	}()
}

// end stops the loop and wants that to be clean.
func (f *fixture) end() {
	f.t.Helper()
	f.stop(errBoom)
	wantEnd(f.t, f.ended, errBoom)
}

// get makes a request and returns what comes: the status and the body, or the error.
func (f *fixture) get(path string) string { return f.getWith(context.Background(), path) }

func (f *fixture) getWith(ctx context.Context, path string) string {
	req, err := http.NewRequestWithContext(ctx, "GET", f.url+path, nil)
	if err != nil {
		return err.Error()
	}
	res, err := f.client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Sprintf("%d %s, then %v", res.StatusCode, body, err)
	}
	return fmt.Sprintf("%d %s", res.StatusCode, body)
}

// Requests share what is of the loop, beside each other, and the loop's coroutines wait for each other.
func TestHTTP(t *testing.T) {
	visits := 0
	var both tinyio.Event
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		visits++
		n := visits
		if n == 2 {
			both.Set()
		}
		if err := both.Wait(co); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s %d", r.URL.Path, n)
		return err
	})
	answers := make(chan string)
	for range 2 {
		go func() { answers <- f.get("/a") }()
	}
	got := map[string]bool{<-answers: true, <-answers: true}
	if !got["200 /a 1"] || !got["200 /a 2"] {
		t.Errorf("the answers are %v", got)
	}
	f.end()
	want(t, "log", f.log.String(), "")
}

// The context of the request is there, with its values, and so are those in the coroutine.
func TestHTTPContext(t *testing.T) {
	type key struct{}
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		child := tinyio.New(func(co *tinyio.Co) (any, error) { return co.Value(key{}), nil })
		inherited, err := child.Await(co)
		if err != nil {
			return err
		}
		srv, _ := co.Value(http.ServerContextKey).(*http.Server)
		fmt.Fprintln(w, co.Value(key{}), inherited, r.Context().Value(key{}), srv != nil, co.Value(lookin.WhoKey{}).(lookin.Who).Coro)
		return nil
	})
	h := f.srv.Handler
	mux := http.NewServeMux()
	mux.HandleFunc("GET /item/{id}", func(w http.ResponseWriter, r *http.Request) {
		*r = *r.WithContext(context.WithValue(r.Context(), key{}, "value"))
		h.ServeHTTP(w, r)
	})
	f.srv.Handler = mux // before the first request
	want(t, "answer", f.get("/item/1"), "200 value value value true GET /item/{id}\n")
	f.end()
}

// An error is an answer, and is logged with its chain. What it tells is not for the client.
func TestHTTPErrors(t *testing.T) {
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		switch r.URL.Path {
		case "/begun":
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		case "/informed":
			w.WriteHeader(http.StatusProcessing)
		case "/child":
			co.Go(func(co *tinyio.Co) error { return errBoom })
			return co.Sleep(time.Hour)
		case "/wrapped":
			return fmt.Errorf("no panic of this one: %w", &tinyio.PanicError{Value: errBoom})
		}
		return errBoom
	})
	for _, path := range []string{"/", "/informed", "/child", "/wrapped"} {
		want(t, path, f.get(path), "500 Internal Server Error\n")
		if got := f.log.String(); !strings.Contains(got, "tinyionet: GET "+path+" for 127.0.0.1:") || !strings.Contains(got, "await chain") {
			t.Errorf("%s: the log is\n%s", path, got)
		}
	}
	if got := f.get("/begun"); got != "202 half, then unexpected EOF" {
		t.Errorf("the answer that was begun is %s", got)
	}
	f.end()
}

// A panic is one of net/http, with the stack of the handler; with http.ErrAbortHandler, nothing is said. Others go on.
func TestHTTPPanics(t *testing.T) {
	var recovered atomic.Value
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/child abort":
			return co.Wait(tinyio.Do(func(co *tinyio.Co) error { panic(http.ErrAbortHandler) }))
		case "/panic":
			panic(errBoom)
		}
		return nil
	})
	h := f.srv.Handler
	f.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				recovered.Store(fmt.Sprintf("%T", p))
				panic(p)
			}
		}()
		h.ServeHTTP(w, r)
	})
	for _, path := range []string{"/abort", "/child%20abort"} {
		if got := f.get(path); !strings.HasSuffix(got, "EOF") {
			t.Errorf("%s: the answer is %s", path, got)
		}
		want(t, path, recovered.Load(), any("*errors.errorString"))
		want(t, path+": the log", f.log.String(), "")
	}
	if got := f.get("/panic"); !strings.HasSuffix(got, "EOF") {
		t.Errorf("the answer is %s", got)
	}
	want(t, "panic", recovered.Load(), any("*tinyio.PanicError"))
	want(t, "after all that", f.get("/"), "200 ")
	f.end()
	if got := f.log.String(); !strings.Contains(got, "http: panic serving") || !strings.Contains(got, "TestHTTPPanics.func1") {
		t.Errorf("the log is\n%s", got)
	}
}

// When the client goes, the coroutine is stopped, and the handler returns when that has ended and no earlier.
func TestClientGone(t *testing.T) {
	started, returned := make(chan bool), make(chan string, 1)
	cleaned := false
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		close(started)
		err := co.Sleep(time.Hour)
		return errors.Join(err, co.Shield(time.Minute, func(co *tinyio.Co) error {
			io.WriteString(w, "nobody reads this") // but it does no harm
			err := co.Sleep(10 * time.Millisecond)
			cleaned = true
			return err
		}))
	})
	h := f.srv.Handler
	f.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			returned <- fmt.Sprint(cleaned, " ", recover(), " ", r.Context().Err())
		}()
		h.ServeHTTP(w, r)
	})
	ctx, leave := context.WithCancel(context.Background())
	go func() { <-started; leave() }()
	if got := f.getWith(ctx, "/"); !strings.HasSuffix(got, "context canceled") {
		t.Errorf("the answer is %s", got)
	}
	want(t, "the handler", <-returned, "true net/http: abort Handler context canceled")
	want(t, "the log", f.log.String(), "")
	f.end()
}

// What goes wrong when the client has gone is logged, and harms nobody: nothing of it comes out of the run.
func TestClientGoneAndFailure(t *testing.T) {
	for _, alone := range []bool{false, true} {
		started, returned := make(chan bool), make(chan bool)
		fn := func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
			if r.URL.Path == "/" {
				return nil
			}
			close(started)
			co.Sleep(time.Hour)
			return errBoom
		}
		f := newFixture(t, fn)
		h := f.srv.Handler
		if alone {
			loop := tinyio.NewLoop()
			ctx, stop := context.WithCancelCause(context.Background())
			ended := make(chan error)
			go func() { ended <- loop.Serve(ctx) }()
			defer wantEnd(t, ended, errBoom)
			defer stop(errBoom)
			h = Handler(loop, fn)
		}
		f.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			if r.URL.Path != "/" {
				close(returned)
			}
		})
		ctx, leave := context.WithCancel(context.Background())
		go func() { <-started; leave() }()
		if got := f.getWith(ctx, "/leave"); !strings.HasSuffix(got, "context canceled") {
			t.Errorf("the answer is %s", got)
		}
		<-returned
		want(t, "answer", f.get("/"), "200 ")
		f.end()
		if got := f.log.String(); !strings.HasPrefix(got, "tinyionet: GET /leave for ") || !strings.Contains(got, "boom") {
			t.Errorf("alone: %v: the log is\n%s", alone, got)
		}
	}
}

// The end of a context that is not the client's is answered.
func TestTimeLimitOfMiddleware(t *testing.T) {
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error { return co.Sleep(time.Hour) })
	h := f.srv.Handler
	f.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
	want(t, "answer", f.get("/"), "503 Service Unavailable\n")
	f.end()
}

// When the server is stopped, requests under way go on, on the loop, until they are answered; the listener is closed by then.
func TestGracefulStop(t *testing.T) {
	for name, stop := range map[string]func(f *fixture, co *tinyio.Co, self *tinyio.Coro[tinyio.Void]){
		"the context of the run": func(f *fixture, co *tinyio.Co, self *tinyio.Coro[tinyio.Void]) { f.stop(errBoom) },
		"a failure beside it": func(f *fixture, co *tinyio.Co, self *tinyio.Coro[tinyio.Void]) {
			f.loop.Post(tinyio.Do(func(co *tinyio.Co) error { return errBoom }))
		},
		"a cancel": func(f *fixture, co *tinyio.Co, self *tinyio.Coro[tinyio.Void]) {
			f.loop.Post(tinyio.Do(func(co *tinyio.Co) error { return self.Cancel(co, errBoom) }))
		},
		"a shutdown from outside": func(f *fixture, co *tinyio.Co, self *tinyio.Coro[tinyio.Void]) {
			go f.srv.Shutdown(context.Background())
		},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			l := listen(t)
			closing := make(chan bool)
			f := &fixture{t: t, loop: tinyio.NewLoop(), client: &http.Client{Transport: new(http.Transport)}, url: "http://" + l.Addr().String(), ended: make(chan error, 1)}
			defer f.client.CloseIdleConnections()
			ctx, cancel := context.WithCancelCause(context.Background())
			f.stop = cancel
			order := []string{}
			var self *tinyio.Coro[tinyio.Void]
			f.srv = &http.Server{Handler: Handler(f.loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
				stop(f, co, self)
				if _, _, err := tinyio.Recv(co, closing); err != nil {
					return err
				}
				wantRefused(t, l)
				child := co.Go(func(co *tinyio.Co) error { return co.Sleep(10 * time.Millisecond) })
				if err := co.Wait(child); err != nil {
					return err
				}
				order = append(order, "request")
				_, err := io.WriteString(w, "answered")
				return err
			})}
			f.srv.RegisterOnShutdown(func() { close(closing) })
			self = tinyio.Do(func(co *tinyio.Co) error {
				defer func() { order = append(order, "server") }()
				err := ServeHTTP(co, f.srv, l, time.Minute)
				if (err == nil) != (co.Err() == nil) {
					t.Errorf("ServeHTTP = %v", err)
				}
				return err
			})
			go func() {
				_, err := tinyio.RunOn(ctx, f.loop, tinyio.Do(func(co *tinyio.Co) error {
					err := co.Spawn(self)
					return err
				}))
				f.ended <- err
			}()
			want(t, "answer", f.get("/"), "200 answered")
			var wanted error
			if strings.Contains(name, "run") || strings.Contains(name, "failure") {
				wanted = errBoom
			}
			wantEnd(t, f.ended, wanted)
			want(t, "order", strings.Join(order, ", "), "request, server")
		})
	}
}

// A request that takes longer than the grace is cut off: its connection is closed, and its coroutine stopped, with what it has started.
func TestGraceIsOver(t *testing.T) {
	f := newFixture(t, nil2)
	f.end()
	for _, handler := range []string{"waits", "ignores"} {
		l := listen(t)
		loop, started, stopped := tinyio.NewLoop(), make(chan bool), false
		srv := &http.Server{Handler: Handler(loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
			close(started)
			err := co.Sleep(time.Hour)
			stopped = true
			if handler == "ignores" {
				return nil
			}
			return err
		})}
		ctx, cancel := context.WithCancelCause(context.Background())
		ended := make(chan error)
		go func() {
			_, err := tinyio.RunOn(ctx, loop, tinyio.Do(func(co *tinyio.Co) error { return ServeHTTP(co, srv, l, 20*time.Millisecond) }))
			ended <- err
		}()
		f.url = "http://" + l.Addr().String()
		go func() { <-started; cancel(errBoom) }()
		if got := f.get("/"); !strings.HasSuffix(got, "EOF") && !strings.HasSuffix(got, "connection reset by peer") {
			t.Errorf("the answer is %s", got)
		}
		wantEnd(t, ended, errBoom)
		want(t, "stopped", stopped, true)
	}
	f.client.CloseIdleConnections()
}

func nil2(*tinyio.Co, http.ResponseWriter, *http.Request) error { return nil }

// Hijack and flush work, by assertion and by controller.
func TestHijackAndFlush(t *testing.T) {
	flushed := make(chan bool)
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		switch r.URL.Path {
		case "/flush":
			io.WriteString(w, "first ")
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			if _, _, err := tinyio.Recv(co, flushed); err != nil {
				return err
			}
			_, err := io.Copy(w, strings.NewReader("second"))
			return err
		case "/deadline":
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
				return err
			}
			_, err := w.Write([]byte("in time"))
			return err
		}
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		c := NewConn(conn)
		var line string
		if err := c.ReadFunc(co, func() (err error) { line, err = rw.ReadString('\n'); return err }); err != nil {
			return err
		}
		_, err = c.Write(co, []byte("you say "+line))
		if r.URL.Path == "/hijack and fail" {
			return errBoom
		}
		return err
	})
	res, err := f.client.Get(f.url + "/flush")
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 6)
	if _, err := io.ReadFull(res.Body, p); err != nil || string(p) != "first " {
		t.Errorf("the first part is %q, %v", p, err)
	}
	flushed <- true
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(rest) != "second" {
		t.Errorf("the second part is %q, %v", rest, err)
	}
	res.Body.Close()
	want(t, "deadline", f.get("/deadline"), "200 in time")
	for _, path := range []string{"/hijack", "/hijack%20and%20fail"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nhello\n", path)
		want(t, path, readAll(conn), "you say hello\n")
		conn.Close()
	}
	f.end()
	if got := f.log.String(); strings.Count(got, "boom") == 0 || strings.Contains(got, "panic") {
		t.Errorf("the log is\n%s", got)
	}
}

// A writer that can neither be flushed nor hijacked says so.
func TestPlainWriter(t *testing.T) {
	type plain struct{ http.ResponseWriter }
	w := &response{ResponseWriter: plain{httptest.NewRecorder()}}
	if err := w.FlushError(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("FlushError = %v", err)
	}
	if _, _, err := w.Hijack(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("Hijack = %v", err)
	}
}

// Without ServeHTTP, requests are submitted to the loop: it may be another one, or served by others.
func TestHandlerAlone(t *testing.T) {
	noLeaks(t)
	loop, started, visits := tinyio.NewLoop(), make(chan bool, 1), 0
	h := Handler(loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		visits++
		started <- true
		switch r.URL.Path {
		case "/wait":
			return co.Sleep(time.Hour)
		case "/panic":
			panic(http.ErrAbortHandler)
		}
		_, err := fmt.Fprint(w, "visit ", visits)
		return err
	})
	ctx, stop := context.WithCancelCause(context.Background())
	ended := make(chan error)
	go func() { ended <- loop.Serve(ctx) }()
	server := httptest.NewServer(h)
	defer server.Close()
	// Without connections that are kept, on which a request is made again if there is no answer.
	f := &fixture{t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, url: server.URL}
	want(t, "answer", f.get("/"), "200 visit 1")
	<-started
	if got := f.get("/panic"); !strings.HasSuffix(got, "EOF") {
		t.Errorf("the answer is %s", got)
	}
	<-started
	gone, leave := context.WithCancel(context.Background())
	go func() { <-started; leave() }()
	if got := f.getWith(gone, "/wait"); !strings.HasSuffix(got, "context canceled") {
		t.Errorf("the answer is %s", got)
	}
	go func() { <-started; stop(errBoom) }()
	want(t, "when the loop stops", f.get("/wait"), "503 Service Unavailable\n")
	wantEnd(t, ended, errBoom)
	want(t, "when it has stopped", f.get("/"), "503 Service Unavailable\n")
}

// A client who goes before the loop has got to its request is not served, and nothing waits for the loop.
func TestClientGoneBeforeItsTurn(t *testing.T) {
	noLeaks(t)
	loop, served := tinyio.NewLoop(), false
	h := Handler(loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		served = true
		return nil
	})
	ctx, leave := context.WithCancel(context.Background())
	leave()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil).WithContext(ctx)) // the loop does not run yet
	want(t, "status", rec.Code, http.StatusServiceUnavailable)
	want(t, "served", served, false)
}

// A Goexit ends the run, as everywhere, and breaks the answer off.
func TestHTTPGoexit(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	loop, exited := tinyio.NewLoop(), make(chan bool)
	logged := newLockedBuffer()
	srv := &http.Server{ErrorLog: log.New(logged, "", 0), Handler: Handler(loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		runtime.Goexit()
		return nil
	})}
	go func() {
		defer close(exited)
		tinyio.RunOn(context.Background(), loop, tinyio.Do(func(co *tinyio.Co) error { return ServeHTTP(co, srv, l, time.Minute) }))
		t.Error("the Goexit does not come out of Run")
	}()
	f := &fixture{t: t, client: &http.Client{Transport: new(http.Transport)}, url: "http://" + l.Addr().String()}
	defer f.client.CloseIdleConnections()
	want(t, "answer", f.get("/"), "500 Internal Server Error\n")
	<-exited
	if !strings.Contains(logged.String(), "Goexit") {
		t.Errorf("the log is\n%s", logged)
	}
}

// A listener that fails ends the server, and the error is told.
func TestHTTPListenerFails(t *testing.T) {
	noLeaks(t)
	l := &fakeListener{accept: make(chan accepted, 1), closed: make(chan bool)}
	l.accept <- accepted{err: errBoom}
	run(t, errBoom, func(co *tinyio.Co) error { return ServeHTTP(co, new(http.Server), l, time.Minute) })
	want(t, "closed", l.Close(), net.ErrClosed)
}

// A server that has been closed serves nobody, and a second ServeHTTP of the same one is refused.
func TestHTTPServerIsTaken(t *testing.T) {
	f := newFixture(t, nil2)
	want(t, "answer", f.get("/"), "200 ")
	l := listen(t)
	run(t, nil, func(co *tinyio.Co) error {
		err := ServeHTTP(co, f.srv, l, time.Minute)
		if err == nil || !strings.Contains(err.Error(), "is being served already") {
			t.Errorf("ServeHTTP = %v", err)
		}
		return nil
	})
	wantRefused(t, l)
	f.end()
	l = listen(t)
	run(t, nil, func(co *tinyio.Co) error { return ServeHTTP(co, f.srv, l, time.Minute) })
	wantRefused(t, l)
}

// A handler that calls another one on its own goroutine is told at once that this would block the loop; in a Call it may.
func TestHandlerCallsHandler(t *testing.T) {
	var inner http.Handler
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/call" {
			return co.Call(func(context.Context) error { inner.ServeHTTP(w, r); return nil })
		}
		inner.ServeHTTP(w, r)
		return nil
	})
	inner = Handler(f.loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		_, err := io.WriteString(w, "inner")
		return err
	})
	want(t, "in a call", f.get("/call"), "200 inner")
	if got := f.get("/"); !strings.HasSuffix(got, "EOF") {
		t.Errorf("the answer is %s", got)
	}
	f.end()
	if got := f.log.String(); !strings.Contains(got, "coroutine GET / has called a handler") {
		t.Errorf("the log is\n%s", got)
	}
}

// Many requests at once over many connections, some of whose clients go: each is answered or stopped, and nothing is left.
func TestManyRequests(t *testing.T) {
	sum, live := 0, 0
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		live++
		defer func() { live-- }()
		if err := co.Sleep(time.Millisecond); err != nil {
			return err
		}
		sum++
		_, err := io.WriteString(w, "ok")
		return err
	})
	const clients, requests = 50, 20
	answers := make(chan string, clients*requests)
	for i := range clients {
		go func() {
			for k := range requests {
				ctx, leave := context.WithCancel(context.Background())
				if (i+k)%7 == 0 {
					time.AfterFunc(500*time.Microsecond, leave)
				}
				answers <- f.getWith(ctx, "/")
				leave()
			}
		}()
	}
	answered := 0
	for range clients * requests {
		switch got := <-answers; {
		case got == "200 ok":
			answered++
		case !strings.HasSuffix(got, "context canceled"):
			t.Errorf("the answer is %s", got)
		}
	}
	f.end()
	if live != 0 || sum < answered || answered < clients*requests*6/7-clients {
		t.Errorf("%d were answered, %d say so, and %d are left", answered, sum, live)
	}
}

// The body of a request is read in a Call, and does not block the loop.
func TestBody(t *testing.T) {
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		body, err := tinyio.Call(co, func(context.Context) ([]byte, error) { return io.ReadAll(r.Body) })
		if err != nil {
			return err
		}
		_, err = w.Write(body)
		return err
	})
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, "slow")
		want(t, "another request meanwhile", f.get("/"), "200 ")
		io.WriteString(w, " body")
		w.Close()
	}()
	res, err := f.client.Post(f.url, "text/plain", r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := bufio.NewReader(res.Body).ReadString(0)
	if body != "slow body" || err != io.EOF {
		t.Errorf("the answer is %q, %v", body, err)
	}
	f.end()
}

// Somebody else closes the server: a request that goes on has its connection closed by that, and its coroutine is stopped.
func TestClosedFromOutside(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	loop, started, stopped := tinyio.NewLoop(), make(chan bool), false
	srv := &http.Server{Handler: Handler(loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		close(started)
		err := co.Sleep(time.Hour)
		stopped = true
		return err
	})}
	ended := make(chan error)
	go func() {
		_, err := tinyio.RunOn(context.Background(), loop, tinyio.Do(func(co *tinyio.Co) error { return ServeHTTP(co, srv, l, time.Minute) }))
		ended <- err
	}()
	f := &fixture{t: t, client: &http.Client{Transport: new(http.Transport)}, url: "http://" + l.Addr().String()}
	defer f.client.CloseIdleConnections()
	go func() { <-started; srv.Close() }()
	if got := f.get("/"); !strings.HasSuffix(got, "EOF") && !strings.HasSuffix(got, "connection reset by peer") {
		t.Errorf("the answer is %s", got)
	}
	wantEnd(t, ended, nil)
	want(t, "stopped", stopped, true)
}

// Somebody else shuts the server down, and a request takes longer than the grace: it is cut off.
func TestShutDownFromOutsideAndGraceIsOver(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	loop, down, stopped := tinyio.NewLoop(), make(chan error, 1), false
	var srv *http.Server
	srv = &http.Server{Handler: Handler(loop, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		go func() { down <- srv.Shutdown(context.Background()) }()
		err := co.Sleep(time.Hour)
		stopped = true
		return err
	})}
	ended := make(chan error)
	go func() {
		_, err := tinyio.RunOn(context.Background(), loop, tinyio.Do(func(co *tinyio.Co) error { return ServeHTTP(co, srv, l, 20*time.Millisecond) }))
		ended <- err
	}()
	f := &fixture{t: t, client: &http.Client{Transport: new(http.Transport)}, url: "http://" + l.Addr().String()}
	defer f.client.CloseIdleConnections()
	if got := f.get("/"); !strings.HasSuffix(got, "EOF") && !strings.HasSuffix(got, "connection reset by peer") {
		t.Errorf("the answer is %s", got)
	}
	wantEnd(t, ended, nil)
	want(t, "stopped", stopped, true)
	want(t, "Shutdown", <-down, nil)
}

// A gate that is closed takes no request, and one that was in it when all is over is refused, as is one whose coroutine never had a turn.
func TestClosedGate(t *testing.T) {
	noLeaks(t)
	newRequest := func() *request {
		return &request{r: httptest.NewRequest("GET", "/", nil), w: &response{ResponseWriter: httptest.NewRecorder()}, done: make(chan struct{})}
	}
	g := &gate{live: make(map[*request]bool)}
	waiting, live, late := newRequest(), newRequest(), newRequest()
	want(t, "posted", g.post(posted{request: waiting}), true)
	g.live[live] = true
	run(t, nil, func(co *tinyio.Co) error {
		g.end(co)
		return nil
	})
	late.passThrough(g)
	for _, q := range []*request{waiting, live, late} {
		<-q.done
		want(t, "why", q.stop, errStopping)
		run(t, nil, q.run) // which does nothing any more
	}
}

// If the caller is being stopped already, nothing is served, and the listener is closed.
func TestServeHTTPWhenStopped(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	run(t, errBoom, func(co *tinyio.Co) error {
		co.Go(func(co *tinyio.Co) error { return errBoom })
		for co.Yield() == nil {
		}
		return ServeHTTP(co, new(http.Server), l, time.Minute)
	})
	wantRefused(t, l)
}

// What is copied to the response, from a reader that can nothing but read, comes too.
func TestReadFrom(t *testing.T) {
	f := newFixture(t, func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error {
		if _, err := io.Copy(w, io.LimitReader(strings.NewReader("copied"), 100)); err != nil {
			return err
		}
		return errBoom // it has been begun
	})
	if got := f.get("/"); !strings.HasSuffix(got, "EOF") {
		t.Errorf("the answer is %s", got)
	}
	f.end()
}

// Misuse is told at once.
func TestHTTPMisuse(t *testing.T) {
	for name, misuse := range map[string]func(){
		"no server":   func() { ServeHTTP(nil, nil, listen(t), 0) },
		"no listener": func() { ServeHTTP(nil, new(http.Server), nil, 0) },
		"no loop":     func() { Handler(nil, nil2) },
		"no handler":  func() { Handler(tinyio.NewLoop(), nil) },
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); !strings.HasPrefix(p, "tinyionet: ") {
					t.Errorf("%s: the panic is %v", name, p)
				}
			}()
			misuse()
		}()
	}
}
