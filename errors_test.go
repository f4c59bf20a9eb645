package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R18: errors.Is and errors.As find what a timeout and a cancellation are.
func TestWhatErrorsAreToOthers(t *testing.T) {
	var err error = fmt.Errorf("get: %w", &tinyio.TimeoutError{After: time.Second})
	var timeout net.Error
	if !errors.Is(err, tinyio.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) ||
		!timeout.Timeout() || !new(tinyio.TimeoutError).Temporary() || errors.Is(err, context.Canceled) || errors.Is(err, tinyio.ErrCancelled) {
		t.Errorf("%v is not what it should be", err)
	}
	err = &tinyio.CancelledError{Cause: io.EOF}
	if !errors.Is(err, tinyio.ErrCancelled) || !errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) ||
		errors.Is(err, tinyio.ErrTimeout) {
		t.Errorf("%v is not what it should be", err)
	}
}

// The texts of the errors say what happened, to which coroutine, and what to do.
func TestTextsOfErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&tinyio.CancelledError{Cause: errBoom}, "tinyio: cancelled because of: boom"},
		{&tinyio.TimeoutError{After: time.Second}, "tinyio: timed out after 1s"},
		{&tinyio.CycleError{Path: []string{"a", "b", "a"}}, "tinyio: a cycle of awaits: a awaits b awaits a"},
		{&tinyio.DeadlockError{Waits: []string{"a waits", "b waits"}}, "tinyio: deadlock: "},
		{&tinyio.DeadlockError{Waits: []string{"a waits", "b waits"}}, "\n\ta waits\n\tb waits"},
		{&tinyio.ErrorGroup{}, ""},
		{&tinyio.ErrorGroup{Errs: []error{errBoom, context.Canceled}}, "boom\nwhile stopping: context canceled"},
		{&tinyio.PanicError{Value: "v"}, "tinyio: panic in a coroutine: v"},
	} {
		if text := c.err.Error(); !strings.Contains(text, c.want) {
			t.Errorf("the text is %q, want %q in it", text, c.want)
		}
	}
}
