package main

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/tinyio-go/tinyio"
)

func TestPage(t *testing.T) {
	if _, err := tinyio.Run(context.Background(), page()); !errors.Is(err, strconv.ErrSyntax) {
		t.Errorf("got %v, want that a port is no number", err)
	}
}
