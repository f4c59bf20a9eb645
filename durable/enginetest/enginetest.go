// Package enginetest is a suite of tests that every engine of package durable passes.
//
// The test of an engine has these two functions:
//
//	var config = enginetest.Config{Open: …}
//
//	func TestMain(m *testing.M) { enginetest.Main(m, config) }
//
//	func TestEngine(t *testing.T) { enginetest.Test(t, config) }
package enginetest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// An Engine is one that can be opened again.
type Engine interface {
	durable.Engine
	Recover(ctx context.Context) error
	Close() error
}

// A Config is what the suite has to know of an engine.
type Config struct {
	// Open opens the engine that keeps its runs in a directory, for the first time or again.
	Open func(dir string) (Engine, error)
	// Steps returns the steps of a run of which the engine has a record, in the order in which they were recorded. It may be nil if there is no way
	// to know.
	Steps func(e Engine, id string) ([]Step, error)
	// Pace is how much longer, at random, the engine is open each time before it is closed and opened again: 10 ms if it is 0. It is to be more if the
	// programs take longer than some hundred milliseconds.
	Pace time.Duration
	// Volatile says that nothing is left of an engine that was closed: then it is not opened again, and no process is killed.
	Volatile bool
	// Without are the names of programs that are left out, of an engine that takes too long over them.
	Without []string
	// Disturb does to the engine what it survives besides: it kills a server and starts it again, for example. The suite calls it while the
	// programs run. It may be nil.
	Disturb func() error
}

// A Step is one that an engine has recorded.
type Step struct {
	Number int // in its run
	Name   string
}

var kills = flag.Int("kills", 0, "how often the test of an engine kills the process; 0 is as often as it can in some seconds")

// patience is how long the process is killed again and again if nobody asks for more.
const patience = 4 * time.Second

const childDir = "DURABLE_ENGINETEST_DIR"

// Main is the TestMain of a test of an engine: the process that is killed is the test itself, started again.
func Main(m *testing.M, c Config) {
	flag.Parse()
	if dir := os.Getenv(childDir); dir != "" {
		if err := c.child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Test tests an engine.
func Test(t *testing.T, c Config) {
	t.Run("Undisturbed", c.testUndisturbed)
	if !c.Volatile {
		t.Run("OpenedAgain", c.testOpenedAgain)
		t.Run("Killed", c.testKilled)
	}
	if c.Disturb != nil {
		t.Run("Disturbed", c.testDisturbed)
	}
	t.Run("SameID", c.testSameID)
	t.Run("Unknown", c.testUnknown)
}

// id is the id of the run of a program of the suite.
func (p program) id() string { return "run of " + p.name }

// programs are those that run.
func (c Config) programs() []program {
	return slices.DeleteFunc(slices.Clone(programs), func(p program) bool { return slices.Contains(c.Without, p.name) })
}

// start starts all programs, or finds them, and does what they need from outside. It returns the results by the names of the programs.
func (c Config) start(ctx context.Context, e Engine, dir string) (map[string]string, error) {
	var mu sync.Mutex
	results, failures := map[string]string{}, []error(nil)
	var all sync.WaitGroup
	for _, p := range c.programs() {
		all.Go(func() {
			result, err := p.run(ctx, e, dir)
			mu.Lock()
			defer mu.Unlock()
			results[p.name] = result
			if err != nil {
				failures = append(failures, fmt.Errorf("%s: %w", p.name, err))
			}
		})
	}
	all.Wait()
	return results, errors.Join(failures...)
}

// run starts p, and returns its result when it has ended.
func (p program) run(ctx context.Context, e Engine, dir string) (string, error) {
	r, err := durable.Start[input, string](ctx, e, "enginetest."+p.name, p.id(), input{dir})
	if err != nil {
		return "", err
	}
	for _, s := range p.signals {
		if err := durable.Signal(ctx, e, p.id(), s.name, s.value); err != nil && !errors.Is(err, durable.ErrEnded) {
			return "", err
		}
	}
	if p.cancel != "" {
		for !hasEffect(dir, p.id(), "waits") {
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			time.Sleep(time.Millisecond) // there is no other way to hear of what another process may have done
		}
		if err := r.Cancel(ctx, errors.New(p.cancel)); err != nil {
			return "", err
		}
	}
	result, err := r.Result(ctx)
	if err == nil {
		return result, nil
	}
	var again *tinyio.Error
	if !errors.As(err, &again) { // what a program has returned has a trace; anything else is a failure of the engine
		return "", err
	}
	return err.Error(), nil
}

// effects returns how often each step has had its effect, by the run and the name, and the keys that it was given.
func effects(dir string) (counts map[string]int, keys map[string]map[string]bool) {
	counts, keys = map[string]int{}, map[string]map[string]bool{}
	data, _ := os.ReadFile(filepath.Join(dir, "effects"))
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			continue // the process was killed meanwhile
		}
		name := fields[0] + "\t" + fields[1]
		counts[name]++
		if keys[name] == nil {
			keys[name] = map[string]bool{}
		}
		keys[name][fields[2]] = true
	}
	return counts, keys
}

func hasEffect(dir, run, name string) bool {
	counts, _ := effects(dir)
	return counts[run+"\t"+name] > 0
}

// check checks the results of all programs, and what they have left.
func (c Config) check(t *testing.T, e Engine, dir string, results map[string]string, once bool) {
	t.Helper()
	counts, keys := effects(dir)
	for _, p := range c.programs() {
		if results[p.name] != p.want {
			t.Errorf("%s: the result is %q, want %q", p.name, results[p.name], p.want)
		}
		for _, name := range p.effects {
			full := p.id() + "\t" + name
			switch n := counts[full]; {
			case n == 0:
				t.Errorf("%s: step %q never had its effect", p.name, name)
			case once && n > 1:
				t.Errorf("%s: step %q had its effect %d times", p.name, name, n)
			case len(keys[full]) > 1:
				t.Errorf("%s: step %q was given several keys: %v", p.name, name, keys[full])
			}
		}
		if c.Steps == nil {
			continue
		}
		steps, err := c.Steps(e, p.id())
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		taken := map[int]bool{}
		for _, s := range steps {
			if taken[s.Number] {
				t.Errorf("%s: step %d was recorded twice: %v", p.name, s.Number, steps)
			}
			taken[s.Number] = true
		}
		for _, name := range p.effects {
			if p.name != "pool" && p.name != "retries" && !slices.ContainsFunc(steps, func(s Step) bool { return s.Name == name }) { // their steps have names of functions
				t.Errorf("%s: step %q was not recorded: %v", p.name, name, steps)
			}
		}
	}
	for info, err := range e.Runs(t.Context()) {
		if err != nil {
			t.Error(err)
		} else if !info.State.Ended() {
			t.Errorf("%s is %s: %v", info.ID, info.State, info.Err)
		}
	}
}

// open opens the engine, and closes it at the end of the test.
func (c Config) open(t *testing.T, dir string) Engine {
	t.Helper()
	e, err := c.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// leavesNothing checks that no goroutine is left when the test and its clean-ups are over.
func leavesNothing(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Errorf("%d goroutines are left, there were %d:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	})
}

// Each program comes to its result, and each step has its effect once.
func (c Config) testUndisturbed(t *testing.T) {
	leavesNothing(t)
	dir := t.TempDir()
	e := c.open(t, filepath.Join(dir, "engine"))
	results, err := c.start(t.Context(), e, dir)
	if err != nil {
		t.Fatal(err)
	}
	c.check(t, e, dir, results, true)
}

// Each program comes to the same result when the engine is closed again and again.
func (c Config) testOpenedAgain(t *testing.T) {
	leavesNothing(t)
	dir := t.TempDir()
	for round := 0; ; round++ {
		e := c.open(t, filepath.Join(dir, "engine"))
		if err := e.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		closed := make(chan struct{})
		closer := time.AfterFunc(rand.N(time.Duration(round+1)*cmp.Or(c.Pace, 10*time.Millisecond)), func() {
			defer close(closed)
			cancel()
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
		results, err := c.start(ctx, e, dir)
		if closer.Stop() {
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("opened %d times", round+1)
			c.check(t, e, dir, results, false)
			return
		}
		<-closed
	}
}

// child is the process that is killed: it goes on with what there is, and writes the results.
func (c Config) child(dir string) error {
	e, err := c.Open(filepath.Join(dir, "engine"))
	if err != nil {
		return err
	}
	if err := e.Recover(context.Background()); err != nil {
		return err
	}
	results, err := c.start(context.Background(), e, dir)
	if err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	out, err := json.Marshal(results)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(out)
	return err
}

// Each program comes to the same result when the process is killed again and again, and each step is recorded once.
func (c Config) testKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	leavesNothing(t)
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	usual := time.Now()
	if _, ended := runChild(t, exe, t.TempDir(), 3*time.Minute); !ended {
		t.Fatal("the process does not come to its end in three minutes")
	}
	limit := time.Since(usual) * 3 / 4 // the last process has little to do, and comes to its end
	killed, rounds := 0, 0
	for began := time.Now(); killed < *kills || *kills == 0 && time.Since(began) < patience; {
		dir := t.TempDir()
		rounds++
		results := map[string]string{}
		for patience := limit; ; patience += patience / 8 { // more each time, in case the machine has become slower meanwhile
			out, ended := runChild(t, exe, dir, rand.N(patience))
			if ended {
				if err := json.Unmarshal(out, &results); err != nil {
					t.Fatalf("the process has written %q: %v", out, err)
				}
				break
			}
			killed++
		}
		e, err := c.Open(filepath.Join(dir, "engine"))
		if err != nil {
			t.Fatal(err)
		}
		c.check(t, e, dir, results, false)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("killed %d times, in %d rounds", killed, rounds)
}

// runChild starts the process, and kills it after a time, unless it has ended.
func runChild(t *testing.T, exe, dir string, after time.Duration) (out []byte, ended bool) {
	t.Helper()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err == nil {
		return stdout.Bytes(), true
	}
	if cmd.ProcessState.ExitCode() == 1 || stderr.Len() > 0 {
		t.Fatalf("the process has failed: %v\n%s", cmd.ProcessState, stderr.String())
	}
	return nil, false
}

// Each program comes to the same result when the engine is disturbed some times.
func (c Config) testDisturbed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	leavesNothing(t)
	dir := t.TempDir()
	e := c.open(t, filepath.Join(dir, "engine"))
	over := make(chan struct{})
	disturbed := make(chan int)
	go func() {
		n := 0
		defer func() { disturbed <- n }()
		for ; n < 5; n++ {
			select {
			case <-over:
				return
			case <-time.After(rand.N(300 * time.Millisecond)):
			}
			if err := c.Disturb(); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	results, err := c.start(t.Context(), e, dir)
	close(over)
	t.Logf("disturbed %d times", <-disturbed)
	if err != nil {
		t.Fatal(err)
	}
	c.check(t, e, dir, results, false)
}

// The same id is the same run, and the id of a run of another program is an error.
func (c Config) testSameID(t *testing.T) {
	leavesNothing(t)
	dir := t.TempDir()
	e := c.open(t, filepath.Join(dir, "engine"))
	for range 3 {
		r, err := durable.Start[input, string](t.Context(), e, "enginetest.shared", "x", input{dir})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Result(t.Context()); got != "left 1, right 1" || err != nil {
			t.Errorf("the result is %q, %v", got, err)
		}
	}
	if counts, _ := effects(dir); counts["x\tshared"] != 1 {
		t.Errorf("the step was taken %d times", counts["x\tshared"])
	}
	if _, err := durable.Start[input, string](t.Context(), e, "enginetest.steps", "x", input{dir}); err == nil {
		t.Error("another program was started with the same id")
	}
	if err := durable.Find[string](e, "x").Cancel(t.Context(), nil); err != nil {
		t.Errorf("to cancel what has ended is %v", err)
	}
	if err := durable.Signal(t.Context(), e, "x", "say", 1); !errors.Is(err, durable.ErrEnded) {
		t.Errorf("a signal to what has ended is %v", err)
	}
}

// What there is not is an error.
func (c Config) testUnknown(t *testing.T) {
	leavesNothing(t)
	e := c.open(t, t.TempDir())
	if _, err := durable.Start[int, int](t.Context(), e, "enginetest.no such program", "x", 1); err == nil {
		t.Error("a program was started that is not registered")
	}
	if _, err := durable.Find[int](e, "y").Result(t.Context()); !errors.Is(err, durable.ErrUnknown) {
		t.Errorf("the result of an unknown run is %v", err)
	}
	if err := durable.Find[int](e, "y").Cancel(t.Context(), nil); !errors.Is(err, durable.ErrUnknown) {
		t.Errorf("to cancel an unknown run is %v", err)
	}
	if err := durable.Signal(t.Context(), e, "y", "say", 1); !errors.Is(err, durable.ErrUnknown) {
		t.Errorf("a signal to an unknown run is %v", err)
	}
	for info := range e.Runs(t.Context()) {
		t.Errorf("there is a run: %v", info)
	}
}

// Steps returns the steps in a history that was exported from a [durable.Journal], in order.
func Steps(history []byte) (steps []Step, err error) {
	lines := bufio.NewScanner(bytes.NewReader(history))
	lines.Buffer(nil, len(history)+1)
	for lines.Scan() {
		var r struct {
			K, N string
			S    int
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		if r.K == "step" {
			steps = append(steps, Step{r.S, r.N})
		}
	}
	return steps, lines.Err()
}
