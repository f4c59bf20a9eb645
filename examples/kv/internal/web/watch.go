package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
)

// watch answers with server-sent events, one for each change of a key with the prefix asked for. The id of an event is the
// version. A browser that is cut off comes back with the id of the last event it has got, and goes on from there.
func (h handler) watch(w http.ResponseWriter, r *http.Request) {
	from := FromNow
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		var err error
		if from, err = strconv.ParseUint(id, 10, 64); err != nil {
			badRequest(w, errors.New("Last-Event-ID is not one of this server"))
			return
		}
	}
	prefix := r.URL.Query().Get("prefix")
	if err := wantText("prefix", prefix); err != nil {
		badRequest(w, err)
		return
	}
	s := stream{w: w, control: http.NewResponseController(w)}
	if err := h.store.Watch(r.Context(), prefix, from, s.tell); err != nil && !s.begun {
		fail(w, err)
	}
}

// A stream is a response of server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// tell is a [Teller].
func (s *stream) tell(ctx context.Context, upTo uint64, changes []table.Change) error {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "text/event-stream")
		s.w.Header().Set("Cache-Control", "no-store")
	}
	var b bytes.Buffer
	for _, c := range changes {
		data, err := json.Marshal(c)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "id: %d\ndata: %s\n\n", c.Version, data)
	}
	if n := len(changes); n == 0 || changes[n-1].Version < upTo {
		fmt.Fprintf(&b, "id: %d\n\n", upTo) // an id without data: to come back to, and no event
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { s.control.SetWriteDeadline(time.Unix(1, 0)) })()
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return err
	}
	return s.control.Flush()
}
