package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/tinyio-go/tinyio/examples/kv/internal/disk"
)

// With many connections at once, no update is lost, for counters that are raised by compare-and-swap add up; and no event,
// for every watcher is told of every version, in order.
func TestLoad(t *testing.T) {
	const connections, counters, increments, watchers = 200, 50, 3, 10
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			noLeaks(t)
			file, table, err := disk.Open(filepath.Join(t.TempDir(), "kv.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			base := "http://" + l.Addr().String()
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.serve(ctx, l, table, file) }()

			client := newClient(t)
			var watching sync.WaitGroup
			for i := range watchers + counters {
				prefix := "" // of all counters, or of one
				if i >= watchers {
					prefix = fmt.Sprintf("c%02d", i-watchers)
				}
				w, err := follow(client, base, prefix, "0")
				if err != nil {
					t.Fatal(err)
				}
				defer w.body.Close()
				if prefix == "" {
					watching.Go(func() { wantEveryVersion(t, w, connections*increments) })
				} else {
					watching.Go(func() { wantEveryIncrement(t, w, connections/counters*increments) })
				}
			}
			var group sync.WaitGroup
			for i := range connections {
				group.Go(func() {
					own := newClient(t)
					for range increments {
						if err := increment(own, base, fmt.Sprintf("/kv/c%02d", i%counters)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			for i := range counters {
				want := strconv.Itoa(connections / counters * increments)
				if a, err := send(client, base, "GET", fmt.Sprintf("/kv/c%02d", i), ""); err != nil || a.body != want {
					t.Errorf("counter %d is %q, %v, want %s", i, a.body, err, want)
				}
			}
			stop()
			watching.Wait()
			client.CloseIdleConnections()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// increment adds 1 to the number at a path.
func increment(client *http.Client, base, path string) error {
	for {
		a, err := send(client, base, "GET", path, "")
		if err != nil {
			return err
		}
		n, condition := 0, []string{"If-None-Match", "*"}
		if a.status == http.StatusOK {
			condition = []string{"If-Match", a.tag}
			if n, err = strconv.Atoi(a.body); err != nil {
				return err
			}
		}
		a, err = send(client, base, "PUT", path, strconv.Itoa(n+1), condition...)
		switch {
		case err != nil:
			return err
		case a.status == http.StatusCreated || a.status == http.StatusNoContent:
			return nil
		case a.status != http.StatusPreconditionFailed:
			return fmt.Errorf("PUT %s: %+v", path, a)
		}
	}
}

// wantEveryVersion wants w to be told of n changes with the versions 1, 2, 3 and so on, and then to end.
func wantEveryVersion(t *testing.T, w *watch, n int) {
	if got := w.rest(t, 1); got != uint64(n) {
		t.Errorf("a watcher was told of %d changes, want %d", got, n)
	}
}

// wantEveryIncrement wants w to be told that a number has gone from 1 to n, in steps of 1, and then to end.
func wantEveryIncrement(t *testing.T, w *watch, n int) {
	for i := 1; ; i++ {
		c, err := w.next()
		switch {
		case err == io.EOF && i == n+1:
			return
		case err != nil || string(c.Value) != strconv.Itoa(i):
			t.Errorf("event %d of a counter is %+v, %v; want %d", i, c, err, n)
			return
		}
	}
}
