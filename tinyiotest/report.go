package tinyiotest

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
)

// report runs the schedule of shrunk once more, and says all about it.
func (x *search) report(shrunk *trial) string {
	x.t.Helper()
	searched := x.String()
	log := &timeline{places: true}
	r := x.follow(shrunk.done, log)
	if f := shrunk.failure; f.flaw == marksTest {
		r.failure = f // which cannot be seen a second time
	} else if !f.like(r.failure) {
		return fmt.Sprintf("%v\n\nschedule %s, the first time: %v\nthe second: %v", errNotDeterministic, shrunk.done, f, r.failure)
	}
	return fmt.Sprintf("tinyiotest: after %s: %s%s", searched, r.describe(log), x.command(shrunk.done))
}

// describe says how r, which has failed, went.
func (r *trial) describe(log *timeline) string {
	text := fmt.Sprintf("%s under schedule %s\n\n%s\n%+v", flawNames[r.failure.flaw], r.done, log, r.failure.err)
	return strings.TrimRight(text, "\n") + "\n"
}

// command is the line that replays s in the test that is running.
func (p *program) command(s schedule) string {
	elements := strings.Split(p.t.Name(), "/")
	for i, e := range elements {
		elements[i] = "^" + strings.ReplaceAll(regexp.QuoteMeta(e), "'", ".") + "$"
	}
	line := fmt.Sprintf("%s=%s go test -run '%s'", scheduleVariable, s, strings.Join(elements, "/"))
	if pkg := testedPackage(); pkg != "" {
		line += " " + pkg
	}
	return "\nto run it again:\n\n\t" + line + "\n"
}

// testedPackage is the import path of the package whose test has called this, as go test wants it; empty if it cannot be told.
func testedPackage() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	test := ""
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "testing.") || !more {
			break
		}
		test = f.Function
	}
	slash := strings.LastIndex(test, "/") + 1
	name, _, found := strings.Cut(test[slash:], ".")
	if !found {
		return ""
	}
	return strings.TrimSuffix(test[:slash]+name, "_test")
}
