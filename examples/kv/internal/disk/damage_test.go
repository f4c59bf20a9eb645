package disk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// fill commits writes to a file, and returns how many bytes of the file are in use.
func fill(t *testing.T, f *File, tab *table.Table) (used int64) {
	t.Helper()
	for i := range 10 {
		writes := make([]table.Write, 500)
		for j := range writes {
			writes[j] = table.Write{Key: fmt.Sprint(i, "/", j), Value: make([]byte, 100)}
		}
		_, changes := tab.Stage(writes, time.Time{})
		if err := f.Commit(changes); err != nil {
			t.Fatal(err)
		}
		tab.Apply(changes)
	}
	err := f.db.View(func(tx *bbolt.Tx) error {
		used = tx.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// A file that is damaged is an error that names it, whatever has been done to it, and is left as it is. It is no panic.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	f, tab := open(t, path)
	used := fill(t, f, tab)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string][]byte{
		"garbage in the middle": slices.Concat(whole[:used/4], bytes.Repeat([]byte("garbage "), int(used)/32), whole[used/4+int64(used)/32*8:]),
		"zeros in the middle":   slices.Concat(whole[:used/4], make([]byte, used/2), whole[used/4+used/2:]),
	}
	for _, size := range []int64{1, 100, 4096, 8192, 8193, 16384, used / 4, used/2 - 1, used / 2, used - 4096, used - 1} {
		damaged[fmt.Sprint("cut to ", size)] = whole[:size]
	}
	for name, content := range damaged {
		path := filepath.Join(t.TempDir(), "kv.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if f, _, err := Open(path); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: the error is %v", name, err)
			if err == nil {
				f.Close()
			}
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
			t.Errorf("%s: the file has been changed, from %d to %d bytes, %v", name, len(content), len(after), err)
		}
	}
	path = filepath.Join(t.TempDir(), "kv.db")
	if err := os.WriteFile(path, whole[:used], 0o600); err != nil {
		t.Fatal(err)
	}
	_, got := open(t, path) // nothing is in what has been cut off
	wantSame(t, got, tab)
}

// A file that is cut while it is open is an error of the commit that notices, and can still be closed.
func TestFileThatIsCutMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	f, tab := open(t, path)
	fill(t, f, tab)
	if err := os.Truncate(path, 16384); err != nil {
		t.Fatal(err)
	}
	var err error
	for range 20 {
		_, changes := tab.Stage(slices.Repeat([]table.Write{{Key: "a"}}, table.MaxBatch), time.Time{})
		if err = f.Commit(changes); err != nil {
			break
		}
		tab.Apply(changes)
	}
	if !errors.Is(err, errDamaged) {
		t.Errorf("the error is %v", err)
	}
	if again := f.Commit([]table.Change{{Version: 1, Key: "a"}}); again != err {
		t.Errorf("then the error is %v", again)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// Keys may be any text, and are what they were when the file is opened again.
func TestUnusualKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	f, tab := open(t, path)
	keys := []string{"a//b", "a/../b", ".", "/", " ", "é", "e\u0301", "日本", "\x00", "a\nb", "\u2028", "<&>", `"`, "\ufffd", "\U0001f600", strings.Repeat("k", 1024)}
	var writes []table.Write
	for _, key := range keys {
		writes = append(writes, table.Write{Key: key, Value: []byte(key)})
	}
	writes = slices.Repeat(writes, table.MaxBatch/len(keys))
	for range table.HistoryLimit/len(writes) + 1 { // often enough for a snapshot
		_, changes := tab.Stage(writes, time.Time{})
		if err := f.Commit(changes); err != nil {
			t.Fatal(err)
		}
		tab.Apply(changes)
	}
	if f.folded == 0 {
		t.Error("there is no snapshot")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, got := open(t, path)
	for _, key := range keys {
		if c, err := got.Get(key); err != nil || c.Key != key || string(c.Value) != key {
			t.Errorf("%q is %+v, %v", key, c, err)
		}
	}
}
