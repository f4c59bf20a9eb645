package tinyiorestate

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio/durable"
)

// A request is one of the HTTP requests of which the server may be asked again.
type request struct {
	method, url string
	in          any
	key         string // by which the server knows that it is the same one
}

// A refusal is an answer that will not change when the request is made again.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("tinyiorestate: the server says: %s (%d)", r.text, r.status)
}

// call calls a handler of a run. It is called once, however often that has to be tried. Whatever is not a message waits until the run has begun.
func (e *Engine) call(ctx context.Context, id, handler string, in, out any) error {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := e.ask(ctx, request{http.MethodPost, e.config.Ingress + "/" + e.path(id, handler), in, rand.Text()}, out)
		switch statusOf(err) {
		case codeEnded:
			return fmt.Errorf("%w: %q", durable.ErrEnded, id)
		case codeUnknown:
		default:
			return err
		}
		err = e.ask(ctx, request{method: http.MethodGet, url: e.config.Ingress + "/restate/workflow/" + e.path(id, "output")}, nil)
		switch status := statusOf(err); {
		case status == codeUnknown:
			return fmt.Errorf("%w: %q", durable.ErrUnknown, id)
		case err != nil && status == 0:
			return err
		case status != codeNotReady: // it has ended, and not begun before: it was killed
			return fmt.Errorf("%w: %q", durable.ErrEnded, id)
		}
		if m, ok := in.(message); ok { // it need not have begun
			m.Early = true
			in = m
			continue
		}
		if err := e.pause(ctx, wait); err != nil {
			return err
		}
	}
}

// codeNotReady is what the server says of a run that has not ended.
const codeNotReady = 470

// statusOf is the status with which the server has refused something, or 0.
func statusOf(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// path is the path of a handler of a run.
func (e *Engine) path(id, handler string) string {
	return e.config.Service + "/" + url.PathEscape(id) + "/" + handler
}

// ask makes a request until it is answered, unless the server does not answer for as long as e is patient.
func (e *Engine) ask(ctx context.Context, r request, out any) error {
	var silent time.Time // since when the server is
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := e.try(ctx, r, out)
		var refused *refusal
		switch {
		case err == nil || errors.As(err, &refused):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case silent.IsZero():
			silent = time.Now()
		case time.Since(silent) > e.config.Patience:
			return fmt.Errorf("tinyiorestate: given up after %v: %w", e.config.Patience, err)
		}
		if err := e.pause(ctx, wait); err != nil {
			return err
		}
	}
}

// pause waits.
func (e *Engine) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.base.Done():
		return context.Cause(e.base)
	}
}

// try makes a request. An error other than a refusal says nothing about what has become of it.
func (e *Engine) try(ctx context.Context, r request, out any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.base, func() { cancel(durable.ErrClosed) })()
	var body io.Reader
	if r.in != nil {
		data, err := json.Marshal(r.in)
		if err != nil {
			return &refusal{http.StatusBadRequest, err.Error()}
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return &refusal{http.StatusBadRequest, err.Error()}
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	resp, err := e.config.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return refused(resp, data)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			return &refusal{resp.StatusCode, fmt.Sprintf("something that is not understood: %v: %q", err, data)}
		}
	}
	return nil
}

// refused is the error for an answer that is not the one that was asked for.
func refused(resp *http.Response, data []byte) error {
	var e struct{ Message string }
	if json.Unmarshal(data, &e) != nil || e.Message == "" {
		e.Message = strings.TrimSpace(string(data))
	}
	source := resp.Header.Get("X-Restate-Error-Source")
	unregistered := resp.StatusCode == http.StatusNotFound && source == "ingress" && resp.Request.Method == http.MethodPost
	if unregistered || resp.StatusCode >= 500 && source != "invocation" { // which may change
		return fmt.Errorf("the server says: %s (%d)", e.Message, resp.StatusCode)
	}
	return &refusal{resp.StatusCode, e.Message}
}

// query asks the server by SQL.
func (e *Engine) query(ctx context.Context, sql string, out any) error {
	return e.ask(ctx, request{method: http.MethodPost, url: e.config.Admin + "/query", in: map[string]string{"query": sql}}, out)
}

// quote makes a literal of SQL.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
