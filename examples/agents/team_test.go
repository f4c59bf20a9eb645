package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/examples/agents/agent"
	"github.com/tinyio-go/tinyio/examples/agents/groups"
	"github.com/tinyio-go/tinyio/tinyiotest"
)

// A team is what the tests are for.
type team interface {
	Run(ctx context.Context, names ...string) ([]string, error)
	Stop(ctx context.Context, name string) error
}

// teams are those that the tests run against.
var teams = map[string]func(*agent.Model, io.Writer, int) team{
	"tinyio": func(model *agent.Model, out io.Writer, budget int) team { return NewTeam(fake{model}, out, budget) },
	"groups": func(model *agent.Model, out io.Writer, budget int) team {
		return groups.NewTeam(goroutineFake{model}, out, budget)
	},
}

// A goroutineFake is a model that plays a script for goroutines.
type goroutineFake struct{ *agent.Model }

func (f goroutineFake) Reply(ctx context.Context, task string, known []string, emit func(string) error) (agent.Reply, error) {
	sleep := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return f.Play(task, known, sleep, emit)
}

// A timedWriter takes down what is written, and when.
type timedWriter struct {
	start time.Time
	texts []string
	fails error // with what a write fails
}

func (w *timedWriter) Write(p []byte) (int, error) {
	if w.fails != nil {
		return 0, w.fails
	}
	w.texts = append(w.texts, fmt.Sprint(time.Since(w.start).Milliseconds(), " ", strings.TrimSpace(string(p))))
	return len(p), nil
}

const ms = time.Millisecond

var (
	errModel  = errors.New("the model is overloaded")
	errPipe   = errors.New("nobody reads the output")
	errEnough = errors.New("no longer wanted")
)

// The tokens of a script come at different times, so that those who do one thing in goroutines print them in the same order.
func TestTeam(t *testing.T) {
	for _, test := range []struct {
		name    string
		script  map[string][]agent.Step
		tasks   []string
		budget  int
		stop    string // the task to stop from outside, if any,
		at      time.Duration
		limit   time.Duration // when the caller gives up, if ever
		fails   error         // with what writes fail
		results []string
		err     error  // that of the run is this
		text    string // and says this
		printed []string
		ends    time.Duration
		calls   map[string]int // how often the model was asked
	}{
		{
			name: "what several tasks need is done once",
			script: map[string][]agent.Step{
				"report": {
					{Says: "two things", Takes: 10 * ms, Needs: []string{"a", "b"}},
					{Says: "done", Takes: 10 * ms},
				},
				"a":       {{Says: "history?", Takes: 3 * ms, Needs: []string{"history"}}, {Says: "A", Takes: 3 * ms}},
				"b":       {{Says: "history?", Takes: 5 * ms, Needs: []string{"history"}}, {Says: "B", Takes: 5 * ms}},
				"history": {{Says: "long ago", Takes: 100 * ms}},
			},
			tasks:   []string{"report"},
			budget:  100,
			results: []string{"done [A [long ago]; B [long ago]]"},
			printed: []string{"10 report: two", "20 things", "23 a: history?", "25 b: history?", "123 history: long", "223 ago",
				"226 a: A", "228 b: B", "238 report: done"},
			ends:  238 * ms,
			calls: map[string]int{"report": 2, "a": 2, "b": 2, "history": 1},
		},
		{
			name: "all stop when the budget is spent",
			script: map[string][]agent.Step{
				"a": {{Says: "1 2 3 4", Takes: 10 * ms}},
				"b": {{Says: "x y", Takes: 22 * ms, Needs: []string{"c"}}, {Says: "z"}},
				"c": {{Says: "forever", Takes: time.Hour}},
			},
			tasks:   []string{"a", "b"},
			budget:  4,
			err:     agent.ErrBudget,
			text:    "the budget is spent",
			printed: []string{"10 a: 1", "20 2", "22 b: x", "30 a: 3"},
			ends:    40 * ms,
			calls:   map[string]int{"a": 1, "b": 1, "c": 0},
		},
		{
			name: "a task that fails, or panics, is started again after a while, and the others do not notice",
			script: map[string][]agent.Step{
				"a": {{Says: "one", Takes: 10 * ms, Fails: errModel}, {Says: "two", Takes: 10 * ms, Panics: true}, {Says: "three", Takes: 10 * ms}},
				"b": {{Says: "x y", Takes: 1005 * ms}},
			},
			tasks:   []string{"a", "b"},
			budget:  100,
			results: []string{"three", "x y"},
			printed: []string{"10 a: one", "1005 b: x", "1020 a: two", "2010 b: y", "3030 a: three"},
			ends:    3030 * ms,
			calls:   map[string]int{"a": 3, "b": 1},
		},
		{
			name: "a task that fails again and again stops all",
			script: map[string][]agent.Step{
				"a": {{Needs: []string{"b"}}},
				"b": {{Says: "no", Takes: 10 * ms, Fails: errModel}},
				"c": {{Says: "forever", Takes: time.Hour}},
			},
			tasks:   []string{"c", "a"},
			budget:  100,
			err:     errModel,
			text:    "the model is overloaded",
			printed: []string{"10 b: no", "1020 no", "3030 no", "7040 no"},
			ends:    7040 * ms,
			calls:   map[string]int{"a": 1, "b": 4, "c": 1},
		},
		{
			name: "one is stopped from outside, with what only that needs, and the others go on",
			script: map[string][]agent.Step{
				"report": {{Needs: []string{"a", "b"}}, {Says: "done", Takes: 1 * ms}},
				"a":      {{Needs: []string{"own", "shared"}}},
				"b":      {{Needs: []string{"shared"}}, {Says: "B", Takes: 10 * ms}},
				"own":    {{Says: "1 2 3 4 5", Takes: 10 * ms}},
				"shared": {{Says: "x y z", Takes: 14 * ms}},
			},
			tasks:   []string{"report"},
			budget:  100,
			stop:    "a",
			at:      25 * ms,
			results: []string{"done [(stopped); B [x y z]]"},
			printed: []string{"10 own: 1", "14 shared: x", "20 own: 2", "28 shared: y", "42 z", "52 b: B", "53 report: done"},
			ends:    53 * ms,
			calls:   map[string]int{"report": 2, "a": 1, "b": 2, "own": 1, "shared": 1},
		},
		{
			name: "one is stopped from outside while it waits to be started again",
			script: map[string][]agent.Step{
				"a": {{Says: "one", Takes: 10 * ms, Fails: errModel}},
				"b": {{Says: "x", Takes: 50 * ms}},
			},
			tasks:   []string{"a", "b"},
			budget:  100,
			stop:    "a",
			at:      25 * ms,
			results: []string{"(stopped)", "x"},
			printed: []string{"10 a: one", "50 b: x"},
			ends:    50 * ms,
			calls:   map[string]int{"a": 1, "b": 1},
		},
		{
			name: "tasks that need each other are an error",
			script: map[string][]agent.Step{
				"a": {{Says: "b?", Takes: 10 * ms, Needs: []string{"b"}}},
				"b": {{Says: "c?", Takes: 10 * ms, Needs: []string{"c"}}},
				"c": {{Says: "a?", Takes: 10 * ms, Needs: []string{"a"}}},
			},
			tasks:   []string{"a"},
			budget:  100,
			text:    "wait", // each says it in its own way
			printed: []string{"10 a: b?", "20 b: c?", "30 c: a?"},
			ends:    30 * ms,
			calls:   map[string]int{"a": 1, "b": 1, "c": 1},
		},
		{
			name:    "the caller gives up",
			script:  map[string][]agent.Step{"a": {{Says: "1 2 3 4", Takes: 10 * ms}}},
			tasks:   []string{"a"},
			budget:  100,
			limit:   25 * ms,
			err:     errEnough,
			text:    "no longer wanted",
			printed: []string{"10 a: 1", "20 2"},
			ends:    25 * ms,
			calls:   map[string]int{"a": 1},
		},
		{
			name:   "what cannot be printed stops all",
			script: map[string][]agent.Step{"a": {{Says: "1 2", Takes: 10 * ms}}, "b": {{Says: "forever", Takes: time.Hour}}},
			tasks:  []string{"a", "b"},
			budget: 100,
			fails:  errPipe,
			err:    errPipe,
			text:   "nobody reads the output",
			ends:   10 * ms,
			calls:  map[string]int{"a": 1, "b": 1},
		},
	} {
		for name, newTeam := range teams {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // it fails if a goroutine is left
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					if test.limit > 0 {
						time.AfterFunc(test.limit, func() { cancel(errEnough) })
					}
					model := agent.NewModel(test.script)
					out := &timedWriter{start: time.Now(), fails: test.fails}
					team := newTeam(model, out, test.budget)
					if test.stop != "" {
						go func() {
							time.Sleep(test.at)
							if err := team.Stop(ctx, "nonsense"); err == nil || err.Error() != `there is no task "nonsense"` {
								t.Errorf("to stop a task that there is not: %v", err)
							}
							if err := team.Stop(ctx, test.stop); err != nil {
								t.Errorf("Stop: %v", err)
							}
							if d := time.Since(out.start); d != test.at {
								t.Errorf("Stop has returned after %v, want %v", d, test.at)
							}
						}()
					}
					results, err := team.Run(ctx, test.tasks...)
					if ends := time.Since(out.start); ends != test.ends {
						t.Errorf("it ends after %v, want %v", ends, test.ends)
					}
					if !slices.Equal(out.texts, test.printed) {
						t.Errorf("it prints %q, want %q", out.texts, test.printed)
					}
					for task, want := range test.calls {
						if got := model.Calls(task); got != want {
							t.Errorf("the model is asked %d times about %s, want %d", got, task, want)
						}
					}
					if test.text == "" {
						if err != nil || !slices.Equal(results, test.results) {
							t.Errorf("the results are %q, %v, want %q", results, err, test.results)
						}
						return
					}
					if err == nil || test.err != nil && (!errors.Is(err, test.err) || err.Error() != test.text) ||
						!strings.Contains(err.Error(), test.text) {
						t.Errorf("the error is %v, want %q", err, test.text)
					}
				})
			})
		}
	}
}

// Tokens that come at the same time are printed in the order in which their tasks began to wait, each time.
func TestTokensAtTheSameTime(t *testing.T) {
	model := agent.NewModel(map[string][]agent.Step{
		"a": {{Says: "1 2", Takes: time.Hour}},
		"b": {{Says: "x y", Takes: time.Hour}},
		"c": {{Says: "last", Takes: 2 * time.Hour}},
	})
	var out strings.Builder
	results, err := NewTeam(fake{model}, &out, 5, tinyio.WithVirtualTime()).Run(t.Context(), "a", "b", "c")
	if want := []string{"1 2", "x y", "last"}; err != nil || !slices.Equal(results, want) {
		t.Errorf("the results are %q, %v, want %q", results, err, want)
	}
	if want := "a: 1\nb: x\nc: last\na: 2\nb: y"; out.String() != want {
		t.Errorf("it prints %q, want %q", out.String(), want)
	}
}

// Whatever the schedule, and whatever goes wrong, what is printed has been paid for, and in the end all of it has been printed.
func TestEverySchedule(t *testing.T) {
	tinyiotest.Explore(t, func(co *tinyio.Co) error {
		model := agent.NewModel(map[string][]agent.Step{
			"a": {{Says: "1", Takes: ms, Needs: []string{"b", "c"}}, {Says: "2", Takes: ms}},
			"b": {{Says: "3", Takes: ms, Needs: []string{"c"}}, {Says: "4", Takes: ms}},
			"c": {{Says: "5", Takes: ms, Needs: []string{}}, {Says: "6", Takes: ms}},
		})
		var out strings.Builder
		team := NewTeam(fake{model}, &out, 6)
		done := false
		tinyiotest.AtEnd(co, func() error {
			printed := 0
			for word := range strings.FieldsSeq(out.String()) {
				if !strings.HasSuffix(word, ":") {
					printed++
				}
			}
			if printed > 6-team.budget || done && printed < 6 {
				return fmt.Errorf("%d tokens are left, and what was printed is %q", team.budget, out.String())
			}
			return nil
		})
		results, err := team.do(co, []string{"a"})
		if done = err == nil; done && results[0] != "2 [4 [6 []]; 6 []]" {
			err = fmt.Errorf("the results are %q", results)
		}
		return err
	}, tinyiotest.Faults(), tinyiotest.MaxSchedules(300))
}

// The program stops the task that it is told to, and goes on with the others.
func TestProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdin, lines := io.Pipe()
		go func() {
			time.Sleep(1500 * ms)
			fmt.Fprintln(lines, "scheduling")
			lines.Close()
		}()
		var stdout, stderr strings.Builder
		status := run(t.Context(), nil, stdin, &stdout, &stderr)
		_, result, _ := strings.Cut(stdout.String(), "\n\n")
		want := "Both have their uses. [The runtime schedules goroutines on all processors. [(stopped)]; " +
			"Coroutines take turns, where they wait. [(stopped)]]\n"
		if status != 0 || result != want || stderr.Len() > 0 {
			t.Errorf("the status is %d, the result %q, the errors %q, want %q", status, result, stderr.String(), want)
		}
	})
}

func TestProgramWithoutMeans(t *testing.T) {
	var stdout, stderr strings.Builder
	status := run(t.Context(), []string{"-budget", "3"}, strings.NewReader(""), &stdout, &stderr, tinyio.WithVirtualTime())
	if status != 1 || stdout.String() != "report: I shall need" || stderr.String() != "\nagents: the budget is spent\n" {
		t.Errorf("the status is %d, the output %q, the errors %q", status, stdout.String(), stderr.String())
	}
}
