package tinyionet

import (
	"context"
	"net"
	"time"

	"github.com/tinyio-go/tinyio"
)

// attemptDelay is how long an attempt to connect has before the next one begins beside it: what RFC 8305 recommends.
const attemptDelay = 250 * time.Millisecond

// Dial connects to an address, as [net.Dial] does. If that is a name with several addresses, they are tried as RFC 8305 (Happy Eyeballs) has it:
// the two families take turns, the next attempt begins 250 milliseconds after the last one, or at once if that has failed, and the first
// connection counts. The other attempts are stopped, and what they may have opened is closed.
//
// If none succeeds, the error joins those of all addresses. If the coroutine is stopped meanwhile, it is its own, and there is no connection. To limit
// the time, use a [tinyio.Timeout].
func Dial(co *tinyio.Co, network, address string) (*Conn, error) {
	d := dialer{connect: new(net.Dialer).DialContext, lookUp: net.DefaultResolver.LookupIPAddr}
	conn, err := d.dial(co, network, address)
	if err != nil {
		return nil, err
	}
	return NewConn(conn), nil
}

// A dialer is one call of Dial. Its functions block.
type dialer struct {
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	lookUp  func(ctx context.Context, host string) ([]net.IPAddr, error)
	opened  []net.Conn
}

func (d *dialer) dial(co *tinyio.Co, network, address string) (net.Conn, error) {
	addresses, err := d.resolve(co, network, address)
	if err != nil {
		return nil, err
	}
	attempts := make([]*tinyio.Coro[net.Conn], len(addresses))
	var before *attempt
	for i, address := range addresses {
		a := &attempt{d: d, network: network, address: address, before: before}
		attempts[i] = tinyio.New(a.make).Named("dial " + address)
		before = a
	}
	conn, err := tinyio.First(co, attempts...)
	for _, o := range d.opened { // all attempts have ended
		if err != nil || o != conn {
			o.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// An attempt is one to connect to one address.
type attempt struct {
	d                *dialer
	network, address string
	before           *attempt     // the one whose turn is before; nil for the first
	begun, failed    tinyio.Event // it has
}

func (a *attempt) make(co *tinyio.Co) (net.Conn, error) {
	if b := a.before; b != nil {
		if err := b.begun.Wait(co); err != nil {
			return nil, err
		}
		if _, err := b.failed.WaitFor(co, attemptDelay); err != nil {
			return nil, err
		}
	}
	a.begun.Set()
	conn, err := tinyio.Call(co, func(ctx context.Context) (net.Conn, error) {
		return a.d.connect(ctx, a.network, a.address)
	})
	if err != nil {
		a.failed.Set()
		return nil, stopOf(co, err)
	}
	a.d.opened = append(a.d.opened, conn)
	return conn, nil
}

// resolve returns the addresses to try for one address, in order.
func (d *dialer) resolve(co *tinyio.Co, network, address string) ([]string, error) {
	host, port, err := net.SplitHostPort(address)
	family := 0
	switch network {
	case "tcp":
	case "tcp4":
		family = 4
	case "tcp6":
		family = 6
	default:
		return []string{address}, nil // for others there is nothing to wait for: the first address is as good as any
	}
	if err != nil || host == "" {
		return []string{address}, nil // what that is, package net knows
	}
	ips, err := tinyio.Call(co, func(ctx context.Context) ([]net.IPAddr, error) { return d.lookUp(ctx, host) })
	if err != nil {
		return nil, stopOf(co, &net.OpError{Op: "dial", Net: network, Err: err})
	}
	ips = interleave(ips, family)
	if len(ips) == 0 {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.AddrError{Err: "no suitable address found", Addr: host}}
	}
	addresses := make([]string, len(ips))
	for i, ip := range ips {
		addresses[i] = net.JoinHostPort(ip.String(), port)
	}
	return addresses, nil
}

// interleave returns the addresses so that those of the two families take turns, as long as there are some of both. Of each family they stay in
// order, which is that of preference; the family of the first one begins. If only one family is wanted, it returns those.
func interleave(ips []net.IPAddr, family int) []net.IPAddr {
	var own, other []net.IPAddr
	for _, ip := range ips {
		switch is := familyOf(ip); {
		case family != 0 && is != family:
		case len(own) == 0 || is == familyOf(own[0]):
			own = append(own, ip)
		default:
			other = append(other, ip)
		}
	}
	all := make([]net.IPAddr, 0, len(own)+len(other))
	for i := range max(len(own), len(other)) {
		if i < len(own) {
			all = append(all, own[i])
		}
		if i < len(other) {
			all = append(all, other[i])
		}
	}
	return all
}

func familyOf(ip net.IPAddr) int {
	if ip.IP.To4() != nil {
		return 4
	}
	return 6
}
