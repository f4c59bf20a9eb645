package tinyiotemporal

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A failure is the details of the error of a run, for package durable and for people.
type failure struct {
	Error json.RawMessage `json:"tinyio"`
	Trace string          `json:"trace"`
}

// maxTrace is about how many bytes of a trace are kept for people.
const maxTrace = 16 << 10

// failure is what the workflow ends with if the program has failed.
//
// It wraps nothing of that. The SDK looks for a cancellation, or for a run that continues as new, anywhere in an error: a clean-up that was
// cancelled would make the whole run pass for one that was.
func (d *driver) failure(e durable.End) error {
	err := e.Err
	if a := continuesAsNew(err); a != nil {
		d.hearSignals() // those that the service thinks have been received
		return workflow.NewContinueAsNewError(d.ctx, d.info.WorkflowType.Name, a.input, &rest{d.Taken(), d.Unreceived()})
	}
	if e.State == durable.Cancelled {
		return temporal.NewCanceledErrorWithOptions(temporal.CanceledErrorOptions{Message: message(err), Details: []any{details(err)}})
	}
	return applicationError(err)
}

// applicationError is err for the service.
func applicationError(err error) error {
	kind, o := typeOf(err), temporal.ApplicationErrorOptions{Details: []any{details(err)}}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		kind, o.NonRetryable = app.Type(), app.NonRetryable()
	}
	return temporal.NewApplicationErrorWithOptions(message(err), kind, o)
}

// message is the text of err, without the stack of a panic, which is in the details.
func message(err error) string {
	text := err.Error()
	var p *tinyio.PanicError
	if errors.As(err, &p) {
		text, _, _ = strings.Cut(text, "\n\n")
	}
	return text
}

func details(err error) failure {
	f := failure{durable.EncodeError(err), fmt.Sprintf("%+v", err)}
	if len(f.Trace) > maxTrace {
		f.Trace = strings.ToValidUTF8(f.Trace[:maxTrace], "") + "…"
	}
	return f
}

// continuesAsNew returns the error of ContinueAsNew if err is that and nothing else.
func continuesAsNew(err error) *again {
	for ; err != nil; err = errors.Unwrap(err) { // of a group it is nil
		if a, ok := err.(*again); ok {
			return a
		}
	}
	return nil
}

// typeOf names the type of what has gone wrong, for the service.
func typeOf(err error) string {
	for {
		switch e := err.(type) {
		case *tinyio.Error:
			err = e.Err
		case *tinyio.ErrorGroup:
			err = e.Errs[0]
		default:
			return reflect.TypeOf(err).String()
		}
	}
}
