package linearizability

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A change is what a watcher is told.
type change struct {
	Version uint64
	Key     string
	Value   []byte
	Expires time.Time
	Deleted bool
}

// watch takes down what a watcher is told, from where it was cut off before, until the server is gone or it has been told of the version
// last. When it is cut off, because it is slow, it comes back.
func (x *trial) watch(ctx context.Context, url string, last uint64) error {
	for uint64(len(x.told)) < last {
		again, err := x.watchOnce(ctx, url, last)
		if err != nil || !again {
			return err
		}
	}
	return nil
}

// watchOnce is watch until it is cut off. It keeps everything that came whole.
func (x *trial) watchOnce(ctx context.Context, url string, last uint64) (again bool, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/watch", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Last-Event-ID", fmt.Sprint(len(x.told)))
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return false, nil // the server is gone
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusServiceUnavailable {
		return false, nil
	}
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the answer to a watch from %d is %v", len(x.told), res.Status)
	}
	for events := newEvents(res.Body); uint64(len(x.told)) < last; {
		id, data, err := events.next()
		if err != nil {
			return true, nil
		}
		if data == "" {
			continue
		}
		var c change
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			return false, fmt.Errorf("the watcher was told %q: %w", data, err)
		}
		if id != fmt.Sprint(c.Version) || c.Version != uint64(len(x.told))+1 {
			return false, fmt.Errorf("after version %d the watcher was told of %d, as the event %s", len(x.told), c.Version, id)
		}
		x.told = append(x.told, c)
	}
	return false, nil
}

// compare returns an error if a watcher was told something else than the clients were: each change is a write that was answered with its
// version, or of which nobody knows what became of it, or the end of an item that had a time to live.
func compare(history []porcupine.Operation, told []change) error {
	made := make(map[uint64]request) // by version
	unknown := make(map[string]bool) // values that may have been written
	deleted := make(map[string]bool) // keys that may have been deleted
	for _, o := range history {
		q, r := o.Input.(request), o.Output.(response)
		switch other, twice := made[r.version]; {
		case q.method == http.MethodGet:
		case r.status == 0 && q.method == http.MethodPut:
			unknown[q.value] = true
		case r.status == 0:
			deleted[q.key] = true
		case r.version == 0: // it has failed
		case twice:
			return fmt.Errorf("%.100v and %.100v were both answered with version %d", other, q, r.version)
		default:
			made[r.version] = q
		}
	}
	before := make(map[string]change) // by key
	for _, c := range told {
		q, known := made[c.Version]
		delete(made, c.Version)
		was := before[c.Key]
		before[c.Key] = c
		switch {
		case known && (q.key != c.Key || q.value != string(c.Value) || (q.method == http.MethodDelete) != c.Deleted || (q.ttl == 0) != c.Expires.IsZero()):
			return fmt.Errorf("version %d was answered to %.100v, and the watcher was told %.100v", c.Version, q, c)
		case known:
		case c.Deleted && (!was.Expires.IsZero() || deleted[c.Key]):
		case !c.Deleted && unknown[string(c.Value)]:
			delete(unknown, string(c.Value))
		default:
			return fmt.Errorf("the watcher was told of something that nobody asked for: %.100v", c)
		}
	}
	for version, q := range made {
		return fmt.Errorf("the watcher was not told of version %d: %.100v", version, q)
	}
	return nil
}

// events reads server-sent events.
type events struct{ lines *bufio.Reader }

func newEvents(r io.Reader) *events { return &events{bufio.NewReader(r)} }

// next returns the next event that is whole.
func (e *events) next() (id, data string, err error) {
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		line = strings.TrimSuffix(line, "\n")
		if value, ok := strings.CutPrefix(line, "id: "); ok {
			id = value
		} else if value, ok := strings.CutPrefix(line, "data: "); ok {
			data = value
		} else if line == "" {
			return id, data, nil
		}
	}
}

// A watcher who was told what the clients were told is believed, and one who was told something else is not.
func TestWhatTheWatcherWasTold(t *testing.T) {
	op := func(method, value string, status int, version uint64, ttl time.Duration) porcupine.Operation {
		return porcupine.Operation{
			Input:  request{method: method, key: "key", value: value, ttl: ttl},
			Output: response{status: status, version: version},
		}
	}
	history := []porcupine.Operation{
		op("PUT", "a", 201, 1, 0), op("DELETE", "", 204, 2, 0), op("PUT", "b", 201, 3, time.Second), op("GET", "b", 200, 3, 0),
		op("PUT", "c", 412, 0, 0), op("PUT", "d", 0, 0, 0),
	}
	put := func(version uint64, value string) change {
		return change{Version: version, Key: "key", Value: []byte(value)}
	}
	gone := func(version uint64) change { return change{Version: version, Key: "key", Deleted: true} }
	lapsing := change{Version: 3, Key: "key", Value: []byte("b"), Expires: time.Unix(1, 0)}
	for _, c := range []struct {
		name string
		told []change
		want string
	}{
		{"all that was made", []change{put(1, "a"), gone(2), lapsing}, ""},
		{"and one that may have been", []change{put(1, "a"), gone(2), lapsing, put(4, "d")}, ""},
		{"and the end of what had an end", []change{put(1, "a"), gone(2), lapsing, gone(4)}, ""},
		{"nothing", nil, "the watcher was not told of version"},
		{"the last one is left out", []change{put(1, "a"), gone(2)}, "the watcher was not told of version 3"},
		{"another value", []change{put(1, "x"), gone(2), lapsing}, "version 1 was answered to"},
		{"a write for a deletion", []change{put(1, "a"), put(2, ""), lapsing}, "version 2 was answered to"},
		{"without an end", []change{put(1, "a"), gone(2), put(3, "b")}, "version 3 was answered to"},
		{"one whose condition failed", []change{put(1, "a"), gone(2), lapsing, put(4, "c")}, "that nobody asked for"},
		{"one that may have been, twice", []change{put(1, "a"), gone(2), lapsing, put(4, "d"), put(5, "d")}, "that nobody asked for"},
		{"the end of what had none", []change{put(1, "a"), gone(2), lapsing, put(4, "d"), gone(5)}, "that nobody asked for"},
	} {
		err := compare(history, c.told)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) && err != nil {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	twice := append(history, op("PUT", "e", 204, 3, 0))
	if err := compare(twice, []change{put(1, "a"), gone(2), lapsing}); err == nil || !strings.Contains(err.Error(), "both answered with version 3") {
		t.Errorf("a version that two writes have: %v", err)
	}
}
