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
		"# a comment",
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
		{"%.o: %.c\n", `mkfile:1: "%.o" is not the name of a file; patterns, and names with ':' or '=', are not supported
mkfile:1: "%.c" is not the name of a file; patterns, and names with ':' or '=', are not supported`},
		{"a:: b\n", `mkfile:1: ":" is not the name of a file; patterns, and names with ':' or '=', are not supported`},
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
