package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/examples/orders/shop"
	"github.com/tinyio-go/tinyio/examples/orders/shop/shoptest"
	"github.com/tinyio-go/tinyio/tinyiorestate/internal/restateserver"
)

// tested is the command for the server of the test, on which each directory has a service of its own.
var tested = shop.Command{
	Flags: command.Flags,
	Open: func(ctx context.Context, o shop.Options) (_ shop.Engine, err error) {
		h := fnv.New64a()
		h.Write([]byte(o.Data))
		c := config
		c.Service = fmt.Sprintf("orders%x", h.Sum64())
		c.Ingress, c.Admin, c.HTTP = "http://ingress", "http://admin", restateserver.Client()
		c.Patience = time.Minute // on a machine that may be busy
		if c.Listen, err = restateserver.Address(o.Data); err != nil {
			return nil, err
		}
		return open(ctx, c, o)
	},
}

func TestMain(m *testing.M) {
	if os.Getenv("ORDERS_TEST_ARGS") != "" {
		shoptest.Main(m, tested)
	}
	os.Exit(restateserver.Main(m))
}

func TestOrders(t *testing.T) {
	restateserver.Need(t)
	shoptest.Test(t, tested)
}
