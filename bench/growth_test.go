package main

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// TestOperationsAmongBystanders does each operation among a few bystanders of each kind. One with an unexpected result panics.
func TestOperationsAmongBystanders(t *testing.T) {
	p := growthPlan{sizes: []int{0, 3, 210}, rounds: 1, least: 1, most: time.Millisecond, looks: 1, enough: time.Hour, log: io.Discard}
	g := p.measure(kindsOfBystanders(), operations())
	if got, want := len(g.cells), 2*len(kindsOfBystanders())*len(operations()); got != want {
		t.Fatalf("%d cells, want %d", got, want)
	}
	for i := range g.cells {
		c := &g.cells[i]
		for k, f := range c.figures {
			if math.IsNaN(f) && g.kinds[c.kind].busy && k > 0 {
				continue
			}
			if !(f > 0) || math.IsInf(f, 0) {
				t.Errorf("%s among %d %s: the figure is %g", g.ops[c.op].name, g.sizes[k], g.kinds[c.kind].name, f)
			}
		}
	}
	var text bytes.Buffer
	g.writeText(&text)
	document := g.inMarkdown()
	for _, want := range append(operationNames(), "sleeping", "bare iter.Pull") {
		if !strings.Contains(text.String(), want) || !bytes.Contains(document, []byte(want)) {
			t.Errorf("%q is missing:\n%s", want, text.String())
		}
	}
}

// TestMarks wants a figure to be marked only if it has grown by more than its limit, and to tell growth from a step.
func TestMarks(t *testing.T) {
	nan := math.NaN()
	for _, x := range []struct {
		figures       []float64
		marked, steps bool
	}{
		{[]float64{100, 100, 100}, false, true},
		{[]float64{100, 400, 150}, false, true},
		{[]float64{100, 100, 200}, true, false},
		{[]float64{100, 190, 200}, true, true},
		{[]float64{100, 1000, nan}, true, false},
		{[]float64{100, nan, nan}, false, false},
	} {
		c := cell{figures: x.figures, limits: []float64{150, 150, 160}}
		if c.marked() != x.marked || c.steps() != x.steps {
			t.Errorf("%v: marked %t and steps %t, want %t and %t", x.figures, c.marked(), c.steps(), x.marked, x.steps)
		}
	}
	c := cell{figures: []float64{100, 200}, limits: []float64{150, 150}}
	c.take(1, 250, 180)
	if c.take(1, 210, 200); c.figures[1] != 210 || c.limits[1] != 200 {
		t.Errorf("the figure is %g of %g, want the better one of two looks", c.figures[1], c.limits[1])
	}
}
