// The web site of the documents.
module github.com/tinyio-go/tinyio/docs/site

go 1.25.0

require (
	github.com/alecthomas/chroma/v2 v2.27.0
	github.com/tinyio-go/tinyio/examples/linkcheck v0.0.0
	github.com/yuin/goldmark v1.8.7
)

require github.com/dlclark/regexp2/v2 v2.2.1 // indirect

replace (
	github.com/tinyio-go/tinyio => ../..
	github.com/tinyio-go/tinyio/examples/linkcheck => ../../examples/linkcheck
)
