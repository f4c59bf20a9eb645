package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A kind of load.
type kind struct {
	name   string
	writes float64 // the part of the requests that are writes
	disk   bool    // writes go to a file
}

var kinds = []kind{
	{"reads", 0, true},
	{"writes", 1, true},
	{"one write in ten", 0.1, true},
	{"writes, kept in memory only", 1, false},
}

// A result is how long requests have taken.
type result struct {
	times  []time.Duration
	sorted bool
	rates  []float64 // how many there were a second, in each round
}

// rate is how many requests there were a second, in the median of the rounds.
func (r *result) rate() float64 { return median(r.rates) }

// beside is how many times as many there were as of another result, in the median of the rounds: those of a round were measured one after the
// other, and the machine may have had more or less to do besides in another one.
func (r *result) beside(o *result) float64 {
	ratios := make([]float64, len(r.rates))
	for i := range ratios {
		ratios[i] = r.rates[i] / o.rates[i]
	}
	return median(ratios)
}

func median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	n := len(xs)
	return (xs[(n-1)/2] + xs[n/2]) / 2
}

// quantile is the time within which that part of the requests was answered.
func (r *result) quantile(q float64) time.Duration {
	if !r.sorted {
		slices.Sort(r.times)
		r.sorted = true
	}
	return r.times[min(int(q*float64(len(r.times))), len(r.times)-1)].Round(time.Microsecond)
}

// measure adds a round to r, with a new server.
func (r *result) measure(ctx context.Context, name string, k kind, o options) (err error) {
	data := ""
	if k.disk {
		dir, err := os.MkdirTemp("", "kv-load")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		data = filepath.Join(dir, "kv.db")
	}
	p, err := launch(ctx, name, data)
	if err != nil {
		return err
	}
	defer func() {
		if e := p.end(); err == nil {
			err = e
		}
	}()
	conns := make([]*connection, o.connections)
	for i := range conns {
		if conns[i], err = dial(p.addr); err != nil {
			return err
		}
		defer conns[i].Close()
	}
	if err := each(conns, func(i int, c *connection) error { // every key once
		for key := i; key < o.keys; key += len(conns) {
			if err := c.put(key); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	times := make([][]time.Duration, len(conns))
	start := time.Now()
	err = each(conns, func(i int, c *connection) (err error) {
		times[i], err = c.keepAsking(ctx, k, o.keys, start.Add(o.duration))
		return err
	})
	all := slices.Concat(times...)
	r.rates = append(r.rates, float64(len(all))/time.Since(start).Seconds())
	r.times = append(r.times, all...)
	return err
}

// each calls f for all of conns at once and returns an error of one.
func each(conns []*connection, f func(i int, c *connection) error) error {
	errs := make(chan error, len(conns))
	var group sync.WaitGroup
	for i, c := range conns {
		group.Go(func() {
			if err := f(i, c); err != nil {
				errs <- err
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}

// A connection is a client that knows of HTTP as much as it needs to, so that the processors are busy with the server.
type connection struct {
	net.Conn
	answers *bufio.Reader
}

func dial(addr string) (*connection, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReader(conn)}, nil
}

// keepAsking makes requests until a deadline and returns how long each has taken.
func (c *connection) keepAsking(ctx context.Context, k kind, keys int, until time.Time) (times []time.Duration, err error) {
	for now := time.Now(); now.Before(until) && ctx.Err() == nil; {
		if key := rand.IntN(keys); rand.Float64() < k.writes {
			err = c.put(key)
		} else {
			err = c.ask(fmt.Sprintf("GET /kv/%d HTTP/1.1\r\nHost: kv\r\n\r\n", key))
		}
		if err != nil {
			return times, err
		}
		then := now
		now = time.Now()
		times = append(times, now.Sub(then))
	}
	return times, ctx.Err()
}

// value is what all keys have, of 100 bytes.
var value = strings.Repeat("v", 100)

func (c *connection) put(key int) error {
	return c.ask(fmt.Sprintf("PUT /kv/%d HTTP/1.1\r\nHost: kv\r\nContent-Length: %d\r\n\r\n%s", key, len(value), value))
}

// ask makes a request that must succeed.
func (c *connection) ask(request string) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the answer is %s", res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
