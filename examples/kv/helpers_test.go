package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/mutex"
	"github.com/tinyio-go/tinyio/examples/kv/server"
)

type serveFunc = func(ctx context.Context, l net.Listener, t *table.Table, log table.Log) error

// The servers. Whatever is said here of how one behaves holds for both.
var servers = []struct {
	name  string
	serve serveFunc
}{
	{"tinyio", serveTinyio},
	{"mutex", mutex.Serve},
}

func serveTinyio(ctx context.Context, l net.Listener, t *table.Table, log table.Log) error {
	return server.Serve(ctx, l, t, log)
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

// A memory is a log that keeps the changes in memory, for as long as it is let.
type memory struct {
	mu      sync.Mutex
	commits [][]table.Change
	gate    chan error // if it is there, a commit waits for what it is to return
}

func (m *memory) Commit(changes []table.Change) error {
	if m.gate != nil {
		if err := <-m.gate; err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits = append(m.commits, changes)
	return nil
}

// changes returns all that was committed.
func (m *memory) changes() (all []table.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, changes := range m.commits {
		all = append(all, changes...)
	}
	return all
}

// A pipes is a listener on nothing: connections are pipes in memory, which a bubble of testing/synctest can tell to be idle.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes { return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.accepted <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// A fixture is a server in a bubble, and a client of it.
type fixture struct {
	t      *testing.T
	serve  serveFunc
	log    *memory
	client *http.Client
	pipes  *pipes
	stop   context.CancelFunc
	ended  chan struct{}
	err    error // of the server, when it has ended
}

// eachServer runs f for each of the servers, in a bubble of its own.
func eachServer(t *testing.T, f func(f *fixture)) {
	eachServerWith(t, func() *memory { return new(memory) }, f)
}

// eachServerWith is eachServer for servers that find something in their log.
func eachServerWith(t *testing.T, log func() *memory, f func(f *fixture)) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			noLeaks(t)
			synctest.Test(t, func(t *testing.T) { f(start(t, s.serve, log())) })
		})
	}
}

// start starts a server with what is in a log.
func start(t *testing.T, serve serveFunc, log *memory) *fixture {
	ctx, stop := context.WithCancel(context.Background())
	f := &fixture{t: t, serve: serve, log: log, pipes: newPipes(), stop: stop, ended: make(chan struct{})}
	f.client = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return f.pipes.dial() },
	}}
	go func() {
		defer close(f.ended)
		f.err = serve(ctx, f.pipes, table.New(nil, 0, log.changes()), log)
	}()
	t.Cleanup(func() { f.end() })
	synctest.Wait()
	return f
}

// end stops the server and returns its error.
func (f *fixture) end() error {
	f.stop()
	f.client.CloseIdleConnections()
	<-f.ended
	return f.err
}

// An answer is what a test looks at of a response.
type answer struct {
	status int
	tag    string
	body   string
}

// send makes a request. The header is a list of names and values.
func (f *fixture) send(method, path, body string, header ...string) (answer, error) {
	return send(f.client, "http://kv", method, path, body, header...)
}

func send(client *http.Client, base, method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if res.StatusCode >= 400 {
		b = nil // for people
	}
	return answer{res.StatusCode, res.Header.Get("ETag"), string(b)}, err
}

// want makes a request and compares the answer.
func (f *fixture) want(want answer, method, path, body string, header ...string) {
	f.t.Helper()
	if got, err := f.send(method, path, body, header...); err != nil || got != want {
		f.t.Errorf("%s %s %q: the answer is %+v, %v, want %+v", method, path, header, got, err, want)
	}
}

// A pending is a request that is made meanwhile.
type pending struct {
	answer answer
	err    error
	done   chan struct{}
}

// begin begins a request and returns when nothing more happens at this time.
func (f *fixture) begin(method, path, body string, header ...string) *pending {
	p := &pending{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.answer, p.err = f.send(method, path, body, header...)
	}()
	synctest.Wait()
	return p
}

// isDone reports whether there is an answer by now.
func (p *pending) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// A watch is a stream of events.
type watch struct {
	body  io.ReadCloser
	lines *bufio.Reader
	last  string // the id that came last
}

// follow begins to watch. The answer comes when the server has taken down that there is a watcher.
func follow(client *http.Client, base, prefix, lastID string) (*watch, error) {
	req, err := http.NewRequest("GET", base+"/watch?prefix="+prefix, nil)
	if err != nil {
		return nil, err
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, errors.New(res.Status)
	}
	return &watch{body: res.Body, lines: bufio.NewReader(res.Body)}, nil
}

func (f *fixture) follow(prefix, lastID string) *watch {
	f.t.Helper()
	w, err := follow(f.client, "http://kv", prefix, lastID)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { w.body.Close() })
	return w
}

// next returns the next event, and io.EOF if there is none.
func (w *watch) next() (c table.Change, err error) {
	for {
		line, err := w.lines.ReadString('\n')
		if err != nil {
			return c, err
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			w.last = strings.TrimSpace(id)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return c, json.Unmarshal([]byte(data), &c)
		}
	}
}

// rest returns how many events there are until the stream ends, which must have the versions from first on.
func (w *watch) rest(t *testing.T, first uint64) (n uint64) {
	t.Helper()
	for ; ; n++ {
		c, err := w.next()
		if err == io.EOF {
			return n
		}
		if err != nil || c.Version != first+n {
			t.Fatalf("after %d events there is version %d, %v, want %d", n, c.Version, err, first+n)
		}
	}
}
