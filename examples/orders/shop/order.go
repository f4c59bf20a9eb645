package shop

import (
	"context"
	"errors"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// An Order is what a customer wants.
type Order struct {
	Item   string `json:"item"`
	Amount int    `json:"amount"`
}

// An input is what the program is given.
type input struct {
	Order
	Wait time.Duration // for the payment
}

// A Payment is with what the customer pays.
type Payment struct {
	Card string `json:"card"`
}

// A Receipt is what the customer gets, beside what was ordered.
type Receipt struct {
	Charge string `json:"charge"`
	Parcel string `json:"parcel"`
}

// Errors for which a customer gets an answer of their own.
var (
	errSoldOut = errors.New("sold out")
	errRefused = errors.New("the card was refused")
)

func init() {
	durable.RegisterError("orders.errSoldOut", errSoldOut)
	durable.RegisterError("orders.errRefused", errRefused)
	durable.Register("order", order)
}

// patience is how a service is asked again that does not answer: as often as it takes, but not what it has refused.
var patience = durable.Retry{Wait: 10 * time.Millisecond, MaxWait: time.Minute, If: func(err error) bool {
	return !errors.Is(err, errSoldOut) && !errors.Is(err, errRefused)
}}

// order reserves the item, waits for the payment, charges the card, and sends the item. Each of these is undone if something after it fails,
// also if the order is cancelled, or nobody pays in time.
func order(in input) *tinyio.Coro[Receipt] {
	return tinyio.New(func(co *tinyio.Co) (r Receipt, err error) {
		// undo is deferred for what has been done.
		undo := func(name string, do func(w *world, key string) (string, error)) {
			if err == nil {
				return
			}
			_, failed := step(co, name, do)
			err = errors.Join(err, failed)
		}
		if _, err := step(co, "reserve", func(w *world, key string) (string, error) { return w.reserve(key, in.Item) }); err != nil {
			return r, err
		}
		defer undo("release", func(w *world, key string) (string, error) { return w.release(key, in.Item) })

		payment, err := tinyio.Timeout(co, receive[Payment]("payment"), in.Wait)
		if err != nil {
			return r, err
		}
		r.Charge, err = step(co, "charge", func(w *world, key string) (string, error) { return w.charge(key, payment.Card, in.Amount) })
		if err != nil {
			return r, err
		}
		defer undo("refund", func(w *world, key string) (string, error) { return w.refund(key, payment.Card, in.Amount) })

		r.Parcel, err = step(co, "send", func(w *world, key string) (string, error) { return w.send(key, in.Item) })
		return r, err
	}).Named("order")
}

// receive is durable.Receive as a coroutine, for a Timeout.
func receive[T any](name string) *tinyio.Coro[T] {
	return tinyio.New(func(co *tinyio.Co) (T, error) { return durable.Receive[T](co, name) }).Named("receive " + name)
}

// step has a service do something. It is in a Shield: whatever was begun comes to its end, so that it is known what there is to undo.
func step(co *tinyio.Co, name string, do func(w *world, key string) (string, error)) (result string, err error) {
	w := co.Value(worldKey{}).(*world)
	shielded := co.Shield(time.Hour, func(co *tinyio.Co) error {
		result, err = durable.Step(co, name, func(ctx context.Context) (string, error) { return do(w, durable.Key(ctx)) }, patience)
		return nil
	})
	var failed *durable.RetryError
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return result, errors.Join(err, shielded)
}
