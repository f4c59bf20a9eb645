//go:build amd64 || arm64

package stack

// Caller returns the place where the function was called that has called the caller of Caller. Neither may be inlined. It reads two frame
// pointers, which Go keeps on these processors, where [runtime.Callers] takes a microsecond.
func Caller() uintptr
