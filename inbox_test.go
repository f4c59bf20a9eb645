package tinyio

import (
	"sync"
	"testing"

	"github.com/tinyio-go/tinyio/internal/gate"
)

// A numbered is a message of the n-th sender.
type numbered struct {
	message
	sender, n int
}

func (*numbered) arrive(*run)                  {}
func (*numbered) describe(*run, *gate.Arrival) {}

// A loop that is parked is woken once, however many messages come before it takes them in. It takes in all of them at once, those of each
// sender in order. A loop that is not parked is not woken.
func TestInboxWakesOnce(t *testing.T) {
	const senders, each = 10, 100
	b := &inbox{self: &sleeper{make(chan struct{}, 1)}}
	flood := func() {
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for n := range each {
					m := &numbered{sender: s, n: n}
					m.to = m
					b.post(&m.message)
				}
			})
		}
		wg.Wait()
	}
	takeAll := func() {
		t.Helper()
		var next [senders]int
		all := 0
		for m := b.take(); m != nil; m = m.next {
			all++
			if m := m.to.(*numbered); m.n != next[m.sender] {
				t.Errorf("the message %d of sender %d comes after %d of its messages", m.n, m.sender, next[m.sender])
			}
			next[m.to.(*numbered).sender]++
		}
		if all != senders*each {
			t.Errorf("%d messages were taken in, want %d", all, senders*each)
		}
	}
	flood()
	if n := len(b.self.wake); n != 0 {
		t.Errorf("a loop that is not parked was woken %d times", n)
	}
	if b.sleep() {
		t.Error("the loop is parked although there are messages")
	}
	takeAll()
	if !b.sleep() {
		t.Error("the loop is not parked although there are no messages")
	}
	woken := make(chan int)
	go func() {
		<-b.self.wake // as a loop that is parked does
		n := 1
		for range b.self.wake {
			n++
		}
		woken <- n
	}()
	flood()
	close(b.self.wake)
	if n := <-woken; n != 1 {
		t.Errorf("the loop was woken %d times, want once", n)
	}
	takeAll()
}
