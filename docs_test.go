package tinyio_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// updateDocs rewrites the code and the output in the documents instead of comparing them. A comment before each block
// says what belongs there:
//
//	<!-- example: slowAddOne, ExampleGather -->   Go code: whole declarations, types with their methods, of an Example the body;
//	                                              see examplesOf for where they are from
//	<!-- source: path/of.go Name, Type.Method -->  Go code: declarations of another file of the project
//	<!-- output: ExampleGather -->                text: the output of an Example, which go test checks
//	<!-- file: path/of.txt -->                    text: a file of the project, which a test compares with what it shows
//	<!-- program -->                              Go code: a program, which is run from the document as it stands
//	<!-- output of the program -->                text: what the last program before it writes
var updateDocs = flag.Bool("update-docs", false, "rewrite the code and the output in the documents")

// documents are the files whose code is checked.
func documents(t *testing.T) []string {
	t.Helper()
	files := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir("docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A fencedBlock is a fenced part of a document.
type fencedBlock struct {
	language string
	marker   string // the comment on the line before it
	line     int    // of the opening fence, from 0
	end      int    // of the closing fence
	text     string
}

// fencedBlocks returns the fenced parts of a document.
func fencedBlocks(lines []string) (all []fencedBlock) {
	for i := 0; i < len(lines); i++ {
		language, ok := strings.CutPrefix(lines[i], "```")
		if !ok {
			continue
		}
		b := fencedBlock{language: language, line: i}
		if i > 0 {
			b.marker, _ = strings.CutSuffix(strings.TrimPrefix(lines[i-1], "<!-- "), " -->")
		}
		for b.end = i + 1; b.end < len(lines) && lines[b.end] != "```"; b.end++ {
		}
		b.text = strings.Join(lines[i+1:min(b.end, len(lines))], "\n")
		all = append(all, b)
		i = b.end
	}
	return all
}

// An exampleSource is a file whose declarations documents show.
type exampleSource struct {
	source  []byte
	fset    *token.FileSet
	decls   map[string]ast.Decl
	methods map[string][]ast.Decl // by the name of their type
	outputs map[string]string
}

// examplesOf returns the file whose examples a document shows.
func examplesOf(document string) string {
	switch filepath.Base(document) {
	case "testing.md":
		return filepath.Join("tinyiotest", "example_test.go")
	case "durable.md":
		return filepath.Join("durable", "example_test.go")
	case "recipes.md":
		return "recipes_test.go"
	case "network.md":
		return filepath.Join("tinyionet", "example_test.go")
	case "looking-in.md":
		return filepath.Join("debug", "example_test.go")
	}
	return "example_test.go"
}

func readExamples(t *testing.T, path string) *exampleSource {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	e := &exampleSource{source, token.NewFileSet(), map[string]ast.Decl{}, map[string][]ast.Decl{}, map[string]string{}}
	file, err := parser.ParseFile(e.fset, path, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				e.decls[d.Name.Name] = d
			} else {
				e.methods[receiverName(d)] = append(e.methods[receiverName(d)], d)
			}
		case *ast.GenDecl:
			if t, ok := d.Specs[0].(*ast.TypeSpec); ok {
				e.decls[t.Name.Name] = d
			}
		}
	}
	for _, x := range doc.Examples(file) {
		e.outputs["Example"+x.Name] = strings.TrimSpace(x.Output)
	}
	return e
}

// code is the source of the declarations named, separated by empty lines.
func (e *exampleSource) code(names string) (string, error) {
	var parts []string
	for name := range strings.SplitSeq(names, ", ") {
		if receiver, method, ok := strings.Cut(name, "."); ok {
			i := slices.IndexFunc(e.methods[receiver], func(d ast.Decl) bool { return d.(*ast.FuncDecl).Name.Name == method })
			if i < 0 {
				return "", fmt.Errorf("there is no method %s", name)
			}
			d := e.methods[receiver][i]
			parts = append(parts, e.text(declStart(d), d.End()))
			continue
		}
		d, ok := e.decls[name]
		if !ok {
			return "", fmt.Errorf("its examples have no %s", name)
		}
		if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(name, "Example") {
			parts = append(parts, e.body(f))
		} else {
			parts = append(parts, e.text(declStart(d), d.End()))
		}
		if methods := e.methods[name]; methods != nil {
			last := methods[len(methods)-1]
			parts = append(parts, e.text(declStart(methods[0]), last.End()))
		}
	}
	return strings.Join(parts, "\n\n"), nil
}

// receiverName is the name of the type that d is a method of.
func receiverName(d *ast.FuncDecl) string {
	x := d.Recv.List[0].Type
	for {
		switch t := x.(type) {
		case *ast.StarExpr:
			x = t.X
		case *ast.IndexExpr:
			x = t.X
		case *ast.IndexListExpr:
			x = t.X
		default:
			return x.(*ast.Ident).Name
		}
	}
}

// declStart is where d begins, with its comment if it has one.
func declStart(d ast.Decl) token.Pos {
	comment := (*ast.CommentGroup)(nil)
	switch d := d.(type) {
	case *ast.FuncDecl:
		comment = d.Doc
	case *ast.GenDecl:
		comment = d.Doc
	}
	if comment != nil {
		return comment.Pos()
	}
	return d.Pos()
}

func (e *exampleSource) text(from, to token.Pos) string {
	return string(e.source[e.fset.Position(from).Offset:e.fset.Position(to).Offset])
}

// body is what f does, without the comment that states its output.
func (e *exampleSource) body(f *ast.FuncDecl) string {
	s, _, _ := strings.Cut(e.text(f.Body.Lbrace+1, f.Body.Rbrace), "\t// Output:")
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "\t")
	}
	return strings.Join(lines, "\n")
}

// runProgram runs a program that uses this package and returns what it writes, without the path of its directory.
func runProgram(t *testing.T, program string) string {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	needsProcesses(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod": "module hello\n\ngo 1.25\n\nrequire github.com/tinyio-go/tinyio v0.0.0\n\n" +
			"replace github.com/tinyio-go/tinyio => " + root + "\n",
		"main.go": program + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "run", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go run: %v\n%s", err, out)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(out), dir+string(filepath.Separator), ""))
}

// The code in the documents is that of the examples, so it compiles, runs and writes what they say it does.
func TestDocumentsShowCodeThatRuns(t *testing.T) {
	for _, path := range documents(t) {
		t.Run(path, func(t *testing.T) {
			e := readExamples(t, examplesOf(path))
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(source), "\n")
			changed := false
			program := ""
			found := fencedBlocks(lines)
			for i := len(found) - 1; i >= 0; i-- { // backwards, so that the lines before a block stay where they are
				b := found[i]
				want := b.text
				switch kind, names, _ := strings.Cut(b.marker, ": "); {
				case b.language == "sh":
				case b.language == "go" && kind == "example":
					if want, err = e.code(names); err != nil {
						t.Errorf("%s:%d: %v", path, b.line+1, err)
						continue
					}
				case b.language == "go" && kind == "source":
					file, names, _ := strings.Cut(names, " ")
					if want, err = readExamples(t, file).code(names); err != nil {
						t.Errorf("%s:%d: %s: %v", path, b.line+1, file, err)
						continue
					}
				case b.language == "go" && kind == "program":
				case b.language == "text" && kind == "output":
					if want = e.outputs[names]; want == "" {
						t.Errorf("%s:%d: its examples have no output of %s", path, b.line+1, names)
						continue
					}
				case b.language == "text" && kind == "file":
					file, err := os.ReadFile(names)
					if err != nil {
						t.Errorf("%s:%d: %v", path, b.line+1, err)
						continue
					}
					want = strings.TrimSpace(string(file))
				case b.language == "text" && kind == "output of":
					file, name, _ := strings.Cut(names, " ")
					if want = readExamples(t, file).outputs[name]; want == "" {
						t.Errorf("%s:%d: %s has no output of %s", path, b.line+1, file, name)
						continue
					}
				case b.language == "text" && kind == "output of the program":
					program = ""
					for _, before := range found[:i] {
						if before.marker == "program" {
							program = before.text
						}
					}
					want = runProgram(t, program)
				default:
					t.Errorf("%s:%d: a block of %q without a comment before it that says where it is from",
						path, b.line+1, b.language)
					continue
				}
				if want == b.text {
					continue
				}
				changed = true
				if !*updateDocs {
					t.Errorf("%s:%d: not what its source has (make docs brings it up to date):\n%s\nwant\n%s",
						path, b.line+1, b.text, want)
					continue
				}
				lines = append(append(append([]string{}, lines[:b.line+1]...), want), lines[b.end:]...)
			}
			if changed && *updateDocs {
				if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// lineCount is a link to a file that says how many lines it has.
var lineCount = regexp.MustCompile(`\[\d+ lines\]\(([^)]+\.go)\)`)

// How many lines of code a file has is what a link to it says. Empty lines and comments are none.
func TestDocumentsCountLines(t *testing.T) {
	for _, path := range documents(t) {
		document, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := lineCount.ReplaceAllFunc(document, func(link []byte) []byte {
			target := string(lineCount.FindSubmatch(link)[1])
			source, err := os.ReadFile(filepath.Join(filepath.Dir(path), target))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return link
			}
			n := 0
			for line := range strings.Lines(string(source)) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
					n++
				}
			}
			return fmt.Appendf(nil, "[%d lines](%s)", n, target)
		})
		if bytes.Equal(want, document) {
			continue
		}
		if !*updateDocs {
			t.Errorf("%s: the numbers of lines are not those of the files (make docs brings them up to date)", path)
		} else if err := os.WriteFile(path, want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// The code in the package documentation is an example too.
func TestPackageDocumentationShowsCodeThatRuns(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(source)) {
		if code, ok := strings.CutPrefix(line, "//\t"); ok {
			got = append(got, code)
		}
	}
	want, err := readExamples(t, "example_test.go").code("Example_overview")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(strings.Join(got, "")); got != want {
		t.Errorf("doc.go has\n%s\nand Example_overview has\n%s", got, want)
	}
}

var (
	exampleName = regexp.MustCompile(`\bExample[A-Z_]\w*`)
	otherSource = regexp.MustCompile(`(?m)^<!-- source: .* -->$`) // which is read for the code that it shows
	testName    = regexp.MustCompile("`(Test\\w+)`")
	fenced      = regexp.MustCompile("(?ms)^```.*?^```$")
	notInName   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	linkTarget  = regexp.MustCompile(`\[([^]]*)\]\(([^)#:]*)(?:#([^)]*))?\)`)
)

// What the documents refer to exists: examples, tests, and files of the project.
func TestDocumentsReferToWhatExists(t *testing.T) {
	var tests []byte
	for _, pattern := range []string{"*_test.go", "internal/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tests = append(tests, source...)
		}
	}
	for _, path := range documents(t) {
		e := readExamples(t, examplesOf(path))
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range exampleName.FindAllString(otherSource.ReplaceAllString(string(source), ""), -1) {
			elsewhere := regexp.MustCompile(`<!-- output of: \S+ ` + name + ` -->`) // which is looked at when it is compared
			if e.decls[name] == nil && !elsewhere.Match(source) {
				t.Errorf("%s refers to %s, which its examples do not have", path, name)
			}
		}
		for _, m := range testName.FindAllStringSubmatch(string(source), -1) {
			if e.decls[m[1]] == nil && !bytes.Contains(tests, []byte("\nfunc "+m[1]+"(")) {
				t.Errorf("%s refers to %s, which neither its examples nor the tests have", path, m[1])
			}
		}
		for _, m := range linkTarget.FindAllStringSubmatch(fenced.ReplaceAllString(string(source), ""), -1) {
			text, target, section := m[1], m[2], m[3]
			to := path
			if target != "" {
				to = filepath.Join(filepath.Dir(path), target)
			}
			there, err := os.ReadFile(to)
			if err != nil {
				t.Errorf("%s has a link to %s: %v", path, target, err)
				continue
			}
			if section == "" {
				continue
			}
			shown, ok := sections(string(there))[section]
			if !ok {
				t.Errorf("%s has a link to the section %q of %s, which has none of that name", path, section, to)
			}
			if strings.HasPrefix(text, "Example") && !slices.Contains(shown, text) {
				t.Errorf("%s has a link to %s in the section %q of %s, which does not show it", path, text, section, to)
			}
		}
	}
}

// The guide lists all pages, and each says at its top what one can do after reading it. Design notes say why things are as they are.
func TestGuideListsAllPages(t *testing.T) {
	const guide = "docs/guide.md"
	list, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range documents(t) {
		name, ok := strings.CutPrefix(filepath.ToSlash(path), "docs/")
		if !ok {
			continue
		}
		if path != guide && !bytes.Contains(list, []byte("\n- ["+title(t, path)+"]("+name+"): ")) {
			t.Errorf("%s does not list %s by its title, %q", guide, name, title(t, path))
		}
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(name, "design/") && !afterThisPage.Match(page) {
			t.Errorf("%s does not say at its top what one can do after reading it", path)
		}
	}
}

// afterThisPage is how a page begins, after the line that says that it is generated.
var afterThisPage = regexp.MustCompile(`^(?:<!-- .* -->\n\n)?# .*\n\nAfter this page you (?:can|know) `)

// title is the heading of a document.
func title(t *testing.T, path string) string {
	t.Helper()
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(document)) {
		if heading, ok := strings.CutPrefix(line, "# "); ok {
			return strings.TrimSpace(heading)
		}
	}
	t.Fatalf("%s has no heading", path)
	return ""
}

// namedCode is a function or type that a document names with its file.
var namedCode = regexp.MustCompile("\\(`(\\w+)` in \\[?(\\w+\\.go)")

// The code that documents name, with its file, is there.
func TestDocumentsNameCodeThatExists(t *testing.T) {
	found := 0
	for _, path := range documents(t) {
		document, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range namedCode.FindAllStringSubmatch(string(document), -1) {
			found++
			source, err := os.ReadFile(m[2])
			if err != nil {
				t.Errorf("%s: %v", path, err)
			} else if !regexp.MustCompile(`(?m)^(?:func|type) (?:\([^)]*\) )?` + m[1] + `\b`).Match(source) {
				t.Errorf("%s names %s in %s, which has no such function or type", path, m[1], m[2])
			}
		}
	}
	if found == 0 {
		t.Error("no document names any code")
	}
}

// The gate runs the tests in the way in which the README says that they are run.
func TestGateRunsTheTestCommandOfTheREADME(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	gate, err := os.ReadFile(filepath.Join(".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^go test[^#\n]*[^# \n]`).FindString(string(readme))
	if command == "" || !strings.Contains(string(gate), "\n"+command+"\n") {
		t.Errorf("the README says %q, which .ci/run does not run", command)
	}
}

// sections returns the sections of a document, by the name that links have for them, and the examples that each shows.
func sections(document string) map[string][]string {
	found := map[string][]string{}
	current := ""
	for line := range strings.SplitSeq(fenced.ReplaceAllString(document, ""), "\n") {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			current = strings.ReplaceAll(notInName.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
			found[current] = nil
		} else if names, ok := strings.CutPrefix(line, "<!-- example: "); ok {
			names := strings.Split(strings.TrimSuffix(names, " -->"), ", ")
			found[current] = append(found[current], names...)
		}
	}
	return found
}

// Every exported name says what it is for. Methods that only satisfy the error interface need not.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, modulePath)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, text string) {
		if strings.TrimSpace(text) == "" {
			t.Errorf("%s has no doc comment", name)
		}
	}
	functions := func(of string, fs []*doc.Func) {
		for _, f := range fs {
			if f.Name != "Error" || f.Recv == "" {
				check(of+f.Name, f.Doc)
			}
		}
	}
	check("package tinyio", pkg.Doc)
	functions("", pkg.Funcs)
	for _, typ := range pkg.Types {
		check(typ.Name, typ.Doc)
		functions("", typ.Funcs)
		functions(typ.Name+".", typ.Methods)
	}
}

const modulePath = "github.com/tinyio-go/tinyio"

// goList runs go list in this module alone.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	needsProcesses(t)
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

// The package needs the standard library alone, its tests included, and not net/http.
func TestRootNeedsTheStandardLibraryAlone(t *testing.T) {
	for _, path := range goList(t, "-deps", ".") {
		if path == "net/http" {
			t.Error("the package depends on net/http")
		}
	}
	for _, path := range goList(t, "-deps", "-test", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".") {
		path, _, _ = strings.Cut(path, ".test")
		path = strings.TrimSuffix(path, "_test")
		if path != modulePath && !isBelow(path) && !strings.HasPrefix(path, "[") {
			t.Errorf("the package or its tests depend on %s", path)
		}
	}
}

// isBelow reports that the package at path is one that the root may import.
func isBelow(path string) bool {
	return path == modulePath+"/hook" || strings.HasPrefix(path, modulePath+"/internal/")
}

// Imports only go down: the root imports hook and the internal packages, these import nothing of this module but hook, and hook imports
// nothing of it.
func TestImportsOnlyGoDown(t *testing.T) {
	for _, path := range goList(t, "-f", `{{join .Imports "\n"}}`, "./internal/...") {
		if strings.HasPrefix(path, modulePath) && path != modulePath+"/hook" {
			t.Errorf("an internal package imports %s", path)
		}
	}
	for _, path := range goList(t, "-f", `{{join .Imports "\n"}}`, "./hook") {
		if strings.HasPrefix(path, modulePath) {
			t.Errorf("hook imports %s", path)
		}
	}
	for _, path := range goList(t, "-f", `{{join .Imports "\n"}}`, ".") {
		if strings.HasPrefix(path, modulePath) && !isBelow(path) {
			t.Errorf("the root imports %s", path)
		}
	}
}
