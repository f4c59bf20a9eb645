package tinyiotemporal

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/tinyiotemporal/internal/temporalserver"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
)

var record = flag.Bool("record", false, "record the histories in testdata anew, on a server")

// recorded is the runs of which there are histories in testdata, beside those of the suite: the program, its input, and what is done to it.
var recorded = []struct {
	name, program string
	in            any
	act           func(t *testing.T, c *connection, id string)
}{
	{"errand", "errand", 3, nil},
	{"counter", "counter", 1, func(t *testing.T, c *connection, id string) {
		for n := range 3 {
			signal(t, c, id, "add", n)
		}
		for _, n := range []int{5, 0, -1, 7} {
			h, err := c.client.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
				WorkflowID: id, UpdateName: "add", Args: []any{n}, WaitForStage: client.WorkflowUpdateStageCompleted,
			})
			if err == nil {
				err = h.Get(t.Context(), new(int))
			}
			if (err == nil) != (n > 0) {
				t.Errorf("update %d: %v", n, err)
			}
		}
		signal(t, c, id, "end", "now")
	}},
	{"again", "counter", 1, func(t *testing.T, c *connection, id string) { signal(t, c, id, "end", "again") }},
	{"waits", "waits", 0, nil},
	{"hangs", "hangs", 300 * time.Millisecond, nil},
	{"steps", "steps", "second", nil},
	{"versions", "versions", 0, func(t *testing.T, c *connection, id string) { signal(t, c, id, "go on", 0) }},
	{"unversioned", "unversioned", 0, func(t *testing.T, c *connection, id string) { signal(t, c, id, "go on", 0) }},
	{"children", "children", 0, nil},
	{"fails", "fails", "error", nil},
	{"panics", "fails", "panic", nil},
}

func signal[T any](t *testing.T, c *connection, id, name string, v T) {
	t.Helper()
	if err := durable.Signal(t.Context(), c, id, name, v); err != nil {
		t.Error(err)
	}
}

// TestRecord records the histories that TestReplay replays. With -trimpath they have no paths of the machine.
func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("records histories anew, with -record")
	}
	temporalserver.Start(t)
	c, err := connect("record", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	old, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		os.Remove(file)
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, r := range recorded {
		if err := c.StartRun(t.Context(), r.program, r.name, jsonOf(t, r.in)); err != nil {
			t.Fatal(err)
		}
		part := current(t, c, r.name)
		if r.act != nil {
			r.act(t, c, r.name)
		}
		save(t, c, r.name, part, r.name != "waits" && r.name != "again")
	}
	dir := filepath.Join(os.TempDir(), "tinyiotemporal") // which is in the histories
	os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, p := range durable.Programs() {
		name, ours := strings.CutPrefix(p.Name(), "enginetest.")
		if !ours || name == "signals" || name == "cancelled" || name == "twice" { // which need something from outside
			continue
		}
		if err := c.StartRun(t.Context(), p.Name(), "suite "+name, jsonOf(t, map[string]string{"Dir": dir})); err != nil {
			t.Fatal(err)
		}
		save(t, c, "suite "+name, current(t, c, "suite "+name), true)
	}
}

func jsonOf(t *testing.T, v any) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// current is the part of a run that is under way, or was the last one.
func current(t *testing.T, c *connection, id string) (part string) {
	t.Helper()
	d, err := c.client.DescribeWorkflow(t.Context(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	return d.WorkflowExecution.RunID
}

// save writes the history of a part of a run, when it has ended, or when it waits for something.
func save(t *testing.T, c *connection, id, part string, ends bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if ends {
		_, err := c.AwaitRun(ctx, id, true)
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	} else {
		time.Sleep(time.Second)
	}
	h := new(historypb.History)
	events := c.client.GetWorkflowHistory(ctx, id, part, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		h.Events = append(h.Events, e)
	}
	data, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if host, err := os.Hostname(); err == nil { // it is in the names of sticky queues
		data = bytes.ReplaceAll(data, []byte(`"`+host+":"), []byte(`"worker:`))
	}
	if err := os.WriteFile(filepath.Join("testdata", strings.ReplaceAll(id, " ", "-")+".json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}
