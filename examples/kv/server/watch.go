package server

import (
	"context"
	"slices"
	"sync"

	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// A watcher is somebody who is told of changes.
type watcher struct {
	prefix string
	news   *tinyio.Queue[table.Change] // closed when there will be no more
}

// Watch implements [web.Store]. It is one coroutine, for as long as the watch lasts. However it ends, by the client who goes,
// by the server that stops, or by a failure, the deferred function takes the watcher out of the list.
func (s *Store) Watch(ctx context.Context, prefix string, from uint64, tell web.Teller) error {
	// When the client goes, Submit returns at once, and the loop stops the watch afterwards. By then nobody may write to the connection.
	var telling sync.Mutex
	gone := false
	toClient := tell
	tell = func(ctx context.Context, upTo uint64, changes []table.Change) error {
		telling.Lock()
		defer telling.Unlock()
		if gone {
			return context.Cause(ctx)
		}
		return toClient(ctx, upTo, changes)
	}
	defer func() {
		telling.Lock()
		defer telling.Unlock()
		gone = true
	}()
	_, err := onLoop(ctx, s, "watch", func(co *tinyio.Co) (none tinyio.Void, err error) {
		if s.stopping {
			return none, web.ErrStopping
		}
		var past []table.Change
		upTo := s.table.Version()
		if from != web.FromNow {
			if past, err = s.table.Since(from, prefix); err != nil {
				return none, err
			}
		}
		w := &watcher{prefix, tinyio.NewQueue[table.Change](web.MaxBehind)}
		s.watchers = append(s.watchers, w)
		defer func() { s.watchers = slices.DeleteFunc(s.watchers, func(o *watcher) bool { return o == w }) }()
		if err := w.pass(co, tell, upTo, past); err != nil {
			return none, err
		}
		for c, err := range w.news.All(co) {
			if err != nil {
				return none, err
			}
			if err := w.pass(co, tell, c.Version, w.andMore(c)); err != nil {
				return none, err
			}
		}
		return none, nil
	})
	return err
}

// pass calls tell in a thread, because it blocks. The error of tell is the value of the thread. It tends to come when the
// client goes, and then the watch is being stopped already. If a coroutine failed at that time, that would not be left to the
// Isolate around it: it would be a failure of what stops it, which is the server.
func (w *watcher) pass(co *tinyio.Co, tell web.Teller, upTo uint64, changes []table.Change) error {
	failure, err := tinyio.RunInThread(func(ctx context.Context) (failure, err error) {
		return tell(ctx, upTo, changes), nil
	}).Await(co)
	if err != nil {
		return err
	}
	return failure
}

// andMore returns c and what else is in the queue.
func (w *watcher) andMore(c table.Change) []table.Change {
	changes := []table.Change{c}
	for {
		c, ok := w.news.TryGet()
		if !ok {
			return changes
		}
		changes = append(changes, c)
	}
}

// tell puts changes into the queues of those who watch. The queue of one who is too far behind is closed: it is told of what
// is in it, and no more. Nothing is left out in between.
func (s *Store) tell(changes []table.Change) {
	for _, w := range s.watchers {
		for _, c := range table.With(w.prefix, changes) {
			if !w.news.TryPut(c) {
				w.news.Close()
				break
			}
		}
	}
}

// endWatches ends all watches, once those who watch have been told of what has happened up to now.
func (s *Store) endWatches() {
	s.stopping = true
	for _, w := range s.watchers {
		w.news.Close()
	}
}
