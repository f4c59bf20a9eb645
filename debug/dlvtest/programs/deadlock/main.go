// Program deadlock makes two transfers, each of which waits until the other one has let go of an account. With an argument it goes by
// virtual time, in which a loop sees a deadlock by itself; otherwise Go does, as long as nothing else runs in the process.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tinyio-go/tinyio"
)

func main() {
	var options []tinyio.Option
	if len(os.Args) > 1 && os.Args[1] != "" {
		options = append(options, tinyio.WithVirtualTime())
	}
	a, b := tinyio.NewSemaphore(1), tinyio.NewSemaphore(1)
	transfer := func(name string, amount int, from, to *tinyio.Semaphore) *tinyio.Coro[tinyio.Void] {
		return tinyio.Do(func(co *tinyio.Co) error {
			if err := from.Acquire(co); err != nil {
				return err
			}
			defer from.Release()
			if err := co.Yield(); err != nil {
				return err
			}
			if err := to.Acquire(co); err != nil {
				return err
			}
			defer to.Release()
			fmt.Println("transferred", amount)
			return nil
		}).Named(name)
	}
	_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error {
		return co.Wait(transfer("there", 10, a, b), transfer("back", 20, b, a))
	}).Named("bank"), options...)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
