// Package shoptest has the tests of the service, for each engine: the server is killed again and again.
//
// The test of a command has these two functions:
//
//	func TestMain(m *testing.M) { shoptest.Main(m, command) }
//
//	func testOrders(t *testing.T, args []string) { shoptest.Test(t, command) }
package shoptest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio/examples/orders/shop"
)

const asServer = "ORDERS_TEST_ARGS"

// Main is the TestMain of a test of a command: the server that is killed is the test itself, started again.
func Main(m *testing.M, c shop.Command) {
	if args := os.Getenv(asServer); args != "" {
		os.Args = append([]string{"orders"}, strings.Split(args, "\n")...)
		c.Main()
	}
	os.Exit(m.Run())
}

// Test tests a command. It is given flags of the engine.
func Test(t *testing.T, c shop.Command, args ...string) {
	t.Run("KilledUnderLoad", func(t *testing.T) { TestKilledUnderLoad(t, args...) })
	t.Run("Orders", func(t *testing.T) { testOrders(t, args) })
	t.Run("Stopped", func(t *testing.T) { testStopped(t, args) })
	t.Run("Status", func(t *testing.T) { testStatus(t, args) })
	t.Run("Usage", func(t *testing.T) { testUsage(t, c) })
}

// A service is the server in a process of its own, which can be killed and started again.
type service struct {
	t    *testing.T
	data string
	args []string
	url  atomic.Pointer[string]
	cmd  *exec.Cmd
	log  bytes.Buffer
}

func startService(t *testing.T, args []string, wait time.Duration) *service {
	t.Helper()
	s := &service{t: t, data: t.TempDir()}
	s.args = append([]string{"-addr", "127.0.0.1:0", "-data", s.data, "-wait", wait.String()}, args...)
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start starts the server, on another port than before.
func (s *service) start() {
	s.t.Helper()
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), asServer+"="+strings.Join(s.args, "\n"))
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "orders: listening on ")
	if err != nil || !ok {
		s.kill()
		s.t.Fatalf("the server says %q, %v\n%s", line, err, s.log.String())
	}
	s.url.Store(&url)
}

func (s *service) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// send sends a request, and returns the answer.
func (s *service) send(ctx context.Context, method, path string, body any) (status int, a shop.Answer, err error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, a, err
	}
	r, err := http.NewRequestWithContext(ctx, method, *s.url.Load()+path, bytes.NewReader(data))
	if err != nil {
		return 0, a, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, a, err
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, a, err
	}
	return resp.StatusCode, a, json.Unmarshal(data, &a)
}

// insist sends a request until it is answered: the server is killed now and then.
func (s *service) insist(method, path string, body any) (shop.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for {
		status, a, err := s.send(ctx, method, path, body)
		if err == nil && status < 500 {
			if status >= 300 {
				return a, fmt.Errorf("%s %s: %d: %s", method, path, status, a.Error)
			}
			return a, nil
		}
		select {
		case <-ctx.Done():
			return a, fmt.Errorf("%s %s is never answered: %w", method, path, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// done is what the services of others have done, by how often.
func (s *service) done() map[string]int {
	s.t.Helper()
	counts := map[string]int{}
	files, err := filepath.Glob(filepath.Join(s.data, "world", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range files {
		if filepath.Ext(name) == ".tmp" { // of a process that was killed
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		counts[strings.TrimSpace(string(data))]++
	}
	return counts
}

func (s *service) wantDone(what string, times int) {
	s.t.Helper()
	if n := s.done()[what]; n != times {
		s.t.Errorf("%s %d times, want %d", what, n, times)
	}
}

// TestKilledUnderLoad is the first test of Test: whatever becomes of the process, an order that was accepted is charged once and sent once, or not charged and released.
func TestKilledUnderLoad(t *testing.T, args ...string) {
	const orders = 30
	s := startService(t, args, time.Hour)
	var customers sync.WaitGroup
	for i := range orders {
		customers.Go(func() {
			path, item := fmt.Sprint("/orders/", i), fmt.Sprint("item ", i)
			_, err := s.insist("PUT", path, shop.Order{Item: item, Amount: 100 + i})
			if err == nil {
				time.Sleep(rand.N(200 * time.Millisecond)) // a customer takes time
				if i%3 == 0 {
					_, err = s.insist("DELETE", path, nil)
				} else {
					_, err = s.insist("POST", path+"/payment", shop.Payment{Card: "4711"})
				}
			}
			var a shop.Answer
			if err == nil {
				a, err = s.insist("GET", path+"?wait", nil)
			}
			switch {
			case err != nil:
				t.Error(err)
			case i%3 == 0 && a.Error != "cancelled by the customer", i%3 != 0 && a.Receipt == nil:
				t.Errorf("order %d has come to %+v", i, a)
			}
		})
	}
	over := make(chan struct{})
	go func() {
		customers.Wait()
		close(over)
	}()
	kills := 0
	for alive := true; alive; {
		select {
		case <-over:
			alive = false
		case <-time.After(50*time.Millisecond + rand.N(100*time.Millisecond)):
			if kills < 12 { // and then the rest comes to its end
				s.kill()
				s.start()
				kills++
			}
		}
	}
	t.Logf("killed %d times", kills)
	s.kill()
	for i := range orders {
		sent, released := 1, 0
		if i%3 == 0 {
			sent, released = 0, 1
		}
		s.wantDone(fmt.Sprint("reserved item ", i), 1)
		s.wantDone(fmt.Sprint("released item ", i), released)
		s.wantDone(fmt.Sprint("charged ", 100+i), sent)
		s.wantDone(fmt.Sprint("refunded ", 100+i), 0)
		s.wantDone(fmt.Sprint("sent item ", i), sent)
	}
	if s.log.Len() > 0 {
		t.Errorf("the server has complained:\n%s", s.log.String())
	}
}

func testOrders(t *testing.T, args []string) {
	late := startService(t, args, 200*time.Millisecond)
	s := startService(t, args, time.Hour)
	get := func(s *service, method, path string, body any) shop.Answer {
		t.Helper()
		a, err := s.insist(method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	get(late, "PUT", "/orders/late", shop.Order{Item: "hat", Amount: 20})
	if a := get(late, "GET", "/orders/late?wait", nil); !strings.Contains(a.Error, "timed out after 200ms") {
		t.Errorf("an order that nobody pays comes to %+v", a)
	}
	late.wantDone("released hat", 1)

	get(s, "PUT", "/orders/none", shop.Order{Item: "unicorn", Amount: 20})
	if a := get(s, "GET", "/orders/none?wait", nil); a.Error != "sold out" {
		t.Errorf("an order of what there is not comes to %+v", a)
	}

	get(s, "PUT", "/orders/poor", shop.Order{Item: "coat", Amount: 300})
	get(s, "POST", "/orders/poor/payment", shop.Payment{Card: "0"})
	if a := get(s, "GET", "/orders/poor?wait", nil); a.Error != "the card was refused" {
		t.Errorf("an order with a bad card comes to %+v", a)
	}
	s.wantDone("released coat", 1)
	s.wantDone("charged 300", 0)

	for path, want := range map[string]int{"/orders/unknown": 404, "/orders/unknown?wait": 404} {
		if status, _, err := s.send(t.Context(), "GET", path, nil); status != want || err != nil {
			t.Errorf("GET %s is %d, %v", path, status, err)
		}
	}
	for _, body := range []any{"no order", shop.Order{Item: "hat"}} {
		if status, _, err := s.send(t.Context(), "PUT", "/orders/bad", body); status != 400 || err != nil {
			t.Errorf("PUT of %v is %d, %v", body, status, err)
		}
	}
}

// A server that is asked to stop does so at once, though orders are under way, and these go on with the next one.
func testStopped(t *testing.T, args []string) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no such signal")
	}
	s := startService(t, args, time.Hour)
	if _, err := s.insist("PUT", "/orders/1", shop.Order{Item: "hat", Amount: 20}); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil || s.log.Len() > 0 {
		t.Fatalf("the server ends with %v\n%s", err, s.log.String())
	}
	s.start()
	if _, err := s.insist("POST", "/orders/1/payment", shop.Payment{Card: "4711"}); err != nil {
		t.Fatal(err)
	}
	a, err := s.insist("GET", "/orders/1?wait", nil)
	if err != nil || a.Receipt == nil || !strings.HasPrefix(a.Receipt.Charge, "charged 20 (1/") || !strings.HasPrefix(a.Receipt.Parcel, "sent hat (1/") {
		t.Errorf("the order is %+v, %v", a, err)
	}
}

// An order that is under way shows what it is doing.
func testStatus(t *testing.T, args []string) {
	s := startService(t, args, time.Hour)
	if _, err := s.insist("PUT", "/orders/1", shop.Order{Item: "hat", Amount: 20}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		a, err := s.insist("GET", "/orders/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.Join(a.Doing, "\n"), "receive payment") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the order is %+v", a)
		}
	}
}

func testUsage(t *testing.T, c shop.Command) {
	for args, want := range map[string]int{"-h": 0, "-no-such-flag": 2, "argument": 2} {
		if got := c.Run(t.Context(), []string{args}, io.Discard, io.Discard); got != want {
			t.Errorf("orders %s exits with %d, want %d", args, got, want)
		}
	}
}
