package durable

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
)

// A store is the segments of a journal on the disk, and the one goroutine that writes them.
type store struct {
	dir     string
	fs      files
	max     int64 // how long a segment gets
	reserve reserve

	mu       sync.Mutex
	queue    []*commit
	wake     chan struct{}
	closed   bool
	segments []segment // in order; the last one is the one that is written to
	ended    chan struct{}

	// Of the goroutine that writes.
	buf    []byte
	active file
	size   int64 // of the active segment, as far as it has been acknowledged
	broken error // what is in the file is not known: it has to be opened again
	rolled func()
}

// A commit is frames that are to be on the disk before anything else happens; without any, a new segment is to be begun.
type commit struct {
	frames []byte
	frees  bool // it is for what frees space on the disk
	done   chan error
}

// A segment is the name of a file: the numbers of the first and the last segment that it takes the place of.
type segment struct{ first, last uint64 }

func (s segment) String() string { return fmt.Sprintf("%010d-%010d.journal", s.first, s.last) }

func parseSegment(name string) (s segment, ok bool) {
	n, err := fmt.Sscanf(name, "%d-%d.journal", &s.first, &s.last)
	return s, err == nil && n == 2 && s.String() == name
}

const compacting = "compacting.tmp"

// openStore finds the segments of a directory. Those that a compaction has replaced, and not come to remove, are removed.
func openStore(dir string, fs files, max int64) (*store, error) {
	names, err := fs.List()
	if err != nil {
		return nil, fmt.Errorf("durable: Open: %w", err)
	}
	s := &store{dir: dir, fs: fs, max: max, wake: make(chan struct{}, 1), ended: make(chan struct{}), reserve: reserve{fs: fs}}
	for _, name := range names {
		if g, ok := parseSegment(name); ok {
			s.segments = append(s.segments, g)
		} else if s.reserve.found(name) || name == compacting {
			if err := fs.Remove(name); err != nil {
				return nil, fmt.Errorf("durable: Open: %w", err)
			}
		}
	}
	slices.SortFunc(s.segments, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last)) // of two that begin with the same, the longer one first
	})
	kept := s.segments[:0]
	for _, g := range s.segments {
		if n := len(kept); n > 0 && g.last <= kept[n-1].last {
			if err := fs.Remove(g.String()); err != nil {
				return nil, fmt.Errorf("durable: Open: %w", err)
			}
			continue
		}
		kept = append(kept, g)
	}
	s.segments = kept
	return s, nil
}

// path is the name of a segment for people.
func (s *store) path(g segment) string { return filepath.Join(s.dir, g.String()) }

// begin opens the last segment for writing, which ends at end, and starts the goroutine that writes.
func (s *store) begin(end int64) error {
	if len(s.segments) == 0 {
		if err := s.create(segment{1, 1}); err != nil {
			return err
		}
	} else {
		f, err := s.fs.Open(s.segments[len(s.segments)-1].String())
		if err != nil {
			return fmt.Errorf("durable: Open: %w", err)
		}
		s.active, s.size = f, end
		err = f.Truncate(end)
		if err == nil && end < int64(len(magic)) {
			_, err = f.WriteAt([]byte(magic), 0)
			s.size = int64(len(magic))
		}
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			f.Close()
			return fmt.Errorf("durable: Open: %w", err)
		}
	}
	go s.write()
	return nil
}

// create makes a new segment the active one.
func (s *store) create(g segment) error {
	f, err := s.fs.Create(g.String())
	if err != nil {
		return fmt.Errorf("durable: cannot begin a segment: %w", err)
	}
	_, err = f.WriteAt([]byte(magic), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.fs.Sync()
	}
	if err != nil {
		f.Close()
		_ = s.fs.Remove(g.String()) // or it is found empty by the next create, which says so
		return fmt.Errorf("durable: cannot begin a segment: %w", err)
	}
	s.mu.Lock()
	s.segments = append(s.segments, g)
	s.mu.Unlock()
	s.active, s.size = f, int64(len(magic))
	return nil
}

// commit returns when frames are on the disk, or an error and then they are not. What frees space on the disk says so.
func (s *store) commit(frames []byte, frees bool) error {
	c := &commit{frames, frees, make(chan error, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.queue = append(s.queue, c)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return <-c.done
}

// write is the goroutine that writes: all that has been asked for meanwhile with one sync.
func (s *store) write() {
	defer close(s.ended)
	for range s.wake {
		s.mu.Lock()
		queue, closed := s.queue, s.closed
		s.queue = nil
		s.mu.Unlock()
		rest := slices.DeleteFunc(slices.Clone(queue), func(c *commit) bool { return !c.frees })
		s.writeAll(slices.DeleteFunc(queue, func(c *commit) bool { return c.frees }), false)
		s.writeAll(rest, true)
		if closed {
			return
		}
	}
}

// writeAll writes some commits at once.
func (s *store) writeAll(commits []*commit, frees bool) {
	if len(commits) == 0 {
		return
	}
	s.buf, _ = appendFrame(s.buf[:0], 0, 0, &record{Kind: kindBatch})
	for _, c := range commits {
		s.buf = append(s.buf, c.frames...)
	}
	err := s.append(s.buf, frees)
	for _, c := range commits {
		if c.frames == nil && err == nil {
			c.done <- s.withReserve(s.roll)
			continue
		}
		c.done <- err
	}
	if cap(s.buf) > 1<<20 {
		s.buf = nil
	}
}

// withReserve does what frees space on the disk, a second time if the disk was full, with what the reserve has been.
func (s *store) withReserve(do func() error) error {
	err := do()
	if err != nil && s.reserve.spend() {
		err = do()
	}
	return err
}

// roll begins a new segment.
func (s *store) roll() error {
	old := s.active
	s.mu.Lock()
	n := s.segments[len(s.segments)-1].last + 1
	s.mu.Unlock()
	if err := s.create(segment{n, n}); err != nil {
		return err
	}
	_ = old.Close() // everything in it has been synced
	s.reserve.grow(s.max)
	if s.rolled != nil {
		s.rolled()
	}
	return nil
}

// append writes b to the active segment, or to a new one if it is full.
func (s *store) append(b []byte, frees bool) error {
	if frees {
		return s.withReserve(func() error { return s.tryAppend(b) })
	}
	if err := s.reserve.need(); err != nil {
		return err
	}
	return s.tryAppend(b)
}

func (s *store) tryAppend(b []byte) error {
	if s.broken != nil {
		return s.broken
	}
	if s.size+int64(len(b)) > s.max && s.size > int64(len(magic)) {
		if err := s.roll(); err != nil {
			return err
		}
	}
	_, err := s.active.WriteAt(b, s.size)
	if err == nil {
		err = s.active.Sync()
	}
	if err == nil {
		s.size += int64(len(b))
		return nil
	}
	err = fmt.Errorf("durable: cannot write to %s: %w", s.path(s.segments[len(s.segments)-1]), err)
	undo := s.active.Truncate(s.size)
	if undo == nil {
		undo = s.active.Sync()
	}
	if undo != nil { // a part of b may be found when the journal is opened
		s.broken = fmt.Errorf("durable: the journal has to be opened again: %w", errors.Join(err, undo))
	}
	return err
}

// close stops writing, and marks that everything is on the disk.
func (s *store) close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	<-s.ended
	mark, _ := appendFrame(nil, 0, 0, &record{Kind: kindClose})
	_ = s.tryAppend(mark) // without it the last batch is taken for one that may be torn, which it is not
	return s.active.Close()
}
