package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
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
