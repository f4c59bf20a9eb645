package durable

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// A full disk can be freed by Forget and Compact, which have to write something before they can delete anything. So a journal has a file that
// is good for nothing else than to be deleted then. Nothing but what frees space is written while it is missing: so the space stays
// free for that.
//
// Its name tells how large it is: that of a segment, as soon as there is a full one, because Compact writes as much before it
// deletes what it has replaced.

// smallReserve is the size of the reserve of a journal that has no full segment.
const smallReserve = 64 << 10

// A reserve is space on the disk for what frees more of it.
type reserve struct {
	fs files

	mu      sync.Mutex
	size    int64 // of the file; 0 if there is none
	want    int64 // how large it is to be
	freeing bool  // the journal is being compacted: what is free is for that
}

const makingReserve = "reserve.tmp"

func reserveName(size int64) string { return fmt.Sprintf("reserve.%d", size) }

// found notes a file of that name in the directory, if it is a reserve. It reports whether the file is to be removed.
func (r *reserve) found(name string) (remove bool) {
	var size int64
	if name == makingReserve {
		return true
	}
	if n, err := fmt.Sscanf(name, "reserve.%d", &size); err != nil || n != 1 || name != reserveName(size) {
		return false
	}
	if r.size > 0 { // a larger one has come in the place of a smaller one
		return true
	}
	r.size, r.want = size, max(r.want, size)
	return false
}

// need makes sure that there is a reserve.
func (r *reserve) need() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.size > 0:
		return nil
	case r.freeing:
		return errors.New("durable: the disk is full, and Compact has not freed it yet")
	}
	return r.make()
}

// grow makes the reserve as large as a segment, if there is room. Otherwise it stays as it is.
func (r *reserve) grow(size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if size <= r.want || r.size == 0 {
		return
	}
	before := r.want
	r.want = size
	if r.make() != nil {
		r.want = before
	}
}

// make makes the file, of the size that is wanted. Who calls it holds mu.
func (r *reserve) make() error {
	size := max(r.want, smallReserve)
	err := r.write(size)
	if err == nil {
		err = r.fs.Rename(makingReserve, reserveName(size))
	}
	if err == nil {
		err = r.fs.Sync()
	}
	if err != nil {
		_ = r.fs.Remove(makingReserve)
		return fmt.Errorf("durable: cannot make the reserve that Forget and Compact need when the disk is full, and nothing is recorded without it: %w", err)
	}
	if r.size > 0 {
		_ = r.fs.Remove(reserveName(r.size)) // or Open does
	}
	r.size, r.want = size, size
	return nil
}

func (r *reserve) write(size int64) error {
	f, err := r.fs.Create(makingReserve)
	if err != nil {
		return err
	}
	block := make([]byte, smallReserve)
	noise := rand.NewChaCha8([32]byte{}) // which no file system stores in less
	for at := int64(0); at < size && err == nil; at += int64(len(block)) {
		noise.Read(block)
		_, err = f.WriteAt(block[:min(size-at, smallReserve)], at)
	}
	if err == nil {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close())
}

// spend deletes the file, and reports whether there was one.
func (r *reserve) spend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size == 0 || r.fs.Remove(reserveName(r.size)) != nil {
		return false
	}
	r.size = 0
	return true
}

// free is called when Compact begins and, with false, when it has ended.
func (r *reserve) free(begins bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.freeing = begins
	if !begins && r.size == 0 && r.want > 0 {
		_ = r.make() // need tries again
	}
}
