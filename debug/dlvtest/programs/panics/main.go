// Program panics divides by the number of the orders of a customer who has none.
package main

import (
	"context"
	"time"

	"github.com/tinyio-go/tinyio"
)

// average is the average of prices.
func average(prices []int) int {
	sum := 0
	for _, p := range prices {
		sum += p
	}
	return sum / len(prices)
}

func main() {
	orders := map[string][]int{"ada": {3, 5}, "bob": {}}
	report := func(customer string) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Yield(); err != nil {
				return 0, err
			}
			return average(orders[customer]), co.Sleep(time.Second)
		}).Named("report " + customer)
	}
	clock := tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) }).Named("clock")
	tinyio.Run(context.Background(), tinyio.New(func(co *tinyio.Co) (int, error) {
		if err := co.SpawnDaemon(clock); err != nil {
			return 0, err
		}
		total := 0
		for _, customer := range []string{"ada", "bob"} {
			n, err := report(customer).Await(co)
			if err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	}).Named("total"))
}
