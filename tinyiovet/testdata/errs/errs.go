package errs

import (
	"errors"
	"time"

	"example.com/testdata/lib"
	"github.com/tinyio-go/tinyio"
)

func hits(co *tinyio.Co, c *tinyio.Coro[int], e *tinyio.Event, q *tinyio.Queue[int], l *tinyio.Lock, ch chan int) int {
	co.Sleep(time.Second)           // want `the error of Co.Sleep is thrown away: it says that the coroutine is being stopped; return it`
	co.Yield()                      // want `the error of Co.Yield is thrown away`
	co.Spawn(c)                     // want `the error of Co.Spawn is thrown away`
	e.Wait(co)                      // want `the error of Event.Wait is thrown away`
	l.Acquire(co)                   // want `the error of Lock.Acquire is thrown away`
	c.Await(co)                     // want `the error of Coro.Await is thrown away`
	v, _ := c.Await(co)             // want `the error of Coro.Await is thrown away, and the value is used`
	vs, _ := tinyio.Gather(co, c)   // want `the error of Gather is thrown away, and the value is used`
	w, ok, _ := tinyio.Recv(co, ch) // want `the error of Recv is thrown away`
	if ok {
		v += w + vs[0]
	}
	for range tinyio.Every(co, time.Second) { // want `the error of Every is thrown away`
	}
	for x := range q.All(co) { // want `the error of Queue.All is thrown away`
		v += x
	}
	for x, _ := range tinyio.AsCompleted(co, c) { // want `the error of AsCompleted is thrown away`
		v += x
	}
	return v
}

func near(co *tinyio.Co, c *tinyio.Coro[int], q *tinyio.Queue[int]) (err error) {
	defer co.Shield(time.Second, func(co *tinyio.Co) error { return co.Yield() })
	defer func() {
		co.Yield() // in clean-up there is nobody to return it to
	}()
	_ = co.Yield()
	_, _ = c.Await(co)
	c.Cancel(co, errors.New("not wanted")) // these errors are values
	tinyio.Isolate(co, c)
	v, _ := tinyio.Timeout(co, c, time.Second)
	lib.Wait(co) // errcheck's business
	co.Err()
	co.Go(func(co *tinyio.Co) error { return nil })
	q.TryPut(v)
	for x, err := range q.All(co) {
		if err != nil {
			return err
		}
		_ = x
	}
	_, err = c.Await(co)
	return co.Sleep(time.Second)
}
