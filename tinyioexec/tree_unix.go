//go:build unix && !linux

package tinyioexec

import (
	"os/exec"
	"syscall"
)

// A tree is a command and its process group.
type tree struct {
	cmd   *exec.Cmd
	owned bool // the group is its own
}

func newTree(cmd *exec.Cmd) *tree { return &tree{cmd, ownGroup(cmd)} }

func (t *tree) started() {}

// signal sends a signal to the group, and reports whether there was anybody.
func (t *tree) signal(sig syscall.Signal) bool {
	if !t.owned {
		t.cmd.Process.Signal(sig)
		return false
	}
	return syscall.Kill(-t.cmd.Process.Pid, sig) == nil
}

// terminate asks all of them to stop. A suspended process gets the signal only when it continues.
func (t *tree) terminate() {
	t.signal(syscall.SIGTERM)
	t.signal(syscall.SIGCONT)
}

// alive reports whether somebody is left.
func (t *tree) alive() bool { return t.signal(0) }

// kill kills whoever is left, and reports whether that was anybody.
func (t *tree) kill() bool { return t.signal(syscall.SIGKILL) }
