//go:build !race

package debug_test

const raceEnabled = false
