package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tinyio-go/tinyio"
)

// maxRedirects is how often a link may be sent on, as in browsers and net/http.
const maxRedirects = 10

// A crawler checks the links of a site. Its fields are shared by all coroutines of the crawl.
type crawler struct {
	site   *site
	client *http.Client
	limits
	fetching *tinyio.Semaphore // with a permit for each page that may be fetched at once

	pages       map[string]*tinyio.Coro[*page] // by address
	withCookies map[string]*tinyio.Coro[*page] // so are those that want a cookie
	depths      map[string]int                 // of the pages whose links are being checked: over how many links they are reached
	report      report
}

// limits bound a crawl.
type limits struct {
	n        int           // pages that are fetched at once
	timeout  time.Duration // of a fetch
	external bool          // check links out of the site too
	maxBody  int64         // of a page, in bytes
	maxPages int           // whose links are checked
	maxDepth int           // over how many links a page may be reached whose links are checked; 0 is any
}

func newCrawler(s *site, l limits, progress func(done, found int)) *crawler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = l.n
	return &crawler{
		site:   s,
		limits: l,
		client: &http.Client{
			Transport: transport,
			// Where a redirect leads is a page like any other: fetched once, whether links lead there directly or not.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		fetching:    tinyio.NewSemaphore(l.n),
		pages:       make(map[string]*tinyio.Coro[*page]),
		withCookies: make(map[string]*tinyio.Coro[*page]),
		depths:      make(map[string]int),
		report:      newReport(progress),
	}
}

// crawl checks every link that can be reached from where the site starts. When it returns, with an error or without, all
// that it started has stopped, and the report says what was found.
func (c *crawler) crawl(ctx context.Context, opts ...tinyio.Option) error {
	defer c.client.CloseIdleConnections()
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		return c.checkAll(co, c.site.start, 0, true)
	}).Named("crawl"), opts...)
	return err
}

// checkAll spawns a check of each of links.
func (c *crawler) checkAll(co *tinyio.Co, links []link, depth int, first bool) error {
	if first {
		c.report.expect(len(links))
	}
	checks := make([]tinyio.Awaitable, len(links))
	for i, l := range links {
		checks[i] = c.check(l, depth, first)
	}
	return co.Spawn(checks...)
}

// check returns the coroutine that checks l and then has the links checked of the page to which it leads. That is reached over depth
// links. If it is not the first check of l, the report knows of it.
//
// It waits for that page and for no other check: pages link to each other in cycles, and checks that waited for each other
// would do so for ever.
func (c *crawler) check(l link, depth int, first bool) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		target, fragment, err := c.arrive(co, l)
		if err != nil {
			return err
		}
		if first {
			c.report.add(l, target.problemWith(fragment), target.unvisited)
		}
		if target.html {
			if err := c.follow(co, target, depth); err != nil {
				return err
			}
		}
		if first {
			c.report.tick()
		}
		return nil
	}).Named("link to " + l.target())
}

// follow has the links of p checked, if that has not been done and p is within the limits. Links are followed as they come, so p may turn
// out to be less deep than it was when it was reached first. Then the pages to which it links are as well.
func (c *crawler) follow(co *tinyio.Co, p *page, depth int) error {
	before, known := c.depths[p.address]
	switch {
	case known && (before <= depth || c.maxDepth == 0):
		return nil
	case !known && len(c.depths) == c.maxPages:
		c.report.tooMany[p.address] = true
		return nil
	}
	c.depths[p.address] = depth
	if c.maxDepth > 0 && depth > c.maxDepth {
		c.report.tooDeep[p.address] = true
		return nil
	}
	first := !known || c.report.tooDeep[p.address]
	delete(c.report.tooDeep, p.address)
	if first {
		c.report.pages++
	}
	return c.checkAll(co, p.links, depth+1, first)
}

// arrive goes where l leads, by way of any redirects. It returns the page there and the fragment in it.
func (c *crawler) arrive(co *tinyio.Co, l link) (*page, string, error) {
	if l.invalid != "" {
		return &page{address: l.address, problem: l.invalid}, "", nil
	}
	first, wantsCookie := l, false
	seen := make(map[string]bool)
	for range maxRedirects + 1 {
		if !c.external && c.isExternal(l.address) {
			return &page{address: l.address, unvisited: true}, "", nil
		}
		p, err := c.page(l.address).Await(co)
		if err != nil || p.redirect == nil {
			return p, l.fragment, err
		}
		seen[l.address] = true
		wantsCookie = wantsCookie || p.setsCookie
		next := *p.redirect
		if next.fragment == "" {
			next.fragment = l.fragment
		}
		switch {
		case next.invalid != "":
			return &page{address: next.address, problem: "redirect: " + next.invalid}, "", nil
		case seen[next.address] && wantsCookie:
			return c.arriveWithCookies(co, first)
		case seen[next.address]:
			return &page{address: next.address, problem: "redirect loop"}, "", nil
		}
		l = next
	}
	if wantsCookie {
		return c.arriveWithCookies(co, first)
	}
	return &page{address: l.address, problem: "too many redirects"}, "", nil
}

// arriveWithCookies is arrive for a link that leads round in a circle, in which there is a cookie to be had.
func (c *crawler) arriveWithCookies(co *tinyio.Co, l link) (*page, string, error) {
	p, err := c.pageWithCookies(l.address).Await(co)
	switch {
	case err != nil || p.redirect == nil:
		return p, l.fragment, err
	case !c.external && c.isExternal(p.redirect.address):
		return &page{address: p.redirect.address, unvisited: true}, "", nil
	}
	return &page{address: p.address, problem: "redirect loop"}, "", nil
}

// page returns the coroutine whose value is the page at an address. For one address it is always the same one, so the page
// is fetched once.
func (c *crawler) page(address string) *tinyio.Coro[*page] {
	return c.fetchOnce(c.pages, address, c.get)
}

// pageWithCookies is page for one that sends its visitors round in a circle until they have a cookie. If it has a redirect all the
// same, that leads out of the site, or on for ever.
func (c *crawler) pageWithCookies(address string) *tinyio.Coro[*page] {
	return c.fetchOnce(c.withCookies, address, c.visitWithCookies)
}

// A getter gets a page. It blocks, and stops when ctx is done.
type getter func(ctx context.Context, u *url.URL) (*page, error)

func (c *crawler) fetchOnce(pages map[string]*tinyio.Coro[*page], address string, get getter) *tinyio.Coro[*page] {
	p := pages[address]
	if p == nil {
		p = tinyio.New(func(co *tinyio.Co) (*page, error) {
			return c.fetch(co, address, get)
		}).Named(address)
		pages[address] = p
	}
	return p
}

// maxTries is how often a server is asked for a page that says that it is too busy now, and when it is not.
const maxTries = 3

// fetch fetches the page at address. That it cannot be had is a property of the page; the error is only that of being cancelled.
func (c *crawler) fetch(co *tinyio.Co, address string, get getter) (*page, error) {
	for try := 1; ; try++ {
		p, err := c.fetchInTurn(co, address, get)
		if err != nil || p.retryAfter == 0 || p.retryAfter > c.timeout || try == maxTries {
			return p, err
		}
		if err := co.Sleep(p.retryAfter); err != nil {
			return nil, err
		}
	}
}

// fetchInTurn is fetch once, when it is its turn.
func (c *crawler) fetchInTurn(co *tinyio.Co, address string, get getter) (*page, error) {
	// The time that is measured begins when there is a permit: on a large site the last pages would have timed out before their turn.
	if err := c.fetching.Acquire(co); err != nil {
		return nil, err
	}
	defer c.fetching.Release()
	got, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (*page, error) {
		p, err := tinyio.Call(co, func(ctx context.Context) (*page, error) {
			u, err := url.Parse(address)
			if err != nil {
				return nil, err
			}
			return get(ctx, u)
		})
		switch {
		case err == nil:
			return p, nil
		case co.Err() != nil:
			return nil, context.Cause(co) // whatever the request says of that
		}
		return &page{address: address, problem: explain(err)}, nil
	}), c.timeout)
	var late *tinyio.TimeoutError
	if errors.As(err, &late) {
		return &page{address: address, problem: fmt.Sprintf("no answer within %v", late.After)}, nil
	}
	return got, err
}

// isExternal reports whether address is out of the site.
func (c *crawler) isExternal(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme != "file" && !c.site.contains(u)
}
