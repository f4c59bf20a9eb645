//go:build race

package tinyiotest_test

// raced reports that the race detector is on. It keeps some memory for every coroutine that there has ever been: some 5 KB, and
// 130 KB of addresses, in Go 1.26, for each use of iter.Pull.
const raced = true
