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
// gathers, spawns or runs it. It runs once. Whoever awaits it, at the same time or later, gets the same result.
//
// The function is given a [Co], through which it waits: [Co.Sleep], [Coro.Await], [Gather], [Event.Wait] and so on. These
// calls suspend the coroutine and let others run. Between two of them nobody else runs. Ordinary functions that take a Co are
// the way to share code; a Coro is for what runs at the same time as something else, or is wanted more than once.
//
// A [Queue] passes values from coroutines to coroutines. [Recv] and [Send] are for channels, at whose other end is a
// goroutine, and [Submit] runs a coroutine for a goroutine on a loop that is running.
//
// What blocks belongs in a goroutine of its own: [Call] calls a function there and waits for it, and [RunInThread] makes a coroutine of it. Such a
// goroutine is called a thread here, to tell it from a coroutine.
//
// # Order
//
// Coroutines that are ready wait in one queue, first in, first out. Every suspension goes through it, even when what is
// waited for is there already, so everybody gets a turn. (To acquire a permit that is free, and to put into a
// [Queue] or get from it without having to wait, is not a suspension, but for every 64th time in one turn.)
// Timers fire in the order of their deadlines, and those with the same deadline in the order in which they were set. So
// the interleaving depends on nothing but what comes from outside: time, threads, and what other goroutines do.
//
// # Failure
//
// When a coroutine returns an error, every other coroutine of the loop is cancelled: its current wait, and every later
// one, returns a [*CancelledError]. Return that error, and let deferred functions clean up. A coroutine that was waiting for
// others hears of it when they have stopped, so a parent never closes what its children still use. A coroutine that has
// not begun never does. The context of a thread is done, with the error as its cause. Then Run returns the error, as an
// [*Error] that knows who waited for whom.
//
// A coroutine that was cancelled has stopped cleanly if it returns nil, or an error that says only that: each of its leaves is a cancellation,
// or the error that it was cancelled for. Anything else is a clean-up error, and goes to whoever caused the stop: of a crash, Run returns an
// [*ErrorGroup] with the original error first, see [GroupMode]; of a [Timeout] or a Cancel, it is in the error that this returns.
//
// When the context given to Run is done, everything is cancelled with [context.Cause] of it. A panic stops everything, and
// then Run panics with a [*PanicError]. To wait during clean-up, use [Co.Shield].
//
// Errors of [Call], [Isolate], [First], [Timeout] and [Coro.Cancel] are values, which can be handled where they appear. An error of any
// other wait means that the coroutine itself is being stopped.
//
// [Isolate] runs a coroutine as a crash domain of its own. [First] races several and stops those that have lost. [Timeout] stops a
// coroutine that takes too long, and [Coro.Cancel] one that is not wanted any more, each with whatever only that one was waiting for.
//
// # Guarantees
//
//   - One coroutine of a loop runs at a time.
//   - A coroutine runs at most once, and its result stays with it.
//   - Run returns when every coroutine and every thread that it started has stopped.
//   - No error is lost: it comes out of Run, or of the call that caused or contained it, unless [GroupNever] asks for the first one alone,
//     or another one has won a [First].
//   - A coroutine is told to stop only after those that it waits for have stopped.
//   - A coroutine that ignores this is unwound in the end, so it cannot hang the loop. (A thread that ignores its context
//     can: nothing in Go stops a goroutine from outside.)
//   - Coroutines that wait for each other in a circle get a [*CycleError] at once.
//   - With the same inputs, the interleaving is the same.
//
// # What belongs to whom
//
// A coroutine belongs to the loop on which it first ran. Everything here is for coroutines of one loop, with the exception
// of the methods Set, Clear and IsSet of an [Event], [Coro.Value], [Coro.Finished], [Submit], [Loop.Post], [Loop.Snapshot], [Loop.Stats] and
// [Loop.Running], and the context that a Co is: these may be used from any goroutine.
// A Co is for the function that it was given to, and panics elsewhere.
//
// # Time
//
// With [WithVirtualTime] a loop skips the time in which nothing happens, for tests and simulations. [Start] leaves the
// steps to a host, such as a game or a graphical interface, and [WithClock] gives the loop the host's time.
package tinyio
