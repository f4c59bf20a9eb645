package durable_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

var errKnown = errors.New("known by name")

// A codeError is known by its type, and wraps another.
type codeError struct {
	Code int
	err  error
}

func (e *codeError) Error() string { return fmt.Sprintf("code %d: %v", e.Code, e.err) }
func (e *codeError) Unwrap() error { return e.err }

// An isError says what it is.
type isError struct{}

func (isError) Error() string        { return "it depends" }
func (isError) Is(target error) bool { return target == context.Canceled || target == errKnown }

func init() {
	durable.RegisterError("test.errKnown", errKnown)
	durable.RegisterErrorType[*codeError]("test.codeError")
	do("test.causes", func(co *tinyio.Co) (string, error) {
		wait := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }
		_, err := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error {
			return co.Wait(tinyio.RunInThread(wait), tinyio.Do(func(co *tinyio.Co) error {
				if err := co.Sleep(time.Second); err != nil {
					return err
				}
				return errTest
			}))
		}))
		var group *tinyio.ErrorGroup
		if errors.As(err, &group) {
			return "", fmt.Errorf("the thread that was stopped for an error is taken for a failure: %w", err)
		}
		return err.Error(), co.Sleep(time.Hour)
	})
	do("test.zero", func(co *tinyio.Co) (string, error) {
		v, err := durable.Step(co, "both", func(context.Context) (int, error) { return 7, errTest })
		s := struct{ A, b int }{1, 2}
		s, _ = value(co, "struct", s)
		return fmt.Sprint(v, err, s), co.Sleep(time.Hour)
	})
}

func TestErrorsAreWhatTheyWere(t *testing.T) {
	timeout := &tinyio.TimeoutError{After: time.Second, Coro: "c", Trace: []tinyio.Frame{{Coro: "c", File: "f.go", Line: 3}}, Cleanup: []error{errKnown}}
	for _, err := range []error{
		errTest,
		errKnown,
		io.EOF,
		context.Canceled,
		context.DeadlineExceeded,
		fmt.Errorf("wrapped: %w", errKnown),
		fmt.Errorf("two: %w, %w", io.EOF, errKnown),
		errors.Join(context.Canceled, errTest),
		&codeError{7, io.ErrUnexpectedEOF},
		fmt.Errorf("deep: %w", &codeError{8, fs.ErrNotExist}),
		&codeError{9, nil},
		isError{},
		&os.PathError{Op: "open", Path: "p", Err: fs.ErrPermission},
		&tinyio.CancelledError{Cause: errKnown},
		timeout,
		&tinyio.Error{Err: timeout, Trace: []tinyio.Frame{{Coro: "root", Function: "f", File: "f.go", Line: 1}}},
		&tinyio.ErrorGroup{Errs: []error{errKnown, timeout}},
		&tinyio.PanicError{Value: "p", Stack: []byte("s")},
		&durable.RetryError{Step: "s", Attempts: 3, Err: errKnown},
	} {
		got := durable.EncodeAndDecode(err)
		again := durable.EncodeAndDecode(got)
		for _, got := range []error{got, again} {
			if got.Error() != err.Error() || !strings.Contains(fmt.Sprintf("%+v", got), strings.Split(fmt.Sprintf("%+v", err), "\n")[0]) {
				t.Errorf("%v has become %v", err, got)
			}
			for _, target := range []error{errKnown, io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded, tinyio.ErrCancelled,
				tinyio.ErrTimeout, fs.ErrNotExist, fs.ErrPermission} {
				if errors.Is(got, target) != errors.Is(err, target) {
					t.Errorf("%v: errors.Is of %v is %v", err, target, errors.Is(got, target))
				}
			}
			var c, cGot *codeError
			if errors.As(err, &c) != errors.As(got, &cGot) || c != nil && c.Code != cGot.Code {
				t.Errorf("%v: as a codeError it is %v", err, cGot)
			}
			var p, pGot *tinyio.PanicError
			if errors.As(err, &p) != errors.As(got, &pGot) {
				t.Errorf("%v: as a PanicError it is %v", err, pGot)
			}
			var r, rGot *durable.RetryError
			if errors.As(err, &r) != errors.As(got, &rGot) || r != nil && (r.Attempts != rGot.Attempts || r.Step != rGot.Step) {
				t.Errorf("%v: as a RetryError it is %v", err, rGot)
			}
		}
	}
	if durable.EncodeAndDecode(nil) != nil {
		t.Error("nil is an error")
	}
}

// replayed checks that a run has the same result if it is replayed before its end.
func replayed(t *testing.T, program, result string) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for range 3 {
			j := open(t, dir)
			start[string](t, j, program, "one", struct{}{})
			time.Sleep(time.Minute)
			closeJournal(t, j)
		}
		j := open(t, dir)
		recoverAll(t, j)
		want(t, j, "one", result)
	})
}

// A thread that returns the cause of its context has stopped cleanly, in a replay too.
func TestTheCauseOfAStopIsTheSameInAReplay(t *testing.T) { replayed(t, "test.causes", errTest.Error()) }

// What a step returns beside an error is kept, and what cannot be recorded is lost at once and not only in a replay.
func TestResultsAreTheSameInAReplay(t *testing.T) {
	replayed(t, "test.zero", fmt.Sprint(7, errTest, struct{ A, b int }{1, 0}))
}

// A panic in the JSON of a result, or of what decides on a retry, is an error of the step, as one of its function is, in a replay too.
func TestPanicsAroundAStep(t *testing.T) { replayed(t, "test.panicky", "write read decide") }

// A panicky value panics when it is written as JSON, or when it is read.
type panicky string

func (p panicky) MarshalJSON() ([]byte, error) {
	if p == "write" {
		panic("write")
	}
	return []byte(`"read"`), nil
}

func (p *panicky) UnmarshalJSON([]byte) error { panic("read") }

func init() {
	do("test.panicky", func(co *tinyio.Co) (string, error) {
		var all []string
		panics := func(v panicky, err error) {
			var p *tinyio.PanicError
			if !errors.As(err, &p) {
				all = append(all, fmt.Sprintf("%q is %v", v, err))
				return
			}
			all = append(all, fmt.Sprint(p.Value))
		}
		panics(value(co, "write", panicky("write")))
		panics(value(co, "read", panicky("read")))
		panics(durable.Step(co, "decide", func(context.Context) (panicky, error) { return "", errTest },
			durable.Retry{If: func(error) bool { panic("decide") }}))
		return strings.Join(all, " "), co.Sleep(90 * time.Second)
	})
}

// An input of another type is an error of Start, and no run that cannot go on.
func TestAnInputOfAnotherType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, t.TempDir())
		_, err := durable.Start[string, int](t.Context(), j, "test.steps", "one", "no number")
		if err == nil || !strings.Contains(err.Error(), `the input of run "one", a string, is none for program "test.steps"`) {
			t.Errorf("the error is %v", err)
		}
		wantIDs(t, j)
	})
}

func TestRegisterTwicePanics(t *testing.T) {
	for name, f := range map[string]func(){
		"Register":          func() { do("test.zero", func(*tinyio.Co) (int, error) { return 0, nil }) },
		"RegisterError":     func() { durable.RegisterError("test.errKnown", errTest) },
		"RegisterErrorType": func() { durable.RegisterErrorType[*codeError]("another") },
	} {
		func() {
			defer func() {
				if s := fmt.Sprint(recover()); !strings.HasPrefix(s, "durable: "+name+": ") || !strings.Contains(s, "registered already") {
					t.Errorf("%s: the panic is %s", name, s)
				}
			}()
			f()
		}()
	}
}

// Outside a durable run the functions for one say so.
func TestOutsideOfARun(t *testing.T) {
	_, err := tinyio.Run(t.Context(), tinyio.New(func(co *tinyio.Co) (string, error) {
		defer func() {
			if s := fmt.Sprint(recover()); !strings.Contains(s, "durable: NewUUID") && !strings.Contains(s, "durable: Random") {
				t.Errorf("the panic is %s", s)
			}
		}()
		return durable.NewUUID(co), nil
	}))
	if err != nil {
		t.Error(err)
	}
}

// A loop inside a program, or inside a step, is no part of the run: whoever takes it for one is told, before anything has happened.
func TestALoopInsideOfARun(t *testing.T) {
	took := false
	bodies := map[string]func(co *tinyio.Co) (string, error){
		"Step": func(co *tinyio.Co) (string, error) {
			return durable.Step(co, "inner", func(context.Context) (string, error) { took = true; return "", nil })
		},
		"Receive": func(co *tinyio.Co) (string, error) { return durable.Receive[string](co, "word") },
		"Random":  func(co *tinyio.Co) (string, error) { return durable.NewUUID(co), nil },
		"Child": func(co *tinyio.Co) (string, error) {
			return durable.Child[string, string](co, "test.parent", "", "x").Await(co)
		},
	}
	for name, body := range bodies {
		for _, inStep := range []bool{false, true} {
			retried = func(co *tinyio.Co) (string, error) {
				if inStep {
					return tinyio.Call(co, func(ctx context.Context) (string, error) { return tinyio.Run(ctx, tinyio.New(body)) })
				}
				return tinyio.Run(co, tinyio.New(body))
			}
			j := open(t, t.TempDir())
			_, err := start[string](t, j, "test.retried", "one", struct{}{}).Result(t.Context())
			var p *tinyio.PanicError
			if !errors.As(err, &p) || !strings.HasPrefix(fmt.Sprint(p.Value), "durable: "+name+": the coroutine is on a loop of its own") {
				t.Errorf("%s, in a step %v: the error is %v", name, inStep, err)
			}
			closeJournal(t, j)
		}
	}
	if took {
		t.Error("a step was taken")
	}
}
