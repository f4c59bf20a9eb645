package tinyiotest

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// A goroutineWatch finds the goroutines that a run has left behind. Those of a run have the profiler labels of the context given to
// it, and goroutines inherit the labels of the one that starts them; so those of a run can be told from all others, such as those
// of tests that run at the same time. Those of a run inside it can if that is given the context of a coroutine.
type goroutineWatch struct {
	bubble bool
	number string
	before int
}

// leaksAfter is how long, outside a bubble, a goroutine may take to end when its run has ended.
const leaksAfter = 200 * time.Millisecond

var watches atomic.Int64

// labelKey is the key of the label of a run's goroutines.
const labelKey = "tinyiotest run"

func watchGoroutines(bubble bool) goroutineWatch {
	return goroutineWatch{bubble, fmt.Sprint(watches.Add(1)), runtime.NumGoroutine()}
}

func (w goroutineWatch) label() pprof.LabelSet { return pprof.Labels(labelKey, w.number) }

// left describes the goroutines that are left, with their stacks; it is empty if there are none.
//
// A goroutine that has nothing left to do may take a moment to go. In a bubble that can be waited for. There a goroutine that
// is overlooked, because others that the run knows nothing of have ended meanwhile, keeps the bubble from ending if it is
// blocked.
func (w goroutineWatch) left() (stacks string) {
	if w.bubble {
		synctest.Wait()
		if runtime.NumGoroutine() > w.before {
			stacks = w.profile()
		}
		return stacks
	}
	for end := time.Now().Add(leaksAfter); ; time.Sleep(time.Millisecond) {
		if stacks = w.profile(); stacks == "" || time.Now().After(end) {
			return stacks
		}
	}
}

// profile is the part of the goroutine profile that is about the run.
func (w goroutineWatch) profile() string {
	var all bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&all, 1)
	label := fmt.Sprintf("%q:%q", labelKey, w.number)
	var mine []string
	for _, part := range strings.Split(all.String(), "\n\n") {
		if strings.Contains(part, label) {
			mine = append(mine, part)
		}
	}
	return strings.Join(mine, "\n\n")
}
