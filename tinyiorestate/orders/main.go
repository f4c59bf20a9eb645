// Command orders is the order service of examples/orders, with its orders on a Restate server in the place of a journal.
//
//	npx @restatedev/restate-server &
//	go run . -addr localhost:8090
//	curl -X PUT localhost:8090/orders/1 -d '{"item": "shoes", "amount": 80}'
//	curl -X POST localhost:8090/orders/1/payment -d '{"card": "4711"}'
//	curl localhost:8090/orders/1
package main

import (
	"context"
	"errors"
	"flag"

	"github.com/tinyio-go/tinyio/examples/orders/shop"
	"github.com/tinyio-go/tinyio/tinyiorestate"
)

// config says where the server is.
var config tinyiorestate.Config

var command = shop.Command{
	Flags: func(f *flag.FlagSet) {
		f.StringVar(&config.Service, "service", "orders", "the `name` of the service on the Restate server")
		f.StringVar(&config.Ingress, "ingress", "http://localhost:8080", "the `URL` of the Restate server")
		f.StringVar(&config.Admin, "admin", "http://localhost:9070", "the `URL` of its admin API")
		f.StringVar(&config.Listen, "listen", "localhost:9080", "serve the program to it on this `address`")
		f.StringVar(&config.URL, "url", "", "the `URL` of that address; http:// and the address if it is empty")
	},
	Open: func(ctx context.Context, o shop.Options) (shop.Engine, error) { return open(ctx, config, o) },
}

func main() { command.Main() }

// open serves the program, and tells the server so.
func open(ctx context.Context, c tinyiorestate.Config, o shop.Options) (shop.Engine, error) {
	c.Context = o.Base
	e, err := tinyiorestate.Open(c)
	if err != nil {
		return nil, err
	}
	if err := e.Register(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if err := e.Recover(ctx); err != nil {
		o.Complain("some orders do not go on: %v", err) // all others do
	}
	return e, nil
}
