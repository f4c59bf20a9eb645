package main

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tinyio-go/tinyio"
)

// maxRedirects is how often a link may be sent on, as in browsers and net/http.
const maxRedirects = 10

// A crawler checks the links of a site. Its fields are shared by all coroutines of the crawl.
type crawler struct {
	site     *site
	client   *http.Client
	threads  *tinyio.ThreadPool // in which pages are fetched
	timeout  time.Duration      // of a fetch
	external bool               // check links out of the site too
	maxBody  int64              // of a page, in bytes

	pages    map[string]*tinyio.Coro[*page] // by address
	followed map[string]bool                // the addresses of the pages whose links are being checked
	report   report
}

func newCrawler(s *site, n int, timeout time.Duration, external bool, progress func(done, found int)) *crawler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = n
	return &crawler{
		site: s,
		client: &http.Client{
			Transport: transport,
			// Where a redirect leads is a page like any other: fetched once, whether links lead there directly or not.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		threads:  tinyio.NewThreadPool(n),
		timeout:  timeout,
		external: external,
		maxBody:  10 << 20,
		pages:    make(map[string]*tinyio.Coro[*page]),
		followed: make(map[string]bool),
		report:   report{broken: make(map[string]*broken), progress: progress},
	}
}

// crawl checks every link that can be reached from where the site starts. When it returns, with an error or without, all
// that it started has stopped, and the report says what was found.
func (c *crawler) crawl(ctx context.Context, opts ...tinyio.Option) error {
	defer c.client.CloseIdleConnections()
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		return c.checkAll(co, c.site.start)
	}).Named("crawl"), opts...)
	return err
}

// checkAll spawns a check of each of links.
func (c *crawler) checkAll(co *tinyio.Co, links []link) error {
	c.report.expect(len(links))
	checks := make([]tinyio.Awaitable, len(links))
	for i, l := range links {
		checks[i] = c.check(l)
	}
	return co.Spawn(checks...)
}

// check returns the coroutine that checks l and then has the links checked of the page to which it leads.
//
// It waits for that page and for no other check: pages link to each other in cycles, and checks that waited for each other
// would do so for ever.
func (c *crawler) check(l link) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		target, fragment, err := c.arrive(co, l)
		if err != nil {
			return err
		}
		c.report.add(l, target.problemWith(fragment), target.unvisited)
		if target.html && !c.followed[target.address] {
			c.followed[target.address] = true
			c.report.pages++
			if err := c.checkAll(co, target.links); err != nil {
				return err
			}
		}
		c.report.tick()
		return nil
	}).Named("link to " + l.target())
}

// arrive goes where l leads, by way of any redirects. It returns the page there and the fragment in it.
func (c *crawler) arrive(co *tinyio.Co, l link) (*page, string, error) {
	if l.invalid != "" {
		return &page{address: l.address, problem: l.invalid}, "", nil
	}
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
		next := *p.redirect
		switch {
		case next.invalid != "":
			return &page{address: next.address, problem: "redirect: " + next.invalid}, "", nil
		case seen[next.address]:
			return &page{address: next.address, problem: "redirect loop"}, "", nil
		case next.fragment == "":
			next.fragment = l.fragment
		}
		l = next
	}
	return &page{address: l.address, problem: "too many redirects"}, "", nil
}

// page returns the coroutine whose value is the page at an address. For one address it is always the same one, so the page
// is fetched once.
func (c *crawler) page(address string) *tinyio.Coro[*page] {
	p := c.pages[address]
	if p == nil {
		p = tinyio.New(func(co *tinyio.Co) (*page, error) {
			return c.fetch(co, address)
		}).Named(address)
		c.pages[address] = p
	}
	return p
}

// fetch fetches the page at address, in a thread of the pool, when one is free. That it cannot be had is a property of the
// page; the error is only that of being cancelled.
func (c *crawler) fetch(co *tinyio.Co, address string) (*page, error) {
	// RunInPool would be shorter, but then the wait for a thread would be part of what Timeout measures, and on a large
	// site the last pages would have timed out before their turn.
	if err := c.threads.Acquire(co); err != nil {
		return nil, err
	}
	defer c.threads.Release()
	got, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (*page, error) {
		return tinyio.Timeout(co, tinyio.RunInThread(func(ctx context.Context) (*page, error) {
			return c.get(ctx, address)
		}), c.timeout)
	}))
	switch {
	case err == nil:
		return got, nil
	case co.Err() != nil:
		return nil, err
	}
	return &page{address: address, problem: explain(err)}, nil
}

// isExternal reports whether address is out of the site.
func (c *crawler) isExternal(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme != "file" && !c.site.contains(u)
}
