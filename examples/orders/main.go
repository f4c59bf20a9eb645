// Command orders is an order service over HTTP that forgets no order, whenever it is killed.
//
//	go run ./examples/orders -data orders
//	curl -X PUT localhost:8080/orders/1 -d '{"item": "shoes", "amount": 80}'
//	curl -X POST localhost:8080/orders/1/payment -d '{"card": "4711"}'
//	curl localhost:8080/orders/1
//
// An order is a program of package durable: see shop/order.go. This command keeps the orders in a journal.
package main

import (
	"context"
	"path/filepath"

	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/examples/orders/shop"
)

var command = shop.Command{Open: openJournal}

func main() { command.Main() }

// openJournal opens the journal, and lets the orders go on that are under way.
func openJournal(ctx context.Context, o shop.Options) (shop.Engine, error) {
	j, err := durable.Open(filepath.Join(o.Data, "journal"), durable.WithContext(o.Base), durable.OnChange(func(i durable.Info) {
		if i.State == durable.Stopped {
			o.Complain("order %s is stopped: %v", i.ID, i.Err)
		}
	}))
	if err != nil {
		return nil, err
	}
	if err := j.Recover(ctx); err != nil {
		o.Complain("some orders do not go on: %v", err) // all others do
	}
	return j, nil
}
