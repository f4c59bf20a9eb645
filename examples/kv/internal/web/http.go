package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// The limits of what a client can ask for.
const (
	MaxKey   = 1 << 10 // bytes
	MaxValue = 1 << 16 // bytes
)

// NewServer returns an HTTP server for a store.
func NewServer(s Store) *http.Server {
	h := handler{s}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /kv/{key...}", h.get)
	mux.HandleFunc("PUT /kv/{key...}", h.put)
	mux.HandleFunc("DELETE /kv/{key...}", h.delete)
	mux.HandleFunc("GET /watch", h.watch)
	return &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
}

type handler struct{ store Store }

func (h handler) get(w http.ResponseWriter, r *http.Request) {
	item, err := h.store.Get(r.Context(), r.PathValue("key"))
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("ETag", tag(item.Version))
	w.Header().Set("Content-Type", "application/octet-stream")
	if !item.Expires.IsZero() {
		w.Header().Set("Expires", item.Expires.UTC().Format(http.TimeFormat))
	}
	w.Write(item.Value)
}

func (h handler) put(w http.ResponseWriter, r *http.Request) {
	req, err := writeOf(r)
	if ttl := r.URL.Query().Get("ttl"); err == nil && ttl != "" {
		req.TTL, err = time.ParseDuration(ttl)
		if err == nil && req.TTL <= 0 {
			err = errors.New("the ttl must be more than 0")
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Value, err = io.ReadAll(http.MaxBytesReader(w, r.Body, MaxValue))
	if err != nil {
		fail(w, err)
		return
	}
	h.write(w, r, req)
}

func (h handler) delete(w http.ResponseWriter, r *http.Request) {
	req, err := writeOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Delete = true
	h.write(w, r, req)
}

// writeOf returns the part of a write that deletions have too.
func writeOf(r *http.Request) (w table.Write, err error) {
	w.Key = r.PathValue("key")
	if n := len(w.Key); n == 0 || n > MaxKey {
		return w, fmt.Errorf("the key has %d bytes; it must have 1 to %d", n, MaxKey)
	}
	match, noneMatch := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	w.If.Present, w.If.Absent = match == "*", noneMatch == "*"
	if noneMatch != "" && noneMatch != "*" {
		return w, errors.New("If-None-Match can only be *")
	}
	if match != "" && match != "*" {
		w.If.Version, err = version(match)
	}
	return w, err
}

func (h handler) write(w http.ResponseWriter, r *http.Request, req table.Write) {
	o, err := h.store.Write(r.Context(), req)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("ETag", tag(o.Version))
	if o.Created {
		w.WriteHeader(http.StatusCreated)
	} else {
		w.WriteHeader(http.StatusNoContent)
	}
}

// tag is a version as the entity tag of a key.
func tag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

func version(tag string) (uint64, error) {
	inner := strings.TrimSuffix(strings.TrimPrefix(tag, `"`), `"`)
	v, err := strconv.ParseUint(inner, 10, 64)
	if err != nil || v == 0 || len(tag) != len(inner)+2 {
		return 0, fmt.Errorf("%s is not an ETag of this server", tag)
	}
	return v, nil
}

// fail answers that there was an error.
func fail(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, table.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, table.ErrCondition):
		status = http.StatusPreconditionFailed
	case errors.Is(err, table.ErrForgotten):
		status = http.StatusGone
	case errors.Is(err, ErrStopping):
		status = http.StatusServiceUnavailable
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, err.Error(), status)
}
