//go:build !amd64 || race

package publish

import "sync/atomic"

// A Count is a number. The zero Count is 0.
type Count struct{ n atomic.Int64 }

// Add adds d. It is for the writer.
func (c *Count) Add(d int64) { c.n.Store(c.n.Load() + d) }

// Set makes it n. It is for the writer.
func (c *Count) Set(n int64) { c.n.Store(n) }

// Load returns the number. Any goroutine may call it.
func (c *Count) Load() int64 { return c.n.Load() }

// A Pointer is a pointer to a T. The zero Pointer is nil.
type Pointer[T any] struct{ p atomic.Pointer[T] }

// Set makes it p. It is for the writer.
func (p *Pointer[T]) Set(v *T) { p.p.Store(v) }

// Load returns the pointer. Any goroutine may call it.
func (p *Pointer[T]) Load() *T { return p.p.Load() }

// CompareAndSwap makes it v if it is old. Any goroutine may call it, while nobody sets it.
func (p *Pointer[T]) CompareAndSwap(old, v *T) bool { return p.p.CompareAndSwap(old, v) }

// A Phase is a small number that any goroutine may change from what it was, as long as nobody sets it. The zero Phase is 0.
type Phase struct{ n atomic.Uint32 }

// Set makes it n. It is for the writer.
func (p *Phase) Set(n uint32) { p.n.Store(n) }

// Load returns the number. Any goroutine may call it.
func (p *Phase) Load() uint32 { return p.n.Load() }

// CompareAndSwap makes it n if it is old. Any goroutine may call it, while nobody sets it.
func (p *Phase) CompareAndSwap(old, n uint32) bool { return p.n.CompareAndSwap(old, n) }

// A Word is a number of the size of an address. The zero Word is 0.
type Word struct{ n atomic.Uintptr }

// Set makes it n. It is for the writer.
func (w *Word) Set(n uintptr) { w.n.Store(n) }

// Load returns the number. Any goroutine may call it.
func (w *Word) Load() uintptr { return w.n.Load() }
