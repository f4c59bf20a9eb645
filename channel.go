package tinyio

import "context"

// Recv receives from ch as <-ch would, without blocking the loop. If the channel is closed and empty, ok is false, and that
// is no error. Recv suspends for a turn. If there is nothing to receive then, it waits on, with a thread that receives.
//
// If Recv returns an error, the coroutine is being stopped, and nothing was received. If the coroutine is stopped when a value
// has been received already, Recv returns the value and nil, and the next suspension returns the error. On a nil channel,
// Recv waits until the coroutine is stopped.
func Recv[T any](co *Co, ch <-chan T) (v T, ok bool, err error) {
	if err := co.turn("Recv"); err != nil {
		return v, false, err
	}
	if g := co.c.run().gate; g != nil {
		var now received[T]
		if g.Read(&now, func() bool { return now.receive(ch) }) {
			return now.Value, now.OK, nil
		}
	} else {
		var now received[T]
		if now.receive(ch) {
			return now.Value, now.OK, nil
		}
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
	return r.Value, r.OK, err
}

// Send sends v to ch as ch <- v would, without blocking the loop; on a closed channel it panics. Send suspends for a turn. If
// the channel does not accept v then, it waits on, with a thread that sends.
//
// If Send returns an error, the coroutine is being stopped, and v was not sent. If the coroutine is stopped when v has been sent
// already, Send returns nil, and the next suspension returns the error. On a nil channel, Send waits until the coroutine is
// stopped.
func Send[T any](co *Co, ch chan<- T, v T) error {
	if err := co.turn("Send"); err != nil {
		return err
	}
	if g := co.c.run().gate; g != nil {
		if g.Read(new(Void), func() bool { return trySend(ch, v) }) {
			return nil
		}
	} else if trySend(ch, v) {
		return nil
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

// A received is what a channel has given. A gate records it, so its fields are exported.
type received[T any] struct {
	Value T
	OK    bool
}

// receive receives from ch, and reports whether it could do so at once.
func (r *received[T]) receive(ch <-chan T) bool {
	select {
	case r.Value, r.OK = <-ch:
		return true
	default:
		return false
	}
}

// trySend sends v to ch, and reports whether it could do so at once.
func trySend[T any](ch chan<- T, v T) bool {
	select {
	case ch <- v:
		return true
	default:
		return false
	}
}

// operate runs an operation on a channel in a thread and waits for it. Traces show it under the name given, at the function of
// the coroutine. If the operation has succeeded, operate returns its result even if the coroutine has been stopped meanwhile: a
// value that was received must not be lost.
func operate[T any](co *Co, name string, operation func(ctx context.Context) (T, error)) (T, error) {
	t := RunInThread(operation).Named(name)
	t.c.entry = co.c.entry
	v, err := t.Await(co)
	if t.c.hasFinished() && t.c.err == nil {
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
