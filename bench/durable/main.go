// Command durable measures the journal of package durable beside what a user would pick instead: DBOS on SQLite, and Temporal's development
// server, each by its own Go library. All do the same work: a step that does nothing and whose result is recorded, in so many runs at once.
//
//	cd bench/durable
//	GOWORK=off go run . -quick                        in a minute, with few runs
//	GOWORK=off go run . -md ../../docs/durable.md      all of it, in about ten minutes, into its place in the document
//
// Temporal is measured if there is a command temporal: on the path, given with -temporal, or in TEMPORAL_CLI. Each figure is of a process of its own, with a
// directory of its own, in the directory for temporary files: that has to be on the disk that is meant. Peers take turns, round by round. What takes
// long is measured once: those figures vary by far less than the peers differ.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A plan says what is measured.
type plan struct {
	Runs     []int         // at once, for steps
	Settle   time.Duration // after which steps are counted, if what comes with the start is not over before
	Window   time.Duration // in which they are counted
	Crowd    int           // runs that sleep
	Steps    int           // that each of them has taken
	Temporal string        // the command
}

var (
	whole = plan{Runs: []int{1, 100, 10_000}, Settle: 10 * time.Second, Window: 5 * time.Second, Crowd: 10_000, Steps: 3}
	quick = plan{Runs: []int{1, 100}, Settle: 2 * time.Second, Window: time.Second, Crowd: 200, Steps: 3}
)

// long is how long a process may take to be started again in the next round.
const long = 20 * time.Second

func main() {
	isQuick := flag.Bool("quick", false, "with few runs, and for a shorter time")
	rounds := flag.Int("rounds", 3, "how often to measure a figure that does not take long; the table has the medians")
	md := flag.String("md", "", "write the table into its place in this `file`")
	temporal := flag.String("temporal", cmp.Or(os.Getenv("TEMPORAL_CLI"), "temporal"), "the command `temporal`")
	only := flag.String("only", "", "only the peer with this `name`")
	child := flag.String("child", "", "do one job and write its figures: for the program's own use")
	flag.Parse()
	if *child != "" {
		os.Exit(runChild(*child))
	}
	p := whole
	if *isQuick {
		p = quick
	}
	p.Temporal, _ = exec.LookPath(*temporal)
	t := measureAll(&p, *rounds, *only)
	if *md == "" {
		fmt.Print(t)
		return
	}
	check(replacePart(*md, t))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "durable:", err)
		os.Exit(1)
	}
}

// A job is what a process measures.
type job struct {
	Peer    string
	Measure string
	Runs    int
	Plan    plan
}

// measureAll measures everything, and returns the table.
func measureAll(p *plan, rounds int, only string) string {
	t := newTable(p, rounds)
	sync := []float64{}
	for range rounds {
		sync = append(sync, syncTime())
		for _, g := range t.groups {
			for i, peer := range peers {
				c := &g.cells[i]
				if only != "" && peer.name != only {
					c.absent = "not measured"
				} else if c.absent == "" {
					c.absent = peer.absent(p, g.measure, g.runs)
				}
				if c.absent != "" || c.once {
					continue
				}
				began := time.Now()
				values, err := inProcess(job{peer.name, g.measure, g.runs, *p})
				took := time.Since(began)
				fmt.Fprintf(os.Stderr, "%-22s %-8s %6d  %v %v, in %v\n", peer.name, g.measure, g.runs, values, err, took.Round(time.Second))
				if err != nil {
					c.absent = "failed: " + err.Error()
					continue
				}
				c.rounds = append(c.rounds, values)
				c.once = len(c.rounds) == 1 && took > long
			}
		}
	}
	slices.Sort(sync)
	t.sync = sync[len(sync)/2]
	return t.String()
}

// inProcess does a job in a process of its own.
func inProcess(j job) (values []float64, err error) {
	in, err := json.Marshal(j)
	check(err)
	exe, err := os.Executable()
	check(err)
	cmd := exec.Command(exe, "-child", string(in))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	return values, json.Unmarshal(out, &values)
}

// runChild does a job, and writes the figures to the standard output.
func runChild(arg string) (code int) {
	var j job
	check(json.Unmarshal([]byte(arg), &j))
	dir, err := os.MkdirTemp("", "durable-bench")
	check(err)
	defer os.RemoveAll(dir)
	values, err := j.measure(dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "durable: %s, %s: %v\n", j.Peer, j.Measure, err)
		return 1
	}
	out, err := json.Marshal(values)
	check(err)
	os.Stdout.Write(out)
	return 0
}

func (j job) measure(dir string) ([]float64, error) {
	i := slices.IndexFunc(peers, func(p peer) bool { return p.name == j.Peer })
	if i < 0 {
		return nil, errors.New("there is no such peer")
	}
	b := &bench{peer: peers[i], dir: dir, job: j}
	return b.measure()
}

// syncTime is how long it takes to append some bytes to a file and sync it, in seconds: the median of some.
func syncTime() float64 {
	f, err := os.CreateTemp("", "durable-bench")
	check(err)
	defer os.Remove(f.Name())
	defer f.Close()
	var all []float64
	for range 200 {
		began := time.Now()
		_, err := f.Write(make([]byte, 200))
		check(err)
		check(f.Sync())
		all = append(all, time.Since(began).Seconds())
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// The part of the document that is made here lies between these lines.
const (
	partBegins = "<!-- Made by `go run . -md` in bench/durable; do not edit. -->\n"
	partEnds   = "<!-- The end of what was made. -->"
)

func replacePart(path, part string) error {
	data, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), partBegins)
	_, after, closed := strings.Cut(rest, partEnds)
	if !found || !closed {
		return fmt.Errorf("%s has no part between the lines %q and %q", path, partBegins, partEnds)
	}
	var b bytes.Buffer
	b.WriteString(before + partBegins + "\n" + part + "\n" + partEnds + after)
	return os.WriteFile(path, b.Bytes(), 0o644)
}
