module github.com/tinyio-go/tinyio/examples/mirror

go 1.25.0

require (
	github.com/cenkalti/backoff/v5 v5.0.3
	github.com/google/renameio/v2 v2.0.2
	github.com/tinyio-go/tinyio v0.0.0
	golang.org/x/net v0.58.0
	golang.org/x/time v0.15.0
)

replace github.com/tinyio-go/tinyio => ../..
