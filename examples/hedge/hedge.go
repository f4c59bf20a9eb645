package main

import (
	"time"

	"github.com/tinyio-go/tinyio"
)

// hedge asks the first of replicas. If that has not answered within d, or fails before, it asks the next as well, and so on.
// The first answer counts. When hedge returns, the others have stopped. If all fail, the error joins theirs, in the order of
// replicas. There must be at least one.
func hedge[T any](co *tinyio.Co, d time.Duration, replicas ...*tinyio.Coro[T]) (T, error) {
	first, rest := replicas[0], replicas[1:]
	if len(rest) == 0 {
		return tinyio.Isolate(co, first)
	}
	var failed tinyio.Event
	return tinyio.First(co,
		tinyio.New(func(co *tinyio.Co) (T, error) {
			defer failed.Set()
			return first.Await(co)
		}),
		tinyio.New(func(co *tinyio.Co) (answer T, err error) {
			if _, err = failed.WaitFor(co, d); err == nil {
				answer, err = hedge(co, d, rest...)
			}
			return answer, err
		}))
}
