// Tests of the examples on what Debian has.
module github.com/tinyio-go/tinyio/examples/debian

go 1.25.0
