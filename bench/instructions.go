package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Times on shared machines differ by half from one run to the next. How many instructions an operation takes does not differ by more than
// a per cent. So these are counted, by valgrind's cachegrind, on one processor and without a garbage collector, and a change that
// takes more of them is found wherever it is tested. They are not time: a cache miss is not in them.

// A counted is an operation whose instructions are counted.
type counted struct {
	workload string
	n        int     // coroutines
	peer     string  // beside which it is counted
	few      int     // repetitions of the shorter run; the longer has eleven times as many
	limit    float64 // the target: so many times the instructions of the peer; 0 for none
}

// A sleep is not among them: how often the loop reads the clock depends on how fast the machine is at the moment.
var countedRows = []counted{
	{"yield", 1_000, pull, 40, 0},
	{"yield", 1, pull, 30_000, 0},
	{"await fresh", 1, goroutines, 3_000, 0.55},
	{"await finished", 1, goroutines, 20_000, 0},
	{"gather", 1_000, xsync, 4, 0.50},
	{"event ping-pong", 1, goroutines, 5_000, 0.57},
	{"call", 1, goroutines, 1_500, 0},
	{"run in thread", 1, goroutines, 1_500, 0},
	{"first", 1, goroutines, 1_000, 0},
	{"cancel", 1, goroutines, 1_000, 0},
	{"wait any", 1, goroutines, 1_000, 0},
	{"as completed", 1_000, goroutines, 4, 0},
	{"timeout does not fire", 1, goroutines, 1_000, 0},
	{"queue", 1, goroutines, 10_000, 0},
	{"hand over", 1, goroutines, 5_000, 0},
	{"acquire free", 1, "", 30_000, 0},
	{"diamonds", 10_000, "", 1, 0}, // each node waits on a new stack, and it takes 20,000 instructions if that has to grow
	{"submit", 1, goroutines, 1_000, 0},
	{"yield, observed", 1_000, "", 40, 0},
	{"yield, picked", 1_000, "", 40, 0},
	{"yield, by a clock", 1_000, "", 40, 0},
	{"snapshot", 1_000, "", 4, 0},
}

// A count is what came of a counted.
type count struct {
	Workload string  `json:"workload"`
	N        int     `json:"n"`
	Ours     float64 `json:"ours"`
	Peer     string  `json:"peer,omitempty"`
	Theirs   float64 `json:"theirs,omitempty"`

	our, their spending
}

func (c count) name() string { return c.Workload + ", " + thousands(c.N) }

// A baseline is the counts that are kept, and for what they hold: another Go counts differently.
type baseline struct {
	Go       string  `json:"go"`
	Platform string  `json:"platform"`
	Counts   []count `json:"counts"`
}

// worse is how much more an operation may take than the baseline has it.
const worse = 1.03

// recounts is how many more times an operation is counted that seems to take more: in a Submit, how often the loop and its caller find each
// other awake depends on how fast the machine is at the moment, and makes a difference of a twentieth.
const recounts = 3

// runInstructions counts, and compares with the baseline in the file, if there is one, or writes it if update is set. Where the instructions go is
// put into its place in the document and drawn into a directory, if these have names. It reports whether no row got worse.
func runInstructions(match func(string) bool, file string, update bool, document, charts string) (fine bool) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		if out, err := exec.Command("apt-get", "install", "-y", "--no-install-recommends", "valgrind").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: NOT COUNTED: there is no valgrind, and it cannot be installed: %v\n%s", err, out)
			return true
		}
	}
	now := baseline{Go: minor(runtime.Version()), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	was := readBaseline(file)
	comparable := was.Go == now.Go && was.Platform == now.Platform
	fine = true
	t := &table{left: 1, rows: [][]string{{"operation", "instructions", "before", "", "peer's", "ratio", "at most"}}}
	for _, c := range countedRows {
		if !match(c.workload) {
			continue
		}
		got := c.count()
		row := []string{got.name(), "", "", "", "", "", ""}
		for _, old := range was.Counts {
			if comparable && old.Workload == c.workload && old.N == c.n {
				for again := 0; again < recounts && got.Ours > old.Ours*worse; again++ {
					got = c.count()
				}
				row[2] = thousands(int(old.Ours))
				if got.Ours > old.Ours*worse {
					row[3], fine = "WORSE", false
				}
			}
		}
		row[1] = thousands(int(got.Ours))
		if c.peer != "" {
			row[4], row[5] = thousands(int(got.Theirs)), fmt.Sprintf("%.2f", got.Ours/got.Theirs)
		}
		if c.limit > 0 {
			row[6] = fmt.Sprintf("%.2f", c.limit)
		}
		t.add(row...)
		now.Counts = append(now.Counts, got)
	}
	t.writeText(os.Stdout)
	if document != "" {
		writePart(document, "instructions", writeBreakdown(now.Counts, counting(now)))
	}
	if charts != "" {
		check(drawBreakdown(filepath.Join(charts, "instructions.svg"), now.Counts, counting(now)))
	}
	switch {
	case update:
		check(os.WriteFile(file, append(must(json.MarshalIndent(now, "", "\t")), '\n'), 0o666))
		return true
	case file != "" && !comparable:
		fmt.Printf("\nThe counts in %s are for %s on %s, so nothing is compared.\n", file, was.Go, was.Platform)
	case !fine:
		fmt.Printf("\nSome got worse by more than %.0f %%. If that is right, run again with -update.\n", 100*(worse-1))
	}
	return fine
}

func readBaseline(file string) (b baseline) {
	if file == "" {
		return b
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return b
	}
	check(err)
	check(json.Unmarshal(text, &b))
	return b
}

// minor is a version of Go without its patch: go1.26.
func minor(version string) string {
	return regexp.MustCompile(`^go1\.\d+`).FindString(version)
}

// count counts the instructions of one operation, by ours and by the peer.
func (c counted) count() count {
	got := count{Workload: c.workload, N: c.n, Peer: c.peer}
	got.Ours, got.our = c.per(ours)
	if c.peer != "" {
		got.Theirs, got.their = c.per(c.peer)
	}
	return got
}

// per is the instructions of an operation: what a longer run takes more than a shorter one.
func (c counted) per(peer string) (all float64, by spending) {
	w := workloadOf(c.workload)
	many := 11 * c.few
	operations := w.operations(c.n, many) - w.operations(c.n, c.few)
	fewer, byFewer := c.instructions(peer, c.few)
	more, byMore := c.instructions(peer, many)
	return float64(more-fewer) / float64(operations), spent(byFewer, byMore, operations)
}

func workloadOf(name string) *workload {
	all := slices.Concat(workloads(), lookings())
	for i := range all {
		if all[i].name == name {
			return &all[i]
		}
	}
	fail("there is no workload %q", name)
	return nil
}

var refs = regexp.MustCompile(`I\s+refs:\s+([0-9,]+)`)

// instructions is how many a run takes, and by function.
func (c counted) instructions(peer string, reps int) (all int, by map[string]int) {
	file := must(os.CreateTemp("", "cachegrind."))
	defer os.Remove(file.Name())
	defer file.Close()
	program := must(os.Executable())
	cmd := exec.Command("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file="+file.Name(),
		program, "-child", c.workload, peer, strconv.Itoa(c.n), strconv.Itoa(reps))
	// Valgrind tells the program that its processor has the instruction RDTSCP, and cannot run it where the real one has not.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=cpu.rdtscp=off")
	out, err := cmd.CombinedOutput()
	found := refs.FindSubmatch(out)
	if err != nil || found == nil {
		fail("valgrind: %v\n%s", err, out)
	}
	return must(strconv.Atoi(strings.ReplaceAll(string(found[1]), ",", ""))), must(byFunction(file))
}
