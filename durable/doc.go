// Package durable runs programs of coroutines that outlive the process.
//
// A program of coroutines is deterministic but for what comes from outside: time, the results of threads, what others send to it. A
// [Journal] writes these down before the program hears of them. After a crash the program is run again from its beginning, gets the same
// answers at once, comes to where it was, and goes on. Nothing of it is saved, neither stacks nor variables, and it is written as
// any other program of package tinyio:
//
//	durable.Register("greet", func(name string) *tinyio.Coro[string] {
//		return tinyio.New(func(co *tinyio.Co) (string, error) {
//			if err := co.Sleep(24 * time.Hour); err != nil {
//				return "", err
//			}
//			return durable.Step(co, "send", func(ctx context.Context) (string, error) { return send(ctx, name) })
//		})
//	})
//
//	j, err := durable.Open("journal")
//	…
//	err = j.Recover(ctx) // those of the last process go on
//	run, err := durable.Start[string, string](ctx, j, "greet", "greet Ada", "Ada")
//	text, err := run.Result(ctx)
//
// # In a program
//
// Sleep, Timeout, Every and all other timers are durable: they end at the time at which they would have ended without a crash, or at once if
// that is past. The function of a RunInThread, a Call, or a function in a pool is a step: its result is recorded, and a
// replay returns that and does not call it. [Step] gives it a name and a key, and [WithRetry] has it called again when it fails. [Receive] takes what [Signal] sends. [Now], [Random]
// and [NewUUID] are the same in a replay. [Child] starts another run. Everything else of package tinyio works as it does: Gather, Isolate,
// First, queues, events, and clean-up in a Shield, which is how a step that has been taken is undone.
//
// # What a program must not do
//
// Between its steps a program must do the same when it is run again: not read the time but by [Now], draw random numbers but by [Random],
// range over a map where the order matters, or look at variables that others change. It must hear of nothing that is not recorded:
// FromCallback, Recv and Send, and an Event that a thread sets, are noticed in many cases and stop the run.
//
// # Guarantees
//
//   - A run that was started goes on to its end, as often as the process ends on its way.
//   - The result of a step is recorded once, and every replay sees that one.
//   - The effect of a step happens at least once: a process may end between the effect and the record. A service that is given [Key] can make it
//     once.
//   - What is recorded is on the disk before the program, or whoever has sent it, hears of it.
//   - A program that does not do what it did is stopped with a [*NondeterminismError] before it does anything else.
package durable
