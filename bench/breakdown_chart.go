package main

import "fmt"

const breakdownStyle = `
.switches { fill: #7b5ea7; }
.channels { fill: #e07b00; }
.memory { fill: #c0504d; }
.library { fill: #1565c0; }
.caller { fill: #5f9e6e; }
.other { fill: #a9b2bc; }
@media (prefers-color-scheme: dark) {
  .switches { fill: #a58bd0; }
  .library { fill: #4f9df0; }
  .other { fill: #56606c; }
}
`

// drawBreakdown draws two bars for each operation, of this module and of the peer, one above the other. The longer one is as long in each
// operation.
func drawBreakdown(file string, counts []count, machine string) error {
	const (
		labels  = 150.0
		names   = 80.0
		figures = 60.0
		step    = 15.0
		space   = 12.0
		heading = "Where the instructions of an operation go"
	)
	left, widest := margin+labels+names, chartWidth-2*margin-labels-names-figures
	var d drawing
	d.text(margin, 38, "heading", heading)
	d.text(margin, 60, "faint", "Less is better. Of each operation the longer bar fills the width, so only the two of an operation can be compared.")
	for i, kind := range kindsOfCode { // two in a line, three lines
		x, y := margin+float64(i%2)*(chartWidth/2-margin), 76+float64(i/2)*18
		d.rect(x, y, 10, 10, kind)
		d.text(x+15, y+9, "faint", meanings[kind])
	}
	y := 142.0
	for _, c := range counts {
		most := max(c.our.total(), c.their.total())
		if most <= 0 {
			continue
		}
		d.text(margin, y+step-4, "", c.name())
		for _, of := range []struct {
			peer string
			spending
		}{{ours, c.our}, {c.Peer, c.their}} {
			if of.spending == nil {
				continue
			}
			d.text(left-8, y+step-4, "faint end", of.peer)
			at, kinds := left, of.byKind()
			for _, kind := range kindsOfCode {
				if width := widest * kinds[kind] / most; width > 0 {
					d.rect(at, y+2, width, step-3, kind)
					at += width
				}
			}
			d.text(at+6, y+step-4, "faint", thousands(int(of.total()+0.5)))
			y += step
		}
		y += space
	}
	d.text(margin, y+14, "faint", machine+", counted by valgrind's cachegrind.")
	return writeChart(file, heading, breakdownStyle, &d, y+34)
}

// counting is on what instructions are counted.
func counting(now baseline) string {
	return fmt.Sprintf("%s, %s, GOMAXPROCS=1, GOGC=off", now.Go, now.Platform)
}
