package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotest"
)

// noLeaks fails the test if there are more goroutines after it than before.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

// A batch is full, or its first value has waited for long enough, or there is no more. The time counts from the first value on.
func TestBatches(t *testing.T) {
	type arrival struct {
		at     int // milliseconds
		values string
	}
	for _, test := range []struct {
		name     string
		arrivals []arrival
		busy     int // how long emit takes
		end      int // when there is no more
		want     string
	}{
		{name: "nothing", end: 5},
		{"full batches at once", []arrival{{0, "abcdefgh"}}, 0, 0, "0:abc 0:def 0:gh"},
		{"exactly full", []arrival{{0, "abc"}}, 0, 1000, "0:abc"},
		{"slow input", []arrival{{10, "a"}, {100, "b"}, {209, "c"}, {500, "d"}}, 0, 1000, "209:abc 700:d"},
		{"just too late", []arrival{{10, "a"}, {100, "b"}, {211, "c"}, {212, "d"}}, 0, 1000, "210:ab 411:cd"},
		{"the end", []arrival{{10, "a"}, {20, "b"}}, 0, 30, "30:ab"},
		{"output slower than input", []arrival{{0, "ab"}, {250, "cdefg"}, {1300, "h"}}, 1000, 3000, "200:ab 1200:cde 2200:fgh"},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			in := tinyio.NewQueue[rune](2)
			ms := func(co *tinyio.Co) int {
				return int(co.Now().Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Milliseconds())
			}
			until := func(co *tinyio.Co, at int) error { return co.Sleep(time.Duration(at-ms(co)) * time.Millisecond) }
			var got []string
			main := tinyio.Do(func(co *tinyio.Co) error {
				co.Go(func(co *tinyio.Co) error {
					for _, a := range test.arrivals {
						if err := until(co, a.at); err != nil {
							return err
						}
						for _, v := range a.values {
							if err := in.Put(co, v); err != nil {
								return err
							}
						}
					}
					err := until(co, test.end)
					in.Close()
					return err
				})
				return collect(co, in, 3, 200*time.Millisecond, func(batch []rune) error {
					got = append(got, fmt.Sprintf("%d:%s", ms(co), string(batch)))
					return co.Sleep(time.Duration(test.busy) * time.Millisecond)
				})
			})
			if _, err := tinyio.Run(t.Context(), main, tinyio.WithVirtualTime()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("the batches are %q, want %q", got, test.want)
			}
		})
	}
}

// Under every schedule, and whenever it is stopped, what is in the batches is what was put, in order, and no batch is empty or too
// long.
func TestBatchesUnderEverySchedule(t *testing.T) {
	tinyiotest.Explore(t, func(co *tinyio.Co) error {
		in := tinyio.NewQueue[int](1)
		co.Go(func(co *tinyio.Co) error {
			defer in.Close()
			for i := range 5 {
				if err := in.Put(co, i); err != nil {
					return err
				}
				if err := co.Sleep(time.Duration(i%3) * time.Second); err != nil {
					return err
				}
			}
			return nil
		})
		var all []int
		err := collect(co, in, 2, time.Second, func(batch []int) error {
			if len(batch) < 1 || len(batch) > 2 {
				return fmt.Errorf("a batch is %d", batch)
			}
			all = append(all, batch...)
			return co.Yield()
		})
		for i, v := range all {
			if v != i {
				return fmt.Errorf("the batches have %d", all)
			}
		}
		if err == nil && len(all) != 5 && co.Err() == nil {
			return fmt.Errorf("the batches have only %d", all)
		}
		return err
	}, tinyiotest.Faults(), tinyiotest.MaxSchedules(500))
}

// source gives the lines of a text, and then an error, if it is not nil.
func source(ctx context.Context, text string, err error) <-chan chunk {
	r := io.Reader(strings.NewReader(text))
	if err != nil {
		r = io.MultiReader(r, failing{err})
	}
	return read(ctx, []input{{"input", func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A worker redacts nothing, but takes its time.
type worker func(batch []record) time.Duration

func (w worker) redact(ctx context.Context, batch []record) (result, error) {
	time.Sleep(w(batch))
	var b bytes.Buffer
	for _, r := range batch {
		fmt.Fprintf(&b, "%s\n", r.text)
	}
	return result{text: b.Bytes(), records: len(batch)}, nil
}

// numbers are so many lines.
func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

// Batches are worked on at the same time, and written in the order of the input although the first takes longest.
func TestOrderIsKept(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var out bytes.Buffer
		var mu sync.Mutex
		var order []string
		slow := worker(func(batch []record) time.Duration {
			return time.Duration(100-batch[0].line) * time.Second
		})
		p := newPipeline(10, time.Second, 10, source(t.Context(), numbers(95), nil), func(ctx context.Context, batch []record) (result, error) {
			r, err := slow.redact(ctx, batch)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, string(batch[0].text))
			return r, err
		}, &out)
		if _, err := tinyio.Run(t.Context(), tinyio.Do(p.run)); err != nil {
			t.Fatal(err)
		}
		if out.String() != numbers(95) || p.records != 95 || p.batches != 10 {
			t.Errorf("there are %d records in %d batches:\n%s", p.records, p.batches, out.String())
		}
		if want := []string{"90", "80", "70", "60", "50", "40", "30", "20", "10", "0"}; !slices.Equal(order, want) {
			t.Errorf("they have ended in the order %q, want %q", order, want)
		}
		if took := time.Since(begin); took != 99*time.Second { // as long as the longest
			t.Errorf("it took %v, want 99s", took)
		}
	})
}

// There are never more batches worked on at once than workers.
func TestWorkers(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var out bytes.Buffer
		second := worker(func([]record) time.Duration { return time.Second })
		p := newPipeline(2, time.Second, 3, source(t.Context(), numbers(20), nil), second.redact, &out)
		if _, err := tinyio.Run(t.Context(), tinyio.Do(p.run)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); out.String() != numbers(20) || took != 4*time.Second { // 10 batches, 3 at a time
			t.Errorf("it took %v, want 4s", took)
		}
	})
}

// A stuck is an output that takes nothing until it is let.
type stuck struct {
	bytes.Buffer
	gate chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.gate
	return s.Buffer.Write(p)
}

// When the output takes nothing, only so much of the input is read as there is room for in the queues.
func TestBackPressure(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		const size, workers, chunks = 10, 2, 100
		from := make(chan chunk)
		sent := 0
		go func() {
			defer close(from)
			for i := range chunks {
				from <- chunk{records: []record{{"input", i + 1, fmt.Append(nil, i)}}}
				sent++
			}
		}()
		out := &stuck{gate: make(chan struct{})}
		at := worker(func([]record) time.Duration { return 0 })
		p := newPipeline(size, time.Second, workers, from, at.redact, out)
		done := make(chan error)
		go func() {
			_, err := tinyio.Run(t.Context(), tinyio.Do(p.run))
			done <- err
		}()
		synctest.Wait()
		// A batch that is being written, those in the queue, one that waits to be put there, then the records in the queue, and one
		// that waits to be put there.
		if want := size*(1+workers+1) + size + 1; sent != want {
			t.Errorf("%d records have been read, want %d", sent, want)
		}
		close(out.gate)
		if err := <-done; err != nil || out.String() != numbers(chunks) {
			t.Errorf("the error is %v, and %d records were written", err, p.records)
		}
	})
}

// A failure of any part ends the pipeline with that error, and the other parts with it.
func TestFailures(t *testing.T) {
	wrong := errors.New("something is wrong")
	work := worker(func([]record) time.Duration { return time.Second }).redact
	for _, test := range []struct {
		name   string
		read   error
		redact func(ctx context.Context, batch []record) (result, error)
		out    io.Writer
	}{
		{"read", wrong, work, io.Discard},
		{"write", nil, work, failingWriter{wrong}},
		{"redact", nil, func(ctx context.Context, batch []record) (result, error) {
			if batch[0].line == 1 {
				return result{}, wrong
			}
			<-ctx.Done() // the others are stopped
			return result{}, ctx.Err()
		}, io.Discard},
		{"bad record", nil, func(ctx context.Context, batch []record) (result, error) {
			time.Sleep(time.Duration(100-batch[0].line) * time.Second)
			if batch[0].line > 1 { // the later ones fail earlier
				return result{bad: []error{errors.New("not this one")}}, nil
			}
			return result{bad: []error{wrong}}, nil
		}, io.Discard},
	} {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p := newPipeline(10, time.Second, 3, source(ctx, numbers(100), test.read), test.redact, test.out)
				if _, err := tinyio.Run(t.Context(), tinyio.Do(p.run)); !errors.Is(err, wrong) {
					t.Errorf("the error is %v", err)
				}
			})
		})
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

// A source that is stopped does not look like one that has ended.
func TestReadStopped(t *testing.T) {
	noLeaks(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		from := source(ctx, numbers(1), nil)
		cancel()
		synctest.Wait() // it has stopped
		select {
		case c, ok := <-from:
			t.Errorf("received %v, %v", c, ok)
		default:
		}
	})
}

// What there is to be read at once comes in one chunk, and lines are numbered, empty ones too.
func TestRead(t *testing.T) {
	noLeaks(t)
	r, w := io.Pipe()
	from := read(t.Context(), []input{
		{"one", func() (io.ReadCloser, error) { return r, nil }},
		{"two", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("last")), nil }},
		{"three", func() (io.ReadCloser, error) { return nil, errors.New("three is not there") }},
		{"four", func() (io.ReadCloser, error) { panic("it is not read") }},
	})
	go func() {
		io.WriteString(w, "a\n\n b \r\nc")
		io.WriteString(w, "c\nd")
		w.Close()
	}()
	var got []string
	for c := range from {
		var b strings.Builder
		for _, r := range c.records {
			fmt.Fprintf(&b, "%s:%d:%s ", r.input, r.line, r.text)
		}
		if c.err != nil {
			b.WriteString(c.err.Error())
		}
		got = append(got, b.String())
		if c.err != nil {
			break // and nothing more comes
		}
	}
	want := []string{"one:1:a one:3:b ", "one:4:cc ", "one:5:d ", "two:1:last ", "three is not there"}
	if !slices.Equal(got, want) {
		t.Errorf("the chunks are %q, want %q", got, want)
	}
}
