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

// TestOrder adds and removes timers at random and compares with a sorted list.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h Heap[*set]
	var want []*set
	for seq := range 20_000 {
		switch {
		case r.IntN(5) < 3 || len(want) == 0:
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

// TestBurstGivesMemoryBack wants a heap that was large to be small again.
func TestBurstGivesMemoryBack(t *testing.T) {
	var h Heap[int]
	timers := make([]Timer, 100_000)
	for i := range timers {
		h.Add(&timers[i], int64(i), i)
	}
	for i := range timers {
		if got := h.Pop(); got != i {
			t.Fatalf("popped %d, want %d", got, i)
		}
	}
	if c := cap(h.items); c > 2048 {
		t.Errorf("room for %d timers is kept", c)
	}
}
