package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

var always = func(*plan, string, int) string { return "" }

// peers are the columns of the table.
var peers = []peer{
	{"the journal", openJournal, always},
	{"DBOS, each step synced", openDBOS("FULL"), always},
	{"DBOS, as it comes", openDBOS("NORMAL"), func(_ *plan, measure string, _ int) string {
		if measure != "steps" {
			return "what it syncs does not matter to runs that sleep"
		}
		return ""
	}},
	{"Temporal", openTemporal, func(p *plan, measure string, runs int) string {
		switch {
		case p.Temporal == "":
			return "there is no command temporal"
		case measure != "steps":
			return "runs that sleep are the server's"
		case runs > 1000:
			return "to have its development server start so many runs takes minutes"
		}
		return ""
	}},
}

// A table is what was measured.
type table struct {
	plan   *plan
	rounds int
	groups []*group
	sync   float64
}

// A group is the rows that a process measures together, of each peer.
type group struct {
	measure string
	runs    int
	rows    []row
	cells   []cell
}

// A row is one kind of figure.
type row struct {
	text   string
	format func(v float64) string
}

// A cell is the figures of a peer, of each round.
type cell struct {
	rounds [][]float64
	once   bool   // since it takes long
	absent string // why there are none
}

func newTable(p *plan, rounds int) *table {
	t := &table{plan: p, rounds: rounds}
	add := func(measure string, runs int, rows ...row) {
		t.groups = append(t.groups, &group{measure, runs, rows, make([]cell, len(peers))})
	}
	for _, runs := range p.Runs {
		text := fmt.Sprintf("steps a second, and latency of a step, with %s runs", thousands(runs))
		if runs == 1 {
			text = "steps a second, and latency of a step, with 1 run"
		}
		add("steps", runs, row{text, func(v float64) string {
			return fmt.Sprintf("%s, %s", thousands(int(v+0.5)), digits(time.Duration(float64(runs)/v*1e9)))
		}})
	}
	add("sleepers", p.Crowd,
		row{fmt.Sprintf("to open it on %s runs that have taken %d steps each and sleep, and bring each to where it was", thousands(p.Crowd), p.Steps),
			func(v float64) string { return digits(time.Duration(v * 1e9)).String() }},
		row{"memory of a run that sleeps", func(v float64) string { return fmt.Sprintf("%.1f KB", v/1000) }})
	return t
}

// text is the median of the figures of a row.
func (c *cell) text(r row, index int) string {
	if c.absent != "" {
		return "–"
	}
	var values []float64
	for _, round := range c.rounds {
		values = append(values, round[index])
	}
	slices.Sort(values)
	text := r.format(values[len(values)/2])
	if c.once {
		return "*" + text + "*"
	}
	return text
}

func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s/%s, %d processors; to append 200 bytes to a file and sync it takes %v. ", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.GOMAXPROCS(0), digits(time.Duration(t.sync*1e9)))
	fmt.Fprintf(&b, "Medians of %d rounds; what takes longer than %v was measured once, and is in italics.\n\n|  |", t.rounds, long)
	for _, p := range peers {
		fmt.Fprintf(&b, " %s |", p.name)
	}
	b.WriteString("\n|:--|" + strings.Repeat("--:|", len(peers)) + "\n")
	var why []string
	for _, g := range t.groups {
		for index, r := range g.rows {
			fmt.Fprintf(&b, "| %s |", r.text)
			for i, p := range peers {
				c := &g.cells[i]
				fmt.Fprintf(&b, " %s |", c.text(r, index))
				if absent := p.name + ": " + c.absent; c.absent != "" && !slices.Contains(why, absent) {
					why = append(why, absent)
				}
			}
			b.WriteString("\n")
		}
	}
	if len(why) > 0 {
		fmt.Fprintf(&b, "\nNot measured: %s.\n", strings.Join(why, "; "))
	}
	return b.String()
}

// digits rounds d to three digits.
func digits(d time.Duration) time.Duration {
	for unit := time.Duration(1); ; unit *= 10 {
		if d/unit < 1000 {
			return d.Round(unit)
		}
	}
}

// thousands writes n with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
