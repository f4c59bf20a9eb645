package main

import (
	"encoding/json"
	"strings"

	"github.com/yuin/goldmark/ast"

	"github.com/tinyio-go/tinyio/examples/linkcheck/markdown"
)

// A section is what a search finds: a heading and the text below it.
type section struct {
	id, heading string
	text        []string
}

// readSections divides a page into its sections. It finds out the title, the outline, and what the page is about.
func (p *page) readSections() {
	p.sections = []section{{}}
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		h, ok := n.(*ast.Heading)
		if !ok {
			last := &p.sections[len(p.sections)-1]
			last.text = append(last.text, blockText(n, p.text))
			if p.About == "" && n.Kind() == ast.KindParagraph {
				p.About = firstSentence(markdown.Text(n, p.text))
			}
			continue
		}
		is := heading{Level: h.Level, ID: idOf(h), Text: markdown.Text(h, p.text)}
		if h.Level == 1 {
			p.Title = is.Text
			continue
		}
		p.sections = append(p.sections, section{id: is.ID, heading: is.Text})
		if h.Level <= 3 {
			p.Outline = append(p.Outline, is)
		}
	}
}

// firstSentence is the beginning of a text, up to a full stop.
func firstSentence(s string) string {
	if before, _, found := strings.Cut(s, ". "); found {
		return before + "."
	}
	return s
}

// index is a script with all that can be found. It is no JSON file, because a page that is read from the disk may load none.
func (s *site) index() []byte {
	type entry struct {
		Page    string `json:"page"`
		Title   string `json:"title"`
		Heading string `json:"heading,omitempty"`
		Text    string `json:"text"`
	}
	var all []entry
	for _, p := range s.pages {
		for _, part := range p.sections {
			e := entry{Page: p.Target, Title: p.Title, Heading: part.heading, Text: strings.Join(part.text, " ")}
			if part.id != "" {
				e.Page += "#" + part.id
			}
			all = append(all, e)
		}
	}
	content, err := json.Marshal(all)
	if err != nil {
		panic(err) // of strings there is nothing that cannot be written
	}
	return append(append([]byte("searchIndex("), content...), ");\n"...)
}
