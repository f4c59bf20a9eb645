//go:build !(amd64 || arm64)

package stack

import "runtime"

// Caller returns the place where the function was called that has called the caller of Caller. Neither may be inlined.
func Caller() uintptr {
	var place [1]uintptr
	runtime.Callers(4, place[:])
	return place[0] - 1
}
