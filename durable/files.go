package durable

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// files is what a journal needs of a directory. Tests stand in for a disk that is full, or that fails.
type files interface {
	List() ([]string, error)
	Read(name string) ([]byte, error)
	Create(name string) (file, error) // which must not exist
	Open(name string) (file, error)
	Rename(from, to string) error
	Remove(name string) error
	Sync() error // the directory itself
}

type file interface {
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// A directory is files on a disk.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

func (d directory) List() (names []string, err error) {
	entries, err := os.ReadDir(string(d))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (d directory) Read(name string) ([]byte, error) { return os.ReadFile(d.path(name)) }

func (d directory) Create(name string) (file, error) {
	return os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d directory) Open(name string) (file, error) { return os.OpenFile(d.path(name), os.O_WRONLY, 0) }

func (d directory) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d directory) Remove(name string) error { return os.Remove(d.path(name)) }

// Sync makes sure that files that were created or renamed are found after the machine has lost power. Windows sees to that itself.
func (d directory) Sync() error {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" || runtime.GOOS == "js" {
		return nil
	}
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
