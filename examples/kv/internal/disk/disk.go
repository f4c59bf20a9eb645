// Package disk keeps the changes of a table in a file that survives kill -9, and a power failure too, as far as the disk does
// what it says. The file is a database of bbolt with a log and a snapshot in it.
//
// A commit adds changes to the end of the log, so it touches few pages of the file, whichever keys were written, and one of
// many changes takes hardly longer than one of a single change. Now and then a commit also makes the changes of the log in
// the snapshot, and takes the oldest out of the log. What is in the log is also what a table remembers.
package disk

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// The buckets of the file.
var (
	logBucket      = []byte("log")      // version: change
	snapshotBucket = []byte("snapshot") // key: item
	metaBucket     = []byte("meta")
	snapshotAsOf   = []byte("snapshot as of") // in metaBucket: the version of the last change that was made in the snapshot
)

// A File is the file. All of its methods block, and no two of them may be called at the same time.
type File struct {
	db     *bbolt.DB
	folded uint64 // the snapshot is as of this version
}

// Open opens a file, or makes it if there is none, and returns what is in it. Only one process at a time can have it open.
func Open(path string) (*File, *table.Table, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &File{db: db}
	t, err := f.load()
	if err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, t, nil
}

// Close closes the file.
func (f *File) Close() error { return f.db.Close() }

func (f *File) load() (t *table.Table, err error) {
	var items, history []table.Change
	err = f.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{logBucket, snapshotBucket, metaBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		if v := tx.Bucket(metaBucket).Get(snapshotAsOf); v != nil {
			f.folded = binary.BigEndian.Uint64(v)
		}
		if items, err = readAll(tx.Bucket(snapshotBucket), nil); err != nil {
			return err
		}
		history, err = readAll(tx.Bucket(logBucket), nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return table.New(items, f.folded, history), nil
}

// readAll returns the changes in a bucket, from a key on.
func readAll(b *bbolt.Bucket, from []byte) (changes []table.Change, err error) {
	cursor := b.Cursor()
	for k, v := cursor.Seek(from); k != nil; k, v = cursor.Next() {
		var c table.Change
		if err := json.Unmarshal(v, &c); err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// Commit adds changes to the log. When it returns nil they are on disk.
func (f *File) Commit(changes []table.Change) error {
	last, folded := changes[len(changes)-1].Version, f.folded
	err := f.db.Update(func(tx *bbolt.Tx) error {
		log := tx.Bucket(logBucket)
		log.FillPercent = 1 // nothing is ever put in between
		for _, c := range changes {
			if err := put(log, number(c.Version), c); err != nil {
				return err
			}
		}
		if last-folded < table.HistoryLimit {
			return nil
		}
		folded = last
		return f.fold(tx, last)
	})
	if err == nil {
		f.folded = folded
	}
	return err
}

// fold makes the changes of the log in the snapshot, and takes those out of the log that are not to be remembered.
func (f *File) fold(tx *bbolt.Tx, last uint64) error {
	log, snapshot := tx.Bucket(logBucket), tx.Bucket(snapshotBucket)
	changes, err := readAll(log, number(f.folded+1))
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.Deleted {
			err = snapshot.Delete([]byte(c.Key))
		} else {
			err = put(snapshot, []byte(c.Key), c)
		}
		if err != nil {
			return err
		}
	}
	cursor := log.Cursor()
	for k, _ := cursor.First(); k != nil && binary.BigEndian.Uint64(k)+table.HistoryLimit <= last; k, _ = cursor.First() {
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(snapshotAsOf, number(last))
}

func put(b *bbolt.Bucket, key []byte, c table.Change) error {
	v, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return b.Put(key, v)
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
