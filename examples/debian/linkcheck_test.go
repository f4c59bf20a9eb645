package debian

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// documents are the trees that are checked, each made by other tools.
var documents = []struct {
	dir      string   // below /usr/share/doc
	packages []string // in which there is that, and what it links to
}{
	{"libyaml-dev/html", []string{"libyaml-doc"}},                                                                    // Doxygen
	{"libjson-c-dev/html", []string{"libjson-c-doc", "libjs-jquery"}},                                                // a newer one
	{"ntpsec-doc/html", []string{"ntpsec-doc"}},                                                                      // AsciiDoc
	{"python-jinja2-doc/html", []string{"python-jinja2-doc", "libjs-jquery", "libjs-sphinxdoc", "libjs-underscore"}}, // Sphinx
	{"libxml2/html", []string{"libxml2-doc"}},                                                                        // DocBook, gtk-doc, and by hand
}

// A finding is a link that leads nowhere.
type finding struct {
	page, link string
	verdict    string
}

// The verdicts.
const (
	missing    = "missing"
	noFragment = "no such fragment"
)

// A difference is a link of which only one of the two tells, or a file for which only one of the two asks.
type difference struct {
	by    string
	pages []string // which have the link
	link  string
}

// explanations say why the two differ where they do. What none of them explains fails the test.
var explanations = []struct {
	by   string
	is   func(d difference) bool
	text string
}{
	{"linkchecker", func(d difference) bool { return d.link == "/robots.txt" },
		"It asks for robots.txt, as a robot should that is sent to sites of others. `linkcheck` checks the site of who starts it."},
	{"linkchecker", func(d difference) bool {
		return all(d.pages, func(page string) bool { return strings.HasSuffix(page, ".css") })
	},
		"It reads style sheets. What they use, `linkcheck` does not look at."},
	{"linkchecker", func(d difference) bool { return strings.HasSuffix(d.link, "/search.php") },
		"It takes what a form is sent to for a link, and asks for it without the fields of the form."},
	{"linkchecker", func(d difference) bool { return strings.Contains(d.link, "?") && strings.Contains(d.link, " ") },
		"In a query it makes a plus sign a space that is escaped, which is another query to a server that knows both,"},
	{"linkcheck", func(d difference) bool { return strings.Contains(d.link, "?") && strings.Contains(d.link, "+") },
		"and `linkcheck` leaves it as it is. It is the same link."},
}

func all(pages []string, is func(page string) bool) bool {
	return len(pages) > 0 && !slices.ContainsFunc(pages, func(page string) bool { return !is(page) })
}

// explain returns which of the explanations a difference has, -1 if it has none.
func explain(d difference) int {
	for i, e := range explanations {
		if e.by == d.by && e.is(d) {
			return i
		}
	}
	return -1
}

// A library serves the files below root, and at / a list of the pages in one of the directories there. It takes down who asks for what.
type library struct {
	root, dir string
	mu        sync.Mutex
	asked     map[string]map[string]bool // by program
}

func (l *library) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	program := "linkchecker"
	if r.UserAgent() == "tinyio-linkcheck" {
		program = "linkcheck"
	}
	l.mu.Lock()
	if l.asked[program] == nil {
		l.asked[program] = make(map[string]bool)
	}
	l.asked[program][r.URL.Path] = true
	l.mu.Unlock()
	w.Header().Set("LinkChecker", "may ask as often as it likes")
	name := filepath.Join(l.root, filepath.FromSlash(r.URL.Path))
	switch info, err := os.Stat(name); {
	case r.URL.Path == "/":
		l.list(w)
	case err == nil && info.Mode().IsRegular(): // http.ServeFile redirects those who ask for an index.html
		f, err := os.Open(name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer f.Close()
		http.ServeContent(w, r, name, info.ModTime(), f)
	default:
		http.ServeFile(w, r, name)
	}
}

// list answers with links to all pages.
func (l *library) list(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintln(w, "<!DOCTYPE html>")
	filepath.WalkDir(filepath.Join(l.root, l.dir), func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(name, ".html") {
			u := url.URL{Path: filepath.ToSlash(strings.TrimPrefix(name, l.root))}
			fmt.Fprintf(w, "<a href=\"%s\">page</a>\n", html.EscapeString(u.String()))
		}
		return err
	})
}

// What linkcheck and linkchecker find to be wrong with the same pages is the same, but for what is explained. And what linkcheck finds in
// a directory is what it finds when somebody else serves that.
func TestLinkcheckFindsWhatLinkcheckerDoes(t *testing.T) {
	needs(t, "apt-get", "dpkg-deb", "linkchecker")
	program := build(t, "linkcheck")
	var table strings.Builder
	fmt.Fprintln(&table, "| package | what `linkcheck` says of it | links on pages that both find to be broken | differences |")
	fmt.Fprintln(&table, "|---|---|---:|---|")
	for _, d := range documents {
		t.Run(d.packages[0], func(t *testing.T) {
			l := &library{root: unpack(t, d.packages...), dir: filepath.Join("usr/share/doc", d.dir), asked: make(map[string]map[string]bool)}
			s := httptest.NewServer(l)
			defer s.Close()
			start := time.Now()
			ours, summary := linkcheck(t, program, s.URL+"/", s.URL)
			middle := time.Now()
			theirs, pages := linkchecker(t, s.URL)
			t.Logf("%s, in %v; linkchecker takes %.0f times as long", summary, middle.Sub(start).Round(time.Millisecond),
				float64(time.Since(middle))/float64(middle.Sub(start)))

			var differences []difference
			for f := range ours {
				if !theirs[f] {
					differences = append(differences, difference{"linkcheck", []string{f.page}, f.link})
				}
			}
			for f := range theirs {
				if !ours[f] {
					differences = append(differences, difference{"linkchecker", []string{f.page}, f.link})
				}
			}
			for path := range l.asked["linkcheck"] {
				if !l.asked["linkchecker"][path] {
					differences = append(differences, difference{"linkcheck", nil, path})
				}
			}
			for path := range l.asked["linkchecker"] {
				if !l.asked["linkcheck"][path] {
					differences = append(differences, difference{"linkchecker", pages[path], path})
				}
			}
			counts := make([]int, len(explanations))
			for _, d := range differences {
				if i := explain(d); i >= 0 {
					counts[i]++
				} else {
					t.Errorf("only %s knows of %s, which is on %v", d.by, d.link, d.pages)
				}
			}
			var notes []string
			for i, n := range counts {
				if n > 0 {
					notes = append(notes, fmt.Sprintf("%d of kind %d", n, i+1))
				}
			}
			both := len(ours)
			for f := range ours {
				if !theirs[f] {
					both--
				}
			}
			fmt.Fprintf(&table, "| %s | %s | %d | %s |\n", d.packages[0], summary, both, strings.Join(notes, ", "))

			inDirectory, _ := linkcheck(t, program, filepath.Join(l.root, l.dir), l.root)
			for f := range ours {
				if f.page == "/" { // the list of all pages
					continue
				}
				if !strings.HasPrefix(f.link, "/usr/") { // in a directory / is that
					f.link = "/" + filepath.ToSlash(l.dir) + f.link
				}
				if !inDirectory[f] {
					t.Errorf("in the directory it does not find %+v", f)
				}
				delete(inDirectory, f)
			}
			for f := range inDirectory {
				t.Errorf("only in the directory it finds %+v", f)
			}
		})
	}
	fmt.Fprintln(&table, "\nThe kinds of differences, in what they find and in which files they ask for; `linkchecker` is meant by \"it\":")
	fmt.Fprintln(&table)
	for i, e := range explanations {
		fmt.Fprintf(&table, "%d. %s\n", i+1, e.text)
	}
	publish(t, "linkcheck", table.String())
}

// name is an address as both would write it.
func name(base, address string) string {
	path := strings.TrimPrefix(address, base)
	if decoded, err := url.PathUnescape(path); err == nil {
		return decoded
	}
	return path
}

var targetLine = regexp.MustCompile(`^(.*?): (404 Not Found|no such file or directory|no element of the page has the id .*)$`)

// linkcheck returns what linkcheck finds in a site or a directory, and the last line of what it says.
func linkcheck(t *testing.T, program, site, base string) (found map[finding]bool, summary string) {
	out, err := exec.Command(program, site).Output()
	var status *exec.ExitError
	if err != nil && !(errors.As(err, &status) && status.ExitCode() == 1) {
		t.Fatalf("linkcheck ends with %v", err)
	}
	found = make(map[finding]bool)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var target, verdict string
	for _, line := range lines[:len(lines)-1] {
		if page, ok := strings.CutPrefix(line, "\tlinked from "); ok {
			found[finding{name(base, page), target, verdict}] = true
		} else if m := targetLine.FindStringSubmatch(line); m != nil {
			target, verdict = name(base, m[1]), missing
			if strings.HasPrefix(m[2], "no element") {
				verdict = noFragment
			}
		} else {
			t.Fatalf("linkcheck says: %s", line)
		}
	}
	return found, lines[len(lines)-1]
}

// linkchecker returns what linkchecker finds, and on which pages there are links to each path.
func linkchecker(t *testing.T, base string) (found map[finding]bool, pages map[string][]string) {
	dir := t.TempDir()
	os.Chmod(filepath.Dir(dir), 0o755) // as root it becomes somebody else, who needs to get at these
	os.Chmod(dir, 0o777)
	for _, file := range []string{"linkchecker.py", "linkchecker.ini"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), string(text))
	}
	c := exec.Command("/usr/bin/python3", "linkchecker.py", "links", "--config=linkchecker.ini", "--no-status", "-o", "csv", base+"/")
	c.Dir = dir
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+dir)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	var status *exec.ExitError
	if err != nil && !(errors.As(err, &status) && status.ExitCode() == 1) {
		t.Fatalf("linkchecker ends with %v; %s", err, stderr.String())
	}
	verdicts := verdicts(t, base, out)
	links, err := os.ReadFile(filepath.Join(dir, "links"))
	if err != nil {
		t.Fatal(err)
	}
	found, pages = make(map[finding]bool), make(map[string][]string)
	for line := range strings.Lines(string(links)) {
		page, link, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		page, _, _ = strings.Cut(page, "#")
		link = name(base, link)
		verdict, known := verdicts[link]
		if !known {
			t.Errorf("linkchecker says nothing of %s", link)
		}
		if verdict != "" {
			found[finding{name(base, page), link, verdict}] = true
		}
		path, _, _ := strings.Cut(link, "#")
		pages[path] = append(pages[path], name(base, page))
	}
	return found, pages
}

// verdicts returns what linkchecker says of each link, "" if it leads somewhere.
func verdicts(t *testing.T, base string, out []byte) map[string]string {
	var table bytes.Buffer
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte("# ")) {
			table.Write(line)
		}
	}
	r := csv.NewReader(&table)
	r.Comma, r.FieldsPerRecord = ';', -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("what linkchecker says cannot be read: %v; %s", err, out)
	}
	column := func(row []string, name string) string { return row[slices.Index(rows[0], name)] }
	all := make(map[string]string)
	for _, row := range rows[1:] {
		verdict := ""
		switch result, warning := column(row, "result"), column(row, "warningstring"); {
		case strings.HasPrefix(result, "404 "):
			verdict = missing
		case column(row, "valid") != "True":
			verdict = result
		case strings.HasPrefix(warning, "Anchor "):
			verdict = noFragment
		case warning != "":
			t.Logf("linkchecker warns of %s: %s", column(row, "url"), warning)
		}
		all[name(base, column(row, "url"))] = verdict
	}
	return all
}
