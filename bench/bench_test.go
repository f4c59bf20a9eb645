package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"
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
	dir := t.TempDir()
	if err := r.draw(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "scaling.svg")); err != nil {
		t.Error(err)
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
