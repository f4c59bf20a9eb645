package server

import (
	"context"

	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// A write that is pending.
type write struct {
	table.Write
	outcome table.Outcome
	done    tinyio.Event // there is an outcome
}

// write makes a write, from a coroutine. The error is only that of being stopped; then the write may be made or not.
func (s *Store) write(co *tinyio.Co, w table.Write) (table.Outcome, error) {
	p := &write{Write: w}
	if err := s.pending.Put(co, p); err != nil {
		return table.Outcome{}, err
	}
	if err := p.done.Wait(co); err != nil {
		return table.Outcome{}, err
	}
	return p.outcome, nil
}

// commitAll makes the pending writes, all that there are in one commit. Those that come while one is under way go into the
// next, so the more there is to do, the more a commit does.
func (s *Store) commitAll(co *tinyio.Co) error {
	for w, err := range s.pending.All(co) {
		if err != nil {
			return err
		}
		batch := []*write{w}
		for len(batch) < table.MaxBatch {
			w, ok := s.pending.TryGet()
			if !ok {
				break
			}
			batch = append(batch, w)
		}
		if err := s.commit(co, batch); err != nil {
			return err
		}
	}
	return nil
}

// commit makes a batch of writes. Nobody sees anything of it before it is on disk, those neither whose conditions do not hold
// because of others in the batch. An error, that of the disk, stops the server, since nothing can be kept any more.
func (s *Store) commit(co *tinyio.Co, batch []*write) error {
	writes := make([]table.Write, len(batch))
	for i, w := range batch {
		writes[i] = w.Write
	}
	outcomes, changes := s.table.Stage(writes, co.Now())
	if len(changes) > 0 {
		if err := co.Call(func(context.Context) error { return s.log.Commit(changes) }); err != nil {
			return err
		}
		s.table.Apply(changes)
		s.tell(changes)
	}
	for i, w := range batch {
		w.outcome = outcomes[i]
		w.done.Set()
	}
	return co.Spawn(s.expireAll(changes)...)
}
