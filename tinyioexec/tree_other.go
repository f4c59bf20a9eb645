//go:build !unix

package tinyioexec

import "os/exec"

// A tree is a command. What it has started is not known here.
type tree struct{ cmd *exec.Cmd }

func newTree(cmd *exec.Cmd) *tree { return &tree{cmd} }

func (t *tree) started() {}

// terminate kills the command: there is no way to tell it to stop.
func (t *tree) terminate() { t.cmd.Process.Kill() }

func (t *tree) alive() bool { return false }

func (t *tree) kill() bool {
	t.cmd.Process.Kill()
	return false
}
