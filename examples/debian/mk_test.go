package debian

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// programs are the sources that are built, as those have them who wrote them: without the changes that Debian makes.
var programs = []struct {
	source    string
	dir       string // in which the makefile is
	configure string // before that
	goals     []string
	variables []string // for the makefile: without optimisation it goes faster
}{
	{"bzip2", ".", "", []string{"bzip2", "bzip2recover", "libbz2.a"}, []string{"CFLAGS=-O0 -w -D_FILE_OFFSET_BITS=64"}},
	{"figlet", ".", "", []string{"figlet", "chkfont"}, []string{"CFLAGS=-O0 -w"}},
	{"lua5.4", "src", "", []string{"all"}, []string{"CFLAGS=-O0 -w -std=gnu99 -DLUA_COMPAT_5_3", "SYSLIBS="}},
	{"tree", ".", "", []string{"tree"}, []string{"CFLAGS=-O0 -w -std=c11 -D_LARGEFILE64_SOURCE -D_FILE_OFFSET_BITS=64"}},
	{"zlib", ".", "./configure", []string{"all"}, []string{"CFLAGS=-O0 -w -DHAVE_HIDDEN", "SFLAGS=-O0 -w -fPIC -DHAVE_HIDDEN"}},
}

// mk does with the sources of others what make does, when it has the rules and commands of their makefiles: it builds the same, again and
// again, and leaves nothing behind that is half made.
func TestMkBuildsWhatMakeDoes(t *testing.T) {
	needs(t, "apt-get", "dpkg-source", "make", "gcc")
	mk := build(t, "mk")
	config := sourceConfig(t)
	var table strings.Builder
	fmt.Fprintln(&table, "| source | files that are made | commands | files touched, one after another | files removed, one after another |")
	fmt.Fprintln(&table, "|---|---:|---:|---:|---:|")
	for _, p := range programs {
		t.Run(p.source, func(t *testing.T) {
			pristine := filepath.Join(unpackSource(t, config, p.source), p.dir)
			if p.configure != "" {
				output(t, pristine, p.configure)
			}
			r := readRules(t, pristine, append(p.variables, p.goals...))
			write(t, filepath.Join(pristine, "mkfile"), r.mkfile(p.goals))
			makeArgs := append([]string{"make"}, append(p.variables, p.goals...)...)
			f := &pair{
				t: t, pristine: pristine, rules: r,
				make: tool{"make", func(args ...string) []string { return slices.Concat(makeArgs[:1], args, makeArgs[1:]) }},
				mk:   tool{"mk", func(args ...string) []string { return append([]string{mk}, args...) }},
			}
			f.build()
			leaves := f.touch()
			removed := f.remove()
			f.touchAndBuild()
			f.fail()
			f.interrupt()
			commands := 0
			for _, c := range r.commands {
				commands += len(c)
			}
			fmt.Fprintf(&table, "| %s | %d | %d | %d | %d |\n", p.source, len(r.targets), commands, leaves, removed)
		})
	}
	publish(t, "mk", table.String())
}

// sourceConfig returns options for apt-get with which it finds the sources of what it has.
func sourceConfig(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	var list strings.Builder
	files, _ := filepath.Glob("/etc/apt/sources.list.d/debian.sources")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		list.WriteString(regexp.MustCompile(`(?m)^Types:.*$`).ReplaceAllString(string(text), "Types: deb-src") + "\n")
	}
	name := "list.sources"
	if len(files) == 0 { // the older form
		text, err := os.ReadFile("/etc/apt/sources.list")
		if err != nil {
			t.Skipf("NOT TESTED on what Debian has: it is not known where that is: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "deb "); ok {
				list.WriteString("deb-src " + rest)
			}
		}
		name = "list.list"
	}
	write(t, filepath.Join(dir, name), list.String())
	if err := os.MkdirAll(filepath.Join(dir, "lists", "partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	os.Chmod(filepath.Dir(dir), 0o755) // apt-get becomes somebody else, who needs to get at these
	config := []string{"-o", "Dir::Etc::SourceList=" + filepath.Join(dir, name), "-o", "Dir::Etc::SourceParts=-", "-o", "Dir::State::Lists=" + filepath.Join(dir, "lists")}
	if out, err := exec.Command("apt-get", append(config, "update")...).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED on what Debian has, because it cannot be had: %v: %s", err, out)
	}
	return config
}

// unpackSource downloads a source and returns the directory in which it is, as those have it who wrote it.
func unpackSource(t *testing.T, config []string, name string) string {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command("apt-get", append(slices.Clone(config), "source", "--download-only", name)...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED on the source of %s, because it cannot be had: %v: %s", name, err, out)
	}
	descriptions, _ := filepath.Glob(filepath.Join(dir, "*.dsc"))
	if len(descriptions) != 1 {
		t.Fatalf("the source of %s is described by %v", name, descriptions)
	}
	output(t, dir, "dpkg-source", "--no-check", "--skip-patches", "-x", descriptions[0], "source")
	return filepath.Join(dir, "source")
}

// rules are what a makefile says of the goals.
type rules struct {
	targets  []string            // which have commands, in the order in which make makes them
	commands map[string][]string // by target
	deps     map[string][]string // by target, also of those that have no commands
	phony    map[string]bool
}

var (
	traceLine = regexp.MustCompile(`^[^ ]+: (?:update )?target '([^']+)' (?:due to|does not exist)`)
	ruleLine  = regexp.MustCompile(`^([^#\t:=][^:=]*):{1,2} *([^=]*)$`)
)

// readRules has make tell what it would do, and on what that depends.
func readRules(t *testing.T, dir string, args []string) *rules {
	t.Helper()
	r := &rules{commands: make(map[string][]string), deps: make(map[string][]string), phony: make(map[string]bool)}
	target, goesOn := "", false
	for line := range strings.Lines(output(t, dir, "make", append([]string{"-n", "--trace"}, args...)...)) {
		line = strings.TrimSuffix(line, "\n")
		if m := traceLine.FindStringSubmatch(line); m != nil && !goesOn {
			target = m[1]
			r.targets = append(r.targets, target)
			continue
		}
		if goesOn {
			last := &r.commands[target][len(r.commands[target])-1]
			*last += "\n" + line
		} else if target == "" {
			t.Fatalf("make says: %s", line)
		} else if !strings.HasPrefix(line, "make: ") {
			r.commands[target] = append(r.commands[target], line)
		}
		goesOn = strings.HasSuffix(line, `\`)
	}
	name := ""
	_, files, _ := strings.Cut(output(t, dir, "make", append([]string{"-n", "-p"}, args...)...), "\n# Files\n")
	for line := range strings.Lines(files) {
		line = strings.TrimSuffix(line, "\n")
		if m := ruleLine.FindStringSubmatch(line); m != nil {
			name = m[1]
			r.deps[name] = strings.Fields(strings.ReplaceAll(m[2], "|", " "))
		} else if strings.HasPrefix(line, "#  Phony target") {
			r.phony[name] = true
		}
	}
	if len(r.targets) == 0 || len(r.deps) == 0 {
		t.Fatal("make says nothing")
	}
	return r
}

// mkfile is the rules as mk reads them.
func (r *rules) mkfile(goals []string) string {
	var b strings.Builder
	phony := []string{"goals"}
	fmt.Fprintf(&b, "goals: %s\n", strings.Join(goals, " "))
	written := make(map[string]bool)
	var add func(name string)
	add = func(name string) {
		deps := r.deps[name]
		if written[name] || len(deps) == 0 && r.commands[name] == nil {
			return
		}
		written[name] = true
		if r.phony[name] {
			phony = append(phony, name)
		}
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(deps, " "))
		for _, c := range r.commands[name] {
			fmt.Fprintf(&b, "\t%s\n", strings.ReplaceAll(c, "$", "$$"))
		}
		for _, d := range deps {
			add(d)
		}
	}
	for _, g := range goals {
		add(g)
	}
	fmt.Fprintf(&b, ".PHONY: %s\n", strings.Join(phony, " "))
	return b.String()
}

// leaves are the files that nothing makes.
func (r *rules) leaves() []string {
	all := make(map[string]bool)
	for _, target := range r.targets {
		for _, d := range r.deps[target] {
			if r.commands[d] == nil && len(r.deps[d]) == 0 {
				all[d] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// made are the files that are made: what has commands and is a file.
func (r *rules) made() []string {
	return slices.DeleteFunc(slices.Clone(r.targets), func(name string) bool { return r.phony[name] })
}

// A tool is make or mk.
type tool struct {
	name string
	args func(args ...string) []string // with which it is called
}

// A pair is the two tools, on the same sources.
type pair struct {
	t         *testing.T
	pristine  string
	rules     *rules
	make, mk  tool
	makeDir   string // where each has built everything
	mkDir     string
	reference map[string]string
}

// run runs a tool and returns what it says and its exit status.
func (p *pair) run(which tool, dir string, args ...string) (string, int) {
	p.t.Helper()
	all := which.args(args...)
	c := exec.Command(all[0], all[1:]...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		p.t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// mustRun is run for what must go well.
func (p *pair) mustRun(which tool, dir string, args ...string) string {
	p.t.Helper()
	out, status := p.run(which, dir, args...)
	if status != 0 {
		p.t.Fatalf("%s ends with %d: %s", which.name, status, out)
	}
	return out
}

// fresh returns a copy of the sources.
func (p *pair) fresh() string {
	dir := filepath.Join(p.t.TempDir(), "source")
	output(p.t, ".", "cp", "-a", p.pristine, dir)
	return dir
}

// build has both build everything, which must be the same.
func (p *pair) build() {
	p.t.Helper()
	p.makeDir, p.mkDir = p.fresh(), p.fresh()
	start := time.Now()
	p.mustRun(p.make, p.makeDir, "-j", "2")
	middle := time.Now()
	p.mustRun(p.mk, p.mkDir, "-j", "2")
	p.t.Logf("mk takes %.2f times as long as make", float64(time.Since(middle))/float64(middle.Sub(start)))
	p.reference = contents(p.t, p.makeDir)
	p.same(p.mkDir, "after all has been built")
	for _, name := range p.rules.made() {
		if p.reference[name] == "" {
			p.t.Errorf("make has not made %s", name)
		}
	}
	if out := p.mustRun(p.mk, p.mkDir); out != "mk: nothing to do\n" {
		p.t.Errorf("mk has something to do again: %s", out)
	}
}

// same wants everything in a directory to be as make has built it.
func (p *pair) same(dir, when string) {
	p.t.Helper()
	got := contents(p.t, dir)
	for name, content := range p.reference {
		if got[name] != content {
			p.t.Errorf("%s, %s is another one", when, name)
		}
		delete(got, name)
	}
	for name := range got {
		p.t.Errorf("%s, there is %s, and make has none", when, name)
	}
}

// contents returns what is in the files below dir. Of a symbolic link it is where that leads.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
		case d.Type() == fs.ModeSymlink:
			all[name], err = os.Readlink(path)
		case d.Type().IsRegular() && name != ".mk.json":
			var content []byte
			content, err = os.ReadFile(path)
			all[name] = "file " + string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wouldRun returns the commands that a tool would run now, in alphabetical order.
func (p *pair) wouldRun(which tool, dir string) []string {
	p.t.Helper()
	out := strings.ReplaceAll(p.mustRun(which, dir, "-n"), "\\\n", " ")
	var commands []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "make: ") && line != "mk: nothing to do\n" {
			commands = append(commands, strings.Join(strings.Fields(line), " "))
		}
	}
	slices.Sort(commands)
	return commands
}

// wantSamePlan wants both to have the same to do.
func (p *pair) wantSamePlan(when string, some bool) {
	p.t.Helper()
	want, got := p.wouldRun(p.make, p.makeDir), p.wouldRun(p.mk, p.mkDir)
	if !slices.Equal(got, want) || (len(want) > 0) != some {
		p.t.Errorf("%s, mk would run\n%s\nand make\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// touch touches each file that nothing makes. It returns how many there are.
func (p *pair) touch() int {
	p.t.Helper()
	leaves := p.rules.leaves()
	for _, name := range leaves {
		before := make(map[string]time.Time)
		for _, dir := range []string{p.makeDir, p.mkDir} {
			file := filepath.Join(dir, name)
			info, err := os.Stat(file)
			if err != nil {
				p.t.Fatal(err)
			}
			before[file] = info.ModTime()
			chtime(p.t, file, time.Now())
		}
		p.wantSamePlan("after "+name+" has been touched", true)
		for file, at := range before {
			chtime(p.t, file, at)
		}
	}
	p.wantSamePlan("after all has been as it was", false)
	return len(leaves)
}

func chtime(t *testing.T, file string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
}

// remove removes each file that is made, and brings it back. It returns how many there are.
func (p *pair) remove() int {
	p.t.Helper()
	made := p.rules.made()
	for _, name := range made {
		move := func(from, to string) {
			for _, dir := range []string{p.makeDir, p.mkDir} {
				if err := os.Rename(filepath.Join(dir, name+from), filepath.Join(dir, name+to)); err != nil {
					p.t.Fatal(err)
				}
			}
		}
		move("", ".moved")
		p.wantSamePlan("without "+name, true)
		move(".moved", "")
	}
	p.wantSamePlan("after all has been as it was", false)
	return len(made)
}

// touchAndBuild touches the file on which most depends, and has both build what that takes.
func (p *pair) touchAndBuild() {
	p.t.Helper()
	wanted := make(map[string]int)
	for _, deps := range p.rules.deps {
		for _, d := range deps {
			wanted[d]++
		}
	}
	leaves := p.rules.leaves()
	most := slices.MaxFunc(leaves, func(a, b string) int { return wanted[a] - wanted[b] })
	remade := make(map[string][]string) // by directory
	for _, dir := range []string{p.makeDir, p.mkDir} {
		now := time.Now()
		chtime(p.t, filepath.Join(dir, most), now)
		which := p.make
		if dir == p.mkDir {
			which = p.mk
		}
		p.mustRun(which, dir)
		for _, name := range p.rules.made() {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				p.t.Fatal(err)
			}
			if info.ModTime().After(now) {
				remade[dir] = append(remade[dir], name)
			}
		}
	}
	if !slices.Equal(remade[p.mkDir], remade[p.makeDir]) || len(remade[p.mkDir]) == 0 {
		p.t.Errorf("after %s has been touched, mk makes %v, and make makes %v", most, remade[p.mkDir], remade[p.makeDir])
	}
	p.same(p.mkDir, "after a file has been touched")
	p.wantSamePlan("after that", false)
}

// fail has both build what does not compile, and then what does again.
func (p *pair) fail() {
	p.t.Helper()
	sources := slices.DeleteFunc(p.rules.leaves(), func(name string) bool { return filepath.Ext(name) != ".c" })
	bad := sources[len(sources)/2]
	var fromBad []string
	for _, name := range p.rules.made() {
		if slices.Contains(p.rules.deps[name], bad) {
			fromBad = append(fromBad, name)
		}
	}
	for _, which := range []tool{p.make, p.mk} {
		dir := p.fresh()
		file := filepath.Join(dir, bad)
		good, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		write(p.t, file, string(good)+"\n#error this is wrong\n")
		out, status := p.run(which, dir, "-j", "2")
		if status == 0 || !strings.Contains(out, "this is wrong") {
			p.t.Errorf("%s ends with %d although %s is wrong: %s", which.name, status, bad, out)
		}
		p.wantWhole(which, dir, func(name string) bool { return !slices.Contains(fromBad, name) })
		write(p.t, file, string(good))
		p.mustRun(which, dir, "-j", "2")
		p.same(dir, "after "+which.name+" has failed and gone on")
	}
}

// wantWhole wants everything that is made and is there to be whole, and of a name that may be there.
func (p *pair) wantWhole(which tool, dir string, may func(name string) bool) {
	p.t.Helper()
	for _, name := range p.rules.made() {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && (!may(name) || "file "+string(content) != p.reference[name] && !isLink(filepath.Join(dir, name))) {
			p.t.Errorf("%s leaves a %s that is not whole", which.name, name)
		}
	}
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().Type() == fs.ModeSymlink
}

// interrupt interrupts both as a terminal does, when they have made the first file, and lets them go on.
func (p *pair) interrupt() {
	p.t.Helper()
	for _, which := range []tool{p.make, p.mk} {
		dir := p.fresh()
		all := which.args("-j", "2")
		c := exec.Command(all[0], all[1:]...)
		c.Dir = dir
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			p.t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.Wait()
		}()
		for begun := false; !begun; {
			begun = slices.ContainsFunc(p.rules.made(), func(name string) bool {
				_, err := os.Stat(filepath.Join(dir, name))
				return err == nil
			})
			select {
			case <-ended:
				begun = true
			case <-time.After(time.Millisecond): // there is nothing else to wait for: it is another program's file
			}
		}
		syscall.Kill(-c.Process.Pid, syscall.SIGINT)
		<-ended
		if c.ProcessState.ExitCode() == 0 {
			p.t.Errorf("%s has gone on when it was interrupted: %s", which.name, &out)
		}
		if status := c.ProcessState.ExitCode(); which.name == "mk" && status != 130 {
			p.t.Errorf("mk ends with %d when it is interrupted: %s", status, &out)
		}
		p.wantWhole(which, dir, func(string) bool { return true })
		p.mustRun(which, dir, "-j", "2")
		p.same(dir, "after "+which.name+" has been interrupted and gone on")
	}
}
