package durable_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// An Order is what a customer has ordered.
type Order struct {
	Item   string
	Amount int
}

// order is a program: it reserves the item, waits for the payment, and sends the item. What it has done is undone if it fails.
func order(in Order) *tinyio.Coro[string] {
	return tinyio.New(func(co *tinyio.Co) (receipt string, err error) {
		if _, err := durable.Step(co, "reserve", func(context.Context) (int, error) {
			fmt.Println("reserve", in.Item)
			return 1, nil
		}); err != nil {
			return "", err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, release(co, in))
			}
		}()
		payment, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (string, error) {
			return durable.Receive[string](co, "payment")
		}), time.Second) // a day, in a shop
		if err != nil {
			return "", err
		}
		return durable.Step(co, "send", func(context.Context) (string, error) {
			fmt.Println("send", in.Item)
			return in.Item + " for " + payment, nil
		}, durable.Retry{Attempts: 5, Wait: time.Second})
	}).Named("order")
}

// release undoes what order has done, also when that is being stopped.
func release(co *tinyio.Co, in Order) error {
	return co.Shield(time.Minute, func(co *tinyio.Co) error {
		_, err := durable.Step(co, "release", func(context.Context) (int, error) {
			fmt.Println("release", in.Item)
			return 0, nil
		})
		return err
	})
}

func init() {
	durable.Register("order", order)
}

// openExample opens a journal for an example.
func openExample() (j *durable.Journal, remove func()) {
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		log.Fatal(err)
	}
	j, err = durable.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	return j, func() {
		j.Close()
		os.RemoveAll(dir)
	}
}

// A run waits for a signal. Meanwhile the process may end: the journal is closed here, and opened again.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	j, err := durable.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := durable.Start[Order, string](ctx, j, "order", "order 1", Order{"shoes", 80}); err != nil {
		log.Fatal(err)
	}
	j.Close() // or the machine loses power

	j, err = durable.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer j.Close()
	if err := j.Recover(ctx); err != nil {
		log.Fatal(err)
	}
	if err := durable.Signal(ctx, j, "order 1", "payment", "80 euros"); err != nil {
		log.Fatal(err)
	}
	receipt, err := durable.Find[string](j, "order 1").Result(ctx)
	fmt.Println(receipt, err)
	// Output:
	// reserve shoes
	// send shoes
	// shoes for 80 euros <nil>
}

// Nobody pays. The timeout is an error like any other, and what has been done is undone.
func Example_compensation() {
	ctx := context.Background()
	j, remove := openExample()
	defer remove()
	r, err := durable.Start[Order, string](ctx, j, "order", "order 2", Order{"hat", 20})
	if err != nil {
		log.Fatal(err)
	}
	_, err = r.Result(ctx)
	fmt.Println(errors.Is(err, tinyio.ErrTimeout))
	// Output:
	// reserve hat
	// release hat
	// true
}

// trip books one thing after the other. If one cannot be booked, those before are cancelled, the last one first.
func trip(things []string) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (booked int, err error) {
		for _, thing := range things {
			if _, err := durable.Step(co, "book "+thing, func(context.Context) (int, error) {
				if thing == "car" {
					return 0, errors.New("no car is left")
				}
				fmt.Println("book", thing)
				return 0, nil
			}); err != nil {
				return 0, err
			}
			defer func() {
				if err == nil {
					return
				}
				err = errors.Join(err, co.Shield(time.Minute, func(co *tinyio.Co) error {
					_, err := durable.Step(co, "cancel "+thing, func(context.Context) (int, error) {
						fmt.Println("cancel", thing)
						return 0, nil
					}, durable.Retry{Wait: time.Second, MaxWait: time.Hour}) // as often as it takes
					return err
				}))
			}()
		}
		return len(things), nil
	})
}

func init() {
	durable.Register("trip", trip)
}

// The saga pattern is a defer for each step.
func Example_saga() {
	ctx := context.Background()
	j, remove := openExample()
	defer remove()
	r, err := durable.Start[[]string, int](ctx, j, "trip", "trip 1", []string{"flight", "hotel", "car"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = r.Result(ctx)
	fmt.Println(err)
	// Output:
	// book flight
	// book hotel
	// cancel hotel
	// cancel flight
	// no car is left
}

func init() {
	durable.Register("total", func(orders []Order) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			var prices []*tinyio.Coro[int]
			for _, o := range orders {
				prices = append(prices, durable.Child[Order, int](co, "price", "", o))
			}
			all, err := tinyio.Gather(co, prices...)
			sum := 0
			for _, p := range all {
				sum += p
			}
			return sum, err
		})
	})
	durable.Register("price", func(o Order) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			return durable.Step(co, "look up", func(context.Context) (int, error) { return len(o.Item) * o.Amount, nil })
		})
	})
}

// Each child is a run of its own, with a history of its own.
func ExampleChild() {
	ctx := context.Background()
	j, remove := openExample()
	defer remove()
	r, err := durable.Start[[]Order, int](ctx, j, "total", "invoice 1", []Order{{"hat", 2}, {"shoes", 1}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Result(ctx))
	for info, err := range j.Runs(ctx) {
		fmt.Println(info.ID, info.Program, info.State, err)
	}
	// Unordered output:
	// 11 <nil>
	// invoice 1 total succeeded <nil>
	// invoice 1/1 price succeeded <nil>
	// invoice 1/2 price succeeded <nil>
}

// pay charges a card. The bank does not always answer.
func pay(amount int) *tinyio.Coro[string] {
	return tinyio.New(func(co *tinyio.Co) (string, error) {
		return durable.Step(co, "charge", func(ctx context.Context) (string, error) {
			return bank(durable.Key(ctx), amount)
		}, durable.Retry{Attempts: 5, Wait: time.Millisecond, MaxWait: time.Second})
	})
}

var calls atomic.Int64

// bank answers every third call.
func bank(key string, amount int) (string, error) {
	if calls.Add(1)%3 != 0 {
		return "", errors.New("the bank does not answer")
	}
	return fmt.Sprint(amount, " charged with the key ", key), nil
}

func init() {
	durable.Register("pay", pay)
}

// A step that fails is tried again. All attempts have the same key, by which the bank knows that they are one.
func ExampleStep() {
	ctx := context.Background()
	j, remove := openExample()
	defer remove()
	r, err := durable.Start[int, string](ctx, j, "pay", "payment 7", 80)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Result(ctx))
	// Output:
	// 80 charged with the key payment 7/1 <nil>
}

// parcel asks three services at once, none of which is reliable.
func parcel(address string) *tinyio.Coro[string] {
	return tinyio.New(func(co *tinyio.Co) (string, error) {
		co = co.WithValues(durable.WithRetry(co, durable.Retry{Attempts: 5, Wait: time.Millisecond}))
		ask := func(question string) *tinyio.Coro[string] {
			return tinyio.RunInThread(func(context.Context) (string, error) { return service(question, address) }).Named(question)
		}
		answers, err := tinyio.Gather(co, ask("postage"), ask("route"), ask("insurance"))
		return strings.Join(answers, ", "), err
	})
}

var asked sync.Map

// service answers when it is asked a second time.
func service(question, address string) (string, error) {
	if _, again := asked.Swap(question, true); !again {
		return "", errors.New("the service is down")
	}
	return question + " to " + address, nil
}

func init() {
	durable.Register("parcel", parcel)
}

// Everything that a coroutine starts is tried again if it fails.
func ExampleWithRetry() {
	ctx := context.Background()
	j, remove := openExample()
	defer remove()
	r, err := durable.Start[string, string](ctx, j, "parcel", "parcel 3", "Rome")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Result(ctx))
	// Output:
	// postage to Rome, route to Rome, insurance to Rome <nil>
}

// deliver checks the address since its last change.
func deliver(address string) *tinyio.Coro[string] {
	return tinyio.New(func(co *tinyio.Co) (string, error) {
		v, err := durable.Version(co, "check the address", 0, 1)
		if err != nil {
			return "", err
		}
		if v >= 1 { // runs that were beyond this place before the change do not check
			if _, err := durable.Step(co, "check", func(context.Context) (bool, error) { return true, nil }); err != nil {
				return "", err
			}
		}
		return "delivered to " + address, nil
	})
}

func init() {
	durable.Register("deliver", deliver)
}

// The program has been changed while runs were under way. Those that began before are not disturbed.
func ExampleVersion() {
	ctx := context.Background()
	j, remove := openExample()
	defer remove()
	r, err := durable.Start[string, string](ctx, j, "deliver", "delivery 1", "1 Main Street")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Result(ctx))
	// Output:
	// delivered to 1 Main Street <nil>
}

// A test keeps the histories of real runs, and checks that the program still does what it did.
func ExampleVerify() {
	ctx := context.Background()
	j, remove := openExample()
	defer remove()
	r, err := durable.Start[string, string](ctx, j, "deliver", "delivery 2", "2 Main Street")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := r.Result(ctx); err != nil {
		log.Fatal(err)
	}
	var history bytes.Buffer
	if err := j.Export(ctx, "delivery 2", &history); err != nil {
		log.Fatal(err)
	}
	fmt.Println(durable.Verify(&history))
	// Output: <nil>
}

// A run that fails now and then is recorded, and run again for as long as it takes to find out why.
func ExampleRecord() {
	dir, err := os.MkdirTemp("", "record")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "tape")

	asked := 0
	program := func() *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) {
			answer, err := tinyio.Call(co, func(context.Context) (string, error) {
				asked++
				return "the weather is fine", nil
			})
			if err != nil {
				return "", err
			}
			if err := co.Sleep(50 * time.Millisecond); err != nil {
				return "", err
			}
			return "", fmt.Errorf("I cannot make anything of %q", answer)
		})
	}
	_, err = tinyio.Run(context.Background(), program(), durable.Record(file))
	fmt.Println(err)
	_, err = durable.Replay(file, program())
	fmt.Println(err)
	fmt.Println("asked", asked, "times")
	// Output:
	// I cannot make anything of "the weather is fine"
	// I cannot make anything of "the weather is fine"
	// asked 1 times
}

// A server takes what comes to it through endpoints. So a crash that some request has caused can be looked at as often as it takes, and without clients.
func ExampleEndpoint() {
	dir, err := os.MkdirTemp("", "record")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "tape")

	// newServer returns the first coroutine of a server and the endpoint for its requests.
	newServer := func(l *tinyio.Loop) (*tinyio.Coro[tinyio.Void], *durable.Endpoint[string, int]) {
		stock := map[string]int{"apples": 2}
		take := durable.NewEndpoint(l, "take", func(what string) *tinyio.Coro[int] {
			return tinyio.New(func(co *tinyio.Co) (int, error) {
				stock[what]--
				if stock[what] < 0 {
					return 0, fmt.Errorf("there are %d %s", stock[what], what)
				}
				return stock[what], nil
			}).Named("take")
		})
		main := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("server")
		return main, take
	}

	loop := tinyio.NewLoop(durable.Record(file))
	main, take := newServer(loop)
	go func() { // the clients
		for _, what := range []string{"apples", "apples", "pears"} {
			if _, err := take.Submit(context.Background(), what); err != nil {
				return
			}
		}
	}()
	_, err = tinyio.RunOn(context.Background(), loop, main)
	fmt.Println("it was:", err)

	loop = tinyio.NewLoop()
	main, _ = newServer(loop)
	_, err = durable.ReplayOn(file, loop, main)
	fmt.Println("it is: ", err)
	// Output:
	// it was: there are -1 pears
	// it is:  there are -1 pears
}
