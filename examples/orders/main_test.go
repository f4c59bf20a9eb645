package main

import (
	"testing"

	"github.com/tinyio-go/tinyio/examples/orders/shop/shoptest"
)

func TestMain(m *testing.M) { shoptest.Main(m, command) }

func TestOrders(t *testing.T) { shoptest.Test(t, command) }
