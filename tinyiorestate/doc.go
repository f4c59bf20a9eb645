// Package tinyiorestate runs the programs of package durable on a Restate server: https://restate.dev.
//
// The programs are those that are registered with package durable, and they are written, started, signalled and cancelled as with a
// [durable.Journal]. What differs is where they are kept: in the journal of a server, so that several processes on several machines can serve
// them, and a run goes on in whichever of these is there.
//
//	e, err := tinyiorestate.Open(tinyiorestate.Config{Service: "shop"}) // serves the programs on localhost:9080
//	err = e.Register(ctx)                                               // tells the server so
//	run, err := durable.Start[Order, string](ctx, e, "order", "order 1", Order{"shoes", 80})
//
// A run is a workflow of Restate: its key is the id of the run, and it is seen and handled with all tools of Restate. A step is a Run
// of the SDK with the name of the step, a timer is a durable timer, and a child is a workflow of its own. When everything that a run waits
// for is far away, the server lets go of it, and it takes no memory anywhere; when something comes, the program is replayed.
//
// # From elsewhere
//
// Whoever can make an HTTP request to the ingress of the server can use the programs too:
//
//	POST /shop/{id}/run/send  {"program": "order", "input": {"Item": "shoes", "Amount": 80}}
//	POST /shop/{id}/send      {"signal": "payment", "value": "80 euros"}
//	GET  /restate/workflow/shop/{id}/attach
package tinyiorestate
