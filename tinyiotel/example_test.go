package tinyiotel_test

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotel"
	"go.opentelemetry.io/otel"
)

func ExampleNew() {
	tracer := otel.Tracer("shop")
	fetch := tinyiotel.New(tracer, "fetch", func(co *tinyio.Co) (int, error) {
		return 1, co.Sleep(time.Second)
	})
	tinyio.Run(context.Background(), fetch, tinyio.WithVirtualTime())
}

func ExampleNewSpans() {
	ctx := context.Background()
	work := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Second) })
	tinyio.Run(ctx, work, tinyio.WithVirtualTime(), tinyio.WithObserver(tinyiotel.NewSpans(ctx, otel.Tracer("shop"))))
}

func ExampleMetrics() {
	loop := tinyio.NewLoop()
	registration, err := tinyiotel.Metrics(otel.Meter("shop"), "api", loop)
	if err != nil {
		return
	}
	defer registration.Unregister()
}
