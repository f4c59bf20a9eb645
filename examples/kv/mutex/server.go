// Package mutex is the server of package server written with goroutines and a mutex, to compare with. It has the same table,
// the same file and the same HTTP side; what is different is how those who touch the table are kept apart, how they wait, and
// how all of it ends.
package mutex

import (
	"context"
	"net"
	"net/http"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// Serve serves a table on a listener until ctx is done, or until something fails.
func Serve(ctx context.Context, l net.Listener, t *table.Table, log table.Log) error {
	s := NewStore(t, log)
	server := web.NewServer(s)
	committed, served := make(chan error, 1), make(chan error, 1)
	go func() { committed <- s.commitAll() }()
	go func() { served <- server.Serve(l) }()
	var err error
	select {
	case <-ctx.Done():
		s.endWatches()
		err = web.ShutDown(context.Background(), server, web.Grace)
		s.stop()
	case err = <-served:
		served <- err
		s.stop()
	case err = <-committed:
		committed <- err
		s.stop() // so that those that wait for a commit get an error, and can answer
	}
	web.ShutDown(context.Background(), server, web.FailGrace)
	if e := <-served; err == nil && e != http.ErrServerClosed {
		err = e
	}
	if e := <-committed; err == nil {
		err = e
	}
	s.timers.Wait()
	return err
}
