package tinyioslog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyioslog"
)

// plain leaves out the time and the level.
func plain(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

func Example() {
	log := slog.New(tinyioslog.NewHandler(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: plain})))
	fetch := tinyio.Do(func(co *tinyio.Co) error {
		log.InfoContext(co, "connected", "host", "db.example")
		return nil
	}).Named("fetch home")
	tinyio.Run(context.Background(), fetch)
	log.Info("done")
	// Output:
	// msg=connected host=db.example tinyio.coro="fetch home"
	// msg=done
}

// The coroutine is that of the context: of a thread, a call, one inside another run, one derived, a Shield, a handle.
func TestWhose(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(tinyioslog.NewHandler(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: plain})))
	type key struct{}
	var kept context.Context
	_, err := tinyio.Run(context.WithValue(context.Background(), key{}, 1), tinyio.Do(func(co *tinyio.Co) error {
		kept = co
		log.InfoContext(context.WithValue(co, key{}, 2), "derived")
		log.InfoContext(context.WithoutCancel(co), "without")
		log.InfoContext(co.WithValues(context.Background()), "handle")
		log.InfoContext(context.Background(), "nobody")
		log.Info("nobody")
		if err := co.Shield(0, func(co *tinyio.Co) error { log.InfoContext(co, "shield"); return nil }); err != nil {
			return err
		}
		if err := co.Call(func(ctx context.Context) error { log.InfoContext(ctx, "call"); return nil }); err != nil {
			return err
		}
		thread := tinyio.RunInThread(func(ctx context.Context) (int, error) { log.InfoContext(ctx, "thread"); return 1, nil }).Named("thread")
		child := tinyio.Do(func(co *tinyio.Co) error { log.InfoContext(co, "child"); return nil }).Named("child")
		if err := co.Wait(child, thread); err != nil {
			return err
		}
		_, err := tinyio.Run(co, tinyio.Do(func(co *tinyio.Co) error { log.InfoContext(co, "inside"); return nil }).Named("inner"))
		return err
	}).Named("main"))
	if err != nil {
		t.Fatal(err)
	}
	log.InfoContext(kept, "afterwards")
	const want = `msg=derived tinyio.coro=main
msg=without tinyio.coro=main
msg=handle tinyio.coro=main
msg=nobody
msg=nobody
msg=shield tinyio.coro=main
msg=call tinyio.coro=main
msg=child tinyio.coro=child
msg=thread tinyio.coro=thread
msg=inside tinyio.coro=inner
msg=afterwards tinyio.coro=main
`
	if got := lines(b.String()); got != lines(want) {
		t.Errorf("the log is\n%s\nwant\n%s", b.String(), want)
	}
}

// lines puts the child, which may write before the thread or after it, in one place.
func lines(s string) string {
	child, thread := "msg=child tinyio.coro=child\n", "msg=thread tinyio.coro=thread\n"
	return strings.Replace(s, thread+child, child+thread, 1)
}

// The group is outside all others, and in the order in which attributes were added.
func TestGroups(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(tinyioslog.NewHandler(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: plain, Level: slog.LevelWarn})))
	_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
		log.With("a", 1).WarnContext(co, "attrs", "b", 2)
		grouped := log.With("a", 1).WithGroup("g").With("b", 2)
		grouped.WithGroup("").WithGroup("h").With("c", 3).WarnContext(co, "groups", "d", 4)
		grouped.WarnContext(co, "less", "e", 5)
		log.InfoContext(co, "not enabled")
		return nil
	}).Named("main"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `msg=attrs a=1 b=2 tinyio.coro=main
msg=groups a=1 tinyio.coro=main g.b=2 g.h.c=3 g.h.d=4
msg=less a=1 tinyio.coro=main g.b=2 g.e=5
`
	if got := b.String(); got != want {
		t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}
}

// It is a handler as package slog wants one: outside a coroutine, and inside one.
func TestIsAHandler(t *testing.T) {
	for _, inside := range []bool{false, true} {
		t.Run(fmt.Sprint("inside=", inside), func(t *testing.T) {
			_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
				var b *bytes.Buffer
				slogtest.Run(t, func(*testing.T) slog.Handler {
					b = new(bytes.Buffer)
					h := tinyioslog.NewHandler(slog.NewJSONHandler(b, nil))
					if inside {
						return in{h, co}
					}
					return h
				}, func(t *testing.T) map[string]any {
					var m map[string]any
					if err := json.Unmarshal(b.Bytes(), &m); err != nil {
						t.Fatal(err)
					}
					if _, ok := m["tinyio"]; ok != inside {
						t.Errorf("the record is %v", m)
					}
					delete(m, "tinyio")
					return m
				})
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// in gives all records the context of a coroutine.
type in struct {
	slog.Handler
	co *tinyio.Co
}

func (h in) Handle(_ context.Context, r slog.Record) error { return h.Handler.Handle(h.co, r) }
func (h in) WithAttrs(as []slog.Attr) slog.Handler         { return in{h.Handler.WithAttrs(as), h.co} }
func (h in) WithGroup(name string) slog.Handler            { return in{h.Handler.WithGroup(name), h.co} }

func TestNil(t *testing.T) {
	defer func() {
		if s, _ := recover().(string); !strings.HasPrefix(s, "tinyioslog: NewHandler: the handler is nil; ") {
			t.Errorf("it panics with %q", s)
		}
	}()
	tinyioslog.NewHandler(nil)
}
