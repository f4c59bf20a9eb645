package stack

import (
	"runtime"
	"slices"
	"testing"
)

type work func()

func (w work) Work() { w() }

func TestSwitch(t *testing.T) {
	var log []string
	var p Slot
	p.Init(work(func() {
		log = append(log, "one")
		p.Switch()
		log = append(log, "two")
	}))
	p.Switch()
	log = append(log, "between")
	p.Switch()
	log = append(log, "end")
	if want := []string{"one", "between", "two", "end"}; !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
}

// TestSwitchWithAnother wants goroutines to go on with each other, without the one that made them in between. Each parks in the
// place of the one that it goes on with.
func TestSwitchWithAnother(t *testing.T) {
	const n, rounds = 5, 4
	var log, want []int
	var at [n]*Slot // where each is parked
	home := make([]Slot, n)
	var ended [n]bool
	var maker *Slot
	turn := 0
	next := func(me **Slot) { // goes on with the one whose turn it is
		to := &maker
		if turn < n*rounds {
			to = &at[turn%n]
		}
		*me = *to
		(*me).Switch()
	}
	for i := range n {
		at[i] = &home[i]
		home[i].Init(work(func() {
			for range rounds {
				log = append(log, i)
				turn++
				next(&at[i])
			}
			ended[i] = true
		}))
	}
	next(&maker)
	for i := range n * rounds {
		want = append(want, i%n)
	}
	if !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
	// Each that ends sets another one going, which ends too, until one does in whose place this goroutine is parked.
	for i := range n {
		if !ended[i] {
			at[i].Switch()
		}
	}
}

// TestExitIsToldToTheResumer wants a Goexit to end its goroutine and nothing else.
func TestExitIsToldToTheResumer(t *testing.T) {
	cleaned := false
	defer func() {
		if p := recover(); p != Exited {
			t.Errorf("Change panicked with %v, want Exited", p)
		}
		if !cleaned {
			t.Error("the deferred function did not run")
		}
	}()
	var p Slot
	p.Init(work(func() {
		defer func() { cleaned = true }()
		runtime.Goexit()
	}))
	p.Switch()
	t.Error("Change returned")
}

// TestIDsDiffer wants different goroutines to have different IDs and one to keep its own.
func TestIDsDiffer(t *testing.T) {
	if ID() == 0 {
		t.Skip("goroutines cannot be told apart on this architecture")
	}
	ids := func() (first, second uintptr) {
		var p Slot
		p.Init(work(func() {
			first = ID()
			p.Switch()
			var grow [1 << 16]byte // moves the stack
			grow[ID()%7] = 1
			second = ID() + uintptr(grow[8])
		}))
		p.Switch()
		other := ID()
		p.Switch()
		if other != ID() || first == other {
			t.Errorf("got %x here, then %x, and %x there", other, ID(), first)
		}
		return first, second
	}
	a1, a2 := ids()
	if a1 != a2 {
		t.Errorf("got %x and then %x", a1, a2)
	}
}

// countedLoops is how many goroutines of loops are counted.
func countedLoops() (n uint32) {
	for i := range loops {
		word := loops[i].Load()
		n += word&0xffff + word>>16
	}
	return n
}

// Whoever has entered may be a loop, until it has left as often; so may every goroutine that is made for a Slot, until it ends, in whichever way.
func TestLoopsAreCounted(t *testing.T) {
	if ID() == 0 {
		t.Skip("goroutines cannot be told apart on this architecture")
	}
	if countedLoops() != 0 || MayBeLoop() {
		t.Fatal("there are no loops and some are counted")
	}
	Enter()
	Enter()
	Leave()
	if !MayBeLoop() {
		t.Error("one that has left once less than it has entered is no loop")
	}
	Leave()
	if MayBeLoop() {
		t.Error("one that has left is still a loop")
	}
	for _, ends := range []func(){func() {}, runtime.Goexit} {
		inside := false
		var p Slot
		p.Init(work(func() { inside = MayBeLoop(); ends() }))
		p.SwitchOrExit()
		if n := countedLoops(); !inside || n != 0 {
			t.Errorf("a worker is counted: %t; when it has ended there are %d", inside, n)
		}
	}
}

// A goroutine is not taken for one of a loop's because there are many of these.
func TestManyLoopsHideNobody(t *testing.T) {
	if ID() == 0 {
		t.Skip("goroutines cannot be told apart on this architecture")
	}
	slots := make([]Slot, 10_000)
	for i := range slots {
		slots[i].Init(work(func() { slots[i].Switch() }))
		slots[i].Switch()
	}
	const n = 100
	taken := make(chan bool)
	for range n {
		go func() { taken <- MayBeLoop() }()
	}
	wrong := 0
	for range n {
		if <-taken {
			wrong++
		}
	}
	if wrong > n/10 {
		t.Errorf("beside %d goroutines of loops, %d of %d others may be one", len(slots), wrong, n)
	}
	for i := range slots {
		slots[i].Switch()
	}
}

//go:noinline
func outermost() (place, known uintptr) { return inner(1) }

//go:noinline
func inner(n int) (place, known uintptr) {
	var pcs [1]uintptr
	runtime.Callers(3, pcs[:]) // of outermost
	return Caller(), pcs[0] - uintptr(n)
}

// Caller tells what runtime.Callers tells, also when the stack has been moved.
func TestCaller(t *testing.T) {
	if place, known := outermost(); place != known || place == 0 {
		t.Errorf("got %x, want %x", place, known)
	}
	var p Slot
	p.Init(work(func() {
		var grow [1 << 16]byte
		grow[ID()%7] = 1
		if place, known := outermost(); place != known || place == uintptr(grow[8]) {
			t.Errorf("on a worker: got %x, want %x", place, known)
		}
	}))
	p.Switch()
}

// To prefetch does no harm, whatever has become of the memory.
func TestPrefetch(t *testing.T) {
	var p Slot
	p.Prefetch() // nobody has parked there yet
	p.PrefetchAll(0)
	p.PrefetchRest(0)
	Prefetch[Slot](nil)
	p.Init(work(func() {
		p.Switch()
		var grow [1 << 16]byte // moves the stack
		grow[ID()%7] = 1
		p.Switch()
	}))
	for range 3 {
		p.Switch()
		p.Prefetch()
		p.PrefetchAll(ID())
		p.PrefetchRest(ID())
		Prefetch(&p)
	}
}
