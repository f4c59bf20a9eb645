// Package markdown reads Markdown as GitHub has it: with tables, footnotes and HTML, and with the same anchors of headings, so that a link
// which leads somewhere there leads somewhere here.
package markdown

import (
	"bytes"
	"html"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	htmlrenderer "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// New returns a converter from Markdown to HTML. Of the options, transformers of the parsed text with a priority above 0 find the ids of
// the headings set.
func New(options ...goldmark.Option) goldmark.Markdown {
	return goldmark.New(append([]goldmark.Option{
		goldmark.WithExtensions(extension.GFM, extension.Footnote),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(headingIDs{}, 0))),
		goldmark.WithRendererOptions(htmlrenderer.WithUnsafe()), // anchors are often made with HTML
	}, options...)...)
}

// headingIDs gives each heading the id that it would have on GitHub. The ids that goldmark makes itself are
// others, among other things because they are made from the source of the heading and not from its text.
type headingIDs struct{}

func (headingIDs) Transform(document *ast.Document, reader text.Reader, _ parser.Context) {
	used := make(map[string]int)
	ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n.Kind() == ast.KindHeading && entering {
			n.SetAttributeString("id", []byte(unique(used, anchor(Text(n, reader.Source())))))
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
}

// Text is the text of n as a reader sees it.
func Text(n ast.Node, source []byte) string {
	var b bytes.Buffer
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			value := n.Value(source)
			if n.Parent().Kind() != ast.KindCodeSpan {
				value = []byte(html.UnescapeString(string(util.UnescapePunctuations(value))))
			}
			b.Write(value)
			if n.SoftLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(source))
		case *ast.Image:
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// anchor is GitHub's id for a heading with the given text: letters, digits, hyphens and underscores are kept, in lower
// case, spaces become hyphens, and everything else goes.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// unique numbers an id if it has been used before.
func unique(used map[string]int, id string) string {
	result := id
	for {
		if _, taken := used[result]; !taken {
			used[result] = 0
			return result
		}
		used[id]++
		result = id + "-" + strconv.Itoa(used[id])
	}
}
