// Package publish has variables that one goroutine at a time writes, and any goroutine may read at any time. To write one costs no more
// than to write a plain variable.
//
// The package sync/atomic has no such store for amd64: its Store is an exchange, which waits until all earlier stores have left the
// processor. That is 5 ns and more, of which a turn would pay four. A store that only comes after the earlier ones is a plain one
// there. So for amd64 the types are written with plain stores and read with atomic loads; everywhere else, and under the race
// detector, with package atomic, whose Store costs less on other processors.
//
// Whoever reads a value also sees what was written before it, as with package atomic. Stores to two variables are seen in their order.
package publish
