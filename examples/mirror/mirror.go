package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"github.com/tinyio-go/tinyio"
)

// maxRedirects is how often a page may be sent on, as in browsers and net/http.
const maxRedirects = 10

// A mirror copies a site. Its fields are shared by all of its coroutines, which run one at a time.
type mirror struct {
	start     *url.URL
	transport http.RoundTripper // and no http.Client: where a redirect leads is a page like any other, fetched once
	files     *store
	tries     int                    // how often a page is asked for at most
	timeout   time.Duration          // of a request
	policy    func() backoff.BackOff // of the pauses between requests for one page
	slots     *tinyio.Semaphore      // of which each request takes one
	limiter   *rate.Limiter          // of requests

	pages    map[string]*tinyio.Coro[tinyio.Void] // by address
	done     int                                  // how many of them have been fetched, or failed
	saved    int                                  // files
	bytes    int64                                // in them
	failures []failure
}

// A failure is a page that could not be had.
type failure struct {
	address string
	err     error
}

// run copies all that can be reached from the start. When it returns, with an error or without, all that it started has
// stopped, and the fields of m say what was done.
func (m *mirror) run(ctx context.Context, p progress) error {
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		if p.every > 0 {
			if err := co.SpawnDaemon(p.tell(m)); err != nil {
				return err
			}
		}
		return co.Spawn(m.page(m.start, 0))
	}).Named("mirror"))
	return err
}

// page returns the coroutine that fetches the page at u and starts those that it links to. For one address it is always the
// same one, so the page is fetched once. It has been reached by a number of redirects.
//
// A page waits for the one to which it redirects, and for no other. So if redirects lead in a circle, coroutines would wait
// in one, and the loop says so at once.
func (m *mirror) page(u *url.URL, redirects int) *tinyio.Coro[tinyio.Void] {
	address := u.String()
	if p := m.pages[address]; p != nil {
		return p
	}
	p := tinyio.Do(func(co *tinyio.Co) error {
		got, err := m.fetch(co, u)
		if err == nil || co.Err() == nil {
			m.done++
		}
		if err == nil {
			err = m.follow(co, got, redirects)
		}
		switch {
		case co.Err() != nil:
			return co.Err() // all is being stopped, and what went wrong because of that is no news
		case errors.Is(err, errDisk):
			return err // there is no use in going on
		case err != nil:
			m.failures = append(m.failures, failure{address, err})
		}
		return nil
	}).Named(address)
	m.pages[address] = p
	return p
}

// follow starts what a page links to, or waits for the page that it redirects to.
func (m *mirror) follow(co *tinyio.Co, from *page, redirects int) error {
	to := from.redirect
	switch {
	case to == nil:
		for _, u := range from.links {
			if m.contains(u) {
				if err := co.Spawn(m.page(u, 0)); err != nil {
					return err
				}
			}
		}
		return nil
	case !m.contains(to):
		return nil // as a link that leads out of the site
	case redirects == maxRedirects:
		return errors.New("too many redirects")
	}
	_, err := m.page(to, redirects+1).Await(co)
	var cycle *tinyio.CycleError
	if errors.As(err, &cycle) {
		return fmt.Errorf("redirects in a circle: %s", strings.Join(cycle.Path, ", "))
	}
	return err
}

// contains reports whether u is of the site: on the same server, and in the directory of the start or below.
func (m *mirror) contains(u *url.URL) bool {
	directory := m.start.EscapedPath()
	directory = directory[:strings.LastIndexByte(directory, '/')+1]
	return u.Scheme == m.start.Scheme && u.Host == m.start.Host && strings.HasPrefix(u.EscapedPath(), directory)
}

// fetch fetches the page at u, asking for it again if that may help.
func (m *mirror) fetch(co *tinyio.Co, u *url.URL) (*page, error) {
	return retry(co, m.tries, m.policy(), func() (*page, error) {
		// The page has no slot while it waits to be asked for again.
		if err := m.slots.Acquire(co); err != nil {
			return nil, err
		}
		defer m.slots.Release()
		// Limiter.Wait would block the loop. A reservation tells how long to wait, by the clock of the loop.
		if err := co.Sleep(m.limiter.ReserveN(co.Now(), 1).DelayFrom(co.Now())); err != nil {
			return nil, err
		}
		return m.get(co, u)
	})
}

// maxAsked is for how long a server may ask not to be bothered before it is given up.
const maxAsked = 2 * time.Minute

// retry calls attempt until it succeeds, at most so many times. Between two calls it sleeps for as long as the policy says, or
// as the server has asked for, if that is longer. An error that is [backoff.Permanent] is the last one.
func retry[T any](co *tinyio.Co, tries int, policy backoff.BackOff, attempt func() (T, error)) (T, error) {
	policy.Reset()
	for n := 1; ; n++ {
		v, err := attempt()
		var permanent *backoff.PermanentError
		switch {
		case err == nil || co.Err() != nil:
			return v, err
		case errors.As(err, &permanent):
			return v, permanent.Err
		case n == tries:
			return v, fmt.Errorf("%w (at the last of %d tries)", err, n)
		}
		pause := policy.NextBackOff()
		var asked *backoff.RetryAfterError
		if errors.As(err, &asked) {
			pause = max(pause, asked.Duration)
		}
		if pause == backoff.Stop || pause > maxAsked {
			return v, err
		}
		if err := co.Sleep(pause); err != nil {
			return v, err
		}
	}
}

// tally says how far the mirror is.
func (m *mirror) tally() string {
	return fmt.Sprintf("%d files saved, %d bytes; %d pages failed, %d left", m.saved, m.bytes, len(m.failures), len(m.pages)-m.done)
}

// A progress tells somebody from time to time how far a mirror is.
type progress struct {
	w     io.Writer
	every time.Duration
}

// tell returns the coroutine that does so. It never ends, so it is to be a daemon.
func (p progress) tell(m *mirror) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		for _, err := range tinyio.Every(co, p.every) {
			if err != nil {
				return err
			}
			fmt.Fprintln(p.w, m.tally())
		}
		return nil
	}).Named("progress")
}
