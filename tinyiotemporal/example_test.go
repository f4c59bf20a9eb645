package tinyiotemporal_test

import (
	"context"
	"log"

	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/tinyiotemporal"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

func ExampleNewEngine() {
	ctx := context.Background()
	c, err := client.Dial(client.Options{}) // the server at localhost:7233, and the namespace "default"
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	w := worker.New(c, "shop", worker.Options{}) // shop is a task queue, of which there can be many workers
	tinyiotemporal.Register(w)                   // all programs that are registered
	if err := w.Start(); err != nil {
		log.Fatal(err)
	}
	defer w.Stop()
	e := tinyiotemporal.NewEngine(c, "shop")
	if _, err := durable.Start[string, string](ctx, e, "greet", "greet Ada", "Ada"); err != nil {
		log.Fatal(err)
	}
}
