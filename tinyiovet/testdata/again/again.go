package again

import (
	"context"
	"time"

	"example.com/testdata/lib"
	"github.com/tinyio-go/tinyio"
)

func hits(co *tinyio.Co, l *tinyio.Loop) {
	c, d := lib.Fetch("home"), lib.Fetch("away")
	for {
		if _, err := tinyio.Timeout(co, c, time.Second); err == nil { // want `c is made outside the loop, and a coroutine runs once: each time but the first Timeout gets the same result`
			break
		}
		if co.Sleep(1) != nil {
			return
		}
	}
	for range 3 {
		tinyio.Isolate(co, c)                    // want `c is made outside the loop`
		tinyio.First(co, c, d)                   // want `c is made outside` `d is made outside`
		co.Spawn(d)                              // want `d is made outside`
		tinyio.RunOn(context.Background(), l, c) // want `c is made outside`
		func() { tinyio.Run(context.Background(), lib.Fetch("x")) }()
	}
}

func near(co *tinyio.Co, pages []string) error {
	shared := lib.Fetch("home")
	var c *tinyio.Coro[int]
	for _, page := range pages {
		if _, err := shared.Await(co); err != nil { // the same result each time, which is what is wanted
			return err
		}
		fresh := lib.Fetch(page)
		c = lib.Fetch(page)
		if err := co.Spawn(fresh, c); err != nil {
			return err
		}
		later := tinyio.Do(func(co *tinyio.Co) error { return co.Spawn(shared) })
		if err := co.Spawn(later, lib.Fetch("x")); err != nil {
			return err
		}
	}
	for _, each := range []*tinyio.Coro[int]{shared, c} {
		if err := co.Spawn(each); err != nil {
			return err
		}
	}
	for {
		_, err := tinyio.Timeout(co, shared, time.Second)
		return err
	}
}

func renew(c **tinyio.Coro[int]) { *c = lib.Fetch("again") }

func nearToo(co *tinyio.Co) error {
	c := lib.Fetch("home")
	for i := 0; ; i++ {
		if _, err := tinyio.Isolate(co, c); err == nil {
			return nil
		}
		renew(&c)
	}
}
