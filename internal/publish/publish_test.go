package publish

import "testing"

// What is written before a value is seen by whoever sees the value, and values are seen in the order in which they are written.
func TestReadersSeeWritesInOrder(t *testing.T) {
	const last = 100_000
	type box struct{ n int64 }
	var first, second Count
	var p Pointer[box]
	done := make(chan bool)
	go func() {
		defer close(done)
		for n := int64(0); n < last; {
			b := p.Load()
			after := second.Load()
			before := first.Load()
			if after > before || b != nil && b.n > after {
				t.Errorf("the pointer is at %v, the second at %d, the first at %d", b, after, before)
				return
			}
			n = after
		}
	}()
	for n := range int64(last) {
		first.Add(1)
		second.Set(n + 1)
		p.Set(&box{n + 1})
	}
	<-done
	if first.Load() != last || second.Load() != last || p.Load().n != last {
		t.Errorf("in the end they are %d, %d, %d", first.Load(), second.Load(), p.Load().n)
	}
}
