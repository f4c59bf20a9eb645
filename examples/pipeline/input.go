package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
)

// A record is a line of the input.
type record struct {
	input string
	line  int
	text  []byte
}

// An input is something to read from.
type input struct {
	name string
	open func() (io.ReadCloser, error)
}

// A chunk is what was there to be read at a time: records, and then perhaps an error.
type chunk struct {
	records []record
	err     error
}

// read reads the inputs, one after another, and sends what it reads to a channel, which it closes when all has been read. It stops
// after an error, and when ctx is done. It does not close the channel then: that would look like the end of the input to whoever
// has not noticed yet that all is being stopped.
//
// It does so in a goroutine that is no part of a run: nothing can interrupt a read from a terminal or a pipe, and a run would
// wait for it.
func read(ctx context.Context, inputs []input) <-chan chunk {
	to := make(chan chunk)
	go func() {
		for _, in := range inputs {
			if !in.read(ctx, to) {
				return
			}
		}
		close(to)
	}()
	return to
}

// read reads one input and reports whether to go on.
func (in input) read(ctx context.Context, to chan<- chunk) bool {
	send := func(c chunk) bool {
		select {
		case to <- c:
			return c.err == nil
		case <-ctx.Done():
			return false
		}
	}
	f, err := in.open()
	if err != nil {
		return send(chunk{err: err})
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for line := 1; ; {
		var c chunk
		for more := true; more && c.err == nil; more = holdsLine(r) { // the first read may block, and the others do not
			var text []byte
			text, c.err = r.ReadBytes('\n')
			if text = bytes.TrimSpace(text); len(text) > 0 {
				c.records = append(c.records, record{in.name, line, text})
			}
			line++
		}
		ended := c.err == io.EOF
		if ended {
			c.err = nil
		} else if c.err != nil {
			c.err = fmt.Errorf("%s: %w", in.name, c.err)
		}
		if !send(c) {
			return false
		}
		if ended {
			return true
		}
	}
}

// holdsLine reports whether r holds a whole line, which can be read without blocking.
func holdsLine(r *bufio.Reader) bool {
	held, _ := r.Peek(r.Buffered())
	return bytes.IndexByte(held, '\n') >= 0
}
