package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/examples/hedge/groups"
)

// A replica takes a while and then answers, or fails with an error.
type replica struct {
	name  string
	takes time.Duration
	err   error
	slow  time.Duration // how long it takes to stop
}

// A record is what has happened, and when.
type record struct {
	start  time.Time
	mu     sync.Mutex
	events []string
}

func (r *record) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprint(time.Since(r.start), " ", text))
}

// ask is what a replica does, in a goroutine.
func (r *record) ask(ctx context.Context, x replica) (string, error) {
	r.add(x.name + " is asked")
	select {
	case <-time.After(x.takes):
		return "answer of " + x.name, x.err
	case <-ctx.Done():
		time.Sleep(x.slow)
		r.add(x.name + " stops")
		return "", ctx.Err()
	}
}

// implementations are those that the tests run against.
var implementations = map[string]func(context.Context, *record, time.Duration, []replica) (string, error){
	"tinyio": func(ctx context.Context, r *record, d time.Duration, replicas []replica) (string, error) {
		var asks []*tinyio.Coro[string]
		for _, x := range replicas {
			asks = append(asks, tinyio.RunInThread(func(ctx context.Context) (string, error) { return r.ask(ctx, x) }))
		}
		return tinyio.Run(ctx, tinyio.New(func(co *tinyio.Co) (string, error) { return hedge(co, d, asks...) }))
	},
	"groups": func(ctx context.Context, r *record, d time.Duration, replicas []replica) (string, error) {
		var asks []func(context.Context) (string, error)
		for _, x := range replicas {
			asks = append(asks, func(ctx context.Context) (string, error) { return r.ask(ctx, x) })
		}
		return groups.Hedge(ctx, d, asks...)
	},
}

var (
	errA = errors.New("a is down")
	errB = errors.New("b is down")
	errC = errors.New("c is down")

	errEnough = errors.New("no longer wanted")
)

func TestHedge(t *testing.T) {
	for _, test := range []struct {
		name     string
		replicas []replica
		limit    time.Duration // when the caller gives up, if ever
		answer   string
		errs     []error // all that the error is
		text     string  // of the error
		events   []string
		ends     time.Duration
	}{
		{
			name:     "the first answers in time, and nobody else is asked",
			replicas: []replica{{name: "a", takes: 9}, {name: "b", takes: 1}},
			answer:   "answer of a",
			events:   []string{"0s a is asked"},
			ends:     9,
		},
		{
			name:     "the second is faster, and the first has stopped when the answer is there",
			replicas: []replica{{name: "a", takes: 100, slow: 4}, {name: "b", takes: 5}, {name: "c", takes: 1}},
			answer:   "answer of b",
			events:   []string{"0s a is asked", "10ns b is asked", "19ns a stops"},
			ends:     19,
		},
		{
			name:     "the first is late and still the first to answer",
			replicas: []replica{{name: "a", takes: 12}, {name: "b", takes: 5}},
			answer:   "answer of a",
			events:   []string{"0s a is asked", "10ns b is asked", "12ns b stops"},
			ends:     12,
		},
		{
			name:     "one that fails is followed by the next at once",
			replicas: []replica{{name: "a", takes: 1, err: errA}, {name: "b", takes: 2, err: errB}, {name: "c", takes: 30}},
			answer:   "answer of c",
			events:   []string{"0s a is asked", "1ns b is asked", "3ns c is asked"},
			ends:     33,
		},
		{
			name:     "that one fails late asks nobody before their time",
			replicas: []replica{{name: "a", takes: 12, err: errA}, {name: "b", takes: 15}, {name: "c", takes: 1}},
			answer:   "answer of c",
			events:   []string{"0s a is asked", "10ns b is asked", "20ns c is asked", "21ns b stops"},
			ends:     21,
		},
		{
			name:     "all fail, in another order than they were asked in",
			replicas: []replica{{name: "a", takes: 25, err: errA}, {name: "b", takes: 1, err: errB}, {name: "c", takes: 1, err: errC}},
			errs:     []error{errA, errB, errC},
			text:     "a is down\nb is down\nc is down",
			events:   []string{"0s a is asked", "10ns b is asked", "11ns c is asked"},
			ends:     25,
		},
		{
			name:     "there is one, and it fails",
			replicas: []replica{{name: "a", takes: 25, err: errA}},
			errs:     []error{errA},
			text:     "a is down",
			events:   []string{"0s a is asked"},
			ends:     25,
		},
		{
			name:     "the caller gives up, and all stop",
			replicas: []replica{{name: "a", takes: 100, slow: 1}, {name: "b", takes: 100, slow: 3}, {name: "c", takes: 1}},
			limit:    15,
			errs:     []error{errEnough},
			text:     "no longer wanted",
			events:   []string{"0s a is asked", "10ns b is asked", "16ns a stops", "18ns b stops"},
			ends:     18,
		},
	} {
		for name, hedge := range implementations {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // it fails if a goroutine is left
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					if test.limit > 0 {
						time.AfterFunc(test.limit, func() { cancel(errEnough) })
					}
					r := &record{start: time.Now()}
					answer, err := hedge(ctx, r, 10, test.replicas)
					if ends := time.Since(r.start); ends != test.ends {
						t.Errorf("it returns after %v, want %v", ends, test.ends)
					}
					if !slices.Equal(r.events, test.events) {
						t.Errorf("what happens is %q, want %q", r.events, test.events)
					}
					if test.text == "" {
						if answer != test.answer || err != nil {
							t.Errorf("it returns %q, %v, want %q", answer, err, test.answer)
						}
						return
					}
					if answer != "" || err == nil || err.Error() != test.text {
						t.Errorf("it returns %q, %v, want the error %q", answer, err, test.text)
					}
					for _, want := range test.errs {
						if !errors.Is(err, want) {
							t.Errorf("the error %v is not %v", err, want)
						}
					}
				})
			})
		}
	}
}
