package tinyio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// The examples run in virtual time wherever time matters, so that an hour takes no time and the output is always the
// same. Leave WithVirtualTime out and they do the same thing in real time.

// slowAddOne returns x+1, a second later.
func slowAddOne(x int) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		if err := co.Sleep(time.Second); err != nil {
			return 0, err
		}
		return x + 1, nil
	})
}

// Two coroutines wait at the same time, so the sums are there after one second, not two.
func Example() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		start := co.Now()
		sums, err := tinyio.Gather(co, slowAddOne(3), slowAddOne(4))
		if err != nil {
			return err
		}
		fmt.Println(sums, "after", co.Now().Sub(start))
		return nil
	})
	if _, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [4 5] after 1s
}

// This is the example of the package documentation.
func Example_overview() {
	fetch := func(page string) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(10 * time.Millisecond); err != nil { // others run meanwhile
				return 0, err
			}
			return len(page), nil
		})
	}
	both := tinyio.New(func(co *tinyio.Co) ([]int, error) {
		return tinyio.Gather(co, fetch("home"), fetch("about"))
	})
	sizes, err := tinyio.Run(context.Background(), both) // after 10 milliseconds, not 20
	fmt.Println(sizes, err)
	// Output:
	// [4 5] <nil>
}

// A coroutine is a value. Nothing happens until somebody wants it.
func ExampleNew() {
	answer := tinyio.New(func(co *tinyio.Co) (int, error) {
		fmt.Println("thinking")
		return 42, co.Sleep(time.Hour)
	})
	fmt.Println("made")
	n, err := tinyio.Run(context.Background(), answer, tinyio.WithVirtualTime())
	fmt.Println(n, err)
	// Output:
	// made
	// thinking
	// 42 <nil>
}

// Await waits for one coroutine and gives its result.
func ExampleCoro_Await() {
	main := tinyio.New(func(co *tinyio.Co) (int, error) {
		four, err := slowAddOne(3).Await(co)
		if err != nil {
			return 0, err
		}
		return slowAddOne(four).Await(co)
	})
	n, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(n, err)
	// Output:
	// 5 <nil>
}

// A coroutine runs once, however many wait for it: a diamond of dependencies needs no cache.
func ExampleCoro_Await_diamond() {
	config := tinyio.New(func(co *tinyio.Co) (string, error) {
		fmt.Println("reading the configuration")
		return "db.example", co.Sleep(time.Second)
	})
	users := tinyio.New(func(co *tinyio.Co) (string, error) {
		host, err := config.Await(co)
		return "users from " + host, err
	})
	orders := tinyio.New(func(co *tinyio.Co) (string, error) {
		host, err := config.Await(co)
		return "orders from " + host, err
	})
	page := tinyio.New(func(co *tinyio.Co) ([]string, error) {
		return tinyio.Gather(co, users, orders)
	})
	parts, err := tinyio.Run(context.Background(), page, tinyio.WithVirtualTime())
	fmt.Println(strings.Join(parts, ", "), err)
	// Output:
	// reading the configuration
	// users from db.example, orders from db.example <nil>
}

// Between two suspensions nobody else runs, and the order in which coroutines take turns is always the same.
func ExampleCo_Yield() {
	visits := map[string]int{} // shared, and no mutex
	count := func(name string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			for range 2 {
				visits[name]++
				fmt.Println(name, visits[name])
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(count("a"), count("b"))
	})
	tinyio.Run(context.Background(), main)
	// Output:
	// a 1
	// b 1
	// a 2
	// b 2
}

// Timers fire in the order of their deadlines.
func ExampleCo_Sleep() {
	after := func(d time.Duration) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Sleep(d); err != nil {
				return err
			}
			fmt.Println(d)
			return nil
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(after(3*time.Hour), after(time.Hour), after(2*time.Hour))
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// 1h0m0s
	// 2h0m0s
	// 3h0m0s
}

// A spawned coroutine runs in the background. Run returns when it, too, has finished.
func ExampleCo_Spawn() {
	background := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Minute); err != nil {
			return err
		}
		fmt.Println("background: done")
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(background); err != nil {
			return err
		}
		fmt.Println("main: done")
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println("Run: done")
	// Output:
	// main: done
	// background: done
	// Run: done
}

// Gather runs coroutines of one type together and gives their values in the order of the arguments.
func ExampleGather() {
	length := func(word string) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			return len(word), co.Sleep(time.Duration(len(word)) * time.Second)
		})
	}
	main := tinyio.New(func(co *tinyio.Co) ([]int, error) {
		var cs []*tinyio.Coro[int]
		for _, word := range []string{"three", "four", "a"} {
			cs = append(cs, length(word))
		}
		return tinyio.Gather(co, cs...)
	})
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// [5 4 1] <nil>
}

// Wait runs coroutines of different types together. Their values are read afterwards.
func ExampleCo_Wait() {
	name := tinyio.New(func(co *tinyio.Co) (string, error) { return "Ada", co.Sleep(time.Second) })
	age := tinyio.New(func(co *tinyio.Co) (int, error) { return 36, co.Sleep(time.Second) })
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Wait(name, age); err != nil {
			return err
		}
		fmt.Println(name.Value(), age.Value())
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// Ada 36
}

// AsCompleted takes results as they come.
func ExampleAsCompleted() {
	answer := func(server string, d time.Duration) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) { return server, co.Sleep(d) })
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		servers := tinyio.AsCompleted(co,
			answer("far", 300*time.Millisecond),
			answer("near", 20*time.Millisecond),
			answer("middle", 90*time.Millisecond))
		for server, err := range servers {
			if err != nil {
				return err
			}
			fmt.Println(server)
		}
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// near
	// middle
	// far
}

// A loop can be run again. What has finished on it keeps its result.
func ExampleRunOn() {
	loop := tinyio.NewLoop()
	login := tinyio.New(func(co *tinyio.Co) (string, error) {
		fmt.Println("logging in")
		return "token", co.Yield()
	})
	greet := tinyio.New(func(co *tinyio.Co) (string, error) {
		token, err := login.Await(co)
		return "hello with " + token, err
	})
	fmt.Println(tinyio.RunOn(context.Background(), loop, login))
	fmt.Println(tinyio.RunOn(context.Background(), loop, greet))
	// Output:
	// logging in
	// token <nil>
	// hello with token <nil>
}

// Loops nest. The inner one blocks the outer one for as long as it runs, as any blocking call does.
func ExampleRun_nested() {
	main := tinyio.New(func(co *tinyio.Co) (int, error) {
		return tinyio.Run(co, slowAddOne(1), tinyio.WithVirtualTime()) // co is a context
	})
	fmt.Println(tinyio.Run(context.Background(), main))
	// Output:
	// 2 <nil>
}

// The context given to Run is the outside's way to stop it.
func ExampleRun_context() {
	ctx, cancel := context.WithCancelCause(context.Background())
	server := tinyio.Do(func(co *tinyio.Co) error {
		defer fmt.Println("server: stopped")
		fmt.Println("server: ready")
		cancel(errors.New("the machine is going down")) // stands for something outside
		return co.Sleep(time.Hour)
	})
	_, err := tinyio.Run(ctx, server)
	fmt.Println(err)
	// Output:
	// server: ready
	// server: stopped
	// the machine is going down
}

// An error in one coroutine stops every coroutine of the loop, and comes out of Run.
func Example_crash() {
	errBroken := errors.New("the disk is full")
	writer := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		return errBroken
	})
	reader := tinyio.Do(func(co *tinyio.Co) error {
		err := co.Sleep(time.Hour)
		fmt.Println("reader:", err)
		return err
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(reader, writer)
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println("Run:", err, errors.Is(err, errBroken))
	// Output:
	// reader: tinyio: cancelled because of: the disk is full
	// Run: the disk is full true
}

// A coroutine that waits for others is cancelled after these have stopped, so what it closes is no longer in use.
func Example_childrenFirst() {
	query := func(name string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			defer fmt.Println(name, "stopped")
			return co.Sleep(time.Hour)
		})
	}
	database := tinyio.Do(func(co *tinyio.Co) error {
		defer fmt.Println("database closed")
		return co.Wait(query("query 1"), query("query 2"))
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(database); err != nil {
			return err
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		return errors.New("out of memory")
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(err)
	// Output:
	// query 1 stopped
	// query 2 stopped
	// database closed
	// out of memory
}

// A coroutine that fails while it cleans up is reported beside the original error.
func ExampleErrorGroup() {
	session := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Hour); err != nil {
			return errors.New("the session could not be saved")
		}
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(session); err != nil {
			return err
		}
		if err := co.Yield(); err != nil {
			return err
		}
		return errors.New("the disk is full")
	})
	_, err := tinyio.Run(context.Background(), main)
	var group *tinyio.ErrorGroup
	if errors.As(err, &group) {
		for _, err := range group.Errs {
			fmt.Println(err)
		}
	}
	// Output:
	// the disk is full
	// the session could not be saved
}

// GroupAlways also reports everyone who was cancelled.
func ExampleWithErrorGroup() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(slowAddOne(1), slowAddOne(2)); err != nil {
			return err
		}
		if err := co.Yield(); err != nil {
			return err
		}
		return errors.New("the disk is full")
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithErrorGroup(tinyio.GroupAlways))
	fmt.Println(err)
	// Output:
	// the disk is full
	// while stopping: tinyio: cancelled because of: the disk is full
	// while stopping: tinyio: cancelled because of: the disk is full
}

// GroupNever gives the original error, whatever goes wrong after it.
func ExampleWithErrorGroup_never() {
	session := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Hour); err != nil {
			return errors.New("the session could not be saved")
		}
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(session); err != nil {
			return err
		}
		if err := co.Yield(); err != nil {
			return err
		}
		return errors.New("the disk is full")
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithErrorGroup(tinyio.GroupNever))
	fmt.Println(err)
	// Output:
	// the disk is full
}

// An error out of Run has the await chain: which coroutine waited for which.
func ExampleError() {
	query := tinyio.Do(func(co *tinyio.Co) error { return errors.New("no such table") }).Named("query")
	report := tinyio.Do(func(co *tinyio.Co) error {
		_, err := query.Await(co)
		return err
	}).Named("report")
	main := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(report, slowAddOne(1)) }).Named("main")

	_, err := tinyio.Run(context.Background(), main)
	var failed *tinyio.Error
	if errors.As(err, &failed) { // fmt.Printf("%+v", err) writes all of it, with files and lines
		fmt.Println(failed)
		for _, frame := range failed.Trace {
			fmt.Println("in", frame.Coro)
		}
	}
	// Output:
	// no such table
	// in main
	// in report
	// in query
}

// Names distinguish coroutines of the same function.
func ExampleCoro_Named() {
	fetch := func(page string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			return errors.New("not found")
		}).Named("fetch " + page)
	}
	_, err := tinyio.Run(context.Background(), fetch("/about"))
	var failed *tinyio.Error
	if errors.As(err, &failed) {
		fmt.Println(failed, "in", failed.Trace[0].Coro)
	}
	// Output:
	// not found in fetch /about
}

// Inside Shield a coroutine that is being stopped can still wait, for a limited time.
func ExampleCo_Shield() {
	connection := tinyio.Do(func(co *tinyio.Co) error {
		stopped := co.Sleep(time.Hour)
		if stopped == nil {
			return nil
		}
		err := co.Shield(5*time.Second, func(co *tinyio.Co) error {
			if err := co.Sleep(time.Second); err != nil { // stands for a last message to the other side
				return err
			}
			fmt.Println("said goodbye")
			return nil
		})
		if err != nil {
			return err
		}
		return stopped
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(connection); err != nil {
			return err
		}
		if err := co.Yield(); err != nil {
			return err
		}
		return errors.New("the disk is full")
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(err)
	// Output:
	// said goodbye
	// the disk is full
}

// A coroutine that will not stop cannot hang the loop. Its deferred functions run, and it is reported.
func Example_stubborn() {
	stubborn := tinyio.Do(func(co *tinyio.Co) error {
		defer fmt.Println("stubborn: unwound")
		for {
			co.Yield() // the error is ignored
		}
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(stubborn); err != nil {
			return err
		}
		return errors.New("the disk is full")
	})
	_, err := tinyio.Run(context.Background(), main)
	var group *tinyio.ErrorGroup
	fmt.Println(errors.As(err, &group), len(group.Errs))
	// Output:
	// stubborn: unwound
	// true 2
}

// A panic stops the loop as an error does. Then Run panics, with the stack of the coroutine and its await chain.
func ExamplePanicError() {
	bug := tinyio.Do(func(co *tinyio.Co) error {
		prices := map[string]*int{}
		*prices["bread"]++
		return nil
	}).Named("bug")
	main := tinyio.Do(func(co *tinyio.Co) error {
		defer fmt.Println("main: cleaned up")
		_, err := bug.Await(co)
		return err
	}).Named("main")

	defer func() {
		p := recover().(*tinyio.PanicError)
		fmt.Println(p.Value)
		for _, frame := range p.Trace {
			fmt.Println("in", frame.Coro)
		}
	}()
	tinyio.Run(context.Background(), main)
	// Output:
	// main: cleaned up
	// runtime error: invalid memory address or nil pointer dereference
	// in main
	// in bug
}

// Coroutines that wait for each other are found out at once.
func ExampleCycleError() {
	var a, b *tinyio.Coro[int]
	a = tinyio.New(func(co *tinyio.Co) (int, error) { return b.Await(co) }).Named("a")
	b = tinyio.New(func(co *tinyio.Co) (int, error) { return a.Await(co) }).Named("b")
	_, err := tinyio.Run(context.Background(), a)
	var cycle *tinyio.CycleError
	if errors.As(err, &cycle) {
		fmt.Println(cycle.Path)
	}
	// Output:
	// [b a b]
}

// A coroutine that takes too long is stopped, and may clean up. Nobody else notices.
func ExampleTimeout() {
	fetch := tinyio.New(func(co *tinyio.Co) (string, error) {
		defer fmt.Println("fetch: cleaned up")
		if err := co.Sleep(time.Hour); err != nil {
			return "", err
		}
		return "page", nil
	}).Named("fetch")
	main := tinyio.Do(func(co *tinyio.Co) error {
		page, err := tinyio.Timeout(co, fetch, time.Second)
		var late *tinyio.TimeoutError
		if errors.As(err, &late) {
			fmt.Println("main:", late.Coro, "has taken longer than", late.After)
			page, err = "a page from the cache", nil
		}
		if err != nil {
			return err
		}
		fmt.Println("main:", page)
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// fetch: cleaned up
	// main: fetch has taken longer than 1s
	// main: a page from the cache
}

// What others wait for as well is not stopped: only the wait is given up.
func ExampleTimeout_shared() {
	fetch := tinyio.New(func(co *tinyio.Co) (string, error) {
		return "page", co.Sleep(time.Minute)
	})
	patient := tinyio.Do(func(co *tinyio.Co) error {
		page, err := fetch.Await(co)
		fmt.Println("patient:", page, err)
		return err
	})
	hasty := tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Timeout(co, fetch, time.Second)
		if errors.Is(err, tinyio.ErrTimeout) {
			fmt.Println("hasty: gives up")
			return nil
		}
		return err
	})
	main := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(patient, hasty) })
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// hasty: gives up
	// patient: page <nil>
}

// A coroutine that makes something of the time it had returns nil, and its value counts.
func ExampleTimeout_partial() {
	search := tinyio.New(func(co *tinyio.Co) (found []int, err error) {
		for i := 1; ; i++ {
			if err := co.Sleep(time.Second); err != nil {
				return found, nil // as far as it has come
			}
			found = append(found, i)
		}
	})
	main := tinyio.New(func(co *tinyio.Co) ([]int, error) {
		return tinyio.Timeout(co, search, 3500*time.Millisecond)
	})
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// [1 2 3] <nil>
}

// A failure inside Isolate stops what is inside, and is a value outside.
func ExampleIsolate() {
	plugin := tinyio.New(func(co *tinyio.Co) (int, error) {
		helper := tinyio.Do(func(co *tinyio.Co) error {
			defer fmt.Println("helper: stopped")
			return co.Sleep(time.Hour)
		})
		if err := co.Spawn(helper); err != nil {
			return 0, err
		}
		return 0, errors.New("a bug in the plugin")
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, plugin)
		fmt.Println("main: the plugin ended with:", err)
		return co.Err() // if main itself is being stopped, it says so here
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println("Run:", err)
	// Output:
	// helper: stopped
	// main: the plugin ended with: a bug in the plugin
	// Run: <nil>
}

// The first answer counts, and the others are stopped. One that fails is not an answer.
func ExampleFirst() {
	ask := func(server string, d time.Duration, err error) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			if err := co.Sleep(d); err != nil {
				fmt.Println(server, "is stopped")
				return "", err
			}
			return "answer from " + server, err
		})
	}
	main := tinyio.New(func(co *tinyio.Co) (string, error) {
		return tinyio.First(co,
			ask("broken", 10*time.Millisecond, errors.New("out of order")),
			ask("near", 20*time.Millisecond, nil),
			ask("far", time.Second, nil))
	})
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// far is stopped
	// answer from near <nil>
}

// One coroutine is stopped, and what only that one was waiting for. Others who wait for it get the cancellation as a value.
func ExampleCoro_Cancel() {
	download := tinyio.New(func(co *tinyio.Co) (string, error) {
		defer fmt.Println("download: cleaned up")
		return "page", co.Sleep(time.Hour)
	})
	reader := tinyio.Do(func(co *tinyio.Co) error {
		_, err := download.Await(co)
		fmt.Println("reader:", err)
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(reader); err != nil {
			return err
		}
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		err := download.Cancel(co, errors.New("no longer wanted"))
		fmt.Println("main:", err)
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// download: cleaned up
	// reader: tinyio: cancelled because of: no longer wanted
	// main: <nil>
}

// A daemon does not keep the run up. It is stopped when nothing else is left.
func ExampleCo_SpawnDaemon() {
	heartbeat := tinyio.Do(func(co *tinyio.Co) error {
		defer fmt.Println("heartbeat: stopped")
		for {
			fmt.Println("beat")
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
		}
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.SpawnDaemon(heartbeat); err != nil {
			return err
		}
		return co.Sleep(1500 * time.Millisecond)
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(err)
	// Output:
	// beat
	// beat
	// heartbeat: stopped
	// <nil>
}

// Go starts a coroutine and goes on at once.
func ExampleGo() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		sum := tinyio.Go(co, func(co *tinyio.Co) (int, error) {
			fmt.Println("the sum is on its way")
			return 3 + 4, co.Yield()
		})
		fmt.Println("main goes on")
		v, err := sum.Await(co)
		fmt.Println(v)
		return err
	})
	tinyio.Run(context.Background(), main)
	// Output:
	// main goes on
	// the sum is on its way
	// 7
}

// A blocking call whose failure is a value: it can be tried again.
func ExampleCall() {
	attempts := 0
	fetch := func(ctx context.Context) (string, error) { // blocks, in a goroutine of its own
		if attempts++; attempts < 3 {
			return "", errors.New("busy")
		}
		return "page", nil
	}
	main := tinyio.New(func(co *tinyio.Co) (page string, err error) {
		for range 5 {
			if page, err = tinyio.Call(co, fetch); err == nil {
				break
			}
			fmt.Println("again, because of:", err)
			if err := co.Sleep(time.Second); err != nil {
				return "", err // of a wait: the coroutine itself is being stopped
			}
		}
		return page, err
	})
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// again, because of: busy
	// again, because of: busy
	// page <nil>
}

// What takes no context is interrupted another way, here by closing the connection.
func ExampleCallInterruptible() {
	near, far := net.Pipe()
	defer far.Close()
	main := tinyio.Do(func(co *tinyio.Co) error {
		read := tinyio.New(func(co *tinyio.Co) (int, error) {
			return tinyio.CallInterruptible(co, func() { near.Close() }, func() (int, error) { return near.Read(make([]byte, 1)) })
		})
		_, err := tinyio.Timeout(co, read, 10*time.Millisecond)
		fmt.Println("timed out:", errors.Is(err, tinyio.ErrTimeout), "- closed:", errors.Is(err, io.ErrClosedPipe))
		return nil
	})
	tinyio.Run(context.Background(), main)
	// Output:
	// timed out: true - closed: true
}

// A coroutine that was started outside can be awaited inside, and belongs outside.
func ExampleIsolate_outside() {
	config := tinyio.New(func(co *tinyio.Co) (string, error) { return "debug", co.Sleep(time.Second) })
	plugin := tinyio.New(func(co *tinyio.Co) (string, error) {
		mode, err := config.Await(co)
		if err != nil {
			return "", err
		}
		return "", fmt.Errorf("unknown mode %q", mode)
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(config); err != nil { // now it belongs to main's loop, not to the plugin
			return err
		}
		_, err := tinyio.Isolate(co, plugin)
		fmt.Println(err, "/", config.Value())
		return co.Err()
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// unknown mode "debug" / debug
}

// Blocking functions run in goroutines of their own. Results and errors come back where they are awaited.
func ExampleRunInThread() {
	size := func(name string) *tinyio.Coro[int64] {
		return tinyio.RunInThread(func(ctx context.Context) (int64, error) {
			info, err := os.Stat(name)
			if err != nil {
				return 0, err
			}
			return info.Size(), nil
		})
	}
	main := tinyio.New(func(co *tinyio.Co) ([]int64, error) {
		return tinyio.Gather(co, size("go.mod"), size("no such file"))
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output:
	// true
}

// A thread is stopped through its context, and Run waits until it has returned.
func ExampleRunInThread_cancel() {
	watch := tinyio.RunInThread(func(ctx context.Context) (tinyio.Void, error) {
		<-ctx.Done() // stands for a call that takes a context
		fmt.Println("watch:", context.Cause(ctx))
		return tinyio.Void{}, ctx.Err()
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(watch); err != nil {
			return err
		}
		return errors.New("the disk is full")
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println("Run:", err)
	// Output:
	// watch: the disk is full
	// Run: the disk is full
}

// A pool bounds how many functions run at the same time.
func ExampleMapInPool() {
	pool := tinyio.NewThreadPool(4)
	squares := tinyio.MapInPool(pool, []int{1, 2, 3, 4, 5}, func(ctx context.Context, x int) (int, error) {
		return x * x, nil
	})
	fmt.Println(tinyio.Run(context.Background(), squares))
	// Output:
	// [1 4 9 16 25] <nil>
}

// RunInPool is RunInThread within the bounds of a pool.
func ExampleRunInPool() {
	pool := tinyio.NewThreadPool(1)
	save := func(name string) *tinyio.Coro[string] {
		return tinyio.RunInPool(pool, func(ctx context.Context) (string, error) {
			return "saved " + name, nil
		})
	}
	main := tinyio.New(func(co *tinyio.Co) ([]string, error) {
		return tinyio.Gather(co, save("a"), save("b"))
	})
	fmt.Println(tinyio.Run(context.Background(), main))
	// Output:
	// [saved a saved b] <nil>
}

// FromCallback makes a coroutine of anything that calls back.
func ExampleFromCallback() {
	after := func(d time.Duration, text string) *tinyio.Coro[string] {
		return tinyio.FromCallback(func(done func(string, error)) func(cause error) {
			timer := time.AfterFunc(d, func() { done(text, nil) })
			return func(cause error) {
				if timer.Stop() {
					done("", cause)
				}
			}
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		text, err := after(time.Millisecond, "called back").Await(co)
		if err != nil {
			return err
		}
		fmt.Println(text)
		_, err = tinyio.Timeout(co, after(time.Hour, "too late"), time.Millisecond)
		fmt.Println("timed out:", errors.Is(err, tinyio.ErrTimeout))
		return nil
	})
	tinyio.Run(context.Background(), main)
	// Output:
	// called back
	// timed out: true
}

// An Event is a flag to wait for.
func ExampleEvent() {
	var ready tinyio.Event
	client := tinyio.Do(func(co *tinyio.Co) error {
		if err := ready.Wait(co); err != nil {
			return err
		}
		fmt.Println("client: connected")
		return nil
	})
	server := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Second); err != nil {
			return err
		}
		fmt.Println("server: ready")
		ready.Set()
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(client, server) })
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// server: ready
	// client: connected
}

// Set may be called from any goroutine.
func ExampleEvent_Set() {
	var ready tinyio.Event
	go ready.Set()
	main := tinyio.Do(func(co *tinyio.Co) error { return ready.Wait(co) })
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(ready.IsSet(), err)
	// Output:
	// true <nil>
}

// WaitFor gives up after a while. That is an answer, not an error.
func ExampleEvent_WaitFor() {
	var ready tinyio.Event
	main := tinyio.New(func(co *tinyio.Co) (bool, error) { return ready.WaitFor(co, time.Minute) })
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// false <nil>
}

// Work of different weights shares what there is: here 4 GB of memory.
func ExampleSemaphore_AcquireN() {
	memory := tinyio.NewSemaphore(4)
	job := func(name string, weight int) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			if err := memory.AcquireN(co, weight); err != nil {
				return err
			}
			defer memory.ReleaseN(weight)
			fmt.Println(name, "begins")
			err := co.Sleep(time.Duration(weight) * time.Second)
			fmt.Println(name, "ends")
			return err
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(job("small", 1), job("large", 4), job("medium", 2))
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// small begins
	// small ends
	// large begins
	// large ends
	// medium begins
	// medium ends
}

// A semaphore lets in so many at a time, in the order in which they came.
func ExampleSemaphore() {
	seats := tinyio.NewSemaphore(2)
	guest := func(name string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			if err := seats.Acquire(co); err != nil {
				return err
			}
			defer seats.Release()
			fmt.Println(name, "sits down at", co.Now().Format("15:04"))
			return co.Sleep(time.Hour)
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(guest("a"), guest("b"), guest("c")) })
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// a sits down at 00:00
	// b sits down at 00:00
	// c sits down at 01:00
}

// A lock keeps others out while its holder waits.
func ExampleLock() {
	var lock tinyio.Lock
	balance := 100
	withdraw := func(n int) *tinyio.Coro[bool] {
		return tinyio.New(func(co *tinyio.Co) (bool, error) {
			if err := lock.Acquire(co); err != nil {
				return false, err
			}
			defer lock.Release()
			if balance < n {
				return false, nil
			}
			if err := co.Sleep(time.Second); err != nil { // without the lock others would come in here
				return false, err
			}
			balance -= n
			return true, nil
		})
	}
	main := tinyio.New(func(co *tinyio.Co) ([]bool, error) {
		return tinyio.Gather(co, withdraw(80), withdraw(80))
	})
	done, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(done, balance, err)
	// Output:
	// [true false] 20 <nil>
}

// A barrier opens for every n coroutines that have come, again and again.
func ExampleBarrier() {
	pair := tinyio.NewBarrier(2)
	dancer := func(name string) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			index, err := pair.Wait(co)
			if err != nil {
				return err
			}
			fmt.Println(name, index)
			return nil
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(dancer("a"), dancer("b"), dancer("c"), dancer("d"))
	})
	tinyio.Run(context.Background(), main)
	// Output:
	// a 0
	// b 1
	// c 0
	// d 1
}

// A context manager is a function that acquires, and returns what releases.
func Example_contextManager() {
	connect := func(co *tinyio.Co, host string) (conn string, release func(), err error) {
		fmt.Println("connecting")
		if err := co.Sleep(time.Second); err != nil {
			return "", nil, err
		}
		return "connection to " + host, func() { fmt.Println("closing") }, nil
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		conn, release, err := connect(co, "db.example")
		if err != nil {
			return err
		}
		defer release()
		fmt.Println("using the", conn)
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// connecting
	// using the connection to db.example
	// closing
}

// An asynchronous iterator is an iterator that suspends: it takes the Co and passes errors on beside the values.
func Example_iterator() {
	slowRange := func(co *tinyio.Co, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if err := co.Sleep(time.Second); err != nil {
					yield(0, err)
					return
				}
				if !yield(i, nil) {
					return
				}
			}
		}
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		for i, err := range slowRange(co, 3) {
			if err != nil {
				return err
			}
			fmt.Println("got", i)
		}
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// got 0
	// got 1
	// got 2
}

// An iterator of coroutines leaves it to its user when to wait.
func Example_iteratorOfCoroutines() {
	slowRange := func(n int) iter.Seq[*tinyio.Coro[int]] {
		return func(yield func(*tinyio.Coro[int]) bool) {
			for i := range n {
				if !yield(slowAddOne(i)) {
					return
				}
			}
		}
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		for c := range slowRange(2) {
			i, err := c.Await(co)
			if err != nil {
				return err
			}
			fmt.Println("one by one:", i)
		}
		all, err := tinyio.Gather(co, slices.Collect(slowRange(2))...)
		fmt.Println("together:", all)
		return err
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// one by one: 1
	// one by one: 2
	// together: [1 2]
}

// A coroutine receives from a channel of other goroutines, while the rest of the loop goes on.
func ExampleRecv() {
	lines := make(chan string)
	go func() { // stands for any goroutine of the rest of the program
		defer close(lines)
		lines <- "first line"
		lines <- "second line"
	}()
	main := tinyio.Do(func(co *tinyio.Co) error {
		for {
			line, ok, err := tinyio.Recv(co, lines)
			if err != nil || !ok {
				return err
			}
			fmt.Println(line)
		}
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(err)
	// Output:
	// first line
	// second line
	// <nil>
}

// A coroutine sends to a goroutine, and gives up when that takes too long.
func ExampleSend() {
	orders, printed := make(chan string), make(chan bool)
	go func() {
		fmt.Println("printing", <-orders) // and no more
		printed <- true
	}()
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := tinyio.Send(co, orders, "the first order"); err != nil {
			return err
		}
		if _, _, err := tinyio.Recv(co, printed); err != nil {
			return err
		}
		second := tinyio.Do(func(co *tinyio.Co) error { return tinyio.Send(co, orders, "the second order") })
		_, err := tinyio.Timeout(co, second, time.Second)
		return err
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println("timed out:", errors.Is(err, tinyio.ErrTimeout))
	// Output:
	// printing the first order
	// timed out: true
}

// Two coroutines produce, and one consumes until the queue is closed. It holds up to two values, so the producers wait for the
// consumer.
func ExampleQueue() {
	parts := tinyio.NewQueue[string](2)
	producer := func(name string) tinyio.Awaitable {
		return tinyio.Do(func(co *tinyio.Co) error {
			for i := range 2 {
				if err := parts.Put(co, fmt.Sprint(name, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	consumer := tinyio.Do(func(co *tinyio.Co) error {
		for part, err := range parts.All(co) {
			if err != nil {
				return err // the consumer itself is being stopped
			}
			fmt.Println(part)
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
		}
		fmt.Println("that was all")
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(consumer); err != nil {
			return err
		}
		err := co.Wait(producer("bolt "), producer("nut "))
		parts.Close()
		return err
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(err)
	// Output:
	// bolt 0
	// bolt 1
	// nut 0
	// nut 1
	// that was all
	// <nil>
}

// A value for which there is no room is dropped, so that the producer never waits.
func ExampleQueue_TryPut() {
	latest := tinyio.NewQueue[int](2)
	for reading := range 4 {
		if !latest.TryPut(reading) {
			fmt.Println("dropped", reading)
		}
	}
	latest.Close()
	main := tinyio.Do(func(co *tinyio.Co) error {
		for {
			reading, err := latest.Get(co)
			if err != nil {
				return err
			}
			fmt.Println("got", reading)
		}
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(errors.Is(err, tinyio.ErrClosed))
	// Output:
	// dropped 2
	// dropped 3
	// got 0
	// got 1
	// true
}

// Two servers are asked, and the first answer is used. The other coroutine carries on.
func ExampleWaitAny() {
	ask := func(server string, d time.Duration) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			defer fmt.Println(server, "has answered")
			return "answer from " + server, co.Sleep(d)
		})
	}
	main := tinyio.New(func(co *tinyio.Co) (string, error) {
		servers := []*tinyio.Coro[string]{ask("far", time.Second), ask("near", 20*time.Millisecond)}
		i, err := tinyio.WaitAny(co, servers[0], servers[1])
		if err != nil {
			return "", err
		}
		fmt.Println("number", i, "is first")
		return servers[i].Value(), nil
	})
	fmt.Println(tinyio.Run(context.Background(), main, tinyio.WithVirtualTime()))
	// Output:
	// near has answered
	// number 1 is first
	// far has answered
	// answer from near <nil>
}

// A server, of which each request has a goroutine, keeps its state in a plain map that only coroutines of one loop touch. The
// server is started from the loop, so the loop is running when a request comes.
func ExampleSubmit() {
	loop := tinyio.NewLoop()
	visits := map[string]int{}
	visit := func(page string) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			visits[page]++
			return visits[page], nil
		})
	}
	server := tinyio.RunInThread(func(ctx context.Context) (tinyio.Void, error) {
		var requests sync.WaitGroup // stands for an http.Server
		for range 100 {
			requests.Go(func() {
				if _, err := tinyio.Submit(ctx, loop, visit("/")); err != nil {
					fmt.Println(err)
				}
			})
		}
		requests.Wait()
		return tinyio.Void{}, nil
	})
	_, err := tinyio.RunOn(context.Background(), loop, server)
	fmt.Println(visits["/"], err)
	// Output:
	// 100 <nil>
}

// A loop stays up until its context is done. What is submitted before Serve has begun waits for that.
func ExampleLoop_Serve() {
	ctx, stop := context.WithCancelCause(context.Background())
	loop, served := tinyio.NewLoop(), make(chan error)
	go func() { served <- loop.Serve(ctx) }()

	sum, err := tinyio.Submit(ctx, loop, slowAddOne(2)) // waits until Serve has begun
	fmt.Println(sum, err)
	stop(errors.New("closing time"))
	fmt.Println("Serve:", <-served)
	// Output:
	// 3 <nil>
	// Serve: closing time
}

// A server isolates each request: one that fails is stopped, with all that it has started, and the loop goes on.
func ExampleSubmit_isolate() {
	loop := tinyio.NewLoop()
	type response struct {
		page string
		err  error
	}
	handle := func(request *tinyio.Coro[string]) *tinyio.Coro[response] {
		return tinyio.New(func(co *tinyio.Co) (response, error) {
			page, err := tinyio.Isolate(co, request)
			return response{page, err}, co.Err() // a failure of the request is a value here
		})
	}
	good := tinyio.New(func(co *tinyio.Co) (string, error) { return "page", co.Sleep(time.Millisecond) })
	bad := tinyio.New(func(co *tinyio.Co) (string, error) { return "", errors.New("no such page") })
	server := tinyio.RunInThread(func(ctx context.Context) (tinyio.Void, error) {
		for _, request := range []*tinyio.Coro[string]{bad, good} {
			r, err := tinyio.Submit(ctx, loop, handle(request))
			if err != nil {
				return tinyio.Void{}, err // the loop is stopping, or the request was withdrawn
			}
			fmt.Printf("%q, %v\n", r.page, r.err)
		}
		return tinyio.Void{}, nil
	})
	_, err := tinyio.RunOn(context.Background(), loop, server)
	fmt.Println(err)
	// Output:
	// "", no such page
	// "page", <nil>
	// <nil>
}

// A process is asked to stop when its coroutine is stopped, and killed if it takes too long.
func Example_subprocess() {
	command := func(name string, args ...string) *tinyio.Coro[string] {
		return tinyio.RunInThread(func(ctx context.Context) (string, error) {
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.WaitDelay = 5 * time.Second
			out, err := cmd.CombinedOutput()
			return strings.TrimSpace(string(out)), err
		})
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		out, err := command("echo", "hello").Await(co)
		if err != nil {
			return err
		}
		fmt.Println(out)
		_, err = tinyio.Timeout(co, command("sleep", "3600"), 100*time.Millisecond)
		var late *tinyio.TimeoutError
		if errors.As(err, &late) {
			fmt.Println("too late:", late.Cleanup)
		}
		return nil
	})
	_, err := tinyio.Run(context.Background(), main)
	fmt.Println(err)
	// Output:
	// hello
	// too late: [signal: terminated]
	// <nil>
}

// Loops know nothing of each other. Any number of goroutines may run one each.
func Example_goroutines() {
	results := make([]int, 3)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			n, err := tinyio.Run(context.Background(), slowAddOne(i), tinyio.WithVirtualTime())
			if err == nil {
				results[i] = n
			}
		})
	}
	group.Wait()
	fmt.Println(results)
	// Output:
	// [1 2 3]
}

// The first Ctrl-C stops the program in good order. The second one kills it, should that take too long.
func Example_signals() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // from the first signal on, the next one does what it does by default

	server := tinyio.Do(func(co *tinyio.Co) error {
		defer fmt.Println("server: stopped")
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Signal(os.Interrupt); err != nil { // stands for the user who presses Ctrl-C
			return err
		}
		return co.Sleep(time.Hour)
	})
	_, err := tinyio.Run(ctx, server)
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) { // and nothing had failed before
		fmt.Println("interrupted")
	} else if err != nil {
		fmt.Println("failed:", err)
	}
	// Output:
	// server: stopped
	// interrupted
}

// In virtual time a day passes at once.
func ExampleWithVirtualTime() {
	backup := tinyio.New(func(co *tinyio.Co) (string, error) {
		err := co.Sleep(24 * time.Hour)
		return co.Now().Format(time.DateTime), err
	})
	fmt.Println(tinyio.Run(context.Background(), backup, tinyio.WithVirtualTime()))
	// Output:
	// 2000-01-02 00:00:00 <nil>
}

// In virtual time a program that can never go on fails, and says who waits for what.
func ExampleDeadlockError() {
	var never tinyio.Event
	main := tinyio.Do(func(co *tinyio.Co) error { return never.Wait(co) }).Named("main")
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	var deadlock *tinyio.DeadlockError
	if errors.As(err, &deadlock) {
		what, _, _ := strings.Cut(deadlock.Waits[0], " at ") // a file and a line
		fmt.Println(what)
	}
	// Output:
	// main: waiting for an event
}

// A loop can say what each of its coroutines is doing.
func ExampleLoop_Status() {
	loop := tinyio.NewLoop(tinyio.WithVirtualTime())
	lunch := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("lunch")
	work := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(lunch) }).Named("work")
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Spawn(work); err != nil {
			return err
		}
		if err := co.Sleep(time.Minute); err != nil {
			return err
		}
		for _, s := range loop.Status() {
			what, _, _ := strings.Cut(s.String(), " at ") // a file and a line
			fmt.Println(what)
		}
		return nil
	}).Named("main")
	tinyio.RunOn(context.Background(), loop, main)
	// Output:
	// main: running
	// work: waiting for a coroutine (lunch)
	// lunch: waiting for a timer
}

// An observer is called for everything that happens on a loop.
func ExampleWithObserver() {
	nap := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Minute) }).Named("nap")
	main := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(nap) }).Named("main")
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime(), tinyio.WithObserver(printer{}))
	// Output:
	// main started
	// main resumed
	// main suspended on a coroutine
	// nap started
	// nap resumed
	// nap suspended on a timer
	// nap woken
	// nap resumed
	// nap finished
	// main woken
	// main resumed
	// main finished
}

// A printer prints what it observes.
type printer struct{}

func (printer) Observe(n hook.Note) {
	if n.What == hook.Suspended {
		fmt.Println(n.Name(), n.What, "on", n.Wait)
	} else {
		fmt.Println(n.Name(), n.What)
	}
}

// A host with a loop of its own takes the steps, and waits in whichever way it likes.
func ExampleStart() {
	answer := tinyio.New(func(co *tinyio.Co) (int, error) { return 42, co.Sleep(time.Millisecond) })
	run := tinyio.Start(context.Background(), tinyio.NewLoop(), answer)
	for pause := range run.Steps() {
		if !pause.Blocked {
			continue // a turn has been taken, and others are ready to take theirs
		}
		var due <-chan time.Time
		if !pause.Deadline.IsZero() {
			due = time.After(time.Until(pause.Deadline))
		}
		select {
		case <-due:
		case <-pause.Wake:
			// further cases: the host's own events
		}
	}
	fmt.Println(run.Result())
	// Output:
	// 42 <nil>
}

// A host that has had enough of a run, which goes on elsewhere, lets go of it without letting it act.
func ExampleRuntime_Discard() {
	order := tinyio.Do(func(co *tinyio.Co) error {
		defer fmt.Println("the deferred function runs")
		if err := co.Sleep(24 * time.Hour); err != nil {
			fmt.Println("nobody hears of it")
			return err
		}
		return nil
	})
	run := tinyio.Start(context.Background(), tinyio.NewLoop(tinyio.WithVirtualTime()), order)
	for pause := range run.Steps() {
		if pause.Blocked {
			run.Discard()
		}
	}
	_, err := run.Result()
	fmt.Println(err)
	// Output:
	// the deferred function runs
	// tinyio: the host left the run before it had ended
}

// A gameClock stands still between two frames.
type gameClock struct{ now time.Time }

func (c *gameClock) Now() time.Time { return c.now }

// A game has its own time and draws frames. Between two of them every coroutine whose time has come has its turn.
func ExampleWithClock() {
	clock := &gameClock{now: time.Unix(0, 0)}
	frame := 0
	door := tinyio.Do(func(co *tinyio.Co) error {
		for range 2 {
			if err := co.Sleep(50 * time.Millisecond); err != nil {
				return err
			}
			fmt.Println("the door moves in frame", frame)
		}
		return nil
	})
	run := tinyio.Start(context.Background(), tinyio.NewLoop(tinyio.WithClock(clock)), door)
	for pause := range run.Steps() {
		if pause.Blocked {
			frame++ // draw it
			clock.now = clock.now.Add(20 * time.Millisecond)
		}
	}
	// Output:
	// the door moves in frame 3
	// the door moves in frame 6
}

// What takes hours takes no time in a bubble of testing/synctest, threads included.
func TestRetryTakesThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		fetch := tinyio.RunInThread(func(ctx context.Context) (string, error) {
			for attempts < 3 {
				attempts++
				time.Sleep(time.Second) // stands for a call that fails
			}
			return "page", nil
		})
		start := time.Now()
		page, err := tinyio.Run(t.Context(), fetch)
		if page != "page" || err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("Run = %q, %v after %v, want a page after 3s", page, err, time.Since(start))
		}
	})
}

// A ticker. What it does takes part of each interval.
func ExampleEvery() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		start := co.Now()
		for now, err := range tinyio.Every(co, time.Minute) {
			if err != nil {
				return err
			}
			fmt.Println("tick after", now.Sub(start))
			if err := co.Sleep(20 * time.Second); err != nil {
				return err
			}
			if now.Sub(start) >= 3*time.Minute {
				break
			}
		}
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// tick after 1m0s
	// tick after 2m0s
	// tick after 3m0s
}

// Trace ids, spans and loggers follow who starts whom.
func ExampleCo_WithValues() {
	type requestID struct{}
	query := tinyio.Do(func(co *tinyio.Co) error {
		fmt.Println("query for request", co.Value(requestID{}))
		return nil
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		request := co.WithValues(context.WithValue(co, requestID{}, 7))
		_, err := query.Await(request)
		return err
	})
	tinyio.Run(context.Background(), main)
	// Output:
	// query for request 7
}

// Another goroutine can see what a loop does, also when a coroutine blocks it.
func ExampleLoop_Stats() {
	loop, asked := tinyio.NewLoop(), make(chan tinyio.Void)
	blocking := tinyio.Do(func(*tinyio.Co) error { <-asked; return nil }).Named("blocking")
	blocks := make(chan tinyio.Void)
	main := tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(tinyio.Do(func(*tinyio.Co) error { close(blocks); return nil }), blocking)
	})
	go func() {
		<-blocks
		for name := ""; name != "blocking"; name, _, _ = loop.Running() {
			runtime.Gosched()
		}
		fmt.Println("live:", loop.Stats().Live)
		close(asked)
	}()
	tinyio.RunOn(context.Background(), loop, main)
	fmt.Printf("%+v\n", loop.Stats())
	// Output:
	// live: 2
	// {Started:3 Finished:3 Failed:0 Turns:4 Live:0 Ready:0 Threads:0 Timers:0}
}

// A watchdog sees which coroutine blocks a loop.
func ExampleLoop_Running() {
	loop, done := tinyio.NewLoop(), make(chan tinyio.Void)
	go func() {
		defer close(done)
		for {
			name, since, ok := loop.Running()
			if ok && time.Since(since) > 10*time.Millisecond {
				fmt.Println(name, "blocks the loop")
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	busy := tinyio.Do(func(*tinyio.Co) error { <-done; return nil }).Named("busy")
	tinyio.RunOn(context.Background(), loop, busy)
	// Output: busy blocks the loop
}

// A page of a server can show what its loop does.
func ExampleLoop_Snapshot() {
	loop := tinyio.NewLoop()
	nap := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("nap")
	main := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.SpawnDaemon(nap); err != nil {
			return err
		}
		// Any goroutine may ask; here it is that of a call.
		all, err := tinyio.Call(co, loop.Snapshot)
		for _, s := range all {
			fmt.Println(s.Coro, "waits for", s.On)
		}
		return err
	}).Named("main")
	_, err := tinyio.RunOn(context.Background(), loop, main)
	fmt.Println(err)
	// Output:
	// main waits for a call
	// nap waits for a timer
	// <nil>
}

// A handler posts what is to go on after it: a failure of the handler does not stop it.
func ExampleLoop_Post() {
	loop := tinyio.NewLoop(tinyio.WithVirtualTime())
	audit := tinyio.Do(func(co *tinyio.Co) error {
		if err := co.Sleep(time.Minute); err != nil {
			return err
		}
		fmt.Println("audited")
		return nil
	})
	handler := tinyio.Do(func(*tinyio.Co) error {
		if err := loop.Post(audit); err != nil {
			return err
		}
		return errors.New("bad request")
	})
	main := tinyio.Do(func(co *tinyio.Co) error {
		_, err := tinyio.Isolate(co, handler)
		fmt.Println("handler:", err)
		return co.Err()
	})
	_, err := tinyio.RunOn(context.Background(), loop, main)
	fmt.Println(err)
	// Output:
	// handler: bad request
	// audited
	// <nil>
}

func ExampleWithWatchdog() {
	reply := make(chan string)
	loop := tinyio.NewLoop(tinyio.WithWatchdog(20*time.Millisecond, func(s hook.Stuck) {
		fmt.Println("it is stuck in", s.Coro) // s has the stack too
		reply <- "at last"
	}))
	report := tinyio.Do(func(co *tinyio.Co) error {
		fmt.Println(<-reply) // instead of tinyio.Recv
		return nil
	}).Named("report")
	tinyio.RunOn(context.Background(), loop, report)
	// Output:
	// it is stuck in report
	// at last
}

// A call whose failure is tried again: it is a value, as of any function.
func ExampleCo_Call() {
	attempts := 0
	connect := func(ctx context.Context) error { // may block, and runs in a goroutine
		if attempts++; attempts < 3 {
			return errors.New("connection refused")
		}
		return nil
	}
	main := tinyio.Do(func(co *tinyio.Co) error {
		for {
			err := co.Call(connect)
			if err == nil || co.Err() != nil { // connected, or being stopped
				return err
			}
			fmt.Println(err)
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
		}
	})
	_, err := tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	fmt.Println(attempts, err)
	// Output:
	// connection refused
	// connection refused
	// 3 <nil>
}

// Go starts a coroutine and does not suspend.
func ExampleCo_Go() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		c := co.Go(func(co *tinyio.Co) error {
			fmt.Println(co.Name(), "runs")
			return nil
		}).Named("helper")
		fmt.Println("main goes on")
		return co.Wait(c)
	})
	tinyio.Run(context.Background(), main)
	// Output:
	// main goes on
	// helper runs
}

// Awaitables passes a slice to what takes coroutines of any type.
func ExampleAwaitables() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		var workers []*tinyio.Coro[int]
		for i := range 3 {
			workers = append(workers, tinyio.New(func(co *tinyio.Co) (int, error) {
				return i * i, co.Sleep(time.Duration(3-i) * time.Second)
			}))
		}
		first, err := tinyio.WaitAny(co, tinyio.Awaitables(workers)...)
		if err != nil {
			return err
		}
		fmt.Println("the first is worker", first, "with", workers[first].Value())
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// the first is worker 2 with 4
}

// GetFor collects what comes within some time.
func ExampleQueue_GetFor() {
	q := tinyio.NewQueue[int](10)
	main := tinyio.Do(func(co *tinyio.Co) error {
		producer := co.Go(func(co *tinyio.Co) error {
			for i := range 5 {
				if err := q.Put(co, i); err != nil {
					return err
				}
				if err := co.Sleep(40 * time.Millisecond); err != nil {
					return err
				}
			}
			return nil
		})
		var batch []int
		for deadline := co.Now().Add(100 * time.Millisecond); ; {
			v, ok, err := q.GetFor(co, deadline.Sub(co.Now()))
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			batch = append(batch, v)
		}
		fmt.Println(batch)
		return co.Wait(producer)
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// [0 1 2]
}

// Finished reports whether a coroutine has a result, from any goroutine.
func ExampleCoro_Finished() {
	main := tinyio.Do(func(co *tinyio.Co) error {
		nap := co.Go(func(co *tinyio.Co) error { return co.Sleep(time.Second) })
		for !nap.Finished() {
			fmt.Println("still napping")
			if err := co.Sleep(600 * time.Millisecond); err != nil {
				return err
			}
		}
		fmt.Println("awake")
		return nil
	})
	tinyio.Run(context.Background(), main, tinyio.WithVirtualTime())
	// Output:
	// still napping
	// still napping
	// awake
}
