// Command subprocess runs several commands at once and shows what they write, line by line, as they write it:
//
//	go run ./examples/subprocess 'ping -c 3 localhost' 'ls -l' 'sleep 1; echo awake'
//
// Each is a line for the shell. When one of them fails, at Ctrl-C, when the terminal is closed, or when nobody reads any more what they
// write, the others are asked to stop, with all that they have started, and killed if that takes them more than five seconds.
//
// The exit status is 0 if all of them have succeeded, and 1 if not.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyioexec"
)

// grace is how long commands have to stop before they are killed.
const grace = 5 * time.Second

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	// When nobody reads the output any more, the next write to it is to have an error, which stops the commands, and not to end the program.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if err := run(ctx, os.Stdout, os.Args[1:], grace); err != nil {
		fmt.Fprintln(os.Stderr, "subprocess:", err)
		os.Exit(1)
	}
}

// run runs lines for the shell and writes what they write to w.
func run(ctx context.Context, w io.Writer, commands []string, grace time.Duration) error {
	if len(commands) == 0 {
		return errors.New("no commands are given")
	}
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		lines := tinyio.NewQueue[tinyioexec.Line](100)
		defer lines.Close() // when all commands have ended or stopped
		if err := co.Spawn(printer(w, lines)); err != nil {
			return err
		}
		var all []tinyio.Awaitable
		for _, line := range commands {
			all = append(all, command(line, grace, lines))
		}
		return co.Wait(all...)
	}))
	return err
}

// command returns a coroutine that runs a line for the shell. It fails if the command does, and so stops all others.
func command(line string, grace time.Duration, lines *tinyio.Queue[tinyioexec.Line]) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		err := tinyioexec.Lines(co, exec.Command("sh", "-c", line), grace, lines)
		if errors.Is(err, exec.ErrWaitDelay) {
			err = fmt.Errorf("it left something running, which was still holding its output %v later, and was stopped", grace)
		}
		if err != nil && co.Err() == nil { // it has not been stopped
			err = fmt.Errorf("%s: %w", line, err)
		}
		return err
	}).Named(line)
}

// printer returns a coroutine that writes lines to w until the queue is closed. It does so in a Shield, so that it still shows what
// commands write while they are being stopped, and what the one has written that has failed.
func printer(w io.Writer, lines *tinyio.Queue[tinyioexec.Line]) *tinyio.Coro[tinyio.Void] {
	const unlimited = 365 * 24 * time.Hour
	return tinyio.Do(func(co *tinyio.Co) error {
		return co.Shield(unlimited, func(co *tinyio.Co) error {
			for line, err := range lines.All(co) {
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintln(w, line.Text); err != nil {
					return err
				}
			}
			return nil
		})
	}).Named("printer")
}
