package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/lookin"
)

// An Engine keeps the runs of programs. The [Journal] is one; an adapter for a workflow service is another. Users call [Start], [Signal] and
// the methods of a [Run], which need these.
//
// Inputs, values and results are JSON. The methods may be called from any goroutine.
type Engine interface {
	// StartRun starts a run of a program, and returns when it will not be forgotten any more. If there is a run with that id, it does
	// nothing, unless that is of another program: then it is an error.
	StartRun(ctx context.Context, program, id string, input json.RawMessage) error
	// AwaitRun returns the result of a run, or its error, when it has ended. The error of a run is a *RunError around what the program has
	// returned; any other error says why the engine cannot tell. Of a run that is stopped it is the reason, unless patient is true: then
	// AwaitRun waits until the run has gone on, and ended.
	AwaitRun(ctx context.Context, id string, patient bool) (json.RawMessage, error)
	// CancelRun asks a run to stop, and returns when that will not be forgotten any more. If the run has ended it does nothing.
	CancelRun(ctx context.Context, id string, cause error) error
	// SignalRun sends a value to a run, and returns when that will not be forgotten any more.
	SignalRun(ctx context.Context, id, name string, value json.RawMessage) error
	// Runs ranges over the runs that the engine knows, in the order in which they were started.
	Runs(ctx context.Context) iter.Seq2[Info, error]
}

var (
	// ErrUnknown is the error for an id that no run has.
	ErrUnknown = errors.New("durable: there is no run with that id")
	// ErrEnded is the error of a signal to a run that has ended.
	ErrEnded = errors.New("durable: the run has ended")
	// ErrClosed is the error of what is asked of a Journal that has been closed, and the cause of the contexts of the steps that it stops.
	ErrClosed = errors.New("durable: the journal has been closed; its runs go on when it is opened again")
)

// A State says how far a run is.
type State string

const (
	Running   State = "running"   // it has not ended; if the engine has just been opened, Recover lets it go on
	Succeeded State = "succeeded" // it has returned a value
	Failed    State = "failed"    // it has returned an error
	Cancelled State = "cancelled" // it has ended because somebody cancelled it
	Stopped   State = "stopped"   // it cannot go on for now, as Err says; when that has been put right, Recover lets it
)

// Ended reports that nothing will happen in a run in state s any more.
func (s State) Ended() bool { return s == Succeeded || s == Failed || s == Cancelled }

// An Info says what an engine knows of a run.
type Info struct {
	ID      string
	Program string
	State   State
	Started time.Time
	Err     error // of one that has failed, was cancelled or is stopped
}

// A RunError is the error with which the program of a run has ended, as an [Engine] returns it.
type RunError struct {
	ID        string
	Err       error
	Cancelled bool // it has ended because somebody cancelled it
}

func (e *RunError) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *RunError) Unwrap() error { return e.Err }

// A Program is one that was registered, in the hands of an engine.
type Program struct {
	name  string
	start func(ctx context.Context, l *tinyio.Loop, input json.RawMessage) (Execution, error)
	takes func(input json.RawMessage) error // is an error if that is no input for it
}

// An Execution is a program as it runs, step by step: a [tinyio.Runtime].
type Execution interface {
	// Steps is that of tinyio.Runtime. A panic of the program comes out of the range.
	Steps() iter.Seq[tinyio.Pause]
	// Discard is that of tinyio.Runtime.
	Discard()
	// Result is the result, when the range over Steps has ended.
	Result() (json.RawMessage, error)
}

// A Host is what an engine provides to the coroutines of one execution, through their context: see [WithHost]. A [Driver] has most of it.
// Functions of threads come to the engine through [tinyio.WithThreads]; what it does with them is said for [Pending].
type Host interface {
	// ID is that of the run.
	ID() string
	// Child starts a run of a program, and waits for its end: see the function Child. If id is empty, it is made from that of the run and
	// the number of the step.
	Child(co *tinyio.Co, program, id string, input json.RawMessage) (json.RawMessage, error)
	// Receive waits for the next signal of a name.
	Receive(co *tinyio.Co, name string) (json.RawMessage, error)
	// Version returns the version of a change that holds in the run: see the function Version.
	Version(co *tinyio.Co, change string, min, max int) (int, error)
	// Random returns the run's source of random numbers, which gives the same ones whenever the run is replayed.
	Random() *rand.Rand
	// NameStep gives a name to the next function that is handed over to a thread, which happens before the coroutine suspends, or
	// takes that back if name is empty. It returns the number that the step will have.
	NameStep(name string) int
}

type hostKey struct{}

// WithHost returns a context in which a program finds its host. It is for engines.
func WithHost(ctx context.Context, h Host) context.Context {
	return context.WithValue(ctx, hostKey{}, h)
}

// hostOf returns the host of a coroutine.
func hostOf(co *tinyio.Co, op string) Host {
	h, ok := co.Value(hostKey{}).(Host)
	if !ok {
		panic("durable: " + op + ": the coroutine is not part of a durable run; start its program with durable.Start")
	}
	if who, ok := co.Value(lookin.WhoKey{}).(lookin.Who); ok && who.Loop != co.Value(loopKey{}) {
		panic("durable: " + op + ": the coroutine is on a loop of its own, inside a durable run, and nothing there is recorded; await it in the program instead")
	}
	return h
}

// A loopKey is the key of the loop on which a program runs.
type loopKey struct{}

var programs struct {
	sync.RWMutex
	byName map[string]*Program
}

// Register makes a program known under a name. The name is what a journal knows it by, so it has to stay when the function
// moves. It is for init functions, and panics if the name is taken.
//
// The function program is called anew whenever a run begins or is replayed, with the input as it was recorded, and returns its
// first coroutine. Input and result must survive [encoding/json].
func Register[In, Out any](name string, program func(in In) *tinyio.Coro[Out]) {
	if name == "" || program == nil {
		panic("durable: Register: the name is empty or the function is nil; it needs both")
	}
	p := &Program{name: name, start: func(ctx context.Context, l *tinyio.Loop, input json.RawMessage) (Execution, error) {
		var in In
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, fmt.Errorf("durable: the recorded input of program %q is no %T: %w", name, in, err)
		}
		return &execution[Out]{tinyio.Start(ctx, l, program(in))}, nil
	}, takes: func(input json.RawMessage) error {
		var in In
		return json.Unmarshal(input, &in)
	}}
	programs.Lock()
	defer programs.Unlock()
	if programs.byName == nil {
		programs.byName = map[string]*Program{}
	}
	if programs.byName[name] != nil {
		panic(fmt.Sprintf("durable: Register: %q is registered already; give each program a name of its own", name))
	}
	programs.byName[name] = p
}

// Lookup returns the program that was registered under a name. It is for engines.
func Lookup(name string) (*Program, error) {
	programs.RLock()
	defer programs.RUnlock()
	if p := programs.byName[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("durable: no program %q is registered; call Register in an init function of a package that is linked in", name)
}

// Programs returns all programs that have been registered, by name. It is for engines.
func Programs() []*Program {
	programs.RLock()
	defer programs.RUnlock()
	all := slices.Collect(maps.Values(programs.byName))
	slices.SortFunc(all, func(p, q *Program) int { return strings.Compare(p.name, q.name) })
	return all
}

// Name is the name under which p was registered.
func (p *Program) Name() string { return p.name }

// Start begins an execution of p on l, in a context with a host: see [WithHost].
func (p *Program) Start(ctx context.Context, l *tinyio.Loop, input json.RawMessage) (Execution, error) {
	return p.start(context.WithValue(ctx, loopKey{}, l), l, input)
}

// An execution is an Execution of a program with a result of type Out.
type execution[Out any] struct{ *tinyio.Runtime[Out] }

func (x *execution[Out]) Result() (json.RawMessage, error) {
	v, err := x.Runtime.Result()
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("durable: the result of the program cannot be recorded: %w", err)
	}
	return out, nil
}

// A Run is a handle to a run of a program.
type Run[Out any] struct {
	engine Engine
	id     string
}

// Start starts a run of a program, and returns a handle to it once it is sure to go on to its end, whatever happens to the process. The run
// goes on in the background. If there is a run with that id already, Start returns a handle to that: in has no meaning then. So a caller
// who does not know whether an earlier call has got through calls it again. It is an error if in, as JSON, is no input for the program.
func Start[In, Out any](ctx context.Context, e Engine, program, id string, in In) (*Run[Out], error) {
	if e == nil || id == "" {
		panic("durable: Start: the engine is nil or the id is empty; the id is what the run is found by again")
	}
	input, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("durable: Start: the input of run %q cannot be recorded: %w", id, err)
	}
	if p, err := Lookup(program); err == nil { // otherwise the engine may know it
		if err := p.takes(input); err != nil {
			return nil, fmt.Errorf("durable: Start: the input of run %q, a %T, is none for program %q: %w", id, in, program, err)
		}
	}
	if err := e.StartRun(ctx, program, id, input); err != nil {
		return nil, err
	}
	return &Run[Out]{e, id}, nil
}

// Find returns a handle to a run that has been started, which the first call of a method looks for.
func Find[Out any](e Engine, id string) *Run[Out] { return &Run[Out]{e, id} }

// ID is the id of the run.
func (r *Run[Out]) ID() string { return r.id }

// Result waits until the run has ended, and returns its result, or the error of its program. Any time later it returns the same. If the run
// cannot go on, the error says why: see [Stopped]. If ctx is done first, the error is context.Cause(ctx); the run does not care.
func (r *Run[Out]) Result(ctx context.Context) (Out, error) {
	out, err := r.await(ctx, false)
	if e, ok := err.(*RunError); ok {
		err = e.Err
	}
	return out, err
}

// await is Result with a *RunError for the error of the program.
func (r *Run[Out]) await(ctx context.Context, patient bool) (Out, error) {
	var out Out
	v, err := r.engine.AwaitRun(ctx, r.id, patient)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(v, &out); err != nil {
		return out, fmt.Errorf("durable: the recorded result of run %q is no %T: %w", r.id, out, err)
	}
	return out, nil
}

// Cancel asks the run to stop: its program is cancelled as by the end of the context given to [tinyio.Run], with that cause, or
// context.Canceled if it is nil. It returns when the request is recorded; Result returns the outcome. A run that has ended does not change.
func (r *Run[Out]) Cancel(ctx context.Context, cause error) error {
	if cause == nil {
		cause = context.Canceled
	}
	return r.engine.CancelRun(ctx, r.id, cause)
}

// Signal sends a value to a run, whose program gets it from [Receive]. It returns when the value is recorded: then the run has it for certain, and
// once. If it returns an error, such as that of ctx, the run may have it or not. A run that has ended takes none: [ErrEnded].
func Signal[T any](ctx context.Context, e Engine, id, name string, v T) error {
	value, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("durable: Signal: the value of %q for run %q cannot be recorded: %w", name, id, err)
	}
	return e.SignalRun(ctx, id, name, value)
}
