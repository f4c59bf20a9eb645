package tinyio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A vector is a program and what the Python original did when it ran it: see testdata/conformance/README.md.
type vector struct {
	Program struct {
		Events     int
		Semaphores []int
		Barriers   []int
		Coros      [][]op
	}
	Mode   string
	Expect struct {
		Value *int
		Error string
		Group []string
		Now   int
		Log   []entry
	}
}

type op []any

func (o op) name() string  { return o[0].(string) }
func (o op) num(i int) int { return int(o[i].(float64)) }
func (o op) nums(i int) (out []int) {
	for _, x := range o[i].([]any) {
		out = append(out, int(x.(float64)))
	}
	return out
}

// An entry is a line of a log, in the form in which JSON has it.
type entry []any

func (e entry) String() string {
	b, err := json.Marshal([]any(e))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A machine runs the program of a vector.
type machine struct {
	v          *vector
	start      time.Time
	log        []entry
	coros      []*tinyio.Coro[int]
	events     []tinyio.Event
	semaphores []*tinyio.Semaphore
	barriers   []*tinyio.Barrier
}

func newMachine(v *vector) *machine {
	m := &machine{v: v, events: make([]tinyio.Event, v.Program.Events)}
	for _, n := range v.Program.Semaphores {
		m.semaphores = append(m.semaphores, tinyio.NewSemaphore(n))
	}
	for _, n := range v.Program.Barriers {
		m.barriers = append(m.barriers, tinyio.NewBarrier(n))
	}
	for i := range v.Program.Coros {
		m.coros = append(m.coros, tinyio.New(func(co *tinyio.Co) (int, error) { return m.run(co, i) }))
	}
	return m
}

func (m *machine) note(e ...any) { m.log = append(m.log, e) }

func (m *machine) seconds(co *tinyio.Co) int { return int(co.Now().Sub(m.start) / time.Second) }

// run is coroutine i of the program.
func (m *machine) run(co *tinyio.Co, i int) (int, error) {
	if i == 0 {
		m.start = co.Now()
	}
	m.note(i, "start")
	var held []*tinyio.Semaphore
	defer func() {
		for _, s := range slices.Backward(held) {
			s.Release()
		}
	}()
	value, raises := i, false
	for n, o := range m.v.Program.Coros[i] {
		more, err := m.do(co, i, o, &value, &held, &raises)
		if err != nil {
			if !errors.Is(err, tinyio.ErrCancelled) {
				return 0, err
			}
			m.note(i, "cancelled")
			if raises {
				err = fmt.Errorf("cleanup %d", i)
			}
			return 0, err
		}
		if o.name() != "oncancel" {
			m.note(append([]any{i, n, o.name()}, more...)...)
		}
		if o.name() == "raise" {
			return 0, fmt.Errorf("boom %d", i)
		}
	}
	m.note(i, "return", value)
	return value, nil
}

// do executes one operation and returns what is logged of it besides its name.
func (m *machine) do(co *tinyio.Co, i int, o op, value *int, held *[]*tinyio.Semaphore, raises *bool) ([]any, error) {
	mix := func(v int) { *value = (*value*31 + v) % 1000003 }
	switch o.name() {
	case "yield":
		return nil, co.Yield()
	case "await":
		v, err := m.coros[o.num(1)].Await(co)
		mix(v)
		return []any{v}, err
	case "gather":
		var cs []*tinyio.Coro[int]
		for _, j := range o.nums(1) {
			cs = append(cs, m.coros[j])
		}
		vs, err := tinyio.Gather(co, cs...)
		for _, v := range vs {
			mix(v)
		}
		if vs == nil {
			vs = []int{}
		}
		return []any{vs}, err
	case "spawn":
		return nil, co.Spawn(m.coros[o.num(1)])
	case "sleep":
		err := co.Sleep(time.Duration(o.num(1)) * time.Second)
		return []any{m.seconds(co)}, err
	case "set":
		m.events[o.num(1)].Set()
	case "clear":
		m.events[o.num(1)].Clear()
	case "wait":
		return nil, m.events[o.num(1)].Wait(co)
	case "waitfor":
		e := &m.events[o.num(1)]
		_, err := e.WaitFor(co, time.Duration(o.num(2))*time.Second)
		return []any{e.IsSet(), m.seconds(co)}, err
	case "acquire":
		s := m.semaphores[o.num(1)]
		if err := s.Acquire(co); err != nil {
			return nil, err
		}
		*held = append(*held, s)
	case "release":
		s := m.semaphores[o.num(1)]
		if k := slices.Index(*held, s); k >= 0 {
			*held = slices.Delete(*held, k, k+1)
			s.Release()
		}
	case "barrier":
		index, err := m.barriers[o.num(1)].Wait(co)
		return []any{index}, err
	case "oncancel":
		*raises = true
	case "raise":
	default:
		panic("unknown operation " + o.name())
	}
	return nil, nil
}

var groupModes = map[string]tinyio.GroupMode{
	"auto": tinyio.GroupAuto, "never": tinyio.GroupNever, "always": tinyio.GroupAlways,
}

// TestConformance runs every program that was run on the Python original and compares what happens, step by step.
func TestConformance(t *testing.T) { eachVector(t, conform) }

// eachVector calls test with each vector.
func eachVector(t *testing.T, test func(t *testing.T, v *vector)) {
	data, err := os.ReadFile("testdata/conformance/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []*vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 150 {
		t.Fatalf("%d vectors, want 150", len(vectors))
	}
	for i, v := range vectors {
		t.Run(fmt.Sprint(i), func(t *testing.T) { test(t, v) })
	}
}

func conform(t *testing.T, v *vector) {
	m := newMachine(v)
	l := tinyio.NewLoop(tinyio.WithVirtualTime(), tinyio.WithErrorGroup(groupModes[v.Mode]))
	value, err := tinyio.RunOn(context.Background(), l, m.coros[0])
	compareLogs(t, m.log, v.Expect.Log, v.Expect.Error == "cycle")

	v.compare(t, value, err)
	if err == nil {
		now, _ := tinyio.RunOn(context.Background(), l, tinyio.New(func(co *tinyio.Co) (int, error) {
			return m.seconds(co), nil
		}))
		if now != v.Expect.Now {
			t.Errorf("ended at %d s, want %d s", now, v.Expect.Now)
		}
	}
}

// compare wants a run of the program to have the result that the vector has.
func (v *vector) compare(t *testing.T, value int, err error) {
	var group *tinyio.ErrorGroup
	isGroup := errors.As(err, &group)
	switch {
	case v.Expect.Value != nil:
		if err != nil || value != *v.Expect.Value {
			t.Errorf("got %d, %v, want %d", value, err, *v.Expect.Value)
		}
	case v.Expect.Group != nil:
		if !isGroup {
			t.Fatalf("got %v, want a group", err)
		}
		if got, want := texts(group.Errs), v.Expect.Group; got[0] != want[0] ||
			!slices.Equal(errorsOfCleanUp(got), errorsOfCleanUp(want)) {
			t.Errorf("got %v, want %v", got, want)
		}
	default:
		if isGroup || describe(err) != v.Expect.Error {
			t.Errorf("got %v, want %s", err, v.Expect.Error)
		}
	}
}

// compareLogs wants the same lines up to the failure, and after it the same ones in any order: in what order coroutines
// are cancelled is this project's own (children first). A cycle is found sooner than the original found it.
func compareLogs(t *testing.T, got, want []entry, cycle bool) {
	t.Helper()
	g, w := lines(got), lines(want)
	if cycle {
		return
	}
	end := slices.IndexFunc(want, func(e entry) bool { return len(e) == 3 && e[2] == "raise" }) + 1
	if end == 0 {
		end = len(w)
	}
	for i := range end {
		if i >= len(g) || g[i] != w[i] {
			t.Fatalf("line %d differs:\ngot  %v\nwant %v", i, g[:min(i+1, len(g))], w[:i+1])
		}
	}
	slices.Sort(g[end:])
	slices.Sort(w[end:])
	if !slices.Equal(g[end:], w[end:]) {
		t.Errorf("after the failure:\ngot  %v\nwant %v", g[end:], w[end:])
	}
}

func lines(log []entry) (out []string) {
	for _, e := range log {
		out = append(out, e.String())
	}
	return out
}

func texts(errs []error) (out []string) {
	for _, err := range errs {
		if errors.Is(err, tinyio.ErrCancelled) {
			out = append(out, "cancelled")
		} else {
			out = append(out, err.Error())
		}
	}
	return out
}

func errorsOfCleanUp(group []string) []string {
	out := slices.DeleteFunc(slices.Clone(group[1:]), func(s string) bool { return s == "cancelled" })
	slices.Sort(out)
	return out
}
