package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R16: a crash in which everybody on a long chain of awaits has a clean-up error of its own takes time and memory in proportion to the chain. The
// chains of the first of them are whole; those of the later ones begin where they leave that of the original error, and say so.
func TestCleanUpErrorsOfALongChain(t *testing.T) {
	noLeaks(t)
	const n = 2000
	var level func(k int) *tinyio.Coro[tinyio.Void]
	level = func(k int) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			if k == n {
				return errBoom
			}
			if err := wait(co, level(k+1)); err == nil {
				t.Errorf("level %d is not cancelled", k)
			}
			return fmt.Errorf("level %d", k)
		}).Named(fmt.Sprint(k))
	}
	_, err := tinyio.Run(background, level(0))
	var group *tinyio.ErrorGroup
	if !errors.As(err, &group) || len(group.Errs) != n+1 {
		t.Fatalf("Run returns a %T", err)
	}
	frames := 0
	for i, err := range group.Errs {
		trace := err.(*tinyio.Error).Trace
		frames += len(trace)
		cut := strings.Contains(fmt.Sprintf("%+v", err), "from where it leaves that of the original error")
		switch first := trace[0].Coro; {
		case trace[len(trace)-1].Coro != fmt.Sprint(n-i):
			t.Fatalf("error %d, %v, is of %s", i, err, trace[len(trace)-1].Coro)
		case !cut && first != "0":
			t.Fatalf("the chain of error %d begins with %s", i, first)
		case cut && (first != fmt.Sprint(n-i-1) || len(trace) != 2):
			t.Fatalf("the chain of error %d has %d frames and begins with %s", i, len(trace), first)
		case cut != (i > 5 && i < n-1):
			t.Fatalf("the chain of error %d is cut: %v", i, cut)
		}
	}
	if frames > 20_000 {
		t.Errorf("there are %d frames", frames)
	}
}

// A badError has a method that does not return.
type badError struct{ end func() }

func (badError) Error() string   { return "bad" }
func (b badError) Is(error) bool { b.end(); return false }

// R10, R14: an error whose methods panic says nothing about a stop; one whose methods call runtime.Goexit ends the run so. Neither leaves
// the loop in a state in which it cannot be run again.
func TestErrorWhoseMethodDoesNotReturn(t *testing.T) {
	coros := map[string]func(err error) *tinyio.Coro[int]{
		"coroutine": func(err error) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) { co.Sleep(time.Hour); return 0, err })
		},
		"thread": func(err error) *tinyio.Coro[int] {
			return tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, err })
		},
	}
	for kind, make := range coros {
		for name, how := range endings {
			t.Run(kind+", "+name, func(t *testing.T) {
				noLeaks(t)
				l := tinyio.NewLoop()
				ended := false
				run := func() {
					_, err := tinyio.RunOn(background, l, tinyio.Do(func(co *tinyio.Co) error {
						return co.Wait(make(badError{how.end}), tinyio.Do(func(*tinyio.Co) error { return errBoom }))
					}))
					ended = true
					var group *tinyio.ErrorGroup
					if !errors.As(err, &group) || len(group.Errs) != 2 || group.Errs[1].Error() != "bad" {
						t.Errorf("Run returns %v", err)
					}
				}
				if name == "exit" {
					how.want(t, run)
				} else if run(); !ended {
					t.Error("Run does not return")
				}
				if v, err := tinyio.RunOn(background, l, value(0, 7)); v != 7 || err != nil {
					t.Errorf("the next run gives %d, %v", v, err)
				}
			})
		}
	}
}
