package tinyiorestate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
	"github.com/tinyio-go/tinyio/tinyiorestate"
	"github.com/tinyio-go/tinyio/tinyiorestate/internal/restateserver"
)

// A place is what a test and a program that it runs share, beside what the engine knows. Nothing that is not so in a replay depends on it.
type place struct {
	mu    sync.Mutex
	notes []string
	other atomic.Bool // the program has been changed
	hold  chan struct{}
}

func (p *place) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

func (p *place) noted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.notes)
}

type placeKey struct{}

func placeOf(co *tinyio.Co) *place { return co.Value(placeKey{}).(*place) }

// do makes a program without an input, and a result that is a string.
func do(name string, body func(co *tinyio.Co, p *place) (string, error)) {
	durable.Register(name, func(struct{}) *tinyio.Coro[string] {
		return tinyio.New(func(co *tinyio.Co) (string, error) { return body(co, placeOf(co)) }).Named(name)
	})
}

// step is a step that notes that it was taken.
func step(co *tinyio.Co, name string) error {
	p := placeOf(co)
	_, err := durable.Step(co, name, func(context.Context) (int, error) {
		p.note("%s", name)
		return 0, nil
	})
	return err
}

// A shop is an engine that is opened again in the same place.
type shop struct {
	t     *testing.T
	dir   string
	place *place
	*tinyiorestate.Engine
	configure []func(*tinyiorestate.Config)
}

func openShop(t *testing.T, configure ...func(*tinyiorestate.Config)) *shop {
	t.Helper()
	restateserver.Need(t)
	s := &shop{t: t, dir: t.TempDir(), place: &place{hold: make(chan struct{})}, configure: configure}
	before := runtime.NumGoroutine()
	s.open()
	t.Cleanup(func() {
		s.close()
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("%d goroutines are left, there were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
	return s
}

func (s *shop) open() {
	s.t.Helper()
	c, err := configFor(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	c.Context = context.WithValue(context.Background(), placeKey{}, s.place)
	for _, f := range s.configure {
		f(&c)
	}
	if s.Engine, err = tinyiorestate.Open(c); err == nil {
		err = s.Register(s.t.Context())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// client is an engine that serves nothing.
func (s *shop) client() *tinyiorestate.Engine {
	s.t.Helper()
	c, err := configFor(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	c.Listen = "-"
	e, err := tinyiorestate.Open(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

func (s *shop) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *shop) start(program, id string) *durable.Run[string] {
	s.t.Helper()
	r, err := durable.Start[struct{}, string](s.t.Context(), s, program, id, struct{}{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *shop) signal(id, name string, v any) {
	s.t.Helper()
	if err := durable.Signal(s.t.Context(), s, id, name, v); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) signalUnknown(id string) {
	s.t.Helper()
	if err := durable.Signal(s.t.Context(), s, id, "go on", 1); !errors.Is(err, durable.ErrUnknown) {
		s.t.Errorf("a signal to a run that is forgotten is %v", err)
	}
}

// want checks the result of a run.
func (s *shop) want(r *durable.Run[string], want string) {
	s.t.Helper()
	if v, err := r.Result(s.t.Context()); v != want || err != nil {
		s.t.Errorf("the result of %s is %q, %v; want %q", r.ID(), v, err, want)
	}
}

func (s *shop) wantNotes(want ...string) {
	s.t.Helper()
	if got := s.place.noted(); !slices.Equal(got, want) {
		s.t.Errorf("the steps were %q, want %q", got, want)
	}
}

// until waits until something that happens elsewhere has happened.
func (s *shop) until(what string, happened func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !happened(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: that does not happen; the steps were %q, and the runs are %v", what, s.place.noted(), s.infos())
		}
	}
}

// untilSuspended waits until the server has let go of a run: then everything that it has done is recorded, and nothing will happen by itself.
func (s *shop) untilSuspended(id string) {
	s.t.Helper()
	s.until(id+" is suspended", func() bool {
		for _, i := range s.infos() {
			if i.ID == id {
				_, status, _ := s.invocation(id)
				return status == "suspended"
			}
		}
		return false
	})
}

func (s *shop) infos() (all []durable.Info) {
	s.t.Helper()
	for i, err := range s.Runs(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, i)
	}
	return all
}

func (s *shop) info(id string) durable.Info {
	s.t.Helper()
	all := s.infos()
	i := slices.IndexFunc(all, func(i durable.Info) bool { return i.ID == id })
	if i < 0 {
		s.t.Fatalf("there is no run %q: %v", id, all)
	}
	return all[i]
}

// invocation is a run as the server sees it.
func (s *shop) invocation(id string) (invocation, status, failure string) {
	s.t.Helper()
	c, err := configFor(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	var found struct {
		Rows []struct {
			ID     string
			Status string
			Last   string `json:"last_failure"`
		}
	}
	err = query(fmt.Sprintf("SELECT id, status, last_failure FROM sys_invocation WHERE target_service_name = '%s' AND target_service_key = '%s' "+
		"AND target_handler_name = 'run'", c.Service, strings.ReplaceAll(id, "'", "''")), &found)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(found.Rows) != 1 {
		s.t.Fatalf("the server has %d runs %q", len(found.Rows), id)
	}
	return found.Rows[0].ID, found.Rows[0].Status, found.Rows[0].Last
}

// admin is what somebody does to a run with the tools of Restate: cancel, kill, pause.
func (s *shop) admin(id, what string) {
	s.t.Helper()
	i, _, _ := s.invocation(id)
	if err := admin("PATCH", "/invocations/"+i+"/"+what, nil, nil); err != nil {
		s.t.Fatal(err)
	}
}

// failures is what the server was last told about a run.
func (s *shop) failures(id string) string {
	s.t.Helper()
	_, _, failure := s.invocation(id)
	return failure
}

func init() {
	do("waits", func(co *tinyio.Co, p *place) (_ string, err error) {
		defer func() {
			err = errors.Join(err, co.Shield(time.Hour, func(co *tinyio.Co) error { return step(co, "cleaned up") }))
		}()
		if err := step(co, "begun"); err != nil {
			return "", err
		}
		return durable.Receive[string](co, "go on")
	})
	do("parent", func(co *tinyio.Co, p *place) (string, error) {
		return durable.Child[struct{}, string](co, "waits", "", struct{}{}).Await(co)
	})
}

// late counts the programs that were registered late.
var late atomic.Int32

// A run whose program nobody serves is tried again, until the server pauses it. Then it is stopped, and says why. Recover lets it go on.
func TestPaused(t *testing.T) {
	s := openShop(t)
	client := s.client()
	defer client.Close()
	program := fmt.Sprint("late ", late.Add(1))
	r, err := durable.Start[struct{}, string](t.Context(), client, program, "it's 1", struct{}{}) // which does not know what is served
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("no program %q is registered", program)
	s.until("it fails", func() bool { return strings.Contains(s.failures("it's 1"), want) })
	s.admin("it's 1", "pause")
	s.until("it is paused", func() bool { return s.info("it's 1").State == durable.Stopped })
	if _, err := r.Result(t.Context()); err == nil || !strings.Contains(err.Error(), `run "it's 1" cannot go on: `) {
		t.Errorf("the result of a run that is paused is %v", err)
	}
	do(program, func(*tinyio.Co, *place) (string, error) { return "at last", nil })
	if err := s.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(r, "at last")
	if i := s.info("it's 1"); i.State != durable.Succeeded || i.Program != program || i.Err != nil || time.Since(i.Started) > time.Hour {
		t.Errorf("the run is %+v", i)
	}
}

// To cancel a run by way of the server cancels its program, and its children.
func TestCancelledByTheServer(t *testing.T) {
	s := openShop(t)
	r := s.start("parent", "p")
	s.untilSuspended("p/1")
	s.admin("p", "cancel")
	if _, err := r.Result(t.Context()); err == nil || !strings.Contains(err.Error(), "cancelled by way of the server") {
		t.Errorf("the result is %v", err)
	}
	for id, state := range map[string]durable.State{"p": durable.Cancelled, "p/1": durable.Cancelled} {
		if i := s.info(id); i.State != state {
			t.Errorf("run %s is %+v", id, i)
		}
	}
	s.wantNotes("begun", "cleaned up")
}

// A run that was killed by way of the server has ended, and its program has not cleaned up.
func TestKilledByTheServer(t *testing.T) {
	s := openShop(t)
	r := s.start("waits", "k")
	s.untilSuspended("k")
	s.admin("k", "kill")
	if _, err := r.Result(t.Context()); err == nil || !strings.Contains(err.Error(), `run "k" was ended`) {
		t.Errorf("the result is %v", err)
	}
	if i := s.info("k"); i.State != durable.Cancelled || i.Err == nil {
		t.Errorf("the run is %+v", i)
	}
	s.wantNotes("begun")
}

func init() {
	do("holds", func(co *tinyio.Co, p *place) (held string, err error) {
		defer func() {
			err = errors.Join(err, co.Shield(time.Hour, func(co *tinyio.Co) error { return step(co, "cleaned up") }))
		}()
		return durable.Step(co, "hold", func(ctx context.Context) (string, error) {
			p.note("holds")
			select {
			case <-p.hold:
				return "held", nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		})
	})
}

// A program is unwound when its engine is closed, and nothing of it acts, in its deferred functions neither: it does not notice.
func TestClosedWithoutActing(t *testing.T) {
	s := openShop(t)
	r := s.start("holds", "h")
	s.until("it holds", func() bool { return len(s.place.noted()) == 1 })
	s.close()
	s.wantNotes("holds")
	close(s.place.hold)
	s.open()
	s.want(r, "held")
	s.wantNotes("holds", "holds", "cleaned up")
}

// A step that takes too long is given up, and taken again.
func TestStepTimeout(t *testing.T) {
	s := openShop(t, func(c *tinyiorestate.Config) { c.StepTimeout = 100 * time.Millisecond })
	r := s.start("holds", "h")
	s.until("it is taken again", func() bool { return len(s.place.noted()) > 1 })
	close(s.place.hold)
	s.want(r, "held")
}

// The server forgets a run some time after its end. Then the same id is another run.
func TestRetention(t *testing.T) {
	s := openShop(t, func(c *tinyiorestate.Config) { c.Retention = 100 * time.Millisecond })
	s.want(s.start("else", "r"), "fine")
	s.until("it is forgotten", func() bool {
		_, err := durable.Find[string](s, "r").Result(t.Context())
		return errors.Is(err, durable.ErrUnknown)
	})
	s.signalUnknown("r")
	close(s.place.hold)
	s.want(s.start("holds", "r"), "held")
}

// When a run waits for long the server lets go of it: its program is unwound, and nothing of it acts. It goes on when something comes.
func TestSuspended(t *testing.T) {
	s := openShop(t)
	r := s.start("waits", "w")
	s.untilSuspended("w")
	if status, err := s.Status(t.Context(), "w"); status == nil || len(status) > 0 || err != nil {
		t.Errorf("its status is %v, %v", status, err)
	}
	s.wantNotes("begun")
	s.signal("w", "go on", "at last")
	s.want(r, "at last")
	s.wantNotes("begun", "cleaned up")
	if status, err := s.Status(t.Context(), "w"); status != nil || err != nil {
		t.Errorf("in the end its status is %v, %v", status, err)
	}
}

func init() {
	do("many", func(co *tinyio.Co, p *place) (string, error) {
		var cs []*tinyio.Coro[int]
		for i := range 50 {
			cs = append(cs, tinyio.RunInThread(func(ctx context.Context) (int, error) {
				p.note("%d", i)
				select {
				case <-p.hold:
					return i, nil
				case <-ctx.Done():
					p.note("put aside: %v", errors.Is(context.Cause(ctx), tinyio.ErrAbandoned))
					return 0, context.Cause(ctx)
				}
			}))
		}
		all, err := tinyio.Gather(co, cs...)
		sum := 0
		for _, v := range all {
			sum += v
		}
		return fmt.Sprint(sum), err
	})
}

// Steps that are under way when the engine is closed are waited for, and taken again. Of what the SDK has started for them nothing is left.
func TestManyStepsPutAside(t *testing.T) {
	s := openShop(t)
	r := s.start("many", "m")
	s.until("all steps are under way", func() bool { return len(s.place.noted()) == 50 })
	s.close()
	notes := s.place.noted()
	if len(notes) != 100 || slices.Contains(notes, "put aside: false") {
		t.Errorf("the steps were %q", notes)
	}
	s.open()
	close(s.place.hold)
	s.want(r, "1225")
}

func init() {
	do("changed", func(co *tinyio.Co, p *place) (string, error) {
		other := p.other.Load() // as if it was another program
		if err := step(co, "first"); err != nil {
			return "", err
		}
		v := -1
		if other {
			var err error
			if v, err = durable.Version(co, "change", 0, 2); err != nil {
				return "", err
			}
		}
		if err := step(co, "second"); err != nil {
			return "", err
		}
		if _, err := durable.Receive[int](co, "go on"); err != nil {
			return "", err
		}
		late, err := durable.Version(co, "late change", 0, 3)
		return fmt.Sprint(v, late), err
	})
	do("another", func(co *tinyio.Co, p *place) (string, error) {
		name := "a step"
		if p.other.Load() {
			name = "another step"
		}
		if err := step(co, name); err != nil {
			return "", err
		}
		return durable.Receive[string](co, "go on")
	})
}

// A run that was beyond the place of a change before that was made has the old version, and any other the new one, also when it is replayed.
func TestVersion(t *testing.T) {
	s := openShop(t)
	before := s.start("changed", "before")
	s.untilSuspended("before")
	s.close()
	s.place.other.Store(true)
	s.open()
	after := s.start("changed", "after")
	s.untilSuspended("after")
	s.close()
	s.open()
	s.signal("before", "go on", 1)
	s.signal("after", "go on", 1)
	s.want(before, "0 3")
	s.want(after, "2 3")
}

// A program that does not do what it did is stopped, and nothing has happened: when the old one is back it goes on.
func TestAnotherProgram(t *testing.T) {
	s := openShop(t)
	r := s.start("another", "a")
	s.untilSuspended("a")
	s.close()
	s.place.other.Store(true)
	s.open()
	s.signal("a", "go on", "there")
	_, err := r.Result(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another step") || !strings.Contains(err.Error(), "a step") {
		t.Errorf("the result is %v", err)
	}
	if i := s.info("a"); i.State != durable.Stopped || i.Err == nil {
		t.Errorf("the run is %+v", i)
	}
	s.close()
	s.place.other.Store(false)
	s.open()
	if err := s.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(r, "there")
	s.wantNotes("a step")
}

func init() {
	do("busy", func(co *tinyio.Co, p *place) (string, error) {
		if _, err := tinyio.RunInThread(func(context.Context) (int, error) { return 0, nil }).Await(co); err != nil {
			return "", err
		}
		began, turns := co.Now(), 0
		_, err := tinyio.Timeout(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			for {
				turns++
				if err := co.Yield(); err != nil {
					return 0, err
				}
			}
		}), 20*time.Millisecond)
		if !errors.Is(err, tinyio.ErrTimeout) {
			return "", err
		}
		return fmt.Sprint(co.Now().Sub(began), turns >= 1000), nil
	})
	do("exits", func(co *tinyio.Co, p *place) (string, error) {
		_, err := tinyio.Isolate(co, tinyio.New(func(co *tinyio.Co) (int, error) {
			return durable.Step(co, "exits", func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		}))
		return fmt.Sprint(err), nil
	})
	do("is exited", func(co *tinyio.Co, p *place) (string, error) {
		if err := co.Yield(); err != nil {
			return "", err
		}
		runtime.Goexit()
		return "", nil
	})
	do("panics", func(co *tinyio.Co, p *place) (string, error) { panic("out of cheese") })
	do("hears", func(co *tinyio.Co, p *place) (string, error) {
		busy := tinyio.RunInThread(func(ctx context.Context) (int, error) { // so that the server does not let go of the run
			<-ctx.Done()
			return 0, context.Cause(ctx)
		})
		if err := co.SpawnDaemon(busy); err != nil {
			return "", err
		}
		return tinyio.FromCallback(func(done func(string, error)) func(error) {
			go func() {
				<-p.hold
				done("news", nil)
			}()
			return nil
		}).Await(co)
	})
}

// Time passes in a program that is busy.
func TestBusy(t *testing.T) {
	s := openShop(t)
	s.want(s.start("busy", "b"), "20ms true")
}

// A step that calls runtime.Goexit has failed, and so has a program that does; a program that panics has too.
func TestExits(t *testing.T) {
	s := openShop(t)
	r := s.start("exits", "e")
	if v, err := r.Result(t.Context()); err != nil || !strings.Contains(v, "Goexit") {
		t.Errorf("the result is %q, %v", v, err)
	}
	for program, want := range map[string]string{"is exited": "runtime.Goexit", "panics": "out of cheese"} {
		if _, err := s.start(program, program).Result(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v", program, err)
		}
		if i := s.info(program); i.State != durable.Failed {
			t.Errorf("%s: %+v", program, i)
		}
	}
}

// What comes to a program that waits, and is not recorded, stops it with a sentence that says so.
func TestNotRecorded(t *testing.T) {
	s := openShop(t)
	s.start("hears", "h")
	s.until("it waits", func() bool {
		status, err := s.Status(t.Context(), "h") // which is answered while it does
		return len(status) > 0 && err == nil
	})
	s.place.hold <- struct{}{}
	s.until("the server is told", func() bool { return strings.Contains(s.failures("h"), "that is not recorded") })
	s.admin("h", "kill")
	close(s.place.hold)
}

func init() {
	durable.Register("counts", func(n int) *tinyio.Coro[[]int] {
		return tinyio.New(func(co *tinyio.Co) (all []int, err error) {
			for len(all) < n {
				i, err := durable.Receive[int](co, "n")
				if err != nil {
					return nil, err
				}
				all = append(all, i)
			}
			return all, nil
		})
	})
}

// Signals of many senders arrive once, and those of one in the order in which it has sent them.
func TestManySenders(t *testing.T) {
	const senders, each = 8, 10
	s := openShop(t)
	r, err := durable.Start[int, []int](t.Context(), s, "counts", "c", senders*each)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for sender := range senders {
		all.Go(func() {
			for i := range each {
				if err := durable.Signal(t.Context(), s, "c", "n", sender*100+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got, err := r.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := map[int]int{}
	for _, v := range got {
		if v%100 != next[v/100] {
			t.Fatalf("sender %d: %d came when %d was due: %v", v/100, v%100, next[v/100], got)
		}
		next[v/100]++
	}
	if len(got) != senders*each {
		t.Errorf("%d signals came: %v", len(got), got)
	}
}

// A process that serves nothing starts runs and asks for them. So can whoever makes the requests of the documentation.
func TestElsewhere(t *testing.T) {
	s := openShop(t)
	client := s.client()
	defer client.Close()
	if err := client.Register(t.Context()); err == nil {
		t.Error("an engine that serves nothing was registered")
	}
	if _, err := durable.Start[struct{}, string](t.Context(), client, "waits", "1", struct{}{}); err != nil {
		t.Fatal(err)
	}
	if err := durable.Signal(t.Context(), client, "1", "go on", "there"); err != nil {
		t.Fatal(err)
	}
	s.want(durable.Find[string](client, "1"), "there")

	c, err := configFor(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.HTTP.CloseIdleConnections()
	request := func(method, path, body string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://ingress"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		resp, err := c.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s, %v: %s", method, path, resp.Status, err, data)
		}
		return string(data)
	}
	request("POST", "/"+c.Service+"/2/run/send", `{"program": "waits", "input": {}}`)
	s.until("the run has begun", func() bool { return len(s.place.noted()) == 3 })
	request("POST", "/"+c.Service+"/2/send", `{"signal": "go on", "value": "here"}`)
	if got := request("GET", "/restate/workflow/"+c.Service+"/2/attach", ""); got != `"here"` {
		t.Errorf("the result is %s", got)
	}
}

// When the server does not answer, a call ends after some time, or with its context.
func TestNoServer(t *testing.T) {
	e, err := tinyiorestate.Open(tinyiorestate.Config{Ingress: "http://127.0.0.1:1", Admin: "http://127.0.0.1:1", Listen: "-", Patience: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.Signal(t.Context(), e, "x", "y", 1); err == nil || !strings.Contains(err.Error(), "given up after 20ms") {
		t.Errorf("the error is %v", err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := durable.Signal(ctx, e, "x", "y", 1); !errors.Is(err, cause) {
		t.Errorf("the error is %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := durable.Signal(t.Context(), e, "x", "y", 1); !errors.Is(err, durable.ErrClosed) {
		t.Errorf("the error is %v", err)
	}
	if _, err := tinyiorestate.Open(tinyiorestate.Config{Service: "a service"}); err == nil {
		t.Error("a service may be called so")
	}
}

func init() {
	durable.Register("fan", func(n int) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			var cs []*tinyio.Coro[int]
			for i := range n {
				cs = append(cs, tinyio.RunInThread(func(context.Context) (int, error) { return i, nil }))
			}
			all, err := tinyio.Gather(co, cs...)
			sum := 0
			for _, v := range all {
				sum += v
			}
			return sum, err
		})
	})
}

// A run may wait for more things at once than the server takes for usual.
func TestWide(t *testing.T) {
	s := openShop(t)
	r, err := durable.Start[int, int](t.Context(), s, "fan", "f", 1100)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := r.Result(t.Context()); v != 1100*1099/2 || err != nil {
		t.Errorf("the result is %d, %v", v, err)
	}
}

func init() {
	do("gives up", func(co *tinyio.Co, p *place) (string, error) {
		_, err := tinyio.Timeout(co, durable.Child[struct{}, string](co, "waits", "", struct{}{}), 20*time.Millisecond)
		var timeout *tinyio.TimeoutError
		if !errors.As(err, &timeout) || len(timeout.Cleanup) > 0 {
			return "", fmt.Errorf("no clean timeout: %w", err)
		}
		_, err = tinyio.Isolate(co, durable.Child[struct{}, string](co, "waits", "taken", struct{}{}))
		return fmt.Sprint(err), nil
	})
}

// A child that its parent does not wait for any more is cancelled, and the parent waits for its end. The id of another run is no child's.
func TestChildren(t *testing.T) {
	s := openShop(t)
	s.want(s.start("else", "taken"), "fine")
	s.want(s.start("gives up", "p"), `durable: Start: run "taken" is one of program "else", not of "waits"; give each run an id of its own`)
	if i := s.info("p/1"); i.State != durable.Cancelled {
		t.Errorf("the child is %+v", i)
	}
	if notes := s.place.noted(); !slices.Contains(notes, "cleaned up") {
		t.Errorf("the child has not cleaned up: %q", notes)
	}
}

func init() {
	do("else", func(*tinyio.Co, *place) (string, error) { return "fine", nil })
}
