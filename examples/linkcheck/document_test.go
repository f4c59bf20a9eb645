package main

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// parse reads a page.
func parse(t *testing.T, text string) *document {
	t.Helper()
	d, err := readDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every attribute is looked at that leads to another document, however it is written, and none that does not.
func TestReferences(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`<a href=x>`, "x"},
		{`<A HREF="x">`, "x"},
		{`<a href="x" href="y">`, "x"},
		{`<a href="x&amp;y">`, "x&y"},
		{`<a name=x>`, ""},
		{`<p href=x src=y>`, ""},
		{`<area href=x><link href=x2 rel=stylesheet><base href=x3>`, "x x2"},
		{`<img src=x srcset="y 1x, z 2x" longdesc=l>`, "x l y z"},
		{`<picture><source srcset="a, b 100w"><source src=c media=m></picture>`, "a b c"},
		{`<link rel=preload as=image href=x imagesrcset="y 2x">`, "x y"},
		{`<script src=x></script><script>var s = "<a href=no>"</script>`, "x"},
		{`<style>a { background: url(no) }</style><textarea><a href=no></textarea><!-- <a href=no> -->`, ""},
		{`<iframe src=x></iframe><frame src=y>`, "x y"},
		{`<video src=x poster=y><track src=z></video><audio src=a></audio><embed src=e>`, "x y z a e"},
		{`<object data=x type=t></object><input type=image src=y>`, "x y"},
		{`<blockquote cite=x></blockquote><q cite=y></q><del cite=z></del><ins cite=a></ins>`, "x y z a"},
		{`<body background=x>`, "x"},
		{`<html manifest=x>`, "x"},
		{`<svg><a xlink:href=x /><image href=y /><use xlink:href="z#id" /></svg>`, "x y z#id"},
		{`<form action=no><button formaction=no></button></form><div itemtype=no></div><a ping=no></a>`, ""},
		{`<meta http-equiv=refresh content="0; url=x">`, "x"},
		{`<META HTTP-EQUIV="Refresh" CONTENT=" 5 ;URL = 'x y' ">`, "x y"},
		{`<meta http-equiv=refresh content='3,"x"'>`, "x"},
		{`<meta http-equiv=refresh content="0; x?url=y">`, "x?url=y"},
		{`<meta http-equiv=refresh content="300">`, ""},
		{`<meta http-equiv=content-type content="0; url=no"><meta name=refresh content="0; url=no">`, ""},
		{`<link rel=preconnect href=no><link rel=dns-prefetch href=no>`, ""},
		{`<link rel="Preconnect" href=no><link rel="DNS-Prefetch  preconnect" href=no><link rel=" preconnect " href=no>`, ""},
		{`<link rel="preconnect stylesheet" href=x><link rel=canonical href=y><link rel="ALTERNATE" href=z><link rel="" href=a>`, "x y z a"},
		{`<a rel=preconnect href=x>`, "x"},
		{`<template><a href=no><template><a href=no></template><base href=no><img src=no></template><a href=x>`, "x"},
		{`<div><template shadowrootmode=open><a href=x><template><a href=no></template><a href=y></template></div><a href=z>`, "x y z"},
		{`<template><template shadowrootmode=open><a href=no></template></template></template><a href=x>`, "x"},
		{`<noscript><img src=x></noscript>`, "x"},
	} {
		d := parse(t, test.text)
		if got := strings.Join(d.references, " "); got != test.want {
			t.Errorf("the references of %s are %q, want %q", test.text, got, test.want)
		}
	}
}

// A srcset is split as HTML says.
func TestCandidates(t *testing.T) {
	for _, test := range []struct {
		set  string
		want []string
	}{
		{"", nil},
		{" , ,", nil},
		{"a", []string{"a"}},
		{"a 1x, b 2x", []string{"a", "b"}},
		{"a 1x,b 2x", []string{"a", "b"}},
		{"a, b", []string{"a", "b"}},
		{"a,b", []string{"a,b"}},
		{"a,, b", []string{"a", "b"}},
		{"a,b 1x, c", []string{"a,b", "c"}},
		{"\n a\t100w ,\n b 200w\n", []string{"a", "b"}},
		{"data:image/png;base64,AA== 1x, b", []string{"data:image/png;base64,AA==", "b"}},
		{"a calc(1, 2) (x, y), b", []string{"a", "b"}},
		{"a (, b", []string{"a"}},
	} {
		if got := candidates(test.set); !slices.Equal(got, test.want) {
			t.Errorf("the candidates of %q are %q, want %q", test.set, got, test.want)
		}
	}
}

// The base is the first one, and the ids are those of all elements and the names of anchors.
func TestBaseAndIDs(t *testing.T) {
	d := parse(t, `<base target=_blank><base href=x><base href=y><p id=one><a name=two><p name=no><a id="a b" name="a%20b"><svg><g id=three />`)
	ids := slices.Sorted(maps.Keys(d.ids))
	if want := []string{"a b", "a%20b", "one", "three", "two"}; d.base != "x" || !slices.Equal(ids, want) {
		t.Errorf("the base is %q and the ids are %q, want x and %q", d.base, ids, want)
	}
	for key, want := range map[string]bool{"id": true, "": false, "other": false} {
		if _, ok := attribute(html.Token{Attr: []html.Attribute{{Key: "id"}, {Key: ""}}}, key); ok != want {
			t.Errorf("whether there is an attribute %q is %v", key, ok)
		}
	}
}

// Pages are decoded from whatever they are in.
func TestDecode(t *testing.T) {
	late := strings.Repeat(" ", 2000)
	for _, test := range []struct{ page, contentType, want string }{
		{"é", "text/html; charset=utf-8", "é"},
		{"\xe9", "text/html; charset=ISO-8859-1", "é"},
		{"\xe9", "text/html", "é"},
		{"é", "text/html", "é"},
		{late + "é", "text/html", late + "é"},
		{late + "\xe9", "text/html", late + "é"},
		{"<meta charset=iso-8859-5>\xbb", "text/html", "<meta charset=iso-8859-5>Л"},
		{"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>\xec", "text/html",
			"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>Л"},
		{"<meta charset=iso-8859-1>\x93", "text/html; charset=Shift_JIS", "<meta charset=iso-8859-1>\ufffd"},
		{"\x93\xfa\x96{", "text/html; charset=Shift_JIS", "日本"},
		{"\xff\xfe\x1b\x04", "text/html", "Л"},
		{"\xfe\xff\x04\x1b", "text/html; charset=iso-8859-1", "Л"},
		{"\x80", "text/html; charset=latin1", "€"},
	} {
		got, err := decode([]byte(test.page), test.contentType)
		if err != nil || strings.TrimPrefix(string(got), "\ufeff") != test.want {
			t.Errorf("%q as %s is %q, %v, want %q", test.page, test.contentType, got, err, test.want)
		}
	}
}

// A link of the web is told from what is none.
func TestResolve(t *testing.T) {
	s := &site{host: "example.com"}
	base, err := url.Parse("http://example.com/dir/page?q#f")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ reference, want string }{
		{"x", "http://example.com/dir/x"},
		{"", "http://example.com/dir/page?q"},
		{"#a", "http://example.com/dir/page?q#a"},
		{"?r#a#b", "http://example.com/dir/page?r#a#b"},
		{"x#a%20b", "http://example.com/dir/x#a%20b"},
		{"x#50%", "http://example.com/dir/x#50%"},
		{"x#a:~:text=50%", "http://example.com/dir/x#a"},
		{" \n\x00x\n ", "http://example.com/dir/x"},
		{"HTTP://EXAMPLE.COM:80", "http://example.com/"},
		{"ht\ntps://example.com", "https://example.com/"},
		{"//other", "http://other/"},
		{"mailto:a@example.com", ""},
		{"javascript:void(0)", ""},
		{"javascript:alert('100%')", ""},
		{"JavaScript: if (a < b) { c('http://[') }", ""},
		{" java\nscript:x%", ""},
		{"data:,", ""},
		{"data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' width='50%'><path d='#'/></svg>", ""},
		{"DATA:text/html,%zz", ""},
		{"tel:+1 (2)", ""},
		{"about:blank", ""},
		{"blob:http://example.com/%", ""},
		{"vbscript:%", ""},
		{"x-y.z+1:%", ""},
		{"file:///etc/passwd", ""},
		{"http://[::1", "invalid http://[::1"},
		{"http:///x", "invalid http:///x"},
		{"http:x", "invalid http:x"},
		{"1x:y%", "invalid 1x:y%"},
		{`x\y`, "http://example.com/dir/x/y"},
		{`..\x\.\y?a\b#c\d`, `http://example.com/x/y?a\b#c\d`},
		{`\x`, "http://example.com/x"},
		{`\\other\x`, "http://other/x"},
		{`http:\\example.com\x`, "http://example.com/x"},
		{"x%5Cy", "http://example.com/dir/x%5Cy"},
		{`mailto:x\y`, ""},
	} {
		l, ok := s.resolve(base, test.reference)
		got := l.target()
		if l.invalid != "" {
			got = "invalid " + got
		}
		if !ok {
			got = ""
		}
		if got != test.want {
			t.Errorf("%q is %q, want %q", test.reference, got, test.want)
		}
	}
}

// A fragment is looked for as it is written, and then as what that stands for.
func TestFragments(t *testing.T) {
	p := &page{ids: map[string]bool{"a%20b": true, "c d": true, "é": true, "50%": true, "%41": true, "x+y": true}}
	for fragment, want := range map[string]bool{
		"": true, "top": true, "TOP": true, "%74op": true,
		"a%20b": true, "a b": false, "c d": true, "c%20d": true, "c+d": false,
		"é": true, "%C3%A9": true, "%c3%a9": true, "%E9": false,
		"50%": true, "50%25": true, "%": false, "%zz": false, "%4": false,
		"%41": true, "A": false, "%2541": true, "x+y": true, "x%2By": true, "none": false,
	} {
		if problem := p.problemWith(fragment); (problem == "") != want {
			t.Errorf("of #%s is said: %q", fragment, problem)
		}
	}
}
