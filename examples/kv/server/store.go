package server

import (
	"context"
	"fmt"

	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// A Store is a [web.Store] whose state belongs to the coroutines of a loop. There is no mutex: coroutines run one at a time,
// and what one does between two of its waits happens as a whole.
//
// The methods with a capital letter are for other goroutines. They submit coroutines to the loop, which do the work.
type Store struct {
	loop     *tinyio.Loop
	door     *door
	log      table.Log
	table    *table.Table
	pending  *tinyio.Queue[*write]
	watchers []*watcher
	stopping bool                     // nobody may watch any more
	expiries map[string]*tinyio.Event // by key: set when the item has been replaced, so that it does not expire
}

// NewStore returns a store that nobody runs yet.
func NewStore(t *table.Table, log table.Log) *Store {
	d := newDoor()
	return &Store{
		loop:     tinyio.NewLoop(tinyio.WithClock(d)),
		door:     d,
		log:      log,
		table:    t,
		pending:  tinyio.NewQueue[*write](table.MaxBatch),
		expiries: make(map[string]*tinyio.Event),
	}
}

// main is what goes on in a store, whether there are requests or not. It goes on until the loop stops.
func (s *Store) main() *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(s.expireAll(s.table.Expiring())...); err != nil {
			return err
		}
		return s.commitAll(co)
	}).Named("store")
}

// submit runs c on the store's loop, for a goroutine that waits meanwhile; when ctx is done, c is stopped.
func submit[T any](ctx context.Context, s *Store, c *tinyio.Coro[T]) (T, error) {
	v, err := tinyio.Submit(ctx, s.loop, c)
	if err != nil && ctx.Err() == nil { // so it is not the client who has gone
		err = fmt.Errorf("%w: %w", web.ErrStopping, err)
	}
	return v, err
}

// Get implements [web.Store]. It waits for nothing, and so does not need a coroutine.
func (s *Store) Get(ctx context.Context, key string) (item table.Change, err error) {
	if stopping := s.door.look(s.loop, func() { item, err = s.table.Get(key) }); stopping != nil {
		return item, stopping
	}
	return item, err
}

// Write implements [web.Store]. What can be wrong with a write is in its outcome, and no error: so it cannot make the server crash.
func (s *Store) Write(ctx context.Context, w table.Write) (table.Outcome, error) {
	o, err := submit(ctx, s, tinyio.New(func(co *tinyio.Co) (table.Outcome, error) { return s.write(co, w) }).Named("write"))
	if err == nil {
		err = o.Err
	}
	return o, err
}
