package tinyiorestate_test

import (
	"context"
	"log"
	"os"

	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/tinyiorestate"
)

func ExampleOpen() {
	ctx := context.Background()
	e, err := tinyiorestate.Open(tinyiorestate.Config{
		Service:  "shop",
		Ingress:  "http://restate:8080",
		Admin:    "http://restate:9070",
		Listen:   ":9080",
		URL:      "http://shop:9080", // where the server finds this process, and others that do the same
		Identity: []string{os.Getenv("RESTATE_IDENTITY")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	if err := e.Register(ctx); err != nil { // the server knows now where the programs are
		log.Fatal(err)
	}
	if err := e.Recover(ctx); err != nil { // runs that were paused go on
		log.Print(err)
	}
	if _, err := durable.Start[string, string](ctx, e, "greet", "greet Ada", "Ada"); err != nil {
		log.Fatal(err)
	}
}
