// Package groups is the hedge of this example with an errgroup and channels.
package groups

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// errAnswered stops the group: an errgroup stops for errors only.
var errAnswered = errors.New("answered")

// Hedge asks the first of replicas. If that has not answered within d, or fails before, it asks the next as well, and so on.
// The first answer counts. When Hedge returns, the others have stopped. If all fail, the error joins theirs, in the order of
// replicas. There must be at least one.
func Hedge[T any](ctx context.Context, d time.Duration, replicas ...func(context.Context) (T, error)) (answer T, err error) {
	answers := make(chan T, len(replicas)) // with room for all, so that nobody is left who cannot send
	errs := make([]error, len(replicas))
	group, inside := errgroup.WithContext(ctx)
	for i, replica := range replicas {
		failed := make(chan struct{})
		group.Go(func() error {
			answer, err := replica(inside)
			if err != nil {
				errs[i] = err
				close(failed)
				return nil // an error would stop the others
			}
			answers <- answer
			return errAnswered
		})
		select {
		case <-failed:
		case <-time.After(d):
		case <-inside.Done():
		}
		if inside.Err() != nil {
			break
		}
	}
	group.Wait()
	select {
	case answer = <-answers:
		return answer, nil
	default:
	}
	if ctx.Err() != nil {
		return answer, context.Cause(ctx)
	}
	return answer, errors.Join(errs...)
}
