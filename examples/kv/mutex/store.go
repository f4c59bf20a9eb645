package mutex

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// A Store is a [web.Store] whose state is guarded by a mutex.
type Store struct {
	log     table.Log
	pending chan *write
	stopped chan struct{}  // closed when nothing is committed any more
	timers  sync.WaitGroup // goroutines that delete what has expired

	mu       sync.RWMutex // guards what follows
	table    *table.Table
	watchers []*watcher
	stopping bool
	expiries map[string]*time.Timer
}

// A write that is pending.
type write struct {
	table.Write
	outcome table.Outcome
	done    chan struct{}
}

// A watcher is a client that gets changes.
type watcher struct {
	prefix string
	upTo   uint64    // the version up to which it has got changes, or is about to
	news   chan news // closed when there will be no more
	closed bool
}

// A news is a change or, if it is none, that there was none up to a version.
type news struct {
	upTo   uint64
	change *table.Change
}

// NewStore returns a store. Its commits are made by commitAll.
func NewStore(t *table.Table, log table.Log) *Store {
	s := &Store{
		log:      log,
		pending:  make(chan *write, table.MaxBatch),
		stopped:  make(chan struct{}),
		table:    t,
		expiries: make(map[string]*time.Timer),
	}
	s.mu.Lock()
	s.expireAll(t.Expiring())
	s.mu.Unlock()
	return s
}

// Get implements [web.Store].
func (s *Store) Get(ctx context.Context, key string) (table.Change, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table.Get(key)
}

// Write implements [web.Store].
func (s *Store) Write(ctx context.Context, w table.Write) (table.Outcome, error) {
	p := &write{Write: w, done: make(chan struct{})}
	select {
	case s.pending <- p:
	case <-ctx.Done():
		return table.Outcome{}, context.Cause(ctx)
	case <-s.stopped:
		return table.Outcome{}, web.ErrStopping
	}
	select {
	case <-p.done:
		return p.outcome, p.outcome.Err
	case <-ctx.Done():
		return table.Outcome{}, context.Cause(ctx)
	case <-s.stopped:
		return table.Outcome{}, web.ErrStopping
	}
}

// commitAll makes the pending writes, all that there are in one commit, until the store is stopped.
func (s *Store) commitAll() error {
	for {
		var batch []*write
		select {
		case w := <-s.pending:
			batch = append(batch, w)
		case <-s.stopped:
			return nil
		}
		for more := true; more && len(batch) < table.MaxBatch; {
			select {
			case w := <-s.pending:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		if err := s.commit(batch); err != nil {
			return err
		}
	}
}

// commit makes a batch of writes.
func (s *Store) commit(batch []*write) error {
	writes := make([]table.Write, len(batch))
	for i, w := range batch {
		writes[i] = w.Write
	}
	s.mu.RLock() // nobody else changes the table, so it is the same when the changes are applied
	outcomes, changes := s.table.Stage(writes, time.Now())
	s.mu.RUnlock()
	if len(changes) > 0 {
		if err := s.log.Commit(changes); err != nil {
			return err
		}
		s.mu.Lock()
		s.table.Apply(changes)
		s.tell(changes)
		s.expireAll(changes)
		s.mu.Unlock()
	}
	for i, w := range batch {
		w.outcome = outcomes[i]
		close(w.done)
	}
	return nil
}

// expireAll sets the timers for what expires. The mutex must be held.
func (s *Store) expireAll(changes []table.Change) {
	for _, c := range changes {
		s.stopTimer(c.Key)
		if s.stopping || c.Expires.IsZero() {
			continue
		}
		s.timers.Add(1)
		s.expiries[c.Key] = time.AfterFunc(time.Until(c.Expires), func() {
			defer s.timers.Done()
			// If the item has been replaced meanwhile, the condition does not hold, and that is well.
			s.Write(context.Background(), table.Write{Key: c.Key, Delete: true, If: table.Condition{Version: c.Version}})
		})
	}
}

// stopTimer stops the timer of a key, if there is one. The mutex must be held.
func (s *Store) stopTimer(key string) {
	if t := s.expiries[key]; t != nil && t.Stop() {
		s.timers.Done()
	}
	delete(s.expiries, key)
}

// tell passes changes on to the watchers. The mutex must be held.
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

// put passes n on, or gives the watcher up if there is no room.
func (w *watcher) put(n news) {
	if w.closed {
		return
	}
	select {
	case w.news <- n:
		w.upTo = n.upTo
	default:
		w.close()
	}
}

func (w *watcher) close() {
	if !w.closed {
		w.closed = true
		close(w.news)
	}
}

// Watch implements [web.Store].
func (s *Store) Watch(ctx context.Context, prefix string, from uint64, tell web.Teller) error {
	w := &watcher{prefix: prefix, news: make(chan news, web.MaxBehind)}
	upTo, past, err := s.join(w, from)
	if err != nil {
		return err
	}
	defer s.drop(w)
	if err := tell(ctx, upTo, past); err != nil {
		return err
	}
	for {
		select {
		case n, ok := <-w.news:
			if !ok {
				return nil
			}
			upTo, changes := w.andMore(n)
			if err := tell(ctx, upTo, changes); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// join adds w to the watchers, and returns the changes that it has to get first.
func (s *Store) join(w *watcher, from uint64) (upTo uint64, past []table.Change, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return 0, nil, web.ErrStopping
	}
	if from != web.FromNow {
		if past, err = s.table.Since(from, w.prefix); err != nil {
			return 0, nil, err
		}
	}
	s.watchers = append(s.watchers, w)
	w.upTo = s.table.Version()
	return w.upTo, past, nil
}

func (s *Store) drop(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = slices.DeleteFunc(s.watchers, func(o *watcher) bool { return o == w })
}

// andMore returns the change that n is, and what else is in the channel, and up to which version that is all.
func (w *watcher) andMore(n news) (upTo uint64, changes []table.Change) {
	for {
		upTo = n.upTo
		if n.change != nil {
			changes = append(changes, *n.change)
		}
		var ok bool
		select {
		case n, ok = <-w.news:
		default:
		}
		if !ok {
			return upTo, changes
		}
	}
}

// endWatches ends all watches when the watchers have got what has happened up to now.
func (s *Store) endWatches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for _, w := range s.watchers {
		w.close()
	}
}

// stop ends everything that goes on in the store.
func (s *Store) stop() {
	s.endWatches()
	close(s.stopped)
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.expiries {
		s.stopTimer(key)
	}
}
