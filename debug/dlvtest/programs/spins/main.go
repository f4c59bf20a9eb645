// Program spins computes without end in a coroutine, while others wait and a thread reads. It stops when nobody writes to its standard
// input any more.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/tinyio-go/tinyio"
)

// collatz counts the steps from n to 1, and goes on for ever from 0.
func collatz(n uint) (steps int) {
	for n != 1 {
		if n%2 == 0 {
			n /= 2
		} else {
			n = 3*n + 1
		}
		steps++
	}
	return steps
}

func main() {
	ended := make(chan bool)
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}()
	path := "orders.csv"
	reading := tinyio.RunInThread(func(context.Context) (bool, error) {
		fmt.Println("reads", path)
		return <-ended, nil // stands for a slow disk
	}).Named("read orders")
	ask := func(co *tinyio.Co, question string) (bool, error) {
		return tinyio.Call(co, func(context.Context) (bool, error) {
			fmt.Println(question)
			return <-ended, nil
		})
	}
	_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
		count := tinyio.Do(func(co *tinyio.Co) error {
			for _, n := range []uint{27, 27, 0} {
				if n == 0 {
					fmt.Println("spinning")
				}
				fmt.Println(n, collatz(n))
				if err := co.Yield(); err != nil {
					return err
				}
			}
			return nil
		}).Named("count")
		orders := tinyio.Do(func(co *tinyio.Co) error { return co.Wait(reading) }).Named("orders")
		asks := tinyio.Do(func(co *tinyio.Co) error {
			_, err := ask(co, "how many?")
			return err
		}).Named("asks")
		tick := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("tick")
		return co.Wait(count, orders, asks, tick)
	}).Named("main"), tinyio.WithLabels())
	fmt.Println(err)
}
