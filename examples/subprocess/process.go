package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A command is a program with its arguments.
type command struct {
	args  []string
	grace time.Duration // how long it has to stop when it is told to, before it is killed
}

// start returns a coroutine that runs c and puts each line that it writes into lines, as it comes. When the coroutine is
// cancelled or halted, so is the program.
func (c command) start(lines *tinyio.Queue[string]) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		written := make(chan string)
		process := tinyio.RunInThread(func(ctx context.Context) (tinyio.Void, error) {
			defer close(written)
			return tinyio.Void{}, c.run(ctx, written)
		})
		pump := tinyio.Do(func(co *tinyio.Co) error {
			for {
				line, ok, err := tinyio.Recv(co, written)
				if err != nil || !ok {
					return err
				}
				if err := lines.Put(co, line); err != nil {
					return err
				}
			}
		})
		return co.Wait(process.Named(c.args[0]), pump)
	})
}

// run runs c, in a thread, and sends what it writes to lines.
func (c command) run(ctx context.Context, lines chan<- string) error {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = c.grace
	out := &lineWriter{ctx: ctx, lines: lines}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.flush()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx) // whatever signal it was that stopped it
	case err != nil:
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	return nil
}

// A lineWriter sends what is written to it, line by line. It drops what comes when the context is done: nobody receives any more.
type lineWriter struct {
	ctx   context.Context
	lines chan<- string
	rest  []byte // of a line whose end has not come
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.send(string(line))
		w.rest = rest
	}
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.send(string(w.rest))
	}
}

func (w *lineWriter) send(line string) {
	select {
	case w.lines <- line:
	case <-w.ctx.Done():
	}
}
