package main

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A mkfile is what a file says is to be made, and how.
type mkfile struct {
	targets map[string]*target // by name
	first   string             // what is made when nothing is asked for
}

// A target is a file to make, or a name for something to do.
type target struct {
	name     string
	deps     []string
	commands []command
	phony    bool // it is no file, even if there is one of its name
}

// A command is a line for the shell.
type command struct {
	text string
	at   position
}

// A position is where in a file something is said.
type position struct {
	file string
	line int
}

func (p position) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// target returns the target of the given name. What has no rule is a file that is there already: nothing makes it.
func (f *mkfile) target(name string) *target {
	if t := f.targets[name]; t != nil {
		return t
	}
	return &target{name: name}
}

// parse reads a file. The error tells of every mistake in it.
func parse(file, source string) (*mkfile, error) {
	p := &parser{
		file:      file,
		made:      &mkfile{targets: make(map[string]*target)},
		variables: make(map[string]string),
		commanded: make(map[string]int),
		phony:     make(map[string]int),
	}
	for _, l := range p.lines(source) {
		p.read(l)
	}
	p.finish()
	slices.SortStableFunc(p.mistakes, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
	errs := make([]error, len(p.mistakes))
	for i, m := range p.mistakes {
		errs[i] = m.err
	}
	return p.made, errors.Join(errs...)
}

// A parser is what is known of a file so far.
type parser struct {
	file      string
	made      *mkfile
	order     []*target // in which they came
	variables map[string]string
	current   []*target      // to which commands belong that come now
	rule      int            // the line of their rule
	commanded map[string]int // where targets have got their commands: the lines of the rules
	phony     map[string]int // where names were said to be no files
	mistakes  []mistake
}

// A mistake is an error and the line where it is.
type mistake struct {
	line int
	err  error
}

func (p *parser) errorf(line int, format string, args ...any) {
	at := position{p.file, line}
	p.mistakes = append(p.mistakes, mistake{line, fmt.Errorf("%v: %s", at, fmt.Sprintf(format, args...))})
}

// A line is a line of the file with those that continue it.
type line struct {
	text   string
	number int
}

// lines splits the source, and joins what a backslash continues.
func (p *parser) lines(source string) (all []line) {
	source = strings.TrimPrefix(source, "\ufeff") // with which some editors mark UTF-8
	physical := strings.Split(strings.ReplaceAll(source, "\r\n", "\n"), "\n")
	for i := 0; i < len(physical); i++ {
		l := line{physical[i], i + 1}
		for strings.HasSuffix(l.text, `\`) {
			l.text = strings.TrimRight(strings.TrimSuffix(l.text, `\`), " \t")
			if i++; i == len(physical) || strings.TrimSpace(physical[i]) == "" {
				p.errorf(i, "nothing follows the backslash at the end of the line")
				break
			}
			l.text += " " + strings.TrimLeft(physical[i], " \t")
		}
		all = append(all, l)
	}
	return all
}

// read deals with a line: of those that are not commands, what comes first of an equals sign and a colon tells what it is.
func (p *parser) read(l line) {
	text, isCommand := strings.CutPrefix(l.text, "\t")
	if isCommand {
		p.readCommand(strings.TrimSpace(text), l.number)
		return
	}
	if comment := indexUnquoted(text, "#"); comment >= 0 {
		text = text[:comment]
	}
	text = strings.TrimSpace(text)
	mark := indexUnquoted(text, "=:")
	switch {
	case text == "":
	case mark < 0:
		p.errorf(l.number, "%q is neither a variable, a rule, nor a command; a command begins with a tab", text)
	case text[mark] == '=':
		p.readVariable(text[:mark], text[mark+1:], l.number)
	case strings.HasPrefix(text[mark:], ":="):
		p.readVariable(text[:mark], text[mark+2:], l.number)
	default:
		p.readRule(text[:mark], text[mark+1:], l.number)
	}
}

var variableName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

func (p *parser) readVariable(name, value string, line int) {
	p.current = nil
	name = strings.TrimSpace(name)
	if !variableName.MatchString(name) {
		p.errorf(line, "%q is not a name for a variable; use letters, digits, '_', '.' and '-'", name)
		return
	}
	p.variables[name] = p.expand(strings.TrimSpace(value), line, nil)
}

func (p *parser) readRule(targets, deps string, line int) {
	p.current, p.rule = nil, line
	names := p.names(targets, line)
	if len(names) == 0 {
		p.errorf(line, "the rule has no target before the colon")
	}
	wanted := p.names(deps, line)
	for _, name := range names {
		if name == ".PHONY" {
			for _, n := range wanted {
				p.phony[n] = line
			}
			continue
		}
		t := p.made.targets[name]
		if t == nil {
			t = &target{name: name}
			p.made.targets[name] = t
			p.order = append(p.order, t)
		}
		for _, w := range wanted { // of which earlier rules may have named some
			if !slices.Contains(t.deps, w) { // $^ names each once
				t.deps = append(t.deps, w)
			}
		}
		p.current = append(p.current, t)
	}
}

// names splits a list of files, each of which goes by one name, however it was written, and is listed once.
func (p *parser) names(text string, line int) (names []string) {
	for _, word := range words(p.expand(text, line, nil)) {
		name, ok := unquote(word)
		switch {
		case !ok:
			p.errorf(line, "a quote or a backslash that nothing follows: %s", word)
			continue
		case name == "":
			p.errorf(line, "a name that is empty")
			continue
		case indexUnquoted(word, "%:=") >= 0:
			p.errorf(line, "%q is not the name of a file; patterns, and names with ':' or '=' that are not in quotes, are not supported", name)
		}
		if name = path.Clean(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (p *parser) readCommand(text string, line int) {
	switch {
	case text == "":
		return
	case len(p.current) == 0:
		p.errorf(line, "a command that belongs to no rule: %s", text)
		return
	case strings.ContainsRune("@-+", rune(text[0])):
		p.errorf(line, "a command cannot begin with %q", text[0])
		return
	}
	for _, t := range p.current {
		if rule := p.commanded[t.name]; rule != 0 && rule != p.rule {
			p.errorf(line, "%s has commands already, in the rule at line %d", t.name, rule)
			continue
		}
		p.commanded[t.name] = p.rule
		t.commands = append(t.commands, command{text, position{p.file, line}})
	}
}

// finish does what takes a whole file: only then all that a target depends on is known, and every variable.
func (p *parser) finish() {
	for _, t := range p.order {
		for i := range t.commands {
			c := &t.commands[i]
			c.text = p.expand(c.text, c.at.line, t)
		}
	}
	for name, line := range p.phony {
		if t := p.made.targets[name]; t != nil {
			t.phony = true
		} else {
			p.errorf(line, "there is no rule for %s", name)
		}
	}
	if len(p.order) > 0 {
		p.made.first = p.order[0].name
	} else if len(p.mistakes) == 0 {
		p.errorf(1, "there is no rule in the file")
	}
}

// expand replaces variables by their values. In the commands of a target, t, some more are known.
func (p *parser) expand(text string, line int, t *target) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		var value string
		value, text = p.variable(rest, line, t)
		b.WriteString(value)
	}
}

// variable returns the value of the variable that text begins with, after the dollar sign, and what comes after it.
func (p *parser) variable(text string, line int, t *target) (value, rest string) {
	switch {
	case strings.HasPrefix(text, "$"):
		return "$", text[1:]
	case strings.HasPrefix(text, "("):
		name, rest, closed := strings.Cut(text[1:], ")")
		value, known := p.variables[name]
		if !closed {
			p.errorf(line, "$(%s is not closed", name)
		} else if !known {
			p.errorf(line, "the variable $(%s) has no value here", name)
		}
		return value, rest
	case t != nil && strings.HasPrefix(text, "@"):
		return quote(t.name), text[1:]
	case t != nil && strings.HasPrefix(text, "^"):
		quoted := make([]string, len(t.deps))
		for i, d := range t.deps {
			quoted[i] = quote(d)
		}
		return strings.Join(quoted, " "), text[1:]
	case t != nil && strings.HasPrefix(text, "<"):
		if len(t.deps) == 0 {
			p.errorf(line, "$< has no value: %s depends on nothing", t.name)
			return "", text[1:]
		}
		return quote(t.deps[0]), text[1:]
	}
	p.errorf(line, "a dollar sign that begins no variable; write $(NAME), or $$ for a dollar sign")
	return "", text
}
