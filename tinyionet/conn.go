package tinyionet

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A Conn is a connection for coroutines. Others have their turns while one reads from it or writes to it. When that one is stopped, the
// read or the write ends at once, and the connection is as good as before: a [tinyio.Co.Shield] can still read from it and say goodbye.
//
// Several coroutines may use a Conn. One at a time reads, and one at a time writes; the others wait for their turn, in the order in which they
// came. So what is written in one call stays together.
//
// Close and the methods that set deadlines may be called from any goroutine. All others are for the coroutines of one loop.
//
// A call is stopped by a deadline in the past. A connection that refuses to take one is closed instead. One of package crypto/tls
// takes a deadline, but a write that was ended by it is the last one: see [crypto/tls.Conn.SetWriteDeadline].
type Conn struct {
	conn        net.Conn
	read, write direction
}

// NewConn returns a Conn for c, whose deadlines belong to the Conn from now on: set them there.
func NewConn(c net.Conn) *Conn {
	if c == nil {
		panic("tinyionet: NewConn: the connection is nil; pass one that is open")
	}
	return &Conn{
		conn:  c,
		read:  direction{set: c.SetReadDeadline, giveUp: c.Close},
		write: direction{set: c.SetWriteDeadline, giveUp: c.Close},
	}
}

// Read reads up to len(p) bytes into p, as [net.Conn] does. If the coroutine is stopped meanwhile, and nothing has come, the error is its own,
// and p is left as it is. What has come in the same moment is returned without an error, and the next wait tells of the stop.
func (c *Conn) Read(co *tinyio.Co, p []byte) (n int, err error) {
	err = c.read.call(co, func() (err error) {
		n, err = c.conn.Read(p)
		return err
	})
	return n, err
}

// Write writes p, as [net.Conn] does. If the coroutine is stopped before all of p has been taken, n is how much was, and the error is its own.
func (c *Conn) Write(co *tinyio.Co, p []byte) (n int, err error) {
	err = c.write.call(co, func() (err error) {
		n, err = c.conn.Write(p)
		return err
	})
	return n, err
}

// ReadFunc calls fn, which reads from c.NetConn() as often as it likes and in any way, such as through a [bufio.Reader] that was made of that.
// The calls share one goroutine, so this costs less than a Read for each. It returns what fn does; except that an error of fn that tells of a
// timeout is the coroutine's own if that was stopped meanwhile. Only reads are interrupted.
func (c *Conn) ReadFunc(co *tinyio.Co, fn func() error) error { return c.read.call(co, fn) }

// WriteFunc is [Conn.ReadFunc] for a function that writes. Only writes are interrupted.
func (c *Conn) WriteFunc(co *tinyio.Co, fn func() error) error { return c.write.call(co, fn) }

// NetConn returns the connection that c was made of. Its methods block the loop, unless they are called in [Conn.ReadFunc] or
// [Conn.WriteFunc].
func (c *Conn) NetConn() net.Conn { return c.conn }

// With returns c as a [net.Conn] for whatever reads and writes by itself, such as a [bufio.Reader] or [io.Copy]. It is for the function that co
// was given to, as co is: its Read and Write are those of c, with co.
func (c *Conn) With(co *tinyio.Co) net.Conn { return &bound{Conn: c, co: co} }

// Close closes the connection. Reads and writes that are under way end with [net.ErrClosed], or a like error.
func (c *Conn) Close() error { return c.conn.Close() }

// LocalAddr returns the address of this end, if it is known.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the address of the other end, if it is known.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline sets both deadlines, as [net.Conn] has them: in real time, and whatever the loop's clock says. To limit one call, a
// [tinyio.Timeout] is as good, and tells where the time has gone.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.read.setDeadline(t), c.write.setDeadline(t))
}

// SetReadDeadline sets the deadline of reads.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.read.setDeadline(t) }

// SetWriteDeadline sets the deadline of writes.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.write.setDeadline(t) }

// A bound is a Conn in the hands of one coroutine.
type bound struct {
	*Conn
	co *tinyio.Co
}

func (b *bound) Read(p []byte) (int, error)  { return b.Conn.Read(b.co, p) }
func (b *bound) Write(p []byte) (int, error) { return b.Conn.Write(b.co, p) }

// A direction is one of the two of a connection: reading or writing.
//
// Only one call at a time is under way. Otherwise the deadline that interrupts one would interrupt them all.
type direction struct {
	turn   tinyio.Lock
	set    func(t time.Time) error
	giveUp func() error

	mu          sync.Mutex
	until       time.Time // the deadline that the user wants
	interrupted bool      // the deadline is in the past instead
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// call calls fn in a goroutine, and interrupts it when co is stopped.
func (d *direction) call(co *tinyio.Co, fn func() error) (err error) {
	if err := d.turn.Acquire(co); err != nil {
		return err
	}
	defer d.turn.Release()
	defer func() { // also if fn panics
		if d.resume() && isTimeout(err) {
			err = stopOf(co, err)
		}
	}()
	_, err = tinyio.CallInterruptible(co, d.interrupt, func() (tinyio.Void, error) { return tinyio.Void{}, fn() })
	return err
}

// interrupt is called on the loop while a call is under way, once at most.
func (d *direction) interrupt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interrupted = true
	if d.set(past) != nil {
		d.giveUp()
	}
}

// resume gives the user's deadline back, when the call has ended. It reports whether that was interrupted.
func (d *direction) resume() (interrupted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if interrupted = d.interrupted; interrupted {
		d.interrupted = false
		d.set(d.until) // an error would be that of a connection that is closed, as the next call will tell
	}
	return interrupted
}

func (d *direction) setDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = t
	if d.interrupted {
		return nil // it is set when the call has ended, which is being stopped
	}
	return d.set(t)
}

// isTimeout reports whether err tells that a deadline has passed.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// stopOf returns the error with which the waits of a coroutine end that is being stopped; otherwise err.
func stopOf(co *tinyio.Co, err error) error {
	if co.Err() == nil {
		return err
	}
	if stop := co.Yield(); stop != nil { // at once
		return stop
	}
	return err
}
