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
//
// It works on a full disk too, as Forget does: the journal keeps a reserve for both.
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
	s := j.store
	s.reserve.free(true)
	defer s.reserve.free(false)
	if err := j.forgetOld(); err != nil {
		return err
	}
	j.mu.Lock()
	entries, newest, holes := slices.Clone(j.order), j.numbers, slices.Clone(j.holes)
	j.garbage = 0
	j.mu.Unlock()
	ended, live := map[uint64]bool{}, map[uint64]bool{}
	for _, e := range entries {
		e.mu.Lock()
		switch {
		case e.forgotten:
		case e.state.Ended():
			ended[e.number] = true
		default:
			live[e.number] = true
		}
		e.mu.Unlock()
	}
	// From here on all records of those that are dropped are in segments that are full.
	if err := s.commit(nil, true); err != nil {
		return err
	}
	s.mu.Lock()
	full := slices.Clone(s.segments[:len(s.segments)-1])
	s.mu.Unlock()
	// Segments are rewritten from the oldest on, as many at once as fit into one. If that does not come to its end, what is left of a run that is
	// dropped has its last record: so nobody takes it for one that has not ended.
	var group []segment
	out := []byte(magic)
	for _, g := range full {
		kept, err := j.rest(g, holes, func(f frame) keeps {
			switch {
			case live[f.run] || f.run > newest:
				return keepsAll
			case ended[f.run]:
				return keepsEnds
			}
			return keepsNothing
		})
		if err != nil {
			return err
		}
		if len(group) > 0 && int64(len(out)+len(kept)) > max(j.segment, smallReserve) {
			if err := j.replace(group, out); err != nil {
				return err
			}
			group, out = nil, []byte(magic)
		}
		group, out = append(group, g), append(out, kept...)
	}
	if err := j.replace(group, out); err != nil {
		return err
	}
	j.mu.Lock()
	j.holes = nil
	j.mu.Unlock()
	return nil
}

// forgetOld forgets the runs that have ended long ago, all at once.
func (j *Journal) forgetOld() error {
	j.mu.Lock()
	entries := slices.Concat(j.lapsed, j.order)
	j.mu.Unlock()
	var old []*entry
	var frames []byte
	for _, e := range entries {
		e.mu.Lock()
		if !e.forgotten && j.forgets(e) {
			frame, err := e.encodeForget()
			if err != nil {
				e.mu.Unlock()
				return err
			}
			old, frames = append(old, e), append(frames, frame...)
		}
		e.mu.Unlock()
	}
	if len(old) == 0 {
		return nil
	}
	if err := j.store.commit(frames, true); err != nil {
		return err
	}
	for _, e := range old {
		e.mu.Lock()
		if !e.forgotten { // by Forget, meanwhile
			e.forgottenLocked()
		}
		e.mu.Unlock()
	}
	j.drop(old...)
	j.mu.Lock()
	j.lapsed = nil
	j.mu.Unlock()
	return nil
}

// keeps is what of a run is kept.
type keeps int

const (
	keepsNothing keeps = iota
	keepsEnds          // the beginning and the end
	keepsAll
)

// rest returns the frames of a segment that are kept. What cannot be read is an error, except for holes that are known.
func (j *Journal) rest(g segment, holes []*lost, what func(f frame) keeps) (out []byte, first error) {
	data, err := j.fs.Read(g.String())
	if err != nil {
		return nil, err
	}
	scanSegment(data, false, func(_ int64, f frame) {
		switch what(f) {
		case keepsAll:
			out = append(out, f.raw...)
		case keepsEnds:
			var err error
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
	return out, first
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
	g := segment{old[0].first, old[len(old)-1].last}
	if err := s.withReserve(func() error { return s.writeSegment(g, data) }); err != nil {
		return err
	}
	if err := s.fs.Sync(); err != nil {
		return err
	}
	s.mu.Lock()
	i := slices.Index(s.segments, old[0])
	s.segments = slices.Concat(s.segments[:i], []segment{g}, s.segments[i+len(old):])
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

// writeSegment writes a segment as a whole.
func (s *store) writeSegment(g segment, data []byte) error {
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
	if err == nil {
		err = s.fs.Rename(compacting, g.String())
	}
	if err != nil {
		_ = s.fs.Remove(compacting)
	}
	return err
}
