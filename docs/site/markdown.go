package main

import (
	"bytes"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/alecthomas/chroma/v2"
	chromahtml "github.com/alecthomas/chroma/v2/formatters/html"
	"github.com/alecthomas/chroma/v2/lexers"
	"github.com/alecthomas/chroma/v2/styles"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	tables "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/tinyio-go/tinyio/examples/linkcheck/markdown"
)

// newMarkdown is Markdown as GitHub has it, with what this site draws in another way.
func newMarkdown(s *site) goldmark.Markdown {
	return markdown.New(goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(drawing{}, 1))))
}

// parse reads the text of a page.
func (p *page) parse(m goldmark.Markdown) {
	p.tree = m.Parser().Parse(text.NewReader(p.text))
	p.removeForeign()
	p.frameTables()
	p.Title = strings.TrimSuffix(path.Base(p.Source), ".md")
	p.readSections()
}

// walk calls f for each node of a page.
func (p *page) walk(f func(n ast.Node)) {
	ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			f(n)
		}
		return ast.WalkContinue, nil
	})
}

// removeForeign takes out what is not for readers of the site: comments, and images from elsewhere with the links around them.
func (p *page) removeForeign() {
	var foreign []ast.Node
	p.walk(func(n ast.Node) {
		switch n := n.(type) {
		case *ast.HTMLBlock:
			if n.HTMLBlockType == ast.HTMLBlockType2 { // a comment
				foreign = append(foreign, n)
			}
		case *ast.Image:
			if isAbroad(string(n.Destination)) {
				foreign = append(foreign, n)
			}
		}
	})
	for _, n := range foreign {
		for n.Parent() != nil {
			parent := n.Parent()
			parent.RemoveChild(parent, n)
			if _, isLink := parent.(*ast.Link); !isLink && parent.Kind() != ast.KindParagraph || hasContent(parent) {
				break
			}
			n = parent
		}
	}
}

// hasContent reports whether there is anything in n but the ends of lines.
func hasContent(n ast.Node) bool {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); !ok || t.Segment.Len() > 0 {
			return true
		}
	}
	return false
}

// isAbroad reports whether an address is one of the web.
func isAbroad(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme != "" || u.Host != "")
}

// links returns where the links of a page lead, as far as that is the project.
func (p *page) links() (all []string) {
	p.walk(func(n ast.Node) {
		if l, ok := n.(*ast.Link); ok && !isAbroad(string(l.Destination)) {
			to, _, _ := strings.Cut(string(l.Destination), "#")
			all = append(all, to)
		}
	})
	return all
}

// resolve has the links and the images of a page lead to where these are in the site, or in the repository if they are not.
func (s *site) resolve(p *page) {
	p.walk(func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Link:
			n.Destination = s.address(p, string(n.Destination), false)
		case *ast.Image:
			n.Destination = s.address(p, string(n.Destination), true)
		}
	})
}

// address is what the site has in place of a link of p, or of the address of an image.
func (s *site) address(p *page, to string, image bool) []byte {
	name, fragment, found := strings.Cut(to, "#")
	if isAbroad(to) || name == "" {
		return []byte(to)
	}
	if found {
		fragment = "#" + fragment
	}
	name = path.Join(path.Dir(p.Source), name)
	info, err := fs.Stat(s.project, name)
	if err != nil {
		s.problems = append(s.problems, fmt.Errorf("%s has a link to %s: %w", p.Source, to, err))
		return []byte(to)
	}
	q := s.bySource[name]
	kind := "blob"
	if info.IsDir() {
		q = s.bySource[path.Join(name, "README.md")]
		kind = "tree"
	}
	up := strings.Repeat("../", strings.Count(p.Target, "/"))
	switch {
	case q != nil:
		return []byte(up + q.Target + fragment)
	case image || isImage(name):
		s.images[name] = true
		return []byte(up + name)
	}
	return []byte(repository + "/" + kind + "/main/" + name + fragment)
}

// isImage reports whether a file is a picture, so that a link to it leads to the picture and not to a page about it.
func isImage(name string) bool {
	return slices.Contains([]string{".png", ".svg"}, path.Ext(name))
}

// A frame is what a wide table is moved in, so that the page does not move with it.
type frame struct{ ast.BaseBlock }

var kindFrame = ast.NewNodeKind("Frame")

func (*frame) Kind() ast.NodeKind              { return kindFrame }
func (f *frame) Dump(source []byte, level int) { ast.DumpHelper(f, source, level, nil, nil) }

// frameTables puts each table of a page into a frame.
func (p *page) frameTables() {
	var found []ast.Node
	p.walk(func(n ast.Node) {
		if n.Kind() == tables.KindTable {
			found = append(found, n)
		}
	})
	for _, n := range found {
		f := &frame{}
		n.Parent().ReplaceChild(n.Parent(), n, f)
		f.AppendChild(f, n)
	}
}

// drawing draws what this site draws in a way of its own.
type drawing struct{}

func (drawing) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHeading, drawHeading)
	r.Register(ast.KindFencedCodeBlock, drawCode)
	r.Register(kindFrame, drawFrame)
}

// drawHeading draws a heading with a link to itself.
func drawHeading(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	h := n.(*ast.Heading)
	id := html.EscapeString(idOf(h))
	if entering {
		fmt.Fprintf(w, "<h%d id=\"%s\">", h.Level, id)
	} else {
		if h.Level > 1 {
			fmt.Fprintf(w, ` <a class="anchor" href="#%s" aria-label="Link to this section">#</a>`, id)
		}
		fmt.Fprintf(w, "</h%d>\n", h.Level)
	}
	return ast.WalkContinue, nil
}

// idOf is the id that package markdown has given to a heading.
func idOf(h *ast.Heading) string {
	id, _ := h.AttributeString("id")
	return string(id.([]byte))
}

// code marks the parts of code by classes, for which the style sheet has the colours.
var code = chromahtml.New(chromahtml.WithClasses(true), chromahtml.PreventSurroundingPre(true))

// drawCode draws a block of code in colours.
func drawCode(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	language := string(n.(*ast.FencedCodeBlock).Language(source))
	fmt.Fprintf(w, `<pre tabindex="0" class="%s"><code>`, html.EscapeString(language))
	lexer := lexers.Get(language)
	if lexer == nil || language == "text" {
		w.WriteString(html.EscapeString(string(n.Lines().Value(source))))
	} else {
		tokens, err := chroma.Coalesce(lexer).Tokenise(nil, string(n.Lines().Value(source)))
		if err != nil {
			return ast.WalkStop, err
		}
		if err := code.Format(w, styles.Fallback, tokens); err != nil {
			return ast.WalkStop, err
		}
	}
	w.WriteString("</code></pre>\n")
	return ast.WalkSkipChildren, nil
}

func drawFrame(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		w.WriteString(`<div class="table" tabindex="0">` + "\n")
	} else {
		w.WriteString("</div>\n")
	}
	return ast.WalkContinue, nil
}

// blockText is what a block says, its code included.
func blockText(n ast.Node, source []byte) string {
	var b bytes.Buffer
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch {
		case !entering:
		case n.Kind() == ast.KindFencedCodeBlock || n.Kind() == ast.KindCodeBlock:
			b.Write(n.Lines().Value(source))
			b.WriteByte(' ')
			return ast.WalkSkipChildren, nil
		case n.Type() == ast.TypeBlock && n.FirstChild() != nil && n.FirstChild().Type() == ast.TypeInline:
			b.WriteString(markdown.Text(n, source))
			b.WriteByte(' ')
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(b.String()), " ")
}
