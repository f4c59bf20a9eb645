module github.com/tinyio-go/tinyio

go 1.25
