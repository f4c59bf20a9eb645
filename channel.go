package tinyio

import "context"

// Recv receives from ch without blocking the loop, as <-ch would: ok is false if the channel is closed and empty, and that
// is no error. It suspends, for a turn if there is something to receive then. Otherwise a goroutine waits for it, as a
// coroutine of [RunInThread].
//
// An error is the cancellation of the coroutine, and then nothing was received. If the coroutine is stopped
// when something has been received already, Recv returns that and nil, and the next suspension tells. From a nil channel it
// waits until then.
func Recv[T any](co *Co, ch <-chan T) (v T, ok bool, err error) {
	if err := co.turn("Recv"); err != nil {
		return v, false, err
	}
	select {
	case v, ok = <-ch:
		return v, ok, nil
	default:
	}
	if ch == nil {
		return v, false, co.waitForever()
	}
	r, err := operate(co, "tinyio.Recv", func(ctx context.Context) (received[T], error) {
		select {
		case v, ok := <-ch:
			return received[T]{v, ok}, nil
		case <-ctx.Done():
			return received[T]{}, ctx.Err()
		}
	})
	return r.value, r.ok, err
}

// Send sends v to ch without blocking the loop, as ch <- v would; to a closed channel it panics. It suspends, for a turn if
// the channel takes v then. Otherwise a goroutine waits for that, as a coroutine of [RunInThread].
//
// An error is the cancellation of the coroutine, and then v was not sent. If the coroutine is stopped when it has been sent
// already, Send returns nil, and the next suspension tells. To a nil channel it waits until then.
func Send[T any](co *Co, ch chan<- T, v T) error {
	if err := co.turn("Send"); err != nil {
		return err
	}
	select {
	case ch <- v:
		return nil
	default:
	}
	if ch == nil {
		return co.waitForever()
	}
	_, err := operate(co, "tinyio.Send", func(ctx context.Context) (Void, error) {
		select {
		case ch <- v:
			return Void{}, nil
		case <-ctx.Done():
			return Void{}, ctx.Err()
		}
	})
	return err
}

type received[T any] struct {
	value T
	ok    bool
}

// operate waits for an operation on a channel that goes on in a thread. In traces that shows under the name given, in the
// function of the coroutine. What has happened in it stands, whatever has become of the coroutine meanwhile.
func operate[T any](co *Co, name string, operation func(ctx context.Context) (T, error)) (T, error) {
	t := RunInThread(operation).Named(name)
	t.c.entry = co.c.entry
	v, err := t.Await(co)
	if t.c.finished.Load() && t.c.err == nil {
		return t.value, nil
	}
	return v, err
}

// turn is [Co.Yield] on behalf of op.
func (co *Co) turn(op string) error {
	co.enter(op)
	return co.Yield()
}

// waitForever waits until the coroutine is stopped, without a goroutine.
func (co *Co) waitForever() error { return new(Event).Wait(co) }
