// Package lib has functions that others call.
package lib

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio"
)

func Retry(n int) { // want Retry:`blocks in time.Sleep`
	for range n {
		time.Sleep(time.Second)
	}
}

func Deep() { middle() } // want Deep:`blocks in time.Sleep`

func middle() { Retry(3) } // want middle:`blocks in time.Sleep`

func Later() { go time.Sleep(time.Second) }

func Background() {
	go func() { time.Sleep(time.Second) }()
}

func Wait(co *tinyio.Co) error { return co.Sleep(time.Second) }

func Fetch(page string) *tinyio.Coro[int] { // want Fetch:`makes`
	return tinyio.RunInThread(func(context.Context) (int, error) {
		time.Sleep(time.Second)
		return len(page), nil
	}).Named(page)
}

var kept []*tinyio.Coro[int]

func Keep(page string) *tinyio.Coro[int] {
	c := Fetch(page)
	kept = append(kept, c)
	return c
}
