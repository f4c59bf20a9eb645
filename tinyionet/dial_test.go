package tinyionet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A fakeNet is a network: how long each address takes to connect, and whether it does then. One that is not in it never answers.
type fakeNet struct {
	start   time.Time
	mu      sync.Mutex // of what follows
	log     []string   // what has begun and what was closed, and at which millisecond
	trying  int        // attempts that have not ended
	open    int        // connections
	hosts   map[string]answer
	ips     []string // of the name "host"
	failing error    // of looking it up
}

type answer struct {
	after time.Duration
	err   error
	deaf  bool // it knows no context
}

func (n *fakeNet) note(what, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.log = append(n.log, fmt.Sprintf("%d %s %s", time.Since(n.start).Milliseconds(), what, address))
}

func (n *fakeNet) count(what *int, by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	*what += by
}

func (n *fakeNet) connect(ctx context.Context, network, address string) (net.Conn, error) {
	n.note("dial", address)
	n.count(&n.trying, 1)
	defer n.count(&n.trying, -1)
	var answered <-chan time.Time
	a, ok := n.hosts[address]
	if ok {
		answered = time.After(a.after)
	}
	stopped := ctx.Done()
	if a.deaf {
		stopped = nil
	}
	select {
	case <-answered:
	case <-stopped:
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	}
	if a.err != nil {
		return nil, fmt.Errorf("%s: %w", address, a.err)
	}
	n.count(&n.open, 1)
	return &fakeConn{closed: func() error {
		n.count(&n.open, -1)
		n.note("close", address)
		return nil
	}}, nil
}

func (n *fakeNet) lookUp(ctx context.Context, host string) (ips []net.IPAddr, err error) {
	if n.failing != nil {
		return nil, n.failing
	}
	if n.ips == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, ip := range n.ips {
		ips = append(ips, net.IPAddr{IP: net.ParseIP(ip)})
	}
	return ips, nil
}

// inBubble runs a test in a bubble, whose time is virtual, with a network in which the name "host" has some addresses. In a bubble
// all goroutines wait when the time goes on.
func inBubble(t *testing.T, ips string, hosts map[string]answer, test func(t *testing.T, n *fakeNet, d *dialer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &fakeNet{start: time.Now(), hosts: hosts, ips: strings.Fields(ips)}
		if ips == "" {
			n.ips = nil
		}
		test(t, n, &dialer{connect: n.connect, lookUp: n.lookUp})
		want(t, "attempts that have not ended", n.trying, 0)
	})
}

const ms = time.Millisecond

// What the attempts do, and when, in milliseconds.
func TestHappyEyeballs(t *testing.T) {
	for _, test := range []struct {
		name  string
		ips   string
		hosts map[string]answer
		want  string
		err   string
	}{
		{
			"one address", "1::1",
			map[string]answer{"[1::1]:80": {}},
			"0 dial [1::1]:80", "",
		},
		{
			"the families take turns, 250 ms apart", "1::1 1::2 1::3 1.0.0.1 1.0.0.2",
			map[string]answer{"[1::3]:80": {after: 100 * ms}},
			"0 dial [1::1]:80, 250 dial 1.0.0.1:80, 500 dial [1::2]:80, 750 dial 1.0.0.2:80, 1000 dial [1::3]:80", "",
		},
		{
			"the family of the first address begins", "1.0.0.1 1::1",
			map[string]answer{"[1::1]:80": {}},
			"0 dial 1.0.0.1:80, 250 dial [1::1]:80", "",
		},
		{
			"the first is fast enough, and the second never begins", "1::1 1.0.0.1",
			map[string]answer{"[1::1]:80": {after: 249 * ms}},
			"0 dial [1::1]:80", "",
		},
		{
			"the first is slow, and wins all the same", "1::1 1.0.0.1",
			map[string]answer{"[1::1]:80": {after: 300 * ms}, "1.0.0.1:80": {after: 300 * ms}},
			"0 dial [1::1]:80, 250 dial 1.0.0.1:80", "",
		},
		{
			"the next begins at once when one has failed", "1::1 1.0.0.1 1::2",
			map[string]answer{"[1::1]:80": {after: 10 * ms, err: errBoom}, "1.0.0.1:80": {after: 5 * ms, err: errBoom}, "[1::2]:80": {}},
			"0 dial [1::1]:80, 10 dial 1.0.0.1:80, 15 dial [1::2]:80", "",
		},
		{
			"one that fails late begins nothing", "1::1 1.0.0.1 1::2",
			map[string]answer{"[1::1]:80": {after: 300 * ms, err: errBoom}, "[1::2]:80": {}},
			"0 dial [1::1]:80, 250 dial 1.0.0.1:80, 500 dial [1::2]:80", "",
		},
		{
			"all fail", "1::1 1.0.0.1",
			map[string]answer{"[1::1]:80": {err: errBoom}, "1.0.0.1:80": {err: errBoom}},
			"0 dial [1::1]:80, 0 dial 1.0.0.1:80", "[1::1]:80: boom\n1.0.0.1:80: boom",
		},
		{
			"one that cannot be stopped has connected too late, and is closed", "1::1 1.0.0.1",
			map[string]answer{"[1::1]:80": {after: time.Second, deaf: true}, "1.0.0.1:80": {after: ms}},
			"0 dial [1::1]:80, 250 dial 1.0.0.1:80, 1000 close [1::1]:80", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.ips, test.hosts, func(t *testing.T, n *fakeNet, d *dialer) {
				run(t, nil, func(co *tinyio.Co) error {
					conn, err := d.dial(co, "tcp", "host:80")
					switch {
					case test.err == "" && (conn == nil || err != nil || n.open != 1):
						t.Errorf("dial = %v, %v, and %d connections are open", conn, err, n.open)
					case test.err != "" && (conn != nil || err == nil || err.Error() != test.err || n.open != 0):
						t.Errorf("dial = %v, %v, and %d connections are open", conn, err, n.open)
					}
					return nil
				})
				want(t, "log", strings.Join(n.log, ", "), test.want)
			})
		})
	}
}

// The network says which family is wanted.
func TestFamilies(t *testing.T) {
	for network, log := range map[string]string{"tcp4": "0 dial 1.0.0.1:80, 0 dial 1.0.0.2:80", "tcp6": "0 dial [1::1]:80"} {
		failing := map[string]answer{"[1::1]:80": {err: errBoom}, "1.0.0.1:80": {err: errBoom}, "1.0.0.2:80": {err: errBoom}}
		inBubble(t, "1::1 1.0.0.1 1.0.0.2", failing, func(t *testing.T, n *fakeNet, d *dialer) {
			run(t, nil, func(co *tinyio.Co) error {
				if _, err := d.dial(co, network, "host:80"); !errors.Is(err, errBoom) {
					t.Errorf("dial = %v", err)
				}
				return nil
			})
			want(t, "log", strings.Join(n.log, ", "), log)
		})
	}
	inBubble(t, "1::1", nil, func(t *testing.T, n *fakeNet, d *dialer) {
		run(t, nil, func(co *tinyio.Co) error {
			var none *net.AddrError
			if _, err := d.dial(co, "tcp4", "host:80"); !errors.As(err, &none) {
				t.Errorf("dial = %v", err)
			}
			return nil
		})
	})
}

// What is no name of TCP is left to package net.
func TestAddressesThatAreNoNames(t *testing.T) {
	for _, address := range []string{"unix /socket", "tcp :80", "tcp nonsense", "udp host:53"} {
		network, address, _ := strings.Cut(address, " ")
		inBubble(t, "1::1", map[string]answer{address: {}}, func(t *testing.T, n *fakeNet, d *dialer) {
			run(t, nil, func(co *tinyio.Co) error {
				_, err := d.dial(co, network, address)
				return err
			})
			want(t, "log", strings.Join(n.log, ", "), "0 dial "+address)
		})
	}
}

// A name that cannot be looked up is an error as net.Dial has it.
func TestLookUpFails(t *testing.T) {
	inBubble(t, "", nil, func(t *testing.T, n *fakeNet, d *dialer) {
		n.failing = &net.DNSError{Err: "no such host", Name: "host", IsNotFound: true}
		run(t, nil, func(co *tinyio.Co) error {
			_, err := d.dial(co, "tcp", "host:80")
			var op *net.OpError
			if !errors.As(err, &op) || !errors.Is(err, n.failing) || err.Error() != "dial tcp: lookup host: no such host" {
				t.Errorf("dial = %v", err)
			}
			return nil
		})
	})
}

// To stop who dials stops the look-up or all attempts, cleanly, and no connection is left.
func TestDialIsStopped(t *testing.T) {
	for name, test := range map[string]struct {
		ips   string
		hosts map[string]answer
		want  string
	}{
		"in the look-up":           {"", nil, ""},
		"in the attempts":          {"1::1 1.0.0.1", nil, "0 dial [1::1]:80, 250 dial 1.0.0.1:80"},
		"while one is connecting":  {"1::1 1.0.0.1", map[string]answer{"[1::1]:80": {after: time.Second, deaf: true}}, "0 dial [1::1]:80, 250 dial 1.0.0.1:80, 1000 close [1::1]:80"},
		"while one alone connects": {"1::1", map[string]answer{"[1::1]:80": {after: time.Second, deaf: true}}, "0 dial [1::1]:80, 1000 close [1::1]:80"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.ips, test.hosts, func(t *testing.T, n *fakeNet, d *dialer) {
				run(t, nil, func(co *tinyio.Co) error {
					var inside error
					_, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (conn net.Conn, err error) {
						conn, inside = d.dial(co, "tcp", "host:80")
						if conn != nil {
							t.Error("there is a connection")
						}
						return conn, inside
					}), 300*ms)
					var late *tinyio.TimeoutError
					if !errors.As(err, &late) || late.Cleanup != nil || inside != error(late) {
						t.Errorf("Timeout = %v, and inside it is %v", err, inside)
					}
					want(t, "open", n.open, 0)
					return nil
				})
				want(t, "log", strings.Join(n.log, ", "), test.want)
			})
		})
	}
}

// The addresses of each family stay in order.
func TestInterleave(t *testing.T) {
	for _, test := range []struct {
		ips    string
		family int
		want   string
	}{
		{"", 0, ""},
		{"1::1 1::2", 0, "1::1 1::2"},
		{"1::1 1::2 1.0.0.1", 0, "1::1 1.0.0.1 1::2"},
		{"1.0.0.1 1::1 1.0.0.2 1.0.0.3 1::2", 0, "1.0.0.1 1::1 1.0.0.2 1::2 1.0.0.3"},
		{"1.0.0.1 1::1 1.0.0.2", 6, "1::1"},
		{"1::1 1.0.0.1 ::ffff:1.0.0.2", 4, "1.0.0.1 1.0.0.2"},
	} {
		var ips []net.IPAddr
		for ip := range strings.FieldsSeq(test.ips) {
			ips = append(ips, net.IPAddr{IP: net.ParseIP(ip)})
		}
		var got []string
		for _, ip := range interleave(ips, test.family) {
			got = append(got, ip.String())
		}
		want(t, test.ips, strings.Join(got, " "), test.want)
	}
}

// On a real network: one who answers, by number and by name, and one who does not.
func TestDial(t *testing.T) {
	noLeaks(t)
	l := listen(t)
	run(t, nil, func(co *tinyio.Co) error {
		server := tinyio.Do(func(co *tinyio.Co) error { return Serve(co, l, echo) })
		if err := co.Spawn(server); err != nil {
			return err
		}
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return err
		}
		for _, host := range []string{"127.0.0.1", "localhost"} {
			conn, err := Dial(co, "tcp", net.JoinHostPort(host, port))
			if err != nil {
				return err
			}
			if _, err := conn.Write(co, []byte("hello")); err != nil {
				return err
			}
			p := make([]byte, 5)
			if _, err := io.ReadFull(conn.With(co), p); err != nil {
				return err
			}
			want(t, "answer", string(p), "hello")
			if err := conn.Close(); err != nil {
				return err
			}
		}
		if err := server.Cancel(co, errBoom); err != nil {
			return err
		}
		if conn, err := Dial(co, "tcp", l.Addr().String()); conn != nil || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial = %v, %v, want that it is refused", conn, err)
		}
		return nil
	})
}
