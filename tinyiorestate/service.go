package tinyiorestate

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	restate "github.com/restatedev/sdk-go"
	"github.com/tinyio-go/tinyio/durable"
)

// A run is a workflow, whose key is its id. What others have to say to it, and it to them, are promises of the workflow, each of which is
// resolved once:
//
//	0, 1, …   by who sends it something: signals and cancellations, in the order in which the run takes them in
//	end       by the run: how the program has ended
//
// The state of the workflow, which only the run can write:
const (
	stateStart   = "start"    // a started: the run has begun
	stateNext    = "next"     // the number of the promise that it waits for
	stateVersion = "version " // and the name of a change: the version that it has chosen
)

// What the handlers answer beside what they were asked for.
const (
	codeUnknown   = 404 // there is no such run, or it has not begun
	codeCancelled = 409 // it was cancelled; the server says so too
	codeEnded     = 410 // it has ended
)

// codeCompleted is the server's answer to who resolves a promise that has been resolved.
const codeCompleted = 409

// A runRequest is the input of the workflow.
type runRequest struct {
	Program string          `json:"program"`
	Input   json.RawMessage `json:"input"`
}

// A started is the beginning of a run.
type started struct {
	Program string `json:"program"`
	At      int64  `json:"at"` // nanoseconds since 1970
}

// A message is what is sent to a run.
type message struct {
	At     int64           `json:"at,omitempty"` // nanoseconds since 1970
	Signal string          `json:"signal,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
	Cancel json.RawMessage `json:"cancel,omitempty"` // an error, if it is a cancellation
	Early  bool            `json:"early,omitempty"`  // the sender knows that there is the run, if it has not begun
}

// An end is how a program has ended.
type end struct {
	Program string          `json:"program"`
	At      int64           `json:"at"` // nanoseconds since 1970, by the clock of the run
	State   durable.State   `json:"state"`
	Value   json.RawMessage `json:"value,omitempty"`
	Err     json.RawMessage `json:"err,omitempty"`
}

// err is the error of the program.
func (e *end) err(id string) error {
	if e.State == durable.Succeeded {
		return nil
	}
	err, ok := durable.DecodeError(e.Err)
	if !ok || err == nil {
		err = fmt.Errorf("tinyiorestate: the error of run %q cannot be read: %q", id, e.Err)
	}
	return err
}

// An info is what a run tells about itself.
type info struct {
	started
	End *end `json:"end,omitempty"` // if it has ended
}

// workflow is what is served.
func (e *Engine) workflow() restate.ServiceDefinition {
	var service []restate.ServiceDefinitionOption
	if d := e.config.StepTimeout; d > 0 {
		service = append(service, restate.WithAbortTimeout(d))
	}
	var run []restate.HandlerOption
	if d := e.config.Retention; d > 0 {
		run = append(run, restate.WithWorkflowRetention(d))
	}
	return restate.NewWorkflow(e.config.Service, service...).
		Handler("run", restate.NewWorkflowHandler(e.run, run...)).
		Handler("result", restate.NewWorkflowSharedHandler(e.result)).
		Handler("send", restate.NewWorkflowSharedHandler(e.send)).
		Handler("version", restate.NewWorkflowSharedHandler(e.version)).
		Handler("info", restate.NewWorkflowSharedHandler(e.info))
}

// now is the time, as it is when the handler is replayed.
func now(ctx restate.Context) (int64, restate.TerminalError) {
	return restate.Run(ctx, func(restate.RunContext) (int64, error) { return time.Now().UnixNano(), nil }, restate.WithName("now"))
}

// result waits for the end of a run, for the run that has started it.
func (e *Engine) result(ctx restate.WorkflowSharedContext, _ restate.Void) (end, error) {
	p := restate.Promise[end](ctx, "end")
	for {
		_, cancelled := restate.WaitFirst(ctx, p)
		if cancelled == nil {
			return p.Result()
		}
		// The one that has started it is being cancelled by way of the server, and this with it. It cancels the run, and waits for the end.
	}
}

// send sends something to a run.
func (e *Engine) send(ctx restate.WorkflowSharedContext, m message) (restate.Void, error) {
	if !m.Early {
		if _, err := begun(ctx); err != nil {
			return restate.Void{}, err
		}
	}
	last, err := peekEnd(ctx)
	if err == nil && last != nil {
		err = restate.ToTerminalError(durable.ErrEnded, restate.WithErrorCode(codeEnded))
	}
	if err != nil {
		return restate.Void{}, err
	}
	if m.At, err = now(ctx); err != nil {
		return restate.Void{}, err
	}
	n, err := restate.Get[int](ctx, stateNext)
	if err != nil {
		return restate.Void{}, err
	}
	for {
		resolved, err := resolve(ctx, strconv.Itoa(n), m)
		if resolved || err != nil {
			return restate.Void{}, err
		}
		n++ // that was somebody else
	}
}

// info tells about a run.
func (e *Engine) info(ctx restate.WorkflowSharedContext, _ restate.Void) (info, error) {
	s, err := begun(ctx)
	if err != nil {
		return info{}, err
	}
	last, err := peekEnd(ctx)
	if err != nil {
		return info{}, err
	}
	return info{s, last}, nil
}

// version tells which version of a change a run has chosen, if it has.
func (e *Engine) version(ctx restate.WorkflowSharedContext, change string) (*int, error) {
	return restate.Get[*int](ctx, stateVersion+change)
}

// begun is an error if the run has not begun.
func begun(ctx restate.WorkflowSharedContext) (started, restate.TerminalError) {
	s, err := restate.Get[*started](ctx, stateStart)
	if err == nil && s == nil {
		err = restate.ToTerminalError(durable.ErrUnknown, restate.WithErrorCode(codeUnknown))
	}
	if err != nil {
		return started{}, err
	}
	return *s, nil
}

// peekEnd returns how the run has ended, or nil.
func peekEnd(ctx restate.WorkflowSharedContext) (*end, restate.TerminalError) {
	return restate.Promise[*end](ctx, "end").Peek()
}

// resolve resolves a promise, unless that has been done.
func resolve(ctx restate.WorkflowSharedContext, name string, v any) (resolved bool, err restate.TerminalError) {
	err = restate.Promise[any](ctx, name).Resolve(v)
	if err != nil && err.Code() == codeCompleted {
		return false, nil
	}
	return err == nil, err
}

// run is the workflow: it drives the program.
func (e *Engine) run(ctx restate.WorkflowContext, r runRequest) (json.RawMessage, error) {
	at, cancelled := now(ctx)
	if cancelled != nil {
		return nil, cancelled
	}
	restate.Set(ctx, stateStart, started{r.Program, at})
	p, err := durable.Lookup(r.Program)
	if err != nil {
		return nil, err // the server tries again, until a process serves the program
	}
	d := newDriver(e, ctx, time.Unix(0, at))
	id := d.ID()
	e.mu.Lock()
	e.drivers[id] = d
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.drivers[id] == d {
			delete(e.drivers, id)
		}
	}()
	last, err := d.drive(p, r.Input)
	if err != nil {
		return nil, err
	}
	if _, err := resolve(ctx, "end", last); err != nil {
		return nil, err
	}
	switch last.State {
	case durable.Succeeded:
		return last.Value, nil
	case durable.Cancelled:
		return nil, restate.ToTerminalError(last.err(id), restate.WithErrorCode(codeCancelled))
	default:
		return nil, restate.ToTerminalError(last.err(id))
	}
}

// alwaysEnabled has the SDK tell, by what it logs of a program, whether that is being replayed: see replaying.
type alwaysEnabled struct{ slog.Handler }

const levelReplaying = slog.LevelError + 1000

func (h alwaysEnabled) Enabled(ctx context.Context, l slog.Level) bool {
	return l == levelReplaying || h.Handler.Enabled(ctx, l)
}

func (h alwaysEnabled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return alwaysEnabled{h.Handler.WithAttrs(attrs)}
}

func (h alwaysEnabled) WithGroup(name string) slog.Handler {
	return alwaysEnabled{h.Handler.WithGroup(name)}
}

// replaying reports whether more commands are on record than have been made by now. The SDK tells that only by dropping what is logged.
func replaying(ctx restate.Context) bool {
	return !ctx.Log().Enabled(context.Background(), levelReplaying)
}
