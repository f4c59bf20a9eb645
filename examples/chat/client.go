package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"time"
	"unicode"

	"github.com/tinyio-go/tinyio"
)

const (
	maxLine = 1024        // bytes
	backlog = 64          // lines that a client may be behind with
	buffer  = 64 << 10    // bytes that the system may hold for a client besides
	grace   = time.Second // for clients to take their last lines
)

var errTooLong = errors.New("the line is too long")

// past is a deadline that has passed: it ends a read or a write that is under way.
var past = time.Unix(1, 0)

// A client is somebody who is connected. What is in the queue is still to be written.
type client struct {
	conn  net.Conn
	in    *bufio.Reader
	lines *tinyio.Queue[string]
	name  string // once it is known
	deaf  bool   // nothing is written to it any more
	slow  bool   // because it did not take its lines
}

func newClient(conn net.Conn) *client {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(buffer)
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, maxLine), lines: tinyio.NewQueue[string](backlog)}
}

// say has a line written to the client, without waiting for that. A client who is too far behind is dropped: both of its
// coroutines find that their reads and writes fail.
func (c *client) say(line string) {
	if c.deaf || c.lines.TryPut(line) {
		return
	}
	c.slow = true
	c.hush()
	c.conn.SetDeadline(past)
}

// hush ends what is said to the client. What is in the queue is still written.
func (c *client) hush() {
	c.deaf = true
	c.lines.Close()
}

// write writes the lines of the queue, all that there are at a time, until it is closed and empty. When the server is stopped, it
// goes on for the time of grace, so that the client has its goodbye.
func (c *client) write(co *tinyio.Co) error {
	return co.Shield(grace, func(co *tinyio.Co) error {
		for line, err := range c.lines.All(co) {
			if err != nil {
				return err
			}
			var text strings.Builder
			for ok := true; ok; line, ok = c.lines.TryGet() {
				text.WriteString(line + "\n")
			}
			_, err := tinyio.CallInterruptible(co, func() { c.conn.SetWriteDeadline(past) }, func() (int, error) {
				return io.WriteString(c.conn, text.String())
			})
			if err != nil {
				c.hush() // it has gone, as its reader will find out, or is too slow
				return co.Err()
			}
		}
		return nil
	})
}

// read returns the next line of the client, without what could do something to the terminals of others. Of a line that is too
// long there is only the error, which is no reason to stop.
func (c *client) read(co *tinyio.Co) (string, error) {
	return tinyio.CallInterruptible(co, func() { c.conn.SetReadDeadline(past) }, func() (string, error) {
		line, err := c.in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			for err == bufio.ErrBufferFull {
				_, err = c.in.ReadSlice('\n')
			}
			if err == nil {
				err = errTooLong
			}
			return "", err
		}
		return strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(string(line), "\uFFFD"))), err
	})
}

// printable drops what is not printable.
func printable(r rune) rune {
	if unicode.IsPrint(r) || r == '\n' {
		return r
	}
	return -1
}
