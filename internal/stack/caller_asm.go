//go:build amd64 || arm64

package stack

// Caller, called by g, which f has called, returns the address at which f was called. Neither f nor g may be inlined. Caller reads two frame
// pointers, which Go keeps on these processors, where [runtime.Callers] takes a microsecond.
func Caller() uintptr
