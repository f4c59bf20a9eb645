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
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

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
	broken error  // the database has panicked, and is not to be used any more
}

// Open opens a file, or makes it if there is none, and returns what is in it. Only one process at a time can have it open. A file
// that is damaged is left as it is.
func Open(path string) (f *File, t *table.Table, err error) {
	err = guard(func() (err error) {
		f, t, err = openFile(path, 5*time.Second, syncDirectory)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, t, nil
}

// openFile is Open for somebody who waits so long for another process to close the file.
func openFile(path string, wait time.Duration, syncDirectory func(dir string) error) (*File, *table.Table, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: wait})
	if errors.Is(err, berrors.ErrTimeout) {
		err = errInUse
	}
	if err != nil {
		return nil, nil, err
	}
	f := &File{db: db}
	t, err := f.load(path)
	if err == nil { // what is in it is on disk, but perhaps not that there is such a file
		err = syncDirectory(filepath.Dir(path))
	}
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return f, t, nil
}

// syncDirectory puts on disk which files are in a directory, where that can be asked for.
func syncDirectory(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// errInUse says that somebody else has the file open.
var errInUse = errors.New("another process has the file open; stop that one, or use another file")

// errDamaged says that what is in a file makes no sense.
var errDamaged = errors.New("the file is damaged")

// guard calls fn and makes an error of a panic. The database panics when it finds pages to be wrong. It has the file in memory, so where
// the file ends too early it is a fault that comes.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return fn()
}

// Close closes the file. A database that has panicked holds its locks for ever, and would never be closed.
func (f *File) Close() error {
	if f.broken != nil {
		return nil
	}
	return f.db.Close()
}

func (f *File) load(path string) (t *table.Table, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var items, history []table.Change
	isNew := true
	err = f.db.View(func(tx *bbolt.Tx) error {
		if have, want := info.Size(), tx.Size(); have < want {
			return fmt.Errorf("%w: it has been cut short, to %d bytes of %d", errDamaged, have, want)
		}
		meta, snapshot, log := tx.Bucket(metaBucket), tx.Bucket(snapshotBucket), tx.Bucket(logBucket)
		if meta == nil || snapshot == nil || log == nil {
			return nil
		}
		isNew = false
		if v := meta.Get(snapshotAsOf); v != nil {
			f.folded = binary.BigEndian.Uint64(v)
		}
		if items, err = readAll(snapshot, nil); err != nil {
			return err
		}
		history, err = readAll(log, nil)
		return err
	})
	if err == nil && isNew {
		err = f.db.Update(func(tx *bbolt.Tx) error {
			for _, name := range [][]byte{logBucket, snapshotBucket, metaBucket} {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			return nil
		})
	}
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
	if f.broken != nil {
		return f.broken
	}
	err := guard(func() error { return f.commit(changes) })
	if errors.Is(err, errDamaged) {
		f.broken = err
	}
	return err
}

func (f *File) commit(changes []table.Change) error {
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
