package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
)

// repository is where the files are that are not part of the site.
const repository = "https://github.com/tinyio-go/tinyio"

// A site is what is made of a project.
type site struct {
	project  fs.FS
	markdown goldmark.Markdown
	pages    []*page // in the order in which they are listed
	bySource map[string]*page
	images   map[string]bool // that pages show
	problems []error
}

// A page is made of one Markdown file.
type page struct {
	Title   string
	About   string // its first sentence
	Group   string // under which it is listed
	Source  string // the name of the Markdown file, in the project
	Target  string // the name of its own, in the site
	Outline []heading

	text     []byte
	tree     ast.Node
	sections []section
}

// A heading is one that the outline of a page has.
type heading struct {
	Level    int
	ID, Text string
}

// groups are the parts of the list of pages, in order, with how the pages of each are known. The first that fits counts.
var groups = []struct {
	name     string
	patterns []string
}{
	{"Start here", []string{"README.md", "docs/guide.md"}},
	{"The guide", []string{"docs/guide/*.md"}},
	{"In depth", []string{"docs/*.md"}},
	{"Design notes", []string{"docs/design/*.md", "docs/*/*.md"}},
	{"Packages and examples", []string{"*/README.md", "*/*/README.md"}},
	{"The project", []string{""}},
}

// groupOf is the number of the group of a page.
func groupOf(source string) int {
	for i, g := range groups {
		for _, pattern := range g.patterns {
			if fits, _ := path.Match(pattern, source); fits || pattern == "" {
				return i
			}
		}
	}
	return len(groups)
}

// read reads all documents of a project.
func read(project fs.FS) (*site, error) {
	s := &site{project: project, bySource: map[string]*page{}, images: map[string]bool{}}
	s.markdown = newMarkdown(s)
	err := fs.WalkDir(project, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case isDocument(name):
			return s.readPage(name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.bySource["README.md"] == nil {
		return nil, errors.New("there is no README.md: run this from the root of the project, or name that with -root")
	}
	s.sort()
	return s, nil
}

// isDocument reports whether a file becomes a page.
func isDocument(name string) bool {
	dir, file := path.Split(name)
	return path.Ext(file) == ".md" && (dir == "" || strings.HasPrefix(dir, "docs/") || file == "README.md")
}

func (s *site) readPage(name string) error {
	text, err := fs.ReadFile(s.project, name)
	if err != nil {
		return err
	}
	p := &page{Source: name, Group: groups[groupOf(name)].name, text: text}
	p.Target = strings.TrimSuffix(name, ".md") + ".html"
	if path.Base(name) == "README.md" {
		p.Target = path.Join(path.Dir(name), "index.html")
	}
	p.parse(s.markdown)
	s.pages = append(s.pages, p)
	s.bySource[name] = p
	return nil
}

// sort puts the pages of each group into the order in which the guide, then the README, and then the other pages lead to them.
func (s *site) sort() {
	rank := map[*page]int{}
	for _, p := range slices.Concat([]*page{s.bySource["docs/guide.md"], s.bySource["README.md"]}, slices.Clone(s.pages)) {
		if p == nil {
			continue
		}
		for _, to := range p.links() {
			if q := s.bySource[path.Join(path.Dir(p.Source), to)]; q != nil && rank[q] == 0 {
				rank[q] = len(rank) + 1
			}
		}
	}
	place := func(p *page) int {
		switch {
		case p.Source == "README.md":
			return 0
		case rank[p] == 0:
			return math.MaxInt
		}
		return rank[p]
	}
	slices.SortStableFunc(s.pages, func(a, b *page) int {
		return cmp.Or(groupOf(a.Source)-groupOf(b.Source), cmp.Compare(place(a), place(b)))
	})
}

// How all pages look, and what they do.
var (
	//go:embed page.tmpl
	pageText string
	//go:embed site.css
	styleSheet []byte
	//go:embed site.js
	script []byte

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// The names of the files that all pages use.
const (
	styleFile  = "site.css"
	scriptFile = "site.js"
	indexFile  = "search.js"
)

// A view is what the template of a page is given.
type view struct {
	*page
	Root           string // the way to the root of the site
	Body           template.HTML
	Groups         []viewGroup
	Previous, Next viewLink
	Repository     string
}

type viewGroup struct {
	Name  string
	Links []viewLink
}

// A viewLink leads to another page.
type viewLink struct {
	Title, Address string
	Current        bool
}

// build returns all files of the site. What is wrong with any page is in the error.
func (s *site) build() (map[string][]byte, error) {
	files := map[string][]byte{styleFile: styleSheet, scriptFile: script}
	for i, p := range s.pages {
		var body, whole bytes.Buffer
		s.resolve(p)
		if err := s.markdown.Renderer().Render(&body, p.text, p.tree); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Source, err)
		}
		v := view{page: p, Root: strings.Repeat("../", strings.Count(p.Target, "/")), Body: template.HTML(body.String()),
			Repository: repository}
		for _, q := range s.pages {
			if k := len(v.Groups) - 1; k < 0 || v.Groups[k].Name != q.Group {
				v.Groups = append(v.Groups, viewGroup{Name: q.Group})
			}
			g := &v.Groups[len(v.Groups)-1]
			g.Links = append(g.Links, v.link(q))
		}
		if i > 0 {
			v.Previous = v.link(s.pages[i-1])
		}
		if i+1 < len(s.pages) {
			v.Next = v.link(s.pages[i+1])
		}
		if err := pageTemplate.Execute(&whole, v); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Source, err)
		}
		files[p.Target] = whole.Bytes()
	}
	for name := range s.images {
		content, err := fs.ReadFile(s.project, name)
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	files[indexFile] = s.index()
	return files, errors.Join(s.problems...)
}

// link leads from the page of v to another one.
func (v *view) link(to *page) viewLink {
	return viewLink{Title: to.Title, Address: v.Root + to.Target, Current: to == v.page}
}
