package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// A report is what a crawl has found so far.
type report struct {
	pages     int                // whose links are checked
	links     int                // that were looked at
	unvisited int                // of these, those that lead out of the site and were left at that
	broken    map[string]*broken // by target
	tooMany   map[string]bool    // pages whose links are not checked, because there are enough,
	tooDeep   map[string]bool    // or because they are too far away

	done, expected int // checks
	progress       func(done, expected int)
}

func newReport(progress func(done, expected int)) report {
	return report{
		broken:   make(map[string]*broken),
		tooMany:  make(map[string]bool),
		tooDeep:  make(map[string]bool),
		progress: progress,
	}
}

// A broken target, and the pages that link to it.
type broken struct {
	problem string
	from    map[string]bool
}

// expect takes down that n more checks have begun.
func (r *report) expect(n int) {
	r.expected += n
	r.progress(r.done, r.expected)
}

// tick takes down that a check has ended.
func (r *report) tick() {
	r.done++
	r.progress(r.done, r.expected)
}

// add takes down what came of checking l.
func (r *report) add(l link, problem string, unvisited bool) {
	if l.from != "" {
		r.links++
	}
	if unvisited {
		r.unvisited++
	}
	if problem == "" {
		return
	}
	b := r.broken[l.target()]
	if b == nil {
		b = &broken{problem: problem, from: make(map[string]bool)}
		r.broken[l.target()] = b
	}
	b.from[l.from] = true
}

// print writes the report. How addresses are shown is up to name.
func (r *report) print(w io.Writer, name func(address string) string, interrupted bool) {
	for _, target := range slices.Sorted(maps.Keys(r.broken)) {
		b := r.broken[target]
		fmt.Fprintf(w, "%s: %s\n", name(target), b.problem)
		for _, from := range slices.Sorted(maps.Keys(b.from)) {
			if from == "" {
				fmt.Fprintln(w, "\tnamed on the command line")
			} else {
				fmt.Fprintf(w, "\tlinked from %s\n", name(from))
			}
		}
	}
	if n := len(r.tooMany); n > 0 {
		fmt.Fprintf(w, "warning: the links of %s are not checked: there are more than -pages allows\n", count(n, "page", "pages"))
	}
	if n := len(r.tooDeep); n > 0 {
		fmt.Fprintf(w, "warning: the links of %s are not checked: they are further away than -depth allows\n", count(n, "page", "pages"))
	}
	if interrupted {
		fmt.Fprintf(w, "interrupted, %s not checked; so far: ", count(r.expected-r.done, "link", "links"))
	}
	fmt.Fprintf(w, "%s on %s, %s broken", count(r.links, "link", "links"), count(r.pages, "page", "pages"),
		count(len(r.broken), "target", "targets"))
	if r.unvisited > 0 {
		fmt.Fprintf(w, ", %s out of the site not checked", count(r.unvisited, "link", "links"))
	}
	fmt.Fprintln(w)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
