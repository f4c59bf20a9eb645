package durable

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/gate"
)

// An Endpoint is where data comes to a loop from other goroutines: the requests of a server, say. It makes a coroutine of each input and submits
// that. On a loop that is recorded, the input is kept, and a [ReplayOn] makes the same coroutine of it. Elsewhere it costs nothing.
//
// Its methods may be called from any goroutine.
type Endpoint[In, Out any] struct {
	loop *tinyio.Loop
	name string
	fn   func(in In) *tinyio.Coro[Out]
}

// NewEndpoint returns the endpoint of a loop with a name. It makes its coroutines by fn, each time another one. The function is called on the goroutine
// that submits, and must not touch what belongs to the loop; its coroutine may.
//
// What [encoding/json] leaves out of an input is not kept, such as a field that is not exported: in a replay it is zero. That is the place for what only
// the functions of threads and calls use, a connection for one: these do not run in a replay.
//
// NewEndpoint panics if the loop has an endpoint with that name.
func NewEndpoint[In, Out any](l *tinyio.Loop, name string, fn func(in In) *tinyio.Coro[Out]) *Endpoint[In, Out] {
	if l == nil || name == "" || fn == nil {
		panic("durable: NewEndpoint: the loop or the function is nil, or the name is empty; it needs all of them")
	}
	e := &Endpoint[In, Out]{l, name, fn}
	if _, taken := gate.Endpoints(l).LoadOrStore(name, opened(e)); taken {
		panic(fmt.Sprintf("durable: NewEndpoint: the loop has an endpoint %q already; give each a name of its own", name))
	}
	return e
}

// Submit is [tinyio.Submit] of the coroutine that is made of in. If the loop is recorded and in cannot be, it is an error, and nothing is submitted.
func (e *Endpoint[In, Out]) Submit(ctx context.Context, in In) (Out, error) {
	c := e.fn(in)
	if r := recorderOf(e.loop); r != nil {
		if err := e.expect(r, c, in); err != nil {
			var zero Out
			return zero, err
		}
		defer r.forget(c)
	}
	return tinyio.Submit(ctx, e.loop, c)
}

// Post is [tinyio.Loop.Post] of the coroutine that is made of in. If the loop is recorded and in cannot be, it is an error, and nothing is posted.
//
// A coroutine of the loop may call Post too. That is nothing from outside, and is not recorded.
func (e *Endpoint[In, Out]) Post(in In) error {
	c := e.fn(in)
	r := recorderOf(e.loop)
	if r == nil || gate.IsInside(e.loop) {
		return e.loop.Post(c)
	}
	if err := e.expect(r, c, in); err != nil {
		return err
	}
	err := e.loop.Post(c)
	if err != nil {
		r.forget(c)
	}
	return err
}

// recorderOf returns what records the run of l, nil if nothing does.
func recorderOf(l *tinyio.Loop) *recorder {
	r, _ := gate.Of(l).(*recorder)
	return r
}

// expect tells r of what c was made.
func (e *Endpoint[In, Out]) expect(r *recorder, c *tinyio.Coro[Out], in In) error {
	data, err := encodeValue(&in)
	if err != nil {
		return fmt.Errorf("durable: the input of endpoint %q, a %T, cannot be recorded: %w", e.name, in, err)
	}
	r.expect(c, &origin{e.name, data, e.entry()})
	return nil
}

// An opened is an Endpoint of any type.
type opened interface {
	open(data json.RawMessage) (coro any, err error)
	entry() uintptr
}

// open makes a coroutine of an input that was recorded.
func (e *Endpoint[In, Out]) open(data json.RawMessage) (coro any, err error) {
	var in In
	if err := decodeValue(data, &in); err != nil {
		return nil, err
	}
	return e.fn(in), nil
}

// entry is the address that errors name as the place from where something was submitted: the function, in a record and in a replay.
func (e *Endpoint[In, Out]) entry() uintptr { return reflect.ValueOf(e.fn).Pointer() }
