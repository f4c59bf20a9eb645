package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/renameio/v2"
)

// errDisk is what the errors are of the directory, as opposed to those of the site.
var errDisk = errors.New("cannot write")

// A store is the directory in which the files are. An [os.Root] sees to it that nothing is written outside, whatever the names
// and the symbolic links in it are.
type store struct {
	root   *os.Root
	owners map[string]string // of each file, the address whose content it has; of each directory, ""
}

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &store{root, make(map[string]string)}, nil
}

func (s *store) close() { s.root.Close() }

// claim takes a name for the page at an address, and returns it. If it is that of another page, or of a directory, it takes one
// that is like it. It is an error if the name cannot be had because one of its directories is the file of another page.
func (s *store) claim(name, address string) (string, error) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if owner := s.owners[dir]; owner != "" {
			return "", fmt.Errorf("its file would be %s, and %s is that of %s", name, dir, owner)
		}
	}
	wanted := name
	for n := 2; ; n++ {
		owner, taken := s.owners[name]
		if taken && owner == address {
			return name, nil // it was claimed by an earlier try
		}
		if !taken {
			break
		}
		extension := path.Ext(wanted)
		name = fmt.Sprintf("%s~%d%s", strings.TrimSuffix(wanted, extension), n, extension)
	}
	s.owners[name] = address
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		s.owners[dir] = ""
	}
	return name, nil
}

// write writes a file, all of it or none: nothing is seen of it before copy has returned nil. It returns its size. What goes
// wrong in the directory is permanent, and errDisk.
func (s *store) write(name string, copy func(w io.Writer) error) (size int64, err error) {
	disk := func(err error) error { return backoff.Permanent(fmt.Errorf("%w: %w", errDisk, err)) }
	if err := s.root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return 0, disk(err)
	}
	f, err := renameio.NewPendingFile(name, renameio.WithRoot(s.root), renameio.WithPermissions(0o666))
	if err != nil {
		return 0, disk(err)
	}
	defer f.Cleanup()
	w := &counter{w: f}
	if err := copy(w); w.err != nil {
		return 0, disk(w.err)
	} else if err != nil {
		return 0, err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return 0, disk(err)
	}
	return w.n, nil
}

// A counter counts what is written to w, and keeps the error of that, to tell it from those of reading.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.err = err
	return n, err
}

// fileName is the name of the file for the page at u, below the directory of the mirror. Few addresses have the same one: those
// for which index.html or the extension .html is added, and those that end with it.
func fileName(u *url.URL, isHTML bool) string {
	segments := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	last := len(segments) - 1
	for i, s := range segments {
		segments[i] = escape(s)
		if s == "" && i == last {
			segments[i] = "index.html"
		} else if s == "" {
			segments[i] = "%" // no other segment is that
		}
	}
	name := &segments[last]
	if u.RawQuery != "" {
		*name += "%3F" + escape(u.RawQuery)
	}
	if isHTML && path.Ext(*name) != ".html" && path.Ext(*name) != ".htm" {
		*name += ".html"
	}
	for i, s := range segments {
		if len(s) > 200 { // files systems have limits, of 255 bytes most of them
			segments[i] = fmt.Sprintf("%s%%%x%s", s[:150], sha256.Sum256([]byte(s)), path.Ext(s)[:min(len(path.Ext(s)), 10)])
		}
	}
	return path.Join(segments...)
}

// escape is s as a part of a path that means nothing but itself, on any system.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == 0x7f || strings.IndexByte(`/\:*?"<>|%`, c) >= 0 || c == '.' && (s == "." || s == "..") {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
