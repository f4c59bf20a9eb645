package tinyio_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// These are the recipes of docs/recipes.md: functions and types to copy, each with an example.

// retry calls fn, which may block, until it succeeds, at most n times. Before the second time it waits, and twice as long before each
// next one.
func retry[T any](co *tinyio.Co, n int, wait time.Duration, fn func(ctx context.Context) (T, error)) (T, error) {
	for try := 1; ; try++ {
		v, err := tinyio.Call(co, fn)
		if err == nil || try == n {
			return v, err
		}
		if err := co.Sleep(wait); err != nil {
			return v, err // the caller is being stopped, and does not try again
		}
		wait *= 2
	}
}

func Example_retry() {
	attempts := 0
	fetch := func(ctx context.Context) (string, error) {
		if attempts++; attempts < 3 {
			return "", errors.New("busy")
		}
		return "page", nil
	}
	main := tinyio.New(func(co *tinyio.Co) (string, error) {
		start := co.Now()
		page, err := retry(co, 5, time.Second, fetch)
		fmt.Println(attempts, "attempts,", co.Now().Sub(start))
		return page, err
	})
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// 3 attempts, 3s
	// page <nil>
}

// hedge asks the first of replicas. If that has not answered within d, or fails before, it asks the next as well, and so on.
// The first answer counts, and the others are stopped.
func hedge[T any](co *tinyio.Co, d time.Duration, replicas ...*tinyio.Coro[T]) (T, error) {
	first, rest := replicas[0], replicas[1:]
	if len(rest) == 0 {
		return tinyio.Isolate(co, first)
	}
	var failed tinyio.Event
	return tinyio.First(co,
		tinyio.New(func(co *tinyio.Co) (T, error) {
			defer failed.Set()
			return first.Await(co)
		}),
		tinyio.New(func(co *tinyio.Co) (answer T, err error) {
			if _, err = failed.WaitFor(co, d); err == nil {
				answer, err = hedge(co, d, rest...)
			}
			return answer, err
		}))
}

func Example_hedge() {
	ask := func(server string, d time.Duration) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			fmt.Println(co.Now().Format(".000"), "asking", server)
			if err := co.Sleep(d); err != nil {
				fmt.Println(co.Now().Format(".000"), server, "is stopped")
				return "", err
			}
			return "answer from " + server, nil
		})
	}
	main := tinyio.New(func(co *tinyio.Co) (string, error) {
		return hedge(co, 50*time.Millisecond,
			ask("a", time.Hour), ask("b", 30*time.Millisecond), ask("c", 10*time.Millisecond))
	})
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// .000 asking a
	// .050 asking b
	// .080 a is stopped
	// answer from b <nil>
}

// A limiter lets one through every so often, and after a pause up to burst at once.
type limiter struct {
	every time.Duration
	burst int
	next  time.Time // when the next would be let through if all had come without a pause
}

// wait waits until the caller may go on. Those who wait go on in the order in which they have come.
func (l *limiter) wait(co *tinyio.Co) error {
	saved := co.Now().Add(-time.Duration(l.burst-1) * l.every) // a longer pause saves up no more than this
	if l.next.Before(saved) {
		l.next = saved
	}
	d := l.next.Sub(co.Now())
	l.next = l.next.Add(l.every)
	return co.Sleep(d)
}

func Example_rateLimit() {
	limit := &limiter{every: 100 * time.Millisecond, burst: 2}
	request := func(name string) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			if err := limit.wait(co); err != nil {
				return err
			}
			fmt.Println(name, "at", co.Now().Format("05.0"))
			return nil
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Wait(request("a"), request("b"), request("c"), request("d")); err != nil {
			return err
		}
		if err := co.Sleep(time.Minute); err != nil {
			return err
		}
		return co.Wait(request("e"), request("f"), request("g"))
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// a at 00.0
	// b at 00.0
	// c at 00.1
	// d at 00.2
	// e at 00.2
	// f at 00.2
	// g at 00.3
}

func Example_ticker() {
	sweep := tinyio.Do(func(co *tinyio.Co) error {
		for now, err := range tinyio.Every(co, time.Hour) {
			if err != nil {
				return err
			}
			fmt.Println("sweeping at", now.Format("15:04"))
		}
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.SpawnDaemon(sweep); err != nil { // it ends when all else has
			return err
		}
		return co.Sleep(150 * time.Minute) // stands for the work
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(err)
	// Output:
	// sweeping at 01:00
	// sweeping at 02:00
	// <nil>
}

// batches ranges over the values of a queue, n at a time. A batch waits for its last values for at most d.
func batches[T any](co *tinyio.Co, q *tinyio.Queue[T], n int, d time.Duration) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		for v, err := range q.All(co) {
			if err != nil {
				yield(nil, err)
				return
			}
			batch := []T{v}
			for end := co.Now().Add(d); len(batch) < n; {
				v, ok, err := q.GetFor(co, end.Sub(co.Now()))
				if err != nil || !ok {
					break // no more for now; if it is the end, All tells
				}
				batch = append(batch, v)
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func Example_batch() {
	events := tinyio.NewQueue[int](100)
	source := tinyio.Do(func(co *tinyio.Co) error {
		defer events.Close()
		for i, pause := range []time.Duration{0, 1, 1, 1, 9, 1, 1} {
			if err := co.Sleep(pause * time.Second); err != nil {
				return err
			}
			if err := events.Put(co, i); err != nil {
				return err
			}
		}
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(source); err != nil {
			return err
		}
		for batch, err := range batches(co, events, 3, 5*time.Second) {
			if err != nil {
				return err
			}
			fmt.Println(batch, "at", co.Now().Format("04:05"))
		}
		return nil
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(err)
	// Output:
	// [0 1 2] at 00:02
	// [3] at 00:08
	// [4 5 6] at 00:14
	// <nil>
}

// supervise runs a service. If that ends, fails or panics, it is started again, after a second at first, and after twice as long each
// time, up to a minute. If it has run for a minute, the next wait is a second again. The function log gets the error with which it has ended.
func supervise(co *tinyio.Co, service func(co *tinyio.Co) error, log func(err error)) error {
	wait := time.Second
	for {
		start := co.Now()
		_, err := tinyio.Isolate(co, tinyio.Do(service))
		if co.Err() != nil {
			return err // the supervisor itself is being stopped
		}
		log(err)
		if co.Now().Sub(start) >= time.Minute {
			wait = time.Second
		}
		if err := co.Sleep(wait); err != nil {
			return err
		}
		wait = min(2*wait, time.Minute)
	}
}

func Example_supervisor() {
	starts := 0
	service := func(co *tinyio.Co) error {
		starts++
		fmt.Println(co.Now().Format("04:05"), "start", starts)
		switch starts {
		case 1:
			return errors.New("no connection")
		case 2:
			panic("a bug")
		case 3:
			if err := co.Sleep(10 * time.Minute); err != nil {
				return err
			}
			return errors.New("connection lost")
		}
		defer fmt.Println("stopped")
		return co.Sleep(24 * time.Hour)
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		err := co.SpawnDaemon(tinyio.Do(func(co *tinyio.Co) error {
			return supervise(co, service, func(err error) {
				text, _, _ := strings.Cut(err.Error(), "\n") // of a panic, without the stack
				fmt.Println(co.Now().Format("04:05"), text)
			})
		}))
		if err != nil {
			return err
		}
		return co.Sleep(time.Hour) // stands for the work
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(err)
	// Output:
	// 00:00 start 1
	// 00:00 no connection
	// 00:01 start 2
	// 00:01 tinyio: panic in a coroutine: a bug
	// 00:03 start 3
	// 10:03 connection lost
	// 10:04 start 4
	// stopped
	// <nil>
}

// forEach calls fn for each of xs, for at most n of them at the same time, and returns the results in the order of xs.
func forEach[T, R any](co *tinyio.Co, n int, xs []T, fn func(co *tinyio.Co, x T) (R, error)) ([]R, error) {
	seats := tinyio.NewSemaphore(n)
	var cs []*tinyio.Coro[R]
	for _, x := range xs {
		cs = append(cs, tinyio.New(func(co *tinyio.Co) (r R, err error) {
			if err := seats.Acquire(co); err != nil {
				return r, err
			}
			defer seats.Release()
			return fn(co, x)
		}))
	}
	return tinyio.Gather(co, cs...)
}

func Example_fanOut() {
	main := tinyio.New(func(co *tinyio.Co) ([]int, error) {
		return forEach(co, 2, []string{"one", "three", "seven"}, func(co *tinyio.Co, word string) (int, error) {
			fmt.Println(co.Now().Format("04:05"), word)
			return len(word), co.Sleep(time.Minute)
		})
	})
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// 00:00 one
	// 00:00 three
	// 01:00 seven
	// [3 5 5] <nil>
}

// jobs run on a loop. They are started, and stopped by number, from any goroutine.
type jobs struct {
	loop    *tinyio.Loop
	running map[int]*tinyio.Coro[tinyio.Void]
	last    int
}

// start starts a job and returns its number. If it fails, log gets the error, and the others go on.
func (j *jobs) start(ctx context.Context, work func(co *tinyio.Co) error, log func(id int, err error)) (id int, err error) {
	return tinyio.Submit(ctx, j.loop, tinyio.New(func(co *tinyio.Co) (int, error) {
		j.last++
		id := j.last
		j.running[id] = co.Go(func(co *tinyio.Co) error {
			defer delete(j.running, id)
			if _, err := tinyio.Isolate(co, tinyio.Do(work)); err != nil {
				log(id, err)
			}
			return nil
		})
		return id, nil
	}))
}

// wait waits for a job.
func (j *jobs) wait(ctx context.Context, id int) error {
	_, err := tinyio.Submit(ctx, j.loop, tinyio.Do(func(co *tinyio.Co) error {
		if job := j.running[id]; job != nil {
			return co.Wait(job)
		}
		return nil
	}))
	return err
}

// cancel stops a job, and reports whether there was one. When it returns, the job has stopped.
func (j *jobs) cancel(ctx context.Context, id int, cause error) (found bool, err error) {
	return tinyio.Submit(ctx, j.loop, tinyio.New(func(co *tinyio.Co) (bool, error) {
		job := j.running[id]
		if job == nil {
			return false, nil // an error would stop the loop
		}
		delete(j.running, id)
		return true, job.Cancel(co, cause)
	}))
}

func Example_cancelByID() {
	ctx, stop := context.WithCancelCause(context.Background())
	j := &jobs{loop: tinyio.NewLoop(), running: map[int]*tinyio.Coro[tinyio.Void]{}}
	served := make(chan error)
	go func() { served <- j.loop.Serve(ctx) }()

	var finish tinyio.Event
	work := func(co *tinyio.Co) error { return finish.Wait(co) }
	log := func(id int, err error) { fmt.Println("job", id, "-", err) }
	first, _ := j.start(ctx, work, log)
	second, _ := j.start(ctx, work, log)
	fmt.Println(j.cancel(ctx, first, errors.New("no longer wanted")))
	fmt.Println(j.cancel(ctx, first, errors.New("no longer wanted")))
	finish.Set()
	fmt.Println("job", second, "is done:", j.wait(ctx, second))
	stop(errors.New("closing time"))
	fmt.Println(<-served)
	// Output:
	// job 1 - tinyio: cancelled because of: no longer wanted
	// true <nil>
	// false <nil>
	// job 2 is done: <nil>
	// closing time
}

// serveHTTP serves until quit is set. Then it takes no more requests, and waits for those in flight, for at most grace.
func serveHTTP(co *tinyio.Co, server *http.Server, l net.Listener, quit *tinyio.Event, grace time.Duration) error {
	defer server.Close() // also if the coroutine is stopped: Serve knows no context
	err := co.Spawn(tinyio.RunInThread(func(context.Context) (tinyio.Void, error) {
		err := server.Serve(l)
		if err == http.ErrServerClosed {
			err = nil
		}
		return tinyio.Void{}, err
	}))
	if err != nil {
		return err
	}
	if err := quit.Wait(co); err != nil {
		return err
	}
	return co.Call(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		return server.Shutdown(ctx)
	})
}

func Example_httpServer() {
	loop := tinyio.NewLoop()
	visits := 0 // of the coroutines of the loop
	var quit tinyio.Event
	answer := func() *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			visits++
			quit.Set() // stands for a signal: context.AfterFunc(ctx, quit.Set), with the ctx of signal.NotifyContext
			err := co.Sleep(10 * time.Millisecond)
			return fmt.Sprint("visit ", visits), err
		})
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := tinyio.Submit(r.Context(), loop, answer())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, text)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	main := tinyio.Do(func(co *tinyio.Co) error { return serveHTTP(co, server, l, &quit, 5*time.Second) })
	served := make(chan error)
	go func() {
		_, err := tinyio.RunOn(context.Background(), loop, main)
		served <- err
	}()

	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://" + l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println(string(body), err) // although quit has been set meanwhile
	fmt.Println("served:", <-served)
	// Output:
	// visit 1 <nil>
	// served: <nil>
}

// readLine reads a line from r, which reads from conn. If the coroutine is stopped meanwhile, the read ends, and the connection can still be
// written to.
func readLine(co *tinyio.Co, conn net.Conn, r *bufio.Reader) (string, error) {
	interrupt := func() { conn.SetReadDeadline(time.Unix(1, 0)) } // long ago
	line, err := tinyio.CallInterruptible(co, interrupt, func() (string, error) { return r.ReadString('\n') })
	if co.Err() != nil {
		err = context.Cause(co) // and not that a deadline has passed
	}
	return line, err
}

func Example_conn() {
	near, far := net.Pipe() // stands for a connection to somewhere
	write := func(co *tinyio.Co, text string) error {
		return co.Call(func(context.Context) error {
			_, err := io.WriteString(near, text)
			return err
		})
	}
	echo := tinyio.Do(func(co *tinyio.Co) error {
		defer near.Close()
		for r := bufio.NewReader(near); ; {
			line, err := readLine(co, near, r)
			if co.Err() != nil {
				if err := co.Shield(time.Second, func(co *tinyio.Co) error { return write(co, "goodbye\n") }); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			if err := write(co, "you say "+line); err != nil {
				return err
			}
		}
	})
	ctx, stop := context.WithCancelCause(context.Background())
	ended := make(chan error)
	go func() {
		_, err := tinyio.Run(ctx, echo)
		ended <- err
	}()

	replies := bufio.NewScanner(far)
	fmt.Fprintln(far, "hello")
	replies.Scan()
	fmt.Println(replies.Text())
	stop(errors.New("the server is going down"))
	replies.Scan()
	fmt.Println(replies.Text())
	fmt.Println(<-ended)
	// Output:
	// you say hello
	// goodbye
	// the server is going down
}

func Example_poolInPool() {
	pool := tinyio.NewThreadPool(2)
	resize := func(image string) *tinyio.Coro[string] {
		return tinyio.RunInPool(pool, func(context.Context) (string, error) { return "small " + image, nil })
	}
	// An album that has a place in the pool keeps it, while it waits for images that need one.
	greedy := func(album string) *tinyio.Coro[[]string] {
		return tinyio.New(func(co *tinyio.Co) ([]string, error) {
			if err := pool.Acquire(co); err != nil {
				return nil, err
			}
			defer pool.Release()
			return tinyio.Gather(co, resize(album+"1"), resize(album+"2"))
		})
	}
	// Only what does the work has a place. How many albums there are at a time is another matter, and so another semaphore.
	albums := tinyio.NewSemaphore(2)
	modest := func(album string) *tinyio.Coro[[]string] {
		return tinyio.New(func(co *tinyio.Co) ([]string, error) {
			if err := albums.Acquire(co); err != nil {
				return nil, err
			}
			defer albums.Release()
			return tinyio.Gather(co, resize(album+"1"), resize(album+"2"))
		})
	}
	for _, do := range []func(string) *tinyio.Coro[[]string]{greedy, modest} {
		main := tinyio.New(func(co *tinyio.Co) ([][]string, error) { return tinyio.Gather(co, do("a"), do("b"), do("c")) })
		all, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
		var deadlock *tinyio.DeadlockError
		fmt.Println(all, errors.As(err, &deadlock))
	}
	// Output:
	// [] true
	// [[small a1 small a2] [small b1 small b2] [small c1 small c2]] false
}

// A cache fetches values and keeps them for a while. If several want the same value meanwhile, it is fetched once.
type cache[K comparable, V any] struct {
	fetch   func(co *tinyio.Co, key K) (V, error)
	keep    time.Duration
	entries map[K]*cached[V]
}

type cached[V any] struct {
	fetching *tinyio.Coro[tinyio.Void]
	value    V
	err      error
	until    time.Time // how long it is good for, when it has been fetched
}

// get returns the value for key. An error of fetch goes to all who wait for the value, and is not kept.
func (c *cache[K, V]) get(co *tinyio.Co, key K) (v V, err error) {
	e := c.entries[key]
	if e == nil || e.fetching.Finished() && !co.Now().Before(e.until) {
		e = new(cached[V])
		e.fetching = tinyio.Do(func(co *tinyio.Co) error {
			e.value, e.err = tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (V, error) { return c.fetch(co, key) }))
			if e.err == nil {
				e.until = co.Now().Add(c.keep)
			}
			return co.Err() // not e.err, which would crash somebody
		})
		c.entries[key] = e
	}
	if _, err := e.fetching.Await(co); err != nil {
		return v, err
	}
	return e.value, e.err
}

func Example_cache() {
	fetches := 0
	pages := &cache[string, string]{keep: time.Minute, entries: map[string]*cached[string]{}}
	pages.fetch = func(co *tinyio.Co, key string) (string, error) {
		fetches++
		fmt.Println(co.Now().Format("04:05"), "fetching", key)
		if err := co.Sleep(10 * time.Second); err != nil {
			return "", err
		}
		if fetches == 2 {
			return "", errors.New("no connection")
		}
		return fmt.Sprint("page ", fetches), nil
	}
	reader := func(at time.Duration) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Sleep(at); err != nil {
				return err
			}
			page, err := pages.get(co, "home")
			fmt.Printf("%s %q %v\n", co.Now().Format("04:05"), page, err)
			return co.Err() // of the reader: whether it is being stopped
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(reader(0), reader(5*time.Second), reader(time.Minute), reader(2*time.Minute), reader(121*time.Second), reader(3*time.Minute))
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// 00:00 fetching home
	// 00:10 "page 1" <nil>
	// 00:10 "page 1" <nil>
	// 01:00 "page 1" <nil>
	// 02:00 fetching home
	// 02:10 "" no connection
	// 02:10 "" no connection
	// 03:00 fetching home
	// 03:10 "page 3" <nil>
}

// The first to ask may be stopped, and the fetch goes on for the others. If it fails then, they get the error as a value.
func TestCacheWithoutWhoCameFirst(t *testing.T) {
	noLeaks(t)
	fetches := 0
	pages := &cache[string, string]{keep: time.Minute, entries: map[string]*cached[string]{}}
	pages.fetch = func(co *tinyio.Co, key string) (string, error) {
		if fetches++; fetches == 1 {
			if err := co.Sleep(10 * time.Second); err != nil {
				return "", err
			}
			return "", errBoom
		}
		return "page", co.Sleep(time.Second)
	}
	first := tinyio.New(func(co *tinyio.Co) (string, error) {
		co.Go(func(co *tinyio.Co) error {
			if err := co.Sleep(5 * time.Second); err != nil {
				return err
			}
			return errors.New("the first crashes")
		})
		return pages.get(co, "home")
	})
	alone := tinyio.Do(func(co *tinyio.Co) error {
		if _, err := tinyio.Isolate(co, first); err == nil || err.Error() != "the first crashes" {
			t.Errorf("the first ends with %v", err)
		}
		return nil
	})
	second := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		if _, err := pages.get(co, "home"); !errors.Is(err, errBoom) || co.Now().Second() != 10 {
			t.Errorf("the second gets %v at %v, want %v after 10s", err, co.Now(), errBoom)
		}
		if page, err := pages.get(co, "home"); page != "page" || err != nil {
			t.Errorf("the second gets %q, %v then", page, err)
		}
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(alone, second) })
	if _, err := tinyio.Run(background, main, tinyio.WithVirtualTime()); err != nil || fetches != 2 {
		t.Errorf("Run = %v, after %d fetches, want 2", err, fetches)
	}
}

// A topic hands each value that is published to all subscribers. A publisher never waits: a slow subscriber loses the oldest values.
type topic[T any] struct{ subscribers []*tinyio.Queue[T] }

// subscribe returns a queue of the values that are published from now on, which holds up to n of them.
func (t *topic[T]) subscribe(n int) *tinyio.Queue[T] {
	q := tinyio.NewQueue[T](n)
	t.subscribers = append(t.subscribers, q)
	return q
}

// unsubscribe ends a subscription. What is in the queue can still be read.
func (t *topic[T]) unsubscribe(q *tinyio.Queue[T]) {
	t.subscribers = slices.DeleteFunc(t.subscribers, func(x *tinyio.Queue[T]) bool { return x == q })
	q.Close()
}

func (t *topic[T]) publish(v T) {
	for _, q := range t.subscribers {
		if !q.TryPut(v) {
			q.TryGet()
			q.TryPut(v)
		}
	}
}

func Example_pubSub() {
	var news topic[int]
	reader := func(name string, pause time.Duration) tinyio.Awaitable {
		q := news.subscribe(2)
		return tinyio.Do(func(co *tinyio.Co) error {
			var seen []int
			for v, err := range q.All(co) {
				if err != nil {
					return err
				}
				seen = append(seen, v)
				if err := co.Sleep(pause); err != nil {
					return err
				}
			}
			fmt.Println(name, "has seen", seen)
			return nil
		})
	}
	publisher := tinyio.Do(func(co *tinyio.Co) error {
		for i := range 6 {
			news.publish(i)
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
		}
		for len(news.subscribers) > 0 {
			news.unsubscribe(news.subscribers[0])
		}
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(reader("quick", 0), reader("slow", 4500*time.Millisecond), publisher)
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// quick has seen [0 1 2 3 4 5]
	// slow has seen [0 3 4 5]
}

func Example_progress() {
	done, all := 0, 6
	show := tinyio.Do(func(co *tinyio.Co) error {
		for now, err := range tinyio.Every(co, time.Second) {
			if err != nil {
				return err
			}
			fmt.Printf("%s %d of %d\n", now.Format("04:05"), done, all)
		}
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.SpawnDaemon(show); err != nil { // it ends when the work is done
			return err
		}
		_, err := forEach(co, 2, make([]int, all), func(co *tinyio.Co, _ int) (int, error) {
			err := co.Sleep(1100 * time.Millisecond)
			done++
			return 0, err
		})
		return err
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println("done:", done)
	// Output:
	// 00:01 0 of 6
	// 00:02 2 of 6
	// 00:03 4 of 6
	// done: 6
}
