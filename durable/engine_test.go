package durable_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/durable/enginetest"
)

var config = enginetest.Config{
	Open: func(dir string) (enginetest.Engine, error) { return durable.Open(dir, durable.WithSegmentSize(20<<10)) },
	Steps: func(e enginetest.Engine, id string) ([]enginetest.Step, error) {
		var history bytes.Buffer
		if err := e.(*durable.Journal).Export(context.Background(), id, &history); err != nil {
			return nil, err
		}
		return enginetest.Steps(history.Bytes())
	},
}

func TestMain(m *testing.M) { enginetest.Main(m, config) }

func TestEngine(t *testing.T) { enginetest.Test(t, config) }
