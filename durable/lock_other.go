//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package durable

import (
	"io"
	"os"
)

// lockFile locks nothing: this system has no lock that ends with the process. A lock that outlives a process that was killed would keep
// the journal from what it is for.
func lockFile(path string) (io.Closer, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}
