//go:build amd64 || arm64

package stack

// prefetch makes the processor begin to load half a kilobyte around the address top, and does not wait for it. If that memory has been
// freed, prefetch does nothing.
func prefetch(top uintptr)

// prefetched is how much prefetch loads from top on.
const prefetched = 6 * 64

// prefetchTo is prefetch for the memory between two addresses.
func prefetchTo(from, to uintptr)
