// Package tinyionet is networking for coroutines of [tinyio]: connections whose reads and writes others run beside, servers that give each
// connection, or each HTTP request, a coroutine of its own, and dialing.
//
// All of it is part of the loop that it is called on. When a coroutine is stopped, so is what it does on the network, children first; and
// when [tinyio.Run] has returned, nothing is left.
//
// # What is stopped, and which error says so
//
// A read, a write, an accept and a dial are waits like any other: when the coroutine is stopped meanwhile, they return its own error, the
// [*tinyio.CancelledError] or [*tinyio.TimeoutError] that every wait returns then, and not that some deadline has passed. What has been
// read or written by then stands, and is told beside it. All other errors are values of the network, and crash nobody by themselves.
//
// # Platforms
//
// Package net tells what can be had where. On js/wasm there is a network only inside the process.
package tinyionet
