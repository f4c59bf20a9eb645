package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestEveryPeerDoesTheWork runs each workload by each peer with few coroutines. A run whose result is not the one
// expected panics.
func TestEveryPeerDoesTheWork(t *testing.T) {
	for _, w := range workloads() {
		for _, p := range w.peers {
			if p.absent != "" {
				continue
			}
			t.Run(w.name+"/"+p.name, func(t *testing.T) {
				few := []int{1, 2, 25}
				if slices.Max(w.counts) == 1 {
					few = few[:1]
				}
				for _, n := range few {
					for _, reps := range []int{1, 3} {
						if w.fixed {
							reps = 1
						}
						w.once(p, n, reps)
					}
				}
			})
		}
	}
}

// TestEveryPeerIsNamed wants each peer to have its place in each workload, with work or with a reason.
func TestEveryPeerIsNamed(t *testing.T) {
	for _, w := range workloads() {
		if len(w.peers) < 4 && w.quick == len(w.counts) { // a workload that is there for a target alone
			continue
		}
		for i, p := range w.peers {
			if i > 0 && slices.Index(peerNames, p.name) <= slices.Index(peerNames, w.peers[i-1].name) {
				t.Errorf("%s: %s is out of order", w.name, p.name)
			}
		}
		if len(w.peers) != len(peerNames) {
			t.Errorf("%s has %d peers, want %d", w.name, len(w.peers), len(peerNames))
		}
	}
}

// TestTargetsAreMeasured wants every target to be judged even by a quick run.
func TestTargetsAreMeasured(t *testing.T) {
	var all []measurement
	for _, w := range workloads() {
		for _, n := range (plan{quick: true}).sizes(&w) {
			for _, p := range w.peers {
				if p.able(n) {
					all = append(all, measurement{Workload: w.name, Peer: p.name, N: n, Median: 1})
				}
			}
		}
	}
	if got := judge(all); len(got) != len(targets) {
		t.Errorf("%d targets are judged, want %d", len(got), len(targets))
	}
}

// TestReport measures a little and writes everything that can be written of it.
func TestReport(t *testing.T) {
	all := workloads()
	for i := range all {
		all[i].counts, all[i].quick = []int{1, 10}, 2
	}
	p := plan{quick: true, rounds: 2, least: time.Microsecond, confine: true, log: io.Discard}
	r := p.measureAll(all, regexp.MustCompile("yield|parked"))
	var text, markdown bytes.Buffer
	r.writeText(&text)
	r.writeMarkdown(&markdown)
	for _, want := range []string{"Yield, nobody else ready", "iter.Pull", "conc: " + noTurns} {
		if !bytes.Contains(text.Bytes(), []byte(want)) || !bytes.Contains(markdown.Bytes(), []byte(want)) {
			t.Errorf("the report does not contain %q:\n%s", want, text.String())
		}
	}
}

// chartOf draws figures and returns one of the charts.
func chartOf(t *testing.T, r report, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := r.draw(dir); err != nil {
		t.Fatal(err)
	}
	return wellFormed(t, filepath.Join(dir, name))
}

// wellFormed returns the chart in the file.
func wellFormed(t *testing.T, file string) string {
	t.Helper()
	chart, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(chart, new(struct{})); err != nil {
		t.Errorf("%s is no SVG: %v", file, err)
	}
	return string(chart)
}

// A panel of bars tells how its two figures compare, and the one that comes off best is first. A bar that would make the others too short
// is broken off. What was not measured has no panel.
func TestBars(t *testing.T) {
	chart := chartOf(t, report{Processor: "A processor", Go: "go1.99", Platform: "linux/amd64", Cores: 2, Rounds: 5, Measurements: []measurement{
		{Workload: "submit", Peer: ours, N: 1, Median: 700}, {Workload: "submit", Peer: goroutines, N: 1, Median: 100},
		{Workload: "call", Peer: ours, N: 1, Median: 110}, {Workload: "call", Peer: goroutines, N: 1, Median: 100},
		{Workload: "yield", Peer: ours, N: 1_000, Median: 50}, {Workload: "yield", Peer: goroutines, N: 1_000, Median: 100},
		{Workload: "yield", Peer: async, N: 1_000, Median: 10_000}, {Workload: "yield", Peer: conc, N: 1_000, Absent: "it cannot"},
		{Workload: "gather", Peer: ours, N: 1_000, Median: 50},
	}}, "peers.svg")
	var got []string
	for _, m := range regexp.MustCompile(`class="(?:title|less|same|more)">([^<]*)<`).FindAllStringSubmatch(chart, -1) {
		got = append(got, m[1])
	}
	want := "A turn, less: 0.50 × goroutines, A blocking call, about the same: 1.10 × goroutines, " +
		"Work from another goroutine, more: 7.00 × goroutines"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("the panels are %s, want %s", got, want)
	}
	if n := strings.Count(chart, `class="break"`); n != 1 {
		t.Errorf("%d bars are broken off, want 1", n)
	}
	for _, want := range []string{"Lower is better.", ">A processor, go1.99, linux/amd64, GOMAXPROCS=2, medians of 5 rounds.<", "sans-serif;"} {
		if !strings.Contains(chart, want) {
			t.Errorf("the chart does not say %q", want)
		}
	}
}

// A figure stands beside its bar and within its panel, and so does what is above: in a wide font a letter takes 6.2 pixels.
func TestTextHasRoom(t *testing.T) {
	const letter = 6.2
	for _, p := range barPanels {
		if width := letter * float64(utf8.RuneCountInString(p.caption)); width > panelWidth {
			t.Errorf("%q is %.0f wide, and the panel %.0f", p.caption, width, panelWidth)
		}
		var d drawing
		drawBars(&d, 0, 0, p, []measurement{
			{Peer: ours, Median: 9_999}, {Peer: p.rival, Median: 3_333}, {Peer: "goroutines", Median: 1e9},
		})
		bars := regexp.MustCompile(`<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"`).FindAllStringSubmatch(d.String(), -1)
		figures := regexp.MustCompile(`<text x="([\d.]+)" y="[\d.]+" class="faint">([^<]*(?:ns|B|ms))<`).FindAllStringSubmatch(d.String(), -1)
		if len(bars) != 3 || len(figures) != 3 {
			t.Fatalf("there are %d bars and %d figures, want 3:\n%s", len(bars), len(figures), d.String())
		}
		number := func(s string) float64 { return must(strconv.ParseFloat(s, 64)) }
		for i, bar := range bars {
			end, begin := number(bar[1])+number(bar[2]), number(figures[i][1])
			if room := begin - end; room < 5 {
				t.Errorf("%s: a figure is %.1f behind its bar", p.title, room)
			}
			if end := begin + letter*float64(len(figures[i][2])); end > panelWidth+gap/2 {
				t.Errorf("%s: %s ends at %.0f, and the panel at %.0f", p.title, figures[i][2], end, panelWidth)
			}
		}
	}
}

// A panel of lines says how the cost grows, beside that of goroutines, and has a line for each of the three.
func TestLines(t *testing.T) {
	var all []measurement
	for _, n := range []int{1, 1_000, 100_000, 1_000_000} {
		cost := float64(n)/1_000 + 99
		all = append(all, measurement{Workload: "yield", Peer: ours, N: n, Median: cost},
			measurement{Workload: "yield", Peer: goroutines, N: n, Median: 2 * cost})
		if n <= 100_000 {
			all = append(all, measurement{Workload: "yield", Peer: pull, N: n, Median: 80})
		}
	}
	chart := chartOf(t, report{Measurements: all}, "scaling.svg")
	for _, want := range []string{">Growth to 1M: 11.0 ×; goroutines: 11.0 ×.<", ">A turn<", "Lower is better."} {
		if !strings.Contains(chart, want) {
			t.Errorf("the chart does not say %q:\n%s", want, chart)
		}
	}
	for _, name := range drawnLines {
		if n := strings.Count(chart, fmt.Sprintf(`<path class="line %s" d="M`, classOf(name))); n != 2 {
			t.Errorf("%s has %d lines, want one and one in the legend", name, n)
		}
	}
}

func TestQuantile(t *testing.T) {
	values := []float64{4, 1, 3, 2, 5}
	for q, want := range map[float64]float64{0: 1, 0.25: 2, 0.5: 3, 0.75: 4, 1: 5, 0.125: 1.5} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %g: got %g, want %g", q, got, want)
		}
	}
}
