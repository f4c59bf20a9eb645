package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Where the instructions of an operation go: cachegrind counts them by function, and each function is of one kind.

// The kinds of code, in the order in which they are shown.
const (
	switching  = "switches"
	channels   = "channels"
	allocating = "memory"
	library    = "library"
	calling    = "caller"
	elsewhat   = "other"
)

var kindsOfCode = []string{switching, channels, allocating, library, calling, elsewhat}

// meanings tell what the kinds are.
var meanings = map[string]string{
	switching:  "switching between stacks, and the scheduler",
	channels:   "channels, locks and atomic operations",
	allocating: "allocation, garbage collection, stacks that grow",
	library:    "the loop's own code, or the peer's library",
	calling:    "the caller's own code",
	elsewhat:   "the rest of the runtime, such as looking through a stack",
}

// codeRules tell the kind of a function by its name. The first one that matches counts.
var codeRules = []struct {
	kind string
	name *regexp.Regexp
}{
	{calling, regexp.MustCompile(`^main\.`)},
	{library, regexp.MustCompile(`^(github\.com|golang\.org)/|^(context|errors|time)\.`)},
	{channels, regexp.MustCompile(`^(internal/)?sync[._/]|^internal/runtime/atomic\.`)},
	{channels, ofRuntime("chan closechan makechan send recv acquireSudog releaseSudog select sel block sem notifyList",
		"hchan waitq sudog semaRoot")},
	{allocating, ofRuntime("malloc newobject newarray makeslice growslice nextFree memclr persistentalloc alloc mProf profilealloc heap scan grey "+
		"sweep deductSweepCredit gc wb bulkBarrier typedmem mark shade newMarkBits typeBitsBulkBarrier newstack copystack stack shrinkstack morestack adjust span getMCache "+
		"roundupsize sys mergeSummaries recordspan publicationBarrier getempty putempty",
		"mspan mheap mcache mcentral fixalloc pageAlloc pageCache pallocData pallocBits pageBits spanSet spanInlineMarkBits atomicHeadTailIndex "+
			"gcWork gcBits gcControllerState gcCPULimiterState limiterEvent sweepLocked sweepLocker activeSweep scavengeIndex scavChunkData "+
			"atomicScavChunkData consistentHeapStats sysMemStat addrRange addrRanges heapBits")},
	{switching, regexp.MustCompile(`^iter\.|^gogo|^gosave|^runtime/pprof\.`)},
	{switching, ofRuntime("coro mcall gogo gosave systemstack park gopark goready ready schedule execute findRunnable findrunnable steal "+
		"runq globrunq wakep pidle casg castog dropg gosched newproc gf gdestroy goexit gostart malg allg saveAncestors isSystemGoroutine findnull funcName "+
		"findfunc lock unlock note futex mPark mput mget startm stopm acquirem releasem acquirep releasep handoffp injectglist netpoll "+
		"nanotime usleep osyield procyield procPin procUnpin resetspinning check trace retake sysmon preempt cheaprand",
		"timers timer timeHistogram m p g gList gQueue muintptr guintptr puintptr moduledata funcInfo randomOrder randomEnum")},
	{switching, regexp.MustCompile(`^indexbytebody|^internal/bytealg\.IndexByte`)}, // of isSystemGoroutine, which each new goroutine calls
}

// ofRuntime matches the functions of the runtime whose names begin with one of the words, and the methods of the types.
func ofRuntime(words, types string) *regexp.Regexp {
	return regexp.MustCompile(`^runtime\.((` + strings.ReplaceAll(words, " ", "|") + `)|\(\*(` + strings.ReplaceAll(types, " ", "|") + `)\))`)
}

// kindOf is the kind of a function.
func kindOf(function string) string {
	for _, r := range codeRules {
		if r.name.MatchString(function) {
			return r.kind
		}
	}
	return elsewhat
}

// byFunction reads how many instructions each function took from what cachegrind has written.
func byFunction(r io.Reader) (counts map[string]int, err error) {
	counts = map[string]int{}
	function := ""
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "fn="); ok {
			function = name
			continue
		}
		if line == "" || line[0] < '0' || line[0] > '9' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return nil, fmt.Errorf("cachegrind has written %q", line)
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, err
		}
		counts[function] += n
	}
	return counts, lines.Err()
}

// A spending is the instructions of an operation, by function.
type spending map[string]float64

// spent is what an operation takes if a run of so many operations more takes that much more.
func spent(fewer, more map[string]int, operations int) spending {
	s := spending{}
	for function, n := range more {
		if d := n - fewer[function]; d != 0 {
			s[function] = float64(d) / float64(operations)
		}
	}
	return s
}

func (s spending) total() (sum float64) {
	for _, n := range s {
		sum += n
	}
	return sum
}

// byKind is the instructions of each kind of code.
func (s spending) byKind() map[string]float64 {
	kinds := map[string]float64{}
	for function, n := range s {
		kinds[kindOf(function)] += n
	}
	return kinds
}

// breakdown is the table of where the instructions go, a row for this module and one for the peer.
func breakdown(counts []count) *table {
	t := &table{left: 2}
	t.add(append([]string{"operation", "by", "all"}, kindsOfCode...)...)
	for _, c := range counts {
		name := c.name()
		for _, of := range []struct {
			peer string
			spending
		}{{ours, c.our}, {c.Peer, c.their}} {
			if of.spending == nil {
				continue
			}
			row := []string{name, of.peer, thousands(int(of.total() + 0.5))}
			kinds := of.byKind()
			for _, kind := range kindsOfCode {
				row = append(row, thousands(int(kinds[kind]+0.5)))
			}
			t.add(row...)
			name = ""
		}
	}
	return t
}

func writeBreakdown(counts []count, machine string) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "%s; instructions for each operation.\n\n", machine)
	breakdown(counts).writeMarkdown(&w)
	fmt.Fprintln(&w)
	for _, kind := range kindsOfCode {
		fmt.Fprintf(&w, "- %s: %s\n", kind, meanings[kind])
	}
	return w.Bytes()
}
