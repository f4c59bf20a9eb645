// The tests of tinyio.star: programs that fail, and what the debugger says of them.
module github.com/tinyio-go/tinyio/debug/dlvtest

go 1.25.0

require github.com/tinyio-go/tinyio v0.0.0

replace github.com/tinyio-go/tinyio => ../..
