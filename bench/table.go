package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A table is rows of cells, the first of which is the header.
type table struct {
	left int // how many columns are text, and so flush left
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// widths are those of the widest cell of each column.
func (t *table) widths() []int {
	w := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			w[i] = max(w[i], utf8.RuneCountInString(cell))
		}
	}
	return w
}

// line is a row with its cells padded.
func (t *table) line(row []string, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i < t.left {
			b.WriteString(cell + space + "  ")
		} else {
			b.WriteString(space + cell + "  ")
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func (t *table) writeText(w io.Writer) {
	widths := t.widths()
	for _, row := range t.rows {
		fmt.Fprintf(w, "  %s\n", t.line(row, widths))
	}
}

func (t *table) writeMarkdown(w io.Writer) {
	for i, row := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			rule := make([]string, len(row))
			for k := range rule {
				rule[k] = map[bool]string{true: ":--", false: "--:"}[k < t.left]
			}
			fmt.Fprintf(w, "|%s|\n", strings.Join(rule, "|"))
		}
	}
}

// machine is a line about what the run was on.
func (r report) machine() string {
	return strings.TrimPrefix(fmt.Sprintf("%s, %s, %s, GOMAXPROCS=%d", r.Processor, r.Go, r.Platform, r.Cores), ", ")
}

// about is a line about the run.
func (r report) about() string {
	return fmt.Sprintf("%s; medians and quartiles of %d rounds (of fewer for 100,000 coroutines and more, without a target), in %s", r.machine(), r.Rounds, r.Took)
}

func (r report) writeText(w io.Writer) {
	fmt.Fprintf(w, "%s\n\ntargets\n", r.about())
	r.targetTable().writeText(w)
	for _, group := range r.groups() {
		fmt.Fprintf(w, "\n%s: %s\n", group[0].Workload, group[0].Op)
		figures(group).writeText(w)
		for _, line := range absences(group) {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
}

func (r report) writeMarkdown(w io.Writer) {
	fmt.Fprintf(w, "<!-- Made by `go run ./bench -md`; do not edit. -->\n\n# Benchmarks\n\n"+
		"After this page you know what each operation costs, here and elsewhere, and which promises about that are kept. What the figures mean is "+
		"in [Performance](performance.md).\n\n%s.\n\n## Targets\n\n", r.about())
	r.targetTable().writeMarkdown(w)
	for _, group := range r.groups() {
		fmt.Fprintf(w, "\n## %s\n\nFor %s.\n\n", group[0].Workload, group[0].Op)
		figures(group).writeMarkdown(w)
		fmt.Fprintln(w)
		for _, line := range absences(group) {
			fmt.Fprintf(w, "- %s\n", line)
		}
	}
}

// targetTable tells which targets are met.
func (r report) targetTable() *table {
	t := &table{left: 1}
	t.add("what", ours, "peer", "its figure", "is", "at most", "met")
	for _, v := range r.Targets {
		is, limit, theirs := figure(v.Is, v.Unit), figure(v.Limit, v.Unit), ""
		if v.Peer != "" {
			is, limit = fmt.Sprintf("%.2f ×", v.Is), fmt.Sprintf("%.2f ×", v.Limit)
			theirs = figure(v.Peers, v.Unit)
		}
		t.add(v.What, figure(v.Ours, v.Unit), v.Peer, theirs, is, limit, map[bool]string{true: "yes", false: "NO"}[v.Met])
	}
	return t
}

// groups are the measurements of each workload.
func (r report) groups() (all [][]measurement) {
	for _, m := range r.Measurements {
		if k := len(all) - 1; k >= 0 && all[k][0].Workload == m.Workload {
			all[k] = append(all[k], m)
		} else {
			all = append(all, []measurement{m})
		}
	}
	return all
}

// figures is the table of a workload.
func figures(group []measurement) *table {
	parts := partNames(group)
	t := &table{left: 2}
	t.add(append([]string{"coroutines", "by", "median", "quartiles", "of " + ours + "'s", "allocs", "bytes"}, parts...)...)
	reference := 0.0
	for _, m := range group {
		if m.Absent != "" {
			continue
		}
		size := ""
		if m.Peer == ours {
			size, reference = thousands(m.N), m.Median
		}
		unit := unitOf(m.Unit)
		row := []string{size, m.Peer, figure(m.Median, unit), figure(m.Low, unit) + " – " + figure(m.High, unit),
			ratio(m.Median, reference), decimals(m.Allocs), decimals(m.Bytes)}
		if unit != "ns" {
			row[5], row[6] = "", "" // the memory is the figure itself
		}
		for _, name := range parts {
			row = append(row, figure(m.Parts[name], unit))
		}
		t.add(row...)
	}
	return t
}

// ratio is a in terms of b, where that says something.
func ratio(a, b float64) string {
	if b <= 0 || a < 0 {
		return ""
	}
	return fmt.Sprintf("%.2f ×", a/b)
}

// partNames are the names of the other values of a workload.
func partNames(group []measurement) (names []string) {
	for _, m := range group {
		for name := range m.Parts {
			if !slices.Contains(names, name) && !strings.HasSuffix(name, " before") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// absences tell which peers cannot do the work, and why.
func absences(group []measurement) (lines []string) {
	for _, m := range group {
		if line := m.Peer + ": " + m.Absent; m.Absent != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// figure is a value with three digits and its unit.
func figure(v float64, unit string) string {
	switch {
	case unit == "allocs":
		return decimals(v)
	case unit == "B":
		return thousands(int(math.Round(v))) + " B"
	case math.Abs(v) >= 1e6:
		return digits(v/1e6) + " ms"
	case math.Abs(v) >= 1e4:
		return digits(v/1e3) + " µs"
	}
	return digits(v) + " ns"
}

// digits is v with three digits.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// decimals is v with up to two decimals.
func decimals(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// thousands is n with commas.
func thousands(n int) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
