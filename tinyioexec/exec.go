// Package tinyioexec runs commands from coroutines of [tinyio]. When the coroutine is stopped, so is the command, with all that
// it has started; and when a command has ended, no output of it is lost and nothing that it has left behind holds up the caller.
//
// # Who is stopped
//
// A command gets a process group of its own, unless its SysProcAttr says otherwise, so that a signal from the keyboard comes to this
// program alone, which passes it on. To stop a command is to send SIGTERM to all of its processes, to wait until none is left,
// and to send SIGKILL to those that are when the grace has passed. How its processes are found depends on the system:
//
//   - On Linux they are its descendants, the process groups and the sessions that these have made, and those who have inherited a mark
//     that is put into the environment of the command: a part, new each time, of the variable TINYIOEXEC. So a
//     process is found that has made a session of its own and whose parents have ended, and so is what another program that uses
//     this package has started. Not found is one that has done all of this and has cleared its environment too. Cgroups are not
//     used. Without /proc it is as on other Unix systems.
//   - On other Unix systems they are the process group. A process that has left that, as one does that makes a session of its own,
//     is not found.
//   - Elsewhere, as on Windows, a command cannot be asked to stop. It is killed at once, and nothing else is.
//
// A process that this one may not signal, because it belongs to another user, carries on. So does every command when this program is
// killed.
//
// # Time
//
// The grace is in real time, also on a loop in virtual time, as all that goes on in threads.
package tinyioexec

import (
	"context"
	"os/exec"
	"time"

	"github.com/tinyio-go/tinyio"
)

// Run starts cmd and waits until it has ended and all of its output has come. Others have their turns meanwhile. The error
// is a value, as that of [tinyio.Call], and crashes nobody:
//
//   - nil, if the command has ended with status 0;
//   - an [*exec.ExitError], if it has ended in another way by itself;
//   - an error of starting it, or of a Write to cmd.Stdout or cmd.Stderr;
//   - [exec.ErrWaitDelay], if it has ended with status 0, and processes that it has left behind still held its output open when
//     cmd.WaitDelay had passed, or the grace, if that is 0;
//   - if the coroutine was stopped before it had ended, the error of that, however it has ended then. That is in cmd.ProcessState.
//
// Processes that a command leaves behind carry on if the error is nil; a daemon should not hold the output. With any other
// error all of them are stopped when Run returns, see the package documentation; they have the grace for that. A negative grace
// is none.
//
// What the command has written before its end is written to cmd.Stdout and cmd.Stderr before Run returns, however slow these are.
// If both are the same, one goroutine at a time calls Write. An [*os.File] is handed to the command itself. Run sets cmd.Env
// and cmd.SysProcAttr; a Cmd cannot be used again anyway. If cmd was made with a context, its end kills the command
// alone.
func Run(co *tinyio.Co, cmd *exec.Cmd, grace time.Duration) error {
	err := co.Call(func(ctx context.Context) error {
		p, err := start(cmd, grace)
		if err != nil {
			return err
		}
		return p.wait(ctx.Done())
	})
	if err == errStopped {
		return stopOf(co)
	}
	return err
}

// stopOf returns the error with which the waits of a coroutine end that is being stopped.
func stopOf(co *tinyio.Co) error {
	if err := co.Yield(); err != nil {
		return err
	}
	return errStopped
}
