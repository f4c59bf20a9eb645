// Package server is a key-value server whose whole state is plain maps, which only the coroutines of one loop touch.
package server

import (
	"context"
	"errors"
	"net"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/tinyionet"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// errStopped is how the loop ends when all is well: it stops what would go on for ever, such as what waits for items to expire.
var errStopped = errors.New("the server has stopped")

// Serve serves a table on a listener, on a loop with options, until ctx is done. Then it tells those who watch that nothing more will come, answers the
// requests in flight, except those that take too long, and returns nil when that is done. It returns an error if something fails
// before.
func Serve(ctx context.Context, l net.Listener, t *table.Table, log table.Log, opts ...tinyio.Option) error {
	s := NewStore(t, log, opts...)
	defer s.door.end()
	// ctx is not for the loop, because that would stop at once, and the requests in flight with it.
	_, err := tinyio.RunOn(context.Background(), s.loop, s.server(ctx.Done(), l))
	return resultOf(err)
}

// Replay does what Serve did with the option [durable.Record] of a file: with the same requests, and without a network or a disk. The table has
// to be as it was when that began. It returns the same error.
func Replay(file string, t *table.Table, opts ...tinyio.Option) error {
	s := NewStore(t, nil, opts...)
	defer s.door.end()
	_, err := durable.ReplayOn(file, s.loop, s.server(make(chan struct{}), nobody{}))
	return resultOf(err)
}

// resultOf is the error of Serve, given that of the loop.
func resultOf(err error) error {
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// server is the first coroutine of a server.
func (s *Store) server(stop <-chan struct{}, l net.Listener) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error { return serve(co, stop, l, s) }).Named("server")
}

// A nobody is a listener to which nobody comes.
type nobody struct{ net.Listener }

func (nobody) Close() error { return nil }

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
