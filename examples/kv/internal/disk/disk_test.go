package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// The keys of the tests. The first of them are written again and again, and most of the others once or never.
const keys, hot = 100_000, 100

func open(t *testing.T, path string) (*File, *table.Table) {
	t.Helper()
	f, tab, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, tab
}

// A file that is opened again has all that was committed: the keys, and the changes that are remembered. Snapshots make no
// difference to that.
func TestNothingIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	f, want := open(t, path)
	for round := range 30 {
		writes := make([]table.Write, 1+random.IntN(table.MaxBatch))
		for i := range writes {
			key := random.IntN(keys)
			if random.IntN(4) == 0 {
				key %= hot
			}
			writes[i] = table.Write{
				Key:    fmt.Sprint(key),
				Value:  fmt.Append(nil, round, i),
				TTL:    time.Duration(random.IntN(2)) * time.Hour,
				Delete: random.IntN(3) == 0,
			}
		}
		_, changes := want.Stage(writes, now)
		if err := f.Commit(changes); err != nil {
			t.Fatal(err)
		}
		want.Apply(changes)
		if random.IntN(3) > 0 {
			continue
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		var got *table.Table
		f, got = open(t, path)
		wantSame(t, got, want)
	}
	if want.Version() < 2*table.HistoryLimit || f.folded < table.HistoryLimit {
		t.Errorf("there are %d changes and the snapshot is as of %d: too few to have tested anything", want.Version(), f.folded)
	}
}

func wantSame(t *testing.T, got, want *table.Table) {
	t.Helper()
	if got.Version() != want.Version() {
		t.Fatalf("the version is %d, want %d", got.Version(), want.Version())
	}
	for i := range keys {
		a, errA := got.Get(fmt.Sprint(i))
		b, errB := want.Get(fmt.Sprint(i))
		if errA != errB || !reflect.DeepEqual(a, b) {
			t.Fatalf("key %d is %+v, %v, want %+v, %v", i, a, errA, b, errB)
		}
	}
	from := want.Version() - min(want.Version(), table.HistoryLimit)
	a, errA := got.Since(from, "")
	b, errB := want.Since(from, "")
	if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
		t.Fatalf("the last %d changes are different: %v, %v", table.HistoryLimit, errA, errB)
	}
}

// The log does not grow for ever: it has no more changes than are remembered and those since the last snapshot.
func TestLogIsCutShort(t *testing.T) {
	f, tab := open(t, filepath.Join(t.TempDir(), "kv.db"))
	for range 20 {
		_, changes := tab.Stage(slices.Repeat([]table.Write{{Key: "a"}}, table.MaxBatch), time.Time{})
		if err := f.Commit(changes); err != nil {
			t.Fatal(err)
		}
		tab.Apply(changes)
		f.db.View(func(tx *bbolt.Tx) error {
			if n := tx.Bucket(logBucket).Stats().KeyN; n > 2*table.HistoryLimit {
				t.Errorf("there are %d changes in the log", n)
			}
			return nil
		})
	}
	if tab.Version() != 20*table.MaxBatch || f.folded == 0 {
		t.Errorf("there were %d changes, and the snapshot is as of %d", tab.Version(), f.folded)
	}
}

// Before anything is said to be in a file, it is on disk that there is such a file.
func TestFileIsInItsDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	errFull := errors.New("the disk is full")
	for _, want := range []error{errFull, nil, nil} {
		var synced []string
		f, _, err := openFile(path, time.Second, func(dir string) error {
			synced = append(synced, dir)
			return want
		})
		if err != want || !slices.Equal(synced, []string{filepath.Dir(path)}) {
			t.Errorf("the error is %v, want %v; these directories were synced: %v", err, want, synced)
		}
		if err == nil {
			f.Close()
		}
	}
	if err := syncDirectory(filepath.Join(filepath.Dir(path), "nothing")); runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// Whoever opens a file that somebody else has open is told so.
func TestFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	first, _ := open(t, path)
	if _, _, err := openFile(path, 10*time.Millisecond, syncDirectory); err != errInUse {
		t.Errorf("the error is %v, want %v", err, errInUse)
	}
	first.Close()
	open(t, path)
}
