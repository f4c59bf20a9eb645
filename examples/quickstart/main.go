// Command quickstart is tinyio in a minute: coroutines that wait at the same time, and then what a failure looks like.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tinyio-go/tinyio"
)

func main() { run(os.Stdout) }

// run writes to w what the program has to show.
func run(w io.Writer, opts ...tinyio.Option) {
	sums := tinyio.New(func(co *tinyio.Co) ([]int, error) {
		defer printElapsed(w, co, co.Now())
		return tinyio.Gather(co, slowAddOne(3), slowAddOne(4))
	})
	out, err := tinyio.Run(context.Background(), sums, opts...)
	fmt.Fprintf(w, "sums: %v, error: %v\n\n", out, err)

	report := tinyio.Do(func(co *tinyio.Co) error {
		defer printElapsed(w, co, co.Now())
		return co.Wait(average(), waitAnHour(w))
	})
	_, err = tinyio.Run(context.Background(), report.Named("report"), opts...)
	fmt.Fprintf(w, "error: %v\n\n", err)
	fmt.Fprintf(w, "the same error with its chain: %+v", err)
}

// slowAddOne returns a coroutine, which runs when it is awaited.
func slowAddOne(x int) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		if err := co.Sleep(time.Second); err != nil {
			return 0, err
		}
		return x + 1, nil
	})
}

// average awaits a coroutine that fails if there are no numbers.
func average(xs ...int) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		sum := 0
		for _, x := range xs {
			sum += x
		}
		return slowDivide(sum, len(xs)).Await(co)
	}).Named("average")
}

func slowDivide(x, y int) *tinyio.Coro[int] {
	return tinyio.New(func(co *tinyio.Co) (int, error) {
		if err := co.Sleep(time.Second); err != nil {
			return 0, err
		}
		if y == 0 {
			return 0, errors.New("division by zero")
		}
		return x / y, nil
	}).Named("slowDivide")
}

// waitAnHour shows what happens to the other coroutines when one fails: their waits end, and they clean up.
func waitAnHour(w io.Writer) *tinyio.Coro[tinyio.Void] {
	return tinyio.Do(func(co *tinyio.Co) error {
		err := co.Sleep(time.Hour)
		fmt.Fprintln(w, "waitAnHour:", err)
		return err
	}).Named("waitAnHour")
}

// printElapsed prints the time since began, on the clock of the loop.
func printElapsed(w io.Writer, co *tinyio.Co, began time.Time) {
	fmt.Fprintln(w, "elapsed:", co.Now().Sub(began).Round(time.Second))
}
