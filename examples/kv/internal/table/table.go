// Package table is what a key-value server knows, and what it does to it, without any concurrency: plain maps. Both servers
// of this example are built on it. They differ in how they see to it that one request at a time touches it.
//
// A write has two halves, because it is to be on disk before anybody sees it. [Table.Stage] decides what a batch of writes
// changes, and [Table.Apply] makes the changes.
package table

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

const (
	// HistoryLimit is how many changes a table remembers, for watchers that come back.
	HistoryLimit = 4096
	// MaxBatch is how many writes are staged, and committed, together at most.
	MaxBatch = 1024
)

var (
	// ErrNotFound says that there is no such key.
	ErrNotFound = errors.New("there is no such key")
	// ErrCondition says that the condition of a write does not hold.
	ErrCondition = errors.New("the condition does not hold")
	// ErrForgotten says that a watcher wants to be told of changes that are not remembered any more.
	ErrForgotten = errors.New("these changes are not remembered any more; read the keys again")
)

// A Change is what a write has done to a key. The last change of a key that is there is also its item. Changes are numbered:
// their versions are 1, 2, 3 and so on.
type Change struct {
	Version uint64    `json:"version"`
	Key     string    `json:"key"`
	Value   []byte    `json:"value,omitempty"` // which nobody may modify
	Expires time.Time `json:"expires,omitzero"`
	Deleted bool      `json:"deleted,omitempty"`
}

// A Write is what a client wants done to a key.
type Write struct {
	Key    string
	Value  []byte
	TTL    time.Duration // after which the key is deleted, unless it is 0
	Delete bool
	If     Condition
}

// A Condition is what must hold of a key for a write to be made. The zero Condition always holds.
type Condition struct {
	Absent  bool   // there is no such key
	Present bool   // there is
	Version uint64 // it has this version, unless that is 0
}

func (c Condition) holds(item Change, present bool) bool {
	return !(c.Absent && present || c.Present && !present || c.Version != 0 && (!present || c.Version != item.Version))
}

// A Log keeps changes. Commit blocks, and returns when they are on disk; it is called one at a time.
type Log interface {
	Commit(changes []Change) error
}

// An Outcome is what has become of a write.
type Outcome struct {
	Change
	Created bool // the key was not there before
	Err     error
}

// A Table is the keys and the recent changes. The zero Table is not usable; make one with [New].
type Table struct {
	items   map[string]Change
	history []Change // the last HistoryLimit changes or more, but not twice as many, if there have been as many
	version uint64   // of the last change
}

// New returns a table with the given items, as of some version, to which the changes of history are yet to be made, if they
// are newer.
func New(items []Change, version uint64, history []Change) *Table {
	t := &Table{items: make(map[string]Change), version: version}
	for _, c := range items {
		t.items[c.Key] = c
	}
	for _, c := range history {
		if c.Version > version {
			t.Apply([]Change{c})
		} else {
			t.remember([]Change{c})
		}
	}
	return t
}

// Version is the version of the last change.
func (t *Table) Version() uint64 { return t.version }

// Get returns the item of a key.
func (t *Table) Get(key string) (item Change, err error) {
	item, ok := t.items[key]
	if !ok {
		return Change{}, ErrNotFound
	}
	return item, nil
}

// Expiring returns the items that expire, in the order of their versions.
func (t *Table) Expiring() (items []Change) {
	for _, c := range t.items {
		if !c.Expires.IsZero() {
			items = append(items, c)
		}
	}
	slices.SortFunc(items, func(a, b Change) int { return cmp.Compare(a.Version, b.Version) })
	return items
}

// Stage returns what comes of writes that are made one after the other, and the changes. The table itself it leaves as it is.
func (t *Table) Stage(writes []Write, now time.Time) (outcomes []Outcome, changes []Change) {
	staged := make(map[string]Change)
	for _, w := range writes {
		item, present := staged[w.Key]
		if present {
			present = !item.Deleted
		} else {
			item, present = t.items[w.Key]
		}
		switch {
		case !w.If.holds(item, present):
			outcomes = append(outcomes, Outcome{Err: ErrCondition})
			continue
		case w.Delete && !present:
			outcomes = append(outcomes, Outcome{Err: ErrNotFound})
			continue
		}
		c := Change{Version: t.version + uint64(len(changes)) + 1, Key: w.Key, Value: w.Value, Deleted: w.Delete}
		if w.TTL > 0 {
			c.Expires = now.Add(w.TTL).Round(0) // without the monotonic clock, which means nothing to the next process
		}
		staged[w.Key] = c
		changes = append(changes, c)
		outcomes = append(outcomes, Outcome{Change: c, Created: !present})
	}
	return outcomes, changes
}

// Apply makes changes that were staged.
func (t *Table) Apply(changes []Change) {
	for _, c := range changes {
		if c.Deleted {
			delete(t.items, c.Key)
		} else {
			t.items[c.Key] = c
		}
		t.version = c.Version
	}
	t.remember(changes)
}

func (t *Table) remember(changes []Change) {
	t.history = append(t.history, changes...)
	if len(t.history) >= 2*HistoryLimit {
		t.history = slices.Clone(t.history[len(t.history)-HistoryLimit:])
	}
}

// Since returns the changes after a version of the keys with a prefix, in the order of their versions.
func (t *Table) Since(version uint64, prefix string) ([]Change, error) {
	oldest := t.version - uint64(len(t.history)) // what is remembered came after it
	if version < oldest || version > t.version {
		return nil, ErrForgotten
	}
	return With(prefix, t.history[version-oldest:]), nil
}

// With returns those of changes that are of keys with a prefix.
func With(prefix string, changes []Change) (with []Change) {
	for _, c := range changes {
		if strings.HasPrefix(c.Key, prefix) {
			with = append(with, c)
		}
	}
	return with
}
