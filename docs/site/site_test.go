package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// A small project, with one of each kind of page and of link.
var project = fstest.MapFS{
	"README.md": {Data: []byte("# Small\n\n[![A badge](https://example.com/badge.svg)](https://example.com/)\n" +
		"[![Another](https://example.com/other.svg)](LICENSE)\n\nIt is small. It is a project.\n\n" +
		"- [guide](docs/guide.md), [b](docs/guide/b.md#b-b), [here](#more), [elsewhere](https://example.com/)\n" +
		"- [source](run.go#L7), [directory](internal), [example](examples/kv), [its source](examples/kv/main.go)\n" +
		"- [a picture](docs/img/a.png), not a page\n\n## More\n\n![A chart](docs/img/c.svg)\n")},
	"CHANGELOG.md": {Data: []byte("# Changes\n")},
	"LICENSE":      {},
	"run.go":       {},
	"docs/guide.md": {Data: []byte("# The guide\n\n- [C](guide/c.md)\n- [B](guide/b.md)\n- [A](./guide/a.md)\n- [up](../README.md)\n" +
		"- [the code](../run.go)\n")},
	"docs/guide/a.md":        {Data: []byte("# A\n")},
	"docs/guide/b.md":        {Data: []byte("# B\n\n## B & *B*\n\n<!-- example: F -->\n```go\nfunc F() string { return \"<b>\" }\n```\n")},
	"docs/guide/c.md":        {Data: []byte("no heading here\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n")},
	"docs/design/why.md":     {Data: []byte("# Why\n")},
	"docs/other.md":          {Data: []byte("# Other\n")},
	"docs/img/a.png":         {Data: []byte("a picture")},
	"docs/img/c.svg":         {Data: []byte("<svg/>")},
	"docs/img/unused.png":    {},
	"examples/kv/README.md":  {Data: []byte("# kv\n\n[the root](../../README.md)\n")},
	"examples/kv/main.go":    {},
	"examples/kv/NOTES.md":   {Data: []byte("# Notes\n")},
	"internal/x.go":          {},
	"testdata/README.md":     {Data: []byte("# Not a page\n")},
	".hidden/README.md":      {Data: []byte("# Not a page\n")},
	"examples/kv/testdata/x": {},
}

// built is what is made of a project.
func built(t *testing.T, project fstest.MapFS) (*site, map[string][]byte) {
	t.Helper()
	s, err := read(project)
	if err != nil {
		t.Fatal(err)
	}
	files, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	return s, files
}

// article is the text of a page, without what is around it.
func article(t *testing.T, page []byte) string {
	t.Helper()
	_, rest, _ := strings.Cut(string(page), "<article>\n")
	text, _, ok := strings.Cut(rest, "</article>")
	if !ok {
		t.Fatalf("there is no article in %s", page)
	}
	return text
}

// A page without a heading has the name of its file. The pages are listed by group, and within a group in the order in which the guide and the README lead to them.
func TestPages(t *testing.T) {
	s, files := built(t, project)
	var got []string
	for _, p := range s.pages {
		got = append(got, p.Group+"/"+p.Title)
	}
	want := "Start here/Small, Start here/The guide, The guide/c, The guide/B, The guide/A, In depth/Other, Design notes/Why, " +
		"Packages and examples/kv, The project/Changes"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("the pages are %s, want %s", got, want)
	}
	want = "CHANGELOG.html docs/design/why.html docs/guide.html docs/guide/a.html docs/guide/b.html docs/guide/c.html docs/img/a.png " +
		"docs/img/c.svg docs/other.html examples/kv/index.html index.html search.js site.css site.js"
	if got := strings.Join(slices.Sorted(maps.Keys(files)), " "); got != want {
		t.Errorf("the files are %s, want %s", got, want)
	}
	if got := string(files["docs/img/a.png"]); got != "a picture" {
		t.Errorf("a picture is %q", got)
	}
}

// Links lead to pages of the site, to its pictures, or to the files in the repository. What comes from elsewhere is left out.
func TestLinks(t *testing.T) {
	_, files := built(t, project)
	hrefs := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	for name, want := range map[string]string{
		"index.html": "docs/guide.html docs/guide/b.html#b-b #more https://example.com/ " + repository + "/blob/main/run.go#L7 " +
			repository + "/tree/main/internal examples/kv/index.html " + repository + "/blob/main/examples/kv/main.go " +
			"docs/img/a.png #more docs/img/c.svg",
		"docs/guide.html": "../docs/guide/c.html ../docs/guide/b.html ../docs/guide/a.html ../index.html " +
			repository + "/blob/main/run.go",
		"examples/kv/index.html": "../../index.html",
	} {
		var got []string
		for _, m := range hrefs.FindAllStringSubmatch(article(t, files[name]), -1) {
			got = append(got, m[1])
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s leads to\n%s\nwant\n%s", name, got, want)
		}
	}
	if got := string(files["index.html"]); strings.Contains(got, "badge") || !strings.Contains(got, `content="It is small."`) {
		t.Errorf("what the first page is about is not its first sentence, or there is a badge:\n%s", got)
	}
}

// Code has its parts marked and its characters kept; headings lead to themselves; wide tables are in a frame; comments are left out.
func TestText(t *testing.T) {
	_, files := built(t, project)
	want := `<h1 id="b">B</h1>
<h2 id="b--b">B &amp; <em>B</em> <a class="anchor" href="#b--b" aria-label="Link to this section">#</a></h2>
<pre tabindex="0" class="go"><code><span class="kd">func</span> <span class="nf">F</span><span class="p">()</span> ` +
		`<span class="kt">string</span> <span class="p">{</span> <span class="k">return</span> ` +
		`<span class="s">&#34;&lt;b&gt;&#34;</span> <span class="p">}</span>`
	if got := article(t, files["docs/guide/b.html"]); !strings.HasPrefix(strings.ReplaceAll(got, `<span class="w"> </span>`, " "), want) ||
		strings.Contains(got, "example: F") {
		t.Errorf("a page is\n%s\nwant\n%s", got, want)
	}
	if got := article(t, files["docs/guide/c.html"]); !strings.Contains(got, `<div class="table" tabindex="0">`+"\n<table>") {
		t.Errorf("a table has no frame:\n%s", got)
	}
}

// What can be found is each section, with the text that a reader sees.
func TestIndex(t *testing.T) {
	_, files := built(t, project)
	content, ok := strings.CutPrefix(string(files[indexFile]), "searchIndex(")
	content, ok2 := strings.CutSuffix(content, ");\n")
	var got []map[string]string
	if err := json.Unmarshal([]byte(content), &got); err != nil || !ok || !ok2 {
		t.Fatalf("the index is %s: %v", files[indexFile], err)
	}
	i := slices.IndexFunc(got, func(e map[string]string) bool { return e["page"] == "docs/guide/b.html#b--b" })
	if i < 0 {
		t.Fatalf("a section is missing from %v", got)
	}
	want := map[string]string{"page": "docs/guide/b.html#b--b", "title": "B", "heading": "B & B", "text": `func F() string { return "<b>" }`}
	if !maps.Equal(got[i], want) {
		t.Errorf("a section is %v, want %v", got[i], want)
	}
}

// A link that leads to nothing is told with the page that has it, and so is a directory that is no project.
func TestProblems(t *testing.T) {
	broken := maps.Clone(project)
	broken["docs/other.md"] = &fstest.MapFile{Data: []byte("[x](none.go) [y](../../outside.md) ![z](img/none.png)\n")}
	s, err := read(broken)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.build()
	for _, want := range []string{"docs/other.md has a link to none.go: ", " to ../../outside.md: ", " to img/none.png: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q in it", err, want)
		}
	}
	if _, err := read(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "there is no README.md") {
		t.Errorf("the error of an empty directory is %v", err)
	}
}

// Only a site is replaced.
func TestOldSiteIsReplaced(t *testing.T) {
	root, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	readme := filepath.Join(root, "README.md")
	if err := os.WriteFile(readme, []byte("# One\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "OLD.md"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := run(root, out); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "OLD.md")); err != nil {
		t.Fatal(err)
	}
	if err := run(root, out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "OLD.html")); !os.IsNotExist(err) {
		t.Errorf("a page that is gone is still there: %v", err)
	}
	if err := run(root, root); err == nil || !strings.Contains(err.Error(), "that is no site") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(readme); err != nil {
		t.Error(err)
	}
}

// abroad is what a page would load from elsewhere.
var abroad = regexp.MustCompile(`(?:\bsrc|<link[^>]* href)="(?:https?:)?//[^"]*"`)

// The documents of this project become a site without a broken link that needs nothing from elsewhere.
func TestOwnSite(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if err := run("../..", out); err != nil {
		t.Fatal(err)
	}
	pages := 0
	err := filepath.WalkDir(out, func(name string, _ os.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".html" {
			return err
		}
		pages++
		text, err := os.ReadFile(name)
		if found := abroad.Find(text); found != nil {
			t.Errorf("%s loads %s", name, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command("go", "run", ".", out)
	check.Dir = "../../examples/linkcheck"
	said, err := check.CombinedOutput()
	if err != nil {
		t.Errorf("linkcheck: %v\n%s", err, said)
	}
	s, err := read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.pages) != pages || pages < 40 {
		t.Errorf("there are %d pages, want %d, and 40 at least", pages, len(s.pages))
	}
}
