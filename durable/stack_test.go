//go:build !race

package durable_test

import (
	"fmt"
	"runtime"
	"testing"
)

// A run that sleeps does not keep the stack that it once needed to read and write JSON.
func TestASleepingRunHasSmallStacks(t *testing.T) {
	const runs = 500
	used := func() uint64 {
		runtime.GC()
		runtime.GC() // each halves a stack of which little is used
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.StackInuse
	}
	j := open(t, t.TempDir())
	before := used()
	for i := range runs {
		start[int](t, j, "bench.sleep", fmt.Sprint(i), 3)
	}
	untilAsleep(t, j, runs)
	if each := (used() - before) / runs; each > 10<<10 {
		t.Errorf("the stacks of a run take %d bytes", each)
	}
}
