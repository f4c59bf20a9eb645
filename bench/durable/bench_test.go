package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each peer does the work, in each measure that it has.
func TestPeers(t *testing.T) {
	p := plan{Settle: 100 * time.Millisecond, Window: 100 * time.Millisecond, Crowd: 5, Steps: 2}
	p.Temporal, _ = exec.LookPath(cmp.Or(os.Getenv("TEMPORAL_CLI"), "temporal"))
	if p.Temporal == "" {
		t.Log("NOT TESTED: Temporal, for there is no command temporal on the path, or in TEMPORAL_CLI")
	}
	for _, peer := range peers {
		for name := range measures {
			t.Run(peer.name+", "+name, func(t *testing.T) {
				if why := peer.absent(&p, name, 3); why != "" {
					t.Skip(why)
				}
				values, err := job{peer.name, name, 3, p}.measure(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				if want := map[string]int{"steps": 1, "sleepers": 2}[name]; len(values) != want {
					t.Errorf("the figures are %v, want %d", values, want)
				}
				if values[0] <= 0 {
					t.Errorf("the figure is %v", values[0])
				}
			})
		}
	}
	if _, err := (job{"nobody", "steps", 1, p}).measure(t.TempDir()); err == nil {
		t.Error("a peer that there is not is measured")
	}
}

// The table has the medians, and says what was not measured.
func TestTable(t *testing.T) {
	tab := newTable(&plan{Runs: []int{1, 10_000}, Crowd: 1_000, Steps: 3}, 3)
	for _, g := range tab.groups {
		for i := range g.cells {
			g.cells[i].rounds = [][]float64{{9000, 7}, {1000, 9}, {2000, 2500}}
		}
		g.cells[2] = cell{rounds: [][]float64{{3000, 3000}}, once: true}
		g.cells[3] = cell{absent: "it is not there"}
	}
	tab.sync = 0.0031234
	text := tab.String()
	for _, want := range []string{
		"a file and sync it takes 3.12ms. Medians of 3 rounds; what takes longer than 20s was measured once, and is in italics.",
		"| steps a second, and latency of a step, with 1 run | 2,000, 500µs | 2,000, 500µs | *3,000, 333µs* | – |",
		"| steps a second, and latency of a step, with 10,000 runs | 2,000, 5s |",
		"1,000 runs that have taken 3 steps each and sleep, and bring each to where it was | 33m20s |",
		"| memory of a run that sleeps | 0.0 KB | 0.0 KB | *3.0 KB* | – |",
		"\nNot measured: Temporal: it is not there.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	file := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(file, []byte("before\n"+partBegins+"old\n"+partEnds+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replacePart(file, text); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "before\n"+partBegins+"\n"+text+"\n"+partEnds+"\nafter\n" {
		t.Errorf("the document is %s", got)
	}
	if err := replacePart(filepath.Join("..", "..", "README.md"), text); err == nil {
		t.Error("a document without a place for it is no error")
	}
}

// The document has a place for the table.
func TestPlaceInTheDocument(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "durable.md"))
	if err != nil {
		t.Fatal(err)
	}
	if _, rest, found := strings.Cut(string(data), partBegins); !found || !strings.Contains(rest, partEnds) {
		t.Error("docs/durable.md has no place for the table")
	}
}
