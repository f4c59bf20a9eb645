package tinyionet

import (
	"errors"
	"log"
	"net"
	"time"

	"github.com/tinyio-go/tinyio"
)

// An Option says how [Serve] serves.
type Option func(*server)

// WithMaxConns makes [Serve] serve at most n connections at a time. Those that come besides wait in the listener, as long as the system lets them.
// It panics if n is not positive.
func WithMaxConns(n int) Option {
	if n <= 0 {
		panic("tinyionet: WithMaxConns: n must be at least 1, or nobody would ever be served")
	}
	return func(s *server) { s.places = tinyio.NewSemaphore(n) }
}

// WithErrors makes [Serve] tell report what goes wrong, instead of writing it to the standard logger: the error, or the
// [*tinyio.PanicError], of the handler of conn; or one of the listener, with a nil conn, that does not end it, such as that there are too
// many open files. It is called on the loop, and must not block. By the time it is called, conn is closed.
func WithErrors(report func(conn *Conn, err error)) Option {
	if report == nil {
		panic("tinyionet: WithErrors: the function is nil; leave the option out for the standard logger")
	}
	return func(s *server) { s.report = report }
}

// Serve serves the connections that come in on l, until the coroutine is stopped. For each it calls handler in a coroutine of its own, and
// closes the connection when that has ended, with whatever it has started. The coroutine is isolated, as by [tinyio.Isolate]: if handler
// fails or panics, that is reported, see [WithErrors], and no other connection notices.
//
// When the coroutine is stopped, Serve takes no more connections and stops all handlers, each of which can say goodbye in a
// [tinyio.Co.Shield]. What goes wrong in that is for whoever has stopped it, as always. Serve returns when all have ended: the coroutine's own error. When l fails, it does the same, and returns the error of l.
//
// When somebody closes l, Serve takes no more connections, and leaves those that it has to end by themselves: then it returns
// nil. So that is how to end it without stopping anybody.
//
// In any case l is closed when Serve returns.
func Serve(co *tinyio.Co, l net.Listener, handler func(co *tinyio.Co, conn *Conn) error, opts ...Option) error {
	if l == nil || handler == nil {
		panic("tinyionet: Serve: the listener or the handler is nil; it needs both")
	}
	s := &server{listener: l, handler: handler, report: logError, conns: make(map[*Conn]bool)}
	for _, o := range opts {
		o(s)
	}
	defer l.Close()
	defer s.closeAll()
	_, err := tinyio.Isolate(co, tinyio.Do(s.accept).Named("tinyionet.Serve"))
	return err
}

// A server is one call of Serve.
type server struct {
	listener net.Listener
	handler  func(co *tinyio.Co, conn *Conn) error
	places   *tinyio.Semaphore // nil if there is no bound
	report   func(conn *Conn, err error)
	conns    map[*Conn]bool // that are open
}

func logError(conn *Conn, err error) {
	if conn == nil {
		log.Printf("tinyionet: %v; trying again", err)
		return
	}
	log.Printf("tinyionet: the handler of %s: %+v", peer(conn), err)
}

// How long to wait when the system has no room for a connection: the first time, and at most.
const (
	firstRespite = 5 * time.Millisecond
	maxRespite   = time.Second
)

// accept starts a coroutine for each connection. It is the first one of an Isolate: when it fails, all of them are stopped, and when it
// returns nil, Isolate waits for them.
func (s *server) accept(co *tinyio.Co) error {
	respite := firstRespite
	for {
		if err := s.enter(co); err != nil {
			return err
		}
		conn, err := tinyio.CallInterruptible(co, func() { s.listener.Close() }, s.listener.Accept)
		switch {
		case co.Err() != nil:
			if err == nil {
				conn.Close() // it came at the last moment
			}
			return co.Yield()
		case err == nil:
			respite = firstRespite
			s.start(co, NewConn(conn))
			continue
		}
		s.leave()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case !isTemporary(err):
			return err
		}
		s.report(nil, err)
		if err := co.Sleep(respite); err != nil {
			return err
		}
		respite = min(2*respite, maxRespite)
	}
}

// enter waits for a place for one more connection.
func (s *server) enter(co *tinyio.Co) error {
	if s.places == nil {
		return nil
	}
	return s.places.Acquire(co)
}

func (s *server) leave() {
	if s.places != nil {
		s.places.Release()
	}
}

// isTemporary reports whether a listener that has failed with err may do better later.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

// start starts the coroutine of a connection.
func (s *server) start(co *tinyio.Co, conn *Conn) {
	s.conns[conn] = true
	name := peer(conn)
	co.Go(func(co *tinyio.Co) error {
		defer s.leave()
		defer s.close(conn)
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return s.handler(co, conn) }).Named(name))
		s.close(conn)
		stop, failed := split(co, err)
		if failed != nil {
			s.report(conn, failed)
		}
		return stop
	}).Named("tinyionet.Serve " + name)
}

func (s *server) close(conn *Conn) {
	if s.conns[conn] {
		delete(s.conns, conn)
		conn.Close()
	}
}

// closeAll closes the connections whose coroutines were stopped before their first turn.
func (s *server) closeAll() {
	for conn := range s.conns {
		s.close(conn)
		s.leave()
	}
}

// split returns what the error of an Isolate is made of: that co is being stopped, or a failure inside.
func split(co *tinyio.Co, err error) (stop, failed error) {
	if stop = stopOf(co, nil); err != stop {
		failed = err
	}
	return stop, failed
}

// peer is a name for who is at the other end.
func peer(conn *Conn) string {
	if a := conn.RemoteAddr(); a != nil {
		return a.String()
	}
	return "somebody"
}
