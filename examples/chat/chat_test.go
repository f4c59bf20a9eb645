package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// asProgram makes the test binary be the program.
const asProgram = "CHAT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// noLeaks fails the test if there are more goroutines after it than before.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

// A fixture is a server that is running.
type fixture struct {
	t      *testing.T
	addr   string
	log    bytes.Buffer // to be read when the server has stopped
	cancel context.CancelFunc
	served chan error
}

// start starts a server with so many places. It is stopped at the end of the test, if it has not been.
func start(t *testing.T, places int, opts ...tinyio.Option) *fixture {
	return startWith(t, places, nil, opts...)
}

// startWith is start with one command more.
func startWith(t *testing.T, places int, commands map[string]func(*server, *client) bool, opts ...tinyio.Option) *fixture {
	t.Helper()
	noLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, addr: l.Addr().String(), served: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	s := newServer(places, log.New(&f.log, "", 0))
	for name, c := range commands {
		s.commands[name] = c
	}
	go func() { f.served <- s.serve(ctx, l, opts...) }()
	t.Cleanup(func() { f.stop() })
	return f
}

// stop stops the server, and returns how long that took and its error.
func (f *fixture) stop() (time.Duration, error) {
	f.cancel()
	begin := time.Now()
	err := <-f.served
	f.served <- err // for those who ask again
	return time.Since(begin), err
}

// A user is a client of a server.
type user struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

// dial connects to a server, which asks for the name.
func dial(t *testing.T, addr string) *user {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second)) // so that a test that fails ends
	return &user{t, conn, bufio.NewReader(conn)}
}

// join connects to a server and joins it, where some are already.
func (f *fixture) join(name string) *user {
	f.t.Helper()
	u := dial(f.t, f.addr)
	u.want("* Welcome. What is your name?")
	u.say(name)
	u.want("* " + name + " joins")
	return u
}

func (u *user) say(lines ...string) {
	u.t.Helper()
	if _, err := io.WriteString(u.conn, strings.Join(lines, "\n")+"\n"); err != nil {
		u.t.Fatal(err)
	}
}

// want reads lines and compares them.
func (u *user) want(lines ...string) {
	u.t.Helper()
	for _, want := range lines {
		if got, err := u.lines.ReadString('\n'); err != nil || got != want+"\n" {
			u.t.Fatalf("the line is %q, %v, want %q", got, err, want)
		}
	}
}

// wantEnd wants that nothing more comes.
func (u *user) wantEnd() {
	u.t.Helper()
	if got, err := u.lines.ReadString('\n'); err != io.EOF || got != "" {
		u.t.Fatalf("the line is %q, %v, want the end", got, err)
	}
}

// What one says is told to everybody, in the same order, and so is who comes and goes.
func TestConversation(t *testing.T) {
	f := start(t, 10)
	ada := f.join("ada")
	bob := f.join("bob")
	ada.want("* bob joins")
	ada.say("hello")
	bob.want("<ada> hello")
	bob.say("hi", "", "  \x1b[31mall\xff \r", "/who", "/what")
	all := []string{"<ada> hello", "<bob> hi", "<bob> [31mall\uFFFD"}
	ada.want(all...)
	bob.want(all[1:]...)
	bob.want("* Here are: ada, bob", "* There are the commands /quit and /who.")
	bob.say("/quit")
	bob.want("* Goodbye.")
	bob.wantEnd()
	ada.want("* bob leaves")
	cy := f.join("cy")
	ada.want("* cy joins")
	cy.conn.Close()
	ada.want("* cy leaves")
	if _, err := f.stop(); err != nil || f.log.Len() > 0 {
		t.Errorf("the server ended with %v, and its log is %q", err, f.log.String())
	}
	ada.want("* The server is going down. Goodbye.")
	ada.wantEnd()
}

// A name is good and nobody else's, and is free again when its owner has left.
func TestNames(t *testing.T) {
	f := start(t, 10)
	ada := f.join("Ada")
	u := dial(t, f.addr)
	u.want("* Welcome. What is your name?")
	for _, name := range []string{"", "two words", "/quit", "*", strings.Repeat("x", maxName+1), strings.Repeat("x", 10*maxLine)} {
		u.say(name)
		u.want("* A name has 1 to 20 letters and digits. What is yours?")
	}
	u.say("ADA")
	u.want("* That is the name of somebody else. What is yours?")
	ada.say("/quit")
	ada.want("* Goodbye.")
	ada.wantEnd()
	u.say("ada")
	u.want("* ada joins")
}

// When several want the same name at the same time, one gets it.
func TestSameNameAtOnce(t *testing.T) {
	f := start(t, 100)
	const n = 20
	var users [n]*user
	for i := range users {
		users[i] = dial(t, f.addr)
		users[i].want("* Welcome. What is your name?")
	}
	var group sync.WaitGroup
	for _, u := range users {
		group.Go(func() { io.WriteString(u.conn, "ada\n") })
	}
	group.Wait()
	joined := 0
	for _, u := range users {
		line, err := u.lines.ReadString('\n')
		switch {
		case err == nil && line == "* ada joins\n":
			joined++
		case err != nil || line != "* That is the name of somebody else. What is yours?\n":
			t.Errorf("the answer is %q, %v", line, err)
		}
	}
	if joined != 1 {
		t.Errorf("%d have joined, want 1", joined)
	}
}

// A line that is too long is not told, and the next one is.
func TestLineTooLong(t *testing.T) {
	f := start(t, 10)
	ada := f.join("ada")
	ada.say(strings.Repeat("long", maxLine), "short")
	ada.want("* Your line was too long, and nobody has seen it.", "<ada> short")
}

// A client who does not read is dropped, everybody hears of it, and nobody else waits.
func TestSlowClient(t *testing.T) {
	f := start(t, 10)
	slow := f.join("slow")
	slow.conn.(*net.TCPConn).SetReadBuffer(4096)
	ada := f.join("ada")
	if line := chatter(ada); line != "* slow leaves, too slow\n" {
		t.Errorf("the line is %q", line)
	}
	ada.say("/who")
	ada.want("* Here are: ada")
}

// chatter has ada talk, and read what she says, until there is another line, which it returns.
func chatter(ada *user) (line string) {
	ada.t.Helper()
	text := strings.Repeat("x", maxLine-2)
	for {
		ada.say(text)
		line, err := ada.lines.ReadString('\n')
		if err != nil {
			ada.t.Fatal(err)
		}
		if line != "<ada> "+text+"\n" {
			ada.want("<ada> " + text)
			return line
		}
	}
}

// Whoever does not say who they are is sent away.
func TestShyClient(t *testing.T) {
	f := start(t, 10, tinyio.WithVirtualTime())
	u := dial(t, f.addr)
	u.want("* Welcome. What is your name?", "* You are too shy. Goodbye.")
	u.wantEnd()
}

// For those who come when all places are taken there is none, until somebody has left.
func TestPlaces(t *testing.T) {
	f := start(t, 1)
	ada := f.join("ada")
	bob := dial(t, f.addr)
	bob.want("* There is no place left. Come back later.")
	bob.wantEnd()
	ada.say("/quit")
	ada.want("* Goodbye.")
	ada.wantEnd()
	f.join("bob")
}

// When the server is stopped, everybody gets a goodbye, after what was said before, and it has gone within 2 seconds, although one
// does not read and one has not said who it is.
func TestGoodbye(t *testing.T) {
	f := start(t, 100)
	stuck := f.join("stuck")
	stuck.conn.(*net.TCPConn).SetReadBuffer(4096)
	var users []*user
	for i := range 20 {
		users = append(users, f.join(fmt.Sprintf("user%d", i)))
	}
	for i, u := range users {
		for j := range users[i+1:] {
			u.want(fmt.Sprintf("* user%d joins", i+1+j))
		}
	}
	shy := dial(t, f.addr)
	shy.want("* Welcome. What is your name?")
	text := strings.Repeat("x", maxLine-2)
	const lines = 20
	for range lines {
		users[0].say(text)
		for _, u := range users {
			u.want("<user0> " + text)
		}
	}
	took, err := f.stop()
	if err != nil || took > 2*time.Second || f.log.Len() > 0 {
		t.Errorf("the server ended with %v after %v, and its log is %q", err, took, f.log.String())
	}
	for _, u := range append(users, shy) {
		u.want("* The server is going down. Goodbye.")
		u.wantEnd()
	}
}

// A server goes within the time of grace, even if a client does not take its last lines.
func TestGoodbyeToStuckClient(t *testing.T) {
	full := func(s *server, c *client) bool { // fills the queues, but for one
		for range backlog - 1 {
			s.tell("%s", strings.Repeat("x", 1<<18))
		}
		return false
	}
	f := startWith(t, 10, map[string]func(*server, *client) bool{"/full": full})
	stuck := f.join("stuck")
	stuck.say("/full")
	one := make([]byte, 1)
	if _, err := io.ReadFull(stuck.conn, one); err != nil { // so it is being written
		t.Fatal(err)
	}
	took, err := f.stop()
	if err != nil || took < grace || took > 2*time.Second || f.log.Len() > 0 {
		t.Errorf("the server ended with %v after %v, and its log is %q", err, took, f.log.String())
	}
}

// A panic in a session ends that session.
func TestPanicInSession(t *testing.T) {
	f := startWith(t, 10, map[string]func(*server, *client) bool{"/bug": func(*server, *client) bool { panic("a bug") }})
	ada := f.join("ada")
	bob := f.join("bob")
	ada.want("* bob joins")
	bob.say("/bug")
	bob.wantEnd()
	ada.want("* bob leaves")
	f.join("bob")
	ada.want("* bob joins")
	if _, err := f.stop(); err != nil {
		t.Error(err)
	}
	if text := f.log.String(); !strings.Contains(text, "a bug") || !strings.Contains(text, "TestPanicInSession") {
		t.Errorf("the log is %q", text)
	}
}

// A failingListener fails with each of the errors.
type failingListener struct {
	net.Listener
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func (*failingListener) Close() error { return nil }

// What may pass is waited for. Anything else that is wrong with the listener ends the server.
func TestListenerThatFails(t *testing.T) {
	noLeaks(t)
	var text bytes.Buffer
	wrong := errors.New("something is wrong")
	l := &failingListener{errs: []error{syscall.EMFILE, &net.OpError{Op: "accept", Err: syscall.ECONNABORTED}, wrong}}
	err := newServer(1, log.New(&text, "", 0)).serve(t.Context(), l, tinyio.WithVirtualTime())
	if want := "too many open files\naccept: software caused connection abort\n"; !errors.Is(err, wrong) || text.String() != want {
		t.Errorf("the error is %v, and the log %q, want %q", err, text.String(), want)
	}
}

// SIGTERM ends the program well and soon, with a goodbye to everybody.
func TestProgram(t *testing.T) {
	noLeaks(t)
	cmd := exec.Command(os.Args[0], "-addr", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // unless it has ended
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "chat: listening on ")
	if err != nil || !ok {
		t.Fatalf("the program says %q, %v; %s", line, err, stderr.String())
	}
	f := &fixture{t: t, addr: addr}
	ada := f.join("ada")
	bob := f.join("bob")
	ada.want("* bob joins")
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, u := range []*user{ada, bob} {
		u.want("* The server is going down. Goodbye.")
		u.wantEnd()
	}
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("the program ended with %v; %s", err, stderr.String())
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestUsage(t *testing.T) {
	for status, args := range map[int][]string{0: {"-h"}, 1: {"-addr", "nowhere.invalid:x"}, 2: {"-max", "0"}} {
		var stdout, stderr strings.Builder
		if got := run(t.Context(), args, &stdout, &stderr); got != status || stdout.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("with %q the exit status is %d, want %d; it writes %q and %q", args, got, status, stdout.String(), stderr.String())
		}
	}
}
