package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Other runtimes beside this module and goroutines: small programs in their own languages, in the directory peers, do the same work in their
// own idioms. Those are run whose runtimes are installed. All take turns, round by round, in one session.

//go:embed peers
var peerPrograms embed.FS

// A foreign is another runtime.
type foreign struct {
	name     string
	needs    string // the packages of Debian that bring it
	language string // the directory of its program
	find     func(dir string) (command []string, err error)
}

var foreigns = []foreign{
	{"tokio", "rustc cargo librust-tokio-dev", "tokio", func(dir string) ([]string, error) { return tokio(dir, 1) }},
	{"tokio, 2 threads", "rustc cargo librust-tokio-dev", "tokio", func(dir string) ([]string, error) { return tokio(dir, 2) }},
	{"Node", "nodejs", "node", func(dir string) ([]string, error) {
		node, err := exec.LookPath("node")
		return []string{node, filepath.Join(dir, "main.mjs")}, err
	}},
	{"trio", "python3-trio", "python", func(dir string) ([]string, error) { return python(dir, "trio") }},
	{"asyncio", "python3", "python", func(dir string) ([]string, error) { return python(dir, "asyncio") }},
}

// tokio builds its program, unless that has been done, from the sources of crates that Debian installs.
func tokio(dir string, threads int) (command []string, err error) {
	cargo := "/usr/bin/cargo" // which goes with the crates
	if _, err := os.Stat(cargo); err != nil {
		if cargo, err = exec.LookPath("cargo"); err != nil {
			return nil, err
		}
	}
	const crates = "/usr/share/cargo/registry"
	if found, _ := filepath.Glob(crates + "/tokio-1.*"); len(found) == 0 {
		return nil, fmt.Errorf("there is no tokio in %s", crates)
	}
	program := filepath.Join(dir, "target", "release", "peer")
	if _, err := os.Stat(program); err != nil {
		build := exec.Command(cargo, "build", "--release", "--offline", "--config", `source.crates-io.replace-with="installed"`,
			"--config", fmt.Sprintf("source.installed.directory=%q", crates))
		build.Dir = dir
		if rustc := filepath.Join(filepath.Dir(cargo), "rustc"); exec.Command(rustc, "--version").Run() == nil {
			build.Env = append(os.Environ(), "RUSTC="+rustc) // and not another one that is found first
		}
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cargo: %w\n%s", err, out)
		}
	}
	return []string{program, strconv.Itoa(threads)}, nil
}

// python finds an interpreter that has the library, in the version that its program needs.
func python(dir, library string) (command []string, err error) {
	err = errors.New("there is no python3")
	for _, name := range []string{"/usr/bin/python3", "python3"} { // the former has Debian's packages
		check := exec.Command(name, "-c", "import asyncio, "+library+"; asyncio.TaskGroup")
		if out, failed := check.CombinedOutput(); failed == nil {
			return []string{name, "-B", filepath.Join(dir, library+"_peer.py")}, nil
		} else if len(out) > 0 {
			err = errors.New(lastLine(out))
		}
	}
	return nil, err
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// unpackPeers puts the programs into directories that are the same as long as they are, so that what has been built there is found again. It
// returns the one with those of a language.
func unpackPeers(language string) (dir string, err error) {
	sum := sha256.New()
	var files []string
	err = fs.WalkDir(peerPrograms, path.Join("peers", language), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content := must(peerPrograms.ReadFile(name))
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
		files = append(files, name)
		return nil
	})
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	root := filepath.Join(cache, "tinyio-bench", fmt.Sprintf("%x", sum.Sum(nil)[:8]))
	for _, name := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return "", err
		}
		if err := os.WriteFile(file, must(peerPrograms.ReadFile(name)), 0o666); err != nil {
			return "", err
		}
	}
	return filepath.Join(root, "peers", language), nil
}

// A shared is work that the other runtimes do as well.
type shared struct {
	name     string // in the programs
	workload string // here
	n        int
	what     string // for people
}

// sharedWork is all of it, in the order of the table.
func sharedWork(quick bool) []shared {
	many := 100_000
	if quick {
		many = 10_000
	}
	each := ", each of " + thousands(many)
	return []shared{
		{"yield", "yield", 1_000, "a turn, 1,000 taking turns"},
		{"await fresh", "await fresh", 1, "start one, get its result"},
		{"gather", "gather", 1_000, "start 1,000, get their results, each"},
		{"event ping-pong", "event ping-pong", 1, "a signal"},
		{"queue", "queue", 1, "a value through a queue with room"},
		{"sleepers", "sleepers, equal", many, "sleep a millisecond" + each},
		{"crash", "crash", many, "one fails and all clean up" + each},
	}
}

func (s shared) arg() string { return fmt.Sprintf("%s:%d", s.name, s.n) }

// A runtimeFigure is what a runtime takes for some work: a figure for each round, or the reason why there is none.
type runtimeFigure struct {
	rounds []float64
	absent string
}

func (f *runtimeFigure) median() float64 { return quantile(f.rounds, 0.5) }

// spread is by how much of the median the quartiles differ from it.
func (f *runtimeFigure) spread() float64 {
	return (quantile(f.rounds, 0.75) - quantile(f.rounds, 0.25)) / 2 / f.median()
}

// A comparison is what came of all runtimes.
type comparison struct {
	rounds   int
	work     []shared
	names    []string                    // of the runtimes that were measured, this module first
	versions []string                    // of those that are not in this program
	missing  []string                    // sentences
	figures  map[string][]*runtimeFigure // by runtime, one for each work
}

// compare measures the work by this module, by goroutines and by the other runtimes that can be found.
func (p plan) compare(work []shared, others []foreign) *comparison {
	c := &comparison{rounds: p.rounds, work: work, figures: map[string][]*runtimeFigure{}}
	commands := map[string][]string{}
	for _, f := range others {
		command, err := f.find(must(unpackPeers(f.language)))
		if err == nil {
			var version string
			if version, err = askVersion(command); err == nil {
				commands[f.name] = command
				c.names = append(c.names, f.name)
				if !slices.Contains(c.versions, version) {
					c.versions = append(c.versions, version)
				}
				continue
			}
		}
		fmt.Fprintf(p.log, "NOT MEASURED: %s: %v\n", f.name, err)
		c.missing = append(c.missing, fmt.Sprintf("%s was not measured: it cannot be run here. Debian has it in %s.", f.name, f.needs))
	}
	c.names = append([]string{ours, goroutines}, c.names...)
	for _, name := range c.names {
		for range work {
			c.figures[name] = append(c.figures[name], new(runtimeFigure))
		}
	}
	for i, s := range work {
		fmt.Fprintf(p.log, "%s\n", s.what)
		w := workloadOf(s.workload)
		reps := map[string]int{}
		for _, x := range w.peers {
			reps[x.name] = 1
			if x.name == ours || x.name == goroutines {
				reps[x.name] = p.calibrate(w, x, s.n)
			}
		}
		for round := range p.rounds {
			for k := range c.names {
				name := c.names[(round+k)%len(c.names)]
				c.figures[name][i].add(p.figureOf(w, s, name, commands[name], reps[name]))
			}
		}
	}
	return c
}

func (f *runtimeFigure) add(ns float64, absent string) {
	if f.absent = absent; absent == "" {
		f.rounds = append(f.rounds, ns)
	}
}

// figureOf measures once what an operation of s takes.
func (p plan) figureOf(w *workload, s shared, name string, command []string, reps int) (ns float64, absent string) {
	if command == nil {
		i := slices.IndexFunc(w.peers, func(x peer) bool { return x.name == name })
		j := p.fresh(w, w.peers[i], s.n, reps)
		return float64(j.Elapsed.Nanoseconds()) / float64(w.operations(s.n, reps)), ""
	}
	lines, err := runPeer(append(slices.Clone(command), fmt.Sprint(p.least.Milliseconds()), s.arg()))
	if err != nil {
		fail("%s: %v", name, err)
	}
	if len(lines) != 2 || len(lines[1]) < 2 || lines[1][0] != s.arg() {
		fail("%s has written %q of %s", name, lines, s.arg())
	}
	if lines[1][1] == "-" {
		return 0, lines[1][2]
	}
	return must(strconv.ParseFloat(lines[1][1], 64)), ""
}

// askVersion runs a program for nothing, and returns what it says that it measures.
func askVersion(command []string) (string, error) {
	lines, err := runPeer(append(slices.Clone(command), "0"))
	if err != nil {
		return "", err
	}
	if len(lines) != 1 || len(lines[0]) != 2 || lines[0][0] != "runtime" {
		return "", fmt.Errorf("it has written %q", lines)
	}
	return lines[0][1], nil
}

// runPeer runs a program and returns the fields of the lines that it writes.
func runPeer(command []string) (lines [][]string, err error) {
	cmd := exec.Command(command[0], command[1:]...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, errs.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return lines, nil
}

// noisy is the spread from which on it is reported.
const noisy = 0.1

func (c *comparison) table() *table {
	t := &table{left: 1}
	t.add(append([]string{"one of"}, c.names...)...)
	for i, s := range c.work {
		row := []string{s.what}
		for _, name := range c.names {
			f := c.figures[name][i]
			cell := "–"
			if f.absent == "" {
				cell = figure(f.median(), "ns")
				if f.spread() > noisy {
					cell += fmt.Sprintf(" ± %.0f %%", 100*f.spread())
				}
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	return t
}

// measured is what was measured, and on what.
func (c *comparison) measured() []string {
	r := report{Processor: processor(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Cores: cores()}
	return append([]string{r.machine()}, c.versions...)
}

// about is a line about the session.
func (c *comparison) about() string {
	return strings.Join(c.measured(), "; ") + fmt.Sprintf("; medians of %d rounds, in which "+
		"the runtimes took turns. Where the quartiles are further from the median than a tenth, that is reported.", c.rounds)
}

func (c *comparison) notes() (notes []string) {
	for i, s := range c.work {
		for _, name := range c.names {
			if why := c.figures[name][i].absent; why != "" {
				notes = append(notes, fmt.Sprintf("%s, %s: %s.", name, s.what, why))
			}
		}
	}
	return append(notes, c.missing...)
}

func (c *comparison) writeMarkdown(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", c.about())
	c.table().writeMarkdown(w)
	for i, note := range c.notes() {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "- %s\n", note)
	}
}

// runPeers compares, and writes the table, or puts it into its place in a document, and draws the chart into a directory.
func runPeers(quick bool, rounds int, match func(string) bool, document, charts string) {
	p := plan{quick: quick, rounds: rounds, least: 300 * time.Millisecond, log: os.Stderr}
	if quick {
		p.least = 30 * time.Millisecond
	}
	work := slices.DeleteFunc(sharedWork(quick), func(s shared) bool { return !match(s.name) })
	if len(work) == 0 {
		fail("none of the work that the other runtimes do has such a name")
	}
	c := p.compare(work, foreigns)
	var part bytes.Buffer
	c.writeMarkdown(&part)
	writePart(document, "peers", part.Bytes())
	if charts != "" {
		check(c.draw(filepath.Join(charts, "runtimes.svg")))
	}
}
