package durable

import (
	"encoding/json"
	"fmt"
	"slices"
)

// countGarbage notes that a run has ended, of which so many bytes are on the disk.
func (j *Journal) countGarbage(bytes int64) {
	j.mu.Lock()
	j.garbage += bytes
	j.mu.Unlock()
}

// compactInBackground compacts the journal if that gains enough. The store calls it when it has begun a segment.
func (j *Journal) compactInBackground() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed || j.byHand || j.garbage < j.segment {
		return
	}
	j.garbage = 0
	j.running.Add(1)
	go func() {
		defer j.running.Done()
		_ = j.compact(false) // it is tried again when another segment is full; nothing is lost
	}()
}

// Compact rewrites the files of the journal: of the runs that have ended only the start and the end are kept, and nothing of those
// that are forgotten. It is done in the background when that gains enough; call it to have it done now. A journal that is damaged is
// left as it is, until the runs that are concerned are forgotten: see [Journal.ForgetDamage].
func (j *Journal) Compact() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.running.Add(1)
	j.mu.Unlock()
	defer j.running.Done()
	if err := j.compact(false); err != nil {
		return fmt.Errorf("durable: Compact: %w", err)
	}
	return nil
}

// compact compacts the journal, unless it is damaged and that is not given up.
func (j *Journal) compact(giveUp bool) error {
	j.files.Lock()
	defer j.files.Unlock()
	if !giveUp && len(j.damages()) > 0 {
		return nil
	}
	j.mu.Lock()
	entries, newest, holes := slices.Clone(j.order), j.numbers, slices.Clone(j.holes)
	j.garbage = 0
	j.mu.Unlock()
	ended, live := map[uint64]bool{}, map[uint64]bool{}
	var old []*entry
	for _, e := range entries {
		e.mu.Lock()
		switch {
		case e.forgotten:
		case j.forgets(e):
			old = append(old, e)
		case e.state.Ended():
			ended[e.number] = true
		default:
			live[e.number] = true
		}
		e.mu.Unlock()
	}
	// From here on all records of those that are dropped are in segments that are full.
	if err := j.store.commit(nil); err != nil {
		return err
	}
	j.store.mu.Lock()
	full := slices.Clone(j.store.segments[:len(j.store.segments)-1])
	j.store.mu.Unlock()
	out := []byte(magic)
	var first error
	for _, g := range full {
		data, err := j.fs.Read(g.String())
		if err != nil {
			return err
		}
		scanSegment(data, false, func(_ int64, f frame) {
			switch {
			case live[f.run] || f.run > newest:
				out = append(out, f.raw...)
			case ended[f.run]:
				if out, err = appendRest(out, f); err != nil && first == nil {
					first = err
				}
			}
		}, func(h hole) {
			known := slices.ContainsFunc(holes, func(l *lost) bool { return l.File == j.store.path(g) && l.Offset == h.offset })
			if !known && first == nil {
				first = fmt.Errorf("%s cannot be read at byte %d", j.store.path(g), h.offset)
			}
		})
	}
	if first != nil {
		return first
	}
	if err := j.replace(full, out); err != nil {
		return err
	}
	j.mu.Lock()
	j.holes = nil
	j.mu.Unlock()
	for _, e := range old {
		j.drop(e)
	}
	return nil
}

// appendRest appends to b what is kept of a record of a run that has ended.
func appendRest(b []byte, f frame) ([]byte, error) {
	r := new(record)
	if err := json.Unmarshal(f.payload, r); err != nil {
		return b, err
	}
	switch r.Kind {
	case kindStart:
		r.Value, r.Seed = nil, nil
		return appendFrame(b, f.run, f.number, r)
	case kindEnd, kindForget: // which has come since
		return append(b, f.raw...), nil
	}
	return b, nil
}

// replace puts one segment in the place of some. If the process is killed meanwhile, Open finds either them or it.
func (j *Journal) replace(old []segment, data []byte) error {
	s := j.store
	f, err := s.fs.Create(compacting)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	g := segment{old[0].first, old[len(old)-1].last}
	if err == nil {
		err = s.fs.Rename(compacting, g.String())
	}
	if err != nil {
		_ = s.fs.Remove(compacting)
		return err
	}
	if err := s.fs.Sync(); err != nil {
		return err
	}
	s.mu.Lock()
	s.segments = slices.Concat([]segment{g}, s.segments[len(old):])
	s.mu.Unlock()
	for _, o := range old {
		if o != g {
			if err := s.fs.Remove(o.String()); err != nil {
				return err
			}
		}
	}
	return nil
}
