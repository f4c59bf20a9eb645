package tinyio

import (
	"fmt"
	"io"
	"runtime"
	"strings"
)

// A Frame is a coroutine in a trace, and a place in it: where it was waiting, or, of the one that failed, its function.
type Frame struct {
	Coro     string // its name: see [Coro.Named]
	Function string
	File     string
	Line     int
}

// String is the frame in the form of Go's own stack traces, on two lines.
func (f Frame) String() string {
	if f.Coro == f.Function {
		return fmt.Sprintf("%s\n\t%s:%d", f.Coro, f.File, f.Line)
	}
	return fmt.Sprintf("%s, in %s\n\t%s:%d", f.Coro, f.Function, f.File, f.Line)
}

func writeTrace(w io.Writer, trace []Frame) {
	io.WriteString(w, "await chain, from the first coroutine to the one that failed:\n")
	for _, f := range trace {
		fmt.Fprintln(w, f)
	}
}

// A probe is filled by a coroutine that is resumed only to tell where it waits. That way a suspension costs nothing for the
// sake of traces: what it would have had to note down is on its stack all the time.
type probe struct {
	callers [32]uintptr
	n       int
}

func (p *probe) take() { p.n = runtime.Callers(2, p.callers[:]) }

// where returns the place at which c waits.
func (l *Loop) where(c *coroutine) Frame {
	p := new(probe)
	switch {
	case c == l.host: // this is its stack
		p.take()
	case c.stack.Valid() && c.state != running:
		l.probe = p
		c.stack.Resume()
		l.probe = nil
	default:
		return c.entryFrame()
	}
	frames := runtime.CallersFrames(p.callers[:p.n])
	for {
		f, more := frames.Next()
		if f.Function != "" && !internalFrame(f) {
			return Frame{c.label(), f.Function, f.File, f.Line}
		}
		if !more {
			return c.entryFrame()
		}
	}
}

// entryFrame is the function of c.
func (c *coroutine) entryFrame() Frame {
	f := runtime.FuncForPC(c.entry)
	if f == nil {
		return Frame{Coro: c.label()}
	}
	file, line := f.FileLine(c.entry)
	return Frame{c.label(), f.Name(), file, line}
}

const packagePath = "github.com/tinyio-go/tinyio"

// internalFrame reports whether f is of this package itself, its tests excepted, or of what runs below it.
func internalFrame(f runtime.Frame) bool {
	rest, ok := strings.CutPrefix(f.Function, packagePath)
	if !ok {
		return strings.HasPrefix(f.Function, "iter.") || strings.HasPrefix(f.Function, "runtime.")
	}
	return strings.HasPrefix(rest, "/internal/") ||
		strings.HasPrefix(rest, ".") && !strings.HasSuffix(f.File, "_test.go")
}

// chain returns who waits for c, directly or not, in an order in which each comes before what it waits for, and c.
func (l *Loop) chain(c *coroutine) []Frame {
	var trace []Frame
	type visit struct {
		c    *coroutine
		next *waiter
	}
	seen := map[*coroutine]bool{c: true}
	path := []visit{{c, c.awaiters.head}}
	for len(path) > 0 {
		v := &path[len(path)-1]
		if w := v.next; w != nil {
			v.next = w.next
			if !seen[w.c] {
				seen[w.c] = true
				path = append(path, visit{w.c, w.c.awaiters.head})
			}
			continue
		}
		if v.c == c {
			trace = append(trace, c.entryFrame())
		} else {
			trace = append(trace, l.where(v.c))
		}
		path = path[:len(path)-1]
	}
	return trace
}

// waits says of every live coroutine what it waits for.
func (l *Loop) waits() (lines []string) {
	for c := range l.root.members {
		f := l.where(c)
		lines = append(lines, fmt.Sprintf("%s waits for %s at %s:%d", f.Coro, c.wait, f.File, f.Line))
	}
	return lines
}

// members ranges over the live coroutines of s and of the scopes inside it.
func (s *scope) members(yield func(*coroutine) bool) {
	s.each(yield)
}

func (s *scope) each(yield func(*coroutine) bool) bool {
	for c := s.first; c != nil; c = c.after {
		if !yield(c) || c.state == waiting && c.wait == onIsolate && !c.annex.inner.each(yield) {
			return false
		}
	}
	return true
}

// describe is the name of c and the place of its function, for messages.
func (c *coroutine) describe() string {
	f := c.entryFrame()
	return fmt.Sprintf("%s (%s:%d)", f.Coro, f.File, f.Line)
}
