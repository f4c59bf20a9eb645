package tinyionet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// errBoom is what coroutines of these tests fail with.
var errBoom = errors.New("boom")

// noLeaks fails the test if there are more goroutines after it than before. A goroutine that has nothing left to do may take a moment to go.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("%d goroutines before the test, and after it:\n%s", before, stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

// listen returns a listener on a free port.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// tcpPair returns the two ends of a connection over TCP.
func tcpPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l := listen(t)
	far = dialTo(t, l)
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return near, far
}

// dialTo connects to l.
func dialTo(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// pipePair returns the two ends of a pipe.
func pipePair(t *testing.T) (near, far net.Conn) {
	near, far = net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// eachPair runs a test on a connection over TCP, and on a pipe.
func eachPair(t *testing.T, test func(t *testing.T, near *Conn, far net.Conn)) {
	for name, pair := range map[string]func(*testing.T) (near, far net.Conn){"tcp": tcpPair, "pipe": pipePair} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			near, far := pair(t)
			test(t, NewConn(near), far)
		})
	}
}

// run runs fn as the first coroutine of a loop, and wants the run to end with an error.
func run(t *testing.T, want error, fn func(co *tinyio.Co) error) {
	t.Helper()
	runWith(t, t.Context(), want, fn)
}

func runWith(t *testing.T, ctx context.Context, want error, fn func(co *tinyio.Co) error) {
	t.Helper()
	_, err := tinyio.Run(ctx, tinyio.Do(fn).Named("main"))
	if !errors.Is(err, want) {
		t.Errorf("Run = %v, want %v", err, want)
	}
	var group *tinyio.ErrorGroup
	if errors.As(err, &group) {
		t.Errorf("something has not stopped cleanly: %v", err)
	}
}

// readAll reads what comes from a connection, up to its end.
func readAll(conn net.Conn) string {
	text, err := io.ReadAll(conn)
	if err != nil {
		return fmt.Sprintf("%s (%v)", text, err)
	}
	return string(text)
}

// read reads once, and writes down what came of it.
func read(co *tinyio.Co, conn *Conn) string {
	p := make([]byte, 100)
	n, err := conn.Read(co, p)
	if err != nil {
		return fmt.Sprintf("%q, %v", p[:n], err)
	}
	return fmt.Sprintf("%q", p[:n])
}

// want compares.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A fakeConn is a connection whose reads and writes do what a test wants. Those of its methods that it does not say panic.
type fakeConn struct {
	net.Conn
	read             func(p []byte) (int, error)
	write            func(p []byte) (int, error)
	setReadDeadline  func(t time.Time) error
	setWriteDeadline func(t time.Time) error
	closed           func() error
}

func (f *fakeConn) Read(p []byte) (int, error)         { return f.read(p) }
func (f *fakeConn) Write(p []byte) (int, error)        { return f.write(p) }
func (f *fakeConn) SetReadDeadline(t time.Time) error  { return f.setReadDeadline(t) }
func (f *fakeConn) SetWriteDeadline(t time.Time) error { return f.setWriteDeadline(t) }
func (f *fakeConn) Close() error                       { return f.closed() }
func (f *fakeConn) RemoteAddr() net.Addr               { return nil }

// A lockedBuffer is a buffer that goroutines write to.
type lockedBuffer struct {
	lock chan bool
	b    bytes.Buffer
}

func newLockedBuffer() *lockedBuffer { return &lockedBuffer{lock: make(chan bool, 1)} }

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.lock <- true
	defer func() { <-b.lock }()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.lock <- true
	defer func() { <-b.lock }()
	return b.b.String()
}
