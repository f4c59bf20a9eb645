// Command durable measures the journal of package durable beside what a user would pick instead: DBOS on SQLite, and Temporal's development
// server, each by its own Go library. All do the same work: a step that does nothing and whose result is recorded, in so many runs at once.
//
//	cd bench/durable
//	GOWORK=off go run . -quick                        a minute, with few runs
//	GOWORK=off go run . -md ../../docs/durable.md      all of it, in about an hour, into its place in the document
//
// Temporal is measured if there is a command temporal, on the path or given with -temporal. Each figure is of a process of its own, with a
// directory of its own, in the directory for temporary files: that has to be on the disk that is meant. Peers take turns, round by round.
package main

import (
	"bytes"
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
	Window   time.Duration // in which steps are counted
	Crowd    int           // runs that sleep
	Steps    int           // that each of them has taken
	Temporal string        // the command
}

var (
	whole = plan{Runs: []int{1, 100, 10_000}, Window: 5 * time.Second, Crowd: 10_000, Steps: 3}
	quick = plan{Runs: []int{1, 100}, Window: time.Second, Crowd: 200, Steps: 3}
)

// A figure is what was measured of one peer.
type figure struct {
	Value  float64
	Absent string // why there is none
}

func main() {
	isQuick := flag.Bool("quick", false, "with few runs, and for a shorter time")
	rounds := flag.Int("rounds", 3, "how often to measure each figure; the table has the medians")
	md := flag.String("md", "", "write the table into its place in this `file`")
	temporal := flag.String("temporal", "temporal", "the command `temporal`")
	only := flag.String("only", "", "only the peer with this `name`")
	child := flag.String("child", "", "measure one figure and write it: for the program's own use")
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

// A job is one figure for a process to measure.
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
		for _, row := range t.rows {
			for i, peer := range peers {
				if only != "" && peer.name != only {
					row.figures[i] = append(row.figures[i], figure{Absent: "not measured"})
					continue
				}
				f := inProcess(job{peer.name, row.measure, row.runs, *p})
				fmt.Fprintf(os.Stderr, "%-20s %-10s %6d  %v\n", peer.name, row.measure, row.runs, f)
				row.figures[i] = append(row.figures[i], f)
			}
		}
	}
	slices.Sort(sync)
	t.sync = sync[len(sync)/2]
	return t.String()
}

// inProcess measures a figure in a process of its own.
func inProcess(j job) figure {
	in, err := json.Marshal(j)
	check(err)
	exe, err := os.Executable()
	check(err)
	cmd := exec.Command(exe, "-child", string(in))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var f figure
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	if err != nil {
		return figure{Absent: "failed: " + err.Error()}
	}
	return f
}

// runChild measures a figure, and writes it to the standard output.
func runChild(arg string) (code int) {
	var j job
	check(json.Unmarshal([]byte(arg), &j))
	dir, err := os.MkdirTemp("", "durable-bench")
	check(err)
	defer os.RemoveAll(dir)
	f, err := j.measure(dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "durable: %s, %s: %v\n", j.Peer, j.Measure, err)
		return 1
	}
	out, err := json.Marshal(f)
	check(err)
	os.Stdout.Write(out)
	return 0
}

func (j job) measure(dir string) (figure, error) {
	i := slices.IndexFunc(peers, func(p peer) bool { return p.name == j.Peer })
	if i < 0 {
		return figure{}, errors.New("there is no such peer")
	}
	if why := peers[i].absent(&j.Plan, j.Measure); why != "" {
		return figure{Absent: why}, nil
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
