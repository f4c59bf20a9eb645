//go:build amd64 && !race

package publish

import (
	"sync/atomic"
	"unsafe"
)

// A Count is a number. The zero Count is 0.
type Count struct{ n int64 }

// Add adds d. It is for the writer.
func (c *Count) Add(d int64) { c.n += d }

// Set makes it n. It is for the writer.
func (c *Count) Set(n int64) { c.n = n }

// Load returns the number. Any goroutine may call it.
func (c *Count) Load() int64 { return atomic.LoadInt64(&c.n) }

// A Pointer is a pointer to a T. The zero Pointer is nil.
type Pointer[T any] struct{ p *T }

// Set makes it p. It is for the writer.
func (p *Pointer[T]) Set(v *T) { p.p = v }

// Load returns the pointer. Any goroutine may call it.
func (p *Pointer[T]) Load() *T {
	return (*T)(atomic.LoadPointer((*unsafe.Pointer)(unsafe.Pointer(&p.p))))
}

// CompareAndSwap makes it v if it is old. Any goroutine may call it, while nobody sets it.
func (p *Pointer[T]) CompareAndSwap(old, v *T) bool {
	return atomic.CompareAndSwapPointer((*unsafe.Pointer)(unsafe.Pointer(&p.p)), unsafe.Pointer(old), unsafe.Pointer(v))
}

// A Phase is a small number that any goroutine may change from what it was, as long as nobody sets it. The zero Phase is 0.
type Phase struct{ n uint32 }

// Set makes it n. It is for the writer.
func (p *Phase) Set(n uint32) { p.n = n }

// Load returns the number. Any goroutine may call it.
func (p *Phase) Load() uint32 { return atomic.LoadUint32(&p.n) }

// CompareAndSwap makes it n if it is old. Any goroutine may call it, while nobody sets it.
func (p *Phase) CompareAndSwap(old, n uint32) bool { return atomic.CompareAndSwapUint32(&p.n, old, n) }

// A Word is a number of the size of an address. The zero Word is 0.
type Word struct{ n uintptr }

// Set makes it n. It is for the writer.
func (w *Word) Set(n uintptr) { w.n = n }

// Load returns the number. Any goroutine may call it.
func (w *Word) Load() uintptr { return atomic.LoadUintptr(&w.n) }
