package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The colours are told apart by those who see few, too: this module is blue, the floor black, the rest are paler.
var colours = map[string]color.Color{
	ours:       color.RGBA{0x00, 0x5a, 0xb5, 0xff},
	pull:       color.RGBA{0x22, 0x22, 0x22, 0xff},
	goroutines: color.RGBA{0xdc, 0x6a, 0x00, 0xff},
	xsync:      color.RGBA{0x4c, 0x9f, 0x70, 0xff},
	conc:       color.RGBA{0xa8, 0x7c, 0xc4, 0xff},
	pond:       color.RGBA{0x9a, 0x86, 0x6a, 0xff},
	async:      color.RGBA{0x8c, 0x8c, 0x8c, 0xff},
}

// A panel is a part of a chart: a workload, and for bars how many coroutines.
type panel struct {
	workload string
	n        int
	title    string
}

// barPanels are what the chart of cost by peer shows.
var barPanels = []panel{
	{"yield", 1_000, "a turn, 1,000 taking turns"},
	{"await fresh", 1, "start one and await it"},
	{"gather", 1_000, "gather, each of 1,000"},
	{"event ping-pong", 1, "a signal, two ping-pong"},
	{"run in thread", 1, "start a goroutine, get its result"},
	{"isolate, fails", 1, "an isolated failure"},
	{"diamonds", 10_000, "diamonds, each of 10,000"},
	{"crash", 100_000, "crash, each of 100,000"},
	{"parked", 100_000, "memory, parked, each of 100,000"},
}

// linePanels are what the chart of cost by number of coroutines shows.
var linePanels = []panel{
	{workload: "yield", title: "a turn"},
	{workload: "await fresh", title: "start one and await it"},
	{workload: "gather", title: "gather, each"},
	{workload: "semaphore", title: "contended semaphore"},
	{workload: "crash", title: "crash, each"},
	{workload: "parked", title: "memory, parked, each"},
}

// draw writes the charts into a directory.
func (r report) draw(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := r.drawGrid(filepath.Join(dir, "peers.svg"), barPanels, 0, r.bars); err != nil {
		return err
	}
	return r.drawGrid(filepath.Join(dir, "scaling.svg"), linePanels, vg.Points(26), r.lines)
}

// drawGrid draws the panels for which there are measurements, three in a row, below a legend if there is room for one.
func (r report) drawGrid(file string, panels []panel, legend vg.Length, one func(panel) *plot.Plot) error {
	var plots []*plot.Plot
	for _, p := range panels {
		if x := one(p); x != nil {
			plots = append(plots, x)
		}
	}
	if len(plots) == 0 {
		return nil
	}
	const columns = 3
	rows := (len(plots) + columns - 1) / columns
	width, height := vg.Points(780), vg.Points(190)*vg.Length(rows)+legend
	canvas := vgsvg.New(width, height)
	all := draw.New(canvas)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	if legend > 0 {
		drawLegend(draw.Crop(all, 0, 0, height-legend, 0))
	}
	tiles := draw.Tiles{
		Rows: rows, Cols: columns, PadX: vg.Points(16), PadY: vg.Points(14),
		PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(14),
	}
	area := draw.Crop(all, 0, 0, 0, -legend)
	for i, p := range plots {
		p.Draw(tiles.At(area, i%columns, i/columns))
	}
	return writeCanvas(file, canvas)
}

func writeCanvas(file string, c *vgsvg.Canvas) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := c.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}

// sans is the variant of the font for all text.
const sans = "Sans"

// newPanel is an empty plot in the style of all.
func newPanel(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Variant = sans
	p.Title.TextStyle.Font.Size = vg.Points(11)
	p.Title.Padding = vg.Points(6)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Label.TextStyle.Font.Variant = vg.Points(9), sans
		a.Tick.Label.Font.Size, a.Tick.Label.Font.Variant = vg.Points(9), sans
		a.LineStyle.Width, a.Tick.LineStyle.Width = vg.Points(0.5), vg.Points(0.5)
	}
	return p
}

// bars is the panel of what the peers cost, one bar each.
func (r report) bars(p panel) *plot.Plot {
	var shown []measurement
	for _, m := range r.Measurements {
		if m.Workload == p.workload && m.N == p.n && m.Absent == "" {
			shown = append(shown, m)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	slices.Reverse(shown) // The first one is at the top.
	x := newPanel(p.title)
	var names []string
	most := 0.0
	for i, m := range shown {
		bar := must(plotter.NewBarChart(plotter.Values{m.Median}, vg.Points(11)))
		bar.Horizontal, bar.XMin, bar.Color, bar.LineStyle.Width = true, float64(i), colours[m.Peer], 0
		x.Add(bar)
		names, most = append(names, m.Peer), max(most, m.Median)
	}
	x.Add(barLabels(shown))
	x.NominalY(names...)
	x.X.Min, x.X.Max = 0, 1.3*most                                                     // room for the figures
	x.Y.Min, x.Y.Max = float64(len(shown)-len(peerNames))-0.5, float64(len(shown))-0.5 // bars as far apart as in every panel
	x.X.Tick.Marker = sparse{}
	x.X.Label.Text = unitOf(shown[0].Unit)
	return x
}

// barLabels write the figures at the ends of the bars.
func barLabels(shown []measurement) *plotter.Labels {
	var data plotter.XYLabels
	for i, m := range shown {
		data.XYs = append(data.XYs, plotter.XY{X: m.Median, Y: float64(i)})
		data.Labels = append(data.Labels, thousands(int(math.Round(m.Median))))
	}
	l := must(plotter.NewLabels(data))
	for i := range l.TextStyle {
		l.TextStyle[i].Font.Size, l.TextStyle[i].Font.Variant = vg.Points(9), sans
		l.TextStyle[i].YAlign = draw.YCenter
	}
	l.Offset.X = vg.Points(3)
	return l
}

// sparse are the ticks of a linear axis from 0, few enough for their labels.
type sparse struct{}

func (sparse) Ticks(_, most float64) (ticks []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{0.2, 0.5, 1, 2, 5} {
		if most/(step*f) <= 4 {
			step *= f
			break
		}
	}
	for v := 0.0; v <= most; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(int(v))})
	}
	return ticks
}

// drawnLines are the peers whose lines are drawn: those that are measured with all numbers of coroutines.
var drawnLines = []string{ours, pull, goroutines}

// lines is the panel of what a workload costs by the number of coroutines.
func (r report) lines(p panel) *plot.Plot {
	x := newPanel(p.title)
	least, most, unit := math.Inf(1), 0.0, ""
	for _, name := range drawnLines {
		var points plotter.XYs
		for _, m := range r.Measurements {
			if m.Workload == p.workload && m.Peer == name && m.Absent == "" && m.Median > 0 {
				points = append(points, plotter.XY{X: float64(m.N), Y: m.Median})
				least, most, unit = min(least, m.Median), max(most, m.Median), unitOf(m.Unit)
			}
		}
		if len(points) < 2 {
			continue
		}
		line, dots := mustLine(points)
		style(line, dots, name)
		x.Add(line, dots)
	}
	if unit == "" {
		return nil
	}
	x.X.Scale, x.Y.Scale = plot.LogScale{}, plot.LogScale{}
	x.X.Tick.Marker, x.Y.Tick.Marker = decades{}, decades{}
	x.X.Min, x.X.Max = 1, 1.5e6
	x.Y.Min = math.Pow(10, math.Floor(math.Log10(least)))
	x.Y.Max = math.Pow(10, math.Ceil(math.Log10(most)))
	x.X.Label.Text, x.Y.Label.Text = "coroutines", unit
	return x
}

func mustLine(points plotter.XYs) (*plotter.Line, *plotter.Scatter) {
	line, dots, err := plotter.NewLinePoints(points)
	check(err)
	return line, dots
}

func style(line *plotter.Line, dots *plotter.Scatter, name string) {
	line.Color, line.Width = colours[name], vg.Points(1.5)
	if name == pull {
		line.Dashes = []vg.Length{vg.Points(4), vg.Points(2)}
	}
	dots.GlyphStyle = draw.GlyphStyle{Color: colours[name], Radius: vg.Points(2.2), Shape: draw.CircleGlyph{}}
}

// drawLegend draws the legend in a strip of its own, where it covers nothing.
func drawLegend(strip draw.Canvas) {
	text := plot.New().Legend.TextStyle
	text.Font.Size, text.Font.Variant, text.YAlign = vg.Points(11), sans, draw.YCenter
	x, y := strip.Min.X+vg.Points(14), strip.Max.Y-vg.Points(14)
	for _, name := range drawnLines {
		line, dots := mustLine(plotter.XYs{{X: 0, Y: 0}})
		style(line, dots, name)
		strip.StrokeLine2(line.LineStyle, x, y, x+vg.Points(26), y)
		strip.DrawGlyph(dots.GlyphStyle, vg.Point{X: x + vg.Points(13), Y: y})
		strip.FillText(text, vg.Point{X: x + vg.Points(32), Y: y}, name)
		x += vg.Points(60) + text.Width(name)
	}
}

// decades are ticks at the powers of ten.
type decades struct{}

func (decades) Ticks(least, most float64) (ticks []plot.Tick) {
	for e := math.Ceil(math.Log10(least) - 1e-9); math.Pow(10, e) <= most*1.0001; e++ {
		v := math.Pow(10, e)
		ticks = append(ticks, plot.Tick{Value: v, Label: short(v)})
	}
	return ticks
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
