//go:build !amd64 && !arm64

package stack

const prefetched = 0

func prefetch(uintptr)            {}
func prefetchTo(from, to uintptr) {}
