//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// The test program is the program itself if it is told so.
func TestMain(m *testing.M) {
	if os.Getenv("TUI_TEST") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what comes at once unless something is wrong.
const patience = time.Minute

// A terminal is a pseudo-terminal, with an emulator that keeps the screen, and the program that runs on it.
type terminal struct {
	t        *testing.T
	tty, pty *os.File
	mu       sync.Mutex
	screen   *vt.Emulator  // guarded by mu, but for what it answers
	changed  chan struct{} // something has been written
	before   *term.State
	program  *exec.Cmd
}

// runOnTerminal starts the program on a terminal of that size.
func runOnTerminal(t *testing.T, width, height int, args ...string) *terminal {
	t.Helper()
	control, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, tty: tty, pty: control, screen: vt.NewEmulator(width, height), changed: make(chan struct{}, 1)}
	x.resize(width, height)
	if x.before, err = term.GetState(tty.Fd()); err != nil {
		t.Fatal(err)
	}
	x.program = exec.Command(os.Args[0], args...)
	x.program.Env = append(os.Environ(), "TUI_TEST=1", "TERM=xterm-256color",
		"SSH_TTY=/dev/tty") // so that Bubble Tea does not ask what the terminal can: what ends at once would leave the answers on the screen
	x.program.Stdin, x.program.Stdout, x.program.Stderr = tty, tty, tty
	x.program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.program.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(x, control) // until the terminal is closed
		close(x.changed)
	}()
	go func() { _, _ = io.Copy(control, x.screen) }() // what the emulator answers
	t.Cleanup(func() {
		_ = x.program.Process.Kill()
		_ = x.program.Wait()
		tty.Close()
		control.Close()
		for range x.changed {
		}
		x.screen.InputPipe().(io.Closer).Close() // the emulator's own Close is not for two goroutines
	})
	return x
}

// Write is what the program writes.
func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	n, err := x.screen.Write(p)
	x.mu.Unlock()
	select {
	case x.changed <- struct{}{}:
	default:
	}
	return n, err
}

func (x *terminal) resize(width, height int) {
	x.t.Helper()
	x.mu.Lock()
	x.screen.Resize(width, height)
	x.mu.Unlock()
	if err := pty.Setsize(x.pty, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) press(key string) {
	x.t.Helper()
	if _, err := x.pty.WriteString(key); err != nil {
		x.t.Fatal(err)
	}
}

// lines are those of the screen, without the space at their ends.
func (x *terminal) lines() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.text()
}

func (x *terminal) text() []string {
	lines := make([]string, x.screen.Height())
	for row := range lines {
		var line strings.Builder
		for column := 0; column < x.screen.Width(); column++ {
			if c := x.screen.CellAt(column, row); c != nil && c.Content != "" {
				line.WriteString(c.Content)
			} else {
				line.WriteByte(' ')
			}
		}
		lines[row] = strings.TrimRight(line.String(), " ")
	}
	return lines
}

// shows waits until the screen is as wanted.
func (x *terminal) shows(what string, wanted func(lines []string) bool) {
	x.t.Helper()
	late := time.After(patience)
	for !wanted(x.lines()) {
		select {
		case <-x.changed:
		case <-late:
			x.t.Fatalf("the screen does not show %s:\n%s", what, strings.Join(x.lines(), "\n"))
		}
	}
}

// ends waits until the program has ended and the screen shows its last line. It wants the terminal to be as it was.
func (x *terminal) ends(status int) []string {
	x.t.Helper()
	kill := time.AfterFunc(patience, func() { _ = x.program.Process.Kill() })
	_ = x.program.Wait()
	if !kill.Stop() || x.program.ProcessState.ExitCode() != status {
		x.t.Errorf("the program ends with %v, want status %d", x.program.ProcessState, status)
	}
	x.shows("a summary", func(lines []string) bool {
		return slices.ContainsFunc(lines, lastLine.MatchString)
	})
	if after, err := term.GetState(x.tty.Fd()); err != nil || !reflect.DeepEqual(after, x.before) {
		x.t.Errorf("the terminal is not as it was: %+v, was %+v; error %v", after, x.before, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.screen.IsAltScreen() || x.screen.CursorHidden() {
		x.t.Errorf("the alternate screen is left: %t, the cursor is back: %t", !x.screen.IsAltScreen(), !x.screen.CursorHidden())
	}
	return slices.DeleteFunc(x.text(), func(line string) bool { return line == "" })
}

// lastLine is the last line of the output.
var lastLine = regexp.MustCompile(`^(.*), in (\d+) turns and (\d+) updates, with at most (\d+) turns in one$`)

// summary takes the last line apart.
func summary(t *testing.T, line string) (text string, turns, updates, most int) {
	t.Helper()
	m := lastLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("the last line is %q", line)
	}
	for i, n := range []*int{&turns, &updates, &most} {
		*n, _ = strconv.Atoi(m[i+2])
	}
	return m[1], turns, updates, most
}

// files serves files of 4 chunks: the first ones whole, one of them not at all, and of those from half on no more than two chunks, until whoever
// asks has gone.
func files(t *testing.T, n, half, missing int) (urls []string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var i int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &i); err != nil || i == missing {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(4*chunk))
		content := strings.Repeat("x", 2*chunk)
		_, _ = io.WriteString(w, content)
		if i < half {
			_, _ = io.WriteString(w, content)
			return
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	for i := range n {
		urls = append(urls, fmt.Sprintf("%s/%d", s.URL, i))
	}
	return urls
}

// inDirectory are the names of the files, in order.
func inDirectory(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A file that cannot be had, and one that cannot be put in its place, are told, and nothing of them is left.
func TestDownloads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := os.MkdirAll(filepath.Join(dir, "7", "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	urls := files(t, 12, 12, 5)
	x := runOnTerminal(t, 300, 20, append([]string{"-d", dir, "-p", "3"}, urls...)...)
	got := x.ends(someFailed)
	if want := urls[5] + ": the server says 404 Not Found"; len(got) != 4 || got[0] != want || !strings.HasPrefix(got[1], urls[7]+": rename ") ||
		got[2] != "removed .downloading/7" {
		t.Fatalf("the output is %q, want %q, why 7 has failed, that it was removed, and a summary", got, want)
	}
	if text, _, _, _ := summary(t, got[3]); text != "10 of 12 downloaded, 2 failed" {
		t.Errorf("the summary is %q", text)
	}
	if got, want := inDirectory(t, dir), strings.Fields("0 1 10 11 2 3 4 6 7 8 9"); !slices.Equal(got, want) {
		t.Errorf("the directory has %q, want %q", got, want)
	}
	content, err := os.ReadFile(filepath.Join(dir, "11"))
	if err != nil || string(content) != strings.Repeat("x", 4*chunk) {
		t.Errorf("a file has %d bytes that may be wrong; error %v", len(content), err)
	}
}

// The screen shows a hundred downloads, also when its size has changed. Whoever leaves leaves no partial file, and the directory of
// these goes last.
func TestLeaving(t *testing.T) {
	leave := map[string]func(x *terminal){
		"ctrl-c":  func(x *terminal) { x.press("\x03") },
		"q":       func(x *terminal) { x.press("q") },
		"SIGTERM": func(x *terminal) { _ = x.program.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(x *terminal) { _ = x.program.Process.Signal(syscall.SIGHUP) },
	}
	for how, leave := range leave {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			x := runOnTerminal(t, 80, 24, append([]string{"-d", dir, "-p", "8"}, files(t, 100, 10, -1)...)...)
			x.shows("eight that are half there", func(lines []string) bool {
				return strings.HasPrefix(lines[1], " 10 of 100 downloaded ") && strings.HasSuffix(lines[3], "░  14%") &&
					slices.Equal(lines[5:7], []string{" ██████████▄▄▄▄▄▄▄▄" + strings.Repeat("·", 60), " " + strings.Repeat("·", 22)}) &&
					shownHalf(lines[8:16], 10) && lines[16] == "" && lines[23] == " ctrl+c stops, cleans up and leaves"
			})
			x.resize(120, 14)
			x.shows("the same, wider and lower", func(lines []string) bool {
				return strings.HasPrefix(lines[1], " 10 of 100 downloaded ") && lines[5] == " ██████████▄▄▄▄▄▄▄▄"+strings.Repeat("·", 82) &&
					shownHalf(lines[7:12], 10) && lines[12] == "" && lines[13] == " ctrl+c stops, cleans up and leaves"
			})
			x.resize(120, 24)
			leave(x)
			got := x.ends(interrupted)
			if len(got) != 10 {
				t.Fatalf("the output is %q", got)
			}
			slices.Sort(got[:8])
			for i, line := range got[:8] {
				if want := fmt.Sprintf("removed .downloading/%d", 10+i); line != want {
					t.Errorf("line %d is %q, want %q", i, line, want)
				}
			}
			if want := "removed .downloading"; got[8] != want {
				t.Errorf("in the end it is %q, want %q", got[8], want)
			}
			if text, _, _, _ := summary(t, got[9]); text != "10 of 100 downloaded, 90 stopped" {
				t.Errorf("the summary is %q", text)
			}
			if got, want := inDirectory(t, dir), strings.Fields("0 1 2 3 4 5 6 7 8 9"); !slices.Equal(got, want) {
				t.Errorf("the directory has %q, want %q", got, want)
			}
		})
	}
}

// shownHalf reports whether the lines are those of downloads, from the first on, that are half there.
func shownHalf(lines []string, first int) bool {
	for i, line := range lines {
		if !strings.HasPrefix(line, fmt.Sprintf(" %d ", first+i)) || !strings.Contains(line, "█░") || !strings.Contains(line, "  50%") {
			return false
		}
	}
	return true
}

// 10,000 coroutines, and the screen goes on between their turns.
func TestTenThousand(t *testing.T) {
	const n, whole, atOnce = 10_000, 200, 16
	dir := t.TempDir()
	x := runOnTerminal(t, 120, 40, append([]string{"-d", dir, "-p", strconv.Itoa(atOnce)}, files(t, n, whole, -1)...)...)
	x.shows("those that are half there", func(lines []string) bool {
		return strings.HasPrefix(lines[1], fmt.Sprintf(" %d of %d downloaded ", whole, n)) && shownHalf(lines[19:19+atOnce], whole)
	})
	x.press("\x03")
	got := x.ends(interrupted)
	text, turns, updates, most := summary(t, got[len(got)-1])
	if want := fmt.Sprintf("%d of %d downloaded, %d stopped", whole, n, n-whole); text != want {
		t.Errorf("the summary is %q, want %q", text, want)
	}
	if most != turnsInUpdate || turns < 2*n || updates < turns/turnsInUpdate {
		t.Errorf("%d turns in %d updates, at most %d in one; want two for each coroutine, and at most %d in one", turns, updates, most, turnsInUpdate)
	}
	if got := len(inDirectory(t, dir)); got != whole {
		t.Errorf("the directory has %d files, want %d", got, whole)
	}
}

// Whoever will not wait for clean-up does not have to.
func TestLeavingAtOnce(t *testing.T) {
	dir := t.TempDir()
	x := runOnTerminal(t, 80, 24, append([]string{"-d", dir, "-p", "2"}, files(t, 3, 0, -1)...)...)
	x.shows("two that are half there", func(lines []string) bool { return shownHalf(lines[7:9], 0) })
	x.press("\x03\x03")
	_ = x.program.Wait()
	if status := x.program.ProcessState.ExitCode(); status != interrupted {
		t.Errorf("the status is %d", status)
	}
}

// A second program leaves the directory alone.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	if err := lock(dir); err != nil {
		t.Fatal(err)
	}
	x := runOnTerminal(t, 250, 24, append([]string{"-d", dir}, files(t, 3, 3, -1)...)...)
	got := x.ends(broken)
	if text, _, _, _ := summary(t, got[len(got)-1]); text != "0 of 3 downloaded" {
		t.Errorf("the summary is %q", text)
	}
	if want := fmt.Sprintf("tui: another program downloads to %s; if none does, remove %s", dir, partial(dir)); got[0] != want {
		t.Errorf("the output is %q, want %q", got[0], want)
	}
	if got := inDirectory(t, dir); len(got) != 1 {
		t.Errorf("the directory has %q", got)
	}
}
