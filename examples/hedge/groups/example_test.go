package groups_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// The first program of the README, with an errgroup.
func Example_page() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	config := sync.OnceValues(func() (string, error) {
		select {
		case <-time.After(time.Minute): // a server that does not answer
			return "db.example", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	parts := make([]string, 2)
	var g errgroup.Group
	for i, what := range []string{"users", "orders"} {
		g.Go(func() error {
			host, err := config()
			if err != nil {
				return err
			}
			parts[i] = what + " from " + host
			return nil
		})
	}
	err := g.Wait()
	fmt.Println(parts, err)
	// Output:
	// [ ] context deadline exceeded
}
