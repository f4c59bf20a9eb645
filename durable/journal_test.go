package durable_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

func init() {
	durable.Register("test.add", func(in [2]int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(24 * time.Hour); err != nil {
				return 0, err
			}
			return tinyio.Call(co, func(context.Context) (int, error) { return in[0] + in[1], nil })
		})
	})
}

// open opens a journal in dir, and closes it at the end of the test.
func open(t *testing.T, dir string, opts ...durable.Option) *durable.Journal {
	t.Helper()
	j, err := durable.Open(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func start[Out, In any](t *testing.T, j *durable.Journal, program, id string, in In) *durable.Run[Out] {
	t.Helper()
	r, err := durable.Start[In, Out](t.Context(), j, program, id, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARunGoesOnWhenTheJournalIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, dir)
		r := start[int](t, j, "test.add", "one", [2]int{3, 4})
		began := time.Now()
		time.Sleep(time.Hour)
		j.Close()
		if _, err := r.Result(t.Context()); !errors.Is(err, durable.ErrClosed) {
			t.Errorf("the result when the journal is closed is %v", err)
		}
		time.Sleep(time.Hour)
		j = open(t, dir)
		if err := j.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		v, err := durable.Find[int](j, "one").Result(t.Context())
		if v != 7 || err != nil {
			t.Errorf("the result is %v, %v; want 7", v, err)
		}
		if d := time.Since(began); d != 24*time.Hour {
			t.Errorf("it took %v", d)
		}
		for info, err := range j.Runs(t.Context()) {
			if got := fmt.Sprint(info.ID, info.Program, info.State, info.Err, err); got != "onetest.addsucceeded<nil> <nil>" {
				t.Error(got)
			}
		}
	})
}
