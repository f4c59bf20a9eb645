package tinyio

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/tinyio-go/tinyio/internal/stack"
)

// A Frame is a coroutine in a trace, with a line of its code: the line at which it was waiting or, for the coroutine that failed, the
// line at which its function begins.
type Frame struct {
	Coro     string // its name: see [Coro.Named]
	Function string
	File     string
	Line     int
	Awaits   []int // the indices of the frames in the trace that it waits for; nil if there are none, or outside a trace
}

// String returns the frame in the form of Go's own stack traces, on two lines.
func (f Frame) String() string {
	if f.Coro == f.Function {
		return fmt.Sprintf("%s\n\t%s:%d", f.Coro, f.File, f.Line)
	}
	return fmt.Sprintf("%s, in %s\n\t%s:%d", f.Coro, f.Function, f.File, f.Line)
}

func writeTrace(w io.Writer, trace []Frame, cut bool) {
	if cut {
		io.WriteString(w, "await chain, from where it branches off that of the original error, to the one that failed:\n")
	} else {
		io.WriteString(w, "await chain, from the first coroutine to the one that failed:\n")
	}
	for i, f := range trace {
		fmt.Fprintln(w, f)
		if len(f.Awaits) == 0 || len(f.Awaits) == 1 && f.Awaits[0] == i+1 {
			continue
		}
		names := make([]string, len(f.Awaits))
		for k, j := range f.Awaits {
			names[k] = trace[j].Coro
		}
		fmt.Fprintln(w, "\twaits for", strings.Join(names, ", "))
	}
}

// writeState writes what other coroutines were doing.
func writeState(w io.Writer, state []Status) {
	if len(state) == 0 {
		return
	}
	io.WriteString(w, "\nwhat the others were doing:\n")
	for _, s := range state {
		fmt.Fprintf(w, "\t%v\n", s)
	}
	if len(state) == stateSize {
		io.WriteString(w, "\tand perhaps more\n")
	}
}

// A probe finds out where a coroutine waits: the coroutine is resumed, records the callers on its stack in the probe, and switches
// back. So a suspension need not record where it happens, and traces cost nothing until they are wanted.
type probe struct {
	callers [64]uintptr
	limit   int // how many callers to record
	n       int // how many have been recorded
}

// shallow is how many callers a probe records at first. To walk a stack takes longer than to switch to it and back, and in a waiting
// coroutine, few calls of this package's functions come before the line that is looked for.
const shallow = 8

func (p *probe) take() { p.n = runtime.Callers(2, p.callers[:p.limit]) }

// nobody is the coroutine whose turn it is while a probe is under way.
var nobody = new(task)

// where returns the line at which c waits. If c has no stack, or the stack cannot be walked now, it returns the function of c.
//
// Two coroutines are not parked and cannot be probed: the running one, and the one on whose stack the loop or a tool runs. Their stack is
// walked directly if where is called on it. But where may be called on another stack meanwhile: in a sandbox, or in a run that c
// has called.
func (r *run) where(c *task) Frame {
	if c.slot == nil {
		return r.function(c)
	}
	p := &r.traceCache().probe
	here := c.g.Load() == stack.ID()
	if here && stack.ID() != 0 || c == r.running || r.running == nil && r.inlined && c == r.inline {
		if r.sandboxed > 0 || !here {
			return r.function(c)
		}
		p.limit = len(p.callers)
		p.take()
		f, _ := r.find(c, p)
		return f
	}
	for p.limit = shallow; ; p.limit = len(p.callers) {
		turn := r.running
		r.probe, r.running = p, nobody
		c.slot.Switch()
		r.probe, r.running = nil, turn
		if f, enough := r.find(c, p); enough || p.limit == len(p.callers) {
			return f
		}
	}
}

// find returns the line at which c waits, found among the callers recorded in p. If enough is false, the callers are too few to tell.
func (r *run) find(c *task, p *probe) (at Frame, enough bool) {
	for _, pc := range p.callers[:p.n] {
		switch l := r.codeLine(pc); l.kind {
		case users:
			if !enough {
				at, enough = l.Frame, true
			}
		case asking: // the callers before this one are the tool's, which has called Status
			enough = false
		case beginning:
			return r.orFunction(c, at, enough), true
		}
	}
	return r.orFunction(c, at, enough), enough || p.n < p.limit
}

// orFunction returns f with the name of c; if nothing was found, it returns the function of c.
func (r *run) orFunction(c *task, f Frame, found bool) Frame {
	if !found {
		return r.function(c)
	}
	f.Coro = r.label(c)
	return f
}

// A traceCache is what traces need: a probe, and the lines of addresses that have been looked up. To look one up takes microseconds, and
// thousands of coroutines wait at few lines. The size is bounded by the number of lines in the program.
type traceCache struct {
	probe     probe
	lines     map[uintptr]codeLine // by return address
	functions map[uintptr]Frame    // by the address of the function
}

func (r *run) traceCache() *traceCache {
	if r.traces == nil {
		r.traces = &traceCache{lines: map[uintptr]codeLine{}, functions: map[uintptr]Frame{}}
	}
	return r.traces
}

// A codeLine is a line of code that calls a function.
type codeLine struct {
	Frame // without the name of a coroutine
	kind  codeKind
}

type codeKind uint8

const (
	ours      codeKind = iota // of this package, or of what runs below it
	users                     // of the user
	asking                    // it calls a tool
	beginning                 // it calls the function of a coroutine: no code of the coroutine's is below it
)

// codeLine returns the line of the call that returns to pc.
func (r *run) codeLine(pc uintptr) codeLine {
	lines := r.traceCache().lines
	l, known := lines[pc]
	if !known {
		f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
		l.Frame = Frame{Function: f.Function, File: f.File, Line: f.Line}
		switch {
		case slices.Contains(callsTools, f.Function):
			l.kind = asking
		case f.Function == callsFunction:
			l.kind = beginning
		case f.Function != "" && !internalFrame(f):
			l.kind = users
		}
		lines[pc] = l
	}
	return l
}

// callsFunction is the name of the function that calls the functions of coroutines, and callsTools are those of the functions that call
// tools.
var (
	callsFunction string
	callsTools    []string
)

func init() { // because these functions lead to codeLine
	name := func(entry uintptr) string { return runtime.FuncForPC(entry).Name() }
	callsFunction = name(entryOf((*task).execute))
	callsTools = []string{
		name(entryOf((*run).callObserver)), name(entryOf((*run).askPicker)), name(entryOf((*run).given)), name(entryOf((*run).wait)),
	}
}

// function returns the frame of the function of c. It uses the cache.
func (r *run) function(c *task) Frame {
	f, known := r.traceCache().functions[c.entry]
	if !known {
		f = functionAt(c.entry)
		r.traces.functions[c.entry] = f
	}
	if f.Coro = c.name(); f.Coro == "" {
		f.Coro = cmp.Or(f.Function, unnamed)
	}
	return f
}

// label returns the name of c. It uses the cache.
func (r *run) label(c *task) string { return r.function(c).Coro }

// entryFrame returns the frame of the function of c.
func (c *task) entryFrame() Frame {
	f := functionAt(c.entry)
	f.Coro = c.label()
	return f
}

// functionAt returns a frame for the function that begins at entry.
func functionAt(entry uintptr) Frame {
	f := runtime.FuncForPC(entry)
	if f == nil {
		return Frame{}
	}
	file, line := f.FileLine(entry)
	return Frame{Function: f.Name(), File: file, Line: line}
}

// internalFrame reports whether f is never the line at which a coroutine waits for its user: code of this package, of its internal
// packages or of package durable (their tests excepted), or of package iter or runtime, which run below them.
func internalFrame(f runtime.Frame) bool {
	if rest, ok := strings.CutPrefix(f.File, sourceDir); ok {
		dir := rest[:strings.LastIndex(rest, "/")+1]
		return !strings.HasSuffix(rest, "_test.go") && (dir == "" || dir == "durable/" || strings.HasPrefix(dir, "internal/"))
	}
	return strings.HasPrefix(f.Function, "iter.") || strings.HasPrefix(f.Function, "runtime.")
}

// sourceDir is the directory of this package, as the compiler has recorded it. The name of a function does not tell its package:
// the body of a range over AsCompleted can be named after both its function and AsCompleted.
var sourceDir = func() string {
	_, file, _, _ := runtime.Caller(0)
	return file[:strings.LastIndex(file, "/")+1]
}()

// chainFrames limits the size of a crash report: once the await chains of one crash have as many frames in total, the chains of further
// clean-up errors are cut.
const chainFrames = 10_000

// A chain is what is known of the await chains of one crash.
type chain struct {
	original map[*task]bool // the coroutines in the await chain of the original error
	frames   int            // how many frames all chains have so far
}

// trace returns the await chain of c in s: the coroutines that wait for c, directly or not, each before what it waits for, and c as the
// last. For a clean-up error, known is the chain of its crash; otherwise it is nil. If known has too many frames already, the trace
// is cut: it begins where it branches off the await chain of the original error.
func (r *run) trace(c *task, s *scope, known *chain) (trace []Frame, seen map[*task]bool, cut bool) {
	type visit struct {
		c    *task
		next *waiter
		top  bool // nobody awaits c: the owner of its scope is visited next
	}
	seen = map[*task]bool{}
	var path []visit
	var order []*task
	awaits := map[*task][]*task{} // what each coroutine in the trace waits for, among those in the trace
	push := func(c, awaited *task) {
		if awaited != nil {
			awaits[c] = append(awaits[c], awaited)
		}
		if seen[c] {
			return
		}
		seen[c] = true
		v := visit{c, c.awaiters.head, c.awaiters.head == nil && c.scope != s && c.scope.isIn(s)}
		if known != nil && known.frames > chainFrames && known.original[c] && len(path) > 0 {
			cut = cut || v.next != nil || v.top
			v.next, v.top = nil, false
		}
		path = append(path, v)
	}
	push(c, nil)
	for len(path) > 0 {
		v := &path[len(path)-1]
		if w := v.next; w != nil {
			v.next = w.next
			push(w.c, v.c)
			continue
		}
		if v.top {
			v.top = false
			push(v.c.scope.owner, v.c)
			continue
		}
		order = append(order, v.c)
		path = path[:len(path)-1]
	}
	trace = r.frames(order, func(c *task) []*task { return awaits[c] })
	last := &trace[len(trace)-1]
	*last = r.function(c)
	if i, ok := c.element(); ok {
		last.Coro = fmt.Sprintf("%s[%d]", last.Coro, i)
	}
	if known != nil {
		known.frames += len(trace)
	}
	return trace, seen, cut
}

// frames returns a frame for each coroutine in order, with the indices of those that it waits for.
func (r *run) frames(order []*task, awaits func(c *task) []*task) []Frame {
	index := make(map[*task]int, len(order))
	for i, c := range order {
		index[c] = i
	}
	trace := make([]Frame, len(order))
	for i, c := range order {
		trace[i] = r.where(c)
		for _, t := range awaits(c) {
			if j, ok := index[t]; ok {
				trace[i].Awaits = append(trace[i].Awaits, j)
			}
		}
		slices.Sort(trace[i].Awaits)
		trace[i].Awaits = slices.Compact(trace[i].Awaits)
	}
	return trace
}

// element returns the index of the element of a MapInPool that c is for, if it is for one.
func (c *task) element() (index int, ok bool) {
	w := c.awaiters.head
	if w == nil || w.c.cold() == nil || !w.c.cold().maps {
		return 0, false
	}
	for i, edge := range w.c.edges() {
		if edge.line == &c.awaiters {
			return i, true
		}
	}
	return 0, false
}

// stuckFrames is the maximum number of frames in the Trace of a TimeoutError.
const stuckFrames = 100

// stuck returns c and what it waits for, directly or not, each before what it waits for.
func (r *run) stuck(c *task) []Frame {
	seen := map[*task]bool{}
	var order []*task // each after what it waits for
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
	slices.Reverse(order)
	return r.frames(order, func(c *task) []*task { return slices.Collect(c.targets) })
}

// stateSize is the maximum number of coroutines in the State of an error.
const stateSize = 100

// state returns what the members of s are doing, without those in the trace of f.
func (r *run) state(s *scope, f failure) (all []Status) {
	for c := range s.members {
		if len(all) == stateSize {
			break
		}
		if !f.inTrace[c] {
			all = append(all, r.status(c))
		}
	}
	return all
}

// describe returns the name of c and the line of its function, for messages.
func (c *task) describe() string {
	f := c.entryFrame()
	return fmt.Sprintf("%s (%s:%d)", f.Coro, f.File, f.Line)
}
