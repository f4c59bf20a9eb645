package tinyio_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// R2, W20: Spawn puts the fresh ones at the back in the order given and the caller behind them.
func TestSpawnPutsTheCallerBehindTheSpawned(t *testing.T) {
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

// Name returns the name of the coroutine, also through the Co of a Shield or of WithValues.
func TestCoName(t *testing.T) {
	succeed(t, func(co *tinyio.Co) error {
		if name := co.Name(); !strings.HasSuffix(name, "TestCoName.func1") {
			t.Errorf("the name of a function is %q", name)
		}
		return wait(co, tinyio.Do(func(co *tinyio.Co) error {
			return co.Shield(time.Second, func(inside *tinyio.Co) error {
				if a, b, c := co.Name(), inside.Name(), inside.WithValues(background).Name(); a != "worker" || b != a || c != a {
					t.Errorf("the names are %q, %q and %q", a, b, c)
				}
				return nil
			})
		}).Named("worker"))
	})
}
