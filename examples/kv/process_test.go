package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tinyio-go/tinyio/durable"
)

// asProgram makes the test binary be the program. So it is the program with the race detector, if the tests are run with that.
const asProgram = "KV_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// A process is the program, running.
type process struct {
	cmd    *exec.Cmd
	addr   string
	stderr strings.Builder
}

// launch starts the program and returns when it listens.
func launch(t *testing.T, data string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], append([]string{"-addr", "127.0.0.1:0", "-data", data}, args...)...)}
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill() // unless it has ended
		p.cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "kv: listening on http://")
	if err != nil || !ok {
		t.Fatalf("the program says %q, %v; %s", line, err, p.stderr.String())
	}
	p.addr = addr
	return p
}

func (p *process) url() string { return "http://" + p.addr }

// terminate tells the program to stop, and wants it to do so well.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.wantEnd(t)
}

// wantEnd wants the program to end well.
func (p *process) wantEnd(t *testing.T) {
	t.Helper()
	if err := p.cmd.Wait(); err != nil || p.stderr.Len() > 0 {
		t.Errorf("the program ended with %v; %s", err, p.stderr.String())
	}
}

// newClient returns a client that keeps many connections, and closes them at the end of the test.
func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// Whatever was acknowledged before the program was killed with SIGKILL is there when it has been started again, with its
// version; and so is what was there before.
func TestKilledProgramHasLostNothing(t *testing.T) {
	noLeaks(t)
	data := filepath.Join(t.TempDir(), "kv.db")
	client := newClient(t)
	tags := make(map[string]string) // of what was acknowledged
	const rounds, clients, enough = 3, 50, 400
	for round := range rounds {
		p := launch(t, data)
		wantTags(t, client, p.url(), tags)
		var mu sync.Mutex
		var acknowledged atomic.Int64
		var group sync.WaitGroup
		for c := range clients {
			group.Go(func() {
				for i := 0; ; i++ {
					key := fmt.Sprintf("%d/%d/%d", round, c, i)
					a, err := send(client, p.url(), "PUT", "/kv/"+key, key)
					if err != nil {
						return // it has been killed
					}
					mu.Lock()
					tags[key] = a.tag
					mu.Unlock()
					if acknowledged.Add(1) == enough {
						p.cmd.Process.Kill()
					}
				}
			})
		}
		group.Wait()
		p.cmd.Wait()
	}
	p := launch(t, data)
	wantTags(t, client, p.url(), tags)
	client.CloseIdleConnections()
	p.terminate(t)
	if len(tags) < rounds*enough {
		t.Errorf("only %d writes were acknowledged, want %d", len(tags), rounds*enough)
	}
}

// wantTags wants the server to have the keys, the value of each of which is the key, with tags.
func wantTags(t *testing.T, client *http.Client, base string, tags map[string]string) {
	t.Helper()
	for key, tag := range tags {
		if a, err := send(client, base, "GET", "/kv/"+key, ""); err != nil || a != (answer{200, tag, key}) {
			t.Fatalf("%s is %+v, %v, want the tag %s", key, a, err, tag)
		}
	}
}

// When SIGTERM comes, every request that the program has begun to deal with is answered, what it acknowledges is kept, and the
// exit status is 0.
func TestTerminatedProgramAnswersRequestsInFlight(t *testing.T) {
	noLeaks(t)
	data := filepath.Join(t.TempDir(), "kv.db")
	p := launch(t, data)
	w, err := follow(newClient(t), p.url(), "", "0")
	if err != nil {
		t.Fatal(err)
	}
	defer w.body.Close()

	const n = 100
	var requests [n]*expectant
	for i := range requests {
		if requests[i], err = expect(p.addr, fmt.Sprintf("/kv/%d", i), 4); err != nil {
			t.Fatal(err)
		}
		defer requests[i].conn.Close()
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	if _, err := w.next(); err != io.EOF { // so the server knows
		t.Errorf("the watcher got %v, want the end", err)
	}
	tags := make(map[string]string)
	for i, r := range requests {
		status, tag, err := r.finish("body")
		if err != nil || status != http.StatusCreated {
			t.Errorf("the answer to request %d is %d, %v", i, status, err)
		}
		tags[fmt.Sprint(i)] = tag
	}
	p.wantEnd(t)

	p = launch(t, data)
	client := newClient(t)
	for key, tag := range tags {
		if a, err := send(client, p.url(), "GET", "/kv/"+key, ""); err != nil || a != (answer{200, tag, "body"}) {
			t.Errorf("%s is %+v, %v, want the tag %s", key, a, err, tag)
		}
	}
	client.CloseIdleConnections()
	p.terminate(t)
}

// An expectant is a request that the server has begun to deal with: it has asked for the body.
type expectant struct {
	conn    net.Conn
	answers *bufio.Reader
}

func expect(addr, path string, length int) (*expectant, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: kv\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, length)
	r := &expectant{conn, bufio.NewReader(conn)}
	line, err := r.answers.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		err = errors.New(line)
	}
	if err == nil {
		_, err = r.answers.ReadString('\n') // the empty one
	}
	return r, err
}

// finish sends the body and returns the answer.
func (r *expectant) finish(body string) (status int, tag string, err error) {
	if _, err := io.WriteString(r.conn, body); err != nil {
		return 0, "", err
	}
	res, err := http.ReadResponse(r.answers, nil)
	if err != nil {
		return 0, "", err
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("ETag"), nil
}

// A program whose data is no database says so and ends.
func TestDataThatCannotBeOpened(t *testing.T) {
	noLeaks(t)
	data := filepath.Join(t.TempDir(), "kv.db")
	if err := os.WriteFile(data, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{"-data", data}, &stdout, &stderr)
	if status != 1 || !strings.Contains(stderr.String(), data) {
		t.Errorf("the exit status is %d; %s", status, stderr.String())
	}
}

// A program that is recorded and killed in the middle of its work is replayed up to there, and tells what it was doing. It begins with the data with
// which the program began, not with those that it has left.
func TestReplayOfAKilledProgram(t *testing.T) {
	noLeaks(t)
	data, record := filepath.Join(t.TempDir(), "kv.db"), filepath.Join(t.TempDir(), "record")
	client := newClient(t)
	p := launch(t, data)
	if _, err := send(client, p.url(), "PUT", "/kv/before", "1"); err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	p.terminate(t)

	p = launch(t, data, "-record", record)
	w, err := follow(newClient(t), p.url(), "", "0")
	if err != nil {
		t.Fatal(err)
	}
	defer w.body.Close()
	var acknowledged atomic.Int64
	var group sync.WaitGroup
	for c := range 20 {
		group.Go(func() {
			for i := 0; ; i++ {
				path := fmt.Sprintf("/kv/%d", (c+i)%7)
				if _, err := send(client, p.url(), "GET", path, ""); err != nil {
					return // it has been killed
				}
				if _, err := send(client, p.url(), "PUT", path+"?ttl=1h", "value"); err != nil {
					return
				}
				if acknowledged.Add(1) == 300 {
					p.cmd.Process.Kill()
				}
			}
		})
	}
	group.Wait()
	p.cmd.Wait()

	var first string
	for range 2 { // each is the same
		var stdout, stderr strings.Builder
		status := run(t.Context(), []string{"-replay", record}, &stdout, &stderr)
		said := stderr.String()
		for _, want := range []string{durable.ErrEndOfRecord.Error(), "store: waiting for ", "watch: waiting for ", "expire "} {
			if status != 1 || !strings.Contains(said, want) {
				t.Errorf("the exit status is %d, and it says nothing of %q:\n%s", status, want, said)
			}
		}
		if first == "" {
			first = said
		} else if first != said {
			t.Errorf("it says\n%s\nand then\n%s", first, said)
		}
	}
	if status := run(t.Context(), []string{"-replay", t.TempDir()}, io.Discard, io.Discard); status != 1 {
		t.Errorf("without a record the exit status is %d", status)
	}
}

// A record cannot be made where there is a file.
func TestRecordThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	if status := run(t.Context(), []string{"-data", file + ".db", "-record", file}, io.Discard, &stderr); status != 1 {
		t.Errorf("the exit status is %d; %s", status, stderr.String())
	}
}
