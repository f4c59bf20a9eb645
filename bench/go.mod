module github.com/tinyio-go/tinyio/bench

go 1.25.0

require (
	github.com/alitto/pond/v2 v2.7.1
	github.com/b97tsk/async v0.19.1
	github.com/sourcegraph/conc v0.3.0
	github.com/tinyio-go/tinyio v0.0.0
	golang.org/x/sync v0.22.0
)

require (
	go.uber.org/atomic v1.7.0 // indirect
	go.uber.org/multierr v1.9.0 // indirect
)

replace github.com/tinyio-go/tinyio => ..
