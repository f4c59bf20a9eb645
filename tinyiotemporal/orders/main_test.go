package main

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/examples/orders/shop"
	"github.com/tinyio-go/tinyio/examples/orders/shop/shoptest"
	"github.com/tinyio-go/tinyio/tinyiotemporal"
	"github.com/tinyio-go/tinyio/tinyiotemporal/internal/temporalserver"
	"go.temporal.io/sdk/client"
)

// tested is the command for the server of the test, where each directory has a namespace of its own.
var tested = shop.Command{
	Flags: command.Flags,
	Open: func(ctx context.Context, o shop.Options) (e shop.Engine, err error) {
		err = temporalserver.Insist(ctx, func() error {
			c, err := temporalserver.Dial(client.Options{Namespace: temporalserver.Namespace(o.Data)})
			if err != nil {
				return err
			}
			e, err = open(c, o, tinyiotemporal.WithStart(func(_, _ string, o *client.StartWorkflowOptions) {
				o.WorkflowTaskTimeout = time.Second // so that the task of a worker that was killed goes to another one soon
			}))
			return err
		})
		return e, err
	},
}

func TestMain(m *testing.M) { shoptest.Main(m, tested) }

func TestOrders(t *testing.T) {
	temporalserver.Start(t)
	shoptest.Test(t, tested)
}

// The service does what it has promised while the server is killed too.
func TestServerKilled(t *testing.T) {
	s := temporalserver.Start(t)
	restarts := 0
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for range 5 {
			select {
			case <-over:
				return
			case <-time.After(time.Second + rand.N(2*time.Second)):
			}
			if err := s.Restart(); err != nil {
				t.Error(err)
				return
			}
			restarts++
		}
	}()
	t.Run("KilledUnderLoad", func(t *testing.T) { shoptest.TestKilledUnderLoad(t) })
	close(over)
	<-stopped
	t.Logf("the server was killed %d times", restarts)
}
