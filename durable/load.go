package durable

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// load reads the whole journal, when it is opened. It returns where the last segment ends.
func (j *Journal) load() (end int64, err error) {
	byNumber := map[uint64]*entry{}
	get := func(number uint64) *entry {
		e := byNumber[number]
		if e == nil {
			e = newEntry(j, number)
			e.loaded = true
			close(e.recorded)
			byNumber[number] = e
			j.order = append(j.order, e)
			j.numbers = max(j.numbers, number)
		}
		return e
	}
	for i, g := range j.store.segments {
		data, err := j.fs.Read(g.String())
		if err != nil {
			return 0, fmt.Errorf("durable: Open: %w", err)
		}
		var last *DamageError
		visit := func(at int64, f frame) {
			if f.run == 0 {
				return
			}
			e := get(f.run)
			e.bytes += int64(len(f.raw))
			j.bytes += int64(len(f.raw))
			switch {
			case f.number < e.next: // a compaction was not finished
				return
			case f.number > e.next && last != nil:
				e.suffer(*last)
			case f.number > e.next:
				e.suffer(DamageError{File: j.store.path(g), Offset: at, Missing: true}) // unless it has ended, and was compacted
			}
			e.next = f.number + 1
			r := new(record)
			if err := json.Unmarshal(f.payload, r); err != nil {
				last = &DamageError{File: j.store.path(g), Offset: at, Length: int64(len(f.raw))}
				j.holes = append(j.holes, &lost{*last, e})
				e.suffer(*last)
				return
			}
			e.read(r)
		}
		miss := func(h hole) {
			last = &DamageError{File: j.store.path(g), Offset: h.offset, Length: h.length}
			l := &lost{DamageError: *last}
			if h.known && h.run != 0 {
				l.run = get(h.run)
			}
			j.holes = append(j.holes, l)
		}
		end = scanSegment(data, i == len(j.store.segments)-1, visit, miss)
	}
	for _, l := range j.holes {
		if l.run != nil {
			l.run.suffer(l.DamageError)
		}
	}
	j.settle()
	return end, nil
}

// A lost part of the journal cannot be read.
type lost struct {
	DamageError
	run *entry // whose record was there, and no other's; nil if that is not known
}

// suffer notes the first damage to the records of e.
func (e *entry) suffer(d DamageError) {
	if e.damage == nil {
		e.damage = &d
	}
}

// damages are the parts of the journal that cannot be read, and are not known to matter to nobody: one for each run that cannot go on, and
// the others. Who calls it holds neither the mu of the journal nor that of an entry.
func (j *Journal) damages() (all []*DamageError) {
	j.mu.Lock()
	entries, holes := slices.Clone(j.order), j.holes
	j.mu.Unlock()
	type place struct {
		file   string
		offset int64
	}
	told := map[place]bool{}
	for _, e := range entries {
		e.mu.Lock()
		if d := e.damage; d != nil {
			all = append(all, d)
			told[place{d.File, d.Offset}] = true
		}
		e.mu.Unlock()
	}
	for _, l := range holes {
		if l.run == nil && !told[place{l.File, l.Offset}] {
			all = append(all, &l.DamageError)
		}
	}
	return all
}

// read takes in a record that was read.
func (e *entry) read(r *record) {
	switch r.Kind {
	case kindStart:
		e.id, e.program, e.input, e.seed, e.started = r.ID, r.Program, r.Value, r.Seed, time.Unix(0, r.At).UTC()
		e.complete = true
	case kindEnd:
		e.state, e.result, e.err, e.ended = r.State, r.Value, r.Err.decode(nil), time.Unix(0, r.At)
		e.history, e.input, e.seed = nil, nil, nil
	case kindForget:
		e.forgotten = true
	default:
		e.history = append(e.history, r)
	}
}

// settle puts the runs that were read in order.
func (j *Journal) settle() {
	j.order = slices.DeleteFunc(j.order, func(e *entry) bool {
		if e.forgotten {
			j.garbage += e.bytes
			return true
		}
		if e.state.Ended() && e.complete {
			e.damage = nil // what it has come to is known
			j.garbage += e.bytes
			if j.forgets(e) {
				j.lapsed = append(j.lapsed, e)
				return true
			}
			return false
		}
		if !e.complete || len(e.input) == 0 { // of one that had ended compaction has left none
			e.suffer(DamageError{File: j.dir, Missing: true})
		}
		if e.id == "" {
			e.id = fmt.Sprintf("number %d of the journal", e.number)
		}
		if d := e.damage; d != nil {
			d.Run = e.id
			e.state, e.err, e.history = Stopped, d, nil
		}
		return false
	})
	for _, e := range j.order {
		j.runs[e.id] = e
	}
}

// forgets reports that e has ended so long ago that it is forgotten.
func (j *Journal) forgets(e *entry) bool {
	return !j.forever && e.state.Ended() && time.Since(e.ended) > j.retained
}

// reload reads the records again of those that were stopped and have let go of them.
func (j *Journal) reload(entries []*entry) error {
	type target struct {
		e       *entry
		next    uint32
		history []*record
		err     error
	}
	targets := map[uint64]*target{}
	for _, e := range entries {
		e.mu.Lock()
		if e.machine == nil && !e.loaded && !e.state.Ended() && e.damage == nil && e.refused == nil && !e.forgotten {
			targets[e.number] = &target{e: e, next: e.next}
		}
		e.mu.Unlock()
	}
	if len(targets) == 0 {
		return nil
	}
	if err := j.scan(func(f frame) {
		t := targets[f.run]
		if t == nil || f.number == 0 || f.number >= t.next || int(f.number) != len(t.history)+1 {
			return
		}
		r := new(record)
		if err := json.Unmarshal(f.payload, r); err != nil {
			t.err = err
		}
		t.history = append(t.history, r)
	}); err != nil {
		return fmt.Errorf("durable: cannot read the journal: %w", err)
	}
	for _, t := range targets {
		t.e.mu.Lock()
		if t.e.machine == nil && !t.e.loaded && t.e.next == t.next { // otherwise somebody else has it, or tries again
			t.e.history, t.e.loaded = t.history, true
			if t.err != nil || len(t.history) != int(t.next)-1 {
				t.e.damage = &DamageError{File: j.dir, Run: t.e.id, Missing: true}
				t.e.setLocked(Stopped, t.e.damage)
			}
		}
		t.e.mu.Unlock()
	}
	return nil
}

// scan calls visit for each frame of a run that is on the disk.
func (j *Journal) scan(visit func(f frame)) error {
	j.files.Lock()
	defer j.files.Unlock()
	j.store.mu.Lock()
	segments := slices.Clone(j.store.segments)
	j.store.mu.Unlock()
	for _, g := range segments {
		data, err := j.fs.Read(g.String())
		if err != nil {
			return err
		}
		scanSegment(data, true, func(_ int64, f frame) {
			if f.run != 0 {
				visit(f)
			}
		}, func(hole) {})
	}
	return nil
}

// newRand returns the source of random numbers of a run.
func newRand(seed []byte) *rand.Rand {
	var s [32]byte
	copy(s[:], seed)
	return rand.New(rand.NewChaCha8(s))
}
