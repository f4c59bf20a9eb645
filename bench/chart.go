package main

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A panel is a part of a chart: a workload, and for bars how many coroutines.
type panel struct {
	workload string
	n        int
	rival    string // what one would use otherwise
	title    string
	caption  string // what the figures mean
}

// barPanels are what the chart of cost by peer shows: where this module is fast, and where it is not. They are drawn in the order of how
// they come off.
var barPanels = []panel{
	{"yield", 1_000, goroutines, "A turn", "One of 1,000 lets the next one run."},
	{"await fresh", 1, goroutines, "Start one, get its result", "Await, beside a goroutine and a channel."},
	{"gather", 1_000, xsync, "Start 1,000, get their results", "Gather, beside errgroup, for each."},
	{"event ping-pong", 1, goroutines, "A signal", "Event, beside an unbuffered channel."},
	{"queue", 1, goroutines, "Pass a value on", "Queue, beside a buffered channel."},
	{"crash", 100_000, xsync, "One of 100,000 fails", "Until all have stopped, for each."},
	{"parked", 100_000, goroutines, "Memory", "Heap and stack of each of 100,000."},
	{"call", 1, goroutines, "A blocking call", "Call, beside a goroutine and a channel."},
	{"run in thread", 1, goroutines, "A blocking call beside others", "RunInThread, beside a goroutine."},
	{"sleepers, equal", 100_000, goroutines, "100,000 that sleep", "Until the last has woken, for each."},
	{"submit", 1, goroutines, "Work from another goroutine", "Submit, beside an answer on a channel."},
	{"diamonds", 10_000, goroutines, "A graph of 10,000", "Each node needs two; asked from the top."},
}

// linePanels are what the chart of cost by number of coroutines shows.
var linePanels = []panel{
	{workload: "yield", title: "A turn"},
	{workload: "await fresh", title: "Start one, get its result"},
	{workload: "gather", title: "Start all, get all results"},
	{workload: "semaphore", title: "A contended semaphore"},
	{workload: "crash", title: "A failure stops all"},
	{workload: "parked", title: "Memory of one that waits"},
}

// drawnLines are the peers whose lines are drawn: those that are measured with all numbers of coroutines.
var drawnLines = []string{ours, pull, goroutines}

// The measures of a chart, in its own pixels.
const (
	chartWidth  = 840.0
	margin      = 20.0
	gap         = 24.0
	columns     = 3
	panelWidth  = (chartWidth - 2*margin - (columns-1)*gap) / columns
	panelHead   = 64.0 // the title, the caption, the verdict
	barStep     = 19.0
	barHeight   = 12.0
	barIndent   = 76.0 // where bars begin, behind the names
	figureWidth = 58.0 // what is left for the figures behind the bars
	plotHead    = 46.0 // the title and the caption
	plotHeight  = 150.0
	plotIndent  = 34.0
)

// chartStyle has the colours of a light page and those of a dark one. The peers are told apart by those who see few colours, too: this
// module is blue, what one would use otherwise orange, and each bar has its name. Every system has one of the fonts.
const chartStyle = `
svg { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
text { fill: #1f252c; }
.page { fill: #ffffff; stroke: #dce1e6; }
.heading { font-size: 17px; font-weight: 600; }
.title { font-size: 14px; font-weight: 600; }
.faint { fill: #5a6470; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.less { fill: #1c6b34; font-weight: 600; }
.more { fill: #a3341c; font-weight: 600; }
.same { fill: #5a6470; font-weight: 600; }
.axis { stroke: #8c96a1; fill: none; }
.bar { fill: #a9b2bc; }
.bar.tinyio { fill: #1565c0; }
.bar.rival { fill: #e07b00; }
.break { stroke: #ffffff; stroke-width: 3; }
.line { fill: none; stroke-width: 2; }
.line.tinyio { stroke: #1565c0; } .dot.tinyio { fill: #1565c0; }
.line.goroutines { stroke: #e07b00; } .dot.goroutines { fill: #e07b00; }
.line.iter-Pull { stroke: #5a6470; stroke-dasharray: 5 3; } .dot.iter-Pull { fill: #5a6470; }
@media (prefers-color-scheme: dark) {
  text { fill: #d8dee6; }
  .page { fill: #10141a; stroke: #303843; }
  .faint, .same { fill: #9aa5b1; }
  .less { fill: #8fd19e; }
  .more { fill: #ff9d85; }
  .axis { stroke: #6b7683; }
  .bar { fill: #56606c; }
  .bar.tinyio { fill: #4f9df0; }
  .break { stroke: #10141a; }
  .line.tinyio { stroke: #4f9df0; } .dot.tinyio { fill: #4f9df0; }
  .line.iter-Pull { stroke: #9aa5b1; } .dot.iter-Pull { fill: #9aa5b1; }
}
`

// A drawing is an SVG image in the making.
type drawing struct{ strings.Builder }

func (d *drawing) text(x, y float64, class, text string) {
	fmt.Fprintf(d, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, class, html.EscapeString(text))
}

func (d *drawing) rect(x, y, width, height float64, class string) {
	fmt.Fprintf(d, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"/>\n", x, y, width, height, class)
}

func (d *drawing) path(class, format string, args ...any) {
	fmt.Fprintf(d, "<path class=\"%s\" d=\"%s\"/>\n", class, fmt.Sprintf(format, args...))
}

// A tile is a panel that has been measured: how high it is, and how it is drawn at a place.
type tile struct {
	height float64
	draw   func(d *drawing, x, y float64)
}

// draw writes the charts into a directory.
func (r report) draw(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := r.drawGrid(filepath.Join(dir, "peers.svg"), "What an operation costs, beside what one would use otherwise",
		"Lower is better. Blue is tinyio, orange what it is compared with; each panel has a scale of its own. Best first, worst last.",
		r.bars(), nil); err != nil {
		return err
	}
	return r.drawGrid(filepath.Join(dir, "scaling.svg"), "What an operation costs among more and more coroutines",
		"Lower is better. Both scales are logarithmic; across is the number of coroutines. Growth is that of the figure for one, from 1k on.", r.plots(), drawLegend)
}

// drawGrid draws the tiles, three in a row, below a heading with a legend, if there is one, and above what they were measured on.
func (r report) drawGrid(file, heading, about string, tiles []tile, legend func(d *drawing, x, y float64)) error {
	if len(tiles) == 0 {
		return nil
	}
	var body drawing
	body.text(margin, 38, "heading", heading)
	body.text(margin, 60, "faint", about)
	y := 92.0
	if legend != nil {
		legend(&body, margin, 82)
		y += 22
	}
	for row := range slices.Chunk(tiles, columns) {
		highest := 0.0
		for i, t := range row {
			t.draw(&body, margin+float64(i)*(panelWidth+gap), y)
			highest = max(highest, t.height)
		}
		y += highest + gap
	}
	body.text(margin, y, "faint", fmt.Sprintf("%s, medians of %d rounds.", r.machine(), r.Rounds))
	return writeChart(file, heading, "", &body, y+20)
}

// writeChart writes a chart so high, with the styles that it has besides those of all.
func writeChart(file, heading, style string, body *drawing, height float64) error {
	var all drawing
	fmt.Fprintf(&all, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img">`,
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&all, "\n<title>%s</title>\n<style>%s%s</style>\n", html.EscapeString(heading), chartStyle, style)
	fmt.Fprintf(&all, "<rect x=\"0.5\" y=\"0.5\" width=\"%.0f\" height=\"%.0f\" rx=\"8\" class=\"page\"/>\n", chartWidth-1, height-1)
	all.WriteString(body.String())
	all.WriteString("</svg>\n")
	return os.WriteFile(file, []byte(all.String()), 0o666)
}

// figuresOf are the measurements of a workload with so many coroutines.
func (r report) figuresOf(workload string, n int) (found []measurement) {
	for _, m := range r.Measurements {
		if m.Workload == workload && m.N == n && m.Absent == "" {
			found = append(found, m)
		}
	}
	return found
}

// medianOf is the figure of a peer, 0 if there is none.
func medianOf(of []measurement, peer string) float64 {
	for _, m := range of {
		if m.Peer == peer {
			return m.Median
		}
	}
	return 0
}

// compared tells how the figures of this module and of the rival compare. What differs by a fifth is about the same: figures of one machine
// are not more exact.
func compared(our, rivals float64, rival string) (class, words string) {
	ratio := our / rivals
	switch {
	case ratio <= 0.8:
		class, words = "less", "less"
	case ratio >= 1.25:
		class, words = "more", "more"
	default:
		class, words = "same", "about the same"
	}
	return class, fmt.Sprintf("%s: %s × %s", words, digits(ratio), rival)
}

// bars are the panels of what the peers cost, one bar each, in the order of how this module compares.
func (r report) bars() (tiles []tile) {
	type comparison struct {
		ratio float64
		tile
	}
	var all []comparison
	for _, p := range barPanels {
		shown := r.figuresOf(p.workload, p.n)
		our, rivals := medianOf(shown, ours), medianOf(shown, p.rival)
		if our == 0 || rivals == 0 {
			continue
		}
		height := panelHead + float64(len(shown))*barStep
		all = append(all, comparison{our / rivals, tile{height, func(d *drawing, x, y float64) { drawBars(d, x, y, p, shown) }}})
	}
	slices.SortStableFunc(all, func(a, b comparison) int { return cmp.Compare(a.ratio, b.ratio) })
	for _, c := range all {
		tiles = append(tiles, c.tile)
	}
	return tiles
}

// drawBars draws a panel of bars. A peer that takes many times more than the two that are compared has a bar that is broken off, so that
// theirs can be told apart.
func drawBars(d *drawing, x, y float64, p panel, shown []measurement) {
	our, rivals := medianOf(shown, ours), medianOf(shown, p.rival)
	class, words := compared(our, rivals, p.rival)
	d.text(x, y, "title", p.title)
	d.text(x, y+17, "faint", p.caption)
	d.text(x, y+35, class, words)
	longest := 0.0
	limit := 2.5 * max(our, rivals)
	for _, m := range shown {
		longest = max(longest, min(m.Median, limit))
	}
	const space = panelWidth - barIndent - figureWidth
	top := y + panelHead - barStep
	for i, m := range shown {
		class := "bar"
		switch m.Peer {
		case ours:
			class = "bar tinyio"
		case p.rival:
			class = "bar rival"
		}
		at := top + float64(i)*barStep
		width := max(space*min(m.Median, limit)/longest, 1)
		d.text(x+barIndent-8, at+barHeight-2, "end", m.Peer)
		d.rect(x+barIndent, at, width, barHeight, class)
		if m.Median > limit {
			d.path("break", "M%.1f,%.1f l6,-16", x+barIndent+width-18, at+barHeight+2)
		}
		d.text(x+barIndent+width+6, at+barHeight-2, "faint", figure(m.Median, unitOf(m.Unit)))
	}
}

// plots are the panels of what a workload costs by the number of coroutines.
func (r report) plots() (tiles []tile) {
	for _, p := range linePanels {
		lines := map[string][]measurement{}
		for _, m := range r.Measurements {
			if m.Workload == p.workload && m.Absent == "" && m.Median > 0 && slices.Contains(drawnLines, m.Peer) {
				lines[m.Peer] = append(lines[m.Peer], m)
			}
		}
		if len(lines[ours]) < 2 {
			continue
		}
		tiles = append(tiles, tile{plotHead + plotHeight, func(d *drawing, x, y float64) { drawLines(d, x, y, p, lines) }})
	}
	return tiles
}

// grown tells how the figures of this module and of goroutines grow between the two numbers of coroutines that are furthest apart and at
// which both were measured, 1,000 at least: with fewer it is not the memory that counts.
func grown(lines map[string][]measurement) string {
	var least, most, from, to measurement // of this module, and of goroutines
	for _, m := range lines[ours] {
		i := slices.IndexFunc(lines[goroutines], func(g measurement) bool { return g.N == m.N })
		if i < 0 || m.N < 1_000 {
			continue
		}
		if least.N == 0 {
			least, from = m, lines[goroutines][i]
		}
		most, to = m, lines[goroutines][i]
	}
	if least.N == most.N {
		return ""
	}
	return fmt.Sprintf("Growth to %s: %.1f ×; goroutines: %.1f ×.", short(float64(most.N)), most.Median/least.Median,
		to.Median/from.Median)
}

// drawLines draws a panel of lines.
func drawLines(d *drawing, x, y float64, p panel, lines map[string][]measurement) {
	least, most, furthest := math.Inf(1), 0.0, 0
	for _, line := range lines {
		for _, m := range line {
			least, most, furthest = min(least, m.Median), max(most, m.Median), max(furthest, m.N)
		}
	}
	low, high := math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
	wide := max(math.Ceil(math.Log10(float64(furthest))), 1)
	d.text(x, y, "title", p.title)
	d.text(x+panelWidth, y, "faint end", unitOf(lines[ours][0].Unit))
	d.text(x, y+17, "faint", grown(lines))

	left, right, bottom, top := x+plotIndent, x+panelWidth-8, y+plotHead+plotHeight-24, y+plotHead-8
	across := func(n float64) float64 { return left + (right-left)*math.Log10(n)/wide }
	up := func(v float64) float64 { return bottom - (bottom-top)*(math.Log10(v)-low)/max(high-low, 1) }
	d.path("axis", "M%.1f,%.1f V%.1f H%.1f", left, top, bottom, right)
	for e := 0.0; e <= wide; e++ {
		at := across(math.Pow(10, e))
		d.path("axis", "M%.1f,%.1f v4", at, bottom)
		if int(e)%2 == 0 {
			d.text(at, bottom+17, "faint middle", short(math.Pow(10, e)))
		}
	}
	for e := low; e <= high; e++ {
		at := up(math.Pow(10, e))
		d.path("axis", "M%.1f,%.1f h-4", left, at)
		d.text(left-7, at+4, "faint end", short(math.Pow(10, e)))
	}
	for _, peer := range drawnLines {
		var points strings.Builder
		for i, m := range lines[peer] {
			fmt.Fprintf(&points, "%s%.1f,%.1f ", map[bool]string{true: "M", false: "L"}[i == 0], across(float64(m.N)), up(m.Median))
		}
		if points.Len() > 0 {
			d.path("line "+classOf(peer), "%s", strings.TrimSpace(points.String()))
		}
		for _, m := range lines[peer] {
			drawDot(d, across(float64(m.N)), up(m.Median), peer)
		}
	}
}

func drawDot(d *drawing, x, y float64, peer string) {
	fmt.Fprintf(d, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" class=\"dot %s\"/>\n", x, y, classOf(peer))
}

// classOf is the class of a peer's line in the style sheet.
func classOf(peer string) string { return strings.ReplaceAll(peer, ".", "-") }

// drawLegend tells which line is whose.
func drawLegend(d *drawing, x, y float64) {
	for _, name := range drawnLines {
		d.path("line "+classOf(name), "M%.1f,%.1f h28", x, y)
		drawDot(d, x+14, y, name)
		d.text(x+36, y+4, "", name)
		x += 130
	}
}

// short is a power of ten in few letters.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%gk", v/1e3)
	}
	return fmt.Sprintf("%g", v)
}
