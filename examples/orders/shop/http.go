package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// An Answer is what a customer learns of an order.
type Answer struct {
	ID      string        `json:"id"`
	State   durable.State `json:"state,omitempty"`
	Receipt *Receipt      `json:"receipt,omitempty"`
	Error   string        `json:"error,omitempty"`
	Doing   []string      `json:"doing,omitempty"` // each coroutine of an order that is under way
}

// handler is the service. All requests can be sent again by whoever does not know whether they have got through.
func handler(e Engine, wait time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		var o Order
		if !read(w, r, &o) {
			return
		}
		if o.Item == "" || o.Amount <= 0 {
			write(w, http.StatusBadRequest, Answer{Error: "an order has an item and an amount"})
			return
		}
		_, err := durable.Start[input, Receipt](r.Context(), e, "order", r.PathValue("id"), input{o, wait})
		accepted(w, r, err)
	})
	mux.HandleFunc("POST /orders/{id}/payment", func(w http.ResponseWriter, r *http.Request) {
		var p Payment
		if !read(w, r, &p) {
			return
		}
		err := durable.Signal(r.Context(), e, r.PathValue("id"), "payment", p)
		if errors.Is(err, durable.ErrEnded) {
			err = nil // it was sent again; what has become of the order is for GET to tell
		}
		accepted(w, r, err)
	})
	mux.HandleFunc("DELETE /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		accepted(w, r, durable.Find[Receipt](e, r.PathValue("id")).Cancel(r.Context(), errors.New("cancelled by the customer")))
	})
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) { tell(w, r, e) })
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		all := []Answer{}
		for info, err := range e.Runs(r.Context()) {
			if err != nil {
				fail(w, err)
				return
			}
			all = append(all, Answer{ID: info.ID, State: info.State})
		}
		write(w, http.StatusOK, all)
	})
	return mux
}

// tell tells what has become of an order. With ?wait it waits until that is known.
func tell(w http.ResponseWriter, r *http.Request, e Engine) {
	id := r.PathValue("id")
	if !r.URL.Query().Has("wait") {
		status, err := e.Status(r.Context(), id)
		if err != nil {
			fail(w, err)
			return
		}
		if len(status) > 0 {
			write(w, http.StatusOK, Answer{ID: id, State: durable.Running, Doing: texts(status)})
			return
		}
	}
	receipt, err := durable.Find[Receipt](e, id).Result(r.Context())
	var failed *tinyio.Error // what a program has failed with; any other error is that of the engine
	switch {
	case err == nil:
		write(w, http.StatusOK, Answer{ID: id, State: durable.Succeeded, Receipt: &receipt})
	case errors.As(err, &failed):
		write(w, http.StatusOK, Answer{ID: id, State: durable.Failed, Error: err.Error()})
	default:
		fail(w, err)
	}
}

func texts(status []tinyio.Status) (all []string) {
	for _, s := range status {
		all = append(all, s.String())
	}
	return all
}

// accepted answers a request that has been recorded, or could not be.
func accepted(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	write(w, http.StatusAccepted, Answer{ID: r.PathValue("id")})
}

func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, durable.ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, durable.ErrClosed), errors.Is(err, context.Canceled):
		status = http.StatusServiceUnavailable
	}
	write(w, status, Answer{Error: err.Error()})
}

func read(w http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(v); err != nil {
		write(w, http.StatusBadRequest, Answer{Error: fmt.Sprintf("the body is not understood: %v", err)})
		return false
	}
	return true
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone gets nothing
}
