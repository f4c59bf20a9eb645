// Package timers keeps deadlines in order: adding one, removing one and taking the next cost O(log n).
package timers

// A Timer is a deadline in a [Heap], or one that is not set. It is meant to be a field of what it belongs to, so that setting it
// allocates nothing. The zero Timer is not set.
type Timer struct{ at int32 }

// Set reports whether t is in a heap.
func (t *Timer) Set() bool { return t.at != 0 }

// A Heap holds set timers, each with a value, in the order of their deadlines, and those with the same deadline in the
// order in which they were added. The zero Heap is empty.
//
// It has four children to a node, not two: half the depth, and the children lie side by side in memory.
//
// A timer that is removed leaves its item in place, without timer and value, so that nothing has to move. Most timers are removed and
// never fire, and thousands may be removed at once. The empty items at the end are dropped at once, those at the root when the next
// timer is looked for, and all of them when they are more than half.
type Heap[V any] struct {
	items   []item[V]
	removed int // how many items are empty; the last item is not
	added   uint64
}

type item[V any] struct {
	when  int64
	seq   uint64
	timer *Timer
	value V
}

func (i *item[V]) before(j *item[V]) bool {
	return i.when < j.when || i.when == j.when && i.seq < j.seq
}

// Len returns how many timers are set.
func (h *Heap[V]) Len() int { return len(h.items) - h.removed }

// Next returns the earliest deadline. The heap must not be empty.
func (h *Heap[V]) Next() int64 { return h.first().when }

// When returns the deadline of t, which must be set.
func (h *Heap[V]) When(t *Timer) int64 { return h.items[t.at-1].when }

// Add sets t, which must not be set.
func (h *Heap[V]) Add(t *Timer, when int64, value V) {
	h.sweep()
	h.added++
	h.items = append(h.items, item[V]{when, h.added, t, value})
	h.up(len(h.items) - 1)
}

// Pop removes the earliest timer and returns its value. The heap must not be empty.
func (h *Heap[V]) Pop() V {
	i := h.first()
	v := i.value
	i.timer.at = 0
	h.dropFirst()
	return v
}

// Remove takes t out of the heap; a timer that is not set is left alone.
func (h *Heap[V]) Remove(t *Timer) {
	if t.Set() {
		i := &h.items[t.at-1]
		t.at = 0
		*i = item[V]{when: i.when, seq: i.seq}
		h.removed++
		h.trim()
	}
}

// first returns the item of the earliest timer, when it has dropped the empty items before that. The heap must not be empty.
func (h *Heap[V]) first() *item[V] {
	h.sweep()
	for h.items[0].timer == nil {
		h.removed--
		h.dropFirst()
	}
	return &h.items[0]
}

// dropFirst drops the first item.
func (h *Heap[V]) dropFirst() {
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	h.items[last] = item[V]{}
	h.items = h.items[:last]
	if last > 0 {
		h.down(0)
	}
	h.trim()
}

// sweep drops all empty items if they are more than half.
func (h *Heap[V]) sweep() {
	if h.removed <= len(h.items)/2 {
		return
	}
	all := h.items
	h.items, h.removed = all[:0], 0
	for _, it := range all {
		if it.timer != nil {
			h.items = append(h.items, it)
			h.up(len(h.items) - 1)
		}
	}
	clear(all[len(h.items):])
	h.trim()
}

// trim drops the empty items at the end. A burst of timers gives its memory back.
func (h *Heap[V]) trim() {
	n := len(h.items)
	for n > 0 && h.items[n-1].timer == nil {
		n--
		h.removed--
	}
	h.items = h.items[:n]
	if c := cap(h.items); c > 1024 && n < c/4 {
		h.items = append(make([]item[V], 0, 2*n), h.items...)
	}
}

// up moves item i towards the root until its parent is earlier.
func (h *Heap[V]) up(i int) {
	it := h.items[i]
	for i > 0 {
		p := (i - 1) / 4
		if !it.before(&h.items[p]) {
			break
		}
		h.place(i, h.items[p])
		i = p
	}
	h.place(i, it)
}

// down moves item i away from the root until its children are later.
func (h *Heap[V]) down(i int) {
	it := h.items[i]
	for {
		first := 4*i + 1
		if first >= len(h.items) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h.items)); c++ {
			if h.items[c].before(&h.items[least]) {
				least = c
			}
		}
		if !h.items[least].before(&it) {
			break
		}
		h.place(i, h.items[least])
		i = least
	}
	h.place(i, it)
}

func (h *Heap[V]) place(i int, it item[V]) {
	h.items[i] = it
	if it.timer != nil {
		it.timer.at = int32(i + 1)
	}
}
