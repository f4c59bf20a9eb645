package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// nowhere is a log that keeps nothing.
type nowhere struct{}

func (nowhere) Commit([]table.Change) error { return nil }

// withStore calls f with a store that runs, in a bubble, and wants the store to run until it is stopped.
func withStore(t *testing.T, f func(s *Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(table.New(nil, 0, nil), nowhere{})
		ctx, stop := context.WithCancelCause(context.Background())
		ended := make(chan error, 1)
		go func() {
			_, err := tinyio.RunOn(ctx, s.loop, s.main())
			ended <- err
		}()
		synctest.Wait()
		f(s)
		stop(errStopped)
		if err := <-ended; !errors.Is(err, errStopped) {
			t.Errorf("the store ended with %+v", err)
		}
	})
}

// on runs f as a coroutine of the loop of s.
func on(t *testing.T, s *Store, f func()) {
	t.Helper()
	_, err := tinyio.Submit(context.Background(), s.loop, tinyio.Do(func(co *tinyio.Co) error {
		f()
		return nil
	}))
	if err != nil {
		t.Error(err)
	}
}

// A watch leaves nothing in the store, however it ends: because the client goes, with an error of its connection at that
// moment or without, or because of an error alone.
func TestNothingIsLeftOfAWatch(t *testing.T) {
	errPipe := errors.New("broken pipe")
	tellers := map[string]web.Teller{
		"the client goes": func(ctx context.Context, upTo uint64, changes []table.Change) error {
			return nil
		},
		"the client goes while it is told": func(ctx context.Context, upTo uint64, changes []table.Change) error {
			<-ctx.Done()
			return context.Cause(ctx)
		},
		"the client goes and the connection breaks": func(ctx context.Context, upTo uint64, changes []table.Change) error {
			<-ctx.Done()
			return errPipe
		},
		"the connection breaks": func(ctx context.Context, upTo uint64, changes []table.Change) error {
			return errPipe
		},
	}
	for name, tell := range tellers {
		t.Run(name, func(t *testing.T) {
			withStore(t, func(s *Store) {
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- s.Watch(ctx, "", web.FromNow, tell) }()
				synctest.Wait()
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, errPipe) {
					t.Errorf("the watch ended with %v", err)
				}
				synctest.Wait() // the client does not wait until the loop has stopped what it asked for
				on(t, s, func() {
					if n := len(s.watchers); n != 0 {
						t.Errorf("%d watchers are left", n)
					}
				})
			})
		})
	}
}

// Of an item that has been replaced, deleted, or has expired, nothing is left that waits.
func TestNothingIsLeftOfAnExpiry(t *testing.T) {
	withStore(t, func(s *Store) {
		for _, w := range []table.Write{
			{Key: "replaced", TTL: 1}, {Key: "replaced"},
			{Key: "deleted", TTL: 1 << 40}, {Key: "deleted", Delete: true},
			{Key: "again", TTL: 1 << 40}, {Key: "again", TTL: 1 << 41}, {Key: "again", Delete: true},
		} {
			if _, err := s.Write(context.Background(), w); err != nil {
				t.Errorf("%+v: %v", w, err)
			}
		}
		synctest.Wait()
		on(t, s, func() {
			if n := len(s.expiries); n != 0 {
				t.Errorf("%d expiries are left", n)
			}
			for _, c := range s.loop.Status() {
				if strings.HasPrefix(c.Coro, "expire") {
					t.Errorf("a coroutine is left: %v", c)
				}
			}
		})
	})
}
