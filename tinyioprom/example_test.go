package tinyioprom_test

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyioprom"
)

func ExampleNewCollector() {
	loop := tinyio.NewLoop()
	prometheus.MustRegister(tinyioprom.NewCollector("api", loop))
}

func ExampleTurns() {
	turns := tinyioprom.NewTurns("worker")
	loop := tinyio.NewLoop(tinyio.WithObserver(turns))
	prometheus.MustRegister(tinyioprom.NewCollector("worker", loop), turns)
}
