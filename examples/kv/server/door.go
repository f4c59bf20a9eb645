package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"

	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// A door lets other goroutines look at what belongs to the coroutines of a loop, while it is nobody's turn there. Who only looks need not wait
// for a turn: to wait costs an HTTP server more than to answer, because net/http begins to watch for the client to go as soon as a
// handler waits, and has to end that.
//
// It is the clock of the loop, because the loop calls its clock when no coroutine is ready, and waits then. Meanwhile the door is open.
type door struct {
	mu    sync.RWMutex // held by the loop, but while it has nothing to do
	asked atomic.Bool  // the loop is going to open the door in a turn
	shut  bool         // for good: the loop has ended
	timer *time.Timer
}

// newDoor returns a door that is closed, for a loop that has not begun.
func newDoor() *door {
	d := new(door)
	d.mu.Lock()
	return d
}

// Now implements [hook.Clock].
func (d *door) Now() time.Time { return time.Now() }

// Idle implements [hook.Idler].
func (d *door) Idle(p hook.Pause) (possible bool) {
	var due <-chan time.Time // never, if there is no deadline
	if !p.Deadline.IsZero() {
		left := time.Until(p.Deadline)
		if left <= 0 {
			return true
		}
		if d.timer == nil {
			d.timer = time.NewTimer(left)
		} else {
			d.timer.Reset(left)
		}
		defer d.timer.Stop()
		due = d.timer.C
	}
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-p.Wake:
	case <-due:
	}
	return true
}

// look calls fn while the door is open. It calls ask if the loop has to be asked to open it, in a turn of a coroutine whose function is open. It must not change anything, nor block: several may look at the same time, and the loop stands still. If
// the loop is busy, it is asked for a turn in which it lets in all who are waiting by then.
func (d *door) look(ask func() error, fn func()) error {
	if !d.mu.TryRLock() {
		if d.asked.CompareAndSwap(false, true) {
			if ask() != nil {
				return web.ErrStopping
			}
		}
		d.mu.RLock()
	}
	defer d.mu.RUnlock()
	if d.shut {
		return web.ErrStopping
	}
	fn()
	return nil
}

// open is a turn in which the door is open. A mutex lets in all who wait for it before the loop has it back.
func (d *door) open(*tinyio.Co) error {
	d.asked.Store(false)
	d.mu.Unlock()
	d.mu.Lock()
	return nil
}

// end shuts the door for good, when the loop has ended. Those that still wait there get an error.
func (d *door) end() {
	d.shut = true
	d.mu.Unlock()
}
