package main

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// Each function is of the kind that its name tells.
func TestKindsOfCode(t *testing.T) {
	for kind, functions := range map[string]string{
		switching:  "runtime.coroswitch_m runtime.mcall gogo runtime.gopark runtime.findRunnable runtime.newproc1 runtime.casgstatus iter.Pull[go.shape.int].func1 runtime.(*timers).check runtime.schedule",
		channels:   "runtime.chansend runtime.recv runtime.releaseSudog sync.(*Mutex).Lock sync.runtime_SemacquireWaitGroup sync/atomic.CompareAndSwapPointer internal/sync.(*Mutex).lockSlow runtime.selectgo runtime.semrelease1",
		allocating: "runtime.mallocgcSmallNoscan runtime.newobject runtime.(*mspan).writeHeapBitsSmall runtime.gcWriteBarrier1 runtime.wbBufFlush runtime.memclrNoHeapPointers runtime.copystack runtime.growslice",
		library:    "github.com/tinyio-go/tinyio.(*run).finish github.com/tinyio-go/tinyio/internal/stack.(*Slot).Switch golang.org/x/sync/errgroup.(*Group).Go context.WithCancelCause",
		calling:    "main.freshOurs.func1 main.one",
		elsewhat:   "runtime.pcvalue runtime.memmove runtime.callers internal/runtime/maps.(*Iter).Next runtime.convT",
	} {
		for _, function := range strings.Fields(functions) {
			if got := kindOf(function); got != kind {
				t.Errorf("%s is of the kind %q, want %q", function, got, kind)
			}
		}
	}
}

// What an operation takes is what a longer run takes more than a shorter one, function by function.
func TestSpent(t *testing.T) {
	read := func(text string) map[string]int {
		counts, err := byFunction(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return counts
	}
	const head = "desc: I1 cache: 32768 B\ncmd: x\nevents: Ir\nfl=a.go\n"
	fewer := read(head + "fn=main.f\n1 10\n2 20\nfn=runtime.chansend\n3 100\nsummary: 130\n")
	more := read(head + "fn=main.f\n1 110\n2 120\nfn=runtime.chansend\n3 1100\nfl=b.go\nfn=main.f\n7 5\nfn=runtime.pcvalue\n0 40\nsummary: 1375\n")
	s := spent(fewer, more, 10)
	if want := (spending{"main.f": 20.5, "runtime.chansend": 100, "runtime.pcvalue": 4}); !maps.Equal(s, want) {
		t.Errorf("an operation takes %v, want %v", s, want)
	}
	if want := map[string]float64{calling: 20.5, channels: 100, elsewhat: 4}; !maps.Equal(s.byKind(), want) || s.total() != 124.5 {
		t.Errorf("by kind it takes %v, %g in all", s.byKind(), s.total())
	}
	for _, broken := range []string{"1 x\n", "1 2 3\n"} {
		if _, err := byFunction(strings.NewReader(head + broken)); err == nil {
			t.Errorf("%q gives no error", broken)
		}
	}
	counts := []count{
		{Workload: "await fresh", N: 1, Peer: goroutines, our: spending{"main.f": 20, "runtime.coroswitch": 30.4}, their: spending{"runtime.chansend": 200}},
		{Workload: "sleep", N: 1, our: spending{"main.f": 1500}},
	}
	text := string(writeBreakdown(counts, "a machine"))
	for _, want := range []string{
		"a machine; instructions for each operation.\n\n| operation | by | all | switches | channels | memory | library | caller | other |\n",
		"\n| await fresh, 1 | tinyio | 50 | 30 | 0 | 0 | 0 | 20 | 0 |\n|  | goroutines | 200 | 0 | 200 | 0 | 0 | 0 | 0 |\n| sleep, 1 | tinyio | 1,500 |",
		"\n- memory: allocation,",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	file := filepath.Join(t.TempDir(), "instructions.svg")
	check(drawBreakdown(file, counts, "a machine"))
	chart := wellFormed(t, file)
	for _, want := range []string{">a machine, counted by valgrind&#39;s cachegrind.<", ">1,500<", ">200<", ">50<"} {
		if !strings.Contains(chart, want) {
			t.Errorf("the chart does not say %q:\n%s", want, chart)
		}
	}
}
