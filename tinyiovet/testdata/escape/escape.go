package escape

import (
	"context"
	"net/http"
	"time"

	"github.com/tinyio-go/tinyio"
)

func helper(co *tinyio.Co) error { return co.Yield() }

func hits(co *tinyio.Co, p *tinyio.ThreadPool) error {
	go func() {
		co.Sleep(time.Second) // want `the Co co of a function around is used in a goroutine; use the Co that this is given, or do without`
	}()
	go helper(co) // want `the Co co is given to a goroutine`
	go co.Yield() // want `a method of a Co is called on a goroutine`
	child := tinyio.Do(func(inner *tinyio.Co) error {
		return co.Yield() // want `the Co co of a function around is used in another coroutine; use the Co that this is given$`
	})
	co.Go(func(*tinyio.Co) error { return helper(co) })                                             // want `the Co co of a function around is used in another coroutine`
	tinyio.Go(co, func(*tinyio.Co) (int, error) { return 1, co.Yield() })                           // want `used in another coroutine`
	thread := tinyio.RunInThread(func(context.Context) (int, error) { return 1, co.Yield() })       // want `used in the function of RunInThread`
	pooled := tinyio.RunInPool(p, func(context.Context) (int, error) { return 1, co.Wait(thread) }) // want `used in the function of RunInPool`
	tinyio.Call(co, func(context.Context) (int, error) { return 1, co.Sleep(1) })                   // want `used in the function of Call`
	time.AfterFunc(time.Second, func() { co.Yield() })                                              // want `used in the function of AfterFunc`
	fail := func() error { return co.Yield() }
	other := tinyio.Do(func(*tinyio.Co) error { return fail() })        // want `fail waits through co, the Co of a function around, in another coroutine`
	wrapped := named("x", func(*tinyio.Co) error { return co.Yield() }) // want `used in another coroutine`
	deep := tinyio.Do(func(mid *tinyio.Co) error {
		return mid.Wait(tinyio.Do(func(*tinyio.Co) error { return mid.Yield() })) // want `the Co mid of a function around`
	})
	return co.Wait(child, thread, pooled, other, wrapped, deep)
}

func named(name string, f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(f).Named(name)
}

func near(co *tinyio.Co, request *http.Request) error {
	// As a context it may be used anywhere.
	go func() { <-co.Done() }()
	go use(co)
	thread := tinyio.RunInThread(func(context.Context) (int, error) {
		use(co)
		return 1, co.Err()
	})
	child := tinyio.Do(func(inner *tinyio.Co) error {
		request = request.WithContext(co)
		_, err := tinyio.Run(co, tinyio.Do(func(own *tinyio.Co) error { return own.Yield() }))
		return err
	})
	// What runs on the coroutine itself may use it.
	retry := func(f func() error) error { return f() }
	if err := retry(func() error { return co.Sleep(1) }); err != nil {
		return err
	}
	fail := func() error { return co.Yield() }
	defer func() { co.Shield(1, func(*tinyio.Co) error { return co.Yield() }) }()
	if err := with(co, func(*tinyio.Co) error { return co.Yield() }); err != nil {
		return err
	}
	func() { co.Yield() }()
	// A Co of its own that hides the other.
	own := tinyio.Do(func(co *tinyio.Co) error { return co.Yield() })
	if err := fail(); err != nil {
		return err
	}
	return co.Wait(child, thread, own)
}

func use(context.Context) {}

func with(co *tinyio.Co, f func(co *tinyio.Co) error) error { return f(co) }
