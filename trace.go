package tinyio

import (
	"fmt"
	"io"
	"runtime"
	"slices"
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
	callers [64]uintptr
	n       int
}

func (p *probe) take() { p.n = runtime.Callers(2, p.callers[:]) }

// nobody is the coroutine whose turn it is while a probe is under way.
var nobody = new(task)

// where returns the place at which c waits.
func (r *run) where(c *task) Frame {
	p := new(probe)
	switch {
	case c.at == nil || c.state == running:
		return c.entryFrame()
	case c == r.carrier && r.carrying && r.running == nil: // this is its stack
		p.take()
	default:
		turn := r.running
		r.probe, r.running = p, nobody
		c.at.Change()
		r.probe, r.running = nil, turn
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
func (c *task) entryFrame() Frame {
	f := runtime.FuncForPC(c.entry)
	if f == nil {
		return Frame{Coro: c.label()}
	}
	file, line := f.FileLine(c.entry)
	return Frame{c.label(), f.Name(), file, line}
}

// internalFrame reports whether f is in the code of this package, its tests excepted, or in what runs below it.
func internalFrame(f runtime.Frame) bool {
	if rest, ok := strings.CutPrefix(f.File, sourceDir); ok {
		return !strings.HasSuffix(rest, "_test.go") && (!strings.Contains(rest, "/") || strings.HasPrefix(rest, "internal/"))
	}
	return strings.HasPrefix(f.Function, "iter.") || strings.HasPrefix(f.Function, "runtime.")
}

// sourceDir is the directory of this package, as the compiler noted it down. The name of a function does not tell where it is
// from: the body of a range over AsCompleted can be named after both its function and AsCompleted.
var sourceDir = func() string {
	_, file, _, _ := runtime.Caller(0)
	return file[:strings.LastIndex(file, "/")+1]
}()

// chain returns who waits for c in s, directly or not, in an order in which each comes before what it waits for, and c.
func (r *run) chain(c *task, s *scope) []Frame {
	var trace []Frame
	type visit struct {
		c    *task
		next *waiter
		top  bool // nobody awaits c: who isolates it, if anybody, is to be visited
	}
	seen := map[*task]bool{}
	var path []visit
	push := func(c *task) {
		if !seen[c] {
			seen[c] = true
			path = append(path, visit{c, c.awaiters.head, c.awaiters.head == nil && c.scope != s && c.scope.isIn(s)})
		}
	}
	push(c)
	for len(path) > 0 {
		v := &path[len(path)-1]
		if w := v.next; w != nil {
			v.next = w.next
			push(w.c)
			continue
		}
		if v.top {
			v.top = false
			push(v.c.scope.owner)
			continue
		}
		if v.c == c {
			trace = append(trace, c.entryFrame())
		} else {
			trace = append(trace, r.where(v.c))
		}
		path = path[:len(path)-1]
	}
	return trace
}

// stuckFrames is how many frames tell where a coroutine is stuck, at most.
const stuckFrames = 100

// stuck returns c and what it waits for, directly or not, in an order in which each comes before what it waits for.
func (r *run) stuck(c *task) []Frame {
	seen := map[*task]bool{}
	var order []*task // each behind what it waits for
	var visit func(c *task)
	visit = func(c *task) {
		if seen[c] || len(seen) == stuckFrames {
			return
		}
		seen[c] = true
		for t := range c.targets {
			visit(t)
		}
		order = append(order, c)
	}
	visit(c)
	trace := make([]Frame, 0, len(order))
	for _, u := range slices.Backward(order) {
		trace = append(trace, r.where(u))
	}
	return trace
}

// describe is the name of c and the place of its function, for messages.
func (c *task) describe() string {
	f := c.entryFrame()
	return fmt.Sprintf("%s (%s:%d)", f.Coro, f.File, f.Line)
}
