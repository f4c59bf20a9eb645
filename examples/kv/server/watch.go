package server

import (
	"context"
	"slices"
	"sync"

	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// A watcher is a client that gets changes.
type watcher struct {
	prefix string
	upTo   uint64              // the version up to which it has got changes, or is about to
	news   *tinyio.Queue[news] // closed when there will be no more
}

// A news is a change or, if it is none, that there was none up to a version.
type news struct {
	upTo   uint64
	change *table.Change
}

// Watch implements [web.Store]. It is one coroutine, for as long as the watch lasts. However it ends, by the client who goes,
// by the server that stops, or by a failure, the deferred function takes the watcher out of the list. A failure, of the connection
// say, is a value: no watch can make the server crash.
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
	failure, err := submit(ctx, s.watches, watching{prefix, from, tell})
	if err == nil {
		err = failure
	}
	return err
}

// A watching is what somebody wants to watch. Who is told is nothing that can be recorded.
type watching struct {
	Prefix string
	From   uint64
	tell   web.Teller
}

// watch returns the coroutine of a watcher, whose value is what has gone wrong.
func (s *Store) watch(in watching) *tinyio.Coro[error] {
	watch := tinyio.Do(func(co *tinyio.Co) (err error) {
		if s.stopping {
			return web.ErrStopping
		}
		var past []table.Change
		upTo := s.table.Version()
		if in.From != web.FromNow {
			if past, err = s.table.Since(in.From, in.Prefix); err != nil {
				return err
			}
		}
		w := &watcher{in.Prefix, upTo, tinyio.NewQueue[news](web.MaxBehind)}
		s.watchers = append(s.watchers, w)
		defer func() { s.watchers = slices.DeleteFunc(s.watchers, func(o *watcher) bool { return o == w }) }()
		if err := w.pass(co, in.tell, upTo, past); err != nil {
			return err
		}
		for n, err := range w.news.All(co) {
			if err != nil {
				return err
			}
			upTo, changes := w.andMore(n)
			if err := w.pass(co, in.tell, upTo, changes); err != nil {
				return err
			}
		}
		return nil
	}).Named("watch")
	return tinyio.New(func(co *tinyio.Co) (error, error) {
		_, err := tinyio.Isolate(co, watch)
		return err, co.Err()
	}).Named("watcher")
}

// pass calls tell. Its error tends to come when the client goes, and then the watch is being stopped already, and the error is of no
// interest to anybody: returned, it would be a failure of what stops the watch, which may be the server.
func (w *watcher) pass(co *tinyio.Co, tell web.Teller, upTo uint64, changes []table.Change) error {
	err := co.Call(func(ctx context.Context) error { return tell(ctx, upTo, changes) })
	if co.Err() != nil {
		return context.Cause(co)
	}
	return err
}

// andMore returns the change that n is, and what else is in the queue, and up to which version that is all.
func (w *watcher) andMore(n news) (upTo uint64, changes []table.Change) {
	for ok := true; ok; n, ok = w.news.TryGet() {
		upTo = n.upTo
		if n.change != nil {
			changes = append(changes, *n.change)
		}
	}
	return upTo, changes
}

// tell puts changes into the queues of the watchers. The queue of one that is too far behind is closed: it gets what
// is in it, and no more. Nothing is left out in between.
func (s *Store) tell(changes []table.Change) {
	for _, w := range s.watchers {
		for _, c := range table.With(w.prefix, changes) {
			w.put(news{c.Version, &c})
		}
		if last := changes[len(changes)-1].Version; last-w.upTo >= web.QuietLimit {
			w.put(news{upTo: last})
		}
	}
}

// put puts n into the queue, which is closed if there is no room. Then, and if it has been closed before, n is left out.
func (w *watcher) put(n news) {
	if w.news.TryPut(n) {
		w.upTo = n.upTo
	} else {
		w.news.Close()
	}
}

// endWatches ends all watches when the watchers have got what has happened up to now.
func (s *Store) endWatches() {
	s.stopping = true
	for _, w := range s.watchers {
		w.news.Close()
	}
}
