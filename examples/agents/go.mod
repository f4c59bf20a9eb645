module github.com/tinyio-go/tinyio/examples/agents

go 1.25.0

require (
	github.com/tinyio-go/tinyio v0.0.0
	golang.org/x/sync v0.22.0
)

replace github.com/tinyio-go/tinyio => ../..
