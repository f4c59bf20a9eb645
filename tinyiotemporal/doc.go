// Package tinyiotemporal runs the programs of package durable on Temporal: each run of a program is a workflow.
//
// A worker runs all programs that are registered. To start runs, to signal them or to wait for them, use an [Engine]:
//
//	w := worker.New(c, "orders", worker.Options{})
//	tinyiotemporal.Register(w)
//
//	engine := tinyiotemporal.NewEngine(c, "orders")
//	run, err := durable.Start[Order, string](ctx, engine, "order", "order 1", Order{"shoes", 80})
//
// What a program does is what it does on any engine of package durable:
//
//   - The functions of a durable.Step, a Call, a RunInThread or a pool are local activities: they run in the worker that drives the program,
//     and what they return is in the history when the task of the workflow has ended; see [WithRecordedSteps]. What takes long, has to run elsewhere, or is
//     to be tried again by the service, is an [Activity].
//   - A signal of Temporal is what durable.Receive receives, whoever has sent it.
//   - A durable.Child is a child workflow, and durable.Version is GetVersion.
//   - The cancellation of the workflow is the end of the context of the program.
//   - A program may answer queries ([Query]) and updates ([Update]), and begin anew with an empty history ([ContinueAsNew]). The query
//     "coroutines" tells what each coroutine is doing.
//
// # Invariants of the driver
//
//  1. All calls of the SDK that make commands are made on the workflow's own goroutine, between two steps of the loop: for one that panics
//     must not come up through a coroutine, and one that waits must not keep the loop in the middle of a turn. GetVersion, which answers
//     at once, is the exception, and a panic in it is kept until the step is over.
//  2. The program hears of something from outside only when none of its coroutines is ready, and in an order that depends on nothing but
//     the history.
//  3. Time stands still in between. A timer that is due before something has come fires before that, at exactly its deadline.
//  4. When the SDK puts a workflow out of memory, or one of its calls panics, the program is unwound without being able to act.
package tinyiotemporal
