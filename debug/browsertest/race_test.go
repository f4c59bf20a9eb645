//go:build race

package browsertest

// slowdown is what the race detector costs.
const slowdown = 10
