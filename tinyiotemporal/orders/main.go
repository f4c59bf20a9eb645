// Command orders is the order service of examples/orders, with its orders on Temporal in the place of a journal.
//
//	temporal server start-dev &
//	go run ./orders -temporal localhost:7233
//	curl -X PUT localhost:8080/orders/1 -d '{"item": "shoes", "amount": 80}'
//	curl -X POST localhost:8080/orders/1/payment -d '{"card": "4711"}'
//	curl localhost:8080/orders/1
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"

	"github.com/tinyio-go/tinyio/examples/orders/shop"
	"github.com/tinyio-go/tinyio/tinyiotemporal"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
)

// taskQueue is where the orders are.
const taskQueue = "orders"

var server client.Options

var command = shop.Command{
	Flags: func(f *flag.FlagSet) {
		f.StringVar(&server.HostPort, "temporal", client.DefaultHostPort, "the `address` of the Temporal server")
		f.StringVar(&server.Namespace, "namespace", client.DefaultNamespace, "the `namespace` of the orders")
	},
	Open: func(_ context.Context, o shop.Options) (shop.Engine, error) {
		server.Logger = log.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
		c, err := client.Dial(server)
		if err != nil {
			return nil, err
		}
		return open(c, o)
	},
}

func main() { command.Main() }

// An engine is one with a worker.
type engine struct {
	*tinyiotemporal.Engine
	client client.Client
	worker worker.Worker
}

// open starts a worker, which lets the orders go on that are under way.
func open(c client.Client, o shop.Options, opts ...tinyiotemporal.EngineOption) (shop.Engine, error) {
	w := worker.New(c, taskQueue, worker.Options{})
	tinyiotemporal.Register(w, tinyiotemporal.WithContext(o.Base))
	if err := w.Start(); err != nil {
		c.Close()
		return nil, err
	}
	return &engine{tinyiotemporal.NewEngine(c, taskQueue, opts...), c, w}, nil
}

func (e *engine) Close() error {
	e.worker.Stop()
	e.client.Close()
	return nil
}
