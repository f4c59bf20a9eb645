// Package server is a key-value server whose whole state is plain maps, which only the coroutines of one loop touch.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/tinyio-go/tinyio"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/internal/web"
)

// errStopped is how the loop ends when all is well: it stops what would go on for ever, such as what waits for items to expire.
var errStopped = errors.New("the server has stopped")

// Serve serves a table on a listener until ctx is done. Then it tells those who watch that nothing more will come, answers the
// requests in flight, and returns nil when that is done. It returns an error if something fails before, or if the requests take
// too long.
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
	if _, err := shutDown(server).Await(co); err != nil {
		return err
	}
	return errStopped
}

// listen serves HTTP until the server is shut down, or at once no more if the loop stops for another reason.
func listen(server *http.Server, l net.Listener) *tinyio.Coro[tinyio.Void] {
	return tinyio.RunInThread(func(ctx context.Context) (none tinyio.Void, err error) {
		defer context.AfterFunc(ctx, func() { server.Close() })()
		if err = server.Serve(l); err == http.ErrServerClosed {
			err = nil
		}
		return none, err
	}).Named("listen")
}

// shutDown waits until the requests in flight have been answered.
func shutDown(server *http.Server) *tinyio.Coro[tinyio.Void] {
	return tinyio.RunInThread(func(ctx context.Context) (none tinyio.Void, err error) {
		ctx, cancel := context.WithTimeout(ctx, web.Grace)
		defer cancel()
		if err = server.Shutdown(ctx); err != nil {
			server.Close()
			return none, fmt.Errorf("requests were still in flight %v after the server was told to stop: %w", web.Grace, err)
		}
		return none, nil
	}).Named("shut down")
}
