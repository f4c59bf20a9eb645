package tinyiotest

import (
	"errors"
	"fmt"

	"github.com/tinyio-go/tinyio"
)

// ErrInjected is what the errors are that [Faults] injects, for [errors.Is]: the cause of a cancellation, and the error of a
// thread that fails.
var ErrInjected = errors.New("tinyiotest: an injected fault")

// A flaw is a way in which a program fails.
type flaw int

const (
	returnsError flaw = iota
	panics
	exits
	marksTest
	skips // which is no flaw, and ends the search likewise
	deadlocks
	neverEnds
	hangs
	leaks
	leavesUndone
	miscounts
)

var flawNames = [...]string{
	"it returns an error",
	"it panics",
	"it calls runtime.Goexit, or FailNow of a test",
	"it marks the test as failed",
	"it skips the test",
	"it deadlocks",
	"it does not end",
	"it hangs: what it waits for outside the loop never comes",
	"it leaves a goroutine behind",
	"what must hold at the end does not",
	"a coroutine has not ended exactly once",
}

// A failure is how a run failed.
type failure struct {
	flaw flaw
	err  error
}

func (f *failure) String() string { return fmt.Sprintf("%s:\n\n%+v", flawNames[f.flaw], f.err) }

// like reports whether f and g are the same failure, as far as can be told from outside. The texts may differ: the shorter
// schedule of a bug often has other numbers in it.
func (f *failure) like(g *failure) bool {
	if f == nil || g == nil {
		return f == g
	}
	return f.flaw == g.flaw && fmt.Sprintf("%T", innermost(f.err)) == fmt.Sprintf("%T", innermost(g.err))
}

// said reports whether it is the test that has told of f. It remembers that, and would say the same each time.
func (f *failure) said() bool { return f.flaw == marksTest || f.flaw == exits || f.flaw == skips }

// innermost is the error that err is about.
func innermost(err error) error {
	if g, ok := err.(*tinyio.ErrorGroup); ok {
		return g // which errors are in it may depend on the schedule
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// excused reports whether err comes from the faults of s alone.
func (s schedule) excused(err error) bool {
	if !s.hasFault() {
		return false
	}
	var g *tinyio.ErrorGroup
	if errors.As(err, &g) { // an error of the clean-up is not the fault's
		for _, e := range g.Errs {
			if !s.excused(e) {
				return false
			}
		}
		return true
	}
	if errors.Is(err, ErrInjected) {
		return true
	}
	for _, d := range s {
		if d.kind == advance && errors.Is(err, tinyio.ErrTimeout) {
			return true
		}
	}
	return false
}
