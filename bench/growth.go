package main

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// What grows with bystanders: each operation of the module is measured while there are more and more coroutines that it does
// not concern. It should take as long as without them, but for what it finds no longer in the processor's caches: bare
// iter.Pull, with as many functions parked, tells how much that is.

// A growthPlan is how to measure that.
type growthPlan struct {
	sizes  []int         // numbers of bystanders, beginning with 0
	rounds int           // the figure is the least of so many
	least  time.Duration // a round takes that long
	most   time.Duration // and all rounds of an operation hardly more than that
	looks  int           // how often to measure once more what is marked
	enough time.Duration // after which nothing is measured once more
	log    io.Writer
}

func newGrowthPlan(quick bool) growthPlan {
	p := growthPlan{
		sizes: []int{0, 1_000, 10_000, 100_000}, rounds: 7, least: 2 * time.Millisecond, most: 200 * time.Millisecond, looks: 3, enough: 7 * time.Minute, log: os.Stderr,
	}
	if quick {
		p.sizes, p.rounds, p.least, p.most = p.sizes[:3], 5, time.Millisecond/2, 50*time.Millisecond
		p.enough = 100 * time.Second
	}
	return p
}

// A cell is what came of an operation among bystanders of a kind.
type cell struct {
	op, kind int // indices
	observed bool
	figures  []float64 // by size, NaN where it would have taken too long; of busy bystanders, for one of their turns
	limits   []float64 // by size, above which a figure is marked
}

// largest is the index of the largest number of bystanders with a figure.
func (c *cell) largest() int {
	for i := len(c.figures) - 1; i > 0; i-- {
		if !math.IsNaN(c.figures[i]) {
			return i
		}
	}
	return 0
}

// excess is how often the figure for the largest number is its limit.
func (c *cell) excess() float64 { return c.figures[c.largest()] / c.limits[c.largest()] }

// marked reports that the figure for the largest number is above its limit.
func (c *cell) marked() bool { return c.excess() > 1 }

// steps reports that c has grown with the first bystanders and no more since.
func (c *cell) steps() bool {
	k := c.largest()
	return k > 1 && c.figures[k] <= tolerated*c.figures[1]+c.limits[k]-c.limits[0]
}

// take takes in what another look at the i-th size has found, if that is better: nothing but the machine makes a figure worse.
func (c *cell) take(i int, figure, limit float64) {
	if figure/limit < c.figures[i]/c.limits[i] {
		c.figures[i], c.limits[i] = figure, limit
	}
}

// tolerated is by how much a figure may be above that without bystanders, what bare iter.Pull grows not counted: the measuring is not
// more exact than that.
const tolerated = 1.5

// A growth is all that was measured.
type growth struct {
	about string
	sizes []int
	kinds []bystanders
	ops   []operation
	cells []cell       // by observer, kind and operation
	pull  [2][]float64 // bare iter.Pull: a round trip among so many parked functions, and in turn with all of them
}

// cell is that of the k-th kind and the o-th operation.
func (g *growth) cell(k, o int, observed bool) *cell {
	i := k*len(g.ops) + o
	if observed {
		i += len(g.kinds) * len(g.ops)
	}
	return &g.cells[i]
}

// alone is the least figure of the o-th operation without bystanders.
func (g *growth) alone(o int, observed bool) float64 {
	least := math.Inf(1)
	for k := range g.kinds {
		if !g.kinds[k].busy {
			least = min(least, g.cell(k, o, observed).figures[0])
		}
	}
	return least
}

// measure measures each operation among bystanders of each kind.
func (p growthPlan) measure(kinds []bystanders, ops []operation) *growth {
	began := time.Now()
	note := func(format string, args ...any) {
		fmt.Fprintf(p.log, "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	g := &growth{sizes: p.sizes, kinds: kinds, ops: ops}
	for _, n := range p.sizes {
		alone, around := p.pull(n)
		g.pull[0], g.pull[1] = append(g.pull[0], alone), append(g.pull[1], around)
	}
	for _, observed := range []bool{false, true} {
		p.group(bystanders{}, 0, observed, ops) // The heap and the program are cold.
		bases := p.group(bystanders{}, 0, observed, ops)
		for k := range kinds {
			for o := range ops {
				c := cell{op: o, kind: k, observed: observed, figures: bases[o : o+1 : o+1]}
				if kinds[k].busy {
					c.figures = []float64{p.turn(kinds[k], observed)}
				}
				g.cells = append(g.cells, c)
			}
		}
	}
	for i := 1; i < len(p.sizes); i++ { // the small ones first, for the same reason as in measureAll
		for from := 0; from < len(g.cells); from += len(ops) {
			group := g.cells[from : from+len(ops)]
			kind, observed := kinds[group[0].kind], group[0].observed
			note("%s %s, observed: %t", thousands(p.sizes[i]), kind.name, observed)
			var figures []float64
			if !p.tooLong(kind, p.sizes[i], group[0].figures[i-1], p.sizes[i-1]) {
				figures = p.group(kind, p.sizes[i], observed, ops)
			}
			for o := range group {
				figure := math.NaN()
				if figures != nil {
					figure = figures[o]
				}
				group[o].figures = append(group[o].figures, figure)
			}
		}
	}
	for _, observed := range []bool{false, true} {
		for range 2 { // The first figures were those of a program that had only just begun.
			for o, base := range p.group(bystanders{}, 0, observed, ops) {
				for k := range kinds {
					if c := g.cell(k, o, observed); !kinds[k].busy {
						c.figures[0] = min(c.figures[0], base)
					}
				}
			}
		}
	}
	for c := range g.cells {
		c := &g.cells[c]
		for i := range p.sizes {
			c.limits = append(c.limits, g.limit(c, i, c.figures[0]))
		}
	}
	for range p.looks {
		p.lookAgain(g, func() bool { return time.Since(began) > p.enough }, note)
	}
	g.about = fmt.Sprintf("%s, %s/%s, GOMAXPROCS=%d; the least of %d rounds, in %s", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		cores(), p.rounds, time.Since(began).Round(time.Second))
	return g
}

// turn measures a turn of a busy bystander without others. There has to be one, and the operator takes turns with it: what is measured
// for a turn of the bystander is the time of two.
func (p growthPlan) turn(kind bystanders, observed bool) float64 {
	return p.group(kind, 1, observed, operations()[:1])[0] / 2
}

// limit is that of a figure with the i-th number of bystanders, base being the one with none.
func (g *growth) limit(c *cell, i int, base float64) float64 {
	grown := g.pull[0]
	if g.kinds[c.kind].busy {
		grown = g.pull[1]
	}
	return tolerated*base + max(0, grown[i]-grown[0])
}

// lookAgain measures once more what is marked, and right before that what it is compared with: other programs use the machine too,
// and make it slower for seconds on end. What is far above its limit needs no other look.
func (p growthPlan) lookAgain(g *growth, enough func() bool, note func(string, ...any)) {
	for from := 0; from < len(g.cells); from += len(g.ops) {
		var again []*cell
		var ops []operation
		for o := range g.ops {
			if c := &g.cells[from+o]; c.marked() && c.excess() < 4 {
				again, ops = append(again, c), append(ops, g.ops[o])
			}
		}
		if len(again) == 0 || enough() {
			continue
		}
		kind, observed := g.kinds[again[0].kind], again[0].observed
		note("again: %s, observed: %t, %d operations", kind.name, observed, len(ops))
		bases := p.group(bystanders{}, 0, observed, ops)
		if kind.busy {
			turn := p.turn(kind, observed)
			for o := range bases {
				bases[o] = turn
			}
		}
		for i := 1; i <= again[0].largest(); i++ {
			if kind.busy {
				_, g.pull[1][i] = p.pull(g.sizes[i])
			}
			figures := p.group(kind, g.sizes[i], observed, ops)
			for o, c := range again {
				c.take(i, figures[o], g.limit(c, i, bases[o]))
			}
		}
		for o, c := range again {
			c.figures[0] = min(c.figures[0], bases[o])
		}
	}
}

// tooLong reports that n busy bystanders would take too long, going by the time that the turn of one takes among as many as
// before: if that grows, a round of all grows by its square.
func (p growthPlan) tooLong(kind bystanders, n int, turn float64, before int) bool {
	if math.IsNaN(turn) {
		return true
	}
	perOther := max(turn-2_000, 0) / float64(max(before, 1))
	return kind.busy && perOther*float64(n)*float64(n) > float64(p.most)
}

// group measures the operations among n bystanders of a kind. The collection of garbage is put off: what it costs is up to the
// runtime, and would hide what is looked for.
func (p growthPlan) group(kind bystanders, n int, observed bool, ops []operation) []float64 {
	figures := make([]float64, len(ops))
	var opts []tinyio.Option
	if observed {
		opts = append(opts, tinyio.WithObserver(ignorer{}))
	}
	kind.play(n, func(s *stage, l *tinyio.Loop, co *tinyio.Co) {
		runtime.GC()
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		o := &operator{co: co, loop: l}
		for i, x := range ops {
			do, end := x.begin(o)
			for began, k := time.Now(), 0; kind.past && k < n && time.Since(began) < p.most; k++ {
				do()
			}
			figures[i] = p.repeat(func(reps int) (time.Duration, float64) {
				turns, began := s.turns, time.Now()
				for range reps {
					do()
				}
				took := time.Since(began)
				if kind.busy {
					return took, float64(took) / float64(max(1, s.turns-turns))
				}
				return took, float64(took) / float64(reps*max(1, x.per))
			})
			end()
			check(co.Sleep(100 * time.Microsecond)) // When nobody is ready, nothing is left of one operation that could be in the way of the next.
		}
	}, opts...)
	return figures
}

// repeat finds out how often to call run, and returns the least of its figures.
func (p growthPlan) repeat(run func(reps int) (time.Duration, float64)) float64 {
	began, reps, least := time.Now(), 1, math.Inf(1)
	_, _ = run(1)
	for round := 0; round < p.rounds; {
		took, figure := run(reps)
		least = min(least, figure)
		if took < p.least {
			reps = int(float64(reps)*min(1.2*float64(p.least)/float64(max(took, 1)), 100)) + 1
		} else {
			round++
		}
		if time.Since(began) > p.most {
			break
		}
	}
	return least
}

// An ignorer observes and does nothing.
type ignorer struct{}

func (ignorer) Observe(hook.Note) {}

// pull measures bare iter.Pull with n functions parked: a round trip to one more, and a round trip in turn with all of them.
func (p growthPlan) pull(n int) (alone, around float64) {
	nexts := make([]func() (struct{}, bool), n+1)
	for i := range nexts {
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			for yield(struct{}{}) {
			}
		})
		defer stop()
		next()
		nexts[i] = next
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	among := func(nexts []func() (struct{}, bool)) float64 {
		return p.repeat(func(reps int) (time.Duration, float64) {
			began := time.Now()
			for range reps {
				for _, next := range nexts {
					next()
				}
			}
			took := time.Since(began)
			return took, float64(took) / float64(reps*len(nexts))
		})
	}
	return among(nexts[n:]), among(nexts)
}

// table has a row for each operation and a column for each kind, with the figures for the largest number of bystanders.
func (g *growth) table(observed bool, mark func(string) string) *table {
	t := &table{left: 1}
	header := []string{"operation", "alone"}
	for _, k := range g.kinds {
		header = append(header, k.name)
	}
	t.add(header...)
	for o, x := range g.ops {
		row := []string{x.name, figure(g.alone(o, observed), "ns")}
		for k := range g.kinds {
			c := g.cell(k, o, observed)
			at := c.largest()
			text := figure(c.figures[at], "ns")
			if c.marked() {
				text = mark(text)
			}
			if at < len(g.sizes)-1 {
				text += " (" + thousands(g.sizes[at]) + ")"
			}
			row = append(row, text)
		}
		t.add(row...)
	}
	return t
}

// marks has a row for each kind among which operations are marked, and for each of these.
func (g *growth) marks() *table {
	t := &table{left: 3}
	header := []string{"bystanders", "operation", "observer"}
	for _, n := range g.sizes {
		header = append(header, thousands(n))
	}
	t.add(append(header, "grows")...)
	for i := range g.cells {
		c := &g.cells[i]
		if !c.marked() {
			continue
		}
		row := []string{g.kinds[c.kind].name, g.ops[c.op].name, map[bool]string{true: "yes", false: "no"}[c.observed]}
		for _, f := range c.figures {
			text := "–"
			if !math.IsNaN(f) {
				text = figure(f, "ns")
			}
			row = append(row, text)
		}
		t.add(append(row, map[bool]string{true: "once", false: "YES"}[c.steps()])...)
	}
	return t
}

// pulls is the table of bare iter.Pull.
func (g *growth) pulls() *table {
	t := &table{left: 1}
	header := []string{"bare iter.Pull"}
	for _, n := range g.sizes {
		header = append(header, thousands(n))
	}
	t.add(header...)
	for i, what := range []string{"a round trip, so many others parked", "a round trip, in turn with so many"} {
		row := []string{what}
		for _, f := range g.pull[i] {
			row = append(row, figure(f, "ns"))
		}
		t.add(row...)
	}
	return t
}

// legend says what the kinds of bystanders do.
func (g *growth) legend() (lines []string) {
	for _, k := range g.kinds {
		lines = append(lines, k.name+": each "+k.about)
	}
	return lines
}

// titles are those of the two main tables.
func (g *growth) titles() map[bool]string {
	most := thousands(g.sizes[len(g.sizes)-1])
	return map[bool]string{false: "Among " + most + " bystanders", true: "The same with an Observer that does nothing"}
}

func (g *growth) writeText(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", g.about)
	for _, line := range g.legend() {
		fmt.Fprintf(w, "  %s\n", line)
	}
	fmt.Fprintln(w)
	g.pulls().writeText(w)
	for _, observed := range []bool{false, true} {
		fmt.Fprintf(w, "\n%s\n", g.titles()[observed])
		g.table(observed, func(s string) string { return "*" + s }).writeText(w)
	}
	fmt.Fprintf(w, "\nmarked\n")
	g.marks().writeText(w)
}

func (g *growth) writeMarkdown(w io.Writer) {
	fmt.Fprintf(w, "%s. The bystanders:\n\n", g.about)
	for _, line := range g.legend() {
		fmt.Fprintf(w, "- %s\n", line)
	}
	fmt.Fprintln(w)
	g.pulls().writeMarkdown(w)
	for _, observed := range []bool{false, true} {
		fmt.Fprintf(w, "\n%s:\n\n", g.titles()[observed])
		g.table(observed, func(s string) string { return "**" + s + "**" }).writeMarkdown(w)
	}
	if t := g.marks(); len(t.rows) > 1 {
		fmt.Fprintf(w, "\nThose that are marked. The ones that grow once cost the same among any number of bystanders, if there are any:\n\n")
		t.writeMarkdown(w)
	} else {
		fmt.Fprintf(w, "\nNone is marked.\n")
	}
}

// inMarkdown is g as a part of a document.
func (g *growth) inMarkdown() []byte {
	var w bytes.Buffer
	g.writeMarkdown(&w)
	return w.Bytes()
}

// runGrowth measures what grows, writes it, and puts it into the document if that has a name.
func runGrowth(p growthPlan, match func(string) bool, document string) {
	ops := slices.DeleteFunc(operations(), func(x operation) bool { return !match(x.name) })
	if len(ops) == 0 {
		fail("no operation is named like that; there are %s", strings.Join(operationNames(), ", "))
	}
	g := p.measure(kindsOfBystanders(), ops)
	g.writeText(os.Stdout)
	if document != "" {
		writePart(document, "growth", g.inMarkdown())
	}
}

func operationNames() (names []string) {
	for _, x := range operations() {
		names = append(names, x.name)
	}
	return names
}
