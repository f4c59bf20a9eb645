// Package tinyio runs many things at once that stop together.
//
// A coroutine is a function that waits without blocking the others. Coroutines run on a loop, one at a time, so they share
// plain maps and structs without a mutex. An error in any of them stops all of them, each with time to clean up, and comes
// out of [Run], which returns when everything that it started has stopped: no goroutine is left behind.
//
//	fetch := func(page string) *tinyio.Coro[int] {
//		return tinyio.New(func(co *tinyio.Co) (int, error) {
//			if err := co.Sleep(10 * time.Millisecond); err != nil { // others run meanwhile
//				return 0, err
//			}
//			return len(page), nil
//		})
//	}
//	both := tinyio.New(func(co *tinyio.Co) ([]int, error) {
//		return tinyio.Gather(co, fetch("home"), fetch("about"))
//	})
//	sizes, err := tinyio.Run(context.Background(), both) // after 10 milliseconds, not 20
//	fmt.Println(sizes, err)
//
// # Coroutines
//
// A [Coro] is a value: it stands for one run of its function and for the result. It begins when somebody first awaits,
// gathers, spawns or runs it. It runs once. Everybody who awaits it, at the same time or later, gets the same result.
//
// The function is given a [Co], through which it waits: [Co.Sleep], [Coro.Await], [Gather], [Event.Wait] and so on. These
// calls suspend the coroutine and let others run. Between two of them nobody else runs. Ordinary functions that take a Co are
// the way to share code; a Coro is for what runs at the same time as something else, or is wanted more than once.
//
// A [Queue] passes values from coroutines to coroutines. [Recv] and [Send] are for channels, at whose other end is a
// goroutine, and [Submit] runs a coroutine for a goroutine on a loop that is running.
//
// What blocks belongs in a goroutine of its own: [Call] calls a function there and waits for it, and [RunInThread] makes a
// coroutine of it. Such a goroutine is called a thread here, to tell it from a coroutine.
//
// # Order
//
// Coroutines that are ready stand in one queue, first in, first out. Every suspension goes through this ready queue, even
// when what it waits for is there already, so everybody gets a turn. (An Acquire of a free permit does not suspend, nor does
// a Put or a Get that a [Queue] can serve at once; but every 64th of these in one turn does.) Timers fire in the order of
// their deadlines, and those with the same deadline in the order in which they were set. So the interleaving depends on
// nothing but what comes from outside: time, threads, and what other goroutines do.
//
// # Failure
//
// When a coroutine returns an error, every other coroutine of the loop is cancelled: its current wait, and every later
// one, returns a [*CancelledError]. Return that error, and let deferred functions clean up. A coroutine that was waiting for
// others gets its error only when they have stopped, so a parent never closes what its children still use. A coroutine
// that has not begun never runs. The context of a thread is done, with the error as its cause. When all have stopped, Run
// returns the error, as an [*Error] with the await chain: which coroutine waited for which, at which line.
//
// A cancelled coroutine has stopped cleanly if it returns nil, or an error that says only that it was cancelled: each leaf of
// the error is a cancellation, or the error that it was cancelled for. Any other error is a clean-up error. It goes to
// whoever caused the stop. After a crash, Run returns an [*ErrorGroup] with the original error first, see [GroupMode]. A
// [Timeout] and a [Coro.Cancel] return it as part of their own error.
//
// When the context given to Run is done, everything is cancelled with [context.Cause] of it. A panic stops everything, and
// then Run panics with a [*PanicError]. To wait during clean-up, use [Co.Shield].
//
// Errors of [Call], [Isolate], [First], [Timeout] and [Coro.Cancel] are values, which can be handled where they appear. An
// error of any other wait means that the coroutine itself is being stopped.
//
// [Isolate] runs a coroutine as a crash domain of its own. [First] races several coroutines and stops the losers. [Timeout]
// stops a coroutine that takes too long, and [Coro.Cancel] one that is not wanted any more, each together with what only
// that coroutine was waiting for.
//
// # Guarantees
//
//   - One coroutine of a loop runs at a time.
//   - A coroutine runs at most once, and its result stays with it.
//   - Run returns when every coroutine and every thread that it started has stopped.
//   - No error is lost: it comes out of Run, or of the call that caused or contained it. Two things drop errors: [GroupNever],
//     all but the original one; and [First], those of the losers.
//   - A coroutine that is being stopped gets its error only after those that it waits for have stopped.
//   - A coroutine that ignores this error is unwound in the end, so it cannot hang the loop. (A thread that ignores its context
//     can: nothing in Go stops a goroutine from outside.)
//   - A wait that would close a cycle of coroutines waiting for each other returns a [*CycleError] at once.
//   - With the same inputs, the interleaving is the same.
//
// # Loops and goroutines
//
// A coroutine belongs to the loop on which it first ran. Everything here is for coroutines of one loop, with these exceptions,
// which may be used from any goroutine: Set, Clear and IsSet of an [Event], [Coro.Value], [Coro.Finished], [Submit],
// [Loop.Post], [Loop.Snapshot], [Loop.Stats], [Loop.Running], and the methods of a Co as a context. All other methods of a Co
// are for the function that it was given to, and panic elsewhere.
//
// # Time
//
// With [WithVirtualTime] a loop skips the time in which nothing happens, for tests and simulations. With [Start] a host,
// such as a game or a graphical interface, takes the steps of the loop, and [WithClock] gives the loop the host's time.
package tinyio
