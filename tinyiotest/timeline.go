package tinyiotest

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// A timeline is what has happened in a run, a line for each turn. A nil one takes nothing down.
type timeline struct {
	places  bool // say also at which line each coroutine waits, which takes time to find out
	lines   []line
	names   map[hook.ID]string
	passing string // who has not been picked for the turn that comes next, though first in line
}

// A line is a turn, or what happens between two turns.
type line struct {
	turn  int // from 1; 0 between turns
	at    time.Duration
	who   string
	acts  []act
	waits string // for what, if it waits at the end
	// For whom, if it waits for coroutines: some of them may not have been started yet, and have no name before.
	waitsFor []hook.ID
	place    string
	err      error // that it ends with
}

// An act is something that is done to some coroutines, or to none.
type act struct {
	verb string
	to   []string
}

func (a act) same(b act) bool { return a.verb == b.verb && slices.Equal(a.to, b.to) }

// same reports whether l and m are the same turn, as far as the interleaving goes.
func (l line) same(m line) bool {
	return l.turn == m.turn && l.at == m.at && l.who == m.who && slices.EqualFunc(l.acts, m.acts, act.same) &&
		l.waits == m.waits && slices.Equal(l.waitsFor, m.waitsFor)
}

// act adds to the last line. What is done to several coroutines one after another is one act.
func (l *line) act(verb string, to ...string) {
	if n := len(l.acts); n > 0 && len(to) > 0 && l.acts[n-1].verb == verb {
		l.acts[n-1].to = append(l.acts[n-1].to, to...)
		return
	}
	l.acts = append(l.acts, act{verb, to})
}

// last is the last line; there is one.
func (t *timeline) last() *line { return &t.lines[len(t.lines)-1] }

// instead notes that first is passed over.
func (t *timeline) instead(r *trial, first hook.ID) {
	if t != nil {
		t.passing = r.nameOf(first)
	}
}

// fault takes down a fault: of its own, or of the turn in which it happens.
func (t *timeline) fault(text string, inTurn bool) {
	if t == nil {
		return
	}
	if !inTurn {
		t.lines = append(t.lines, line{who: "(fault)"})
	}
	t.last().act(text)
}

// add takes n down.
func (t *timeline) add(r *trial, n hook.Note) {
	if t == nil || n.By == hook.Nobody && r.turns == 0 && n.What == hook.Started { // the first coroutine
		return
	}
	name := r.nameOf(n.Coro)
	if t.names == nil {
		t.names = map[hook.ID]string{}
	}
	t.names[n.Coro] = name
	if n.What == hook.Resumed {
		t.lines = append(t.lines, line{turn: r.turns, at: r.clock.passed(), who: name})
		if t.passing != "" {
			t.last().act("goes before", t.passing)
			t.passing = ""
		}
		return
	}
	if n.By == hook.Nobody && (len(t.lines) == 0 || t.last().turn != 0) {
		t.lines = append(t.lines, line{who: "(outside)", at: r.clock.passed()})
	}
	l := t.last()
	switch n.What {
	case hook.Started:
		l.act("starts", name)
	case hook.Woken:
		l.act("wakes", name)
	case hook.Stopped:
		l.act("stops", name)
	case hook.Suspended:
		l.waits, l.waitsFor = n.Wait.String(), n.For()
		if t.places {
			p := n.Place()
			l.place = fmt.Sprintf(" at %s:%d", filepath.Base(p.File), p.Line)
		}
	case hook.Finished:
		l.finish(n, name)
	}
}

// finish takes down that a coroutine has ended: in its own turn, or without ever having one.
func (l *line) finish(n hook.Note, name string) {
	var p *tinyio.PanicError
	switch {
	case n.By != n.Coro:
		l.act("never runs:", name)
	case n.Err == nil:
		l.act("ends")
	case errors.As(n.Err, &p):
		l.act("panics")
		l.err = fmt.Errorf("%v", p.Value)
	case errors.Is(n.Err, tinyio.ErrCancelled):
		l.act("ends, cancelled")
	default:
		l.act("ends with an error")
		l.err = n.Err
	}
}

// from is the timeline from line i on, cut short.
func (t *timeline) from(i int) *timeline {
	return &timeline{lines: t.lines[min(i, len(t.lines)):min(i+3, len(t.lines))], names: t.names}
}

// Of a long timeline only the first and the last lines are shown.
const (
	headLines = 20
	tailLines = 40
)

// String is the timeline as a table.
func (t *timeline) String() string {
	width := 0
	for _, l := range t.lines {
		width = max(width, min(len(l.who), 40))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%6s  %8s  %-*s  what happens\n", "turn", "time", width, "who")
	last := time.Duration(-1)
	left := len(t.lines) - headLines - tailLines
	for i, l := range t.lines {
		if left > 0 && i >= headLines && i < headLines+left {
			if i == headLines {
				fmt.Fprintf(&b, "%6s  %d lines are left out\n", "…", left)
			}
			continue
		}
		turn, at := "", ""
		if l.turn > 0 {
			turn = fmt.Sprint(l.turn)
			if l.at != last {
				last, at = l.at, l.at.String()
			}
		}
		fmt.Fprintf(&b, "%6s  %8s  %-*s  %s\n", turn, at, width, l.who, t.what(l))
	}
	return b.String()
}

// what is what happens in l. What it waits for comes last, though it was told first.
func (t *timeline) what(l line) string {
	var parts []string
	for _, a := range l.acts {
		parts = append(parts, strings.TrimSpace(a.verb+" "+strings.Join(a.to, ", ")))
	}
	if l.waits != "" {
		text := "waits for " + l.waits
		var names []string
		for _, id := range l.waitsFor {
			names = append(names, t.names[id])
		}
		if len(names) > 0 {
			text += " (" + strings.Join(names, ", ") + ")"
		}
		parts = append(parts, text+l.place)
	}
	text := strings.Join(parts, "; ")
	if l.err != nil {
		text += ": " + strings.ReplaceAll(l.err.Error(), "\n", " ")
	}
	return text
}

// shortName is the name of the coroutine that n is about, which has just been started. One without a name is called like its
// function, and of that the package is left out.
func shortName(n hook.Note) string {
	if name := n.Name(); name != n.Place().Function {
		return name
	}
	return withoutPackage(n.Name())
}

// withoutPackage is the name of a function without the path of its package.
func withoutPackage(function string) string {
	_, name, _ := strings.Cut(function[strings.LastIndex(function, "/")+1:], ".")
	return name
}
