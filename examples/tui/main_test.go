package main

import (
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	got, err := name([]string{"http://a/x.zip", "https://b/y/x.zip?v=2", "http://a/", "http://a", "http://a/%2e%2e", "http://a/x%2f..%2fy", "http://a/.downloading"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range got {
		names = append(names, d.name)
	}
	if want := []string{"x.zip", "x.zip~2", "index", "index~2", "index~3", "y", "index~4"}; !slices.Equal(names, want) {
		t.Errorf("the names are %q, want %q", names, want)
	}
	for _, address := range []string{"file:///etc/passwd", "a.zip", "http://[", ""} {
		if _, err := name([]string{address}); err == nil {
			t.Errorf("%q is taken for the address of a file", address)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-demo", "http://a/b"}, {"-p", "0", "http://a/b"}, {"-demo", "-n", "0"}, {"-x"}} {
		var out strings.Builder
		if status := run(args, &out, &out); status != broken || !strings.Contains(out.String(), "usage: tui") {
			t.Errorf("%q: status %d, and it says %q", args, status, out.String())
		}
	}
}
