package durable_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// open opens a journal in dir, and closes it at the end of the test.
func open(t *testing.T, dir string, opts ...durable.Option) *durable.Journal {
	t.Helper()
	j, err := durable.Open(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeJournal(t, j) })
	return j
}

func closeJournal(t *testing.T, j *durable.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// recoverAll lets all runs go on.
func recoverAll(t *testing.T, j *durable.Journal) {
	t.Helper()
	if err := j.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func start[Out, In any](t *testing.T, j *durable.Journal, program, id string, in In) *durable.Run[Out] {
	t.Helper()
	r, err := durable.Start[In, Out](t.Context(), j, program, id, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want checks the result of a run.
func want[Out comparable](t *testing.T, j *durable.Journal, id string, v Out) {
	t.Helper()
	got, err := durable.Find[Out](j, id).Result(t.Context())
	if err != nil || got != v {
		t.Errorf("the result of %s is %v, %v; want %v", id, got, err, v)
	}
}

// infoOf is what a journal knows of a run.
func infoOf(t *testing.T, j *durable.Journal, id string) durable.Info {
	t.Helper()
	for info, err := range j.Runs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if info.ID == id {
			return info
		}
	}
	t.Fatalf("there is no run %s", id)
	return durable.Info{}
}

// copyDir copies the files of a journal, as they are.
func copyDir(t *testing.T, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// segments are the files of a journal that hold records, in order.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.journal"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A faultyDisk is files on a disk that can be full, or fail.
type faultyDisk struct {
	durable.Files
	dir      string
	mu       sync.Mutex
	space    int   // bytes until it is full; negative is no limit
	renames  int   // that succeed; negative is no limit
	sync     error // what Sync fails with
	truncate error
	remove   error
	gate     chan struct{} // writes wait until it is closed
}

func newDisk(dir string) *faultyDisk {
	return &faultyDisk{Files: durable.Directory(dir), dir: dir, space: -1, renames: -1}
}

func (d *faultyDisk) set(f func(d *faultyDisk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
}

func (d *faultyDisk) Create(name string) (durable.File, error) {
	f, err := d.Files.Create(name)
	return &faultyFile{f, d, name}, err
}

func (d *faultyDisk) Open(name string) (durable.File, error) {
	f, err := d.Files.Open(name)
	return &faultyFile{f, d, name}, err
}

func (d *faultyDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.remove != nil {
		return d.remove
	}
	d.free(name, 0)
	return d.Files.Remove(name)
}

func (d *faultyDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.renames == 0 {
		return errTest
	}
	d.renames--
	d.free(to, 0)
	return d.Files.Rename(from, to)
}

// free gives back what a file has that is about to be shorter.
func (d *faultyDisk) free(name string, size int64) {
	info, err := os.Stat(filepath.Join(d.dir, name))
	if err == nil && d.space >= 0 {
		d.space += int(max(info.Size()-size, 0))
	}
}

type faultyFile struct {
	durable.File
	d    *faultyDisk
	name string
}

func (f *faultyFile) WriteAt(b []byte, at int64) (int, error) {
	f.d.mu.Lock()
	if gate := f.d.gate; gate != nil {
		f.d.mu.Unlock()
		<-gate
		f.d.mu.Lock()
	}
	defer f.d.mu.Unlock()
	if f.d.space >= 0 {
		if f.d.space < len(b) {
			n, _ := f.File.WriteAt(b[:f.d.space], at) // what fits
			f.d.space = 0
			return n, &os.PathError{Op: "write", Path: "journal", Err: syscall.ENOSPC}
		}
		f.d.space -= len(b)
	}
	return f.File.WriteAt(b, at)
}

func (f *faultyFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.sync != nil {
		return f.d.sync
	}
	return f.File.Sync()
}

func (f *faultyFile) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.truncate != nil {
		return f.d.truncate
	}
	f.d.free(f.name, size)
	return f.File.Truncate(size)
}

// do makes a program without an input.
func do[Out any](name string, body func(co *tinyio.Co) (Out, error)) {
	durable.Register(name, func(struct{}) *tinyio.Coro[Out] { return tinyio.New(body).Named(name) })
}

// value is a step that returns v.
func value[T any](co *tinyio.Co, name string, v T) (T, error) {
	return durable.Step(co, name, func(context.Context) (T, error) { return v, nil })
}

var errTest = errors.New("an error of the test")
