// Package server is a key-value server whose whole state is plain maps, which only the coroutines of one loop touch.
package server

import (
	"context"
	"errors"
	"net"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyionet"

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
	defer s.door.end()
	// ctx is not for the loop, because that would stop at once, and the requests in flight with it.
	if _, err := tinyio.RunOn(context.Background(), s.loop, main); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// serve is the life of a server. If the loop stops for another reason than that it is told to, whoever waits for something in the store is told by
// that, and gets an answer.
func serve(co *tinyio.Co, stop <-chan struct{}, l net.Listener, s *Store) error {
	server := web.NewServer(s)
	listen := tinyio.Do(func(co *tinyio.Co) error { return tinyionet.ServeHTTP(co, server, l, web.FailGrace) })
	if err := co.Spawn(s.main(), listen.Named("listen")); err != nil {
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
