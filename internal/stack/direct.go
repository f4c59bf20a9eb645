//go:build !tinyio_nodirect

package stack

// Direct says that goroutines switch to each other directly, each parked in whichever Slot the next one was parked in. That rests on
// more than [iter.Pull] promises: see pull_test.go. Without it, which is what the build tag tinyio_nodirect is for, every switch is one
// between a coroutine and the goroutine that runs the loop, as Pull is meant to be used, and a turn takes two.
const Direct = true
