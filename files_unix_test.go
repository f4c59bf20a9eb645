//go:build unix

package tinyio_test

import "syscall"

// openFilesAllowed is how many files a process may have open.
func openFilesAllowed() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}
