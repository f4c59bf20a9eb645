package tinyio_test

import (
	"testing"

	"github.com/tinyio-go/tinyio"
)

// R2, W20: Spawn puts the fresh ones at the back in the order given and the caller behind them.
func TestSpawnPutsTheCallerBehindTheSpawned(t *testing.T) {
	noLeaks(t)
	var log recorder
	say := func(s string) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			log.add("%s", s)
			return nil
		})
	}
	succeed(t, func(co *tinyio.Co) error {
		started := tinyio.Do(func(co *tinyio.Co) error {
			log.add("started 1")
			err := co.Yield()
			log.add("started 2")
			return err
		})
		if err := co.Spawn(say("z"), started); err != nil {
			return err
		}
		err := co.Spawn(say("c"), started, say("a"), say("b"))
		log.add("caller")
		return err
	})
	log.want(t, "z", "started 1", "started 2", "c", "a", "b", "caller")
}
