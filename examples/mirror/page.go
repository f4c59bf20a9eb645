package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/net/html"

	"github.com/tinyio-go/tinyio"
)

// A page is what an address turned out to be.
type page struct {
	redirect *url.URL   // where it sends its visitors, if it does
	links    []*url.URL // what it links to, otherwise
}

// get asks for the page at u, once, and saves it. An error says whether to ask again, in the terms of package backoff.
func (m *mirror) get(co *tinyio.Co, u *url.URL) (*page, error) {
	slow := fmt.Errorf("no answer within %v", m.timeout)
	ctx, cancel := context.WithTimeoutCause(co, m.timeout, slow) // a Co is a context, which is done when the coroutine is stopped
	defer cancel()
	explain := func(err error) error {
		if err != nil && context.Cause(ctx) == slow {
			return slow
		}
		return err
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	req.Header.Set("User-Agent", "tinyio-mirror")
	res, err := tinyio.Call(co, func(context.Context) (*http.Response, error) { return m.transport.RoundTrip(req) })
	if err != nil {
		return nil, explain(err)
	}
	defer res.Body.Close()
	if location := res.Header.Get("Location"); res.StatusCode/100 == 3 && location != "" {
		to, err := u.Parse(location)
		if err != nil {
			return nil, backoff.Permanent(fmt.Errorf("it redirects to %q, which is no address", location))
		}
		return &page{redirect: canonical(to)}, nil
	}
	if err := statusError(res, co.Now()); err != nil {
		return nil, err
	}

	// Which file it is to be is decided here, between two calls, and on the loop: nobody else looks into the map meanwhile.
	isHTML := isHTML(res.Header)
	name, err := m.files.claim(fileName(u, isHTML), u.String())
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	var p page
	size, err := tinyio.Call(co, func(context.Context) (int64, error) {
		return m.files.write(name, func(w io.Writer) error {
			body := io.TeeReader(res.Body, w)
			if isHTML {
				p.links = links(u, body)
			}
			_, err := io.Copy(io.Discard, body) // the rest of it
			return explain(err)
		})
	})
	if err != nil {
		return nil, err
	}
	m.saved++
	m.bytes += size
	return &p, nil
}

// statusError is the error that the status of a response stands for, nil if it is a success.
func statusError(res *http.Response, now time.Time) error {
	err := errors.New(res.Status)
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode/100 == 5, res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout:
		after := res.Header.Get("Retry-After")
		if seconds, e := strconv.Atoi(after); e == nil && seconds > 0 {
			return fmt.Errorf("%w: %w", err, backoff.RetryAfter(seconds))
		} else if at, e := http.ParseTime(after); e == nil && at.After(now) {
			return fmt.Errorf("%w: %w", err, &backoff.RetryAfterError{Duration: at.Sub(now)})
		}
		return err
	}
	return backoff.Permanent(err)
}

func isHTML(h http.Header) bool {
	t, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return t == "text/html" || t == "application/xhtml+xml"
}

// canonical is u without its fragment, in the form that is the same for most ways of writing it.
func canonical(u *url.URL) *url.URL {
	v := *u
	v.Fragment, v.RawFragment, v.User = "", "", nil
	v.Host = strings.ToLower(v.Host)
	switch v.Scheme {
	case "http":
		v.Host = strings.TrimSuffix(v.Host, ":80")
	case "https":
		v.Host = strings.TrimSuffix(v.Host, ":443")
	}
	if v.Path == "" {
		v.Path = "/"
	}
	return v.ResolveReference(&url.URL{Path: v.Path, RawPath: v.RawPath, RawQuery: v.RawQuery}) // which removes the dots
}

// linkAttributes tells in which attribute an element has its link.
var linkAttributes = map[string]string{
	"a": "href", "area": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "frame": "src",
	"video": "src", "audio": "src", "source": "src", "track": "src", "embed": "src", "object": "data",
}

// links returns what the HTML page at u links to. It reads body up to the end, or the first error.
func links(u *url.URL, body io.Reader) (all []*url.URL) {
	base := u
	tokens := html.NewTokenizer(body)
	tokens.SetMaxBuf(1 << 20) // what has longer tags is not what it says it is
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return all
		case html.StartTagToken, html.SelfClosingTagToken:
			element := tokens.Token()
			for _, a := range element.Attr {
				isBase := element.Data == "base" && a.Key == "href"
				if !isBase && a.Key != linkAttributes[element.Data] {
					continue
				}
				to, err := base.Parse(strings.TrimSpace(a.Val))
				switch {
				case err != nil: // there is nothing to follow
				case isBase:
					base = to
				default:
					all = append(all, canonical(to))
				}
			}
		}
	}
}
