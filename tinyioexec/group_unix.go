//go:build unix

package tinyioexec

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a command a process group of its own, unless it was set otherwise, and reports whether it has one.
func ownGroup(cmd *exec.Cmd) bool {
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr // which may be shared by several commands
	}
	if !attr.Setsid && !attr.Foreground && !attr.Setpgid {
		attr.Setpgid, attr.Pgid = true, 0
	}
	cmd.SysProcAttr = &attr
	return attr.Setsid || attr.Pgid == 0
}
