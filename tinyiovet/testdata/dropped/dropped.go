package dropped

import (
	"context"

	"example.com/testdata/lib"
	"github.com/tinyio-go/tinyio"
)

func nothing(*tinyio.Co) error { return nil }

func hits(co *tinyio.Co) {
	tinyio.Do(nothing)                                                       // want `the coroutine is made and dropped, so it never runs`
	tinyio.Do(nothing).Named("x")                                            // want `made and dropped`
	_ = tinyio.New(func(*tinyio.Co) (int, error) { return 1, nil })          // want `made and dropped`
	tinyio.RunInThread(func(context.Context) (int, error) { return 1, nil }) // want `made and dropped`
	lib.Fetch("home")                                                        // want `made and dropped`
	local().Named("y")                                                       // want `made and dropped`
	_, n := local(), 1                                                       // want `made and dropped`
	_ = n
}

func local() *tinyio.Coro[int] { return lib.Fetch("x") } // want local:`makes`

func near(co *tinyio.Co) {
	co.Go(nothing)
	tinyio.Go(co, func(*tinyio.Co) (int, error) { return 1, nil })
	start(co)
	lib.Keep("home")
	c := tinyio.Do(nothing)
	c.Named("c")
	made := []*tinyio.Coro[int]{lib.Fetch("home")}
	_ = made
	co.Spawn(lib.Fetch("home"))
	make := func() *tinyio.Coro[tinyio.Void] { co.Spawn(c); return c }
	make()
}

func start(co *tinyio.Co) *tinyio.Coro[tinyio.Void] { return co.Go(nothing) }
