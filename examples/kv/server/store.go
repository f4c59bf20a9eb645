package server

import (
	"context"
	"fmt"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// A Store is a [web.Store] whose state belongs to the coroutines of a loop. There is no mutex: coroutines run one at a time,
// and what one does between two of its waits happens as a whole.
//
// The methods with a capital letter are for other goroutines. They submit coroutines to the loop, which do the work, through endpoints: so a
// run can be recorded, with all that comes to it.
type Store struct {
	loop     *tinyio.Loop
	door     *door
	log      table.Log
	table    *table.Table
	pending  *tinyio.Queue[*write]
	watchers []*watcher
	stopping bool                     // nobody may watch any more
	expiries map[string]*tinyio.Event // by key: set when the item has been replaced, so that it does not expire

	writes  *durable.Endpoint[table.Write, table.Outcome]
	watches *durable.Endpoint[watching, error]
	opens   *durable.Endpoint[tinyio.Void, tinyio.Void] // of the door
}

// NewStore returns a store that nobody runs yet, on a loop with options.
func NewStore(t *table.Table, log table.Log, opts ...tinyio.Option) *Store {
	d := newDoor()
	s := &Store{
		loop:     tinyio.NewLoop(append([]tinyio.Option{tinyio.WithClock(d)}, opts...)...),
		door:     d,
		log:      log,
		table:    t,
		pending:  tinyio.NewQueue[*write](table.MaxBatch),
		expiries: make(map[string]*tinyio.Event),
	}
	s.writes = durable.NewEndpoint(s.loop, "write", func(w table.Write) *tinyio.Coro[table.Outcome] {
		return tinyio.New(func(co *tinyio.Co) (table.Outcome, error) { return s.write(co, w) }).Named("write")
	})
	s.watches = durable.NewEndpoint(s.loop, "watch", func(w watching) *tinyio.Coro[error] { return s.watch(w) })
	s.opens = durable.NewEndpoint(s.loop, "door", func(tinyio.Void) *tinyio.Coro[tinyio.Void] { return tinyio.Do(d.open).Named("door") })
	return s
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

// submit sends something to the store's loop, for a goroutine that waits meanwhile; when ctx is done, what that has started is stopped.
func submit[In, Out any](ctx context.Context, e *durable.Endpoint[In, Out], in In) (Out, error) {
	v, err := e.Submit(ctx, in)
	if err != nil && ctx.Err() == nil { // so it is not the client who has gone
		err = fmt.Errorf("%w: %w", web.ErrStopping, err)
	}
	return v, err
}

// Get implements [web.Store]. It waits for nothing, and so does not need a coroutine.
func (s *Store) Get(ctx context.Context, key string) (item table.Change, err error) {
	if stopping := s.door.look(s.askForDoor, func() { item, err = s.table.Get(key) }); stopping != nil {
		return item, stopping
	}
	return item, err
}

// askForDoor has the loop open the door in a turn.
func (s *Store) askForDoor() error { return s.opens.Post(tinyio.Void{}) }

// Write implements [web.Store]. What can be wrong with a write is in its outcome, and no error: so it cannot make the server crash.
func (s *Store) Write(ctx context.Context, w table.Write) (table.Outcome, error) {
	o, err := submit(ctx, s.writes, w)
	if err == nil {
		err = o.Err
	}
	return o, err
}
