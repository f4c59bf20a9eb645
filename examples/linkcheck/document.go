package main

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
)

// A document is what is looked at of an HTML page.
type document struct {
	base       string          // to which its references are relative, "" if it does not say
	references []string        // to other documents, as they are written
	ids        map[string]bool // of its elements
}

// decode returns the text of a page as UTF-8. What it is in is said by the page itself or by the server, or found out as browsers do; but
// if nobody says anything, all that is UTF-8 is taken for that, and not only what has the first character of it early enough.
func decode(page []byte, contentType string) ([]byte, error) {
	encoding, _, said := charset.DetermineEncoding(page, contentType)
	if !said && utf8.Valid(page) {
		return page, nil
	}
	return encoding.NewDecoder().Bytes(page)
}

// linkAttributes tells in which attributes an element has its references to other documents. Left out are those that only a form or a
// script follows, and those that name something without leading to it.
var linkAttributes = map[string][]string{
	"a":          {"href", "xlink:href"},
	"area":       {"href"},
	"audio":      {"src"},
	"blockquote": {"cite"},
	"body":       {"background"},
	"del":        {"cite"},
	"embed":      {"src"},
	"frame":      {"src", "longdesc"},
	"html":       {"manifest"},
	"iframe":     {"src", "longdesc"},
	"image":      {"href", "xlink:href"}, // of SVG, as is use
	"img":        {"src", "longdesc"},
	"input":      {"src"},
	"ins":        {"cite"},
	"link":       {"href"},
	"object":     {"data"},
	"q":          {"cite"},
	"script":     {"src"},
	"source":     {"src"},
	"track":      {"src"},
	"use":        {"href", "xlink:href"},
	"video":      {"src", "poster"},
}

// setAttributes tells in which attribute an element has several, of which the browser chooses.
var setAttributes = map[string]string{"img": "srcset", "link": "imagesrcset", "source": "srcset"}

// readDocument reads an HTML page.
func readDocument(text []byte) (*document, error) {
	d := &document{ids: make(map[string]bool)}
	baseSet := false
	var inert []bool // of the templates that are open: nothing of it is shown, but by a script
	tokens := html.NewTokenizer(bytes.NewReader(text))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); err != io.EOF {
				return nil, err
			}
			return d, nil
		case html.EndTagToken:
			if name, _ := tokens.TagName(); string(name) == "template" && len(inert) > 0 {
				inert = inert[:len(inert)-1]
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			element := tokens.Token()
			switch element.Data {
			case "noscript": // to a browser with scripts its content is text, and to one without it is not
				tokens.NextIsNotRawText()
			case "template":
				_, shown := attribute(element, "shadowrootmode")
				inert = append(inert, !shown)
			}
			if slices.Contains(inert, true) {
				continue
			}
			d.readElement(element)
			if base, ok := attribute(element, "href"); ok && element.Data == "base" && !baseSet {
				d.base, baseSet = base, true
			}
		}
	}
}

func (d *document) readElement(e html.Token) {
	if id, ok := attribute(e, "id"); ok {
		d.ids[id] = true
	}
	if name, ok := attribute(e, "name"); ok && e.Data == "a" {
		d.ids[name] = true
	}
	if e.Data == "link" && isHint(e) {
		return
	}
	for _, key := range linkAttributes[e.Data] {
		if reference, ok := attribute(e, key); ok {
			d.references = append(d.references, reference)
		}
	}
	if set, ok := attribute(e, setAttributes[e.Data]); ok {
		d.references = append(d.references, candidates(set)...)
	}
	if event, ok := attribute(e, "http-equiv"); ok && e.Data == "meta" && strings.EqualFold(event, "refresh") {
		content, _ := attribute(e, "content")
		if m := refresh.FindStringSubmatch(content); m != nil {
			d.references = append(d.references, m[1]+m[2]+m[3])
		}
	}
}

// refresh is how a page says where it sends its visitors after a while: "5; url=elsewhere.html".
var refresh = regexp.MustCompile(`(?i)^\s*[0-9.]+\s*[;,\s]\s*(?:url\s*=\s*)?(?:'([^']*)|"([^"]*)|([^'"].*))`)

// attribute returns an attribute of e. If it is there twice, the first one counts.
func attribute(e html.Token, key string) (value string, ok bool) {
	i := slices.IndexFunc(e.Attr, func(a html.Attribute) bool { return a.Key == key })
	if key == "" || i < 0 {
		return "", false
	}
	return e.Attr[i].Val, true
}

// isHint reports whether e, a link, does nothing but prepare the browser for a server: that there is a page is not said.
func isHint(e html.Token) bool {
	rel, _ := attribute(e, "rel")
	kinds := strings.Fields(strings.ToLower(rel))
	return len(kinds) > 0 && !slices.ContainsFunc(kinds, func(kind string) bool { return kind != "preconnect" && kind != "dns-prefetch" })
}

// candidates returns the references in a srcset: "small.png 1x, large.png 2x". They may have commas in them, and what follows them may
// have some in parentheses.
func candidates(set string) (references []string) {
	const space = " \t\n\f\r"
	for {
		set = strings.TrimLeft(set, space+",")
		if set == "" {
			return references
		}
		end := strings.IndexAny(set, space)
		if end < 0 {
			end = len(set)
		}
		reference := strings.TrimRight(set[:end], ",")
		references = append(references, reference)
		rest := set[end:]
		if len(reference) == end { // and no comma
			rest = rest[endOfDescriptors(rest):]
		}
		set = rest
	}
}

// endOfDescriptors is where the first comma is in s that is not in parentheses, or the end of s.
func endOfDescriptors(s string) int {
	depth := 0
	for i, r := range s {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth = max(depth-1, 0)
		case r == ',' && depth == 0:
			return i
		}
	}
	return len(s)
}
