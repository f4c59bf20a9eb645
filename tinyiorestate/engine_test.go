package tinyiorestate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/durable/enginetest"
	"github.com/tinyio-go/tinyio/tinyiorestate"
	"github.com/tinyio-go/tinyio/tinyiorestate/internal/restateserver"
)

var config = enginetest.Config{
	Open:    func(dir string) (enginetest.Engine, error) { return open(dir) },
	Steps:   steps,
	Disturb: restateserver.KillAndStart,
}

// steps are those in the journal that the server has of a run. Their numbers are the places where they are.
func steps(e enginetest.Engine, id string) (all []enginetest.Step, err error) {
	var found struct {
		Rows []struct {
			Index int
			Name  string
		}
	}
	err = query(fmt.Sprintf("SELECT j.index, j.name FROM sys_journal j JOIN sys_invocation i ON j.id = i.id WHERE i.target_service_name = '%s' "+
		"AND i.target_service_key = '%s' AND i.target_handler_name = 'run' AND j.entry_type = 'Command: Run' ORDER BY j.index",
		e.(*tinyiorestate.Engine).Service(), id), &found)
	for _, r := range found.Rows {
		all = append(all, enginetest.Step{Number: r.Index, Name: r.Name})
	}
	return all, err
}

// query asks the server of the test by SQL.
func query(sql string, out any) error {
	return admin("POST", "/query", map[string]string{"query": sql}, out)
}

// admin makes a request to the admin API of the server of the test.
func admin(method, path string, in, out any) error {
	client := restateserver.Client()
	defer client.CloseIdleConnections()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(data, out)
}

func TestMain(m *testing.M) {
	if os.Getenv("DURABLE_ENGINETEST_DIR") != "" {
		enginetest.Main(m, config)
	}
	// The server lets go of a run that waits, and forgets one that has ended, sooner than it would.
	os.Exit(restateserver.Main(m, "RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT=300ms", "RESTATE_WORKER__CLEANUP_INTERVAL=200ms"))
}

// configFor is for the engine whose runs are those of a directory: each has a service of its own, at an address of its own, and keeps both.
func configFor(dir string) (tinyiorestate.Config, error) {
	h := fnv.New64a()
	h.Write([]byte(dir))
	address, err := restateserver.Address(dir)
	return tinyiorestate.Config{
		Service: fmt.Sprintf("t%x", h.Sum64()),
		Ingress: "http://ingress",
		Admin:   "http://admin",
		HTTP:    restateserver.Client(),
		Listen:  address,

		Patience: time.Minute, // the server is killed, on a machine that may be busy
	}, err
}

// open opens the engine of a directory.
func open(dir string) (*tinyiorestate.Engine, error) {
	c, err := configFor(dir)
	if err != nil {
		return nil, err
	}
	e, err := tinyiorestate.Open(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.Register(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func TestEngine(t *testing.T) {
	restateserver.Need(t)
	enginetest.Test(t, config)
}
