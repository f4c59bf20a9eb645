// Command subprocess runs several commands at once and shows what they write, line by line, as they write it:
//
//	go run ./examples/subprocess 'ping -c 3 localhost' 'ls -l' 'sleep 1'
//
// When one of them fails, or at Ctrl-C, the others are told to stop, and killed if that takes them more than five seconds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tinyio-go/tinyio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var commands []command
	for _, line := range os.Args[1:] {
		commands = append(commands, shell(line, 5*time.Second))
	}
	if err := run(ctx, os.Stdout, commands); err != nil {
		fmt.Fprintln(os.Stderr, "subprocess:", err)
		os.Exit(1)
	}
}

// shell is a line for the shell, which is replaced by its last command, so that this is what is told to stop.
func shell(line string, grace time.Duration) command {
	return command{args: []string{"sh", "-c", "exec " + line}, grace: grace}
}

// run runs commands and writes their lines to w.
func run(ctx context.Context, w io.Writer, commands []command) error {
	if len(commands) == 0 {
		return errors.New("no commands are given")
	}
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		lines := tinyio.NewQueue[string](100)
		printer := tinyio.Do(func(co *tinyio.Co) error {
			for line, err := range lines.All(co) {
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintln(w, line); err != nil {
					return err
				}
			}
			return nil
		})
		if err := co.Spawn(printer); err != nil {
			return err
		}
		var all []tinyio.Awaitable
		for _, c := range commands {
			all = append(all, c.start(lines))
		}
		err := co.Wait(all...)
		lines.Close()
		return err
	}))
	return err
}
