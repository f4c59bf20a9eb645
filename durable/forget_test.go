package durable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// ids are the runs that a journal has.
func ids(t *testing.T, j *durable.Journal) (all []string) {
	t.Helper()
	for info, err := range j.Runs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.ID)
	}
	return all
}

func wantIDs(t *testing.T, j *durable.Journal, want ...string) {
	t.Helper()
	if got := ids(t, j); !slices.Equal(got, want) {
		t.Errorf("there are the runs %q, want %q", got, want)
	}
}

func forget(t *testing.T, j *durable.Journal, id string) {
	t.Helper()
	if err := j.Forget(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// contents is all that is in the files of a journal.
func contents(t *testing.T, dir string) (all string) {
	t.Helper()
	for _, name := range segments(t, dir) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all += string(data)
	}
	return all
}

// A run that has ended, or does not go on, can be forgotten. Its id is free then, and compaction leaves nothing of it.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		for _, id := range []string{"ended", "kept", "live"} {
			start[int](t, j, "test.steps", id, map[string]int{"ended": 2, "kept": 2, "live": 9}[id])
		}
		time.Sleep(longSteps * 5 / 2)
		if err := j.Forget(t.Context(), "live"); err == nil || !strings.Contains(err.Error(), `run "live" is under way; cancel it`) {
			t.Errorf("to forget a run that is under way is %v", err)
		}
		if err := j.Forget(t.Context(), "no such"); !errors.Is(err, durable.ErrUnknown) {
			t.Errorf("to forget what there is not is %v", err)
		}
		forget(t, j, "ended")
		if err := j.Forget(t.Context(), "ended"); !errors.Is(err, durable.ErrUnknown) {
			t.Errorf("to forget it again is %v", err)
		}
		wantIDs(t, j, "kept", "live")
		start[int](t, j, "test.steps", "ended", 3)
		crashed := copyDir(t, dir)
		time.Sleep(longSteps * 4)
		want(t, j, "ended", 3)
		forget(t, j, "ended")
		if err := j.Compact(); err != nil {
			t.Fatal(err)
		}
		if rest := contents(t, dir); strings.Contains(rest, `"ended"`) || !strings.Contains(rest, `"kept"`) {
			t.Errorf("after the compaction there is %q", rest)
		}
		closeJournal(t, j)
		j = open(t, dir)
		recoverAll(t, j)
		wantIDs(t, j, "kept", "live")
		start[int](t, j, "test.steps", "another", 1) // the number of one that was forgotten does not matter to it
		want(t, j, "another", 0)
		want(t, j, "live", 36)
		want(t, j, "kept", 1)
		closeJournal(t, j)
		j = open(t, crashed)
		recoverAll(t, j)
		wantIDs(t, j, "kept", "live", "ended")
		want(t, j, "ended", 3)
		want(t, j, "live", 36)
	})
}

// A run that does not go on is forgotten before Recover comes to it, or when it is stopped. Who waits for it hears of that, and a parent starts
// another child in its place.
func TestForgetOfARunThatDoesNotGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		changed = takes("a")
		j := open(t, dir)
		start[string](t, j, "test.changed", "stopped", struct{}{})
		start[string](t, j, "test.parent", "parent", "stopped")
		start[int](t, j, "test.steps", "early", 3)
		time.Sleep(time.Minute)
		closeJournal(t, j)
		changed = takes("b")
		j = open(t, dir)
		forget(t, j, "early")
		recoverAll(t, j)
		synctest.Wait()
		if s := infoOf(t, j, "stopped").State; s != durable.Stopped {
			t.Fatalf("the state is %s", s)
		}
		if s := infoOf(t, j, "parent").State; s != durable.Running { // it waits until the child goes on
			t.Fatalf("the state of the parent is %s", s)
		}
		forget(t, j, "stopped")
		synctest.Wait()
		if info := infoOf(t, j, "parent"); info.State != durable.Stopped || !errors.Is(info.Err, durable.ErrUnknown) {
			t.Errorf("the parent is %s: %v", info.State, info.Err)
		}
		wantIDs(t, j, "parent")
		recoverAll(t, j)
		want(t, j, "parent", "the child: b")
		wantIDs(t, j, "parent", "stopped")
	})
}

func init() {
	durable.Register("test.parent", func(child string) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			s, err := durable.Child[struct{}, string](co, "test.changed", child, struct{}{}).Await(co)
			return "the child: " + s, err
		})
	})
}

// Who waits for the result of a run that is forgotten hears that there is none.
func TestForgetEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		start[int](t, j, "test.steps", "one", 3)
		closeJournal(t, j)
		j = open(t, dir)
		result := make(chan error)
		go func() {
			_, err := durable.Find[int](j, "one").Result(context.Background())
			result <- err
		}()
		synctest.Wait()
		forget(t, j, "one")
		if err := <-result; !errors.Is(err, durable.ErrUnknown) {
			t.Errorf("the result is %v", err)
		}
		if err := durable.Signal(t.Context(), j, "one", "x", 1); !errors.Is(err, durable.ErrUnknown) {
			t.Errorf("a signal is %v", err)
		}
	})
}

// Runs that are damaged can be forgotten, one by one or all at once, and so can what belongs to nobody. Then the journal is compacted again.
func TestForgetDamage(t *testing.T) {
	for name, give := range map[string]func(t *testing.T, j *durable.Journal){
		"one by one": func(t *testing.T, j *durable.Journal) {
			forget(t, j, "a")
			forget(t, j, "b")
			if err := j.ForgetDamage(t.Context()); err != nil { // what else was there
				t.Fatal(err)
			}
		},
		"all": func(t *testing.T, j *durable.Journal) {
			if err := j.ForgetDamage(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				j := open(t, dir)
				start[string](t, j, "test.receive", "live", struct{}{})
				start[int](t, j, "test.steps", "a", 9)
				start[int](t, j, "test.steps", "b", 9)
				time.Sleep(longSteps * 5 / 2)
				closeJournal(t, j)
				file := segments(t, dir)[0]
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				// The records of step 1 of a and b, and all that is between them.
				from, to := bytes.Index(data, []byte(`"n":"step 1"`)), bytes.LastIndex(data, []byte(`"n":"step 1"`))
				clear(data[from-30 : to+10])
				if err := os.WriteFile(file, data, 0o600); err != nil {
					t.Fatal(err)
				}
				j = open(t, dir, durable.CompactByHand())
				err = j.Recover(t.Context())
				var d *durable.DamageError
				if !errors.As(err, &d) || d.File != file || d.Missing {
					t.Fatalf("the error is %v", err)
				}
				lines := strings.Split(err.Error(), "\n")
				stopped := 0
				for info := range j.Runs(t.Context()) {
					if info.State == durable.Stopped {
						stopped++
						if !errors.As(info.Err, &d) || d.Run != info.ID {
							t.Errorf("%s is stopped: %v", info.ID, info.Err)
						}
						if !slices.Contains(lines, info.Err.Error()) {
							t.Errorf("Recover does not tell of %s: %v", info.ID, err)
						}
					}
				}
				if stopped != 2 || len(lines) != 2 {
					t.Fatalf("%d runs are stopped: %v", stopped, err)
				}
				before := contents(t, dir)
				if err := j.Compact(); err != nil || contents(t, dir) != before {
					t.Errorf("a damaged journal was compacted: %v", err)
				}
				var all []string
				for _, id := range ids(t, j) {
					if id != "live" && infoOf(t, j, id).State == durable.Stopped {
						all = append(all, id)
					}
				}
				if !slices.Equal(all, []string{"a", "b"}) {
					t.Fatalf("damaged are %q", all)
				}
				give(t, j)
				wantIDs(t, j, "live")
				start[int](t, j, "test.steps", "a", 2)
				closeJournal(t, j)
				if rest := contents(t, dir); strings.Contains(rest, `"id":"b"`) {
					t.Errorf("there is still %q", rest)
				}
				j = open(t, dir)
				recoverAll(t, j)
				wantIDs(t, j, "live", "a")
				want(t, j, "a", 1)
				for _, word := range []string{"x", "y", "z"} {
					signal(t, j, "live", word)
				}
				want(t, j, "live", "x y z")
			})
		})
	}
}

// What is damaged of a run whose result is known, or that is forgotten, matters to nobody.
func TestDamageThatMattersToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		start[int](t, j, "test.steps", "ended", 3)
		start[string](t, j, "test.receive", "live", struct{}{})
		time.Sleep(longSteps * 7 / 2)
		closeJournal(t, j)
		file := segments(t, dir)[0]
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[bytes.Index(data, []byte(`"n":"step 0"`))] ^= 1
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		j = open(t, dir)
		recoverAll(t, j)
		want(t, j, "ended", 3)
		if err := j.Compact(); err != nil {
			t.Fatal(err)
		}
		if rest := contents(t, dir); strings.Contains(rest, `/n":"step 0"`) {
			t.Errorf("the damage is still there: %q", rest)
		}
		closeJournal(t, j)
		j = open(t, dir)
		recoverAll(t, j)
		want(t, j, "ended", 3)
		for _, word := range []string{"x", "y", "z"} {
			signal(t, j, "live", word)
		}
		want(t, j, "live", "x y z")
	})
}

// Compaction forgets a run as a whole, wherever its records are: none of them is found without the others.
func TestRetentionLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		options := []durable.Option{durable.WithSegmentSize(1 << 10), durable.WithRetention(0), durable.CompactByHand()}
		j := open(t, dir, options...)
		start[int](t, j, "test.steps", "live", 30)
		start[int](t, j, "test.steps", "ended", 10)
		time.Sleep(longSteps * 21 / 2) // the end is in another segment than the start
		if n := len(segments(t, dir)); n < 3 {
			t.Fatalf("there are %d segments", n)
		}
		for i := range 3 {
			if err := j.Compact(); err != nil {
				t.Fatal(err)
			}
			crashed := copyDir(t, dir)
			again := open(t, crashed, options...)
			recoverAll(t, again)
			wantIDs(t, again, "live")
			closeJournal(t, again)
			if n := len(segments(t, dir)); n != 2 {
				t.Errorf("%d: there are %d segments", i, n)
			}
		}
		wantIDs(t, j, "live")
		want(t, j, "live", 29*30/2)
	})
}

// A disk that is full can be freed: Forget and Compact work, and then runs go on with what they have freed.
func TestAFullDiskIsFreed(t *testing.T) {
	for name, forgotten := range map[string]bool{"forgotten": true, "compacted": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				disk := newDisk(dir)
				j := open(t, dir, durable.WithFiles(disk), durable.WithSegmentSize(200<<10), durable.CompactByHand())
				start[int](t, j, "test.steps", "live", 9)
				for i := range 10 {
					if n, err := start[int](t, j, "test.big", fmt.Sprint(i), 20).Result(t.Context()); n != 20*8<<10 || err != nil {
						t.Fatal(n, err)
					}
				}
				if n := len(segments(t, dir)); n < 8 {
					t.Fatalf("there are %d segments", n)
				}
				disk.set(func(d *faultyDisk) { d.space = 0 })
				if _, err := durable.Find[int](j, "live").Result(t.Context()); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("the error of a run is %v", err)
				}
				if forgotten {
					for i := range 10 {
						forget(t, j, fmt.Sprint(i))
					}
				}
				if _, err := durable.Start[int, int](t.Context(), j, "test.steps", "early", 1); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("to start a run is %v", err) // there is room, but not for that
				}
				if err := j.Compact(); err != nil {
					t.Fatal(err)
				}
				recoverAll(t, j)
				want(t, j, "live", 36)
				start[int](t, j, "test.steps", "next", 1)
				want(t, j, "next", 0)
				for i := range 10 {
					if forgotten {
						if _, err := durable.Find[int](j, fmt.Sprint(i)).Result(t.Context()); !errors.Is(err, durable.ErrUnknown) {
							t.Errorf("the result of one that is forgotten is %v", err)
						}
						continue
					}
					want(t, j, fmt.Sprint(i), 20*8<<10)
				}
				closeJournal(t, j)
				j = open(t, dir)
				recoverAll(t, j)
				want(t, j, "live", 36)
			})
		})
	}
}

func init() {
	big := func(co *tinyio.Co, steps int) (n int, err error) {
		for range steps {
			s, err := value(co, "big", strings.Repeat("x", 8<<10))
			if err != nil {
				return 0, err
			}
			n += len(s)
		}
		return n, nil
	}
	durable.Register("test.big", func(steps int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (n int, err error) { return big(co, steps) })
	})
	durable.Register("test.bigAndSignal", func(steps int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			if n, err := big(co, steps); err != nil {
				return n, err
			}
			word, err := durable.Receive[string](co, "word")
			return len(word), err
		})
	})
}

// Wherever the process ends in a compaction, no run comes back that is forgotten, and none is damaged.
func TestACompactionThatIsNotFinished(t *testing.T) {
	for name, retention := range map[string][]durable.Option{"Forget": nil, "WithRetention": {durable.WithRetention(time.Minute)}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				disk := newDisk(dir)
				options := []durable.Option{durable.WithFiles(disk), durable.WithSegmentSize(100 << 10), durable.CompactByHand()}
				j := open(t, dir, options...)
				start[int](t, j, "test.bigAndSignal", "live", 30)
				for i := range 6 { // each ends in another segment than it has begun in
					start[int](t, j, "test.big", fmt.Sprint(i), 30)
				}
				for i := range 6 {
					want(t, j, fmt.Sprint(i), 30*8<<10)
				}
				time.Sleep(time.Hour)
				closeJournal(t, j)
				j = open(t, dir, append(options, retention...)...)
				start[int](t, j, "test.big", "late", 30)
				want(t, j, "late", 30*8<<10)
				if retention == nil {
					for i := range 6 {
						forget(t, j, fmt.Sprint(i))
					}
				}
				wantIDs(t, j, "live", "late")
				for finished := range 50 {
					disk.set(func(d *faultyDisk) { d.renames = finished })
					err := j.Compact()
					again := open(t, copyDir(t, dir))
					if err := again.Recover(t.Context()); err != nil {
						t.Fatalf("after %d parts: %v", finished, err)
					}
					wantIDs(t, again, "live", "late")
					want(t, again, "late", 30*8<<10)
					signal(t, again, "live", "go on")
					want(t, again, "live", 5)
					closeJournal(t, again)
					if err == nil {
						if finished < 3 {
							t.Errorf("the compaction has only %d parts", finished)
						}
						return
					}
				}
				t.Error("the compaction does not end")
			})
		})
	}
}

// A run that is forgotten while the journal is compacted stays forgotten.
func TestForgetDuringCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		disk := newDisk(dir)
		j := open(t, dir, durable.WithFiles(disk), durable.CompactByHand())
		start[int](t, j, "test.steps", "ended", 1)
		want(t, j, "ended", 0)
		gate := make(chan struct{})
		disk.set(func(d *faultyDisk) { d.gate = gate })
		errs := make(chan error, 3)
		for _, f := range []func() error{
			func() error {
				_, err := durable.Start[int, int](context.Background(), j, "test.steps", "other", 1)
				return err
			},
			j.Compact,
			func() error { return j.Forget(context.Background(), "ended") },
		} {
			go func() { errs <- f() }()
			synctest.Wait() // until it is held up, by the first write
		}
		close(gate)
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		wantIDs(t, j, "other")
		closeJournal(t, j)
		j = open(t, dir)
		wantIDs(t, j, "other")
		recoverAll(t, j)
	})
}

// A run of which compaction has left the start and the end, and damage only the start, does not begin anew without its input.
func TestLossOfTheEndIsDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		start[int](t, j, "test.steps", "one", 1)
		want(t, j, "one", 0)
		if err := j.Compact(); err != nil {
			t.Fatal(err)
		}
		closeJournal(t, j)
		file := segments(t, dir)[0]
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		const header = 20
		if err := os.Truncate(file, int64(bytes.Index(data, []byte(`{"k":"end"`))-header)); err != nil {
			t.Fatal(err)
		}
		j = open(t, dir)
		var d *durable.DamageError
		if err := j.Recover(t.Context()); !errors.As(err, &d) || d.Run != "one" || !d.Missing {
			t.Errorf("the error is %v", err)
		}
	})
}

// The reserve is there once, as large as a segment when there is a full one, whatever a process that was killed has left of it.
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		reserves := func() string {
			names, err := filepath.Glob(filepath.Join(dir, "reserve.*"))
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, name := range names {
				info, err := os.Stat(name)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, fmt.Sprint(filepath.Base(name), " ", info.Size()))
			}
			return strings.Join(all, ", ")
		}
		j := open(t, dir, durable.WithSegmentSize(100<<10))
		if got := reserves(); got != "" {
			t.Errorf("a journal without a run has the reserve %s", got)
		}
		start[int](t, j, "test.big", "one", 1)
		want(t, j, "one", 8<<10)
		if got := reserves(); got != "reserve.65536 65536" {
			t.Errorf("the reserve is %s", got)
		}
		start[int](t, j, "test.big", "two", 20)
		want(t, j, "two", 20*8<<10)
		if got := reserves(); got != "reserve.102400 102400" {
			t.Errorf("the reserve is %s", got)
		}
		closeJournal(t, j)
		for _, name := range []string{"reserve.65536", "reserve.tmp"} {
			if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 10), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		j = open(t, dir)
		start[int](t, j, "test.big", "three", 1)
		want(t, j, "three", 8<<10)
		if got := reserves(); got != "reserve.102400 102400" {
			t.Errorf("the reserve is %s", got)
		}
	})
}
