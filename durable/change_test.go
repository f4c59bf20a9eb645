package durable_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// changed is what the program "test.changed" does: it is another one after a change.
var changed func(co *tinyio.Co) (string, error)

func init() {
	durable.Register("test.changed", func(struct{}) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) { return changed(co) }).Named("changed")
	})
}

// takes is a program that takes steps, and then waits.
func takes(names ...string) func(co *tinyio.Co) (string, error) {
	return func(co *tinyio.Co) (string, error) {
		for _, name := range names {
			if _, err := value(co, name, name); err != nil {
				return "", err
			}
		}
		if err := co.Sleep(time.Hour); err != nil {
			return "", err
		}
		return strings.Join(names, " "), nil
	}
}

// A program that does something else is stopped before it does anything, and the error tells where. With the old program it goes on.
func TestAChangedProgramIsNoticed(t *testing.T) {
	old := takes("a", "b", "c")
	for name, test := range map[string]struct {
		program         func(co *tinyio.Co) (string, error)
		step            int
		recorded        string
		expected, found string
		placed          bool
	}{
		"another step":  {takes("a", "x", "c"), 2, "b", `step 2, "b"`, `step 2, "x"`, true},
		"one step less": {takes("a", "b"), 3, "c", `step 3, "c"`, "a program that has taken 2 steps, and waits: ", true},
		"another order": {takes("b", "a", "c"), 1, "a", `step 1, "a"`, `step 1, "b"`, true},
		"a sleep before": {func(co *tinyio.Co) (string, error) {
			if err := co.Sleep(time.Hour); err != nil {
				return "", err
			}
			return old(co)
		}, 1, "a", `step 1, "a"`, "a program that has taken 0 steps, and waits: ", true},
		"an early end": {func(co *tinyio.Co) (string, error) { return value(co, "a", "a") }, 2, "b", `step 2, "b"`, "the program has ended after 1 steps", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				j := open(t, dir)
				changed = old
				start[string](t, j, "test.changed", "one", struct{}{})
				time.Sleep(time.Minute)
				var history bytes.Buffer
				if err := j.Export(t.Context(), "one", &history); err != nil {
					t.Fatal(err)
				}
				closeJournal(t, j)
				acted := false
				changed = func(co *tinyio.Co) (string, error) {
					defer func() {
						_ = co.Shield(time.Minute, func(co *tinyio.Co) error { // as compensation does
							_, err := durable.Step(co, "undo", func(context.Context) (int, error) { acted = true; return 0, nil })
							return err
						})
					}()
					return test.program(co)
				}
				if name == "an early end" { // whose clean-up is part of what is replayed
					changed = test.program
				}
				j = open(t, dir)
				recoverAll(t, j)
				_, err := durable.Find[string](j, "one").Result(t.Context())
				for _, err := range []error{err, durable.Verify(bytes.NewReader(history.Bytes()))} {
					var n *durable.NondeterminismError
					if !errors.As(err, &n) {
						t.Fatalf("the error is %v", err)
					}
					if n.Run != "one" || n.Step != test.step || n.Name != test.recorded || n.Expected != test.expected || !strings.HasPrefix(n.Found, test.found) {
						t.Errorf("the error is %#v", n)
					}
					if strings.Contains(n.Place, "_test.go:") != test.placed {
						t.Errorf("the place is %q", n.Place)
					}
				}
				if acted {
					t.Error("the program has acted after that")
				}
				if s := infoOf(t, j, "one").State; s != durable.Stopped {
					t.Errorf("the state is %s", s)
				}
				changed = old
				recoverAll(t, j)
				want(t, j, "one", "a b c")
				closeJournal(t, j)
			})
		})
	}
}

// The numbers that the compiler gives to function literals are no change.
func TestLiteralsKeepTheirNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		one := func(co *tinyio.Co) (string, error) {
			return tinyio.Call(co, func(context.Context) (string, error) { return "one", nil })
		}
		another := func(co *tinyio.Co) (string, error) {
			return tinyio.Call(co, func(context.Context) (string, error) { return "another", nil })
		}
		program := func(call func(co *tinyio.Co) (string, error)) func(co *tinyio.Co) (string, error) {
			return func(co *tinyio.Co) (string, error) {
				s, err := call(co)
				if err != nil {
					return "", err
				}
				return s, co.Sleep(time.Hour)
			}
		}
		changed = program(one)
		start[string](t, j, "test.changed", "one", struct{}{})
		time.Sleep(time.Minute)
		closeJournal(t, j)
		changed = program(another) // a literal of the same function, with another number
		j = open(t, dir)
		recoverAll(t, j)
		want(t, j, "one", "one")
	})
}

// withVersion is a program before and after a change.
func withVersion(known bool, min, max int) func(co *tinyio.Co) (string, error) {
	return func(co *tinyio.Co) (string, error) {
		did := "old"
		if _, err := value(co, "begin", 0); err != nil {
			return "", err
		}
		if known {
			v, err := durable.Version(co, "check", min, max)
			if err != nil {
				return "", err
			}
			if v > 0 {
				if did, err = value(co, "check", fmt.Sprint("new ", v)); err != nil {
					return "", err
				}
			}
		}
		if _, err := value(co, "pay", 0); err != nil {
			return "", err
		}
		if err := co.Sleep(time.Hour); err != nil {
			return "", err
		}
		again, err := durable.Version(co, "another", 0, 1)
		return fmt.Sprint(did, " ", again), err
	}
}

// A run keeps to the version that it has begun with.
func TestVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		programs := []func(co *tinyio.Co) (string, error){withVersion(false, 0, 0), withVersion(true, 0, 1), withVersion(true, 0, 2)}
		for i, p := range programs {
			j := open(t, dir)
			changed = p
			recoverAll(t, j)
			start[string](t, j, "test.changed", fmt.Sprint(i), struct{}{})
			time.Sleep(time.Minute)
			closeJournal(t, j)
		}
		j := open(t, dir)
		recoverAll(t, j)
		want(t, j, "0", "old 1")
		want(t, j, "1", "new 1 1")
		want(t, j, "2", "new 2 1")
	})
}

// A run keeps to the newest version if it has come to that place, but has recorded nothing since: what others have sent meanwhile, or what was
// recorded together with what has brought it there, does not make it an older run.
func TestVersionWithoutARecordBehindIt(t *testing.T) {
	first, second := make(chan struct{}), make(chan struct{})
	wait := func(name string, ch *chan struct{}) *tinyio.Coro[int] {
		return tinyio.RunInThread(func(context.Context) (int, error) { <-*ch; return 0, nil }).Named(name)
	}
	program := func(co *tinyio.Co) (string, error) {
		if err := co.Spawn(wait("second", &second)); err != nil {
			return "", err
		}
		if _, err := wait("first", &first).Await(co); err != nil {
			return "", err
		}
		v, err := durable.Version(co, "change", 0, 1)
		if err != nil {
			return "", err
		}
		word, err := durable.Receive[string](co, "word")
		return fmt.Sprint(word, " ", v), err
	}
	synctest.Test(t, func(t *testing.T) {
		first, second = make(chan struct{}), make(chan struct{})
		changed = program
		dir := t.TempDir()
		disk := newDisk(dir)
		j := open(t, dir, durable.WithFiles(disk))
		start[string](t, j, "test.changed", "one", struct{}{})
		synctest.Wait()
		gate := make(chan struct{})
		disk.set(func(d *faultyDisk) { d.gate = gate })
		sent := make(chan error)
		go func() { sent <- durable.Signal(context.Background(), j, "one", "nothing", 0) }()
		synctest.Wait() // until it is being written; what comes now is written at once
		close(first)
		synctest.Wait()
		close(second)
		synctest.Wait()
		close(gate)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		crashed := copyDir(t, dir)
		signal(t, j, "one", "a")
		want(t, j, "one", "a 1")
		for range 2 {
			j := open(t, crashed)
			if infoOf(t, j, "one").State == durable.Running {
				signal(t, j, "one", "b") // before it goes on
			}
			recoverAll(t, j)
			want(t, j, "one", "b 1")
			closeJournal(t, j)
		}
	})
}

// A version that the program does not know any more stops the run.
func TestAVersionThatIsGoneIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		changed = withVersion(true, 0, 1)
		start[string](t, j, "test.changed", "one", struct{}{})
		time.Sleep(time.Minute)
		closeJournal(t, j)
		changed = withVersion(true, 2, 2)
		j = open(t, dir)
		recoverAll(t, j)
		_, err := durable.Find[string](j, "one").Result(t.Context())
		var n *durable.NondeterminismError
		if !errors.As(err, &n) || n.Name != "check" || n.Step != 1 || !strings.Contains(n.Place, "change_test.go:") || n.Found != "versions 2 to 2" {
			t.Errorf("the error is %#v, %v", n, err)
		}
		changed = withVersion(true, 1, 2)
		recoverAll(t, j)
		want(t, j, "one", "new 1 1")
	})
}

var updateGolden = flag.Bool("update-golden", false, "record the histories in testdata anew")

func init() {
	durable.Register("golden.order", golden)
}

// golden is the program whose histories are kept in testdata. It must not change, and neither must what becomes of them.
func golden(in []string) *tinyio.Coro[string] {
	return tinyio.New(func(co *tinyio.Co) (_ string, err error) {
		rollback := func(item string) {
			if err != nil {
				err = errors.Join(err, co.Shield(time.Hour, func(co *tinyio.Co) error {
					_, err := value(co, "put back "+item, 0)
					return err
				}))
			}
		}
		key := durable.NewUUID(co)
		for _, item := range in {
			if _, err := value(co, "take "+item, key); err != nil {
				return "", err
			}
			defer rollback(item)
		}
		v, err := durable.Version(co, "limits", 1, 3)
		if err != nil {
			return "", err
		}
		slow := tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }).Named("slow")
		if _, err := tinyio.Timeout(co, slow, time.Duration(v)*time.Minute); !errors.Is(err, tinyio.ErrTimeout) {
			return "", fmt.Errorf("no timeout: %w", err)
		}
		_, err = tinyio.Isolate(co, tinyio.RunInThread(func(context.Context) (int, error) { return 0, fmt.Errorf("no file: %w", fs.ErrNotExist) }).Named("read"))
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("no error: %w", err)
		}
		lengths, err := tinyio.MapInPool(tinyio.NewThreadPool(2), in, func(_ context.Context, s string) (int, error) { return len(s), nil }).Await(co)
		if err != nil {
			return "", err
		}
		word, err := durable.Receive[string](co, "word")
		if err != nil {
			return "", err
		}
		if word == "fail" {
			return "", fmt.Errorf("told to: %w", io.ErrUnexpectedEOF)
		}
		return fmt.Sprint(word, lengths, durable.Random(co).IntN(100), durable.Now(co).Unix()), nil
	}).Named("golden")
}

// The histories of testdata can still be replayed: a change of the journal, or of the order in which anything happens on a loop, that
// breaks them breaks the runs of users.
func TestGoldenHistories(t *testing.T) {
	files := map[string]func(t *testing.T, j *durable.Journal){
		"succeeded.json": func(t *testing.T, j *durable.Journal) { signal(t, j, "golden", "go") },
		"failed.json":    func(t *testing.T, j *durable.Journal) { signal(t, j, "golden", "fail") },
		"cancelled.json": func(t *testing.T, j *durable.Journal) {
			if err := durable.Find[string](j, "golden").Cancel(t.Context(), errTest); err != nil {
				t.Fatal(err)
			}
		},
		"waiting.json": func(*testing.T, *durable.Journal) {},
	}
	for name, end := range files {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			if *updateGolden {
				synctest.Test(t, func(t *testing.T) {
					j := open(t, t.TempDir())
					start[string](t, j, "golden.order", "golden", []string{"shoes", "hat", "coat"})
					time.Sleep(time.Hour)
					end(t, j)
					synctest.Wait()
					var history bytes.Buffer
					if err := j.Export(t.Context(), "golden", &history); err != nil {
						t.Fatal(err)
					}
					dir, err := os.Getwd()
					if err != nil {
						t.Fatal(err)
					}
					portable := bytes.ReplaceAll(history.Bytes(), []byte(filepath.ToSlash(dir)+"/"), nil) // in traces
					if err := os.WriteFile(path, portable, 0o644); err != nil {
						t.Fatal(err)
					}
				})
			}
			history, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := durable.Verify(bytes.NewReader(history)); err != nil {
				t.Error(err)
			}
			// So that this test can fail: every step that is missing is noticed, unless it was the last thing that is known of a run.
			lines := bytes.SplitAfter(history, []byte("\n"))
			lines = lines[:len(lines)-1]
			for i, line := range lines {
				switch {
				case !bytes.Contains(line, []byte(`"k":"step"`)), i == len(lines)-1:
					continue
				case name == "waiting.json" && bytes.Contains(line, []byte("golden.func")): // it may have been under way
					continue
				}
				less := bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil)
				if err := durable.Verify(bytes.NewReader(less)); err == nil {
					t.Errorf("that line %d is missing is not noticed: %s", i+1, line)
				}
			}
		})
	}
}

func signal(t *testing.T, j *durable.Journal, id, word string) {
	t.Helper()
	if err := durable.Signal(t.Context(), j, id, "word", word); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyOfWhatIsNoHistory(t *testing.T) {
	for _, history := range []string{"", "{}", "x", `{"k":"step","s":1}`, `{"k":"start","program":"test.no such","v":1}`} {
		if err := durable.Verify(strings.NewReader(history)); err == nil {
			t.Errorf("no error for %q", history)
		}
	}
}
