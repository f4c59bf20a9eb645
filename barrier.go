package tinyio

// A Barrier makes coroutines wait until n of them have come. Make one with [NewBarrier].
type Barrier struct {
	n       int // how many arrivals open it
	waiters waitList
}

// NewBarrier returns a barrier for n coroutines. It panics if n is not positive.
func NewBarrier(n int) *Barrier {
	if n <= 0 {
		panic("tinyio: NewBarrier: n must be at least 1, or the barrier could never open")
	}
	return &Barrier{n: n}
}

// Wait suspends the coroutine until it and n-1 others are waiting. Then all n become ready, in the order of their arrival,
// and each gets its index in that order, from 0. The barrier is then closed again, for the next n.
//
// If Wait returns an error, the coroutine has not arrived: it was cancelled or halted before the barrier opened. A coroutine
// that is stopped between the opening and its turn has arrived: Wait returns its index and nil, and the next suspension
// returns the error.
func (b *Barrier) Wait(co *Co) (index int, err error) {
	if b == nil || b.n == 0 {
		panic("tinyio: Barrier.Wait: the Barrier is nil or zero; make it with NewBarrier")
	}
	c := co.enter("Barrier.Wait")
	if err := c.refused(co); err != nil {
		return 0, err
	}
	if int(b.waiters.length)+1 == b.n {
		for i := uint32(0); b.waiters.length > 0; i++ {
			b.waiters.pop().grant(i)
		}
		_ = co.suspendForTurn() // it has arrived, even if it is stopped now
		return b.n - 1, nil
	}
	c.answer = unserved
	c.run().endTurn(c, onBarrier)
	b.waiters.push(&c.one[0])
	if err := co.suspend(); c.answer == unserved {
		return 0, err
	}
	return int(c.answer), nil
}
