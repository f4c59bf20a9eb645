package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Variables, continued lines, comments, and what is special in commands.
func TestParse(t *testing.T) {
	f, err := parse("mkfile", strings.Join([]string{
		"\ufeff# a comment", // in a file that begins with a mark of its encoding
		"CC = cc # another",
		"FLAGS := -O2 \\",
		"   \t-Wall   \\",
		"\t-g",
		"FLAGS = $(FLAGS) -DX=1",
		"EMPTY =",
		".PHONY: all",
		"",
		"all: ./a.o b.o",
		"a.o b.o: common.h$(EMPTY)",
		"a.o: a.c common.h",
		"\t$(CC) $(FLAGS) -o $@ $< # for the shell",
		"",
		"\techo $$HOME \\",
		"\t  '$^'",
		"b.o:",
	}, "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if f.first != "all" {
		t.Errorf("the first target is %q, want all", f.first)
	}
	want := map[string]struct{ deps, commands []string }{
		"all": {deps: []string{"a.o", "b.o"}},
		"a.o": {
			[]string{"common.h", "a.c"},
			[]string{"cc -O2 -Wall -g -DX=1 -o a.o common.h # for the shell", "echo $HOME 'common.h a.c'"},
		},
		"b.o": {deps: []string{"common.h"}},
	}
	if len(f.targets) != len(want) {
		t.Errorf("there are %d targets, want %d", len(f.targets), len(want))
	}
	for name, w := range want {
		got := f.target(name)
		var commands []string
		for _, c := range got.commands {
			commands = append(commands, c.text)
		}
		if !slices.Equal(got.deps, w.deps) || !slices.Equal(commands, w.commands) || got.phony != (name == "all") {
			t.Errorf("%s depends on %q by %q, phony %v; want %q by %q", name, got.deps, commands, got.phony, w.deps, w.commands)
		}
	}
	if at := f.target("a.o").commands[1].at.String(); at != "mkfile:15" {
		t.Errorf("the second command is at %s, want mkfile:15", at)
	}
}

// Each mistake in a file is told with its line.
func TestMistakes(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{"", "mkfile:1: there is no rule in the file"},
		{"# nothing\nA = b\n", "mkfile:1: there is no rule in the file"},
		{"\nmake it\n", `mkfile:2: "make it" is neither a variable, a rule, nor a command; a command begins with a tab`},
		{"two words = 1\na:\n", `mkfile:1: "two words" is not a name for a variable; use letters, digits, '_', '.' and '-'`},
		{"= 1\na:\n", `mkfile:1: "" is not a name for a variable; use letters, digits, '_', '.' and '-'`},
		{": a\n", "mkfile:1: the rule has no target before the colon"},
		{"%.o: %.c\n", `mkfile:1: "%.o" is not the name of a file; patterns, and names with ':' or '=' that are not in quotes, are not supported
mkfile:1: "%.c" is not the name of a file; patterns, and names with ':' or '=' that are not in quotes, are not supported`},
		{"a:: b\n", `mkfile:1: ":" is not the name of a file; patterns, and names with ':' or '=' that are not in quotes, are not supported`},
		{"a \"b: c\n", `mkfile:1: a quote or a backslash that nothing follows: "b`},
		{"a: b\"\n", `mkfile:1: a quote or a backslash that nothing follows: b"`},
		{"a: \"\"\n", "mkfile:1: a name that is empty"},
		{"a: b \\\n", "mkfile:1: nothing follows the backslash at the end of the line"},
		{"a: b \\", "mkfile:1: nothing follows the backslash at the end of the line"},
		{"\techo\na:\n", "mkfile:1: a command that belongs to no rule: echo"},
		{"a:\nB = c\n\techo\n", "mkfile:3: a command that belongs to no rule: echo"},
		{"a:\n\t@echo\n", "mkfile:2: a command cannot begin with '@'"},
		{"a:\n\techo 1\na: b\n\techo 2\n", "mkfile:4: a has commands already, in the rule at line 1"},
		{".PHONY: a b\na:\n", "mkfile:1: there is no rule for b"},
		{"a: $(B\n", "mkfile:1: $(B is not closed"},
		{"a: $(B)\nB = c\n", "mkfile:1: the variable $(B) has no value here"},
		{"a: $@\n", "mkfile:1: a dollar sign that begins no variable; write $(NAME), or $$ for a dollar sign"},
		{"a:\n\techo 1$", "mkfile:2: a dollar sign that begins no variable; write $(NAME), or $$ for a dollar sign"},
		{"a:\n\techo $<\n", "mkfile:2: $< has no value: a depends on nothing"},
		{"a:\n\techo $(LATE)\n\techo $(NEVER)\nLATE = 1\nwhat", `mkfile:3: the variable $(NEVER) has no value here
mkfile:5: "what" is neither a variable, a rule, nor a command; a command begins with a tab`},
	} {
		if _, err := parse("mkfile", test.source); err == nil || err.Error() != test.want {
			t.Errorf("the error of %q is\n%v\nwant\n%s", test.source, err, test.want)
		}
	}
}

// Names may have spaces in them, and whatever else, if they are quoted, and commands get them quoted for the shell.
func TestQuotedNames(t *testing.T) {
	for _, test := range []struct {
		rule          string
		name, command string // of the first target
		deps          []string
	}{
		{`"my prog": "a b.o" c\ d.o e.o`, "my prog", `'my prog' 'a b.o' 'c d.o' e.o 'a b.o'`, []string{"a b.o", "c d.o", "e.o"}},
		{`"./my prog": x`, "my prog", `'my prog' x x`, []string{"x"}},
		{`it's: "say \"x\"" # "a comment"`, "it's", `'it'\''s' 'say "x"' 'say "x"'`, []string{`say "x"`}},
		{`"a:b": "c#d" e\#f "g=h" 50\% "i%"`, "a:b", `a:b 'c#d' 'e#f' 'g=h' 50% i% 'c#d'`, []string{"c#d", "e#f", "g=h", "50%", "i%"}},
		{`a"b c"d: e\f`, "ab cd", `'ab cd' 'e\f' 'e\f'`, []string{`e\f`}},
		{`-x: -y`, "-x", `./-x ./-y ./-y`, []string{"-y"}},
		{`é: $(LIST)`, "é", `'é' 'p q' r 'p q'`, []string{"p q", "r"}},
		{"a\ttwo: b\tb ./b", "a", "a b b", []string{"b"}},
	} {
		f, err := parse("mkfile", "LIST = \"p q\" r\nFLAGS = -DX=\\\"1\\\" # and so on\n"+test.rule+"\n\t$@ $^ $<\n\t$(FLAGS)\n")
		if err != nil {
			t.Errorf("%s: %v", test.rule, err)
			continue
		}
		got := f.target(f.first)
		if got.name != test.name || !slices.Equal(got.deps, test.deps) || len(got.commands) != 2 || got.commands[0].text != test.command ||
			got.commands[1].text != `-DX=\"1\"` {
			t.Errorf("%s: %q depends on %q by %v, want %q on %q by %s", test.rule, got.name, got.deps, got.commands, test.name, test.deps, test.command)
		}
	}
}

// A target that is named twice in a rule has the commands of the rule once.
func TestNamedTwice(t *testing.T) {
	f, err := parse("mkfile", "TWICE = a a\na ./a $(TWICE) b \"a\": c c\n\techo 1\n\techo 2\n.PHONY: b b\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if x := f.target(name); len(x.commands) != 2 || !slices.Equal(x.deps, []string{"c"}) {
			t.Errorf("%s depends on %q by %v", name, x.deps, x.commands)
		}
	}
}

// The file in README.md is right.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```make\n")
	source, _, _ := strings.Cut(rest, "```")
	f, err := parse("mkfile", source)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"cc -o prog main.o words.o", "cc -c -o main.o main.c", "cc -c -o words.o words.c"}
	for i, name := range []string{"prog", "main.o", "words.o"} {
		if cs := f.target(name).commands; len(cs) != 1 || cs[0].text != want[i] {
			t.Errorf("the commands of %s are %v, want %s", name, cs, want[i])
		}
	}
}
