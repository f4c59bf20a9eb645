package tinyio_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
	"github.com/tinyio-go/tinyio/hook"
)

// labelsHere returns the profiler labels of the goroutine that calls it, as the goroutine profile has them.
//
//go:noinline
func labelsHere() string {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1)
	for part := range strings.SplitSeq(profile.String(), "\n\n") {
		if !strings.Contains(part, "tinyio_test.labelsHere") {
			continue
		}
		_, labels, _ := strings.Cut(part, "# labels: ")
		labels, _, _ = strings.Cut(labels, "\n")
		return labels
	}
	return "not found"
}

// leaveLabels sets a label on the calling goroutine and does not take it back.
func leaveLabels(value string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(background, pprof.Labels("left by", value)))
}

// TestLabelsAreThoseOfTheRun proves R29 for profiler labels: where code of a coroutine begins, it has those of the context given to the run,
// and none that another coroutine has set, whichever goroutine it runs on and whichever started that.
func TestLabelsAreThoseOfTheRun(t *testing.T) {
	run := pprof.WithLabels(background, pprof.Labels("run", "this", "of", "the test"))
	for name, test := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"some": {run, `{"of":"the test", "run":"this"}`},
		"none": {background, ""},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			check := func(where string) {
				if got := labelsHere(); got != test.want {
					t.Errorf("%s has the labels %s, want %s", where, got, test.want)
				}
			}
			show := func(where string) *tinyio.Coro[tinyio.Void] {
				return tinyio.Do(func(co *tinyio.Co) error {
					check(where)
					leaveLabels(where)
					return co.Yield()
				})
			}
			thread := func(where string) *tinyio.Coro[tinyio.Void] {
				return tinyio.RunInThread(func(context.Context) (tinyio.Void, error) {
					check(where)
					return tinyio.Void{}, nil
				})
			}
			start := func(where string) *tinyio.Coro[tinyio.Void] {
				return tinyio.FromCallback(func(done func(tinyio.Void, error)) func(error) {
					check(where)
					leaveLabels(where)
					done(tinyio.Void{}, nil)
					return nil
				})
			}
			all := func(co *tinyio.Co, where string) error {
				// The first of them has a worker that another coroutine has left. The others have workers that are started now.
				err := co.Wait(show(where+": a coroutine"), show(where+": a second one"), show(where+": a third one"))
				_, call := tinyio.Call(co, func(context.Context) (tinyio.Void, error) {
					check(where + ": a call")
					return tinyio.Void{}, nil
				})
				return errors.Join(err, call, wait(co, thread(where+": a thread")), wait(co, start(where+": a start function")))
			}
			_, err := tinyio.Run(test.ctx, tinyio.Do(func(co *tinyio.Co) error {
				check("the first coroutine")
				err := all(co, "started by the first")
				leaveLabels("the first coroutine")
				own := labelsHere()
				err = errors.Join(err, all(co, "started by one with labels"))
				pprof.Do(co, pprof.Labels("only", "for a while"), func(context.Context) {
					err = errors.Join(err, all(co, "inside pprof.Do"))
				})
				check("the first coroutine after pprof.Do")
				leaveLabels("the first coroutine")
				_, err2 := tinyio.Isolate(co, tinyio.Do(func(co *tinyio.Co) error { return all(co, "isolated") }))
				if got := labelsHere(); got != own {
					t.Errorf("a coroutine that set %s has %s after it has waited", own, got)
				}
				return errors.Join(err, err2)
			}))
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLabelsOfTheCallerOfRun proves that a run does not change the labels of the goroutine that called it, nor take them over, and that a run
// inside another has those of its own context (R29).
func TestLabelsOfTheCallerOfRun(t *testing.T) {
	noLeaks(t)
	defer pprof.SetGoroutineLabels(background)
	leaveLabels("the caller")
	before := labelsHere()
	inner := pprof.WithLabels(background, pprof.Labels("run", "inner"))
	var log recorder
	err := virtually(func(co *tinyio.Co) error {
		log.add("outer: %s", labelsHere())
		_, err := tinyio.Run(inner, tinyio.Do(func(co *tinyio.Co) error {
			defer leaveLabels("the inner run")
			log.add("inner: %s", labelsHere())
			return co.Sleep(1)
		}), tinyio.WithVirtualTime())
		log.add("outer: %s", labelsHere())
		return err
	})
	if err != nil {
		t.Error(err)
	}
	log.want(t, "outer: ", `inner: {"run":"inner"}`, "outer: ")
	if after := labelsHere(); after != before {
		t.Errorf("the caller of Run had %s and now has %s", before, after)
	}
}

// TestLabelsOfThreadsOfAHost proves R29 where a host runs the threads.
func TestLabelsOfThreadsOfAHost(t *testing.T) {
	noLeaks(t)
	ctx := pprof.WithLabels(background, pprof.Labels("run", "hosted"))
	const want = `{"run":"hosted"}`
	seen := map[string]int{}
	see := func(who string) { seen[fmt.Sprintf("%s: %s", who, labelsHere())]++ }
	ended := make(chan bool)
	host := tinyio.WithThreads(func(th *hook.Thread) {
		go func() {
			defer close(ended)
			leaveLabels("the host")
			th.Run()
			th.Return()
		}()
	})
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		leaveLabels("the first coroutine")
		return wait(co, tinyio.RunInThread(func(context.Context) (tinyio.Void, error) {
			see("thread")
			return tinyio.Void{}, nil
		}))
	}), host)
	<-ended
	if err != nil {
		t.Error(err)
	}
	if len(seen) != 1 || seen["thread: "+want] != 1 {
		t.Errorf("seen: %v", seen)
	}
}

// TestWithLabels proves that, with the option WithLabels, whatever runs for a coroutine carries its name, besides the labels of the run, and
// that nothing does afterwards.
func TestWithLabels(t *testing.T) {
	noLeaks(t)
	ctx := pprof.WithLabels(background, pprof.Labels("run", "this"))
	var mu sync.Mutex
	seen := map[string]string{}
	see := func(where string) {
		mu.Lock()
		defer mu.Unlock()
		seen[where] = labelsHere()
	}
	void := func(where string) func(context.Context) (tinyio.Void, error) {
		return func(context.Context) (tinyio.Void, error) {
			see(where)
			return tinyio.Void{}, nil
		}
	}
	idle := ""
	_, err := tinyio.Run(ctx, tinyio.Do(func(co *tinyio.Co) error {
		see("first")
		child := tinyio.Do(func(co *tinyio.Co) error {
			see("child")
			err := co.Yield()
			see("child after a turn of others")
			started := make(chan bool)
			go func() { see("a goroutine of the child"); close(started) }()
			<-started
			_, failed := tinyio.Call(co, void("a call"))
			return errors.Join(err, failed)
		}).Named("child")
		panics := tinyio.Do(func(co *tinyio.Co) error { panic("on purpose") }).Named("panics")
		unnamed := tinyio.Do(func(co *tinyio.Co) error { see("unnamed"); return nil })
		err := co.Wait(child, tinyio.RunInThread(void("a thread")).Named("thread"), unnamed)
		var p *tinyio.PanicError
		if _, err := tinyio.Isolate(co, panics); !errors.As(err, &p) {
			return err
		}
		var profile bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // the workers are idle
		idle = profile.String()
		return err
	}).Named("main"), tinyio.WithLabels())
	if err != nil {
		t.Error(err)
	}
	want := map[string]string{
		"first":                        `{"run":"this", "tinyio":"main"}`,
		"child":                        `{"run":"this", "tinyio":"child"}`,
		"child after a turn of others": `{"run":"this", "tinyio":"child"}`,
		"a goroutine of the child":     `{"run":"this", "tinyio":"child"}`,
		"a call":                       `{"run":"this", "tinyio":"child"}`,
		"a thread":                     `{"run":"this", "tinyio":"thread"}`,
	}
	if !strings.HasPrefix(seen["unnamed"], `{"run":"this", "tinyio":"github.com/tinyio-go/tinyio_test.TestWithLabels.func`) {
		t.Errorf("a coroutine without a name has the labels %s", seen["unnamed"])
	}
	delete(seen, "unnamed")
	if !maps.Equal(seen, want) {
		t.Errorf("seen:\n%v\nwant\n%v", seen, want)
	}
	workers := 0
	for part := range strings.SplitSeq(idle, "\n\n") {
		if !strings.Contains(part, "(*worker).Work") || strings.Contains(part, "TestWithLabels") {
			continue
		}
		workers++
		if strings.Contains(part, `"tinyio"`) {
			t.Errorf("an idle goroutine still carries a name:\n%s", part)
		}
	}
	if workers == 0 {
		t.Errorf("no goroutine is idle:\n%s", idle)
	}
}

// TestWithLabelsOfAHost proves that the goroutine on which a host runs a thread or a call carries the name as long as that runs.
func TestWithLabelsOfAHost(t *testing.T) {
	noLeaks(t)
	var log recorder
	host := tinyio.WithThreads(func(th *hook.Thread) {
		ended := make(chan bool)
		go func() {
			defer close(ended)
			th.Run()
			log.add("the host: %s", labelsHere())
		}()
		<-ended
		th.Return()
	})
	_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
		say := func(context.Context) (tinyio.Void, error) {
			log.add("runs: %s", labelsHere())
			return tinyio.Void{}, nil
		}
		_, err := tinyio.Call(co, say)
		return errors.Join(err, wait(co, tinyio.RunInThread(say).Named("thread")))
	}).Named("main"), host, tinyio.WithLabels())
	if err != nil {
		t.Error(err)
	}
	log.want(t, `runs: {"tinyio":"main"}`, "the host: ", `runs: {"tinyio":"thread"}`, "the host: ")
}

// TestWithLabelsInACPUProfile proves that a CPU profile names the coroutine that has computed.
func TestWithLabelsInACPUProfile(t *testing.T) {
	if runtime.GOARCH == "wasm" {
		t.Skip("there is no CPU profile on wasm")
	}
	noLeaks(t)
	for d := 50 * time.Millisecond; ; d *= 2 { // until there is a sample
		var profile bytes.Buffer
		if err := pprof.StartCPUProfile(&profile); err != nil {
			t.Skipf("there is no CPU profile to be had: %v", err)
		}
		_, err := tinyio.Run(background, tinyio.Do(func(co *tinyio.Co) error {
			for begin := time.Now(); time.Since(begin) < d; {
			}
			return nil
		}).Named("computes primes"), tinyio.WithLabels())
		pprof.StopCPUProfile()
		if err != nil {
			t.Fatal(err)
		}
		unzip, err := gzip.NewReader(&profile)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(unzip)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("computes primes")) && bytes.Contains(text, []byte("tinyio")) {
			return
		}
		if d > 10*time.Second {
			t.Fatal("the profile does not name the coroutine")
		}
	}
}
