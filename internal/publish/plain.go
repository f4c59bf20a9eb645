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
