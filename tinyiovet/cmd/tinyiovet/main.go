// Command tinyiovet finds mistakes in programs that use tinyio: see package tinyiovet.
//
//	tinyiovet ./...
//	go vet -vettool=$(which tinyiovet) ./...
package main

import (
	"github.com/tinyio-go/tinyio/tinyiovet"
	"golang.org/x/tools/go/analysis/multichecker"
)

func main() { multichecker.Main(tinyiovet.Analyzers...) }
