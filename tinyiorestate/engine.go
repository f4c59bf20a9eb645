package tinyiorestate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/restatedev/sdk-go/server"
	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// A Config says where the Restate server is, and how programs are served to it. The zero Config is for a server on this machine that has not
// been configured either.
type Config struct {
	// Service is the name of the workflow on the server that all runs belong to: "tinyio" if it is empty. Each application has one of its
	// own. It stays as long as there are runs.
	Service string
	// Ingress and Admin are the URLs of the server: http://localhost:8080 and http://localhost:9070 if they are empty.
	Ingress, Admin string
	// Listen is the address on which the programs are served to the server: "localhost:9080" if it is empty, and "-" to serve nothing, in
	// a process that only starts runs and asks for them.
	Listen string
	// URL is where the server finds Listen, or a load balancer in front of several processes that serve the same programs: http:// and that
	// address if it is empty. A run stays with the URL at which it has begun.
	URL string
	// Identity is the public keys of the server. If there are any, requests that are not signed with one of them are refused. If there are
	// none, whoever reaches Listen can run programs: see to it that nobody else does.
	Identity []string
	// Context has the values that programs find with co.Value. Nothing else of it counts.
	Context context.Context
	// Retention is how long the server remembers a run that has ended. 0 is its default, a day. The server is told when URL is registered
	// for the first time.
	Retention time.Duration
	// StepTimeout is how long a step may take, at least: one that takes longer is given up and taken again. 0 is the default of the server, some ten
	// minutes. The server is told when URL is registered for the first time.
	StepTimeout time.Duration
	// Patience is how long a call goes on trying when the server does not answer: 10 seconds if it is 0. A call also ends with its context.
	Patience time.Duration
	// HTTP makes the requests to Ingress and Admin, if they need more than their URLs: credentials, for example.
	HTTP *http.Client
	// Logger gets what the SDK logs. If it is nil, nothing does.
	Logger *slog.Logger
}

// An Engine runs the programs of package durable on a Restate server. It is a [durable.Engine].
type Engine struct {
	config  Config
	base    context.Context // of what is served
	stop    context.CancelCauseFunc
	server  *http.Server
	serving sync.WaitGroup // the server and the handlers

	mu      sync.Mutex
	closed  bool
	drivers map[string]*driver // by the ids of their runs
}

var serviceName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]*$`)

// Open begins to serve the programs that are registered with package durable. The server has to be told once where they are:
// see [Engine.Register].
func Open(c Config) (*Engine, error) {
	c.Service = cmp.Or(c.Service, "tinyio")
	c.Ingress = strings.TrimSuffix(cmp.Or(c.Ingress, "http://localhost:8080"), "/")
	c.Admin = strings.TrimSuffix(cmp.Or(c.Admin, "http://localhost:9070"), "/")
	c.Listen = cmp.Or(c.Listen, "localhost:9080")
	c.Patience = cmp.Or(c.Patience, 10*time.Second)
	if c.Context == nil {
		c.Context = context.Background()
	}
	if !serviceName.MatchString(c.Service) {
		return nil, fmt.Errorf("tinyiorestate: Open: a service cannot be called %q; use letters, digits, and any of _ . - after the first", c.Service)
	}
	if c.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 100
		c.HTTP = &http.Client{Transport: transport}
	}
	e := &Engine{config: c, drivers: map[string]*driver{}}
	e.base, e.stop = context.WithCancelCause(context.WithoutCancel(c.Context))
	if c.Listen == "-" {
		return e, nil
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("tinyiorestate: Open: %w", err)
	}
	if c.URL == "" {
		e.config.URL = "http://" + listener.Addr().String()
	}
	logs := slog.DiscardHandler
	if c.Logger != nil {
		logs = c.Logger.Handler()
	}
	handle, err := server.NewRestate().WithLogger(alwaysEnabled{logs}, true).WithIdentityV1(c.Identity...).Bind(e.workflow()).Handler()
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("tinyiorestate: Open: %w", err)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	e.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if e.enter() {
				defer e.serving.Done()
				ctx, interrupt := context.WithCancel(r.Context())
				defer interrupt()
				handle(w, r.WithContext(context.WithValue(ctx, interruptKey{}, interrupt)))
			}
		}),
		Protocols:         &protocols,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return e.base },
		ErrorLog:          slog.NewLogLogger(logs, slog.LevelWarn),
	}
	e.serving.Go(func() { _ = e.server.Serve(listener) }) // until Close
	return e, nil
}

// enter counts a request that is served, unless e is closed.
func (e *Engine) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.serving.Add(1)
	}
	return !e.closed
}

// Close stops serving. The runs that are driven here are put aside: their programs are unwound where they are, without noticing, and go on
// when the server finds them again, here or elsewhere. The contexts of their steps are done; Close waits until these have returned.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	e.stop(durable.ErrClosed)
	var err error
	if e.server != nil {
		err = e.server.Close()
	}
	e.serving.Wait()
	e.config.HTTP.CloseIdleConnections()
	return err
}

// Register tells the server where the programs are served. That is to be done once for each URL, by this or with the tools of Restate, and does
// no harm when it is done again. It waits for the server if that is not up yet.
func (e *Engine) Register(ctx context.Context) error {
	if e.server == nil {
		return errors.New("tinyiorestate: Register: nothing is served here; open the engine with an address to listen on")
	}
	known, err := e.register(ctx, false)
	if err == nil && !known { // the URL was that of another service before
		_, err = e.register(ctx, true)
	}
	return err
}

// register registers the URL, anew if force is true. It reports whether the server knows then that the service is there.
func (e *Engine) register(ctx context.Context, force bool) (known bool, err error) {
	var deployment struct{ Services []struct{ Name string } }
	in := map[string]any{"uri": e.config.URL, "force": force}
	err = e.ask(ctx, request{method: http.MethodPost, url: e.config.Admin + "/deployments", in: in}, &deployment)
	for _, s := range deployment.Services {
		known = known || s.Name == e.config.Service
	}
	return known, err
}

// Recover lets runs go on that the server has paused, after too many attempts that have failed: see [durable.Stopped]. All others go on by
// themselves.
func (e *Engine) Recover(ctx context.Context) error {
	stopped, err := e.stopped(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for id, i := range stopped {
		if i.Status != "paused" {
			continue // the server tries again by itself
		}
		err := e.ask(ctx, request{method: http.MethodPatch, url: e.config.Admin + "/invocations/" + i.Invocation + "/resume"}, nil)
		if err != nil {
			errs = append(errs, fmt.Errorf("tinyiorestate: run %q cannot go on: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// StartRun is that of [durable.Engine].
func (e *Engine) StartRun(ctx context.Context, program, id string, input json.RawMessage) error {
	if e.server != nil {
		if _, err := durable.Lookup(program); err != nil {
			return err
		}
	}
	var accepted struct{ Status string }
	r := request{method: http.MethodPost, url: e.config.Ingress + "/" + e.path(id, "run/send"), in: runRequest{program, input}}
	if err := e.ask(ctx, r, &accepted); err != nil || accepted.Status == "Accepted" {
		return err
	}
	var i info
	switch err := e.call(ctx, id, "info", nil, &i); {
	case errors.Is(err, durable.ErrEnded): // before it had begun; nobody knows of which program it was
		return nil
	case err != nil:
		return err
	case i.Program != program:
		return anotherProgram(id, i.Program, program)
	}
	return nil
}

// SignalRun is that of [durable.Engine]. A run that was killed by way of the server takes signals as if it had not ended.
func (e *Engine) SignalRun(ctx context.Context, id, name string, value json.RawMessage) error {
	return e.call(ctx, id, "send", message{Signal: name, Value: value}, nil)
}

// CancelRun is that of [durable.Engine].
func (e *Engine) CancelRun(ctx context.Context, id string, cause error) error {
	err := e.call(ctx, id, "send", message{Cancel: durable.EncodeError(cause)}, nil)
	if errors.Is(err, durable.ErrEnded) {
		return nil
	}
	return err
}

// AwaitRun is that of [durable.Engine].
func (e *Engine) AwaitRun(ctx context.Context, id string, patient bool) (json.RawMessage, error) {
	for glance := time.Second; ; glance = min(2*glance, time.Minute) {
		var value json.RawMessage
		limited, cancel := context.WithTimeoutCause(ctx, glance, errGlance) // and then look whether the run is stopped
		err := e.ask(limited, request{method: http.MethodGet, url: e.config.Ingress + "/restate/workflow/" + e.path(id, "attach")}, &value)
		cancel()
		switch {
		case err == nil:
			return value, nil
		case statusOf(err) == codeUnknown:
			return nil, fmt.Errorf("%w: %q", durable.ErrUnknown, id)
		case statusOf(err) != 0:
			return nil, e.failure(ctx, id, err)
		case ctx.Err() != nil || !errors.Is(err, errGlance):
			return nil, err
		case patient:
			continue
		}
		if stopped, err := e.stopped(ctx); err == nil { // if that is not known, it can be waited for all the same
			if i, ok := stopped[id]; ok {
				return nil, i.why()
			}
		}
	}
}

// failure is the error of a run that has failed. The server has only its text.
func (e *Engine) failure(ctx context.Context, id string, text error) error {
	var i info
	switch err := e.call(ctx, id, "info", nil, &i); {
	case err != nil && !errors.Is(err, durable.ErrEnded):
		return err
	case i.End == nil: // the program has not ended, but somebody has killed it
		return &durable.RunError{ID: id, Err: fmt.Errorf("tinyiorestate: run %q was ended: %w", id, text), Cancelled: true}
	}
	return &durable.RunError{ID: id, Err: i.End.err(id), Cancelled: i.End.State == durable.Cancelled}
}

var errGlance = errors.New("tinyiorestate: it takes longer")

// An invocation is a run as the server sees it.
type invocation struct {
	Invocation string    `json:"id"`
	Run        string    `json:"target_service_key"`
	Status     string    `json:"status"`
	Created    time.Time `json:"created_at"`
	Result     string    `json:"completion_result"`
	Failure    string    `json:"completion_failure"`
	Last       string    `json:"last_failure"`
	Code       string    `json:"last_failure_error_code"`
}

// mismatch is the code of the failure that a program does not do what it did.
const mismatch = "RT0016"

// isStopped reports that the run cannot go on for now: the server has paused it after too many attempts, or no attempt will ever succeed
// while the program is as it is.
func (i invocation) isStopped() bool {
	return i.Status == "paused" || i.Status != "completed" && i.Code == mismatch
}

// why is why a run is stopped.
func (i invocation) why() error {
	return fmt.Errorf("tinyiorestate: run %q cannot go on: %s", i.Run, cmp.Or(i.Last, "the server has paused it"))
}

// invocations returns the runs that the server has.
func (e *Engine) invocations(ctx context.Context, where string) ([]invocation, error) {
	var rows struct{ Rows []invocation }
	err := e.query(ctx, "SELECT id, target_service_key, status, created_at, completion_result, completion_failure, last_failure, last_failure_error_code FROM sys_invocation "+
		"WHERE target_handler_name = 'run' AND target_service_name = "+quote(e.config.Service)+where, &rows)
	return rows.Rows, err
}

// stopped returns the runs that cannot go on for now, by their ids.
func (e *Engine) stopped(ctx context.Context) (map[string]invocation, error) {
	all, err := e.invocations(ctx, " AND (status = 'paused' OR last_failure_error_code = "+quote(mismatch)+")")
	byID := map[string]invocation{}
	for _, i := range all {
		if i.isStopped() {
			byID[i.Run] = i
		}
	}
	return byID, err
}

// Runs is that of [durable.Engine]. It has the runs of the service that the server has not forgotten.
func (e *Engine) Runs(ctx context.Context) iter.Seq2[durable.Info, error] {
	return func(yield func(durable.Info, error) bool) {
		all, err := e.infos(ctx)
		if err != nil {
			yield(durable.Info{}, err)
			return
		}
		for _, i := range all {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (e *Engine) infos(ctx context.Context) ([]durable.Info, error) {
	all, err := e.invocations(ctx, "")
	if err != nil {
		return nil, err
	}
	starts, err := values[started](e, ctx, "SELECT service_key, value_utf8 AS value FROM state WHERE key = "+quote(stateStart))
	if err != nil {
		return nil, err
	}
	ends, err := values[end](e, ctx, "SELECT service_key, completion_success_value_utf8 AS value FROM sys_promise WHERE completed AND key = 'end'")
	if err != nil {
		return nil, err
	}
	infos := make([]durable.Info, 0, len(all))
	for _, i := range all {
		info := durable.Info{ID: i.Run, State: durable.Running, Started: i.Created}
		if s, ok := starts[i.Run]; ok {
			info.Program, info.Started = s.Program, time.Unix(0, s.At).UTC()
		}
		last, ended := ends[i.Run]
		switch {
		case ended:
			info.State, info.Err = last.State, last.err(i.Run)
		case i.Result == "failure":
			info.State, info.Err = durable.Cancelled, errors.New(i.Failure)
		case i.isStopped():
			info.State, info.Err = durable.Stopped, i.why()
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b durable.Info) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	return infos, nil
}

// values returns what the server keeps of the runs, by their ids.
func values[T any](e *Engine, ctx context.Context, sql string) (map[string]T, error) {
	var rows struct {
		Rows []struct {
			Run   string `json:"service_key"`
			Value string `json:"value"`
		}
	}
	if err := e.query(ctx, sql+" AND service_name = "+quote(e.config.Service), &rows); err != nil {
		return nil, err
	}
	all := map[string]T{}
	for _, r := range rows.Rows {
		var v T
		if err := json.Unmarshal([]byte(r.Value), &v); err != nil {
			return nil, fmt.Errorf("tinyiorestate: what the server keeps of run %q cannot be read: %w", r.Run, err)
		}
		all[r.Run] = v
	}
	return all, nil
}

// Status tells what each coroutine of a run is doing, as [tinyio.Loop.Status] does. It is empty if that is not known here: the run is driven in
// another process, or the server has let go of it because it waits for long. Of a run that has ended it is nil.
func (e *Engine) Status(ctx context.Context, id string) ([]tinyio.Status, error) {
	var i info
	switch err := e.call(ctx, id, "info", nil, &i); {
	case errors.Is(err, durable.ErrEnded):
		return nil, nil
	case err != nil || i.End != nil:
		return nil, err
	}
	e.mu.Lock()
	d := e.drivers[id]
	e.mu.Unlock()
	if d == nil {
		return []tinyio.Status{}, nil
	}
	return d.status(), nil
}
