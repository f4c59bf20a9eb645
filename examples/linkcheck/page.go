package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
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
	anyCase   bool            // also in small letters, and a fragment may be in any: so GitHub has it for Markdown

	setsCookie bool          // with its redirect
	retryAfter time.Duration // when it may be there, if its problem is that the server is busy; otherwise 0
}

// problemWith says what is wrong with a link to the given fragment of p, "" if nothing is. As HTML has it, an id may be the fragment as
// it is written or what that stands for.
func (p *page) problemWith(fragment string) string {
	decoded := unescape(fragment)
	switch {
	case p.problem != "":
		return p.problem
	case fragment == "" || p.ids == nil: // without ids it is not HTML, and what a fragment means there is not known here
		return ""
	case p.ids[fragment] || p.ids[decoded] || p.anyCase && p.ids[strings.ToLower(decoded)] || strings.EqualFold(decoded, "top"):
		return ""
	}
	return fmt.Sprintf("no element of the page has the id %q", decoded)
}

// unescape is what s stands for. A percent sign that begins nothing is left as it is.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i] == '%' {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.Write(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// A link leads from a page to another one, or to itself.
type link struct {
	from     string // the address of the page that it is on, "" for those from the command line
	address  string // without the fragment
	fragment string // as it was written
	invalid  string // why it leads nowhere, "" if it may lead somewhere
}

// target is where l leads, as one would write it.
func (l link) target() string {
	if l.fragment == "" {
		return l.address
	}
	return l.address + "#" + l.fragment
}

var schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// resolve returns the link that reference, in a page with the given base, stands for. There is none if it is not of the web,
// but mailto:, data:, javascript: or the like, of which anything may be written that is no URL as package url knows them.
func (s *site) resolve(base *url.URL, reference string) (l link, ok bool) {
	reference = strings.TrimFunc(reference, func(r rune) bool { return r <= ' ' })
	reference = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(reference)
	switch strings.ToLower(schemePattern.FindString(reference)) {
	case "", "http:", "https:":
	default:
		return link{}, false
	}
	whole := reference
	reference, fragment, _ := strings.Cut(reference, "#")
	fragment, _, _ = strings.Cut(fragment, ":~:") // what follows is for browsers: a text to be marked
	ref, err := url.Parse(withSlashes(reference))
	if err != nil {
		return link{address: whole, invalid: "not a valid URL"}, true
	}
	u := base.ResolveReference(ref)
	if s.files != nil && ref.Scheme == "" && ref.Host == "" && s.contains(base) {
		u = s.files.climb(base, ref, u)
	} else if u.Host == "" || u.Opaque != "" {
		return link{address: whole, invalid: "not a valid URL"}, true
	}
	return link{address: canonical(u), fragment: fragment}, true
}

// withSlashes is reference with slashes for backslashes, which browsers treat alike, except for those in the query.
func withSlashes(reference string) string {
	path, query, hasQuery := strings.Cut(reference, "?")
	path = strings.ReplaceAll(path, `\`, "/")
	if hasQuery {
		path += "?" + query
	}
	return path
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

// get fetches the page at u. It blocks, and stops when ctx is done.
func (c *crawler) get(ctx context.Context, u *url.URL) (*page, error) {
	switch {
	case u.Scheme == "file":
		_, err := os.Stat(c.site.files.file(u))
		return &page{address: u.String()}, err
	case c.site.contains(u):
		return c.visit(ctx, http.MethodGet, u)
	}
	p, err := c.visit(ctx, http.MethodHead, u)
	if err != nil || p.problem != "" && p.retryAfter == 0 { // many servers answer HEAD wrongly
		p, err = c.visit(ctx, http.MethodGet, u)
	}
	return p, err
}

// visit makes a request and reads the answer as far as it matters: the HTML pages of the site.
func (c *crawler) visit(ctx context.Context, method string, u *url.URL) (*page, error) {
	req, err := c.newRequest(ctx, method, u)
	if err != nil {
		return nil, err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	return c.pageOf(res, u)
}

// visitWithCookies is visit for a page that sends its visitors round in a circle until they come back with a cookie. It goes where it is
// sent. Of what that is, no other page knows: each is visited without cookies first.
func (c *crawler) visitWithCookies(ctx context.Context, u *url.URL) (*page, error) {
	jar, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: c.client.Transport, Jar: jar, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects || !c.external && !c.site.contains(req.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	req, err := c.newRequest(ctx, http.MethodGet, u)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	return c.pageOf(res, res.Request.URL)
}

func (c *crawler) newRequest(ctx context.Context, method string, u *url.URL) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "tinyio-linkcheck")
	if user := c.site.user; user != nil && u.Scheme+"://"+host(u) == c.site.secret {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	return req, nil
}

// pageOf reads the answer of a server, and closes it.
func (c *crawler) pageOf(res *http.Response, u *url.URL) (*page, error) {
	defer res.Body.Close()
	p := &page{address: canonical(u)}
	location := res.Header.Get("Location")
	switch {
	case res.StatusCode/100 == 3 && location != "":
		l, ok := c.site.resolve(u, location)
		if !ok {
			l = link{address: location, invalid: "it leads to " + location}
		}
		p.redirect, p.setsCookie = &l, len(res.Cookies()) > 0
	case res.StatusCode/100 != 2:
		p.problem = res.Status
		if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
			seconds, _ := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 16)
			p.retryAfter = time.Duration(seconds) * time.Second
		}
	case c.site.contains(u) && mayBeHTML(res.Header):
		return p, c.read(p, u, res)
	}
	return p, nil
}

// mayBeHTML reports whether an answer is HTML, as far as its header tells.
func mayBeHTML(h http.Header) bool {
	return h.Get("Content-Type") == "" || isHTML(h.Get("Content-Type"))
}

func isHTML(contentType string) bool {
	t, _, _ := mime.ParseMediaType(contentType)
	return t == "text/html" || t == "application/xhtml+xml"
}

// read finds the links and the ids of the page p, which is at u, if it is HTML.
func (c *crawler) read(p *page, u *url.URL, res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, c.maxBody+1))
	if err != nil {
		return err
	}
	if res.Header.Get("Content-Type") == "" && !isHTML(http.DetectContentType(body)) {
		return nil
	}
	whole := int64(len(body)) <= c.maxBody
	text, err := decode(body[:min(int64(len(body)), c.maxBody)], res.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	d, err := readDocument(text)
	if err != nil {
		return err
	}
	base := u
	if b, err := u.Parse(d.base); err == nil && (b.Scheme == "http" || b.Scheme == "https") {
		base = b
	}
	p.html, p.links = true, c.links(p.address, base, d.references)
	if !whole { // it is not known which ids it has
		return nil
	}
	p.ids, p.anyCase = d.ids, c.site.isMarkdown(u)
	if p.anyCase {
		for _, id := range slices.Collect(maps.Keys(d.ids)) {
			p.ids[strings.ToLower(id)] = true
		}
	}
	return nil
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
	var u *url.Error
	var file *fs.PathError
	switch {
	case errors.As(err, &u):
		return u.Err.Error()
	case errors.As(err, &file):
		return file.Err.Error()
	}
	return err.Error()
}
