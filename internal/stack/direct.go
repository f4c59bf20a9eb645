//go:build !tinyio_nodirect

package stack

// Direct says that any goroutine of a loop switches to any other, and parks in the Slot in which that one was parked. This relies on more
// than [iter.Pull] promises: see pull_test.go. With the build tag tinyio_nodirect, coroutines switch only to the goroutine that runs the
// loop, and back, as Pull is meant to be used: a turn takes two switches.
const Direct = true
