package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// Errors are recorded as trees. What is read back has the same text, the same branches, and is the same to [errors.Is] and [errors.As] for the
// errors that are known here: whether a coroutine has stopped cleanly depends on each leaf of its error.

// A failure is an error as it is recorded.
type failure struct {
	Text   string          `json:"text,omitempty"`
	Value  string          `json:"value,omitempty"` // the name of a known error that it is
	Type   string          `json:"type,omitempty"`  // the name of its type, if that is known
	Data   json.RawMessage `json:"data,omitempty"`  // of that type
	Is     []string        `json:"is,omitempty"`    // known errors that a leaf says that it is
	Stop   int             `json:"stop,omitempty"`  // the number of the stop, from 1, of which it is the error
	Cause  int             `json:"cause,omitempty"` // the same, of which it is the cause
	Causes []*failure      `json:"errs,omitempty"`  // what it wraps
}

// errorTable is the errors that are known by name.
var errorTable = struct {
	sync.RWMutex
	names  []string // of the values, in the order in which they were registered
	values map[string]error
	types  map[string]reflect.Type
	byType map[reflect.Type]string
}{
	values: map[string]error{},
	types:  map[string]reflect.Type{},
	byType: map[reflect.Type]string{},
}

func init() {
	for _, e := range []struct {
		name string
		err  error
	}{
		{"context.Canceled", context.Canceled},
		{"context.DeadlineExceeded", context.DeadlineExceeded},
		{"tinyio.ErrCancelled", tinyio.ErrCancelled},
		{"tinyio.ErrTimeout", tinyio.ErrTimeout},
		{"tinyio.ErrClosed", tinyio.ErrClosed},
		{"tinyio.ErrAbandoned", tinyio.ErrAbandoned},
		{"tinyio.ErrNotRunning", tinyio.ErrNotRunning},
		{"io.EOF", io.EOF},
		{"io.ErrUnexpectedEOF", io.ErrUnexpectedEOF},
		{"io.ErrClosedPipe", io.ErrClosedPipe},
		{"fs.ErrNotExist", fs.ErrNotExist},
		{"fs.ErrExist", fs.ErrExist},
		{"fs.ErrPermission", fs.ErrPermission},
		{"fs.ErrClosed", fs.ErrClosed},
		{"os.ErrDeadlineExceeded", os.ErrDeadlineExceeded},
		{"errors.ErrUnsupported", errors.ErrUnsupported},
		{"durable.ErrUnknown", ErrUnknown},
		{"durable.ErrEnded", ErrEnded},
	} {
		RegisterError(e.name, e.err)
	}
	for _, name := range slices.Sorted(maps.Keys(gate.Causes)) {
		RegisterError(name, gate.Causes[name])
	}
}

// RegisterError makes an error value known by name, as ErrNoStock in a package of errors: what is recorded of it is that name, and
// [errors.Is] finds it in what is read back. It is for init functions. It panics if the name or the error is taken.
func RegisterError(name string, err error) {
	if name == "" || err == nil {
		panic("durable: RegisterError: the name is empty or the error is nil; it needs both")
	}
	t := &errorTable
	t.Lock()
	defer t.Unlock()
	if _, taken := t.values[name]; taken {
		panic(fmt.Sprintf("durable: RegisterError: %q is registered already; give each error a name of its own", name))
	}
	t.names = append(t.names, name)
	t.values[name] = err
}

// RegisterErrorType makes the error type E known by name: what is recorded of an E is what [encoding/json] makes of it, and [errors.As] finds
// it in what is read back. It is for init functions. It panics if the name or the type is taken.
func RegisterErrorType[E error](name string) {
	typ := reflect.TypeFor[E]()
	if name == "" || typ.Kind() == reflect.Interface {
		panic("durable: RegisterErrorType: the name is empty or the type is an interface; it needs a name and a type of its own")
	}
	t := &errorTable
	t.Lock()
	defer t.Unlock()
	_, taken := t.types[name]
	if _, again := t.byType[typ]; taken || again {
		panic(fmt.Sprintf("durable: RegisterErrorType: %q or %v is registered already", name, typ))
	}
	t.types[name], t.byType[typ] = typ, name
}

// stops are the errors for which coroutines of a run have been stopped, in order. A step that returns the cause of its context returns
// one of these, and is to return the very same one when its result is read back: tinyio tells a clean stop by that.
type stops struct {
	first int // the number of the first that is kept, from 1
	errs  []error
}

// keptStops is how many stops are kept. A step that returns an older one has it recorded as an error like any other.
const keptStops = 64

func (s *stops) add(err error) {
	if n := len(s.errs); n > 0 && s.errs[n-1] == err {
		return
	}
	if s.first == 0 {
		s.first = 1
	}
	if len(s.errs) == keptStops {
		s.first++
		s.errs = append(s.errs[:0], s.errs[1:]...)
	}
	s.errs = append(s.errs, err)
}

// find returns the number of the stop whose error, or whose cause, is err; 0 if there is none.
func (s *stops) find(err error) (stop, cause int) {
	if s == nil || !reflect.ValueOf(err).Comparable() {
		return 0, 0
	}
	for i := len(s.errs) - 1; i >= 0; i-- {
		if s.errs[i] == err {
			return s.first + i, 0
		}
		if causeOf(s.errs[i]) == err {
			return 0, s.first + i
		}
	}
	return 0, 0
}

func (s *stops) get(n int) error {
	if s == nil || n < s.first || n >= s.first+len(s.errs) {
		return nil
	}
	return s.errs[n-s.first]
}

// causeOf is what the context of a coroutine that was stopped with err tells, if that is comparable.
func causeOf(err error) error {
	if c, ok := err.(*tinyio.CancelledError); ok {
		if c.Cause != nil && reflect.ValueOf(c.Cause).Comparable() {
			return c.Cause
		}
		return nil
	}
	return err
}

// encodeError returns err as it is recorded; s may be nil.
func encodeError(err error, s *stops) *failure {
	if err == nil {
		return nil
	}
	if stop, cause := s.find(err); stop+cause > 0 {
		return &failure{Text: err.Error(), Stop: stop, Cause: cause}
	}
	if p := panicIn(err); p != nil {
		err = p
	}
	if name := valueName(err); name != "" {
		return &failure{Value: name}
	}
	f := new(failure)
	var data any
	var causes []error
	switch e := err.(type) {
	case *tinyio.CancelledError:
		f.Type, causes = "tinyio.CancelledError", []error{e.Cause}
	case *tinyio.TimeoutError:
		f.Type, data, causes = "tinyio.TimeoutError", timeoutData{e.After, e.Coro, e.Trace}, e.Cleanup
	case *tinyio.PanicError:
		f.Type, data = "tinyio.PanicError", panicData{fmt.Sprint(e.Value), string(e.Stack), e.Trace}
	case *tinyio.ErrorGroup:
		f.Type, causes = "tinyio.ErrorGroup", e.Errs
	case *tinyio.Error:
		f.Type, data, causes = "tinyio.Error", e.Trace, []error{e.Err}
	case *RetryError:
		f.Type, data, causes = "durable.RetryError", retryData{e.Step, e.Attempts}, []error{e.Err}
	case *restored:
		return e.from
	default:
		f.Text = err.Error()
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			causes = []error{e.Unwrap()}
		case interface{ Unwrap() []error }:
			causes = e.Unwrap()
		}
		errorTable.RLock()
		name, known := errorTable.byType[reflect.TypeOf(err)]
		errorTable.RUnlock()
		if known {
			f.Type, data = name, err
		}
	}
	for _, cause := range causes {
		if cause != nil {
			f.Causes = append(f.Causes, encodeError(cause, s))
		}
	}
	if data != nil {
		var cannot error
		if f.Data, cannot = json.Marshal(data); cannot != nil {
			f.Type, f.Text = "", err.Error()
		}
	}
	if f.Type == "" && f.Causes == nil {
		f.Is = isWhat(err)
	}
	return f
}

type timeoutData struct {
	After time.Duration
	Coro  string
	Trace []tinyio.Frame `json:",omitempty"`
}

type retryData struct {
	Step     string
	Attempts int
}

type panicData struct {
	Value, Stack string
	Trace        []tinyio.Frame `json:",omitempty"`
}

// panicIn returns the panic that err is, if it is how a thread that has panicked ends: a type of package tinyio's own, around the
// *PanicError.
func panicIn(err error) *tinyio.PanicError {
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Struct || v.NumField() != 1 {
		return nil
	}
	p, _ := fieldOf(v).(*tinyio.PanicError)
	return p
}

func fieldOf(v reflect.Value) any {
	if f := v.Field(0); f.CanInterface() {
		return f.Interface()
	}
	return nil
}

// valueName returns the name under which err itself is known.
func valueName(err error) string {
	if !reflect.ValueOf(err).Comparable() {
		return ""
	}
	errorTable.RLock()
	defer errorTable.RUnlock()
	for _, name := range errorTable.names {
		if errorTable.values[name] == err {
			return name
		}
	}
	return ""
}

// isWhat returns the known errors that err, a leaf, says that it is.
func isWhat(err error) (names []string) {
	errorTable.RLock()
	defer errorTable.RUnlock()
	for _, name := range errorTable.names {
		if errors.Is(err, errorTable.values[name]) {
			names = append(names, name)
		}
	}
	return names
}

// decode returns the error that was recorded as f; s is the stops of the run, so far, or nil.
func (f *failure) decode(s *stops) error {
	if f == nil {
		return nil
	}
	if f.Stop > 0 {
		if err := s.get(f.Stop); err != nil {
			return err
		}
		return errors.New(f.Text)
	}
	if f.Cause > 0 {
		if err := s.get(f.Cause); err != nil {
			return causeOf(err)
		}
		return errors.New(f.Text)
	}
	errorTable.RLock()
	value, typ := errorTable.values[f.Value], errorTable.types[f.Type]
	errorTable.RUnlock()
	if f.Value != "" {
		if value == nil {
			return &restored{from: f, text: f.Value + " (which this program has not registered)"}
		}
		return value
	}
	var causes []error
	for _, c := range f.Causes {
		causes = append(causes, c.decode(s))
	}
	first := func() error {
		if len(causes) > 0 {
			return causes[0]
		}
		return errors.New(f.Text)
	}
	switch f.Type {
	case "tinyio.CancelledError":
		return &tinyio.CancelledError{Cause: first()}
	case "tinyio.TimeoutError":
		var d timeoutData
		_ = json.Unmarshal(f.Data, &d) // what cannot be read is left out: it is for people
		return &tinyio.TimeoutError{After: d.After, Coro: d.Coro, Trace: d.Trace, Cleanup: causes}
	case "tinyio.PanicError":
		var d panicData
		_ = json.Unmarshal(f.Data, &d)
		return &tinyio.PanicError{Value: d.Value, Stack: []byte(d.Stack), Trace: d.Trace}
	case "tinyio.ErrorGroup":
		return &tinyio.ErrorGroup{Errs: causes}
	case "durable.RetryError":
		e := &RetryError{Err: first()}
		var d retryData
		_ = json.Unmarshal(f.Data, &d)
		e.Step, e.Attempts = d.Step, d.Attempts
		return e
	case "tinyio.Error":
		e := &tinyio.Error{Err: first()}
		_ = json.Unmarshal(f.Data, &e.Trace)
		return e
	}
	r := &restored{from: f, text: f.Text, causes: causes}
	if typ != nil {
		if v := reflect.New(typ); json.Unmarshal(f.Data, v.Interface()) == nil {
			r.typed, _ = v.Elem().Interface().(error)
		}
	}
	if r.typed != nil && len(causes) == 0 {
		return r.typed
	}
	return r
}

// A restored error has been read back.
type restored struct {
	from   *failure
	text   string
	typed  error // if it is of a known type
	causes []error
}

func (e *restored) Error() string { return e.text }

func (e *restored) Unwrap() []error { return e.causes }

// Is reports whether e said that it was target, when it was recorded.
func (e *restored) Is(target error) bool {
	if target == nil || !reflect.ValueOf(target).Comparable() {
		return false
	}
	errorTable.RLock()
	defer errorTable.RUnlock()
	for _, name := range e.from.Is {
		if errorTable.values[name] == target {
			return true
		}
	}
	return false
}

// As sets target to the error that e was, if its type is known and fits.
func (e *restored) As(target any) bool {
	if e.typed == nil {
		return false
	}
	to := reflect.ValueOf(target).Elem()
	if !reflect.TypeOf(e.typed).AssignableTo(to.Type()) {
		return false
	}
	to.Set(reflect.ValueOf(e.typed))
	return true
}

// Format writes the traces of what e wraps for %+v, and the text otherwise.
func (e *restored) Format(s fmt.State, verb rune) {
	if verb != 'v' || !s.Flag('+') {
		fmt.Fprintf(s, fmt.FormatString(s, verb), plainError{e.text})
		return
	}
	io.WriteString(s, e.text)
	for _, c := range e.causes {
		if text := fmt.Sprintf("%+v", c); strings.Contains(text, "\n") {
			fmt.Fprintf(s, "\n%s", text)
		}
	}
}

type plainError struct{ text string }

func (e plainError) Error() string { return e.text }
