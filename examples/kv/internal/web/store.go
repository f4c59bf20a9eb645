// Package web is the HTTP side of a key-value server: it turns requests into calls of a [Store], and what comes of them into
// answers.
package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// A Store is called from the goroutines of HTTP handlers, all at the same time. Each call ends when its context is done.
type Store interface {
	// Get returns the item of a key, or [table.ErrNotFound].
	Get(ctx context.Context, key string) (table.Change, error)

	// Write makes a write. When it returns without an error, the write is on disk. If the context is done before that, it may
	// have been made or not.
	Write(ctx context.Context, w table.Write) (table.Outcome, error)

	// Watch calls tell with the changes of keys with a prefix, in the order of their versions and none left out: first at once,
	// with those after the version from, of which there may be none, then whenever there are some. If from is [FromNow], they
	// are those that are yet to come. When there have been [QuietLimit] changes of other keys, it calls tell with none, so that
	// who comes back later does not ask for what is forgotten. It ends with nil when there will be no more, or when more than
	// [MaxBehind] changes have piled up while tell was busy, after it has told of so many; with an error of tell; or with
	// [table.ErrForgotten].
	Watch(ctx context.Context, prefix string, from uint64, tell Teller) error
}

// MaxBehind is how many changes may pile up for a watcher before it is given up.
const MaxBehind = 1024

// Grace is how long requests in flight may take when the server stops, and FailGrace when it does so because something has failed.
// Then there is nothing to wait for but that they are told.
const (
	Grace     = 10 * time.Second
	FailGrace = time.Second
)

// FromNow is where a watch begins that wants to know nothing of the past.
const FromNow = ^uint64(0)

// QuietLimit is how many changes of other keys there may be until a watcher is told that they were none of its own.
const QuietLimit = table.HistoryLimit / 4

// A Teller passes on to a watcher what has changed up to a version. It blocks until that has been done or the context is done.
type Teller func(ctx context.Context, upTo uint64, changes []table.Change) error

// ShutDown answers the requests that are in flight and closes s. Those that take longer than grace are cut off.
func ShutDown(ctx context.Context, s *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := s.Shutdown(ctx); ctx.Err() == nil {
		return err
	}
	s.Close()
	return nil
}

// ErrStopping is the error of a Store that has stopped, or is about to.
var ErrStopping = errors.New("the server is stopping")
