package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/durable"
)

// An input is what each program is given: where its steps have their effects.
type input struct{ Dir string }

// A program is one of the suite. Its result depends on nothing but what it does: neither on how long anything takes, nor on when the
// process is killed.
type program struct {
	name    string
	want    string // the result, or the text of the error
	effects []string
	signals []signal
	cancel  string // the cause with which the run is cancelled, when it has had the effect "waits"
	body    func(co *tinyio.Co, in input) (string, error)
}

type signal struct {
	name  string
	value numbered
}

// A numbered value may be sent twice, by a sender that was killed: whoever receives it knows.
type numbered struct {
	Number int
	Text   string
}

// errNoStock is an error that is known by name, and stockError one whose type is.
var errNoStock = errors.New("no stock")

type stockError struct{ Item string }

func (e *stockError) Error() string { return "no " + e.Item }

func init() {
	durable.RegisterError("enginetest.errNoStock", errNoStock)
	durable.RegisterErrorType[*stockError]("enginetest.stockError")
	for _, p := range programs {
		durable.Register("enginetest."+p.name, func(in input) *tinyio.Coro[string] {
			return tinyio.New(func(co *tinyio.Co) (string, error) { return p.body(co, in) }).Named(p.name)
		})
	}
	durable.Register("enginetest.twice", func(in childInput) *tinyio.Coro[int] {
		return tinyio.New(func(co *tinyio.Co) (int, error) {
			if err := co.Sleep(time.Millisecond); err != nil {
				return 0, err
			}
			if in.N < 0 {
				return 0, errNoStock
			}
			return step(co, in.input, fmt.Sprint("twice ", in.N), 2*in.N)
		})
	})
}

type childInput struct {
	input
	N int
}

// effect notes that a step has had its effect.
func (in input) effect(ctx context.Context, run, name string) error {
	f, err := os.OpenFile(filepath.Join(in.Dir, "effects"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\n", run, name, durable.Key(ctx))
	return err
}

// step is a step that takes some time and has an effect.
func step[T any](co *tinyio.Co, in input, name string, v T, opts ...durable.StepOption) (T, error) {
	run := durable.RunID(co)
	return durable.Step(co, name, func(ctx context.Context) (T, error) {
		dawdle(ctx)
		return v, in.effect(ctx, run, name)
	}, opts...)
}

// dawdle takes up to 2 ms.
func dawdle(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(rand.IntN(2000)) * time.Microsecond):
	}
}

// thread is the same as a coroutine.
func thread[T any](in input, run, name string, v T) *tinyio.Coro[T] {
	return tinyio.RunInThread(func(ctx context.Context) (T, error) {
		dawdle(ctx)
		return v, in.effect(ctx, run, name)
	}).Named(name)
}

// A log is what a program has seen.
type log []string

func (l *log) add(format string, args ...any) { *l = append(*l, fmt.Sprintf(format, args...)) }

func (l log) String() string { return strings.Join(l, "; ") }

var programs = []program{
	{
		name:    "steps",
		want:    "a1; b2; 3; no shoes: shoes",
		effects: []string{"a", "b", "c"},
		body: func(co *tinyio.Co, in input) (string, error) {
			var l log
			a, err := step(co, in, "a", "a1")
			if err != nil {
				return "", err
			}
			l.add("%s", a)
			b, err := thread(in, durable.RunID(co), "b", "b2").Await(co)
			if err != nil {
				return "", err
			}
			l.add("%s", b)
			c, err := step(co, in, "c", 3)
			if err != nil {
				return "", err
			}
			l.add("%d", c)
			_, err = durable.Step(co, "stock", func(context.Context) (int, error) {
				return 0, fmt.Errorf("no shoes: %w", &stockError{"shoes"})
			})
			var s *stockError
			if !errors.As(err, &s) {
				return "", fmt.Errorf("the type of %v is lost", err)
			}
			l.add("no shoes: %s", s.Item)
			return l.String(), nil
		},
	},
	{
		name: "sleeps",
		want: "0ms 5ms 1ms 6ms 2ms; tick 1; tick 2; tick 3; timed out after 2ms; 1ms 2ms 5ms 6ms",
		body: func(co *tinyio.Co, in input) (string, error) {
			var l log
			sleep := func(d time.Duration) *tinyio.Coro[time.Duration] {
				return tinyio.New(func(co *tinyio.Co) (time.Duration, error) { return d, co.Sleep(d) }).Named(d.String())
			}
			ms := time.Millisecond
			all, err := tinyio.Gather(co, sleep(0), sleep(5*ms), sleep(ms), sleep(6*ms), sleep(2*ms))
			if err != nil {
				return "", err
			}
			var texts []string
			for _, d := range all {
				texts = append(texts, fmt.Sprintf("%dms", d.Milliseconds()))
			}
			l.add("%s", strings.Join(texts, " "))
			n := 0
			for _, err := range tinyio.Every(co, ms) {
				if err != nil {
					return "", err
				}
				n++
				l.add("tick %d", n)
				if n == 3 {
					break
				}
			}
			_, err = tinyio.Timeout(co, sleep(time.Hour), 2*ms)
			if !errors.Is(err, tinyio.ErrTimeout) {
				return "", fmt.Errorf("no timeout: %w", err)
			}
			l.add("timed out after 2ms")
			texts = nil
			for d, err := range tinyio.AsCompleted(co, sleep(5*ms), sleep(ms), sleep(6*ms), sleep(2*ms)) {
				if err != nil {
					return "", err
				}
				texts = append(texts, fmt.Sprintf("%dms", d.Milliseconds()))
			}
			l.add("%s", strings.Join(texts, " "))
			return l.String(), nil
		},
	},
	{
		name:    "gather",
		want:    "0 10 20 30 40 50 60 70",
		effects: []string{"item 0", "item 1", "item 2", "item 3", "item 4", "item 5", "item 6", "item 7"},
		body: func(co *tinyio.Co, in input) (string, error) {
			run := durable.RunID(co)
			var cs []*tinyio.Coro[int]
			for i := range 8 {
				cs = append(cs, tinyio.New(func(co *tinyio.Co) (int, error) {
					if err := co.Sleep(time.Duration(8-i) * time.Millisecond / 4); err != nil {
						return 0, err
					}
					return thread(in, run, fmt.Sprint("item ", i), 10*i).Await(co)
				}))
			}
			all, err := tinyio.Gather(co, cs...)
			return strings.Trim(fmt.Sprint(all), "[]"), err
		},
	},
	{
		name:    "pool",
		want:    "1 4 9 16 25 36",
		effects: []string{"square 1", "square 2", "square 3", "square 4", "square 5", "square 6"},
		body: func(co *tinyio.Co, in input) (string, error) {
			run := durable.RunID(co)
			all, err := tinyio.MapInPool(tinyio.NewThreadPool(2), []int{1, 2, 3, 4, 5, 6}, func(ctx context.Context, x int) (int, error) {
				dawdle(ctx)
				return x * x, in.effect(ctx, run, fmt.Sprint("square ", x))
			}).Await(co)
			return strings.Trim(fmt.Sprint(all), "[]"), err
		},
	},
	{
		name:    "timeout",
		want:    "the thread was stopped for the timeout; carried on",
		effects: []string{"carried on"},
		body: func(co *tinyio.Co, in input) (string, error) {
			var l log
			hang := tinyio.RunInThread(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, context.Cause(ctx) // the very error, also when it is read back
			}).Named("hang")
			_, err := tinyio.Timeout(co, hang, 3*time.Millisecond)
			var timeout *tinyio.TimeoutError
			if !errors.As(err, &timeout) || len(timeout.Cleanup) > 0 {
				return "", fmt.Errorf("no clean timeout: %w", err)
			}
			l.add("the thread was stopped for the timeout")
			s, err := step(co, in, "carried on", "carried on")
			l.add("%s", s)
			return l.String(), err
		},
	},
	{
		name:    "isolate",
		want:    "no stock; panic: out of cheese; fine",
		effects: []string{"fine"},
		body: func(co *tinyio.Co, in input) (string, error) {
			var l log
			_, err := tinyio.Isolate(co, tinyio.RunInThread(func(context.Context) (int, error) { return 0, errNoStock }).Named("fails"))
			if !errors.Is(err, errNoStock) {
				return "", fmt.Errorf("the error is another one: %w", err)
			}
			l.add("%v", err)
			_, err = tinyio.Isolate(co, tinyio.RunInThread(func(context.Context) (int, error) { panic("out of cheese") }).Named("panics"))
			var p *tinyio.PanicError
			if !errors.As(err, &p) {
				return "", fmt.Errorf("no panic: %w", err)
			}
			l.add("panic: %v", p.Value)
			s, err := tinyio.Isolate(co, thread(in, durable.RunID(co), "fine", "fine"))
			l.add("%s", s)
			return l.String(), err
		},
	},
	{
		name:    "shared",
		want:    "left 1, right 1",
		effects: []string{"shared"},
		body: func(co *tinyio.Co, in input) (string, error) {
			shared := thread(in, durable.RunID(co), "shared", 1)
			side := func(name string) *tinyio.Coro[string] {
				return tinyio.New(func(co *tinyio.Co) (string, error) {
					v, err := shared.Await(co)
					return fmt.Sprint(name, " ", v), err
				}).Named(name)
			}
			both, err := tinyio.Gather(co, side("left"), side("right"))
			return strings.Join(both, ", "), err
		},
	},
	{
		name:    "signals",
		want:    "one, two, three; and bye",
		effects: []string{"said one", "said two", "said three"},
		signals: []signal{{"say", numbered{1, "one"}}, {"say", numbered{2, "two"}}, {"stop", numbered{0, "bye"}}, {"say", numbered{3, "three"}}},
		body: func(co *tinyio.Co, in input) (string, error) {
			var said []string
			for len(said) < 3 {
				s, err := durable.Receive[numbered](co, "say")
				if err != nil {
					return "", err
				}
				if s.Number != len(said)+1 {
					continue // sent again
				}
				if s.Text, err = step(co, in, "said "+s.Text, s.Text); err != nil {
					return "", err
				}
				said = append(said, s.Text)
			}
			bye, err := durable.Receive[numbered](co, "stop")
			return strings.Join(said, ", ") + "; and " + bye.Text, err
		},
	},
	{
		name:    "compensation",
		want:    "no stock",
		effects: []string{"book flight", "book hotel", "cancel hotel", "cancel flight"},
		body: func(co *tinyio.Co, in input) (_ string, err error) {
			undo := func(what string) {
				if err != nil {
					err = errors.Join(err, co.Shield(time.Hour, func(co *tinyio.Co) error {
						_, err := step(co, in, "cancel "+what, 0)
						return err
					}))
				}
			}
			for _, what := range []string{"flight", "hotel"} {
				if _, err := step(co, in, "book "+what, 0); err != nil {
					return "", err
				}
				defer undo(what)
			}
			return durable.Step(co, "book car", func(context.Context) (string, error) { return "", errNoStock })
		},
	},
	{
		name:    "random",
		want:    "the same",
		effects: []string{"note 1", "note 2"},
		body: func(co *tinyio.Co, in input) (string, error) {
			for i := range 2 {
				draw := fmt.Sprint(durable.NewUUID(co), durable.Random(co).IntN(1000))
				noted, err := step(co, in, fmt.Sprint("note ", i+1), draw)
				if err != nil {
					return "", err
				}
				if noted != draw {
					return "another one", nil
				}
				before := durable.Now(co)
				if err := co.Sleep(time.Millisecond); err != nil {
					return "", err
				}
				if d := durable.Now(co).Sub(before); d < time.Millisecond {
					return fmt.Sprint("time has gone by ", d), nil
				}
			}
			v, err := durable.Version(co, "a change", 0, 2)
			return map[int]string{2: "the same"}[v], err
		},
	},
	{
		name:    "versions",
		want:    "1 2 word",
		effects: []string{"before", "beside", "after 1", "after 2"},
		signals: []signal{{"word", numbered{1, "word"}}},
		body: func(co *tinyio.Co, in input) (string, error) {
			beside := tinyio.Do(func(co *tinyio.Co) error {
				_, err := step(co, in, "beside", 0)
				return err
			})
			if err := co.Spawn(beside); err != nil {
				return "", err
			}
			if _, err := step(co, in, "before", 0); err != nil {
				return "", err
			}
			after := func(change string, min, max int) (int, error) {
				v, err := durable.Version(co, change, min, max)
				if err != nil {
					return 0, err
				}
				return step(co, in, fmt.Sprint("after ", v), v)
			}
			first, err := after("one change", 0, 1)
			if err != nil {
				return "", err
			}
			word, err := durable.Receive[numbered](co, "word")
			if err != nil {
				return "", err
			}
			second, err := after("another change", 1, 2)
			return fmt.Sprint(first, " ", second, " ", word.Text), err
		},
	},
	{
		name:    "retry",
		want:    "at last; durable: step \"hopeless\" failed 2 times, the last time with: no stock",
		effects: []string{"at last"},
		body: func(co *tinyio.Co, in input) (string, error) {
			var l log
			run, attempts := durable.RunID(co), filepath.Join(in.Dir, "attempts")
			s, err := durable.Step(co, "at last", func(ctx context.Context) (string, error) {
				dawdle(ctx)
				if _, err := os.Stat(attempts); err != nil {
					os.WriteFile(attempts, nil, 0o600)
					return "", errors.New("not yet")
				}
				return "at last", in.effect(ctx, run, "at last")
			}, durable.Retry{Wait: time.Millisecond, MaxWait: 2 * time.Millisecond})
			if err != nil {
				return "", err
			}
			l.add("%s", s)
			_, err = durable.Step(co, "hopeless", func(context.Context) (int, error) { return 0, errNoStock },
				durable.Retry{Attempts: 2, Wait: time.Millisecond})
			if !errors.Is(err, errNoStock) {
				return "", fmt.Errorf("the last error is lost: %w", err)
			}
			l.add("%v", err)
			return l.String(), nil
		},
	},
	{
		name:    "retries",
		want:    "thread, call, pool; durable: step \"hopeless\" failed 3 times, the last time with: no stock; a wait for another attempt was stopped",
		effects: []string{"thread", "call", "pool"},
		body: func(co *tinyio.Co, in input) (string, error) {
			run := durable.RunID(co)
			flaky := func(name string) func(context.Context) (string, error) { // fails once, as far as anybody knows
				return func(ctx context.Context) (string, error) {
					dawdle(ctx)
					failed := filepath.Join(in.Dir, name+" has failed")
					if _, err := os.Stat(failed); err != nil {
						os.WriteFile(failed, nil, 0o600)
						return "", errors.New("not yet")
					}
					return name, in.effect(ctx, run, name)
				}
			}
			retried := co.WithValues(durable.WithRetry(co, durable.Retry{Wait: time.Millisecond, MaxWait: 2 * time.Millisecond}))
			thread, pool := tinyio.RunInThread(flaky("thread")).Named("thread"), tinyio.RunInPool(tinyio.NewThreadPool(1), flaky("pool"))
			call := tinyio.New(func(co *tinyio.Co) (string, error) { return tinyio.Call(co, flaky("call")) })
			names, err := tinyio.Gather(retried, thread, call, pool)
			if err != nil {
				return "", err
			}
			l := log{strings.Join(names, ", ")}
			hopeless := func(r durable.Retry) (*tinyio.Co, *tinyio.Coro[int]) {
				return co.WithValues(durable.WithRetry(co, r)), tinyio.RunInThread(func(context.Context) (int, error) { return 0, errNoStock }).Named("hopeless")
			}
			few, c := hopeless(durable.Retry{Attempts: 3, Wait: time.Millisecond})
			_, err = tinyio.Isolate(few, c)
			if !errors.Is(err, errNoStock) {
				return "", fmt.Errorf("the last error is lost: %w", err)
			}
			l.add("%v", err)
			slow, c := hopeless(durable.Retry{Wait: time.Hour})
			_, err = tinyio.Timeout(slow, c, 3*time.Millisecond)
			if !errors.Is(err, tinyio.ErrTimeout) {
				return "", fmt.Errorf("no timeout: %w", err)
			}
			l.add("a wait for another attempt was stopped")
			return l.String(), nil
		},
	},
	{
		name: "children",
		want: "2 4 6; no stock",
		body: func(co *tinyio.Co, in input) (string, error) {
			var cs []*tinyio.Coro[int]
			for i := range 3 {
				cs = append(cs, durable.Child[childInput, int](co, "enginetest.twice", "", childInput{in, i + 1}))
			}
			all, err := tinyio.Gather(co, cs...)
			if err != nil {
				return "", err
			}
			_, err = tinyio.Isolate(co, durable.Child[childInput, int](co, "enginetest.twice", "", childInput{in, -1}))
			if !errors.Is(err, errNoStock) {
				return "", fmt.Errorf("the error of the child is lost: %w", err)
			}
			return fmt.Sprintf("%s; %v", strings.Trim(fmt.Sprint(all), "[]"), err), nil
		},
	},
	{
		name:    "cancelled",
		want:    "nobody wants it",
		effects: []string{"waits", "cleaned up"},
		cancel:  "nobody wants it",
		body: func(co *tinyio.Co, in input) (_ string, err error) {
			defer func() {
				err = errors.Join(err, co.Shield(time.Hour, func(co *tinyio.Co) error {
					_, err := step(co, in, "cleaned up", 0)
					return err
				}))
			}()
			if _, err := step(co, in, "waits", 0); err != nil {
				return "", err
			}
			return durable.Receive[string](co, "never")
		},
	},
	{
		name:    "first",
		want:    "quick",
		effects: []string{"quick"},
		body: func(co *tinyio.Co, in input) (string, error) {
			run := durable.RunID(co)
			slow := tinyio.RunInThread(func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }).Named("slow")
			return tinyio.First(co, slow, thread(in, run, "quick", "quick"))
		},
	},
	{
		name: "long",
		want: "1275",
		effects: slices.Collect(func(yield func(string) bool) {
			for i := 1; i <= 50 && yield(fmt.Sprint("add ", i)); i++ {
			}
		}),
		body: func(co *tinyio.Co, in input) (string, error) {
			run, sum := durable.RunID(co), 0
			for i := 1; i <= 50; i++ {
				n, err := durable.Step(co, fmt.Sprint("add ", i), func(ctx context.Context) (int, error) {
					return i, in.effect(ctx, run, fmt.Sprint("add ", i))
				})
				if err != nil {
					return "", err
				}
				sum += n
			}
			out, err := json.Marshal(sum)
			return string(out), err
		},
	},
}
