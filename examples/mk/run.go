package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// An outcome is what came of the commands of a target.
type outcome struct {
	output  []byte // the commands, each with what it wrote
	failure error  // of the command that failed, if one did
}

// runCommands runs the commands of t, one after another. It blocks, and is called in a thread. That a command fails is
// part of the outcome, so that its output comes with it; the error is that of being stopped.
func runCommands(ctx context.Context, t *target, grace time.Duration) (outcome, error) {
	before := lastModified(t)
	var output bytes.Buffer
	for _, c := range t.commands {
		fmt.Fprintln(&output, c.text)
		failure := execute(ctx, c.text, &output, grace)
		if failure == nil {
			continue
		}
		err := discard(t, before)
		if ctx.Err() == nil {
			return outcome{output.Bytes(), errors.Join(fmt.Errorf("%v: %s: %w", c.at, c.text, failure), err)}, nil
		}
		if err != nil {
			return outcome{}, err
		}
		return outcome{}, ctx.Err()
	}
	return outcome{output: output.Bytes()}, nil
}

// execute runs a command in a shell. If ctx is done before it has ended, the command and all that it has started are told to
// stop, and are killed if they have not done so when the grace has passed.
func execute(ctx context.Context, command string, output io.Writer, grace time.Duration) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = grace
	group(cmd)
	err := cmd.Run()
	if err != nil && cmd.Process != nil {
		killGroup(cmd) // whoever of it is left: Run itself kills the shell alone
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("it left something running, which was still holding its output %v later, and was killed", grace)
	}
	return err
}

// discard removes what commands that have not come to their end have made of a target: the next time it would be taken for the
// whole.
func discard(t *target, before time.Time) error {
	if lastModified(t).Equal(before) {
		return nil
	}
	return os.Remove(t.name)
}

// lastModified returns when the file of t was last modified, and the zero time if there is none.
func lastModified(t *target) time.Time {
	info, err := os.Stat(t.name)
	if t.phony || err != nil || info.IsDir() {
		return time.Time{}
	}
	return info.ModTime()
}
