package debug

import (
	"time"

	"github.com/tinyio-go/tinyio"
)

// A row is a coroutine in the tree of waits.
type row struct {
	Depth    int        `json:"depth"` // how many coroutines lead to it in the tree
	ID       tinyio.ID  `json:"id"`
	Name     string     `json:"name"`
	State    string     `json:"state"`
	On       string     `json:"on,omitempty"`  // what it waits for
	For      []int      `json:"for,omitempty"` // the coroutines among that
	Function string     `json:"function"`
	File     string     `json:"file"`
	Line     int        `json:"line"`
	Deadline *time.Time `json:"deadline,omitempty"` // on the clock of the loop
	Daemon   bool       `json:"daemon,omitempty"`
	Stopped  string     `json:"stopped,omitempty"` // why it is being stopped, if it is
	Again    bool       `json:"again,omitempty"`   // it is in the tree before, with what it waits for
}

// tree returns the coroutines as a tree: first those that nobody waits for, each before what it waits for. One that several wait for is
// there several times, and what it waits for only the first time. The tree ends after maxRows.
func tree(all []coroutine) []row {
	index := make(map[tinyio.ID]int, len(all))
	for i, c := range all {
		index[c.ID] = i
	}
	waitedFor := make([]bool, len(all))
	for _, c := range all {
		for _, id := range c.For {
			if i, ok := index[id]; ok {
				waitedFor[i] = true
			}
		}
	}
	rows := make([]row, 0, len(all))
	seen := make([]bool, len(all))
	type visit struct{ i, depth int }
	var stack []visit
	add := func(root int) {
		for stack = append(stack[:0], visit{root, 0}); len(stack) > 0 && len(rows) < maxRows; {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			c := &all[at.i]
			r := row{Depth: at.depth, ID: c.ID, Name: c.Coro, State: c.State, On: c.On, Function: c.Function, File: c.File, Line: c.Line,
				Daemon: c.Daemon, Again: seen[at.i]}
			for _, id := range c.For {
				r.For = append(r.For, int(id))
			}
			if !c.Deadline.IsZero() {
				r.Deadline = &c.Deadline
			}
			if c.Stopped != nil {
				r.Stopped = c.Stopped.Error()
			}
			rows = append(rows, r)
			if seen[at.i] {
				continue
			}
			seen[at.i] = true
			for n := len(c.For) - 1; n >= 0; n-- {
				if i, ok := index[c.For[n]]; ok {
					stack = append(stack, visit{i, at.depth + 1})
				}
			}
		}
	}
	for i := range all {
		if !waitedFor[i] {
			add(i)
		}
	}
	for i := range all { // those who wait for any of several may do so in a circle
		if !seen[i] {
			add(i)
		}
	}
	return rows
}
