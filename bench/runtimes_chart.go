package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A mark stands for a runtime in the chart: a shape around a point, so that it can be told by those who see few colours, and a colour.
type mark struct {
	class, shape string
}

var runtimeMarks = map[string]mark{
	ours:               {"tinyio", "m-6,0 a6,6 0 1 0 12,0 a6,6 0 1 0 -12,0 z"},
	goroutines:         {"goroutines", "m-5,0 a5,5 0 1 0 10,0 a5,5 0 1 0 -10,0 z"},
	"tokio":            {"tokio", "m-4.5,-4.5 h9 v9 h-9 z"},
	"tokio, 2 threads": {"tokio hollow", "m-4.5,-4.5 h9 v9 h-9 z"},
	"Node":             {"node", "m-5.5,4.5 l5.5,-10 l5.5,10 z"},
	"trio":             {"python", "m-6,0 l6,-6 l6,6 l-6,6 z"},
	"asyncio":          {"python hollow", "m-6,0 l6,-6 l6,6 l-6,6 z"},
}

const runtimeStyle = `
.mark { stroke-width: 1.5; }
.mark.tinyio { fill: #1565c0; stroke: #1565c0; }
.mark.goroutines { fill: #e07b00; stroke: #e07b00; }
.mark.tokio { fill: #8a3b2f; stroke: #8a3b2f; }
.mark.node { fill: #2f7d4f; stroke: #2f7d4f; }
.mark.python { fill: #8e6bb0; stroke: #8e6bb0; }
.mark.hollow { fill: none; }
.grid { stroke: #dce1e6; fill: none; }
.own { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .mark.tinyio { fill: #4f9df0; stroke: #4f9df0; }
  .mark.tokio { fill: #d98a7c; stroke: #d98a7c; }
  .mark.node { fill: #6fc08f; stroke: #6fc08f; }
  .mark.python { fill: #b79ad6; stroke: #b79ad6; }
  .mark.hollow { fill: none; }
  .grid { stroke: #303843; }
}
`

func (d *drawing) mark(x, y float64, runtime string) {
	m := runtimeMarks[runtime]
	d.path("mark "+m.class, "M%.1f,%.1f %s", x, y, m.shape)
}

// draw draws a line for each work, with a mark for each runtime.
func (c *comparison) draw(file string) error {
	const (
		labels  = 300.0 // the width of what the lines are called
		figures = 64.0  // and of this module's figures
		step    = 34.0
		heading = "The same work in other runtimes"
	)
	var all []float64
	for _, name := range c.names {
		for _, f := range c.figures[name] {
			if f.absent == "" {
				all = append(all, f.median())
			}
		}
	}
	low, high := math.Floor(math.Log10(slices.Min(all))), math.Ceil(math.Log10(slices.Max(all)))
	left, right := margin+labels, chartWidth-margin-figures
	across := func(ns float64) float64 { return left + (right-left)*(math.Log10(ns)-low)/max(high-low, 1) }

	var d drawing
	d.text(margin, 38, "heading", heading)
	d.text(margin, 60, "faint", "Less is better. The scale is logarithmic: from one line to the next is ten times. At the right, what tinyio takes.")
	x := margin + 8
	for _, name := range c.names {
		d.mark(x, 84, name)
		d.text(x+12, 88, "faint", name)
		x += 34 + 7.0*float64(len(name))
	}
	top := 112.0
	bottom := top + step*float64(len(c.work))
	for e := low; e <= high; e++ {
		at := across(math.Pow(10, e))
		d.path("grid", "M%.1f,%.1f V%.1f", at, top, bottom)
		d.text(at, bottom+16, "faint middle", figureShort(math.Pow(10, e)))
	}
	for i, s := range c.work {
		y := top + step*(float64(i)+0.5)
		d.text(margin, y+4, "", s.what)
		d.path("grid", "M%.1f,%.1f H%.1f", left, y, right)
		for _, name := range slices.Backward(c.names) { // this module's is above the others
			if f := c.figures[name][i]; f.absent == "" {
				d.mark(across(f.median()), y, name)
			}
		}
		d.text(chartWidth-margin, y+4, "own end", figure(c.figures[ours][i].median(), "ns"))
	}
	measured := c.measured()
	d.text(margin, bottom+44, "faint", fmt.Sprintf("%s, medians of %d rounds.", measured[0], c.rounds))
	d.text(margin, bottom+62, "faint", strings.Join(measured[1:], "; "))
	return writeChart(file, heading, runtimeStyle, &d, bottom+82)
}

// figureShort is a power of ten nanoseconds.
func figureShort(ns float64) string {
	switch {
	case ns >= 1e6:
		return fmt.Sprintf("%g ms", ns/1e6)
	case ns >= 1e3:
		return fmt.Sprintf("%g µs", ns/1e3)
	}
	return fmt.Sprintf("%g ns", ns)
}
