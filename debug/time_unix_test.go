//go:build unix

package debug_test

import (
	"syscall"
	"testing"
	"time"
)

// processorTime is how long this process has kept processors busy. Unlike the time that passes it does not depend on what else a machine has
// to do.
func processorTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
