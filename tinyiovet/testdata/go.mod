module example.com/testdata

go 1.25.0

require github.com/tinyio-go/tinyio v0.0.0

replace github.com/tinyio-go/tinyio => ../..
