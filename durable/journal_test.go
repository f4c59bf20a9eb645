package durable_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// longSteps is how long the program "test.steps" sleeps between its steps.
const longSteps = time.Hour

func init() {
	durable.Register("test.steps", func(n int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			sum := 0
			for i := range n {
				v, err := value(co, fmt.Sprint("step ", i), i)
				if err != nil {
					return 0, err
				}
				sum += v
				if err := co.Sleep(longSteps); err != nil {
					return 0, err
				}
			}
			return sum, nil
		}).Named("steps")
	})
	do("test.receive", func(co *tinyio.Co) (string, error) {
		var all []string
		for range 3 {
			s, err := durable.Receive[string](co, "word")
			if err != nil {
				return "", err
			}
			all = append(all, s)
		}
		return strings.Join(all, " "), nil
	})
	do("test.busy", func(co *tinyio.Co) (string, error) {
		busy := tinyio.Do(func(co *tinyio.Co) error {
			for {
				if err := co.Yield(); err != nil {
					return err
				}
			}
		})
		_, err := tinyio.Timeout(co, busy, time.Millisecond)
		if !errors.Is(err, tinyio.ErrTimeout) {
			return "", err
		}
		return "timed out", nil
	})
	do("test.panics", func(co *tinyio.Co) (int, error) {
		if err := co.Sleep(time.Millisecond); err != nil {
			return 0, err
		}
		panic("a bug")
	})
	do("test.exits", func(co *tinyio.Co) (int, error) {
		runtime.Goexit()
		return 0, nil
	})
	do("test.outside", func(co *tinyio.Co) (int, error) {
		return tinyio.FromCallback(func(done func(int, error)) func(error) {
			time.AfterFunc(time.Millisecond, func() { done(1, nil) })
			return nil
		}).Await(co)
	})
	do("test.value", func(co *tinyio.Co) (string, error) {
		dependency, _ := co.Value(dependencyKey{}).(string)
		return dependency, nil
	})
	do("test.unrecordable", func(co *tinyio.Co) (int, error) {
		_, err := value(co, "channel", make(chan int))
		return 0, err
	})
	do("test.nested", func(co *tinyio.Co) (int, error) {
		return durable.Child[int, int](co, "test.steps", "", 3).Await(co)
	})
}

type dependencyKey struct{}

func TestARunGoesOnWhenTheJournalIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		r := start[int](t, j, "test.steps", "one", 5)
		began := time.Now()
		time.Sleep(longSteps * 3 / 2)
		closeJournal(t, j)
		if _, err := r.Result(t.Context()); !errors.Is(err, durable.ErrClosed) {
			t.Errorf("the result when the journal is closed is %v", err)
		}
		time.Sleep(longSteps)
		j = open(t, dir)
		recoverAll(t, j)
		want(t, j, "one", 10)
		if d := time.Since(began); d != 5*longSteps+longSteps/2 { // the third step was taken half an hour late
			t.Errorf("it took %v", d)
		}
		info := infoOf(t, j, "one")
		if info.Program != "test.steps" || info.State != durable.Succeeded || info.Err != nil || !info.Started.Equal(began) {
			t.Errorf("the run is %+v", info)
		}
	})
}

// Start finds a run of the last process, and lets it go on without Recover.
func TestStartLetsARunGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		start[int](t, j, "test.steps", "one", 3)
		time.Sleep(longSteps / 2)
		closeJournal(t, j)
		j = open(t, dir)
		if got, err := start[int](t, j, "test.steps", "one", 100).Result(t.Context()); got != 3 || err != nil {
			t.Errorf("the result is %d, %v; want 3", got, err)
		}
	})
}

// Signals come in the order in which they were sent, those too that were sent before the run has gone on.
func TestSignalsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for _, word := range []string{"one", "two", "three"} {
			j := open(t, dir)
			if word == "one" {
				start[string](t, j, "test.receive", "r", struct{}{})
			} else if word == "three" {
				recoverAll(t, j)
			}
			if err := durable.Signal(t.Context(), j, "r", "word", word); err != nil {
				t.Fatal(err)
			}
			if word == "three" {
				want(t, j, "r", "one two three")
			}
			closeJournal(t, j)
		}
	})
}

func TestASignalOfAnotherTypeIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, t.TempDir())
		r := start[string](t, j, "test.receive", "r", struct{}{})
		if err := durable.Signal(t.Context(), j, "r", "word", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Result(t.Context()); err == nil || !strings.Contains(err.Error(), `the signal "word" is no string`) {
			t.Errorf("the error is %v", err)
		}
	})
}

// Cancel is kept when the journal is closed before the run hears of it.
func TestCancelIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		start[int](t, j, "test.steps", "one", 3)
		synctest.Wait()
		closeJournal(t, j)
		j = open(t, dir)
		if err := durable.Find[int](j, "one").Cancel(t.Context(), errTest); err != nil {
			t.Fatal(err)
		}
		closeJournal(t, j)
		j = open(t, dir)
		recoverAll(t, j)
		_, err := durable.Find[int](j, "one").Result(t.Context())
		if err == nil || err.Error() != errTest.Error() {
			t.Errorf("the error is %v", err)
		}
		if s := infoOf(t, j, "one").State; s != durable.Cancelled {
			t.Errorf("the state is %s", s)
		}
	})
}

func TestCancelWithoutACauseIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, t.TempDir())
		r := start[int](t, j, "test.nested", "one", struct{}{})
		time.Sleep(time.Minute)
		if err := r.Cancel(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Result(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		if s := infoOf(t, j, "one/1"); s.State != durable.Cancelled { // and so is its child
			t.Errorf("the child is %+v", s)
		}
	})
}

// A program that never waits still has its timers.
func TestABusyProgramHasItsTimers(t *testing.T) {
	j := open(t, t.TempDir())
	start[string](t, j, "test.busy", "b", struct{}{})
	want(t, j, "b", "timed out")
	var history bytes.Buffer
	if err := j.Export(t.Context(), "b", &history); err != nil {
		t.Fatal(err)
	}
	if err := durable.Verify(&history); err != nil {
		t.Error(err)
	}
}

func TestAPanicIsTheErrorOfTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		start[int](t, j, "test.panics", "p", struct{}{})
		for range 2 {
			_, err := durable.Find[int](j, "p").Result(t.Context())
			var p *tinyio.PanicError
			if !errors.As(err, &p) || p.Value != "a bug" || !bytes.Contains(p.Stack, []byte("journal_test.go")) {
				t.Errorf("the error is %v", err)
			}
			closeJournal(t, j)
			j = open(t, dir)
		}
	})
}

func TestAGoexitIsTheErrorOfTheRun(t *testing.T) {
	j := open(t, t.TempDir())
	_, err := start[int](t, j, "test.exits", "e", struct{}{}).Result(t.Context())
	if err == nil || !strings.Contains(err.Error(), "Goexit") {
		t.Errorf("the error is %v", err)
	}
}

func TestWhatIsNotRecordedStopsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, t.TempDir())
		_, err := start[int](t, j, "test.outside", "o", struct{}{}).Result(t.Context())
		if err == nil || !strings.Contains(err.Error(), "that is not recorded") || infoOf(t, j, "o").State != durable.Stopped {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestAResultThatCannotBeRecordedIsAnError(t *testing.T) {
	j := open(t, t.TempDir())
	_, err := start[int](t, j, "test.unrecordable", "u", struct{}{}).Result(t.Context())
	if err == nil || !strings.Contains(err.Error(), `the result of step "channel" cannot be recorded`) {
		t.Errorf("the error is %v", err)
	}
}

func TestWithContextGivesProgramsValues(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), dependencyKey{}, "database"))
	cancel()
	j := open(t, t.TempDir(), durable.WithContext(ctx))
	start[string](t, j, "test.value", "v", struct{}{})
	want(t, j, "v", "database")
}

func TestStatusShowsTheCoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, t.TempDir())
		start[int](t, j, "test.steps", "one", 3)
		synctest.Wait()
		status, err := j.Status(t.Context(), "one")
		if err != nil || len(status) != 1 || status[0].Coro != "steps" || status[0].On != "a timer" {
			t.Errorf("the status is %v, %v", status, err)
		}
		if d := time.Until(status[0].Deadline); d != longSteps {
			t.Errorf("its sleep ends in %v", d)
		}
	})
}

func TestOnChangeIsToldOfEachState(t *testing.T) {
	var states atomic.Pointer[[]string]
	states.Store(new([]string))
	j := open(t, t.TempDir(), durable.OnChange(func(i durable.Info) {
		s := append(*states.Load(), fmt.Sprint(i.ID, " ", i.State))
		states.Store(&s)
	}))
	start[string](t, j, "test.value", "v", struct{}{})
	want(t, j, "v", "")
	closeJournal(t, j)
	if got := strings.Join(*states.Load(), ", "); got != "v running, v succeeded" {
		t.Errorf("the states are %s", got)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	if _, err := durable.Open(dir); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("the journal was opened twice: %v", err)
	}
	closeJournal(t, j)
	open(t, dir)
}

// What is asked of a journal that has been closed is an error, and it can be closed again.
func TestClosedJournal(t *testing.T) {
	j := open(t, t.TempDir())
	closeJournal(t, j)
	closeJournal(t, j)
	_, err := durable.Start[int, int](t.Context(), j, "test.steps", "x", 1)
	for what, err := range map[string]error{
		"Start":   err,
		"Signal":  durable.Signal(t.Context(), j, "x", "word", 1),
		"Cancel":  durable.Find[int](j, "x").Cancel(t.Context(), nil),
		"Compact": j.Compact(),
	} {
		if !errors.Is(err, durable.ErrClosed) {
			t.Errorf("%s is %v", what, err)
		}
	}
}

// Wherever the writing of a journal ends, what was written before is good.
func TestTornTailIsCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("opens a journal again and again")
	}
	var whole string
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		start[int](t, j, "test.steps", "one", 2)
		start[int](t, j, "test.steps", "two", 3)
		time.Sleep(longSteps / 2)
		whole = copyDir(t, dir)
		closeJournal(t, j)
		data, err := os.ReadFile(segments(t, whole)[0])
		if err != nil {
			t.Fatal(err)
		}
		for end := len(data); end >= 0; end -= 5 {
			dir := filepath.Join(t.TempDir())
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(segments(t, whole)[0])), data[:end], 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := durable.Open(dir)
			if err != nil {
				t.Fatalf("cut at byte %d: %v", end, err)
			}
			if err := j.Recover(t.Context()); err != nil {
				t.Errorf("cut at byte %d: %v", end, err)
			}
			start[int](t, j, "test.steps", "one", 2)
			start[int](t, j, "test.steps", "two", 3)
			want(t, j, "one", 1)
			want(t, j, "two", 3)
			closeJournal(t, j)
			if t.Failed() {
				t.Fatalf("cut at byte %d", end)
			}
		}
	})
}

// A byte that has changed costs one run at most, and the error says where it is.
func TestDamageCostsOneRun(t *testing.T) {
	if testing.Short() {
		t.Skip("opens a journal again and again")
	}
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		ids := []string{"a", "b", "c"}
		for _, id := range ids {
			start[int](t, j, "test.steps", id, 4)
		}
		time.Sleep(longSteps * 3 / 2)
		closeJournal(t, j)
		name := segments(t, dir)[0]
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		reported := 0
		for at := 0; at < len(data); at += 11 {
			damaged := t.TempDir()
			file := filepath.Join(damaged, filepath.Base(name))
			changed := bytes.Clone(data)
			changed[at] ^= 0x55
			if err := os.WriteFile(file, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := durable.Open(damaged)
			if err != nil {
				t.Fatalf("byte %d: %v", at, err)
			}
			var d *durable.DamageError
			if err := j.Recover(t.Context()); err != nil {
				if reported++; !errors.As(err, &d) || d.File != file || int64(at) < d.Offset || int64(at) >= d.Offset+d.Length {
					t.Errorf("byte %d: the error is %v", at, err)
				}
			}
			lost := 0
			for info, err := range j.Runs(t.Context()) {
				if err != nil {
					t.Error(err)
				}
				if info.State != durable.Stopped {
					want(t, j, info.ID, 6)
					continue
				}
				if lost++; !errors.As(info.Err, &d) {
					t.Errorf("byte %d: %s is stopped: %v", at, info.ID, info.Err)
				}
				if _, err := durable.Find[int](j, info.ID).Result(t.Context()); !errors.As(err, &d) {
					t.Errorf("byte %d: the result of %s is %v", at, info.ID, err)
				}
			}
			if lost > 1 {
				t.Errorf("byte %d: %d runs are lost", at, lost)
			}
			closeJournal(t, j)
			if t.Failed() {
				t.FailNow()
			}
		}
		if reported < len(data)/11*3/4 { // what is not is the last batch, which nobody can tell from one that was never finished
			t.Errorf("of %d damaged bytes %d were reported", len(data)/11, reported)
		}
	})
}

// A segment that is gone is noticed by the gap that it leaves.
func TestAMissingSegmentIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir, durable.WithSegmentSize(1<<10))
		start[int](t, j, "test.steps", "one", 50)
		time.Sleep(longSteps * 40)
		closeJournal(t, j)
		names := segments(t, dir)
		if len(names) < 3 {
			t.Fatalf("there are %d segments", len(names))
		}
		if err := os.Remove(names[1]); err != nil {
			t.Fatal(err)
		}
		j = open(t, dir)
		var d *durable.DamageError
		if err := j.Recover(t.Context()); !errors.As(err, &d) || !d.Missing || d.Run != "one" {
			t.Errorf("the error is %v", err)
		}
	})
}

// A full disk stops runs with an error that says so. They go on when there is room.
func TestAFullDiskStopsRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		disk := newDisk(dir)
		j := open(t, dir, durable.WithFiles(disk))
		for _, id := range []string{"one", "two"} {
			start[int](t, j, "test.steps", id, 3)
		}
		time.Sleep(longSteps / 2)
		disk.set(func(d *faultyDisk) { d.space = 100 })
		for _, id := range []string{"one", "two"} {
			_, err := durable.Find[int](j, id).Result(t.Context())
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
				t.Errorf("the error of %s is %v", id, err)
			}
			if info := infoOf(t, j, id); info.State != durable.Stopped || !errors.Is(info.Err, syscall.ENOSPC) {
				t.Errorf("the run is %+v", info)
			}
		}
		if _, err := durable.Start[int, int](t.Context(), j, "test.steps", "three", 3); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Start on a full disk is %v", err)
		}
		if err := durable.Signal(t.Context(), j, "one", "word", "x"); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Signal on a full disk is %v", err)
		}
		time.Sleep(longSteps)
		disk.set(func(d *faultyDisk) { d.space = -1 })
		recoverAll(t, j)
		want(t, j, "one", 3)
		want(t, j, "two", 3)
		start[int](t, j, "test.steps", "three", 3)
		want(t, j, "three", 3)
		closeJournal(t, j)
		j = open(t, dir)
		recoverAll(t, j)
		for _, id := range []string{"one", "two", "three"} {
			want(t, j, id, 3)
		}
	})
}

// After a write of which nobody knows how much has reached the disk, nothing more is written until the journal is opened again.
func TestADiskThatFailsStopsTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		disk := newDisk(dir)
		j := open(t, dir, durable.WithFiles(disk))
		r := start[int](t, j, "test.steps", "one", 3)
		time.Sleep(longSteps / 2)
		disk.set(func(d *faultyDisk) { d.sync, d.truncate = errTest, errTest })
		if _, err := r.Result(t.Context()); !errors.Is(err, errTest) {
			t.Errorf("the error is %v", err)
		}
		disk.set(func(d *faultyDisk) { d.sync, d.truncate = nil, nil })
		if err := j.Recover(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := r.Result(t.Context()); !errors.Is(err, errTest) {
			t.Errorf("the error after Recover is %v", err)
		}
		closeJournal(t, j)
		j = open(t, dir)
		recoverAll(t, j)
		want(t, j, "one", 3)
	})
}

// Compaction keeps what runs that have not ended need, and the results of the others.
func TestCompactionKeepsWhatIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		disk := newDisk(dir)
		j := open(t, dir, durable.WithFiles(disk), durable.WithSegmentSize(2<<10), durable.CompactByHand())
		start[int](t, j, "test.steps", "live", 30)
		for i := range 10 {
			start[int](t, j, "test.steps", fmt.Sprint("ended ", i), 4)
		}
		time.Sleep(longSteps * 9 / 2)
		before := len(segments(t, dir))
		disk.set(func(d *faultyDisk) { d.remove = errTest }) // as if the process ended there
		if err := j.Compact(); !errors.Is(err, errTest) {
			t.Errorf("the compaction is %v", err)
		}
		disk.set(func(d *faultyDisk) { d.remove = nil })
		crashed := copyDir(t, dir)
		if err := j.Compact(); err != nil {
			t.Error(err)
		}
		time.Sleep(longSteps)
		closeJournal(t, j)
		for _, dir := range []string{crashed, dir} {
			j := open(t, dir)
			recoverAll(t, j)
			want(t, j, "live", 29*30/2)
			for i := range 10 {
				want(t, j, fmt.Sprint("ended ", i), 6)
			}
			closeJournal(t, j)
			if after := len(segments(t, dir)); before < 4 || after > 4 {
				t.Errorf("there were %d segments, and now %d", before, after)
			}
		}
	})
}

// The journal compacts itself when that gains enough, and forgets what it is told to.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		options := []durable.Option{durable.WithSegmentSize(2 << 10), durable.WithRetention(time.Minute)}
		j := open(t, dir, options...)
		start[int](t, j, "test.steps", "live", 100)
		for i := range 80 {
			r := start[int](t, j, "test.steps", fmt.Sprint("ended ", i), 1)
			if _, err := r.Result(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(segments(t, dir)); n > 20 {
			t.Errorf("there are %d segments", n)
		}
		closeJournal(t, j)
		time.Sleep(time.Hour)
		j = open(t, dir, options...)
		n := 0
		for range j.Runs(t.Context()) {
			n++
		}
		if n != 1 {
			t.Errorf("there are %d runs", n)
		}
		if _, err := durable.Find[int](j, "ended 1").Result(t.Context()); !errors.Is(err, durable.ErrUnknown) {
			t.Errorf("a run that was forgotten: %v", err)
		}
		recoverAll(t, j)
		want(t, j, "live", 99*100/2)
	})
}

// Whoever starts the same id at the same time has the same run.
func TestStartAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				r, err := durable.Start[int, int](t.Context(), j, "test.steps", "one", 3)
				if err != nil {
					t.Error(err)
					return
				}
				if v, err := r.Result(t.Context()); v != 3 || err != nil {
					t.Errorf("the result is %d, %v", v, err)
				}
			})
		}
		all.Wait()
		closeJournal(t, j)
		j = open(t, dir)
		n := 0
		for range j.Runs(t.Context()) {
			n++
		}
		if n != 1 {
			t.Errorf("there are %d runs", n)
		}
	})
}

// A run of a program that is not there is stopped, and the others go on.
func TestAProgramThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register := func() { do("test.gone", func(co *tinyio.Co) (int, error) { return 7, co.Sleep(time.Hour) }) }
		register()
		dir := t.TempDir()
		j := open(t, dir)
		start[int](t, j, "test.gone", "gone", struct{}{})
		start[int](t, j, "test.steps", "there", 3)
		synctest.Wait()
		closeJournal(t, j)
		durable.Unregister("test.gone")
		j = open(t, dir)
		if err := j.Recover(t.Context()); err == nil || !strings.Contains(err.Error(), `run "gone" cannot go on: durable: no program "test.gone" is registered`) {
			t.Errorf("the error is %v", err)
		}
		if s := infoOf(t, j, "gone").State; s != durable.Stopped {
			t.Errorf("the state is %s", s)
		}
		want(t, j, "there", 3)
		register()
		recoverAll(t, j)
		want(t, j, "gone", 7)
		durable.Unregister("test.gone") // for -count
	})
}

// A signal that comes while the run is being brought to where it was, or has a result in the same batch, is not lost.
func TestSignalsAmongResults(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	start[int](t, j, "test.tally", "t", 50)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if err := durable.Signal(t.Context(), j, "t", "number", i); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want(t, j, "t", 50*49/2)
	closeJournal(t, j)
	j = open(t, dir)
	var history bytes.Buffer
	if err := j.Export(t.Context(), "t", &history); err != nil {
		t.Fatal(err)
	}
	if err := durable.Verify(&history); err != nil {
		t.Error(err)
	}
}

func init() {
	durable.Register("test.tally", func(n int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			sum := 0
			for range n {
				v, err := durable.Receive[int](co, "number")
				if err != nil {
					return 0, err
				}
				if v, err = value(co, fmt.Sprint("number ", v), v); err != nil {
					return 0, err
				}
				sum += v
			}
			return sum, nil
		})
	})
}

// An engine in which starting a run takes too long for whoever asks for it.
type slowEngine struct {
	durable.Engine
	started bool // in the end
}

func (e slowEngine) StartRun(ctx context.Context, _, _ string, _ json.RawMessage) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func (e slowEngine) CancelRun(context.Context, string, error) error {
	if !e.started {
		return durable.ErrUnknown
	}
	return nil
}

func (e slowEngine) AwaitRun(context.Context, string, bool) (json.RawMessage, error) {
	return nil, &durable.RunError{ID: "child", Err: errTest, Cancelled: true}
}

// Who is stopped while it starts a child has stopped cleanly, whether there is a child now or not. Only if the journal is being closed is that no result.
func TestStoppedWhileStartingAChild(t *testing.T) {
	for _, started := range []bool{false, true} {
		for _, cause := range []error{errKnown, tinyio.ErrAbandoned} {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			_, err := durable.RunChild(ctx, slowEngine{started: started}, "p", "child", nil)
			if abandoned := cause == tinyio.ErrAbandoned; abandoned != durable.IsUnavailable(err) || !abandoned && err != cause {
				t.Errorf("started %v, stopped because of %v: the error is %v", started, cause, err)
			}
		}
	}
}
