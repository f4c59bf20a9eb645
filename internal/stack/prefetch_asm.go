//go:build amd64 || arm64

package stack

// prefetch has the processor begin to load half a kilobyte around the address top, and does not wait for it. It does no harm if there is
// nothing any more.
func prefetch(top uintptr)
