// Package linearizability tests that the key-value server does what it promises while it is killed again and again. What its clients
// were told is checked by Porcupine, and what one is told who watches by itself.
package linearizability

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

var (
	duration = flag.Duration("duration", 8*time.Second, "how `long` each server is under load")
	seed     = flag.Uint64("seed", 0, "what is asked for, and when the server is killed, follows from this `number`; 0 is another one each time")
)

// What is asked for.
const (
	clients     = 8
	keys        = 6  // at a time
	generations = 4  // of the server, in which the same keys are used
	padding     = 40 // what values have at most of it, in pieces of 100 bytes
)

// A trial is a server under load, and what is known of it.
type trial struct {
	command func(data string) *exec.Cmd
	data    string
	seed    uint64
	start   time.Time
	killed  int // how often

	mu      sync.Mutex
	history []porcupine.Operation
	told    []change // to the watcher
}

func newTrial(t *testing.T, command func(data string) *exec.Cmd) *trial {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("to ask for the same things again: -seed %d", s)
	return &trial{command: command, data: filepath.Join(t.TempDir(), "kv.db"), seed: s, start: time.Now()}
}

// now is a time as histories have it.
func (x *trial) now() int64 { return int64(time.Since(x.start)) }

// add takes down what a client has asked for and was told.
func (x *trial) add(o porcupine.Operation) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.history = append(x.history, o)
}

// generation starts the server, puts load on it, and ends it: as kill -9 does, or sometimes as one should.
func (x *trial) generation(n int) error {
	random := rand.New(rand.NewPCG(x.seed, uint64(n)))
	if random.IntN(4) == 0 { // while it starts, or just afterwards
		c := x.command(x.data)
		if err := c.Start(); err != nil {
			return err
		}
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
		c.Process.Kill()
		c.Wait()
		x.killed++
	}
	p, err := launch(x.command(x.data))
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	unknown := make([][]porcupine.Operation, clients)
	failures := make([]error, clients)
	for c := range clients {
		load := &client{trial: x, random: rand.New(rand.NewPCG(random.Uint64(), 0)), id: c, generation: n, url: p.url}
		all.Go(func() { unknown[c], failures[c] = load.run() })
	}
	var watched error
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	all.Go(func() { watched = x.watch(ctx, p.url, math.MaxUint64) })

	time.Sleep(time.Duration(20+random.IntN(500)) * time.Millisecond) // nobody waits for this: it is when the end comes
	var ended error
	if random.IntN(4) == 0 {
		ended = p.terminate()
	} else {
		p.kill()
		x.killed++
	}
	gone := x.now()
	all.Wait()
	for _, operations := range unknown {
		for _, o := range operations { // what has not been made by now never will be
			if o.Call > gone { // nobody has heard of the request
				continue
			}
			r := o.Output.(response)
			r.later = gone
			o.Output, o.Return = r, gone
			x.add(o)
		}
	}
	return errors.Join(append(failures, watched, ended)...)
}

// A client asks for one thing after another.
type client struct {
	*trial
	random     *rand.Rand
	id         int
	generation int
	url        string
	made       int               // requests
	versions   map[string]uint64 // which it knows of
}

// run asks for things until the server is gone. It returns the requests whose results are not known, and an error if an answer makes no
// sense.
func (c *client) run() (unknown []porcupine.Operation, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	h := &http.Client{Transport: transport}
	c.versions = make(map[string]uint64)
	for {
		q := c.choose()
		q.earlier = c.now()
		r, err := send(h, c.url, q)
		r.later = c.now()
		o := porcupine.Operation{ClientId: c.id, Call: q.earlier, Input: q, Return: r.later, Output: r}
		var dialing *net.OpError
		switch {
		case errors.As(err, &dialing) && dialing.Op == "dial":
			return unknown, nil // nobody has heard of the request
		case errors.Is(err, errAnswer):
			return unknown, fmt.Errorf("%+v: %w", q, err)
		case err != nil:
			if q.method != http.MethodGet {
				unknown = append(unknown, o)
			}
			return unknown, nil
		case r.status == 0:
			if q.method != http.MethodGet {
				unknown = append(unknown, o)
			}
		default:
			c.add(o)
			if r.version != 0 {
				c.versions[q.key] = r.version
			}
		}
	}
}

// choose returns what is asked for next.
func (c *client) choose() request {
	c.made++
	q := request{method: http.MethodPut, key: fmt.Sprintf("%d/%d", c.generation/generations, c.random.IntN(keys))}
	switch n := c.random.IntN(20); {
	case n < 8:
		q.method = http.MethodGet
		return q
	case n < 11:
		q.method = http.MethodDelete
	}
	switch c.random.IntN(4) {
	case 0:
		q.match = c.versions[q.key]
	case 1:
		q.absent = true
	}
	if q.method == http.MethodPut {
		q.value = fmt.Sprintf("%d.%d.%d ", c.generation, c.id, c.made) + strings.Repeat(strings.Repeat("x", 100), c.random.IntN(padding))
		if c.random.IntN(6) == 0 {
			q.ttl = time.Duration(1+c.random.IntN(200)) * time.Millisecond
		}
	}
	return q
}

// errAnswer is the error of an answer that makes no sense.
var errAnswer = errors.New("the answer makes no sense")

// send makes a request. A server that stops says so, and not what becomes of the request.
func send(h *http.Client, url string, q request) (response, error) {
	address := url + "/kv/" + q.key
	if q.ttl > 0 {
		address += "?ttl=" + q.ttl.String()
	}
	req, err := http.NewRequest(q.method, address, strings.NewReader(q.value))
	if err != nil {
		return response{}, err
	}
	if q.match != 0 {
		req.Header.Set("If-Match", strconv.Quote(fmt.Sprint(q.match)))
	}
	if q.absent {
		req.Header.Set("If-None-Match", "*")
	}
	res, err := h.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return response{}, err
	}
	r := response{status: res.StatusCode}
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		tag, err := strconv.Unquote(res.Header.Get("ETag"))
		if err == nil {
			r.version, err = strconv.ParseUint(tag, 10, 64)
		}
		if err != nil {
			return r, fmt.Errorf("%w: %v, ETag %s", errAnswer, res.Status, res.Header.Get("ETag"))
		}
		r.value = string(body)
	case http.StatusNotFound, http.StatusPreconditionFailed:
	case http.StatusServiceUnavailable:
		r.status = 0
	default:
		return r, fmt.Errorf("%w: %v: %s", errAnswer, res.Status, body)
	}
	return r, nil
}

// finish starts the server a last time, writes something, and has the watcher told of everything before that.
func (x *trial) finish() error {
	p, err := launch(x.command(x.data))
	if err != nil {
		return err
	}
	q := request{method: http.MethodPut, key: "end", value: "end", earlier: x.now()}
	transport := &http.Transport{}
	r, err := send(&http.Client{Transport: transport}, p.url, q)
	transport.CloseIdleConnections()
	r.later = x.now()
	x.add(porcupine.Operation{Call: q.earlier, Input: q, Return: r.later, Output: r})
	if err == nil {
		err = x.watch(context.Background(), p.url, r.version)
	}
	if err == nil && uint64(len(x.told)) != r.version {
		err = fmt.Errorf("of %d changes the watcher was told of %d", r.version, len(x.told))
	}
	return errors.Join(err, p.terminate())
}

// check puts load on a server for some time, and returns an error if it breaks one of its promises.
func (x *trial) check(d time.Duration) error {
	n := 0
	for ; time.Since(x.start) < d || x.killed == 0; n++ {
		if err := x.generation(n); err != nil {
			return err
		}
	}
	if err := x.finish(); err != nil {
		return err
	}
	if r := linearizable(x.history); r != porcupine.Ok {
		return fmt.Errorf("%w: %v", errHistory, r)
	}
	return compare(x.history, x.told)
}

// errHistory is the error of a history that no server can have that keeps its promises.
var errHistory = errors.New("the history is not linearizable")

// The servers keep their promises however they are ended.
func TestHistoriesAreLinearizable(t *testing.T) {
	for _, s := range []struct {
		name    string
		command func(data string) *exec.Cmd
	}{
		{"tinyio", program(t)},
		{"mutex", other("mutex")},
	} {
		t.Run(s.name, func(t *testing.T) {
			x := newTrial(t, s.command)
			err := x.check(*duration)
			unknown := 0
			for _, o := range x.history {
				if o.Output.(response).status == 0 {
					unknown++
				}
			}
			t.Logf("%d requests, of %d of which the result is not known; killed %d times; the watcher was told of %d changes",
				len(x.history), unknown, x.killed, len(x.told))
			if err != nil {
				t.Error(err)
				x.picture(t)
			}
		})
	}
}

// Servers that break their promises are found out.
func TestBrokenServersAreRefused(t *testing.T) {
	for _, name := range []string{"hasty", "forgetful"} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t, other(name))
			for n := range 20 {
				x.generation(n) // the watcher may find it out too
				if linearizable(x.history) == porcupine.Illegal {
					return
				}
			}
			t.Error("the history is linearizable")
		})
	}
}

// picture writes a picture of the history, to look at in a browser.
func (x *trial) picture(t *testing.T) {
	f, err := os.CreateTemp("", "history*.html")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, info := porcupine.CheckOperationsVerbose(model, x.history, time.Minute)
	if err := porcupine.Visualize(model, info, f); err != nil {
		t.Error(err)
	}
	t.Logf("the history is in %s", f.Name())
}
