package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tinyio-go/tinyio"
)

// A live view draws what is running below what has been written, and takes it away before anything else is written.
func TestLiveView(t *testing.T) {
	var b strings.Builder
	want := func(text string) {
		t.Helper()
		if got := b.String(); got != text {
			t.Errorf("it writes %q, want %q", got, text)
		}
		b.Reset()
	}
	start := time.Unix(0, 0)
	v := &view{w: &b, live: true, total: 3}
	v.skip()
	x := v.begin(start, &target{name: "x"})
	want("\x1b[?7l1 of 3 done, 1 running\n   0.0s  x\n\x1b[?7h")
	y := v.begin(start.Add(time.Second), &target{name: "y"})
	want("\x1b[2A\x1b[J" + "\x1b[?7l1 of 3 done, 2 running\n   1.0s  x\n   0.0s  y\n\x1b[?7h")
	v.draw(start.Add(1500*time.Millisecond), nil)
	want("\x1b[3A\x1b[J" + "\x1b[?7l1 of 3 done, 2 running\n   1.5s  x\n   0.5s  y\n\x1b[?7h")
	v.end(start.Add(2*time.Second), x, []byte("cc x"))
	want("\x1b[3A\x1b[J" + "cc x\n" + "\x1b[?7l2 of 3 done, 1 running\n   1.0s  y\n\x1b[?7h")
	v.end(start.Add(2*time.Second), y, nil)
	want("\x1b[2A\x1b[J")
	v.draw(start, nil)
	want("")
}

// A live view is drawn ten times a second, until all is over.
func TestRefresh(t *testing.T) {
	var b strings.Builder
	v := &view{w: &b, live: true, total: 1}
	main := tinyio.Do(func(co *tinyio.Co) error {
		var over tinyio.Event
		defer over.Set()
		if err := co.Spawn(v.refresh(&over)); err != nil {
			return err
		}
		v.begin(co.Now(), &target{name: "x"})
		return co.Sleep(250 * time.Millisecond)
	})
	if _, err := tinyio.Run(t.Context(), main, tinyio.WithVirtualTime()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "  x\n"); n != 3 {
		t.Errorf("it was drawn %d times in 250ms, want 3: at first, and after 100ms and 200ms:\n%q", n, b.String())
	}
}

// However many targets are running, a live view does not outgrow the terminal.
func TestLiveViewOfMany(t *testing.T) {
	var b strings.Builder
	v := &view{w: &b, live: true, total: 100}
	for i := range 100 {
		b.Reset()
		v.begin(time.Unix(0, 0), &target{name: fmt.Sprint("t", i)})
	}
	if n := strings.Count(b.String(), "\n"); n != 1+jobsShown || v.drawn != n {
		t.Errorf("it draws %d lines and knows of %d, want %d", n, v.drawn, 1+jobsShown)
	}
}
