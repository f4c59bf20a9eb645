//go:build !(386 || amd64 || arm || arm64 || loong64 || mips || mipsle || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x || wasm)

package stack

// ID returns 0: on this processor, goroutines cannot be told apart cheaply. Then some misuse is not found, and nothing is taken for misuse.
func ID() uintptr { return 0 }
