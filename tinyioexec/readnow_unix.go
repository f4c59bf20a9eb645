//go:build unix

package tinyioexec

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// readNow reads from a pipe what is there. It does not wait: if there is nothing, that is the error EAGAIN.
func readNow(f *os.File, p []byte) (n int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	for {
		f.SetReadDeadline(time.Time{}) // when it has passed, nothing is read at all
		var result error
		err := raw.Read(func(fd uintptr) bool {
			n, result = syscall.Read(int(fd), p)
			return true
		})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) || result == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case result != nil:
			return 0, result
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
