// Command bench measures this module against what a user would pick instead, and against the floor, in one run:
// bare iter.Pull; goroutines with channels and sync.WaitGroup; golang.org/x/sync; github.com/sourcegraph/conc;
// github.com/alitto/pond/v2; github.com/b97tsk/async. Where a peer cannot do the work, the table says why.
//
//	go run ./bench -quick              a minute, without the large numbers of coroutines
//	go run ./bench                     all of it, in ten minutes
//	go run ./bench -run 'yield|gather' these workloads
//	go run ./bench -svg docs/img -md docs/benchmarks.md -json bench.json
//	go run ./bench -from bench.json -svg docs/img  the charts again, of figures that are there
//	go run ./bench -instructions -baseline bench/instructions.json   instructions, which differ less than times
//	go run ./bench -looking -md docs/performance.md  what it costs to be looked at
//	go run ./bench -cores -md docs/performance.md    two loops at the same time
//	go run ./bench -peers -md docs/performance.md -svg docs/img   tokio, Node, trio and asyncio, as far as they are installed
//	go run ./bench -growth -md docs/performance.md   what grows with coroutines that an operation does not concern
//
// All peers run with Go's defaults and the same GOMAXPROCS, do the same work, and are checked for the same result. They
// take turns, round by round, and each run begins on a heap that has been cleaned up. Nothing within the measured part
// reads the clock. Memory is measured in processes of its own.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// workloads are all of them, in the order of the table.
func workloads() []workload {
	return slices.Concat(yields(), awaits(), gathers(), syncs(), queues(), times(), threads(), failures(), graphs(), loops(),
		memories())
}

// A report is what the JSON file holds.
type report struct {
	Processor    string        `json:"processor,omitempty"`
	Go           string        `json:"go"`
	Platform     string        `json:"platform"`
	Cores        int           `json:"gomaxprocs"`
	Rounds       int           `json:"rounds"`
	Quick        bool          `json:"quick"`
	Took         string        `json:"took"`
	Targets      []verdict     `json:"targets"`
	Measurements []measurement `json:"measurements"`
}

func main() {
	quick := flag.Bool("quick", false, "leave out the large numbers of coroutines, and measure for a shorter time")
	rounds := flag.Int("rounds", 5, "how often to measure each figure")
	run := flag.String("run", "", "measure only workloads whose names match this `regexp`")
	jsonFile := flag.String("json", "", "write all figures to this `file`")
	from := flag.String("from", "", "measure nothing, and take the figures from this `file`, which -json has written")
	mdFile := flag.String("md", "", "write the tables to this `file` in Markdown")
	svgDir := flag.String("svg", "", "draw charts into this `directory`")
	grows := flag.Bool("growth", false, "measure instead what each operation costs among coroutines that it does not concern; "+
		"-md puts that in its place in the file, -run selects operations")
	looks := flag.Bool("looking", false, "measure instead what it costs to be looked at; -md puts that in its place in the file")
	others := flag.Bool("peers", false, "measure instead what other runtimes take that are installed; -md puts that in its place in the file, -svg draws it")
	twoCores := flag.Bool("cores", false, "measure instead two loops at the same time; -md puts that in its place in the file")
	instructions := flag.Bool("instructions", false, "count instructions instead, with valgrind, beside those of -baseline; fails if a row got worse by 3 %")
	base := flag.String("baseline", "", "compare instructions with those in this `file`")
	update := flag.Bool("update", false, "write the instructions to the file of -baseline instead")
	child := flag.Bool("child", false, "run one workload once and write the job: for the program's own use")
	flag.Parse()
	if *child {
		runChild(flag.Args())
		return
	}
	pattern, err := regexp.Compile(*run)
	if err != nil || *rounds < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench: -run takes a regexp, -rounds at least 1, and there are no arguments:", err)
		os.Exit(2)
	}
	if *instructions {
		if !runInstructions(pattern.MatchString, *base, *update, *mdFile, *svgDir) {
			os.Exit(1)
		}
		return
	}
	if *grows {
		runGrowth(newGrowthPlan(*quick), pattern.MatchString, *mdFile)
		return
	}
	if *others {
		runPeers(*quick, *rounds, pattern.MatchString, *mdFile, *svgDir)
		return
	}
	if *twoCores {
		runCores(*quick, *rounds, pattern.MatchString, *mdFile)
		return
	}
	if *looks {
		runLooking(*rounds, *mdFile)
		return
	}
	p := plan{quick: *quick, rounds: *rounds, least: 25 * time.Millisecond, log: os.Stderr}
	if p.quick {
		p.least = 3 * time.Millisecond
	}
	var r report
	if *from != "" {
		check(json.Unmarshal(must(os.ReadFile(*from)), &r))
	} else {
		r = p.measureAll(workloads(), pattern)
	}
	r.writeText(os.Stdout)
	writeFile(*jsonFile, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "\t")
		return e.Encode(r)
	})
	writeFile(*mdFile, func(w io.Writer) error { r.writeMarkdown(w); return nil })
	if *svgDir != "" {
		check(r.draw(*svgDir))
	}
}

// processor is the name of the processor, "" if the system does not tell.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo") // as Linux has it
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if key, name, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// allSizes are the numbers of coroutines of all workloads, the small ones first: the runtime never forgets a goroutine
// that has been, and each collection of garbage goes through all of them.
func (p plan) allSizes(all []workload) (sizes []int) {
	for _, w := range all {
		sizes = append(sizes, p.sizes(&w)...)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// measureAll measures the workloads whose names match.
func (p plan) measureAll(all []workload, pattern *regexp.Regexp) report {
	began := time.Now()
	r := report{
		Processor: processor(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Cores: cores(), Rounds: p.rounds, Quick: p.quick,
	}
	for _, n := range p.allSizes(all) {
		for _, w := range all {
			if !pattern.MatchString(w.name) || !slices.Contains(p.sizes(&w), n) {
				continue
			}
			fmt.Fprintf(p.log, "%6.1fs  %s, %s\n", time.Since(began).Seconds(), w.name, thousands(n))
			r.Measurements = append(r.Measurements, p.measure(&w, n)...)
		}
	}
	place := func(m measurement) int {
		return slices.IndexFunc(all, func(w workload) bool { return w.name == m.Workload })
	}
	slices.SortStableFunc(r.Measurements, func(a, b measurement) int { return place(a) - place(b) })
	r.Targets = judge(r.Measurements)
	r.Took = time.Since(began).Round(time.Second).String()
	return r
}

// runChild runs one workload once and writes the job to the standard output.
func runChild(args []string) {
	if len(args) != 4 {
		fail("-child takes a workload, a peer, a number of coroutines and one of repetitions")
	}
	n, reps := must(strconv.Atoi(args[2])), must(strconv.Atoi(args[3]))
	for _, w := range slices.Concat(workloads(), lookings()) {
		for _, x := range w.peers {
			if w.name == args[0] && x.name == args[1] {
				check(json.NewEncoder(os.Stdout).Encode(w.once(x, n, reps)))
				return
			}
		}
	}
	fail("there is no workload %q of %q", args[0], args[1])
}

// writeFile writes a file, if it has a name.
func writeFile(name string, write func(w io.Writer) error) {
	if name == "" {
		return
	}
	f := must(os.Create(name))
	check(write(f))
	check(f.Close())
}
