package timers

import (
	"math/rand/v2"
	"slices"
	"testing"
)

type set struct {
	Timer
	when int64
	seq  int
}

// TestOrder adds and removes timers at random and compares with a sorted list. By turns there are more and fewer of them, down to none.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h Heap[*set]
	var want []*set
	for seq := range 40_000 {
		adding := 3
		if seq%10_000 > 5_000 {
			adding = 1
		}
		switch {
		case r.IntN(5) < adding || len(want) == 0:
			s := &set{when: int64(r.IntN(200)), seq: seq}
			h.Add(&s.Timer, s.when, s)
			want = append(want, s)
			slices.SortStableFunc(want[:], func(a, b *set) int { return int(a.when - b.when) })
		case r.IntN(2) == 0:
			i := r.IntN(len(want))
			h.Remove(&want[i].Timer)
			if want[i].Set() {
				t.Fatal("a removed timer is set")
			}
			want = slices.Delete(want, i, i+1)
		default:
			if next := h.Next(); next != want[0].when {
				t.Fatalf("the next deadline is %d, want %d", next, want[0].when)
			}
			if got := h.Pop(); got != want[0] || got.Set() {
				t.Fatalf("popped timer %d of %d, want %d of %d", got.seq, got.when, want[0].seq, want[0].when)
			}
			want = want[1:]
		}
		if h.Len() != len(want) {
			t.Fatalf("%d timers, want %d", h.Len(), len(want))
		}
		checkItems(t, &h)
	}
}

// checkItems checks that timers know where their items are, and that nothing else is kept in memory.
func checkItems[V comparable](t *testing.T, h *Heap[V]) {
	t.Helper()
	var none V
	for i, it := range h.items[:cap(h.items)] {
		switch {
		case it.timer == nil && it.value != none:
			t.Fatalf("item %d has a value and no timer", i)
		case it.timer == nil:
		case i >= len(h.items):
			t.Fatalf("item %d, behind the last of %d, has a timer", i, len(h.items))
		case it.timer.at != int32(i+1):
			t.Fatalf("the timer of item %d is at %d", i, it.timer.at-1)
		}
	}
}

// TestRemoveUnset removes timers that are not set.
func TestRemoveUnset(t *testing.T) {
	var h Heap[int]
	var a, b Timer
	h.Remove(&a)
	h.Add(&b, 5, 7)
	h.Remove(&a)
	h.Remove(&b)
	h.Remove(&b)
	if h.Len() != 0 {
		t.Errorf("%d timers are left", h.Len())
	}
}

// TestBurstGivesMemoryBack wants a heap that was large to be small again, when the next timer has been looked for.
func TestBurstGivesMemoryBack(t *testing.T) {
	const n = 100_000
	timers := make([]Timer, n)
	ends := map[string]func(h *Heap[int]){
		"fired": func(h *Heap[int]) {
			for i := range n - 1 {
				if got := h.Pop(); got != i+1 {
					t.Fatalf("popped %d, want %d", got, i+1)
				}
			}
		},
		"removed, the first ones first": func(h *Heap[int]) {
			for i := range n - 1 {
				h.Remove(&timers[i])
			}
		},
		"removed, the last ones first": func(h *Heap[int]) {
			for i := range n - 1 {
				h.Remove(&timers[n-1-i])
			}
		},
		"removed in any order": func(h *Heap[int]) {
			for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n)[1:] {
				h.Remove(&timers[i])
			}
		},
	}
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			var h Heap[int]
			clear(timers)
			for i := range timers {
				h.Add(&timers[i], int64(i), i+1)
			}
			end(&h)
			if h.Len() != 1 {
				t.Fatalf("%d timers are left, want 1", h.Len())
			}
			checkItems(t, &h)
			left := h.Next()
			if c := cap(h.items); c > 2048 {
				t.Errorf("room for %d timers is kept", c)
			}
			if got := h.Pop(); got != int(left)+1 || h.Len() != 0 {
				t.Errorf("the last one is %d, want %d, and %d more are left", got, left+1, h.Len())
			}
		})
	}
}

// TestRemovedAreFew wants that of timers that are set and removed, beside others that stay, no more than half are kept as empty items.
func TestRemovedAreFew(t *testing.T) {
	var h Heap[int]
	stay := make([]Timer, 1000)
	for i := range stay {
		h.Add(&stay[i], int64(10*i), i)
	}
	for i := range 100_000 {
		var passing Timer
		h.Add(&passing, int64(i%10_000), -1)
		h.Remove(&passing)
		if len(h.items) > 2*len(stay)+2 {
			t.Fatalf("%d items for %d timers", len(h.items), h.Len())
		}
	}
	for i := range stay {
		if got := h.Pop(); got != i {
			t.Fatalf("popped %d, want %d", got, i)
		}
	}
}
