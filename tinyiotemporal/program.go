package tinyiotemporal

import (
	"encoding/json"
	"fmt"

	"github.com/tinyio-go/tinyio"
	"go.temporal.io/sdk/workflow"
)

// Context is the context of the workflow that co is part of: for its information and its logger, and for what else makes no command and does
// not wait. For calls of the SDK that have a future there is [Future].
func Context(co *tinyio.Co) workflow.Context { return must(co, "Context").ctx }

// Query has the workflow answer queries of a name with fn, which is what workflow.SetQueryHandler takes: a function of any arguments, which
// returns a value and an error. It is called between two turns, and must not change anything.
func Query(co *tinyio.Co, name string, fn any) {
	d := must(co, "Query")
	if name == coroutines {
		panic("tinyiotemporal: Query: the name \"coroutines\" is that of the query that every run answers; take another one")
	}
	d.todo = append(d.todo, func() {
		if err := workflow.SetQueryHandler(d.ctx, name, fn); err != nil {
			panic(fmt.Errorf("tinyiotemporal: Query %q of run %q: %w", name, d.ID(), err))
		}
	})
}

// Update has the workflow handle updates of a name, each by fn in a coroutine of its own, which belongs to the run: so the run ends when they
// have. An error is that of the update and not of the run. A program whose updates are wanted from the beginning calls Update before it waits for
// anything.
func Update[In, Out any](co *tinyio.Co, name string, fn func(co *tinyio.Co, in In) (Out, error), opts ...workflow.UpdateHandlerOptions) {
	d := must(co, "Update")
	if fn == nil || len(opts) > 1 {
		panic("tinyiotemporal: Update: the function is nil, or there is more than one set of options; it needs a function, and one at most")
	}
	var o workflow.UpdateHandlerOptions
	if len(opts) == 1 {
		o = opts[0]
	}
	handler := func(ctx workflow.Context, in In) (Out, error) {
		var out Out
		var err error
		u, done := new(update), false
		u.refuse = func(cause error) { err, done = cause, true }
		work := tinyio.New(func(co *tinyio.Co) (Out, error) { return fn(co, in) }).Named("update " + name)
		u.work = tinyio.Do(func(co *tinyio.Co) error {
			defer func() { done = true }()
			err = fmt.Errorf("tinyiotemporal: update %q has called runtime.Goexit", name)
			out, err = tinyio.Isolate(co, work)
			return co.Err()
		}).Named("update " + name)
		d.updates = append(d.updates, u)
		ctx, _ = workflow.NewDisconnectedContext(ctx) // fn hears of the end of the run by its co
		_ = workflow.Await(ctx, func() bool { return done })
		if err != nil {
			return out, applicationError(err)
		}
		return out, nil
	}
	d.todo = append(d.todo, func() {
		if err := workflow.SetUpdateHandlerWithOptions(d.ctx, name, handler, o); err != nil {
			panic(fmt.Errorf("tinyiotemporal: Update %q of run %q: %w", name, d.ID(), err))
		}
	})
}

// An update is one that has come.
type update struct {
	work   *tinyio.Coro[tinyio.Void]
	refuse func(error) // instead of the work
}

// ContinueAsNew is an error for a program to end with: the run goes on with another input, and an empty history. Everything else in the run is
// stopped, as by any error. Signals that nobody has received are kept. If clean-up fails the run fails.
//
// The size of a history is limited: see [ShouldContinueAsNew].
func ContinueAsNew[In any](co *tinyio.Co, in In) error {
	d := must(co, "ContinueAsNew")
	input, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("tinyiotemporal: ContinueAsNew: the input of run %q cannot be recorded: %w", d.ID(), err)
	}
	return &again{input}
}

// An again is the error of ContinueAsNew.
type again struct{ input json.RawMessage }

func (*again) Error() string { return "tinyiotemporal: the run continues as new" }

// ShouldContinueAsNew reports that the service thinks that the history of the run has become long: some thousand steps.
func ShouldContinueAsNew(co *tinyio.Co) bool {
	return must(co, "ShouldContinueAsNew").info.GetContinueAsNewSuggested()
}
