package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/hook"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/server"
)

// notes is what an observer is told, a line each.
type notes []string

func (s *notes) Observe(n hook.Note) {
	*s = append(*s, fmt.Sprintf("%d %v %d %s by %d, %v %v %v", n.Time().UnixNano(), n.What, n.Coro, n.Name(), n.By, n.Wait, n.End, n.Err))
}

// A broken log fails, or panics, when two of the changes that it is to commit together are of one key: a bug that shows only if two clients write at
// the same time.
type broken struct {
	panics  bool
	commits int
}

var errTwice = errors.New("one key twice in one commit")

func (b *broken) Commit(changes []table.Change) error {
	if b.commits++; b.commits < 50 {
		return nil
	}
	seen := map[string]bool{}
	for _, c := range changes {
		if seen[c.Key] && b.panics {
			panic(errTwice.Error())
		} else if seen[c.Key] {
			return errTwice
		}
		seen[c.Key] = true
	}
	return nil
}

// A server that is recorded crashes under load. The replay, without clients, crashes in the same way: with the same error and the same await chain, and
// after the same turns.
func TestCrashUnderLoadIsReplayed(t *testing.T) {
	for name, panics := range map[string]bool{"error": false, "panic": true} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tape")
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var was, is notes
			ended := make(chan error, 1)
			go func() {
				ended <- caught(func() error {
					return server.Serve(t.Context(), l, table.New(nil, 0, nil), &broken{panics: panics}, durable.Record(file), tinyio.WithObserver(&was))
				})
			}()
			conns := make([]*connection, 40)
			for i := range conns {
				if conns[i], err = dial(l.Addr().String()); err != nil {
					t.Fatal(err)
				}
				defer conns[i].Close()
			}
			some := kind{"half of them writes", 0.5, false}
			refused := each(conns, func(i int, c *connection) error {
				_, err := c.keepAsking(t.Context(), some, 10, time.Now().Add(time.Minute))
				return err
			})
			if refused == nil {
				t.Error("everybody was answered for a minute")
			}
			crash := <-ended
			if crash == nil || !strings.Contains(crash.Error(), errTwice.Error()) {
				t.Fatalf("the server ends with %v", crash)
			}

			again := caught(func() error { return server.Replay(file, table.New(nil, 0, nil), tinyio.WithObserver(&is)) })
			if a, b := fmt.Sprintf("%+v", crash), fmt.Sprintf("%+v", again); a != b {
				t.Errorf("the server has ended with\n%s\nand the replay with\n%s", a, b)
			}
			for i := range min(len(was), len(is)) {
				if was[i] != is[i] {
					t.Fatalf("note %d of %d was\n%s\nand of %d is\n%s", i, len(was), was[i], len(is), is[i])
				}
			}
			if len(was) != len(is) || len(was) < 100 {
				t.Errorf("there were %d notes, and are %d", len(was), len(is))
			}
		})
	}
}

// caught returns what f returns, or the panic that comes out of it.
func caught(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = p.(*tinyio.PanicError)
		}
	}()
	return f()
}

// The record of a server that has stopped well is replayed to its end.
func TestReplayOfAGoodServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tape")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(stopped)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(stop, l, table.New(nil, 0, nil), nowhere{}, durable.Record(file)) }()
	c, err := dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for key := range 20 {
		if err := errors.Join(c.put(key), c.ask(fmt.Sprintf("GET /kv/%d HTTP/1.1\r\nHost: kv\r\n\r\n", key))); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	after := table.New(nil, 0, nil)
	if err := server.Replay(file, after); err != nil {
		t.Errorf("%+v", err)
	}
	if after.Version() != 20 {
		t.Errorf("after the replay the version is %d", after.Version())
	}
	tape, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tape) / 20; n > 2000 {
		t.Errorf("a request takes %d bytes of the record", n)
	}
}

// A stopped is a context that ends when it is closed.
type stopped chan struct{}

func (s stopped) Done() <-chan struct{}       { return s }
func (s stopped) Deadline() (time.Time, bool) { return time.Time{}, false }
func (s stopped) Value(any) any               { return nil }
func (s stopped) Err() error {
	select {
	case <-s:
		return errors.New("stopped")
	default:
		return nil
	}
}
