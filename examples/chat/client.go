package main

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"time"
	"unicode"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyionet"
)

const (
	maxLine = 1024        // bytes
	backlog = 64          // lines that a client may be behind with
	buffer  = 64 << 10    // bytes that the system may hold for a client besides
	grace   = time.Second // for clients to take their last lines
)

var errTooLong = errors.New("the line is too long")

// past is a deadline that has passed: it ends the reads and writes of a client who is dropped.
var past = time.Unix(1, 0)

// A client is somebody who is connected. What is in the queue is still to be written.
type client struct {
	conn  *tinyionet.Conn
	in    *bufio.Reader
	lines *tinyio.Queue[string]
	name  string // once it is known
	deaf  bool   // nothing is written to it any more
	slow  bool   // because it did not take its lines
}

func newClient(conn *tinyionet.Conn) *client {
	if tcp, ok := conn.NetConn().(*net.TCPConn); ok {
		tcp.SetWriteBuffer(buffer)
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn.NetConn(), maxLine), lines: tinyio.NewQueue[string](backlog)}
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
			var text []byte
			for ok := true; ok; line, ok = c.lines.TryGet() {
				text = append(text, line+"\n"...)
			}
			if _, err := c.conn.Write(co, text); err != nil {
				c.hush() // it has gone, as its reader will find out, or is too slow
				return co.Err()
			}
		}
		return nil
	})
}

// read returns the next line of the client, without what could do something to the terminals of others. Of a line that is too
// long there is only the error, which is no reason to stop.
func (c *client) read(co *tinyio.Co) (text string, err error) {
	err = c.conn.ReadFunc(co, func() error {
		line, err := c.in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			for err == bufio.ErrBufferFull {
				_, err = c.in.ReadSlice('\n')
			}
			if err == nil {
				err = errTooLong
			}
			return err
		}
		text = strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(string(line), "\uFFFD")))
		return err
	})
	return text, err
}

// printable drops what is not printable.
func printable(r rune) rune {
	if unicode.IsPrint(r) || r == '\n' {
		return r
	}
	return -1
}
