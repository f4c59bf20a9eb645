// Package debug serves a page on which the loops of a running program can be looked into: who waits for whom and where, threads, timers,
// counters, and the stack of a coroutine that keeps all others from running.
//
// Like net/http/pprof it is linked in for its side effect. It registers /debug/tinyio with [http.DefaultServeMux]:
//
//	import _ "github.com/tinyio-go/tinyio/debug"
//
// If the program does not run a server already, start one, on an address that only you can reach, for the page shows names and
// errors of the program:
//
//	go func() { log.Println(http.ListenAndServe("localhost:6060", nil)) }()
//
// With another mux, give it [Handler].
//
// The page needs no script; where there is one, it is brought up to date every second. Queries:
//
//	?debug=1        as text
//	?format=json    as JSON; also dot, for Graphviz, and events, for an EventSource
//	?run=3          one run; without it, all of them
//	?from=0&n=1000  some of the rows of the tree
//	?lint=TIO1      what a finding means and what to do about it; all of them for an empty one
//
// The page answers while a loop is stuck, in a call or in an endless loop: that loop is shown in red, with the stack of the goroutine
// whose turn it is. The page can change nothing.
//
// What it costs: a program that links it pays for two entries of a map for each run and for one of each queue that may hold 1,000 values, and
// for a sample of one in 16 of the coroutines that are made: where that is, and whether it starts. It pays for nothing else until somebody asks. To ask
// has the loop tell what each coroutine does, which takes it a few microseconds for each, between two turns. To ask a loop that is stuck
// stops the whole program for about 20 µs for each of its goroutines, at most every ten seconds.
package debug
