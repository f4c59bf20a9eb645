package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

var always = func(*plan, string) string { return "" }

// peers are the columns of the table.
var peers = []peer{
	{"the journal", openJournal, always},
	{"DBOS, each step synced", openDBOS("FULL"), always},
	{"DBOS, as it comes", openDBOS("NORMAL"), always},
	{"Temporal", openTemporal, func(p *plan, measure string) string {
		switch {
		case p.Temporal == "":
			return "there is no command temporal"
		case measure != "steps":
			return "runs that sleep are the server's"
		}
		return ""
	}},
}

// A table is what was measured.
type table struct {
	plan   *plan
	rounds int
	rows   []*row
	sync   float64
}

// A row is one kind of figure: of each peer, those of all rounds.
type row struct {
	measure, text string
	runs          int
	format        func(v float64, runs int) string
	figures       [][]figure
}

func newTable(p *plan, rounds int) *table {
	t := &table{plan: p, rounds: rounds}
	add := func(measure string, runs int, text string, format func(v float64, runs int) string) {
		t.rows = append(t.rows, &row{measure, text, runs, format, make([][]figure, len(peers))})
	}
	for _, runs := range p.Runs {
		text := fmt.Sprintf("steps a second, and latency of a step, with %s runs", thousands(runs))
		if runs == 1 {
			text = "steps a second, and latency of a step, with 1 run"
		}
		add("steps", runs, text, func(v float64, runs int) string {
			return fmt.Sprintf("%s, %s", thousands(int(v+0.5)), digits(time.Duration(float64(runs)/v*1e9)))
		})
	}
	add("recovery", p.Crowd, fmt.Sprintf("to open it on %s runs that have taken %d steps each and sleep, and bring each to where it was", thousands(p.Crowd), p.Steps),
		func(v float64, _ int) string { return digits(time.Duration(v * 1e9)).String() })
	add("memory", p.Crowd, "memory of a run that sleeps", func(v float64, _ int) string { return fmt.Sprintf("%.1f KB", v/1000) })
	return t
}

// of is the median of the figures of a peer, as text; and why there is none.
func (r *row) of(peer int) (text, absent string) {
	var values []float64
	for _, f := range r.figures[peer] {
		if f.Absent != "" {
			return "–", f.Absent
		}
		values = append(values, f.Value)
	}
	slices.Sort(values)
	return r.format(values[len(values)/2], r.runs), ""
}

func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s/%s, %d processors; to append 200 bytes to a file and sync it takes %v. Medians of %d rounds.\n\n|  |", runtime.Version(),
		runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), digits(time.Duration(t.sync*1e9)), t.rounds)
	for _, p := range peers {
		fmt.Fprintf(&b, " %s |", p.name)
	}
	b.WriteString("\n|:--|" + strings.Repeat("--:|", len(peers)) + "\n")
	var why []string
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s |", r.text)
		for i, p := range peers {
			text, absent := r.of(i)
			fmt.Fprintf(&b, " %s |", text)
			if absent = p.name + ": " + absent; text == "–" && !slices.Contains(why, absent) {
				why = append(why, absent)
			}
		}
		b.WriteString("\n")
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
