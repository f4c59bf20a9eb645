package server

import (
	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// expireAll takes down that items have been replaced by changes, and returns coroutines that let those expire that are to.
func (s *Store) expireAll(changes []table.Change) (expiring []tinyio.Awaitable) {
	for _, c := range changes {
		if replaced := s.expiries[c.Key]; replaced != nil {
			replaced.Set()
			delete(s.expiries, c.Key)
		}
		if !c.Expires.IsZero() {
			replaced := new(tinyio.Event)
			s.expiries[c.Key] = replaced
			expiring = append(expiring, s.expire(c, replaced))
		}
	}
	return expiring
}

// expire deletes an item when its time has come, by a write like any other. It ends before that if the item has been replaced.
func (s *Store) expire(item table.Change, replaced *tinyio.Event) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		gone, err := replaced.WaitFor(co, item.Expires.Sub(co.Now()))
		if gone || err != nil {
			return err
		}
		o, err := s.write(co, table.Write{Key: item.Key, Delete: true, If: table.Condition{Version: item.Version}})
		if err == nil && o.Err != table.ErrCondition { // it was not replaced by a write in the same commit
			err = o.Err
		}
		return err
	}).Named("expire " + item.Key)
}
