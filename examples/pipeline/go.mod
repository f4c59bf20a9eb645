module github.com/tinyio-go/tinyio/examples/pipeline

go 1.25.0

require (
	github.com/google/renameio/v2 v2.0.2
	github.com/tinyio-go/tinyio v0.0.0
)

replace github.com/tinyio-go/tinyio => ../..
