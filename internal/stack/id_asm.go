//go:build 386 || amd64 || arm || arm64 || loong64 || mips || mipsle || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x || wasm

package stack

// ID tells the goroutine that calls it from every other one that is alive, in about 2 ns. It is the address of the
// runtime's record of the goroutine. Go gives no name to a goroutine on purpose, so that programs do not come to
// depend on it; here it serves only to catch a coroutine's handle in the wrong hands.
func ID() uintptr
