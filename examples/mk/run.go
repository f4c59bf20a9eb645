package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyioexec"
)

// runCommands runs the commands of t, one after another, and writes what they write to output. What one has half made that fails or
// is stopped it removes. Before, t was as it was in version now.
func runCommands(co *tinyio.Co, t *target, now version, output *bytes.Buffer, grace time.Duration) error {
	for _, c := range t.commands {
		fmt.Fprintln(output, c.text)
		failure := execute(co, c.text, output, grace)
		if failure == nil {
			continue
		}
		// This blocks the loop, but not for long. As a Call it would have to be in a Shield.
		err := discard(t, now)
		if co.Err() == nil {
			return errors.Join(fmt.Errorf("%v: %s: %w", c.at, c.text, failure), err)
		}
		if err != nil {
			return err
		}
		return failure // that it is being stopped
	}
	return nil
}

// execute runs a command in a shell. When the coroutine is stopped before it has ended, the command and all that it has started are
// asked to stop, and are killed if they have not done so when the grace has passed.
func execute(co *tinyio.Co, command string, output io.Writer, grace time.Duration) error {
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdout, cmd.Stderr = output, output
	err := tinyioexec.Run(co, cmd, grace)
	if errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("it left something running, which was still holding its output %v later, and was stopped", grace)
	}
	return err
}

// discard removes what commands that have not come to their end have made of a target: the next time it would be taken for the
// whole. They may have removed it themselves.
func discard(t *target, before version) error {
	if t.phony {
		return nil
	}
	info, err := os.Stat(t.name)
	if err == nil && !info.IsDir() && !info.ModTime().Equal(before.modified) {
		err = os.Remove(t.name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
