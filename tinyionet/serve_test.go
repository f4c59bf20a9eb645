package tinyionet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
)

// echo is a handler that sends back what comes, up to the end.
func echo(co *tinyio.Co, conn *Conn) error {
	p := make([]byte, 1024)
	for {
		n, err := conn.Read(co, p)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := conn.Write(co, p[:n]); err != nil {
			return err
		}
	}
}

// serving runs Serve on a loop of its own. To stop it is to call stop, with the reason; ended gives the error of the run.
func serving(t *testing.T, l net.Listener, handler func(co *tinyio.Co, conn *Conn) error, opts ...Option) (stop func(error), ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error { return Serve(co, l, handler, opts...) }).Named("main"))
		result <- err
	}()
	t.Cleanup(func() { cancel(nil) })
	return cancel, result
}

// wantEnd wants a run to end with an error, cleanly.
func wantEnd(t *testing.T, ended <-chan error, want error) {
	t.Helper()
	err := <-ended
	var group *tinyio.ErrorGroup
	if !errors.Is(err, want) || errors.As(err, &group) {
		t.Errorf("Run = %v, want %v alone", err, want)
	}
}

// ask writes a text, and wants the same number of bytes back.
func ask(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, len(text))
	if _, err := io.ReadFull(conn, p); err != nil {
		t.Fatal(err)
	}
	return string(p)
}

// wantClosed wants a connection to be at its end.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if text, err := io.ReadAll(conn); len(text) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("on the connection come %q, %v, want the end", text, err)
	}
}

// wantRefused wants nobody to listen at an address.
func wantRefused(t *testing.T, l net.Listener) {
	t.Helper()
	if conn, err := net.Dial(l.Addr().Network(), l.Addr().String()); err == nil {
		conn.Close()
		t.Error("the listener is open")
	}
}

// Each connection is served beside the others; when the server is stopped, all end, and the listener is closed.
func TestServe(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	stop, ended := serving(t, l, echo)
	conns := []net.Conn{dialTo(t, l), dialTo(t, l), dialTo(t, l)}
	for i, conn := range slices.Backward(conns) {
		text := fmt.Sprint("hello ", i)
		want(t, "answer", ask(t, conn, text), text)
	}
	stop(errBoom)
	wantEnd(t, ended, errBoom)
	for _, conn := range conns {
		wantClosed(t, conn)
	}
	wantRefused(t, l)
}

// A thousand connections at once, and nothing is left of them.
func TestThousandConnections(t *testing.T) {
	noLeaks(t)
	const n = 1000
	l := listen(t)
	live, most := 0, 0
	stop, ended := serving(t, l, func(co *tinyio.Co, conn *Conn) error {
		live++
		most = max(most, live)
		defer func() { live-- }()
		return echo(co, conn)
	})
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dialTo(t, l)
	}
	for i, conn := range conns {
		text := fmt.Sprint("hello ", i)
		want(t, "answer", ask(t, conn, text), text)
	}
	for _, conn := range conns[:n/2] {
		conn.Close()
	}
	stop(errBoom)
	wantEnd(t, ended, errBoom)
	want(t, "live", live, 0)
	want(t, "at once", most, n)
}

// A handler that fails or panics, or starts somebody who does, is reported, and no other connection hears of it.
func TestHandlersAreIsolated(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	reports := make(chan error, 10)
	stop, ended := serving(t, l, func(co *tinyio.Co, conn *Conn) error {
		p := make([]byte, 5)
		if _, err := conn.Read(co, p); err != nil {
			return err
		}
		switch string(p) {
		case "error":
			return errBoom
		case "panic":
			panic(errBoom)
		case "child":
			co.Go(func(co *tinyio.Co) error { return errBoom })
			return co.Sleep(time.Hour)
		}
		_, err := conn.Write(co, p)
		return err
	}, WithErrors(func(conn *Conn, err error) {
		if _, open := conn.NetConn().Write([]byte("x")); open == nil {
			t.Error("the connection is open when it is reported")
		}
		reports <- err
	}))
	good := dialTo(t, l)
	for _, text := range []string{"error", "panic", "child"} {
		bad := dialTo(t, l)
		if _, err := io.WriteString(bad, text); err != nil {
			t.Fatal(err)
		}
		err := <-reports
		var p *tinyio.PanicError
		if !errors.Is(err, errBoom) || errors.As(err, &p) != (text == "panic") {
			t.Errorf("%s: reported is %v", text, err)
		}
		wantClosed(t, bad)
	}
	want(t, "answer", ask(t, good, "hello"), "hello")
	wantClosed(t, good) // for the handler has returned
	stop(errBoom)
	wantEnd(t, ended, errBoom)
	want(t, "reports that are left", len(reports), 0)
}

// Without WithErrors, what goes wrong is written to the standard logger.
func TestErrorsAreLogged(t *testing.T) {
	noLeaks(t)
	var b bytes.Buffer
	log.SetOutput(&b)
	flags := log.Flags()
	log.SetFlags(0)
	defer func() { log.SetOutput(os.Stderr); log.SetFlags(flags) }()
	l := &fakeListener{accept: make(chan accepted, 2), closed: make(chan bool)}
	near, far := net.Pipe()
	l.accept <- accepted{err: temporary{errBoom}}
	l.accept <- accepted{conn: near}
	stop, ended := serving(t, l, func(co *tinyio.Co, conn *Conn) error { return errBoom })
	wantClosed(t, far)
	stop(errBoom)
	wantEnd(t, ended, errBoom)
	lines := strings.Split(b.String(), "\n")
	want(t, "first line", lines[0], "tinyionet: temporarily boom; trying again")
	want(t, "second line", lines[1], "tinyionet: the handler of pipe: boom")
	if !strings.Contains(b.String(), "await chain") {
		t.Errorf("the log has no trace:\n%s", b.String())
	}
}

// Each handler can say goodbye, and Serve waits for that; the connections close before whoever serves goes on (R9, R13).
func TestGoodbye(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	ctx, stop := context.WithCancelCause(context.Background())
	started, ended, order := make(chan bool), make(chan error, 1), []string{}
	go func() {
		_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
			defer func() { order = append(order, "main") }()
			return Serve(co, l, func(co *tinyio.Co, conn *Conn) error {
				started <- true
				_, err := conn.Read(co, make([]byte, 1))
				return errors.Join(err, co.Shield(time.Minute, func(co *tinyio.Co) error {
					if err := co.Sleep(time.Millisecond); err != nil {
						return err
					}
					_, err := conn.Write(co, []byte("goodbye"))
					order = append(order, "handler")
					return err
				}))
			})
		}))
		ended <- err
	}()
	conns := []net.Conn{dialTo(t, l), dialTo(t, l)}
	for range conns {
		<-started
	}
	stop(errBoom)
	for _, conn := range conns {
		want(t, "the last words", readAll(conn), "goodbye")
	}
	wantEnd(t, ended, errBoom)
	want(t, "order", strings.Join(order, ", "), "handler, handler, main")
}

// A Timeout of Serve stops the handlers with it, and nobody else, and so does a Cancel.
func TestServeIsHalted(t *testing.T) {
	for name, halt := range map[string]func(co *tinyio.Co, c *tinyio.Coro[tinyio.Void]) error{
		"Timeout": func(co *tinyio.Co, c *tinyio.Coro[tinyio.Void]) error {
			_, err := tinyio.Timeout(co, c, time.Hour)
			if !errors.Is(err, tinyio.ErrTimeout) {
				return fmt.Errorf("it ends with %w", err)
			}
			return nil
		},
		"Cancel": func(co *tinyio.Co, c *tinyio.Coro[tinyio.Void]) error {
			if err := co.Spawn(c); err != nil {
				return err
			}
			if err := co.Sleep(time.Hour); err != nil {
				return err
			}
			return c.Cancel(co, errBoom)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeListener{accept: make(chan accepted, 1), closed: make(chan bool)}
				near, far := net.Pipe()
				l.accept <- accepted{conn: near}
				ended := false
				run(t, nil, func(co *tinyio.Co) error {
					err := halt(co, tinyio.Do(func(co *tinyio.Co) error {
						return Serve(co, l, func(co *tinyio.Co, conn *Conn) error {
							defer func() { ended = true }()
							return echo(co, conn)
						})
					}))
					want(t, "the handler has ended", ended, true)
					return err
				})
				wantClosed(t, far)
				want(t, "closed", l.Close(), net.ErrClosed)
			})
		})
	}
}

// At most so many are served at a time.
func TestMaxConns(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	const n = 3
	live, served := 0, make(chan int, 10)
	stop, ended := serving(t, l, func(co *tinyio.Co, conn *Conn) error {
		live++
		served <- live
		defer func() { live-- }()
		return echo(co, conn)
	}, WithMaxConns(n))
	var conns []net.Conn
	for i := range n {
		conns = append(conns, dialTo(t, l))
		want(t, "live", <-served, i+1)
	}
	waiting := dialTo(t, l)
	want(t, "answer", ask(t, conns[0], "x"), "x") // so the loop has had every occasion
	want(t, "served besides", len(served), 0)
	conns[1].Close()
	want(t, "live", <-served, n)
	want(t, "answer", ask(t, waiting, "y"), "y")
	stop(errBoom)
	wantEnd(t, ended, errBoom)
	wantClosed(t, waiting)
}

// When somebody closes the listener, those who are there are served to the end, and then Serve returns nil.
func TestListenerClosedFromOutside(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	_, ended := serving(t, l, echo)
	conn := dialTo(t, l)
	want(t, "answer", ask(t, conn, "x"), "x")
	l.Close()
	want(t, "answer after that", ask(t, conn, "y"), "y")
	conn.Close()
	wantEnd(t, ended, nil)
}

// An accepted is what a fakeListener accepts.
type accepted struct {
	conn net.Conn
	err  error
}

type fakeListener struct {
	accept chan accepted
	closed chan bool
	last   *accepted // what comes when it is closed, instead of an error
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.accept:
		return a.conn, a.err
	case <-l.closed:
		if a := l.last; a != nil {
			l.last = nil
			return a.conn, a.err
		}
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error {
	select {
	case <-l.closed:
		return net.ErrClosed
	default:
		close(l.closed)
		return nil
	}
}

func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

// A temporary is an error that Accept may get over.
type temporary struct{ error }

func (t temporary) Error() string { return "temporarily " + t.error.Error() }
func (temporary) Temporary() bool { return true }

// When the system has no room for a connection, Serve says so and waits, longer each time, until there is.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeListener{accept: make(chan accepted), closed: make(chan bool)}
		start, reports := time.Now(), []string{}
		stop, ended := serving(t, l, echo, WithErrors(func(conn *Conn, err error) {
			if conn != nil {
				t.Errorf("the connection of an accept error is %v", conn)
			}
			reports = append(reports, fmt.Sprint(time.Since(start)))
		}))
		for range 10 {
			l.accept <- accepted{err: temporary{errBoom}}
		}
		near, far := net.Pipe()
		l.accept <- accepted{conn: near}
		want(t, "answer", ask(t, far, "x"), "x")
		for range 2 {
			l.accept <- accepted{err: temporary{errBoom}}
		}
		synctest.Wait()
		stop(errBoom)
		wantEnd(t, ended, errBoom)
		want(t, "reports", strings.Join(reports, " "), "0s 5ms 15ms 35ms 75ms 155ms 315ms 635ms 1.275s 2.275s 3.275s 3.28s")
	})
}

// When the listener fails for good, all handlers are stopped, and the error is that of Serve.
func TestListenerFails(t *testing.T) {
	noLeaks(t)
	l := &fakeListener{accept: make(chan accepted, 2), closed: make(chan bool)}
	near, far := net.Pipe()
	_, ended := serving(t, l, func(co *tinyio.Co, conn *Conn) error {
		l.accept <- accepted{err: errBoom}
		return echo(co, conn)
	})
	l.accept <- accepted{conn: near}
	wantEnd(t, ended, errBoom)
	wantClosed(t, far)
	want(t, "closed", l.Close(), net.ErrClosed)
}

// A connection that comes in the moment of the stop is closed.
func TestConnInTheMomentOfTheStop(t *testing.T) {
	noLeaks(t)
	near, far := net.Pipe()
	l := &fakeListener{closed: make(chan bool), last: &accepted{conn: near}}
	stop, ended := serving(t, l, func(co *tinyio.Co, conn *Conn) error {
		t.Error("it is served")
		return nil
	})
	stop(errBoom)
	wantEnd(t, ended, errBoom)
	if l.last == nil { // otherwise the stop came before the accept
		wantClosed(t, far)
	}
}

// So is one that has been accepted, and whose coroutine was stopped before its first turn.
func TestConnStoppedBeforeItsFirstTurn(t *testing.T) {
	noLeaks(t)
	near, far := net.Pipe()
	l := &fakeListener{accept: make(chan accepted, 1), closed: make(chan bool)}
	l.accept <- accepted{conn: near}
	served := false
	run(t, errBoom, func(co *tinyio.Co) error {
		co.Go(func(co *tinyio.Co) error {
			return Serve(co, l, func(co *tinyio.Co, conn *Conn) error {
				served = true
				return nil
			}, WithMaxConns(1))
		})
		for co.Err() == nil { // until there is a coroutine for the connection, which then has not had its turn
			if err := co.Yield(); err != nil {
				return err
			}
			if len(l.accept) == 0 && named(co, "tinyionet.Serve pipe") {
				return errBoom
			}
		}
		return nil
	})
	want(t, "served", served, false)
	wantClosed(t, far)
}

// named reports whether there is a coroutine of that name which is ready.
func named(co *tinyio.Co, name string) bool {
	return slices.ContainsFunc(loopOf(co).(*tinyio.Loop).Status(), func(s tinyio.Status) bool {
		return s.Coro == name && s.State == "ready"
	})
}

// A handler that fails while it is being stopped tells whoever has stopped it (R10).
func TestHandlerFailsWhenStopped(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	errLate := errors.New("late")
	started := make(chan bool)
	stop, ended := serving(t, l, func(co *tinyio.Co, conn *Conn) error {
		started <- true
		conn.Read(co, make([]byte, 1))
		return errLate
	}, WithErrors(func(conn *Conn, err error) { t.Errorf("reported is %v", err) }))
	dialTo(t, l)
	<-started
	stop(errBoom)
	var group *tinyio.ErrorGroup
	if err := <-ended; !errors.As(err, &group) || len(group.Errs) != 2 || !errors.Is(group.Errs[0], errBoom) || !errors.Is(group.Errs[1], errLate) {
		t.Errorf("Run = %v", err)
	}
}

// If the caller is being stopped already, nothing is accepted, and the listener is closed.
func TestServeWhenStopped(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	run(t, errBoom, func(co *tinyio.Co) error {
		co.Go(func(co *tinyio.Co) error { return errBoom })
		for co.Yield() == nil {
		}
		return Serve(co, l, echo)
	})
	wantRefused(t, l)
}

// Misuse is told at once.
func TestServeMisuse(t *testing.T) {
	for name, misuse := range map[string]func(){
		"no handler":  func() { Serve(nil, listen(t), nil) },
		"no listener": func() { Serve(nil, nil, echo) },
		"no room":     func() { WithMaxConns(0) },
		"no report":   func() { WithErrors(nil) },
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
