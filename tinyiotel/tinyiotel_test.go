package tinyiotel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/tinyiotel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

var errBoom = errors.New("boom")

// recorder returns a tracer, and what has been recorded by it: a line for each span, in the order in which they began.
func recorder() (trace.Tracer, func() string) {
	e := tracetest.NewInMemoryExporter()
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(e)).Tracer("test"), func() string { return show(e.GetSpans()) }
}

func show(spans tracetest.SpanStubs) string {
	names := map[trace.SpanID]string{}
	for _, s := range spans {
		names[s.SpanContext.SpanID()] = s.Name
	}
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.Name)
		if parent := names[s.Parent.SpanID()]; parent != "" {
			b.WriteString(" below " + parent)
		}
		for _, l := range s.Links {
			b.WriteString(", linked with " + names[l.SpanContext.SpanID()])
		}
		for _, a := range s.Attributes {
			if key := string(a.Key); key == "tinyio.end" || key == "tinyio.stopped" || key == "tinyio.thread" {
				fmt.Fprintf(&b, ", %s=%s", strings.TrimPrefix(key, "tinyio."), a.Value.String())
			}
		}
		for _, e := range s.Events {
			b.WriteString(", " + e.Name)
			for _, a := range e.Attributes {
				if key := string(a.Key); key == "tinyio.cause" || key == "tinyio.wait" {
					b.WriteString(" " + a.Value.String())
				}
			}
		}
		if s.Status.Code == codes.Error {
			b.WriteString(": " + s.Status.Description)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("the spans are\n%s\nwant\n%s", got, want)
	}
}

// pause makes the next span begin later than the last one. In a bubble that takes no time.
func pause() { time.Sleep(time.Nanosecond) }

// Spans that are started with a Co nest as who starts whom, through each way to start one, without anything of this package.
func TestSpansNestByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer, recorded := recorder()
		span := func(ctx context.Context, name string) {
			_, s := tracer.Start(ctx, name)
			pause()
			s.End()
		}
		leaf := func(name string) *tinyio.Coro[tinyio.Void] {
			return tinyio.Do(func(co *tinyio.Co) error { span(co, name); return nil })
		}
		ctx, run := tracer.Start(context.Background(), "run")
		pause()
		_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
			ctx, s := tracer.Start(co, "request")
			defer s.End()
			pause()
			outside := leaf("outside")
			inner := co.WithValues(ctx)
			if err := inner.Wait(leaf("awaited"), outside); err != nil {
				return err
			}
			if err := inner.Spawn(leaf("spawned")); err != nil {
				return err
			}
			thread := tinyio.RunInThread(func(ctx context.Context) (int, error) { span(ctx, "thread"); return 1, nil })
			if _, err := thread.Await(inner); err != nil {
				return err
			}
			if _, err := tinyio.Timeout(inner, leaf("timed"), time.Second); err != nil {
				return err
			}
			if err := inner.Call(func(ctx context.Context) error { span(ctx, "call"); return nil }); err != nil {
				return err
			}
			return co.Wait(leaf("beside"), outside)
		}))
		run.End()
		if err != nil {
			t.Fatal(err)
		}
		want(t, recorded(), `run
request below run
awaited below request
outside below request
spawned below request
thread below request
timed below request
call below request
beside below run
`)
	})
}

func TestNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer, recorded := recorder()
		part := func(name string, err error) *tinyio.Coro[int] {
			return tinyiotel.New(tracer, name, func(co *tinyio.Co) (int, error) {
				pause()
				co2, s := tinyiotel.Start(co, tracer, "step of "+name)
				defer s.End()
				if serr := co2.Sleep(time.Second); serr != nil {
					return 0, serr
				}
				if name == "panics" {
					panic(errBoom)
				}
				return 1, err
			})
		}
		main := tinyiotel.New(tracer, "main", func(co *tinyio.Co) (int, error) {
			pause()
			if _, err := tinyio.Isolate(co, part("panics", nil)); err == nil {
				t.Error("it has not failed")
			}
			_, err := tinyio.Isolate(co, tinyiotel.New(tracer, "domain", func(co *tinyio.Co) (int, error) {
				pause()
				_, err := tinyio.Gather(co, part("good", nil), part("bad", errBoom), tinyiotel.New(tracer, "stopped", func(co *tinyio.Co) (int, error) {
					return 0, co.Sleep(time.Hour)
				}))
				return 0, err
			}))
			if !errors.Is(err, errBoom) {
				t.Errorf("it ends with %v", err)
			}
			return 7, nil
		})
		if v, err := tinyio.Run(context.Background(), main); v != 7 || err != nil {
			t.Fatal(v, err)
		}
		want(t, recorded(), `main
panics below main, exception: it panicked or called runtime.Goexit
step of panics below panics, exception
domain below main, stopped=tinyio: cancelled because of: boom
good below domain
step of good below good
bad below domain, exception: boom
step of bad below bad
stopped below domain, stopped=tinyio: cancelled because of: boom
`)
	})
}

// The observer makes a span of each coroutine, thread and call: who started whom, how each ended, shared work, waits.
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer, recorded := recorder()
		named := func(name string, f func(co *tinyio.Co) error) *tinyio.Coro[tinyio.Void] {
			return tinyio.Do(func(co *tinyio.Co) error { pause(); return f(co) }).Named(name)
		}
		shared := named("shared", func(co *tinyio.Co) error { return co.Sleep(time.Second) })
		first := named("first", func(co *tinyio.Co) error {
			pause()
			for range 2 { // one link is enough
				if err := co.Wait(shared); err != nil {
					return err
				}
			}
			return nil
		})
		second := named("second", func(co *tinyio.Co) error { return co.Wait(shared) })
		thread := tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); pause(); return 0, errors.New("deaf") }).Named("thread")
		late := named("late", func(co *tinyio.Co) error { return co.Sleep(time.Hour) })
		main := named("main", func(co *tinyio.Co) error {
			if err := co.Spawn(first, second, thread, late); err != nil {
				return err
			}
			if err := co.Call(func(context.Context) error { time.Sleep(time.Minute); return nil }); err != nil {
				return err
			}
			return errBoom
		})
		ctx, run := tracer.Start(context.Background(), "run")
		pause()
		_, err := tinyio.Run(ctx, main, tinyio.WithObserver(tinyiotel.NewSpans(ctx, tracer, tinyiotel.Waits())))
		run.End()
		if !errors.Is(err, errBoom) {
			t.Fatal(err)
		}
		got := recorded()
		lines := strings.Split(strings.TrimSpace(got), "\n")
		slices.Sort(lines)
		want(t, strings.Join(lines, "\n"), `call below main
first below main, end=succeeded, waits a coroutine, waits a coroutine
late below main, end=stopped cleanly, stopped=tinyio: cancelled because of: boom, waits a timer, stopped tinyio: cancelled because of: boom
main below run, end=failed, waits its turn, waits a call, exception: boom
run
second below main, linked with shared, end=succeeded, waits a coroutine
shared below first, end=succeeded, waits a timer
thread below main, thread=true, end=failed in clean-up, waits a thread or callback, stopped tinyio: cancelled because of: boom, exception: deaf`)
	})
}

// The spans last from the start to the end; that of a call as long as its function.
func TestSpansLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := tracetest.NewInMemoryExporter()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(e)).Tracer("test")
		_, err := tinyio.Run(t.Context(), tinyio.Do(func(co *tinyio.Co) error {
			if err := co.Sleep(time.Second); err != nil {
				return err
			}
			if err := co.Call(func(context.Context) error { time.Sleep(time.Minute); return nil }); err != nil {
				return err
			}
			return co.Sleep(time.Second)
		}).Named("main"), tinyio.WithObserver(tinyiotel.NewSpans(t.Context(), tracer)))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]time.Duration{}
		for _, s := range e.GetSpans() {
			got[s.Name] = s.EndTime.Sub(s.StartTime)
			if s.Name == "call" && !slices.ContainsFunc(s.Attributes, func(a attribute.KeyValue) bool {
				return a.Key == "code.function.name" && strings.HasPrefix(a.Value.AsString(), "github.com/tinyio-go/tinyio/tinyiotel_test.TestSpansLast")
			}) {
				t.Errorf("the call has the attributes %v", s.Attributes)
			}
		}
		if len(got) != 2 || got["main"] != 62*time.Second || got["call"] != time.Minute {
			t.Errorf("the spans last %v", got)
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tinyio.NewLoop()
		reader := sdkmetric.NewManualReader()
		meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
		registration, err := tinyiotel.Metrics(meter, "api", l)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tinyiotel.Metrics(meter, "other", tinyio.NewLoop()); err != nil {
			t.Fatal(err)
		}
		read := func() string { return collect(t, reader, "api") }
		ended := make(chan error)
		go func() {
			_, err := tinyio.RunOn(context.Background(), l, tinyio.Do(func(co *tinyio.Co) error {
				thread := tinyio.RunInThread(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
				if err := co.Spawn(thread, tinyio.Do(func(co *tinyio.Co) error { return co.Sleep(time.Hour) })); err != nil {
					return err
				}
				co.Go(func(*tinyio.Co) error { return nil })
				time.Sleep(3 * time.Second) // stuck
				return errBoom
			}))
			ended <- err
		}()
		time.Sleep(time.Second)
		read() // from the first time on it knows how long turns last
		time.Sleep(time.Second)
		want(t, read(), `tinyio.coroutines.failed 0
tinyio.coroutines.finished 0
tinyio.coroutines.started 4
tinyio.coroutines[ready] 1
tinyio.coroutines[running] 1
tinyio.coroutines[waiting] 2
tinyio.threads 1
tinyio.timers 1
tinyio.turn.current 1
tinyio.turns 4`)
		<-ended
		want(t, read(), `tinyio.coroutines.failed 1
tinyio.coroutines.finished 4
tinyio.coroutines.started 4
tinyio.coroutines[ready] 0
tinyio.coroutines[running] 0
tinyio.coroutines[waiting] 0
tinyio.threads 0
tinyio.timers 0
tinyio.turn.current 0
tinyio.turns 6`)
		if err := registration.Unregister(); err != nil {
			t.Error(err)
		}
		if got := read(); got != "" {
			t.Errorf("it is still observed:\n%s", got)
		}
	})
}

// collect returns what reader collects of a loop, a line for each number.
func collect(t *testing.T, reader sdkmetric.Reader, loop string) string {
	t.Helper()
	var m metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &m); err != nil {
		t.Fatal(err)
	}
	var lines []string
	add := func(name string, set attribute.Set, v any) {
		if of, _ := set.Value("tinyio.loop"); of.AsString() != loop {
			return
		}
		if state, ok := set.Value("tinyio.state"); ok {
			name += "[" + state.AsString() + "]"
		}
		lines = append(lines, fmt.Sprint(name, " ", v))
	}
	for _, s := range m.ScopeMetrics {
		for _, x := range s.Metrics {
			switch d := x.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					add(x.Name, p.Attributes, p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					add(x.Name, p.Attributes, p.Value)
				}
			default:
				t.Errorf("%s is %T", x.Name, d)
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestMisuse(t *testing.T) {
	tracer, _ := recorder()
	meter := sdkmetric.NewMeterProvider().Meter("test")
	for name, f := range map[string]func(){
		"New":      func() { tinyiotel.New[int](tracer, "x", nil) },
		"NewSpans": func() { tinyiotel.NewSpans(context.Background(), nil) },
		"Metrics":  func() { tinyiotel.Metrics(meter, "x", nil) },
	} {
		func() {
			defer func() {
				if s, _ := recover().(string); !strings.HasPrefix(s, "tinyiotel: "+name+": the ") || !strings.Contains(s, " nil; ") {
					t.Errorf("%s panics with %q", name, s)
				}
			}()
			f()
		}()
	}
}
