package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/html"

	"github.com/tinyio-go/tinyio"
)

// A page is what an address turned out to be.
type page struct {
	address   string
	problem   string          // why it cannot be had, "" if it can
	unvisited bool            // it is out of the site and was not asked for
	redirect  *link           // where it sends its visitors
	html      bool            // it is an HTML page of the site
	links     []link          // and these are its links, without repetitions,
	ids       map[string]bool // and the ids of its elements, nil if it was too long to be read to its end
}

// problemWith says what is wrong with a link to the given fragment of p, "" if nothing is.
func (p *page) problemWith(fragment string) string {
	switch {
	case p.problem != "":
		return p.problem
	case fragment == "" || strings.EqualFold(fragment, "top"):
		return ""
	case p.ids == nil || p.ids[fragment]: // without ids it is not HTML, and what a fragment means there is not known here
		return ""
	}
	return fmt.Sprintf("no element of the page has the id %q", fragment)
}

// A link leads from a page to another one, or to itself.
type link struct {
	from     string // the address of the page that it is on, "" for those from the command line
	address  string // without the fragment
	fragment string
	invalid  string // why it leads nowhere, "" if it may lead somewhere
}

// target is where l leads, as one would write it.
func (l link) target() string {
	if l.fragment == "" {
		return l.address
	}
	return l.address + "#" + l.fragment
}

// resolve returns the link that reference, in a page with the given base, stands for. There is none if it is not of the web,
// but mailto: or the like.
func (s *site) resolve(base *url.URL, reference string) (l link, ok bool) {
	reference = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(strings.Trim(reference, " \t\n\f\r"))
	ref, err := url.Parse(reference)
	if err != nil {
		return link{address: reference, invalid: "not a valid URL"}, true
	}
	u := base.ResolveReference(ref)
	if s.files != nil && ref.Scheme == "" && ref.Host == "" && s.contains(base) {
		u = s.files.climb(base, ref, u)
	} else if u.Scheme != "http" && u.Scheme != "https" {
		return link{}, false
	} else if u.Host == "" || u.Opaque != "" {
		return link{address: reference, invalid: "not a valid URL"}, true
	}
	fragment, _, _ := strings.Cut(u.Fragment, ":~:") // what follows is for browsers: a text to be marked
	return link{address: canonical(u), fragment: fragment}, true
}

// canonical is u without its fragment, in the form that is the same for all ways of writing it.
func canonical(u *url.URL) string {
	v := *u
	v.Fragment, v.RawFragment = "", ""
	v.Host = host(u)
	if v.Path == "" {
		v.Path = "/"
	}
	return v.String()
}

// host is the host of u and, if it is not the usual one, the port.
func host(u *url.URL) string {
	h := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		h = strings.TrimSuffix(h, ":80")
	case "https":
		h = strings.TrimSuffix(h, ":443")
	}
	return h
}

// get fetches the page at address. It blocks, and stops when ctx is done.
func (c *crawler) get(ctx context.Context, address string) (*page, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme == "file":
		_, err := os.Stat(c.site.files.file(u))
		return &page{address: address}, err
	case c.site.contains(u):
		return c.visit(ctx, http.MethodGet, u)
	}
	p, err := c.visit(ctx, http.MethodHead, u)
	if err != nil || p.problem != "" { // many servers answer HEAD wrongly
		p, err = c.visit(ctx, http.MethodGet, u)
	}
	return p, err
}

// visit makes a request and reads the answer as far as it matters: the HTML pages of the site.
func (c *crawler) visit(ctx context.Context, method string, u *url.URL) (*page, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "tinyio-linkcheck")
	res, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()

	p := &page{address: u.String()}
	location := res.Header.Get("Location")
	switch {
	case res.StatusCode/100 == 3 && location != "":
		l, ok := c.site.resolve(u, location)
		if !ok {
			l = link{address: location, invalid: "it leads to " + location}
		}
		p.redirect = &l
	case res.StatusCode/100 != 2:
		p.problem = res.Status
	case c.site.contains(u) && isHTML(res.Header):
		return p, c.read(p, u, res.Body)
	}
	return p, nil
}

func isHTML(h http.Header) bool {
	t, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return t == "text/html" || t == "application/xhtml+xml"
}

// linkAttributes tells in which attribute an element has its link.
var linkAttributes = map[string]string{
	"a": "href", "area": "href", "link": "href",
	"img": "src", "script": "src", "iframe": "src", "video": "src", "audio": "src", "source": "src", "embed": "src",
}

// read finds the links and the ids of the HTML page p, which is at u.
func (c *crawler) read(p *page, u *url.URL, body io.Reader) error {
	limited := &io.LimitedReader{R: body, N: c.maxBody}
	var references []string
	base, baseSet := u, false
	ids := make(map[string]bool)
	tokens := html.NewTokenizer(limited)
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); err != io.EOF {
				return err
			}
			if limited.N > 0 { // of a page that was cut short it is not known which ids it has
				p.ids = ids
			}
			p.html, p.links = true, c.links(p.address, base, references)
			return nil
		case html.StartTagToken, html.SelfClosingTagToken:
			element := tokens.Token()
			for _, a := range element.Attr {
				switch {
				case a.Key == "id" || a.Key == "name" && element.Data == "a":
					ids[a.Val] = true
				case a.Key == linkAttributes[element.Data] && !isHint(element):
					references = append(references, a.Val)
				case a.Key == "href" && element.Data == "base" && !baseSet:
					if b, err := u.Parse(a.Val); err == nil {
						base, baseSet = b, true
					}
				}
			}
		}
	}
}

// isHint reports whether e only prepares the browser for a server: that there is a page is not said.
func isHint(e html.Token) bool {
	for _, a := range e.Attr {
		if a.Key == "rel" && (a.Val == "preconnect" || a.Val == "dns-prefetch") {
			return true
		}
	}
	return false
}

// links resolves the references of a page, leaving out those that say the same.
func (c *crawler) links(from string, base *url.URL, references []string) (links []link) {
	seen := make(map[link]bool)
	for _, r := range references {
		if l, ok := c.site.resolve(base, r); ok && !seen[l] {
			seen[l] = true
			l.from = from
			links = append(links, l)
		}
	}
	return links
}

// explain is what a user needs to know of err.
func explain(err error) string {
	var late *tinyio.TimeoutError
	var u *url.Error
	var file *fs.PathError
	switch {
	case errors.As(err, &late):
		return fmt.Sprintf("no answer within %v", late.After)
	case errors.As(err, &u):
		return u.Err.Error()
	case errors.As(err, &file):
		return file.Err.Error()
	}
	return err.Error()
}
