// Command strangers runs tinyiovet on well-known programs that use no tinyio, in which it has nothing to report: what it does report there
// is a mistake of its own. It downloads and compiles them, which takes minutes, and writes what it has counted:
//
//	go run ./internal/strangers                        on the standard output
//	go run ./internal/strangers -md README.md          in its place in a document
//	go run ./internal/strangers -run fzf               of those whose paths match
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// programs are the modules of the programs, and their versions.
var programs = [][2]string{
	{"github.com/junegunn/fzf", "v0.65.2"},
	{"github.com/nats-io/nats-server/v2", "v2.15.3"},
	{"filippo.io/age", "v1.3.2"},
	{"github.com/rakyll/hey", "v0.1.5"},
	{"github.com/tsenart/vegeta/v12", "v12.13.0"},
}

// The part of a document that is made here lies between these lines.
const (
	begins = "<!-- Made by `go run ./internal/strangers -md README.md`; do not edit. -->"
	ends   = "<!-- The end of what strangers has made. -->"
)

func main() {
	md := flag.String("md", "", "put the table in its place in this `file`")
	match := flag.String("run", "", "take only programs whose paths match this `regexp`")
	flag.Parse()
	if err := count(*md, *match); err != nil {
		fmt.Fprintln(os.Stderr, "strangers:", err)
		os.Exit(1)
	}
}

func count(md, match string) error {
	pattern, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "strangers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	tool := filepath.Join(scratch, "tinyiovet.exe")
	if _, err := run(".", "build", "-o", tool, "./cmd/tinyiovet"); err != nil {
		return err
	}
	var table bytes.Buffer
	table.WriteString("| program | version | packages | lines | reports |\n|---|---|--:|--:|--:|\n")
	total := 0
	for _, p := range programs {
		if !pattern.MatchString(p[0]) {
			continue
		}
		fmt.Fprintln(os.Stderr, p[0], p[1])
		c, err := vet(tool, filepath.Join(scratch, "program"), p[0], p[1])
		if err != nil {
			return fmt.Errorf("%s: %w", p[0], err)
		}
		for _, report := range c.reports {
			fmt.Fprintln(os.Stderr, report)
		}
		total += len(c.reports)
		fmt.Fprintf(&table, "| %s | %s | %d | %d | %d |\n", p[0], p[1], c.packages, c.lines, len(c.reports))
	}
	if md == "" {
		_, err = os.Stdout.Write(table.Bytes())
	} else {
		err = insert(md, table.Bytes())
	}
	if err == nil && total > 0 {
		err = fmt.Errorf("there are %d reports, and every one is a mistake", total)
	}
	return err
}

// A counted is what there is in a program.
type counted struct {
	packages, lines int
	reports         []string
}

// vet runs the tool on all packages of a module, and their tests, in dir, which it makes and removes.
func vet(tool, dir, module, version string) (c counted, err error) {
	out, err := run(".", "mod", "download", "-json", module+"@"+version)
	if err != nil {
		return c, err
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return c, err
	}
	if err := os.CopyFS(dir, os.DirFS(downloaded.Dir)); err != nil { // what was downloaded can only be read
		return c, err
	}
	defer os.RemoveAll(dir)
	if out, err = run(dir, "list", "-f", `{{$d := .Dir}}{{.ImportPath}}{{range .GoFiles}} {{$d}}/{{.}}{{end}}`, "./..."); err != nil {
		return c, err
	}
	for line := range strings.Lines(string(out)) {
		c.packages++
		for _, file := range strings.Fields(line)[1:] {
			text, err := os.ReadFile(file)
			if err != nil {
				return c, err
			}
			c.lines += bytes.Count(text, []byte("\n"))
		}
	}
	_, err = run(dir, "vet", "-vettool="+tool, "./...")
	if err == nil {
		return c, nil
	}
	report := regexp.MustCompile(`\.go:\d+:\d+: `)
	for line := range strings.Lines(err.Error()) {
		switch line = strings.TrimSpace(line); {
		case report.MatchString(line):
			c.reports = append(c.reports, line)
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "exit status"):
		case strings.HasPrefix(line, "go vet"), strings.HasPrefix(line, "go: downloading"):
		default: // it has not been looked at
			return c, err
		}
	}
	return c, nil
}

// run runs the go command, and returns what it writes; its error has what it writes besides.
func run(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, problems.Bytes())
	}
	return out.Bytes(), nil
}

// insert puts the table in its place in a document.
func insert(file string, table []byte) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(document, []byte(begins))
	_, after, foundEnd := bytes.Cut(rest, []byte(ends))
	if !found || !foundEnd {
		return fmt.Errorf("%s has no part between the lines %q and %q", file, begins, ends)
	}
	text := slices.Concat(before, []byte(begins+"\n\n"), table, []byte("\n"+ends), after)
	return os.WriteFile(file, text, 0o666)
}
