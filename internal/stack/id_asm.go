//go:build 386 || amd64 || arm || arm64 || loong64 || mips || mipsle || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x || wasm

package stack

// ID returns a number that no other live goroutine has, in about 2 ns: the address of the runtime's record of the calling goroutine. Go
// keeps such numbers from programs, so that their behaviour does not come to depend on them. Here they serve only to tell whether a
// goroutine is one of a loop's, and which.
func ID() uintptr
