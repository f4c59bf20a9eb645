package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// few is the work of the other runtimes with few tasks.
func few() []shared {
	work := sharedWork(true)
	for i := range work {
		work[i].n = min(work[i].n, 20)
	}
	return work
}

// Each program does all of the work, wherever its runtime is installed, and each checks its result.
func TestOtherRuntimes(t *testing.T) {
	p := plan{rounds: 1, least: time.Millisecond, log: io.Discard}
	for _, f := range foreigns {
		t.Run(f.name, func(t *testing.T) {
			if f.name[:3] == "tok" && testing.Short() {
				t.Skip("cargo takes long")
			}
			c := p.compare(few(), []foreign{f})
			if len(c.missing) > 0 {
				t.Skip("NOT TESTED: " + c.missing[0])
			}
			if want := []string{ours, goroutines, f.name}; !slices.Equal(c.names, want) {
				t.Fatalf("%q were measured, want %q", c.names, want)
			}
			for _, name := range c.names {
				for i, figure := range c.figures[name] {
					absent := name == "Node" && c.work[i].name == "queue"
					if absent != (figure.absent != "") || absent == (len(figure.rounds) == 1 && figure.rounds[0] > 0) {
						t.Errorf("%s, %s: %+v", name, c.work[i].what, figure)
					}
				}
			}
		})
	}
}

// What is not installed is told, and the rest is measured. What a program has no figure for is told, too.
func TestComparison(t *testing.T) {
	script := filepath.Join(t.TempDir(), "peer.sh")
	check(os.WriteFile(script, []byte("echo 'runtime\tFake 1.0'\nshift\nfor x; do case $x in queue*) echo \"$x\t-\tit has none\";; *) echo \"$x\t1500.5\";; esac; done\n"), 0o666))
	fake := foreign{name: "Node", language: "node", find: func(string) ([]string, error) { return []string{"/bin/sh", script}, nil }}
	none := foreign{name: "trio", language: "python", needs: "python3-trio", find: func(string) ([]string, error) { return nil, errors.New("there is none") }}
	var log strings.Builder
	p := plan{rounds: 3, least: time.Microsecond, log: &log}
	c := p.compare(few(), []foreign{fake, none})
	if !strings.Contains(log.String(), "NOT MEASURED: trio: there is none\n") {
		t.Errorf("the log is %q", log.String())
	}
	var text bytes.Buffer
	c.writeMarkdown(&text)
	for _, want := range []string{
		"; Fake 1.0; medians of 3 rounds", "| one of | tinyio | goroutines | Node |\n|:--|--:|--:|--:|\n", " | 1500 ns |\n", " | – |\n",
		"\n- Node, a value through a queue with room: it has none.\n- trio was not measured: it cannot be run here. Debian has it in python3-trio.\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, text.String())
		}
	}
	if n := strings.Count(text.String(), " 1500 ns |\n"); n != len(c.work)-1 {
		t.Errorf("%d figures are those of the program, want %d", n, len(c.work)-1)
	}
	file := filepath.Join(t.TempDir(), "runtimes.svg")
	check(c.draw(file))
	chart := wellFormed(t, file)
	if n := len(regexp.MustCompile(`class="mark node"`).FindAllString(chart, -1)); n != len(c.work) { // and one of the legend, but not that of the queue
		t.Errorf("the chart has %d marks of the program, want %d", n, len(c.work))
	}
}

// Two loops do twice the work of one, by every operation, and the table has a row for each.
func TestTwofolds(t *testing.T) {
	all := twofolds()
	for i := range all {
		all[i].n = min(all[i].n, 10)
	}
	p := plan{rounds: 2, least: time.Microsecond, log: io.Discard}
	found := p.measureTwofolds(all)
	for i, x := range all {
		for _, of := range []pairing{found[i].usual, found[i].seldom} {
			for _, figures := range [][]float64{of.alone, of.busy, of.both, of.bothBusy} {
				if len(figures) != p.rounds || slices.Min(figures) < 0 {
					t.Errorf("%s: %+v", x.what, of)
				}
			}
		}
	}
	var text bytes.Buffer
	writeTwofolds(&text, all, found, p.rounds)
	for _, x := range all {
		if !strings.Contains(text.String(), "\n| "+x.what+" | ") {
			t.Errorf("there is no row of %q:\n%s", x.what, text.String())
		}
	}
	if got := (&pairing{alone: []float64{100}, both: []float64{125}}).throughput(); got != 1.6 {
		t.Errorf("two that take 125 ns each beside one that takes 100 do %g times as much, want 1.6", got)
	}
}

func TestParts(t *testing.T) {
	begins, ends := partLines("peers")
	document := []byte("before\n" + begins + "\nold\n" + ends + "\nafter\n")
	want := "before\n" + begins + "\n\nnew\n\n" + ends + "\nafter\n"
	for range 2 { // to do it again changes nothing
		var err error
		if document, err = replacePart(document, "peers", []byte("new\n")); err != nil || string(document) != want {
			t.Fatalf("the document is %q, error %v; want %q", document, err, want)
		}
	}
	if _, err := replacePart(document, "cores", nil); err == nil {
		t.Error("a document without such a part gives no error")
	}
	path := filepath.Join(t.TempDir(), "document.md")
	check(os.WriteFile(path, document, 0o666))
	writePart(path, "peers", []byte("newer"))
	if got := must(os.ReadFile(path)); string(got) != strings.Replace(want, "new", "newer", 1) {
		t.Errorf("the document is %q", got)
	}
}

// The documents have a place for each part that can be made.
func TestPlacesOfParts(t *testing.T) {
	document := must(os.ReadFile(filepath.Join("..", "docs", "performance.md")))
	for _, flag := range []string{"growth", "looking", "peers", "cores", "instructions"} {
		if _, err := replacePart(document, flag, nil); err != nil {
			t.Error(err)
		}
	}
}
