//go:build !unix

package main

import "os/exec"

// Without process groups, a command is killed when its context is done, and what it has started is not known.

func group(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
