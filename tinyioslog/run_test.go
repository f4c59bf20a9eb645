package tinyioslog_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/internal/lookin"
	"github.com/tinyio-go/tinyio/tinyioslog"
)

// numbers stands for package debug.
type numbers struct{}

func (numbers) Began(any, string)        {}
func (numbers) Ended(any)                {}
func (numbers) Number(any) uint64        { return 7 }
func (numbers) Made() func()             { return nil }
func (numbers) MadeQueue() *lookin.Queue { return nil }

// With package debug linked in, a record has the number of the run. That is for the rest of the process, so it is another one.
func TestRunNumber(t *testing.T) {
	if os.Getenv("TINYIOSLOG_CHILD") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRunNumber$", "-test.v")
		cmd.Env = append(os.Environ(), "TINYIOSLOG_CHILD=1")
		if out, err := cmd.CombinedOutput(); err != nil || !regexp.MustCompile(`--- PASS`).Match(out) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	lookin.Listen(numbers{})
	var b bytes.Buffer
	log := slog.New(tinyioslog.NewHandler(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: plain})))
	_, err := tinyio.Run(context.Background(), tinyio.Do(func(co *tinyio.Co) error { log.InfoContext(co, "x"); return nil }).Named("main"))
	if got := b.String(); err != nil || got != "msg=x tinyio.coro=main tinyio.run=7\n" {
		t.Errorf("the log is %q, %v", got, err)
	}
}
