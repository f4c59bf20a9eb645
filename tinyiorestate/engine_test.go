package tinyiorestate_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/durable/enginetest"
	"github.com/tinyio-go/tinyio/tinyiorestate"
	"github.com/tinyio-go/tinyio/tinyiorestate/internal/restateserver"
)

var config = enginetest.Config{
	Open:    func(dir string) (enginetest.Engine, error) { return open(dir) },
	Disturb: restateserver.KillAndStart,
}

func TestMain(m *testing.M) {
	if os.Getenv("DURABLE_ENGINETEST_DIR") != "" {
		enginetest.Main(m, config)
	}
	os.Exit(restateserver.Main(m, "RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT=300ms")) // then it lets go of a run that waits
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
