package web

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// The limits of what a client can ask for.
const (
	MaxKey   = 1 << 10 // bytes
	MaxValue = 1 << 16 // bytes
)

// NewServer returns an HTTP server for a store.
func NewServer(s Store) *http.Server {
	return &http.Server{Handler: handler{s}, ReadHeaderTimeout: patience}
}

type handler struct{ store Store }

// ServeHTTP answers a request. This is no [http.ServeMux], because that takes "a//b" and "a/../b" for other ways to write "a/b" and "b",
// and as keys they are different ones.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	methods := map[string]http.HandlerFunc{}
	if strings.HasPrefix(r.URL.Path, keys) {
		methods["GET"], methods["HEAD"], methods["PUT"], methods["DELETE"] = h.get, h.get, h.put, h.delete
	} else if r.URL.Path == "/watch" {
		methods["GET"], methods["HEAD"] = h.watch, h.watch
	}
	if r.Body != http.NoBody { // net/http reads the rest of what nobody else has
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience))
	}
	serve := methods[r.Method]
	switch {
	case len(methods) == 0:
		answering(w)
		http.NotFound(w, r)
	case serve == nil:
		answering(w)
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	default:
		serve(w, r)
	}
}

// keys is where keys are, each at its own path.
const keys = "/kv/"

// keyOf returns the key that a request is about.
func keyOf(r *http.Request) (string, error) {
	key := strings.TrimPrefix(r.URL.Path, keys)
	if n := len(key); n == 0 || n > MaxKey {
		return "", fmt.Errorf("the key has %d bytes; it must have 1 to %d", n, MaxKey)
	}
	return key, wantText("key", key)
}

// wantText returns an error if s is not UTF-8. In the file and in events keys are JSON, in which there is nothing else.
func wantText(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("the %s is not valid UTF-8", what)
	}
	return nil
}

// patience is how long a client may take to send a request, and to receive an answer, or a watcher what it is told. It is shorter
// than Grace, so that nobody keeps a server from stopping who has stopped to send or to read.
const patience = Grace / 2

// answering is called before an answer: from now on there is a limit to how long it may take to be received. It is longer than that for
// the request, because net/http reads the rest of a request that makes no sense before it answers.
func answering(w http.ResponseWriter) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience + patience/2))
}

// badRequest answers that a request makes no sense.
func badRequest(w http.ResponseWriter, err error) {
	answering(w)
	http.Error(w, err.Error(), http.StatusBadRequest)
}

func (h handler) get(w http.ResponseWriter, r *http.Request) {
	key, err := keyOf(r)
	if err != nil {
		badRequest(w, err)
		return
	}
	item, err := h.store.Get(r.Context(), key)
	if err != nil {
		fail(w, err)
		return
	}
	answering(w)
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
		badRequest(w, err)
		return
	}
	if req.Value, err = readBody(w, r); err != nil {
		fail(w, err)
		return
	}
	h.write(w, r, req)
}

// readBody reads the body of a request, for which there is a limit of time.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxValue))
	if err != nil {
		return nil, err
	}
	// If it passed from now on, it would be taken for the end of the client.
	return body, http.NewResponseController(w).SetReadDeadline(time.Time{})
}

func (h handler) delete(w http.ResponseWriter, r *http.Request) {
	req, err := writeOf(r)
	if err != nil {
		badRequest(w, err)
		return
	}
	req.Delete = true
	h.write(w, r, req)
}

// writeOf returns the part of a write that deletions have too.
func writeOf(r *http.Request) (w table.Write, err error) {
	if w.Key, err = keyOf(r); err != nil {
		return w, err
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
	answering(w)
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
	case errors.Is(err, os.ErrDeadlineExceeded):
		status = http.StatusRequestTimeout
		err = fmt.Errorf("the request has not come within %v", patience)
		w.Header().Set("Connection", "close")
	}
	answering(w)
	http.Error(w, err.Error(), status)
}
