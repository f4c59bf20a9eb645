package linearizability

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/examples/kv/internal/disk"
	"github.com/tinyio-go/tinyio/examples/kv/internal/table"
	"github.com/tinyio-go/tinyio/examples/kv/mutex"
	"github.com/tinyio-go/tinyio/examples/kv/server"
)

// asServer makes the test binary be a server, the one of that name, with the data in the file that is its argument.
const asServer = "KV_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if name := os.Getenv(asServer); name != "" {
		if err := be(name, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// be is a server that is not the program itself.
func be(name, data string) error {
	file, t, err := disk.Open(data)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("%s: listening on http://%s\n", name, l.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch name {
	case "mutex":
		return mutex.Serve(ctx, l, t, file)
	case "hasty":
		return server.Serve(ctx, l, t, &hasty{file: file})
	case "forgetful":
		return server.Serve(ctx, l, t, &forgetful{file: file})
	}
	return fmt.Errorf("there is no server %q", name)
}

// A hasty log says that changes are on disk, and puts them there when it finds the time.
type hasty struct {
	file    *disk.File
	mu      sync.Mutex
	pending []table.Change
}

func (h *hasty) Commit(changes []table.Change) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending == nil {
		time.AfterFunc(20*time.Millisecond, h.write)
	}
	h.pending = append(h.pending, changes...)
	return nil
}

func (h *hasty) write() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.file.Commit(h.pending); err != nil {
		panic(err)
	}
	h.pending = nil
}

// A forgetful log keeps no deletions.
type forgetful struct{ file *disk.File }

func (f *forgetful) Commit(changes []table.Change) error {
	var kept []table.Change
	for _, c := range changes {
		if !c.Deleted {
			kept = append(kept, c)
		}
	}
	if kept == nil {
		return nil
	}
	return f.file.Commit(kept)
}

// program builds the program, and returns the command that starts it on data.
func program(t *testing.T) func(data string) *exec.Cmd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kv")
	build := exec.Command("go", append(goBuild, "-o", path, "github.com/tinyio-go/tinyio/examples/kv")...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return func(data string) *exec.Cmd {
		return exec.Command(path, "-addr", "127.0.0.1:0", "-data", data)
	}
}

// other returns the command that starts another server.
func other(name string) func(data string) *exec.Cmd {
	return func(data string) *exec.Cmd {
		c := exec.Command(os.Args[0], data)
		c.Env = append(os.Environ(), asServer+"="+name)
		return c
	}
}

// A process is a server that has been started.
type process struct {
	cmd    *exec.Cmd
	url    string
	stderr strings.Builder
}

// launch starts a server, and returns when it listens.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd}
	cmd.Stderr = &p.stderr
	cmd.Env = append(cmd.Environ(), "GORACE=atexit_sleep_ms=0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, url, ok := strings.Cut(strings.TrimSpace(line), ": listening on ")
	if err != nil || !ok {
		p.kill()
		return nil, fmt.Errorf("the server says %q, %v; %s", line, err, p.stderr.String())
	}
	p.url = url
	return p, nil
}

// kill ends the server as kill -9 does, and returns when it has ended.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// terminate tells the server to stop, and returns when it has.
func (p *process) terminate() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil || p.stderr.Len() > 0 {
		return fmt.Errorf("the server has ended with %v; %s", err, p.stderr.String())
	}
	return nil
}
