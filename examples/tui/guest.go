package main

import (
	"errors"
	"iter"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/tinyio-go/tinyio"
)

// turnsInUpdate is how many turns are taken in one update. So a key that is pressed waits for that many, however many coroutines are ready.
const turnsInUpdate = 500

// A guest is a run of coroutines inside a Bubble Tea program. Bubble Tea's loop is the host: it calls update when it gets a
// turnMsg, and update takes some turns. There is one turnMsg under way at a time: as long as coroutines are ready it comes back at once, behind what
// else has happened, and otherwise when there is something to do. So everything that the coroutines and the model share is touched by
// one of them at a time.
type guest struct {
	next  func() (tinyio.Pause, bool)
	stop  func()
	asked []tea.Cmd     // by coroutines, in this update
	left  chan struct{} // closed when Bubble Tea's loop has ended

	turns, updates, most int // most is the largest number of turns in one update
}

// A turnMsg says that it is time to take turns.
type turnMsg struct{}

// newGuest makes a guest of the steps of a run. Bubble Tea calls, and is not called, so that it cannot range over them: [iter.Pull] turns the
// range around.
func newGuest(steps iter.Seq[tinyio.Pause]) *guest {
	g := &guest{left: make(chan struct{})}
	g.next, g.stop = iter.Pull(steps)
	return g
}

// update takes turns until nobody is ready, but not too many. It returns what Bubble Tea is to do next, and whether the run goes on.
func (g *guest) update() (cmd tea.Cmd, goesOn bool) {
	g.updates++
	var pause tinyio.Pause
	for n := 1; n <= turnsInUpdate && !pause.Blocked; n++ {
		if pause, goesOn = g.next(); !goesOn {
			return nil, false
		}
		g.turns++
		g.most = max(g.most, n)
	}
	asked := g.asked
	g.asked = nil
	return tea.Batch(append(asked, g.wait(pause))...), true
}

// wait is the command that brings the next turnMsg.
func (g *guest) wait(p tinyio.Pause) tea.Cmd {
	return func() tea.Msg {
		if !p.Blocked {
			return turnMsg{}
		}
		var due <-chan time.Time
		if !p.Deadline.IsZero() {
			due = time.After(time.Until(p.Deadline))
		}
		select {
		case <-due:
		case <-p.Wake:
		case <-g.left:
		}
		return turnMsg{}
	}
}

// leave ends the run if it has not ended: it cancels everything and waits until it has stopped. It is called when Bubble Tea's loop has ended.
func (g *guest) leave() {
	close(g.left)
	g.stop()
}

// do has Bubble Tea run cmd. When its loop has ended, clean-up may still ask for something: then do runs it.
func (g *guest) do(cmd tea.Cmd) {
	select {
	case <-g.left:
		cmd()
	default:
		g.asked = append(g.asked, cmd)
	}
}

// command returns a coroutine that has Bubble Tea run fn as a command, in a goroutine of Bubble Tea's, and waits for what it brings back.
// If the coroutine is stopped before that, interrupt is called, which is to see to it that fn returns.
func command[T any](g *guest, interrupt func(cause error), fn func() (T, error)) *tinyio.Coro[T] {
	return tinyio.FromCallback(func(done func(T, error)) (cancel func(cause error)) {
		var zero T
		var begun atomic.Bool
		g.do(func() tea.Msg {
			if begun.Swap(true) {
				return nil
			}
			defer done(zero, errPanicked) // which is too late to count, unless fn panics
			done(fn())                    // sends to Wake, which brings the turnMsg: no message of its own is needed
			return nil
		})
		return func(cause error) {
			interrupt(cause)
			if !begun.Swap(true) { // nor will it: Bubble Tea's loop may have ended before it got there
				done(zero, cause)
			}
		}
	})
}

// errPanicked is what waits for a command learns of its panic, which Bubble Tea reports.
var errPanicked = errors.New("the command has panicked")
