package tinyionet

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio"
	recording "github.com/tinyio-go/tinyio/internal/gate"
	"github.com/tinyio-go/tinyio/internal/lookin"
	"github.com/tinyio-go/tinyio/internal/stack"
)

// ServeHTTP serves HTTP on l, until the coroutine is stopped. Then srv takes no more requests, and those under way have the time of grace, in which
// their coroutines, those of a [Handler] of the same loop, go on as if nothing had happened, whatever the coroutine is stopped for: also if the
// context of [tinyio.Run] is done, or another coroutine has failed. Those that take longer are cut off: the connection is closed, and the coroutine
// stopped. ServeHTTP returns when the last has ended: the coroutine's own error.
//
// When l fails, ServeHTTP does the same, and returns the error of l. When somebody else shuts srv down, or closes it, ServeHTTP waits for those of the
// handlers of [Handler] that are at work, for at most grace, and returns nil.
//
// Who answers for as long as the client likes, as with server-sent events, learns of the end by [http.Server.RegisterOnShutdown]. A connection that
// was hijacked is left to the coroutine that has hijacked it. The grace is in real time, also on a loop in virtual time.
//
// One ServeHTTP at a time can serve a srv. In any case l is closed when it returns.
func ServeHTTP(co *tinyio.Co, srv *http.Server, l net.Listener, grace time.Duration) error {
	if srv == nil || l == nil {
		panic("tinyionet: ServeHTTP: the server or the listener is nil; it needs both")
	}
	defer l.Close()
	g := &gate{loop: loopOf(co), live: make(map[*request]bool)}
	if _, taken := gates.LoadOrStore(srv, g); taken {
		return errors.New("tinyionet: ServeHTTP: the http.Server is being served already; make one for each listener")
	}
	defer gates.Delete(srv)
	defer g.end(co)
	_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(g.listen(srv, l, grace), g.dispatch(grace))
	}).Named("tinyionet.ServeHTTP"))
	return err
}

// gates are the gates of the servers that are being served: *gate by *http.Server.
var gates sync.Map

// loopOf is the loop of co.
func loopOf(co *tinyio.Co) any {
	who, _ := co.Value(lookin.WhoKey{}).(lookin.Who)
	return who.Loop
}

// A gate is how requests come from the goroutines of a server to the loop on which ServeHTTP is. There it starts a coroutine for each. This is no
// Submit, because what is submitted belongs to the run, and is stopped with that at once: what comes through the gate is inside a Shield.
type gate struct {
	loop any // a *tinyio.Loop

	mu     sync.Mutex
	posted []posted     // what is yet to be done
	closed bool         // nothing is posted any more
	over   tinyio.Event // the same, for the loop
	wake   tinyio.Event
	active int           // handlers that have not returned
	last   chan struct{} // closed when there are none; nil if nobody wants to know

	seq  int
	live map[*request]bool // whose coroutines have been started and have not ended; of the loop, as seq
}

// A posted is a request that is to be started or, if there is a cause, to be stopped.
type posted struct {
	request *request
	cause   error
}

// post hands p to the loop. It reports whether that takes it.
func (g *gate) post(p posted) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.posted = append(g.posted, p)
	g.wake.Set()
	return true
}

// take returns what has been posted.
func (g *gate) take() (all []posted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all, g.posted = g.posted, nil
	return all
}

// close ends the gate. What has been posted before is still done.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.over.Set()
	g.wake.Set()
}

// enter notes that a handler has been called, and leave that it is about to return.
func (g *gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active++
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.active--; g.active == 0 && g.last != nil {
		close(g.last)
		g.last = nil
	}
}

// idle waits until no handler is active, for at most some time. It reports whether that is so.
func (g *gate) idle(limit time.Duration) bool {
	g.mu.Lock()
	if g.active == 0 {
		g.mu.Unlock()
		return true
	}
	last := make(chan struct{})
	g.last = last
	g.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-last:
		return true
	case <-timer.C:
		return false
	}
}

// end refuses the requests whose coroutines never had a turn, when all is over, and waits for the handlers, which have nothing left to do but to return.
func (g *gate) end(co *tinyio.Co) {
	g.close()
	for _, p := range g.take() {
		p.request.refuse(errStopping)
	}
	for q := range g.live {
		q.refuse(errStopping)
	}
	if g.idle(0) {
		return
	}
	_ = co.Shield(lastGrace, func(co *tinyio.Co) error { // the next wait of the caller says that it is being stopped
		return co.Call(func(context.Context) error { g.idle(lastGrace); return nil })
	})
}

// lastGrace is how long handlers may take to return whose coroutines have ended. It is far more than they need.
const lastGrace = 5 * time.Second

// errStopping is what requests are stopped for when the server is.
var errStopping = errors.New("tinyionet: the server is stopping")

// listen returns the thread in which the server serves. When it ends, no request is under way that has not been cut off.
func (g *gate) listen(srv *http.Server, l net.Listener, grace time.Duration) *tinyio.Coro[tinyio.Void] {
	return tinyio.RunInThread(func(ctx context.Context) (none tinyio.Void, err error) {
		defer g.close()
		down := make(chan error, 1)
		shutDown := func() { down <- shutDown(srv, grace) }
		cancel := context.AfterFunc(ctx, shutDown)
		err = srv.Serve(l)
		switch alone := cancel(); {
		case alone && err == http.ErrServerClosed: // somebody else has shut it down; to do so again would call what he has registered for that twice
			if !g.idle(grace) {
				srv.Close()
			}
			return none, nil
		case alone:
			shutDown()
		case err == http.ErrServerClosed:
			err = nil
		}
		return none, errors.Join(err, <-down)
	}).Named("tinyionet.ServeHTTP listener")
}

// shutDown lets the requests under way finish, and cuts off those that take longer than grace.
func shutDown(srv *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := srv.Shutdown(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	srv.Close()
	return err
}

// dispatch returns the coroutine that starts those of the requests. It is in a Shield, and so are these, until the listener has ended: that keeps
// to the grace.
func (g *gate) dispatch(grace time.Duration) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		defer g.close()
		return co.Shield(max(grace, 0)+time.Minute, func(co *tinyio.Co) error {
			for closed := false; !closed; {
				if err := g.wake.Wait(co); err != nil {
					return err
				}
				g.wake.Clear()
				closed = g.over.IsSet() // before the last are taken
				for _, p := range g.take() {
					if p.cause == nil {
						g.start(co, p.request)
					} else {
						g.stop(co, p.request, p.cause)
					}
				}
			}
			left := slices.SortedFunc(maps.Keys(g.live), func(a, b *request) int { return cmp.Compare(a.seq, b.seq) })
			for _, q := range left { // that have been cut off
				g.stop(co, q, errStopping)
			}
			return nil
		})
	}).Named("tinyionet.ServeHTTP requests")
}

func (g *gate) start(co *tinyio.Co, q *request) {
	g.live[q] = true
	g.seq++
	q.seq = g.seq
	q.coro = co.WithValues(q.r.Context()).Go(func(co *tinyio.Co) error {
		defer delete(g.live, q)
		return q.run(co)
	}).Named("tinyionet.Handler")
}

func (g *gate) stop(co *tinyio.Co, q *request, cause error) {
	if g.live[q] {
		co.Go(func(co *tinyio.Co) error { return q.halt(co, cause) }).Named("tinyionet.Handler stopping")
	}
}

// Handler returns a handler for HTTP that calls fn on loop, in a coroutine of its own for each request: so all requests share plain maps without a
// mutex. The coroutine is isolated, as by [tinyio.Isolate]: whatever goes wrong in it, or in what it has started, ends no other.
//
// The values of the request's context, and its profiler labels, are those of co. When that context is done, because the client has gone, the coroutine
// is stopped. When the loop stops, it is too; under [ServeHTTP] only after the grace of that.
//
// The handler returns when the coroutine has ended, and all that it has started, and never before: so nobody writes to w afterwards, but for
// goroutines that fn has started by itself. While the loop is stuck, that takes as long as it is.
//
// What w and the body of r do may wait for the client, as everywhere in net/http, and would block the loop. A response of a few kilobytes is
// kept until fn has returned, so to write that is well. To read a body, to write more, or to flush belongs in a [tinyio.Call].
// Both are interrupted by the deadlines of an [http.ResponseController], and when the client has gone.
//
// When fn returns an error, the answer is 500 Internal Server Error, and the error is written to the ErrorLog of the server. When the coroutine was
// stopped, the answer is 503 Service Unavailable, unless fn returns nil all the same; what went wrong in clean-up is written there as well,
// if it was the client who has gone, and otherwise is for whoever has stopped it. If an answer has been begun by then, it is broken off, so that the
// client does not take it for whole. A panic of fn comes out of the handler, as net/http has it: it is [http.ErrAbortHandler], if fn
// panicked with that, and otherwise the [*tinyio.PanicError], which has the stack of fn.
//
// The handler blocks, so a coroutine must not call it. The function fn may be called, or the handler in a Call.
func Handler(loop *tinyio.Loop, fn func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error) http.Handler {
	if loop == nil || fn == nil {
		panic("tinyionet: Handler: the loop or the function is nil; it needs both")
	}
	return &handler{loop: loop, fn: fn}
}

type handler struct {
	loop *tinyio.Loop
	fn   func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if outer, ok := w.(*response); ok && outer.goroutine != 0 && outer.goroutine == stack.ID() {
		panic("tinyionet: Handler: coroutine " + outer.name + " has called a handler that runs on a loop, which would block its own; " +
			"call the function of that handler, or call the handler in a Call")
	}
	q := &request{fn: h.fn, w: &response{ResponseWriter: w}, r: r, done: make(chan struct{})}
	q.srv, _ = r.Context().Value(http.ServerContextKey).(*http.Server)
	if g := gateOf(q.srv, h.loop); g != nil && recording.Of(h.loop) == nil { // a loop that is recorded refuses what it cannot keep
		g.enter()
		defer g.leave()
		q.passThrough(g)
	} else {
		q.submit(h.loop)
	}
	q.answer()
}

// gateOf returns the gate to loop; nil if srv is not served there.
func gateOf(srv *http.Server, loop *tinyio.Loop) *gate {
	if v, ok := gates.Load(srv); ok && v.(*gate).loop == any(loop) {
		return v.(*gate)
	}
	return nil
}

// A request is one on its way to the loop and back.
type request struct {
	fn     func(co *tinyio.Co, w http.ResponseWriter, r *http.Request) error
	w      *response
	r      *http.Request
	taken  atomic.Bool   // by the loop, or by whoever refuses it: only one of them touches it
	done   chan struct{} // closed when nothing is going to touch it any more
	stop   error         // that of the coroutine, if it was stopped, or why there was none
	failed error         // what went wrong in it
	srv    *http.Server  // nil if there is none
	coro   *tinyio.Coro[tinyio.Void]
	seq    int // of the gate
}

// run is the coroutine of a request.
func (q *request) run(co *tinyio.Co) error {
	if !q.taken.CompareAndSwap(false, true) {
		return nil
	}
	defer close(q.done)
	q.failed = errExited
	q.w.name = q.name()
	_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
		q.w.goroutine = stack.ID()
		return q.fn(co, q.w, q.r)
	}).Named(q.w.name))
	q.stop, q.failed = split(co, err)
	return nil
}

// errExited is what a request has failed with whose coroutine has called runtime.Goexit.
var errExited = errors.New("tinyionet: the handler has called runtime.Goexit")

// refuse makes it so that q never runs. It reports whether that can be done.
func (q *request) refuse(why error) bool {
	if !q.taken.CompareAndSwap(false, true) {
		return false
	}
	q.stop = why
	close(q.done)
	return true
}

func (q *request) name() string {
	if q.r.Pattern != "" {
		return q.r.Pattern
	}
	return q.r.Method + " " + q.r.URL.Path
}

// halt stops the coroutine of q, from another one. Its clean-up errors would be lost otherwise.
func (q *request) halt(co *tinyio.Co, cause error) error {
	stop, failed := split(co, q.coro.Cancel(co, cause))
	if failed != nil {
		q.log(failed)
	}
	q.refuse(cause) // if it was to have its first turn
	return stop
}

// passThrough has q served through a gate.
func (q *request) passThrough(g *gate) {
	if !g.post(posted{request: q}) {
		q.refuse(errStopping)
		return
	}
	ctx := q.r.Context()
	select {
	case <-q.done:
	case <-ctx.Done():
		if cause := context.Cause(ctx); !q.refuse(cause) {
			g.post(posted{q, cause}) // if that is refused, the coroutine is being stopped already
			<-q.done
		}
	}
}

// submit has q served by the run of the loop. The end of the request's context is not left to Submit, which would not wait for the coroutine
// then, and would leave to the run what goes wrong in it.
func (q *request) submit(loop *tinyio.Loop) {
	outside := q.r.Context()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(outside))
	defer cancel(nil)
	q.coro = tinyio.Do(q.run).Named("tinyionet.Handler")
	defer context.AfterFunc(outside, func() {
		if cause := context.Cause(outside); q.refuse(cause) {
			cancel(cause)
		} else {
			stopping := tinyio.Do(func(co *tinyio.Co) error { return q.halt(co, cause) })
			loop.Post(stopping.Named("tinyionet.Handler stopping")) // if that is refused, the coroutine is being stopped already
		}
	})()
	if _, err := tinyio.Submit(ctx, loop, q.coro); err != nil {
		q.refuse(err)
	}
	<-q.done
}

// answer ends a request, when its coroutine has ended, in the goroutine of the handler.
func (q *request) answer() {
	panicked := panicIn(q.failed)
	switch {
	case errors.Is(panicked, http.ErrAbortHandler):
		panic(http.ErrAbortHandler)
	case panicked != nil:
		panic(panicked)
	case q.failed != nil:
		q.log(q.failed)
		q.breakOff(http.StatusInternalServerError)
	case q.stop != nil:
		q.breakOff(http.StatusServiceUnavailable)
	}
}

// panicIn returns the panic that an Isolate has ended with; nil if it was another failure. An error that only wraps one is such.
func panicIn(failed error) error {
	if group, ok := failed.(*tinyio.ErrorGroup); ok {
		failed = group.Errs[0]
	}
	if p, ok := failed.(*tinyio.PanicError); ok {
		return p
	}
	return nil
}

// log writes an error to where net/http does.
func (q *request) log(err error) {
	printf := log.Printf
	if q.srv != nil && q.srv.ErrorLog != nil {
		printf = q.srv.ErrorLog.Printf
	}
	printf("tinyionet: %s for %s: %+v", q.name(), q.r.RemoteAddr, err)
}

// breakOff answers that there is no answer.
func (q *request) breakOff(status int) {
	if q.w.begun {
		panic(http.ErrAbortHandler)
	}
	http.Error(q.w, http.StatusText(status), status)
}

// A response knows whether it has been begun.
type response struct {
	http.ResponseWriter
	begun     bool
	name      string  // of the coroutine that writes it
	goroutine uintptr // on which that runs; 0 if goroutines cannot be told apart
}

// Unwrap is for [http.ResponseController].
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	w.begun = w.begun || status >= 200 || status == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// WriteString implements [io.StringWriter].
func (w *response) WriteString(s string) (int, error) {
	w.begun = true
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom implements [io.ReaderFrom], as the response of net/http does.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	w.begun = true
	return io.Copy(w.ResponseWriter, r)
}

// Flush implements [http.Flusher].
func (w *response) Flush() { w.FlushError() }

// FlushError is Flush for [http.ResponseController].
func (w *response) FlushError() error {
	w.begun = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker].
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.begun = w.begun || err == nil
	return conn, rw, err
}
