// Package server is a key-value server whose whole state is plain maps, which only the coroutines of one loop touch.
package server

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// errStopped is how the loop ends when all is well: it stops what would go on for ever, such as what waits for items to expire.
var errStopped = errors.New("the server has stopped")

// Serve serves a table on a listener until ctx is done. Then it tells those who watch that nothing more will come, answers the
// requests in flight, except those that take too long, and returns nil when that is done. It returns an error if something fails
// before.
func Serve(ctx context.Context, l net.Listener, t *table.Table, log table.Log) error {
	s := NewStore(t, log)
	main := tinyio.Do(func(co *tinyio.Co) error {
		return serve(co, ctx.Done(), l, s)
	}).Named("server")
	// ctx is not for the loop, because that would stop at once, and the requests in flight with it.
	if _, err := tinyio.RunOn(context.Background(), s.loop, main); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// serve is the life of a server.
func serve(co *tinyio.Co, stop <-chan struct{}, l net.Listener, s *Store) error {
	server := web.NewServer(s)
	if err := co.Spawn(s.main(), listen(server, l)); err != nil {
		return err
	}
	if _, _, err := tinyio.Recv(co, stop); err != nil {
		return err
	}
	s.endWatches()
	if err := co.Call(func(ctx context.Context) error { return web.ShutDown(ctx, server, web.Grace) }); err != nil {
		return err
	}
	return errStopped
}

// listen serves HTTP until the server is shut down. If the loop stops for another reason, it shuts the server down itself: whoever
// waits for something in the store is told by that that it is stopping, and gets an answer.
func listen(server *http.Server, l net.Listener) *tinyio.Coro[tinyio.Void] {
	return tinyio.RunInThread(func(ctx context.Context) (none tinyio.Void, err error) {
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		select {
		case err = <-served:
		case <-ctx.Done():
			err = web.ShutDown(context.WithoutCancel(ctx), server, web.FailGrace)
			<-served
		}
		if err == http.ErrServerClosed {
			err = nil
		}
		return none, err
	}).Named("listen")
}
