// The test of the key-value server by Porcupine.
module github.com/tinyio-go/tinyio/examples/kv/linearizability

go 1.25.0

require github.com/tinyio-go/tinyio/examples/kv v0.0.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/tinyio-go/tinyio v0.0.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
)

replace github.com/tinyio-go/tinyio => ../../..

replace github.com/tinyio-go/tinyio/examples/kv => ..
