//go:build amd64 || arm64

package stack

// prefetch makes the processor begin to load half a kilobyte around the address top, and does not wait for it. If that memory has been
// freed, prefetch does nothing.
func prefetch(top uintptr)
