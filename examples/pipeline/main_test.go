package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// asProgram makes the test binary be the program.
const asProgram = "PIPELINE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// A desk is a directory with files.
type desk struct {
	t   *testing.T
	dir string
}

func newDesk(t *testing.T, files map[string]string) desk {
	t.Helper()
	noLeaks(t)
	d := desk{t, t.TempDir()}
	for name, text := range files {
		if err := os.WriteFile(d.path(name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d desk) path(name string) string { return filepath.Join(d.dir, name) }

// want compares the files of the directory, all of them.
func (d desk) want(want map[string]string) {
	d.t.Helper()
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	got := make(map[string]string)
	for _, e := range entries {
		b, err := os.ReadFile(d.path(e.Name()))
		if err != nil {
			d.t.Fatal(err)
		}
		got[e.Name()] = string(b)
	}
	if !maps.Equal(got, want) {
		d.t.Errorf("the files are %q, want %q", got, want)
	}
}

// run runs the program, and wants it to end with a status and to write certain things. In what it writes, the path of the
// directory is left out.
func (d desk) run(ctx context.Context, stdin io.Reader, status int, stdout, stderr string, args ...string) {
	d.t.Helper()
	var out, errs strings.Builder
	for i, a := range args {
		if strings.HasPrefix(a, "./") {
			args[i] = d.path(a)
		}
	}
	got := run(ctx, args, stdin, &out, &errs)
	messages := strings.ReplaceAll(errs.String(), d.dir+string(filepath.Separator), "")
	if got != status || out.String() != stdout || messages != stderr {
		d.t.Errorf("with %q the exit status is %d, want %d; it writes\n%s and\n%s, want\n%s and\n%s", args, got, status, out.String(), messages, stdout, stderr)
	}
}

// Fields are left out and hashed, and everything else stays as it is.
func TestRedaction(t *testing.T) {
	d := newDesk(t, map[string]string{"key": "secret"})
	const input = `{"z":12345678901234567890.10,"name":"ada","password":"x","html":"<b>","user":{"name":"\u0061da","id":1},"other":[{"name":"ada"}]}

			{"name":null,"user":"ada","a":true}
			{}
			{"user":{"names":"ada"}}`
	var text strings.Builder
	if got := run(t.Context(), []string{"-key", d.path("key"), "-hash", "name,user.name", "-drop", "password,,user.id,a"},
		strings.NewReader(input), &text, io.Discard); got != exitFine {
		t.Fatalf("the exit status is %d", got)
	}
	lines := strings.Split(text.String(), "\n")
	const ( // as openssl dgst -sha256 -hmac secret has them
		name = "3c30486140e27f6f8b09ea69da2a6ca7" // of ada
		null = "80f1d91291f8ced5c60448b04dbb3b58" // of null
	)
	want := []string{
		`{"html":"<b>","name":"` + name + `","other":[{"name":"ada"}],"user":{"name":"` + name + `"},"z":12345678901234567890.10}`,
		`{"name":"` + null + `","user":"ada"}`,
		`{}`,
		`{"user":{"names":"ada"}}`,
		``,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("the output is\n%q, want\n%q", lines, want)
	}
}

// Hashes are the same with the same key, and others without one.
func TestKeys(t *testing.T) {
	d := newDesk(t, map[string]string{"key": "secret", "key2": "other"})
	hash := func(args ...string) string {
		var out strings.Builder
		if status := run(t.Context(), append(args, "-hash", "a"), strings.NewReader(`{"a":1}`), &out, io.Discard); status != exitFine {
			t.Errorf("the exit status is %d", status)
		}
		return out.String()
	}
	hashes := map[string]bool{hash("-key", d.path("key")): true, hash("-key", d.path("key2")): true, hash(): true, hash(): true}
	if len(hashes) != 4 || !hashes[hash("-key", d.path("key"))] {
		t.Errorf("the hashes are %v", hashes)
	}
}

// The output is written when all has been read, so it may be one of the inputs, and its permissions stay.
func TestOutputFile(t *testing.T) {
	d := newDesk(t, map[string]string{"a": "{\"x\":1}\n{\"x\":2}\n", "b": "{\"x\":3}"})
	d.run(t.Context(), nil, exitFine, "", "pipeline: 3 records in 2 batches, and 0 left out\n", "-batch", "2", "-o", "./a", "./a", "./b")
	d.want(map[string]string{"a": "{\"x\":1}\n{\"x\":2}\n{\"x\":3}\n", "b": "{\"x\":3}"})
	if info, err := os.Stat(d.path("a")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the permissions are %v, %v", info.Mode(), err)
	}
}

// The first bad record ends the program, whichever is found first, and the output is what it was before.
func TestBadRecord(t *testing.T) {
	lines := strings.Repeat("{\"x\":1}\n", 1000)
	d := newDesk(t, map[string]string{"in": lines + "[]\n" + lines + "{\"x\"\n", "out": "from before"})
	before := map[string]string{"in": lines + "[]\n" + lines + "{\"x\"\n", "out": "from before"}
	d.run(t.Context(), nil, exitFailed, "", "pipeline: in:1001: not a JSON object\n", "-batch", "7", "-o", "./out", "./in")
	d.want(before)
	d.run(t.Context(), nil, exitFailed, "", "pipeline: in:1001: not a JSON object\n", "-batch", "7", "-o", "./new", "./in")
	d.want(before)

	d.run(t.Context(), nil, exitFine, "", "pipeline: left out: in:1001: not a JSON object\npipeline: left out: in:2002: unexpected end of JSON input\n"+
		"pipeline: 2000 records in 21 batches, and 2 left out\n", "-skip", "-o", "./out", "./in")
	before["out"] = lines + lines
	d.want(before)
}

// When something else fails, the output is what it was before too.
func TestInputThatFails(t *testing.T) {
	d := newDesk(t, map[string]string{"in": "{}\n", "out": "from before"})
	d.run(t.Context(), nil, exitFailed, "", "pipeline: open missing: no such file or directory\n", "-o", "./out", "./in", "./missing")
	d.run(t.Context(), io.MultiReader(strings.NewReader("{}\n{}"), failing{io.ErrUnexpectedEOF}), exitFailed, "",
		"pipeline: standard input: unexpected EOF\n", "-o", "./out")
	d.want(map[string]string{"in": "{}\n", "out": "from before"})
}

// An interrupt ends the program although it waits for its input, and the output is what it was before.
func TestInterrupt(t *testing.T) {
	d := newDesk(t, map[string]string{"out": "from before"})
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		for range 1000 {
			fmt.Fprintln(w, "{}")
		}
		cancel()
	}()
	d.run(ctx, r, exitInterrupted, "", "pipeline: interrupted\n", "-o", "./out")
	d.want(map[string]string{"out": "from before"})
}

// A process is the program, running.
type process struct {
	*exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr *bufio.Reader
}

func launch(t *testing.T, args ...string) process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	stderr, err3 := cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // unless it has ended
		cmd.Process.Kill()
		cmd.Wait()
	})
	return process{cmd, stdin, bufio.NewReader(stdout), bufio.NewReader(stderr)}
}

// wantLine wants a line to be written.
func wantLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if line, err := r.ReadString('\n'); err != nil || line != want+"\n" {
		t.Fatalf("the line is %q, %v, want %q", line, err, want)
	}
}

// wantEnd wants nothing more to be written, and the program to end with a status.
func (p process) wantEnd(t *testing.T, status int) {
	t.Helper()
	text, err1 := io.ReadAll(p.stdout)
	messages, err2 := io.ReadAll(p.stderr)
	p.Wait()
	if got := p.ProcessState.ExitCode(); got != status || len(text)+len(messages) > 0 || err1 != nil || err2 != nil {
		t.Errorf("the exit status is %d, want %d; it has written %q and %q", got, status, text, messages)
	}
}

// Without an output file, what was read is written soon, although there may be more.
func TestProgramAsFilter(t *testing.T) {
	noLeaks(t)
	p := launch(t, "-drop", "a", "-wait", "1ms")
	for i := range 3 {
		fmt.Fprintf(p.stdin, "{\"a\":1,\"b\":%d}\n", i)
		wantLine(t, p.stdout, fmt.Sprintf("{\"b\":%d}", i))
	}
	p.stdin.Close()
	wantLine(t, p.stderr, "pipeline: 3 records in 3 batches, and 0 left out")
	p.wantEnd(t, exitFine)
}

// SIGINT ends the program although it waits for its input. What it has written by then is not seen.
func TestProgramInterrupted(t *testing.T) {
	d := newDesk(t, map[string]string{"out": "from before"})
	p := launch(t, "-batch", "1", "-skip", "-o", d.path("out"))
	fmt.Fprintln(p.stdin, "{}\nbad")
	wantLine(t, p.stderr, "pipeline: left out: standard input:2: invalid character 'b' looking for beginning of value")
	if b, err := os.ReadFile(d.path("out")); err != nil || string(b) != "from before" { // although a record has been written
		t.Errorf("in the meantime the output is %q, %v", b, err)
	}
	p.Process.Signal(syscall.SIGINT)
	wantLine(t, p.stderr, "pipeline: interrupted")
	p.wantEnd(t, exitInterrupted)
	d.want(map[string]string{"out": "from before"})
}

func TestUsage(t *testing.T) {
	d := newDesk(t, nil)
	for _, args := range [][]string{
		{"-batch", "0"}, {"-workers", "0"}, {"-wait", "-1s"}, {"-wrong"}, {"-key", d.path("missing")}, {"-o", d.path("missing/out")},
	} {
		var stdout, stderr strings.Builder
		if status := run(t.Context(), args, nil, &stdout, &stderr); status != exitUsage || stdout.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("with %q the exit status is %d, and it writes %q and %q", args, status, stdout.String(), stderr.String())
		}
	}
}
